//! People: how they sign in, and what they may change about it.
//!
//! Each file is one thing that somebody does. Decisions are `second_factor`'s, and what they lead to is one transaction of
//! the store each. Whoever asks is a [`Visitor`]: an address, a browser and its marks, which count for nothing but what the
//! owner is told.

mod administer;
mod bind;
mod hosts;
mod letters;
mod marks;
mod passkey;
mod password;
mod phone;
mod second_factor;
mod security;
mod sign_in;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Clock, Secret};
use ringfence_second_factor::failures::Barred;
use ringfence_second_factor::passkey::Refusal;
use ringfence_second_factor::password::Weak;
use ringfence_second_factor::policy::{Demands, Kind, Policy, Strength};
use ringfence_store::{self as store, Person, Role, Session, Store, Where};

use crate::engine::NotSetAside;

pub use administer::{Invitation, add, check_login, end_devices, end_sessions, invite, reset_second_factor};
pub use bind::{Bindable, NewTotp, has_shown, is_late};
pub use hosts::{Entry, Hosts, ProtectedHost};
pub use letters::tell_sign_ins;
pub use marks::BEGINS as MARKS_BEGIN;
pub use password::{Asks, Busy, Hasher, Place};
pub use second_factor::Answer;
pub use sign_in::{Credentials, Known};

/// What the installation demands of people.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What no account may demand less than.
    pub minimum: Demands,
    /// How often owners are asked where nothing else was set.
    pub administrators: Policy,
    /// How long a computer is trusted.
    pub trust_for: SignedDuration,
    /// What authenticator applications call this installation.
    pub issuer: String,
    /// Where the console is, for links in mails; without it there are none.
    pub console_url: Option<String>,
    /// Web pages elsewhere that are entered through this sign-in.
    pub hosts: Hosts,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            minimum: Demands { policy: Policy::Disabled, strength: Strength::Any },
            administrators: Policy::EverySignIn,
            trust_for: SignedDuration::from_hours(30 * 24),
            issuer: "Ringfence".to_owned(),
            console_url: None,
            hosts: Hosts::default(),
        }
    }
}

/// Who asks, as far as it can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The address.
    pub address: String,
    /// The browser.
    pub agent: String,
    /// The marks that the browser keeps: of the logins of those who were inside in it.
    pub marks: Vec<Secret>,
}

/// Where somebody who signs in is next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Asked for one of these.
    Ask {
        /// The token of the session that waits for it.
        token: Secret,
        /// What they have that would do.
        kinds: Vec<Kind>,
    },
    /// Binding factors.
    Bind {
        /// The token of the session in which they do.
        token: Secret,
    },
    /// Inside.
    Inside {
        /// The token of the session.
        token: Secret,
        /// What the browser keeps, where it is trusted from now on, or goes on to be.
        device: Option<Secret>,
        /// What the browser keeps so that strangers' attempts are not counted as its own. It opens nothing.
        mark: Secret,
    },
}

