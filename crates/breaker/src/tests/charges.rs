//! What a request costs at worst: refusals, then figures by hand.

use super::books::{amount, book, book_with, number};
use super::*;
use crate::charge::{
    Approval, Body, Call, Channel, Dial, Lookup, LookupVersion, Media, Message, Noun, Purchase, Recipient,
    Sender, TimeLimit, Unpriced, Verb, Verification, VerificationChannel, categories, minutes,
};
use crate::price_book::{Assumptions, Fee, Kind, NumberType, Override, Overrides, Place, Rules, Unknown};
use crate::{Charge, PriceBook};

pub(super) const AMERICAN: &str = "+14155550100";
pub(super) const GERMAN: &str = "+4915112345678";

fn to(text: &str) -> Recipient {
    Recipient::parse(text)
}

/// The fee as this program has it.
fn fee(fee: Fee) -> Amount {
    fee.built_in()
}

/// The price of the line that is counted in a category.
fn part(charge: &Charge, category: &str) -> Amount {
    charge.amount(Measure::Price, category)
}

fn german(body: &str) -> Message<'_> {
    Message::text(to(GERMAN), Sender::LongCode, body)
}

fn text_price(message: &Message<'_>) -> Amount {
    part(&message.charge(&book()).expect("a price"), "sms-outbound")
}

/// A call of so many seconds.
pub(super) fn call(to: Recipient, time_limit: Option<u64>) -> Call {
    Call {
        to,
        from: None,
        time_limit,
        record: false,
        conference_record: false,
        machine_detection: false,
        conference: false,
    }
}

#[test]
fn who_is_no_number_and_no_known_channel_has_no_price() {
    let book = book();
    for text in [
        "",
        "4155550100",
        "+1 415 555 0100",
        "tel:+14155550100",
        "sip:+14155550100@x.pstn.twilio.com",
        "fax:1",
    ] {
        let message = Message::text(to(text), Sender::Any, "hello");
        assert_eq!(message.charge(&book), Err(Unpriced::Recipient), "{text}");
        assert_eq!(call(to(text), None).charge(&book), Err(Unpriced::Recipient), "{text}");
    }
    for text in ["client:tom", "sip:tom@example.com", "911"] {
        assert_eq!(
            Message::text(to(text), Sender::Any, "hello").charge(&book),
            Err(Unpriced::Recipient),
            "{text}"
        );
    }
    let worst = unknown_costs("0.50");
    let two_segments = "a".repeat(161);
    let charge = Message::text(to("fax:1"), Sender::Any, &two_segments).charge(&worst).expect("a price");
    assert_eq!(part(&charge, "sms"), amount("1"));
    assert_eq!(call(to("fax:1"), Some(121)).charge(&worst).expect("a price").charge.price(), amount("1.515"));
}

#[test]
fn a_number_that_is_not_in_e164_has_no_price_whatever_unknown_ones_cost() {
    let worst = unknown_costs("0.50");
    for text in [
        "",
        "4155550100",
        "14155550100",
        "+1 415 555 0100",
        "+1-800-FLOWERS",
        "+1415555010\u{ff10}",
        "tel:+14155550100",
        "whatsapp:14155550100",
        "rcs:",
        "sip:+14155550100@x.pstn.twilio.com",
        "sip:+14155550100@x%2Epstn.twilio.com",
        "sips:+14155550100@x.pst%6e.twilio.com",
        "sip:+14155550100@1.2.3.4;maddr=x.pstn.twilio.com",
        "sip:+14155550100@1.2.3.4?Route=%3Csip:x%2epstn%2Etwilio.com%3E",
        "sip:a@x%252epstn.twilio.com?X-A=b@example.com",
    ] {
        assert_eq!(to(text), Recipient::Unclear, "{text}");
        let message = Message::text(to(text), Sender::Any, "hello");
        assert_eq!(message.charge(&worst), Err(Unpriced::Recipient), "{text}");
        assert_eq!(call(to(text), None).charge(&worst), Err(Unpriced::Recipient), "{text}");
    }
    for text in ["sip:tom%40home@example.com", "sip:tom@example.com?X-Name=a%20b%", "sip:tom@[::1]:5060"] {
        assert_eq!(to(text), Recipient::Sip, "{text}");
    }
    for channel in ["sms", "call", "whatsapp", "sna", "rcs", "auto", "voice"] {
        let channel = VerificationChannel::parse(channel);
        let nobody = Verification { to: None, channel, custom_message: None, inserted: &[] };
        assert_eq!(nobody.charge(&worst), Err(Unpriced::Recipient), "{channel:?}");
    }
}

