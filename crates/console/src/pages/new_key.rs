//! Making a virtual credential: the form, and the one page on which its secret is shown, with the lines to paste.

use std::collections::BTreeSet;

use askama::Template;
use bytes::Bytes;
use http::Response;
use jiff::{SignedDuration, Timestamp};
use ringfence_control::virtual_credentials::{self, NewVirtualCredential, NotMade, VirtualCredential};
use ringfence_model::{Secret, Sid};
use ringfence_store::{EgressAccounts, EgressArea, EgressDestination, EgressScopes, parse_sender};

use super::act::reason;
use super::{shown, shown_again};
use crate::failed::Failed;
use crate::form::Fields;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// For how many days it may be made, as the form says it.
const LIVES: [(&str, &str); 5] =
    [("", "It does not expire"), ("7", "A week"), ("30", "30 days"), ("90", "90 days"), ("365", "A year")];

#[derive(Template)]
#[template(path = "new_key.html")]
struct Form {
    frame: Frame,
    /// The account that it is for, where nothing else may be chosen.
    place: Option<String>,
    typed: Typed,
    areas: Vec<Area>,
    wrong: Wrong,
}

/// What was typed.
#[derive(Debug, Default)]
struct Typed {
    name: String,
    accounts: String,
    is_for_all: bool,
    destinations: String,
    senders: String,
    tenant: String,
    days: String,
    reason: String,
}

impl Typed {
    fn of(form: &Fields) -> Self {
        let text = |name: &str| form.get(name).to_owned();
        Self {
            name: text("name"),
            accounts: text("accounts"),
            is_for_all: form.has("all"),
            destinations: text("destinations"),
            senders: text("senders"),
            tenant: text("tenant"),
            days: text("days"),
            reason: text("reason"),
        }
    }
}

/// A kind of operations, to be ticked.
#[derive(Debug)]
struct Area {
    name: &'static str,
    about: &'static str,
    is_ticked: bool,
}

/// What is wrong with what was typed, beside its field.
#[derive(Debug, Default)]
struct Wrong {
    name: Option<String>,
    accounts: Option<String>,
    operations: Option<String>,
    destinations: Option<String>,
    senders: Option<String>,
    tenant: Option<String>,
    days: Option<String>,
    reason: Option<String>,
    whole: Option<String>,
}

impl Wrong {
    fn is_any(&self) -> bool {
        self.first().is_some()
    }

    /// The first field with which something is wrong, in their order: the page is scrolled to it.
    fn first(&self) -> Option<&'static str> {
        let Self { name, accounts, operations, destinations, senders, tenant, days, reason, whole } = self;
        let all = [
            (whole, "whole"),
            (name, "name"),
            (accounts, "accounts"),
            (operations, "operations"),
            (destinations, "destinations"),
            (senders, "senders"),
            (tenant, "tenant"),
            (days, "days"),
            (reason, "reason"),
        ];
        all.into_iter().find(|(wrong, _)| wrong.is_some()).map(|(_, field)| field)
    }

    fn is_first(&self, field: &str) -> bool {
        self.first() == Some(field)
    }
}

const fn about(area: EgressArea) -> &'static str {
    match area {
        EgressArea::Messages => "sending them, and their status and media",
        EgressArea::Calls => "making them, conferences, queues, recordings",
        EgressArea::Verifications => "codes of Twilio Verify",
        EgressArea::Lookups => "looking up numbers",
        EgressArea::Numbers => "buying, configuring and releasing them",
        EgressArea::Reads => "usage, prices, alerts, the account itself",
        EgressArea::Settings => "applications, services, SIP, permissions",
        EgressArea::Accounts => "changing and listing accounts",
        EgressArea::Unknown => "what this version does not know, where that is passed on at all",
    }
}

/// The form, empty but for what a link says, or with what was typed before.
pub(crate) fn ask(call: &Call<'_>) -> Result<Response<Bytes>, Failed> {
    if call.again.is_some() {
        return form(call, Typed::of(&call.form), &ticked(&call.form), Wrong::default());
    }
    let ticked = EgressArea::DEFAULT.into_iter().collect();
    let typed = Typed { accounts: call.query.get("account").to_owned(), ..Typed::default() };
    form(call, typed, &ticked, Wrong::default())
}

