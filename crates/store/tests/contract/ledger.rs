use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{
    Action, AppliedLimit, Hold, Limit, Measure, Observation, Per, Probe, Reset, Scope, State, Subject,
    Threshold, Why, Window, step,
};
use ringfence_model::{Amount, Sid};
use ringfence_store::{
    Admission, Booking, BreakerChange, Forget, NewCredential, NewLimit, NewReservation, NotAdmitted, Now,
    Reservation, ReservationState, Sent, Spent, Step, Store,
};
use serde_json::json;

use crate::looks::{all_until, look};
use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    without_the_limits_that_hold_nothing_is_admitted,
    a_credential_that_is_revoked_or_over_gets_nothing_at_its_next_request_on_any_node,
    before_twilios_figure_was_read_nothing_is_admitted_and_in_a_new_epoch_neither,
    of_many_at_once_on_two_nodes_exactly_the_limit_is_admitted,
    where_one_limit_refuses_no_other_gives_anything,
    a_trip_binds_every_node_at_its_next_admission,
    what_was_not_made_comes_back_and_what_is_in_doubt_does_not,
    a_reservation_is_settled_once_by_its_true_price,
    a_price_above_the_worst_counts_in_full,
    what_is_billed_beside_a_message_stays_set_aside_until_usage_records_have_it,
    of_what_twilio_does_not_count_what_is_billed_beside_is_spent_at_its_worst,
    the_worst_is_taken_for_the_truth_where_twilio_tells_none,
    when_the_clock_goes_back_twilio_is_asked_before_anything_is_admitted,
    a_figure_that_was_read_before_the_memory_was_lost_is_not_taken,
    a_limit_that_was_changed_or_taken_away_for_a_while_waits_for_twilios_figure,
    an_admission_that_nobody_waits_for_takes_nothing,
    many_are_settled_at_once_and_what_was_settled_before_changes_nothing,
    of_each_limit_that_is_spent_which_it_counts,
    a_request_that_does_not_fit_is_told_once_and_again_after_a_reset,
    open_requests_alone_trip_nothing,
    what_only_watches_admits_and_says_so,
    the_sums_are_what_the_reservations_add_up_to,
    what_ended_long_ago_is_forgotten_and_what_is_open_is_not,
    by_the_databases_own_clock_a_request_is_admitted_too,
}

pub(crate) fn dollars(units: i64) -> Amount {
    Amount::from_units(units)
}

pub(crate) fn account() -> Sid {
    Sid::new(*b"AC", 1)
}

