//! Amounts as they are typed: `50`, `0.5`, `+50`, `10%`.
//!
//! They are texts, since a TOML number with a fraction is a float, and money is never one. What people write around an
//! amount elsewhere (a currency, thousands separators) is refused and told one by one: a limit of "1,000" that means
//! one is not found out before the bill.

use ringfence_breaker::{Probe, Threshold};
use ringfence_model::Amount;

pub(super) const THRESHOLD_FORM: &str = "an amount in quotes, such as \"50\" or \"0.5\", or with window = \"alltime\" \"+50\", which counts from now on";
pub(super) const PROBE_FORM: &str =
    "per cents of the limit such as \"10%\", or an amount such as \"5\", in quotes";

pub(super) const BURST_FORM: &str = "an amount in quotes, such as \"0.5\": less than `at`";

/// Amounts are counted in millionths.
const DECIMALS_MAX: usize = 6;

/// `50` in a window, or `+50` from now on. What is not above zero is left to the limit to refuse.
pub(super) fn threshold(text: &str) -> Result<Threshold, &'static str> {
    match text.strip_prefix('+') {
        Some("") => Err("has no number after the plus"),
        Some(more) if more.starts_with(['+', '-']) => Err("has two signs"),
        Some(more) => amount(more).map(Threshold::More),
        None => amount(text).map(Threshold::At),
    }
}

/// `10%` of the limit, or `5`.
pub(super) fn probe(text: &str) -> Result<Probe, &'static str> {
    if let Some(percent) = text.strip_suffix('%') {
        let percent = percent.trim_end_matches(' ');
        if percent.is_empty() || !percent.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("is not a whole number of per cents");
        }
        return percent.parse().map(Probe::Percent).map_err(|_| "is too large");
    }
    if text.starts_with('+') {
        return Err("has a plus, which means nothing here");
    }
    amount(text).map(Probe::Amount)
}

/// A decimal number, as [`Amount`] reads it. The error completes the sentence "`text` …".
pub(crate) fn amount(text: &str) -> Result<Amount, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.contains(['$', '€', '£', '¥', '₹', '₩', '¢']) {
        return Err("has a currency sign, and an amount is in the account's own currency");
    }
    if text.contains(',') {
        return Err("has a comma: decimals come after a point, and nothing stands between thousands");
    }
    if text.contains(char::is_alphabetic) {
        return Err("has letters, and an amount is a plain number in the account's own currency");
    }
    if text.contains(char::is_whitespace) {
        return Err("has white space in it");
    }
    if text.split_once('.').is_some_and(|(_, decimals)| decimals.len() > DECIMALS_MAX) {
        return Err("is finer than a millionth, which is the least that is counted");
    }
    text.parse().map_err(|_| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && digits.matches('.').count() <= 1
            && digits.bytes().any(|byte| byte.is_ascii_digit());
        if is_number { "is too large to be counted" } else { "is not a number" }
    })
}
