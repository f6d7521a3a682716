//! Whose request this is: the virtual credential that it shows.
//!
//! The one idea: the store is asked for each request, so that one which is revoked opens nothing any more, on any node and on
//! a connection that is long open. Where the store is away, nobody comes in. What an admission decides about asks the store
//! there, in the transaction that sets money aside, so what it may do is [remembered](Remembered) until then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap};
use jiff::Timestamp;
use ringfence_model::{Secret, Sid};
use ringfence_store::{EGRESS, EgressScopes, Store};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::refusal::Refusal;
use crate::basic;

/// What a request shows.
#[derive(Debug)]
pub(crate) struct Presented {
    /// An account, or a credential of ours.
    user: Sid,
    secret: Secret,
}

/// The credential of a request, good at this moment, or [remembered](Remembered) as good.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    /// `SK…`.
    pub(crate) credential: Sid,
    /// What people call it.
    pub(crate) name: Arc<str>,
    /// What it may do.
    pub(crate) scopes: Arc<EgressScopes>,
    /// The account that it named itself with, if it did.
    account: Option<Sid>,
}

/// Credentials that were good when the store was last asked, by the hashes of their secrets. Of a credential nothing ever changes
/// but whether it is good; only who has the store decide about that may go by what stands here.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<HashMap<[u8; 32], Good>>);

/// What is remembered of one.
#[derive(Debug, Clone)]
struct Good {
    credential: Sid,
    name: Arc<str>,
    scopes: Arc<EgressScopes>,
}

/// Credentials that are remembered. With more the memory begins anew.
const REMEMBERED_MAX: usize = 1024;

/// For the store to answer; it is asked before anything else happens.
const LOOK_UP_MAX: Duration = Duration::from_secs(5);

impl Presented {
    /// Reads the one `Authorization` field.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let authorization = headers.get(AUTHORIZATION).ok_or(Refusal::Unauthorized)?;
        let presented = basic::decode(authorization.as_bytes()).ok_or(Refusal::Unauthorized)?;
        let presented = String::from_utf8(presented).map_err(|_| Refusal::Unauthorized)?;
        let presented = Secret::new(presented);
        let (user, secret) = presented.expose().split_once(':').ok_or(Refusal::Unauthorized)?;
        let user = Sid::parse(user).map_err(|_| Refusal::Unauthorized)?;
        if !user.is("AC") && !user.is("SK") {
            return Err(Refusal::Unauthorized);
        }
        Ok(Self { user, secret: Secret::new(secret) })
    }

    /// What is remembered of it.
    pub(crate) fn recall(&self, remembered: &Remembered) -> Option<Holder> {
        let all = remembered.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = all.get(&self.hash()).cloned();
        drop(all);
        good.and_then(|good| self.holder(good).ok())
    }

    /// Has it remembered.
    pub(crate) fn remember(&self, holder: &Holder, remembered: &Remembered) {
        let Holder { credential, name, scopes, .. } = holder.clone();
        let mut all = remembered.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED_MAX {
            all.clear();
        }
        all.insert(self.hash(), Good { credential, name, scopes });
    }

    /// Has it forgotten.
    pub(crate) fn forget(&self, remembered: &Remembered) {
        remembered.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hash());
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose()).into()
    }

    /// Looks the credential up. Whatever is wrong with it is said in the same way.
    pub(crate) async fn look_up(&self, store: &Store, now: Timestamp) -> Result<Holder, Refusal> {
        let found = timeout(LOOK_UP_MAX, store.find_credential(EGRESS, &self.secret, now)).await;
        let found = match found {
            Ok(Ok(found)) => found.ok_or(Refusal::Unauthorized)?,
            Ok(Err(error)) => {
                tracing::error!(%error, "the store did not answer who a credential of the egress belongs to");
                return Err(Refusal::StoreAway);
            }
            Err(_) => return Err(Refusal::StoreAway),
        };
        let scopes = EgressScopes::parse(&found.scopes).map_err(|error| {
            tracing::error!(credential = %found.sid, %error, "a credential cannot be read, so it opens nothing");
            Refusal::Unauthorized
        })?;
        self.holder(Good { credential: found.sid, name: found.name.into(), scopes: Arc::new(scopes) })
    }

    /// Whether it may be shown with this user name.
    fn holder(&self, good: Good) -> Result<Holder, Refusal> {
        let Good { credential, name, scopes } = good;
        let account = self.user.is("AC").then_some(self.user);
        let is_its_own = match account {
            Some(account) => scopes.accounts.contains(account),
            None => self.user == credential,
        };
        if is_its_own { Ok(Holder { credential, name, scopes, account }) } else { Err(Refusal::Unauthorized) }
    }
}

impl Holder {
    /// The account of a request whose path names none: the one that it named itself with, or its only one.
    pub(crate) fn own_account(&self) -> Result<Sid, Refusal> {
        self.account.or_else(|| self.scopes.accounts.the_one()).ok_or(Refusal::WhichAccount)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use http::HeaderValue;

    use super::*;

    fn read(authorization: &str) -> Result<Presented, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        Presented::read(&headers)
    }

    #[test]
    fn what_is_no_basic_with_a_sid_is_refused() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for authorization in [
            "Bearer rfk_0".to_owned(),
            "Basic".to_owned(),
            "Basic ???".to_owned(),
            basic("no colon"),
            basic("user:secret"),
            basic("VA00000000000000000000000000000001:secret"),
            basic("ac00000000000000000000000000000001:secret"),
        ] {
            assert_eq!(read(&authorization).err(), Some(Refusal::Unauthorized), "{authorization}");
        }
        assert_eq!(Presented::read(&HeaderMap::new()).err(), Some(Refusal::Unauthorized));
        let read = read(&basic("AC00000000000000000000000000000001:a:b")).unwrap();
        assert_eq!((read.user, read.secret.expose()), (Sid::new(*b"AC", 1), "a:b"));
    }
}
