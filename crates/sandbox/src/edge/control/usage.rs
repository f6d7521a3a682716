//! `/_sandbox/usage`: what accounts have used, and usage that a test books without sending anything.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use ringfence_twilio::wire::Price;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Json, Problem, account};
use crate::api::shortened;
use crate::edge;
use crate::world::World;
use crate::world::usage::{self, categories};

/// What is booked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Booking {
    /// Whose; absent: the main account's.
    #[serde(default)]
    account: Option<String>,
    category: String,
    /// Messages, calls, lookups.
    #[serde(default)]
    count: u64,
    /// Segments, minutes; absent: as many as `count`.
    #[serde(default)]
    usage: Option<u64>,
    /// Dollars, as a number or as text: `"12.50"`.
    #[serde(default)]
    price: Value,
    /// When; absent: now.
    #[serde(default)]
    at: Option<String>,
}

/// What is known so far.
#[derive(Debug, Serialize)]
pub(in crate::edge) struct Shown {
    /// Usage records and triggers see what was used until then.
    as_of: Timestamp,
    accounts: Vec<AccountUse>,
}

#[derive(Debug, Serialize)]
struct AccountUse {
    account: String,
    /// Without any lag.
    spent: String,
    seen: Vec<CategoryUse>,
}

#[derive(Debug, Serialize)]
struct CategoryUse {
    category: String,
    count: u64,
    usage: u64,
    price: String,
}

pub(super) async fn show(State(state): State<Arc<edge::State>>) -> Json<Shown> {
    Json(state.engine.with(|world| {
        usage::catch_up(world);
        shown(world)
    }))
}

/// Books it, also into the wider categories and into `totalprice`. Records and triggers see it after the lag.
pub(super) async fn book(
    State(state): State<Arc<edge::State>>,
    Json(booking): Json<Booking>,
) -> Result<Json<Shown>, Problem> {
    let price_micros = price_micros(&booking.price)?;
    let Booking { category, count, usage: measured, at, .. } = booking;
    let measured = measured.unwrap_or(count);
    let at = at.as_deref().map(time).transpose()?;
    if count == 0 && measured == 0 && price_micros == 0 {
        return Err(
            Problem::bad_request("nothing is to be booked").hint("it needs `count`, `usage` or `price`")
        );
    }
    state.engine.with(|world| {
        let account = account(world, booking.account.as_deref())?;
        if categories::find(&category).is_none() && !world.settings.unknown_usage_categories {
            return Err(Problem::bad_request(format!("`category` is {:?}", shortened(&category)))
                .hint("one of Twilio's, like sms-outbound, calls-outbound or totalprice; others after a PATCH of `unknown_usage_categories`"));
        }
        usage::book_by_hand(world, account, &category, count, measured, price_micros, at);
        usage::catch_up(world);
        Ok(Json(shown(world)))
    })
}

/// What accounts have used, by account and category, as far as it is seen.
pub(in crate::edge) fn shown(world: &World) -> Shown {
    let mut accounts: Vec<AccountUse> =
        world.accounts.newest_first().map(|account| of_account(world, account.sid)).collect();
    accounts.reverse();
    Shown { as_of: usage::as_of(world), accounts }
}

fn of_account(world: &World, account: ringfence_model::Sid) -> AccountUse {
    let whose = usage::Whose::Account(account);
    let category = |name: &str| {
        let ever = usage::ever(world, whose, name);
        CategoryUse {
            category: name.to_owned(),
            count: ever.count,
            usage: ever.usage,
            price: Price::micros(ever.price_micros).to_plain_string(),
        }
    };
    AccountUse {
        account: account.to_string(),
        spent: Price::micros(usage::spent_micros(world, account)).to_plain_string(),
        seen: usage::used_categories(world, whose).into_iter().map(category).collect(),
    }
}

fn time(text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        Problem::bad_request(format!("`at` is {:?}, which is no time", shortened(text)))
            .hint("like 2026-12-01T00:00:00Z")
    })
}

/// Both `12.5` and `"12.50"` are dollars; less than nothing is a refund.
fn price_micros(price: &Value) -> Result<i64, Problem> {
    let text = match price {
        Value::Null => return Ok(0),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.parse::<Price>().map(|price| price.micros).map_err(|_| {
        Problem::bad_request(format!("`price` is {:?}", shortened(&text))).hint("dollars, like \"12.50\"")
    })
}
