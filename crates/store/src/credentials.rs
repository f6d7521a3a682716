//! Credentials of applications: a SID and a secret, as Twilio's API keys are.
//!
//! A secret is 32 random bytes, so its SHA-256 can be stored plainly, as a [token's](crate::Token) is. Each credential is
//! of one kind, for one interface of Ringfence, and opens no other.

use aws_lc_rs::digest;
use jiff::Timestamp;
use ringfence_model::{Actor, Secret, Sid};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, values};
use crate::{Because, Result, Store, hex};

/// What every secret begins with, so that scanners of repositories know one. Letters and digits alone: Twilio's Go library
/// refuses any other password before it asks anybody.
const PREFIX: &str = "rfk";

/// A credential to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// Which interface it opens: `verify`, or `egress`, whose scopes are [`EgressScopes`](crate::EgressScopes).
    pub kind: String,
    /// Of which application; `None` where its kind knows none.
    pub application: Option<Sid>,
    /// What it is for, for people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// From when on it is worthless; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A credential without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `SK…`, its user name.
    pub sid: Sid,
    /// Which interface it opens.
    pub kind: String,
    /// Of which application.
    pub application: Option<Sid>,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom; `None` where it was made before that was kept.
    pub created_by: Option<Actor>,
    /// When it last asked for what costs something, to the minute; only the egress notes it.
    pub used_at: Option<Timestamp>,
    /// From when on it is worthless.
    pub expires_at: Option<Timestamp>,
    /// Since when it is revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Credential {
    /// Whether it opens anything at this time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl Store {
    /// Makes a credential. The secret is given out this once. [`Missing`](Error::Missing) where its application is not
    /// there.
    pub async fn create_credential(
        &self,
        by: impl Into<Because>,
        new: NewCredential,
        now: Timestamp,
    ) -> Result<(Credential, Secret)> {
        let secret = Secret::new(format!("{PREFIX}{}", hex::write(&crate::random::<32>())));
        let sid = Sid::new(*b"SK", u128::from_be_bytes(crate::random()));
        let data = (by.into(), sid, hash(&secret), new, now);
        let made = self
            .write(data, |(by, sid, hash, new, now), transaction| {
                Box::pin(async move {
                    if let Some(application) = new.application {
                        let select = "SELECT sid FROM applications WHERE sid = $1 AND removed_at IS NULL";
                        let found = transaction.find(select, values![application]).await?;
                        found.ok_or_else(|| Error::missing(format!("application {application}")))?;
                    }
                    let insert = "INSERT INTO credentials (sid, hash, kind, application, name, scopes, created_at, \
                                  expires_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *";
                    let scopes = json!(new.scopes).to_string();
                    let bound = values![
                        *sid,
                        hash.as_slice(),
                        &new.kind,
                        new.application,
                        &new.name,
                        scopes,
                        *now,
                        new.expires_at,
                        by.by.to_string(),
                    ];
                    let row = transaction.find(insert, bound).await?;
                    let made = read(&row.ok_or_else(|| Error::corrupt("credentials", "an insert gave back no row"))?)?;
                    let detail = by.detail(json!({
                        "kind": made.kind,
                        "application": made.application.map(|sid| sid.to_string()),
                        "name": made.name,
                        "scopes": made.scopes,
                        "expires_at": made.expires_at.map(|at| at.to_string()),
                    }));
                    let audit = NewAudit::new("credential.create", format!("credential {sid}")).with(detail);
                    audit::append(transaction, &by.by, &audit, *now).await?;
                    Ok(made)
                })
            })
            .await?;
        Ok((made, secret))
    }

    /// The credential of a kind with this secret, if it is good at this time.
    pub async fn find_credential(
        &self,
        kind: &str,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<Option<Credential>> {
        let select = "SELECT * FROM credentials WHERE hash = $1 AND kind = $2";
        let row = self.find(select, values![hash(secret), kind]).await?;
        let credential = row.map(|row| read(&row)).transpose()?;
        Ok(credential.filter(|credential| credential.is_good(now)))
    }

    /// All credentials, the newest first, those that are worthless included; of one application, if one is given.
    pub async fn credentials(&self, application: Option<Sid>) -> Result<Vec<Credential>> {
        let select =
            "SELECT * FROM credentials WHERE $1 = '' OR application = $1 ORDER BY created_at DESC, sid";
        let application = application.map(|sid| sid.to_string()).unwrap_or_default();
        self.fetch(select, values![application]).await?.iter().map(read).collect()
    }

    /// One credential by its SID, whatever it is worth.
    pub async fn credential(&self, sid: Sid) -> Result<Option<Credential>> {
        let row = self.find("SELECT * FROM credentials WHERE sid = $1", values![sid]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Revokes a credential for good. [`Missing`](Error::Missing) if there is none; revoking it again is fine.
    pub async fn revoke_credential(&self, by: impl Into<Because>, sid: Sid, now: Timestamp) -> Result<()> {
        self.write((by.into(), sid, now), |(by, sid, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE credentials SET revoked_at = $2 WHERE sid = $1 AND revoked_at IS NULL";
                if transaction.execute(update, values![*sid, *now]).await? == 0 {
                    let known =
                        transaction.find("SELECT sid FROM credentials WHERE sid = $1", values![*sid]).await?;
                    return known.map(|_| ()).ok_or_else(|| Error::missing(format!("credential {sid}")));
                }
                let audit = NewAudit::new("credential.revoke", format!("credential {sid}"));
                let audit = audit.with(by.detail(json!({})));
                audit::append(transaction, &by.by, &audit, *now).await?;
                Ok(())
            })
        })
        .await
    }
}

fn hash(secret: &Secret) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.expose().as_bytes()).as_ref().to_vec()
}

fn read(row: &Row) -> Result<Credential> {
    Ok(Credential {
        sid: row.sid("sid")?,
        kind: row.text("kind")?,
        application: row.maybe_sid("application")?,
        name: row.text("name")?,
        scopes: row.json("scopes")?,
        created_at: row.time("created_at")?,
        created_by: row.maybe_text("created_by")?.and_then(|text| {
            let (kind, name) = text.split_once(' ')?;
            Actor::from_parts(kind, name)
        }),
        used_at: row.maybe_time("used_at")?,
        expires_at: row.maybe_time("expires_at")?,
        revoked_at: row.maybe_time("revoked_at")?,
    })
}
