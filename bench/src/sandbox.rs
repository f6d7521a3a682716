//! The sandbox under load: messages it accepts, webhooks it delivers, memory that messages take.
//!
//! Beside it, in the same rounds and under the same load, a bare hyper server that reads a form and answers as many
//! bytes: what HTTP alone costs. What is judged is the work: every message must be accepted, every webhook arrive.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, LocalSet, spawn_local};

use crate::arguments::Arguments;
use crate::gate::median;
use crate::load::{content_length, find_head};
use crate::process::{self, Server};
use crate::{Outcome, upstream};

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "11111111111111111111111111111111";
/// About as long as a message in Twilio's JSON.
const ANSWER_BYTES: usize = 900;

/// `sandbox [--rounds N] [--seconds N] [--connections N] [--messages N] [--ringfence PATH]`.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let bench = Bench {
        ringfence: PathBuf::from(arguments.text("ringfence", "target/dist/ringfence")).canonicalize()?,
        folder: tempfile::tempdir()?,
        connections: arguments.number("connections", 32)?,
    };
    let rounds: usize = arguments.number("rounds", 3)?;
    let messages: u64 = arguments.number("messages", 1_000_000)?;
    let seconds = Duration::from_secs(arguments.number("seconds", 5)?);
    // The server has core 0 to itself; load and application share core 1.
    process::pin_myself(1)?;
    process::runtime()?.block_on(LocalSet::new().run_until(async {
        println!("| what | a second | × bare hyper | CPU µs each |");
        println!("| --- | --- | --- | --- |");
        bench.speed(rounds, seconds).await?;
        println!("\n| messages kept | sent | RSS MiB before | after | MiB per million |");
        println!("| --- | --- | --- | --- | --- |");
        bench.memory(messages, usize::try_from(messages)?).await?;
        bench.memory(messages, 100_000).await
    }))
}

struct Bench {
    ringfence: PathBuf,
    folder: tempfile::TempDir,
    connections: usize,
}

/// What came of one round.
struct Done {
    count: u64,
    seconds: f64,
    cpu: f64,
}

impl Done {
    fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }
}

