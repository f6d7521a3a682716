//! Forgetting: what is old enough goes, a batch at a time.
//!
//! Nothing that still matters can be old enough: an effect that waits, an observation that nobody settled, an audit row
//! that is not sealed. Of the audit log the beginning goes, up to a signed head, which then signs where the rest begins: the
//! chain verifies from there.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Actor;

use crate::audit::{self, NewAudit};
use crate::sql::{Transaction, values};
use crate::{Result, Store, conversions, rotations, users};

/// What grows with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forget {
    /// Sealed rows of the audit log.
    Audit,
    /// Observations that were settled.
    Observations,
    /// Effects that happened or were given up. The same effect can be added again after that.
    Effects,
    /// Accounts that Twilio's list no longer has, with their tokens, rotations and prices.
    Accounts,
    /// API tokens that are revoked or have expired, and credentials of applications.
    Tokens,
    /// Challenges whose time is over, with their sends, failures of applications' numbers that cost nothing any more, and
    /// what Lookup said of numbers and who entered a code long ago.
    Challenges,
    /// Reservations that ended, and sums under which nothing is set aside and nothing has changed since.
    Reservations,
    /// Windows of budgets that are over.
    Rates,
    /// What breakers had seen on days long ago.
    Readings,
    /// What came of requests under limits on days long ago.
    Tallies,
    /// What came of traffic in hours long ago.
    Traffic,
    /// What came of what was sent in minutes long ago.
    Signs,
    /// What is kept of requests.
    Requests,
    /// What people's sign-ins leave behind: the sign-ins, sessions and trusted devices that are over, codes that were used
    /// or are too old, and attempts at passwords that cost nothing any more.
    SignIns,
    /// Sessions of protected hosts that are over, and codes that led to them.
    Sessions,
    /// Users of applications that were removed, with all that is known of them, at whatever time.
    Users,
}

