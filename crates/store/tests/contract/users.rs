//! Users of applications: what is taken once stays taken, on two nodes at once, and nothing of one is another's.

use ringfence_model::{Secret, Sid};
use ringfence_second_factor::device::Judgement;
use ringfence_second_factor::policy::{Demands, Kind, Next, Policy, Strength};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{
    BegunSignIn, CheckSignIn, Forget, NewUserSignIn, NotPassed, SignInChecked, Store, TotpConfirmed,
    UserName, UserPolicy,
};
use serde_json::json;

use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    of_one_right_code_at_64_sign_ins_at_once_one_is_passed,
    of_one_recovery_code_at_64_sign_ins_at_once_one_is_passed,
    of_one_token_shown_64_times_at_once_one_is_answered_with_the_next_and_none_is_a_thief,
    a_copied_token_is_found_however_often_it_was_changed_and_a_burst_is_no_theft,
    a_sign_in_is_passed_once_by_whatever_factor,
    who_demands_more_asks_trusted_browsers_again,
    guesses_at_one_user_are_paused_and_no_other_one_is,
    a_factor_is_disabled_after_a_hundred_wrong_codes_until_it_is_bound_anew,
    of_many_wrong_codes_at_once_five_are_compared,
    the_oldest_browser_gives_way,
    whoever_had_a_factor_that_is_taken_away_or_replaced_has_no_trusted_browser_left,
    an_erased_user_leaves_nothing_and_comes_back_as_another,
    an_application_that_is_removed_takes_its_users_along,
    an_application_with_many_users_is_removed_and_what_was_broken_off_is_finished,
    what_users_leave_behind_is_forgotten_after_its_time,
    the_same_name_is_another_user_in_another_application,
}

const DAY: i64 = 24 * 3_600;

fn alice() -> UserName {
    user(1, "alice")
}

fn user(application: u128, name: &str) -> UserName {
    UserName { application: Sid::new(*b"VA", application), name: name.to_owned() }
}

async fn begin_at(store: &Store, user: &UserName, device: Option<&Secret>, seconds: i64) -> BegunSignIn {
    let new = NewUserSignIn {
        user: user.clone(),
        phone: None,
        device: device.cloned(),
        address: Some("203.0.113.7".to_owned()),
        agent: Some("Firefox".to_owned()),
        always: false,
    };
    store.begin_user_sign_in(&operator(), new, after(seconds)).await.unwrap()
}

/// The ids of so many sign-ins.
async fn begun(store: &Store, count: usize, seconds: i64) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(begin_at(store, &alice(), None, seconds).await.sign_in.id);
    }
    ids
}

async fn check_at(store: &Store, sign_in: &str, kind: Kind, code: &str, seconds: i64) -> SignInChecked {
    let trust = Some(Some("laptop".to_owned()));
    let check =
        CheckSignIn { user: alice(), sign_in: sign_in.to_owned(), kind, code: Secret::new(code), trust };
    store.check_user_sign_in(&operator(), check, after(seconds)).await.unwrap()
}

fn passed(checked: &SignInChecked) -> bool {
    matches!(checked, SignInChecked::Passed { .. })
}

fn token(checked: SignInChecked) -> Secret {
    match checked {
        SignInChecked::Passed { token: Some(token), .. } => token.token,
        other => panic!("no token: {other:?}"),
    }
}

/// An authenticator application that alice has confirmed long before.
async fn totp(store: &Store, user: &UserName) -> Seed {
    let long_ago = after(-3_600);
    let seed = store.enrol_user_totp(&operator(), user, long_ago).await.unwrap();
    let code = seed.code_at(long_ago);
    let confirmed = store.confirm_user_totp(&operator(), user, &code, long_ago).await.unwrap();
    assert_eq!(confirmed, TotpConfirmed::Confirmed);
    seed
}

/// A browser that alice trusts.
async fn trusted(store: &Store, seed: &Seed, seconds: i64) -> Secret {
    let sign_in = begin_at(store, &alice(), None, seconds).await.sign_in.id;
    token(check_at(store, &sign_in, Kind::Totp, &seed.code_at(after(seconds)), seconds).await)
}

fn wrong(code: &str) -> String {
    code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect()
}

