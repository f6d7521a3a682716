//! Three nodes on one PostgreSQL in a flood, killed (`kill -9`) one after the other and together, and their database with
//! them: what was admitted never crosses the limit, and nothing that was set aside is lost.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ringfence_model::Amount;
use ringfence_testkit::PostgresServer;

use crate::world::{PATIENCE, Serving, World};

/// In micro-dollars.
const LIMIT: i64 = 7_000_000;

const LIMITS: &str = "[[limit]]\nname = \"seven a day\"\nscope = \"all\"\nwindow = \"daily\"\nat = \"7\"\n\
                      then = [\"end-calls\"]\n";

/// So many send at once, so at most so many messages are on their way at a kill.
const SENDERS: u64 = 6;

/// What happens once so many messages were made.
const PLAN: [(u64, Act); 6] = [
    (20, Act::Nodes(&[0])),
    (50, Act::Database(&[])),
    (80, Act::Nodes(&[1, 2])),
    (110, Act::Database(&[0])),
    (140, Act::Nodes(&[2])),
    (160, Act::Database(&[0, 1, 2])),
];

#[derive(Clone, Copy)]
enum Act {
    /// These nodes are killed, and started again.
    Nodes(&'static [usize]),
    /// The database breaks off, and these nodes with it.
    Database(&'static [usize]),
}

/// What the senders have seen.
#[derive(Debug, Default)]
struct Seen {
    made: AtomicU64,
    /// Since the last that was made.
    refused_in_a_row: AtomicU64,
    is_over: AtomicBool,
    /// The last answer that was none of a message.
    last: Mutex<String>,
}

#[test]
fn three_nodes_that_are_killed_in_a_flood_with_their_database_cross_no_limit_and_lose_nothing() {
    let Some(mut database) = PostgresServer::start() else { return };
    let store = format!("url = \"{}\"\nmaster_key = {{ env = \"STORE_KEY\" }}", database.url());
    let world = World::with(&store, LIMITS);
    let nodes = [node(&world, 0), node(&world, 1), node(&world, 2)];
    let account = world.account().to_string();
    let serve = |of: usize| world.serve_with(&nodes[of].0);
    let mut serving: Vec<Option<Serving>> = vec![Some(serve(0)), Some(serve(1)), Some(serve(2))];
    world.until(&["limits", "plan"], |run| run.code == 0);
    let made = ["key", "create", "--account", &account, "--name", "flood", "--json"];
    let made = world.run(&made).code(0).json();
    let (key, secret) = (made["sid"].as_str().expect("a SID"), made["secret"].as_str().expect("a secret"));
    let login = BASE64.encode(format!("{account}:{secret}"));
    let form = format!("To=%2B14155550123&From={}&Body=Hello", world.number().replace('+', "%2B"));

    let seen = Seen::default();
    let ports = nodes.each_ref().map(|node| node.1);
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (seen, login, form, account) = (&seen, &login, &form, &account);
            scope.spawn(move || send_all(sender, ports, account, login, form, seen));
        }
        let _over = Over(&seen.is_over);
        for (after, act) in PLAN {
            until(
                || seen.made.load(Ordering::Relaxed) >= after,
                || format!("message {after} is made: {seen:?}"),
            );
            let (Act::Nodes(killed) | Act::Database(killed)) = act;
            for of in killed {
                serving[*of].take().expect("it serves").kill();
            }
            if matches!(act, Act::Database(_)) {
                database.break_off();
                database.start_again();
            }
            for of in killed {
                serving[*of] = Some(serve(*of));
            }
        }
        let is_full = || seen.refused_in_a_row.load(Ordering::Relaxed) > 10 * SENDERS;
        until(is_full, || format!("nothing fits any more: {seen:?}"));
    });

    // 1. What was made and told has its price in a moment; what was on its way at a kill is in doubt, and counts as spent.
    let number = |sql: &str| -> i64 { database.psql(sql).trim().parse().expect("a number") };
    let of_rows = |what: &str| number(&format!("SELECT coalesce({what}, 0) FROM reservations"));
    let unpriced = || of_rows("count(resource) FILTER (WHERE state <> 'priced')");
    until(|| unpriced() == 0, || format!("what was made is priced: {} are not", unpriced()));
    let told = database.psql("SELECT resource FROM reservations WHERE resource IS NOT NULL");
    let told: BTreeSet<&str> = told.lines().collect();
    let untold = of_rows("count(*) FILTER (WHERE resource IS NULL)");
    let sent = world.messages();
    let unknown: Vec<_> = sent.iter().filter(|message| !told.contains(message.sid.as_str())).collect();
    assert!(i64::try_from(unknown.len()).expect("few") <= untold, "{untold} rows for {unknown:?}");
    let on_their_way = SENDERS * u64::try_from(PLAN.len()).expect("few");
    assert!(u64::try_from(untold).expect("no less than none") <= on_their_way, "{untold} in doubt");

    // 2. The sums are those of the rows, at most the limit, and as near to it as one message comes.
    let ledger = world.run(&["ledger", "--json"]).code(0).json();
    let sum = |name: &str| -> i64 {
        let sum = ledger["sums"][0][name].as_str().expect("an amount").parse();
        sum.map(Amount::micros).expect("an amount")
    };
    let (settled, reserved) = (sum("settled"), sum("reserved"));
    assert_eq!(settled, of_rows("sum(price)"), "{ledger}");
    assert_eq!(reserved, of_rows("sum(worst - coalesce(price, 0))"), "{ledger}");
    let one = of_rows("max(worst)");
    assert!((LIMIT - one..=LIMIT).contains(&(settled + reserved)), "{one} {ledger}");

    // 3. So Twilio's bill, on which each message is, stays below it.
    let prices: i64 = sent.iter().map(|message| message.price.expect("a price").micros.abs()).sum();
    let bill = world.spent_today();
    assert!(prices <= bill && bill <= settled + reserved, "{prices} {bill} {ledger}");

    // 4. What people order binds each node at its next request.
    let ask = |port| send(port, &account, &login, &form).expect("an answer");
    world.run(&["trip", "seven a day", "--account", &account, "--reason", "drill"]).code(0);
    for port in ports {
        let (status, body) = ask(port);
        assert!(status == 403 && body.contains("84031"), "{status} {body}");
    }
    world.run(&["key", "revoke", key]).code(0);
    for port in ports {
        assert_eq!(ask(port).0, 401);
    }
    serving.into_iter().flatten().for_each(|node| _ = node.stop());
    world.run(&["audit", "verify"]).code(0);
}

