//! A service's own limits on starts, and their buckets: <https://www.twilio.com/docs/verify/api/service-rate-limits> and
//! <https://www.twilio.com/docs/verify/api/service-rate-limit-buckets>.

use std::collections::BTreeMap;

use ringfence_model::Sid;
use ringfence_twilio::wire::{Form, Iso8601, VerifyBucket, VerifyRateLimit};

use super::operation::{Operation, Product, Verb};
use super::verify_services::{invalid, meant};
use super::{Refusal, Reply, Request, list_v1, params};
use crate::world::World;
use crate::world::verify::{self, Bucket, RateLimit};

const LIST: &str = "/v2/Services/{ServiceSid}/RateLimits";
const ONE: &str = "/v2/Services/{ServiceSid}/RateLimits/{Sid}";
const BUCKETS: &str = "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets";
const BUCKET: &str = "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{Sid}";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Verify, Verb::Post, LIST, create).creates(),
    Operation::new(Product::Verify, Verb::Get, LIST, list),
    Operation::new(Product::Verify, Verb::Get, ONE, fetch),
    Operation::new(Product::Verify, Verb::Post, ONE, update),
    Operation::new(Product::Verify, Verb::Delete, ONE, delete),
    Operation::new(Product::Verify, Verb::Post, BUCKETS, create_bucket).creates(),
    Operation::new(Product::Verify, Verb::Get, BUCKETS, list_buckets),
    Operation::new(Product::Verify, Verb::Get, BUCKET, fetch_bucket),
    Operation::new(Product::Verify, Verb::Post, BUCKET, update_bucket),
    Operation::new(Product::Verify, Verb::Delete, BUCKET, delete_bucket),
];

/// How many limits a service has at most, and how many buckets a limit. Twilio has such bounds (60207, 60210), and its
/// documents do not say where.
const LIMITS_MAX: usize = 10;
const BUCKETS_MAX: usize = 10;
const UNIQUE_NAME_MAX: usize = 64;
const DESCRIPTION_MAX: usize = 256;

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let service = meant(world, request)?.sid;
    let name = params::needed(&request.form, "UniqueName")?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    if !name.chars().all(is_name) || name.len() > UNIQUE_NAME_MAX {
        return Err(Refusal::bad_request(60209, "UniqueName format is invalid"));
    }
    let description = description(&request.form)?.unwrap_or_default();
    let rows = || world.verify.rate_limits.of(request.account).filter(|row| row.service == service);
    if rows().any(|row| row.unique_name == name) {
        return Err(Refusal::bad_request(60208, "Rate limit with that UniqueName already exists"));
    }
    if rows().count() >= LIMITS_MAX {
        return Err(Refusal::bad_request(60207, "Max rate limits per service reached"));
    }
    let (sid, now) = (world.ids.sid(*b"RK"), world.now);
    let row = RateLimit {
        sid,
        account: request.account,
        service,
        unique_name: name.to_owned(),
        description,
        created: now,
        updated: now,
    };
    let shown = wire_limit(request, &row);
    world.verify.rate_limits.insert(row);
    world.touch();
    Ok(Reply::created(&shown))
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let service = meant(world, request)?.sid;
    let rows = world.verify.rate_limits.of(request.account).filter(|row| row.service == service);
    list_v1(request, "rate_limits", rows, |row| row.sid.to_string(), |row| wire_limit(request, row))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    limit(world, request, "Sid").map(|row| Reply::ok(&wire_limit(request, row)))
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let (sid, now) = (limit(world, request, "Sid")?.sid, world.now);
    let description = description(&request.form)?;
    let row = world.verify.rate_limits.find_mut_of(request.account, sid);
    let row = row.ok_or_else(|| request.not_found())?;
    if let Some(description) = description {
        row.description = description;
    }
    row.updated = now;
    let shown = wire_limit(request, row);
    world.touch();
    Ok(Reply::ok(&shown))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = limit(world, request, "Sid")?.sid;
    verify::remove_rate_limit(world, request.account, sid);
    world.touch();
    Ok(Reply::deleted())
}

fn create_bucket(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rate_limit = limit(world, request, "RateLimitSid")?.sid;
    for name in ["Max", "Interval"] {
        params::needed(&request.form, name)?;
    }
    let (max, interval_s) = read_bucket(&request.form, (0, 0))?;
    check_interval(world, request, rate_limit, interval_s, None)?;
    if verify::buckets_of(world, request.account, rate_limit).count() >= BUCKETS_MAX {
        return Err(Refusal::bad_request(60210, "Max Buckets per Rate limit reached"));
    }
    let (sid, now) = (world.ids.sid(*b"BL"), world.now);
    let row =
        Bucket { sid, account: request.account, rate_limit, max, interval_s, created: now, updated: now };
    let shown = wire_bucket(request, &row);
    world.verify.buckets.insert(row);
    world.touch();
    Ok(Reply::created(&shown))
}

