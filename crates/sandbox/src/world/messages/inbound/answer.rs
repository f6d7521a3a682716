//! What an application answered, carried out.

use ringfence_model::Sid;
use ringfence_twilio::twiml::{self, Verb};

use super::super::{Conversation, Direction, Draft, outbound};
use super::{hooks, request};
use crate::world::webhooks::{self, Ended, Method, Target};
use crate::world::{World, numbers};

/// Two numbers of the sandbox whose applications answer each other take a second for each answer, which is slower than
/// Twilio's own bound, so they would go on for as long as a virtual clock is moved. No conversation that is meant has
/// so many answers to answers.
const ANSWERS_MAX: u8 = 100;

/// How many documents one message may lead to: <https://www.twilio.com/docs/api/errors/14106>.
const DOCUMENTS_MAX: u8 = 50;

/// The application answered an inbound message, or did not.
pub(in crate::world) fn answered(world: &mut World, sid: Sid, ended: Ended) {
    let Some(message) = world.messages.rows.find_mut(sid) else { return };
    let Some(mut conversation) = message.conversation.take() else { return };
    let document = match ended {
        Ended::Failed { code } => Err(u16::try_from(code).unwrap_or(11200)),
        Ended::Answer { content_type, body, moved_to } => {
            conversation.asked = moved_to.unwrap_or(conversation.asked);
            read(&content_type, &body)
        }
    };
    match document {
        Ok(response) => {
            if !response.warnings.is_empty() {
                complain(world, sid, 12200);
            }
            carry_out(world, sid, &conversation, response.verbs);
        }
        Err(code) => turn_to_fallback(world, sid, *conversation, code),
    }
}

/// TwiML, or plain text, which is the answer itself. An answer without a body says nothing, which is fine.
fn read(content_type: &str, body: &[u8]) -> Result<twiml::Response, u16> {
    let of = |verbs| twiml::Response { verbs, warnings: Vec::new() };
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(of(Vec::new()));
    }
    let mime = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match mime.as_str() {
        "text/xml" | "application/xml" | "text/html" | "application/rss+xml" => {
            twiml::parse(body).map_err(|error| u16::try_from(error.code()).unwrap_or(12100))
        }
        "text/plain" => Ok(of(vec![Verb::Message(plain(String::from_utf8_lossy(body).trim().to_owned()))])),
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

/// What cannot be had or read is asked for at the fallback URL.
fn turn_to_fallback(world: &mut World, sid: Sid, conversation: Conversation, code: u16) {
    complain(world, sid, code);
    let Conversation { asked, fallback, documents } = conversation;
    if let Some(fallback) = fallback {
        let more = [("ErrorCode", code.to_string()), ("ErrorUrl", asked.url)];
        request::ask(
            world,
            sid,
            Conversation { asked: fallback, fallback: None, documents: documents + 1 },
            &more,
        );
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
    if conversation.documents >= DOCUMENTS_MAX {
        return complain(world, sid, 14106);
    }
    let method = match method {
        twiml::Method::Get => Method::Get,
        twiml::Method::Post => Method::Post,
    };
    let asked = Target { url: twiml::resolve(&conversation.asked.url, url), method };
    let fallback = conversation.fallback.clone();
    request::ask(world, sid, Conversation { asked, fallback, documents: conversation.documents + 1 }, more);
}

/// Sends a `<Message>`. Its own errors have codes of their own: 14101 to 14103.
fn reply(world: &mut World, sid: Sid, conversation: &Conversation, message: twiml::Message) -> Option<Sid> {
    let inbound = world.messages.rows.find(sid)?;
    let (number, account, service) = (inbound.to, inbound.account, inbound.service);
    let answers = inbound.answers.saturating_add(1);
    let writer = inbound.from.as_ref().and_then(|from| from.number());
    let to = message.to.or_else(|| writer.map(|writer| writer.to_string())).unwrap_or_default();
    let base = conversation.asked.url.as_str();
    let own_callback = message.status_callback.map(|url| twiml::resolve(base, &url));
    let is_elsewhere = message.from.is_some();
    let draft = Draft {
        from: Some(message.from.unwrap_or_else(|| number.to_string())),
        service: service.filter(|_| !is_elsewhere),
        body: message.body,
        media: message.media.iter().map(|url| twiml::resolve(base, url)).collect(),
        status_callback: own_callback.or_else(|| callback_of(world, number)),
        answers,
        ..Draft::new(account, Direction::OutboundReply, to)
    };
    if !world.accounts.is_active(account) {
        complain(world, sid, 30002);
        return None;
    }
    if answers > ANSWERS_MAX {
        complain(world, sid, 14107);
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
                21212 | 21606 | 21659 | 21660 | 63007 => 14102,
                21602 | 21617 => 14103,
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
    let Some(message) = world.messages.rows.find_mut(sid) else { return };
    message.error = std::num::NonZero::new(code);
    let account = message.account;
    webhooks::alert(
        world,
        account,
        u32::from(code),
        sid,
        "The answer to a message could not be had or carried out",
    );
    world.touch();
}
