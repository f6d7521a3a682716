//! What came of requests, as a report and the pages about the ledger read it.

use std::sync::Arc;

use ringfence_breaker::{Action, Limit, Measure};
use ringfence_model::{Amount, Sid};
use ringfence_store::{
    Admission, Forget, Listing, NewLimit, NewReservation, Now, ReservationState, Sent, Spent, Tally,
};

use crate::ledger::{Money, account, dollars, limit, now, spent};
use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    before_twilios_figure_was_read_nothing_is_held_against_a_limit,
    what_a_limit_that_only_watches_would_have_refused_is_counted_with_its_worth,
    what_a_limit_refuses_is_counted_for_the_limit_that_refused,
    a_price_that_was_too_low_is_counted_apart_and_a_worst_that_was_taken_is_no_price,
    two_nodes_count_into_one_tally,
    more_than_can_be_counted_stops_no_request,
    a_limit_that_says_something_else_is_counted_anew,
    days_before_are_left_out_and_forgotten_and_so_are_other_accounts,
    a_credential_says_when_it_was_last_used_to_the_minute_and_who_made_it,
    reservations_are_listed_the_newest_first_and_page_by_page,
    what_is_open_is_counted_by_limit_and_a_figure_says_when_it_was_read,
}

async fn tally(money: &Money, limit: &str) -> Tally {
    let of = money.store().tallies(limit, None, start()).await.unwrap();
    of.into_iter().fold(Tally::default(), |sum, of| sum.and(of.tally))
}

fn watching(name: &str, units: i64) -> Limit {
    Limit { enforce: false, ..limit(name, units) }
}

async fn before_twilios_figure_was_read_nothing_is_held_against_a_limit(world: World) {
    let money = Money::with(world, vec![watching("daily", 5)]).await;
    // Of another account nobody has read anything yet.
    let mut request = money.request(9);
    request.holds[0].subject = ringfence_breaker::Subject::Account(Sid::new(*b"AC", 2));
    let Admission::Admitted(_open) = money.store().admit(request, now()).await.unwrap() else {
        panic!("it only watches")
    };
    let tally = tally(&money, "daily").await;
    assert_eq!((tally.admitted, tally.would_refuse, tally.unread), (1, 0, 1));
    assert_eq!(tally.would_refuse_worth, Amount::ZERO);
}

async fn what_a_limit_that_only_watches_would_have_refused_is_counted_with_its_worth(world: World) {
    let money = Money::with(world, vec![watching("daily", 5)]).await;
    let first = money.admitted(6).await;
    let _second = money.admitted(3).await;
    let counted = tally(&money, "daily").await;
    assert_eq!((counted.admitted, counted.would_refuse, counted.would_wait), (2, 2, 1));
    assert_eq!(counted.would_refuse_worth, dollars(9));
    money.store().settle(first.id(), spent(1), None, now()).await.unwrap();
    // The other three are still set aside.
    let _third = money.admitted(1).await;
    let counted = tally(&money, "daily").await;
    assert_eq!((counted.admitted, counted.would_refuse, counted.refused), (3, 2, 0));
    assert_eq!((counted.priced, counted.worst, counted.spent), (1, dollars(6), dollars(1)));
    assert_eq!((counted.under, counted.unpriced), (0, 0));
}

async fn what_a_limit_refuses_is_counted_for_the_limit_that_refused(world: World) {
    let tight = Limit { then: vec![Action::Notify], ..limit("tight", 5) };
    let money = Money::with(world, vec![tight, limit("wide", 50), watching("watch", 1)]).await;
    assert!(matches!(money.admit(6).await, Admission::Refused(_)));
    let refused = tally(&money, "tight").await;
    assert_eq!((refused.admitted, refused.refused, refused.refused_worth), (0, 1, dollars(6)));
    // What was refused anyway says nothing about the others.
    assert_eq!(tally(&money, "wide").await, Tally::default());
    assert_eq!(tally(&money, "watch").await, Tally::default());
}

async fn a_price_that_was_too_low_is_counted_apart_and_a_worst_that_was_taken_is_no_price(world: World) {
    let often = Limit { measure: Measure::Count, ..limit("often", 50) };
    let money = Money::with(world, vec![limit("daily", 500), often]).await;
    let store = money.store();
    for (worst, price) in [(10, 4), (2, 3), (1, 1)] {
        let open = money.admitted(worst).await;
        store.settle(open.id(), spent(price), None, now()).await.unwrap();
        // Told twice, it counts once.
        store.settle(open.id(), spent(price), None, now()).await.unwrap();
    }
    let call = NewReservation { operation: "calls.create".to_owned(), ..money.request(7) };
    let Admission::Admitted(call) = store.admit(call, now()).await.unwrap() else { panic!("it fits") };
    store.settle_at_worst(vec![call.id().to_owned()], now()).await.unwrap();
    let nothing = money.admitted(8).await;
    store.sent(nothing, Sent::Nothing, now()).await.unwrap();
    let of = store.tallies("daily", None, start()).await.unwrap();
    let [calls, messages] = of.as_slice() else { panic!("{of:?}") };
    assert_eq!((&*calls.operation, &*messages.operation), ("calls.create", "messages.create"));
    assert_eq!((calls.tally.admitted, calls.tally.priced, calls.tally.unpriced), (1, 0, 1));
    let messages = messages.tally;
    assert_eq!((messages.admitted, messages.priced, messages.unpriced), (4, 3, 0));
    assert_eq!((messages.worst, messages.spent), (dollars(13), dollars(8)));
    assert_eq!((messages.under, messages.under_by), (1, dollars(1)));
    let often = tally(&money, "often").await;
    assert_eq!((often.admitted, often.priced, often.unpriced), (5, 0, 0), "how often is known beforehand");
}

