//! Messages and their lives, out and in.
//!
//! A message that goes out is `accepted` (a Messaging Service will choose its sender) or `queued`, then `sending`,
//! `sent`, and `delivered` or `undelivered`; one that was scheduled waits before all that and can be canceled. Each
//! change is a [`Step`] on the agenda, a pause of the settings after the one before. What was used is booked when a
//! message is sent or received; its price shows a while later. A message whose turn comes while its account is not
//! active ends as `failed` with 30002, as Twilio documents it.
//!
//! There are no carriers here that fail by themselves: every phone takes every text, unless it was told otherwise
//! ([`phones::Delivery`](super::phones::Delivery)), and Twilio's magic numbers are refused as its test credentials
//! refuse them. Whatever can be known when a message is made is refused then; the real Twilio tells some of it
//! later, as a failed message, where a Messaging Service is used.
//!
//! <https://www.twilio.com/docs/messaging/api/message-resource>,
//! <https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks>.

mod address;
mod callbacks;
mod checks;
mod codes;
mod inbound;
mod opt_out;
mod outbound;
mod places;
mod smart_encoding;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::{MessageDirection, MessageStatus};

pub(crate) use address::{Address, is_sender_name, parse_phone};
pub(crate) use checks::{Draft, Unsendable};
pub(crate) use codes::description;
pub(super) use inbound::answered;
pub(crate) use inbound::{Inbound, receive};
pub(super) use outbound::advance;
pub(crate) use outbound::{cancel, send};
pub(crate) use places::country_of;
pub(super) use places::place_of;

use super::World;
use super::media;
use super::webhooks::Target;
use crate::table::{Row, Table};

/// All messages, and what is remembered between them.
#[derive(Debug)]
pub(crate) struct Messages {
    rows: Table<Message>,
    opt_outs: opt_out::OptOuts,
    /// Until when each sender is busy with what stands in its queue.
    busy: HashMap<Address, Timestamp>,
    /// Which number of a Messaging Service writes to whom.
    sticky: HashMap<(Sid, PhoneNumber), PhoneNumber>,
    replies: inbound::Replies,
    /// The status callback of the message before: most messages share theirs.
    callback: Option<Arc<str>>,
}

/// A message. There may be a million of them, so it is kept small: no text twice, nothing that can be computed.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) service: Option<Sid>,
    /// `None` until a Messaging Service chose one.
    pub(crate) from: Option<Address>,
    pub(crate) to: PhoneNumber,
    pub(crate) body: Box<str>,
    pub(crate) status: Status,
    pub(crate) direction: Direction,
    /// As many as will be billed.
    pub(crate) segments: u16,
    pub(crate) media: Box<[Sid]>,
    pub(crate) error: Option<NonZero<u16>>,
    /// Positive. What it cost is known when it is sent, and told later.
    price_micros: u32,
    priced: bool,
    /// How many answers to answers led to it, where two numbers of the sandbox write to each other.
    answers: u8,
    /// Seconds that it may wait in the queue.
    validity_s: u16,
    status_callback: Option<Arc<str>>,
    created: i64,
    updated: i64,
    sent: Option<i64>,
    /// While the application is asked what to answer.
    conversation: Option<Box<Conversation>>,
}

/// An inbound message whose answer is not carried out to its end yet.
#[derive(Debug, Clone)]
struct Conversation {
    asked: Target,
    fallback: Option<Target>,
    /// How many documents were asked for.
    documents: u8,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Accepted,
    Scheduled,
    Canceled,
    Queued,
    Sending,
    Sent,
    Failed,
    Delivered,
    Undelivered,
    Received,
}

/// Which way a message goes, and what made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    OutboundApi,
    OutboundCall,
    OutboundReply,
}

/// What happens to a message next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It gets its sender and goes into that one's queue.
    Queue,
    /// Its turn in the queue has come.
    Send,
    /// The carrier took it.
    Sent,
    /// It reaches the phone, or does not.
    Deliver,
    /// Its price is known.
    Price,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            rows: Table::by_account(),
            opt_outs: opt_out::OptOuts::default(),
            busy: HashMap::new(),
            sticky: HashMap::new(),
            replies: inbound::Replies::default(),
            callback: None,
        }
    }
}

impl Messages {
    pub(super) fn set_cap(&mut self, cap: usize) {
        self.rows.set_cap(cap);
    }

