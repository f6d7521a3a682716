//! How things are written for people: times, amounts, kinds; and the answers that carry them.

use askama::filters::HtmlSafe;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a value of a query.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A value of a query.
pub(crate) fn query_value(text: &str) -> String {
    utf8_percent_encode(text, QUERY_VALUE).to_string()
}

/// A time in UTC, to the minute.
pub(crate) fn when(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A time in UTC, to the second.
pub(crate) fn exactly(at: &Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// How long ago, in the largest unit that fits.
pub(crate) fn ago(at: &Timestamp, now: &Timestamp) -> String {
    let seconds = now.duration_since(*at).as_secs();
    match seconds {
        ..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..172_800 => "1 day ago".to_owned(),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// An amount with its currency. Money has two places at least.
pub(crate) fn amount(text: &str, currency: Option<&str>) -> String {
    let Some(currency) = currency else { return grouped(text) };
    let padded = match text.split_once('.') {
        None => format!("{text}.00"),
        Some((_, fraction)) if fraction.len() < 2 => format!("{text}0"),
        Some(_) => text.to_owned(),
    };
    format!("{} {}", grouped(&padded), currency.to_uppercase())
}

/// A whole number for people: 1,234,567.
pub(crate) fn count(number: u64) -> String {
    grouped(&number.to_string())
}

fn grouped(text: &str) -> String {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (whole, fraction) =
        rest.split_once('.').map_or((rest, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut grouped = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(fraction) = fraction {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

/// "1 account", "2 accounts".
pub(crate) fn many(number: usize, one: &str, more: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {more}", count(number as u64)) }
}

/// "1 minute", "2 minutes".
pub(crate) fn minutes(number: i64) -> String {
    if number == 1 { "1 minute".to_owned() } else { format!("{number} minutes") }
}

/// How long it is until a time: seconds, minutes, or hours.
pub(crate) fn wait(until: Timestamp, now: Timestamp) -> String {
    let seconds = until.duration_since(now).as_secs().max(1);
    match seconds {
        1 => "1 second".to_owned(),
        2..120 => format!("{seconds} seconds"),
        120..7_200 => minutes((seconds + 59) / 60),
        _ => format!("{} hours", (seconds + 3_599) / 3_600),
    }
}

/// A browser and a system, as far as its own words tell: `Firefox on Linux`. What is not known is not repeated.
pub(crate) fn browser(agent: &str) -> String {
    // The order matters: everybody says that they are everybody who was there before them.
    let browsers = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    let systems = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let found = |names: &[(&str, &'static str)]| {
        names.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name)
    };
    match (found(&browsers), found(&systems)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "an unknown browser".to_owned(),
    }
}

/// A sentence for a page: what stands between backticks, as in a terminal or a log, is set as code.
pub(crate) fn prose(text: impl AsRef<str>) -> Prose {
    let text = text.as_ref();
    let mut html = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, code, after)) = quoted(rest) {
        escape(before, &mut html);
        html.push_str("<code>");
        escape(code, &mut html);
        html.push_str("</code>");
        rest = after;
    }
    escape(rest, &mut html);
    Prose(html)
}

/// The same where no code can be set, in the title of a window.
pub(crate) fn plain(text: impl AsRef<str>) -> String {
    text.as_ref().replace('`', "")
}

/// What stands before, between and after the first two backticks.
fn quoted(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

fn escape(text: &str, html: &mut String) {
    for character in text.chars() {
        match character {
            '<' => html.push_str("&#60;"),
            '>' => html.push_str("&#62;"),
            '&' => html.push_str("&#38;"),
            '"' => html.push_str("&#34;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

/// A sentence as HTML, in which everything but our own `<code>` is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prose(String);

impl HtmlSafe for Prose {}

impl std::fmt::Display for Prose {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Two lower-case digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// A page.
///
/// Names, paths and reasons are other people's. Characters that control something instead of being seen, above all those
/// that turn the direction of what follows, are shown as what they are not: U+FFFD.
pub(crate) fn html(text: String) -> Response<Bytes> {
    let text = if text.contains(is_unseen) { text.replace(is_unseen, "\u{fffd}") } else { text };
    let mut response = Response::new(Bytes::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// Embeddings, overrides and isolates (Unicode Standard Annex 9, 2), and controls but for line ends and tabulators.
fn is_unseen(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || (character.is_control() && !matches!(character, '\n' | '\r' | '\t'))
}

/// Somewhere else, by GET. It is a path of ours, or an address of a host of our configuration, made here.
pub(crate) fn redirect(to: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, to);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_told_in_few_words_and_nothing_is_repeated() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 \
                    Safari/537.36 Edg/141.0";
        assert_eq!(browser(edge), "Edge on Windows");
        assert_eq!(
            browser("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            "Firefox on Linux"
        );
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1 Version/19.0 Mobile Safari/604.1";
        assert_eq!(browser(phone), "Safari on iPhone");
        assert_eq!(browser("curl/8.9"), "curl");
        assert_eq!(browser("<script>alert(1)</script>\r\nX: y"), "an unknown browser");
    }

    #[test]
    fn amounts_are_grouped_and_money_has_two_places() {
        for (text, currency, shown) in [
            ("0", None, "0"),
            ("1234567.5", None, "1,234,567.5"),
            ("999", Some("usd"), "999.00 USD"),
            ("1000.5", Some("USD"), "1,000.50 USD"),
            ("0.0079", Some("USD"), "0.0079 USD"),
            ("-1234", Some("EUR"), "-1,234.00 EUR"),
        ] {
            assert_eq!(amount(text, currency), shown);
        }
    }

    #[test]
    fn what_stands_between_backticks_is_code_and_nothing_of_it_is_html() {
        for (text, html) in [
            ("`ringfence status` lists them.", "<code>ringfence status</code> lists them."),
            ("The order `a` of `b`", "The order <code>a</code> of <code>b</code>"),
            ("`<b>` & \"it's\"", "<code>&#60;b&#62;</code> &#38; &#34;it&#39;s&#34;"),
            ("one ` alone <", "one ` alone &#60;"),
            ("``", "<code></code>"),
            ("", ""),
        ] {
            assert_eq!(prose(text).to_string(), html);
        }
    }

    #[test]
    fn nothing_that_is_shown_turns_what_follows_around() {
        let shown = |text: &str| html(text.to_owned()).into_body();
        assert_eq!(
            shown("<p>\u{202e}live\u{2067}\u{1b}[2J\u{7}</p>\n"),
            "<p>\u{fffd}live\u{fffd}\u{fffd}[2J\u{fffd}</p>\n"
        );
        for kept in ["مخبز الحي", "👩\u{200d}👧", "a\tb\r\n", "می\u{200c}خواهم"] {
            assert_eq!(shown(kept), kept);
        }
    }

    #[test]
    fn times_are_told_in_the_largest_unit_that_fits() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        for (seconds, shown) in [
            (-5, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (3_599, "59 min ago"),
            (3_600, "1 h ago"),
            (86_400, "1 day ago"),
            (172_800, "2 days ago"),
        ] {
            let at = now - jiff::SignedDuration::from_secs(seconds);
            assert_eq!(ago(&at, &now), shown);
        }
    }
}
