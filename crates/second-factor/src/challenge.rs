//! Challenges: one run of a code, from its start to one of its ends.
//!
//! A state holds only what it knows, so a challenge that is approved has no count that could still grow. Each act is a
//! function of the challenge and the time, and answers with the challenge as it then is. Nothing is compared here: whoever
//! has counted an attempt holds a [`Counted`], and without one a challenge cannot be approved by a code.
//!
//! The numbers are Twilio Verify's: five sends, five checks, ten minutes, the same code whenever it is sent again. The
//! pauses between sends are ours (<https://www.twilio.com/docs/verify/api/rate-limits-and-timeouts>).

use jiff::{SignedDuration, Timestamp};

/// How often a code may be compared. With six digits that is a chance of 5 in a million.
pub const CHECKS_MAX: u32 = 5;

/// How often a code is sent, the first time included.
pub const SENDS_MAX: u32 = 5;

/// No code is good for longer (NIST SP 800-63B-4, 3.1.3.2).
pub const LIFETIME_MAX: SignedDuration = SignedDuration::from_mins(10);

/// How long after the first send, the second and so on the code may be sent again.
const PAUSES: [SignedDuration; 4] = [
    SignedDuration::from_secs(30),
    SignedDuration::from_secs(60),
    SignedDuration::from_secs(120),
    SignedDuration::from_secs(240),
];

/// How a code travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// In a text message.
    Sms,
    /// Spoken, by a voice call.
    Call,
}

impl Channel {
    /// The channel in Twilio's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Call => "call",
        }
    }

    /// The channel that this word is.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "sms" => Some(Self::Sms),
            "call" => Some(Self::Call),
            _ => None,
        }
    }
}

/// A challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// When it was started.
    pub created_at: Timestamp,
    /// From when on no code is right. It is set once.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub state: State,
}

/// Where a challenge stands. All but [`Pending`](Self::Pending) are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for its code.
    Pending(Pending),
    /// The code was right, or whoever asked for it says so.
    Approved(Timestamp),
    /// Called off.
    Canceled(Timestamp),
    /// Too many codes were tried. It keeps its place until its time is over, so that a new one cannot be begun at once.
    MaxAttemptsReached(Timestamp),
    /// Its time was over before anybody knew the code.
    Expired,
}

/// What is known of a challenge that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Codes that were compared.
    pub checks: u32,
    /// How often its code was sent.
    pub sends: u32,
    /// When it was sent last.
    pub last_send: Timestamp,
}

/// The right to compare one code: the attempt is counted already.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an attempt that was counted is to be compared"]
pub struct Counted(());

/// Why an act came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was approved, canceled, or its time is over.
    Over,
    /// Too many codes were tried; only time ends that.
    MaxChecks,
    /// The code was sent too often.
    MaxSends,
    /// Not again before this time.
    TooSoon(Timestamp),
}

impl Challenge {
    /// A new one, with its first send. A lifetime beyond [`LIFETIME_MAX`] is cut.
    pub fn start(lifetime: SignedDuration, now: Timestamp) -> Self {
        let lifetime = lifetime.clamp(SignedDuration::ZERO, LIFETIME_MAX);
        let expires_at = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let pending = Pending { checks: 0, sends: 1, last_send: now };
        Self { created_at: now, expires_at, state: State::Pending(pending) }
    }

