//! Commands that ask a running `serve` over its API, in this machine and through TLS: the same answers and exit codes as on
//! the store, and what is said where it cannot be.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;

use ringfence_testkit::Certificates;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use crate::world::{Run, Serving, World};

/// A running `serve` with an admin listener, and two tokens for it.
struct Node {
    world: World,
    serving: Serving,
    port: u16,
    reads: String,
    operates: String,
}

impl Node {
    fn start() -> Self {
        Self::start_with(str::to_owned)
    }

    /// With another configuration.
    fn start_with(change: impl FnOnce(&str) -> String) -> Self {
        let world = World::new();
        let port = ringfence_testkit::free_port();
        let file = world.path("ringfence.toml");
        let text = fs::read_to_string(&file).expect("the configuration");
        let listen = format!("[listen]\nadmin = \"127.0.0.1:{port}\"\n");
        fs::write(&file, change(&text.replacen("[listen]\n", &listen, 1))).expect("written");
        world.subaccount("Customer 7");
        world.subaccount("Customer 8");
        let serving = world.serve();
        world.until(&["limits", "plan"], |run| run.code == 0);
        let token = |scope: &str| {
            let arguments = ["api-token", "create", "--name", "ci", "--scope", scope];
            world.run(&arguments).code(0).out.trim().to_owned()
        };
        let (reads, operates) = (token("read"), token("operate"));
        Self { world, serving, port, reads, operates }
    }

    /// Runs a command on this machine's listener.
    fn ask(&self, token: &str, arguments: &[&str]) -> Run {
        run_at(&format!("http://127.0.0.1:{}", self.port), token, arguments)
    }
}

/// Runs a command on the listener that is there.
fn run_at(url: &str, token: &str, arguments: &[&str]) -> Run {
    run(&[arguments, &["--api", url]].concat(), token)
}

/// Runs a command that has nothing but its arguments and a token: neither a configuration nor a store.
fn run(arguments: &[&str], token: &str) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(arguments)
        .env_clear()
        .env("RINGFENCE_API_TOKEN", token)
        .output()
        .expect("the program starts and ends");
    let run = Run {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    };
    if !token.is_empty() {
        assert!(!run.out.contains(token) && !run.err.contains(token), "the token was printed: {run:?}");
    }
    run
}

#[test]
fn what_keeps_a_command_from_the_api_is_said() {
    let node = Node::start();
    let here = format!("http://127.0.0.1:{}", node.port);
    node.ask("", &["status"]).code(2).complains("RINGFENCE_API_TOKEN is not set");
    node.ask(&format!("rf_{}", "0".repeat(64)), &["status"])
        .code(64)
        .complains("unknown, expired or revoked");
    let trip = ["trip", "fifty a day", "--account", "Customer 7", "--reason", "leak"];
    node.ask(&node.reads, &trip).code(64).complains("needs the scope `operate`");
    run_at("http://192.0.2.1:9090", &node.reads, &["status"]).code(2).complains("without TLS");
    let closed = format!("http://127.0.0.1:{}", ringfence_testkit::free_port());
    run_at(&closed, &node.reads, &["status"]).code(69).complains("cannot be reached");
    let other = stranger();
    run_at(&other, &node.reads, &["status"]).code(69).complains("is not the API of a Ringfence");
    let https = format!("https://127.0.0.1:{}", node.port);
    run_at(&https, &node.reads, &["status"]).code(69).complains("TLS with");
    for command in ["plan", "apply"] {
        run(&["limits", command, "--api", &here], &node.reads).code(2).complains("not possible over the API");
    }
    node.ask(&node.operates, &["audit", "export", "--with-personal"]).code(2).complains("--with-personal");
    node.ask(&node.operates, &["reset", "sixty", "--reason", "x"])
        .code(2)
        .complains("there is no limit \"sixty\"");
    let unknown = ["account", "suspend", "Customer 9", "--reason", "x"];
    node.ask(&node.operates, &unknown).code(2).complains("Customer 9 is no account");
    let reset = ["reset", "fifty a day", "--account", "Customer 7", "--reason", "x"];
    node.ask(&node.operates, &reset).code(1).complains("not tripped");
    assert_eq!(node.world.run(&["status", "--check"]).code(0).code, 0, "nothing of it was done");
    let log = node.serving.stop();
    assert!(!log.contains(&node.operates), "a token is in the log");
}

