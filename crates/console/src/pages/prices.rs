//! What the price book knows: how old it is, what a message or a call somewhere costs at worst, and what holds where
//! nobody knows a price.

use std::collections::BTreeMap;

use askama::Template;
use bytes::Bytes;
use http::Response;
use jiff::Timestamp;
use ringfence_breaker::charge::{Call as PricedCall, Message, Recipient, Sender};
use ringfence_breaker::price_book::{
    Learnt, NetworkPrices, NumberTypePrice, PrefixPrice, PriceBook, Prices, Rules, Unknown, sharing,
};
use ringfence_model::{Amount, Country, PhoneNumber, Sid};
use ringfence_store::StoredPrices;

use super::{account_named, shown};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// So many rows of a list are shown, the dearest.
const SHOWN: usize = 40;
/// What accounts are billed in where their prices were not read, as the egress assumes it.
const CURRENCY: &str = "USD";

#[derive(Template)]
#[template(path = "price_books.html")]
struct Books {
    frame: Frame,
    rows: Vec<(String, String, u64)>,
    unknown: String,
}

/// Whose prices there are.
pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    if let Some(only) = call.signed_in.only_account() {
        return Ok(words::redirect(&format!("/accounts/{only}/prices")));
    }
    let store = call.engine.store();
    let accounts = store.accounts().await?;
    let name = |sid: Sid| {
        let found = accounts.iter().find(|account| account.sid == sid);
        found.map(|account| account.friendly_name.clone()).unwrap_or_default()
    };
    let versions = store.price_versions().await?.into_iter();
    let rows = versions.map(|(sid, version)| (sid.to_string(), name(sid), version)).collect();
    shown(&Books { frame: Frame::new(&call, Section::Ledger), rows, unknown: unknown(&rules(&call)) })
}

