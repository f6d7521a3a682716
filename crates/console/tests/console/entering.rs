//! What a person sees between the console and a protected host.

use http::Request;
use ringfence_console::Told;
use ringfence_store::{Role, Where};

use crate::hosts::{Visitor, host, navigation, told};
use crate::world::{Page, World};

const WIKI: &str = "wiki.example.com";

#[tokio::test]
async fn whoever_enters_is_led_on_by_a_page_since_the_application_may_redirect_anywhere() {
    let world = World::protecting(vec![host(WIKI, Where::Everywhere, Role::Auditor)]).await;
    let owner = world.owner().await;
    let entered = Visitor::new(&world).enter(&owner, WIKI).await;
    // Browsers hold the console's `form-action` against each redirect that follows its form, and not against this.
    assert_eq!((entered.status, entered.header("location")), (200, ""));
    assert_eq!(entered.header("refresh"), "0; url=https://wiki.example.com/page");
    entered.says("<a class=\"button primary\" href=\"/page\">Go on</a>");
}

#[tokio::test]
async fn whoever_sends_a_form_after_the_session_ended_reads_how_to_send_it_all_the_same() {
    let world = World::protecting(vec![host(WIKI, Where::Everywhere, Role::Auditor)]).await;
    let mut visitor = Visitor::new(&world);
    let script = || Request::builder().header("accept", "*/*").header("sec-fetch-mode", "cors");
    let form = || Told { method: Some("POST".to_owned()), ..told(WIKI, "/save") };
    let seen = "What you sent was not done, and it is not lost.";
    // Behind Caddy, Traefik and Envoy, and behind nginx, which sends the refused request on.
    let handed = visitor.asked("/auth/forward", form(), navigation(Request::builder())).await;
    let sent_on = visitor.sent_on("POST", WIKI, "/.ringfence/start", navigation(Request::builder())).await;
    for page in [handed, sent_on] {
        assert_eq!(page.status, 401);
        assert_eq!(page.header("www-authenticate"), "Ringfence realm=\"wiki.example.com\"");
        assert_eq!(page.header("cache-control"), "no-store");
        page.says(seen);
        page.says("href=\"/.ringfence/start?to=%2F\" target=\"_blank\"");
    }
    let handed = visitor.asked("/auth/forward", form(), script()).await;
    let sent_on = visitor.sent_on("POST", WIKI, "/.ringfence/start", script()).await;
    for page in [handed, sent_on] {
        assert_eq!((page.status, page.text.as_str()), (401, ""), "a script reads the status");
    }
}

#[tokio::test]
async fn whoever_is_inside_by_another_tab_goes_on_to_the_host_from_the_form_that_is_left() {
    let world = World::protecting(vec![host(WIKI, Where::Everywhere, Role::Auditor)]).await;
    let owner = world.owner().await;
    let path = Visitor::new(&world).begin(WIKI, "/page").await;
    // The other tab's sign-in gave the session another token, which this form does not know.
    let left = async |to: &str| {
        let fields = [("csrf", "of before"), ("to", to), ("code", "000000")];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Page::of(world.answer(owner.request("POST", "/second-factor"), form).await)
    };
    let page = left(&path).await;
    assert_eq!((page.status, page.header("location")), (303, path.as_str()));
    assert_eq!(left("/people").await.status, 403, "what is done in the console wants a form of this session");
}
