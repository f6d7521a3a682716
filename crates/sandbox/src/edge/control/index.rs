//! `GET /_sandbox/`: what there is, for programs and for people.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderMap;
use serde::Serialize;

use super::{ENDPOINTS, Endpoint, Json};
use crate::edge::{self, pages};

#[derive(Debug, Serialize, Template)]
#[template(path = "index.html")]
pub(super) struct Shown {
    address: String,
    accounts: Vec<Account>,
    numbers: Vec<Number>,
    endpoints: &'static [Endpoint],
}

#[derive(Debug, Serialize)]
struct Account {
    sid: String,
    owner: String,
    friendly_name: String,
    status: String,
    auth_token: String,
}

#[derive(Debug, Serialize)]
struct Number {
    phone_number: String,
    account: String,
    sms_url: Option<String>,
    voice_url: Option<String>,
}

pub(super) async fn redirect() -> Redirect {
    Redirect::permanent("/_sandbox/")
}

pub(super) async fn show(State(state): State<Arc<edge::State>>, headers: HeaderMap) -> Response {
    let shown = shown(&state);
    if pages::wants_html(&headers) { pages::html(&shown) } else { Json(shown).into_response() }
}

fn shown(state: &edge::State) -> Shown {
    state.engine.with(|world| Shown {
        address: format!("http://{}", state.address),
        accounts: world
            .accounts
            .newest_first()
            .map(|account| Account {
                sid: account.sid.to_string(),
                owner: account.owner.to_string(),
                friendly_name: account.friendly_name.clone(),
                status: account.status.as_str().to_owned(),
                auth_token: account.auth_token.clone(),
            })
            .collect(),
        numbers: world
            .numbers
            .newest_first()
            .map(|number| Number {
                phone_number: number.phone_number.to_string(),
                account: number.account.to_string(),
                sms_url: number.hooks.sms.as_ref().map(|target| target.url.clone()),
                voice_url: number.hooks.voice.as_ref().map(|target| target.url.clone()),
            })
            .collect(),
        endpoints: ENDPOINTS,
    })
}
