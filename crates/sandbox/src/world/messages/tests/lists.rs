//! Lists of messages.

use ringfence_model::Sid;

use super::super::Message;
use super::{Bench, PHONE};
use crate::settings::Settings;

fn bodies(list: &serde_json::Value) -> Vec<&str> {
    list["messages"].as_array().unwrap().iter().map(|it| it["body"].as_str().unwrap()).collect()
}

#[test]
fn a_list_is_newest_first_and_its_pages_follow_each_other() {
    let mut bench = Bench::new();
    for number in 0..5 {
        bench.text(&number.to_string());
    }
    let mut next = Some(format!("{}.json?PageSize=2", bench.messages()));
    let mut seen = Vec::new();
    while let Some(path) = next {
        let page = bench.json("GET", &path, &[]).unwrap();
        assert!(bodies(&page).len() <= 2);
        seen.extend(bodies(&page).into_iter().map(str::to_owned));
        next = page["next_page_uri"].as_str().map(str::to_owned);
        // What arrives meanwhile stands before the first page and moves nothing.
        bench.text("new");
    }
    assert_eq!(seen, ["4", "3", "2", "1", "0"]);
}

#[test]
fn who_deletes_what_it_lists_comes_to_the_end() {
    let mut bench = Bench::new();
    for number in 0..5 {
        bench.text(&number.to_string());
    }
    bench.pass_ms(5000);
    let mut next = Some(format!("{}.json?PageSize=2", bench.messages()));
    let mut deleted = 0;
    while let Some(path) = next {
        let page = bench.json("GET", &path, &[]).unwrap();
        next = page["next_page_uri"].as_str().map(str::to_owned);
        for message in page["messages"].as_array().unwrap() {
            bench.request("DELETE", message["uri"].as_str().unwrap(), &[]).unwrap();
            deleted += 1;
        }
    }
    assert_eq!(deleted, 5);
    for token in ["nonsense", "PASM00000000000000000000000000000001"] {
        let path = format!("{}.json?PageToken={token}", bench.messages());
        assert_eq!(bodies(&bench.json("GET", &path, &[]).unwrap()), Vec::<&str>::new(), "{token}");
    }
}

#[test]
fn filters_leave_what_fits() {
    let mut bench = Bench::new();
    let from = bench.number.to_string();
    for (to, body) in [(PHONE, "one"), ("+12025550124", "two")] {
        bench.create(&[("To", to), ("From", &from), ("Body", body)]).unwrap();
    }
    bench.pass_ms(24 * 3600 * 1000);
    bench.create(&[("To", PHONE), ("From", "+15005550006"), ("Body", "three")]).unwrap();
    bench.pass_ms(5000);
    bench.text("not sent yet");
    for (query, expected) in [
        ("To=%2B12025550124", &["two"][..]),
        ("To=2025550124", &["two"]),
        ("From=%2B15005550006", &["three"]),
        ("DateSent=2026-11-25", &["two", "one"]),
        ("DateSent=2026-11-26", &["three"]),
        // A day as the SDKs write it.
        ("DateSent=2026-11-25T00%3A00%3A00Z", &["two", "one"]),
        ("DateSent=2026-11-26T23%3A59%3A59Z", &["three"]),
        ("DateSent%3C=2026-11-25", &["two", "one"]),
        ("DateSent%3E=2026-11-26", &["three"]),
        ("DateSent%3E=2026-11-25T12%3A04%3A30Z", &["three", "two", "one"]),
        ("DateSent%3E=2026-11-25T12%3A04%3A31Z", &["three"]),
        ("DateSent%3E=2026-11-25&DateSent%3C=2026-11-25&To=%2B12025550123", &["one"]),
        ("To=%2B19995550000", &[]),
        ("To=nonsense", &[]),
    ] {
        let list = bench.json("GET", &format!("{}.json?{query}", bench.messages()), &[]).unwrap();
        assert_eq!(bodies(&list), expected, "{query}");
    }
    let path = format!("{}.json?DateSent=yesterday", bench.messages());
    assert_eq!(bench.json("GET", &path, &[]).unwrap_err(), (400, 20001));
}

#[test]
fn over_the_cap_the_oldest_message_goes() {
    let mut settings = Settings::default();
    settings.keep.messages = 3;
    let mut bench = Bench::with(settings);
    let sids: Vec<String> = (0..5).map(|number| bench.text(&number.to_string())).collect();
    let list = bench.json("GET", &format!("{}.json", bench.messages()), &[]).unwrap();
    assert_eq!(bodies(&list), ["4", "3", "2"]);
    let gone: Sid = sids[0].parse().unwrap();
    assert!(bench.world.messages.find_of(bench.main, gone).is_none());
    bench.pass_ms(10_000);
    assert_eq!(bench.status(&sids[4]), "delivered");
}

/// What one message takes beside its text: its row, its place in the index by SID, its place in its account's list.
#[test]
fn a_message_takes_less_than_300_bytes_beside_its_text() {
    let row = size_of::<Option<Message>>();
    // A table of hashes is filled to between 7/16 and 7/8, and each entry has a byte of control.
    let index = (size_of::<(Sid, u64)>() + 1) * 16 / 7;
    let place = size_of::<u64>() * 2;
    assert!(row + index + place <= 320, "{row} + {index} + {place}");
}
