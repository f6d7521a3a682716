//! `ringfence`: one program, one command line. Only here are files, the environment and the clock read; the
//! crates below take what they need as arguments.

mod commands;
mod config;
mod control_plane;
mod deployment;
#[cfg(test)]
mod documented;
mod exit;
mod help;
mod logging;
mod typed;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use commands::{
    account, api_token, application, audit, breached, check, completions, demo, doctor, explain, import,
    incidents, init, inspector, key, ledger, limits, man, media, migrate, notify, replay, report, reset,
    sandbox, serve, shared_keys, sign, status, store, token, trip, user, verify,
};

/// Measured: fewer cycles a request than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A security gateway for applications built on Twilio: only Twilio gets in, and no account spends past its limit.
#[derive(Debug, Parser)]
#[command(name = "ringfence", version, arg_required_else_help = true)]
#[command(after_help = EXAMPLES, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show it on this machine: forgeries, a thief who spends, a stolen password; as a page and as text.
    Demo(demo::Arguments),
    /// Write a configuration: it asks for what is needed, and checks each answer at once.
    Init(init::Arguments),
    /// Run the product: the gate, and what holds the limits.
    Serve {
        /// The configuration; a SIGHUP reads it again
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Run a Twilio of your own on this machine, with phones in the browser.
    Sandbox(sandbox::Arguments),
    /// Is this configuration right? Nothing is started, no port is bound.
    Check(check::Arguments),
    /// Propose routes: from the configuration of an nginx, or from the URLs that an account has at Twilio.
    Import(import::Arguments),
    /// Is the whole deployment sound: here, at Twilio, and seen from outside?
    Doctor(doctor::Arguments),
    /// Make the request that Twilio would send, signature included.
    Sign(sign::Arguments),
    /// Did Twilio send this request? Or: does a file of requests get the right verdicts?
    Verify(verify::Arguments),
    /// Why is this request refused, and what is to be changed?
    Explain(explain::Arguments),
    /// Compare the limits and their usage triggers at Twilio with the configuration, and make them so.
    Limits(limits::Arguments),
    /// What is tripped, what is near it, what does not get through?
    Status(status::Arguments),
    /// Stop spending now: trip a limit by hand.
    Trip(trip::Arguments),
    /// Lift a trip, and learn how much more may be spent.
    Reset(reset::Arguments),
    /// What is spent and set aside under each limit, beside what Twilio counts.
    Ledger(ledger::Arguments),
    /// What limits and operators did and what was refused: each time from its beginning to its end.
    Incidents(incidents::Arguments),
    /// What is kept of requests at the gate: show it, delete it.
    Inspector(inspector::Arguments),
    /// Replay a recorded attack against three guards: how much is spent past the limit?
    Replay(replay::Arguments),
    /// What would the limits have done that only watch? Is it safe to enforce them?
    Report(report::Arguments),
    /// List accounts, suspend one, let it go.
    Account(account::Arguments),
    /// Somebody else has an account's credentials: stop them, and see what they did.
    Breached(breached::Arguments),
    /// Replace an account's auth token without one refused webhook.
    Token(token::Arguments),
    /// Experimental: have webhooks signed by keys of their own in the place of the auth token.
    SharedKeys(shared_keys::Arguments),
    /// Make the store, or bring its tables to what this version reads.
    Migrate(migrate::Arguments),
    /// Is the audit log whole? What is in it?
    Audit(audit::Arguments),
    /// Who may use the API, and for what?
    ApiToken(api_token::Arguments),
    /// For whom is the second factor a service?
    Application(application::Arguments),
    /// The credentials of applications.
    Key(key::Arguments),
    /// Links that open one file of a message or a recording for a time.
    Media(media::Arguments),
    /// Does whom [notify] names hear of it?
    Notify(notify::Arguments),
    /// Who signs in to the console, and what may they do?
    User(user::Arguments),
    /// Copy a SQLite store while it is in use, and put a copy back.
    Store(store::Arguments),
    /// Print what a shell needs to complete commands and options.
    Completions(completions::Arguments),
    /// Print the manual page, or write one for each command.
    Man(man::Arguments),
}

const EXAMPLES: &str = r#"Examples:
  ringfence demo
  ringfence sandbox --listen 127.0.0.1:4010
  ringfence init
  ringfence check --config ringfence.toml
  ringfence serve --config ringfence.toml
  ringfence doctor --config ringfence.toml
  ringfence sign --url https://hooks.example.com/sms --param Body=Hi --curl
  ringfence explain --config ringfence.toml --http refused-request.txt
  ringfence limits plan --config ringfence.toml
  ringfence status --config ringfence.toml
  ringfence trip "fifty a day" --account AC… --config ringfence.toml --reason "stolen key"
  ringfence reset "fifty a day" --account AC… --config ringfence.toml --reason "key changed"
  ringfence token rotate AC… --config ringfence.toml --reason "it leaked"
  ringfence audit verify --config ringfence.toml --heads audit-heads

Exit codes: 0 fine; 1 the answer is no; 2 wrong usage; 64 wrong configuration;
69 something outside is unavailable."#;

fn main() -> ExitCode {
    let line = || help::flowing(CommandLine::command());
    let words = typed::negative_values_joined(std::env::args_os());
    let typed =
        CommandLine::from_arg_matches(&line().get_matches_from(words)).unwrap_or_else(|error| error.exit());
    let result = match typed.command {
        Command::Demo(arguments) => return demo::run(&arguments),
        Command::Serve { config } => return serve::run(&config),
        Command::Sandbox(arguments) => return sandbox::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Sign(arguments) => sign::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Limits(arguments) => limits::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Trip(arguments) => trip::run(&arguments),
        Command::Reset(arguments) => reset::run(&arguments),
        Command::Ledger(arguments) => ledger::run(&arguments),
        Command::Incidents(arguments) => incidents::run(&arguments),
        Command::Inspector(arguments) => inspector::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Account(arguments) => account::run(&arguments),
        Command::Breached(arguments) => breached::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::SharedKeys(arguments) => shared_keys::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::ApiToken(arguments) => api_token::run(&arguments),
        Command::Application(arguments) => application::run(&arguments),
        Command::Key(arguments) => key::run(&arguments),
        Command::Media(arguments) => media::run(&arguments),
        Command::Notify(arguments) => notify::run(&arguments),
        Command::User(arguments) => user::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::Completions(arguments) => Ok(completions::run(&arguments, line())),
        Command::Man(arguments) => man::run(&arguments, line()),
    };
    exit::finish(result)
}
