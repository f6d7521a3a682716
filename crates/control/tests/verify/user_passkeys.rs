//! Passkeys of an application's users: made, shown, taken away, and what is no passkey of theirs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ringfence_control::second_factor::ApplicationSettings;
use ringfence_testkit::authenticator::{Authenticator, Made, Shown};
use serde_json::{Value, json};

use crate::kit::{Answer, Options, TO};
use crate::users::{Owls, token_of};

const HOST: &str = "login.example.com";

async fn owls() -> Owls {
    let settings = ApplicationSettings { host: Some(HOST.to_owned()), ..ApplicationSettings::default() };
    Owls::with(Options { settings, ..Options::default() }).await
}

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or_default())
}

/// What `toJSON` of a credential that was made writes.
fn made(it: &Made) -> Value {
    json!({
        "id": "Y3JlZA", "rawId": "Y3JlZA", "type": "public-key", "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": {
            "clientDataJSON": BASE64.encode(&it.client_data),
            "attestationObject": BASE64.encode(&it.attestation),
            "transports": ["internal", "carrier-pigeon"],
        },
    })
}

/// What `toJSON` of a credential that was shown writes.
fn shown(it: &Shown) -> Value {
    json!({
        "id": BASE64.encode(&it.credential), "rawId": BASE64.encode(&it.credential), "type": "public-key",
        "clientExtensionResults": {},
        "response": {
            "clientDataJSON": BASE64.encode(&it.client_data),
            "authenticatorData": BASE64.encode(&it.authenticator_data),
            "signature": BASE64.encode(&it.signature),
            "userHandle": null,
        },
    })
}

fn challenge(answer: &Value) -> &str {
    answer["options"]["challenge"].as_str().expect("a challenge")
}

impl Owls {
    async fn make(&self, authenticator: &Authenticator, user: &str) -> Answer {
        let path = format!("/v1/users/{user}/passkeys");
        let asked =
            self.good("POST", &format!("{path}/options"), &json!({ "account": "alice@example.com" })).await;
        let made = made(&authenticator.makes(challenge(&asked)));
        self.ask("POST", &path, &json!({ "name": "Alice’s phone", "credential": made })).await
    }

    async fn wanted(&self, sign_in: &Value) -> Value {
        let path = format!("/v1/sign-ins/{}/passkey", sign_in["id"].as_str().expect("an id"));
        self.good("POST", &path, &json!({ "user": "alice" })).await
    }

    async fn show(&self, sign_in: &Value, shown: &Value, trust: bool) -> Answer {
        let path = format!("/v1/sign-ins/{}/passkey/check", sign_in["id"].as_str().expect("an id"));
        self.ask("POST", &path, &json!({ "user": "alice", "credential": shown, "trust": trust })).await
    }
}

#[tokio::test]
async fn a_passkey_is_made_and_passes_sign_ins_where_a_phone_does_not_do() {
    let owls = owls().await;
    owls.policy(&json!({ "policy": "once-per-computer", "strong": true })).await;
    assert_eq!(owls.sign_in(&json!({ "phone": TO })).await["needed"], "enrolment");
    let phone = Authenticator::new(b"cred", HOST);
    let asked = owls.good("POST", "/v1/users/alice/passkeys/options", &Value::Null).await;
    assert_eq!(asked["options"]["rp"], json!({ "id": HOST, "name": "Owl Bank" }));
    assert_eq!(asked["options"]["user"]["name"], "alice");
    assert_eq!(asked["options"]["authenticatorSelection"]["userVerification"], "required");
    let made = owls.make(&phone, "alice").await;
    assert_eq!(made.status, 200, "{}", made.body);
    let known = owls.good("GET", "/v1/users/alice", &Value::Null).await;
    let factor = &known["factors"][0];
    assert_eq!((&factor["kind"], &factor["name"]), (&json!("passkey"), &json!("Alice’s phone")));
    assert_eq!((&factor["id"], &factor["used_at"]), (&made.body["id"], &Value::Null));

    let sign_in = owls.sign_in(&json!({ "phone": TO })).await;
    assert_eq!(sign_in["factors"], json!([{ "kind": "passkey", "hint": null }]));
    let asked = owls.wanted(&sign_in).await;
    assert_eq!(asked["options"]["allowCredentials"][0]["transports"], json!(["internal"]));
    let passed = owls.show(&sign_in, &shown(&phone.shows(challenge(&asked), 2)), true).await;
    let assurance = json!({ "level": 2, "by": "second-factor", "factor": "passkey" });
    assert_eq!((passed.status, &passed.body["assurance"]), (200, &assurance), "{}", passed.body);
    let trusted = owls.sign_in(&json!({ "device_token": token_of(&passed.body) })).await;
    assert_eq!((&trusted["needed"], &trusted["because"]), (&json!("none"), &json!("device-trusted")));
    // What passed is over, and the challenge with it.
    let again = owls.show(&sign_in, &shown(&phone.shows(challenge(&asked), 3)), false).await;
    assert_eq!(code(&again), (409, "sign-in-over"));

    let id = made.body["id"].as_str().expect("an id");
    let path = format!("/v1/users/alice/passkeys/{id}");
    let other = owls.ask("DELETE", &format!("/v1/users/bob/passkeys/{id}"), &Value::Null).await;
    assert_eq!(code(&other), (404, "no-passkey"), "it is alice's");
    assert_eq!(owls.good("DELETE", &path, &Value::Null).await["factors"], json!([]));
    // So does the browser of whoever stole it.
    let stolen = owls.sign_in(&json!({ "device_token": token_of(&trusted) })).await;
    assert_eq!((&stolen["needed"], &stolen["device"]), (&json!("enrolment"), &json!("not-trusted")));
    assert_eq!(code(&owls.ask("DELETE", &path, &Value::Null).await), (404, "no-passkey"));
    assert_eq!(owls.sign_in(&json!({})).await["needed"], "enrolment");
}

