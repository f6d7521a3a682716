//! `ringfence breached`: everything that stops a thief, one thing after the other, and what he left behind.

use serde_json::Value;

use crate::world::World;

fn steps(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let steps = report["steps"].as_array().expect("steps");
    steps.iter().map(|step| (text(&step["step"]), text(&step["state"]))).collect()
}

fn is(step: &str, state: &str) -> (String, String) {
    (step.to_owned(), state.to_owned())
}

/// A key of an application for these accounts.
fn key(world: &World, whose: &[&str]) -> String {
    let made = [&["key", "create", "--name", "shop", "--json"], whose].concat();
    world.run(&made).code(0).json()["sid"].as_str().expect("a SID").to_owned()
}

#[test]
fn a_parent_is_stopped_as_far_as_it_can_be_and_its_token_is_replaced() {
    let limits = "[[limit]]\nname = \"the parent's\"\nscope = \"parent\"\nwindow = \"daily\"\nat = \"50\"\n\
                  then = [\"end-calls\"]\n";
    let world = World::with("url = \"sqlite:ringfence.db\"", limits);
    world.run(&["limits", "apply"]).code(0);
    let account = world.account();
    let (sid, old) = (account.to_string(), world.signs_with(account));
    let (own, every) = (key(&world, &["--account", &sid]), key(&world, &["--all-accounts"]));
    let stolen = world.api_key("stolen");
    world.subaccount("made by the thief");

    // Nothing is changed by looking.
    let looked = ["breached", &sid, "--dry-run", "--delete-keys", "--json"];
    let looked = world.run(&looked).code(1).json();
    assert_eq!(looked["dry_run"], true);
    let would = |step| is(step, "would-do");
    assert_eq!(
        steps(&looked),
        [
            would("virtual-credentials"),
            is("virtual-credentials", "left"),
            would("trip"),
            would("calls"),
            would("api-keys"),
            would("auth-token"),
        ]
    );
    assert_eq!(looked["lately"]["keys"][0]["sid"], stolen);
    assert_eq!(looked["lately"]["subaccounts"][0]["name"], "made by the thief");
    assert!(!looked["lately"]["changes"].as_array().expect("a list").is_empty(), "{looked}");
    assert_eq!(world.signs_with(account), old);

    // What it does to keys is only done if it is asked for.
    let done = ["breached", &sid, "--reason", "in a public repository", "--wait", "1s", "--json"];
    let done_once = world.run(&done).code(1).json();
    let done_now = |step| is(step, "done");
    assert_eq!(
        steps(&done_once),
        [
            done_now("virtual-credentials"),
            is("virtual-credentials", "left"),
            done_now("trip"),
            done_now("calls"),
            done_now("auth-token"),
            is("api-keys", "left"),
        ]
    );
    let new = world.signs_with(account);
    assert_ne!(new, old);
    assert!(!done_once.to_string().contains(&new), "no token is in a report");
    assert!(!done_once.to_string().contains(&format!("({sid} (")), "the account is named once: {done_once}");
    let shown = world.run(&["key", "list"]).code(0).out;
    let state = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).expect("a line").to_owned();
        if line.contains("revoked") { "revoked" } else { "good" }
    };
    assert_eq!((state(&own), state(&every)), ("revoked", "good"));
    world.run(&["status", "--check"]).code(1).says("\"the parent's\"").says("by an operator");

    // Once more it ends what was left, and replaces no token again.
    let again = ["breached", &sid, "--reason", "x", "--wait", "1s", "--delete-keys"];
    let again = world.run(&again).code(1).says(" already,").says(&stolen);
    again.says("1 deleted, and none is left").says("LEFT");
    assert_eq!(world.signs_with(account), new);
}

#[test]
fn a_subaccount_is_suspended_and_what_its_own_credentials_are_needed_for_is_left_to_a_person() {
    let world = World::new();
    world.run(&["limits", "apply"]).code(0);
    let account = world.subaccount("Customer 7");
    let sid = account.to_string();
    let done = ["breached", "Customer 7", "--reason", "stolen", "--wait", "5s", "--json"];
    let report = world.run(&done).code(1).json();
    assert_eq!(world.status(account), "suspended");
    let done_now = |step| is(step, "done");
    assert_eq!(
        steps(&report),
        [
            done_now("virtual-credentials"),
            done_now("suspend"),
            done_now("calls"),
            done_now("api-keys"),
            is("auth-token", "left"),
        ],
        "{report}"
    );
    let next = report["steps"][4]["next"].as_str().expect("a command");
    assert!(next.contains("account resume") && next.contains("token rotate"), "{next}");
    // What Twilio shows nobody once it is suspended was read before.
    assert_eq!(report["lately"]["unread"], serde_json::json!([]), "{report}");
    // A list that nobody could read is not an empty one.
    let again = world.run(&done).code(69).json();
    assert_eq!(again["lately"]["unread"][0]["what"], "the log of changes");

    // Let go, it is replaced at once.
    let old = world.signs_with(account);
    world.run(&["account", "resume", &sid, "--reason", "the key is found"]).code(0);
    let rotate = ["token", "rotate", &sid, "--reason", "stolen", "--unconfirmed"];
    world.run(&rotate).code(0).says("is replaced");
    assert_ne!(world.signs_with(account), old);
}

