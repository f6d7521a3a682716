//! `ringfence inspector`: what is kept of requests, shown and deleted.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence_control::views::{
    DirectionName, Page, RequestVerdictName, RequestView, Requests, SIZE_MAX, Views,
};
use ringfence_gateway::settings::Inspect;
use ringfence_model::Sid;
use ringfence_store::RequestFilter;
use serde_json::json;

use super::act::{parse_reason, reason_of};
use super::over_api::{Api, Reach, ReachArguments};
use super::report::parse_since;
use super::user::parse_account;
use super::with_engine::not_seen;
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
  ringfence inspector show --direction to-twilio --route messages.create --config ringfence.toml
  ringfence inspector show --refused --api http://127.0.0.1:9400")]
struct ShowArguments {
    #[command(flatten)]
    reach: ReachArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
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

impl Direction {
    /// As the API has it.
    const fn word(self) -> &'static str {
        match self {
            Self::FromTwilio => "from-twilio",
            Self::ToTwilio => "to-twilio",
        }
    }
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
        Command::Show(arguments) => match arguments.reach.reach()? {
            Reach::Node(api) => with_store::block_on(show_of(arguments, &api)),
            Reach::Store(file) => {
                let keeps = matches!(config::load(file)?.control.inspector.inspect, Inspect::InStore { .. });
                with_store::look(file, async |opened| show(arguments, keeps, opened).await)
            }
        },
        Command::Purge(arguments) => {
            let reason = reason_of(arguments.reason.as_ref())?;
            with_store::run(&arguments.store.config, async |opened| purge(arguments, &reason, opened).await)
        }
    }
}

/// What the store has.
async fn show(arguments: &ShowArguments, keeps: bool, opened: &Opened) -> Result<Answer, Failure> {
    let filter = RequestFilter {
        account: arguments.account,
        route: arguments.route.clone(),
        to_twilio: arguments.direction.map(|direction| direction == Direction::ToTwilio),
        would_refuse: arguments.would_refuse,
        admitted: arguments.refused.then_some(false),
        since: arguments.since.map(|since| since.before(opened.now)),
        search: arguments.search.clone(),
        credentials: None,
    };
    let page = Page {
        cursor: arguments.before.map(|before| before.to_string()),
        size: usize::try_from(arguments.limit).unwrap_or(usize::MAX),
    };
    let views = Views::new(&opened.store, &[], opened.now);
    let mut answer = shown(arguments, &views.requests(&filter, &page).await.map_err(not_seen)?);
    if !keeps {
        answer.notes.insert(
            0,
            "note: nothing is kept of requests by this configuration; set `keep` in [inspector] to \"metadata\" or \
             \"redacted\""
                .to_owned(),
        );
    }
    Ok(answer)
}

/// What a running node answers, page by page.
async fn show_of(arguments: &ShowArguments, api: &Api) -> Result<Answer, Failure> {
    let ShowArguments { account, direction, route, refused, would_refuse, search, since, .. } = arguments;
    let mut filter = Vec::new();
    filter.extend(account.map(|account| ("account", account.to_string())));
    filter.extend(direction.map(|direction| ("direction", direction.word().to_owned())));
    filter.extend(route.clone().map(|route| ("route", route)));
    filter.extend(refused.then(|| ("verdict", "refused".to_owned())));
    filter.extend(would_refuse.then(|| ("would_refuse", "true".to_owned())));
    filter.extend(search.clone().map(|search| ("search", search)));
    if let Some(since) = since {
        filter.push(("since", since.before(with_store::now()?).to_string()));
    }
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let cursor = arguments.before.map(|before| before.to_string());
    let mut all = Requests { requests: Vec::new(), next: cursor };
    loop {
        let wanted = (limit - all.requests.len()).min(SIZE_MAX);
        let mut query = filter.clone();
        query.push(("page_size", wanted.to_string()));
        query.extend(all.next.take().map(|cursor| ("cursor", cursor)));
        let page: Requests = api.get("/v1/requests", &query).await?;
        all.requests.extend(page.requests);
        all.next = page.next;
        if all.next.is_none() || all.requests.len() >= limit {
            return Ok(shown(arguments, &all));
        }
    }
}