fn unknown_costs(price: &str) -> PriceBook {
    book_with(Rules { unknown: Unknown::Costs(amount(price)), ..Rules::default() })
}

#[test]
fn what_verify_lookup_and_twiml_do_not_know_has_no_price() {
    let book = book();
    let verification = |channel| Verification {
        to: Some(number(AMERICAN)),
        channel: VerificationChannel::parse(channel),
        custom_message: None,
        inserted: &[],
    };
    assert_eq!(
        verification("voice").charge(&book),
        Err(Unpriced::VerificationChannel("voice".to_owned())),
        "Twilio's name is `call`"
    );
    let nobody = Verification { to: None, ..verification("sms") };
    assert_eq!(nobody.charge(&book), Err(Unpriced::Recipient));
    for (version, packages, unknown) in [
        (LookupVersion::V2, "caller_name,crystal_ball", "crystal_ball"),
        (LookupVersion::V2, "carrier", "carrier"),
        (LookupVersion::V1, "carrier,whitepages_pro_caller_id", "whitepages_pro_caller_id"),
    ] {
        let lookup = Lookup { version, packages };
        assert_eq!(lookup.charge(&book), Err(Unpriced::Lookup(unknown.to_owned())));
    }
    let dial = Dial {
        nouns: &[Noun::Other],
        from: None,
        time_limit: None,
        before: 0,
        record: false,
        conference_record: false,
        machine_detection: false,
    };
    assert_eq!(dial.charge(&book), Err(Unpriced::Twiml));
    assert_eq!(Verb::Media { media: Media::Other, seconds: 60 }.charge(&book), Err(Unpriced::Twiml));
    assert_eq!(Purchase { country: None, number_type: None }.charge(&book), Err(Unpriced::Recipient));
}

#[test]
fn a_text_costs_its_segments_and_what_is_taken_beside_them() {
    let book = book();
    let message = Message::text(to(AMERICAN), Sender::LongCode, "hello");
    let charge = message.charge(&book).expect("a price");
    assert_eq!(part(&charge, "sms"), amount("0.0079"));
    assert_eq!(part(&charge, "sms-messages-carrierfees"), amount("0.015"));
    assert_eq!(part(&charge, "sms-pumping-protection"), amount("0.01"));
    assert_eq!(part(&charge, "failed-message-processing-fee"), amount("0.002"));
    assert_eq!(charge.price(), amount("0.0349"));
    for (body, segments) in [
        ("", 1),
        (&*"a".repeat(160), 1),
        (&*"a".repeat(161), 2),
        (&*"€".repeat(81), 2),
        (&*"ж".repeat(70), 1),
        (&*"ж".repeat(71), 2),
        (&*"🚀".repeat(67), 3),
        (&*"a".repeat(16_000), 105),
    ] {
        let charge = german(body).charge(&book).expect("a price");
        assert_eq!(part(&charge, "sms-outbound-longcode"), amount("0.095").saturating_mul(segments));
        assert_eq!(charge.amount(Measure::Usage, "sms"), Amount::from_units(1).saturating_mul(segments));
        assert_eq!(charge.amount(Measure::Count, "sms"), dollars(1));
        assert_eq!(charge.amount(Measure::Count, "sms-messages-carrierfees"), dollars(0), "there are none");
    }
}

