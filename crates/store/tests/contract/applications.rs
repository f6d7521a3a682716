use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_model::{PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::pumping::{Asker, Limits};
use ringfence_store::{
    Check, Counter, Error, Expected, Forget, NewChallenge, NewCredential, NotLimited, SendFilter, Which,
};
use serde_json::json;

use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    a_credential_opens_its_kind_alone_and_only_while_it_is_good,
    an_application_that_is_removed_takes_its_credentials_with_it,
    limits_of_an_application_are_few_and_have_names_of_their_own,
    what_a_second_factor_counted_in_is_forgotten_and_a_persons_failures_are_not,
}

fn key(application: Sid) -> NewCredential {
    NewCredential {
        kind: "verify".into(),
        application: Some(application),
        name: "ci".into(),
        scopes: vec!["approve".into()],
        expires_at: Some(after(60)),
    }
}

async fn a_credential_opens_its_kind_alone_and_only_while_it_is_good(world: World) {
    let (store, by) = (&world.store, operator());
    let nobody = store.create_credential(&by, key(Sid::new(*b"VA", 1)), start()).await;
    assert!(matches!(nobody, Err(Error::Missing { .. })), "{nobody:?}");
    let owl = store.add_application(&by, "Owl", json!({}), start()).await.unwrap();
    let (made, secret) = store.create_credential(&by, key(owl.sid), start()).await.unwrap();
    assert_eq!(store.find_credential("verify", &secret, after(59)).await.unwrap().as_ref(), Some(&made));
    assert_eq!(store.find_credential("verify", &secret, after(60)).await.unwrap(), None, "it has expired");
    assert_eq!(store.find_credential("egress", &secret, start()).await.unwrap(), None, "another kind");
    let other = Secret::new(format!("{}x", secret.expose()));
    assert_eq!(store.find_credential("verify", &other, start()).await.unwrap(), None);
    store.revoke_credential(&by, made.sid, after(1)).await.unwrap();
    store.revoke_credential(&by, made.sid, after(2)).await.unwrap();
    assert_eq!(store.find_credential("verify", &secret, after(1)).await.unwrap(), None);
    assert_eq!(store.credentials(Some(owl.sid)).await.unwrap()[0].revoked_at, Some(after(1)));
    let unknown = store.revoke_credential(&by, Sid::new(*b"SK", 9), start()).await;
    assert!(matches!(unknown, Err(Error::Missing { .. })), "{unknown:?}");
    assert!(!world.bytes().windows(secret.expose().len()).any(|bytes| bytes == secret.expose().as_bytes()));
}

async fn an_application_that_is_removed_takes_its_credentials_with_it(world: World) {
    let (store, by) = (&world.store, operator());
    let owl = store.add_application(&by, "Owl", json!({ "digits": 6 }), start()).await.unwrap();
    let rook = store.add_application(&by, "Rook", json!({}), after(1)).await.unwrap();
    let (_, secret) = store.create_credential(&by, key(owl.sid), start()).await.unwrap();
    let (_, kept) = store.create_credential(&by, key(rook.sid), start()).await.unwrap();
    let changed =
        store.change_application(&by, owl.sid, "Owl II", json!({ "digits": 8 }), after(2)).await.unwrap();
    assert_eq!((changed.name.as_str(), &changed.settings["digits"]), ("Owl II", &json!(8)));
    assert_eq!(store.find_application(owl.sid).await.unwrap().unwrap(), changed);
    store.remove_application(&by, owl.sid, after(3)).await.unwrap();
    assert_eq!(store.find_application(owl.sid).await.unwrap(), None);
    assert_eq!(store.applications().await.unwrap(), [rook]);
    assert_eq!(store.find_credential("verify", &secret, after(3)).await.unwrap(), None);
    assert!(store.find_credential("verify", &kept, after(3)).await.unwrap().is_some());
    for gone in [
        store.remove_application(&by, owl.sid, after(4)).await,
        store.change_application(&by, owl.sid, "x", json!({}), after(4)).await.map(|_| ()),
        store.create_credential(&by, key(owl.sid), after(4)).await.map(|_| ()),
    ] {
        assert!(matches!(gone, Err(Error::Missing { .. })), "{gone:?}");
    }
}

