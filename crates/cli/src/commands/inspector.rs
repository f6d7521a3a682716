//! `ringfence inspector`: what is kept of requests, shown and deleted.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence_gateway::settings::Inspect;
use ringfence_model::Sid;
use ringfence_store::{KeptRequest, RequestFilter, RequestVerdict, SeenOutgoing, SeenRequest};
use serde_json::{Value, json};

use super::act::{parse_reason, reason_of};
use super::report::parse_since;
use super::user::parse_account;
use super::with_store::{self, Opened, StoreArguments, failure};
use super::words::count;
use crate::config::{self, units};
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the requests that are kept, newest first.
    Show(ShowArguments),
    /// Delete what is kept of requests.
    Purge(PurgeArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringfence inspector show --refused --since 1h --config ringfence.toml
  ringfence inspector show --account AC00000000000000000000000000000001 --json --config ringfence.toml
  ringfence inspector show --direction to-twilio --route messages.create --config ringfence.toml")]
struct ShowArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Of this account alone: those that it signed, refused ones that name it, and those of its credentials
    #[arg(long, value_name = "SID", value_parser = parse_account)]
    account: Option<Sid>,
    /// Only those from Twilio to the gate, or only those of applications to Twilio through the egress
    #[arg(long, value_name = "DIRECTION")]
    direction: Option<Direction>,
    /// Of this route alone, as logs and metrics call it, such as /twilio/; to Twilio of this operation, such as
    /// messages.create
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Only those that were refused
    #[arg(long)]
    refused: bool,
    /// Only those that a limit would have refused, had it not only watched
    #[arg(long)]
    would_refuse: bool,
    /// With this in path, route, account, message or call, address, reason, credential or limit
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// For so long, such as 1h, or from a day or a moment on, such as 2026-11-01 or 2026-11-01T09:30:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    since: Option<When>,
    /// Older than the one with this id, the `next` of --json
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What the nodes have not written yet, a second's worth, comes after. Copies of the store have it still.

Examples:
  ringfence inspector purge --before 2d --reason \"enough\" --config ringfence.toml
  ringfence inspector purge --all --reason \"asked to by law\" --config ringfence.toml")]
struct PurgeArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// What is older than this, such as 2d, or from before a day or a moment, such as 2026-11-01
    #[arg(long, value_name = "WHEN", value_parser = parse_when, required_unless_present = "all")]
    before: Option<When>,
    /// All of it
    #[arg(long, conflicts_with = "before")]
    all: bool,
    /// Why; the audit log keeps it
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
}

/// Which way a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Direction {
    FromTwilio,
    ToTwilio,
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Ago(Duration),
    At(Timestamp),
}

impl When {
    fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(time) => SignedDuration::try_from(time)
                .ok()
                .and_then(|time| now.checked_sub(time).ok())
                .unwrap_or(Timestamp::MIN),
        }
    }
}

fn parse_when(text: &str) -> Result<When, String> {
    if let Ok(time) = units::duration(text) {
        return Ok(When::Ago(time));
    }
    if let Ok(at) = text.parse() {
        return Ok(When::At(at));
    }
    parse_since(text).map(When::At).map_err(|_| {
        "write a time such as 1h or 2d, a day such as 2026-11-01, or a moment in RFC 3339".to_owned()
    })
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Show(arguments) => {
            let keeps = matches!(
                config::load(&arguments.store.config)?.control.inspector.inspect,
                Inspect::InStore { .. }
            );
            with_store::look(&arguments.store.config, async |opened| show(arguments, keeps, opened).await)
        }
        Command::Purge(arguments) => {
            let reason = reason_of(arguments.reason.as_ref())?;
            with_store::run(&arguments.store.config, async |opened| purge(arguments, &reason, opened).await)
        }
    }
}

