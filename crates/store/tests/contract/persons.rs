use jiff::SignedDuration;
use ringfence_model::{Actor, PhoneNumber, Secret, Sid};
use ringfence_second_factor::failures::{Barred, TOTP_BOUND_ANEW_AFTER};
use ringfence_second_factor::policy::{Assurance, Demands, Kind, Policy, Strength};
use ringfence_second_factor::recovery::RecoveryCode;
use ringfence_second_factor::totp::Seed;
use ringfence_store::{
    DeviceUsed, Error, Factor, FactorSecret, Grant, Lock, NewDevice, NewEffect, NewFactor, NewSession,
    Person, Purpose, Role, ShownDevice, SignInOutcome, Stage, Store, Told, Where,
};

use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    a_login_is_one_persons_however_it_is_written,
    the_last_owner_of_everything_stays_one,
    an_owner_who_was_only_invited_takes_nobodys_place_who_signs_in,
    two_owners_who_lock_each_other_out_leave_one,
    two_owners_who_remove_each_other_leave_one,
    a_role_somewhere_is_none_elsewhere,
    of_many_right_codes_at_once_one_is_taken,
    wrong_codes_at_once_are_counted_one_by_one,
    after_sixteen_wrong_codes_of_an_application_it_is_worth_nothing,
    a_given_out_code_is_good_once_in_its_time_and_for_its_purpose,
    a_session_gets_a_new_token_at_each_step,
    a_session_is_over_when_it_is_idle_or_old,
    being_asked_again_makes_no_session_longer,
    nobody_begins_a_session_of_a_person_who_is_locked,
    a_changed_password_ends_sessions_and_devices,
    a_copied_device_ends_for_both,
    a_factor_that_is_taken_away_ends_the_trust_in_devices,
    a_thief_who_uses_a_copy_on_and_on_does_not_wear_off_its_trace,
    a_device_is_one_persons_and_one_accounts,
    of_two_tabs_at_once_one_gets_the_new_secret,
    another_policy_ends_the_trust_in_devices,
    of_too_many_devices_the_longest_unused_gives_way,
    a_removed_person_leaves_nothing,
    a_sign_in_that_is_inside_is_not_told_as_failed,
}

pub(crate) fn everywhere(role: Role) -> Grant {
    Grant { place: Where::Everywhere, role }
}

pub(crate) fn account(number: u128) -> Where {
    Where::Account(Sid::new(*b"AC", number))
}

pub(crate) async fn person(store: &Store, login: &str, grants: Vec<Grant>) -> Person {
    store.add_person(&operator(), login, grants, start()).await.unwrap()
}

pub(crate) async fn maria(store: &Store) -> Person {
    person(store, "maria@example.com", vec![everywhere(Role::Owner)]).await
}

pub(crate) async fn factor(store: &Store, person: &Person, secret: FactorSecret) -> Factor {
    let kind = secret.kind();
    let new = NewFactor { secret, verified: true };
    store.add_factor(&operator(), &person.id, new, start()).await.unwrap();
    let factors = store.factors(&person.id).await.unwrap();
    factors.into_iter().find(|factor| factor.secret.kind() == kind).unwrap()
}

pub(crate) fn session(person: &Person, stage: Stage) -> NewSession {
    NewSession {
        person: person.id.clone(),
        place: Where::Everywhere,
        stage,
        assurance: Assurance::Password,
        password_of: None,
        sign_in: "si_1".into(),
        address: "203.0.113.7".into(),
        agent: "Firefox on Linux".into(),
    }
}

pub(crate) fn device(person: &Person, place: Where) -> NewDevice {
    NewDevice {
        person: person.id.clone(),
        place,
        kind: Kind::Totp,
        address: "203.0.113.7".into(),
        agent: "Firefox on Linux".into(),
        trusted_for: SignedDuration::from_hours(30 * 24),
        session: None,
    }
}

pub(crate) fn letter(key: &str) -> NewEffect {
    NewEffect {
        kind: "letter".into(),
        key: format!("letter/{key}"),
        payload: serde_json::json!({}),
        not_before: None,
    }
}

