//! The example of Twilio's article: whoever spends more than fifty dollars in a day is suspended.

use ringfence_breaker::{Action, Limit, Per, Reset};
use ringfence_control::node::Job;
use ringfence_model::Sid;
use ringfence_store::AuditRow;
use ringfence_twilio::wire::AccountStatus;

use crate::database::{Database, on_both};
use crate::limits::fifty_a_day;
use crate::scripted::Scripted;
use crate::site::{Machine, Site};

on_both! {
    the_next_day_lifts_nothing_where_an_operator_must => nothing_is_lifted_by_itself,
    the_next_day_lifts_it_once_where_the_limit_says_so => lifted_once,
}

struct Example {
    site: Site,
    machine: Machine,
    mail: Scripted,
    spender: Sid,
    neighbour: Sid,
}

impl Example {
    /// A subaccount spends $50.01, another one $49.99; the trigger's webhook comes.
    async fn play(database: Database, reset: Reset) -> Self {
        let limit = Limit { reset, ..fifty_a_day(Per::Account, vec![Action::Suspend, Action::Notify]) };
        let mut site = Site::start(database, vec![limit]).await;
        let mail = Scripted::start(|_| None).await;
        site.smtp = Some(format!("smtp://{}", mail.address));
        let (spender, _) = site.world.subaccount("spender").await;
        let (neighbour, _) = site.world.subaccount("neighbour").await;
        let machine = site.machine("one", 0).await;
        machine.round(&[Job::Accounts, Job::Triggers]).await;
        site.spend(spender, 5001);
        site.spend(neighbour, 4999);
        site.advance(180).await;
        let mut delivered = site.delivered();
        assert_eq!(delivered.len(), 1, "{delivered:?}");
        machine.receive(&site, delivered.remove(0)).await.expect("kept");
        // No job runs: the webhook alone is enough.
        machine.round(&[]).await;
        assert_eq!(site.world.status(spender).await, AccountStatus::Suspended);
        assert_eq!(site.world.status(neighbour).await, AccountStatus::Active);
        machine.round(&[Job::Seal]).await;
        Self { site, machine, mail, spender, neighbour }
    }

    async fn next_day(&self) {
        self.site.advance(24 * 3600).await;
        for _ in 0..3 {
            self.machine.round(&Job::ALL).await;
            self.site.advance(60).await;
        }
        assert!(self.machine.is_quiet().await);
        assert_eq!(self.site.world.status(self.neighbour).await, AccountStatus::Active);
    }

    /// The subjects of the mails that came, in order.
    fn subjects(&self) -> Vec<String> {
        let heard = self.mail.heard();
        heard.iter().filter_map(|line| Some(line.strip_prefix("Subject: ")?.to_owned())).collect()
    }
}

async fn nothing_is_lifted_by_itself(database: impl Fn() -> Database) {
    let example = Example::play(database(), Reset::Manual).await;
    let subjects = example.subjects();
    let about = |it: &&String| it.contains("spender");
    assert_eq!(subjects.iter().filter(about).count(), 2, "the trip, and that it is done: {subjects:?}");

    // Who did what and when is on record, from the webhook to the mail.
    let rows = example.machine.audit().await;
    let of = |action: &str, target: &str| {
        let found: Vec<&AuditRow> =
            rows.iter().filter(|row| row.action == action && row.target.contains(target)).collect();
        assert_eq!(found.len(), 1, "{action} of {target}: {found:?}");
        found[0]
    };
    let sid = example.spender.to_string();
    let story = [
        (of("observation.receive", &sid), format!("twilio {sid}")),
        (of("breaker.trip", &sid), format!("twilio {sid}")),
        (of("effect.add", &format!("status/{sid}")), format!("twilio {sid}")),
        (of("account.status", &sid), "job status".to_owned()),
        (of("effect.done", &format!("status/{sid}")), "job status".to_owned()),
    ];
    let now = example.site.world.sandbox.now();
    for (row, who) in &story {
        assert_eq!(row.actor.to_string(), *who, "{row:?}");
        assert_eq!(row.at, now, "{row:?}");
    }
    assert!(story.is_sorted_by_key(|(row, _)| row.id), "in this order");
    assert_eq!(of("breaker.trip", &sid).detail["accounts"], serde_json::json!([sid]));
    example.machine.assert_chain().await;

    example.next_day().await;
    assert_eq!(example.site.world.status(example.spender).await, AccountStatus::Suspended);
    assert_eq!(example.site.told_of("lifted", example.spender), 0);
}

async fn lifted_once(database: impl Fn() -> Database) {
    let example = Example::play(database(), Reset::NextWindow).await;
    example.next_day().await;
    let Example { site, machine, spender, .. } = &example;
    assert_eq!(site.world.status(*spender).await, AccountStatus::Active);
    example.next_day().await;
    assert_eq!(site.world.status(*spender).await, AccountStatus::Active);
    let lifts = machine.audit().await.iter().filter(|row| row.action == "breaker.lift").count();
    assert_eq!((lifts, site.told_of("lifted", *spender), site.told_of("tripped", *spender)), (1, 1, 1));
    machine.assert_chain().await;
}
