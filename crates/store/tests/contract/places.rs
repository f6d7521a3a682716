//! Limits of places that an account does not know.

use jiff::Timestamp;
use ringfence_breaker::{DialPrefix, Limit, Per, Reset, Subject, Unseen, Why, Window};
use ringfence_model::Amount;
use ringfence_store::{
    Admission, Arrival, Forget, NewReservation, NotAdmitted, Now, Reservation, Sent, Spent, Traffic,
};

use crate::ledger::{Money, account, dollars, limit, spent};
use crate::world::{World, after, all, on_both, operator};

on_both! {
    a_place_that_was_never_seen_is_held_to_its_allowance_and_one_that_is_known_is_not,
    an_account_of_which_nobody_has_read_what_it_sent_is_only_watched,
    a_place_is_known_when_something_there_is_old_enough_and_not_too_old,
    what_failed_or_was_never_paid_makes_no_place_known,
    of_many_at_once_on_two_nodes_an_unknown_place_gets_its_allowance,
    what_came_of_traffic_is_counted_by_account_and_beginning,
    traffic_of_long_ago_is_forgotten,
}

const DAY: i64 = 86_400;

/// Two at each place that is not known, in a day.
fn careful() -> Limit {
    Limit {
        per: Per::Prefix,
        window: Window::Gcra { seconds: 86_400 },
        at: ringfence_breaker::Threshold::At(dollars(4)),
        burst: Some(dollars(2)),
        unseen: Some(Unseen { within: 9 * 86_400, known_after: 3 * 86_400 }),
        then: vec![],
        reset: Reset::NextWindow,
        ..limit("careful", 4)
    }
}

fn burma() -> DialPrefix {
    "+959".parse().unwrap()
}

fn request(money: &Money, units: i64, beginning: DialPrefix) -> NewReservation {
    let mut request = money.request(units);
    for hold in &mut request.holds {
        hold.subject = Subject::Prefix(beginning);
        hold.places = vec![beginning.place()];
    }
    NewReservation { beginning: Some(beginning), ..request }
}

async fn ask(money: &Money, units: i64, to: DialPrefix, at: Timestamp) -> Result<Reservation, Why> {
    match money.store().admit(request(money, units, to), Now::At(at)).await.unwrap() {
        Admission::Admitted(reservation) => Ok(reservation),
        Admission::Refused(NotAdmitted::Limit { why, .. }) => Err(why),
        Admission::Refused(other) => panic!("{other:?}"),
    }
}

async fn learnt(world: World, seen: &[(&str, Timestamp)]) -> Money {
    let money = Money::with(world, vec![careful()]).await;
    let seen = seen.iter().map(|(prefix, at)| (prefix.parse().unwrap(), *at)).collect();
    money.store().learn_traffic(account(), seen, after(-30 * DAY)).await.unwrap();
    money
}

async fn a_place_that_was_never_seen_is_held_to_its_allowance_and_one_that_is_known_is_not(world: World) {
    let money = learnt(world, &[("+447", after(-8 * DAY)), ("+1415", after(-5 * DAY))]).await;
    let _open = ask(&money, 2, burma(), after(10)).await.unwrap();
    assert_eq!(ask(&money, 1, burma(), after(11)).await.unwrap_err(), Why::DoesNotFit);
    let _other = ask(&money, 2, "+958".parse().unwrap(), after(11)).await.unwrap();
    // Of what is known nothing is held at all. North America is one place, its islands are not.
    for known in ["+447", "+1415", "+1212", "+1416"] {
        let _open = ask(&money, 1_000, known.parse().unwrap(), after(12)).await.expect(known);
    }
    for unknown in ["+448", "+1876"] {
        assert_eq!(ask(&money, 3, unknown.parse().unwrap(), after(12)).await.unwrap_err(), Why::DoesNotFit);
    }
    let rows = money.store().ledger_of("careful").await.unwrap();
    let reserved = rows.iter().fold(Amount::ZERO, |sum, row| sum.saturating_add(row.ledger.reserved));
    assert_eq!(reserved, dollars(4));
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}

async fn an_account_of_which_nobody_has_read_what_it_sent_is_only_watched(world: World) {
    let money = Money::with(world, vec![careful()]).await;
    for _ in 0..3 {
        match money.store().admit(request(&money, 2, burma()), Now::At(after(10))).await.unwrap() {
            Admission::Admitted(reservation) => {
                let why: Vec<Why> = reservation.watched().iter().map(|it| it.why).collect();
                let expected = if money.reserved("careful").await == dollars(2) {
                    vec![]
                } else {
                    vec![Why::DoesNotFit]
                };
                assert_eq!(why, expected);
            }
            Admission::Refused(why) => panic!("{why:?}"),
        }
    }
    let since = after(-30 * DAY);
    money.store().learn_traffic(account(), [].into(), since).await.unwrap();
    assert_eq!(ask(&money, 1, burma(), after(11)).await.unwrap_err(), Why::DoesNotFit);
}

