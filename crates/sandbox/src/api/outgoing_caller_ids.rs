//! Caller IDs: <https://www.twilio.com/docs/voice/api/outgoing-caller-ids>.

use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::{OutgoingCallerId, Rfc2822, ValidationRequest};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010, params, shortened};
use crate::world::World;
use crate::world::caller_ids::{self, CallerId, Proof};
use crate::world::webhooks::{Method, Target};
use crate::world::{events, numbering};

const LIST: &str = "/2010-04-01/Accounts/{AccountSid}/OutgoingCallerIds.json";
const ONE: &str = "/2010-04-01/Accounts/{AccountSid}/OutgoingCallerIds/{Sid}.json";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Post, LIST, validate).creates(),
    Operation::new(Product::Api, Verb::Get, LIST, list),
    Operation::new(Product::Api, Verb::Get, ONE, fetch),
    Operation::new(Product::Api, Verb::Post, ONE, update),
    Operation::new(Product::Api, Verb::Delete, ONE, delete),
];

/// Twilio's own bound for a friendly name.
const FRIENDLY_NAME_MAX: usize = 64;

fn validate(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let form = &request.form;
    let text = params::needed(form, "PhoneNumber")?;
    let phone_number =
        PhoneNumber::parse(text).ok().filter(|number| numbering::check(*number).is_ok()).ok_or_else(
            || Refusal::bad_request(21401, format!("PhoneNumber {} is not valid", shortened(text))),
        )?;
    if caller_ids::is_proven(world, request.account, phone_number) {
        return Err(Refusal::bad_request(21450, "Phone number already validated for your account"));
    }
    let friendly_name = params::friendly_name(form, FRIENDLY_NAME_MAX)?.filter(|name| !name.is_empty());
    let friendly_name = friendly_name.unwrap_or_else(|| numbering::friendly(phone_number));
    let status_callback = params::url(form, "StatusCallback")?
        .map(|url| Target { url, method: Method::parse(params::some(form, "StatusCallbackMethod")) });
    let delay_s = params::number(form, "CallDelay", 0, 60)?.unwrap_or(0);
    let proof = Proof {
        account: request.account,
        phone_number,
        friendly_name: friendly_name.clone(),
        status_callback,
        delay_s,
    };
    let (call, code) = caller_ids::begin(world, proof);
    Ok(Reply::ok(&ValidationRequest {
        account_sid: request.account.to_string(),
        call_sid: Some(call.to_string()),
        friendly_name: Some(friendly_name),
        phone_number: phone_number.to_string(),
        validation_code: code,
    }))
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let name = params::some(&request.query, "FriendlyName");
    let number = params::some(&request.query, "PhoneNumber");
    let rows = world
        .caller_ids
        .proven
        .of(request.account)
        .filter(|row| name.is_none_or(|name| row.friendly_name == name))
        .filter(|row| number.is_none_or(|number| row.phone_number.to_string() == number));
    list_2010(request, "outgoing_caller_ids", rows, |row| row.sid, |row| wire_caller_id(row))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    shown(world, request, request.sid("Sid")?)
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let friendly_name = params::friendly_name(&request.form, FRIENDLY_NAME_MAX)?;
    let now = world.now;
    let row = world.caller_ids.proven.find_mut_of(request.account, sid).ok_or_else(|| request.not_found())?;
    if let Some(name) = friendly_name {
        row.friendly_name = name;
        row.updated = now;
        events::record(world, request.account, "outgoing-caller-id.updated", sid);
    }
    shown(world, request, sid)
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    if world.caller_ids.proven.remove_of(request.account, sid).is_none() {
        return Err(request.not_found());
    }
    events::record(world, request.account, "outgoing-caller-id.deleted", sid);
    Ok(Reply::deleted())
}

fn shown(world: &World, request: &Request, sid: Sid) -> Result<Reply, Refusal> {
    let row = world.caller_ids.proven.find_of(request.account, sid);
    row.map(|row| Reply::ok(&wire_caller_id(row))).ok_or_else(|| request.not_found())
}

pub(super) fn wire_caller_id(row: &CallerId) -> OutgoingCallerId {
    OutgoingCallerId {
        sid: row.sid.to_string(),
        account_sid: row.account.to_string(),
        friendly_name: Some(row.friendly_name.clone()),
        phone_number: row.phone_number.to_string(),
        date_created: Some(Rfc2822(row.created)),
        date_updated: Some(Rfc2822(row.updated)),
        uri: format!("/2010-04-01/Accounts/{}/OutgoingCallerIds/{}.json", row.account, row.sid),
    }
}

#[cfg(test)]
mod tests {
    use crate::api::testing::{Api, error};
    use crate::settings::PhoneBehaviour;
    use crate::world::webhooks::Method;

    #[test]
    fn a_phone_that_does_not_answer_proves_nothing() {
        let mut api = Api::new();
        let path = format!("/2010-04-01/Accounts/{}/OutgoingCallerIds", api.main);
        assert_eq!(error(api.post(&path, &[("PhoneNumber", "call me")])), (400, 21401));
        api.world.settings.calls.phones = PhoneBehaviour::NoAnswer;
        let form = [("PhoneNumber", "+14155550123"), ("StatusCallback", "https://app.example/")];
        assert_eq!(api.post(&path, &form).0, 200);
        api.pass_s(60);
        assert_eq!(api.get(&path).1["outgoing_caller_ids"], serde_json::json!([]));
        let callback = &api.world.webhooks.log.newest_first().next().unwrap().webhook;
        assert_eq!(callback.target.method, Method::Post);
        assert!(callback.params.contains(&("VerificationStatus", "failed".to_owned())));
    }

    #[test]
    fn a_phone_that_answers_becomes_a_caller_id() {
        let mut api = Api::new();
        let path = format!("/2010-04-01/Accounts/{}/OutgoingCallerIds", api.main);
        let (status, request) = api.post(&path, &[("PhoneNumber", "+14155550123")]);
        assert_eq!((status, request["validation_code"].as_str().map(str::len)), (200, Some(6)));
        assert_eq!(api.get(&path).1["outgoing_caller_ids"], serde_json::json!([]), "not before the call");
        api.pass_s(60);
        let listed = api.get(&path).1;
        assert_eq!(listed["outgoing_caller_ids"][0]["friendly_name"], "(415) 555-0123");
        assert_eq!(error(api.post(&path, &[("PhoneNumber", "+14155550123")])), (400, 21450));
        let one = format!("{path}/{}", listed["outgoing_caller_ids"][0]["sid"].as_str().unwrap());
        assert_eq!(api.post(&one, &[("FriendlyName", "mine")]).1["friendly_name"], "mine");
        assert_eq!(api.delete(&one).0, 204);
        assert_eq!(error(api.get(&one)), (404, 20404));
    }
}
