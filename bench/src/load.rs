//! The load: N connections, each with one request at a time, for a fixed time after a warm-up.
//!
//! Every answer is held against what its request deserved. One thread; the latency is that of a closed loop, so it is
//! the time a request waits behind the other N − 1, not what a lone caller would see.

use crate::arguments::Arguments;
use crate::histogram::Histogram;
use crate::process::{self, Cpu};
use crate::webhook::{HOST, Kind, PUBLIC_URL, TOKEN, Writer};
use crate::{Outcome, tls};
use memchr::memmem;
use rustls::pki_types::ServerName;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsConnector;

/// What to send, for how long, and what to expect.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) kind: Kind,
    pub(crate) forged_share: f64,
    /// What a forged request must be answered with: 403, or 200 by a proxy that checks nothing.
    pub(crate) forged_status: u16,
    pub(crate) connections: usize,
    /// A new connection for each request, with `Connection: close`.
    pub(crate) new_connections: bool,
    /// Never sleep: then no proxy pays for waking this thread, which a client on another machine would not cost it.
    pub(crate) awake: bool,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What came back. The counts of right and wrong answers include the warm-up; everything else does not.
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) latency: Histogram,
    /// Used by the processes under test.
    pub(crate) cpu: Cpu,
    /// Used by this process: close to `seconds` means that the load was the limit.
    pub(crate) own_cpu: Cpu,
    pub(crate) resident_kib: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Answers with another status than the request deserved.
    pub(crate) wrong: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    /// Genuine requests answered 200, over the whole run.
    pub(crate) admitted: u64,
}

/// `load --port N …`: against a server that runs already.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let pids: Vec<u32> = arguments.list("pid").iter().map(|pid| pid.parse()).collect::<Result<_, _>>()?;
    let plan = Plan {
        address: SocketAddr::from(([127, 0, 0, 1], arguments.number("port", 8_443)?)),
        tls: if arguments.switch("tls") { Some(tls::blind_connector()?) } else { None },
        kind: if arguments.switch("voice") { Kind::Voice } else { Kind::Sms },
        forged_share: arguments.number("forged", 0.0)?,
        forged_status: arguments.number("forged-status", 403)?,
        connections: arguments.number("connections", 32)?,
        new_connections: arguments.switch("new-connections"),
        awake: arguments.switch("awake"),
        warm_up: Duration::from_secs_f64(arguments.number("warm-up", 1.0)?),
        measured: Duration::from_secs_f64(arguments.number("seconds", 5.0)?),
    };
    let (token, public_url) = (arguments.text("token", TOKEN), arguments.text("public-url", PUBLIC_URL));
    let report =
        process::runtime()?
            .block_on(LocalSet::new().run_until(drive(&plan, token, public_url, &|| pids.clone())));
    let (requests, cpu) = (report.requests as f64, report.cpu);
    println!(
        "requests/s {:.0}   p50 {:.0} µs   p99 {:.0} µs",
        requests / report.seconds,
        report.latency.quantile_us(0.5),
        report.latency.quantile_us(0.99)
    );
    println!("statuses {:?}   wrong {}   errors {}", report.statuses, report.wrong, report.errors);
    println!(
        "CPU of {pids:?}: {:.2} µs a request ({:.2} user + {:.2} system)   RSS {} KiB",
        cpu.total * 1e6 / requests,
        cpu.user * 1e6 / requests,
        cpu.system * 1e6 / requests,
        report.resident_kib
    );
    println!("load itself busy {:.0} %", report.own_cpu.total * 100.0 / report.seconds);
    if report.wrong + report.errors > 0 {
        return Err(format!("wrong answers or errors; the first error: {:?}", report.first_error).into());
    }
    Ok(())
}

