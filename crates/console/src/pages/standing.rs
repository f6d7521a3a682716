//! How a limit stands before it trips: what is settled and set aside under it, or what share of what was sent was good; each as
//! a picture and in numbers.

use jiff::Timestamp;
use ringfence_breaker::Measure;
use ringfence_control::views::{LedgerLine, LimitView, PhaseName, ShareStanding, StandingShare};
use ringfence_model::Amount;

use crate::picture::{self, Part, Picture};
use crate::words;

/// One limit on one subject.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Of whom; with a link where that is an account.
    pub(crate) whose: String,
    pub(crate) link: Option<String>,
    pub(crate) class: &'static str,
    pub(crate) state: Option<&'static str>,
    pub(crate) taken: String,
    pub(crate) of: Option<String>,
    pub(crate) percent: Option<u64>,
    pub(crate) picture: Option<Picture>,
    /// Names and amounts.
    pub(crate) figures: Vec<(&'static str, String)>,
    /// In which window.
    pub(crate) window: String,
}

impl Standing {
    /// The sums of a limit, which warns at so many hundredths.
    pub(crate) fn of_sum(line: &LedgerLine, limit: Option<&LimitView>, now: Timestamp) -> Self {
        let warnings = limit.map(|limit| limit.warn_percent.as_slice()).unwrap_or_default();
        let amount = |text: &str| words::amount(text, line.currency.as_deref());
        let (class, state) = match (line.phase, line.stops) {
            (PhaseName::Tripped, true) => ("tripped", Some("tripped")),
            (PhaseName::Tripped, false) => ("would", Some("would trip")),
            (PhaseName::Probing, _) => ("probing", Some("probing")),
            (PhaseName::Passing, _) if line.waits_for_figure && line.enforce => ("near", Some("waits")),
            (PhaseName::Passing, _) => {
                let nearest = warnings.iter().min().copied().unwrap_or(80);
                let is_near = line.percent.is_some_and(|percent| percent >= u64::from(nearest));
                (if is_near { "near" } else { "passing" }, None)
            }
        };
        let mut figures = vec![
            ("settled", amount(&line.settled)),
            ("adjusted", amount(&line.adjusted)),
            ("reserved", amount(&line.reserved)),
        ];
        figures.extend(line.left.as_ref().map(|left| ("left", amount(left))));
        let at = line.admits_up_to.as_deref();
        if !warnings.is_empty() {
            let each = warnings.iter().map(|percent| match at.and_then(|at| part_of(at, *percent)) {
                Some(part) => format!("{} ({percent} %)", amount(&part.to_string())),
                None => format!("{percent} %"),
            });
            figures.push(("warns at", each.collect::<Vec<_>>().join(", ")));
        }
        figures.extend(at.map(|at| ("trips at", amount(at))));
        let (whose, link) = match &line.account {
            Some(named) => {
                let (sid, name) = (named.sid.to_string(), named.friendly_name.clone());
                (if name.is_empty() { sid.clone() } else { name }, Some(format!("/accounts/{sid}/ledger")))
            }
            None if line.subject == "together" => ("all its accounts together".to_owned(), None),
            None => (format!("numbers that begin with {}", line.subject), None),
        };
        Self {
            whose,
            link,
            class,
            state,
            taken: amount(&line.taken),
            of: at.map(amount),
            percent: line.percent,
            picture: at.and_then(|at| sum_picture(line, at, warnings)),
            figures,
            window: window(line, now),
        }
    }

