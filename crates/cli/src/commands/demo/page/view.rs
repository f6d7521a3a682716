//! The page as a document: plain values out of the chapters, and the template that shows them.

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};
use ringfence_model::Amount;
use serde_json::Value;

use super::forge::{How, Try};
use super::money::Lane;
use super::sign_in::{At, Step, VISITOR};
use super::{Page, plain, served};
use crate::commands::demo::attack::{ENOUGH, SoFar, past_limit};
use crate::commands::demo::installation::LIMIT_AT;
use crate::commands::demo::operator::Typed;
use crate::commands::demo::person;

/// What a bar is as wide as, in dollars.
const SCALE: i64 = 200;

#[derive(Template)]
#[template(path = "demo.html")]
struct View {
    console: String,
    phones: String,
    application: String,
    gate: String,
    config: String,
    /// Where a browser without a script looks again, while something goes on.
    again: Option<String>,
    forge: Forge,
    money: Money,
    door: Door,
}

/// What goes on in a chapter, and why the last act in it did not come to its end.
struct Stands {
    doing: Option<String>,
    problem: Option<String>,
}

struct Forge {
    stands: Stands,
    from: String,
    body: String,
    buttons: Vec<(&'static str, &'static str)>,
    tries: Vec<Tried>,
}

/// One request that was sent.
struct Tried {
    what: &'static str,
    about: &'static str,
    class: &'static str,
    shown: String,
    status: u16,
    reason: Option<String>,
    method: String,
    target: String,
    /// What is not as Twilio was told to call it.
    added: String,
    headers: Vec<(String, String)>,
    fields: Vec<Field>,
    received: Option<(u64, String, Vec<Field>)>,
    explained: Typed,
}

/// A field of a form; what stands in the middle is not as it was typed.
struct Field {
    name: String,
    before: String,
    changed: String,
    after: String,
}

struct Money {
    stands: Stands,
    runs: u32,
    limit_x: i64,
    lanes: Vec<LaneView>,
    made: Option<String>,
    resets: Vec<Typed>,
    incidents: Vec<Typed>,
    mails: Vec<String>,
}

struct LaneView {
    title: &'static str,
    account: String,
    about: &'static str,
    class: &'static str,
    sent: usize,
    spent: String,
    width: i64,
    /// How it ended, and what the thief was told.
    end: Option<(String, Option<String>)>,
    past: String,
    is_suspended: bool,
}

struct Door {
    stands: Stands,
    at: At,
    login: &'static str,
    password: &'static str,
    phone: &'static str,
    phone_page: String,
    invited: Option<String>,
    steps: Vec<Step>,
    entries: Vec<Entry>,
}

/// One thing on the phone.
struct Entry {
    other: String,
    /// Of a call: whether it goes on, and whether it waits for a key.
    call: Option<(bool, bool)>,
    lines: Vec<String>,
}

