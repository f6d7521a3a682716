//! Messages that wait are called back, where Twilio allows it.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;
use ringfence_twilio::client::{Client, Fault};
use ringfence_twilio::wire::MessageStatus;

use super::NotDone;

/// A message can be scheduled so far ahead (35 days), so an older one waits for nothing:
/// <https://www.twilio.com/docs/messaging/features/message-scheduling>.
const WAITS_AT_MOST: SignedDuration = SignedDuration::from_hours(36 * 24);

/// What came of calling messages back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cancelled {
    /// How many were called back.
    pub messages: usize,
    /// How many Twilio would not give back: they are sent, or end in 30002 where the account is suspended.
    pub refused: usize,
}

/// Calls back every message of the account that is queued, accepted or scheduled. Twilio gives back only some of them;
/// what it refuses is counted and is no failure.
pub async fn cancel_queued(client: &Client, account: Sid, now: Timestamp) -> Result<Cancelled, NotDone> {
    let mut cancelled = Cancelled::default();
    let mut pages = client.messages(account).list(&ringfence_twilio::client::MessageFilter::default());
    while let Some(messages) = pages.next().await? {
        for message in &messages {
            let waits = matches!(
                message.status,
                MessageStatus::Queued | MessageStatus::Accepted | MessageStatus::Scheduled
            );
            let Some(sid) = Sid::parse(&message.sid).ok().filter(|_| waits) else { continue };
            match client.messages(account).cancel(sid).await {
                Ok(_) => cancelled.messages += 1,
                Err(error) if error.fault() == Fault::Request => cancelled.refused += 1,
                Err(error) => return Err(error.into()),
            }
        }
        let oldest = messages.last().and_then(|message| message.date_created);
        if oldest.is_some_and(|oldest| now.duration_since(oldest.0) > WAITS_AT_MOST) {
            break;
        }
    }
    Ok(cancelled)
}
