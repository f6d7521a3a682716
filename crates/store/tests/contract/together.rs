//! Codes that are sent and checked in one transaction: what one of them does to the others, which is nothing.

use std::sync::Arc;

use ringfence_second_factor::challenge::State;
use ringfence_second_factor::pumping::{Cap, Limits, Of, STOPPED_AFTER};
use ringfence_store::{
    Begun, Challenge, Check, Checked, Counter, Error, Expected, NewChallenge, NotChecked, NotSent, Store,
    Which,
};

use crate::challenges::{
    application, begin, begin_at, check, checked, code_of, expected, lenient, new, number, wrong,
};
use crate::world::{World, after, all, on_both, start};

on_both! {
    a_check_that_fails_fails_alone_and_its_neighbours_are_counted_once,
    what_nobody_started_is_missing_beside_what_somebody_did,
    a_right_code_among_wrong_ones_is_accepted_once_and_at_most_five_are_compared,
    codes_entered_together_each_count_for_their_prefix_and_end_their_row_of_failures,
    a_start_that_fails_fails_alone_and_the_others_are_sent,
    starts_together_stop_at_the_cap_and_at_the_prefix_and_take_nothing_more,
    sign_ins_of_one_number_that_begin_together_wait_for_each_other,
    what_is_only_asked_takes_nothing_from_what_is_begun,
}

async fn challenges(store: &Store, count: u32) -> Vec<Challenge> {
    let begun = (0..count).map(|index| {
        let number = number(&format!("+1415{:03}{index:04}", 200 + index % 100));
        begin_at(store, NewChallenge { number, ..new(expected("VA1")) }, start())
    });
    all(begun).await.into_iter().map(|(challenge, _)| challenge).collect()
}

async fn found(store: &Store, challenge: &Challenge) -> Challenge {
    store.find_challenge(&challenge.expected, Which::Sid(challenge.sid)).await.unwrap().unwrap()
}

async fn checked_one(store: &Store, check: Check) -> Result<Checked, Error> {
    store.check_challenge(&application(), check, after(1)).await
}

/// Somebody wrote past the store.
async fn tamper(world: &World, challenge: &Challenge) {
    let bytes = if world.is_sqlite() { "x'00'" } else { "'\\x00'" };
    world.run(&format!("UPDATE challenges SET sealed = {bytes} WHERE sid = '{}'", challenge.sid)).await;
}

async fn a_check_that_fails_fails_alone_and_its_neighbours_are_counted_once(world: World) {
    let store = &world.store;
    let challenges = challenges(store, 24).await;
    tamper(&world, &challenges[7]).await;
    let results = all(challenges.iter().map(|challenge| {
        let check = check(challenge.expected.clone(), Which::Sid(challenge.sid), "no code", Counter::Number);
        checked_one(store, check)
    }))
    .await;
    for (index, result) in results.iter().enumerate() {
        match result {
            Err(error) => assert_eq!(index, 7, "{error:?}"),
            Ok(checked) => {
                assert!(index != 7 && matches!(checked, Checked::Wrong(_)), "{index}: {checked:?}");
            }
        }
    }
    for (index, challenge) in challenges.iter().enumerate().filter(|(index, _)| *index != 7) {
        assert_eq!(found(store, challenge).await.checks(), 1, "{index}");
    }
}