impl Page {
    /// The page as it is now.
    pub(super) async fn shown(&self) -> Response<Bytes> {
        let world = &self.world;
        // A phone that cannot be looked at shows nothing; the rest of the page is there all the same.
        let entries = self.phone().await.unwrap_or_default();
        let view = View {
            console: format!("http://{}/", world.console),
            phones: format!("http://{}/_sandbox/phones", world.twilio.address),
            application: world.application.address.to_string(),
            gate: world.gate.to_string(),
            config: world.config.display().to_string(),
            again: self.again(),
            forge: self.shown_forge(),
            money: self.shown_money(),
            door: self.shown_door(entries),
        };
        match view.render() {
            Ok(text) => served("text/html; charset=utf-8", text),
            // Only a formatter that fails does this, and ours writes into memory.
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// Another URL each time: a browser does not load one again that differs in nothing, and has a fragment.
    fn again(&self) -> Option<String> {
        let chapters =
            [("forge", self.forge.doing()), ("money", self.money.doing()), ("sign-in", self.sign_in.doing())];
        let (name, _) = chapters.into_iter().find(|(_, doing)| doing.is_some())?;
        let count = self.renders.get().wrapping_add(1);
        self.renders.set(count);
        Some(format!("/?at={count}#{name}"))
    }

    fn shown_forge(&self) -> Forge {
        let stands = Stands { doing: self.forge.doing(), problem: self.forge.problem() };
        self.forge.with(|state| Forge {
            stands,
            from: state.from.clone(),
            body: state.body.clone(),
            buttons: How::ALL.iter().map(|how| (how.word(), how.button())).collect(),
            tries: state.tries.iter().map(tried).collect(),
        })
    }

    fn shown_money(&self) -> Money {
        let stands = Stands { doing: self.money.doing(), problem: self.money.problem() };
        let names = self.world.twilio.of_page.each_ref().map(|account| account.name.as_str());
        let subject = |mail: &String| {
            let line = mail.lines().find_map(|line| line.strip_prefix("Subject: "))?;
            let is_told = line.contains("Critical") && names.iter().any(|name| line.contains(name));
            is_told.then(|| line.to_owned())
        };
        self.money.with(|state| Money {
            stands,
            runs: state.runs,
            limit_x: width_of(LIMIT_AT),
            lanes: state.lanes.iter().zip(names).enumerate().map(|(at, it)| lane(at, it)).collect(),
            made: state.made.clone(),
            resets: state.resets.clone(),
            incidents: state.incidents.clone(),
            mails: self.world.mail.taken().iter().filter_map(subject).collect(),
        })
    }

    fn shown_door(&self, entries: Vec<Entry>) -> Door {
        let stands = Stands { doing: self.sign_in.doing(), problem: self.sign_in.problem() };
        let sandbox = self.world.twilio.address;
        self.sign_in.with(|state| Door {
            stands,
            at: state.at,
            login: VISITOR.login,
            password: VISITOR.password,
            phone: VISITOR.phone,
            phone_page: format!(
                "http://{sandbox}/_sandbox/phones?number={}",
                VISITOR.phone.trim_start_matches('+')
            ),
            invited: state.invited.clone(),
            steps: state.steps.clone(),
            entries,
        })
    }

    /// What the visitor's phone shows, the newest last.
    async fn phone(&self) -> anyhow::Result<Vec<Entry>> {
        let before = self.sign_in.with(|state| state.is_bound.then_some(state.texts_before));
        let Some(before) = before else { return Ok(Vec::new()) };
        let thread = self.world.twilio.phone(VISITOR.phone).await?;
        let over = thread.as_array().into_iter().flatten().skip(before).map(entry);
        let live = person::call_on(&self.world, VISITOR.phone).await?.filter(|call| call["ended"].is_null());
        Ok(over.chain(live.as_ref().map(entry)).collect())
    }
}

fn tried(it: &Try) -> Tried {
    let seen = &it.seen;
    let fields = |pairs: &[(String, String)]| -> Vec<Field> {
        let told = |name: &String| matches!(name.as_str(), "AccountSid" | "From" | "To" | "Body");
        let shown = pairs.iter().filter(|(name, _)| told(name));
        shown.map(|(name, value)| field(name, value, &it.body)).collect()
    };
    let pairs: Vec<_> = form_urlencoded::parse(&seen.request.body).into_owned().collect();
    let told = ["host", "x-twilio-signature"];
    let headers = seen.request.headers.iter();
    Tried {
        what: it.what,
        about: it.about,
        class: match (&seen.reason, seen.reached) {
            (Some(_), _) => "bad",
            (None, 0) => "near",
            (None, _) => "good",
        },
        shown: seen.shown(),
        status: seen.status,
        reason: seen.reason.clone(),
        method: seen.request.method.clone(),
        target: seen.request.target.split('?').next().unwrap_or_default().to_owned(),
        added: seen.request.target.split_once('?').map_or_else(String::new, |(_, query)| format!("?{query}")),
        headers: headers.filter(|(name, _)| told.contains(&name.to_lowercase().as_str())).cloned().collect(),
        fields: fields(&pairs),
        received: seen.received.as_ref().map(|it| (it.number, it.account.clone(), fields(&it.fields))),
        explained: it.explained.clone(),
    }
}

/// The letter in which a body differs from what was typed is marked.
fn field(name: &str, value: &str, typed: &str) -> Field {
    let whole = Field {
        name: name.to_owned(),
        before: value.to_owned(),
        changed: String::new(),
        after: String::new(),
    };
    if name != "Body" || value == typed {
        return whole;
    }
    let same = value.chars().zip(typed.chars()).take_while(|(it, was)| it == was).count();
    let mut rest = value.chars().skip(same);
    Field {
        before: value.chars().take(same).collect(),
        changed: rest.next().map(String::from).unwrap_or_default(),
        after: rest.collect(),
        ..whole
    }
}

fn lane(at: usize, (lane, name): (&Lane, &str)) -> LaneView {
    let SoFar { sent, spent, refused, last } = lane.so_far.clone();
    let past = past_limit(spent);
    let end = match (last, at) {
        (None, _) if lane.is_over => {
            Some((format!("Nothing stopped him. After {ENOUGH} messages he had enough."), None))
        }
        (None, _) => None,
        (Some(last), 2) => Some((
            format!(
                "Message {} was refused before it was sent{}. He was told, as Twilio tells it ({}, code {}):",
                sent + 1,
                if refused > 1 { format!(", {refused} times in all") } else { String::new() },
                last.status,
                last.code
            ),
            Some(last.message),
        )),
        (Some(last), _) => Some((
            format!(
                "Ringfence suspended the account at Twilio, which refused message {} ({}, code {}):",
                sent + 1,
                last.status,
                last.code
            ),
            Some(last.message),
        )),
    };
    let (title, about) = match at {
        0 => ("Without Ringfence", "The thief has the account's auth token. There is no limit."),
        1 => (
            "Ringfence watches",
            "The thief has the account's auth token. At $50 a usage trigger at Twilio calls Ringfence.",
        ),
        _ => (
            "Ringfence stands in between",
            "The application sends through the egress. The thief has all that it has, a virtual credential.",
        ),
    };
    LaneView {
        title,
        account: name.to_owned(),
        about,
        class: match at {
            0 => "tripped",
            1 if past > Amount::ZERO => "near",
            _ => "passing",
        },
        sent,
        spent: dollars(spent),
        width: width_of(spent).min(1000),
        end,
        past: dollars(past),
        is_suspended: lane.is_suspended,
    }
}

fn entry(it: &Value) -> Entry {
    let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
    if let Some(lines) = it["lines"].as_array() {
        let said = lines.iter().filter_map(|line| {
            let text = line["text"].as_str()?;
            Some(if line["kind"] == "pressed" { format!("You press {text}") } else { text.to_owned() })
        });
        let waits = it["waits_for"] == "keys" || it["waits_for"] == "keys_or_words";
        return Entry {
            other: text("from"),
            call: Some((it["ended"].is_null(), waits)),
            lines: said.collect(),
        };
    }
    Entry { other: text("other"), call: None, lines: vec![text("body")] }
}

/// In thousandths of a bar.
fn width_of(amount: Amount) -> i64 {
    amount.micros() / (SCALE * 1000)
}

fn dollars(amount: Amount) -> String {
    // Rounded: beside it the terminal tells the same amount with all its digits.
    let cents = (amount.micros() + 5_000) / 10_000;
    format!("${}.{:02}", cents / 100, cents % 100)
}
