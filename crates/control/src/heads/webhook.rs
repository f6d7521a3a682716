//! Heads to a program of the operator's: signed like notices, after Standard Webhooks.

use std::time::Duration;

use jiff::Timestamp;
use ringfence_store::Head;
use serde_json::json;

use super::NotCarried;
use crate::notices::{Poster, SettingsProblem, WebhookSettings, signed_post};

pub(super) struct HeadHook {
    settings: WebhookSettings,
    poster: Poster,
}

impl HeadHook {
    pub(super) fn new(settings: WebhookSettings, timeout: Duration) -> Result<Self, SettingsProblem> {
        let poster = Poster::new(&[], timeout)?;
        Ok(Self { settings, poster })
    }

    pub(super) fn host(&self) -> &str {
        self.settings.host()
    }

    /// Only a 2xx says that the receiver has it.
    pub(super) async fn post(&self, head: &Head, now: Timestamp) -> Result<(), NotCarried> {
        let failed = |what: String| NotCarried::Webhook { host: self.host().to_owned(), what };
        // The same head has the same id, so that a receiver may pass over a repeat.
        let id = format!("head_{}_{}", head.seq, head.signed_at.as_microsecond());
        let request = signed_post(&self.settings, &id, body(head), now)
            .ok_or_else(|| failed("the request cannot be written".to_owned()))?;
        match self.poster.post(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(failed(format!("it answered HTTP {}", answer.status))),
            Err(why) => Err(failed(why)),
        }
    }
}

/// The line is what `audit verify --heads` reads; the rest saves taking it apart.
fn body(head: &Head) -> String {
    json!({
        "type": "audit.head",
        "timestamp": head.signed_at.to_string(),
        "data": { "line": head.to_line(), "seq": head.seq, "audit_id": head.audit_id },
    })
    .to_string()
}
