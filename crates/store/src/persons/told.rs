//! Who hears of it when a sign-in is changed: a row of the outbox in the same transaction, so that no crash lies between.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use ringfence_model::Actor;

use super::Factor;
use crate::Result;
use crate::outbox::{self, NewEffect};
use crate::sql::Transaction;

/// What people are told of a change of their sign-in. It is asked inside the transaction, with the factors that are taken
/// away in it: those that were there at that moment, whatever somebody saw before. It may be asked more than once where the
/// transaction is run again, and must give the same effects of the same factors.
#[derive(Clone)]
pub struct Told {
    telling: Arc<Telling>,
    /// What is told instead where nothing was changed but that a factor was wrong too often.
    worn_out: Option<NewEffect>,
}

type Telling = dyn Fn(&[Factor]) -> Vec<NewEffect> + Send + Sync;

impl Told {
    /// What is told, by what was taken away; nothing was where a first factor of its kind begins to count.
    pub fn by(telling: impl Fn(&[Factor]) -> Vec<NewEffect> + Send + Sync + 'static) -> Self {
        Self { telling: Arc::new(telling), worn_out: None }
    }

    /// This one thing, whatever was taken away.
    pub fn with(effect: NewEffect) -> Self {
        Self::by(move |_| vec![effect.clone()])
    }

    /// Nobody has to hear of it.
    pub fn nobody() -> Self {
        Self::by(|_| Vec::new())
    }

    /// What is told besides of the failure after which a factor counts no more.
    #[must_use]
    pub fn where_worn_out(self, effect: NewEffect) -> Self {
        Self { worn_out: Some(effect), ..self }
    }

    pub(super) async fn write_worn_out(&self, transaction: &mut Transaction, now: Timestamp) -> Result<()> {
        if let Some(effect) = &self.worn_out {
            outbox::add(transaction, &Actor::job("letters"), effect, now).await?;
        }
        Ok(())
    }

    pub(super) async fn write(
        &self,
        transaction: &mut Transaction,
        removed: &[Factor],
        now: Timestamp,
    ) -> Result<()> {
        let by = Actor::job("letters");
        for effect in (self.telling)(removed) {
            outbox::add(transaction, &by, &effect, now).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Told(…)")
    }
}