async fn a_place_is_known_when_something_there_is_old_enough_and_not_too_old(world: World) {
    let money = learnt(world, &[]).await;
    let first = ask(&money, 1, burma(), after(10)).await.unwrap();
    assert!(money.store().settle(first.id(), spent(1), None, Now::At(after(20))).await.unwrap());
    // Three days, and the hour that it may have been in.
    assert_eq!(ask(&money, 3, burma(), after(3 * DAY + 3_599)).await.unwrap_err(), Why::DoesNotFit);
    let _open = ask(&money, 3, burma(), after(3 * DAY + 3_600)).await.unwrap();
    let _open = ask(&money, 3, burma(), after(9 * DAY)).await.unwrap();
    assert_eq!(ask(&money, 3, burma(), after(9 * DAY + 1)).await.unwrap_err(), Why::DoesNotFit, "long ago");
}

async fn what_failed_or_was_never_paid_makes_no_place_known(world: World) {
    let money = learnt(world, &[]).await;
    let failed = ask(&money, 1, burma(), after(10)).await.unwrap();
    let fee = Spent { price: dollars(1), arrival: Arrival::Failed, ..Spent::default() };
    money.store().settle(failed.id(), fee, None, Now::At(after(20))).await.unwrap();
    let refused = ask(&money, 1, burma(), after(10)).await.unwrap();
    money.store().sent(refused, Sent::Nothing, Now::At(after(20))).await.unwrap();
    let free = ask(&money, 1, burma(), after(10)).await.unwrap();
    money.store().settle(free.id(), spent(0), None, Now::At(after(20))).await.unwrap();
    assert_eq!(ask(&money, 3, burma(), after(4 * DAY)).await.unwrap_err(), Why::DoesNotFit);
    // Somebody who enters a code is there.
    money.store().verified(account(), burma(), None, Now::At(after(4 * DAY))).await.unwrap();
    assert_eq!(ask(&money, 3, burma(), after(4 * DAY + 1)).await.unwrap_err(), Why::DoesNotFit);
    let _open = ask(&money, 3, burma(), after(8 * DAY)).await.unwrap();
}

async fn of_many_at_once_on_two_nodes_an_unknown_place_gets_its_allowance(world: World) {
    let money = learnt(world, &[("+447", after(-8 * DAY))]).await;
    let (one, two) = (money.world.another().await, money.world.another().await);
    let known = "+447".parse().unwrap();
    let asked = (0..100).map(|number| {
        let store = if number % 2 == 0 { &one } else { &two };
        let to = if number % 4 < 2 { burma() } else { known };
        store.admit(request(&money, 1, to), Now::At(after(10)))
    });
    let answers: Vec<_> = all(asked).await.into_iter().map(Result::unwrap).collect();
    let admitted = answers.iter().filter(|answer| matches!(answer, Admission::Admitted(_))).count();
    assert_eq!(admitted, 50 + 2);
}

async fn what_came_of_traffic_is_counted_by_account_and_beginning(world: World) {
    let money = learnt(world, &[]).await;
    let new_york: DialPrefix = "+1212".parse().unwrap();
    for arrival in [Arrival::Delivered, Arrival::Delivered, Arrival::Failed, Arrival::Unknown] {
        let mut asked = request(&money, 1, new_york);
        asked.holds.clear();
        let Admission::Admitted(it) = money.store().admit(asked, Now::At(after(10))).await.unwrap() else {
            panic!("no limit stands before it")
        };
        let spent = Spent { arrival, ..spent(1) };
        money.store().settle(it.id(), spent, None, Now::At(after(20))).await.unwrap();
        money.store().settle(it.id(), spent, None, Now::At(after(21))).await.unwrap();
    }
    for _ in 0..3 {
        let mut asked = request(&money, 1, burma());
        (asked.operation, asked.holds) = ("verifications.create".to_owned(), Vec::new());
        let Admission::Admitted(it) = money.store().admit(asked, Now::At(after(10))).await.unwrap() else {
            panic!("no limit stands before it")
        };
        money.store().sent(it, Sent::Made(None), Now::At(after(4_000))).await.unwrap();
    }
    money.store().verified(account(), burma(), None, Now::At(after(4_000))).await.unwrap();
    let none = |beginning| Traffic {
        account: account(),
        beginning,
        delivered: 0,
        undelivered: 0,
        started: 0,
        approved: 0,
    };
    let burmese = Traffic { started: 3, approved: 1, ..none(burma()) };
    let place = none("+1".parse().unwrap());
    let american = Traffic { delivered: 2, undelivered: 1, ..none(new_york) };
    assert_eq!(money.store().traffic_since(after(0)).await.unwrap(), [place, american, burmese.clone()]);
    assert_eq!(money.store().traffic_since(after(3_600)).await.unwrap(), [burmese]);
}

async fn traffic_of_long_ago_is_forgotten(world: World) {
    let money = learnt(world, &[("+447", after(-10 * DAY)), ("+959", after(-5 * DAY))]).await;
    let forget = async || {
        money.store().forget(&operator(), Forget::Traffic, after(-6 * DAY), 100, after(0)).await.unwrap()
    };
    assert_eq!((forget().await, forget().await), (1, 0));
    assert_eq!(money.store().traffic_since(after(-30 * DAY)).await.unwrap().len(), 1);
}
