//! From the queue to the end.

use super::*;
use crate::world::accounts;
use ringfence_twilio::wire::AccountStatus;

const ALL_EVENTS: &str = "initiated ringing answered completed";

fn followed(stage: &mut Stage, more: &[(&str, &str)]) -> Sid {
    stage.app("/voice", "<Response><Pause length='10'/></Response>");
    let mut fields = vec![
        ("Url", "https://app.example/voice"),
        ("StatusCallback", "https://app.example/status"),
        ("StatusCallbackEvent", ALL_EVENTS),
    ];
    fields.extend(more);
    sid(&stage.create(&fields).unwrap())
}

#[test]
fn a_new_call_is_queued_and_shows_what_twilio_shows() {
    let mut stage = Stage::new();
    let call = stage.create(&[("Twiml", "<Response/>"), ("To", "(202) 555-0123")]).unwrap();
    assert_eq!(call["status"], "queued");
    assert_eq!(call["direction"], "outbound-api");
    assert_eq!((&call["to"], &call["to_formatted"]), (&PHONE.into(), &"(202) 555-0123".into()));
    for absent in ["price", "duration", "start_time", "end_time", "answered_by", "parent_call_sid"] {
        assert_eq!(call[absent], Value::Null, "{absent}");
    }
    assert_eq!(call["price_unit"], "USD");
    assert!(call["phone_number_sid"].as_str().unwrap().starts_with("PN"));
    let recordings = format!("/2010-04-01/Accounts/{}/Calls/{}/Recordings.json", stage.main, sid(&call));
    assert_eq!(call["subresource_uris"]["recordings"], recordings);
}

#[test]
fn a_call_that_is_answered_goes_through_all_its_statuses() {
    let mut stage = Stage::new();
    let call = followed(&mut stage, &[]);
    assert_eq!(stage.status(call), "queued");
    stage.pass_ms(200);
    assert_eq!(stage.status(call), "ringing");
    stage.pass_ms(2000);
    assert_eq!(stage.status(call), "in-progress");
    stage.pass_s(10);
    let call = stage.fetch(call);
    assert_eq!((&call["status"], &call["duration"]), (&"completed".into(), &"10".into()));
    assert_eq!(call["start_time"], "Wed, 25 Nov 2026 12:00:02 +0000");
    assert_eq!(call["end_time"], "Wed, 25 Nov 2026 12:00:12 +0000");
    assert_eq!(stage.told("/status"), ["initiated", "ringing", "in-progress", "completed"]);
    let numbers: Vec<_> = stage.seen("call-status").iter().map(|seen| seen.param("SequenceNumber")).collect();
    assert_eq!(numbers, ["0", "1", "2", "3"]);
    let end = stage.last("call-status");
    for (name, value) in [
        ("CallDuration", "10"),
        ("Duration", "1"),
        ("CallbackSource", "call-progress-events"),
        ("Direction", "outbound-api"),
        ("To", PHONE),
        ("Called", PHONE),
        ("ToCountry", "US"),
        ("ApiVersion", "2010-04-01"),
        ("Timestamp", "Wed, 25 Nov 2026 12:00:12 +0000"),
        ("SipResponseCode", "200"),
    ] {
        assert_eq!(end.param(name), value, "{name}");
    }
}

#[test]
fn the_application_is_asked_once_somebody_answered() {
    let mut stage = Stage::new();
    let call = followed(&mut stage, &[("Method", "GET")]);
    stage.pass_ms(2100);
    assert!(stage.seen("voice").is_empty());
    stage.pass_ms(100);
    let asked = stage.last("voice");
    assert_eq!(asked.method, Method::Get);
    assert_eq!(asked.param("CallSid"), call.to_string());
    assert_eq!(asked.param("CallStatus"), "in-progress");
    assert!(!asked.has("CallDuration") && !asked.has("Timestamp") && !asked.has("AnsweredBy"));
}

