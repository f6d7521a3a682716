//! Going from one account to another, and what a browser keeps.

use bytes::Bytes;
use http::{Request, Response};
use ringfence_control::people::Hasher;
use ringfence_model::{Actor, Secret, Sid};
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{FactorSecret, Grant, NewFactor, Role, Told, Where};

use crate::world::{Browser, Page, World};

const PASSWORD: &str = "tulip cement orbit";

fn ops() -> Actor {
    Actor::CommandLine("ops".to_owned())
}

async fn demand(world: &World, account: Sid, policy: Policy) {
    let demands = Demands { policy, strength: Strength::Any };
    world.store.set_policy(&ops(), Where::Account(account), demands, world.now()).await.unwrap();
}

/// Somebody with a password, an application, and a role in both accounts.
async fn somebody(world: &World, accounts: [Sid; 2]) -> (String, Seed) {
    let grants = accounts.map(|sid| Grant { place: Where::Account(sid), role: Role::Operator });
    let person =
        world.store.add_person(&ops(), "op@example.com", grants.to_vec(), world.now()).await.unwrap();
    let hash = Hasher::new(1).hash(&Secret::new(PASSWORD), [7; 16]).await.unwrap();
    world.store.set_password(&ops(), &person.id, &hash, Told::nobody(), world.now()).await.unwrap();
    let seed = Seed::new([3; 20]);
    let new = NewFactor { secret: FactorSecret::Totp(seed.clone()), verified: true };
    world.store.add_factor(&ops(), &person.id, new, world.now()).await.unwrap();
    (person.id, seed)
}

/// What a browser keeps after an answer.
fn kept(response: &Response<Bytes>, begins: &str) -> Option<String> {
    let cookies = response.headers().get_all("set-cookie").iter();
    let mut pairs = cookies.filter_map(|it| it.to_str().unwrap().split(';').next());
    pairs.find(|pair| pair.starts_with(begins)).map(str::to_owned)
}

async fn send(world: &World, path: &str, cookies: &str, fields: &[(&str, &str)]) -> Page {
    let request = Request::builder().method("POST").uri(path).header("host", "localhost:9443");
    let request = request.header("origin", "http://localhost:9443").header("cookie", cookies);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Page::of(world.answer(request, body).await)
}

async fn sign_in(world: &World, password: &str, cookies: &str) -> Page {
    send(world, "/sign-in", cookies, &[("login", "op@example.com"), ("password", password)]).await
}

fn browser<'w>(world: &'w World, page: &Page, person: &str) -> Browser<'w> {
    let token = kept(&page.response, "ringfence=").unwrap();
    Browser { world, token: Secret::new(token.trim_start_matches("ringfence=")), person: person.to_owned() }
}

fn csrf_in(page: &Page) -> String {
    let (_, after) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
    after.split('"').next().unwrap().to_owned()
}

async fn session_place(world: &World, browser: &Browser<'_>) -> Where {
    world.store.session(&browser.token, world.now()).await.unwrap().unwrap().place
}

#[tokio::test]
async fn each_account_asks_for_what_its_own_policy_demands_when_somebody_goes_there() {
    let world = World::new().await;
    let mut accounts = [world.subaccount("one").await, world.subaccount("two").await];
    accounts.sort();
    let [here, there] = accounts;
    demand(&world, here, Policy::Disabled).await;
    demand(&world, there, Policy::EverySignIn).await;
    let (person, seed) = somebody(&world, accounts).await;
    let inside = browser(&world, &sign_in(&world, PASSWORD, "").await, &person);
    let page = inside.get("/go-to").await;
    page.says(&there.to_string());
    page.says("you are here");
    inside.get("/").await.says("href=\"/go-to\"");
    // Nowhere that is not theirs, and not because of another site.
    let other = format!("AC{}", "9".repeat(32));
    for account in [other.as_str(), "*", "", "x"] {
        assert_eq!(inside.post("/go-to", &[("account", account)]).await.status, 404, "{account}");
    }
    let cookie = format!("ringfence={}", inside.token.expose());
    let page = send(&world, "/go-to", &cookie, &[("account", &there.to_string()), ("csrf", "0")]).await;
    assert_eq!(page.status, 403);
    // There it asks.
    let asked = inside.post("/go-to", &[("account", &there.to_string())]).await;
    let ask = format!("/second-factor?to=%2Fgo-to%3Faccount%3D{there}");
    assert_eq!((asked.status, asked.header("location")), (303, ask.as_str()));
    let page = inside.get(&ask).await;
    page.says(&there.to_string());
    // Whoever turns back, or is wrong, is still inside where they were.
    let csrf = csrf_in(&page);
    let cookie = format!("ringfence={}", inside.token.expose());
    let to = format!("/go-to?account={there}");
    let wrong = [("csrf", csrf.as_str()), ("code", "000000"), ("to", to.as_str())];
    assert_eq!(send(&world, "/second-factor", &cookie, &wrong).await.status, 422);
    assert_eq!(inside.get("/").await.status, 200);
    assert_eq!(session_place(&world, &inside).await, Where::Account(here));
    let code = seed.code_at(world.now());
    let fields = [("csrf", csrf.as_str()), ("code", &code), ("to", to.as_str())];
    let page = send(&world, "/second-factor", &cookie, &fields).await;
    assert_eq!((page.status, page.header("location")), (303, "/"));
    assert_eq!(inside.get("/").await.header("location"), "/sign-in", "the old token is none");
    let inside = browser(&world, &page, &person);
    assert_eq!(session_place(&world, &inside).await, Where::Account(there));
    inside.get("/go-to").await.says("you are here");
    // Back it asks for nothing.
    let back = inside.post("/go-to", &[("account", &here.to_string())]).await;
    assert_eq!((back.status, back.header("location")), (303, "/"));
}

