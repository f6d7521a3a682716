//! Codes on their way: each is sent once, soon, or not at all.
//!
//! What is to be sent is known from the challenge alone, and only while it waits for the code: the effect of the outbox
//! names the send and holds neither number nor code. After an attempt whose answer may have been lost the message or the
//! call is looked for before another is made; a code that cannot be sent within a minute is not sent late, when it would
//! arrive after the one that was asked for in its place.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Secret, Sid};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::words;
use ringfence_store::{Claim, CodeSend, Result, SendOutcome, ToSend};
use ringfence_twilio::client::{
    CallFilter, CarriedOut, Client, Error, Fault, Instructions, MessageFilter, NewCall, NewMessage,
    NewVerification,
};
use ringfence_twilio::wire::{SendCodeAttempt, VerificationChannel, VerificationStatus};
use serde::Deserialize;

use super::{Delivery, Details};
use crate::engine::Engine;
use crate::notices::Sender;

/// A code that was not sent within this time is not sent.
const SENT_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// Twilio's clock and ours may be so far apart.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(1);

/// How many of the newest messages or calls to the number are looked through. More cannot have been made since.
const LOOKED_THROUGH: u16 = 100;

/// What an effect names.
#[derive(Deserialize)]
struct Payload {
    send: Sid,
}

/// What became of an effect that sends a code.
pub(crate) enum CodeEnd {
    /// Sent, or not needed any more.
    Done,
    /// To be tried again at this time.
    Again(String, Timestamp),
    /// Not sent, for good.
    GiveUp(String),
}

/// What one attempt came to.
enum Attempt {
    Sent(Option<Sid>),
    Later(String),
    Never(String),
}

impl Engine {
    /// Sends a code, once.
    pub(crate) async fn send_code(&self, claim: &Claim) -> Result<CodeEnd> {
        let Ok(Payload { send }) = serde_json::from_value(claim.effect.payload.clone()) else {
            return Ok(CodeEnd::GiveUp("what is to be sent cannot be read".to_owned()));
        };
        let store = self.store();
        let now = self.now();
        let Some(to_send) = store.code_to_send(send, now).await? else {
            // It was sent before, or its challenge is over: nobody waits for it.
            if store.find_code_send(send).await?.is_some_and(|send| send.outcome == SendOutcome::Waiting) {
                store.end_code_send(send, SendOutcome::Failed, now).await?;
            }
            return Ok(CodeEnd::Done);
        };
        let is_late = |now: Timestamp| now.duration_since(to_send.send.asked_at).abs() >= SENT_WITHIN;
        if is_late(now) {
            return self.not_sent(send, "it was not sent within a minute, and is not sent late").await;
        }
        let first_try = claim.effect.attempts <= 1;
        match self.attempt_code(&to_send, first_try).await? {
            Attempt::Sent(message) => {
                store.end_code_send(send, SendOutcome::Sent(message), self.now()).await?;
                Ok(CodeEnd::Done)
            }
            Attempt::Never(why) => self.not_sent(send, &why).await,
            Attempt::Later(why) => {
                let pause = SignedDuration::from_secs(1 << claim.effect.attempts.min(4));
                let again = self.now().saturating_add(pause).unwrap_or(Timestamp::MAX);
                if is_late(again) {
                    return self.not_sent(send, &why).await;
                }
                Ok(CodeEnd::Again(why, again))
            }
        }
    }

    async fn not_sent(&self, send: Sid, why: &str) -> Result<CodeEnd> {
        tracing::warn!(%send, why, "a code was not sent");
        self.store().end_code_send(send, SendOutcome::Failed, self.now()).await?;
        Ok(CodeEnd::GiveUp(why.to_owned()))
    }

