//! What is answered: Twilio's shapes and codes, as the sandbox answers them.

use bytes::Bytes;
use http::Request;
use ringfence_control::second_factor::ApplicationSettings;
use serde_json::json;

use crate::kit::{Bank, Login, Options, TO, wrong};

#[tokio::test]
async fn whoever_has_no_good_credential_learns_nothing() {
    let bank = Bank::open().await;
    let (revoked, revoked_login) = bank.credential(&[], None).await;
    let by = ringfence_model::Actor::CommandLine("ops".to_owned());
    bank.store.revoke_credential(&by, revoked, bank.now()).await.expect("revoked");
    let (_, expired) = bank.credential(&[], Some(bank.now())).await;
    let someone = Login { user: "AC00000000000000000000000000000001".to_owned(), ..bank.login.clone() };
    let nobody = Login { password: ringfence_model::Secret::new("x"), ..bank.login.clone() };
    let empty = Login { password: ringfence_model::Secret::new(""), ..bank.login.clone() };
    let paths = ["/v2/Services", "/nowhere", &format!("{}/Verifications/{TO}", bank.service())];
    for login in [None, Some(&revoked_login), Some(&expired), Some(&someone), Some(&nobody), Some(&empty)] {
        for path in paths {
            let answer = bank.ask_as(login, "GET", path, &[]).await;
            assert_eq!(answer.error(), (401, 20003));
            assert_eq!(answer.body["message"], "Authenticate");
            assert!(answer.header("www-authenticate").is_some_and(|it| it.starts_with("Basic ")));
        }
    }
    for value in ["Basic", "Basic !!!", "Bearer x", "Basic OnNlY3JldA"] {
        let request = Request::get("/v2/Services").header("authorization", value);
        let answer = bank.send(request.body(Bytes::new()).expect("a request")).await;
        assert_eq!(answer.error(), (401, 20003), "{value}");
    }
}

#[tokio::test]
async fn an_accounts_sid_is_as_good_a_user_name_as_the_credentials_own() {
    let bank = Bank::open().await;
    let account = bank.world.sandbox.account_sid().to_string();
    let as_account = Login { user: account.clone(), ..bank.login.clone() };
    let answer = bank.ask_as(Some(&as_account), "GET", &bank.service(), &[]).await;
    assert_eq!((answer.status, &answer.body["account_sid"]), (200, &json!(account)));
}

#[tokio::test]
async fn a_removed_application_takes_its_credentials_with_it() {
    let bank = Bank::open().await;
    let by = ringfence_model::Actor::CommandLine("ops".to_owned());
    bank.store.remove_application(&by, bank.application.sid, bank.now()).await.expect("removed");
    assert_eq!(bank.start(&[]).await.error(), (401, 20003));
}