fn form(
    call: &Call<'_>,
    typed: Typed,
    ticked: &BTreeSet<EgressArea>,
    wrong: Wrong,
) -> Result<Response<Bytes>, Failed> {
    let is_wrong = wrong.is_any();
    let area =
        |area: EgressArea| Area { name: area.name(), about: about(area), is_ticked: ticked.contains(&area) };
    let view = Form {
        frame: Frame::new(call, Section::Credentials),
        place: call.signed_in.only_account().map(|sid| sid.to_string()),
        typed,
        areas: EgressArea::ALL.into_iter().map(area).collect(),
        wrong,
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
}

pub(crate) async fn make(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let mut wrong = Wrong::default();
    let new = wanted(&call, &mut wrong).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(it) => {
            wrong.reason = it.reason;
            ""
        }
    };
    if !wrong.is_any() {
        let by = call.signed_in.actor();
        match virtual_credentials::create(call.engine.store(), (&by, reason), new, call.now).await {
            Ok((made, secret)) => return shown(&Made::of(&call, &made, &secret)),
            Err(NotMade::Store(error)) => return Err(error.into()),
            Err(error) => wrong.whole = Some(sentence(&error.to_string())),
        }
    }
    form(&call, Typed::of(&call.form), &ticked(&call.form), wrong)
}

/// The kinds of operations that are ticked.
fn ticked(form: &Fields) -> BTreeSet<EgressArea> {
    form.all("operation").filter_map(|name| name.parse().ok()).collect()
}

/// What the form asks for. What is wrong with it stands in `wrong`, and then it is not made.
async fn wanted(call: &Call<'_>, wrong: &mut Wrong) -> Result<NewVirtualCredential, Failed> {
    let form = &call.form;
    let name = form.get("name").to_owned();
    wrong.name = virtual_credentials::check_name(&name).err().map(|error| sentence(&error.to_string()));
    let accounts = accounts(call, wrong).await?;
    let mut scopes = EgressScopes::for_accounts(accounts);
    scopes.operations.clear();
    for area in form.all("operation") {
        match area.parse::<EgressArea>() {
            Ok(area) => _ = scopes.operations.insert(area),
            Err(why) => also(&mut wrong.operations, format!("“{area}” {why}.")),
        }
    }
    if scopes.operations.is_empty() && wrong.operations.is_none() {
        wrong.operations = Some("Tick one at least: without any it can do nothing.".to_owned());
    }
    for text in pieces(form.get("destinations"), |letter| letter == ',' || letter.is_whitespace()) {
        match text.parse::<EgressDestination>() {
            Ok(destination) => scopes.destinations.push(destination),
            Err(why) => also(&mut wrong.destinations, format!("“{text}”: {why}.")),
        }
    }
    // The ID of a sender may have a space in it.
    for text in pieces(form.get("senders"), |letter| letter == ',') {
        match parse_sender(text) {
            Ok(sender) => scopes.senders.push(sender),
            Err(why) => also(&mut wrong.senders, format!("“{text}”: {why}.")),
        }
    }
    scopes.tenant = form.filled("tenant").map(str::to_owned);
    // A tenant's limit is spread over accounts: whoever has one of them would use up what is for the others.
    if scopes.tenant.is_some() && call.signed_in.only_account().is_some() {
        wrong.tenant =
            Some("Only somebody with a role for everything may name a tenant: leave it empty.".to_owned());
    }
    let expires_at = expiry(form.get("days"), call.now, wrong);
    Ok(NewVirtualCredential { name, scopes, expires_at })
}