    async fn attempt_code(&self, to_send: &ToSend, first_try: bool) -> Result<Attempt> {
        let Some(settings) = self.second_factor().map(|it| it.settings()) else {
            return Ok(Attempt::Never("there is no [second_factor] any more".to_owned()));
        };
        let Some(client) = self.clients().of(settings.account) else {
            return Ok(Attempt::Later(format!("there are no credentials of {}", settings.account)));
        };
        let Ok(details) = serde_json::from_value::<Details>(to_send.challenge.details.clone()) else {
            return Ok(Attempt::Never("what is to be said cannot be read".to_owned()));
        };
        let channel = to_send.send.channel;
        let (sender, caller) = match &settings.delivery {
            Delivery::Programmable { sender, caller } => (sender, caller),
            Delivery::Verify { service } => {
                let sends = self.store().sends_of_challenge(to_send.challenge.sid).await?;
                let is_new = known_messages(&sends).is_empty();
                let sent = ByVerify { client: &client, service: *service, to_send, is_new, first_try };
                return Ok(sent.send(&details).await);
            }
        };
        let known: Vec<Sid> = if first_try {
            Vec::new()
        } else {
            known_messages(&self.store().sends_of_challenge(to_send.challenge.sid).await?)
        };
        let key_url = settings.key_url.as_deref();
        let sent = Sent { client: &client, account: settings.account, to_send, known, first_try, key_url };
        Ok(match (channel, caller) {
            (Channel::Sms, _) => sent.text(sender, &details).await,
            (Channel::Call, Some(caller)) => sent.call(&caller.to_string(), &details).await,
            (Channel::Call, None) => Attempt::Never("[second_factor] has no `caller` any more".to_owned()),
        })
    }
}

/// The messages and calls that carried this code before.
fn known_messages(sends: &[CodeSend]) -> Vec<Sid> {
    let sid = |send: &CodeSend| match send.outcome {
        SendOutcome::Sent(message) => message,
        SendOutcome::Waiting | SendOutcome::Failed => None,
    };
    sends.iter().filter_map(sid).collect()
}

/// One code by Programmable Messaging or Voice.
struct Sent<'a> {
    client: &'a Client,
    account: Sid,
    to_send: &'a ToSend,
    /// What carried the same code before, and is not what is looked for.
    known: Vec<Sid>,
    first_try: bool,
    /// Where a pressed key is told.
    key_url: Option<&'a str>,
}

impl Sent<'_> {
    async fn text(&self, sender: &Sender, details: &Details) -> Attempt {
        let to = self.to_send.challenge.number.to_string();
        let body = words::text(&details.wording(), self.to_send.code.expose());
        if !self.first_try {
            match self.find_text(&to, &body).await {
                Ok(Some(sid)) => return Attempt::Sent(Some(sid)),
                Ok(None) => {}
                Err(error) => return not_looked_for(&error),
            }
        }
        let (from, service) = match sender {
            Sender::Name(name) => (Some(name.clone()), None),
            Sender::Service(sid) => (None, Some(*sid)),
        };
        let message = NewMessage {
            to,
            from,
            messaging_service_sid: service,
            body: Some(body),
            // A code that waits at Twilio longer than it is good is not to be delivered.
            validity_period_s: Some(600),
            ..NewMessage::default()
        };
        let created = self.client.messages(self.account).create(&message).await;
        attempt(created.map(|message| Sid::parse(&message.sid).ok()))
    }

    async fn find_text(&self, to: &str, body: &str) -> std::result::Result<Option<Sid>, Error> {
        let filter = MessageFilter { to: Some(to.to_owned()), ..MessageFilter::default() };
        let messages =
            self.client.messages(self.account).list(&filter).page_size(LOOKED_THROUGH).next().await?;
        let found = messages.unwrap_or_default().into_iter().filter(|message| {
            message.body.as_deref() == Some(body) && self.is_since(message.date_created.map(|it| it.0))
        });
        Ok(self.unknown(found.filter_map(|message| Sid::parse(&message.sid).ok())))
    }

    async fn call(&self, from: &str, details: &Details) -> Attempt {
        let to = self.to_send.challenge.number.to_string();
        if !self.first_try {
            match self.find_call(&to, from).await {
                Ok(Some(sid)) => return Attempt::Sent(Some(sid)),
                Ok(None) => {}
                Err(error) => return not_looked_for(&error),
            }
        }
        let wording = details.wording();
        let twiml = Instructions::Twiml(match self.key_url {
            Some(url) => words::twiml_before_key(&wording, &format!("{url}?send={}", self.to_send.send.sid)),
            None => words::twiml(&wording, self.to_send.code.expose()),
        });
        let call = NewCall {
            // Long enough to say it twice; a mailbox that never ends is not paid for.
            time_limit_s: Some(90),
            timeout_s: Some(45),
            send_digits: details.send_digits.clone(),
            ..NewCall::new(to, from.to_owned(), twiml)
        };
        let created = self.client.calls(self.account).create(&call).await;
        attempt(created.map(|call| Sid::parse(&call.sid).ok()))
    }

    async fn find_call(&self, to: &str, from: &str) -> std::result::Result<Option<Sid>, Error> {
        let filter =
            CallFilter { to: Some(to.to_owned()), from: Some(from.to_owned()), ..CallFilter::default() };
        let calls = self.client.calls(self.account).list(&filter).page_size(LOOKED_THROUGH).next().await?;
        let found = calls.unwrap_or_default().into_iter();
        let found = found.filter(|call| self.is_since(call.date_created.map(|it| it.0)));
        Ok(self.unknown(found.filter_map(|call| Sid::parse(&call.sid).ok())))
    }

    fn unknown(&self, mut found: impl Iterator<Item = Sid>) -> Option<Sid> {
        found.find(|sid| !self.known.contains(sid))
    }

    fn is_since(&self, made: Option<Timestamp>) -> bool {
        made.is_some_and(|made| made.duration_since(self.to_send.send.asked_at) >= -CLOCKS_APART)
    }
}

