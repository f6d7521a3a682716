//! The link in a notice: it opens a page, and only its button locks, since programs that read mail follow links.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::people::Refused;
use ringfence_model::Secret;
use ringfence_store::Purpose;

use super::{Door, said, shown};
use crate::failed::Failed;
use crate::words;

#[derive(Template)]
#[template(path = "door/lock.html")]
struct Page {
    code: String,
    /// Whose link it is; nobody's where it is good for nothing.
    whose: Option<String>,
    problem: Option<String>,
}

const OVER: &str = "This link is used already, or too old. If the sign-in was not yours, ask an owner to lock you out: \
                    ringfence user lock.";

pub(crate) async fn ask_lock(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let code = door.query.get("code").to_owned();
    let found = door.people.whose_code(Purpose::Lock, &Secret::new(&*code)).await;
    let whose = found.map_err(Failed::of_people)?.map(|person| person.login);
    let problem = whose.is_none().then(|| OVER.to_owned());
    shown(&Page { code, whose, problem }, None)
}

pub(crate) async fn lock(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let code = door.form.get("code").to_owned();
    match door.people.lock_by_code(&Secret::new(&*code)).await {
        Ok(_) => Ok(words::redirect("/sign-in?done=locked&again=1")),
        Err(refused) => {
            let problem = Some(match &refused {
                Refused::WrongCode => OVER.to_owned(),
                refused => said(refused, door.now)?,
            });
            let found = door.people.whose_code(Purpose::Lock, &Secret::new(&*code)).await;
            let whose = found.map_err(Failed::of_people)?.map(|person| person.login);
            shown(&Page { code, whose, problem }, Some(&refused))
        }
    }
}
