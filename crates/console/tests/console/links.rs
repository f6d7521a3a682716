//! Links that were mailed, and codes that were given out: whose they are, and what they are good for, before anything is done.

use bytes::Bytes;
use http::Request;
use jiff::SignedDuration;
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{FactorSecret, Grant, NewFactor, NewSession, Purpose, Role, Stage, Told, Where};

use crate::world::{Browser, Page, World};

fn ops() -> Actor {
    Actor::CommandLine("ops".to_owned())
}

async fn code(world: &World, person: &str, purpose: Purpose) -> String {
    let hour = SignedDuration::from_hours(1);
    let code = world.store.give_out_code(&ops(), person, purpose, hour, world.now()).await.unwrap();
    code.spelled().as_str().to_owned()
}

/// In a browser in which nobody is signed in.
async fn opened(world: &World, path: &str) -> Page {
    let request = Request::builder().method("GET").uri(path).header("host", "localhost:9443");
    Page::of(world.answer(request, Bytes::new()).await)
}

#[tokio::test]
async fn the_page_of_a_link_says_whose_it_is_and_at_once_where_it_is_good_for_nothing() {
    let world = World::new().await;
    let op = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    for (path, purpose, button) in [
        ("/lock", Purpose::Lock, "Lock op@example.com out"),
        ("/reset-password", Purpose::ResetPassword, "Set it"),
    ] {
        let code = code(&world, &op.person, purpose).await;
        let page = opened(&world, &format!("{path}?code={code}")).await;
        page.says("op@example.com");
        page.says(button);
        for dead in ["", "?code=AAAA-AAAA-AAAA-AAAA"] {
            let page = opened(&world, &format!("{path}{dead}")).await;
            page.says("This link is used already");
            page.does_not_say("<button");
        }
        // It was not used by that.
        opened(&world, &format!("{path}?code={code}")).await.says(button);
    }
}

#[tokio::test]
async fn whoever_was_too_slow_to_bind_a_factor_is_told_what_to_do() {
    let world = World::new().await;
    let op = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    let token = world.session(&op.person, Where::Everywhere, Stage::Binding).await;
    let binding = Browser { world: &world, token, person: op.person.clone() };
    world.advance(59 * 60).await;
    assert_eq!(binding.get("/bind/factors").await.status, 200);
    world.advance(60).await;
    let page = binding.get("/bind/factors").await;
    assert_eq!((page.status, page.header("location")), (303, "/sign-in?done=over&to=%2Fbind%2Ffactors"));
    opened(&world, page.header("location")).await.says("ringfence user reset-second-factor");
}

#[tokio::test]
async fn whoever_is_let_in_by_the_password_alone_may_finish_without_a_factor() {
    let world = World::new().await;
    let kiosk = world.signed_in("kiosk@example.com", Role::Auditor, Where::Everywhere).await;
    // With the code they have chosen a password.
    let hash = Secret::new("a hash");
    let begin = async || {
        let token = world.session(&kiosk.person, Where::Everywhere, Stage::Binding).await;
        Browser { world: &world, token, person: kiosk.person.clone() }
    };
    world.store.set_password(&ops(), &kiosk.person, &hash, Told::nobody(), world.now()).await.unwrap();
    let page = begin().await.get("/bind/factors").await;
    page.says("disabled aria-describedby=\"why\"");
    let demands = Demands { policy: Policy::Disabled, strength: Strength::Any };
    world.store.set_policy(&ops(), Where::Everywhere, demands, world.now()).await.unwrap();
    let page = begin().await.get("/bind/factors").await;
    page.says("the password alone opens it");
    page.does_not_say("disabled aria-describedby=\"why\"");
    let binding = begin().await;
    let page = binding.get("/bind/factors").await;
    let (_, csrf) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
    let form = format!("csrf={}", csrf.split('"').next().unwrap());
    let done = Page::of(world.answer(binding.request("POST", "/bind/finish"), form).await);
    assert_eq!((done.status, done.header("location")), (303, "/"));
}

