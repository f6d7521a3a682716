//! What is kept of requests.

use std::time::Duration;

use ringfence_model::{Amount, Sid};
use ringfence_store::{Forget, KeptRequest, RequestFilter, RequestVerdict, SeenOutgoing, SeenRequest};

use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    what_is_kept_is_read_as_it_was_written,
    a_request_is_found_by_each_thing_that_is_known_of_it,
    a_request_that_is_not_in_the_store_is_found_by_the_same_rules,
    one_account_sees_nothing_of_another,
    pages_follow_one_another_while_requests_come_in,
    the_oldest_go_where_there_are_too_many,
    a_lower_number_is_true_soon,
    many_nodes_write_at_once_and_nothing_is_lost,
    what_is_old_is_forgotten,
    a_purge_deletes_what_was_asked_for_and_is_on_record,
}

fn account(number: u128) -> Sid {
    Sid::new(*b"AC", number)
}

fn request(second: i64) -> SeenRequest {
    SeenRequest {
        at: after(second),
        part: "gate",
        route: "/twilio/".to_owned(),
        method: "POST",
        path: "/twilio/sms".to_owned(),
        client: [203, 0, 113, 9].into(),
        account: Some(account(1)),
        is_proven: true,
        resource: Some(Sid::new(*b"SM", 7)),
        token: Some("be47c5cf-0de2-4ea2-8f8a-d6d25a4e3bd6".to_owned()),
        verdict: RequestVerdict::Admitted {
            candidate: "as-received".to_owned(),
            finding: Some("missing".to_owned()),
        },
        status: Some(200),
        request_bytes: Some(1_204),
        answer_bytes: Some(58),
        took: Duration::from_micros(12_345),
        parameters: Some(vec![
            ("From".to_owned(), "+49… (13 digits)".to_owned()),
            ("From".to_owned(), String::new()),
        ]),
        answer: Some("Gather(Say)".to_owned()),
        outgoing: None,
    }
}

/// To Twilio, passed on though a limit only watched.
fn sent(second: i64) -> SeenRequest {
    SeenRequest {
        part: "egress",
        route: "messages.create".to_owned(),
        path: "/api.twilio.com/2010-04-01".to_owned(),
        client: [192, 0, 2, 4].into(),
        account: Some(account(4)),
        resource: Some(Sid::new(*b"MM", 8)),
        token: None,
        verdict: RequestVerdict::PassedOn { failed: None },
        status: Some(400),
        answer: None,
        outgoing: Some(Box::new(SeenOutgoing {
            credential: Some(Sid::new(*b"SK", 5)),
            credential_name: Some("The Shop".to_owned()),
            worst: Some(Amount::from_micros(7_900)),
            limit: None,
            would_refuse: vec!["an \"hour\"".to_owned(), "a day".to_owned()],
            code: Some(21_211),
        })),
        ..request(second)
    }
}

/// To Twilio, and no further than to a limit.
fn stopped(second: i64) -> SeenRequest {
    SeenRequest {
        verdict: RequestVerdict::Refused { reason: "does_not_fit".to_owned(), explanation: None },
        status: Some(403),
        outgoing: Some(Box::new(SeenOutgoing {
            limit: Some("Fifty a day".to_owned()),
            code: Some(84_030),
            ..SeenOutgoing::default()
        })),
        ..sent(second)
    }
}

fn refused(second: i64) -> SeenRequest {
    SeenRequest {
        part: "forward-auth",
        route: String::new(),
        method: "other",
        path: "/nowhere".to_owned(),
        client: "2001:db8::1".parse().unwrap(),
        account: None,
        is_proven: false,
        resource: None,
        token: None,
        verdict: RequestVerdict::Refused {
            reason: "signature_mismatch".to_owned(),
            explanation: Some("It may not\nhave \"come\" from Twilio.".to_owned()),
        },
        status: None,
        request_bytes: None,
        answer_bytes: None,
        parameters: None,
        answer: None,
        ..request(second)
    }
}

async fn kept(world: &World, filter: &RequestFilter) -> Vec<KeptRequest> {
    world.store.requests(filter, None, 10_000).await.unwrap()
}

async fn seconds(world: &World, filter: &RequestFilter) -> Vec<i64> {
    let all = kept(world, filter).await;
    all.iter().map(|it| it.seen.at.duration_since(start()).as_secs()).collect()
}

async fn what_is_kept_is_read_as_it_was_written(world: World) {
    world.store.keep_requests("one", &[], 10).await.unwrap();
    world.store.keep_requests("one", &[request(1), refused(2)], 10).await.unwrap();
    // What a stranger sent may hold what PostgreSQL has not.
    let odd = SeenRequest { path: "/\0'\\\"ä".to_owned(), ..request(3) };
    world.store.keep_requests("two", std::slice::from_ref(&odd), 10).await.unwrap();
    let all = kept(&world, &RequestFilter::default()).await;
    let seen: Vec<_> = all.iter().map(|it| (&*it.node, it.seen.clone())).collect();
    let told = SeenRequest { path: "/\u{fffd}'\\\"ä".to_owned(), ..odd };
    assert_eq!(seen, [("two", told), ("one", refused(2)), ("one", request(1))], "newest first");
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id));
    let failed = RequestVerdict::PassedOn { failed: Some("in_doubt".to_owned()) };
    let none = SeenRequest { verdict: failed, status: None, outgoing: Some(Box::default()), ..sent(6) };
    world.store.keep_requests("one", &[sent(4), stopped(5), none.clone()], 10).await.unwrap();
    let all = kept(&world, &RequestFilter { to_twilio: Some(true), ..RequestFilter::default() }).await;
    let seen: Vec<_> = all.into_iter().map(|it| it.seen).collect();
    assert_eq!(seen, [none, stopped(5), sent(4)]);
}

