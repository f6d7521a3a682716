use http::Method;
use serde_json::{Value, json};

use super::super::testing::{as_main, ask, body, credentials_of, get};
use super::*;
use crate::world::accounts;
use crate::world::testing::{at, new_world, pass};
use crate::world::usage::book_by_hand;

/// A world in which the main account has spent a dollar on one call on each of these days.
fn with_calls_on(now: &str, days: &[&str]) -> World {
    let mut world = new_world(now);
    let main = world.accounts.main();
    for day in days {
        let then = at(&format!("{day}T10:00:00Z"));
        book_by_hand(&mut world, main, "calls-outbound", 1, 2, 1_000_000, Some(then));
    }
    world
}

fn records(world: &mut World, rest: &str) -> Vec<Value> {
    let target = format!("/2010-04-01/Accounts/{}/Usage/Records{rest}", world.accounts.main());
    get(world, as_main, &target)["usage_records"].as_array().unwrap().clone()
}

/// First and last day and count of each row.
fn shape(rows: &[Value]) -> Vec<(String, String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("null").to_owned();
    rows.iter().map(|row| (text(row, "start_date"), text(row, "end_date"), text(row, "count"))).collect()
}

fn expect(rows: &[Value], expected: &[(&str, &str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect();
    assert_eq!(shape(rows), expected);
}

#[test]
fn dates_and_categories_that_make_no_sense_are_refused() {
    let mut world = new_world("2026-11-25T12:00:00Z");
    let main = world.accounts.main();
    for query in [
        "StartDate=yesterday",
        "StartDate=2026-02-30",
        "StartDate=2026-1-5",
        "StartDate=2026-01-05T00:00:00Z",
        "EndDate=-30months",
        "EndDate=%2Bdays",
        "EndDate=-99999999999999999999days",
        "EndDate=-9999999days",
        "Category=sms-outbond",
        "IncludeSubaccounts=perhaps",
        "PageSize=many",
    ] {
        let who = as_main(&world);
        let target = format!("/2010-04-01/Accounts/{main}/Usage/Records/Daily.json?{query}");
        let refusal = ask(&mut world, who, Method::GET, &target, &[]).unwrap_err();
        assert_eq!((refusal.error.status, refusal.error.code), (400, 20001), "{query}");
    }
}

#[test]
fn a_record_has_every_field_of_twilios() {
    let mut world = with_calls_on("2026-11-25T12:00:00Z", &["2026-11-20"]);
    let main = world.accounts.main();
    let uris: serde_json::Map<String, Value> = SUBRESOURCES
        .iter()
        .map(|(key, path)| {
            let uri = format!("/2010-04-01/Accounts/{main}/Usage/Records/{path}.json?Category=calls");
            ((*key).to_owned(), json!(uri))
        })
        .collect();
    assert_eq!(
        records(&mut world, "/AllTime.json?Category=calls"),
        [json!({
            "account_sid": main.to_string(),
            "api_version": "2010-04-01",
            "as_of": "2026-11-25T11:59:00+00:00",
            "category": "calls",
            "count": "1",
            "count_unit": "calls",
            "description": "Total Calls",
            "start_date": "2026-11-20",
            "end_date": "2026-11-25",
            "price": "1",
            "price_unit": "usd",
            "usage": "2",
            "usage_unit": "minutes",
            "subresource_uris": uris,
            "uri": format!(
                "/2010-04-01/Accounts/{main}/Usage/Records/AllTime.json?Category=calls&StartDate=2026-11-20&EndDate=2026-11-25"
            ),
        })]
    );
}

#[test]
fn the_total_price_is_not_counted_and_its_usage_is_its_price() {
    let mut world = with_calls_on("2026-11-25T12:00:00Z", &["2026-11-20", "2026-11-21"]);
    let row = &records(&mut world, ".json?Category=totalprice")[0];
    assert_eq!((&row["count"], &row["count_unit"]), (&Value::Null, &json!("")));
    assert_eq!((&row["usage"], &row["usage_unit"]), (&json!("2"), &json!("usd")));
    assert_eq!(row["price"], "2");
    assert_eq!(row["description"], "Total Price");
}

#[test]
fn without_a_category_there_is_a_row_for_each_also_where_nothing_was_used() {
    let mut world = with_calls_on("2026-11-25T12:00:00Z", &["2026-11-25"]);
    let main = world.accounts.main();
    book_by_hand(&mut world, main, "wireless-usage-voice", 1, 1, 5_000, Some(at("2026-11-25T00:00:00Z")));
    let rows = records(&mut world, ".json?PageSize=1000");
    let names: Vec<_> = rows.iter().map(|row| row["category"].as_str().unwrap()).collect();
    assert!(names.len() > 150);
    assert_eq!(names.iter().filter(|name| **name == "calls").count(), 1);
    assert!(names.contains(&"mms-inbound") && names.contains(&"wireless-usage-voice"));
    assert!(!names.contains(&"wireless-mrc-quota50"), "rare, and not used");
    let unused = rows.iter().find(|row| row["category"] == "mms-inbound").unwrap();
    assert_eq!((&unused["count"], &unused["price"]), (&json!("0"), &json!("0")));
}

#[test]
fn days_months_and_years_are_told_from_the_latest_on_and_cut_at_the_ends() {
    let mut world = with_calls_on(
        "2026-02-02T12:00:00Z",
        &["2025-12-30", "2026-01-01", "2026-01-31", "2026-02-01", "2026-02-01"],
    );
    let rows = records(&mut world, "/Daily.json?Category=calls&StartDate=2026-01-31");
    expect(
        &rows,
        &[
            ("2026-02-02", "2026-02-02", "0"),
            ("2026-02-01", "2026-02-01", "2"),
            ("2026-01-31", "2026-01-31", "1"),
        ],
    );
    let rows = records(&mut world, "/Monthly.json?Category=calls");
    expect(
        &rows,
        &[
            ("2026-02-01", "2026-02-02", "2"),
            ("2026-01-01", "2026-01-31", "2"),
            ("2025-12-30", "2025-12-31", "1"),
        ],
    );
    let rows = records(&mut world, "/Yearly.json?Category=calls");
    expect(&rows, &[("2026-01-01", "2026-02-02", "4"), ("2025-12-30", "2025-12-31", "1")]);
}

#[test]
fn spans_with_a_name_have_dates_of_their_own() {
    let mut world =
        with_calls_on("2026-03-01T12:00:00Z", &["2026-02-01", "2026-02-28", "2026-02-28", "2026-03-01"]);
    for (name, expected) in [
        ("Today", ("2026-03-01", "2026-03-01", "1")),
        ("Yesterday", ("2026-02-28", "2026-02-28", "2")),
        ("ThisMonth", ("2026-03-01", "2026-03-01", "1")),
        ("LastMonth", ("2026-02-01", "2026-02-28", "3")),
    ] {
        let rows = records(&mut world, &format!("/{name}.json?Category=calls&StartDate=2020-01-01"));
        expect(&rows, &[expected]);
    }
}

#[test]
fn a_span_is_that_of_the_parameters_as_days_or_as_offsets() {
    let mut world = with_calls_on("2026-11-25T12:00:00Z", &["2026-10-26", "2026-11-24", "2026-11-25"]);
    for (query, expected) in [
        ("StartDate=2026-11-01&EndDate=2026-11-24", ("2026-11-01", "2026-11-24", "1")),
        ("StartDate=-30days", ("2026-10-26", "2026-11-25", "3")),
        ("StartDate=-29days", ("2026-10-27", "2026-11-25", "2")),
        ("StartDate=-30days&EndDate=-1day", ("2026-10-26", "2026-11-24", "2")),
        ("EndDate=%2B30days", ("2026-10-26", "2026-12-25", "3")),
    ] {
        let rows = records(&mut world, &format!(".json?Category=calls&{query}"));
        expect(&rows, &[expected]);
    }
    assert!(records(&mut world, ".json?Category=calls&StartDate=2026-11-02&EndDate=2026-11-01").is_empty());
}

#[test]
fn subaccounts_are_included_unless_they_are_not_wanted() {
    let mut world = with_calls_on("2026-11-25T12:00:00Z", &["2026-11-25"]);
    let main = world.accounts.main();
    let sub = accounts::create(&mut world, main, "Sub".to_owned());
    book_by_hand(&mut world, sub, "calls", 1, 1, 5, Some(at("2026-11-25T00:00:00Z")));
    let count = |world: &mut World, rest| records(world, rest)[0]["count"].clone();
    assert_eq!(count(&mut world, "/Today.json?Category=calls"), "2");
    assert_eq!(count(&mut world, "/Today.json?Category=calls&IncludeSubaccounts=False"), "1");
    let who = credentials_of(&world, sub);
    let target = format!("/2010-04-01/Accounts/{sub}/Usage/Records/Today.json?Category=calls");
    let own = body(ask(&mut world, who, Method::GET, &target, &[]));
    assert_eq!(own["usage_records"][0]["count"], "1");
}

#[test]
fn pages_of_days_lose_none_and_show_none_twice() {
    let mut world = with_calls_on("2026-11-25T12:00:00Z", &["2026-08-01"]);
    let main = world.accounts.main();
    let mut target =
        Some(format!("/2010-04-01/Accounts/{main}/Usage/Records/Daily.json?Category=calls&PageSize=7"));
    let mut days = Vec::new();
    while let Some(next) = target {
        let page = get(&mut world, as_main, &next);
        days.extend(shape(page["usage_records"].as_array().unwrap()).into_iter().map(|(day, ..)| day));
        target = page["next_page_uri"].as_str().map(str::to_owned);
    }
    assert_eq!(days.len(), 117);
    assert!(days.windows(2).all(|pair| pair[0] > pair[1]), "each day once, the latest first");
    assert_eq!(days.last().map(String::as_str), Some("2026-08-01"));
}

#[test]
fn a_page_goes_on_where_the_last_one_ended_though_a_day_has_begun_meanwhile() {
    let mut world = with_calls_on("2026-11-25T23:59:00Z", &["2026-11-01"]);
    let main = world.accounts.main();
    let target = format!("/2010-04-01/Accounts/{main}/Usage/Records/Daily.json?Category=calls&PageSize=1");
    let page = get(&mut world, as_main, &target);
    pass(&mut world, 120);
    let next = get(&mut world, as_main, page["next_page_uri"].as_str().unwrap());
    expect(next["usage_records"].as_array().unwrap(), &[("2026-11-24", "2026-11-24", "0")]);
}

#[test]
fn pages_of_all_categories_show_each_row_once() {
    let mut world = with_calls_on("2026-11-25T12:00:00Z", &["2026-11-23"]);
    let main = world.accounts.main();
    let mut target = Some(format!("/2010-04-01/Accounts/{main}/Usage/Records/Daily.json?PageSize=100"));
    let mut rows = Vec::new();
    while let Some(next) = target {
        let page = get(&mut world, as_main, &next);
        let shown = page["usage_records"].as_array().unwrap();
        rows.extend(shown.iter().map(|row| (row["category"].to_string(), row["start_date"].to_string())));
        target = page["next_page_uri"].as_str().map(str::to_owned);
    }
    let categories = categories::all().iter().filter(|it| it.common).count();
    assert_eq!(rows.len(), 3 * categories);
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), 3 * categories);
}

#[test]
fn days_on_which_nothing_can_have_been_used_have_no_rows() {
    let mut world = with_calls_on("2026-11-25T12:00:00Z", &["2026-11-24"]);
    let rows = records(&mut world, "/Daily.json?Category=calls&StartDate=-1days&EndDate=%2B400days");
    expect(&rows, &[("2026-11-25", "2026-11-25", "0"), ("2026-11-24", "2026-11-24", "1")]);
    let rows = records(&mut world, "/Yearly.json?Category=calls&StartDate=0001-01-01&EndDate=9999-12-31");
    assert_eq!((rows.len(), &rows[18]["start_date"]), (19, &json!("2008-01-01")));
    assert!(records(&mut world, "/Monthly.json?Category=calls&EndDate=2007-12-31").is_empty());
}

#[test]
fn a_token_that_names_no_row_leads_to_an_empty_page() {
    let mut world = with_calls_on("2026-11-25T12:00:00Z", &["2026-11-24"]);
    for token in
        ["PA", "PAnothing", "PAUR00000000000000000000000000000001", "PASMffffffffffffffffffffffffffffffff"]
    {
        let rows = records(&mut world, &format!("/Daily.json?PageToken={token}"));
        assert!(rows.is_empty(), "{token}");
    }
}
