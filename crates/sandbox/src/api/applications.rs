//! Applications: <https://www.twilio.com/docs/usage/api/applications>.

use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Form, Rfc2822};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, hooks, list_2010, params};
use crate::world::World;
use crate::world::applications::{self, Application};
use crate::world::events;

const LIST: &str = "/2010-04-01/Accounts/{AccountSid}/Applications.json";
const ONE: &str = "/2010-04-01/Accounts/{AccountSid}/Applications/{Sid}.json";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Post, LIST, create).creates(),
    Operation::new(Product::Api, Verb::Get, LIST, list),
    Operation::new(Product::Api, Verb::Get, ONE, fetch),
    Operation::new(Product::Api, Verb::Post, ONE, update),
    Operation::new(Product::Api, Verb::Delete, ONE, delete),
];

/// Twilio's own bound for a friendly name.
const FRIENDLY_NAME_MAX: usize = 64;

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let friendly_name = params::friendly_name(&request.form, FRIENDLY_NAME_MAX)?;
    let given = read(&request.form, &Given::default())?;
    let sid = applications::create(world, request.account, friendly_name.unwrap_or_default());
    set(world, request, sid, given, None);
    shown(world, request, sid).map(|application| Reply::created(&application))
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let name = params::some(&request.query, "FriendlyName");
    let rows = world.applications.of(request.account);
    let rows = rows.filter(|row| name.is_none_or(|name| row.friendly_name == name));
    list_2010(request, "applications", rows, |row| row.sid, |row| wire_application(row))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    shown(world, request, request.sid("Sid")?).map(|application| Reply::ok(&application))
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let friendly_name = params::friendly_name(&request.form, FRIENDLY_NAME_MAX)?;
    let row = world.applications.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    let given = read(&request.form, &Given::of(row))?;
    let before = wire_application(row);
    set(world, request, sid, given, friendly_name);
    let after = shown(world, request, sid)?;
    let change = hooks::changes(&before, &after);
    events::record_with(world, request.account, "application.updated", sid, change);
    Ok(Reply::ok(&after))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    if applications::remove(world, request.account, sid) {
        Ok(Reply::deleted())
    } else {
        Err(request.not_found())
    }
}

/// What a form can say of an application, read before anything is changed.
#[derive(Default)]
struct Given {
    hooks: crate::world::numbers::Hooks,
    message_status_callback: Option<String>,
    public_connect: bool,
}

impl Given {
    fn of(row: &Application) -> Self {
        Self {
            hooks: row.hooks.clone(),
            message_status_callback: row.message_status_callback.clone(),
            public_connect: row.public_connect,
        }
    }
}

fn read(form: &Form, before: &Given) -> Result<Given, Refusal> {
    let mut given = Given {
        hooks: before.hooks.clone(),
        message_status_callback: before.message_status_callback.clone(),
        public_connect: before.public_connect,
    };
    hooks::read(form, &mut given.hooks)?;
    hooks::url(form, "MessageStatusCallback", &mut given.message_status_callback)?;
    // The newer name is for all that goes out, so it also stands where messages look.
    if given.message_status_callback.is_some() && params::some(form, "SmsStatusCallback").is_none() {
        given.hooks.sms_status_callback.clone_from(&given.message_status_callback);
    }
    if let Some(public) = params::flag(form, "PublicApplicationConnectEnabled")? {
        given.public_connect = public;
    }
    Ok(given)
}

fn set(world: &mut World, request: &Request, sid: Sid, given: Given, friendly_name: Option<String>) {
    let now = world.now;
    let Some(row) = world.applications.find_mut_of(request.account, sid) else { return };
    row.hooks = given.hooks;
    row.message_status_callback = given.message_status_callback;
    row.public_connect = given.public_connect;
    row.updated = now;
    if let Some(name) = friendly_name {
        row.friendly_name = name;
    }
    world.touch();
}

fn shown(world: &World, request: &Request, sid: Sid) -> Result<wire::Application, Refusal> {
    let row = world.applications.find_of(request.account, sid);
    row.map(wire_application).ok_or_else(|| request.not_found())
}

pub(super) fn wire_application(row: &Application) -> wire::Application {
    let hooks = &row.hooks;
    let idle = hooks.idle_methods;
    let (sms_url, sms_method) = hooks::shown(hooks.sms.as_ref(), idle.sms);
    let (sms_fallback_url, sms_fallback_method) =
        hooks::shown(hooks.sms_fallback.as_ref(), idle.sms_fallback);
    let (voice_url, voice_method) = hooks::shown(hooks.voice.as_ref(), idle.voice);
    let (voice_fallback_url, voice_fallback_method) =
        hooks::shown(hooks.voice_fallback.as_ref(), idle.voice_fallback);
    let (status_callback, status_callback_method) =
        hooks::shown(hooks.status_callback.as_ref(), idle.status_callback);
    wire::Application {
        sid: row.sid.to_string(),
        account_sid: row.account.to_string(),
        api_version: Some("2010-04-01".to_owned()),
        friendly_name: Some(row.friendly_name.clone()),
        sms_url,
        sms_method,
        sms_fallback_url,
        sms_fallback_method,
        sms_status_callback: hooks.sms_status_callback.clone(),
        message_status_callback: row.message_status_callback.clone(),
        voice_url,
        voice_method,
        voice_fallback_url,
        voice_fallback_method,
        voice_caller_id_lookup: Some(hooks.caller_id_lookup),
        status_callback,
        status_callback_method,
        public_application_connect_enabled: Some(row.public_connect),
        date_created: Some(Rfc2822(row.created)),
        date_updated: Some(Rfc2822(row.updated)),
        uri: format!("/2010-04-01/Accounts/{}/Applications/{}.json", row.account, row.sid),
    }
}