async fn a_login_is_one_persons_however_it_is_written(world: World) {
    let maria = maria(&world.store).await;
    let again = world.store.add_person(&operator(), " Maria@Example.COM ", vec![], start()).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    let (found, password) = world.store.person_by_login("MARIA@example.com").await.unwrap().unwrap();
    assert_eq!((found, password), (maria, None));
    assert_eq!(world.store.person_by_login("mario@example.com").await.unwrap(), None);
    let zoe = world.store.add_person(&operator(), "zoë@example.com", vec![], start()).await.unwrap();
    let again = world.store.add_person(&operator(), "zoe\u{308}@example.com", vec![], start()).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    assert_eq!(world.store.person_by_login("ZOE\u{308}@example.com").await.unwrap().unwrap().0, zoe);
}

async fn the_last_owner_of_everything_stays_one(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let other = person(store, "other@example.com", vec![everywhere(Role::Operator)]).await;
    let refused = [
        store.set_role(&by, &maria.id, everywhere(Role::Operator), start()).await,
        store.remove_role(&by, &maria.id, Where::Everywhere, start()).await.map(|_| ()),
        store.remove_person(&by, &maria.id, start()).await,
        store.lock_person(&by, &maria.id, Lock::Out, start()).await.map(|_| ()),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    }
    assert_eq!(store.person(&maria.id).await.unwrap().unwrap().locked_at, None);
    // Where it is meant, it is done, and there is nothing left to keep: to do it again says so.
    assert!(store.lock_person(&by, &maria.id, Lock::OutEvenTheLastOwner, start()).await.unwrap());
    assert!(!store.lock_person(&by, &maria.id, Lock::Out, start()).await.unwrap(), "locked already");
    assert!(store.lock_person(&by, &maria.id, Lock::Off, start()).await.unwrap());
    store.set_role(&by, &other.id, everywhere(Role::Owner), start()).await.unwrap();
    store.set_role(&by, &maria.id, everywhere(Role::Auditor), start()).await.unwrap();
    let maria = store.person(&maria.id).await.unwrap().unwrap();
    assert_eq!(maria.role(Where::Everywhere), Some(Role::Auditor));
}

async fn an_owner_who_was_only_invited_takes_nobodys_place_who_signs_in(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let invited = person(store, "other@example.com", vec![everywhere(Role::Owner)]).await;
    let hash = Secret::new("hash");
    let binds = async |person: &Person| {
        store.set_password(&by, &person.id, &hash, Told::nobody(), start()).await.unwrap();
        let totp = NewFactor { secret: FactorSecret::Totp(Seed::new([3; 20])), verified: true };
        store.add_factor(&by, &person.id, totp, start()).await.unwrap();
    };
    binds(&maria).await;
    for refused in [
        store.set_role(&by, &maria.id, everywhere(Role::Operator), start()).await,
        store.remove_role(&by, &maria.id, Where::Everywhere, start()).await.map(|_| ()),
        store.remove_person(&by, &maria.id, start()).await,
        store.lock_person(&by, &maria.id, Lock::Out, start()).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    }
    // An invitation that went wrong is taken back, whoever signs in.
    let mistyped = person(store, "mistyped@example.com", vec![everywhere(Role::Owner)]).await;
    store.remove_person(&by, &mistyped.id, start()).await.unwrap();
    // A password alone does not do: without a factor they are not let in.
    store.set_password(&by, &invited.id, &hash, Told::nobody(), start()).await.unwrap();
    assert!(store.remove_role(&by, &maria.id, Where::Everywhere, start()).await.is_err());
    binds(&invited).await;
    assert!(store.remove_role(&by, &maria.id, Where::Everywhere, start()).await.unwrap());
}

async fn two_owners_who_remove_each_other_leave_one(world: World) {
    let other_node = world.another().await;
    let (one, two) = (
        maria(&world.store).await,
        person(&world.store, "two@example.com", vec![everywhere(Role::Owner)]).await,
    );
    let by = operator();
    let removals = all([(&world.store, &one), (&other_node, &two)].into_iter().map(|(store, person)| {
        let by = by.clone();
        async move { store.remove_person(&by, &person.id, start()).await.is_ok() }
    }))
    .await;
    assert_eq!(removals.iter().filter(|removed| **removed).count(), 1, "{removals:?}");
    other_node.close().await;
}

