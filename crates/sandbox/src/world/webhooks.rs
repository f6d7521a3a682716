//! Webhooks: made, signed as Twilio signs them, tried again, logged, and their answers led back.
//!
//! A [`Webhook`] says whom to ask and what the answer is for ([`Then`]). It becomes a [`Delivery`] in the log. Each
//! try is an [`Outgoing`] that the engine performs; [`answered`] decides whether to try again, to turn to the
//! fallback URL, or to go on with the answer.
//!
//! Connection overrides in the fragment of a URL follow
//! <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>.

mod by_hand;
mod overrides;
mod signing;

use bytes::Bytes;
use jiff::Timestamp;
use ringfence_model::Sid;
use serde::Serialize;

pub(crate) use by_hand::{ByHand, Forgery, deliver_by_hand, send_again};
pub(crate) use overrides::Overrides;
pub(crate) use signing::SignedRequest;

use super::{Due, World, calls, messages, triggers};
use crate::table::{Row, Table};

/// The log of deliveries.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    pub(crate) log: Table<Delivery>,
    /// How many have left and not been answered.
    pub(crate) in_flight: usize,
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

/// A webhook to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    /// The account whose key signs it.
    pub(crate) account: Sid,
    /// What it is, in the log and for faults: `message`, `message-status`, `voice`, `call-status`, `usage-trigger`…
    pub(crate) kind: &'static str,
    pub(crate) target: Target,
    pub(crate) fallback: Option<Target>,
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
    Answer { content_type: String, body: Bytes, url: String },
    /// None, or one with another status. The code is Twilio's (11200: HTTP retrieval failure, 11205: connection
    /// failure, 11237: certificate).
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
    /// The fallback URL is being asked.
    pub(crate) on_fallback: bool,
    /// What is wrong with it on demand.
    pub(crate) forgery: Option<Forgery>,
    /// Parameters beside those of the webhook, of one that somebody made by hand.
    extra_params: Vec<(String, String)>,
    /// This request again, byte for byte, in place of one made for it.
    replayed: Option<SignedRequest>,
    tries_here: u32,
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
    Answered { status: u16, content_type: String, body: Bytes },
    /// No answer.
    Failed { kind: FailureKind, detail: String },
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The URL cannot be asked at all.
    BadUrl,
    /// No connection, or none in time.
    Connect,
    /// The certificate was refused, or TLS failed otherwise.
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
    let sid = world.ids.sid(*b"WH");
    let at = world.now;
    world.webhooks.log.insert(Delivery {
        sid,
        at,
        webhook,
        request: None,
        tries: Vec::new(),
        state: DeliveryState::Pending,
        on_fallback: false,
        forgery,
        extra_params: Vec::new(),
        replayed: None,
        tries_here: 0,
    });
    world.touch();
    sid
}

/// Signs a delivery and puts it among what has to leave.
pub(super) fn send(world: &mut World, sid: Sid) {
    let Some(delivery) = world.webhooks.log.find(sid) else { return };
    let target = match (&delivery.webhook.fallback, delivery.on_fallback) {
        (Some(fallback), true) => fallback.clone(),
        _ => delivery.webhook.target.clone(),
    };
    let request = match &delivery.replayed {
        Some(request) => request.clone(),
        None => signing::sign(world, delivery, &target),
    };
    let overrides = Overrides::parse(&target.url);
    let Some(delivery) = world.webhooks.log.find_mut(sid) else { return };
    delivery.tries_here += 1;
    delivery.request = Some(request.clone());
    world.webhooks.in_flight += 1;
    world.outgoing.push(Outgoing { delivery: sid, request, overrides });
}

/// A try came to its end: decide what happens next.
pub(crate) fn answered(world: &mut World, sid: Sid, tried: Try) {
    world.webhooks.in_flight = world.webhooks.in_flight.saturating_sub(1);
    world.touch();
    let Some(delivery) = world.webhooks.log.find_mut(sid) else { return };
    let (result, url) = (tried.result.clone(), tried.url.clone());
    delivery.tries.push(tried);
    if let TryResult::Answered { status: 200..=299, content_type, body } = result {
        delivery.state = DeliveryState::Done;
        let then = delivery.webhook.then.clone();
        return go_on(world, &then, Ended::Answer { content_type, body, url });
    }
    if let Some(delay_ms) = delivery.again_after_ms(&result) {
        return world.plan_in_ms(delay_ms, Due::Webhook(sid));
    }
    if delivery.webhook.fallback.is_some() && !delivery.on_fallback {
        delivery.on_fallback = true;
        delivery.tries_here = 0;
        let failed_url = delivery.webhook.target.url.clone();
        delivery.webhook.params.push(("ErrorCode", result.code().to_string()));
        delivery.webhook.params.push(("ErrorUrl", failed_url));
        return send(world, sid);
    }
    delivery.state = DeliveryState::Failed;
    let then = delivery.webhook.then.clone();
    go_on(world, &then, Ended::Failed { code: result.code() });
}

fn go_on(world: &mut World, then: &Then, ended: Ended) {
    match then {
        Then::Nothing => {}
        Then::Message(sid) => messages::answered(world, *sid, ended),
        Then::Call(sid, turn) => calls::answered(world, *sid, *turn, ended),
        Then::Trigger(sid) => triggers::answered(world, *sid, &ended),
    }
}

impl Delivery {
    /// All parameters, in the order in which they are sent.
    pub(crate) fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let params = self.webhook.params.iter().map(|(name, value)| (*name, value.as_str()));
        params.chain(self.extra_params.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Whether this result is worth another try, and when. Usage triggers have a rule of their own: three quick
    /// retries after a 5xx.
    fn again_after_ms(&self, result: &TryResult) -> Option<u64> {
        const QUICKLY_MS: u64 = 1000;
        if matches!(self.webhook.then, Then::Trigger(_)) {
            let is_5xx = matches!(result, TryResult::Answered { status: 500..=599, .. });
            return (is_5xx && self.tries_here <= 3).then_some(QUICKLY_MS);
        }
        let target = match (&self.webhook.fallback, self.on_fallback) {
            (Some(fallback), true) => fallback,
            _ => &self.webhook.target,
        };
        let overrides = Overrides::parse(&target.url);
        (self.tries_here <= overrides.retry_count && overrides.retries(result)).then_some(QUICKLY_MS)
    }
}

impl TryResult {
    /// Twilio's error code for it.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::Answered { .. } => 11200,
            Self::Failed { kind: FailureKind::BadUrl, .. } => 11100,
            Self::Failed { kind: FailureKind::Tls, .. } => 11237,
            Self::Failed { kind: FailureKind::Connect | FailureKind::Timeout, .. } => 11205,
            Self::Failed { kind: FailureKind::Broken, .. } => 11206,
        }
    }
}
