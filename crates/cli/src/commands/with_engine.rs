//! What commands share that look at a running installation, or act on it: its store, the way to Twilio, and the limits that
//! hold.
//!
//! They need no `serve`, and may run beside any number of them. What an operator decides is decided on the limits that hold;
//! a configuration that has others is refused, since its engine would judge the same accounts differently.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use ringfence_control::engine::{ActRefused, Clients, Egress, Engine, Setup};
use ringfence_control::node::{Agreement, Limits};
use ringfence_control::notices::shell_word;
use ringfence_control::rotation::{self, InUse};
use ringfence_control::shared_keys;
use ringfence_control::views::NotSeen;
use ringfence_control::wanted::AppliedLimit;
use ringfence_model::{Actor, Clock};
use ringfence_store::{LimitsApplied, Location, Store, Version};

use super::serve::SystemClock;
use super::with_store;
use crate::config::store::{Database, MasterKey};
use crate::config::{self, Loaded};
use crate::control_plane;
use crate::exit::{Answer, Failure};

/// An installation whose store is open.
pub(crate) struct Installation {
    pub(crate) store: Arc<Store>,
    pub(crate) clients: Clients,
    /// Those of the configuration.
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    /// What usage triggers call.
    pub(crate) trigger_url: Option<String>,
    /// How what is sent is counted; none where there is no egress.
    egress: Option<Egress>,
    /// Whose webhooks are signed by a key of their own.
    pub(crate) shared_keys: Option<shared_keys::Settings>,
    /// Who types the command.
    pub(crate) by: Actor,
    /// When it began.
    pub(crate) now: Timestamp,
    /// What follows `--config`, ready for a shell.
    pub(crate) config: String,
    /// What is typed to reach it again.
    pub(crate) typed: Typed,
}

/// What a command is typed with, so that others that it names reach the same installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed(String);

/// What to do where there is no store yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is made.
    Make,
    /// There is nothing to see or to act on.
    Refuse,
}

/// Opens the installation that the configuration names, does `act`, and closes it again, whatever came of that.
pub(crate) fn run(
    file: &Path,
    missing: Missing,
    act: impl AsyncFnOnce(&Installation) -> Result<Answer, Failure>,
) -> Result<Answer, Failure> {
    let loaded = config::load(file)?;
    let now = with_store::now()?;
    with_store::block_on(async {
        if missing == Missing::Refuse && version(&loaded).await? == 0 {
            return Err(no_store(&loaded));
        }
        let configured = with_store::configured(&loaded)?;
        let made_key = match &configured.master_key {
            MasterKey::MadeAt(path) => Some(path.clone()),
            MasterKey::Given(_) => None,
        };
        let store = Arc::new(with_store::open(configured, now).await?);
        let installation = Installation::new(store, &loaded, now)?;
        installation.take_over_tokens().await?;
        let answer = act(&installation).await;
        let Installation { store, .. } = installation;
        if let Some(store) = Arc::into_inner(store) {
            store.close().await;
        }
        Ok(noting(answer?, made_key))
    })
}

/// Of which version the store of a configuration is; 0 where there is none. It makes nothing.
pub(crate) async fn version(loaded: &Loaded) -> Result<i64, Failure> {
    let configured = with_store::configured(loaded)?;
    let location = match &configured.database {
        Database::Sqlite(path) => Location::Sqlite(path.clone()),
        Database::Postgres { url, .. } => Location::Postgres(url.clone()),
    };
    let found = Store::find_version(&location).await;
    let found = found.map_err(|error| with_store::not_opened(&error, configured))?;
    if found > Version::NEWEST {
        return Err(Failure::configuration(format!(
            "the store is of version {found}, and this program knows {}",
            Version::NEWEST
        ))
        .hint("use the version of Ringfence that `serve` runs"));
    }
    Ok(found)
}

/// Nothing is there to be looked at.
pub(crate) fn no_store(loaded: &Loaded) -> Failure {
    let shown = loaded.control.store.as_ref().map(config::store::Store::shown).unwrap_or_default();
    Failure::unavailable(format!("there is no store at {shown} yet, so nothing is known")).hint(format!(
        "`ringfence serve --config {file}` makes it, and so does `ringfence limits apply --config {file}`",
        file = shown_file(&loaded.file)
    ))
}

fn noting(mut answer: Answer, made_key: Option<PathBuf>) -> Answer {
    if let Some(path) = made_key {
        answer.notes.push(format!(
            "note: the master key was made at {}; keep a copy of it, and not with the backups",
            path.display()
        ));
    }
    answer
}

fn shown_file(file: &Path) -> String {
    shell_word(&file.display().to_string())
}

impl Installation {
    pub(crate) fn new(store: Arc<Store>, loaded: &Loaded, now: Timestamp) -> Result<Self, Failure> {
        let control = &loaded.control;
        Ok(Self {
            store,
            clients: control_plane::clients(control).map_err(Failure::configuration)?,
            limits: control_plane::limits(control),
            clock: Arc::new(SystemClock),
            trigger_url: control.trigger_url.clone(),
            egress: control.store.as_ref().and_then(|store| {
                control_plane::egress(control.prices.clone(), control.restore_allowance, &store.database)
            }),
            shared_keys: control.shared_keys.clone(),
            by: with_store::who(),
            now,
            typed: Typed::new(format!("--config {}", shown_file(&loaded.file))),
            config: shown_file(&loaded.file),
        })
    }

