//! Measurements of Ringfence beside its peers.
//!
//! Not a test: nothing here judges a pull request by a clock. Absolute figures move from machine to machine, so
//! everything is measured side by side in one run, in interleaved rounds, and reported as a ratio. What *is* judged
//! is the work: a run in which a forged request was admitted, or a genuine one refused, ends with exit code 1.
//!
//! `bench/README.md` says how to run each and what the goals are.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tables go to stdout, progress to stderr")]

mod admissions;
mod arguments;
mod bare_hyper;
mod breaker;
mod challenges;
mod database;
mod dice;
mod egress;
mod gate;
mod histogram;
mod installation;
mod load;
mod money;
mod official;
mod polling;
mod process;
mod proxies;
mod pumping;
mod sandbox;
mod sign_in;
mod simulate;
mod startup;
mod statistics;
mod suspension;
mod timing;
mod tls;
mod upstream;
mod verify;
mod webhook;
mod wire;
mod writes;

use arguments::Arguments;
use std::process::ExitCode;

const USAGE: &str = "\
usage: ringfence-bench COMMAND [--option value]…

  verify    nanoseconds for one request in process, against the bare HMAC of the same bytes
  control   the next four, one after another
  breaker   nanoseconds for one step of a breaker, by what it observes
  writes    the store's writes on SQLite and PostgreSQL, alone and together, against a bare INSERT
  admissions  the ledger's admissions a second, by one node and by three, and exactness at the last cent
  simulate  the ledger under crashes, lost answers, jumping clocks and old backups, from a seed
  challenges  codes started and checked a second on SQLite and PostgreSQL, and that one is accepted and five are compared
  pumping   a hundred thousand starts of codes by whoever earns from them: what goes out, and where to
  egress    the egress beside nginx, before the same sandbox: latency and CPU time a message
  polling   requests to Twilio for a thousand subaccounts, and how long a round takes
  suspension  milliseconds from a usage trigger's webhook to the request that suspends
  sign-in   the gate and the console's pages while strangers flood the sign-in page
  timing    whether sign-in, forgotten password and credentials tell by the clock who there is
  official  the same request in the official Node and Python libraries
  gate      proxies side by side: CPU time a request, latency, memory
  sandbox   messages accepted, webhooks delivered, memory, against a bare hyper server
  startup   time to the first answer, and memory when idle
  load      the load generator alone, against a server that runs already
  upstream  the trivial application alone
  bare-hyper  a proxy of hyper alone, for reference
  bare-hyper-server  a server of hyper alone, for reference

See bench/README.md for the options of each.";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let outcome = Arguments::parse(words).and_then(|arguments| match command.as_str() {
        "verify" => verify::run(&arguments),
        "control" => control(&arguments),
        "breaker" => breaker::run(&arguments),
        "writes" => writes::run(&arguments),
        "admissions" => admissions::run(&arguments),
        "simulate" => simulate::run(&arguments),
        "challenges" => challenges::run(&arguments),
        "pumping" => pumping::run(&arguments),
        "egress" => egress::run(&arguments),
        "polling" => polling::run(&arguments),
        "suspension" => suspension::run(&arguments),
        "timing" => timing::run(&arguments),
        "official" => official::run(&arguments),
        "gate" => gate::run(&arguments),
        "sandbox" => sandbox::run(&arguments),
        "sign-in" => sign_in::run(&arguments),
        "startup" => startup::run(&arguments),
        "load" => load::run(&arguments),
        "upstream" => upstream::run(&arguments),
        "bare-hyper" => bare_hyper::run(&arguments),
        "bare-hyper-server" => sandbox::bare(&arguments),
        _ => Err(USAGE.into()),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// The circuit breaker, from the decision alone to the whole way.
fn control(arguments: &Arguments) -> Outcome {
    breaker::run(arguments)?;
    println!();
    writes::run(arguments)?;
    println!();
    polling::run(arguments)?;
    println!();
    suspension::run(arguments)
}

/// What every command ends with: nothing, or a sentence for the person who ran it.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;
