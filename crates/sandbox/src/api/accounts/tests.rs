use serde_json::Value;

use super::*;
use crate::api::testing::{Api, Credentials, error};
use crate::settings::Refused;

const ACCOUNTS: &str = "/2010-04-01/Accounts.json";

fn path_of(account: Sid) -> String {
    format!("/2010-04-01/Accounts/{account}.json")
}

/// What a parent's change of status meets.
fn change(api: &mut Api, account: Sid, status: &str) -> (u16, Value) {
    api.as_main().post(&path_of(account), &[("Status", status)])
}

fn sids(page: &Value) -> Vec<String> {
    let rows = page["accounts"].as_array().unwrap();
    rows.iter().map(|row| row["sid"].as_str().unwrap().to_owned()).collect()
}

/// All that a list shows, page by page.
fn listed(api: &mut Api, query: &str) -> Vec<String> {
    let mut target = Some(format!("{ACCOUNTS}?{query}"));
    let mut all = Vec::new();
    while let Some(next) = target {
        let (status, page) = api.get(&next);
        assert_eq!(status, 200, "{next}: {page}");
        all.extend(sids(&page));
        target = page["next_page_uri"].as_str().map(str::to_owned);
    }
    all
}

#[test]
fn each_change_of_status_that_cannot_be_has_its_own_code() {
    let mut api = Api::new();
    let (main, sub) = (api.main, api.subaccount("tenant"));
    for status in ["bogus", "Active", "deleted"] {
        assert_eq!(error(change(&mut api, sub.sid, status)), (400, 21475), "{status}");
    }
    for status in ["active", "suspended", "closed"] {
        assert_eq!(error(change(&mut api, main, status)), (400, 21477), "{status}");
        let own = api.as_account(&sub).post(&path_of(sub.sid), &[("Status", status)]);
        assert_eq!(error(own), (401, 20003), "{status}");
    }
    assert_eq!(change(&mut api, sub.sid, "closed").0, 200);
    for status in ["active", "suspended"] {
        assert_eq!(error(change(&mut api, sub.sid, status)), (400, 21479), "{status}");
    }
    assert_eq!(change(&mut api, sub.sid, "closed").0, 200, "as it is");
}

#[test]
fn what_twilio_itself_suspended_no_parent_can_change() {
    let mut api = Api::new();
    let sub = api.subaccount("tenant");
    accounts::set_suspended_by_twilio(&mut api.world, sub.sid, true);
    for status in ["active", "closed"] {
        assert_eq!(error(change(&mut api, sub.sid, status)), (400, 21478), "{status}");
    }
    assert_eq!(change(&mut api, sub.sid, "suspended").1["status"], "suspended");
    accounts::set_suspended_by_twilio(&mut api.world, sub.sid, false);
    assert_eq!(api.as_account(&sub).get(&path_of(sub.sid)).1["status"], "active");
}

#[test]
fn a_suspended_parent_stops_its_children_and_cannot_change_them() {
    let mut api = Api::new();
    let (main, sub) = (api.main, api.subaccount("tenant"));
    accounts::set_suspended_by_twilio(&mut api.world, main, true);
    assert_eq!(error(api.as_account(&sub).get(&path_of(sub.sid))), (403, 20005));
    assert_eq!(error(change(&mut api, sub.sid, "closed")), (403, 20005));
    api.world.settings.suspended.own_credentials = Refused::Nothing;
    assert_eq!(error(change(&mut api, sub.sid, "closed")), (400, 21476));
}

#[test]
fn what_a_suspended_account_meets_is_what_the_settings_say() {
    let mut api = Api::new();
    let sub = api.subaccount("tenant");
    assert_eq!(change(&mut api, sub.sid, "suspended").0, 200);
    let triggers = format!("/2010-04-01/Accounts/{}/Usage/Triggers.json", sub.sid);
    let trigger = [("CallbackUrl", "http://app.example/"), ("TriggerValue", "1"), ("UsageCategory", "sms")];
    for (own, parent, expected) in [
        (Refused::All, Refused::All, [403, 403, 403, 403]),
        (Refused::All, Refused::Creates, [403, 403, 200, 403]),
        (Refused::Creates, Refused::Nothing, [200, 403, 200, 201]),
        (Refused::Nothing, Refused::Nothing, [200, 201, 200, 201]),
    ] {
        api.world.settings.suspended.own_credentials = own;
        api.world.settings.suspended.parent_credentials = parent;
        let mut statuses = Vec::new();
        let main = api.credentials_of(api.main);
        for who in [&sub, &main] {
            api.as_account(who);
            statuses.extend([api.get(&triggers).0, api.post(&triggers, &trigger).0]);
        }
        assert_eq!(statuses, expected, "{own:?} {parent:?}");
    }
}

