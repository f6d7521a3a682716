//! `ringfence status`: what is tripped, what is near it, what does not get through, and who is at work.

use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_breaker::Per;
use ringfence_control::views::{
    AccountView, BreakerView, LimitStatus, NodeView, OrderState, OrderView, PhaseName, Status, TokenState,
    TokenView,
};

use super::account::why;
use super::act::{REASON, account_name, with_name};
use super::carry::SILENT;
use super::over_api::{Reach, ReachArguments};
use super::trip::reset_command;
use super::with_engine::{self, Missing, Typed, store};
use super::with_store;
use super::words::{ago, count, judged, moment, of_whom, subject, taken, used, whom, wrapped};
use crate::exit::{Answer, Failure};

/// So many of those on which a limit counts are told with it.
const OF_A_LIMIT: usize = 3;

/// So many of a kind are told; `--json` has more.
const SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringfence status --config ringfence.toml
  ringfence status --config ringfence.toml --check || page-somebody
  ringfence status --api http://127.0.0.1:9400 --token-file token

Exit codes: 0; with --check 1 if something needs a person: a limit is tripped, an account is not as it is to be or was left
suspended by a limit that is gone, an order fails, nodes have different limits, or no node is at work. 69 if the store does
not answer.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    reach: ReachArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Exit code 1 if something needs a person
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let file = match arguments.reach.reach()? {
        Reach::Store(file) => file,
        Reach::Node(api) => {
            let status = with_store::block_on(api.get("/v1/status", &[]))?;
            return Ok(answer(&status, &api.typed, arguments));
        }
    };
    with_engine::run(file, Missing::Refuse, async |installation| {
        let (engine, notes) = installation.holding().await?;
        let status = engine.views().status().await.map_err(store)?;
        Ok(Answer { notes, ..answer(&status, &installation.typed, arguments) })
    })
}

fn answer(status: &Status, typed: &Typed, arguments: &Arguments) -> Answer {
    let needs_a_person = !status.is_quiet || status.nodes.nodes.iter().all(|node| is_silent(status.at, node));
    let output =
        if arguments.json { format!("{}\n", serde_json::json!(status)) } else { as_text(status, typed) };
    Answer { output: output.into_bytes(), is_no: arguments.check && needs_a_person, ..Answer::default() }
}

fn as_text(status: &Status, typed: &Typed) -> String {
    let mut text = String::new();
    // 1. What is stopped, and what was let go on probation.
    let is = |phase: PhaseName| move |breaker: &&BreakerView| breaker.phase == phase;
    let tripped: Vec<_> = status.breakers.iter().filter(is(PhaseName::Tripped)).collect();
    if status.limits.is_empty() {
        text.push_str("no limit holds\n");
    } else if tripped.is_empty() {
        text.push_str("nothing is tripped\n");
    } else {
        part(&mut text, "TRIPPED", &tripped, |breaker| tripped_text(breaker, typed));
    }
    let probing: Vec<_> = status.breakers.iter().filter(is(PhaseName::Probing)).collect();
    part(&mut text, "PROBING", &probing, |breaker| {
        let until = breaker.window_end.map(|end| format!(", until {}", moment(end))).unwrap_or_default();
        format!("{}      used {}{until}\n", heading(breaker), used(breaker))
    });
    if status.breakers_left_out > 0 {
        _ = writeln!(text, "  … and {} more that are tripped or probing", status.breakers_left_out);
    }
    let closed: Vec<_> = status.limits.iter().filter(|it| it.wait_for_figure > 0).collect();
    part(&mut text, "CLOSED UNTIL TWILIO'S FIGURES HAVE BEEN READ", &closed, |of| closed_text(of));
    // 2. What comes near.
    let near: Vec<_> = status.nearest.iter().collect();
    part(&mut text, "NEAREST TO THEIR LIMITS", &near, |breaker| {
        format!("{}      used {}\n", heading(breaker), used(breaker))
    });
    let taken_of: Vec<_> =
        status.limits.iter().filter(|it| !it.sums.is_empty() || !it.shares.is_empty()).collect();
    part(&mut text, "WHAT IS TAKEN OF EACH LIMIT", &taken_of, |limit| limit_text(limit));
    // 3. What is not as it is to be.
    let accounts: Vec<_> = status.accounts.not_as_wanted.iter().collect();
    part(&mut text, "ACCOUNTS THAT ARE NOT AS THEY ARE TO BE", &accounts, |account| {
        let name = with_name(account.sid, &account.friendly_name);
        let why = why(account).unwrap_or_default();
        format!("  {name}\n      is {} at Twilio; {why}\n", account.status)
    });
    let left: Vec<_> = status.accounts.left_suspended.iter().collect();
    part(&mut text, "LEFT SUSPENDED BY WHAT IS GONE", &left, |account| left_text(account, typed));
    let unread: Vec<_> = status.unread.iter().collect();
    part(&mut text, "USAGE THAT IS NOT COUNTED", &unread, |it| {
        let name = with_name(it.account.sid, &it.account.friendly_name);
        let why = wrapped(&format!("since {}: {}", moment(it.since), it.why), 6);
        format!("  {name}\n{why}")
    });
    let (troubled, waiting): (Vec<_>, Vec<_>) = status.orders.orders.iter().partition(|order| {
        matches!(order.state, OrderState::Failing | OrderState::GivenUp) || order.attempts > 1
    });
    part(&mut text, "ORDERS THAT FAIL", &troubled, |order| order_text(status.at, order));
    part(&mut text, "ORDERS THAT WAIT", &waiting, |order| order_text(status.at, order));
    let tokens: Vec<_> = status.tokens.iter().collect();
    part(&mut text, "AUTH TOKENS", &tokens, |token| token_text(token, typed));
    // 4. Who is at work, and on how much.
    text.push('\n');
    text.push_str(&nodes_text(status, typed));
    let accounts = &status.accounts;
    let by_status: Vec<_> =
        accounts.by_status.iter().map(|(status, number)| format!("{number} {status}")).collect();
    let by_status = if by_status.is_empty() { String::new() } else { format!(" ({})", by_status.join(", ")) };
    _ = writeln!(
        text,
        "{}, {}{by_status}, {} waiting",
        count(status.limits.len(), "limit"),
        count(accounts.known, "account"),
        count(usize::try_from(status.orders.waiting).unwrap_or(usize::MAX), "order"),
    );
    text
}