async fn show(arguments: &ShowArguments, keeps: bool, opened: &Opened) -> Result<Answer, Failure> {
    let filter = RequestFilter {
        account: arguments.account,
        route: arguments.route.clone(),
        to_twilio: arguments.direction.map(|direction| direction == Direction::ToTwilio),
        would_refuse: arguments.would_refuse,
        admitted: arguments.refused.then_some(false),
        since: arguments.since.map(|since| since.before(opened.now)),
        search: arguments.search.clone(),
    };
    let limit = arguments.limit as usize;
    let found = opened.store.requests(&filter, arguments.before, limit + 1).await;
    let mut requests = found.map_err(|error| failure(&error))?;
    let has_more = requests.len() > limit;
    requests.truncate(limit);
    let next = requests.last().map(|request| request.id).filter(|_| has_more);
    let mut answer = Answer::default();
    if !keeps {
        answer.notes.push(
            "note: nothing is kept of requests by this configuration; set `keep` in [inspector] to \"metadata\" or \
             \"redacted\""
                .to_owned(),
        );
    }
    let output = if arguments.store.json {
        let requests: Vec<_> = requests.iter().map(as_json).collect();
        format!("{}\n", json!({ "requests": requests, "next": next }))
    } else {
        if let Some(next) = next {
            answer.notes.push(format!("there are more; go on with --before {next}"));
        }
        requests.iter().map(as_text).collect()
    };
    answer.output = output.into_bytes();
    if requests.is_empty() && !arguments.store.json {
        answer.notes.push("no request is kept of which this is true".to_owned());
    }
    Ok(answer)
}

async fn purge(arguments: &PurgeArguments, reason: &str, opened: &Opened) -> Result<Answer, Failure> {
    let before = arguments.before.map(|before| before.before(opened.now));
    let purged = opened.store.purge_requests(&opened.by, before, reason, opened.now).await;
    let purged = purged.map_err(|error| failure(&error))?;
    let output = if arguments.store.json {
        format!("{}\n", json!({ "deleted": purged, "before": before.map(|before| before.to_string()) }))
    } else {
        let requests = count(usize::try_from(purged).unwrap_or(usize::MAX), "request");
        format!("deleted what was kept of {requests}\n")
    };
    Ok(Answer { output: output.into_bytes(), ..Answer::default() })
}

fn as_text(request: &KeptRequest) -> String {
    let KeptRequest { node, seen, .. } = request;
    let at = seen.at.strftime("%Y-%m-%d %H:%M:%S GMT");
    let outgoing = seen.outgoing.as_deref();
    let route = match (seen.route.as_str(), outgoing) {
        ("", None) => "no route".to_owned(),
        (route, None) => format!("route {route}"),
        ("", Some(_)) => "to Twilio, no operation that is known".to_owned(),
        (operation, Some(_)) => format!("to Twilio, operation {operation}"),
    };
    let verdict = match &seen.verdict {
        RequestVerdict::Admitted { .. } => "admitted".to_owned(),
        RequestVerdict::PassedOn { failed: None } => "passed on".to_owned(),
        RequestVerdict::PassedOn { failed: Some(why) } => {
            format!("passed on, no answer: {}", why.replace('_', " "))
        }
        RequestVerdict::Refused { reason, .. } => format!("refused: {}", reason.replace('_', " ")),
    };
    let mut text =
        format!("{at}  {verdict}\n    {} {}   {route}, from {}\n", seen.method, seen.path, seen.client);
    let account = match seen.account {
        Some(account) if outgoing.is_some() => format!("of {account}; "),
        Some(account) if seen.is_proven => format!("signed by {account}; "),
        Some(account) => format!("names {account}; "),
        None => String::new(),
    };
    let about = seen.resource.map(|sid| format!("about {sid}; ")).unwrap_or_default();
    let took = seen.took.as_secs_f64() * 1_000.0;
    let answered = match seen.status {
        Some(status) => format!("answered with {status}{} after {took:.1} ms", code_of(outgoing)),
        None => format!("the caller hung up after {took:.1} ms"),
    };
    _ = writeln!(text, "    {account}{about}{answered}; node {node}");
    for line in outgoing.into_iter().flat_map(outgoing_lines) {
        _ = writeln!(text, "    {line}");
    }
    match &seen.verdict {
        RequestVerdict::Admitted { candidate, finding } => {
            if candidate != "as-received" {
                _ = writeln!(text, "    signed for another form of the URL: {}", candidate.replace('-', " "));
            }
            if let Some(finding) = finding {
                _ = writeln!(text, "    strict mode would refuse it: {}", finding.replace('_', " "));
            }
        }
        RequestVerdict::PassedOn { .. } => {}
        RequestVerdict::Refused { explanation, .. } => {
            for line in
                explanation.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty())
            {
                _ = writeln!(text, "    | {line}");
            }
        }
    }
    for (name, value) in seen.parameters.iter().flatten() {
        _ = writeln!(text, "    {name}={value}");
    }
    if let Some(verbs) = &seen.answer {
        _ = writeln!(text, "    answer: {}", if verbs.is_empty() { "no verb" } else { verbs });
    }
    text
}