/// Runs the plan; call it inside a `LocalSet`. `family`: the processes whose CPU time and memory are read, asked for
/// after the warm-up, since a server may listen before it has started its workers.
pub(crate) async fn drive(
    plan: &Plan,
    token: &str,
    public_url: &str,
    family: &dyn Fn() -> Vec<u32>,
) -> Report {
    let writer = Writer::new(plan.kind, token, public_url, plan.forged_share, plan.new_connections);
    let shared = Rc::new(Shared {
        plan: plan.clone(),
        writer: writer.into(),
        tally: Tally::new().into(),
        stop: false.into(),
    });
    let clients: Vec<_> = (0..plan.connections).map(|_| spawn_local(client(Rc::clone(&shared)))).collect();

    if plan.awake {
        let shared = Rc::clone(&shared);
        spawn_local(async move {
            while !shared.stop.get() {
                tokio::task::yield_now().await;
            }
        });
    }

    tokio::time::sleep(plan.warm_up).await;
    shared.tally.borrow_mut().latency = Histogram::new();
    shared.tally.borrow_mut().requests = 0;
    let pids = &family();
    let me = [std::process::id()];
    let (cpu_before, own_before, started) = (process::cpu_of(pids), process::cpu_of(&me), Instant::now());
    tokio::time::sleep(plan.measured).await;
    let (cpu, own_cpu) = (process::cpu_of(pids).since(cpu_before), process::cpu_of(&me).since(own_before));
    let seconds = started.elapsed().as_secs_f64();
    let (requests, latency) = {
        let mut tally = shared.tally.borrow_mut();
        (tally.requests, std::mem::replace(&mut tally.latency, Histogram::new()))
    };
    let resident_kib = process::resident_kib(pids);

    // Each client finishes what it has begun, so that what was admitted can be held against what the upstream saw.
    shared.stop.set(true);
    for client in clients {
        let finished = tokio::time::timeout(Duration::from_secs(5), client).await;
        if !matches!(finished, Ok(Ok(()))) {
            shared.tally.borrow_mut().error("a request had no answer within 5 s of the end");
        }
    }
    let tally = shared.tally.replace(Tally::new());
    let Tally { statuses, wrong, errors, first_error, admitted, .. } = tally;
    Report {
        requests,
        seconds,
        latency,
        cpu,
        own_cpu,
        resident_kib,
        statuses,
        wrong,
        errors,
        first_error,
        admitted,
    }
}

struct Shared {
    plan: Plan,
    writer: RefCell<Writer>,
    tally: RefCell<Tally>,
    stop: Cell<bool>,
}

struct Tally {
    requests: u64,
    latency: Histogram,
    statuses: BTreeMap<u16, u64>,
    wrong: u64,
    errors: u64,
    first_error: Option<String>,
    admitted: u64,
}

impl Tally {
    fn new() -> Self {
        let statuses = BTreeMap::new();
        Self {
            requests: 0,
            latency: Histogram::new(),
            statuses,
            wrong: 0,
            errors: 0,
            first_error: None,
            admitted: 0,
        }
    }

    fn error(&mut self, text: &str) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| text.to_owned());
    }
}

async fn client(shared: Rc<Shared>) {
    while !shared.stop.get() {
        if let Err(error) = one_connection(&shared).await {
            shared.tally.borrow_mut().error(&error.to_string());
            tokio::time::sleep(Duration::from_millis(1)).await; // A server that is gone must not make a busy loop.
        }
    }
}

async fn one_connection(shared: &Shared) -> io::Result<()> {
    let started = Instant::now();
    let stream = TcpStream::connect(shared.plan.address).await?;
    stream.set_nodelay(true)?;
    match &shared.plan.tls {
        None => requests_over(stream, started, shared).await,
        Some(connector) => {
            let name = ServerName::try_from(HOST).expect("a name of letters and dots");
            requests_over(connector.connect(name, stream).await?, started, shared).await
        }
    }
}

/// Requests until the end, or until either side wants the connection closed.
async fn requests_over<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    mut started: Instant,
    shared: &Shared,
) -> io::Result<()> {
    let mut wire = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let forged = shared.writer.borrow_mut().next(&mut wire);
        stream.write_all(&wire).await?;
        stream.flush().await?;
        let answer = read_answer(&mut stream, &mut buffer).await?;
        let deserved = if forged { shared.plan.forged_status } else { 200 };
        {
            let mut tally = shared.tally.borrow_mut();
            tally.latency.record(started.elapsed());
            tally.requests += 1;
            tally.wrong += u64::from(answer.status != deserved);
            tally.admitted += u64::from(answer.status == 200);
            *tally.statuses.entry(answer.status).or_default() += 1;
        }
        if shared.plan.new_connections {
            // The server closes first, so that no port of ours lingers; how it closes is not measured.
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            return Ok(());
        }
        if answer.closes || shared.stop.get() {
            return Ok(());
        }
        started = Instant::now();
    }
}

struct Answer {
    status: u16,
    closes: bool,
}

async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut [u8]) -> io::Result<Answer> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection closed before the answer was whole",
            ));
        }
        filled += read;
        let Some(head) = find_head(&buffer[..filled]) else { continue };
        let whole = match content_length(&buffer[..head]) {
            Some(length) => filled >= head + length,
            None => buffer[..filled].ends_with(b"0\r\n\r\n") && filled > head,
        };
        if whole {
            let digits = buffer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
            let status = digits.and_then(|digits| digits.parse().ok());
            let status = status
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no status in the answer"))?;
            return Ok(Answer {
                status,
                closes: memmem::find(&buffer[..head], b"onnection: close").is_some(),
            });
        }
    }
}

/// The length of the head of an HTTP/1.1 message, with the empty line that ends it.
pub(crate) fn find_head(message: &[u8]) -> Option<usize> {
    memmem::find(message, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of `Content-Length` in a head, in either spelling that servers use.
pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    let name = memmem::find(head, b"ontent-Length: ").or_else(|| memmem::find(head, b"ontent-length: "))?;
    let value = &head[name + b"ontent-length: ".len()..];
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
