//! Codes on their way: each is sent once, soon, or not at all.
//!
//! What is to be sent is known from the challenge alone, and only while it waits for the code: the effect of the outbox
//! names the send and holds neither number nor code. After an attempt whose answer may have been lost the message or the
//! call is looked for before another is made; a code that cannot be sent within a minute is not sent late, when it would
//! arrive after the one that was asked for in its place.
//!
//! Where limits stand before it, it is sent with what was set aside for it, which is taken up durably before anything
//! leaves: then an answer that is lost, or a crash, leaves it in doubt, which is spent, and it is looked for and not sent
//! again.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Secret, Sid};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::words;
use ringfence_store::{Claim, CodeSend, Reservation, Result, SendOutcome, Sent, ToSend};
use ringfence_twilio::client::{
    CallFilter, CarriedOut, Client, Error, Fault, Instructions, MessageFilter, NewCall, NewMessage,
    NewVerification,
};
use ringfence_twilio::wire::{SendCodeAttempt, VerificationChannel, VerificationStatus};
use serde::Deserialize;

use super::{Delivery, Details, Settings};
use crate::engine::{Engine, NotSetAside, SetAside};
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
    /// Nothing was made, and the next one may.
    Later(String),
    /// Nobody knows.
    InDoubt(String),
    /// Nothing was made, and never will be.
    Never(String),
}

/// With what a code may be sent.
enum Right {
    /// No limit stands before it.
    Free,
    /// This was set aside for it, and nothing was sent with it so far.
    Reserved(Reservation),
    /// It was begun to be sent with this before, and nobody knows what came of that: it is looked for, and never sent again.
    TakenUp(String),
    /// Its price cannot be set aside.
    Not(NotSetAside),
    /// Somebody else is at it.
    Others,
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
            self.give_up(send).await?;
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
            Attempt::Later(why) | Attempt::InDoubt(why) => {
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
        self.give_up(send).await?;
        Ok(CodeEnd::GiveUp(why.to_owned()))
    }

    /// Ends a send that is not to happen, and gives back what was set aside for it where nobody has begun to send it.
    async fn give_up(&self, send: Sid) -> Result<()> {
        if let Some(unused) = self.store().give_up_code_send(send, self.now()).await? {
            self.store().void(&unused, self.ledger_now()).await?;
        }
        Ok(())
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
        let right = match self.right_to_send(settings, to_send, &details).await? {
            Right::Not(why) if why.is_passing() => return Ok(Attempt::Later(why.to_string())),
            Right::Not(why) => return Ok(Attempt::Never(why.to_string())),
            Right::Others => return Ok(Attempt::Later("another node is at it".to_owned())),
            right => right,
        };
        let looks = Looks { first: !first_try, only: matches!(right, Right::TakenUp(_)) };
        let attempt = self.send_one(settings, &client, to_send, &details, looks).await?;
        self.note(to_send.send.sid, right, &attempt).await?;
        Ok(attempt)
    }

    async fn send_one(
        &self,
        settings: &Settings,
        client: &Client,
        to_send: &ToSend,
        details: &Details,
        looks: Looks,
    ) -> Result<Attempt> {
        let sends = self.store().sends_of_challenge(to_send.challenge.sid).await?;
        let known = known_messages(&sends);
        let (sender, caller) = match &settings.delivery {
            Delivery::Programmable { sender, caller } => (sender, caller),
            Delivery::Verify { service } => {
                let sent = ByVerify { client, service: *service, to_send, is_new: known.is_empty(), looks };
                return Ok(sent.send(details).await);
            }
        };
        let (account, key_url) = (settings.account, settings.key_url.as_deref());
        let call_seconds = self.code_call_seconds();
        let sent = OnItsWay { client, account, to_send, known, looks, key_url, call_seconds };
        Ok(match (to_send.send.channel, caller) {
            (Channel::Sms, _) => sent.text(sender, details).await,
            (Channel::Call, Some(caller)) => sent.call(&caller.to_string(), details).await,
            (Channel::Call, None) => Attempt::Never("[second_factor] has no `caller` any more".to_owned()),
        })
    }

