//! The egress of a running `serve`: what a credential from the command line sends, and what a report makes of it.

use std::fs;

use serde_json::json;

use crate::codes::ask;
use crate::world::World;

/// A configuration with an egress; gives its port.
fn with_egress(world: &World) -> u16 {
    let port = ringfence_testkit::free_port();
    let file = world.path("ringfence.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let listen = format!("[listen]\negress = \"127.0.0.1:{port}\"\n");
    fs::write(&file, text.replacen("[listen]\n", &listen, 1)).expect("written");
    port
}

#[test]
fn a_store_whose_file_was_moved_away_lets_nothing_out_until_it_is_back() {
    let world = World::with("url = \"sqlite:ringfence.db\"", LIMITS);
    let port = with_egress(&world);
    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    let (account, number) = (world.account(), world.number());
    let made = ["key", "create", "--account", &account.to_string(), "--name", "shop", "--json"];
    let made = world.run(&made).code(0).json();
    let credentials = format!("{account}:{}", made["secret"].as_str().expect("a secret"));
    let path = format!("/api.twilio.com/2010-04-01/Accounts/{account}/Messages.json");
    let form = format!("To=%2B14155550123&From={}&Body=Hello", number.replace('+', "%2B"));
    let send = || ask(port, "POST", &path, &credentials, &form);
    let until = |wanted: u16| {
        let began = std::time::Instant::now();
        loop {
            let (status, sent) = send();
            if status == wanted {
                return sent;
            }
            assert!(status == 503 && began.elapsed() < crate::world::PATIENCE, "{status} {sent}");
        }
    };
    let move_all = |from: &str, to: &str| {
        for with in ["", "-wal", "-shm"] {
            let named = |name: &str| world.path(&format!("{name}{with}"));
            fs::rename(named(from), named(to)).expect("moved");
        }
    };
    until(201);
    let sent = world.messages().len();
    move_all("ringfence.db", "aside.db");
    let refused = |(status, said): (u16, serde_json::Value)| {
        assert_eq!((status, &said["code"]), (503, &json!(84041)), "{said}");
    };
    refused(send());
    // Whoever makes another store in its place decides nothing here, and is not told so.
    world.run(&["limits", "apply"]).code(0);
    refused(send());
    assert_eq!(world.messages().len(), sent);
    world.run(&["status", "--check"]).code(1).says("no node is at work");
    for with in ["", "-wal", "-shm"] {
        _ = fs::remove_file(world.path(&format!("ringfence.db{with}")));
    }
    move_all("aside.db", "ringfence.db");
    until(201);
    let log = serving.stop();
    assert!(log.contains("its file was moved, deleted or replaced"), "{log}");
}

/// Only watches, and is passed by the first message.
const LIMITS: &str = "[[limit]]\nname = \"watched\"\nscope = \"all\"\nwindow = \"daily\"\nat = \"0.001\"\n\
                      then = [\"end-calls\"]\nenforce = false\n\n\
                      [[limit]]\nname = \"wide\"\nscope = \"all\"\nwindow = \"daily\"\nat = \"5000\"\n\
                      then = [\"end-calls\"]\nenforce = false\n\n\
                      [egress]\nunknown_price = \"0.50\"\n";

