//! Where else somebody has a role, each with a button that goes there.

use std::collections::HashMap;

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_store::Where;

use super::shown;
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;

#[derive(Template)]
#[template(path = "places.html")]
struct View {
    frame: Frame,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    /// As the form says it.
    account: String,
    name: String,
    /// Its SID, where the name is another.
    sid: Option<String>,
    role: &'static str,
    is_here: bool,
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let accounts = call.engine.store().accounts().await?;
    let names: HashMap<_, _> = accounts.into_iter().map(|it| (it.sid, it.friendly_name)).collect();
    let rows = call.signed_in.person().grants.iter().map(|grant| {
        let (name, sid) = match grant.place {
            Where::Everywhere => ("All accounts".to_owned(), None),
            Where::Account(sid) => match names.get(&sid).filter(|name| !name.is_empty()) {
                Some(name) => (name.clone(), Some(sid.to_string())),
                None => (sid.to_string(), None),
            },
        };
        let is_here = grant.place == call.signed_in.place();
        Row { account: grant.place.text(), name, sid, role: grant.role.word(), is_here }
    });
    shown(&View { rows: rows.collect(), frame: Frame::new(&call, Section::None) })
}
