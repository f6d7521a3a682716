//! `Dial`: calls that come of calls.

use super::*;

fn dialling(stage: &mut Stage, dial: &str) -> Sid {
    stage.answer_calls_with(&format!("<Response>{dial}<Say>After it.</Say></Response>"));
    let call = stage.receive();
    assert_eq!(stage.status(call), "in-progress");
    call
}

#[test]
fn whom_nobody_can_call_is_not_dialled() {
    for (dial, why) in [
        ("<Dial>nobody</Dial>", "13223"),
        ("<Dial callerId='+14155550199'>+12065550188</Dial>", "13214"),
        ("<Dial callerId='me'>+12065550188</Dial>", "13214"),
        ("<Dial><Conference>room</Conference></Dial>", "<Conference>"),
        ("<Dial/>", ""),
    ] {
        let mut stage = Stage::new();
        let call = dialling(&mut stage, dial);
        stage.pass_ms(0);
        assert_eq!(stage.said(call), ["After it."], "{dial}");
        assert!(why.is_empty() || stage.noted(call, why), "{dial}: {:?}", stage.found(call).lines);
        let alerted = stage.world.alerts.newest_first().any(|alert| alert.new.code.to_string() == why);
        assert_eq!(alerted, why.starts_with("132"), "what has a code is told to the debugger: {dial}");
        assert!(stage.world.calls.newest_first().all(|it| it.sid == call));
    }
}

#[test]
fn the_action_is_told_that_nobody_was_dialled() {
    let mut stage = Stage::new();
    stage.app("/dialled", "<Response/>");
    stage.answer_calls_with("<Response><Dial action='/dialled'>nobody</Dial></Response>");
    stage.receive();
    let told = stage.last("dial-action");
    assert_eq!((told.param("DialCallStatus"), told.has("DialCallSid")), ("failed", false));
}

#[test]
fn a_thousand_dials_to_nobody_are_harmless() {
    let mut stage = Stage::new();
    let call = stage.call(&format!("<Response>{}<Say>end</Say></Response>", "<Dial/>".repeat(9000)));
    stage.pass_s(3);
    assert_eq!(stage.said(call), ["end"]);
}

#[test]
fn a_client_hears_a_document_first_and_its_progress_is_told() {
    let mut stage = Stage::new();
    stage.app("/whisper", "<Response><Say>A call for you.</Say></Response>");
    stage.app("/leg", "");
    let call = dialling(
        &mut stage,
        "<Dial><Client url='/whisper' statusCallback='/leg' statusCallbackEvent='initiated ringing answered completed'>\
         <Identity>jo</Identity><Parameter name='a' value='b'/></Client></Dial>",
    );
    let leg = stage.leg_of(call);
    assert_eq!(stage.fetch(leg)["to"], "client:jo");
    stage.pass_s(10);
    assert_eq!(stage.said(leg), ["A call for you."]);
    assert_eq!(stage.said(call), ["After it."]);
    let told: Vec<_> = stage.seen("call-status").iter().map(|it| it.param("CallStatus").to_owned()).collect();
    assert_eq!(told, ["initiated", "ringing", "in-progress", "completed"]);
    assert!(stage.seen("call-status").iter().all(|it| it.param("ParentCallSid") == call.to_string()));
}

#[test]
fn the_called_are_connected_and_the_document_goes_on_after() {
    let mut stage = Stage::new();
    let call = dialling(&mut stage, "<Dial>206-555-0188</Dial>");
    let leg = stage.leg_of(call);
    let shown = stage.fetch(leg);
    assert_eq!(shown["parent_call_sid"], call.to_string());
    assert_eq!((&shown["to"], &shown["direction"]), (&OTHER.into(), &"outbound-dial".into()));
    assert_eq!(shown["from"], PHONE, "the caller's own number is shown");
    stage.pass_ms(2200);
    assert_eq!(stage.status(leg), "in-progress");
    assert!(stage.noted(call, "connected"));
    stage.pass_s(3);
    assert_eq!(stage.status(leg), "completed");
    assert_eq!(stage.said(call), ["After it."]);
    let children = format!("Calls.json?ParentCallSid={call}");
    let list = stage.request("GET", &children, &[]).unwrap();
    assert_eq!(list["calls"].as_array().unwrap().len(), 1);
}

