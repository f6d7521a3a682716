//! `ringfence check`: is this configuration right, and what does it mean?
//!
//! It asks the mail server whether it would take mail, since a trip that nobody hears of is found out too late; nothing
//! is sent. `--offline` asks nobody. Where a store of SQLite's could not be made or opened it warns: whoever checks may
//! do so elsewhere, or as another user.

mod control;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringfence_control::notices::{Notifier, Settings};
use ringfence_gateway::settings::{Check, Mode, PathRule, Replay, Route, SignedBy, Tls, Twiml, Upstream};
use ringfence_gateway::upstream::UpstreamAddress;
use ringfence_signature::{AccountSid, Strict};
use rustix::fs::{Access, access};
use serde_json::{Value, json};

use crate::commands::with_store;
use crate::config::store::{Database, Store};
use crate::config::units::{show_bytes, show_duration};
use crate::config::{self, ConfigError, Loaded, Problem};
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "ringfence check --config <FILE> [--offline] [--json]\n       ringfence check --print-example"
)]
pub(crate) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", required_unless_present = "print_example")]
    config: Option<PathBuf>,
    /// Print a commented configuration with everything that this version reads
    #[arg(long, conflicts_with_all = ["config", "json"])]
    print_example: bool,
    /// Do not ask the mail server whether it can be reached
    #[arg(long)]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let Some(file) = &arguments.config else { return Ok(Answer::text(config::EXAMPLE)) };
    let loaded = config::load(file).and_then(|mut loaded| {
        if !arguments.offline {
            mail_goes_out(&loaded)?;
        }
        if let Some(problem) = loaded.control.store.as_ref().and_then(store_cannot_be_had) {
            loaded.warnings.push(problem);
            loaded.warnings.sort();
        }
        Ok(loaded)
    });
    match loaded {
        Ok(loaded) if arguments.json => Ok(Answer::text(format!("{}\n", as_json(&loaded)))),
        Ok(loaded) => Ok(Answer::text(as_text(&loaded))),
        Err(error) if arguments.json => Err(Failure::from(error.clone()).json(errors_as_json(&error))),
        Err(error) => Err(error.into()),
    }
}

/// What would keep this user from making or opening the file of a store.
fn store_cannot_be_had(store: &Store) -> Option<Problem> {
    let Database::Sqlite(path) = &store.database else { return None };
    // SQLite makes files beside it while it is open.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let what = if !folder.is_dir() {
        format!("there is no folder {}, and `serve` makes none", shown(folder))
    } else if access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        format!("this user may not write in the folder {}; whoever runs `serve` has to", shown(folder))
    } else if path.is_dir() {
        format!("{} is a folder; a store is a file", shown(path))
    } else if path.exists() && access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
        format!("this user may not read and write {}; whoever runs `serve` has to", shown(path))
    } else {
        return None;
    };
    Some(Problem::on_line(store.line, format!("`url` in [store]: {what}")))
}

/// So long a mail server has to say that it is there.
const PROBE: Duration = Duration::from_secs(10);

/// Whether the mail server of [notify] can be reached and takes the credentials.
fn mail_goes_out(loaded: &Loaded) -> Result<(), ConfigError> {
    let Some(mail) = loaded.control.notify.as_ref().and_then(|notify| notify.mail.as_ref()) else {
        return Ok(());
    };
    let wrong = |text: String| ConfigError::on_line(&loaded.file, mail.line, text);
    let settings = loaded.control.notify.as_ref().map(|notify| notify.settings());
    let settings = settings.transpose().map_err(|problem| wrong(problem.to_string()))?.unwrap_or_default();
    let probed = with_store::block_on(async {
        // Only mail is asked, so nobody's credentials at Twilio are needed.
        let settings = Settings { mail: settings.mail, timeout: PROBE, ..Settings::default() };
        let notifier = Notifier::new(settings, Arc::new(|_| None)).map_err(Failure::configuration)?;
        Ok(notifier.probe_mail().await)
    });
    match probed {
        Ok(Ok(())) => Ok(()),
        Ok(Err(problem)) => Err(wrong(format!(
            "smtp of [notify]: {problem}; correct the address, start the server, or check the rest alone with --offline"
        ))),
        Err(failure) => Err(wrong(failure.to_string())),
    }
}

