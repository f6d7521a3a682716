//! What the daily examination found: so that each finding is told once, and once more when it is mended.
//!
//! Of a finding no more is kept than what tells it from others; its words are in the notice. A row goes when it is mended,
//! so there are never more than there are things to mend.

use jiff::{SignedDuration, Timestamp};

use crate::epoch::put;
use crate::error::Error;
use crate::outbox::{self, NewEffect};
use crate::sql::{Transaction, values};
use crate::{Result, Store};

/// What tells a finding from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingKey {
    /// The check that found it.
    pub check: String,
    /// `AC…`; empty where it is no account's.
    pub account: String,
    /// The thing and its property.
    pub place: String,
}

/// A finding that was told and is not mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFinding {
    /// Which.
    pub key: FindingKey,
    /// How much it mattered.
    pub severity: String,
    /// Since when it is known.
    pub since: Timestamp,
}

/// What an examination changes.
#[derive(Debug, Clone, Default)]
pub struct FindingsChange {
    /// Found for the first time, or graver than it was, with how much each matters: together with the notice that tells
    /// them.
    pub new: Vec<(Vec<(FindingKey, String)>, NewEffect)>,
    /// Still there, and matters less than it did: should it get worse again, that is news again.
    pub eased: Vec<(FindingKey, String)>,
    /// Mended, together with the notice that says so, where one is wanted.
    pub mended: Vec<(Vec<FindingKey>, Option<NewEffect>)>,
}

/// When the next examination is due, in a name of `meta`.
const NEXT: &str = "next-examination";

/// Writes nothing where the finding is known and matters no more than it did.
const INSERT_OR_RAISE: &str = "INSERT INTO findings (check_name, account, place, severity, since) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (check_name, account, place) DO UPDATE SET severity = excluded.severity \
     WHERE (CASE excluded.severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END) \
         > (CASE findings.severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END)";

impl Store {
    /// Whether an examination is due. The first is so long after it was first asked for: what a new installation has begun
    /// (a certificate, triggers) comes to its end.
    pub async fn examination_is_due(&self, first_after: SignedDuration, now: Timestamp) -> Result<bool> {
        self.write((first_after, now), |(first_after, now), transaction| {
            Box::pin(async move {
                let row = transaction.find("SELECT value FROM meta WHERE name = $1", values![NEXT]).await?;
                if let Some(row) = row {
                    let text = row.text("value")?;
                    let next: Timestamp = text
                        .parse()
                        .map_err(|_| Error::corrupt(format!("meta, row {NEXT}"), "it is no time"))?;
                    return Ok(next <= *now);
                }
                let next = now.checked_add(*first_after).unwrap_or(Timestamp::MAX);
                put(transaction, NEXT, &next.to_string()).await?;
                Ok(false)
            })
        })
        .await
    }

    /// What was told and is not mended.
    pub async fn open_findings(&self) -> Result<Vec<OpenFinding>> {
        let select = "SELECT check_name, account, place, severity, since FROM findings \
                      ORDER BY check_name, account, place";
        let rows = self.fetch(select, values![]).await?;
        rows.iter()
            .map(|row| {
                let (check, account, place) =
                    (row.text("check_name")?, row.text("account")?, row.text("place")?);
                let key = FindingKey { check, account, place };
                Ok(OpenFinding { key, severity: row.text("severity")?, since: row.time("since")? })
            })
            .collect()
    }

    /// Takes over what an examination changes, and when the next one is due. A notice is ordered in the same transaction as
    /// what it tells of is written, and not where all of that was told before.
    pub async fn change_findings(
        &self,
        change: FindingsChange,
        next: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        self.write((change, next, now), |(change, next, now), transaction| {
            Box::pin(async move {
                for (findings, notice) in &change.new {
                    let mut is_news = false;
                    for (FindingKey { check, account, place }, severity) in findings {
                        let bound = values![check, account, place, severity, *now];
                        is_news |= transaction.execute(INSERT_OR_RAISE, bound).await? > 0;
                    }
                    if is_news {
                        outbox::add_unnoted(transaction, notice, *now).await?;
                    }
                }
                for (FindingKey { check, account, place }, severity) in &change.eased {
                    let update = "UPDATE findings SET severity = $4 \
                                  WHERE check_name = $1 AND account = $2 AND place = $3";
                    transaction.execute(update, values![check, account, place, severity]).await?;
                }
                for (findings, notice) in &change.mended {
                    let mut is_news = false;
                    for FindingKey { check, account, place } in findings {
                        let delete =
                            "DELETE FROM findings WHERE check_name = $1 AND account = $2 AND place = $3";
                        is_news |= transaction.execute(delete, values![check, account, place]).await? > 0;
                    }
                    if let (true, Some(notice)) = (is_news, notice) {
                        outbox::add_unnoted(transaction, notice, *now).await?;
                    }
                }
                put(transaction, NEXT, &next.to_string()).await
            })
        })
        .await
    }
}

/// Makes the next examination due now, where there ever is one: before the first an installation is not yet what it is to be.
pub(crate) async fn examine_next(transaction: &mut Transaction, now: Timestamp) -> Result<()> {
    let update = "UPDATE meta SET value = $2 WHERE name = $1";
    transaction.execute(update, values![NEXT, now.to_string()]).await?;
    Ok(())
}