#[test]
fn where_the_sender_is_not_known_every_kind_of_number_counts_it() {
    let all = ["sms-outbound-longcode", "sms-outbound-shortcode", "sms-outbound-tollfree"];
    for (sender, counted) in [
        (Sender::of(Some("+14155550100"), false), [true, false, false]),
        (Sender::of(Some("12345"), false), [false, true, false]),
        (Sender::of(Some("+18885550100"), false), [false, false, true]),
        (Sender::of(Some("Ringfence"), false), [true, true, true]),
        (Sender::of(Some("Owl12"), false), [true, true, true]),
        (Sender::of(Some("123456789"), false), [true, true, true]),
        (Sender::of(None, false), [true, true, true]),
        (Sender::of(Some("+14155550100"), true), [true, true, true]),
    ] {
        let charge = Message::text(to(AMERICAN), sender, "hello").charge(&book()).expect("a price");
        assert_eq!(all.map(|category| part(&charge, category) > Amount::ZERO), counted, "{sender:?}");
        assert!(part(&charge, "sms-outbound") > Amount::ZERO && part(&charge, "sms-inbound") == Amount::ZERO);
    }
}

#[test]
fn smart_encoding_is_not_believed_to_make_a_text_shorter() {
    // Without the quotes it would be GSM-7 and one segment.
    let quotes = format!("“{}”", "a".repeat(100));
    for smart_encoded in [false, true] {
        let message = Message { smart_encoded, ..german(&quotes) };
        assert_eq!(text_price(&message), amount("0.19"));
    }
    // It makes three points of an ellipsis; one letter outside of GSM-7 keeps the text in UCS-2.
    let ellipses = format!("{}ж", "…".repeat(60));
    assert_eq!(text_price(&german(&ellipses)), amount("0.095"));
    assert_eq!(text_price(&Message { smart_encoded: true, ..german(&ellipses) }), amount("0.285"));
}

#[test]
fn smart_encoding_may_make_a_text_longer() {
    // The star keeps the text in UCS-2: 70 units alone, 67 in each segment of several.
    for (character, each) in
        [('\t', 7), ('\u{a0}', 2), ('\u{200a}', 2), ('\u{3000}', 2), ('¼', 3), ('‼', 2), ('…', 3)]
    {
        let body = format!("💥{}", character.to_string().repeat(65));
        let units = 2 + 65 * each;
        let segments = u64::try_from(units).unwrap_or(0).div_ceil(67);
        let plain = text_price(&german(&body));
        assert_eq!(plain, amount("0.095"), "{character:?} as it stands is one segment");
        for message in [
            Message { smart_encoded: true, ..german(&body) },
            Message { messaging_service: true, sender: Sender::LongCode, ..german(&body) },
        ] {
            let charge = message.charge(&book()).expect("a price");
            let usage = charge.amount(Measure::Usage, "sms-outbound");
            assert_eq!(usage, Amount::from_units(i64::try_from(segments).unwrap_or(0)), "{character:?}");
        }
    }
}

#[test]
fn a_messaging_service_may_choose_any_sender_rcs_too() {
    let service = Message { messaging_service: true, ..german("hello") };
    let charge = service.charge(&book()).expect("a price");
    assert_eq!(part(&charge, "sms-outbound"), amount("0.099"), "the short code's price");
    assert_eq!(part(&charge, "usage-rcs-messages"), amount("0.099"));
    let american = Message { messaging_service: true, ..Message::text(to(AMERICAN), Sender::Any, "hello") };
    assert_eq!(text_price(&american), fee(Fee::RcsMessage));

    let assumed = Assumptions { services_use_rcs: false, ..Assumptions::default() };
    let without = book_with(Rules { assumed, ..Rules::default() });
    let charge = american.charge(&without).expect("a price");
    assert_eq!(part(&charge, "sms-outbound"), amount("0.0083"));
    assert_eq!(part(&charge, "usage-rcs-messages"), Amount::ZERO);
    let charge = service.charge(&without).expect("a price");
    assert_eq!(part(&charge, "sms-outbound"), amount("0.099"), "whatever sender the request names");

    // An agent of RCS that is named is one, whatever is said of services.
    for message in [
        Message::text(to("rcs:+14155550100"), Sender::Any, "hello"),
        Message::text(to(AMERICAN), Sender::of(Some("rcs:agent"), false), "hello"),
    ] {
        let charge = message.charge(&without).expect("a price");
        assert_eq!(part(&charge, "usage-rcs-messages"), fee(Fee::RcsMessage));
        assert_eq!(part(&charge, "sms-outbound"), fee(Fee::RcsMessage));
    }
}