/// Why somebody gets no further.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The login or the password is wrong, there is no such person, they are locked: one answer for all.
    #[error("the address or the password is wrong")]
    Wrong,
    /// What was typed is not the code, or no code that is left.
    #[error("this is not the code")]
    WrongCode,
    /// The passkey is not taken.
    #[error(transparent)]
    Passkey(#[from] Refusal),
    /// Too often wrong: not before this time.
    #[error("too many wrong attempts: try again later")]
    Later(Timestamp),
    /// No code is sent before this time.
    #[error("no code is sent so soon again: type the one that came, or wait")]
    NoCodeBefore(Timestamp),
    /// A code would cost more than the limits leave, or nobody knows what it costs.
    #[error("no code can be sent now: {0}")]
    NotSetAside(NotSetAside),
    /// Too often wrong: this factor must be bound anew.
    #[error(
        "this factor was wrong too often and must be bound anew: use another one, or ask an owner for a code"
    )]
    BoundAnew,
    /// The password is right, but there is no factor that would do: an owner gives out a code.
    #[error(
        "the second factor is demanded and none is bound that counts: ask an owner for a code to bind one; an owner who is alone makes \
         it on the machine, with ringfence user reset-second-factor"
    )]
    NothingBound,
    /// The same where only passkeys do.
    #[error("only passkeys are taken here, and you have none: ask an owner for a code to bind one")]
    NoPasskey,
    /// What was shown would not do for everything that the person may enter, so it changes no factor.
    #[error(
        "one of your accounts takes no such factor as you have shown: show one that it takes, or ask an owner for a code"
    )]
    ShowStronger,
    /// The session is over, or not at this step.
    #[error("this sign-in is over: begin again")]
    Over,
    /// The password or the second factor was wrong again and again in a session that was inside, which has ended.
    #[error("that was wrong too often: this session has ended, sign in again")]
    Guessed,
    /// What is dangerous wants the second factor again.
    #[error("the second factor is asked for again before this")]
    AskAgain,
    /// The role does not allow it.
    #[error("your role does not allow this")]
    Forbidden,
    /// The password cannot be taken.
    #[error(transparent)]
    Weak(#[from] Weak),
    /// It would leave somebody without a factor that the policy demands.
    #[error("the last factor that would do cannot be taken away: bind another one first")]
    LastFactor,
    /// Something given is not what it should be.
    #[error("{0}")]
    Invalid(&'static str),
    /// Too many at once.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The store says no.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<Barred> for Refused {
    fn from(barred: Barred) -> Self {
        match barred {
            Barred::Until(at) => Self::Later(at),
            Barred::BoundAnew => Self::BoundAnew,
        }
    }
}

/// The result of what people do.
pub type Result<T, E = Refused> = std::result::Result<T, E>;

/// What carries it out.
#[derive(Debug, Clone)]
pub struct People {
    store: Arc<Store>,
    hasher: Hasher,
    rules: Rules,
    clock: Arc<dyn Clock>,
}

impl People {
    /// With these rules.
    pub fn new(store: Arc<Store>, hasher: Hasher, rules: Rules, clock: Arc<dyn Clock>) -> Self {
        Self { store, hasher, rules, clock }
    }

    /// Where everything is kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.clock.unix_micros()).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    }

    /// The session of a token, if it is not over.
    pub async fn session(&self, token: &Secret) -> Result<Option<Session>> {
        Ok(self.store.session(token, self.now()).await?)
    }

    /// What an account demands of a person: what was set for it, or what is usual, and never less than the minimum. Of whoever is
    /// there by a role for everything, what was set for that besides.
    pub async fn demands(&self, person: &Person, place: Where) -> Result<Demands> {
        let policies = self.store.policies().await?;
        let set = |place| policies.iter().find(|set| set.place == place).map(|set| set.demands);
        let demands = self.demands_where(set(place), person, place);
        Ok(match set(Where::Everywhere) {
            Some(whole) if is_there_by_everything(person, place) => demands.at_least(whole),
            _ => demands,
        })
    }

    /// The same of a place of which it is known what was set.
    fn demands_where(&self, set: Option<Demands>, person: &Person, place: Where) -> Demands {
        let usual = || {
            let is_owner = person.role(place) == Some(Role::Owner);
            let policy = if is_owner { self.rules.administrators } else { Policy::OncePerComputer };
            Demands { policy, strength: Strength::Any }
        };
        set.unwrap_or_else(usual).at_least(self.rules.minimum)
    }

    /// Why somebody who has no factor that would do there gets no further.
    async fn nothing_bound(&self, person: &Person, place: Where) -> Result<Refused> {
        let demands = self.demands(person, place).await?;
        let wants_passkey = demands.strength == Strength::PhishingResistant;
        Ok(if wants_passkey { Refused::NoPasskey } else { Refused::NothingBound })
    }

    /// The kinds of factors of a person that count.
    async fn kinds(&self, person: &Person) -> Result<Vec<Kind>> {
        Ok(self.store.kinds(&person.id).await?)
    }
}

/// Whether somebody is at an account with what a role for everything gives, and no role of that account as wide: what is demanded
/// of everything is then demanded there too.
fn is_there_by_everything(person: &Person, place: Where) -> bool {
    let role = |at| person.grants.iter().find(|grant| grant.place == at).map(|grant| grant.role);
    place != Where::Everywhere && role(Where::Everywhere) > role(place)
}

/// Where a person may sign in to: everywhere before single accounts.
fn places(person: &Person) -> impl Iterator<Item = Where> {
    let everywhere = person.role(Where::Everywhere).map(|_| Where::Everywhere);
    let accounts = person.grants.iter().map(|grant| grant.place).filter(|it| *it != Where::Everywhere);
    everywhere.into_iter().chain(accounts)
}
