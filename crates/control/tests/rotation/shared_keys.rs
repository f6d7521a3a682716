//! SharedKeys at a Twilio of our own, whose rules take a minute to count: no webhook is refused, wherever it is killed.

use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_control::engine::Engine;
use ringfence_control::node::Job;
use ringfence_control::shared_keys::{Accounts, Brought, NotBegun, Settings, Waits};
use ringfence_model::Sid;
use ringfence_store::{Account, SharedKey, SharedKeyStep};
use ringfence_testkit::Upstream;
use ringfence_twilio::wire::RuleMatch;

use crate::database::{Database, on_both};
use crate::installation::{Installation, operator};

on_both! {
    a_key_begins_to_sign_and_is_replaced_without_one_refused_webhook => replaced,
    what_is_killed_after_any_request_goes_on => killed_anywhere,
}

/// An installation, and an application whose webhooks are looked at.
struct Keys {
    installation: Installation,
    application: Upstream,
    settings: Settings,
}

/// What signed a webhook.
type Signer = Option<String>;

impl Keys {
    async fn with(database: Database, names: &[&str]) -> Self {
        let mut installation = Installation::with(database, &[]).await;
        let change = |settings: &mut ringfence_sandbox::Settings| settings.shared_key_delay_s = 60;
        installation.world.sandbox.change_settings(change).unwrap();
        let application = Upstream::saying("").await;
        let url = format!("http://{}/hooks/", application.address());
        let settings = Settings {
            accounts: Accounts::All,
            urls: vec![RuleMatch::Prefix(url)],
            settle: SignedDuration::from_mins(5),
        };
        installation.shared_keys = Some(settings.clone());
        for name in names {
            installation.start(name).await;
        }
        installation.pulse().await;
        let engine = installation.engine().await;
        engine.synchronise_accounts().await.unwrap();
        Self { installation, application, settings }
    }

    async fn engine(&self) -> Arc<Engine> {
        Arc::new(self.installation.engine().await)
    }

    async fn account(&self) -> Account {
        let store = self.installation.store().await;
        store.find_account(self.installation.parent).await.unwrap().unwrap()
    }

    /// What a command does that begins now, as a process of its own.
    async fn bring(&self) -> Brought {
        let (engine, account) = (self.engine().await, self.account().await);
        let brought = engine.bring_shared_keys(&self.settings, &[account], Some(&operator()), 1).await;
        brought.unwrap().remove(0)
    }

    async fn rotate(&self, holds: bool) -> Result<(), NotBegun> {
        let (engine, account) = (self.engine().await, self.account().await);
        engine.rotate_shared_key(&self.settings, &account, &operator(), "each year", holds).await
    }

    /// A webhook of this moment; every gate must let it pass.
    async fn webhook(&self) -> Signer {
        let url = format!("http://{}/hooks/sms", self.application.address());
        let body = serde_json::json!({ "url": url, "params": { "Body": "Hi" } }).to_string();
        self.installation.world.control("POST", "webhooks", &body).await;
        let request = self.application.requests().pop().unwrap();
        let settings = request.header("x-twilio-webhooks-signature-settings")?;
        let (id, rest) = settings.strip_prefix("key=").unwrap().split_once(',').unwrap();
        assert_eq!(rest, "algorithm=HMAC_SHA256");
        for machine in &self.installation.machines {
            let known =
                machine.told.lock().unwrap().shared.iter().any(|it| it.key.as_ref().unwrap().id == id);
            assert!(known, "a webhook is refused: {id}");
        }
        Some(id.to_owned())
    }

    async fn pass(&self, seconds: u64) {
        self.installation.world.advance(seconds).await;
    }

    async fn known(&self) -> Vec<SharedKey> {
        self.installation.store().await.shared_keys().await.unwrap()
    }

    async fn steps(&self) -> Vec<SharedKeyStep> {
        let mut steps: Vec<_> = self.known().await.into_iter().map(|it| it.step).collect();
        steps.sort();
        steps
    }