async fn two_nodes_count_into_one_tally(world: World) {
    let money = Money::with(world, vec![limit("daily", 500)]).await;
    let other = money.world.another().await;
    let ask = async |store: &ringfence_store::Store| {
        matches!(store.admit(money.request(1), now()).await.unwrap(), Admission::Admitted(_))
    };
    let both = (0..40).map(|number| ask(if number % 2 == 0 { money.store() } else { &other }));
    assert!(all(both).await.into_iter().all(|admitted| admitted));
    assert_eq!(tally(&money, "daily").await.admitted, 40);
}

async fn more_than_can_be_counted_stops_no_request(world: World) {
    let money = Money::with(world, vec![watching("daily", 5)]).await;
    for _ in 0..3 {
        let mut request = money.request(1);
        request.holds[0].amount = Amount::from_micros(i64::MAX);
        let admitted = money.store().admit(request, now()).await.unwrap();
        assert!(matches!(admitted, Admission::Admitted(_)));
    }
    let counted = tally(&money, "daily").await;
    assert_eq!((counted.would_refuse, counted.would_refuse_worth), (3, dollars(10_000_000)));
}

async fn a_limit_that_says_something_else_is_counted_anew(world: World) {
    let mut money = Money::with(world, vec![watching("daily", 5)]).await;
    let open = money.admitted(9).await;
    let of = async |money: &Money| {
        let of = money.store().tallies("daily", None, start()).await.unwrap();
        of.iter().map(|of| (of.tally.admitted, of.tally.priced)).collect::<Vec<_>>()
    };
    assert_eq!(of(&money).await, [(1, 0)]);
    assert_eq!(money.store().tallied_accounts("daily", start()).await.unwrap(), [account()]);
    let applied = money.store().applied_limits().await.unwrap().remove(0);
    assert_eq!(applied.changed_at, start());
    let apply = async |money: &Money, hash: &str, at| {
        let new = NewLimit {
            name: applied.name.clone(),
            definition: applied.definition.clone(),
            hash: hash.to_owned(),
            since: start(),
        };
        money.store().apply_limits(&operator(), vec![new], at).await.unwrap();
        let now = money.store().applied_limits().await.unwrap().remove(0);
        (now.applied_at, now.changed_at)
    };
    assert_eq!(apply(&money, "tighter", after(50)).await, (start(), after(50)));
    assert_eq!(apply(&money, "tighter", after(60)).await, (start(), after(50)), "nothing changed");
    assert_eq!(of(&money).await, []);
    assert_eq!(money.store().tallied_accounts("daily", start()).await.unwrap(), []);
    // What was admitted under the rule of before settles after it.
    money.store().settle(open.id(), spent(1), None, now()).await.unwrap();
    assert_eq!(of(&money).await, [(0, 1)]);
    money.fingerprint = money.store().limits_fingerprint().await.unwrap().into();
    let _open = money.admitted(1).await;
    assert_eq!(of(&money).await, [(1, 1)]);
    apply(&money, &applied.hash, after(70)).await;
    assert_eq!(of(&money).await, [(1, 0)]);
}

async fn days_before_are_left_out_and_forgotten_and_so_are_other_accounts(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    let _today = money.admitted(1).await;
    let tomorrow = after(86_400 - 1);
    let _late = store.admit(money.request(1), Now::At(tomorrow)).await.unwrap();
    let count = async |account: Option<Sid>, since| -> u64 {
        let of = store.tallies("daily", account, since).await.unwrap();
        of.iter().map(|of| of.tally.admitted).sum()
    };
    assert_eq!(count(None, start()).await, 2);
    assert_eq!(count(Some(account()), after(3_600)).await, 2, "a day counts whole");
    assert_eq!(count(Some(Sid::new(*b"AC", 2)), start()).await, 0);
    assert_eq!(count(None, after(86_400)).await, 0);
    let by = operator();
    assert_eq!(store.forget(&by, Forget::Tallies, start(), 9, after(99)).await.unwrap(), 0);
    assert_eq!(store.forget(&by, Forget::Tallies, after(86_400), 9, after(99)).await.unwrap(), 1);
    assert_eq!(count(None, start()).await, 0);
}

