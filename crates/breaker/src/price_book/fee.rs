//! Prices that do not depend on the destination's prefix.

use std::fmt;

use ringfence_model::Amount;
use serde::{Deserialize, Serialize};

/// Declares the fees: variant, name, built-in price in micro-dollars, what it is paid for.
macro_rules! fees {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $micros:literal;)+) => {
        /// A price that does not depend on the destination's prefix.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Fee {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Fee {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// As it is typed.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it costs in US dollars as long as nobody has said better.
            ///
            /// These are guesses upwards from Twilio's public list prices, not the account's own prices: a guess that
            /// is too high only sets too much money aside until Twilio tells the true price; one that is too low lets
            /// a limit be passed. Replace them by what the account pays.
            pub const fn built_in(self) -> Amount {
                Amount::from_micros(match self { $(Self::$variant => $micros,)+ })
            }
        }
    };
}

fees! {
    /// A message that Twilio did not get to the carrier.
    FailedMessage = "failed-message", 2_000;
    /// What a carrier of the United States takes for a segment, of a sender that is not registered at worst.
    CarrierSmsUs = "carrier-sms-us", 15_000;
    /// What a carrier of the United States takes for a message with media.
    CarrierMmsUs = "carrier-mms-us", 30_000;
    /// What a carrier of Canada takes for a segment.
    CarrierSmsCa = "carrier-sms-ca", 20_000;
    /// What a carrier of Canada takes for a message with media.
    CarrierMmsCa = "carrier-mms-ca", 40_000;
    /// A message with media to the United States.
    MmsUs = "mms-us", 30_000;
    /// A message with media to Canada.
    MmsCa = "mms-ca", 40_000;
    /// A message with media to Australia.
    MmsAu = "mms-au", 500_000;
    /// The check of a message to the United States or Canada for SMS pumping.
    PumpingCheckUsCa = "pumping-check-us-ca", 10_000;
    /// The check of a message to any other country for SMS pumping.
    PumpingCheck = "pumping-check", 30_000;
    /// Shortened links or a scheduled time (Engagement Suite), of one message.
    EngagementSuite = "engagement-suite", 20_000;
    /// Redaction of one message's body or number.
    MessageRedaction = "message-redaction", 2_000;
    /// What Twilio takes for a message of WhatsApp.
    WhatsappMessage = "whatsapp-message", 5_000;
    /// What Meta takes for a template of WhatsApp, of the dearest kind in the dearest country.
    WhatsappTemplate = "whatsapp-template", 250_000;
    /// A message of Messenger.
    MessengerMessage = "messenger-message", 10_000;
    /// A message of RCS.
    RcsMessage = "rcs-message", 50_000;
    /// A minute with a client of the Voice SDK.
    ClientMinute = "client-minute", 5_000;
    /// A minute over SIP.
    SipMinute = "sip-minute", 5_000;
    /// A minute of a call over WhatsApp.
    WhatsappMinute = "whatsapp-minute", 300_000;
    /// A call to an emergency number, from a number without a registered address at worst.
    EmergencyCall = "emergency-call", 100_000_000;
    /// A minute of one participant of a conference.
    ConferenceMinute = "conference-minute", 5_000;
    /// A minute that is recorded.
    RecordingMinute = "recording-minute", 5_000;
    /// A minute of a recording that is written down.
    TranscriptionMinute = "transcription-minute", 60_000;
    /// Finding out whether a person or a machine has answered.
    MachineDetection = "machine-detection", 10_000;
    /// A minute of Voice Insights, which an account may have switched on for all its calls.
    VoiceInsightsMinute = "voice-insights-minute", 5_000;
    /// A minute of a media stream.
    StreamMinute = "stream-minute", 5_000;
    /// A minute that is forked to a recorder over SIP.
    SiprecMinute = "siprec-minute", 5_000;
    /// A minute that is written down while it is spoken.
    LiveTranscriptionMinute = "live-transcription-minute", 60_000;
    /// A minute of ConversationRelay.
    ConversationRelayMinute = "conversation-relay-minute", 100_000;
    /// A minute with a virtual agent or an assistant.
    VirtualAgentMinute = "virtual-agent-minute", 200_000;
    /// A minute of one participant of a video room.
    RoomMinute = "room-minute", 10_000;
    /// A payment by telephone.
    PayTransaction = "pay-transaction", 200_000;
    /// A call that is handed over by SIP REFER.
    CallTransfer = "call-transfer", 200_000;
    /// A task of `TaskRouter`.
    Task = "task", 100_000;
    /// Fifteen seconds of speech that are recognised.
    SpeechRecognition = "speech-recognition", 30_000;
    /// A hundred characters that are spoken by a voice that costs something.
    SpokenHundred = "spoken-hundred", 20_000;
    /// A verification that is started. Some accounts pay for each that is started and others for each that succeeds; the
    /// book cannot tell, so both are set aside.
    VerificationStarted = "verification-started", 50_000;
    /// A verification that succeeds.
    VerificationApproved = "verification-approved", 50_000;
    /// A code by mail.
    VerificationEmail = "verification-email", 50_000;
    /// A silent verification by the mobile network.
    VerificationSna = "verification-sna", 100_000;
    /// Lookup: the name that belongs to a number.
    LookupCallerName = "lookup-caller-name", 20_000;
    /// Lookup: the carrier, of the first version.
    LookupCarrier = "lookup-carrier", 10_000;
    /// Lookup: the kind of line.
    LookupLineType = "lookup-line-type", 15_000;
    /// Lookup: whether the SIM was changed.
    LookupSimSwap = "lookup-sim-swap", 150_000;
    /// Lookup: whether calls are forwarded.
    LookupCallForwarding = "lookup-call-forwarding", 150_000;
    /// Lookup: whether a line is alive.
    LookupLineStatus = "lookup-line-status", 100_000;
    /// Lookup: whether a name and an address fit.
    LookupIdentityMatch = "lookup-identity-match", 300_000;
    /// Lookup: whether a number went to somebody else.
    LookupReassignedNumber = "lookup-reassigned-number", 100_000;
    /// Lookup: the risk of SMS pumping.
    LookupPumpingRisk = "lookup-pumping-risk", 50_000;
    /// Lookup: how good a number is.
    LookupQualityScore = "lookup-quality-score", 100_000;
    /// Lookup: name and address of whom a number belongs to.
    LookupPreFill = "lookup-pre-fill", 1_000_000;
}

impl Fee {
    /// Reads its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fee| fee.name() == name)
    }
}

impl fmt::Display for Fee {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
