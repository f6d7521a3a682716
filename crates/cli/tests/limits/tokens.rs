//! `ringfence token`: while the token of an account is replaced, genuine webhooks come all the time to every node, and none is
//! refused.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use ringfence_model::Sid;
use ringfence_signature::Signer;
use ringfence_testkit::{PostgresDatabase, Upstream};

use crate::world::World;

/// A form that a token has signed, sent to a gate; the status of the answer.
fn webhook(port: u16, token: &str, account: Sid) -> u16 {
    let url = "https://hooks.example.com/sms";
    let account = account.to_string();
    let signed = Signer::token(token).form(url, [("AccountSid", account.as_str()), ("Body", "hello")]);
    let fields: Vec<_> = signed.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST /sms HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n",
        signed.body.len(),
        fields.concat()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(&signed.body).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// Two configurations of one installation, as two machines have them, whose token stands in a file.
fn configure(world: &World) -> [u16; 2] {
    let application = world.runtime.block_on(Upstream::saying("<Response/>"));
    let ports = [world.gate_port, ringfence_testkit::free_port()];
    let file = world.path("ringfence.toml");
    let route = format!(
        "[[route]]\npath = \"/sms\"\npublic_url = \"https://hooks.example.com\"\nupstream = \"http://{}\"\ncheck = \
         \"signature\"\n\n[[account]]\n",
        application.address()
    );
    let text = fs::read_to_string(&file).expect("the configuration");
    let text = text.replace("{ env = \"TWILIO_AUTH_TOKEN\" }", "{ file = \"token\" }");
    let text = text.replacen("[[account]]\n", &route, 1);
    fs::write(&file, &text).expect("written");
    let gate = |port: u16| format!("gate = \"127.0.0.1:{port}\"");
    fs::write(world.path("other.toml"), text.replacen(&gate(ports[0]), &gate(ports[1]), 1)).expect("written");
    fs::write(world.path("token"), world.signs_with(world.account())).expect("written");
    // The application answers for as long as the program runs.
    std::mem::forget(application);
    ports
}

#[test]
fn a_run_whose_rotation_another_one_has_ended_says_what_became_of_the_token() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    world.run(&["limits", "apply"]).code(0);
    let account = world.account();
    let (sid, old) = (account.to_string(), world.signs_with(account));
    let rotate = ["token", "rotate", &sid, "--reason", "it leaked", "--unconfirmed"];
    // The first one stands still while it waits, and the other one does it all.
    let mut first = world.start(&rotate);
    let mut stderr = BufReader::new(first.stderr.take().expect("its messages"));
    let mut told = String::new();
    while !told.contains("until what was begun with the old token has left") {
        assert!(stderr.read_line(&mut told).expect("a line") > 0, "{told}");
    }
    let signal = |signal: &str| {
        let sent = std::process::Command::new("kill").args([signal, &first.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    };
    signal("-STOP");
    world.run(&rotate).code(0).says("is replaced, and the old one is forgotten");
    signal("-CONT");
    let ended = first.wait_with_output().expect("it ends");
    let out = String::from_utf8(ended.stdout).expect("text");
    assert!(out.contains("is replaced, and the old one is forgotten"), "{out}");
    assert_eq!(ended.status.code(), Some(0), "{out}");
    assert_ne!(world.signs_with(account), old);
    // The configuration still has the old one, and the store knows better.
    let run = world.run(&["import", "account", &sid]);
    assert!(run.code < 2, "0 with routes, 1 without: {run:?}");
}

/// Stops the stream, also where the test fails.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Replaces the token under a stream of webhooks to these gates, then looks at what is left of the old one.
fn rotate_under_traffic(world: &World, ports: &[u16]) {
    let account = world.account();
    let sid = account.to_string();
    let old = world.signs_with(account);
    for port in ports {
        assert_eq!(webhook(*port, &old, account), 200);
    }
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _stops = Stops(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for port in ports {
                    let token = world.signs_with(account);
                    assert_eq!(webhook(*port, &token, account), 200, "a genuine webhook is refused");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let held = world.run(&["token", "rotate", &sid, "--reason", "it leaked", "--hold"]).code(0);
        held.says("to promote it:").says("token undo").complains("a second token is made");
        assert_eq!(world.signs_with(account), old, "nothing is promoted yet");
        world.run(&["token", "status", &sid]).code(0).says("nothing is promoted yet").says("to go on:");

        let done = world.run(&["token", "rotate", &sid, "--reason", "it leaked"]);
        stop.store(true, Ordering::Relaxed);
        let done =
            done.code(0).says("is replaced: a request came that the new one signed").says("auth_token of");
        assert!(!done.out.contains(&world.signs_with(account)), "{done:?}");
        done.complains("the second token is promoted");
    });
    assert!(sent.load(Ordering::Relaxed) > 20);

    let new = world.signs_with(account);
    assert_ne!(new, old);
    for port in ports {
        assert_eq!(
            webhook(*port, &old, account),
            403,
            "the stolen token opens nothing, although it is configured"
        );
        assert_eq!(webhook(*port, &new, account), 200);
    }
}

#[test]
fn two_nodes_on_postgresql_refuse_nothing_while_the_token_is_replaced() {
    let Some(database) = PostgresDatabase::create() else { return };
    let store = format!("url = \"{}\"\nmaster_key = {{ env = \"STORE_KEY\" }}", database.url());
    let world = World::with(&store, "");
    let ports = configure(&world);
    let (one, two) = (world.serve(), world.serve_with("other.toml"));
    world.until(&["status"], |run| run.out.matches("at work, last sign").count() == 2);
    rotate_under_traffic(&world, &ports);
    drop((one, two));
}

#[test]
fn the_configuration_is_to_be_updated_and_the_stores_token_counts_until_it_is() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    let [port, _] = configure(&world);
    let serving = world.serve();
    world.until(&["status"], |run| run.out.contains("at work, last sign"));
    rotate_under_traffic(&world, &[port]);
    let account = world.account();
    let (sid, new) = (account.to_string(), world.signs_with(account));
    world
        .run(&["status", "--check"])
        .code(1)
        .says("AUTH TOKENS")
        .says("the configured auth_token was replaced");
    let again = world.run(&["token", "rotate", &sid, "--reason", "x"]).code(1);
    again.complains("was replaced at").complains("--again");

    // From its very start a node with the old configuration has the store's token.
    serving.stop();
    let serving = world.serve();
    assert_eq!(webhook(port, &new, account), 200);
    let old = fs::read_to_string(world.path("token")).expect("the old one");
    assert_eq!(webhook(port, &old, account), 403);

    // What an application needs is given out as a file, and the audit log knows.
    world.run(&["token", "show", &sid, "--to", "new"]).code(0).says("is in new");
    let file = world.path("new");
    assert_eq!(fs::metadata(&file).expect("it").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&file).expect("text").trim(), new);
    world.run(&["token", "show", &sid, "--to", "new"]).code(69).complains("cannot write new");
    assert_eq!(world.run(&["token", "show", &sid]).code(0).out.trim(), new);

    fs::rename(&file, world.path("token")).expect("the configuration is updated");
    world.run(&["status", "--check"]).code(0);
    let replaced = world.run(&["token", "status", "--json"]).code(0).json();
    assert_eq!(replaced["tokens"][0]["state"], "replaced");
    assert_eq!(replaced["tokens"][0]["configuration_outdated"], false);
    serving.stop();
    let serving = world.serve();
    assert_eq!(webhook(port, &new, account), 200);
    serving.stop();
}

