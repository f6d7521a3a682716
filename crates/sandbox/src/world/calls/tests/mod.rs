//! Calls as an application meets them: requests to the API, webhooks that leave and are answered, time that passes.

mod any;
mod dial;
mod life;
mod money;
mod recordings;
mod refusals;
mod twiml;

use std::collections::HashMap;

use bytes::Bytes;
use jiff::SignedDuration;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::Form;
use serde_json::Value;

use crate::api::{self, Base, Incoming, Reply, Router};
use crate::settings::{PhoneBehaviour, Settings};
use crate::world::calls::{self, Call, LineKind};
use crate::world::testing::{at, world_of};
use crate::world::webhooks::{self, Method, Target, Try, TryResult};
use crate::world::{World, numbers};

/// A phone of the world outside.
const PHONE: &str = "+12025550123";
/// Another.
const OTHER: &str = "+12065550188";

/// A world whose time stands still, an application that answers what a test says, and the API before it.
struct Stage {
    world: World,
    router: Router,
    main: Sid,
    token: String,
    /// The main account's first number.
    number: PhoneNumber,
    /// What the application answers, by URL: status, content type, body. An answer is used up unless it is the last.
    answers: HashMap<String, Vec<(u16, &'static str, String)>>,
    /// What was asked and told, in order.
    seen: Vec<Seen>,
}

/// A webhook that left.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    kind: &'static str,
    url: String,
    method: Method,
    params: Vec<(&'static str, String)>,
}

impl Seen {
    fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(it, _)| *it == name).map_or("", |(_, value)| value)
    }

    fn has(&self, name: &str) -> bool {
        self.params.iter().any(|(it, _)| *it == name)
    }
}

/// How a request ended: the body, or HTTP status and code.
type Answer = Result<Value, (u16, u32)>;

impl Stage {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    /// A world whose phones do this when they ring.
    fn phones(phones: PhoneBehaviour) -> Self {
        let mut settings = Settings::default();
        settings.calls.phones = phones;
        Self::with(settings)
    }

    fn with(settings: Settings) -> Self {
        let world = world_of(7, at("2026-11-25T12:00:00Z"), settings);
        let main = world.accounts.main();
        let token = world.accounts.find(main).unwrap().auth_token.clone();
        let number = world.numbers.of(main).next_back().unwrap().phone_number;
        let router = Router::new(api::operations());
        Self { world, router, main, token, number, answers: HashMap::new(), seen: Vec::new() }
    }

