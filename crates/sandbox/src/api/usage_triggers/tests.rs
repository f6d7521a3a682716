use http::Method;
use serde_json::{Value, json};

use super::super::testing::{as_main, ask, credentials_of, get, post, refused};
use crate::world::testing::{new_world, pass};
use crate::world::usage::book_by_hand;
use crate::world::{World, accounts};

fn path(world: &World) -> String {
    format!("/2010-04-01/Accounts/{}/Usage/Triggers.json", world.accounts.main())
}

const SIMPLE: [(&str, &str); 3] =
    [("CallbackUrl", "http://www.example.com/"), ("TriggerValue", "1000"), ("UsageCategory", "sms")];

/// The simple form with other values, or more of them.
fn with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let kept = SIMPLE.into_iter().filter(|(name, _)| !changes.iter().any(|(it, _)| it == name));
    kept.chain(changes.iter().copied()).collect()
}

#[test]
fn what_is_missing_or_makes_no_sense_is_refused() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let path = path(&world);
    for name in ["CallbackUrl", "TriggerValue", "UsageCategory"] {
        assert_eq!(refused(&mut world, as_main, &path, &with(&[(name, "")])), (400, 20001), "{name}");
    }
    let long = "n".repeat(65);
    let long: &'static str = Box::leak(long.into_boxed_str());
    for wrong in [
        ("TriggerValue", "0"),
        ("TriggerValue", "-5"),
        ("TriggerValue", "+-5"),
        ("TriggerValue", "+0"),
        ("TriggerValue", "many"),
        ("TriggerValue", "1e3"),
        ("TriggerValue", " 30"),
        ("TriggerValue", "99999999999999999999"),
        ("TriggerValue", "+9223372036854.775807"),
        ("UsageCategory", "sms-outbond"),
        ("CallbackUrl", "ftp://example.com"),
        ("CallbackMethod", "PUT"),
        ("Recurring", "hourly"),
        ("TriggerBy", "segments"),
        ("FriendlyName", long),
    ] {
        let main = world.accounts.main();
        book_by_hand(&mut world, main, "sms", 1, 1, 1, None);
        assert_eq!(refused(&mut world, as_main, &path, &with(&[wrong])), (400, 20001), "{wrong:?}");
        pass(&mut world, 60);
    }
    assert_eq!(world.triggers.table.len(), 0);
}

#[test]
fn a_trigger_of_another_account_is_not_found() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    let sub = accounts::create(&mut world, main, "Sub".to_owned());
    let path = path(&world);
    let made = post(&mut world, as_main, &path, &SIMPLE);
    let elsewhere = made["uri"].as_str().unwrap().replace(&main.to_string(), &sub.to_string());
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let who = credentials_of(&world, sub);
        let refusal = ask(&mut world, who, method, &elsewhere, &[]).unwrap_err();
        assert_eq!((refusal.error.status, refusal.error.code), (404, 20404));
    }
    assert_eq!(world.triggers.table.len(), 1);
}

#[test]
fn a_new_trigger_looks_as_in_twilios_documents() {
    let mut world = new_world("2012-10-13T21:32:30Z");
    world.settings.usage_lag_s = 0;
    let main = world.accounts.main();
    book_by_hand(&mut world, main, "sms", 50, 57, 0, None);
    let path = path(&world);
    let made = post(&mut world, as_main, &path, &SIMPLE);
    let sid = made["sid"].as_str().unwrap().to_owned();
    assert_eq!(
        made,
        json!({
            "sid": sid,
            "account_sid": main.to_string(),
            "api_version": "2010-04-01",
            "friendly_name": "Trigger for sms at usage of 1000",
            "usage_category": "sms",
            "trigger_by": "usage",
            "trigger_value": "1000.000000",
            "current_value": "57",
            "recurring": null,
            "callback_url": "http://www.example.com/",
            "callback_method": "POST",
            "date_fired": null,
            "date_created": "Sat, 13 Oct 2012 21:32:30 +0000",
            "date_updated": "Sat, 13 Oct 2012 21:32:30 +0000",
            "usage_record_uri": format!("/2010-04-01/Accounts/{main}/Usage/Records.json?Category=sms"),
            "uri": format!("/2010-04-01/Accounts/{main}/Usage/Triggers/{sid}.json"),
        })
    );
    assert!(sid.starts_with("UT"));
}

