//! What was typed into a form is not lost because a session ended, the second factor is asked for, or another tab signed in.

use bytes::Bytes;
use http::Request;
use ringfence_model::{Actor, Sid};
use ringfence_store::{Grant, Role, Stage, Where};

use crate::world::{Browser, Page, World};

const REASON: &str = "it calls at night: \"très\" <b>";
const REASON_ON_A_PAGE: &str = "value=\"it calls at night: &#34;très&#34; &#60;b&#62;\"";
const AGAIN: &str = "What you typed is here again";

fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The pair of the cookie that keeps what was typed.
fn kept(page: &Page) -> String {
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("ringfence-typed="), "{cookie}");
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=900"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

/// A page as the browser opens it that keeps this beside its session.
async fn with(browser: &Browser<'_>, path: &str, kept: &str) -> Page {
    let request = browser.request("GET", path);
    Page::of(browser.world.answer(request.header("cookie", kept), Bytes::new()).await)
}

/// The same person, signed in anew.
async fn anew<'w>(browser: &Browser<'w>) -> Browser<'w> {
    let token = browser.world.session(&browser.person, Where::Everywhere, Stage::Inside).await;
    Browser { world: browser.world, token, person: browser.person.clone() }
}

/// The answer to a form that is sent when its session has ended by itself.
async fn sent_late(world: &World, browser: &Browser<'_>, path: &str) -> Page {
    let body = encoded(&[("csrf", &browser.csrf().await), ("reason", REASON)]);
    world.advance(31 * 60).await;
    Page::of(world.answer(browser.request("POST", path), body).await)
}

async fn a_world() -> (World, Sid) {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    (world, account)
}

