//! Messages that come in, and what applications answer.

use ringfence_model::PhoneNumber;
use ringfence_twilio::wire::AccountStatus;

use super::super::{Inbound, receive};
use crate::settings::Settings;

use super::{Bench, PHONE, answered, sid_of, target};
use crate::world::webhooks::{FailureKind, Method, TryResult};
use crate::world::{accounts, numbers};

const APP: &str = "http://app.example/hooks/sms?tenant=1";

fn error_of(bench: &mut Bench, sid: &str) -> Option<u64> {
    bench.fetch(sid)["error_code"].as_u64()
}

#[test]
fn the_application_is_asked_with_everything_that_twilio_tells() {
    let mut bench = Bench::new();
    bench.listen(APP);
    let sid = bench.receive("hi there").unwrap().to_string();
    let left = bench.left();
    assert_eq!(left.len(), 1);
    let webhook = &left[0];
    assert_eq!((webhook.kind, webhook.url.as_str(), webhook.method), ("message", APP, Method::Post));
    let number = bench.number.to_string();
    for (name, value) in [
        ("MessageSid", sid.as_str()),
        ("SmsSid", &sid),
        ("SmsMessageSid", &sid),
        ("AccountSid", &bench.main.to_string()),
        ("From", PHONE),
        ("To", &number),
        ("Body", "hi there"),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsStatus", "received"),
        ("ApiVersion", "2010-04-01"),
        ("FromCity", "WASHINGTON"),
        ("FromState", "DC"),
        ("FromZip", "20001"),
        ("FromCountry", "US"),
        ("ToCity", "SAN FRANCISCO"),
        ("ToState", "CA"),
        ("ToZip", "94105"),
        ("ToCountry", "US"),
    ] {
        assert_eq!(
            webhook.params.iter().find(|(it, _)| *it == name).map(|it| it.1.as_str()),
            Some(value),
            "{name}"
        );
    }
    let message = bench.fetch(&sid);
    assert_eq!((&message["direction"], &message["status"]), (&"inbound".into(), &"received".into()));
    assert!(message["price"].is_null());
    bench.pass_ms(1000);
    assert!(bench.fetch(&sid)["price"].as_str().unwrap().starts_with('-'));
    let text = bench.world.phones.texts.newest_first().next().unwrap();
    assert_eq!(text.message.map(|it| it.to_string()), Some(sid));
}

#[test]
fn a_picture_has_a_url_that_can_be_fetched() {
    let mut bench = Bench::new();
    bench.listen(APP);
    bench.world.base = "http://127.0.0.1:4010".to_owned();
    let (from, to) = (PhoneNumber::parse(PHONE).unwrap(), bench.number);
    let media = vec!["https://a.example/cat.gif".to_owned()];
    let sid = receive(&mut bench.world, Inbound { from, to, body: String::new(), media }).unwrap();
    assert!(sid.is("MM"));
    let webhook = bench.left().remove(0);
    assert_eq!((webhook.param("NumMedia"), webhook.param("MediaContentType0")), ("1", "image/gif"));
    let path = webhook.param("MediaUrl0").strip_prefix("http://127.0.0.1:4010").unwrap();
    assert_eq!(bench.request_as(None, "GET", path, &[]).unwrap().content_type, "image/gif");
}

#[test]
fn a_message_to_a_number_that_nobody_owns_or_whose_account_is_suspended_reaches_nobody() {
    let mut bench = Bench::new();
    let (from, to) = (PhoneNumber::parse(PHONE).unwrap(), PhoneNumber::parse("+14155559999").unwrap());
    let inbound = Inbound { from, to, body: "hi".to_owned(), media: Vec::new() };
    assert_eq!(receive(&mut bench.world, inbound), None);
    let child = accounts::create(&mut bench.world, bench.main, "child".to_owned());
    let sid = numbers::buy(&mut bench.world, child, to);
    bench.world.numbers.find_mut(sid).unwrap().hooks.sms = Some(target(APP));
    let inbound = Inbound { from, to, body: "hi".to_owned(), media: Vec::new() };
    accounts::set_status(&mut bench.world, child, &AccountStatus::Suspended);
    assert_eq!(receive(&mut bench.world, inbound.clone()), None);
    assert!(bench.left().is_empty());
    accounts::set_status(&mut bench.world, child, &AccountStatus::Active);
    assert!(receive(&mut bench.world, inbound).is_some());
    assert_eq!(bench.left().len(), 1);
    assert_eq!(bench.phone(), ["> hi", "> hi", "> hi"], "the phone sent it all the same");
}

