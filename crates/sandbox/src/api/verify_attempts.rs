//! What codes were sent and what came of them, one by one and in sum:
//! <https://www.twilio.com/docs/verify/api/list-verification-attempts> and
//! <https://www.twilio.com/docs/verify/api/get-verification-attempts-summary>. How few of them lead to an approval tells
//! SMS pumping from people.

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::{
    AttemptsSummary, CallStatus, Iso8601, Price, VerificationAttempt, VerificationChannel, VerificationStatus,
};
use serde_json::{Value, json};

use super::operation::{Operation, Product, Verb};
use super::verify_services::invalid;
use super::{Refusal, Reply, Request, list_v1, params};
use crate::world::calls::Call;
use crate::world::numbering;
use crate::world::verify::{self, Attempt};
use crate::world::{World, lookups};

const SUMMARY: &str = "/v2/Attempts/Summary";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Verify, Verb::Get, "/v2/Attempts", list),
    Operation::new(Product::Verify, Verb::Get, SUMMARY, summary),
    Operation::new(Product::Verify, Verb::Get, "/v2/Attempts/{Sid}", fetch),
];

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let wanted = Wanted::of(request)?;
    let rows = world.verify.attempts.of(request.account).filter(|row| wanted.contains(row));
    list_v1(request, "attempts", rows, |row| row.sid.to_string(), |row| wire_attempt(world, request, row))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let row = world.verify.attempts.find_of(request.account, request.sid("Sid")?);
    row.map(|row| Reply::ok(&wire_attempt(world, request, row))).ok_or_else(|| request.not_found())
}

fn summary(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let wanted = Wanted::of(request)?;
    let rows = world.verify.attempts.of(request.account).filter(|row| wanted.contains(row));
    let (total, converted) = rows
        .fold((0_u64, 0_u64), |(total, converted), row| (total + 1, converted + u64::from(row.converted)));
    Ok(Reply::ok(&AttemptsSummary {
        total_attempts: total,
        total_converted: converted,
        total_unconverted: total - converted,
        conversion_rate_percentage: percentage(converted, total),
        url: request.url(SUMMARY),
    }))
}

/// As Twilio writes it, `81.818181818`: nine digits behind the point, and none that say nothing.
fn percentage(part: u64, whole: u64) -> String {
    const BILLION: u128 = 1_000_000_000;
    let billionths = u128::from(part) * 100 * BILLION / u128::from(whole.max(1));
    let text = format!("{}.{:09}", billionths / BILLION, billionths % BILLION);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Which attempts are asked for.
struct Wanted<'a> {
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    to: Option<&'a str>,
    prefix: Option<&'a str>,
    country: Option<&'a str>,
    channel: Option<VerificationChannel>,
    service: Option<Sid>,
    verification: Option<Sid>,
    converted: Option<bool>,
}

impl<'a> Wanted<'a> {
    fn of(request: &'a Request) -> Result<Self, Refusal> {
        let query = &request.query;
        let instant = |name: &str| match params::some(query, name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| invalid(name, text)),
        };
        let sid = |name: &str, prefix: &str| match params::some(query, name) {
            None => Ok(None),
            Some(text) => match Sid::parse(text) {
                Ok(sid) if sid.is(prefix) => Ok(Some(sid)),
                _ => Err(invalid(name, text)),
            },
        };
        let word = |name: &str, words: &[&str]| match params::some(query, name).map(str::to_ascii_lowercase) {
            Some(word) if !words.contains(&word.as_str()) => Err(invalid(name, &word)),
            word => Ok(word),
        };
        let channel = word("Channel", &["sms", "call", "email", "whatsapp", "rbm"])?;
        let status = word("Status", &["converted", "unconverted"])?;
        Ok(Self {
            after: instant("DateCreatedAfter")?,
            before: instant("DateCreatedBefore")?,
            to: params::some(query, "ChannelData.To"),
            prefix: params::some(query, "DestinationPrefix"),
            country: params::some(query, "Country"),
            channel: channel.as_deref().map(VerificationChannel::from),
            service: sid("VerifyServiceSid", "VA")?,
            verification: sid("VerificationSid", "VE")?,
            converted: status.map(|status| status == "converted"),
        })
    }

    fn contains(&self, row: &Attempt) -> bool {
        self.after.is_none_or(|after| row.created > after)
            && self.before.is_none_or(|before| row.created < before)
            && self.to.is_none_or(|to| row.to == to)
            && self.prefix.is_none_or(|prefix| row.to.starts_with(prefix))
            && self.country.is_none_or(|iso| country(&row.to).eq_ignore_ascii_case(iso))
            && self.channel.as_ref().is_none_or(|channel| row.channel == *channel)
            && self.service.is_none_or(|service| row.service == service)
            && self.verification.is_none_or(|verification| row.verification == verification)
            && self.converted.is_none_or(|converted| row.converted == converted)
    }
}

/// The ISO code of a number's country.
fn country(to: &str) -> &'static str {
    let number = PhoneNumber::parse(to).ok();
    number.and_then(numbering::country_of).map_or("", |country| country.iso)
}

fn wire_attempt(world: &World, request: &Request, row: &Attempt) -> VerificationAttempt {
    let price = Price::micros(row.price_micros).to_plain_string();
    VerificationAttempt {
        sid: row.sid.to_string(),
        account_sid: row.account.to_string(),
        service_sid: row.service.to_string(),
        verification_sid: row.verification.to_string(),
        date_created: Some(Iso8601(row.created)),
        date_updated: Some(Iso8601(row.updated)),
        conversion_status: if row.converted { "converted" } else { "unconverted" }.to_owned(),
        channel: row.channel.clone(),
        price: json!({ "value": price, "currency": "usd" }),
        channel_data: channel_data(world, row),
        url: request.url(&format!("/v2/Attempts/{}", row.sid)),
    }
}

