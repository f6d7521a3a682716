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
mod commands;
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

use commands::Wanted;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match commands::read(&words) {
        Ok(Wanted::Usage(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Wanted::Run(command, arguments)) => (command.run)(&arguments),
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// What every command ends with: nothing, or a sentence for the person who ran it.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;
