//! The gate and the console's pages while strangers flood the sign-in page.
//!
//! Each attempt costs a hash of argon2, 19 MiB and tens of milliseconds of a core, whether there is such a person or not. How
//! many are computed at once is bounded, and who waits too long is told that it is busy; so what must not suffer is everything
//! else. The program runs as it is installed, gate and console in one process, on all cores, and the load beside it. What is
//! judged is the work: every webhook must reach the application, and nobody come in.

use std::cell::Cell;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, LocalSet, spawn_local};

use crate::Outcome;
use crate::arguments::Arguments;
use crate::gate::median;
use crate::histogram::Histogram;
use crate::process::{self, Server};
use crate::proxies::make_private;
use crate::sandbox::ask;
use crate::upstream;
use crate::webhook::{ACCOUNT, Kind, PUBLIC_URL, TOKEN, Writer};

const CONSOLE: &str = "console.example.com";
/// Between two webhooks, and between two pages: people and Twilio do not send all that there is room for.
const PAUSE: Duration = Duration::from_millis(2);
/// How many strangers there are at once, and whether they try names from everywhere, or ask for the page from one address.
const FLOODS: [(usize, Strangers); 5] = [
    (0, Strangers::FromEverywhere),
    (2, Strangers::FromEverywhere),
    (32, Strangers::FromEverywhere),
    (256, Strangers::FromEverywhere),
    (256, Strangers::OfOneAddress),
];

#[derive(Clone, Copy)]
enum Strangers {
    FromEverywhere,
    OfOneAddress,
}

/// `sign-in [--rounds N] [--seconds N] [--ringfence PATH]`.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let ringfence = PathBuf::from(arguments.text("ringfence", "target/dist/ringfence")).canonicalize()?;
    let measured = Duration::from_secs_f64(arguments.number("seconds", 5.0)?);
    let rounds: usize = arguments.number("rounds", 3)?;
    process::runtime()?.block_on(LocalSet::new().run_until(table(&ringfence, rounds, measured)))
}

async fn table(ringfence: &std::path::Path, rounds: usize, measured: Duration) -> Outcome {
    let mut rows: Vec<_> = FLOODS.iter().map(|flood| (*flood, Vec::new())).collect();
    for round in 1..=rounds {
        for ((at_once, strangers), results) in &mut rows {
            eprintln!("round {round}/{rounds}  {at_once} strangers {}", strangers.words());
            results.push(House::open(ringfence).await?.measure(*at_once, *strangers, measured).await?);
        }
    }
    println!(
        "| strangers at once | compared a second | told that it is busy a second | webhook p50 µs | p99 µs | page p50 µs | \
         p99 µs | pages not shown % | RSS MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for ((at_once, strangers), results) in &rows {
        let of = |value: fn(&Measured) -> f64| median(results.iter().map(value));
        println!(
            "| {at_once} {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} | {:.0} |",
            strangers.words(),
            of(|it| it.compared as f64 / it.seconds),
            of(|it| it.busy as f64 / it.seconds),
            of(|it| it.webhooks.quantile_us(0.5)),
            of(|it| it.webhooks.quantile_us(0.99)),
            of(|it| it.pages.quantile_us(0.5)),
            of(|it| it.pages.quantile_us(0.99)),
            of(|it| 100.0 * it.not_shown as f64 / it.asked_for as f64),
            of(|it| it.resident_kib as f64 / 1024.0),
        );
    }
    Ok(())
}

impl Strangers {
    fn words(self) -> &'static str {
        match self {
            Self::FromEverywhere => "from everywhere",
            Self::OfOneAddress => "of one address",
        }
    }
}

/// What came of one round.
struct Measured {
    seconds: f64,
    compared: u64,
    busy: u64,
    webhooks: Histogram,
    pages: Histogram,
    /// Pages that were asked for, and those among them for which there was no place.
    asked_for: u64,
    not_shown: u64,
    resident_kib: u64,
}

