//! What the gate refuses before, or beside, a signature: for whoever asks about a request that was saved.

use http::StatusCode;
use http::request::Parts;

use crate::admission::admissible;
use crate::http_rules;
use crate::path_readings::is_in_two_ways_by;
use crate::reason::Reason;
use crate::respond::refusal_status;
use crate::settings::Route;

/// Why the gate refuses this request whatever its signature is worth, and with what status: by its head, its credentials, the
/// length of its body, or a path that could be read as another route's. Nothing where its signature decides, or, on a route
/// that asks for a password alone, where it is admitted.
///
/// `found` is the route of `routes` that takes the request. What depends on the connection is not looked at: who is a listed
/// proxy, how long a head may be, how a body was framed.
pub fn refused_beside_signature(
    routes: &[Route],
    found: &Route,
    parts: &Parts,
    body_bytes: usize,
) -> Option<(Reason, StatusCode)> {
    let reason = check(routes, found, parts, body_bytes).err()?;
    Some((reason, refusal_status(reason, Some(found))))
}

fn check(routes: &[Route], found: &Route, parts: &Parts, body_bytes: usize) -> Result<(), Reason> {
    let head = http_rules::check_webhook(parts)?;
    match admissible(found, &parts.headers) {
        // Whoever judges signatures says more about it.
        Ok(_) | Err(Reason::Signature(_)) => {}
        Err(reason) => return Err(reason),
    }
    if body_bytes > found.body_cap {
        return Err(Reason::BodyTooLarge);
    }
    if is_in_two_ways_by(routes, found, &head) {
        return Err(Reason::BadRequest("path_in_two_ways"));
    }
    Ok(())
}
