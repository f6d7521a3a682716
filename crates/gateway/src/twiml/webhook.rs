//! What a verified webhook says of the call or the message that it is about.

use ringfence_breaker::charge::Recipient;
use ringfence_model::Sid;

use super::assignment::Assignment;
use super::price::Conversation;
use crate::admission::{Received, VerifiedWebhook, parameters, signed_request};
use crate::settings::Route;

/// What says what a webhook is about, each of which Twilio sends once.
const ONCE: [&str; 11] = [
    "CallSid",
    "MessageSid",
    "SmsMessageSid",
    "SmsSid",
    "From",
    "To",
    "Direction",
    "CallStatus",
    "MessagingServiceSid",
    "ReservationSid",
    "WorkerSid",
];

/// What is known of the call or message whose TwiML is asked for.
#[derive(Debug, Default)]
pub(crate) struct Webhook {
    call: Option<Sid>,
    message: Option<Sid>,
    from: Option<String>,
    to: Option<String>,
    is_inbound: bool,
    /// Whether somebody calls and nobody has answered, by any of its parameters.
    is_ringing_here: bool,
    /// Whether it can be read in two ways.
    is_torn: bool,
    has_service: bool,
    /// Whether somebody has written.
    is_written: bool,
    is_status: bool,
    /// What an assignment callback of `TaskRouter` says, which is about no call and no message, and which reservation it is
    /// about.
    assignment: Option<Assignment>,
    reservation: Option<Sid>,
}

impl Webhook {
    pub(crate) fn read(route: &Route, received: &Received<'_>) -> Self {
        let request = signed_request(route, received, None);
        let all: Vec<_> = parameters(&request).collect();
        // What is there twice is not known.
        let one = |name: &str| {
            let mut values = all.iter().filter(|(key, _)| **key == *name.as_bytes()).map(|(_, value)| value);
            let first = values.next()?;
            if values.any(|other| other != first) {
                return None;
            }
            std::str::from_utf8(first).ok().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let sid = |name: &str, prefixes: &[&str]| {
            let sid = one(name).and_then(|text| Sid::parse(&text).ok());
            sid.filter(|sid| prefixes.iter().any(|prefix| sid.is(prefix)))
        };
        let is = |name: &str, value: &str| one(name).is_some_and(|it| it == value);
        let any = |name: &str, value: &str| {
            all.iter().any(|(key, it)| **key == *name.as_bytes() && **it == *value.as_bytes())
        };
        let is_twice = |name: &&str| {
            let mut values = all.iter().filter(|(key, _)| **key == *name.as_bytes()).map(|(_, value)| value);
            values.next().is_some_and(|first| values.any(|other| other != first))
        };
        let has = |name: &str| all.iter().any(|(key, _)| **key == *name.as_bytes());
        let is_written = has("Body") || has("NumMedia");
        let over = ["completed", "busy", "failed", "no-answer", "canceled"];
        let messages = ["MessageSid", "SmsMessageSid", "SmsSid"];
        let is_of_task = has("ReservationSid")
            && has("WorkerSid")
            && !has("CallSid")
            && !messages.iter().any(|name| has(name));
        Self {
            call: sid("CallSid", &["CA"]),
            message: messages.iter().find_map(|name| sid(name, &["SM", "MM"])),
            is_inbound: is("Direction", "inbound"),
            is_ringing_here: has("CallSid") && any("Direction", "inbound") && any("CallStatus", "ringing"),
            is_torn: ONCE.iter().any(is_twice) || has("CallSid") && messages.iter().any(|name| has(name)),
            has_service: one("MessagingServiceSid").is_some(),
            is_written,
            assignment: is_of_task.then(|| {
                Assignment::of(one("WorkerAttributes").as_deref(), one("TaskAttributes").as_deref())
            }),
            reservation: sid("ReservationSid", &["WR"]).filter(|_| is_of_task),
            is_status: has("CallbackSource")
                || has("RecordingStatus")
                || has("MessageStatus") && !is_written
                || over.iter().any(|status| is("CallStatus", status)),
            from: one("From"),
            to: one("To"),
        }
    }

    /// The call or message; of an assignment callback the reservation. Of one that can be read in two ways there is none, so
    /// that nothing is answered that costs something.
    pub(crate) fn subject(&self) -> Option<Sid> {
        self.call.or(self.message).or(self.reservation).filter(|_| !self.is_torn)
    }

    /// Whether it can be read in two ways: a parameter that says what it is about is there twice, or it is about a call and a
    /// message. Twilio sends no such thing, but the application says what stands in a query (`Redirect` by GET), and what
    /// is signed there counts as much as what Twilio adds.
    pub(crate) fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// What an assignment callback says, whose answer may be an instruction. A reservation is asked about once.
    pub(crate) fn assignment(&self) -> Option<&Assignment> {
        self.assignment.as_ref()
    }

    /// Whether it is about a call.
    pub(crate) fn is_call(&self) -> bool {
        self.call.is_some()
    }

    /// Whether somebody has written, so that a text is an answer to him.
    pub(crate) fn is_message(&self) -> bool {
        self.call.is_none() && self.message.is_some() && self.is_written
    }

    /// Whether Twilio only tells of something (a status callback), and carries nothing out that is no TwiML.
    pub(crate) fn is_status(&self) -> bool {
        self.is_status
    }

    /// Whether somebody calls and nobody has answered.
    pub(crate) fn is_ringing_here(&self) -> bool {
        self.is_ringing_here
    }

    pub(crate) fn conversation(&self) -> Conversation<'_> {
        let caller = self.from.as_deref().filter(|_| self.is_inbound);
        // Whoever is called is the other one. A message that came in has no direction.
        let is_outgoing = self.is_call() && !self.is_inbound;
        let (them, us) = if is_outgoing { (&self.to, &self.from) } else { (&self.from, &self.to) };
        Conversation {
            them: them.as_deref(),
            us: us.as_deref(),
            caller: caller.and_then(|from| Recipient::parse(from).phone()),
            service: self.has_service,
        }
    }
}

/// A verified request, to be read again. Nobody asks any more what host it was for.
pub(crate) fn received<'a>(parts: &'a http::request::Parts, webhook: &'a VerifiedWebhook) -> Received<'a> {
    let head =
        crate::http_rules::Head { authority: "", target: crate::http_rules::target(parts), websocket: false };
    Received { method: &parts.method, head, headers: &parts.headers, body: webhook.body() }
}
