//! What is set aside for a code, from the start to whoever sends it.

use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_model::{Actor, PhoneNumber};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::pumping;
use ringfence_store::{
    Admission, Begun, Counter, Expected, NewChallenge, NewReservation, NotSent, Reservation, SendFilter,
};

use crate::ledger::{Money, limit, now};
use crate::world::{World, all, on_both, start};

on_both! {
    what_a_send_was_begun_with_does_not_come_back_when_it_ends,
    what_was_set_aside_for_a_code_is_taken_up_once_and_while_it_is_open,
}

async fn what_was_set_aside_for_a_code_is_taken_up_once_and_while_it_is_open(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let (store, other) = (money.store(), &money.world.another().await);
    let reserve = || async {
        let own = NewReservation { credential: None, ..money.request(3) };
        match store.admit(own, now()).await.unwrap() {
            Admission::Admitted(reservation) => reservation,
            Admission::Refused(why) => panic!("{why:?}"),
        }
    };
    let reservation = reserve().await;
    // Looking whether it would be sent changes nothing, however often.
    for _ in 0..9 {
        assert_eq!(store.would_not_begin(&by(), challenge(), start()).await.unwrap(), None);
    }
    let of_application =
        SendFilter { application: challenge().expected.application, ..SendFilter::default() };
    assert_eq!(store.code_sends(&of_application, 0, 9).await.unwrap(), []);
    let begun = store.begin_paid_challenge(&by(), challenge(), &reservation, start()).await.unwrap();
    let Begun::Sent { send, .. } = begun else { panic!("{begun:?}") };
    let again = store.would_not_begin(&by(), challenge(), start()).await.unwrap();
    assert!(matches!(again, Some(NotSent::TooSoon(_))), "{again:?}");
    // Many at once, on two nodes: one has it.
    let taken = all((0..8).map(|number| {
        let store = if number % 2 == 0 { store } else { other };
        async move { store.take_up_code_send(send, start()).await.unwrap() }
    }))
    .await;
    assert_eq!(taken.iter().flatten().map(Reservation::id).collect::<Vec<_>>(), [reservation.id()]);
    let anew = reserve().await;
    let swap = |before: Option<String>, after: &Reservation| {
        let after = after.id().to_owned();
        async move { store.set_aside_for_code_send(send, before.as_deref(), Some(&after), start()).await.unwrap() }
    };
    // Nobody puts something in its place, or forgets it, while it is on its way.
    assert!(!swap(Some(reservation.id().to_owned()), &anew).await);
    assert!(!store.let_go_of_code_send(send, reservation.id(), start()).await.unwrap());
    // Whoever has it says that nothing was made, and sets something else aside; nobody does so twice.
    store.void(reservation.id(), now()).await.unwrap();
    assert!(store.let_go_of_code_send(send, reservation.id(), start()).await.unwrap());
    assert!(!store.let_go_of_code_send(send, reservation.id(), start()).await.unwrap());
    assert!(swap(None, &anew).await);
    assert!(!swap(None, &anew).await);
    // What is in doubt by now is nobody's to send with, and what is put in its place is.
    store.doubt(anew.id(), now()).await.unwrap();
    assert!(store.take_up_code_send(send, start()).await.unwrap().is_none());
    let third = reserve().await;
    assert!(swap(Some(anew.id().to_owned()), &third).await);
    // A send that ends gives back what nobody has begun to send it with, once, and nobody begins it any more.
    assert_eq!(store.give_up_code_send(send, start()).await.unwrap().as_deref(), Some(third.id()));
    assert_eq!(store.give_up_code_send(send, start()).await.unwrap(), None);
    assert!(store.take_up_code_send(send, start()).await.unwrap().is_none());
    assert!(!swap(Some(third.id().to_owned()), &anew).await);
}

async fn what_a_send_was_begun_with_does_not_come_back_when_it_ends(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    let own = NewReservation { credential: None, ..money.request(3) };
    let Admission::Admitted(reservation) = store.admit(own, now()).await.unwrap() else { panic!("refused") };
    let begun = store.begin_paid_challenge(&by(), challenge(), &reservation, start()).await.unwrap();
    let Begun::Sent { send, .. } = begun else { panic!("{begun:?}") };
    let taken = store.take_up_code_send(send, start()).await.unwrap();
    assert_eq!(taken.as_ref().map(Reservation::id), Some(reservation.id()));
    assert_eq!(store.give_up_code_send(send, start()).await.unwrap(), None);
}

pub(crate) fn by() -> Actor {
    Actor::Application("SK00000000000000000000000000000001".to_owned())
}

pub(crate) fn challenge() -> NewChallenge {
    NewChallenge {
        expected: Expected {
            application: "VA1".into(),
            purpose: "verification".into(),
            binding: String::new(),
        },
        number: PhoneNumber::parse("+14155550100").unwrap(),
        channel: Channel::Sms,
        length: CodeLength::SIX,
        lifetime: SignedDuration::from_mins(10),
        custom_code: None,
        details: serde_json::json!({}),
        counter: Counter::Number,
        limits: Arc::new(pumping::Limits::shipped([Country::parse("US").unwrap()].into())),
        asker: pumping::Asker::default(),
        own_budgets: Vec::new(),
    }
}
