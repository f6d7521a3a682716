//! `GET /_sandbox/`: what there is, for programs and for people.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderMap;
use serde::Serialize;

use super::{ENDPOINTS, Endpoint, Json};
use crate::edge::{self, pages};

/// The number that the examples call.
const EXAMPLE_NUMBER: &str = "+14155550100";

#[derive(Debug, Serialize, Template)]
#[template(path = "index.html")]
pub(super) struct Shown {
    address: String,
    accounts: Vec<Account>,
    numbers: Vec<Owned>,
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
struct Owned {
    #[serde(rename = "phone_number")]
    number: String,
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

impl Shown {
    /// How it is called from a shell, with a number that there is.
    fn command(&self, endpoint: &Endpoint) -> String {
        let method =
            if endpoint.method == "POST" { String::new() } else { format!("-X {} ", endpoint.method) };
        let number = self.numbers.first().map_or(EXAMPLE_NUMBER, |owned| owned.number.as_str());
        let path = endpoint.path.replace("{number}", "+12025550143").replace("{sid}", "SID");
        let example = endpoint.example.replace(EXAMPLE_NUMBER, number);
        format!("curl {method}{}{path} -d '{example}'", self.address)
    }
}

impl Endpoint {
    /// What it does, taken apart at back-quotes: each part, and whether it is code.
    fn does_in_parts(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.does.split('`').enumerate().map(|(at, part)| (part, at % 2 == 1))
    }
}

/// Oldest first: the main account and its numbers are what everybody looks for.
fn shown(state: &edge::State) -> Shown {
    let mut shown = state.engine.with(|world| Shown {
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
            .rev()
            .map(|number| Owned {
                number: number.phone_number.to_string(),
                account: number.account.to_string(),
                sms_url: number.hooks.sms.as_ref().map(|target| target.url.clone()),
                voice_url: number.hooks.voice.as_ref().map(|target| target.url.clone()),
            })
            .collect(),
        endpoints: ENDPOINTS,
    });
    shown.accounts.reverse();
    shown
}
