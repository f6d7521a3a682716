//! What is told of a request tells nothing personal of it.

use proptest::prelude::*;
use proptest::string::string_regex;

use super::*;
use crate::laws;

fn told(form_text: &str) -> Vec<String> {
    let told = form(form_text.as_bytes()).expect("it has parameters");
    told.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[test]
fn a_value_passes_only_under_its_name_and_in_its_shape() {
    let text = "Body=AC0000000000000000000000000000000a&AccountSid=AC0000000000000000000000000000000a&AccountSid=anna\
                &CallStatus=in-progress&Digits=1234&CallStatus=call+me&NumMedia=0&NumMedia=4915112345678&ErrorCode=30007\
                &FromCountry=DE&FromCountry=Anna&FromCity=Berlin&ApiVersion=2010-04-01&ApiVersion=1815-12-1x\
                &MediaContentType0=image%2Fjpeg&MediaUrl0=https%3A%2F%2Fa.example%2F1&StirVerstat=TN-Validation-Passed-A";
    assert_eq!(
        told(text),
        [
            "Body=(34 characters)",
            "AccountSid=AC0000000000000000000000000000000a",
            "AccountSid=(4 characters)",
            "CallStatus=in-progress",
            "Digits=(4 digits)",
            "CallStatus=(7 characters)",
            "NumMedia=0",
            "NumMedia=(13 digits)",
            "ErrorCode=30007",
            "FromCountry=DE",
            "FromCountry=(4 characters)",
            "FromCity=(6 characters)",
            "ApiVersion=2010-04-01",
            "ApiVersion=(10 characters)",
            "MediaContentType0=image/jpeg",
            "MediaUrl0=(a URL of 19 characters)",
            "StirVerstat=TN-Validation-Passed-A",
        ]
    );
}

#[test]
fn of_a_number_the_country_code_and_the_length_are_left() {
    let text = "From=%2B4915112345678&To=whatsapp%3A%2B14155550123&Caller=client%3Aanna&Called=sip%3Aanna%40a.example\
                &ForwardedFrom=%2B35312345678&From=4915112345678&To=whatsapp%3A&Body=&X=%FF%FE&Y=a";
    assert_eq!(
        told(text),
        [
            "From=+49… (13 digits)",
            "To=whatsapp:+1… (11 digits)",
            "Caller=client:(4 characters)",
            "Called=sip:(14 characters)",
            "ForwardedFrom=+353… (11 digits)",
            "From=(13 digits)",
            "To=whatsapp:",
            "Body=",
            "X=(2 bytes)",
            "Y=(1 character)",
        ]
    );
}

#[test]
fn a_name_that_is_none_of_twilios_form_is_somebodys_text() {
    let long = "a".repeat(41);
    assert_eq!(
        told(&format!("%2B14155550123=x&4915112345=x&hello+there=x&{long}=x&%FF=x&SipHeader_X-Ref=x")),
        [
            "(12 bytes)=(1 character)",
            "(10 bytes)=(1 character)",
            "(11 bytes)=(1 character)",
            "(41 bytes)=(1 character)",
            "(1 byte)=(1 character)",
            "SipHeader_X-Ref=(1 character)",
        ]
    );
}

#[test]
fn what_is_too_much_is_not_told() {
    assert_eq!(form(&vec![b'a'; BODY_BYTES_MAX + 1]), None);
    assert_eq!(form(b""), None);
    assert_eq!(form("a=1&".repeat(500).as_bytes()).map(|told| told.len()), Some(PARAMETERS_MAX));
    assert_eq!(json(format!("[{}]", "1,".repeat(500) + "1").as_bytes()).map(|it| it.len()), Some(100));
    assert_eq!(json("[".repeat(20).as_bytes()), None);
    assert_eq!(json(format!("{}1{}", "[".repeat(20), "]".repeat(20)).as_bytes()), None);
    assert_eq!(json(b"no JSON"), None);
    assert_eq!(verbs(b"<Response"), None);
    assert_eq!(verbs(b"hello"), None);
}

#[test]
fn json_is_told_by_the_names_that_lead_to_its_values() {
    let text = br#"[{"type":"com.twilio.x","data":{"account_sid":"AC0000000000000000000000000000000a","to":"+4915112345678",
                   "status":"delivered","messageStatus":"delivered","body":"hello there","n":12345,"duration":7,"ok":true,
                   "none":null,"list":[],"+4915112345678":"x"}}]"#;
    let told: Vec<_> =
        json(text).expect("it is JSON").into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut expected = [
        "0.type=(12 characters)",
        "0.data.account_sid=AC0000000000000000000000000000000a",
        "0.data.to=+49… (13 digits)",
        "0.data.status=(9 characters)",
        "0.data.messageStatus=delivered",
        "0.data.body=(11 characters)",
        "0.data.n=(5 digits)",
        "0.data.duration=7",
        "0.data.ok=(yes or no)",
        "0.data.none=(nothing)",
        "0.data.list=(nothing)",
        "0.data.(14 bytes)=(1 character)",
    ];
    let mut told: Vec<_> = told.iter().map(String::as_str).collect();
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected);
}