    fn raw(
        &mut self,
        credentials: impl Into<Option<(Sid, String)>>,
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
            credentials: credentials.into().map(|(user, password)| (user.to_string(), password)),
            base: Base::Own("http://127.0.0.1:4010".to_owned()),
        };
        api::handle(&self.router, &mut self.world, incoming)
            .map_err(|refusal| (refusal.error.status, refusal.error.code))
    }

    fn main_credentials(&self) -> (Sid, String) {
        (self.main, self.token.clone())
    }

    /// A request about one of the main account's things.
    fn request(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let path = format!("/2010-04-01/Accounts/{}/{path}", self.main);
        let reply = self.raw(self.main_credentials(), method, &path, fields)?;
        Ok(serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
    }

    /// `POST Calls.json`, from the main account's number unless the fields say otherwise.
    fn create(&mut self, fields: &[(&str, &str)]) -> Answer {
        let from = self.number.to_string();
        let mut all = vec![("To", PHONE), ("From", from.as_str())];
        for (name, value) in fields {
            if fields.iter().filter(|(other, _)| other == name).count() == 1 {
                all.retain(|(other, _)| other != name);
            }
            all.push((name, value));
        }
        all.retain(|(_, value)| *value != ABSENT);
        self.request("POST", "Calls.json", &all)
    }

    /// A new call that carries this TwiML out, asked for at `https://app.example/voice`.
    fn call(&mut self, twiml: &str) -> Sid {
        self.app("/voice", twiml);
        let call = self.create(&[("Url", "https://app.example/voice")]).unwrap();
        sid(&call)
    }

    /// The application answers this at a path.
    fn app(&mut self, path: &str, twiml: &str) {
        self.app_says(path, 200, "text/xml", twiml);
    }

    fn app_says(&mut self, path: &str, status: u16, content_type: &'static str, body: &str) {
        let url = format!("https://app.example{path}");
        self.answers.entry(url).or_default().push((status, content_type, body.to_owned()));
    }

    /// Calls to the main account's number are answered at `https://app.example/in`.
    fn answer_calls_with(&mut self, twiml: &str) {
        self.app("/in", twiml);
        let target = Target { url: "https://app.example/in".to_owned(), method: Method::Post };
        let main = self.main;
        let number = self.world.numbers.of(main).next_back().unwrap().sid;
        self.world.numbers.find_mut(number).unwrap().hooks.voice = Some(target);
    }

    /// Time passes; webhooks are answered at once.
    fn pass_ms(&mut self, milliseconds: i64) {
        self.settle();
        let until = self.world.now.checked_add(SignedDuration::from_millis(milliseconds)).unwrap();
        loop {
            self.world.pass_time(until, true);
            if self.world.outgoing.is_empty() && self.world.now >= until {
                return;
            }
            self.settle();
        }
    }

    fn pass_s(&mut self, seconds: i64) {
        self.pass_ms(seconds * 1000);
    }

    fn settle(&mut self) {
        while !self.world.outgoing.is_empty() {
            for outgoing in std::mem::take(&mut self.world.outgoing) {
                let webhook = self.world.webhooks.log.find(outgoing.delivery).unwrap().webhook.clone();
                let url = webhook.target.url.split('#').next().unwrap().to_owned();
                let (status, content_type, body) = match self.answers.get_mut(&url) {
                    Some(answers) if answers.len() > 1 => answers.remove(0),
                    Some(answers) => answers[0].clone(),
                    None => (404, "text/plain", "not found".to_owned()),
                };
                let Target { method, .. } = webhook.target;
                self.seen.push(Seen { kind: webhook.kind, url, method, params: webhook.params });
                let content_type = content_type.to_owned();
                let result = TryResult::Answered(webhooks::Answer {
                    status,
                    content_type,
                    body: Bytes::from(body),
                    ..webhooks::Answer::default()
                });
                let url = outgoing.request.url;
                let tried = Try { at: self.world.now, url, result, took_ms: 1, sent_credentials: false };
                webhooks::answered(&mut self.world, outgoing.delivery, tried);
            }
        }
    }

    fn found(&self, call: Sid) -> &Call {
        self.world.calls.find(call).unwrap()
    }

    fn status(&self, call: Sid) -> String {
        self.found(call).status().as_str().to_owned()
    }

    fn fetch(&mut self, call: Sid) -> Value {
        self.request("GET", &format!("Calls/{call}.json"), &[]).unwrap()
    }

    fn update(&mut self, call: Sid, fields: &[(&str, &str)]) -> Answer {
        self.request("POST", &format!("Calls/{call}.json"), fields)
    }

    /// What was said on a call, in order.
    fn said(&self, call: Sid) -> Vec<&str> {
        self.lines(call, LineKind::Said)
    }

    fn lines(&self, call: Sid, kind: LineKind) -> Vec<&str> {
        self.found(call)
            .lines
            .iter()
            .filter(|line| line.kind == kind)
            .map(|line| line.text.as_str())
            .collect()
    }

    /// Whether a note on a call contains this.
    fn noted(&self, call: Sid, text: &str) -> bool {
        self.lines(call, LineKind::Note).iter().any(|note| note.contains(text))
    }

    /// The webhooks of a kind that left, in order.
    fn seen(&self, kind: &str) -> Vec<&Seen> {
        self.seen.iter().filter(|seen| seen.kind == kind).collect()
    }

    fn last(&self, kind: &str) -> &Seen {
        self.seen(kind).last().unwrap_or_else(|| panic!("no {kind} left"))
    }

    /// The statuses that were told at a path.
    fn told(&self, path: &str) -> Vec<String> {
        let url = format!("https://app.example{path}");
        let told = self.seen("call-status").into_iter().filter(|seen| seen.url == url);
        told.map(|seen| seen.param("CallStatus").to_owned()).collect()
    }

    fn receive(&mut self) -> Sid {
        let number = self.number;
        let call = calls::receive(&mut self.world, phone(PHONE), number).unwrap();
        self.settle();
        call
    }

    fn behaves(&mut self, number: &str, behaviour: PhoneBehaviour) {
        self.world.phones.set_behaviour(phone(number), Some(behaviour));
    }

    fn press(&mut self, call: Sid, keys: &str) {
        assert!(calls::press(&mut self.world, call, keys));
        self.settle();
    }

    /// The one call whose `Dial` made it.
    fn leg_of(&self, parent: Sid) -> Sid {
        let mut legs = self.world.calls.newest_first().filter(|call| call.parent == Some(parent));
        let leg = legs.next().unwrap().sid;
        assert!(legs.next().is_none(), "more than one leg");
        leg
    }

    fn buy(&mut self, account: Sid) -> PhoneNumber {
        let number = numbers::free_number(&mut self.world, "+1415555");
        numbers::buy(&mut self.world, account, number);
        number
    }
}

/// In the place of a value: the parameter is left out.
const ABSENT: &str = "(absent)";

fn sid(value: &Value) -> Sid {
    Sid::parse(value["sid"].as_str().unwrap()).unwrap()
}

fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).unwrap()
}
