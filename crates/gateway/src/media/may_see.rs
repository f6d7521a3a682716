//! Who may see a file, as a type: fetching takes a [`MaySee`], and a check that is skipped makes none.

use http::request::Parts;
use ringfence_model::Secret;

use super::path::MediaPath;
use super::refusal::Refusal;
use super::sign_in;
use crate::connection::Connection;
use crate::snapshot::ActiveMedia;

/// By what right a file is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    ByLink,
    ToSignedIn,
}

impl Shown {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ByLink => "link",
            Self::ToSignedIn => "sign_in",
        }
    }
}

/// Proof that whoever asks may see this file, and with what Twilio is asked for it. Only [`MaySee::find_out`] makes one.
pub(crate) struct MaySee {
    path: MediaPath,
    shown: Shown,
    /// The account's own.
    auth_token: Secret,
}

impl MaySee {
    /// Whether whoever asks may see what the target names. A query makes it a link, whoever is signed in.
    pub(crate) async fn find_out(
        connection: &Connection,
        media: &ActiveMedia,
        target: &str,
        parts: &Parts,
    ) -> Result<Self, Refusal> {
        let shared = &connection.worker.shared;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let path = MediaPath::parse(path).map_err(|_| Refusal::NoFilePath)?;
        let now_unix = shared.clock.unix_seconds();
        let shown = match query {
            Some(query) => {
                let key = shared.media.key(shared.clock.monotonic()).await?;
                key.check(&path, query, now_unix)?;
                Shown::ByLink
            }
            None if sign_in::is_told(&parts.headers) => {
                // As everything else that proxies say of others.
                if !shared.snapshot.load().trusted_proxies.contains(connection.peer) {
                    return Err(Refusal::SignInForged);
                }
                sign_in::check(media.settings.sign_in.as_ref(), &parts.headers, path.account(), now_unix)?;
                Shown::ToSignedIn
            }
            None => return Err(Refusal::NoProof),
        };
        let account = media.accounts.get(&path.account()).ok_or(Refusal::UnknownAccount)?;
        Ok(Self { path, shown, auth_token: account.auth_token.clone() })
    }

    pub(crate) fn path(&self) -> &MediaPath {
        &self.path
    }

    pub(crate) fn shown(&self) -> Shown {
        self.shown
    }

    pub(crate) fn auth_token(&self) -> &Secret {
        &self.auth_token
    }
}

#[cfg(test)]
impl MaySee {
    /// For tests of what comes after.
    pub(crate) fn by_link(path: MediaPath) -> Self {
        Self { path, shown: Shown::ByLink, auth_token: Secret::new("") }
    }
}