#[test]
fn a_key_of_a_suspended_account_opens_nothing_until_it_is_active_again() {
    let mut api = Api::new();
    let sub = api.subaccount("tenant");
    let (_, key) = api.as_account(&sub).post(&format!("/2010-04-01/Accounts/{}/Keys.json", sub.sid), &[]);
    let key = Credentials {
        sid: Sid::parse(key["sid"].as_str().unwrap()).unwrap(),
        token: key["secret"].as_str().unwrap().to_owned(),
    };
    let calls = format!("/2010-04-01/Accounts/{}/Calls.json", sub.sid);
    for (status, expected) in [("suspended", 403), ("active", 200), ("closed", 403)] {
        assert_eq!(change(&mut api, sub.sid, status).0, 200);
        assert_eq!(api.as_account(&key).get(&calls).0, expected, "{status}");
    }
}

#[test]
fn a_parents_key_reaches_the_parent_and_none_of_its_subaccounts() {
    let mut api = Api::new();
    let (main, sub) = (api.main, api.subaccount("tenant"));
    let (_, key) = api.as_main().post(&format!("/2010-04-01/Accounts/{main}/Keys.json"), &[]);
    api.as_user(key["sid"].as_str().unwrap(), key["secret"].as_str().unwrap());
    assert_eq!(error(api.get(&format!("/2010-04-01/Accounts/{}/Messages.json", sub.sid))), (401, 20003));
    assert_eq!(api.get(&format!("/2010-04-01/Accounts/{main}/Messages.json")).0, 200);
}

#[test]
fn a_parent_has_no_more_subaccounts_than_it_may_and_a_closed_one_makes_room() {
    let mut api = Api::new();
    api.world.settings.subaccounts_max = 2;
    let first = api.subaccount("one");
    assert_eq!(api.post(ACCOUNTS, &[]).0, 201);
    assert_eq!(error(api.post(ACCOUNTS, &[])), (400, 21480));
    change(&mut api, first.sid, "suspended");
    assert_eq!(error(api.post(ACCOUNTS, &[])), (400, 21480), "a suspended one is still there");
    change(&mut api, first.sid, "closed");
    assert_eq!(api.post(ACCOUNTS, &[]).0, 201);
}

#[test]
fn a_name_is_at_most_64_characters_and_the_default_tells_the_time() {
    let mut api = Api::new();
    assert_eq!(error(api.post(ACCOUNTS, &[("FriendlyName", &"ü".repeat(65))])), (400, 20001));
    let (status, named) = api.post(ACCOUNTS, &[("FriendlyName", &"ü".repeat(64))]);
    assert_eq!((status, &named["friendly_name"]), (201, &Value::from("ü".repeat(64))));
    let (_, unnamed) = api.post(ACCOUNTS, &[("FriendlyName", "")]);
    assert_eq!(unnamed["friendly_name"], "SubAccount Created at 2027-01-15 08:00 AM");
}

#[test]
fn accounts_are_listed_by_name_and_status() {
    let mut api = Api::new();
    let [one, two] = ["one", "two & more"].map(|name| api.subaccount(name).sid.to_string());
    let main = api.main.to_string();
    change(&mut api, Sid::parse(&one).unwrap(), "suspended");
    assert_eq!(error(api.get(&format!("{ACCOUNTS}?Status=asleep"))), (400, 20001));
    assert_eq!(listed(&mut api, ""), [two.clone(), one.clone(), main.clone()]);
    assert_eq!(listed(&mut api, "Status=suspended"), [one.as_str()]);
    assert_eq!(listed(&mut api, "Status=active"), [two.clone(), main]);
    assert_eq!(listed(&mut api, "FriendlyName=two+%26+more&Status=active"), [two.as_str()]);
    assert!(listed(&mut api, "FriendlyName=two").is_empty());
    let sub = api.credentials_of(Sid::parse(&two).unwrap());
    assert_eq!(listed(api.as_account(&sub), ""), [two], "a subaccount sees itself alone");
}

#[test]
fn thousands_of_subaccounts_are_listed_each_once() {
    let mut api = Api::new();
    for number in 0..5000 {
        api.subaccount(&format!("tenant {number}"));
    }
    let mut all = listed(&mut api, "PageSize=1000");
    assert_eq!(all.len(), 5001);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 5001);
}

#[test]
fn a_page_of_more_than_twilio_gives_is_refused() {
    let mut api = Api::new();
    for (size, expected) in
        [("1001", (400, 20007)), ("5000", (400, 20007)), ("-1", (400, 20001)), ("abc", (400, 20001))]
    {
        assert_eq!(error(api.get(&format!("{ACCOUNTS}?PageSize={size}"))), expected, "{size}");
    }
    assert_eq!(sids(&api.get(&format!("{ACCOUNTS}?PageSize=1000")).1).len(), 1);
    assert!(sids(&api.get(&format!("{ACCOUNTS}?Page=1&PageSize=1&PageToken=PAnothing")).1).is_empty());
}
