//! Rules of the Webhooks configuration API, and what becomes of their changes
//! (<https://www.twilio.com/docs/usage/webhooks/webhook-rules>,
//! <https://www.twilio.com/docs/usage/webhooks/webhook-operations>). Experimental, as `shared_keys.rs` says. A change is accepted
//! (202) and counts later; its operation says when it does.

use ringfence_twilio::wire::Iso8601;
use serde::Deserialize;
use serde_json::{Value, json};

use super::operation::{Operation, Product, Verb};
use super::shared_keys::{check_room, friendly_name, invalid, list, needed, not_found, unknown};
use super::{Refusal, Reply, Request, params};
use crate::world::World;
use crate::world::shared_keys::{self, Match, Rule, RuleChange};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Webhooks, Verb::Post, RULES, create_rule),
    Operation::new(Product::Webhooks, Verb::Get, RULES, list_rules),
    Operation::new(Product::Webhooks, Verb::Get, "/v1/Webhooks/Rules/{Id}", fetch_rule),
    Operation::new(Product::Webhooks, Verb::Patch, "/v1/Webhooks/Rules/{Id}", change_rule),
    Operation::new(Product::Webhooks, Verb::Delete, "/v1/Webhooks/Rules/{Id}", delete_rule),
    Operation::new(Product::Webhooks, Verb::Get, CHANGES, list_changes),
    Operation::new(Product::Webhooks, Verb::Get, "/v1/Webhooks/Operations/{Id}", fetch_change),
];

const RULES: &str = "/v1/Webhooks/Rules";
const CHANGES: &str = "/v1/Webhooks/Operations";
const URL_MAX: usize = 2048;

/// A setting of a rule.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Share {
    #[serde(alias = "id")]
    setting_id: String,
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
    let friendly_name = friendly_name(request)?;
    let operation = shared_keys::add_rule(world, account, friendly_name, matches, settings);
    Ok(accepted(world, request, &operation))
}

/// Where the URLs go that a rule is about; what it is about stays.
fn change_rule(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let settings = shares(world, request)?;
    let operation = shared_keys::change_rule(world, request.account, request.param("Id"), settings);
    let operation = operation.ok_or_else(not_found)?;
    Ok(accepted(world, request, &operation))
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
        .map_err(|_| invalid("settings must be an array of objects with settingId and percentage"))?;
    let each = match shares.len() {
        1 => 100,
        2 => 50,
        _ => return Err(invalid("settings must hold one or two Settings")),
    };
    let shares: Vec<_> =
        shares.into_iter().map(|it| (it.setting_id, it.percentage.unwrap_or(each))).collect();
    let total = shares.iter().try_fold(0_u64, |sum, (_, percent)| sum.checked_add(*percent));
    if total != Some(100) {
        return Err(invalid("settings percentages must sum to 100"));
    }
    let known =
        |id: &str| world.shared_keys.settings.iter().any(|it| it.account == request.account && it.id == id);
    if !shares.iter().all(|(id, _)| known(id)) {
        return Err(unknown("settings names no Setting of this account"));
    }
    Ok(shares)
}

fn list_rules(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = world.shared_keys.rules_of(request.account);
    // Whoever wants to remove a setting asks who names it.
    let setting = params::some(&request.query, "settingId");
    let names = |rule: &&Rule| setting.is_none_or(|id| rule.settings.iter().any(|(it, _)| it == id));
    list(request, "rules", rows.filter(names).map(|it| shown_rule(world, request, it)))
}

fn fetch_rule(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let rule = world.shared_keys.rules_of(request.account).find(|it| it.id == id);
    rule.map(|it| Reply::ok(&shown_rule(world, request, it))).ok_or_else(not_found)
}

fn delete_rule(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let operation = shared_keys::remove_rule(world, request.account, request.param("Id"));
    let operation = operation.ok_or_else(not_found)?;
    Ok(accepted(world, request, &operation))
}

fn shown_rule(world: &World, request: &Request, rule: &Rule) -> Value {
    let (kind, value, prefix) = match &rule.matches {
        Match::Exact(url) => ("EXACT_MATCH", Some(url), None),
        Match::Prefix(url) => ("PREFIX_MATCH", None, Some(url)),
        Match::Default => ("DEFAULT", None, None),
    };
    let share = |(id, percentage): &(String, u64)| json!({ "settingId": id, "percentage": percentage });
    json!({
        "id": rule.id,
        "accountSid": rule.account.to_string(),
        "friendlyName": rule.friendly_name,
        "matchType": kind,
        "value": value,
        "prefix": prefix,
        "settings": rule.settings.iter().map(share).collect::<Vec<_>>(),
        "status": if rule.from <= world.now { "ACTIVE" } else { "PENDING" },
        "createdAt": Iso8601(rule.created),
        "url": request.url(&format!("{RULES}/{}", rule.id)),
    })
}

// Operations

fn accepted(world: &World, request: &Request, change: &RuleChange) -> Reply {
    let place = request.url(&format!("{CHANGES}/{}", change.id));
    Reply::accepted(&shown_change(world, request, change)).with_operation(change.id.clone(), place)
}

fn list_changes(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let resource = params::some(&request.query, "resourceId");
    let rows = world.shared_keys.changes.iter().rev().filter(|it| it.account == request.account);
    let rows = rows.filter(|it| resource.is_none_or(|id| it.rule == id));
    list(request, "operations", rows.map(|it| shown_change(world, request, it)))
}

fn fetch_change(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let id = request.param("Id");
    let mut changes = world.shared_keys.changes.iter();
    let change = changes.find(|it| it.account == request.account && it.id == id);
    change.map(|it| Reply::ok(&shown_change(world, request, it))).ok_or_else(not_found)
}

fn shown_change(world: &World, request: &Request, change: &RuleChange) -> Value {
    json!({
        "id": change.id,
        "resourceId": change.rule,
        "status": if change.counts_from <= world.now { "COMPLETED" } else { "PENDING" },
        "createdAt": Iso8601(change.created),
        "url": request.url(&format!("{CHANGES}/{}", change.id)),
    })
}