/// For people: the parts, then each route with what it demands, then what deserves a second look.
fn as_text(loaded: &Loaded) -> String {
    let settings = &loaded.settings;
    let mut text = format!("{}: this configuration is right\n\n", loaded.file.display());
    let gate_tls = match &settings.tls {
        None => "plain HTTP".to_owned(),
        Some(Tls::Files(paths)) => format!("TLS, certificate {}", paths.chain.display()),
        Some(Tls::Acme(acme)) => format!("TLS, certificate by ACME for {}", acme.domains.join(", ")),
    };
    let mut row = |name: &str, value: &str| _ = writeln!(text, "{name:<13} {value}");
    if let Some(address) = settings.listen.gate {
        let proxy = if settings.listen.proxy_protocol { ", PROXY protocol from trusted_proxies" } else { "" };
        row("gate", &format!("{address} ({gate_tls}{proxy})"));
    }
    if let Some(address) = settings.listen.forward_auth {
        row("forward-auth", &address.to_string());
    }
    if let Some(address) = settings.listen.admin {
        row("admin", &address.to_string());
    }
    let listen = &settings.listen;
    let hosted =
        [("console", listen.console), ("second factor", listen.second_factor), ("egress", listen.egress)];
    for (name, address) in hosted {
        let Some(address) = address else { continue };
        let how = if address.ip().is_loopback() { "plain HTTP" } else { gate_tls.as_str() };
        row(name, &format!("{address} ({how})"));
    }
    if let (Some(address), Some(media)) = (listen.media, &settings.media) {
        let how = if address.ip().is_loopback() { "plain HTTP" } else { gate_tls.as_str() };
        row("media", &format!("{address} ({how}), links begin with {}", media.public_url));
        if let Some(sign_in) = &media.sign_in {
            let of = sign_in.account.map_or("all accounts".to_owned(), |account| account.to_string());
            row("", &format!("whoever enters {} sees files of {of}", sign_in.host));
        }
    }
    row("accounts", &accounts(loaded));
    for route in &settings.routes {
        row("", "");
        row("route", &format!("{}{}", shown_path(route), methods(route)));
        row("  called as", &route.public_url.to_string());
        let leads_to = match route.mode {
            Mode::Enforce => match &route.upstream {
                Upstream::Breaker => "the circuit breaker: usage triggers".to_owned(),
                Upstream::SecondFactor => {
                    "the second factor: keys pressed before a code is spoken".to_owned()
                }
                Upstream::Application(address) => application(address),
            },
            Mode::Shadow => "nowhere: shadow mode answers 204 and records what it would have said".to_owned(),
        };
        row("  leads to", &leads_to);
        row("  check", &demands(route));
        match route.upstream {
            Upstream::Breaker => row("  repeats", "known by the store, which keeps each delivery once"),
            Upstream::SecondFactor => row("  repeats", "answered alike, as long as the code waits"),
            Upstream::Application(_) => row("  replay", replay_meaning(route.replay)),
        }
        if let Some(with) = sent_with(route) {
            row("  sent with", &with);
        }
        if route.twiml == Twiml::Limits {
            row("  answers", "held to the limits before Twilio gets them");
        }
        row(
            "  caps",
            &format!("body {}, timeout {}", show_bytes(route.body_cap), show_duration(route.timeout)),
        );
    }
    for (name, value) in control::rows(&loaded.control) {
        row(name, &value);
    }
    for (number, warning) in loaded.warnings.iter().enumerate() {
        let empty_line = if number == 0 { "\n" } else { "" };
        _ = writeln!(text, "{empty_line}warning: {}", warning.in_file(&loaded.file));
    }
    // Rows without a value have spaces at their end; lines of a terminal should not.
    text.lines().map(str::trim_end).fold(String::new(), |lines, line| lines + line + "\n")
}

/// For scripts.
fn as_json(loaded: &Loaded) -> Value {
    let settings = &loaded.settings;
    let address = |address: Option<std::net::SocketAddr>| address.map(|address| address.to_string());
    let sids = |sids: &Vec<AccountSid>| sids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let tls = match &settings.tls {
        None => "none",
        Some(Tls::Files(_)) => "files",
        Some(Tls::Acme(_)) => "acme",
    };
    let routes: Vec<_> = settings
        .routes
        .iter()
        .map(|route| {
            json!({
                "path": path_text(route),
                "host": route.host,
                "public_url": route.public_url.to_string(),
                "upstream": route.upstream.to_string(),
                "check": check_word(&route.check),
                "mode": mode_word(route.mode),
                "strict": strict_word(route.strict),
                "replay": replay_word(route.replay),
                "signed_by": signed_by_word(route.signed_by),
                "proof": route.proof.is_some(),
                "resign_url": route.resign.as_ref().map(ToString::to_string),
                "twiml": twiml_word(route.twiml),
                "accounts": route.accounts.as_ref().map(sids),
            })
        })
        .collect();
    json!({
        "ok": true,
        "gate": address(settings.listen.gate),
        "forward_auth": address(settings.listen.forward_auth),
        "admin": address(settings.listen.admin),
        "console": address(settings.listen.console),
        "second_factor": address(settings.listen.second_factor),
        "egress": address(settings.listen.egress),
        "media": address(settings.listen.media),
        "tls": tls,
        "accounts": settings.keyring.accounts().count(),
        "routes": routes,
        "control": control::as_json(&loaded.control),
        "warnings": problems_as_json(&loaded.warnings),
    })
}