#[test]
fn without_traffic_the_command_waits_and_says_what_to_choose() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    configure(&world);
    world.run(&["migrate"]).code(0);
    let sid = world.account().to_string();
    let undo = ["token", "undo", &sid, "--reason", "x"];
    world.run(&undo).code(1).complains("no rotation of");
    world.run(&["token", "status"]).code(0).says("no auth token is being replaced");
    let waits = world.run(&["token", "rotate", &sid, "--reason", "x", "--wait", "1s"]).code(1);
    let waits = waits.says("no request came that the new token signed").says("--unconfirmed");
    world.run(&undo).code(1).complains("Twilio takes the old one no more");
    let shown = waits.out.split("to forget the old token without one:").nth(1).expect("a command").to_owned();
    let done = world.type_in(&shown).code(0);
    done.says("no request came yet that the new one signed");
    let wrong = world.run(&["token", "rotate", "AC00000000000000000000000000000404", "--reason", "x"]);
    wrong.code(2).complains("is no account that Twilio lists here");
}

#[test]
fn what_was_begun_with_the_old_token_is_waited_for_although_no_node_is_registered() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    configure(&world);
    world.run(&["migrate"]).code(0);
    let sid = world.account().to_string();
    let run = world.run(&["token", "rotate", &sid, "--reason", "x", "--unconfirmed"]).code(0);
    let (waited, promoted) = (run.err.find("until what was begun"), run.err.find("is promoted"));
    assert!(waited.is_some() && waited < promoted, "{run:?}");
}