pub(crate) fn limit(name: &str, units: i64) -> Limit {
    Limit {
        name: name.to_owned(),
        scope: Scope::All,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(dollars(units)),
        burst: None,
        unseen: None,
        warn: vec![],
        then: vec![Action::Notify],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

/// A store with limits that hold, Twilio's figures read, and a credential.
pub(crate) struct Money {
    pub(crate) world: World,
    pub(crate) limits: Vec<Arc<AppliedLimit>>,
    pub(crate) fingerprint: Arc<str>,
    pub(crate) credential: Sid,
}

impl Money {
    pub(crate) async fn with(world: World, limits: Vec<Limit>) -> Self {
        let new = limits.iter().map(|limit| NewLimit {
            name: limit.name.clone(),
            definition: json!(limit),
            hash: json!(limit).to_string(),
            since: start(),
        });
        world.store.apply_limits(&operator(), new.collect(), start()).await.unwrap();
        let new = NewCredential {
            kind: "egress".to_owned(),
            application: None,
            name: "shop".to_owned(),
            scopes: vec![],
            expires_at: Some(after(864_000)),
        };
        let (credential, _) = world.store.create_credential(&operator(), new, start()).await.unwrap();
        let fingerprint = world.store.limits_fingerprint().await.unwrap().into();
        let limits =
            limits.into_iter().map(|limit| Arc::new(AppliedLimit { limit, since: start() })).collect();
        let money = Self { world, limits, fingerprint, credential: credential.sid };
        money.read_back(0).await;
        money
    }

    pub(crate) fn store(&self) -> &Store {
        &self.world.store
    }

    async fn read_back(&self, seen: i64) {
        for limit in &self.limits {
            assert!(self.book(limit, seen, 0, after(1)).await);
        }
    }

    pub(crate) async fn book(&self, limit: &Arc<AppliedLimit>, seen: i64, more: i64, at: Timestamp) -> bool {
        let booking = Booking {
            limit: Arc::clone(limit),
            subject: subject(),
            at,
            seen: dollars(seen),
            allowance: dollars(more),
            epoch: self.store().epoch_id().await.unwrap(),
        };
        self.store().book_usage(booking, Now::At(at)).await.unwrap()
    }

    pub(crate) fn request(&self, units: i64) -> NewReservation {
        let hold = |limit: &Arc<AppliedLimit>| Hold {
            limit: Arc::clone(limit),
            subject: subject(),
            amount: if limit.limit.category == "calls" { Amount::ZERO } else { dollars(units) },
            told: if limit.limit.category == "calls" { Amount::ZERO } else { dollars(units) },
            places: Vec::new(),
        };
        NewReservation {
            credential: Some(self.credential),
            account: account(),
            operation: "messages.create".to_owned(),
            worst: dollars(units),
            holds: self.limits.iter().map(hold).collect(),
            limits: Arc::clone(&self.fingerprint),
            party: Some("tag".to_owned()),
            beginning: None,
            patience: SignedDuration::from_secs(60),
            goes_on: SignedDuration::ZERO,
        }
    }

    pub(crate) async fn admit(&self, units: i64) -> Admission {
        self.store().admit(self.request(units), now()).await.unwrap()
    }

    pub(crate) async fn admitted(&self, units: i64) -> Reservation {
        match self.admit(units).await {
            Admission::Admitted(reservation) => reservation,
            Admission::Refused(why) => panic!("{why:?}"),
        }
    }

    pub(crate) async fn reserved(&self, limit: &str) -> Amount {
        let rows = self.store().ledger().await.unwrap();
        rows.iter().find(|row| row.limit == limit).unwrap().ledger.reserved
    }

    async fn settled(&self, limit: &str) -> Amount {
        let rows = self.store().ledger().await.unwrap();
        rows.iter().find(|row| row.limit == limit).unwrap().ledger.settled
    }
}

pub(crate) fn subject() -> Subject {
    Subject::Account(account())
}

pub(crate) fn now() -> Now {
    Now::At(after(10))
}

pub(crate) fn spent(units: i64) -> Spent {
    Spent { price: dollars(units), ..Spent::default() }
}

fn why(admission: &Admission) -> Option<Why> {
    match admission {
        Admission::Refused(NotAdmitted::Limit { why, .. }) => Some(*why),
        _ => None,
    }
}

async fn without_the_limits_that_hold_nothing_is_admitted(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let request = NewReservation { limits: "others".into(), ..money.request(1) };
    let refused = money.store().admit(request, now()).await.unwrap();
    assert!(matches!(refused, Admission::Refused(NotAdmitted::OtherLimits)), "{refused:?}");
    // Somebody applies others, and this node has not heard of it.
    money.store().apply_limits(&operator(), vec![], start()).await.unwrap();
    let refused = money.admit(1).await;
    assert!(matches!(refused, Admission::Refused(NotAdmitted::OtherLimits)), "{refused:?}");
    assert_eq!(money.reserved("daily").await, Amount::ZERO);
}

async fn a_credential_that_is_revoked_or_over_gets_nothing_at_its_next_request_on_any_node(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let other = money.world.another().await;
    let _open = money.admitted(1).await;
    let gone = |admission: &Admission| matches!(admission, Admission::Refused(NotAdmitted::CredentialGone));
    let over = Now::At(after(864_000));
    assert!(gone(&money.store().admit(money.request(1), over).await.unwrap()));
    let strange = NewReservation { credential: Some(Sid::new(*b"SK", 7)), ..money.request(1) };
    assert!(gone(&money.store().admit(strange, now()).await.unwrap()));
    other.revoke_credential(&operator(), money.credential, after(5)).await.unwrap();
    assert!(gone(&money.admit(1).await));
    assert!(gone(&other.admit(money.request(1), now()).await.unwrap()));
}

async fn before_twilios_figure_was_read_nothing_is_admitted_and_in_a_new_epoch_neither(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let other = Hold { subject: Subject::Together, ..money.request(1).holds[0].clone() };
    let request = NewReservation { holds: vec![other], ..money.request(1) };
    assert_eq!(why(&money.store().admit(request, now()).await.unwrap()), Some(Why::NotReadBack));

    let _open = money.admitted(10).await;
    money.store().new_epoch(&operator(), "a dump was restored", after(2)).await.unwrap();
    assert_eq!(why(&money.admit(1).await), Some(Why::NotReadBack));
    // The first figure of a new epoch has the allowance on top, later ones have not. What is known to be open may be in it
    // or not.
    for (seen, room) in [(20, 10), (25, 10)] {
        assert!(money.book(&money.limits[0], seen, 10, after(3)).await);
        assert_eq!(why(&money.admit(room + 1).await), Some(Why::OpenOnly), "after {seen}");
    }
    let _open = money.admitted(10).await;
}

async fn when_the_clock_goes_back_twilio_is_asked_before_anything_is_admitted(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let admit_at = |units, seconds| money.store().admit(money.request(units), Now::At(after(seconds)));
    let admitted = |admission: &Admission| matches!(admission, Admission::Admitted(_));
    assert!(admitted(&admit_at(30, 100).await.unwrap()));
    // A clock that is kept right goes back by little, and nobody minds.
    assert!(admitted(&admit_at(1, 50).await.unwrap()));
    let before = money.store().epoch_id().await.unwrap();
    // A day ahead, and back: what was settled today is not known any more.
    assert!(money.book(&money.limits[0], 0, 0, after(86_400)).await);
    assert!(admitted(&admit_at(1, 86_400).await.unwrap()));
    assert_eq!(why(&admit_at(1, 200).await.unwrap()), Some(Why::NotReadBack));
    assert_ne!(money.store().epoch_id().await.unwrap(), before);
    assert!(money.book(&money.limits[0], 10, 0, after(201)).await);
    // 32 are open, and the 10 that Twilio has counted may be others.
    assert_eq!(why(&admit_at(9, 202).await.unwrap()), Some(Why::OpenOnly));
    assert!(admitted(&admit_at(8, 202).await.unwrap()));
}

async fn of_many_at_once_on_two_nodes_exactly_the_limit_is_admitted(world: World) {
    let limits = vec![limit("a", 70), limit("b", 50), limit("c", 60)];
    let money = Money::with(world, limits).await;
    let (one, two) = (money.world.another().await, money.world.another().await);
    let asked = (0..400).map(|number| {
        let store = if number % 2 == 0 { &one } else { &two };
        store.admit(money.request(1), now())
    });
    let answers: Vec<_> = all(asked).await.into_iter().map(Result::unwrap).collect();
    let admitted = answers.iter().filter(|answer| matches!(answer, Admission::Admitted(_))).count();
    assert_eq!(admitted, 50);
    assert!(answers.iter().filter_map(why).all(|why| why == Why::OpenOnly));
    for name in ["a", "b", "c"] {
        assert_eq!(money.reserved(name).await, dollars(50));
    }
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}

async fn where_one_limit_refuses_no_other_gives_anything(world: World) {
    let money = Money::with(world, vec![limit("large", 50), limit("small", 5)]).await;
    let refused = money.admit(6).await;
    assert!(
        matches!(&refused, Admission::Refused(NotAdmitted::Limit { limit, why: Why::DoesNotFit, .. }) if limit == "small"),
        "{refused:?}"
    );
    assert_eq!(money.reserved("large").await, Amount::ZERO);
    assert_eq!(money.store().open_reservations(None, 10).await.unwrap(), []);
}

pub(crate) async fn move_breaker(money: &Money, version: i64, observations: &[Observation]) {
    let rule = &money.limits[0].limit;
    let moved = observations
        .iter()
        .fold(State::new(rule, after(1)), |state, observation| step(rule, state, observation, after(1)).0);
    let change = BreakerChange {
        limit: rule.name.clone(),
        subject: subject().to_string(),
        version,
        state: json!(moved),
        audit: None,
        seen: None,
    };
    let step = Step { changes: vec![change], ..Step::default() };
    money.store().step(&operator(), step, after(1)).await.unwrap();
}

async fn a_trip_binds_every_node_at_its_next_admission(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let other = money.world.another().await;
    let _open = money.admitted(1).await;
    move_breaker(&money, 0, &[Observation::Trip]).await;
    assert_eq!(why(&other.admit(money.request(1), now()).await.unwrap()), Some(Why::Tripped));
    // What costs nothing is stopped too.
    assert_eq!(why(&other.admit(money.request(0), now()).await.unwrap()), Some(Why::Tripped));
}

async fn what_was_not_made_comes_back_and_what_is_in_doubt_does_not(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    let (nothing, doubt) = (money.admitted(20).await, money.admitted(30).await);
    let (nothing_id, doubt_id) = (nothing.id().to_owned(), doubt.id().to_owned());
    assert_eq!(why(&money.admit(1).await), Some(Why::OpenOnly));
    store.sent(doubt, Sent::InDoubt, now()).await.unwrap();
    assert_eq!(why(&money.admit(1).await), Some(Why::OpenOnly));
    store.sent(nothing, Sent::Nothing, now()).await.unwrap();
    assert_eq!(money.reserved("daily").await, dollars(30));
    assert!(!store.void(&nothing_id, now()).await.unwrap(), "it has come back once");
    assert_eq!(money.reserved("daily").await, dollars(30));
    let open = store.open_reservations(Some(account()), 10).await.unwrap();
    assert_eq!((open.len(), open[0].state, &*open[0].id), (1, ReservationState::InDoubt, &*doubt_id));
    assert_eq!(open[0].deadline, after(70));
    // It was found after all.
    assert!(store.settle(&doubt_id, spent(29), Some(Sid::new(*b"SM", 1)), now()).await.unwrap());
    assert_eq!((money.reserved("daily").await, money.settled("daily").await), (Amount::ZERO, dollars(29)));
    let known = [Sid::new(*b"SM", 1), Sid::new(*b"SM", 2)];
    assert_eq!(store.reserved_resources(&known).await.unwrap(), [known[0]]);
}

async fn a_reservation_is_settled_once_by_its_true_price(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    let reservation = money.admitted(10).await;
    let id = reservation.id().to_owned();
    store.sent(reservation, Sent::Made(Some(Sid::new(*b"SM", 1))), now()).await.unwrap();
    let settled = (0..8).map(|_| store.settle(&id, spent(3), None, now()));
    let settled: Vec<bool> = all(settled).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(settled.iter().filter(|it| **it).count(), 1);
    assert!(!store.void(&id, now()).await.unwrap());
    assert!(!store.doubt(&id, now()).await.unwrap());
    assert_eq!((money.reserved("daily").await, money.settled("daily").await), (Amount::ZERO, dollars(3)));
    let _last = money.admitted(47).await;
    assert_eq!(why(&money.admit(1).await), Some(Why::OpenOnly));
}

/// A request of which the lists tell so much of its worst.
fn partly_told(money: &Money, units: i64, told: i64) -> NewReservation {
    let mut request = money.request(units);
    request.holds.iter_mut().for_each(|hold| hold.told = dollars(told));
    request
}

async fn admitted(money: &Money, request: NewReservation) -> Reservation {
    match money.store().admit(request, now()).await.unwrap() {
        Admission::Admitted(reservation) => reservation,
        Admission::Refused(why) => panic!("{why:?}"),
    }
}

async fn what_is_billed_beside_a_message_stays_set_aside_until_usage_records_have_it(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    let reservation = admitted(&money, partly_told(&money, 10, 8)).await;
    let id = reservation.id().to_owned();
    assert!(store.settle(&id, spent(7), None, now()).await.unwrap());
    assert_eq!((money.settled("daily").await, money.reserved("daily").await), (dollars(7), dollars(2)));
    assert_eq!(store.check_ledger().await.unwrap(), []);
    assert!(!store.settle(&id, spent(7), None, now()).await.unwrap());
    assert!(!store.void(&id, now()).await.unwrap());
    assert_eq!(look(&money, &all_until(after(20))).await, []);
    // Two hours later its time is over.
    let due = look(&money, &all_until(after(7_300))).await;
    assert_eq!((due.len(), due[0].state), (1, ReservationState::Priced));
    assert_eq!(store.release_beside(vec![id.clone()], now()).await.unwrap(), 1);
    assert_eq!(store.release_beside(vec![id], now()).await.unwrap(), 0);
    assert_eq!((money.settled("daily").await, money.reserved("daily").await), (dollars(7), Amount::ZERO));
    assert_eq!(store.open_reservations(None, 9).await.unwrap(), []);
}

async fn of_what_twilio_does_not_count_what_is_billed_beside_is_spent_at_its_worst(world: World) {
    let money = Money::with(world, vec![Limit { window: Window::Hour, ..limit("hourly", 50) }]).await;
    let reservation = admitted(&money, partly_told(&money, 10, 8)).await;
    assert!(money.store().settle(reservation.id(), spent(7), None, now()).await.unwrap());
    assert_eq!((money.settled("hourly").await, money.reserved("hourly").await), (dollars(9), Amount::ZERO));
    // A limit of what is billed beside alone is not charged the message.
    let reservation = admitted(&money, partly_told(&money, 1, 0)).await;
    assert!(money.store().settle(reservation.id(), spent(7), None, now()).await.unwrap());
    assert_eq!(money.settled("hourly").await, dollars(10));
}

async fn the_worst_is_taken_for_the_truth_where_twilio_tells_none(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let reservation = admitted(&money, partly_told(&money, 10, 8)).await;
    let id = reservation.id().to_owned();
    assert_eq!(money.store().settle_at_worst(vec![id.clone()], now()).await.unwrap(), 1);
    assert_eq!(money.store().settle_at_worst(vec![id], now()).await.unwrap(), 0);
    assert_eq!((money.settled("daily").await, money.reserved("daily").await), (dollars(10), Amount::ZERO));
}

async fn a_figure_that_was_read_before_the_memory_was_lost_is_not_taken(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let booking = Booking {
        limit: Arc::clone(&money.limits[0]),
        subject: subject(),
        at: after(3),
        seen: dollars(10),
        allowance: Amount::ZERO,
        epoch: money.store().epoch_id().await.unwrap(),
    };
    money.store().new_epoch(&operator(), "a dump was restored", after(2)).await.unwrap();
    assert!(!money.store().book_usage(booking, Now::At(after(3))).await.unwrap());
    assert_eq!(why(&money.admit(1).await), Some(Why::NotReadBack));
}

async fn a_limit_that_was_changed_or_taken_away_for_a_while_waits_for_twilios_figure(world: World) {
    let mut money = Money::with(world, vec![limit("daily", 50)]).await;
    let _open = money.admitted(1).await;
    let apply = |hash: &str| NewLimit {
        name: "daily".to_owned(),
        definition: json!(money.limits[0].limit),
        hash: hash.to_owned(),
        since: start(),
    };
    for applied in [vec![apply("another")], vec![], vec![apply("back")]] {
        let is_there = !applied.is_empty();
        money.world.store.apply_limits(&operator(), applied, start()).await.unwrap();
        let limits = money.world.store.limits_fingerprint().await.unwrap().into();
        let request = NewReservation { limits, ..money.request(1) };
        if is_there {
            assert_eq!(why(&money.store().admit(request, now()).await.unwrap()), Some(Why::NotReadBack));
        }
    }
    money.fingerprint = money.world.store.limits_fingerprint().await.unwrap().into();
    money.read_back(0).await;
    let _open = money.admitted(1).await;
}

async fn an_admission_that_nobody_waits_for_takes_nothing(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    for _ in 0..20 {
        let mut given_up = Box::pin(money.store().admit(money.request(50), now()));
        std::future::poll_fn(|context| {
            assert!(given_up.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    // It may be seen for one batch, and is gone with the next.
    let mut tries = 0;
    let _open = loop {
        match money.admit(50).await {
            Admission::Admitted(reservation) => break reservation,
            refused @ Admission::Refused(_) => assert!(tries < 50, "{refused:?}"),
        }
        tries += 1;
    };
    assert_eq!(money.reserved("daily").await, dollars(50));
    assert_eq!(money.store().check_ledger().await.unwrap(), []);
}

async fn many_are_settled_at_once_and_what_was_settled_before_changes_nothing(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let (one, two) = (money.admitted(10).await, money.admitted(20).await);
    let (one, two) = (one.id().to_owned(), two.id().to_owned());
    let both = || {
        vec![
            (one.clone(), spent(3), None),
            (two.clone(), spent(4), None),
            ("none".to_owned(), spent(9), None),
        ]
    };
    assert_eq!(money.store().settle_each(both(), now()).await.unwrap(), 2);
    assert_eq!(money.store().settle_each(both(), now()).await.unwrap(), 0);
    assert_eq!((money.reserved("daily").await, money.settled("daily").await), (Amount::ZERO, dollars(7)));
}

async fn a_price_above_the_worst_counts_in_full(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let reservation = money.admitted(10).await;
    money.store().settle(reservation.id(), spent(60), None, now()).await.unwrap();
    assert_eq!(money.settled("daily").await, dollars(60));
    assert_eq!(why(&money.admit(1).await), Some(Why::DoesNotFit));
}

async fn of_each_limit_that_is_spent_which_it_counts(world: World) {
    let limits = vec![
        Limit { category: "calls".to_owned(), ..limit("calls", 50) },
        Limit { measure: Measure::Count, ..limit("how many", 50) },
        limit("money", 50),
        Limit { measure: Measure::Usage, ..limit("segments", 50) },
    ];
    let money = Money::with(world, limits).await;
    let reservation = money.admitted(10).await;
    let spent = Spent { price: dollars(4), usage: Some(dollars(7)), ..Spent::default() };
    money.store().settle(reservation.id(), spent, None, now()).await.unwrap();
    for (name, units) in [("calls", 0), ("how many", 10), ("money", 4), ("segments", 7)] {
        assert_eq!(money.settled(name).await, dollars(units), "{name}");
    }
}

async fn a_request_that_does_not_fit_is_told_once_and_again_after_a_reset(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    money.read_back(50).await;
    for _ in 0..3 {
        let refused = money.admit(1).await;
        assert!(
            matches!(
                &refused,
                Admission::Refused(NotAdmitted::Limit { why: Why::DoesNotFit, trips: true, until: None, .. })
            ),
            "{refused:?}"
        );
    }
    let told = money.store().unprocessed_observations(10).await.unwrap();
    assert_eq!((told.len(), &*told[0].source, &*told[0].account), (1, "ledger", &*account().to_string()));
    assert_eq!(told[0].payload["wanted"], json!(1_000_000));

    let usage = Observation::Usage { at: after(1), amount: dollars(50) };
    move_breaker(&money, 0, &[usage, Observation::Reset { allow: Some(dollars(2)) }]).await;
    let open = money.admitted(2).await;
    money.store().settle(open.id(), spent(2), None, now()).await.unwrap();
    assert_eq!(why(&money.admit(1).await), Some(Why::DoesNotFit));
    assert_eq!(money.store().unprocessed_observations(10).await.unwrap().len(), 2);
}

async fn open_requests_alone_trip_nothing(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let _open = money.admitted(50).await;
    assert_eq!(why(&money.admit(1).await), Some(Why::OpenOnly));
    assert_eq!(money.store().unprocessed_observations(10).await.unwrap(), []);
}

async fn what_only_watches_admits_and_says_so(world: World) {
    let money = Money::with(world, vec![Limit { enforce: false, ..limit("daily", 5) }]).await;
    let reservation = money.admitted(6).await;
    assert_eq!(reservation.watched()[0].limit, "daily");
    money.store().settle(reservation.id(), spent(2), None, now()).await.unwrap();
    assert_eq!(money.admitted(1).await.watched(), []);
}

async fn the_sums_are_what_the_reservations_add_up_to(world: World) {
    let money = Money::with(world, vec![limit("a", 500), limit("b", 400)]).await;
    let store = money.store();
    let mut open = Vec::new();
    for number in 0..60_i64 {
        let day = after(number * 3_600);
        if let Admission::Admitted(reservation) =
            store.admit(money.request(number % 7 + 1), Now::At(day)).await.unwrap()
        {
            open.push(reservation);
        }
        match number % 4 {
            0 => store.sent(open.remove(0), Sent::Nothing, Now::At(day)).await.unwrap(),
            1 => store.sent(open.remove(0), Sent::InDoubt, Now::At(day)).await.unwrap(),
            2 => drop(store.settle(open.remove(0).id(), spent(1), None, Now::At(day)).await.unwrap()),
            _ => {}
        }
        assert_eq!(store.check_ledger().await.unwrap(), [], "after {number}");
    }
    assert!(money.reserved("a").await > Amount::ZERO);
    // The check can fail.
    money.world.run("UPDATE ledger SET reserved = reserved + 1 WHERE limit_name = 'a'").await;
    let errors = store.check_ledger().await.unwrap();
    assert_eq!((errors.len(), &*errors[0].limit), (1, "a"));
}

async fn what_ended_long_ago_is_forgotten_and_what_is_open_is_not(world: World) {
    let money = Money::with(world, vec![limit("daily", 50)]).await;
    let store = money.store();
    let _open = money.admitted(1).await;
    let ended = money.admitted(2).await;
    store.settle(ended.id(), spent(2), None, now()).await.unwrap();
    let (by, later) = (operator(), after(400 * 86_400));
    assert_eq!(store.forget(&by, Forget::Reservations, after(1), 9, later).await.unwrap(), 0);
    assert_eq!(store.forget(&by, Forget::Reservations, later, 9, later).await.unwrap(), 1);
    assert_eq!(money.reserved("daily").await, dollars(1), "sums under which something is open stay");
}

async fn by_the_databases_own_clock_a_request_is_admitted_too(world: World) {
    let money = Money::with(world, vec![Limit { window: Window::Hour, ..limit("hourly", 50) }]).await;
    let store = money.store();
    let new = NewCredential {
        kind: "egress".to_owned(),
        application: None,
        name: "no end".to_owned(),
        scopes: vec![],
        expires_at: None,
    };
    let (credential, _) = store.create_credential(&operator(), new, start()).await.unwrap();
    let request = NewReservation { credential: Some(credential.sid), ..money.request(1) };
    let admitted = store.admit(request, Now::Database).await.unwrap();
    assert!(matches!(admitted, Admission::Admitted(_)), "{admitted:?}");
    let open = store.open_reservations(None, 1).await.unwrap();
    let year = Timestamp::from_second(1_767_225_600).unwrap();
    assert!(open[0].admitted_at > year && open[0].deadline > open[0].admitted_at);
}
