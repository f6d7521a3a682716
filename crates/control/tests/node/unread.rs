//! Limits whose figures cannot be read are blind, and people learn of it.

use std::time::Duration;

use ringfence_control::node::{Job, Node};

use crate::{Installation, at_most, daily, pass, told};

const DENIED: &str = r#"{"api": [{"method": "GET", "path": "/Usage/", "status": 401}]}"#;

async fn poll(node: &Node) {
    node.do_job(Job::Usage).await.expect("the store").expect("it is its job");
}

#[tokio::test]
async fn an_account_whose_usage_is_not_counted_is_told_of_after_minutes_and_when_it_is_again() {
    let mut here = Installation::new().await;
    here.examination = Some(daily());
    let node = here.node("a", vec![at_most(50)]).await;
    node.turn().await.expect("the store is there");
    let (account, _) = here.world.subaccount("one").await;
    node.do_job(Job::Accounts).await.expect("the store").expect("it is its job");
    poll(&node).await;
    let examine = async || node.do_job(Job::Examine).await.expect("the store").expect("it is its job").count;
    examine().await;
    pass(&here, &node, 600).await;
    examine().await;
    told(&here, &node).await;
    let status = async || node.at_work().expect("it works").engine.views().status().await.expect("seen");
    assert!(status().await.unread.is_empty());

    here.world.fault(DENIED).await;
    poll(&node).await;
    pass(&here, &node, 299).await;
    poll(&node).await;
    assert!(status().await.unread.is_empty(), "one that comes late is no news");
    assert_eq!(examine().await, 0);
    pass(&here, &node, 1).await;
    poll(&node).await;
    let seen = status().await;
    assert!(!seen.is_quiet);
    assert!(
        matches!(&seen.unread[..], [it] if it.account.sid == account && it.why.contains("401")),
        "{seen:?}"
    );
    // The next day's examination would be late.
    assert!(examine().await > 0);
    let found = ("found".to_owned(), "limits".to_owned());
    assert!(told(&here, &node).await.contains(&found));
    poll(&node).await;
    assert_eq!(examine().await, 0, "it is told once");

    here.world.control("DELETE", "faults", "").await;
    here.clock.advance(Duration::from_mins(1));
    poll(&node).await;
    assert!(status().await.unread.is_empty());
    assert!(examine().await > 0);
    assert!(told(&here, &node).await.contains(&("mended".to_owned(), "limits".to_owned())));
}
