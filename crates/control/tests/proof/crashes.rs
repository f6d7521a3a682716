//! A node is killed between any two steps of everything that it does, and another one brings it to the right end.
//!
//! A future that is dropped at an await has done what came before it and nothing of what comes after, as a process that was
//! killed there: what it had handed to the task that writes is written. So each operation is dropped before it begins, then
//! polled once and dropped, then twice, and so on until it gets through; after each of these the next node must bring about
//! all that one undisturbed node would have.

use ringfence_breaker::{Action, Limit, Per, Phase, Reset, Subject};
use ringfence_control::decide::kind;
use ringfence_control::engine::{ActRefused, Triggers};
use ringfence_control::node::{AtWork, Job};
use ringfence_control::plan::Mark;
use ringfence_model::{Actor, Sid};
use ringfence_twilio::client::TriggerFilter;
use ringfence_twilio::wire::AccountStatus;

use crate::database::{Database, on_both};
use crate::limits::fifty_a_day;
use crate::site::{Machine, Site, cut};

on_both! {
    killed_while_it_joins => joining,
    killed_while_it_reads_the_accounts => reading_accounts,
    killed_while_it_makes_triggers => making_triggers,
    killed_within_one_accounts_triggers => making_triggers_of_one,
    killed_while_it_reads_usage => reading_usage,
    killed_within_one_accounts_usage => reading_usage_of_one,
    killed_while_it_takes_a_trigger => taking_a_trigger,
    killed_while_it_confirms_a_trigger => confirming,
    killed_while_it_suspends_and_tells => working,
    killed_within_one_order_or_notice => working_one_by_one,
    killed_while_a_window_ends => ending_a_window,
    killed_while_it_seals => sealing,
    killed_while_it_forgets => forgetting,
    killed_while_an_operator_trips => tripping,
    killed_while_an_operator_resets => resetting,
    killed_while_an_operator_suspends => suspending,
    killed_while_an_operator_resumes => resuming,
}

/// The spender has used $60 today, its neighbour $49.99.
struct Case {
    site: Site,
    spender: Sid,
    neighbour: Sid,
}

/// How far everything is when the operation begins.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Until {
    /// A node that has not joined.
    Nothing,
    /// It has joined and holds all jobs.
    Joined,
    /// It knows the accounts.
    Known,
    /// They have their triggers.
    Watched,
    /// The spender's trigger has come.
    Told,
    /// Its breaker is tripped.
    Tripped,
    /// It is suspended, and people know.
    Stopped,
}

impl Case {
    async fn start(database: Database, reset: Reset) -> Self {
        let limit = Limit { reset, ..fifty_a_day(Per::Account, vec![Action::Suspend, Action::Notify]) };
        let site = Site::start(database, vec![limit]).await;
        let (spender, _) = site.world.subaccount("spender").await;
        let (neighbour, _) = site.world.subaccount("neighbour").await;
        site.spend(spender, 6000);
        site.spend(neighbour, 4999);
        site.advance(180).await;
        Self { site, spender, neighbour }
    }

    async fn machine(&self, until: Until) -> Machine {
        let machine = self.site.machine("one", 0).await;
        if until >= Until::Joined {
            machine.node.turn().await.expect("joined");
        }
        if until >= Until::Known {
            machine.round(&[Job::Accounts]).await;
        }
        if until >= Until::Watched {
            machine.round(&[Job::Triggers]).await;
        }
        if until >= Until::Told {
            self.site.advance(60).await;
            let delivered = self.site.delivered();
            assert_eq!(delivered.len(), 1, "{delivered:?}");
            for observation in delivered {
                machine.receive(&self.site, observation).await.expect("kept");
            }
        }
        if until >= Until::Tripped {
            assert_eq!(machine.node.take_triggers().await.expect("taken"), 1);
        }
        if until >= Until::Stopped {
            machine.round(&[Job::Seal]).await;
            assert_eq!(self.site.world.status(self.spender).await, AccountStatus::Suspended);
        }
        machine
    }

    async fn assert_status(&self, account: Sid, status: AccountStatus) {
        assert_eq!(self.site.world.status(account).await, status);
    }

    fn assert_told(&self, kind: &str, account: Sid, times: usize) {
        assert_eq!(self.site.told_of(kind, account), times, "{kind} of {account}: {:?}", self.site.notices());
    }

    /// What one undisturbed node would have brought about.
    async fn assert_stopped(&self) {
        self.assert_status(self.spender, AccountStatus::Suspended).await;
        self.assert_status(self.neighbour, AccountStatus::Active).await;
        self.assert_told("tripped", self.spender, 1);
        self.assert_told("in-force", self.spender, 1);
        self.assert_told("tripped", self.neighbour, 0);
    }

