//! `ringfence token`: replaces an account's auth token without one refused webhook.
//!
//! It needs no `serve` to act, and waits for every node of one: none is left behind. Each step is in the store before the next
//! one begins, so the same command, typed again after whatever ended it, goes on.

mod holders;
mod text;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfence_control::engine::Engine;
use ringfence_control::rotation::{NotRotated, Turn, Waiting, Wish};
use ringfence_model::{Secret, Sid};
use ringfence_store::{NewAudit, RotationEnd};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::act::{self, parse_reason, reason_of, with_name};
use super::over_api::not_over_the_api;
use super::paper;
use super::with_engine::{self, Installation, Missing, store};
use crate::config::{self, units};
use crate::exit::{Answer, Failure};

/// How often it looks whether it can go on.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait before Twilio is asked again.
const AGAIN: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Replace an account's auth token; goes on where an earlier run ended.
    Rotate(RotateArguments),
    /// Take a rotation back, before its promotion.
    Undo(UndoArguments),
    /// How far are rotations, and which configured tokens are out of date?
    Status(StatusArguments),
    /// Give out the token in use, for an application that needs it.
    Show(ShowArguments),
}

#[derive(Debug, clap::Args)]
struct Reach {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[arg(long = "api", value_name = "URL", hide = true, value_parser = not_over_the_api)]
    _api: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
1. Twilio makes a second token; every node verifies with both, and asks Twilio with the new one.
2. When every node has said so, it is promoted: Twilio takes the old one no more.
3. When a gate has seen a request that the new one signed, the old one is forgotten.

The token is not printed: `ringfence token show` gives it out. What Twilio did not answer is found out, not repeated. Until
step 2 `ringfence token undo` takes it back. The store's token counts until the configured one changes.

Examples:
  ringfence token rotate AC00000000000000000000000000000001 --config ringfence.toml --reason \"it leaked\"
  ringfence token rotate AC… --config ringfence.toml --reason \"each quarter\" --hold

Exit codes: 0 it is replaced; 1 it waits (for a node, a request, you) or was refused; 2 wrong usage; 64 wrong
configuration; 69 Twilio or the store does not answer.")]
struct RotateArguments {
    /// The account, by its SID or its name
    #[arg(value_name = "SID")]
    account: String,
    #[command(flatten)]
    reach: Reach,
    /// Why; the audit log keeps it. Needed; asked for if it is not given and you sit at a terminal
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
    /// How long to wait for nodes, for Twilio and for a request that the new token signed
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_wait)]
    wait: Duration,
    /// Stop before the promotion, so that applications can be given the new token first
    #[arg(long)]
    hold: bool,
    /// After the promotion, forget the old token although no request came that the new one signed
    #[arg(long, conflicts_with = "hold")]
    unconfirmed: bool,
    /// Delete the second token that the account has already, whoever made it
    #[arg(long)]
    replace_second: bool,
    /// Replace a token once more that was replaced in the last 24 hours
    #[arg(long)]
    again: bool,
}

#[derive(Debug, clap::Args)]
struct UndoArguments {
    /// The account, by its SID or its name
    #[arg(value_name = "SID")]
    account: String,
    #[command(flatten)]
    reach: Reach,
    /// Why; the audit log keeps it
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
    /// How long to wait for nodes and for Twilio
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_wait)]
    wait: Duration,
}

