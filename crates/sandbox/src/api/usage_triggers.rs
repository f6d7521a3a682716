//! Usage triggers: <https://www.twilio.com/docs/usage/api/usage-trigger>.

use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Form, Price, Recurring, Rfc2822, TriggerBy};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010, params};
use crate::world::triggers::{self, Period, Trigger};
use crate::world::usage::{self, categories};
use crate::world::webhooks::{Method, Target};
use crate::world::{World, events};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Post, "/2010-04-01/Accounts/{AccountSid}/Usage/Triggers.json", create)
        .creates(),
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{AccountSid}/Usage/Triggers.json", list),
    Operation::new(Product::Api, Verb::Get, ONE, fetch),
    Operation::new(Product::Api, Verb::Post, ONE, update),
    Operation::new(Product::Api, Verb::Delete, ONE, delete),
];

const ONE: &str = "/2010-04-01/Accounts/{AccountSid}/Usage/Triggers/{Sid}.json";

/// Twilio's own bounds.
const FRIENDLY_NAME_MAX: usize = 64;
const TRIGGERS_MAX: usize = 1000;

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let form = &request.form;
    params::needed(form, "CallbackUrl")?;
    let url = params::url(form, "CallbackUrl")?.unwrap_or_default();
    let method = callback_method(form)?.unwrap_or(Method::Post);
    let category = params::needed(form, "UsageCategory")?;
    if categories::find(category).is_none() && !world.settings.unknown_usage_categories {
        return Err(Refusal::invalid("UsageCategory", category));
    }
    let by = match params::some(form, "TriggerBy").map(TriggerBy::from) {
        Some(TriggerBy::Other(text)) => return Err(Refusal::invalid("TriggerBy", &text)),
        by => by.unwrap_or(TriggerBy::Usage),
    };
    let recurring = match params::some(form, "Recurring").map(Recurring::from) {
        Some(Recurring::Other(text)) => return Err(Refusal::invalid("Recurring", &text)),
        recurring => recurring.as_ref().and_then(Period::parse),
    };
    let friendly_name = params::friendly_name(form, FRIENDLY_NAME_MAX)?.filter(|name| !name.is_empty());
    usage::catch_up(world);
    let now_at = triggers::measure(world, request.account, category, &by, recurring);
    let value_micros = trigger_value(params::needed(form, "TriggerValue")?, now_at)?;
    if world.triggers.table.of(request.account).count() >= TRIGGERS_MAX {
        return Err(Refusal::bad_request(
            20001,
            "Account has reached the maximum number of UsageTriggers, which is 1000",
        ));
    }
    let value = Price::micros(value_micros).to_plain_string();
    let friendly_name = friendly_name
        .unwrap_or_else(|| format!("Trigger for {category} at {by} of {value}", by = by.as_str()));
    let sid = world.ids.sid(*b"UT");
    let trigger = Trigger {
        sid,
        account: request.account,
        friendly_name,
        category: category.to_owned(),
        by,
        value_micros,
        recurring,
        callback: Target { url, method },
        fired: None,
        created: world.now,
        updated: world.now,
    };
    triggers::add(world, trigger);
    events::record(world, request.account, "usage-trigger.created", sid);
    shown(world, request, sid).map(|trigger| Reply::created(&trigger))
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    usage::catch_up(world);
    let query = &request.query;
    // An empty `Recurring` asks for those that fire once, as `alltime` does; an absent one asks for all.
    let recurring = match query.get("Recurring").map(Recurring::from) {
        Some(Recurring::Other(text)) if !text.is_empty() => return Err(Refusal::invalid("Recurring", &text)),
        recurring => recurring.as_ref().map(Period::parse),
    };
    let by = match params::some(query, "TriggerBy").map(TriggerBy::from) {
        Some(TriggerBy::Other(text)) => return Err(Refusal::invalid("TriggerBy", &text)),
        by => by,
    };
    let category = params::some(query, "UsageCategory");
    let rows = world
        .triggers
        .table
        .of(request.account)
        .filter(|trigger| recurring.is_none_or(|recurring| trigger.recurring == recurring))
        .filter(|trigger| by.as_ref().is_none_or(|by| trigger.by == *by))
        .filter(|trigger| category.is_none_or(|category| trigger.category == category));
    list_2010(request, "usage_triggers", rows, |trigger| trigger.sid, |trigger| wire_trigger(world, trigger))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    usage::catch_up(world);
    shown(world, request, request.sid("Sid")?).map(|trigger| Reply::ok(&trigger))
}