#[test]
fn what_a_node_answers_is_what_the_store_says() {
    let node = Node::start();
    let trip = ["trip", "fifty a day", "--account", "Customer 7", "--reason", "leaked key"];
    node.ask(&node.operates, &trip)
        .code(0)
        .says("\"fifty a day\" is tripped for AC")
        .says("suspended at Twilio, read back; its calls are ended")
        .says(&format!("--api http://127.0.0.1:{}", node.port));
    node.ask(&node.reads, &["status", "--check"]).code(1).says("TRIPPED");
    for command in [vec!["account", "list"], vec!["report", "--all"], vec!["report", "fifty a day"]] {
        let of_store = node.world.run(&command).code(0);
        let of_node = node.ask(&node.reads, &command).code(0);
        assert_eq!(of_node.out, of_store.out, "{command:?}");
    }
    let incidents = node.ask(&node.reads, &["incidents", "--open"]).code(0);
    incidents.says("stopped by hand of \"fifty a day\"").says("leaked key").says("ordered: suspend");
    node.ask(&node.reads, &["ledger"]).code(0).says("nothing was sent through the egress yet");
    node.ask(&node.reads, &["ledger", "--account", "Customer 7"]).code(2).complains("account");
    // Both are asked one after the other, and the node reads usage in between.
    node.world.until(&["status", "--json"], |of_store| {
        let (of_store, of_node) = (of_store.json(), node.ask(&node.reads, &["status", "--json"]).json());
        let parts = ["breakers", "limits", "breakers_left_out", "is_quiet"];
        parts.iter().all(|part| of_node[*part] == of_store[*part])
    });

    let reset = [
        "reset",
        "fifty a day",
        "--account",
        "Customer 7",
        "--allow",
        "12.5",
        "--reason",
        "called",
        "--json",
    ];
    let lifted = node.ask(&node.operates, &reset).code(0).json();
    assert_eq!(lifted["breaker"]["probing"]["allowed_more"], json!("12.5"));
    assert_eq!(
        (&lifted["accounts"][0]["status"], &lifted["carried_out"]),
        (&json!("active"), &json!("done")),
        "{lifted}"
    );
    let hold = ["account", "suspend", "Customer 8", "--reason", "unpaid"];
    node.ask(&node.operates, &hold).code(0).says("is held suspended").says("suspended at Twilio, read back");
    let let_go = ["account", "resume", "Customer 8", "--reason", "paid"];
    node.ask(&node.operates, &let_go).code(0).says("active at Twilio, read back");
    let all = ["trip", "all together", "--reason", "attack"];
    node.ask(&node.operates, &all).code(0).says("for the 2 accounts of its scope together");
    let over = ["reset", "all together", "--reason", "over"];
    node.ask(&node.operates, &over).code(0).says("for the 2 accounts of its scope together");

    // The sealer goes on meanwhile, so what was exported first is the beginning of what is exported next.
    node.world.until(&["audit", "export"], |run| run.out.contains("account.want"));
    let of_store = node.world.run(&["audit", "export"]).code(0).out;
    let of_node = node.ask(&node.reads, &["audit", "export"]).code(0).out;
    assert!(of_node.starts_with(&of_store), "{of_store}\n{of_node}");
    let lines: Vec<&str> = of_store.lines().collect();
    let third: serde_json::Value = serde_json::from_str(lines[2]).expect("JSON");
    let rest = node.ask(&node.reads, &["audit", "export", "--after", &third["id"].to_string()]).code(0).out;
    let rest: Vec<&str> = rest.lines().collect();
    assert_eq!(rest[..lines.len() - 3], lines[3..]);
    node.serving.stop();
}

