//! Repetition and paging, over a script in place of the network and with a clock that stands still.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use ringfence_model::{Secret, Sid};
use serde_json::{Value, json};

use super::transport::Exchanging;
use super::*;
use crate::wire::{Account, AccountStatus};

const ACCOUNT: Sid = Sid::new(*b"AC", 1);

/// What happens to one request.
#[derive(Debug, Clone)]
enum Step {
    Answers(u16, Value),
    AnswersAfter(u16, Value, u64),
    PutsOff(u16, u64),
    LosesTheAnswer,
    RefusesTheConnection,
    IsSilent,
}

use Step::*;

#[derive(Debug, Default)]
struct Script {
    steps: Mutex<VecDeque<Step>>,
    targets: Mutex<Vec<String>>,
}

struct Scripted(Arc<Script>);

impl Exchange for Scripted {
    fn exchange(&self, request: Request<Full<Bytes>>, within: Duration) -> Exchanging<'_> {
        self.0.targets.lock().unwrap().push(request.uri().to_string());
        let step = self.0.steps.lock().unwrap().pop_front().expect("no more requests are expected");
        Box::pin(async move {
            let (host, why) = (String::new(), String::new());
            let answer = |status, body: &Value, retry_after| {
                Ok(Answer { status, retry_after, date: None, body: Bytes::from(body.to_string()) })
            };
            match step {
                Answers(status, body) => answer(status, &body, None),
                AnswersAfter(status, body, seconds) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    answer(status, &body, None)
                }
                PutsOff(status, seconds) => answer(status, &json!({}), Some(Duration::from_secs(seconds))),
                LosesTheAnswer => Err(Problem::NoAnswer { host, why }),
                RefusesTheConnection => Err(Problem::Unreachable { host, why }),
                IsSilent => {
                    tokio::time::sleep(within).await;
                    Err(Problem::NoAnswer { host, why })
                }
            }
        })
    }
}

/// Draws the longest pause.
struct Longest;

impl Jitter for Longest {
    fn draw(&self) -> u32 {
        u32::MAX
    }
}

fn client(base: &str, steps: impl IntoIterator<Item = Step>) -> (Client, Arc<Script>) {
    let script = Arc::new(Script { steps: Mutex::new(steps.into_iter().collect()), ..Script::default() });
    let settings = Settings {
        base: base.parse().unwrap(),
        timeout: Duration::from_secs(10),
        deadline: Duration::from_secs(30),
        backoff: Backoff { tries: 4, pause_first: Duration::from_secs(1), pause_max: Duration::from_secs(8) },
        jitter: Arc::new(Longest),
        ..Settings::default()
    };
    let credentials = Credentials::auth_token(ACCOUNT, Secret::new("token"));
    (Client::over(Box::new(Scripted(Arc::clone(&script))), settings, credentials).unwrap(), script)
}

fn twilio(steps: impl IntoIterator<Item = Step>) -> (Client, Arc<Script>) {
    client("https://api.twilio.com", steps)
}

impl Script {
    fn requests(&self) -> usize {
        assert!(self.steps.lock().unwrap().is_empty(), "fewer requests came than were expected");
        self.targets.lock().unwrap().len()
    }
}

fn account(number: u128) -> Value {
    json!({
        "sid": Sid::new(*b"AC", number).to_string(), "owner_account_sid": ACCOUNT.to_string(),
        "friendly_name": "a", "status": "active", "type": "Full", "uri": "/",
    })
}