/// One code by Twilio's Verify.
struct ByVerify<'a> {
    client: &'a Client,
    service: Sid,
    to_send: &'a ToSend,
    /// Whether nothing of this challenge was sent before.
    is_new: bool,
    first_try: bool,
}

impl ByVerify<'_> {
    async fn send(&self, details: &Details) -> Attempt {
        let to = self.to_send.challenge.number.to_string();
        let verifications = self.client.verifications(self.service);
        if !self.first_try {
            match self.find(&to).await {
                Ok(Some(sid)) => return Attempt::Sent(Some(sid)),
                Ok(None) => {}
                Err(error) => return not_looked_for(&error),
            }
        }
        // What Verify still holds of an earlier challenge would be sent again, with the code of that one.
        if self.is_new
            && let Err(error) = verifications.end(&to, &VerificationStatus::Canceled).await
            && !error.is_not_found()
        {
            return Attempt::Later(format!("what Verify holds of the number cannot be ended: {error}"));
        }
        let channel = match self.to_send.send.channel {
            Channel::Sms => VerificationChannel::Sms,
            Channel::Call => VerificationChannel::Call,
        };
        let new = NewVerification {
            custom_code: Some(Secret::new(self.to_send.code.expose())),
            custom_friendly_name: Some(details.name.clone()),
            locale: Some(details.locale.clone()).filter(|locale| !locale.is_empty()),
            send_digits: details.send_digits.clone(),
            app_hash: details.app_hash.clone(),
            ..NewVerification::new(to, channel)
        };
        attempt(verifications.start(&new).await.map(|verification| Sid::parse(&verification.sid).ok()))
    }

    /// The verification that carries this send already. A moment before it was asked for is another one.
    async fn find(&self, to: &str) -> std::result::Result<Option<Sid>, Error> {
        let waits = match self.client.verifications(self.service).fetch(to).await {
            Ok(waits) => waits,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let moment = SignedDuration::from_secs(5);
        let asked_at = self.to_send.send.asked_at;
        let is_ours = |it: &SendCodeAttempt| it.time.0.duration_since(asked_at) >= -moment;
        Ok(waits.send_code_attempts.iter().any(is_ours).then(|| Sid::parse(&waits.sid).ok()).flatten())
    }
}

fn not_looked_for(error: &Error) -> Attempt {
    Attempt::Later(format!("whether it was sent before cannot be found out: {error}"))
}

/// The error's text shows neither numbers nor tokens: the client masks them.
fn attempt(result: std::result::Result<Option<Sid>, Error>) -> Attempt {
    let error = match result {
        Ok(sid) => return Attempt::Sent(sid),
        Err(error) => error,
    };
    // What is wrong with the request stays wrong. Credentials, accounts and rates change, though seldom within a minute.
    let is_final = error.fault() == Fault::Request && !error.is_transient();
    match error.carried_out() {
        CarriedOut::Yes => Attempt::Sent(None),
        CarriedOut::No if is_final => Attempt::Never(error.to_string()),
        CarriedOut::No | CarriedOut::InDoubt => Attempt::Later(error.to_string()),
    }
}