#[tokio::test]
async fn what_cannot_be_verified_is_refused() {
    let bank = Bank::open().await;
    let path = format!("{}/Verifications", bank.service());
    for (form, expected) in [
        (vec![("Channel", "sms")], (400, 20001)),
        (vec![("To", TO)], (400, 20001)),
        (vec![("To", "4155550123"), ("Channel", "sms")], (400, 60200)),
        (vec![("To", "+141555"), ("Channel", "sms")], (400, 60200)),
        // As Twilio: in North America a digit too few or too many is no number, nor is an area or exchange of 0 or 1.
        (vec![("To", "+1415555012"), ("Channel", "sms")], (400, 60200)),
        (vec![("To", "+141555501230"), ("Channel", "call")], (400, 60200)),
        (vec![("To", "+10155550123"), ("Channel", "sms")], (400, 60200)),
        (vec![("To", "+14150550123"), ("Channel", "sms")], (400, 60200)),
        (vec![("To", "owl@example.com"), ("Channel", "sms")], (400, 60200)),
        (vec![("To", TO), ("Channel", "pigeon")], (400, 60200)),
        (vec![("To", TO), ("Channel", "email")], (403, 60223)),
        (vec![("To", TO), ("Channel", "whatsapp")], (403, 60223)),
        (vec![("To", TO), ("Channel", "sna")], (403, 60223)),
        (vec![("To", TO), ("Channel", "sms"), ("CustomCode", "1234")], (403, 60204)),
        (vec![("To", TO), ("Channel", "sms"), ("RateLimits", "ip=1")], (400, 60200)),
        (vec![("To", TO), ("Channel", "sms"), ("CustomFriendlyName", "555 0123")], (400, 60200)),
        (vec![("To", TO), ("Channel", "sms"), ("DeviceIp", "home")], (400, 60200)),
        (vec![("To", TO), ("Channel", "sms"), ("AppHash", "short")], (400, 60200)),
        (vec![("To", TO), ("Channel", "call"), ("SendDigits", "1;2")], (400, 60200)),
        (vec![("To", TO), ("Channel", "sms"), ("Amount", "€39.99")], (400, 60200)),
    ] {
        assert_eq!(bank.ask("POST", &path, &form).await.error(), expected, "{form:?}");
    }
    assert_eq!(bank.work().await, (0, 0), "nothing is to be sent");
    // The libraries show the message alone.
    let said = bank.ask("POST", &path, &[("To", "4155550123"), ("Channel", "sms")]).await;
    let said = said.body["message"].as_str().expect("a message").to_owned();
    assert!(
        said.starts_with("Invalid parameter `To`: 4155550123 (") && said.contains("+14155550100"),
        "{said}"
    );
    let nowhere = "/v2/Services/VA00000000000000000000000000000007/Verifications";
    assert_eq!(bank.ask("POST", nowhere, &[("To", TO), ("Channel", "sms")]).await.error(), (404, 20404));
    assert_eq!(bank.check_with(&[("Code", "123456")]).await.error(), (400, 60221));
    assert_eq!(bank.check_with(&[("To", TO)]).await.error(), (400, 60200));
    assert_eq!(bank.check_with(&[("To", "home"), ("Code", "123456")]).await.error(), (400, 60200));
    assert_eq!(bank.check("123456").await.error(), (404, 20404), "nothing was started");
    let put = bank.ask("PUT", &path, &[]).await;
    assert_eq!((put.error(), put.header("allow")), ((405, 20004), Some("POST")));
    assert_eq!(bank.ask("GET", "/v2/Services/x/y/z", &[]).await.error(), (404, 20404));
}

#[tokio::test]
async fn a_body_that_is_no_form_is_not_read_as_an_empty_one() {
    let bank = Bank::open().await;
    let encoded = {
        use base64::Engine as _;
        let login = format!("{}:{}", bank.login.user, bank.login.password.expose());
        base64::engine::general_purpose::STANDARD.encode(login)
    };
    let request = Request::post(format!("{}/Verifications", bank.service()))
        .header("authorization", format!("Basic {encoded}"))
        .header("content-type", "application/json")
        .body(Bytes::from_static(b"{\"To\": \"+14155550123\"}"))
        .expect("a request");
    assert_eq!(bank.send(request).await.error(), (415, 20415));
}

#[tokio::test]
async fn what_can_be_no_code_is_refused_and_uses_up_no_attempt() {
    let bank = Bank::open().await;
    let (_, code) = bank.started().await;
    for typed in ["1", "123", "1 2-3", "12345678901", "\0", " - "] {
        assert_eq!(bank.check(typed).await.error(), (400, 60200), "{typed:?}");
    }
    let spaced = format!("{}-{}", &code[..3], &code[3..]);
    assert_eq!(bank.check(&spaced).await.body["status"], "approved");
}

#[tokio::test]
async fn the_right_code_approves_and_then_nothing_is_there() {
    let bank = Bank::open().await;
    let (started, code) = bank.started().await;
    assert_eq!((&started["status"], &started["valid"]), (&json!("pending"), &json!(false)));
    assert_eq!(started["send_code_attempts"][0]["channel"], "SMS");
    assert!(!started.to_string().contains(&code), "the code is told to the phone alone");
    assert_eq!(
        bank.messages().await[0].body.as_deref(),
        Some(&*format!("Your Owl Bank verification code is: {code}"))
    );
    let one = format!("{}/Verifications/{}", bank.service(), started["sid"].as_str().expect("a SID"));
    assert_eq!(started["url"], format!("http://2fa.example.com{one}"));
    assert_eq!(bank.ask("GET", &one, &[]).await.body["sid"], started["sid"]);
    let by_number = format!("{}/Verifications/%2B14155550123", bank.service());
    assert_eq!(bank.ask("GET", &by_number, &[]).await.body["sid"], started["sid"]);

    let checked = bank.check(&wrong(&code)).await;
    assert_eq!(
        (checked.status, &checked.body["status"], &checked.body["valid"]),
        (200, &json!("pending"), &json!(false))
    );
    let checked = bank.check(&code).await;
    assert_eq!(
        (checked.status, &checked.body["status"], &checked.body["valid"]),
        (200, &json!("approved"), &json!(true))
    );
    assert_eq!(bank.check(&code).await.error(), (404, 20404), "a code works once");
    assert_eq!(bank.ask("GET", &one, &[]).await.error(), (404, 20404));
}

