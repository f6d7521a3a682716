//! What one request holds that leads to several things, and whom an applied limit binds.

use std::sync::Arc;

use ringfence_model::{PhoneNumber, Sid};

use super::*;
use crate::{
    AppliedLimit, Asked, Charge, DialPrefix, Hold, Line, ScopedAccount, Subject, Unseen, holds_together,
};

const NOON: &str = "2026-03-05T12:00:00Z";

fn account(number: u128) -> Sid {
    Sid::new(*b"AC", number)
}

fn of(number: u128) -> ScopedAccount<'static> {
    let parent = Some(account(9)).filter(|parent| *parent != account(number));
    ScopedAccount { sid: account(number), parent, friendly_name: "shop", created: at(NOON) }
}

fn applied(name: &str, limit: Limit) -> Arc<AppliedLimit> {
    Arc::new(AppliedLimit { limit: Limit { name: name.to_owned(), ..limit }, since: at(NOON) })
}

fn costs(micros: i64) -> Charge {
    let price = Amount::from_micros(micros);
    Charge { lines: vec![Line { categories: &["totalprice"], price, usage: dollars(1), count: dollars(1) }] }
}

fn asked<'a>(number: u128, to: &str, charge: &'a Charge) -> Asked<'a> {
    let destination = PhoneNumber::parse(to).ok();
    Asked { account: of(number), credential: None, tenant: None, destination, charge }
}

#[test]
fn nobody_is_held_to_a_limit_that_came_after_the_window() {
    let day = applied("day", fifty_a_day());
    assert!(day.came_after(at("2026-03-04T23:59:59Z")), "yesterday was over");
    assert!(!day.came_after(at("2026-03-05T00:00:00Z")), "today goes on");
    assert!(!day.came_after(at("2026-03-06T00:00:00Z")));
    let from_midnight = AppliedLimit { since: at("2026-03-05T00:00:00Z"), ..(*day).clone() };
    assert!(from_midnight.came_after(at("2026-03-04T12:00:00Z")), "it ended as the limit came");
    let forever = applied("ever", Limit { window: Window::Alltime, ..fifty_a_day() });
    assert!(!forever.came_after(at("2020-01-01T00:00:00Z")), "what never ends has not ended");
}

#[test]
fn a_breaker_watches_an_account_or_all_together_or_none_for_each_prefix() {
    let subject = |per, number| applied("it", Limit { per, ..fifty_a_day() }).subject(&of(number));
    assert_eq!(subject(Per::Account, 1), Some(Subject::Account(account(1))));
    assert_eq!(subject(Per::Together, 1), Some(Subject::Together));
    assert_eq!(subject(Per::Prefix, 1), None);
    assert_eq!(subject(Per::Account, 9), None, "a parent is no subaccount");
}

#[test]
fn what_comes_beside_is_held_with_the_first_and_told_by_no_list() {
    let known = Unseen { within: 86_400, known_after: 3_600 };
    let limits = [
        applied("z", fifty_a_day()),
        applied("all", Limit { per: Per::Together, unseen: Some(known), ..fifty_a_day() }),
        applied("prefix", Limit { per: Per::Prefix, ..fifty_a_day() }),
    ];
    let (first, second, third) = (costs(1), costs(20), costs(300));
    let first = asked(1, "+447911123456", &first);
    let beside = [asked(1, "+33612345678", &second), asked(2, "+447911123456", &third)];
    let together = holds_together(&limits, &first, &beside);
    let said: Vec<_> = together
        .iter()
        .map(|Hold { limit, subject, amount, told, places }| {
            let places = places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            (&*limit.limit.name, *subject, amount.micros(), told.micros(), places)
        })
        .collect();
    let prefix = |text: &str| Subject::Prefix(text.parse::<DialPrefix>().expect("a prefix"));
    let none = String::new;
    assert_eq!(
        said,
        [
            ("all", Subject::Together, 321, 1, "+447 +336 +447".to_owned()),
            ("prefix", prefix("+336"), 20, 0, none()),
            ("prefix", prefix("+447"), 301, 1, none()),
            ("z", Subject::Account(account(1)), 21, 1, none()),
            ("z", Subject::Account(account(2)), 300, 0, none()),
        ]
    );
}