/// Each with the seconds of those that it finds.
fn filters() -> Vec<(RequestFilter, Vec<i64>)> {
    let with = |search: &str| RequestFilter { search: Some(search.to_owned()), ..RequestFilter::default() };
    let any = RequestFilter::default;
    vec![
        (any(), vec![5, 4, 3, 2, 1]),
        (RequestFilter { account: Some(account(1)), ..any() }, vec![1]),
        (RequestFilter { account: Some(account(9)), ..any() }, vec![]),
        (RequestFilter { route: Some("/twilio/".to_owned()), ..any() }, vec![3, 1]),
        (RequestFilter { route: Some(String::new()), ..any() }, vec![2]),
        (RequestFilter { route: Some("/twilio".to_owned()), ..any() }, vec![]),
        (RequestFilter { admitted: Some(true), ..any() }, vec![4, 3, 1]),
        (RequestFilter { admitted: Some(false), ..any() }, vec![5, 2]),
        (RequestFilter { to_twilio: Some(true), ..any() }, vec![5, 4]),
        (RequestFilter { to_twilio: Some(false), ..any() }, vec![3, 2, 1]),
        (RequestFilter { to_twilio: Some(true), admitted: Some(false), ..any() }, vec![5]),
        (RequestFilter { would_refuse: true, ..any() }, vec![4]),
        (RequestFilter { route: Some("messages.create".to_owned()), ..any() }, vec![5, 4]),
        (RequestFilter { since: Some(after(2)), ..any() }, vec![5, 4, 3, 2]),
        (with("the shop"), vec![4]),
        (with("sk00000000000000000000000000000005"), vec![4]),
        (with("FIFTY a"), vec![5]),
        (RequestFilter { credentials: Some(vec![]), ..any() }, vec![5, 4, 3, 2, 1]),
        (RequestFilter { credentials: Some(vec![]), ..with("the shop") }, vec![]),
        (RequestFilter { credentials: Some(vec![]), ..with("SK0000") }, vec![]),
        (RequestFilter { credentials: Some(vec![]), ..with("a day\"]") }, vec![4]),
        (
            RequestFilter {
                credentials: Some(vec![Sid::new(*b"SK", 5), Sid::new(*b"SK", 6)]),
                ..with("the shop")
            },
            vec![4],
        ),
        (RequestFilter { credentials: Some(vec![Sid::new(*b"SK", 6)]), ..with("the shop") }, vec![]),
        (with("a day\"]"), vec![4]),
        (with("DOES_not_fit"), vec![5]),
        (with("SIGNATURE_M"), vec![2]),
        (with("/NOWHERE"), vec![2]),
        (with("203.0.113"), vec![3, 1]),
        (with("2001:DB8"), vec![2]),
        (with("ac00000000000000000000000000000002"), vec![3]),
        (with("SM0000"), vec![3, 1]),
        (with("%"), vec![]),
        (with("tw_lio"), vec![]),
        (RequestFilter { admitted: Some(true), account: Some(account(2)), ..with("sms") }, vec![3]),
    ]
}

fn some() -> [SeenRequest; 5] {
    let other = SeenRequest { account: Some(account(2)), ..request(3) };
    [request(1), refused(2), other, sent(4), stopped(5)]
}

async fn a_request_is_found_by_each_thing_that_is_known_of_it(world: World) {
    world.store.keep_requests("one", &some(), 10).await.unwrap();
    for (filter, expected) in filters() {
        assert_eq!(seconds(&world, &filter).await, expected, "{filter:?}");
    }
}

