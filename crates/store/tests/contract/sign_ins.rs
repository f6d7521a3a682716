//! What sign-ins leave behind.

use jiff::SignedDuration;
use ringfence_model::{PhoneNumber, Secret};
use ringfence_second_factor::device::Judgement;
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::policy::{Assurance, Demands, Kind, Policy, Strength};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{
    DeviceUsed, Error, Factor, FactorSecret, Forget, Lock, NewDevice, NewFactor, NewSession, Person, Purpose,
    Role, ShownDevice, SignInOutcome, Stage, Told, Where,
};

use crate::persons::{account, device, everywhere, factor, letter, maria, person, session, shown, use_of};
use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    what_sign_ins_leave_behind_is_forgotten_after_its_time,
    the_failures_of_a_removed_person_go_with_them,
    an_answer_that_was_lost_makes_no_thief_of_a_browser,
    two_tabs_at_once_end_nothing,
    a_device_that_was_only_looked_at_keeps_its_secret,
    a_copy_ends_the_sessions_that_stand_on_trust_and_its_owner_is_told_with_it,
    whoever_signs_in_a_thousand_times_puts_off_nobody_else_s_notice,
    many_uses_within_seconds_make_no_thief_of_a_slow_tab,
    a_session_in_which_factors_were_guessed_ends_once_and_is_noted,
    a_factor_that_is_wrong_where_a_password_had_opened_is_one_more_attempt,
    trust_in_a_computer_hides_no_wrong_factor,
    the_link_of_an_earlier_mail_is_good_as_long_as_it_says,
    another_password_ends_the_links_to_set_one,
    a_code_sets_a_password_once_and_for_its_owner,
    of_two_factors_that_are_taken_away_at_once_one_stays,
    an_owner_who_is_locked_out_is_no_other_owner,
    what_is_decided_about_people_has_its_reason_on_record,
    a_password_of_before_begins_no_session,
    whoever_binds_their_first_factors_has_an_hour_for_it,
    who_waits_for_one_account_and_then_for_another_has_no_more_time,
    a_session_that_is_just_changed_does_not_outlive_what_ends_them_all,
    a_computer_is_trusted_only_in_a_session_that_is_not_over,
}

const DAY: i64 = 24 * 3_600;

async fn what_sign_ins_leave_behind_is_forgotten_after_its_time(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    store.begin_sign_in(&maria.id, "203.0.113.7", "Firefox", start()).await.unwrap();
    store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
    let ended = store.trust_device(&by, device(&maria, account(1)), start()).await.unwrap();
    let kept = store.trust_device(&by, device(&maria, account(2)), start()).await.unwrap();
    let id = ended.expose().split('.').next().unwrap().to_owned();
    store.end_devices(&by, &maria.id, Some(&id), start()).await.unwrap();
    let hour = SignedDuration::from_hours(1);
    let used =
        store.give_out_code(&by, &maria.id, Purpose::Bind, SignedDuration::MAX, start()).await.unwrap();
    store.redeem_code(Purpose::Bind, &used, start()).await.unwrap().unwrap();
    store.give_out_code(&by, &maria.id, Purpose::Lock, hour, start()).await.unwrap();
    store.new_recovery_codes(&by, &maria.id, Told::nobody(), start()).await.unwrap();
    let attempt = store.subject("password", &["maria@example.com"]).await.unwrap();
    store.count_attempt(&attempt, Rule::Application, start()).await.unwrap().unwrap();
    let totp = factor(store, &maria, FactorSecret::Totp(Seed::new([3; 20]))).await;
    store.check_totp(&by, &totp, "no code", Told::nobody(), start()).await.unwrap().unwrap();
    let secret = FactorSecret::Phone(PhoneNumber::parse("+14155550100").unwrap());
    store.add_factor(&by, &maria.id, NewFactor { secret, verified: false }, start()).await.unwrap();

    let forget = |before: i64, batch| store.forget(&by, Forget::SignIns, after(before), batch, after(before));
    assert_eq!(forget(0, 99).await.unwrap(), 0, "nothing is older than its time");
    assert!(forget(DAY, 1).await.unwrap() >= 5, "one of each kind");
    forget(DAY, 99).await.unwrap();
    assert_eq!(forget(DAY, 99).await.unwrap(), 0);
    assert_eq!(store.sign_ins(&maria.id, 9).await.unwrap(), []);
    assert!(store.sessions(&maria.id, start()).await.unwrap().is_empty());
    assert_eq!(store.failures(&attempt).await.unwrap().count, 0);
    let factors = store.factors(&maria.id).await.unwrap();
    assert!(factors.len() == 2 && factors.iter().all(Factor::counts), "what nobody confirmed is gone");
    // What still matters is there: a device that is trusted, codes that were not used, failures of a factor.
    assert_eq!(store.devices(&maria.id, after(DAY)).await.unwrap().len(), 1);
    assert!(matches!(use_of(store, &kept, &maria, account(2), DAY).await, DeviceUsed::Trusted(_)));
    assert_eq!(store.recovery_codes_left(&maria.id).await.unwrap(), 10);
    assert_eq!(store.failures(&totp.subject()).await.unwrap().count, 1, "it would give new guesses");
    // After its thirty days the other device goes as well.
    assert_eq!(forget(31 * DAY, 99).await.unwrap(), 1);
}

