//! What owners do about people, and people about themselves.

use jiff::SignedDuration;
use ringfence_model::{Actor, PhoneNumber};
use ringfence_second_factor::policy::{Demands, Kind, Policy, Strength};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{FactorSecret, Grant, NewDevice, NewFactor, Person, Role, Where};

use crate::world::{Browser, Page, World};

fn ops() -> Actor {
    Actor::CommandLine("ops".to_owned())
}

async fn op(world: &World) -> Person {
    let browser = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    world.store.person(&browser.person).await.unwrap().unwrap()
}

async fn bound(world: &World, person: &str, secret: FactorSecret) {
    let new = NewFactor { secret, verified: true };
    world.store.add_factor(&ops(), person, new, world.now()).await.unwrap();
}

#[tokio::test]
async fn what_an_owner_does_about_somebody_wants_a_reason() {
    let world = World::new().await;
    let owner = world.owner().await;
    let op = op(&world).await;
    let path = |what: &str| format!("/people/{}/{what}", op.id);
    let before = world.store.audit_rows(None, None, 99).await.unwrap().len();
    for (path, fields) in [
        ("/people".to_owned(), vec![("login", "new@example.com"), ("role", "auditor")]),
        (path("role"), vec![("role", "owner")]),
        (path("remove-role"), vec![("account", "*")]),
        (path("lock"), vec![("locked", "1")]),
        (path("reset"), vec![]),
        (path("end-devices"), vec![]),
        (path("end-sessions"), vec![]),
        (path("remove"), vec![]),
        ("/policies".to_owned(), vec![("policy", "disabled")]),
    ] {
        for reason in ["", "  ", "two\nlines", &"x".repeat(501)] {
            let mut fields = fields.clone();
            fields.push(("reason", reason));
            let page = owner.post(&path, &fields).await;
            assert_eq!(page.status, 422, "{path}: {reason:?}");
            let (_, after) = page.text.split_once("id=\"reason-note\"").unwrap();
            assert!(after[..40].contains("problem"), "{path}: it is told beside the field: {after}");
        }
    }
    let after = world.store.audit_rows(None, None, 99).await.unwrap().len();
    assert_eq!(before, after, "nothing was done");
}

#[tokio::test]
async fn the_reason_is_on_record_with_who_gave_it() {
    let world = World::new().await;
    let owner = world.owner().await;
    bound(&world, &owner.person, FactorSecret::Totp(Seed::new([3; 20]))).await;
    let op = op(&world).await;
    let path = |what: &str| format!("/people/{}/{what}", op.id);
    let why = ("reason", "she left <b>");
    for (path, fields, status) in [
        ("/people".to_owned(), vec![("login", "new@example.com"), ("role", "auditor")], 200),
        (path("role"), vec![("role", "auditor")], 303),
        (path("reset"), vec![], 200),
        (path("lock"), vec![("locked", "1")], 303),
        (path("lock"), vec![("locked", "0")], 303),
        (path("remove-role"), vec![("account", "*")], 303),
        (path("remove"), vec![], 303),
        ("/policies".to_owned(), vec![("policy", "every-sign-in")], 303),
    ] {
        if let Some(page) = path.strip_prefix("/people/") {
            let form = owner.get(&format!("/people/{page}?account=*")).await;
            assert!(page.ends_with("/role") || form.status == 200, "{path}: {}", form.status);
        }
        let fields: Vec<_> = fields.into_iter().chain([why]).collect();
        assert_eq!(owner.post(&path, &fields).await.status, status, "{path}");
    }
    let rows = world.store.audit_rows(None, None, 99).await.unwrap();
    for action in [
        "person.add",
        "role.set",
        "factor.reset",
        "person.lock",
        "person.unlock",
        "role.remove",
        "person.remove",
        "policy.set",
    ] {
        let row = rows.iter().find(|row| row.action == action).unwrap();
        assert_eq!((row.detail["reason"].as_str(), row.actor.name()), (Some(why.1), owner.person.as_str()));
    }
    owner.get("/audit?action=person.remove").await.does_not_say("she left <b>");
}

async fn trust(world: &World, person: &str, agent: &str) {
    let new = NewDevice {
        person: person.to_owned(),
        place: Where::Everywhere,
        kind: Kind::Totp,
        address: "203.0.113.7".into(),
        agent: agent.into(),
        trusted_for: SignedDuration::from_hours(24),
        session: None,
    };
    world.store.trust_device(&ops(), new, world.now()).await.unwrap();
}

