//! What stays when a limit is taken out of the configuration, or an account is closed, while the one holds the other.

use ringfence_breaker::{Action, Per, Subject};
use ringfence_control::decide::kind;
use ringfence_control::engine::{ActRefused, Triggers};
use ringfence_control::node::{Left, Limits};
use ringfence_control::plan::Mark;
use ringfence_control::views::{AccountView, IncidentFilter, IncidentView, Page, PhaseName, Status};
use ringfence_model::{Actor, Sid};
use ringfence_twilio::client::TriggerFilter;
use ringfence_twilio::wire::AccountStatus;

use crate::database::{Database, on_both};
use crate::node::{Node, fifty_a_day};

on_both! {
    what_a_limit_held_that_is_taken_out_is_told_and_is_let_go_by_hand => taken_out,
    what_a_limit_of_all_together_held_that_is_taken_out_is_let_go_one_by_one => taken_out_together,
    an_account_that_is_closed_is_tripped_no_more => closed,
}

fn ops() -> Actor {
    Actor::CommandLine("ops".to_owned())
}

impl Node {
    async fn account(&self, sid: Sid) -> AccountView {
        self.engine.views().account(sid).await.expect("it is known")
    }

    async fn standing(&self) -> Status {
        self.engine.views().status().await.expect("the store is there")
    }

    async fn left(&self) -> Vec<Sid> {
        self.standing().await.accounts.left_suspended.iter().map(|account| account.sid).collect()
    }

    async fn incidents_of_all(&self) -> Vec<IncidentView> {
        let (filter, all) = (IncidentFilter::default(), Page::all());
        self.engine.views().incidents(&filter, &all).await.expect("they are read").incidents
    }

    /// So many accounts spend too much, and are suspended.
    async fn suspended(&self, number: usize) -> Vec<Sid> {
        let mut accounts = Vec::new();
        for at in 0..number {
            let (account, _) = self.world.subaccount(&format!("shop {at}")).await;
            self.spend(account, "60").await;
            accounts.push(account);
        }
        self.engine.synchronise_accounts().await.expect("synchronised");
        self.advance(120).await;
        self.poll().await;
        self.work().await;
        for account in &accounts {
            assert_eq!(self.world.status(*account).await, AccountStatus::Suspended);
        }
        accounts.sort_unstable();
        accounts
    }
}

async fn taken_out(open: impl Fn() -> Database) {
    let limits = || vec![fifty_a_day(Per::Account, vec![Action::Suspend])];
    let mut node = Node::on(open(), limits()).await;
    node.apply(limits()).await;
    let accounts = node.suspended(2).await;
    assert!(!node.account(accounts[0]).await.left_suspended, "the limit holds it");

    // Whoever plans to take it out is told whom it holds; a limit that stays leaves nobody.
    let leaves = async |limits| {
        let (limits, now) = (Limits::new(limits), node.now());
        limits.leaves(&node.store, now).await.expect("the store is there")
    };
    let of = |left: &Left| (left.account.sid, left.limits.clone(), left.actions.clone());
    let both = accounts.iter().map(|sid| (*sid, vec!["fifty a day".to_owned()], vec![Action::Suspend]));
    assert_eq!(leaves(vec![]).await.iter().map(of).collect::<Vec<_>>(), both.collect::<Vec<_>>());
    assert_eq!(leaves(limits()).await, []);

    node.apply(vec![]).await;
    let told = node.engine.work(&node.me, kind::NOTICE, 100).await.expect("the store is there");
    assert_eq!(told.done, 1, "people are told, once");
    assert_eq!(node.left().await, accounts);
    assert!(!node.standing().await.is_quiet);
    let seen = node.account(accounts[0]).await;
    assert_eq!((seen.status.as_str(), seen.wanted, seen.left_suspended), ("suspended", None, true));
    for incident in node.incidents_of_all().await {
        let why = incident.ended_reason.unwrap_or_default();
        assert!(!incident.open && why.contains("taken out of the configuration"), "{why}");
    }
    // Nobody holds them, and nobody lets them go but an operator.
    node.engine.tick().await.expect("the store is there");
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.work().await;
    assert_eq!(node.world.status(accounts[1]).await, AccountStatus::Suspended);
    node.engine.resume_account(accounts[0], &ops(), "it was us").await.expect("let go");
    node.work().await;
    assert_eq!(node.world.status(accounts[0]).await, AccountStatus::Active);
    assert_eq!(node.left().await, [accounts[1]]);

    // Put back it does not find its old trips again, although nothing is less by now; what is spent anew counts.
    node.apply(limits()).await;
    node.advance(120).await;
    node.poll().await;
    node.work().await;
    assert_eq!(node.world.status(accounts[0]).await, AccountStatus::Active);
    assert_eq!(node.left().await, [accounts[1]]);
    node.spend(accounts[0], "5").await;
    node.advance(120).await;
    node.poll().await;
    node.work().await;
    assert_eq!(node.world.status(accounts[0]).await, AccountStatus::Suspended);
}

async fn taken_out_together(open: impl Fn() -> Database) {
    let limits = || vec![fifty_a_day(Per::Together, vec![Action::Suspend])];
    let mut node = Node::on(open(), limits()).await;
    node.apply(limits()).await;
    let accounts = node.suspended(2).await;
    node.apply(vec![]).await;
    assert_eq!(node.left().await, accounts);
    node.engine.resume_account(accounts[0], &ops(), "it was us").await.expect("let go");
    node.work().await;
    node.apply(limits()).await;
    node.advance(120).await;
    node.poll().await;
    node.engine.tick().await.expect("the store is there");
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.work().await;
    assert_eq!(node.world.status(accounts[0]).await, AccountStatus::Active);
    assert_eq!(node.left().await, [accounts[1]]);
}

