use proptest::prelude::*;

use super::*;

fn verbs(text: &str) -> Vec<Verb> {
    let response = parse(text.as_bytes()).unwrap();
    assert_eq!(response.warnings, [], "{text}");
    response.verbs
}

fn refused(text: &str) -> u32 {
    parse(text.as_bytes()).unwrap_err().code()
}

#[test]
fn what_is_no_twiml_is_refused_with_twilios_code() {
    for text in [
        "",
        "hello",
        "<Response>",
        "<Response></Other>",
        "<Response/><Response/>",
        "<Response/>tail",
        "<a",
        "<Response>&nbsp;</Response>",
        "<Response>&#0;</Response>",
        "<Response a='1' a='2'/>",
        "<Response><Dial>+1415<?xml version='1.0'?>5550123</Dial></Response>",
        "<Response/><?xml version='1.0'?>",
    ] {
        assert_eq!(refused(text), 12100, "{text}");
    }
    assert_eq!(refused("<html><body/></html>"), 12200);
    assert_eq!(parse(&[b'<', 0xff]).unwrap_err(), InvalidTwiml::NotText);
    assert_eq!(refused(&" ".repeat(64 * 1024 + 1)), 11750);
    assert_eq!(refused(&"<Response>".repeat(1000)), 12100);
}

#[test]
fn no_entity_can_be_declared() {
    let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Response><Say>&b;</Say></Response>";
    assert_eq!(refused(bomb), 12100);
}

#[test]
fn an_answer_to_a_message_is_read() {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Message>Fish &amp; chips &#x1F41F;</Message></Response>";
    let [Verb::Message(message)] = &verbs(text)[..] else { panic!("one message") };
    assert_eq!(message.body, "Fish & chips 🐟");
    assert_eq!((message.to.as_deref(), message.media.len()), (None, 0));
    let text = "<Response><Message to='+14155550100' statusCallback='/s'><Body>two\nlines</Body>\
        <Media>https://a.example/1.png</Media><Media>2.png</Media></Message></Response>";
    let [Verb::Message(message)] = &verbs(text)[..] else { panic!("one message") };
    assert_eq!(message.body, "two\nlines");
    assert_eq!(message.media, ["https://a.example/1.png", "2.png"]);
    assert_eq!(message.status_callback.as_deref(), Some("/s"));
}

#[test]
fn a_menu_is_read_with_its_prompts() {
    let text = "<Response><Gather numDigits='1' action='/menu' method='get' timeout='3' finishOnKey=''>\
        <Say voice='alice'>Press <prosody rate='slow'>one</prosody> now.</Say><Pause/><Play loop='2'>a.mp3</Play>\
        </Gather><Redirect>/again?a=1&amp;b=2</Redirect></Response>";
    let [Verb::Gather(gather), Verb::Redirect(redirect)] = &verbs(text)[..] else { panic!("two verbs") };
    assert_eq!((gather.num_digits, gather.timeout_s, gather.finish_on_key), (Some(1), 3, None));
    assert_eq!((gather.method, gather.action.as_deref()), (Method::Get, Some("/menu")));
    let [Verb::Say(say), Verb::Pause(Pause { length_s: 1 }), Verb::Play(play)] = &gather.prompts[..] else {
        panic!("three prompts")
    };
    assert_eq!(say.text, "Press one now.");
    assert_eq!(play.times, 2);
    assert_eq!(redirect.url, "/again?a=1&b=2");
}

