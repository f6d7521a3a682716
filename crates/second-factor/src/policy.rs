//! Policies: what an account demands of whoever signs in to it, and what a session has to show for itself.
//!
//! A remembered computer is a convenience, and no authenticator (NIST SP 800-63B-4, 5.1: "remember my browser" must not
//! stand in for authentication). So a session carries how it was proved, and what is dangerous asks again.

use jiff::{SignedDuration, Timestamp};

/// How often an account asks for the second factor. The order is from the weakest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Never: the password alone opens it.
    Disabled,
    /// Once for each computer, which is then trusted for a time.
    OncePerComputer,
    /// At every sign-in.
    EverySignIn,
}

impl Policy {
    /// All of them, the weakest first.
    pub const ALL: [Self; 3] = [Self::Disabled, Self::OncePerComputer, Self::EverySignIn];

    /// As configurations and databases write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::OncePerComputer => "once-per-computer",
            Self::EverySignIn => "every-sign-in",
        }
    }

    /// The policy of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.word() == word)
    }
}

/// A kind of authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A code to a phone, by text message or voice call: restricted (NIST SP 800-63B-4, 3.1.3.3), and it needs Twilio.
    Phone,
    /// Codes of an authenticator application (RFC 6238).
    Totp,
    /// A passkey (`WebAuthn`), which resists phishing.
    Passkey,
    /// Saved recovery codes (NIST SP 800-63B-4, 4.2.1.1), each good once.
    RecoveryCode,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Phone, Self::Totp, Self::Passkey, Self::RecoveryCode];

    /// As databases and logs write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::RecoveryCode => "recovery-code",
        }
    }

    /// The kind of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether whoever shows it can be led to show it at the wrong place (NIST SP 800-63B-4, 3.2.5): a passkey is bound to
    /// the site that it was made for; whatever is typed can be typed elsewhere.
    pub const fn resists_phishing(self) -> bool {
        matches!(self, Self::Passkey)
    }

    /// Whether it works while Twilio cannot be reached or every breaker is tripped.
    pub const fn works_without_twilio(self) -> bool {
        !matches!(self, Self::Phone)
    }
}

/// Which authenticators an account takes. The order is from the widest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// Every one.
    Any,
    /// None that can be rerouted: no code to a phone. A recovery code is taken: it is what remains when the stronger one
    /// is lost, and each is good once.
    NoPhone,
    /// None that can be phished: passkeys. A recovery code is typed, so it is none; whoever loses their last passkey binds
    /// another one with a code of an owner's.
    PhishingResistant,
}

impl Strength {
    /// All of them, the widest first.
    pub const ALL: [Self; 3] = [Self::Any, Self::NoPhone, Self::PhishingResistant];

    /// Whether it takes authenticators of this kind.
    pub const fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Any => true,
            Self::NoPhone => !matches!(kind, Kind::Phone),
            Self::PhishingResistant => kind.resists_phishing(),
        }
    }

    /// As configurations and logs write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::NoPhone => "no-phone",
            Self::PhishingResistant => "phishing-resistant",
        }
    }

    /// The strength of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strength| strength.word() == word)
    }

    /// As databases write it: an older version reads whatever is not zero as [`NoPhone`](Self::NoPhone).
    pub const fn number(self) -> i64 {
        match self {
            Self::Any => 0,
            Self::NoPhone => 1,
            Self::PhishingResistant => 2,
        }
    }

    /// The strength of this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|strength| strength.number() == number)
    }
}

/// What an account demands. A strength says which factors are asked for, so what asks for none has [`Strength::Any`]: the
/// console sets nothing else ([`is_contradictory`](Self::is_contradictory)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demands {
    /// How often.
    pub policy: Policy,
    /// Which authenticators do.
    pub strength: Strength,
}

impl Demands {
    /// The stricter of both in each respect: an installation's minimum under an account's own rule. Where a strength is
    /// demanded, somebody is asked.
    #[must_use]
    pub fn at_least(self, minimum: Self) -> Self {
        let policy = self.policy.max(minimum.policy);
        let strength = self.strength.max(minimum.strength);
        let asks = if strength == Strength::Any { Policy::Disabled } else { Policy::OncePerComputer };
        Self { policy: policy.max(asks), strength }
    }

    /// Whether they name factors and ask for none. Nobody could say what holds for a password that is too short to open
    /// anything alone, and whoever has none of the named factors would be locked out by a policy that asks for nothing.
    pub fn is_contradictory(self) -> bool {
        self.policy == Policy::Disabled && self.strength != Strength::Any
    }

    /// The first of these kinds with which somebody can go on signing in: one that does, and no saved codes, which run out.
    pub fn lasting_of(self, factors: &[Kind]) -> Option<Kind> {
        factors.iter().copied().find(|kind| *kind != Kind::RecoveryCode && self.strength.takes(*kind))
    }

