//! TwiML that would come from elsewhere.

use ringfence_breaker::price_book::{PriceBook, Prices, Unknown};
use ringfence_store::EgressArea;

use crate::world::{ACCOUNT, CALL, FROM, TO, World, book_rules, calls, encoded, limit, request};

fn call(more: &str) -> String {
    format!("To={}&From={}&{more}", encoded(TO), encoded(FROM))
}

#[tokio::test]
async fn a_call_whose_twiml_comes_from_elsewhere_is_refused() {
    let world = World::new().await;
    let key = world.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    for url in [
        "https://evil.example/twilio/voice",
        "http://hooks.example.com/twilio/voice",
        "https://hooks.example.com/other",
        "https://hooks.example.com:8443/twilio/voice",
        "https://hooks.example.com@evil.example/twilio/voice",
        "https://a@hooks.example.com@evil.example/twilio/voice",
        "https://evil.example\\@hooks.example.com/twilio/voice",
        "https://hooks.example.com/twilio/../other",
        "https://hooks.example.com/twilio/%2e%2E/other",
        "https://evil.example#@hooks.example.com/twilio/voice",
        "//hooks.example.com/twilio/voice",
        "/twilio/voice",
        "javascript:alert(1)",
        "https://hooks.example.com /twilio/voice",
    ] {
        for field in ["Url", "FallbackUrl"] {
            let good =
                if field == "Url" { "" } else { "Url=https%3A%2F%2Fhooks.example.com%2Ftwilio%2Fvoice&" };
            let written = url.replace('%', "%25").replace('#', "%23").replace('&', "%26").replace(' ', "+");
            let form = call(&format!("{good}{field}={written}"));
            let response = world.send(request(&key, "POST", &calls(ACCOUNT), &form)).await;
            world.assert_refused(&response, 403, 84020);
        }
    }
    let update = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json");
    let evil = "Url=https%3A%2F%2Fevil.example%2F";
    world.assert_refused(&world.send(request(&key, "POST", &update, evil)).await, 403, 84020);
    let application = call("ApplicationSid=AP00000000000000000000000000000001");
    world.assert_refused(&world.send(request(&key, "POST", &calls(ACCOUNT), &application)).await, 403, 84020);
    // The route takes no GET, so Twilio would get a refusal, or somebody else would answer.
    let get = call("Url=https%3A%2F%2Fhooks.example.com%2Ftwilio%2Fvoice&Method=GET");
    world.assert_refused(&world.send(request(&key, "POST", &calls(ACCOUNT), &get)).await, 403, 84020);
}

#[tokio::test]
async fn numbers_applications_and_conferences_are_held_to_it_too() {
    let world = World::new().await;
    let key = world.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    let account = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}");
    let number = CALL.replace("CA", "PN");
    for (target, field) in [
        (format!("{account}/IncomingPhoneNumbers/{number}.json"), "VoiceUrl"),
        (format!("{account}/IncomingPhoneNumbers/{number}.json"), "SmsFallbackUrl"),
        (format!("{account}/Applications.json"), "SmsUrl"),
        (format!("{account}/Conferences/{}.json", CALL.replace("CA", "CF")), "AnnounceUrl"),
        (format!("{account}/Conferences/support/Participants/{CALL}.json"), "HoldUrl"),
        (format!("{account}/Queues/{}/Members/Front.json", CALL.replace("CA", "QU")), "Url"),
        (format!("{account}/SIP/Domains/{}.json", CALL.replace("CA", "SD")), "VoiceUrl"),
        (format!("/messaging.twilio.com/v1/Services/{}", CALL.replace("CA", "MG")), "InboundRequestUrl"),
        (format!("/voice.twilio.com/v1/ByocTrunks/{}", CALL.replace("CA", "BY")), "VoiceUrl"),
    ] {
        let form = format!("{field}=https%3A%2F%2Fevil.example%2F");
        world.assert_refused(&world.send(request(&key, "POST", &target, &form)).await, 403, 84020);
    }
    // The route takes POST alone, and what one hears on hold is asked for with GET.
    let own = "HoldUrl=https%3A%2F%2Fhooks.example.com%2Ftwilio%2Fhold";
    let held = format!("{account}/Conferences/support/Participants/{CALL}.json");
    world.assert_refused(&world.send(request(&key, "POST", &held, own)).await, 403, 84020);
    let odd = format!("{own}&HoldMethod=BREW");
    world.assert_refused(&world.send(request(&key, "POST", &held, &odd)).await, 400, 84007);
    for field in ["VoiceApplicationSid", "SmsApplicationSid", "TrunkSid"] {
        let target = format!("{account}/IncomingPhoneNumbers/{number}.json");
        let form = format!("{field}={}", CALL.replace("CA", "AP"));
        world.assert_refused(&world.send(request(&key, "POST", &target, &form)).await, 403, 84020);
    }
}

