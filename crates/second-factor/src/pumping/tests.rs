use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time of the test")
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).expect("a number of the test")
}

fn us() -> Country {
    Country::parse("US").expect("a country of the test")
}

fn shipped() -> Limits {
    Limits::shipped([us()].into())
}

fn keys(scope: Scope<'_>, number: PhoneNumber, asker: &Asker) -> BTreeSet<String> {
    let tags = TagKey::new([1; 32]);
    budgets(&shipped(), scope, number, us(), asker, &tags, at(0)).into_iter().map(|it| it.key).collect()
}

fn asker(address: &str) -> Asker {
    Asker { address: Some(address.parse().expect("an address of the test")), user: Some("anna".to_owned()) }
}

#[test]
fn no_country_is_allowed_by_itself() {
    let nowhere = Limits::shipped(BTreeSet::new());
    assert_eq!(allowed_country(&nowhere, number("+14155550100")), None);
    assert_eq!(allowed_country(&shipped(), number("+14155550100")), Some(us()));
    assert_eq!(allowed_country(&shipped(), number("+14165550100")), None, "Canada was not allowed");
    assert_eq!(allowed_country(&shipped(), number("+19005550100")), None, "premium");
}

#[test]
fn the_consoles_budgets_are_apart_from_every_applications() {
    let to = number("+14155550100");
    let console = keys(Scope::Console, to, &asker("192.0.2.1"));
    let application = keys(Scope::Application("VA1"), to, &asker("192.0.2.1"));
    assert!(console.is_disjoint(&application));
}

#[test]
fn applications_share_the_budget_of_a_number_and_no_other() {
    let to = number("+14155550100");
    let first = keys(Scope::Application("VA1"), to, &asker("192.0.2.1"));
    let second = keys(Scope::Application("VA2"), to, &asker("192.0.2.1"));
    let shared: Vec<_> = first.intersection(&second).collect();
    assert_eq!(shared.len(), 3);
    assert!(shared.iter().all(|key| key.starts_with("number/")), "{shared:?}");
}

#[test]
fn a_key_holds_no_number_address_or_user() {
    for key in keys(Scope::Application("VA1"), number("+14155550100"), &asker("192.0.2.1")) {
        assert!(!key.contains("0100") && !key.contains("192.0.2") && !key.contains("anna"), "{key}");
    }
}

#[test]
fn a_household_of_ipv6_is_one_address() {
    let to = number("+14155550100");
    let one = keys(Scope::Console, to, &asker("2001:db8::1"));
    assert_eq!(one, keys(Scope::Console, to, &asker("2001:db8::ffff:2")));
    assert_ne!(one, keys(Scope::Console, to, &asker("2001:db8:0:1::1")));
    assert_eq!(
        keys(Scope::Console, to, &asker("192.0.2.1")),
        keys(Scope::Console, to, &asker("::ffff:192.0.2.1"))
    );
}

#[test]
fn a_prefix_is_all_but_the_last_four_digits() {
    assert_eq!(prefix(number("+14155550100")), "+1415555");
    assert_eq!(prefix(number("+1234")), "+");
}

#[test]
fn a_prefix_where_nobody_enters_a_code_is_stopped_with_the_fiftieth_send() {
    let mut conversion = Conversion::default();
    let mut sends = 0;
    while let Ok(next) = conversion.sent(at(sends)) {
        conversion = next;
        sends += 1;
    }
    assert_eq!(sends, i64::from(STOPPED_AFTER));
    let until = conversion.stopped_until.expect("it is stopped");
    assert_eq!(until, at(sends - 1) + STOPPED_FOR);
    assert_eq!(
        conversion.converted().sent(at(sends)),
        Err(Stopped { until }),
        "one entered code is not enough"
    );
    let again = conversion.sent(until).expect("its time is over");
    assert_eq!(again, Conversion { balance: 1, stopped_until: None });
}

#[test]
fn a_prefix_where_one_code_in_four_is_entered_is_never_stopped() {
    let mut conversion = Conversion::default();
    for send in 0..1_000 {
        conversion = conversion.sent(at(send)).expect("it is not stopped");
        if send % 4 == 0 {
            conversion = conversion.converted();
        }
    }
}

#[test]
fn sends_that_never_left_count_for_nothing_and_open_what_they_stopped() {
    let stopped =
        |sends: i64| (0..sends).try_fold(Conversion::default(), |conversion, send| conversion.sent(at(send)));
    let last = i64::from(STOPPED_AFTER) - 1;
    let conversion = stopped(last + 1).expect("they are sent");
    let until = conversion.stopped_until.expect("it is stopped");
    let after = conversion.taken_back(at(3), at(60));
    assert_eq!(after, Conversion { balance: STOPPED_AFTER - 1, stopped_until: None }, "one of the fifty");
    assert_eq!(after.sent(at(61)).expect("one more").stopped_until, Some(at(61) + STOPPED_FOR));
    assert_eq!(conversion.taken_back(at(last), at(60)), after, "the fiftieth");
    assert_eq!(conversion.taken_back(at(last + 1), at(99)), conversion, "it went to a known number");
    assert_eq!(conversion.taken_back(at(3), until), conversion, "it begins anew by itself");
    assert_eq!(Conversion::default().taken_back(at(0), at(1)), Conversion::default());
}

proptest! {
    /// Within one window of the clock a budget never lets more through than its cap, whatever the times are.
    #[test]
    fn a_window_never_has_more_than_its_cap(times in prop::collection::vec(-10_000_i64..10_000, 0..300), most in 1_u32..20, seconds in 1_u32..4_000) {
        let mut counts: BTreeMap<(String, Timestamp), u32> = BTreeMap::new();
        let cap = Cap { most, seconds };
        for time in times {
            let budget = Budget::new(Of::Total, "x", cap, at(time));
            prop_assert!(at(time) < budget.ends_at);
            prop_assert!(budget.ends_at.duration_since(at(time)).as_secs() <= i64::from(seconds));
            let count = counts.entry((budget.key, budget.ends_at)).or_default();
            if *count < budget.most {
                *count += 1;
            }
        }
        prop_assert!(counts.values().all(|count| *count <= most));
    }
}
