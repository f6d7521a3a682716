//! The lives of messages that go out.

use ringfence_model::PhoneNumber;
use ringfence_twilio::wire::{AccountStatus, Price};

use super::{Bench, PHONE, sid_of};
use crate::settings::Settings;
use crate::world::accounts;
use crate::world::phones::Delivery;

const CALLBACK: &str = "http://app.example/status";

#[test]
fn a_text_is_queued_sending_sent_and_delivered_and_then_has_its_price() {
    let mut bench = Bench::new();
    let sid = bench.text("hello");
    let message = bench.fetch(&sid);
    assert_eq!(message["status"], "queued");
    assert_eq!(message["num_segments"], "1");
    assert_eq!(message["direction"], "outbound-api");
    assert!(message["date_sent"].is_null() && message["price"].is_null());
    let mut statuses = Vec::new();
    for pause_ms in [100, 200, 700] {
        assert!(bench.phone().is_empty());
        bench.pass_ms(pause_ms);
        statuses.push(bench.status(&sid));
    }
    assert_eq!(statuses, ["sending", "sent", "delivered"]);
    assert_eq!(bench.phone(), ["< hello"]);
    let message = bench.fetch(&sid);
    assert!(message["price"].is_null(), "the price comes later");
    assert_eq!(message["date_sent"], "Wed, 25 Nov 2026 12:04:30 +0000");
    bench.pass_ms(300);
    let price = bench.fetch(&sid)["price"].as_str().unwrap().to_owned();
    assert!(price.starts_with("-0.0"), "{price}");
}

#[test]
fn each_change_after_the_first_status_is_called_back_but_for_sending() {
    let mut bench = Bench::new();
    let from = bench.number.to_string();
    let fields = [("To", PHONE), ("From", from.as_str()), ("Body", "hello"), ("StatusCallback", CALLBACK)];
    let sid = sid_of(&bench.create(&fields).unwrap());
    bench.pass_ms(5000);
    let left = bench.left();
    let statuses: Vec<_> = left.iter().map(|webhook| webhook.param("MessageStatus")).collect();
    assert_eq!(statuses, ["sent", "delivered"]);
    for webhook in &left {
        assert_eq!((webhook.kind, webhook.url.as_str()), ("message-status", CALLBACK));
        assert_eq!((webhook.param("MessageSid"), webhook.param("SmsSid")), (sid.as_str(), sid.as_str()));
        assert_eq!(webhook.param("SmsStatus"), webhook.param("MessageStatus"));
        assert_eq!((webhook.param("From"), webhook.param("To")), (from.as_str(), PHONE));
        assert_eq!(webhook.param("AccountSid"), bench.main.to_string());
        assert_eq!(webhook.param("ApiVersion"), "2010-04-01");
    }
    assert_eq!((left[0].param("RawDlrDoneDate"), left[1].param("RawDlrDoneDate")), ("", "2611251204"));
}

#[test]
fn a_text_that_does_not_arrive_says_why() {
    for (delivery, code) in [
        (Delivery::Unreachable, 30003),
        (Delivery::Blocked, 30004),
        (Delivery::Unknown, 30005),
        (Delivery::Landline, 30006),
        (Delivery::Filtered, 30007),
        (Delivery::Lost, 30008),
    ] {
        let mut bench = Bench::new();
        bench.world.phones.set_delivery(PhoneNumber::parse(PHONE).unwrap(), Some(delivery));
        let from = bench.number.to_string();
        let fields =
            [("To", PHONE), ("From", from.as_str()), ("Body", "hello"), ("StatusCallback", CALLBACK)];
        let sid = sid_of(&bench.create(&fields).unwrap());
        bench.pass_ms(5000);
        let message = bench.fetch(&sid);
        assert_eq!(
            (message["status"].as_str(), message["error_code"].as_u64()),
            (Some("undelivered"), Some(code))
        );
        assert!(!message["error_message"].as_str().unwrap().is_empty());
        assert!(message["price"].is_string(), "what was sent is billed");
        let last = bench.left().pop().unwrap();
        assert_eq!(
            (last.param("MessageStatus"), last.param("ErrorCode")),
            ("undelivered", code.to_string().as_str())
        );
        assert!(bench.phone().is_empty());
    }
}

#[test]
fn thousands_of_messages_are_told_of_one_by_one_and_in_order() {
    let mut bench = Bench::new();
    let from = bench.number.to_string();
    let fields = [("To", PHONE), ("From", from.as_str()), ("Body", "hello"), ("StatusCallback", CALLBACK)];
    let sids: Vec<String> = (0..3000).map(|_| sid_of(&bench.create(&fields).unwrap())).collect();
    bench.pass_ms(60_000);
    let left = bench.left();
    let told = |status: &str| -> Vec<String> {
        let of_status = left.iter().filter(|webhook| webhook.param("MessageStatus") == status);
        of_status.map(|webhook| webhook.param("MessageSid").to_owned()).collect()
    };
    assert_eq!(left.len(), 2 * sids.len());
    assert!(told("sent") == sids && told("delivered") == sids);
}

