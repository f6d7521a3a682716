//! Passkeys through the console: what browsers are asked, what they answer, and who takes one away.

use http::Request;
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{FactorSecret, NewFactor, Role, Stage, Told, Where};
use ringfence_testkit::authenticator::{Authenticator, Made, Shown, written};
use serde_json::Value;

use crate::world::{Browser, Page, World};

const HERE: &str = "http://localhost:9443";

fn authenticator(credential: [u8; 4]) -> Authenticator {
    Authenticator::at(&credential, HERE, "localhost")
}

/// Bytes as the script writes them into a field.
fn field(bytes: &[u8]) -> String {
    written(bytes)
}

/// What the forms of a page at the door carry.
async fn csrf(browser: &Browser<'_>, page: &str) -> String {
    let page = browser.get(page).await;
    let (_, after) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
    after.split('"').next().unwrap().to_owned()
}

async fn post(browser: &Browser<'_>, path: &str, csrf: &str, fields: &[(&str, String)]) -> Page {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf", csrf).extend_pairs(fields);
    Page::of(browser.world.answer(browser.request("POST", path), form.finish()).await)
}

fn json(page: &Page) -> Value {
    assert_eq!(page.header("content-type"), "application/json", "{}", page.text);
    serde_json::from_str(&page.text).unwrap()
}

/// The challenge that a browser is asked with.
async fn asked(browser: &Browser<'_>, path: &str, csrf: &str) -> String {
    let page = post(browser, path, csrf, &[]).await;
    assert_eq!(page.status, 200, "{}", page.text);
    json(&page)["challenge"].as_str().unwrap().to_owned()
}

async fn binds(browser: &Browser<'_>, authenticator: &Authenticator, name: &str) -> Page {
    let csrf = csrf(browser, "/bind/factors").await;
    let challenge = asked(browser, "/bind/passkey/options", &csrf).await;
    let Made { client_data, attestation } = authenticator.makes(&challenge);
    let fields = [
        ("name", name.to_owned()),
        ("client-data", field(&client_data)),
        ("attestation", field(&attestation)),
        ("transports", "internal hybrid".to_owned()),
    ];
    post(browser, "/bind/passkey", &csrf, &fields).await
}

/// What the form of a shown passkey has in its fields.
fn fields(shown: &Shown) -> Vec<(&'static str, String)> {
    vec![
        ("credential", field(&shown.credential)),
        ("client-data", field(&shown.client_data)),
        ("authenticator-data", field(&shown.authenticator_data)),
        ("signature", field(&shown.signature)),
        ("user-handle", String::new()),
    ]
}

/// A browser in which the password was right.
async fn halfway<'w>(world: &'w World, person: &str) -> Browser<'w> {
    let token = world.session(person, Where::Everywhere, Stage::SecondFactor).await;
    Browser { world, token, person: person.to_owned() }
}

async fn totp(world: &World, person: &str) {
    let new = NewFactor { secret: FactorSecret::Totp(Seed::new([3; 20])), verified: true };
    let by = Actor::CommandLine("ops".to_owned());
    world.store.add_factor(&by, person, new, world.now()).await.unwrap();
}

/// The ids of somebody's passkeys.
async fn passkeys(world: &World, person: &str) -> Vec<String> {
    let stored = world.store.passkeys(person).await.unwrap();
    stored.into_iter().map(|stored| stored.factor).collect()
}

#[tokio::test]
async fn a_browser_is_asked_nothing_without_a_session_and_its_own_form() {
    let world = World::at_its_address().await;
    let owner = world.owner().await;
    binds(&owner, &authenticator(*b"cred"), "a phone").await;
    let other = world.signed_in("other@example.com", Role::Owner, Where::Everywhere).await;
    let others = csrf(&other, "/bind/factors").await;
    for path in ["/bind/passkey/options", "/second-factor/passkey", "/bind/passkey"] {
        for wrong in ["", "0", &others] {
            let page = post(&owner, path, wrong, &[]).await;
            assert_eq!(page.status, 403, "{path}");
            page.says("out of date");
        }
        let own = csrf(&owner, "/bind/factors").await;
        let cookie = format!("ringfence={}", owner.token.expose());
        let foreign = Request::builder().method("POST").uri(path).header("host", "localhost:9443");
        let foreign = foreign.header("cookie", cookie).header("origin", "https://evil.example");
        let foreign = foreign.header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(world.answer(foreign, format!("csrf={own}")).await.status(), 403, "{path}");
        assert_eq!(owner.get(path).await.status, 405, "{path}: a page that is opened makes no challenge");
    }
    let nobody = Browser { world: &world, token: Secret::new("0".repeat(64)), person: String::new() };
    for path in ["/bind/passkey/options", "/second-factor/passkey"] {
        let page = post(&nobody, path, "0", &[]).await;
        assert_eq!(
            (page.status, json(&page)["refused"].as_str()),
            (403, Some("This sign-in is over: begin again."))
        );
    }
}