async fn two_owners_who_lock_each_other_out_leave_one(world: World) {
    let other_node = world.another().await;
    let (one, two) = (
        maria(&world.store).await,
        person(&world.store, "two@example.com", vec![everywhere(Role::Owner)]).await,
    );
    let by = operator();
    let locks = all([(&world.store, &one), (&other_node, &two)].into_iter().map(|(store, person)| {
        let by = by.clone();
        async move { store.lock_person(&by, &person.id, Lock::Out, start()).await.is_ok() }
    }))
    .await;
    assert_eq!(locks.iter().filter(|locked| **locked).count(), 1, "{locks:?}");
    other_node.close().await;
}

async fn a_role_somewhere_is_none_elsewhere(world: World) {
    let grant = Grant { place: account(1), role: Role::Operator };
    let person = person(&world.store, "op@example.com", vec![grant]).await;
    assert_eq!(person.role(account(1)), Some(Role::Operator));
    assert_eq!(person.role(account(2)), None);
    assert_eq!(person.role(Where::Everywhere), None);
    assert!(world.store.remove_role(&operator(), &person.id, account(1), start()).await.unwrap());
    let person = world.store.person(&person.id).await.unwrap().unwrap();
    assert_eq!(person.role(account(1)), None);
}

async fn of_many_right_codes_at_once_one_is_taken(world: World) {
    let maria = maria(&world.store).await;
    let seed = Seed::new([3; 20]);
    let totp = factor(&world.store, &maria, FactorSecret::Totp(seed.clone())).await;
    let code = seed.code_at(start());
    let other_node = world.another().await;
    let by = operator();
    let checks = all((0..16).map(|round| {
        let store = if round % 2 == 0 { &world.store } else { &other_node };
        store.check_totp(&by, &totp, &code, Told::nobody(), start())
    }))
    .await;
    let taken = checks.iter().filter(|it| matches!(it, Ok(Ok(true)))).count();
    assert_eq!(taken, 1, "{checks:?}");
    other_node.close().await;
}

async fn wrong_codes_at_once_are_counted_one_by_one(world: World) {
    let maria = maria(&world.store).await;
    let totp = factor(&world.store, &maria, FactorSecret::Totp(Seed::new([3; 20]))).await;
    let by = operator();
    let checks =
        all((0..64).map(|_| world.store.check_totp(&by, &totp, "no code", Told::nobody(), start()))).await;
    let compared = checks.iter().filter(|it| matches!(it, Ok(Ok(false)))).count();
    let barred = checks.iter().filter(|it| matches!(it, Ok(Err(Barred::Until(_))))).count();
    assert_eq!((compared, barred), (5, 59), "the fifth begins the pauses");
}

async fn after_sixteen_wrong_codes_of_an_application_it_is_worth_nothing(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let seed = Seed::new([3; 20]);
    let totp = factor(store, &maria, FactorSecret::Totp(seed.clone())).await;
    assert_eq!(store.kinds(&maria.id).await.unwrap(), [Kind::Totp]);
    for hour in 0..i64::from(TOTP_BOUND_ANEW_AFTER) {
        assert_eq!(store.waiting_effects(9).await.unwrap(), [], "{hour}");
        let told = Told::nobody().where_worn_out(letter("worn-out"));
        // Twenty codes are compared in all: of the first two guesses each with three, then each with that of the moment.
        let now = after(hour * 3_600);
        let code_of_before = seed.code_at(after(hour * 3_600 - 30));
        let guess = if hour < 2 { "no code" } else { &code_of_before };
        let checked = store.check_totp(&by, &totp, guess, told, now).await.unwrap();
        assert_eq!(checked, Ok(false), "{hour}");
    }
    // Nowhere does it count as one, and whose it is hears so, once.
    assert_eq!(store.kinds(&maria.id).await.unwrap(), []);
    assert_eq!(store.kinds_of_all().await.unwrap().len(), 0);
    assert!(store.factors(&maria.id).await.unwrap().iter().all(|it| it.is_worn_out && !it.counts()));
    assert_eq!(store.waiting_effects(9).await.unwrap().len(), 1);
    let rows = store.audit_rows(None, None, 99).await.unwrap();
    let noted: Vec<_> = rows.iter().filter(|row| row.action == "factor.disable").collect();
    assert_eq!((noted.len(), &noted[0].detail["factor"]), (1, &serde_json::json!(totp.id)));
    let later = after(365 * 86_400);
    let right = seed.code_at(later);
    assert_eq!(
        store.check_totp(&by, &totp, &right, Told::nobody(), later).await.unwrap(),
        Err(Barred::BoundAnew)
    );
    // The other factors of the same person are not touched by it.
    let codes = store.new_recovery_codes(&by, &maria.id, Told::nobody(), later).await.unwrap();
    let recovery = store.factors(&maria.id).await.unwrap().pop().unwrap();
    assert_eq!(
        store.use_recovery_code(&by, &recovery, &codes[0], Told::nobody(), later).await.unwrap(),
        Ok(true)
    );
    // Bound anew, it counts again.
    store.remove_factor(&by, &maria.id, &totp.id, vec![], Told::nobody(), later).await.unwrap().unwrap();
    let totp = factor(store, &maria, FactorSecret::Totp(seed)).await;
    assert_eq!(store.check_totp(&by, &totp, &right, Told::nobody(), later).await.unwrap(), Ok(true));
}

