//! `ringfence shared-keys`, against a Twilio of our own: what is said, what is done at once, and what waits. How a key comes to
//! sign takes minutes, which pass in the tests of `serve/control/keys`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::world::World;

/// A configuration with a route that a key may sign for.
fn configure(world: &World, section: &str) {
    let file = world.path("ringfence.toml");
    let route = "[[route]]\npath = \"/sms\"\npublic_url = \"https://hooks.example.com\"\nupstream = \
                 \"http://127.0.0.1:9\"\ncheck = \"signature\"\n\n[[account]]\n";
    let text = fs::read_to_string(&file).expect("the configuration").replacen("[[account]]\n", route, 1);
    fs::write(&file, format!("{text}\n{section}")).expect("written");
}

#[test]
fn without_the_section_nothing_is_touched() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    configure(&world, "");
    world.run(&["migrate"]).code(0);
    for command in ["plan", "apply"] {
        world.run(&["shared-keys", command]).code(64).complains("has no [shared_keys]");
    }
    world.run(&["shared-keys", "status"]).code(0).says("Ringfence has made no SharedKey");
    assert_eq!(world.noted("shared-key.ask"), 0);
}

#[test]
fn a_key_is_planned_made_shown_held_and_taken_back() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    configure(&world, "[shared_keys]\naccounts = \"all\"\n");
    let sid = world.account().to_string();
    world.run(&["shared-keys", "plan"]).code(69).complains("there is no store");
    world.run(&["migrate"]).code(0);
    world.run(&["shared-keys", "plan"]).code(0).complains("no account is known yet");
    world
        .run(&["shared-keys", "rotate", &sid, "--reason", "x"])
        .code(1)
        .complains("is not known to the store");

    let made = world.run(&["shared-keys", "apply"]).code(0);
    made.says("+ a key, as its webhooks have no key of their own").says("+ a setting").says("…");
    let status = world.run(&["shared-keys", "status", "--json"]).code(0).json();
    assert_eq!(status["shared_keys"][0]["state"], "made", "{status}");
    assert_eq!(world.noted("shared-key.made"), 1);
    assert_eq!(world.webhook_rules(), [], "nothing names it yet");
    let waits = world.run(&["shared-keys", "plan", "--json"]).code(0).json();
    assert_eq!(waits["accounts"][0]["waits"][0]["for"], "spreads", "{waits}");

    world.run(&["shared-keys", "show", &sid, "--to", "key"]).code(1).complains("no SharedKey of");
    assert!(!world.path("key").exists());
    let refused = world.run(&["shared-keys", "rotate", &sid, "--reason", "x"]).code(1);
    refused.complains("is prepared already").complains("shared-keys undo");
    world.run(&["shared-keys", "undo", &sid, "--reason", "x"]).code(1).complains("no SharedKey signs for");

    // Who wants it no more says so, and it goes.
    let text = fs::read_to_string(world.path("ringfence.toml")).expect("the configuration");
    fs::write(world.path("ringfence.toml"), text.replace("accounts = \"all\"", "accounts = []"))
        .expect("written");
    world.run(&["shared-keys", "plan"]).code(1).says("- a key retires");
    world.run(&["shared-keys", "apply"]).code(0).says("as requests may come that the old key signed");
    world.run(&["shared-keys", "status"]).code(0).says("signs no more, and is still");
}

#[test]
fn a_key_that_signs_is_given_out_into_a_new_file_alone() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    configure(&world, "[shared_keys]\naccounts = \"all\"\n");
    let sid = world.account().to_string();
    world.run(&["migrate"]).code(0);
    world.run(&["shared-keys", "apply"]).code(0);
    // Two minutes pass for it.
    world.sql("UPDATE shared_keys SET since = since - 180000000");
    let signs = world.run(&["shared-keys", "apply"]).code(0);
    signs.says("+ a rule for https://hooks.example.com/sms").says("it signs; the one before retires");
    world.run(&["shared-keys", "plan"]).code(0).says("1 account as they should be");
    let shown = world.run(&["shared-keys", "show", &sid, "--to", "key"]).code(0);
    let secret = fs::read_to_string(world.path("key")).expect("text");
    assert!(!shown.out.contains(secret.trim()) && shown.out.starts_with("webhooks_sharedkey_"), "{shown:?}");
    assert_eq!(fs::metadata(world.path("key")).expect("it").permissions().mode() & 0o777, 0o600);
    assert_eq!(world.noted("shared-key.show"), 1);
    world.run(&["shared-keys", "show", &sid, "--to", "key"]).code(69).complains("cannot write key");

    // A rule that somebody removed is found by whoever looks.
    let rules = world.webhook_rules();
    world.remove_webhook_rule(&rules[0].id);
    world.run(&["shared-keys", "plan"]).code(1).says("+ a rule for https://hooks.example.com/sms");
    let found = world.run(&["doctor", "--json"]).json();
    let findings = found["findings"].as_array().expect("findings");
    assert!(findings.iter().any(|it| it["check"] == "shared-keys"), "{found}");
    world.run(&["shared-keys", "apply"]).code(0);

    // One that somebody edited is made again; the edited one goes when that has got everywhere.
    let rules = world.webhook_rules();
    world.edit_webhook_rule(&rules[0], "https://evil.example/");
    let plan = world.run(&["shared-keys", "plan"]).code(1);
    plan.says("+ a rule for https://hooks.example.com/sms").says("be for https://evil.example/");
    let found = world.run(&["doctor", "--json"]).json();
    let findings = found["findings"].as_array().expect("findings");
    let edited =
        |it: &serde_json::Value| it["what"].as_str().is_some_and(|what| what.contains("evil.example"));
    assert!(findings.iter().any(edited), "{found}");
    world
        .run(&["shared-keys", "apply"])
        .code(0)
        .says("until the rule that was made again has got everywhere");
    assert_eq!(world.noted("webhook-rule.mend"), 1);
    assert_eq!(world.webhook_rules().len(), 2);
    world.run(&["shared-keys", "apply"]).code(0).says("- the rule for https://evil.example/");
    assert_eq!(world.webhook_rules().len(), 1);

    let held = world.run(&["shared-keys", "rotate", &sid, "--reason", "each year", "--hold"]).code(0);
    held.says("…");
    world.run(&["shared-keys", "undo", &sid, "--reason", "not yet"]).code(0);
}
