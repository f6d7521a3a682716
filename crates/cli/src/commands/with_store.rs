//! What commands share that work on the store of an installation: they find it by the configuration, open it as `serve`
//! does, and leave their user's name in the audit log.
//!
//! They may run beside `serve`: SQLite and PostgreSQL keep them apart, and each act is one transaction.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use ringfence_second_factor::policy::Strength;
use ringfence_second_factor::pumping::Limits as CodeLimits;
use ringfence_store::{BackupError, Error, Keys, Location, OpenError, Store};

use super::with_engine;
use crate::config::store::{Database, MasterKey, Store as Configured};
use crate::config::{self, Loaded};
use crate::exit::Failure;

/// What all of these commands are given.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StoreArguments {
    /// The configuration, whose [store] says where the store is
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// An installation whose store is open.
pub(crate) struct Opened {
    pub(crate) store: Store,
    /// Where it is, for people: without a password.
    pub(crate) shown: String,
    /// The file that the master key was made in, just now.
    pub(crate) made_key: Option<PathBuf>,
    /// What is allowed of codes; nothing where the configuration sends none.
    pub(crate) codes: Option<Arc<CodeLimits>>,
    /// Which factors are taken of people at least.
    pub(crate) minimum: Strength,
    /// When the command began.
    pub(crate) now: Timestamp,
    /// Who types it.
    pub(crate) by: Actor,
}

impl Opened {
    /// A note for each of these accounts that Twilio's list does not have, as far as the store knows it: a SID that is mistyped is
    /// the SID of nobody. None before the first list was read.
    pub(crate) async fn notes_of_unknown(&self, accounts: &[Sid]) -> Result<Vec<String>, Failure> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.store.accounts().await.map_err(|error| failure(&error))?;
        let unknown = accounts.iter().filter(|sid| known.iter().all(|account| account.sid != **sid));
        let note = |sid: &Sid| {
            format!("note: {sid} is no account that is known here; `ringfence account list` shows them")
        };
        Ok(if known.is_empty() { Vec::new() } else { unknown.map(note).collect() })
    }
}

/// Opens the store that the configuration names, which is made if it is not there yet, does `act`, and closes it again, whatever
/// came of that.
pub(crate) fn run<T>(
    file: &Path,
    act: impl AsyncFnOnce(&Opened) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run_on(file, true, act)
}

/// The same for what only looks: it makes no store, so that a `url` that is mistyped is not taken for an empty one.
pub(crate) fn look<T>(
    file: &Path,
    act: impl AsyncFnOnce(&Opened) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run_on(file, false, act)
}

fn run_on<T>(
    file: &Path,
    makes: bool,
    act: impl AsyncFnOnce(&Opened) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let loaded = config::load(file)?;
    let configured = configured(&loaded)?;
    let now = now()?;
    block_on(async {
        if !makes && with_engine::version(&loaded).await? == 0 {
            return Err(with_engine::no_store(&loaded));
        }
        let made_key = match &configured.master_key {
            MasterKey::MadeAt(path) => Some(path.clone()),
            MasterKey::Given(_) => None,
        };
        let store = open(configured, now).await?;
        let codes = loaded.control.second_factor.as_ref().map(|codes| Arc::clone(&codes.limits));
        let minimum = loaded.control.rules.minimum.strength;
        let opened = Opened { store, shown: configured.shown(), made_key, codes, minimum, now, by: who() };
        let result = act(&opened).await;
        opened.store.close().await;
        result
    })
}

/// `[store]`, which is not demanded of a gate alone.
pub(crate) fn configured(loaded: &Loaded) -> Result<&Configured, Failure> {
    loaded.control.store.as_ref().ok_or_else(|| {
        Failure::configuration(format!(
            "{} has no [store], so there is nothing to work on",
            loaded.file.display()
        ))
        .hint("add [store] with url = \"sqlite:ringfence.db\"")
    })
}

/// Opens the store, and makes or upgrades its tables where that is to be done.
pub(crate) async fn open(configured: &Configured, now: Timestamp) -> Result<Store, Failure> {
    try_open(configured, now).await.map_err(|error| not_opened(&error, configured))
}

