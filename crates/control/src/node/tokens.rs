//! What a node does about auth tokens that are replaced: it takes over what each step wants, says so, and tells what its gate
//! saw. It does so whether it decides about limits or not: a gate verifies all the same.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_store::{self as store, Life, SeenSignatures};

use super::{Node, SignedBy};

/// What this node has said that it uses.
#[derive(Debug, Default)]
pub(super) struct TakenOver {
    /// Held by whoever puts tokens in force.
    pub(super) telling: tokio::sync::Mutex<()>,
    said: Mutex<Option<(Life, i64)>>,
    /// Accounts whose tokens the gate could not take over.
    refused: Mutex<Vec<Sid>>,
    /// What the gate saw and the store does not know yet.
    seen: Mutex<Vec<(Timestamp, SignedBy)>>,
}

impl Node {
    /// Takes over other tokens as soon as a rotation says so, and tells what the gate saw. It reads next to nothing where
    /// nothing is new.
    pub async fn follow_tokens(&self) -> store::Result<()> {
        self.tell_signed_with().await?;
        let generation = self.setup.store.token_generation().await?;
        let is_said = {
            let said = self.tokens.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.as_ref().is_some_and(|(life, said)| *said == generation && self.is_of(life))
        };
        if is_said && !self.is_refused() { Ok(()) } else { self.tell_accounts().await }
    }

    /// Says in the store that this node uses the tokens of a generation, unless its gate refused some.
    pub(super) async fn say_taken_over(&self, generation: i64, refused: &[Sid]) -> store::Result<()> {
        let before = std::mem::replace(
            &mut *self.tokens.refused.lock().unwrap_or_else(PoisonError::into_inner),
            refused.to_vec(),
        );
        if !refused.is_empty() {
            if before != refused {
                let accounts: Vec<_> = refused.iter().map(ToString::to_string).collect();
                tracing::error!(
                    accounts = accounts.join(", "),
                    "the new auth token or SharedKey cannot be verified with, as more than eight keys would be tried: remove some \
                     of the [[account]]; until then its rotation waits"
                );
            }
            return Ok(());
        }
        let Some(life) = self.life.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Ok(());
        };
        let say = (life, generation);
        if self.tokens.said.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&say) {
            return Ok(());
        }
        self.setup.store.take_over_tokens(&say.0, say.1).await?;
        *self.tokens.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(say);
        Ok(())
    }

    pub(super) fn is_refused(&self) -> bool {
        !self.tokens.refused.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn is_of(&self, life: &Life) -> bool {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(life)
    }

    /// What was seen is kept until the store has it.
    async fn tell_signed_with(&self) -> store::Result<()> {
        let now = self.now();
        let new = self.setup.signed_with.iter().flat_map(|signed_with| signed_with());
        let waiting = {
            let mut seen = self.tokens.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend(new.map(|signed| (now, signed)));
            seen.clone()
        };
        for (told, (at, signed)) in waiting.iter().enumerate() {
            let seen = SeenSignatures { new: signed.new.then_some(*at), old: signed.old.then_some(*at) };
            if let Err(error) = self.setup.store.see_signatures(signed.account, seen).await {
                self.tokens.seen.lock().unwrap_or_else(PoisonError::into_inner).drain(..told);
                return Err(error);
            }
        }
        self.tokens.seen.lock().unwrap_or_else(PoisonError::into_inner).drain(..waiting.len());
        Ok(())
    }
}