#[test]
fn of_an_answer_its_verbs_are_left() {
    let twiml = br#"<Response><Gather action="/a?n=4915112345678"><Say>Hello Anna</Say></Gather>
                    <Dial callerId="+4915112345678"><Number>+14155550123</Number></Dial><Anna/><Hangup/></Response>"#;
    assert_eq!(verbs(twiml).as_deref(), Some("Gather(Say) Dial(Number) (other) Hangup"));
    assert_eq!(verbs(b"<Response/>").as_deref(), Some(""));
    let many = format!("<Response>{}</Response>", "<Hangup/>".repeat(80));
    assert_eq!(verbs(many.as_bytes()).map(|it| it.split(' ').count()), Some(ELEMENTS_MAX));
}

#[test]
fn of_a_path_plain_words_are_left() {
    assert_eq!(path("/twilio/sms?To=%2B4915112345678"), "/twilio/sms");
    assert_eq!(
        path("/c/+4915112345678/4915112345678/AC0000000000000000000000000000000a/a%20b/v2"),
        "/c/(14 characters)/(13 characters)/AC0000000000000000000000000000000a/(5 characters)/v2"
    );
    assert_eq!(path(""), "");
    assert!(path(&"/a".repeat(500)).len() < 100);
}

#[test]
fn a_text_of_ours_keeps_its_words_and_loses_numbers() {
    let text = "Refused: (account AC00000000000000000000000000000001, port 8443, field 4915112345678, x+4915112345678y) ä";
    assert_eq!(
        without_numbers(text),
        "Refused: (account AC00000000000000000000000000000001, port 8443, field …, x+…) ä"
    );
}

/// Texts of which no piece of four stands in what is told by itself.
fn somebodys() -> impl Strategy<Value = String> {
    string_regex("[0-9QXZjqz+ é_-]{4,60}").expect("it is an expression")
}

proptest! {
    #[test]
    fn nothing_of_an_unlisted_value_is_told(value in somebodys(), name in "[A-Z][a-z]{1,8}Text") {
        let encoded = format!("{name}={}", form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>());
        laws::redacted(encoded.as_bytes(), &value);
        let object = serde_json::json!({ &name: &value, "list": [{ "a": [&value] }], format!("{value} x"): 1 }).to_string();
        laws::redacted(object.as_bytes(), &value);
    }

    #[test]
    fn two_values_of_one_kind_and_length_cannot_be_told_apart(
        (one, other) in (4_usize..40).prop_flat_map(|n| {
            let text = || string_regex(&format!("[QXZjqz é]{{{n}}}")).expect("it is an expression");
            (text(), text())
        }),
        (first, second) in (5_usize..15).prop_flat_map(|n| {
            let digits = || string_regex(&format!("[1-9][0-9]{{{n}}}")).expect("it is an expression");
            (digits(), digits())
        }),
    ) {
        prop_assert_eq!(kind_of(one.as_bytes()), kind_of(other.as_bytes()));
        prop_assert_eq!(kind_of(first.as_bytes()), kind_of(second.as_bytes()));
        let number = kind_of(format!("+49{}", &first[..5]).as_bytes());
        prop_assert_eq!(number, kind_of(format!("+49{}", &second[..5]).as_bytes()));
    }

    #[test]
    fn nothing_of_a_text_in_an_answer_is_told(text in "[0-9QXZjqz ]{4,40}") {
        let twiml = format!("<Response><Say voice=\"{text}\">{text}</Say><Message to=\"+49{text}\">{text}</Message></Response>");
        let told = verbs(twiml.as_bytes()).expect("it is TwiML");
        prop_assert_eq!(told, "Say Message");
    }

    #[test]
    fn any_bytes_can_be_asked(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        laws::redacted(&bytes, "");
        let _told = verbs(&bytes);
    }
}
