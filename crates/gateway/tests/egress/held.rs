//! Answers of an application that are held to the limits, at a gate beside the egress.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ringfence_breaker::{Limit, Observation, State, Subject, step};
use ringfence_gateway::settings::{Mode, Settings, Twiml};
use ringfence_signature::{Signed, Signer};
use ringfence_store::{BreakerChange, Step};
use ringfence_testkit::{Answer, RawClient, Response, StreamCut, Upstream};

use crate::world::{ACCOUNT, Setup, TOKEN, World, limit, operator, sid, twilio};

pub(crate) const PUBLIC_URL: &str = "https://hooks.example.com";

/// What the application answers.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Where it comes in pieces, as they are made, and without its length.
    pub(crate) stream: Option<Stream>,
}

/// A body in pieces of so many bytes, and what comes after them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) each: usize,
    pub(crate) then: Then,
}

/// What comes after the pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The end.
    Ends,
    /// The connection is cut.
    IsCut,
    /// Nothing, ever.
    Hangs,
    /// Spaces, for ever.
    GoesOn,
}

impl Said {
    pub(crate) fn xml(body: impl Into<Vec<u8>>) -> Self {
        Self::of_type("text/xml", body)
    }

    pub(crate) fn of_type(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status: 200, headers, body: body.into(), stream: None }
    }

    /// The same in pieces.
    pub(crate) fn streamed(self, each: usize, then: Then) -> Self {
        Self { stream: Some(Stream { each, then }), ..self }
    }

    fn answer(self) -> Answer {
        let answer = match self.stream {
            None => Answer::new(self.status, self.body),
            Some(stream) => {
                let (mut pieces, answer) = Answer::streamed(self.status, 1);
                tokio::spawn(async move {
                    for piece in self.body.chunks(stream.each) {
                        if pieces.send_data(Bytes::copy_from_slice(piece)).await.is_err() {
                            return;
                        }
                    }
                    match stream.then {
                        Then::Ends => {}
                        Then::IsCut => pieces.abort(StreamCut),
                        Then::Hangs => std::future::pending().await,
                        Then::GoesOn => {
                            while pieces.send_data(Bytes::from_static(&[b' '; 512])).await.is_ok() {}
                        }
                    }
                });
                answer
            }
        };
        self.headers.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
    }
}

/// A gate with an egress, before an application.
pub(crate) struct Held {
    pub(crate) world: World,
    pub(crate) application: Upstream,
    said: Arc<Mutex<Said>>,
}

impl Held {
    pub(crate) async fn new() -> Self {
        Self::with(vec![limit("daily", "50")], |_| {}).await
    }

    pub(crate) async fn with(limits: Vec<Limit>, change: impl FnOnce(&mut Settings) + 'static) -> Self {
        let said = Arc::new(Mutex::new(Said::xml("<Response/>")));
        let says = Arc::clone(&said);
        let application = Upstream::start(move |_| {
            let said = says.lock().unwrap().clone();
            async move { said.answer() }
        })
        .await;
        let upstream = application.address();
        let setup = Setup {
            limits,
            change: Box::new(move |settings| {
                settings.listen.gate = Some("127.0.0.1:0".parse().unwrap());
                let route = &mut settings.routes[0];
                route.upstream = format!("http://{upstream}").parse().unwrap();
                route.mode = Mode::Enforce;
                route.twiml = Twiml::Limits;
                change(settings);
            }),
            ..Setup::default()
        };
        Self { world: World::before(twilio().await, setup).await, application, said }
    }

    /// Has the application say this from now on.
    pub(crate) fn says(&self, said: Said) {
        *self.said.lock().unwrap() = said;
    }

    /// Twilio asks what to do with a call.
    pub(crate) async fn call(&self, more: &[(&str, &str)]) -> Response {
        self.send(&call(more), &[]).await
    }

    /// Somebody has written.
    pub(crate) async fn text(&self) -> Response {
        self.send(&text(), &[]).await
    }

    pub(crate) async fn send(&self, fields: &[(String, String)], lines: &[&str]) -> Response {
        let request = wire(fields, lines);
        let gate = self.world.gateway.gate_address().unwrap();
        RawClient::connect(gate).await.unwrap().exchange(request).await.unwrap()
    }

    /// The same by GET, where all of it stands in the query.
    pub(crate) async fn get(&self, fields: &[(String, String)]) -> Response {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let url = format!("{PUBLIC_URL}/twilio/voice?{}", query.extend_pairs(fields).finish());
        let request = wire_of(&Signer::token(TOKEN).get(&url), &[]);
        let gate = self.world.gateway.gate_address().unwrap();
        RawClient::connect(gate).await.unwrap().exchange(request).await.unwrap()
    }

