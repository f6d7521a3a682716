//! A request that costs something: set aside, sent once, answered for.
//!
//! The one idea: the request is sent only with a [`Reservation`], which only the store makes, and what happened to it is
//! told the store on every way out. All of it runs in a task of its own, so that a caller who hangs up changes nothing.
//! What nobody tells any more, since the process was killed, is in doubt after its deadline, which is spent until found.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Asked, DialPrefix, Scope, ScopedAccount, Why, holds_together};
use ringfence_model::{PhoneNumber, Sid};
use ringfence_store::{Admission, NewReservation, NotAdmitted, Now, Reservation, Sent, Store};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::EgressEnd;
use super::answer::{self, Content};
use super::charge::Worth;
use super::client::Failure;
use super::credential::Holder;
use super::json::LedBack;
use super::operation::Priced;
use super::refusal::Refusal;
use super::request::Outgoing;
use super::rules::{EgressRules, KnownAccount};
use crate::inspector::outgoing::OutgoingNote;
use crate::respond::GateBody;

/// For the store to decide, and to be told how it ended.
const STORE_MAX: Duration = Duration::from_secs(10);
/// Longer than sending may take: until then a reservation is open and not in doubt.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// Who asks for what, as the store is told.
pub(crate) struct Wanted<'a> {
    pub(crate) holder: &'a Holder,
    pub(crate) account: Sid,
    pub(crate) known: &'a KnownAccount,
    pub(crate) priced: Priced,
    pub(crate) worth: &'a Worth,
    /// Until when it is open and not in doubt.
    pub(crate) patience: SignedDuration,
}

/// Longer than Twilio schedules a message for, which is 35 days: beyond it, it refuses.
const SCHEDULED_MAX: SignedDuration = SignedDuration::from_hours(40 * 24);

/// How long a request may take until its end can be known: to be sent, and to go out where it is scheduled.
pub(crate) fn patience(timeout: Duration, send_at: Option<Timestamp>, now: Timestamp) -> SignedDuration {
    let sending = SignedDuration::try_from(timeout).unwrap_or(GRACE).saturating_add(GRACE);
    let waiting = send_at.map_or(SignedDuration::ZERO, |send_at| send_at.duration_since(now));
    sending.saturating_add(waiting.clamp(SignedDuration::ZERO, SCHEDULED_MAX))
}

/// Sets aside what a request can cost, or says which limit has no room for it.
pub(crate) async fn admit(
    end: &EgressEnd,
    store: &Store,
    rules: &EgressRules,
    now: Now,
    wanted: &Wanted<'_>,
) -> Result<Reservation, Refusal> {
    let begun = Instant::now();
    let new = reservation(store, rules, wanted).await?;
    let admitted = timeout(STORE_MAX, store.admit(new, now)).await;
    end.metrics.admission(begun.elapsed());
    match admitted {
        Ok(Ok(Admission::Admitted(reservation))) => {
            for watched in reservation.watched() {
                end.metrics.would_refuse(&watched.limit);
            }
            Ok(reservation)
        }
        Ok(Ok(Admission::Refused(why))) => Err(refused(end, why, now)),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store admitted nothing");
            Err(Refusal::StoreAway)
        }
        Err(_) => Err(Refusal::StoreAway),
    }
}

/// The account as limits look at it.
pub(crate) fn scoped<'k>(
    rules: &EgressRules,
    account: Sid,
    known: &'k KnownAccount,
) -> Result<ScopedAccount<'k>, Refusal> {
    let seen = known.seen.as_ref();
    let looks_at_what_is_seen = |scope: &Scope| matches!(scope, Scope::Name(_) | Scope::NewSubaccounts);
    if seen.is_none() && rules.limits.iter().any(|applied| looks_at_what_is_seen(&applied.limit.scope)) {
        return Err(Refusal::NotReady(
            "this account was not read from Twilio yet, and limits look at its name or age",
        ));
    }
    Ok(ScopedAccount {
        sid: account,
        parent: known.parent,
        friendly_name: seen.map_or("", |seen| &seen.friendly_name),
        created: seen.map_or(Timestamp::UNIX_EPOCH, |seen| seen.created),
    })
}

