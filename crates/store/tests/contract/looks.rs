//! What is open is looked at until it ends, page by page, and nothing keeps anything else from it.

use jiff::{SignedDuration, Timestamp};
use ringfence_store::{
    Admission, Look, NewReservation, Now, OpenReservation, Reached, ReservationState, Sent,
};

use crate::ledger::{Money, account, dollars, limit, now, spent};
use crate::world::{World, after, on_both};

on_both! {
    what_waits_for_long_keeps_nothing_from_being_looked_at,
    a_look_that_does_not_go_far_back_finds_what_is_recent_and_what_is_due,
    what_goes_on_when_a_call_is_over_stays_set_aside_until_usage_records_have_it,
}

/// A look at everything.
pub(crate) fn all_until(now: Timestamp) -> Look {
    Look { account: account(), now, since: Timestamp::MIN, given_up: now }
}

/// Its first page.
pub(crate) async fn look(money: &Money, look: &Look) -> Vec<OpenReservation> {
    money.store().unsettled_reservations(look, None, 9).await.unwrap()
}

/// Admits, so many seconds after the beginning, what is waited for as long as that; and says what became of it.
async fn sent(money: &Money, at: i64, patience: SignedDuration, became: Option<Sent>) -> String {
    let new = NewReservation { patience, ..money.request(1) };
    let at = Now::At(after(at));
    let reservation = match money.store().admit(new, at).await.unwrap() {
        Admission::Admitted(reservation) => reservation,
        Admission::Refused(why) => panic!("{why:?}"),
    };
    let id = reservation.id().to_owned();
    if let Some(became) = became {
        money.store().sent(reservation, became, at).await.unwrap();
    }
    id
}

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

async fn what_waits_for_long_keeps_nothing_from_being_looked_at(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let mut made = Vec::new();
    // Three at once, so that a page ends between two of the same moment.
    for second in [20, 20, 20, 30, 40] {
        made.push(sent(&money, second, WEEK, Some(Sent::Made(None))).await);
    }
    made.push(sent(&money, 50, MINUTE, Some(Sent::InDoubt)).await);
    made.push(sent(&money, 60, MINUTE, None).await);
    let (mut seen, mut reached) = (Vec::new(), None::<Reached>);
    for expected in [2, 2, 2, 1, 0] {
        let whole = all_until(after(3_600));
        let page = money.store().unsettled_reservations(&whole, reached.as_ref(), 2).await.unwrap();
        assert_eq!(page.len(), expected);
        reached = page.last().map(Reached::by).or(reached);
        seen.extend(page);
    }
    assert!(seen.is_sorted_by_key(|it| it.admitted_at));
    let mut seen: Vec<String> = seen.into_iter().map(|it| it.id).collect();
    seen.sort();
    made.sort();
    assert_eq!(seen, made, "each once");
}

async fn a_look_that_does_not_go_far_back_finds_what_is_recent_and_what_is_due(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let _scheduled = sent(&money, 20, WEEK, Some(Sent::Made(None))).await;
    let _unpriced = sent(&money, 21, MINUTE, Some(Sent::Made(None))).await;
    let dead = sent(&money, 22, MINUTE, None).await;
    let priced = sent(&money, 23, MINUTE, Some(Sent::Made(None))).await;
    assert!(money.store().settle(&priced, spent(1), None, now()).await.unwrap());
    let recent = sent(&money, 3_000, MINUTE, Some(Sent::InDoubt)).await;
    let near = Look { account: account(), now: after(3_600), since: after(2_700), given_up: after(0) };
    let ids = async |it: &Look| look(&money, it).await.into_iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids(&near).await, [dead.clone(), recent.clone()]);
    // A day later nothing is recent, and what was waited for for a minute is given up.
    let later = Look { now: after(90_000), since: after(89_000), given_up: after(3_600), ..near };
    let found = look(&money, &later).await;
    assert_eq!(found.len(), 3, "the scheduled one still has its time: {found:?}");
    assert!(found.iter().all(|it| it.deadline < after(3_600) && it.state != ReservationState::Priced));
}

async fn what_goes_on_when_a_call_is_over_stays_set_aside_until_usage_records_have_it(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let mut new = NewReservation { goes_on: SignedDuration::from_hours(6), ..money.request(10) };
    new.holds.iter_mut().for_each(|hold| hold.told = dollars(8));
    let Admission::Admitted(reservation) = money.store().admit(new, now()).await.unwrap() else {
        panic!("there is room for it")
    };
    assert!(money.store().settle(reservation.id(), spent(7), None, now()).await.unwrap());
    // Admitted ten seconds after the beginning, it is recorded for six hours at most, and two more are for the records.
    assert_eq!(look(&money, &all_until(after(8 * 3_600 + 9))).await, []);
    let due = look(&money, &all_until(after(8 * 3_600 + 10))).await;
    assert_eq!((due.len(), due[0].state), (1, ReservationState::Priced));
    assert_eq!(money.reserved("daily").await, dollars(2));
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}