/// Ends the senders, also when an assertion fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The configuration of one of three nodes, and where its egress is.
fn node(world: &World, of: usize) -> (String, u16) {
    let text = fs::read_to_string(world.path("ringfence.toml")).expect("the configuration");
    let (before, after) = text.split_once("gate = \"127.0.0.1:").expect("the address of the gate");
    let (_, after) = after.split_once('"').expect("the end of the address");
    let (gate, egress) = (ringfence_testkit::free_port(), ringfence_testkit::free_port());
    let name = format!("node-{of}.toml");
    let text = format!("{before}gate = \"127.0.0.1:{gate}\"\negress = \"127.0.0.1:{egress}\"{after}");
    fs::write(world.path(&name), text).expect("written");
    (name, egress)
}

/// Sends to one node after the other until it is over, whatever becomes of them.
fn send_all(sender: u64, ports: [u16; 3], account: &str, login: &str, form: &str, seen: &Seen) {
    for round in sender.. {
        if seen.is_over.load(Ordering::Relaxed) {
            return;
        }
        let port = ports[usize::try_from(round % 3).expect("a small number")];
        let keep = |text: String| *seen.last.lock().expect("nobody panics with it") = text;
        match send(port, account, login, form) {
            Ok((201, _)) => {
                seen.made.fetch_add(1, Ordering::Relaxed);
                seen.refused_in_a_row.store(0, Ordering::Relaxed);
            }
            Ok((429, body)) => {
                keep(body);
                seen.refused_in_a_row.fetch_add(1, Ordering::Relaxed);
            }
            // Not ready, cut off, or not there.
            Ok((status, body)) => keep(format!("{status} {body}")),
            Err(error) => keep(error.to_string()),
        }
    }
}

fn send(port: u16, account: &str, login: &str, form: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "POST /api.twilio.com/2010-04-01/Accounts/{account}/Messages.json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
         Connection: close\r\nAuthorization: Basic {login}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    status.map(|status| (status, body)).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

#[track_caller]
fn until(is_so: impl Fn() -> bool, what: impl Fn() -> String) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never came to be: {}", what());
        std::thread::yield_now();
    }
}