#[test]
fn without_a_receipt_a_text_arrives_and_stays_sent() {
    let mut bench = Bench::new();
    bench.world.phones.set_delivery(PhoneNumber::parse(PHONE).unwrap(), Some(Delivery::NoReceipt));
    let sid = bench.text("hello");
    bench.pass_ms(60_000);
    assert_eq!(bench.status(&sid), "sent");
    assert_eq!(bench.phone(), ["< hello"]);
}

#[test]
fn what_is_queued_when_its_account_is_suspended_fails_and_costs_nothing() {
    let mut bench = Bench::new();
    let child = accounts::create(&mut bench.world, bench.main, "child".to_owned());
    let path = format!("/2010-04-01/Accounts/{child}/Messages");
    let fields = [("To", PHONE), ("From", "+15005550006"), ("Body", "hello"), ("StatusCallback", CALLBACK)];
    let early = sid_of(&bench.json("POST", &format!("{path}.json"), &fields).unwrap());
    bench.pass_ms(150);
    let late = sid_of(&bench.json("POST", &format!("{path}.json"), &fields).unwrap());
    accounts::set_status(&mut bench.world, child, &AccountStatus::Suspended);
    bench.pass_ms(5000);
    let mut end = |sid: &str| {
        let message = bench.json("GET", &format!("{path}/{sid}.json"), &[]).unwrap();
        (message["status"].clone(), message["error_code"].clone(), message["price"].is_null())
    };
    assert_eq!(end(&late), ("failed".into(), 30002.into(), true));
    assert_eq!(
        end(&early),
        ("delivered".into(), serde_json::Value::Null, false),
        "it was on its way already"
    );
    assert_eq!(bench.phone(), ["< hello"]);
    let failed: Vec<_> =
        bench.left().into_iter().filter(|webhook| webhook.param("MessageStatus") == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (failed[0].param("ErrorCode"), failed[0].param("ErrorMessage")),
        ("30002", "Account suspended")
    );
}

#[test]
fn a_suspended_parent_stops_the_queues_of_its_children() {
    let mut bench = Bench::new();
    let child = accounts::create(&mut bench.world, bench.main, "child".to_owned());
    let path = format!("/2010-04-01/Accounts/{child}/Messages");
    let fields = [("To", PHONE), ("From", "+15005550006"), ("Body", "hello")];
    let sid = sid_of(&bench.json("POST", &format!("{path}.json"), &fields).unwrap());
    bench.world.accounts.find_mut(bench.main).unwrap().status = AccountStatus::Suspended;
    bench.pass_ms(5000);
    bench.world.accounts.find_mut(bench.main).unwrap().status = AccountStatus::Active;
    let message = bench.json("GET", &format!("{path}/{sid}.json"), &[]).unwrap();
    assert_eq!(message["error_code"], 30002);
}

#[test]
fn a_sender_sends_so_many_segments_a_second_and_what_waits_too_long_is_not_sent() {
    let mut settings = Settings::default();
    settings.messages.per_second = 1;
    let mut bench = Bench::with(settings);
    let from = bench.number.to_string();
    let sids: Vec<String> = (0..3)
        .map(|_| {
            let fields = [("To", PHONE), ("From", from.as_str()), ("Body", "hello"), ("ValidityPeriod", "1")];
            sid_of(&bench.create(&fields).unwrap())
        })
        .collect();
    bench.pass_ms(1500);
    assert_eq!(sids.iter().map(|sid| bench.status(sid)).collect::<Vec<_>>(), ["delivered", "sent", "queued"]);
    bench.pass_ms(10_000);
    let last = bench.fetch(&sids[2]);
    assert_eq!((last["status"].as_str(), last["error_code"].as_u64()), (Some("failed"), Some(30036)));
}

#[test]
fn a_message_with_media_is_one_whatever_its_text() {
    let mut bench = Bench::new();
    let from = bench.number.to_string();
    let long = "a".repeat(500);
    let message = bench
        .create(&[
            ("To", PHONE),
            ("From", &from),
            ("Body", &long),
            ("MediaUrl", "https://a.example/cat.png"),
            ("MediaUrl", "https://a.example/dog.jpg"),
        ])
        .unwrap();
    let sid = sid_of(&message);
    assert!(sid.starts_with("MM"));
    assert_eq!((&message["num_media"], &message["num_segments"]), (&"2".into(), &"1".into()));
    bench.pass_ms(5000);
    let text = bench.world.phones.texts.newest_first().next().unwrap();
    assert_eq!(text.media, ["https://a.example/cat.png", "https://a.example/dog.jpg"]);
    let list = bench.json("GET", &format!("{}/{sid}/Media.json", bench.messages()), &[]).unwrap();
    let types: Vec<_> =
        list["media_list"].as_array().unwrap().iter().map(|it| it["content_type"].clone()).collect();
    assert_eq!(types, ["image/png", "image/jpeg"]);
}

