//! What is kept of requests, of Twilio and to it: how each was judged and answered, where `[inspector]` of the configuration
//! says so.
//!
//! Whoever writes here has made sure that nothing personal comes so far: names of parameters, and values of which no more
//! than a kind and a length is left. A request is never waited for: nodes write many at once, after they were answered, and
//! what is too many goes with the same write.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::{Actor, Amount, Sid};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::many::{self, PerDialect, insert};
use crate::sql::{Row, Transaction, anywhere, values};
use crate::{Result, Store};

/// What is known of one request after it was answered, with nothing in it that is personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRequest {
    /// When it came.
    pub at: Timestamp,
    /// Who took it: `gate`, `forward-auth`, or `egress`, which passes requests on to Twilio.
    pub part: &'static str,
    /// The route, as logs and metrics call it; of a request to Twilio the operation. Empty for what reached none.
    pub route: String,
    /// The method; `other` where it is none that is known, empty for what was no HTTP.
    pub method: &'static str,
    /// The path without its query, each piece of it that is no plain word by its length.
    pub path: String,
    /// Who sent it.
    pub client: IpAddr,
    /// The account: the one whose key signed, or for which the credential is, or else the one that the request names.
    pub account: Option<Sid>,
    /// Whether a key of the account signed, or the credential was good.
    pub is_proven: bool,
    /// The message, the call or what else it is about.
    pub resource: Option<Sid>,
    /// What Twilio gives every repeat of the same webhook: `I-Twilio-Idempotency-Token`.
    pub token: Option<String>,
    /// What was said of it.
    pub verdict: RequestVerdict,
    /// What it was answered with, by Twilio where it was passed on; none where the caller did not wait for an answer.
    pub status: Option<u16>,
    /// The length of its body, where that was read.
    pub request_bytes: Option<u64>,
    /// The length of the answer's body, where that was known with its head.
    pub answer_bytes: Option<u64>,
    /// From its head to the head of its answer.
    pub took: Duration,
    /// Its parameters, redacted; none where they are not kept, or there were none to read.
    pub parameters: Option<Vec<(String, String)>>,
    /// The verbs of the answer's TwiML, in their order; none where they are not kept, or it was no TwiML read whole.
    pub answer: Option<String>,
    /// What more is known of a request to Twilio.
    pub outgoing: Option<Box<SeenOutgoing>>,
}

/// What is known of a request to Twilio beside what is known of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenOutgoing {
    /// The credential that it showed; none where it was not good.
    pub credential: Option<Sid>,
    /// What people call that.
    pub credential_name: Option<String>,
    /// What was set aside for it before it was sent; none where nothing was.
    pub worst: Option<Amount>,
    /// The limit that refused it.
    pub limit: Option<String>,
    /// The limits that would have refused it, had they not only watched.
    pub would_refuse: Vec<String>,
    /// The code of the error that it was answered with: Twilio's, or one of 84000 to 84099, which are Ringfence's.
    pub code: Option<u32>,
}

/// What was said of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestVerdict {
    /// It was let in.
    Admitted {
        /// Which form of the URL had been signed.
        candidate: String,
        /// What strict mode noticed.
        finding: Option<String>,
    },
    /// It was passed on to Twilio.
    PassedOn {
        /// Why no answer came back of it, as logs and metrics call it; none where one did.
        failed: Option<String>,
    },
    /// It was not.
    Refused {
        /// Why, as logs and metrics call it.
        reason: String,
        /// What was probably wrong and what to change; none where nothing was tried.
        explanation: Option<String>,
    },
}

/// A request that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRequest {
    /// Counts up.
    pub id: i64,
    /// Which node had it; empty for this one.
    pub node: String,
    /// What is known of it.
    pub seen: SeenRequest,
}

/// Which requests are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Of this account alone.
    pub account: Option<Sid>,
    /// Of this route, or operation.
    pub route: Option<String>,
    /// Only those to Twilio, or only those from it.
    pub to_twilio: Option<bool>,
    /// Only those that were let in or passed on, or only those that were not.
    pub admitted: Option<bool>,
    /// Only those that a limit would have refused, had it not only watched.
    pub would_refuse: bool,
    /// Since then.
    pub since: Option<Timestamp>,
    /// With this text in path, route, account, message or call, client, reason, credential or limit; capitals do not count.
    pub search: Option<String>,
    /// The credentials by whose name and SID a request may be found; all, where none are said.
    pub credentials: Option<Vec<Sid>>,
}

impl RequestFilter {
    /// Whether this credential may be told of.
    pub fn may_tell(&self, credential: Option<Sid>) -> bool {
        let told = self.credentials.as_deref();
        told.is_none_or(|told| credential.is_some_and(|credential| told.contains(&credential)))
    }