#[test]
fn only_the_end_is_told_unless_more_was_asked_for() {
    let mut stage = Stage::new();
    let fields = [("Twiml", "<Response/>"), ("StatusCallback", "https://app.example/status#rc=2")];
    stage.create(&fields).unwrap();
    stage.pass_s(10);
    assert_eq!(stage.told("/status"), ["completed"]);
    assert_eq!(stage.last("call-status").param("SequenceNumber"), "3");
}

#[test]
fn events_may_stand_in_parameters_of_their_own() {
    let mut stage = Stage::new();
    let fields = [
        ("Twiml", "<Response/>"),
        ("StatusCallback", "https://app.example/status"),
        ("StatusCallbackMethod", "GET"),
        ("StatusCallbackEvent", "ringing"),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "nonsense"),
    ];
    stage.create(&fields).unwrap();
    stage.pass_s(10);
    assert_eq!(stage.told("/status"), ["ringing", "in-progress"]);
    assert_eq!(stage.last("call-status").method, Method::Get);
}

#[test]
fn phones_that_are_not_answered_end_a_call_in_their_own_way() {
    for (behaviour, status, sip, after_s) in [
        (PhoneBehaviour::Busy, "busy", "486", 3),
        (PhoneBehaviour::Fail, "failed", "503", 3),
        (PhoneBehaviour::NoAnswer, "no-answer", "487", 61),
        (PhoneBehaviour::ByHand, "no-answer", "487", 61),
    ] {
        let mut stage = Stage::new();
        stage.behaves(PHONE, behaviour);
        let call = followed(&mut stage, &[]);
        stage.pass_ms(after_s * 1000 - 1500);
        assert_eq!(stage.status(call), "ringing", "{behaviour:?}");
        stage.pass_ms(1500);
        assert_eq!(stage.status(call), status);
        assert_eq!(stage.told("/status"), ["initiated", "ringing", status]);
        assert_eq!(stage.last("call-status").param("SipResponseCode"), sip);
        let call = stage.fetch(call);
        assert_eq!(call["duration"], "0");
        assert!(stage.seen("voice").is_empty());
    }
}

#[test]
fn a_call_rings_no_longer_than_its_timeout() {
    let mut stage = Stage::new();
    let call = followed(&mut stage, &[("Timeout", "1")]);
    stage.pass_ms(1100);
    assert_eq!(stage.status(call), "ringing");
    stage.pass_ms(100);
    assert_eq!(stage.status(call), "no-answer");
    stage.pass_s(10);
    assert_eq!(stage.status(call), "no-answer", "what was planned for the ringing comes too late");
}

#[test]
fn a_call_lasts_no_longer_than_its_time_limit() {
    let mut stage = Stage::new();
    let call = followed(&mut stage, &[("TimeLimit", "4")]);
    stage.pass_ms(2200 + 3999);
    assert_eq!(stage.status(call), "in-progress");
    stage.pass_ms(1);
    assert_eq!(stage.fetch(call)["duration"], "4");
}

#[test]
fn the_time_limit_of_a_live_call_can_be_changed() {
    let mut stage = Stage::new();
    let call = followed(&mut stage, &[("TimeLimit", "4")]);
    stage.pass_s(3);
    stage.update(call, &[("TimeLimit", "8")]).unwrap();
    stage.pass_ms(2200 + 7999 - 3000);
    assert_eq!(stage.status(call), "in-progress");
    stage.pass_ms(1);
    assert_eq!(stage.fetch(call)["duration"], "8");
}

#[test]
fn without_a_limit_a_call_ends_after_four_hours() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Say loop='0'>for ever</Say></Response>");
    stage.pass_s(4 * 3600);
    assert_eq!(stage.status(call), "in-progress");
    stage.pass_s(3);
    assert_eq!(stage.fetch(call)["duration"], "14400");
}

