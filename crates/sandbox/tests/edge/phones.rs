//! What happens on phones: messages with their ends, calls with their words and keys, codes; and usage and faults
//! that a test makes by hand.

use serde_json::{Value, json};

use crate::kit::{Served, start};

const PHONE: &str = "+12025550143";
const PHONE_FORM: &str = "%2B12025550143";
const BROWSER: &str = "Accept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\n";

impl Served {
    fn number(&self) -> String {
        self.sandbox.phone_numbers().remove(0)
    }

    async fn advance(&self, by: &str) {
        self.post("/_sandbox/clock", &json!({ "advance": by }).to_string()).await;
    }

    /// Creates something as the main account, below its own path.
    async fn create(&self, path: &str, form: &str) -> Value {
        let path = format!("/2010-04-01/Accounts/{}/{path}.json", self.sandbox.account_sid());
        let (status, answer) = self.twilio("POST", &path, form).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    async fn text(&self, body: &str) -> Value {
        let from = self.number().replace('+', "%2B");
        self.create("Messages", &format!("From={from}&To={PHONE_FORM}&Body={body}")).await
    }

    /// A call to the phone that carries this TwiML out.
    async fn call(&self, twiml: &str) -> String {
        let from = self.number().replace('+', "%2B");
        let form = format!("From={from}&To={PHONE_FORM}&Twiml={twiml}");
        self.create("Calls", &form).await["sid"].as_str().expect("a SID").to_owned()
    }

    async fn form(&self, action: &str, form: &str) -> u16 {
        self.ask("POST", &format!("/_sandbox/phones/{action}"), BROWSER, form).await.status
    }

    async fn tell_phone(&self, body: &str) {
        let (status, answer) = self.json("PUT", &format!("/_sandbox/phones/{PHONE}"), body).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn thread(&self) -> Vec<Value> {
        let page = self.get(&format!("/_sandbox/phones?number={PHONE_FORM}")).await;
        page["phones"][0]["thread"].as_array().expect("a thread").clone()
    }
}

#[tokio::test]
async fn what_a_call_is_not_ready_for_is_refused() {
    let sandbox = start();
    sandbox.tell_phone(r#"{"behaviour": "by-hand"}"#).await;
    let call = sandbox.call("%3CResponse%3E%3CSay%3EHi%3C%2FSay%3E%3C%2FResponse%3E").await;
    for (path, body, status) in [
        ("answer", "", 409),
        ("keys", r#"{"digits": "1"}"#, 409),
        ("words", r#"{"words": "Hello"}"#, 409),
        ("words", r#"{"words": " "}"#, 400),
        ("hang-up", "", 409),
    ] {
        let (answered, problem) = sandbox.json("POST", &format!("/_sandbox/calls/{call}/{path}"), body).await;
        assert_eq!(answered, status, "{path}: {problem}");
    }
    let (status, _) = sandbox.json("GET", "/_sandbox/calls/CA00000000000000000000000000000001", "").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_text_shows_how_far_it_has_come() {
    let sandbox = start();
    sandbox.text("On+its+way").await;
    let page = sandbox.page("/_sandbox/phones").await;
    assert!(page.contains("On its way") && page.contains("queued"), "{page}");
    assert!(page.contains("bubble in away"), "it has not arrived");
    sandbox.advance("5s").await;
    let page = sandbox.page("/_sandbox/phones").await;
    assert!(page.contains("delivered") && !page.contains("away"), "{page}");
    assert_eq!(page.matches("On its way").count(), 1, "it is there once");
}

#[tokio::test]
async fn a_text_on_its_way_stands_after_what_arrived_in_the_same_second() {
    let sandbox = start();
    sandbox.advance("300ms").await;
    sandbox.text("First").await;
    while sandbox.thread().await[0]["arrived"] != json!(true) {
        sandbox.advance("10ms").await;
    }
    sandbox.text("Second").await;
    let thread = sandbox.thread().await;
    let order: Vec<_> = thread.iter().map(|entry| (entry["body"].as_str(), &entry["arrived"])).collect();
    assert_eq!(order, [(Some("First"), &json!(true)), (Some("Second"), &json!(false))], "{thread:?}");
}

#[tokio::test]
async fn a_text_that_never_arrives_says_why() {
    let sandbox = start();
    sandbox.tell_phone(r#"{"delivery": "unreachable"}"#).await;
    sandbox.text("Nobody+reads+this").await;
    sandbox.advance("5s").await;
    let thread = sandbox.thread().await;
    assert_eq!(thread[0]["status"], json!("undelivered"));
    assert_eq!(thread[0]["error_code"], json!(30003));
    assert_eq!(thread[0]["arrived"], json!(false));
    let page = sandbox.page("/_sandbox/phones").await;
    assert!(page.contains("undelivered 30003"), "{page}");
    sandbox.tell_phone(r#"{"delivery": null}"#).await;
    sandbox.text("This+one+arrives").await;
    sandbox.advance("5s").await;
    assert_eq!(sandbox.thread().await[1]["status"], json!("delivered"));
}

#[tokio::test]
async fn one_thing_told_to_a_phone_leaves_the_other() {
    let sandbox = start();
    sandbox.tell_phone(r#"{"behaviour": "busy"}"#).await;
    sandbox.tell_phone(r#"{"delivery": "lost"}"#).await;
    let (_, both) = sandbox.json("PUT", &format!("/_sandbox/phones/{PHONE}"), "").await;
    assert_eq!(both, json!({ "phone_number": PHONE, "behaviour": "busy", "delivery": "lost" }));
    sandbox.tell_phone(r#"{"behaviour": null}"#).await;
    let (_, one) = sandbox.json("PUT", &format!("/_sandbox/phones/{PHONE}"), "").await;
    assert_eq!(one, json!({ "phone_number": PHONE, "behaviour": null, "delivery": "lost" }));
}

#[tokio::test]
async fn a_call_is_answered_heard_and_pressed_without_a_script() {
    let sandbox = start();
    sandbox.tell_phone(r#"{"behaviour": "by-hand"}"#).await;
    let twiml = "%3CResponse%3E%3CGather+input%3D%22dtmf+speech%22+numDigits%3D%222%22+timeout%3D%22300%22+speechTimeout%3D%221%22\
                 %3E%3CSay%3EPress+%3Cbreak%2F%3Etwo+keys%3C%2FSay%3E%3C%2FGather%3E%3C%2FResponse%3E";
    let call = sandbox.call(twiml).await;
    sandbox.advance("2s").await;
    let page = sandbox.page("/_sandbox/phones").await;
    assert!(page.contains(">Answer</button>") && page.contains(">Decline</button>"), "{page}");
    assert!(!page.contains("value=\"#\""), "no keys before it is answered");

    assert_eq!(sandbox.form("answer", &format!("call={call}")).await, 303);
    sandbox.advance("10s").await;
    let page = sandbox.page("/_sandbox/phones").await;
    assert!(
        page.contains("two keys") && page.contains("value=\"#\"") && page.contains("Say something"),
        "{page}"
    );
    assert_eq!(sandbox.get(&format!("/_sandbox/calls/{call}")).await["waits_for"], json!("keys_or_words"));
    // A program finds it at the phone, where it must press something.
    let phone = &sandbox.get(&format!("/_sandbox/phones?number={PHONE_FORM}")).await["phones"][0];
    assert_eq!(
        (&phone["live"][0]["sid"], &phone["live"][0]["waits_for"]),
        (&json!(call), &json!("keys_or_words"))
    );
    assert_eq!(phone["thread"], json!([]), "{phone}");

    assert_eq!(sandbox.form("keys", &format!("call={call}&digits=7")).await, 303);
    assert_eq!(sandbox.form("hang-up", &format!("call={call}")).await, 303);
    let shown = sandbox.get(&format!("/_sandbox/calls/{call}")).await;
    assert_eq!(shown["status"], json!("completed"));
    let kinds: Vec<_> = shown["lines"].as_array().unwrap().iter().map(|line| line["kind"].clone()).collect();
    assert!(kinds.contains(&json!("said")) && kinds.contains(&json!("pressed")), "{shown}");
    let page = sandbox.page("/_sandbox/phones").await;
    assert!(!page.contains("Hang up") && page.contains("class=\"pressed\""), "{page}");
}

#[tokio::test]
async fn a_call_that_is_declined_is_busy() {
    let sandbox = start();
    sandbox.tell_phone(r#"{"behaviour": "by-hand"}"#).await;
    let call = sandbox.call("%3CResponse%2F%3E").await;
    sandbox.advance("2s").await;
    assert_eq!(sandbox.form("hang-up", &format!("call={call}")).await, 303);
    assert_eq!(sandbox.get(&format!("/_sandbox/calls/{call}")).await["status"], json!("busy"));
}

#[tokio::test]
async fn a_code_is_on_the_phone_and_told_to_tests_until_it_is_used() {
    let sandbox = start();
    let (_, service) = sandbox.twilio("POST", "/verify.twilio.com/v2/Services", "FriendlyName=Owl").await;
    let service = service["sid"].as_str().expect("a SID").to_owned();
    let path = format!("/verify.twilio.com/v2/Services/{service}");
    let form = format!("To={PHONE_FORM}&Channel=sms");
    let (status, answer) = sandbox.twilio("POST", &format!("{path}/Verifications"), &form).await;
    assert_eq!(status, 201, "{answer}");
    let told = sandbox.get(&format!("/_sandbox/verifications?to={PHONE_FORM}")).await;
    let code = told["verifications"][0]["code"].as_str().expect("a code").to_owned();
    sandbox.advance("5s").await;
    assert_eq!(sandbox.thread().await[0]["code"], json!(code));
    let page = sandbox.page("/_sandbox/phones").await;
    assert!(page.contains("Verify code") && page.contains(&format!("<b>{code}</b>")), "{page}");

    let check = format!("To={PHONE_FORM}&Code={code}");
    let (_, checked) = sandbox.twilio("POST", &format!("{path}/VerificationCheck"), &check).await;
    assert_eq!(checked["status"], json!("approved"));
    let told = sandbox.get("/_sandbox/verifications").await;
    assert_eq!(told["verifications"][0]["code"], Value::Null);
    assert_eq!(sandbox.thread().await[0]["code"], Value::Null);
}

#[tokio::test]
async fn usage_that_makes_no_sense_is_refused_by_name() {
    let sandbox = start();
    for (body, says) in [
        ("{}", "category"),
        (r#"{"category": "sms"}"#, "nothing"),
        (r#"{"category": "no-such-thing", "count": 1}"#, "no-such-thing"),
        (r#"{"category": "sms", "price": "much"}"#, "much"),
        (r#"{"category": "sms", "price": [1]}"#, "[1]"),
        (r#"{"category": "sms", "count": -1}"#, "-1"),
        (r#"{"category": "sms", "count": 1, "at": "yesterday"}"#, "yesterday"),
    ] {
        let (status, problem) = sandbox.json("POST", "/_sandbox/usage", body).await;
        assert_eq!(status, 400, "{body}: {problem}");
        assert!(problem["error"].as_str().unwrap().contains(says), "{body}: {problem}");
    }
    let nobody = r#"{"category": "sms", "count": 1, "account": "AC00000000000000000000000000000009"}"#;
    assert_eq!(sandbox.json("POST", "/_sandbox/usage", nobody).await.0, 404);
}

#[tokio::test]
async fn usage_by_hand_is_seen_after_the_lag_and_later_where_a_fault_delays_it() {
    let sandbox = start();
    let seen = async || sandbox.get("/_sandbox/usage").await["accounts"][0]["seen"].clone();
    let book = r#"{"category": "sms-outbound", "count": 100, "price": 0.79}"#;
    let booked = sandbox.post("/_sandbox/usage", book).await;
    assert_eq!(booked["accounts"][0]["spent"], json!("0.79"), "spent at once");
    assert_eq!(seen().await, json!([]), "and seen by nobody");
    sandbox.advance("61s").await;
    let expected = json!({ "category": "sms-outbound", "count": 100, "usage": 100, "price": "0.79" });
    assert!(seen().await.as_array().unwrap().contains(&expected), "{}", seen().await);

    sandbox.post("/_sandbox/faults", r#"{"usage": {"extra_lag_s": 3600}}"#).await;
    sandbox.post("/_sandbox/usage", book).await;
    sandbox.advance("30m").await;
    assert!(seen().await.as_array().unwrap().contains(&expected), "the second is not seen yet");
    let (_, gone) = sandbox.json("DELETE", "/_sandbox/faults", "").await;
    assert_eq!(gone, json!({ "api": [], "webhooks": [] }));
    let twice = json!({ "category": "sms-outbound", "count": 200, "usage": 200, "price": "1.58" });
    assert!(seen().await.as_array().unwrap().contains(&twice), "{}", seen().await);
}

#[tokio::test]
async fn the_snapshot_holds_everything_in_twilios_shapes() {
    let sandbox = start();
    let message = sandbox.text("Hello").await;
    let call = sandbox.call("%3CResponse%3E%3CSay%3EHi%3C%2FSay%3E%3C%2FResponse%3E").await;
    sandbox
        .create("Usage/Triggers", "CallbackUrl=http%3A%2F%2Flocalhost%2F&UsageCategory=sms&TriggerValue=10")
        .await;
    let snapshot = sandbox.get("/_sandbox/snapshot").await;
    assert_eq!(snapshot["messages"][0], message);
    assert_eq!(snapshot["calls"][0]["sid"], json!(call));
    assert_eq!(snapshot["calls_on_phones"][0]["sid"], json!(call));
    assert_eq!(snapshot["usage_triggers"][0]["usage_category"], json!("sms"));
    assert_eq!(snapshot["numbers"].as_array().unwrap().len(), 2);
    for part in [
        "clock",
        "settings",
        "faults",
        "accounts",
        "keys",
        "applications",
        "outgoing_caller_ids",
        "messaging_services",
        "verify_services",
        "sms_geo_permissions",
        "dialing_permissions",
        "usage",
        "events",
        "alerts",
        "media",
        "recordings",
        "verifications",
        "texts",
        "deliveries",
    ] {
        assert!(snapshot.get(part).is_some(), "{part}");
    }
}
