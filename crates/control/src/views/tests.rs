use jiff::Timestamp;
use ringfence_breaker::{Action, Limit, Measure, Per, Probe, Reset, Scope, Threshold, Window};
use ringfence_model::Amount;
use ringfence_store::Wanted;

use super::*;

fn limit(per: Per, scope: Scope) -> AppliedLimit {
    let limit = Limit {
        name: "fifty a day".to_owned(),
        scope,
        per,
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

fn account(number: u128, parent: Option<Sid>) -> Account {
    Account {
        sid: Sid::new(*b"AC", number),
        parent,
        friendly_name: String::new(),
        status: "active".to_owned(),
        auth_token: None,
        created: Timestamp::UNIX_EPOCH,
        changed_at: None,
        first_seen: Timestamp::UNIX_EPOCH,
        last_seen: Timestamp::UNIX_EPOCH,
        gone_at: None,
        wanted: Wanted::AsItIs,
    }
}

#[test]
fn a_sum_has_the_currency_of_its_own_accounts_and_none_where_they_pay_in_several() {
    let german = account(1, None);
    let american = account(2, Some(german.sid));
    let accounts = [german.clone(), american.clone()];
    let currencies: Currencies =
        [(german.sid, "EUR".to_owned()), (american.sid, "USD".to_owned())].into_iter().collect();
    let of = |limit: &AppliedLimit, subject| currency_of(limit, subject, &accounts, &currencies);
    let subaccounts = limit(Per::Together, Scope::Subaccounts);
    assert_eq!(of(&subaccounts, Subject::Together).as_deref(), Some("USD"), "the parent is not in it");
    assert_eq!(of(&limit(Per::Together, Scope::All), Subject::Together), None);
    let each = limit(Per::Account, Scope::All);
    assert_eq!(of(&each, Subject::Account(german.sid)).as_deref(), Some("EUR"));
    assert_eq!(of(&each, Subject::Account(Sid::new(*b"AC", 3))), None, "nobody has seen it");
    let mut messages = each;
    messages.limit.measure = Measure::Count;
    assert_eq!(of(&messages, Subject::Account(german.sid)), None, "it is no money");
}
