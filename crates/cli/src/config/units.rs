//! Sizes and times as people write them: `1 MiB`, `14s`.
//!
//! A number without a unit is refused: nobody should have to guess whether `15` means seconds.

use std::time::Duration;

/// Bytes: `512 B`, `64 KiB`, `1 MiB`, `2 GiB`, or decimal `kB`, `MB`, `GB`. The error completes the sentence
/// "`text` …".
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("has the unknown unit \"{unit}\"")),
    };
    let bytes = number.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| "is too much".to_owned())
}

/// A time: `500ms`, `14s`, `2m`, `24h`, `7d`. The error completes the sentence "`text` …".
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("has the unknown unit \"{unit}\"")),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| "is too long".to_owned())
}

/// A size as people read it, in the largest unit that leaves no fraction.
pub(crate) fn show_bytes(bytes: usize) -> String {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= size && bytes.is_multiple_of(size) {
            return format!("{} {unit}", bytes / size);
        }
    }
    format!("{bytes} B")
}

/// A time as people read it, in the largest unit that leaves no fraction.
pub(crate) fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if milliseconds >= size && milliseconds.is_multiple_of(size) {
            return format!("{}{unit}", milliseconds / size);
        }
    }
    format!("{milliseconds}ms")
}

/// The whole number before a unit, with any spaces between.
fn split(text: &str) -> Result<(u64, &str), String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if text.starts_with(['-', '\u{2212}']) {
        return Err("is negative".to_owned());
    }
    if number.is_empty() {
        return Err("does not begin with a whole number".to_owned());
    }
    let unit = unit.trim_start_matches(' ');
    if unit.is_empty() {
        return Err("has no unit".to_owned());
    }
    number.parse().map(|number| (number, unit)).map_err(|_| "is too much".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_unit_is_refused() {
        assert_eq!(bytes("1024"), Err("has no unit".to_owned()));
        assert_eq!(duration("15"), Err("has no unit".to_owned()));
        assert_eq!(duration("15 "), Err("has no unit".to_owned()));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", " 1s", "-1s", "1.5s", "s", "0x10s", "1_000s", "١s"] {
            assert!(duration(text).is_err(), "{text:?}");
            assert!(bytes(&text.replace('s', "B")).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_minus_is_told_as_one() {
        for text in ["-1h", "\u{2212}1h", "-"] {
            assert_eq!(duration(text), Err("is negative".to_owned()));
        }
        assert_eq!(bytes("-1 MiB"), Err("is negative".to_owned()));
    }

    #[test]
    fn an_unknown_unit_is_refused() {
        for text in ["1 S", "1sec", "1 mib", "1MiBs", "1 s "] {
            assert!(duration(text).is_err(), "{text:?}");
            assert!(bytes(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_wraps() {
        assert!(bytes("18446744073709551615 GiB").is_err());
        assert!(bytes("99999999999999999999 B").is_err());
        assert!(duration("18446744073709551615d").is_err());
    }

    #[test]
    fn sizes_and_times_mean_what_they_say() {
        assert_eq!(bytes("512 B"), Ok(512));
        assert_eq!(bytes("1 MiB"), Ok(1_048_576));
        assert_eq!(bytes("1MB"), Ok(1_000_000));
        assert_eq!(duration("14s"), Ok(Duration::from_secs(14)));
        assert_eq!(duration("500 ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for size in [1, 512, 1_024, 1_500, 1 << 20, 3 << 30] {
            assert_eq!(bytes(&show_bytes(size)), Ok(size));
        }
        for milliseconds in [1, 500, 1_000, 14_000, 60_000, 90_000, 86_400_000] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(duration(&show_duration(time)), Ok(time));
        }
    }
}
