//! The second factor: after the password, or again before what is dangerous.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::people::{Answer, Refused};
use ringfence_model::Secret;
use ringfence_second_factor::policy::Kind;
use ringfence_store::{Session, Stage};

use super::{Door, said, shown, with_to};
use crate::failed::Failed;
use crate::words;

#[derive(Template)]
#[template(path = "door/second_factor.html")]
struct Page {
    csrf: String,
    to: String,
    /// Whether they are inside already, and asked again.
    is_again: bool,
    login: String,
    has_totp: bool,
    has_codes: bool,
    may_trust: bool,
    trust_days: i64,
    /// Whether a saved code was tried last.
    tried_code: bool,
    problem: Option<String>,
}

pub(crate) async fn ask_second_factor(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    match &door.session {
        Some((_, session)) if session.stage != Stage::Binding => page(&door, session, None, false).await,
        _ => Ok(words::redirect(&with_to("/sign-in", &door.to()))),
    }
}

pub(crate) async fn second_factor(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let Some((token, session)) = &door.session else {
        return Ok(words::redirect(&with_to("/sign-in", &door.to())));
    };
    door.check_csrf()?;
    let (answer, is_code) = match door.form.filled("recovery") {
        Some(code) => (Answer::RecoveryCode(Secret::new(code)), true),
        None => (Answer::Totp(Secret::new(door.form.get("code"))), false),
    };
    let trust = door.form.filled("trust").is_some();
    match door.people.show(token, session, &answer, trust, &door.visitor()).await {
        Ok(step) => Ok(door.go(&step, &door.to())),
        // Another tab was quicker.
        Err(Refused::Over) => Ok(words::redirect(&with_to("/sign-in", &door.to()))),
        Err(refused) => page(&door, session, Some(refused), is_code).await,
    }
}

async fn page(
    door: &Door<'_>,
    session: &Session,
    refused: Option<Refused>,
    tried_code: bool,
) -> Result<Response<Bytes>, Failed> {
    let kinds = door.people.may_show(session).await.map_err(Failed::of_people)?;
    let page = Page {
        csrf: door.csrf(),
        to: door.to(),
        is_again: session.stage == Stage::Inside,
        login: session.person.login.clone(),
        has_totp: kinds.contains(&Kind::Totp),
        has_codes: kinds.contains(&Kind::RecoveryCode),
        may_trust: session.stage == Stage::SecondFactor
            && door.people.may_trust(session).await.map_err(Failed::of_people)?,
        trust_days: door.people.rules().trust_for.as_hours() / 24,
        tried_code,
        problem: refused.as_ref().map(|refused| said(refused, door.now)).transpose()?,
    };
    shown(&page, refused.as_ref())
}
