//! A forgotten password: a mail with a link, whether or not anybody has that address, and another password.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::people::Refused;
use ringfence_model::Secret;
use ringfence_store::Purpose;
use tokio::sync::Semaphore;

use super::{Door, said, shown};
use crate::failed::Failed;
use crate::words;

/// So many links are looked for at once, whoever asks: what a request leaves to be done goes on after its answer, so nothing else
/// bounds it.
static LOOKED_FOR: Semaphore = Semaphore::const_new(8);

#[derive(Template)]
#[template(path = "door/forgot.html")]
struct ForgotPage {
    login: String,
    is_sent: bool,
    may_reset: bool,
    problem: Option<&'static str>,
}

const OVER: &str = "This link is used already, or older than half an hour. Ask for another one.";

#[derive(Template)]
#[template(path = "door/reset.html")]
struct ResetPage {
    code: String,
    /// Whose link it is; nobody's where it is good for nothing.
    whose: Option<String>,
    problem: Option<String>,
}

pub(crate) fn ask_forgot(door: &Door<'_>) -> Result<Response<Bytes>, Failed> {
    let may_reset = door.console.mails;
    shown(&ForgotPage { login: String::new(), is_sent: false, may_reset, problem: None }, None)
}

pub(crate) fn forgot(door: &Door<'_>) -> Result<Response<Bytes>, Failed> {
    let login = door.form.get("login").to_owned();
    let may_reset = door.console.mails;
    if may_reset && login.is_empty() {
        let text = "Type your mail address.";
        let page = ForgotPage { login, is_sent: false, may_reset, problem: Some(text) };
        return shown(&page, Some(&Refused::Invalid(text)));
    }
    if may_reset {
        // One answer, whether there is such a person or not, and before anything was looked for: how long it takes says
        // nothing either.
        let (people, asked, known, visitor) =
            (door.people.clone(), login.clone(), door.known(), door.visitor());
        // Whoever comes on top gets the same answer, which says nothing either way.
        let Ok(place) = LOOKED_FOR.try_acquire() else {
            return shown(&ForgotPage { is_sent: true, login, may_reset, problem: None }, None);
        };
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = people.mail_reset(&asked, &known, &visitor).await {
                tracing::warn!(%error, "a link to set another password could not be mailed");
            }
        });
    }
    shown(&ForgotPage { is_sent: true, login, may_reset, problem: None }, None)
}

pub(crate) async fn ask_reset(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let code = door.query.get("code").to_owned();
    let found = door.people.whose_code(Purpose::ResetPassword, &Secret::new(&*code)).await;
    let whose = found.map_err(Failed::of_people)?.map(|person| person.login);
    if whose.is_none() {
        // Nobody shall think of a password first.
        let problem = Some(OVER.to_owned());
        return shown(&ResetPage { code, whose, problem }, None);
    }
    shown(&ResetPage { code, whose, problem: None }, None)
}

pub(crate) async fn reset(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let code = door.form.get("code").to_owned();
    match door.people.reset_password(&Secret::new(&*code), &Secret::new(door.form.raw("password"))).await {
        // Somebody else may be signed in here.
        Ok(()) => Ok(words::redirect("/sign-in?done=password&again=1")),
        Err(refused) => {
            let problem = Some(match &refused {
                Refused::WrongCode => OVER.to_owned(),
                refused => said(refused, door.now)?,
            });
            let found = door.people.whose_code(Purpose::ResetPassword, &Secret::new(&*code)).await;
            let whose = found.map_err(Failed::of_people)?.map(|person| person.login);
            shown(&ResetPage { code, whose, problem }, Some(&refused))
        }
    }
}
