//! API keys are deleted: whoever stole one has nothing any more. They cannot be given back.

use ringfence_model::Sid;
use ringfence_twilio::client::Client;
use serde::{Deserialize, Serialize};

use super::NotDone;

/// A key that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedKey {
    /// `SK…`.
    pub sid: Sid,
    /// What people called it.
    pub friendly_name: String,
}

/// Deletes every API key of the account, with the credentials of the account or its parent.
pub async fn revoke_keys(client: &Client, account: Sid) -> Result<Vec<RevokedKey>, NotDone> {
    let mut revoked = Vec::new();
    for key in client.keys(account).list().all().await? {
        let Ok(sid) = Sid::parse(&key.sid) else { continue };
        match client.keys(account).delete(sid).await {
            Ok(()) => {
                let friendly_name = key.friendly_name.unwrap_or_default();
                revoked.push(RevokedKey { sid, friendly_name });
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    match client.keys(account).list().all().await?.len() {
        0 => Ok(revoked),
        left => Err(NotDone::NotInForce(format!("{left} keys are still there"))),
    }
}