#[test]
fn a_template_is_as_long_as_a_body_may_be_and_may_have_media() {
    let message = Message { body: Body::Template, ..german("") };
    let charge = message.charge(&book()).expect("a price");
    assert_eq!(part(&charge, "sms-outbound"), amount("0.095").saturating_mul(25));
    assert_eq!(part(&charge, "mms-outbound"), amount("0.095").saturating_mul(25));
    let longest = "🚀".repeat(800);
    assert_eq!(ringfence_model::Segments::of(&longest).count, 25, "1600 units of UTF-16, two to a character");
}

#[test]
fn media_cost_a_message_or_a_text_with_links_whichever_is_dearer() {
    let book = book();
    let american = Message { media: 1, ..Message::text(to(AMERICAN), Sender::LongCode, "hello") };
    let charge = american.charge(&book).expect("a price");
    assert_eq!(part(&charge, "mms-outbound"), fee(Fee::MmsUs));
    assert_eq!(part(&charge, "sms-outbound"), fee(Fee::MmsUs), "it is billed once, as one or the other");
    assert_eq!(part(&charge, "mms-messages-carrierfees"), fee(Fee::CarrierMmsUs));
    assert_eq!(charge.price(), amount("0.072"));
    // Ten media are one message, but ten links of 64 characters: 645 are five segments.
    let ten = Message { media: 10, ..american.clone() };
    let charge = ten.charge(&book).expect("a price");
    assert_eq!(part(&charge, "mms-outbound"), amount("0.0395"));
    assert_eq!(part(&charge, "sms-messages-carrierfees"), amount("0.075"));
    // Germany has no MMS with Twilio.
    assert_eq!(text_price(&Message { media: 1, ..german(&"a".repeat(100)) }), amount("0.19"));
    // Where the operator knows of a price, it counts.
    let destinations = vec![Override { kind: Kind::Mms, place: Place::Everywhere, price: amount("0.7") }];
    let set = book_with(Rules {
        overrides: Overrides { destinations, ..Overrides::default() },
        ..Rules::default()
    });
    let charge = Message { media: 1, ..german("hello") }.charge(&set).expect("a price");
    assert_eq!(part(&charge, "mms"), amount("0.7"));
}

#[test]
fn what_a_message_asks_for_beside_is_charged() {
    let plain = german("see https://example.com").charge(&book()).expect("a price");
    for (message, category, price) in [
        (
            Message { shorten_urls: true, ..german("hello") },
            "sms-messages-features-engagement-suite",
            fee(Fee::EngagementSuite),
        ),
        (
            Message { scheduled: true, ..german("hello") },
            "sms-messages-features-engagement-suite",
            fee(Fee::EngagementSuite),
        ),
        (
            Message { redacted: true, ..german("hello") },
            "sms-messages-features-message-redaction",
            fee(Fee::MessageRedaction),
        ),
        (german("hello"), "sms-pumping-protection-non-usca", fee(Fee::PumpingCheck)),
        (Message { risk_check: false, ..german("hello") }, "sms-pumping-protection", Amount::ZERO),
    ] {
        assert_eq!(part(&message.charge(&book()).expect("a price"), category), price, "{message:?}");
    }
    assert_eq!(part(&plain, "sms-messages-features"), Amount::ZERO);
    // A shortened link may be longer than the one it stands for.
    let short = format!("{} http://a.b", "a".repeat(140));
    assert_eq!(text_price(&german(&short)), amount("0.095"));
    assert_eq!(text_price(&Message { shorten_urls: true, ..german(&short) }), amount("0.19"));
}

#[test]
fn other_channels_cost_their_own_fees() {
    let book = book();
    let of = |text| Message::text(to(text), Sender::Any, "hello").charge(&book).expect("a price");
    let whatsapp = of("whatsapp:+4915112345678");
    assert_eq!(part(&whatsapp, "channels"), amount("0.255"));
    assert_eq!(part(&whatsapp, "channels-whatsapp-template-marketing"), amount("0.255"));
    assert_eq!(part(&whatsapp, "sms"), Amount::ZERO);
    assert_eq!(part(&of("messenger:12345"), "channels"), fee(Fee::MessengerMessage));
    assert_eq!(to("WhatsApp:+14155550100"), Recipient::Channel(Channel::Whatsapp, Some(number(AMERICAN))));
    assert_eq!(to("whatsapp:+14155550100").phone(), Some(number(AMERICAN)));
}

