//! `ringfence migrate`: the store, made or upgraded before anything runs on it.
//!
//! `serve` and every other command do the same when they open the store. This one does nothing else, so that an upgrade
//! can have a step of its own: with a backup before it, and rights that the running service need not have.

use serde_json::json;

use super::with_store::{self, StoreArguments};
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "It may be repeated: a store that is up to date stays as it is.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    store: StoreArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    with_store::run(&arguments.store.config, async |opened| {
        let version = opened.store.version();
        let (found, current) = (version.found, version.current);
        let output = if arguments.store.json {
            json!({
                "store": opened.shown,
                "found": found,
                "version": current,
                "changed": found != current,
                "made_master_key": opened.made_key.as_ref().map(|path| path.display().to_string()),
            })
            .to_string()
        } else {
            let what = match found {
                0 => format!("made, version {current}"),
                _ if found == current => format!("up to date, version {current}"),
                _ => format!("upgraded from version {found} to version {current}"),
            };
            format!("{}: {what}", opened.shown)
        };
        let mut answer = Answer::text(format!("{output}\n"));
        if let Some(path) = &opened.made_key {
            answer.notes.push(format!(
                "the master key was made at {}; keep a copy of it, and not with the backups: without it they open for \
                 nobody, and with it for everybody",
                path.display()
            ));
        }
        Ok(answer)
    })
}
