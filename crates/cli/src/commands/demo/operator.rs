//! What an operator types, carried out by the functions of the command line: the same as in another terminal.

use std::io::Write as _;

use anyhow::{Context, bail};
use clap::Parser as _;
use ringfence_control::notices::shell_word;
use ringfence_model::Amount;
use serde_json::Value;

use super::World;
use super::client::Outgoing;
use crate::commands::{explain, incidents, key, reset, status, user};
use crate::exit::{Answer, Failure};
use crate::{Command, CommandLine};

/// A command and what it printed.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    /// As somebody would type it.
    pub(super) line: String,
    pub(super) output: String,
    /// Whether it did what was asked of it.
    pub(super) is_done: bool,
}

/// `ringfence key create`: a credential for the application of an account; gives its SID and its secret, which is shown
/// once.
pub(super) async fn create_key(world: &World, account: &str) -> anyhow::Result<(Typed, String, String)> {
    let words = ["key", "create", "--account", account, "--name", "shop"];
    let made = type_in(world, &words, &["--json"]).await?;
    let shown: Value = serde_json::from_str(&made.output).context("a credential in JSON")?;
    let (sid, secret) = (shown["sid"].as_str(), shown["secret"].as_str());
    let (sid, secret) = sid.zip(secret).with_context(|| format!("no credential in {shown}"))?;
    let (sid, secret) = (sid.to_owned(), secret.to_owned());
    Ok((made, sid, secret))
}

/// `ringfence reset`: lifts a trip, with a reason; `allow` is how much more may be spent, where it is not what the limit
/// says.
pub(super) async fn reset(
    world: &World,
    limit: &str,
    account: &str,
    allow: Option<&str>,
    reason: &str,
) -> anyhow::Result<Typed> {
    let mut words = vec!["reset", limit, "--account", account];
    words.extend(allow.iter().flat_map(|allow| ["--allow", *allow]));
    words.extend(["--reason", reason]);
    type_in(world, &words, &[]).await
}

/// `ringfence status`: what Ringfence has read of an account, under a limit.
pub(super) async fn used(world: &World, limit: &str, account: &str) -> anyhow::Result<Option<Amount>> {
    let status = type_in(world, &["status"], &["--json"]).await?;
    let shown: Value = serde_json::from_str(&status.output).context("a status in JSON")?;
    let mut breakers = shown["breakers"].as_array().into_iter().flatten();
    let its = breakers.find(|it| it["limit"] == limit && it["account"]["sid"] == account);
    let used = its.and_then(|it| it["used"].as_str());
    used.map(|used| used.parse().context("an amount")).transpose()
}

/// `ringfence user add`: what it prints is a code to begin with.
pub(super) async fn add_owner(world: &World, login: &str) -> anyhow::Result<Typed> {
    type_in(world, &["user", "add", "--role", "owner", login], &[]).await
}

/// `ringfence user reset-second-factor`: another code to begin with.
pub(super) async fn invite_again(world: &World, login: &str) -> anyhow::Result<Typed> {
    type_in(world, &["user", "reset-second-factor", "--reason", "once more", login], &[]).await
}

/// `ringfence incidents` of one account.
pub(super) async fn incidents(world: &World, account: &str) -> anyhow::Result<Typed> {
    type_in(world, &["incidents", "--account", account], &[]).await
}

/// `ringfence explain`: why a request was refused, from the request as it was saved.
pub(super) async fn explain(world: &World, request: &Outgoing) -> anyhow::Result<Typed> {
    let folder = world.config.parent().context("the configuration is in a folder")?;
    let mut saved = tempfile::Builder::new().prefix("request-").suffix(".txt").tempfile_in(folder)?;
    saved.write_all(&request.bytes())?;
    let path = saved.path().to_str().context("the folder for temporary files has a name that is no text")?;
    let typed = type_in(world, &["explain", "--http", path], &[]).await?;
    // The file is gone before anybody reads its name.
    let named = |text: &str| text.replace(path, "request.txt");
    // That it is refused is what was asked.
    Ok(Typed { line: named(&typed.line), output: named(&typed.output), is_done: true })
}

/// Does what a person does who types this; `quietly` are words that are not shown.
async fn type_in(world: &World, words: &[&str], quietly: &[&str]) -> anyhow::Result<Typed> {
    let config =
        world.config.to_str().context("the folder for temporary files has a name that is no text")?;
    let shown: Vec<_> = words.iter().chain(&["--config", config]).map(|word| shell_word(word)).collect();
    let line = ["ringfence"].into_iter().chain(words.iter().copied()).chain(["--config", config]);
    let command = CommandLine::try_parse_from(line.chain(quietly.iter().copied()))?.command;
    // Commands have a runtime of their own.
    let answer = tokio::task::spawn_blocking(move || carry_out(&command)).await?;
    let Some(answer) = answer else { bail!("no such command here") };
    let answer = answer.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    Ok(Typed {
        line: format!("ringfence {}", shown.join(" ")),
        output: String::from_utf8_lossy(&answer.output).into_owned(),
        is_done: !(answer.is_no || answer.is_unavailable),
    })
}

fn carry_out(command: &Command) -> Option<Result<Answer, Failure>> {
    match command {
        Command::Explain(arguments) => Some(explain::run(arguments)),
        Command::Incidents(arguments) => Some(incidents::run(arguments)),
        Command::Key(arguments) => Some(key::run(arguments)),
        Command::Reset(arguments) => Some(reset::run(arguments)),
        Command::Status(arguments) => Some(status::run(arguments)),
        Command::User(arguments) => Some(user::run(arguments)),
        _ => None,
    }
}
