//! Verbs carried out, and documents that cannot be.

use super::*;
use crate::world::calls::WaitsFor;

const MENU: &str = "<Response><Gather numDigits='1' action='/menu' timeout='5'><Say>Press one now please.</Say></Gather>\
                    <Say>Nothing came.</Say></Response>";

/// A call on which this document is being carried out, just answered.
fn on_the_line(stage: &mut Stage, twiml: &str) -> Sid {
    let call = stage.call(twiml);
    stage.pass_ms(2200);
    assert_eq!(stage.status(call), "in-progress");
    call
}

#[test]
fn a_document_that_cannot_be_had_or_read_ends_the_call_with_an_apology() {
    for (status, content_type, body, code) in [
        (404, "text/xml", "<Response/>", "11200"),
        (500, "text/xml", "<Response/>", "11200"),
        (200, "text/xml", "<Response>", "12100"),
        (200, "text/xml", "", "12100"),
        (200, "text/xml", "<html/>", "12200"),
        (200, "application/json", "{}", "12300"),
        (200, "", "<Response/>", "12300"),
    ] {
        let mut stage = Stage::new();
        stage.app_says("/voice", status, content_type, body);
        let call = sid(&stage.create(&[("Url", "https://app.example/voice")]).unwrap());
        stage.pass_s(30);
        assert!(stage.noted(call, code), "{code}: {:?}", stage.found(call).lines);
        assert_eq!(stage.said(call), ["We are sorry, an application error has occurred. Goodbye."]);
        assert_eq!(stage.status(call), "completed");
    }
}

#[test]
fn the_fallback_url_is_asked_once_with_what_was_wrong() {
    for (status, body, code) in [(500, "", "11200"), (200, "<Response>", "12100")] {
        let mut stage = Stage::new();
        stage.app_says("/voice", status, "text/xml", body);
        stage.app("/fallback", "<Response><Say>Saved.</Say><Redirect>/voice2</Redirect></Response>");
        stage.app_says("/voice2", 200, "text/xml", "nonsense");
        let fields = [
            ("Url", "https://app.example/voice"),
            ("FallbackUrl", "https://app.example/fallback"),
            ("FallbackMethod", "GET"),
        ];
        let call = sid(&stage.create(&fields).unwrap());
        stage.pass_ms(2300);
        let asked = stage.seen("voice")[1].clone();
        assert_eq!((asked.url.as_str(), asked.method), ("https://app.example/fallback", Method::Get));
        assert_eq!((asked.param("ErrorCode"), asked.param("ErrorUrl")), (code, "https://app.example/voice"));
        assert_eq!(stage.said(call), ["Saved."]);
    }
}

#[test]
fn a_fallback_that_fails_too_ends_the_call() {
    let mut stage = Stage::new();
    let fields = [("Url", "https://app.example/none"), ("FallbackUrl", "https://app.example/none2")];
    let call = sid(&stage.create(&fields).unwrap());
    stage.pass_s(30);
    assert_eq!(stage.seen("voice").len(), 2);
    assert_eq!(stage.status(call), "completed");
}

#[test]
fn a_redirect_to_itself_does_not_go_on_for_ever() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Redirect/></Response>");
    stage.pass_s(30);
    assert_eq!(stage.seen("voice").len(), 200);
    assert!(stage.noted(call, "too many documents"));
    assert_eq!(stage.status(call), "completed");
}

#[test]
fn a_caller_may_be_kept_waiting_for_as_long_as_a_call_lasts() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Play>music.mp3</Play><Pause length='2'/><Redirect/></Response>");
    stage.pass_s(5 * 3600);
    assert_eq!(stage.fetch(call)["duration"], "14400");
    assert_eq!(stage.seen("voice").len(), 2880);
}

#[test]
fn a_relative_url_in_twiml_without_a_url_leads_nowhere() {
    let mut stage = Stage::new();
    let call = sid(&stage.create(&[("Twiml", "<Response><Redirect>/x</Redirect></Response>")]).unwrap());
    stage.pass_s(30);
    assert!(stage.noted(call, "11100"));
    assert_eq!(stage.status(call), "completed");
}

#[test]
fn a_verb_that_is_not_known_is_passed_over_with_a_warning() {
    let mut stage = Stage::new();
    let call = on_the_line(&mut stage, "<Response><Dance/><Enqueue>q</Enqueue><Say>on</Say></Response>");
    assert!(stage.noted(call, "<Dance>"));
    assert!(stage.noted(call, "<Enqueue>"));
    assert_eq!(stage.said(call), ["on"]);
}

