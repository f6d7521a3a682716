//! Virtual credentials: made, seen and ended by those whose account they are for.

use ringfence_model::Sid;
use ringfence_store::{EGRESS, EgressAccounts, EgressArea, EgressScopes, NewCredential, Role, Where};

use crate::world::{Browser, Page, World};

/// A form that is right, but for what is given.
fn filled<'a>(with: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [("name", "shop"), ("operation", "messages"), ("reason", "the shop moves")];
    let mut form: Vec<_> =
        usual.into_iter().filter(|(name, _)| with.iter().all(|(given, _)| given != name)).collect();
    form.extend(with);
    form
}

async fn make(browser: &Browser<'_>, with: &[(&str, &str)]) -> Page {
    browser.post("/keys/new", &filled(with)).await
}

#[tokio::test]
async fn a_credential_that_would_open_nothing_or_too_much_is_not_made_and_what_was_typed_stays() {
    let world = World::new().await;
    let account = world.subaccount("customer").await.to_string();
    let owner = world.owner().await;
    let unknown = Sid::new(*b"AC", 9).to_string();
    let of = |name, value| [("accounts", &*account), (name, value)];
    let long = "x".repeat(101);
    for (with, said) in [
        (of("name", "").to_vec(), "Say what it is for."),
        (of("name", &long).to_vec(), "A name has at most 100 characters."),
        (of("reason", "").to_vec(), "Say why"),
        (of("operation", "everything").to_vec(), "“everything” is none of messages"),
        (of("destinations", "Britain").to_vec(), "“Britain”: a destination is"),
        (of("days", "36500").to_vec(), "Choose one of these."),
        (of("all", "yes").to_vec(), "Name accounts, or tick all of them, not both."),
        (vec![("accounts", "")], "Name an account at least"),
        (vec![("accounts", &unknown)], "is no account that is known here"),
        (vec![("accounts", "AC12")], "32 hexadecimal digits"),
        (
            vec![("accounts", "AC12 AC13")],
            "“AC12”: an account’s SID is AC and 32 hexadecimal digits. “AC13”: an",
        ),
        (of("destinations", "Britain, France").to_vec(), "“France”: a destination is"),
        (of("destinations", "Britain, GB").to_vec(), "“Britain”: a destination is"),
    ] {
        let page = make(&owner, &with).await;
        assert_eq!(page.status, 422, "{with:?}");
        page.says(said);
        page.does_not_say("rfk");
    }
    let page = owner.post("/keys/new", &[("name", "a<b"), ("accounts", &account), ("tenant", "seven")]).await;
    page.says("Tick one at least");
    page.says("value=\"a&#60;b\"");
    page.says("value=\"seven\"");
    page.does_not_say("value=\"messages\" checked");
    assert_eq!(world.store.credentials(None).await.unwrap(), []);
}

