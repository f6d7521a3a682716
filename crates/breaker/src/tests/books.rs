//! Which price of a book holds.

use proptest::prelude::*;
use ringfence_model::{Country, PhoneNumber, Sid};

use super::*;
use crate::DialPrefix;
use crate::charge::{Sender, Unpriced};
use crate::price_book::{
    Fee, InvalidPrices, Kind, Learnt, Network, NetworkPrices, NumberType, NumberTypePrice, Override,
    Overrides, Place, PrefixPrice, PriceBook, Prices, Rules, Source, Unknown,
};

pub(super) fn amount(text: &str) -> Amount {
    text.parse().expect("an amount of the test")
}

pub(super) fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).expect("a number of the test")
}

fn country(text: &str) -> Country {
    Country::parse(text).expect("a country of the test")
}

fn prefix(text: &str) -> DialPrefix {
    DialPrefix::of_digits(text).expect("a prefix of the test")
}

fn learnt<T>(is: T) -> Learnt<T> {
    Learnt { from: Source::Account(Sid::new(*b"AC", 1)), at: at("2026-11-01T00:00:00Z"), is }
}

fn network(mcc: &str, mnc: &str) -> Network {
    Network { mcc: mcc.to_owned(), mnc: mnc.to_owned() }
}

/// What one network takes, by kind of number.
fn takes(network: Option<Network>, prices: &[(&str, &str)]) -> NetworkPrices {
    let prices = prices.iter().map(|(number_type, price)| NumberTypePrice {
        number_type: NumberType::of(Some(number_type)),
        price: (!price.is_empty()).then(|| amount(price)),
    });
    NetworkPrices { network, prices: prices.collect() }
}

/// What a minute costs, from some callers to some numbers.
fn minute(from: &[&str], to: &[&str], price: &str) -> PrefixPrice {
    PrefixPrice {
        to: to.iter().map(|it| prefix(it)).collect(),
        from: from.iter().map(|it| prefix(it)).collect(),
        price: (!price.is_empty()).then(|| amount(price)),
    }
}

/// What an account has learnt of a few countries.
pub(super) fn prices() -> Prices {
    let mut prices = Prices::new("USD");
    let messages = [
        ("US", vec![takes(None, &[("local", "0.0079"), ("toll free", "0.0083"), ("shortcode", "0.0075")])]),
        ("CA", vec![takes(None, &[("local", "0.0079")])]),
        ("GB", vec![takes(None, &[("local", "0.0463")])]),
        ("JE", vec![takes(None, &[("local", "0.0700")])]),
        (
            "DE",
            vec![
                takes(Some(network("262", "01")), &[("mobile", "0.0870"), ("shortcode", "0.0990")]),
                takes(Some(network("262", "02")), &[("mobile", "0.0950")]),
                takes(Some(network("262", "03")), &[("mobile", "")]),
            ],
        ),
        ("KZ", vec![takes(None, &[("mobile", "")])]),
    ];
    for (country, rows) in messages {
        prices.learn_messages(country, "usd", learnt(rows)).expect("prices of the test");
    }
    let calls = [
        ("US", vec![minute(&[], &["1"], "0.014")]),
        (
            "GB",
            vec![
                minute(&[], &["44"], "0.016"),
                minute(&[], &["447"], "0.030"),
                minute(&["44"], &["447"], "0.021"),
            ],
        ),
        (
            "FR",
            vec![
                minute(&[], &["33"], "0.10"),
                minute(&["33", "331"], &["336"], "0.02"),
                minute(&["331"], &["336"], "0.03"),
            ],
        ),
        (
            "RU",
            vec![
                minute(&[], &["7"], "0.05"),
                minute(&[], &["7840"], ""),
                minute(&["1"], &["7495"], ""),
                minute(&["1"], &["7495"], "0.04"),
            ],
        ),
    ];
    for (country, rows) in calls {
        prices.learn_calls(country, "USD", learnt(rows)).expect("prices of the test");
    }
    let rent = [("local", "1.15"), ("toll free", "2.15")];
    prices.learn_numbers("US", "USD", learnt(takes(None, &rent).prices)).expect("prices of the test");
    prices
}

pub(super) fn book() -> PriceBook {
    book_with(Rules::default())
}

pub(super) fn book_with(rules: Rules) -> PriceBook {
    PriceBook::new(prices(), rules).expect("a book of the test")
}

fn set(kind: Kind, place: Place, price: &str) -> Override {
    Override { kind, place, price: amount(price) }
}

fn with(destinations: Vec<Override>) -> PriceBook {
    book_with(Rules { overrides: Overrides { destinations, ..Overrides::default() }, ..Rules::default() })
}