async fn the_failures_of_a_removed_person_go_with_them(world: World) {
    let (store, by) = (&world.store, operator());
    maria(store).await;
    let gone = person(store, "gone@example.com", vec![everywhere(Role::Auditor)]).await;
    let totp = factor(store, &gone, FactorSecret::Totp(Seed::new([3; 20]))).await;
    store.check_totp(&by, &totp, "no code", Told::nobody(), start()).await.unwrap().unwrap();
    store.remove_person(&by, &gone.id, start()).await.unwrap();
    assert_eq!(store.failures(&totp.subject()).await.unwrap().count, 0);
}

async fn an_answer_that_was_lost_makes_no_thief_of_a_browser(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let has = store.trust_device(&operator(), device(&maria, account(1)), start()).await.unwrap();
    let next = |used| match used {
        DeviceUsed::Trusted(next) => next,
        used => panic!("it is trusted: {used:?}"),
    };
    let lost = next(use_of(store, &has, &maria, account(1), 0).await);
    let also_lost = next(use_of(store, &has, &maria, account(1), 3_600).await);
    let arrived = next(use_of(store, &has, &maria, account(1), 7_200).await);
    // It did not arrive at a page, and is shown at the next sign-in.
    next(use_of(store, &arrived, &maria, account(1), 10_800).await);
    // Whoever shows one that was lost has read it on its way.
    assert_eq!(use_of(store, &also_lost, &maria, account(1), 14_400).await, DeviceUsed::Copied);
    assert_eq!(use_of(store, &lost, &maria, account(1), 14_400).await, DeviceUsed::Refused);
}

async fn many_uses_within_seconds_make_no_thief_of_a_slow_tab(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let first = store.trust_device(&operator(), device(&maria, account(1)), start()).await.unwrap();
    let DeviceUsed::Trusted(next) = use_of(store, &first, &maria, account(1), 0).await else {
        panic!("it is trusted");
    };
    // The browser has it at once, and is handed over to one host after another.
    for second in 1..9 {
        assert_eq!(use_of(store, &next, &maria, account(1), second).await, DeviceUsed::JustChanged);
    }
    assert_eq!(use_of(store, &first, &maria, account(1), 9).await, DeviceUsed::JustChanged, "a slow tab");
    assert!(matches!(use_of(store, &next, &maria, account(1), 20).await, DeviceUsed::Trusted(_)));
    // What was shown a moment ago was seen: the first is used up.
    assert_eq!(use_of(store, &first, &maria, account(1), 20).await, DeviceUsed::Copied);
}

