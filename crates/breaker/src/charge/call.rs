//! What a call costs: <https://www.twilio.com/docs/voice/api/call-resource>.

use ringfence_model::PhoneNumber;

use super::categories as of;
use super::{Channel, Charge, Line, Recipient, Unpriced};
use crate::price_book::{Fee, PriceBook};

/// A call as it is asked for (`Calls` and `Participants`).
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// `To`.
    pub to: Recipient,
    /// `From`, where it is a phone number.
    pub from: Option<PhoneNumber>,
    /// `TimeLimit` in seconds; none where there is none, or it is no number.
    pub time_limit: Option<u64>,
    /// Whether it is recorded (`Record`).
    pub record: bool,
    /// Whether the conference that it leads into is recorded (`ConferenceRecord`): another recording, which goes on as long
    /// as anybody is there.
    pub conference_record: bool,
    /// Whether it is found out who has answered (`MachineDetection`).
    pub machine_detection: bool,
    /// Whether it leads into a conference (`Participants`).
    pub conference: bool,
}

/// A charge that holds only if the call is no longer than a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// What it costs for that time.
    pub charge: Charge,
    /// That time.
    pub time_limit: TimeLimit,
}

/// How long a call may be, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeLimit {
    /// As long as was asked for.
    Asked(u32),
    /// No limit was asked for, or a larger one: this must be sent instead.
    Set(u32),
}

impl TimeLimit {
    /// The limit of a call that asks for one in seconds, for none, or for one that is larger than what is let through.
    /// 0 is none.
    pub fn of(asked: Option<u64>, book: &PriceBook) -> Self {
        let most = book.assumed().call_seconds_at_most.max(1);
        match asked {
            None | Some(0) => Self::Set(book.assumed().call_seconds.clamp(1, most)),
            Some(asked) => match u32::try_from(asked) {
                Ok(asked) if asked <= most => Self::Asked(asked),
                _ => Self::Set(most),
            },
        }
    }

    /// In seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::Asked(seconds) | Self::Set(seconds) => seconds,
        }
    }
}

/// The minutes that are billed: each that was begun, at least one.
pub fn minutes(seconds: u64) -> u64 {
    seconds.div_ceil(60).max(1)
}

impl Call {
    /// The worst price, and the time limit that must be sent.
    pub fn charge(&self, book: &PriceBook) -> Result<Timed, Unpriced> {
        let time_limit = TimeLimit::of(self.time_limit, book);
        let minutes = minutes(u64::from(time_limit.seconds()));
        let mut lines = vec![leg(book, self.to, self.from, minutes)?];
        if self.record {
            lines.push(Line::each(of::RECORDING, book.fee(Fee::RecordingMinute)?, minutes));
        }
        if self.conference_record {
            let most = self::minutes(u64::from(book.assumed().longest()));
            lines.push(Line::each(of::RECORDING, book.fee(Fee::RecordingMinute)?, most));
        }
        if self.machine_detection {
            lines.push(Line::once(of::MACHINE_DETECTION, book.fee(Fee::MachineDetection)?));
        }
        if self.conference {
            lines.push(Line::each(of::CONFERENCE, book.fee(Fee::ConferenceMinute)?, minutes));
        }
        if book.assumed().voice_insights {
            lines.push(Line::each(of::VOICE_INSIGHTS, book.fee(Fee::VoiceInsightsMinute)?, minutes));
        }
        Ok(Timed { charge: Charge { lines }, time_limit })
    }
}

/// So many minutes with one party.
pub(super) fn leg(
    book: &PriceBook,
    to: Recipient,
    from: Option<PhoneNumber>,
    minutes: u64,
) -> Result<Line, Unpriced> {
    Ok(match to {
        Recipient::Phone(to) => Line::each(of::CALL, book.minute(to, from)?, minutes),
        Recipient::Sip => Line::each(of::CALL_SIP, book.fee(Fee::SipMinute)?, minutes),
        Recipient::Client => Line::each(of::CALL_CLIENT, book.fee(Fee::ClientMinute)?, minutes),
        Recipient::Channel(Channel::Whatsapp, _) => {
            Line::each(of::CALL, book.fee(Fee::WhatsappMinute)?, minutes)
        }
        Recipient::Emergency => Line::of(of::CALL_EMERGENCY, book.fee(Fee::EmergencyCall)?, minutes, 1),
        Recipient::Unclear => return Err(Unpriced::Recipient),
        Recipient::Channel(Channel::Messenger | Channel::Rcs, _) | Recipient::Other => {
            Line::each(of::CALL, book.or_unknown(None, || Unpriced::Recipient)?, minutes)
        }
    })
}
