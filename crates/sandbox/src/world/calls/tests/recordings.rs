//! What is recorded, told and fetched.

use super::*;

fn one(stage: &mut Stage) -> Value {
    let list = stage.request("GET", "Recordings.json", &[]).unwrap();
    let [recording] = &list["recordings"].as_array().unwrap()[..] else { panic!("one recording: {list}") };
    recording.clone()
}

#[test]
fn nobodys_recording_is_not_found() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Pause length='60'/></Response>");
    let recording = "RE00000000000000000000000000000001";
    for path in [
        format!("Recordings/{recording}.json"),
        format!("Recordings/{recording}.wav"),
        format!("Calls/{call}/Recordings/{recording}.json"),
        format!("Calls/{call}/Recordings/Twilio.CURRENT.json"),
    ] {
        assert_eq!(stage.request("GET", &path, &[]).unwrap_err(), (404, 20404), "{path}");
    }
    let path = format!("Calls/{call}/Recordings.json");
    assert_eq!(stage.request("POST", &path, &[]).unwrap_err(), (400, 21220), "not in progress");
}

#[test]
fn what_is_said_is_recorded_until_it_is_silent() {
    let mut stage = Stage::new();
    stage.app("/recorded", "<Response><Say>Got it.</Say></Response>");
    stage.app("/status", "");
    let call = stage.call(
        "<Response><Record action='/recorded' timeout='2' recordingStatusCallback='/status'/>\
         <Say>never</Say></Response>",
    );
    stage.pass_ms(2200 + 4999);
    assert!(stage.seen("record-action").is_empty());
    stage.pass_ms(1);
    let asked = stage.last("record-action").clone();
    assert_eq!((asked.param("RecordingDuration"), asked.param("Digits")), ("3", ""));
    assert_eq!(stage.said(call), ["Got it."]);
    let told = stage.last("recording-status").clone();
    assert_eq!((told.param("RecordingStatus"), told.param("RecordingSource")), ("completed", "RecordVerb"));
    assert_eq!(told.param("RecordingSid"), asked.param("RecordingSid"));
    let shown = one(&mut stage);
    assert_eq!(
        (&shown["duration"], &shown["price"], &shown["price_unit"]),
        (&"3".into(), &Value::Null, &Value::Null)
    );
    stage.pass_s(2);
    let priced = one(&mut stage);
    assert_eq!((&priced["price"], &priced["price_unit"]), (&"-0.00250".into(), &"USD".into()));
    assert_eq!(shown["media_url"], asked.param("RecordingUrl"));
    assert_eq!(shown["call_sid"], call.to_string());
}

#[test]
fn the_events_of_a_recording_that_twiml_names_are_told() {
    let mut stage = Stage::new();
    stage.app("/status", "");
    stage.app("/done", "<Response/>");
    stage.call(
        "<Response><Record action='/done' recordingStatusCallback='/status' \
         recordingStatusCallbackEvent='in-progress completed'/></Response>",
    );
    stage.pass_s(20);
    let told: Vec<_> =
        stage.seen("recording-status").iter().map(|it| it.param("RecordingStatus").to_owned()).collect();
    assert_eq!(told, ["in-progress", "completed"]);
}

#[test]
fn a_key_ends_a_record() {
    let mut stage = Stage::phones(PhoneBehaviour::ByHand);
    stage.app("/recorded", "<Response/>");
    let call = stage.call("<Response><Record action='/recorded' finishOnKey='#'/></Response>");
    stage.pass_s(1);
    assert!(calls::pick_up(&mut stage.world, call));
    stage.pass_ms(1500);
    stage.press(call, "1");
    assert!(stage.seen("record-action").is_empty());
    stage.press(call, "#");
    let asked = stage.last("record-action");
    assert_eq!((asked.param("RecordingDuration"), asked.param("Digits")), ("2", "#"));
}

#[test]
fn hanging_up_ends_a_record_and_the_action_is_told() {
    let mut stage = Stage::new();
    stage.app("/recorded", "<Response/>");
    let call = stage.call("<Response><Record action='/recorded'/></Response>");
    stage.pass_ms(2200 + 1000);
    assert!(calls::put_down(&mut stage.world, call));
    stage.settle();
    let asked = stage.last("record-action");
    assert_eq!((asked.param("Digits"), asked.param("CallStatus")), ("hangup", "completed"));
    assert_eq!(asked.param("RecordingDuration"), "1");
}

#[test]
fn a_record_without_a_word_goes_on_with_the_next_verb() {
    let mut stage = Stage::with({
        let mut settings = Settings::default();
        settings.calls.talk_s = 0;
        settings
    });
    let call = stage.call("<Response><Record/><Say>Nothing heard.</Say></Response>");
    stage.pass_s(10);
    assert_eq!(stage.said(call), ["Nothing heard."]);
    assert_eq!(one(&mut stage)["status"], "absent");
}