fn list_buckets(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rate_limit = limit(world, request, "RateLimitSid")?.sid;
    let rows = verify::buckets_of(world, request.account, rate_limit);
    list_v1(request, "buckets", rows, |row| row.sid.to_string(), |row| wire_bucket(request, row))
}

fn fetch_bucket(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    bucket(world, request).map(|row| Reply::ok(&wire_bucket(request, row)))
}

fn update_bucket(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let row = bucket(world, request)?;
    let (sid, rate_limit, now) = (row.sid, row.rate_limit, world.now);
    let (max, interval_s) = read_bucket(&request.form, (row.max, row.interval_s))?;
    check_interval(world, request, rate_limit, interval_s, Some(sid))?;
    let row = world.verify.buckets.find_mut_of(request.account, sid).ok_or_else(|| request.not_found())?;
    (row.max, row.interval_s, row.updated) = (max, interval_s, now);
    let shown = wire_bucket(request, row);
    world.touch();
    Ok(Reply::ok(&shown))
}

fn delete_bucket(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = bucket(world, request)?.sid;
    world.verify.buckets.remove_of(request.account, sid);
    world.touch();
    Ok(Reply::deleted())
}

/// The limit in the path, by its SID or by its unique name.
fn limit<'w>(world: &'w World, request: &Request, param: &str) -> Result<&'w RateLimit, Refusal> {
    let service = meant(world, request)?.sid;
    let name = request.param(param);
    let sid = Sid::parse(name).ok();
    let mut rows = world.verify.rate_limits.of(request.account).filter(|row| row.service == service);
    rows.find(|row| Some(row.sid) == sid || row.unique_name == name).ok_or_else(|| request.not_found())
}

fn bucket<'w>(world: &'w World, request: &Request) -> Result<&'w Bucket, Refusal> {
    let rate_limit = limit(world, request, "RateLimitSid")?.sid;
    let row = world.verify.buckets.find_of(request.account, request.sid("Sid")?);
    row.filter(|row| row.rate_limit == rate_limit).ok_or_else(|| request.not_found())
}

/// `Max` and `Interval`, where they are there.
fn read_bucket(form: &Form, (max, interval_s): (u64, u64)) -> Result<(u64, u64), Refusal> {
    const MAX_MAX: u64 = 1_000_000;
    let read = |name: &str, most: u64, otherwise: u64| {
        let text = params::some(form, name).unwrap_or_default();
        let number = params::number(form, name, 1, most).map_err(|_| invalid(name, text))?;
        Ok(number.unwrap_or(otherwise))
    };
    Ok((read("Max", MAX_MAX, max)?, read("Interval", verify::INTERVAL_MAX_S, interval_s)?))
}

/// One bucket for each interval: <https://www.twilio.com/docs/api/errors/60211>.
fn check_interval(
    world: &World,
    request: &Request,
    rate_limit: Sid,
    interval_s: u64,
    except: Option<Sid>,
) -> Result<(), Refusal> {
    let mut rows = verify::buckets_of(world, request.account, rate_limit);
    if rows.any(|row| row.interval_s == interval_s && Some(row.sid) != except) {
        return Err(Refusal::bad_request(60211, "Bucket with the given Interval already exists"));
    }
    Ok(())
}

fn description(form: &Form) -> Result<Option<String>, Refusal> {
    match form.get("Description") {
        Some(text) if text.chars().count() > DESCRIPTION_MAX => Err(invalid("Description", text)),
        text => Ok(text.map(str::to_owned)),
    }
}

fn wire_limit(request: &Request, row: &RateLimit) -> VerifyRateLimit {
    let url = request.url(&format!("/v2/Services/{}/RateLimits/{}", row.service, row.sid));
    VerifyRateLimit {
        sid: row.sid.to_string(),
        service_sid: row.service.to_string(),
        account_sid: row.account.to_string(),
        unique_name: row.unique_name.clone(),
        description: Some(row.description.clone()),
        date_created: Some(Iso8601(row.created)),
        date_updated: Some(Iso8601(row.updated)),
        links: BTreeMap::from([("buckets".to_owned(), format!("{url}/Buckets"))]),
        url,
    }
}