#[test]
fn a_call_without_a_time_limit_gets_one_and_a_longer_one_is_cut() {
    let book = book();
    for (asked, limit, minutes) in [
        (None, TimeLimit::Set(600), 10),
        (Some(0), TimeLimit::Set(600), 10),
        (Some(1), TimeLimit::Asked(1), 1),
        (Some(60), TimeLimit::Asked(60), 1),
        (Some(61), TimeLimit::Asked(61), 2),
        (Some(14_400), TimeLimit::Asked(14_400), 240),
        (Some(14_401), TimeLimit::Set(14_400), 240),
        (Some(u64::MAX), TimeLimit::Set(14_400), 240),
    ] {
        let timed = call(to(AMERICAN), asked).charge(&book).expect("a price");
        assert_eq!(timed.time_limit, limit, "{asked:?}");
        assert_eq!(
            part(&timed.charge, "calls-outbound"),
            amount("0.014").saturating_mul(minutes),
            "{asked:?}"
        );
        assert_eq!(
            timed.charge.amount(Measure::Usage, "calls"),
            Amount::from_units(1).saturating_mul(minutes)
        );
        assert_eq!(timed.charge.amount(Measure::Count, "calls"), dollars(1));
    }
    // A limit of the operator's that is none is one second, not forever.
    let assumed = Assumptions { call_seconds: 0, call_seconds_at_most: 0, ..Assumptions::default() };
    let none = book_with(Rules { assumed, ..Rules::default() });
    assert_eq!(call(to(AMERICAN), None).charge(&none).expect("a price").time_limit, TimeLimit::Set(1));
    assert_eq!([0, 1, 60, 61, u64::MAX].map(minutes), [1, 1, 1, 2, u64::MAX / 60 + 1]);
}

#[test]
fn a_call_costs_its_leg_and_what_is_done_with_it() {
    let book = book();
    let two_minutes = |to| Call { from: Some(number("+442071234567")), ..call(to, Some(120)) };
    for (to, category, price) in [
        (to("+447700900123"), "calls-outbound", amount("0.042")),
        (to("sip:tom@example.com"), "calls-sip-outbound", amount("0.01")),
        (to("client:tom"), "calls-client", amount("0.01")),
        (to("whatsapp:+14155550100"), "calls-outbound", amount("0.6")),
        (to("911"), "calls-emergency", amount("100")),
    ] {
        let charge = two_minutes(to).charge(&book).expect("a price").charge;
        assert_eq!(part(&charge, category), price, "{to:?}");
        assert_eq!(part(&charge, "calls"), price, "{to:?}");
        assert_eq!(charge.price(), price.saturating_add(amount("0.01")), "{to:?} with Voice Insights");
    }
    let everything =
        Call { record: true, machine_detection: true, conference: true, ..two_minutes(to(AMERICAN)) };
    let charge = everything.charge(&book).expect("a price").charge;
    assert_eq!(part(&charge, "recordings"), amount("0.01"));
    assert_eq!(part(&charge, "answering-machine-detection"), amount("0.01"));
    assert_eq!(part(&charge, "conference"), amount("0.01"));
    assert_eq!(charge.price(), amount("0.068"));
}

#[test]
fn a_conference_is_recorded_beside_the_call_and_for_as_long_as_a_call_may_be() {
    let recorded = |record, conference_record| {
        let call = Call { record, conference_record, conference: true, ..call(to(AMERICAN), Some(120)) };
        part(&call.charge(&book()).expect("a price").charge, "recordings")
    };
    let most = fee(Fee::RecordingMinute).saturating_mul(240);
    assert_eq!(recorded(false, true), most);
    assert_eq!(recorded(true, true), most.saturating_add(fee(Fee::RecordingMinute).saturating_mul(2)));
}