    /// Each account has one trigger, and the store knows whose it is.
    async fn assert_watched(&self, machine: &Machine) {
        let kept = machine.store.triggers().await.expect("triggers");
        assert_eq!(kept.len(), 2, "{kept:?}");
        for account in [self.spender, self.neighbour] {
            let list = self.site.world.parent.usage_triggers(account).list(&TriggerFilter::default());
            let there = list.all().await.expect("triggers");
            assert_eq!(there.len(), 1, "{there:?}");
            assert!(kept.iter().any(|it| it.account == account && it.sid.to_string() == there[0].sid));
        }
    }
}

fn at_work(machine: &Machine) -> AtWork {
    machine.node.at_work().expect("it works")
}

fn operator() -> Actor {
    Actor::CommandLine("ops".to_owned())
}

const LIMIT: &str = "fifty a day";

/// Kills the operation at each of its awaits, and sees what becomes of it. On PostgreSQL at every third, as it is slower.
///
/// How many awaits really wait depends on how busy the machine is, so the least is what its writes and requests alone make.
async fn everywhere(
    database: impl Fn() -> Database,
    (reset, until, points_at_least): (Reset, Until, usize),
    operation: impl AsyncFn(&Case, &Machine),
    end: impl AsyncFn(&Case, &Machine),
) {
    let mut points = 0;
    loop {
        let case = Case::start(database(), reset).await;
        let stride = if case.site.database.is_file() { 1 } else { 3 };
        let machine = case.machine(until).await;
        if until >= Until::Stopped && reset == Reset::NextWindow {
            case.site.advance(24 * 3600).await;
        }
        let polls = points * stride;
        let through = cut(operation(&case, &machine), polls).await.is_some();
        drop(machine);
        // It is started anew, or it is gone for good and another one takes its place.
        let next = case.site.machine(if points % 2 == 0 { "one" } else { "two" }, 0).await;
        next.finish(&case.site).await;
        end(&case, &next).await;
        next.finish(&case.site).await;
        next.assert_chain().await;
        assert!(next.is_quiet().await, "killed after {polls} polls");
        if through {
            assert!(points * stride + stride > points_at_least, "only {points} places to be killed at");
            return;
        }
        points += 1;
    }
}

async fn joining(database: impl Fn() -> Database) {
    let join = async |_: &Case, machine: &Machine| machine.node.turn().await.expect("joined");
    let end = async |case: &Case, _: &Machine| case.assert_stopped().await;
    everywhere(database, (Reset::Manual, Until::Nothing, 4), join, end).await;
}

async fn job(database: impl Fn() -> Database, job: Job, until: Until, points_at_least: usize) {
    let operation = async |_: &Case, machine: &Machine| {
        machine.node.do_job(job).await.expect("the store is there").expect("it has the job");
    };
    let end = async |case: &Case, machine: &Machine| {
        case.assert_stopped().await;
        case.assert_watched(machine).await;
    };
    everywhere(database, (Reset::Manual, until, points_at_least), operation, end).await;
}

async fn reading_accounts(database: impl Fn() -> Database) {
    job(database, Job::Accounts, Until::Joined, 3).await;
}

async fn making_triggers(database: impl Fn() -> Database) {
    job(database, Job::Triggers, Until::Known, 2).await;
}

async fn reading_usage(database: impl Fn() -> Database) {
    job(database, Job::Usage, Until::Watched, 2).await;
}

async fn sealing(database: impl Fn() -> Database) {
    job(database, Job::Seal, Until::Tripped, 2).await;
}

async fn forgetting(database: impl Fn() -> Database) {
    job(database, Job::Forget, Until::Stopped, 1).await;
}

async fn making_triggers_of_one(database: impl Fn() -> Database) {
    let operation = async |case: &Case, machine: &Machine| {
        let mark = Mark::new(&machine.store.instance().await.expect("a name"));
        let triggers = Triggers { callback_url: case.site.callback_url(), mark };
        let engine = at_work(machine).engine;
        let accounts = machine.store.accounts().await.expect("accounts");
        let planned = engine.plan_triggers(&triggers, &accounts).await.expect("planned");
        let by = Actor::job("triggers");
        let applied = engine.apply_triggers(&triggers, &planned.plan, &by).await.expect("applied");
        assert_eq!(applied.changed, 2, "{applied:?}");
    };
    let end = async |case: &Case, machine: &Machine| {
        case.assert_stopped().await;
        case.assert_watched(machine).await;
    };
    everywhere(database, (Reset::Manual, Until::Known, 4), operation, end).await;
}

async fn reading_usage_of_one(database: impl Fn() -> Database) {
    let operation = async |case: &Case, machine: &Machine| {
        let account = machine.store.find_account(case.spender).await.expect("the store is there");
        let read = at_work(machine).engine.read_usage(&account.expect("it is known"), "usage").await;
        read.expect("usage is read");
    };
    let end = async |case: &Case, _: &Machine| case.assert_stopped().await;
    everywhere(database, (Reset::Manual, Until::Watched, 2), operation, end).await;
}

async fn taking_a_trigger(database: impl Fn() -> Database) {
    let operation = async |_: &Case, machine: &Machine| {
        assert_eq!(machine.node.take_triggers().await.expect("taken"), 1);
    };
    let end = async |case: &Case, _: &Machine| case.assert_stopped().await;
    everywhere(database, (Reset::Manual, Until::Told, 2), operation, end).await;
}

