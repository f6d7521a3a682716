//! SharedKeys, and the settings and rules that put them to use: the part of the Webhooks configuration API that
//! concerns signing (<https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys>,
//! <https://www.twilio.com/docs/usage/webhooks/webhook-rules>). Experimental: Twilio's API is a beta, and its OpenAPI
//! document was not at hand. It speaks JSON with names in camel case, unlike the older products; forms are taken as
//! well. Errors: <https://www.twilio.com/docs/api/errors/59000> and what follows there.

use ringfence_signature::Algorithm;
use ringfence_twilio::wire::Iso8601;
use serde::Deserialize;
use serde_json::{Value, json};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_v1, params};
use crate::world::World;
use crate::world::shared_keys::{self, EACH_MAX, Match, Rule, Setting, SharedKey};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Webhooks, Verb::Post, KEYS, create_key),
    Operation::new(Product::Webhooks, Verb::Get, KEYS, list_keys),
    Operation::new(Product::Webhooks, Verb::Get, "/v1/Webhooks/SharedKeys/{Id}", fetch_key),
    Operation::new(Product::Webhooks, Verb::Delete, "/v1/Webhooks/SharedKeys/{Id}", delete_key),
    Operation::new(Product::Webhooks, Verb::Post, SETTINGS, create_setting),
    Operation::new(Product::Webhooks, Verb::Get, SETTINGS, list_settings),
    Operation::new(Product::Webhooks, Verb::Get, "/v1/Webhooks/Settings/{Id}", fetch_setting),
    Operation::new(Product::Webhooks, Verb::Delete, "/v1/Webhooks/Settings/{Id}", delete_setting),
    Operation::new(Product::Webhooks, Verb::Post, RULES, create_rule),
    Operation::new(Product::Webhooks, Verb::Get, RULES, list_rules),
    Operation::new(Product::Webhooks, Verb::Get, "/v1/Webhooks/Rules/{Id}", fetch_rule),
    Operation::new(Product::Webhooks, Verb::Delete, "/v1/Webhooks/Rules/{Id}", delete_rule),
];

const KEYS: &str = "/v1/Webhooks/SharedKeys";
const SETTINGS: &str = "/v1/Webhooks/Settings";
const RULES: &str = "/v1/Webhooks/Rules";
const FRIENDLY_NAME_MAX: usize = 255;
const URL_MAX: usize = 2048;

// SharedKeys

fn create_key(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let friendly_name = friendly_name(request)?;
    let account = request.account;
    check_room(world.shared_keys.keys.iter().filter(|it| it.account == account).count())?;
    let secret = given_secret(request)?.unwrap_or_else(|| world.ids.token());
    let id = shared_keys::new_id(world, "sharedkey");
    let key = SharedKey { id, account, friendly_name, secret, created: world.now };
    let mut body = shown_key(request, &key);
    // Told this once.
    body["secret"] = json!(key.secret);
    world.shared_keys.keys.push(key);
    world.touch();
    Ok(Reply::created(&body))
}