#[test]
fn a_reload_that_brings_an_outdated_configuration_back_does_not_let_the_replaced_token_in() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    let [port, _] = configure(&world);
    let account = world.account();
    let (sid, stolen) = (account.to_string(), world.signs_with(account));
    world.run(&["migrate"]).code(0);
    world.run(&["token", "rotate", &sid, "--reason", "it leaked", "--unconfirmed"]).code(0);
    let new = world.signs_with(account);
    fs::write(world.path("token"), &new).expect("the configuration is updated");
    let serving = world.serve();
    world.until(&["status"], |run| run.out.contains("at work, last sign"));
    assert_eq!((webhook(port, &new, account), webhook(port, &stolen, account)), (200, 403));

    fs::write(world.path("token"), &stolen).expect("and brought back from a backup");
    let asked = std::process::Command::new("kill").args(["-HUP", &serving.id().to_string()]).status();
    assert!(asked.expect("kill").success());
    // While it reads it, and the node that runs gives way to the next one.
    for _ in 0..20 {
        for _ in 0..20 {
            assert_eq!(webhook(port, &stolen, account), 403, "the stolen token opens the gate");
        }
        world.run(&["token", "status", &sid]).code(0);
    }
    assert_eq!(webhook(port, &new, account), 200);
    let log = serving.stop();
    assert!(log.contains("reloaded"), "{log}");
}

#[test]
fn a_request_is_judged_on_the_command_line_by_the_tokens_that_the_gate_has() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    configure(&world);
    let account = world.account();
    let (sid, stolen) = (account.to_string(), world.signs_with(account));
    let request = |name: &str, token: &str| {
        let signed =
            Signer::token(token).form("https://hooks.example.com/sms", [("AccountSid", sid.as_str())]);
        let fields: Vec<_> =
            signed.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let body = String::from_utf8(signed.body.clone()).expect("a form");
        let length = body.len();
        let host = "hooks.example.com";
        let head = format!("POST /sms HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n");
        fs::write(world.path(name), format!("{head}{}\r\n{body}", fields.concat())).expect("written");
    };
    request("old", &stolen);
    world.run(&["verify", "--http", "old"]).code(0);
    assert!(!world.files().contains(&"ringfence.db".to_owned()), "looking makes no store");

    world.run(&["migrate"]).code(0);
    world.run(&["token", "rotate", &sid, "--reason", "it leaked", "--unconfirmed"]).code(0);
    request("new", &world.signs_with(account));
    for command in ["verify", "explain"] {
        world.run(&[command, "--http", "old"]).code(1);
        world.run(&[command, "--http", "new"]).code(0).says("allow");
    }
}

#[test]
fn nothing_is_written_and_nothing_is_said_to_be_given_out_before_everything_was_checked() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    configure(&world);
    let sid = world.account().to_string();
    // There is no store yet, and it is not made for this.
    world.run(&["token", "show", &sid, "--to", "out"]).code(69).complains("there is no store");
    world.run(&["migrate"]).code(0);
    world.run(&["token", "show", "AC00000000000000000000000000000404", "--to", "out"]).code(2);
    assert!(!world.path("out").exists(), "no file is left of what was refused");
    fs::write(world.path("taken"), "somebody's").expect("written");
    world.run(&["token", "show", &sid, "--to", "taken"]).code(69).complains("cannot write taken");
    assert_eq!(fs::read_to_string(world.path("taken")).expect("text"), "somebody's");
    world.run(&["token", "show", &sid, "--to", "no-such-folder/out"]).code(69);
    assert_eq!(world.noted("token.show"), 0, "nothing was given out");
    let shown = world.run(&["token", "show", &sid, "--to", "out"]).code(0);
    let token = world.signs_with(world.account());
    assert!(!shown.out.contains(&token) && !shown.err.contains(&token), "it is in the file alone: {shown:?}");
    assert_eq!(fs::read_to_string(world.path("out")).expect("text").trim(), token);
    assert_eq!(world.noted("token.show"), 1);
}

#[test]
fn a_test_request_is_signed_with_what_twilio_signs_with_now() {
    let world = World::with("url = \"sqlite:ringfence.db\"", "");
    configure(&world);
    let account = world.account();
    let sid = account.to_string();
    let url = "https://hooks.example.com/sms";
    let sign = || world.run(&["sign", "--url", url, "--param", "Body=Hi", "--json"]).code(0);
    let signed_by = |token: &str| {
        let signed = Signer::token(token).form(url, [("Body", "Hi")]);
        signed.header("x-twilio-signature").expect("a signature").to_owned()
    };
    let by_file = sign().complains("signed with the configured auth token");
    assert_eq!(by_file.json()["headers"]["X-Twilio-Signature"], signed_by(&world.signs_with(account)));
    world.run(&["migrate"]).code(0);
    world.run(&["token", "rotate", &sid, "--reason", "it leaked", "--unconfirmed"]).code(0);
    let by_store = sign().complains("that the store has");
    assert_eq!(by_store.json()["headers"]["X-Twilio-Signature"], signed_by(&world.signs_with(account)));
    let nobody = ["sign", "--url", url, "--account", "AC00000000000000000000000000000404"];
    world.run(&nobody).code(2).complains("no auth token of");
    let key = ["sign", "--url", url, "--token-env", "TWILIO_AUTH_TOKEN"];
    world.run(&key).code(2).complains("cannot be used with");
}
