//! Webhooks: made, signed as Twilio signs them, tried again, logged, and their answers led back.
//!
//! A [`Webhook`] says whom to ask and what the answer is for ([`Then`]). It becomes a [`Delivery`] in the log. Each
//! try is an [`Outgoing`] that the engine performs; [`answered`] decides whether to follow a redirect, to try again,
//! or to go on with the answer. Fallback URLs are for whoever asked: an answer can be of no use for other reasons too.
//!
//! Connection overrides in the fragment of a URL follow
//! <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>.

mod by_hand;
mod cookies;
mod overrides;
mod redirects;
mod signing;

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use ringfence_model::Sid;
use serde::Serialize;

pub(crate) use by_hand::{ByHand, Forgery, deliver_by_hand, send_again};
pub(crate) use overrides::Overrides;
pub(crate) use signing::SignedRequest;

use super::events::{self, AlertedWebhook, LogLevel, NewAlert};
use super::{Due, World, calls, messages, shared_keys, triggers};
use crate::table::{Row, Table};

/// The log of deliveries.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    pub(crate) log: Table<Delivery>,
    /// How many have left and not been answered.
    pub(crate) in_flight: usize,
    /// The one whose answer is being carried out right now.
    current: Option<Sid>,
    cookies: cookies::Cookies,
}

/// A method that a webhook can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    Get,
    Post,
}

impl Method {
    /// Twilio's parameters say `GET` or `POST`; what is absent is a POST.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        if text.is_some_and(|text| text.eq_ignore_ascii_case("GET")) { Self::Get } else { Self::Post }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    /// `GET` or `POST`, in any case.
    pub(crate) fn read(text: &str) -> Option<Self> {
        [Self::Get, Self::Post].into_iter().find(|method| text.eq_ignore_ascii_case(method.as_str()))
    }
}

/// Where a webhook goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) method: Method,
}

/// Every kind of webhook, as the log of deliveries and faults name it.
pub(crate) const KINDS: [&str; 14] = [
    "message",
    "message-status",
    "voice",
    "gather-action",
    "dial-action",
    "record-action",
    "call-status",
    "recording-status",
    "amd-status",
    "caller-id",
    "usage-trigger",
    "by-hand",
    "forged",
    "replay",
];

/// A webhook to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    /// The account whose key signs it.
    pub(crate) account: Sid,
    /// What it is, one of [`KINDS`].
    pub(crate) kind: &'static str,
    pub(crate) target: Target,
    pub(crate) params: Vec<(&'static str, String)>,
    pub(crate) then: Then,
}

/// What an answer is for.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    /// Nobody waits for it: a status callback.
    Nothing,
    /// TwiML that answers an inbound message.
    Message(Sid),
    /// TwiML of a call; the turn says which step of it asked.
    Call(Sid, u64),
    /// A usage trigger fired; 5xx is tried again three times.
    Trigger(Sid),
}

/// How a webhook ended, for whoever waits for it.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// An answer with a 2xx status.
    Answer {
        content_type: String,
        body: Bytes,
        /// Where it came from, if the application sent us elsewhere for it: relative URLs are seen from there.
        moved_to: Option<Target>,
    },
    /// None, or one with another status. The code is Twilio's: [`TryResult::code`].
    Failed { code: u32 },
}

/// One webhook in the log, from its first try to its end.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) sid: Sid,
    pub(crate) at: Timestamp,
    pub(crate) webhook: Webhook,
    /// The one that leaves next, or left last.
    pub(crate) request: Option<SignedRequest>,
    pub(crate) tries: Vec<Try>,
    pub(crate) state: DeliveryState,
    /// Where the application sent us, and how often in a row.
    moved_to: Option<Target>,
    redirects: u32,
    /// What is wrong with it on demand.
    pub(crate) forgery: Option<Forgery>,
    /// Somebody sent it on purpose, through the control API, and sees the answer there.
    by_hand: bool,
    /// Parameters beside those of the webhook, of one that somebody made by hand.
    extra_params: Vec<(String, String)>,
    /// This request again, byte for byte, in place of one made for it.
    replayed: Option<SignedRequest>,
    /// Tries at the webhook's own URL; what was asked after redirects is part of one.
    beginnings: u32,
    /// What all requests took together.
    spent_ms: u64,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    /// Under way.
    Pending,
    /// Answered with a 2xx.
    Done,
    /// Given up.
    Failed,
    /// Lost on demand.
    Lost,
}