async fn two_tabs_at_once_end_nothing(world: World) {
    let store = &world.store;
    let other_node = world.another().await;
    let maria = maria(store).await;
    let secret = store.trust_device(&operator(), device(&maria, account(1)), start()).await.unwrap();
    let uses = all((0..6).map(|tab| {
        let store = if tab % 2 == 0 { store } else { &other_node };
        use_of(store, &secret, &maria, account(1), 5)
    }))
    .await;
    let next = uses.iter().find_map(|used| match used {
        DeviceUsed::Trusted(next) => Some(next.clone()),
        _ => None,
    });
    let next = next.unwrap();
    // The page of the one that was quick, and a tab that was slow.
    store.see_devices(std::slice::from_ref(&next), &maria.id, "203.0.113.7", after(6)).await.unwrap();
    assert_eq!(use_of(store, &secret, &maria, account(1), 14).await, DeviceUsed::JustChanged);
    assert!(matches!(use_of(store, &next, &maria, account(1), 3_600).await, DeviceUsed::Trusted(_)));
    other_node.close().await;
}

async fn a_device_that_was_only_looked_at_keeps_its_secret(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let secret = store.trust_device(&by, device(&maria, account(1)), start()).await.unwrap();
    let shown = shown(&secret, &maria, account(1));
    let judge = |at| store.judge_device(&by, &shown, after(at));
    assert_eq!(judge(0).await.unwrap(), Judgement::Trusted);
    assert_eq!(judge(3_600).await.unwrap(), Judgement::Trusted);
    let DeviceUsed::Trusted(next) = use_of(store, &secret, &maria, account(1), 7_200).await else {
        panic!("it is trusted");
    };
    store.see_devices(&[next], &maria.id, "203.0.113.7", after(7_200)).await.unwrap();
    assert_eq!(judge(9_000).await.unwrap(), Judgement::Copied, "a copy is found by looking, too");
    assert_eq!(store.devices(&maria.id, after(9_000)).await.unwrap(), []);
}

async fn a_copy_ends_the_sessions_that_stand_on_trust_and_its_owner_is_told_with_it(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let other = person(store, "o@example.com", vec![everywhere(Role::Auditor)]).await;
    let begin = async |person: &Person, assurance| {
        let new = NewSession { assurance, ..session(person, Stage::Inside) };
        store.begin_session(new, None, start()).await.unwrap()
    };
    let remembered = Assurance::RememberedComputer;
    let thief_s = begin(&maria, remembered).await;
    let shown_s = begin(&maria, Assurance::SecondFactor { kind: Kind::Totp, at: start() }).await;
    let other_s = begin(&other, remembered).await;
    let stolen = store.trust_device(&by, device(&maria, account(1)), start()).await.unwrap();
    let DeviceUsed::Trusted(next) = use_of(store, &stolen, &maria, account(1), 0).await else {
        panic!("it is trusted");
    };
    store.see_devices(&[next], &maria.id, "203.0.113.7", start()).await.unwrap();
    let copied = ShownDevice { told: Told::with(letter("copied")), ..shown(&stolen, &maria, account(1)) };
    assert_eq!(store.judge_device(&by, &copied, after(60)).await.unwrap(), Judgement::Copied);
    assert!(
        store.session(&thief_s, after(60)).await.unwrap().is_none(),
        "whoever has it was let in by the copy"
    );
    assert!(store.session(&shown_s, after(60)).await.unwrap().is_some());
    assert!(store.session(&other_s, after(60)).await.unwrap().is_some());
    assert_eq!(store.waiting_effects(9).await.unwrap().len(), 1);
    let rows = store.audit_rows(None, None, 99).await.unwrap();
    let row = rows.iter().find(|row| row.action == "device.end").unwrap();
    assert_eq!(row.detail["sessions"], 1);
    // It is over: whoever shows it again tells nothing new.
    assert_eq!(store.judge_device(&by, &copied, after(61)).await.unwrap(), Judgement::Refused);
    assert_eq!(store.waiting_effects(9).await.unwrap().len(), 1);
}

