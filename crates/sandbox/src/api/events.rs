//! Monitor: what changed in an account (<https://www.twilio.com/docs/usage/monitor-events>) and what went wrong with
//! its webhooks (<https://www.twilio.com/docs/usage/monitor-alert>).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Iso8601};
use serde_json::{Value, json};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_v1, params};
use crate::table::Row;
use crate::world::World;
use crate::world::events::{Alert, Event};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Monitor, Verb::Get, "/v1/Events", list),
    Operation::new(Product::Monitor, Verb::Get, "/v1/Events/{Sid}", fetch),
    Operation::new(Product::Monitor, Verb::Get, "/v1/Alerts", list_alerts),
    Operation::new(Product::Monitor, Verb::Get, "/v1/Alerts/{Sid}", fetch_alert),
];

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let query = &request.query;
    let [event_type, resource, actor, address] =
        ["EventType", "ResourceSid", "ActorSid", "SourceIpAddress"].map(|name| params::some(query, name));
    let between = Between::of(request)?;
    let rows = world.events.of(request.account).filter(|event| {
        event_type.is_none_or(|it| event.event_type == it)
            && resource.is_none_or(|it| event.resource.to_string() == it)
            && actor.is_none_or(|it| event.actor.is_some_and(|actor| actor.sid.to_string() == it))
            && address.is_none_or(|it| event.actor.is_some_and(|actor| actor.source_ip.to_string() == it))
            && between.contains(event.at)
    });
    list_v1(request, "events", rows, |event| event.sid.to_string(), |event| shown(request, event))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let event = world.events.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    Ok(Reply::ok(&shown(request, event)))
}

fn list_alerts(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let level = params::some(&request.query, "LogLevel");
    if let Some(unknown) = level.filter(|it| !["error", "warning", "notice", "debug"].contains(it)) {
        return Err(Refusal::invalid("LogLevel", unknown));
    }
    let between = Between::of(request)?;
    let rows = world
        .alerts
        .of(request.account)
        .filter(|alert| level.is_none_or(|it| alert.new.level.as_str() == it) && between.contains(alert.at));
    list_v1(
        request,
        "alerts",
        rows,
        |alert| alert.sid().to_string(),
        |alert| shown_alert(request, alert, false),
    )
}

fn fetch_alert(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let alert = world.alerts.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    Ok(Reply::ok(&shown_alert(request, alert, true)))
}

/// `StartDate` and `EndDate`: instants, or days in GMT of which the last is included.
struct Between {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Between {
    fn of(request: &Request) -> Result<Self, Refusal> {
        let read = |name: &str, end_of_day: bool| match params::some(&request.query, name) {
            None => Ok(None),
            Some(text) => instant(text, end_of_day).map(Some).ok_or_else(|| Refusal::invalid(name, text)),
        };
        Ok(Self { from: read("StartDate", false)?, until: read("EndDate", true)? })
    }

    fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at <= until)
    }
}

fn instant(text: &str, end_of_day: bool) -> Option<Timestamp> {
    if text.len() != "2026-11-25".len() {
        return text.parse().ok();
    }
    let day: Date = text.parse().ok()?;
    let at = if end_of_day { day.at(23, 59, 59, 999_999_999) } else { day.at(0, 0, 0, 0) };
    TimeZone::UTC.to_timestamp(at).ok()
}