#[test]
fn the_action_is_told_how_the_dial_went() {
    for (behaviour, status, bridged) in [
        (PhoneBehaviour::Answer, "completed", "true"),
        (PhoneBehaviour::Busy, "busy", "false"),
        (PhoneBehaviour::NoAnswer, "no-answer", "false"),
        (PhoneBehaviour::Fail, "failed", "false"),
    ] {
        let mut stage = Stage::new();
        stage.behaves(OTHER, behaviour);
        stage.app("/dialled", "<Response><Say>Bye.</Say></Response>");
        let call =
            dialling(&mut stage, "<Dial action='/dialled' method='GET' timeout='20'>+12065550188</Dial>");
        stage.pass_s(21);
        let told = stage.last("dial-action").clone();
        assert_eq!((told.param("DialCallStatus"), told.param("DialBridged")), (status, bridged));
        assert_eq!(told.param("DialCallSid"), stage.leg_of(call).to_string());
        assert_eq!(told.method, Method::Get);
        assert_eq!(told.param("DialCallDuration"), if bridged == "true" { "3" } else { "" });
        assert_eq!(stage.said(call), ["Bye."]);
    }
}

#[test]
fn the_first_to_answer_is_connected_and_the_others_ring_no_more() {
    let mut stage = Stage::phones(PhoneBehaviour::ByHand);
    let call =
        dialling(&mut stage, "<Dial><Number>+12065550188</Number><Number>+12065550199</Number></Dial>");
    stage.pass_s(5);
    let legs: Vec<Sid> =
        stage.world.calls.newest_first().filter(|it| it.parent == Some(call)).map(|it| it.sid).collect();
    assert_eq!(legs.len(), 2);
    assert!(calls::pick_up(&mut stage.world, legs[0]));
    assert_eq!(stage.status(legs[1]), "canceled");
    stage.pass_s(100);
    assert_eq!(stage.status(legs[0]), "in-progress", "a phone in a hand does not hang up by itself");
    assert!(calls::put_down(&mut stage.world, legs[0]));
    assert_eq!(stage.said(call), ["After it."]);
}

#[test]
fn the_called_hear_a_document_before_they_are_connected() {
    let mut stage = Stage::new();
    stage.app("/whisper", "<Response><Say>A customer calls.</Say></Response>");
    let call = dialling(
        &mut stage,
        "<Dial><Number url='/whisper' statusCallback='/leg'>+12065550188</Number></Dial>",
    );
    stage.app("/leg", "");
    let leg = stage.leg_of(call);
    stage.pass_ms(2300);
    assert_eq!(stage.said(leg), ["A customer calls."]);
    assert!(!stage.noted(call, "connected"));
    assert_eq!(stage.last("voice").param("ParentCallSid"), call.to_string());
    stage.pass_s(2);
    assert!(stage.noted(call, "connected"));
    stage.pass_s(5);
    assert_eq!(stage.told("/leg"), ["completed"]);
}

#[test]
fn a_whisper_that_hangs_up_connects_nobody() {
    let mut stage = Stage::new();
    stage.app("/whisper", "<Response><Hangup/></Response>");
    stage.app("/dialled", "<Response/>");
    dialling(&mut stage, "<Dial action='/dialled'><Number url='/whisper'>+12065550188</Number></Dial>");
    stage.pass_s(5);
    assert_eq!(stage.last("dial-action").param("DialBridged"), "false");
}