/// Twilio makes the secret; here a test may bring one that the application under test knows already.
fn given_secret(request: &Request) -> Result<Option<String>, Refusal> {
    match params::some(&request.form, "secret") {
        Some(text) if !(16..=256).contains(&text.len()) => {
            Err(invalid("secret must have 16 to 256 characters"))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn list_keys(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.shared_keys.keys.iter().rev().filter(|it| it.account == request.account);
    list_v1(request, "sharedKeys", rows, |it| it.id.clone(), |it| shown_key(request, it))
}

fn fetch_key(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let key = world.shared_keys.keys.iter().find(|it| it.account == request.account && it.id == id);
    key.map(|it| Reply::ok(&shown_key(request, it))).ok_or_else(|| request.not_found())
}

fn delete_key(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let used = world.shared_keys.settings.iter().any(|it| it.account == request.account && it.key_id == id);
    let at = world.shared_keys.keys.iter().position(|it| it.account == request.account && it.id == id);
    let at = at.ok_or_else(|| request.not_found())?;
    if used {
        return Err(in_use("a Setting names this SharedKey"));
    }
    world.shared_keys.keys.remove(at);
    world.touch();
    Ok(Reply::deleted())
}

fn shown_key(request: &Request, key: &SharedKey) -> Value {
    json!({
        "id": key.id,
        "accountSid": key.account.to_string(),
        "friendlyName": key.friendly_name,
        "dateCreated": Iso8601(key.created),
        "url": request.url(&format!("{KEYS}/{}", key.id)),
    })
}

// Settings

/// The part of a setting that is about signing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    shared_key_id: String,
    #[serde(default)]
    algorithm: Option<String>,
}

fn create_setting(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let text = needed(request, "signature")?;
    let signature: Signature = serde_json::from_str(text)
        .map_err(|_| invalid("signature must be an object with sharedKeyId and algorithm"))?;
    let algorithm = match signature.algorithm.as_deref() {
        None | Some("HMAC_SHA1") => Algorithm::HmacSha1,
        Some("HMAC_SHA256") => Algorithm::HmacSha256,
        Some(_) => return Err(invalid("signature.algorithm must be HMAC_SHA1 or HMAC_SHA256")),
    };
    let (account, key_id) = (request.account, signature.shared_key_id);
    if !world.shared_keys.keys.iter().any(|it| it.account == account && it.id == key_id) {
        return Err(invalid("signature.sharedKeyId names no SharedKey of this account"));
    }
    check_room(world.shared_keys.settings.iter().filter(|it| it.account == account).count())?;
    let friendly_name = friendly_name(request)?;
    let id = shared_keys::new_id(world, "setting");
    let setting = Setting { id, account, friendly_name, key_id, algorithm, created: world.now };
    let body = shown_setting(request, &setting);
    world.shared_keys.settings.push(setting);
    world.touch();
    Ok(Reply::created(&body))
}

fn list_settings(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.shared_keys.settings.iter().rev().filter(|it| it.account == request.account);
    list_v1(request, "settings", rows, |it| it.id.clone(), |it| shown_setting(request, it))
}

fn fetch_setting(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let setting = world.shared_keys.settings.iter().find(|it| it.account == request.account && it.id == id);
    setting.map(|it| Reply::ok(&shown_setting(request, it))).ok_or_else(|| request.not_found())
}

fn delete_setting(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let used = shared_keys::is_in_use(world, request.account, id);
    let at = world.shared_keys.settings.iter().position(|it| it.account == request.account && it.id == id);
    let at = at.ok_or_else(|| request.not_found())?;
    if used {
        return Err(in_use("a Rule names this Setting"));
    }
    world.shared_keys.settings.remove(at);
    world.touch();
    Ok(Reply::deleted())
}

fn shown_setting(request: &Request, setting: &Setting) -> Value {
    json!({
        "id": setting.id,
        "type": "CUSTOMER",
        "accountSid": setting.account.to_string(),
        "friendlyName": setting.friendly_name,
        "signature": { "sharedKeyId": setting.key_id, "algorithm": setting.algorithm.as_str() },
        "dateCreated": Iso8601(setting.created),
        "url": request.url(&format!("{SETTINGS}/{}", setting.id)),
    })
}

// Rules

/// A setting of a rule.
#[derive(Debug, Deserialize)]
struct Share {
    id: String,
    #[serde(default)]
    percentage: Option<u64>,
}

fn create_rule(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let matches = match needed(request, "matchType")? {
        "EXACT_MATCH" => Match::Exact(url(request, "value")?),
        "PREFIX_MATCH" => Match::Prefix(url(request, "prefix")?),
        "DEFAULT" => Match::Default,
        _ => return Err(invalid("matchType must be EXACT_MATCH, PREFIX_MATCH or DEFAULT")),
    };
    let settings = shares(world, request)?;
    let account = request.account;
    if world.shared_keys.rules_of(account).any(|it| it.matches == matches) {
        return Err(Refusal::new(409, 59103, "A Rule with the same match key already exists"));
    }
    check_room(world.shared_keys.rules_of(account).count())?;
    let rule = shared_keys::add_rule(world, account, matches, settings);
    Ok(Reply::created(&shown_rule(world, request, &rule)))
}

/// The beginning of a URL, or a whole one. Special characters are not supported, say Twilio's documents.
fn url(request: &Request, name: &str) -> Result<String, Refusal> {
    let text = needed(request, name)?;
    if !params::is_web_url(text) || text.contains(['*', '#']) || text.len() > URL_MAX {
        return Err(invalid(&format!(
            "{name} must be the beginning of a web URL, without special characters"
        )));
    }
    Ok(text.to_owned())
}

fn shares(world: &World, request: &Request) -> Result<Vec<(String, u64)>, Refusal> {
    let text = needed(request, "settings")?;
    let shares: Vec<Share> = serde_json::from_str(text)
        .map_err(|_| invalid("settings must be an array of objects with id and percentage"))?;
    let each = match shares.len() {
        1 => 100,
        2 => 50,
        _ => return Err(invalid("settings must hold one or two Settings")),
    };
    let shares: Vec<_> = shares.into_iter().map(|it| (it.id, it.percentage.unwrap_or(each))).collect();
    let total = shares.iter().try_fold(0_u64, |sum, (_, percent)| sum.checked_add(*percent));
    if total != Some(100) {
        return Err(invalid("settings percentages must sum to 100"));
    }
    let known =
        |id: &str| world.shared_keys.settings.iter().any(|it| it.account == request.account && it.id == id);
    if !shares.iter().all(|(id, _)| known(id)) {
        return Err(invalid("settings names no Setting of this account"));
    }
    Ok(shares)
}

fn list_rules(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.shared_keys.rules_of(request.account);
    list_v1(request, "rules", rows, |it| it.id.clone(), |it| shown_rule(world, request, it))
}

fn fetch_rule(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let rule = world.shared_keys.rules_of(request.account).find(|it| it.id == id);
    rule.map(|it| Reply::ok(&shown_rule(world, request, it))).ok_or_else(|| request.not_found())
}

fn delete_rule(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    if shared_keys::remove_rule(world, request.account, request.param("Id")) {
        Ok(Reply::deleted())
    } else {
        Err(request.not_found())
    }
}

fn shown_rule(world: &World, request: &Request, rule: &Rule) -> Value {
    let (kind, value, prefix) = match &rule.matches {
        Match::Exact(url) => ("EXACT_MATCH", Some(url), None),
        Match::Prefix(url) => ("PREFIX_MATCH", None, Some(url)),
        Match::Default => ("DEFAULT", None, None),
    };
    let share = |(id, percentage): &(String, u64)| json!({ "id": id, "percentage": percentage });
    json!({
        "id": rule.id,
        "accountSid": rule.account.to_string(),
        "matchType": kind,
        "value": value,
        "prefix": prefix,
        "settings": rule.settings.iter().map(share).collect::<Vec<_>>(),
        "status": if rule.from <= world.now { "ACTIVE" } else { "PENDING" },
        "dateCreated": Iso8601(rule.created),
        "url": request.url(&format!("{RULES}/{}", rule.id)),
    })
}

fn friendly_name(request: &Request) -> Result<String, Refusal> {
    let name = request.form.get("friendlyName").unwrap_or_default();
    if name.chars().count() > FRIENDLY_NAME_MAX {
        return Err(invalid("friendlyName must have at most 255 characters"));
    }
    Ok(name.to_owned())
}

fn needed<'a>(request: &'a Request, name: &str) -> Result<&'a str, Refusal> {
    params::some(&request.form, name).ok_or_else(|| invalid(&format!("{name} is required")))
}

