//! One examination: everything is read, one thing after the other, and handed to the checks.
//!
//! Accounts are read several at once. Each step ends with the deadline of the whole; what it leaves out was not made.

mod shared_keys;
mod unsigned;

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Uri;
use jiff::Timestamp;
use ringfence_model::{Clock, Sid};
use ringfence_store::{Durability, EGRESS, PostgresDurability};
use ringfence_twilio::client::BaseUrl;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::accounts::{self, SendsBy};
use super::curl::Curl;
use super::facts::{Account, Facts, said};
use super::finding::{Check, Finding, Report};
use super::hello::Dead;
use super::hooks::{self, Hook, host_and_port};
use super::outside;
use super::web::{Certificate, NoAnswer, PATIENCE, Web};
use super::{Setup, StoreAt, UpstreamTrouble, Validity, durability, held, own};

/// So many accounts are read at once, as the poller does.
const AT_ONCE: usize = 8;

/// Why a check has nothing to say, where time ran out.
const OUT_OF_TIME: &str = "the time for all checks was up; `ringfence doctor --deadline` gives more";

/// Checks that are about what Twilio has of each account.
const OF_ACCOUNTS: [Check; 8] = [
    Check::WebhookHttps,
    Check::WebhookGate,
    Check::UnsignedRequest,
    Check::Media,
    Check::Keys,
    Check::GeoPermissions,
    Check::SipDomains,
    Check::Changes,
];

/// Looks at everything. `setup.clock` says when it begins.
pub async fn examine(setup: Setup) -> Report {
    let now = now(&*setup.clock);
    let give_up = Instant::now() + setup.deadline;
    let mut examination = Examination { setup, now, give_up, report: Report::new(now) };
    examination.store().await;
    let facts = examination.read().await;
    let hooks = examination.hooks(&facts);
    let web = examination.web();
    if let Some(web) = &web {
        examination.own_unsigned(web).await;
        examination.origins(web).await;
    }
    examination.upstreams().await;
    examination.limits(&facts).await;
    examination.shared_keys(&facts).await;
    examination.senders(&facts).await;
    examination.clock().await;
    examination.mail().await;
    examination.of_accounts(&facts).await;
    // Whoever can write at Twilio chooses these, and how long they take: nothing else waits for them.
    if let Some(web) = &web {
        examination.unsigned_hooks(web, &hooks).await;
    }
    examination.report
}

struct Examination {
    setup: Setup,
    now: Timestamp,
    give_up: Instant,
    report: Report,
}

impl Examination {
    fn tell(&self, what: &str) {
        (self.setup.progress)(what);
    }

    /// What a step came to, if there was time for it.
    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, String> {
        timeout_at(self.give_up, step).await.map_err(|_| OUT_OF_TIME.to_owned())
    }

    async fn store(&mut self) {
        self.tell("the store");
        let store = match &self.setup.store {
            StoreAt::Nowhere => return,
            StoreAt::NotOpen(why) => {
                let finding = own::store(why, &self.setup.words);
                self.report.not_made(Check::StoreDurability, None, why.clone());
                return self.report.made(Check::Store, 1, vec![finding]);
            }
            StoreAt::Open(store) => Arc::clone(store),
        };
        match self.in_time(store.durability()).await {
            Ok(Ok(durability)) => {
                self.report.made(Check::Store, 1, Vec::new());
                self.report.made(Check::StoreDurability, 1, durability::check(&durability));
                if let Durability::Postgres(PostgresDurability { by_default: Err(why), .. }) = &durability {
                    let why = format!("what holds for connections that ask for nothing is not known: {why}");
                    self.report.not_made(Check::StoreDurability, None, why);
                }
            }
            Ok(Err(error)) => {
                let finding = own::store(&error.to_string(), &self.setup.words);
                self.report.not_made(Check::StoreDurability, None, error.to_string());
                self.report.made(Check::Store, 1, vec![finding]);
            }
            Err(why) => {
                self.report.not_made(Check::StoreDurability, None, why.clone());
                self.report.not_made(Check::Store, None, why);
            }
        }
    }

