//! Numbers that Verify never blocks: <https://www.twilio.com/docs/verify/api/safe-list>. The sandbox has no Fraud Guard
//! and blocks none, so the list is kept and asked, and has no other effect.

use ringfence_model::{PhoneNumber, Sid};
use serde_json::{Value, json};

use super::operation::{Operation, Product, Verb};
use super::verify_services::invalid;
use super::{Refusal, Reply, Request, params};
use crate::world::World;

const LIST: &str = "/v2/SafeList/Numbers";
const ONE: &str = "/v2/SafeList/Numbers/{PhoneNumber}";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Verify, Verb::Post, LIST, create).creates(),
    Operation::new(Product::Verify, Verb::Get, ONE, fetch),
    Operation::new(Product::Verify, Verb::Delete, ONE, delete),
];

/// A number that is listed already stays as it is.
fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let text = params::needed(&request.form, "PhoneNumber")?;
    let number = PhoneNumber::parse(text).map_err(|_| invalid("PhoneNumber", text))?;
    let key = (request.account, number);
    let sid = match world.verify.safe.get(&key) {
        Some(sid) => *sid,
        None => world.ids.sid(*b"GN"),
    };
    world.verify.safe.insert(key, sid);
    world.touch();
    Ok(Reply::created(&shown(request, number, sid)))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let number = number(request)?;
    let sid = world.verify.safe.get(&(request.account, number)).ok_or_else(|| request.not_found())?;
    Ok(Reply::ok(&shown(request, number, *sid)))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let number = number(request)?;
    world.verify.safe.remove(&(request.account, number)).ok_or_else(|| request.not_found())?;
    world.touch();
    Ok(Reply::deleted())
}

fn number(request: &Request) -> Result<PhoneNumber, Refusal> {
    PhoneNumber::parse(request.param("PhoneNumber")).map_err(|_| request.not_found())
}

fn shown(request: &Request, number: PhoneNumber, sid: Sid) -> Value {
    json!({
        "sid": sid.to_string(),
        "phone_number": number.to_string(),
        "url": request.url(&format!("{LIST}/{number}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Api, error};

    #[test]
    fn a_number_is_listed_once_by_each_account_and_is_gone_when_removed() {
        let mut api = Api::new();
        api.of(Product::Verify);
        assert_eq!(error(api.post(LIST, &[])), (400, 20001));
        assert_eq!(error(api.post(LIST, &[("PhoneNumber", "415")])), (400, 60200));
        let one = format!("{LIST}/+14155550123");
        assert_eq!(error(api.get(&one)), (404, 20404));
        let form = [("PhoneNumber", "+14155550123")];
        let (status, listed) = api.post(LIST, &form);
        assert_eq!((status, &listed["phone_number"]), (201, &json!("+14155550123")));
        assert_eq!(api.post(LIST, &form).1["sid"], listed["sid"]);
        let child = api.subaccount("child");
        assert_eq!(error(api.as_account(&child).get(&one)), (404, 20404));
        assert_eq!(error(api.delete(&one)), (404, 20404));
        api.as_main();
        assert_eq!(api.get(&one).1["sid"], listed["sid"]);
        assert_eq!(api.delete(&one).0, 204);
        assert_eq!(error(api.get(&one)), (404, 20404));
    }
}
