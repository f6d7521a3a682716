//! The well-known parameters of Twilio's webhooks. Data, and a lookup in constant time.
//!
//! A name that is missing here costs a little time and loses the check of its shape; nothing else. Names and
//! examples are from the webhook references of Messaging, Voice, Conversations, `TaskRouter`, Studio, Sync, Verify
//! and Usage Triggers.

/// What a parameter's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What a person wrote or said: anything.
    HumanText,
    /// Other text: anything, except what looks like another parameter.
    Text,
    /// `AccountSid`, never empty.
    Account,
    /// A SID with one of these prefixes (any two capitals when there are none), or empty.
    Sid(&'static [[u8; 2]]),
    /// Where a message or call goes: phone number, short code, `client:`, `sip:`, a channel's address, or empty.
    Address,
    /// Who it is from: as `Address`, or an alphanumeric sender, or `anonymous` and the like.
    Party,
    /// A decimal number, or empty.
    Number,
    /// `2010-04-01`.
    Version,
    /// `http://…` or `https://…` without white space, or empty.
    Url,
    /// A media type.
    MediaType,
    /// A word of a fixed vocabulary, such as a status.
    Word,
    /// What was keyed in, or `hangup`, `timeout`.
    Digits,
    /// A city or a state.
    Place,
    /// A postal code or a country.
    Code,
}

/// One well-known parameter.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) role: Role,
}

/// Parameters that tell what kind of request this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Account,
    Body,
    MessageSid,
    MessageStatus,
    Direction,
    From,
    To,
    /// Any other.
    Other,
}

const fn role(name: &str) -> Role {
    match name.as_bytes() {
        b"AccountSid" => Role::Account,
        b"Body" => Role::Body,
        b"MessageSid" => Role::MessageSid,
        b"MessageStatus" => Role::MessageStatus,
        b"Direction" => Role::Direction,
        b"From" => Role::From,
        b"To" => Role::To,
        _ => Role::Other,
    }
}

impl Known {
    /// Lists of things may come under one name; what has one value must have one.
    pub(super) const fn may_repeat(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Digits | Kind::MediaType)
    }
}

