use jiff::Timestamp;
use ringfence_breaker::price_book::{
    Learnt, NetworkPrices, NumberType, NumberTypePrice, PrefixPrice, Prices, Source,
};
use ringfence_model::{Amount, Sid};
use ringfence_store::{Error, Forget, SeenAccount, StoredPrices};

use crate::world::{World, after, on_both, operator, start};

on_both! {
    prices_of_an_earlier_or_the_same_version_are_refused,
    a_document_that_makes_no_sense_is_said_to_be_corrupt,
    prices_are_read_back_as_they_were_learnt,
    the_prices_of_a_forgotten_account_go_with_it,
}

fn account() -> Sid {
    Sid::new(*b"AC", 1)
}

fn prices(version: u64) -> StoredPrices {
    let mut prices = Prices::new("USD");
    prices.version = version;
    let price = Some(Amount::from_micros(7_900 + i64::try_from(version).unwrap()));
    let rent = vec![NumberTypePrice { number_type: NumberType::TollFree, price }];
    let messages = vec![NetworkPrices { network: None, prices: rent.clone() }];
    let calls = vec![PrefixPrice { to: vec!["+1".parse().unwrap()], from: vec![], price: None }];
    let from = Source::Account(account());
    prices.learn_messages("US", "USD", Learnt { from, at: start(), is: messages }).unwrap();
    prices.learn_calls("US", "USD", Learnt { from, at: start(), is: calls }).unwrap();
    prices.learn_numbers("US", "USD", Learnt { from, at: start(), is: rent }).unwrap();
    StoredPrices { account: account(), fetched_at: start(), prices }
}

async fn prices_of_an_earlier_or_the_same_version_are_refused(world: World) {
    let store = &world.store;
    store.keep_prices(&operator(), prices(2), start()).await.unwrap();
    for version in [1, 2] {
        let refused = store.keep_prices(&operator(), prices(version), after(1)).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict { .. }), "{refused:?}");
    }
    assert_eq!(store.prices(account()).await.unwrap(), Some(prices(2)));
    let rows = store.audit_rows(None, None, 9).await.unwrap();
    let learnt = rows.iter().filter(|row| row.action == "prices.learn");
    assert_eq!(learnt.count(), 1, "what was refused left no trace");
}

async fn a_document_that_makes_no_sense_is_said_to_be_corrupt(world: World) {
    world.store.keep_prices(&operator(), prices(1), start()).await.unwrap();
    world.run("UPDATE prices SET document = '{}'").await;
    let refused = world.store.prices(account()).await.unwrap_err();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused:?}");
    assert_eq!(world.store.price_versions().await.unwrap(), [(account(), 1)], "which one it was is known");
}

async fn prices_are_read_back_as_they_were_learnt(world: World) {
    let store = &world.store;
    assert_eq!(store.prices(account()).await.unwrap(), None);
    assert_eq!(store.price_versions().await.unwrap(), []);
    store.keep_prices(&operator(), prices(1), start()).await.unwrap();
    let newer = StoredPrices { fetched_at: Timestamp::UNIX_EPOCH, ..prices(2) };
    store.keep_prices(&operator(), newer.clone(), after(1)).await.unwrap();
    assert_eq!(store.prices(account()).await.unwrap(), Some(newer));
    assert_eq!(store.price_versions().await.unwrap(), [(account(), 2)]);
    let audit = &store.audit_rows(None, None, 1).await.unwrap()[0];
    assert_eq!((&*audit.action, &*audit.target), ("prices.learn", &*format!("account {}", account())));
}

async fn the_prices_of_a_forgotten_account_go_with_it(world: World) {
    let store = &world.store;
    let seen = SeenAccount {
        sid: account(),
        parent: None,
        friendly_name: "Main".into(),
        status: "active".into(),
        auth_token: None,
        created: None,
        changed: None,
    };
    store.synchronise_accounts(&operator(), vec![seen], true, start()).await.unwrap();
    store.keep_prices(&operator(), prices(1), start()).await.unwrap();
    assert_eq!(store.forget(&operator(), Forget::Accounts, after(9), 10, after(9)).await.unwrap(), 0);
    assert!(store.prices(account()).await.unwrap().is_some(), "it is still there");
    store.synchronise_accounts(&operator(), vec![], true, after(1)).await.unwrap();
    assert_eq!(store.forget(&operator(), Forget::Accounts, after(9), 10, after(9)).await.unwrap(), 1);
    assert_eq!(store.prices(account()).await.unwrap(), None);
}