/// One try.
#[derive(Debug, Clone)]
pub(crate) struct Try {
    pub(crate) at: Timestamp,
    pub(crate) url: String,
    pub(crate) result: TryResult,
    pub(crate) took_ms: u64,
    /// The URL has credentials, and they were sent after a 401.
    pub(crate) sent_credentials: bool,
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TryResult {
    /// An answer, whatever its status. The body is cut at what the engine reads.
    Answered(Answer),
    /// No answer.
    Failed { kind: FailureKind, detail: String },
}

/// What an application answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// The header of this name, as it stands.
    pub(crate) location: Option<String>,
    /// The `Set-Cookie` headers.
    pub(crate) cookies: Vec<String>,
    pub(crate) body: Bytes,
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The URL cannot be asked at all.
    BadUrl,
    /// Nobody knows the host.
    Host,
    /// No connection, or none in time.
    Connect,
    /// The certificate was refused.
    Certificate,
    /// TLS failed otherwise.
    Tls,
    /// Connected, but no answer in time.
    Timeout,
    /// The answer was no HTTP, too large, or broke off.
    Broken,
}

/// One try that has to be made.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) delivery: Sid,
    pub(crate) request: SignedRequest,
    pub(crate) overrides: Overrides,
}

impl Row for Delivery {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.webhook.account
    }
}

/// How often in a row an application may send us elsewhere. Twilio names no number.
const REDIRECTS_MAX: u32 = 10;

impl Webhooks {
    pub(super) fn set_cap(&mut self, cap: usize) {
        self.log.set_cap(cap);
    }
}

/// Hands a webhook over: faults on demand are applied, then it leaves at once.
pub(crate) fn deliver(world: &mut World, webhook: Webhook) -> Sid {
    let fault = world.faults.take_webhook(webhook.kind, &webhook.target.url).unwrap_or_default();
    let forgery = fault.forge.then_some(Forgery::WrongToken);
    if fault.double {
        let twin = log(world, webhook.clone(), forgery);
        world.plan_in_ms(fault.delay_ms, Due::Webhook(twin));
    }
    let delivery = log(world, webhook, forgery);
    if fault.lose {
        if let Some(delivery) = world.webhooks.log.find_mut(delivery) {
            delivery.state = DeliveryState::Lost;
        }
    } else if fault.delay_ms > 0 {
        world.plan_in_ms(fault.delay_ms, Due::Webhook(delivery));
    } else {
        send(world, delivery);
    }
    delivery
}

fn log(world: &mut World, webhook: Webhook, forgery: Option<Forgery>) -> Sid {
    debug_assert!(KINDS.contains(&webhook.kind), "{} is a kind that nobody can ask for", webhook.kind);
    let sid = world.ids.sid(*b"WH");
    let at = world.now;
    world.webhooks.log.insert(Delivery {
        sid,
        at,
        webhook,
        request: None,
        tries: Vec::new(),
        state: DeliveryState::Pending,
        moved_to: None,
        redirects: 0,
        forgery,
        by_hand: false,
        extra_params: Vec::new(),
        replayed: None,
        beginnings: 0,
        spent_ms: 0,
    });
    world.touch();
    sid
}

/// Signs a delivery and puts it among what has to leave.
pub(super) fn send(world: &mut World, sid: Sid) {
    let Some(delivery) = world.webhooks.log.find(sid) else { return };
    let request = match &delivery.replayed {
        Some(request) => request.clone(),
        None => signing::sign(world, delivery),
    };
    let overrides = delivery.overrides();
    shared_keys::count(world);
    let Some(delivery) = world.webhooks.log.find_mut(sid) else { return };
    if delivery.moved_to.is_none() {
        delivery.beginnings += 1;
    }
    delivery.request = Some(request.clone());
    world.webhooks.in_flight += 1;
    world.outgoing.push(Outgoing { delivery: sid, request, overrides });
}

/// A try came to its end: decide what happens next.
pub(crate) fn answered(world: &mut World, sid: Sid, tried: Try) {
    world.webhooks.in_flight = world.webhooks.in_flight.saturating_sub(1);
    world.touch();
    let (result, took_ms) = (tried.result.clone(), tried.took_ms);
    if let TryResult::Answered(answer) = &result {
        cookies::keep(world, sid, &answer.cookies);
    }
    let Some(delivery) = world.webhooks.log.find_mut(sid) else { return };
    delivery.tries.push(tried);
    delivery.spent_ms = delivery.spent_ms.saturating_add(took_ms);
    if let TryResult::Answered(Answer { status: 200..=299, content_type, body, .. }) = result {
        delivery.state = DeliveryState::Done;
        let moved_to = delivery.moved_to.clone();
        return go_on(world, sid, Ended::Answer { content_type, body, moved_to });
    }
    if let Some(next) = delivery.sent_to(&result) {
        delivery.moved_to = Some(next);
        delivery.redirects += 1;
        return send(world, sid);
    }
    if let Some(delay_ms) = delivery.again_after_ms(&result) {
        delivery.moved_to = None;
        delivery.redirects = 0;
        return world.plan_in_ms(delay_ms, Due::Webhook(sid));
    }
    delivery.state = DeliveryState::Failed;
    go_on(world, sid, Ended::Failed { code: result.code() });
}

