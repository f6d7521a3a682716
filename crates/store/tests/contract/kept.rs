//! What of the caps that people share is kept for those whose codes are entered.

use std::sync::Arc;

use jiff::Timestamp;
use ringfence_second_factor::pumping::{Cap, Limits, Of, STOPPED_AFTER};
use ringfence_store::{Begun, CONSOLE, Checked, Forget, NewChallenge, NotSent, Store};

use crate::challenges::{application, begin_at, checked, code_of, expected, lenient, new, number};
use crate::world::{World, after, all, on_both, start};

on_both! {
    who_pumps_a_form_leaves_what_is_kept_to_people_whose_codes_are_entered,
    a_number_that_entered_a_code_gets_one_though_its_prefix_is_pumped,
    neighbours_whose_codes_nobody_enters_lock_no_known_number_out,
    a_cap_is_never_passed_whoever_asks_together_on_two_nodes,
    nothing_is_kept_from_people_of_the_console,
    a_number_that_entered_no_code_for_a_month_is_forgotten,
    codes_that_never_left_stop_no_prefix_and_open_what_they_have_stopped,
}

const HOUR: i64 = 3_600;

/// Twenty an hour in all: five are kept, and five more from who enters no codes.
fn twenty() -> Arc<Limits> {
    Arc::new(Limits { total: vec![Cap { most: 20, seconds: 3_600 }], kept_percent: 25, ..lenient() })
}

fn to(prefix: &str, index: u32) -> NewChallenge {
    let number = number(&format!("{prefix}{index:04}"));
    NewChallenge { number, limits: twenty(), ..new(expected("VA1")) }
}

async fn is_sent(store: &Store, new: NewChallenge, now: Timestamp) -> bool {
    match store.begin_challenge(&application(), new, now).await.unwrap() {
        Begun::Sent { .. } => true,
        Begun::Not(NotSent::Budget(Of::Total, until)) => {
            assert_eq!(until.as_second() % HOUR, 0, "when the next window begins");
            false
        }
        Begun::Not(not) => panic!("{not:?}"),
    }
}

/// How many of these are sent.
async fn sent(store: &Store, prefix: &str, indexes: std::ops::Range<u32>, now: Timestamp) -> usize {
    let mut sent = 0;
    for index in indexes {
        sent += usize::from(is_sent(store, to(prefix, index), now).await);
    }
    sent
}

/// People of a prefix ask for codes and enter them.
async fn enter(store: &Store, prefix: &str, people: u32, now: Timestamp) {
    for index in 0..people {
        let (challenge, _) = begin_at(store, to(prefix, index), now).await;
        let code = code_of(store, &challenge, now).await;
        assert!(matches!(checked(store, &challenge, &code, now).await, Checked::Approved(_)));
    }
}

async fn who_pumps_a_form_leaves_what_is_kept_to_people_whose_codes_are_entered(world: World) {
    let store = &world.store;
    enter(store, "+1628555", 5, start()).await;
    let now = after(HOUR);
    assert_eq!(sent(store, "+1415555", 0..30, now).await, 10, "a prefix where nobody enters a code: half");
    let mut fresh = 0;
    for prefix in 0..20 {
        fresh += sent(store, &format!("+1415{:03}", 600 + prefix), 0..1, now).await;
    }
    assert_eq!(fresh, 5, "prefixes that nothing is known of: a quarter more");
    assert!(!is_sent(store, to("+1415555", 99), now).await);
    assert_eq!(sent(store, "+1628555", 100..120, now).await, 5, "the rest is theirs, and no more than that");
    // What was sent and refused is told before it is asked for, too.
    let asked = store.would_not_begin(&application(), to("+1628555", 200), now).await.unwrap();
    assert!(matches!(asked, Some(NotSent::Budget(Of::Total, _))), "{asked:?}");
}

async fn a_number_that_entered_a_code_gets_one_though_its_prefix_is_pumped(world: World) {
    let store = &world.store;
    enter(store, "+1415555", 1, start()).await;
    let now = after(HOUR);
    assert_eq!(sent(store, "+1415555", 100..130, now).await, 10, "one code of many was entered: half");
    for prefix in 0..9 {
        sent(store, &format!("+1415{:03}", 600 + prefix), 0..1, now).await;
    }
    assert!(!is_sent(store, to("+1415555", 200), now).await);
    assert!(!is_sent(store, NewChallenge { expected: expected("VA1"), ..to("+1212555", 0) }, now).await);
    let known = |seconds: i64| is_sent(store, to("+1415555", 0), after(HOUR + seconds));
    assert!(known(0).await);
    assert!(known(30).await, "the same code again");
    assert!(!known(90).await, "it enters none");
    assert!(!is_sent(store, to("+1415555", 1), after(HOUR + 90)).await, "a neighbour is not known");
    // At another application, of which all of this is nothing, nobody is known.
    let elsewhere = NewChallenge { expected: expected("VA2"), ..to("+1415555", 300) };
    assert!(is_sent(store, elsewhere, now).await);
}