    /// What Twilio says of each account that is in use.
    async fn read(&mut self) -> Vec<Facts> {
        self.tell("the list of accounts at Twilio");
        let listed = match self.in_time(self.setup.clients.list_accounts()).await {
            Ok(listed) => listed,
            Err(why) => {
                for check in OF_ACCOUNTS.into_iter().chain([Check::Limits, Check::Triggers, Check::Sender]) {
                    self.report.not_made(check, None, why.clone());
                }
                return Vec::new();
            }
        };
        for (account, why) in listed.unread {
            for check in OF_ACCOUNTS.into_iter().chain([Check::Limits, Check::Triggers]) {
                self.report.not_made(check, Some(account), why.to_string());
            }
        }
        // Nothing of theirs is there any more, so nothing of it is left to mend.
        let closed = listed.accounts.iter().filter(|seen| seen.status == "closed").map(|seen| seen.sid);
        self.report.seen.extend(closed);
        // Nothing arrives at one that is suspended, and nothing goes out.
        let active: Vec<Account> = listed
            .accounts
            .into_iter()
            .filter(|seen| seen.status == "active")
            .map(|seen| {
                let (own, api) = self.setup.clients.of_seen(&seen);
                let (sid, parent, created) = (seen.sid, seen.parent, seen.created);
                Account { sid, parent, name: seen.friendly_name, created, own, api }
            })
            .collect();
        self.read_each(active).await
    }