#[tokio::test]
async fn what_is_not_the_answer_to_this_question_passes_nothing_and_is_told_why() {
    let owls = owls().await;
    let phone = Authenticator::new(b"cred", HOST);
    assert_eq!(owls.make(&phone, "alice").await.status, 200);
    let refused = async |answer: &dyn Fn(&str) -> Shown| {
        let sign_in = owls.sign_in(&json!({})).await;
        let asked = owls.wanted(&sign_in).await;
        let answer = shown(&answer(challenge(&asked)));
        let said = owls.show(&sign_in, &answer, true).await;
        assert_eq!(code(&said), (403, "wrong-passkey"), "{}", said.body);
        assert_eq!(code(&owls.show(&sign_in, &answer, true).await), (409, "no-code"), "one is looked at");
        said.body["detail"].as_str().expect("a detail").to_owned()
    };
    let phone = phone.led_to("https://login.example.com.evil.example");
    let said = refused(&|it| phone.shows(it, 2)).await;
    assert_eq!(said, "the page was not at https://login.example.com, as the browser says");
    let phone = phone.led_to("https://login.example.com").for_party("evil.example");
    assert!(refused(&|it| phone.shows(it, 2)).await.contains("another site"));
    let phone = phone.for_party(HOST);
    assert!(refused(&|_| phone.shows("AAAA", 2)).await.contains("ask again"));
    let stranger = Authenticator::new(b"cred", HOST);
    assert!(refused(&|it| stranger.shows(it, 2)).await.contains("signature"), "it has not the key");
}

#[tokio::test]
async fn wrong_answers_lock_no_owner_out_however_many_there_are() {
    let owls = owls().await;
    let phone = Authenticator::new(b"cred", HOST);
    assert_eq!(owls.make(&phone, "alice").await.status, 200);
    // A thief who has the password has no signature, and may say what he likes.
    let (thief, unknown) = (Authenticator::new(b"cred", HOST), Authenticator::new(b"none", HOST));
    let sign_in = owls.sign_in(&json!({})).await;
    for round in 0..120 {
        let asked = owls.wanted(&sign_in).await;
        let answer = if round % 2 == 0 { &thief } else { &unknown }.shows(challenge(&asked), 2);
        let said = owls.show(&sign_in, &shown(&answer), true).await;
        assert_eq!(code(&said), (403, "wrong-passkey"), "{round}: {}", said.body);
    }
    let user = owls.good("GET", "/v1/users/alice", &Value::Null).await;
    assert_eq!(user["factors"][0]["disabled"], false);
    let rows = owls.bank.store.audit_rows(None, None, 500).await.expect("the log");
    assert_eq!(rows.iter().filter(|row| row.action == "user.refuse").count(), 120);
    let owners = owls.sign_in(&json!({})).await;
    assert_eq!(owners["needed"], "factor");
    let asked = owls.wanted(&owners).await;
    assert_eq!(owls.show(&owners, &shown(&phone.shows(challenge(&asked), 2)), false).await.status, 200);
}

#[tokio::test]
async fn a_copy_is_told_from_its_original_by_its_counter() {
    let owls = owls().await;
    let phone = Authenticator::new(b"cred", HOST);
    assert_eq!(owls.make(&phone, "alice").await.status, 200);
    for (counter, expected) in [(7, 200), (7, 403), (3, 403), (8, 200)] {
        let sign_in = owls.sign_in(&json!({})).await;
        let asked = owls.wanted(&sign_in).await;
        let answer = owls.show(&sign_in, &shown(&phone.shows(challenge(&asked), counter)), false).await;
        assert_eq!(answer.status, expected, "{counter}: {}", answer.body);
    }
    let rows = owls.bank.store.audit_rows(None, None, 100).await.expect("the log");
    assert_eq!(rows.iter().filter(|row| row.action == "user.factor_copied").count(), 2);
}

