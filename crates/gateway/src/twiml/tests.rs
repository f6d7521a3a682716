//! Prices of documents, as a function.

use proptest::prelude::*;
use ringfence_breaker::PriceBook;
use ringfence_breaker::price_book::{Fee, Kind as PriceKind, Override, Place, Prices, Rules};
use ringfence_model::Amount;
use ringfence_twilio::twiml::Document;

use super::price::{self, Around, Conversation, Worth};
use crate::egress::Refusal;

/// A minute costs a tenth, a segment a dollar, each fee a cent; no call is longer than an hour.
pub(super) fn book() -> PriceBook {
    let mut rules = Rules::default();
    rules.assumed.call_seconds_at_most = 3_600;
    rules.assumed.voice_insights = false;
    for (kind, price) in [
        (PriceKind::Segment, "1"),
        (PriceKind::Minute, "0.1"),
        (PriceKind::CarrierFee, "0"),
        (PriceKind::Mms, "2"),
    ] {
        for prefix in ["+1", "+44"] {
            let (place, price) = (Place::Prefix(prefix.parse().unwrap()), price.parse().unwrap());
            rules.overrides.destinations.push(Override { kind, place, price });
        }
    }
    for fee in Fee::ALL {
        let is_beside = matches!(fee, Fee::FailedMessage | Fee::PumpingCheck | Fee::PumpingCheckUsCa);
        rules.overrides.fees.insert(*fee, if is_beside { "0" } else { "0.01" }.parse().unwrap());
    }
    PriceBook::new(Prices::new("USD"), rules).unwrap()
}

pub(super) fn around(book: &PriceBook) -> Around<'_> {
    let conversation =
        Conversation { them: Some("+14155550177"), us: Some("+14155550100"), ..Conversation::default() };
    Around {
        book: Some(book),
        routes: &[],
        base: None,
        passes_foreign: true,
        passes_unknown: false,
        conversation,
        seconds: Some(3_600),
    }
}

fn read(inner: &str, around: &Around<'_>) -> Result<Worth, Refusal> {
    let document = Document::read(format!("<Response>{inner}</Response>").as_bytes());
    let document = document.map_err(|error| Refusal::UnreadableTwiml(error.to_string()))?;
    price::of(&document.root, around)
}

pub(super) fn total(worth: &Worth) -> Amount {
    let prices = worth.steps.iter().map(|step| step.charge.price());
    prices.fold(Amount::ZERO, Amount::saturating_add)
}

fn costs(inner: &str) -> Amount {
    let book = book();
    total(&read(inner, &around(&book)).unwrap_or_else(|why| panic!("{inner}: {why:?}")))
}

#[test]
fn what_has_no_price_is_refused() {
    let book = book();
    for inner in [
        "<Dial>+37120000000</Dial>",
        "<Dial>555 0123</Dial>",
        "<Dial>client:jo</Dial>",
        "<Dial>sip:a@b.example</Dial>",
        "<Dial><Number>client:+447911123456</Number></Dial>",
        "<Dial><Number>sip:+447911123456@b.example</Number></Dial>",
        "<Dial><Number>whatsapp:+447911123456</Number></Dial>",
        "<Dial><Sip>+447911123456</Sip></Dial>",
        "<Dial><Sip>client:jo</Sip></Dial>",
        "<Dial><Sim>DE1</Sim></Dial>",
        "<Dial><Sip>sip:a@b.pstn.twilio.com</Sip></Dial>",
        "<Message to='jo'>x</Message>",
        "<Message to='+37120000000'>x</Message>",
    ] {
        let refused = read(inner, &around(&book));
        assert!(matches!(refused, Err(Refusal::UnknownPrice(_))), "{inner}: {refused:?}");
    }
    let unknown = Around { book: None, ..around(&book) };
    for inner in ["<Dial>+14155550123</Dial>", "<Message>x</Message>", "<Record/>", "<Pay/>"] {
        assert!(matches!(read(inner, &unknown), Err(Refusal::NotReady(_))), "{inner}");
    }
    for inner in ["<Say>x</Say><Pause/><Play>a</Play><Gather><Say>x</Say></Gather>", "<Hangup/>", "<Echo/>"] {
        assert!(read(inner, &unknown).is_ok_and(|worth| worth.steps.is_empty()), "{inner}");
    }
}

