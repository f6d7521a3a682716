//! Small pieces of text: names that others chose, amounts, windows, commands.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ringfence_breaker::{Measure, Window};
use ringfence_model::Amount;

use super::notice::{Account, Usage, Who};

/// Where notices come from: what the texts need and no notice knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desk {
    /// The name of this installation, to tell several apart: `production`. Empty for none.
    pub installation: String,
    /// What people type after `--config`.
    pub config: String,
}

impl Default for Desk {
    fn default() -> Self {
        Self { installation: String::new(), config: "FILE".to_owned() }
    }
}

/// A text that somebody else chose, in one line of at most `max` characters: control characters, line ends and what
/// turns the direction of writing become spaces, so that it can neither begin a header nor look like another line.
pub fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let visible = text.chars().map(|char| if is_unfit(char) { ' ' } else { char });
    for word in visible.collect::<String>().split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.chars().count() > max {
        line = line.chars().take(max.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

fn is_unfit(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What another machine said, fit to be shown and kept: one line, and no word that may be a phone number, a code, a
/// token (four digits or more in a row, or twenty characters or more) or an address.
pub(super) fn said(text: &str) -> String {
    let line = one_line(text, 160);
    let words = line.split(' ').map(|word| {
        let many_digits = word.split(|it: char| !it.is_ascii_digit()).any(|digits| digits.len() >= 4);
        if many_digits || word.contains('@') || word.chars().count() >= 20 { "…" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A name in the text of a notice.
pub(super) fn name(text: &str) -> String {
    one_line(text, 64)
}

/// An account, as short as it can be recognised.
pub(super) fn account(account: &Account) -> String {
    let name = name(&account.name);
    if name.is_empty() { account.sid.to_string() } else { name }
}

/// An account, their sum or the numbers, as short as it can be recognised.
pub(super) fn who(who: &Who) -> String {
    match who {
        Who::Account(it) => account(it),
        Who::Together => "the sum of all accounts".to_owned(),
        Who::Numbers(beginning) => format!("what goes to {beginning}..."),
    }
}

/// The same at the beginning of a headline. The name of an account stays as it is.
pub(super) fn who_first(who: &Who) -> String {
    match who {
        Who::Account(it) => account(it),
        Who::Together => "The sum of all accounts".to_owned(),
        Who::Numbers(beginning) => format!("What goes to {beginning}..."),
    }
}

/// An amount with its currency or unit: `54.20 USD`, `120 minutes`.
pub(super) fn amount(amount: Amount, measure: Measure, unit: &str) -> String {
    let mut text = amount.to_string();
    if measure == Measure::Price {
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        if decimals == 0 {
            text.push('.');
        }
        text.push_str(&"0".repeat(2_usize.saturating_sub(decimals)));
    }
    let unit = one_line(unit, 16);
    if unit.is_empty() { text } else { format!("{text} {unit}") }
}

pub(super) fn used(usage: &Usage) -> String {
    share(usage).unwrap_or_else(|| amount(usage.used, usage.measure, &usage.unit))
}

/// What was asked for and did not fit, where that is why it tripped.
pub(super) fn wanted(usage: &Usage) -> Option<String> {
    usage.wanted.map(|wanted| amount(wanted, usage.measure, &usage.unit))
}

/// What share was good, where it is one: `only 3.2 % of 120 codes were entered`.
pub(super) fn share(usage: &Usage) -> Option<String> {
    let of = usage.judged.filter(|_| usage.measure.is_a_sign())?;
    let (things, done) = match usage.measure {
        Measure::Delivery => ("messages", "delivered"),
        _ => ("codes", "entered"),
    };
    Some(format!("only {} of {of} {things} were {done}", percent(usage.used)))
}

/// Hundredths, to a tenth of one, rounded down: what is not reached is not shown as reached.
pub(crate) fn percent(amount: Amount) -> String {
    let tenths = amount.micros().max(0) / 100_000;
    if tenths % 10 == 0 { format!("{} %", tenths / 10) } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}

pub(super) fn trips_at(usage: &Usage) -> String {
    if usage.measure.is_a_sign() {
        return percent(usage.trips_at);
    }
    amount(usage.trips_at, usage.measure, &usage.unit)
}

/// A moment, to the second: `2026-11-26 01:50:42 GMT`.
pub(super) fn moment(at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S GMT").to_string()
}

/// One run of a window, after "in": `the day 2026-11-26 (GMT)`.
pub(super) fn period(window: Window, since: Timestamp) -> String {
    let start = TimeZone::UTC.to_datetime(since);
    match window {
        Window::Minute => start.strftime("the minute %Y-%m-%d %H:%M (GMT)").to_string(),
        Window::Hour => start.strftime("the hour from %Y-%m-%d %H:%M on (GMT)").to_string(),
        Window::Daily => start.strftime("the day %Y-%m-%d (GMT)").to_string(),
        Window::Monthly => start.strftime("the month %Y-%m (GMT)").to_string(),
        Window::Yearly => start.strftime("the year %Y (GMT)").to_string(),
        Window::Alltime => "all the time so far".to_owned(),
        Window::Rolling { seconds } | Window::Gcra { seconds } => length(seconds),
    }
}

/// A stretch of time: `2 hours`, `90 minutes`.
pub(super) fn length(seconds: u32) -> String {
    let (number, unit) = match seconds {
        _ if seconds.is_multiple_of(86_400) => (seconds / 86_400, "day"),
        _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, "hour"),
        _ if seconds.is_multiple_of(60) => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// A word of a shell's command line. What a shell would read something into stands in single quotes.
pub fn shell_word(text: &str) -> String {
    let text = one_line(text, 200);
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./:@+,".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else if text.chars().all(|char| plain(char) || char == ' ') {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Wraps a paragraph at 76 characters, so that a mail needs no folding. A word that is longer stays whole.
pub(super) fn wrapped(paragraph: &str) -> String {
    let mut text = String::new();
    let mut length = 0;
    for word in paragraph.split(' ') {
        let size = word.chars().count();
        if length > 0 && length + 1 + size > 76 {
            text.push('\n');
            length = 0;
        } else if length > 0 {
            text.push(' ');
            length += 1;
        }
        text.push_str(word);
        length += size;
    }
    text
}
