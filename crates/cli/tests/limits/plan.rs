//! `ringfence limits`.

use crate::world::{LIMITS, World};

#[test]
fn a_plan_makes_nothing_neither_here_nor_at_twilio() {
    let world = World::new();
    let account = world.subaccount("Customer 7");
    let plan = world.run(&["limits", "plan"]).code(1);
    plan.says("+ \"fifty a day\"").says(&format!("{account} (Customer 7)")).says("2 to create; 0 triggers");
    assert_eq!(world.files(), ["ringfence.toml"]);
    assert!(world.triggers(account).is_empty());
    // With a store it changes nothing either: no account is taken over, no limit is applied.
    world.run(&["migrate"]).code(0);
    let before = world.run(&["audit", "verify"]).code(0).out;
    world.run(&["limits", "plan"]).code(1).says(&format!("{account} (Customer 7)"));
    assert_eq!(world.run(&["audit", "verify"]).code(0).out, before);
    assert!(world.triggers(account).is_empty());
}

#[test]
fn credentials_that_twilio_refuses_are_a_wrong_configuration_and_silence_is_not() {
    let world = World::new();
    for command in ["plan", "apply"] {
        world.configure_for("away.toml", LIMITS, "http://127.0.0.1:1");
        let away = world.run_with("away.toml", &["limits", command]).code(69);
        assert_eq!(away.out, "");
        let text = std::fs::read_to_string(world.path("ringfence.toml")).unwrap();
        let wrong = text.replace("{ env = \"TWILIO_AUTH_TOKEN\" }", "\"wrong0wrong0wrong0wrong0wrong0wr\"");
        std::fs::write(world.path("wrong.toml"), wrong).unwrap();
        let wrong = world.run_with("wrong.toml", &["limits", command]).code(64);
        wrong.complains("Twilio refuses its auth token");
    }
}

#[test]
fn what_was_planned_is_applied_and_then_there_is_nothing_to_do() {
    let world = World::new();
    let account = world.subaccount("Customer 7");
    let foreign = world.foreign_trigger(account);
    let planned = world.run(&["limits", "plan", "--json"]).code(1).json();
    let applied = world.run(&["limits", "apply", "--json"]).code(0).json();
    assert_eq!(planned["changes"], applied["changes"], "apply shows what plan has shown");
    assert_eq!((&applied["changed"], &applied["failed"]), (&2.into(), &serde_json::json!([])));
    assert_eq!(applied["limits"]["added"], serde_json::json!(["fifty a day", "all together"]));
    assert_eq!(world.triggers(account).len(), 3);

    let empty = world.run(&["limits", "plan"]).code(0);
    empty.says("no trigger is to be changed; 2 triggers as they should").says("1 of others left alone");
    world.run(&["limits", "apply"]).code(0).says("the limits held already");
    assert!(world.triggers(account).iter().any(|trigger| trigger.sid == foreign));
}

#[test]
fn a_changed_limit_replaces_its_trigger_and_a_removed_one_takes_it_away() {
    let world = World::new();
    let account = world.subaccount("Customer 7");
    world.run(&["limits", "apply"]).code(0);
    let before = world.triggers(account);
    let (first, _) = LIMITS.split_at(LIMITS.find("\n[[limit]]").unwrap());
    world.configure("ringfence.toml", &first.replace("\"50\"", "\"40\""));

    let plan = world.run(&["limits", "plan"]).code(1);
    let plan = plan.says("~ \"fifty a day\"").says("- \"all together\"").says("at 40");
    plan.says("1 to replace, 1 to delete").says(&before[0].sid).says(&before[1].sid);
    world.run(&["limits", "apply"]).code(0).says("1 replaced, 1 deleted");
    let after = world.triggers(account);
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].trigger_value, "40.000000");
    world.run(&["limits", "plan"]).code(0);
}

#[test]
fn an_account_that_cannot_be_asked_is_named_and_the_others_are_brought_in_line() {
    let world = World::new();
    let (one, other) = (world.subaccount("one"), world.subaccount("other"));
    let fault = format!(
        r#"{{"api": [{{"method": "GET", "path": "/Accounts/{one}/Usage/Triggers", "status": 503}}]}}"#
    );
    world.control("POST", "faults", &fault);
    let applied = world.run(&["limits", "apply"]).code(69);
    applied.says(&format!("! {one} could not be asked")).says("2 created");
    assert_eq!((world.triggers(other).len(), world.run(&["limits", "plan"]).code), (2, 69));
    world.control("DELETE", "faults", "");
    world.run(&["limits", "apply"]).code(0);
    assert_eq!(world.triggers(one).len(), 2);
}

#[test]
fn a_limit_that_holds_accounts_is_not_taken_out_without_a_word_of_them() {
    let world = World::new();
    let account = world.subaccount("Customer 7");
    world.run(&["limits", "apply"]).code(0);
    let sid = account.to_string();
    world.run(&["trip", "fifty a day", "--account", &sid, "--reason", "a leak"]).code(0);
    assert_eq!(world.status(account), "suspended");
    world.configure("ringfence.toml", &LIMITS.replace("fifty a day", "fifty each day"));

    let planned = world.run(&["limits", "plan"]).code(1);
    let planned = planned.says("- \"fifty a day\"").says("WOULD STAY STOPPED").says("reset the limit before");
    planned.says(&format!("{sid} (Customer 7)")).says("suspended by \"fifty a day\"");
    let left = world.run(&["limits", "plan", "--json"]).json()["left"].clone();
    assert_eq!(left[0]["account"]["sid"], sid.as_str());
    assert_eq!((&left[0]["limits"][0], &left[0]["actions"][0]), (&"fifty a day".into(), &"suspend".into()));

    // Twilio makes no triggers on a suspended account, and that is no failure.
    let applied = world.run(&["limits", "apply"]).code(0).says("STAY STOPPED");
    let applied = applied.says(&format!("account resume {sid}")).complains("1 suspended account may not");
    assert!(!applied.out.contains("! AC"), "{applied:?}");
    assert_eq!(world.status(account), "suspended");
    world.run(&["account", "list"]).code(0).says("left suspended: what held it is gone");
    let status = world.run(&["status", "--check"]).code(1).says("LEFT SUSPENDED BY WHAT IS GONE");
    world.run(&["incidents", "--open"]).code(0).says("nothing");
    world.run(&["limits", "plan"]).code(0).says("no trigger is to be changed");

    let to_type =
        status.out.lines().find(|line| line.contains("ringfence account resume")).expect("a command");
    world.type_in(to_type).code(0).says("active at Twilio, read back");
    assert_eq!(world.status(account), "active");
    let status = world.run(&["status"]).code(0);
    assert!(!status.out.contains("LEFT SUSPENDED"), "{status:?}");
    // It has its triggers as soon as it can have them.
    world.run(&["limits", "apply"]).code(0).says("1 created");
}