impl Store {
    /// Deletes at most `batch` rows of each kind that ended before `before`; says how many. A job calls it again until there are
    /// fewer, so that other writes come in between.
    pub async fn forget(
        &self,
        by: &Actor,
        what: Forget,
        before: Timestamp,
        batch: usize,
        now: Timestamp,
    ) -> Result<u64> {
        self.write((by.clone(), what, before, batch, now), |(by, what, before, batch, now), transaction| {
            Box::pin(async move {
                let rows = match what {
                    Forget::Audit => forget_audit(transaction, *before, *batch, *now).await?,
                    Forget::Observations => {
                        let delete = "DELETE FROM observations WHERE key IN (SELECT key FROM observations \
                                      WHERE processed_at < $1 ORDER BY processed_at LIMIT $2)";
                        transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::Effects => {
                        let delete = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox \
                                      WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";
                        transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::Accounts => {
                        let prices = "DELETE FROM prices WHERE account IN (SELECT sid FROM accounts \
                                      WHERE gone_at < $1 ORDER BY gone_at LIMIT $2)";
                        transaction.execute(prices, values![*before, *batch]).await?;
                        rotations::forget(transaction, *before, *batch).await?;
                        let delete = "DELETE FROM accounts WHERE sid IN (SELECT sid FROM accounts \
                                      WHERE gone_at < $1 ORDER BY gone_at LIMIT $2)";
                        transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::Tokens => {
                        let delete = "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens \
                                      WHERE revoked_at < $1 OR expires_at < $1 ORDER BY id LIMIT $2)";
                        let tokens = transaction.execute(delete, values![*before, *batch]).await?;
                        let delete = "DELETE FROM credentials WHERE sid IN (SELECT sid FROM credentials \
                                      WHERE revoked_at < $1 OR expires_at < $1 ORDER BY sid LIMIT $2)";
                        tokens + transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::Challenges => forget_challenges(transaction, *before, *batch, *now).await?,
                    Forget::Reservations => {
                        let delete = "DELETE FROM reservations WHERE id IN (SELECT id FROM reservations \
                                      WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";
                        let ended = transaction.execute(delete, values![*before, *batch]).await?;
                        // No window is longer than a year, but for the one that never ends.
                        let year = now.checked_sub(SignedDuration::from_hours(366 * 24)).unwrap_or(Timestamp::MIN);
                        let delete = "DELETE FROM ledger WHERE (limit_name, subject) IN (SELECT limit_name, subject \
                                      FROM ledger WHERE changed_at < $1 AND reserved = 0 \
                                      AND sums NOT LIKE '%\"alltime\"%' ORDER BY changed_at LIMIT $2) \
                                      AND changed_at < $1 AND reserved = 0";
                        ended + transaction.execute(delete, values![year.min(*before), *batch]).await?
                    }
                    Forget::Rates => {
                        let delete = "DELETE FROM rates WHERE key IN (SELECT key FROM rates \
                                      WHERE ends_at < $1 ORDER BY ends_at LIMIT $2)";
                        transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::Readings => {
                        let delete = "DELETE FROM readings WHERE (limit_name, subject, day) IN (SELECT limit_name, \
                                      subject, day FROM readings WHERE day < $1 ORDER BY day LIMIT $2)";
                        transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::Tallies => {
                        let delete = "DELETE FROM tallies WHERE (limit_name, limit_hash, account, operation, day) IN \
                                      (SELECT limit_name, limit_hash, account, operation, day FROM tallies \
                                      WHERE day < $1 ORDER BY day LIMIT $2)";
                        transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::Traffic => {
                        let delete = "DELETE FROM traffic WHERE (account, prefix, hour) IN (SELECT account, prefix, hour \
                                      FROM traffic WHERE hour < $1 ORDER BY hour LIMIT $2)";
                        transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::Signs => {
                        let delete = "DELETE FROM signs WHERE (account, prefix, slot) IN (SELECT account, prefix, slot \
                                      FROM signs WHERE slot < $1 ORDER BY slot LIMIT $2)";
                        transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::Requests => {
                        let delete = "DELETE FROM requests WHERE id IN (SELECT id FROM requests \
                                      WHERE at < $1 ORDER BY at LIMIT $2)";
                        transaction.execute(delete, values![*before, *batch]).await?
                    }
                    Forget::SignIns => forget_sign_ins(transaction, *before, *batch).await?,
                    Forget::Sessions => forget_sessions(transaction, *before, *batch).await?,
                    Forget::Users => users::erase_of_removed(transaction, *batch).await?,
                };
                if rows > 0 {
                    let audit = NewAudit::new("store.forget", what.word())
                        .with(serde_json::json!({ "before": before.to_string(), "rows": rows }));
                    audit::append(transaction, by, &audit, *now).await?;
                }
                Ok(rows)
            })
        })
        .await
    }
}

/// How long it is believed what kind of line a number leads to: numbers are ported.
pub const LINES_BELIEVED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Deletes challenges with their sends. Failures of a person's factor are never forgotten: they would give new guesses.
async fn forget_challenges(
    transaction: &mut Transaction,
    before: Timestamp,
    batch: usize,
    now: Timestamp,
) -> Result<u64> {
    let sends = "DELETE FROM code_sends WHERE challenge IN (SELECT sid FROM challenges \
                 WHERE expires_at < $1 ORDER BY expires_at, sid LIMIT $2)";
    transaction.execute(sends, values![before, batch]).await?;
    let challenges = "DELETE FROM challenges WHERE sid IN (SELECT sid FROM challenges \
                      WHERE expires_at < $1 ORDER BY expires_at, sid LIMIT $2)";
    let challenges = transaction.execute(challenges, values![before, batch]).await?;
    // There are at most two for each session.
    let passkeys = "DELETE FROM passkey_challenges WHERE expires_at < $1";
    transaction.execute(passkeys, values![before]).await?;
    let failures = "DELETE FROM failures WHERE subject IN (SELECT subject FROM failures \
                    WHERE last < $1 AND subject LIKE 'number/%' ORDER BY subject LIMIT $2)";
    // Each costs something to ask, and none is believed longer.
    let lines_before = now.checked_sub(LINES_BELIEVED_FOR).unwrap_or(Timestamp::MIN);
    let lines = "DELETE FROM line_types WHERE number_tag IN (SELECT number_tag FROM line_types \
                 WHERE looked_at < $1 ORDER BY looked_at LIMIT $2)";
    let lines = transaction.execute(lines, values![lines_before, batch]).await?;
    // A code is good for ten minutes, and a sign-in that it was sent for is over before: it must not be forgotten first.
    let sign_ins_before = before.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
    let sign_ins = users::forget_sign_ins(transaction, sign_ins_before, batch).await?;
    let known = conversions::forget(transaction, batch, now).await?;
    Ok(challenges + lines + sign_ins + known + transaction.execute(failures, values![before, batch]).await?)
}

/// Deletes what sign-ins leave behind. A session that nobody used since is over, whatever it says, and a factor that was begun and never
/// confirmed waits for an hour; a pause after wrong
/// passwords is an hour at most. Failures of a factor stay, and recovery codes that are left.
async fn forget_sign_ins(transaction: &mut Transaction, before: Timestamp, batch: usize) -> Result<u64> {
    let deletes = [
        "DELETE FROM sign_ins WHERE id IN (SELECT id FROM sign_ins WHERE at < $1 ORDER BY at, id LIMIT $2)",
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 OR seen_at < $1 \
         ORDER BY id LIMIT $2)",
        "DELETE FROM factors WHERE id IN (SELECT id FROM factors WHERE verified_at IS NULL AND created_at < $1 \
         ORDER BY id LIMIT $2)",
        "DELETE FROM devices WHERE id IN (SELECT id FROM devices WHERE ended_at < $1 OR expires_at < $1 \
         ORDER BY id LIMIT $2)",
        "DELETE FROM single_use_codes WHERE tag IN (SELECT tag FROM single_use_codes WHERE used_at < $1 \
         OR expires_at < $1 ORDER BY tag LIMIT $2)",
        "DELETE FROM failures WHERE subject IN (SELECT subject FROM failures WHERE last < $1 \
         AND subject NOT LIKE 'factor/%' AND subject NOT LIKE 'number/%' AND subject NOT LIKE 'user/%' \
         ORDER BY subject LIMIT $2)",
    ];
    let mut rows = 0;
    for delete in deletes {
        rows += transaction.execute(delete, values![before, batch]).await?;
    }
    Ok(rows + users::forget(transaction, before, batch).await?)
}

/// Deletes sessions of protected hosts that are over, and the codes that led to them. Those of the console are among what
/// sign-ins leave behind.
async fn forget_sessions(transaction: &mut Transaction, before: Timestamp, batch: usize) -> Result<u64> {
    let mut rows = 0;
    for delete in [
        "DELETE FROM hand_overs WHERE hash IN (SELECT hash FROM hand_overs \
         WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        "DELETE FROM host_sessions WHERE hash IN (SELECT hash FROM host_sessions \
         WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
    ] {
        rows += transaction.execute(delete, values![before, batch]).await?;
    }
    Ok(rows)
}

/// Deletes the beginning of the log. It ends where the first row is that must stay, and one row earlier at least than
/// the chain: the end of the chain is what the next row is chained to.
async fn forget_audit(
    transaction: &mut Transaction,
    before: Timestamp,
    batch: usize,
    now: Timestamp,
) -> Result<u64> {
    // Times in the log are those of several clocks, so the first row that must stay counts, not the last that need not.
    let last = "SELECT c.seq, c.audit_id, c.hash FROM audit_chain c WHERE c.audit_id < (SELECT coalesce(min(id), \
                (SELECT max(audit_id) FROM audit_chain)) FROM audit WHERE at >= $1) \
                AND c.seq < (SELECT max(seq) FROM audit_chain) AND c.seq <= (SELECT min(seq) FROM audit_chain) + $2 - 1 \
                ORDER BY c.seq DESC LIMIT 1";
    let Some(row) = transaction.find(last, values![before, batch]).await? else { return Ok(0) };
    let (seq, audit_id, hash) = (row.int("seq")?, row.int("audit_id")?, row.bytes("hash")?);
    // The checkpoint comes first: rows after it cannot be deleted.
    audit::rewrite_checkpoint(transaction, seq, audit_id, &hash, now).await?;
    transaction.execute("DELETE FROM audit_chain WHERE seq <= $1", values![seq]).await?;
    transaction.execute("DELETE FROM audit_heads WHERE seq <= $1", values![seq]).await?;
    transaction.execute("DELETE FROM audit WHERE id <= $1", values![audit_id]).await
}

impl Forget {
    /// How many rows are deleted in one transaction at most, so that nobody waits for it for long. Much hangs on a user.
    pub const fn at_once(self) -> usize {
        match self {
            Self::Users => 100,
            _ => 500,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Observations => "observations",
            Self::Effects => "effects",
            Self::Reservations => "reservations",
            Self::Accounts => "accounts",
            Self::Tokens => "tokens",
            Self::Challenges => "challenges",
            Self::Rates => "rates",
            Self::Readings => "readings",
            Self::Tallies => "tallies",
            Self::Traffic => "traffic",
            Self::Signs => "signs",
            Self::Requests => "requests",
            Self::SignIns => "sign-ins",
            Self::Users => "users",
            Self::Sessions => "sessions",
        }
    }
}