fn shown(request: &Request, event: &Event) -> wire::Event {
    let actor_type = event.actor.map(|actor| if actor.sid.is("SK") { "api-key" } else { "account" });
    let resource_type = event.event_type.split('.').next().unwrap_or(event.event_type);
    let actor = event.actor.map(|actor| resource_url(request, event.account, actor.sid));
    wire::Event {
        sid: event.sid.to_string(),
        account_sid: event.account.to_string(),
        event_type: Some(event.event_type.to_owned()),
        event_date: Some(Iso8601(event.at)),
        event_data: event.data.clone(),
        description: None,
        resource_type: Some(resource_type.to_owned()),
        resource_sid: Some(event.resource.to_string()),
        actor_type: Some(actor_type.unwrap_or("twilio-admin").to_owned()),
        actor_sid: event.actor.map(|actor| actor.sid.to_string()),
        source: Some(if event.actor.is_some() { "api" } else { "twilio" }.to_owned()),
        source_ip_address: event.actor.map(|actor| actor.source_ip.to_string()),
        url: request.url(&format!("/v1/Events/{}", event.sid)),
        links: BTreeMap::from([
            ("actor".to_owned(), actor.flatten()),
            ("resource".to_owned(), resource_url(request, event.account, event.resource)),
        ]),
    }
}

/// Where the API has it, for what it has by the letters of its SID.
fn resource_url(request: &Request, account: Sid, sid: Sid) -> Option<String> {
    let accounts = "/2010-04-01/Accounts";
    let path = match sid.to_string().get(..2)? {
        "AC" => format!("{accounts}/{sid}"),
        "PN" => format!("{accounts}/{account}/IncomingPhoneNumbers/{sid}"),
        "SK" => format!("{accounts}/{account}/Keys/{sid}"),
        "AP" => format!("{accounts}/{account}/Applications/{sid}"),
        "UT" => format!("{accounts}/{account}/Usage/Triggers/{sid}"),
        _ => return None,
    };
    Some(request.url_of(Product::Api, &path))
}

