//! Explanations of refused signatures, for the log and for whoever looks at recent requests: what was probably wrong and what to change.
//!
//! The trials cost far more than a verdict, so they run on a thread of their own, one at a time in the whole
//! process, and at most once a second for each route: an attacker cannot order them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ringfence_signature::{Hints, Refusal, explain_with};

use crate::admission::{Admissible, Received, admissible, policy, signed_request};
use crate::http_rules::Head;
use crate::inspector::redact;
use crate::server::Shared;
use crate::snapshot::{ActiveRoute, Snapshot};

/// An explanation that may still be in the making.
pub(crate) type Explanation = Arc<OnceLock<String>>;

/// Larger bodies are not explained: each trial reads the whole of it.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Explains this refusal in the log, and in what is given back once it is known, unless one is being explained, another of the same route was within the
/// second, or there is nothing to try.
pub(crate) fn offer_explanation(
    shared: &Arc<Shared>,
    active: &ActiveRoute,
    snapshot: &Arc<Snapshot>,
    received: &Received<'_>,
    refusal: Refusal,
) -> Option<Explanation> {
    let nothing_to_try = matches!(refusal, Refusal::MissingSignature | Refusal::MalformedSignature);
    if nothing_to_try
        || received.body.len() > BODY_BYTES_MAX
        || !active.may_explain(shared.clock.unix_seconds())
        || shared.explaining.swap(true, Ordering::Acquire)
    {
        return None;
    }
    let explanation = Explanation::default();
    let told = Arc::clone(&explanation);
    let running = Running(Arc::clone(shared));
    let snapshot = Arc::clone(snapshot);
    let index = active.index;
    let (method, headers, body) = (received.method.clone(), received.headers.clone(), received.body.clone());
    let (authority, target) = (received.head.authority.to_owned(), received.head.target.to_owned());
    let websocket = received.head.websocket;
    let job = move || {
        let _running = running;
        let active = &snapshot.routes[index];
        let head = Head { authority: &authority, target: &target, websocket };
        let received = Received { method: &method, head, headers: &headers, body: &body };
        let admissible = admissible(&active.route, &headers).ok();
        let credentials = admissible.as_ref().and_then(Admissible::credentials);
        let request = signed_request(&active.route, &received, credentials);
        let forwarded = headers.get("x-forwarded-host").and_then(|host| host.to_str().ok());
        let hosts: Vec<&str> = [authority.as_str()].into_iter().chain(forwarded).collect();
        let hints = Hints { other_hosts: &hosts, ..Hints::default() };
        let text = explain_with(&request, &snapshot.keyring, &policy(&active.route), &hints).to_string();
        // It names a host or a field, which a stranger may have chosen.
        let text = redact::without_numbers(&text);
        // On one line, like everything in the log.
        let hint = text.split_whitespace().collect::<Vec<_>>().join(" ");
        tracing::info!(route = &*active.route.label, hint, "a refused request explained");
        // It is set here alone.
        let _set = told.set(text);
    };
    // Where no thread can be had, the refusal stays unexplained.
    let _thread = std::thread::Builder::new().name("ringfence-explain".to_owned()).spawn(job);
    Some(explanation)
}

/// Lets the next explanation begin when this one has ended, however it ends.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        let explaining: &AtomicBool = &self.0.explaining;
        explaining.store(false, Ordering::Release);
    }
}
