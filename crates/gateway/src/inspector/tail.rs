//! The rest of an answer, which streams: what is kept of a request is complete when that has ended.

use std::sync::Arc;

use bytes::Bytes;

use super::{Answered, redact};
use crate::server::Shared;
use crate::settings::Inspect;

/// Goes with the body of an answer. The request is kept when this is dropped: at the body's end, or when its caller hangs up
/// within it.
pub(crate) struct Tail {
    shared: Arc<Shared>,
    inspect: Inspect,
    answered: Option<Answered>,
    /// What has passed of an answer whose verbs are told; gone once that is too much.
    gathered: Option<Vec<u8>>,
    passed: u64,
}

impl Tail {
    pub(super) fn new(shared: &Arc<Shared>, inspect: Inspect, answered: Answered, is_told: bool) -> Self {
        let shared = Arc::clone(shared);
        Self { shared, inspect, answered: Some(answered), gathered: is_told.then(Vec::new), passed: 0 }
    }

    /// Some of it passes.
    pub(crate) fn pass(&mut self, data: &Bytes) {
        self.passed += data.len() as u64;
        if let Some(gathered) = &mut self.gathered {
            if gathered.len() + data.len() > redact::BODY_BYTES_MAX {
                self.gathered = None;
            } else {
                gathered.extend_from_slice(data);
            }
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        if let Some(mut answered) = self.answered.take() {
            answered.seen.answer_bytes = Some(self.passed);
            answered.seen.answer = self.gathered.as_deref().and_then(redact::verbs);
            self.shared.inspector.take(&self.shared, self.inspect, answered);
        }
    }
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tail(…)")
    }
}
