use ringfence_breaker::{Action, Per, Probe, Reset, Scope, Threshold};

use super::*;

const URL: &str = "https://hooks.example.com/ringfence/triggers";

fn limit(name: &str, at: i64) -> Limit {
    Limit {
        name: name.to_owned(),
        scope: Scope::Subaccounts,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(at)),
        burst: None,
        unseen: None,
        warn: vec![80],
        then: vec![Action::Suspend],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

const fn account(number: u128) -> Sid {
    Sid::new(*b"AC", number)
}

fn wanted(name: &str, at: i64) -> Wanted {
    Wanted::of(&limit(name, at), account(1), None).expect("Twilio has daily triggers")
}

/// What Twilio answers to a request.
fn at_twilio(request: &NewUsageTrigger, number: u128) -> UsageTrigger {
    UsageTrigger {
        sid: Sid::new(*b"UT", number).to_string(),
        account_sid: account(1).to_string(),
        api_version: None,
        friendly_name: request.friendly_name.clone(),
        usage_category: request.usage_category.clone(),
        trigger_by: request.trigger_by.clone().expect("always given"),
        trigger_value: format!("{}.000000", request.trigger_value),
        current_value: None,
        recurring: request.recurring.clone(),
        callback_url: Some(request.callback_url.clone()),
        callback_method: Some("POST".to_owned()),
        date_fired: None,
        date_created: None,
        date_updated: None,
        usage_record_uri: None,
        uri: String::new(),
    }
}

fn mark() -> Mark {
    Mark::new("a1b2c3")
}

fn made(wanted: &Wanted, number: u128) -> UsageTrigger {
    at_twilio(&wanted.request(&mark(), URL), number)
}

fn planned(wanted: &[Wanted], there: Vec<UsageTrigger>) -> Plan {
    plan(wanted, &BTreeMap::from([(account(1), there)]), &mark(), URL)
}

const fn ut(number: u128) -> Sid {
    Sid::new(*b"UT", number)
}

#[test]
fn triggers_of_others_are_never_touched() {
    let theirs =
        UsageTrigger { friendly_name: Some("ops: 50 a day".to_owned()), ..made(&wanted("a", 50), 1) };
    let nameless = UsageTrigger { friendly_name: None, ..theirs.clone() };
    let other_installation = at_twilio(&wanted("a", 50).request(&Mark::new("ffffff"), URL), 2);
    // It begins as ours do, and is no trigger of a limit.
    let by_hand = UsageTrigger { friendly_name: Some("ringfence a1b2c3 mine".to_owned()), ..theirs.clone() };
    let plan = planned(&[], vec![theirs, nameless, other_installation, by_hand]);
    assert_eq!(plan, Plan { foreign: 4, ..Plan::default() });
}

#[test]
fn accounts_that_could_not_be_read_are_left_alone() {
    let wanted = [wanted("a", 50)];
    assert_eq!(plan(&wanted, &BTreeMap::new(), &mark(), URL), Plan::default());
}

#[test]
fn what_is_missing_is_made_and_what_is_right_is_kept() {
    let (one, two) = (wanted("one", 50), wanted("two", 60));
    let plan = planned(&[one.clone(), two.clone()], vec![made(&one, 1)]);
    assert_eq!(plan.changes, [Change::Create(two)]);
    assert_eq!(plan.kept, [Kept { account: account(1), limit: "one".to_owned(), trigger: ut(1) }]);
}

#[test]
fn another_value_category_measure_or_window_is_another_trigger() {
    let there = made(&wanted("one", 50), 1);
    let changed = [
        Limit { at: Threshold::At(Amount::from_units(51)), ..limit("one", 50) },
        Limit { category: "sms".to_owned(), ..limit("one", 50) },
        Limit { measure: Measure::Count, ..limit("one", 50) },
        Limit { window: Window::Monthly, ..limit("one", 50) },
    ];
    for limit in changed {
        let wanted = Wanted::of(&limit, account(1), None).expect("Twilio has it");
        let plan = planned(std::slice::from_ref(&wanted), vec![there.clone()]);
        assert_eq!(plan.changes, [Change::Replace { wanted, old: ut(1) }]);
    }
}

#[test]
fn a_trigger_that_calls_elsewhere_is_turned_back() {
    let one = wanted("one", 50);
    let elsewhere = UsageTrigger { callback_url: Some("https://evil.example".to_owned()), ..made(&one, 1) };
    let by_get = UsageTrigger { callback_method: Some("GET".to_owned()), ..made(&one, 1) };
    for there in [elsewhere, by_get] {
        let plan = planned(std::slice::from_ref(&one), vec![there]);
        assert_eq!(plan.changes, [Change::Redirect { wanted: one.clone(), trigger: ut(1) }]);
    }
}

#[test]
fn what_no_limit_wants_goes_and_so_does_what_is_there_twice() {
    let (one, two) = (wanted("one", 50), wanted("two", 60));
    let plan = planned(std::slice::from_ref(&one), vec![made(&two, 7), made(&one, 9), made(&one, 8)]);
    let gone: Vec<_> = plan
        .changes
        .iter()
        .map(|change| match change {
            Change::Delete { trigger, .. } => *trigger,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(gone, [ut(9), ut(7)]);
    assert_eq!(plan.kept[0].trigger, ut(8));
}

#[test]
fn a_plan_that_was_carried_out_plans_nothing() {
    let long = "a name so long that it does not fit into the sixty-four characters of Twilio, äöü".to_owned();
    let all = [wanted("one", 50), wanted("two", 60), wanted(&long, 70), wanted(&format!("{long}!"), 80)];
    let there: Vec<_> = planned(&all, vec![])
        .changes
        .iter()
        .enumerate()
        .map(|(number, change)| match change {
            Change::Create(wanted) => made(wanted, number as u128),
            other => panic!("{other:?}"),
        })
        .collect();
    for trigger in &there {
        assert!(trigger.friendly_name.as_ref().expect("a name").chars().count() <= FRIENDLY_NAME_MAX);
    }
    let plan = planned(&all, there);
    assert_eq!(plan.changes, []);
    assert_eq!(plan.kept.len(), 4);
}

#[test]
fn twilio_watches_days_and_months_but_no_minutes_and_no_limit_before_its_first_look() {
    let minute = Limit { window: Window::Minute, ..limit("one", 50) };
    assert_eq!(Wanted::of(&minute, account(1), None), None);
    let from_now_on =
        Limit { window: Window::Alltime, at: Threshold::More(Amount::from_units(5)), ..limit("one", 50) };
    assert_eq!(Wanted::of(&from_now_on, account(1), None), None);
    let wanted = Wanted::of(&from_now_on, account(1), Some(Amount::from_units(7))).expect("it was looked at");
    assert_eq!((wanted.value, wanted.recurring), (Amount::from_units(12), Recurring::Alltime));
}
