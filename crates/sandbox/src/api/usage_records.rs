//! Usage records: <https://www.twilio.com/docs/usage/api/usage-record>.
//!
//! One row for each category in a span of days: since the account exists, each day, month or year of it, or a span
//! with a name of its own (`Today`). Days are those of GMT. Every category that accounts commonly use has its row,
//! also where nothing was used; the rarer ones only where something was.

use jiff::Span as Days;
use jiff::civil::{Date, date};
use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Price};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010_from, page_token, params};
use crate::ids;
use crate::world::World;
use crate::world::usage::{self, Whose, categories};

pub(super) const OPERATIONS: &[Operation] = &[
    records("/2010-04-01/Accounts/{AccountSid}/Usage/Records.json"),
    records("/2010-04-01/Accounts/{AccountSid}/Usage/Records/AllTime.json"),
    records("/2010-04-01/Accounts/{AccountSid}/Usage/Records/Daily.json"),
    records("/2010-04-01/Accounts/{AccountSid}/Usage/Records/Monthly.json"),
    records("/2010-04-01/Accounts/{AccountSid}/Usage/Records/Yearly.json"),
    records("/2010-04-01/Accounts/{AccountSid}/Usage/Records/Today.json"),
    records("/2010-04-01/Accounts/{AccountSid}/Usage/Records/Yesterday.json"),
    records("/2010-04-01/Accounts/{AccountSid}/Usage/Records/ThisMonth.json"),
    records("/2010-04-01/Accounts/{AccountSid}/Usage/Records/LastMonth.json"),
];

const fn records(path: &'static str) -> Operation {
    Operation::new(Product::Api, Verb::Get, path, list)
}

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

/// The year in which Twilio began: nobody can have used anything before.
const BEGINNING: Date = date(2008, 1, 1);

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
    let whose = usage::whose(world, request.account, include_subaccounts);
    let (start, end, cut) = span(world, request, whose)?;
    let categories = categories_asked_for(world, request, whose)?;
    let (shown_already, first_end) =
        page_token(request).map_or((0, end), |token| go_on(token, &categories, end));
    let rows = categories.iter().enumerate().skip(shown_already).flat_map(|(place, category)| {
        let end = if place == shown_already { first_end } else { end };
        spans(start, end, cut).map(|(start, end)| Row { category, start, end })
    });
    list_2010_from(request, "usage_records", rows, Row::name, |row| wire_record(world, request, whose, row))
}

/// Where the rows after this one begin: how many categories have been shown to their end, and the last day of the
/// next one. There may be thousands of rows in front of it, so they are not looked at.
fn go_on(token: Sid, categories: &[&str], end: Date) -> (usize, Date) {
    let number = ids::number_of(token);
    let category = categories.iter().position(|category| u128::from(hash(category)) == number >> 64);
    let days =
        i64::try_from(number & u128::from(u64::MAX)).ok().and_then(|days| Days::new().try_days(days).ok());
    let before = days.and_then(|days| Date::ZERO.checked_add(days).ok()).and_then(|day| day.yesterday().ok());
    match (category, before) {
        (Some(place), Some(before)) => (place, before.min(end)),
        _ => (categories.len(), end),
    }
}

/// The span of days that the subresource and the parameters mean. A subresource with dates of its own (`Today`) keeps
/// them. Of days, months and years none is told that lies before [`BEGINNING`] or is yet to come, so that no request
/// means millions of rows.
fn span(world: &World, request: &Request, whose: Whose) -> Result<(Date, Date, Cut), Refusal> {
    let today = usage::today(world);
    let start = day_asked_for(request, "StartDate", today)?;
    let end = day_asked_for(request, "EndDate", today)?.unwrap_or(today);
    let created = world.accounts.find(request.account).map_or(today, |it| usage::day(it.created));
    let first = usage::first_day(world, whose).map_or(created, |day| day.min(created));
    let start = start.unwrap_or(first);
    let pieces = |cut| (start.max(first.min(BEGINNING)), end.min(today), cut);
    let yesterday = today.yesterday().unwrap_or(today);
    let last_month = today.first_of_month().yesterday().unwrap_or(today);
    Ok(match subresource(request) {
        "Daily" => pieces(Cut::Days),
        "Monthly" => pieces(Cut::Months),
        "Yearly" => pieces(Cut::Years),
        "Today" => (today, today, Cut::Not),
        "Yesterday" => (yesterday, yesterday, Cut::Not),
        "ThisMonth" => (today.first_of_month(), today, Cut::Not),
        "LastMonth" => (last_month.first_of_month(), last_month, Cut::Not),
        _ => (start, end, Cut::Not),
    })
}

/// `Daily` of `/Usage/Records/Daily.json`; `Records` where there is none.
fn subresource(request: &Request) -> &'static str {
    let name = request.operation.path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".json").unwrap_or(name)
}

/// A day as `2026-11-25`, or so many days from today as `-30days`.
fn day_asked_for(request: &Request, name: &str, today: Date) -> Result<Option<Date>, Refusal> {
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
    whose: Whose,
) -> Result<Vec<&'a str>, Refusal> {
    let used = usage::used_categories(world, whose);
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
    /// Tells rows apart on their way from page to page: the category and the day, from which [`go_on`] finds the next. No
    /// SID of Twilio's.
    fn name(&self) -> Sid {
        let days = self.start.duration_since(Date::ZERO).as_hours().unsigned_abs() / 24;
        Sid::new(*b"UR", u128::from(hash(self.category)) << 64 | u128::from(days))
    }
}

fn hash(category: &str) -> u64 {
    category.bytes().fold(0, |number, byte| ids::mix(number ^ u64::from(byte)))
}

fn wire_record(world: &World, request: &Request, whose: Whose, row: &Row<'_>) -> wire::UsageRecord {
    let amounts = usage::between(world, whose, row.category, row.start, row.end);
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
