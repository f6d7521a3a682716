//! Who is not let in, and what is not done.

use bytes::Bytes;
use http::Request;
use ringfence_model::Secret;
use ringfence_store::{Role, Stage, Where};

use crate::hosts::{self, Visitor, WIKI, auditor};
use crate::world::{Browser, Page, World};

async fn anybody(world: &World, method: &str, path: &str) -> Page {
    let request = Request::builder().method(method).uri(path).header("host", "localhost:9443");
    let request = request.header("origin", "http://localhost:9443");
    Page::of(world.answer(request, Bytes::new()).await)
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_sign_in_and_comes_back() {
    let world = World::new().await;
    assert_eq!(anybody(&world, "GET", "/").await.header("location"), "/sign-in");
    let page = anybody(&world, "GET", "/audit?target=a&x=%26").await;
    assert_eq!(
        (page.status, page.header("location")),
        (303, "/sign-in?to=%2Faudit%3Ftarget%3Da%26x%3D%2526")
    );
    let page = anybody(&world, "POST", "/breakers/reset").await;
    assert_eq!((page.status, page.header("location")), (303, "/sign-in"), "coming back changes nothing");
}

#[tokio::test]
async fn a_session_that_is_not_inside_over_or_nobodys_opens_nothing() {
    let world = World::new().await;
    let owner = world.owner().await;
    for stage in [Stage::SecondFactor, Stage::Binding] {
        let token = world.session(&owner.person, Where::Everywhere, stage).await;
        let browser = Browser { world: &world, token, person: owner.person.clone() };
        assert_eq!(browser.get("/").await.header("location"), "/sign-in", "{stage:?}");
    }
    let forged = Browser { world: &world, token: Secret::new("0".repeat(64)), person: String::new() };
    assert_eq!(forged.get("/").await.status, 303);
    assert_eq!(owner.get("/").await.status, 200);
    world.advance(31 * 60).await;
    assert_eq!(owner.get("/").await.header("location"), "/sign-in", "it was not used for half an hour");
}

#[tokio::test]
async fn a_cookie_with_other_bytes_than_ascii_that_a_neighbour_plants_locks_nobody_out() {
    let world = World::new().await;
    let owner = world.owner().await;
    for planted in [&b"x=Zo\xc3\xab"[..], b"x=Zo\xeb", b"\xe2\x80\x80ringfence=0", b"\xff"] {
        let own = format!("ringfence={}", owner.token.expose());
        for cookies in [[planted, own.as_bytes()], [own.as_bytes(), planted]] {
            let request = Request::builder().uri("/").header("host", "localhost:9443");
            let request = request.header("cookie", &cookies.join(&b"; "[..])[..]);
            let page = Page::of(world.answer(request, Bytes::new()).await);
            assert_eq!(page.status, 200, "{}", planted.escape_ascii());
        }
    }
}

#[tokio::test]
async fn an_application_that_keeps_a_name_in_a_cookie_is_entered_as_any_other() {
    let world = hosts::world().await;
    let maria = auditor(&world, "maria@example.com").await;
    let mut visitor = Visitor::new(&world);
    visitor.cookies.push((WIKI.to_owned(), "name".to_owned(), "Zo\u{eb}".to_owned()));
    visitor.enter(&maria, WIKI).await;
    assert_eq!(visitor.check(WIKI).await, 200);
    // A browser takes this name from any neighbour: it does not begin with `__Host-`.
    let session = "__Host-ringfence-session";
    let (_, _, token) = visitor.cookies.iter().find(|(_, name, _)| name == session).unwrap().clone();
    let mut victim = Visitor::new(&world);
    victim.cookies.push((WIKI.to_owned(), format!("\u{2000}{session}"), token));
    assert_ne!(victim.check(WIKI).await, 200, "it was planted");
}

#[tokio::test]
async fn a_form_without_the_sessions_own_token_changes_nothing() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    let other = world.signed_in("other@example.com", Role::Owner, Where::Everywhere).await;
    let others = other.csrf().await;
    let path = format!("/accounts/{account}/suspend");
    for csrf in ["", "csrf=", "csrf=0", &format!("csrf={others}")] {
        let request = owner.request("POST", &path);
        let page = Page::of(world.answer(request, format!("{csrf}&reason=because")).await);
        assert_eq!(page.status, 403, "{csrf}");
        page.says("out of date");
    }
    assert_eq!(world.store.waiting_effects(10).await.unwrap(), []);
}