/// Whoever has a verification of his own must not pass it off as somebody else's at an application that looks at its own `To`.
#[tokio::test]
async fn a_check_that_names_one_number_and_the_verification_of_another_is_of_neither() {
    let bank = Bank::open().await;
    let (started, code) = bank.started().await;
    let sid = started["sid"].as_str().expect("a SID");
    for to in ["+14155550199", "4155550123", "owl@example.com"] {
        let mixed = bank.check_with(&[("To", to), ("VerificationSid", sid), ("Code", &code)]).await;
        assert_eq!(mixed.error(), (404, 20404), "{to}");
    }
    let nobodys = "VE00000000000000000000000000000007";
    let mixed = bank.check_with(&[("To", TO), ("VerificationSid", nobodys), ("Code", &code)]).await;
    assert_eq!(mixed.error(), (404, 20404));
    let both = bank.check_with(&[("To", TO), ("VerificationSid", sid), ("Code", &code)]).await;
    assert_eq!((both.status, &both.body["valid"]), (200, &json!(true)), "they say the same");
}

#[tokio::test]
async fn a_check_of_a_payment_is_refused_as_its_start_is() {
    let bank = Bank::open().await;
    let (_, code) = bank.started().await;
    for (name, value) in [("Amount", "€39.99"), ("Payee", "Owl Bank")] {
        let refused = bank.check_with(&[("To", TO), ("Code", &code), (name, value)]).await;
        assert_eq!(refused.error(), (400, 60200), "{name}");
    }
    assert_eq!(bank.check(&code).await.body["valid"], true, "nothing was counted");
}

#[tokio::test]
async fn five_wrong_codes_lock_the_verification_until_its_time_is_over() {
    let bank = Bank::open().await;
    let (_, code) = bank.started().await;
    for _ in 0..5 {
        assert_eq!(bank.check(&wrong(&code)).await.status, 200);
    }
    let late = bank.check(&code).await;
    assert_eq!((late.error(), late.header("retry-after")), ((429, 60202), Some("600")));
    assert_eq!(bank.start(&[]).await.error(), (429, 60202));
    bank.advance(600).await;
    assert_eq!(bank.check(&code).await.error(), (404, 20404));
    assert_eq!(bank.start(&[]).await.status, 201);
}

#[tokio::test]
async fn a_code_is_sent_again_after_pauses_and_stays_the_same() {
    let bank = Bank::open().await;
    let (started, code) = bank.started().await;
    let early = bank.start(&[]).await;
    assert_eq!((early.error(), early.header("retry-after")), ((429, 20429), Some("30")));
    for (pause, sends) in [(30, 2), (60, 3), (120, 4), (240, 5)] {
        bank.advance(pause).await;
        let again = bank.start(&[]).await;
        assert_eq!((again.status, &again.body["sid"]), (201, &started["sid"]));
        assert_eq!(again.body["send_code_attempts"].as_array().map(Vec::len), Some(sends));
        bank.work().await;
        assert_eq!(bank.code().await, code);
    }
    let refused = bank.start(&[]).await;
    assert_eq!((refused.error(), refused.header("retry-after")), ((429, 60203), Some("150")), "its end");
    assert_eq!(refused.body["message"], "Max send attempts reached; try again in 150 seconds");
    assert_eq!(bank.messages().await.len(), 5);
    assert_eq!(bank.check(&code).await.body["valid"], true);
}

