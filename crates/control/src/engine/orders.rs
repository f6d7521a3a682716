//! One order is carried out: what must be so at this moment is asked first, done at Twilio, and read back.

use std::collections::HashMap;

use ringfence_breaker::{Action, State, Subject};
use ringfence_model::Actor;
use ringfence_store::{Account, Wanted, WishedBy};
use ringfence_twilio::client::{Client, Inactive};
use ringfence_twilio::wire::AccountStatus;
use serde_json::json;

use super::Engine;
use crate::decide::{Order, kind};
use crate::effects::{
    self, ClosedGeo, NotDone, Standing, cancel_queued, close_geo, end_calls, find_open_geo, open_geo,
};
use crate::notices::{Event, Notice};
use crate::wanted::{Because, Breakers, in_force, must_be_suspended, scoped};

/// What was wanted may change while Twilio is asked; it settles as soon as nobody changes it any more.
const TURNS: usize = 5;

/// What was taken from an account so that it can be given back.
pub(crate) const GEO: &str = "geo";
pub(crate) const ACTIVE: &str = "active";

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// It is in force now.
    InForce,
    /// There is nothing to do (any more).
    Nothing,
}

/// Why an order is not carried out yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotCarried {
    #[error(
        "there are no credentials that may do it: give the account's parent an [[account]] with auth_token"
    )]
    NoCredentials,
    #[error(transparent)]
    NotDone(#[from] NotDone),
    #[error(transparent)]
    Store(#[from] ringfence_store::Error),
    #[error("what is wanted of the account keeps changing")]
    Unsettled,
}

impl Engine {
    /// Carries out an order of one of [`kind::AT_TWILIO`].
    pub(super) async fn carry_out(&self, kind: &str, order: &Order) -> Result<Carried, NotCarried> {
        let Some(account) = self.store.find_account(order.account.sid).await? else {
            return Ok(Carried::Nothing);
        };
        if account.gone_at.is_some() {
            return Ok(Carried::Nothing);
        }
        match kind {
            kind::STATUS => self.set_status(&account, order.lifts).await,
            kind::GEO => self.set_geo(&account).await,
            _ if !self.is_in_force(&account, order.action).await? => Ok(Carried::Nothing),
            kind::END_CALLS => {
                let client = self.clients.for_account(&account).ok_or(NotCarried::NoCredentials)?;
                end_calls(&client, account.sid).await.end?;
                Ok(Carried::InForce)
            }
            kind::CANCEL_QUEUED => {
                let client = self.clients.for_account(&account).ok_or(NotCarried::NoCredentials)?;
                cancel_queued(&client, account.sid, self.now()).await?;
                Ok(Carried::InForce)
            }
            kind::REVOKE_KEYS => {
                let client = self.clients.for_account(&account).ok_or(NotCarried::NoCredentials)?;
                effects::revoke_keys(&client, account.sid).await.end?;
                Ok(Carried::InForce)
            }
            _ => Ok(Carried::Nothing),
        }
    }

    /// Makes the account what its breakers and operators want. It looks again afterwards: a reset may have come while
    /// the suspension was under way, and whoever finishes last must leave what is wanted last.
    async fn set_status(&self, account: &Account, lifts: bool) -> Result<Carried, NotCarried> {
        let mut may_resume = lifts;
        let mut carried = Carried::Nothing;
        for _ in 0..TURNS {
            let wanted = self.why_suspended(account).await?;
            let standing = match &wanted {
                Some(_) => {
                    let parent = self.clients.parents(account).ok_or(NotCarried::NoCredentials)?;
                    may_resume = true;
                    self.note_what_is_taken(account, &parent).await?;
                    Some(effects::suspend(&parent, account.sid).await?)
                }
                None if may_resume && self.may_make_active(account).await? => {
                    let parent = self.clients.parents(account).ok_or(NotCarried::NoCredentials)?;
                    let standing = effects::resume(&parent, account.sid).await?;
                    self.store.give_back(&Actor::job("status"), account.sid, ACTIVE, self.now()).await?;
                    Some(standing)
                }
                None => None,
            };
            if let Some(standing) = standing {
                self.note_status(account, standing).await?;
                carried = Carried::InForce;
            }
            if self.why_suspended(account).await?.is_some() == wanted.is_some() {
                return Ok(carried);
            }
        }
        Err(NotCarried::Unsettled)
    }

    /// Before the first suspension: whether it was active, and is to be so again. Somebody else may have suspended it, and
    /// then it is not ours to resume.
    async fn note_what_is_taken(&self, account: &Account, parent: &Client) -> Result<(), NotCarried> {
        if self.store.find_taken(account.sid, ACTIVE).await?.is_some() {
            return Ok(());
        }
        // What the list said last is enough where it was active: no question delays the suspension. So whoever suspends it
        // between that list and the trip is not told from us.
        let is_active = account.status == AccountStatus::Active.as_str()
            || effects::standing(parent, account.sid).await? == Standing::Active;
        if is_active {
            self.store
                .keep_taken(&Actor::job("status"), account.sid, ACTIVE, json!(true), self.now())
                .await?;
        }
        Ok(())
    }

    /// Whether a suspension that nothing wants any more is ours to end: we made it, or an operator says so.
    async fn may_make_active(&self, account: &Account) -> ringfence_store::Result<bool> {
        let account = self.store.find_account(account.sid).await?;
        let is_wished = account.as_ref().is_some_and(|account| matches!(account.wanted, Wanted::Active(_)));
        match account {
            Some(account) if !is_wished => Ok(self.store.find_taken(account.sid, ACTIVE).await?.is_some()),
            _ => Ok(is_wished),
        }
    }

    /// Why the account must be suspended at this moment; none where nothing and nobody wants it.
    pub(crate) async fn why_suspended(&self, account: &Account) -> ringfence_store::Result<Option<Because>> {
        // Read anew: an operator may have spoken since.
        let held = self.store.find_account(account.sid).await?.is_some_and(
            |account| matches!(account.wanted, Wanted::Suspended(wish) if wish.by == WishedBy::Operator),
        );
        let breakers = self.breakers_of(account).await?;
        Ok(must_be_suspended(&scoped(account), held, &self.limits, &breakers))
    }

    async fn is_in_force(&self, account: &Account, action: Action) -> ringfence_store::Result<bool> {
        let breakers = self.breakers_of(account).await?;
        Ok(in_force(&scoped(account), &self.limits, &breakers, action).next().is_some())
    }

    /// The breakers that watch the account, alone or with others.
    pub(super) async fn breakers_of(&self, account: &Account) -> ringfence_store::Result<Breakers> {
        let mut breakers: Breakers = HashMap::new();
        for subject in [Subject::Account(account.sid), Subject::Together] {
            for breaker in self.store.breakers_of::<State>(&subject.to_string()).await? {
                breakers.insert((breaker.limit, subject), breaker.state);
            }
        }
        Ok(breakers)
    }

    /// All breakers that were ever moved.
    pub(super) async fn breakers(&self) -> ringfence_store::Result<Breakers> {
        let kept = self.store.breakers::<State>().await?.into_iter();
        Ok(kept
            .filter_map(|breaker| Some(((breaker.limit, breaker.subject.parse().ok()?), breaker.state)))
            .collect())
    }

    /// The store knows what the account was made, so that a change by somebody else is seen as one.
    async fn note_status(&self, account: &Account, standing: Standing) -> ringfence_store::Result<()> {
        let status = match standing {
            Standing::Active => "active",
            Standing::Suspended => "suspended",
            Standing::Closed => "closed",
        };
        let by = Actor::job("status");
        self.store.note_status(&by, account.sid, status, self.now()).await?;
        Ok(())
    }

    /// Closes the account's countries while a breaker wants it, and opens afterwards what was open before.
    async fn set_geo(&self, account: &Account) -> Result<Carried, NotCarried> {
        let by = Actor::job("geo");
        let client = self.clients.own(account).ok_or(NotCarried::NoCredentials)?;
        let kept = self.store.find_taken(account.sid, GEO).await?;
        let kept: Option<ClosedGeo> = kept.and_then(|kept| serde_json::from_value(kept).ok());
        if self.is_in_force(account, Action::CloseGeo).await? {
            let closed = async {
                let open = find_open_geo(&client).await?;
                self.store.keep_taken(&by, account.sid, GEO, json!(open), self.now()).await?;
                close_geo(&client, &open).await?;
                Ok(Carried::InForce)
            };
            return match closed.await {
                // A suspended account reaches no country, and its own credentials, which this takes, reach nothing.
                Err(NotCarried::NotDone(NotDone::Twilio(error)))
                    if error.inactive() == Some(Inactive::Certain) =>
                {
                    Ok(Carried::Nothing)
                }
                closed => closed,
            };
        }
        let Some(kept) = kept else { return Ok(Carried::Nothing) };
        // While the account is still suspended this fails, and is tried again: it must not stay closed.
        open_geo(&client, &kept).await?;
        self.store.give_back(&by, account.sid, GEO, self.now()).await?;
        Ok(Carried::InForce)
    }

    /// What people are told when an order is in force, if the limit tells anything.
    pub(super) fn news_of(&self, order: &Order) -> Option<Notice> {
        let limit = self.limits.iter().find(|applied| applied.limit.name == order.limit)?;
        let tells = limit.limit.then.contains(&Action::Notify) && !order.lifts;
        tells.then(|| Notice {
            at: self.now(),
            event: Event::InForce {
                account: order.account.clone(),
                limit: order.limit.clone(),
                actions: vec![order.action],
                tripped: order.at,
            },
        })
    }

    /// What people are told when an order fails for the `tries`th time; not every time.
    pub(super) fn trouble_of(&self, order: &Order, tries: u64, why: &str) -> Option<Notice> {
        let is_told = matches!(tries, 3 | 10 | 30) || tries.is_multiple_of(100);
        is_told.then(|| Notice {
            at: self.now(),
            event: Event::ActionFails {
                account: order.account.clone(),
                limit: order.limit.clone(),
                action: order.action,
                tripped: order.at,
                why: why.to_owned(),
                tries: u32::try_from(tries).unwrap_or(u32::MAX),
            },
        })
    }
}

/// Whether an operator said that the account is to be suspended.
pub(super) fn is_held(account: &Account) -> bool {
    matches!(&account.wanted, Wanted::Suspended(wish) if wish.by == WishedBy::Operator)
}
