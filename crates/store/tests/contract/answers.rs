//! Answers of applications that lead to something: admitted whole, and once.

use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_breaker::{AppliedLimit, Hold, Limit, Why};
use ringfence_model::{Amount, Sid};
use ringfence_store::{AnswerAdmission, AnswerPart, NewAnswer, NotAdmitted, ReservationState, Store};

use crate::ledger::{Money, account, dollars, limit, now, subject};
use crate::world::{World, all, on_both};

on_both! {
    an_answer_is_admitted_whole_or_not_at_all,
    an_answer_that_comes_again_takes_nothing_on_any_node,
    of_many_answers_at_once_on_two_nodes_exactly_the_limit_is_admitted,
    without_any_limit_an_answer_is_noted_once_too,
    an_answer_is_in_doubt_until_somebody_finds_what_it_led_to,
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
        };
        let part = |units: &i64| AnswerPart {
            operation: "twiml.call".to_owned(),
            worst: dollars(*units),
            holds: self.limits.iter().map(|limit| hold(limit, *units)).collect(),
            party: Some(format!("tag {units}")),
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
    // What came to nothing is not taken again either: the webhook is answered.
    let first = money.store().open_reservations(None, 9).await.unwrap().remove(0);
    assert!(money.store().void(&first.id, now()).await.unwrap());
    assert_eq!(money.admit_answer("a", &[30, 10]).await, AnswerAdmission::Before);
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
