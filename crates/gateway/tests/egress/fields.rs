//! Fields of what has a price.

use ringfence_breaker::price_book::{PriceBook, Prices, Unknown};

use crate::world::{ACCOUNT, CALL, FROM, TO, World, book_rules, calls, encoded, form, messages, request};

#[tokio::test]
async fn a_field_that_nobody_knows_is_refused_unless_what_is_unknown_passes() {
    let call = format!("To={}&From={}&TimeLimit=60&Twiml=%3CResponse%2F%3E", encoded(TO), encoded(FROM));
    let update = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json");
    let verify = "/verify.twilio.com/v2/Services/VA00000000000000000000000000000001";
    let (code, begin) = ("To=%2B14155550100&Code=123456", "To=%2B14155550100&Channel=sms");
    let lookup = "/lookups.twilio.com/v1/PhoneNumbers/%2B14155550100?Type=carrier";
    let unknown = [
        ("POST", calls(ACCOUNT), format!("{call}&IfMachine=Continue")),
        ("POST", calls(ACCOUNT), format!("{call}&Transcribe=true")),
        ("POST", calls(ACCOUNT), format!("{call}&IntelligenceService=GA1")),
        ("POST", calls(ACCOUNT), format!("{call}&timeout=5&StatusCallback.0=x")),
        ("POST", messages(ACCOUNT), form() + "&Bogus="),
        ("POST", update, "Twiml=%3CResponse%2F%3E&Record=true".to_owned()),
        ("POST", format!("{verify}/Verifications"), format!("{begin}&ChannelConfiguration.sms=x")),
        ("POST", format!("{verify}/VerificationCheck"), format!("{code}&Channel=call")),
        ("GET", format!("{lookup}&Bogus=1"), String::new()),
    ];
    let world = World::new().await;
    let key = world.key().await;
    for (method, target, form) in &unknown[..3] {
        let response = world.send(request(&key, method, target, form)).await;
        world.assert_refused(&response, 403, 84018);
        let name = form.rsplit(['&', '=']).nth(1).unwrap();
        assert!(response.text().contains(name), "{name}: {}", response.text());
    }
    let odd = world.send(request(&key, "POST", &unknown[3].1, &unknown[3].2)).await;
    world.assert_refused(&odd, 400, 84007);
    for (method, target, form) in &unknown[4..] {
        world.assert_refused(&world.send(request(&key, method, target, form)).await, 403, 84018);
    }
    let known = [
        (
            "POST",
            calls(ACCOUNT),
            format!("{call}&StatusCallbackEvent=initiated&StatusCallbackEvent=answered"),
        ),
        ("POST", messages(ACCOUNT), form() + "&MediaUrl=a&MediaUrl=b&PersistentAction=a&PersistentAction=b"),
        (
            "POST",
            messages(ACCOUNT),
            form() + "&ContentVariables=%7B%7D&MessageIntent=otp&Tags=%7B%7D&Tags.a=b",
        ),
        (
            "POST",
            format!("{verify}/Verifications"),
            format!("{begin}&RateLimits=%7B%7D&Tags=%7B%7D&Locale=de"),
        ),
        ("POST", format!("{verify}/VerificationCheck"), code.to_owned()),
        (
            "GET",
            format!("{lookup}&AddOns=payfone_tcpa_compliance&AddOns.payfone.RightPartyContactedDate=1"),
            String::new(),
        ),
    ];
    let mut rules = book_rules();
    rules.unknown = Unknown::Costs("0.1".parse().unwrap());
    let book = PriceBook::new(Prices::new("USD"), rules).unwrap();
    world.put_rules(book.clone()).await;
    for (method, target, form) in &known {
        let response = world.send(request(&key, method, target, form)).await;
        assert!(response.status < 300, "{target} {form}: {}", response.text());
    }
    let passing = World::with(|egress| egress.passes_unknown_operations = true).await;
    passing.put_rules(book).await;
    let key = passing.key().await;
    for (method, target, form) in unknown.iter().filter(|(_, _, form)| !form.contains("timeout")) {
        let response = passing.send(request(&key, method, target, form)).await;
        assert!(response.status < 300, "{target} {form}: {}", response.text());
    }
}
