//! What holds of every charge.

use proptest::prelude::*;

use super::books::{amount, book, book_with, number};
use super::charges::{AMERICAN, GERMAN, call};
use super::*;
use crate::Charge;
use crate::charge::{
    Body, Call, Lookup, LookupVersion, Media, Message, Purchase, Recipient, Sender, Verb, Verification,
    VerificationChannel, categories,
};
use crate::price_book::{
    Assumptions, Fee, Kind, Override, Overrides, Place, PriceBook, Prices, Rules, Unknown,
};

/// A book in which nothing is too dear.
fn dearest_book() -> PriceBook {
    let destinations =
        [Kind::Segment, Kind::Minute, Kind::CarrierFee, Kind::Whatsapp, Kind::Rcs, Kind::Mms, Kind::Number];
    let destinations =
        destinations.map(|kind| Override { kind, place: Place::Everywhere, price: Amount::MAX });
    let fees = Fee::ALL.iter().map(|fee| (*fee, Amount::MAX)).collect();
    book_with(Rules { overrides: Overrides { destinations: destinations.into(), fees }, ..Rules::default() })
}

fn recipients() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\+[0-9]{1,16}",
        "(whatsapp|rcs|messenger|sip|client|app):\\+?[0-9]{0,16}",
        proptest::sample::select(vec![AMERICAN.to_owned(), GERMAN.to_owned(), "911".to_owned()]),
    ]
}

/// Those that have a price, though it may not be known.
fn clear_recipients() -> impl Strategy<Value = String> {
    recipients().prop_filter("a number is in E.164", |to| Recipient::parse(to) != Recipient::Unclear)
}

fn bodies() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a€ж🚀…]{0,400}", "(http://a.b ){0,40}"]
}

fn messages() -> impl Strategy<Value = (String, Option<String>, String, [bool; 6], usize)> {
    let from = proptest::option::of(recipients());
    let media = prop_oneof![Just(0), 0..12_usize, Just(usize::MAX)];
    (recipients(), from, bodies(), any::<[bool; 6]>(), media)
}

fn message(it: &(String, Option<String>, String, [bool; 6], usize)) -> Message<'_> {
    let (
        to,
        from,
        body,
        [messaging_service, smart_encoded, risk_check, shorten_urls, scheduled, redacted],
        media,
    ) = it;
    Message {
        to: Recipient::parse(to),
        sender: Sender::of(from.as_deref(), *messaging_service),
        messaging_service: *messaging_service,
        body: Body::Text(body),
        media: *media,
        smart_encoded: *smart_encoded,
        network: None,
        risk_check: *risk_check,
        shorten_urls: *shorten_urls,
        scheduled: *scheduled,
        redacted: *redacted,
    }
}

