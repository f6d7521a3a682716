use std::sync::Arc;

use ringfence_breaker::{Hold, Limit, Per, Probe, Reset, Scope, Subject, Threshold};
use ringfence_model::{Actor, Secret};
use ringfence_store::{
    Admission, Keys, Location, MasterKey, NewCredential, NewLimit, NewReservation, Now, Store,
};

use super::*;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a time")
}

fn watching() -> AppliedLimit {
    let limit = Limit {
        name: "daily".to_owned(),
        scope: Scope::All,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(5)),
        burst: None,
        unseen: None,
        warn: vec![],
        then: vec![],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: false,
    };
    AppliedLimit { limit, since: now() }
}

/// A store in which each of these accounts sent something that was too dear.
async fn sent_by(accounts: &[Sid], applied: &AppliedLimit, folder: &tempfile::TempDir) -> Store {
    let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
    let location = Location::Sqlite(folder.path().join("ringfence.db"));
    let store = Store::open(&location, &keys, now()).await.expect("opened");
    let new = NewLimit {
        name: applied.limit.name.clone(),
        definition: serde_json::json!(applied.limit),
        hash: "a rule".to_owned(),
        since: now(),
    };
    let by = Actor::job("test");
    store.apply_limits(&by, vec![new], now()).await.expect("applied");
    let new = NewCredential {
        kind: "egress".to_owned(),
        application: None,
        name: "shop".to_owned(),
        scopes: vec![],
        expires_at: None,
    };
    let (credential, _): (_, Secret) = store.create_credential(&by, new, now()).await.expect("made");
    for account in accounts {
        let amount = Amount::from_units(9);
        let subject = Subject::Account(*account);
        let booking = ringfence_store::Booking {
            limit: Arc::new(applied.clone()),
            subject,
            at: now(),
            seen: Amount::ZERO,
            allowance: Amount::ZERO,
            epoch: store.epoch_id().await.expect("an epoch"),
        };
        store.book_usage(booking, Now::At(now())).await.expect("read");
        let new = NewReservation {
            credential: Some(credential.sid),
            account: *account,
            operation: "messages.create".to_owned(),
            worst: amount,
            holds: vec![Hold {
                limit: Arc::new(applied.clone()),
                subject,
                amount,
                told: amount,
                places: Vec::new(),
            }],
            limits: store.limits_fingerprint().await.expect("limits").into(),
            party: None,
            beginning: None,
            patience: SignedDuration::from_secs(60),
            goes_on: SignedDuration::ZERO,
        };
        let admitted = store.admit(new, Now::At(now())).await.expect("the store is there");
        assert!(matches!(admitted, Admission::Admitted(_)), "it only watches");
    }
    store
}

#[tokio::test]
async fn amounts_of_several_currencies_are_not_added_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let [american, german, quiet] = [1, 2, 3].map(|number| Sid::new(*b"AC", number));
    let applied = watching();
    let store = sent_by(&[american, german], &applied, &folder).await;
    let told = async |currencies: &[(Sid, &str)], account: Option<Sid>| {
        let currencies = currencies.iter().map(|(account, currency)| (*account, (*currency).to_owned()));
        let limits = [applied.clone()];
        let views = Views { store: &store, limits: &limits, clients: None, has_egress: true, now: now() };
        let currencies = currencies.collect();
        let egress = views
            .tallied(&currencies, &applied, account, now())
            .await
            .expect("seen")
            .expect("counted")
            .egress;
        (egress.would_have_refused(), egress.operations[0].worst.is_some())
    };
    let both = [(american, "usd"), (german, "eur")];
    let refused = |worth: &str| (format!("it would have refused 2 of 2 requests{worth}"), !worth.is_empty());
    assert_eq!(told(&both, None).await, refused(""));
    assert_eq!(told(&[both[0], (quiet, "eur")], None).await, refused(""), "that of one is not known");
    let same = [both[0], (german, "usd"), (quiet, "eur")];
    assert_eq!(told(&same, None).await, refused(", worth 18 USD at worst"), "the other one sent nothing");
    let own = told(&both, Some(german)).await;
    assert_eq!(own.0, "it would have refused 1 of 1 request, worth 9 EUR at worst");
}