fn message() -> NewMessage {
    NewMessage { to: "+14155550100".to_owned(), body: Some("hello".to_owned()), ..NewMessage::default() }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_never_sent_twice_where_the_first_is_in_doubt() {
    for step in [LosesTheAnswer, IsSilent, Answers(500, json!({})), PutsOff(503, 1), Answers(408, json!({}))]
    {
        let (client, script) = twilio([step.clone()]);
        let error = client.messages(ACCOUNT).create(&message()).await.unwrap_err();
        assert_eq!((error.tries, error.carried_out()), (1, CarriedOut::InDoubt), "{step:?}");
        assert_eq!(error.operation, "messages.create");
        assert_eq!(script.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_makes_or_begins_is_repeated_when_in_doubt() {
    let steps = std::iter::repeat_n(Answers(500, json!({})), 7);
    let (client, script) = twilio(steps);
    let call =
        NewCall::new("+14155550100", "+14155550101", Instructions::Url("https://a.example".to_owned()));
    let trigger = NewUsageTrigger {
        callback_url: "https://a.example".to_owned(),
        trigger_value: "50".to_owned(),
        usage_category: "totalprice".to_owned(),
        callback_method: None,
        friendly_name: None,
        recurring: None,
        trigger_by: None,
    };
    assert!(client.calls(ACCOUNT).create(&call).await.is_err());
    assert!(client.calls(ACCOUNT).update(Sid::new(*b"CA", 1), &CallUpdate::default()).await.is_err());
    assert!(client.usage_triggers(ACCOUNT).create(&trigger).await.is_err());
    assert!(client.accounts().create(None).await.is_err());
    assert!(client.keys(ACCOUNT).create(None).await.is_err());
    assert!(client.auth_tokens().create_secondary().await.is_err());
    assert!(client.auth_tokens().promote().await.is_err());
    assert_eq!(script.requests(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_again_after_what_certainly_did_nothing() {
    let sent = json!({ "sid": "SM1", "account_sid": "AC1", "status": "queued", "direction": "outbound-api", "uri": "/" });
    let (client, script) = twilio([RefusesTheConnection, PutsOff(429, 5), Answers(201, sent)]);
    let begin = Instant::now();
    assert_eq!(client.messages(ACCOUNT).create(&message()).await.unwrap().sid, "SM1");
    assert_eq!(script.requests(), 3);
    assert_eq!(begin.elapsed(), Duration::from_secs(1 + 5 + 2), "two pauses of jitter, and the stated one");
}

#[tokio::test(start_paused = true)]
async fn a_suspension_is_asked_for_until_it_is_answered() {
    let (client, script) = twilio([LosesTheAnswer, Answers(503, json!({})), Answers(200, account(2))]);
    client.accounts().set_status(Sid::new(*b"AC", 2), &AccountStatus::Suspended).await.unwrap();
    assert_eq!(script.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_asked_for_again() {
    for status in [302, 400, 401, 403, 404] {
        let (client, script) =
            twilio([Answers(status, json!({ "code": 20_000, "message": "no", "status": status }))]);
        let error = client.accounts().fetch(ACCOUNT).await.unwrap_err();
        assert_eq!((error.status(), error.code(), error.tries), (Some(status), Some(20_000), 1));
        assert_eq!(script.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn tries_and_time_are_bounded() {
    let (client, script) = twilio(std::iter::repeat_n(LosesTheAnswer, 4));
    assert_eq!(client.accounts().fetch(ACCOUNT).await.unwrap_err().tries, 4);
    assert_eq!(script.requests(), 4);

    let begin = Instant::now();
    let (client, script) = twilio(std::iter::repeat_n(IsSilent, 3));
    assert!(client.accounts().fetch(ACCOUNT).await.is_err());
    assert_eq!(script.requests(), 3, "10 s, 1 s, 10 s, 2 s, and the 7 s that are left");
    assert_eq!(begin.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_pause_beyond_the_deadline_is_handed_to_the_caller() {
    let begin = Instant::now();
    let (client, script) = twilio([PutsOff(429, 60)]);
    let error = client.accounts().fetch(ACCOUNT).await.unwrap_err();
    assert_eq!((error.retry_after(), error.fault()), (Some(Duration::from_mins(1)), Fault::Rate));
    assert_eq!((script.requests(), begin.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_try_removed_is_removed() {
    let key = Sid::new(*b"SK", 1);
    let (client, _) = twilio([LosesTheAnswer, Answers(404, json!({}))]);
    assert!(client.keys(ACCOUNT).delete(key).await.is_ok());
    let (client, _) = twilio([Answers(404, json!({}))]);
    assert!(client.keys(ACCOUNT).delete(key).await.unwrap_err().is_not_found());
    let (client, _) = twilio([PutsOff(429, 1), Answers(404, json!({}))]);
    assert!(client.keys(ACCOUNT).delete(key).await.unwrap_err().is_not_found(), "a 429 removed nothing");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_was_carried_out() {
    for (body, why) in [(json!({ "sid": 1 }), Unreadable::WrongShape), (json!([]), Unreadable::WrongShape)] {
        let (client, _) = twilio([Answers(201, body)]);
        let error = client.messages(ACCOUNT).create(&message()).await.unwrap_err();
        assert_eq!(error.problem, Problem::Unreadable { status: 201, why });
        assert_eq!((error.carried_out(), error.fault()), (CarriedOut::Yes, Fault::Twilio));
    }
}

#[tokio::test]
async fn what_is_too_long_is_not_sent() {
    let (client, script) = twilio([]);
    let error = client.pricing().messaging_country(&"X".repeat(70_000)).await.unwrap_err();
    assert_eq!((error.problem, script.requests()), (Problem::TooLong, 0));
}

fn page(number: u128, next: &str) -> Step {
    Answers(200, json!({ "accounts": [account(number)], "next_page_uri": next }))
}

async fn all(client: &Client) -> Result<Vec<Account>, Error> {
    client.accounts().list(&AccountFilter::default()).all().await
}

#[tokio::test(start_paused = true)]
async fn a_list_is_read_over_all_its_pages_and_through_faults() {
    let (client, script) = client(
        "http://127.0.0.1:4010",
        [page(1, "/2010-04-01/Accounts.json?Page=1"), PutsOff(429, 1), page(2, "")],
    );
    let sids: Vec<_> = all(&client).await.unwrap().into_iter().map(|account| account.sid).collect();
    assert_eq!(sids, [Sid::new(*b"AC", 1).to_string(), Sid::new(*b"AC", 2).to_string()]);
    assert_eq!(script.requests(), 3);
    let base = "http://127.0.0.1:4010/api.twilio.com/2010-04-01/Accounts.json";
    let second = format!("{base}?Page=1");
    assert_eq!(*script.targets.lock().unwrap(), [format!("{base}?PageSize=1000"), second.clone(), second]);
}

#[tokio::test]
async fn a_page_on_another_host_is_not_asked_for() {
    for link in ["https://evil.example/2010-04-01/Accounts.json?Page=1", "//evil.example/a", "Accounts.json"]
    {
        let (client, script) = twilio([page(1, link)]);
        assert_eq!(all(&client).await.unwrap_err().problem, Problem::Paging(Paging::Foreign), "{link}");
        assert_eq!(script.requests(), 1);
    }
}

#[tokio::test]
async fn a_list_that_goes_round_in_circles_ends() {
    let next = "/2010-04-01/Accounts.json?Page=1";
    let (client, script) = twilio([page(1, next), page(2, next)]);
    assert_eq!(all(&client).await.unwrap_err().problem, Problem::Paging(Paging::Loop));
    assert_eq!(script.requests(), 2);
    let (client, _) = twilio([page(1, "/2010-04-01/Accounts.json?PageSize=1000")]);
    assert_eq!(all(&client).await.unwrap_err().problem, Problem::Paging(Paging::Loop));
}

#[tokio::test]
async fn a_list_without_end_ends() {
    let pages = (0..10_000).map(|number| page(1, &format!("/2010-04-01/Accounts.json?Page={}", number + 1)));
    let (client, _) = twilio(pages);
    assert_eq!(all(&client).await.unwrap_err().problem, Problem::Paging(Paging::Endless));
}

#[tokio::test]
async fn a_page_of_another_shape_is_an_error_and_not_an_end() {
    for body in [
        json!({}),
        json!({ "accounts": null }),
        json!({ "accounts": [{}] }),
        json!({ "accounts": [], "next_page_uri": 1 }),
    ] {
        let (client, _) = twilio([Answers(200, body.clone())]);
        let problem = Problem::Unreadable { status: 200, why: Unreadable::WrongShape };
        assert_eq!(all(&client).await.unwrap_err().problem, problem, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_where_an_error_stopped_it() {
    let steps = [
        page(1, "/2010-04-01/Accounts.json?Page=1"),
        Answers(401, json!({})),
        AnswersAfter(200, json!({ "accounts": [account(2)], "next_page_uri": null }), 1),
    ];
    let (client, _) = twilio(steps);
    let mut pages = client.accounts().list(&AccountFilter::default()).page_size(1);
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 1);
    assert!(pages.next().await.is_err());
    assert_eq!(pages.next().await.unwrap().unwrap()[0].sid, Sid::new(*b"AC", 2).to_string());
    assert!(pages.next().await.unwrap().is_none());
    assert!(pages.next().await.unwrap().is_none());
}

#[test]
fn no_secret_is_shown() {
    let (client, _) = twilio([]);
    let shown = format!("{client:?} {:?} {:?}", message(), client.shared.settings);
    for secret in ["token", "hello", "4155550100"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
