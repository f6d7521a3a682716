//! Codes to people of the console, where limits stand before them.

use ringfence_breaker::{Action, Limit, Per, Scope, Threshold};
use ringfence_control::node::Limits;
use ringfence_model::{Actor, Amount, PhoneNumber};
use ringfence_store::{FactorSecret, NewFactor, Told};

use crate::services::sending;
use crate::world::{Page, World, limit};

/// An owner with a phone, under a limit of the account that codes go out from.
async fn world(at: &str, then: Vec<Action>) -> World {
    let at: Amount = at.parse().unwrap();
    let limit = Limit {
        scope: Scope::All,
        at: Threshold::At(at),
        warn: vec![],
        then,
        ..limit("codes", 1, Per::Account)
    };
    let world = World::sending(vec![limit.clone()], |account| Some(sending(account))).await;
    let by = Actor::job("test");
    Limits::new(vec![limit]).apply(&world.store, &by, world.now()).await.unwrap();
    for account in world.store.accounts().await.unwrap() {
        world.engine.read_usage(&account, "poll").await.unwrap();
    }
    world
}

async fn bind_phone(world: &World, person: &str) {
    let number = PhoneNumber::parse("+14155550123").unwrap();
    let new = NewFactor { secret: FactorSecret::Phone(number), verified: true };
    world.store.add_factor(&Actor::job("test"), person, new, world.now()).await.unwrap();
}

#[tokio::test]
async fn whoever_signs_in_is_told_that_no_code_can_be_paid_for_and_until_when() {
    let world = world("0.01", vec![]).await;
    let owner = world.owner().await;
    bind_phone(&world, &owner.person).await;
    let page = owner.post("/second-factor/send", &[("channel", "sms")]).await;
    assert_eq!(page.status, 429);
    page.says("No code can be sent now: a limit on what this installation may spend has no room for it.");
    page.says("or use another factor.");
    page.does_not_say("It is on its way");
    page.does_not_say("&quot;codes&quot;");
    let wait: i64 = page.header("retry-after").parse().unwrap();
    let hours = (wait + 3_599) / 3_600;
    page.says(&format!("Try again in {hours} hours"));
}

#[tokio::test]
async fn where_an_operator_must_lift_the_limit_nobody_is_told_to_wait() {
    let world = world("0.01", vec![Action::Notify]).await;
    let owner = world.owner().await;
    bind_phone(&world, &owner.person).await;
    let page = owner.post("/second-factor/send", &[("channel", "sms")]).await;
    assert_eq!((page.status, page.header("retry-after")), (403, ""));
    page.says("Use another factor, or ask an owner.");
}

#[tokio::test]
async fn a_code_that_fits_is_on_its_way_and_stands_in_the_ledger() {
    let world = world("9", vec![]).await;
    let owner = world.owner().await;
    bind_phone(&world, &owner.person).await;
    let page = owner.post("/second-factor/send", &[("channel", "sms")]).await;
    assert_eq!(page.status, 200);
    page.says("It is on its way");
    let ledger = owner.get("/ledger").await;
    ledger.says("messages.create");
    ledger.says("by Ringfence, for a code");
}

/// The field with this id, as the page has it.
fn field<'p>(page: &'p Page, id: &str) -> &'p str {
    let (_, after) = page.text.split_once(&format!("<input id=\"{id}\"")).unwrap();
    after.split('>').next().unwrap()
}

#[tokio::test]
async fn a_number_that_is_refused_stays_in_its_field_and_what_is_wrong_stands_beside_it() {
    let world = world("9", vec![]).await;
    let owner = world.owner().await;
    for (number, shown) in [("+33612345678", "+33612345678"), ("abc <b>", "abc &#60;b&#62;")] {
        let page = owner.post("/bind/phone", &[("number", number), ("channel", "sms")]).await;
        assert_eq!(page.status, 422, "{number}");
        page.does_not_say("The code that went to");
        let field = field(&page, "number");
        for has in [format!("value=\"{shown}\"").as_str(), "aria-invalid=\"true\"", "autofocus"] {
            assert!(field.contains(has), "{field}");
        }
    }
    owner.get("/bind/factors").await.does_not_say("The code that went to");
    owner.get(&format!("/people/{}", owner.person)).await.does_not_say("not confirmed");
    let sent = owner.post("/bind/phone", &[("number", "+1 (415) 555-0188"), ("channel", "sms")]).await;
    assert_eq!(sent.status, 303);
    let page = owner.post("/bind/phone", &[("number", "+33612345678"), ("channel", "sms")]).await;
    page.says("The code that went to +141…88");
    assert!(!page.text.split_once("id=\"phone-code\"").unwrap().1[..200].contains("aria-invalid"));
    let page = owner.post("/bind/phone/code", &[("code", "000000")]).await;
    assert_eq!(page.status, 422);
    page.says("id=\"code-problem\"");
    assert!(page.text.split_once("id=\"phone-code\"").unwrap().1[..240].contains("aria-invalid"));
    assert!(!field(&page, "number").contains("aria-invalid"), "the number was right");
}

#[tokio::test]
async fn what_was_tried_last_has_the_focus_at_the_second_factor() {
    let world = world("9", vec![]).await;
    let owner = world.owner().await;
    bind_phone(&world, &owner.person).await;
    let seed = FactorSecret::Totp(ringfence_second_factor::totp::Seed::new([3; 20]));
    let new = NewFactor { secret: seed, verified: true };
    world.store.add_factor(&Actor::job("test"), &owner.person, new, world.now()).await.unwrap();
    world
        .store
        .new_recovery_codes(&Actor::job("test"), &owner.person, Told::nobody(), world.now())
        .await
        .unwrap();
    let focused = |page: &Page| -> Vec<String> {
        let inputs =
            page.text.split("<input ").filter(|input| input.split('>').next().unwrap().contains("autofocus"));
        let id = |input: &str| input.split("id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        inputs.map(id).collect()
    };
    assert_eq!(focused(&owner.get("/second-factor").await), ["code"]);
    let sent = owner.post("/second-factor/send", &[("channel", "sms")]).await;
    assert_eq!((sent.status, focused(&sent)), (200, vec!["phone-code".to_owned()]));
    for (field, value, id) in [
        ("phone-code", "000000", "phone-code"),
        ("recovery", "ABCD-EFGH-IJKL-MNOP", "recovery"),
        ("code", "000000", "code"),
    ] {
        let page = owner.post("/second-factor", &[(field, value)]).await;
        assert_eq!((page.status, focused(&page)), (422, vec![id.to_owned()]), "{field}");
        page.says("<title>Error: Second factor");
    }
}
