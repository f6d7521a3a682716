//! SharedKeys, and the settings that put them to use: the part of the Webhooks configuration API that concerns signing
//! (<https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys>). Experimental: Twilio's API is a beta, and its OpenAPI
//! document was not at hand. It speaks JSON with names in camel case, unlike the older products; forms are taken as
//! well. Errors: <https://www.twilio.com/docs/api/errors/59000> and what follows there.

use ringfence_signature::Algorithm;
use ringfence_twilio::wire::Iso8601;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, params};
use crate::world::World;
use crate::world::shared_keys::{self, EACH_MAX, Setting, SharedKey};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Webhooks, Verb::Post, KEYS, create_key),
    Operation::new(Product::Webhooks, Verb::Get, KEYS, list_keys),
    Operation::new(Product::Webhooks, Verb::Get, "/v1/Webhooks/SharedKeys/{Id}", fetch_key),
    Operation::new(Product::Webhooks, Verb::Delete, "/v1/Webhooks/SharedKeys/{Id}", delete_key),
    Operation::new(Product::Webhooks, Verb::Post, SETTINGS, create_setting),
    Operation::new(Product::Webhooks, Verb::Get, SETTINGS, list_settings),
    Operation::new(Product::Webhooks, Verb::Get, "/v1/Webhooks/Settings/{Id}", fetch_setting),
    Operation::new(Product::Webhooks, Verb::Delete, "/v1/Webhooks/Settings/{Id}", delete_setting),
];

const KEYS: &str = "/v1/Webhooks/SharedKeys";
const SETTINGS: &str = "/v1/Webhooks/Settings";
const FRIENDLY_NAME_MAX: usize = 255;

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
    list(request, "sharedKeys", rows.map(|it| shown_key(request, it)))
}

fn fetch_key(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let key = world.shared_keys.keys.iter().find(|it| it.account == request.account && it.id == id);
    key.map(|it| Reply::ok(&shown_key(request, it))).ok_or_else(not_found)
}

fn delete_key(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let used = world.shared_keys.settings.iter().any(|it| it.account == request.account && it.key_id == id);
    let at = world.shared_keys.keys.iter().position(|it| it.account == request.account && it.id == id);
    let at = at.ok_or_else(not_found)?;
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
        "createdAt": Iso8601(key.created),
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
        return Err(unknown("signature.sharedKeyId names no SharedKey of this account"));
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
    // Whoever wants to remove a key asks who names it.
    let key = params::some(&request.query, "sharedKeyId");
    let rows = world.shared_keys.settings.iter().rev().filter(|it| it.account == request.account);
    let rows = rows.filter(|it| key.is_none_or(|key| it.key_id == key));
    list(request, "settings", rows.map(|it| shown_setting(request, it)))
}

fn fetch_setting(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let setting = world.shared_keys.settings.iter().find(|it| it.account == request.account && it.id == id);
    setting.map(|it| Reply::ok(&shown_setting(request, it))).ok_or_else(not_found)
}

fn delete_setting(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let used = shared_keys::is_in_use(world, request.account, id);
    let at = world.shared_keys.settings.iter().position(|it| it.account == request.account && it.id == id);
    let at = at.ok_or_else(not_found)?;
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
        "auth": { "type": "NONE" },
        "signature": { "sharedKeyId": setting.key_id, "algorithm": setting.algorithm.as_str() },
        "createdAt": Iso8601(setting.created),
        "url": request.url(&format!("{SETTINGS}/{}", setting.id)),
    })
}

pub(super) fn friendly_name(request: &Request) -> Result<String, Refusal> {
    let name = request.form.get("friendlyName").unwrap_or_default();
    if name.chars().count() > FRIENDLY_NAME_MAX {
        return Err(invalid("friendlyName must have at most 255 characters"));
    }
    Ok(name.to_owned())
}

pub(super) fn needed<'a>(request: &'a Request, name: &str) -> Result<&'a str, Refusal> {
    params::some(&request.form, name).ok_or_else(|| invalid(&format!("{name} is required")))
}

/// This API's own code for what cannot be used.
pub(super) fn invalid(why: &str) -> Refusal {
    Refusal::bad_request(59000, format!("Validation Error: {why}"))
}

pub(super) fn check_room(count: usize) -> Result<(), Refusal> {
    if count < EACH_MAX {
        return Ok(());
    }
    Err(Refusal::bad_request(59200, format!("Account Limit Reached: there can be {EACH_MAX} of these")))
}

/// This API's own code for what the path names and is not there.
pub(super) fn not_found() -> Refusal {
    Refusal::new(404, 59003, "Resource Not Found")
}

/// This API's own code for a name of nothing.
pub(super) fn unknown(why: &str) -> Refusal {
    Refusal::bad_request(59201, format!("Referenced Resource Not Found: {why}"))
}

/// A page of this API: a token leads to the next one, in the place of a link.
pub(super) fn list(
    request: &Request,
    key: &str,
    rows: impl Iterator<Item = Value>,
) -> Result<Reply, Refusal> {
    let size = params::number(&request.query, "pageSize", 1, 1000)?.unwrap_or(50);
    let from = params::number(&request.query, "pageToken", 0, u64::from(u32::MAX))?.unwrap_or(0);
    let (size, from) = (usize::try_from(size).unwrap_or(50), usize::try_from(from).unwrap_or(usize::MAX));
    let mut rows = rows.skip(from).peekable();
    let shown: Vec<_> = rows.by_ref().take(size).collect();
    let next = rows.peek().map(|_| (from + shown.len()).to_string());
    let mut body = Map::new();
    body.insert(key.to_owned(), Value::Array(shown));
    body.insert("meta".to_owned(), json!({ "key": key, "pageSize": size, "nextToken": next }));
    Ok(Reply::ok(&body))
}

pub(super) fn in_use(why: &str) -> Refusal {
    Refusal::new(409, 59100, format!("Resource Is Still In Use: {why}"))
}

#[cfg(test)]
mod tests;
