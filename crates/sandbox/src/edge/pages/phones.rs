//! `GET /_sandbox/phones`: the phones side by side, and what was said to the application meanwhile.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use jiff::Timestamp;
use ringfence_model::PhoneNumber;
use serde::{Deserialize, Serialize};

use super::view::{self, Phone};
use super::{html, wants_html};
use crate::edge;
use crate::edge::control::body::{Json, Query};
use crate::edge::control::phone_number;
use crate::edge::deliveries;
use crate::edge::problem::Problem;
use crate::world::World;
use crate::world::webhooks::Delivery;

/// What fits on a page that a person looks at.
const DELIVERIES: usize = 40;
/// How far back the webhooks of one phone are looked for.
const LOOKED_AT: usize = 2_000;
/// More numbers than this are typed and not chosen.
const CHOICES: usize = 40;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only this phone.
    number: Option<String>,
}

impl Wanted {
    fn phone(&self) -> Result<Option<PhoneNumber>, Problem> {
        self.number.as_deref().map(|number| phone_number("number", number)).transpose()
    }

    /// The page that was looked at, as a form without a script comes back to it.
    pub(super) fn place(&self, phone: Option<PhoneNumber>) -> String {
        match (self.phone(), phone) {
            (Ok(Some(alone)), _) => format!("/_sandbox/phones?number={}", alone.digits()),
            (_, Some(phone)) => format!("/_sandbox/phones#phone-{}", phone.digits()),
            _ => "/_sandbox/phones".to_owned(),
        }
    }
}

/// What a form said that could not be carried out: it stands there again.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// Which form: `text`, `words` or `add`.
    pub(super) action: &'static str,
    /// The phone, or the call.
    pub(super) on: String,
    pub(super) to: String,
    pub(super) text: String,
}

#[derive(Debug, Serialize, Template)]
#[template(path = "phones.html")]
pub(super) struct PhonesPage {
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
    #[serde(skip)]
    guide: Guide,
    #[serde(skip)]
    typed: Typed,
    /// What was wrong with it, and what to do.
    #[serde(skip)]
    problem: Option<(String, Option<String>)>,
}

/// What a newcomer needs for the first steps.
#[derive(Debug)]
struct Guide {
    address: String,
    account: String,
    auth_token: String,
    /// Of the first number of the account.
    number: String,
    number_sid: String,
}

pub(super) async fn show(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let page = page(&state, wanted.phone()?);
    Ok(if wants_html(&headers) { html(&page) } else { Json(page).into_response() })
}

/// The page from which a form came that could not be carried out.
pub(super) fn page_again(
    state: &edge::State,
    wanted: &Wanted,
    typed: Typed,
    problem: &Problem,
) -> Result<PhonesPage, Problem> {
    let problem = Some((problem.error().to_owned(), problem.hint_text().map(str::to_owned)));
    Ok(PhonesPage { typed, problem, ..page(state, wanted.phone()?) })
}

fn page(state: &edge::State, only: Option<PhoneNumber>) -> PhonesPage {
    state.engine.with(|world| {
        let (phones, more) = match only {
            Some(number) => (vec![view::phone(world, number)], Vec::new()),
            None => view::phones(world),
        };
        let log = world.webhooks.log.newest_first();
        let deliveries = match only.map(|number| number.to_string()) {
            Some(number) => log.take(LOOKED_AT).filter(|it| is_about(it, &number)).take(DELIVERIES).collect(),
            None => log.take(DELIVERIES).collect::<Vec<_>>(),
        };
        PhonesPage {
            now: world.now,
            is_virtual: state.engine.is_virtual(),
            only_one: only.is_some(),
            phones,
            more_phones: more.iter().map(ToString::to_string).collect(),
            numbers: world
                .numbers
                .newest_first()
                .rev()
                .map(|number| number.phone_number.to_string())
                .collect(),
            deliveries: deliveries.into_iter().map(deliveries::show).collect(),
            deliveries_total: world.webhooks.log.len(),
            guide: guide(world, format!("http://{}", state.address)),
            typed: Typed::default(),
            problem: None,
        }
    })
}

fn guide(world: &World, address: String) -> Guide {
    let main = world.accounts.main();
    let number = world.numbers.newest_first().rfind(|number| number.account == main);
    Guide {
        address,
        account: main.to_string(),
        auth_token: world.accounts.find(main).map(|account| account.auth_token.clone()).unwrap_or_default(),
        number: number.map_or_else(|| "+15005550006".to_owned(), |number| number.phone_number.to_string()),
        number_sid: number.map(|number| number.sid.to_string()).unwrap_or_default(),
    }
}

/// Whether a phone is at one end of what a webhook tells.
fn is_about(delivery: &Delivery, number: &str) -> bool {
    delivery.params().any(|(name, value)| matches!(name, "From" | "To" | "PhoneNumber") && value == number)
}

impl PhonesPage {
    /// What the actions of forms end with, so that they come back here.
    fn place(&self) -> String {
        match self.phones.first().filter(|_| self.only_one) {
            Some(phone) => format!("?number={}", phone.digits),
            None => String::new(),
        }
    }

    fn are_many(&self) -> bool {
        self.numbers.len() > CHOICES
    }

    /// What was typed into a form and could not be carried out; empty: nothing.
    fn typed(&self, action: &str, on: &str) -> &str {
        if self.typed.action == action && self.typed.on == on { &self.typed.text } else { "" }
    }

    /// The number that a text goes to.
    fn to<'s>(&'s self, phone: &'s Phone) -> &'s str {
        let typed = Some(&self.typed).filter(|typed| typed.action == "text" && typed.on == phone.number);
        typed.map_or(phone.reply_to.as_str(), |typed| typed.to.as_str())
    }
}

/// The time of day, which is what people look for.
fn clock_time(at: &Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}
