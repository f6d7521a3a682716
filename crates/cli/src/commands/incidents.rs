//! `ringfence incidents`: each time that something fired, from when it began until it was over.

use std::fmt::Write as _;

use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use ringfence_control::views::{ActorView, IncidentFilter, IncidentKind, IncidentView, Incidents, Page};

use super::act::find_account;
use super::over_api::{Reach, ReachArguments};
use super::report::parse_since;
use super::with_engine::{self, Missing, not_seen};
use super::with_store;
use super::words::{count, moment, whom};
use crate::exit::{Answer, Failure};

/// So many incidents are told; `--json` has more.
const SHOWN: usize = 50;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What limits did and warned of, what operators stopped and suspended, and what requests were refused, one after the other,
the newest first.

Examples:
  ringfence incidents --config ringfence.toml
  ringfence incidents --open --config ringfence.toml
  ringfence incidents --account \"Customer 7\" --since 2026-11-01 --json --config ringfence.toml")]
pub(crate) struct Arguments {
    #[command(flatten)]
    reach: ReachArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Of this account: its SID, or its name; with --api its SID
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Of this limit
    #[arg(long, value_name = "LIMIT")]
    limit: Option<String>,
    /// Of this kind
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(IncidentKind::ALL.map(IncidentKind::word)))]
    kind: Option<String>,
    /// Only those that go on
    #[arg(long)]
    open: bool,
    /// From this day on, in GMT, such as 2026-11-01; of the last 30 days if not given
    #[arg(long, value_name = "DATE", value_parser = parse_since)]
    since: Option<Timestamp>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let shown = |incidents: &Incidents| {
        let text =
            if arguments.json { format!("{}\n", serde_json::json!(incidents)) } else { as_text(incidents) };
        text.into_bytes()
    };
    let file = match arguments.reach.reach()? {
        Reach::Store(file) => file,
        Reach::Node(api) => {
            let text =
                |name, value: &Option<String>| value.iter().map(|it| (name, it.clone())).collect::<Vec<_>>();
            let mut query = text("account", &arguments.account);
            query.extend(text("limit", &arguments.limit));
            query.extend(text("kind", &arguments.kind));
            query.extend(arguments.open.then(|| ("open", "true".to_owned())));
            query.extend(arguments.since.map(|since| ("since", since.to_string())));
            query.push(("page_size", "1000".to_owned()));
            let incidents = with_store::block_on(api.get("/v1/incidents", &query))?;
            return Ok(Answer::text(shown(&incidents)));
        }
    };
    with_engine::run(file, Missing::Refuse, async |installation| {
        let (engine, notes) = installation.holding().await?;
        let account = match &arguments.account {
            Some(text) => Some(find_account(installation, &engine, text).await?.sid),
            None => None,
        };
        let filter = IncidentFilter {
            account,
            alone: false,
            limit: arguments.limit.clone(),
            kind: arguments.kind.as_deref().and_then(IncidentKind::read),
            open: arguments.open,
            since: arguments.since,
            until: None,
        };
        let incidents = engine.views().incidents(&filter, &Page::all()).await.map_err(not_seen)?;
        Ok(Answer { output: shown(&incidents), notes, ..Answer::default() })
    })
}

fn as_text(incidents: &Incidents) -> String {
    if incidents.incidents.is_empty() {
        return format!("nothing fired since {}\n", moment(incidents.since));
    }
    let mut text = String::new();
    for incident in incidents.incidents.iter().take(SHOWN) {
        incident_text(&mut text, incident);
    }
    let more = incidents.incidents.len().saturating_sub(SHOWN);
    if more > 0 {
        _ = writeln!(text, "… and {more} more; --json has them");
    } else if incidents.left_out || incidents.next.is_some() {
        _ = writeln!(text, "… and more: say --since a later day, or --account");
    }
    text
}

fn incident_text(text: &mut String, it: &IncidentView) {
    let end = match it.ended_at {
        Some(end) => format!(" to {}", moment(end)),
        None if it.open => ", goes on".to_owned(),
        None => String::new(),
    };
    let limit = it.limit.as_ref().map(|limit| format!(" of \"{limit}\"")).unwrap_or_default();
    let level = it.level.filter(|_| it.kind == IncidentKind::Warned);
    let level = level.map(|level| format!(" ({level} %)")).unwrap_or_default();
    _ = writeln!(text, "{}{end}", moment(it.began_at));
    _ = writeln!(
        text,
        "    {}{level}{limit}   {}",
        it.kind.words(),
        whom(it.account.as_ref(), it.prefix.as_deref())
    );
    let unit = it.currency.as_ref().map(|unit| format!(" {}", unit.to_uppercase())).unwrap_or_default();
    if let Some(share) = &it.share {
        _ = writeln!(text, "    {}; told by {}", share.words, it.fired.words());
    }
    if let Some(used) = &it.used {
        let of = it.trips_at.as_ref().map(|at| format!(" of {at}")).unwrap_or_default();
        let reserved = it.reserved.as_ref().map(|it| format!(", {it} set aside")).unwrap_or_default();
        let wanted = it.wanted.as_ref().map(|it| format!(", a request of {it}")).unwrap_or_default();
        _ = writeln!(text, "    {used}{of}{unit}{reserved}{wanted}; told by {}", it.fired.words());
    }
    if !it.ordered.is_empty() {
        let ordered: Vec<_> = it.ordered.iter().map(|action| action.to_string()).collect();
        _ = writeln!(text, "    ordered: {}", ordered.join(", "));
    }
    for (requests, worth, word) in [
        (it.refused, &it.refused_worth, "refused"),
        (it.would_refuse, &it.would_refuse_worth, "would have refused"),
    ] {
        if requests > 0 {
            let requests = count(usize::try_from(requests).unwrap_or(usize::MAX), "request");
            _ = writeln!(text, "    {word} {requests} worth {worth}{unit} at worst");
        }
    }
    if let Some(reason) = &it.reason {
        _ = writeln!(text, "    by {}: {reason}", it.by.as_ref().map(actor).unwrap_or_default());
    }
    if let Some(by) = &it.ended_by {
        let reason = it.ended_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let allowed =
            it.allowed_more.as_ref().map(|more| format!(", {more} more allowed")).unwrap_or_default();
        _ = writeln!(text, "    ended by {}{allowed}{reason}", actor(by));
    }
}

fn actor(it: &ActorView) -> String {
    format!("{} {}", it.kind, it.name)
}
