//! Bearer tokens of the API.
//!
//! A token is 32 random bytes, so its SHA-256 can be stored plainly: nobody finds the token by trying, and a lookup by the
//! hash tells nothing through its timing. Which scopes there are, and whether an address is in a network, is for the edge
//! that knows them.

use aws_lc_rs::digest;
use jiff::Timestamp;
use ringfence_model::{Actor, Secret};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, values};
use crate::{Because, Result, Store, hex};

/// What every token begins with, so that scanners of repositories know one.
const PREFIX: &str = "rf_";

/// A token to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What it is for, for people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// From which networks it may be used, as `10.0.0.0/8`; empty: from anywhere.
    pub networks: Vec<String>,
    /// From when on it is worthless; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is called in the audit log.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// From which networks it may be used; empty: from anywhere.
    pub networks: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worthless.
    pub expires_at: Option<Timestamp>,
    /// Since when it is revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Token {
    /// Whether it opens anything at this time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl Store {
    /// Makes a token. The secret is given out this once.
    pub async fn create_token(&self, by: &Actor, token: NewToken, now: Timestamp) -> Result<(Token, Secret)> {
        let secret = Secret::new(format!("{PREFIX}{}", hex::write(&crate::random::<32>())));
        let id = format!("tk_{}", hex::write(&crate::random::<6>()));
        let data = (by.clone(), id, hash(&secret), token, now);
        let token = self
            .write(data, |(by, id, hash, token, now), transaction| {
                Box::pin(async move {
                    let insert = "INSERT INTO tokens (id, hash, name, scopes, networks, created_at, expires_at) \
                                  VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *";
                    let scopes = json!(token.scopes).to_string();
                    let networks = json!(token.networks).to_string();
                    let bound = values![
                        id,
                        hash.as_slice(),
                        &token.name,
                        scopes,
                        networks,
                        *now,
                        token.expires_at
                    ];
                    let row = transaction.find(insert, bound).await?;
                    let made = read(&row.ok_or_else(|| Error::corrupt("tokens", "an insert gave back no row"))?)?;
                    let audit = NewAudit::new("token.create", format!("token {id}")).with(json!({
                        "name": made.name,
                        "scopes": made.scopes,
                        "networks": made.networks,
                        "expires_at": made.expires_at.map(|at| at.to_string()),
                    }));
                    audit::append(transaction, by, &audit, *now).await?;
                    Ok(made)
                })
            })
            .await?;
        Ok((token, secret))
    }

    /// The token with this secret, if it is good at this time.
    pub async fn find_token(&self, secret: &Secret, now: Timestamp) -> Result<Option<Token>> {
        let row = self.find("SELECT * FROM tokens WHERE hash = $1", values![hash(secret)]).await?;
        let token = row.map(|row| read(&row)).transpose()?;
        Ok(token.filter(|token| token.is_good(now)))
    }

    /// All tokens, the newest first, those that are worthless included.
    pub async fn tokens(&self) -> Result<Vec<Token>> {
        let rows = self.fetch("SELECT * FROM tokens ORDER BY created_at DESC, id", values![]).await?;
        rows.iter().map(read).collect()
    }

    /// Revokes a token for good. [`Missing`](Error::Missing) if there is none of this id; revoking it again is fine.
    pub async fn revoke_token(&self, by: impl Into<Because>, id: &str, now: Timestamp) -> Result<()> {
        self.write((by.into(), id.to_owned(), now), |(by, id, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
                if transaction.execute(update, values![id, *now]).await? == 0 {
                    let known = transaction.find("SELECT id FROM tokens WHERE id = $1", values![id]).await?;
                    return known.map(|_| ()).ok_or_else(|| Error::missing(format!("token {id}")));
                }
                let audit = NewAudit::new("token.revoke", format!("token {id}"));
                let audit = audit.with(by.detail(serde_json::json!({})));
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

fn read(row: &Row) -> Result<Token> {
    Ok(Token {
        id: row.text("id")?,
        name: row.text("name")?,
        scopes: row.json("scopes")?,
        networks: row.json("networks")?,
        created_at: row.time("created_at")?,
        expires_at: row.maybe_time("expires_at")?,
        revoked_at: row.maybe_time("revoked_at")?,
    })
}