async fn confirming(database: impl Fn() -> Database) {
    let operation = async |_: &Case, machine: &Machine| {
        assert_eq!(machine.node.confirm().await.expect("the store is there").count, 1);
    };
    let end = async |case: &Case, _: &Machine| case.assert_stopped().await;
    everywhere(database, (Reset::Manual, Until::Tripped, 2), operation, end).await;
}

async fn working(database: impl Fn() -> Database) {
    let operation = async |_: &Case, machine: &Machine| {
        assert!(machine.node.work().await.expect("the store is there") >= 4);
    };
    let end = async |case: &Case, _: &Machine| case.assert_stopped().await;
    everywhere(database, (Reset::Manual, Until::Tripped, 5), operation, end).await;
}

async fn working_one_by_one(database: impl Fn() -> Database) {
    let operation = async |_: &Case, machine: &Machine| {
        let AtWork { engine, life } = at_work(machine);
        for kind in [kind::STATUS, kind::NOTICE, kind::DELIVERY] {
            assert!(engine.work(&life, kind, 10).await.expect("the store is there").done > 0, "{kind}");
        }
    };
    let end = async |case: &Case, _: &Machine| case.assert_stopped().await;
    everywhere(database, (Reset::Manual, Until::Tripped, 12), operation, end).await;
}

async fn ending_a_window(database: impl Fn() -> Database) {
    let operation = async |_: &Case, machine: &Machine| {
        let done = machine.node.do_job(Job::Windows).await.expect("the store is there");
        assert_eq!(done.expect("it has the job").count, 1);
    };
    let end = async |case: &Case, _: &Machine| {
        case.assert_status(case.spender, AccountStatus::Active).await;
        case.assert_told("tripped", case.spender, 1);
        case.assert_told("lifted", case.spender, 1);
    };
    everywhere(database, (Reset::NextWindow, Until::Stopped, 2), operation, end).await;
}

async fn tripping(database: impl Fn() -> Database) {
    let trip = async |case: &Case, machine: &Machine| {
        let subject = Subject::Account(case.neighbour);
        let state = at_work(machine).engine.trip(LIMIT, subject, &operator(), "leaked token").await;
        assert!(state.expect("tripped").stops());
    };
    let end = async |case: &Case, machine: &Machine| {
        // Whoever saw no answer says it again.
        trip(case, machine).await;
        machine.finish(&case.site).await;
        case.assert_status(case.neighbour, AccountStatus::Suspended).await;
        case.assert_told("tripped", case.neighbour, 1);
        case.assert_told("in-force", case.neighbour, 1);
    };
    everywhere(database, (Reset::Manual, Until::Known, 2), trip, end).await;
}

async fn resetting(database: impl Fn() -> Database) {
    let reset = async |case: &Case, machine: &Machine| {
        let subject = Subject::Account(case.spender);
        match at_work(machine).engine.reset(LIMIT, subject, None, &operator(), "customer called").await {
            Ok(state) => assert!(matches!(state.phase, Phase::Probing { .. }), "{state:?}"),
            Err(refused) => assert!(matches!(refused, ActRefused::NotTripped { .. }), "{refused}"),
        }
    };
    let end = async |case: &Case, machine: &Machine| {
        reset(case, machine).await;
        machine.finish(&case.site).await;
        case.assert_status(case.spender, AccountStatus::Active).await;
        case.assert_told("reset", case.spender, 1);
        case.assert_told("tripped", case.spender, 1);
    };
    everywhere(database, (Reset::Manual, Until::Stopped, 2), reset, end).await;
}

async fn suspending(database: impl Fn() -> Database) {
    let suspend = async |case: &Case, machine: &Machine| {
        let engine = at_work(machine).engine;
        engine.suspend_account(case.neighbour, &operator(), "leaked token").await.expect("held");
    };
    let end = async |case: &Case, machine: &Machine| {
        suspend(case, machine).await;
        machine.finish(&case.site).await;
        case.assert_status(case.neighbour, AccountStatus::Suspended).await;
    };
    everywhere(database, (Reset::Manual, Until::Known, 2), suspend, end).await;
}

async fn resuming(database: impl Fn() -> Database) {
    let resume = async |case: &Case, machine: &Machine| {
        let engine = at_work(machine).engine;
        engine.suspend_account(case.neighbour, &operator(), "leaked token").await.expect("held");
        machine.node.work().await.expect("the store is there");
        engine.resume_account(case.neighbour, &operator(), "token rotated").await.expect("resumed");
        machine.node.work().await.expect("the store is there");
    };
    let end = async |case: &Case, machine: &Machine| {
        resume(case, machine).await;
        machine.finish(&case.site).await;
        case.assert_status(case.neighbour, AccountStatus::Active).await;
    };
    everywhere(database, (Reset::Manual, Until::Known, 6), resume, end).await;
}
