//! Limits of a share of what was sent: how much is delivered, how many codes are entered. Their `at` is in per cent, and keys of
//! amounts mean nothing.

use ringfence_breaker::{Sign, Threshold};

use super::amount;
use crate::config::problems::Problems;
use crate::config::raw::Table;
use crate::config::units;

const SHARE_FORM: &str = "per cents in quotes, such as \"20%\": it trips below them";
const SETTLE_FORM: &str = "a time from 1m to 12h, such as \"10m\"";

/// Fewer are not judged, where nothing else is said.
const LEAST: usize = 20;
const LEAST_MAX: usize = 1_000_000;
/// A code of Verify is good for ten minutes, and a report of a message is there by then as a rule.
const SETTLE: u32 = 600;

/// Keys that say something of an amount.
const OF_AMOUNTS: [&str; 5] = ["category", "warn", "probe", "burst", "unseen"];

/// At which amount it trips, or below which share.
pub(super) fn at(table: &Table<'_>, is_a_sign: bool, problems: &mut Problems) -> Option<Threshold> {
    if !is_a_sign {
        let field = table.required("at", amount::THRESHOLD_FORM, problems)?;
        return field.parse(amount::THRESHOLD_FORM, problems, amount::threshold);
    }
    let percent = table
        .required("at", SHARE_FORM, problems)
        .and_then(|field| field.parse(SHARE_FORM, problems, percent));
    let least = match table.find("least") {
        Some(field) => field.integer(1, LEAST_MAX, problems),
        None => Some(LEAST),
    };
    let settle = match table.find("settle") {
        Some(field) => field.parse(SETTLE_FORM, problems, settle),
        None => Some(SETTLE),
    };
    let least = u32::try_from(least?).ok()?;
    Some(Threshold::Share(Sign { percent: percent?, least, settle: settle? }))
}

/// Refuses keys that mean nothing beside the measure: whoever typed them expects something of them.
pub(super) fn says_what_it_means(table: &Table<'_>, is_a_sign: bool, problems: &mut Problems) {
    if is_a_sign {
        for key in OF_AMOUNTS.into_iter().filter(|key| table.find(key).is_some()) {
            table.wrong(key, "means nothing for a share of what was sent; remove it", problems);
        }
        return;
    }
    for key in ["least", "settle"].into_iter().filter(|key| table.find(key).is_some()) {
        table.wrong(
            key,
            "means nothing for an amount; remove it, or write measure = \"delivery\" or \"conversion\"",
            problems,
        );
    }
}

fn percent(text: &str) -> Result<u8, &'static str> {
    let Some(percent) = text.strip_suffix('%') else { return Err("has no per cent sign at its end") };
    let percent = percent.trim_end_matches(' ');
    if percent.is_empty() || !percent.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is not a whole number of per cents");
    }
    percent.parse().ok().filter(|it| (1..=99).contains(it)).ok_or("is not from 1% to 99%")
}

fn settle(text: &str) -> Result<u32, &'static str> {
    let time = units::duration(text).map_err(|_| "is no time that can be read")?;
    let seconds = u32::try_from(time.as_secs()).ok().filter(|_| time.subsec_nanos() == 0);
    seconds.filter(|it| (60..=43_200).contains(it)).ok_or("is too short or too long")
}