#[test]
fn a_verification_costs_its_start_and_its_channel() {
    let book = book();
    let of = |to: &str, channel| {
        let channel = VerificationChannel::parse(channel);
        let verification =
            Verification { to: Some(number(to)), channel, custom_message: None, inserted: &[] };
        verification.charge(&book).expect("a price")
    };
    // Three segments of 0.0083, three carrier fees, two minutes of 0.014.
    for (channel, category, price) in [
        ("sms", "authy-sms-outbound", "0.0249"),
        ("call", "authy-calls-outbound", "0.028"),
        ("whatsapp", "channels-whatsapp", "0.255"),
        ("email", "authy-verify-outbound-email", "0.05"),
        ("rcs", "usage-rcs-messages", "0.05"),
        ("auto", "sms-outbound", "0.255"),
    ] {
        assert_eq!(part(&of(AMERICAN, channel), category), amount(price), "{channel}");
    }
    assert_eq!(of(AMERICAN, "sms").price(), amount("0.1349"));
    assert_eq!(of(AMERICAN, "call").price(), amount("0.093"));
    assert_eq!(of(AMERICAN, "sna").price(), amount("0.165"));
    assert_eq!(of(GERMAN, "sms").price(), amount("0.362"));
    assert_eq!(of(GERMAN, "sms").amount(Measure::Count, "sms-messages-carrierfees"), dollars(0));
    assert_eq!(of(AMERICAN, "auto").price(), amount("0.365"));
    assert_eq!(part(&of(AMERICAN, "sms"), "lookups"), amount("0.015"), "the service may look the number up");
    let to_nobody =
        Verification { to: None, channel: VerificationChannel::Email, custom_message: None, inserted: &[] };
    assert_eq!(
        part(&to_nobody.charge(&book).expect("a price"), "lookups"),
        Amount::ZERO,
        "there is no number"
    );
    let assumed = Assumptions { verify_looks_up: false, ..Assumptions::default() };
    let without = book_with(Rules { assumed, ..Rules::default() });
    let known = Verification { to: Some(number(AMERICAN)), ..to_nobody };
    assert_eq!(part(&known.charge(&without).expect("a price"), "lookups"), Amount::ZERO);
    // The channel and its start are counted in the one category.
    assert_eq!(part(&of(AMERICAN, "sms"), "verify-voice-sms"), amount("0.0749"));
    assert_eq!(Approval.charge(&book).expect("a price").price(), amount("0.05"));

    let long = "a".repeat(600);
    let custom = Verification {
        to: Some(number(AMERICAN)),
        channel: VerificationChannel::Sms,
        custom_message: Some(&long),
        inserted: &[],
    };
    assert_eq!(part(&custom.charge(&book).expect("a price"), "sms"), amount("0.0415"));
    // Four segments of one, one of the other, beside Verify's own three.
    let filled = Verification { custom_message: None, inserted: &[&long, "Owl, Inc."], ..custom };
    assert_eq!(part(&filled.charge(&book).expect("a price"), "sms"), amount("0.0664"));
}

#[test]
fn a_lookup_costs_each_package_each_time_it_is_named() {
    let book = book();
    let price = |version, packages| Lookup { version, packages }.charge(&book).map(|it| it.price());
    for (version, packages, sum) in [
        (LookupVersion::V2, "", "0"),
        (LookupVersion::V2, "validation", "0"),
        (LookupVersion::V2, "line_type_intelligence", "0.015"),
        (LookupVersion::V2, "line_type_intelligence, sim_swap", "0.165"),
        (LookupVersion::V2, "caller_name,caller_name", "0.04"),
        (LookupVersion::V1, "carrier,caller-name", "0.03"),
    ] {
        assert_eq!(price(version, packages), Ok(amount(sum)), "{packages}");
    }
    let nothing = Lookup { version: LookupVersion::V2, packages: "" }.charge(&book).expect("a price");
    assert_eq!(nothing.amount(Measure::Count, "lookups"), dollars(1), "it is free, but it is one");
}