#[test]
fn a_call_is_canceled_while_it_waits_or_rings_and_not_later() {
    for wait_ms in [0, 1000] {
        let mut stage = Stage::new();
        let call = followed(&mut stage, &[]);
        stage.pass_ms(wait_ms);
        assert_eq!(stage.update(call, &[("Status", "canceled")]).unwrap()["status"], "canceled");
        stage.pass_s(100);
        assert_eq!(stage.status(call), "canceled");
        assert_eq!(stage.told("/status").last().unwrap(), "canceled");
    }
    let mut stage = Stage::new();
    let call = followed(&mut stage, &[]);
    stage.pass_s(5);
    assert_eq!(stage.update(call, &[("Status", "canceled")]).unwrap()["status"], "in-progress");
}

#[test]
fn a_live_call_is_ended_by_a_request() {
    let mut stage = Stage::new();
    let call = followed(&mut stage, &[]);
    stage.pass_ms(2200 + 1500);
    let ended = stage.update(call, &[("Status", "completed")]).unwrap();
    assert_eq!((&ended["status"], &ended["duration"]), (&"completed".into(), &"2".into()));
    stage.settle();
    assert_eq!(stage.told("/status").last().unwrap(), "completed");
    let lines = stage.found(call).lines.len();
    stage.pass_s(60);
    assert_eq!(stage.found(call).lines.len(), lines, "nothing happens to it any more");
}

#[test]
fn a_live_call_is_sent_elsewhere_and_what_it_did_is_over() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Pause length='5'/><Say>never</Say></Response>");
    stage.pass_s(4);
    stage.app("/other", "<Response><Say>here</Say><Pause length='30'/></Response>");
    stage.update(call, &[("Url", "https://app.example/other"), ("Method", "GET")]).unwrap();
    stage.pass_s(10);
    assert_eq!(stage.said(call), ["here"]);
    assert_eq!(stage.last("voice").method, Method::Get);
    stage.update(call, &[("Twiml", "<Response><Say>and here</Say></Response>")]).unwrap();
    stage.pass_s(10);
    assert_eq!(stage.said(call), ["here", "and here"]);
    assert_eq!(stage.status(call), "completed");
}

#[test]
fn an_answer_that_comes_after_a_call_went_elsewhere_is_for_nobody() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Say>late</Say></Response>");
    // The request for the document leaves and is not answered yet.
    let until = stage.world.now.checked_add(SignedDuration::from_millis(2200)).unwrap();
    while stage.world.outgoing.is_empty() {
        stage.world.pass_time(until, true);
    }
    stage.update(call, &[("Twiml", "<Response><Say>quick</Say><Pause length='9'/></Response>")]).unwrap();
    stage.pass_s(3);
    assert_eq!(stage.said(call), ["quick"]);
}

#[test]
fn who_answers_is_found_out_before_the_first_document() {
    for (behaviour, wish, found) in [
        (PhoneBehaviour::Answer, "Enable", "human"),
        (PhoneBehaviour::Voicemail, "Enable", "machine_start"),
        (PhoneBehaviour::Voicemail, "DetectMessageEnd", "machine_end_beep"),
    ] {
        let mut stage = Stage::phones(behaviour);
        let call = followed(&mut stage, &[("MachineDetection", wish)]);
        stage.pass_ms(2300);
        assert!(stage.seen("voice").is_empty(), "it listens first");
        stage.pass_s(20);
        assert_eq!(stage.last("voice").param("AnsweredBy"), found);
        assert_eq!(stage.last("call-status").param("AnsweredBy"), found);
        assert_eq!(stage.fetch(call)["answered_by"], found);
    }
}