#[tokio::test]
async fn a_verification_is_canceled_and_approved_by_whoever_may() {
    let bank = Bank::open().await;
    let (started, code) = bank.started().await;
    let one = format!("{}/Verifications/{}", bank.service(), started["sid"].as_str().expect("a SID"));
    assert_eq!(bank.ask("POST", &one, &[("Status", "expired")]).await.error(), (400, 60200));
    assert_eq!(bank.ask("POST", &one, &[("Status", "approved")]).await.error(), (403, 20403));
    assert_eq!(bank.ask("POST", &one, &[("Status", "canceled")]).await.body["status"], "canceled");
    assert_eq!(bank.check(&code).await.error(), (404, 20404));
    assert_eq!(bank.ask("POST", &one, &[("Status", "canceled")]).await.error(), (404, 20404));

    bank.start(&[]).await;
    let (_, login) = bank.credential(&["approve"], None).await;
    let by_number = format!("{}/Verifications/{TO}", bank.service());
    let approved = bank.ask_as(Some(&login), "POST", &by_number, &[("Status", "approved")]).await;
    assert_eq!((approved.status, &approved.body["valid"]), (200, &json!(true)));
    let sid = approved.body["sid"].as_str().expect("a SID");
    let rows = bank.store.audit_rows(Some(&format!("challenge {sid}")), None, 1).await.expect("rows");
    assert_eq!(
        (rows[0].action.as_str(), &rows[0].detail["why"]),
        ("challenge.approve", &json!("application"))
    );
    assert_eq!(rows[0].actor.name(), login.user);
}

#[tokio::test]
async fn a_custom_code_is_taken_where_the_application_may_bring_one() {
    let settings = ApplicationSettings { custom_codes: true, ..ApplicationSettings::default() };
    let bank = Bank::with(Options { settings, ..Options::default() }).await;
    for code in ["123", "12345678901", "12 34", "1234é"] {
        let refused = bank.start(&[("CustomCode", code)]).await;
        assert_eq!(refused.error(), (400, 60200), "{code}");
        assert!(!refused.body.to_string().contains(code));
    }
    bank.start(&[("CustomCode", "AB12"), ("CustomFriendlyName", "Owl & Co"), ("Locale", "de-AT")]).await;
    bank.work().await;
    assert_eq!(bank.messages().await[0].body.as_deref(), Some("Ihr Owl & Co Bestätigungscode lautet: AB12"));
    assert_eq!(bank.check("AB12").await.body["valid"], true);
}

#[tokio::test]
async fn whoever_sends_again_says_the_words_anew_and_may_bring_another_code() {
    let settings = ApplicationSettings { custom_codes: true, ..ApplicationSettings::default() };
    let bank = Bank::with(Options { settings, ..Options::default() }).await;
    // The newest comes first.
    let said = async || bank.messages().await[0].body.clone().expect("a text");
    let first = bank.start(&[("CustomCode", "AB12")]).await.body;
    bank.work().await;
    bank.advance(31).await;
    let form = [("CustomCode", "CD34"), ("CustomFriendlyName", "Eule"), ("Locale", "de")];
    let again = bank.start(&form).await.body;
    bank.work().await;
    assert_eq!(again["sid"], first["sid"]);
    assert_eq!(said().await, "Ihr Eule Bestätigungscode lautet: CD34");
    // Without a code of its own it is the one that was brought last.
    bank.advance(61).await;
    bank.start(&[]).await;
    bank.work().await;
    assert_eq!(said().await, "Your Owl Bank verification code is: CD34");
    // What was counted stays counted.
    assert_eq!(bank.check("AB12").await.body["valid"], false);
    assert_eq!(bank.check("CD34").await.body["valid"], true);
}

#[tokio::test]
async fn a_verification_may_be_looked_at_sixty_times_a_minute() {
    let bank = Bank::open().await;
    let (started, _) = bank.started().await;
    let one = format!("{}/Verifications/{}", bank.service(), started["sid"].as_str().expect("a SID"));
    for _ in 0..60 {
        assert_eq!(bank.ask("GET", &one, &[]).await.status, 200);
    }
    let refused = bank.ask("GET", &one, &[]).await;
    assert_eq!(refused.error(), (429, 20429));
    let seconds = refused.header("retry-after").expect("it says when").parse().expect("a number");
    bank.advance(seconds).await;
    assert_eq!(bank.ask("GET", &one, &[]).await.status, 200);
}

