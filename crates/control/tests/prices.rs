//! What things cost, from Twilio's price lists to charges: what the sandbox bills is never more than what was charged, in
//! whichever category it counts it.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use ringfence_breaker::charge::{Call, Message, Recipient, Sender, Unpriced, categories};
use ringfence_breaker::price_book::{PriceBook, Prices, Rules, Source};
use ringfence_breaker::{Charge, Measure};
use ringfence_control::engine::{Clients, KnownAccount, PricesWanted};
use ringfence_control::node::{Done, Job, Keep, Limits, Node, PriceBooks, Setup};
use ringfence_model::{Amount, Country, PhoneNumber, Secret, Sid};
use ringfence_sandbox::Settings;
use ringfence_store::{Keys, Location, MasterKey, Store};
use ringfence_testkit::ManualClock;
use ringfence_twilio::client::{Backoff, Client, Instructions, NewCall, NewMessage, UsageFilter, UsageSpan};
use ringfence_twilio::wire::{AccountStatus, UsageCategory};

use self::world::World;

const BEGIN: u64 = 1_772_366_400;

type Told = BTreeMap<Sid, Arc<Prices>>;

struct Site {
    world: World,
    store: Arc<Store>,
    clock: Arc<ManualClock>,
    told: Arc<Mutex<Vec<Told>>>,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
        let location = Location::Sqlite(folder.path().join("ringfence.db"));
        let now = Timestamp::from_second(BEGIN.cast_signed()).expect("a time");
        Self {
            world: World::start(Settings::default()),
            store: Arc::new(Store::open(&location, &keys, now).await.expect("a store")),
            clock: ManualClock::at(BEGIN),
            told: Arc::default(),
            _folder: folder,
        }
    }

    /// A node that is at work and knows the accounts.
    async fn node(&self, name: &str, countries: &[&str]) -> Node {
        let parent = self.parent();
        let known = KnownAccount {
            sid: parent,
            parent: None,
            auth_token: Secret::new(self.world.sandbox.auth_token(parent).expect("the main account")),
            finds_subaccounts: true,
        };
        let base = format!("http://{}", self.world.sandbox.address()).parse().expect("a URL");
        let mut settings = ringfence_twilio::client::Settings::at(base);
        let moment = Duration::from_millis(1);
        settings.backoff = Backoff { tries: 2, pause_first: moment, pause_max: moment };
        let told = Arc::clone(&self.told);
        let prices = PriceBooks {
            wanted: PricesWanted {
                countries: countries.iter().map(|it| country(it)).collect(),
                ..PricesWanted::default()
            },
            on_prices: Arc::new(move |prices| told.lock().expect("nobody panicked").push(prices.clone())),
        };
        let node = Node::new(Setup {
            name: name.to_owned(),
            store: Arc::clone(&self.store),
            clients: Clients::new(&settings, vec![known]).expect("clients"),
            limits: Limits::new(Vec::new()),
            notifier: None,
            second_factor: None,
            egress: None,
            clock: Arc::clone(&self.clock) as _,
            callback_url: None,
            console_url: None,
            poll_interval: Duration::from_mins(1),
            keep: Keep::default(),
            carriers: Vec::new(),
            on_accounts: None,
            shared_keys: None,
            signed_with: None,
            prices: Some(prices),
            examination: None,
        });
        let node = node.await.expect("a node");
        node.turn().await.expect("the store is there");
        node.do_job(Job::Accounts).await.expect("done");
        node
    }

    fn parent(&self) -> Sid {
        self.world.sandbox.account_sid()
    }

    fn hours_pass(&self, hours: u64) {
        self.clock.advance(Duration::from_secs(hours * 3_600));
    }

    fn told(&self) -> usize {
        self.told.lock().expect("nobody panicked").len()
    }

    /// What the data plane was told last of an account.
    fn prices(&self, account: Sid) -> Option<Arc<Prices>> {
        self.told.lock().expect("nobody panicked").last()?.get(&account).cloned()
    }

    fn book(&self) -> PriceBook {
        let prices = self.prices(self.parent()).expect("prices were told");
        PriceBook::new((*prices).clone(), Rules::default()).expect("a book")
    }
}

fn country(iso: &str) -> Country {
    Country::parse(iso).expect("a country of the test")
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).expect("a number of the test")
}

fn amount(text: &str) -> Amount {
    text.parse().expect("an amount of the test")
}

async fn read(node: &Node) -> Done {
    node.do_job(Job::Prices).await.expect("the store is there").expect("it is this node's")
}

