//! Text messages and calls, through Twilio.
//!
//! Neither is ever made twice: after an attempt whose answer may have been lost, it is looked for first.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::client::{
    CallFilter, CarriedOut, Client, Error, Fault, Instructions, MessageFilter, NewCall, NewMessage,
};

use super::channel::{Attempt, Outcome};
use super::notice::Notice;
use super::render;
use super::settings::Sender;
use super::text::Desk;

/// Twilio's clock and ours may be so far apart.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(1);

/// How many of the newest messages or calls to the number are looked through. More cannot have been made since.
const LOOKED_THROUGH: u16 = 100;

/// Sends text messages to one number.
pub(crate) struct Texter {
    pub(crate) account: Sid,
    pub(crate) from: Sender,
    pub(crate) to: PhoneNumber,
}

/// Why a text message was not sent, for all that is known.
pub(crate) struct Unsent {
    /// Without secrets and phone numbers.
    pub(crate) why: String,
    /// It may have been sent nevertheless.
    pub(crate) in_doubt: bool,
    /// It never will be.
    pub(crate) is_final: bool,
}

/// Calls one number.
pub(super) struct Caller {
    pub(super) account: Sid,
    pub(super) from: PhoneNumber,
    pub(super) to: PhoneNumber,
}

impl Texter {
    pub(super) async fn deliver(
        &self,
        client: &Client,
        notice: &Notice,
        desk: &Desk,
        attempt: Attempt,
    ) -> Outcome {
        let body = render::sms_text(notice, desk);
        match self.was_sent(client, &body, attempt.first).await {
            Ok(true) => return Outcome::Delivered,
            Ok(false) => {}
            Err(error) => return not_looked_for(&error),
        }
        match self.send(client, &body).await {
            Ok(_) => Outcome::Delivered,
            Err(Unsent { why, is_final: true, .. }) => Outcome::Refused(why),
            Err(Unsent { why, .. }) => Outcome::TryLater(why),
        }
    }

    /// Sends it. The SID, where Twilio's answer names it.
    pub(crate) async fn send(&self, client: &Client, body: &str) -> Result<Option<Sid>, Unsent> {
        let (from, service) = match &self.from {
            Sender::Name(name) => (Some(name.clone()), None),
            Sender::Service(sid) => (None, Some(*sid)),
        };
        let message = NewMessage {
            to: self.to.to_string(),
            from,
            messaging_service_sid: service,
            body: Some(body.to_owned()),
            ..NewMessage::default()
        };
        match client.messages(self.account).create(&message).await {
            Ok(message) => Ok(Sid::parse(&message.sid).ok()),
            Err(error) => unsent(&error).map_or(Ok(None), Err),
        }
    }

    /// Whether this text went to the number since it was first attempted, if it was.
    pub(crate) async fn was_sent(
        &self,
        client: &Client,
        body: &str,
        first: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let Some(first) = first else { return Ok(false) };
        let filter = MessageFilter { to: Some(self.to.to_string()), ..MessageFilter::default() };
        let messages = client.messages(self.account).list(&filter).page_size(LOOKED_THROUGH).next().await?;
        Ok(messages.unwrap_or_default().iter().any(|message| {
            message.body.as_deref() == Some(body) && is_since(message.date_created.map(|it| it.0), first)
        }))
    }
}

impl Caller {
    pub(super) async fn deliver(
        &self,
        client: &Client,
        notice: &Notice,
        desk: &Desk,
        attempt: Attempt,
    ) -> Outcome {
        if let Some(first) = attempt.first {
            match self.was_made(client, first).await {
                Ok(true) => return Outcome::Delivered,
                Ok(false) => {}
                Err(error) => return not_looked_for(&error),
            }
        }
        let twiml = Instructions::Twiml(render::twiml(notice, desk));
        let call = NewCall {
            // Long enough to say it twice; a mailbox that never ends is not paid for.
            time_limit_s: Some(180),
            timeout_s: Some(45),
            ..NewCall::new(self.to.to_string(), self.from.to_string(), twiml)
        };
        outcome(client.calls(self.account).create(&call).await)
    }

    /// What was said in a call cannot be found out. Any call to the number since then has woken somebody up, who knows by
    /// now that something is wrong.
    async fn was_made(&self, client: &Client, first: Timestamp) -> Result<bool, Error> {
        let filter = CallFilter {
            to: Some(self.to.to_string()),
            from: Some(self.from.to_string()),
            ..CallFilter::default()
        };
        let calls = client.calls(self.account).list(&filter).page_size(LOOKED_THROUGH).next().await?;
        let calls = calls.unwrap_or_default();
        Ok(calls.iter().any(|call| is_since(call.date_created.map(|it| it.0), first)))
    }
}

fn is_since(made: Option<Timestamp>, first: Timestamp) -> bool {
    made.is_some_and(|made| made.duration_since(first) >= -CLOCKS_APART)
}

fn not_looked_for(error: &Error) -> Outcome {
    Outcome::TryLater(format!("whether it was sent before cannot be found out: {error}"))
}

fn outcome<T>(result: Result<T, Error>) -> Outcome {
    match result.err().as_ref().and_then(unsent) {
        None => Outcome::Delivered,
        Some(Unsent { why, is_final: true, .. }) => Outcome::Refused(why),
        Some(Unsent { why, .. }) => Outcome::TryLater(why),
    }
}

/// What an error means for what was to be made; nothing where Twilio made it. Its text shows neither numbers nor tokens: the
/// client masks them.
fn unsent(error: &Error) -> Option<Unsent> {
    // What is wrong with the request stays wrong. Credentials, accounts and rates change.
    let stays_wrong = error.fault() == Fault::Request && !error.is_transient();
    let (in_doubt, is_final) = match error.carried_out() {
        CarriedOut::Yes => return None,
        CarriedOut::No => (false, stays_wrong),
        CarriedOut::InDoubt => (true, false),
    };
    Some(Unsent { why: error.to_string(), in_doubt, is_final })
}