/// What the gate answers to a webhook that nobody signed.
fn forged(port: u16, form: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let length = form.len();
    write!(
        stream,
        "POST /triggers HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn requests_that_are_kept_are_told_by_a_node_as_by_the_store() {
    let node = Node::start_with(|text| format!("{text}\n[inspector]\nkeep = \"redacted\"\n"));
    for form in ["Body=topsecretword&From=%2B4915112345678", "Body=other"] {
        assert!(forged(node.world.gate_port, form).starts_with("HTTP/1.1 403"));
    }
    let show = ["inspector", "show", "--refused"];
    node.world.until(&show, |run| run.out.matches("missing signature").count() == 2);
    for more in
        [&[][..], &["--json"], &["--limit", "1", "--json"], &["--since", "1h"], &["--search", "nothing"]]
    {
        let asked = [&show[..], more].concat();
        let (of_node, of_store) = (node.ask(&node.reads, &asked).code(0), node.world.run(&asked).code(0));
        assert_eq!((&of_node.out, &of_node.err), (&of_store.out, &of_store.err), "{more:?}");
        assert!(
            !of_node.out.contains("topsecretword") && !of_node.out.contains("15112345678"),
            "{of_node:?}"
        );
    }
    let first = node.ask(&node.reads, &[&show[..], &["--limit", "1", "--json"]].concat()).json();
    let next = first["next"].as_str().expect("there is another");
    let second = node.ask(&node.reads, &[&show[..], &["--before", next, "--json"]].concat()).json();
    assert_eq!(second["requests"].as_array().map(Vec::len), Some(1), "{second}");
    node.serving.stop();
}

#[test]
fn a_node_behind_tls_is_asked_if_its_authority_is_trusted() {
    let node = Node::start();
    let certificates = ringfence_testkit::certificates();
    let port = tls_before(&node.world, node.port, &certificates);
    let url = format!("https://localhost:{port}");
    let authority = certificates.authority_path().display().to_string();
    run_at(&url, &node.reads, &["status"]).code(69).complains("TLS with").complains("--ca");
    let token = node.world.path("token");
    fs::write(&token, format!("{}\n", node.operates)).expect("written");
    let token = token.display().to_string();
    let by = ["--api", &url, "--ca", &authority, "--token-file", &token];
    run(&[&["status"], &by[..]].concat(), "").code(0).says("nothing is tripped");
    let hold = ["account", "suspend", "Customer 8", "--reason", "unpaid"];
    let held = run(&[&hold[..], &by].concat(), "").code(0).says("suspended at Twilio, read back");
    // What it says to type works as it stands.
    node.world.type_in(&held.out).code(0).says("active at Twilio, read back");
    node.serving.stop();
}

/// Ends TLS before the admin listener, as a proxy does.
fn tls_before(world: &World, admin: u16, certificates: &Certificates) -> u16 {
    let chain = CertificateDer::pem_file_iter(certificates.chain_path()).expect("a chain");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(certificates.key_path()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = world.runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    world.runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust it hangs up.
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let inside = tokio::net::TcpStream::connect(("127.0.0.1", admin)).await;
                let mut inside = inside.expect("the admin listener");
                _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    port
}

/// Something that speaks HTTP and is no Ringfence.
fn stranger() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            _ = stream.read(&mut [0; 4096]);
            _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            );
        }
    });
    format!("http://{address}")
}

#[test]
fn a_token_is_replaced_at_a_running_node_as_on_the_store() {
    let node = Node::start();
    let arguments = ["api-token", "create", "--name", "ci", "--scope", "admin"];
    let admin = node.world.run(&arguments).code(0).out.trim().to_owned();
    let account = node.world.account();
    let (sid, old) = (account.to_string(), node.world.signs_with(account));
    node.ask(&node.reads, &["token", "status"]).code(0).says("no auth token is being replaced");
    let rotate = ["token", "rotate", &sid, "--reason", "it leaked"];
    for token in [&node.reads, &node.operates] {
        node.ask(token, &rotate).code(64).complains("scope");
    }
    node.ask(&admin, &["token", "undo", &sid, "--reason", "x"]).code(1).complains("no rotation of");
    assert_eq!(node.world.signs_with(account), old);

    let held = node.ask(&admin, &[&rotate[..], &["--hold"]].concat()).code(0);
    held.says("held before the promotion").complains("a second token is there");
    node.ask(&node.reads, &["token", "status", &sid]).code(0).says("nothing is promoted yet");
    node.ask(&admin, &["token", "undo", &sid, "--reason", "not yet"]).code(0).says("has its old auth token");
    assert_eq!(node.world.signs_with(account), old);

    let done = node.ask(&admin, &[&rotate[..], &["--unconfirmed", "--json"]].concat()).code(0);
    assert_eq!(done.json()["state"], "unconfirmed", "{done:?}");
    let new = node.world.signs_with(account);
    assert_ne!(new, old);
    assert!(!done.out.contains(&new) && !done.err.contains(&new), "{done:?}");
    node.ask(&admin, &rotate).code(1).complains("was replaced at");
    let status = node.ask(&node.reads, &["token", "status", "--json"]).code(0).json();
    assert_eq!(status["tokens"][0]["state"], "replaced");
    node.serving.stop();
}