async fn a_credential_says_when_it_was_last_used_to_the_minute_and_who_made_it(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    let used = async || store.credential(money.credential).await.unwrap().unwrap().used_at;
    assert_eq!(used().await, None);
    for (seconds, noted) in [(10, 10), (69, 10), (70, 70)] {
        let asked = store.admit(money.request(1), Now::At(after(seconds))).await.unwrap();
        assert!(matches!(asked, Admission::Admitted(_)));
        assert_eq!(used().await, Some(after(noted)), "{seconds}");
    }
    store.revoke_credential((&operator(), "it leaked"), money.credential, after(80)).await.unwrap();
    assert!(matches!(money.admit(1).await, Admission::Refused(_)));
    let credential = store.credential(money.credential).await.unwrap().unwrap();
    assert_eq!((credential.used_at, credential.created_by), (Some(after(70)), Some(operator())));
    assert_eq!(store.credential(Sid::new(*b"SK", 7)).await.unwrap(), None);
    let rows = store.audit_rows(Some(&format!("credential {}", money.credential)), None, 1).await.unwrap();
    assert_eq!(rows[0].detail["reason"], "it leaked");
}

async fn reservations_are_listed_the_newest_first_and_page_by_page(world: World) {
    let money = Money::with(world, vec![limit("daily", 500)]).await;
    let store = money.store();
    let mut ids = Vec::new();
    for number in 0..5 {
        // Two at one moment, so that the name must decide.
        let at = Now::At(after(10 + number / 2));
        let Admission::Admitted(it) = store.admit(money.request(number + 1), at).await.unwrap() else {
            panic!("it fits")
        };
        ids.push(it);
    }
    let resource = Sid::new(*b"SM", 5);
    let doubtful = ids.pop().unwrap();
    let doubt = doubtful.id().to_owned();
    store.sent(doubtful, Sent::InDoubt, now()).await.unwrap();
    let settled = ids.pop().unwrap();
    let ended = settled.id().to_owned();
    let paid = Spent { price: dollars(3), ..Spent::default() };
    store.settle(settled.id(), paid, Some(resource), Now::At(after(100))).await.unwrap();
    let page = async |listing, before: Option<&_>, size| {
        store.list_reservations(listing, Some(account()), before, size).await.unwrap()
    };
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let rows = page(Listing::Open, before.as_ref(), 2).await;
        let Some(last) = rows.last() else { break };
        before = Some(last.before(Listing::Open));
        seen.extend(rows);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert!(seen.is_sorted_by_key(|row| std::cmp::Reverse((row.it.admitted_at, row.it.id.clone()))));
    assert_eq!((&seen[0].it.id, seen[0].it.state), (&doubt, ReservationState::InDoubt));
    assert_eq!((seen[0].credential, seen[0].price, seen[0].ended_at), (Some(money.credential), None, None));
    let doubts = page(Listing::InDoubt, None, 9).await;
    assert_eq!(doubts.iter().map(|row| &row.it.id).collect::<Vec<_>>(), [&doubt]);
    let over = page(Listing::Ended(after(100)), None, 9).await;
    let [row] = over.as_slice() else { panic!("{over:?}") };
    assert_eq!((&row.it.id, row.price, row.ended_at), (&ended, Some(dollars(3)), Some(after(100))));
    assert_eq!((row.it.worst, row.it.resource), (dollars(4), Some(resource)));
    assert_eq!(page(Listing::Ended(after(101)), None, 9).await, []);
    let others = store.list_reservations(Listing::Open, Some(Sid::new(*b"AC", 2)), None, 9).await.unwrap();
    assert_eq!(others, []);
    assert_eq!(store.list_reservations(Listing::Open, None, None, 9).await.unwrap().len(), 4);
}

async fn what_is_open_is_counted_by_limit_and_a_figure_says_when_it_was_read(world: World) {
    let money = Money::with(world, vec![limit("a", 50), limit("b", 50)]).await;
    let store = money.store();
    let _open = money.admitted(1).await;
    let ended = money.admitted(1).await;
    store.settle(ended.id(), spent(1), None, now()).await.unwrap();
    let open = store.open_by_limit().await.unwrap();
    let of = |limit: &str| open.get(&(limit.to_owned(), account().to_string())).copied();
    assert_eq!((of("a"), of("b"), open.len()), (Some(1), Some(1), 2));
    let read_at = async || store.ledger_of("a").await.unwrap()[0].ledger.read_at;
    assert_eq!(read_at().await, Some(after(1)));
    let limit = Arc::clone(&money.limits[0]);
    assert!(money.book(&limit, 1, 0, after(60)).await);
    assert_eq!(read_at().await, Some(after(60)));
}