#[test]
fn who_answers_may_be_found_out_beside_the_first_document() {
    let mut stage = Stage::phones(PhoneBehaviour::Voicemail);
    let more = [
        ("MachineDetection", "Enable"),
        ("AsyncAmd", "true"),
        ("AsyncAmdStatusCallback", "https://app.example/amd"),
    ];
    followed(&mut stage, &more);
    stage.pass_ms(2200);
    assert!(!stage.last("voice").has("AnsweredBy"));
    stage.pass_s(5);
    let told = stage.last("amd-status");
    assert_eq!((told.param("AnsweredBy"), told.param("MachineDetectionDuration")), ("machine_start", "3000"));
}

#[test]
fn keys_are_sent_before_the_first_document() {
    let mut stage = Stage::new();
    followed(&mut stage, &[("SendDigits", "wW12")]);
    stage.pass_ms(2200 + 1899);
    assert!(stage.seen("voice").is_empty());
    stage.pass_ms(1);
    assert_eq!(stage.seen("voice").len(), 1);
}

#[test]
fn an_application_says_what_a_call_does() {
    let mut stage = Stage::new();
    stage.app("/app", "<Response/>");
    let target =
        |path: &str| Some(Target { url: format!("https://app.example/{path}"), method: Method::Get });
    let hooks =
        numbers::Hooks { voice: target("app"), status_callback: target("done"), ..Default::default() };
    let application = Sid::parse("AP00000000000000000000000000000007").unwrap();
    let (account, now) = (stage.main, stage.world.now);
    stage.world.applications.insert(crate::world::applications::Application {
        sid: application,
        account,
        friendly_name: "app".to_owned(),
        hooks,
        message_status_callback: None,
        public_connect: false,
        created: now,
        updated: now,
    });
    let text = application.to_string();
    let fields = [("ApplicationSid", text.as_str()), ("StatusCallback", "https://app.example/ignored")];
    stage.create(&fields).unwrap();
    stage.pass_s(5);
    assert_eq!(stage.last("voice").url, "https://app.example/app");
    assert_eq!(stage.told("/done"), ["completed"]);
    assert!(stage.told("/ignored").is_empty());
}

#[test]
fn a_phone_in_a_hand_is_picked_up_and_put_down() {
    let mut stage = Stage::phones(PhoneBehaviour::ByHand);
    let call = followed(&mut stage, &[]);
    assert!(!calls::pick_up(&mut stage.world, call), "it does not ring yet");
    assert!(!calls::put_down(&mut stage.world, call));
    stage.pass_s(10);
    assert_eq!(stage.found(call).waits_for(), calls::WaitsFor::PickUp);
    assert!(calls::pick_up(&mut stage.world, call));
    assert!(!calls::pick_up(&mut stage.world, call), "twice");
    stage.pass_s(3);
    assert!(calls::put_down(&mut stage.world, call));
    assert!(!calls::put_down(&mut stage.world, call));
    assert_eq!(stage.fetch(call)["duration"], "3");
    let declined = followed(&mut stage, &[]);
    stage.pass_s(1);
    assert!(calls::put_down(&mut stage.world, declined));
    assert_eq!(stage.status(declined), "busy");
    assert!(!calls::press(&mut stage.world, declined, "1"));
}

#[test]
fn a_call_to_nobodys_number_does_not_come_in() {
    let mut stage = Stage::new();
    assert_eq!(calls::receive(&mut stage.world, phone(PHONE), phone(OTHER)), None);
}

#[test]
fn a_call_comes_in_and_is_answered_with_twiml() {
    let mut stage = Stage::new();
    stage.answer_calls_with("<Response><Pause length='2'/></Response>");
    let number = stage.world.numbers.of(stage.main).next_back().unwrap().sid;
    let callback = Target { url: "https://app.example/done".to_owned(), method: Method::Post };
    stage.world.numbers.find_mut(number).unwrap().hooks.status_callback = Some(callback);
    let call = stage.receive();
    let asked = stage.last("voice");
    assert_eq!((asked.param("CallStatus"), asked.param("Direction")), ("ringing", "inbound"));
    assert_eq!((asked.param("From"), asked.param("To")), (PHONE, stage.number.to_string().as_str()));
    assert_eq!((asked.param("FromCity"), asked.param("FromCountry")), ("WASHINGTON", "US"));
    assert_eq!(stage.status(call), "in-progress");
    stage.pass_s(2);
    let shown = stage.fetch(call);
    assert_eq!((&shown["status"], &shown["direction"]), (&"completed".into(), &"inbound".into()));
    assert_eq!(shown["phone_number_sid"], number.to_string());
    assert_eq!(stage.told("/done"), ["completed"]);
    assert_eq!(stage.last("call-status").param("SequenceNumber"), "0");
}

