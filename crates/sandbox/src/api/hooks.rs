//! Webhook URLs as numbers and applications have them: what is given is set, what is given empty is cleared, what
//! is not given stays.

use ringfence_model::Sid;
use ringfence_twilio::wire::Form;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Refusal, params, shortened};
use crate::world::World;
use crate::world::numbers::Hooks;
use crate::world::webhooks::{Method, Target};

/// Reads all that the form says about hooks. Nothing is changed where anything is wrong.
pub(super) fn read(form: &Form, hooks: &mut Hooks) -> Result<(), Refusal> {
    let mut new = hooks.clone();
    let idle = &mut new.idle_methods;
    target(form, "SmsUrl", "SmsMethod", &mut new.sms, &mut idle.sms)?;
    target(form, "SmsFallbackUrl", "SmsFallbackMethod", &mut new.sms_fallback, &mut idle.sms_fallback)?;
    target(form, "VoiceUrl", "VoiceMethod", &mut new.voice, &mut idle.voice)?;
    target(
        form,
        "VoiceFallbackUrl",
        "VoiceFallbackMethod",
        &mut new.voice_fallback,
        &mut idle.voice_fallback,
    )?;
    let status = &mut new.status_callback;
    target(form, "StatusCallback", "StatusCallbackMethod", status, &mut idle.status_callback)?;
    url(form, "SmsStatusCallback", &mut new.sms_status_callback)?;
    if let Some(flag) = params::flag(form, "VoiceCallerIdLookup")? {
        new.caller_id_lookup = flag;
    }
    *hooks = new;
    Ok(())
}

/// Reads the applications that take the place of URLs; they must be the account's own.
pub(super) fn read_applications(
    world: &World,
    account: Sid,
    form: &Form,
    hooks: &mut Hooks,
) -> Result<(), Refusal> {
    let sms = application(world, account, form, "SmsApplicationSid", hooks.sms_application)?;
    hooks.voice_application =
        application(world, account, form, "VoiceApplicationSid", hooks.voice_application)?;
    hooks.sms_application = sms;
    Ok(())
}

/// URL and method of a hook, as the wire has them.
pub(super) fn shown(hook: Option<&Target>, idle: Method) -> (Option<String>, Option<String>) {
    let method = hook.map_or(idle, |hook| hook.method);
    (hook.map(|hook| hook.url.clone()), Some(method.as_str().to_owned()))
}

/// What an audit trail tells of a change: each property that is another one, with its value before and now.
pub(super) fn changes(before: &impl Serialize, after: &impl Serialize) -> Value {
    let (before, after) = (json!(before), json!(after));
    let is_other =
        |(name, now): &(&String, &Value)| *name != "date_updated" && before.get(*name) != Some(now);
    let told = |(name, now): (&String, &Value)| {
        (name.clone(), json!({ "previous": before.get(name), "updated": now }))
    };
    Value::Object(after.as_object().into_iter().flatten().filter(is_other).map(told).collect())
}

/// Reads one URL without a method.
pub(super) fn url(form: &Form, name: &str, url: &mut Option<String>) -> Result<(), Refusal> {
    match form.get(name) {
        None => {}
        Some("") => *url = None,
        Some(text) if params::is_web_url(text) => *url = Some(text.to_owned()),
        Some(text) => return Err(Refusal::bad_request(21402, not_valid(name, text))),
    }
    Ok(())
}

pub(super) fn target(
    form: &Form,
    url_name: &str,
    method_name: &str,
    hook: &mut Option<Target>,
    idle: &mut Method,
) -> Result<(), Refusal> {
    let mut method = hook.as_ref().map_or(*idle, |hook| hook.method);
    if let Some(text) = params::some(form, method_name) {
        method =
            Method::read(text).ok_or_else(|| Refusal::bad_request(21403, not_valid(method_name, text)))?;
    }
    let mut new = hook.take().map(|hook| hook.url);
    url(form, url_name, &mut new)?;
    *hook = new.map(|url| Target { url, method });
    *idle = method;
    Ok(())
}

fn application(
    world: &World,
    account: Sid,
    form: &Form,
    name: &str,
    before: Option<Sid>,
) -> Result<Option<Sid>, Refusal> {
    match form.get(name) {
        None => Ok(before),
        Some("") => Ok(None),
        Some(text) => Sid::parse(text)
            .ok()
            .filter(|sid| world.applications.find_of(account, *sid).is_some())
            .map(Some)
            .ok_or_else(|| Refusal::bad_request(21420, format!("{name} {} was not found", shortened(text)))),
    }
}

fn not_valid(name: &str, text: &str) -> String {
    format!("{name} is not valid: {}", shortened(text))
}
