//! Proxies side by side: CPU time a request, latency and memory, as ratios to nginx doing the same without a check.
//!
//! The proxy under test has core 0 to itself; load and upstream share core 1 and one thread. The cases are measured one
//! after the other, in several rounds, each time with a new process; a ratio is the median of the rounds' ratios, so
//! that a machine that slows down for a while slows both sides of it.
//!
//! A case is wrong, and the command ends with exit code 1, when an answer had another status than its request
//! deserved, or when the upstream saw another number of requests than were admitted.

use crate::arguments::Arguments;
use crate::load::{self, Plan, Report};
use crate::process::{self, Server};
use crate::proxies::{Place, Proxy};
use crate::webhook::{Kind, PUBLIC_URL, TOKEN};
use crate::{Outcome, tls, upstream};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

const PROXY_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// `gate [--rounds N] [--seconds S] [--warm-up S] [--connections N] [--awake] [--only PART,PART] [--ringfence PATH]`.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    process::pin_myself(LOAD_CORE)?;
    let place = Place::new(arguments)?;
    let only = arguments.list("only");
    let mut cases = Vec::new();
    for case in all_cases() {
        let wanted =
            only.is_empty() || case.is_baseline() || only.iter().any(|part| case.name.contains(part));
        match place.missing(case.proxy) {
            _ if !wanted => {}
            Some(reason) => println!("left out: {} ({reason})", case.name),
            None => cases.push(case),
        }
    }
    let rounds: usize = arguments.number("rounds", 3)?;
    let plan = Plan {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        kind: Kind::Sms,
        forged_share: 0.0,
        forged_status: 200,
        connections: arguments.number("connections", 32)?,
        new_connections: false,
        awake: arguments.switch("awake"),
        warm_up: Duration::from_secs_f64(arguments.number("warm-up", 1.0)?),
        measured: Duration::from_secs_f64(arguments.number("seconds", 5.0)?),
    };

    let mut results: Vec<Vec<Measured>> = cases.iter().map(|_| Vec::new()).collect();
    process::runtime()?.block_on(LocalSet::new().run_until(async {
        for round in 1..=rounds {
            for (case, results) in cases.iter().zip(&mut results) {
                eprint!("round {round}/{rounds}  {:<44}", case.name);
                let measured = measure(case, &plan, &place).await?;
                eprintln!("{:>8.0}/s {:>8.2} µs CPU", measured.per_second(), measured.cpu_us());
                results.push(measured);
            }
        }
        Outcome::Ok(())
    }))?;
    print_table(&cases, &results);
    let complaints: Vec<String> =
        cases.iter().zip(&results).flat_map(|(case, runs)| complaints(case, runs)).collect();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}

/// One row of the table.
struct Case {
    name: &'static str,
    proxy: Proxy,
    kind: Kind,
    forged_share: f64,
    new_connections: bool,
}

impl Case {
    /// nginx with the same transport: what the row is divided by.
    fn is_baseline(&self) -> bool {
        matches!(self.proxy, Proxy::Nginx { .. })
    }

    fn has_baseline(&self, other: &Self) -> bool {
        other.is_baseline()
            && other.proxy.tls() == self.proxy.tls()
            && other.new_connections == self.new_connections
    }
}

fn all_cases() -> Vec<Case> {
    let sms = |name, proxy| Case { name, proxy, kind: Kind::Sms, forged_share: 0.0, new_connections: false };
    let ringfence = Proxy::Ringfence { tls: false, replay: "auto" };
    let ringfence_tls = Proxy::Ringfence { tls: true, replay: "auto" };
    let (nginx, nginx_tls) = (Proxy::Nginx { tls: false }, Proxy::Nginx { tls: true });
    let express_proxy = Proxy::Express { proxies: true };
    vec![
        sms("nginx", nginx),
        sms("haproxy", Proxy::Haproxy),
        sms("bare hyper proxy", Proxy::BareHyper),
        sms("ringfence, SMS, replay off", Proxy::Ringfence { tls: false, replay: "off" }),
        sms("ringfence, SMS, replay auto", ringfence),
        Case { kind: Kind::Voice, ..sms("ringfence, voice, replay auto", ringfence) },
        Case { forged_share: 0.5, ..sms("ringfence, half forged", ringfence) },
        Case { forged_share: 1.0, ..sms("ringfence, only forged", ringfence) },
        sms("nginx, TLS", nginx_tls),
        sms("ringfence, TLS", ringfence_tls),
        Case { new_connections: true, ..sms("nginx, new connections", nginx) },
        Case { new_connections: true, ..sms("haproxy, new connections", Proxy::Haproxy) },
        Case { new_connections: true, ..sms("ringfence, new connections", ringfence) },
        Case { new_connections: true, ..sms("nginx, TLS, new connections", nginx_tls) },
        Case { new_connections: true, ..sms("ringfence, TLS, new connections", ringfence_tls) },
        sms("express + twilio, answers itself", Proxy::Express { proxies: false }),
        sms("express + twilio, as a proxy", express_proxy),
        Case { forged_share: 0.5, ..sms("express + twilio, as a proxy, half forged", express_proxy) },
        Case { forged_share: 1.0, ..sms("express + twilio, as a proxy, only forged", express_proxy) },
    ]
}

