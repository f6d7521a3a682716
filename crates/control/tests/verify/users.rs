//! What Verify lacks: sign-ins with each factor, trusted browsers, policies.

use jiff::Timestamp;
use ringfence_control::user_api::MAY_MANAGE;
use ringfence_second_factor::totp::Seed;
use serde_json::{Value, json};

use crate::kit::{Answer, Bank, Login, Options, TO, wrong};

/// An application whose credential may do everything.
pub(crate) struct Owls {
    pub(crate) bank: Bank,
    pub(crate) login: Login,
}

impl Owls {
    pub(crate) async fn open() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let bank = Bank::with(options).await;
        let (_, login) = bank.credential(&[MAY_MANAGE], None).await;
        Self { bank, login }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = (!body.is_null()).then(|| body.to_string());
        self.bank.users(Some(&self.login), method, path, body.as_deref()).await
    }

    /// An answer that has to be a success.
    pub(crate) async fn good(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {:#}", answer.body);
        answer.body
    }

    pub(crate) async fn sign_in(&self, more: &Value) -> Value {
        let mut body = json!({ "user": "alice", "address": "203.0.113.7", "user_agent": "Firefox" });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        self.good("POST", "/v1/sign-ins", &body).await
    }

    pub(crate) async fn check(&self, sign_in: &Value, factor: &str, code: &str, trust: bool) -> Answer {
        let path = format!("/v1/sign-ins/{}/check", sign_in["id"].as_str().expect("an id"));
        let body = json!({ "user": "alice", "factor": factor, "code": code, "trust": trust });
        self.ask("POST", &path, &body).await
    }

    pub(crate) async fn send(&self, sign_in: &Value) -> Answer {
        let path = format!("/v1/sign-ins/{}/code", sign_in["id"].as_str().expect("an id"));
        self.ask("POST", &path, &json!({ "user": "alice" })).await
    }

    /// A code that was sent for a sign-in, as the phone shows it.
    pub(crate) async fn sent(&self, sign_in: &Value) -> String {
        self.sent_to(sign_in, "…23").await
    }

    pub(crate) async fn sent_to(&self, sign_in: &Value, hint: &str) -> String {
        let answer = self.send(sign_in).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!((&answer.body["to"], &answer.body["digits"]), (&json!(hint), &json!(6)));
        self.bank.work().await;
        self.bank.code().await
    }

    /// Enrols an authenticator application for alice and confirms it.
    pub(crate) async fn totp(&self) -> Seed {
        let enrolled =
            self.good("POST", "/v1/users/alice/totp", &json!({ "account": "alice@example.com" })).await;
        let seed = seed_of(&enrolled);
        let code = json!({ "code": seed.code_at(self.bank.now()).as_str() });
        self.good("POST", "/v1/users/alice/totp/confirm", &code).await;
        // The step of that code is used up.
        self.bank.advance(30).await;
        seed
    }

    /// A browser that alice trusts.
    pub(crate) async fn trusted(&self) -> String {
        let sign_in = self.sign_in(&json!({ "phone": TO })).await;
        let code = self.sent(&sign_in).await;
        let passed = self.check(&sign_in, "phone", &code, true).await;
        assert_eq!(passed.status, 200, "{}", passed.body);
        token_of(&passed.body)
    }

    pub(crate) async fn policy(&self, policy: &Value) {
        self.good("PUT", "/v1/policy", policy).await;
    }
}

pub(crate) fn token_of(answer: &Value) -> String {
    answer["device_token"]["token"].as_str().expect("a token").to_owned()
}

/// Reads Base32, which our own code only writes.
pub(crate) fn seed_of(enrolled: &Value) -> Seed {
    let secret = enrolled["secret"].as_str().expect("a secret");
    assert!(enrolled["uri"].as_str().expect("a URI").contains(&format!("secret={secret}&")));
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<u8> = secret
        .chars()
        .map(|letter| u8::try_from(alphabet.find(letter).expect("Base32")).expect("five bits"))
        .flat_map(|five| (0..5).rev().map(move |place| five >> place & 1))
        .collect();
    let bytes: Vec<u8> =
        bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect();
    Seed::new(bytes.try_into().expect("20 bytes"))
}

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn who_has_no_factor_is_let_in_by_nothing_where_one_is_demanded() {
    let owls = Owls::open().await;
    let sign_in = owls.sign_in(&json!({})).await;
    assert_eq!((&sign_in["needed"], &sign_in["factors"]), (&json!("enrolment"), &json!([])));
    assert_eq!(sign_in["assurance"], Value::Null);
    assert_eq!(code(&owls.check(&sign_in, "totp", "123456", false).await), (409, "not-this-factor"));
    assert_eq!(code(&owls.send(&sign_in).await), (409, "no-phone"));
}

