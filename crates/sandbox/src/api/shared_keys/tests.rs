//! Keys, settings and rules together, and what they make of a webhook.

use ringfence_signature::{
    self as signature, AccountKeys, KeyKind, Keyring, Policy, ReceivedUrl, SETTINGS_HEADER, Scratch, Signer,
    Verdict, verify,
};

use super::*;
use crate::api::testing::{Api, error};
use crate::world::webhooks::{Method, SignedRequest, Target, Then, Webhook, deliver};

const RULES: &str = "/v1/Webhooks/Rules";
const URL: &str = "https://app.example/hooks/sms";

fn api() -> Api {
    let mut api = Api::new();
    api.of(Product::Webhooks);
    api
}

fn id(answer: &(u16, Value)) -> String {
    assert_eq!(answer.0, 201, "{}", answer.1);
    answer.1["id"].as_str().unwrap().to_owned()
}

/// The rule that a change that was accepted is of.
fn rule_id(answer: &(u16, Value)) -> String {
    assert_eq!(answer.0, 202, "{}", answer.1);
    answer.1["resourceId"].as_str().unwrap().to_owned()
}

/// A key with its setting: the key's id and secret, and the setting's id.
fn key(api: &mut Api, algorithm: &str) -> (String, String, String) {
    let made = api.post(KEYS, &[("friendlyName", "gate")]);
    let signature = json!({ "sharedKeyId": made.1["id"], "algorithm": algorithm }).to_string();
    let setting = api.post(SETTINGS, &[("signature", &signature)]);
    (id(&made), made.1["secret"].as_str().unwrap().to_owned(), id(&setting))
}

fn rule(api: &mut Api, kind: &str, url: &str, settings: &[&str]) -> (u16, Value) {
    let settings: Vec<_> = settings.iter().map(|id| json!({ "settingId": id })).collect();
    let settings = Value::from(settings).to_string();
    let name = if kind == "PREFIX_MATCH" { "prefix" } else { "value" };
    api.post(RULES, &[("matchType", kind), (name, url), ("settings", &settings)])
}

/// What the verifier says of a webhook to this URL, where it knows the auth token and what `add` adds.
fn verdict(
    api: &mut Api,
    url: &str,
    method: Method,
    add: impl Fn(AccountKeys) -> AccountKeys,
) -> Result<KeyKind, signature::Refusal> {
    let token = api.credentials_of(api.main).token;
    let keys = AccountKeys::new(api.main.to_string().parse().unwrap()).primary(&token);
    let keyring = Keyring::new([add(keys)]).unwrap();
    let sent = request(api, url, method);
    let header = |name: &str| header(&sent.headers, name);
    let (content_type, settings) = (header("content-type"), header(SETTINGS_HEADER));
    let received = signature::Request {
        method: method.as_str(),
        url: ReceivedUrl::parse(sent.url.as_bytes()),
        websocket: false,
        content_type: content_type.as_deref().map(str::as_bytes),
        body: &sent.body,
        signature: sent.signature().map(str::as_bytes),
        settings: settings.as_deref().map(str::as_bytes),
    };
    match verify(&received, &keyring, &Policy::default(), &mut Scratch::default()) {
        Verdict::Allow(allowed) => Ok(allowed.key),
        Verdict::Refuse(refusal) => Err(refusal),
    }
}

/// The headers of a webhook to this URL.
fn sent(api: &mut Api, url: &str) -> Vec<(&'static str, String)> {
    request(api, url, Method::Post).headers
}

fn request(api: &mut Api, url: &str, method: Method) -> SignedRequest {
    let target = Target { url: url.to_owned(), method };
    let (account, kind) = (api.main, "message-status");
    let params = vec![("MessageStatus", "sent".to_owned())];
    let webhook = Webhook { account, kind, target, params, then: Then::Nothing };
    let sid = deliver(&mut api.world, webhook);
    api.world.webhooks.log.find(sid).unwrap().request.clone().unwrap()
}