#[test]
fn twiml_is_carried_out() {
    let mut bench = Bench::new();
    bench.listen(APP);
    let sid = bench.receive("hi").unwrap().to_string();
    let webhook = bench.left().remove(0);
    bench.answer_twiml(
        &webhook,
        "<Response><Message>one</Message><Message to='+12025550124' statusCallback='/status'><Body>two</Body>\
         <Media>/cat.png</Media></Message></Response>",
    );
    bench.pass_ms(5000);
    assert_eq!(bench.phone(), ["> hi", "< one"]);
    let list = bench.json("GET", &format!("{}.json", bench.messages()), &[]).unwrap();
    let two = &list["messages"][0];
    assert_eq!((&two["direction"], &two["body"]), (&"outbound-reply".into(), &"two".into()));
    assert_eq!((&two["to"], &two["num_media"]), (&"+12025550124".into(), &"1".into()));
    assert_eq!(two["from"], bench.number.to_string());
    let statuses = bench.left();
    assert_eq!(statuses.len(), 2);
    assert!(statuses.iter().all(|it| it.url == "http://app.example/status" && it.kind == "message-status"));
    assert_eq!(error_of(&mut bench, &sid), None);
}

#[test]
fn plain_text_is_the_answer_itself_and_nothing_is_no_answer() {
    for (result, expected) in [
        (answered(200, "text/plain; charset=utf-8", " hello \n"), &["> hi", "< hello"][..]),
        (answered(200, "text/xml", "<Response/>"), &["> hi"]),
        (answered(200, "", ""), &["> hi"]),
        (answered(204, "", ""), &["> hi"]),
        (answered(200, "text/html", "<Response><Sms>old</Sms></Response>"), &["> hi", "< old"]),
    ] {
        let mut bench = Bench::new();
        bench.listen(APP);
        let sid = bench.receive("hi").unwrap().to_string();
        let webhook = bench.left().remove(0);
        bench.answer(&webhook, result);
        bench.pass_ms(5000);
        assert_eq!(bench.phone(), expected);
        assert_eq!(error_of(&mut bench, &sid), None);
    }
}

#[test]
fn an_answer_that_cannot_be_carried_out_shows_on_the_message() {
    for (result, code) in [
        (answered(200, "text/xml", "<Response><Message>"), 12100),
        (answered(200, "text/xml", "<Answer/>"), 12200),
        (answered(200, "application/json", "{}"), 12300),
        (answered(500, "text/xml", "<Response/>"), 11200),
        (answered(302, "text/xml", "<Response/>"), 11216),
        (answered(200, "text/xml", "<Response><message>a</message></Response>"), 12200),
        (answered(200, "text/xml", "<Response><Message/></Response>"), 14103),
        (answered(200, "text/xml", "<Response><Message to='x'>a</Message></Response>"), 14101),
        (answered(200, "text/xml", "<Response><Message from='+14155559999'>a</Message></Response>"), 14102),
        (answered(200, "text/xml", "<Response><Hangup/></Response>"), 12200),
        (TryResult::Failed { kind: FailureKind::Timeout, detail: String::new() }, 11205),
    ] {
        let mut bench = Bench::new();
        bench.listen(APP);
        let sid = bench.receive("hi").unwrap().to_string();
        let webhook = bench.left().remove(0);
        bench.answer(&webhook, result.clone());
        bench.pass_ms(5000);
        assert_eq!(error_of(&mut bench, &sid), Some(code), "{result:?}");
        assert_eq!(bench.phone(), ["> hi"]);
    }
}

#[test]
fn the_fallback_is_asked_when_the_answer_fails_or_cannot_be_read() {
    for (result, code) in [(answered(500, "", ""), "11200"), (answered(200, "text/xml", "<oops"), "12100")] {
        let mut bench = Bench::new();
        bench.listen(APP);
        bench.hooks(|hooks| hooks.sms_fallback = Some(target("http://app.example/fallback/sms")));
        bench.receive("hi");
        let webhook = bench.left().remove(0);
        bench.answer(&webhook, result);
        let fallback = bench.left().remove(0);
        assert_eq!(fallback.url, "http://app.example/fallback/sms");
        assert_eq!((fallback.param("ErrorCode"), fallback.param("ErrorUrl")), (code, APP));
        bench.answer_twiml(&fallback, "<Response><Redirect>next</Redirect></Response>");
        let next = bench.left().remove(0);
        assert_eq!(next.url, "http://app.example/fallback/next", "seen from the document that said it");
        bench.answer_twiml(&next, "<Response><Message>at last</Message></Response>");
        bench.pass_ms(5000);
        assert_eq!(bench.phone(), ["> hi", "< at last"]);
    }
}

