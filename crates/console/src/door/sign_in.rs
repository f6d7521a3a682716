//! The first page: a mail address and a password.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::people::{Credentials, Refused};
use ringfence_model::Secret;
use ringfence_store::Stage;

use super::{Door, said, shown_until, with_to};
use crate::failed::Failed;
use crate::words;

#[derive(Template)]
#[template(path = "door/sign_in.html")]
struct Page {
    login: String,
    to: String,
    /// The protected host that they sign in for.
    host: Option<String>,
    problem: Option<String>,
    /// What was just done: another password was set, say.
    done: Option<&'static str>,
    forgot: String,
    /// Whether nobody is there yet.
    is_new: bool,
    may_reset: bool,
}

pub(crate) async fn ask_sign_in(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    // Whoever is inside already goes to where they were going; whoever is halfway goes on.
    let stage = door.session.as_ref().map(|(_, session)| session.stage);
    match stage.filter(|_| door.query.filled("again").is_none()) {
        Some(Stage::Inside) => return Ok(words::redirect(&door.to())),
        Some(Stage::SecondFactor) => {
            return Ok(words::redirect(&with_to("/second-factor", &door.to())));
        }
        Some(Stage::Binding) => return Ok(words::redirect(&with_to("/bind/factors", &door.to()))),
        None => {}
    }
    page(&door, String::new(), None).await
}

pub(crate) async fn sign_in(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let login = door.form.get("login").to_owned();
    let typed = Credentials { login: login.clone(), password: Secret::new(door.form.raw("password")) };
    match door.people.sign_in(&typed, &door.known(), &door.visitor()).await {
        Ok(step) => Ok(door.go(&step, &door.to())),
        Err(refused) => page(&door, login, Some(refused)).await,
    }
}

async fn page(door: &Door<'_>, login: String, refused: Option<Refused>) -> Result<Response<Bytes>, Failed> {
    let problem = refused.as_ref().map(|refused| said(refused, door.now)).transpose()?;
    let done = match door.query.get("done") {
        "password" => {
            Some("Your password is changed, and every session has ended. Sign in with the new one.")
        }
        "guessed" => Some(
            "That was wrong too often, so the session has ended. You were mailed about it. Sign in again.",
        ),
        "over" => Some(
            "That took too long, and the sign-in is over: sign in again. Whoever was binding a first factor needs another code of \
             an owner’s; an owner who is alone makes it on the machine, with ringfence user reset-second-factor.",
        ),
        "locked" => Some("It is locked. Nobody signs in as you until an owner lets you in again."),
        _ => None,
    };
    let page = Page {
        forgot: with_to("/forgot", &door.to()),
        to: door.to(),
        host: door.bound_for_name(),
        login,
        problem,
        done,
        is_new: !door.people.store().has_persons().await?,
        may_reset: door.console.mails,
    };
    Ok(door.leading_on(shown_until(&page, refused.as_ref(), door.now)?))
}