async fn a_given_out_code_is_good_once_in_its_time_and_for_its_purpose(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let hour = SignedDuration::from_hours(1);
    let first = store.give_out_code(&by, &maria.id, Purpose::Bind, hour, start()).await.unwrap();
    let code = store.give_out_code(&by, &maria.id, Purpose::Bind, hour, start()).await.unwrap();
    let redeem = |purpose, code: &RecoveryCode, at| {
        let code = code.clone();
        async move { store.redeem_code(purpose, &code, at).await.unwrap().map(|it| it.person) }
    };
    assert_eq!(redeem(Purpose::Bind, &first, start()).await, None, "another took its place");
    assert_eq!(redeem(Purpose::ResetPassword, &code, start()).await, None);
    assert_eq!(redeem(Purpose::Bind, &code, after(3_600)).await, None, "too late");
    assert!(store.look_at_code(Purpose::Bind, &code, start()).await.unwrap().is_some());
    let uses = all((0..4).map(|_| redeem(Purpose::Bind, &code, after(3_599)))).await;
    assert_eq!(uses.iter().flatten().collect::<Vec<_>>(), [&maria.id]);
    assert_eq!(store.look_at_code(Purpose::Bind, &code, start()).await.unwrap(), None);
}

async fn a_session_gets_a_new_token_at_each_step(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let planted = Secret::new("planted by somebody");
    let first =
        store.begin_session(session(&maria, Stage::SecondFactor), Some(&planted), start()).await.unwrap();
    let second = store.change_session(&first, session(&maria, Stage::Inside), start()).await.unwrap();
    for old in [&planted, &first] {
        assert!(store.session(old, start()).await.unwrap().is_none());
        let again = store.change_session(old, session(&maria, Stage::Inside), start()).await;
        assert!(matches!(again, Err(Error::Missing { .. })), "{again:?}");
    }
    let inside = store.session(&second, start()).await.unwrap().unwrap();
    assert_eq!((inside.stage, inside.person.id), (Stage::Inside, maria.id.clone()));
    // Somebody else's sign-in in the same browser ends this one.
    let other = person(store, "o@example.com", vec![]).await;
    store.begin_session(session(&other, Stage::SecondFactor), Some(&second), start()).await.unwrap();
    assert!(store.session(&second, start()).await.unwrap().is_none());
}

async fn a_session_is_over_when_it_is_idle_or_old(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let idle = store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
    let used = store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
    let unfinished = store.begin_session(session(&maria, Stage::SecondFactor), None, start()).await.unwrap();
    assert!(store.session(&unfinished, after(899)).await.unwrap().is_some());
    assert!(store.session(&unfinished, after(900)).await.unwrap().is_none());
    assert!(store.session(&idle, after(1_800)).await.unwrap().is_none());
    for minute in (0..12 * 60).step_by(20) {
        assert!(store.session(&used, after(minute * 60)).await.unwrap().is_some(), "{minute}");
    }
    assert_eq!(store.sessions(&maria.id, after(12 * 3_600 - 1)).await.unwrap().len(), 1);
    assert!(store.session(&used, after(12 * 3_600)).await.unwrap().is_none());
}

async fn being_asked_again_makes_no_session_longer(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let first = store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
    let assurance = Assurance::SecondFactor { kind: Kind::Totp, at: after(600) };
    let again = NewSession { assurance, ..session(&maria, Stage::Inside) };
    let second = store.change_session(&first, again, after(600)).await.unwrap();
    let found = store.session(&second, after(600)).await.unwrap().unwrap();
    assert_eq!((found.assurance, found.expires_at), (assurance, after(12 * 3_600)));
}

