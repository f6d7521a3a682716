//! Processes that are killed (`kill -9`), and what the next one makes of what they left.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use ringfence_model::Sid;
use ringfence_testkit::{PostgresDatabase, Upstream};
use serde_json::Value;

use crate::world::{PATIENCE, World};

/// Suspends, and tells the program at this address.
fn fifty_a_day(told: &Upstream) -> String {
    format!(
        "[[limit]]\nname = \"fifty a day\"\nscope = \"subaccounts\"\nwindow = \"daily\"\nat = \"50\"\n\
         then = [\"suspend\", \"notify\"]\n\n[notify]\nwebhook = {{ url = \"http://{}/\" }}\n",
        told.address()
    )
}

/// When the first `serve` is killed, of all moments between the trigger and the suspension.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    /// Twilio has its answer to the usage trigger, and may never call again.
    Answered,
    /// The breaker is tripped, and Twilio has refused to suspend the account.
    Refused,
}

#[test]
fn a_serve_that_is_killed_as_soon_as_it_has_answered_a_trigger_suspends_when_it_is_started_again() {
    killed_between_the_trigger_and_the_suspension(Moment::Answered);
}

#[test]
fn a_serve_that_is_killed_while_twilio_refuses_the_suspension_suspends_when_it_is_started_again() {
    killed_between_the_trigger_and_the_suspension(Moment::Refused);
}

fn killed_between_the_trigger_and_the_suspension(moment: Moment) {
    let world = World::new();
    let told = world.runtime.block_on(Upstream::saying(""));
    world.configure("ringfence.toml", &fifty_a_day(&told));
    let account = world.subaccount("Customer 7");
    let neighbour = world.subaccount("Customer 8");
    let first = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);

    // Usage records cannot be read from now on: what the trigger told is all that there is to know.
    let records = r#"{"method": "GET", "path": "/Usage/Records", "status": 503}"#;
    let suspension = format!("{{\"method\": \"POST\", \"path\": \"/{account}.json\", \"status\": 503}}");
    world.control("POST", "faults", &format!("{{\"api\": [{records}, {suspension}]}}"));
    world.spend(neighbour, "49.99");
    world.spend(account, "60");
    until("the trigger is answered", || {
        let log = world.control("GET", "deliveries?kind=usage-trigger", "");
        let tries = |it: &Value| it["tries"].as_array().cloned().unwrap_or_default();
        let mut tries = log["deliveries"].as_array().expect("a list").iter().flat_map(tries);
        tries.any(|it| it["status"] == 200)
    });
    if moment == Moment::Refused {
        world.until(&["status"], |run| run.out.contains("ORDERS THAT FAIL"));
    }
    first.kill();
    assert_eq!(world.status(account), "active");
    world.control("DELETE", "faults", "");
    world.control("POST", "faults", &format!("{{\"api\": [{records}]}}"));

    let second = world.serve();
    world.until(&["account", "list"], |run| run.out.contains("held suspended by limit \"fifty a day\""));
    assert_suspended_once(&world, account, &told);
    assert_eq!(world.status(neighbour), "active");
    second.stop();
    world.run(&["audit", "verify"]).code(0);
}

