//! Usage triggers at Twilio that are ours, so that nobody else's is ever touched and a webhook of an unknown one is
//! noticed.

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::observations::Seen;
use crate::sql::{Row, values};
use crate::{Result, Store};

/// A trigger that was made at Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrigger {
    /// Its SID, `UT…`.
    pub sid: Sid,
    /// The account that it is in.
    pub account: Sid,
    /// The limit that it serves.
    pub limit: String,
    /// Whose breaker it serves.
    pub subject: String,
    /// Its `TriggerValue`, as Twilio resolved it.
    pub value: String,
    /// What else it was made of.
    pub definition: serde_json::Value,
}

/// A trigger of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its SID, `UT…`.
    pub sid: Sid,
    /// The account that it is in.
    pub account: Sid,
    /// The limit that it serves.
    pub limit: String,
    /// Whose breaker it serves.
    pub subject: String,
    /// Its `TriggerValue`, as Twilio resolved it.
    pub value: String,
    /// What else it was made of.
    pub definition: serde_json::Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// The period in which it last fired, and when we heard of it.
    pub fired: Option<(String, Timestamp)>,
}

impl Store {
    /// Keeps a trigger that was made.
    pub async fn add_trigger(&self, by: &Actor, trigger: NewTrigger, now: Timestamp) -> Result<Seen> {
        self.write((by.clone(), trigger, now), |(by, it, now), transaction| {
            Box::pin(async move {
                let insert = "INSERT INTO triggers (sid, account, limit_name, subject, value, definition, created_at) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (sid) DO NOTHING";
                let definition = it.definition.to_string();
                let bound = values![it.sid, it.account, &it.limit, &it.subject, &it.value, definition, *now];
                if transaction.execute(insert, bound).await? == 0 {
                    return Ok(Seen::Before);
                }
                let audit = NewAudit::new("trigger.add", format!("trigger {}", it.sid))
                    .with(json!({ "account": it.account.to_string(), "limit": it.limit, "value": it.value }));
                audit::append(transaction, by, &audit, *now).await?;
                Ok(Seen::New)
            })
        })
        .await
    }

    /// Forgets a trigger that is no longer at Twilio. The reason says who took it away.
    pub async fn remove_trigger(&self, by: &Actor, sid: Sid, reason: &str, now: Timestamp) -> Result<bool> {
        self.write((by.clone(), sid, reason.to_owned(), now), |(by, sid, reason, now), transaction| {
            Box::pin(async move {
                let removed =
                    transaction.execute("DELETE FROM triggers WHERE sid = $1", values![*sid]).await? == 1;
                if removed {
                    let audit = NewAudit::new("trigger.remove", format!("trigger {sid}"))
                        .with(json!({ "reason": reason }));
                    audit::append(transaction, by, &audit, *now).await?;
                }
                Ok(removed)
            })
        })
        .await
    }

    /// Notes that a trigger fired in a period, `2026-11-26` say. [`Before`](Seen::Before) if that is known.
    pub async fn trigger_fired(&self, by: &Actor, sid: Sid, period: &str, now: Timestamp) -> Result<Seen> {
        self.write((by.clone(), sid, period.to_owned(), now), |(by, sid, period, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE triggers SET fired = $2, fired_at = $3 \
                              WHERE sid = $1 AND (fired IS NULL OR fired <> $2)";
                if transaction.execute(update, values![*sid, period, *now]).await? == 0 {
                    let known =
                        transaction.find("SELECT sid FROM triggers WHERE sid = $1", values![*sid]).await?;
                    return known
                        .map(|_| Seen::Before)
                        .ok_or_else(|| Error::missing(format!("trigger {sid}")));
                }
                let audit =
                    NewAudit::new("trigger.fire", format!("trigger {sid}")).with(json!({ "period": period }));
                audit::append(transaction, by, &audit, *now).await?;
                Ok(Seen::New)
            })
        })
        .await
    }

    /// One trigger of ours; `None` for anybody else's.
    pub async fn find_trigger(&self, sid: Sid) -> Result<Option<Trigger>> {
        let row = self.find("SELECT * FROM triggers WHERE sid = $1", values![sid]).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// All triggers of ours, by account.
    pub async fn triggers(&self) -> Result<Vec<Trigger>> {
        self.fetch("SELECT * FROM triggers ORDER BY account, sid", values![])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

fn read(row: &Row) -> Result<Trigger> {
    let fired = match (row.maybe_text("fired")?, row.maybe_time("fired_at")?) {
        (Some(period), Some(at)) => Some((period, at)),
        _ => None,
    };
    Ok(Trigger {
        sid: row.sid("sid")?,
        account: row.sid("account")?,
        limit: row.text("limit_name")?,
        subject: row.text("subject")?,
        value: row.text("value")?,
        definition: row.json("definition")?,
        created_at: row.time("created_at")?,
        fired,
    })
}