async fn nobody_begins_a_session_of_a_person_who_is_locked(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let token = store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
    assert!(store.lock_person(&by, &maria.id, Lock::OutEvenTheLastOwner, start()).await.unwrap());
    assert!(
        !store.lock_person(&by, &maria.id, Lock::OutEvenTheLastOwner, start()).await.unwrap(),
        "locked already"
    );
    assert!(store.session(&token, start()).await.unwrap().is_none());
    let refused = store.begin_session(session(&maria, Stage::SecondFactor), None, start()).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert!(store.lock_person(&by, &maria.id, Lock::Off, start()).await.unwrap());
    store.begin_session(session(&maria, Stage::SecondFactor), None, start()).await.unwrap();
}

async fn a_changed_password_ends_sessions_and_devices(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let token = store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
    let secret = store.trust_device(&by, device(&maria, Where::Everywhere), start()).await.unwrap();
    store
        .set_password(&by, &maria.id, &Secret::new("$argon2id$hash"), Told::nobody(), start())
        .await
        .unwrap();
    assert!(store.session(&token, start()).await.unwrap().is_none());
    let used = store.use_device(&by, &shown(&secret, &maria, Where::Everywhere), start()).await.unwrap();
    assert_eq!(used, DeviceUsed::Refused);
    let (_, hash) = store.person_by_login("maria@example.com").await.unwrap().unwrap();
    assert_eq!(hash, Some(Secret::new("$argon2id$hash")));
}

pub(crate) async fn use_of(
    store: &Store,
    secret: &Secret,
    person: &Person,
    place: Where,
    second: i64,
) -> DeviceUsed {
    let by = Actor::Person(person.id.clone());
    store.use_device(&by, &shown(secret, person, place), after(second)).await.unwrap()
}

/// As its owner's browser presents it.
pub(crate) fn shown(secret: &Secret, person: &Person, place: Where) -> ShownDevice {
    ShownDevice {
        secret: secret.clone(),
        person: person.id.clone(),
        place,
        address: "203.0.113.7".to_owned(),
        told: Told::nobody(),
    }
}

async fn a_copied_device_ends_for_both(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let stolen = store.trust_device(&operator(), device(&maria, account(1)), start()).await.unwrap();
    let DeviceUsed::Trusted(next) = use_of(store, &stolen, &maria, account(1), 0).await else {
        panic!("it is trusted");
    };
    assert_eq!(use_of(store, &stolen, &maria, account(1), 10).await, DeviceUsed::JustChanged);
    // The browser has shown the next one, so the one before is used up.
    store.see_devices(std::slice::from_ref(&next), &maria.id, "203.0.113.7", after(1)).await.unwrap();
    assert_eq!(use_of(store, &stolen, &maria, account(1), 11).await, DeviceUsed::JustChanged);
    assert_eq!(use_of(store, &stolen, &maria, account(1), 12).await, DeviceUsed::Copied);
    assert_eq!(use_of(store, &next, &maria, account(1), 13).await, DeviceUsed::Refused);
    assert_eq!(store.devices(&maria.id, after(13)).await.unwrap(), []);
}

async fn a_thief_who_uses_a_copy_on_and_on_does_not_wear_off_its_trace(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let own = store.trust_device(&operator(), device(&maria, account(1)), start()).await.unwrap();
    let mut stolen = own.clone();
    for change in 0..40 {
        match use_of(store, &stolen, &maria, account(1), change * 11).await {
            DeviceUsed::Trusted(next) => stolen = next,
            used => panic!("the copy is as good as the original: {used:?}"),
        }
    }
    assert_eq!(use_of(store, &own, &maria, account(1), 600).await, DeviceUsed::Copied);
    assert_eq!(use_of(store, &stolen, &maria, account(1), 601).await, DeviceUsed::Refused);
}

async fn a_device_is_one_persons_and_one_accounts(world: World) {
    let store = &world.store;
    let (maria, other) = (maria(store).await, person(store, "o@example.com", vec![]).await);
    let secret = store.trust_device(&operator(), device(&maria, account(1)), start()).await.unwrap();
    assert_eq!(use_of(store, &secret, &other, account(1), 0).await, DeviceUsed::Refused);
    assert_eq!(use_of(store, &secret, &maria, account(2), 0).await, DeviceUsed::Refused);
    assert_eq!(use_of(store, &secret, &maria, Where::Everywhere, 0).await, DeviceUsed::Refused);
    for forged in ["", ".", "dv_1", "dv_1.x"] {
        assert_eq!(use_of(store, &Secret::new(forged), &maria, account(1), 0).await, DeviceUsed::Refused);
    }
    assert!(matches!(use_of(store, &secret, &maria, account(1), 0).await, DeviceUsed::Trusted(_)));
}