    async fn id_of(&self, step: SharedKeyStep) -> String {
        let keys = self.known().await;
        keys.into_iter().find(|it| it.step == step).unwrap().key.unwrap().id
    }

    /// How many keys, settings and rules there are at Twilio.
    async fn at_twilio(&self) -> (usize, usize, usize) {
        let webhooks = self.installation.world.parent.webhooks();
        (
            webhooks.shared_keys().await.unwrap().len(),
            webhooks.settings().await.unwrap().len(),
            webhooks.rules().await.unwrap().len(),
        )
    }

    /// A first key signs.
    async fn signing(database: Database, names: &[&str]) -> Self {
        let keys = Self::with(database, names).await;
        keys.bring().await;
        keys.installation.pulse().await;
        keys.pass(120).await;
        keys.bring().await;
        keys.installation.pulse().await;
        keys.pass(60).await;
        assert_eq!(keys.webhook().await, Some(keys.id_of(SharedKeyStep::Signing).await));
        keys
    }

    /// The URLs of the rules at Twilio, in the order in which they were made.
    async fn rule_urls(&self) -> Vec<String> {
        let rules = self.installation.world.parent.webhooks().rules().await.unwrap();
        rules.into_iter().map(|rule| rule.prefix.unwrap_or_default()).collect()
    }

    /// How many notices of this kind wait or were told.
    async fn notices(&self, kind: &str) -> usize {
        let unfinished = self.installation.store().await.unfinished_after(0, 1_000).await.unwrap();
        unfinished.iter().filter(|it| it.key.contains(kind)).count()
    }

    async fn fault(&self, fault: &str) {
        self.installation.world.fault(&format!("{{\"api\": [{{{fault}}}]}}")).await;
    }
}

async fn replaced(database: impl Fn() -> Database) {
    use SharedKeyStep::{Made, Retiring, Signing};
    let keys = Keys::with(database(), &["one", "two"]).await;
    // 1. A key is made, and signs nothing before every node verifies with it and it has got everywhere.
    let brought = keys.bring().await;
    assert!(brought.trouble.is_none(), "{brought:?}");
    assert!(matches!(&brought.left.waits[..], [Waits::Nodes(late)] if late.len() == 2), "{brought:?}");
    assert_eq!((keys.steps().await, keys.at_twilio().await), (vec![Made], (1, 1, 0)));
    keys.installation.machines[0].pulse().await;
    keys.pass(600).await;
    let Brought { left, .. } = keys.bring().await;
    assert!(matches!(&left.waits[..], [Waits::Nodes(late)] if late[0].name == "two"), "{left:?}");
    keys.installation.machines[1].pulse().await;
    assert_eq!(keys.webhook().await, None, "the auth token signs");
    assert!(keys.bring().await.left.waits.is_empty());
    assert_eq!((keys.steps().await, keys.at_twilio().await), (vec![Signing], (1, 1, 1)));
    assert_eq!(keys.webhook().await, None, "the rule does not count yet");
    keys.pass(60).await;
    let first = keys.id_of(Signing).await;
    assert_eq!(keys.webhook().await, Some(first.clone()));
    // 2. Another one takes its place.
    keys.rotate(false).await.unwrap();
    keys.bring().await;
    assert!(matches!(keys.rotate(false).await, Err(NotBegun::UnderWay(_))));
    assert_eq!(keys.webhook().await, Some(first.clone()));
    keys.installation.pulse().await;
    assert!(matches!(keys.bring().await.left.waits[..], [Waits::Spreads(_)]));
    keys.pass(120).await;
    keys.bring().await;
    let second = keys.id_of(Signing).await;
    assert_eq!((keys.steps().await, keys.at_twilio().await), (vec![Signing, Retiring], (2, 2, 1)));
    assert_eq!(keys.webhook().await, Some(first), "the old one signs for a while");
    keys.installation.pulse().await;
    keys.pass(60).await;
    assert_eq!(keys.webhook().await, Some(second.clone()));
    // 3. The old one is forgotten when nothing can come any more that it signed.
    keys.pass(239).await;
    assert!(matches!(keys.bring().await.left.waits[..], [Waits::Settles(_)]));
    assert_eq!(keys.at_twilio().await, (2, 2, 1));
    keys.pass(1).await;
    keys.bring().await;
    assert_eq!((keys.steps().await, keys.at_twilio().await), (vec![Signing], (1, 1, 1)));
    keys.installation.pulse().await;
    assert_eq!(keys.webhook().await, Some(second));
    assert_eq!(keys.installation.machines[0].told.lock().unwrap().shared.len(), 1);
    assert!(keys.bring().await.changes.is_empty(), "and nothing is left to do");
}