#[tokio::test]
async fn what_another_site_sends_changes_nothing_whatever_it_knows() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    let body = format!("csrf={}&reason=because", owner.csrf().await);
    let path = format!("/accounts/{account}/suspend");
    let plain = || {
        let cookie = format!("ringfence={}", owner.token.expose());
        let request = Request::builder().method("POST").uri(path.as_str()).header("host", "localhost:9443");
        request.header("cookie", cookie).header("content-type", "application/x-www-form-urlencoded")
    };
    for request in [
        plain(),
        plain().header("origin", "https://evil.example"),
        plain().header("origin", "null"),
        plain().header("sec-fetch-site", "cross-site"),
        plain().header("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(Page::of(world.answer(request, body.clone()).await).status, 403);
    }
    assert_eq!(world.store.waiting_effects(10).await.unwrap(), []);
    let own = plain().header("origin", "http://localhost:9443");
    assert_eq!(Page::of(world.answer(own, body.clone()).await).status, 303, "our own page may");
}

#[tokio::test]
async fn a_body_that_is_no_form_is_a_415() {
    let world = World::new().await;
    let owner = world.owner().await;
    let cookie = format!("ringfence={}", owner.token.expose());
    for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        let request = Request::builder().method("POST").uri("/sign-out").header("host", "localhost:9443");
        let request = request.header("cookie", cookie.as_str()).header("origin", "http://localhost:9443");
        let page = Page::of(world.answer(request.header("content-type", content_type), "{}").await);
        assert_eq!(page.status, 415, "{content_type}");
    }
}

#[tokio::test]
async fn unknown_pages_and_other_methods_are_told_apart() {
    let world = World::new().await;
    let owner = world.owner().await;
    for path in
        ["/nothing", "/accounts/AC1", "/accounts/x%2Fy", "/breakers/reset?limit=none", "/audit?before=x"]
    {
        assert_eq!(owner.get(path).await.status, 404, "{path}");
    }
    let unknown = format!("/accounts/AC{}", "9".repeat(32));
    assert_eq!(owner.get(&unknown).await.status, 404);
    let delete = owner.request("DELETE", "/accounts").header("origin", "http://localhost:9443");
    let page = Page::of(world.answer(delete, "").await);
    assert_eq!((page.status, page.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn every_answer_forbids_what_no_page_of_ours_needs() {
    let world = World::new().await;
    let owner = world.owner().await;
    for path in ["/", "/nothing", "/assets/console.css"] {
        let page = owner.get(path).await;
        let policy = page.header("content-security-policy");
        for rule in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        assert_eq!(page.header("strict-transport-security"), "", "not without TLS");
        let expected = if path.starts_with("/assets") { "no-cache" } else { "no-store" };
        assert_eq!(page.header("cache-control"), expected, "{path}");
        for inline in ["style=", "<style", "onclick", "javascript:"] {
            assert!(!page.text.contains(inline) || path.starts_with("/assets"), "{path} has {inline}");
        }
    }
}

#[tokio::test]
async fn a_head_has_the_length_of_the_page_and_no_body() {
    let world = World::new().await;
    let owner = world.owner().await;
    let whole = owner.get("/limits").await;
    let head = Page::of(world.answer(owner.request("HEAD", "/limits"), "").await);
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), whole.text.len().to_string());
}

/// A form of the door, posted by whoever it is.
async fn posted(world: &World, path: &str, form: &'static str) -> Page {
    let request = Request::builder().method("POST").uri(path).header("host", "localhost:9443");
    let request = request.header("origin", "http://localhost:9443");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    Page::of(world.answer(request, form).await)
}

#[tokio::test]
async fn whoever_wants_another_password_and_names_nobody_is_told_beside_the_field() {
    let world = World::at_its_address().await;
    for form in ["", "login=", "login=+"] {
        let page = posted(&world, "/forgot", form).await;
        assert_eq!(page.status, 422, "{form:?}");
        page.says("<p class=\"problem\" role=\"alert\" id=\"problem\">Type your mail address.</p>");
        page.says("aria-invalid=\"true\" aria-describedby=\"problem\"");
    }
    let page = posted(&world, "/forgot", "login=nobody%40example.com").await;
    assert_eq!(page.status, 200);
    page.says("a link is on its way");
    page.does_not_say("aria-invalid");
}

#[tokio::test]
async fn every_page_with_a_form_has_what_keeps_it_from_being_sent_twice() {
    let world = World::new().await;
    let owner = world.owner().await;
    let script = "<script src=\"/assets/once.js\" defer></script>";
    for path in ["/sign-in", "/bind", "/forgot", "/lock", "/reset-password"] {
        anybody(&world, "GET", path).await.says(script);
    }
    for path in ["/people", "/keys/new", "/bind/factors", "/second-factor"] {
        owner.get(path).await.says(script);
    }
    let served = anybody(&world, "GET", "/assets/once.js").await;
    assert_eq!((served.status, served.header("content-type")), (200, "text/javascript; charset=utf-8"));
}
