//! The link in a notice: it opens a page, and only its button locks, since programs that read mail follow links.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::people::Refused;
use ringfence_model::Secret;

use super::{Door, said, shown};
use crate::failed::Failed;
use crate::words;

#[derive(Template)]
#[template(path = "door/lock.html")]
struct Page {
    code: String,
    problem: Option<String>,
}

pub(crate) fn ask_lock(door: &Door<'_>) -> Result<Response<Bytes>, Failed> {
    shown(&Page { code: door.query.get("code").to_owned(), problem: None }, None)
}

pub(crate) async fn lock(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let code = door.form.get("code").to_owned();
    match door.people.lock_by_code(&Secret::new(&*code)).await {
        Ok(_) => Ok(words::redirect("/sign-in?done=locked&again=1")),
        Err(refused) => {
            let problem = Some(match &refused {
                Refused::WrongCode => {
                    "This link is used already, or too old. If the sign-in was not yours, ask an owner to lock you out: \
                     ringfence user lock."
                        .into()
                }
                refused => said(refused, door.now)?,
            });
            shown(&Page { code, problem }, Some(&refused))
        }
    }
}
