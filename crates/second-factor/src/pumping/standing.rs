//! Which part of a cap that many share a send may use.
//!
//! Whoever pumps a form uses up its caps early in each window, and people who come later get no code. So a part of each
//! cap is kept for [those whose codes are entered](Standing::Converts), and a second part from [those whose codes are
//! not](Standing::Doubtful): between them stand all of whom nothing is known yet.
//!
//! Entering codes must not buy the kept part. It goes by what somebody cannot have many of, which is numbers. A number that
//! has entered a code is [known](Known) for a month, stands for itself alone, and gets two codes from what is kept, then none
//! before it has entered one and an hour is over. A prefix stands for [numbers that are not known](Newcomers), and each of
//! them counts as entered once, however many codes it enters. So who owns `n` numbers gets `2 n` codes an hour from what
//! is kept, and by prefixes in which [`ENOUGH`] of them are another `2 n` a week to numbers of others. The same two an hour go to
//! a known number whose prefix is stopped: neighbours whose codes nobody enters lock nobody out.

use jiff::{SignedDuration, Timestamp};

use super::{Budget, Cap, Of};

/// What is known of the codes that went where one more is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// They are entered: it may use all of a cap.
    Converts,
    /// Too few went there to tell.
    Unknown,
    /// They are not entered.
    Doubtful,
}

/// What of each shared cap is kept, in percent, as it is shipped.
pub const KEPT_PERCENT: u32 = 25;

/// More cannot be kept: it is kept twice, and something must be left for prefixes to prove themselves with.
pub const KEPT_PERCENT_MAX: u32 = 40;

impl Budget {
    /// The part of it that is open to a send. What is kept is rounded down, so small caps are open to all; a budget that is
    /// one number's, address's or user's, or the application's own, is too.
    #[must_use]
    pub fn open_to(&self, standing: Standing, kept_percent: u32) -> Self {
        let steps = match standing {
            _ if !matches!(self.of, Of::Prefix | Of::Country | Of::Total) => 0,
            Standing::Converts => 0,
            Standing::Unknown => 1,
            Standing::Doubtful => 2,
        };
        let kept = u64::from(self.most) * u64::from(kept_percent.min(KEPT_PERCENT_MAX)) / 100;
        let kept = u32::try_from(kept).unwrap_or(u32::MAX); // less than half of a u32
        Self { most: self.most.saturating_sub(kept * steps), ..self.clone() }
    }

    /// What a [known](Record::is_known) number has for itself where its prefix is stopped, at this application.
    #[must_use]
    pub fn where_stopped(application: &str, number_tag: &str, now: Timestamp) -> Self {
        Self::new(Of::Number, &format!("stopped/{application}/{number_tag}"), WHERE_STOPPED, now)
    }
}

/// A prefix is judged once so many codes were sent to its newcomers, and converts once so many of them have entered one.
pub const ENOUGH: u32 = 5;

/// At least one code in so many is entered where a prefix converts.
const ONE_IN: u32 = 3;

/// After so long what is counted of a prefix weighs half.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How the codes to numbers of one prefix fared that were not [known](Known) yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Newcomers {
    /// Codes that were sent to them.
    pub sent: u32,
    /// Numbers of them that have entered one.
    pub entered: u32,
    /// When the present week of counting began.
    pub since: Timestamp,
}

impl Newcomers {
    /// As it counts at this time: half after a week, nothing after two.
    fn at(self, now: Timestamp) -> Self {
        let age = now.duration_since(self.since);
        if age < WEEK {
            return self;
        }
        if age >= WEEK * 2 {
            return Self { since: now, ..Self::default() };
        }
        let since = self.since.saturating_add(WEEK).unwrap_or(Timestamp::MAX);
        Self { sent: self.sent / 2, entered: self.entered / 2, since }
    }

    /// How a newcomer of the prefix stands.
    fn standing(self, now: Timestamp) -> Standing {
        let Self { sent, entered, .. } = self.at(now);
        let converts = entered.saturating_mul(ONE_IN) >= sent;
        match (converts, sent >= ENOUGH, entered >= ENOUGH) {
            (true, _, true) => Standing::Converts,
            (false, true, _) => Standing::Doubtful,
            _ => Standing::Unknown,
        }
    }
}

/// How long a number is known that has entered a code.
pub const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long a number waits for its part of what is kept after it has entered a code.
const REST: SignedDuration = SignedDuration::from_hours(1);

/// So many codes go to a known number from what is kept, until one is entered: the code, and the same again.
const UNENTERED_MAX: u32 = 2;

/// As many in an hour go to a known number whose prefix is stopped, whether they are entered or not: a stranger who asks for codes
/// to it delays its owner, and shuts nobody out.
const WHERE_STOPPED: Cap = Cap { most: UNENTERED_MAX, seconds: 3_600 };

/// A number that has entered a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// When it entered the last one.
    pub entered_at: Timestamp,
    /// How many codes were sent to it since.
    pub unentered: u32,
}

impl Known {
    /// Whether that still counts.
    fn is_known(self, now: Timestamp) -> bool {
        now.duration_since(self.entered_at) < KNOWN_FOR
    }
}

/// What is known of a number and its prefix, of one application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// The number, where it has entered a code.
    pub known: Option<Known>,
    /// Its prefix.
    pub newcomers: Newcomers,
}

impl Record {
    /// Whether the number is known, and stands for itself whatever becomes of its prefix.
    pub fn is_known(self, now: Timestamp) -> bool {
        self.known.is_some_and(|known| known.is_known(now))
    }

    /// How it stands.
    pub fn standing(self, now: Timestamp) -> Standing {
        match self.known.filter(|known| known.is_known(now)) {
            None => self.newcomers.standing(now),
            Some(known) if known.unentered >= UNENTERED_MAX => Standing::Unknown,
            Some(known) if now.duration_since(known.entered_at) < REST => Standing::Unknown,
            Some(_) => Standing::Converts,
        }
    }

    /// With one more code that is sent to the number.
    #[must_use]
    pub fn sent(self, now: Timestamp) -> Self {
        if let Some(known) = self.known.filter(|known| known.is_known(now)) {
            let unentered = known.unentered.saturating_add(1);
            return Self { known: Some(Known { unentered, ..known }), ..self };
        }
        let newcomers = self.newcomers.at(now);
        Self { newcomers: Newcomers { sent: newcomers.sent.saturating_add(1), ..newcomers }, ..self }
    }

    /// Without one code that was asked for at that time and never left.
    #[must_use]
    pub fn taken_back(self, asked_at: Timestamp, now: Timestamp) -> Self {
        match self.known {
            // What was counted of the number before it entered one is forgotten.
            Some(known) if known.entered_at > asked_at => self,
            Some(known) if known.is_known(asked_at) => {
                let unentered = known.unentered.saturating_sub(1);
                Self { known: Some(Known { unentered, ..known }), ..self }
            }
            _ => {
                let newcomers = self.newcomers.at(now);
                Self { newcomers: Newcomers { sent: newcomers.sent.saturating_sub(1), ..newcomers }, ..self }
            }
        }
    }

    /// With a code that was entered.
    #[must_use]
    pub fn entered(self, now: Timestamp) -> Self {
        let known = Some(Known { entered_at: now, unentered: 0 });
        if self.known.is_some_and(|known| known.is_known(now)) {
            return Self { known, ..self };
        }
        let newcomers = self.newcomers.at(now);
        Self { known, newcomers: Newcomers { entered: newcomers.entered.saturating_add(1), ..newcomers } }
    }
}

#[cfg(test)]
mod tests;
