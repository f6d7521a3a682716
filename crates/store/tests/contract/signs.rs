//! What came of what was sent, by when it was sent; and beginnings of numbers that are closed.

use jiff::Timestamp;
use ringfence_breaker::{
    DialPrefix, Limit, Measure, Per, Share, Sign, State, Subject, Threshold, Why, Window,
};
use ringfence_model::{Amount, Secret, Sid};
use ringfence_store::{
    Admission, Arrival, Begun, BreakerChange, Check, Checked, Counter, Forget, NewReservation, NotAdmitted,
    Now, Reservation, Sent, Signs, Step, Which,
};
use serde_json::json;

use crate::codes;
use crate::ledger::{Money, account, dollars, limit, spent};
use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    a_message_counts_in_the_minute_in_which_it_was_sent_once_whatever_is_said_again,
    a_message_that_is_found_again_counts_too_and_one_that_was_never_made_does_not,
    what_is_heard_late_is_awaited_until_it_is_known,
    a_code_that_is_entered_counts_for_the_minute_of_the_last_time_it_was_sent,
    a_code_of_the_second_factor_counts_in_the_transaction_that_accepts_it,
    on_two_nodes_nothing_is_counted_twice,
    what_goes_to_numbers_that_are_closed_is_refused_whatever_it_costs_and_all_else_goes_on,
    what_was_counted_long_ago_is_forgotten,
}

fn burma() -> DialPrefix {
    "+959".parse().unwrap()
}

/// Closes numbers to which too little is delivered.
fn delivered() -> Limit {
    Limit {
        per: Per::Prefix,
        measure: Measure::Delivery,
        window: Window::Rolling { seconds: 3_600 },
        at: Threshold::Share(Sign { percent: 20, least: 20, settle: 600 }),
        ..limit("delivered", 1)
    }
}

fn request(money: &Money, operation: &str, to: DialPrefix) -> NewReservation {
    let mut request = money.request(1);
    for hold in &mut request.holds {
        hold.subject = Subject::Prefix(to);
        (hold.amount, hold.told) = (Amount::ZERO, Amount::ZERO);
    }
    NewReservation { beginning: Some(to), operation: operation.to_owned(), ..request }
}

async fn admitted(money: &Money, new: NewReservation, at: Timestamp) -> Reservation {
    match money.store().admit(new, Now::At(at)).await.unwrap() {
        Admission::Admitted(reservation) => reservation,
        Admission::Refused(why) => panic!("{why:?}"),
    }
}

async fn sent(money: &Money, operation: &str, resource: Option<Sid>, at: Timestamp) -> String {
    let reservation = admitted(money, request(money, operation, burma()), at).await;
    let id = reservation.id().to_owned();
    money.store().sent(reservation, Sent::Made(resource), Now::At(at)).await.unwrap();
    id
}

async fn seen(money: &Money, from: i64, until: i64) -> Option<Signs> {
    let mut all = money.store().signs(after(from), after(until)).await.unwrap();
    assert!(all.len() < 2, "{all:?}");
    all.pop()
}

fn none() -> Signs {
    Signs {
        account: account(),
        beginning: burma(),
        sent: 0,
        delivered: 0,
        undelivered: 0,
        started: 0,
        approved: 0,
        own_started: 0,
        own_approved: 0,
    }
}

fn message(number: u128) -> Sid {
    Sid::new(*b"SM", number)
}

async fn a_message_counts_in_the_minute_in_which_it_was_sent_once_whatever_is_said_again(world: World) {
    let money = Money::with(world, vec![delivered()]).await;
    let at = after(600);
    let good = sent(&money, "messages.create", Some(message(1)), at).await;
    let bad = sent(&money, "messages.create", Some(message(2)), at).await;
    let _silent = sent(&money, "messages.create", Some(message(3)), at).await;
    let call = sent(&money, "calls.create", Some(Sid::new(*b"CA", 1)), at).await;
    // Hours later it becomes known, more than once and in both ways.
    let much_later = Now::At(after(9_000));
    for _ in 0..2 {
        let heard = vec![(good.clone(), Arrival::Delivered), (call.clone(), Arrival::Delivered)];
        money.store().arrived_each(heard, much_later).await.unwrap();
        let failed = ringfence_store::Spent { arrival: Arrival::Failed, ..spent(1) };
        money.store().settle(&bad, failed, None, much_later).await.unwrap();
        money.store().settle(&good, failed, None, much_later).await.unwrap();
        money.store().arrived_each(vec![(bad.clone(), Arrival::Delivered)], much_later).await.unwrap();
    }
    let counted = seen(&money, 600, 660).await.unwrap();
    assert_eq!(counted, Signs { sent: 3, delivered: 1, undelivered: 1, ..none() });
    assert_eq!(counted.share(Measure::Delivery), Share { good: 1, bad: 1, silent: 1 });
    // Whole minutes alone, and none before or after.
    assert_eq!(seen(&money, 601, 9_999).await, None);
    assert_eq!(seen(&money, 0, 659).await, None);
    let of = async |prefix: &str| {
        money.store().signs_of(prefix.parse().unwrap(), after(0), after(9_999)).await.unwrap().len()
    };
    assert_eq!((of("+959").await, of("+95").await), (1, 0));
}

