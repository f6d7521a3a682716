//! The commands beside a running `serve`, on the same database.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use ringfence_testkit::{Answer, PostgresDatabase, Upstream};

use crate::world::{LIMITS, Run, World};

fn has(text: &'static str) -> impl Fn(&Run) -> bool {
    move |run| run.out.contains(text)
}

#[test]
fn a_notice_that_does_not_arrive_is_in_the_log_of_serve_and_in_the_status() {
    let world = World::new();
    let away = world.runtime.block_on(Upstream::start(|request| async move {
        let is_tripped =
            request.header("webhook-id").is_some() && body_has(&request.body, "\"type\":\"tripped\"");
        Answer::new(if is_tripped { 503 } else { 410 }, "")
    }));
    let webhook = format!("[notify]\nwebhook = {{ url = \"http://{}/\" }}\n", away.address());
    world.configure(
        "ringfence.toml",
        &format!("[[limit]]\nname = \"fifty a day\"\nscope = \"subaccounts\"\nwindow = \"daily\"\nat = \"50\"\n\n{webhook}"),
    );
    world.subaccount("Customer 7");
    let serving = world.serve();
    world.until(&["status"], |run| run.out.contains("at work, last sign"));
    world.run(&["trip", "fifty a day", "--account", "Customer 7", "--reason", "x"]).code(0);
    let status = world
        .until(&["status", "--check"], |run| run.out.contains("given up") && run.out.contains("next try in"));
    status.says("ORDERS THAT FAIL").code(1);
    let log = serving.stop();
    for line in [
        "WARN a notice was not delivered, and is tried again to=webhook notice=\"tripped\" tries=1",
        "ERROR a notice was not delivered, and is given up to=webhook notice=\"in-force\" tries=1",
    ] {
        assert!(log.contains(line), "{line:?} is not in\n{log}");
    }
}

#[test]
fn a_test_notice_tells_everybody_and_says_who_has_it() {
    let world = World::new();
    let notify = |address: &str| {
        world.configure("n.toml", &format!("[notify]\nwebhook = {{ url = \"http://{address}/\" }}\n"));
        world.run_with("n.toml", &["notify", "test"])
    };
    let told = world.runtime.block_on(Upstream::saying(""));
    notify(&told.address().to_string()).code(0).says(&format!("webhook to {}: taken", told.address()));
    assert!(body_has(&told.requests()[0].body, "\"type\":\"test\""), "{:?}", told.requests()[0].body);
    let json = world.run_with("n.toml", &["notify", "test", "--json"]).code(0).json();
    assert_eq!(json["told"][0]["outcome"], "taken");

    let gone = world.runtime.block_on(Upstream::start(|_| async { Answer::new(410, "") }));
    notify(&gone.address().to_string()).code(1).says("refused, and a notice would be given up");
    let away = format!("127.0.0.1:{}", ringfence_testkit::free_port());
    notify(&away).code(69).says("not taken, and a notice would be tried again");
    world.configure("nobody.toml", LIMITS);
    world
        .run_with("nobody.toml", &["notify", "test"])
        .code(64)
        .complains("has no [notify], so nobody is told");
}