#[derive(Debug, clap::Args)]
struct StatusArguments {
    /// One account alone, by its SID or its name
    #[arg(value_name = "SID")]
    account: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
While a rotation is under way this is the new token. Without --to it goes to standard output, alone. The audit log keeps
that it was given out.")]
struct ShowArguments {
    /// The account, by its SID or its name
    #[arg(value_name = "SID")]
    account: String,
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A new file to write it to, which only you may read
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(time) if time <= Duration::from_hours(24) => Ok(time),
        _ => Err("write a time such as 5m, up to 24h".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Rotate(arguments) => rotate(arguments),
        Command::Undo(arguments) => undo(arguments),
        Command::Status(arguments) => status(arguments),
        Command::Show(arguments) => show(arguments),
    }
}

fn rotate(arguments: &RotateArguments) -> Result<Answer, Failure> {
    let reason = reason_of(arguments.reason.as_ref())?;
    let mut wish = Wish {
        reason: &reason,
        holds: arguments.hold,
        unconfirmed: arguments.unconfirmed,
        replaces_second: arguments.replace_second,
        again: arguments.again,
    };
    let config = &arguments.reach.config;
    let loaded = config::load(config)?;
    with_engine::run(config, Missing::Refuse, async |installation| {
        let (engine, _) = installation.holding().await?;
        let (account, name) = find(installation, &engine, &arguments.account).await?;
        let mut run = Run::new(installation, &engine, account, &name, arguments.wait);
        let end = run
            .go_on(async || {
                let turn = engine.rotate(account, &installation.by, &wish).await;
                // What was wanted of the first step is not wanted of one that follows a loss.
                wish.again |= turn.is_ok();
                turn
            })
            .await?;
        let holders = holders::of(&loaded, installation, account).await?;
        Ok(text::rotated(&run, &end, &holders, arguments.reach.json))
    })
}

fn undo(arguments: &UndoArguments) -> Result<Answer, Failure> {
    let reason = reason_of(arguments.reason.as_ref())?;
    with_engine::run(&arguments.reach.config, Missing::Refuse, async |installation| {
        let (engine, _) = installation.holding().await?;
        let (account, name) = find(installation, &engine, &arguments.account).await?;
        let mut run = Run::new(installation, &engine, account, &name, arguments.wait);
        let end = run.go_on(async || engine.undo_rotation(account, &installation.by, &reason).await).await?;
        Ok(text::rotated(&run, &end, &[], arguments.reach.json))
    })
}

fn status(arguments: &StatusArguments) -> Result<Answer, Failure> {
    let config = &arguments.reach.config;
    let loaded = config::load(config)?;
    with_engine::run(config, Missing::Refuse, async |installation| {
        let (engine, _) = installation.holding().await?;
        let only = match &arguments.account {
            Some(text) => Some(find(installation, &engine, text).await?.0),
            None => None,
        };
        let mut tokens = engine.views().tokens().await.map_err(store)?;
        tokens.retain(|token| only.is_none_or(|only| only == token.account.sid));
        if arguments.reach.json {
            return Ok(Answer::text(format!("{}\n", json!({ "tokens": tokens }))));
        }
        let mut output = String::new();
        for token in &tokens {
            let holders = holders::of(&loaded, installation, token.account.sid).await?;
            output.push_str(&text::status(token, &holders, installation));
        }
        if tokens.is_empty() {
            output.push_str("no auth token is being replaced, and none was replaced by Ringfence\n");
        }
        Ok(Answer::text(output))
    })
}

fn show(arguments: &ShowArguments) -> Result<Answer, Failure> {
    with_engine::run(&arguments.config, Missing::Refuse, async |installation| {
        let (engine, _) = installation.holding().await?;
        let (account, name) = find(installation, &engine, &arguments.account).await?;
        let token = engine.token_in_use(account).await.map_err(store)?;
        let token = token.ok_or_else(|| Failure::refused(NotRotated::NoToken(account)))?;
        if let Some(path) = &arguments.to {
            write_new(path, &token)?;
        }
        let to = arguments.to.as_ref().map(|path| path.display().to_string());
        let audit = NewAudit::new("token.show", format!("account {account}")).with(json!({ "to": to }));
        installation.store.audit(&installation.by, audit, installation.now).await.map_err(store)?;
        Ok(match to {
            Some(to) => Answer::text(format!("the auth token of {} is in {to}\n", with_name(account, &name))),
            None => Answer::text(format!("{}\n", token.expose())),
        })
    })
}

fn write_new(path: &Path, token: &Secret) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| writeln!(file, "{}", token.expose()).and_then(|()| file.sync_all()))
        .map_err(|error| Failure::unavailable(format!("cannot write {}: {error}", path.display())))
}