async fn reservation(
    store: &Store,
    rules: &EgressRules,
    wanted: &Wanted<'_>,
) -> Result<NewReservation, Refusal> {
    let Wanted { holder, account, known, priced, worth, patience } = wanted;
    let first = Asked {
        account: scoped(rules, *account, known)?,
        credential: Some(holder.credential),
        tenant: holder.scopes.tenant.as_deref(),
        destination: worth.destination,
        charge: &worth.charge,
    };
    let beside = worth.beside.iter();
    let beside = beside.map(|step| Asked { destination: step.destination, charge: &step.charge, ..first });
    let beside: Vec<Asked<'_>> = beside.collect();
    let party = match &worth.to {
        Some(to) => {
            let tag = store.party_tag(to, worth.from.as_deref().unwrap_or_default()).await;
            Some(tag.map_err(|error| {
                tracing::error!(%error, "the store has no keys for what it remembers of a request");
                Refusal::StoreAway
            })?)
        }
        None => None,
    };
    Ok(NewReservation {
        credential: Some(holder.credential),
        account: *account,
        operation: priced.name().to_owned(),
        worst: worth.worst(),
        holds: holds_together(&rules.limits, &first, &beside),
        limits: Arc::clone(&rules.fingerprint),
        party,
        beginning: worth.destination.map(DialPrefix::of),
        patience: *patience,
        goes_on: worth.goes_on,
    })
}

/// Why the store admitted nothing, for whoever asked.
pub(crate) fn refused(end: &EgressEnd, why: NotAdmitted, now: Now) -> Refusal {
    let NotAdmitted::Limit { limit, why, until, trips, .. } = why else {
        return match why {
            NotAdmitted::CredentialGone => Refusal::Unauthorized,
            _ => Refusal::NotReady("this node has other limits than were applied"),
        };
    };
    if trips {
        end.wake();
    }
    let now = match now {
        Now::At(now) => now,
        Now::Database => end.now(),
    };
    let until = until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
    match why {
        Why::Tripped => Refusal::Tripped { limit, until },
        Why::DoesNotFit => Refusal::DoesNotFit { limit, until },
        Why::OpenOnly => Refusal::OpenOnly { limit, until: None },
        Why::NotReadBack => Refusal::NotReadBack,
    }
}

/// Sends a request for which something was set aside, and tells the store what became of it.
pub(crate) async fn send(
    end: &EgressEnd,
    store: &Store,
    reservation: Reservation,
    (priced, account): (Priced, Sid),
    (outgoing, note): (Outgoing, &OutgoingNote),
    links: &LedBack<'_>,
) -> Result<http::Response<GateBody>, Refusal> {
    let now = || end.ledger_now();
    let (parts, body) = match outgoing.send().await {
        Ok(response) => response.into_parts(),
        Err(failure) => {
            let (sent, refusal) = match failure {
                Failure::NotSent => (Sent::Nothing, Refusal::Unreachable),
                Failure::InDoubt => (Sent::InDoubt, Refusal::InDoubt),
            };
            answer_for(end, store, reservation, sent, now()).await;
            return Err(refusal);
        }
    };
    let status = parts.status;
    let content = answer::read(&parts, body, false).await;
    let sent = became(priced, status, content.as_ref().ok());
    note.answered_by_twilio(status, if let Sent::Made(made) = sent { made } else { None });
    answer_for(end, store, reservation, sent, now()).await;
    if priced == Priced::VerificationCheck && status.is_success() {
        let entered = content.as_ref().ok().and_then(entered_at);
        note_entered(store, account, entered, now()).await;
    }
    answer::pass_on(&parts, content, links)
}

/// What Twilio's answer says of what was made.
fn became(priced: Priced, status: StatusCode, content: Option<&Content>) -> Sent {
    if answer::refuses(status) {
        return Sent::Nothing;
    }
    if !status.is_success() {
        return Sent::InDoubt;
    }
    let Some(prefixes) = priced.makes() else { return Sent::Made(None) };
    let Some(Content::Json(bytes)) = content else { return Sent::InDoubt };
    if priced == Priced::VerificationCheck && approves_nothing(bytes) {
        return Sent::Nothing;
    }
    let member = if priced == Priced::ParticipantCreate { "call_sid" } else { "sid" };
    let sid = serde_json::from_slice::<serde_json::Value>(bytes).ok().and_then(|answer| {
        let sid = Sid::parse(answer.get(member)?.as_str()?).ok()?;
        prefixes.iter().any(|prefix| sid.is(prefix)).then_some(sid)
    });
    sid.map_or(Sent::InDoubt, |sid| Sent::Made(Some(sid)))
}

/// What Twilio says of a verification that is not approved, and so is not billed
/// (<https://www.twilio.com/docs/verify/api/verification-check>, `status`).
const NOT_APPROVED: [&str; 5] = ["pending", "canceled", "max_attempts_reached", "expired", "failed"];

/// Whether Twilio says that nothing was approved: the code was wrong, or the verification was given up.
fn approves_nothing(bytes: &[u8]) -> bool {
    let answer = serde_json::from_slice::<serde_json::Value>(bytes).unwrap_or_default();
    answer.get("status").and_then(|status| status.as_str()).is_some_and(|it| NOT_APPROVED.contains(&it))
}