fn shown(arguments: &ShowArguments, found: &Requests) -> Answer {
    let mut answer = Answer::default();
    if arguments.json {
        answer.output = format!("{}\n", json!(found)).into_bytes();
        return answer;
    }
    answer.output = found.requests.iter().map(as_text).collect::<String>().into_bytes();
    if let Some(next) = &found.next {
        answer.notes.push(format!("there are more; go on with --before {next}"));
    }
    if found.requests.is_empty() {
        answer.notes.push("no request is kept of which this is true".to_owned());
    }
    answer
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

fn as_text(request: &RequestView) -> String {
    let at = request.at.strftime("%Y-%m-%d %H:%M:%S GMT");
    let is_to_twilio = request.direction == DirectionName::ToTwilio;
    let route = match (request.route.as_str(), is_to_twilio) {
        ("", false) => "no route".to_owned(),
        (route, false) => format!("route {route}"),
        ("", true) => "to Twilio, no operation that is known".to_owned(),
        (operation, true) => format!("to Twilio, operation {operation}"),
    };
    let reason = request.reason.as_ref().map(|reason| reason.replace('_', " "));
    let verdict = match (request.verdict, reason) {
        (RequestVerdictName::Admitted, _) => "admitted".to_owned(),
        (RequestVerdictName::PassedOn, None) => "passed on".to_owned(),
        (RequestVerdictName::PassedOn, Some(why)) => format!("passed on, no answer: {why}"),
        (RequestVerdictName::Refused, why) => format!("refused: {}", why.unwrap_or_default()),
    };
    let RequestView { method, path, client, node, took_ms, .. } = request;
    let mut text = format!("{at}  {verdict}\n    {method} {path}   {route}, from {client}\n");
    let account = match request.account {
        Some(account) if is_to_twilio => format!("of {account}; "),
        Some(account) if request.signed => format!("signed by {account}; "),
        Some(account) => format!("names {account}; "),
        None => String::new(),
    };
    let about = request.resource.map(|sid| format!("about {sid}; ")).unwrap_or_default();
    let code = request.code.map(|code| format!(" ({code})")).unwrap_or_default();
    let answered = match request.status {
        Some(status) => format!("answered with {status}{code} after {took_ms:.1} ms"),
        None => format!("the caller hung up after {took_ms:.1} ms"),
    };
    _ = writeln!(text, "    {account}{about}{answered}; node {node}");
    if let Some(credential) = request.credential {
        let name = request.credential_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let worst = request.worst.as_ref().map(|worst| format!("; {worst} set aside")).unwrap_or_default();
        _ = writeln!(text, "    with {credential}{name}{worst}");
    }
    for limit in request.would_refuse.iter().flatten() {
        _ = writeln!(text, "    would have been refused by \"{limit}\"");
    }
    if let Some(candidate) = request.candidate.as_ref().filter(|candidate| *candidate != "as-received") {
        _ = writeln!(text, "    signed for another form of the URL: {}", candidate.replace('-', " "));
    }
    if let Some(finding) = &request.finding {
        _ = writeln!(text, "    strict mode would refuse it: {}", finding.replace('_', " "));
    }
    for line in request.explanation.iter().flat_map(|text| text.lines()) {
        if !line.trim().is_empty() {
            _ = writeln!(text, "    | {line}");
        }
    }
    for parameter in request.parameters.iter().flatten() {
        _ = writeln!(text, "    {}={}", parameter.name, parameter.value);
    }
    if let Some(verbs) = &request.answer {
        _ = writeln!(text, "    answer: {}", if verbs.is_empty() { "no verb" } else { verbs });
    }
    text
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