#[tokio::test]
async fn a_code_on_the_phone_passes_a_sign_in_once_and_a_wrong_one_is_no_success() {
    let owls = Owls::open().await;
    let sign_in = owls.sign_in(&json!({ "phone": TO })).await;
    assert_eq!((&sign_in["needed"], &sign_in["because"]), (&json!("factor"), &json!("device-not-trusted")));
    assert_eq!(sign_in["factors"], json!([{ "kind": "phone", "hint": "…23" }]));
    assert_eq!(code(&owls.check(&sign_in, "phone", "123456", false).await), (409, "no-code"));
    let right = owls.sent(&sign_in).await;
    assert_eq!(code(&owls.send(&sign_in).await), (429, "too-soon"));
    assert_eq!(code(&owls.check(&sign_in, "phone", &wrong(&right), true).await), (403, "wrong-code"));
    assert_eq!(code(&owls.check(&sign_in, "totp", &right, true).await), (409, "not-this-factor"));
    let passed = owls.check(&sign_in, "phone", &right, false).await;
    assert_eq!(passed.body["assurance"], json!({ "level": 2, "by": "second-factor", "factor": "phone" }));
    assert_eq!(passed.body["device_token"], Value::Null, "nobody wished it");
    assert_eq!(code(&owls.check(&sign_in, "phone", &right, false).await), (409, "sign-in-over"));
    assert_eq!(code(&owls.send(&sign_in).await), (409, "sign-in-over"));
}

#[tokio::test]
async fn a_sign_in_that_took_too_long_is_over() {
    let owls = Owls::open().await;
    let seed = owls.totp().await;
    let sign_in = owls.sign_in(&json!({ "phone": TO })).await;
    owls.bank.advance(15 * 60).await;
    let now = seed.code_at(owls.bank.now());
    assert_eq!(code(&owls.check(&sign_in, "totp", &now, false).await), (409, "sign-in-over"));
    assert_eq!(code(&owls.send(&sign_in).await), (409, "sign-in-over"));
}

#[tokio::test]
async fn an_authenticator_application_counts_once_it_is_confirmed_and_each_code_once() {
    let owls = Owls::open().await;
    let none = owls.ask("POST", "/v1/users/alice/totp/confirm", &json!({ "code": "123456" })).await;
    assert_eq!(code(&none), (409, "no-totp"));
    let enrolled = owls.good("POST", "/v1/users/alice/totp", &json!({})).await;
    assert!(enrolled["uri"].as_str().expect("a URI").starts_with("otpauth://totp/Owl%20Bank:alice?secret="));
    assert_eq!(owls.sign_in(&json!({})).await["needed"], "enrolment", "it waits to be confirmed");
    let seed = seed_of(&enrolled);
    let shown = seed.code_at(owls.bank.now());
    let refused = owls.ask("POST", "/v1/users/alice/totp/confirm", &json!({ "code": wrong(&shown) })).await;
    assert_eq!(code(&refused), (403, "wrong-code"));
    let user = owls.good("POST", "/v1/users/alice/totp/confirm", &json!({ "code": shown.as_str() })).await;
    assert_eq!(user["factors"][0]["kind"], "totp");

    let sign_in = owls.sign_in(&json!({})).await;
    assert_eq!(sign_in["factors"], json!([{ "kind": "totp", "hint": null }]));
    assert_eq!(
        code(&owls.check(&sign_in, "totp", &shown, false).await),
        (403, "wrong-code"),
        "it confirmed already"
    );
    owls.bank.advance(30).await;
    let next = seed.code_at(owls.bank.now());
    assert_eq!(owls.check(&sign_in, "totp", &next, false).await.body["assurance"]["level"], 2);
    let other = owls.sign_in(&json!({})).await;
    assert_eq!(code(&owls.check(&other, "totp", &next, false).await), (403, "wrong-code"), "each code once");
    owls.bank.advance(30).await;
    let next = seed.code_at(owls.bank.now());
    assert_eq!(owls.check(&other, "totp", &next, false).await.status, 200);
    // A phone's clock may be a step off, and not two.
    let other = owls.sign_in(&json!({})).await;
    owls.bank.advance(90).await;
    let at = |seconds: i64| Timestamp::from_second(owls.bank.now().as_second() + seconds).expect("a time");
    let two_late = seed.code_at(at(-60));
    assert_eq!(code(&owls.check(&other, "totp", &two_late, false).await), (403, "wrong-code"));
    assert_eq!(owls.check(&other, "totp", &seed.code_at(at(-30)), false).await.status, 200);
}