async fn a_request_that_is_not_in_the_store_is_found_by_the_same_rules(_world: World) {
    for (filter, expected) in filters() {
        let found: Vec<_> = some().into_iter().rev().filter(|seen| filter.has(seen)).collect();
        let found: Vec<_> = found.iter().map(|seen| seen.at.duration_since(start()).as_secs()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn one_account_sees_nothing_of_another(world: World) {
    let of = |second, number| SeenRequest { account: Some(account(number)), ..request(second) };
    world.store.keep_requests("one", &[of(1, 1), of(2, 2), refused(3)], 10).await.unwrap();
    let mine = RequestFilter { account: Some(account(2)), ..RequestFilter::default() };
    for search in [None, Some("%"), Some(""), Some("AC00000000000000000000000000000001")] {
        let filter = RequestFilter { search: search.map(str::to_owned), ..mine.clone() };
        let all = kept(&world, &filter).await;
        assert!(all.iter().all(|it| it.seen.account == Some(account(2))), "{search:?}");
    }
    assert_eq!(seconds(&world, &mine).await, [2]);
    assert_eq!(world.store.count_requests(Some(account(2))).await.unwrap(), 1);
    assert_eq!(world.store.count_requests(None).await.unwrap(), 3);
}

async fn pages_follow_one_another_while_requests_come_in(world: World) {
    let five: Vec<_> = (1..=5).map(request).collect();
    world.store.keep_requests("one", &five, 100).await.unwrap();
    let any = RequestFilter::default();
    let first = world.store.requests(&any, None, 2).await.unwrap();
    world.store.keep_requests("one", &[request(6)], 100).await.unwrap();
    let second = world.store.requests(&any, Some(first[1].id), 2).await.unwrap();
    let told: Vec<_> = first.iter().chain(&second).map(|it| it.seen.at).collect();
    assert_eq!(told, [after(5), after(4), after(3), after(2)]);
}

async fn the_oldest_go_where_there_are_too_many(world: World) {
    for second in 1..=30 {
        world.store.keep_requests("one", &[request(second)], 10).await.unwrap();
        assert!(world.store.count_requests(None).await.unwrap() <= 10);
    }
    assert_eq!(seconds(&world, &RequestFilter::default()).await, (21..=30).rev().collect::<Vec<_>>());
}

async fn a_lower_number_is_true_soon(world: World) {
    let many: Vec<_> = (1..=40).map(request).collect();
    world.store.keep_requests("one", &many, 100).await.unwrap();
    world.store.keep_requests("one", &[request(41)], 10).await.unwrap();
    assert_eq!(world.store.count_requests(None).await.unwrap(), 39, "two for one");
    assert_eq!(world.store.trim_requests(10, 20).await.unwrap(), 20);
    assert_eq!(world.store.trim_requests(10, 20).await.unwrap(), 9);
    assert_eq!(world.store.trim_requests(10, 20).await.unwrap(), 0);
    assert_eq!(seconds(&world, &RequestFilter::default()).await, (32..=41).rev().collect::<Vec<_>>());
}

async fn many_nodes_write_at_once_and_nothing_is_lost(world: World) {
    let other = world.another().await;
    let writes = (0..20_i64).map(|batch| {
        let store = if batch % 2 == 0 { &world.store } else { &other };
        async move {
            let ten: Vec<_> = (0..10).map(|place| request(batch * 10 + place)).collect();
            store.keep_requests("one", &ten, 1_000).await
        }
    });
    assert!(all(writes).await.iter().all(Result::is_ok));
    let mut found = seconds(&world, &RequestFilter::default()).await;
    found.sort_unstable();
    assert_eq!(found, (0..200).collect::<Vec<_>>());
    other.close().await;
}

async fn what_is_old_is_forgotten(world: World) {
    let five: Vec<_> = (1..=5).map(request).collect();
    world.store.keep_requests("one", &five, 100).await.unwrap();
    let by = operator();
    let forget = |batch| world.store.forget(&by, Forget::Requests, after(4), batch, after(9));
    assert_eq!(forget(2).await.unwrap(), 2);
    assert_eq!(seconds(&world, &RequestFilter::default()).await, [5, 4, 3]);
    assert_eq!(forget(2).await.unwrap(), 1);
    assert_eq!(forget(2).await.unwrap(), 0);
    assert_eq!(seconds(&world, &RequestFilter::default()).await, [5, 4]);
}

async fn a_purge_deletes_what_was_asked_for_and_is_on_record(world: World) {
    let five: Vec<_> = (1..=5).map(request).collect();
    world.store.keep_requests("one", &five, 100).await.unwrap();
    let by = operator();
    let purge = |before, reason| world.store.purge_requests(&by, before, reason, after(9));
    assert_eq!(purge(Some(after(3)), "asked to").await.unwrap(), 2);
    assert_eq!(seconds(&world, &RequestFilter::default()).await, [5, 4, 3]);
    assert_eq!(purge(None, "the rest").await.unwrap(), 3);
    assert_eq!(world.store.count_requests(None).await.unwrap(), 0);
    let audit = world.store.audit_rows(Some("requests"), None, 10).await.unwrap();
    let told: Vec<_> = audit
        .iter()
        .map(|row| (&*row.action, row.detail["rows"].as_i64(), row.detail["reason"].as_str()))
        .collect();
    assert_eq!(
        told,
        [("inspector.purge", Some(3), Some("the rest")), ("inspector.purge", Some(2), Some("asked to"))]
    );
    assert!(audit.iter().all(|row| row.actor == operator()));
    // What comes then has ids that were never given.
    world.store.keep_requests("one", &[request(6)], 3).await.unwrap();
    assert_eq!(seconds(&world, &RequestFilter::default()).await, [6]);
    if world.is_sqlite() {
        let bytes = world.bytes();
        let found = |text: &[u8]| bytes.windows(text.len()).filter(|it| *it == text).count();
        assert!(found(b"be47c5cf") > 0, "one of them is there");
    }
}