/// ` (21211)`: the code of an error.
fn code_of(outgoing: Option<&SeenOutgoing>) -> String {
    let code = outgoing.and_then(|outgoing| outgoing.code);
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

fn outgoing_lines(outgoing: &SeenOutgoing) -> Vec<String> {
    let SeenOutgoing { credential, credential_name, worst, would_refuse, .. } = outgoing;
    let mut lines = Vec::new();
    if let Some(credential) = credential {
        let name = credential_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let worst = worst.map(|worst| format!("; {worst} set aside")).unwrap_or_default();
        lines.push(format!("with {credential}{name}{worst}"));
    }
    lines.extend(would_refuse.iter().map(|limit| format!("would have been refused by \"{limit}\"")));
    lines
}

fn as_json(request: &KeptRequest) -> Value {
    let KeptRequest { id, node, seen } = request;
    let SeenRequest { at, part, route, method, path, client, is_proven, token, status, answer, .. } = seen;
    let (verdict, reason, candidate, finding, explanation) = match &seen.verdict {
        RequestVerdict::Admitted { candidate, finding } => {
            ("admitted", None, Some(candidate), finding.as_ref(), None)
        }
        RequestVerdict::PassedOn { failed } => ("passed_on", failed.as_ref(), None, None, None),
        RequestVerdict::Refused { reason, explanation } => {
            ("refused", Some(reason), None, None, explanation.as_ref())
        }
    };
    let outgoing = seen.outgoing.as_deref();
    let parameters = seen.parameters.as_ref().map(|all| {
        all.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<_>>()
    });
    json!({
        "id": id,
        "at": at.to_string(),
        "node": node,
        "part": part,
        "direction": if outgoing.is_some() { "to-twilio" } else { "from-twilio" },
        "route": route,
        "method": method,
        "path": path,
        "client": client.to_string(),
        "account": seen.account.map(|sid| sid.to_string()),
        "signed": is_proven,
        "resource": seen.resource.map(|sid| sid.to_string()),
        "idempotency_token": token,
        "verdict": verdict,
        "reason": reason,
        "candidate": candidate,
        "finding": finding,
        "explanation": explanation,
        "status": status,
        "request_bytes": seen.request_bytes,
        "answer_bytes": seen.answer_bytes,
        "took_ms": seen.took.as_secs_f64() * 1_000.0,
        "parameters": parameters,
        "answer": answer,
        "credential": outgoing.and_then(|it| it.credential).map(|sid| sid.to_string()),
        "credential_name": outgoing.and_then(|it| it.credential_name.as_ref()),
        "worst": outgoing.and_then(|it| it.worst).map(|worst| worst.to_string()),
        "limit": outgoing.and_then(|it| it.limit.as_ref()),
        "would_refuse": outgoing.map(|it| &it.would_refuse),
        "code": outgoing.and_then(|it| it.code),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_three_ways_and_nothing_else_is_one() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("1h", "2026-11-26T11:00:00Z"),
            ("2d", "2026-11-24T12:00:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T09:30:00Z", "2026-11-01T09:30:00Z"),
        ] {
            assert_eq!(parse_when(text).unwrap().before(now).to_string(), expected, "{text}");
        }
        for text in ["", "1", "yesterday", "2026-13-01", "AC1"] {
            assert!(parse_when(text).is_err(), "{text}");
        }
        assert!(parse_account("SM00000000000000000000000000000001").is_err());
    }
}