#[tokio::test]
async fn a_credential_is_made_and_its_secret_is_shown_once_with_lines_to_paste() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    owner.get("/keys").await.says("No credential was made yet.");
    owner.get("/keys/new").await.says("value=\"lookups\" checked");
    let sid = account.to_string();
    let with = [
        ("accounts", &*sid),
        ("name", "shop <b>"),
        ("operation", "messages"),
        ("operation", "verifications"),
        ("destinations", "GB, +1415 whatsapp:+44"),
        ("senders", "+15550006789, My Shop"),
        ("tenant", "customer=7"),
        ("days", "90"),
    ];
    let page = make(&owner, &with).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), "no-store");
    let (_, after) = page.text.split_once("TWILIO_AUTH_TOKEN=").unwrap();
    let secret = ringfence_model::Secret::new(after.split('\n').next().unwrap().trim_end_matches("</pre>"));
    let found = world.store.find_credential(EGRESS, &secret, world.now()).await.unwrap().expect("it opens");
    let scopes = EgressScopes::parse(&found.scopes).unwrap();
    assert_eq!(scopes.accounts, EgressAccounts::Listed([account].into()));
    assert_eq!(scopes.operations, [EgressArea::Messages, EgressArea::Verifications].into());
    assert_eq!(scopes.destinations.len(), 3);
    assert_eq!(scopes.senders, ["+15550006789", "My Shop"]);
    assert_eq!(scopes.tenant.as_deref(), Some("customer=7"));
    page.says(&format!("TWILIO_ACCOUNT_SID={account}"));
    page.says("client.api.baseUrl = \"http://127.0.0.1:8500/api.twilio.com\"");
    page.says("client.verify.base_url = \"http://127.0.0.1:8500/verify.twilio.com\"");
    page.does_not_say("client.lookups");
    page.says("/2010-04-01/Accounts/$TWILIO_ACCOUNT_SID/Messages.json");

    let listed = owner.get("/keys").await;
    listed.does_not_say(secret.expose());
    listed.says("shop &#60;b&#62;");
    listed.says("by owner@example.com");
    listed.says("until 2026-05-30");
    listed.says("to GB, +1415, whatsapp:+44");
    listed.says("for the tenant customer=7");
    listed.says("not used yet");
    let rows = world.store.audit_rows(Some(&format!("credential {}", found.sid)), None, 9).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.action.as_str(), row.actor.name()), ("credential.create", owner.person.as_str()));
    assert_eq!(row.detail["reason"], "the shop moves");
    assert_eq!(row.detail["scopes"][0], format!("account={account}"));
}

#[tokio::test]
async fn whoever_has_one_account_deals_with_what_is_for_it_alone() {
    let world = World::new().await;
    let (own, other) = (world.subaccount("own").await, world.subaccount("other").await);
    let (mine, _) = world.key("my shop", Some(own)).await;
    let (theirs, _) = world.key("their shop", Some(other)).await;
    let (all, secret) = world.key("everything", None).await;
    let browser = world.signed_in("o@example.com", Role::Owner, Where::Account(own)).await;
    let page = browser.get("/keys").await;
    page.says("my shop");
    for hidden in ["their shop", "everything", &theirs.to_string(), &all.to_string(), &other.to_string()] {
        page.does_not_say(hidden);
    }
    for sid in [theirs, all] {
        let path = format!("/keys/{sid}/revoke");
        assert_eq!(browser.get(&path).await.status, 404);
        assert_eq!(browser.post(&path, &[("reason", "mine now")]).await.status, 404);
    }
    assert!(world.store.find_credential(EGRESS, &secret, world.now()).await.unwrap().is_some());
    let other = other.to_string();
    for with in [[("all", "yes")], [("accounts", &*other)]] {
        let page = make(&browser, &with).await;
        assert_eq!(page.status, 422);
        page.says(&format!("Here it can be for {own} alone."));
    }
    browser.get("/keys/new").await.does_not_say("name=\"tenant\"");
    let page = make(&browser, &[("tenant", "their customer")]).await;
    assert_eq!(page.status, 422, "the limit of a tenant is not this account's to use up");
    page.says("Only somebody with a role for everything may name a tenant");
    assert_eq!(world.store.credentials(None).await.unwrap().len(), 3);
    assert_eq!(make(&browser, &[]).await.status, 200);
    let made = &world.store.credentials(None).await.unwrap();
    let made = made.iter().find(|credential| credential.name == "shop").expect("made");
    assert_eq!(made.scopes[0], format!("account={own}"));
    let done = browser.post(&format!("/keys/{mine}/revoke"), &[("reason", "it leaked")]).await;
    assert_eq!(done.header("location"), "/keys?done=revoke-key");
}