#[test]
fn each_thing_has_its_worst_price() {
    for (inner, price) in [
        ("<Dial timeLimit='61'>+14155550123</Dial>", "0.2"),
        ("<Dial timeLimit='60'><Number>+14155550123</Number><Number>+447911123456</Number></Dial>", "0.2"),
        ("<Dial timeLimit='60' sequential='true'><Client>a</Client><Client>b</Client></Dial>", "0.02"),
        (
            "<Dial timeLimit='60'><Client><Identity>a</Identity><Parameter name='b' value='c'/></Client></Dial>",
            "0.01",
        ),
        ("<Dial timeLimit='60'><Sip username='a'>sip:a@b.example</Sip></Dial>", "0.01"),
        ("<Dial timeLimit='60'><WhatsApp>+14155550123</WhatsApp></Dial>", "0.01"),
        ("<Dial timeLimit='60'>911</Dial>", "0.01"),
        ("<Dial timeLimit='60' record='record-from-answer-dual'>+14155550123</Dial>", "0.11"),
        ("<Dial timeLimit='60' record='do-not-record'>+14155550123</Dial>", "0.1"),
        ("<Dial timeLimit='60'><Number machineDetection='Enable'>+14155550123</Number></Dial>", "0.11"),
        // What is heard before the connection may last as long as a call.
        ("<Dial timeLimit='60'><Number url='/w'>+14155550123</Number></Dial>", "6.1"),
        ("<Dial timeLimit='60'><Conference record='record-from-start'>c</Conference></Dial>", "2.41"),
        (
            "<Dial timeLimit='60' record='true'><Conference record='record-from-start'>c</Conference></Dial>",
            "2.42",
        ),
        ("<Dial timeLimit='60'><Conference>c</Conference></Dial>", "0.01"),
        ("<Dial><Queue>q</Queue></Dial>", "0"),
        ("<Dial/>", "0"),
        ("<Message>x</Message>", "1"),
        ("<Sms to='+447911123456'>x</Sms>", "1"),
        ("<Message><Body>one</Body><Media>a</Media></Message>", "2"),
        ("<Refer><Sip>sip:a@b.example</Sip></Refer>", "0.01"),
        ("<Enqueue>q</Enqueue>", "0"),
        ("<Enqueue workflowSid='WW1'><Task>{}</Task></Enqueue>", "0.01"),
        ("<Record/>", "0.6"),
        ("<Record maxLength='60' transcribe='true'/>", "0.02"),
        ("<Record maxLength='60' transcribe='false'/>", "0.01"),
        ("<Record maxLength='60' transcribeCallback='/t'/>", "0.02"),
        ("<Record maxLength='long'/>", "0.6"),
        ("<Pay><Prompt for='postal-code'><Say>x</Say></Prompt></Pay>", "0.01"),
        ("<Connect><Stream url='wss://a.example'><Parameter name='a' value='b'/></Stream></Connect>", "0.6"),
        ("<Start><Siprec connectorName='a'/></Start>", "0.6"),
        ("<Start><Transcription/></Start>", "0.6"),
        ("<Start><Recording/></Start>", "0.6"),
        ("<Connect><ConversationRelay url='wss://a.example'/></Connect>", "0.6"),
        ("<Connect><VirtualAgent connectorName='a'/></Connect>", "0.6"),
        ("<Connect><Room>r</Room></Connect>", "0.6"),
        ("<Stop><Stream name='a'/></Stop>", "0"),
        ("<Gather input='dtmf'/>", "0"),
        ("<Gather input='speech dtmf' timeout='15' speechTimeout='auto'/>", "0.09"),
        ("<Say voice='alice'>x</Say>", "0"),
        ("<Say voice='Polly.Joanna-Neural'>x</Say>", "0.01"),
        ("<Say voice='Polly.Joanna' loop='101'>x</Say>", "0.02"),
        ("<Say voice='Polly.Joanna' loop='0'>x</Say>", "0.36"),
        ("<Gather><Say voice='Polly.Joanna'>x<sub alias='yyyy'>z</sub></Say></Gather>", "0.01"),
    ] {
        assert_eq!(costs(inner), price.parse().unwrap(), "{inner}");
    }
}

#[test]
fn what_goes_on_with_a_call_that_nobody_has_bound_is_priced_for_four_hours_or_longer() {
    let mut rules = Rules::default();
    rules.overrides.fees.insert(Fee::StreamMinute, "0.01".parse().unwrap());
    for (longest, price) in [(3_600, "2.4"), (14_400, "2.4"), (86_400, "14.4")] {
        rules.assumed.call_seconds_at_most = longest;
        let book = PriceBook::new(Prices::new("USD"), rules.clone()).unwrap();
        let around = Around { seconds: None, ..around(&book) };
        let worth = read("<Connect><Stream url='wss://a.example'/></Connect>", &around).unwrap();
        assert_eq!(total(&worth), price.parse().unwrap(), "{longest}");
    }
}

#[test]
fn whom_it_reaches_and_as_whom_is_told_of_each() {
    let book = book();
    let inner = "<Dial callerId='+14155550100' timeLimit='60'><Number>+14155550123</Number><Client>jo</Client></Dial>\
                 <Message to='+447911123456'>x</Message><Pay/>";
    let worth = read(inner, &around(&book)).unwrap();
    let told: Vec<_> = worth
        .steps
        .iter()
        .map(|step| {
            (step.kind.operation(), step.to.as_deref(), step.from.as_deref(), step.destination.is_some())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("twiml.call", Some("+14155550123"), Some("+14155550100"), true),
            ("twiml.call", Some("client:jo"), Some("+14155550100"), false),
            ("twiml.message", Some("+447911123456"), Some("+14155550100"), true),
            ("twiml.other", None, None, false),
        ]
    );
}