#[tokio::test]
async fn an_owner_sees_what_somebody_signs_in_with_and_where_they_are_signed_in() {
    let world = World::new().await;
    let owner = world.owner().await;
    let op = op(&world).await;
    let page = format!("/people/{}", op.id);
    let number = PhoneNumber::parse("+14155550123").unwrap();
    let phone = NewFactor { secret: FactorSecret::Phone(number), verified: false };
    world.store.add_factor(&ops(), &op.id, phone, world.now()).await.unwrap();
    let told = ringfence_store::Told::nobody();
    world.store.new_recovery_codes(&ops(), &op.id, told, world.now()).await.unwrap();
    trust(&world, &op.id, "Safari on iPhone").await;
    world.session(&op.id, Where::Everywhere, ringfence_store::Stage::SecondFactor).await;
    let page = owner.get(&page).await;
    page.says("+141…23 <span class=\"near\">not confirmed</span>");
    page.does_not_say("5550123");
    page.says("10 left");
    page.says("Safari on iPhone<span class=\"sub\">203.0.113.7</span>");
    page.says("by the password and an authenticator application");
    page.says("not inside: the second factor has not come");
    page.says("2026-03-01 12:00");
    // Of themselves they see the same, and end it under My security.
    let own = owner.get(&format!("/people/{}", owner.person)).await;
    own.says("this one");
    own.does_not_say("/end-sessions");
}

#[tokio::test]
async fn an_owner_ends_the_sessions_and_the_trust_of_somebody_who_is_told() {
    let world = World::new().await;
    let owner = world.owner().await;
    let browser = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    trust(&world, &browser.person, "Safari on iPhone").await;
    let page = format!("/people/{}", browser.person);
    owner.get(&page).await.says("/end-devices");
    let why = [("reason", "her laptop is gone")];
    let end =
        async |what: &str| owner.post(&format!("{page}/{what}"), &why).await.header("location").to_owned();
    assert_eq!(end("end-devices").await, format!("{page}?done=their-devices"));
    assert!(world.store.devices(&browser.person, world.now()).await.unwrap().is_empty());
    assert_eq!(browser.get("/").await.status, 200, "where they are signed in they stay");
    assert_eq!(end("end-sessions").await, format!("{page}?done=their-sessions"));
    assert_eq!(browser.get("/").await.header("location"), "/sign-in");
    assert_eq!(owner.get("/").await.status, 200);
    // Once more there is nothing, and nobody is told of nothing.
    for what in ["end-devices", "end-sessions"] {
        assert_eq!(end(what).await, format!("{page}?done=nothing"));
    }
    let rows = world.store.audit_rows(None, None, 99).await.unwrap();
    for action in ["device.end", "session.end"] {
        let rows: Vec<_> = rows.iter().filter(|row| row.action == action).collect();
        assert_eq!(rows.len(), 1, "{action}");
        assert_eq!(rows[0].detail["reason"], "her laptop is gone");
        assert_eq!(rows[0].actor.name(), owner.person);
    }
    let letters = world.store.waiting_effects(9).await.unwrap();
    let texts: Vec<String> = letters.iter().map(|it| it.payload["text"].to_string()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts.iter().any(|text| text.contains("Every session of yours was ended by an owner")),
        "{texts:?}"
    );
    assert!(texts.iter().any(|text| text.contains("No computer of yours is trusted any more")), "{texts:?}");
}

#[tokio::test]
async fn people_are_shown_fifty_at_a_time_and_found_by_what_is_known_of_them() {
    let world = World::new().await;
    let owner = world.owner().await;
    let account = ringfence_model::Sid::new(*b"AC", 9);
    for number in 0..60 {
        let grants = vec![Grant { place: Where::Account(account), role: Role::Auditor }];
        world
            .store
            .add_person(&ops(), &format!("p{number:02}@example.com"), grants, world.now())
            .await
            .unwrap();
    }
    world.advance(120).await;
    let op = op(&world).await;
    world.session(&op.id, Where::Everywhere, ringfence_store::Stage::Inside).await;
    world.advance(60).await;
    let rows = |page: &Page| page.text.matches("href=\"/people/ps_").count();
    let first = owner.get("/people").await;
    assert_eq!(rows(&first), 50);
    first.says("62 people");
    first.says("href=\"/people?q=&#38;page=2\" rel=\"next\"");
    let second = owner.get("/people?page=2").await;
    assert_eq!(rows(&second), 12);
    second.says("rel=\"prev\"");
    // The last of several.
    second.says("1 min ago");
    assert_eq!(rows(&owner.get("/people?page=9").await), 12, "the last page there is");
    for (q, found) in [("P07@", 1), ("operator", 1), ("AC00", 60), ("invited", 62), ("nobody", 0), ("%25", 0)]
    {
        assert_eq!(rows(&owner.get(&format!("/people?q={q}")).await), found.min(50), "{q}");
    }
    owner.get("/people?q=AC00").await.says("/people?q=AC00&#38;page=2");
    owner.get("/people?q=no%3Cb%3Ebody").await.says("Nobody matches.");
}

