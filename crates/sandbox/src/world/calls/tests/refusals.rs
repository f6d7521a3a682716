//! What is refused, each with its code.

use super::*;

fn refused(stage: &mut Stage, fields: &[(&str, &str)]) -> u32 {
    let (status, code) = stage.create(fields).unwrap_err();
    assert_eq!(status, 400, "{code}");
    code
}

#[test]
fn a_call_that_cannot_be_meant_is_refused_with_twilios_code() {
    let mut stage = Stage::new();
    let url = ("Url", "https://app.example/voice");
    let long = format!("<Response><Say>{}</Say></Response>", "a".repeat(4000));
    let digits = "1".repeat(33);
    for (fields, code) in [
        (vec![("To", ABSENT), url], 21201),
        (vec![("To", ""), url], 21201),
        (vec![("From", ABSENT), url], 21213),
        (vec![("To", "+1415"), url], 21211),
        (vec![("To", "nobody"), url], 21211),
        (vec![("To", "+15005550001"), url], 21217),
        (vec![("To", "+15005550002"), url], 21214),
        (vec![("To", "+15005550003"), url], 21215),
        (vec![("To", "+15005550004"), url], 21216),
        (vec![("From", "+15005550001"), url], 21212),
        (vec![("From", "Ringfence"), url], 21212),
        (vec![("From", "client:jo"), url], 21212),
        (vec![("From", "+15005550007"), url], 21210),
        (vec![("From", "+14155550199"), url], 21210),
        (vec![], 21205),
        (vec![("Url", "voice.xml")], 21205),
        (vec![("Url", "https://app.example/a b")], 21205),
        (vec![url, ("FallbackUrl", "x")], 21205),
        (vec![url, ("StatusCallback", "x")], 21609),
        (vec![url, ("Method", "PUT")], 21209),
        (vec![("ApplicationSid", "AP00000000000000000000000000000001")], 21218),
        (vec![("ApplicationSid", "no")], 21218),
        (vec![url, ("SendDigits", "12x")], 21206),
        (vec![url, ("SendDigits", &digits)], 21206),
        (vec![url, ("Timeout", "0")], 21208),
        (vec![url, ("Timeout", "601")], 21208),
        (vec![url, ("Timeout", "soon")], 21208),
        (vec![url, ("TimeLimit", "0")], 20001),
        (vec![url, ("MachineDetection", "yes")], 20001),
        (vec![url, ("MachineDetectionTimeout", "90")], 20001),
        (vec![url, ("Record", "maybe")], 20001),
        (vec![url, ("Record", "true"), ("RecordingChannels", "stereo")], 20001),
        (vec![("Twiml", &long)], 20001),
    ] {
        assert_eq!(refused(&mut stage, &fields), code, "{fields:?}");
    }
    assert_eq!(stage.request("GET", "Calls.json", &[]).unwrap()["calls"].as_array().unwrap().len(), 0);
}

#[test]
fn twilios_valid_magic_number_may_call() {
    let mut stage = Stage::new();
    let fields = [("From", "+15005550006"), ("Twiml", "<Response/>")];
    assert!(stage.create(&fields).is_ok());
}

#[test]
fn a_call_is_not_found_under_another_account() {
    let mut stage = Stage::new();
    let call = stage.call("<Response/>");
    let sub = crate::world::accounts::create(&mut stage.world, stage.main, "sub".to_owned());
    let path = format!("/2010-04-01/Accounts/{sub}/Calls/{call}.json");
    for method in ["GET", "POST", "DELETE"] {
        assert_eq!(stage.raw(stage.main_credentials(), method, &path, &[]).unwrap_err(), (404, 20404));
    }
}

#[test]
fn only_a_call_in_progress_can_be_sent_elsewhere() {
    let mut stage = Stage::phones(PhoneBehaviour::ByHand);
    let call = stage.call("<Response/>");
    let elsewhere = [("Twiml", "<Response/>")];
    assert_eq!(stage.update(call, &elsewhere).unwrap_err(), (400, 21220), "queued");
    stage.pass_s(1);
    assert_eq!(stage.update(call, &elsewhere).unwrap_err(), (400, 21220), "ringing");
    stage.pass_s(100);
    assert_eq!(stage.status(call), "no-answer");
    assert_eq!(stage.update(call, &elsewhere).unwrap_err(), (400, 21220), "over");
    assert_eq!(stage.update(call, &[("Status", "completed")]).unwrap_err(), (400, 21220));
    assert_eq!(stage.update(call, &[("Status", "canceled")]).unwrap_err(), (400, 21220));
    assert_eq!(stage.update(call, &[("Status", "in-progress")]).unwrap_err(), (400, 20001));
}

#[test]
fn a_live_call_cannot_be_deleted() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Pause length='60'/></Response>");
    stage.pass_s(5);
    let path = format!("Calls/{call}.json");
    assert_eq!(stage.request("DELETE", &path, &[]).unwrap_err(), (409, 20009));
    stage.pass_s(60);
    assert_eq!(stage.request("DELETE", &path, &[]), Ok(Value::Null));
    assert_eq!(stage.request("GET", &path, &[]).unwrap_err(), (404, 20404));
}

#[test]
fn dates_that_are_none_are_refused_in_lists() {
    let mut stage = Stage::new();
    for query in
        ["StartTime=yesterday", "StartTime%3E=2026-13-01", "EndTime%3C=x", "EndTime=9999-12-31T23:59:59Z"]
    {
        let (status, code) = stage.request("GET", &format!("Calls.json?{query}"), &[]).unwrap_err();
        assert_eq!((status, code), (400, 20001), "{query}");
    }
}