async fn of_one_right_code_at_64_sign_ins_at_once_one_is_passed(world: World) {
    let other = world.another().await;
    let seed = totp(&world.store, &alice()).await;
    for round in 0..5 {
        let seconds = round * DAY;
        let code = seed.code_at(after(seconds));
        let sign_ins = begun(&world.store, 16, seconds).await;
        let checks = (0..64).map(|index| {
            let store = if index % 2 == 0 { &world.store } else { &other };
            check_at(store, &sign_ins[index % 16], Kind::Totp, &code, seconds)
        });
        let results = all(checks).await;
        assert_eq!(results.iter().filter(|it| passed(it)).count(), 1, "{results:?}");
        // Those that came too late have paused it. Whoever comes an hour later, with the code of then, gets in.
        let later = seconds + 3_600;
        let sign_ins = begun(&world.store, 2, later).await;
        let code = seed.code_at(after(later));
        assert!(passed(&check_at(&other, &sign_ins[0], Kind::Totp, &code, later).await));
        assert!(!passed(&check_at(&other, &sign_ins[1], Kind::Totp, &code, later).await));
    }
}

async fn of_one_recovery_code_at_64_sign_ins_at_once_one_is_passed(world: World) {
    let other = world.another().await;
    for round in 0..5 {
        let codes = store_codes(&world.store).await;
        let sign_ins = begun(&world.store, 16, round).await;
        let checks = (0..64).map(|index| {
            let store = if index % 2 == 0 { &world.store } else { &other };
            check_at(store, &sign_ins[index % 16], Kind::RecoveryCode, &codes[0], round)
        });
        let results = all(checks).await;
        assert_eq!(results.iter().filter(|it| passed(it)).count(), 1, "{results:?}");
        assert_eq!(other.user(&alice()).await.unwrap().recovery_codes, 9);
    }
}

async fn store_codes(store: &Store) -> Vec<String> {
    let codes = store.new_user_recovery_codes(&operator(), &alice(), start()).await.unwrap();
    codes.iter().map(|code| code.spelled().to_string()).collect()
}

async fn of_one_token_shown_64_times_at_once_one_is_answered_with_the_next_and_none_is_a_thief(world: World) {
    let other = world.another().await;
    let seed = totp(&world.store, &alice()).await;
    let first = trusted(&world.store, &seed, 0).await;
    let alice_of = alice();
    let shown = (0..64).map(|index| {
        let store = if index % 2 == 0 { &world.store } else { &other };
        begin_at(store, &alice_of, Some(&first), 60)
    });
    let results = all(shown).await;
    assert!(results.iter().all(|it| matches!(it.next, Next::Enter(_))), "none is asked");
    let next: Vec<_> = results.iter().filter_map(|it| it.token.as_ref()).collect();
    assert_eq!(next.len(), 1);
    let seen = begin_at(&other, &alice(), Some(&next[0].token), 120).await;
    assert_eq!(seen.device, Some(Judgement::Trusted));
    let copy = begin_at(&world.store, &alice(), Some(&first), 180).await;
    assert_eq!((copy.device, matches!(copy.next, Next::Ask(_))), (Some(Judgement::Copied), true));
    let owner = begin_at(&world.store, &alice(), Some(&seen.token.unwrap().token), 181).await;
    assert_eq!(owner.device, Some(Judgement::Refused), "the trust ended for both");
}

async fn a_copied_token_is_found_however_often_it_was_changed_and_a_burst_is_no_theft(world: World) {
    let store = &world.store;
    let seed = totp(store, &alice()).await;
    let own = trusted(store, &seed, 0).await;
    let newer = begin_at(store, &alice(), Some(&own), 20).await.token.unwrap().token;
    for second in 21..29 {
        let again = begin_at(store, &alice(), Some(&newer), second).await;
        assert_eq!((again.device, again.token.is_none()), (Some(Judgement::JustChanged), true));
    }
    let slow = begin_at(store, &alice(), Some(&own), 29).await;
    assert_eq!(slow.device, Some(Judgement::JustChanged));
    let mut stolen = newer.clone();
    for change in 0..40 {
        stolen = begin_at(store, &alice(), Some(&stolen), 60 + change * 11).await.token.unwrap().token;
    }
    assert_eq!(begin_at(store, &alice(), Some(&newer), 800).await.device, Some(Judgement::Copied));
    assert_eq!(begin_at(store, &alice(), Some(&stolen), 801).await.device, Some(Judgement::Refused));
}

