//! Whatever an application answers and whoever presses what, a call does not panic and comes to its end.

use proptest::prelude::*;

use super::*;

const PIECES: &[&str] = &[
    "<Say>hello there</Say>",
    "<Say loop='0'>for ever</Say>",
    "<Say/>",
    "<Play>a.mp3</Play>",
    "<Play digits='1w#'/>",
    "<Pause length='3'/>",
    "<Pause length='0'/>",
    "<Gather numDigits='1' timeout='0'/>",
    "<Gather action='/voice' timeout='2'><Say>press</Say><Pause/></Gather>",
    "<Gather input='speech' actionOnEmptyResult='true' timeout='1'/>",
    "<Record timeout='0' maxLength='2'/>",
    "<Record action='/gone'/>",
    "<Dial>+12065550188</Dial>",
    "<Dial action='/voice' timeout='1' hangupOnStar='true' record='true'><Number url='/voice'>+12065550188</Number></Dial>",
    "<Dial><Client>jo</Client><Number>nobody</Number></Dial>",
    "<Message>hi</Message>",
    "<Message to='x'/>",
    "<Redirect>/voice</Redirect>",
    "<Redirect/>",
    "<Redirect>http://[</Redirect>",
    "<Reject/>",
    "<Hangup/>",
    "<Enqueue>q</Enqueue>",
    "<Nonsense/>",
    "</Response><Response>",
    "&bad;",
];

fn twiml() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES), 0..6)
        .prop_map(|pieces| format!("<Response>{}</Response>", pieces.concat()))
}

#[derive(Debug, Clone)]
enum Act {
    Wait(i64),
    Press(&'static str),
    PickUp,
    PutDown,
    Say,
    Update(&'static str, &'static str),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_i64..5000).prop_map(Act::Wait),
        2 => proptest::sample::select(vec!["1", "#", "*12", "x", ""]).prop_map(Act::Press),
        1 => Just(Act::PickUp),
        1 => Just(Act::PutDown),
        1 => Just(Act::Say),
        1 => Just(Act::Update("Status", "completed")),
        1 => Just(Act::Update("Status", "canceled")),
        1 => Just(Act::Update("Twiml", "<Response><Dial>+12065550188</Dial></Response>")),
        1 => Just(Act::Update("Url", "https://app.example/voice")),
    ]
}

fn behaviour() -> impl Strategy<Value = PhoneBehaviour> {
    proptest::sample::select(vec![
        PhoneBehaviour::Answer,
        PhoneBehaviour::Voicemail,
        PhoneBehaviour::Busy,
        PhoneBehaviour::NoAnswer,
        PhoneBehaviour::Fail,
        PhoneBehaviour::ByHand,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_call_comes_to_its_end(
        documents in proptest::collection::vec(twiml(), 1..4),
        phones in behaviour(),
        inbound in any::<bool>(),
        acts in proptest::collection::vec(act(), 0..12),
    ) {
        let mut stage = Stage::phones(phones);
        for document in &documents {
            stage.app("/voice", document);
        }
        stage.answer_calls_with(&documents[0]);
        let first = if inbound { stage.receive() } else { stage.call(&documents[0]) };
        for act in acts {
            let newest = stage.world.calls.newest_first().next().map_or(first, |call| call.sid);
            for call in [first, newest] {
                match act {
                    Act::Wait(milliseconds) => stage.pass_ms(milliseconds),
                    Act::Press(keys) => { calls::press(&mut stage.world, call, keys); }
                    Act::PickUp => { calls::pick_up(&mut stage.world, call); }
                    Act::PutDown => { calls::put_down(&mut stage.world, call); }
                    Act::Say => { calls::say_into(&mut stage.world, call, "yes"); }
                    Act::Update(name, value) => { let _any = stage.update(call, &[(name, value)]); }
                }
            }
            stage.settle();
        }
        stage.pass_s(5 * 3600);
        for call in stage.world.calls.newest_first() {
            prop_assert!(call.is_over(), "{call:?}");
        }
        let list = stage.request("GET", "Calls.json?PageSize=1000", &[]).unwrap();
        prop_assert!(!list["calls"].as_array().unwrap().is_empty());
    }

    #[test]
    fn any_bytes_in_any_content_type_end_a_call(
        body in "\\PC{0,80}",
        content_type in proptest::sample::select(vec!["text/xml", "text/plain", "text/html", "audio/wav", "image/png", "", ";"]),
        status in proptest::sample::select(vec![200_u16, 204, 302, 404, 500]),
    ) {
        let mut stage = Stage::new();
        stage.app_says("/voice", status, content_type, &body);
        let call = stage.create(&[("Url", "https://app.example/voice")]).unwrap();
        stage.pass_s(5 * 3600);
        prop_assert_eq!(stage.status(sid(&call)), "completed");
    }
}
