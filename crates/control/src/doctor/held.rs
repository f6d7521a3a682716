//! `limits`, `triggers`, `near-limits`: what holds the money.

use jiff::Timestamp;
use ringfence_breaker::ScopedAccount;
use ringfence_model::Sid;

use super::Words;
use super::facts::Account;
use super::finding::{Check, Finding, Mend};
use crate::notices::{Severity, one_line};
use crate::plan::Change;
use crate::views::{BreakerView, NodeView, PhaseName, Status};
use crate::wanted::AppliedLimit;

/// A node that gave no sign for so long is not at work; it gives one each second.
const SILENT_S: i64 = 30;

/// From so many per cent of a limit on, an account is near it.
pub(super) const NEAR: u64 = 80;

/// Accounts that no limit holds, limits that do not hold yet, and nobody who holds them.
pub(super) fn limits(
    accounts: &[Account],
    limits: &[AppliedLimit],
    not_applied: &[String],
    status: &Status,
    now: Timestamp,
    words: &Words,
) -> Vec<Finding> {
    let (unread, nodes) = (&status.unread, &status.nodes.nodes);
    let mut findings = Vec::new();
    for account in accounts {
        let scoped = ScopedAccount {
            sid: account.sid,
            parent: account.parent,
            friendly_name: &account.name,
            // One whose beginning Twilio does not tell is no new one.
            created: account.created.unwrap_or(Timestamp::UNIX_EPOCH),
        };
        let covers = |applied: &&AppliedLimit| applied.subject(&scoped).is_some();
        let mut covering = limits.iter().filter(covers).peekable();
        if covering.peek().is_none() {
            findings.push(no_limit(account, limits));
        } else if covering.all(|applied| !applied.limit.enforce) {
            findings.push(Finding {
                severity: Severity::Warning,
                what: format!("Limits only watch the account {} (enforce = false)", account.sid),
                why: "What it spends is counted, and nothing stops it.".to_owned(),
                mend: Mend::by(
                    "See what they would have done, then take enforce = false away",
                    words.command("report"),
                ),
                ..no_limit(account, limits)
            });
        }
    }
    for (number, difference) in not_applied.iter().enumerate() {
        findings.push(of_installation(
            Severity::Critical,
            &format!("configuration/{number}"),
            format!("The limits of the configuration are not those that hold: {difference}"),
            "What was written last protects nobody yet.",
            Mend::by("Apply them", words.command("limits apply")),
        ));
    }
    for it in unread {
        findings.push(Finding {
            account: Some(it.account.sid),
            ..of_installation(
                Severity::Critical,
                "usage",
                format!(
                    "What {} uses is not counted since {}: {}",
                    it.account.sid,
                    it.since,
                    one_line(&it.why, 200)
                ),
                "Its limits see nothing of what is spent there, and no poll trips them.",
                Mend::by("Mend what is told; `status` shows when it is read again", words.command("status")),
            )
        });
    }
    let is_at_work = |node: &NodeView| now.duration_since(node.seen_at).as_secs() < SILENT_S;
    if !limits.is_empty() && !nodes.iter().any(is_at_work) {
        findings.push(of_installation(
            Severity::Critical,
            "node",
            "No node is at work, so nobody holds the limits".to_owned(),
            "What is spent is not read, and a usage trigger that fires reaches nobody.",
            Mend::by("Start one", words.command("serve")),
        ));
    }
    findings
}

fn no_limit(account: &Account, limits: &[AppliedLimit]) -> Finding {
    let (whose, scope, name) = match account.parent {
        Some(_) => ("subaccount", "subaccounts", "each subaccount"),
        None => ("account", "parent", "the parent itself"),
    };
    // Whoever pastes it has the others beside it, and a name is there once.
    let is_free = |name: &String| limits.iter().all(|applied| applied.limit.name != *name);
    let others = (2_u32..).map(|number| format!("{name} {number}"));
    let name = std::iter::once(name.to_owned()).chain(others).find(is_free).unwrap_or_default();
    Finding {
        check: Check::Limits,
        severity: Severity::Critical,
        account: Some(account.sid),
        place: "limit".to_owned(),
        what: format!("No limit holds for the {whose} {}", account.sid),
        why: "A stolen token or a loop in a program spends there until somebody sees the bill.".to_owned(),
        mend: Mend::by(
            "Give it one in the configuration (docs/limits.md), then apply it",
            format!(
                "[[limit]]\nname = \"{name}\"\nscope = \"{scope}\"\nwindow = \"daily\"\nat = \"50\"\nthen = [\"{}\", \"notify\"]",
                if account.parent.is_some() { "suspend" } else { "close-geo" }
            ),
        ),
    }
}

fn of_installation(severity: Severity, place: &str, what: String, why: &str, mend: Mend) -> Finding {
    Finding {
        check: Check::Limits,
        severity,
        account: None,
        place: place.to_owned(),
        what,
        why: why.to_owned(),
        mend,
    }
}