/// This API's own code for what cannot be used.
fn invalid(why: &str) -> Refusal {
    Refusal::bad_request(59000, format!("Validation Error: {why}"))
}

fn check_room(count: usize) -> Result<(), Refusal> {
    if count < EACH_MAX {
        return Ok(());
    }
    Err(Refusal::bad_request(59200, format!("Account Limit Reached: there can be {EACH_MAX} of these")))
}

fn in_use(why: &str) -> Refusal {
    Refusal::new(409, 59100, format!("Resource Is Still In Use: {why}"))
}

#[cfg(test)]
mod tests {
    use ringfence_signature::{
        self as signature, AccountKeys, KeyKind, Keyring, Policy, ReceivedUrl, SETTINGS_HEADER, Scratch,
        Signer, Verdict, verify,
    };

    use super::*;
    use crate::api::testing::{Api, error};
    use crate::world::webhooks::{Method, SignedRequest, Target, Then, Webhook, deliver};

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

    /// A key with its setting: the key's id and secret, and the setting's id.
    fn key(api: &mut Api, algorithm: &str) -> (String, String, String) {
        let made = api.post(KEYS, &[("friendlyName", "gate")]);
        let signature = json!({ "sharedKeyId": made.1["id"], "algorithm": algorithm }).to_string();
        let setting = api.post(SETTINGS, &[("signature", &signature)]);
        (id(&made), made.1["secret"].as_str().unwrap().to_owned(), id(&setting))
    }