fn body_has(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

#[test]
fn on_postgresql_an_operator_and_serve_work_on_the_same_breakers() {
    let Some(database) = PostgresDatabase::create() else { return };
    let store = format!("url = \"{}\"\nmaster_key = {{ env = \"STORE_KEY\" }}", database.url());
    let world = World::with(&store, LIMITS);
    let account = world.subaccount("Customer 7");
    assert_eq!(world.run(&["status"]).code(69).out, "", "there are no tables yet");
    world.run(&["limits", "plan"]).code(1);
    assert_eq!(database.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").trim(), "0");

    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    let status = world.until(&["status", "--check"], |run| run.code == 0);
    status.says("nothing is tripped").says(" at work, last sign ");

    // What is spent trips by itself; the operator lets it spend 5 more, and that trips again.
    world.spend(account, "60");
    let tripped = world.until(&["status"], has("by the use of 60")).out;
    world.until(&["account", "list"], has("held suspended by limit \"fifty a day\""));
    assert_eq!(world.status(account), "suspended");
    let command = tripped.split("to lift it:").nth(1).unwrap();
    let reset = world.type_in(command).code(0).says("active at Twilio, read back");
    reset.says("5 USD more may be used until ").says("it stands at 60 USD and trips again at 65 USD");
    assert_eq!(world.status(account), "active");
    world.spend(account, "5");
    world.until(&["account", "list"], has("held suspended by limit \"fifty a day\""));

    // An operator's own act, whoever of the two carries it out.
    let other = world.subaccount("Customer 8");
    world.run(&["trip", "fifty a day", "--account", "Customer 8", "--reason", "x"]).code(0);
    assert_eq!(world.status(other), "suspended");
    serving.stop();
    world.run(&["audit", "verify"]).code(0);
}

#[test]
fn a_second_signal_ends_it_while_its_control_plane_still_waits_for_the_store() {
    use sqlx::Connection as _;
    let world = World::new();
    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    // Another program holds the lock for longer than anybody waits, so the node cannot say that it leaves.
    let url = format!("sqlite:{}", world.path("ringfence.db").display());
    let holding = world.runtime.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("the store");
        sqlx::query("PRAGMA busy_timeout = 60000").execute(&mut connection).await.expect("a statement");
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.expect("the lock");
        connection
    });
    let log = serving.stop_impatiently();
    assert!(log.contains("stopped at once, as asked a second time"), "{log}");
    drop(holding);
}

#[test]
fn limits_that_were_applied_are_not_taken_back_by_a_serve_with_others() {
    let world = World::new();
    let account = world.subaccount("Customer 7");
    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    world.configure("new.toml", &LIMITS.replace("\"50\"", "\"40\""));
    let applied = world.run_with("new.toml", &["limits", "apply"]).code(0).says("~ \"fifty a day\"");
    applied.complains(
        "runs with another configuration. It holds these limits from now on, until it is reloaded",
    );
    // Each time that it gives a sign of life, it looks at what holds.
    let sign = |run: &Run| run.json()["nodes"]["nodes"][0]["seen_at"].clone();
    for _ in 0..3 {
        let before = sign(&world.run(&["status", "--json"]).code(0));
        world.until(&["status", "--json"], |run| sign(run) != before);
    }
    world.run_with("new.toml", &["limits", "plan"]).code(0);
    assert_eq!(world.triggers(account)[0].trigger_value, "40.000000");
    // And it holds them.
    world.spend(account, "45");
    world.until(&["account", "list"], has("held suspended by limit \"fifty a day\""));
    assert!(serving.stop().contains("other limits were applied while this node ran"));
}

#[test]
fn where_one_node_has_the_limits_that_were_applied_the_others_do_nothing_and_are_named() {
    let world = World::new();
    world.subaccount("Customer 7");
    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    world.configure("new.toml", &LIMITS.replace("\"50\"", "\"40\""));
    let text = fs::read_to_string(world.path("new.toml")).expect("the configuration");
    let (before, after) = text.split_once("gate = \"127.0.0.1:").expect("the address of the gate");
    let (_, after) = after.split_once('"').expect("the end of the address");
    let port = ringfence_testkit::free_port();
    fs::write(world.path("new.toml"), format!("{before}gate = \"127.0.0.1:{port}\"{after}"))
        .expect("written");
    let other = world.serve_with("new.toml");
    let nodes = |run: &Run| run.json()["nodes"]["nodes"].as_array().expect("nodes").clone();
    let works = |run: &Run, id: u32| {
        let is_it = |node: &&serde_json::Value| {
            node["name"].as_str().is_some_and(|name| name.ends_with(&format!("/{id}")))
        };
        nodes(run)
            .iter()
            .find(is_it)
            .is_some_and(|node| node["jobs"].as_array().is_some_and(|it| !it.is_empty()))
    };
    world.until(&["status", "--json"], |run| nodes(run).len() == 2 && works(run, serving.id()));

    let applied = world.run_with("new.toml", &["limits", "apply"]).code(0).says("~ \"fifty a day\"");
    applied.complains("runs with another configuration, and does nothing from now on but verify");
    world.until(&["status", "--json"], |run| works(run, other.id()) && !works(run, serving.id()));
    assert!(serving.stop().contains("not at work: the limits of this node are not those that were applied"));
    other.stop();
}

