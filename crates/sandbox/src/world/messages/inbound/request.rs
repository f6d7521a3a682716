//! The request to an application about a message that came in.

use ringfence_model::Sid;

use super::super::opt_out::Keyword;
use super::super::places::{Place, place_of};
use super::super::{Conversation, Message};
use crate::world::webhooks::{self, Then, Webhook};
use crate::world::{World, media};

/// Asks the application; the answer comes to [`super::answered`].
pub(super) fn ask(world: &mut World, sid: Sid, conversation: Conversation, more: &[(&'static str, String)]) {
    let Some(message) = world.messages.rows.find(sid) else { return };
    let mut params = params(world, message);
    for (name, value) in more {
        params.retain(|(known, _)| known != name);
        params.push((name, value.clone()));
    }
    let webhook = Webhook {
        account: message.account,
        kind: "message",
        target: conversation.asked.clone(),
        params,
        then: Then::Message(sid),
    };
    if let Some(message) = world.messages.rows.find_mut(sid) {
        message.conversation = Some(Box::new(conversation));
    }
    webhooks::deliver(world, webhook);
}

/// <https://www.twilio.com/docs/messaging/guides/webhook-request#parameters-in-twilios-request-to-your-application>.
fn params(world: &World, message: &Message) -> Vec<(&'static str, String)> {
    let sid = message.sid.to_string();
    let mut params = vec![
        ("MessageSid", sid.clone()),
        ("SmsSid", sid.clone()),
        ("SmsMessageSid", sid),
        ("AccountSid", message.account.to_string()),
        ("From", message.from.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("To", message.to.to_string()),
        ("Body", message.body.to_string()),
        ("NumMedia", message.media.len().to_string()),
        ("NumSegments", message.segments.to_string()),
        ("SmsStatus", "received".to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    if let Some(service) = message.service {
        params.push(("MessagingServiceSid", service.to_string()));
        // Only numbers of a Messaging Service tell it: it is part of Advanced Opt-Out.
        if let Some(keyword) = Keyword::of(&message.body) {
            params.push(("OptOutType", keyword.as_str().to_owned()));
        }
    }
    let from = message.from.as_ref().and_then(|from| from.number()).map(place_of).unwrap_or_default();
    push_place(&mut params, ["FromCity", "FromState", "FromZip", "FromCountry"], from);
    push_place(&mut params, ["ToCity", "ToState", "ToZip", "ToCountry"], place_of(message.to));
    for (at, sid) in message.media.iter().enumerate() {
        if let (Some(media), Some((url, content_type))) = (world.media.find(*sid), MEDIA_PARAMS.get(at)) {
            params.push((url, media::public_url(world, media)));
            params.push((content_type, media.content_type.to_owned()));
        }
    }
    params
}

fn push_place(params: &mut Vec<(&'static str, String)>, names: [&'static str; 4], place: Place) {
    for (name, value) in names.into_iter().zip([place.city, place.state, place.zip, place.country]) {
        params.push((name, value.to_owned()));
    }
}

/// A message has at most ten files.
const MEDIA_PARAMS: [(&str, &str); 10] = [
    ("MediaUrl0", "MediaContentType0"),
    ("MediaUrl1", "MediaContentType1"),
    ("MediaUrl2", "MediaContentType2"),
    ("MediaUrl3", "MediaContentType3"),
    ("MediaUrl4", "MediaContentType4"),
    ("MediaUrl5", "MediaContentType5"),
    ("MediaUrl6", "MediaContentType6"),
    ("MediaUrl7", "MediaContentType7"),
    ("MediaUrl8", "MediaContentType8"),
    ("MediaUrl9", "MediaContentType9"),
];
