//! `ringfence init`: from a Twilio account to a configuration that is right.
//!
//! It asks for what is needed, or takes it from flags, and checks each answer at once: at Twilio, at the public address, at the
//! application, at the mail server. It changes nothing there. What it writes is read as `serve` reads it before it is written,
//! and it is written at the end, all at once: whoever stops half-way leaves nothing behind.

mod answers;
mod ask;
mod files;
mod hang_up;
mod interview;
mod probe;
mod service;
#[cfg(test)]
mod tests;
mod text;

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use ringfence_control::notices::shell_word;
use ringfence_twilio::client::BaseUrl;

use self::answers::Answers;
use self::ask::{Person, Terminal};
use self::files::{Secrets, Target};
use self::hang_up::HangUp;
use self::interview::Interview;
use self::service::Service;
use super::token_argument::{self, TokenArguments};
use super::with_store;
use crate::exit::{Answer, Failure};

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
At a terminal it asks for whatever no flag says. A script says all of it, and --yes:

  ringfence init
  ringfence init --yes --account-sid AC… --token-env TWILIO_AUTH_TOKEN \\
      --public-url https://hooks.example.com/twilio/ --upstream http://127.0.0.1:3000 \\
      --limit 50 --mail-to ops@example.com --smtp smtp://localhost:25

A warning stops nothing: the public address and the application may come later.

Exit codes: 0 written; 1 Twilio refuses the account or its token, or a file is there already;
2 wrong usage; 64 wrong together; 69 Twilio or the mail server does not answer, or the
file cannot be written.")]
pub(crate) struct Arguments {
    /// The configuration to write; nobody else may read it, but the service that runs on /etc/ringfence/ringfence.toml
    #[arg(long, value_name = "FILE", default_value = "ringfence.toml")]
    output: PathBuf,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
    /// Ask nothing: take the flags, and the defaults for the rest
    #[arg(long)]
    yes: bool,
    /// Ask nobody outside: neither Twilio nor the public address, the application or the mail server
    #[arg(long)]
    offline: bool,

    /// The parent account at Twilio: AC and 32 hexadecimal digits
    #[arg(long, value_name = "SID", help_heading = "Twilio")]
    account_sid: Option<String>,
    #[command(flatten)]
    token: TokenArguments,
    #[arg(long, value_name = "URL", help_heading = "Twilio", value_parser = base_url,
        help = "Where Twilio is: the address of a sandbox, such as http://127.0.0.1:4010")]
    twilio: Option<BaseUrl>,

    /// What Twilio calls: with / at its end all that begins with it, without exactly this
    #[arg(long, value_name = "URL", help_heading = "Webhooks")]
    public_url: Option<String>,
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Webhooks",
        help = "Your application, such as http://127.0.0.1:3000"
    )]
    upstream: Option<String>,
    /// Where the gate listens; 127.0.0.1:8080 behind a proxy, and 0.0.0.0:443 where it ends TLS itself
    #[arg(long, value_name = "ADDR", help_heading = "Webhooks")]
    listen: Option<SocketAddr>,
    /// Where health and metrics are served, for you alone
    #[arg(long, value_name = "ADDR", help_heading = "Webhooks", default_value = "127.0.0.1:9400")]
    admin: SocketAddr,
    /// The gate ends TLS with a certificate of Let's Encrypt; this mail address is told when one cannot be renewed
    #[arg(long, value_name = "ADDRESS", help_heading = "Webhooks", conflicts_with_all = ["certificate", "key"])]
    acme: Option<String>,
    /// The gate ends TLS with this certificate, in PEM
    #[arg(long, value_name = "FILE", help_heading = "Webhooks", requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of --certificate, in PEM
    #[arg(long, value_name = "FILE", help_heading = "Webhooks", requires = "certificate")]
    key: Option<PathBuf>,

    /// The most that may be spent in a day, in the account's currency: by each subaccount, or by the account where it has none
    #[arg(long, value_name = "AMOUNT", help_heading = "Limit", allow_negative_numbers = true)]
    limit: Option<String>,
    /// The most that all subaccounts may spend together; ten times --limit if it is not said
    #[arg(
        long,
        value_name = "AMOUNT",
        help_heading = "Limit",
        requires = "limit",
        allow_negative_numbers = true
    )]
    limit_together: Option<String>,
    /// Only check webhooks: no limit on what is spent
    #[arg(long, help_heading = "Limit", conflicts_with_all = ["limit", "limit_together"])]
    no_limit: bool,
    /// Find the subaccounts at Twilio: let in their webhooks, hold each to the limit. The default if Twilio lists some
    #[arg(long, help_heading = "Twilio", conflicts_with = "no_subaccounts")]
    subaccounts: bool,
    /// Let in the webhooks of the account alone, and hold it alone to the limit
    #[arg(long, help_heading = "Twilio")]
    no_subaccounts: bool,

    /// Who is mailed when a limit is near, trips or cannot be held; repeat it for more
    #[arg(long, value_name = "ADDRESS", help_heading = "Mail", requires = "smtp")]
    mail_to: Vec<String>,
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Mail",
        requires = "mail_to",
        help = "The mail server, such as smtps://mail.example.com:465"
    )]
    smtp: Option<String>,
    /// Who the mails are from; ringfence at the host of the public URL if it is not said
    #[arg(long, value_name = "ADDRESS", help_heading = "Mail", requires = "smtp")]
    mail_from: Option<String>,
    /// The user that the mail server asks for
    #[arg(long, value_name = "NAME", help_heading = "Mail", requires = "smtp")]
    smtp_user: Option<String>,
    /// Its password is in this environment variable
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Mail",
        requires = "smtp_user",
        conflicts_with = "smtp_password_file"
    )]
    smtp_password_env: Option<String>,
    /// Its password is in this file
    #[arg(long, value_name = "FILE", help_heading = "Mail", requires = "smtp_user")]
    smtp_password_file: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    if arguments.yes {
        nothing_is_missing(arguments)?;
    } else if arguments.token.takes_stdin() || !io::stdin().is_terminal() {
        return Err(nobody_to_ask(arguments));
    }
    let target = Target::new(&arguments.output, arguments.force)?;
    let hang_up = HangUp::default();
    if !arguments.yes {
        hang_up.wait_for_signals().map_err(|error| Failure::unavailable(format!("signals: {error}")))?;
    }
    let (mut terminal, mut paper) = (Terminal::new(hang_up.clone()), io::stderr());
    let person = (!arguments.yes).then(|| Person::new(&mut terminal, &mut paper));
    let offered = token_argument::of_environment(interview::TOKEN_VARIABLE).ok();
    with_store::block_on(async {
        let mut interview = Interview::new(arguments, target, person, offered);
        let answers = Box::pin(interview.hold()).await?;
        interview.agree(&answers)?;
        let Interview { target, secrets, notes, .. } = interview;
        hang_up.is_too_late();
        let written = files::write(&answers, &secrets, &target)?;
        let output = next(&answers, &secrets, &target, &written);
        Ok(Answer { output: output.into_bytes(), notes, ..Answer::default() })
    })
}

