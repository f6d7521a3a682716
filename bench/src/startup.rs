//! From `spawn` to the first genuine request answered 200, and the memory of a server that then stands idle.
//!
//! Not pinned to a core: a start uses what there is, and this process only knocks.

use crate::arguments::Arguments;
use crate::gate::median;
use crate::process::{self, Server};
use crate::proxies::{Place, Proxy};
use crate::webhook::{Kind, PUBLIC_URL, TOKEN, Writer};
use crate::{Outcome, upstream};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// `startup [--rounds N] [--ringfence PATH]`.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let place = Place::new(arguments)?;
    let rounds: usize = arguments.number("rounds", 7)?;
    let upstream_port = start_upstream()?;
    let contenders = [
        ("nginx", Proxy::Nginx { tls: false }),
        ("haproxy", Proxy::Haproxy),
        ("ringfence", Proxy::Ringfence { tls: false, replay: "auto" }),
        ("express + twilio", Proxy::Express { proxies: true }),
    ];
    println!("| server | start to first answer, ms | idle RSS MiB | of it not from files, MiB |");
    println!("| --- | --- | --- | --- |");
    for (name, proxy) in contenders {
        if let Some(reason) = place.missing(proxy) {
            println!("| {name} | left out: {reason} | | |");
            continue;
        }
        let starts: Vec<Start> =
            (0..rounds).map(|_| measure(&place, proxy, upstream_port)).collect::<Result<_, _>>()?;
        println!(
            "| {name} | {:.1} | {:.1} | {:.1} |",
            median(starts.iter().map(|start| start.took.as_secs_f64() * 1e3)),
            median(starts.iter().map(|start| start.resident_kib as f64 / 1024.0)),
            median(starts.iter().map(|start| start.anonymous_kib as f64 / 1024.0)),
        );
    }
    Ok(())
}

struct Start {
    took: Duration,
    resident_kib: u64,
    anonymous_kib: u64,
}

fn measure(place: &Place, proxy: Proxy, upstream_port: u16) -> Outcome<Start> {
    let port = process::free_port()?;
    let command = place.command(proxy, port, upstream_port)?;
    let mut wire = Vec::new();
    Writer::new(Kind::Sms, TOKEN, PUBLIC_URL, 0.0, false).next(&mut wire);

    let started = Instant::now();
    let mut server = Server::start(command, None, &place.log())?;
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(_) if server.has_ended() || started.elapsed() > Duration::from_secs(10) => {
                return Err(format!("it did not start:\n{}", std::fs::read_to_string(place.log())?).into());
            }
            Err(_) => process::pause(Duration::from_micros(100)),
        }
    };
    stream.write_all(&wire)?;
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer)?;
    let took = started.elapsed();
    if !answer[..length].starts_with(b"HTTP/1.1 200") {
        return Err(format!(
            "a genuine request was answered {:?}",
            String::from_utf8_lossy(&answer[..length])
        )
        .into());
    }
    drop(stream);
    process::pause(Duration::from_millis(300));
    let pids = server.pids();
    Ok(Start {
        took,
        resident_kib: process::resident_kib(&pids),
        anonymous_kib: process::anonymous_kib(&pids),
    })
}

/// A thread of its own, since what is measured here blocks.
fn start_upstream() -> Outcome<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let runtime = process::runtime()?;
    std::thread::spawn(move || {
        runtime.block_on(LocalSet::new().run_until(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
            upstream::serve(listener, std::rc::Rc::default()).await;
        }));
    });
    Ok(port)
}
