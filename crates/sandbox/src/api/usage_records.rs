//! Usage records: <https://www.twilio.com/docs/usage/api/usage-record>.
//!
//! One row for each category in a span of days: since the account exists, each day, month or year of it, or a span
//! with a name of its own (`Today`). Days are those of GMT. Every category that accounts commonly use has its row,
//! also where nothing was used; the rarer ones only where something was.

use jiff::Span as Days;
use jiff::civil::Date;
use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Price};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010, params};
use crate::ids;
use crate::world::World;
use crate::world::usage::{self, categories};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{AccountSid}/Usage/Records.json", list),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Usage/Records/AllTime.json",
        list,
    ),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Usage/Records/Daily.json",
        list,
    ),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Usage/Records/Monthly.json",
        list,
    ),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Usage/Records/Yearly.json",
        list,
    ),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Usage/Records/Today.json",
        list,
    ),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Usage/Records/Yesterday.json",
        list,
    ),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Usage/Records/ThisMonth.json",
        list,
    ),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Usage/Records/LastMonth.json",
        list,
    ),
];

/// What an account's records lead to, by name and by path.
const SUBRESOURCES: [(&str, &str); 8] = [
    ("all_time", "AllTime"),
    ("daily", "Daily"),
    ("last_month", "LastMonth"),
    ("monthly", "Monthly"),
    ("this_month", "ThisMonth"),
    ("today", "Today"),
    ("yearly", "Yearly"),
    ("yesterday", "Yesterday"),
];

/// One row: a category in a span of days.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    category: &'a str,
    start: Date,
    end: Date,
}

/// Into what a span of days is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Not,
    Days,
    Months,
    Years,
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    usage::catch_up(world);
    let include_subaccounts = params::flag(&request.query, "IncludeSubaccounts")?.unwrap_or(true);
    let accounts = usage::whose(world, request.account, include_subaccounts);
    let (start, end, cut) = span(world, request, &accounts)?;
    let categories = categories_asked_for(world, request, &accounts)?;
    let rows = categories
        .into_iter()
        .flat_map(|category| spans(start, end, cut).map(move |(start, end)| Row { category, start, end }));
    list_2010(request, "usage_records", rows, Row::name, |row| wire_record(world, request, &accounts, row))
}

/// The span of days that the subresource and the parameters mean. A subresource with dates of its own (`Today`) keeps
/// them.
fn span(world: &World, request: &Request, accounts: &[Sid]) -> Result<(Date, Date, Cut), Refusal> {
    let today = usage::today(world);
    let start = date(request, "StartDate", today)?;
    let end = date(request, "EndDate", today)?.unwrap_or(today);
    let since = || {
        let created = world.accounts.find(request.account).map_or(today, |it| usage::day(it.created));
        usage::first_day(world, accounts).map_or(created, |day| day.min(created))
    };
    let asked_for = |cut| (start.unwrap_or_else(since), end, cut);
    let yesterday = today.yesterday().unwrap_or(today);
    let last_month = today.first_of_month().yesterday().unwrap_or(today);
    Ok(match subresource(request) {
        "Daily" => asked_for(Cut::Days),
        "Monthly" => asked_for(Cut::Months),
        "Yearly" => asked_for(Cut::Years),
        "Today" => (today, today, Cut::Not),
        "Yesterday" => (yesterday, yesterday, Cut::Not),
        "ThisMonth" => (today.first_of_month(), today, Cut::Not),
        "LastMonth" => (last_month.first_of_month(), last_month, Cut::Not),
        _ => asked_for(Cut::Not),
    })
}

/// `Daily` of `/Usage/Records/Daily.json`; `Records` where there is none.
fn subresource(request: &Request) -> &'static str {
    let name = request.operation.path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".json").unwrap_or(name)
}

/// A day as `2026-11-25`, or so many days from today as `-30days`.
fn date(request: &Request, name: &str, today: Date) -> Result<Option<Date>, Refusal> {
    let Some(text) = params::some(&request.query, name) else { return Ok(None) };
    let day = if text.starts_with(['+', '-']) { offset(text, today) } else { civil(text) };
    day.map(Some).ok_or_else(|| Refusal::invalid(name, text))
}