#[test]
fn when_the_caller_hangs_up_the_called_are_left_and_the_action_is_told() {
    let mut stage = Stage::phones(PhoneBehaviour::ByHand);
    stage.app("/dialled", "<Response><Say>nobody hears it</Say></Response>");
    let call = dialling(&mut stage, "<Dial action='/dialled'>+12065550188</Dial>");
    let leg = stage.leg_of(call);
    stage.pass_s(5);
    assert!(calls::put_down(&mut stage.world, call));
    stage.settle();
    assert_eq!(stage.status(leg), "canceled");
    let told = stage.last("dial-action");
    assert_eq!((told.param("DialCallStatus"), told.param("CallStatus")), ("canceled", "completed"));
    assert!(stage.said(call).is_empty());
}

#[test]
fn a_star_ends_the_connection_where_that_was_asked_for() {
    let mut stage = Stage::phones(PhoneBehaviour::ByHand);
    let call = dialling(&mut stage, "<Dial hangupOnStar='true'>+12065550188</Dial>");
    let leg = stage.leg_of(call);
    stage.pass_s(5);
    assert!(calls::pick_up(&mut stage.world, leg));
    stage.press(call, "1");
    assert_eq!(stage.status(leg), "in-progress");
    stage.press(call, "*");
    assert_eq!(stage.status(leg), "completed");
    assert_eq!(stage.said(call), ["After it."]);
}

#[test]
fn a_connection_lasts_no_longer_than_its_limit() {
    let mut stage = Stage::phones(PhoneBehaviour::ByHand);
    let call = dialling(&mut stage, "<Dial timeLimit='10'>+12065550188</Dial>");
    let leg = stage.leg_of(call);
    stage.pass_s(5);
    assert!(calls::pick_up(&mut stage.world, leg));
    stage.pass_s(10);
    assert_eq!(stage.status(leg), "completed");
}

#[test]
fn a_request_takes_a_call_out_of_its_dial() {
    let mut stage = Stage::phones(PhoneBehaviour::ByHand);
    stage.app("/dialled", "<Response><Say>nobody hears it</Say></Response>");
    let call = dialling(&mut stage, "<Dial action='/dialled'>+12065550188</Dial>");
    let leg = stage.leg_of(call);
    stage.pass_s(5);
    assert!(calls::pick_up(&mut stage.world, leg));
    stage.update(call, &[("Twiml", "<Response><Say>elsewhere</Say></Response>")]).unwrap();
    stage.pass_s(5);
    assert_eq!(stage.said(call), ["elsewhere"]);
    assert_eq!(stage.status(leg), "completed");
    assert_eq!(stage.last("dial-action").param("DialCallStatus"), "completed");
}

#[test]
fn a_leg_that_is_sent_elsewhere_is_a_call_of_its_own() {
    let mut stage = Stage::phones(PhoneBehaviour::ByHand);
    let call = dialling(&mut stage, "<Dial>+12065550188</Dial>");
    let leg = stage.leg_of(call);
    stage.pass_s(5);
    assert!(calls::pick_up(&mut stage.world, leg));
    stage.update(leg, &[("Twiml", "<Response><Say>elsewhere</Say></Response>")]).unwrap();
    assert_eq!(stage.said(call), ["After it."]);
    stage.pass_s(5);
    assert_eq!(stage.status(leg), "completed");
    assert_eq!(stage.said(leg), ["elsewhere"]);
}

#[test]
fn a_number_of_the_sandbox_answers_with_its_own_application() {
    let mut stage = Stage::new();
    stage.answer_calls_with("<Response><Gather numDigits='2' action='/menu'/></Response>");
    stage.app("/menu", "<Response><Say>Extension twelve.</Say></Response>");
    let number = stage.number.to_string();
    let from = stage.buy(stage.main).to_string();
    let caller = stage.create(&[
        ("To", &number),
        ("From", &from),
        ("SendDigits", "12"),
        ("Twiml", "<Response><Pause length='9'/></Response>"),
    ]);
    let caller = sid(&caller.unwrap());
    stage.pass_ms(200);
    assert_eq!(stage.status(caller), "in-progress", "the application answered at once");
    let inbound = stage.world.calls.newest_first().next().unwrap().sid;
    assert_ne!(inbound, caller);
    stage.pass_s(1);
    assert_eq!(stage.last("gather-action").param("Digits"), "12");
    assert_eq!(stage.said(inbound), ["Extension twelve."]);
    stage.pass_s(60);
    assert_eq!(
        (stage.status(caller), stage.status(inbound)),
        ("completed".to_owned(), "completed".to_owned())
    );
    let (one, other) = (stage.fetch(caller), stage.fetch(inbound));
    assert_eq!(one["end_time"], other["end_time"], "one hangs up, and both are over");
}