async fn of_two_tabs_at_once_one_gets_the_new_secret(world: World) {
    let store = &world.store;
    let other_node = world.another().await;
    let maria = maria(store).await;
    let secret = store.trust_device(&operator(), device(&maria, account(1)), start()).await.unwrap();
    let uses = all((0..8).map(|tab| {
        let store = if tab % 2 == 0 { store } else { &other_node };
        use_of(store, &secret, &maria, account(1), 5)
    }))
    .await;
    let changed = uses.iter().filter(|it| matches!(it, DeviceUsed::Trusted(_))).count();
    let just = uses.iter().filter(|it| **it == DeviceUsed::JustChanged).count();
    assert_eq!((changed, just), (1, 7), "{uses:?}");
    other_node.close().await;
}

async fn another_policy_ends_the_trust_in_devices(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let one = store.trust_device(&by, device(&maria, account(1)), start()).await.unwrap();
    let two = store.trust_device(&by, device(&maria, account(2)), start()).await.unwrap();
    let demands = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };
    store.set_policy(&by, account(1), demands, start()).await.unwrap();
    assert_eq!(use_of(store, &one, &maria, account(1), 0).await, DeviceUsed::Refused);
    assert!(matches!(use_of(store, &two, &maria, account(2), 0).await, DeviceUsed::Trusted(_)));
    for strength in Strength::ALL {
        let demands = Demands { strength, ..demands };
        store.set_policy(&by, account(1), demands, start()).await.unwrap();
        let policies = store.policies().await.unwrap();
        assert_eq!((policies.len(), policies[0].place, policies[0].demands), (1, account(1), demands));
    }
    let contradictory = Demands { policy: Policy::Disabled, strength: Strength::PhishingResistant };
    store.set_policy(&by, account(1), contradictory, start()).await.unwrap();
    let read = store.policies().await.unwrap()[0].demands;
    let disabled = Demands { policy: Policy::Disabled, strength: Strength::Any };
    assert_eq!(read, disabled, "a row of before names no factor where none is asked for");
}

async fn of_too_many_devices_the_longest_unused_gives_way(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let mut secrets = Vec::new();
    for second in 0..11 {
        let device = device(&maria, account(1));
        secrets.push(store.trust_device(&operator(), device, after(second)).await.unwrap());
    }
    assert_eq!(store.devices(&maria.id, after(11)).await.unwrap().len(), 10);
    assert_eq!(use_of(store, &secrets[0], &maria, account(1), 11).await, DeviceUsed::Refused);
    assert!(matches!(use_of(store, &secrets[1], &maria, account(1), 11).await, DeviceUsed::Trusted(_)));
    let ended = store.end_devices(&operator(), &maria.id, None, after(12)).await.unwrap();
    assert_eq!((ended, store.devices(&maria.id, after(12)).await.unwrap().len()), (10, 0));
}

async fn a_removed_person_leaves_nothing(world: World) {
    let (store, by) = (&world.store, operator());
    let owner = maria(store).await;
    let gone = person(store, "gone@example.com", vec![everywhere(Role::Owner)]).await;
    store.new_recovery_codes(&by, &gone.id, Told::nobody(), start()).await.unwrap();
    store.trust_device(&by, device(&gone, account(1)), start()).await.unwrap();
    let token = store.begin_session(session(&gone, Stage::Inside), None, start()).await.unwrap();
    store.begin_sign_in(&gone.id, "203.0.113.7", "Firefox", start()).await.unwrap();
    store.remove_person(&by, &gone.id, start()).await.unwrap();
    assert_eq!(store.person(&gone.id).await.unwrap(), None);
    assert!(store.session(&token, start()).await.unwrap().is_none());
    assert!(store.factors(&gone.id).await.unwrap().is_empty());
    assert_eq!(store.devices(&gone.id, start()).await.unwrap(), []);
    assert_eq!(store.sign_ins(&gone.id, 9).await.unwrap(), []);
    assert_eq!(store.persons().await.unwrap(), [owner]);
    let rows = store.audit_rows(Some(&format!("person {}", gone.id)), None, 99).await.unwrap();
    assert!(rows.iter().any(|row| row.action == "person.remove"));
    assert!(rows.iter().all(|row| row.personal.is_none()), "{rows:?}");
    // Who comes again under the same login is somebody else.
    person(store, "gone@example.com", vec![]).await;
}

