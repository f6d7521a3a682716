//! What the price book knows, and what holds where it knows nothing.

use jiff::SignedDuration;
use ringfence_breaker::price_book::{
    Learnt, Network, NetworkPrices, NumberType, NumberTypePrice, PrefixPrice, Prices, Source,
};
use ringfence_model::{Actor, Sid};
use ringfence_store::{Role, StoredPrices, Where};

use crate::world::World;

async fn learn(world: &World, account: Sid) {
    let from = Source::Account(account);
    let at = world.now() - SignedDuration::from_hours(3);
    let price = |text: &str| Some(text.parse().unwrap());
    let mut prices = Prices::new("USD");
    prices.version = 7;
    let network = |mnc: &str, text: &str| NetworkPrices {
        network: Some(Network { mcc: "262".to_owned(), mnc: mnc.to_owned() }),
        prices: vec![NumberTypePrice { number_type: NumberType::Mobile, price: price(text) }],
    };
    let messages = vec![network("01", "0.11"), network("02", "0.12")];
    prices.learn_messages("DE", "USD", Learnt { from, at, is: messages }).unwrap();
    let row = |to: &str, text: Option<&str>| PrefixPrice {
        to: vec![to.parse().unwrap()],
        from: vec![],
        price: text.map(|text| text.parse().unwrap()),
    };
    let calls = vec![row("+49", Some("0.02")), row("+4915", Some("0.14")), row("+49900", None)];
    prices.learn_calls("DE", "USD", Learnt { from, at, is: calls }).unwrap();
    let stored = StoredPrices { account, fetched_at: at, prices };
    world.store.keep_prices(&Actor::job("prices"), stored, world.now()).await.unwrap();
}

#[tokio::test]
async fn without_prices_it_says_what_is_refused() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    owner.get("/prices").await.says("No prices were read yet.");
    let page = owner.get(&format!("/accounts/{account}/prices?q=%2B4915112345678")).await;
    page.says("Nothing was read from Twilio yet");
    page.says("What has no price <strong>is refused (84022)</strong>");
    page.says("no price is known of messages to DE");
    for (q, said) in
        [("Germany", "Type a country"), ("%3Cscript%3E", "“&#60;script&#62;”"), ("ZZ", "Type a country")]
    {
        owner.get(&format!("/accounts/{account}/prices?q={q}")).await.says(said);
    }
    assert_eq!(owner.get("/accounts/AC00000000000000000000000000000009/prices").await.status, 404);
}

#[tokio::test]
async fn a_subaccount_pays_what_its_parent_pays_and_the_dearest_that_may_be_is_told() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    learn(&world, world.parent).await;
    let auditor = world.signed_in("a@example.com", Role::Auditor, Where::Account(account)).await;
    assert_eq!(auditor.get("/prices").await.header("location"), format!("/accounts/{account}/prices"));
    let path = format!("/accounts/{account}/prices");
    let page = auditor.get(&path).await;
    page.says("In USD, version 7, as its parent pays. All of it was right 3 h ago.");
    page.says("something in 1");
    page.says("10 minutes, which are sent as its limit");
    let page = auditor.get(&format!("{path}?q=de")).await;
    page.says("<strong>0.12 USD</strong> at worst");
    page.says("<strong>0.14 USD</strong> at worst");
    page.says("network 262 01");
    page.says("<th scope=\"row\">+49900</th><td class=\"number\">no price</td>");
    // 0.12 the segment, 0.03 the check for pumping, 0.002 for one that fails.
    let page = auditor.get(&format!("{path}?q=%2B49+151+12345678")).await;
    page.says("+4915112345678, DE");
    page.says("a text of one segment</th><td class=\"number\">0.152 USD");
    page.says("a call of one minute</th><td class=\"number\">0.145 USD");
    page.says("a call without TimeLimit</th><td class=\"number\">1.45 USD");
    page.does_not_say("+49900");
    let owner = world.owner().await.get("/prices").await;
    owner.says(&format!("/accounts/{}/prices", world.parent));
}