#[tokio::test]
async fn a_list_that_cannot_be_read_keeps_the_old_prices_and_says_so() {
    let site = Site::new().await;
    let node = site.node("one", &["US", "DE"]).await;
    assert_eq!(read(&node).await.troubles, []);
    let before = site.prices(site.parent()).expect("prices were told");
    site.hours_pass(25);
    let fault = r#"{"api": [{"path": "/v2/Voice/Countries/DE", "status": 503}, {"path": "/v1/Messaging/Countries/US", "status": 503}]}"#;
    site.world.fault(fault).await;
    let done = read(&node).await;
    assert_eq!(done.count, 4, "of six");
    let [(account, trouble)] = &done.troubles[..] else { panic!("one account: {done:?}") };
    assert_eq!(*account, site.parent());
    assert!(trouble.contains("calls to DE") || trouble.contains("messages to US"), "{trouble}");
    assert!(trouble.ends_with("(and 1 more)"), "{trouble}");

    let after = site.prices(site.parent()).expect("prices were told");
    assert_eq!((&after.calls["DE"], &after.messages["US"]), (&before.calls["DE"], &before.messages["US"]));
    assert!(after.calls["US"].at > before.calls["US"].at);
    // Only what is missing is asked for the next time.
    site.world.control("DELETE", "faults", "").await;
    let done = read(&node).await;
    assert_eq!((done.count, done.troubles), (2, Vec::new()));
    assert_eq!(read(&node).await.count, 0);
}