#[tokio::test]
async fn the_overview_says_what_a_password_alone_opens() {
    let world = World::new().await;
    let owner = world.owner().await;
    let account = world.subaccount("Dentist").await;
    owner.get("/").await.says("A password alone opens nothing");
    let demands = Demands { policy: Policy::Disabled, strength: Strength::Any };
    world.store.set_policy(&ops(), Where::Account(account), demands, world.now()).await.unwrap();
    let page = owner.get("/").await;
    page.says("A password alone opens 1 account");
    page.says("href=\"/policies\"");
    let of_it = world.signed_in("dent@example.com", Role::Auditor, Where::Account(account)).await;
    of_it.get("/").await.says("A password alone opens this account");
    world.store.set_policy(&ops(), Where::Everywhere, demands, world.now()).await.unwrap();
    owner.get("/").await.says("A password alone opens all accounts as a whole");
}

#[tokio::test]
async fn a_factor_that_was_wrong_too_often_is_shown_as_what_it_is_worth() {
    let world = World::new().await;
    let owner = world.owner().await;
    let op = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    let new = NewFactor { secret: FactorSecret::Totp(Seed::new([3; 20])), verified: true };
    let factor = world.store.add_factor(&ops(), &op.person, new, world.now()).await.unwrap();
    op.get("/security").await.says("Authenticator application, since");
    let subject = world.store.factors(&op.person).await.unwrap()[0].subject();
    assert_eq!(subject, format!("factor/{factor}"));
    for hour in 0..20 {
        let then = world.now() - SignedDuration::from_hours(30 - hour);
        let rule = ringfence_second_factor::failures::Rule::Person;
        world.store.count_attempt(&subject, rule, then).await.unwrap().unwrap();
    }
    let page = op.get("/security").await;
    page.says("✗ The authenticator application: wrong too often");
    page.does_not_say("Authenticator application, since");
    op.get("/bind/factors").await.says("Show what to scan");
    owner.get(&format!("/people/{}", op.person)).await.says("totp (wrong too often: it counts no more)");
}

#[tokio::test]
async fn whoever_has_not_at_hand_what_one_account_takes_signs_in_to_another() {
    let world = World::new().await;
    let dentist = world.subaccount("Dentist").await;
    let bakery = world.subaccount("Bakery").await;
    let grants = [dentist, bakery].map(|sid| Grant { place: Where::Account(sid), role: Role::Auditor });
    let pat = world.store.add_person(&ops(), "pat@example.com", grants.to_vec(), world.now()).await.unwrap();
    for secret in [FactorSecret::Totp(Seed::new([3; 20])), FactorSecret::Passkey("a key".to_owned())] {
        let new = NewFactor { secret, verified: true };
        world.store.add_factor(&ops(), &pat.id, new, world.now()).await.unwrap();
    }
    let passkeys = Demands { policy: Policy::EverySignIn, strength: Strength::PhishingResistant };
    world.store.set_policy(&ops(), Where::Account(dentist), passkeys, world.now()).await.unwrap();
    let token = world.session(&pat.id, Where::Account(dentist), Stage::SecondFactor).await;
    let waits = Browser { world: &world, token, person: pat.id.clone() };
    let page = waits.get("/second-factor").await;
    page.says("Account <b>Dentist</b> asks for this, too.");
    page.says(&format!("name=\"account\" value=\"{bakery}\">Bakery</button>"));
    page.does_not_say("Code of your authenticator application");
    let (_, csrf) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
    let csrf = csrf.split('"').next().unwrap();
    let turn = async |account: &str| {
        let form = format!("csrf={csrf}&account={account}");
        Page::of(world.answer(waits.request("POST", "/go-to"), form).await)
    };
    assert_eq!(turn("*").await.status, 404, "they have no role there");
    let turned = turn(&bakery.to_string()).await;
    assert_eq!((turned.status, turned.header("location")), (303, "/second-factor"));
    let token = turned.header("set-cookie").split(['=', ';']).nth(1).unwrap();
    let at_bakery = Browser { world: &world, token: Secret::new(token), person: pat.id.clone() };
    let page = at_bakery.get("/second-factor").await;
    page.says("Account <b>Bakery</b> asks for this, too.");
    page.says("Code of your authenticator application");
    assert_eq!(at_bakery.get("/").await.header("location"), "/sign-in", "nobody is inside by that");
    assert_eq!(waits.get("/second-factor").await.header("location"), "/sign-in", "the old token is none");
}