/// A part of the page, if there is something in it.
fn part<T>(text: &mut String, title: &str, items: &[T], shown: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    _ = writeln!(text, "{title}");
    for item in items.iter().take(SHOWN) {
        text.push_str(&shown(item));
    }
    if items.len() > SHOWN {
        _ = writeln!(text, "  … and {} more; --json has them", items.len() - SHOWN);
    }
}

fn closed_text(of: &LimitStatus) -> String {
    let whom = match of.limit.per {
        Per::Together => "all together".to_owned(),
        _ => count(of.wait_for_figure, "account"),
    };
    format!("  \"{}\"\n      through the egress nothing is admitted for {whom} (84040)\n", of.limit.name)
}

fn limit_text(of: &LimitStatus) -> String {
    let watches = if of.limit.enforce { "" } else { "   only watches" };
    let mut text = format!("  \"{}\"{watches}\n", of.limit.name);
    let left_out = of.left_out + (of.sums.len() + of.shares.len()).saturating_sub(OF_A_LIMIT);
    for line in of.sums.iter().take(OF_A_LIMIT) {
        _ = writeln!(text, "      {}\n        {}", of_whom(line), taken(line));
        let (settled, adjusted, reserved) = (&line.settled, &line.adjusted, &line.reserved);
        _ = writeln!(text, "        settled {settled}, adjusted {adjusted}, reserved {reserved}");
    }
    for share in of.shares.iter().take(OF_A_LIMIT.saturating_sub(of.sums.len())) {
        let whom = whom(None, Some(&share.prefix));
        _ = writeln!(text, "      {whom}\n{}", wrapped(&judged(share), 8).trim_end());
    }
    if left_out > 0 {
        _ = writeln!(text, "      … and {left_out} more; ringfence ledger has them");
    }
    text
}

fn heading(breaker: &BreakerView) -> String {
    format!("  \"{}\"\n      {}\n", breaker.limit, whom(breaker.account.as_ref(), breaker.prefix.as_deref()))
}

