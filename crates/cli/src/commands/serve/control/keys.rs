//! What the control plane knows of accounts and their tokens, as the gate and the egress take it.

use std::sync::{Arc, OnceLock};

use ringfence_control::engine::Clients;
use ringfence_control::node::{KeysInUse, OnAccounts, SignedBy, SignedWith};
use ringfence_control::rotation::{self, TokensOf};
use ringfence_control::shared_keys;
use ringfence_gateway::{Keys, KnownKeys, LearntAccount, LearntSharedKey, RotatedTokens};
use ringfence_signature::Algorithm;
use ringfence_store::{Account, SharedKey, Store};

/// Hands accounts and keys to the gate, once it runs.
pub(super) fn on_accounts(keys: &Arc<OnceLock<Keys>>) -> OnAccounts {
    let keys = Arc::clone(keys);
    Arc::new(move |known| match keys.get() {
        Some(keys) => keys.learn_with(for_gate(known)),
        None => Vec::new(),
    })
}

/// Accounts and keys as the gate has them.
pub(in crate::commands) fn for_gate(known: &KeysInUse) -> KnownKeys {
    KnownKeys {
        accounts: known.accounts.iter().filter_map(learnt).collect(),
        rotated: known.tokens.iter().map(rotated).collect(),
        shared: known.shared.iter().filter_map(shared).collect(),
    }
}

/// Asks the gate with which tokens requests were signed.
pub(super) fn signed_with(keys: &Arc<OnceLock<Keys>>) -> SignedWith {
    let keys = Arc::clone(keys);
    Arc::new(move || {
        let signed = keys.get().map(Keys::take_signed_with).unwrap_or_default();
        signed.iter().map(|it| SignedBy { account: it.account, new: it.new, old: it.old }).collect()
    })
}

/// What the store knows of accounts and their tokens. Nothing where it is not there or does not answer: the node asks again.
pub(super) async fn known(store: Option<&Arc<Store>>, clients: &Clients) -> Option<KeysInUse> {
    let store = store?;
    let known = async {
        let tokens = rotation::take_over(store, clients).await?.tokens;
        let shared = shared_keys::in_use(store).await?;
        Ok::<_, ringfence_store::Error>(KeysInUse { accounts: store.accounts().await?, tokens, shared })
    };
    match known.await {
        Ok(known) => Some(known),
        Err(error) => {
            tracing::warn!(%error, "what is known of accounts cannot be read yet");
            None
        }
    }
}

/// An account with its token, for the gate; one that Twilio no longer lists has none that counts.
fn learnt(account: &Account) -> Option<LearntAccount> {
    let auth_token = account.auth_token.clone().filter(|_| account.gone_at.is_none())?;
    Some(LearntAccount {
        sid: account.sid,
        parent: account.parent,
        auth_token,
        friendly_name: account.friendly_name.clone(),
        created: account.created,
    })
}

/// The tokens of an account that a rotation concerns, for the gate and the egress.
fn rotated(tokens: &TokensOf) -> RotatedTokens {
    RotatedTokens {
        sid: tokens.account,
        ask: tokens.ask.clone(),
        signs: tokens.signs.clone(),
        or: tokens.or.clone(),
        replaced: tokens.replaced.iter().cloned().collect(),
        is_watched: tokens.is_watched,
    }
}

/// A SharedKey that Twilio has given out, for the gate, with the algorithm that all of ours have.
fn shared(key: &SharedKey) -> Option<LearntSharedKey> {
    let of = key.key.as_ref()?;
    let algorithm = Algorithm::parse(shared_keys::ALGORITHM)?;
    Some(LearntSharedKey { account: key.account, id: of.id.clone(), secret: of.secret.clone(), algorithm })
}

#[cfg(test)]
mod tests;