async fn what_nobody_started_is_missing_beside_what_somebody_did(world: World) {
    let store = &world.store;
    let mine = begin(store, expected("VA1")).await;
    let code = code_of(store, &mine, start()).await;
    let nobodys = ringfence_model::Sid::new(*b"VE", 1);
    let strange = Expected { binding: "a\0b\\u0000".into(), ..expected("VA1") };
    let by_number = Which::Number(mine.number);
    let checks = [
        (expected("VA2"), Which::Sid(mine.sid), code.as_str()),
        (expected("VA1"), Which::Sid(nobodys), &code),
        (strange.clone(), by_number, &code),
        (strange, Which::Sid(mine.sid), &code),
        (expected("VA1"), by_number, "\0"),
        (expected("VA2"), by_number, &code),
    ];
    let checks = checks.map(|(expected, which, code)| check(expected, which, code, Counter::Number));
    let results = all(checks.into_iter().map(|check| checked_one(store, check))).await;
    for (index, result) in results.into_iter().enumerate() {
        let checked = result.unwrap();
        let is_missing = matches!(checked, Checked::Not(NotChecked::Missing));
        assert_eq!(is_missing, index != 4, "{index}: {checked:?}");
    }
    assert_eq!(found(store, &mine).await.checks(), 1);
    assert!(matches!(checked(store, &mine, &code, after(2)).await, Checked::Approved(_)));
}

async fn a_right_code_among_wrong_ones_is_accepted_once_and_at_most_five_are_compared(world: World) {
    let store = &world.store;
    for (round, challenge) in challenges(store, 12).await.iter().enumerate() {
        let code = code_of(store, challenge, start()).await;
        let wrong = wrong(&code);
        // The right one comes in time, or not.
        let checks = (0..16).map(|index| {
            let entered = if index == round { &code } else { &wrong };
            checked(store, challenge, entered, after(1))
        });
        let results = all(checks).await;
        let accepted = results.iter().filter(|it| matches!(it, Checked::Approved(_))).count();
        let wrong = results.iter().filter(|it| matches!(it, Checked::Wrong(_))).count();
        assert!(accepted <= 1 && accepted + wrong <= 5, "{round}: {accepted} {wrong}");
        let found = found(store, challenge).await;
        assert_eq!(found.checks() as usize, accepted + wrong);
        assert_eq!(matches!(found.course.state, State::Approved(_)), accepted == 1);
        if accepted == 0 {
            assert_eq!(wrong, 5, "{round}");
        }
    }
}

async fn codes_entered_together_each_count_for_their_prefix_and_end_their_row_of_failures(world: World) {
    let store = &world.store;
    let to =
        |index: u32| NewChallenge { number: number(&format!("+1415555{index:04}")), ..new(expected("VA1")) };
    let mut entered = Vec::new();
    for (challenge, _) in all((0..40).map(|index| begin_at(store, to(index), start()))).await {
        let code = code_of(store, &challenge, start()).await;
        checked(store, &challenge, &wrong(&code), after(1)).await;
        entered.push((challenge, code));
    }
    let right = entered.iter().take(10).map(|(challenge, code)| checked(store, challenge, code, after(2)));
    assert!(all(right).await.iter().all(|it| matches!(it, Checked::Approved(_))));
    for (index, (challenge, _)) in entered.iter().enumerate().take(20) {
        let subject = format!("number/VA1/{}", store.factor_keys().await.unwrap().number(challenge.number));
        let expected = u32::from(index >= 10);
        assert_eq!(store.failures(&subject).await.unwrap().count, expected, "{index}");
        let sends = store.sends_of_challenge(challenge.sid).await.unwrap();
        assert_eq!(sends[0].converted_at, (index < 10).then(|| after(2)), "{index}");
    }
    // Forty were sent and ten entered, each of which weighs four: the prefix is as if nothing had been sent there.
    let begun = all((100..100 + STOPPED_AFTER).map(|index| begun(store, to(index)))).await;
    let stops = begun.iter().filter(|it| matches!(it, Begun::Sent { stops: Some(_), .. })).count();
    let sent = begun.iter().filter(|it| matches!(it, Begun::Sent { .. })).count();
    assert_eq!((sent, stops), (STOPPED_AFTER as usize, 1), "{begun:?}");
    assert!(matches!(self::begun(store, to(999)).await, Begun::Not(NotSent::Stopped(_))));
}

async fn begun(store: &Store, new: NewChallenge) -> Begun {
    store.begin_challenge(&application(), new, after(3)).await.unwrap()
}

