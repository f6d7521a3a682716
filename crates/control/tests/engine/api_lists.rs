//! Lists of the API that go on: orders, the exported log, accounts.

use std::time::Duration;

use ringfence_control::decide::kind;
use ringfence_model::{Actor, Sid};
use ringfence_store::{ExportOf, RequestVerdict, SeenAccount, SeenOutgoing, SeenRequest};
use serde_json::{Value, json};

use crate::api::Served;
use crate::database::{Database, on_both};

on_both! {
    what_has_yet_to_happen_is_listed_page_by_page_with_why_it_does_not => what_has_yet_to_happen_is_listed_page_by_page_with_why_it_does_not,
    the_log_is_exported_in_pages_that_miss_nothing_and_are_the_commands_bytes => the_log_is_exported_in_pages_that_miss_nothing_and_are_the_commands_bytes,
    what_is_kept_of_requests_is_found_page_by_page_and_by_each_filter => what_is_kept_of_requests_is_found_page_by_page_and_by_each_filter,
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

async fn what_is_kept_of_requests_is_found_page_by_page_and_by_each_filter(database: fn() -> Database) {
    let served = Served::start(database).await;
    let token = served.token("read").await;
    let list = async |query: &str| {
        let page = served.ask("GET", &format!("/v1/requests{query}"), Some(&token), None).await;
        page.body.clone()
    };
    assert_eq!(list("").await, json!({ "requests": [], "next": null }));
    let at = served.node.now();
    let refused = SeenRequest {
        at,
        part: "gate",
        route: "/twilio/".to_owned(),
        method: "POST",
        path: "/twilio/sms".to_owned(),
        client: [203, 0, 113, 9].into(),
        account: None,
        is_proven: false,
        resource: None,
        token: None,
        verdict: RequestVerdict::Refused { reason: "missing_signature".to_owned(), explanation: None },
        status: Some(403),
        request_bytes: Some(12),
        answer_bytes: Some(0),
        took: Duration::from_micros(1_500),
        parameters: Some(vec![("Body".to_owned(), "(12 characters)".to_owned())]),
        answer: None,
        outgoing: None,
    };
    let admitted = SeenRequest {
        at: at + Duration::from_mins(1),
        account: Some(served.account),
        is_proven: true,
        resource: Some(Sid::new(*b"SM", 7)),
        verdict: RequestVerdict::Admitted { candidate: "as-received".to_owned(), finding: None },
        ..refused.clone()
    };
    let outgoing = SeenOutgoing {
        credential: Some(Sid::new(*b"SK", 3)),
        credential_name: Some("shop".to_owned()),
        would_refuse: vec!["fifty a day".to_owned()],
        ..SeenOutgoing::default()
    };
    let sent = SeenRequest {
        part: "egress",
        route: "messages.create".to_owned(),
        verdict: RequestVerdict::PassedOn { failed: None },
        outgoing: Some(Box::new(outgoing)),
        ..admitted.clone()
    };
    served.node.store.keep_requests("one", &[refused, admitted, sent], 100).await.expect("kept");

    let ids = |page: &Value| -> Vec<i64> {
        let requests = page["requests"].as_array().expect("requests");
        requests.iter().map(|request| request["id"].as_i64().expect("an id")).collect()
    };
    let whole = list("").await;
    let all = ids(&whole);
    assert_eq!((all.len(), whole["next"].is_null()), (3, true));
    assert_eq!(whole["requests"][2]["parameters"], json!([{ "name": "Body", "value": "(12 characters)" }]));
    let mut paged = Vec::new();
    let mut query = "?page_size=1".to_owned();
    loop {
        let page = list(&query).await;
        paged.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?page_size=1&cursor={next}");
    }
    assert_eq!(paged, all, "newest first, each once");
    let (to_twilio, at_the_gate, forged) = (all[0], all[1], all[2]);
    let account = served.account;
    let since = (at + Duration::from_secs(30)).to_string();
    for (query, found) in [
        (format!("?account={account}"), vec![to_twilio, at_the_gate]),
        (format!("?account={}", Sid::new(*b"AC", 99)), vec![]),
        ("?direction=to-twilio".to_owned(), vec![to_twilio]),
        ("?direction=from-twilio".to_owned(), vec![at_the_gate, forged]),
        ("?route=messages.create".to_owned(), vec![to_twilio]),
        ("?verdict=refused".to_owned(), vec![forged]),
        ("?verdict=admitted".to_owned(), vec![to_twilio, at_the_gate]),
        ("?would_refuse=true".to_owned(), vec![to_twilio]),
        ("?search=MISSING_signature".to_owned(), vec![forged]),
        ("?search=shop".to_owned(), vec![to_twilio]),
        (format!("?since={since}"), vec![to_twilio, at_the_gate]),
        (format!("?account={account}&direction=from-twilio"), vec![at_the_gate]),
    ] {
        assert_eq!(ids(&list(&query).await), found, "{query}");
    }
    for wrong in
        ["?verdict=forged", "?direction=up", "?cursor=x", "?account=AC1", "?limit=5", "?would_refuse=1"]
    {
        let refused = list(wrong).await;
        assert_eq!(refused["status"], json!(400), "{wrong}: {refused}");
    }
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