/// What a script has to say, told all at once.
fn nothing_is_missing(arguments: &Arguments) -> Result<(), Failure> {
    let missing = missing(arguments);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!("--yes asks nothing, and this is not said: {}", missing.join("; ")))
        .hint("say it, or leave --yes away at a terminal"))
}

fn nobody_to_ask(arguments: &Arguments) -> Failure {
    let missing = missing(arguments);
    let more = if missing.is_empty() { String::new() } else { format!(" and {}", missing.join("; ")) };
    Failure::usage("there is nobody to ask: standard input is no terminal, or holds the token")
        .hint(format!("add --yes{more}"))
}

fn missing(arguments: &Arguments) -> Vec<&'static str> {
    let has_limit = arguments.limit.is_some() || arguments.no_limit;
    [
        (arguments.account_sid.is_some(), "--account-sid SID"),
        (arguments.token.is_given(), "--token-env NAME, --token-file FILE or --token-stdin"),
        (arguments.public_url.is_some(), "--public-url URL"),
        (arguments.upstream.is_some(), "--upstream URL"),
        (has_limit, "--limit AMOUNT or --no-limit"),
    ]
    .into_iter()
    .filter_map(|(is_there, flag)| (!is_there).then_some(flag))
    .collect()
}

/// What was written, and what to type next: each works when it is its turn.
fn next(answers: &Answers, secrets: &Secrets, target: &Target, written: &[PathBuf]) -> String {
    let (file, service) = (target.file(), target.service());
    let written: Vec<_> = written.iter().map(|path| path.display().to_string()).collect();
    let mut text = format!("Written: {}\n\n", written.join(", "));
    for name in secrets.to_be_set() {
        _ = writeln!(text, "First, where you run these:  read -rs {name}; export {name}\n");
    }
    let config = shell_word(&file.display().to_string());
    let ringfence = match service {
        Some(service) => {
            text.push_str(&service.first(answers, target.folder()));
            Service::as_its_user(answers)
        }
        None => "ringfence".to_owned(),
    };
    let check = (format!("{ringfence} check --config {config}"), "is it right, and what does it mean?");
    let serve = match service {
        Some(_) => "sudo systemctl enable --now ringfence.socket ringfence.service".to_owned(),
        None => format!("ringfence serve --config {config}"),
    };
    let serve = (serve, "run it");
    let doctor = format!("{ringfence} doctor --config {config}");
    let commands = match answers.limit {
        Some(_) => {
            let plan = format!("{ringfence} limits plan --config {config}");
            [check, (plan, "what it would make at Twilio; it changes nothing"), serve]
        }
        None => [check, serve, (doctor.clone(), "while it serves: is all of it sound, from outside too?")],
    };
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    text.push_str("Next:\n");
    for (command, what) in &commands {
        _ = writeln!(text, "  {command:<width$}  # {what}");
    }
    if answers.limit.is_some() {
        _ = writeln!(
            text,
            "\nWhile it serves, `{doctor}` looks whether all of it is sound, from outside too."
        );
    }
    if written.len() > 1 {
        text.push_str("\nKeep the secrets beside the configuration out of version control.\n");
    }
    if answers.is_behind_a_proxy() {
        text.push_str(&led_by_a_proxy(answers));
    }
    text
}

/// What somebody has to tell the proxy in front.
fn led_by_a_proxy(answers: &Answers) -> String {
    let mut led = vec![(answers.called.whole(), "what Twilio is told to call")];
    led.extend(answers.triggers_apart().map(|url| (url, "what usage triggers at Twilio call")));
    let width = led.iter().map(|(url, _)| url.len()).max().unwrap_or_default();
    let mut text = format!("\nYour proxy leads to http://{}, with the path as it came:\n", answers.gate);
    for (url, what) in &led {
        _ = writeln!(text, "  {url:<width$}  # {what}");
    }
    text.push_str("docs/behind-nginx.md, -caddy, -traefik and -haproxy say how.\n");
    text
}

fn base_url(text: &str) -> Result<BaseUrl, String> {
    text.parse().map_err(|error| format!("{error}"))
}