/// The parameter of that name.
pub(super) fn find(name: &[u8]) -> Option<&'static Known> {
    let mut slot = hash(name);
    loop {
        let index = INDEX[slot];
        if index == FREE {
            return None;
        }
        let known = &KNOWN[index as usize];
        if known.name.as_bytes() == name {
            return Some(known);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// The parameter that comes numbered, such as `MediaUrl0`; its stem's name alone is not one.
pub(super) fn find_numbered(name: &[u8]) -> Option<&'static Known> {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let stem = &name[..name.len() - digits];
    NUMBERED.iter().find(|known| (1..=3).contains(&digits) && known.name.as_bytes() == stem)
}

static NUMBERED: [Known; 3] = [
    Known { name: "MediaUrl", kind: Kind::Url, role: Role::Other },
    Known { name: "MediaContentType", kind: Kind::MediaType, role: Role::Other },
    Known { name: "MediaSid", kind: Kind::Sid(&[]), role: Role::Other },
];

/// Text that strangers choose: a longer name that begins with one of these is that text's beginning.
pub(super) const FORM_ONLY_STEMS: [&str; 9] = [
    "Body",
    "SpeechResult",
    "StableSpeechResult",
    "UnstableSpeechResult",
    "TranscriptionText",
    "ProfileName",
    "CallerName",
    "ButtonText",
    "ButtonPayload",
];

const FREE: u8 = u8::MAX;
const SLOTS: usize = 1024;
static INDEX: [u8; SLOTS] = index();

/// Its length and four of its bytes tell nearly every name from all others.
const fn hash(name: &[u8]) -> usize {
    let len = name.len();
    if len == 0 {
        return 0;
    }
    let [first, last] = [name[0] as u64, name[len - 1] as u64];
    let [middle, behind] = [name[len / 2] as u64, name[len / 2 + len / 8] as u64];
    let mix = first | last << 8 | middle << 16 | behind << 24 | (len as u64) << 32;
    (mix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "the line below it stops the build before that")]
const fn index() -> [u8; SLOTS] {
    assert!(KNOWN.len() < FREE as usize, "an index of the table is one byte");
    let mut table = [FREE; SLOTS];
    let mut at = 0;
    while at < KNOWN.len() {
        let mut slot = hash(KNOWN[at].name.as_bytes());
        while table[slot] != FREE {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = at as u8;
        at += 1;
    }
    table
}

macro_rules! known {
    ($($kind:expr => $($name:literal)+;)+) => {
        &[$($(Known { name: $name, kind: $kind, role: role($name) },)+)+]
    };
}

static KNOWN: &[Known] = known! {
    Kind::Account => "AccountSid";
    Kind::Sid(&[*b"AC"]) => "ParentAccountSid" "OwnerAccountSid" "SubAccountSid" "SubaccountSid" "MessagingAccountSid";
    Kind::Sid(&[*b"SM", *b"MM", *b"IM"]) => "MessageSid";
    Kind::Sid(&[*b"SM", *b"MM"]) => "SmsSid" "SmsMessageSid" "OriginalRepliedMessageSid";
    Kind::Sid(&[*b"CA"]) =>
        "CallSid" "ParentCallSid" "DialCallSid" "DialBridgedCallSid" "ChildCallSid" "ReferCallSid" "TransferCallSid"
        "BridgedCallSid" "DequeingCallSid" "DequeuedCallSid" "CallSidEndingConference" "CallSidToCoach" "AgentCallSid"
        "CustomerCallSid";
    Kind::Sid(&[*b"MG"]) => "MessagingServiceSid";
    Kind::Sid(&[*b"RE", *b"RT"]) => "RecordingSid";
    Kind::Sid(&[*b"CF"]) => "ConferenceSid";
    Kind::Sid(&[*b"UT"]) => "UsageTriggerSid";
    // Prefixes of these differ from product to product, and the length alone holds a boundary in its place.
    Kind::Sid(&[]) =>
        "TranscriptionSid" "ApplicationSid" "ConnectAppSid" "QueueSid" "PhoneNumberSid" "WorkspaceSid" "WorkerSid"
        "TaskSid" "ReservationSid" "TaskQueueSid" "WorkflowSid" "FlowSid" "ExecutionSid"
        "ConversationSid" "ChatServiceSid" "ParticipantSid" "ServiceSid" "ChannelSid" "MemberSid" "StreamSid"
        "SubscriptionSid" "PaymentSid" "DocumentSid" "VerificationSid" "FactorSid" "ChallengeSid" "EntitySid"
        "RoomSid" "TrackSid" "FaxSid" "SinkSid" "SimSid" "CommandSid" "FleetSid" "SiprecSid" "TrunkSid" "DialConferenceSid"
        "RecordingTrackSid" "CompositionSid" "BundleSid" "BrandSid" "CampaignSid" "SessionSid" "InteractionSid"
        "ChannelInstallSid" "WorkerActivitySid" "WorkerPreviousActivitySid" "TaskChannelSid" "ReasonSid" "IntelligenceServiceSid";

    Kind::Address => "To" "Called";
    Kind::Party => "From" "Caller" "ForwardedFrom" "CalledVia";

    Kind::HumanText => "Body" "SpeechResult" "StableSpeechResult" "UnstableSpeechResult" "TranscriptionText";
    Kind::Text =>
        "ProfileName" "CallerName" "ButtonText" "ButtonPayload" "ListTitle" "ListId" "Label" "Address" "FriendlyName"
        "Reason" "ReasonConferenceEnded" "ReasonParticipantLeft" "ErrorMessage" "AddOns" "ChannelMetadata" "Attributes"
        "TaskAttributes" "WorkerAttributes" "CallToken" "Author" "Identity" "ParticipantIdentity" "ParticipantLabel"
        "SipDomain" "SipCallId" "Timestamp" "DateFired" "DateCreated" "DateUpdated" "DateSent" "RecordingStartTime"
        "UsageRecordUri" "IdempotencyToken" "StirPassportToken" "ClientIdentity" "WaId" "RawDlrDoneDate" "QueueName" "ChannelToAddress"
        "TaskQueueName" "WorkflowName" "WorkerName" "WorkspaceName" "TaskQueueTargetExpression" "EventDescription"
        "DocumentData" "ItemData" "Payload" "Tags" "Title" "ReferralBody" "ReferralHeadline" "ReferralSourceId"
        "ReferralSourceUrl" "ReferralNumMedia" "OptOutKeyword" "Media" "CallbackSource" "RecordingTrack"
        "PaymentConfirmationCode" "PaymentCardNumber" "ProfileNameUpdated" "ToDisplayName"
        "MessagingBinding.Address" "MessagingBinding.ProxyAddress" "MessagingBinding.AuthorAddress"
        "MessagingBinding.ProjectedAddress" "MessagingBinding.Type";

    Kind::Number =>
        "NumMedia" "NumSegments" "CallDuration" "Duration" "RecordingDuration" "DialCallDuration"
        "RecordingChannels" "SequenceNumber" "ErrorCode" "Confidence" "Stability" "QueuePosition" "QueueTime"
        "AvgQueueTime" "CurrentQueueSize" "MaxQueueSize" "RetryCount" "TaskAge" "TaskPriority" "Latitude" "Longitude"
        "SipResponseCode" "DialSipResponseCode" "MachineDetectionDuration" "Index" "TimestampMs" "MessageCount"
        "CurrentValue" "TriggerValue" "Attempt";
    Kind::Word =>
        "MessageStatus" "SmsStatus" "CallStatus" "DialCallStatus" "Direction" "RecordingStatus" "RecordingSource"
        "TranscriptionStatus" "TranscriptionType" "AnsweredBy" "StatusCallbackEvent" "EventType" "MessageType" "StirStatus"
        "StirVerstat" "ChannelPrefix" "EventName" "Hold" "Muted" "Coaching"
        "EndConferenceOnExit" "StartConferenceOnEnter" "Language" "OptOutType" "DialBridged" "DocumentRevision" "Recurring"
        "UsageCategory" "TriggerBy" "QueueResult" "TaskAssignmentStatus" "DialBridgedStatus" "SmsPrefix"
        "StreamEvent" "Source" "ResourceType";
    Kind::Digits => "Digits" "FinishedOnKey";
    Kind::Version => "ApiVersion";
    Kind::Url => "RecordingUrl" "TranscriptionUrl" "PublicRecordingUrl" "MediaUrl";
    Kind::MediaType => "MediaContentType";
    Kind::Place =>
        "FromCity" "FromState" "ToCity" "ToState" "CallerCity" "CallerState" "CalledCity" "CalledState";
    Kind::Code =>
        "FromZip" "FromCountry" "ToZip" "ToCountry" "CallerZip" "CallerCountry" "CalledZip" "CalledCountry";
};

/// The whole table, for the test that looks for names given twice.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static Known> {
    KNOWN.iter()
}
