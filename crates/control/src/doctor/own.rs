//! `clock`, `store`, `mail`: this machine and what belongs to it.

use jiff::{SignedDuration, Timestamp};

use super::Words;
use super::finding::{Check, Finding, Mend};
use crate::notices::Severity;

/// What a pair of answers leaves open: networks take time, and `Date` has no fractions.
const TOLERATED: SignedDuration = SignedDuration::from_secs(5);
/// Codes of authenticators are good for about so long, and proofs of the gate end.
const INTOLERABLE: SignedDuration = SignedDuration::from_secs(30);

/// What Twilio's clock said between two looks at ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    pub(super) before: Timestamp,
    pub(super) theirs: Timestamp,
    pub(super) after: Timestamp,
}

/// How far our clock is behind Twilio's at least (negative: before it); zero where they may agree.
fn off(clocks: Clocks) -> SignedDuration {
    // What it said was true for a second.
    let least = clocks.theirs.duration_since(clocks.after);
    let most = clocks.theirs.duration_since(clocks.before) + SignedDuration::from_secs(1);
    if least > SignedDuration::ZERO {
        least
    } else if most < SignedDuration::ZERO {
        most
    } else {
        SignedDuration::ZERO
    }
}

pub(super) fn clock(clocks: Clocks) -> Option<Finding> {
    let off = off(clocks);
    if off.abs() <= TOLERATED {
        return None;
    }
    let side = if off.is_positive() { "behind" } else { "ahead of" };
    Some(Finding {
        check: Check::Clock,
        severity: if off.abs() > INTOLERABLE { Severity::Critical } else { Severity::Warning },
        account: None,
        place: "clock".to_owned(),
        what: format!("This machine's clock is {} seconds {side} Twilio's", off.abs().as_secs()),
        why: "Codes and proofs are good for seconds, sign-ins for minutes, and limits count in windows: with another clock \
              they end too early or too late."
            .to_owned(),
        mend: Mend::by("Have the time set by the network", "timedatectl set-ntp true"),
    })
}

/// The store cannot be opened, and why.
pub(super) fn store(why: &str, words: &Words) -> Finding {
    Finding {
        check: Check::Store,
        severity: Severity::Critical,
        account: None,
        place: "store".to_owned(),
        what: why.to_owned(),
        why: "Without it nothing is remembered: no limit is held, no code is sent, and nobody signs in. The gate verifies all \
              the same."
            .to_owned(),
        mend: Mend::by("Bring it back, or make it; this upgrades one of an earlier version", words.command("migrate")),
    }
}

/// The mail server does not take mail, and why.
pub(super) fn mail(why: &str, words: &Words) -> Finding {
    Finding {
        check: Check::Mail,
        severity: Severity::Critical,
        account: None,
        place: "mail".to_owned(),
        what: format!("Mail cannot be sent: {why}"),
        why: "A trip that nobody hears of is found out when customers complain.".to_owned(),
        mend: Mend::by(
            "Mend `mail` in [notify] or the mail server; this asks it again",
            words.command("check"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severity(ours_ms: i64, theirs_s: i64, took_ms: i64) -> Option<Severity> {
        let at = |ms| Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap();
        let clocks =
            Clocks { before: at(ours_ms), theirs: at(theirs_s * 1000), after: at(ours_ms + took_ms) };
        clock(clocks).map(|finding| finding.severity)
    }

    #[test]
    fn a_clock_that_is_off_is_found_on_both_sides() {
        assert_eq!(severity(0, 10, 100), Some(Severity::Warning));
        assert_eq!(severity(0, -10, 100), Some(Severity::Warning));
        assert_eq!(severity(0, 60, 100), Some(Severity::Critical));
        assert_eq!(severity(0, -3600, 100), Some(Severity::Critical));
    }

    #[test]
    fn what_the_network_and_the_missing_fraction_leave_open_is_no_finding() {
        assert_eq!(severity(999, 0, 10), None);
        assert_eq!(severity(0, 8, 6000), None, "the answer took six seconds");
        assert_eq!(severity(0, -5, 100), None);
    }
}
