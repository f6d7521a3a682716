//! Answers that say yes.

use bytes::Bytes;
use serde::Serialize;

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// Where a redirect leads, or what tells how far a change is.
    pub(crate) location: Option<String>,
    /// The change that was accepted.
    pub(crate) operation: Option<String>,
}

impl Reply {
    pub(crate) fn ok(body: &impl Serialize) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn created(body: &impl Serialize) -> Self {
        Self::json(201, body)
    }

    pub(crate) fn accepted(body: &impl Serialize) -> Self {
        Self::json(202, body)
    }

    /// 204: it is gone.
    pub(crate) fn deleted() -> Self {
        Self { status: 204, content_type: "", body: Bytes::new(), location: None, operation: None }
    }

    /// Bytes that are no JSON: a picture, a recording.
    pub(crate) fn file(content_type: &'static str, body: Bytes) -> Self {
        Self { status: 200, content_type, body, location: None, operation: None }
    }

    /// 307: it is elsewhere.
    pub(crate) fn elsewhere(location: String) -> Self {
        Self { status: 307, content_type: "", body: Bytes::new(), location: Some(location), operation: None }
    }

    /// With the headers that name the change that was accepted, and where it is looked at.
    pub(crate) fn with_operation(self, id: String, location: String) -> Self {
        Self { operation: Some(id), location: Some(location), ..self }
    }

    fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("wire shapes have text keys and finite numbers");
        Self { status, content_type: "application/json", body: body.into(), location: None, operation: None }
    }
}