fn civil(text: &str) -> Option<Date> {
    let shape_fits = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse().ok().filter(|_| shape_fits)
}

fn offset(text: &str, today: Date) -> Option<Date> {
    let number = text.strip_suffix("days").or_else(|| text.strip_suffix("day"))?;
    let days: i64 = number.parse().ok()?;
    today.checked_add(Days::new().try_days(days).ok()?).ok()
}

/// The categories that get rows.
fn categories_asked_for<'a>(
    world: &'a World,
    request: &'a Request,
    accounts: &[Sid],
) -> Result<Vec<&'a str>, Refusal> {
    let used = usage::used_categories(world, accounts);
    if let Some(category) = params::some(&request.query, "Category") {
        let known = categories::find(category).is_some() || used.contains(category);
        return if known || world.settings.unknown_usage_categories {
            Ok(vec![category])
        } else {
            Err(Refusal::invalid("Category", category))
        };
    }
    let common: Vec<&str> = categories::all().iter().filter(|it| it.common).map(|it| it.name).collect();
    let others = used.into_iter().filter(|used| !common.contains(used)).collect::<Vec<_>>();
    Ok([common, others].concat())
}

/// A span of days in pieces, the latest first. Pieces at its ends may be shorter than the others.
fn spans(start: Date, end: Date, cut: Cut) -> impl Iterator<Item = (Date, Date)> {
    let piece = move |end: Date| {
        if end < start {
            return None;
        }
        let first = match cut {
            Cut::Not => start,
            Cut::Days => end,
            Cut::Months => end.first_of_month(),
            Cut::Years => end.first_of_year(),
        };
        Some((first.max(start), end))
    };
    std::iter::successors(piece(end), move |(first, _)| piece(first.yesterday().ok()?))
}

impl Row<'_> {
    /// Tells rows apart on their way from page to page; no SID of Twilio's.
    fn name(&self) -> Sid {
        let fold = |number: u64, byte| ids::mix(number ^ u64::from(byte));
        let category = self.category.bytes().fold(0, fold);
        let day = self.start.duration_since(Date::ZERO).as_secs().unsigned_abs();
        Sid::new(*b"UR", u128::from(category) << 64 | u128::from(day))
    }
}

fn wire_record(world: &World, request: &Request, accounts: &[Sid], row: &Row<'_>) -> wire::UsageRecord {
    let amounts = usage::between(world, accounts, row.category, row.start, row.end);
    let price = Price::micros(amounts.price_micros);
    let category = categories::find(row.category);
    let is_total = row.category == categories::TOTAL_PRICE;
    let records = format!("/2010-04-01/Accounts/{}/Usage/Records", request.account);
    let path = match subresource(request) {
        "Records" => records.clone(),
        name => format!("{records}/{name}"),
    };
    let (name, start, end) = (categories::encoded(row.category), row.start, row.end);
    wire::UsageRecord {
        account_sid: request.account.to_string(),
        api_version: Some("2010-04-01".to_owned()),
        as_of: Some(usage::as_of(world).strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()),
        category: row.category.to_owned(),
        count: (!is_total).then(|| amounts.count.to_string()),
        count_unit: Some(category.map_or("", |it| it.count_unit).to_owned()),
        description: Some(category.map_or(row.category, |it| it.description).to_owned()),
        start_date: Some(start.to_string()),
        end_date: Some(end.to_string()),
        price: Some(price),
        price_unit: Some("usd".to_owned()),
        usage: Some(if is_total { price.to_plain_string() } else { amounts.usage.to_string() }),
        usage_unit: Some(category.map_or("", |it| it.usage_unit).to_owned()),
        subresource_uris: SUBRESOURCES
            .iter()
            .map(|(key, path)| ((*key).to_owned(), format!("{records}/{path}.json?Category={name}")))
            .collect(),
        uri: format!("{path}.json?Category={name}&StartDate={start}&EndDate={end}"),
    }
}

#[cfg(test)]
mod tests;