async fn who_demands_more_asks_trusted_browsers_again(world: World) {
    let store = &world.store;
    let seed = totp(store, &alice()).await;
    let first = trusted(store, &seed, 0).await;
    let policy = |strength| UserPolicy {
        demands: Demands { policy: Policy::OncePerComputer, strength },
        ..UserPolicy::default()
    };
    store.set_user_policy(&operator(), &alice(), Some(policy(Strength::Any)), after(60)).await.unwrap();
    let same = begin_at(store, &alice(), Some(&first), 61).await;
    assert!(matches!(same.next, Next::Enter(_)), "the same demand changes nothing");
    let kept = same.token.unwrap().token;
    store.set_user_policy(&operator(), &alice(), Some(policy(Strength::NoPhone)), after(62)).await.unwrap();
    let asked = begin_at(store, &alice(), Some(&kept), 63).await;
    assert!(matches!(asked.next, Next::Ask(_)), "{:?}", asked.device);
}

async fn a_sign_in_is_passed_once_by_whatever_factor(world: World) {
    let other = world.another().await;
    let seed = totp(&world.store, &alice()).await;
    let codes = store_codes(&world.store).await;
    let sign_in = begun(&world.store, 1, 0).await.remove(0);
    let by_totp = seed.code_at(start());
    let checks = (0..8).map(|index| {
        let store = if index % 2 == 0 { &world.store } else { &other };
        match index % 4 {
            0 | 1 => check_at(store, &sign_in, Kind::Totp, &by_totp, 0),
            _ => check_at(store, &sign_in, Kind::RecoveryCode, &codes[index], 0),
        }
    });
    let results = all(checks).await;
    assert_eq!(results.iter().filter(|it| passed(it)).count(), 1);
    assert!(
        results.iter().all(|it| passed(it) || matches!(it, SignInChecked::Not(NotPassed::Over))),
        "what came later was not even compared: {results:?}"
    );
    let left = world.store.user(&alice()).await.unwrap().recovery_codes;
    assert!(left >= 9, "and not used up: {left}");
}

async fn guesses_at_one_user_are_paused_and_no_other_one_is(world: World) {
    let (store, bob) = (&world.store, user(1, "bob"));
    let (seed, of_bob) = (totp(store, &alice()).await, totp(store, &bob).await);
    let sign_ins = begun(store, 6, 0).await;
    let right = seed.code_at(start());
    for sign_in in &sign_ins[..5] {
        assert!(matches!(
            check_at(store, sign_in, Kind::Totp, &wrong(&right), 0).await,
            SignInChecked::Wrong
        ));
    }
    let barred = check_at(store, &sign_ins[5], Kind::Totp, &right, 1).await;
    assert!(
        matches!(barred, SignInChecked::Not(NotPassed::Barred(until)) if until == after(30)),
        "{barred:?}"
    );
    let sign_in = begin_at(store, &bob, None, 1).await.sign_in.id;
    let code = Secret::new(of_bob.code_at(start()).as_str());
    let check = CheckSignIn { user: bob, sign_in, kind: Kind::Totp, code, trust: None };
    assert!(passed(&store.check_user_sign_in(&operator(), check, after(1)).await.unwrap()));
    // The same seed enrolled anew gives no new guesses before it is confirmed.
    store.enrol_user_totp(&operator(), &alice(), after(2)).await.unwrap();
    let still = check_at(store, &sign_ins[5], Kind::Totp, &right, 2).await;
    assert!(matches!(still, SignInChecked::Not(NotPassed::Barred(_))));
    assert!(passed(&check_at(store, &sign_ins[5], Kind::Totp, &seed.code_at(after(30)), 30).await));
}

