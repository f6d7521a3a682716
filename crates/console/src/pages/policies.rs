//! What accounts demand of whoever signs in to them: for the owners of each.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_model::Sid;
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use ringfence_store::Where;

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
    minimum: String,
    place: String,
    /// What was typed, where something is wrong with it.
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
    policy: &'static str,
    /// Which factors do, where not all.
    factors: Option<&'static str>,
    since: String,
    /// Who has none that does; of an account's owners, who see nobody else, how many.
    left_out: Option<String>,
}

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
    let only = call.signed_in.only_account();
    let set = call.engine.store().policies().await?;
    // Another account's policy is its owners' business.
    let seen = set.into_iter().filter(|policy| only.is_none_or(|only| policy.place == Where::Account(only)));
    let mut rows = Vec::new();
    for policy in seen {
        let left_out = call.people.left_out(policy.place).await.map_err(Failed::of_people)?;
        let names: Vec<String> = left_out.into_iter().map(|person| person.login).collect();
        rows.push(Row {
            name: match policy.place {
                Where::Everywhere => "All accounts, as a whole".to_owned(),
                Where::Account(sid) => sid.to_string(),
            },
            policy: in_words(policy.demands.policy),
            factors: narrowed(policy.demands.strength),
            since: words::when(&policy.set_at),
            left_out: match (names.len(), only) {
                (0, _) => None,
                (1, Some(_)) => Some("one person".to_owned()),
                (many, Some(_)) => Some(format!("{many} people")),
                (_, None) => Some(names.join(", ")),
            },
        });
    }
    let minimum = call.people.rules().minimum;
    let is_wrong = wrong.is_any();
    let view = View {
        rows,
        minimum: match narrowed(minimum.strength) {
            Some(factors) => format!("{}, {factors}", in_words(minimum.policy)),
            None => in_words(minimum.policy).to_owned(),
        },
        place: only.map(|sid| sid.to_string()).unwrap_or_default(),
        account: call.form.get("account").to_owned(),
        policy: call.form.get("policy").to_owned(),
        factors: call.form.get("factors").to_owned(),
        reason: call.form.get("reason").to_owned(),
        frame: Frame::new(call, Section::Policies),
        wrong,
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
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
    let strength = call.form.filled("factors").map_or(Some(Strength::Any), Strength::from_word);
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