#[test]
fn a_redirect_goes_on_elsewhere_and_a_circle_ends() {
    let mut bench = Bench::new();
    bench.listen(APP);
    let sid = bench.receive("hi").unwrap().to_string();
    let webhook = bench.left().remove(0);
    bench.answer_twiml(
        &webhook,
        "<Response><Redirect method='GET'>../other?x=1</Redirect><Message>never</Message></Response>",
    );
    let mut webhook = bench.left().remove(0);
    assert_eq!(webhook.method, Method::Get);
    assert!(webhook.url.starts_with("http://app.example/other?x=1&MessageSid="), "{}", webhook.url);
    let mut rounds = 0;
    loop {
        bench.answer_twiml(&webhook, "<Response><Redirect/></Response>");
        let Some(next) = bench.left().pop() else { break };
        assert!(
            next.url.starts_with("http://app.example/other?x=1"),
            "an empty one means the document itself"
        );
        webhook = next;
        rounds += 1;
        assert!(rounds < 100);
    }
    assert_eq!(rounds, 48, "fifty documents with the first two");
    assert_eq!(error_of(&mut bench, &sid), Some(14106));
}

#[test]
fn the_action_of_a_message_is_told_and_goes_on() {
    let mut bench = Bench::new();
    bench.listen(APP);
    bench.receive("hi");
    let webhook = bench.left().remove(0);
    bench.answer_twiml(
        &webhook,
        "<Response><Message action='/done'>one</Message><Message>never</Message></Response>",
    );
    let action = bench.left().remove(0);
    assert_eq!((action.url.as_str(), action.param("MessageStatus")), ("http://app.example/done", "sent"));
    assert_ne!(action.param("MessageSid"), action.param("SmsSid"), "it names the message that was sent");
    bench.answer_twiml(&action, "<Response><Message>two</Message></Response>");
    bench.pass_ms(5000);
    assert_eq!(bench.phone(), ["> hi", "< one", "< two"]);
}

#[test]
fn who_says_stop_is_not_written_to_until_they_say_start() {
    let mut bench = Bench::new();
    bench.listen(APP);
    bench.receive(" Stop ");
    let webhook = bench.left().remove(0);
    assert_eq!((webhook.param("Body"), webhook.param("OptOutType")), (" Stop ", ""));
    bench.answer_twiml(&webhook, "<Response><Message>please stay</Message></Response>");
    let inbound = webhook.param("MessageSid").to_owned();
    assert_eq!(error_of(&mut bench, &inbound), Some(21610));
    let from = bench.number.to_string();
    let refused = bench.create(&[("To", PHONE), ("From", &from), ("Body", "hello")]);
    assert_eq!(refused.unwrap_err(), (400, 21610));
    assert!(
        bench.create(&[("To", PHONE), ("From", "+15005550006"), ("Body", "other")]).is_ok(),
        "another number"
    );
    bench.receive("STOP");
    bench.receive("help");
    bench.receive("unstop");
    bench.text("hello");
    bench.pass_ms(5000);
    let phone = bench.phone();
    let starts: Vec<_> = phone.iter().map(|text| text.chars().take(22).collect::<String>()).collect();
    assert_eq!(
        starts,
        [
            ">  Stop ",
            "< You have successfull",
            "> STOP",
            "> help",
            "< Reply STOP to unsubs",
            "> unstop",
            "< You have successfull",
            "< other",
            "< hello",
        ]
    );
}

