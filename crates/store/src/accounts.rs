//! Twilio's accounts as they were last seen, and what we want of them.
//!
//! What Twilio says (the status) and what was decided here (the wish) are kept apart: an account that is active at Twilio
//! while we want it suspended was changed by somebody else, and one that Twilio suspended itself is not ours to resume.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Secret, Sid};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::factor_keys::FactorKeys;
use crate::rotations;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, storable, values};
use crate::{Result, Store};

/// An account as Twilio has just told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAccount {
    /// Its SID.
    pub sid: Sid,
    /// The SID of its parent; `None` for the parent itself.
    pub parent: Option<Sid>,
    /// Its name, as people gave it.
    pub friendly_name: String,
    /// Its status in Twilio's word: `active`, `suspended`, `closed`, or one that is yet to come.
    pub status: String,
    /// Its auth token, if this answer has it. `None` leaves the one that is known, and so does a token that a rotation
    /// replaced.
    pub auth_token: Option<Secret>,
    /// When it was made at Twilio, if this answer says so. `None` leaves what is known.
    pub created: Option<Timestamp>,
    /// When it last changed at Twilio, if this answer says so. `None` leaves what is known.
    pub changed: Option<Timestamp>,
}

/// An account as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its SID.
    pub sid: Sid,
    /// The SID of its parent; `None` for the parent itself.
    pub parent: Option<Sid>,
    /// Its name.
    pub friendly_name: String,
    /// Its status at Twilio when it was last seen.
    pub status: String,
    /// Its auth token, if one was ever seen.
    pub auth_token: Option<Secret>,
    /// When it was made at Twilio; when it was first seen, if Twilio never said.
    pub created: Timestamp,
    /// When it last changed at Twilio, as far as Twilio said.
    pub changed_at: Option<Timestamp>,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen, to the hour.
    pub last_seen: Timestamp,
    /// Since when Twilio's list no longer has it.
    pub gone_at: Option<Timestamp>,
    /// What we want of it.
    pub wanted: Wanted,
}

/// What we want of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing in particular: whatever it is at Twilio is right.
    AsItIs,
    /// Suspended, and again suspended whenever it is found otherwise.
    Suspended(Wish),
    /// Active again, until that is confirmed.
    Active(Wish),
}

/// Why something is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Who wants it.
    pub by: WishedBy,
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// Who wants an account suspended or active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WishedBy {
    /// A limit of ours, by its name.
    Limit(String),
    /// An operator.
    Operator,
    /// Twilio suspended it by itself: we do not resume it.
    Twilio,
}

/// What a synchronisation changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synchronised {
    /// Accounts that were never seen before, or come back.
    pub new: Vec<Sid>,
    /// Accounts whose status changed at Twilio: the SID, the status before and the status now.
    pub changed: Vec<(Sid, String, String)>,
    /// Accounts that are no longer in the list.
    pub gone: Vec<Sid>,
}

impl Store {
    /// Takes over what Twilio says of accounts. Where the list is `complete`, accounts that are not in it are gone.
    pub async fn synchronise_accounts(
        &self,
        by: &Actor,
        seen: Vec<SeenAccount>,
        complete: bool,
        now: Timestamp,
    ) -> Result<Synchronised> {
        let keys = self.factor_keys().await?;
        let data = (by.clone(), seen, complete, keys, now);
        self.write(data, |(by, seen, complete, keys, now), transaction| {
            Box::pin(async move {
                let mut known = std::collections::BTreeMap::new();
                for row in transaction.fetch("SELECT * FROM accounts", values![]).await? {
                    let account = read(&transaction.keys, &row)?;
                    known.insert(account.sid, account);
                }
                let mut outcome = Synchronised::default();
                for account in seen {
                    let before = known.remove(&account.sid);
                    let token = token_of(transaction, account, before.as_ref(), keys).await?;
                    see(transaction, by, (account, token), before, &mut outcome, *now).await?;
                }
                let missing = known.into_values().filter(|account| *complete && account.gone_at.is_none());
                for account in missing {
                    let update = "UPDATE accounts SET gone_at = $2 WHERE sid = $1";
                    transaction.execute(update, values![account.sid, *now]).await?;
                    note(transaction, by, "account.gone", account.sid, json!({}), *now).await?;
                    outcome.gone.push(account.sid);
                }
                Ok(outcome)
            })
        })
        .await
    }

