//! The elements and attributes of TwiML whose meaning, and so whose price, is known:
//! <https://www.twilio.com/docs/voice/twiml>, <https://www.twilio.com/docs/messaging/twiml>.
//!
//! Names have a case, at Twilio and here. What is not in this table may do anything; `unknown_twiml` decides about it.

/// Elements with their attributes. Where an element stands in several others, it has the attributes of all of them.
const ELEMENTS: &[(&str, &str)] = &[
    ("Response", ""),
    ("Say", "voice language loop"),
    ("Play", "loop digits"),
    ("Pause", "length"),
    ("Echo", ""),
    ("Hangup", ""),
    ("Leave", ""),
    ("Reject", "reason"),
    ("Redirect", "method"),
    (
        "Gather",
        "input action method timeout speechTimeout maxSpeechTime profanityFilter finishOnKey numDigits \
         partialResultCallback partialResultCallbackMethod language hints bargeIn debug actionOnEmptyResult \
         speechModel enhanced",
    ),
    (
        "Record",
        "action method timeout finishOnKey maxLength playBeep trim recordingStatusCallback \
         recordingStatusCallbackMethod recordingStatusCallbackEvent recordingConfigurationId transcribe \
         transcribeCallback",
    ),
    (
        "Dial",
        "action method timeout hangupOnStar timeLimit callerId record trim recordingStatusCallback \
         recordingStatusCallbackMethod recordingStatusCallbackEvent recordingConfigurationId recordingTrack \
         answerOnBridge ringTone sequential referUrl referMethod events passports",
    ),
    (
        "Number",
        "sendDigits url method statusCallback statusCallbackEvent statusCallbackMethod byoc machineDetection \
         amdStatusCallback amdStatusCallbackMethod machineDetectionTimeout machineDetectionSpeechThreshold \
         machineDetectionSpeechEndThreshold machineDetectionSilenceTimeout",
    ),
    (
        "Sip",
        "username password url method statusCallback statusCallbackEvent statusCallbackMethod machineDetection \
         amdStatusCallback amdStatusCallbackMethod machineDetectionTimeout machineDetectionSpeechThreshold \
         machineDetectionSpeechEndThreshold machineDetectionSilenceTimeout",
    ),
    ("Client", "url method statusCallback statusCallbackEvent statusCallbackMethod"),
    ("WhatsApp", "url method statusCallback statusCallbackEvent statusCallbackMethod"),
    ("Sim", ""),
    (
        "Application",
        "url method statusCallback statusCallbackEvent statusCallbackMethod customerId copyParentTo",
    ),
    ("ApplicationSid", ""),
    ("Identity", ""),
    ("Parameter", "name value"),
    (
        "Conference",
        "muted beep startConferenceOnEnter endConferenceOnExit waitUrl waitMethod maxParticipants record region coach \
         trim statusCallback statusCallbackEvent statusCallbackMethod recordingStatusCallback \
         recordingStatusCallbackMethod recordingStatusCallbackEvent recordingConfigurationId eventCallbackUrl \
         jitterBufferSize participantLabel",
    ),
    ("Queue", "url method reservationSid postWorkActivitySid"),
    ("Message", "to from action method statusCallback"),
    ("Sms", "to from action method statusCallback"),
    ("Body", ""),
    ("Media", ""),
    ("Refer", "action method"),
    ("ReferSip", ""),
    ("Enqueue", "action method maxQueueSize waitUrl waitUrlMethod workflowSid"),
    ("Task", "priority timeout"),
    (
        "Pay",
        "input action method bankAccountType statusCallback statusCallbackMethod timeout maxAttempts securityCode \
         postalCode minPostalCodeLength paymentConnector paymentMethod tokenType chargeAmount currency description \
         validCardTypes language",
    ),
    ("Prompt", "for errorType cardType attempt requireMatchingInputs"),
    ("Connect", "action method"),
    ("Start", "action method"),
    ("Stop", ""),
    ("Stream", "name connectorName url track statusCallback statusCallbackMethod audioFormat sampleRate"),
    ("Siprec", "name connectorName track statusCallback statusCallbackMethod"),
    (
        "Transcription",
        "name track statusCallbackUrl statusCallbackMethod inboundTrackLabel outboundTrackLabel partialResults \
         languageCode transcriptionEngine profanityFilter speechModel hints enableAutomaticPunctuation \
         intelligenceService",
    ),
    (
        "Recording",
        "channels track trim recordingStatusCallback recordingStatusCallbackMethod recordingStatusCallbackEvent \
         recordingConfigurationId",
    ),
    (
        "ConversationRelay",
        "url language ttsLanguage transcriptionLanguage ttsProvider voice transcriptionProvider speechModel \
         profanityFilter dtmfDetection welcomeGreeting welcomeGreetingInterruptible partialPrompts interruptible \
         preemptible hints intelligenceService debug interruptSensitivity reportInputDuringAgentSpeech \
         elevenlabsTextNormalization elevenlabsLanguageTextNormalization ttsTextNormalization \
         ttsLanguageTextNormalization events ignoreBackchannel speechTimeout applicationReconnect asrSmartFormat \
         deepgramSmartFormat backgroundNoiseReduction customerName eagerEotThreshold echoPromptFiltering includeInPrompt \
         partialPromptOnHangup turnDetection",
    ),
    (
        "Language",
        "code ttsProvider voice transcriptionProvider speechModel hints asrSmartFormat ttsTextNormalization \
         ttsLanguageTextNormalization",
    ),
    ("VirtualAgent", "connectorName language sentimentAnalysis statusCallback statusCallbackMethod"),
    ("Config", "name value"),
    ("Room", "participantIdentity"),
];

/// Elements of SSML within `Say`: <https://www.twilio.com/docs/voice/twiml/say/text-speech>.
const SSML: &[&str] = &[
    "break",
    "emphasis",
    "lang",
    "mark",
    "p",
    "phoneme",
    "prosody",
    "s",
    "say-as",
    "sub",
    "w",
    "amazon:auto-breaths",
    "amazon:breath",
    "amazon:domain",
    "amazon:effect",
    "amazon:emotion",
];

/// The attributes of an element; nothing where the element is not known.
pub(super) fn attributes(element: &str) -> Option<impl Iterator<Item = &'static str>> {
    let (_, attributes) = ELEMENTS.iter().find(|(name, _)| *name == element)?;
    Some(attributes.split_ascii_whitespace())
}

/// Whether an attribute tells which schema a document follows, and nothing else: there are readers who look at nothing but what
/// follows the colon.
pub(super) fn is_of_schema(name: &str) -> bool {
    let is_attribute = |name: &str| {
        let all = ELEMENTS.iter().flat_map(|(_, attributes)| attributes.split_ascii_whitespace());
        all.into_iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    match name.split_once(':') {
        None => name == "xmlns",
        Some(("xmlns", space)) => !is_attribute(space),
        Some(("xsi", "schemaLocation" | "noNamespaceSchemaLocation")) => true,
        Some(_) => false,
    }
}

/// Whether it is an element of TwiML.
pub(crate) fn is_known(element: &str) -> bool {
    attributes(element).is_some() || is_ssml(element)
}

/// Whether it is an element of SSML, which has whatever attributes it has.
pub(super) fn is_ssml(element: &str) -> bool {
    SSML.contains(&element)
}