#[test]
fn what_is_below_nothing_or_free_unknown_or_of_another_currency_makes_no_book() {
    let mut kept = prices();
    let negative = InvalidPrices::Negative(amount("-0.01"));
    assert_eq!(
        kept.learn_calls("US", "USD", learnt(vec![minute(&[], &["1"], "-0.01")])),
        Err(negative.clone())
    );
    let other = InvalidPrices::OtherCurrency { learnt: "EUR".to_owned(), book: "USD".to_owned() };
    assert_eq!(kept.learn_messages("US", "EUR", learnt(vec![])), Err(other));
    assert_eq!(kept, prices(), "what is refused changes nothing");

    // What was kept may have been changed by hand.
    kept.numbers.insert("US".to_owned(), learnt(takes(None, &[("local", "-0.01")]).prices));
    assert_eq!(PriceBook::new(kept, Rules::default()).err(), Some(negative.clone()));
    let wrong = Overrides { fees: [(Fee::MmsUs, amount("-0.01"))].into(), ..Overrides::default() };
    let rules = Rules { overrides: wrong, ..Rules::default() };
    assert_eq!(PriceBook::new(prices(), rules).err(), Some(negative.clone()));
    let destinations = vec![set(Kind::Minute, Place::Everywhere, "-0.01")];
    let rules = Rules { overrides: Overrides { destinations, ..Overrides::default() }, ..Rules::default() };
    assert_eq!(PriceBook::new(prices(), rules).err(), Some(negative));
    for free in ["0", "-1"] {
        let rules = Rules { unknown: Unknown::Costs(amount(free)), ..Rules::default() };
        assert_eq!(PriceBook::new(prices(), rules).err(), Some(InvalidPrices::UnknownIsFree));
    }
}

#[test]
fn a_prefix_that_is_none_is_refused_and_not_left_out() {
    for text in ["", "+", "0", "01", "1-876", "1 876", "1234567890123456", "ALL", "+1"] {
        assert!(DialPrefix::of_digits(text).is_err(), "{text}");
    }
    let json = r#"{"version":1,"currency":"USD","calls":{"US":{"from":"operator","at":"2026-11-01T00:00:00Z","is":[{"to":["x"],"price":1}]}}}"#;
    assert!(serde_json::from_str::<Prices>(json).is_err());
}

#[test]
fn a_destination_without_a_price_is_refused_or_takes_the_worst_one() {
    let book = book();
    let worst = book_with(Rules { unknown: Unknown::Costs(amount("0.50")), ..Rules::default() });
    for (to, of) in [
        ("+77011234567", Some("KZ")),  // Twilio tells none
        ("+819012345678", Some("JP")), // never learnt
        ("+18005550123", None),        // nobody carries it
        ("+881612345678", None),       // no country's
    ] {
        let (to, of) = (number(to), of.map(country));
        assert_eq!(book.segment(to, Sender::Any, None), Err(Unpriced::Segment(of)), "{to}");
        assert_eq!(worst.segment(to, Sender::Any, None), Ok(amount("0.50")), "{to}");
    }
    for (to, of) in [
        ("+18765550100", Some("JM")), // the neighbour's prefix 1 fits it
        ("+77011234567", Some("KZ")), // and Russia's 7 this one
        ("+78401234567", Some("RU")), // a longer prefix without a price is not the shorter one
        ("+819012345678", Some("JP")),
        ("+881612345678", None),
    ] {
        let (to, of) = (number(to), of.map(country));
        assert_eq!(book.minute(to, None), Err(Unpriced::Minute(of)), "{to}");
        assert_eq!(book.minute(to, Some(number("+14155550100"))), Err(Unpriced::Minute(of)), "{to}");
        assert_eq!(worst.minute(to, None), Ok(amount("0.50")), "{to}");
    }
    // Of two rows for the same callers one has no price: nobody knows that it is the cheaper one.
    let moscow = number("+74951234567");
    let unknown = Err(Unpriced::Minute(Some(country("RU"))));
    assert_eq!(book.minute(moscow, Some(number("+14155550100"))), unknown);
    assert_eq!(book.number(country("DE"), None), Err(Unpriced::Number(country("DE"))));
    assert_eq!(worst.number(country("DE"), None), Ok(amount("0.50")));
}