struct Measured {
    report: Report,
    /// Requests that the upstream answered in the whole run.
    reached_upstream: u64,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.report.requests as f64 / self.report.seconds
    }

    fn cpu_us(&self) -> f64 {
        self.report.cpu.total * 1e6 / self.report.requests as f64
    }
}

async fn measure(case: &Case, plan: &Plan, place: &Place) -> Outcome<Measured> {
    let application = TcpListener::bind(("127.0.0.1", 0)).await?;
    let upstream_port = application.local_addr()?.port();
    let served = Rc::new(Cell::new(0));
    let application = spawn_local(upstream::serve(application, Rc::clone(&served)));

    let port = process::free_port()?;
    let mut server =
        Server::start(place.command(case.proxy, port, upstream_port)?, Some(PROXY_CORE), &place.log())?;
    let plan = Plan {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        tls: if case.proxy.tls() { Some(tls::blind_connector()?) } else { None },
        kind: case.kind,
        forged_share: case.forged_share,
        forged_status: if case.proxy.checks() { 403 } else { 200 },
        new_connections: case.new_connections,
        ..plan.clone()
    };
    if let Err(reason) = ready(&mut server, plan.address).await {
        let log = std::fs::read_to_string(place.log()).unwrap_or_default();
        return Err(format!("{}: {reason}\n{log}", case.name).into());
    }
    let report = load::drive(&plan, TOKEN, PUBLIC_URL, &|| server.pids()).await;
    drop(server);
    application.abort();
    Ok(Measured { report, reached_upstream: served.get() })
}

async fn ready(server: &mut Server, address: SocketAddr) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(address).is_err() {
        if server.has_ended() {
            return Err("it ended instead of listening".into());
        }
        if Instant::now() > deadline {
            return Err("it did not listen within 10 s".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn complaints(case: &Case, runs: &[Measured]) -> Vec<String> {
    let mut found = Vec::new();
    for Measured { report, reached_upstream } in runs {
        if report.cpu.total <= 0.0 {
            found.push(format!("WRONG {}: no CPU time was seen", case.name));
        }
        if report.wrong + report.errors > 0 || report.requests == 0 {
            found.push(format!(
                "WRONG {}: {} wrong answers, {} errors (first: {:?}), statuses {:?}",
                case.name, report.wrong, report.errors, report.first_error, report.statuses
            ));
        }
        if case.proxy.reaches_upstream() && report.admitted != *reached_upstream {
            let admitted = report.admitted;
            found.push(format!(
                "WRONG {}: {admitted} admitted, {reached_upstream} at the upstream",
                case.name
            ));
        }
    }
    found
}

fn print_table(cases: &[Case], results: &[Vec<Measured>]) {
    println!(
        "| proxy | checks? | requests/s | CPU µs a request (user + system) | × nginx | p50 / p99 µs | RSS MiB | busy proxy / load % | errors |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (case, runs) in cases.iter().zip(results) {
        let of = |value: &dyn Fn(&Measured) -> f64| median(runs.iter().map(value));
        let each =
            |value: &dyn Fn(&Measured) -> f64| of(&|run| value(run) * 1e6 / run.report.requests as f64);
        let baseline = cases.iter().position(|other| case.has_baseline(other));
        let ratio = baseline.map_or(f64::NAN, |baseline| {
            median(runs.iter().zip(&results[baseline]).map(|(run, nginx)| run.cpu_us() / nginx.cpu_us()))
        });
        println!(
            "| {} | {} | {:.0} | {:.1} ({:.1} + {:.1}) | {ratio:.2} | {:.0} / {:.0} | {:.1} | {:.0} / {:.0} | {} |",
            case.name,
            if case.proxy.checks() { "yes" } else { "no" },
            of(&Measured::per_second),
            of(&Measured::cpu_us),
            each(&|run| run.report.cpu.user),
            each(&|run| run.report.cpu.system),
            of(&|run| run.report.latency.quantile_us(0.5)),
            of(&|run| run.report.latency.quantile_us(0.99)),
            of(&|run| run.report.resident_kib as f64 / 1024.0),
            of(&|run| run.report.cpu.total * 100.0 / run.report.seconds),
            of(&|run| run.report.own_cpu.total * 100.0 / run.report.seconds),
            runs.iter().map(|run| run.report.errors + run.report.wrong).sum::<u64>(),
        );
    }
}

/// The middle one; of an even number the upper middle; NaN of none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