fn tripped_text(breaker: &BreakerView, typed: &Typed) -> String {
    let mut text = heading(breaker);
    let Some(tripped) = &breaker.tripped else { return text };
    let since = tripped.since.map(|at| format!(" since {}", moment(at))).unwrap_or_default();
    let by = match (&tripped.over_by_use_of, tripped.by_operator) {
        _ if tripped.share.is_some() => {
            let words = tripped.share.as_ref().map(|share| share.words.as_str()).unwrap_or_default();
            format!("as {words}{}", if tripped.by_operator { ", and an operator stopped it" } else { "" })
        }
        (Some(amount), by_operator) => {
            let wanted = tripped.over_by_request_of.as_ref();
            let wanted = wanted.map(|it| format!(", with no room for a request of {it}")).unwrap_or_default();
            format!("by the use of {amount}{wanted}{}", if by_operator { ", and by an operator" } else { "" })
        }
        (None, _) => "by an operator".to_owned(),
    };
    let acts = if tripped.enforced { "" } else { "; it only watches, so nothing was stopped" };
    _ = writeln!(text, "      tripped{since} {by}{acts}");
    if tripped.share.is_none() && breaker.trips_at.is_some() {
        _ = writeln!(text, "      used {} in this window", used(breaker));
    }
    _ = writeln!(
        text,
        "      to lift it:\n        {}",
        reset_command(typed, &breaker.limit, subject(breaker))
    );
    text
}

fn order_text(now: Timestamp, order: &OrderView) -> String {
    let what = match (order.action, order.takes_back) {
        (Some(action), false) => action.name().to_owned(),
        (Some(action), true) => format!("take back {}", action.name()),
        (None, _) => order.kind.clone(),
    };
    let whose = order
        .account
        .as_ref()
        .map(|account| format!(" {}", with_name(account.sid, &account.friendly_name)))
        .unwrap_or_default();
    let mut text = format!("  {what}{whose}\n");
    let tries = count(usize::try_from(order.attempts).unwrap_or(usize::MAX), "try").replace("trys", "tries");
    let state = match order.state {
        OrderState::GivenUp => "given up".to_owned(),
        OrderState::InWork => "being tried now".to_owned(),
        OrderState::Waiting | OrderState::Failing => match order.next_try {
            Some(at) if at > now => format!("next try in {} s", at.duration_since(now).as_secs().max(1)),
            _ => "next try at once".to_owned(),
        },
    };
    _ = writeln!(text, "      ordered {} ago, {tries}, {state}", ago(now, order.ordered_at));
    if let Some(error) = &order.last_error {
        text.push_str(&wrapped(error, 6));
    }
    text
}

/// An account that Ringfence has suspended, and that nothing holds any more.
fn left_text(account: &AccountView, typed: &Typed) -> String {
    let name = with_name(account.sid, &account.friendly_name);
    let resume = typed.command(&format!("account resume {} {REASON}", account.sid));
    format!(
        "  {name}\n      what held it is not in the configuration any more; to let it go:\n        {resume}\n"
    )
}

fn token_text(token: &TokenView, typed: &Typed) -> String {
    let name = with_name(token.account.sid, &token.account.friendly_name);
    let mut text = format!("  {name}\n");
    if token.configuration_outdated {
        text.push_str(&wrapped(
            "the configured auth_token was replaced, and the store's counts in its place: write the new one into the \
             configuration, or a node that begins while the store is away knows only the old one",
            6,
        ));
    }
    if token.state != TokenState::Replaced {
        let since = moment(token.since);
        text.push_str(&wrapped(&format!("being replaced, and since {since} it waits for its next step"), 6));
    }
    _ = writeln!(text, "      {}", typed.command(&format!("token status {}", token.account.sid)));
    text
}

fn nodes_text(status: &Status, typed: &Typed) -> String {
    let mut text = String::new();
    let nodes = &status.nodes.nodes;
    if nodes.iter().all(|node| is_silent(status.at, node)) {
        _ = writeln!(
            text,
            "no node is at work, so nobody looks at what is spent; start\n      {}",
            typed.command("serve")
        );
    }
    for node in nodes {
        let sign = ago(status.at, node.seen_at);
        let is = if is_silent(status.at, node) { "silent" } else { "at work" };
        let limits =
            if status.nodes.limits_agree { String::new() } else { format!(", limits {}", node.limits_hash) };
        _ = writeln!(text, "node {} {is}, last sign {sign} ago{limits}", account_name(&node.name));
        if !node.jobs.is_empty() {
            _ = writeln!(text, "      does {}", node.jobs.join(", "));
        }
    }
    if !status.nodes.limits_agree {
        text.push_str(
            "the nodes have different limits, and those that differ from the applied ones do nothing\n",
        );
    }
    text
}

fn is_silent(now: Timestamp, node: &NodeView) -> bool {
    now.duration_since(node.seen_at) > SILENT
}