#[tokio::test]
async fn a_new_phone_takes_the_place_of_the_old_one_only_when_it_is_confirmed() {
    let owls = Owls::open().await;
    let old = owls.totp().await;
    let new = seed_of(&owls.good("POST", "/v1/users/alice/totp", &json!({})).await);
    let sign_in = owls.sign_in(&json!({})).await;
    let of_new = new.code_at(owls.bank.now());
    assert_eq!(code(&owls.check(&sign_in, "totp", &of_new, false).await), (403, "wrong-code"));
    let of_old = old.code_at(owls.bank.now());
    assert_eq!(owls.check(&sign_in, "totp", &of_old, false).await.status, 200);
    owls.good("POST", "/v1/users/alice/totp/confirm", &json!({ "code": of_new.as_str() })).await;
    owls.bank.advance(30).await;
    let sign_in = owls.sign_in(&json!({})).await;
    let of_old = old.code_at(owls.bank.now());
    assert_eq!(code(&owls.check(&sign_in, "totp", &of_old, false).await), (403, "wrong-code"));
    let user = owls.good("DELETE", "/v1/users/alice/totp", &Value::Null).await;
    assert_eq!(user["factors"], json!([]));
    assert_eq!(owls.sign_in(&json!({})).await["needed"], "enrolment");
}

#[tokio::test]
async fn recovery_codes_are_good_once_each_and_new_ones_end_the_old() {
    let owls = Owls::open().await;
    owls.totp().await;
    let made = owls.good("POST", "/v1/users/alice/recovery-codes", &Value::Null).await;
    let codes: Vec<String> = serde_json::from_value(made["codes"].clone()).expect("texts");
    assert_eq!(codes.len(), 10);
    let sign_in = owls.sign_in(&json!({})).await;
    assert_eq!(sign_in["factors"][1], json!({ "kind": "recovery-code", "hint": null }));
    assert_eq!(
        code(&owls.check(&sign_in, "recovery-code", "AAAA-AAAA-AAAA-AAAA", false).await),
        (403, "wrong-code")
    );
    let passed = owls.check(&sign_in, "recovery-code", &codes[0].to_lowercase(), false).await;
    assert_eq!((passed.status, &passed.body["recovery_codes_left"]), (200, &json!(9)));
    let other = owls.sign_in(&json!({})).await;
    assert_eq!(code(&owls.check(&other, "recovery-code", &codes[0], false).await), (403, "wrong-code"));
    owls.good("POST", "/v1/users/alice/recovery-codes", &Value::Null).await;
    assert_eq!(code(&owls.check(&other, "recovery-code", &codes[1], false).await), (403, "wrong-code"));
    let user = owls.good("DELETE", "/v1/users/alice/recovery-codes", &Value::Null).await;
    assert_eq!(user["recovery_codes_left"], 0);
}