impl Bench {
    async fn speed(&self, rounds: usize, seconds: Duration) -> Outcome {
        let (mut bare, mut accepted, mut delivered) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (server, port) = self.bare_hyper().await?;
            bare.push(self.send(&server, port, "", Until::Passed(seconds)).await?);
            drop(server);
            let (server, port) = self.sandbox(100_000).await?;
            accepted.push(self.send(&server, port, "", Until::Passed(seconds)).await?);
            drop(server);
            delivered.push(self.webhooks(seconds).await?);
        }
        for (name, row) in [
            ("bare hyper, POST and answer", &bare),
            ("messages accepted", &accepted),
            ("webhooks delivered (two a message, messages included)", &delivered),
        ] {
            println!(
                "| {name} | {:.0} | {:.2} | {:.1} |",
                median(row.iter().map(Done::rate)),
                median(row.iter().zip(&bare).map(|(it, bare)| it.rate() / bare.rate())),
                median(row.iter().map(|it| it.cpu * 1e6 / it.count as f64)),
            );
        }
        Ok(())
    }

    /// Messages with a status callback, and as long as it takes until the last of these has arrived.
    async fn webhooks(&self, seconds: Duration) -> Outcome<Done> {
        let (server, port) = self.sandbox(100_000).await?;
        at_once(port).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let callback =
            format!("&StatusCallback=http%3A%2F%2F127.0.0.1%3A{}%2Fstatus", listener.local_addr()?.port());
        let arrived = Rc::new(Cell::new(0));
        let application = spawn_local(upstream::serve(listener, Rc::clone(&arrived)));
        let before = process::cpu_of(&server.pids());
        let started = Instant::now();
        let sent = self.send(&server, port, &callback, Until::Passed(seconds)).await?;
        let wanted = 2 * sent.count;
        let mut last = (arrived.get(), Instant::now());
        while arrived.get() < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if arrived.get() > last.0 {
                last = (arrived.get(), Instant::now());
            } else if last.1.elapsed() > Duration::from_secs(10) {
                return Err(format!("WRONG: {} of {wanted} webhooks arrived", arrived.get()).into());
            }
        }
        let took = started.elapsed().as_secs_f64();
        application.abort();
        let cpu = process::cpu_of(&server.pids()).since(before).total;
        if arrived.get() > wanted {
            return Err(format!("WRONG: {} webhooks arrived, not {wanted}", arrived.get()).into());
        }
        Ok(Done { count: wanted, seconds: took, cpu })
    }

    async fn memory(&self, messages: u64, keep: usize) -> Outcome {
        let (server, port) = self.sandbox(keep).await?;
        let before = process::resident_kib(&server.pids()) as f64 / 1024.0;
        let sent = self.send(&server, port, "", Until::Sent(messages)).await?;
        // The last are delivered and priced about two seconds later.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let after = process::resident_kib(&server.pids()) as f64 / 1024.0;
        let per_million = (after - before) * 1e6 / (sent.count as f64).min(keep as f64);
        println!("| {keep} | {} | {before:.0} | {after:.0} | {per_million:.0} |", sent.count);
        Ok(())
    }

    async fn sandbox(&self, keep: usize) -> Outcome<(Server, u16)> {
        let mut command = Command::new(&self.ringfence);
        let port = process::free_port()?;
        command.args(["sandbox", "--account-sid", ACCOUNT, "--auth-token", TOKEN]).args([
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--keep-messages",
            &keep.to_string(),
        ]);
        self.start(command, port).await
    }

    async fn bare_hyper(&self) -> Outcome<(Server, u16)> {
        let mut command = Command::new(std::env::current_exe()?);
        let port = process::free_port()?;
        command.args(["bare-hyper-server", "--port", &port.to_string()]);
        self.start(command, port).await
    }

    async fn start(&self, command: Command, port: u16) -> Outcome<(Server, u16)> {
        let log = self.folder.path().join("server.log");
        let mut server = Server::start(command, Some(0), &log)?;
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if server.has_ended() || started.elapsed() > Duration::from_secs(10) {
                return Err(format!("it did not start:\n{}", std::fs::read_to_string(log)?).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok((server, port))
    }

    /// Messages over kept connections, one at a time on each.
    async fn send(&self, server: &Server, port: u16, more: &str, until: Until) -> Outcome<Done> {
        let credentials = BASE64.encode(format!("{ACCOUNT}:{TOKEN}"));
        let body = format!(
            "From=%2B15005550006&To=%2B12025550143&Body=Your+code+is+123456.+It+expires+in+ten+minutes.{more}"
        );
        let request = format!(
            "POST /2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1\r\nHost: api.twilio.com\r\n\
             Authorization: Basic {credentials}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let request: Rc<[u8]> = request.into_bytes().into();
        let left = Rc::new(Cell::new(match until {
            Until::Passed(_) => u64::MAX,
            Until::Sent(count) => count,
        }));
        let started = Instant::now();
        let deadline = match until {
            Until::Passed(time) => Some(started + time),
            Until::Sent(_) => None,
        };
        let before = process::cpu_of(&server.pids());
        let mut clients = JoinSet::new();
        for _ in 0..self.connections {
            clients.spawn_local(client(port, Rc::clone(&request), Rc::clone(&left), deadline));
        }
        let mut count = 0;
        while let Some(sent) = clients.join_next().await {
            count += sent??;
        }
        let cpu = process::cpu_of(&server.pids()).since(before).total;
        Ok(Done { count, seconds: started.elapsed().as_secs_f64(), cpu })
    }
}

/// When the load ends.
#[derive(Clone, Copy)]
enum Until {
    Passed(Duration),
    Sent(u64),
}

/// One connection; how many messages were accepted over it.
async fn client(
    port: u16,
    request: Rc<[u8]>,
    left: Rc<Cell<u64>>,
    deadline: Option<Instant>,
) -> Result<u64, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; 16 * 1024];
    let mut sent = 0;
    while left.get() > 0 && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        left.set(left.get() - 1);
        let answer = ask(&mut stream, &request, &mut buffer).await?;
        if !answer.starts_with(b"HTTP/1.1 201") {
            return Err(format!("WRONG: answered {}", String::from_utf8_lossy(answer)));
        }
        sent += 1;
    }
    Ok(sent)
}

/// Sends a request and reads one whole answer.
pub(crate) async fn ask<'a>(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &'a mut [u8],
) -> Result<&'a [u8], String> {
    stream.write_all(request).await.map_err(|error| error.to_string())?;
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.map_err(|error| error.to_string())?;
        if read == 0 {
            return Err(format!("WRONG: cut off after {:?}", String::from_utf8_lossy(&buffer[..filled])));
        }
        filled += read;
        if let Some(head) = find_head(&buffer[..filled])
            && content_length(&buffer[..head]).is_some_and(|body| filled >= head + body)
        {
            return Ok(&buffer[..filled]);
        }
    }
}

/// Messages live their lives without waiting.
async fn at_once(port: u16) -> Outcome {
    let settings = r#"{"messages": {"queued_ms": 0, "sending_ms": 0, "delivery_ms": 0}}"#;
    let request = format!(
        "PATCH /_sandbox/settings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{settings}",
        settings.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut buffer = vec![0; 16 * 1024];
    let answer = ask(&mut stream, request.as_bytes(), &mut buffer).await?;
    if answer.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    Err(format!("settings were answered {}", String::from_utf8_lossy(answer)).into())
}

/// `bare-hyper-server --port N`: reads a body, answers 201 with JSON as long as a message.
pub(crate) fn bare(arguments: &Arguments) -> Outcome {
    let port: u16 = arguments.number("port", 9_200)?;
    let answer = Bytes::from(format!("\"{}\"", "x".repeat(ANSWER_BYTES - 2)));
    process::runtime()?.block_on(LocalSet::new().run_until(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = answer.clone();
            spawn_local(async move {
                let service = service_fn(move |request| created(request, answer.clone()));
                // How a connection ends is its client's business.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }))
}

async fn created(request: Request<Incoming>, answer: Bytes) -> Result<Response<Full<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    let length = answer.len();
    let mut response = Response::new(Full::new(answer));
    *response.status_mut() = hyper::StatusCode::CREATED;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    Ok(response)
}
