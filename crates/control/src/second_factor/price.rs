//! What a code costs at most: the message, the call or the verification that [`sending`](super::sending) makes of it.
//!
//! It is priced before the code is there, since a text is one segment whatever is in it.

use jiff::SignedDuration;
use ringfence_breaker::Charge;
use ringfence_breaker::charge::{
    Call, Message, Recipient, Sender as Origin, Unpriced, Verification, VerificationChannel,
};
use ringfence_breaker::price_book::PriceBook;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::words;
use ringfence_store as store;

use super::{Delivery, Details, Settings};
use crate::engine::{Engine, OwnRequest, SetAside};
use crate::notices::{Sender, Texter};

/// Long enough to say a code twice; a mailbox that never ends is not paid for.
const CALL_SECONDS: u32 = 90;

/// Until when what was set aside is open and not in doubt: a code goes out within a minute, and Twilio answers, or never
/// will, within another.
const PATIENCE: SignedDuration = SignedDuration::from_mins(3);

/// As many digits as a code may have.
const ANY_CODE: &str = "0000000000";

impl Engine {
    /// The longest that a call with a code may be, in seconds.
    pub(super) fn code_call_seconds(&self) -> u32 {
        let most = self.sets_aside().map_or(u32::MAX, |egress| egress.prices.assumed.call_seconds_at_most);
        CALL_SECONDS.min(most.max(1))
    }

    /// Sets aside what it costs to send a code this way.
    pub(super) async fn set_aside_for_code(
        &self,
        settings: &Settings,
        channel: Channel,
        to: PhoneNumber,
        details: &Details,
    ) -> store::Result<SetAside> {
        let seconds = self.code_call_seconds();
        let (operation, from) = match (&settings.delivery, channel) {
            (Delivery::Verify { .. }, _) => ("verifications.create", String::new()),
            (Delivery::Programmable { sender, .. }, Channel::Sms) => ("messages.create", listed_as(sender)),
            (Delivery::Programmable { caller, .. }, Channel::Call) => {
                ("calls.create", caller.map(|caller| caller.to_string()).unwrap_or_default())
            }
        };
        let charge = |book: &PriceBook| charge(&settings.delivery, channel, to, details, seconds, book);
        let account: Sid = settings.account;
        let request = OwnRequest {
            account,
            operation,
            charge: &charge,
            to,
            from: &from,
            patience: PATIENCE,
            is_counted: true,
        };
        self.set_aside(&request).await
    }
}

impl Engine {
    /// Sets aside what a text message costs that carries no code: nobody enters anything after it.
    pub(crate) async fn set_aside_for_text(&self, texter: &Texter, body: &str) -> store::Result<SetAside> {
        let charge = |book: &PriceBook| text(&texter.from, texter.to, body, book);
        let (account, to, from) = (texter.account, texter.to, listed_as(&texter.from));
        let operation = "messages.create";
        let request = OwnRequest {
            account,
            operation,
            charge: &charge,
            to,
            from: &from,
            patience: PATIENCE,
            is_counted: false,
        };
        self.set_aside(&request).await
    }
}

fn text(sender: &Sender, to: PhoneNumber, body: &str, book: &PriceBook) -> Result<Charge, Unpriced> {
    let (origin, messaging_service) = match sender {
        Sender::Name(name) => (Origin::of(Some(name), false), false),
        Sender::Service(_) => (Origin::Any, true),
    };
    let message = Message::text(Recipient::Phone(to), origin, body);
    Message { messaging_service, ..message }.charge(book)
}

fn charge(
    delivery: &Delivery,
    channel: Channel,
    to: PhoneNumber,
    details: &Details,
    call_seconds: u32,
    book: &PriceBook,
) -> Result<Charge, Unpriced> {
    match (delivery, channel) {
        (Delivery::Verify { .. }, channel) => {
            let channel = match channel {
                Channel::Sms => VerificationChannel::Sms,
                Channel::Call => VerificationChannel::Call,
            };
            let inserted = [details.name.as_str()];
            Verification { to: Some(to), channel, custom_message: None, inserted: &inserted }.charge(book)
        }
        (Delivery::Programmable { sender, .. }, Channel::Sms) => {
            text(sender, to, &words::text(&details.wording(), ANY_CODE), book)
        }
        (Delivery::Programmable { caller, .. }, Channel::Call) => {
            let call = Call {
                to: Recipient::Phone(to),
                from: *caller,
                time_limit: Some(call_seconds.into()),
                record: false,
                conference_record: false,
                machine_detection: false,
                conference: false,
            };
            Ok(call.charge(book)?.charge)
        }
    }
}

/// As what Twilio lists who sent a message.
fn listed_as(sender: &Sender) -> String {
    match sender {
        Sender::Name(name) => name.clone(),
        Sender::Service(sid) => sid.to_string(),
    }
}