/// Where the code of a verification was entered, and of which, if it was the right one.
fn entered_at(content: &Content) -> Option<(DialPrefix, Option<Sid>)> {
    #[derive(Deserialize)]
    struct Checked {
        sid: Option<String>,
        status: String,
        to: String,
    }
    let Content::Json(bytes) = content else { return None };
    let checked: Checked = serde_json::from_slice(bytes).ok()?;
    let number = PhoneNumber::parse(&checked.to).ok().filter(|_| checked.status == "approved")?;
    Some((DialPrefix::of(number), checked.sid.and_then(|sid| Sid::parse(&sid).ok())))
}

/// Tells the store that people are there. Where that fails, one code fewer counts.
async fn note_entered(store: &Store, account: Sid, at: Option<(DialPrefix, Option<Sid>)>, now: Now) {
    let Some((beginning, verification)) = at else { return };
    match timeout(STORE_MAX, store.verified(account, beginning, verification, now)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "that a code was entered could not be noted"),
        Err(_) => tracing::warn!("that a code was entered could not be noted in time"),
    }
}

/// Tells the store. Where that fails, the reservation's deadline says what is to be thought of it.
async fn answer_for(end: &EgressEnd, store: &Store, reservation: Reservation, sent: Sent, now: Now) {
    let id = reservation.id().to_owned();
    if sent == Sent::InDoubt {
        end.metrics.in_doubt();
    }
    match timeout(STORE_MAX, store.sent(reservation, sent, now)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(reservation = id, %error, "how a request ended could not be noted"),
        Err(_) => tracing::error!(reservation = id, "how a request ended could not be noted in time"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn json(text: &'static str) -> Content {
        Content::Json(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_code_is_entered_where_twilio_says_approved() {
        let approved = json("{\"status\":\"approved\",\"to\":\"+959250000001\",\"valid\":true}");
        let burma = "+959".parse().unwrap();
        assert_eq!(entered_at(&approved), Some((burma, None)));
        let sid = "VE00000000000000000000000000000007";
        let named = json(
            "{\"sid\":\"VE00000000000000000000000000000007\",\"status\":\"approved\",\"to\":\"+959250000001\"}",
        );
        assert_eq!(entered_at(&named), Some((burma, Sid::parse(sid).ok())));
        for other in [
            "{\"status\":\"pending\",\"to\":\"+959250000001\"}",
            "{\"status\":\"approved\",\"to\":\"ann@example.com\"}",
            "{\"status\":\"approved\"}",
            "{}",
            "<",
        ] {
            assert_eq!(entered_at(&json(other)), None, "{other}");
        }
    }

    #[test]
    fn what_twilio_answered_says_what_was_made() {
        let sid = Sid::new(*b"SM", 7);
        let made = Some(json("{\"sid\":\"SM00000000000000000000000000000007\"}"));
        let of = |status: u16, content: &Option<Content>| {
            became(Priced::MessageCreate, StatusCode::from_u16(status).unwrap(), content.as_ref())
        };
        assert_eq!(of(201, &made), Sent::Made(Some(sid)));
        for status in [400, 401, 403, 404, 429, 499] {
            assert_eq!(of(status, &made), Sent::Nothing, "{status}");
        }
        for status in [100, 301, 307, 408, 500, 502, 503, 504] {
            assert_eq!(of(status, &made), Sent::InDoubt, "{status}");
        }
        let others =
            ["{}", "{\"sid\":\"CA00000000000000000000000000000007\"}", "<"].map(|text| Some(json(text)));
        for odd in others.into_iter().chain([None, Some(Content::Nothing)]) {
            assert_eq!(of(201, &odd), Sent::InDoubt, "{odd:?}");
        }
        let check = |status: &str| {
            let answer = format!("{{\"sid\":\"VE00000000000000000000000000000007\",\"status\":{status}}}");
            became(Priced::VerificationCheck, StatusCode::OK, Some(&Content::Json(Bytes::from(answer))))
        };
        for wrong in NOT_APPROVED {
            assert_eq!(check(&format!("\"{wrong}\"")), Sent::Nothing, "{wrong}");
        }
        for other in ["\"approved\"", "\"unheard\"", "null", "[\"pending\"]"] {
            assert_eq!(check(other), Sent::Made(Some(Sid::new(*b"VE", 7))), "{other}");
        }
        let lookup = became(Priced::LookupFetch, StatusCode::OK, Some(&json("{}")));
        assert_eq!(lookup, Sent::Made(None), "it has no SID");
    }
}