#[test]
fn a_limit_that_only_watches_stops_nobody_and_is_reported() {
    let limits = "[[limit]]\nname = \"watched\"\nscope = \"subaccounts\"\nwindow = \"daily\"\nat = \"50\"\n\
                  then = [\"suspend\"]\nenforce = false\n";
    let world = World::with("url = \"sqlite:ringfence.db\"", limits);
    let account = world.subaccount("Customer 7");
    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    world.run(&["report"]).code(0).says("\"watched\"").says("too early to say");
    world.spend(account, "60");
    let report = world.until(&["report"], has("it would have tripped"));
    report.says("it only watches").says(&account.to_string());
    assert_eq!(world.run(&["report", "--json"]).json()["limits"][0]["verdict"], "would-have-stopped");
    assert_eq!(world.status(account), "active");
    world.run(&["status"]).code(0).says("it only watches, so nothing was stopped");
    world.run(&["report", "watchd"]).code(2).complains("there is no limit \"watchd\"");
    serving.stop();
}

#[test]
fn heads_of_the_audit_log_go_where_its_end_cannot_be_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("log");
    let syslog = UnixDatagram::bind(&socket).expect("a socket");
    syslog.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let receiver = runtime.block_on(Upstream::start(async |_| Answer::new(204, "")));
    let store = format!(
        "url = \"sqlite:ringfence.db\"\naudit_heads = [{{ file = \"heads\" }}, {{ syslog = \"{}\" }}, \
         {{ webhook = \"http://{}/heads\", secret = {{ env = \"STORE_KEY\" }} }}]",
        socket.display(),
        receiver.address()
    );
    let world = World::with(&store, LIMITS);
    world.run(&["check"]).code(0).says("heads to    the file ").says("heads to    syslog at ");
    let (heads, copy) = (world.path("heads"), world.path("copy.db"));
    let (heads, copy) = (heads.display().to_string(), copy.display().to_string());
    let verify = ["audit", "verify", "--heads", heads.as_str()];

    let serving = world.serve();
    world.until(&verify, |run| run.code == 0);
    assert_eq!(fs::metadata(&heads).expect("the file").permissions().mode() & 0o777, 0o600);
    let mut message = [0; 2048];
    let length = syslog.recv(&mut message).expect("a message");
    let message = str::from_utf8(&message[..length]).expect("text");
    let first = fs::read_to_string(&heads).expect("the file");
    assert!(message.starts_with("<85>ringfence[") && message.contains(": audit head "), "{message}");
    world.until(&["status"], |_| !receiver.requests().is_empty());
    let posted = &receiver.requests()[0];
    assert!(posted.header("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")));
    serving.stop();

    // What happens from here on is taken back together with its heads, and the head that is outside says so.
    world.run(&["store", "backup", &copy]).code(0);
    let account = world.subaccount("Customer 7");
    let serving = world.serve();
    world.spend(account, "60");
    world.until(&["account", "list"], has("held suspended by limit \"fifty a day\""));
    world.until(&verify, |run| {
        run.code == 0 && fs::read_to_string(&heads).is_ok_and(|text| text.len() > first.len())
    });
    serving.stop();
    world.run(&["store", "restore", &copy, "--replace", "anything"]).code(0);
    world.run(&["audit", "verify"]).code(0);
    world.run(&verify).code(1).says("the log is not whole");
    // The service says it too, when it carries the next one.
    let serving = world.serve();
    world.until(&["status"], |_| fs::read_to_string(&heads).is_ok_and(|text| text.lines().count() > 2));
    let log = serving.stop();
    assert!(
        log.contains("the audit log ends at ") || log.contains("the audit log does not say at "),
        "{log}"
    );
}