#[tokio::test]
async fn a_trusted_browser_is_asked_nothing_and_is_no_second_factor() {
    let owls = Owls::open().await;
    let token = owls.trusted().await;
    let again = owls.sign_in(&json!({ "phone": TO, "device_token": token })).await;
    assert_eq!((&again["needed"], &again["because"]), (&json!("none"), &json!("device-trusted")));
    assert_eq!(again["assurance"], json!({ "level": 1, "by": "remembered-computer", "factor": null }));
    let next = token_of(&again);
    assert_ne!(next, token, "it changes at each use");
    owls.bank.advance(60).await;
    let always = owls.sign_in(&json!({ "phone": TO, "device_token": next, "always": true })).await;
    assert_eq!((&always["needed"], &always["because"]), (&json!("factor"), &json!("every-sign-in")));
    owls.bank.advance(30 * 86_400).await;
    let late = owls.sign_in(&json!({ "phone": TO, "device_token": token_of(&always) })).await;
    assert_eq!(late["needed"], "factor", "thirty days are over");
}

#[tokio::test]
async fn policies_of_the_application_and_of_a_user_say_what_is_asked() {
    let owls = Owls::open().await;
    let token = owls.trusted().await;
    let with = json!({ "phone": TO, "device_token": token });
    owls.policy(&json!({ "policy": "disabled" })).await;
    let sign_in = owls.sign_in(&with).await;
    assert_eq!((&sign_in["needed"], &sign_in["because"]), (&json!("none"), &json!("policy-disabled")));
    assert_eq!(sign_in["assurance"]["by"], "password");
    let own = json!({ "policy": "every-sign-in", "strong": true, "trust_days": 7 });
    let user = owls.good("PUT", "/v1/users/alice/policy", &own).await;
    assert_eq!((&user["policy"], &user["has_own_policy"]), (&own, &json!(true)));
    let sign_in = owls.sign_in(&with).await;
    assert_eq!(sign_in["needed"], "enrolment", "a phone does not do");
    let seed = owls.totp().await;
    let sign_in = owls.sign_in(&with).await;
    assert_eq!(sign_in["factors"], json!([{ "kind": "totp", "hint": null }]));
    assert_eq!(code(&owls.send(&sign_in).await), (409, "not-this-factor"));
    let passed = owls.check(&sign_in, "totp", &seed.code_at(owls.bank.now()), true).await;
    assert_eq!((passed.status, &passed.body["device_token"]), (200, &Value::Null), "the policy trusts none");
    let user = owls.good("DELETE", "/v1/users/alice/policy", &Value::Null).await;
    assert_eq!((&user["policy"]["policy"], &user["has_own_policy"]), (&json!("disabled"), &json!(false)));
    // What was trusted before a policy that trusts none is not trusted after it.
    owls.policy(&json!({ "policy": "once-per-computer" })).await;
    let sign_in = owls.sign_in(&with).await;
    assert_eq!((&sign_in["needed"], &sign_in["device"]), (&json!("factor"), &json!("not-trusted")));
}

#[tokio::test]
async fn fewer_days_hold_for_browsers_that_were_trusted_before() {
    let owls = Owls::open().await;
    let token = owls.trusted().await;
    owls.policy(&json!({ "policy": "once-per-computer", "trust_days": 2 })).await;
    owls.bank.advance(86_400).await;
    let next = token_of(&owls.sign_in(&json!({ "device_token": token })).await);
    owls.bank.advance(86_400).await;
    assert_eq!(owls.sign_in(&json!({ "phone": TO, "device_token": next })).await["needed"], "factor");
}

#[tokio::test]
async fn trusted_browsers_are_listed_and_revoked_one_by_one_and_all_at_once() {
    let owls = Owls::open().await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(owls.trusted().await);
        owls.bank.advance(600).await;
    }
    let listed = owls.good("GET", "/v1/users/alice/devices", &Value::Null).await;
    let listed = listed["devices"].as_array().expect("a list").clone();
    assert_eq!(listed.len(), 3);
    assert_eq!((&listed[0]["address"], &listed[0]["user_agent"]), (&json!("203.0.113.7"), &json!("Firefox")));
    let newest = listed[0]["id"].as_str().expect("an id");
    assert!(tokens[2].starts_with(newest));
    let path = format!("/v1/users/alice/devices/{newest}");
    assert_eq!(owls.good("DELETE", &path, &Value::Null).await, json!({ "ended": 1 }));
    assert_eq!(code(&owls.ask("DELETE", &path, &Value::Null).await), (404, "no-device"));
    let body = |token: &str| json!({ "device_token": token });
    let is = async |token: &str| {
        owls.good("POST", "/v1/users/alice/devices/check", &body(token)).await["device"].clone()
    };
    assert_eq!((is(&tokens[2]).await, is(&tokens[1]).await), (json!("not-trusted"), json!("trusted")));
    assert_eq!(owls.good("DELETE", "/v1/users/alice/devices", &Value::Null).await, json!({ "ended": 2 }));
    assert_eq!(is(&tokens[0]).await, json!("not-trusted"));
}