    async fn read_each(&mut self, accounts: Vec<Account>) -> Vec<Facts> {
        let (all, mut unread): (usize, BTreeSet<Sid>) =
            (accounts.len(), accounts.iter().map(|account| account.sid).collect());
        let mut waiting = accounts.into_iter();
        let mut reading = JoinSet::new();
        let mut facts = Vec::new();
        loop {
            while reading.len() < AT_ONCE
                && let Some(account) = waiting.next()
            {
                reading.spawn(Facts::read(account, self.now));
            }
            self.tell(&format!("what Twilio has of accounts ({} of {all})", facts.len()));
            match timeout_at(self.give_up, reading.join_next()).await {
                Ok(None) | Err(_) => break,
                Ok(Some(Ok(read))) => {
                    let read: Facts = read;
                    unread.remove(&read.account.sid);
                    self.report.seen.insert(read.account.sid);
                    facts.push(read);
                }
                Ok(Some(Err(error))) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        for account in unread {
            for check in OF_ACCOUNTS {
                self.report.not_made(check, Some(account), OUT_OF_TIME);
            }
        }
        facts.sort_by_key(|facts| facts.account.sid);
        facts
    }

    fn base(&self) -> BaseUrl {
        let client = self.setup.clients.configured().next().map(|(_, client)| client.base().clone());
        client.unwrap_or_default()
    }

    fn curl(&self) -> Curl {
        let has_store = matches!(self.setup.store, StoreAt::Open(_));
        Curl { base: self.base(), words: self.setup.words.clone(), has_store }
    }

    fn hooks(&mut self, facts: &[Facts]) -> Vec<Hook> {
        let mut all = Vec::new();
        for facts in facts {
            let (found, unread) = facts.hooks();
            for why in unread {
                for check in [Check::WebhookHttps, Check::WebhookGate, Check::UnsignedRequest] {
                    self.report.not_made(check, Some(facts.account.sid), why.clone());
                }
            }
            all.extend(found);
        }
        let curl = self.curl();
        self.report.made(Check::WebhookHttps, all.len(), hooks::https(&all, &curl));
        let routes = self.setup.gate.as_ref().map(|gate| gate.routes.clone()).unwrap_or_default();
        self.report.made(Check::WebhookHttps, routes.len(), hooks::routes_in_clear(&routes));
        if let Some(gate) = &self.setup.gate {
            let example =
                gate.routes.first().map_or("https://hooks.example.com", |it| it.public_url.as_str());
            let findings = hooks::to_the_gate(&all, &gate.leads_to, example, &curl);
            self.report.made(Check::WebhookGate, all.len(), findings);
        }
        all
    }

    /// Looks at the network, as others reach it.
    fn web(&mut self) -> Option<Arc<Web>> {
        let routes = self.setup.gate.iter().flat_map(|gate| &gate.routes);
        let own = routes.filter_map(|route| host_and_port(&route.public_url.parse().ok()?)).collect();
        match Web::new(&self.setup.roots, own) {
            Ok(web) => Some(Arc::new(web)),
            Err(error) => {
                for check in [Check::UnsignedRequest, Check::Certificate, Check::TlsVersions] {
                    self.report.not_made(check, None, format!("TLS cannot be set up: {error}"));
                }
                None
            }
        }
    }

    /// The certificate and the versions of TLS of each public URL of the configuration.
    async fn origins(&mut self, web: &Web) {
        let routes = self.setup.gate.iter().flat_map(|gate| &gate.routes);
        let origins: BTreeSet<(String, u16)> = routes
            .filter_map(|route| route.public_url.parse::<Uri>().ok())
            .filter(|uri| matches!(uri.scheme_str(), Some("https" | "wss")))
            .filter_map(|uri| host_and_port(&uri))
            .collect();
        for (host, port) in origins {
            self.origin(web, &host, port).await;
        }
    }

    async fn origin(&mut self, web: &Web, host: &str, port: u16) {
        let origin = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
        self.tell(&format!("the certificate at {origin}"));
        match self.in_time(web.certificate(host, port)).await {
            Ok(Ok(shown)) => {
                let found = outside::certificate(&origin, shown, self.now);
                self.report.made(Check::Certificate, 1, found.into_iter().collect());
            }
            Ok(Err(NoAnswer::Untrusted(why))) => {
                self.report.made(Check::Certificate, 1, vec![outside::untrusted(&origin, &why)]);
            }
            Ok(Err(why)) => self.report.not_made(Check::Certificate, None, format!("{origin}: {why}")),
            Err(why) => self.report.not_made(Check::Certificate, None, why),
        }
        for version in Dead::ALL {
            self.tell(&format!("{} at {origin}", version.name()));
            match self.in_time(web.takes(host, port, version)).await {
                Ok(Ok(takes)) => {
                    let found = takes.then(|| outside::old_tls(&origin, version));
                    self.report.made(Check::TlsVersions, 1, found.into_iter().collect());
                }
                Ok(Err(why)) => self.report.not_made(Check::TlsVersions, None, format!("{origin}: {why}")),
                Err(why) => self.report.not_made(Check::TlsVersions, None, why),
            }
        }
    }

    /// The certificate of each application that is asked over TLS, as the gate asks it: also where nobody outside reaches it.
    async fn upstreams(&mut self) {
        let upstreams = self.setup.gate.as_ref().map(|gate| gate.upstreams.clone()).unwrap_or_default();
        for upstream in &upstreams {
            let address = &upstream.address;
            self.tell(&format!("the certificate of the application at {address}"));
            let until = self.give_up.min(Instant::now() + PATIENCE);
            match self.in_time((upstream.look)(until)).await {
                Ok(Ok(Some(Validity { not_before, not_after }))) => {
                    let shown = Certificate { not_before, not_after };
                    let found = outside::upstream_certificate(upstream, shown, self.now);
                    self.report.made(Check::UpstreamTls, 1, found.into_iter().collect());
                }
                Ok(Ok(None)) => {
                    let why = format!(
                        "{address}: it does not say until when it is valid in a form that is understood"
                    );
                    self.report.not_made(Check::UpstreamTls, None, why);
                }
                Ok(Err(UpstreamTrouble::NoTls(why))) => {
                    let found = outside::upstream_untrusted(upstream, &why);
                    self.report.made(Check::UpstreamTls, 1, vec![found]);
                }
                Ok(Err(UpstreamTrouble::Away(why))) => {
                    self.report.not_made(Check::UpstreamTls, None, format!("{address}: {why}"));
                }
                Err(why) => self.report.not_made(Check::UpstreamTls, None, why),
            }
        }
    }

    async fn limits(&mut self, facts: &[Facts]) {
        let Some(engine) = self.setup.engine.clone() else {
            if let StoreAt::NotOpen(why) = self.setup.store.clone() {
                for check in [Check::Limits, Check::Triggers, Check::NearLimits] {
                    self.report.not_made(check, None, why.clone());
                }
            }
            return;
        };
        self.tell("the limits");
        let accounts: Vec<Account> = facts.iter().map(|facts| facts.account.clone()).collect();
        let words = self.setup.words.clone();
        let views = engine.views();
        match self.in_time(views.status()).await {
            Ok(Ok(status)) => {
                let not_applied = &self.setup.not_applied;
                let found = held::limits(&accounts, engine.limits(), not_applied, &status, self.now, &words);
                self.report.made(Check::Limits, accounts.len(), found);
            }
            Ok(Err(error)) => self.report.not_made(Check::Limits, None, error.to_string()),
            Err(why) => self.report.not_made(Check::Limits, None, why),
        }
        match self.in_time(views.breakers_near(held::NEAR)).await {
            Ok(Ok(near)) => {
                let found = held::near(&near, &words);
                self.report.made(Check::NearLimits, engine.limits().len(), found);
            }
            Ok(Err(error)) => self.report.not_made(Check::NearLimits, None, error.to_string()),
            Err(why) => self.report.not_made(Check::NearLimits, None, why),
        }
        if engine.limits().is_empty() {
            return;
        }
        let Some(triggers) = self.setup.triggers.clone() else {
            return self.report.made(Check::Triggers, 1, vec![held::no_trigger_route()]);
        };
        self.tell("the usage triggers at Twilio");
        let compare = async {
            let in_use: BTreeSet<Sid> = accounts.iter().map(|account| account.sid).collect();
            let known = engine.store().accounts().await?;
            let known: Vec<_> = known.into_iter().filter(|account| in_use.contains(&account.sid)).collect();
            engine.bring_triggers(&triggers, &known, None, AT_ONCE).await
        };
        match self.in_time(compare).await {
            Ok(Ok(brought)) => {
                for (account, trouble) in brought.troubles() {
                    self.report.not_made(Check::Triggers, Some(*account), trouble.to_string());
                }
                let plan = &brought.planned.plan;
                let things = plan.kept.len() + plan.changes.len();
                self.report.made(Check::Triggers, things, held::triggers(&plan.changes, &words));
            }
            Ok(Err(error)) => self.report.not_made(Check::Triggers, None, error.to_string()),
            Err(why) => self.report.not_made(Check::Triggers, None, why),
        }
    }

    async fn senders(&mut self, facts: &[Facts]) {
        let mut findings = Vec::new();
        let mut looked = 0;
        for sender in self.setup.senders.clone() {
            self.tell(&sender.at);
            let not_made = |why: &str| (Check::Sender, Some(sender.account), format!("{}: {why}", sender.at));
            let Some(facts) = facts.iter().find(|facts| facts.account.sid == sender.account) else {
                let (check, account, why) = not_made("the account is not in use, or could not be read");
                self.report.not_made(check, account, why);
                continue;
            };
            let read = match &sender.by {
                SendsBy::Service(_) => facts.services.as_ref().err(),
                SendsBy::Number(_) | SendsBy::Caller(_) => facts.numbers.as_ref().err(),
            };
            if let Some(why) = read {
                let (check, account, why) = not_made(why);
                self.report.not_made(check, account, why);
                continue;
            }
            let numbers = facts.numbers.iter().flatten().map(|it| it.phone_number.as_str()).collect();
            let services = facts.services.iter().flatten().map(|it| it.sid.as_str()).collect();
            looked += 1;
            if accounts::has(&sender.by, &numbers, &services) {
                continue;
            }
            if let (SendsBy::Caller(number), Some(api)) = (&sender.by, &facts.account.api) {
                match self.in_time(api.caller_ids(sender.account).list(Some(number)).all()).await {
                    Ok(Ok(verified)) if verified.iter().any(|it| it.phone_number == *number) => continue,
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => {
                        let (check, account, why) = not_made(&said(&error));
                        self.report.not_made(check, account, why);
                        continue;
                    }
                    Err(why) => {
                        self.report.not_made(Check::Sender, Some(sender.account), why);
                        continue;
                    }
                }
            }
            findings.push(accounts::not_owned(&sender, &self.curl()));
        }
        self.report.made(Check::Sender, looked, findings);
    }

    async fn clock(&mut self) {
        self.tell("Twilio's clock");
        let Some((account, client)) =
            self.setup.clients.configured().next().map(|(known, client)| (known.sid, client.clone()))
        else {
            return;
        };
        let before = now(&*self.setup.clock);
        let theirs = self.in_time(client.server_time(account).read()).await;
        let after = now(&*self.setup.clock);
        match theirs {
            Ok(Ok(Some(theirs))) => {
                let found = own::clock(own::Clocks { before, theirs, after });
                self.report.made(Check::Clock, 1, found.into_iter().collect());
            }
            Ok(Ok(None)) => self.report.not_made(Check::Clock, None, "Twilio's answer has no date"),
            Ok(Err(error)) => self.report.not_made(Check::Clock, None, said(&error)),
            Err(why) => self.report.not_made(Check::Clock, None, why),
        }
    }

    async fn mail(&mut self) {
        let Some(notifier) = self.setup.notifier.clone().filter(|notifier| notifier.has_mail()) else {
            return;
        };
        self.tell("the mail server");
        match self.in_time(Box::pin(notifier.probe_mail())).await {
            Ok(Ok(())) => self.report.made(Check::Mail, 1, Vec::new()),
            Ok(Err(problem)) => {
                let finding = own::mail(&problem.to_string(), &self.setup.words);
                self.report.made(Check::Mail, 1, vec![finding]);
            }
            Err(why) => self.report.not_made(Check::Mail, None, why),
        }
    }

    async fn of_accounts(&mut self, facts: &[Facts]) {
        let curl = self.curl();
        for facts in facts {
            let sid = facts.account.sid;
            self.each(Check::Keys, sid, &facts.keys, |it, now| accounts::keys(sid, it, &curl, now), Vec::len);
            self.each(Check::GeoPermissions, sid, &facts.geo, |geo, _| accounts::geo(sid, geo), |_| 1);
            self.each(
                Check::SipDomains,
                sid,
                &facts.domains,
                |it, _| accounts::sip(sid, it, &curl),
                Vec::len,
            );
            self.each(Check::Changes, sid, &facts.events, |it, _| accounts::changes(sid, it), |_| 1);
            self.media(facts).await;
        }
        let StoreAt::Open(store) = self.setup.store.clone() else { return };
        match self.in_time(store.credentials(None)).await {
            Ok(Ok(mut credentials)) => {
                // The egress alone notes when one was used.
                credentials.retain(|credential| credential.kind == EGRESS);
                let findings = accounts::credentials(&credentials, self.now, &self.setup.words);
                self.report.made(Check::Keys, credentials.len(), findings);
            }
            Ok(Err(error)) => self.report.not_made(Check::Keys, None, error.to_string()),
            Err(why) => self.report.not_made(Check::Keys, None, why),
        }
        match self.in_time(store.tokens()).await {
            Ok(Ok(tokens)) => {
                let findings = accounts::tokens(&tokens, self.now, &self.setup.words);
                self.report.made(Check::Keys, tokens.len(), findings);
            }
            Ok(Err(error)) => self.report.not_made(Check::Keys, None, error.to_string()),
            Err(why) => self.report.not_made(Check::Keys, None, why),
        }
    }

    /// One check of what was read of one account.
    fn each<T>(
        &mut self,
        check: Check,
        account: Sid,
        read: &Result<T, String>,
        look: impl FnOnce(&T, Timestamp) -> Vec<Finding>,
        things: impl FnOnce(&T) -> usize,
    ) {
        match read {
            Ok(read) => self.report.made(check, things(read), look(read, self.now)),
            Err(why) => self.report.not_made(check, Some(account), why.clone()),
        }
    }

    /// Asks for the newest recording as somebody who has no credentials.
    async fn media(&mut self, facts: &Facts) {
        let sid = facts.account.sid;
        let recording = match &facts.recording {
            Ok(Some(recording)) => recording,
            // Without one there is nothing to ask for, and nothing to lose.
            Ok(None) => return,
            Err(why) => return self.report.not_made(Check::Media, Some(sid), why.clone()),
        };
        let base = self.base();
        let path = format!("/2010-04-01/Accounts/{sid}/Recordings/{recording}");
        let (Some(uri), own) =
            (base.file(&path), host_and_port(&base.to_string().parse().unwrap_or_default()))
        else {
            return;
        };
        self.tell(&format!("a recording of {sid}"));
        let answer = match Web::new(&self.setup.roots, own.into_iter().collect()) {
            Ok(web) => self.in_time(Box::pin(web.ask(&uri, "GET"))).await,
            Err(error) => Err(error.to_string()),
        };
        match answer {
            Ok(Ok(200..=399)) => self.report.made(Check::Media, 1, vec![accounts::media_open(sid)]),
            Ok(Ok(401 | 403)) => self.report.made(Check::Media, 1, Vec::new()),
            Ok(Ok(status)) => {
                self.report.not_made(Check::Media, Some(sid), format!("Twilio answered {status}"));
            }
            Ok(Err(why)) => self.report.not_made(Check::Media, Some(sid), why.to_string()),
            Err(why) => self.report.not_made(Check::Media, Some(sid), why),
        }
    }
}

fn now(clock: &dyn Clock) -> Timestamp {
    let micros = i64::try_from(clock.unix_micros()).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}
