//! What people bind and take away in a session of theirs, while it lasts.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{PhoneNumber, Secret};
use ringfence_second_factor::policy::Kind;
use ringfence_second_factor::totp::Seed;
use ringfence_store::{
    Because, Error, Factor, FactorSecret, Lock, NewFactor, PasskeyPurpose, Person, Purpose, Result, Session,
    Stage, Store, Told,
};
use ringfence_testkit::authenticator::Authenticator;

use crate::passkeys::{HOST, challenge, makes, party};
use crate::persons::{maria, session};
use crate::world::{World, after, on_both, operator, start};

on_both! {
    in_a_session_that_is_over_nothing_is_bound_changed_or_taken_away,
    whoever_is_thrown_out_while_they_bind_leaves_no_factor_behind,
    a_code_that_was_given_out_before_a_reset_binds_nothing_after_it,
    what_was_begun_waits_in_the_session_that_began_it_and_for_an_hour,
}

/// Of somebody who is inside.
pub(crate) async fn inside(store: &Store, person: &Person) -> Session {
    let token = store.begin_session(session(person, Stage::Inside), None, start()).await.unwrap();
    store.session(&token, start()).await.unwrap().unwrap()
}

fn totp(verified: bool) -> NewFactor {
    NewFactor { secret: FactorSecret::Totp(Seed::new([3; 20])), verified }
}

fn phone() -> NewFactor {
    NewFactor { secret: FactorSecret::Phone(PhoneNumber::parse("+14155550100").unwrap()), verified: false }
}

async fn one(store: &Store, person: &Person, id: &str) -> Factor {
    store.factors(&person.id).await.unwrap().into_iter().find(|it| it.id == id).unwrap()
}

fn is_over<T: std::fmt::Debug>(done: Result<T>) {
    let refused = done.unwrap_err();
    assert!(matches!(refused, Error::Missing { .. }), "{refused:?}");
}

async fn in_a_session_that_is_over_nothing_is_bound_changed_or_taken_away(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let kept = store.add_factor(&by, &maria.id, totp(true), start()).await.unwrap();
    for end in 0..4 {
        let session = inside(store, &maria).await;
        let added = async |new| store.add_factor(&session, &maria.id, new, start()).await.unwrap();
        let application = one(store, &maria, &added(totp(false)).await).await;
        let number = one(store, &maria, &added(phone()).await).await;
        let asked = challenge(store, &session.id, &maria, PasskeyPurpose::Bind).await;
        let passkey = makes(&Authenticator::new(b"cred", HOST), &asked);
        let (hash, nobody) = (Secret::new("a hash"), Told::nobody);
        match end {
            0 => store.set_password(&by, &maria.id, &hash, nobody(), start()).await.unwrap(),
            1 => _ = store.end_all_sessions(&by, &maria.id, nobody(), start()).await.unwrap(),
            2 => _ = store.end_sessions(&by, &maria.id, Some(&session.id), None, start()).await.unwrap(),
            _ => {
                store.lock_person(&by, &maria.id, Lock::OutEvenTheLastOwner, start()).await.unwrap();
                store.lock_person(&by, &maria.id, Lock::Off, start()).await.unwrap();
            }
        }
        let before = store.audit_rows(None, None, 99).await.unwrap().len();
        is_over(store.add_factor(&session, &maria.id, totp(false), start()).await);
        is_over(store.add_factor(&session, &maria.id, phone(), start()).await);
        is_over(store.new_recovery_codes(&session, &maria.id, nobody(), start()).await);
        is_over(store.add_passkey(&session, &party(), passkey, nobody(), start()).await);
        let code = Seed::new([3; 20]).code_at(start());
        is_over(store.check_totp(&session, &application, &code, nobody(), start()).await);
        is_over(store.verify_factor(&session, &number, nobody(), start()).await);
        is_over(store.set_password(&session, &maria.id, &hash, nobody(), start()).await);
        is_over(store.remove_factor(&session, &maria.id, &kept, vec![], nobody(), start()).await);
        assert_eq!(store.audit_rows(None, None, 99).await.unwrap().len(), before, "nothing was done");
    }
    let counting: Vec<_> =
        store.factors(&maria.id).await.unwrap().into_iter().filter(Factor::counts).collect();
    assert_eq!(counting.iter().map(|factor| &factor.id).collect::<Vec<_>>(), [&kept]);
}

async fn whoever_is_thrown_out_while_they_bind_leaves_no_factor_behind(world: World) {
    let (store, other, by) = (&world.store, world.another().await, operator());
    let maria = maria(store).await;
    for round in 0..12 {
        let session = inside(store, &maria).await;
        let binds = async {
            while store.new_recovery_codes(&session, &maria.id, Told::nobody(), start()).await.is_ok() {}
        };
        let reset = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            other.remove_all_factors(&by, &maria.id, Told::nobody(), start()).await.unwrap();
        };
        // Where what is done in it went on to be, this would for ever.
        let both = async { tokio::join!(binds, reset) };
        tokio::time::timeout(std::time::Duration::from_mins(1), both).await.unwrap();
        assert!(store.factors(&maria.id).await.unwrap().is_empty(), "round {round}");
        assert_eq!(store.recovery_codes_left(&maria.id).await.unwrap(), 0, "round {round}");
    }
    other.close().await;
}

async fn a_code_that_was_given_out_before_a_reset_binds_nothing_after_it(world: World) {
    let (store, by, day) = (&world.store, operator(), SignedDuration::from_hours(24));
    let maria = maria(store).await;
    let code = store.give_out_code(&by, &maria.id, Purpose::Bind, day, start()).await.unwrap();
    store.remove_all_factors(&by, &maria.id, Told::nobody(), start()).await.unwrap();
    assert_eq!(store.redeem_code(Purpose::Bind, &code, start()).await.unwrap(), None);
}

async fn what_was_begun_waits_in_the_session_that_began_it_and_for_an_hour(world: World) {
    let (store, by) = (&world.store, operator());
    let maria = maria(store).await;
    let (own, other) = (inside(store, &maria).await, inside(store, &maria).await);
    let confirm = async |by: Because, factor: &Factor, now: Timestamp| match &factor.secret {
        FactorSecret::Totp(seed) => {
            let code = seed.code_at(now);
            store.check_totp(by, factor, &code, Told::nobody(), now).await.map(|it| it == Ok(true))
        }
        _ => store.verify_factor(by, factor, Told::nobody(), now).await.map(|()| true),
    };
    for new in [totp(false), phone()] {
        let begun = one(store, &maria, &store.add_factor(&own, &maria.id, new, start()).await.unwrap()).await;
        let waits = |session: &Session, now| begun.waits_in(Some(&session.id), now);
        assert!(waits(&own, after(3_599)) && !waits(&own, after(3_600)) && !waits(&other, start()));
        // The right code in another session, or too late, comes to nothing.
        is_over(confirm(Because::from(&other), &begun, start()).await);
        is_over(confirm(Because::from(&by), &begun, start()).await);
        is_over(confirm(Because::from(&own), &begun, after(3_600)).await);
        assert_eq!(
            store.kinds(&maria.id).await.unwrap().len(),
            usize::from(begun.secret.kind() == Kind::Phone)
        );
        assert!(confirm(Because::from(&own), &begun, after(3_599)).await.unwrap());
        let bound = one(store, &maria, &begun.id).await;
        assert!(bound.counts() && bound.session.is_none() && !bound.waits_in(None, start()));
    }
}
