use super::*;
use crate::world::accounts;
use crate::world::faults::WebhookFault;
use crate::world::testing::{at, new_world, pass};
use crate::world::usage::book_by_hand;
use crate::world::webhooks::{Answer, Delivery, DeliveryState, Method, Try, TryResult};

fn trigger(world: &mut World, account: Sid, recurring: Option<Period>) -> Sid {
    let sid = world.ids.sid(*b"UT");
    let callback = Target { url: "http://app.example/trigger".to_owned(), method: Method::Post };
    let trigger = Trigger {
        sid,
        account,
        friendly_name: String::new(),
        category: "totalprice".to_owned(),
        by: TriggerBy::Price,
        value_micros: 50_000_000,
        recurring,
        callback,
        fired: None,
        created: world.now,
        updated: world.now,
    };
    add(world, trigger);
    sid
}

fn spend(world: &mut World, account: Sid, dollars: i64) {
    book_by_hand(world, account, "calls-outbound", 1, 1, dollars * 1_000_000, None);
}

/// What was sent, oldest first.
fn sent(world: &World) -> Vec<&Delivery> {
    world.webhooks.log.newest_first().rev().collect()
}

fn param<'a>(delivery: &'a Delivery, name: &str) -> &'a str {
    delivery.webhook.params.iter().find(|(it, _)| *it == name).map_or("absent", |(_, value)| value)
}

/// The application answers what has left with this status.
fn answer(world: &mut World, status: u16) {
    for outgoing in std::mem::take(&mut world.outgoing) {
        let result = TryResult::Answered(Answer { status, ..Answer::default() });
        let tried =
            Try { at: world.now, url: outgoing.request.url, result, took_ms: 1, sent_credentials: false };
        webhooks::answered(world, outgoing.delivery, tried);
    }
}

#[test]
fn below_its_value_a_trigger_does_not_fire_and_at_its_value_it_does() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    trigger(&mut world, main, None);
    book_by_hand(&mut world, main, "calls", 1, 1, 49_999_999, None);
    pass(&mut world, 600);
    assert!(sent(&world).is_empty());
    book_by_hand(&mut world, main, "calls", 1, 1, 1, None);
    pass(&mut world, 600);
    assert_eq!(sent(&world).len(), 1);
}

#[test]
fn it_is_compared_at_each_interval_with_what_is_known_after_the_lag() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    trigger(&mut world, main, None);
    pass(&mut world, 1);
    spend(&mut world, main, 50);
    // Used at 12:00:01 and seen from 12:01:01 on; compared at 12:01:00 and at 12:02:00.
    pass(&mut world, 118);
    assert!(sent(&world).is_empty());
    pass(&mut world, 1);
    assert_eq!(sent(&world).first().map(|delivery| delivery.at), Some(at("2026-11-25T12:02:00Z")));
}

#[test]
fn the_callback_has_the_documented_parameters_and_no_others() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    let sid = trigger(&mut world, main, Some(Period::Day));
    book_by_hand(&mut world, main, "calls", 1, 1, 51_230_000, None);
    pass(&mut world, 60);
    let record = format!("/2010-04-01/Accounts/{main}/Usage/Records/Today.json?Category=totalprice");
    let expected = [
        ("AccountSid", main.to_string()),
        ("UsageTriggerSid", sid.to_string()),
        ("DateFired", "Wed, 25 Nov 2026 12:01:00 +0000".to_owned()),
        ("Recurring", "daily".to_owned()),
        ("UsageCategory", "totalprice".to_owned()),
        ("TriggerBy", "price".to_owned()),
        ("TriggerValue", "50.000000".to_owned()),
        ("CurrentValue", "51.23".to_owned()),
        ("UsageRecordUri", record),
        ("IdempotencyToken", format!("{main}-FIRES-{sid}-2026-11-25")),
    ];
    assert_eq!(sent(&world)[0].webhook.params, expected);
}

#[test]
fn what_does_not_recur_fires_once_and_for_all() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    let sid = trigger(&mut world, main, None);
    spend(&mut world, main, 60);
    pass(&mut world, 60);
    spend(&mut world, main, 60);
    pass(&mut world, 400 * 24 * 3600);
    assert_eq!(sent(&world).len(), 1);
    assert_eq!(param(sent(&world)[0], "Recurring"), "");
    let fired = world.triggers.table.find(sid).and_then(|trigger| trigger.fired);
    assert_eq!(fired, Some(at("2026-11-25T12:01:00Z")));
}

