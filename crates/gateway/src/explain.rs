//! Explanations of refused signatures, for the log: what was probably wrong and what to change.
//!
//! The trials cost far more than a verdict, so they run on another thread and at most once a second for each
//! route: an attacker cannot order them.

use std::sync::Arc;

use ringfence_signature::{Refusal, explain};

use crate::admission::{Received, policy, signed_request};
use crate::http_rules::Head;
use crate::snapshot::{ActiveRoute, Snapshot};

/// Explains this refusal in the log, unless another of the same route was explained within the second or there
/// is nothing to try.
pub(crate) fn offer_explanation(
    active: &ActiveRoute,
    snapshot: &Arc<Snapshot>,
    received: &Received<'_>,
    refusal: Refusal,
    now_unix: u64,
) {
    let nothing_to_try = matches!(refusal, Refusal::MissingSignature | Refusal::MalformedSignature);
    if nothing_to_try || !active.may_explain(now_unix) {
        return;
    }
    let snapshot = Arc::clone(snapshot);
    let label = Arc::clone(&active.route.label);
    let (method, headers, body) = (received.method.clone(), received.headers.clone(), received.body.clone());
    let (target, websocket) = (received.head.target.to_owned(), received.head.websocket);
    tokio::task::spawn_blocking(move || {
        let Some(active) = snapshot.routes.iter().find(|active| active.route.label == label) else { return };
        let head = Head { authority: "", target: &target, websocket };
        let received = Received { method: &method, head, headers: &headers, body: &body };
        let request = signed_request(&active.route, &received, None);
        let explanation = explain(&request, &snapshot.keyring, &policy(&active.route));
        tracing::info!(route = &*label, hint = ?explanation, "a refused request explained");
    });
}
