//! Messaging Services: pools, senders, scheduled messages.

use super::{Bench, PHONE, sid_of};
use crate::world::numbers;
use ringfence_model::PhoneNumber;

/// A service with these numbers in its pool.
fn service(bench: &mut Bench, pooled: &[PhoneNumber], fields: &[(&str, &str)]) -> String {
    let fields = [&[("FriendlyName", "service")], fields].concat();
    let sid = sid_of(&bench.json("POST", "/v1/Services", &fields).unwrap());
    for number in pooled {
        let number = numbers::find_by_number(&bench.world, *number).unwrap().sid.to_string();
        bench
            .json("POST", &format!("/v1/Services/{sid}/PhoneNumbers"), &[("PhoneNumberSid", &number)])
            .unwrap();
    }
    sid
}

fn own_numbers(bench: &Bench) -> Vec<PhoneNumber> {
    bench.world.numbers.of(bench.main).map(|row| row.phone_number).collect()
}

fn buy(bench: &mut Bench, number: &str) -> PhoneNumber {
    let number = PhoneNumber::parse(number).unwrap();
    numbers::buy(&mut bench.world, bench.main, number);
    number
}

#[test]
fn a_number_is_in_one_pool_at_most() {
    let mut bench = Bench::new();
    let number = bench.number;
    let one = service(&mut bench, &[number], &[]);
    let other = service(&mut bench, &[], &[]);
    let sid = numbers::find_by_number(&bench.world, number).unwrap().sid.to_string();
    let mut add = |service: &str, number: &str| {
        bench.json("POST", &format!("/v1/Services/{service}/PhoneNumbers"), &[("PhoneNumberSid", number)])
    };
    assert_eq!(add(&one, &sid).unwrap_err(), (409, 21710));
    assert_eq!(add(&other, &sid).unwrap_err(), (409, 21712));
    assert_eq!(add(&other, "PN00000000000000000000000000000001").unwrap_err(), (404, 20404));
    assert_eq!(add(&other, "nonsense").unwrap_err(), (400, 21421));
    assert_eq!(add(&other, "").unwrap_err(), (400, 20001));
    let path = format!("/v1/Services/{one}/PhoneNumbers/{sid}");
    assert_eq!(bench.request("DELETE", &path, &[]).unwrap().status, 204);
    assert_eq!(bench.request("DELETE", &path, &[]).unwrap_err(), (404, 20404));
    let path = format!("/v1/Services/{other}/PhoneNumbers");
    assert!(bench.json("POST", &path, &[("PhoneNumberSid", &sid)]).is_ok());
    let list = bench.json("GET", &path, &[]).unwrap();
    assert_eq!(list["phone_numbers"][0]["phone_number"], number.to_string());
    assert_eq!(list["phone_numbers"][0]["country_code"], "US");
}

#[test]
fn a_service_is_made_changed_listed_and_removed() {
    let mut bench = Bench::new();
    assert_eq!(bench.json("POST", "/v1/Services", &[]).unwrap_err(), (400, 20001));
    let sid = service(&mut bench, &[], &[("StickySender", "false"), ("ValidityPeriod", "600")]);
    let path = format!("/v1/Services/{sid}");
    let made = bench.json("GET", &path, &[]).unwrap();
    assert_eq!((&made["sticky_sender"], &made["validity_period"]), (&false.into(), &600.into()));
    assert_eq!(made["url"], format!("http://127.0.0.1:4010{path}"));
    let changed =
        bench.json("POST", &path, &[("StatusCallback", "http://app.example/"), ("InboundMethod", "get")]);
    let changed = changed.unwrap();
    assert_eq!(
        (&changed["status_callback"], &changed["inbound_method"]),
        (&"http://app.example/".into(), &"GET".into())
    );
    assert!(bench.json("POST", &path, &[("StatusCallback", "")]).unwrap()["status_callback"].is_null());
    for (name, value) in
        [("ValidityPeriod", "0"), ("InboundMethod", "PUT"), ("Usecase", "fun"), ("FallbackUrl", "x")]
    {
        assert_eq!(bench.json("POST", &path, &[(name, value)]).unwrap_err(), (400, 20001), "{name}");
    }
    assert_eq!(bench.json("GET", "/v1/Services", &[]).unwrap()["services"].as_array().unwrap().len(), 1);
    assert_eq!(bench.request("DELETE", &path, &[]).unwrap().status, 204);
    assert_eq!(bench.json("GET", &path, &[]).unwrap_err(), (404, 20404));
}

#[test]
fn a_service_chooses_the_sender_after_it_accepted_the_message() {
    let mut bench = Bench::new();
    let number = bench.number;
    let service = service(&mut bench, &[number], &[("StatusCallback", "http://app.example/status")]);
    let message =
        bench.create(&[("To", PHONE), ("MessagingServiceSid", &service), ("Body", "hello")]).unwrap();
    assert_eq!((&message["status"], &message["num_segments"]), (&"accepted".into(), &"0".into()));
    assert!(message["from"].is_null());
    assert_eq!(message["messaging_service_sid"], service);
    bench.pass_ms(5000);
    let message = bench.fetch(&sid_of(&message));
    assert_eq!((&message["from"], &message["num_segments"]), (&number.to_string().into(), &"1".into()));
    let left = bench.left();
    let statuses: Vec<_> = left.iter().map(|webhook| webhook.param("MessageStatus")).collect();
    assert_eq!(statuses, ["queued", "sent", "delivered"]);
    assert!(left.iter().all(|webhook| webhook.param("MessagingServiceSid") == service));
}

