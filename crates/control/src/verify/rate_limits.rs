//! An application's own limits on starts, and their buckets:
//! <https://www.twilio.com/docs/verify/api/service-rate-limits> and
//! <https://www.twilio.com/docs/verify/api/service-rate-limit-buckets>.

use std::collections::BTreeMap;

use ringfence_store::{NotLimited, VerifyBucket, VerifyLimit};
use ringfence_twilio::wire::{self, Form, Iso8601};
use serde_json::json;

use super::page::Page;
use super::refusal::Refusal;
use super::{Call, Reply, params};

const UNIQUE_NAME_MAX: usize = 64;
const DESCRIPTION_MAX: usize = 256;
/// The most starts of a bucket, and its longest interval: a day.
const MAX_MAX: u32 = 1_000_000;
const INTERVAL_MAX_S: u32 = 86_400;

pub(super) async fn create(call: &Call<'_>) -> Result<Reply, Refusal> {
    let application = call.application()?.sid;
    let name = params::needed(&call.form, "UniqueName")?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    if !name.chars().all(is_name) || name.len() > UNIQUE_NAME_MAX {
        return Err(Refusal::bad_request(
            60209,
            "UniqueName format is invalid: 1 to 64 letters, digits, _, - and .",
        ));
    }
    let description = description(&call.form)?.unwrap_or_default();
    let (store, now) = (call.factor.store(), call.factor.now());
    let made = store.add_verify_limit(&call.actor(), application, name, description, now).await?;
    match made {
        Ok(limit) => Ok(Reply::created(&wire_limit(call, &limit))),
        Err(NotLimited::Exists) => {
            Err(Refusal::bad_request(60208, "Rate limit with that UniqueName already exists"))
        }
        Err(NotLimited::TooMany) => Err(Refusal::bad_request(60207, "Max rate limits per service reached")),
        Err(NotLimited::Missing) => Err(call.not_found()),
    }
}

pub(super) async fn list(call: &Call<'_>) -> Result<Reply, Refusal> {
    let page = Page::of(call)?;
    let limits = call.factor.store().verify_limits(call.application()?.sid).await?;
    Ok(page.reply_of(call, "rate_limits", limits, |limit| json!(wire_limit(call, &limit))))
}

pub(super) async fn fetch(call: &Call<'_>) -> Result<Reply, Refusal> {
    limit(call, "Sid").await.map(|limit| Reply::ok(&wire_limit(call, &limit)))
}

pub(super) async fn update(call: &Call<'_>) -> Result<Reply, Refusal> {
    let found = limit(call, "Sid").await?;
    let description = description(&call.form)?.unwrap_or(&found.description);
    let (store, now) = (call.factor.store(), call.factor.now());
    let changed = store.describe_verify_limit(&call.actor(), found.sid, description, now).await?;
    changed.map(|limit| Reply::ok(&wire_limit(call, &limit))).ok_or_else(|| call.not_found())
}

pub(super) async fn delete(call: &Call<'_>) -> Result<Reply, Refusal> {
    let found = limit(call, "Sid").await?;
    let (store, now) = (call.factor.store(), call.factor.now());
    if store.remove_verify_limit(&call.actor(), found.sid, now).await? {
        Ok(Reply::deleted())
    } else {
        Err(call.not_found())
    }
}

pub(super) async fn create_bucket(call: &Call<'_>) -> Result<Reply, Refusal> {
    let found = limit(call, "RateLimitSid").await?;
    for name in ["Max", "Interval"] {
        params::needed(&call.form, name)?;
    }
    let (most, seconds) = read_bucket(&call.form, (0, 0))?;
    let (store, now) = (call.factor.store(), call.factor.now());
    let made = store.add_verify_bucket(&call.actor(), found.sid, most, seconds, now).await?;
    made.map(|bucket| Reply::created(&wire_bucket(call, &bucket))).map_err(|not| not_bucketed(call, not))
}

pub(super) async fn list_buckets(call: &Call<'_>) -> Result<Reply, Refusal> {
    let page = Page::of(call)?;
    let buckets = call.factor.store().verify_buckets(limit(call, "RateLimitSid").await?.sid).await?;
    Ok(page.reply_of(call, "buckets", buckets, |bucket| json!(wire_bucket(call, &bucket))))
}

pub(super) async fn fetch_bucket(call: &Call<'_>) -> Result<Reply, Refusal> {
    bucket(call).await.map(|bucket| Reply::ok(&wire_bucket(call, &bucket)))
}

