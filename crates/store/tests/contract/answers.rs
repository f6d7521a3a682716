//! Answers of applications that lead to something: admitted whole, and once.

use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_breaker::{AppliedLimit, DialPrefix, Hold, Limit, Observation, Why};
use ringfence_model::{Amount, Sid};
use ringfence_store::{
    Admission, AnswerAdmission, AnswerPart, Listing, NewAnswer, NewReservation, NotAdmitted, Now,
    ReservationState, Store,
};

use crate::ledger::{Money, account, dollars, limit, move_breaker, now, spent, subject};
use crate::world::{World, after, all, on_both};

on_both! {
    an_answer_is_admitted_whole_or_not_at_all,
    an_answer_that_comes_again_takes_nothing_on_any_node,
    of_many_answers_at_once_on_two_nodes_exactly_the_limit_is_admitted,
    without_any_limit_an_answer_is_noted_once_too,
    what_came_back_of_an_answer_is_taken_again_when_it_is_given_again,
    what_is_taken_again_was_admitted_then_and_counts_in_the_windows_of_that_moment_alone,
    after_a_trip_an_answer_of_which_something_was_spent_is_not_given_again,
    an_answer_that_nobody_waits_for_takes_nothing,
    an_answer_is_in_doubt_until_somebody_finds_what_it_led_to,
    what_nobodys_credential_asked_for_is_listed_with_the_rest,
}

fn parent() -> Sid {
    Sid::new(*b"CA", 7)
}

impl Money {
    fn answer(&self, key: &str, parts: &[i64]) -> NewAnswer {
        let hold = |limit: &Arc<AppliedLimit>, units| Hold {
            limit: Arc::clone(limit),
            subject: subject(),
            amount: dollars(units),
            told: dollars(units),
            places: Vec::new(),
        };
        let part = |units: &i64| AnswerPart {
            operation: "twiml.call".to_owned(),
            worst: dollars(*units),
            holds: self.limits.iter().map(|limit| hold(limit, *units)).collect(),
            party: Some(format!("tag {units}")),
            beginning: None,
            patience: SignedDuration::from_hours(4),
        };
        NewAnswer {
            key: key.to_owned(),
            parent: parent(),
            account: account(),
            parts: parts.iter().map(part).collect(),
            limits: Arc::clone(&self.fingerprint),
        }
    }

    async fn admit_answer(&self, key: &str, parts: &[i64]) -> AnswerAdmission {
        self.store().admit_answer(self.answer(key, parts), now()).await.unwrap()
    }
}

async fn give(store: &Store, new: NewAnswer) -> AnswerAdmission {
    store.admit_answer(new, now()).await.unwrap()
}

fn is_admitted(admission: &AnswerAdmission) -> bool {
    matches!(admission, AnswerAdmission::Admitted(_))
}