/// Why it is not open, with the store's name where the error says none: the configuration may have it from elsewhere.
pub(crate) fn not_opened(error: &Error, configured: &Configured) -> Failure {
    let names_it = match error {
        Error::Open(open) => matches!(
            **open,
            OpenError::File { .. }
                | OpenError::NotMade { .. }
                | OpenError::NotOpened { .. }
                | OpenError::NoDatabase { .. }
                | OpenError::MasterKeyMissing { .. }
                | OpenError::Exposed { .. }
        ),
        _ => false,
    };
    let failure = failure(error);
    if names_it { failure } else { failure.hint(format!("the store is {}", configured.shown())) }
}

/// The same, for whoever can wait for it.
pub(crate) async fn try_open(configured: &Configured, now: Timestamp) -> Result<Store, Error> {
    let location = match &configured.database {
        Database::Sqlite(path) => Location::Sqlite(path.clone()),
        Database::Postgres { url, .. } => Location::Postgres(url.clone()),
    };
    Store::open(&location, &keys(configured), now).await
}

/// What the store is opened with.
pub(crate) fn keys(configured: &Configured) -> Keys {
    let previous = configured.previous_master_keys.clone();
    match &configured.master_key {
        MasterKey::Given(key) => Keys::Given { current: key.clone(), previous },
        MasterKey::MadeAt(path) => Keys::InFile { current: path.clone(), previous },
    }
}

/// Whose turn it is after the store refused something.
pub(crate) fn failure(error: &Error) -> Failure {
    match error {
        Error::Open(open) => match **open {
            OpenError::File { .. }
            | OpenError::NotMade { .. }
            | OpenError::NotOpened { .. }
            | OpenError::NoDatabase { .. } => Failure::unavailable(error),
            _ => Failure::configuration(error),
        },
        // What it is sealed with is for the configuration to say.
        Error::Sealed(_) => Failure::configuration(error),
        Error::Backup(backup) => match **backup {
            BackupError::NotSqlite => Failure::configuration(error),
            BackupError::Live(_) | BackupError::File { .. } => Failure::unavailable(error),
            BackupError::Exists(_)
            | BackupError::NoBackup { .. }
            | BackupError::Unreadable(_)
            | BackupError::Another(_)
            | BackupError::Newer { .. } => Failure::usage(error),
        },
        Error::Missing { .. } => Failure::usage(error),
        _ => Failure::unavailable(error),
    }
}

/// Runs to the end what is asynchronous.
pub(crate) fn block_on<T>(what: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unavailable(format!("cannot start a runtime: {error}")))?;
    runtime.block_on(what)
}

/// What time it is, for the store.
pub(crate) fn now() -> Result<Timestamp, Failure> {
    Timestamp::try_from(config::wall_clock())
        .map_err(|error| Failure::unavailable(format!("the clock of this machine is not set: {error}")))
}

/// Who types the command: the user that the process runs as, and behind `sudo` the one who called it.
///
/// The environment could name anybody, so it never stands alone: `alice as root` is told by root's process.
pub(crate) fn who() -> Actor {
    let runs_as = user_of_process();
    let called_by = config::environment("SUDO_USER").filter(|name| !name.is_empty() && *name != runs_as);
    Actor::CommandLine(match called_by {
        Some(name) => format!("{} as {runs_as}", name.escape_debug()),
        None => runs_as,
    })
}

/// By the system's own account of the process; where it gives none, as the environment says.
fn user_of_process() -> String {
    let Ok(process) = fs::metadata("/proc/self") else {
        return config::environment("USER").unwrap_or_else(|| "unknown".to_owned());
    };
    let uid = process.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    match name_of(&uid, &users) {
        Some(name) => name.to_owned(),
        None => format!("uid {uid}"),
    }
}

/// The name of a user in the text of `/etc/passwd`: `name:password:uid:…`.
fn name_of<'a>(uid: &str, users: &'a str) -> Option<&'a str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_number_and_by_nothing_else() {
        let users = "broken\nroot:x:0:0:root:/root:/bin/sh\nalice:x:1000:100::/home/alice:/bin/sh\n";
        assert_eq!(name_of("0", users), Some("root"));
        assert_eq!(name_of("1000", users), Some("alice"));
        for nobody in ["100", "", "x", "broken"] {
            assert_eq!(name_of(nobody, users), None, "{nobody}");
        }
    }
}