#[tokio::test]
async fn a_password_alone_and_a_factor_of_long_ago_bind_none() {
    let world = World::at_its_address().await;
    let owner = world.owner().await;
    totp(&world, &owner.person).await;
    let csrf_inside = csrf(&owner, "/bind/factors").await;
    let challenge = asked(&owner, "/bind/passkey/options", &csrf_inside).await;
    let halfway = halfway(&world, &owner.person).await;
    let csrf_halfway = csrf(&halfway, "/second-factor").await;
    assert_eq!(post(&halfway, "/bind/passkey/options", &csrf_halfway, &[]).await.status, 403);
    assert_eq!(post(&halfway, "/bind/passkey", &csrf_halfway, &[]).await.header("location"), "/sign-in");

    world.advance(601).await;
    let Made { client_data, attestation } = authenticator(*b"cred").makes(&challenge);
    let fields = [
        ("name", "late".to_owned()),
        ("client-data", field(&client_data)),
        ("attestation", field(&attestation)),
    ];
    let late = post(&owner, "/bind/passkey", &csrf_inside, &fields).await;
    assert_eq!(late.header("location"), "/second-factor?to=%2Fbind%2Ffactors");
    assert_eq!(post(&owner, "/bind/passkey/options", &csrf_inside, &[]).await.status, 403);
    assert_eq!(passkeys(&world, &owner.person).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_passkey_is_bound_with_a_name_and_signs_in() {
    let world = World::at_its_address().await;
    let owner = world.owner().await;
    let authenticator = authenticator(*b"cred");
    for name in ["", "  ", "two\nlines", &"x".repeat(65)] {
        let page = binds(&owner, &authenticator, name).await;
        assert_eq!(page.status, 422, "{name:?}");
        page.says("Give the passkey a name of one line and at most 64 characters.");
    }
    let page = binds(&owner, &authenticator, "<b>Maria's phone").await;
    assert_eq!((page.status, page.header("location")), (303, "/bind/factors"));
    for path in ["/security", "/bind/factors"] {
        let page = owner.get(path).await;
        page.says("&#60;b&#62;Maria&#39;s phone");
        page.does_not_say("<b>Maria");
    }
    let letters = world.store.waiting_effects(9).await.unwrap();
    let texts: Vec<String> = letters.iter().map(|it| it.payload["text"].to_string()).collect();
    assert!(texts.iter().any(|text| text.contains("A passkey was bound")), "{texts:?}");

    let halfway = halfway(&world, &owner.person).await;
    let page = halfway.get("/second-factor?to=%2Flimits").await;
    page.says("data-passkey=\"/second-factor/passkey\"");
    page.says("<script src=\"/assets/passkey.js\" defer></script>");
    let csrf = csrf(&halfway, "/second-factor").await;
    let challenge = asked(&halfway, "/second-factor/passkey", &csrf).await;
    let mut answer = fields(&authenticator.shows(&challenge, 2));
    answer.push(("to", "/limits".to_owned()));
    let inside = post(&halfway, "/second-factor", &csrf, &answer).await;
    assert_eq!((inside.status, inside.header("location")), (303, "/limits"));
    let cookie = inside.header("set-cookie").split(';').next().unwrap();
    let (_, token) = cookie.split_once('=').unwrap();
    let inside = Browser { world: &world, token: Secret::new(token), person: owner.person.clone() };
    let page = inside.get("/security").await;
    page.says("You showed a second factor in this session.");
    page.says("just now");
    // What is dangerous takes it as well.
    world.advance(601).await;
    assert_eq!(inside.get("/people").await.header("location"), "/second-factor?to=%2Fpeople");
    let csrf = self::csrf(&inside, "/second-factor").await;
    let challenge = asked(&inside, "/second-factor/passkey", &csrf).await;
    let mut answer = fields(&authenticator.shows(&challenge, 3));
    answer.push(("to", "/people".to_owned()));
    let again = post(&inside, "/second-factor", &csrf, &answer).await;
    assert_eq!((again.status, again.header("location")), (303, "/people"));
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_beside_the_passkey_and_lets_nobody_in() {
    let world = World::at_its_address().await;
    let owner = world.owner().await;
    let authenticator = authenticator(*b"cred");
    binds(&owner, &authenticator, "a phone").await;
    let halfway = halfway(&world, &owner.person).await;
    let csrf = csrf(&halfway, "/second-factor").await;
    let page = post(&halfway, "/second-factor", &csrf, &fields(&authenticator.shows("AAAA", 2))).await;
    assert_eq!(page.status, 422);
    page.says("The browser answered another challenge.");
    let phished = Authenticator::at(b"cred", "https://localhost.evil.example", "localhost");
    let challenge = asked(&halfway, "/second-factor/passkey", &csrf).await;
    let page = post(&halfway, "/second-factor", &csrf, &fields(&phished.shows(&challenge, 2))).await;
    assert_eq!(page.status, 422);
    page.says("The passkey was used at another address than the console&#39;s.");
    for garbage in ["", "=", "%00", "not base64 at all", "AAAA", &"A".repeat(100_000)] {
        asked(&halfway, "/second-factor/passkey", &csrf).await;
        let garbage = ["credential", "client-data", "authenticator-data", "signature", "user-handle"]
            .map(|name| (name, garbage.to_owned()));
        assert_eq!(post(&halfway, "/second-factor", &csrf, &garbage).await.status, 422);
    }
    assert_eq!(halfway.get("/").await.header("location"), "/sign-in");
}

#[tokio::test]
async fn passkeys_are_offered_at_the_address_that_they_are_for_and_nowhere_else() {
    let world = World::at_its_address().await;
    let owner = world.owner().await;
    binds(&owner, &authenticator(*b"cred"), "a phone").await;
    let halfway = halfway(&world, &owner.person).await;
    for (browser, path) in [(&owner, "/bind/factors"), (&halfway, "/second-factor")] {
        let cookie = format!("ringfence={}", browser.token.expose());
        let elsewhere =
            Request::builder().uri(path).header("host", "127.0.0.1:9443").header("cookie", cookie);
        let page = Page::of(world.answer(elsewhere, "").await);
        page.says(
            "Passkeys work at <a href=\"http://localhost:9443/\">http://localhost:9443</a> and nowhere else",
        );
        page.does_not_say("passkey.js");
        page.does_not_say("data-passkey");
    }
    let without = World::new().await;
    let owner = without.owner().await;
    owner.get("/bind/factors").await.says("<code>[console] url</code>");
    let csrf = csrf(&owner, "/bind/factors").await;
    let page = post(&owner, "/bind/passkey/options", &csrf, &[]).await;
    assert_eq!(page.status, 422);
    assert!(json(&page)["refused"].as_str().unwrap().contains("[console] url"));
}

#[tokio::test]
async fn a_passkey_is_taken_away_by_its_owner_unless_nothing_else_does() {
    let world = World::at_its_address().await;
    let owner = world.owner().await;
    let other = world.signed_in("other@example.com", Role::Owner, Where::Everywhere).await;
    binds(&owner, &authenticator(*b"cred"), "a phone").await;
    let factor = passkeys(&world, &owner.person).await.remove(0);
    let own = format!("/security/passkey?passkey={factor}");
    assert_eq!(other.get(&own).await.status, 404);
    assert_eq!(other.post("/security/passkey", &[("passkey", &factor)]).await.status, 404);
    assert_eq!(owner.get("/security/passkey").await.status, 404);
    let page = owner.get(&own).await;
    page.says("Take the passkey “a phone” away");
    page.says("Your trusted computers are asked again");
    let page = owner.post("/security/passkey", &[("passkey", &factor)]).await;
    assert_eq!(page.status, 422);
    page.says("The last factor that would do cannot be taken away");

    binds(&owner, &authenticator(*b"more"), "a key").await;
    world.advance(601).await;
    let page = owner.post("/security/passkey", &[("passkey", &factor)]).await;
    let back = format!("/second-factor?to=%2Fsecurity%2Fpasskey%3Fpasskey%3D{factor}");
    assert_eq!(page.header("location"), back, "it asks again, and leads back to the form");
    assert_eq!(passkeys(&world, &owner.person).await.len(), 2);
    let token = world.session(&owner.person, Where::Everywhere, Stage::Inside).await;
    let fresh = Browser { world: &world, token, person: owner.person.clone() };
    let done = fresh.post("/security/passkey", &[("passkey", &factor)]).await;
    assert_eq!((done.status, done.header("location")), (303, "/security?done=passkey"));
    assert!(!passkeys(&world, &owner.person).await.contains(&factor));
    let letters = world.store.waiting_effects(9).await.unwrap();
    let texts: Vec<String> = letters.iter().map(|it| it.payload["text"].to_string()).collect();
    assert!(texts.iter().any(|text| text.contains("A passkey was taken away")), "{texts:?}");
}

#[tokio::test]
async fn an_owner_takes_a_lost_passkey_of_somebodys_away_with_a_reason() {
    let world = World::at_its_address().await;
    let owner = world.owner().await;
    let op = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    binds(&op, &authenticator(*b"cred"), "an old phone").await;
    let factor = passkeys(&world, &op.person).await.remove(0);
    let page = owner.get(&format!("/people/{}", op.person)).await;
    page.says("an old phone");
    let path = format!("/people/{}/remove-passkey", op.person);
    owner
        .get(&format!("{path}?passkey={factor}"))
        .await
        .says("Take the passkey “an old phone” of op@example.com away");
    assert_eq!(owner.get(&format!("{path}?passkey=fa_none")).await.status, 404);
    for fields in [&[("passkey", factor.as_str())][..], &[("passkey", &factor), ("reason", "it was lost")]] {
        let page = owner.post(&path, fields).await;
        assert_eq!(page.status, 422, "{fields:?}");
    }
    owner
        .post(&path, &[("passkey", &factor), ("reason", "it was lost")])
        .await
        .says("This is the last factor of theirs that does");
    totp(&world, &op.person).await;
    let done = owner.post(&path, &[("passkey", &factor), ("reason", "it was lost")]).await;
    assert_eq!(done.header("location"), format!("/people/{}?done=their-passkey", op.person));
    assert_eq!(passkeys(&world, &op.person).await, Vec::<String>::new());
    let rows = world.store.audit_rows(None, None, 99).await.unwrap();
    let row = rows.iter().find(|row| row.action == "factor.remove").unwrap();
    assert_eq!(
        (row.detail["reason"].as_str(), row.actor.name()),
        (Some("it was lost"), owner.person.as_str())
    );
    // Their own they take away under My security, as everybody does.
    binds(&owner, &authenticator(*b"mine"), "mine").await;
    let mine = passkeys(&world, &owner.person).await.remove(0);
    let own = format!("/people/{}/remove-passkey", owner.person);
    let page = owner.post(&own, &[("passkey", &mine), ("reason", "a slip")]).await;
    assert_eq!(page.status, 409);
}

#[tokio::test]
async fn a_policy_of_only_passkeys_says_who_has_none_and_binding_leads_to_nothing_less() {
    let world = World::at_its_address().await;
    let owner = world.owner().await;
    let set = [("policy", "every-sign-in"), ("factors", "phishing-resistant"), ("reason", "an audit")];
    let page =
        owner.post("/policies", &[("policy", "every-sign-in"), ("factors", "strong"), ("reason", "x")]).await;
    assert_eq!(page.status, 422);
    binds(&owner, &authenticator(*b"cred"), "a phone").await;
    let contradictory = [("policy", "disabled"), ("factors", "phishing-resistant"), ("reason", "an audit")];
    let page = owner.post("/policies", &contradictory).await;
    assert_eq!(page.status, 422);
    page.says("it cannot say which factors do");
    let op = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    totp(&world, &op.person).await;
    let by = Actor::CommandLine("ops".to_owned());
    world
        .store
        .set_password(&by, &op.person, &Secret::new("hash"), Told::nobody(), world.now())
        .await
        .unwrap();
    let op = Browser { token: world.session(&op.person, Where::Everywhere, Stage::Inside).await, ..op };
    let done = owner.post("/policies", &set).await;
    assert_eq!((done.status, done.header("location")), (303, "/policies?done=policy"));
    let page = owner.get("/policies").await;
    page.says("only passkeys");
    page.says("and needs a code of an owner’s: op@example.com");
    // What they have shown would not do any more, so it changes nothing.
    let page = op.get("/bind/factors").await;
    page.says("One of your accounts takes no such factor as you have shown");
    page.does_not_say("/bind/passkey");
    let token = world.session(&op.person, Where::Everywhere, Stage::Binding).await;
    let binding = Browser { world: &world, token, person: op.person.clone() };
    let page = binding.get("/bind/factors").await;
    page.says("Only passkeys are taken where you sign in.");
    page.does_not_say("authenticator application");
    page.does_not_say("Recovery codes");
    binds(&binding, &authenticator(*b"his "), "his phone").await;
    binding.get("/bind/factors").await.does_not_say("disabled");
}
