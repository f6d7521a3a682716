//! Failures in a row, and what they cost: the count that a new code, a new challenge or another channel does not reset.
//!
//! A limit for each challenge alone bounds nothing, since challenges can be begun anew (NIST SP 800-63B-4, 3.1.3.2: a new
//! secret does not reset the count). So failures are counted across challenges, from one success to the next.
//!
//! Three rules for what is tried at one thing stand side by side. A person of the console has a counter for each factor, which moves only after a right
//! password, and a factor with too many failures is worth nothing until it is bound anew. So has a user of an application
//! for what they hold here, with more failures, since an owner who could help is farther away. The number that codes are
//! sent to has a counter for each application, which anybody at a public form can move: so it only ever delays.
//!
//! Apart from these stands what one address tries at all logins together, one password at each: no row there is long, so
//! what is counted is not what follows a success but what was not yet forgiven.

use jiff::{SignedDuration, Timestamp};

use crate::policy::Kind;

/// Which rule a counter follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A factor of a person of the console.
    Person,
    /// An authenticator application of a person of the console.
    PersonTotp,
    /// A factor that a user of an application holds.
    User,
    /// A number of a user of an application.
    Application,
    /// An address that passwords are tried from, at whatever logins.
    Address,
}

/// A person's factor must be bound anew after so many failures in a row. NIST SP 800-63B-4, 3.2.2 allows 100 at most;
/// with 20 the chance of guessing six digits between two successes is 2 in 100,000.
pub const BOUND_ANEW_AFTER: u32 = 20;

/// A person's authenticator application must be bound anew after so many: against the first two of them three codes are right at a
/// time, against the others [one](crate::totp::codes_at_once), which makes 20 codes as well.
pub const TOTP_BOUND_ANEW_AFTER: u32 = 16;

/// A user's factor must be bound anew after so many failures in a row: the most that NIST SP 800-63B-4, 3.2.2 allows. The
/// pauses let them come in no less than three days.
pub const USER_BOUND_ANEW_AFTER: u32 = 100;

/// So many wrong passwords may come from one address at once, at whatever logins. More than a house full of people
/// mistypes on a Monday.
pub const OF_ADDRESS: u32 = 20;

/// After these one in such a time: 1,440 a day, and nobody there ever waits longer than that for the next.
const FORGIVEN_EACH: SignedDuration = SignedDuration::from_mins(1);

/// From this failure on there are pauses.
pub const DELAYED_FROM: u32 = 5;

/// The first pause; each further failure doubles it.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// No pause is longer (NIST SP 800-63B-4, 3.2.2: 30 seconds to an hour).
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// Failures of one factor, or of one number, since its last success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// How many in a row.
    pub count: u32,
    /// When the last of them was; `None` exactly where there is none.
    pub last: Option<Timestamp>,
}

/// Why a code is not even compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barred {
    /// Not before this time.
    Until(Timestamp),
    /// Not with this factor, until it is bound anew.
    BoundAnew,
}

impl Rule {
    /// The one for a factor of this kind of a person of the console.
    pub fn of_person(kind: Kind) -> Self {
        if kind == Kind::Totp { Self::PersonTotp } else { Self::Person }
    }
}

impl Failures {
    /// Whether a code may be compared now.
    pub fn admit(self, rule: Rule, now: Timestamp) -> Result<(), Barred> {
        if self.is_disabled(rule) {
            return Err(Barred::BoundAnew);
        }
        let until = if rule == Rule::Address { self.of_address_until(now) } else { self.until() };
        match until {
            Some(until) if now < until => Err(Barred::Until(until)),
            _ => Ok(()),
        }
    }

    /// Whether the factor is worth nothing until it is bound anew.
    pub fn is_disabled(self, rule: Rule) -> bool {
        let most = match rule {
            Rule::Person => Some(BOUND_ANEW_AFTER),
            Rule::PersonTotp => Some(TOTP_BOUND_ANEW_AFTER),
            Rule::User => Some(USER_BOUND_ANEW_AFTER),
            Rule::Application | Rule::Address => None,
        };
        most.is_some_and(|most| self.count >= most)
    }