#[test]
fn keys_for_webhooks_are_planned_made_and_taken_back_at_a_running_node_as_on_the_store() {
    let without = Node::start();
    without.ask(&without.reads, &["shared-keys", "status"]).code(0).says("Ringfence has made no SharedKey");
    without.ask(&without.reads, &["shared-keys", "plan"]).code(64).complains("has no [shared_keys]");
    without.serving.stop();

    let route = "[[route]]\npath = \"/sms\"\npublic_url = \"https://hooks.example.com\"\nupstream = \
                 \"http://127.0.0.1:9\"\ncheck = \"signature\"\n\n[[account]]\n";
    let node = Node::start_with(|text| {
        format!("{}\n[shared_keys]\naccounts = \"all\"\n", text.replacen("[[account]]\n", route, 1))
    });
    let arguments = ["api-token", "create", "--name", "ci", "--scope", "admin"];
    let admin = node.world.run(&arguments).code(0).out.trim().to_owned();
    let sid_here = node.world.account().to_string();
    let rotate = ["shared-keys", "rotate", &sid_here, "--reason", "each year"];
    for (token, arguments) in [
        (&node.reads, &["shared-keys", "apply"][..]),
        (&node.operates, &["shared-keys", "apply"]),
        (&node.operates, &rotate),
    ] {
        node.ask(token, arguments).code(64).complains("scope");
    }
    // What a node does by itself, and what it is asked for, come to the same.
    let applied = node.ask(&admin, &["shared-keys", "apply", "--json"]).code(0).json();
    assert_eq!(applied["applied"], true, "{applied}");
    let plan = node.ask(&node.reads, &["shared-keys", "plan", "--json"]).json();
    let of =
        plan["accounts"].as_array().expect("accounts").iter().find(|it| it["account"]["sid"] == *sid_here);
    let waits = &of.expect("the account")["waits"][0]["for"];
    assert!(waits == "spreads" || waits == "nodes", "{plan}");
    let status = node.ask(&node.reads, &["shared-keys", "status", "--json"]).code(0).json();
    let on_store = node.world.run(&["shared-keys", "status", "--json"]).code(0).json();
    for (key, same) in status["shared_keys"]
        .as_array()
        .expect("keys")
        .iter()
        .zip(on_store["shared_keys"].as_array().expect("keys"))
    {
        assert_eq!(
            (&key["id"], &key["state"], &key["account"]),
            (&same["id"], &same["state"], &same["account"])
        );
        assert_eq!(key["state"], "made", "{status}");
    }
    assert!(!status["shared_keys"].as_array().expect("keys").is_empty(), "{status}");
    node.ask(&admin, &rotate).code(1).complains("is prepared already");
    let undo = ["shared-keys", "undo", &sid_here, "--reason", "x"];
    node.ask(&admin, &undo).code(1).complains("no SharedKey signs for");
    let show = ["shared-keys", "show", &sid_here, "--reason", "for the gate in Paris"];
    node.world.run(&show).code(1).complains("no SharedKey of");
    node.ask(&admin, &show).code(1).complains("no SharedKey of");
    for token in [&node.reads, &node.operates] {
        node.ask(token, &show).code(64).complains("scope");
    }
    // Two minutes pass for the key, and every node has said that it verifies with it.
    node.world.sql("UPDATE shared_keys SET since = since - 180000000");
    node.world.until(&["shared-keys", "status", "--json"], |status| {
        node.ask(&admin, &["shared-keys", "apply"]);
        status.json()["shared_keys"].as_array().expect("keys").iter().all(|key| key["state"] == "signing")
    });
    let on_store = node.world.run(&show).code(0);
    assert_eq!(node.ask(&admin, &show).code(0).out, on_store.out);
    let (id, secret) = on_store.out.split_once('\n').expect("two lines");
    let (file, no_file) = (node.world.path("key-of-paris"), node.world.path("no-key"));
    let to_file = [&show[..], &["--to", file.to_str().expect("text")]].concat();
    let into_file = node.ask(&admin, &to_file).code(0);
    assert_eq!(into_file.out, format!("{id}\n"));
    let written = fs::read_to_string(&file).expect("the file");
    assert_eq!(written.trim(), secret.trim());
    node.ask(&admin, &to_file).code(69).complains("key-of-paris: File exists");
    node.ask(&admin, &["shared-keys", "show", "nobody", "--to", no_file.to_str().expect("text")]).code(2);
    assert!(!no_file.exists(), "no empty file is left");
    assert_eq!(node.world.noted("shared-key.show"), 3);
    node.serving.stop();
}
