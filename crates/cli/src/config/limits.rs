//! `[limits]`: caps and timeouts of every connection. The defaults are the gateway's own.

use std::time::Duration;

use ringfence_gateway::settings::Limits;

use super::problems::Problems;
use super::raw::{Section, Table};
use super::units;

pub(super) const SECTION: Section = Section {
    name: "[limits]",
    keys: &[
        "connections",
        "in_flight",
        "body_memory",
        "head_cap",
        "head_timeout",
        "body_timeout",
        "handshake_timeout",
        "drain",
        "replay_memory",
        "replay_ttl",
    ],
    later: &[],
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const KIB: usize = 1 << 10;
const GIB: usize = 1 << 30;

/// Twilio waits so long for an answer; a stop that waits less breaks calls that are in work.
const TWILIO_WAITS: Duration = Duration::from_secs(15);

pub(super) fn resolve(table: Option<Table<'_>>, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let Some(table) = table else { return limits };
    integer(&table, "connections", 1, 1_000_000, &mut limits.connections_max, problems);
    integer(&table, "in_flight", 1, 100_000, &mut limits.in_flight_max, problems);
    size(&table, "body_memory", 1_024 * KIB, 64 * GIB, &mut limits.body_memory_bytes, problems);
    // hyper cannot read a head with a smaller buffer; a larger one is a present to an attacker.
    size(&table, "head_cap", 8 * KIB, 1_024 * KIB, &mut limits.head_bytes_max, problems);
    size(&table, "replay_memory", 1_024 * KIB, 64 * GIB, &mut limits.replay_memory_bytes, problems);
    time(&table, "head_timeout", SECOND, MINUTE, &mut limits.head_timeout, problems);
    time(&table, "body_timeout", SECOND, MINUTE, &mut limits.body_timeout, problems);
    time(&table, "handshake_timeout", SECOND, MINUTE, &mut limits.handshake_timeout, problems);
    time(&table, "drain", TWILIO_WAITS, 10 * MINUTE, &mut limits.drain, problems);
    time(&table, "replay_ttl", SECOND, 7 * DAY, &mut limits.replay_ttl, problems);
    limits
}

fn integer(
    table: &Table<'_>,
    key: &'static str,
    least: usize,
    most: usize,
    limit: &mut usize,
    problems: &mut Problems,
) {
    if let Some(number) = table.find(key).and_then(|field| field.integer(least, most, problems)) {
        *limit = number;
    }
}

fn size(
    table: &Table<'_>,
    key: &'static str,
    least: usize,
    most: usize,
    limit: &mut usize,
    problems: &mut Problems,
) {
    let form = format!("a size from \"{}\" to \"{}\"", units::show_bytes(least), units::show_bytes(most));
    let read = |text: &str| match units::bytes(text)? {
        bytes if bytes < least => Err("is too little".to_owned()),
        bytes if bytes > most => Err("is too much".to_owned()),
        bytes => Ok(bytes),
    };
    if let Some(bytes) = table.find(key).and_then(|field| field.parse(&form, problems, read)) {
        *limit = bytes;
    }
}

fn time(
    table: &Table<'_>,
    key: &'static str,
    least: Duration,
    most: Duration,
    limit: &mut Duration,
    problems: &mut Problems,
) {
    let form =
        format!("a time from \"{}\" to \"{}\"", units::show_duration(least), units::show_duration(most));
    let read = |text: &str| match units::duration(text)? {
        time if time < least => Err("is too short".to_owned()),
        time if time > most => Err("is too long".to_owned()),
        time => Ok(time),
    };
    if let Some(time) = table.find(key).and_then(|field| field.parse(&form, problems, read)) {
        *limit = time;
    }
}
