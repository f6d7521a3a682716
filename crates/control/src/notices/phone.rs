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
pub(super) struct Texter {
    pub(super) account: Sid,
    pub(super) from: Sender,
    pub(super) to: PhoneNumber,
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
        if let Some(first) = attempt.first {
            match self.was_sent(client, &body, first).await {
                Ok(true) => return Outcome::Delivered,
                Ok(false) => {}
                Err(error) => return not_looked_for(&error),
            }
        }
        let (from, service) = match &self.from {
            Sender::Name(name) => (Some(name.clone()), None),
            Sender::Service(sid) => (None, Some(*sid)),
        };
        let message = NewMessage {
            to: self.to.to_string(),
            from,
            messaging_service_sid: service,
            body: Some(body),
            ..NewMessage::default()
        };
        outcome(client.messages(self.account).create(&message).await)
    }

    async fn was_sent(&self, client: &Client, body: &str, first: Timestamp) -> Result<bool, Error> {
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

/// The error's text shows neither numbers nor tokens: the client masks them.
fn outcome<T>(result: Result<T, Error>) -> Outcome {
    let Err(error) = result else { return Outcome::Delivered };
    // What is wrong with the request stays wrong. Credentials, accounts and rates change.
    let is_final = error.fault() == Fault::Request && !error.is_transient();
    match error.carried_out() {
        CarriedOut::Yes => Outcome::Delivered,
        CarriedOut::No if is_final => Outcome::Refused(error.to_string()),
        CarriedOut::No | CarriedOut::InDoubt => Outcome::TryLater(error.to_string()),
    }
}
