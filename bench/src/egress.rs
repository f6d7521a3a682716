//! The egress beside nginx as a plain proxy, both before the same sandbox: latency and CPU time a message.
//!
//! What the egress does beside proxying is all there is to it: it asks the store for the credential, prices the message, and
//! waits for the disk before it sends and after it was answered. One caller alone shows what a message waits for longer; 32 at
//! once, who share commits, show what it costs. What is judged is the work: every message must be made.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ringfence_testkit::PostgresDatabase;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::Outcome;
use crate::arguments::Arguments;
use crate::gate::median;
use crate::histogram::Histogram;
use crate::process::{self, Server};
use crate::proxies::{make_private, nginx};
use crate::sandbox::ask;

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "11111111111111111111111111111111";

/// `egress [--rounds N] [--seconds N] [--warm-up N] [--connections N] [--ringfence PATH]`.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let bench = Bench {
        ringfence: PathBuf::from(arguments.text("ringfence", "target/dist/ringfence")).canonicalize()?,
        postgres: PostgresDatabase::create_durable(),
        folder: tempfile::tempdir()?,
        warm_up: Duration::from_secs_f64(arguments.number("warm-up", 1.0)?),
        measured: Duration::from_secs_f64(arguments.number("seconds", 5.0)?),
    };
    let rounds: usize = arguments.number("rounds", 3)?;
    let many: usize = arguments.number("connections", 32)?;
    // The proxy has core 0 to itself; the load and the sandbox share core 1.
    process::pin_myself(1)?;
    if process::find("nginx").is_none() {
        return Err("nginx is the yardstick, and not installed".into());
    }
    process::runtime()?.block_on(LocalSet::new().run_until(bench.table(rounds, many)))
}

/// What stands between the load and the sandbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Nginx,
    Sqlite,
    Postgres,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx, a plain proxy",
            Self::Sqlite => "ringfence's egress on SQLite",
            Self::Postgres => "ringfence's egress on PostgreSQL",
        }
    }
}

struct Bench {
    ringfence: PathBuf,
    postgres: Option<PostgresDatabase>,
    folder: tempfile::TempDir,
    warm_up: Duration,
    measured: Duration,
}

/// What came of one round.
struct Measured {
    count: u64,
    seconds: f64,
    /// Of the proxy alone: neither the sandbox nor PostgreSQL.
    cpu: f64,
    latency: Histogram,
}

impl Measured {
    fn cpu_us(&self) -> f64 {
        self.cpu * 1e6 / self.count as f64
    }
}

impl Bench {
    async fn table(&self, rounds: usize, many: usize) -> Outcome {
        let ways: Vec<_> = [Way::Nginx, Way::Sqlite, Way::Postgres]
            .into_iter()
            .filter(|way| *way != Way::Postgres || self.postgres.is_some())
            .collect();
        let mut rows: Vec<_> = [1, many]
            .into_iter()
            .flat_map(|at_once| ways.iter().map(move |way| (*way, at_once, Vec::new())))
            .collect();
        for round in 1..=rounds {
            for (way, at_once, results) in &mut rows {
                eprint!("round {round}/{rounds}  {:<34} {at_once:>3} at once", way.name());
                let measured = self.measure(*way, *at_once).await?;
                eprintln!("{:>8.0}/s", measured.count as f64 / measured.seconds);
                results.push(measured);
            }
        }
        println!(
            "| way | at once | messages/s | CPU µs each | × nginx | p50 µs | p99 µs | p50 longer by | p99 longer by |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        for (way, at_once, results) in &rows {
            let nginx = rows.iter().find(|(way, other, _)| *way == Way::Nginx && other == at_once);
            let nginx = &nginx.ok_or("nginx is always measured")?.2;
            let quantile = |share| move |it: &Measured| it.latency.quantile_us(share);
            let longer = |share| {
                median(
                    results.iter().zip(nginx).map(|(it, nginx)| quantile(share)(it) - quantile(share)(nginx)),
                )
            };
            println!(
                "| {} | {at_once} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} |",
                way.name(),
                median(results.iter().map(|it| it.count as f64 / it.seconds)),
                median(results.iter().map(Measured::cpu_us)),
                median(results.iter().zip(nginx).map(|(it, nginx)| it.cpu_us() / nginx.cpu_us())),
                median(results.iter().map(quantile(0.5))),
                median(results.iter().map(quantile(0.99))),
                longer(0.5),
                longer(0.99),
            );
        }
        Ok(())
    }