/// Where a redirect to a page of the door comes back to.
fn back(page: &Page, door: &str) -> String {
    let url = url::Url::parse("http://localhost").unwrap().join(page.header("location")).unwrap();
    assert_eq!((page.status, url.path()), (303, door));
    url.query_pairs().find(|(name, _)| name == "to").map(|(_, to)| to.into_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_form_of_a_session_that_ended_is_there_again_after_signing_in_and_nothing_was_done() {
    let (world, account) = a_world().await;
    let owner = world.owner().await;
    let path = format!("/accounts/{account}/suspend");
    let late = sent_late(&world, &owner, &path).await;
    assert_eq!(back(&late, "/sign-in"), path);
    let kept = kept(&late);
    let again = anew(&owner).await;
    let page = with(&again, &path, &kept).await;
    assert_eq!(page.status, 200);
    page.says(AGAIN);
    page.says(REASON_ON_A_PAGE);
    assert!(page.header("set-cookie").starts_with("ringfence-typed=; "), "it is shown once");
    with(&again, "/people", &kept).await.does_not_say(AGAIN);
    again.get(&path).await.does_not_say(AGAIN);
    assert_eq!(world.store.waiting_effects(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_reset_that_wants_the_second_factor_again_comes_back_to_its_own_form() {
    let (world, account) = a_world().await;
    world.spend(account, "60").await;
    let owner = world.owner().await;
    let body = encoded(&[
        ("csrf", &owner.csrf().await),
        ("limit", "fifty a day"),
        ("account", &account.to_string()),
        ("allow", "7.5"),
        ("reason", REASON),
    ]);
    world.advance(11 * 60).await;
    let late = Page::of(world.answer(owner.request("POST", "/breakers/reset"), body).await);
    let to = back(&late, "/second-factor");
    assert_eq!(to, format!("/breakers/reset?limit=fifty%20a%20day&account={account}"));
    let again = anew(&owner).await;
    again.get(&to).await.says("Reset “fifty a day”");
    let page = with(&again, &to, &kept(&late)).await;
    page.says(AGAIN);
    page.says(REASON_ON_A_PAGE);
    page.says("value=\"7.5\"");
}

#[tokio::test]
async fn a_form_of_before_another_tab_signed_in_is_shown_again_and_taken_then() {
    let (world, account) = a_world().await;
    let owner = world.owner().await;
    let stale = owner.csrf().await;
    let again = anew(&owner).await;
    let path = format!("/accounts/{account}/suspend");
    let body = encoded(&[("csrf", &stale), ("reason", REASON)]);
    let page = Page::of(world.answer(again.request("POST", &path), body).await);
    assert_eq!(page.status, 403);
    page.says("out of date");
    page.says(REASON_ON_A_PAGE);
    page.says(&format!("name=\"csrf\" value=\"{}\"", again.csrf().await));
    assert_eq!(world.store.waiting_effects(10).await.unwrap(), []);
    assert_eq!(again.post(&path, &[("reason", REASON)]).await.status, 303);
    assert_ne!(world.store.waiting_effects(10).await.unwrap(), []);
    // What has no form of its own is told as before.
    let page = Page::of(world.answer(again.request("POST", "/sign-out"), encoded(&[("csrf", &stale)])).await);
    assert_eq!(page.status, 403);
    page.says("you are signed in still");
    page.says(&format!(
        "action=\"/sign-out\"><input type=\"hidden\" name=\"csrf\" value=\"{}\">",
        again.csrf().await
    ));
    assert_eq!(again.get("/limits").await.status, 200, "nobody was signed out");
}

/// Somebody who owns these accounts, signed in to look at each of them.
async fn of_both(world: &World, accounts: [Sid; 2]) -> [Browser<'_>; 2] {
    let by = Actor::CommandLine("ops".to_owned());
    let grants = accounts.map(|sid| Grant { place: Where::Account(sid), role: Role::Owner });
    let person = world.store.add_person(&by, "both@example.com", grants.to_vec(), world.now()).await.unwrap();
    let [one, two] = accounts;
    [
        Browser {
            world,
            token: world.session(&person.id, Where::Account(one), Stage::Inside).await,
            person: person.id.clone(),
        },
        Browser {
            world,
            token: world.session(&person.id, Where::Account(two), Stage::Inside).await,
            person: person.id,
        },
    ]
}

#[tokio::test]
async fn what_was_typed_for_one_account_is_put_into_no_form_of_another() {
    let (world, bakery) = a_world().await;
    let dentist = world.subaccount("Dentist").await;
    let [at_bakery, _] = of_both(&world, [bakery, dentist]).await;
    let body = encoded(&[
        ("csrf", &at_bakery.csrf().await),
        ("policy", "disabled"),
        ("reason", "the kiosk of Bakery"),
    ]);
    world.advance(31 * 60).await;
    let late = Page::of(world.answer(at_bakery.request("POST", "/policies"), body).await);
    assert_eq!(back(&late, "/sign-in"), "/policies");
    let kept = kept(&late);
    // The sign-in leads to whichever account comes first.
    let token = world.session(&at_bakery.person, Where::Account(dentist), Stage::Inside).await;
    let at_dentist = Browser { world: &world, token, person: at_bakery.person.clone() };
    let page = with(&at_dentist, "/policies", &kept).await;
    assert_eq!((page.status, page.header("set-cookie")), (200, ""), "it waits for its own form");
    page.does_not_say(AGAIN);
    page.does_not_say("the kiosk of Bakery");
    page.does_not_say("value=\"disabled\" selected");
    page.says(&format!("What you typed here was for {bakery}, and you look at {dentist} now."));
    page.says("href=\"/go-to\"");
    with(&at_dentist, "/limits", &kept).await.does_not_say("What you typed here");
    // Going there leads to it.
    let csrf = at_dentist.csrf().await;
    let request = at_dentist.request("POST", "/go-to").header("cookie", &kept);
    let fields = encoded(&[("csrf", &csrf), ("account", &bakery.to_string())]);
    let gone = Page::of(world.answer(request, fields).await);
    assert_eq!((gone.status, gone.header("location")), (303, "/policies"));
    let token = world.session(&at_bakery.person, Where::Account(bakery), Stage::Inside).await;
    let at_bakery = Browser { world: &world, token, person: at_bakery.person };
    let page = with(&at_bakery, "/policies", &kept).await;
    page.says(AGAIN);
    page.says("the kiosk of Bakery");
    page.says("value=\"disabled\" selected");
    assert_eq!(world.store.policies().await.unwrap(), []);
}

#[tokio::test]
async fn a_form_that_another_tab_has_left_for_another_account_is_not_filled_in_there() {
    let (world, bakery) = a_world().await;
    let dentist = world.subaccount("Dentist").await;
    let [at_bakery, at_dentist] = of_both(&world, [bakery, dentist]).await;
    let stale = at_bakery.csrf().await;
    for (path, name) in [("/policies", "policy"), ("/keys/new", "name")] {
        let body = encoded(&[("csrf", &stale), (name, "disabled"), ("reason", "the kiosk of Bakery")]);
        let page = Page::of(world.answer(at_dentist.request("POST", path), body).await);
        assert_eq!(page.status, 403, "{path}");
        page.says(&format!("What you typed here was for {bakery}, and you look at {dentist} now."));
        page.does_not_say("you have signed in again");
        page.does_not_say("the kiosk of Bakery");
        with(&at_bakery, path, &kept(&page)).await.says("the kiosk of Bakery");
    }
    // Where the other account has no such page, that is said instead of what is not there.
    let path = format!("/accounts/{bakery}/suspend");
    let body = encoded(&[("csrf", &stale), ("reason", REASON)]);
    let page = Page::of(world.answer(at_dentist.request("POST", &path), body).await);
    assert_eq!(page.status, 403);
    page.says(&format!("This form was for {bakery}, and you look at {dentist} now."));
    page.says("href=\"/go-to\"");
    with(&at_bakery, &path, &kept(&page)).await.says(REASON_ON_A_PAGE);
    // Nor does it help to write the other account into the form.
    let own = at_dentist.csrf().await.replace(&dentist.to_string(), &bakery.to_string());
    let body = encoded(&[("csrf", &own), ("policy", "disabled"), ("reason", "a forged form")]);
    let page = Page::of(world.answer(at_dentist.request("POST", "/policies"), body).await);
    assert_eq!(page.status, 403);
    assert_eq!(world.store.policies().await.unwrap(), []);
    assert_eq!(world.store.credentials(None).await.unwrap(), []);
    assert_eq!(world.store.waiting_effects(10).await.unwrap(), []);
}

#[tokio::test]
async fn every_field_of_a_long_form_is_filled_in_again() {
    let (world, account) = a_world().await;
    let owner = world.owner().await;
    let csrf = owner.csrf().await;
    let account = account.to_string();
    world.advance(11 * 60).await;
    let again = anew(&owner).await;
    let body = encoded(&[
        ("csrf", &csrf),
        ("name", "shop"),
        ("accounts", &account),
        ("operation", "lookups"),
        ("operation", "reads"),
        ("destinations", "GB +1415"),
        ("days", "90"),
        ("reason", REASON),
    ]);
    let late = Page::of(world.answer(owner.request("POST", "/keys/new"), body).await);
    assert_eq!(back(&late, "/second-factor"), "/keys/new");
    let page = with(&again, "/keys/new", &kept(&late)).await;
    for shown in ["value=\"shop\"", &account, "GB +1415", "value=\"90\" selected", REASON_ON_A_PAGE] {
        page.says(shown);
    }
    assert_eq!(page.text.matches(" checked").count(), 2, "{}", page.text);
    assert_eq!(world.store.credentials(None).await.unwrap(), []);

    let other = world.signed_in("other@example.com", Role::Auditor, Where::Everywhere).await;
    let person = format!("/people/{}", other.person);
    let body = encoded(&[("csrf", &csrf), ("role", "operator"), ("account", &account), ("reason", REASON)]);
    let late = Page::of(world.answer(owner.request("POST", &format!("{person}/role")), body).await);
    assert_eq!(back(&late, "/second-factor"), format!("{person}?account={account}"));
    let page = with(&again, &person, &kept(&late)).await;
    for shown in ["value=\"operator\" selected", &account, REASON_ON_A_PAGE] {
        page.says(shown);
    }
}

#[tokio::test]
async fn no_password_is_kept_and_nothing_that_a_stranger_made_up_is_shown() {
    let (world, account) = a_world().await;
    let owner = world.owner().await;
    let csrf = owner.csrf().await;
    world.advance(31 * 60).await;
    let body = encoded(&[("csrf", &csrf), ("old", "tulip cement orbit"), ("new", "orbit cement tulip")]);
    let late = Page::of(world.answer(owner.request("POST", "/security/password"), body).await);
    assert_eq!(back(&late, "/sign-in"), "/security/password");
    assert_eq!(late.header("set-cookie"), "");
    for path in ["/sign-out", "/security/devices"] {
        let late = Page::of(world.answer(owner.request("POST", path), encoded(&[("csrf", &csrf)])).await);
        assert_eq!((late.header("location"), late.header("set-cookie")), ("/sign-in", ""));
    }
    let path = format!("/accounts/{account}/suspend");
    let foreign = Request::builder().method("POST").uri(path.as_str()).header("host", "localhost:9443");
    let foreign = foreign.header("origin", "https://evil.example");
    let foreign = foreign.header("content-type", "application/x-www-form-urlencoded");
    let page = Page::of(world.answer(foreign, encoded(&[("reason", "of another site")])).await);
    assert_eq!((page.status, page.header("set-cookie")), (403, ""));
    let again = anew(&owner).await;
    for odd in ["x", "", "W10", "bnVsbA"] {
        let page = with(&again, &path, &format!("ringfence-typed={odd}")).await;
        assert_eq!(page.status, 200);
        page.does_not_say(AGAIN);
    }
}

#[tokio::test]
async fn what_another_site_sends_is_put_into_no_form() {
    let (world, account) = a_world().await;
    let body = encoded(&[("reason", REASON)]);
    let path = format!("/accounts/{account}/suspend");
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = Request::builder().method("POST").uri(&*path).header("host", "localhost:9443");
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header(name, value);
        let page = Page::of(world.answer(request, body.clone()).await);
        assert_eq!((page.status, page.header("set-cookie")), (403, ""), "{name}: {value}");
    }
}

#[tokio::test]
async fn who_signs_out_leaves_nothing_that_was_typed() {
    let (world, _) = a_world().await;
    let owner = world.owner().await;
    let left = owner.post("/sign-out", &[]).await;
    let set: Vec<_> =
        left.response.headers().get_all("set-cookie").iter().map(|it| it.to_str().unwrap()).collect();
    for cookie in ["ringfence-typed=; ", "__Host-ringfence-typed=; "] {
        assert!(set.iter().any(|set| set.starts_with(cookie) && set.ends_with("Max-Age=0")), "{set:?}");
    }
}

#[tokio::test]
async fn somebody_else_who_signs_in_at_the_browser_does_not_find_what_was_typed() {
    let (world, account) = a_world().await;
    let owner = world.owner().await;
    let path = format!("/accounts/{account}/suspend");
    let late = sent_late(&world, &owner, &path).await;
    let kept = kept(&late);
    let other = world.signed_in("other@example.com", Role::Owner, Where::Everywhere).await;
    // It is forgotten with the first page, whichever that is.
    for of_other in ["/", &path] {
        let page = with(&other, of_other, &kept).await;
        assert_eq!(page.status, 200);
        page.does_not_say(AGAIN);
        page.does_not_say("calls at night");
        assert!(page.header("set-cookie").starts_with("ringfence-typed=; "), "{of_other}");
    }
    with(&anew(&owner).await, &path, &kept).await.says(AGAIN);
}

#[tokio::test]
async fn what_nobody_is_known_to_have_typed_is_not_kept() {
    let (world, account) = a_world().await;
    let owner = world.owner().await;
    let path = format!("/accounts/{account}/suspend");
    let body = encoded(&[("csrf", &owner.csrf().await), ("reason", REASON)]);
    owner.post("/sign-out", &[]).await;
    let late = Page::of(world.answer(owner.request("POST", &path), body).await);
    assert_eq!(
        (late.header("location"), late.header("set-cookie")),
        (&*format!("/sign-in?to={}", path.replace('/', "%2F")), "")
    );
}
