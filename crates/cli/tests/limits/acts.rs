//! `ringfence trip`, `reset`, `account`, without a `serve`.

use ringfence_model::Sid;
use sqlx::Connection as _;

use crate::world::{LIMITS, World};

/// An installation whose limits hold, and an account of it.
fn applied() -> (World, Sid) {
    let world = World::new();
    let account = world.subaccount("Customer 7");
    world.subaccount("Customer 8");
    world.run(&["limits", "apply"]).code(0);
    (world, account)
}

const WHY: [&str; 2] = ["--reason", "stolen key"];

fn act(words: &[&'static str]) -> Vec<&'static str> {
    [words, &WHY].concat()
}

#[test]
fn nothing_is_done_without_a_reason_or_a_store() {
    let world = World::new();
    let run = world.run(&act(&["trip", "fifty a day"])).code(69);
    run.complains("there is no store at sqlite:ringfence.db yet").complains("ringfence limits apply");
    assert_eq!(world.files(), ["ringfence.toml"]);
    for command in [&["trip"][..], &["reset", "x"], &["account", "suspend", "x"], &["account", "resume", "x"]]
    {
        let run = world.run(command).code(2);
        run.complains("a reason is needed").complains("--reason \"");
        for reason in ["", "  ", "two\nlines"] {
            world.run(&[command, &["--reason", reason]].concat()).code(2);
        }
    }
}

#[test]
fn an_act_on_limits_that_do_not_hold_is_refused_and_says_how_to_apply_them() {
    let (world, account) = applied();
    world.configure("ringfence.toml", &LIMITS.replace("\"50\"", "\"40\""));
    let sid = account.to_string();
    for command in [
        vec!["trip", "fifty a day", "--account", &sid],
        vec!["reset", "fifty a day", "--account", &sid],
        vec!["account", "suspend", &sid],
        vec!["account", "resume", &sid],
    ] {
        let run = world.run(&[&command[..], &WHY].concat()).code(64);
        let run = run.complains("\"fifty a day\" says something else");
        run.complains("ringfence limits apply --config ringfence.toml");
    }
    assert_eq!(world.status(account), "active");
    // Whoever only looks sees what holds, and is told.
    world.run(&["status"]).code(0).says("nothing is tripped").complains("limits apply");
}

#[test]
fn names_that_are_not_there_get_the_nearest_and_what_is_ambiguous_gets_the_choices() {
    let (world, account) = applied();
    let sid = account.to_string();
    world.run(&act(&["trip", "fifty a dya"])).code(2).complains("is \"fifty a day\" meant?");
    world.run(&act(&["trip", "--account", "Customer 77"])).code(2).complains("is Customer 7");
    let mut wrong = sid.clone();
    wrong.replace_range(33..34, if sid.ends_with('0') { "1" } else { "0" });
    world
        .run(&["account", "suspend", &wrong, "--reason", "x"])
        .code(2)
        .complains(&format!("is {sid} meant?"));
    // What is made for an account that is not there yet is made, and said.
    let note = |sid: &str| format!("note: {sid} is no account that is known here");
    world.run(&["key", "create", "--name", "x", "--account", &wrong]).code(0).complains(&note(&wrong));
    let user = ["user", "add", "--role", "auditor", "a@example.com", "--account", &wrong];
    world.run(&user).code(0).complains(&note(&wrong));
    world
        .run(&["key", "create", "--name", "x"])
        .code(2)
        .complains("--application <APPLICATION>|--account <SID>|--all-accounts");
    let right = world.run(&["key", "create", "--name", "x", "--account", &sid]).code(0);
    assert!(!right.err.contains("note: "), "{}", right.err);
    world.run(&act(&["trip"])).code(2).complains("trip \"all together\" --reason");
    let run = world.run(&act(&["trip", "fifty a day"])).code(2);
    run.complains("which one is meant?").complains(&format!("--account {sid}")).complains("# Customer 8");
    let run = world.run(&["trip", "all together", "--account", &sid, "--reason", "x"]).code(2);
    run.complains("for all of them or none").complains(&format!("account suspend {sid}"));
    world.run(&act(&["reset", "fifty a day"])).code(1).complains("is not tripped for any account");
    let run = world.run(&["reset", "fifty a day", "--account", &sid, "--reason", "x"]).code(1);
    run.complains("is not tripped");
    world.run(&act(&["reset", "all together"])).code(1).complains("is not tripped for its accounts together");
    for amount in ["0", "-1", "much"] {
        world.run(&act(&["reset", "fifty a day", "--allow", amount])).code(2);
    }
    assert_eq!(world.status(account), "active");
}

#[test]
fn a_trip_suspends_at_twilio_and_the_log_says_who_and_why() {
    let (world, account) = applied();
    let run = world.run(&act(&["trip", "--account", "Customer 7"])).code(0);
    let run = run.says("suspended at Twilio, read back").says("\"fifty a day\" is tripped");
    assert_eq!(world.status(account), "suspended");
    let status = world.run(&["status"]).code(0).says("TRIPPED").says("by an operator");
    let status = status.says(&account.to_string());
    for of_an_egress in ["WHAT IS TAKEN", "CLOSED UNTIL"] {
        assert!(!status.out.contains(of_an_egress), "there is none: {}", status.out);
    }
    assert_eq!(world.run(&["status", "--check"]).code, 1);

    // What it says to type lifts it.
    let lifted = world.type_in(&run.out).code(0).says("active at Twilio, read back");
    lifted.says("50 more may be used until ").says("it stands at 0 and trips again at 50");
    assert_eq!(world.status(account), "active");
    world.run(&["status"]).code(0).says("nothing is tripped").says("PROBING");

    let serving = world.serve();
    let done = |action: &'static str| move |run: &crate::world::Run| run.out.contains(action);
    world.until(&["audit", "export"], done("breaker.reset"));
    serving.stop();
    let tripped = world.audited("breaker.trip");
    assert_eq!(tripped.len(), 1);
    assert_eq!(tripped[0]["detail"]["reason"], "stolen key");
    assert!(tripped[0]["actor"].to_string().contains("alice as "), "{}", tripped[0]);
    assert_eq!(world.audited("breaker.reset")[0]["detail"]["reason"], "as told");
}

/// Closes numbers to which codes go that nobody enters; and a limit of each account beside it.
const SHARE: &str = "\
[[limit]]
name = \"codes entered\"
scope = \"all\"
measure = \"conversion\"
window = \"rolling 1h\"
at = \"20%\"
then = []

[[limit]]
name = \"fifty a day\"
scope = \"subaccounts\"
window = \"daily\"
at = \"50\"
then = [\"suspend\"]
";

#[test]
fn one_beginning_of_numbers_is_stopped_and_opened_again() {
    let world = World::with("url = \"sqlite:ringfence.db\"", SHARE);
    let file = world.path("ringfence.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let listen = format!("[listen]\negress = \"127.0.0.1:{}\"\n", ringfence_testkit::free_port());
    std::fs::write(&file, text.replacen("[listen]\n", &listen, 1)).expect("written");
    let account = world.subaccount("Customer 7");
    let checked = world.run(&["check"]).code(0);
    checked.says("where less than 20 % of 20 codes or more within 1h are entered 10m after they were sent");
    world.run(&["limits", "apply"]).code(0);

    world.run(&act(&["trip", "codes entered"])).code(2).complains("--prefix +959");
    let sid = account.to_string();
    let run = world.run(&["trip", "codes entered", "--account", &sid, "--reason", "x"]).code(2);
    run.complains("holds for each beginning of a number").complains("--prefix +959");
    world
        .run(&act(&["trip", "fifty a day", "--prefix", "+959"]))
        .code(2)
        .complains("does not hold for beginnings");
    world.run(&act(&["trip", "codes entered", "--prefix", "959"])).code(2).complains("a prefix is + and");
    // Numbers are counted under +959: a breaker under another beginning would stop nothing.
    let run = world.run(&act(&["trip", "codes entered", "--prefix", "+9595"])).code(2);
    run.complains("numbers that begin with +9595 are counted under +959");
    let run = world.run(&act(&["trip", "codes entered", "--prefix", "+95"])).code(2);
    run.complains("numbers that begin with +95 are counted under several beginnings");
    world.run(&act(&["reset", "codes entered"])).code(1).complains("is not tripped for any beginning");
    let none = world.run(&act(&["reset", "codes entered", "--prefix", "+959"])).code(1);
    none.complains("is not tripped for +959");

    let run = world.run(&act(&["trip", "codes entered", "--prefix", "+959"])).code(0);
    let run = run.says("\"codes entered\" is tripped for numbers that begin with +959");
    let run = run.says("nothing is sent there any more").says("reset \"codes entered\" --prefix +959");
    let status = world.run(&["status"]).code(0).says("TRIPPED").says("numbers that begin with +959");
    status.says("--prefix +959 --reason");
    assert_eq!(world.status(account), "active");
    world.run(&["incidents"]).code(0).says("stopped by hand").says("numbers that begin with +959");

    // What it says to type lifts it; and where one alone is tripped it needs no name.
    world
        .type_in(&run.out)
        .code(0)
        .says("judged by itself")
        .says("is reset for numbers that begin with +959");
    world.run(&["status"]).code(0).says("nothing is tripped");
    world.run(&act(&["trip", "codes entered", "--prefix", "+447"])).code(0);
    world.run(&act(&["trip", "codes entered", "--prefix", "+959"])).code(0);
    let run = world.run(&act(&["reset", "codes entered"])).code(2).complains("which beginning of numbers");
    run.complains("--prefix +447").complains("--prefix +959");
    world.run(&act(&["reset", "codes entered", "--prefix", "+447"])).code(0);
    let json = world.run(&act(&["reset", "codes entered", "--json"])).code(0).json();
    assert_eq!((&json["breaker"]["prefix"], &json["breaker"]["phase"]), (&"+959".into(), &"passing".into()));
}

#[test]
fn a_reset_allows_what_it_is_told_to_and_the_sum_is_reset_for_all() {
    let (world, account) = applied();
    world.run(&act(&["trip", "all together"])).code(0).says("for the 2 accounts of its scope together");
    let other = world.run(&["account", "list", "--json"]).json()["accounts"].clone();
    let statuses: Vec<_> = other.as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(statuses.iter().filter(|it| **it == "suspended").count(), 2, "{other}");
    let reset = world.run(&act(&["reset", "all together", "--allow", "7.5", "--json"])).code(0).json();
    assert_eq!(reset["carried_out"], "done");
    assert_eq!(reset["breaker"]["probing"]["allowed_more"], "7.5");
    assert_eq!(reset["breaker"]["trips_at"], "7.5");
    assert_eq!(world.status(account), "active");
}

#[test]
fn what_a_breaker_holds_is_not_resumed_and_what_it_says_to_type_works() {
    let (world, account) = applied();
    world.run(&act(&["trip", "--account", "Customer 7"])).code(0);
    let sid = account.to_string();
    let run = world.run(&["account", "suspend", &sid, "--reason", "unpaid"]).code(0);
    run.says("is held suspended").says("suspended at Twilio, read back");
    let refused = world.run(&["account", "resume", &sid, "--reason", "paid"]).code(1);
    let refused = refused.complains("is held by \"fifty a day\"");
    assert_eq!(world.status(account), "suspended");
    let hint = refused.err.split("hint: ").nth(1).unwrap();
    // The operator's own hold is still there.
    world.type_in(hint).code(0).says("stays suspended: an operator holds it");
    assert_eq!(world.status(account), "suspended");
    world.run(&["account", "list"]).code(0).says("held suspended by an operator: unpaid");
    world.run(&["account", "resume", &sid, "--reason", "paid"]).code(0).says("active at Twilio, read back");
    assert_eq!(world.status(account), "active");
    let accounts = world.run(&["account", "list", "--json"]).json()["accounts"].clone();
    let parent =
        accounts.as_array().unwrap().iter().find(|it| it["parent"].is_null()).unwrap()["sid"].clone();
    let run = world.run(&["account", "suspend", parent.as_str().unwrap(), "--reason", "x"]).code(1);
    run.complains("is a parent account").complains("close-geo");
}

#[test]
fn an_account_that_was_made_a_moment_ago_can_be_suspended() {
    let (world, _) = applied();
    let new = world.subaccount("Customer 9");
    world.run(&act(&["account", "suspend", "Customer 9"])).code(0);
    assert_eq!(world.status(new), "suspended");
}

#[test]
fn two_trips_at_once_are_one_trip_and_both_tell_the_truth() {
    let (world, account) = applied();
    let start = || world.start(&["trip", "--account", "Customer 7", "--reason", "x"]);
    let both = [start(), start()].map(|child| child.wait_with_output().unwrap());
    for output in both {
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{out} {}", String::from_utf8_lossy(&output.stderr));
        assert!(out.contains("suspended at Twilio, read back"), "{out}");
    }
    assert_eq!(world.status(account), "suspended");
}

#[test]
fn an_act_that_twilio_does_not_answer_is_ordered_and_nothing_else_is_claimed() {
    let (world, account) = applied();
    world.control("POST", "faults", r#"{"api": [{"method": "POST", "path": "/Accounts", "status": 503}]}"#);
    let run = world.run(&act(&["trip", "--account", "Customer 7", "--wait", "2s"])).code(69);
    let run = run.says("still active at Twilio").says("ordered: ").says("no `serve` is at work");
    assert!(!run.out.contains("suspended at Twilio"), "{}", run.out);
    world.run(&["status"]).code(0).says("ACCOUNTS THAT ARE NOT AS THEY ARE TO BE").says("ORDERS THAT FAIL");
    assert_eq!(world.status(account), "active");
    world.control("DELETE", "faults", "");
    // The same again finds the order and carries it out.
    world.run(&act(&["trip", "--account", "Customer 7"])).code(0).says("suspended at Twilio, read back");
    assert_eq!(world.status(account), "suspended");
}

#[test]
fn an_act_that_twilio_refuses_is_a_no() {
    let (world, account) = applied();
    let text = std::fs::read_to_string(world.path("ringfence.toml")).unwrap();
    let wrong = text.replace("{ env = \"TWILIO_AUTH_TOKEN\" }", "\"wrong0wrong0wrong0wrong0wrong0wr\"");
    std::fs::write(world.path("wrong.toml"), wrong).unwrap();
    let run = world.run_with("wrong.toml", &act(&["account", "suspend", "Customer 7"])).code(1);
    run.says("still active at Twilio").says("ordered: ");
    assert_eq!(world.status(account), "active");
}

#[test]
fn what_is_only_ordered_waits_for_a_node() {
    let (world, account) = applied();
    let run = world.run(&act(&["trip", "--account", "Customer 7", "--no-wait"])).code(0);
    run.says("no `serve` is at work to go on: start ringfence serve");
    assert_eq!(world.status(account), "active");
    let serving = world.serve();
    world.until(&["account", "list"], |run| run.out.contains("held suspended"));
    assert_eq!(world.status(account), "suspended");
    serving.stop();
}

#[test]
fn a_store_that_somebody_has_locked_is_away_and_the_act_is_not_claimed() {
    let (world, account) = applied();
    let path = world.path("ringfence.db");
    let mut connection = world.runtime.block_on(async {
        let mut connection =
            sqlx::SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        connection
    });
    let run = world.run(&act(&["trip", "--account", "Customer 7"])).code(69);
    run.complains("holds its lock for too long");
    world.runtime.block_on(sqlx::query("ROLLBACK").execute(&mut connection)).unwrap();
    assert_eq!(world.status(account), "active");
    world.run(&["status"]).code(0).says("nothing is tripped");
}

#[test]
fn a_reset_says_that_it_does_not_end_what_somebody_else_had_begun_and_what_does() {
    let (world, account) = applied();
    let sid = account.to_string();
    world.suspend(account);
    // It is in the list of accounts before the trip, as it is within a poll of `serve`.
    world.run(&["limits", "apply"]).code(0);
    world
        .run(&["trip", "fifty a day", "--account", &sid, "--reason", "x"])
        .code(0)
        .says("suspended at Twilio");
    let run = world.run(&["reset", "fifty a day", "--account", &sid, "--reason", "x"]).code(1);
    run.says("still suspended: it was so before the limit tripped").says("`ringfence account resume`");
    assert_eq!(world.status(account), "suspended");
    world.run(&["account", "resume", &sid, "--reason", "x"]).code(0).says("active at Twilio, read back");
}
