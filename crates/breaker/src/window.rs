//! Windows: the stretches of time within which a limit counts.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// How long a limit counts before it begins anew. Twilio's windows are days, months and years in GMT
/// (<https://www.twilio.com/docs/usage/api/usage-trigger>); the shorter ones are Ringfence's own, and only what goes
/// through its proxy can be counted in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// From second 0 to second 59.
    Minute,
    /// From minute 0 to minute 59, in GMT.
    Hour,
    /// The last so many seconds, whenever one looks. What is observed is the sum of that time, so it can fall.
    Rolling {
        /// Its length.
        seconds: u32,
    },
    /// No window of the clock but an even flow ([`Gcra`](crate::Gcra)): in any stretch of so many seconds no more than the
    /// amount, at once no more than the burst of the limit.
    Gcra {
        /// The stretch.
        seconds: u32,
    },
    /// A day in GMT.
    Daily,
    /// A month in GMT.
    Monthly,
    /// A year in GMT.
    Yearly,
    /// Never begins anew.
    Alltime,
}

/// One run of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment of it.
    pub start: Timestamp,
    /// The first moment of the next; none where there is no next.
    pub end: Option<Timestamp>,
}

impl Window {
    /// The period that `now` is in.
    pub fn period(self, now: Timestamp) -> Period {
        let civil = TimeZone::UTC.to_datetime(now);
        let date = civil.date();
        let (start, step) = match self {
            Self::Alltime => return Period { start: Timestamp::UNIX_EPOCH, end: None },
            Self::Rolling { seconds } | Self::Gcra { seconds } => {
                let end = now.saturating_add(SignedDuration::from_secs(i64::from(seconds)));
                return Period { start: now, end: end.ok() };
            }
            Self::Minute => (date.at(civil.hour(), civil.minute(), 0, 0), 1.minute()),
            Self::Hour => (date.at(civil.hour(), 0, 0, 0), 1.hour()),
            Self::Daily => (date.at(0, 0, 0, 0), 1.day()),
            Self::Monthly => (date.first_of_month().at(0, 0, 0, 0), 1.month()),
            Self::Yearly => (date.first_of_year().at(0, 0, 0, 0), 1.year()),
        };
        // The last year that can be told has no next one.
        let end = start.checked_add(step).ok().and_then(in_gmt);
        Period { start: in_gmt(start).unwrap_or(now), end }
    }

    /// The start of the period that holds at `now`, of which the last known one began at `last`: never an earlier
    /// one, so that clocks which are apart do not turn time back.
    pub fn rolled(self, last: Timestamp, now: Timestamp) -> Timestamp {
        match self {
            Self::Rolling { .. } | Self::Gcra { .. } => match self.period(last).end {
                Some(end) if now < end => last,
                _ => now,
            },
            _ => self.period(now).start.max(last),
        }
    }

    /// Whether Twilio's usage records and triggers know it.
    pub const fn is_twilios(self) -> bool {
        matches!(self, Self::Daily | Self::Monthly | Self::Yearly | Self::Alltime)
    }
}

fn in_gmt(civil: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(civil).ok()
}