async fn a_message_that_is_found_again_counts_too_and_one_that_was_never_made_does_not(world: World) {
    let money = Money::with(world, vec![delivered()]).await;
    let (store, at) = (money.store(), after(600));
    let ask = || admitted(&money, request(&money, "messages.create", burma()), at);
    store.sent(ask().await, Sent::Nothing, Now::At(at)).await.unwrap();
    let found = ask().await;
    store.doubt(found.id(), Now::At(at)).await.unwrap();
    assert!(store.found(found.id(), message(1), Now::At(after(900))).await.unwrap());
    let priced = ask().await;
    store.doubt(priced.id(), Now::At(at)).await.unwrap();
    let arrived = ringfence_store::Spent { arrival: Arrival::Delivered, ..spent(1) };
    assert!(store.settle(priced.id(), arrived, Some(message(2)), Now::At(after(900))).await.unwrap());
    assert_eq!(seen(&money, 600, 660).await.unwrap(), Signs { sent: 2, delivered: 1, ..none() });
}

async fn what_is_heard_late_is_awaited_until_it_is_known(world: World) {
    let money = Money::with(world, vec![delivered()]).await;
    let store = money.store();
    let open = sent(&money, "messages.create", Some(message(1)), after(600)).await;
    let settled = sent(&money, "messages.create", Some(message(2)), after(700)).await;
    assert!(store.settle(&settled, spent(1), None, Now::At(after(800))).await.unwrap());
    sent(&money, "calls.create", Some(Sid::new(*b"CA", 1)), after(700)).await;
    let awaited = async |since: i64| {
        let all = store.awaited_arrivals(account(), after(since), 10).await.unwrap();
        all.into_iter().map(|it| (it.reservation, it.message, it.sent_at)).collect::<Vec<_>>()
    };
    let (first, second) = ((open, message(1), after(600)), (settled.clone(), message(2), after(700)));
    assert_eq!(awaited(600).await, [second.clone(), first.clone()], "the newest first");
    assert_eq!(awaited(601).await, [second], "what is too old is not waited for");
    assert_eq!(store.arrived_each(vec![(settled, Arrival::Failed)], Now::At(after(900))).await.unwrap(), 1);
    assert_eq!(awaited(0).await, [first]);
    assert_eq!(store.awaited_arrivals(Sid::new(*b"AC", 99), after(0), 10).await.unwrap(), []);
}

async fn a_code_that_is_entered_counts_for_the_minute_of_the_last_time_it_was_sent(world: World) {
    let money = Money::with(world, vec![delivered()]).await;
    let verification = Sid::new(*b"VE", 1);
    for at in [600, 720] {
        sent(&money, "verifications.create", Some(verification), after(at)).await;
    }
    let enter = async |verification| {
        money.store().verified(account(), burma(), verification, Now::At(after(8_000))).await.unwrap();
    };
    assert!(!money.store().enters_codes(account(), after(0)).await.unwrap());
    enter(Some(verification)).await;
    // One that was sent past the egress, and one of which nobody knows: people are there, and there is no share.
    enter(Some(Sid::new(*b"VE", 2))).await;
    enter(None).await;
    assert_eq!(seen(&money, 600, 660).await.unwrap(), Signs { started: 1, ..none() });
    let second = seen(&money, 720, 780).await.unwrap();
    assert_eq!(second, Signs { started: 1, approved: 1, ..none() });
    let both = seen(&money, 0, 9_999).await.unwrap();
    assert_eq!(both.share(Measure::Conversion), Share { good: 1, bad: 1, silent: 0 });
    assert!(money.store().enters_codes(account(), after(0)).await.unwrap());
    assert!(!money.store().enters_codes(account(), after(12_000)).await.unwrap());
}