    /// Whether somebody whose factors are of these kinds can always meet them: one [that lasts](Self::lasting_of), and one
    /// that works without Twilio. A policy that is disabled asks for one as well, of whoever has a short password; nobody
    /// knows of a stored one how long it is.
    pub fn are_met_by(self, factors: &[Kind]) -> bool {
        self.lasting_of(factors).is_some() && factors.iter().any(|kind| kind.works_without_twilio())
    }
}

/// How a session was proved. It never says more than what was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assurance {
    /// By a password.
    Password,
    /// By a password, on a computer that was trusted before.
    RememberedComputer,
    /// By a password and this factor, at this time.
    SecondFactor {
        /// Which.
        kind: Kind,
        /// When.
        at: Timestamp,
    },
}

/// What is dangerous wants a second factor that was shown so lately.
pub const FRESH_FOR: SignedDuration = SignedDuration::from_mins(10);

impl Assurance {
    /// The level of NIST SP 800-63B-4 that it reaches.
    pub const fn level(self) -> u8 {
        match self {
            Self::Password | Self::RememberedComputer => 1,
            Self::SecondFactor { .. } => 2,
        }
    }

    /// Whether what is dangerous may be done without being asked again.
    pub fn is_fresh(self, now: Timestamp) -> bool {
        match self {
            Self::Password | Self::RememberedComputer => false,
            // A factor from the future is a clock that went back, and proves nothing of now.
            Self::SecondFactor { at, .. } => at <= now && now.duration_since(at) <= FRESH_FOR,
        }
    }

    /// Whether this is enough for an account that demands so much. A policy of once per computer is met by a remembered
    /// computer only where it was remembered for this account, and by a factor that the account takes, which the caller
    /// knows.
    pub const fn meets(self, demands: Demands) -> bool {
        match (demands.policy, self) {
            (Policy::Disabled, _) | (Policy::OncePerComputer, Self::RememberedComputer) => true,
            (_, Self::SecondFactor { kind, .. }) => demands.strength.takes(kind),
            (_, Self::Password | Self::RememberedComputer) => false,
        }
    }
}

/// What comes after a right password, or before another account is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: this is how the session was proved.
    Enter(Assurance),
    /// One of these factors.
    Ask(Vec<Kind>),
    /// There is no factor that would do, and a password alone binds none: an administrator gives out a code.
    Bind,
}