async fn whoever_signs_in_a_thousand_times_puts_off_nobody_else_s_notice(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let busy = person(store, "busy@example.com", vec![everywhere(Role::Auditor)]).await;
    let begin = |person: &Person, second| {
        let person = person.id.clone();
        async move {
            store.begin_sign_in(&person, "203.0.113.7", "Firefox", after(second)).await.unwrap();
        }
    };
    for second in 0..8 {
        begin(&busy, second).await;
    }
    begin(&maria, 10).await;
    begin(&maria, 11).await;
    let told = store.sign_ins_to_tell(after(180), 4).await.unwrap();
    let told: Vec<_> = told.iter().map(|it| (it.person == maria.id, it.at)).collect();
    // Each person's oldest, then the next of each.
    assert_eq!(told, [(false, start()), (true, after(10)), (false, after(1)), (true, after(11))]);
    // Somebody is inside with that password, and tries it on and on to hide that.
    let inside = store.begin_sign_in(&busy.id, "198.51.100.66", "Chrome", after(170)).await.unwrap();
    store.end_sign_in(&inside, SignInOutcome::New, after(175)).await.unwrap();
    let told = store.sign_ins_to_tell(after(0), 1).await.unwrap();
    assert_eq!(told.iter().map(|it| &it.id).collect::<Vec<_>>(), [&inside]);
    assert_eq!(store.sign_ins_to_tell(after(180), 4).await.unwrap()[0].id, inside);
}

async fn a_session_in_which_factors_were_guessed_ends_once_and_is_noted(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let token = store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
    let own = store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
    let guessed = store.session(&token, start()).await.unwrap().unwrap();
    let end = async || {
        let told = Told::with(letter("guessed"));
        store.end_guessed_session(&guessed, "198.51.100.9", "curl", told, after(5)).await.unwrap()
    };
    assert!(end().await);
    assert!(!end().await, "of many at once one ends it");
    assert!(store.session(&token, after(5)).await.unwrap().is_none());
    assert!(store.session(&own, after(5)).await.unwrap().is_some());
    let noted = store.sign_ins(&maria.id, 9).await.unwrap();
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].outcome, noted[0].address.as_str()), (SignInOutcome::Guessed, "198.51.100.9"));
    // It is told already, and stays what it is.
    store.end_sign_in(&noted[0].id, SignInOutcome::Known, after(6)).await.unwrap();
    assert_eq!(store.sign_ins(&maria.id, 9).await.unwrap(), noted);
    assert_eq!(store.sign_ins_to_tell(after(600), 9).await.unwrap(), []);
    assert_eq!(store.waiting_effects(9).await.unwrap().len(), 1);
}

async fn a_factor_that_is_wrong_where_a_password_had_opened_is_one_more_attempt(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let sign_in = store.begin_sign_in(&maria.id, "203.0.113.7", "Firefox", start()).await.unwrap();
    store.end_sign_in(&sign_in, SignInOutcome::Known, start()).await.unwrap();
    let new = NewSession { sign_in: sign_in.clone(), ..session(&maria, Stage::Inside) };
    let token = store.begin_session(new, None, start()).await.unwrap();
    let opened = store.session(&token, start()).await.unwrap().unwrap();
    let fail = |second| store.fail_inside(&opened, "198.51.100.9", "curl", after(second));
    let due = async |waited| store.sign_ins_to_tell(after(waited), 9).await.unwrap();
    fail(600).await.unwrap();
    fail(660).await.unwrap();
    // It is counted from when it was, and where; the sign-in itself stays what it is.
    let noted = store.sign_ins(&maria.id, 9).await.unwrap();
    assert_eq!(noted.len(), 2, "{noted:?}");
    let [failed, was] = noted.try_into().unwrap();
    assert_eq!((was.id, was.outcome), (sign_in, SignInOutcome::Known));
    assert_eq!((failed.outcome, failed.at), (SignInOutcome::Failed, after(600)));
    assert_eq!((failed.address.as_str(), failed.agent.as_str()), ("198.51.100.9", "curl"));
    assert_eq!(due(599).await, []);
    assert_eq!(due(600).await, std::slice::from_ref(&failed));
    // The right one follows.
    store.factor_followed(&opened, SignInOutcome::Known, after(700)).await.unwrap();
    assert_eq!(due(900).await, []);
    let rows = store.audit_rows(None, None, 99).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.action == "sign-in.failed").count(), 2);
    // Where nothing was wrong it tells nothing.
    let other = store.begin_sign_in(&maria.id, "203.0.113.7", "Firefox", after(701)).await.unwrap();
    let new = NewSession { sign_in: other, ..session(&maria, Stage::Inside) };
    let token = store.begin_session(new, None, after(701)).await.unwrap();
    let opened = store.session(&token, after(701)).await.unwrap().unwrap();
    store.factor_followed(&opened, SignInOutcome::New, after(702)).await.unwrap();
    assert_eq!(due(700).await, []);
}