async fn a_factor_is_disabled_after_a_hundred_wrong_codes_until_it_is_bound_anew(world: World) {
    let (store, by, bob) = (&world.store, operator(), user(1, "bob"));
    let (seed, of_bob) = (totp(store, &alice()).await, totp(store, &bob).await);
    store_codes(store).await;
    let hours = |hours: i64| hours * 3_600;
    let guess = async |kind, hour| {
        let sign_in = begun(store, 1, hours(hour)).await.remove(0);
        let code =
            if kind == Kind::Totp { wrong(&seed.code_at(after(hours(hour)))) } else { "no".to_owned() };
        check_at(store, &sign_in, kind, &code, hours(hour)).await
    };
    // What is right in between counts from one again, and no retention shortens what is counted.
    for hour in 0..60 {
        assert!(matches!(guess(Kind::Totp, hour).await, SignInChecked::Wrong), "{hour}");
    }
    let sign_in = begun(store, 1, hours(61)).await.remove(0);
    assert!(passed(&check_at(store, &sign_in, Kind::Totp, &seed.code_at(after(hours(61))), hours(61)).await));
    for hour in 100..199 {
        assert!(matches!(guess(Kind::Totp, hour).await, SignInChecked::Wrong), "{hour}");
        assert!(matches!(guess(Kind::RecoveryCode, hour).await, SignInChecked::Wrong), "{hour}");
        let later = after(hours(hour) + 60);
        store.forget(&by, Forget::SignIns, later, 100, later).await.unwrap();
    }
    let open = begun(store, 1, hours(250)).await.remove(0);
    assert!(matches!(guess(Kind::Totp, 250).await, SignInChecked::Not(NotPassed::Disabled)));
    let right = seed.code_at(after(hours(250)));
    let refused = check_at(store, &open, Kind::Totp, &right, hours(250)).await;
    assert!(matches!(refused, SignInChecked::Not(NotPassed::Disabled)), "{refused:?}");
    let known = store.user(&alice()).await.unwrap();
    assert_eq!((known.factors[0].is_disabled, known.recovery_codes), (true, 10));
    // It is asked for no more, and the other one is; until that is disabled as well.
    let next = begin_at(store, &alice(), None, hours(250)).await.next;
    assert_eq!(next, Next::Ask(vec![Kind::RecoveryCode]));
    assert!(matches!(guess(Kind::RecoveryCode, 250).await, SignInChecked::Not(NotPassed::Disabled)));
    assert_eq!(begin_at(store, &alice(), None, hours(251)).await.next, Next::Bind);
    assert_eq!(store.user(&alice()).await.unwrap().recovery_codes, 0);
    let id = known.id.unwrap();
    let rows = store.audit_rows(Some(&format!("user {id}")), None, 999).await.unwrap();
    let disabled = rows.iter().filter(|row| row.action == "user.factor_disable");
    assert_eq!(disabled.map(|row| row.detail["kind"].clone()).collect::<Vec<_>>(), ["recovery-code", "totp"]);
    // Nobody else notices.
    let sign_in = begin_at(store, &bob, None, hours(251)).await.sign_in.id;
    let code = Secret::new(of_bob.code_at(after(hours(251))).as_str());
    let check = CheckSignIn { user: bob, sign_in, kind: Kind::Totp, code, trust: None };
    assert!(passed(&store.check_user_sign_in(&by, check, after(hours(251))).await.unwrap()));
    // Bound anew, they count again.
    let seed = store.enrol_user_totp(&by, &alice(), after(hours(252))).await.unwrap();
    let code = seed.code_at(after(hours(252)));
    let confirmed = store.confirm_user_totp(&by, &alice(), &code, after(hours(252))).await.unwrap();
    assert_eq!(confirmed, TotpConfirmed::Confirmed);
    let sign_in = begun(store, 1, hours(253)).await.remove(0);
    assert!(passed(
        &check_at(store, &sign_in, Kind::Totp, &seed.code_at(after(hours(253))), hours(253)).await
    ));
    store_codes(store).await;
    assert_eq!(store.user(&alice()).await.unwrap().recovery_codes, 10);
}

async fn of_many_wrong_codes_at_once_five_are_compared(world: World) {
    let other = world.another().await;
    let seed = totp(&world.store, &alice()).await;
    let guess = wrong(&seed.code_at(start()));
    let sign_ins = begun(&world.store, 16, 0).await;
    for kind in [Kind::Totp, Kind::RecoveryCode] {
        if kind == Kind::RecoveryCode {
            store_codes(&world.store).await;
        }
        let sign_ins = if kind == Kind::Totp { sign_ins.clone() } else { begun(&world.store, 16, 0).await };
        let checks = (0..64).map(|index| {
            let store = if index % 2 == 0 { &world.store } else { &other };
            check_at(store, &sign_ins[index % 16], kind, &guess, 0)
        });
        let results = all(checks).await;
        assert_eq!(results.iter().filter(|it| matches!(it, SignInChecked::Wrong)).count(), 5, "{kind:?}");
    }
}