    /// The application says this about a call, and Twilio gets the other.
    pub(crate) async fn answer_to_call(&self, said: Said) -> String {
        self.says(said);
        self.call(&[]).await.text().to_owned()
    }

    /// Has a breaker of the account trip, as a limit's does that is reached.
    pub(crate) async fn trip(&self, name: &str) {
        let now = self.world.clock.now();
        let applied = self.world.limits.iter().find(|applied| applied.limit.name == name).unwrap();
        let over = Observation::Usage { at: now, amount: "9999".parse().unwrap() };
        let (state, _) = step(&applied.limit, State::new(&applied.limit, now), &over, now);
        let change = BreakerChange {
            limit: name.to_owned(),
            subject: Subject::Account(sid(ACCOUNT)).to_string(),
            version: 0,
            state: serde_json::to_value(state).unwrap(),
            audit: None,
            seen: None,
        };
        let step = Step { changes: vec![change], ..Step::default() };
        self.world.store.step(&operator(), step, now).await.unwrap();
    }

    /// How often answers came to this.
    pub(crate) async fn outcomes(&self, outcome: &str) -> u64 {
        let name = format!("ringfence_twiml_answers_total{{route=\"/twilio/\",outcome=\"{outcome}\"}}");
        self.world.metric(&name).await
    }
}

pub(crate) const OVER: &str =
    "<Response><Say>We are sorry, this call cannot go on. Goodbye.</Say><Hangup/></Response>";
pub(crate) const REJECT: &str = "<Response><Reject reason=\"busy\"/></Response>";

/// A call that goes on. Each has an occasion of its own.
pub(crate) fn call(more: &[(&str, &str)]) -> Vec<(String, String)> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let call = format!("CA{:032x}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut fields = vec![
        ("AccountSid", ACCOUNT),
        ("CallSid", &*call),
        ("CallStatus", "in-progress"),
        ("Direction", "inbound"),
        ("From", "+14155550177"),
        ("To", "+14155550100"),
    ];
    for (name, value) in more {
        fields.retain(|(field, _)| field != name);
        fields.push((name, value));
    }
    owned(&fields)
}

/// A text that comes in, each of its own.
pub(crate) fn text() -> Vec<(String, String)> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let message = format!("SM{:032x}", NUMBER.fetch_add(1, Ordering::Relaxed));
    owned(&[
        ("AccountSid", ACCOUNT),
        ("MessageSid", &message),
        ("SmsMessageSid", &message),
        ("Body", "hello"),
        ("From", "+14155550177"),
        ("To", "+14155550100"),
    ])
}

/// `TaskRouter` asks what to do with a task that waits in a call, each a reservation of its own.
pub(crate) fn assignment(more: &[(&str, &str)]) -> Vec<(String, String)> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let (reservation, task) = (format!("WR{number:032x}"), format!("WT{number:032x}"));
    let mut fields = vec![
        ("AccountSid", ACCOUNT),
        ("WorkspaceSid", "WS00000000000000000000000000000001"),
        ("WorkflowSid", "WW00000000000000000000000000000001"),
        ("TaskQueueSid", "WQ00000000000000000000000000000001"),
        ("WorkerSid", "WK00000000000000000000000000000001"),
        ("TaskSid", &*task),
        ("ReservationSid", &*reservation),
        ("WorkerAttributes", r#"{"contact_uri":"+14155550123"}"#),
        ("TaskAttributes", r#"{"call_sid":"CA00000000000000000000000000000001","to":"+14155550100"}"#),
        ("TaskAge", "2"),
        ("TaskPriority", "0"),
    ];
    for (name, value) in more {
        fields.retain(|(field, _)| field != name);
        fields.push((name, value));
    }
    owned(&fields)
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A webhook that Twilio has signed, with further header lines.
pub(crate) fn wire(fields: &[(String, String)], lines: &[&str]) -> Vec<u8> {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    wire_of(&Signer::token(TOKEN).form(&format!("{PUBLIC_URL}/twilio/voice"), fields), lines)
}

fn wire_of(signed: &Signed, lines: &[&str]) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\nHost: hooks.example.com\r\n", signed.method, signed.target());
    for (name, value) in &signed.headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.extend(["Content-Length: ", &signed.body.len().to_string(), "\r\n\r\n"]);
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&signed.body);
    bytes
}