    /// Notes what one account has been made, or was found to be. Says whether that is news.
    pub async fn note_status(&self, by: &Actor, sid: Sid, status: &str, now: Timestamp) -> Result<bool> {
        self.write((by.clone(), sid, status.to_owned(), now), |(by, sid, status, now), transaction| {
            Box::pin(async move {
                let row =
                    transaction.find("SELECT status FROM accounts WHERE sid = $1", values![*sid]).await?;
                let before = row.ok_or_else(|| Error::missing(format!("account {sid}")))?.text("status")?;
                if before == *status {
                    return Ok(false);
                }
                let update = "UPDATE accounts SET status = $2 WHERE sid = $1";
                transaction.execute(update, values![*sid, status]).await?;
                let detail = json!({ "from": before, "to": status });
                note(transaction, by, "account.status", *sid, detail, *now).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Says what we want of an account from now on. [`Missing`](Error::Missing) if it was never seen.
    pub async fn want_account(&self, by: &Actor, sid: Sid, wanted: Wanted, now: Timestamp) -> Result<()> {
        self.write((by.clone(), sid, wanted, now), |(by, sid, wanted, now), transaction| {
            Box::pin(want(transaction, by, *sid, wanted, *now))
        })
        .await
    }

    /// One account.
    pub async fn find_account(&self, sid: Sid) -> Result<Option<Account>> {
        let row = self.find("SELECT * FROM accounts WHERE sid = $1", values![sid]).await?;
        row.map(|row| read(&self.keys, &row)).transpose()
    }

    /// All accounts, those that are gone included, by SID.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let rows = self.fetch("SELECT * FROM accounts ORDER BY sid", values![]).await?;
        rows.iter().map(|row| read(&self.keys, row)).collect()
    }
}

/// Changes the wish, in the transaction of what leads to it.
pub(crate) async fn want(
    transaction: &mut Transaction,
    by: &Actor,
    sid: Sid,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<()> {
    let (word, wish) = match wanted {
        Wanted::AsItIs => (AS_IT_IS, None),
        Wanted::Suspended(wish) => (SUSPENDED, Some(wish)),
        Wanted::Active(wish) => (ACTIVE, Some(wish)),
    };
    let update = "UPDATE accounts SET wanted = $2, wanted_reason = $3, wanted_by = $4, wanted_since = $5 WHERE sid = $1";
    let bound = values![
        sid,
        word,
        wish.map(|wish| wish.reason.as_str()),
        wish.map(|wish| wish.by.to_string()),
        wish.map(|wish| wish.since)
    ];
    if transaction.execute(update, bound).await? == 0 {
        return Err(Error::missing(format!("account {sid}")));
    }
    let detail = json!({ "wanted": word, "for": wish.map(|wish| wish.by.to_string()), "reason": wish.map(|wish| &wish.reason) });
    note(transaction, by, "account.want", sid, detail, now).await
}

/// A thousand accounts are listed every minute, and hardly any has changed.
fn says_nothing_new(seen: &SeenAccount, token: Option<&Secret>, before: &Account, now: Timestamp) -> bool {
    let is_unsaid_or = |new: Option<Timestamp>, old: Option<Timestamp>| new.is_none() || new == old;
    before.gone_at.is_none()
        && before.parent == seen.parent
        && before.status == seen.status
        && before.friendly_name == storable(seen.friendly_name.clone())
        && (token.is_none() || token == before.auth_token.as_ref())
        && is_unsaid_or(seen.created, Some(before.created))
        && is_unsaid_or(seen.changed, before.changed_at)
        && now.duration_since(before.last_seen).abs() < SignedDuration::from_hours(1)
}

/// The token that an answer brings. A list may be as old as its reading took: a token in it that a rotation has replaced
/// meanwhile is not put back in the place of the new one.
async fn token_of(
    transaction: &mut Transaction,
    seen: &SeenAccount,
    before: Option<&Account>,
    keys: &FactorKeys,
) -> Result<Option<Secret>> {
    let Some(token) = &seen.auth_token else { return Ok(None) };
    let known = before.and_then(|before| before.auth_token.as_ref());
    if known == Some(token) {
        return Ok(Some(token.clone()));
    }
    // A promotion that is being written down is waited for, and then seen.
    let lock = "UPDATE accounts SET auth_token = auth_token WHERE sid = $1 RETURNING *";
    let known = match transaction.find(lock, values![seen.sid]).await? {
        Some(row) => read(&transaction.keys, &row)?.auth_token,
        None => None,
    };
    let Some(rotated) = rotations::rotated_token(transaction, seen.sid).await? else {
        return Ok(Some(token.clone()));
    };
    let is_replaced =
        |token: &Secret| rotated.token != *token && rotated.replaced.contains(&rotations::tag(keys, token));
    Ok(Some(match known {
        _ if !is_replaced(token) => token.clone(),
        Some(known) if !is_replaced(&known) => known,
        _ => rotated.token,
    }))
}

async fn see(
    transaction: &mut Transaction,
    by: &Actor,
    (seen, token): (&SeenAccount, Option<Secret>),
    before: Option<Account>,
    outcome: &mut Synchronised,
    now: Timestamp,
) -> Result<()> {
    if before.as_ref().is_some_and(|before| says_nothing_new(seen, token.as_ref(), before, now)) {
        return Ok(());
    }
    let sid = seen.sid.to_string();
    let name = storable(seen.friendly_name.clone());
    let name = transaction.keys.seal(place("friendly_name", &sid), name.as_bytes());
    let known = before.as_ref().and_then(|it| it.auth_token.as_ref());
    let is_new_token = token.is_some() && token.as_ref() != known;
    let token =
        token.map(|token| transaction.keys.seal(place("auth_token", &sid), token.expose().as_bytes()));
    let upsert = "INSERT INTO accounts (sid, parent, friendly_name, auth_token, status, first_seen, last_seen, \
                  created, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8) \
                  ON CONFLICT (sid) DO UPDATE SET parent = excluded.parent, \
                  friendly_name = excluded.friendly_name, status = excluded.status, gone_at = NULL, \
                  auth_token = coalesce(excluded.auth_token, accounts.auth_token), last_seen = excluded.last_seen, \
                  created = coalesce(excluded.created, accounts.created), \
                  changed_at = coalesce(excluded.changed_at, accounts.changed_at)";
    let bound = values![seen.sid, seen.parent, name, token, &seen.status, now, seen.created, seen.changed];
    transaction.execute(upsert, bound).await?;

    match before {
        Some(before) if before.gone_at.is_none() => {
            if before.status != seen.status {
                let detail = json!({ "from": before.status, "to": seen.status });
                note(transaction, by, "account.status", seen.sid, detail, now).await?;
                outcome.changed.push((seen.sid, before.status, seen.status.clone()));
            }
            if is_new_token {
                note(transaction, by, "account.token", seen.sid, json!({}), now).await?;
            }
        }
        _ => {
            note(transaction, by, "account.new", seen.sid, json!({ "status": seen.status }), now).await?;
            outcome.new.push(seen.sid);
        }
    }
    Ok(())
}

async fn note(
    transaction: &mut Transaction,
    by: &Actor,
    action: &str,
    sid: Sid,
    detail: serde_json::Value,
    now: Timestamp,
) -> Result<()> {
    let audit = NewAudit::new(action, format!("account {sid}")).with(detail);
    audit::append(transaction, by, &audit, now).await?;
    Ok(())
}

const AS_IT_IS: &str = "as-it-is";
const SUSPENDED: &str = "suspended";
const ACTIVE: &str = "active";

fn place<'a>(column: &'a str, sid: &'a str) -> Place<'a> {
    Place { table: "accounts", column, row: sid }
}

fn read(keys: &Keyring, row: &Row) -> Result<Account> {
    let sid = row.text("sid")?;
    let name = keys.open_text(place("friendly_name", &sid), &row.bytes("friendly_name")?)?;
    let auth_token = match row.maybe_bytes("auth_token")? {
        Some(sealed) => Some(Secret::new(keys.open_text(place("auth_token", &sid), &sealed)?.as_str())),
        None => None,
    };
    let wanted = row.text("wanted")?;
    let corrupt = |why: &str| Error::corrupt(format!("accounts.wanted of {sid}"), why);
    let wish = || {
        let by = row.maybe_text("wanted_by")?.ok_or_else(|| corrupt("nobody wants it"))?;
        Ok::<_, Error>(Wish {
            by: WishedBy::parse(&by).ok_or_else(|| corrupt("nobody is called so"))?,
            reason: row.text("wanted_reason")?,
            since: row.time("wanted_since")?,
        })
    };
    let wanted = match wanted.as_str() {
        AS_IT_IS => Wanted::AsItIs,
        SUSPENDED => Wanted::Suspended(wish()?),
        ACTIVE => Wanted::Active(wish()?),
        _ => return Err(corrupt("it is none of the words")),
    };
    Ok(Account {
        sid: row.sid("sid")?,
        parent: row.maybe_sid("parent")?,
        friendly_name: name.to_string(),
        status: row.text("status")?,
        auth_token,
        created: row.maybe_time("created")?.map_or_else(|| row.time("first_seen"), Ok)?,
        changed_at: row.maybe_time("changed_at")?,
        first_seen: row.time("first_seen")?,
        last_seen: row.time("last_seen")?,
        gone_at: row.maybe_time("gone_at")?,
        wanted,
    })
}

impl fmt::Display for WishedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(name) => write!(formatter, "limit {name}"),
            Self::Operator => formatter.write_str("operator"),
            Self::Twilio => formatter.write_str("twilio"),
        }
    }
}

impl WishedBy {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "operator" => Some(Self::Operator),
            "twilio" => Some(Self::Twilio),
            _ => text.strip_prefix("limit ").map(|name| Self::Limit(name.to_owned())),
        }
    }
}
