//! Status callbacks: each change of an outbound message after its first status, but for `sending`.
//!
//! <https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks>.

use ringfence_model::Sid;

use super::{Message, Status, codes};
use crate::world::World;
use crate::world::webhooks::{self, Method, Target, Then, Webhook};

/// Tells what became of a message, if somebody wants to know.
pub(super) fn tell(world: &mut World, sid: Sid) {
    let Some(message) = world.messages.rows.find(sid) else { return };
    let Some(url) = message.status_callback.as_deref() else { return };
    let webhook = Webhook {
        account: message.account,
        kind: "message-status",
        target: Target { url: url.to_owned(), method: Method::Post },
        params: params(world, message),
        then: Then::Nothing,
    };
    webhooks::deliver(world, webhook);
}

fn params(world: &World, message: &Message) -> Vec<(&'static str, String)> {
    let status = message.status.to_wire().as_str().to_owned();
    let sid = message.sid.to_string();
    let mut params = vec![
        ("ApiVersion", "2010-04-01".to_owned()),
        ("MessageStatus", status.clone()),
        ("SmsSid", sid.clone()),
        ("SmsStatus", status),
        ("To", message.to.to_string()),
        ("MessageSid", sid),
        ("AccountSid", message.account.to_string()),
    ];
    if let Some(from) = &message.from {
        params.push(("From", from.to_string()));
    }
    if let Some(service) = message.service {
        params.push(("MessagingServiceSid", service.to_string()));
    }
    if let Some(code) = message.error {
        params.push(("ErrorCode", code.to_string()));
        params.push(("ErrorMessage", codes::description(code.get()).to_owned()));
    }
    if matches!(message.status, Status::Delivered | Status::Undelivered) {
        // The carrier's own date, to the minute and without a zone.
        params.push(("RawDlrDoneDate", world.now.strftime("%y%m%d%H%M").to_string()));
    }
    params
}
