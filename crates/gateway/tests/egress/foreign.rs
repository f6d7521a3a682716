//! TwiML that would come from elsewhere.

use crate::world::{ACCOUNT, CALL, FROM, TO, World, calls, encoded, request};
use ringfence_store::EgressArea;

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
async fn inline_twiml_that_can_cost_more_than_the_call_is_refused() {
    let world = World::new().await;
    let key = world.key().await;
    for (twiml, code) in [
        ("<Response><Dial>+37120000000</Dial></Response>", 84021),
        ("<Response><Message>x</Message></Response>", 84021),
        ("<Response><Record/></Response>", 84021),
        ("<Response><Say voice=\"Polly.Joanna-Neural\">x</Say></Response>", 84021),
        ("<Response><Gather input=\"speech\"/></Response>", 84021),
        ("<Response><Connect><Stream url=\"wss://x\"/></Connect></Response>", 84021),
        ("<Response><Unheard/></Response>", 84021),
        ("<Response><Redirect>https://evil.example/</Redirect></Response>", 84020),
        ("<Response><Gather action=\"https://evil.example/\"/></Response>", 84020),
        ("not xml", 84021),
    ] {
        let form = call(&format!("Twiml={}", twiml.replace('+', "%2B").replace('&', "%26")));
        world.assert_refused(&world.send(request(&key, "POST", &calls(ACCOUNT), &form)).await, 403, code);
    }
    let kind = "<Response><Say>Hello</Say><Gather action=\"https://hooks.example.com/twilio/x\"/><Hangup/></Response>";
    let response = world.send(request(&key, "POST", &calls(ACCOUNT), &call(&format!("Twiml={kind}")))).await;
    assert_eq!(response.status, 201, "{}", response.text());
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