    /// As it is now: time alone ends one that waits.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        match self.state {
            State::Pending(_) if now >= self.expires_at => Self { state: State::Expired, ..self },
            _ => self,
        }
    }

    /// Whether it keeps its place: as long as it waits, or would, had not too many codes been tried.
    pub fn is_live(self, now: Timestamp) -> bool {
        let open = matches!(self.state, State::Pending(_) | State::MaxAttemptsReached(_));
        open && now < self.expires_at
    }

    /// Sends the same code again. Nothing but the sends changes.
    pub fn resend(self, now: Timestamp) -> Result<Self, Refused> {
        let pending = self.pending(now)?;
        if pending.checks >= CHECKS_MAX {
            return Err(Refused::MaxChecks);
        }
        may_send(pending.sends, pending.last_send, now)?;
        let pending = Pending { sends: pending.sends + 1, last_send: now, ..pending };
        Ok(Self { state: State::Pending(pending), ..self })
    }

    /// Counts an attempt, and gives the right to compare its code. The sixth attempt ends the challenge.
    pub fn count(self, now: Timestamp) -> (Self, Result<Counted, Refused>) {
        let pending = match self.pending(now) {
            Ok(pending) => pending,
            Err(refused) => return (self.at(now), Err(refused)),
        };
        if pending.checks >= CHECKS_MAX {
            let ended = Self { state: State::MaxAttemptsReached(now), ..self };
            return (ended, Err(Refused::MaxChecks));
        }
        let pending = Pending { checks: pending.checks + 1, ..pending };
        (Self { state: State::Pending(pending), ..self }, Ok(Counted(())))
    }

    /// What comes of an attempt that was counted, once the code was compared.
    #[must_use]
    pub fn compared(self, _: Counted, is_right: bool, now: Timestamp) -> Self {
        match self.state {
            State::Pending(_) if is_right => Self { state: State::Approved(now), ..self },
            _ => self,
        }
    }

    /// Approves it without a code, on the word of whoever asked for it.
    pub fn approve(self, now: Timestamp) -> Result<Self, Refused> {
        self.pending(now).map(|_| Self { state: State::Approved(now), ..self })
    }

    /// Calls it off.
    pub fn cancel(self, now: Timestamp) -> Result<Self, Refused> {
        self.pending(now).map(|_| Self { state: State::Canceled(now), ..self })
    }

    fn pending(self, now: Timestamp) -> Result<Pending, Refused> {
        match self.at(now).state {
            State::Pending(pending) => Ok(pending),
            State::MaxAttemptsReached(_) if now < self.expires_at => Err(Refused::MaxChecks),
            _ => Err(Refused::Over),
        }
    }
}

/// Whether a code may be sent once more, after so many sends, the last of them then: of one challenge, or of several that
/// share their pauses.
pub fn may_send(sends: u32, last_send: Timestamp, now: Timestamp) -> Result<(), Refused> {
    if sends >= SENDS_MAX {
        return Err(Refused::MaxSends);
    }
    let Some(before) = usize::try_from(sends).unwrap_or(usize::MAX).checked_sub(1) else { return Ok(()) };
    let pause = PAUSES.get(before).copied().unwrap_or(LIFETIME_MAX);
    let again = last_send.saturating_add(pause).unwrap_or(Timestamp::MAX);
    if now < again { Err(Refused::TooSoon(again)) } else { Ok(()) }
}

