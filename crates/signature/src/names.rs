//! The well-known parameters of Twilio's webhooks: data, and a lookup in constant time.
//!
//! A name that is missing here costs a little time and loses the check of its shape; nothing else. Names and
//! examples are from the webhook references of Messaging, Voice, Conversations, `TaskRouter`, Studio, Sync, Verify
//! and Usage Triggers.
//!
//! The one idea: a name is looked up once, when it is read, and from then on it is its rank in this table. The
//! table is in the order of the names' bytes, so ranks put fields in the order in which they are signed.

/// What a parameter's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    key: Key,
}

/// Parameters that tell what kind of request this is, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Account,
    Body,
    MessageSid,
    /// `SmsSid` and `SmsMessageSid`, the older names of the same.
    SmsSid,
    CallSid,
    UsageTriggerSid,
    MessageStatus,
    Direction,
    From,
    To,
    /// Any other.
    Other,
}

impl Role {
    pub(crate) const COUNT: usize = Self::Other as usize + 1;
}

const fn role(name: &str) -> Role {
    match name.as_bytes() {
        b"AccountSid" => Role::Account,
        b"Body" => Role::Body,
        b"MessageSid" => Role::MessageSid,
        b"SmsSid" | b"SmsMessageSid" => Role::SmsSid,
        b"CallSid" => Role::CallSid,
        b"UsageTriggerSid" => Role::UsageTriggerSid,
        b"MessageStatus" => Role::MessageStatus,
        b"Direction" => Role::Direction,
        b"From" => Role::From,
        b"To" => Role::To,
        _ => Role::Other,
    }
}

impl Known {
    const fn new(kind: Kind, name: &'static str) -> Self {
        Self { name, kind, role: role(name), key: Key::of(name.as_bytes(), name.len()) }
    }

    /// Lists of things may come under one name; what has one value must have one.
    pub(crate) const fn may_repeat(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Digits | Kind::MediaType)
    }
}

/// Where a well-known parameter stands in the table, or that a name is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank(u8);

impl Rank {
    /// Of a name that nobody knows.
    const NONE: Self = Self(u8::MAX);
    /// No rank is as high as this.
    pub(crate) const END: usize = 256;

    /// The rank of a name, which is the first `len` bytes of `text`. Some bytes behind it make this quicker.
    #[inline]
    pub(crate) fn of(text: &[u8], len: usize) -> Self {
        let key = Key::of(text, len);
        let mut slot = key.hash(len);
        loop {
            let rank = INDEX[slot];
            let Some(known) = rank.known() else { return Self::NONE };
            let is_alike = known.key.is(key) && known.name.len() == len;
            if is_alike && (len <= 16 || known.name.as_bytes() == &text[..len]) {
                return rank;
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// The parameter that stands here.
    #[inline]
    pub(crate) fn known(self) -> Option<&'static Known> {
        KNOWN.get(self.index())
    }

    /// A number below [`END`](Self::END); for two well-known names, the lower is that of the name which sorts first.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The parameter of that name.
pub(crate) fn find(name: &[u8]) -> Option<&'static Known> {
    Rank::of(name, name.len()).known()
}

/// With its length all of a name that is not longer than 16 bytes, in integers.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// The first eight bytes, or all there are.
    first: u64,
    /// The last eight bytes, or all there are.
    last: u64,
}

impl Key {
    #[inline]
    const fn of(text: &[u8], len: usize) -> Self {
        let last_at = len.saturating_sub(8);
        let within = if len < 8 { (1 << (8 * len)) - 1 } else { u64::MAX };
        Self { first: eight_bytes(text, 0) & within, last: eight_bytes(text, last_at) & within }
    }

    const fn is(self, other: Self) -> bool {
        self.first == other.first && self.last == other.last
    }

    /// A slot of the index that few other names have.
    const fn hash(self, len: usize) -> usize {
        let mix = self.first ^ self.last.rotate_left(21) ^ len as u64;
        (mix.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
    }
}

/// The eight bytes at `at`, with zeros for those that are not there.
#[inline]
const fn eight_bytes(text: &[u8], at: usize) -> u64 {
    let (_, text) = text.split_at(at);
    match text.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => fewer_bytes(text),
    }
}

#[cold]
const fn fewer_bytes(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let (start, _) = bytes.split_at_mut(text.len());
    start.copy_from_slice(text);
    u64::from_le_bytes(bytes)
}

/// The parameter that comes numbered, such as `MediaUrl0`; its stem's name alone is not one.
pub(crate) fn find_numbered(name: &[u8]) -> Option<&'static Known> {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let stem = &name[..name.len() - digits];
    NUMBERED.iter().find(|known| (1..=3).contains(&digits) && known.name.as_bytes() == stem)
}

static NUMBERED: [Known; 3] = [
    Known::new(Kind::Url, "MediaUrl"),
    Known::new(Kind::MediaType, "MediaContentType"),
    Known::new(Kind::Sid(&[]), "MediaSid"),
];

/// Text that strangers choose: a longer name that begins with one of these is that text's beginning.
pub(crate) const FORM_ONLY_STEMS: [&str; 9] = [
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

const SLOTS: usize = 1024;
static INDEX: [Rank; SLOTS] = index();

#[expect(clippy::cast_possible_truncation, reason = "the line below it stops the build before that")]
const fn index() -> [Rank; SLOTS] {
    assert!(KNOWN.len() < Rank::NONE.0 as usize, "a rank is one byte");
    let mut table = [Rank::NONE; SLOTS];
    let mut at = 0;
    while at < KNOWN.len() {
        let mut slot = KNOWN[at].key.hash(KNOWN[at].name.len());
        while table[slot].0 != Rank::NONE.0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = Rank(at as u8);
        at += 1;
    }
    table
}

static KNOWN: [Known; LISTED.len()] = sorted();

/// What is listed below by kind, in the order of the names' bytes.
const fn sorted() -> [Known; LISTED.len()] {
    let mut table = [Known::new(Kind::Text, ""); LISTED.len()];
    let mut count = 0;
    while count < table.len() {
        let (kind, name) = LISTED[count];
        let mut at = count;
        while at > 0 && is_before(name.as_bytes(), table[at - 1].name.as_bytes()) {
            table[at] = table[at - 1];
            at -= 1;
        }
        table[at] = Known::new(kind, name);
        count += 1;
    }
    table
}

const fn is_before(left: &[u8], right: &[u8]) -> bool {
    let mut at = 0;
    while at < left.len() && at < right.len() {
        if left[at] != right[at] {
            return left[at] < right[at];
        }
        at += 1;
    }
    left.len() < right.len()
}

macro_rules! known {
    ($($kind:expr => $($name:literal)+;)+) => {
        &[$($(($kind, $name),)+)+]
    };
}

const LISTED: &[(Kind, &str)] = known! {
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
pub(crate) fn all() -> impl Iterator<Item = &'static Known> {
    KNOWN.iter()
}
