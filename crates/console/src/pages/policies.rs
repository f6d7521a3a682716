//! What accounts demand of whoever signs in to them: for the owners of each.

use std::collections::HashMap;

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_model::Sid;
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use ringfence_store::{AccountPolicy, Person, Where};

use super::act::reason;
use super::{refused_in_words, shown, shown_again, unknown};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

#[derive(Template)]
#[template(path = "policies.html")]
struct View {
    frame: Frame,
    rows: Vec<Row>,
    /// How many were set, before anything was searched for.
    known: usize,
    /// What is searched for.
    q: String,
    found: String,
    older: Option<String>,
    newer: Option<String>,
    minimum: String,
    place: String,
    /// What was typed, where something is wrong with it; otherwise what holds there, where it was set.
    account: String,
    policy: String,
    factors: String,
    reason: String,
    wrong: WrongPolicy,
}

/// What is wrong with what was typed, beside its field.
#[derive(Debug, Default)]
struct WrongPolicy {
    account: Option<String>,
    policy: Option<String>,
    factors: Option<String>,
    reason: Option<String>,
    /// What no field alone is to blame for.
    whole: Option<String>,
}

impl WrongPolicy {
    fn is_any(&self) -> bool {
        let Self { account, policy, factors, reason, whole } = self;
        [account, policy, factors, reason, whole].iter().any(|wrong| wrong.is_some())
    }
}

#[derive(Debug)]
struct Row {
    name: String,
    /// Its SID, where the name is another.
    sid: Option<String>,
    /// Where the form is filled in with it.
    change: String,
    policy: &'static str,
    /// Which factors do, where not all.
    factors: Option<&'static str>,
    since: String,
    /// Who has none that does; of an account's owners, who see nobody else, how many.
    left_out: Option<String>,
}

/// What is no account's own.
const EVERYWHERE: &str = "All accounts, as a whole";

/// Rows of a page.
const SIZE: usize = 50;

/// So many of those who are left out are named in a row.
const NAMED: usize = 10;

/// Each policy with what it means, as the form offers it.
const OFFERED: [(Policy, &str); 3] = [
    (Policy::EverySignIn, "At every sign-in"),
    (Policy::OncePerComputer, "Once per computer, then trusted for a time"),
    (Policy::Disabled, "Disabled: the password alone opens it"),
];

/// Each strength with what it means.
const STRENGTHS: [(Strength, &str); 3] = [
    (Strength::Any, "Any second factor"),
    (Strength::NoPhone, "No codes to phones: they can be rerouted"),
    (Strength::PhishingResistant, "Only passkeys: nothing that can be phished"),
];

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    page(&call, WrongPolicy::default()).await
}

