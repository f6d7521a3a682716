//! No request, however odd, gets a 5xx, an answer that is not of Twilio's shape, or no answer.
//!
//! Each request begins as one that an operation wants, as Twilio's documents describe it, and is then spoiled: its
//! method, host, path, credentials, parameters. Many stay good enough to be carried out, so the world fills up with
//! odd things, and time passes over them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    reason = "the helpers of tests may fail like tests, and need not be quick"
)]

#[path = "../actor/mod.rs"]
mod actor;
mod odd;

use std::collections::BTreeMap;

use ringfence_sandbox::{Settings, operations};
use ringfence_testkit::Response;
use serde_json::Value;

use actor::{Actor, Request, basic};
use odd::{Dice, Shape};

const REQUESTS: usize = 8_000;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_however_odd_gets_a_500_or_an_answer_that_is_not_twilios() {
    let mut actor = Actor::start(Settings { usage_lag_s: 0, ..Settings::default() }).await;
    let shapes: Vec<Shape> = operations().map(odd::shape).collect();
    let mut dice = Dice(0x5eed);
    let mut pool = Pool::default();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for turn in 0..REQUESTS {
        let request = odd::request(&mut dice, &shapes, &actor, &pool.sids);
        let response = actor.send(&request).await;
        if let Err(problem) = judge(&request, &response) {
            panic!("{problem}\n{request:?}\n{} {}", response.status, String::from_utf8_lossy(&response.body));
        }
        *statuses.entry(response.status).or_default() += 1;
        pool.learn(&mut dice, &response);
        if turn % 400 == 0 {
            actor.advance([1, 30, 300, 3600, 86_400][dice.roll(5)]).await;
        }
    }
    // An attack that everything turns away at the door would prove nothing.
    let good: usize = statuses.range(200..300).map(|(_, count)| count).sum();
    assert!(good > REQUESTS / 10 && statuses.contains_key(&404), "{statuses:?}");

    actor.advance(400 * 86_400).await;
    let sid = actor.sid.clone();
    let token = actor.sandbox.auth_token(actor.sandbox.account_sid()).unwrap();
    let mut sane = actor.request(
        "POST",
        "api",
        &format!("/2010-04-01/Accounts/{sid}/Messages.json"),
        &[("From", "+15005550006"), ("To", "+14155550100"), ("Body", "Still there?")],
    );
    sane.headers = vec![basic(&sid, &token)];
    let response = actor.send(&sane).await;
    assert_eq!(response.status, 201, "{}", response.text());
}

fn is_uri(target: &str) -> bool {
    target.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"\\^`{|}#".contains(&byte))
}

/// What is wrong with an answer.
fn judge(request: &Request, response: &Response) -> Result<(), String> {
    let content_type = response.header("content-type").unwrap_or_default();
    let is_json = content_type == "application/json";
    match response.status {
        // A target that no URI may be (RFC 3986) is turned away by the HTTP library, before Twilio's API begins.
        400 if response.body.is_empty() && !is_uri(&request.target) => Ok(()),
        _ if request.method == "HEAD" && response.status < 500 => Ok(()),
        204 if response.body.is_empty() => Ok(()),
        200..=202 if is_json => parse(response).map(drop),
        200 if content_type.starts_with("audio/") || content_type.starts_with("image/") => Ok(()),
        302 | 307 if response.header("location").is_some() => Ok(()),
        400..=499 if is_json => {
            let error = parse(response)?;
            let fits = error["code"].as_u64().is_some_and(|code| code >= 10_000)
                && error["status"] == response.status
                && error["message"]
                    .as_str()
                    .is_some_and(|message| !message.is_empty() && message.len() < 2_000)
                && error["more_info"]
                    .as_str()
                    .is_some_and(|url| url.starts_with("https://www.twilio.com/docs/errors/"));
            if fits { Ok(()) } else { Err("the error has not Twilio's shape".to_owned()) }
        }
        _ => Err("such an answer must not be".to_owned()),
    }
}

fn parse(response: &Response) -> Result<Value, String> {
    serde_json::from_slice(&response.body).map_err(|error| format!("the body is no JSON: {error}"))
}

/// SIDs that the sandbox told, so that later requests name what is there.
#[derive(Default)]
struct Pool {
    sids: Vec<String>,
}

impl Pool {
    fn learn(&mut self, dice: &mut Dice, response: &Response) {
        const MOST: usize = 400;
        let Ok(body) = serde_json::from_slice::<Value>(&response.body) else { return };
        for sid in ["sid", "call_sid", "auth_token"].iter().filter_map(|name| body[name].as_str()) {
            if self.sids.len() < MOST {
                self.sids.push(sid.to_owned());
            } else {
                sid.clone_into(&mut self.sids[dice.roll(MOST)]);
            }
        }
    }
}
