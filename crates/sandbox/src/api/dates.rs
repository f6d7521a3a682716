//! Filters by time: `StartTime`, `StartTime<` and `StartTime>` of a list.
//!
//! A value is a day in GMT or an instant. Plain, both mean that day: the SDKs write a day as its midnight. `>` means on
//! it or after it. `<` means before it, as Twilio's OpenAPI document says of calls and recordings, or on it or before
//! it, as it says of messages. Clients write `StartTime>=2026-11-25` in a URL, which is the name `StartTime>` with a
//! value.

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
    /// Reads the filters of one name; what `<` names is not in the list.
    pub(super) fn of(request: &Request, name: &str) -> Result<Self, Refusal> {
        Self::read(request, name, |before| before.0)
    }

    /// Reads the filters of one name; the day or the second that `<` names is in the list.
    pub(super) fn to_the_end_of(request: &Request, name: &str) -> Result<Self, Refusal> {
        Self::read(request, name, |before| before.1)
    }

    fn read(request: &Request, name: &str, end: fn(Span) -> Timestamp) -> Result<Self, Refusal> {
        let read = |name: String| match params::some(&request.query, &name) {
            None => Ok(None),
            Some(text) => span(text).map(Some).ok_or_else(|| Refusal::invalid(&name, text)),
        };
        let day = read(name.to_owned())?.and_then(|(at, _)| whole(TimeZone::UTC.to_datetime(at).date()));
        let after = read(format!("{name}>"))?.map(|after| after.0);
        let before = read(format!("{name}<"))?.map(end);
        let until = [before, day.map(|day| day.1)].into_iter().flatten().min();
        Ok(Self { from: after.max(day.map(|day| day.0)), until })
    }

    /// What has no time lies between nothing.
    pub(super) fn contain(&self, at: Option<Timestamp>) -> bool {
        match at {
            None => self.from.is_none() && self.until.is_none(),
            Some(at) => self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until),
        }
    }
}

/// The beginning of a day or of a second, and that of the next.
type Span = (Timestamp, Timestamp);

fn span(text: &str) -> Option<Span> {
    if text.len() == "2026-11-25".len() {
        return whole(text.parse().ok()?);
    }
    let at: Timestamp = text.parse().ok()?;
    Some((at, at.checked_add(SignedDuration::from_secs(1)).ok()?))
}

fn whole(day: Date) -> Option<Span> {
    Some((start(day)?, start(day.tomorrow().ok()?)?))
}

fn start(day: Date) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
}