#[tokio::test]
async fn nobody_locks_resets_or_removes_themselves_by_a_slip() {
    let world = World::new().await;
    let owner = world.owner().await;
    world.signed_in("other@example.com", Role::Owner, Where::Everywhere).await;
    owner.get(&format!("/people/{}", owner.person)).await.says("This is you");
    for what in ["lock", "reset", "end-devices", "end-sessions", "remove"] {
        let path = format!("/people/{}/{what}", owner.person);
        assert_eq!(owner.get(&path).await.status, 409, "{what}");
        let page = owner.post(&path, &[("locked", "1"), ("reason", "a slip")]).await;
        assert_eq!(page.status, 409, "{what}");
    }
    assert_eq!(owner.get("/").await.status, 200);
}

#[tokio::test]
async fn a_form_that_does_not_say_whether_somebody_is_locked_lets_nobody_in() {
    let world = World::new().await;
    let owner = world.owner().await;
    let op = op(&world).await;
    let path = format!("/people/{}/lock", op.id);
    let send = async |locked: &[(&str, &str)]| {
        let fields: Vec<_> = [("reason", "a thief")].iter().chain(locked).copied().collect();
        owner.post(&path, &fields).await
    };
    let done = |what: &str| format!("/people/{}?done={what}", op.id);
    assert_eq!(send(&[("locked", "1")]).await.header("location"), done("lock"));
    for mangled in [&[][..], &[("locked", "")], &[("locked", "true")], &[("locked", "2")]] {
        let page = send(mangled).await;
        assert_eq!(page.status, 403, "{mangled:?}");
        page.says("nothing was changed");
    }
    let locked = async || world.store.person(&op.id).await.unwrap().unwrap().locked_at.is_some();
    assert!(locked().await);
    // Done by somebody else meanwhile, it is not said to be done once more.
    let again = send(&[("locked", "1")]).await;
    assert_eq!(again.header("location"), done("already"));
    owner.get(again.header("location")).await.says("It was so already");
    // What a form was for stays what it is for.
    owner.post(&path, &[("locked", "1"), ("reason", "")]).await.says("Lock op@example.com out");
    assert_eq!(send(&[("locked", "0")]).await.header("location"), done("lock"));
    assert!(!locked().await);
}

#[tokio::test]
async fn nothing_is_given_or_demanded_for_an_account_that_nobody_knows() {
    let world = World::new().await;
    let owner = world.owner().await;
    bound(&world, &owner.person, FactorSecret::Totp(Seed::new([3; 20]))).await;
    let account = world.subaccount("customer").await.to_string();
    let op = op(&world).await;
    let mistyped = format!("AC{}", "f".repeat(32));
    for (path, fields) in [
        ("/people".to_owned(), vec![("login", "new@example.com"), ("role", "auditor")]),
        (format!("/people/{}/role", op.id), vec![("role", "auditor")]),
        ("/policies".to_owned(), vec![("policy", "every-sign-in")]),
    ] {
        let send = async |account: &str| {
            let more = [("account", account), ("reason", "because")];
            owner.post(&path, &fields.iter().copied().chain(more).collect::<Vec<_>>()).await
        };
        let page = send(&mistyped).await;
        assert_eq!(page.status, 422, "{path}");
        let (_, after) = page.text.split_once("<p id=\"account-note\">").unwrap();
        let told = format!("<span class=\"problem\">{mistyped} is no account that is known here.");
        assert!(after.starts_with(&told), "{path}: {after}");
        assert!(matches!(send(&account).await.status, 200 | 303), "{path}");
    }
    // Whose role is for such an account nevertheless is told so, wherever they go, and can leave.
    let unknown = Where::Account(mistyped.parse().unwrap());
    let lost = world.signed_in("lost@example.com", Role::Auditor, unknown).await;
    for path in ["/", "/incidents", &format!("/accounts/{mistyped}")] {
        let page = lost.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        page.says("is no account that is known here.");
        page.says("action=\"/sign-out\"");
    }
    assert_eq!(lost.get("/security").await.status, 200);
}