async fn trust_in_a_computer_hides_no_wrong_factor(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let outcome = async |wrong, then| {
        let id = store.begin_sign_in(&maria.id, "203.0.113.7", "Firefox", start()).await.unwrap();
        if wrong {
            store.end_sign_in(&id, SignInOutcome::Failed, after(1)).await.unwrap();
        }
        store.end_sign_in_by_trust(&id, then, after(2)).await.unwrap();
        let all = store.sign_ins(&maria.id, 9).await.unwrap();
        all.into_iter().find(|it| it.id == id).unwrap().outcome
    };
    assert_eq!(outcome(false, SignInOutcome::Known).await, SignInOutcome::Known);
    assert_eq!(outcome(true, SignInOutcome::Known).await, SignInOutcome::Failed);
    assert_eq!(outcome(true, SignInOutcome::New).await, SignInOutcome::New, "which is told at once");
}

async fn the_link_of_an_earlier_mail_is_good_as_long_as_it_says(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let week = SignedDuration::from_hours(7 * 24);
    for purpose in [Purpose::Lock, Purpose::ResetPassword] {
        let earlier = store.give_out_code(&by, &maria.id, purpose, week, start()).await.unwrap();
        let later = store.give_out_code(&by, &maria.id, purpose, week, after(60)).await.unwrap();
        assert!(store.redeem_code(purpose, &earlier, after(7 * DAY)).await.unwrap().is_none(), "too late");
        assert!(store.redeem_code(purpose, &earlier, after(6 * DAY)).await.unwrap().is_some(), "{purpose:?}");
        assert!(store.redeem_code(purpose, &later, after(6 * DAY)).await.unwrap().is_some(), "{purpose:?}");
    }
}

async fn another_password_ends_the_links_to_set_one(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let hour = SignedDuration::from_hours(1);
    let reset = store.give_out_code(&by, &maria.id, Purpose::ResetPassword, hour, start()).await.unwrap();
    let lock = store.give_out_code(&by, &maria.id, Purpose::Lock, hour, start()).await.unwrap();
    store
        .set_password(&by, &maria.id, &Secret::new("$argon2id$hash"), Told::nobody(), start())
        .await
        .unwrap();
    assert!(store.redeem_code(Purpose::ResetPassword, &reset, after(1)).await.unwrap().is_none());
    assert!(store.redeem_code(Purpose::Lock, &lock, after(1)).await.unwrap().is_some());
}

async fn a_code_sets_a_password_once_and_for_its_owner(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let other = person(store, "o@example.com", vec![everywhere(Role::Auditor)]).await;
    let hour = SignedDuration::from_hours(1);
    let code = store.give_out_code(&by, &maria.id, Purpose::ResetPassword, hour, start()).await.unwrap();
    let hash = Secret::new("$argon2id$hash");
    let set = |purpose, person: &str, at| {
        let (code, hash, person) = (code.clone(), hash.clone(), person.to_owned());
        async move {
            store
                .redeem_for_password(purpose, &code, &person, &hash, Told::nobody(), after(at))
                .await
                .unwrap()
        }
    };
    assert!(!set(Purpose::Bind, &maria.id, 0).await);
    assert!(!set(Purpose::ResetPassword, &other.id, 0).await);
    assert!(!set(Purpose::ResetPassword, &maria.id, 3_600).await, "too late");
    let sets = all((0..4).map(|_| set(Purpose::ResetPassword, &maria.id, 1))).await;
    assert_eq!(sets.iter().filter(|set| **set).count(), 1, "{sets:?}");
    assert!(store.person(&maria.id).await.unwrap().unwrap().has_password);
    assert!(!store.person(&other.id).await.unwrap().unwrap().has_password);
}

