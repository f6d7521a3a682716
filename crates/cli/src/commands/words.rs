//! Small pieces of text that several commands print.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Measure, Subject};
use ringfence_control::views::{BreakerView, LedgerLine, NamedAccount, ShareStanding, StandingShare};

use super::act::with_name;

/// The width of a terminal that nobody has widened.
const WIDTH: usize = 80;

/// A moment, to the minute: `2026-11-26 14:05 GMT`.
pub(crate) fn moment(at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(at).strftime("%Y-%m-%d %H:%M GMT").to_string()
}

/// How long ago something was: `3 s`, `5 min`, `2 h`, `4 d`.
pub(crate) fn ago(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.duration_since(at).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Whom a breaker is about.
pub(crate) fn whom(account: Option<&NamedAccount>, prefix: Option<&str>) -> String {
    match (account, prefix) {
        (Some(account), _) => with_name(account.sid, &account.friendly_name),
        (None, Some(prefix)) => format!("numbers that begin with {prefix}"),
        (None, None) => "all its accounts together".to_owned(),
    }
}

/// What one breaker watches.
pub(crate) fn subject(breaker: &BreakerView) -> Subject {
    let prefix = breaker.prefix.as_deref().and_then(|prefix| prefix.parse().ok());
    match (&breaker.account, prefix) {
        (Some(account), _) => Subject::Account(account.sid),
        (None, Some(prefix)) => Subject::Prefix(prefix),
        (None, None) => Subject::Together,
    }
}

/// `41 of 50 USD (82 %)`.
pub(crate) fn used(breaker: &BreakerView) -> String {
    let unit = breaker.currency.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let of = breaker.trips_at.as_ref().map(|at| format!(" of {at}")).unwrap_or_default();
    let percent = breaker.percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    format!("{}{of}{unit}{percent}", breaker.used)
}

/// On whom a limit counts.
pub(crate) fn of_whom(line: &LedgerLine) -> String {
    match (&line.account, line.subject.as_str()) {
        (None, prefix) if prefix != "together" => whom(None, Some(prefix)),
        (account, _) => whom(account.as_ref(), None),
    }
}

/// `41 of 50 USD (82 %), 9 left`.
pub(crate) fn taken(line: &LedgerLine) -> String {
    let unit = line.currency.as_ref().map(|unit| format!(" {}", unit.to_uppercase())).unwrap_or_default();
    let of = line.admits_up_to.as_ref().map(|at| format!(" of {at}")).unwrap_or_default();
    let percent = line.percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    let left = line.left.as_ref().map(|left| format!(", {left} left")).unwrap_or_default();
    format!("{}{of}{unit}{percent}{left}", line.taken)
}

/// `3.2 % of 120 codes were entered, 4 not heard of yet; trips below 20 % of 50 or more`.
pub(crate) fn judged(share: &StandingShare) -> String {
    let (things, done) = match share.measure {
        Measure::Delivery => ("messages", "delivered"),
        _ => ("codes", "entered"),
    };
    let silent =
        if share.silent > 0 { format!(", {} not heard of yet", share.silent) } else { String::new() };
    let few = if share.standing == ShareStanding::TooFew { ", too few to judge" } else { "" };
    let StandingShare { percent, judged, least_percent, least, .. } = share;
    format!(
        "{percent} of {judged} {things} were {done}{silent}{few}; trips below {least_percent} % of {least} or more"
    )
}

/// A paragraph, wrapped and indented. A word that is longer than a line stays whole, so that it can be copied.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let is_full = !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH;
        if is_full {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    let begin = " ".repeat(indent);
    lines.iter().fold(String::new(), |text, line| text + &begin + line + "\n")
}

/// A point of a list, whose further lines begin where its text does.
pub(crate) fn point(text: &str) -> String {
    wrapped(text, 4).replacen("    ", "  - ", 1)
}

/// `1 account`, `2 accounts`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_stays_within_80_columns_and_no_word_is_broken() {
        let text = wrapped(&"word ".repeat(40), 4);
        assert!(text.lines().all(|line| line.len() <= 80 && line.starts_with("    word")), "{text}");
        let long = "x".repeat(100);
        assert_eq!(wrapped(&format!("a {long} b"), 2), format!("  a\n  {long}\n  b\n"));
    }

    #[test]
    fn the_lines_of_a_point_begin_below_one_another() {
        assert_eq!(point("one"), "  - one\n");
        let text = point(&"word ".repeat(40));
        assert!(text.starts_with("  - word word"), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")), "{text}");
    }

    #[test]
    fn a_time_in_the_future_was_just_now() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let at = |seconds: i64| now.checked_sub(SignedDuration::from_secs(seconds)).unwrap();
        for (seconds, shown) in
            [(-60, "0 s"), (3, "3 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d")]
        {
            assert_eq!(ago(now, at(seconds)), shown);
        }
    }
}
