use super::*;
use crate::world::faults::UsageDelay;
use crate::world::testing::{at, new_world, pass};
use crate::world::{World, accounts};
use ringfence_twilio::wire::Iso8601;

fn text(world: &mut World, account: Sid) {
    let categories = &["sms", "sms-outbound", "sms-outbound-longcode"];
    book(world, Use { account, categories, count: 1, usage: 2, price_micros: 16_600 });
}

/// What the main account is known to have used of `sms` today.
fn seen(world: &mut World) -> u64 {
    catch_up(world);
    let (main, day) = (world.accounts.main(), today(world));
    between(world, Whose::Account(main), "sms", day, day).count
}

#[test]
fn usage_is_not_seen_before_the_lag_has_passed() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    text(&mut world, main);
    pass(&mut world, 59);
    assert_eq!(seen(&mut world), 0);
    pass(&mut world, 1);
    assert_eq!(seen(&mut world), 1);
    assert_eq!(as_of(&world), at("2026-11-25T12:00:00Z"));
}

#[test]
fn without_a_lag_usage_is_seen_at_once() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    world.settings.usage_lag_s = 0;
    let main = world.accounts.main();
    text(&mut world, main);
    assert_eq!(seen(&mut world), 1);
}

#[test]
fn a_shorter_lag_takes_effect_and_a_longer_one_hides_nothing_that_was_seen() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    text(&mut world, main);
    pass(&mut world, 10);
    assert_eq!(seen(&mut world), 0);
    world.settings.usage_lag_s = 10;
    assert_eq!(seen(&mut world), 1);

    world.settings.usage_lag_s = 3600;
    text(&mut world, main);
    pass(&mut world, 3599);
    assert_eq!(seen(&mut world), 1, "the first is still seen, the second not yet");
    pass(&mut world, 1);
    assert_eq!(seen(&mut world), 2);
}

#[test]
fn frozen_data_stands_still_and_catches_up() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    set_delay(
        &mut world,
        UsageDelay { frozen_until: Some(Iso8601(at("2026-11-25T18:00:00Z"))), extra_lag_s: 0 },
    );
    text(&mut world, main);
    pass(&mut world, 6 * 3600 - 1);
    assert_eq!(seen(&mut world), 0);
    assert_eq!(as_of(&world), at("2026-11-25T11:59:00Z"));
    pass(&mut world, 1);
    assert_eq!(seen(&mut world), 1);
    assert_eq!(as_of(&world), at("2026-11-25T17:59:00Z"));
}

#[test]
fn an_extra_lag_is_added_to_the_usual_one() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    set_delay(&mut world, UsageDelay { frozen_until: None, extra_lag_s: 600 });
    let main = world.accounts.main();
    text(&mut world, main);
    pass(&mut world, 659);
    assert_eq!(seen(&mut world), 0);
    pass(&mut world, 1);
    assert_eq!(seen(&mut world), 1);
}

#[test]
fn usage_belongs_to_the_day_on_which_it_was_used_not_to_that_on_which_it_is_seen() {
    let mut world = new_world("2026-11-30T23:59:50Z");
    let main = world.accounts.main();
    text(&mut world, main);
    pass(&mut world, 60);
    assert_eq!(seen(&mut world), 0, "it is December");
    let november = "2026-11-30".parse().unwrap();
    assert_eq!(between(&world, Whose::Account(main), "sms", november, november).count, 1);
    assert_eq!(ever(&world, Whose::Account(main), "sms").usage, 2);
}

#[test]
fn the_total_price_is_booked_once_however_many_categories_count_it() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    text(&mut world, main);
    assert_eq!(spent_micros(&world, main), 16_600, "the balance knows at once");
    pass(&mut world, 60);
    catch_up(&mut world);
    assert_eq!(
        ever(&world, Whose::Account(main), TOTAL_PRICE),
        Amounts { count: 0, usage: 0, price_micros: 16_600 }
    );
}

#[test]
fn a_parent_counts_its_subaccounts_and_a_subaccount_only_itself() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    let sub = accounts::create(&mut world, main, "Sub".to_owned());
    text(&mut world, main);
    text(&mut world, sub);
    pass(&mut world, 60);
    catch_up(&mut world);
    let count = |account, with| ever(&world, whose(&world, account, with), "sms").count;
    assert_eq!((count(main, true), count(main, false), count(sub, true)), (2, 1, 1));
}

#[test]
fn what_is_booked_by_hand_counts_in_the_wider_categories_and_may_lie_in_the_past() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    let then = Some(at("2026-10-31T23:59:59Z"));
    book_by_hand(&mut world, main, "sms-inbound-shortcode", 3, 4, 50_000, then);
    let october = "2026-10-31".parse().unwrap();
    for category in ["sms-inbound-shortcode", "sms-inbound", "sms"] {
        assert_eq!(between(&world, Whose::Account(main), category, october, october).count, 3, "{category}");
    }
    assert_eq!(ever(&world, Whose::Account(main), TOTAL_PRICE).price_micros, 50_000);
    book_by_hand(&mut world, main, TOTAL_PRICE, 1, 1, 1_000_000, then);
    assert_eq!(ever(&world, Whose::Account(main), TOTAL_PRICE).price_micros, 1_050_000, "booked once");
    assert_eq!(first_day(&world, Whose::Account(main)), Some(october));
}

#[test]
fn old_usage_takes_no_more_memory_however_much_of_it_there_was() {
    let mut world = new_world("2026-11-25T00:00:00Z");
    let main = world.accounts.main();
    for _ in 0..10_000 {
        text(&mut world, main);
        pass(&mut world, 1);
        catch_up(&mut world);
    }
    assert!(world.usage.young.len() <= 60);
    let sums = world.usage.sums.values().flat_map(HashMap::values);
    let days: usize = sums.map(|sums| sums.days.len()).sum();
    assert_eq!(
        days,
        2 * 4,
        "three categories and the total price on one day, of the account and of its family"
    );
}

#[test]
fn sums_do_not_overflow() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    world.settings.usage_lag_s = 0;
    let main = world.accounts.main();
    for _ in 0..3 {
        book_by_hand(&mut world, main, "calls", u64::MAX, u64::MAX, i64::MAX, None);
    }
    catch_up(&mut world);
    assert_eq!(ever(&world, Whose::Account(main), "calls").count, u64::MAX);
    assert_eq!(spent_micros(&world, main), i64::MAX);
}