#[test]
fn a_daily_trigger_fires_once_a_day_and_again_the_next_day() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    trigger(&mut world, main, Some(Period::Day));
    for _ in 0..3 {
        spend(&mut world, main, 60);
        pass(&mut world, 120);
    }
    assert_eq!(sent(&world).len(), 1);
    // The next day begins at nothing.
    pass(&mut world, 12 * 3600);
    assert_eq!(sent(&world).len(), 1);
    spend(&mut world, main, 60);
    pass(&mut world, 120);
    let tokens: Vec<_> =
        sent(&world).iter().map(|it| param(it, "IdempotencyToken")[76..].to_owned()).collect();
    assert_eq!(tokens, ["2026-11-25", "2026-11-26"]);
}

#[test]
fn months_and_years_begin_at_their_borders_in_gmt() {
    let mut world = new_world("2026-12-31T23:00:00Z");
    let main = world.accounts.main();
    let monthly = trigger(&mut world, main, Some(Period::Month));
    let yearly = trigger(&mut world, main, Some(Period::Year));
    let fired = |world: &World, sid: Sid| {
        sent(world).iter().filter(|it| param(it, "UsageTriggerSid") == sid.to_string()).count()
    };
    book_by_hand(&mut world, main, "calls", 1, 1, 30_000_000, Some(at("2026-11-30T23:59:59Z")));
    book_by_hand(&mut world, main, "calls", 1, 1, 30_000_000, Some(at("2026-12-01T00:00:00Z")));
    pass(&mut world, 60);
    assert_eq!((fired(&world, monthly), fired(&world, yearly)), (0, 1), "30 this month, 60 this year");
    pass(&mut world, 3600);
    spend(&mut world, main, 60);
    pass(&mut world, 120);
    assert_eq!((fired(&world, monthly), fired(&world, yearly)), (1, 2), "it is a new month and a new year");
}

#[test]
fn what_is_used_in_the_last_minute_of_a_day_and_seen_in_the_next_fires_nothing() {
    let mut world = new_world("2026-11-25T23:59:30Z");
    let main = world.accounts.main();
    trigger(&mut world, main, Some(Period::Day));
    spend(&mut world, main, 60);
    pass(&mut world, 3600);
    assert!(sent(&world).is_empty());
}

#[test]
fn a_parents_trigger_counts_its_subaccounts_unless_the_settings_say_otherwise() {
    for counts in [true, false] {
        let mut world = new_world("2026-11-25T12:00:00Z");
        world.settings.trigger_includes_subaccounts = counts;
        let main = world.accounts.main();
        let sub = accounts::create(&mut world, main, "Sub".to_owned());
        trigger(&mut world, main, None);
        spend(&mut world, sub, 60);
        pass(&mut world, 60);
        assert_eq!(sent(&world).len(), usize::from(counts));
    }
}

#[test]
fn a_subaccounts_trigger_does_not_count_its_siblings() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    let one = accounts::create(&mut world, main, "One".to_owned());
    let other = accounts::create(&mut world, main, "Other".to_owned());
    trigger(&mut world, one, None);
    spend(&mut world, other, 60);
    spend(&mut world, main, 60);
    pass(&mut world, 60);
    assert!(sent(&world).is_empty());
}

#[test]
fn a_suspended_account_s_trigger_still_fires_and_a_closed_one_s_does_not() {
    for (status, fires) in [(AccountStatus::Suspended, 1), (AccountStatus::Closed, 0)] {
        let mut world = new_world("2026-11-25T12:00:00Z");
        let main = world.accounts.main();
        let sub = accounts::create(&mut world, main, "Sub".to_owned());
        trigger(&mut world, sub, None);
        spend(&mut world, sub, 60);
        accounts::set_status(&mut world, sub, &status);
        pass(&mut world, 60);
        assert_eq!(sent(&world).len(), fires);
    }
}

#[test]
fn the_settings_say_whose_token_signs() {
    for (signed_by, is_parent) in [(SignedBy::Account, false), (SignedBy::Parent, true)] {
        let mut world = new_world("2026-11-25T12:00:00Z");
        world.settings.trigger_signed_by = signed_by;
        let main = world.accounts.main();
        let sub = accounts::create(&mut world, main, "Sub".to_owned());
        trigger(&mut world, sub, None);
        spend(&mut world, sub, 60);
        pass(&mut world, 60);
        assert_eq!(sent(&world)[0].webhook.account, if is_parent { main } else { sub });
        assert_eq!(param(sent(&world)[0], "AccountSid"), sub.to_string());
    }
}

