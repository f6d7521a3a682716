//! What strangers try at the API for users, and what comes of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::Request;
use ringfence_model::Secret;
use serde_json::{Value, json};

use crate::kit::{Answer, Login, TO, wrong};
use crate::users::{Owls, token_of};

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or_default())
}

/// Each operation of the document, with names that could be there.
fn operations(owls: &Owls) -> Vec<(String, String, bool)> {
    let mut found = Vec::new();
    for (path, item) in owls.bank.users_document()["paths"].as_object().expect("paths") {
        for (method, operation) in
            item.as_object().expect("an item").iter().filter(|(name, _)| *name != "parameters")
        {
            let path = path
                .replace("{user}", "alice")
                .replace("{device}", "dv_0123456789abcdef")
                .replace("{sign_in}", "si_0123456789abcdef0123456789abcdef");
            let manages = operation["description"].as_str().expect("a text").contains("may change users");
            found.push((method.to_uppercase(), path, manages));
        }
    }
    assert!(found.len() >= 18, "{found:?}");
    found
}

#[tokio::test]
async fn strangers_learn_nothing_not_even_what_there_is() {
    let owls = Owls::open().await;
    let (_, expired) = owls.bank.credential(&["manage"], Some(owls.bank.now())).await;
    let wrong = Login { password: Secret::new("rfk_0"), ..owls.login.clone() };
    let mut paths = operations(&owls);
    paths.push(("GET".to_owned(), "/v1/nothing".to_owned(), false));
    paths.push(("PATCH".to_owned(), "/v1/policy".to_owned(), false));
    for (method, path, _) in paths {
        let none = owls.bank.users(None, &method, &path, Some("{}")).await;
        assert_eq!(code(&none), (401, "no-credential"), "{method} {path}");
        assert!(none.header("www-authenticate").is_some_and(|it| it.starts_with("Basic ")));
        for login in [&expired, &wrong] {
            let refused = owls.bank.users(Some(login), &method, &path, Some("{}")).await;
            assert_eq!(code(&refused), (401, "wrong-credential"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_credential_that_only_signs_people_in_can_change_none_of_them() {
    let owls = Owls::open().await;
    let mut changes = 0;
    for (method, path, manages) in operations(&owls) {
        let answer = owls.bank.users(Some(&owls.bank.login), &method, &path, Some("{}")).await;
        assert_eq!(code(&answer) == (403, "may-not-manage"), manages, "{method} {path}: {}", answer.body);
        changes += usize::from(manages);
    }
    assert!(changes >= 10, "{changes}");
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_its_place() {
    let owls = Owls::open().await;
    let post = async |path: &str, body: &str| {
        let answer = owls.bank.users(Some(&owls.login), "POST", path, Some(body)).await;
        let errors = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned();
        (answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned(), errors)
    };
    let invalid = |pointer: &str| (422, "invalid-body".to_owned(), pointer.to_owned());
    let sign_ins = "/v1/sign-ins";
    assert_eq!(post(sign_ins, "{").await, (400, "malformed-json".to_owned(), String::new()));
    assert_eq!(post(sign_ins, "[]").await, invalid("#"));
    assert_eq!(post(sign_ins, r#"{"user":7}"#).await, invalid("#/user"));
    assert_eq!(post(sign_ins, r#"{"user":"a b"}"#).await, invalid("#/user"));
    assert_eq!(post(sign_ins, "{\"user\":\"a\u{202e}b\"}").await, invalid("#/user"));
    for phone in ["12", "+1415555010", "+141555501000", "+10155550100"] {
        let body = json!({ "user": "alice", "phone": phone }).to_string();
        assert_eq!(post(sign_ins, &body).await, invalid("#/phone"), "{phone}");
    }
    assert_eq!(post(sign_ins, r#"{"user":"alice","address":"here"}"#).await, invalid("#/address"));
    assert_eq!(post(sign_ins, r#"{"user":"alice","always":"yes"}"#).await, invalid("#/always"));
    assert_eq!(post(sign_ins, r#"{"user":"alice","trusted":true}"#).await, invalid("#/trusted"));
    let huge = format!(r#"{{"user":"alice","user_agent":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(post(sign_ins, &huge).await.0, 413);
    let long = format!(r#"{{"user":"alice","user_agent":"{}"}}"#, "é".repeat(2_049));
    assert_eq!(post(sign_ins, &long).await, invalid("#/user_agent"));
    // What comes from a browser is refused as nothing worse than not trusted.
    for token in ["", "x", "dv_0123456789abcdef.0", "dv_\\u0000.\\u0000", "dv_😀.x", "..", &"y".repeat(4_096)]
    {
        let body = format!(r#"{{"user":"alice","device_token":"{token}"}}"#);
        assert_eq!(post(sign_ins, &body).await.0, 200, "{token}");
    }
    for user in ["%00", "%2e%2e", "a%2fb", "%ff", "%C3%BC", "a%20b", &"x".repeat(129)] {
        let answer = owls.ask("GET", &format!("/v1/users/{user}"), &Value::Null).await;
        assert_eq!(code(&answer), (400, "invalid-user"), "{user}");
    }
    let method = owls.ask("PATCH", "/v1/users/alice", &json!({})).await;
    assert_eq!(code(&method), (405, "method-not-allowed"));
    assert_eq!(method.header("allow"), Some("GET, HEAD, DELETE"));
    let query = owls.ask("GET", "/v1/users/alice?trusted=true", &Value::Null).await;
    assert_eq!(code(&query), (400, "invalid-query"));
    for sign_in in ["si_0", "si_%00", "..%2f", &format!("si_{}", "0".repeat(32))] {
        let body = json!({ "user": "alice", "factor": "totp", "code": "123456" });
        let answer = owls.ask("POST", &format!("/v1/sign-ins/{sign_in}/check"), &body).await;
        assert_eq!(code(&answer), (404, "no-sign-in"), "{sign_in}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_not_read() {
    let owls = Owls::open().await;
    let Login { user, password } = &owls.login;
    let basic = format!("Basic {}", BASE64.encode(format!("{user}:{}", password.expose())));
    let request = Request::post("/v1/sign-ins")
        .header("authorization", basic)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from_static(b"user=alice"))
        .expect("a request");
    assert_eq!(code(&owls.bank.users_send(request).await), (415, "not-json"));
}

#[tokio::test]
async fn no_body_does_where_nothing_has_to_be_said_and_elsewhere_is_told_what_is_missing() {
    let owls = Owls::open().await;
    let bodiless = async |path: &str| {
        let Login { user, password } = &owls.login;
        let basic = format!("Basic {}", BASE64.encode(format!("{user}:{}", password.expose())));
        let request = Request::post(path).header("authorization", basic);
        owls.bank.users_send(request.body(Bytes::new()).expect("a request")).await
    };
    let answer = bodiless("/v1/users/alice/totp").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body["uri"].as_str().is_some_and(|uri| uri.starts_with("otpauth://")));
    let answer = bodiless("/v1/sign-ins").await;
    assert_eq!(code(&answer), (422, "invalid-body"));
    assert!(answer.body["detail"].as_str().is_some_and(|it| it.contains("`user`")), "{}", answer.body);
}

#[tokio::test]
async fn a_sign_in_is_there_for_its_own_user_and_application_alone() {
    let owls = Owls::open().await;
    let seed = owls.totp().await;
    let sign_in = owls.sign_in(&json!({ "phone": TO })).await;
    let right = seed.code_at(owls.bank.now());
    let path = format!("/v1/sign-ins/{}", sign_in["id"].as_str().expect("an id"));
    let check = json!({ "user": "mallory", "factor": "totp", "code": right.as_str() });
    assert_eq!(code(&owls.ask("POST", &format!("{path}/check"), &check).await), (404, "no-sign-in"));
    let send = json!({ "user": "mallory" });
    assert_eq!(code(&owls.ask("POST", &format!("{path}/code"), &send).await), (404, "no-sign-in"));
    let (_, neighbour) = owls.bank.neighbour(&["manage"]).await;
    let own = json!({ "user": "alice", "factor": "totp", "code": right.as_str() }).to_string();
    let theirs = owls.bank.users(Some(&neighbour), "POST", &format!("{path}/check"), Some(&own)).await;
    assert_eq!(code(&theirs), (404, "no-sign-in"));
    let seen = owls.bank.users(Some(&neighbour), "GET", "/v1/users/alice", None).await;
    assert_eq!(seen.body["factors"], json!([]), "their alice is another one");
    assert_eq!(owls.check(&sign_in, "totp", &right, false).await.status, 200);
}

#[tokio::test]
async fn a_stolen_token_opens_nothing_of_anybody_else_and_betrays_its_copy() {
    let owls = Owls::open().await;
    let token = owls.trusted().await;
    let other = json!({ "user": "bob", "phone": TO, "device_token": token });
    let bob = owls.good("POST", "/v1/sign-ins", &other).await;
    assert_eq!((&bob["needed"], &bob["device"]), (&json!("factor"), &json!("not-trusted")));
    // Two requests of one browser at once: both are trusted, and share the next token.
    let with = json!({ "device_token": token });
    let (one, two) = tokio::join!(owls.sign_in(&with), owls.sign_in(&with));
    assert_eq!((&one["needed"], &two["needed"]), (&json!("none"), &json!("none")));
    let next: Vec<_> = [&one, &two].into_iter().filter(|it| !it["device_token"].is_null()).collect();
    assert_eq!(next.len(), 1);
    let next = token_of(next[0]);
    // The answer was lost: what the browser has is still good.
    owls.bank.advance(60).await;
    let again = owls.sign_in(&with).await;
    assert_eq!(again["needed"], "none");
    owls.bank.advance(60).await;
    let seen = owls.sign_in(&json!({ "device_token": token_of(&again) })).await;
    assert_eq!(seen["needed"], "none");
    // From here on the first token is used up: whoever has it is not this browser.
    owls.bank.advance(60).await;
    let thief = owls.sign_in(&json!({ "phone": TO, "device_token": token })).await;
    assert_eq!((&thief["needed"], &thief["device"]), (&json!("factor"), &json!("copied")));
    let owner = owls.sign_in(&json!({ "phone": TO, "device_token": token_of(&seen) })).await;
    assert_eq!((&owner["needed"], &owner["device"]), (&json!("factor"), &json!("not-trusted")));
    let lost = owls.sign_in(&json!({ "phone": TO, "device_token": next })).await;
    assert_eq!(lost["needed"], "factor");
}

#[tokio::test]
async fn of_a_right_code_at_many_sign_ins_at_once_one_is_passed() {
    let owls = Owls::open().await;
    let seed = owls.totp().await;
    let made = owls.good("POST", "/v1/users/alice/recovery-codes", &Value::Null).await;
    let right = [
        ("totp", seed.code_at(owls.bank.now()).to_string()),
        ("recovery-code", { made["codes"][0].as_str().expect("a code").to_owned() }),
    ];
    for (factor, right) in &right {
        let mut sign_ins = Vec::new();
        for _ in 0..5 {
            sign_ins.push(owls.sign_in(&json!({})).await);
        }
        // Twenty checks: four at each of five sign-ins. After five that are wrong there is a pause, whatever they are.
        let mut checks: Vec<_> = sign_ins
            .iter()
            .cycle()
            .take(20)
            .map(|it| Box::pin(owls.check(it, factor, right, false)))
            .collect();
        let mut passed = 0;
        let mut answers: Vec<Option<Answer>> = checks.iter().map(|_| None).collect();
        std::future::poll_fn(|context| {
            for (check, answer) in checks.iter_mut().zip(&mut answers) {
                if answer.is_none()
                    && let std::task::Poll::Ready(ready) = check.as_mut().poll(context)
                {
                    *answer = Some(ready);
                }
            }
            if answers.iter().all(Option::is_some) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        for answer in answers.iter().flatten() {
            match code(answer) {
                (200, _) => passed += 1,
                refused => assert!(
                    [(403, "wrong-code"), (409, "sign-in-over"), (429, "too-many-failures")]
                        .contains(&refused),
                    "{refused:?}"
                ),
            }
        }
        assert_eq!(passed, 1, "{factor}");
        owls.bank.advance(30).await;
    }
}

#[tokio::test]
async fn guessing_is_paused_for_one_factor_of_one_user_and_locks_nobody_out() {
    let owls = Owls::open().await;
    let seed = owls.totp().await;
    let sign_in = owls.sign_in(&json!({ "phone": TO })).await;
    for _ in 0..5 {
        let guess = wrong(&seed.code_at(owls.bank.now()));
        assert_eq!(code(&owls.check(&sign_in, "totp", &guess, false).await), (403, "wrong-code"));
    }
    let right = seed.code_at(owls.bank.now());
    let paused = owls.check(&sign_in, "totp", &right, false).await;
    assert_eq!(code(&paused), (429, "too-many-failures"));
    assert_eq!(paused.header("retry-after"), Some("30"));
    let anew = owls.sign_in(&json!({ "phone": TO })).await;
    assert_eq!(
        code(&owls.check(&anew, "totp", &right, false).await),
        (429, "too-many-failures"),
        "not reset"
    );
    let by_phone = owls.sent(&anew).await;
    assert_eq!(
        owls.check(&anew, "phone", &by_phone, false).await.status,
        200,
        "another factor is not paused"
    );
    owls.bank.advance(30).await;
    let right = seed.code_at(owls.bank.now());
    assert_eq!(owls.check(&sign_in, "totp", &right, false).await.status, 200);
}

#[tokio::test]
async fn a_number_waits_for_its_next_text_whichever_sign_in_asks() {
    let owls = Owls::open().await;
    let (one, two) =
        (owls.sign_in(&json!({ "phone": TO })).await, owls.sign_in(&json!({ "phone": TO })).await);
    let first = owls.sent(&one).await;
    for seconds in [0, 29] {
        owls.bank.advance(seconds).await;
        let refused = owls.send(&two).await;
        assert_eq!(code(&refused), (429, "too-soon"), "after {seconds} seconds");
        let wait = (30 - seconds).to_string();
        assert_eq!(refused.header("retry-after"), Some(wait.as_str()));
    }
    owls.bank.advance(1).await;
    owls.sent(&two).await;
    // The second pause is longer, and holds for the first again.
    owls.bank.advance(59).await;
    assert_eq!(code(&owls.send(&one).await), (429, "too-soon"));
    // Another number, another application: their own.
    let elsewhere = owls.sign_in(&json!({ "phone": "+14155550111" })).await;
    assert_eq!(owls.send(&elsewhere).await.status, 200);
    // Who has signed in is not kept waiting for what was sent before.
    assert_eq!(owls.check(&one, "phone", &first, false).await.status, 200);
    let three = owls.sign_in(&json!({ "phone": TO })).await;
    assert_eq!(owls.send(&three).await.status, 200);
}

#[tokio::test]
async fn a_hundred_wrong_codes_in_a_row_disable_the_factor_until_it_is_enrolled_anew() {
    let owls = Owls::open().await;
    let seed = owls.totp().await;
    for guessed in 1..=100 {
        owls.bank.advance(3_600).await;
        let sign_in = owls.sign_in(&json!({})).await;
        let guess = wrong(&seed.code_at(owls.bank.now()));
        let expected = if guessed < 100 { "wrong-code" } else { "factor-disabled" };
        assert_eq!(code(&owls.check(&sign_in, "totp", &guess, false).await), (403, expected), "{guessed}");
    }
    let sign_in = owls.sign_in(&json!({})).await;
    assert_eq!(sign_in["needed"], "enrolment", "it is worth nothing any more");
    let user = owls.good("GET", "/v1/users/alice", &Value::Null).await;
    assert_eq!(user["factors"][0]["disabled"], true);
    let seed = owls.totp().await;
    let sign_in = owls.sign_in(&json!({})).await;
    owls.bank.advance(60).await;
    let right = seed.code_at(owls.bank.now());
    assert_eq!(owls.check(&sign_in, "totp", &right, false).await.status, 200);
}

#[tokio::test]
async fn codes_of_sign_ins_count_with_those_of_verify() {
    let owls = Owls::open().await;
    let (_, by_verify) = owls.bank.started().await;
    let sign_in = owls.sign_in(&json!({ "phone": TO })).await;
    // So do the pauses and the five sends.
    assert_eq!(code(&owls.send(&sign_in).await), (429, "too-soon"));
    owls.bank.advance(29).await;
    assert_eq!(code(&owls.send(&sign_in).await), (429, "too-soon"));
    owls.bank.advance(1).await;
    for _ in 0..5 {
        owls.bank.check(&wrong(&by_verify)).await;
    }
    let right = owls.sent(&sign_in).await;
    assert_eq!(code(&owls.check(&sign_in, "phone", &right, false).await), (429, "too-many-failures"));
    assert_ne!(right, by_verify);
    for pause in [60, 120, 240] {
        owls.bank.advance(pause).await;
        assert_eq!(owls.send(&owls.sign_in(&json!({ "phone": TO })).await).await.status, 200);
    }
    let refused = owls.send(&owls.sign_in(&json!({ "phone": TO })).await).await;
    assert_eq!(code(&refused), (429, "too-many-sends"));
    assert_eq!(refused.header("retry-after"), Some("150"), "the first of them ends then");
    let abroad = owls.sign_in(&json!({ "phone": "+447700900123" })).await;
    assert_eq!(code(&owls.send(&abroad).await), (403, "country-not-allowed"));
}

#[tokio::test]
async fn no_name_number_code_or_token_is_in_an_answer_or_the_audit_log_that_need_not_be() {
    let owls = Owls::open().await;
    let token = owls.trusted().await;
    let answer = owls.sign_in(&json!({ "phone": TO, "device_token": token })).await;
    assert!(!answer.to_string().contains(TO));
    let rows = owls.bank.store.audit_rows(None, None, 1_000).await.expect("rows");
    let log = format!("{rows:?}");
    assert!(log.contains("user.pass"), "{log}");
    for secret in ["alice", TO, "203.0.113.7", token.as_str()] {
        assert!(!log.contains(secret), "{secret}");
    }
}
