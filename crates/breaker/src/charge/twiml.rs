//! What the verbs of TwiML cost: <https://www.twilio.com/docs/voice/twiml>.
//!
//! A verb that takes time is priced for the longest that it may take; whoever reads the TwiML sets that limit in it, or
//! takes what is left of the call's own. `Message` of TwiML is a [`super::Message`].

use ringfence_model::PhoneNumber;

use super::call::leg;
use super::categories as of;
use super::{Charge, Line, Recipient, TimeLimit, Timed, Unpriced, minutes};
use crate::price_book::{Fee, PriceBook};

/// `Dial` with its nouns.
#[derive(Debug, Clone)]
pub struct Dial<'a> {
    /// Whom it calls. All of them ring; more than one may answer.
    pub nouns: &'a [Noun],
    /// `callerId`, or the number that the call is from.
    pub from: Option<PhoneNumber>,
    /// `timeLimit` in seconds; none where there is none, or it is no number.
    pub time_limit: Option<u64>,
    /// Seconds that somebody may be kept before he is connected, which `timeLimit` does not bound (`url` of a noun).
    pub before: u64,
    /// Whether it is recorded (`record`).
    pub record: bool,
    /// Whether the conference that it leads into is recorded (`record` of `Conference`): another recording, which goes on as
    /// long as anybody is there.
    pub conference_record: bool,
    /// Whether it is found out who has answered (`machineDetection` of a noun).
    pub machine_detection: bool,
}

/// Where a `Dial` leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// `Number`, `Client`, `Sip`, `WhatsApp`, or the text of `Dial`.
    Party(Recipient),
    /// `Conference`.
    Conference,
    /// `Queue`.
    Queue,
    /// `Sim`, `Application` and others whose price is not known.
    Other,
}

/// What `Connect` and `Start` begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `Stream`.
    Stream,
    /// `Siprec`.
    Siprec,
    /// `Transcription`.
    Transcription,
    /// `ConversationRelay`.
    ConversationRelay,
    /// `VirtualAgent`, `Assistant`, `Autopilot`, `AiSession`.
    VirtualAgent,
    /// `Room`.
    Room,
    /// `Recording`.
    Recording,
    /// `Conversation` and others whose price is not known.
    Other,
}

/// A verb other than `Dial` and `Message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `Refer`.
    Refer,
    /// `Enqueue`.
    Enqueue {
        /// Whether it makes a task (`workflowSid`).
        task: bool,
    },
    /// `Record`.
    Record {
        /// `maxLength`; Twilio's own is an hour.
        seconds: u64,
        /// Whether it is written down.
        transcribe: bool,
    },
    /// `Pay`.
    Pay,
    /// What `Connect` and `Start` begin.
    Media {
        /// What it is.
        media: Media,
        /// How long the call may still take.
        seconds: u64,
    },
    /// `Gather` whose `input` has `speech`.
    Listen {
        /// How long it listens at most: `timeout` and `speechTimeout`, or how long the call may still take.
        seconds: u64,
    },
    /// `Say`, also in `Gather`.
    Say {
        /// How many characters it has, all repetitions (`loop`) together.
        characters: u64,
        /// Whether the voice costs something: all but `man`, `woman` and `alice`.
        premium: bool,
    },
}

impl Dial<'_> {
    /// The worst price, and the time limit that must be sent.
    pub fn charge(&self, book: &PriceBook) -> Result<Timed, Unpriced> {
        let time_limit = TimeLimit::of(self.time_limit, book);
        let minutes = minutes(u64::from(time_limit.seconds()).saturating_add(self.before));
        let mut lines = Vec::new();
        for noun in self.nouns {
            match noun {
                Noun::Party(to) => {
                    lines.push(leg(book, *to, self.from, minutes)?);
                    if book.assumed().voice_insights {
                        let each = book.fee(Fee::VoiceInsightsMinute)?;
                        lines.push(Line::each(of::VOICE_INSIGHTS, each, minutes));
                    }
                    if self.machine_detection {
                        lines.push(Line::once(of::MACHINE_DETECTION, book.fee(Fee::MachineDetection)?));
                    }
                }
                Noun::Conference => {
                    lines.push(Line::each(of::CONFERENCE, book.fee(Fee::ConferenceMinute)?, minutes));
                }
                // Whoever waits in it has a call of his own.
                Noun::Queue => {}
                Noun::Other => {
                    lines.push(Line::each(of::CALL, book.or_unknown(None, || Unpriced::Twiml)?, minutes));
                }
            }
        }
        if self.record {
            lines.push(Line::each(of::RECORDING, book.fee(Fee::RecordingMinute)?, minutes));
        }
        if self.conference_record {
            let most = super::minutes(u64::from(book.assumed().longest()));
            lines.push(Line::each(of::RECORDING, book.fee(Fee::RecordingMinute)?, most));
        }
        Ok(Timed { charge: Charge { lines }, time_limit })
    }
}

impl Verb {
    /// The worst price.
    pub fn charge(self, book: &PriceBook) -> Result<Charge, Unpriced> {
        let mut lines = Vec::new();
        match self {
            Self::Refer => lines.push(Line::once(of::TRANSFER, book.fee(Fee::CallTransfer)?)),
            Self::Enqueue { task: true } => lines.push(Line::once(of::TASK, book.fee(Fee::Task)?)),
            Self::Enqueue { task: false } | Self::Say { premium: false, .. } => {}
            Self::Record { seconds, transcribe } => {
                let minutes = minutes(seconds);
                lines.push(Line::each(of::RECORDING, book.fee(Fee::RecordingMinute)?, minutes));
                if transcribe {
                    lines.push(Line::each(of::TRANSCRIPTION, book.fee(Fee::TranscriptionMinute)?, minutes));
                }
            }
            Self::Pay => lines.push(Line::once(of::PAY, book.fee(Fee::PayTransaction)?)),
            Self::Media { media, seconds } => lines.push(media.line(book, minutes(seconds))?),
            Self::Listen { seconds } => {
                let recognitions = seconds.div_ceil(15).max(1);
                let each = book.fee(Fee::SpeechRecognition)?;
                let price = each.saturating_mul(recognitions);
                lines.push(Line::of(of::SPEECH_RECOGNITION, price, recognitions, recognitions));
            }
            Self::Say { characters, premium: true } => {
                let each = book.fee(Fee::SpokenHundred)?;
                let price = each.saturating_mul(characters.div_ceil(100).max(1));
                lines.push(Line::of(of::SPOKEN, price, characters, 1));
            }
        }
        Ok(Charge { lines })
    }
}

impl Media {
    fn line(self, book: &PriceBook, minutes: u64) -> Result<Line, Unpriced> {
        let (categories, fee) = match self {
            Self::Stream => (of::STREAM, Fee::StreamMinute),
            Self::Siprec => (of::STREAM, Fee::SiprecMinute),
            Self::Transcription => (of::LIVE_TRANSCRIPTION, Fee::LiveTranscriptionMinute),
            Self::ConversationRelay => (of::CONVERSATION_RELAY, Fee::ConversationRelayMinute),
            Self::VirtualAgent => (of::VIRTUAL_AGENT, Fee::VirtualAgentMinute),
            Self::Room => (of::ROOM, Fee::RoomMinute),
            Self::Recording => (of::RECORDING, Fee::RecordingMinute),
            Self::Other => {
                let each = book.or_unknown(None, || Unpriced::Twiml)?;
                return Ok(Line::each(of::STREAM, each, minutes));
            }
        };
        Ok(Line::each(categories, book.fee(fee)?, minutes))
    }
}