#[tokio::test]
async fn a_trip_that_came_after_its_limit_was_taken_out_is_forgotten() {
    let limits = || vec![fifty_a_day(Per::Account, vec![Action::Suspend])];
    let mut node = Node::start(limits()).await;
    node.apply(limits()).await;
    let accounts = node.suspended(1).await;
    let before = std::sync::Arc::clone(&node.engine);
    node.apply(vec![]).await;
    // Another node has yet to hear of it.
    before.trip("fifty a day", Subject::Account(accounts[0]), &ops(), "a leak").await.expect("tripped");
    assert_eq!(node.engine.tick().await.expect("the store is there"), 1);
    assert_eq!(node.engine.tick().await.expect("the store is there"), 0);
    assert!(node.incidents_of_all().await.iter().all(|incident| !incident.open));
    node.work().await;
    assert_eq!(node.left().await, accounts);
    // A node that has yet to hear of a new limit takes nothing away from it.
    let old = std::sync::Arc::clone(&node.engine);
    node.apply(limits()).await;
    node.engine.trip("fifty a day", Subject::Account(accounts[0]), &ops(), "a leak").await.expect("tripped");
    assert_eq!(old.tick().await.expect("the store is there"), 0);
    assert_eq!(node.standing().await.breakers[0].phase, PhaseName::Tripped);
}

#[tokio::test]
async fn countries_that_a_limit_closed_which_is_taken_out_open_again_when_somebody_says_so() {
    let limits = || vec![fifty_a_day(Per::Account, vec![Action::CloseGeo])];
    let mut node = Node::start(limits()).await;
    node.apply(limits()).await;
    let (account, client) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let open = async || {
        let countries = client.sms_geo_permissions().list(&[]).await.expect("countries");
        countries.iter().filter(|country| country.enabled).count()
    };
    let before = open().await;
    let trip = node.engine.trip("fifty a day", Subject::Account(account), &ops(), "pumped").await;
    trip.expect("tripped");
    node.work().await;
    assert_eq!(open().await, 0);
    let left = Limits::new(vec![]).leaves(&node.store, node.now()).await.expect("the store is there");
    assert_eq!((left.len(), left[0].actions.as_slice()), (1, [Action::CloseGeo].as_slice()));
    node.apply(vec![]).await;
    node.work().await;
    assert_eq!(open().await, 0, "nothing is opened by a new configuration");
    node.engine.resume_account(account, &ops(), "mended").await.expect("let go");
    node.work().await;
    assert!(open().await > before / 2, "all but those that only the console opens");
    let parent = node.world.sandbox.account_sid();
    let refused = node.engine.resume_account(parent, &ops(), "nothing is closed there").await;
    assert!(matches!(refused, Err(ActRefused::Parent(_))), "{refused:?}");
}

async fn closed(open: impl Fn() -> Database) {
    let node = Node::on(open(), vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let accounts = node.suspended(1).await;
    assert_eq!(node.standing().await.breakers.len(), 1);
    let at_twilio = node.world.parent.accounts();
    at_twilio.set_status(accounts[0], &AccountStatus::Closed).await.expect("closed");
    node.engine.synchronise_accounts().await.expect("synchronised");
    let status = node.standing().await;
    assert!(status.is_quiet && status.breakers.is_empty() && status.nearest.is_empty(), "{status:#?}");
    assert_eq!(node.engine.tick().await.expect("the store is there"), 1);
    let incidents = node.incidents_of_all().await;
    assert_eq!((incidents.len(), incidents[0].open), (1, false));
    assert_eq!(incidents[0].ended_reason.as_deref(), Some("the account was closed at Twilio"));
    assert_eq!(node.account(accounts[0]).await.wanted, None);
    assert_eq!(node.engine.tick().await.expect("the store is there"), 0);
}

#[tokio::test]
async fn triggers_of_a_suspended_account_wait_until_it_is_let_go_and_nothing_fails() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let accounts = node.suspended(1).await;
    let (active, _) = node.world.subaccount("active").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let triggers =
        Triggers { callback_url: "https://hooks.example.com/trigger".to_owned(), mark: Mark::new("test") };
    let by = Actor::job("triggers");
    let bring = async || {
        let known = node.store.accounts().await.expect("accounts");
        node.engine.bring_triggers(&triggers, &known, Some(&by), 8).await.expect("brought")
    };
    let brought = bring().await;
    assert_eq!((brought.changed, brought.troubles().count()), (1, 0), "{brought:?}");
    assert_eq!(brought.planned.suspended, accounts);
    let (client, filter) = (&node.world.parent, TriggerFilter::default());
    assert_eq!(client.usage_triggers(active).list(&filter).all().await.expect("listed").len(), 1);
    let subject = Subject::Account(accounts[0]);
    node.engine.reset("fifty a day", subject, None, &ops(), "it was us").await.expect("lifted");
    node.work().await;
    let brought = bring().await;
    assert_eq!((brought.changed, brought.planned.suspended.len()), (1, 0), "{brought:?}");
}