#[test]
fn a_caller_may_hang_up_before_the_application_has_answered() {
    let mut stage = Stage::new();
    stage.answer_calls_with("<Response><Say>late</Say></Response>");
    let number = stage.number;
    let call = calls::receive(&mut stage.world, phone(PHONE), number).unwrap();
    assert!(calls::put_down(&mut stage.world, call));
    stage.pass_s(5);
    assert_eq!(stage.status(call), "no-answer");
    assert!(stage.said(call).is_empty());
}

#[test]
fn a_call_to_a_number_without_a_url_fails() {
    let mut stage = Stage::new();
    let call = stage.receive();
    assert_eq!(stage.status(call), "failed");
    assert!(stage.noted(call, "no voice URL"));
}

#[test]
fn a_suspended_account_is_not_asked_about_calls_to_its_numbers() {
    let mut stage = Stage::new();
    let sub = accounts::create(&mut stage.world, stage.main, "sub".to_owned());
    let number = stage.buy(sub);
    stage.app("/in", "<Response/>");
    let row = numbers::find_by_number(&stage.world, number).unwrap().sid;
    let target = Target { url: "https://app.example/in".to_owned(), method: Method::Post };
    stage.world.numbers.find_mut(row).unwrap().hooks.voice = Some(target);
    accounts::set_status(&mut stage.world, sub, &AccountStatus::Suspended);
    let call = calls::receive(&mut stage.world, phone(PHONE), number).unwrap();
    stage.pass_s(5);
    assert!(stage.seen.is_empty());
    assert!(stage.noted(call, "10003"));
    let path = format!("/2010-04-01/Accounts/{sub}/Calls.json");
    let list = stage.raw(stage.main_credentials(), "GET", &path, &[]).unwrap();
    assert!(!String::from_utf8_lossy(&list.body).contains(&call.to_string()));
}

#[test]
fn a_suspended_accounts_call_goes_on_until_its_parent_ends_it() {
    let mut stage = Stage::new();
    let sub = accounts::create(&mut stage.world, stage.main, "sub".to_owned());
    let token = stage.world.accounts.find(sub).unwrap().auth_token.clone();
    let number = stage.buy(sub).to_string();
    let path = format!("/2010-04-01/Accounts/{sub}/Calls");
    let fields =
        [("To", PHONE), ("From", number.as_str()), ("Twiml", "<Response><Pause length='600'/></Response>")];
    let own = (sub, token);
    let made = stage.raw(own.clone(), "POST", &format!("{path}.json"), &fields).unwrap();
    let call = sid(&serde_json::from_slice(&made.body).unwrap());
    stage.pass_s(5);
    accounts::set_status(&mut stage.world, sub, &AccountStatus::Suspended);
    assert_eq!(stage.raw(own.clone(), "POST", &format!("{path}.json"), &fields).unwrap_err(), (403, 20005));
    let parent = stage.main_credentials();
    assert_eq!(
        stage.raw(parent.clone(), "POST", &format!("{path}.json"), &fields).unwrap_err(),
        (403, 20005)
    );
    stage.pass_s(60);
    assert_eq!(stage.status(call), "in-progress");
    let end = [("Status", "completed")];
    assert_eq!(stage.raw(own, "POST", &format!("{path}/{call}.json"), &end).unwrap_err(), (403, 20005));
    assert!(stage.raw(parent, "POST", &format!("{path}/{call}.json"), &end).is_ok());
    assert_eq!(stage.status(call), "completed");
}