async fn a_code_of_the_second_factor_counts_in_the_transaction_that_accepts_it(world: World) {
    let money = Money::with(world, vec![delivered()]).await;
    let store = money.store();
    let own = || NewReservation { credential: None, ..request(&money, "messages.create", burma()) };
    let reservation = admitted(&money, own(), start()).await;
    let by = codes::by();
    let begun = store.begin_paid_challenge(&by, codes::challenge(), &reservation, start()).await.unwrap();
    let Begun::Sent { send, .. } = begun else { panic!("{begun:?}") };
    let taken = store.take_up_code_send(send, start()).await.unwrap().unwrap();
    store.sent(taken, Sent::Made(Some(message(1))), Now::At(start())).await.unwrap();
    assert_eq!(seen(&money, 0, 60).await.unwrap(), Signs { sent: 1, own_started: 1, ..none() });
    // What an application sends by itself may be a code or not: nobody knows.
    sent(&money, "messages.create", Some(message(2)), after(5)).await;
    let to_send = store.code_to_send(send, start()).await.unwrap().unwrap();
    let check = |code: &str| Check {
        expected: codes::challenge().expected,
        which: Which::Sid(to_send.challenge.sid),
        code: Secret::new(code.to_owned()),
        counter: Counter::Number,
        worn_out: None,
    };
    let is_approved = async |code: &str, at: i64| {
        matches!(store.check_challenge(&by, check(code), after(at)).await.unwrap(), Checked::Approved(_))
    };
    let right = to_send.code.expose().to_owned();
    let wrong = if right == "000000" { "000001" } else { "000000" };
    assert!(!is_approved(wrong, 300).await);
    assert!(is_approved(&right, 301).await);
    assert!(!is_approved(&right, 302).await);
    let counted = Signs { sent: 2, own_started: 1, own_approved: 1, ..none() };
    assert_eq!(seen(&money, 0, 60).await.unwrap(), counted);
    assert!(!store.enters_codes(account(), after(0)).await.unwrap(), "it says nothing of an application's");
}

async fn on_two_nodes_nothing_is_counted_twice(world: World) {
    let money = Money::with(world, vec![delivered()]).await;
    let (one, two) = (money.world.another().await, money.world.another().await);
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(sent(&money, "messages.create", Some(message(number)), after(600)).await);
    }
    let told = (0..40_usize).map(|number| {
        let store = if number % 2 == 0 { &one } else { &two };
        store.arrived_each(vec![(ids[number % 10].clone(), Arrival::Delivered)], Now::At(after(700)))
    });
    let news: usize = all(told).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(news, 10);
    assert_eq!(seen(&money, 0, 9_999).await.unwrap(), Signs { sent: 10, delivered: 10, ..none() });
}

async fn what_goes_to_numbers_that_are_closed_is_refused_whatever_it_costs_and_all_else_goes_on(
    world: World,
) {
    let money = Money::with(world, vec![delivered()]).await;
    let store = money.store();
    let rule = &money.limits[0].limit;
    let fails = Share { good: 0, bad: 30, silent: 0 };
    let observation =
        ringfence_breaker::Observation::Share { from: after(0), at: after(5_000), share: fails };
    let (closed, _) =
        ringfence_breaker::step(rule, State::new(rule, after(5_000)), &observation, after(5_000));
    let change = BreakerChange {
        limit: "delivered".to_owned(),
        subject: "+959".to_owned(),
        version: 0,
        state: json!(closed),
        audit: None,
        seen: None,
    };
    let step = Step { changes: vec![change], ..Step::default() };
    store.step(&operator(), step, after(5_000)).await.unwrap();
    let at = Now::At(after(5_001));
    for operation in ["messages.create", "calls.create", "verifications.create"] {
        match store.admit(request(&money, operation, burma()), at).await.unwrap() {
            Admission::Refused(NotAdmitted::Limit { limit, subject, why, until, trips }) => {
                assert_eq!(
                    (limit.as_str(), subject, why),
                    ("delivered", Subject::Prefix(burma()), Why::Tripped)
                );
                assert_eq!((until, trips), (None, false), "an operator opens it");
            }
            other => panic!("{other:?}"),
        }
    }
    let tallied = store.tallies("delivered", None, after(0)).await.unwrap();
    let refused: Vec<_> = tallied.iter().map(|it| (it.tally.refused, it.tally.refused_worth)).collect();
    assert_eq!(refused, [(1, dollars(1)); 3], "what it would have cost");
    for other in ["+958", "+44"] {
        let request = request(&money, "messages.create", other.parse().unwrap());
        assert!(matches!(store.admit(request, at).await.unwrap(), Admission::Admitted(_)), "{other}");
    }
    assert_eq!(store.check_ledger().await.unwrap(), []);
}

async fn what_was_counted_long_ago_is_forgotten(world: World) {
    let money = Money::with(world, vec![delivered()]).await;
    for at in [600_i64, 6_000] {
        sent(&money, "messages.create", Some(message(u128::from(at.unsigned_abs()))), after(at)).await;
    }
    let forget = async || {
        money.store().forget(&operator(), Forget::Signs, after(6_000), 100, after(9_000)).await.unwrap()
    };
    assert_eq!((forget().await, forget().await), (1, 0));
    assert_eq!(seen(&money, 0, 9_000).await.unwrap().sent, 1);
}