fn wire_bucket(request: &Request, row: &Bucket) -> VerifyBucket {
    let service = request.param("ServiceSid");
    let path = format!("/v2/Services/{service}/RateLimits/{}/Buckets/{}", row.rate_limit, row.sid);
    VerifyBucket {
        sid: row.sid.to_string(),
        rate_limit_sid: row.rate_limit.to_string(),
        service_sid: service.to_owned(),
        account_sid: row.account.to_string(),
        max: row.max,
        interval: row.interval_s,
        date_created: Some(Iso8601(row.created)),
        date_updated: Some(Iso8601(row.updated)),
        url: request.url(&path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::testing::{Api, error};

    /// A world with a service of Verify, and its path.
    fn service() -> (Api, String) {
        let mut api = Api::new();
        api.of(Product::Verify);
        let (_, service) = api.post("/v2/Services", &[("FriendlyName", "Owl Bank")]);
        let path = format!("/v2/Services/{}", sid(&service));
        (api, path)
    }

    fn sid(shown: &Value) -> String {
        shown["sid"].as_str().unwrap().to_owned()
    }

    fn start(api: &mut Api, service: &str, to: &str, limits: &str) -> (u16, Value) {
        let form = [("To", to), ("Channel", "sms"), ("RateLimits", limits)];
        api.post(&format!("{service}/Verifications"), &form)
    }

    #[test]
    fn limits_and_buckets_that_make_no_sense_are_refused() {
        let (mut api, service) = service();
        let limits = format!("{service}/RateLimits");
        assert_eq!(error(api.post(&limits, &[])), (400, 20001));
        assert_eq!(error(api.post(&limits, &[("UniqueName", "end user/ip")])), (400, 60209));
        let long = "x".repeat(300);
        let form = [("UniqueName", "ip"), ("Description", long.as_str())];
        assert_eq!(error(api.post(&limits, &form)), (400, 60200));
        let (_, limit) = api.post(&limits, &[("UniqueName", "ip")]);
        assert_eq!(error(api.post(&limits, &[("UniqueName", "ip")])), (400, 60208));
        for number in 1..LIMITS_MAX {
            assert_eq!(api.post(&limits, &[("UniqueName", &format!("limit{number}"))]).0, 201);
        }
        assert_eq!(error(api.post(&limits, &[("UniqueName", "one-more")])), (400, 60207));

        let buckets = format!("{limits}/{}/Buckets", sid(&limit));
        for (max, interval, code) in [
            ("", "60", 20001),
            ("5", "", 20001),
            ("0", "60", 60200),
            ("-1", "60", 60200),
            ("5", "86401", 60200),
            ("many", "60", 60200),
        ] {
            let form = [("Max", max), ("Interval", interval)];
            assert_eq!(error(api.post(&buckets, &form)), (400, code), "{max} in {interval}");
        }
        let (_, bucket) = api.post(&buckets, &[("Max", "5"), ("Interval", "60")]);
        assert_eq!(error(api.post(&buckets, &[("Max", "9"), ("Interval", "60")])), (400, 60211));
        let (_, other) = api.post(&buckets, &[("Max", "5"), ("Interval", "61")]);
        let other = format!("{buckets}/{}", sid(&other));
        assert_eq!(error(api.post(&other, &[("Interval", "60")])), (400, 60211));
        let elsewhere = format!("{limits}/limit1/Buckets/{}", sid(&bucket));
        assert_eq!(error(api.get(&elsewhere)), (404, 20404), "a bucket belongs to its limit");
        let child = api.subaccount("child");
        assert_eq!(error(api.as_account(&child).get(&limits)), (404, 20404));
    }

    #[test]
    fn a_limit_is_found_by_its_name_and_takes_its_buckets_along() {
        let (mut api, service) = service();
        let limits = format!("{service}/RateLimits");
        api.post(&limits, &[("UniqueName", "ip"), ("Description", "By address")]);
        let (_, limit) = api.get(&format!("{limits}/ip"));
        assert_eq!(limit["description"], "By address");
        let one = format!("{limits}/{}", sid(&limit));
        assert_eq!(limit["links"]["buckets"], format!("https://verify.twilio.com{one}/Buckets"));
        assert_eq!(api.post(&one, &[("Description", "By its address")]).1["description"], "By its address");
        let (_, bucket) = api.post(&format!("{one}/Buckets"), &[("Max", "5"), ("Interval", "60")]);
        let bucket = format!("{one}/Buckets/{}", sid(&bucket));
        let (_, changed) = api.post(&bucket, &[("Max", "6")]);
        assert_eq!((&changed["max"], &changed["interval"]), (&6.into(), &60.into()));
        assert_eq!(api.delete(&one).0, 204);
        assert_eq!(error(api.get(&bucket)), (404, 20404));
        assert_eq!(api.world.verify.buckets.len(), 0);
    }

    #[test]
    fn a_bucket_that_is_full_refuses_starts_of_its_value_until_its_interval_is_over() {
        let (mut api, service) = service();
        let limits = format!("{service}/RateLimits");
        api.post(&limits, &[("UniqueName", "ip")]);
        api.post(&format!("{limits}/ip/Buckets"), &[("Max", "2"), ("Interval", "60")]);
        let here = r#"{"ip": "203.0.113.7"}"#;
        assert_eq!(start(&mut api, &service, "+14155550101", here).0, 201);
        api.pass_s(30);
        assert_eq!(start(&mut api, &service, "+14155550102", here).0, 201);
        assert_eq!(error(start(&mut api, &service, "+14155550103", here)), (429, 20429));
        let elsewhere = r#"{"ip": "203.0.113.8"}"#;
        assert_eq!(start(&mut api, &service, "+14155550103", elsewhere).0, 201, "another value counts alone");
        api.pass_s(30);
        assert_eq!(start(&mut api, &service, "+14155550104", here).0, 201, "the first start is a minute old");
        assert_eq!(error(start(&mut api, &service, "+14155550105", here)), (429, 20429));
    }
}
