//! `ringfence notify test`: does whom `[notify]` names hear of it, before something happens?
//!
//! It tells them one after the other, and says of each whether the notice was taken. Nothing is kept and nothing is tried
//! again: whoever types this looks at the answer.

use std::path::PathBuf;

use ringfence_control::notices::{Attempt, Event, Notice, Outcome};
use ringfence_model::Actor;
use serde_json::json;

use super::with_store::{block_on, now, who};
use crate::exit::{Answer, Failure};
use crate::{config, control_plane};

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tell everybody whom [notify] names that this is a test, and say who has it.
    Test(TestArguments),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A text message and a call cost what they always cost. Exit codes: 0 all have it; 1 somebody refuses it; 64 wrong \
configuration; 69 somebody could not be reached."
)]
struct TestArguments {
    /// The configuration, whose [notify] says who is told
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let Command::Test(arguments) = &arguments.command;
    let loaded = config::load(&arguments.config)?;
    let clients = control_plane::clients(&loaded.control).map_err(Failure::configuration)?;
    let notifier = control_plane::notifier(&loaded.control, &clients, &loaded.file)
        .map_err(Failure::configuration)?
        .ok_or_else(|| {
            Failure::configuration(format!("{} has no [notify], so nobody is told", loaded.file.display()))
                .hint("add [notify] with mail or webhook")
        })?;
    let by = match who() {
        Actor::CommandLine(name) => name,
        other => other.to_string(),
    };
    let now = now()?;
    let notice = Notice { at: now, event: Event::Test { by } };
    let told = block_on(async {
        let mut told = Vec::new();
        for to in notifier.destinations(&notice) {
            let outcome = notifier.deliver(&notice, &to, Attempt { now, first: None }).await;
            told.push((notifier.describe(&to).unwrap_or_else(|| to.to_string()), outcome));
        }
        Ok(told)
    })?;
    let mut answer = Answer::text(if arguments.json { as_json(&told) } else { as_text(&told) });
    answer.is_no = told.iter().any(|(_, outcome)| matches!(outcome, Outcome::Refused(_)));
    answer.is_unavailable = told.iter().any(|(_, outcome)| matches!(outcome, Outcome::TryLater(_)));
    Ok(answer)
}

fn as_text(told: &[(String, Outcome)]) -> String {
    let line = |(whom, outcome): &(String, Outcome)| match outcome {
        Outcome::Delivered => format!("{whom}: taken\n"),
        Outcome::TryLater(why) => format!("{whom}: not taken, and a notice would be tried again: {why}\n"),
        Outcome::Refused(why) => format!("{whom}: refused, and a notice would be given up: {why}\n"),
    };
    told.iter().map(line).collect()
}

fn as_json(told: &[(String, Outcome)]) -> String {
    let one = |(whom, outcome): &(String, Outcome)| {
        let (state, why) = match outcome {
            Outcome::Delivered => ("taken", None),
            Outcome::TryLater(why) => ("not-taken", Some(why)),
            Outcome::Refused(why) => ("refused", Some(why)),
        };
        json!({ "to": whom, "outcome": state, "why": why })
    };
    format!("{}\n", json!({ "told": told.iter().map(one).collect::<Vec<_>>() }))
}