async fn of_two_factors_that_are_taken_away_at_once_one_stays(world: World) {
    let (store, by) = (&world.store, operator());
    let other_node = world.another().await;
    let maria = maria(store).await;
    let totp = factor(store, &maria, FactorSecret::Totp(Seed::new([3; 20]))).await;
    let number = PhoneNumber::parse("+14155550100").unwrap();
    let phone = factor(store, &maria, FactorSecret::Phone(number)).await;
    store.new_recovery_codes(&by, &maria.id, Told::nobody(), start()).await.unwrap();
    let demands = vec![Demands { policy: Policy::EverySignIn, strength: Strength::Any }];
    let removed = all([(store, &totp), (&other_node, &phone)].into_iter().map(|(store, factor)| {
        let (by, demands) = (by.clone(), demands.clone());
        let (person, factor) = (maria.id.clone(), factor.id.clone());
        async move {
            store
                .remove_factor(&by, &person, &factor, demands, Told::nobody(), start())
                .await
                .unwrap()
                .is_some()
        }
    }))
    .await;
    assert_eq!(removed.iter().filter(|removed| **removed).count(), 1, "{removed:?}");
    other_node.close().await;
}

async fn an_owner_who_is_locked_out_is_no_other_owner(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let locked = person(store, "o@example.com", vec![everywhere(Role::Owner)]).await;
    store.lock_person(&by, &locked.id, Lock::Out, start()).await.unwrap();
    let refused = store.remove_role(&by, &maria.id, Where::Everywhere, start()).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    store.lock_person(&by, &locked.id, Lock::Off, start()).await.unwrap();
    assert!(store.remove_role(&by, &maria.id, Where::Everywhere, start()).await.unwrap());
}

async fn what_is_decided_about_people_has_its_reason_on_record(world: World) {
    let (store, by) = (&world.store, operator());
    let why = (&by, "asked for by telephone");
    maria(store).await;
    let other = store.add_person(why, "o@example.com", vec![everywhere(Role::Owner)], start()).await.unwrap();
    store.set_role(why, &other.id, everywhere(Role::Operator), start()).await.unwrap();
    store.remove_role(why, &other.id, Where::Everywhere, start()).await.unwrap();
    store.lock_person(why, &other.id, Lock::Out, start()).await.unwrap();
    store.lock_person(why, &other.id, Lock::Off, start()).await.unwrap();
    store.remove_all_factors(why, &other.id, Told::nobody(), start()).await.unwrap();
    store.remove_person(why, &other.id, start()).await.unwrap();
    let demands = Demands { policy: Policy::EverySignIn, strength: Strength::Any };
    store.set_policy(why, account(1), demands, start()).await.unwrap();
    let rows = store.audit_rows(None, None, 99).await.unwrap();
    for action in [
        "person.add",
        "role.set",
        "role.remove",
        "person.lock",
        "person.unlock",
        "factor.reset",
        "person.remove",
        "policy.set",
    ] {
        let row = rows.iter().find(|row| row.action == action).unwrap();
        assert_eq!(row.detail["reason"], "asked for by telephone", "{action}");
    }
}

