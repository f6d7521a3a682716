//! Lists of the API that go on: orders, the exported log, accounts.

use ringfence_control::decide::kind;
use ringfence_model::{Actor, Sid};
use ringfence_store::{ExportOf, SeenAccount};
use serde_json::{Value, json};

use crate::api::Served;
use crate::database::{Database, on_both};

on_both! {
    what_has_yet_to_happen_is_listed_page_by_page_with_why_it_does_not => what_has_yet_to_happen_is_listed_page_by_page_with_why_it_does_not,
    the_log_is_exported_in_pages_that_miss_nothing_and_are_the_commands_bytes => the_log_is_exported_in_pages_that_miss_nothing_and_are_the_commands_bytes,
    an_account_that_is_gone_stays_in_the_list_and_says_since_when => an_account_that_is_gone_stays_in_the_list_and_says_since_when,
}

async fn what_has_yet_to_happen_is_listed_page_by_page_with_why_it_does_not(database: fn() -> Database) {
    let served = Served::start(database).await;
    let (read, operate) = (served.token("read").await, served.token("operate").await);
    let (second, _) = served.node.world.subaccount("second").await;
    served.node.engine.synchronise_accounts().await.expect("synchronised");
    let none = served.ask("GET", "/v1/orders", Some(&read), None).await;
    assert_eq!(none.body, json!({ "orders": [], "next": null }));

    // Twilio refuses to answer, so that what is ordered waits.
    let base = format!("accounts/{}", served.account);
    let why = json!({ "reason": "leak" });
    served.ask("POST", &format!("/v1/{base}/suspend"), Some(&operate), Some(&why)).await;
    served.ask("POST", &format!("/v1/accounts/{second}/suspend"), Some(&operate), Some(&why)).await;
    for _ in 0..2 {
        served.node.world.fault(r#"{"api": [{"method": "POST", "path": "/Accounts", "status": 503}]}"#).await;
        let worked =
            served.node.engine.work(&served.node.me, kind::STATUS, 1).await.expect("the store is there");
        assert_eq!((worked.done, worked.failed), (0, 1));
    }

    let (mut orders, mut path) = (Vec::new(), "/v1/orders?page_size=1".to_owned());
    loop {
        let page = served.ask("GET", &path, Some(&read), None).await;
        orders.extend(page.body["orders"].as_array().expect("orders").clone());
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("/v1/orders?page_size=1&cursor={next}");
    }
    let suspensions: Vec<_> = orders.iter().filter(|order| order["kind"] == json!("status")).collect();
    assert_eq!(suspensions.len(), 2, "{orders:?}");
    let names: Vec<_> =
        suspensions.iter().filter_map(|order| order["account"]["friendly_name"].as_str()).collect();
    assert_eq!(names, ["customer", "second"], "in the order in which they were decided");
    for order in suspensions {
        assert_eq!((&order["state"], &order["takes_back"]), (&json!("failing"), &json!(false)), "{order}");
        assert_eq!(order["attempts"], json!(1));
        assert!(order["next_try"].is_string() && order["ordered_at"].is_string(), "{order}");
        assert!(order["last_error"].as_str().is_some_and(|why| why.contains("503")), "{order}");
    }
}

async fn the_log_is_exported_in_pages_that_miss_nothing_and_are_the_commands_bytes(
    database: fn() -> Database,
) {
    let served = Served::start(database).await;
    let token = served.token("read").await;
    served.node.spend(served.account, "61.25").await;
    served.node.advance(3600).await;
    served.node.poll().await;
    served.node.work().await;
    let unsealed = served.ask("GET", "/v1/audit/export", Some(&token), None).await;
    assert_eq!(unsealed.body, json!(""), "what the sealer has not chained yet is not exported");

    // On PostgreSQL a run waits for what other tests have open on the same server, and the next one goes on.
    let all = served.node.audit_actions().await.len();
    let mut sealed = 0;
    while sealed < all {
        sealed += served.node.store.seal_audit(served.node.now()).await.expect("sealed").rows;
        tokio::task::yield_now().await;
    }
    let whole = served.node.store.export_audit(0, 10_000, ExportOf::WithoutPersonal).await.expect("lines");
    assert!(whole.len() > 7, "{whole:?}");
    let whole = whole.join("\n") + "\n";
    let (mut exported, mut after) = (String::new(), 0);
    loop {
        let path = format!("/v1/audit/export?page_size=3&after={after}");
        let page = served.ask("GET", &path, Some(&token), None).await;
        assert_eq!(page.header("content-type"), "application/jsonl");
        let text = page.body.as_str().expect("lines");
        exported.push_str(text);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() <= 3);
        if lines.len() < 3 {
            break;
        }
        let last: Value = serde_json::from_str(lines[2]).expect("JSON");
        after = last["id"].as_i64().expect("an id");
    }
    assert_eq!(exported, whole);
    let end = served.ask("GET", &format!("/v1/audit/export?after={}", i64::MAX), Some(&token), None).await;
    assert_eq!(end.body, json!(""));
}

async fn an_account_that_is_gone_stays_in_the_list_and_says_since_when(database: fn() -> Database) {
    let served = Served::start(database).await;
    let token = served.token("read").await;
    let list = async || served.ask("GET", "/v1/accounts", Some(&token), None).await.body["accounts"].clone();
    let stays = list().await;
    assert!(stays.as_array().expect("accounts").iter().all(|account| account["gone_at"].is_null()));

    // Twilio's next list has it no more.
    let all = served.node.store.accounts().await.expect("accounts");
    let gone = served.account;
    let listed = all.into_iter().filter(|account| account.sid != gone).map(|account| SeenAccount {
        sid: account.sid,
        parent: account.parent,
        friendly_name: account.friendly_name,
        status: account.status,
        auth_token: None,
        created: None,
        changed: None,
    });
    let by = Actor::job("accounts");
    served
        .node
        .store
        .synchronise_accounts(&by, listed.collect(), true, served.node.now())
        .await
        .expect("kept");
    let listed = list().await;
    let of = |sid: Sid| {
        let accounts = listed.as_array().expect("accounts");
        accounts.iter().find(|account| account["sid"] == json!(sid)).cloned()
    };
    assert!(of(gone).is_some_and(|account| account["gone_at"].is_string()), "{listed}");
    let parent = of(served.node.world.sandbox.account_sid());
    assert!(parent.is_some_and(|account| account["gone_at"].is_null()), "{listed}");
}