/// What an account asks of somebody who has proved so much, whose factors are of these kinds, on a computer that is trusted
/// for this account, by a factor that it takes, or not.
pub fn next(demands: Demands, shown: Assurance, factors: &[Kind], trusted: bool) -> Next {
    // A computer that is remembered for one account says nothing to another.
    let shown = match shown {
        Assurance::RememberedComputer | Assurance::Password if trusted => Assurance::RememberedComputer,
        Assurance::RememberedComputer => Assurance::Password,
        shown => shown,
    };
    if shown.meets(demands) {
        return Next::Enter(shown);
    }
    let mut kinds: Vec<Kind> = factors.iter().copied().filter(|kind| demands.strength.takes(*kind)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() { Next::Bind } else { Next::Ask(kinds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn demands(policy: Policy) -> Demands {
        Demands { policy, strength: Strength::Any }
    }

    fn shown(kind: Kind) -> Assurance {
        Assurance::SecondFactor { kind, at: NOW }
    }

    #[test]
    fn a_password_alone_opens_only_what_has_the_factor_disabled() {
        let factors = [Kind::Phone];
        for policy in [Policy::OncePerComputer, Policy::EverySignIn] {
            let next = next(demands(policy), Assurance::Password, &factors, false);
            assert_eq!(next, Next::Ask(vec![Kind::Phone]), "{policy:?}");
        }
        let next = next(demands(Policy::Disabled), Assurance::Password, &factors, false);
        assert_eq!(next, Next::Enter(Assurance::Password));
    }

    #[test]
    fn whoever_has_no_factor_is_not_let_bind_one_by_a_password() {
        let next = next(demands(Policy::OncePerComputer), Assurance::Password, &[], false);
        assert_eq!(next, Next::Bind);
    }

    #[test]
    fn a_trusted_computer_is_not_enough_where_every_sign_in_asks() {
        let asked = |policy| next(demands(policy), Assurance::Password, &[Kind::Totp], true);
        assert_eq!(asked(Policy::EverySignIn), Next::Ask(vec![Kind::Totp]));
        assert_eq!(asked(Policy::OncePerComputer), Next::Enter(Assurance::RememberedComputer));
    }

    #[test]
    fn a_computer_that_one_account_remembers_is_unknown_to_another() {
        let demands = demands(Policy::OncePerComputer);
        let next = next(demands, Assurance::RememberedComputer, &[Kind::Phone], false);
        assert_eq!(next, Next::Ask(vec![Kind::Phone]));
    }

    #[test]
    fn a_factor_that_was_shown_opens_every_account_it_is_good_enough_for() {
        for policy in Policy::ALL {
            let next = next(demands(policy), shown(Kind::Phone), &[Kind::Phone], false);
            assert_eq!(next, Next::Enter(shown(Kind::Phone)), "{policy:?}");
        }
    }

    #[test]
    fn where_the_stronger_ones_are_demanded_a_phone_does_not_do() {
        let strong = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };
        let both = [Kind::Totp, Kind::Phone, Kind::Totp];
        assert_eq!(next(strong, shown(Kind::Phone), &both, true), Next::Ask(vec![Kind::Totp]));
        assert_eq!(next(strong, shown(Kind::Phone), &[Kind::Phone], true), Next::Bind);
        assert_eq!(next(strong, shown(Kind::Passkey), &both, false), Next::Enter(shown(Kind::Passkey)));
    }

    #[test]
    fn where_phishing_is_to_be_resisted_nothing_that_is_typed_does() {
        let demands = Demands { policy: Policy::EverySignIn, strength: Strength::PhishingResistant };
        for kind in [Kind::Phone, Kind::Totp, Kind::RecoveryCode] {
            assert_eq!(next(demands, shown(kind), &[kind], false), Next::Bind, "{kind:?}");
            assert!(!demands.are_met_by(&[kind]), "{kind:?}");
            let asked = next(demands, shown(kind), &[kind, Kind::Passkey], false);
            assert_eq!(asked, Next::Ask(vec![Kind::Passkey]), "{kind:?}");
        }
        assert!(demands.are_met_by(&[Kind::Passkey]));
        assert_eq!(next(demands, shown(Kind::Passkey), &[], false), Next::Enter(shown(Kind::Passkey)));
    }

    #[test]
    fn a_minimum_makes_nothing_weaker() {
        let minimum = Demands { policy: Policy::OncePerComputer, strength: Strength::PhishingResistant };
        let every = demands(Policy::EverySignIn).at_least(minimum);
        assert_eq!(every, Demands { policy: Policy::EverySignIn, strength: Strength::PhishingResistant });
        let disabled = demands(Policy::Disabled).at_least(minimum);
        assert_eq!(disabled, minimum);
    }

    #[test]
    fn where_a_strength_is_demanded_somebody_is_asked() {
        let disabled = demands(Policy::Disabled);
        for strength in Strength::ALL {
            let minimum = Demands { strength, ..disabled };
            let held = disabled.at_least(minimum);
            assert!(!held.is_contradictory(), "{strength:?}");
            assert_eq!(minimum.is_contradictory(), strength != Strength::Any, "{strength:?}");
            assert_eq!(
                held == disabled,
                strength == Strength::Any,
                "{strength:?}: it is no more than is needed"
            );
        }
        let strong = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };
        assert!(!strong.is_contradictory());
        assert_eq!(strong.at_least(disabled), strong);
    }

    #[test]
    fn saved_codes_alone_or_a_phone_alone_are_not_enough_to_keep() {
        let every = demands(Policy::EverySignIn);
        let strong = Demands { strength: Strength::NoPhone, ..every };
        for (kinds, enough, enough_strong) in [
            (&[][..], false, false),
            (&[Kind::RecoveryCode], false, false),
            (&[Kind::Phone], false, false),
            (&[Kind::Phone, Kind::RecoveryCode], true, false),
            (&[Kind::Totp], true, true),
        ] {
            assert_eq!(every.are_met_by(kinds), enough, "{kinds:?}");
            assert_eq!(strong.are_met_by(kinds), enough_strong, "{kinds:?}");
            let disabled = demands(Policy::Disabled).are_met_by(kinds);
            assert_eq!(disabled, enough, "{kinds:?}: a short password is asked for one all the same");
        }
        assert_eq!(strong.lasting_of(&[Kind::RecoveryCode, Kind::Phone]), None);
        assert_eq!(strong.lasting_of(&[Kind::RecoveryCode, Kind::Totp, Kind::Passkey]), Some(Kind::Totp));
    }

    #[test]
    fn what_is_dangerous_wants_a_factor_of_the_last_ten_minutes() {
        let later = |seconds| Timestamp::from_second(seconds).expect("a time of the test");
        assert!(!Assurance::Password.is_fresh(NOW));
        assert!(!Assurance::RememberedComputer.is_fresh(NOW));
        assert!(shown(Kind::Totp).is_fresh(later(600)));
        assert!(!shown(Kind::Totp).is_fresh(later(601)));
        assert!(!shown(Kind::Totp).is_fresh(later(-1)), "the clock went back");
    }

    #[test]
    fn only_a_second_factor_reaches_the_second_level() {
        assert_eq!(Assurance::RememberedComputer.level(), 1);
        assert_eq!(Assurance::Password.level(), 1);
        assert_eq!(shown(Kind::Phone).level(), 2);
    }

    #[test]
    fn words_read_back() {
        for policy in Policy::ALL {
            assert_eq!(Policy::from_word(policy.word()), Some(policy));
        }
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        for strength in Strength::ALL {
            assert_eq!(Strength::from_word(strength.word()), Some(strength));
            assert_eq!(Strength::from_number(strength.number()), Some(strength));
        }
        assert_eq!((Strength::from_word("strong"), Strength::from_number(3)), (None, None));
        assert_eq!((Policy::from_word("always"), Kind::from_word("sms")), (None, None));
    }
}