#[test]
fn a_text_takes_as_long_as_it_takes_to_be_spoken() {
    let mut stage = Stage::new();
    let text = vec!["word"; 25].join(" ");
    let call = on_the_line(&mut stage, &format!("<Response><Say loop='2'>{text}</Say></Response>"));
    stage.pass_ms(19_999);
    assert_eq!(stage.status(call), "in-progress");
    stage.pass_ms(1);
    assert_eq!(stage.fetch(call)["duration"], "20", "50 words at 150 a minute");
}

#[test]
fn a_plain_text_is_read_aloud_and_a_sound_is_played() {
    let mut stage = Stage::new();
    stage.app_says("/voice", 200, "text/plain; charset=utf-8", "Hello\n  you");
    let call = sid(&stage.create(&[("Url", "https://app.example/voice")]).unwrap());
    stage.pass_s(10);
    assert_eq!(stage.said(call), ["Hello you"]);
    let mut stage = Stage::new();
    stage.app_says("/voice", 200, "audio/mpeg", "ID3");
    let call = sid(&stage.create(&[("Url", "https://app.example/voice")]).unwrap());
    stage.pass_s(10);
    assert_eq!(stage.lines(call, LineKind::Played).len(), 1);
    assert_eq!(stage.fetch(call)["duration"], "3");
}

#[test]
fn verbs_take_their_time_in_order() {
    let mut stage = Stage::new();
    let call = on_the_line(
        &mut stage,
        "<Response><Play>a.mp3</Play><Pause length='4'/><Play digits='1w'/><Hangup/><Say>never</Say></Response>",
    );
    stage.pass_s(60);
    assert_eq!(stage.lines(call, LineKind::Played), ["a.mp3", "1w"]);
    assert!(stage.said(call).is_empty());
    assert_eq!(stage.fetch(call)["duration"], "8", "3 s, 4 s and 0.7 s");
}

#[test]
fn a_redirect_is_relative_to_its_document() {
    let mut stage = Stage::new();
    stage.app("/a/voice?x=1", "<Response><Redirect method='GET'>../b/next?y=2</Redirect></Response>");
    stage.app("/b/next?y=2", "<Response><Redirect>last</Redirect></Response>");
    stage.app("/b/last", "<Response><Say>there</Say></Response>");
    let call = sid(&stage.create(&[("Url", "https://app.example/a/voice?x=1")]).unwrap());
    stage.pass_s(5);
    assert_eq!(stage.said(call), ["there"]);
    assert_eq!(stage.seen("voice")[1].method, Method::Get);
    assert_eq!(stage.seen("voice")[2].method, Method::Post);
}

#[test]
fn without_a_key_a_gather_goes_on_with_the_next_verb() {
    let mut stage = Stage::new();
    let call = on_the_line(&mut stage, MENU);
    assert_eq!(stage.found(call).waits_for(), WaitsFor::Keys);
    // Four words, then five seconds.
    stage.pass_ms(1600 + 4999);
    assert_eq!(stage.said(call).len(), 1);
    stage.pass_ms(1);
    assert_eq!(stage.said(call).last(), Some(&"Nothing came."));
    assert!(stage.seen("gather-action").is_empty());
}

#[test]
fn a_key_goes_to_the_action_and_stops_the_prompt() {
    let mut stage = Stage::new();
    stage.app("/menu", "<Response><Say>Thank you.</Say></Response>");
    let call = on_the_line(&mut stage, MENU);
    stage.pass_ms(200);
    stage.press(call, "1");
    let asked = stage.last("gather-action");
    assert_eq!(asked.url, "https://app.example/menu");
    assert_eq!((asked.param("Digits"), asked.param("CallStatus")), ("1", "in-progress"));
    assert_eq!(
        stage.said(call),
        ["Press one now please.", "Thank you."],
        "at once, with the prompt cut short"
    );
    assert_eq!(stage.lines(call, LineKind::Pressed), ["1"]);
    stage.pass_s(60);
    assert_eq!(stage.said(call).len(), 2, "the timeout of the gather comes too late");
}

#[test]
fn keys_are_gathered_until_the_one_that_ends_it() {
    let mut stage = Stage::new();
    stage.app("/pin", "<Response/>");
    let call = on_the_line(&mut stage, "<Response><Gather action='pin' finishOnKey='*'/></Response>");
    stage.press(call, "12#");
    stage.pass_s(4);
    stage.press(call, "3");
    stage.pass_s(4);
    stage.press(call, "*9");
    let asked = stage.last("gather-action");
    assert_eq!((asked.param("Digits"), asked.param("FinishedOnKey")), ("12#3", "*"));
}