fn is_sound(charge: &Charge) -> bool {
    let amounts = charge.lines.iter().flat_map(|line| [line.price, line.usage, line.count]);
    let in_total = charge.lines.iter().all(|line| line.categories.contains(&categories::TOTAL_PRICE));
    amounts.chain([charge.price()]).all(|it| it >= Amount::ZERO) && in_total
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_message_panics_or_costs_less_than_nothing(it in messages()) {
        let worst = Rules { unknown: Unknown::Costs(amount("0.50")), ..Rules::default() };
        for book in [book(), book_with(worst), dearest_book()] {
            if let Ok(charge) = message(&it).charge(&book) {
                prop_assert!(is_sound(&charge) && charge.price() > Amount::ZERO, "{charge:?}");
            }
        }
        let charge = message(&it).charge(&dearest_book());
        prop_assert!(charge.is_err() || charge.is_ok_and(|it| it.price() == Amount::MAX));
    }

    #[test]
    fn more_text_more_media_and_more_features_never_cost_less(
        it in messages(), more in bodies(), flags in any::<[bool; 6]>(), media in 0..5_usize,
    ) {
        let mut larger = it.clone();
        larger.2.push_str(&more);
        larger.4 = larger.4.saturating_add(media);
        for (flag, add) in larger.3.iter_mut().zip(flags) {
            *flag |= add;
        }
        let book = book();
        let (less, more) = (message(&it).charge(&book), message(&larger).charge(&book));
        prop_assert_eq!(less.is_ok(), more.is_ok());
        if let (Ok(less), Ok(more)) = (less, more) {
            prop_assert!(less.price() <= more.price(), "{less:?} {more:?}");
            prop_assert!(less.amount(Measure::Usage, "sms") <= more.amount(Measure::Usage, "sms"));
        }
        // A body that is not told is no shorter than one that Twilio takes.
        let template = Message { body: Body::Template, ..message(&it) };
        let told = it.2.chars().take(800).collect::<String>();
        let told = Message { body: Body::Text(&told), shorten_urls: false, media: 0, smart_encoded: false,
            messaging_service: false, sender: Sender::Any, ..message(&it) };
        if let (Ok(template), Ok(told)) = (template.charge(&book), told.charge(&book)) {
            prop_assert!(told.price() <= template.price());
        }
    }

    #[test]
    fn a_longer_call_never_costs_less_and_none_is_unbounded(
        to in clear_recipients(), seconds in 1..=u64::MAX, more in any::<u64>(), flags in any::<[bool; 4]>(),
        assumed in any::<(u32, u32)>(),
    ) {
        let assumed = Assumptions {
            call_seconds: assumed.0, call_seconds_at_most: assumed.1, ..Assumptions::default()
        };
        let book = book_with(Rules { assumed, unknown: Unknown::Costs(amount("0.50")), ..Rules::default() });
        let [record, conference_record, machine_detection, conference] = flags;
        let of = |time_limit| {
            let call = call(Recipient::parse(&to), time_limit);
            let call = Call { record, conference_record, machine_detection, conference, ..call };
            call.charge(&book).expect("the worst price at least")
        };
        let (short, long, none) = (of(Some(seconds)), of(Some(seconds.saturating_add(more))), of(None));
        prop_assert!(short.charge.price() <= long.charge.price());
        for timed in [short, long, none] {
            prop_assert!(is_sound(&timed.charge) && timed.charge.price() > Amount::ZERO);
            let limit = timed.time_limit.seconds();
            prop_assert!((1..=book.assumed().call_seconds_at_most.max(1)).contains(&limit));
            prop_assert!(timed.charge.amount(Measure::Usage, "calls") >= Amount::from_units(i64::from(limit) / 60));
        }
    }

    #[test]
    fn nothing_else_panics_or_costs_less_than_nothing(
        text in any::<String>(), to in "\\+[1-9][0-9]{1,14}", numbers in any::<[u64; 2]>(), flag in any::<bool>(),
    ) {
        for book in [book(), dearest_book(), PriceBook::new(Prices::new("EUR"), Rules::default()).expect("a book")] {
            let to = number(&to);
            let mut all = vec![
                Lookup { version: LookupVersion::V1, packages: &text }.charge(&book),
                Lookup { version: LookupVersion::V2, packages: &text }.charge(&book),
                Purchase::of_number(to).charge(&book),
                Purchase::of_area(&text, None).charge(&book),
                Verb::Record { seconds: numbers[0], transcribe: flag }.charge(&book),
                Verb::Listen { seconds: numbers[0] }.charge(&book),
                Verb::Say { characters: numbers[1], premium: flag }.charge(&book),
                Verb::Media { media: Media::Stream, seconds: numbers[1] }.charge(&book),
            ];
            for channel in ["sms", "call", "whatsapp", "email", "sna", "rcs", "auto", &text] {
                let channel = VerificationChannel::parse(channel);
                let (custom_message, inserted) = (Some(text.as_str()), &[text.as_str()][..]);
                all.push(Verification { to: Some(to), channel, custom_message, inserted }.charge(&book));
            }
            prop_assert!(all.into_iter().flatten().all(|charge| is_sound(&charge)));
        }
    }

    #[test]
    fn what_is_not_known_is_never_free(to in clear_recipients(), body in bodies()) {
        let nothing = Prices::new("EUR");
        let refuses = PriceBook::new(nothing.clone(), Rules::default()).expect("a book");
        let worst = Rules { unknown: Unknown::Costs(amount("0.50")), ..Rules::default() };
        let takes = PriceBook::new(nothing, worst).expect("a book");
        let message = Message::text(Recipient::parse(&to), Sender::Any, &body);
        let call = call(Recipient::parse(&to), None);
        prop_assert!(message.charge(&refuses).is_err() && call.charge(&refuses).is_err());
        prop_assert!(message.charge(&takes).is_ok_and(|it| it.price() >= amount("0.50")));
        prop_assert!(call.charge(&takes).is_ok_and(|it| it.charge.price() >= amount("5")));
    }
}
