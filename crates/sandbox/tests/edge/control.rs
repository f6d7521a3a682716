//! The control API: refusals by name, then what it does.

use ringfence_sandbox::SandboxOptions;
use serde_json::json;

use crate::kit::{start, start_with};

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_name() {
    let sandbox = start();
    for (method, target, body, status, says) in [
        ("POST", "/_sandbox/clock", "{", 400, "no JSON"),
        ("POST", "/_sandbox/clock", "[]", 400, "JSON object"),
        ("POST", "/_sandbox/clock", "{}", 400, "advance"),
        ("POST", "/_sandbox/clock", r#"{"advance": "60"}"#, 400, "no unit"),
        ("POST", "/_sandbox/clock", r#"{"advance": 60}"#, 400, "`advance` is 60, but must be text"),
        ("POST", "/_sandbox/clock", r#"{"advance": "1s", "to": "2026-02-01T00:00:00Z"}"#, 400, "either"),
        ("POST", "/_sandbox/clock", r#"{"advanec": "1s"}"#, 400, "advanec"),
        ("POST", "/_sandbox/clock", r#"{"advance": "9999999d"}"#, 400, "ten years"),
        ("POST", "/_sandbox/clock", r#"{"to": "tomorrow"}"#, 400, "tomorrow"),
        ("POST", "/_sandbox/clock", r#"{"to": "2025-01-01T00:00:00Z"}"#, 409, "does not go back"),
        ("PATCH", "/_sandbox/settings", r#"{"usage_lag": 1}"#, 400, "usage_lag"),
        (
            "PATCH",
            "/_sandbox/settings",
            r#"{"messages": {"delivery": 1}}"#,
            400,
            "did you mean `delivery_ms`?",
        ),
        (
            "PATCH",
            "/_sandbox/settings",
            r#"{"messages": {"price_ms": -1}}"#,
            400,
            "`messages.price_ms` is -1",
        ),
        ("PATCH", "/_sandbox/settings", r#"{"keep": {"texts": "all"}}"#, 400, "`keep.texts` is \"all\""),
        ("PATCH", "/_sandbox/settings", r#"{"calls": {"phones": "bussy"}}"#, 400, "did you mean \"busy\"?"),
        ("PATCH", "/_sandbox/settings", r#"{"usage_lag_s": 18446744073709551615}"#, 400, "ten years"),
        ("PATCH", "/_sandbox/settings", r#"{"verify": {"ttl_s": 999999999999}}"#, 400, "`verify.ttl_s`"),
        ("PATCH", "/_sandbox/settings", r#"{"messages": 1}"#, 400, "`messages` is 1, but must be an object"),
        ("PATCH", "/_sandbox/settings", r#"{"trigger_interval_s": 0}"#, 400, "trigger_interval_s"),
        ("PATCH", "/_sandbox/settings", r#"{"suspended": {"status": 200}}"#, 400, "suspended.status"),
        ("POST", "/_sandbox/faults", r#"{"api": [{"times": 1}]}"#, 400, "`api[0]` does nothing"),
        ("POST", "/_sandbox/faults", r#"{"api": [{"status": 503}, {"status": 99}]}"#, 400, "`api[1].status`"),
        ("POST", "/_sandbox/faults", r#"{"api": [{"status": "503"}]}"#, 400, "`api[0].status` is \"503\""),
        ("POST", "/_sandbox/faults", r#"{"api": [{"methd": "GET"}]}"#, 400, "did you mean `method`?"),
        (
            "POST",
            "/_sandbox/faults",
            r#"{"webhooks": [{"kind": "mesage", "lose": true}]}"#,
            400,
            "\"message\"?",
        ),
        ("POST", "/_sandbox/faults", r#"{"usage": {"frozen_until": "noon"}}"#, 400, "`usage.frozen_until`"),
        ("POST", "/_sandbox/faults", r#"{"usage": {"extra_lag_s": 999999999999}}"#, 400, "ten years"),
        ("POST", "/_sandbox/faults", r#"{"api": [{"status": 200}]}"#, 400, "no error"),
        ("POST", "/_sandbox/faults", r#"{"webhooks": [{"lost": true}]}"#, 400, "lost"),
        ("POST", "/_sandbox/messages", r#"{"from": "+12025550143"}"#, 400, "`to`"),
        ("POST", "/_sandbox/messages", r#"{"from": "x", "to": "+1", "body": "Hi"}"#, 400, "`from`"),
        (
            "POST",
            "/_sandbox/messages",
            r#"{"from": "+12025550143", "to": "+12025550199", "body": "Hi"}"#,
            404,
            "no account owns",
        ),
        ("POST", "/_sandbox/messages", r#"{"from": "+12025550143", "to": "+12025550199"}"#, 400, "`body`"),
        (
            "POST",
            "/_sandbox/messages",
            r#"{"from": "+12025550143", "to": "+12025550199", "media": ["javascript:alert(1)"]}"#,
            400,
            "no URL of the web",
        ),
        (
            "POST",
            "/_sandbox/calls",
            r#"{"from": "+12025550143", "to": "+12025550199"}"#,
            404,
            "no account owns",
        ),
        (
            "POST",
            "/_sandbox/calls/CA00000000000000000000000000000001/keys",
            r#"{"digits": "1"}"#,
            409,
            "no call in progress",
        ),
        (
            "POST",
            "/_sandbox/calls/CA00000000000000000000000000000001/keys",
            r#"{"digits": "a"}"#,
            400,
            "`digits`",
        ),
        ("POST", "/_sandbox/calls/nothing/answer", "", 404, "no call"),
        ("PUT", "/_sandbox/phones/nobody", r#"{"behaviour": "busy"}"#, 400, "`number`"),
        ("PUT", "/_sandbox/phones/+12025550143", r#"{"behaviour": "lazy"}"#, 400, "lazy"),
        ("PUT", "/_sandbox/phones/+12025550143", r#"{"delivery": "late"}"#, 400, "late"),
        ("DELETE", "/_sandbox/phones/+12025550143", "", 404, "not added"),
        ("GET", "/_sandbox/deliveries?state=gone", "", 400, "gone"),
        ("GET", "/_sandbox/deliveries?colour=red", "", 400, "`colour` is not known"),
        ("GET", "/_sandbox/deliveries?limit=many", "", 400, "`limit` must be a whole number"),
        ("GET", "/_sandbox/deliveries?kind=mesage", "", 400, "did you mean \"message\"?"),
        ("GET", "/_sandbox/deliveries/WH00000000000000000000000000000001", "", 404, "no delivery"),
        ("POST", "/_sandbox/webhooks", r#"{"url": "ftp://a"}"#, 400, "`url`"),
        ("POST", "/_sandbox/webhooks", r#"{"url": "http://a", "method": "PUT"}"#, 400, "`method`"),
        ("POST", "/_sandbox/webhooks", r#"{"url": "http://a", "account": "AC1"}"#, 404, "no account"),
        ("POST", "/_sandbox/webhooks", r#"{"url": "http://a", "params": {"a": {}}}"#, 400, "params.a"),
        ("POST", "/_sandbox/forge", r#"{"url": "http://a", "how": "nicely"}"#, 400, "nicely"),
        ("POST", "/_sandbox/forge", r#"{"how": "wrong-token"}"#, 400, "`url`"),
        (
            "POST",
            "/_sandbox/forge",
            r#"{"url": "http://a", "how": "other-account"}"#,
            409,
            "no other account",
        ),
        ("POST", "/_sandbox/forge", r#"{"url": "http://a", "how": "replay"}"#, 409, "no earlier webhook"),
        ("PATCH", "/_sandbox/accounts/AC1", r#"{"suspended_by_twilio": true}"#, 404, "no account"),
        ("PATCH", "/_sandbox/accounts/AC1", r#"{"suspended": true}"#, 400, "suspended"),
        ("POST", "/_sandbox/reset", r#"{"sed": 1}"#, 400, "sed"),
        ("GET", "/_sandbox/nowhere", "", 404, "/_sandbox/nowhere"),
        ("DELETE", "/_sandbox/clock", "", 405, "DELETE"),
    ] {
        let (answered, problem) = sandbox.json(method, target, body).await;
        assert_eq!(answered, status, "{method} {target} {body}: {problem}");
        let error = problem["error"].as_str().unwrap_or_default();
        assert!(error.contains(says), "{method} {target} {body}: {problem}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_do_instead() {
    let sandbox = start();
    for (method, target, body, hint) in [
        ("POST", "/_sandbox/messages", "{}", r#"like {"from": "+12025550143""#),
        ("POST", "/_sandbox/calls/CA1/keys", "[]", r#"like {"digits": "12#"}"#),
        ("PATCH", "/_sandbox/settings", r#"{"usage_lag": 1}"#, "usage_lag_s, trigger_interval_s"),
        ("PUT", "/_sandbox/phones/+12025550143", r#"{"behaviour": "lazy"}"#, "answer, voicemail, busy"),
        ("GET", "/_sandbox/clok", "", "did you mean /_sandbox/clock?"),
        ("GET", "/_sandbox/utterly/elsewhere", "", "GET /_sandbox/ lists"),
        ("DELETE", "/_sandbox/clock", "", "it takes GET, POST"),
        ("POST", "/_sandbox/phones/+12025550143", "", "it takes PUT, DELETE"),
    ] {
        let (_, problem) = sandbox.json(method, target, body).await;
        let given = problem["hint"].as_str().unwrap_or_default();
        assert!(given.contains(hint), "{method} {target} {body}: {problem}");
    }
    let wrong = sandbox.ask("DELETE", "/_sandbox/clock", "", "").await;
    assert_eq!(wrong.header("allow"), Some("GET,HEAD,POST"));
}

#[tokio::test]
async fn a_browser_gets_refusals_as_pages_and_is_led_to_the_phones() {
    let sandbox = start();
    let browser = "Accept: text/html\r\n";
    let lost =
        sandbox.ask("GET", "/_sandbox/deliveries/WH00000000000000000000000000000001", browser, "").await;
    assert_eq!((lost.status, lost.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(lost.text().contains("there is no delivery"), "{}", lost.text());
    let wrong = sandbox.ask("GET", "/_sandbox/phones/text", browser, "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    let door = sandbox.ask("GET", "/", browser, "").await;
    assert_eq!((door.status, door.header("location")), (303, Some("/_sandbox/phones")));
    let twilio = sandbox.ask("GET", "/", "Accept: text/html\r\nHost: api.twilio.com\r\n", "").await;
    assert_eq!(twilio.status, 401, "Twilio's hosts answer as Twilio does");
    assert_eq!(sandbox.ask("GET", "/", "", "").await.status, 401);
}

#[tokio::test]
async fn a_real_clock_is_not_moved() {
    let sandbox = start_with(SandboxOptions::default());
    let (status, problem) = sandbox.json("POST", "/_sandbox/clock", r#"{"advance": "1s"}"#).await;
    assert_eq!(status, 409);
    assert!(problem["hint"].as_str().unwrap().contains("--virtual-clock"), "{problem}");
    assert_eq!(sandbox.get("/_sandbox/clock").await["virtual"], json!(false));
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let sandbox = start();
    let (status, problem) = sandbox.json("POST", "/_sandbox/reset", &" ".repeat(1024 * 1024 + 1)).await;
    assert_eq!(status, 413, "{problem}");
}

#[tokio::test]
async fn a_virtual_clock_moves_by_a_time_and_to_a_time() {
    let sandbox = start();
    let clock = sandbox.post("/_sandbox/clock", r#"{"advance": "1h30m"}"#).await;
    assert_eq!(clock["now"], json!("2026-01-01T01:30:00Z"));
    let clock = sandbox.post("/_sandbox/clock", r#"{"to": "2026-03-01T00:00:00Z"}"#).await;
    assert_eq!(clock["now"], json!("2026-03-01T00:00:00Z"));
    assert_eq!(sandbox.get("/_sandbox/clock").await["now"], clock["now"]);
}

#[tokio::test]
async fn settings_change_where_they_are_named_and_nowhere_else() {
    let sandbox = start();
    let before = sandbox.get("/_sandbox/settings").await;
    let patch = r#"{"usage_lag_s": 5, "messages": {"delivery_ms": 50}}"#;
    let (status, after) = sandbox.json("PATCH", "/_sandbox/settings", patch).await;
    assert_eq!(
        (status, &after["usage_lag_s"], &after["messages"]["delivery_ms"]),
        (200, &json!(5), &json!(50))
    );
    assert_eq!(after["messages"]["queued_ms"], before["messages"]["queued_ms"]);
    let (_, back) =
        sandbox.json("PATCH", "/_sandbox/settings", r#"{"usage_lag_s": null, "messages": null}"#).await;
    assert_eq!(back, before);
}

#[tokio::test]
async fn a_fault_on_demand_hits_the_api_and_is_gone() {
    let sandbox = start();
    let fault = r#"{"api": [{"path": "/Accounts", "status": 503, "retry_after_s": 7, "times": 1}]}"#;
    assert_eq!(sandbox.post("/_sandbox/faults", fault).await["api"][0]["status"], json!(503));
    let (status, error) = sandbox.twilio("GET", "/2010-04-01/Accounts.json", "").await;
    assert_eq!((status, &error["code"]), (503, &json!(20500)));
    assert_eq!(sandbox.twilio("GET", "/2010-04-01/Accounts.json", "").await.0, 200);
    assert_eq!(sandbox.get("/_sandbox/faults").await["api"], json!([]));
}

#[tokio::test]
async fn a_dropped_connection_is_no_answer() {
    let sandbox = start();
    sandbox.post("/_sandbox/faults", r#"{"api": [{"drop": "after", "path": "/Accounts"}]}"#).await;
    let path = "/2010-04-01/Accounts.json";
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: 0\r\n\r\n",
        sandbox.authorization()
    );
    assert!(ringfence_testkit::exchange(sandbox.address(), request).await.is_err(), "nothing is answered");
    let (_, faults) = sandbox.json("DELETE", "/_sandbox/faults", "").await;
    assert_eq!(faults["api"], json!([]));
    let (_, list) = sandbox.twilio("GET", path, "").await;
    assert_eq!(list["accounts"].as_array().unwrap().len(), 2, "it was carried out all the same");
}

#[tokio::test]
async fn the_index_names_every_endpoint_and_each_is_there() {
    let sandbox = start();
    let index = sandbox.get("/_sandbox/").await;
    assert_eq!(index["accounts"][0]["auth_token"].as_str().unwrap().len(), 32);
    assert_eq!(index["numbers"].as_array().unwrap().len(), 2);
    let endpoints = index["endpoints"].as_array().unwrap().clone();
    assert!(endpoints.len() > 20);
    for endpoint in endpoints {
        let (method, path) = (endpoint["method"].as_str().unwrap(), endpoint["path"].as_str().unwrap());
        if path == "/_sandbox/events" {
            continue; // It goes on for ever; the tests of the pages follow it.
        }
        let path = path.replace("{sid}", "x").replace("{number}", "+12025550143");
        let response = sandbox.ask(method, &path, "", "{}").await;
        assert!(response.status != 405, "{method} {path}");
        assert!(!response.text().contains("there is no /_sandbox"), "{method} {path}");
        if let Some(example) = endpoint["example"].as_str() {
            let response = sandbox.ask(method, &path, "", example).await;
            let text = response.text().to_owned();
            assert!(response.status != 400, "the example of {method} {path} is wrong: {text}");
        }
    }
}

#[tokio::test]
async fn a_reset_gives_the_same_world_again_and_another_seed_another() {
    let sandbox = start();
    let before = sandbox.get("/_sandbox/snapshot").await;
    let (_, created) = sandbox.twilio("POST", "/2010-04-01/Accounts.json", "FriendlyName=One").await;
    sandbox.post("/_sandbox/clock", r#"{"advance": "1d"}"#).await;
    sandbox.json("PATCH", "/_sandbox/settings", r#"{"usage_lag_s": 1}"#).await;
    assert_ne!(sandbox.get("/_sandbox/snapshot").await, before);

    sandbox.post("/_sandbox/reset", "").await;
    assert_eq!(sandbox.get("/_sandbox/snapshot").await, before);
    let (_, again) = sandbox.twilio("POST", "/2010-04-01/Accounts.json", "FriendlyName=One").await;
    assert_eq!(again, created, "the same requests give the same answers");

    let other = sandbox.post("/_sandbox/reset", r#"{"seed": 99}"#).await;
    assert_ne!(other["account_sid"], before["accounts"][0]["sid"]);
}

#[tokio::test]
async fn a_reset_keeps_settings_where_that_is_wanted() {
    let sandbox = start();
    sandbox.json("PATCH", "/_sandbox/settings", r#"{"usage_lag_s": 1}"#).await;
    sandbox.post("/_sandbox/reset", r#"{"keep_settings": true}"#).await;
    assert_eq!(sandbox.get("/_sandbox/settings").await["usage_lag_s"], json!(1));
}

#[tokio::test]
async fn two_sandboxes_of_one_seed_that_go_the_same_way_are_the_same() {
    let (one, other) = (start(), start());
    for sandbox in [&one, &other] {
        sandbox.twilio("POST", "/2010-04-01/Accounts.json", "FriendlyName=One").await;
        sandbox.json("PUT", "/_sandbox/phones/+12025550143", r#"{"behaviour": "busy"}"#).await;
        sandbox.post("/_sandbox/clock", r#"{"advance": "10m"}"#).await;
    }
    let first = one.ask("GET", "/_sandbox/snapshot", "", "").await;
    let second = other.ask("GET", "/_sandbox/snapshot", "", "").await;
    assert_eq!(first.text(), second.text(), "to the letter");
}

#[tokio::test]
async fn a_number_of_a_suspended_account_is_not_said_to_be_nobodys() {
    let sandbox = start();
    let (status, sub) = sandbox.twilio("POST", "/2010-04-01/Accounts.json", "FriendlyName=Customer").await;
    assert_eq!(status, 201, "{sub}");
    let sub = sub["sid"].as_str().unwrap();
    let main = sandbox.sandbox.account_sid();
    let number = sandbox.sandbox.phone_numbers().remove(0);
    let path = format!("/2010-04-01/Accounts/{main}/IncomingPhoneNumbers.json");
    let (_, numbers) = sandbox.twilio("GET", &path, "").await;
    let numbers = numbers["incoming_phone_numbers"].as_array().unwrap();
    let owned = numbers.iter().find(|it| it["phone_number"] == json!(number)).unwrap();
    let path =
        format!("/2010-04-01/Accounts/{main}/IncomingPhoneNumbers/{}.json", owned["sid"].as_str().unwrap());
    let (status, moved) = sandbox.twilio("POST", &path, &format!("AccountSid={sub}")).await;
    assert_eq!(status, 200, "{moved}");
    let path = format!("/2010-04-01/Accounts/{sub}.json");
    assert_eq!(sandbox.twilio("POST", &path, "Status=suspended").await.0, 200);
    let text = json!({ "from": "+12025550143", "to": number, "body": "Hi" }).to_string();
    let (status, problem) = sandbox.json("POST", "/_sandbox/messages", &text).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["error"].as_str().unwrap().contains("not active"), "{problem}");
}

#[tokio::test]
async fn twilio_itself_can_suspend_the_main_account_and_let_it_go_on() {
    let sandbox = start();
    let main = sandbox.get("/_sandbox/snapshot").await["accounts"][0]["sid"].as_str().unwrap().to_owned();
    let target = format!("/_sandbox/accounts/{main}");
    for (suspended, status, answered) in [(true, "suspended", 403), (false, "active", 200)] {
        let body = json!({ "suspended_by_twilio": suspended }).to_string();
        let (_, shown) = sandbox.json("PATCH", &target, &body).await;
        assert_eq!(shown, json!({ "sid": main, "status": status, "suspended_by_twilio": suspended }));
        let path = format!("/2010-04-01/Accounts/{main}.json");
        assert_eq!(sandbox.twilio("GET", &path, "").await.0, answered);
    }
}