async fn limits_of_an_application_are_few_and_have_names_of_their_own(world: World) {
    let (store, by) = (&world.store, operator());
    let owl = store.add_application(&by, "Owl", json!({}), start()).await.unwrap().sid;
    let rook = store.add_application(&by, "Rook", json!({}), start()).await.unwrap().sid;
    let twice = all((0..8).map(|_| store.add_verify_limit(&by, owl, "ip", "", start()))).await;
    let (made, exists): (Vec<_>, Vec<_>) = twice.into_iter().map(Result::unwrap).partition(Result::is_ok);
    assert_eq!((made.len(), exists.len()), (1, 7));
    assert!(exists.iter().all(|it| *it == Err(NotLimited::Exists)), "{exists:?}");
    assert!(store.add_verify_limit(&by, rook, "ip", "", start()).await.unwrap().is_ok(), "its own names");
    for number in 0..9 {
        let added = store.add_verify_limit(&by, owl, &format!("n{number}"), "", start()).await.unwrap();
        assert!(added.is_ok(), "{added:?}");
    }
    assert_eq!(
        store.add_verify_limit(&by, owl, "last", "", start()).await.unwrap(),
        Err(NotLimited::TooMany)
    );

    let limit = store.verify_limits(rook).await.unwrap().remove(0).sid;
    let bucket = store.add_verify_bucket(&by, limit, 5, 60, start()).await.unwrap().unwrap();
    let same = store.add_verify_bucket(&by, limit, 6, 60, start()).await.unwrap();
    assert_eq!(same, Err(NotLimited::Exists));
    let nowhere = store.add_verify_bucket(&by, Sid::new(*b"RK", 9), 6, 60, start()).await.unwrap();
    assert_eq!(nowhere, Err(NotLimited::Missing));
    let second = store.add_verify_bucket(&by, limit, 6, 90, start()).await.unwrap().unwrap();
    let place = (limit, second.sid);
    let moved = store.change_verify_bucket(&by, place, 7, 60, start()).await.unwrap();
    assert_eq!(moved, Err(NotLimited::Exists), "another has this interval");
    let changed = store.change_verify_bucket(&by, place, 7, 90, after(1)).await.unwrap().unwrap();
    assert_eq!((changed.most, changed.updated_at), (7, after(1)));
    assert!(!store.remove_verify_bucket(&by, (Sid::new(*b"RK", 9), bucket.sid), start()).await.unwrap());
    assert!(store.remove_verify_bucket(&by, (limit, bucket.sid), start()).await.unwrap());
    assert!(store.remove_verify_limit(&by, limit, start()).await.unwrap());
    assert!(!store.remove_verify_limit(&by, limit, start()).await.unwrap());
    assert_eq!(store.verify_buckets(limit).await.unwrap(), [], "they go with their limit");
    assert_eq!(store.describe_verify_limit(&by, limit, "x", start()).await.unwrap(), None);
}

async fn what_a_second_factor_counted_in_is_forgotten_and_a_persons_failures_are_not(world: World) {
    let (store, by) = (&world.store, operator());
    for (application, counter) in [("VA1", Counter::Number), ("console", Counter::Factor("factor/f1".into()))]
    {
        let expected =
            Expected { application: application.into(), purpose: "p".into(), binding: String::new() };
        let new = NewChallenge {
            expected: expected.clone(),
            number: PhoneNumber::parse("+14155550100").unwrap(),
            channel: Channel::Sms,
            length: CodeLength::SIX,
            lifetime: SignedDuration::from_mins(10),
            custom_code: Some(Secret::new("right")),
            details: json!({}),
            counter: counter.clone(),
            limits: Arc::new(Limits::shipped([Country::parse("US").unwrap()].into())),
            asker: Asker::default(),
            own_budgets: Vec::new(),
        };
        store.begin_challenge(&by, new, start()).await.unwrap();
        let which = Which::Number(PhoneNumber::parse("+14155550100").unwrap());
        let check = Check { expected, which, code: Secret::new("wrong"), counter, worn_out: None };
        store.check_challenge(&by, check, after(1)).await.unwrap();
    }
    let number = format!(
        "number/VA1/{}",
        store.factor_keys().await.unwrap().number(PhoneNumber::parse("+14155550100").unwrap())
    );
    assert_eq!(store.failures(&number).await.unwrap().count, 1);
    assert_eq!(
        store.forget(&by, Forget::Challenges, after(600), 99, after(600)).await.unwrap(),
        1,
        "the failure"
    );
    assert_eq!(store.forget(&by, Forget::Challenges, after(601), 1, after(601)).await.unwrap(), 1, "a batch");
    assert_eq!(store.forget(&by, Forget::Challenges, after(601), 9, after(601)).await.unwrap(), 1);
    assert_eq!(store.failures(&number).await.unwrap().count, 0);
    assert_eq!(store.failures("factor/f1").await.unwrap().count, 1, "it would give new guesses");
    for application in ["VA1", "person"] {
        let of_it = SendFilter { application: application.into(), ..SendFilter::default() };
        assert_eq!(store.code_sends(&of_it, 0, 9).await.unwrap(), []);
    }
    // What Lookup said is asked for again after a while, and forgotten.
    let phone = PhoneNumber::parse("+14155550100").unwrap();
    store.keep_line_type(phone, "mobile", start()).await.unwrap();
    store.keep_line_type(phone, "landline", after(5)).await.unwrap();
    assert_eq!(store.line_type(phone, after(4)).await.unwrap().as_deref(), Some("landline"));
    assert_eq!(store.line_type(phone, after(5)).await.unwrap(), None);
    // Each costs something: they are kept for as long as they are believed, whatever is kept of challenges.
    let month = 30 * 86_400;
    for (now, forgotten) in [(6, 0), (month + 5, 0), (month + 6, 1)] {
        let rows = store.forget(&by, Forget::Challenges, after(now), 9, after(now)).await.unwrap();
        assert_eq!(rows, forgotten, "{now}");
    }
    assert!(store.forget(&by, Forget::Rates, after(100_000), 99, after(100_000)).await.unwrap() > 5);
    assert_eq!(store.forget(&by, Forget::Rates, after(100_000), 99, after(100_000)).await.unwrap(), 0);
}