/// Every request that changes something is once answered to nobody, whether Twilio did it or not.
async fn killed_anywhere(database: impl Fn() -> Database) {
    let keys = Keys::with(database(), &["one"]).await;
    // A rule that was made is not asked for again, so that comes last.
    let ways = [r#""drop": "before""#, r#""status": 500"#, r#""drop": "after""#];
    for (method, path) in [
        ("POST", "/v1/Webhooks/SharedKeys"),
        ("POST", "/v1/Webhooks/Settings"),
        ("POST", "/v1/Webhooks/Rules"),
        ("PATCH", "/v1/Webhooks/Rules/"),
        ("DELETE", "/v1/Webhooks/Settings/"),
        ("DELETE", "/v1/Webhooks/SharedKeys/"),
    ] {
        for way in ways {
            // Both tries of what may be repeated.
            let times = if method == "POST" { 1 } else { 2 };
            keys.fault(&format!(r#""method": "{method}", "path": "{path}", "times": {times}, {way}"#)).await;
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..60 {
        keys.bring().await;
        seen.extend(keys.webhook().await);
        keys.installation.pulse().await;
        keys.pass(65).await;
        seen.extend(keys.webhook().await);
        if round == 20 || round == 40 {
            // What was cut off there is not in the way of the next one.
            let _refused_while_one_is_prepared = keys.rotate(false).await;
        }
    }
    assert_eq!(keys.steps().await, [SharedKeyStep::Signing]);
    assert_eq!(keys.at_twilio().await, (1, 1, 1));
    assert!(seen.len() >= 2, "{seen:?}");
    assert_eq!(keys.webhook().await, Some(keys.id_of(SharedKeyStep::Signing).await));
    let left = keys.installation.world.control("GET", "faults", "").await;
    assert_eq!(left["api"], serde_json::json!([]), "all of them happened");
}

#[tokio::test]
async fn a_key_that_is_held_signs_when_an_operator_lets_it_and_one_that_is_taken_back_never_does() {
    let keys = Keys::signing(Database::sqlite(), &["one"]).await;
    let first = keys.id_of(SharedKeyStep::Signing).await;
    keys.rotate(true).await.unwrap();
    keys.bring().await;
    keys.installation.pulse().await;
    keys.pass(600).await;
    assert_eq!(keys.bring().await.left.waits, [Waits::Operator]);
    assert_eq!(keys.webhook().await, Some(first.clone()));
    let account = keys.installation.parent;
    keys.engine().await.undo_shared_key(account, &operator(), "not yet").await.unwrap();
    keys.pass(300).await;
    keys.bring().await;
    assert_eq!((keys.steps().await, keys.at_twilio().await), (vec![SharedKeyStep::Signing], (1, 1, 1)));
    assert_eq!(keys.webhook().await, Some(first.clone()));
    let nothing = keys.engine().await.undo_shared_key(account, &operator(), "x").await;
    assert!(matches!(nothing, Err(NotBegun::NotUnderWay(_))));

    keys.rotate(true).await.unwrap();
    keys.bring().await;
    keys.installation.pulse().await;
    keys.rotate(false).await.unwrap();
    keys.pass(120).await;
    keys.bring().await;
    keys.pass(60).await;
    assert_ne!(keys.webhook().await, Some(first));
}

#[tokio::test]
async fn what_the_configuration_does_not_want_any_more_is_taken_back_and_the_auth_token_signs() {
    let mut keys = Keys::signing(Database::sqlite(), &["one"]).await;
    let first = keys.id_of(SharedKeyStep::Signing).await;
    keys.settings.accounts = Accounts::These(vec![]);
    keys.bring().await;
    assert_eq!((keys.steps().await, keys.at_twilio().await), (vec![SharedKeyStep::Retiring], (1, 1, 0)));
    assert_eq!(keys.webhook().await, Some(first), "it counts for a while");
    keys.pass(60).await;
    assert_eq!(keys.webhook().await, None);
    keys.pass(240).await;
    keys.bring().await;
    assert_eq!((keys.steps().await, keys.at_twilio().await), (vec![], (0, 0, 0)));
    assert!(matches!(keys.rotate(false).await, Err(NotBegun::NotWanted(_))));
}

#[tokio::test]
async fn a_rule_that_somebody_made_is_in_the_way_and_left_alone() {
    let keys = Keys::with(Database::sqlite(), &["one"]).await;
    let webhooks = keys.installation.world.parent.clone();
    let key = webhooks.webhooks().create_shared_key("by hand").await.unwrap().key.id;
    let setting = webhooks.webhooks().create_setting("by hand", &key, "HMAC_SHA1").await.unwrap().id;
    webhooks.webhooks().create_rule("by hand", &keys.settings.urls[0], &setting).await.unwrap();
    keys.bring().await;
    keys.installation.pulse().await;
    keys.pass(120).await;
    let brought = keys.bring().await;
    assert_eq!((brought.left.in_the_way.len(), brought.left.foreign), (1, 3));
    assert_eq!(keys.at_twilio().await, (2, 2, 1));
    let rule = webhooks.webhooks().rules().await.unwrap().remove(0);
    assert_eq!(rule.only_setting(), Some(&*setting));
}

#[tokio::test]
async fn a_node_whose_job_it_is_brings_it_all_about_and_puts_back_what_somebody_removed() {
    let keys = Keys::with(Database::sqlite(), &["one"]).await;
    let node = &keys.installation.machines[0].node;
    for _ in 0..4 {
        keys.installation.pulse().await;
        node.do_job(Job::SharedKeys).await.unwrap().expect("it is its job");
        keys.pass(65).await;
    }
    keys.installation.pulse().await;
    let signing = keys.id_of(SharedKeyStep::Signing).await;
    assert_eq!(keys.webhook().await, Some(signing.clone()));
    let parent = keys.installation.world.parent.clone();
    let rule = parent.webhooks().rules().await.unwrap().remove(0).id;
    parent.webhooks().delete_rule(&rule).await.unwrap();
    keys.pass(300).await;
    assert_eq!(keys.webhook().await, None);
    node.do_job(Job::SharedKeys).await.unwrap();
    keys.pass(60).await;
    assert_eq!(keys.webhook().await, Some(signing));
}

#[tokio::test]
async fn a_rule_that_somebody_gave_another_url_is_made_again_and_told_and_is_never_missed() {
    let keys = Keys::signing(Database::sqlite(), &["one"]).await;
    let signing = keys.id_of(SharedKeyStep::Signing).await;
    let node = &keys.installation.machines[0].node;
    // Somebody has it be for everything there, and then for something else: Twilio has no way to do it in one.
    let base = format!("http://{}/", keys.application.address());
    for (is_for, covers) in [(base, true), ("https://evil.example/".to_owned(), false)] {
        let webhooks = keys.installation.world.parent.clone();
        let rule = webhooks.webhooks().rules().await.unwrap().remove(0);
        let (name, setting) = (rule.friendly_name.clone().unwrap(), rule.only_setting().unwrap().to_owned());
        webhooks.webhooks().delete_rule(&rule.id).await.unwrap();
        webhooks.webhooks().create_rule(&name, &RuleMatch::Prefix(is_for.clone()), &setting).await.unwrap();
        keys.pass(300).await;
        let expected = covers.then(|| signing.clone());
        assert_eq!(keys.webhook().await, expected, "{is_for}");

        node.do_job(Job::SharedKeys).await.unwrap();
        let urls = keys.rule_urls().await;
        assert_eq!(urls.len(), 2, "the edited one stays until the new one counts: {urls:?}");
        assert_eq!(keys.webhook().await, expected, "{is_for}");
        keys.pass(60).await;
        assert_eq!(keys.webhook().await, Some(signing.clone()), "{is_for}");
        keys.pass(240).await;
        node.do_job(Job::SharedKeys).await.unwrap();
        let RuleMatch::Prefix(wanted) = &keys.settings.urls[0] else { panic!("a prefix") };
        assert_eq!(keys.rule_urls().await, std::slice::from_ref(wanted));
        for _ in 0..2 {
            keys.pass(60).await;
            assert_eq!(keys.webhook().await, Some(signing.clone()), "{is_for}");
        }
        // And that was all.
        keys.pass(300).await;
        assert_eq!(node.do_job(Job::SharedKeys).await.unwrap().unwrap().count, 0);
    }
    let store = keys.installation.store().await;
    let audit = store.audit_rows(None, None, 1_000).await.unwrap();
    let of = |action: &str| audit.iter().filter(|row| row.action == action).count();
    assert_eq!((of("webhook-rule.mend"), of("webhook-rule.delete")), (2, 2));
    assert_eq!(keys.notices("rule-restored").await, 2);
}

#[tokio::test]
async fn a_rule_that_twilio_says_is_there_is_told_and_left_alone_whatever_it_shows() {
    let keys = Keys::signing(Database::sqlite(), &["one"]).await;
    let webhooks = keys.installation.world.parent.clone();
    let rule = webhooks.webhooks().rules().await.unwrap().remove(0);
    webhooks.webhooks().delete_rule(&rule.id).await.unwrap();
    let elsewhere = RuleMatch::Prefix("https://elsewhere.example/".to_owned());
    let (name, setting) = (rule.friendly_name.clone().unwrap(), rule.only_setting().unwrap().to_owned());
    webhooks.webhooks().create_rule(&name, &elsewhere, &setting).await.unwrap();
    keys.fault(r#""method": "POST", "path": "/v1/Webhooks/Rules", "status": 409, "code": 59103, "times": 1"#)
        .await;
    let brought = keys.bring().await;
    assert!(brought.trouble.is_none() && brought.changes.is_empty(), "{brought:?}");
    assert_eq!(brought.left.edited[0].is_for, elsewhere);
    assert_eq!((keys.at_twilio().await.2, keys.notices("rule-restored").await), (1, 0));
}

#[tokio::test]
async fn a_subaccount_has_keys_of_its_own_that_its_own_credentials_reach() {
    let keys = Keys::with(Database::sqlite(), &["one"]).await;
    let (child, client) = keys.installation.world.subaccount("customer").await;
    let engine = keys.engine().await;
    engine.synchronise_accounts().await.unwrap();
    let account = engine.store().find_account(child).await.unwrap().unwrap();
    let settings = Settings { accounts: Accounts::These(vec![child]), ..keys.settings.clone() };
    let brought = engine.bring_shared_keys(&settings, &[account], Some(&operator()), 4).await.unwrap();
    assert!(brought[0].trouble.is_none(), "{brought:?}");
    assert_eq!(client.webhooks().shared_keys().await.unwrap().len(), 1);
    assert_eq!(keys.at_twilio().await, (0, 0, 0), "the parent has none");
    let of: Vec<Sid> = keys.known().await.into_iter().map(|it| it.account).collect();
    assert_eq!(of, [child]);
}
