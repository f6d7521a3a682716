//! Accounts whose usage at Twilio cannot be counted, since when, and why: their limits are blind meanwhile. A row goes when the usage
//! is counted again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sql::values;
use crate::{Result, Store, epoch, findings};

/// What the names of these rows of `meta` begin with.
const OF: &str = "usage unread of ";

/// A round that fails says nothing yet: Twilio answers late, and the next round comes within minutes.
const LONG: SignedDuration = SignedDuration::from_mins(5);

/// Since when the usage of an account is not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageUnread {
    /// Since when.
    pub since: Timestamp,
    /// What Twilio says instead, or what is wrong with what it says.
    pub why: String,
    /// Whether an examination was asked for, to tell people.
    told: bool,
}

impl UsageUnread {
    /// Whether it is so long that a person should know.
    pub fn is_long(&self, now: Timestamp) -> bool {
        now.duration_since(self.since) >= LONG
    }
}

/// By account.
pub type Unread = BTreeMap<Sid, UsageUnread>;

impl Store {
    /// The accounts whose usage is not counted at the moment.
    pub async fn usage_unread(&self) -> Result<Unread> {
        let rows =
            self.fetch("SELECT name, value FROM meta WHERE name LIKE $1", values![format!("{OF}%")]).await?;
        let mut unread = Unread::new();
        for row in rows {
            let (name, value) = (row.text("name")?, row.text("value")?);
            let corrupt = || Error::corrupt(format!("meta, row {name}"), "it is no account that is unread");
            let sid = name.strip_prefix(OF).and_then(|sid| Sid::parse(sid).ok()).ok_or_else(corrupt)?;
            unread.insert(sid, serde_json::from_str(&value).map_err(|_| corrupt())?);
        }
        Ok(unread)
    }

    /// Takes over what a round of reading has found: of whom the usage is not counted, and why. Whoever is not among them is
    /// counted, or there no more. Where people are to be told of something new, an examination is due, and it says so.
    pub async fn note_usage_unread(&self, failed: &BTreeMap<Sid, String>, now: Timestamp) -> Result<bool> {
        let known = self.usage_unread().await?;
        let mut change = Change::default();
        for (sid, unread) in &known {
            if !failed.contains_key(sid) {
                change.read.push(*sid);
                change.is_news |= unread.told;
            }
        }
        for (sid, why) in failed {
            let unread = match known.get(sid) {
                Some(unread) if unread.told || !unread.is_long(now) => continue,
                Some(unread) => UsageUnread { why: why.clone(), told: true, ..unread.clone() },
                None => UsageUnread { since: now, why: why.clone(), told: false },
            };
            change.is_news |= unread.told;
            change.unread.push((*sid, unread));
        }
        let is_news = change.is_news;
        if change.read.is_empty() && change.unread.is_empty() {
            return Ok(false);
        }
        self.write((change, now), |(change, now), transaction| {
            Box::pin(async move {
                for sid in &change.read {
                    let delete = "DELETE FROM meta WHERE name = $1";
                    transaction.execute(delete, values![format!("{OF}{sid}")]).await?;
                }
                for (sid, unread) in &change.unread {
                    let value = serde_json::to_string(unread)
                        .map_err(|_| Error::corrupt("meta", "it cannot be written"))?;
                    epoch::put(transaction, &format!("{OF}{sid}"), &value).await?;
                }
                if change.is_news {
                    findings::examine_next(transaction, *now).await?;
                }
                Ok(())
            })
        })
        .await?;
        Ok(is_news)
    }
}

#[derive(Debug, Default)]
struct Change {
    read: Vec<Sid>,
    unread: Vec<(Sid, UsageUnread)>,
    is_news: bool,
}
