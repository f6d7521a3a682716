//! How things are written for people: times, amounts, kinds; and the answers that carry them.

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

/// A page.
pub(crate) fn html(text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// Somewhere else, by GET. It is a path of ours, made here.
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
