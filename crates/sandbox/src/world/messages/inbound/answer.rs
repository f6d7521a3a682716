//! What an application answered, carried out.

use ringfence_model::Sid;
use ringfence_twilio::twiml::{self, Verb};

use super::super::{Conversation, Direction, Draft, outbound};
use super::links::{is_same_document, join};
use super::{hooks, request};
use crate::world::webhooks::{Ended, Method, Target};
use crate::world::{World, numbers};

/// How often an application may send us elsewhere before it is taken for a circle.
const REDIRECTS_MAX: u8 = 10;

/// The application answered an inbound message, or did not.
pub(in crate::world) fn answered(world: &mut World, sid: Sid, ended: Ended) {
    let Some(message) = world.messages.rows.find_mut(sid) else { return };
    let Some(conversation) = message.conversation.take() else { return };
    match ended {
        Ended::Failed { code } => complain(world, sid, u16::try_from(code).unwrap_or(11200)),
        Ended::Answer { content_type, body, url } => {
            // An answer of the fallback URL: that is the document now, and there is no second fallback.
            let conversation = match &conversation.fallback {
                Some(fallback)
                    if !is_same_document(&conversation.asked.url, &url)
                        && is_same_document(&fallback.url, &url) =>
                {
                    Conversation { asked: fallback.clone(), fallback: None, ..*conversation }
                }
                _ => *conversation,
            };
            match read(&content_type, &body) {
                Ok(verbs) => carry_out(world, sid, &conversation, verbs),
                Err(code) => turn_to_fallback(world, sid, conversation, code),
            }
        }
    }
}

/// TwiML, or plain text, which is the answer itself. An answer without a body says nothing, which is fine.
fn read(content_type: &str, body: &[u8]) -> Result<Vec<Verb>, u16> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let mime = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match mime.as_str() {
        "text/xml" | "application/xml" | "text/html" | "application/rss+xml" => {
            let response =
                twiml::parse(body).map_err(|error| u16::try_from(error.code()).unwrap_or(12100))?;
            Ok(response.verbs)
        }
        "text/plain" => Ok(vec![Verb::Message(plain(String::from_utf8_lossy(body).trim().to_owned()))]),
        _ => Err(12300),
    }
}

fn plain(body: String) -> twiml::Message {
    twiml::Message {
        to: None,
        from: None,
        body,
        media: Vec::new(),
        action: None,
        method: twiml::Method::Post,
        status_callback: None,
    }
}

/// What cannot be read is asked for at the fallback URL.
fn turn_to_fallback(world: &mut World, sid: Sid, conversation: Conversation, code: u16) {
    complain(world, sid, code);
    let Conversation { asked, fallback, redirects } = conversation;
    if let Some(fallback) = fallback {
        let more = [("ErrorCode", code.to_string()), ("ErrorUrl", asked.url)];
        request::ask(world, sid, Conversation { asked: fallback, fallback: None, redirects }, &more);
    }
}

fn carry_out(world: &mut World, sid: Sid, conversation: &Conversation, verbs: Vec<Verb>) {
    for verb in verbs {
        match verb {
            Verb::Message(message) => {
                let action = message.action.clone();
                let method = message.method;
                let sent = reply(world, sid, conversation, message);
                if let Some(action) = action {
                    let more = match sent {
                        Some(reply) => {
                            [("MessageSid", reply.to_string()), ("MessageStatus", "sent".to_owned())]
                        }
                        None => [("MessageSid", sid.to_string()), ("MessageStatus", "invalid".to_owned())],
                    };
                    return go_to(world, sid, conversation, &action, method, &more);
                }
            }
            // The verb's name of before 2014.
            Verb::Other(element) if element.name == "Sms" => {
                let mut message = plain(element.own_text());
                message.to = element.attribute("to").map(str::to_owned);
                message.from = element.attribute("from").map(str::to_owned);
                message.status_callback = element.attribute("statusCallback").map(str::to_owned);
                reply(world, sid, conversation, message);
            }
            Verb::Redirect(redirect) => {
                return go_to(world, sid, conversation, &redirect.url, redirect.method, &[]);
            }
            // A verb of calls does nothing in a text.
            _ => complain(world, sid, 12200),
        }
    }
}

fn go_to(
    world: &mut World,
    sid: Sid,
    conversation: &Conversation,
    url: &str,
    method: twiml::Method,
    more: &[(&'static str, String)],
) {
    if conversation.redirects >= REDIRECTS_MAX {
        return complain(world, sid, 11215);
    }
    let method = match method {
        twiml::Method::Get => Method::Get,
        twiml::Method::Post => Method::Post,
    };
    let asked = Target { url: join(&conversation.asked.url, url), method };
    let fallback = conversation.fallback.clone();
    request::ask(world, sid, Conversation { asked, fallback, redirects: conversation.redirects + 1 }, more);
}

/// Sends a `<Message>`. Its own errors have codes of their own: 14101 to 14103.
fn reply(world: &mut World, sid: Sid, conversation: &Conversation, message: twiml::Message) -> Option<Sid> {
    let inbound = world.messages.rows.find(sid)?;
    let (number, account, service) = (inbound.to, inbound.account, inbound.service);
    let writer = inbound.from.as_ref().and_then(|from| from.number());
    let to = message.to.or_else(|| writer.map(|writer| writer.to_string())).unwrap_or_default();
    let base = conversation.asked.url.as_str();
    let own_callback = message.status_callback.map(|url| join(base, &url));
    let is_elsewhere = message.from.is_some();
    let draft = Draft {
        from: Some(message.from.unwrap_or_else(|| number.to_string())),
        service: service.filter(|_| !is_elsewhere),
        body: message.body,
        media: message.media.iter().map(|url| join(base, url)).collect(),
        status_callback: own_callback.or_else(|| callback_of(world, number)),
        ..Draft::new(account, Direction::OutboundReply, to)
    };
    if !world.accounts.is_active(account) {
        complain(world, sid, 30002);
        return None;
    }
    if let Some(writer) = writer
        && !world.messages.replies.count(number, writer, world.now.as_second())
    {
        complain(world, sid, 14107);
        return None;
    }
    match outbound::send(world, draft) {
        Ok(reply) => Some(reply),
        Err(unsendable) => {
            let code = match unsendable.code {
                21211 => 14101,
                21212 | 21606 | 63007 => 14102,
                21619 => 14103,
                code => code,
            };
            complain(world, sid, code);
            None
        }
    }
}

/// Whom a number's application wants told about what goes out.
fn callback_of(world: &World, number: ringfence_model::PhoneNumber) -> Option<String> {
    let number = numbers::find_by_number(world, number)?;
    hooks(world, number).sms_status_callback.clone()
}

/// Something was wrong with the answer: the message shows it, as Twilio's message log does.
fn complain(world: &mut World, sid: Sid, code: u16) {
    if let Some(message) = world.messages.rows.find_mut(sid) {
        message.error = std::num::NonZero::new(code);
        world.touch();
    }
}
