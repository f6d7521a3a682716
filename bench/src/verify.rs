//! Nanoseconds for one request in process, against the floor: one HMAC-SHA1 of the same canonical bytes with the key's
//! state kept, which is what any verifier must at least do.
//!
//! 256 different requests are gone through in turn, so that neither a branch predictor nor a cache line learns one of
//! them by heart. The cases take turns in short rounds; each figure is the median of its rounds.

use crate::Outcome;
use crate::arguments::Arguments;
use crate::gate::median;
use crate::webhook::{ACCOUNT, Kind, PUBLIC_URL, Parts, TOKEN, Writer, keyed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;
use ringfence_signature::{
    AccountKeys, AccountSid, Keyring, Policy, PublicUrl, Request, Scratch, Strict, Verdict, verify,
};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

const POOL: usize = 256;

/// `verify [--rounds N] [--millis N]`: `millis` for each round of each case.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let rounds = arguments.number("rounds", 21)?;
    let millis = arguments.number("millis", 20)?;
    let requests = Requests::new()?;
    let sms = &requests.genuine[0];
    println!("SMS: body of {} bytes, canonical string of {} bytes\n", sms.body.len(), sms.canonical.len());
    println!("| what | ns a request | × its floor | goal |\n| --- | --- | --- | --- |");
    let figures = contest(cases(&requests), rounds, Duration::from_millis(millis))?;
    for Figure { name, nanos, floor, goal } in &figures {
        let floor = figures.iter().find(|other| other.name == *floor).map_or(f64::NAN, |floor| floor.nanos);
        println!("| {name} | {nanos:.0} | {:.2} | {goal} |", nanos / floor);
    }
    Ok(())
}

/// Parse and verify of a genuine and of a forged SMS, in nanoseconds: what `official` puts beside the libraries.
pub(crate) fn genuine_and_forged(requests: &Requests) -> Outcome<(f64, f64)> {
    let wanted = [GENUINE, FORGED];
    let cases = cases(requests).into_iter().filter(|case| wanted.contains(&case.name)).collect();
    let figures = contest(cases, 11, Duration::from_millis(20))?;
    Ok((figures[0].nanos, figures[1].nanos))
}

const FLOOR: &str = "bare HMAC-SHA1 of the canonical bytes (floor)";
const GENUINE: &str = "genuine SMS, parse and verify, strict off";
const FORGED: &str = "forged SMS, all candidates tried";
const JSON_FLOOR: &str = "bare SHA-256 of the body + HMAC-SHA1 of the URL (JSON floor)";

struct Case<'a> {
    name: &'static str,
    /// The name of the case that this one is divided by.
    floor: &'static str,
    goal: &'static str,
    /// Handles request `n` of the pool; false when the verdict is not the one deserved.
    once: Box<dyn FnMut(usize) -> bool + 'a>,
}

fn cases(requests: &Requests) -> Vec<Case<'_>> {
    let Requests { genuine, forged, json, one_token, two_tokens, .. } = requests;
    let (key, json_key) = (keyed(TOKEN), keyed(TOKEN));
    let bare = move |n: usize| {
        black_box(key.clone().chain_update(&genuine[n].canonical).finalize());
        true
    };
    let bare_json = move |n: usize| {
        black_box(Sha256::digest(&json[n].body));
        black_box(json_key.clone().chain_update(&json[n].canonical).finalize());
        true
    };
    let case = |name, floor, goal, once| Case { name, floor, goal, once };
    let genuine_of = |strict| requests.judge(genuine, one_token, strict, true);
    vec![
        case(FLOOR, FLOOR, "", Box::new(bare)),
        case(GENUINE, FLOOR, "≤ 3", genuine_of(Strict::Off)),
        case("genuine SMS, parse and verify, strict", FLOOR, "≤ 3", genuine_of(Strict::Refuse)),
        case(FORGED, FLOOR, "≤ 6", requests.judge(forged, one_token, Strict::Refuse, false)),
        case(
            "forged SMS, all candidates tried with two tokens",
            FLOOR,
            "",
            requests.judge(forged, two_tokens, Strict::Refuse, false),
        ),
        case(JSON_FLOOR, JSON_FLOOR, "", Box::new(bare_json)),
        case(
            "genuine JSON event, verify",
            JSON_FLOOR,
            "≤ 3",
            requests.judge(json, one_token, Strict::Refuse, true),
        ),
    ]
}

