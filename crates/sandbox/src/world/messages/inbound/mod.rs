//! In: a phone writes to a number, the application is asked what to answer, and that is carried out.
//!
//! <https://www.twilio.com/docs/messaging/guides/webhook-request>, <https://www.twilio.com/docs/messaging/twiml>.

mod answer;
mod request;

use std::collections::HashMap;

use ringfence_model::{PhoneNumber, Sid};

pub(in crate::world) use answer::answered;

use super::opt_out::Keyword;
use super::{Address, Conversation, Direction, Message, Status, Step, checks, outbound};
use crate::world::numbers::{self, Hooks, IncomingNumber};
use crate::world::phones::{self, NewText};
use crate::world::usage::{self, Use};
use crate::world::webhooks::{Method, Target};
use crate::world::{Due, World, media, messaging_services};

/// A message that somebody sends from a phone.
#[derive(Debug, Clone)]
pub(crate) struct Inbound {
    pub(crate) from: PhoneNumber,
    pub(crate) to: PhoneNumber,
    pub(crate) body: String,
    /// URLs of pictures.
    pub(crate) media: Vec<String>,
}

/// What became of a message at Twilio's door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Logged(Sid),
    /// The number's Messaging Service drops what comes in.
    Dropped,
    /// Nobody owns the number, or its account is not active.
    Refused,
}

/// How many answers between two numbers are sent in half a minute, before they are taken for two machines that
/// answer each other: <https://www.twilio.com/docs/api/errors/14107>.
#[derive(Debug, Default)]
pub(super) struct Replies(HashMap<(PhoneNumber, PhoneNumber), (i64, u32)>);

impl Replies {
    /// Counts an answer; `false`: it is one too many.
    fn count(&mut self, from: PhoneNumber, to: PhoneNumber, now_s: i64) -> bool {
        const WINDOW_S: i64 = 30;
        const MOST: u32 = 15;
        const PAIRS_MAX: usize = 10_000;
        let window = now_s.div_euclid(WINDOW_S);
        if self.0.len() >= PAIRS_MAX {
            self.0.retain(|_, (since, _)| *since == window);
        }
        let (since, count) = self.0.entry((from, to)).or_insert((window, 0));
        if *since != window {
            (*since, *count) = (window, 0);
        }
        *count += 1;
        *count <= MOST
    }
}

/// Somebody texts a number from a phone. `None`: it reaches no application, because no account owns the number, the
/// account is not active, or the number's Messaging Service takes nothing in. The phone shows it all the same.
pub(crate) fn receive(world: &mut World, inbound: Inbound) -> Option<Sid> {
    let owner = numbers::find_by_number(world, inbound.to).map(|number| number.account);
    let text = NewText {
        account: owner.unwrap_or_else(|| world.accounts.main()),
        phone: inbound.from,
        other: inbound.to.to_string(),
        outgoing: true,
        body: inbound.body.clone(),
        media: inbound.media.clone(),
        message: None,
    };
    let shown = phones::show(world, text);
    match arrive(world, inbound, 0) {
        Arrival::Logged(sid) => {
            phones::is_message(world, shown, sid);
            Some(sid)
        }
        Arrival::Dropped | Arrival::Refused => None,
    }
}

/// A message has come to Twilio, after so many answers to answers.
pub(super) fn arrive(world: &mut World, inbound: Inbound, answers: u8) -> Arrival {
    let Some(number) = numbers::find_by_number(world, inbound.to) else { return Arrival::Refused };
    let account = number.account;
    if !world.accounts.is_active(account) {
        return Arrival::Refused;
    }
    let service = messaging_services::of_number(world, account, number.sid).map(|service| service.sid);
    let route = Route::of(world, number);
    let keyword = Keyword::of(&inbound.body);
    let (from, to) = (inbound.from, inbound.to);
    let arrival = match route {
        None => Arrival::Dropped,
        Some(route) => {
            let sid = log(world, account, service, inbound, answers);
            if let Some(target) = route.target {
                request::ask(
                    world,
                    sid,
                    Conversation { asked: target, fallback: route.fallback, documents: 1 },
                    &[],
                );
            }
            Arrival::Logged(sid)
        }
    };
    if let Some(keyword) = keyword {
        obey(world, account, keyword, from, to);
    }
    arrival
}

fn log(world: &mut World, account: Sid, service: Option<Sid>, inbound: Inbound, answers: u8) -> Sid {
    let Inbound { from, to, body, media } = inbound;
    let is_text = media.is_empty();
    let segments = outbound::count_segments(&body, is_text);
    let sid = world.ids.sid(if is_text { *b"SM" } else { *b"MM" });
    let media = media::attach(world, account, sid, media);
    let now = world.now.as_second();
    let price_micros = world.prices.message_in_micros(to) * i64::from(segments);
    world.messages.rows.insert(Message {
        sid,
        account,
        service,
        from: Some(Address::Number(from)),
        to,
        body: body.into(),
        status: Status::Received,
        direction: Direction::Inbound,
        segments,
        media,
        error: None,
        price_micros: u32::try_from(price_micros).unwrap_or(0),
        priced: false,
        answers,
        validity_s: 0,
        status_callback: None,
        created: now,
        updated: now,
        sent: Some(now),
        conversation: None,
    });
    let categories: &'static [&'static str] = if is_text {
        &["sms", "sms-inbound", "sms-inbound-longcode"]
    } else {
        &["mms", "mms-inbound", "mms-inbound-longcode"]
    };
    usage::book(world, Use { account, categories, count: 1, usage: segments.into(), price_micros });
    world.plan_in_ms(world.settings.messages.price_ms, Due::Message(sid, Step::Price));
    world.touch();
    sid
}

/// Does what a keyword asks for and answers as Twilio does, on the phone alone.
fn obey(world: &mut World, account: Sid, keyword: Keyword, phone: PhoneNumber, number: PhoneNumber) {
    let sender = checks::sender_of(world, number);
    let answers = world.messages.opt_outs.obey(keyword, sender, phone);
    let is_phone = numbers::find_by_number(world, phone).is_none();
    if answers && is_phone {
        let text = NewText {
            account,
            phone,
            other: number.to_string(),
            outgoing: false,
            body: keyword.answer().to_owned(),
            media: Vec::new(),
            message: None,
        };
        phones::show(world, text);
    }
}

/// Whom to ask about what arrives at a number.
#[derive(Debug, Default)]
struct Route {
    target: Option<Target>,
    fallback: Option<Target>,
}

impl Route {
    /// `None`: nothing arrives there.
    fn of(world: &World, number: &IncomingNumber) -> Option<Self> {
        let service = messaging_services::of_number(world, number.account, number.sid);
        if let Some(service) = service.filter(|service| !service.use_inbound_webhook_on_number) {
            let target = |url: &Option<String>, method: Method| {
                url.as_ref().map(|url| Target { url: url.clone(), method })
            };
            return Some(Self {
                target: Some(target(&service.inbound_request_url, service.inbound_method)?),
                fallback: target(&service.fallback_url, service.fallback_method),
            });
        }
        let hooks = hooks(world, number);
        Some(Self { target: hooks.sms.clone(), fallback: hooks.sms_fallback.clone() })
    }
}

/// The webhook URLs of a number: its application's, if it has one.
fn hooks<'a>(world: &'a World, number: &'a IncomingNumber) -> &'a Hooks {
    number
        .hooks
        .sms_application
        .and_then(|sid| world.applications.find_of(number.account, sid))
        .map_or(&number.hooks, |application| &application.hooks)
}
