//! API keys: <https://www.twilio.com/docs/iam/api-keys/key-resource-v2010>. `SigningKeys` is their older name, and
//! the same keys are behind it.

use ringfence_model::Secret;
use ringfence_twilio::wire::{self, Rfc2822};

use super::operation::{Access, Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010, params};
use crate::world::World;
use crate::world::keys::{self, Key};

const KEYS: &str = "/2010-04-01/Accounts/{AccountSid}/Keys.json";
const KEY: &str = "/2010-04-01/Accounts/{AccountSid}/Keys/{Sid}.json";
const SIGNING_KEYS: &str = "/2010-04-01/Accounts/{AccountSid}/SigningKeys.json";
const SIGNING_KEY: &str = "/2010-04-01/Accounts/{AccountSid}/SigningKeys/{Sid}.json";

pub(super) const OPERATIONS: &[Operation] = &[
    operation(Verb::Post, KEYS, create).creates(),
    operation(Verb::Get, KEYS, list),
    operation(Verb::Get, KEY, fetch),
    operation(Verb::Post, KEY, update),
    operation(Verb::Delete, KEY, delete),
    operation(Verb::Post, SIGNING_KEYS, create).creates(),
    operation(Verb::Get, SIGNING_KEYS, list_signing),
    operation(Verb::Get, SIGNING_KEY, fetch),
    operation(Verb::Post, SIGNING_KEY, update),
    operation(Verb::Delete, SIGNING_KEY, delete),
];

const fn operation(
    verb: Verb,
    path: &'static str,
    handler: fn(&mut World, &Request) -> Result<Reply, Refusal>,
) -> Operation {
    Operation::new(Product::Api, verb, path, handler).only(Access::AuthToken)
}

/// Twilio's own bound for a friendly name.
const FRIENDLY_NAME_MAX: usize = 64;

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let friendly_name = params::friendly_name(&request.form, FRIENDLY_NAME_MAX)?.unwrap_or_default();
    let sid = keys::create(world, request.account, friendly_name);
    let key = world.keys.find(sid).ok_or_else(|| request.not_found())?;
    let secret = Some(Secret::new(&key.secret));
    Ok(Reply::created(&wire::NewKey { key: wire_key(key), secret }))
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.keys.of(request.account);
    list_2010(request, "keys", rows, |key| key.sid, |key| wire_key(key))
}

fn list_signing(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.keys.of(request.account);
    list_2010(request, "signing_keys", rows, |key| key.sid, |key| wire_key(key))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let key = world.keys.find_of(request.account, request.sid("Sid")?);
    key.map(|key| Reply::ok(&wire_key(key))).ok_or_else(|| request.not_found())
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    if let Some(name) = params::friendly_name(&request.form, FRIENDLY_NAME_MAX)? {
        keys::rename(world, request.account, sid, &name);
    }
    fetch(world, request)
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    if keys::remove(world, request.account, request.sid("Sid")?) {
        Ok(Reply::deleted())
    } else {
        Err(request.not_found())
    }
}

fn wire_key(key: &Key) -> wire::Key {
    wire::Key {
        sid: key.sid.to_string(),
        friendly_name: Some(key.friendly_name.clone()),
        date_created: Some(Rfc2822(key.created)),
        date_updated: Some(Rfc2822(key.updated)),
    }
}
