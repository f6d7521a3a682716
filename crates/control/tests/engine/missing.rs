//! What becomes of an account that Twilio's list lacks.

use ringfence_breaker::{Action, Per};
use ringfence_control::engine::{Clients, KnownAccount, NotListed};
use ringfence_model::{Actor, Secret, Sid};
use ringfence_store::SeenAccount;
use ringfence_testkit::{Answer, Upstream};
use ringfence_twilio::client::Settings;

use crate::node::{Node, fifty_a_day};

#[tokio::test]
async fn an_account_that_a_list_lacks_is_gone_when_twilio_says_so_of_itself_and_not_before() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (there, _) = node.world.subaccount("there").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    // It was in a list of before, and Twilio knows it no more.
    let deleted = Sid::new(*b"AC", 7);
    let seen = SeenAccount {
        sid: deleted,
        parent: Some(node.world.sandbox.account_sid()),
        friendly_name: "deleted".to_owned(),
        status: "active".to_owned(),
        auth_token: None,
        created: None,
        changed: None,
    };
    let by = Actor::job("accounts");
    node.store.synchronise_accounts(&by, vec![seen], false, node.now()).await.expect("kept");
    let is_gone =
        async |sid| node.store.find_account(sid).await.expect("read").expect("known").gone_at.is_some();

    let fault = format!(r#"{{"api": [{{"method": "GET", "path": "/Accounts/{deleted}", "status": 503}}]}}"#);
    node.world.fault(&fault).await;
    let found = node.engine.synchronise_accounts().await.expect("synchronised");
    assert!(
        matches!(found.unread[..], [(sid, NotListed::Twilio(_))] if sid == deleted),
        "{:?}",
        found.unread
    );
    assert!(!is_gone(deleted).await);

    node.world.control("DELETE", "faults", "").await;
    let found = node.engine.synchronise_accounts().await.expect("synchronised");
    assert_eq!(found.changes.gone, [deleted]);
    assert!(is_gone(deleted).await && !is_gone(there).await);
}

#[tokio::test]
async fn a_list_without_the_account_that_asked_is_no_list() {
    let page = r#"{"accounts": [], "page": 0, "page_size": 1000, "next_page_uri": null}"#;
    let twilio = Upstream::start(move |_| async move { Answer::new(200, page) }).await;
    let settings = Settings::at(format!("http://{}", twilio.address()).parse().expect("a URL"));
    let sid = Sid::new(*b"AC", 1);
    let known = KnownAccount { sid, parent: None, auth_token: Secret::new("x"), finds_subaccounts: true };
    let listed = Clients::new(&settings, vec![known]).expect("clients").list_accounts().await;
    assert!(
        matches!(listed.unread[..], [(it, NotListed::WithoutItself)] if it == sid),
        "{:?}",
        listed.unread
    );
}