fn shown_alert(request: &Request, alert: &Alert, whole: bool) -> Value {
    let new = &alert.new;
    let webhook = new.webhook.as_ref();
    let mut shown = json!({
        "sid": alert.sid.to_string(),
        "account_sid": new.account.to_string(),
        "alert_text": new.text,
        "api_version": "2010-04-01",
        "date_created": Iso8601(alert.at),
        "date_generated": Iso8601(alert.at),
        "date_updated": Iso8601(alert.at),
        "error_code": new.code.to_string(),
        "log_level": new.level.as_str(),
        "more_info": format!("https://www.twilio.com/docs/errors/{}", new.code),
        "request_method": webhook.map(|it| it.method.as_str()),
        "request_url": webhook.map(|it| &it.url),
        "resource_sid": new.resource.to_string(),
        "service_sid": null,
        "url": request.url(&format!("/v1/Alerts/{}", alert.sid)),
    });
    if whole {
        shown["request_variables"] = json!(webhook.map(|it| &it.variables));
        shown["request_headers"] = json!(webhook.map(|it| &it.request_headers));
        shown["response_headers"] = json!(webhook.map(|it| &it.response_headers));
        shown["response_body"] = json!(webhook.map(|it| &it.response_body));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Api, error};
    use crate::world::events::LogLevel;
    use crate::world::webhooks::{Answer, Method, Target, Then, Try, TryResult, Webhook, answered, deliver};

    #[test]
    fn filters_that_make_no_sense_are_refused_and_what_is_anothers_is_not_found() {
        let mut api = Api::new();
        api.of(Product::Monitor);
        for path in ["/v1/Events?StartDate=soon", "/v1/Alerts?EndDate=2026-02-30", "/v1/Alerts?LogLevel=loud"]
        {
            assert_eq!(error(api.get(path)), (400, 20001), "{path}");
        }
        let event = api.get("/v1/Events?PageSize=1").1["events"][0]["sid"].as_str().unwrap().to_owned();
        assert_eq!(api.get(&format!("/v1/Events/{event}")).0, 200);
        let sub = api.subaccount("other");
        api.as_account(&sub);
        assert_eq!(error(api.get(&format!("/v1/Events/{event}"))), (404, 20404));
        assert_eq!(error(api.get("/v1/Alerts/NO00000000000000000000000000000001")), (404, 20404));
    }

    #[test]
    fn a_change_is_told_with_who_made_it_and_what_it_was_before() {
        let mut api = Api::new();
        let sub = api.subaccount("tenant");
        let path = format!("/2010-04-01/Accounts/{}.json", sub.sid);
        api.of(Product::Api).post(&path, &[("Status", "suspended")]);
        api.as_account(&sub).of(Product::Monitor);
        api.world.settings.suspended.own_credentials = crate::settings::Refused::Nothing;
        let (_, page) = api.get("/v1/Events?EventType=account.updated");
        let event = &page["events"][0];
        assert_eq!(event["resource_sid"], sub.sid.to_string());
        assert_eq!(
            (&event["actor_sid"], &event["actor_type"]),
            (&json!(api.main.to_string()), &json!("account"))
        );
        assert_eq!(event["event_data"]["status"], json!({ "previous": "active", "updated": "suspended" }));
        assert_eq!(
            event["links"]["resource"],
            format!("https://api.twilio.com/2010-04-01/Accounts/{}", sub.sid)
        );
        for (query, count) in [
            (format!("ActorSid={}", api.main), 1),
            (format!("ActorSid={}", sub.sid), 0),
            ("SourceIpAddress=127.0.0.1".to_owned(), 1),
            ("StartDate=2027-01-15".to_owned(), 1),
            ("EndDate=2027-01-14".to_owned(), 0),
            ("EndDate=2027-01-15".to_owned(), 1),
        ] {
            let (_, page) = api.get(&format!("/v1/Events?EventType=account.updated&{query}"));
            assert_eq!(page["events"].as_array().unwrap().len(), count, "{query}");
        }
    }

    #[test]
    fn a_url_that_was_led_elsewhere_is_told_with_where_it_led_before() {
        let mut api = Api::new();
        let list = format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers", api.main);
        let (_, numbers) = api.get(&format!("{list}.json"));
        let number = numbers["incoming_phone_numbers"][0]["sid"].as_str().unwrap().to_owned();
        for url in ["https://a.example/voice", "https://b.example/voice"] {
            api.post(&format!("{list}/{number}.json"), &[("VoiceUrl", url)]);
        }
        api.of(Product::Monitor);
        let (_, page) = api.get("/v1/Events?EventType=phone-number.updated");
        let change = json!({ "previous": "https://a.example/voice", "updated": "https://b.example/voice" });
        assert_eq!(page["events"][0]["event_data"], json!({ "voice_url": change }));
    }

    #[test]
    fn a_webhook_that_failed_is_an_alert_with_the_answer() {
        let mut api = Api::new();
        let (account, url) = (api.main, "http://app.example/status".to_owned());
        let target = Target { url: url.clone(), method: Method::Post };
        let params = vec![("MessageStatus", "sent".to_owned())];
        let kind = "message-status";
        let delivery =
            deliver(&mut api.world, Webhook { account, kind, target, params, then: Then::Nothing });
        let result = TryResult::Answered(Answer {
            status: 500,
            content_type: "text/plain".to_owned(),
            body: bytes::Bytes::from_static(b"broken"),
            ..Answer::default()
        });
        let at = api.world.now;
        let tried = Try { at, url: url.clone(), result, took_ms: 1, sent_credentials: false };
        answered(&mut api.world, delivery, tried);
        api.of(Product::Monitor);
        let (_, page) = api.get("/v1/Alerts?LogLevel=error");
        let alert = &page["alerts"][0];
        assert_eq!((&alert["error_code"], &alert["request_url"]), (&json!("11200"), &json!(url)));
        let (_, whole) = api.get(&format!("/v1/Alerts/{}", alert["sid"].as_str().unwrap()));
        assert_eq!(whole["request_variables"], "MessageStatus=sent");
        assert_eq!(whole["response_body"], "broken");
        assert_eq!(api.get("/v1/Alerts?LogLevel=warning").1["alerts"], json!([]));
        assert!(matches!(api.world.alerts.newest_first().next().unwrap().new.level, LogLevel::Error));
    }
}