    fn rule(api: &mut Api, kind: &str, url: &str, settings: &[&str]) -> (u16, Value) {
        let settings: Vec<_> = settings.iter().map(|id| json!({ "id": id })).collect();
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
        for signature in ["", "{}", r#"{"sharedKeyId": "webhooks_sharedkey_1"}"#] {
            assert_eq!(error(api.post(SETTINGS, &[("signature", signature)])), (400, 59000), "{signature}");
        }
        let md5 = json!({ "sharedKeyId": key, "algorithm": "HMAC_MD5" }).to_string();
        assert_eq!(error(api.post(SETTINGS, &[("signature", &md5)])), (400, 59000));
        assert_eq!(error(rule(&mut api, "REGEX", URL, &[&setting])), (400, 59000));
        assert_eq!(error(rule(&mut api, "EXACT_MATCH", "", &[&setting])), (400, 59000));
        assert_eq!(error(rule(&mut api, "EXACT_MATCH", URL, &[])), (400, 59000));
        assert_eq!(error(rule(&mut api, "EXACT_MATCH", URL, &["nobody"])), (400, 59000));
        assert_eq!(rule(&mut api, "EXACT_MATCH", URL, &[&setting]).0, 201);
        assert_eq!(error(rule(&mut api, "EXACT_MATCH", URL, &[&setting])), (409, 59103));
        assert_eq!(error(api.delete(&format!("{SETTINGS}/{setting}"))), (409, 59100));
        assert_eq!(error(api.delete(&format!("{KEYS}/{key}"))), (409, 59100));
        assert_eq!(error(api.get("/v1/Webhooks/SharedKeys/nobody")), (404, 20404));
    }

    #[test]
    fn a_secret_is_told_once_and_never_to_another_account() {
        let mut api = api();
        let (key, ..) = key(&mut api, "HMAC_SHA1");
        let path = format!("{KEYS}/{key}");
        assert_eq!(api.get(&path).1["secret"], Value::Null);
        let sub = api.subaccount("other");
        api.as_account(&sub);
        assert_eq!(error(api.get(&path)), (404, 20404));
        assert_eq!(error(api.delete(&path)), (404, 20404));
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
        let path = format!("{RULES}/{}", id(&made));
        assert_eq!(api.delete(&path).0, 204);
        assert_eq!(error(api.delete(&path)), (404, 20404));
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
}
