//! The daily examination: what `ringfence doctor` looks at, as a job of one node; what is new is told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use ringfence_store as store;
use rustls::pki_types::CertificateDer;

use super::{Done, Node};
use crate::doctor::{self, ConfiguredSender, Gate, StoreAt, Words, examine};
use crate::engine::{Engine, Triggers};

/// What of the deployment the examination needs to know, and how often it is made.
#[derive(Clone)]
pub struct Examination {
    /// How often.
    pub every: Duration,
    /// The gate; none where webhooks come in elsewhere.
    pub gate: Option<Gate>,
    /// Who sends codes and notices.
    pub senders: Vec<ConfiguredSender>,
    /// Authorities that are trusted beside those that Twilio trusts.
    pub roots: Vec<CertificateDer<'static>>,
    /// How commands are typed here.
    pub words: Words,
}

/// A new installation is looked at when its certificate and its triggers have had the time to be there.
const FIRST_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// There is nobody who waits for it.
const DEADLINE: Duration = Duration::from_mins(30);

impl Node {
    /// Examines the deployment, if that is due, and tells what is new. What could not be looked at stays as it was.
    pub(super) async fn examine(&self, engine: &Arc<Engine>) -> store::Result<Done> {
        let Some(examination) = &self.setup.examination else { return Ok(Done::default()) };
        let kept = &self.setup.store;
        if !kept.examination_is_due(FIRST_AFTER, self.now()).await? {
            return Ok(Done::default());
        }
        let callback_url = self.setup.callback_url.clone();
        let report = examine(doctor::Setup {
            clients: self.setup.clients.clone(),
            store: StoreAt::Open(Arc::clone(kept)),
            engine: Some(Arc::clone(engine)),
            // A node that is at work holds what was applied.
            not_applied: Vec::new(),
            triggers: callback_url.map(|callback_url| Triggers { callback_url, mark: self.mark.clone() }),
            shared_keys: self.setup.shared_keys.clone(),
            gate: examination.gate.clone(),
            senders: examination.senders.clone(),
            notifier: self.setup.notifier.clone(),
            roots: examination.roots.clone(),
            clock: Arc::clone(&self.setup.clock),
            words: examination.words.clone(),
            deadline: DEADLINE,
            progress: Arc::new(|_| {}),
        })
        .await;
        let change = doctor::changes(&kept.open_findings().await?, &report);
        let count = change.new.len() + change.mended.len();
        // Where nobody is told, the log is the only one who says it.
        let news: BTreeSet<_> = change.new.iter().flat_map(|(keys, _)| keys).map(|(key, _)| key).collect();
        for it in report.findings.iter().filter(|it| news.contains(&doctor::key(it))) {
            let (check, severity, what) = (it.check.name(), it.severity.name(), &it.what);
            tracing::warn!(check, severity, what, "an examination found something new");
        }
        let every = SignedDuration::try_from(examination.every).unwrap_or(SignedDuration::MAX);
        let next = self.now().checked_add(every).unwrap_or(jiff::Timestamp::MAX);
        kept.change_findings(change, next, self.now()).await?;
        engine.announce();
        for it in &report.not_made {
            tracing::info!(check = it.check.name(), why = it.why, "a check of the deployment was not made");
        }
        Ok(Done { count, ..Done::default() })
    }
}