pub(super) async fn update_bucket(call: &Call<'_>) -> Result<Reply, Refusal> {
    let found = bucket(call).await?;
    let (most, seconds) = read_bucket(&call.form, (found.most, found.seconds))?;
    let (store, now) = (call.factor.store(), call.factor.now());
    let place = (found.rate_limit, found.sid);
    let changed = store.change_verify_bucket(&call.actor(), place, most, seconds, now).await?;
    changed.map(|bucket| Reply::ok(&wire_bucket(call, &bucket))).map_err(|not| not_bucketed(call, not))
}

pub(super) async fn delete_bucket(call: &Call<'_>) -> Result<Reply, Refusal> {
    let found = bucket(call).await?;
    let (store, now) = (call.factor.store(), call.factor.now());
    if store.remove_verify_bucket(&call.actor(), (found.rate_limit, found.sid), now).await? {
        Ok(Reply::deleted())
    } else {
        Err(call.not_found())
    }
}

fn not_bucketed(call: &Call<'_>, not: NotLimited) -> Refusal {
    match not {
        NotLimited::Missing => call.not_found(),
        NotLimited::Exists => Refusal::bad_request(60211, "Bucket with the given Interval already exists"),
        NotLimited::TooMany => Refusal::bad_request(60210, "Max Buckets per Rate limit reached"),
    }
}

/// The limit in the path, by its SID or by its unique name.
async fn limit(call: &Call<'_>, param: &str) -> Result<VerifyLimit, Refusal> {
    let name = call.param(param);
    let limits = call.factor.store().verify_limits(call.application()?.sid).await?;
    let sid = ringfence_model::Sid::parse(name).ok();
    let mut limits = limits.into_iter();
    limits.find(|limit| Some(limit.sid) == sid || limit.unique_name == name).ok_or_else(|| call.not_found())
}

async fn bucket(call: &Call<'_>) -> Result<VerifyBucket, Refusal> {
    let sid = call.sid("Sid")?;
    let found = limit(call, "RateLimitSid").await?;
    let mut buckets = call.factor.store().verify_buckets(found.sid).await?.into_iter();
    buckets.find(|bucket| bucket.sid == sid).ok_or_else(|| call.not_found())
}

/// `Max` and `Interval`, where they are there.
fn read_bucket(form: &Form, (most, seconds): (u32, u32)) -> Result<(u32, u32), Refusal> {
    let most = params::number(form, "Max", 1, MAX_MAX)?.unwrap_or(most);
    let seconds = params::number(form, "Interval", 1, INTERVAL_MAX_S)?.unwrap_or(seconds);
    Ok((most, seconds))
}

fn description(form: &Form) -> Result<Option<&str>, Refusal> {
    match form.get("Description") {
        Some(text) if text.chars().count() > DESCRIPTION_MAX => {
            Err(Refusal::invalid("Description", text, "at most 256 characters"))
        }
        text => Ok(text),
    }
}

fn wire_limit(call: &Call<'_>, limit: &VerifyLimit) -> wire::VerifyRateLimit {
    let url = call.url(&format!("/v2/Services/{}/RateLimits/{}", limit.application, limit.sid));
    wire::VerifyRateLimit {
        sid: limit.sid.to_string(),
        service_sid: limit.application.to_string(),
        account_sid: call.account(),
        unique_name: limit.unique_name.clone(),
        description: Some(limit.description.clone()),
        date_created: Some(Iso8601(limit.created_at)),
        date_updated: Some(Iso8601(limit.updated_at)),
        links: BTreeMap::from([("buckets".to_owned(), format!("{url}/Buckets"))]),
        url,
    }
}

fn wire_bucket(call: &Call<'_>, bucket: &VerifyBucket) -> wire::VerifyBucket {
    let service = call.caller.application.sid;
    let path = format!("/v2/Services/{service}/RateLimits/{}/Buckets/{}", bucket.rate_limit, bucket.sid);
    wire::VerifyBucket {
        sid: bucket.sid.to_string(),
        rate_limit_sid: bucket.rate_limit.to_string(),
        service_sid: service.to_string(),
        account_sid: call.account(),
        max: u64::from(bucket.most),
        interval: u64::from(bucket.seconds),
        date_created: Some(Iso8601(bucket.created_at)),
        date_updated: Some(Iso8601(bucket.updated_at)),
        url: call.url(&path),
    }
}