async fn a_password_of_before_begins_no_session(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let hash = Secret::new("a hash");
    store.set_password(&by, &maria.id, &hash, Told::nobody(), start()).await.unwrap();
    let of = |second| NewSession { password_of: Some(after(second)), ..session(&maria, Stage::Inside) };
    store.begin_session(of(0), None, after(1)).await.unwrap();
    store.set_password(&by, &maria.id, &hash, Told::nobody(), after(2)).await.unwrap();
    let refused = store.begin_session(of(0), None, after(3)).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert!(store.sessions(&maria.id, after(3)).await.unwrap().is_empty());
    store.begin_session(of(2), None, after(3)).await.unwrap();
}

async fn a_session_that_is_just_changed_does_not_outlive_what_ends_them_all(world: World) {
    let (store, other, by) = (&world.store, world.another().await, operator());
    let maria = maria(store).await;
    let hash = Secret::new("a hash");
    for round in 0..12 {
        let mut token = store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
        let goes_on = async {
            while let Ok(next) = store.change_session(&token, session(&maria, Stage::Inside), start()).await {
                token = next;
            }
        };
        let ends = async {
            tokio::task::yield_now().await;
            if round % 2 == 0 {
                other.set_password(&by, &maria.id, &hash, Told::nobody(), start()).await.unwrap();
            } else {
                other.end_all_sessions(&by, &maria.id, Told::nobody(), start()).await.unwrap();
            }
            assert!(store.sessions(&maria.id, start()).await.unwrap().is_empty(), "round {round}");
        };
        // Where one outlived it, whoever has it would go on for ever.
        let both = async { tokio::join!(goes_on, ends) };
        tokio::time::timeout(std::time::Duration::from_mins(1), both).await.unwrap();
    }
}

async fn a_computer_is_trusted_only_in_a_session_that_is_not_over(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let token = store.begin_session(session(&maria, Stage::Inside), None, start()).await.unwrap();
    let id = store.session(&token, start()).await.unwrap().unwrap().id;
    let new = NewDevice { session: Some(id), ..device(&maria, account(1)) };
    store.trust_device(&by, new.clone(), start()).await.unwrap();
    store.end_all_sessions(&by, &maria.id, Told::nobody(), start()).await.unwrap();
    let refused = store.trust_device(&by, new, start()).await;
    assert!(matches!(refused, Err(Error::Missing { .. })), "{refused:?}");
    assert_eq!(store.devices(&maria.id, start()).await.unwrap().len(), 1);
}

async fn whoever_binds_their_first_factors_has_an_hour_for_it(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let begin = async || store.begin_session(session(&maria, Stage::Binding), None, start()).await.unwrap();
    let token = begin().await;
    assert!(store.session(&token, after(3_599)).await.unwrap().is_some(), "though it was not used meanwhile");
    assert!(store.session(&token, after(3_600)).await.unwrap().is_none());
    // Inside it is as long as any other.
    let token = begin().await;
    let token = store.change_session(&token, session(&maria, Stage::Inside), after(60)).await.unwrap();
    let inside = store.session(&token, after(60)).await.unwrap().unwrap();
    assert_eq!(inside.expires_at, after(60 + 12 * 3_600));
}

async fn who_waits_for_one_account_and_then_for_another_has_no_more_time(world: World) {
    let store = &world.store;
    let maria = maria(store).await;
    let at = |place| NewSession { place, ..session(&maria, Stage::SecondFactor) };
    let mut token = store.begin_session(at(account(1)), None, start()).await.unwrap();
    for minutes in [5, 10, 14] {
        let place = account(2 + minutes % 2);
        token = store
            .change_session(&token, at(place), after(60 * i64::try_from(minutes).unwrap()))
            .await
            .unwrap();
        let waits = store.session(&token, after(899)).await.unwrap().unwrap();
        assert_eq!((waits.created_at, waits.expires_at), (start(), after(900)));
    }
    assert!(store.session(&token, after(900)).await.unwrap().is_none());
    // Inside it is as long as any other.
    let token = store.change_session(&token, session(&maria, Stage::Inside), after(899)).await.unwrap();
    let inside = store.session(&token, after(899)).await.unwrap().unwrap();
    assert_eq!(inside.expires_at, after(899 + 12 * 3_600));
}