#[test]
fn a_segment_takes_the_dearest_that_sender_and_network_may_have() {
    let book = book();
    let segment = |to, sender, network| book.segment(number(to), sender, network).expect("a price");
    let german = "+4915112345678";
    let known = network("262", "01");
    let never_heard_of = network("262", "99");
    for (to, sender, network, price) in [
        ("+14155550100", Sender::Any, None, "0.0083"),
        ("+14155550100", Sender::LongCode, None, "0.0079"),
        ("+14155550100", Sender::TollFree, None, "0.0083"),
        ("+14155550100", Sender::ShortCode, None, "0.0075"),
        // Numbers of Jersey are among the United Kingdom's, and so are those of Guernsey, which Twilio does not list.
        ("+447700900123", Sender::LongCode, None, "0.07"),
        ("+447797123456", Sender::LongCode, None, "0.07"),
        ("+447781123456", Sender::LongCode, None, "0.07"),
        (german, Sender::LongCode, None, "0.095"),
        (german, Sender::Any, None, "0.099"),
        (german, Sender::LongCode, Some(&known), "0.087"),
        (german, Sender::Any, Some(&known), "0.099"),
        // No network has a price for toll-free numbers: each may take any of its own.
        (german, Sender::TollFree, None, "0.099"),
        (german, Sender::LongCode, Some(&never_heard_of), "0.095"),
    ] {
        assert_eq!(segment(to, sender, network), amount(price), "{to} {sender:?} {network:?}");
    }
    let without_a_price = network("262", "03");
    assert_eq!(
        book.segment(number(german), Sender::Any, Some(&without_a_price)),
        Err(Unpriced::Segment(Some(country("DE"))))
    );
}

#[test]
fn a_minute_takes_the_longest_prefix_that_has_a_price_for_the_caller() {
    let book = book();
    for (to, from, price) in [
        ("+14155550100", None, "0.014"),
        ("+442071234567", None, "0.016"),
        ("+447700900123", None, "0.030"),
        ("+447700900123", Some("+442071234567"), "0.021"),
        ("+447700900123", Some("+14155550100"), "0.030"),
        ("+33612345678", Some("+33142345678"), "0.03"), // of two rows for 331 the dearer one
        ("+33612345678", Some("+33412345678"), "0.02"),
        // The row of 336 is for French callers alone.
        ("+33612345678", Some("+14155550100"), "0.10"),
        ("+33612345678", None, "0.10"),
        ("+79161234567", None, "0.05"),
    ] {
        assert_eq!(book.minute(number(to), from.map(number)), Ok(amount(price)), "{to} from {from:?}");
    }
}

#[test]
fn what_the_operator_sets_wins_the_longest_prefix_first() {
    let us = country("US");
    let book = with(vec![
        set(Kind::Minute, Place::Everywhere, "3"),
        set(Kind::Minute, Place::Country(us), "2"),
        set(Kind::Minute, Place::Prefix(prefix("1415")), "0.5"),
        set(Kind::Minute, Place::Prefix(prefix("141")), "1"),
        set(Kind::Minute, Place::Country(country("RU")), "6"),
        set(Kind::Minute, Place::Prefix(prefix("7")), "4"),
        set(Kind::Segment, Place::Prefix(prefix("1500")), "0.01"),
        set(Kind::Number, Place::Everywhere, "9"),
        set(Kind::Number, Place::Country(us), "7"),
    ]);
    for (to, price) in [
        ("+14155550100", "0.5"),
        ("+14165550100", "1"),
        ("+12125550100", "2"),
        ("+881612345678", "3"),
        ("+79161234567", "4"),
    ] {
        assert_eq!(book.minute(number(to), None), Ok(amount(price)), "{to}");
    }
    assert_eq!(book.segment(number("+15005550006"), Sender::Any, None), Ok(amount("0.01")));
    assert_eq!(book.segment(number("+14155550100"), Sender::LongCode, None), Ok(amount("0.0079")));
    assert_eq!(book.number(us, None), Ok(amount("7")));
    assert_eq!(book.number(country("DE"), None), Ok(amount("9")));
}

#[test]
fn media_and_carriers_cost_what_they_do_in_the_country() {
    let book = book();
    for (to, media, carriers) in [
        ("+14155550100", Some(Fee::MmsUs), Some((Fee::CarrierSmsUs, Fee::CarrierMmsUs))),
        ("+14165550100", Some(Fee::MmsCa), Some((Fee::CarrierSmsCa, Fee::CarrierMmsCa))),
        ("+61412345678", Some(Fee::MmsAu), None),
        ("+4915112345678", None, None),
    ] {
        assert_eq!(book.mms(number(to)), Ok(media.map(Fee::built_in)), "{to}");
        let carriers = carriers.map(|(sms, mms)| (sms.built_in(), mms.built_in()));
        let none = (Amount::ZERO, Amount::ZERO);
        assert_eq!(book.carrier_fees(number(to)), Ok(carriers.unwrap_or(none)), "{to}");
    }
}

#[test]
fn built_in_fees_are_in_dollars_and_hold_for_no_other_currency() {
    assert_eq!(book().fee(Fee::VerificationApproved), Ok(Fee::VerificationApproved.built_in()));
    let yen = PriceBook::new(Prices::new("jpy"), Rules::default()).expect("a book");
    assert_eq!(yen.fee(Fee::VerificationApproved), Err(Unpriced::Fee(Fee::VerificationApproved)));
    let overrides =
        Overrides { fees: [(Fee::VerificationApproved, amount("8"))].into(), ..Overrides::default() };
    let set = PriceBook::new(Prices::new("JPY"), Rules { overrides, ..Rules::default() }).expect("a book");
    assert_eq!(set.fee(Fee::VerificationApproved), Ok(amount("8")));
}

