//! `[inspector]`: what is kept of requests, where, for how long and of how many.
//!
//! Nothing is on disk unless somebody asks for it. Where there is a console, the newest are in memory, without what they
//! carried.

use std::time::Duration;

use ringfence_gateway::settings::{Detail, Inspect, Listen};

use super::problems::Problems;
use super::raw::{Section, Table};
use super::units;

pub(super) const SECTION: Section =
    Section { name: "[inspector]", keys: &["keep", "for", "at_most", "in_memory"], later: &[] };

const DAY: Duration = Duration::from_hours(24);
const LEAST: Duration = Duration::from_hours(1);
/// What people are shown about in a dispute is not older; what is kept longer is forgotten by nobody but the thief.
const MOST: Duration = Duration::from_hours(90 * 24);
/// Requests; a busy gate has as many in minutes.
const AT_MOST: u32 = 100_000;

/// What is kept of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inspector {
    pub(crate) inspect: Inspect,
    /// How long what is in the store stays there.
    pub(crate) keep_for: Duration,
    /// Of how many requests there is something in the store.
    pub(crate) at_most: u32,
}

pub(super) fn resolve(
    table: Option<Table<'_>>,
    listen: &Listen,
    has_store: bool,
    problems: &mut Problems,
) -> Inspector {
    let has_console = listen.console.is_some();
    let by_default = if has_console { Inspect::InMemory(Detail::Metadata) } else { Inspect::Nothing };
    let mut inspector = Inspector { inspect: by_default, keep_for: 7 * DAY, at_most: AT_MOST };
    let Some(table) = table else { return inspector };
    if let Some(field) = table.find("for") {
        let form = "a time from \"1h\" to \"90d\"";
        let read = field.parse(form, problems, |text| match units::duration(text)? {
            time if time < LEAST => Err("is too short".to_owned()),
            time if time > MOST => Err("is too long".to_owned()),
            time => Ok(time),
        });
        inspector.keep_for = read.unwrap_or(inspector.keep_for);
    }
    if let Some(field) = table.find("at_most")
        && let Some(number) = field.integer(100, 10_000_000, problems)
    {
        inspector.at_most = u32::try_from(number).unwrap_or(AT_MOST);
    }
    let kept = table.find("keep").and_then(|field| {
        let levels =
            [("nothing", None), ("metadata", Some(Detail::Metadata)), ("redacted", Some(Detail::Redacted))];
        field.choice(&levels, problems).flatten()
    });
    if let Some(field) = table.find("in_memory") {
        let levels =
            [("nothing", None), ("metadata", Some(Detail::Metadata)), ("redacted", Some(Detail::Redacted))];
        let chosen = field.choice(&levels, problems);
        if kept.is_some() {
            field.wrong(
                "is for where nothing is kept in the store; take it out, or set `keep` to \"nothing\"",
                problems,
            );
        } else if let Some(detail) = chosen {
            // Without a console nobody could look.
            inspector.inspect = detail.filter(|_| has_console).map_or(Inspect::Nothing, Inspect::InMemory);
        }
    }
    if let Some(detail) = kept {
        inspector.inspect = Inspect::InStore { detail, at_most: inspector.at_most };
        if !has_store {
            table.wrong(
                "keep",
                "what is kept of requests is kept in a [store]; add one with url = \"sqlite:ringfence.db\"",
                problems,
            );
        }
    }
    inspector
}