#[tokio::test]
async fn an_application_that_is_called_is_twiml_from_elsewhere_whatever_unknown_prices_are() {
    let mut rules = book_rules();
    rules.unknown = Unknown::Costs("0.5".parse().unwrap());
    let book = PriceBook::new(Prices::new("USD"), rules).unwrap();
    let targets = [
        calls(ACCOUNT),
        format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Conferences/a/Participants.json"),
    ];
    let application = CALL.replace("CA", "AP");
    let world = World::new().await;
    world.put_rules(book.clone()).await;
    let key = world.key().await;
    for target in &targets {
        for to in ["app", "APP", "App+", "+app"] {
            let form = format!("To={to}%3A{application}&From={}&Twiml=%3CResponse%2F%3E", encoded(FROM));
            world.assert_refused(&world.send(request(&key, "POST", target, &form)).await, 403, 84020);
        }
    }
    let passing = World::with(|egress| egress.passes_foreign_twiml = true).await;
    passing.put_rules(book).await;
    let key = passing.key().await;
    for target in &targets {
        let form =
            format!("To=app%3A{application}&From={}&TimeLimit=60&Twiml=%3CResponse%2F%3E", encoded(FROM));
        let response = passing.send(request(&key, "POST", target, &form)).await;
        assert!(response.status < 300, "{}", response.text());
    }
    assert_eq!(passing.reserved("daily").await, "1".parse().unwrap());
}

#[tokio::test]
async fn a_trunk_gets_no_number_and_no_place_for_its_calls_and_records_nothing() {
    let trunk = format!("/trunking.twilio.com/v1/Trunks/{}", CALL.replace("CA", "TK"));
    let url = format!("{trunk}/OriginationUrls/{}", CALL.replace("CA", "OU"));
    let leading = [
        (format!("{trunk}/PhoneNumbers"), format!("PhoneNumberSid={}", CALL.replace("CA", "PN"))),
        (format!("{trunk}/OriginationUrls"), "SipUrl=sip%3Aevil.example".to_owned()),
        (url.clone(), "SipUrl=sip%3Aevil.example".to_owned()),
        (url.clone(), "Enabled=true".to_owned()),
    ];
    let recording = format!("{trunk}/Recording");
    let world = World::new().await;
    let key = world.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    for (target, form) in &leading {
        world.assert_refused(&world.send(request(&key, "POST", target, form)).await, 403, 84020);
    }
    for on in [
        "Mode=record-from-ringing",
        "mode=record-from-answer",
        "Mode=do-not-record&Mode=record-from-answer-dual",
    ] {
        world.assert_refused(&world.send(request(&key, "POST", &recording, on)).await, 403, 84018);
    }
    for (method, target, form) in [
        ("POST", &recording, "Mode=do-not-record"),
        ("POST", &recording, "Trim=trim-silence"),
        ("GET", &recording, ""),
        ("GET", &leading[0].0, ""),
        ("DELETE", &url, ""),
    ] {
        let response = world.send(request(&key, method, target, form)).await;
        assert!(response.status < 300, "{method} {target} {form}: {}", response.text());
    }
    let change = |egress: &mut ringfence_gateway::settings::Egress| {
        (egress.passes_foreign_twiml, egress.passes_unknown_operations) = (true, true);
    };
    let passing = World::with(change).await;
    let key = passing.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    for (target, form) in leading
        .iter()
        .map(|(target, form)| (target, form.as_str()))
        .chain([(&recording, "Mode=record-from-answer")])
    {
        assert_eq!(passing.send(request(&key, "POST", target, form)).await.status, 200, "{target}");
    }
}

fn inline(twiml: &str) -> String {
    format!("Twiml={}", twiml.replace('%', "%25").replace('+', "%2B").replace('&', "%26"))
}

#[tokio::test]
async fn inline_twiml_without_a_price_or_from_elsewhere_is_refused() {
    let world = World::new().await;
    let key = world.key().await;
    for (twiml, code) in [
        ("<Response><Dial>+37120000000</Dial></Response>", 84022),
        ("<Response><Dial><Sim>DE00000000000000000000000000000001</Sim></Dial></Response>", 84022),
        ("<Response><Unheard/></Response>", 84021),
        ("<Response><Dial timelimit=\"9\">+14155550123</Dial></Response>", 84021),
        ("<Response><Dial><Number ring=\"x\">+14155550123</Number></Dial></Response>", 84021),
        ("<Response><Connect><Brain/></Connect></Response>", 84021),
        ("<Response><Redirect>https://evil.example/</Redirect></Response>", 84020),
        ("<Response><Redirect>/twilio/x</Redirect></Response>", 84020),
        ("<Response><Gather action=\"https://evil.example/\"/></Response>", 84020),
        ("<Response><Dial referUrl=\"https://evil.example/\">+14155550123</Dial></Response>", 84020),
        (
            "<Response><Dial><Number url=\"https://evil.example/\">+14155550123</Number></Dial></Response>",
            84020,
        ),
        ("<Response><Enqueue waitUrl=\"https://evil.example/\">q</Enqueue></Response>", 84020),
        ("<Response><Dial><Application>AP1</Application></Dial></Response>", 84020),
        ("not xml", 84023),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><Response/>", 84023),
    ] {
        let form = call(&inline(twiml));
        let response = world.send(request(&key, "POST", &calls(ACCOUNT), &form)).await;
        world.assert_refused(&response, 403, code);
    }
}