    /// What a code may be sent with now. What was set aside when it was asked for is taken up here, once; where that came
    /// back, something is set aside anew.
    async fn right_to_send(&self, settings: &Settings, to_send: &ToSend, details: &Details) -> Result<Right> {
        let (store, send) = (self.store(), to_send.send.sid);
        if let Some(reservation) = store.take_up_code_send(send, self.now()).await? {
            return Ok(Right::Reserved(reservation));
        }
        // It is asked after the take-up: what was read before it may be what another node has taken up since.
        let Some(found) = store.find_code_send(send).await? else { return Ok(Right::Others) };
        if found.outcome != SendOutcome::Waiting {
            return Ok(Right::Others);
        }
        let before = match (found.reservation, found.taken_up_at) {
            // A crash may have come between giving it back and forgetting it.
            (Some(taken), Some(_)) if store.let_go_of_code_send(send, &taken, self.now()).await? => None,
            (Some(taken), Some(_)) => return Ok(Right::TakenUp(taken)),
            (before, _) => before,
        };
        let (channel, to) = (to_send.send.channel, to_send.challenge.number);
        let reservation = match self.set_aside_for_code(settings, channel, to, details).await? {
            SetAside::NotNeeded => None,
            SetAside::Not(why) => return Ok(Right::Not(why)),
            SetAside::Reserved(reservation) => Some(reservation),
        };
        let (id, now) = (reservation.as_ref().map(Reservation::id), self.now());
        if !store.set_aside_for_code_send(send, before.as_deref(), id, now).await? {
            if let Some(reservation) = reservation {
                self.answer_for(reservation, Sent::Nothing).await?;
            }
            return Ok(Right::Others);
        }
        // It is nobody's any more, and nothing was sent with it.
        if let Some(before) = &before {
            store.void(before, self.ledger_now()).await?;
        }
        if reservation.is_none() {
            return Ok(Right::Free);
        }
        let taken_up = store.take_up_code_send(send, now).await?;
        Ok(taken_up.map_or(Right::Others, Right::Reserved))
    }

    /// Says what came of what was set aside. A crash before this leaves it taken up, which is in doubt.
    async fn note(&self, send: Sid, right: Right, attempt: &Attempt) -> Result<()> {
        let store = self.store();
        match (right, attempt) {
            (Right::Reserved(reservation), Attempt::Sent(made)) => {
                self.answer_for(reservation, Sent::Made(*made)).await
            }
            (Right::Reserved(reservation), Attempt::InDoubt(_)) => {
                self.answer_for(reservation, Sent::InDoubt).await
            }
            (Right::Reserved(reservation), Attempt::Later(_) | Attempt::Never(_)) => {
                let id = reservation.id().to_owned();
                self.answer_for(reservation, Sent::Nothing).await?;
                store.let_go_of_code_send(send, &id, self.now()).await?;
                Ok(())
            }
            (Right::TakenUp(id), Attempt::Sent(Some(made))) => {
                store.found(&id, *made, self.ledger_now()).await?;
                Ok(())
            }
            (Right::TakenUp(_) | Right::Free | Right::Not(_) | Right::Others, _) => Ok(()),
        }
    }
}

/// Whether it is looked for what an attempt before may have made.
#[derive(Clone, Copy)]
struct Looks {
    /// Before anything is made.
    first: bool,
    /// And nothing is made.
    only: bool,
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
struct OnItsWay<'a> {
    client: &'a Client,
    account: Sid,
    to_send: &'a ToSend,
    /// What carried the same code before, and is not what is looked for.
    known: Vec<Sid>,
    looks: Looks,
    /// Where a pressed key is told.
    key_url: Option<&'a str>,
    /// The longest that a call may be.
    call_seconds: u32,
}

impl OnItsWay<'_> {
    async fn text(&self, sender: &Sender, details: &Details) -> Attempt {
        let to = self.to_send.challenge.number.to_string();
        let body = words::text(&details.wording(), self.to_send.code.expose());
        if self.looks.first || self.looks.only {
            match self.find_text(&to, &body).await {
                Ok(Some(sid)) => return Attempt::Sent(Some(sid)),
                Ok(None) if self.looks.only => return still_in_doubt(),
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
        if self.looks.first || self.looks.only {
            match self.find_call(&to, from).await {
                Ok(Some(sid)) => return Attempt::Sent(Some(sid)),
                Ok(None) if self.looks.only => return still_in_doubt(),
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
            time_limit_s: Some(self.call_seconds),
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
    looks: Looks,
}

impl ByVerify<'_> {
    async fn send(&self, details: &Details) -> Attempt {
        let to = self.to_send.challenge.number.to_string();
        let verifications = self.client.verifications(self.service);
        if self.looks.first || self.looks.only {
            match self.find(&to).await {
                Ok(Some(sid)) => return Attempt::Sent(Some(sid)),
                Ok(None) if self.looks.only => return still_in_doubt(),
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

/// Twilio's lists do not show it, which says little within a minute.
fn still_in_doubt() -> Attempt {
    Attempt::InDoubt("Twilio may have taken it, and what was paid for once is not sent twice".to_owned())
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
        CarriedOut::No => Attempt::Later(error.to_string()),
        CarriedOut::InDoubt => Attempt::InDoubt(error.to_string()),
    }
}