#[derive(Template)]
#[template(path = "prices.html")]
struct View {
    frame: Frame,
    sid: String,
    name: String,
    /// Whose prices these are, where they are its parent's.
    of_parent: bool,
    /// The currency and the version; none where nothing was read.
    book: Option<(String, u64)>,
    /// Since when all of it is known to be right; none where something could not be read.
    complete_since: Option<String>,
    products: Vec<Product>,
    unknown: String,
    assumed: Vec<(&'static str, String)>,
    q: String,
    found: Option<Found>,
}

/// How old the prices of one product are.
#[derive(Debug)]
struct Product {
    name: &'static str,
    countries: usize,
    oldest: String,
    newest: String,
    /// Countries in which Twilio tells something without a price.
    gaps: usize,
}

/// What was looked for.
#[derive(Debug)]
enum Found {
    /// It is neither a country nor a number.
    Unclear,
    /// A number, or the beginning of one.
    Number(OfNumber),
    /// A country.
    Country(OfCountry),
}

#[derive(Debug)]
struct OfNumber {
    number: String,
    country: String,
    /// What is asked for, and its worst price or why there is none.
    prices: Vec<(&'static str, Result<String, String>)>,
    /// The parts of a text.
    parts: Vec<(String, String)>,
    calls: Rows,
}

#[derive(Debug)]
struct OfCountry {
    country: String,
    /// Countries whose numbers cannot be told from its own.
    shared: String,
    segment: Option<String>,
    minute: Option<String>,
    networks: Rows,
    calls: Rows,
    numbers: Rows,
}

/// Rows of a list, the dearest first.
#[derive(Debug, Default)]
struct Rows {
    at: Option<String>,
    shown: Vec<(String, String)>,
    left_out: usize,
}

fn rules(call: &Call<'_>) -> Rules {
    call.console.egress.as_ref().map(|egress| egress.prices.clone()).unwrap_or_default()
}

fn unknown(rules: &Rules) -> String {
    match rules.unknown {
        Unknown::Refuse => "is refused (84022)".to_owned(),
        Unknown::Costs(price) => format!("takes {price} for each segment, minute, lookup or month"),
    }
}

/// The prices that hold for an account: its own, or its parent's.
pub(crate) async fn of_account(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let sid = account_named(&call, call.piece)?;
    let account = call.engine.views().account(sid).await?;
    let store = call.engine.store();
    let own = store.prices(sid).await?;
    let of_parent = own.is_none();
    let stored = match (own, account.parent) {
        (None, Some(parent)) => store.prices(parent).await?,
        (own, _) => own,
    };
    let rules = rules(&call);
    let q = call.query.get("q").to_owned();
    let prices = stored.as_ref().map_or_else(|| Prices::new(CURRENCY), |stored| stored.prices.clone());
    let book = PriceBook::new(prices, rules.clone());
    let book = book.map_err(|error| Failed::NotNow(format!("these prices cannot be used: {error}")))?;
    let view = View {
        frame: Frame::new(&call, Section::Ledger),
        sid: sid.to_string(),
        name: account.friendly_name,
        of_parent: of_parent && stored.is_some(),
        complete_since: stored.as_ref().and_then(|stored| complete_since(stored, call.now)),
        book: stored.map(|stored| (stored.prices.currency, stored.prices.version)),
        products: products(book.prices(), call.now),
        unknown: unknown(&rules),
        assumed: assumed(&rules),
        found: (!q.is_empty()).then(|| Found::of(&book, &q, call.now)),
        q,
    };
    shown(&view)
}

/// None where a price could not be read, which the store keeps as the beginning of time.
fn complete_since(stored: &StoredPrices, now: Timestamp) -> Option<String> {
    (stored.fetched_at > Timestamp::UNIX_EPOCH).then(|| words::ago(&stored.fetched_at, &now))
}

fn products(prices: &Prices, now: Timestamp) -> Vec<Product> {
    fn product<T>(
        name: &'static str,
        of: &BTreeMap<String, Learnt<Vec<T>>>,
        is_gap: impl Fn(&T) -> bool,
        now: Timestamp,
    ) -> Product {
        let ages = || of.values().map(|learnt| learnt.at);
        let told = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| words::ago(&at, &now));
        Product {
            name,
            countries: of.len(),
            oldest: told(ages().min()),
            newest: told(ages().max()),
            gaps: of.values().filter(|learnt| learnt.is.iter().any(&is_gap)).count(),
        }
    }
    let has_no_price = |row: &NumberTypePrice| row.price.is_none();
    vec![
        product(
            "Messages, a segment",
            &prices.messages,
            |row: &NetworkPrices| row.prices.iter().all(has_no_price),
            now,
        ),
        product("Calls, a minute", &prices.calls, |row: &PrefixPrice| row.price.is_none(), now),
        product("Numbers, a month", &prices.numbers, has_no_price, now),
    ]
}

fn assumed(rules: &Rules) -> Vec<(&'static str, String)> {
    let assumed = &rules.assumed;
    let minutes = |seconds: u32| words::minutes(i64::from(seconds.div_ceil(60)));
    vec![
        (
            "A call without TimeLimit",
            format!("{}, which are sent as its limit", minutes(assumed.call_seconds)),
        ),
        ("The longest call", minutes(assumed.call_seconds_at_most)),
        (
            "A template (ContentSid)",
            format!("{} segments, or a message with media", assumed.unknown_body_segments),
        ),
        (
            "A code of Verify",
            format!(
                "{} segments, or a call of {}",
                assumed.verification_segments,
                minutes(assumed.verification_call_seconds)
            ),
        ),
    ]
}

impl Found {
    fn of(book: &PriceBook, q: &str, now: Timestamp) -> Self {
        let digits: String = q.chars().filter(|letter| !" -().".contains(*letter)).collect();
        if let Ok(number) = PhoneNumber::parse(&digits) {
            return Self::Number(OfNumber::of(book, number, now));
        }
        match Country::parse(&q.to_ascii_uppercase()) {
            Ok(country) => Self::Country(OfCountry::of(book, country, now)),
            Err(_) => Self::Unclear,
        }
    }
}

impl OfNumber {
    fn of(book: &PriceBook, number: PhoneNumber, now: Timestamp) -> Self {
        let to = Recipient::Phone(number);
        let text = Message::text(to, Sender::Any, "a").charge(book);
        let media = Message { media: 1, ..Message::text(to, Sender::Any, "") }.charge(book);
        let a_call = |seconds| {
            let call = PricedCall {
                to,
                from: None,
                time_limit: seconds,
                record: false,
                conference_record: false,
                machine_detection: false,
                conference: false,
            };
            call.charge(book).map(|timed| timed.charge.price())
        };
        let currency = book.prices().currency.clone();
        let told = |price: Result<Amount, _>| match price {
            Ok(price) => Ok(words::amount(&price.to_string(), Some(&currency))),
            Err(error) => Err::<String, String>(ringfence_breaker::charge::Unpriced::to_string(&error)),
        };
        let parts = text.as_ref().map(|charge| {
            let line = |line: &ringfence_breaker::charge::Line| {
                let category = line.categories.first().copied().unwrap_or_default();
                (category.to_owned(), words::amount(&line.price.to_string(), Some(&currency)))
            };
            charge.lines.iter().map(line).collect()
        });
        let country = Country::of_plan(number);
        Self {
            number: number.to_string(),
            country: country.map_or_else(|| "no country".to_owned(), |country| country.to_string()),
            parts: parts.unwrap_or_default(),
            prices: vec![
                ("a text of one segment", told(text.map(|charge| charge.price()))),
                ("a message with media", told(media.map(|charge| charge.price()))),
                ("a call of one minute", told(a_call(Some(60)))),
                ("a call without TimeLimit", told(a_call(None))),
            ],
            calls: country.map_or_else(Rows::default, |country| {
                let rows = calls_of(book, country.as_str());
                let near =
                    rows.filter(|row| row.to.iter().any(|prefix| is_near(&prefix.to_string(), number)));
                Rows::of(near.map(call_row).collect(), at_of_calls(book, country, now))
            }),
        }
    }
}

/// Whether one begins as the other does.
fn is_near(prefix: &str, number: PhoneNumber) -> bool {
    let number = number.to_string();
    number.starts_with(prefix) || prefix.starts_with(&number)
}

impl OfCountry {
    fn of(book: &PriceBook, country: Country, now: Timestamp) -> Self {
        let name = country.as_str();
        let currency = book.prices().currency.clone();
        let shared: Vec<_> = sharing(name).skip(1).collect();
        let networks = || sharing(name).filter_map(|it| book.prices().messages.get(it)).flat_map(|it| &it.is);
        let dearest = |prices: &[NumberTypePrice]| prices.iter().filter_map(|row| row.price).max();
        let segment = networks().filter_map(|row| dearest(&row.prices)).max();
        let minute = calls_of(book, name).filter_map(|row| row.price).max();
        let told =
            |price: Option<Amount>| price.map(|price| words::amount(&price.to_string(), Some(&currency)));
        let network = |row: &NetworkPrices| {
            let network = row.network.as_ref().map_or_else(
                || "any network".to_owned(),
                |network| format!("network {} {}", network.mcc, network.mnc),
            );
            (network, dearest(&row.prices))
        };
        let numbers = book.prices().numbers.get(name);
        let number = |row: &NumberTypePrice| (format!("{:?}", row.number_type).to_lowercase(), row.price);
        let at = |at: Option<Timestamp>| at.map(|at| words::ago(&at, &now));
        Self {
            shared: shared.join(", "),
            segment: told(segment),
            minute: told(minute),
            networks: Rows::of(
                networks().map(network).collect(),
                at(book.prices().messages.get(name).map(|it| it.at)),
            ),
            calls: Rows::of(calls_of(book, name).map(call_row).collect(), at_of_calls(book, country, now)),
            numbers: Rows::of(
                numbers.map(|it| it.is.iter().map(number).collect()).unwrap_or_default(),
                at(numbers.map(|it| it.at)),
            ),
            country: country.to_string(),
        }
    }
}

fn calls_of<'a>(book: &'a PriceBook, country: &'a str) -> impl Iterator<Item = &'a PrefixPrice> {
    sharing(country).filter_map(|it| book.prices().calls.get(it)).flat_map(|it| &it.is)
}

fn at_of_calls(book: &PriceBook, country: Country, now: Timestamp) -> Option<String> {
    book.prices().calls.get(country.as_str()).map(|it| words::ago(&it.at, &now))
}

fn call_row(row: &PrefixPrice) -> (String, Option<Amount>) {
    let joined = |prefixes: &[ringfence_breaker::DialPrefix]| {
        let shown: Vec<_> = prefixes.iter().take(12).map(ToString::to_string).collect();
        let more = prefixes.len().saturating_sub(shown.len());
        if more > 0 { format!("{}, and {more} more", shown.join(", ")) } else { shown.join(", ") }
    };
    let from = if row.from.is_empty() { String::new() } else { format!(", from {}", joined(&row.from)) };
    (format!("{}{from}", joined(&row.to)), row.price)
}

impl Rows {
    fn of(mut rows: Vec<(String, Option<Amount>)>, at: Option<String>) -> Self {
        // What has no price is dearer than whatever has one.
        rows.sort_by(|one, other| {
            (other.1.is_none(), other.1, &one.0).cmp(&(one.1.is_none(), one.1, &other.0))
        });
        let left_out = rows.len().saturating_sub(SHOWN);
        let told = |price: Option<Amount>| price.map_or_else(|| "no price".to_owned(), |it| it.to_string());
        Self {
            at,
            shown: rows.into_iter().take(SHOWN).map(|(what, price)| (what, told(price))).collect(),
            left_out,
        }
    }
}