/// The pools and the keys they are judged with.
pub(crate) struct Requests {
    public_url: PublicUrl,
    pub(crate) genuine: Vec<Parts>,
    pub(crate) forged: Vec<Parts>,
    json: Vec<Parts>,
    one_token: Keyring,
    two_tokens: Keyring,
}

impl Requests {
    pub(crate) fn new() -> Outcome<Self> {
        let pool = |forged_share| {
            let mut writer = Writer::new(Kind::Sms, TOKEN, PUBLIC_URL, forged_share, false);
            (0..POOL).map(|_| writer.next_parts()).collect()
        };
        let account = AccountSid::parse(ACCOUNT.as_bytes()).ok_or("the account of the bench is no SID")?;
        let keys = || AccountKeys::new(account).primary(TOKEN);
        Ok(Self {
            public_url: PublicUrl::parse(PUBLIC_URL).map_err(|error| error.to_string())?,
            genuine: pool(0.0),
            forged: pool(1.0),
            json: (0..POOL).map(json_event).collect(),
            one_token: Keyring::new([keys()]).map_err(|error| error.to_string())?,
            two_tokens: Keyring::new([keys().previous("fedcba9876543210fedcba9876543210")])
                .map_err(|error| error.to_string())?,
        })
    }

    fn judge<'a>(
        &'a self,
        pool: &'a [Parts],
        keyring: &'a Keyring,
        strict: Strict,
        deserved: bool,
    ) -> Box<dyn FnMut(usize) -> bool + 'a> {
        let policy = Policy { strict, ..Policy::default() };
        let mut scratch = Scratch::default();
        Box::new(move |n| {
            let parts = &pool[n];
            let request = Request {
                method: "POST",
                url: self.public_url.receive(parts.target.as_bytes()),
                websocket: false,
                content_type: Some(parts.content_type.as_bytes()),
                body: &parts.body,
                signature: Some(&parts.signature),
                settings: None,
            };
            let verdict = verify(black_box(&request), keyring, &policy, &mut scratch);
            matches!(verdict, Verdict::Allow(_)) == deserved
        })
    }
}

/// An event of about 600 bytes, as Event Streams sends it to a webhook.
fn json_event(n: usize) -> Parts {
    let body = format!(
        "[{{\"specversion\":\"1.0\",\"type\":\"com.twilio.messaging.message.delivered\",\"source\":\"/2010-04-01/Accounts/\
         {ACCOUNT}/Messages/SM{n:032x}.json\",\"id\":\"EZ{n:032x}\",\"dataschema\":\
         \"https://events-schemas.twilio.com/Messaging.MessageStatus/4\",\"datacontenttype\":\"application/json\",\
         \"time\":\"2026-11-23T17:00:00.000Z\",\"data\":{{\"timestamp\":\"2026-11-23T17:00:00.000Z\",\"messageStatus\":\
         \"DELIVERED\",\"accountSid\":\"{ACCOUNT}\",\"messageSid\":\"SM{n:032x}\",\"messagingServiceSid\":\
         \"MG0123456789abcdef0123456789abcdef\"}}}}]"
    )
    .into_bytes();
    let mut target = "/twilio/events?bodySHA256=".to_owned();
    for byte in Sha256::digest(&body) {
        write!(target, "{byte:02x}").expect("a String takes any text");
    }
    let canonical = format!("{PUBLIC_URL}{target}").into_bytes();
    let signature =
        STANDARD.encode(keyed(TOKEN).chain_update(&canonical).finalize().into_bytes()).into_bytes();
    Parts { target, content_type: "application/json", body, signature, canonical }
}

struct Figure {
    name: &'static str,
    floor: &'static str,
    goal: &'static str,
    nanos: f64,
}

/// Each case in turn for `time`, `rounds` times over. A wrong verdict ends the measurement.
fn contest(mut cases: Vec<Case<'_>>, rounds: usize, time: Duration) -> Outcome<Vec<Figure>> {
    let mut figures: Vec<Vec<f64>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (case, figures) in cases.iter_mut().zip(&mut figures) {
            let started = Instant::now();
            let mut passes = 0;
            while started.elapsed() < time {
                if !(0..POOL).all(&mut case.once) {
                    return Err(format!("WRONG: {} had another verdict than it deserved", case.name).into());
                }
                passes += 1;
            }
            figures.push(started.elapsed().as_nanos() as f64 / (passes * POOL) as f64);
        }
    }
    let named = cases.iter().zip(figures);
    Ok(named
        .map(|(case, figures)| Figure {
            name: case.name,
            floor: case.floor,
            goal: case.goal,
            nanos: median(figures.into_iter()),
        })
        .collect())
}