#[test]
fn a_number_of_the_sandbox_that_rejects_is_busy_for_the_caller() {
    let mut stage = Stage::new();
    stage.answer_calls_with("<Response><Reject reason='busy'/></Response>");
    let number = stage.number.to_string();
    let from = stage.buy(stage.main).to_string();
    let fields = [("To", number.as_str()), ("From", &from), ("Twiml", "<Response/>")];
    let caller = sid(&stage.create(&fields).unwrap());
    stage.pass_s(1);
    assert_eq!(stage.status(caller), "busy");
}

#[test]
fn a_number_that_dials_itself_does_not_go_on_for_ever() {
    let mut stage = Stage::new();
    let number = stage.number;
    stage.answer_calls_with(&format!("<Response><Dial>{number}</Dial></Response>"));
    let call = stage.receive();
    stage.pass_s(3600);
    assert_eq!(stage.status(call), "completed");
    assert!(stage.world.calls.newest_first().count() <= 60);
    assert!(stage.world.calls.newest_first().all(Call::is_over));
}

#[test]
fn two_numbers_that_dial_each_other_do_not_go_on_for_ever() {
    let mut settings = Settings::default();
    (settings.calls.queued_ms, settings.calls.ringing_ms) = (0, 0);
    let mut stage = Stage::with(settings);
    let child = crate::world::accounts::create(&mut stage.world, stage.main, "child".to_owned());
    let (one, other) = (stage.number, stage.buy(child));
    stage.answer_calls_with(&format!(
        "<Response><Dial action='/in'><Number>{other}</Number><Number>{other}</Number></Dial></Response>"
    ));
    stage.app("/other", &format!("<Response><Dial action='/other'>{one}</Dial></Response>"));
    let row = numbers::find_by_number(&stage.world, other).unwrap().sid;
    let target = Target { url: "https://app.example/other".to_owned(), method: Method::Post };
    stage.world.numbers.find_mut(row).unwrap().hooks.voice = Some(target);
    stage.receive();
    stage.pass_s(5 * 3600);
    assert!(stage.world.calls.newest_first().count() <= 60);
    assert!(stage.world.calls.newest_first().all(Call::is_over));
}

#[test]
fn the_progress_of_a_leg_is_told_as_it_was_asked_for() {
    let mut stage = Stage::new();
    stage.app("/leg", "");
    dialling(
        &mut stage,
        "<Dial><Number statusCallback='/leg' statusCallbackMethod='GET' \
         statusCallbackEvent='initiated ringing answered completed'>+12065550188</Number></Dial>",
    );
    stage.pass_s(20);
    assert_eq!(stage.told("/leg"), ["initiated", "ringing", "in-progress", "completed"]);
    assert_eq!(stage.last("call-status").method, Method::Get);
}

#[test]
fn clients_and_sip_addresses_are_dialled_like_phones() {
    let mut stage = Stage::new();
    let call = dialling(&mut stage, "<Dial><Client>jo</Client><Sip>sip:jo@example.com</Sip></Dial>");
    stage.pass_s(10);
    let mut to: Vec<String> = stage
        .world
        .calls
        .newest_first()
        .filter(|it| it.parent == Some(call))
        .map(|it| it.to.to_string())
        .collect();
    to.sort();
    assert_eq!(to, ["client:jo", "sip:jo@example.com"]);
}
