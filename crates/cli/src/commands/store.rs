//! `ringfence store`: copies of a SQLite store, and the way back. PostgreSQL has tools of its own; what Ringfence cannot
//! notice about them, an operator says.

use std::path::PathBuf;

use clap::ValueEnum;
use ringfence_store::{BackupError, Error, NewAudit, OpenError, Over};
use serde_json::json;

use super::act::parse_reason;
use super::with_store::{self, StoreArguments, failure};
use crate::config;
use crate::config::store::{Database, MasterKey};
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Copy the store into a new file, while it is in use.
    Backup(BackupArguments),
    /// Make a backup the store. Ringfence must not run on it meanwhile.
    Restore(RestoreArguments),
    /// Say that the database has forgotten something, which it does not show: the egress then admits nothing until it has read
    /// Twilio's figures.
    NewEpoch(NewEpochArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "The master key is not in the backup. Keep a copy of it elsewhere.")]
struct BackupArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// The file to make; it must not be there yet
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "What is replaced is kept beside the restored store.")]
struct RestoreArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// The backup
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// What it may replace
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Replace::Nothing)]
    replace: Replace,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needed after a dump was restored into the same PostgreSQL. Restores by `ringfence store restore`, into a
new cluster, and promotions of a replica are noticed without it. It may be run beside `serve`.")]
struct NewEpochArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Why; the audit log keeps it
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
}

/// What a restore may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Replace {
    /// Nothing: there must be no store
    Nothing,
    /// A store that knows nothing which the backup does not know
    Older,
    /// Whatever is there; what happened since the backup is forgotten
    Anything,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Backup(arguments) => backup(arguments),
        Command::Restore(arguments) => restore(arguments),
        Command::NewEpoch(arguments) => new_epoch(arguments),
    }
}

fn backup(arguments: &BackupArguments) -> Result<Answer, Failure> {
    with_store::look(&arguments.store.config, async |opened| {
        let to = &arguments.to;
        opened.store.backup(&opened.by, to, opened.now).await.map_err(|error| failure(&error))?;
        Ok(Answer::text(if arguments.store.json {
            format!("{}\n", json!({ "store": opened.shown, "backup": to.display().to_string() }))
        } else {
            format!("{} is copied to {}; its master key is not in it\n", opened.shown, to.display())
        }))
    })
}

fn new_epoch(arguments: &NewEpochArguments) -> Result<Answer, Failure> {
    with_store::look(&arguments.store.config, async |opened| {
        let begun = opened.store.new_epoch(&opened.by, &arguments.reason, opened.now).await;
        let number = begun.map_err(|error| failure(&error))?.number;
        Ok(Answer::text(if arguments.store.json {
            format!("{}\n", json!({ "store": opened.shown, "epoch": number }))
        } else {
            format!(
                "{} is in epoch {number}: through the egress nothing is admitted until Twilio's figures have been read\n",
                opened.shown
            )
        }))
    })
}

fn restore(arguments: &RestoreArguments) -> Result<Answer, Failure> {
    let loaded = config::load(&arguments.store.config)?;
    let configured = with_store::configured(&loaded)?;
    let Database::Sqlite(to) = &configured.database else {
        return Err(Failure::configuration(format!("{} is not restored by Ringfence", configured.shown()))
            .hint("PostgreSQL is restored with pg_restore, or from its base backup and archive"));
    };
    if let MasterKey::MadeAt(key) = &configured.master_key {
        // A restored database is not new, so no key would be made for it, and none that was made could open it.
        return Err(Failure::configuration(format!("the master key {} is missing", key.display()))
            .hint("put back the key that the backup was made with, then restore"));
    }
    let over = match arguments.replace {
        Replace::Nothing => Over::Nothing,
        Replace::Older => Over::Older,
        Replace::Anything => Over::Anything,
    };
    let now = with_store::now()?;
    let aside = with_store::block_on(async {
        let keys = with_store::keys(configured);
        let restored = ringfence_store::restore(&arguments.from, to, over, &keys, now).await;
        let aside = restored.map_err(|error| {
            let failure = failure(&error);
            if let Error::Open(open) = &error
                && let OpenError::MasterKeyWrong { .. } = **open
            {
                return failure.hint(
                    "nothing is replaced; put back the key that the backup was made with, then restore",
                );
            }
            let Error::Backup(backup) = &error else { return failure };
            match **backup {
                BackupError::Exists(_) => {
                    failure.hint("--replace older or --replace anything says what may be replaced")
                }
                BackupError::Newer { .. } | BackupError::Another(_) | BackupError::Unreadable(_) => {
                    failure.hint("--replace anything says so; what is there is kept beside it all the same")
                }
                _ => failure,
            }
        })?;
        // It is opened at once: the log says who put the store back in time.
        let store = with_store::open(configured, now).await.map_err(|failure| match &aside {
            Some(aside) => failure.hint(format!("what was there is kept as {}", aside.display())),
            None => failure,
        })?;
        let audit = NewAudit::new("store.restore", arguments.from.display().to_string());
        let written = store.audit(&with_store::who(), audit, now).await;
        store.close().await;
        written.map_err(|error| failure(&error))?;
        Ok(aside)
    })?;
    let aside = aside.map(|aside| aside.display().to_string());
    Ok(Answer::text(if arguments.store.json {
        let from = arguments.from.display().to_string();
        format!("{}\n", json!({ "store": configured.shown(), "backup": from, "replaced": aside }))
    } else {
        let kept = aside.map_or(String::new(), |aside| format!("; what was there is kept as {aside}"));
        format!("{} is restored from {}{kept}\n", configured.shown(), arguments.from.display())
    }))
}