/// One installation with an application behind it.
struct House {
    server: Server,
    gate: u16,
    console: u16,
    served: Rc<Cell<u64>>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn open(ringfence: &std::path::Path) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let shown = folder.path().display();
        for (name, text) in [("token", TOKEN), ("master.key", &"07".repeat(32))] {
            fs::write(folder.path().join(name), text)?;
            make_private(&folder.path().join(name))?;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let application = listener.local_addr()?.port();
        let served = Rc::<Cell<u64>>::default();
        spawn_local(upstream::serve(listener, Rc::clone(&served)));
        let (gate, console) = (process::free_port()?, process::free_port()?);
        let config = format!(
            "[listen]
trusted_proxies = [\"127.0.0.1\"]
gate = \"127.0.0.1:{gate}\"
console = \"127.0.0.1:{console}\"
[console]
url = \"https://{CONSOLE}\"
[store]
url = \"sqlite:{shown}/store.db\"
master_key = {{ file = \"{shown}/master.key\" }}
[[account]]
sid = \"{ACCOUNT}\"
auth_token = {{ file = \"{shown}/token\" }}
[[route]]
path = \"/twilio/\"
public_url = \"{PUBLIC_URL}\"
upstream = \"http://127.0.0.1:{application}\"
check = \"signature\"
"
        );
        let file = folder.path().join("ringfence.toml");
        fs::write(&file, config)?;
        let mut command = Command::new(ringfence);
        command.current_dir(folder.path()).arg("serve").arg("--config").arg(&file);
        let log = folder.path().join("server.log");
        let mut server = Server::start(command, None, &log)?;
        let started = Instant::now();
        for port in [gate, console] {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if server.has_ended() || started.elapsed() > Duration::from_secs(20) {
                    return Err(format!("it did not start:\n{}", fs::read_to_string(log)?).into());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        // The console listens before its store is open.
        while !shows_page(console).await? {
            if started.elapsed() > Duration::from_secs(20) {
                return Err(format!("no page was shown:\n{}", fs::read_to_string(log)?).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(Self { server, gate, console, served, _folder: folder })
    }

    async fn measure(&self, at_once: usize, strangers: Strangers, measured: Duration) -> Outcome<Measured> {
        let (compared, busy) = (Rc::<Cell<u64>>::default(), Rc::<Cell<u64>>::default());
        let (began, end) = (Instant::now(), Instant::now() + measured);
        let mut flood = JoinSet::new();
        for number in 0..at_once {
            let (compared, busy) = (Rc::clone(&compared), Rc::clone(&busy));
            match strangers {
                Strangers::FromEverywhere => {
                    flood.spawn_local(sign_in_again(self.console, number, compared, busy, end))
                }
                Strangers::OfOneAddress => flood.spawn_local(ask_again(self.console, busy, end)),
            };
        }
        let (webhooks, pages) = tokio::join!(self.webhooks(end), self.pages(end));
        let resident_kib = process::resident_kib(&self.server.pids());
        let seconds = began.elapsed().as_secs_f64();
        let (webhooks, pages) = (webhooks?, pages?);
        let (asked_for, not_shown) = (pages.count, pages.busy);
        let (webhooks, pages) = (webhooks.took, pages.took);
        let (compared, busy) = (compared.get(), busy.get());
        while let Some(ended) = flood.join_next().await {
            ended??;
        }
        Ok(Measured { seconds, compared, busy, webhooks, pages, asked_for, not_shown, resident_kib })
    }

    /// Webhooks one after another, each of which the application must see.
    async fn webhooks(&self, end: Instant) -> Result<Asked, String> {
        let mut writer = Writer::new(Kind::Sms, TOKEN, PUBLIC_URL, 0.0, false);
        let mut request = Vec::new();
        let before = self.served.get();
        let asked = one_after_another(self.gate, end, || {
            writer.next(&mut request);
            request.clone()
        })
        .await?;
        let served = self.served.get() - before;
        if served == asked.count {
            Ok(asked)
        } else {
            Err(format!("WRONG: {served} of {} webhooks arrived", asked.count))
        }
    }

    async fn pages(&self, end: Instant) -> Result<Asked, String> {
        one_after_another(self.console, end, page).await
    }
}

fn page() -> Vec<u8> {
    format!("GET /sign-in HTTP/1.1\r\nHost: {CONSOLE}\r\nX-Forwarded-Proto: https\r\n\r\n").into_bytes()
}

async fn shows_page(console: u16) -> Result<bool, String> {
    let mut buffer = vec![0; 64 * 1024];
    Ok(ask(&mut connect(console).await?, &page(), &mut buffer).await?.starts_with(b"HTTP/1.1 200"))
}

/// What was asked for one after another.
struct Asked {
    count: u64,
    /// How many were told to come again.
    busy: u64,
    /// How long the others took.
    took: Histogram,
}

async fn one_after_another(
    port: u16,
    end: Instant,
    mut next: impl FnMut() -> Vec<u8>,
) -> Result<Asked, String> {
    let mut stream = connect(port).await?;
    let mut buffer = vec![0; 64 * 1024];
    let mut asked = Asked { count: 0, busy: 0, took: Histogram::new() };
    while Instant::now() < end {
        let request = next();
        let began = Instant::now();
        let answer = ask(&mut stream, &request, &mut buffer).await?;
        asked.count += 1;
        match answer.get(9..12) {
            Some(b"200") => asked.took.record(began.elapsed()),
            Some(b"503") => asked.busy += 1,
            _ => return Err(format!("WRONG: answered {}", String::from_utf8_lossy(answer))),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(asked)
}

/// Somebody who tries one name after another, each from another network, so that no delay holds them up.
async fn sign_in_again(
    port: u16,
    number: usize,
    compared: Rc<Cell<u64>>,
    busy: Rc<Cell<u64>>,
    end: Instant,
) -> Result<(), String> {
    let mut stream = connect(port).await?;
    let mut buffer = vec![0; 64 * 1024];
    let mut tried = 0_u32;
    while Instant::now() < end {
        tried += 1;
        let [_, high, middle, low] = tried.to_be_bytes();
        let networks = u8::try_from(number % 200).unwrap_or(0) + 11;
        let address = Ipv4Addr::new(networks, low, middle, high);
        let body = format!("login=nobody{number}.{tried}%40example.com&password=wrong+horse+battery");
        let request = format!(
            "POST /sign-in HTTP/1.1\r\nHost: {CONSOLE}\r\nOrigin: https://{CONSOLE}\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-For: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = ask(&mut stream, request.as_bytes(), &mut buffer).await?;
        let answer = String::from_utf8_lossy(answer);
        let of = match answer.split(' ').nth(1) {
            Some("503") => &busy,
            Some("200" | "401" | "403" | "422") if answer.contains("password is wrong") => &compared,
            _ => return Err(format!("WRONG: a sign-in was answered {answer}")),
        };
        of.set(of.get() + 1);
    }
    Ok(())
}

/// Somebody who asks for the page again and again, from the address of all others who do.
async fn ask_again(port: u16, busy: Rc<Cell<u64>>, end: Instant) -> Result<(), String> {
    let mut stream = connect(port).await?;
    let mut buffer = vec![0; 64 * 1024];
    let request = format!(
        "GET /sign-in HTTP/1.1\r\nHost: {CONSOLE}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
    );
    while Instant::now() < end {
        let answer = ask(&mut stream, request.as_bytes(), &mut buffer).await?;
        match answer.get(9..12) {
            Some(b"200") => {}
            Some(b"429" | b"503") => busy.set(busy.get() + 1),
            _ => return Err(format!("WRONG: answered {}", String::from_utf8_lossy(answer))),
        }
    }
    Ok(())
}

async fn connect(port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}
