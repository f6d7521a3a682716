//! What Twilio signs a request with by a configuration and its store: the SharedKey whose rule covers the URL, else the auth token
//! that signs at this moment, also while it is being replaced.

use std::path::Path;

use ringfence_control::rotation;
use ringfence_control::shared_keys::{self, ALGORITHM, Settings};
use ringfence_model::{Secret, Sid};
use ringfence_signature::{Algorithm, Signer};
use ringfence_store::{SharedKey, SharedKeyStep, Store};
use ringfence_twilio::wire::RuleMatch;

use crate::commands::with_store;
use crate::config::store::Database;
use crate::config::{self, Loaded};
use crate::control_plane;
use crate::exit::Failure;

/// What signs for the account, and where it is from, for people.
pub(super) fn signer(file: &Path, account: Option<&str>, url: &str) -> Result<(Signer, String), Failure> {
    let loaded = config::load(file)?;
    let account = account_of(&loaded, account)?;
    let from_store = match &loaded.control.store {
        // A store that is not there is not made.
        Some(store) if !matches!(&store.database, Database::Sqlite(path) if !path.exists()) => {
            let clients = control_plane::clients(&loaded.control).map_err(Failure::configuration)?;
            with_store::block_on(async {
                let store = with_store::open(store, with_store::now()?).await?;
                let found =
                    by_store(&store, &clients, account, loaded.control.shared_keys.as_ref(), url).await;
                store.close().await;
                found.map_err(|error| with_store::failure(&error))
            })?
        }
        _ => None,
    };
    if let Some(found) = from_store {
        return Ok(found);
    }
    let configured = loaded.control.credentials.iter().find(|known| known.account == account);
    let token = configured.map(|known| &known.auth_token).ok_or_else(|| {
        Failure::usage(format!("no auth token of {account} is known to {}", file.display()))
            .hint("give it with --token-env or --token-file, or name another account with --account")
    })?;
    Ok((Signer::token(token.expose()), format!("the configured auth token of {account}")))
}

/// What the store knows that comes before what is configured.
async fn by_store(
    store: &Store,
    clients: &ringfence_control::engine::Clients,
    account: Sid,
    settings: Option<&Settings>,
    url: &str,
) -> ringfence_store::Result<Option<(Signer, String)>> {
    if settings.is_some_and(|settings| covers(settings, account, url)) {
        let keys = shared_keys::in_use(store).await?;
        let signs = |key: &&SharedKey| key.account == account && key.step == SharedKeyStep::Signing;
        if let (Some(key), Some(algorithm)) =
            (keys.iter().find(signs).and_then(|key| key.key.as_ref()), Algorithm::parse(ALGORITHM))
        {
            let signer = Signer::shared_key(&key.id, key.secret.expose(), algorithm);
            return Ok(Some((signer, format!("the SharedKey {} of {account}", key.id))));
        }
    }
    let tokens = rotation::in_use(store, clients).await?.tokens;
    if let Some(tokens) = tokens.iter().find(|tokens| tokens.account == account) {
        let signer = Signer::token(tokens.signs.expose());
        return Ok(Some((signer, format!("the auth token of {account} that the store has"))));
    }
    if clients.of(account).is_some() {
        return Ok(None);
    }
    let listed: Option<Secret> = store.find_account(account).await?.and_then(|known| known.auth_token);
    Ok(listed.map(|token| {
        (Signer::token(token.expose()), format!("the auth token of {account}, as Twilio's list has it"))
    }))
}

/// Whether a rule of ours is for this URL. What a GET adds to it does not count.
fn covers(settings: &Settings, account: Sid, url: &str) -> bool {
    let bare = url.split('?').next().unwrap_or_default();
    settings.wants(account)
        && settings.urls.iter().any(|matches| match matches {
            RuleMatch::Exact(exact) => bare == exact,
            RuleMatch::Prefix(prefix) => url.starts_with(prefix.as_str()),
            RuleMatch::Default => true,
        })
}

/// The account that is meant; the only one of the configuration where none is named.
fn account_of(loaded: &Loaded, named: Option<&str>) -> Result<Sid, Failure> {
    if let Some(text) = named {
        return Sid::parse(text).ok().filter(|sid| sid.is("AC")).ok_or_else(|| {
            Failure::usage(format!("\"{}\" is no SID of an account", text.escape_debug()))
                .hint("write AC and 32 hexadecimal digits")
        });
    }
    match loaded.control.credentials.as_slice() {
        [only] => Ok(only.account),
        [] => Err(Failure::usage("no [[account]] has an auth_token").hint("name an account with --account")),
        _ => Err(Failure::usage("there are several accounts, and none is named").hint("add --account AC…")),
    }
}