#[tokio::test]
async fn inline_twiml_is_priced_with_the_call_and_may_reach_nobody_whom_the_credential_may_not() {
    let world = World::new().await;
    let key = world.key().await;
    let twiml = "<Response><Say>Hello</Say><Gather action=\"https://hooks.example.com/twilio/x\"/>\
        <Dial>+447911123456</Dial><Hangup/></Response>";
    let form = call(&inline(twiml));
    let response = world.send(request(&key, "POST", &calls(ACCOUNT), &form)).await;
    assert_eq!(response.status, 201, "{}", response.text());
    // Ten minutes of a tenth each: the call, and the one that it dials.
    assert_eq!(world.reserved("daily").await, "2".parse().unwrap());
    let sent = world.requests().remove(0);
    let body = String::from_utf8(sent.body.to_vec()).unwrap();
    assert!(body.contains("%3CDial+timeLimit%3D%22600%22%3E"), "{body}");
    assert!(body.contains("TimeLimit=600"), "{body}");
    let only_here = world.key_with(|scopes| scopes.destinations = vec!["US".parse().unwrap()]).await;
    let response = world.send(request(&only_here, "POST", &calls(ACCOUNT), &form)).await;
    assert_eq!((response.status, response.text().contains("84014")), (403, true), "{}", response.text());
    let one_sender = world.key_with(|scopes| scopes.senders = vec![FROM.to_owned()]).await;
    let shown = call(&inline("<Response><Dial callerId=\"+14155550999\">+14155550123</Dial></Response>"));
    let response = world.send(request(&one_sender, "POST", &calls(ACCOUNT), &shown)).await;
    assert_eq!((response.status, response.text().contains("84015")), (403, true), "{}", response.text());
    // An update of a call that runs leads to the same, and is priced alone.
    let update = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json");
    let response = world.send(request(&key, "POST", &update, &inline(twiml))).await;
    assert_eq!(response.status, 201, "{}", response.text());
    assert_eq!(world.reserved("daily").await, "3".parse().unwrap());
}

#[tokio::test]
async fn inline_twiml_counts_under_the_limits_of_whom_it_reaches() {
    let mut prefix = limit("a minute to one place", "0.5");
    prefix.per = ringfence_breaker::Per::Prefix;
    prefix.window = ringfence_breaker::Window::Rolling { seconds: 60 };
    prefix.then = vec![];
    let world = World::limited(vec![prefix]).await;
    let key = world.key().await;
    let short =
        call("TimeLimit=60&") + &inline("<Response><Dial timeLimit=\"60\">+447911123456</Dial></Response>");
    for _ in 0..5 {
        let response = world.send(request(&key, "POST", &calls(ACCOUNT), &short)).await;
        assert_eq!(response.status, 201, "{}", response.text());
    }
    let response = world.send(request(&key, "POST", &calls(ACCOUNT), &short)).await;
    assert_eq!(response.status, 429, "{}", response.text());
}

#[tokio::test]
async fn what_leads_to_a_route_of_the_gate_passes_and_where_the_configuration_says_so_everything() {
    let world = World::new().await;
    let key = world.key().await;
    for url in [
        "https://hooks.example.com/twilio/voice",
        "https://HOOKS.example.com:443/twilio/voice?a=b",
        "https://user:pass@hooks.example.com/twilio/voice#rc=2",
    ] {
        let form = call(&format!("Url={}", url.replace('#', "%23").replace('&', "%26")));
        let response = world.send(request(&key, "POST", &calls(ACCOUNT), &form)).await;
        assert_eq!(response.status, 201, "{url}: {}", response.text());
    }
    let passing = World::with(|egress| egress.passes_foreign_twiml = true).await;
    let key = passing.key().await;
    let form = call("Url=https%3A%2F%2Fdemo.twilio.com%2Fwelcome");
    assert_eq!(passing.send(request(&key, "POST", &calls(ACCOUNT), &form)).await.status, 201);
}
