//! The audit log: who did what to whom, and whether anybody has changed it since.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::views::{AuditRowView, Page};
use ringfence_store::{AuditFilter, Person, normal_login};

use super::shown;
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// Rows of a page.
const SIZE: usize = 50;
/// So many findings are shown.
const FINDINGS: usize = 50;

#[derive(Template)]
#[template(path = "audit.html")]
struct View {
    frame: Frame,
    rows: Vec<Line>,
    target: String,
    actor: String,
    action: String,
    is_filtered: bool,
    older: Option<String>,
    newest: Option<String>,
    is_everywhere: bool,
}

/// A row.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: i64,
    pub(super) at: String,
    pub(super) exactly: String,
    pub(super) actor_kind: String,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) target: String,
    pub(super) reason: Option<String>,
    /// What else there is to know, as JSON; none where that is nothing.
    pub(super) detail: Option<String>,
}

impl Line {
    /// `people` are those whose names may be told.
    pub(super) fn of(row: AuditRowView, people: &[Person]) -> Self {
        let person = people.iter().find(|person| row.actor.kind == "person" && person.id == row.actor.name);
        let reason = row.detail.get("reason").and_then(|reason| reason.as_str()).map(str::to_owned);
        let is_empty = row.detail.as_object().is_none_or(serde_json::Map::is_empty);
        Self {
            id: row.id,
            at: row.at.to_string(),
            exactly: words::exactly(&row.at),
            actor_kind: row.actor.kind,
            actor: person.map_or(row.actor.name, |person| person.login.clone()),
            action: row.action,
            target: row.target,
            reason,
            detail: (!is_empty).then(|| serde_json::to_string_pretty(&row.detail).unwrap_or_default()),
        }
    }
}

/// The people whose names whoever asks may see: everybody's, or their own.
pub(super) async fn people(call: &Call<'_>) -> Result<Vec<Person>, Failed> {
    match call.signed_in.only_account() {
        Some(_) => Ok(vec![call.signed_in.person().clone()]),
        None => Ok(call.engine.store().persons().await?),
    }
}

/// Rows have people by their ids, and pages show what they sign in with: that is looked for under the id.
fn by_id(text: &str, people: &[Person]) -> String {
    let id = |word: &str| {
        let login = normal_login(word);
        people.iter().find(|person| person.login == login).map(|person| person.id.clone())
    };
    let words = text.split(' ').map(|word| id(word).unwrap_or_else(|| word.to_owned()));
    words.collect::<Vec<_>>().join(" ")
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let given = |name: &str| call.query.filled(name).map(str::to_owned);
    let (target, actor, action) = (given("target"), given("actor"), given("action"));
    let only = call.signed_in.only_account();
    let people = people(&call).await?;
    let filter = AuditFilter {
        target: target.as_deref().map(|text| by_id(text, &people)),
        actor: actor.as_deref().map(|text| by_id(text, &people)),
        action: action.clone(),
        account: only,
    };
    let cursor = call.query.filled("before").map(str::to_owned);
    let page = Page { cursor: cursor.clone(), size: SIZE };
    let found = call.engine.views().search_audit(&filter, &page).await?;
    let text = |text: Option<String>| text.unwrap_or_default();
    let is_filtered = target.is_some() || actor.is_some() || action.is_some();
    let (target, actor, action) = (text(target), text(actor), text(action));
    let [about, by, what] = [&target, &actor, &action].map(|text| words::query_value(text));
    let search = format!("/audit?target={about}&actor={by}&action={what}");
    let view = View {
        older: found.next.map(|next| format!("{search}&before={next}")),
        newest: cursor.map(|_| search),
        rows: found.rows.into_iter().map(|row| Line::of(row, &people)).collect(),
        is_filtered,
        is_everywhere: only.is_none(),
        target,
        actor,
        action,
        frame: Frame::new(&call, Section::Audit),
    };
    shown(&view)
}

#[derive(Template)]
#[template(path = "verify.html")]
struct VerifyPage {
    frame: Frame,
    rows: String,
    heads: String,
    unsealed: String,
    findings: Vec<String>,
    left_out: usize,
}

pub(crate) async fn verify(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let verified = call.engine.store().verify_audit(&[]).await?;
    let page = VerifyPage {
        rows: words::count(u64::try_from(verified.rows).unwrap_or(0)),
        heads: words::count(verified.heads as u64),
        unsealed: words::count(u64::try_from(verified.unsealed).unwrap_or(0)),
        left_out: verified.findings.len().saturating_sub(FINDINGS),
        findings: verified.findings.iter().take(FINDINGS).map(ToString::to_string).collect(),
        frame: Frame::new(&call, Section::Audit),
    };
    shown(&page)
}