async fn page(call: &Call<'_>, wrong: WrongPolicy) -> Result<Response<Bytes>, Failed> {
    let (only, store) = (call.signed_in.only_account(), call.engine.store());
    let mut set = store.policies().await?;
    // Another account's policy is its owners' business.
    set.retain(|policy| only.is_none_or(|only| policy.place == Where::Account(only)));
    let known = set.len();
    let now_set = now_set(call, &set);
    let names: HashMap<Sid, String> =
        store.accounts().await?.into_iter().map(|it| (it.sid, it.friendly_name)).collect();
    let name = |place: Where| match place {
        Where::Everywhere => (EVERYWHERE.to_owned(), None),
        Where::Account(sid) => match names.get(&sid).filter(|name| !name.is_empty()) {
            Some(name) => (name.clone(), Some(sid.to_string())),
            None => (sid.to_string(), None),
        },
    };
    let q = call.query.get("q").to_lowercase();
    set.retain(|policy| {
        let (name, sid) = name(policy.place);
        let text = format!("{name} {} {}", sid.unwrap_or_default(), in_words(policy.demands.policy));
        text.to_lowercase().contains(&q)
    });
    let total = set.len();
    let page: usize = call.query.get("page").parse().unwrap_or(1).clamp(1, total.div_ceil(SIZE).max(1));
    let begin = (page - 1) * SIZE;
    let set: Vec<AccountPolicy> = set.into_iter().skip(begin).take(SIZE).collect();
    let left_out = call.people.left_out(&set).await.map_err(Failed::of_people)?;
    let rows = set.iter().map(|policy| {
        let who = left_out.get(&policy.place).map_or(&[][..], Vec::as_slice);
        let (name, sid) = name(policy.place);
        Row {
            change: format!("/policies?account={}#set", words::query_value(&policy.place.text())),
            policy: in_words(policy.demands.policy),
            factors: narrowed(policy.demands.strength),
            since: words::when(&policy.set_at),
            left_out: match (who.len(), only) {
                (0, _) => None,
                (1, Some(_)) => Some("one person".to_owned()),
                (many, Some(_)) => Some(format!("{many} people")),
                (_, None) => Some(named(who)),
            },
            name,
            sid,
        }
    });
    let link = |page: usize| format!("/policies?q={}&page={page}", words::query_value(call.query.get("q")));
    let minimum = call.people.rules().minimum;
    let is_wrong = wrong.is_any();
    let view = View {
        rows: rows.collect(),
        known,
        q: call.query.get("q").to_owned(),
        found: words::many(total, "policy", "policies"),
        older: (begin + SIZE < total).then(|| link(page + 1)),
        newer: (page > 1).then(|| link(page - 1)),
        minimum: match narrowed(minimum.strength) {
            Some(factors) => format!("{}, {factors}", in_words(minimum.policy)),
            None => in_words(minimum.policy).to_owned(),
        },
        place: only.map(|sid| sid.to_string()).unwrap_or_default(),
        account: now_set.account,
        policy: now_set.policy,
        factors: now_set.factors,
        reason: call.form.get("reason").to_owned(),
        frame: Frame::new(call, Section::Policies),
        wrong,
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
}

/// What the form begins with.
struct Filled {
    account: String,
    policy: String,
    factors: String,
}

/// What was typed; where nothing was, what holds in the place that is meant, so that whoever changes one thing keeps the other.
fn now_set(call: &Call<'_>, set: &[AccountPolicy]) -> Filled {
    let typed = |name: &str| call.form.get(name).to_owned();
    let filled = Filled { account: typed("account"), policy: typed("policy"), factors: typed("factors") };
    if !(filled.account.is_empty() && filled.policy.is_empty() && filled.factors.is_empty()) {
        return filled;
    }
    let meant = match call.signed_in.only_account() {
        Some(only) => Some(Where::Account(only)),
        None => call.query.filled("account").and_then(Where::from_text),
    };
    let found = set.iter().find(|policy| Some(policy.place) == meant);
    Filled {
        account: match meant {
            Some(Where::Account(sid)) => sid.to_string(),
            Some(Where::Everywhere) | None => String::new(),
        },
        policy: found.map(|set| set.demands.policy.word().to_owned()).unwrap_or_default(),
        factors: found.map(|set| set.demands.strength.word().to_owned()).unwrap_or_default(),
    }
}

/// Who they are, the first of many.
fn named(people: &[Person]) -> String {
    let names: Vec<&str> = people.iter().take(NAMED).map(|person| person.login.as_str()).collect();
    match people.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{}, and {more} more", names.join(", ")),
    }
}

fn in_words(policy: Policy) -> &'static str {
    OFFERED.iter().find(|(it, _)| *it == policy).map_or("", |(_, words)| words)
}

/// What is told beside a policy that does not take every factor.
fn narrowed(strength: Strength) -> Option<&'static str> {
    match strength {
        Strength::Any => None,
        Strength::NoPhone => Some("no codes to phones"),
        Strength::PhishingResistant => Some("only passkeys"),
    }
}

pub(crate) async fn set(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let mut wrong = WrongPolicy::default();
    let place = match (call.signed_in.only_account(), call.form.get("account")) {
        (Some(only), "") => Some(Where::Account(only)),
        // What is another one's is not there for them.
        (Some(only), text) if Sid::parse(text).ok() != Some(only) => return Err(Failed::NotFound),
        (Some(only), _) => Some(Where::Account(only)),
        (None, "") => Some(Where::Everywhere),
        (None, text) => Sid::parse(text).ok().filter(|sid| sid.is("AC")).map(Where::Account),
    };
    wrong.account = if let Some(place) = place {
        unknown(&call, place).await?
    } else {
        let text =
            "An account's SID is AC and 32 hexadecimal digits; leave it empty for all accounts as a whole.";
        Some(text.to_owned())
    };
    let policy = Policy::from_word(call.form.get("policy"));
    if policy.is_none() {
        wrong.policy = Some("Choose a policy.".to_owned());
    }
    let strength = match (call.form.filled("factors"), place) {
        (Some(word), _) => Strength::from_word(word),
        // Nothing was chosen: what was set before goes on.
        (None, place) => {
            let set = call.engine.store().policies().await?;
            let found = set.iter().find(|policy| Some(policy.place) == place);
            Some(found.map_or(Strength::Any, |set| set.demands.strength))
        }
    };
    if strength.is_none() {
        wrong.factors = Some("Choose which factors do.".to_owned());
    }
    let reason = reason(&call.form).unwrap_or_else(|it| {
        wrong.reason = it.reason;
        ""
    });
    let (Some(place), Some(policy), Some(strength), false) = (place, policy, strength, wrong.is_any()) else {
        return page(&call, wrong).await;
    };
    let demands = Demands { policy, strength };
    match call.people.set_policy(call.signed_in.session(), place, demands, reason).await {
        Ok(()) => Ok(words::redirect("/policies?done=policy")),
        Err(refused) => {
            wrong.whole = Some(refused_in_words(&refused, call.now)?);
            page(&call, wrong).await
        }
    }
}