impl State {
    /// The state in Twilio's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending(_) => "pending",
            Self::Approved(_) => "approved",
            Self::Canceled(_) => "canceled",
            Self::MaxAttemptsReached(_) => "max_attempts_reached",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time of the test")
    }

    fn started() -> Challenge {
        Challenge::start(LIFETIME_MAX, at(0))
    }

    fn pending(challenge: Challenge) -> Pending {
        match challenge.state {
            State::Pending(pending) => pending,
            other => panic!("it does not wait any more: {other:?}"),
        }
    }

    #[test]
    fn the_sixth_attempt_is_not_compared_and_ends_it() {
        let mut challenge = started();
        for _ in 0..CHECKS_MAX {
            let (counted, right) = challenge.count(at(1));
            challenge = counted.compared(right.expect("it may be compared"), false, at(1));
        }
        let (ended, refused) = challenge.count(at(2));
        assert_eq!(refused, Err(Refused::MaxChecks));
        assert_eq!(ended.state, State::MaxAttemptsReached(at(2)));
        assert_eq!(
            challenge.resend(at(99)),
            Err(Refused::MaxChecks),
            "a code that cannot be checked is not sent"
        );
        assert_eq!(ended.count(at(3)), (ended, Err(Refused::MaxChecks)));
        assert!(ended.is_live(at(599)), "nothing new is begun in its place");
        assert!(!ended.is_live(at(600)));
        assert_eq!(ended.count(at(600)).1, Err(Refused::Over));
    }

    #[test]
    fn a_code_is_sent_again_after_pauses_that_grow_and_five_times_at_most() {
        let mut challenge = started();
        let mut sent = 0;
        for pause in [30, 60, 120, 240] {
            let early = challenge.resend(at(sent + pause - 1));
            assert_eq!(early, Err(Refused::TooSoon(at(sent + pause))));
            sent += pause;
            challenge = challenge.resend(at(sent)).expect("the pause is over");
        }
        assert_eq!(pending(challenge).sends, SENDS_MAX);
        assert_eq!(challenge.resend(at(599)), Err(Refused::MaxSends));
    }

    #[test]
    fn from_its_last_moment_on_nothing_revives_it() {
        let challenge = started();
        assert!(challenge.count(at(599)).1.is_ok());
        assert_eq!(challenge.count(at(600)).1, Err(Refused::Over));
        assert_eq!(challenge.resend(at(600)), Err(Refused::Over));
        assert_eq!(challenge.approve(at(600)), Err(Refused::Over));
        assert_eq!(challenge.cancel(at(600)), Err(Refused::Over));
        let expired = challenge.at(at(600));
        assert_eq!(expired.at(at(0)).state, State::Expired, "a clock that goes back");
    }

    #[test]
    fn a_right_code_approves_it_a_wrong_one_leaves_it_and_each_end_is_told_by_its_word() {
        let (counted, right) = started().count(at(1));
        let approved = counted.compared(right.expect("it may be compared"), true, at(2));
        assert_eq!(approved, Challenge { state: State::Approved(at(2)), ..started() });
        let (counted, right) = started().count(at(1));
        let waits = counted.compared(right.expect("it may be compared"), false, at(2));
        assert_eq!(pending(waits).checks, 1);
        let ends = [
            started().approve(at(3)).expect("it waits"),
            started().cancel(at(3)).expect("it waits"),
            started().at(at(600)),
            Challenge { state: State::MaxAttemptsReached(at(3)), ..started() },
            started(),
        ];
        assert_eq!(
            ends.map(|it| it.state.as_str()),
            ["approved", "canceled", "expired", "max_attempts_reached", "pending"]
        );
        for ended in &ends[..3] {
            assert_eq!(ended.approve(at(4)), Err(Refused::Over));
            assert!(!ended.is_live(at(4)));
        }
    }

    #[test]
    fn no_lifetime_is_longer_than_ten_minutes_or_negative() {
        let long = Challenge::start(SignedDuration::from_hours(1), at(0));
        assert_eq!(long.expires_at, at(600));
        assert_eq!(Challenge::start(SignedDuration::from_secs(-5), at(0)).expires_at, at(0));
    }

    #[test]
    fn every_channel_reads_back_from_its_word() {
        for channel in [Channel::Sms, Channel::Call] {
            assert_eq!(Channel::from_word(channel.as_str()), Some(channel));
        }
        assert_eq!(Channel::from_word("email"), None);
    }

    #[derive(Debug, Clone, Copy)]
    enum Act {
        Resend,
        Check { is_right: bool },
        Approve,
        Cancel,
    }

    fn acts() -> impl Strategy<Value = Vec<(i64, Act)>> {
        let act = prop_oneof![
            Just(Act::Resend),
            any::<bool>().prop_map(|is_right| Act::Check { is_right }),
            Just(Act::Check { is_right: false }),
            Just(Act::Approve),
            Just(Act::Cancel),
        ];
        prop::collection::vec((-20_i64..120, act), 0..60)
    }

    proptest! {
        /// Whatever happens in whatever order, the promises hold.
        #[test]
        fn no_order_of_acts_breaks_a_promise(acts in acts()) {
            let (mut challenge, mut now, mut compared, mut approvals) = (started(), at(0), 0, 0);
            for (wait, act) in acts {
                now += SignedDuration::from_secs(wait);
                let before = challenge;
                match act {
                    Act::Resend => if let Ok(again) = challenge.resend(now) {
                        prop_assert_eq!(again.expires_at, before.expires_at);
                        prop_assert_eq!(again.created_at, before.created_at);
                        prop_assert_eq!(pending(again).checks, pending(before).checks);
                        prop_assert_eq!(pending(again).sends, pending(before).sends + 1);
                        challenge = again;
                    },
                    Act::Check { is_right } => {
                        let (counted, right) = challenge.count(now);
                        challenge = match right {
                            Ok(right) => {
                                prop_assert!(now < before.expires_at);
                                compared += 1;
                                counted.compared(right, is_right, now)
                            }
                            Err(_) => counted,
                        };
                    }
                    Act::Approve => challenge = challenge.approve(now).unwrap_or(challenge),
                    Act::Cancel => challenge = challenge.cancel(now).unwrap_or(challenge),
                }
                if let State::Pending(pending) = challenge.state {
                    prop_assert!(pending.checks <= CHECKS_MAX && pending.sends <= SENDS_MAX);
                }
                if !matches!(before.state, State::Pending(_)) {
                    prop_assert_eq!(challenge, before, "a final state never changes");
                } else if matches!(challenge.state, State::Approved(_)) {
                    approvals += 1;
                }
            }
            prop_assert!(compared <= CHECKS_MAX);
            prop_assert!(approvals <= 1);
        }
    }
}
