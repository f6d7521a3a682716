//! The list of incidents and one of them, for whoever may see them.

use ringfence_breaker::Subject;
use ringfence_model::{Actor, Sid};
use ringfence_store::{Role, Where};

use crate::world::World;

/// One account that reached its limit and was reset, one that asked for more than was left, and one that was stopped.
async fn filled(world: &World) -> [Sid; 3] {
    let accounts =
        [world.subaccount("Nordlicht").await, world.subaccount("Möwe").await, world.subaccount("Elbe").await];
    world.apply_limits().await;
    world.spend(accounts[0], "61.5").await;
    world.work().await;
    let by = Actor::CommandLine("ops".to_owned());
    let subject = Subject::Account(accounts[0]);
    world.engine.reset("fifty a day", subject, None, &by, "a <sale> they told us of").await.unwrap();
    drop(world.ask(accounts[1], "messages.create", "20").await);
    world.ask(accounts[1], "calls.create", "45").await;
    world.engine.trip("fifty a day", Subject::Account(accounts[2]), &by, "a leaked key").await.unwrap();
    accounts
}

#[tokio::test]
async fn each_time_that_something_fired_is_a_row_with_money_and_end() {
    let world = World::new().await;
    filled(&world).await;
    let owner = world.owner().await;
    let page = owner.get("/incidents").await;
    assert_eq!(page.status, 200);
    for said in ["limit reached", "stopped by hand", "requests refused", "61.50 of 50.00 USD", "1 worth 45"] {
        page.says(said);
    }
    assert_eq!(page.text.matches("/incident?id=").count(), 3, "{}", page.text);
    // Of what goes on there are two.
    let open = owner.get("/incidents?open=1").await;
    assert_eq!(open.text.matches("/incident?id=").count(), 2);
    open.does_not_say("limit reached</span>");
    let refused = owner.get("/incidents?kind=refused").await;
    assert_eq!(refused.text.matches("/incident?id=").count(), 1);
}

#[tokio::test]
async fn one_incident_says_what_fired_what_was_done_and_who_ended_it() {
    let world = World::new().await;
    filled(&world).await;
    let owner = world.owner().await;
    let list = owner.get("/incidents?kind=tripped").await;
    let (_, link) = list.text.split_once("href=\"/incident?").unwrap();
    let page = owner.get(&format!("/incident?{}", link.split('"').next().unwrap())).await;
    assert_eq!(page.status, 200);
    for said in [
        "Twilio&#39;s usage records",
        "61.50 USD",
        "command-line ops",
        "a &#60;sale&#62; they told us of",
        "5.00 USD more in that window",
        ">suspend<",
        "breaker.trip",
        "breaker.reset",
        "effect.done",
    ] {
        page.says(said);
    }
    let list = owner.get("/incidents?kind=refused").await;
    let (_, link) = list.text.split_once("href=\"/incident?").unwrap();
    let page = owner.get(&format!("/incident?{}", link.split('"').next().unwrap())).await;
    page.says("calls.create");
    page.does_not_say("messages.create");
}

#[tokio::test]
async fn an_account_is_found_by_a_part_of_its_name_and_by_its_sid() {
    let world = World::new().await;
    let [nordlicht, ..] = filled(&world).await;
    let owner = world.owner().await;
    for typed in ["nordl", &nordlicht.to_string()] {
        let page = owner.get(&format!("/incidents?account={typed}")).await;
        assert_eq!(page.text.matches("/incident?id=").count(), 1, "{typed}");
        page.says("Nordlicht");
        page.does_not_say("Elbe");
    }
    owner.get("/incidents?account=nobody").await.says("No account has this SID, nor this in its name.");
    owner.get("/incidents?account=l").await.says("Several accounts have this in their names");
    for nonsense in ["/incidents?kind=nonsense", "/incidents?days=-1", "/incidents?account=%00%22%3E"] {
        assert_eq!(owner.get(nonsense).await.status, 200, "{nonsense}");
    }
    assert_eq!(owner.get("/incidents?before=nonsense").await.status, 404);
}

#[tokio::test]
async fn whoever_looks_after_one_account_sees_its_incidents_and_no_others() {
    let world = World::new().await;
    let [nordlicht, moewe, _] = filled(&world).await;
    let owner = world.owner().await;
    let all = owner.get("/incidents").await;
    let links: Vec<String> = all
        .text
        .split("href=\"/incident?")
        .skip(1)
        .map(|rest| format!("/incident?{}", rest.split('"').next().unwrap()))
        .collect();
    let auditor = world.signed_in("aud@example.com", Role::Auditor, Where::Account(nordlicht)).await;
    let own = auditor.get("/incidents").await;
    assert_eq!(own.text.matches("/incident?id=").count(), 1);
    let asked = auditor.get(&format!("/incidents?account={moewe}")).await;
    assert_eq!(asked.text.matches("/incident?id=").count(), 1, "another account is not for them");
    asked.does_not_say("calls.create");
    let mut seen = Vec::new();
    for link in &links {
        seen.push(auditor.get(link).await.status);
    }
    seen.sort_unstable();
    assert_eq!(seen, [200, 404, 404]);
    for link in ["/incident", "/incident?id=0", "/incident?id=nonsense"] {
        assert_eq!(owner.get(link).await.status, 404, "{link}");
    }
}
