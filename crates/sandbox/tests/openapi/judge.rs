//! Holds answers against the documents and keeps account of what was called.

use std::collections::BTreeSet;

use ringfence_sandbox::{OperationName, operations};
use ringfence_testkit::Response;
use ringfence_testkit::openapi::{Document, Operation};
use serde_json::Value;

/// Where the documents are narrower than Twilio: the end of an operation's path, what is found wrong there, and why it
/// is right nevertheless.
const TOO_NARROW: &[(&str, &str, &str)] = &[
    (
        "/Usage/Triggers",
        "recurring: must not be null",
        "the API's own pages: without it a trigger fires once",
    ),
    (
        "/v1/Events",
        "actor_sid: does not fit",
        "an actor that is an account (`actor_type`) has the account's SID",
    ),
    (
        "/v1/Messaging/Countries",
        "mcc: must not be null",
        "the row of all other networks has no network's code",
    ),
    ("/v1/Messaging/Countries", "mnc: must not be null", "the same"),
];

/// What was seen, and what was wrong with it.
pub(crate) struct Judge {
    documents: Vec<Document>,
    called: BTreeSet<OperationName>,
    /// One sentence for each thing that is not as the documents say.
    pub(crate) complaints: Vec<String>,
}

impl Judge {
    pub(crate) fn new() -> Self {
        Self { documents: Document::all(), called: BTreeSet::new(), complaints: Vec::new() }
    }

    /// Whether a document has this operation.
    pub(crate) fn knows(&self, operation: &OperationName) -> bool {
        let host = format!("{}.twilio.com", operation.product);
        self.documents
            .iter()
            .filter(|document| document.host() == host)
            .flat_map(Document::operations)
            .any(|known| known.method() == operation.method && known.template == operation.path)
    }

    pub(crate) fn was_called(&self, operation: &OperationName) -> bool {
        self.called.contains(operation)
    }

    /// An answer of a request that has to succeed.
    pub(crate) fn hear(&mut self, method: &str, host: &str, path: &str, response: &Response) {
        let Some(operation) = find(&self.documents, method, host, path) else {
            self.complaints.push(format!("{method} {host}{path} is in no document"));
            return;
        };
        let title = operation.title();
        if !(200..300).contains(&response.status) {
            let body = String::from_utf8_lossy(&response.body);
            self.complaints.push(format!("{title}: {} {body}", response.status));
            return;
        }
        let body: Option<Value> = match response.body.as_slice() {
            [] => None,
            body => match serde_json::from_slice(body) {
                Ok(body) => Some(body),
                Err(error) => {
                    self.complaints.push(format!("{title}: no JSON: {error}"));
                    return;
                }
            },
        };
        let problems = operation.check_response(response.status, body.as_ref());
        let problems: BTreeSet<_> = problems
            .into_iter()
            .map(|problem| format!("{title}: {problem}"))
            .filter(|it| !is_known(it))
            .collect();
        let told = operations().find(|it| {
            format!("{}.twilio.com", it.product) == host
                && it.method == method
                && it.path == operation.template
        });
        self.complaints.extend(problems);
        self.called.extend(told);
    }
}

fn is_known(complaint: &str) -> bool {
    TOO_NARROW.iter().any(|(place, problem, _)| complaint.contains(place) && complaint.contains(problem))
}

fn find<'d>(documents: &'d [Document], method: &str, host: &str, path: &str) -> Option<Operation<'d>> {
    let mut documents = documents.iter().filter(|document| document.host() == host);
    documents.find_map(|document| document.operation(method, path))
}
