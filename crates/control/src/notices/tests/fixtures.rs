//! Notices of every kind.

use jiff::Timestamp;
use ringfence_breaker::{Action, Measure, Window};
use ringfence_model::{Amount, Sid};

use super::super::*;

pub(super) const SID: &str = "AC0123456789abcdef0123456789abcdef";

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn account(name: &str) -> Account {
    Account { sid: Sid::parse(SID).unwrap(), name: name.to_owned() }
}

pub(super) fn who(name: &str) -> Who {
    Who::Account(account(name))
}

pub(super) fn usage(used: &str) -> Usage {
    Usage {
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        unit: "USD".to_owned(),
        window: Window::Daily,
        since: at("2026-11-26T00:00:00Z"),
        used: used.parse().unwrap(),
        trips_at: Amount::from_units(50),
        judged: None,
        wanted: None,
    }
}

pub(super) fn operator() -> Operator {
    Operator { by: "user ana".to_owned(), reason: "the campaign is ours".to_owned() }
}

pub(super) fn notice(event: Event) -> Notice {
    Notice { at: at("2026-11-26T01:50:42.5Z"), event }
}

pub(super) fn tripped(name: &str, limit: &str) -> Notice {
    notice(Event::Tripped {
        who: who(name),
        limit: limit.to_owned(),
        cause: Cause::Usage(usage("54.2")),
        ordered: vec![Action::Suspend, Action::EndCalls, Action::Notify],
        lifts: None,
    })
}

/// One of each kind, with these names in all of them.
pub(super) fn all(name: &str, limit: &str) -> Vec<Notice> {
    let earlier = at("2026-11-26T01:50:40Z");
    let trigger = Sid::parse("UT0123456789abcdef0123456789abcdef").unwrap();
    let limit = || limit.to_owned();
    let events = [
        Event::Warning { who: who(name), limit: limit(), usage: usage("41"), level: 80 },
        tripped(name, &limit()).event,
        Event::Tripped {
            who: Who::Together,
            limit: limit(),
            cause: Cause::Operator(operator()),
            ordered: vec![Action::CloseGeo],
            lifts: Some(at("2026-11-27T00:00:00Z")),
        },
        Event::WouldTrip { who: who(name), limit: limit(), usage: usage("50"), would: vec![Action::Suspend] },
        Event::InForce {
            account: account(name),
            limit: limit(),
            actions: vec![Action::Suspend, Action::EndCalls],
            tripped: earlier,
        },
        Event::ActionFails {
            account: account(name),
            limit: limit(),
            action: Action::Suspend,
            tripped: earlier,
            why: "accounts.update: refused with HTTP 500".to_owned(),
            tries: 5,
        },
        Event::ActiveAgain { account: account(name), limit: limit(), changed: earlier },
        Event::TriggerRestored {
            account: account(name),
            limit: limit(),
            trigger,
            change: TriggerChange::Deleted,
        },
        Event::TriggerRestored {
            account: account(name),
            limit: limit(),
            trigger,
            change: TriggerChange::Changed { what: "the callback URL".to_owned(), changed: earlier },
        },
        Event::RuleRestored {
            account: account(name),
            url: "https://hooks.example.com/twilio/".to_owned(),
            rule: "webhooks_rule_0123".to_owned(),
            is_for: "https://evil.example/".to_owned(),
        },
        Event::Reset {
            who: who(name),
            limit: limit(),
            operator: operator(),
            allowed: Some(Allowance {
                amount: Amount::from_units(5),
                measure: Measure::Price,
                unit: "USD".to_owned(),
            }),
        },
        Event::Lifted {
            who: who(name),
            limit: limit(),
            window: Window::Daily,
            since: at("2026-11-27T00:00:00Z"),
        },
        Event::LimitGone {
            limit: limit(),
            accounts: vec![account(name), Account { sid: Sid::new(*b"AC", 9), name: "Shop".to_owned() }],
            by: "job limits".to_owned(),
        },
        Event::SuspendedByTwilio { account: account(name), changed: earlier },
        Event::PrefixStopped {
            application: Sid::new(*b"VA", 7),
            name: name.to_owned(),
            prefix: "+1415555".to_owned(),
            unconverted: 50,
            until: at("2026-11-28T00:00:00Z"),
        },
        Event::Found {
            check: "webhook-https".to_owned(),
            severity: Severity::Critical,
            findings: vec![format!("sms_url of the number PN1 leads to http://{name}/sms, without TLS")],
            more: 2,
            why: "Whoever is on the way reads along.".to_owned(),
            mend: "Have the gate take it".to_owned(),
        },
        Event::Mended { check: "webhook-https".to_owned(), places: vec!["PN1/sms_url".to_owned()], more: 0 },
        token(name, TokenStage::Made),
        token(name, TokenStage::Promoted),
        token(name, TokenStage::Undone),
        Event::Test { by: name.to_owned() },
    ];
    events.into_iter().map(notice).collect()
}

fn token(name: &str, stage: TokenStage) -> Event {
    Event::TokenRotates { account: account(name), stage, operator: operator() }
}