#[test]
fn a_report_says_what_would_have_been_refused_before_it_was_sent_and_what_that_was_worth() {
    let world = World::with("url = \"sqlite:ringfence.db\"", LIMITS);
    let port = with_egress(&world);
    world.run(&["check"]).code(0);
    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    world.run(&["report"]).code(0).says("too early to say");
    let (account, number) = (world.account(), world.number());
    let of_account = account.to_string();
    let made = ["key", "create", "--account", &of_account, "--name", "shop", "--json"];
    let made = world.run(&made).code(0).json();
    let (key, secret) = (made["sid"].as_str().expect("a SID"), made["secret"].as_str().expect("a secret"));
    let path = format!("/api.twilio.com/2010-04-01/Accounts/{account}/Messages.json");
    let form = format!("To=%2B14155550123&From={}&Body=Hello", number.replace('+', "%2B"));
    let began = std::time::Instant::now();
    let send = || loop {
        // The node takes its limits over within a second.
        let (status, sent) = ask(port, "POST", &path, &format!("{account}:{secret}"), &form);
        match status {
            201 => break sent,
            503 => assert!(began.elapsed() < crate::world::PATIENCE, "{sent}"),
            _ => panic!("{status} {sent}"),
        }
    };
    // Once Twilio's figure was read, each of them is held against the limit.
    let of_watched = || world.run(&["report", "watched", "--json"]).code(0).json()["limits"][0].clone();
    while of_watched()["egress"]["would_refuse"].as_u64() < Some(2) {
        send();
        assert!(began.elapsed() < crate::world::PATIENCE, "{}", of_watched());
    }
    let report = of_watched();
    assert_eq!(report["verdict"], "would-have-stopped");
    assert_eq!(report["egress"]["refused"], 0);
    let worth = report["egress"]["would_refuse_worth"].as_str().expect("an amount").parse::<f64>();
    assert!(worth.expect("a number") > 0.002, "{report}");
    let text = world.run(&["report", "watched"]).code(0).says("it would have");
    text.says("it would have refused 2 of").says("messages.create: ");
    let wide = world.run(&["report", "wide", "--json"]).code(0).json()["limits"][0].clone();
    assert_eq!((&wide["verdict"], &wide["egress"]["would_refuse"]), (&json!("too-early"), &json!(0)));
    // What came of them becomes known: the price of each, or that it takes another look.
    let priced = world.until(&["report", "wide", "--json"], |run| {
        run.json()["limits"][0]["egress"]["operations"][0]["priced"].as_u64() >= Some(1)
    });
    let of = priced.json()["limits"][0]["egress"]["operations"][0].clone();
    assert_eq!((&of["operation"], &of["under"]), (&json!("messages.create"), &json!(0)), "{of}");
    world.run(&["report", "wide"]).code(0).says("the price book set ").says("never too low");
    let ledger = world.run(&["ledger"]).code(0).says("\"watched\"").says("would have tripped");
    ledger.says("\"wide\"").says(" of 5000").says("Twilio counts ");
    let sums = world.run(&["ledger", "--account", &of_account, "--json"]).code(0).json();
    assert_eq!(sums["sums"][0]["limit"], "watched", "what is nearest comes first: {sums}");
    assert_eq!(sums["sums"][0]["left"], "0");
    let status = world.run(&["status"]).code(0).says("WHAT IS TAKEN OF EACH LIMIT");
    status.says("  \"wide\"   only watches\n").says(" of 5000").says(" left\n        settled ");
    let status = world.run(&["status", "--json"]).code(0).json();
    let wide = status["limits"].as_array().expect("a list").iter().find(|it| it["limit"]["name"] == "wide");
    let sum = &wide.expect("a limit")["sums"][0];
    assert_eq!(
        (&sum["admits_up_to"], &sum["account"]["sid"]),
        (&json!("5000"), &json!(of_account)),
        "{status}"
    );
    world.run(&["ledger", "--account", "AC00000000000000000000000000000009"]).code(2);
    let incidents = world.run(&["incidents", "--limit", "watched", "--json"]).code(0).json();
    let refused = incidents["incidents"].as_array().expect("a list").iter();
    assert_eq!(refused.filter_map(|it| it["would_refuse"].as_u64()).sum::<u64>(), 2, "{incidents}");
    world.run(&["incidents", "--open"]).code(0).says("of \"watched\"").says("would have refused 2 requests");
    world
        .run(&["incidents", "--since", "2999-01-01", "--kind", "tripped"])
        .code(0)
        .says("nothing fired since 2999");
    world.run(&["incidents", "--kind", "nonsense"]).code(2);
    let listed = world.run(&["key", "list", "--json"]).code(0).json();
    assert!(listed[0]["used_at"].is_string(), "{listed}");
    let maker = listed[0]["created_by"].as_str().expect("a maker");
    assert!(maker.starts_with("command-line alice"), "{maker}");
    world.run(&["key", "revoke", key]).code(0);
    assert_eq!(ask(port, "POST", &path, &format!("{account}:{secret}"), &form).0, 401, "at once");
    serving.stop();
}