    /// New processes for each row and round.
    async fn measure(&self, way: Way, at_once: usize) -> Outcome<Measured> {
        let twilio_port = process::free_port()?;
        let mut twilio = Command::new(&self.ringfence);
        let listen = format!("127.0.0.1:{twilio_port}");
        twilio.args(["sandbox", "--account-sid", ACCOUNT, "--auth-token", TOKEN, "--listen", &listen]);
        // A page of the sandbox's list is cheap; what is not listed any more would be in doubt for ever.
        twilio.args(["--keep-messages", "1000000"]);
        let _twilio = self.start(twilio, 1, "sandbox.log", twilio_port).await?;
        let port = process::free_port()?;
        let (command, user, password) = match way {
            Way::Nginx => {
                let command = nginx(self.folder.path(), false, port, twilio_port)?;
                (command, ACCOUNT.to_owned(), TOKEN.to_owned())
            }
            Way::Sqlite => {
                let url = format!("sqlite:{}", self.folder.path().join(format!("{port}.db")).display());
                self.egress(&url, port, twilio_port)?
            }
            Way::Postgres => {
                let database = self.postgres.as_ref().ok_or("no PostgreSQL")?;
                self.egress(&database.url(), port, twilio_port)?
            }
        };
        let server = self.start(command, 0, "server.log", port).await?;
        let request: Rc<[u8]> = request(&user, &password).into_bytes().into();
        ready(port, &request).await?;
        let made = Rc::new(RefCell::new(Made { count: 0, latency: Histogram::new() }));
        let (began, end) = (Instant::now(), Instant::now() + self.warm_up + self.measured);
        let mut clients = JoinSet::new();
        for _ in 0..at_once {
            clients.spawn_local(client(port, Rc::clone(&request), Rc::clone(&made), end));
        }
        tokio::time::sleep_until((began + self.warm_up).into()).await;
        *made.borrow_mut() = Made { count: 0, latency: Histogram::new() };
        let before = process::cpu_of(&server.pids());
        let started = Instant::now();
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        let cpu = process::cpu_of(&server.pids()).since(before).total;
        let Made { count, latency } = made.replace(Made { count: 0, latency: Histogram::new() });
        Ok(Measured { count, seconds: started.elapsed().as_secs_f64(), cpu, latency })
    }

    /// A configuration with a day's and a minute's limit, both applied, and a credential: how to start it, user and password.
    fn egress(&self, store: &str, port: u16, twilio: u16) -> Outcome<(Command, String, String)> {
        let limit = |name: &str, more: &str| {
            format!(
                "[[limit]]\nname = \"{name}\"\nscope = \"all\"\nat = \"1000000\"\nthen = [\"notify\"]\n{more}\n"
            )
        };
        let key = self.folder.path().join("master.key");
        if !key.exists() {
            fs::write(&key, "07".repeat(32))?;
            make_private(&key)?;
        }
        let config = format!(
            "[listen]
egress = \"127.0.0.1:{port}\"
[store]
url = \"{store}\"
master_key = {{ file = \"{}\" }}
[twilio]
base_url = \"http://127.0.0.1:{twilio}\"
[[account]]
sid = \"{ACCOUNT}\"
auth_token = \"{TOKEN}\"
[notify]
webhook = {{ url = \"http://127.0.0.1:9/nobody\", secret = \"abcdefghijklmnopqrstuvwxyz012345\" }}
{}{}",
            key.display(),
            limit("a day", "window = \"daily\""),
            limit("a minute to one place", "window = \"minute\"\nper = \"prefix\"")
                .replace("then = [\"notify\"]\n", ""),
        );
        let file = self.folder.path().join(format!("{port}.toml"));
        fs::write(&file, config)?;
        self.run(&["limits", "apply"], &file)?;
        let made = self.run(&["key", "create", "--account", ACCOUNT, "--name", "bench", "--json"], &file)?;
        let made: serde_json::Value = serde_json::from_str(&made)?;
        let secret = made["secret"].as_str().ok_or_else(|| format!("no secret in {made}"))?.to_owned();
        let mut command = Command::new(&self.ringfence);
        command.current_dir(self.folder.path()).arg("serve").arg("--config").arg(&file);
        Ok((command, ACCOUNT.to_owned(), secret))
    }

    fn run(&self, words: &[&str], config: &std::path::Path) -> Outcome<String> {
        let mut command = Command::new(&self.ringfence);
        let output =
            command.current_dir(self.folder.path()).args(words).arg("--config").arg(config).output()?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        Err(format!("ringfence {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr)).into())
    }

    async fn start(&self, command: Command, core: usize, log: &str, port: u16) -> Outcome<Server> {
        let log = self.folder.path().join(log);
        let mut server = Server::start(command, Some(core), &log)?;
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if server.has_ended() || started.elapsed() > Duration::from_secs(20) {
                return Err(format!("it did not start:\n{}", fs::read_to_string(log)?).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(server)
    }
}

fn request(user: &str, password: &str) -> String {
    let credentials = BASE64.encode(format!("{user}:{password}"));
    let body = "From=%2B15005550006&To=%2B12025550143&Body=Your+code+is+123456.+It+expires+in+ten+minutes.";
    format!(
        "POST /api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         Authorization: Basic {credentials}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Waits until a message is made: the egress reads prices and usage first.
async fn ready(port: u16, request: &[u8]) -> Outcome {
    let started = Instant::now();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let answer = ask(&mut stream, request, &mut buffer).await?;
        if answer.starts_with(b"HTTP/1.1 201") {
            return Ok(());
        }
        if started.elapsed() > Duration::from_secs(30) {
            return Err(format!("it never was ready: {}", String::from_utf8_lossy(answer)).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Made {
    count: u64,
    latency: Histogram,
}

/// One connection, one message at a time.
async fn client(port: u16, request: Rc<[u8]>, made: Rc<RefCell<Made>>, end: Instant) -> Result<(), String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; 16 * 1024];
    while Instant::now() < end {
        let began = Instant::now();
        let answer = ask(&mut stream, &request, &mut buffer).await?;
        if !answer.starts_with(b"HTTP/1.1 201") {
            return Err(format!("WRONG: answered {}", String::from_utf8_lossy(answer)));
        }
        let mut made = made.borrow_mut();
        made.count += 1;
        made.latency.record(began.elapsed());
    }
    Ok(())
}