    /// Whether a request that is not in the store is one of them, by the same rules.
    pub fn has(&self, seen: &SeenRequest) -> bool {
        let is_admitted = !matches!(seen.verdict, RequestVerdict::Refused { .. });
        let is_to_twilio = seen.part == EGRESS;
        let would_refuse = seen.outgoing.as_ref().is_some_and(|outgoing| !outgoing.would_refuse.is_empty());
        let needle = self.search.as_deref().unwrap_or_default().to_ascii_lowercase();
        self.account.is_none_or(|account| seen.account == Some(account))
            && self.route.as_ref().is_none_or(|route| *route == seen.route)
            && self.to_twilio.is_none_or(|to_twilio| to_twilio == is_to_twilio)
            && self.admitted.is_none_or(|admitted| admitted == is_admitted)
            && (!self.would_refuse || would_refuse)
            && self.since.is_none_or(|since| seen.at >= since)
            && self.searched(seen).to_ascii_lowercase().contains(&needle)
    }

    /// What is searched in.
    fn searched(&self, seen: &SeenRequest) -> String {
        let sid = |sid: Option<Sid>| sid.map(|sid| sid.to_string()).unwrap_or_default();
        let reason = match &seen.verdict {
            RequestVerdict::Refused { reason, .. } | RequestVerdict::PassedOn { failed: Some(reason) } => {
                reason
            }
            RequestVerdict::Admitted { .. } | RequestVerdict::PassedOn { failed: None } => "",
        };
        let (credential, name, limits) = match seen.outgoing.as_deref() {
            Some(SeenOutgoing { credential, credential_name, limit, would_refuse, .. }) => {
                let limits =
                    [limit.as_deref().unwrap_or_default(), &listed(would_refuse).unwrap_or_default()];
                let (credential, name) = if self.may_tell(*credential) {
                    (*credential, credential_name.as_deref())
                } else {
                    (None, None)
                };
                (sid(credential), name.unwrap_or_default(), limits.join(" "))
            }
            None => (String::new(), "", String::new()),
        };
        let SeenRequest { path, route, client, .. } = seen;
        let (account, resource, client) = (sid(seen.account), sid(seen.resource), client.to_string());
        [path, route, &account, &resource, &client, reason, &credential, name, &limits].join(" ")
    }
}

/// As names are written; none where there are none.
fn listed(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| json!(names).to_string())
}

/// As a row is handed to the database.
#[derive(Serialize)]
struct NewRow<'a> {
    node: &'a str,
    at: i64,
    part: &'static str,
    route: &'a str,
    method: &'static str,
    path: &'a str,
    client: String,
    account: Option<String>,
    proven: i64,
    resource: Option<String>,
    token: Option<&'a str>,
    admitted: i64,
    reason: Option<&'a str>,
    candidate: Option<&'a str>,
    finding: Option<&'a str>,
    explanation: Option<&'a str>,
    status: Option<u16>,
    request_bytes: Option<u64>,
    answer_bytes: Option<u64>,
    took: i64,
    parameters: Option<String>,
    answer: Option<&'a str>,
    credential: Option<String>,
    credential_name: Option<&'a str>,
    worst: Option<i64>,
    refused_by: Option<&'a str>,
    would_refuse: Option<String>,
    code: Option<u32>,
}

impl<'a> NewRow<'a> {
    fn of(node: &'a str, seen: &'a SeenRequest) -> Self {
        let (admitted, reason, candidate, finding, explanation) = match &seen.verdict {
            RequestVerdict::Admitted { candidate, finding } => {
                (1, None, Some(candidate.as_str()), finding.as_deref(), None)
            }
            RequestVerdict::PassedOn { failed } => (1, failed.as_deref(), None, None, None),
            RequestVerdict::Refused { reason, explanation } => {
                (0, Some(reason.as_str()), None, None, explanation.as_deref())
            }
        };
        let outgoing = seen.outgoing.as_deref();
        Self {
            node,
            at: seen.at.as_microsecond(),
            part: seen.part,
            route: &seen.route,
            method: seen.method,
            path: &seen.path,
            client: seen.client.to_string(),
            account: seen.account.map(|sid| sid.to_string()),
            proven: i64::from(seen.is_proven),
            resource: seen.resource.map(|sid| sid.to_string()),
            token: seen.token.as_deref(),
            admitted,
            reason,
            candidate,
            finding,
            explanation,
            status: seen.status,
            request_bytes: seen.request_bytes,
            answer_bytes: seen.answer_bytes,
            took: i64::try_from(seen.took.as_micros()).unwrap_or(i64::MAX),
            // What a stranger sent may hold a NUL, which is no character for anybody who reads it.
            parameters: seen
                .parameters
                .as_ref()
                .map(|parameters| json!(parameters).to_string().replace("\\u0000", "\\ufffd")),
            answer: seen.answer.as_deref(),
            credential: outgoing.and_then(|it| it.credential).map(|sid| sid.to_string()),
            credential_name: outgoing.and_then(|it| it.credential_name.as_deref()),
            worst: outgoing.and_then(|it| it.worst).map(Amount::micros),
            refused_by: outgoing.and_then(|it| it.limit.as_deref()),
            would_refuse: outgoing.and_then(|it| listed(&it.would_refuse)),
            code: outgoing.and_then(|it| it.code),
        }
    }
}

