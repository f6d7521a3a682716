//! `ringfence report`: what limits that only watch would have done, and how far the price book was off. Is it safe to let
//! them act?

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ringfence_control::views::{
    Report, ReportedEgress, ReportedLimit, ReportedOperation, ReportedTrip, ReportedWarning,
};

use super::over_api::{Reach, ReachArguments};
use super::with_engine::{self, Missing, not_seen};
use super::with_store;
use super::words::{moment, whom, wrapped};
use crate::exit::{Answer, Failure};

/// So many trips and warnings of a limit are told; `--json` has more.
const SHOWN: usize = 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A limit with enforce = false watches: it stops nothing and is reported here. When the report says that it is safe, write
enforce = true, and `ringfence limits apply`.

Examples:
  ringfence report --config ringfence.toml
  ringfence report \"fifty a day\" --since 2026-11-01 --config ringfence.toml
  ringfence report --all --config ringfence.toml")]
pub(crate) struct Arguments {
    #[command(flatten)]
    reach: ReachArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only this limit
    #[arg(value_name = "LIMIT")]
    limit: Option<String>,
    /// Of limits that act, too
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// From this day on, in GMT, such as 2026-11-01; since the limit holds if not given
    #[arg(long, value_name = "DATE", value_parser = parse_since)]
    since: Option<Timestamp>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let shown = |report: &Report| {
        let text = if arguments.json { format!("{}\n", serde_json::json!(report)) } else { as_text(report) };
        text.into_bytes()
    };
    let file = match arguments.reach.reach()? {
        Reach::Store(file) => file,
        Reach::Node(api) => {
            let limit = arguments.limit.iter().map(|limit| ("limit", limit.clone()));
            let all = arguments.all.then(|| ("all", "true".to_owned()));
            let since = arguments.since.map(|since| ("since", since.to_string()));
            let query: Vec<_> = limit.chain(all).chain(since).collect();
            let report = with_store::block_on(api.get("/v1/report", &query))?;
            return Ok(Answer::text(shown(&report)));
        }
    };
    with_engine::run(file, Missing::Refuse, async |installation| {
        let (engine, notes) = installation.holding().await?;
        let limit = arguments.limit.as_deref();
        let report = engine.views().report(limit, arguments.all, arguments.since).await.map_err(not_seen)?;
        Ok(Answer { output: shown(&report), notes, ..Answer::default() })
    })
}

fn as_text(report: &Report) -> String {
    if report.limits.is_empty() {
        return "no limit only watches; --all reports of those that act\n".to_owned();
    }
    let parts: Vec<String> = report.limits.iter().map(limit_text).collect();
    parts.join("\n")
}

fn limit_text(limit: &ReportedLimit) -> String {
    let acts = if limit.enforce { "it acts" } else { "it only watches" };
    let mut text = format!("\"{}\"   {acts}\n", limit.limit);
    text.push_str(&wrapped(&limit.summary, 2));
    list(&mut text, &limit.trips, limit.trips_left_out, trip_text);
    if limit.trips.is_empty() {
        list(&mut text, &limit.warnings, limit.warnings_left_out, warning_text);
    }
    if let Some(egress) = &limit.egress {
        egress_text(&mut text, egress);
    }
    text
}

/// How far the price book was off, an operation a line.
fn egress_text(text: &mut String, egress: &ReportedEgress) {
    if let Some(price_book) = &egress.price_book {
        text.push_str(&wrapped(price_book, 2));
    }
    if egress.before_figures > 0 {
        let before = format!(
            "{} came before Twilio's figures were read, and are not held against it",
            egress.before_figures
        );
        text.push_str(&wrapped(&before, 2));
    }
    let unit = egress.currency.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    for of in &egress.operations {
        let ReportedOperation { operation, admitted, priced, worst, spent, under, under_by, unpriced } = of;
        _ = writeln!(text, "    {operation}: {admitted} admitted, {priced} priced");
        if *priced > 0 {
            let low = match (under, under_by) {
                (0, _) => "never too low".to_owned(),
                (under, Some(by)) => format!("too low in {under}, by {by}{unit}"),
                (under, None) => format!("too low in {under}"),
            };
            _ = match (worst, spent) {
                (Some(worst), Some(spent)) => {
                    writeln!(text, "      set aside {worst}{unit}, cost {spent}{unit}; {low}")
                }
                _ => writeln!(text, "      priced in several currencies; {low}"),
            };
        }
        if *unpriced > 0 {
            _ = writeln!(text, "      {unpriced} settled at their worst, since nobody told their price");
        }
    }
}

fn list<T>(text: &mut String, items: &[T], left_out: usize, shown: impl Fn(&T) -> String) {
    for item in items.iter().take(SHOWN) {
        _ = writeln!(text, "    {}", shown(item));
    }
    let more = items.len().saturating_sub(SHOWN) + left_out;
    if more > 0 {
        _ = writeln!(text, "    … and {more} more; --json has them");
    }
}

fn trip_text(trip: &ReportedTrip) -> String {
    let unit = trip.currency.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let percent = trip.percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    let whom = whom(trip.account.as_ref(), trip.prefix.as_deref());
    match &trip.share {
        Some(share) => format!("{whom}\n      {}: {}", moment(trip.at), share.words),
        None => format!("{whom}\n      {}: {}{unit}{percent}", moment(trip.at), trip.used),
    }
}

fn warning_text(warning: &ReportedWarning) -> String {
    let unit = warning.currency.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    format!(
        "{}\n      {}: {}{unit}, {} % of it",
        whom(warning.account.as_ref(), warning.prefix.as_deref()),
        moment(warning.at),
        warning.used,
        warning.level
    )
}

pub(super) fn parse_since(text: &str) -> Result<Timestamp, String> {
    let day: Date = text.parse().map_err(|_| "write a day such as 2026-11-01".to_owned())?;
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).map_err(|_| "no such day can be told".to_owned())
}