/// What would have to be changed for the triggers to be as the limits want them.
pub(super) fn triggers(changes: &[Change], words: &Words) -> Vec<Finding> {
    let finding = |change: &Change| {
        let (severity, place, what) = match change {
            Change::Create(wanted) => (
                Severity::Critical,
                wanted.limit.clone(),
                format!("The limit \"{}\" has no usage trigger on {}", wanted.limit, wanted.account),
            ),
            Change::Replace { wanted, old } => (
                Severity::Critical,
                wanted.limit.clone(),
                format!("The usage trigger {old} of the limit \"{}\" watches something else", wanted.limit),
            ),
            Change::Redirect { wanted, trigger } => (
                Severity::Critical,
                wanted.limit.clone(),
                format!("The usage trigger {trigger} of the limit \"{}\" calls another URL", wanted.limit),
            ),
            Change::Delete { trigger, .. } => (
                Severity::Info,
                trigger.to_string(),
                format!("The usage trigger {trigger} is Ringfence's, and no limit wants it"),
            ),
        };
        Finding {
            check: Check::Triggers,
            severity,
            account: Some(change.account()),
            place,
            what,
            why: "Without it a limit is found reached at the next poll of Twilio's records, and not at all while Ringfence \
                  is away."
                .to_owned(),
            mend: Mend::by("Bring them in line; `limits plan` shows before what that changes", words.command("limits apply")),
        }
    };
    changes.iter().map(finding).collect()
}

/// There are limits, and nothing that triggers could call.
pub(super) fn no_trigger_route() -> Finding {
    Finding {
        check: Check::Triggers,
        severity: Severity::Warning,
        account: None,
        place: "route".to_owned(),
        what: "No route takes usage triggers".to_owned(),
        why: "A limit is found reached at the next poll of Twilio's records, and not at all while Ringfence is away."
            .to_owned(),
        mend: Mend::by(
            "Add a route for them, with the public URL of the gate",
            "[[route]]\npath = \"/ringfence/trigger\"\npublic_url = \"https://hooks.example.com\"\nupstream = \
             \"breaker\"\ncheck = \"signature\"",
        ),
    }
}

/// Breakers that will trip soon, or have.
pub(super) fn near(breakers: &[BreakerView], words: &Words) -> Vec<Finding> {
    let is_near = |breaker: &&BreakerView| {
        breaker.phase == PhaseName::Tripped || breaker.percent.is_some_and(|percent| percent >= NEAR)
    };
    let finding = |breaker: &BreakerView| {
        let account: Option<Sid> = breaker.account.as_ref().map(|account| account.sid);
        let whose = account.map_or_else(|| "all its accounts together".to_owned(), |sid| sid.to_string());
        let is_tripped = breaker.phase == PhaseName::Tripped;
        let of = breaker.trips_at.as_ref().map(|at| format!(" of {at}")).unwrap_or_default();
        Finding {
            check: Check::NearLimits,
            severity: Severity::Warning,
            account,
            place: breaker.limit.clone(),
            what: if is_tripped {
                format!("The limit \"{}\" is tripped for {whose}", breaker.limit)
            } else {
                format!("{}{of} is used of the limit \"{}\" for {whose}", breaker.used, breaker.limit)
            },
            why: if is_tripped {
                "What it stops stays stopped until an operator or the next window lifts it."
            } else {
                "When it is reached, what the limit orders happens: the account is suspended, or its calls end."
            }
            .to_owned(),
            mend: if is_tripped {
                Mend::by("See why, and how to lift it", words.command("status"))
            } else {
                Mend::by(
                    "See whether that is honest traffic; if it is, raise `at` in the [[limit]]",
                    words.command("status"),
                )
            },
        }
    };
    breakers.iter().filter(is_near).map(finding).collect()
}

#[cfg(test)]
mod tests {
    use ringfence_breaker::{Action, Limit, Measure, Per, Probe, Reset, Scope, Threshold, Window};
    use ringfence_model::Amount;

    use super::*;

    fn named(name: &str) -> AppliedLimit {
        let limit = Limit {
            name: name.to_owned(),
            scope: Scope::Account(Sid::new(*b"AC", 9)),
            per: Per::Account,
            measure: Measure::Price,
            category: "totalprice".to_owned(),
            window: Window::Daily,
            at: Threshold::At(Amount::from_units(50)),
            burst: None,
            unseen: None,
            warn: vec![],
            then: vec![Action::Notify],
            probe: Probe::Percent(10),
            reset: Reset::Manual,
            enforce: true,
        };
        AppliedLimit { limit, since: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn the_limit_that_is_proposed_has_a_name_that_no_other_has() {
        let parent = Sid::new(*b"AC", 1);
        let of = |parent| Account {
            sid: Sid::new(*b"AC", 2),
            parent,
            name: "one".to_owned(),
            created: None,
            own: None,
            api: None,
        };
        let proposed = |account: &Account, names: &[&str]| {
            let limits: Vec<_> = names.iter().map(|name| named(name)).collect();
            no_limit(account, &limits).mend.command.expect("lines to paste")
        };
        let (itself, sub) = (of(None), of(Some(parent)));
        assert!(
            proposed(&itself, &["fifty a day"]).contains("name = \"the parent itself\"\nscope = \"parent\"")
        );
        assert!(proposed(&sub, &[]).contains("name = \"each subaccount\"\nscope = \"subaccounts\""));
        let taken = ["the parent itself", "the parent itself 2"];
        assert!(proposed(&itself, &taken).contains("name = \"the parent itself 3\""));
    }
}
