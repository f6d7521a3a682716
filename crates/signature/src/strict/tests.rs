use super::*;
use crate::fields;

const ACCOUNT: &str = "AccountSid=AC0123456789abcdef0123456789abcdef";

/// A form body as the gate would see it, and what strict mode says of it.
fn check_form(target: &str, body: &str) -> Option<Finding> {
    let mut pairs: Vec<_> =
        fields(body.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    pairs.sort();
    pairs.dedup();
    let pairs = &pairs;
    check_parts(
        || pairs.iter().map(|(name, value)| (&name[..], &value[..])),
        !body.is_empty(),
        target.as_bytes(),
    )
}

#[track_caller]
fn refused(body: &str, expected: Finding) {
    assert_eq!(check_form("/sms", body), Some(expected), "{body}");
}

#[track_caller]
fn admitted(body: &str) {
    assert_eq!(check_form("/sms?tenant=7", body), None, "{body}");
}

#[test]
fn text_moved_from_a_message_into_a_name_is_refused() {
    refused(
        &format!("{ACCOUNT}&Bodyh=ello&From=%2B14155550101&To=%2B14155550100"),
        Finding::ExtendedName("Body"),
    );
    refused(
        "AccountSidAC0123456789abcdef0123456789abcdefBodyhello=From%2B14155550101To%2B14155550100",
        Finding::ExtendedName("AccountSid"),
    );
    refused("AC0123456789abcdef0123456789abcdefBodyhello=From", Finding::ExtendedName("AccountSid"));
    refused(&format!("{ACCOUNT}&Body=x&From%2B14155550101="), Finding::OddName);
    refused(&format!("{ACCOUNT}&From1=4155550101"), Finding::ExtendedName("From"));
    refused(&format!("{ACCOUNT}&Toc=lient:bob"), Finding::ExtendedName("To"));
    refused(&format!("{ACCOUNT}&Calledclient=x"), Finding::ExtendedName("Called"));
    refused(&format!("{ACCOUNT}&B=odyhello&From=%2B14155550101&To=%2B14155550100"), Finding::CutName("Body"));
    refused(&format!("{ACCOUNT}&C=allSidCA{}", "0".repeat(32)), Finding::CutName("CallSid"));
    refused(&format!("{ACCOUNT}&Body=x&Fro=m%2B14155550101"), Finding::CutName("From"));
    refused("smsAccountSid=AC0123456789abcdef0123456789abcdef", Finding::ExtendedName("AccountSid"));
    refused("7CallSid=CA0123456789abcdef0123456789abcdef", Finding::ExtendedName("CallSid"));
    refused(&format!("{ACCOUNT}&CallSidCA01={}", "0".repeat(30)), Finding::ExtendedName("CallSid"));
}

/// The text of a message, cut so that its writer becomes another: the genuine sender ends up behind a made-up name.
#[test]
fn a_genuine_sender_at_the_end_of_a_made_up_name_is_refused() {
    for glue in ["A", "Ab", "Address", "B", ".a", "AFromB"] {
        let body = format!(
            "{ACCOUNT}&Body=hi&From=%2B15559999999&From{glue}From=%2B15550001234&FromCity=X&To=%2B14155550100"
        );
        refused(&body, Finding::ExtendedName("From"));
    }
    let spoken =
        format!("{ACCOUNT}&SpeechResult=x&To=%2B15557777777&ToATo=%2B15550006789&From=%2B14155550101");
    refused(&spoken, Finding::ExtendedName("To"));
    refused(&format!("{ACCOUNT}&Body=hi&From=client%3Aa&HelloFrom=anonymous"), Finding::ExtendedName("From"));
    admitted(&format!("{ACCOUNT}&ForwardedFrom=%2B14155550101&DeliverTo=Jane"));
}

#[test]
fn a_call_in_the_text_of_a_message_is_refused() {
    let (message, call) = (format!("SM{}", "1".repeat(32)), format!("CA{}", "2".repeat(32)));
    refused(
        &format!(
            "{ACCOUNT}&Body=hi&CallSid={call}&From=%2B14155550101&To=%2B14155550100&MessageSid={message}"
        ),
        Finding::Swallowed("CallSid"),
    );
}

#[test]
fn an_address_that_a_value_swallowed_is_missed_or_found() {
    refused(&format!("{ACCOUNT}&Body=helloFrom%2B14155550101&To=%2B14155550100"), Finding::Missing("From"));
    refused(
        &format!("{ACCOUNT}&Body=helloFrom%2B14155550101To%2B1&From=%2B14155550100"),
        Finding::Missing("To"),
    );
    // The rest of the genuine `From` has to be in some value; each that can hold it is looked at.
    let carved = |holder: &str| {
        format!("{ACCOUNT}&Body=hi&From=%2B19990000000&{holder}From%2B14155550101&To=%2B14155550100")
    };
    refused(&carved("FromCity=X"), Finding::WrongShape("FromCity"));
    refused(&carved("FromCity=X").replace("From%2B14155550101", "From22395"), Finding::Swallowed("From"));
    refused(&carved("Garbage=x").replace("From%2B14155550101", "From22395"), Finding::Swallowed("From"));
    refused(&carved("FromZip=1"), Finding::WrongShape("FromZip"));
    refused(&carved("Garbage="), Finding::Swallowed("From"));
    refused(&carved("Label=a "), Finding::Swallowed("From"));
    refused(
        &format!("{ACCOUNT}&Body=hi&From=sip:a@b&Garbage=Fromwhatsapp:%2B34600000000&To=sip:c"),
        Finding::Swallowed("From"),
    );
    refused(
        &format!("{ACCOUNT}&Body=hi&From=%2B19990000000&FromCity=X&FromZip=1&To=%2B1"),
        Finding::WrongShape("To"),
    );
}

#[test]
fn an_address_is_missed_where_the_request_is_of_a_kind_that_has_both() {
    let (message, call) =
        ("MessageSid=SM0123456789abcdef0123456789abcdef", "CallSid=CA0123456789abcdef0123456789abcdef");
    refused(&format!("{message}&Body=hi&To=%2B14155550100"), Finding::Missing("From"));
    admitted(&format!("{message}&Body=hi&To=%2B14155550100&MessageStatus=sent"));
    refused(&format!("{ACCOUNT}&{call}&Direction=inbound&From=%2B14155550100"), Finding::Missing("To"));
    admitted(&format!("{ACCOUNT}&{call}&From=%2B14155550100"));
}

#[test]
fn a_sid_that_a_message_swallowed_is_found_even_in_free_text() {
    let sid = "SM0123456789abcdef0123456789abcdef";
    refused(
        &format!(
            "{ACCOUNT}&Body=hiFrom%2B14155550101MessageSid{sid}ProfileNamex&From=%2B19990000000&To=%2B14155550100"
        ),
        Finding::Swallowed("MessageSid"),
    );
    // A person may quote a SID, and a log line with delimiters.
    admitted(&format!(
        "{ACCOUNT}&Body=See+MessageSid%3D{sid}+or+{sid}&From=%2B19990000000&To=%2B14155550100"
    ));
}

#[test]
fn parameters_in_the_url_are_refused_with_and_without_a_body() {
    let glued = "/pAccountSidAC0123456789abcdef0123456789abcdefBodyhelloFrom+14155550101To+14155550100";
    assert_eq!(check_form(glued, ""), Some(Finding::InUrl("AccountSid")));
    assert_eq!(check_form(glued, "To=%2B14155550100"), Some(Finding::InUrl("AccountSid")));
    // A JSON body could be blessed so, by a message that says `&bodySHA256=…&x=`.
    assert_eq!(check_parts(std::iter::empty, false, glued.as_bytes()), Some(Finding::InUrl("AccountSid")));
    let cut = |target, body: &str| {
        assert_eq!(check_form(target, body), Some(Finding::InUrl("AccountSid")), "{target}");
    };
    cut("/smsAcc", "ountSid=AC0123456789abcdef0123456789abcdefBodyx");
    cut("/smsAccountSid", "AC01=x");
    cut("/smsAccountSidAC0123", "4567=x");
    // An application may well put its own parameters there.
    for target in [
        "/sms?AccountSid=AC0123456789abcdef0123456789abcdef",
        "/AC0123456789abcdef0123456789abcdef",
        "/AccountSid",
    ] {
        assert_eq!(check_form(target, &format!("{ACCOUNT}&CallSid=CA{}", "0".repeat(32))), None, "{target}");
    }
}

#[test]
fn the_tail_of_a_webhook_sent_by_get_is_no_form() {
    let target = "/sms?AccountSid=AC0123456789abcdef0123456789abcdef&ApiVersion=2010-04-01&CallSid=CA00000000000000000000000000000001&Body=";
    let forged = format!("{ACCOUNT}&Body=x&From=%2B14155550101&To=%2B14155550100");
    assert_eq!(check_form(target, &forged), Some(Finding::InUrl("ApiVersion")));
    // A call whose action URL repeats the whole query of the first webhook.
    let honest = format!("{ACCOUNT}&CallSid=CA00000000000000000000000000000001&Digits=1");
    assert_eq!(check_form(target, &honest), None);
}

#[test]
fn what_comes_once_must_not_come_twice() {
    refused(
        &format!("{ACCOUNT}&From=%2B14155550100&From=%2B14155550101&To=%2B14155550102"),
        Finding::Repeated("From"),
    );
    refused(
        "AccountSid=AC0123456789abcdef0123456789abcdef&AccountSid=AC0123456789abcdef0123456789abcdee",
        Finding::Repeated("AccountSid"),
    );
    refused(
        &format!("{ACCOUNT}&Body=a&Body=b&From=%2B14155550100&To=%2B14155550102"),
        Finding::Repeated("Body"),
    );
}

#[test]
fn a_well_known_value_must_have_its_shape() {
    let shapes = [
        ("AccountSid", "AC0123"),
        ("AccountSid", ""),
        ("CallSid", "CA1"),
        ("CallSid", "SM0123456789abcdef0123456789abcdef"),
        ("MessageSid", "SM0123456789abcdef0123456789abcdeg"),
        ("ParentCallSid", "x"),
        ("UsageTriggerSid", "UT1"),
        ("From", "%2B1415555010100000000"),
        ("From", "%2B14155550100FromCityX"),
        ("From", "a+much+longer+sender"),
        ("From", "%3Cb%3E"),
        ("To", "MyBrand"),
        ("To", "%2B1"),
        ("To", "whatsapp:%2B1"),
        ("To", "whatsapp:"),
        ("Called", "12"),
        ("NumMedia", "0NumSegments1"),
        ("NumMedia", "x"),
        ("ApiVersion", "2010-04-01x"),
        ("ApiVersion", "2010"),
        ("CallDuration", "5s"),
        ("MediaUrl0", "javascript:alert(1)"),
        ("RecordingUrl", "https://a b"),
        ("RecordingUrl", "ftp://x"),
        ("MessageStatus", "sent;To"),
        ("FromCity", "X%2B1"),
        ("FromZip", "94103FromCountryUSXXX"),
        ("Digits", "1=2"),
    ];
    for (name, value) in shapes {
        let stem = name.trim_end_matches('0');
        assert_eq!(
            check_form("/", &format!("{name}={value}")),
            Some(Finding::WrongShape(stem)),
            "{name}={value}"
        );
    }
}

#[test]
fn a_number_may_be_below_zero_and_have_an_exponent_and_a_code_may_have_a_hyphen() {
    for number in ["", "12", "-1", "0.9128386", "1e-05", "9.5E-07", "2e5"] {
        admitted(&format!("Confidence={number}"));
    }
    for code in ["94103-1234", "SW1A+1AA", "US"] {
        admitted(&format!("FromZip={code}"));
    }
}

/// However little of a name is left in its place.
#[test]
fn text_of_strangers_cut_anywhere_in_its_name_is_refused() {
    for stem in FORM_ONLY_STEMS {
        for at in 1..stem.len() {
            let (name, rest) = stem.split_at(at);
            if find(name.as_bytes()).is_none() {
                let found = check_form("/sms", &format!("{ACCOUNT}&{name}={rest}hello"));
                assert!(
                    matches!(found, Some(Finding::CutName(_) | Finding::ExtendedName(_))),
                    "{name}={rest}"
                );
            }
        }
    }
    refused(&format!("{ACCOUNT}&{}AccountSid=x", "prefix".repeat(5)), Finding::ExtendedName("AccountSid"));
}

#[test]
fn a_sid_is_two_capitals_and_thirty_two_hexadecimal_digits() {
    let zeros = "0".repeat(30);
    for (value, is_one) in [
        (format!("WT00{zeros}"), true),
        (format!("Wt00{zeros}"), false),
        (format!("wT00{zeros}"), false),
        (format!("WTg0{zeros}"), false),
        (format!("WTgg{zeros}"), false),
        (format!("WT:0{zeros}"), false),
        (format!("WT/0{zeros}"), false),
        (format!("WT0{zeros}"), false),
    ] {
        let found = check_form("/sms", &format!("TaskSid={value}"));
        assert_eq!(found, (!is_one).then_some(Finding::WrongShape("TaskSid")), "{value}");
    }
}

#[test]
fn the_address_of_a_channel_has_a_name_and_something_behind_it() {
    let long = format!("sip:{}", "a".repeat(508));
    for value in [
        "my-channel_2.x:alice",
        "sip:a",
        &long,
        "whatsapp:%2B34600000000",
        "rcs:%2B346000",
        "sip:%2B15557654321@mydom.sip.us1.twilio.com",
        "sips:%2B15557654321@203.0.113.9:5061;transport=tls",
        "client:%2B15551234567.agent",
    ] {
        admitted(&format!("To={value}"));
    }
    for value in [
        &format!("{long}a"),
        "sip:a%00",
        "sip:a%0Ab",
        "sip:",
        ":alice",
        "x:alice",
        &format!("{}:alice", "x".repeat(21)),
        "Client:alice",
        "cli ent:alice",
        "2x:alice",
        "whatsapp:%2B34600",
        "whatsapp:%2B3460000000000000",
        "%2Bsip:alice",
        "%2B1415x",
    ] {
        refused(&format!("To={value}"), Finding::WrongShape("To"));
    }
}

#[test]
fn a_version_is_a_date_or_a_v_and_a_number() {
    for value in ["2010-04-01", "v2", "v100", ""] {
        admitted(&format!("ApiVersion={value}"));
    }
    for value in ["2010-0x-01", "201-04-01", "2010-04-1", "x010-04-01", "v", "v1000", "vx"] {
        refused(&format!("ApiVersion={value}"), Finding::WrongShape("ApiVersion"));
    }
}

/// What nobody would read as an address in other text is one in the name of a city, which has no digits.
#[test]
fn a_city_swallows_less_than_other_text_may_say() {
    for (value, name) in [("ParisTo223", "To"), ("To123", "To"), ("XCaller223", "Caller")] {
        refused(&format!("FromCity={value}"), Finding::Swallowed(name));
        admitted(&format!("Label={value}"));
    }
    admitted("FromCity=ParisTo22");
    admitted("Label=To12345678");
    admitted("Label=XFrom1234");
    refused("Label=XFrom12345", Finding::Swallowed("From"));
    refused("From=1To%2B123456", Finding::Swallowed("To"));
}

#[test]
fn a_sid_is_swallowed_with_the_end_of_its_name_alone() {
    let sid = format!("SidSM{}", "0".repeat(32));
    refused(&format!("Label=x{sid}"), Finding::Swallowed("Sid"));
    refused(&format!("Label=SmsMessage{sid}"), Finding::Swallowed("SmsMessageSid"));
    for value in [sid.clone(), format!("7{sid}"), format!("7{sid} and more")] {
        admitted(&format!("Label={value}"));
    }
}

#[test]
fn a_name_is_not_endless_and_a_sip_header_may_be_any_token() {
    admitted(&format!("{}=1", "n".repeat(128)));
    refused(&format!("{}=1", "n".repeat(129)), Finding::OddName);
    for odd in ["!", "%23", "$", "'", "*", "^", "`", "|", "~"] {
        admitted(&format!("SipHeader_X{odd}Y=1"));
        refused(&format!("X{odd}Y=1"), Finding::OddName);
    }
    refused("SipHeader_X Y=1", Finding::OddName);
}

#[test]
fn where_there_is_no_body_the_parameters_of_the_query_may_have_any_shape() {
    let request = Request {
        method: "GET",
        url: crate::ReceivedUrl::parse(b"https://h.example/sms?From=nobody+at+all%21"),
        websocket: false,
        content_type: Some(b"application/x-www-form-urlencoded"),
        body: b"",
        signature: None,
        settings: None,
    };
    let mut form = crate::form::FormBuffer::default();
    form.read(request.url.query().unwrap_or_default()).unwrap();
    assert_eq!(check(&form.fields(), &request), None);
    let with_body = Request { body: b"From=nobody+at+all%21", ..request };
    assert_eq!(check(&form.fields(), &with_body), Some(Finding::WrongShape("From")));
    let other_body = Request { content_type: Some(b"text/plain"), ..with_body };
    assert_eq!(check(&form.fields(), &other_body), None, "a hash vouches for it");
}

#[test]
fn a_name_with_one_byte_changed_is_another() {
    let letters = (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z');
    for known in names::all() {
        for at in 0..known.name.len() {
            for letter in letters.clone() {
                let mut name = known.name.as_bytes().to_vec();
                name[at] = letter;
                let found = find(&name).map(|it| it.name.as_bytes());
                assert!(found.is_none_or(|it| it == name), "{}", String::from_utf8_lossy(&name));
            }
        }
    }
}

#[test]
fn odd_names_are_refused() {
    for name in ["", "a%20b", "a%3Db", "%C3%A9", "a%00", "a:b", "a%2Bb", &"x".repeat(129)] {
        refused(&format!("{name}=x"), Finding::OddName);
    }
}

#[test]
fn names_that_nobody_knows_pass() {
    admitted(
        "NewThing=1&anotherThing=x&FromSomething=y&ToSomethingElse=z&Token=a&Total=1&B=1&T=one&F=romance&C=all&Topic=b&Today=c&CallerIdentity=d&\
         a[b]=1&a[]=2&x.y=3&x-y=4&TransferPartyCallSid=CA0123456789abcdef0123456789abcdef&page=2&page=3&Sid=12&SidAccount=1",
    );
}

#[test]
fn genuine_webhooks_pass() {
    for line in include_str!("genuine.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let body = line
            .replace("{AC}", "AC0123456789abcdef0123456789abcdef")
            .replace("{32}", "0123456789abcdef0123456789abcdef");
        admitted(&body);
    }
}

#[test]
fn the_table_has_no_name_twice_and_finds_each() {
    for known in names::all() {
        let found = find(known.name.as_bytes()).expect("every name of the table is found");
        assert!(std::ptr::eq(found, known), "{} is there twice", known.name);
        assert!(
            known.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'),
            "{}",
            known.name
        );
    }
    assert!(find(b"").is_none() && find(b"bodY").is_none());
}

#[test]
fn a_finding_says_the_name_and_never_the_value() {
    let finding = check_form("/", "From=%3Csecret%3E").expect("no address");
    assert_eq!((finding.as_str(), finding.parameter()), ("wrong_shape", "From"));
    assert_eq!(finding.to_string(), "From does not have the shape that Twilio gives it");
    let finding = check_form("/", "Bodysecret=1").expect("glued");
    assert!(!format!("{finding}{finding:?}").contains("secret"));
}

#[test]
fn any_cut_of_a_signed_message_that_takes_an_address_or_a_sid_elsewhere_is_refused() {
    // All ways to cut one boundary somewhere else: the same signed text, other parameters.
    let body = format!(
        "{ACCOUNT}&ApiVersion=2010-04-01&Body=Hello+you&From=%2B14155550101&FromCity=PARIS&FromCountry=US&FromState=TX&FromZip=75460\
         &MessageSid=SM0123456789abcdef0123456789abcdef&NumMedia=0&NumSegments=1&SmsMessageSid=SM0123456789abcdef0123456789abcdef\
         &SmsSid=SM0123456789abcdef0123456789abcdef&SmsStatus=received&To=%2B14155550100&ToCity=&ToCountry=US&ToState=&ToZip="
    );
    let pairs: Vec<(Vec<u8>, Vec<u8>)> =
        fields(body.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let judge = |pairs: &[(Vec<u8>, Vec<u8>)]| {
        check_parts(|| pairs.iter().map(|(name, value)| (&name[..], &value[..])), true, b"/sms")
    };
    assert_eq!(judge(&pairs), None);
    // Who wrote what to whom, and whose it is: nothing of it may look different and pass.
    let matters = |pairs: &[(Vec<u8>, Vec<u8>)]| -> Vec<_> {
        let names: [&[u8]; 5] = [b"AccountSid", b"Body", b"From", b"MessageSid", b"To"];
        pairs.iter().filter(|(name, _)| names.contains(&&name[..])).cloned().collect()
    };
    let mut tried = 0;
    let mut judge_moved = |moved: &[(Vec<u8>, Vec<u8>)]| {
        tried += 1;
        let shown = || {
            moved
                .iter()
                .map(|(name, value)| [name, &b"="[..], value, b" "].concat())
                .collect::<Vec<_>>()
                .concat()
        };
        if judge(moved).is_none() {
            assert_eq!(matters(moved), matters(&pairs), "{}", String::from_utf8_lossy(&shown()));
        }
    };
    for at in 0..pairs.len() {
        // The boundary between a name and its value.
        let glued = [&pairs[at].0[..], &pairs[at].1].concat();
        for cut in 1..=glued.len() {
            let mut moved = pairs.clone();
            moved[at] = (glued[..cut].to_vec(), glued[cut..].to_vec());
            if moved != pairs && moved.is_sorted() {
                judge_moved(&moved);
            }
        }
        // The next parameters swallowed by this one's value, as many as there are.
        for swallowed in 1..pairs.len() - at {
            let mut moved = pairs.clone();
            for (name, value) in moved.drain(at + 1..=at + swallowed).collect::<Vec<_>>() {
                moved[at].1.extend([name, value].concat());
            }
            judge_moved(&moved);
        }
    }
    assert!(tried > 400, "{tried}");
}