async fn a_start_that_fails_fails_alone_and_the_others_are_sent(world: World) {
    let store = &world.store;
    let challenges = challenges(store, 3).await;
    tamper(&world, &challenges[1]).await;
    let again = challenges.iter().map(|challenge| challenge.number);
    let others = (0..9).map(|index| number(&format!("+1415900{index:04}")));
    let starts = again.chain(others).map(|number| {
        let new = NewChallenge { number, ..new(expected("VA1")) };
        async move { store.begin_challenge(&application(), new, after(60)).await }
    });
    let results = all(starts).await;
    for (index, result) in results.iter().enumerate() {
        match result {
            Err(error) => assert!(index == 1 && matches!(error, Error::Sealed(_)), "{index}: {error:?}"),
            Ok(begun) => assert!(matches!(begun, Begun::Sent { .. }), "{index}: {begun:?}"),
        }
    }
    assert_eq!(store.unfinished_effects().await.unwrap().waiting, 3 + 11);
}

async fn starts_together_stop_at_the_cap_and_at_the_prefix_and_take_nothing_more(world: World) {
    let store = &world.store;
    let limits = Arc::new(Limits { total: vec![Cap { most: 60, seconds: 3600 }], ..lenient() });
    let start = |to: String| {
        let new = NewChallenge { number: number(&to), limits: Arc::clone(&limits), ..new(expected("VA1")) };
        begun(store, new)
    };
    let begun = all((0..70).map(|index| start(format!("+1415555{index:04}")))).await;
    let count = |begun: &[Begun], is: fn(&Begun) -> bool| begun.iter().filter(|it| is(it)).count();
    assert_eq!(count(&begun, |it| matches!(it, Begun::Sent { .. })), STOPPED_AFTER as usize);
    assert_eq!(count(&begun, |it| matches!(it, Begun::Sent { stops: Some(_), .. })), 1);
    assert_eq!(count(&begun, |it| matches!(it, Begun::Not(NotSent::Stopped(_)))), 20);
    // What the stopped prefix refused took nothing from the budget of all.
    let begun = all((0..30).map(|index| start(format!("+1415{:03}0000", 600 + index)))).await;
    assert_eq!(count(&begun, |it| matches!(it, Begun::Sent { .. })), 10);
    assert_eq!(count(&begun, |it| matches!(it, Begun::Not(NotSent::Budget(Of::Total, _)))), 20);
    assert_eq!(store.unfinished_effects().await.unwrap().waiting, 60);
}

async fn sign_ins_of_one_number_that_begin_together_wait_for_each_other(world: World) {
    let store = &world.store;
    let begun = all((0..12).map(|index| {
        let expected = Expected { binding: format!("sign-in {index}"), ..expected("VA1") };
        begun(store, new(expected))
    }))
    .await;
    let sent = begun.iter().filter(|it| matches!(it, Begun::Sent { .. })).count();
    let waiting = begun.iter().filter(|it| matches!(it, Begun::Not(NotSent::TooSoon(_)))).count();
    assert_eq!((sent, waiting), (1, 11), "{begun:?}");
}

async fn what_is_only_asked_takes_nothing_from_what_is_begun(world: World) {
    let store = &world.store;
    let limits = Arc::new(Limits { total: vec![Cap { most: 8, seconds: 3600 }], ..lenient() });
    let to = |index: u32| NewChallenge {
        number: number(&format!("+1415{:03}0000", 300 + index)),
        limits: Arc::clone(&limits),
        ..new(expected("VA1"))
    };
    let by = application();
    let (asked, begun) = tokio::join!(
        all((0..40).map(|index| store.would_not_begin(&by, to(index), after(3)))),
        all((100..108).map(|index| begun(store, to(index)))),
    );
    assert!(begun.iter().all(|it| matches!(it, Begun::Sent { .. })), "{begun:?}");
    for asked in asked {
        assert!(matches!(asked.unwrap(), None | Some(NotSent::Budget(Of::Total, _))));
    }
    assert!(store.would_not_begin(&by, to(200), after(3)).await.unwrap().is_some());
}
