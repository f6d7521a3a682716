//! The control plane, as the configuration wants it: what `serve` runs, and what commands act through.

use std::path::Path;
use std::process;
use std::sync::Arc;

use ringfence_breaker::price_book;
use ringfence_control::engine::{Clients, Egress, KnownAccount};
use ringfence_control::heads::Carrier;
use ringfence_control::node::Limits;
use ringfence_control::notices::{self, Notifier, SettingsProblem};
use ringfence_model::Amount;
use ringfence_twilio::client::InvalidSettings;

use crate::config;
use crate::config::control::Control;
use crate::config::store::Database;

/// The ways to Twilio, with the credentials of all accounts that have some.
pub(crate) fn clients(control: &Control) -> Result<Clients, InvalidSettings> {
    let known = control.credentials.iter().map(|credentials| KnownAccount {
        sid: credentials.account,
        parent: credentials.parent,
        auth_token: credentials.auth_token.clone(),
        finds_subaccounts: credentials.finds_subaccounts,
    });
    Clients::new(&control.twilio.client, known.collect())
}

/// The limits, in the order of the file.
pub(crate) fn limits(control: &Control) -> Limits {
    Limits::new(control.limits.clone())
}

/// How what is sent is counted; none where there is no egress.
pub(crate) fn egress(
    prices: Option<price_book::Rules>,
    allowance: Amount,
    database: &Database,
) -> Option<Egress> {
    let by_database_clock = matches!(database, Database::Postgres { .. });
    prices.map(|prices| Egress { prices, allowance, by_database_clock })
}

/// Whoever tells people; none where nobody is told. `file` is what they type after `--config`.
pub(crate) fn notifier(
    control: &Control,
    clients: &Clients,
    file: &Path,
) -> Result<Option<Arc<Notifier>>, SettingsProblem> {
    let Some(notify) = &control.notify else { return Ok(None) };
    let mut settings = notify.settings()?;
    settings.desk = notices::Desk { config: file.display().to_string(), ..notices::Desk::default() };
    let clients = clients.clone();
    let notifier = Notifier::new(settings, Arc::new(move |sid| clients.of(sid)))?;
    Ok(Some(Arc::new(notifier)))
}

/// Where heads of the audit log are carried.
pub(crate) fn carriers(control: &Control) -> Result<Vec<Arc<Carrier>>, SettingsProblem> {
    let settings = control.store.iter().flat_map(|store| store.audit_heads.iter().cloned());
    settings.map(|settings| Carrier::new(settings).map(Arc::new)).collect()
}

/// The machine and the process: two on one machine are two nodes.
pub(crate) fn name_of_node() -> String {
    let machine = config::environment("HOSTNAME")
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "node".to_owned());
    format!("{machine}/{}", process::id())
}