#[tokio::test]
async fn a_passkey_is_one_users_at_one_application_and_a_challenge_is_of_one_sign_in() {
    let owls = owls().await;
    let phone = Authenticator::new(b"cred", HOST);
    assert_eq!(owls.make(&phone, "alice").await.status, 200);
    let twice = owls.make(&phone, "bob").await;
    assert_eq!(code(&twice), (403, "wrong-passkey"), "the credential is alice's already");
    let made_for_nobody = made(&phone.makes("AAAA"));
    let body = json!({ "name": "x", "credential": made_for_nobody });
    assert_eq!(code(&owls.ask("POST", "/v1/users/carol/passkeys", &body).await), (403, "wrong-passkey"));

    let (one, two) = (owls.sign_in(&json!({})).await, owls.sign_in(&json!({})).await);
    let (asked, _) = (owls.wanted(&one).await, owls.wanted(&two).await);
    let of_one = shown(&phone.shows(challenge(&asked), 2));
    assert_eq!(code(&owls.show(&two, &of_one, false).await), (403, "wrong-passkey"));
    let path = format!("/v1/sign-ins/{}/passkey", one["id"].as_str().expect("an id"));
    assert_eq!(code(&owls.ask("POST", &path, &json!({ "user": "bob" })).await), (404, "no-sign-in"));
    let check = json!({ "user": "bob", "credential": of_one });
    assert_eq!(code(&owls.ask("POST", &format!("{path}/check"), &check).await), (404, "no-sign-in"));
    owls.bank.advance(301).await;
    assert_eq!(code(&owls.show(&one, &of_one, false).await), (409, "no-code"), "its five minutes are over");
    // A code is no passkey, and a sign-in without one is asked for none.
    assert_eq!(code(&owls.check(&one, "passkey", "123456", false).await), (422, "invalid-body"));
    let bobs = owls.good("POST", "/v1/sign-ins", &json!({ "user": "bob", "phone": TO })).await;
    let path = format!("/v1/sign-ins/{}/passkey", bobs["id"].as_str().expect("an id"));
    assert_eq!(code(&owls.ask("POST", &path, &json!({ "user": "bob" })).await), (409, "not-this-factor"));
    // Whoever is erased takes them along.
    owls.good("DELETE", "/v1/users/alice", &Value::Null).await;
    assert_eq!(owls.make(&phone, "bob").await.status, 200);
}

#[tokio::test]
async fn passkeys_are_for_the_applications_host_and_managed_by_who_may() {
    let owls = owls().await;
    let local = Authenticator::at(b"cred", "https://login.example.com:8443", HOST);
    let asked = owls.good("POST", "/v1/users/alice/passkeys/options", &json!({})).await;
    let credential = made(&local.makes(challenge(&asked)));
    let add = async |origin: &str| {
        let body = json!({ "name": "a key", "origin": origin, "credential": credential });
        owls.ask("POST", "/v1/users/alice/passkeys", &body).await
    };
    for elsewhere in
        ["https://evil.example", "http://login.example.com", "https://login.example.com.evil.example"]
    {
        assert_eq!(code(&add(elsewhere).await), (409, "no-host"), "{elsewhere}");
    }
    assert_eq!(add("https://login.example.com:8443").await.status, 200);
    let ask = async |path: &str| owls.bank.users(Some(&owls.bank.login), "POST", path, Some("{}")).await;
    assert_eq!(code(&ask("/v1/users/alice/passkeys/options").await), (403, "may-not-manage"));

    let without = Owls::open().await;
    let answer = without.ask("POST", "/v1/users/alice/passkeys/options", &json!({})).await;
    assert_eq!(code(&answer), (409, "no-host"));
    let detail = answer.body["detail"].as_str().expect("a detail");
    assert!(detail.contains("ringfence application change VA"), "{detail}");
}

#[tokio::test]
async fn nobody_has_more_than_ten() {
    let owls = owls().await;
    for number in 0..10_u8 {
        let made = owls.make(&Authenticator::new(&[b'a', b'b', b'c', number], HOST), "alice").await;
        assert_eq!(made.status, 200, "{}", made.body);
    }
    let asked = owls.ask("POST", "/v1/users/alice/passkeys/options", &json!({})).await;
    assert_eq!(code(&asked), (409, "too-many-passkeys"));
}
