//! The second factor: after the password, or again before what is dangerous.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::people::{Answer, Refused};
use ringfence_model::Secret;
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::policy::Kind;
use ringfence_store::{Session, Stage, Where};

use super::passkey::{Site, shown_passkey};
use super::{Door, said, shown_until, with_to};
use crate::failed::Failed;
use crate::form::Fields;
use crate::words;

#[derive(Template)]
#[template(path = "door/second_factor.html")]
struct Page {
    csrf: String,
    to: String,
    /// The protected host that they sign in for.
    host: Option<String>,
    /// Whether they are inside already, and asked again.
    is_again: bool,
    /// Whether it is asked for the sake of another account that they go to.
    is_going: bool,
    login: String,
    /// The account that asks, where it is one and not the installation as a whole.
    place: Option<String>,
    has_totp: bool,
    has_codes: bool,
    has_passkey: bool,
    site: Site,
    /// The phone that a code can be sent to, but for its middle.
    phone: Option<String>,
    may_call: bool,
    /// A code was just sent.
    is_sent: bool,
    tried_phone: bool,
    may_trust: bool,
    trust_days: i64,
    /// Whether a saved code was tried last, or a passkey.
    tried_code: bool,
    tried_passkey: bool,
    tried_account: bool,
    problem: Option<String>,
    /// What else they may sign in to instead, as the form says it, and its name.
    places: Vec<(String, String)>,
    /// Where somebody else signs in, to go to the same place.
    other: String,
}

pub(crate) async fn ask_second_factor(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    match &door.session {
        Some((_, session)) if session.stage != Stage::Binding => {
            page(&door, session, None, Tried::Totp).await
        }
        _ => Ok(words::redirect(&with_to("/sign-in", &door.to()))),
    }
}

pub(crate) async fn second_factor(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let Some((token, session)) = &door.session else {
        return Ok(words::redirect(&with_to("/sign-in", &door.to())));
    };
    if let Err(stale) = door.check_csrf() {
        // Another tab was quicker, and the session has another token since. The way to a host asks by itself for what it lacks.
        let is_on_the_way = session.stage == Stage::Inside && door.bound_for().is_some();
        return if is_on_the_way { Ok(words::redirect(&door.to())) } else { Err(stale) };
    }
    let typed = |name: &str| Secret::new(door.form.get(name));
    let (answer, tried) = if door.form.has("recovery") {
        (Answer::RecoveryCode(typed("recovery")), Tried::RecoveryCode)
    } else if door.form.has("phone-code") {
        (Answer::PhoneCode(typed("phone-code")), Tried::PhoneCode)
    } else if door.form.has("credential") {
        (Answer::Passkey(shown_passkey(&door.form)), Tried::Passkey)
    } else {
        (Answer::Totp(typed("code")), Tried::Totp)
    };
    let trust = door.form.filled("trust").is_some();
    let place = door.bound_for_place(session.place);
    match door.people.show_for(token, session, place, &answer, trust, &door.visitor()).await {
        Ok(step) => door.arrive(step).await,
        // Another tab was quicker.
        Err(Refused::Over) => Ok(words::redirect(&with_to("/sign-in", &door.to()))),
        Err(Refused::Guessed) => Ok(words::redirect("/sign-in?done=guessed")),
        Err(refused) => page(&door, session, Some(refused), tried).await,
    }
}

pub(crate) async fn send_code(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let Some((_, session)) = &door.session else {
        return Ok(words::redirect(&with_to("/sign-in", &door.to())));
    };
    door.check_csrf()?;
    let sent = match door.engine.second_factor() {
        Some(codes) => {
            let channel = channel(&door.form);
            door.people.send_code(codes, session, channel, &door.visitor()).await
        }
        None => Err(Refused::Invalid("this installation sends no codes any more")),
    };
    page(&door, session, sent.err(), Tried::PhoneCode).await
}

/// How a form wants a code sent.
pub(super) fn channel(form: &Fields) -> Channel {
    if form.get("channel") == "call" { Channel::Call } else { Channel::Sms }
}

/// What was tried last, beside which is told what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    Totp,
    PhoneCode,
    RecoveryCode,
    Passkey,
    /// To sign in to another account.
    Account,
}

/// So many other accounts are offered.
const PLACES: usize = 50;

/// The page with what keeps them from another account.
pub(super) async fn refused(
    door: &Door<'_>,
    session: &Session,
    refused: Refused,
) -> Result<Response<Bytes>, Failed> {
    page(door, session, Some(refused), Tried::Account).await
}

/// Where else somebody may sign in, who has only typed the password.
async fn places(door: &Door<'_>, session: &Session) -> Result<Vec<(String, String)>, Failed> {
    let mut places = Vec::new();
    if session.stage == Stage::SecondFactor && door.bound_for().is_none() {
        let others = session.person.grants.iter().map(|grant| grant.place);
        for place in others.filter(|place| *place != session.place).take(PLACES) {
            places.push((place.text(), name(door, place).await?));
        }
    }
    Ok(places)
}

/// What an account is called.
async fn name(door: &Door<'_>, place: Where) -> Result<String, Failed> {
    let Where::Account(sid) = place else { return Ok("All accounts".to_owned()) };
    let found = door.engine.store().find_account(sid).await?;
    let name = found.map(|account| account.friendly_name).filter(|name| !name.is_empty());
    Ok(name.unwrap_or_else(|| sid.to_string()))
}

async fn page(
    door: &Door<'_>,
    session: &Session,
    refused: Option<Refused>,
    tried: Tried,
) -> Result<Response<Bytes>, Failed> {
    let place = door.bound_for_place(session.place);
    let kinds = door.people.may_show_for(session, place).await.map_err(Failed::of_people)?;
    let page = Page {
        csrf: door.csrf(),
        to: door.to(),
        host: door.bound_for_name(),
        is_again: session.stage == Stage::Inside,
        is_going: door.going_to().is_some(),
        login: session.person.login.clone(),
        place: match door.going_to().unwrap_or(session.place) {
            Where::Everywhere => None,
            place @ Where::Account(_) => Some(name(door, place).await?),
        },
        places: places(door, session).await?,
        tried_account: tried == Tried::Account,
        has_totp: kinds.contains(&Kind::Totp),
        has_codes: kinds.contains(&Kind::RecoveryCode),
        has_passkey: kinds.contains(&Kind::Passkey),
        site: door.site(),
        phone: if kinds.contains(&Kind::Phone) {
            let number = door.people.own_phone(session).await.map_err(Failed::of_people)?;
            number.map(|number| format!("{number:?}"))
        } else {
            None
        },
        may_call: door
            .engine
            .second_factor()
            .is_some_and(|codes| codes.settings().has_channel(Channel::Call)),
        is_sent: tried == Tried::PhoneCode && refused.is_none(),
        tried_phone: tried == Tried::PhoneCode,
        may_trust: (session.stage == Stage::SecondFactor
            || door.entering().is_some()
            || door.going_to().is_some())
            && door.people.may_trust_for(session, place).await.map_err(Failed::of_people)?,
        trust_days: door.people.rules().trust_for.as_hours() / 24,
        tried_code: tried == Tried::RecoveryCode,
        tried_passkey: tried == Tried::Passkey,
        problem: refused.as_ref().map(|refused| said(refused, door.now)).transpose()?,
        other: format!("/sign-in?again=1&to={}", words::query_value(&door.to())),
    };
    Ok(door.leading_on(shown_until(&page, refused.as_ref(), door.now)?))
}