async fn an_answer_is_admitted_whole_or_not_at_all(world: World) {
    let money = Money::with(world, vec![limit("daily", 50), limit("wide", 500)]).await;
    let refused = money.admit_answer("a", &[30, 30]).await;
    let AnswerAdmission::Refused(NotAdmitted::Limit { limit, why, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((&*limit, why), ("daily", Why::DoesNotFit));
    assert_eq!((money.reserved("daily").await, money.reserved("wide").await), (Amount::ZERO, Amount::ZERO));
    assert_eq!(money.store().open_reservations(None, 9).await.unwrap(), []);
    let others = NewAnswer { limits: "others".into(), ..money.answer("a", &[1]) };
    let refused = money.store().admit_answer(others, now()).await.unwrap();
    assert_eq!(refused, AnswerAdmission::Refused(NotAdmitted::OtherLimits));
    assert!(is_admitted(&money.admit_answer("a", &[30, 20]).await));
    assert_eq!((money.reserved("daily").await, money.reserved("wide").await), (dollars(50), dollars(50)));
    assert_eq!(money.store().open_reservations(None, 9).await.unwrap().len(), 2);
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}

async fn an_answer_that_comes_again_takes_nothing_on_any_node(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let other = money.world.another().await;
    assert!(is_admitted(&money.admit_answer("a", &[30, 10]).await));
    for store in [money.store(), &other] {
        let again = store.admit_answer(money.answer("a", &[30, 10]), now()).await.unwrap();
        assert_eq!(again, AnswerAdmission::Before);
    }
    // Several times at once, on both.
    let stores = [money.store(), &other, money.store(), &other];
    let all_of_them = all(stores.into_iter().map(|store| give(store, money.answer("b", &[5])))).await;
    assert_eq!(all_of_them.iter().filter(|it| is_admitted(it)).count(), 1);
    assert_eq!(money.reserved("daily").await, dollars(45));
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}

async fn what_came_back_of_an_answer_is_taken_again_when_it_is_given_again(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    assert!(is_admitted(&money.admit_answer("a", &[30, 10]).await));
    for _ in 0..2 {
        assert!(store.void("a-0", now()).await.unwrap());
        assert_eq!(money.reserved("daily").await, dollars(10));
        assert_eq!(money.admit_answer("a", &[30, 10]).await, AnswerAdmission::Before);
        assert_eq!(money.reserved("daily").await, dollars(40));
        assert_eq!(store.open_reservations(None, 9).await.unwrap().len(), 2);
    }
    // Once something else has its place it is refused, and nothing of it is taken.
    assert!(store.void("a-0", now()).await.unwrap());
    assert!(is_admitted(&money.admit_answer("b", &[25]).await));
    let again = money.admit_answer("a", &[30, 10]).await;
    assert!(matches!(again, AnswerAdmission::Refused(NotAdmitted::Limit { .. })), "{again:?}");
    assert_eq!(money.reserved("daily").await, dollars(35));
    assert_eq!(store.check_ledger().await.unwrap(), []);
}

async fn what_is_taken_again_was_admitted_then_and_counts_in_the_windows_of_that_moment_alone(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    let burma: DialPrefix = "+959".parse().unwrap();
    let mut new = money.answer("a", &[30, 10]);
    for part in &mut new.parts {
        (part.operation, part.beginning) = ("twiml.message".to_owned(), Some(burma));
    }
    let (first, second) = (after(600), after(600 + 86_400));
    let given = store.admit_answer(new.clone(), Now::At(first)).await.unwrap();
    assert!(is_admitted(&given), "{given:?}");
    assert!(store.void("a-0", Now::At(after(900))).await.unwrap());
    assert!(store.settle("a-1", spent(7), None, Now::At(after(900))).await.unwrap());
    let again = store.admit_answer(new, Now::At(second)).await.unwrap();
    assert_eq!(again, AnswerAdmission::Before);
    // What was settled stays where it was spent; what is open is set aside in the window that holds now.
    let row = store.find_ledger("daily", &subject().to_string()).await.unwrap().unwrap();
    assert_eq!((row.ledger.settled, row.ledger.reserved), (Amount::ZERO, dollars(30)));
    let open = store.open_reservations(None, 9).await.unwrap();
    let [taken] = open.as_slice() else { panic!("{open:?}") };
    let deadline = second + SignedDuration::from_hours(4);
    assert_eq!((&*taken.id, taken.admitted_at, taken.deadline), ("a-0", second, deadline));
    // Shares are of what was sent when it was sent.
    assert!(store.found("a-0", Sid::new(*b"SM", 8), Now::At(second)).await.unwrap());
    let sent = async |from: i64| {
        let all = store.signs(after(from), after(from + 86_400)).await.unwrap();
        all.iter().map(|it| it.sent).sum::<u64>()
    };
    assert_eq!((sent(0).await, sent(86_400).await), (1, 1), "one of each day");
    assert_eq!(store.check_ledger().await.unwrap(), []);
}

async fn after_a_trip_an_answer_of_which_something_was_spent_is_not_given_again(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    for key in ["a", "b"] {
        assert!(is_admitted(&money.admit_answer(key, &[10]).await));
    }
    assert!(store.settle("a-0", spent(10), None, now()).await.unwrap());
    assert_eq!(money.admit_answer("a", &[10]).await, AnswerAdmission::Before);
    move_breaker(&money, 0, &[Observation::Trip]).await;
    let again = money.admit_answer("a", &[10]).await;
    let AnswerAdmission::Refused(NotAdmitted::Limit { why, .. }) = again else { panic!("{again:?}") };
    assert_eq!(why, Why::Tripped);
    // What is still set aside may have been heard of by nobody: it is given.
    assert_eq!(money.admit_answer("b", &[10]).await, AnswerAdmission::Before);
}

async fn an_answer_that_nobody_waits_for_takes_nothing(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    for number in 0..20 {
        let new = money.answer(&format!("k{number}"), &[30, 20]);
        let mut given_up = Box::pin(money.store().admit_answer(new, now()));
        std::future::poll_fn(|context| {
            assert!(given_up.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    // It may be seen for one batch, and is gone with the next.
    let mut tries = 0;
    while !is_admitted(&money.admit_answer(&format!("t{tries}"), &[30, 20]).await) {
        assert!(tries < 50);
        tries += 1;
    }
    assert_eq!(money.reserved("daily").await, dollars(50));
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}

async fn of_many_answers_at_once_on_two_nodes_exactly_the_limit_is_admitted(world: World) {
    let money = Money::with(world, vec![limit("daily", 10)]).await;
    let other = money.world.another().await;
    let stores = [money.store(), &other].into_iter().cycle().take(40).enumerate();
    let all_of_them =
        all(stores.map(|(number, store)| give(store, money.answer(&format!("k{number}"), &[1, 1])))).await;
    let admitted = all_of_them.iter().filter(|it| is_admitted(it)).count();
    assert_eq!(admitted, 5);
    assert_eq!(money.reserved("daily").await, dollars(10));
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}

async fn without_any_limit_an_answer_is_noted_once_too(world: World) {
    let money = Money::with(world, Vec::<Limit>::new()).await;
    let other = money.world.another().await;
    all([money.store(), &other].into_iter().map(|store| give(store, money.answer("a", &[5])))).await;
    assert_eq!(money.store().open_reservations(None, 9).await.unwrap().len(), 1);
}

async fn an_answer_is_in_doubt_until_somebody_finds_what_it_led_to(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    money.admit_answer("a", &[30]).await;
    let open = money.store().open_reservations(Some(account()), 9).await.unwrap();
    let [reservation] = open.as_slice() else { panic!("{open:?}") };
    assert_eq!((reservation.state, reservation.parent), (ReservationState::InDoubt, Some(parent())));
    assert_eq!((reservation.party.as_deref(), reservation.resource), (Some("tag 30"), None));
    let call = Sid::new(*b"CA", 8);
    assert!(money.store().found(&reservation.id, call, now()).await.unwrap());
    assert_eq!(money.store().reserved_resources(&[call, parent()]).await.unwrap(), [call]);
}

async fn what_nobodys_credential_asked_for_is_listed_with_the_rest(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    drop(money.admitted(1).await);
    assert!(is_admitted(&money.admit_answer("a", &[2]).await));
    let own = NewReservation { credential: None, ..money.request(3) };
    let admitted = money.store().admit(own, now()).await.unwrap();
    assert!(matches!(admitted, Admission::Admitted(_)), "{admitted:?}");
    let listed = money.store().list_reservations(Listing::Open, None, None, 9).await.unwrap();
    let mut who: Vec<_> = listed.iter().map(|row| (row.it.worst, row.credential, row.it.parent)).collect();
    who.sort();
    assert_eq!(
        who,
        [
            (dollars(1), Some(money.credential), None),
            (dollars(2), None, Some(parent())),
            (dollars(3), None, None)
        ]
    );
}
