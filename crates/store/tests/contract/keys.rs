use std::fmt::Write as _;
use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_model::{PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::policy::{Assurance, Kind};
use ringfence_second_factor::pumping::{Asker, Limits};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{
    CheckSignIn, Counter, Error, Expected, ExportOf, FactorSecret, Forget, KeyOfTwilio, Keys, MasterKey,
    NewAudit, NewChallenge, NewDevice, NewEffect, NewFactor, NewSession, NewToken, NewUserSignIn,
    SealedError, SeenAccount, SignInChecked, Stage, Store, Told, UserName, Where, Which,
};
use serde_json::json;

use crate::world::{Database, World, after, on_both, operator, seal, start};

on_both! {
    no_secret_is_found_in_the_database_or_a_backup,
    the_master_key_is_rotated_while_the_store_runs,
    a_previous_key_that_is_still_needed_is_named,
    the_beginning_of_the_log_is_forgotten_and_the_rest_verifies,
    what_still_matters_is_not_forgotten,
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn account(number: u128) -> SeenAccount {
    SeenAccount {
        created: None,
        changed: None,
        sid: Sid::new(*b"AC", number),
        parent: None,
        friendly_name: "Anna Karenina Ltd".into(),
        status: "active".into(),
        auth_token: Some(Secret::new(TOKEN)),
    }
}

fn mail(key: &str) -> NewEffect {
    let payload = json!({ "to": "anna@example.com", "body": "+14155550123" });
    NewEffect { kind: "mail".into(), key: key.into(), payload, not_before: None }
}

/// Stores one of everything that is secret or personal; gives back what must not be seen.
async fn fill(store: &Store) -> Vec<String> {
    store.synchronise_accounts(&operator(), vec![account(1)], true, start()).await.unwrap();
    store.add_effect(&operator(), mail("m"), start()).await.unwrap();
    let life = store.join("one", "h", start()).await.unwrap();
    let claim = store.claim_effects(&life, "mail", 1, after(9), start()).await.unwrap().remove(0);
    store.fail_effect(&operator(), &claim, "no such user: vronsky", Some(after(9)), start()).await.unwrap();
    let audit = NewAudit::new("notice.send", "x").about("p1", "told levin@example.com");
    store.audit(&operator(), audit, start()).await.unwrap();
    let token = NewToken { name: "ci".into(), scopes: vec![], networks: vec![], expires_at: None };
    let (_, bearer) = store.create_token(&operator(), token, start()).await.unwrap();
    let code = challenge(store).await;
    store.media_link_key().await.unwrap();
    let (old, new) = (Secret::new("raskolnikov"), Secret::new("razumikhin"));
    let whose = Sid::new(*b"AC", 2);
    let rotation = store.begin_rotation(&operator(), whose, &old, "x", start()).await.unwrap().unwrap();
    store.promoted_rotation(&operator(), &rotation, &new, Vec::new(), start()).await.unwrap();
    let asked = store.begin_shared_key(&operator(), whose, false, "x", start()).await.unwrap().unwrap();
    let shared = KeyOfTwilio { id: "webhooks_sharedkey_1".into(), secret: Secret::new("svidrigailov") };
    store.made_shared_key(&operator(), &asked, &shared, start()).await.unwrap();
    let mut secrets = fill_people(store).await;
    secrets.extend(fill_users(store).await);
    secrets.extend(
        [TOKEN, "Karenina", "anna@", "4155550123", "vronsky", "levin", "4155550188", "Kitty"]
            .map(str::to_owned),
    );
    secrets.push(code);
    secrets.extend(["raskolnikov", "razumikhin", "svidrigailov"].map(str::to_owned));
    secrets.push(bearer.expose().trim_start_matches("rf_").to_owned());
    secrets.push("07".repeat(32)); // the master key
    secrets
}

/// The same of people who sign in.
async fn fill_people(store: &Store) -> Vec<String> {
    let by = operator();
    let person = store.add_person(&by, "oblonsky@example.com", vec![], start()).await.unwrap().id;
    store
        .set_password(&by, &person, &Secret::new("$argon2id$shcherbatsky"), Told::nobody(), start())
        .await
        .unwrap();
    let mut secrets = Vec::new();
    let number = PhoneNumber::parse("+14155550177").unwrap();
    store.keep_line_type(number, "mobile", start()).await.unwrap();
    for secret in [
        FactorSecret::Phone(number),
        FactorSecret::Totp(Seed::new(*b"a seed of kitty's 20")),
        FactorSecret::Passkey("a passkey of dolly's".into()),
    ] {
        store.add_factor(&by, &person, NewFactor { secret, verified: true }, start()).await.unwrap();
    }
    for code in store.new_recovery_codes(&by, &person, Told::nobody(), start()).await.unwrap() {
        secrets.push(code.spelled().to_string());
        secrets.push(code.spelled().replace('-', ""));
    }
    let (address, agent) = ("2001:db8::karamazov".to_owned(), "Smerdyakov/5.0".to_owned());
    let session = NewSession {
        person: person.clone(),
        place: Where::Everywhere,
        stage: Stage::Inside,
        assurance: Assurance::Password,
        password_of: None,
        sign_in: store.begin_sign_in(&person, &address, &agent, start()).await.unwrap(),
        address: address.clone(),
        agent: agent.clone(),
    };
    secrets.push(store.begin_session(session, None, start()).await.unwrap().expose().to_owned());
    let trusted_for = SignedDuration::from_hours(1);
    let device = NewDevice {
        person,
        place: Where::Everywhere,
        kind: Kind::Totp,
        address,
        agent,
        trusted_for,
        session: None,
    };
    let device = store.trust_device(&by, device, start()).await.unwrap();
    secrets.push(device.expose().rsplit_once('.').unwrap().1.to_owned());
    secrets.extend(
        ["oblonsky", "shcherbatsky", "4155550177", "of kitty's", "of dolly's", "karamazov", "Smerdyakov"]
            .map(str::to_owned),
    );
    secrets
}

/// The same of users of applications.
async fn fill_users(store: &Store) -> Vec<String> {
    let by = operator();
    let user = UserName { application: Sid::new(*b"VA", 1), name: "stavrogin@example.com".into() };
    let seed = store.enrol_user_totp(&by, &user, start()).await.unwrap();
    let code = seed.code_at(start());
    store.confirm_user_totp(&by, &user, &code, start()).await.unwrap();
    let codes = store.new_user_recovery_codes(&by, &user, start()).await.unwrap();
    let new = NewUserSignIn {
        user: user.clone(),
        phone: Some(PhoneNumber::parse("+14155550166").unwrap()),
        device: None,
        address: Some("2001:db8::shatov".into()),
        agent: Some("Verkhovensky/5.0".into()),
        always: false,
    };
    let sign_in = store.begin_user_sign_in(&by, new, start()).await.unwrap().sign_in.id;
    let typed = codes[0].spelled().to_string();
    let trust = Some(Some("Kirillov's".to_owned()));
    let code = Secret::new(typed.as_str());
    let check = CheckSignIn { user, sign_in, kind: Kind::RecoveryCode, code, trust };
    let checked = store.check_user_sign_in(&by, check, start()).await.unwrap();
    let SignInChecked::Passed { token: Some(token), .. } = checked else { panic!("{checked:?}") };
    let mut secrets = vec![token.token.expose().rsplit_once('.').unwrap().1.to_owned()];
    for code in codes {
        secrets.extend([code.spelled().to_string(), code.spelled().replace('-', "")]);
    }
    secrets.push(seed.spelled().replace(' ', ""));
    secrets.extend(["stavrogin", "4155550166", "shatov", "Verkhovensky", "Kirillov"].map(str::to_owned));
    secrets
}

/// A challenge with a number, a name and a code of its own; gives back the code.
async fn challenge(store: &Store) -> String {
    let code = "Kareninas7";
    let new = NewChallenge {
        expected: Expected {
            application: "VA1".into(),
            purpose: "verification".into(),
            binding: String::new(),
        },
        number: PhoneNumber::parse("+14155550188").unwrap(),
        channel: Channel::Sms,
        length: CodeLength::SIX,
        lifetime: SignedDuration::from_mins(10),
        custom_code: Some(Secret::new(code)),
        details: json!({ "name": "Kitty" }),
        counter: Counter::Number,
        limits: Arc::new(Limits::shipped([Country::parse("US").unwrap()].into())),
        asker: Asker { address: Some("192.0.2.188".parse().unwrap()), user: Some("Kitty".into()) },
        own_budgets: Vec::new(),
    };
    store.begin_challenge(&operator(), new, start()).await.unwrap();
    code.to_owned()
}

fn must_lack(bytes: &[u8], secrets: &[String]) {
    for secret in secrets {
        let plain = secret.as_bytes();
        // As text, and as the digits in which a dump writes bytes.
        let mut digits = String::new();
        for byte in plain {
            write!(digits, "{byte:02x}").expect("a text takes all");
        }
        for form in [plain, digits.as_bytes()] {
            let found = bytes.windows(form.len()).any(|window| window.eq_ignore_ascii_case(form));
            assert!(!found, "{secret} is in it");
        }
    }
    assert!(!bytes.windows(32).any(|window| window == [7; 32]), "the master key is in it");
}

async fn no_secret_is_found_in_the_database_or_a_backup(world: World) {
    let secrets = fill(&world.store).await;
    let mut bytes = world.bytes();
    if let Database::Sqlite(directory) = &world.database {
        let backup = directory.path().join("backup");
        world.store.backup(&operator(), &backup, start()).await.unwrap();
        bytes.extend(std::fs::read(backup).unwrap());
    }
    let known = Sid::new(*b"AC", 1).to_string();
    assert!(bytes.windows(34).any(|window| window == known.as_bytes()), "what is no secret is seen");
    must_lack(&bytes, &secrets);
}

async fn the_master_key_is_rotated_while_the_store_runs(world: World) {
    let store = &world.store;
    fill(store).await;
    let (old, new) = (MasterKey::from_bytes([7; 32]), MasterKey::from_bytes([8; 32]));
    let both = Keys::Given { current: new.clone(), previous: vec![old] };
    let rotating = Store::open(&world.location, &both, start()).await.unwrap();

    // A batch at a time; what is written by a node with the old key meanwhile is carried over too.
    let first = rotating.reseal(&operator(), 2, after(1)).await.unwrap();
    assert_eq!(first, 2);
    store.add_effect(&operator(), mail("late"), after(1)).await.unwrap();
    let mut rounds = 0;
    while rotating.reseal(&operator(), 3, after(2)).await.unwrap() > 0 {
        rounds += 1;
    }
    assert!(rounds >= 2, "{rounds}");
    rotating.close().await;

    let alone = Keys::Given { current: new, previous: Vec::new() };
    let rotated = Store::open(&world.location, &alone, start()).await.unwrap();
    let kept = rotated.find_account(Sid::new(*b"AC", 1)).await.unwrap().unwrap();
    assert_eq!(kept.auth_token, Some(Secret::new(TOKEN)));
    assert_eq!(kept.friendly_name, "Anna Karenina Ltd");
    assert_eq!(rotated.rotations().await.unwrap()[0].old, Secret::new("raskolnikov"));
    assert_eq!(rotated.rotated_tokens().await.unwrap()[0].token, Secret::new("razumikhin"));
    let shared = rotated.shared_keys().await.unwrap().remove(0).key.unwrap();
    assert_eq!(shared.secret, Secret::new("svidrigailov"));
    let expected =
        Expected { application: "VA1".into(), purpose: "verification".into(), binding: String::new() };
    let waits = Which::Number(PhoneNumber::parse("+14155550188").unwrap());
    let challenge = rotated.find_challenge(&expected, waits).await.unwrap().unwrap();
    assert_eq!(challenge.details["name"], "Kitty");
    for effect in rotated.waiting_effects(9).await.unwrap().into_iter().filter(|it| it.kind == "mail") {
        assert_eq!(effect.payload["to"], "anna@example.com");
    }
    let rows = rotated.audit_rows(Some("x"), None, 9).await.unwrap();
    assert_eq!(rows[0].personal.as_deref(), Some("told levin@example.com"));
    seal(&rotated).await;
    assert_eq!(rotated.verify_audit(&[]).await.unwrap().findings, []);
}

async fn a_previous_key_that_is_still_needed_is_named(world: World) {
    fill(&world.store).await;
    let (old, new) = (MasterKey::from_bytes([7; 32]), MasterKey::from_bytes([8; 32]));
    let id = old.id();
    let both = Keys::Given { current: new.clone(), previous: vec![old] };
    let rotating = Store::open(&world.location, &both, start()).await.unwrap();
    rotating.reseal(&operator(), 2, after(1)).await.unwrap(); // the store's own secrets come first
    let alone = Keys::Given { current: new, previous: Vec::new() };
    let early = Store::open(&world.location, &alone, start()).await.unwrap();
    let refused = early.accounts().await.unwrap_err();
    let Error::Sealed(SealedError::UnknownKey { key_id, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(*key_id, id);
}

async fn the_beginning_of_the_log_is_forgotten_and_the_rest_verifies(world: World) {
    let store = &world.store;
    for number in 0..20 {
        store
            .audit(&operator(), NewAudit::new("thing.do", format!("thing {number}")), after(number))
            .await
            .unwrap();
    }
    assert_eq!(
        store.forget(&operator(), Forget::Audit, after(99), 99, after(20)).await.unwrap(),
        0,
        "nothing is sealed"
    );
    seal(store).await;

    let mut forgotten = 0;
    loop {
        let rows = store.forget(&operator(), Forget::Audit, after(10), 4, after(21)).await.unwrap();
        assert!(rows <= 4);
        if rows == 0 {
            break;
        }
        forgotten += rows;
        assert_eq!(store.verify_audit(&[]).await.unwrap().findings, []);
    }
    assert_eq!(forgotten, 11, "the row of the beginning and those of the first ten seconds");
    assert_eq!(store.audit_rows(Some("thing 9"), None, 1).await.unwrap(), []);
    assert_eq!(store.audit_rows(Some("thing 10"), None, 1).await.unwrap().len(), 1);
    assert_eq!(store.export_audit(0, 1, ExportOf::WithPersonal).await.unwrap().len(), 1);

    seal(store).await;
    let verified = store.verify_audit(&[]).await.unwrap();
    assert_eq!((verified.unsealed, verified.findings), (0, vec![]));
    // Even when everything is old, the end of the chain stays.
    while store.forget(&operator(), Forget::Audit, after(9999), 50, after(23)).await.unwrap() > 0 {
        seal(store).await;
        assert_eq!(store.verify_audit(&[]).await.unwrap().findings, []);
        if store.audit_rows(None, None, 9).await.unwrap().len() <= 2 {
            break; // each forgetting is itself a row
        }
    }
}

async fn what_still_matters_is_not_forgotten(world: World) {
    let store = &world.store;
    store.add_effect(&operator(), mail("waits"), start()).await.unwrap();
    store.synchronise_accounts(&operator(), vec![account(1)], true, start()).await.unwrap();
    let token = NewToken { name: "ci".into(), scopes: vec![], networks: vec![], expires_at: None };
    let (token, _) = store.create_token(&operator(), token, start()).await.unwrap();
    for what in [Forget::Effects, Forget::Accounts, Forget::Tokens, Forget::Observations] {
        assert_eq!(store.forget(&operator(), what, after(9999), 99, after(1)).await.unwrap(), 0, "{what:?}");
    }
    store.synchronise_accounts(&operator(), vec![], true, after(2)).await.unwrap();
    store.revoke_token(&operator(), &token.id, after(2)).await.unwrap();
    for what in [Forget::Accounts, Forget::Tokens] {
        assert_eq!(store.forget(&operator(), what, after(2), 99, after(3)).await.unwrap(), 0, "{what:?}");
        assert_eq!(store.forget(&operator(), what, after(3), 99, after(3)).await.unwrap(), 1, "{what:?}");
    }
}
