//! Messages as an application meets them: requests to the API, webhooks that leave, time that passes.

mod inbound;
mod life;
mod lists;
mod refusals;
mod services;

use bytes::Bytes;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::Form;
use serde_json::Value;

use crate::api::{self, Base, Incoming, Reply, Router};
use crate::settings::Settings;
use crate::world::testing::{at, world_of};
use crate::world::webhooks::{self, Method, Target, Try, TryResult};
use crate::world::{World, numbers};

/// A phone of the world outside.
const PHONE: &str = "+12025550123";

/// A world whose time stands still, an application that answers what a test says, and the API before it.
struct Bench {
    world: World,
    router: Router,
    main: Sid,
    token: String,
    /// The main account's first number.
    number: PhoneNumber,
}

/// A webhook that left.
#[derive(Debug, Clone, PartialEq)]
struct Left {
    delivery: Sid,
    kind: &'static str,
    url: String,
    method: Method,
    params: Vec<(&'static str, String)>,
}

impl Left {
    fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(it, _)| *it == name).map_or("", |(_, value)| value)
    }
}

/// How a request ended: the body, or HTTP status and code.
type Answer = Result<Value, (u16, u32)>;

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let world = world_of(7, at("2026-11-25T12:04:30Z"), settings);
        let main = world.accounts.main();
        let token = world.accounts.find(main).unwrap().auth_token.clone();
        let number = world.numbers.of(main).next_back().unwrap().phone_number;
        Self { world, router: Router::new(api::operations()), main, token, number }
    }

    fn request(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) -> Result<Reply, (u16, u32)> {
        let credentials = Some((self.main.to_string(), self.token.clone()));
        self.request_as(credentials, method, path, fields)
    }

    fn request_as(
        &mut self,
        credentials: Option<(String, String)>,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Reply, (u16, u32)> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let incoming = Incoming {
            method: method.parse().unwrap(),
            product: None,
            path: path.to_owned(),
            query: Form::parse(query.as_bytes()),
            form: fields.iter().copied().collect(),
            credentials,
            base: Base::Own("http://127.0.0.1:4010".to_owned()),
        };
        api::handle(&self.router, &mut self.world, incoming)
            .map_err(|refusal| (refusal.error.status, refusal.error.code))
    }

    fn json(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let reply = self.request(method, path, fields)?;
        Ok(serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
    }

    fn messages(&self) -> String {
        format!("/2010-04-01/Accounts/{}/Messages", self.main)
    }

    /// `POST Messages.json` with these fields.
    fn create(&mut self, fields: &[(&str, &str)]) -> Answer {
        let path = format!("{}.json", self.messages());
        self.json("POST", &path, fields)
    }

    /// A text to the phone.
    fn text(&mut self, body: &str) -> String {
        let from = self.number.to_string();
        let message = self.create(&[("To", PHONE), ("From", &from), ("Body", body)]).unwrap();
        sid_of(&message)
    }

    fn fetch(&mut self, sid: &str) -> Value {
        let path = format!("{}/{sid}.json", self.messages());
        self.json("GET", &path, &[]).unwrap()
    }

    fn status(&mut self, sid: &str) -> String {
        self.fetch(sid)["status"].as_str().unwrap().to_owned()
    }

    fn pass_ms(&mut self, milliseconds: i64) {
        let until = self.world.now.checked_add(jiff::SignedDuration::from_millis(milliseconds)).unwrap();
        self.world.pass_time(until, false);
    }

    /// What has left since the last time.
    fn left(&mut self) -> Vec<Left> {
        let outgoing = std::mem::take(&mut self.world.outgoing);
        outgoing
            .into_iter()
            .map(|outgoing| {
                let delivery = self.world.webhooks.log.find(outgoing.delivery).unwrap();
                let webhook = &delivery.webhook;
                Left {
                    delivery: outgoing.delivery,
                    kind: webhook.kind,
                    url: outgoing.request.url,
                    method: outgoing.request.method,
                    params: webhook.params.clone(),
                }
            })
            .collect()
    }

    fn answer(&mut self, left: &Left, result: TryResult) {
        let tried =
            Try { at: self.world.now, url: left.url.clone(), result, took_ms: 1, sent_credentials: false };
        webhooks::answered(&mut self.world, left.delivery, tried);
    }

    fn answer_twiml(&mut self, left: &Left, twiml: &str) {
        self.answer(left, answered(200, "text/xml", twiml));
    }

    /// The application hears of what arrives at the number here.
    fn listen(&mut self, url: &str) {
        self.hooks(|hooks| hooks.sms = Some(target(url)));
    }

    fn hooks(&mut self, change: impl FnOnce(&mut numbers::Hooks)) {
        let sid = numbers::find_by_number(&self.world, self.number).unwrap().sid;
        change(&mut self.world.numbers.find_mut(sid).unwrap().hooks);
    }

    /// Somebody texts the number from the phone.
    fn receive(&mut self, body: &str) -> Option<Sid> {
        let (from, to) = (PhoneNumber::parse(PHONE).unwrap(), self.number);
        super::receive(&mut self.world, super::Inbound { from, to, body: body.to_owned(), media: Vec::new() })
    }

    /// What the phone shows, oldest first: `<` before what it got, `>` before what it wrote.
    fn phone(&self) -> Vec<String> {
        let texts = self.world.phones.texts.newest_first().filter(|text| text.phone.to_string() == PHONE);
        texts.rev().map(|text| format!("{} {}", if text.outgoing { '>' } else { '<' }, text.body)).collect()
    }
}

fn answered(status: u16, content_type: &str, body: &str) -> TryResult {
    let body = Bytes::copy_from_slice(body.as_bytes());
    TryResult::Answered(webhooks::Answer {
        status,
        content_type: content_type.to_owned(),
        body,
        ..webhooks::Answer::default()
    })
}

fn target(url: &str) -> Target {
    Target { url: url.to_owned(), method: Method::Post }
}

fn sid_of(resource: &Value) -> String {
    resource["sid"].as_str().unwrap().to_owned()
}