#[test]
fn an_offset_is_added_to_what_is_known_when_the_trigger_is_made_and_stays() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    book_by_hand(&mut world, main, "calls", 1, 12, 5_250_000, None);
    pass(&mut world, 60);
    let path = path(&world);
    let by_price = with(&[
        ("TriggerValue", "+30.5"),
        ("UsageCategory", "totalprice"),
        ("TriggerBy", "price"),
        ("Recurring", "daily"),
    ]);
    let made = post(&mut world, as_main, &path, &by_price);
    assert_eq!(made["trigger_value"], "35.750000");
    assert_eq!(made["friendly_name"], "Trigger for totalprice at price of 35.75");
    pass(&mut world, 24 * 3600);
    let uri = made["uri"].as_str().unwrap().to_owned();
    let next_day = get(&mut world, as_main, &uri);
    assert_eq!(next_day["trigger_value"], "35.750000", "a new day does not move it");
    assert_eq!(next_day["current_value"], "0");
}

#[test]
fn an_update_changes_where_it_calls_and_its_name_and_passes_over_the_rest() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let path = path(&world);
    let made = post(&mut world, as_main, &path, &SIMPLE);
    pass(&mut world, 10);
    let uri = made["uri"].as_str().unwrap().to_owned();
    let changes = [
        ("CallbackUrl", "https://app.example/other"),
        ("CallbackMethod", "GET"),
        ("FriendlyName", "Other"),
        ("TriggerValue", "5"),
        ("UsageCategory", "calls"),
        ("Recurring", "daily"),
        ("TriggerBy", "price"),
    ];
    let changed = post(&mut world, as_main, &uri, &changes);
    let mut expected = made.clone();
    expected["callback_url"] = json!("https://app.example/other");
    expected["callback_method"] = json!("GET");
    expected["friendly_name"] = json!("Other");
    expected["date_updated"] = json!("Wed, 25 Nov 2026 12:00:10 +0000");
    assert_eq!(changed, expected);
    assert_eq!(refused(&mut world, as_main, &uri, &[("CallbackUrl", "nowhere")]), (400, 20001));
}

#[test]
fn a_deleted_trigger_is_gone() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let path = path(&world);
    let uri = post(&mut world, as_main, &path, &SIMPLE)["uri"].as_str().unwrap().to_owned();
    let who = as_main(&world);
    let reply = ask(&mut world, who.clone(), Method::DELETE, &uri, &[]).unwrap();
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(ask(&mut world, who, Method::DELETE, &uri, &[]).unwrap_err().error.status, 404);
}

#[test]
fn lists_are_filtered_by_period_by_field_and_by_category() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let path = path(&world);
    for changes in [
        &[][..],
        &[("Recurring", "alltime")],
        &[("Recurring", "daily"), ("TriggerBy", "price")],
        &[("Recurring", "monthly"), ("UsageCategory", "calls")],
    ] {
        post(&mut world, as_main, &path, &with(changes));
    }
    for (query, count) in [
        ("", 4),
        ("?Recurring=", 2),
        ("?Recurring=alltime", 2),
        ("?Recurring=daily", 1),
        ("?Recurring=yearly", 0),
        ("?TriggerBy=usage", 3),
        ("?TriggerBy=price&Recurring=daily", 1),
        ("?UsageCategory=calls", 1),
    ] {
        let page = get(&mut world, as_main, &format!("{path}{query}"));
        assert_eq!(page["usage_triggers"].as_array().map(Vec::len), Some(count), "{query}");
    }
}

#[test]
fn the_1001st_trigger_of_an_account_is_refused() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let path = path(&world);
    for _ in 0..1000 {
        post(&mut world, as_main, &path, &SIMPLE);
    }
    assert_eq!(refused(&mut world, as_main, &path, &SIMPLE), (400, 20001));
}

#[test]
fn a_category_nobody_has_heard_of_is_taken_if_the_settings_say_so() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    world.settings.unknown_usage_categories = true;
    let path = path(&world);
    let made = post(&mut world, as_main, &path, &with(&[("UsageCategory", "a b&c")]));
    assert_eq!(made["usage_category"], "a b&c");
    let record = made["usage_record_uri"].as_str().unwrap();
    assert!(record.ends_with("?Category=a+b%26c"), "{record}");
    let found: Value = get(&mut world, as_main, record);
    assert_eq!(found["usage_records"][0]["category"], "a b&c");
}
