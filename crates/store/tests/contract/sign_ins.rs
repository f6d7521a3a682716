//! What sign-ins leave behind.

use jiff::SignedDuration;
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::totp::Seed;
use ringfence_store::{DeviceUsed, FactorSecret, Forget, Purpose, Role, Stage};

use crate::persons::{account, device, everywhere, factor, maria, person, session, use_of};
use crate::world::{World, after, on_both, operator, start};

on_both! {
    what_sign_ins_leave_behind_is_forgotten_after_its_time,
    the_failures_of_a_removed_person_go_with_them,
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
    let used = store.give_out_code(&by, &maria.id, Purpose::Bind, SignedDuration::MAX, start()).await.unwrap();
    store.redeem_code(Purpose::Bind, &used, start()).await.unwrap().unwrap();
    store.give_out_code(&by, &maria.id, Purpose::Lock, hour, start()).await.unwrap();
    store.new_recovery_codes(&by, &maria.id, start()).await.unwrap();
    let attempt = store.subject("password", &["maria@example.com"]).await.unwrap();
    store.count_attempt(&attempt, Rule::Application, start()).await.unwrap().unwrap();
    let totp = factor(store, &maria, FactorSecret::Totp(Seed::new([3; 20]))).await;
    store.check_totp(&by, &totp, "no code", start()).await.unwrap().unwrap();

    let forget = |before: i64, batch| store.forget(&by, Forget::SignIns, after(before), batch, after(before));
    assert_eq!(forget(0, 99).await.unwrap(), 0, "nothing is older than its time");
    assert!(forget(DAY, 1).await.unwrap() >= 5, "one of each kind");
    forget(DAY, 99).await.unwrap();
    assert_eq!(forget(DAY, 99).await.unwrap(), 0);
    assert_eq!(store.sign_ins(&maria.id, 9).await.unwrap(), []);
    assert!(store.sessions(&maria.id, start()).await.unwrap().is_empty());
    assert_eq!(store.failures(&attempt).await.unwrap().count, 0);
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
    store.check_totp(&by, &totp, "no code", start()).await.unwrap().unwrap();
    store.remove_person(&by, &gone.id, start()).await.unwrap();
    assert_eq!(store.failures(&totp.subject()).await.unwrap().count, 0);
}