#[test]
fn what_is_queued_when_its_account_is_suspended_is_not_called() {
    let mut stage = Stage::new();
    let sub = accounts::create(&mut stage.world, stage.main, "sub".to_owned());
    let number = stage.buy(sub).to_string();
    let path = format!("/2010-04-01/Accounts/{sub}/Calls.json");
    let fields = [
        ("To", PHONE),
        ("From", number.as_str()),
        ("Twiml", "<Response/>"),
        ("StatusCallback", "https://app.example/status"),
    ];
    let made = stage.raw(stage.main_credentials(), "POST", &path, &fields).unwrap();
    let call = sid(&serde_json::from_slice(&made.body).unwrap());
    accounts::set_status(&mut stage.world, sub, &AccountStatus::Suspended);
    stage.pass_s(60);
    assert_eq!((stage.status(call).as_str(), stage.noted(call, "10001")), ("failed", true));
    assert_eq!(stage.told("/status"), ["failed"]);
    assert!(stage.found(call).price_micros.is_none());
}

#[test]
fn a_list_is_filtered() {
    let mut stage = Stage::new();
    let one = stage.call("<Response/>");
    stage.pass_s(5);
    stage.pass_s(24 * 3600);
    stage.behaves(OTHER, PhoneBehaviour::Busy);
    let other = sid(&stage.create(&[("To", OTHER), ("Twiml", "<Response/>")]).unwrap());
    stage.pass_s(5);
    let queued = sid(&stage.create(&[("Twiml", "<Response/>")]).unwrap());
    let mut listed = |query: &str| -> Vec<Sid> {
        let page = stage.request("GET", &format!("Calls.json?{query}"), &[]).unwrap();
        page["calls"].as_array().unwrap().iter().map(sid).collect()
    };
    assert_eq!(listed(""), [queued, other, one], "newest first");
    assert_eq!(listed("Status=busy"), [other]);
    assert_eq!(listed("Status=queued"), [queued]);
    assert_eq!(listed("To=%2B12065550188"), [other]);
    assert_eq!(listed("To=206-555-0188"), [other]);
    assert_eq!(listed("From=%2B12065550188"), []);
    assert_eq!(listed("StartTime=2026-11-25"), [one]);
    assert_eq!(listed("StartTime=2026-11-25T00:00:00Z"), [one]);
    assert_eq!(listed("StartTime%3E=2026-11-26"), [other]);
    assert_eq!(listed("StartTime%3C=2026-11-26"), [one]);
    assert_eq!(listed("StartTime%3E=2026-11-25&StartTime%3C=2026-11-27"), [other, one]);
    assert_eq!(listed("EndTime=2026-11-26"), [other]);
    assert_eq!(listed("ParentCallSid=CA00000000000000000000000000000000"), []);
}

#[test]
fn a_call_of_another_product_is_on_the_phone_and_not_in_the_list() {
    let mut stage = Stage::new();
    let main = stage.main;
    let twiml = "<Response><Say>Your code is 1, 2, 3.</Say></Response>";
    let call = calls::speak(&mut stage.world, main, "Verify", phone(PHONE), twiml);
    stage.pass_s(10);
    assert_eq!(stage.said(call), ["Your code is 1, 2, 3."]);
    assert_eq!(stage.status(call), "completed");
    assert_eq!(calls::on_phone(&stage.world, phone(PHONE)).map(|call| call.sid).collect::<Vec<_>>(), [call]);
    assert!(stage.request("GET", &format!("Calls/{call}.json"), &[]).is_err());
    assert!(stage.request("GET", "Calls.json", &[]).unwrap()["calls"].as_array().unwrap().is_empty());
    assert!(stage.found(call).price_micros.is_none());
}