    /// Asks Twilio with what rotations brought.
    pub(crate) async fn take_over_tokens(&self) -> Result<InUse, Failure> {
        rotation::take_over(&self.store, &self.clients).await.map_err(store)
    }

    /// What decides and acts, under these limits. People are told by `serve`, which works the outbox for good.
    pub(crate) fn engine(&self, limits: Vec<AppliedLimit>) -> Arc<Engine> {
        Arc::new(Engine::new(Setup {
            store: Arc::clone(&self.store),
            clients: self.clients.clone(),
            limits,
            notifier: None,
            // Codes are begun and sent by `serve` alone.
            second_factor: None,
            egress: self.egress.clone(),
            shared_keys: self.shared_keys.clone(),
            clock: Arc::clone(&self.clock),
        }))
    }

    /// For who acts: refused where the limits of the configuration are not those that hold.
    pub(crate) async fn agreed(&self) -> Result<Arc<Engine>, Failure> {
        match self.limits.agreement(&self.store, None).await.map_err(store)? {
            Agreement::Agreed(limits) => Ok(self.engine(limits)),
            Agreement::Free | Agreement::Differs(_) => {
                let (changes, _) = self.limits.preview(&self.store, self.now).await.map_err(store)?;
                Err(Failure::configuration(format!(
                    "the limits of {} are not those that hold: {}",
                    self.config,
                    differences(&changes)
                ))
                .hint(format!(
                    "`ringfence limits apply --config {config}` makes them hold; `ringfence limits plan --config {config}` \
                     says before what that changes",
                    config = self.config
                )))
            }
        }
    }

    /// For who only looks: the limits that hold, and a remark where the configuration has others.
    pub(crate) async fn holding(&self) -> Result<(Arc<Engine>, Vec<String>), Failure> {
        let (engine, differences) = self.holding_and_differences().await?;
        let note = |differences: &String| {
            format!(
                "note: the limits of {config} do not hold yet: {differences}; `ringfence limits apply --config {config}` \
                 applies them",
                config = self.config
            )
        };
        Ok((engine, differences.iter().map(note).collect()))
    }

    /// The limits that hold, and in a line how those of the configuration differ, if they do.
    pub(crate) async fn holding_and_differences(&self) -> Result<(Arc<Engine>, Vec<String>), Failure> {
        match self.limits.agreement(&self.store, None).await.map_err(store)? {
            Agreement::Agreed(limits) => Ok((self.engine(limits), Vec::new())),
            Agreement::Free | Agreement::Differs(_) => {
                let limits = Limits::applied(&self.store).await.map_err(store)?.ok_or_else(|| {
                    Failure::unavailable("the limits that hold were applied by another version of Ringfence")
                        .hint("use the version that `serve` runs")
                })?;
                let (changes, _) = self.limits.preview(&self.store, self.now).await.map_err(store)?;
                Ok((self.engine(limits), vec![differences(&changes)]))
            }
        }
    }

    /// A command to type, with the configuration of this one.
    pub(crate) fn command(&self, command: &str) -> String {
        self.typed.command(command)
    }
}

impl Typed {
    /// By these arguments, ready for a shell.
    pub(crate) const fn new(arguments: String) -> Self {
        Self(arguments)
    }

    /// A command to type, with these arguments.
    pub(crate) fn command(&self, command: &str) -> String {
        format!("ringfence {command} {}", self.0)
    }
}

/// What an act would have to say of limits that differ: `"a" is new, "b" says something else`.
fn differences(changes: &LimitsApplied) -> String {
    let LimitsApplied { added, changed, removed } = changes;
    let of = |names: &[String], what: &str| -> Vec<String> {
        names.iter().map(|name| format!("\"{name}\" {what}")).collect()
    };
    let all = [of(added, "is new"), of(changed, "says something else"), of(removed, "is not in it")].concat();
    // Files differ in many limits only before the first `limits apply`.
    match all.len() {
        0..=3 => all.join(", "),
        many => format!("{}, and {} more", all[..2].join(", "), many - 2),
    }
}

/// The store refused or is away.
#[expect(clippy::needless_pass_by_value, reason = "it is mapped over results")]
pub(crate) fn store(error: ringfence_store::Error) -> Failure {
    with_store::failure(&error)
}

/// There is nothing to see.
pub(crate) fn not_seen(error: NotSeen) -> Failure {
    match error {
        NotSeen::Store(error) => store(error),
        NotSeen::NoLimit(_) | NotSeen::NoAccount(_) | NotSeen::Cursor => Failure::usage(error),
    }
}

/// An act was refused: by what was typed, or as things stand.
pub(crate) fn refused(error: ActRefused) -> Failure {
    match error {
        ActRefused::Store(error) => store(error),
        ActRefused::NoLimit(_)
        | ActRefused::NoAccount(_)
        | ActRefused::AllowsNothing
        | ActRefused::NoReason
        | ActRefused::CountedUnder { .. }
        | ActRefused::CountedUnderSeveral(_)
        | ActRefused::OutOfScope { .. } => Failure::usage(error),
        ActRefused::Parent(_) | ActRefused::NotTripped { .. } | ActRefused::Held { .. } => {
            Failure::refused(error)
        }
    }
}
