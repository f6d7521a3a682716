//! Filters by time: `StartTime`, `StartTime<` and `StartTime>` of a list.
//!
//! A value is a day in GMT or an instant. Plain, it means that day; `<` means before it, `>` on it or after it, as
//! Twilio's OpenAPI document says of calls and recordings. Clients write `StartTime>=2026-11-25` in a URL, which is
//! the name `StartTime>` with a value.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Refusal, Request, params};

/// What a list's row must lie between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dates {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Dates {
    /// Reads the filters of one name.
    pub(super) fn of(request: &Request, name: &str) -> Result<Self, Refusal> {
        let read = |name: String| match params::some(&request.query, &name) {
            None => Ok(None),
            Some(text) => instant(text).map(Some).ok_or_else(|| Refusal::invalid(&name, text)),
        };
        let day = read(name.to_owned())?.map(|at| TimeZone::UTC.to_datetime(at).date());
        let after = read(format!("{name}>"))?;
        let before = read(format!("{name}<"))?;
        let tomorrow = day.and_then(|day| day.tomorrow().ok()).and_then(start);
        let until = [before, tomorrow].into_iter().flatten().min();
        Ok(Self { from: after.max(day.and_then(start)), until })
    }

    /// What has no time lies between nothing.
    pub(super) fn contain(&self, at: Option<Timestamp>) -> bool {
        match at {
            None => self.from.is_none() && self.until.is_none(),
            Some(at) => self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until),
        }
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    if text.len() == "2026-11-25".len() {
        return start(text.parse::<Date>().ok()?);
    }
    text.parse::<Timestamp>().ok().filter(|at| at.checked_add(SignedDuration::from_hours(24)).is_ok())
}

fn start(day: Date) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
}