#[test]
fn in_a_messaging_service_an_opt_out_holds_for_the_whole_pool_and_is_told() {
    let mut bench = Bench::new();
    let service = sid_of(
        &bench
            .json(
                "POST",
                "/v1/Services",
                &[("FriendlyName", "s"), ("InboundRequestUrl", "http://app.example/in")],
            )
            .unwrap(),
    );
    let pool: Vec<_> = bench.world.numbers.of(bench.main).map(|row| (row.sid, row.phone_number)).collect();
    for (sid, _) in &pool {
        let path = format!("/v1/Services/{service}/PhoneNumbers");
        bench.json("POST", &path, &[("PhoneNumberSid", &sid.to_string())]).unwrap();
    }
    bench.listen(APP);
    bench.receive("stopall");
    let webhook = bench.left().remove(0);
    assert_eq!(webhook.url, "http://app.example/in", "the service's URL and not the number's");
    assert_eq!(
        (webhook.param("MessagingServiceSid"), webhook.param("OptOutType")),
        (service.as_str(), "STOP")
    );
    for (_, number) in pool {
        let refused = bench.create(&[("To", PHONE), ("From", &number.to_string()), ("Body", "hello")]);
        assert_eq!(refused.unwrap_err(), (400, 21610));
    }
    let refused = bench.create(&[("To", PHONE), ("MessagingServiceSid", &service), ("Body", "hello")]);
    assert_eq!(refused.unwrap_err(), (400, 21610));
    let path = format!("/v1/Services/{service}");
    bench.json("POST", &path, &[("UseInboundWebhookOnNumber", "true")]).unwrap();
    bench.receive("start");
    assert_eq!(bench.left().remove(0).url, APP);
    bench.json("POST", &path, &[("UseInboundWebhookOnNumber", "false"), ("InboundRequestUrl", "")]).unwrap();
    assert_eq!(bench.receive("hi"), None, "a service without a URL takes nothing in");
}

#[test]
fn what_is_sent_to_another_number_of_the_sandbox_arrives_there() {
    let mut bench = Bench::new();
    let child = accounts::create(&mut bench.world, bench.main, "child".to_owned());
    let other = PhoneNumber::parse("+14155559999").unwrap();
    let sid = numbers::buy(&mut bench.world, child, other);
    bench.world.numbers.find_mut(sid).unwrap().hooks.sms = Some(target("http://child.example/"));
    let from = bench.number.to_string();
    let to = other.to_string();
    let sent = sid_of(&bench.create(&[("To", &to), ("From", &from), ("Body", "hello")]).unwrap());
    bench.pass_ms(5000);
    assert_eq!(bench.status(&sent), "delivered");
    let webhook = bench.left().remove(0);
    assert_eq!(
        (webhook.url.as_str(), webhook.param("AccountSid")),
        ("http://child.example/", child.to_string().as_str())
    );
    assert_ne!(webhook.param("MessageSid"), sent);
    assert!(bench.world.phones.texts.newest_first().next().is_none(), "no phone has seen it");
}

#[test]
fn two_numbers_of_the_sandbox_that_answer_each_other_come_to_an_end() {
    for delays_ms in [0, 100] {
        let mut settings = Settings::default();
        let messages = &mut settings.messages;
        (messages.queued_ms, messages.sending_ms, messages.delivery_ms) =
            (delays_ms, delays_ms, delays_ms * 8);
        let mut bench = Bench::with(settings);
        bench.listen(APP);
        let other = PhoneNumber::parse("+14155559999").unwrap();
        let sid = numbers::buy(&mut bench.world, bench.main, other);
        bench.world.numbers.find_mut(sid).unwrap().hooks.sms = Some(target(APP));
        let (from, to) = (bench.number.to_string(), other.to_string());
        bench.create(&[("To", &to), ("From", &from), ("Body", "ping")]).unwrap();
        let (mut rounds, mut last) = (0, String::new());
        for _ in 0..2000 {
            bench.pass_ms(1000);
            while let Some(webhook) = bench.left().pop() {
                rounds += 1;
                last = webhook.param("MessageSid").to_owned();
                bench.answer_twiml(&webhook, "<Response><Message>pong</Message></Response>");
                bench.pass_ms(0);
            }
        }
        assert!((15..=101).contains(&rounds), "{rounds} rounds with delays of {delays_ms} ms");
        assert_eq!(error_of(&mut bench, &last), Some(14107));
    }
}

#[test]
fn two_machines_that_answer_each_other_are_stopped() {
    let mut bench = Bench::new();
    bench.listen(APP);
    let mut last = String::new();
    for _ in 0..20 {
        last = bench.receive("ping").unwrap().to_string();
        for webhook in bench.left() {
            bench.answer_twiml(&webhook, "<Response><Message>pong</Message></Response>");
        }
    }
    assert_eq!(error_of(&mut bench, &last), Some(14107));
    bench.pass_ms(60_000);
    assert_eq!(bench.phone().iter().filter(|text| *text == "< pong").count(), 15);
}