fn header(headers: &[(&'static str, String)], name: &str) -> Option<String> {
    headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut api = api();
    let (key, _, setting) = key(&mut api, "HMAC_SHA256");
    for (signature, code) in
        [("", 59000), ("{}", 59000), (r#"{"sharedKeyId": "webhooks_sharedkey_1"}"#, 59201)]
    {
        assert_eq!(error(api.post(SETTINGS, &[("signature", signature)])), (400, code), "{signature}");
    }
    let md5 = json!({ "sharedKeyId": key, "algorithm": "HMAC_MD5" }).to_string();
    assert_eq!(error(api.post(SETTINGS, &[("signature", &md5)])), (400, 59000));
    assert_eq!(error(rule(&mut api, "REGEX", URL, &[&setting])), (400, 59000));
    assert_eq!(error(rule(&mut api, "EXACT_MATCH", "", &[&setting])), (400, 59000));
    assert_eq!(error(rule(&mut api, "EXACT_MATCH", URL, &[])), (400, 59000));
    assert_eq!(error(rule(&mut api, "EXACT_MATCH", URL, &["nobody"])), (400, 59201));
    assert_eq!(rule(&mut api, "EXACT_MATCH", URL, &[&setting]).0, 202);
    assert_eq!(error(rule(&mut api, "EXACT_MATCH", URL, &[&setting])), (409, 59103));
    assert_eq!(error(api.delete(&format!("{SETTINGS}/{setting}"))), (409, 59100));
    assert_eq!(error(api.delete(&format!("{KEYS}/{key}"))), (409, 59100));
    assert_eq!(error(api.get("/v1/Webhooks/SharedKeys/nobody")), (404, 59003));
}

#[test]
fn a_secret_is_told_once_and_never_to_another_account() {
    let mut api = api();
    let (key, ..) = key(&mut api, "HMAC_SHA1");
    let path = format!("{KEYS}/{key}");
    assert_eq!(api.get(&path).1["secret"], Value::Null);
    let sub = api.subaccount("other");
    api.as_account(&sub);
    assert_eq!(error(api.get(&path)), (404, 59003));
    assert_eq!(error(api.delete(&path)), (404, 59003));
}

#[test]
fn a_rule_makes_a_key_sign_and_the_most_exact_one_counts() {
    let mut api = api();
    let (_, _, usual) = key(&mut api, "HMAC_SHA1");
    let (special, secret, setting) = key(&mut api, "HMAC_SHA256");
    rule(&mut api, "DEFAULT", "", &[&usual]);
    rule(&mut api, "PREFIX_MATCH", "https://app.example/hooks/", &[&setting]);
    let headers = sent(&mut api, URL);
    let signer = Signer::shared_key(&special, &secret, Algorithm::HmacSha256);
    let expected = signer.form(URL, [("MessageStatus", "sent")]);
    for (name, value) in &expected.headers {
        if name.starts_with("x-twilio") {
            assert_eq!(header(&headers, name).as_deref(), Some(value.as_str()), "{name}");
        }
    }
    let elsewhere = sent(&mut api, "https://app.example/other");
    let settings = header(&elsewhere, "x-twilio-webhooks-signature-settings").unwrap();
    assert!(settings.ends_with("algorithm=HMAC_SHA1"), "{settings}");
}

#[test]
fn a_rule_counts_when_its_change_has_got_everywhere() {
    let mut api = api();
    api.world.settings.shared_key_delay_s = 60;
    let (.., setting) = key(&mut api, "HMAC_SHA256");
    let made = rule(&mut api, "EXACT_MATCH", URL, &[&setting]);
    assert_eq!(made.1["status"], "PENDING");
    let settings = "x-twilio-webhooks-signature-settings";
    assert_eq!(header(&sent(&mut api, URL), settings), None);
    api.pass_s(60);
    assert!(header(&sent(&mut api, URL), settings).is_some());
    let path = format!("{RULES}/{}", rule_id(&made));
    assert_eq!(api.get(&path).1["status"], "ACTIVE");
    assert_eq!(api.delete(&path).0, 202);
    assert_eq!(error(api.delete(&path)), (404, 59003));
    assert_eq!(api.get(RULES).1["rules"], json!([]));
    assert!(header(&sent(&mut api, URL), settings).is_some(), "nor does it go at once");
    assert_eq!(error(api.delete(&format!("{SETTINGS}/{setting}"))), (409, 59100));
    api.pass_s(60);
    assert_eq!(header(&sent(&mut api, URL), settings), None);
    assert_eq!(api.delete(&format!("{SETTINGS}/{setting}")).0, 204);
}

#[test]
fn an_account_has_room_for_fifty_keys() {
    let mut api = api();
    for _ in 0..EACH_MAX {
        assert_eq!(api.post(KEYS, &[]).0, 201);
    }
    assert_eq!(error(api.post(KEYS, &[])), (400, 59200));
    let child = api.subaccount("other");
    assert_eq!(api.as_account(&child).post(KEYS, &[]).0, 201);
}

#[test]
fn a_webhook_verifies_under_its_shared_key_and_no_longer_under_the_auth_token() {
    let mut api = api();
    let (id, secret, setting) = key(&mut api, "HMAC_SHA256");
    rule(&mut api, "PREFIX_MATCH", "https://app.example/hooks/", &[&setting]);
    let with_key = |keys: AccountKeys| keys.shared_key(&id, &secret, Algorithm::HmacSha256);
    for method in [Method::Post, Method::Get] {
        assert_eq!(verdict(&mut api, URL, method, with_key), Ok(KeyKind::Shared), "{method:?}");
        let without = verdict(&mut api, URL, method, |keys| keys);
        assert_eq!(without, Err(signature::Refusal::UnknownSharedKey), "{method:?}");
        let elsewhere = verdict(&mut api, "https://app.example/other", method, with_key);
        assert_eq!(elsewhere, Ok(KeyKind::Primary), "{method:?}");
    }
    let other_secret = |keys: AccountKeys| keys.shared_key(&id, "another secret", Algorithm::HmacSha256);
    let refused = verdict(&mut api, URL, Method::Post, other_secret);
    assert_eq!(refused, Err(signature::Refusal::SignatureMismatch));
}

#[test]
fn an_exact_rule_means_the_url_without_what_a_get_adds_to_it() {
    let mut api = api();
    let (id, secret, setting) = key(&mut api, "HMAC_SHA1");
    rule(&mut api, "EXACT_MATCH", URL, &[&setting]);
    let with_key = |keys: AccountKeys| keys.shared_key(&id, &secret, Algorithm::HmacSha1);
    assert_eq!(verdict(&mut api, URL, Method::Get, with_key), Ok(KeyKind::Shared));
}

#[test]
fn a_secret_may_be_brought_along() {
    let mut api = api();
    assert_eq!(error(api.post(KEYS, &[("secret", "too short")])), (400, 59000));
    let made = api.post(KEYS, &[("secret", "known to the application")]);
    assert_eq!((made.0, &made.1["secret"]), (201, &json!("known to the application")));
}

#[test]
fn two_keys_of_a_rule_both_sign() {
    let mut api = api();
    let (one, _, first) = key(&mut api, "HMAC_SHA256");
    let (other, _, second) = key(&mut api, "HMAC_SHA256");
    rule(&mut api, "DEFAULT", "", &[&first, &second]);
    let names: std::collections::BTreeSet<_> = (0..50)
        .map(|_| header(&sent(&mut api, URL), "x-twilio-webhooks-signature-settings").unwrap())
        .collect();
    let expected = [one, other].map(|id| format!("key={id},algorithm=HMAC_SHA256"));
    assert_eq!(names, expected.into_iter().collect());
}

#[test]
fn a_changed_rule_goes_on_as_it_was_until_its_change_has_got_everywhere() {
    let mut api = api();
    api.world.settings.shared_key_delay_s = 60;
    let (one, _, first) = key(&mut api, "HMAC_SHA256");
    let (other, _, second) = key(&mut api, "HMAC_SHA256");
    let id = rule_id(&rule(&mut api, "PREFIX_MATCH", "https://app.example/hooks/", &[&first]));
    api.pass_s(60);
    let signer = |api: &mut Api| header(&sent(api, URL), "x-twilio-webhooks-signature-settings");
    let by = |key: &str| Some(format!("key={key},algorithm=HMAC_SHA256"));
    let path = format!("{RULES}/{id}");
    let settings = |id: &str| json!([{ "settingId": id }]).to_string();
    assert_eq!(error(api.patch(&path, &[("settings", &settings("nobody"))])), (400, 59201));
    assert_eq!(
        error(api.patch("/v1/Webhooks/Rules/nobody", &[("settings", &settings(&second))])),
        (404, 59003)
    );
    let changed = api.patch(&path, &[("settings", &settings(&second))]);
    assert_eq!(
        (changed.0, &changed.1["status"], &changed.1["resourceId"]),
        (202, &json!("PENDING"), &json!(id))
    );
    assert_eq!(api.get(&path).1["settings"], json!([{ "settingId": second, "percentage": 100 }]));
    assert_eq!(api.get(RULES).1["rules"].as_array().unwrap().len(), 1);
    assert_eq!(signer(&mut api), by(&one));
    let held = api.delete(&format!("{SETTINGS}/{first}"));
    assert_eq!(error(held), (409, 59100), "it still counts");
    api.pass_s(60);
    assert_eq!(signer(&mut api), by(&other));
    let operation = format!("/v1/Webhooks/Operations/{}", changed.1["id"].as_str().unwrap());
    assert_eq!(api.get(&operation).1["status"], "COMPLETED");
    let of_rule = api.get(&format!("/v1/Webhooks/Operations?resourceId={id}")).1;
    assert_eq!(of_rule["operations"].as_array().unwrap().len(), 2, "it was made and changed");
    assert_eq!(api.delete(&format!("{SETTINGS}/{first}")).0, 204);
}

#[test]
fn a_list_is_read_page_by_page_by_tokens() {
    let mut api = api();
    for _ in 0..3 {
        api.post(KEYS, &[]);
    }
    let first = api.get(&format!("{KEYS}?pageSize=2")).1;
    assert_eq!(
        (first["sharedKeys"].as_array().unwrap().len(), &first["meta"]["nextToken"]),
        (2, &json!("2"))
    );
    let last = api.get(&format!("{KEYS}?pageSize=2&pageToken=2")).1;
    assert_eq!((last["sharedKeys"].as_array().unwrap().len(), &last["meta"]["nextToken"]), (1, &Value::Null));
    assert_eq!(error(api.get(&format!("{KEYS}?pageToken=x"))).0, 400);
}