#[tokio::test]
async fn an_application_sees_its_own_service_and_no_other() {
    let bank = Bank::open().await;
    let (other, login) = bank.neighbour(&[]).await;
    let list = bank.ask("GET", "/v2/Services?PageSize=1", &[]).await;
    assert_eq!(list.body["services"].as_array().map(Vec::len), Some(1));
    assert_eq!(list.body["services"][0]["sid"], bank.application.sid.to_string());
    assert_eq!(list.body["services"][0]["friendly_name"], "Owl Bank");
    let foreign = format!("/v2/Services/{}", other.sid);
    assert_eq!(bank.ask("GET", &foreign, &[]).await.error(), (404, 20404));
    assert_eq!(bank.ask_as(Some(&login), "GET", &foreign, &[]).await.status, 200);
    assert_eq!(bank.ask("GET", "/v2/Services?PageSize=1001", &[]).await.error(), (400, 20007));
    assert_eq!(bank.ask("GET", "/v2/Services?PageSize=x", &[]).await.error(), (400, 20001));
    assert_eq!(bank.ask("HEAD", "/v2/Services", &[]).await.status, 200);
}

#[tokio::test]
async fn an_applications_own_limits_hold() {
    let bank = Bank::open().await;
    let limits = format!("{}/RateLimits", bank.service());
    assert_eq!(bank.ask("POST", &limits, &[]).await.error(), (400, 20001));
    assert_eq!(bank.ask("POST", &limits, &[("UniqueName", "end user/ip")]).await.error(), (400, 60209));
    let made = bank.ask("POST", &limits, &[("UniqueName", "ip"), ("Description", "an address")]).await;
    assert_eq!((made.status, &made.body["unique_name"]), (201, &json!("ip")));
    assert_eq!(bank.ask("POST", &limits, &[("UniqueName", "ip")]).await.error(), (400, 60208));
    let one = format!("{limits}/{}", made.body["sid"].as_str().expect("a SID"));
    assert_eq!(bank.ask("GET", &format!("{limits}/ip"), &[]).await.body["sid"], made.body["sid"]);
    assert_eq!(bank.ask("POST", &one, &[("Description", "x")]).await.body["description"], "x");

    let buckets = format!("{one}/Buckets");
    assert_eq!(bank.ask("POST", &buckets, &[("Max", "2")]).await.error(), (400, 20001));
    assert_eq!(bank.ask("POST", &buckets, &[("Max", "0"), ("Interval", "60")]).await.error(), (400, 60200));
    let bucket = bank.ask("POST", &buckets, &[("Max", "1"), ("Interval", "60")]).await;
    assert_eq!((bucket.status, &bucket.body["max"]), (201, &json!(1)));
    assert_eq!(bank.ask("POST", &buckets, &[("Max", "5"), ("Interval", "60")]).await.error(), (400, 60211));
    assert_eq!(bank.ask("GET", &buckets, &[]).await.body["buckets"].as_array().map(Vec::len), Some(1));
    let bucket = format!("{buckets}/{}", bucket.body["sid"].as_str().expect("a SID"));
    assert_eq!(bank.ask("GET", &bucket, &[]).await.body["interval"], 60);

    // A limit that is spelled wrong would hold nobody; and all that have no value would share one.
    for wrong in [r#"{"ip": "192.0.2.1", "Ip": "192.0.2.1"}"#, r#"{"ip": null}"#, r#"{"ip": ["x"]}"#] {
        let refused = bank.start(&[("To", "+14155550101"), ("RateLimits", wrong)]).await;
        assert_eq!(refused.error(), (400, 60200), "{wrong}");
    }
    let named = [("RateLimits", r#"{"ip": "192.0.2.1"}"#)];
    let start = async |to: &str| bank.start(&[("To", to), named[0]]).await;
    assert_eq!(start("+14155550101").await.status, 201);
    let refused = start("+14155550102").await;
    assert_eq!(refused.error(), (429, 20429));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(
        bank.start(&[("To", "+14155550102")]).await.status,
        201,
        "a start that names no value is free"
    );
    assert_eq!(bank.ask("POST", &bucket, &[("Max", "2")]).await.body["max"], 2);
    assert_eq!(start("+14155550103").await.status, 201);
    assert_eq!(bank.ask("DELETE", &bucket, &[]).await.status, 204);
    assert_eq!(bank.ask("DELETE", &bucket, &[]).await.error(), (404, 20404));
    assert_eq!(bank.ask("DELETE", &one, &[]).await.status, 204);
    assert_eq!(bank.ask("GET", &one, &[]).await.error(), (404, 20404));
    for number in 0..10 {
        assert_eq!(bank.ask("POST", &limits, &[("UniqueName", &format!("n{number}"))]).await.status, 201);
    }
    assert_eq!(bank.ask("POST", &limits, &[("UniqueName", "n10")]).await.error(), (400, 60207));
    let page = bank.ask("GET", &format!("{limits}?PageSize=4&Page=1"), &[]).await;
    assert_eq!(page.body["rate_limits"].as_array().map(Vec::len), Some(4));
    let next = page.body["meta"]["next_page_url"].as_str().expect("there is a next page");
    let last = bank.ask("GET", next.strip_prefix("http://2fa.example.com").expect("ours"), &[]).await;
    assert_eq!(last.body["rate_limits"].as_array().map(Vec::len), Some(2));
    assert_eq!(last.body["meta"]["next_page_url"], serde_json::Value::Null);
}

#[tokio::test]
async fn attempts_tell_what_came_of_each_code() {
    let bank = Bank::open().await;
    let (started, code) = bank.started().await;
    bank.check(&code).await;
    bank.start(&[("To", "+4915112345678"), ("Channel", "call")]).await;
    let call_status = async || {
        let calls = bank.ask("GET", "/v2/Attempts?Channel=CALL", &[]).await.body;
        calls["attempts"][0]["channel_data"]["call_status"].clone()
    };
    assert_eq!(call_status().await, "queued");
    bank.work().await;
    assert_eq!(call_status().await, "ringing", "whether somebody answers is not known");
    let all = bank.ask("GET", "/v2/Attempts", &[]).await;
    assert_eq!(all.body["attempts"].as_array().map(Vec::len), Some(2));
    for (query, count) in [
        ("Status=converted", 1),
        ("Channel=CALL&Country=de", 1),
        ("Channel=email", 0),
        ("ChannelData.To=%2B14155550123", 1),
        (&format!("VerificationSid={}", started["sid"].as_str().expect("a SID")), 1),
        (&format!("VerifyServiceSid={}", bank.application.sid), 2),
        ("VerifyServiceSid=VA00000000000000000000000000000007", 0),
        ("DateCreatedAfter=2030-01-01T00:00:00Z", 0),
    ] {
        let found = bank.ask("GET", &format!("/v2/Attempts?{query}"), &[]).await;
        assert_eq!(found.body["attempts"].as_array().map(Vec::len), Some(count), "{query}");
    }
    for query in ["Status=x", "Channel=x", "Country=Germany", "VerificationSid=x", "DateCreatedAfter=x"] {
        assert_eq!(
            bank.ask("GET", &format!("/v2/Attempts?{query}"), &[]).await.error(),
            (400, 60200),
            "{query}"
        );
    }
    let sid = started["send_code_attempts"][0]["attempt_sid"].as_str().expect("a SID");
    let one = bank.ask("GET", &format!("/v2/Attempts/{sid}"), &[]).await;
    assert_eq!(
        (&one.body["conversion_status"], &one.body["channel_data"]["to"]),
        (&json!("converted"), &json!(TO))
    );
    let summary = bank.ask("GET", "/v2/Attempts/Summary", &[]).await;
    assert_eq!((&summary.body["total_attempts"], &summary.body["total_converted"]), (&json!(2), &json!(1)));
    assert_eq!(summary.body["conversion_rate_percentage"], "50");
    let (_, stranger) = bank.neighbour(&[]).await;
    assert_eq!(
        bank.ask_as(Some(&stranger), "GET", &format!("/v2/Attempts/{sid}"), &[]).await.error(),
        (404, 20404)
    );
    let nothing = bank.ask_as(Some(&stranger), "GET", "/v2/Attempts/Summary", &[]).await;
    assert_eq!(nothing.body["total_attempts"], 0);
}