async fn the_oldest_browser_gives_way(world: World) {
    let store = &world.store;
    let seed = totp(store, &alice()).await;
    let mut tokens = Vec::new();
    for number in 0..11 {
        tokens.push(trusted(store, &seed, number * 30).await);
    }
    let listed = store.user_devices(&alice(), after(400)).await.unwrap();
    assert_eq!(listed.len(), 10);
    assert_eq!(listed[0].name.as_deref(), Some("laptop"));
    let used = async |token: &Secret| {
        store.use_user_device(&operator(), &alice(), token, None, after(400)).await.unwrap().0
    };
    assert_eq!(used(&tokens[0]).await, Judgement::Refused);
    assert_eq!(used(&tokens[1]).await, Judgement::Trusted);
}

async fn whoever_had_a_factor_that_is_taken_away_or_replaced_has_no_trusted_browser_left(world: World) {
    let (store, by) = (&world.store, operator());
    let seed = totp(store, &alice()).await;
    let mut by_totp = trusted(store, &seed, 0).await;
    let by_code = async |seconds| {
        let code = store_codes(store).await.remove(0);
        let sign_in = begun(store, 1, seconds).await.remove(0);
        token(check_at(store, &sign_in, Kind::RecoveryCode, &code, seconds).await)
    };
    // What it keeps from then on, where it is trusted.
    let is_trusted = async |token: &Secret, seconds| {
        let begun = begin_at(store, &alice(), Some(token), seconds).await;
        let next = begun.token.map(|next| next.token);
        assert_eq!(next.is_some(), begun.device == Some(Judgement::Trusted), "{:?}", begun.device);
        next
    };
    // Recovery codes are made anew all the time: they take along what one of them made trusted.
    let first = by_code(60).await;
    let second = by_code(120).await;
    assert!(is_trusted(&first, 180).await.is_none(), "its codes were made anew");
    by_totp = is_trusted(&by_totp, 180).await.expect("it did not rest on codes");
    assert!(store.remove_user_recovery_codes(&by, &alice(), after(200)).await.unwrap());
    assert!(is_trusted(&second, 240).await.is_none(), "its codes were taken away");
    by_totp = is_trusted(&by_totp, 240).await.expect("it did not rest on codes");
    // What waits to be confirmed is no factor yet.
    let thiefs = by_code(300).await;
    let seed = store.enrol_user_totp(&by, &alice(), after(310)).await.unwrap();
    by_totp = is_trusted(&by_totp, 320).await.expect("it waits");
    let code = seed.code_at(after(330));
    store.confirm_user_totp(&by, &alice(), &code, after(330)).await.unwrap();
    assert!(is_trusted(&by_totp, 360).await.is_none(), "the application was replaced");
    assert!(is_trusted(&thiefs, 360).await.is_none(), "the thief had it, and codes as well");
    let again = trusted(store, &seed, 420).await;
    assert!(store.remove_user_totp(&by, &alice(), after(450)).await.unwrap());
    assert!(is_trusted(&again, 480).await.is_none(), "the application was taken away");
    let last = by_code(540).await;
    store.enrol_user_totp(&by, &alice(), after(550)).await.unwrap();
    assert!(store.remove_user_totp(&by, &alice(), after(560)).await.unwrap());
    assert!(is_trusted(&last, 600).await.is_some(), "nothing counted that was taken away");
    let rows = store.audit_rows(None, None, 999).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.action == "user.device_end").count(), 4);
}

async fn an_erased_user_leaves_nothing_and_comes_back_as_another(world: World) {
    let (store, by) = (&world.store, operator());
    let seed = totp(store, &alice()).await;
    let device = trusted(store, &seed, 0).await;
    store_codes(store).await;
    let sign_in = begun(store, 1, 60).await.remove(0);
    check_at(store, &sign_in, Kind::Totp, "no code", 60).await;
    let before = store.user(&alice()).await.unwrap().id.unwrap();
    assert_eq!(store.failures(&format!("user/{before}/totp")).await.unwrap().count, 1);
    assert_eq!(store.erase_user(&by, &alice(), after(61)).await.unwrap(), Some(vec![]));
    assert_eq!(store.erase_user(&by, &alice(), after(61)).await.unwrap(), None);
    assert_eq!(store.failures(&format!("user/{before}/totp")).await.unwrap().count, 0);
    let found = store.find_user_sign_in(&alice(), &sign_in).await.unwrap();
    assert!(found.is_none());
    let again = begin_at(store, &alice(), Some(&device), 62).await;
    assert_eq!((again.next, again.device), (Next::Bind, Some(Judgement::Refused)));
    assert_ne!(again.sign_in.user, before, "the log's name of them tells nothing of the new one");
}