#[test]
fn a_long_text_goes_as_one_mms_where_that_is_asked_for() {
    let mut bench = Bench::new();
    let (from, long) = (bench.number.to_string(), "a".repeat(500));
    let fields = [("To", PHONE), ("From", &*from), ("Body", &*long), ("SendAsMms", "true")];
    let message = bench.create(&fields).unwrap();
    let sid = sid_of(&message);
    assert!(sid.starts_with("MM"));
    assert_eq!((&message["num_media"], &message["num_segments"]), (&"0".into(), &"1".into()));
    bench.pass_ms(60_000);
    let micros = bench.world.prices.media_out_micros(PhoneNumber::parse(PHONE).unwrap());
    assert_eq!(bench.fetch(&sid)["price"], Price::micros(-micros).to_string());
}

#[test]
fn a_media_file_is_open_unless_credentials_are_wanted() {
    let mut bench = Bench::new();
    let from = bench.number.to_string();
    let fields = [("To", PHONE), ("From", from.as_str()), ("MediaUrl", "https://a.example/cat.png")];
    let sid = sid_of(&bench.create(&fields).unwrap());
    let list = bench.json("GET", &format!("{}/{sid}/Media.json", bench.messages()), &[]).unwrap();
    let json = list["media_list"][0]["uri"].as_str().unwrap().to_owned();
    let file = json.strip_suffix(".json").unwrap().to_owned();
    let reply = bench.request_as(None, "GET", &file, &[]).unwrap();
    assert_eq!(reply.content_type, "image/png");
    assert!(reply.body.starts_with(b"\x89PNG"));
    assert_eq!(bench.request_as(None, "GET", &json, &[]).unwrap_err(), (401, 20003));
    assert_eq!(bench.request_as(None, "DELETE", &file, &[]).unwrap_err(), (401, 20003));
    bench.world.settings.media_requires_auth = true;
    assert_eq!(bench.request_as(None, "GET", &file, &[]).unwrap_err(), (401, 20003));
    assert!(bench.request("GET", &file, &[]).is_ok());
    assert_eq!(bench.request("DELETE", &json, &[]).unwrap().status, 204);
    assert_eq!(bench.request("GET", &file, &[]).unwrap_err(), (404, 20404));
}

#[test]
fn a_message_is_redacted_and_deleted_at_its_end_and_not_before() {
    let mut bench = Bench::new();
    let sid = bench.text("secret");
    let path = format!("{}/{sid}.json", bench.messages());
    assert_eq!(bench.json("POST", &path, &[("Body", "")]).unwrap_err(), (409, 20009));
    assert_eq!(bench.json("DELETE", &path, &[]).unwrap_err(), (409, 20009));
    assert_eq!(bench.json("POST", &path, &[("Status", "canceled")]).unwrap_err(), (409, 30409));
    bench.pass_ms(5000);
    for fields in
        [&[("Body", "other")][..], &[], &[("Status", "sent")], &[("Body", ""), ("Status", "canceled")]]
    {
        assert_eq!(bench.json("POST", &path, fields).unwrap_err(), (400, 30400), "{fields:?}");
    }
    assert_eq!(bench.json("POST", &path, &[("Body", "")]).unwrap()["body"], "");
    assert_eq!(bench.request("DELETE", &path, &[]).unwrap().status, 204);
    assert_eq!(bench.json("GET", &path, &[]).unwrap_err(), (404, 20404));
}

#[test]
fn smart_encoding_saves_segments_where_it_is_wanted() {
    let mut bench = Bench::new();
    let from = bench.number.to_string();
    let body = format!("It\u{2019}s {}", "a".repeat(100));
    let mut segments = |smart: &str| {
        let fields = [("To", PHONE), ("From", from.as_str()), ("Body", &body), ("SmartEncoded", smart)];
        bench.create(&fields).unwrap()["num_segments"].clone()
    };
    assert_eq!((segments("true"), segments("false")), ("1".into(), "2".into()));
}

#[test]
fn feedback_is_taken_for_a_message_that_is_there() {
    let mut bench = Bench::new();
    let sid = bench.text("hello");
    let path = format!("{}/{sid}/Feedback.json", bench.messages());
    assert_eq!(bench.json("POST", &path, &[("Outcome", "unconfirmed")]).unwrap()["outcome"], "unconfirmed");
    assert_eq!(bench.json("POST", &path, &[("Outcome", "perhaps")]).unwrap_err(), (400, 20001));
    let other = path.replace(&sid, "SM00000000000000000000000000000001");
    assert_eq!(bench.json("POST", &other, &[]).unwrap_err(), (404, 20404));
}