#[tokio::test]
async fn whose_role_is_taken_away_here_is_shown_where_else_they_have_one() {
    let world = World::new().await;
    let mut accounts = [world.subaccount("one").await, world.subaccount("two").await];
    accounts.sort();
    demand(&world, accounts[0], Policy::Disabled).await;
    let (person, _) = somebody(&world, accounts).await;
    let inside = browser(&world, &sign_in(&world, PASSWORD, "").await, &person);
    let csrf = inside.csrf().await;
    let place = Where::Account(accounts[0]);
    world.store.remove_role(&ops(), &person, place, world.now()).await.unwrap();
    assert_eq!(inside.get("/").await.header("location"), "/go-to");
    inside.get("/go-to").await.says(&accounts[1].to_string());
    let cookie = format!("ringfence={}", inside.token.expose());
    let fields = [("csrf", csrf.as_str()), ("account", &accounts[1].to_string())];
    let ask = format!("/second-factor?to=%2Fgo-to%3Faccount%3D{}", accounts[1]);
    assert_eq!(send(&world, "/go-to", &cookie, &fields).await.header("location"), ask);
}

#[tokio::test]
async fn a_browser_that_was_inside_is_told_from_strangers() {
    let world = World::new().await;
    let accounts = [world.subaccount("one").await, world.subaccount("two").await];
    for account in accounts {
        demand(&world, account, Policy::Disabled).await;
    }
    somebody(&world, accounts).await;
    let inside = sign_in(&world, PASSWORD, "").await;
    let mark = kept(&inside.response, "ringfence-bm_").unwrap();
    assert!(!mark.contains("op@example.com"), "{mark}");
    for _ in 0..5 {
        assert_eq!(sign_in(&world, "wrong", "").await.status, 422);
    }
    let page = sign_in(&world, PASSWORD, "").await;
    assert_eq!(page.status, 429);
    assert!(page.header("retry-after").parse::<u32>().unwrap() > 0, "when it may be tried again");
    assert_eq!(sign_in(&world, PASSWORD, &mark).await.status, 303);
    let nobody = [("login", "nobody@example.com"), ("password", PASSWORD)];
    assert_eq!(send(&world, "/sign-in", &mark, &nobody).await.status, 422);
}

#[tokio::test]
async fn a_trusted_computer_that_got_its_next_secret_shows_a_thief_who_has_the_one_before() {
    let world = World::new().await;
    let accounts = [world.subaccount("one").await, world.subaccount("two").await];
    let (person, seed) = somebody(&world, accounts).await;
    let asked = sign_in(&world, PASSWORD, "").await;
    let halfway = browser(&world, &asked, &person);
    let page = halfway.get("/second-factor").await;
    let (_, after) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
    let csrf = after.split('"').next().unwrap();
    let cookie = format!("ringfence={}", halfway.token.expose());
    let code = seed.code_at(world.now());
    let fields = [("csrf", csrf), ("code", code.as_str()), ("trust", "1")];
    let page = send(&world, "/second-factor", &cookie, &fields).await;
    let stolen = kept(&page.response, "ringfence-dv_").unwrap();
    // An answer that is lost, and one that arrives.
    world.advance(60).await;
    assert_eq!(sign_in(&world, PASSWORD, &stolen).await.header("location"), "/");
    world.advance(60).await;
    let inside = sign_in(&world, PASSWORD, &stolen).await;
    assert_eq!(inside.header("location"), "/");
    let own = kept(&inside.response, "ringfence-dv_").unwrap();
    let session = kept(&inside.response, "ringfence=").unwrap();
    let request = Request::builder().uri("/").header("host", "localhost:9443");
    let request =
        request.header("sec-fetch-site", "same-origin").header("cookie", format!("{session}; {own}"));
    assert_eq!(world.answer(request, "").await.status(), 200);
    world.advance(60).await;
    assert_eq!(sign_in(&world, PASSWORD, &stolen).await.header("location"), "/second-factor");
    assert_eq!(sign_in(&world, PASSWORD, &own).await.header("location"), "/second-factor");
}