async fn a_sign_in_that_is_inside_is_not_told_as_failed(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let begin = |second| store.begin_sign_in(&maria.id, "203.0.113.7", "Firefox on Linux", after(second));
    let (known, new, failed) = (begin(0).await.unwrap(), begin(0).await.unwrap(), begin(0).await.unwrap());
    let waiting = begin(1).await.unwrap();
    for (id, outcome) in
        [(&failed, SignInOutcome::Failed), (&known, SignInOutcome::Known), (&new, SignInOutcome::New)]
    {
        store.end_sign_in(id, outcome, after(2)).await.unwrap();
    }
    // Who is inside stays so, whatever another tab does.
    store.end_sign_in(&known, SignInOutcome::Failed, after(3)).await.unwrap();
    let told = |waited| async move {
        let told = store.sign_ins_to_tell(waited, 9).await.unwrap();
        let mut ids: Vec<String> = told.into_iter().map(|it| it.id).collect();
        ids.sort();
        ids
    };
    let sorted = |ids: &[&String]| {
        let mut ids: Vec<String> = ids.iter().map(|it| (*it).clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(told(after(-1)).await, sorted(&[&new]));
    assert_eq!(told(after(0)).await, sorted(&[&new, &failed]));
    assert_eq!(told(after(1)).await, sorted(&[&new, &failed, &waiting]));
    let since = async |at, limit| store.sign_ins_since(at, limit).await.unwrap().len();
    assert_eq!((since(start(), 9).await, since(after(1), 9).await, since(start(), 2).await), (4, 1, 2));
    assert_eq!(store.sign_ins_since(start(), 1).await.unwrap()[0].id, waiting, "the newest first");
    let both = [(new.clone(), SignInOutcome::New), (failed.clone(), SignInOutcome::Failed)];
    let tell = || store.tell_of_sign_ins(letter("one"), both.to_vec(), after(4));
    assert!(tell().await.unwrap());
    assert!(!tell().await.unwrap(), "told once");
    assert_eq!(store.waiting_effects(9).await.unwrap().len(), 1);
    assert_eq!(told(after(0)).await, sorted(&[]));
    // Whoever was told that it failed is told that it is inside after all.
    store.end_sign_in(&failed, SignInOutcome::New, after(5)).await.unwrap();
    assert_eq!(told(after(0)).await, sorted(&[&failed]));
}

async fn a_factor_that_is_taken_away_ends_the_trust_in_devices(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let phone = FactorSecret::Phone(PhoneNumber::parse("+14155550100").unwrap());
    let left = async || store.devices(&maria.id, start()).await.unwrap().len();
    for (secret, stays) in [
        (phone, 0),
        (FactorSecret::Totp(Seed::new([3; 20])), 0),
        (FactorSecret::Passkey("a key".to_owned()), 0),
        // They are made anew all the time, so trust that rests on another factor stays.
        (FactorSecret::RecoveryCodes, 1),
    ] {
        let kind = secret.kind();
        let factor = factor(store, &maria, secret).await;
        for by_kind in [Kind::Totp, Kind::RecoveryCode] {
            let new = NewDevice { kind: by_kind, ..device(&maria, account(1)) };
            store.trust_device(&by, new, start()).await.unwrap();
        }
        store
            .remove_factor(&by, &maria.id, &factor.id, vec![], Told::nobody(), start())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(left().await, stays, "{kind:?}");
        let rows = store.audit_rows(None, None, 99).await.unwrap();
        let row = rows.iter().find(|row| row.action == "factor.remove").unwrap();
        assert_eq!(row.detail["devices_ended"], 2 - stays, "{kind:?}");
    }
    let by_code = NewDevice { kind: Kind::RecoveryCode, ..device(&maria, account(1)) };
    store.trust_device(&by, by_code, start()).await.unwrap();
    store.new_recovery_codes(&by, &maria.id, Told::nobody(), start()).await.unwrap();
    assert_eq!(left().await, 1, "new codes end what the old ones opened");
}