fn errors_as_json(error: &ConfigError) -> Value {
    json!({ "ok": false, "file": shown(error.file()), "errors": problems_as_json(error.problems()) })
}

fn problems_as_json(problems: &[Problem]) -> Vec<Value> {
    problems.iter().map(|problem| json!({ "line": problem.line(), "text": problem.text() })).collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Where an application is, and what it must prove.
fn application(address: &UpstreamAddress) -> String {
    let Some((tls, name)) = address.proves() else { return address.to_string() };
    let by = match tls.authorities() {
        None => "a public authority".to_owned(),
        Some(path) => format!("an authority in {}", path.display()),
    };
    let shown = tls.identity().map_or(String::new(), |path| format!("; it is shown {}", path.display()));
    format!("{address}, with a certificate for {name} of {by}{shown}")
}

fn accounts(loaded: &Loaded) -> String {
    let keyring = &loaded.settings.keyring;
    let sids: Vec<_> = keyring.accounts().map(ToString::to_string).collect();
    match sids.as_slice() {
        [] => "none".to_owned(),
        [sid] => format!("1: {sid}"),
        [first, .., last] => format!("{}: {first} … {last}", sids.len()),
    }
}

fn demands(route: &Route) -> String {
    let check = check_word(&route.check);
    if matches!(route.check, Check::Basic(_)) {
        return check.to_owned();
    }
    let accounts = match &route.accounts {
        None => "any account".to_owned(),
        Some(sids) if sids.len() == 1 => "1 account".to_owned(),
        Some(sids) => format!("{} accounts", sids.len()),
    };
    let strict = match route.strict {
        Strict::Refuse => "parameters held to their shape",
        Strict::Report => "parameters of an odd shape reported",
        Strict::Off => "shape of parameters not looked at",
    };
    let refusal = route.refusal_status.as_u16();
    let signed_by = if route.signed_by == SignedBy::SharedKey { " of a SharedKey alone" } else { "" };
    format!("{check}{signed_by}, {accounts}, {strict}; refused with {refusal}")
}

/// What a request to the application has that Twilio did not send.
fn sent_with(route: &Route) -> Option<String> {
    let proof = route.proof.is_some().then(|| "a proof that it came through the gate".to_owned());
    let anew = route.resign.as_ref().map(|url| format!("a signature for {url}"));
    let all: Vec<_> = proof.into_iter().chain(anew).collect();
    (!all.is_empty()).then(|| all.join(", and "))
}

fn shown_path(route: &Route) -> String {
    let more = if matches!(route.path, PathRule::Prefix(_)) { "…" } else { "" };
    format!("{}{more}", route.label)
}

fn path_text(route: &Route) -> &str {
    let (PathRule::Exact(text) | PathRule::Prefix(text)) = &route.path;
    text
}

fn methods(route: &Route) -> String {
    let names: Vec<_> = route.methods.iter().map(|method| method.as_str()).collect();
    format!(" ({})", names.join(", "))
}

fn check_word(check: &Check) -> &'static str {
    match check {
        Check::Signature => "signature",
        Check::Basic(_) => "basic",
        Check::SignatureAndBasic(_) => "signature+basic",
    }
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    }
}

fn signed_by_word(signed_by: SignedBy) -> &'static str {
    match signed_by {
        SignedBy::Any => "any",
        SignedBy::SharedKey => "shared-key",
        SignedBy::AuthToken => "auth-token",
    }
}

fn twiml_word(twiml: Twiml) -> &'static str {
    match twiml {
        Twiml::Pass => "pass",
        Twiml::Limits => "limits",
    }
}

fn strict_word(strict: Strict) -> &'static str {
    match strict {
        Strict::Refuse => "refuse",
        Strict::Report => "report",
        Strict::Off => "off",
    }
}

fn replay_meaning(replay: Replay) -> &'static str {
    match replay {
        Replay::Auto => "auto: repeats of messages and usage triggers get the first answer again",
        Replay::Off => "off: repeats are forwarded",
        Replay::AnswerAgain => "answer-again: repeats get the first answer again",
        Replay::Refuse => "refuse: repeats are refused",
    }
}

fn replay_word(replay: Replay) -> &'static str {
    match replay {
        Replay::Auto => "auto",
        Replay::Off => "off",
        Replay::AnswerAgain => "answer-again",
        Replay::Refuse => "refuse",
    }
}
