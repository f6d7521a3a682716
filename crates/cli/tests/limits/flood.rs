//! Three nodes on one PostgreSQL in a flood, killed (`kill -9`) one after the other and together, and their database with
//! them: what was admitted never crosses the limit, and nothing that was set aside is lost.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ringfence_testkit::PostgresServer;

use crate::world::{PATIENCE, Serving, World};

/// In micro-dollars.
const LIMIT: i64 = 4_000_000;

const LIMITS: &str = "[[limit]]\nname = \"four a day\"\nscope = \"all\"\nwindow = \"daily\"\nat = \"4\"\n\
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
#[derive(Default)]
struct Seen {
    made: AtomicU64,
    /// Since the last that was made.
    refused_in_a_row: AtomicU64,
    is_over: AtomicBool,
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
    let login = BASE64.encode(format!("{account}:{}", made["secret"].as_str().expect("a secret")));
    let form = format!("To=%2B14155550123&From={}&Body=Hello", world.number().replace('+', "%2B"));

    let seen = Seen::default();
    let ports = nodes.each_ref().map(|node| node.1);
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (seen, login, form, account) = (&seen, &login, &form, &account);
            scope.spawn(move || send_all(sender, &ports, account, login, form, seen));
        }
        let _over = Over(&seen.is_over);
        for (after, act) in PLAN {
            until("more messages are made", || seen.made.load(Ordering::Relaxed) >= after);
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
        until("nothing fits any more", || seen.refused_in_a_row.load(Ordering::Relaxed) > 10 * SENDERS);
    });

    // Everything whose answer came has its price, in a moment.
    let count = |which: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM reservations WHERE {which}");
        database.psql(&sql).trim().parse().expect("a number")
    };
    until("all that is known is settled", || count("ended_at IS NULL AND resource IS NOT NULL") == 0);
    let sent = world.messages();
    let unit = sent.iter().map(|message| message.price.expect("a price").micros.abs());
    let spent: i64 = unit.sum();
    let usage = world.spent_today();
    assert!(usage <= LIMIT, "{usage} of {LIMIT}, {spent} for {} messages", sent.len());
    panic!(
        "usage {usage} spent {spent} messages {} made {} doubt {} worst {}\n{}",
        sent.len(),
        seen.made.load(Ordering::Relaxed),
        count("ended_at IS NULL"),
        database.psql("SELECT state, count(*), sum(worst), sum(price) FROM reservations GROUP BY state"),
        world.run(&["ledger"]).out
    );
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
fn send_all(sender: u64, ports: &[u16; 3], account: &str, login: &str, form: &str, seen: &Seen) {
    for round in sender.. {
        if seen.is_over.load(Ordering::Relaxed) {
            return;
        }
        let port = ports[usize::try_from(round % 3).expect("a small number")];
        match send(port, account, login, form) {
            Ok(201) => {
                seen.made.fetch_add(1, Ordering::Relaxed);
                seen.refused_in_a_row.store(0, Ordering::Relaxed);
            }
            Ok(429) => {
                seen.refused_in_a_row.fetch_add(1, Ordering::Relaxed);
            }
            // Not ready, cut off, or not there.
            Ok(_) | Err(_) => {}
        }
    }
}

fn send(port: u16, account: &str, login: &str, form: &str) -> std::io::Result<u16> {
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
    status.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never came to be: {what}");
        std::thread::yield_now();
    }
}