#[test]
fn a_subaccount_that_a_limit_holds_too_is_let_go_by_the_commands_that_are_named() {
    let world = World::new();
    world.run(&["limits", "apply"]).code(0);
    let account = world.subaccount("Customer 7");
    world.run(&["limits", "apply"]).code(0);
    let sid = account.to_string();
    // What would be left is no more said to be done.
    let looked = world.run(&["breached", &sid, "--dry-run", "--json"]).code(1).json();
    assert_eq!(steps(&looked).pop(), Some(is("auth-token", "left")), "{looked}");

    // The thief has made a way back for himself.
    world.second_token(account);
    world.run(&["trip", "fifty a day", "--account", &sid, "--reason", "it spends too much"]).code(0);
    let done = ["breached", &sid, "--reason", "stolen", "--wait", "5s", "--json"];
    let report = world.run(&done).json();
    let next = report["steps"].as_array().unwrap().last().unwrap()["next"].as_str().unwrap().to_owned();
    let (let_go, replace) = next.split_once(" && { ").expect("what is done once it is let go");
    let commands: Vec<_> =
        let_go.split(" && ").chain(replace.trim_end_matches("; }").split(" || ")).collect();
    let words = ["reset", "account resume", "token rotate", "account suspend"];
    assert!(commands.len() == 4 && commands.iter().zip(words).all(|(it, word)| it.contains(word)), "{next}");
    let old = world.signs_with(account);
    world.type_in(commands[0]).code(0).says("stays suspended: an operator holds it");
    world.type_in(commands[1]).code(0).says("active at Twilio, read back");
    world.type_in(commands[2]).code(0).says("is replaced");
    assert_ne!(world.signs_with(account), old);
    // Where it cannot be replaced (it was, a moment ago), the account does not stay open.
    world.type_in(commands[2]).code(1);
    world.type_in(commands[3]).code(0);
    assert_eq!(world.status(account), "suspended");
}

#[test]
fn what_fails_is_told_and_stops_nothing_else() {
    let world = World::new();
    world.run(&["limits", "apply"]).code(0);
    let account = world.account();
    let (sid, old) = (account.to_string(), world.signs_with(account));
    world.control("POST", "faults", r#"{"api": [{"path": "/Calls", "status": 500}]}"#);
    let done = ["breached", &sid, "--reason", "stolen", "--wait", "1s", "--json"];
    let report = world.run(&done).code(69).json();
    let failed: Vec<_> = steps(&report).into_iter().filter(|(_, state)| state == "failed").collect();
    assert_eq!(failed, [is("calls", "failed")]);
    let calls = report["steps"].as_array().unwrap().iter().find(|step| step["step"] == "calls").unwrap();
    assert!(calls["next"].as_str().expect("a command").contains(&format!("breached {sid} ")), "{calls}");
    assert_ne!(world.signs_with(account), old, "the token is replaced all the same");
    world.run(&["breached", &sid]).code(2).complains("a reason is needed");
    world.run(&["breached", "nobody", "--dry-run"]).code(2).complains("is no account");
}

#[test]
fn a_node_that_runs_is_given_the_time_to_forget_the_stolen_token() {
    let world = World::new();
    let serving = world.serve();
    world.until(&["status"], |run| run.out.contains("at work, last sign"));
    let (sid, old) = (world.account().to_string(), world.signs_with(world.account()));
    // No request comes, so all of the time is spent on waiting for one.
    let done = ["breached", &sid, "--reason", "stolen", "--wait", "12s", "--json"];
    let report = world.run(&done).json();
    assert!(steps(&report).contains(&is("auth-token", "done")), "{report}");
    assert_ne!(world.signs_with(world.account()), old);
    serving.stop();
}

#[test]
fn a_token_that_was_replaced_for_another_reason_a_moment_ago_is_replaced_again() {
    let world = World::new();
    world.run(&["limits", "apply"]).code(0);
    let account = world.account();
    let sid = account.to_string();
    world.run(&["token", "rotate", &sid, "--reason", "each quarter", "--unconfirmed"]).code(0);
    let leaked = world.signs_with(account);
    let done = ["breached", &sid, "--reason", "stolen", "--wait", "1s", "--json"];
    let report = world.run(&done).json();
    assert!(steps(&report).contains(&is("auth-token", "done")), "{report}");
    assert_ne!(world.signs_with(account), leaked);
}

#[test]
fn what_a_thief_makes_until_the_token_of_a_parent_is_dead_is_deleted_too() {
    let world = World::new();
    let serving = world.serve();
    world.until(&["status"], |run| run.out.contains("at work, last sign"));
    let (sid, stolen) = (world.account().to_string(), world.signs_with(world.account()));
    world.api_key("before");
    let done = ["breached", &sid, "--reason", "stolen", "--wait", "12s", "--delete-keys", "--json"];
    let running = world.start(&done);
    // He makes another one when his is gone, while what he stole still lets him.
    world.until_there_are_no_keys();
    assert_eq!(world.signs_with(world.account()), stolen);
    world.api_key("after");
    let output = running.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    world.until_there_are_no_keys();
    let told = steps(&report).into_iter().filter(|step| *step == is("api-keys", "done")).count();
    assert_eq!(told, 2, "{report}");
    serving.stop();
}

#[test]
fn subaccounts_whose_tokens_the_stolen_one_showed_are_named_until_they_are_replaced() {
    let world = World::new();
    let subaccount = world.subaccount("Customer 7");
    world.run(&["limits", "apply"]).code(0);
    let sid = world.account().to_string();
    let done = ["breached", &sid, "--reason", "stolen", "--wait", "1s", "--json"];
    let report = world.run(&done).code(1).json();
    let step = report["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(step["step"], "subaccounts");
    assert!(step["list"][0].as_str().expect("a name").contains("Customer 7"), "{step}");
    let rotate = step["next"].as_str().expect("a command").replace("SID", &subaccount.to_string());
    world.type_in(&rotate).code(0).says("is replaced");
    let again = world.run(&done).json();
    assert!(steps(&again).iter().all(|(step, _)| step != "subaccounts"), "{again}");
}