#[test]
fn whom_to_dial_is_read_in_both_forms() {
    let [Verb::Dial(dial)] = &verbs("<Response><Dial callerId='+1'> +14155550100 </Dial></Response>")[..]
    else {
        panic!("one verb")
    };
    assert!(
        matches!(&dial.targets[..], [DialTarget { noun: DialNoun::Number(number), .. }] if number == "+14155550100")
    );
    let text = "<Response><Dial timeLimit='60'><Number url='/w'>+1</Number>\
        <Client url='/w' statusCallback='/s' statusCallbackEvent=' ringing  answered '>jo</Client>\
        <Client><Identity>al</Identity></Client><Sip>sip:a@b</Sip><Conference>c</Conference></Dial></Response>";
    let [Verb::Dial(dial)] = &verbs(text)[..] else { panic!("one verb") };
    assert_eq!((dial.targets.len(), dial.time_limit_s, dial.timeout_s), (5, Some(60), 30));
    let client = &dial.targets[1];
    assert_eq!((&client.noun, client.url.as_deref()), (&DialNoun::Client("jo".to_owned()), Some("/w")));
    let callback = client.status_callback.as_ref().unwrap();
    assert_eq!(
        (callback.url.as_str(), &callback.events[..]),
        ("/s", &["ringing".to_owned(), "answered".to_owned()][..])
    );
    assert!(matches!(&dial.targets[2].noun, DialNoun::Client(name) if name == "al"));
}

#[test]
fn what_is_odd_is_passed_over_with_a_warning() {
    let text = "<Response>words<say>no verb</say><Pause length='long'/><Gather numDigits='0' input='mind'>\
        <Hangup/></Gather><Reject reason='rude'/><Connect><Stream url='wss://a.example'/></Connect></Response>";
    let response = parse(text.as_bytes()).unwrap();
    assert_eq!(response.verbs.len(), 4);
    assert_eq!(response.verbs[0], Verb::Pause(Pause { length_s: 1 }));
    assert!(matches!(&response.verbs[1], Verb::Gather(gather) if gather.num_digits.is_none()));
    assert_eq!(response.warnings.len(), 7, "{:?}", response.warnings);
    assert_eq!(response.warnings[0], Warning::StrayText);
}

#[test]
fn a_comment_and_a_cdata_section_change_nothing() {
    let text = "\u{feff}\n<!-- a --><Response><!-- b --><Say><![CDATA[1 < 2 & 3]]></Say></Response>\n";
    let [Verb::Say(say)] = &verbs(text)[..] else { panic!("one verb") };
    assert_eq!(say.text, "1 < 2 & 3");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _any_outcome = parse(&bytes);
    }

    #[test]
    fn no_pieces_of_twiml_make_it_panic(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "<Response>", "</Response>", "<Say>", "</Say>", "<Gather numDigits='9'>", "</Gather>", "<Dial>", "</Dial>", "<Number>",
        "</Number>", "<Pause length='-1'/>", "&amp;", "&#xD800;", "&x;", "text", "<![CDATA[", "]]>", "<!--", "-->", "<?x", "?>",
        "<Message to=\"", "\">", "</Message>", "\u{0}", "é",
    ]), 0..40)) {
        let _any_outcome = parse(pieces.concat().as_bytes());
    }

    #[test]
    fn a_text_is_read_as_it_was_escaped(text in "[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u{2028}\u{fffe}\u{ffff}]{1,60}") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let [Verb::Message(message)] = &verbs(&format!("<Response><Message>{escaped}</Message></Response>"))[..] else {
            panic!("one message")
        };
        prop_assert_eq!(&message.body, text.trim_matches([' ', '\t', '\r', '\n']));
    }
}

#[test]
fn a_comment_that_somebody_could_end_elsewhere_is_no_xml() {
    for comment in
        ["<!-- a -- b -->", "<!-- a --->", "<!--><Dial/>-->", "<!---><Dial/>-->", "<!-- --!><Dial/> -->"]
    {
        let text = format!("<Response>{comment}<Hangup/></Response>");
        assert!(matches!(parse(text.as_bytes()), Err(InvalidTwiml::NotXml(_))), "{comment}");
    }
    for comment in ["<!---->", "<!-- a - b -->", "<!-- <Dial>+1</Dial> > -->"] {
        let text = format!("<Response>{comment}<Hangup/></Response>");
        assert!(parse(text.as_bytes()).is_ok(), "{comment}");
    }
}
