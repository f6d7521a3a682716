//! Answers in which two readers could see two things, that are built to be a burden, or that lead elsewhere.

use std::fmt::Write as _;

use crate::held::{Held, OVER, Said};

/// How a document is written.
type Written<'a> = &'a dyn Fn(&str) -> Vec<u8>;

const DIAL: &str = "<Response><Dial timeLimit=\"60\">+14155550123</Dial></Response>";

#[tokio::test]
async fn what_cannot_be_read_in_one_way_is_not_given() {
    let held = Held::new().await;
    let mut nested = "<Response>".to_owned();
    for _ in 0..5_000 {
        nested += "<Say>";
    }
    let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>\
                <Response><Say>&b;</Say></Response>";
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let gzip = Said {
        headers: vec![("content-type", "text/xml".to_owned()), ("content-encoding", "gzip".to_owned())],
        ..Said::xml(DIAL)
    };
    let two_types = Said {
        headers: vec![("content-type", "text/plain".to_owned()), ("content-type", "text/xml".to_owned())],
        ..Said::xml(DIAL)
    };
    for said in [
        Said::xml(nested),
        Said::xml(bomb),
        Said::xml("<Response>".to_owned() + &" ".repeat(70_000) + "</Response>"),
        Said::of_type("text/plain", "x".repeat(70_000)),
        Said::xml("<Response><Say>&amp;&undeclared;</Say></Response>"),
        Said::xml("<Response><Dial>+14155550123</Dial>"),
        Said::xml("<Response/><Response><Dial>+14155550123</Dial></Response>"),
        Said::xml("<response><Dial>+14155550123</Dial></response>"),
        Said::xml(
            "<?xml version=\"1.0\" encoding=\"UTF-7\"?><Response>+ADw-Dial+AD4-1+ADw-/Dial+AD4-</Response>",
        ),
        // UTF-16 without the mark that says so.
        Said::xml(utf_16(DIAL)),
        Said::of_type("text/xml; charset=utf-16", DIAL),
        Said::of_type("text/xml; charset=\"UTF-7\"", DIAL),
        Said::of_type("text/xml;charset=iso-8859-1", "<Response><Say>\u{e9}</Say></Response>"),
        Said::xml(b"<Response><Say>\xff</Say></Response>"),
        Said::xml("hello"),
        gzip,
        two_types,
    ] {
        let shown = String::from_utf8_lossy(&said.body[..said.body.len().min(80)]).into_owned();
        assert_eq!(held.answer_to_call(said).await, OVER, "{shown}");
    }
    assert_eq!(held.outcomes("unreadable_twiml").await, 17);
    assert_eq!(held.world.store.open_reservations(None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn the_same_document_is_the_same_in_whatever_encoding_and_of_whatever_type() {
    let held = Held::new().await;
    let given = DIAL.replace("60", "600");
    let long = DIAL.replace(" timeLimit=\"60\"", "");
    let units = |text: &str| std::iter::once(0xfeff).chain(text.encode_utf16()).collect::<Vec<_>>();
    let be = |text: &str| units(text).into_iter().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let le = |text: &str| units(text).into_iter().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let marked = |text: &str| format!("\u{feff}{text}").into_bytes();
    let plain = |text: &str| text.as_bytes().to_vec();
    let cases: [(&str, Written<'_>); 10] = [
        ("text/xml", &plain),
        ("application/xml; charset=utf-8", &plain),
        ("TEXT/XML;charset=ascii", &plain),
        ("text/html", &plain),
        ("application/json", &plain),
        ("text/plain", &plain),
        ("nonsense", &plain),
        ("text/xml", &marked),
        ("text/xml", &be),
        ("text/xml; charset=UTF-16", &le),
    ];
    for (number, (content_type, written)) in cases.into_iter().enumerate() {
        held.says(Said::of_type(content_type, written(&long)));
        let answer = held.call(&[]).await;
        assert_eq!(answer.body, written(&given), "{content_type} {number}");
        assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
    }
    held.says(Said { headers: vec![], ..Said::xml(long.clone()) });
    assert_eq!(held.call(&[]).await.text(), given);
    assert_eq!(held.outcomes("taken").await, 11);
}

#[tokio::test]
async fn an_address_of_which_a_reader_could_take_a_piece_is_not_given() {
    let held = Held::new().await;
    let breaks = ["<!-- -->", "<?x?>", "<![CDATA[]]>"];
    let places: [fn(&str) -> String; 9] = [
        |broken| format!("<Dial>+1415{broken}5550123</Dial>"),
        |broken| format!("<Dial><Number>+1415{broken}5550123</Number></Dial>"),
        |broken| format!("<Dial><Client>jo{broken}hn</Client></Dial>"),
        |broken| format!("<Dial><Client><Identity>jo{broken}hn</Identity></Client></Dial>"),
        |broken| format!("<Dial><Sip>sip:a@example{broken}.com</Sip></Dial>"),
        |broken| format!("<Dial><WhatsApp>+1415{broken}5550123</WhatsApp></Dial>"),
        |broken| format!("<Redirect>https://hooks.ex{broken}ample.com/twilio/x</Redirect>"),
        |broken| format!("<Redirect>https://hooks.example.com/twilio/x{broken}y</Redirect>"),
        |broken| format!("<Redirect><![CDATA[https://hooks.example.com/twilio/x]]>y{broken}</Redirect>"),
    ];
    for place in places {
        for broken in breaks {
            let said = format!("<Response>{}</Response>", place(broken));
            assert_eq!(held.answer_to_call(Said::xml(said.clone())).await, OVER, "{said}");
        }
    }
    assert_eq!(held.world.store.open_reservations(None, 9).await.unwrap(), []);
    // One piece is one piece, whatever stands around it; and of a text all is counted.
    for said in [
        "<Redirect>\n<!-- on -->\n<![CDATA[https://hooks.example.com/twilio/x?a=b&c]]>\n<?x?></Redirect>",
        "<Redirect>https://hooks.example.com/twilio/x?a=b&amp;c&#61;d</Redirect>",
        "<Say>one<!-- two -->three</Say>",
    ] {
        let said = format!("<Response>{said}</Response>");
        assert_eq!(held.answer_to_call(Said::xml(said.clone())).await, said);
    }
    let said = "<Response><Dial timeLimit=\"60\"><!-- a --><Number><!-- b -->+14155550123<!-- c --></Number></Dial></Response>";
    assert_eq!(held.answer_to_call(Said::xml(said)).await, said);
}

#[tokio::test]
async fn no_namespace_hides_an_attribute() {
    let held = Held::new().await;
    for said in [
        "<Dial xsi:timeLimit=\"14400\">+14155550123</Dial>",
        "<Dial xmlns:timeLimit=\"14400\">+14155550123</Dial>",
        "<Dial xmlns:timelimit=\"14400\">+14155550123</Dial>",
        "<Dial><Client xmlns:url=\"https://evil.example/\">jo</Client></Dial>",
        "<Gather xsi:action=\"https://evil.example/\"/>",
        "<Gather xmlns:action=\"https://evil.example/\"/>",
    ] {
        let said = format!("<Response>{said}</Response>");
        assert_eq!(held.answer_to_call(Said::xml(said.clone())).await, OVER, "{said}");
    }
    let said = "<Response xmlns=\"urn:a\" xmlns:b=\"urn:c\" xsi:schemaLocation=\"a b\"><Hangup/></Response>";
    assert_eq!(held.answer_to_call(Said::xml(said)).await, said);
}

#[tokio::test]
async fn what_needs_no_change_is_the_applications_byte_for_byte() {
    let held = Held::new().await;
    for said in [
        "<?xml version='1.0'?>\r\n<!-- <Dial>+1</Dial> --><Response xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:noNamespaceSchemaLocation='twiml.xsd'>\n\t<Dial  timeLimit = '60' >+14155550123</Dial ></Response>\n\n",
        "<Response><Say><![CDATA[<Dial>+1</Dial> & so on]]></Say><Dial timeLimit=\"6&#48;\">+1415&#x35;550123</Dial></Response>",
        "<Response><Dial timeLimit=\"60\"><![CDATA[+14155550123]]></Dial></Response>",
        "<Response><!-- a --><Pause length='3'/><Redirect method='post'>?again=1</Redirect></Response>",
        "<?pi <Dial>+1</Dial> ?><Response><Play loop=\"0\">https://cdn.example/a.mp3</Play></Response>",
        "",
        " \n",
    ] {
        assert_eq!(held.answer_to_call(Said::xml(said)).await, said);
    }
    // Of what Twilio plays nothing is read, however long it is.
    let song = vec![b'<'; 200_000];
    held.says(Said::of_type("audio/mpeg", song.clone()));
    assert_eq!(held.call(&[]).await.body, song);
    let list = vec![b'['; 60_000];
    held.says(Said::of_type("application/json", list.clone()));
    assert_eq!(held.call(&[]).await.body, list);
    // Nor what it does not carry out.
    held.says(Said { status: 500, ..Said::xml("<Response><Unheard/></Response>") });
    let failed = held.call(&[]).await;
    assert_eq!((failed.status, failed.text()), (500, "<Response><Unheard/></Response>"));
}

#[tokio::test]
async fn a_time_limit_is_what_every_reader_takes_it_for() {
    let held = Held::new().await;
    for (typed, given) in [
        ("timeLimit=\" 60\"", "timeLimit=\"60\""),
        ("timeLimit=\"060\"", "timeLimit=\"60\""),
        ("timeLimit=\"+60\"", "timeLimit=\"600\""),
        ("timeLimit=\"0\"", "timeLimit=\"600\""),
        ("timeLimit=\"\"", "timeLimit=\"600\""),
        ("timeLimit=\"6e1\"", "timeLimit=\"600\""),
        ("timeLimit=\"-1\"", "timeLimit=\"600\""),
        ("timeLimit=\"99999999999999999999999\"", "timeLimit=\"600\""),
        ("timeLimit=\"20000\"", "timeLimit=\"14400\""),
    ] {
        // A limit that is not met, so that the price does not matter.
        let said = |attribute: &str| {
            format!("<Response><Dial {attribute}><Queue>q</Queue><Client>jo</Client></Dial></Response>")
        };
        assert_eq!(held.answer_to_call(Said::xml(said(typed))).await, said(given), "{typed}");
    }
    let twice = "<Response><Dial timeLimit=\"60\" timeLimit=\"9999\">+14155550123</Dial></Response>";
    assert_eq!(held.answer_to_call(Said::xml(twice)).await, OVER);
    for other in ["timelimit", "TimeLimit", "TIMELIMIT", "time-limit", "x:timeLimit"] {
        let said = format!("<Response><Dial {other}=\"99999\">+14155550123</Dial></Response>");
        assert_eq!(held.answer_to_call(Said::xml(said)).await, OVER, "{other}");
    }
}

#[tokio::test]
async fn what_leads_elsewhere_is_not_given_and_what_leads_here_is() {
    let held = Held::new().await;
    let evil = [
        "https://evil.example/",
        "//evil.example/twilio/x",
        "/other",
        "../other",
        "https://hooks.example.com.evil.example/twilio/x",
        "https://hooks.example.com@evil.example/twilio/x",
        "javascript:x",
        "https://hooks.example.com/twilio/%2e%2e/other",
    ];
    let own =
        ["", "next", "../twilio/next?a=b", "/twilio/x#rc=2", "?again", "https://hooks.example.com/twilio/x"];
    let places: [fn(&str) -> String; 10] = [
        |url| format!("<Redirect>{url}</Redirect>"),
        |url| format!("<Redirect>\n {url}\n</Redirect>"),
        |url| format!("<Gather action=\"{url}\"/>"),
        |url| format!("<Dial action=\"{url}\"><Queue>q</Queue></Dial>"),
        |url| format!("<Dial><Client url=\"{url}\">jo</Client></Dial>"),
        |url| format!("<Dial><Queue url=\"{url}\">q</Queue></Dial>"),
        |url| format!("<Dial><Conference waitUrl=\"{url}\">c</Conference></Dial>"),
        |url| format!("<Record action=\"{url}\"/>"),
        |url| format!("<Enqueue waitUrl=\"{url}\">q</Enqueue>"),
        |url| format!("<Connect action=\"{url}\"><Stream url=\"wss://a.example\"/></Connect>"),
    ];
    for place in places {
        for url in evil {
            let said = format!("<Response>{}</Response>", place(url));
            assert_eq!(held.answer_to_call(Said::xml(said.clone())).await, OVER, "{said}");
        }
        for url in own {
            let said = format!("<Response>{}</Response>", place(url));
            assert_ne!(held.answer_to_call(Said::xml(said.clone())).await, OVER, "{said}");
        }
    }
    for (url, is_given) in
        evil.map(|url| (url, false)).into_iter().chain([("next", true), ("/twilio/next", true)])
    {
        held.says(Said { status: 302, headers: vec![("location", url.to_owned())], ..Said::xml("") });
        let status = held.call(&[]).await.status;
        assert_eq!(status == 302, is_given, "{url}");
    }
    let passing =
        Held::with(vec![], |settings| settings.egress.as_mut().unwrap().passes_foreign_twiml = true).await;
    let said = "<Response><Redirect>https://evil.example/</Redirect></Response>";
    assert_eq!(passing.answer_to_call(Said::xml(said)).await, said);
}

#[tokio::test]
async fn what_the_price_book_does_not_know_is_for_the_operator_to_say() {
    let passing = |settings: &mut ringfence_gateway::settings::Settings| {
        settings.egress.as_mut().unwrap().passes_unknown_twiml = true;
    };
    let (held, passing) =
        (Held::new().await, Held::with(vec![crate::world::limit("daily", "50")], passing).await);
    for said in [
        "<Unheard/>",
        "<say>no verb</say>",
        "<x:Dial xmlns:x=\"a\">+1</x:Dial>",
        "<Say speed=\"9\">x</Say>",
        "<Say><Dial>x</Dial></Say>",
        "<Gather input=\"mind\"/>",
        "<Gather><Dial>+14155550123</Dial></Gather>",
        "<Dial><Robot>+14155550123</Robot></Dial>",
        "<Prompt>x</Prompt>",
        "<Start><Spy/></Start>",
        "stray",
    ] {
        let said = format!("<Response>{said}</Response>");
        assert_eq!(held.answer_to_call(Said::xml(said.clone())).await, OVER, "{said}");
        assert_eq!(passing.answer_to_call(Said::xml(said.clone())).await, said);
    }
    // What is known is held to the limits all the same.
    let both = "<Response><Unheard/><Dial>+14155550123</Dial></Response>";
    let given = "<Response><Unheard/><Dial timeLimit=\"600\">+14155550123</Dial></Response>";
    assert_eq!(passing.answer_to_call(Said::xml(both)).await, given);
    for said in ["<Dial>+37120000000</Dial>", "<Dial>911911</Dial>", "<Message to=\"jo\">x</Message>"] {
        let said = format!("<Response>{said}</Response>");
        assert_eq!(passing.answer_to_call(Said::xml(said)).await, OVER);
    }
    assert_eq!(passing.outcomes("unknown_price").await, 3);
}

#[tokio::test]
async fn a_text_is_sent_to_whoever_has_written_and_spoken_to_whoever_calls() {
    let held = Held::new().await;
    held.says(Said::of_type("text/plain; charset=utf-8", "hello"));
    assert_eq!(held.text().await.text(), "hello");
    assert_eq!(held.world.reserved("daily").await, "1".parse().unwrap());
    assert_eq!(held.call(&[]).await.text(), "hello");
    held.says(Said::of_type("text/plain", "x".repeat(161)));
    held.text().await;
    assert_eq!(held.world.reserved("daily").await, "3".parse().unwrap());
}

#[tokio::test]
async fn a_space_that_is_none_of_xml_is_a_character_of_the_message() {
    // 161 characters that GSM-7 has not all of are three segments.
    let held = Held::new().await;
    let text = format!("{}\u{a0}", "x".repeat(160));
    held.says(Said::of_type("text/plain; charset=utf-8", text.clone()));
    held.text().await;
    assert_eq!(held.world.reserved("daily").await, "3".parse().unwrap());
    held.says(Said::xml(format!("<Response><Message>{text}</Message></Response>")));
    held.text().await;
    assert_eq!(held.world.reserved("daily").await, "6".parse().unwrap());
}

#[tokio::test]
async fn a_webhook_that_can_be_read_in_two_ways_is_answered_with_nothing_that_costs() {
    // What an application has asked for by a `Redirect` with GET: strict mode does not look at queries.
    let held = Held::with(vec![crate::world::limit("daily", "50")], |settings| {
        settings.routes[0].methods = vec![http::Method::GET, http::Method::POST];
    })
    .await;
    let with = |fields: Vec<(String, String)>, more: &[(&str, &str)]| {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        fields.into_iter().chain(more).collect::<Vec<_>>()
    };
    let message =
        [Said::of_type("text/plain", "hello"), Said::xml("<Response><Message>hello</Message></Response>")];
    for said in message.clone() {
        held.says(said);
        assert!(held.get(&crate::held::text()).await.text().contains("hello"), "it is one as it is");
    }
    let reserved = held.world.reserved("daily").await;
    let other = "SMffffffffffffffffffffffffffffffff";
    for more in [
        &[("CallSid", "CA00000000000000000000000000000001")][..],
        &[("MessageSid", other), ("SmsMessageSid", other)],
        &[("From", "+447700900123")],
        &[("To", "+447700900123")],
    ] {
        for said in message.clone() {
            held.says(said);
            let answered = held.get(&with(crate::held::text(), more)).await;
            assert!(answered.status == 200 && !answered.text().contains("hello"), "{more:?}");
        }
    }
    held.says(Said::xml("<Response><Message>hello</Message></Response>"));
    let answered = held.get(&with(crate::held::call(&[]), &[("Direction", "x")])).await;
    assert!(!answered.text().contains("hello"));
    assert_eq!(held.world.reserved("daily").await, reserved);
    // What costs nothing is given all the same.
    held.says(Said::xml("<Response><Reject/></Response>"));
    let answered = held.get(&with(crate::held::call(&[]), &[("Direction", "x")])).await;
    assert_eq!(answered.text(), "<Response><Reject/></Response>");
    // And a call that rings is rejected once the account has tripped, whatever else is said of it.
    held.trip("daily").await;
    let ringing = crate::held::call(&[("CallStatus", "ringing")]);
    for more in [("CallStatus", "x"), ("Direction", "x"), ("CallSid", "CAx")] {
        assert_eq!(held.get(&with(ringing.clone(), &[more])).await.text(), crate::held::REJECT, "{more:?}");
    }
}

#[tokio::test]
async fn an_ok_to_a_status_callback_is_no_message_and_no_document() {
    let held = Held::new().await;
    let sent = |name: &str, value: &str| {
        let mut fields = crate::held::text();
        fields.retain(|(name, _)| name != "Body");
        fields.push((name.to_owned(), value.to_owned()));
        fields
    };
    for content_type in ["text/plain", "text/html; charset=utf-8", "text/xml"] {
        held.says(Said::of_type(content_type, "OK"));
        assert_eq!(held.send(&sent("MessageStatus", "delivered"), &[]).await.text(), "OK");
        for more in [
            ("CallStatus", "completed"),
            ("CallbackSource", "call-progress-events"),
            ("RecordingStatus", "completed"),
        ] {
            assert_eq!(held.call(&[more]).await.text(), "OK");
        }
    }
    assert_eq!(held.outcomes("free").await, 12);
    // What is TwiML is held to the limits all the same.
    held.says(Said::xml("<Response><Unheard/></Response>"));
    assert_eq!(held.call(&[("CallStatus", "completed")]).await.text(), OVER);
    assert_eq!(held.send(&sent("MessageStatus", "delivered"), &[]).await.text(), "<Response/>");
}

#[tokio::test]
async fn the_application_is_asked_for_a_plain_and_whole_answer_and_twilio_keeps_none_that_costs() {
    let held = Held::new().await;
    let kept = || {
        let headers = [
            ("content-type", "text/xml"),
            ("cache-control", "max-age=99"),
            ("etag", "\"a\""),
            ("x-app", "1"),
        ];
        headers.map(|(name, value)| (name, value.to_owned())).to_vec()
    };
    held.says(Said { headers: kept(), ..Said::xml(DIAL) });
    let lines = ["Accept-Encoding: gzip", "If-None-Match: \"a\"", "Range: bytes=0-9", "X-Other: yes"];
    let answer = held.send(&crate::held::call(&[]), &lines).await;
    assert_eq!((answer.header("cache-control"), answer.header("etag")), (Some("no-store"), None));
    assert_eq!((answer.header("x-app"), answer.text()), (Some("1"), DIAL));
    let seen = held.application.only_request();
    for gone in ["accept-encoding", "if-none-match", "range"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(seen.header("x-other"), Some("yes"));
    held.says(Said { headers: kept(), ..Said::xml("<Response/>") });
    assert_eq!(held.call(&[]).await.header("cache-control"), Some("max-age=99"));
}

#[tokio::test]
async fn what_costs_something_in_an_answer_about_nothing_is_not_given() {
    let held = Held::new().await;
    held.says(Said::xml(DIAL));
    let call = |name: &str, value: &str| {
        let mut fields = crate::held::call(&[]);
        fields.retain(|(field, _)| field != name);
        fields.push((name.to_owned(), value.to_owned()));
        fields
    };
    for fields in [call("CallSid", ""), call("CallSid", "CAx"), {
        let mut twice = crate::held::call(&[]);
        twice.push(("CallSid".to_owned(), "CA00000000000000000000000000000099".to_owned()));
        twice
    }] {
        let answer = held.send(&fields, &[]).await;
        assert!(!answer.text().contains("Dial"), "{}", answer.text());
    }
    assert_eq!(held.world.store.open_reservations(None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_document_that_leads_to_very_much_is_not_given() {
    let held = Held::new().await;
    let mut many = "<Response><Dial timeLimit=\"60\">".to_owned();
    for number in 0..101 {
        write!(many, "<Number>+1415555{number:04}</Number>").unwrap();
    }
    many += "</Dial></Response>";
    assert_eq!(held.answer_to_call(Said::xml(many)).await, OVER);
    assert_eq!(held.outcomes("unknown_twiml").await, 1);
}

#[tokio::test]
async fn what_leads_to_a_route_whose_answers_nobody_reads_is_not_given() {
    use http::Method;
    use ringfence_gateway::settings::{PathRule, Route, Twiml};
    let held = Held::with(vec![crate::world::limit("daily", "50")], |settings| {
        let beside = |label: &str, path: &str, method| Route {
            label: label.into(),
            path: PathRule::Prefix(path.to_owned()),
            methods: vec![method],
            twiml: Twiml::Limits,
            ..crate::world::route()
        };
        let open = |route| Route { twiml: Twiml::Pass, ..route };
        let more = [
            open(beside("open", "/open/", Method::POST)),
            open(beside("open get", "/mixed/", Method::GET)),
            beside("mixed", "/mixed/", Method::POST),
        ];
        settings.routes.extend(more);
    })
    .await;
    for (said, is_given) in [
        ("<Redirect>/open/x</Redirect>", false),
        ("<Gather action=\"/open/x\"/>", false),
        ("<Dial><Queue url=\"/open/x\">q</Queue></Dial>", false),
        ("<Redirect>/mixed/x</Redirect>", true),
        ("<Redirect method=\"POST\">/mixed/x</Redirect>", true),
        ("<Redirect method=\"GET\">/mixed/x</Redirect>", false),
        ("<Redirect method=\"get\">/mixed/x</Redirect>", false),
        ("<Redirect method=\"PUT\">/mixed/x</Redirect>", false),
        // This one takes no GET at all.
        ("<Redirect method=\"GET\">/twilio/x</Redirect>", false),
        ("<Enqueue waitUrl=\"/mixed/x\" waitUrlMethod=\"GET\">q</Enqueue>", false),
        ("<Enqueue waitUrl=\"/mixed/x\">q</Enqueue>", true),
        ("<Dial><Conference waitUrl=\"/mixed/x\" waitMethod=\"GET\">c</Conference></Dial>", false),
        ("<Dial referUrl=\"/mixed/x\" referMethod=\"GET\"><Queue>q</Queue></Dial>", false),
    ] {
        let said = format!("<Response>{said}</Response>");
        assert_eq!(held.answer_to_call(Said::xml(said.clone())).await != OVER, is_given, "{said}");
    }
    for (place, is_given) in [("/twilio/x", true), ("/open/x", false), ("/mixed/x", false)] {
        held.says(Said { status: 302, headers: vec![("location", place.to_owned())], ..Said::xml("") });
        assert_eq!(held.call(&[]).await.status == 302, is_given, "{place}");
    }
}

#[tokio::test]
async fn a_text_whose_length_nobody_can_say_is_not_sent() {
    let held = Held::new().await;
    let long = "\u{e9}".repeat(100);
    let latin_1 = vec![0xe9_u8; 100];
    for (content_type, text, is_given) in [
        ("text/plain; charset=utf-8", long.as_bytes(), true),
        ("text/plain; Charset=\"UTF-8\"", long.as_bytes(), true),
        ("text/plain; charset=iso-8859-1", &b"hello"[..], true),
        ("text/plain", b"hello", true),
        ("text/plain", long.as_bytes(), false),
        ("text/plain; charset=iso-8859-1", long.as_bytes(), false),
        ("text/plain; charset=iso-8859-1", &latin_1, false),
        ("text/plain; charset=utf-8", &latin_1, false),
        ("text/plain; charset=utf-16", b"hello", false),
        ("text/plain; charset=utf-7", b"hello", false),
        ("text/plain; charset=utf-8; charset=utf-7", b"hello", false),
        ("text/plain; x=\"charset=utf-8\"", long.as_bytes(), false),
    ] {
        held.says(Said::of_type(content_type, text));
        let answer = held.text().await;
        assert_eq!(answer.body == text, is_given, "{content_type} {text:?}");
        assert!(is_given || answer.text() == "<Response/>");
    }
    assert_eq!(held.outcomes("unreadable_twiml").await, 8);
}

#[tokio::test]
async fn what_is_said_to_a_status_callback_is_a_word_or_a_document_that_can_be_read() {
    let held = Held::new().await;
    let completed = [("CallStatus", "completed")];
    for (content_type, said, is_given) in [
        ("text/xml", "OK\n".to_owned(), true),
        ("text/html", "{\"ok\": true}".to_owned(), true),
        ("text/xml; charset=utf-7", "+ADw-Response+AD4APA-Dial+AD4-1+ADw-/Dial+AD4-".to_owned(), false),
        ("text/xml", "x".repeat(101), false),
        ("text/xml", "&lt;Response>".to_owned(), false),
    ] {
        held.says(Said::of_type(content_type, said.clone()));
        assert_eq!(held.call(&completed).await.text(), if is_given { &said } else { OVER }, "{said}");
    }
}