/// The accounts that it is for: of whoever looks after one, that one and nothing else.
async fn accounts(call: &Call<'_>, wrong: &mut Wrong) -> Result<EgressAccounts, Failed> {
    let (named, is_for_all) = (call.form.get("accounts"), call.form.has("all"));
    if let Some(only) = call.signed_in.only_account() {
        let is_other = pieces(named, is_between).any(|text| text != only.to_string());
        if is_for_all || is_other {
            wrong.accounts = Some(format!("Here it can be for {only} alone."));
        }
        return Ok(EgressAccounts::Listed([only].into()));
    }
    if is_for_all {
        if !named.is_empty() {
            wrong.accounts = Some("Name accounts, or tick all of them, not both.".to_owned());
        }
        return Ok(EgressAccounts::All);
    }
    let mut listed = BTreeSet::new();
    for text in pieces(named, is_between) {
        match Sid::parse(text).ok().filter(|sid| sid.is("AC")) {
            Some(sid) if call.engine.store().find_account(sid).await?.is_some() => _ = listed.insert(sid),
            Some(sid) => also(&mut wrong.accounts, format!("{sid} is no account that is known here.")),
            None => also(
                &mut wrong.accounts,
                format!("“{text}”: an account’s SID is AC and 32 hexadecimal digits."),
            ),
        }
    }
    if listed.is_empty() && wrong.accounts.is_none() {
        wrong.accounts = Some("Name an account at least, or tick all of them.".to_owned());
    }
    Ok(EgressAccounts::Listed(listed))
}

/// Beside what is wrong with the field already: each piece of a list is told, so that all of them can be mended at once.
fn also(wrong: &mut Option<String>, text: String) {
    match wrong {
        Some(all) => {
            all.push(' ');
            all.push_str(&text);
        }
        None => *wrong = Some(text),
    }
}

fn is_between(letter: char) -> bool {
    letter == ',' || letter.is_whitespace()
}

fn pieces(text: &str, is_between: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    text.split(is_between).map(str::trim).filter(|piece| !piece.is_empty())
}

fn expiry(days: &str, now: Timestamp, wrong: &mut Wrong) -> Option<Timestamp> {
    if days.is_empty() {
        return None;
    }
    let known = LIVES.iter().any(|(value, _)| *value == days);
    let hours = days.parse::<i64>().ok().filter(|_| known).map(|days| days * 24);
    let at = hours.and_then(|hours| now.checked_add(SignedDuration::from_hours(hours)).ok());
    if at.is_none() {
        wrong.days = Some("Choose one of these.".to_owned());
    }
    at
}

/// Begins large, ends with a full stop.
fn sentence(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// What was made. The secret is on this page and nowhere else.
#[derive(Template)]
#[template(path = "made_key.html")]
struct Made {
    frame: Frame,
    name: String,
    sid: String,
    secret: String,
    until: String,
    /// The user name: the account's SID where it is for one.
    user: String,
    is_for_several: bool,
    /// Where the egress is; none where this installation has none.
    url: Option<String>,
    /// The products that it may use, as the libraries call them, with their hosts.
    products: Vec<(&'static str, &'static str)>,
}

impl Made {
    fn of(call: &Call<'_>, made: &VirtualCredential, secret: &Secret) -> Self {
        let row = &made.credential;
        let scopes = made.scopes.as_ref().ok();
        let one = scopes.and_then(|scopes| scopes.accounts.the_one());
        let has = |area| scopes.is_some_and(|scopes| scopes.operations.contains(&area));
        let mut products = vec![("api", "api.twilio.com")];
        if has(EgressArea::Verifications) {
            products.push(("verify", "verify.twilio.com"));
        }
        if has(EgressArea::Lookups) {
            products.push(("lookups", "lookups.twilio.com"));
        }
        Self {
            frame: Frame::new(call, Section::Credentials),
            name: row.name.clone(),
            sid: row.sid.to_string(),
            secret: secret.expose().to_owned(),
            until: row.expires_at.map_or_else(
                || "does not expire".to_owned(),
                |at| format!("good until {}", words::when(&at)),
            ),
            user: one.map_or_else(|| "AC…".to_owned(), |sid| sid.to_string()),
            is_for_several: one.is_none(),
            url: call.console.egress.as_ref().map(|egress| egress.url.clone()),
            products,
        }
    }
}
