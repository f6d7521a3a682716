//! `GET /_sandbox/phones`: the phones side by side, and what was said to the application meanwhile.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::view::{self, Phone};
use super::{html, wants_html};
use crate::edge;
use crate::edge::control::body::{Json, Query};
use crate::edge::control::phone_number;
use crate::edge::deliveries;
use crate::edge::problem::Problem;
use crate::world::World;

/// What fits on a page that a person looks at.
const DELIVERIES: usize = 40;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only this phone.
    number: Option<String>,
}

#[derive(Debug, Serialize, Template)]
#[template(path = "phones.html")]
struct PhonesPage {
    now: Timestamp,
    is_virtual: bool,
    /// Whether only one phone was asked for.
    only_one: bool,
    phones: Vec<Phone>,
    /// Phones that have been in use and do not fit on the page.
    more_phones: Vec<String>,
    /// What can be texted and called.
    numbers: Vec<String>,
    #[serde(skip)]
    deliveries: Vec<deliveries::Shown>,
    #[serde(skip)]
    deliveries_total: usize,
}

pub(super) async fn show(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let only = wanted.number.as_deref().map(|number| phone_number("number", number)).transpose()?;
    let page = state.engine.with(|world| page(world, state.engine.is_virtual(), only));
    Ok(if wants_html(&headers) { html(&page) } else { Json(page).into_response() })
}

fn page(world: &World, is_virtual: bool, only: Option<ringfence_model::PhoneNumber>) -> PhonesPage {
    let (phones, more) = match only {
        Some(number) => (vec![view::phone(world, number)], Vec::new()),
        None => view::phones(world),
    };
    PhonesPage {
        now: world.now,
        is_virtual,
        only_one: only.is_some(),
        phones,
        more_phones: more.iter().map(ToString::to_string).collect(),
        numbers: world.numbers.newest_first().rev().map(|number| number.phone_number.to_string()).collect(),
        deliveries: world.webhooks.log.newest_first().take(DELIVERIES).map(deliveries::show).collect(),
        deliveries_total: world.webhooks.log.len(),
    }
}

/// The time of day, which is what people look for.
fn clock_time(at: &Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}