async fn a_cap_is_never_passed_whoever_asks_together_on_two_nodes(world: World) {
    let other = world.another().await;
    enter(&world.store, "+1628555", 6, start()).await;
    enter(&world.store, "+1628556", 6, start()).await;
    let now = after(HOUR);
    let starts = (0..120_u32).map(|index| {
        let store = if index % 2 == 0 { &world.store } else { &other };
        let prefix = ["+1415555", "+1415555", "+1628555", "+1628556"][index as usize % 4];
        is_sent(store, to(prefix, 100 + index), now)
    });
    let sent: Vec<bool> = all(starts).await;
    assert_eq!(sent.iter().filter(|sent| **sent).count(), 20);
    let pumped = sent.iter().enumerate().filter(|(index, sent)| index % 4 < 2 && **sent).count();
    assert!(pumped <= 15, "{pumped}");
}

async fn nothing_is_kept_from_people_of_the_console(world: World) {
    let store = &world.store;
    let mut count = 0;
    for index in 0..30 {
        let new = NewChallenge { expected: expected(CONSOLE), ..to("+1415555", index) };
        count += usize::from(is_sent(store, new, start()).await);
    }
    assert_eq!(count, 20);
}

async fn a_number_that_entered_no_code_for_a_month_is_forgotten(world: World) {
    let store = &world.store;
    enter(store, "+1415555", 3, start()).await;
    let by = application();
    let month = 30 * 24 * HOUR;
    for (now, forgotten) in [(month, 0), (month + 1, 2), (month + 1, 1), (month + 1, 0)] {
        // Of what is kept of challenges nothing is old enough.
        let rows = store.forget(&by, Forget::Challenges, start(), 2, after(now)).await.unwrap();
        assert_eq!(rows, forgotten, "{now}");
    }
}

async fn neighbours_whose_codes_nobody_enters_lock_no_known_number_out(world: World) {
    let store = &world.store;
    let at = |prefix: &str, index| NewChallenge { limits: Arc::new(lenient()), ..to(prefix, index) };
    let asks = async |index, now| match store
        .begin_challenge(&application(), at("+1415555", index), now)
        .await
        .unwrap()
    {
        Begun::Sent { .. } => Ok(()),
        Begun::Not(NotSent::Stopped(until)) => Err(until),
        Begun::Not(not) => panic!("{not:?}"),
    };
    enter(store, "+1415555", 1, start()).await;
    for index in 100..200 {
        _ = asks(index, after(1)).await;
    }
    let stopped = store.stopped_prefixes(after(2)).await.unwrap().remove(0).until;
    assert_eq!(asks(300, after(2)).await, Err(stopped), "of whom nothing is known");
    // Whoever entered a code gets two an hour, and no more, whether they are entered or not.
    for hour in [0, 5] {
        let now = |seconds| after(hour * HOUR + 700 + seconds);
        asks(0, now(0)).await.unwrap();
        asks(0, now(30)).await.unwrap();
        assert_eq!(asks(0, now(1_000)).await, Err(after((hour + 1) * HOUR)), "the next hour");
    }
    assert_eq!(asks(300, after(6 * HOUR)).await, Err(stopped), "the neighbours wait on");
    assert_eq!(store.stopped_prefixes(after(6 * HOUR)).await.unwrap()[0].until, stopped);
}

async fn codes_that_never_left_stop_no_prefix_and_open_what_they_have_stopped(world: World) {
    let store = &world.store;
    let to = |index| NewChallenge { limits: Arc::new(lenient()), ..to("+1415555", index) };
    let is_stopped = async || !store.stopped_prefixes(after(60)).await.unwrap().is_empty();
    // Twilio is away: fifty codes are asked for within a minute, and the prefix is stopped with the fiftieth.
    let mut sends = Vec::new();
    for index in 0..STOPPED_AFTER {
        sends.push(begin_at(store, to(index), start()).await);
    }
    assert!(is_stopped().await);
    // One of them had arrived after all.
    let (challenge, arrived) = sends.pop().unwrap();
    let code = code_of(store, &challenge, start()).await;
    assert!(matches!(checked(store, &challenge, &code, after(30)).await, Checked::Approved(_)));
    store.give_up_code_send(arrived, after(60)).await.unwrap();
    assert!(is_stopped().await, "it left, and is counted");
    // On many nodes at once, and each of them twice: it is counted off once.
    let other = &world.another().await;
    let given_up = sends.iter().chain(&sends).enumerate().map(|(index, (_, send))| {
        let store = if index % 2 == 0 { store } else { other };
        async move { store.give_up_code_send(*send, after(60)).await.unwrap() }
    });
    all(given_up).await;
    assert!(!is_stopped().await);
    let rows = store.audit_rows(Some("application VA1"), None, 9).await.unwrap();
    let mut actions: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["prefix.resume", "prefix.stop"]);
    // The prefix begins with nothing: fifty more may go there, and what is kept is not kept from it.
    for index in 0..STOPPED_AFTER {
        begin_at(store, to(100 + index), after(61)).await;
    }
    assert!(is_stopped().await);
}