#[test]
fn a_whole_call_is_recorded_and_its_end_says_where() {
    let mut stage = Stage::new();
    stage.app("/status", "");
    stage.app("/recording", "");
    let fields = [
        ("Twiml", "<Response><Pause length='61'/></Response>"),
        ("Record", "true"),
        ("RecordingChannels", "dual"),
        ("StatusCallback", "https://app.example/status"),
        ("RecordingStatusCallback", "https://app.example/recording"),
        ("RecordingStatusCallbackEvent", "in-progress completed"),
    ];
    stage.create(&fields).unwrap();
    stage.pass_s(100);
    let told: Vec<_> =
        stage.seen("recording-status").iter().map(|seen| seen.param("RecordingStatus").to_owned()).collect();
    assert_eq!(told, ["in-progress", "completed"]);
    let end = stage.last("call-status").clone();
    assert_eq!(end.param("RecordingDuration"), "61");
    let shown = one(&mut stage);
    assert_eq!(end.param("RecordingSid"), shown["sid"].as_str().unwrap());
    assert_eq!((&shown["source"], &shown["channels"]), (&"OutboundAPI".into(), &2.into()));
    assert_eq!(shown["price"], "-0.00500", "two begun minutes");
}

#[test]
fn a_dial_is_recorded_where_that_was_asked_for() {
    let mut stage = Stage::new();
    stage.app("/dialled", "<Response/>");
    stage.app("/recording", "");
    stage.answer_calls_with(
        "<Response><Dial record='record-from-answer-dual' recordingStatusCallback='/recording' action='/dialled'>\
         +12065550188</Dial></Response>",
    );
    stage.receive();
    stage.pass_s(20);
    let told = stage.last("dial-action").clone();
    assert_eq!(told.param("RecordingDuration"), "3");
    let told = stage.last("recording-status").clone();
    assert_eq!((told.param("RecordingStatus"), told.param("RecordingChannels")), ("completed", "2"));
    assert_eq!(one(&mut stage)["source"], "DialVerb");
}

#[test]
fn a_live_call_is_recorded_held_and_stopped_by_requests() {
    let mut stage = Stage::new();
    let call = stage.call("<Response><Pause length='60'/></Response>");
    stage.pass_s(5);
    let path = format!("Calls/{call}/Recordings");
    let started = stage.request("POST", &format!("{path}.json"), &[("RecordingTrack", "inbound")]).unwrap();
    assert_eq!((&started["status"], &started["track"]), (&"in-progress".into(), &"inbound".into()));
    assert_eq!((&started["duration"], &started["price"]), (&Value::Null, &Value::Null));
    stage.pass_s(3);
    let current = format!("{path}/Twilio.CURRENT.json");
    assert_eq!(stage.request("POST", &current, &[("Status", "paused")]).unwrap()["status"], "paused");
    stage.pass_s(10);
    stage.request("POST", &current, &[("Status", "in-progress")]).unwrap();
    stage.pass_s(4);
    let stopped = stage.request("POST", &current, &[("Status", "stopped")]).unwrap();
    assert_eq!((&stopped["status"], &stopped["duration"]), (&"completed".into(), &"7".into()));
    let own = format!("{path}/{}.json", sid(&started));
    assert_eq!(stage.request("POST", &own, &[("Status", "paused")]).unwrap_err(), (400, 21220));
    assert_eq!(stage.request("POST", &own, &[("Status", "nonsense")]).unwrap_err(), (400, 20001));
    assert_eq!(
        stage.request("GET", &format!("{path}.json"), &[]).unwrap()["recordings"].as_array().unwrap().len(),
        1
    );
    stage.request("DELETE", &own, &[]).unwrap();
    assert_eq!(stage.request("GET", &own, &[]).unwrap_err(), (404, 20404));
}

#[test]
fn the_sound_is_as_long_as_the_recording_says() {
    let mut stage = Stage::new();
    stage.app("/done", "<Response/>");
    stage.call("<Response><Record action='/done'/></Response>");
    stage.pass_s(20);
    let recording = sid(&one(&mut stage));
    let path = format!("/2010-04-01/Accounts/{}/Recordings/{recording}", stage.main);
    for ending in ["", ".wav"] {
        let wav = stage.raw(None, "GET", &format!("{path}{ending}"), &[]).unwrap();
        assert_eq!(wav.content_type, "audio/x-wav");
        assert_eq!(&wav.body[..4], b"RIFF");
        assert_eq!(wav.body.len(), 44 + 3 * 8000 * 2);
        let size = u32::from_le_bytes(wav.body[4..8].try_into().unwrap());
        assert_eq!(size as usize, wav.body.len() - 8);
    }
    let mp3 = stage.raw(None, "GET", &format!("{path}.mp3"), &[]).unwrap();
    assert_eq!((mp3.content_type, mp3.body.len() % 72), ("audio/mpeg", 0));
    assert_eq!(mp3.body.len() / 72, 42, "42 frames of 72 ms");
    assert_eq!(stage.raw(None, "GET", &format!("{path}.ogg"), &[]).unwrap_err(), (404, 20404));
}

#[test]
fn the_sound_needs_credentials_where_the_settings_say_so_and_the_rest_always() {
    let mut stage = Stage::new();
    stage.app("/done", "<Response/>");
    stage.call("<Response><Record action='/done'/></Response>");
    stage.pass_s(20);
    let recording = sid(&one(&mut stage));
    let path = format!("/2010-04-01/Accounts/{}/Recordings/{recording}", stage.main);
    assert_eq!(stage.raw(None, "GET", &format!("{path}.json"), &[]).unwrap_err(), (401, 20003));
    stage.world.settings.media_requires_auth = true;
    assert_eq!(stage.raw(None, "GET", &format!("{path}.wav"), &[]).unwrap_err(), (401, 20003));
    assert!(stage.raw(stage.main_credentials(), "GET", &format!("{path}.wav"), &[]).is_ok());
}