#[tokio::test]
async fn a_page_about_another_account_says_so_to_whoever_may_look_at_it_and_to_nobody_else() {
    let world = World::new().await;
    let dentist = world.subaccount("Dentist").await;
    let bakery = world.subaccount("Bakery").await;
    let at_dentist = world.signed_in("ana@example.com", Role::Owner, Where::Account(dentist)).await;
    let paths =
        [format!("/accounts/{bakery}"), format!("/breakers/reset?limit=fifty+a+day&account={bakery}")];
    for path in &paths {
        let page = at_dentist.get(path).await;
        assert_eq!(page.status, 404);
        page.says("Nothing is at this address.");
        page.does_not_say("href=\"/go-to\"");
    }
    let grant = Grant { place: Where::Account(bakery), role: Role::Auditor };
    world.store.set_role(&ops(), &at_dentist.person, grant, world.now()).await.unwrap();
    for path in &paths {
        let page = at_dentist.get(path).await;
        page.says(&format!("This page is about {bakery}, and you look at {dentist} now."));
        page.says("href=\"/go-to\"");
    }
}

#[tokio::test]
async fn whoever_uses_their_last_code_makes_new_ones_and_goes_on_where_they_were_going() {
    let world = World::new().await;
    let op = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    let codes =
        world.store.new_recovery_codes(&ops(), &op.person, Told::nobody(), world.now()).await.unwrap();
    let factor = world.store.factors(&op.person).await.unwrap().remove(0);
    for code in &codes[1..] {
        let used = world.store.use_recovery_code(&ops(), &factor, code, Told::nobody(), world.now()).await;
        assert!(used.unwrap().unwrap());
    }
    let csrf = |page: &Page| {
        let (_, after) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
        after.split('"').next().unwrap().to_owned()
    };
    let post = async |browser: &Browser<'_>, path: &str, csrf: &str, field: (&str, &str)| {
        let form = [("csrf", csrf), ("to", "/limits"), field];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        Page::of(world.answer(browser.request("POST", path), form).await)
    };
    let as_told = |page: &Page| {
        let (_, token) = page.header("set-cookie").split_once('=').unwrap();
        let token = Secret::new(token.split(';').next().unwrap());
        Browser { world: &world, token, person: op.person.clone() }
    };
    let token = world.session(&op.person, Where::Everywhere, Stage::SecondFactor).await;
    let halfway = Browser { world: &world, token, person: op.person.clone() };
    let asked = csrf(&halfway.get("/second-factor?to=%2Flimits").await);
    let last = codes[0].spelled().as_str().to_owned();
    let page = post(&halfway, "/second-factor", &asked, ("recovery", &last)).await;
    assert_eq!((page.status, page.header("location")), (303, "/bind/factors?to=%2Flimits"));
    let led = as_told(&page);
    assert_eq!(led.get("/limits").await.status, 303, "it is not inside");
    let page = led.get("/bind/factors?to=%2Flimits").await;
    page.says("You have nothing left that works when Twilio does not.");
    page.says("disabled aria-describedby=\"why\"");
    let own = csrf(&page);
    let refused = post(&led, "/bind/finish", &own, ("", "")).await;
    assert_eq!(refused.status, 422);
    refused.says("ake recovery codes first");
    let page = post(&led, "/bind/codes", &own, ("", "")).await;
    page.says("<ol class=\"codes\">");
    page.says("name=\"to\" value=\"/limits\"");
    page.does_not_say("disabled aria-describedby");
    let page = post(&led, "/bind/finish", &own, ("", "")).await;
    assert_eq!((page.status, page.header("location")), (303, "/limits"));
    assert_eq!(as_told(&page).get("/limits").await.status, 200);
}

#[tokio::test]
async fn whoever_was_led_to_make_codes_and_comes_back_too_late_signs_in_again() {
    let world = World::new().await;
    let op = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    let session = world.store.session(&op.token, world.now()).await.unwrap().unwrap();
    // In a session that was inside already, and is good for half a day.
    let led = NewSession {
        person: op.person.clone(),
        place: session.place,
        stage: Stage::Binding,
        assurance: session.assurance,
        password_of: None,
        sign_in: session.sign_in,
        address: session.address,
        agent: session.agent,
    };
    let token = world.store.change_session(&op.token, led, world.now()).await.unwrap();
    let led = Browser { world: &world, token, person: op.person.clone() };
    for _ in 0..2 {
        assert_eq!(led.get("/bind/factors").await.status, 200);
        world.advance(30 * 60).await;
    }
    assert_eq!(led.get("/bind/factors").await.status, 200);
    world.advance(1).await;
    let page = led.get("/bind/factors").await;
    assert_eq!((page.status, page.header("location")), (303, "/sign-in?again=1"));
    assert_eq!(led.get("/sign-in?again=1").await.status, 200);
}
