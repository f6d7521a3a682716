//! Money: set aside before, sent once, answered for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::SignedDuration;
use ringfence_breaker::price_book::{Kind, Learnt, PrefixPrice, PriceBook, Prices, Source};
use ringfence_gateway::settings::Settings;
use ringfence_store::{EgressArea, EgressScopes, Now, Spent};
use ringfence_testkit::{RawClient, RawUpstream, Upstream, read_request};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::world::{
    ACCOUNT, CALL, FROM, MESSAGE, Setup, TO, World, answer, book, book_rules, calls, encoded, form,
    json_answer, limit, message, messages, request,
};

fn timeout(within: Duration) -> Box<dyn FnOnce(&mut Settings)> {
    Box::new(move |settings| settings.egress.as_mut().unwrap().timeout = within)
}

async fn states(world: &World) -> Vec<(String, Option<String>)> {
    let open = world.store.open_reservations(None, 100).await.unwrap();
    open.iter().map(|it| (it.state.word().to_owned(), it.resource.map(|sid| sid.to_string()))).collect()
}

#[tokio::test]
async fn the_message_that_does_not_fit_is_refused_before_it_is_sent_and_the_one_before_it_is_not() {
    let world = World::limited(vec![limit("three dollars", "3")]).await;
    let key = world.key().await;
    for _ in 0..3 {
        assert_eq!(world.message(&key).await.status, 201);
    }
    let refused = world.message(&key).await;
    let body: Value = serde_json::from_slice(&refused.body).unwrap();
    // All three are still open: they may yet turn out cheaper.
    assert_eq!((refused.status, &body["code"]), (429, &json!(84032)), "{body}");
    assert!(body["message"].as_str().unwrap().contains("three dollars"), "it names the limit: {body}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(world.requests().len(), 3);
    assert_eq!(world.reserved("three dollars").await.to_string(), "3");
}

#[tokio::test]
async fn what_could_never_fit_is_refused_for_good_and_wakes_who_acts_on_it() {
    let world = World::limited(vec![limit("half a dollar", "0.5")]).await;
    let key = world.key().await;
    world.assert_refused(&world.message(&key).await, 403, 84030);
    assert_eq!(world.woken.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_limit_that_only_watches_lets_pass_and_counts() {
    let mut watching = limit("watching", "0.5");
    watching.enforce = false;
    let world = World::limited(vec![watching]).await;
    let key = world.key().await;
    assert_eq!(world.message(&key).await.status, 201);
    assert_eq!(world.metric("ringfence_egress_would_refuse_total{limit=\"watching\"}").await, 1);
}

#[tokio::test]
async fn a_segment_more_costs_a_segment_more() {
    let world = World::new().await;
    let key = world.key().await;
    let long = format!("To={}&From={}&Body={}", encoded(TO), encoded(FROM), "x".repeat(161));
    assert_eq!(world.send(message(&key, &long)).await.status, 201);
    assert_eq!(world.reserved("daily").await.to_string(), "2");
}

#[tokio::test]
async fn what_twilio_refuses_for_its_length_is_not_sent_and_fills_no_limit() {
    let world = World::new().await;
    let key = world.key().await;
    let begin = format!("To={}&From={}", encoded(TO), encoded(FROM));
    let [many, long, huge] =
        [1_601, 10_000, 500_000].map(|length| format!("{begin}&Body={}", "x".repeat(length)));
    let media = format!("{begin}{}", "&MediaUrl=https%3A%2F%2Fa.example".repeat(11));
    let verify = "/verify.twilio.com/v2/Services/VA00000000000000000000000000000001/Verifications";
    let inserted = format!("To={}&Channel=sms&CustomMessage={}", encoded(TO), "x".repeat(5_000));
    // With Twilio's own codes, which applications look for, where it has one.
    for (sent, code) in [
        (message(&key, &many), 21617),
        (message(&key, &long), 21617),
        (message(&key, &huge), 21617),
        (message(&key, &media), 21623),
        (request(&key, "POST", verify, &inserted), 84007),
    ] {
        world.assert_refused(&world.send(sent).await, 400, code);
    }
    assert_eq!(world.reserved("daily").await.to_string(), "0");
    assert_eq!(world.message(&key).await.status, 201, "nothing has tripped");
    let most = format!("{begin}&Body={}", "x".repeat(1_600));
    assert_eq!(world.send(message(&key, &most)).await.status, 201);
}

#[tokio::test]
async fn a_setting_that_is_billed_from_then_on_is_refused_unless_what_is_unknown_passes() {
    let numbers =
        "/api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001/IncomingPhoneNumbers";
    let number = format!("{numbers}/PN00000000000000000000000000000001.json");
    let buy = format!("{numbers}.json");
    let trunk =
        "/trunking.twilio.com/v1/Trunks/TK00000000000000000000000000000001/OriginationUrls".to_owned();
    let fields = [
        (&number, "VoiceCallerIdLookup=true"),
        (&number, "voice_caller_id_lookup=1"),
        (&number, "EmergencyStatus=Active"),
        (&number, "EmergencyAddressSid=AD00000000000000000000000000000001"),
        (&buy, "PhoneNumber=%2B14155550100&VoiceCallerIdLookup=TRUE"),
        (&trunk, "CnamLookupEnabled=true"),
    ];
    let world = World::new().await;
    let all = |scopes: &mut EgressScopes| scopes.operations.extend(EgressArea::ALL);
    let key = world.key_with(all).await;
    for (path, form) in fields {
        let answer = world.send(request(&key, "POST", path, form)).await;
        world.assert_refused(&answer, 403, 84018);
    }
    let query = format!("{trunk}?CnamLookupEnabled=true");
    world.assert_refused(&world.send(request(&key, "POST", &query, "FriendlyName=x")).await, 403, 84018);
    let off = "VoiceCallerIdLookup=false&EmergencyStatus=Inactive&EmergencyAddressSid=";
    assert_eq!(world.send(request(&key, "POST", &number, off)).await.status, 200);
    let world = World::with(|egress| egress.passes_unknown_operations = true).await;
    let key = world.key_with(all).await;
    assert_eq!(world.send(request(&key, "POST", &number, "VoiceCallerIdLookup=true")).await.status, 200);
}

#[tokio::test]
async fn what_has_no_price_is_refused() {
    let world = World::new().await;
    let key = world.key().await;
    for to in ["4155550100", "", "client:alice@x", "+371 2000", "+1 415 555 0100", "9999999999999999999999"] {
        let form = format!("To={}&From={}&Body=x", encoded(to), encoded(FROM));
        let refused = world.send(message(&key, &form)).await;
        let code = if to.is_empty() { (400, 84007) } else { (403, 84022) };
        world.assert_refused(&refused, code.0, code.1);
    }
    let negative = format!("To={}&From={}&TimeLimit=-5&Twiml=<Response/>", encoded(TO), encoded(FROM));
    let refused = world.send(request(&key, "POST", &calls(ACCOUNT), &negative)).await;
    world.assert_refused(&refused, 400, 84007);
}

#[tokio::test]
async fn before_limits_and_prices_are_known_nothing_that_costs_something_is_sent() {
    let world =
        World::before(crate::world::twilio().await, Setup { has_rules: false, ..Setup::default() }).await;
    let key = world.key().await;
    world.assert_refused(&world.message(&key).await, 503, 84042);
    world.put_rules(book()).await;
    assert_eq!(world.message(&key).await.status, 201);
}

#[tokio::test]
async fn until_what_an_account_pays_has_been_read_a_request_without_a_price_may_come_again() {
    let world = World::new().await;
    let key = world.key().await;
    let to = |to: &str| format!("To={}&From={}&Body=x", encoded(to), encoded(FROM));
    let latvia = message(&key, &to("+37120000000"));
    world.put_rules_before_prices(book()).await;
    let refused = world.send(&latvia).await;
    world.assert_refused(&refused, 503, 84042);
    assert_eq!(refused.header("retry-after"), Some("1"));
    // What the configuration has a price for needs no other.
    assert_eq!(world.message(&key).await.status, 201);
    // Once they were read it is final: there is none.
    world.put_rules(book()).await;
    let refused = world.send(&latvia).await;
    let body: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!((refused.status, &body["code"]), (403, &json!(84022)), "{body}");
}

#[tokio::test]
async fn a_node_with_other_limits_than_were_applied_sends_nothing() {
    let world = World::new().await;
    let key = world.key().await;
    world.store.apply_limits(&crate::world::operator(), vec![], world.clock.now()).await.unwrap();
    world.assert_refused(&world.message(&key).await, 503, 84042);
}

#[tokio::test]
async fn the_form_arrives_as_it_was_meant_and_a_call_never_without_a_time_limit() {
    let world = World::new().await;
    let key = world.key().await;
    let sent = format!(
        "To={}&From={}&Body=a%20b%2Bc&MediaUrl=x&StatusCallback=y&MediaUrl=z",
        encoded(TO),
        encoded(FROM)
    );
    assert_eq!(world.send(message(&key, &sent)).await.status, 201);
    let form =
        |more: &str| format!("To={}&From={}&Twiml=%3CResponse%2F%3E{more}", encoded(TO), encoded(FROM));
    for more in ["", "&TimeLimit=60", "&TimeLimit=999999", "&TimeLimit=%2B0060", "&TimeLimit=0"] {
        let response = world.send(request(&key, "POST", &calls(ACCOUNT), &form(more))).await;
        assert_eq!(response.status, 201, "{}", response.text());
    }
    let bodies: Vec<_> =
        world.requests().iter().map(|it| String::from_utf8(it.body.to_vec()).unwrap()).collect();
    assert_eq!(bodies[0], sent.replace("%20", "+"));
    assert_eq!(bodies[1], form("&TimeLimit=600"));
    assert_eq!(bodies[2], form("&TimeLimit=60"));
    assert_eq!(bodies[3], form("&TimeLimit=14400"));
    assert_eq!(bodies[4], form("&TimeLimit=60"), "as it was priced, and not as it was typed");
    assert_eq!(bodies[5], form("&TimeLimit=600"), "none is none");
    assert_eq!(world.requests()[1].header("content-type"), Some("application/x-www-form-urlencoded"));
}

#[tokio::test]
async fn a_call_can_be_ended_whatever_has_tripped_and_not_made_longer() {
    let world = World::limited(vec![limit("half a dollar", "0.5")]).await;
    let key = world.key().await;
    assert_eq!(world.message(&key).await.status, 403, "it trips");
    let update = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json");
    let response = world.send(request(&key, "POST", &update, "Status=completed")).await;
    assert_eq!(response.status, 201, "{}", response.text());
    for form in ["TimeLimit=14400", "Status=completed&TimeLimit=14400"] {
        let refused = world.send(request(&key, "POST", &update, form)).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn twilio_s_answer_says_what_is_kept_of_a_reservation() {
    for (status, body, left) in [
        (201, json!({ "sid": MESSAGE }), vec![("sent".to_owned(), Some(MESSAGE.to_owned()))]),
        (400, json!({ "code": 21211 }), vec![]),
        (429, json!({ "code": 20429 }), vec![]),
        (500, json!({ "code": 20500 }), vec![("in-doubt".to_owned(), None)]),
        (503, json!({}), vec![("in-doubt".to_owned(), None)]),
        (201, json!({ "no": "sid" }), vec![("in-doubt".to_owned(), None)]),
    ] {
        let upstream = Upstream::start(move |_| {
            let answer = json_answer(status, &body);
            async move { answer }
        });
        let world = World::before(upstream.await, Setup::default()).await;
        let key = world.key().await;
        assert_eq!(world.message(&key).await.status, status);
        assert_eq!(states(&world).await, left, "{status}");
        let reserved = if left.is_empty() { "0" } else { "1" };
        assert_eq!(world.reserved("daily").await.to_string(), reserved, "{status}");
        assert_eq!(world.requests().len(), 1, "it is sent once");
    }
}

#[tokio::test]
async fn a_refused_connection_made_nothing() {
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::at(address, Setup::default()).await;
    let key = world.key().await;
    world.assert_refused(&world.message(&key).await, 502, 84050);
    assert_eq!(states(&world).await, []);
    assert_eq!(world.reserved("daily").await.to_string(), "0");
}

#[tokio::test]
async fn a_connection_that_is_never_made_made_nothing() {
    let silent = RawUpstream::silent().await;
    let base = format!("https://{}", silent.address());
    let change: Box<dyn FnOnce(&mut Settings)> = Box::new(move |settings| {
        let egress = settings.egress.as_mut().unwrap();
        // Its TLS never begins.
        (egress.twilio, egress.timeout) = (base.parse().unwrap(), Duration::from_secs(1));
    });
    let world = World::at(silent.address(), Setup { change, ..Setup::default() }).await;
    let key = world.key().await;
    world.assert_refused(&world.message(&key).await, 502, 84050);
    assert_eq!(states(&world).await, []);
    assert_eq!(world.reserved("daily").await.to_string(), "0");
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_it_in_doubt_and_it_is_never_sent_again() {
    let silent = RawUpstream::silent().await;
    let setup = Setup { change: timeout(Duration::from_millis(300)), ..Setup::default() };
    let world = World::at(silent.address(), setup).await;
    let key = world.key().await;
    world.assert_refused(&world.message(&key).await, 504, 84051);
    assert_eq!(states(&world).await, [("in-doubt".to_owned(), None)]);
    assert_eq!(silent.connections(), 1);
    assert_eq!(world.reserved("daily").await.to_string(), "1", "in doubt means spent");
    assert_eq!(world.metric("ringfence_egress_in_doubt_total").await, 1);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_it_in_doubt_and_it_is_never_sent_again() {
    let breaking = RawUpstream::start(|_, mut stream| async move {
        read_request(&mut stream).await;
    })
    .await;
    let world = World::at(breaking.address(), Setup::default()).await;
    let key = world.key().await;
    world.assert_refused(&world.message(&key).await, 504, 84051);
    assert_eq!(states(&world).await, [("in-doubt".to_owned(), None)]);
    assert_eq!(breaking.connections(), 1, "it is sent once");
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_it_in_doubt() {
    let cut = RawUpstream::replying(
        "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"sid\":\"SM",
    )
    .await;
    let world = World::at(cut.address(), Setup::default()).await;
    let key = world.key().await;
    let response = world.message(&key).await;
    assert_eq!(response.status, 502);
    assert_eq!(states(&world).await, [("in-doubt".to_owned(), None)]);
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_what_was_sent_answered_for() {
    let (go, waiting) = watch::channel(false);
    let (begun, mut begin) = watch::channel(false);
    let upstream = Upstream::start(move |request| {
        let mut waiting = waiting.clone();
        begun.send_replace(true);
        async move {
            waiting.wait_for(|go| *go).await.unwrap();
            answer(&request)
        }
    });
    let world = World::before(upstream.await, Setup::default()).await;
    let key = world.key().await;
    let mut client = RawClient::connect(world.address()).await.unwrap();
    client.send(message(&key, &form())).await.unwrap();
    begin.wait_for(|begun| *begun).await.unwrap();
    drop(client);
    go.send_replace(true);
    let expected = [("sent".to_owned(), Some(MESSAGE.to_owned()))];
    for _ in 0..500 {
        if states(&world).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", states(&world).await);
}

#[tokio::test]
async fn concurrent_requests_around_the_last_dollar_admit_exactly_what_fits() {
    let world = World::limited(vec![limit("ten dollars", "10")]).await;
    let key = world.key().await;
    let (address, request) = (world.address(), message(&key, &form()));
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let request = request.clone();
            tokio::spawn(async move {
                RawClient::connect(address).await.unwrap().exchange(request).await.unwrap().status
            })
        })
        .collect();
    let mut sent = 0;
    for task in tasks {
        sent += usize::from(task.await.unwrap() == 201);
    }
    assert_eq!((sent, world.requests().len()), (10, 10));
    assert_eq!(world.reserved("ten dollars").await.to_string(), "10");
    assert_eq!(world.store.check_ledger().await.unwrap(), []);
}

#[tokio::test]
async fn lookups_numbers_and_verifications_are_set_aside_too() {
    let world = World::with(|_| {}).await;
    let key = world.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    let verify = "/verify.twilio.com/v2/Services/VA00000000000000000000000000000001";
    for (method, target, form) in [
        (
            "GET",
            "/lookups.twilio.com/v2/PhoneNumbers/%2B14155550100?Fields=line_type_intelligence".to_owned(),
            "",
        ),
        ("POST", format!("{verify}/Verifications"), "To=%2B14155550100&Channel=sms"),
        ("POST", format!("{verify}/VerificationCheck"), "To=%2B14155550100&Code=123456"),
        (
            "POST",
            format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json"),
            "PhoneNumber=%2B14155550100",
        ),
    ] {
        let before = world.reserved("daily").await;
        let response = world.send(request(&key, method, &target, form)).await;
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        assert!(world.reserved("daily").await > before, "{target}");
    }
    assert!(world.requests()[0].target.ends_with("?Fields=line_type_intelligence"));
}

#[tokio::test]
async fn what_became_of_requests_is_counted() {
    let world = World::new().await;
    let key = world.key().await;
    world.message(&key).await;
    let line = "ringfence_egress_requests_total{operation=\"messages.create\",outcome=\"answered_2xx\"}";
    assert_eq!(world.metric(line).await, 1);
    world.send(request(&key, "GET", "/api.twilio.com/2010-04-01/Accounts.json", "")).await;
    let line = "ringfence_egress_requests_total{operation=\"read\",outcome=\"other_account\"}";
    assert_eq!(world.metric(line).await, 1);
    assert_eq!(world.metric("ringfence_egress_admission_duration_seconds_count").await, 1);
}

#[tokio::test]
async fn a_text_that_is_sent_as_a_message_of_media_costs_one() {
    let world = World::new().await;
    let key = world.key().await;
    for (more, reserved) in [("&SendAsMms=false", "1"), ("&SendAsMms=true", "3"), ("&SendAsMms=True", "5")] {
        assert_eq!(world.send(message(&key, &(form() + more))).await.status, 201);
        assert_eq!(world.reserved("daily").await.to_string(), reserved, "{more}");
    }
}

/// The tag that the one open reservation is found again by.
async fn party(world: &World) -> Option<String> {
    let open = world.store.open_reservations(None, 100).await.unwrap();
    assert_eq!(open.len(), 1);
    open[0].party.clone()
}

#[tokio::test]
async fn a_scheduled_message_is_open_until_it_has_gone_out() {
    let world = World::new().await;
    let key = world.key().await;
    let now = world.clock.now();
    for odd in ["tomorrow", "2027-01-20", "1800000000", "2027-01-20T08:00:00", "2027-13-01T00:00:00Z"] {
        let form = format!("{}&ScheduleType=fixed&SendAt={}", form(), encoded(odd));
        world.assert_refused(&world.send(message(&key, &form)).await, 400, 84007);
    }
    let day = SignedDuration::from_hours(24);
    for (after, at_least, at_most) in [(20, 20, 21), (-1, 0, 1), (9_999, 35, 41)] {
        let world = World::new().await;
        let key = world.key().await;
        let send_at = now.checked_add(day * after).unwrap();
        let form = format!("{}&ScheduleType=fixed&SendAt={}", form(), encoded(&send_at.to_string()));
        assert_eq!(world.send(message(&key, &form)).await.status, 201);
        let open = world.store.open_reservations(None, 100).await.unwrap();
        let patience = open[0].deadline.duration_since(now);
        assert!(patience > day * at_least && patience < day * at_most, "{after}: {patience:?}");
    }
}

#[tokio::test]
async fn what_is_in_doubt_is_looked_for_by_the_sender_that_twilio_will_list() {
    let service = "MG00000000000000000000000000000001";
    for (target, form, sender) in [
        (messages(ACCOUNT), format!("To={}&MessagingServiceSid={service}&Body=x", encoded(TO)), service),
        (messages(ACCOUNT), form(), FROM),
        (
            calls(ACCOUNT),
            format!(
                "To={}&From={}&CallerId=%2B14155550102&Twiml=%3CResponse%2F%3E",
                encoded(TO),
                encoded(FROM)
            ),
            "+14155550102",
        ),
    ] {
        let world = World::new().await;
        let key = world.key().await;
        assert_eq!(world.send(request(&key, "POST", &target, &form)).await.status, 201);
        let tag = world.store.party_tag(TO, sender).await.unwrap();
        assert_eq!(party(&world).await, Some(tag), "{form}");
    }
}

/// A minute to the number of the tests costs a tenth, and 0.7 from anywhere but the United States.
fn book_by_caller() -> PriceBook {
    let mut rules = book_rules();
    rules.overrides.destinations.retain(|it| it.kind != Kind::Minute);
    let mut prices = Prices::new("USD");
    let prefix = |digits: &str| vec![digits.parse().unwrap()];
    let is = vec![
        PrefixPrice { to: prefix("+1"), from: prefix("+1"), price: Some("0.1".parse().unwrap()) },
        PrefixPrice { to: prefix("+1"), from: vec![], price: Some("0.7".parse().unwrap()) },
    ];
    let rows = Learnt { from: Source::Operator, at: jiff::Timestamp::UNIX_EPOCH, is };
    prices.learn_calls("US", "USD", rows).unwrap();
    PriceBook::new(prices, rules).unwrap()
}

#[tokio::test]
async fn a_call_that_shows_another_number_is_as_dear_as_from_the_dearest() {
    let world = World::new().await;
    world.put_rules(book_by_caller()).await;
    let key = world.key().await;
    let call = format!("To={}&From={}&TimeLimit=60&Twiml=%3CResponse%2F%3E", encoded(TO), encoded(FROM));
    for (more, reserved) in [("", "0.1"), ("&CallerId=%2B447700900123", "0.8")] {
        let response = world.send(request(&key, "POST", &calls(ACCOUNT), &(call.clone() + more))).await;
        assert_eq!(response.status, 201, "{}", response.text());
        assert_eq!(world.reserved("daily").await.to_string(), reserved, "{more}");
    }
}

#[tokio::test]
async fn what_is_put_into_the_text_of_a_code_costs_its_segments() {
    let target = "/verify.twilio.com/v2/Services/VA00000000000000000000000000000001/Verifications";
    let form = "To=%2B14155550100&Channel=sms";
    let mut reserved = Vec::new();
    for more in ["", "TemplateCustomSubstitutions", "Templates", "Payee", "Amount", "CustomFriendlyName"] {
        let world = World::new().await;
        let key = world.key().await;
        let long =
            if more.is_empty() { form.to_owned() } else { format!("{form}&{more}={}", "x".repeat(400)) };
        assert_eq!(world.send(request(&key, "POST", target, &long)).await.status, 200);
        reserved.push(world.reserved("daily").await.to_string());
    }
    // Three segments of a dollar and what it is started with; three more of 153 characters.
    assert_eq!(reserved, ["3.2", "6.2", "6.2", "6.2", "6.2", "6.2"]);
    let world = World::new().await;
    let key = world.key().await;
    for name in ["Payee", "Amount", "CustomFriendlyName", "TemplateCustomSubstitutions", "Templates"] {
        let twice = format!("{form}&{name}=a&{name}=b");
        world.assert_refused(&world.send(request(&key, "POST", target, &twice)).await, 400, 84007);
    }
}

#[tokio::test]
async fn a_conference_that_is_recorded_stays_set_aside_until_no_call_of_it_can_last_any_longer() {
    let participants =
        format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Conferences/a/Participants.json");
    let plain = format!("To={}&From={}&TimeLimit=60", encoded(TO), encoded(FROM));
    let recorded = format!("{plain}&ConferenceRecord=true");
    let twiml =
        encoded("<Response><Dial><Conference record=\"record-from-start\">a</Conference></Dial></Response>");
    let inline = format!("{plain}&Twiml={twiml}");
    let (daily, call) = (calls(ACCOUNT), |form: &str| (participants.clone(), form.to_owned()));
    for ((target, form), longest, hours) in [
        (call(&plain), 0, 2),
        (call(&recorded), 0, 6),
        (call(&recorded), 8 * 3_600, 10),
        ((daily, inline), 0, 6),
    ] {
        let world = World::new().await;
        let mut rules = book_rules();
        for (fee, price) in &mut rules.overrides.fees {
            if fee.name() == "recording-minute" || fee.name() == "conference-minute" {
                *price = "0.001".parse().unwrap();
            }
        }
        rules.assumed.call_seconds_at_most = rules.assumed.call_seconds_at_most.max(longest);
        world.put_rules(PriceBook::new(Prices::new("USD"), rules).unwrap()).await;
        let key = world.key().await;
        let response = world.send(request(&key, "POST", &target, &form)).await;
        assert!(response.status < 300, "{}", response.text());
        let id = world.store.open_reservations(None, 9).await.unwrap()[0].id.clone();
        let now = world.clock.now();
        assert!(world.store.settle(&id, Spent::default(), None, Now::At(now)).await.unwrap());
        let left = world.store.open_reservations(None, 9).await.unwrap()[0].deadline.duration_since(now);
        assert_eq!(left.as_hours(), hours, "{form} {longest}");
    }
}