/// Verbs, each of which stands for itself.
fn verbs() -> impl Strategy<Value = String> {
    let noun = prop_oneof![
        Just("<Number>+14155550123</Number>"),
        Just("<Number>+447911123456</Number>"),
        Just("<Client>jo</Client>"),
        Just("<Sip>sip:a@b.c</Sip>"),
    ];
    let attributes = prop_oneof![
        Just(String::new()),
        (0_u32..20_000).prop_map(|seconds| format!(" timeLimit='{seconds}'")),
        Just(" record='true'".to_owned()),
        Just(" timeLimit='x'".to_owned()),
    ];
    prop_oneof![
        (noun, attributes).prop_map(|(noun, attributes)| format!("<Dial{attributes}>{noun}</Dial>")),
        "[a-z ]{0,400}".prop_map(|text| format!("<Message>{text}</Message>")),
        ("[a-z ]{0,400}", 0_u32..9)
            .prop_map(|(text, times)| { format!("<Say voice='Polly.Amy' loop='{times}'>{text}</Say>") }),
        (0_u32..9_999).prop_map(|length| format!("<Record maxLength='{length}'/>")),
        Just("<Pay/>".to_owned()),
        Just("<Gather input='speech'><Say>x</Say></Gather>".to_owned()),
        Just("<Start><Stream url='wss://a'/></Start>".to_owned()),
        Just("<Pause/>".to_owned()),
        Just("<!-- <Dial>+1</Dial> -->".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_document_costs_less_than_its_parts(parts in proptest::collection::vec(verbs(), 0..12)) {
        let book = book();
        let around = around(&book);
        let whole = read(&parts.concat(), &around).unwrap();
        let each = parts.iter().map(|part| total(&read(part, &around).unwrap()));
        let each = each.fold(Amount::ZERO, Amount::saturating_add);
        prop_assert_eq!(total(&whole), each);
        prop_assert!(whole.steps.iter().all(|step| step.charge.price() >= Amount::ZERO));
    }

    #[test]
    fn a_document_that_was_changed_needs_no_other_change_and_costs_the_same(
        parts in proptest::collection::vec(verbs(), 0..6),
    ) {
        let book = book();
        let around = around(&book);
        let text = format!("<Response>{}</Response>", parts.concat());
        let document = Document::read(text.as_bytes()).unwrap();
        let worth = price::of(&document.root, &around).unwrap();
        let changed = document.with(&worth.changes);
        let again = Document::read(&changed).unwrap();
        let worth_again = price::of(&again.root, &around).unwrap();
        prop_assert_eq!(&worth_again.changes, &vec![]);
        prop_assert_eq!(total(&worth_again), total(&worth));
        if worth.changes.is_empty() {
            prop_assert_eq!(changed, text.into_bytes());
        }
    }

    #[test]
    fn no_document_makes_it_panic(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "<Response>", "</Response>", "<Say voice='x'>", "</Say>", "<Gather input='speech'>", "</Gather>", "<Dial>",
        "<Dial timeLimit='", "'>", "</Dial>", "<Number url='/'>", "</Number>", "<Message to=\"", "\">", "</Message>", "<Body>",
        "</Body>", "<Enqueue>", "</Enqueue>", "<Start>", "<Stream/>", "</Start>", "&amp;", "&#x20;", "+1415", "5550123",
        "999999999999999999999", "<![CDATA[", "]]>", "<!--", "-->", "\u{0}", "é", "<sub alias='", "</sub>",
    ]), 0..40), passes: bool) {
        let book = book();
        let around = Around { passes_unknown: passes, passes_foreign: passes, ..around(&book) };
        if let Ok(document) = Document::read(pieces.concat().as_bytes())
            && let Ok(worth) = price::of(&document.root, &around)
        {
            let _any_outcome = Document::read(&document.with(&worth.changes)).unwrap();
        }
    }
}

#[test]
fn a_text_that_twilio_does_not_send_has_no_price_however_it_is_given() {
    let book = book();
    let around = around(&book);
    let [most, more] = [1_600, 1_601].map(|length| "ä".repeat(length));
    assert!(read(&format!("<Message>{most}</Message>"), &around).is_ok());
    for inner in [format!("<Message>{more}</Message>"), format!("<Sms to='+14155550100'>{more}</Sms>")] {
        assert!(
            matches!(read(&inner, &around), Err(Refusal::UnknownTwiml(why)) if why.contains("1600")),
            "{inner}"
        );
    }
    assert!(price::of_text(&more, &around).is_err());
}
