//! How it stands.

use bytes::Bytes;
use http::Method;
use ringfence_store::ExportOf;

use super::super::access::Scope;
use super::{Call, Endpoint, json};
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::query::{CURSOR, Form, PAGE_SIZE, Parameter};
use crate::views::{AuditRows, LedgerView, Limits, Nodes, OrderList, Report, Status};

pub(super) const STATUS: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/status",
    name: "getStatus",
    summary: "How it stands: what is tripped, what is near it, what is not as it should be.",
    scope: Scope::Read,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Status>()),
    refusals: &[],
    run: |call| Box::pin(status(call)),
};

pub(super) const LIMITS: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/limits",
    name: "listLimits",
    summary: "The limits that hold, in the order of the configuration.",
    scope: Scope::Read,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Limits>()),
    refusals: &[],
    run: |call| Box::pin(async move { json(&call.engine.views().limits()) }),
};

pub(super) const REPORT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/report",
    name: "getReport",
    summary: "What limits that only watch would have done: is it safe to let them act?",
    scope: Scope::Read,
    query: &[
        Parameter {
            name: "limit",
            form: Form::Text,
            description: "Of this limit alone, whether it acts or not.",
        },
        Parameter {
            name: "all",
            form: Form::Flag,
            description: "Whether limits that act are reported too; not if it is not given.",
        },
        Parameter {
            name: "since",
            form: Form::Time,
            description: "What came before does not count; everything since the limit holds if it is not given.",
        },
    ],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Report>()),
    refusals: &[Kind::NoLimit],
    run: |call| Box::pin(report(call)),
};

pub(super) const LEDGER: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/ledger",
    name: "getLedger",
    summary: "What is spent and set aside under each limit by the egress, beside what Twilio counts and when that was read.",
    scope: Scope::Read,
    query: &[Parameter {
        name: "account",
        form: Form::Account,
        description: "Of this account, alone and with others; of all of which something is taken if it is not given.",
    }],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<LedgerView>()),
    refusals: &[Kind::NoAccount],
    run: |call| Box::pin(ledger(call)),
};

pub(super) const AUDIT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/audit",
    name: "listAudit",
    summary: "The audit log, newest first.",
    scope: Scope::Read,
    query: &[
        Parameter {
            name: "target",
            form: Form::Text,
            description: "What was done to this alone: `account AC…`, `breaker LIMIT of AC…`, `token tk_…`.",
        },
        CURSOR,
        PAGE_SIZE,
    ],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<AuditRows>()),
    refusals: &[],
    run: |call| Box::pin(audit(call)),
};

pub(super) const AUDIT_EXPORT: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/audit/export",
    name: "exportAudit",
    summary: "The sealed rows of the audit log, oldest first, a JSON document a line: the bytes of `ringfence audit \
              export`. It goes on after the `id` of the last line; a page with fewer lines than `page_size` is the last. \
              Texts about people stay in the store.",
    scope: Scope::Read,
    query: &[
        Parameter {
            name: "after",
            form: Form::Row,
            description: "Only rows after the one with this `id`; from the beginning if it is not given.",
        },
        PAGE_SIZE,
    ],
    body: None,
    answer: Answer::Lines,
    refusals: &[],
    run: |call| Box::pin(audit_export(call)),
};

pub(super) const ORDERS: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/orders",
    name: "listOrders",
    summary: "What was ordered and has yet to happen at Twilio or be told to people, and what was given up; the oldest first.",
    scope: Scope::Read,
    query: &[CURSOR, PAGE_SIZE],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<OrderList>()),
    refusals: &[],
    run: |call| Box::pin(async move { json(&call.engine.views().order_list(&call.query.page()).await?) }),
};

pub(super) const NODES: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/nodes",
    name: "listNodes",
    summary: "The nodes at work.",
    scope: Scope::Read,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Nodes>()),
    refusals: &[],
    run: |call| Box::pin(async move { json(&call.engine.views().nodes().await?) }),
};

async fn status(call: Call<'_>) -> Result<Bytes, Problem> {
    json(&call.engine.views().status().await?)
}

async fn report(call: Call<'_>) -> Result<Bytes, Problem> {
    let (limit, all, since) = (call.query.text("limit"), call.query.flag("all"), call.query.time("since"));
    json(&call.engine.views().report(limit, all, since).await?)
}

async fn ledger(call: Call<'_>) -> Result<Bytes, Problem> {
    json(&call.engine.views().ledger(call.query.account("account"), true).await?)
}

async fn audit(call: Call<'_>) -> Result<Bytes, Problem> {
    json(&call.engine.views().audit(call.query.text("target"), &call.query.page()).await?)
}

/// A page at a time, so that it takes no more memory however long the log is.
async fn audit_export(call: Call<'_>) -> Result<Bytes, Problem> {
    let (after, size) = (call.query.row("after").unwrap_or(0), call.query.page().size);
    let lines = call.engine.store().export_audit(after, size, ExportOf::WithoutPersonal).await?;
    let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    Ok(Bytes::from(text))
}