/// Only where it calls and what it is named can be changed. Category, value and period are passed over in silence,
/// as Twilio does (twilio-php issue 911).
fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let url = params::url(&request.form, "CallbackUrl")?;
    let method = callback_method(&request.form)?;
    let friendly_name = params::friendly_name(&request.form, FRIENDLY_NAME_MAX)?;
    let now = world.now;
    let trigger =
        world.triggers.table.find_mut_of(request.account, sid).ok_or_else(|| request.not_found())?;
    if let Some(url) = url {
        trigger.callback.url = url;
    }
    if let Some(method) = method {
        trigger.callback.method = method;
    }
    if let Some(name) = friendly_name {
        trigger.friendly_name = name;
    }
    trigger.updated = now;
    events::record(world, request.account, "usage-trigger.updated", sid);
    world.touch();
    fetch(world, request)
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    world.triggers.table.remove_of(request.account, sid).ok_or_else(|| request.not_found())?;
    events::record(world, request.account, "usage-trigger.deleted", sid);
    world.touch();
    Ok(Reply::deleted())
}

/// A positive decimal number, or `+` and how much more than now.
fn trigger_value(text: &str, now_at: i64) -> Result<i64, Refusal> {
    let invalid = || Refusal::invalid("TriggerValue", text);
    let micros = text.parse::<Price>().ok().map(|it| it.micros).filter(|it| *it > 0).ok_or_else(invalid)?;
    if text.starts_with('+') { now_at.max(0).checked_add(micros).ok_or_else(invalid) } else { Ok(micros) }
}

fn callback_method(form: &Form) -> Result<Option<Method>, Refusal> {
    match params::some(form, "CallbackMethod") {
        None => Ok(None),
        Some(text) if ["GET", "POST"].iter().any(|method| text.eq_ignore_ascii_case(method)) => {
            Ok(Some(Method::parse(Some(text))))
        }
        Some(text) => Err(Refusal::invalid("CallbackMethod", text)),
    }
}

fn shown(world: &World, request: &Request, sid: Sid) -> Result<wire::UsageTrigger, Refusal> {
    let trigger = world.triggers.table.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    Ok(wire_trigger(world, trigger))
}

pub(super) fn wire_trigger(world: &World, trigger: &Trigger) -> wire::UsageTrigger {
    let current = triggers::current_micros(world, trigger);
    wire::UsageTrigger {
        sid: trigger.sid.to_string(),
        account_sid: trigger.account.to_string(),
        api_version: Some("2010-04-01".to_owned()),
        friendly_name: Some(trigger.friendly_name.clone()),
        usage_category: trigger.category.clone(),
        trigger_by: trigger.by.clone(),
        trigger_value: triggers::value_text(trigger.value_micros),
        current_value: Some(Price::micros(current).to_plain_string()),
        recurring: trigger.recurring.map(Period::word),
        callback_url: Some(trigger.callback.url.clone()),
        callback_method: Some(trigger.callback.method.as_str().to_owned()),
        date_fired: trigger.fired.map(Rfc2822),
        date_created: Some(Rfc2822(trigger.created)),
        date_updated: Some(Rfc2822(trigger.updated)),
        usage_record_uri: Some(trigger.usage_record_uri()),
        uri: format!("/2010-04-01/Accounts/{}/Usage/Triggers/{}.json", trigger.account, trigger.sid),
    }
}

#[cfg(test)]
mod tests;