    /// With one more, which is counted before the code is compared.
    #[must_use]
    pub fn counted(self, rule: Rule, now: Timestamp) -> Self {
        if rule == Rule::Address {
            let left = self.forgiven(now);
            return Self { count: left.count.saturating_add(1), last: left.last.or(Some(now)) };
        }
        // A clock that went back does not end a pause early.
        let last = self.last.map_or(now, |last| last.max(now));
        Self { count: self.count.saturating_add(1), last: Some(last) }
    }

    /// Without one that was counted in advance and turned out to be none.
    #[must_use]
    pub fn taken_back(self) -> Self {
        match self.count {
            0 | 1 => Self::default(),
            count => Self { count: count - 1, ..self },
        }
    }

    /// What is left of an address's failures; `last` is since when the next one waits to be forgiven.
    fn forgiven(self, now: Timestamp) -> Self {
        let Some(since) = self.last else { return self };
        let each = FORGIVEN_EACH.as_secs();
        let times = (now.duration_since(since).as_secs() / each).max(0);
        let count = self.count.saturating_sub(u32::try_from(times).unwrap_or(u32::MAX));
        if count == 0 {
            return Self::default();
        }
        let since = since.saturating_add(SignedDuration::from_secs(times * each)).unwrap_or(Timestamp::MAX);
        Self { count, last: Some(since) }
    }

    /// When an address may try the next one, where it has to wait.
    fn of_address_until(self, now: Timestamp) -> Option<Timestamp> {
        let left = self.forgiven(now);
        let since = left.last.filter(|_| left.count >= OF_ADDRESS)?;
        Some(since.saturating_add(FORGIVEN_EACH).unwrap_or(Timestamp::MAX))
    }