    /// A share of what was sent to numbers that begin so.
    pub(crate) fn of_share(share: &StandingShare) -> Self {
        let (things, done) = match share.measure {
            Measure::Delivery => ("messages", "delivered"),
            _ => ("codes", "entered"),
        };
        let (class, state) = match share.standing {
            ShareStanding::Tripped if share.enforce => ("tripped", Some("tripped")),
            ShareStanding::Tripped => ("would", Some("would trip")),
            ShareStanding::TooSmall if share.enforce => ("tripped", Some("too small")),
            ShareStanding::TooSmall => ("would", Some("too small")),
            ShareStanding::Enough => ("passing", None),
            ShareStanding::TooFew => ("few", Some("too few to judge")),
        };
        let label = format!(
            "{} of {} {things} to numbers that begin with {} were {done}; below {} % it trips",
            share.percent, share.judged, share.prefix, share.least_percent
        );
        let mut figures = vec![
            (done, share.percent.clone()),
            ("judged", words::count(share.judged)),
            (
                "trips below",
                format!("{} % of {} or more", share.least_percent, words::count(share.least.into())),
            ),
        ];
        if share.silent > 0 {
            figures.push(("not heard of yet", words::count(share.silent)));
        }
        Self {
            whose: format!("numbers that begin with {}", share.prefix),
            link: None,
            class,
            state,
            taken: share.percent.clone(),
            of: Some(format!("{} {things}", words::count(share.judged))),
            percent: None,
            picture: Some(picture::parts(
                &[Part { class: "used", share: share.hundredths * 100 }],
                &[(u64::from(share.least_percent) * 100, "limit")],
                class,
                &label,
            )),
            figures,
            window: format!("sent from {} to {}", words::when(&share.from), words::when(&share.until)),
        }
    }
}

/// So many hundredths of an amount, which is a decimal text.
fn part_of(amount: &str, percent: u8) -> Option<Amount> {
    let amount: Amount = amount.parse().ok()?;
    let part = i128::from(amount.micros()) * i128::from(percent) / 100;
    i64::try_from(part).ok().map(Amount::from_micros)
}

/// What is settled, adjusted and reserved beside each other, against what the limit admits; none where that is nothing.
fn sum_picture(line: &LedgerLine, at: &str, warnings: &[u8]) -> Option<Picture> {
    let micros = |text: &str| text.parse::<Amount>().map(|it| i128::from(it.micros().max(0))).ok();
    let (at, taken) = (micros(at)?, micros(&line.taken)?);
    let whole = at.max(taken);
    if at == 0 {
        return None;
    }
    let share = |part: i128| u64::try_from(part * 10_000 / whole).unwrap_or(0);
    // Of an even flow what has flowed off is not taken any more, whatever was settled.
    let reserved = micros(&line.reserved)?.min(taken);
    let settled = micros(&line.settled)?.min(taken - reserved);
    let parts = [
        Part { class: "used", share: share(settled) },
        Part { class: "adjusted", share: share(taken - settled - reserved) },
        Part { class: "reserved", share: share(reserved) },
    ];
    let mut marks: Vec<_> =
        warnings.iter().map(|percent| (share(at * i128::from(*percent) / 100), "warn")).collect();
    if whole > at {
        marks.push((share(at), "limit"));
    }
    let label = format!(
        "{} is taken of {}: {} settled, {} adjusted, {} reserved",
        line.taken,
        line.admits_up_to.as_deref().unwrap_or_default(),
        line.settled,
        line.adjusted,
        line.reserved
    );
    let class = match (line.phase, line.stops) {
        (PhaseName::Tripped, true) => "tripped",
        (PhaseName::Tripped, false) | (PhaseName::Probing, _) => "near",
        (PhaseName::Passing, _) => "passing",
    };
    Some(picture::parts(&parts, &marks, class, &label))
}

/// `daily, since 2026-03-01 00:00, 3 h left`.
pub(crate) fn window(line: &LedgerLine, now: Timestamp) -> String {
    let Some(end) = line.window_end else { return line.window.clone() };
    let left = match end.duration_since(now).as_secs().max(0) {
        seconds @ ..3_600 => format!("{} min left", seconds / 60 + 1),
        seconds @ 3_600..172_800 => format!("{} h left", seconds / 3_600),
        seconds => format!("{} days left", seconds / 86_400),
    };
    format!("{}, since {}, {left}", line.window, words::when(&line.window_start))
}