/// Where it went and how. Codes reach the phones of the sandbox at once.
fn channel_data(world: &World, row: &Attempt) -> Value {
    let verification = world.verify.verifications.find(row.verification);
    let status = match verification.map(|it| verify::status_of(world, it)) {
        _ if row.converted => "confirmed",
        Some(VerificationStatus::Expired) | None => "expired",
        Some(_) => "unconfirmed",
    };
    let carrier = PhoneNumber::parse(&row.to).ok().and_then(|number| lookups::line(world, number).carrier);
    let mut data = json!({
        "verification_sid": row.verification.to_string(),
        "to": row.to,
        "status": status,
        "error_code": null,
        "country": country(&row.to),
        "code_length": row.code_length,
        "locale": row.locale,
        "mcc": carrier.and_then(|it| it.mobile_country_code),
        "mnc": carrier.and_then(|it| it.mobile_network_code),
        "carrier": carrier.map(|it| it.name),
    });
    if row.channel == VerificationChannel::Call {
        // A call that is no longer kept is over.
        let call = row.call.and_then(|sid| world.calls.find(sid));
        data["call_status"] = json!(call.map_or(CallStatus::Completed, Call::status));
    } else {
        data["message_status"] = json!("delivered");
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Api, error};

    const GERMAN: &str = "+4915123456789";

    /// Three codes: one by text that was entered, one by text and one by call that were not.
    fn told() -> (Api, String) {
        let mut api = Api::new();
        api.of(Product::Verify);
        let (_, service) = api.post("/v2/Services", &[("FriendlyName", "Owl Bank")]);
        let service = service["sid"].as_str().unwrap().to_owned();
        let path = format!("/v2/Services/{service}/Verifications");
        let (_, started) = api.post(&path, &[("To", "+14155550123"), ("Channel", "sms")]);
        let one = format!("{path}/{}", started["sid"].as_str().unwrap());
        assert_eq!(api.post(&one, &[("Status", "approved")]).0, 200);
        api.pass_s(60);
        for channel in ["sms", "call"] {
            assert_eq!(api.post(&path, &[("To", GERMAN), ("Channel", channel)]).0, 201);
        }
        (api, service)
    }

    fn count(api: &mut Api, query: &str) -> usize {
        let (status, page) = api.get(&format!("/v2/Attempts?{query}"));
        assert_eq!(status, 200, "{query}: {page}");
        page["attempts"].as_array().unwrap().len()
    }

    #[test]
    fn filters_that_make_no_sense_are_refused_and_anothers_attempts_are_not_found() {
        let (mut api, _) = told();
        for query in [
            "DateCreatedAfter=yesterday",
            "Channel=pigeon",
            "Status=perhaps",
            "VerifyServiceSid=VE00000000000000000000000000000001",
            "VerificationSid=nobody",
        ] {
            assert_eq!(error(api.get(&format!("/v2/Attempts?{query}"))), (400, 60200), "{query}");
        }
        let (_, page) = api.get("/v2/Attempts");
        let one = format!("/v2/Attempts/{}", page["attempts"][0]["sid"].as_str().unwrap());
        assert_eq!(api.get(&one).0, 200);
        let child = api.subaccount("child");
        assert_eq!(error(api.as_account(&child).get(&one)), (404, 20404));
        assert_eq!(count(&mut api, ""), 0);
        assert_eq!(api.get(SUMMARY).1["conversion_rate_percentage"], "0");
    }

    #[test]
    fn each_code_is_an_attempt_with_its_price_and_what_came_of_it() {
        let (mut api, service) = told();
        for (query, expected) in [
            (String::new(), 3),
            ("Country=DE".to_owned(), 2),
            ("Channel=call".to_owned(), 1),
            ("Status=CONVERTED".to_owned(), 1),
            ("ChannelData.To=%2B14155550123".to_owned(), 1),
            ("DateCreatedAfter=2027-01-15T08:00:30Z".to_owned(), 2),
            ("DateCreatedBefore=2027-01-15T08:00:30Z".to_owned(), 1),
            (format!("VerifyServiceSid={service}"), 3),
            ("VerifyServiceSid=VA00000000000000000000000000000001".to_owned(), 0),
        ] {
            assert_eq!(count(&mut api, &query), expected, "{query}");
        }
        let (_, page) = api.get("/v2/Attempts?Status=converted");
        let attempt = &page["attempts"][0];
        assert_eq!(attempt["price"], json!({ "value": "0.0079", "currency": "usd" }));
        assert_eq!(attempt["channel_data"]["status"], "confirmed");
        assert_eq!(attempt["channel_data"]["code_length"], 6);
        let one = "/v2/Attempts?Status=unconverted&Channel=sms";
        assert_eq!(api.get(one).1["attempts"][0]["channel_data"]["status"], "unconfirmed");
        api.pass_s(600);
        assert_eq!(api.get(one).1["attempts"][0]["channel_data"]["status"], "expired");
    }

    #[test]
    fn the_summary_tells_how_many_codes_were_entered() {
        let (mut api, _) = told();
        let (_, shown) = api.get(SUMMARY);
        assert_eq!((&shown["total_attempts"], &shown["total_converted"]), (&json!(3), &json!(1)));
        assert_eq!(shown["conversion_rate_percentage"], "33.333333333");
        let (_, shown) = api.get("/v2/Attempts/Summary?DestinationPrefix=%2B1");
        assert_eq!(
            (&shown["total_attempts"], &shown["conversion_rate_percentage"]),
            (&json!(1), &json!("100"))
        );
    }
}
