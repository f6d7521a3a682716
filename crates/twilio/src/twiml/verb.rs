//! The verbs, each with what it says and Twilio's defaults.

use super::Element;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Reads a text aloud.
    Say(Say),
    /// Plays a file, or key tones.
    Play(Play),
    /// Waits.
    Pause(Pause),
    /// Waits for keys or speech.
    Gather(Gather),
    /// Records what is said.
    Record(Record),
    /// Calls somebody else and connects the two.
    Dial(Dial),
    /// Sends a message.
    Message(Message),
    /// Goes on with another document.
    Redirect(Redirect),
    /// Declines a call that was not answered yet.
    Reject(Reject),
    /// Ends the call.
    Hangup,
    /// Any other verb of Twilio's (`Enqueue`, `Connect`, `Pay`…), as it stands.
    Other(Element),
}

/// The method of a request for a document or of a callback.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// In the query.
    Get,
    /// In the body; the default.
    #[default]
    Post,
}

/// `<Say>`: <https://www.twilio.com/docs/voice/twiml/say>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// The words, SSML taken out.
    pub text: String,
    /// Whose voice.
    pub voice: Option<String>,
    /// `en-US`.
    pub language: Option<String>,
    /// How many times; 0: until somebody hangs up.
    pub times: u32,
}

/// `<Play>`: <https://www.twilio.com/docs/voice/twiml/play>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Play {
    /// The file; empty where there are only `digits`.
    pub url: String,
    /// Key tones; `w` is a pause of half a second.
    pub digits: Option<String>,
    /// How many times; 0: until somebody hangs up.
    pub times: u32,
}

/// `<Pause>`: <https://www.twilio.com/docs/voice/twiml/pause>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Seconds.
    pub length_s: u32,
}

/// `<Gather>`: <https://www.twilio.com/docs/voice/twiml/gather>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// What it listens for.
    pub input: GatherInput,
    /// Where the answer goes; absent: the document's own URL.
    pub action: Option<String>,
    /// How.
    pub method: Method,
    /// Seconds without a key until it ends.
    pub timeout_s: u32,
    /// The key that ends it, and is not part of the answer; `None`: no key does.
    pub finish_on_key: Option<char>,
    /// How many keys end it; `None`: any number.
    pub num_digits: Option<u32>,
    /// Whether the action is asked even without an answer.
    pub action_on_empty_result: bool,
    /// What is said meanwhile: `Say`, `Play`, `Pause`.
    pub prompts: Vec<Verb>,
}

/// What a [`Gather`] listens for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GatherInput {
    /// Keys; the default.
    #[default]
    Dtmf,
    /// Words.
    Speech,
    /// Either.
    DtmfSpeech,
}

/// Whom to tell when a recording is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingCallback {
    /// The URL.
    pub url: String,
    /// How.
    pub method: Method,
    /// `in-progress`, `completed`, `absent`; empty: that it is complete.
    pub events: Vec<String>,
}

/// `<Record>`: <https://www.twilio.com/docs/voice/twiml/record>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where the recording is told; absent: the document's own URL.
    pub action: Option<String>,
    /// How.
    pub method: Method,
    /// Seconds of silence until it ends.
    pub timeout_s: u32,
    /// The keys that end it; empty: none does.
    pub finish_on_key: String,
    /// The most seconds.
    pub max_length_s: u32,
    /// Whether a beep comes first.
    pub play_beep: bool,
    /// Told when the file is there.
    pub recording_callback: Option<RecordingCallback>,
}

/// `<Dial>`: <https://www.twilio.com/docs/voice/twiml/dial>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// Whom; several ring at once, and the first that answers is connected.
    pub targets: Vec<DialTarget>,
    /// Asked when the connection is over; absent: the call goes on in this document.
    pub action: Option<String>,
    /// How.
    pub method: Method,
    /// Seconds of ringing.
    pub timeout_s: u32,
    /// The most seconds of connection; absent: four hours.
    pub time_limit_s: Option<u32>,
    /// What the called see.
    pub caller_id: Option<String>,
    /// Whether the caller's `*` ends the connection.
    pub hangup_on_star: bool,
    /// `do-not-record`, `record-from-answer`…
    pub record: Option<String>,
    /// Told when the file is there.
    pub recording_callback: Option<RecordingCallback>,
}

/// Whom to tell of the progress of a call that a [`Dial`] makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCallback {
    /// The URL.
    pub url: String,
    /// How.
    pub method: Method,
    /// `initiated`, `ringing`, `answered`, `completed`; empty: the end alone.
    pub events: Vec<String>,
}

/// Whom a [`Dial`] calls, and what comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialTarget {
    /// Whom.
    pub noun: DialNoun,
    /// A document that the called hears before the connection.
    pub url: Option<String>,
    /// How that is asked for.
    pub method: Method,
    /// Keys to press once it is answered.
    pub send_digits: Option<String>,
    /// Told about the call.
    pub status_callback: Option<CallCallback>,
}

/// A noun of [`Dial`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialNoun {
    /// A phone number, as it stands.
    Number(String),
    /// A SIP address.
    Sip(String),
    /// A client of the Voice SDK.
    Client(String),
    /// Anything else: `Conference`, `Queue`, `Sim`…
    Other(Element),
}

/// `<Message>`: <https://www.twilio.com/docs/messaging/twiml/message>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// To whom; absent: who wrote or called.
    pub to: Option<String>,
    /// From which number; absent: the one that was written to or called.
    pub from: Option<String>,
    /// The text.
    pub body: String,
    /// URLs of media.
    pub media: Vec<String>,
    /// Asked once it is sent; its answer goes on with the conversation.
    pub action: Option<String>,
    /// How.
    pub method: Method,
    /// Told what becomes of it.
    pub status_callback: Option<String>,
}

/// `<Redirect>`: <https://www.twilio.com/docs/voice/twiml/redirect>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where to; perhaps relative to the document's URL, which an empty one means itself.
    pub url: String,
    /// How.
    pub method: Method,
}

/// `<Reject>`: <https://www.twilio.com/docs/voice/twiml/reject>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    /// What the caller hears.
    pub reason: RejectReason,
}

/// What somebody who is rejected hears.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RejectReason {
    /// That the number is not in service; the default.
    #[default]
    Rejected,
    /// A busy signal.
    Busy,
}