#[test]
fn a_lost_firing_is_not_repeated_in_its_period() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    trigger(&mut world, main, Some(Period::Day));
    world.faults.webhooks.push(WebhookFault {
        kind: "usage-trigger".to_owned(),
        lose: true,
        times: Some(1),
        ..WebhookFault::default()
    });
    spend(&mut world, main, 60);
    pass(&mut world, 11 * 3600);
    assert_eq!(sent(&world).len(), 1);
    assert_eq!(sent(&world)[0].state, DeliveryState::Lost);
    assert!(world.outgoing.is_empty());
    pass(&mut world, 3600);
    spend(&mut world, main, 60);
    pass(&mut world, 120);
    assert_eq!(world.outgoing.len(), 1, "the next day it fires again");
}

#[test]
fn a_doubled_firing_has_one_idempotency_token() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    trigger(&mut world, main, None);
    world.faults.webhooks.push(WebhookFault { double: true, ..WebhookFault::default() });
    spend(&mut world, main, 60);
    pass(&mut world, 61);
    assert_eq!(world.outgoing.len(), 2);
    let tokens: Vec<_> = sent(&world).iter().map(|it| param(it, "IdempotencyToken").to_owned()).collect();
    assert_eq!(tokens[0], tokens[1]);
}

#[test]
fn after_a_5xx_it_is_tried_three_times_more_and_after_a_4xx_not_at_all() {
    for (status, tries) in [(503, 4), (404, 1), (200, 1)] {
        let mut world = new_world("2026-11-25T12:00:00Z");
        let main = world.accounts.main();
        trigger(&mut world, main, None);
        spend(&mut world, main, 60);
        pass(&mut world, 60);
        for _ in 0..10 {
            answer(&mut world, status);
            pass(&mut world, 5);
        }
        assert_eq!(sent(&world).len(), 1, "{status}");
        assert_eq!(sent(&world)[0].tries.len(), tries, "{status}");
    }
}

#[test]
fn the_usage_of_the_total_price_is_its_price() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    world.settings.usage_lag_s = 0;
    let main = world.accounts.main();
    spend(&mut world, main, 7);
    usage::catch_up(&mut world);
    let by = |by| measure(&world, main, "totalprice", &by, None);
    assert_eq!((by(TriggerBy::Usage), by(TriggerBy::Price), by(TriggerBy::Count)), (7_000_000, 7_000_000, 0));
}

#[test]
fn a_shorter_interval_takes_effect_at_once_and_is_not_evaluated_twice() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    world.settings.usage_lag_s = 0;
    world.settings.trigger_interval_s = 5;
    world.apply_caps();
    let main = world.accounts.main();
    trigger(&mut world, main, None);
    spend(&mut world, main, 60);
    pass(&mut world, 4);
    assert!(sent(&world).is_empty());
    pass(&mut world, 1);
    assert_eq!(sent(&world).len(), 1);
    pass(&mut world, 600);
    let others = new_world("2026-11-25T12:00:00Z").planned() - 1;
    assert_eq!(world.planned(), others + 1, "one evaluation stands on the agenda");
}

#[test]
fn a_trigger_that_is_reached_when_it_is_made_fires_though_nothing_more_is_used() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    spend(&mut world, main, 60);
    pass(&mut world, 600);
    trigger(&mut world, main, None);
    pass(&mut world, 60);
    assert_eq!(sent(&world).len(), 1);
}

#[test]
fn among_thousands_the_triggers_of_the_account_that_used_something_fire_and_its_parents() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    let parents = trigger(&mut world, main, Some(Period::Day));
    let subs: Vec<_> = (0..5000)
        .map(|number| {
            let sub = accounts::create(&mut world, main, number.to_string());
            (sub, trigger(&mut world, sub, Some(Period::Day)))
        })
        .collect();
    for (day, (sub, theirs)) in subs.iter().rev().take(3).enumerate() {
        pass(&mut world, 12 * 3600);
        spend(&mut world, *sub, 50);
        pass(&mut world, 12 * 3600);
        let fired: Vec<_> = sent(&world).into_iter().map(|it| param(it, "UsageTriggerSid")).collect();
        assert_eq!(fired.len(), 2 * (day + 1));
        assert!(
            fired.contains(&theirs.to_string().as_str()) && fired.contains(&parents.to_string().as_str())
        );
    }
}