const INSERT: PerDialect = insert!(
    "requests", node text, at int, part text, route text, method text, path text, client text, account text, proven int,
    resource text, token text, admitted int, reason text, candidate text, finding text, explanation text, status int,
    request_bytes int, answer_bytes int, took int, parameters text, answer text, credential text, credential_name text,
    worst int, refused_by text, would_refuse text, code int; ""
);

impl Store {
    /// Keeps these, of one node, and deletes the oldest where there are more than `at_most` now: twice as many as it keeps
    /// in one write, so that a lower number is soon true.
    pub async fn keep_requests(&self, node: &str, seen: &[SeenRequest], at_most: u32) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = seen.iter().map(|seen| NewRow::of(node, seen)).collect();
        let data = (many::json(&rows)?, at_most, seen.len().saturating_mul(2));
        self.write(data, |(rows, at_most, batch), transaction| {
            Box::pin(async move {
                transaction.execute(INSERT.of(transaction), vec![rows.clone()]).await?;
                trim(transaction, *at_most, *batch).await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes at most `batch` of the oldest requests where more than `at_most` are kept; says how many.
    pub async fn trim_requests(&self, at_most: u32, batch: usize) -> Result<u64> {
        self.write((at_most, batch), |(at_most, batch), transaction| {
            Box::pin(trim(transaction, *at_most, *batch))
        })
        .await
    }

    /// The newest requests before the one with this id (all, if `None`) that the filter lets through, newest first.
    pub async fn requests(
        &self,
        filter: &RequestFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<KeptRequest>> {
        let sql = "SELECT * FROM requests WHERE id < $1 AND ($3 = '' OR account = $3) AND ($4 = 0 OR route = $5) \
                   AND ($6 < 0 OR admitted = $6) AND at >= $7 \
                   AND ($9 < 0 OR CASE WHEN part = 'egress' THEN 1 ELSE 0 END = $9) \
                   AND ($10 = 0 OR would_refuse IS NOT NULL) \
                   AND lower(path || ' ' || route || ' ' || coalesce(account, '') || ' ' || coalesce(resource, '') \
                   || ' ' || client || ' ' || coalesce(reason, '') || ' ' || CASE WHEN $11 = '' \
                   OR $11 LIKE '%' || credential || '%' THEN coalesce(credential, '') || ' ' \
                   || coalesce(credential_name, '') ELSE '' END || ' ' || coalesce(refused_by, '') || ' ' \
                   || coalesce(would_refuse, '')) LIKE $8 ESCAPE '!' ORDER BY id DESC LIMIT $2";
        // Some, even where there is none.
        let told = filter
            .credentials
            .as_ref()
            .map(|told| told.iter().fold(" ".to_owned(), |told, credential| format!("{told}{credential} ")));
        let told = told.unwrap_or_default();
        let bound = values![
            before.unwrap_or(i64::MAX),
            limit,
            filter.account.map(|sid| sid.to_string()).unwrap_or_default(),
            i64::from(filter.route.is_some()),
            filter.route.as_deref().unwrap_or_default(),
            filter.admitted.map_or(-1, i64::from),
            filter.since.unwrap_or(Timestamp::MIN),
            anywhere(filter.search.as_deref()),
            filter.to_twilio.map_or(-1, i64::from),
            i64::from(filter.would_refuse),
            told
        ];
        self.fetch(sql, bound).await?.iter().map(read).collect()
    }

    /// Of how many requests there is something: of one account, or of all.
    pub async fn count_requests(&self, account: Option<Sid>) -> Result<u64> {
        let account = account.map(|sid| sid.to_string()).unwrap_or_default();
        let sql = "SELECT count(*) AS kept FROM requests WHERE $1 = '' OR account = $1";
        let row = self.find(sql, values![account]).await?;
        row.map_or(Ok(0), |row| row.count("kept"))
    }

    /// Deletes what is kept of requests from before a time, or all of it; says how many. Why stands in the audit log.
    pub async fn purge_requests(
        &self,
        by: &Actor,
        before: Option<Timestamp>,
        reason: &str,
        now: Timestamp,
    ) -> Result<u64> {
        let data = (by.clone(), before, reason.to_owned(), now);
        self.write(data, |(by, before, reason, now), transaction| {
            Box::pin(async move {
                let delete = "DELETE FROM requests WHERE at < $1";
                let rows = transaction.execute(delete, values![before.unwrap_or(Timestamp::MAX)]).await?;
                let before = before.map(|before| before.to_string());
                let audit = NewAudit::new("inspector.purge", "requests")
                    .with(json!({ "before": before, "rows": rows, "reason": reason }));
                audit::append(transaction, by, &audit, *now).await?;
                Ok(rows)
            })
        })
        .await
    }
}

/// By the id alone, which counts up: nobody has to be counted. Where one was given and not written there are fewer.
async fn trim(transaction: &mut Transaction, at_most: u32, batch: usize) -> Result<u64> {
    let delete = "DELETE FROM requests WHERE id IN (SELECT id FROM requests \
                  WHERE id <= (SELECT max(id) FROM requests) - $1 ORDER BY id LIMIT $2)";
    transaction.execute(delete, values![i64::from(at_most), batch]).await
}

fn read(row: &Row) -> Result<KeptRequest> {
    let corrupt = |column: &str| Error::corrupt(format!("requests.{column}"), "it was not written so");
    let part = word(&PARTS, &row.text("part")?);
    let verdict = if row.int("admitted")? == 1 && part == EGRESS {
        RequestVerdict::PassedOn { failed: row.maybe_text("reason")? }
    } else if row.int("admitted")? == 1 {
        RequestVerdict::Admitted {
            candidate: row.maybe_text("candidate")?.unwrap_or_default(),
            finding: row.maybe_text("finding")?,
        }
    } else {
        RequestVerdict::Refused {
            reason: row.maybe_text("reason")?.unwrap_or_default(),
            explanation: row.maybe_text("explanation")?,
        }
    };
    let maybe_count =
        |column: &str| Ok::<_, Error>(row.maybe_int(column)?.and_then(|count| u64::try_from(count).ok()));
    let parameters = row.maybe_text("parameters")?.map(|text| serde_json::from_str::<Parameters>(&text));
    Ok(KeptRequest {
        id: row.int("id")?,
        node: row.text("node")?,
        seen: SeenRequest {
            at: row.time("at")?,
            part,
            route: row.text("route")?,
            method: word(&METHODS, &row.text("method")?),
            path: row.text("path")?,
            client: row.text("client")?.parse().map_err(|_| corrupt("client"))?,
            account: row.maybe_sid("account")?,
            is_proven: row.int("proven")? == 1,
            resource: row.maybe_sid("resource")?,
            token: row.maybe_text("token")?,
            verdict,
            status: row.maybe_int("status")?.and_then(|status| u16::try_from(status).ok()),
            request_bytes: maybe_count("request_bytes")?,
            answer_bytes: maybe_count("answer_bytes")?,
            took: Duration::from_micros(row.count("took")?),
            parameters: parameters.transpose().map_err(|_| corrupt("parameters"))?.map(|it| it.0),
            answer: row.maybe_text("answer")?,
            outgoing: (part == EGRESS).then(|| outgoing(row)).transpose()?.map(Box::new),
        },
    })
}

fn outgoing(row: &Row) -> Result<SeenOutgoing> {
    let corrupt = |_| Error::corrupt("requests.would_refuse", "it was not written so");
    let would_refuse =
        row.maybe_text("would_refuse")?.map(|names| serde_json::from_str(&names).map_err(corrupt));
    Ok(SeenOutgoing {
        credential: row.maybe_sid("credential")?,
        credential_name: row.maybe_text("credential_name")?,
        worst: row.maybe_int("worst")?.map(Amount::from_micros),
        limit: row.maybe_text("refused_by")?,
        would_refuse: would_refuse.transpose()?.unwrap_or_default(),
        code: row.maybe_int("code")?.and_then(|code| u32::try_from(code).ok()),
    })
}

#[derive(Deserialize)]
struct Parameters(Vec<(String, String)>);

/// Who passes requests on to Twilio.
const EGRESS: &str = "egress";

const PARTS: [&str; 3] = ["gate", "forward-auth", EGRESS];

const METHODS: [&str; 10] =
    ["", "POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// One of these words; `other` for what none of them is.
fn word(known: &[&'static str], text: &str) -> &'static str {
    known.iter().find(|known| **known == text).copied().unwrap_or("other")
}
