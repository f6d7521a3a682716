//! In which usage categories Twilio may count a thing: leaves, and all that count them as well.
//!
//! This is data. That every name is one of Twilio's and that no wider category is left out is tested where Twilio's own
//! table can be seen. Where a category is told here that Twilio does not count something in, a limit on it refuses too
//! early until the thing is settled; where one is left out, the limit would be passed.

/// The sum of all prices. Its usage is money.
pub const TOTAL_PRICE: &str = "totalprice";

/// Declares the lists, and all of them by name.
macro_rules! categories {
    ($($(#[doc = $doc:literal])+ $name:ident = [$($category:literal,)+];)+) => {
        $($(#[doc = $doc])+ pub const $name: &[&str] = &[$($category,)+ TOTAL_PRICE];)+

        /// All lists, by name.
        pub const ALL: &[(&str, &[&str])] = &[$((stringify!($name), $name),)+];
    };
}

#[rustfmt::skip]
categories! {
    /// A text from a number of a place, a mobile network or a country.
    SMS_LONG_CODE = ["sms-outbound-longcode", "sms-outbound", "sms", "smsmessages-outbound-domestic",];
    /// A text from a short code.
    SMS_SHORT_CODE = [
        "sms-outbound-shortcode", "sms-outbound", "sms", "shortcodes-messages-outbound",
        "smsmessages-outbound-domestic",
    ];
    /// A text from a toll-free number.
    SMS_TOLL_FREE = ["sms-outbound-tollfree", "sms-outbound", "sms", "smsmessages-outbound-domestic",];
    /// A text from whatever.
    SMS = [
        "sms-outbound-longcode", "sms-outbound", "sms", "sms-outbound-shortcode",
        "shortcodes-messages-outbound", "sms-outbound-tollfree", "smsmessages-outbound-domestic",
        "sms-messages-features-senderid", "sms-messages-features",
    ];
    /// A message with media from whatever, which may become a text with links.
    MEDIA = [
        "mms-outbound-longcode", "mms-outbound", "mms", "mms-outbound-longcode-unitedstates",
        "mms-outbound-longcode-canada", "mms-outbound-shortcode", "mms-outbound-tollfree",
        "mms-outbound-toll-free", "sms-outbound-longcode", "sms-outbound", "sms", "sms-outbound-shortcode",
        "shortcodes-messages-outbound", "sms-outbound-tollfree", "smsmessages-outbound-domestic",
        "sms-messages-features-senderid", "sms-messages-features",
    ];
    /// A text from whatever a Messaging Service chooses, RCS too.
    SERVICE = [
        "sms-outbound-longcode", "sms-outbound", "sms", "sms-outbound-shortcode",
        "shortcodes-messages-outbound", "sms-outbound-tollfree", "smsmessages-outbound-domestic",
        "sms-messages-features-senderid", "sms-messages-features", "usage-rcs-basic-messages-outbound",
        "usage-rcs-messages", "usage-rcs-single-messages-outbound", "rcs-messages",
    ];
    /// A message with media from whatever a Messaging Service chooses, RCS too.
    SERVICE_MEDIA = [
        "mms-outbound-longcode", "mms-outbound", "mms", "mms-outbound-longcode-unitedstates",
        "mms-outbound-longcode-canada", "mms-outbound-shortcode", "mms-outbound-tollfree",
        "mms-outbound-toll-free", "sms-outbound-longcode", "sms-outbound", "sms", "sms-outbound-shortcode",
        "shortcodes-messages-outbound", "sms-outbound-tollfree", "smsmessages-outbound-domestic",
        "sms-messages-features-senderid", "sms-messages-features", "usage-rcs-basic-messages-outbound",
        "usage-rcs-messages", "usage-rcs-single-messages-outbound", "rcs-messages",
    ];
    /// What carriers take for a message.
    CARRIER_FEES = [
        "sms-messages-carrierfees", "mms-messages-carrierfees", "usage-rcs-messaging-carrier-fees",
    ];
    /// A message that Twilio did not get to the carrier.
    FAILED = [
        "failed-message-processing-fee", "usage-programmable-messaging-fees-services",
        "sms-mms-penalty-fees", "sms-mms-penalty-fees-1",
    ];
    /// The check for SMS pumping, to the United States or Canada.
    PUMPING_CHECK_US_CA = ["sms-pumping-protection-usca", "sms-pumping-protection",];
    /// The check for SMS pumping elsewhere; territories of the United States may count as such.
    PUMPING_CHECK = ["sms-pumping-protection-non-usca", "sms-pumping-protection-usca", "sms-pumping-protection",];
    /// Shortened links, scheduled messages.
    ENGAGEMENT = [
        "sms-messages-features-engagement-suite", "sms-messages-features",
        "usage-programmable-messaging-engagement-suite", "engagement-suite-packaged-plans",
    ];
    /// A redacted message.
    REDACTION = ["sms-messages-features-message-redaction", "sms-messages-features",];
    /// A message of WhatsApp: of a conversation, or a template of some kind.
    WHATSAPP = [
        "channels-whatsapp-outbound", "channels-whatsapp", "channels",
        "channels-whatsapp-template-authentication", "channels-whatsapp-template-marketing",
        "channels-whatsapp-template-utility", "channels-whatsapp-service",
        "channels-whatsapp-conversation-authentication", "channels-whatsapp-conversation-marketing",
        "channels-whatsapp-conversation-service", "channels-whatsapp-conversation-utility",
        "channels-messaging-outbound", "channels-messaging",
    ];
    /// A message of Messenger.
    MESSENGER = ["channels-messaging-outbound", "channels-messaging", "channels",];
    /// A call to a phone.
    CALL = [
        "calls-outbound", "calls", "pstnconnectivity-outbound", "pstnconnectivity",
        "pstnconnectivity-minutes", "pstnconnectivity-minutes-1", "programmablevoice-platform",
        "programmablevoiceconnectivity",
    ];
    /// A call over SIP.
    CALL_SIP = [
        "calls-outbound", "calls", "calls-sip-outbound", "calls-sip", "programmablevoiceconn-sip-outbound",
        "programmablevoiceconn-sip", "programmablevoice-platform", "programmablevoiceconnectivity",
    ];
    /// A call to a client of the Voice SDK.
    CALL_CLIENT = [
        "calls-outbound", "calls", "calls-client", "programmablevoiceconn-clientsdk-outbound",
        "programmablevoiceconn-clientsdk", "programmablevoiceconn-onnet-outbound",
        "programmablevoiceconn-onnet", "prog-voice-client-sdk", "prog-voice-client-web-outbound",
        "prog-voice-client-web", "prog-voice-client-ios-outbound", "prog-voice-client-ios",
        "prog-voice-client-android-outbound", "prog-voice-client-android", "programmablevoice-platform",
        "programmablevoiceconnectivity",
    ];
    /// A call to an emergency service.
    CALL_EMERGENCY = [
        "calls-emergency", "trunking-emergency-calls", "pstnconnectivity-emergency", "calls-outbound",
        "calls", "pstnconnectivity-outbound", "pstnconnectivity", "pstnconnectivity-minutes",
        "pstnconnectivity-minutes-1", "programmablevoice-platform", "programmablevoiceconnectivity",
    ];
    /// A recording.
    RECORDING = ["calls-recordings", "recordings", "recordings-encrypted",];
    /// A recording that is written down.
    TRANSCRIPTION = ["transcriptions", "voice-intelligence-transcription", "voice-intelligence",];
    /// Whether a person or a machine has answered.
    MACHINE_DETECTION = ["answering-machine-detection", "call-progess-events",];
    /// Voice Insights.
    VOICE_INSIGHTS = [
        "voice-insights-ptsn-insights-on-demand-minute", "voice-insights",
        "voice-insights-client-insights-on-demand-minute",
        "voice-insights-sip-interface-insights-on-demand-minute",
    ];
    /// A participant of a conference.
    CONFERENCE = ["conference", "calls-globalconference", "agent-conference",];
    /// A media stream, or audio that is forked to a recorder.
    STREAM = ["calls-media-stream-minutes", "programmablevoiceconnectivity-media-streams",];
    /// Speech that is written down while it is spoken.
    LIVE_TRANSCRIPTION = [
        "voice-intelligence-transcription", "voice-intelligence", "voice-intelligence-operators",
        "transcriptions", "conversational-insights-voice-minutes",
    ];
    /// ConversationRelay.
    CONVERSATION_RELAY = ["conversation-relay",];
    /// A virtual agent or an assistant.
    VIRTUAL_AGENT = [
        "virtual-agent", "ivr-virtualagent", "ivr-conversational", "ivr-virtual-agent-genai",
        "ai-assistants-voice", "autopilot-voice",
    ];
    /// A participant of a video room.
    ROOM = [
        "group-rooms-participant-minutes", "group-rooms", "pv", "small-group-rooms-participant-minutes",
        "small-group-rooms", "peer-to-peer-rooms-participant-minutes", "pv-room-participants",
    ];
    /// A payment by telephone.
    PAY = ["calls-pay-verb-transactions", "generic-pay-transactions",];
    /// A call that is handed over.
    TRANSFER = ["calls-transfers", "elastic-sip-trunking-call-transfers",];
    /// A task of `TaskRouter`.
    TASK = ["taskrouter-tasks", "task-router",];
    /// Speech that is recognised.
    SPEECH_RECOGNITION = ["speech-recognition", "ivr-dtmf", "ivr-conversational",];
    /// A text that is spoken.
    SPOKEN = [
        "calls-text-to-speech", "amazon-polly", "tts-google", "tts-basic", "text-to-speech",
        "twiml-verbs-say", "ivr-virtual-agent-custom-voices",
    ];
    /// A verification that is started or that succeeds.
    VERIFICATION = [
        "verify-voice-sms", "verify-voice-and-sms", "authy-phone-verifications", "authy-authentications",
        "account-security", "verify-packaged-plans", "verify-push", "verify-totp", "verify-sna",
        "verify-silent-network-auth", "authy-verify-email-verifications", "authy-email-authentications",
    ];
    /// A code by SMS.
    VERIFICATION_SMS = [
        "authy-sms-outbound", "verify-voice-sms", "verify-voice-and-sms", "sms-outbound-longcode",
        "sms-outbound", "sms", "sms-outbound-shortcode", "shortcodes-messages-outbound",
        "sms-outbound-tollfree", "smsmessages-outbound-domestic", "sms-messages-features-senderid",
        "sms-messages-features",
    ];
    /// A code by voice.
    VERIFICATION_CALL = [
        "authy-calls-outbound", "verify-voice-sms", "verify-voice-and-sms", "calls-outbound", "calls",
        "pstnconnectivity-outbound", "pstnconnectivity", "pstnconnectivity-minutes",
        "pstnconnectivity-minutes-1", "programmablevoice-platform", "programmablevoiceconnectivity",
    ];
    /// A code over WhatsApp.
    VERIFICATION_WHATSAPP = [
        "verify-whatsapp-template-business-initiated", "verify-whatsapp-conversations-business-initiated",
        "channels-whatsapp-outbound", "channels-whatsapp", "channels",
        "channels-whatsapp-template-authentication", "channels-whatsapp-conversation-authentication",
        "channels-messaging-outbound", "channels-messaging",
    ];
    /// A code by mail.
    VERIFICATION_EMAIL = [
        "authy-verify-outbound-email", "authy-outbound-email", "verify-outbound-email",
        "authy-verify-email-verifications", "email",
    ];
    /// A silent verification.
    VERIFICATION_SNA = ["verify-sna", "verify-silent-network-auth",];
    /// A code over RCS, or by SMS where that fails.
    VERIFICATION_RCS = [
        "verify-voice-sms", "verify-voice-and-sms", "authy-sms-outbound",
        "usage-rcs-basic-messages-outbound", "usage-rcs-messages", "usage-rcs-single-messages-outbound",
        "rcs-messages", "sms-outbound-longcode", "sms-outbound", "sms", "sms-outbound-shortcode",
        "shortcodes-messages-outbound", "sms-outbound-tollfree", "smsmessages-outbound-domestic",
        "sms-messages-features-senderid", "sms-messages-features",
    ];
    /// A code over the channel that Verify chooses.
    VERIFICATION_AUTO = [
        "authy-sms-outbound", "authy-calls-outbound", "verify-voice-sms", "verify-voice-and-sms",
        "verify-whatsapp-template-business-initiated", "verify-whatsapp-conversations-business-initiated",
        "verify-sna", "verify-silent-network-auth", "channels-whatsapp-outbound", "channels-whatsapp",
        "channels", "channels-whatsapp-template-authentication", "channels-messaging-outbound",
        "channels-messaging", "usage-rcs-basic-messages-outbound", "usage-rcs-messages",
        "usage-rcs-single-messages-outbound", "rcs-messages", "sms-outbound-longcode", "sms-outbound",
        "sms", "sms-outbound-shortcode", "shortcodes-messages-outbound", "sms-outbound-tollfree",
        "smsmessages-outbound-domestic", "sms-messages-features-senderid", "sms-messages-features",
        "calls-outbound", "calls", "pstnconnectivity-outbound", "pstnconnectivity",
        "pstnconnectivity-minutes", "pstnconnectivity-minutes-1", "programmablevoice-platform",
        "programmablevoiceconnectivity",
    ];
    /// A lookup of a number alone.
    LOOKUP = ["number-format-lookups", "lookups",];
    /// Whose number it is.
    LOOKUP_CALLER_NAME = [
        "calleridlookups", "lookups", "calleridlookups-api", "calleridlookups-programmablevoice",
    ];
    /// Which carrier and which kind of line.
    LOOKUP_LINE_TYPE = ["carrier-lookups", "lookups", "enhanced-line-type-lookups",];
    /// Whether the SIM was changed.
    LOOKUP_SIM_SWAP = ["sim-swap-lookups", "lookups", "fraud-lookups",];
    /// Whether calls are forwarded.
    LOOKUP_CALL_FORWARDING = ["call-forwarding-lookups", "lookups", "fraud-lookups",];
    /// Whether a line is alive.
    LOOKUP_LINE_STATUS = ["line-status-lookups", "lookups", "live-activity-lookups",];
    /// Whether a name fits, or which one does.
    LOOKUP_IDENTITY_MATCH = ["identity-match", "lookups", "lookup-identity-match",];
    /// Whether a number went to somebody else.
    LOOKUP_REASSIGNED_NUMBER = ["reassigned-number", "lookups",];
    /// The risk of SMS pumping.
    LOOKUP_PUMPING_RISK = ["sms-pumping-risk", "lookups", "fraud-lookups",];
    /// How good a number is.
    LOOKUP_QUALITY_SCORE = ["phone-quality-score-lookups", "lookups", "fraud-lookups",];
    /// A lookup of a kind that is not known.
    LOOKUP_ANY = [
        "number-format-lookups", "lookups", "carrier-lookups", "enhanced-line-type-lookups",
        "calleridlookups", "fraud-lookups", "marketplace",
    ];
    /// A number that is rented.
    NUMBER = [
        "phonenumbers-local", "phonenumbers", "phonenumbers-mobile", "phonenumbers-tollfree",
        "phonenumbers-setups", "phonenumbers-numbers",
    ];
    /// A number of a place.
    NUMBER_LOCAL = [
        "phonenumbers-local", "phonenumbers", "phonenumbers-setups", "phonenumbers-numbers",
    ];
    /// A number of a mobile network.
    NUMBER_MOBILE = [
        "phonenumbers-mobile", "phonenumbers", "phonenumbers-setups", "phonenumbers-numbers",
    ];
    /// A toll-free number.
    NUMBER_TOLL_FREE = [
        "phonenumbers-tollfree", "phonenumbers", "phonenumbers-setups", "phonenumbers-numbers",
    ];
}

/// Whether a limit on this category counts calls themselves, of whatever direction, and not only what is used in them.
pub fn counts_calls(category: &str) -> bool {
    const OF_CALLS: &[&str] = &["calls", "pstnconnectivity", "programmablevoice", "prog-voice"];
    let is_inbound = category.contains("inbound") && OF_CALLS.iter().any(|it| category.starts_with(it));
    is_inbound || [CALL, CALL_SIP, CALL_CLIENT].iter().any(|list| list.contains(&category))
}