#[test]
fn of_two_serves_on_one_postgresql_the_other_takes_over_when_one_is_killed() {
    let Some(database) = PostgresDatabase::create() else { return };
    let store = format!("url = \"{}\"\nmaster_key = {{ env = \"STORE_KEY\" }}", database.url());
    let world = World::with(&store, "");
    let told = world.runtime.block_on(Upstream::saying(""));
    world.configure("ringfence.toml", &fifty_a_day(&told));
    // The same but for the port: both are behind the one public URL.
    let text = fs::read_to_string(world.path("ringfence.toml")).expect("the configuration");
    let port = ringfence_testkit::free_port();
    let (before, after) = text.split_once("gate = \"127.0.0.1:").expect("the address of the gate");
    let (_, after) = after.split_once('"').expect("the end of the address");
    fs::write(world.path("other.toml"), format!("{before}gate = \"127.0.0.1:{port}\"{after}"))
        .expect("written");
    let account = world.subaccount("Customer 7");
    let neighbour = world.subaccount("Customer 8");

    let serving = [world.serve(), world.serve_with("other.toml")];
    let names = |run: &crate::world::Run| -> Vec<String> {
        let nodes = run.json()["nodes"]["nodes"].as_array().expect("nodes").clone();
        nodes.iter().map(|node| node["name"].as_str().expect("a name").to_owned()).collect()
    };
    let both = world.until(&["status", "--json"], |run| run.code == 0 && names(run).len() == 2);
    world.until(&["limits", "plan"], |run| run.code == 0);
    // Which node does a job: `name/process#life`.
    let holder = |job: &str| database.psql(&format!("SELECT holder FROM leases WHERE name = '{job}'"));
    until("somebody reads what is used", || !holder("usage").trim().is_empty());
    let held = holder("usage");
    let (dead, _) = held.trim().split_once('#').expect("a node and its life");
    let dead = dead.to_owned();
    let is_dead = |it: &crate::world::Serving| dead.ends_with(&format!("/{}", it.id()));
    let (killed, survivors): (Vec<_>, Vec<_>) = serving.into_iter().partition(is_dead);
    assert_eq!((killed.len(), survivors.len()), (1, 1), "{dead} of {:?}", names(&both));

    // No trigger arrives any more, so only whoever takes over the job of the dead one can find what is spent.
    world.control("POST", "faults", r#"{"webhooks": [{"kind": "usage-trigger", "lose": true}]}"#);
    killed.into_iter().for_each(crate::world::Serving::kill);
    world.spend(neighbour, "49.99");
    world.spend(account, "60");
    world.until(&["account", "list"], |run| run.out.contains("held suspended by limit \"fifty a day\""));
    let survivor: Vec<_> = names(&both).into_iter().filter(|name| *name != dead).collect();
    let left = world.until(&["status", "--json"], |run| names(run) == survivor);
    assert_eq!(left.json()["nodes"]["limits_agree"], true);
    until("all jobs are the survivor's", || {
        let jobs = database.psql("SELECT DISTINCT split_part(coalesce(holder, ''), '#', 1) FROM leases");
        jobs.trim() == survivor[0]
    });
    assert_suspended_once(&world, account, &told);
    assert_eq!(world.status(neighbour), "active");
    let buried = world.audited("node.bury");
    assert_eq!(buried.len(), 1, "{buried:?}");
    assert_eq!(buried[0]["target"], format!("node {dead}"));
    for serving in survivors {
        serving.stop();
    }
    world.run(&["audit", "verify"]).code(0);
}

/// It is suspended at Twilio, read back, told to people once, and all of this is in the audit log once.
#[track_caller]
fn assert_suspended_once(world: &World, account: Sid, told: &Upstream) {
    assert_eq!(world.status(account), "suspended");
    let of_account = |text: &Value| text.as_str().unwrap_or_default().contains(&account.to_string());
    // The last that happens is that people are told that it is in force.
    let is_told = |run: &crate::world::Run| {
        let rows = run.out.lines().filter(|line| line.contains("\"effect.done\""));
        rows.filter(|line| line.contains("effect delivery/") && line.contains("in-force")).count() == 1
    };
    world.until(&["audit", "export"], is_told);
    let count = |action: &str, is_meant: &dyn Fn(&Value) -> bool| {
        let rows = world.audited(action);
        let count = rows.iter().filter(|row| is_meant(row)).count();
        (action.to_owned(), count, rows)
    };
    let (_, trips, rows) = count("breaker.trip", &|_| true);
    assert_eq!(trips, 1, "{rows:?}");
    assert!(of_account(&rows[0]["target"]), "{rows:?}");
    let (_, ordered, rows) =
        count("effect.add", &|row| row["detail"]["kind"] == "status" && of_account(&row["target"]));
    assert!(ordered >= 1, "{rows:?}");
    let (_, confirmed, rows) = count("account.status", &|_| true);
    assert_eq!(confirmed, 1, "{rows:?}");
    assert!(of_account(&rows[0]["target"]) && rows[0]["detail"]["to"] == "suspended", "{rows:?}");
    for kind in ["tripped", "in-force"] {
        assert_eq!(notices(told, kind, account).len(), 1, "{kind}");
    }
    assert!(notices(told, "active-again", account).is_empty(), "nobody has made it active");
}

/// The ids of the notices of a kind about an account. One that is delivered again has the same.
fn notices(told: &Upstream, kind: &str, account: Sid) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for request in told.requests() {
        let notice: Value = serde_json::from_slice(&request.body).expect("a notice is JSON");
        if notice["type"] == kind && notice["data"]["account"]["sid"] == account.to_string() {
            ids.insert(notice["id"].as_str().expect("an id").to_owned());
        }
    }
    ids
}

/// Asks again and again. Each question is one to another process, which takes its time.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never came to be: {what}");
        std::thread::yield_now();
    }
}
