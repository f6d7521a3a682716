//! Twilio's lists of messages and calls, as the ledger needs them.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Amount, Sid};
use ringfence_store::{Arrival, Spent};
use ringfence_twilio::client::{self, Pages};
use ringfence_twilio::wire::{
    Call, CallDirection, CallStatus, Message, MessageDirection, MessageStatus, Price, Rfc2822,
};
use serde::de::DeserializeOwned;

/// Pages of a list that are read at most: of a thousand each.
const PAGES_MAX: usize = 40;
/// A message that failed has no price; one that is priced late gets it within this time.
const UNPRICED_FOR: SignedDuration = SignedDuration::from_mins(10);

/// What is in a list: a message or a call.
pub(super) struct Listed {
    pub(super) sid: Sid,
    pub(super) created: Timestamp,
    /// By whom it can be known, in each way that may have been asked for; by nobody where it came in.
    pub(super) parties: Vec<Party>,
    pub(super) spent: Option<Spent>,
    /// Whether it arrived, of a message.
    pub(super) arrival: Arrival,
    /// Whether it is a call that was over long enough ago for everything that it led to to be listed.
    pub(super) is_over: bool,
}

/// Whom something went to, and what made it.
pub(super) enum Party {
    /// A request, which named a sender.
    Asked { to: String, from: String },
    /// A `Dial` in this call.
    Dialled { to: String, by: Sid },
    /// A `Message` in an answer.
    Reply { to: String, from: String },
}

/// Reads a list page by page until it is older than what is looked for.
pub(super) async fn read_back<T: DeserializeOwned>(
    pages: Pages<T>,
    since: Timestamp,
    created: impl Fn(&T) -> Option<&Rfc2822>,
    listed: impl Fn(&T) -> Option<Listed>,
) -> (Vec<Listed>, Option<client::Error>) {
    let mut pages = pages.page_size(1000);
    let mut all = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = match pages.next().await {
            Ok(Some(page)) => page,
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        };
        let is_old = |it: &T| created(it).is_some_and(|created| created.0 < since);
        let reached = page.iter().any(is_old);
        all.extend(page.iter().filter_map(&listed));
        if reached {
            return (all, None);
        }
    }
    tracing::warn!(
        pages = PAGES_MAX,
        "a list is too long to be read back to the oldest request that is open"
    );
    (all, None)
}

pub(super) fn message(message: &Message, now: Timestamp) -> Option<Listed> {
    let is_asked_for = match message.direction {
        MessageDirection::OutboundApi => true,
        MessageDirection::OutboundReply | MessageDirection::OutboundCall => false,
        _ => return None,
    };
    let created = message.date_created.as_ref()?.0;
    let to = message.to.clone().unwrap_or_default();
    let senders = [message.from.clone(), message.messaging_service_sid.clone()];
    let usage = message.num_segments.as_deref().and_then(|text| text.parse::<Amount>().ok());
    let is_over = matches!(
        message.status,
        MessageStatus::Failed | MessageStatus::Undelivered | MessageStatus::Canceled
    );
    let arrival = match message.status {
        MessageStatus::Delivered | MessageStatus::Read => Arrival::Delivered,
        MessageStatus::Failed | MessageStatus::Undelivered => Arrival::Failed,
        _ => Arrival::Unknown,
    };
    Some(Listed {
        sid: Sid::parse(&message.sid).ok()?,
        created,
        parties: senders
            .into_iter()
            .flatten()
            .map(|from| {
                let to = to.clone();
                if is_asked_for { Party::Asked { to, from } } else { Party::Reply { to, from } }
            })
            .collect(),
        is_over: false,
        arrival,
        spent: spent(
            message.price,
            is_over,
            message.date_updated.as_ref(),
            usage.filter(|it| *it > Amount::ZERO),
            now,
        )
        .map(|spent| Spent { arrival, ..spent }),
    })
}

pub(super) fn call(call: &Call, now: Timestamp) -> Option<Listed> {
    let (to, from) = (call.to.clone().unwrap_or_default(), call.from.clone().unwrap_or_default());
    let parent = call.parent_call_sid.as_deref().and_then(|sid| Sid::parse(sid).ok());
    let parties = match (&call.direction, parent) {
        (CallDirection::OutboundApi, _) => vec![Party::Asked { to, from }],
        (CallDirection::OutboundDial, Some(by)) => vec![Party::Dialled { to, by }],
        _ => Vec::new(),
    };
    let came_to_nothing = matches!(
        call.status,
        CallStatus::Failed | CallStatus::Busy | CallStatus::NoAnswer | CallStatus::Canceled
    );
    let is_settled = has_rested(call.date_updated.as_ref(), now);
    let seconds = call.duration.as_deref().and_then(|text| text.parse::<i64>().ok());
    let minutes = seconds.map(|seconds| Amount::from_units(seconds.max(0).saturating_add(59) / 60));
    Some(Listed {
        sid: Sid::parse(&call.sid).ok()?,
        created: call.date_created.as_ref()?.0,
        parties,
        arrival: Arrival::Unknown,
        spent: spent(call.price, came_to_nothing, call.date_updated.as_ref(), minutes, now),
        is_over: is_settled && (came_to_nothing || call.status == CallStatus::Completed),
    })
}

/// What it cost, once that is known: by its price, or because what has none by now came to nothing.
fn spent(
    price: Option<Price>,
    came_to_nothing: bool,
    updated: Option<&Rfc2822>,
    usage: Option<Amount>,
    now: Timestamp,
) -> Option<Spent> {
    if let Some(price) = price {
        // Prices of messages and calls are negative.
        return Some(Spent {
            price: Amount::from_micros(price.micros.saturating_abs()),
            usage,
            ..Spent::default()
        });
    }
    (came_to_nothing && has_rested(updated, now))
        .then_some(Spent { usage: Some(Amount::ZERO), ..Spent::default() })
}

/// Whether it has not changed for so long that what Twilio says late of it is said.
fn has_rested(updated: Option<&Rfc2822>, now: Timestamp) -> bool {
    updated.is_some_and(|at| at.0.saturating_add(UNPRICED_FOR).is_ok_and(|until| until <= now))
}
