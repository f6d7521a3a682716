//! What `TaskRouter` dials when an assignment callback is answered with an instruction:
//! <https://www.twilio.com/docs/taskrouter/handle-assignment-callbacks>.

use ringfence_model::PhoneNumber;

use super::call::leg;
use super::categories as of;
use super::{Charge, Line, Recipient, Unpriced, minutes};
use crate::price_book::{Fee, PriceBook};

/// A call to a worker, or to the customer of a task that goes out (`call`, `dequeue`, `conference`). No instruction bounds how
/// long it may be, so it is priced for the longest that Twilio lets any call be.
#[derive(Debug, Clone, Copy)]
pub struct AssignedCall {
    /// Whom it calls.
    pub to: Recipient,
    /// `from`, where it is a phone number.
    pub from: Option<PhoneNumber>,
    /// Whether it is recorded (`record`).
    pub record: bool,
    /// Of how many participants of a conference it is billed for; none of a call that leads into none. Whoever the task is
    /// about takes part too.
    pub participants: u32,
    /// Whether the conference is recorded (`conference_record`).
    pub conference_record: bool,
}

impl AssignedCall {
    /// The worst price.
    ///
    /// # Errors
    /// Where the price book knows no price of it.
    pub fn charge(&self, book: &PriceBook) -> Result<Charge, Unpriced> {
        let minutes = minutes(u64::from(book.assumed().longest()));
        let mut lines = vec![leg(book, self.to, self.from, minutes)?];
        if book.assumed().voice_insights {
            lines.push(Line::each(of::VOICE_INSIGHTS, book.fee(Fee::VoiceInsightsMinute)?, minutes));
        }
        for _ in 0..self.participants {
            lines.push(Line::each(of::CONFERENCE, book.fee(Fee::ConferenceMinute)?, minutes));
        }
        for _ in 0..u8::from(self.record) + u8::from(self.conference_record) {
            lines.push(Line::each(of::RECORDING, book.fee(Fee::RecordingMinute)?, minutes));
        }
        Ok(Charge { lines })
    }
}