async fn an_application_that_is_removed_takes_its_users_along(world: World) {
    let (store, by) = (&world.store, operator());
    let application = store.add_application(&by, "Owl", json!({}), start()).await.unwrap().sid;
    let theirs = UserName { application, name: "alice".into() };
    totp(store, &theirs).await;
    totp(store, &alice()).await;
    let strict = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };
    let policy = UserPolicy { demands: strict, ..UserPolicy::default() };
    store.set_application_policy(&by, application, policy, start()).await.unwrap();
    store.remove_application(&by, application, after(1)).await.unwrap();
    let gone = store.user(&theirs).await.unwrap();
    assert_eq!((gone.id, gone.factors.len(), gone.policy), (None, 0, UserPolicy::default()));
    assert_eq!(store.user(&alice()).await.unwrap().factors.len(), 1, "another's stay");
}

async fn an_application_with_many_users_is_removed_and_what_was_broken_off_is_finished(world: World) {
    let (store, by) = (&world.store, operator());
    let application = store.add_application(&by, "Owl", json!({}), start()).await.unwrap().sid;
    let names: Vec<_> = (0..250).map(|number| UserName { application, name: format!("u{number}") }).collect();
    for name in &names {
        totp(store, name).await;
    }
    // A batch at a time, and nobody's of an application that stays.
    assert_eq!(store.forget(&by, Forget::Users, start(), 9, start()).await.unwrap(), 0);
    store.remove_application(&by, application, after(1)).await.unwrap();
    assert_eq!(store.forget(&by, Forget::Users, start(), 9, after(2)).await.unwrap(), 0, "none is left");
    for name in [&names[0], &names[249]] {
        assert_eq!(store.user(name).await.unwrap().id, None);
    }
    let erased = store.audit_rows(None, None, 9).await.unwrap();
    let erased = erased.iter().find(|row| row.action == "application.erase").expect("it is on record");
    assert_eq!(erased.detail["users"], 250);
}

async fn what_users_leave_behind_is_forgotten_after_its_time(world: World) {
    let (store, by) = (&world.store, operator());
    let seed = totp(store, &alice()).await;
    let kept = trusted(store, &seed, 0).await;
    let revoked = trusted(store, &seed, 30).await;
    let id = revoked.expose().split('.').next().unwrap().to_owned();
    store.end_user_devices(&by, &alice(), Some(&id), after(31)).await.unwrap();
    begin_at(store, &user(1, "nobody"), None, 0).await;
    let forget = |what, before: i64| store.forget(&by, what, after(before), 99, after(before));
    assert_eq!(
        forget(Forget::Challenges, 3_600).await.unwrap(),
        0,
        "sign-ins are as old as what was sent for them"
    );
    assert_eq!(forget(Forget::Challenges, DAY).await.unwrap(), 3);
    assert_eq!(
        forget(Forget::SignIns, DAY).await.unwrap(),
        2,
        "the revoked browser, and whoever has nothing"
    );
    assert_eq!(forget(Forget::SignIns, DAY).await.unwrap(), 0);
    let listed = store.user_devices(&alice(), after(DAY)).await.unwrap();
    assert!(listed.len() == 1 && kept.expose().starts_with(&listed[0].id));
    assert_eq!(store.user(&alice()).await.unwrap().factors.len(), 1);
    assert!(store.user(&user(1, "nobody")).await.unwrap().id.is_none());
}

async fn the_same_name_is_another_user_in_another_application(world: World) {
    let store = &world.store;
    let seed = totp(store, &alice()).await;
    let device = trusted(store, &seed, 0).await;
    let theirs = user(2, "alice");
    let there = begin_at(store, &theirs, Some(&device), 1).await;
    assert_eq!((there.next, there.device), (Next::Bind, Some(Judgement::Refused)));
    let sign_in = begin_at(store, &alice(), None, 1).await.sign_in.id;
    assert!(store.find_user_sign_in(&theirs, &sign_in).await.unwrap().is_none());
    let code = Secret::new(seed.code_at(after(60)).as_str());
    let check = CheckSignIn { user: theirs, sign_in, kind: Kind::Totp, code, trust: None };
    let checked = store.check_user_sign_in(&operator(), check, after(60)).await.unwrap();
    assert!(matches!(checked, SignInChecked::Not(NotPassed::Missing)));
}