#[test]
fn each_key_starts_the_timeout_again_and_then_what_came_is_sent() {
    let mut stage = Stage::new();
    stage.app("/pin", "<Response/>");
    let call =
        on_the_line(&mut stage, "<Response><Gather action='pin' numDigits='6' timeout='3'/></Response>");
    stage.pass_ms(2900);
    stage.press(call, "4");
    stage.pass_ms(2999);
    assert!(stage.seen("gather-action").is_empty());
    stage.pass_ms(1);
    assert_eq!(stage.last("gather-action").param("Digits"), "4");
}

#[test]
fn an_empty_answer_is_sent_where_that_was_asked_for() {
    let mut stage = Stage::new();
    stage.app("/pin", "<Response/>");
    on_the_line(
        &mut stage,
        "<Response><Gather action='pin' actionOnEmptyResult='true' timeout='2'/></Response>",
    );
    stage.pass_s(2);
    assert_eq!(stage.last("gather-action").param("Digits"), "");
}

#[test]
fn the_end_key_alone_is_no_answer() {
    let mut stage = Stage::new();
    let call = on_the_line(&mut stage, "<Response><Gather/><Say>next</Say></Response>");
    stage.press(call, "#");
    assert_eq!(stage.said(call), ["next"]);
}

#[test]
fn without_an_action_the_document_itself_is_asked_again() {
    let mut stage = Stage::new();
    let call = on_the_line(&mut stage, "<Response><Gather numDigits='2' method='GET'/></Response>");
    stage.press(call, "42");
    let asked = stage.last("gather-action");
    assert_eq!((asked.url.as_str(), asked.method), ("https://app.example/voice", Method::Get));
}

#[test]
fn keys_that_nobody_asked_for_are_heard_and_lead_nowhere() {
    let mut stage = Stage::new();
    let call =
        on_the_line(&mut stage, "<Response><Say loop='3'>Please wait</Say><Gather timeout='1'/></Response>");
    stage.press(call, "5");
    stage.pass_s(60);
    assert!(stage.seen("gather-action").is_empty());
    assert_eq!(stage.lines(call, LineKind::Pressed), ["5"]);
}

#[test]
fn words_are_taken_by_a_gather_that_listens_for_them() {
    let mut stage = Stage::new();
    stage.app("/said", "<Response/>");
    let call = on_the_line(&mut stage, "<Response><Gather input='dtmf speech' action='/said'/></Response>");
    assert_eq!(stage.found(call).waits_for(), WaitsFor::KeysOrWords);
    assert!(calls::say_into(&mut stage.world, call, " two tickets "));
    stage.settle();
    assert_eq!(stage.last("gather-action").param("SpeechResult"), "two tickets");
    assert!(!calls::say_into(&mut stage.world, call, "more"));
}

#[test]
fn a_call_is_rejected_only_before_it_is_answered() {
    for (reason, status) in [("busy", "busy"), ("rejected", "no-answer")] {
        let mut stage = Stage::new();
        stage.answer_calls_with(&format!("<Response><Reject reason='{reason}'/></Response>"));
        let call = stage.receive();
        assert_eq!(stage.status(call), status);
        stage.pass_s(10);
        assert_eq!(stage.fetch(call)["price"], Value::Null);
    }
    let mut stage = Stage::new();
    stage.answer_calls_with("<Response><Pause/><Reject/></Response>");
    let call = stage.receive();
    stage.pass_s(1);
    assert_eq!(stage.status(call), "completed");
}

#[test]
fn a_message_is_sent_from_a_call() {
    let mut stage = Stage::new();
    stage.answer_calls_with("<Response><Message>Your ticket</Message><Say>Sent.</Say></Response>");
    let call = stage.receive();
    assert_eq!(stage.said(call), ["Sent."]);
    let list = stage.request("GET", "Messages.json", &[]).unwrap();
    let message = &list["messages"][0];
    assert_eq!((&message["to"], &message["body"]), (&PHONE.into(), &"Your ticket".into()));
    assert_eq!(
        (&message["from"], &message["direction"]),
        (&stage.number.to_string().into(), &"outbound-call".into())
    );
}

#[test]
fn a_message_that_cannot_be_sent_does_not_end_the_call() {
    let mut stage = Stage::new();
    stage.answer_calls_with("<Response><Message to='nobody'>x</Message><Say>Going on.</Say></Response>");
    let call = stage.receive();
    assert!(stage.noted(call, "21211"));
    assert_eq!(stage.said(call), ["Going on."]);
}

#[test]
fn a_conversation_that_does_not_end_fills_no_memory() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Say>a</Say><Say>b</Say><Redirect/></Response>");
    stage.pass_s(3600);
    assert!(stage.found(call).lines.len() <= 501);
}