#[tokio::test]
async fn making_and_revoking_want_the_second_factor_again() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let (sid, secret) = world.key("shop", Some(account)).await;
    let owner = world.owner().await;
    let csrf = owner.csrf().await;
    world.advance(11 * 60).await;
    let revoke = format!("/keys/{sid}/revoke");
    for path in ["/keys/new", &revoke] {
        let to = format!("/second-factor?to={}", path.replace('/', "%2F"));
        assert_eq!(owner.get(path).await.header("location"), to);
        let body = format!("csrf={csrf}&name=a&all=yes&operation=messages&reason=because");
        let answer = world.answer(owner.request("POST", path), body).await;
        assert_eq!(answer.headers()["location"], to);
    }
    assert_eq!(owner.get("/keys").await.status, 200, "looking does not");
    assert_eq!(world.store.credentials(None).await.unwrap().len(), 1);
    assert!(world.store.find_credential(EGRESS, &secret, world.now()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_credential_is_revoked_for_a_reason_and_stays_in_the_list() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let (sid, secret) = world.key("shop", Some(account)).await;
    let owner = world.owner().await;
    let path = format!("/keys/{sid}/revoke");
    assert_eq!(owner.post(&path, &[]).await.status, 422, "it wants a reason");
    let done = owner.post(&path, &[("reason", "it leaked")]).await;
    owner.get(done.header("location")).await.says("The credential is revoked");
    assert_eq!(world.store.find_credential(EGRESS, &secret, world.now()).await.unwrap(), None);
    let page = owner.get("/keys").await;
    page.says("revoked 2026-03-01");
    page.does_not_say(&path);
    let rows = world.store.audit_rows(Some(&format!("credential {sid}")), None, 1).await.unwrap();
    assert_eq!(rows[0].detail["reason"], "it leaked");
    for other in ["AC00000000000000000000000000000001", "SK00000000000000000000000000000009", "shop"] {
        assert_eq!(owner.get(&format!("/keys/{other}/revoke")).await.status, 404);
    }
}

#[tokio::test]
async fn a_credential_that_this_version_does_not_understand_can_be_revoked_all_the_same() {
    let world = World::new().await;
    let new = NewCredential {
        kind: EGRESS.to_owned(),
        application: None,
        name: "of a later version".to_owned(),
        scopes: vec!["planet=mars".to_owned()],
        expires_at: None,
    };
    let by = ringfence_model::Actor::job("test");
    let (made, _) = world.store.create_credential(&by, new, world.now()).await.unwrap();
    let owner = world.owner().await;
    let path = format!("/keys/{}/revoke", made.sid);
    let page = owner.get("/keys").await;
    page.says("this version does not understand it");
    page.says(&path);
    let done = owner.post(&path, &[("reason", "nobody knows it")]).await;
    assert_eq!(done.header("location"), "/keys?done=revoke-key");
    owner.get("/keys").await.does_not_say(&path);
}

#[tokio::test]
async fn credentials_are_found_by_name_account_and_sid() {
    let world = World::new().await;
    let (own, other) = (world.subaccount("Harbour Dental").await, world.subaccount("Fleetline").await);
    let one = world.key("shop", Some(own)).await.0;
    world.key("reminders", Some(other)).await;
    world.key("billing", None).await;
    let owner = world.owner().await;
    let found = async |browser: &Browser<'_>, q: &str| {
        browser.get(&format!("/keys?q={q}")).await.text.matches("/revoke\"").count()
    };
    for (q, count) in [
        ("", 3),
        ("SHOP", 1),
        ("harbour", 1),
        (&other.to_string(), 1),
        (&one.to_string(), 1),
        ("all+accounts", 1),
        ("nothing", 0),
    ] {
        assert_eq!(found(&owner, q).await, count, "{q}");
    }
    owner.get("/keys?q=nothing").await.says("No credential matches.");
    // Whoever looks after one account finds nothing of another's.
    let theirs = world.signed_in("o@example.com", Role::Owner, Where::Account(own)).await;
    assert_eq!((found(&theirs, "shop").await, found(&theirs, "reminders").await), (1, 0));
    for number in 0..50 {
        world.key(&format!("key {number}"), Some(own)).await;
    }
    owner.get("/keys?q=key").await.does_not_say("rel=\"next\"");
    owner.get("/keys?q=").await.says("/keys?q=&#38;page=2");
}
