//! Even flows: what many ask for at once, when there is room again, and what comes back.

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Action, Limit, Observation, Reset, State, Why, Window, step};
use ringfence_model::Amount;
use ringfence_store::{Admission, BreakerChange, NotAdmitted, Now, Reservation, Sent, Spent, Step};
use serde_json::json;

use crate::ledger::{Money, dollars, limit, spent, subject};
use crate::world::{World, after, all, on_both, operator};

on_both! {
    of_many_at_once_on_two_nodes_the_burst_is_admitted_and_then_no_more_than_flows_in,
    a_refusal_says_when_there_is_room_and_whoever_comes_then_gets_it,
    between_two_hours_no_more_passes_than_in_one,
    what_was_not_made_or_cost_less_comes_back_as_far_as_it_has_not_flowed_off,
    a_flow_that_acts_is_told_of_once_a_minute_and_is_closed_for_its_window,
}

/// In any hour no more than fifty, at once no more than twenty: one each two minutes.
fn hourly() -> Limit {
    Limit {
        window: Window::Gcra { seconds: 3_600 },
        burst: Some(dollars(20)),
        then: vec![],
        reset: Reset::NextWindow,
        ..limit("hourly", 50)
    }
}

async fn ask(money: &Money, units: i64, at: Timestamp) -> Result<Reservation, (Why, Option<Timestamp>)> {
    match money.store().admit(money.request(units), Now::At(at)).await.unwrap() {
        Admission::Admitted(reservation) => Ok(reservation),
        Admission::Refused(NotAdmitted::Limit { why, until, .. }) => Err((why, until)),
        Admission::Refused(other) => panic!("{other:?}"),
    }
}

async fn of_many_at_once_on_two_nodes_the_burst_is_admitted_and_then_no_more_than_flows_in(world: World) {
    let money = Money::with(world, vec![hourly()]).await;
    let (one, two) = (money.world.another().await, money.world.another().await);
    let admitted = async |at: Timestamp| {
        let asked = (0..200).map(|number| {
            let store = if number % 2 == 0 { &one } else { &two };
            store.admit(money.request(1), Now::At(at))
        });
        let answers: Vec<_> = all(asked).await.into_iter().map(Result::unwrap).collect();
        answers.iter().filter(|answer| matches!(answer, Admission::Admitted(_))).count()
    };
    assert_eq!(admitted(after(10)).await, 20);
    assert_eq!(admitted(after(129)).await, 0);
    assert_eq!(admitted(after(130)).await, 1);
    assert_eq!(admitted(after(10 + 3_600)).await, 20, "what nobody asked for is not saved up");
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}

async fn a_refusal_says_when_there_is_room_and_whoever_comes_then_gets_it(world: World) {
    let money = Money::with(world, vec![hourly()]).await;
    assert_eq!(ask(&money, 21, after(10)).await.unwrap_err(), (Why::DoesNotFit, None), "there never is");
    let _open = ask(&money, 20, after(10)).await.unwrap();
    let refused = ask(&money, 3, after(70)).await.unwrap_err();
    assert_eq!(refused, (Why::DoesNotFit, Some(after(370))));
    let just_before = after(370) - SignedDuration::from_micros(1);
    assert_eq!(ask(&money, 3, just_before).await.unwrap_err().1, Some(after(370)));
    let _open = ask(&money, 3, after(370)).await.unwrap();
}

async fn between_two_hours_no_more_passes_than_in_one(world: World) {
    let fixed = Limit { window: Window::Hour, burst: None, ..hourly() };
    let money = Money::with(world, vec![fixed, Limit { name: "flow".to_owned(), ..hourly() }]).await;
    // What each limit would let through by itself, around the full hour.
    let mut passed = [0, 0];
    for (which, passed) in passed.iter_mut().enumerate() {
        for at in [after(3_590), after(3_610)] {
            for _ in 0..60 {
                let mut request = money.request(1);
                request.holds = vec![request.holds.swap_remove(which)];
                let admission = money.store().admit(request, Now::At(at)).await.unwrap();
                if let Admission::Admitted(reservation) = admission {
                    money.store().settle(reservation.id(), spent(1), None, Now::At(at)).await.unwrap();
                    *passed += 1;
                }
            }
        }
    }
    assert_eq!(passed, [100, 20]);
}

async fn what_was_not_made_or_cost_less_comes_back_as_far_as_it_has_not_flowed_off(world: World) {
    let money = Money::with(world, vec![hourly()]).await;
    let first = ask(&money, 10, after(0)).await.unwrap();
    let second = ask(&money, 10, after(0)).await.unwrap();
    let taken = async || money.store().ledger().await.unwrap()[0].ledger.taken();
    // A quarter of the first has flowed off.
    money.store().sent(first, Sent::Nothing, Now::At(after(300))).await.unwrap();
    assert_eq!(taken().await, dollars(10));
    let cheap = Spent { price: dollars(4), ..Spent::default() };
    assert!(money.store().settle(second.id(), cheap, None, Now::At(after(300))).await.unwrap());
    assert_eq!(taken().await, dollars(4));
    let late = ask(&money, 16, after(300)).await.unwrap();
    assert!(money.store().void(late.id(), Now::At(after(7_500))).await.unwrap());
    assert_eq!(taken().await, Amount::ZERO);
    let _open = ask(&money, 20, after(7_500)).await.unwrap();
    assert!(ask(&money, 1, after(7_500)).await.is_err(), "what was void long ago makes no room");
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}

async fn a_flow_that_acts_is_told_of_once_a_minute_and_is_closed_for_its_window(world: World) {
    let rule = Limit { then: vec![Action::Notify], ..hourly() };
    let money = Money::with(world, vec![rule.clone()]).await;
    let _open = ask(&money, 20, after(10)).await.unwrap();
    for second in [11, 12, 13] {
        assert_eq!(
            ask(&money, 1, after(second)).await.unwrap_err(),
            (Why::DoesNotFit, Some(after(second + 3_600)))
        );
    }
    let told = money.store().unprocessed_observations(10).await.unwrap();
    assert_eq!(told.len(), 1);
    let seen = Observation::DoesNotFit { at: after(11), spent: dollars(20), wanted: dollars(1) };
    let (state, _) = step(&rule, State::new(&rule, after(1)), &seen, after(20));
    let change = BreakerChange {
        limit: rule.name.clone(),
        subject: subject().to_string(),
        version: 0,
        state: json!(state),
        audit: None,
        seen: None,
    };
    let step = Step { changes: vec![change], ..Step::default() };
    money.store().step(&operator(), step, after(20)).await.unwrap();
    // There would be room long before.
    let refused = ask(&money, 1, after(3_000)).await.unwrap_err();
    assert_eq!(refused, (Why::Tripped, Some(after(3_611))));
    let _open = ask(&money, 1, after(3_611)).await.unwrap();
}