#[test]
fn who_has_a_sender_keeps_it_and_others_take_turns() {
    let mut bench = Bench::new();
    let pool = own_numbers(&bench);
    assert_eq!(pool.len(), 2);
    let service = service(&mut bench, &pool, &[]);
    let mut senders_of = |to: &str| -> Vec<String> {
        (0..3)
            .map(|_| {
                let fields = [("To", to), ("MessagingServiceSid", service.as_str()), ("Body", "hello")];
                let sid = sid_of(&bench.create(&fields).unwrap());
                bench.pass_ms(5000);
                bench.fetch(&sid)["from"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    let (one, other) = (senders_of(PHONE), senders_of("+12025550124"));
    assert!(one.iter().all(|it| *it == one[0]) && other.iter().all(|it| *it == other[0]));
    assert_ne!(one[0], other[0]);
}

#[test]
fn a_recipient_is_written_to_from_its_own_country_and_area() {
    let mut bench = Bench::new();
    let london = buy(&mut bench, "+442071838750");
    let washington = buy(&mut bench, "+12025550199");
    let pool = [bench.number, london, washington];
    let service = service(&mut bench, &pool, &[]);
    let mut from = |to: &str| {
        let fields = [("To", to), ("MessagingServiceSid", service.as_str()), ("Body", "hello")];
        let sid = sid_of(&bench.create(&fields).unwrap());
        bench.pass_ms(5000);
        bench.fetch(&sid)["from"].clone()
    };
    assert_eq!(from("+447700900123"), london.to_string());
    assert_eq!(from(PHONE), washington.to_string());
    assert_ne!(from("+16045550100"), london.to_string(), "Canada is reached from the United States");
    let path = format!("/v1/Services/{service}/AlphaSenders");
    assert_eq!(bench.json("POST", &path, &[("AlphaSender", "12345")]).unwrap_err(), (400, 21709));
    let name = sid_of(&bench.json("POST", &path, &[("AlphaSender", "Ringfence")]).unwrap());
    let mut from = |to: &str| {
        let fields = [("To", to), ("MessagingServiceSid", service.as_str()), ("Body", "hello")];
        let sid = sid_of(&bench.create(&fields).unwrap());
        bench.pass_ms(5000);
        bench.fetch(&sid)["from"].clone()
    };
    assert_eq!(from("+33612345678"), "Ringfence", "a name where there is no number of the country");
    assert_eq!(bench.request("DELETE", &format!("{path}/{name}"), &[]).unwrap().status, 204);
}

#[test]
fn the_united_states_are_not_reached_from_abroad() {
    let mut bench = Bench::new();
    let london = buy(&mut bench, "+442071838750");
    let service = service(&mut bench, &[london], &[]);
    let refused = bench.create(&[("To", PHONE), ("MessagingServiceSid", &service), ("Body", "hello")]);
    assert_eq!(refused.unwrap_err(), (400, 21703));
}

#[test]
fn a_scheduled_message_leaves_at_its_time_or_is_canceled_before() {
    let mut bench = Bench::new();
    let number = bench.number;
    let service = service(&mut bench, &[number], &[("StatusCallback", "http://app.example/status")]);
    let mut schedule = |at: &str| {
        bench.create(&[
            ("To", PHONE),
            ("MessagingServiceSid", &service),
            ("Body", "hello"),
            ("ScheduleType", "fixed"),
            ("SendAt", at),
        ])
    };
    for at in ["2026-11-25T12:09:29Z", "2026-12-30T12:04:31Z", "2020-01-01T00:00:00Z", "tomorrow"] {
        assert_eq!(schedule(at).unwrap_err(), (400, 35114), "{at}");
    }
    let first = schedule("2026-11-25T13:04:30Z").unwrap();
    assert_eq!(first["status"], "scheduled");
    let (first, second) = (sid_of(&first), sid_of(&schedule("2026-11-25T13:04:30+00:00").unwrap()));
    let path = format!("{}/{second}.json", bench.messages());
    assert_eq!(bench.json("POST", &path, &[("Status", "canceled")]).unwrap()["status"], "canceled");
    assert_eq!(bench.json("POST", &path, &[("Status", "canceled")]).unwrap_err(), (409, 30409));
    let left = bench.left();
    assert_eq!(left.iter().map(|it| it.param("MessageStatus")).collect::<Vec<_>>(), ["canceled"]);
    bench.pass_ms(3_599_000);
    assert_eq!(bench.status(&first), "scheduled");
    bench.pass_ms(10_000);
    assert_eq!(
        (bench.status(&first), bench.status(&second)),
        ("delivered".to_owned(), "canceled".to_owned())
    );
    assert_eq!(bench.phone(), ["< hello"]);
}

#[test]
fn a_scheduled_message_whose_service_lost_its_numbers_fails() {
    let mut bench = Bench::new();
    let number = bench.number;
    let service = service(&mut bench, &[number], &[]);
    let message = bench
        .create(&[
            ("To", PHONE),
            ("MessagingServiceSid", &service),
            ("Body", "hello"),
            ("ScheduleType", "fixed"),
            ("SendAt", "2026-11-25T13:04:30Z"),
        ])
        .unwrap();
    let pooled = numbers::find_by_number(&bench.world, number).unwrap().sid;
    bench.request("DELETE", &format!("/v1/Services/{service}/PhoneNumbers/{pooled}"), &[]).unwrap();
    bench.pass_ms(3_700_000);
    let message = bench.fetch(&sid_of(&message));
    assert_eq!((message["status"].as_str(), message["error_code"].as_u64()), (Some("failed"), Some(21704)));
}