#[test]
fn every_fee_has_a_name_of_its_own_and_a_price() {
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.name());
    }
    for fee in Fee::ALL {
        assert_eq!(Fee::parse(fee.name()), Some(*fee));
        assert!(fee.built_in() > Amount::ZERO, "{fee}");
        assert_eq!(serde_json::to_value(fee).expect("JSON"), fee.name());
    }
}

#[test]
fn what_is_kept_is_read_back_as_it_was() {
    let json = serde_json::to_string(&prices()).expect("JSON");
    assert_eq!(serde_json::from_str::<Prices>(&json).expect("prices"), prices());
    // As a version that is in use has written it.
    let old = r#"{"version":3,"currency":"USD","messages":{"DE":{"from":{"account":"AC00000000000000000000000000000001"},
        "at":"2026-11-01T00:00:00Z","is":[{"network":{"mcc":"262","mnc":"01"},"prices":[
        {"number_type":"mobile","price":87000},{"number_type":"toll-free","price":null}]}]}},
        "calls":{"DE":{"from":"operator","at":"2026-11-01T00:00:00Z","is":[{"to":["+49","+4930"],"from":["+43"],"price":20000}]}}}"#;
    let old: Prices = serde_json::from_str(old).expect("prices");
    assert_eq!(old.messages["DE"].is[0].prices[0].price, Some(amount("0.087")));
    assert_eq!(old.calls["DE"].is[0], minute(&["43"], &["49", "4930"], "0.02"));
    assert!(old.numbers.is_empty());
}

#[test]
fn twilios_names_for_kinds_of_numbers_are_known() {
    for (name, kind) in [
        ("local", NumberType::Local),
        ("toll free", NumberType::TollFree),
        ("TOLL-FREE", NumberType::TollFree),
        ("shortcode", NumberType::ShortCode),
        ("short code", NumberType::ShortCode),
        ("mobile", NumberType::Mobile),
        ("national", NumberType::National),
        ("alphanumeric", NumberType::Other),
    ] {
        assert_eq!(NumberType::of(Some(name)), kind, "{name}");
    }
    assert_eq!(NumberType::of(None), NumberType::Other);
}

proptest! {
    #[test]
    fn the_longest_prefix_wins(
        rows in proptest::collection::btree_map("[19][0-9]{0,5}", 1..1_000_000_i64, 1..30),
        to in "[19][0-9]{6,12}",
    ) {
        let mut prices = Prices::new("USD");
        let all = rows.iter().map(|(to, micros)| PrefixPrice {
            to: vec![prefix(to)],
            from: vec![],
            price: Some(Amount::from_micros(*micros)),
        });
        let to = number(&format!("+{to}"));
        let of = Country::of_plan(to).map_or_else(|| "US".to_owned(), |it| it.to_string());
        prices.learn_calls(&of, "USD", learnt(all.collect())).expect("prices");
        let book = PriceBook::new(prices, Rules::default()).expect("a book");
        let text = to.to_string();
        let fitting = rows.iter().filter(|(prefix, _)| text[1..].starts_with(prefix.as_str()));
        let longest = fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, micros)| Amount::from_micros(*micros));
        prop_assert_eq!(book.minute(to, None).ok(), longest);
        prop_assert_eq!(book.minute(to, Some(number("+14155550100"))).ok(), longest);
    }

    #[test]
    fn a_known_caller_never_pays_more_than_the_dearest(
        rows in proptest::collection::vec(
            (proptest::option::of("[1-4]"), "1[0-9]{0,2}", proptest::option::of(0..100_i64)), 0..20),
        to in "1[0-9]{4,6}",
        from in "[1-4][0-9]{4,6}",
    ) {
        let mut prices = Prices::new("USD");
        let all = rows.iter().map(|(from, to, micros)| PrefixPrice {
            to: vec![prefix(to)],
            from: from.iter().map(|it| prefix(it)).collect(),
            price: micros.map(Amount::from_micros),
        });
        let to = number(&format!("+{to}"));
        let of = Country::of_plan(to).map_or_else(|| "US".to_owned(), |it| it.to_string());
        prices.learn_calls(&of, "USD", learnt(all.collect())).expect("prices");
        let book = PriceBook::new(prices, Rules::default()).expect("a book");
        if let Ok(known) = book.minute(to, Some(number(&format!("+{from}")))) {
            prop_assert!(book.minute(to, None).is_ok_and(|dearest| dearest >= known));
        }
    }
}