fn go_on(world: &mut World, sid: Sid, ended: Ended) {
    let Some(delivery) = world.webhooks.log.find(sid) else { return };
    let (then, account, by_hand) = (delivery.webhook.then.clone(), delivery.account(), delivery.by_hand);
    world.webhooks.current = Some(sid);
    match then {
        Then::Nothing if by_hand => {}
        Then::Nothing => {
            if let Ended::Failed { code } = ended {
                alert(world, account, code, account, "A callback was not answered with a 2xx");
            }
        }
        Then::Message(message) => messages::answered(world, message, ended),
        Then::Call(call, turn) => calls::answered(world, call, turn, ended),
        Then::Trigger(trigger) => {
            if let Ended::Failed { code } = ended {
                alert(
                    world,
                    account,
                    code,
                    trigger,
                    "The webhook of a usage trigger was not answered with a 2xx",
                );
            }
            triggers::answered(world, trigger, &ended);
        }
    }
    world.webhooks.current = None;
}

/// Tells the debugger what went wrong, with the webhook whose answer is being carried out.
pub(crate) fn alert(world: &mut World, account: Sid, code: u32, resource: Sid, text: &str) {
    let current = world.webhooks.current.and_then(|sid| world.webhooks.log.find(sid));
    let webhook = current.and_then(alerted);
    let level = LogLevel::of(code);
    events::alert(world, NewAlert { account, code, level, resource, text: text.to_owned(), webhook });
}

fn alerted(delivery: &Delivery) -> Option<AlertedWebhook> {
    let request = delivery.request.as_ref()?;
    let headers = |pairs: &[(&str, &str)]| {
        let lines: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.join("&")
    };
    let (content_type, body) = match delivery.tries.last().map(|tried| &tried.result) {
        Some(TryResult::Answered(answer)) => {
            (answer.content_type.as_str(), String::from_utf8_lossy(&answer.body).into_owned())
        }
        Some(TryResult::Failed { detail, .. }) => ("", detail.clone()),
        None => ("", String::new()),
    };
    let sent: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Some(AlertedWebhook {
        url: request.url.clone(),
        method: request.method,
        variables: form_urlencoded::Serializer::new(String::new()).extend_pairs(delivery.params()).finish(),
        request_headers: headers(&sent),
        response_headers: headers(&[("content-type", content_type)]),
        response_body: body,
    })
}

impl Delivery {
    /// All parameters, in the order in which they are sent.
    pub(crate) fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let params = self.webhook.params.iter().map(|(name, value)| (*name, value.as_str()));
        params.chain(self.extra_params.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Where the next request goes.
    fn target(&self) -> &Target {
        self.moved_to.as_ref().unwrap_or(&self.webhook.target)
    }

    /// What the fragment of the webhook's own URL asks for. The total time is what is left of it, but for a usage
    /// trigger, whose retries are requests of their own.
    fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::parse(&self.webhook.target.url);
        if !matches!(self.webhook.then, Then::Trigger(_)) {
            overrides.total = overrides.total.saturating_sub(Duration::from_millis(self.spent_ms));
        }
        overrides
    }

    /// Where an application sends us instead. A request that is repeated byte for byte fits no other URL.
    fn sent_to(&self, result: &TryResult) -> Option<Target> {
        match result {
            TryResult::Answered(answer) if self.redirects < REDIRECTS_MAX && self.replayed.is_none() => {
                redirects::target(self.target(), answer)
            }
            _ => None,
        }
    }

    /// Whether this result is worth another try, and when. Usage triggers have a rule of their own: three quick
    /// retries after a 5xx.
    fn again_after_ms(&self, result: &TryResult) -> Option<u64> {
        const QUICKLY_MS: u64 = 1000;
        let is_worth_it = if matches!(self.webhook.then, Then::Trigger(_)) {
            let is_5xx = matches!(result, TryResult::Answered(Answer { status: 500..=599, .. }));
            is_5xx && self.beginnings <= 3
        } else {
            let overrides = self.overrides();
            self.beginnings <= overrides.retry_count
                && !overrides.total.is_zero()
                && overrides.retries(result)
        };
        is_worth_it.then_some(QUICKLY_MS)
    }
}

impl TryResult {
    /// Twilio's error code for it: <https://www.twilio.com/docs/api/errors>, from 11100 on.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::Answered(answer @ Answer { status: 300..=399, .. }) => {
                if redirects::location(answer).is_some() { 11215 } else { 11216 }
            }
            Self::Answered(_) => 11200,
            Self::Failed { kind, .. } => match kind {
                FailureKind::BadUrl => 11100,
                FailureKind::Host => 11210,
                FailureKind::Tls => 11220,
                FailureKind::Certificate => 11237,
                FailureKind::Connect | FailureKind::Timeout => 11205,
                FailureKind::Broken => 11206,
            },
        }
    }
}