#[tokio::test]
async fn where_twilio_tells_nothing_there_are_no_prices_and_what_was_kept_is_not_lost() {
    let site = Site::new().await;
    let node = site.node("one", &["US"]).await;
    site.world.fault(r#"{"api": [{"path": "/Countries", "status": 503}]}"#).await;
    let done = read(&node).await;
    assert_eq!((done.count, done.troubles.len()), (0, 1));
    assert_eq!(site.prices(site.parent()), None);
    site.world.control("DELETE", "faults", "").await;
    assert_eq!(read(&node).await.count, 3);
    site.hours_pass(25);
    site.world.fault(r#"{"api": [{"path": "/Countries", "status": 503}]}"#).await;
    let before = site.prices(site.parent());
    assert_eq!(read(&node).await.troubles.len(), 1);
    assert_eq!(site.prices(site.parent()), before);
    assert_eq!(site.world.status(site.parent()).await, AccountStatus::Active, "the rest of Twilio answers");
}

#[tokio::test]
async fn prices_are_read_once_a_day_and_told_to_every_account_and_node() {
    let site = Site::new().await;
    let (subaccount, _) = site.world.subaccount("customer").await;
    let node = site.node("one", &["US", "DE", "JM"]).await;
    assert_eq!(read(&node).await.count, 9);
    let prices = site.prices(site.parent()).expect("prices were told");
    assert_eq!(site.prices(subaccount), Some(Arc::clone(&prices)), "a subaccount pays what its parent pays");
    assert_eq!((prices.version, &*prices.currency), (1, "USD"));
    assert!(prices.messages.keys().eq(["DE", "JM", "US"]));
    assert_eq!(prices.calls["DE"].from, Source::Account(site.parent()));

    let told = site.told();
    site.hours_pass(23);
    node.turn().await.expect("the store is there");
    assert_eq!(read(&node).await.count, 0, "they are new enough");
    assert_eq!(site.told(), told, "and nothing is told that is known");
    // A node that does no jobs is told by the store.
    let other = site.node("two", &["US", "DE", "JM"]).await;
    assert!(other.do_job(Job::Prices).await.expect("the store is there").is_none());
    other.tell_prices().await.expect("the store is there");
    assert_eq!(site.told(), told + 1);
    site.hours_pass(2);
    assert_eq!(read(&node).await.count, 9);
    assert_eq!(site.prices(subaccount).expect("prices were told").version, 2);
}

#[tokio::test]
async fn countries_that_are_no_longer_wanted_are_forgotten_and_new_ones_read_at_once() {
    let site = Site::new().await;
    let node = site.node("one", &["US", "DE"]).await;
    assert_eq!(read(&node).await.count, 6);
    node.leave().await.expect("the store is there");
    let node = site.node("one", &["US", "FR"]).await;
    assert_eq!(read(&node).await.count, 3, "France alone was missing");
    let book = site.book();
    assert!(book.segment(number("+33612345678"), Sender::Any, None).is_ok());
    let german = number("+4915112345678");
    assert_eq!(book.segment(german, Sender::Any, None), Err(Unpriced::Segment(Some(country("DE")))));
}

#[tokio::test]
async fn every_country_of_the_list_has_prices() {
    let site = Site::new().await;
    let node = site.node("one", &[]).await;
    let done = read(&node).await;
    assert_eq!(done.troubles, []);
    let prices = site.prices(site.parent()).expect("prices were told");
    assert!(prices.messages.len() > 200, "{}", prices.messages.len());
    let iso: BTreeSet<_> = prices.messages.keys().collect();
    assert_eq!(iso, prices.calls.keys().collect());
    assert_eq!(iso, prices.numbers.keys().collect());
    let book = site.book();
    // The sandbox's price list: Jamaica's own, by its area code.
    assert_eq!(book.minute(number("+18765550100"), None), Ok(amount("0.089")));
    assert_eq!(book.minute(number("+14155550100"), None), Ok(amount("0.014")));
    for to in ["+4915112345678", "+447700900123", "+79161234567", "+77011234567", "+919812345678"] {
        assert!(book.segment(number(to), Sender::Any, None).is_ok(), "{to}");
        assert!(book.minute(number(to), None).is_ok(), "{to}");
    }
}

#[test]
fn every_category_of_a_charge_is_one_of_twilios_with_all_that_count_it() {
    for (name, list) in categories::ALL {
        for category in *list {
            assert!(UsageCategory::find(category).is_some(), "{name}: {category} is none of Twilio's");
            for above in UsageCategory::above(category) {
                assert!(list.contains(&above), "{name}: {category} is counted in {above} too");
            }
        }
    }
}

/// What an account has used so far, by category.
async fn used(client: &Client, account: Sid) -> BTreeMap<String, Amount> {
    let list = client.usage_records(account).list(UsageSpan::AllTime, &UsageFilter::default());
    let records = list.all().await.expect("records");
    let price = |price: Option<ringfence_twilio::wire::Price>| price.map_or(0, |price| price.micros);
    records.into_iter().map(|it| (it.category.clone(), Amount::from_micros(price(it.price)))).collect()
}

/// Nothing that was booked since is more than what was charged, in any category.
async fn is_covered(site: &Site, before: &BTreeMap<String, Amount>, charge: &Charge) {
    site.world.advance(300).await;
    let mut booked = Amount::ZERO;
    for (category, now) in used(&site.world.parent, site.parent()).await {
        let micros = now.micros() - before.get(&category).map_or(0, |it| it.micros());
        let charged = charge.amount(Measure::Price, &category);
        assert!(charged.micros() >= micros, "{category}: {micros} were booked, and {charged} charged");
        if category == "totalprice" {
            booked = Amount::from_micros(micros);
        }
    }
    assert!(booked > Amount::ZERO, "it was billed");
}

#[tokio::test]
async fn what_twilio_bills_for_a_message_was_charged_in_each_category() {
    let site = Site::new().await;
    let node = site.node("one", &["US", "DE", "GB", "JE", "JM"]).await;
    read(&node).await;
    let book = site.book();
    let client = &site.world.parent;
    let from = site.world.sandbox.phone_numbers().first().expect("a number").clone();
    let long = "ж".repeat(200);
    let media = ["https://example.com/cat.png".to_owned()];
    let cases: [(&str, &str, &[String]); 6] = [
        ("+14155550100", "hello", &[]),
        ("+4915112345678", &long, &[]),
        ("+447700900123", "hello", &[]),
        ("+447797123456", "hello", &[]),
        ("+18765550100", "hello", &[]),
        ("+14155550100", "", &media),
    ];
    for (to, body, media) in cases {
        let before = used(client, site.parent()).await;
        let message = Message {
            media: media.len(),
            ..Message::text(Recipient::parse(to), Sender::of(Some(&from), false), body)
        };
        let charge = message.charge(&book).expect("a price");
        let new = NewMessage {
            to: to.to_owned(),
            from: Some(from.clone()),
            body: Some(body.to_owned()),
            media_urls: media.to_vec(),
            ..NewMessage::default()
        };
        client.messages(site.parent()).create(&new).await.expect("sent");
        is_covered(&site, &before, &charge).await;
    }
}

#[tokio::test]
async fn what_twilio_bills_for_a_call_was_charged_in_each_category() {
    let site = Site::new().await;
    let node = site.node("one", &["US", "DE"]).await;
    read(&node).await;
    let client = &site.world.parent;
    let from = site.world.sandbox.phone_numbers().first().expect("a number").clone();
    for to in ["+14155550100", "+4915112345678", "client:tom", "sip:tom@example.com"] {
        let before = used(client, site.parent()).await;
        let call = Call {
            to: Recipient::parse(to),
            from: PhoneNumber::parse(&from).ok(),
            time_limit: Some(150),
            record: true,
            conference_record: false,
            machine_detection: true,
            conference: false,
        };
        let timed = call.charge(&site.book()).expect("a price");
        let new = NewCall {
            to: to.to_owned(),
            from: from.clone(),
            instructions: Instructions::Twiml("<Response><Pause length=\"9000\"/></Response>".to_owned()),
            method: None,
            fallback_url: None,
            fallback_method: None,
            status_callback: None,
            status_callback_method: None,
            status_callback_events: Vec::new(),
            timeout_s: None,
            time_limit_s: Some(timed.time_limit.seconds()),
            send_digits: None,
            machine_detection: Some("Enable".to_owned()),
            record: Some(true),
            recording_status_callback: None,
            caller_id: None,
            call_reason: None,
        };
        client.calls(site.parent()).create(&new).await.expect("made");
        is_covered(&site, &before, &timed.charge).await;
    }
}