#[tokio::test]
async fn whoever_was_only_invited_is_given_a_new_code_and_loses_nothing() {
    let world = World::new().await;
    let owner = world.owner().await;
    let op = op(&world).await;
    let page = format!("/people/{}", op.id);
    owner.get(&page).await.says(">Make a new code…</a>");
    let form = owner.get(&format!("{page}/reset")).await;
    form.says("Make a new code for op@example.com");
    form.does_not_say("taken away");
    let made = owner.post(&format!("{page}/reset"), &[("reason", "it ended after a day")]).await;
    made.says("Give this code to op@example.com now");
    assert_eq!(world.store.waiting_effects(9).await.unwrap(), [], "no mail says that they lost something");
}

#[tokio::test]
async fn the_first_field_with_which_something_is_wrong_has_the_focus() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    let op = op(&world).await;
    let role = format!("/people/{}/role", op.id);
    let suspend = format!("/accounts/{account}/suspend");
    for (path, fields, first) in [
        ("/people", vec![("login", "maria"), ("role", "auditor"), ("account", "x")], "id=\"login\""),
        (
            "/people",
            vec![("login", "m@example.com"), ("role", "auditor"), ("account", "x")],
            "id=\"account\"",
        ),
        ("/people", vec![("login", "m@example.com"), ("role", "auditor")], "id=\"reason\""),
        (role.as_str(), vec![("role", "auditor"), ("account", "x")], "id=\"account\""),
        (role.as_str(), vec![("role", "auditor")], "id=\"reason\""),
        ("/policies", vec![("account", "x"), ("policy", "x")], "id=\"account\""),
        ("/policies", vec![("policy", "x"), ("factors", "x")], "id=\"policy\""),
        ("/policies", vec![("policy", "disabled"), ("factors", "x")], "id=\"factors\""),
        ("/policies", vec![("policy", "disabled")], "id=\"reason\""),
        // What no field is to blame for.
        (
            "/policies",
            vec![("policy", "disabled"), ("factors", "no-phone"), ("reason", "x")],
            "role=\"alert\"",
        ),
        ("/keys/new", vec![("name", ""), ("operation", "calls")], "id=\"name\""),
        ("/keys/new", vec![("name", "shop"), ("accounts", "x")], "id=\"accounts\""),
        ("/keys/new", vec![("name", "shop"), ("all", "yes")], "id=\"operations-note\""),
        ("/keys/new", vec![("name", "shop"), ("all", "yes"), ("operation", "calls")], "id=\"reason\""),
        (suspend.as_str(), vec![], "id=\"reason\""),
    ] {
        let page = owner.post(path, &fields).await;
        assert_eq!(page.status, 422, "{path}: {fields:?}");
        page.says("<title>Error: ");
        let tags: Vec<_> = page.text.split('<').filter(|tag| tag.contains(" autofocus")).collect();
        assert_eq!(tags.len(), 1, "{path}: {fields:?}: {tags:?}");
        assert!(tags[0].contains(first), "{path}: {fields:?}: {tags:?}");
    }
    for path in ["/people", "/policies", "/keys/new", &suspend] {
        let page = owner.get(path).await;
        page.does_not_say("autofocus");
        page.does_not_say("<title>Error");
    }
}

#[tokio::test]
async fn who_is_not_there_any_more_is_no_failure_of_the_store() {
    let world = World::new().await;
    let owner = world.owner().await;
    for what in ["", "/lock", "/reset", "/end-devices", "/end-sessions", "/remove", "/remove-role?account=*"]
    {
        assert_eq!(owner.get(&format!("/people/ps_nobody{what}")).await.status, 404, "{what}");
    }
    for what in ["role", "lock", "reset", "end-devices", "end-sessions", "remove", "remove-role"] {
        let fields = [("role", "auditor"), ("account", ""), ("reason", "because")];
        assert_eq!(owner.post(&format!("/people/ps_nobody/{what}"), &fields).await.status, 404, "{what}");
    }
    for (path, field) in [("/security/devices", "device"), ("/security/sessions", "session")] {
        assert_eq!(owner.post(path, &[(field, "none\0")]).await.status, 303, "{path}");
    }
}

#[tokio::test]
async fn a_phone_is_taken_away_by_its_owner_who_is_mailed() {
    let world = World::new().await;
    let owner = world.owner().await;
    assert_eq!(owner.get("/security/phone").await.status, 404, "there is none");
    let number = PhoneNumber::parse("+14155550123").unwrap();
    bound(&world, &owner.person, FactorSecret::Phone(number)).await;
    owner.get("/security").await.says("Codes go to +141");
    // With it alone an owner could not sign in.
    let page = owner.post("/security/phone", &[]).await;
    assert_eq!(page.status, 422);
    page.says("The last factor that would do cannot be taken away");
    bound(&world, &owner.person, FactorSecret::Totp(Seed::new([3; 20]))).await;
    owner.get("/security/phone").await.says("No code goes to +141");
    let done = owner.post("/security/phone", &[]).await;
    assert_eq!((done.status, done.header("location")), (303, "/security?done=phone"));
    owner.get("/security").await.does_not_say("Codes go to");
    let letters = world.store.waiting_effects(9).await.unwrap();
    let texts: Vec<String> = letters.iter().map(|it| it.payload["text"].to_string()).collect();
    assert!(texts.iter().any(|text| text.contains("Your phone was taken away")), "{texts:?}");
}

