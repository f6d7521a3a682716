//! What accounts demand of whoever signs in to them: for the owners of each.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_model::Sid;
use ringfence_second_factor::policy::{Demands, Policy};
use ringfence_store::Where;

use super::act::{Wrong, reason};
use super::{refused_in_words, shown, shown_again};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

#[derive(Template)]
#[template(path = "policies.html")]
struct View {
    frame: Frame,
    rows: Vec<(String, &'static str, bool, String)>,
    minimum: &'static str,
    place: String,
    /// What was typed, where something is wrong with it.
    account: String,
    policy: String,
    strong: bool,
    reason: String,
    problem: Option<String>,
    reason_problem: Option<String>,
}

/// Each policy with what it means, as the form offers it.
const OFFERED: [(Policy, &str); 3] = [
    (Policy::EverySignIn, "At every sign-in"),
    (Policy::OncePerComputer, "Once per computer, then trusted for a time"),
    (Policy::Disabled, "Disabled: the password alone opens it"),
];

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    page(&call, None, None).await
}

async fn page(
    call: &Call<'_>,
    problem: Option<String>,
    reason_problem: Option<String>,
) -> Result<Response<Bytes>, Failed> {
    let only = call.signed_in.only_account();
    let set = call.engine.store().policies().await?;
    // Another account's policy is its owners' business.
    let seen = set.into_iter().filter(|policy| only.is_none_or(|only| policy.place == Where::Account(only)));
    let rows = seen.map(|policy| {
        let name = match policy.place {
            Where::Everywhere => "All accounts, as a whole".to_owned(),
            Where::Account(sid) => sid.to_string(),
        };
        (name, in_words(policy.demands.policy), policy.demands.strong, words::when(&policy.set_at))
    });
    let is_wrong = problem.is_some() || reason_problem.is_some();
    let view = View {
        rows: rows.collect(),
        minimum: in_words(call.people.rules().minimum.policy),
        place: only.map(|sid| sid.to_string()).unwrap_or_default(),
        account: call.form.get("account").to_owned(),
        policy: call.form.get("policy").to_owned(),
        strong: call.form.filled("strong").is_some(),
        reason: call.form.get("reason").to_owned(),
        frame: Frame::new(call, Section::Policies),
        problem,
        reason_problem,
    };
    if is_wrong { shown_again(&view) } else { shown(&view) }
}

fn in_words(policy: Policy) -> &'static str {
    OFFERED.iter().find(|(it, _)| *it == policy).map_or("", |(_, words)| words)
}

pub(crate) async fn set(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let place = match (call.signed_in.only_account(), call.form.get("account")) {
        (Some(only), _) => Some(Where::Account(only)),
        (None, "") => Some(Where::Everywhere),
        (None, text) => Sid::parse(text).ok().filter(|sid| sid.is("AC")).map(Where::Account),
    };
    let Some(place) = place else {
        let problem =
            "An account's SID is AC and 32 hexadecimal digits; leave it empty for all accounts as a whole.";
        return page(&call, Some(problem.to_owned()), None).await;
    };
    let Some(policy) = Policy::from_word(call.form.get("policy")) else {
        return page(&call, Some("Choose a policy.".to_owned()), None).await;
    };
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(Wrong { reason, .. }) => return page(&call, None, reason).await,
    };
    let demands = Demands { policy, strong: call.form.filled("strong").is_some() };
    match call.people.set_policy(call.signed_in.session(), place, demands, reason).await {
        Ok(()) => Ok(words::redirect("/policies?done=policy")),
        Err(refused) => page(&call, Some(refused_in_words(&refused, call.now)?), None).await,
    }
}