#[tokio::test]
async fn who_ends_all_trust_ends_the_sign_ins_that_wait_for_the_old_phone() {
    let owls = Owls::open().await;
    let trusted = owls.trusted().await;
    let half_way = owls.sign_in(&json!({ "phone": TO })).await;
    owls.bank.advance(60).await;
    let code_there = owls.sent(&half_way).await;
    let of_bob = json!({ "user": "bob", "phone": "+14155550124" });
    let of_bob = owls.good("POST", "/v1/sign-ins", &of_bob).await;
    // One browser alone ends no sign-in.
    let one = format!("/v1/users/alice/devices/{}", trusted.get(..19).expect("an id"));
    assert_eq!(owls.good("DELETE", &one, &Value::Null).await, json!({ "ended": 1 }));
    assert_eq!(code(&owls.check(&half_way, "phone", &wrong(&code_there), true).await), (403, "wrong-code"));
    // The number has changed: no browser is trusted, and yet somebody is half-way in.
    assert_eq!(owls.good("DELETE", "/v1/users/alice/devices", &Value::Null).await, json!({ "ended": 0 }));
    let late = owls.check(&half_way, "phone", &code_there, true).await;
    assert_eq!(code(&late), (409, "sign-in-over"), "{}", late.body);
    assert_eq!(code(&owls.send(&half_way).await), (409, "sign-in-over"));
    let user = owls.good("GET", "/v1/users/alice", &Value::Null).await;
    let subject = format!("user {}", user["reference"].as_str().expect("a reference"));
    let rows = owls.bank.store.audit_rows(Some(&subject), None, 9).await.expect("rows");
    let ended = rows.iter().find(|row| row.action == "user.device_end").expect("a row");
    assert_eq!(ended.detail["sign_ins"], 1);
    // Others, and whoever begins after it, sign in.
    let path = format!("/v1/sign-ins/{}/code", of_bob["id"].as_str().expect("an id"));
    assert_eq!(owls.ask("POST", &path, &json!({ "user": "bob" })).await.status, 200);
    owls.bank.work().await;
    owls.bank.advance(1).await;
    let anew = owls.sign_in(&json!({ "phone": "+14155550125" })).await;
    let code_new = owls.sent_to(&anew, "…25").await;
    assert_eq!(owls.check(&anew, "phone", &code_new, true).await.status, 200);
}

#[tokio::test]
async fn nothing_is_left_of_a_user_who_is_erased() {
    let owls = Owls::open().await;
    let token = owls.trusted().await;
    let seed = owls.totp().await;
    owls.good("POST", "/v1/users/alice/recovery-codes", &Value::Null).await;
    owls.good("PUT", "/v1/users/alice/policy", &json!({ "policy": "every-sign-in" })).await;
    let waits = owls.sign_in(&json!({ "phone": TO })).await;
    let reference = owls.good("GET", "/v1/users/alice", &Value::Null).await["reference"].clone();
    assert!(reference.is_string());
    assert_eq!(owls.good("DELETE", "/v1/users/alice", &Value::Null).await, json!({ "erased": true }));
    assert_eq!(owls.good("DELETE", "/v1/users/alice", &Value::Null).await, json!({ "erased": false }));
    let user = owls.good("GET", "/v1/users/alice", &Value::Null).await;
    assert_eq!((&user["reference"], &user["factors"]), (&Value::Null, &json!([])));
    assert_eq!(user["has_own_policy"], false);
    let code_now = seed.code_at(owls.bank.now());
    assert_eq!(code(&owls.check(&waits, "totp", &code_now, false).await), (404, "no-sign-in"));
    let again = owls.sign_in(&json!({ "device_token": token })).await;
    assert_eq!((&again["needed"], &again["device"]), (&json!("enrolment"), &json!("not-trusted")));
}