#[tokio::test]
async fn a_phone_is_not_taken_away_without_the_second_factor_of_just_now() {
    let world = World::new().await;
    let owner = world.owner().await;
    let number = PhoneNumber::parse("+14155550123").unwrap();
    bound(&world, &owner.person, FactorSecret::Phone(number)).await;
    bound(&world, &owner.person, FactorSecret::Totp(Seed::new([3; 20]))).await;
    world.advance(601).await;
    for page in [owner.get("/security/phone").await, owner.post("/security/phone", &[]).await] {
        assert_eq!(page.header("location"), "/second-factor?to=%2Fsecurity%2Fphone");
    }
    assert_eq!(world.store.factors(&owner.person).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_computer_is_listed_with_what_its_trust_is_worth_now() {
    let world = World::new().await;
    let owner = world.owner().await;
    let demands = Demands { policy: Policy::OncePerComputer, strength: Strength::NoPhone };
    world.store.set_policy(&ops(), Where::Everywhere, demands, world.now()).await.unwrap();
    let trust = async |agent: &str, kind: Kind, days: i64| {
        let new = NewDevice {
            person: owner.person.clone(),
            place: Where::Everywhere,
            kind,
            address: "203.0.113.7".into(),
            agent: agent.into(),
            trusted_for: SignedDuration::from_hours(days * 24),
            session: None,
        };
        world.store.trust_device(&ops(), new, world.now()).await.unwrap();
    };
    // As if the time of trust had been twice what it is now.
    trust("Firefox on Linux", Kind::Totp, 60).await;
    let page = owner.get("/security").await;
    let day = |days: i64| {
        let at = world.now() + SignedDuration::from_hours(days * 24);
        at.strftime("%Y-%m-%d").to_string()
    };
    page.says(&day(30));
    page.does_not_say(&day(60));
    page.does_not_say("asked again");
    trust("Safari on iPhone", Kind::Phone, 30).await;
    let page = owner.get("/security").await;
    page.says("Safari on iPhone");
    page.says("trusted by a code to a phone, which does not do there any more");
    world.advance(31 * 24 * 3_600).await;
    let token = world.session(&owner.person, Where::Everywhere, ringfence_store::Stage::Inside).await;
    let owner = Browser { world: &world, token, person: owner.person };
    owner.get("/security").await.does_not_say("Firefox on Linux");
}

/// What the store has on the disk: whatever writes makes it longer.
fn written(world: &World) -> Vec<u8> {
    let ringfence_store::Location::Sqlite(path) = world.store.location() else { panic!("it is a file") };
    std::fs::read(path.with_extension("db-wal")).unwrap()
}

#[tokio::test]
async fn no_page_that_is_opened_writes_anything() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    let op = op(&world).await;
    let demands = Demands { policy: Policy::EverySignIn, strength: Strength::Any };
    world.store.set_policy(&ops(), Where::Account(account), demands, world.now()).await.unwrap();
    let waiting = world.session(&op.id, Where::Everywhere, ringfence_store::Stage::SecondFactor).await;
    let binding = world.session(&op.id, Where::Everywhere, ringfence_store::Stage::Binding).await;
    let halfway = [waiting, binding].map(|token| Browser { world: &world, token, person: op.id.clone() });
    let before = written(&world);
    for (_, path) in ringfence_console::Console::routes().filter(|(method, _)| *method == "GET") {
        let path = match path.split_once("{}") {
            Some(("/people/", rest)) => format!("/people/{}{rest}?account=*", op.id),
            Some((before, rest)) => format!("{before}{account}{rest}"),
            None if path.starts_with("/breakers") => format!("{path}?limit=fifty+a+day&account={account}"),
            None => format!("{path}?code=AAAA-AAAA-AAAA-AAAA&again=1"),
        };
        for browser in halfway.iter().chain([&owner]) {
            let page = browser.get(&path).await;
            assert!(page.status < 500, "{path}: {}", page.status);
            assert!(before == written(&world), "GET {path} wrote something");
        }
    }
}
