//! What is refused, and with which code.

use super::{Bench, PHONE};
use crate::world::{accounts, numbers};
use ringfence_model::PhoneNumber;
use ringfence_twilio::wire::AccountStatus;

/// The code of a refused message with these fields in place of or beside those of a good one.
fn code(fields: &[(&str, &str)]) -> u32 {
    let mut bench = Bench::new();
    let number = bench.number.to_string();
    let mut all = vec![("To", PHONE), ("From", number.as_str()), ("Body", "hello")];
    for (name, value) in fields {
        all.retain(|(it, _)| it != name || *name == "MediaUrl");
        all.push((name, value));
    }
    let refused = bench.create(&all);
    assert_eq!(bench.world.messages.of(bench.main, None).count(), 0, "nothing is made of {fields:?}");
    let (status, code) = refused.unwrap_err();
    assert_eq!(status, 400, "{code}");
    code
}

#[test]
fn what_is_missing_has_a_code_of_its_own() {
    assert_eq!(code(&[("To", "")]), 21604);
    assert_eq!(code(&[("From", "")]), 21603);
    assert_eq!(code(&[("Body", "")]), 21602);
}

#[test]
fn numbers_that_cannot_be_meant_are_refused() {
    for to in ["abc", "12", "+1415555", "+11234567890", "5551234"] {
        assert_eq!(code(&[("To", to)]), 21211, "{to}");
    }
    for from in ["+1415555", "a name that is too long", "!"] {
        assert_eq!(code(&[("From", from)]), 21212, "{from}");
    }
    assert_eq!(code(&[("From", "+14155559999")]), 21659, "a number that nobody owns");
    assert_eq!(code(&[("From", "12345")]), 21659, "a short code");
    assert_eq!(code(&[("From", "Ringfence")]), 21612, "a name is not delivered to the United States");
    let own = Bench::new().number.to_string();
    assert_eq!(code(&[("To", &own)]), 21266);
    assert_eq!(code(&[("To", "whatsapp:+12025550123")]), 21910);
    assert_eq!(code(&[("From", "whatsapp:+12025550123")]), 63007);
}

#[test]
fn a_sender_of_another_account_is_told_from_one_of_nobodys() {
    let mut bench = Bench::new();
    let number = PhoneNumber::parse("+14155559998").unwrap();
    let child = accounts::create(&mut bench.world, bench.main, "child".to_owned());
    numbers::buy(&mut bench.world, child, number);
    let fields = [("To", PHONE), ("From", "+14155559998"), ("Body", "hello")];
    assert_eq!(bench.create(&fields).unwrap_err(), (400, 21660));
}

#[test]
fn the_magic_numbers_of_twilios_test_credentials_are_refused_as_there() {
    for (from, expected) in [("1", 21212), ("7", 21606), ("8", 21611), ("0", 21606)] {
        assert_eq!(code(&[("From", &format!("+1500555000{from}"))]), expected);
    }
    for (to, expected) in [("1", 21211), ("2", 21612), ("3", 21408), ("4", 21610), ("9", 21614)] {
        assert_eq!(code(&[("To", &format!("+1500555000{to}"))]), expected);
    }
    let mut bench = Bench::new();
    assert!(bench.create(&[("To", PHONE), ("From", "+15005550006"), ("Body", "hello")]).is_ok());
}

#[test]
fn content_has_bounds() {
    assert_eq!(code(&[("Body", &"é".repeat(1601))]), 21617);
    let mut bench = Bench::new();
    let sid = bench.text(&"é".repeat(1600));
    assert_eq!(bench.fetch(&sid)["num_segments"], "11");
    assert_eq!(code(&[("MediaUrl", "ftp://a.example/cat.png")]), 21620);
    assert_eq!(code(&[("MediaUrl", "https://a.example/cat.png"); 11]), 21623);
    assert_eq!(code(&[("ContentSid", "HX00000000000000000000000000000001")]), 21655);
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    for period in ["0", "36001", "soon", "-1", "1.5"] {
        assert_eq!(code(&[("ValidityPeriod", period)]), 21624, "{period}");
    }
    assert_eq!(code(&[("StatusCallback", "app.example/status")]), 21609);
    assert_eq!(code(&[("ApplicationSid", "AP00000000000000000000000000000001")]), 21420);
    for (name, value) in [
        ("ApplicationSid", "nonsense"),
        ("SmartEncoded", "perhaps"),
        ("RiskCheck", "sometimes"),
        ("ScheduleType", "later"),
        ("SendAt", "2026-11-26T00:00:00Z"),
    ] {
        assert_eq!(code(&[(name, value)]), 20001, "{name}");
    }
    assert_eq!(code(&[("ScheduleType", "fixed")]), 35111);
    assert_eq!(code(&[("ScheduleType", "fixed"), ("SendAt", "2026-11-26T00:00:00Z")]), 35118);
}

#[test]
fn a_messaging_service_that_cannot_send_is_refused() {
    let mut bench = Bench::new();
    let empty = super::sid_of(&bench.json("POST", "/v1/Services", &[("FriendlyName", "empty")]).unwrap());
    let mut code = |service: &str| {
        bench.create(&[("To", PHONE), ("MessagingServiceSid", service), ("Body", "hello")]).unwrap_err().1
    };
    assert_eq!(code("nonsense"), 21705);
    assert_eq!(code("MG00000000000000000000000000000001"), 21701);
    assert_eq!(code(&empty), 21704);
    assert_eq!(
        bench
            .create(&[
                ("To", PHONE),
                ("From", &bench.number.to_string()),
                ("MessagingServiceSid", &empty),
                ("Body", "hello"),
            ])
            .unwrap_err()
            .1,
        21711
    );
}

#[test]
fn a_suspended_account_sends_nothing_and_a_stranger_sees_nothing() {
    let mut bench = Bench::new();
    let sid = bench.text("hello");
    let child = accounts::create(&mut bench.world, bench.main, "child".to_owned());
    let path = format!("/2010-04-01/Accounts/{child}/Messages/{sid}.json");
    assert_eq!(bench.request("GET", &path, &[]).unwrap_err(), (404, 20404));
    accounts::set_status(&mut bench.world, child, &AccountStatus::Suspended);
    let path = format!("/2010-04-01/Accounts/{child}/Messages.json");
    let fields = [("To", PHONE), ("From", "+15005550006"), ("Body", "hello")];
    assert_eq!(bench.request("POST", &path, &fields).unwrap_err(), (403, 20005));
}

#[test]
fn a_sender_whose_queue_is_full_is_refused() {
    let mut settings = crate::settings::Settings::default();
    settings.messages.per_second = 1;
    settings.messages.queue_limit_s = 2;
    let mut bench = Bench::with(settings);
    let from = bench.number.to_string();
    let mut send =
        || bench.create(&[("To", PHONE), ("From", &from), ("Body", "hello")]).map_err(|error| error.1);
    for _ in 0..3 {
        assert!(send().is_ok());
    }
    assert_eq!(send().unwrap_err(), 21611);
}
