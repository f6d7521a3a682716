//! Pictures: SVG that is drawn here, of attributes alone, since the policy allows no inline style.
//!
//! Colours are classes of the style sheet, so pictures follow dark and light. Each says in words what it shows.

use std::fmt::Write as _;

use askama::filters::HtmlSafe;
use qrcode::{Color, EcLevel, QrCode};

/// A finished picture. Everything in it is a number or an escaped text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture(String);

impl HtmlSafe for Picture {}

impl std::fmt::Display for Picture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A QR code of a text; empty where the text is too long for one.
pub(crate) fn code(text: &str) -> Picture {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else {
        return Picture(String::new());
    };
    let width = code.width();
    let side = width + 8; // four modules of quiet on each side
    let mut path = String::new();
    for (place, colour) in code.to_colors().into_iter().enumerate() {
        if colour == Color::Dark {
            _ = write!(path, "M{} {}h1v1h-1z", place % width + 4, place / width + 4);
        }
    }
    Picture(format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" role=\"img\" \
         aria-label=\"A code to scan; the secret beside it says the same\"><rect width=\"{side}\" height=\"{side}\" \
         fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    ))
}

/// How far something is used up. `class` colours the part that is used.
pub(crate) fn bar(percent: u64, class: &str, warnings: &[u8]) -> Picture {
    let width = percent.min(100);
    let mut svg = format!(
        "<svg class=\"bar {class}\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{percent} per cent\">\
         <rect class=\"ground\" width=\"100\" height=\"10\"/>\
         <rect class=\"used\" width=\"{width}\" height=\"10\"/>"
    );
    for warning in warnings.iter().filter(|warning| (1..100).contains(*warning)) {
        _ = write!(svg, "<rect class=\"mark\" x=\"{warning}\" width=\"0.4\" height=\"10\"/>");
    }
    svg.push_str("</svg>");
    Picture(svg)
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// What it means: a class of the style sheet.
    pub(crate) class: &'static str,
    /// In ten-thousandths.
    pub(crate) share: u64,
}

/// Parts of a whole beside each other, and marks at places in ten-thousandths. What is there at all is seen, and nothing leaves
/// the frame. `class` says how the whole stands.
pub(crate) fn parts(parts: &[Part], marks: &[(u64, &str)], class: &str, label: &str) -> Picture {
    let mut svg = format!(
        "<svg class=\"bar parts {class}\" viewBox=\"0 0 10000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\
         <rect class=\"ground\" width=\"10000\" height=\"10\"/>",
        escaped(label)
    );
    let mut from = 0;
    for part in parts.iter().filter(|part| part.share > 0) {
        let width = part.share.max(60).min(10_000 - from);
        _ = write!(svg, "<rect class=\"{}\" x=\"{from}\" width=\"{width}\" height=\"10\"/>", part.class);
        from += width;
    }
    for (at, class) in marks.iter().filter(|(at, _)| (1..10_000).contains(at)) {
        _ = write!(svg, "<rect class=\"mark {class}\" x=\"{at}\" width=\"40\" height=\"10\"/>");
    }
    svg.push_str("</svg>");
    Picture(svg)
}

/// Two parts of a whole beside each other.
pub(crate) fn split(good: u64, bad: u64, label: &str) -> Picture {
    let whole = good.saturating_add(bad);
    // In ten-thousandths; what is there at all is seen.
    let part = |count: u64| {
        let part = u128::from(count) * 10_000 / u128::from(whole.max(1));
        u64::try_from(part).unwrap_or(10_000)
    };
    let bad_width = if bad == 0 { 0 } else { part(bad).max(100) };
    let good_width = if good == 0 { 0 } else { (10_000 - bad_width).max(100) };
    Picture(format!(
        "<svg class=\"bar split\" viewBox=\"0 0 10000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\
         <rect class=\"ground\" width=\"10000\" height=\"10\"/>\
         <rect class=\"good\" width=\"{good_width}\" height=\"10\"/>\
         <rect class=\"bad\" x=\"{good_width}\" width=\"{bad_width}\" height=\"10\"/></svg>",
        escaped(label)
    ))
}

/// One day of a picture of spending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Day {
    /// In per cent of the limit; none where nothing is known of the day.
    pub(crate) percent: Option<u64>,
    /// What it says.
    pub(crate) title: String,
}

/// What was used on each day, the last one today, with the limit as a line.
pub(crate) fn days(days: &[Day], label: &str) -> Picture {
    let top = days.iter().filter_map(|day| day.percent).max().unwrap_or(0).clamp(110, 1_000);
    // Of 48 units, one at least for what is there at all.
    let tall = |percent: u64| (percent.min(top) * 48 / top).max(u64::from(percent > 0));
    let wide = 600 / u64::try_from(days.len().max(1)).unwrap_or(1);
    let line = 50 - tall(100);
    let mut svg = format!(
        "<svg class=\"days\" viewBox=\"0 0 600 50\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        escaped(label)
    );
    for (index, day) in (0_u64..).zip(days) {
        let Some(percent) = day.percent else { continue };
        let height = tall(percent);
        let class = if percent >= 100 { "over" } else { "under" };
        _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{height}\"><title>{}</title></rect>",
            index * wide + 1,
            50 - height,
            wide.saturating_sub(2).max(1),
            escaped(&day.title)
        );
    }
    _ = write!(svg, "<line class=\"limit\" x1=\"0\" x2=\"600\" y1=\"{line}\" y2=\"{line}\"/></svg>");
    Picture(svg)
}

