//! The newest requests at the gate of this node, each with what was said of it and why.

use askama::Template;
use bytes::Bytes;
use http::Response;

use super::shown;
use crate::console::{GateOutcome, RecentRequest};
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// So many are on a page.
const SIZE: usize = 50;

#[derive(Template)]
#[template(path = "requests.html")]
struct View {
    frame: Frame,
    rows: Vec<Row>,
    /// Why there is none to see; none where there is.
    absent: Option<&'static str>,
    /// Which verdicts are shown.
    shown: String,
    /// What is searched for in route, path, account, client and reason.
    search: String,
    is_filtered: bool,
    older: Option<String>,
    newest: Option<String>,
}

#[derive(Debug)]
struct Row {
    at: String,
    exactly: String,
    method: &'static str,
    path: String,
    route: String,
    client: String,
    is_admitted: bool,
    /// `admitted`, or the reason.
    verdict: String,
    /// What stands below it.
    beside: String,
    explanation: Option<String>,
    parameters: Option<Parameters>,
}

/// Of a form, redacted.
#[derive(Debug)]
struct Parameters {
    count: String,
    all: Vec<(String, String)>,
}

impl Row {
    fn of(request: RecentRequest) -> Self {
        let (is_admitted, verdict, beside, explanation) = match request.outcome {
            GateOutcome::Admitted { account, candidate, finding } => {
                let account = account.unwrap_or_else(|| "by its password".to_owned());
                let mut beside = account;
                if candidate != "as-received" {
                    beside = format!(
                        "{beside}, signed for another form of the URL: {}",
                        candidate.replace('-', " ")
                    );
                }
                if let Some(finding) = finding {
                    beside = format!("{beside}; strict mode would refuse it: {}", finding.replace('_', " "));
                }
                (true, "admitted".to_owned(), beside, None)
            }
            GateOutcome::Refused { reason, status, explanation } => {
                (false, reason.replace('_', " "), format!("answered with {status}"), explanation)
            }
        };
        Self {
            at: request.at.to_string(),
            exactly: words::exactly(&request.at),
            method: request.method,
            path: if request.path.is_empty() {
                "no path that could be read".to_owned()
            } else {
                request.path
            },
            route: request.route,
            client: request.client.to_string(),
            is_admitted,
            verdict,
            beside,
            explanation,
            parameters: request
                .parameters
                .map(|all| Parameters { count: words::many(all.len(), "parameter", "parameters"), all }),
        }
    }

    fn has(&self, search: &str) -> bool {
        [&self.path, &self.route, &self.client, &self.verdict, &self.beside]
            .iter()
            .any(|text| text.to_ascii_lowercase().contains(search))
    }
}

pub(crate) fn show(call: &Call<'_>) -> Result<Response<Bytes>, Failed> {
    let text = |name: &str| call.query.filled(name).unwrap_or_default().to_owned();
    let (only, search, from) = (text("verdict"), text("search"), text("from"));
    let needle = search.to_ascii_lowercase();
    let (recent, absent) = match &call.console.gate {
        None => (Vec::new(), Some("This node has no gate: it verifies no webhooks.")),
        Some(gate) => match (gate.recent)() {
            None => (
                Vec::new(),
                Some("Requests are not remembered: the configuration says requests = \"off\" in [console]."),
            ),
            Some(recent) => (recent, None),
        },
    };
    // Older than this one. Numbers count up, so a page stays what it is while requests come in.
    let from: u64 = from.parse().unwrap_or(u64::MAX);
    let is_wanted = |request: &RecentRequest| match (&*only, &request.outcome) {
        ("admitted", GateOutcome::Refused { .. }) | ("refused", GateOutcome::Admitted { .. }) => false,
        _ => request.number < from,
    };
    let mut found: Vec<_> = recent
        .into_iter()
        .filter(is_wanted)
        .map(|request| (request.number, Row::of(request)))
        .filter(|(_, row)| row.has(&needle))
        .collect();
    let link =
        format!("/requests?verdict={}&search={}", words::query_value(&only), words::query_value(&search));
    let has_older = found.len() > SIZE;
    found.truncate(SIZE);
    let last = found.last().map(|(number, _)| *number).filter(|_| has_older);
    let view = View {
        older: last.map(|number| format!("{link}&from={number}")),
        newest: (from != u64::MAX).then(|| link.clone()),
        is_filtered: !only.is_empty() || !search.is_empty() || from != u64::MAX,
        rows: found.into_iter().map(|(_, row)| row).collect(),
        absent,
        shown: only,
        search,
        frame: Frame::new(call, Section::Requests),
    };
    shown(&view)
}
