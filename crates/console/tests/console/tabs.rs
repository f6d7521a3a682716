//! Protected hosts: two tabs of one browser, which are on their way at once.

use http::Request;
use ringfence_model::Actor;
use ringfence_store::{Stage, Where};

use crate::hosts::{Visitor, WIKI, auditor, navigation, target_at, world};
use crate::world::{Browser, Page};

const SESSION: &str = "__Host-ringfence-session";

/// The target that the console leads this way on to.
async fn code(browser: &Browser<'_>, path: &str) -> String {
    target_at(browser.get(path).await.header("location"), WIKI)
}

async fn enter(visitor: &mut Visitor<'_>, target: &str) -> Page {
    visitor.sent_on("GET", WIKI, target, navigation(Request::builder())).await
}

#[tokio::test]
async fn a_tab_whose_person_signed_in_in_another_one_meanwhile_comes_to_where_it_was_going() {
    let world = world().await;
    let maria = auditor(&world, "maria@example.com").await;
    let mut visitor = Visitor::new(&world);
    let (one, two) = (visitor.begin(WIKI, "/one").await, visitor.begin(WIKI, "/two").await);
    let entered = enter(&mut visitor, &code(&maria, &one).await).await;
    assert_eq!(entered.header("refresh"), "0; url=https://wiki.example.com/one");
    assert_eq!(visitor.check(WIKI).await, 200);

    // The form in the second tab is still there, and is sent: that session takes the place of the first.
    let by = Actor::CommandLine("ops".to_owned());
    world.store.end_sessions(&by, &maria.person, None, None, world.now()).await.unwrap();
    let token = world.session(&maria.person, Where::Everywhere, Stage::Inside).await;
    let again = Browser { world: &world, token, person: maria.person.clone() };
    assert_eq!(visitor.check(WIKI).await, 401);
    let late = code(&again, &two).await;
    let page = enter(&mut visitor, &late).await;
    let begins = "https://wiki.example.com/.ringfence/start?to=%2Ftwo";
    assert_eq!((page.status, page.header("location")), (303, begins), "no dead end");

    let way = visitor.begin(WIKI, "/two").await;
    let entered = enter(&mut visitor, &code(&again, &way).await).await;
    assert_eq!((entered.status, entered.header("refresh")), (200, "0; url=https://wiki.example.com/two"));
    assert_eq!(visitor.check(WIKI).await, 200);
}

#[tokio::test]
async fn a_cookie_that_is_left_over_takes_no_code_of_somebody_elses() {
    let world = world().await;
    let maria = auditor(&world, "maria@example.com").await;
    let mallory = auditor(&world, "mallory@example.com").await;
    let slipped = code(&mallory, &Visitor::new(&world).begin(WIKI, "/page").await).await;
    let mut victim = Visitor::new(&world);
    let way = victim.begin(WIKI, "/page").await;
    enter(&mut victim, &code(&maria, &way).await).await;
    let by = Actor::CommandLine("ops".to_owned());
    world.store.end_sessions(&by, &maria.person, None, None, world.now()).await.unwrap();
    let page = enter(&mut victim, &slipped).await;
    assert!(
        page.header("location").starts_with("https://wiki.example.com/.ringfence/start?"),
        "{}",
        page.status
    );
    assert_eq!(page.header("set-cookie"), "");
    assert_eq!(victim.check(WIKI).await, 401);

    // Nor does anything else than the cookie, as we make it, lead round.
    for token in ["", "0", &"g".repeat(64)] {
        let mut other = Visitor::new(&world);
        other.cookies.push((WIKI.to_owned(), SESSION.to_owned(), token.to_owned()));
        assert_eq!(enter(&mut other, &slipped).await.status, 403, "{token}");
    }
}
