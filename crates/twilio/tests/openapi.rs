//! Every request that the client makes is one that Twilio's OpenAPI documents describe, and every answer that they
//! give as an example is one that it reads.
//!
//! A server answers each request with the examples of the operation that it means, one after another. What the client
//! sent is then held against the document.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfence_model::{PhoneNumber, Secret, Sid};
use ringfence_testkit::openapi::{Document, Operation};
use ringfence_testkit::{Answer, Recorded, Upstream};
use ringfence_twilio::client::*;
use ringfence_twilio::wire::{
    AccountStatus, CallStatus, Form, Recurring, TriggerBy, VerificationChannel, VerificationStatus,
};
use serde_json::Value;

type Asking = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// What a test asks of a client; the name is that of the file and the method.
type Ask = (&'static str, fn(Client) -> Asking);

/// `ask!("accounts.fetch", client => client.accounts().fetch(ACCOUNT))`; a list is asked for its first
/// page, and several requests are an `async` block.
macro_rules! ask {
    ($name:literal, $client:ident => $request:expr) => {
        ($name, |$client: Client| Box::pin(async move { $request.await.map(drop) }))
    };
}

const ACCOUNT: Sid = Sid::new(*b"AC", 1);
const SERVICE: Sid = Sid::new(*b"VA", 1);

/// No operation has more examples than this: Lookup has 19.
const ROUNDS: usize = 20;

/// Every method of every resource, with everything that can be given and, where that differs, with nothing.
const ASKS: &[Ask] = &[
    ask!("accounts.list", client => client.accounts().list(&AccountFilter::default()).next()),
    ask!("accounts.list", client => client.accounts().list(&AccountFilter {
        friendly_name: Some("a & b".to_owned()),
        status: Some(AccountStatus::Active),
    }).page_size(2).next()),
    ask!("accounts.fetch", client => client.accounts().fetch(ACCOUNT)),
    ask!("accounts.create", client => client.accounts().create(None)),
    ask!("accounts.create", client => client.accounts().create(Some("customer 1"))),
    ask!("accounts.set_status", client => client.accounts().set_status(ACCOUNT, &AccountStatus::Suspended)),
    ask!("accounts.rename", client => client.accounts().rename(ACCOUNT, "customer 2")),
    ask!("applications.list", client => client.applications(ACCOUNT).list(&ApplicationFilter::default()).next()),
    ask!("applications.list", client => client.applications(ACCOUNT).list(&ApplicationFilter {
        friendly_name: Some("hooks".to_owned()),
    }).next()),
    ask!("applications.fetch", client => client.applications(ACCOUNT).fetch(Sid::new(*b"AP", 1))),
    ask!("auth_tokens.create_secondary", client => client.auth_tokens().create_secondary()),
    ask!("auth_tokens.delete_secondary", client => client.auth_tokens().delete_secondary()),
    ask!("auth_tokens.promote", client => client.auth_tokens().promote()),
    ask!("balance.fetch", client => client.balance(ACCOUNT).fetch()),
    ask!("caller_ids.list", client => client.caller_ids(ACCOUNT).list(Some("+14155550100")).next()),
    ask!("caller_ids.list", client => client.caller_ids(ACCOUNT).list(None).next()),
    ask!("calls.create", client => async {
        let url = Instructions::Url("https://example.com/voice".to_owned());
        client.calls(ACCOUNT).create(&NewCall {
            method: Some(WebhookMethod::Get),
            fallback_url: Some("https://example.com/fallback".to_owned()),
            fallback_method: Some(WebhookMethod::Post),
            status_callback: Some("https://example.com/status".to_owned()),
            status_callback_method: Some(WebhookMethod::Post),
            status_callback_events: vec!["initiated".to_owned(), "completed".to_owned()],
            timeout_s: Some(30),
            time_limit_s: Some(60),
            send_digits: Some("ww12#".to_owned()),
            machine_detection: Some("Enable".to_owned()),
            record: Some(true),
            recording_status_callback: Some("https://example.com/recording".to_owned()),
            caller_id: Some("+14155550102".to_owned()),
            call_reason: Some("your code".to_owned()),
            ..NewCall::new("+14155550100", "+14155550101", url)
        }).await?;
        let twiml = Instructions::Twiml("<Response><Hangup/></Response>".to_owned());
        client.calls(ACCOUNT).create(&NewCall::new("client:alice", "sip:a@example.com", twiml)).await?;
        let application = Instructions::Application(Sid::new(*b"AP", 1));
        client.calls(ACCOUNT).create(&NewCall::new("+14155550100", "+14155550101", application)).await
    }),
    ask!("calls.fetch", client => client.calls(ACCOUNT).fetch(Sid::new(*b"CA", 1))),
    ask!("calls.list", client => client.calls(ACCOUNT).list(&CallFilter::default()).next()),
    ask!("calls.list", client => client.calls(ACCOUNT).list(&CallFilter {
        to: Some("+14155550100".to_owned()),
        from: Some("+14155550101".to_owned()),
        parent_call_sid: Some(Sid::new(*b"CA", 1)),
        status: Some(CallStatus::InProgress),
        started_since: time(),
        started_until: time(),
        ended_since: time(),
        ended_until: time(),
    }).next()),
    ask!("calls.end", client => client.calls(ACCOUNT).end(Sid::new(*b"CA", 1))),
    ask!("calls.cancel", client => client.calls(ACCOUNT).cancel(Sid::new(*b"CA", 1))),
    ask!("calls.update", client => client.calls(ACCOUNT).update(Sid::new(*b"CA", 1), &CallUpdate {
        url: Some("https://example.com/voice".to_owned()),
        twiml: Some("<Response/>".to_owned()),
        method: Some(WebhookMethod::Post),
        fallback_url: Some("https://example.com/fallback".to_owned()),
        fallback_method: Some(WebhookMethod::Get),
        status_callback: Some("https://example.com/status".to_owned()),
        status_callback_method: Some(WebhookMethod::Get),
        time_limit_s: Some(60),
    })),
    ask!("calls.delete", client => client.calls(ACCOUNT).delete(Sid::new(*b"CA", 1))),
    ask!("dialing_permissions.list", client => client.dialing_permissions().list(&DialingFilter {
        continent: Some("EUROPE".to_owned()),
        country_code: Some("+44".to_owned()),
        low_risk_numbers_enabled: Some(true),
        high_risk_special_numbers_enabled: Some(false),
        high_risk_tollfraud_numbers_enabled: Some(false),
    }).next()),
    ask!("dialing_permissions.fetch", client => client.dialing_permissions().fetch("US")),
    ask!("dialing_permissions.update", client => client.dialing_permissions().update(&[DialingChange {
        iso_code: "GB".to_owned(),
        low_risk_numbers_enabled: true,
        high_risk_special_numbers_enabled: false,
        high_risk_tollfraud_numbers_enabled: false,
    }])),
    ask!("dialing_permissions.inheritance", client => client.dialing_permissions().inheritance()),
    ask!("dialing_permissions.set_inheritance", client => client.dialing_permissions().set_inheritance(false)),
    ask!("events.list", client => client.events().list(&EventFilter {
        event_type: Some("account.updated".to_owned()),
        resource_sid: Some(ACCOUNT),
        actor_sid: Some(Sid::new(*b"US", 1)),
        source_ip_address: Some("192.0.2.1".to_owned()),
        since: time(),
        until: time(),
    }).next()),
    ask!("events.fetch", client => client.events().fetch(Sid::new(*b"AE", 1))),
    ask!("incoming_numbers.list", client => client.incoming_numbers(ACCOUNT).list(&IncomingNumberFilter {
        phone_number: Some("+1415*".to_owned()),
        friendly_name: Some("main".to_owned()),
        beta: Some(false),
        origin: Some("twilio".to_owned()),
    }).next()),
    ask!("incoming_numbers.fetch", client => client.incoming_numbers(ACCOUNT).fetch(Sid::new(*b"PN", 1))),
    ask!("incoming_numbers.update", client => client.incoming_numbers(ACCOUNT).update(
        Sid::new(*b"PN", 1),
        &IncomingNumberChange {
            friendly_name: Some("main".to_owned()),
            sms_url: Some("https://example.com/sms".to_owned()),
            sms_method: Some(WebhookMethod::Post),
            sms_fallback_url: Some("https://example.com/sms2".to_owned()),
            sms_fallback_method: Some(WebhookMethod::Get),
            voice_url: Some("https://example.com/voice".to_owned()),
            voice_method: Some(WebhookMethod::Post),
            voice_fallback_url: Some("https://example.com/voice2".to_owned()),
            voice_fallback_method: Some(WebhookMethod::Get),
            status_callback: Some("https://example.com/status".to_owned()),
            status_callback_method: Some(WebhookMethod::Post),
        },
    )),
    ask!("incoming_numbers.release", client => client.incoming_numbers(ACCOUNT).release(Sid::new(*b"PN", 1))),
    ask!("keys.list", client => client.keys(ACCOUNT).list().next()),
    ask!("keys.fetch", client => client.keys(ACCOUNT).fetch(Sid::new(*b"SK", 1))),
    ask!("keys.create", client => client.keys(ACCOUNT).create(Some("deploy"))),
    ask!("keys.rename", client => client.keys(ACCOUNT).rename(Sid::new(*b"SK", 1), "old")),
    ask!("keys.delete", client => client.keys(ACCOUNT).delete(Sid::new(*b"SK", 1))),
    ask!("lookups.line_type", client => client.lookups().line_type(number())),
    ask!("messages.create", client => async {
        client.messages(ACCOUNT).create(&NewMessage {
            to: "+14155550100".to_owned(),
            from: Some("+14155550101".to_owned()),
            body: Some("a & b = ü".to_owned()),
            ..NewMessage::default()
        }).await?;
        client.messages(ACCOUNT).create(&NewMessage {
            to: "+14155550100".to_owned(),
            from: None,
            messaging_service_sid: Some(Sid::new(*b"MG", 1)),
            body: None,
            media_urls: vec!["https://example.com/1.png".to_owned(), "https://example.com/2.png".to_owned()],
            content_sid: Some(Sid::new(*b"HX", 1)),
            content_variables: Some("{\"1\":\"x\"}".to_owned()),
            status_callback: Some("https://example.com/status".to_owned()),
            application_sid: Some(Sid::new(*b"AP", 1)),
            validity_period_s: Some(60),
            send_at: time(),
            attempt: Some(2),
            provide_feedback: Some(true),
            smart_encoded: Some(true),
            shorten_urls: Some(false),
            send_as_mms: Some(false),
            keep_content: Some(false),
            keep_address: Some(false),
            risk_check: Some(false),
            persistent_actions: vec!["mailto:a@example.com".to_owned()],
        }).await
    }),
    ask!("messages.fetch", client => client.messages(ACCOUNT).fetch(Sid::new(*b"SM", 1))),
    ask!("messages.list", client => client.messages(ACCOUNT).list(&MessageFilter {
        to: Some("+14155550100".to_owned()),
        from: Some("+14155550101".to_owned()),
        sent_on: "2026-11-25".parse().ok(),
        sent_since: time(),
        sent_until: time(),
    }).next()),
    ask!("messages.redact", client => client.messages(ACCOUNT).redact(Sid::new(*b"SM", 1))),
    ask!("messages.cancel", client => client.messages(ACCOUNT).cancel(Sid::new(*b"MM", 1))),
    ask!("messages.delete", client => client.messages(ACCOUNT).delete(Sid::new(*b"SM", 1))),
    ask!("messaging_services.list", client => client.messaging_services().list().next()),
    ask!("messaging_services.fetch", client => client.messaging_services().fetch(Sid::new(*b"MG", 1))),
    ask!("pricing.messaging_countries", client => client.pricing().messaging_countries().next()),
    ask!("pricing.messaging_country", client => client.pricing().messaging_country("US")),
    ask!("pricing.voice_countries", client => client.pricing().voice_countries().next()),
    ask!("pricing.voice_country", client => client.pricing().voice_country("US")),
    ask!("pricing.voice_number", client => client.pricing().voice_number(number(), None)),
    ask!("pricing.voice_number", client => client.pricing().voice_number(number(), Some(number()))),
    ask!("pricing.phone_number_countries", client => client.pricing().phone_number_countries().next()),
    ask!("pricing.phone_number_country", client => client.pricing().phone_number_country("US")),
    ask!("recordings.list", client => client.recordings(ACCOUNT).list().next()),
    ask!("server_time.read", client => client.server_time(ACCOUNT).read()),
    ask!("sip_domains.list", client => client.sip_domains(ACCOUNT).list().next()),
    ask!("sms_geo_permissions.list", client => client.sms_geo_permissions().list(&["US", "GB"])),
    ask!("sms_geo_permissions.list", client => client.sms_geo_permissions().list(&[])),
    ask!("sms_geo_permissions.update", client => client.sms_geo_permissions().update(&[
        SmsGeoChange { country_code: "US".to_owned(), enabled: true },
        SmsGeoChange { country_code: "LV".to_owned(), enabled: false },
    ])),
    ask!("usage_records.list", client => async {
        use UsageSpan::*;
        let filter = UsageFilter {
            category: Some("totalprice".to_owned()),
            start: "2026-11-01".parse().ok(),
            end: "2026-11-25".parse().ok(),
            include_subaccounts: Some(false),
        };
        for span in [AllTime, Daily, Monthly, Yearly, Today, Yesterday, ThisMonth, LastMonth] {
            client.usage_records(ACCOUNT).list(span, &filter).next().await?;
        }
        client.usage_records(ACCOUNT).list(Whole, &UsageFilter::default()).next().await
    }),
    ask!("usage_triggers.list", client => client.usage_triggers(ACCOUNT).list(&TriggerFilter {
        recurring: Some(Recurring::Daily),
        trigger_by: Some(TriggerBy::Price),
        usage_category: Some("totalprice".to_owned()),
    }).next()),
    ask!("usage_triggers.fetch", client => client.usage_triggers(ACCOUNT).fetch(Sid::new(*b"UT", 1))),
    ask!("usage_triggers.create", client => client.usage_triggers(ACCOUNT).create(&NewUsageTrigger {
        callback_url: "https://example.com/trigger".to_owned(),
        trigger_value: "+50".to_owned(),
        usage_category: "totalprice".to_owned(),
        callback_method: Some(WebhookMethod::Post),
        friendly_name: Some("fifty a day".to_owned()),
        recurring: Some(Recurring::Daily),
        trigger_by: Some(TriggerBy::Price),
    })),
    ask!("usage_triggers.update", client => client.usage_triggers(ACCOUNT).update(
        Sid::new(*b"UT", 1),
        &UsageTriggerChange {
            callback_url: Some("https://example.com/trigger".to_owned()),
            callback_method: Some(WebhookMethod::Get),
            friendly_name: Some("fifty".to_owned()),
        },
    )),
    ask!("verifications.start", client => client.verifications(SERVICE).start(&NewVerification {
        custom_code: Some(Secret::new("314159")),
        custom_friendly_name: Some("Owl Bank".to_owned()),
        locale: Some("de".to_owned()),
        send_digits: Some("12".to_owned()),
        app_hash: Some("ABCDEFGHIJK".to_owned()),
        ..NewVerification::new(number().to_string(), VerificationChannel::Sms)
    })),
    ask!("verifications.fetch", client => client.verifications(SERVICE).fetch("+14155550100")),
    ask!("verifications.end", client => client.verifications(SERVICE).end("+1", &VerificationStatus::Canceled)),
    ask!("usage_triggers.delete", client => client.usage_triggers(ACCOUNT).delete(Sid::new(*b"UT", 1))),
];

#[tokio::test]
async fn every_request_is_described_and_every_example_of_an_answer_is_read() {
    let documents = Arc::new(Document::all());
    let round = Arc::new(AtomicUsize::new(0));
    let (known, current) = (Arc::clone(&documents), Arc::clone(&round));
    let twilio = Upstream::start(move |request| {
        let answer = example(&known, &request, current.load(Ordering::SeqCst));
        async move { answer }
    })
    .await;
    let client = client(&twilio);
    let mut wrong = Vec::new();
    // One that has fewer examples begins again.
    for number in 0..ROUNDS {
        round.store(number, Ordering::SeqCst);
        for (name, ask) in ASKS {
            if let Err(error) = ask(client.clone()).await {
                wrong.push(format!("{name}, example {number}: {error}"));
            }
        }
    }
    for request in twilio.requests() {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let Some((operation, path)) = operation(&documents, &request.method, path) else {
            wrong.push(format!("{} {path}: no document has it", request.method));
            continue;
        };
        let problems = operation.check_request(path, &fields(query.as_bytes()), &fields(&request.body));
        wrong.extend(problems.into_iter().map(|problem| format!("{}: {problem}", operation.title())));
        let content_type = request.header("content-type");
        assert_eq!(content_type.is_some(), !request.body.is_empty(), "{}", operation.title());
        assert!(content_type.is_none_or(|it| it == "application/x-www-form-urlencoded"));
        assert!(request.header("user-agent").is_some_and(|it| it.starts_with("ringfence/")));
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Resources without a document of Twilio's here. The Webhooks configuration API is a beta; what is asked of it is asked of the
/// sandbox, in `crates/control/tests/rotation/shared_keys.rs`.
const WITHOUT_A_DOCUMENT: [&str; 1] = ["webhooks."];

#[test]
fn every_method_of_the_client_is_asked_for_above() {
    let asked: BTreeSet<_> = ASKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut written = methods_in_the_code();
    written.retain(|name| !WITHOUT_A_DOCUMENT.iter().any(|resource| name.starts_with(resource)));
    assert!(written.len() > 40, "the methods were not found in the code: {written:?}");
    let missing: Vec<_> = written.difference(&asked).collect();
    let gone: Vec<_> = asked.difference(&written).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not asked: {missing:?}; not in the code: {gone:?}");
}

/// `file.method` of each public method of a handle: what stands in an `impl Name<'_>`.
fn methods_in_the_code() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/resources");
    let mut methods = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut in_a_handle = false;
        for line in text.lines() {
            if line.starts_with("impl ") {
                in_a_handle = line.ends_with("<'_> {");
            }
            let method = ["    pub async fn ", "    pub fn "].iter().find_map(|it| line.strip_prefix(it));
            if let (true, Some(method)) = (in_a_handle, method) {
                methods.insert(format!("{file}.{}", method.split('(').next().unwrap()));
            }
        }
    }
    methods
}

/// The answer to a request: one of the document's examples of success.
fn example(documents: &[Document], request: &Recorded, number: usize) -> Answer {
    let path = request.target.split('?').next().unwrap_or_default();
    let Some((operation, _)) = operation(documents, &request.method, path) else {
        return Answer::new(404, "{}");
    };
    let response = operation.responses().into_iter().find(|it| (200..300).contains(&it.status)).unwrap();
    let examples: Vec<&Value> = response.examples.into_values().collect();
    assert!(examples.len() <= ROUNDS, "{} has {} examples", operation.title(), examples.len());
    match examples.get(number % examples.len().max(1)) {
        Some(example) => Answer::new(response.status, example.to_string()),
        None => Answer::new(response.status, ""),
    }
}

/// The operation of a request, and its path without the host in its first segment.
fn operation<'d, 'p>(
    documents: &'d [Document],
    method: &str,
    path: &'p str,
) -> Option<(Operation<'d>, &'p str)> {
    documents.iter().find_map(|document| {
        let path = path.strip_prefix('/')?.strip_prefix(document.host())?;
        Some((document.operation(method, path)?, path))
    })
}

fn fields(encoded: &[u8]) -> Vec<(String, String)> {
    Form::parse(encoded).pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn client(twilio: &Upstream) -> Client {
    let settings = Settings {
        base: format!("http://{}", twilio.address()).parse().unwrap(),
        backoff: Backoff { tries: 1, ..Backoff::default() },
        ..Settings::default()
    };
    Client::new(settings, Credentials::auth_token(ACCOUNT, Secret::new("token"))).unwrap()
}

fn time() -> Option<jiff::Timestamp> {
    "2026-11-25T20:00:00Z".parse().ok()
}

fn number() -> PhoneNumber {
    PhoneNumber::parse("+14155550100").unwrap()
}