/// The account that is meant, with its name. One that only the configuration knows is found by its SID.
async fn find(installation: &Installation, engine: &Engine, text: &str) -> Result<(Sid, String), Failure> {
    let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC"));
    let listed = match sid {
        Some(sid) => installation.store.find_account(sid).await.map_err(store)?,
        None => None,
    };
    match (listed, sid) {
        (Some(listed), _) => Ok((listed.sid, listed.friendly_name)),
        (None, Some(sid)) if installation.clients.of(sid).is_some() => Ok((sid, String::new())),
        _ => {
            let found = act::find_account(installation, engine, text).await?;
            Ok((found.sid, found.friendly_name))
        }
    }
}

/// How a run came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Ended(RotationEnd),
    /// Nodes that still use what was forgotten, or taken back.
    EndedBut(RotationEnd, Vec<String>),
    Waits(Waiting),
}

/// One run of the command, which tells what happens as it does.
pub(super) struct Run<'a> {
    pub(super) installation: &'a Installation,
    engine: &'a Engine,
    pub(super) account: Sid,
    pub(super) name: String,
    until: Instant,
    told: Option<String>,
}

impl<'a> Run<'a> {
    fn new(
        installation: &'a Installation,
        engine: &'a Engine,
        account: Sid,
        name: &str,
        wait: Duration,
    ) -> Self {
        let name = with_name(account, name);
        Self { installation, engine, account, name, until: Instant::now() + wait, told: None }
    }

    /// Takes one step after the other, as long as it may wait.
    async fn go_on(
        &mut self,
        mut step: impl AsyncFnMut() -> Result<Turn, NotRotated>,
    ) -> Result<End, Failure> {
        loop {
            let pause = match step().await {
                Ok(Turn::Ended(end)) => return self.ended(end).await,
                // Nothing that this command waits for would change it.
                Ok(Turn::Waits(Waiting::Operator)) => return Ok(End::Waits(Waiting::Operator)),
                Ok(Turn::Waits(waiting)) if Instant::now() >= self.until => return Ok(End::Waits(waiting)),
                Ok(turn) => {
                    self.tell(text::turn(&turn, self.installation.now));
                    if matches!(turn, Turn::Waits(_)) { LOOK } else { Duration::ZERO }
                }
                Err(error) if error.may_pass() && Instant::now() < self.until => {
                    self.tell(format!("{error}; it is tried again"));
                    AGAIN
                }
                Err(error) => return Err(text::failure(error, self.installation, self.account)),
            };
            sleep(pause).await;
        }
    }

    /// Waits until no node uses any more what was forgotten.
    async fn ended(&mut self, end: RotationEnd) -> Result<End, Failure> {
        loop {
            let late = self.engine.late_nodes(self.account).await.map_err(store)?;
            let names: Vec<String> = late.into_iter().map(|node| node.name).collect();
            if names.is_empty() {
                return Ok(End::Ended(end));
            }
            if Instant::now() >= self.until {
                return Ok(End::EndedBut(end, names));
            }
            self.tell(format!("waits until {} forget the other token", names.join(", ")));
            sleep(LOOK).await;
        }
    }

    /// Says what is new, on standard error.
    fn tell(&mut self, text: String) {
        if self.told.as_ref() != Some(&text) {
            paper::note(&text);
            self.told = Some(text);
        }
    }
}

impl End {
    fn as_json(&self) -> Value {
        match self {
            Self::Ended(end) => json!({ "state": text::word(*end) }),
            Self::EndedBut(end, nodes) => json!({ "state": text::word(*end), "late_nodes": nodes }),
            Self::Waits(waiting) => json!({ "state": "waiting", "for": text::waiting_word(waiting) }),
        }
    }
}