    /// The end of the pause, where there is one.
    pub fn until(self) -> Option<Timestamp> {
        let over = self.count.checked_sub(DELAYED_FROM)?;
        // Beyond the eighth doubling it is an hour anyway.
        let pause = FIRST_PAUSE.saturating_mul(1 << over.min(8)).min(LONGEST_PAUSE);
        Some(self.last?.saturating_add(pause).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::challenge::CHECKS_MAX;
    use crate::totp::codes_at_once;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time of the test")
    }

    fn after(count: u32, last: Timestamp) -> Failures {
        Failures { count, last: Some(last) }
    }

    #[test]
    fn after_twenty_failures_a_persons_factor_is_bound_anew_however_long_he_waits() {
        let failures = after(BOUND_ANEW_AFTER, at(0));
        assert_eq!(failures.admit(Rule::Person, at(0)), Err(Barred::BoundAnew));
        assert_eq!(failures.admit(Rule::Person, at(100_000_000)), Err(Barred::BoundAnew));
        assert_eq!(after(BOUND_ANEW_AFTER - 1, at(0)).admit(Rule::Person, at(3_600)), Ok(()));
        let of_an_application = after(TOTP_BOUND_ANEW_AFTER, at(0));
        assert_eq!(of_an_application.admit(Rule::PersonTotp, at(100_000_000)), Err(Barred::BoundAnew));
        assert_eq!(of_an_application.admit(Rule::Person, at(3_600)), Ok(()));
    }

    #[test]
    fn after_a_hundred_failures_a_user_s_factor_is_bound_anew_and_not_within_three_days() {
        let failures = after(USER_BOUND_ANEW_AFTER, at(0));
        assert_eq!(failures.admit(Rule::User, at(100_000_000)), Err(Barred::BoundAnew));
        let (mut failures, mut now, mut guesses) = (Failures::default(), at(0), 0);
        loop {
            match failures.admit(Rule::User, now) {
                Ok(()) => (failures, guesses) = (failures.counted(Rule::User, now), guesses + 1),
                Err(Barred::Until(until)) => now = until,
                Err(Barred::BoundAnew) => break,
            }
        }
        assert_eq!(guesses, 100);
        assert!(now.duration_since(at(0)) > SignedDuration::from_hours(72), "{now}");
    }

    #[test]
    fn a_number_of_an_application_is_only_ever_delayed() {
        let failures = after(1_000_000, at(0));
        assert_eq!(failures.admit(Rule::Application, at(3_599)), Err(Barred::Until(at(3_600))));
        assert_eq!(failures.admit(Rule::Application, at(3_600)), Ok(()));
    }

    #[test]
    fn from_the_fifth_failure_on_the_pauses_double_up_to_an_hour() {
        assert_eq!(after(4, at(0)).until(), None);
        let pauses: Vec<i64> = (5..14)
            .map(|count| {
                after(count, at(0)).until().expect("there is a pause").as_second() - at(0).as_second()
            })
            .collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    }

    #[test]
    fn an_address_tries_twenty_passwords_and_then_one_a_minute_and_is_never_shut_out() {
        let (mut failures, mut now, mut tried) = (Failures::default(), at(0), 0);
        while now < at(86_400) {
            match failures.admit(Rule::Address, now) {
                Ok(()) => (failures, tried) = (failures.counted(Rule::Address, now), tried + 1),
                Err(Barred::Until(until)) => {
                    assert!(until > now && until.duration_since(now) <= FORGIVEN_EACH, "{until}");
                    now = until;
                }
                Err(Barred::BoundAnew) => panic!("an address is bound to nothing"),
            }
        }
        assert_eq!(tried, 20 + 24 * 60 - 1);
        // What people mistype now and then never adds up, and a clock that goes back forgives nothing.
        let typo = (0..100)
            .fold(Failures::default(), |so_far, minute| so_far.counted(Rule::Address, at(minute * 60)));
        assert_eq!(typo.count, 1);
        assert_eq!(after(20, at(100)).admit(Rule::Address, at(0)), Err(Barred::Until(at(160))));
        assert_eq!(after(20, at(100)).taken_back().admit(Rule::Address, at(100)), Ok(()));
        assert_eq!(after(20, at(100)).taken_back(), after(19, at(100)), "one, and not all of them");
        assert_eq!(after(1, at(100)).taken_back(), Failures::default());
    }

    #[test]
    fn a_clock_that_goes_back_ends_no_pause() {
        let failures = after(5, at(100)).counted(Rule::Person, at(0));
        assert_eq!(failures.until(), Some(at(160)));
    }

    #[test]
    fn guessing_between_two_successes_is_as_unlikely_as_promised() {
        // One challenge: five guesses at six digits. Between two successes of a person: twenty.
        let codes = crate::code::CodeLength::SIX.codes();
        assert!(u64::from(CHECKS_MAX) * 1_000_000 <= 5 * codes, "5 in a million for a challenge");
        let sent = u64::from(BOUND_ANEW_AFTER);
        assert!(sent * 100_000 <= 2 * codes, "2 in 100,000 for a code that is sent");
        let of_an_application: u64 =
            (0..TOTP_BOUND_ANEW_AFTER).map(|wrong| u64::from(codes_at_once(wrong))).sum();
        assert!(of_an_application * 100_000 <= 2 * codes, "2 in 100,000 for a code of an application");
    }

    proptest! {
        /// Whatever an attacker does and however long he waits, he never has more guesses than allowed.
        #[test]
        fn no_order_of_attempts_gives_a_person_more_than_twenty_guesses(waits in prop::collection::vec(0_i64..8_000, 0..200)) {
            let (mut failures, mut now, mut guesses) = (Failures::default(), at(0), 0);
            for wait in waits {
                now += SignedDuration::from_secs(wait);
                if failures.admit(Rule::Person, now).is_ok() {
                    failures = failures.counted(Rule::Person, now);
                    guesses += 1;
                }
            }
            prop_assert!(guesses <= BOUND_ANEW_AFTER);
        }
    }
}