#[test]
fn a_number_costs_its_first_month() {
    let book = book();
    let price = |it: Purchase| it.charge(&book).map(|it| it.price());
    assert_eq!(price(Purchase::of_number(number("+14155550100"))), Ok(amount("2.15")), "of whatever kind");
    assert_eq!(price(Purchase::of_number(number("+18885550100"))), Ok(amount("2.15")));
    assert_eq!(price(Purchase::of_area("415", Some(NumberType::Local))), Ok(amount("1.15")));
    assert_eq!(price(Purchase::of_area("416", None)).ok(), None, "Canada's were not learnt");
    for area in ["", "41", "4155", "4-5"] {
        assert_eq!(Purchase::of_area(area, None).country, None, "{area}");
    }
    let toll_free = Purchase::of_number(number("+18885550100")).charge(&book).expect("a price");
    assert_eq!(part(&toll_free, "phonenumbers-tollfree"), amount("2.15"));
    assert_eq!(part(&toll_free, "phonenumbers-local"), Amount::ZERO);
    assert_eq!(part(&toll_free, "phonenumbers"), amount("2.15"));
}

#[test]
fn the_verbs_of_twiml_cost_what_they_begin() {
    let book = book();
    let nouns = [Noun::Party(to(AMERICAN)), Noun::Party(to("client:tom")), Noun::Queue];
    let dial = Dial {
        nouns: &nouns,
        from: None,
        time_limit: Some(90),
        before: 0,
        record: true,
        conference_record: false,
        machine_detection: true,
    };
    let timed = dial.charge(&book).expect("a price");
    assert_eq!(timed.time_limit, TimeLimit::Asked(90));
    // Both may answer: 2 × 0.014, 2 × 0.005, each with detection 0.01 and Voice Insights 2 × 0.005; recorded 2 × 0.005.
    assert_eq!(timed.charge.price(), amount("0.088"));
    let waits = Dial { nouns: &[Noun::Conference], time_limit: None, record: false, ..dial };
    assert_eq!(waits.charge(&book).expect("a price").charge.price(), amount("0.05"));
    let media = |media| Verb::Media { media, seconds: 61 };
    for (verb, category, price) in [
        (Verb::Refer, "calls-transfers", "0.2"),
        (Verb::Enqueue { task: true }, "taskrouter-tasks", "0.1"),
        (Verb::Enqueue { task: false }, "totalprice", "0"),
        (Verb::Record { seconds: 3_600, transcribe: false }, "recordings", "0.3"),
        (Verb::Record { seconds: 120, transcribe: true }, "transcriptions", "0.12"),
        (Verb::Pay, "calls-pay-verb-transactions", "0.2"),
        (media(Media::Stream), "calls-media-stream-minutes", "0.01"),
        (media(Media::Siprec), "calls-media-stream-minutes", "0.01"),
        (media(Media::Transcription), "voice-intelligence", "0.12"),
        (media(Media::ConversationRelay), "conversation-relay", "0.2"),
        (media(Media::VirtualAgent), "virtual-agent", "0.4"),
        (media(Media::Room), "pv", "0.02"),
        (media(Media::Recording), "calls-recordings", "0.01"),
        (Verb::Listen { seconds: 31 }, "speech-recognition", "0.09"),
        (Verb::Say { characters: 101, premium: true }, "amazon-polly", "0.04"),
        (Verb::Say { characters: 101, premium: false }, "amazon-polly", "0"),
    ] {
        assert_eq!(part(&verb.charge(&book).expect("a price"), category), amount(price), "{verb:?}");
    }
}

#[test]
fn charges_add_up_and_the_usage_of_the_total_is_money() {
    let book = book();
    let one = german("hello").charge(&book).expect("a price");
    let both = one.clone().and(call(to(AMERICAN), None).charge(&book).expect("a price").charge);
    assert_eq!(both.price(), one.price().saturating_add(amount("0.19")));
    for measure in [Measure::Price, Measure::Usage] {
        assert_eq!(both.amount(measure, "totalprice"), both.price());
    }
    assert_eq!(both.amount(Measure::Price, "never-heard-of"), Amount::ZERO);
    assert_eq!(Charge::default().price(), Amount::ZERO);
}

#[test]
fn every_line_is_in_the_total_and_in_no_category_twice() {
    for (name, list) in categories::ALL {
        assert_eq!(list.iter().filter(|it| **it == categories::TOTAL_PRICE).count(), 1, "{name}");
        assert!(list.iter().all(|it| list.iter().filter(|other| *other == it).count() == 1), "{name}");
    }
}
