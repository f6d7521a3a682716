//! What a request reads of the configuration: one immutable value, swapped whole at a reload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence_model::Sid;
use ringfence_signature::Keyring;
use sha2::{Digest, Sha256};

use crate::egress::rules::KnownAccount;
use crate::forwarded::TrustedPeers;
use crate::keys::LearntKeys;
use crate::metrics::{Metrics, RouteMetrics};
use crate::path_readings;
use crate::rotated::Watched;
use crate::settings::{Egress, Inspect, Limits, Media, Route, Settings};

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Shared by the snapshots of one configuration, which differ in what was learnt.
    pub(crate) routes: Arc<[ActiveRoute]>,
    /// The configured keys alone.
    pub(crate) configured: Arc<Keyring>,
    /// All keys that count.
    pub(crate) keyring: Keyring,
    /// The accounts of which it is noted with which token requests are signed.
    pub(crate) watched: Watched,
    pub(crate) limits: Limits,
    pub(crate) trusted_proxies: TrustedPeers,
    pub(crate) inspect: Inspect,
    pub(crate) egress: Option<ActiveEgress>,
    pub(crate) media: Option<ActiveMedia>,
}

/// The egress, with every account that it can ask for.
#[derive(Debug)]
pub(crate) struct ActiveEgress {
    pub(crate) settings: Arc<Egress>,
    pub(crate) accounts: BTreeMap<Sid, KnownAccount>,
}

/// The media guard, with every account whose files it can ask for.
#[derive(Debug)]
pub(crate) struct ActiveMedia {
    pub(crate) settings: Arc<Media>,
    pub(crate) accounts: BTreeMap<Sid, KnownAccount>,
}

impl ActiveMedia {
    fn new(settings: Arc<Media>, learnt: &LearntKeys) -> Self {
        Self { accounts: learnt.accounts(&settings.accounts), settings }
    }
}

impl ActiveEgress {
    fn new(settings: Arc<Egress>, learnt: &LearntKeys) -> Self {
        Self { accounts: learnt.accounts(&settings.accounts), settings }
    }
}

/// A route with what is worked out once from it.
#[derive(Debug)]
pub(crate) struct ActiveRoute {
    /// Its place among the routes of its snapshot.
    pub(crate) index: usize,
    pub(crate) route: Route,
    /// The routes for one of which a request could be taken that comes in by this one, and should not.
    pub(crate) rivals: Vec<usize>,
    pub(crate) metrics: RouteMetrics,
    /// The fields of every request head to the upstream that do not change between requests.
    pub(crate) fixed_fields: Vec<u8>,
    /// Tells this route from others in the replay cache; the same after a reload.
    pub(crate) replay_id: u32,
    /// When, in seconds since 1970, a refusal may next be explained in the log.
    explain_at: AtomicU64,
}

impl AsRef<Route> for ActiveRoute {
    fn as_ref(&self) -> &Route {
        &self.route
    }
}

impl Snapshot {
    pub(crate) fn new(settings: Settings, learnt: &LearntKeys, metrics: &Arc<Metrics>) -> Self {
        Self {
            routes: active(settings.routes, metrics),
            keyring: learnt.on(&settings.keyring),
            watched: learnt.watched(),
            configured: Arc::new(settings.keyring),
            limits: settings.limits,
            trusted_proxies: settings.listen.trusted_proxies,
            inspect: settings.inspect,
            egress: settings.egress.map(|egress| ActiveEgress::new(Arc::new(egress), learnt)),
            media: settings.media.map(|media| ActiveMedia::new(Arc::new(media), learnt)),
        }
    }

    /// The same configuration with other keys learnt.
    pub(crate) fn with_learnt(&self, learnt: &LearntKeys) -> Self {
        Self {
            routes: Arc::clone(&self.routes),
            configured: Arc::clone(&self.configured),
            keyring: learnt.on(&self.configured),
            watched: learnt.watched(),
            limits: self.limits.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            inspect: self.inspect,
            egress: self.egress.as_ref().map(|it| ActiveEgress::new(Arc::clone(&it.settings), learnt)),
            media: self.media.as_ref().map(|it| ActiveMedia::new(Arc::clone(&it.settings), learnt)),
        }
    }
}

fn active(routes: Vec<Route>, metrics: &Arc<Metrics>) -> Arc<[ActiveRoute]> {
    let rivals: Vec<_> = routes.iter().map(|route| path_readings::rivals(&routes, route)).collect();
    let all = routes.into_iter().zip(rivals).enumerate();
    all.map(|(index, (route, rivals))| ActiveRoute { rivals, ..ActiveRoute::new(index, route, metrics) })
        .collect()
}

impl ActiveRoute {
    fn new(index: usize, route: Route, metrics: &Arc<Metrics>) -> Self {
        let mut hash = Sha256::new_with_prefix(route.label.as_bytes());
        for method in &route.methods {
            hash.update(b" ");
            hash.update(method.as_str().as_bytes());
        }
        let digest = hash.finalize();
        Self {
            index,
            rivals: Vec::new(),
            metrics: metrics.route(&route.label),
            fixed_fields: fixed_fields(&route),
            replay_id: u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]),
            explain_at: AtomicU64::new(0),
            route,
        }
    }

    /// Whether this refusal is the one of its second that gets an explanation: trials cost far more than a
    /// verdict, and an attacker must not be able to order them.
    pub(crate) fn may_explain(&self, now_unix: u64) -> bool {
        let next = self.explain_at.load(Ordering::Relaxed);
        now_unix >= next
            && self
                .explain_at
                .compare_exchange(next, now_unix + 1, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// `Host` and what the upstream is told of the public side. An upstream that verifies by itself sees the URL it
/// was signed for: the public one, or the one of `resign`.
fn fixed_fields(route: &Route) -> Vec<u8> {
    let seen = route.resign.as_ref().unwrap_or(&route.public_url);
    let scheme = match seen.scheme() {
        "wss" => "https",
        "ws" => "http",
        scheme => scheme,
    };
    format!("host: {0}\r\nx-forwarded-host: {0}\r\nx-forwarded-proto: {scheme}\r\n", seen.authority())
        .into_bytes()
}
