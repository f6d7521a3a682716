//! What still holds the token that a rotation replaces, as far as Ringfence can tell.

use ringfence_control::rotation;
use ringfence_model::Sid;
use ringfence_signature::AccountSid;

use super::super::act::account_name;
use super::super::with_engine::{Installation, store};
use crate::config::Loaded;
use crate::exit::Failure;

/// In sentences, what is certain first.
pub(super) async fn of(
    loaded: &Loaded,
    installation: &Installation,
    account: Sid,
) -> Result<Vec<String>, Failure> {
    let mut holders = Vec::new();
    let in_use = rotation::in_use(&installation.store, &installation.clients).await.map_err(store)?;
    let configured = loaded.control.credentials.iter().find(|it| it.account == account);
    let is_current =
        in_use.tokens.iter().all(|it| it.account != account) && !in_use.outdated.contains(&account);
    if let Some(configured) = configured.filter(|_| !is_current) {
        holders.push(format!(
            "auth_token of [[account]] {account} in {}, from {}: put the new one there once it is promoted, and have \
             `serve` read it again; until then the store's counts",
            loaded.file.display(),
            configured.auth_token_from
        ));
        let nodes = installation.store.nodes().await.map_err(store)?;
        if nodes.len() > 1 {
            let names: Vec<_> = nodes.iter().map(|node| account_name(&node.node)).collect();
            holders.push(format!("the configuration of each node: {}", names.join(", ")));
        }
    }
    let sid = AccountSid::parse(account.to_string().as_bytes());
    let takes = |accounts: &Option<Vec<AccountSid>>| {
        accounts.as_ref().is_none_or(|accounts| sid.is_some_and(|sid| accounts.contains(&sid)))
    };
    for route in loaded.settings.routes.iter().filter(|route| takes(&route.accounts)) {
        let Some(upstream) = route.upstream.address() else { continue };
        holders.push(if route.resign.is_some() {
            format!(
                "the application at {upstream}, behind {}: it is sent signatures anew, so it verifies by itself, with the new \
                 token from the promotion on",
                route.label
            )
        } else {
            format!("the application at {upstream}, behind {}, if it verifies signatures by itself", route.label)
        });
    }
    holders.push(
        "programs that ask Twilio with the token of the account and not through the egress. Virtual credentials and API keys \
         are not concerned"
            .to_owned(),
    );
    Ok(holders)
}