/// A moment at which a limit, or one of its warnings, was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Where it stands between the beginning and the end, in hundredths.
    pub(crate) at: u64,
    /// In per cent of the limit.
    pub(crate) percent: u64,
    /// Whether the limit itself was reached.
    pub(crate) is_trip: bool,
    /// What it says.
    pub(crate) title: String,
}

/// Moments over time, with the limit as a line.
pub(crate) fn moments(moments: &[Moment], label: &str) -> Picture {
    let top = moments.iter().map(|moment| moment.percent).max().unwrap_or(100).clamp(125, 1_000);
    let height = |percent: u64| 100 - (percent.min(top) * 96 / top);
    let line = height(100);
    let mut svg = format!(
        "<svg class=\"moments\" viewBox=\"0 0 600 128\" role=\"img\" aria-label=\"{}\">\
         <line class=\"axis\" x1=\"0\" x2=\"600\" y1=\"101\" y2=\"101\"/>\
         <line class=\"limit\" x1=\"0\" x2=\"600\" y1=\"{line}\" y2=\"{line}\"/>\
         <text x=\"4\" y=\"119\">30 days ago</text><text class=\"end\" x=\"596\" y=\"119\">now</text>\
         <text x=\"4\" y=\"{}\">limit</text>",
        escaped(label),
        line - 3
    );
    for moment in moments {
        let (x, y) = (6 + moment.at.min(100) * 588 / 100, height(moment.percent));
        let class = if moment.is_trip { "trip" } else { "warn" };
        _ = write!(
            svg,
            "<line class=\"stem {class}\" x1=\"{x}\" x2=\"{x}\" y1=\"101\" y2=\"{y}\"/>\
             <circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"4.5\"><title>{}</title></circle>",
            escaped(&moment.title)
        );
    }
    svg.push_str("</svg>");
    Picture(svg)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_never_leaves_its_frame_and_says_the_true_number() {
        let over = bar(340, "tripped", &[80, 100, 0]).to_string();
        assert!(over.contains("class=\"used\" width=\"100\"") && over.contains("340 per cent"), "{over}");
        assert_eq!(over.matches("class=\"mark\"").count(), 1, "only what lies between has a mark");
    }

    #[test]
    fn the_smaller_part_is_seen_and_nothing_is_not() {
        let few = split(1_000_000, 1, "x").to_string();
        assert!(few.contains("class=\"bad\" x=\"9900\" width=\"100\""), "{few}");
        assert!(split(5, 0, "x").to_string().contains("class=\"bad\" x=\"10000\" width=\"0\""));
        assert!(split(0, 0, "x").to_string().contains("class=\"good\" width=\"0\""));
        assert!(split(0, u64::MAX, "x").to_string().contains("class=\"bad\" x=\"0\" width=\"10000\""));
    }

    #[test]
    fn parts_stay_in_their_frame_and_the_smallest_is_seen() {
        let part = |class, share| Part { class, share };
        let svg = parts(
            &[part("used", 1), part("adjusted", 0), part("reserved", 9_990), part("used", 500)],
            &[(8_000, "warn"), (10_000, "limit"), (0, "warn")],
            "near",
            "<i>",
        )
        .to_string();
        assert!(svg.contains("class=\"used\" x=\"0\" width=\"60\""), "{svg}");
        assert!(svg.contains("class=\"reserved\" x=\"60\" width=\"9940\""), "{svg}");
        assert!(svg.contains("class=\"used\" x=\"10000\" width=\"0\"") && !svg.contains("adjusted"), "{svg}");
        assert_eq!(svg.matches("class=\"mark").count(), 1, "only what lies between has a mark");
        assert!(svg.contains("&lt;i&gt;"), "{svg}");
    }

    #[test]
    fn a_day_over_the_limit_is_seen_and_one_of_which_nothing_is_known_is_left_empty() {
        let day = |percent| Day { percent, title: format!("<i>{percent:?}") };
        let svg = days(&[day(Some(1)), day(None), day(Some(100)), day(Some(90_000))], "x").to_string();
        assert_eq!((svg.matches("<rect").count(), svg.matches("class=\"over\"").count()), (3, 2), "{svg}");
        assert!(svg.contains("x=\"1\" y=\"49\" width=\"148\" height=\"1\""), "{svg}");
        assert!(!svg.contains("<i>") && svg.contains("height=\"48\""), "{svg}");
        assert!(days(&[], "x").to_string().contains("y1=\"7\""), "only the limit");
    }

    #[test]
    fn what_people_have_written_stays_text() {
        let moment = Moment { at: 50, percent: 90, is_trip: false, title: "<b>\"'&".to_owned() };
        let svg = moments(&[moment], "<i>").to_string();
        assert!(svg.contains("&lt;b&gt;&quot;&#39;&amp;") && svg.contains("&lt;i&gt;"), "{svg}");
    }
}
