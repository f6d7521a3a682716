//! What the control plane knows of accounts and their tokens, as the gate and the egress take it.

use std::sync::{Arc, OnceLock};

use ringfence_control::engine::Clients;
use ringfence_control::node::{OnAccounts, SignedBy, SignedWith};
use ringfence_control::rotation::{self, TokensOf};
use ringfence_gateway::{Keys, LearntAccount, RotatedTokens};
use ringfence_store::{Account, Store};

/// What the store knew at the start.
pub(super) type Known = (Vec<Account>, Vec<TokensOf>);

/// Hands accounts and tokens to the gate, once it runs.
pub(super) fn on_accounts(keys: &Arc<OnceLock<Keys>>) -> OnAccounts {
    let keys = Arc::clone(keys);
    Arc::new(move |accounts, tokens| {
        let Some(keys) = keys.get() else { return Vec::new() };
        let (accounts, tokens) = for_gate(accounts, tokens);
        keys.learn_with(accounts, tokens)
    })
}

/// Accounts and tokens as the gate has them.
pub(in crate::commands) fn for_gate(
    accounts: &[Account],
    tokens: &[TokensOf],
) -> (Vec<LearntAccount>, Vec<RotatedTokens>) {
    (accounts.iter().filter_map(learnt).collect(), tokens.iter().map(rotated).collect())
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
pub(super) async fn known(store: Option<&Arc<Store>>, clients: &Clients) -> Option<Known> {
    let store = store?;
    let known = async {
        let in_use = rotation::take_over(store, clients).await?;
        Ok::<_, ringfence_store::Error>((store.accounts().await?, in_use.tokens))
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