    pub(crate) fn find_of(&self, account: Sid, sid: Sid) -> Option<&Message> {
        self.rows.find_of(account, sid)
    }

    /// The messages of an account, newest first; those older than this one, if one is given.
    pub(crate) fn of(&self, account: Sid, after: Option<Sid>) -> impl Iterator<Item = &Message> {
        let older = after.map(|after| self.rows.of_after(account, after));
        let all = after.is_none().then(|| self.rows.of(account));
        older.into_iter().flatten().chain(all.into_iter().flatten())
    }

    /// All messages, newest first.
    pub(crate) fn newest_first(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.rows.newest_first()
    }

    /// The number from which a Messaging Service writes to somebody.
    pub(super) fn sticky(&self, service: Sid, to: PhoneNumber) -> Option<PhoneNumber> {
        self.sticky.get(&(service, to)).copied()
    }

    pub(super) fn remember_sender(&mut self, service: Sid, to: PhoneNumber, from: PhoneNumber) {
        self.sticky.insert((service, to), from);
    }

    /// The same allocation for the same URL as in the message before.
    fn share(&mut self, url: Option<&str>) -> Option<Arc<str>> {
        let url = url?;
        if self.callback.as_deref() != Some(url) {
            self.callback = Some(url.into());
        }
        self.callback.clone()
    }
}

impl Row for Message {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Message {
    pub(crate) fn created(&self) -> Timestamp {
        from_seconds(self.created)
    }

    pub(crate) fn updated(&self) -> Timestamp {
        from_seconds(self.updated)
    }

    /// When it left or came in.
    pub(crate) fn sent(&self) -> Option<Timestamp> {
        self.sent.map(from_seconds)
    }

    /// What it cost, positive, once that is told.
    pub(crate) fn price_micros(&self) -> Option<i64> {
        self.priced.then_some(self.price_micros.into())
    }

    /// `None` until its sender is known: how it is cut depends on it.
    pub(crate) fn counted_segments(&self) -> u16 {
        if self.from.is_none() { 0 } else { self.segments }
    }

    /// Nothing will happen to it any more by itself. A message without a receipt stays `sent` for ever, so that
    /// counts.
    pub(crate) fn is_finished(&self) -> bool {
        !matches!(self.status, Status::Accepted | Status::Scheduled | Status::Queued | Status::Sending)
    }

    fn fail(&mut self, status: Status, code: u16) {
        self.status = status;
        self.error = NonZero::new(code);
    }
}

/// Takes the text out of a message. `false`: it is still needed.
pub(crate) fn redact(world: &mut World, account: Sid, sid: Sid) -> bool {
    let now = world.now.as_second();
    let Some(message) = world.messages.rows.find_mut_of(account, sid).filter(|it| it.is_finished()) else {
        return false;
    };
    message.body = Box::default();
    message.updated = now;
    world.touch();
    true
}

/// Removes a message with its media. `false`: it is not at its end.
pub(crate) fn delete(world: &mut World, account: Sid, sid: Sid) -> bool {
    if world.messages.find_of(account, sid).is_none_or(|message| !message.is_finished()) {
        return false;
    }
    if let Some(message) = world.messages.rows.remove_of(account, sid) {
        media::delete(world, account, &message.media);
    }
    world.touch();
    true
}

impl Status {
    pub(crate) fn to_wire(self) -> MessageStatus {
        match self {
            Self::Accepted => MessageStatus::Accepted,
            Self::Scheduled => MessageStatus::Scheduled,
            Self::Canceled => MessageStatus::Canceled,
            Self::Queued => MessageStatus::Queued,
            Self::Sending => MessageStatus::Sending,
            Self::Sent => MessageStatus::Sent,
            Self::Failed => MessageStatus::Failed,
            Self::Delivered => MessageStatus::Delivered,
            Self::Undelivered => MessageStatus::Undelivered,
            Self::Received => MessageStatus::Received,
        }
    }
}

impl Direction {
    pub(crate) fn to_wire(self) -> MessageDirection {
        match self {
            Self::Inbound => MessageDirection::Inbound,
            Self::OutboundApi => MessageDirection::OutboundApi,
            Self::OutboundCall => MessageDirection::OutboundCall,
            Self::OutboundReply => MessageDirection::OutboundReply,
        }
    }
}

fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN)
}
