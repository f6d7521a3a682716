//! API keys are deleted: whoever stole one has nothing any more. They cannot be given back.

use ringfence_model::Sid;
use ringfence_twilio::client::Client;
use serde::{Deserialize, Serialize};

use super::Each;

/// A key that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedKey {
    /// `SK…`.
    pub sid: Sid,
    /// What people called it.
    pub friendly_name: String,
}

/// Deletes every API key of the account, with the credentials of the account or its parent, and says which.
pub async fn revoke_keys(client: &Client, account: Sid) -> Each<RevokedKey> {
    let mut each = Each::new("keys");
    each.end = async {
        for key in client.keys(account).list().all().await? {
            let Ok(sid) = Sid::parse(&key.sid) else { continue };
            match client.keys(account).delete(sid).await {
                Ok(()) => each.done(RevokedKey { sid, friendly_name: key.friendly_name.unwrap_or_default() }),
                Err(error) if error.is_not_found() => {}
                Err(error) => each.failed(sid, error)?,
            }
        }
        each.all_done(client.keys(account).list().all().await?.len())
    }
    .await;
    each
}
