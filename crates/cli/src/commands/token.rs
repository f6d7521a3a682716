//! `ringfence token`: replaces an account's auth token without one refused webhook.
//!
//! It needs no `serve` to act, and waits for every node of one: none is left behind. Each step is in the store before the next
//! one begins, so the same command, typed again after whatever ended it, goes on.

mod holders;
mod run;
mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Per, Subject};
use ringfence_control::engine::Engine;
use ringfence_control::rotation::{NotRotated, Turn, Waiting, Wish};
use ringfence_control::views::TokenView;
use ringfence_model::{Secret, Sid};
use ringfence_store::{Account, AuditFilter, NewAudit};
use serde_json::json;
use tokio::time::sleep;

use self::run::{End, Run};
use super::act::{self, REASON, parse_reason, reason_of, with_name};
use super::over_api::tokens::{self as over_api, Wanted};
use super::over_api::{self as place, ReachArguments};
use super::paper;
use super::secret_file::SecretFile;
use super::trip::reset_command;
use super::with_engine::{self, Installation, Missing, store};
use super::words::moment;
use crate::config::{self, units};
use crate::exit::{Answer, Failure};

/// What a node had begun to ask with the old token, when it said that it asks with the new one, has left by then: after the
/// promotion Twilio would refuse it.
const SETTLE: Duration = Duration::from_secs(5);

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

/// Where the command finds an installation, and how it answers.
#[derive(Debug, clap::Args)]
pub(super) struct Reach {
    #[command(flatten)]
    pub(super) place: ReachArguments,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
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

Exit codes: 0 it is replaced, or held as --hold has it; 1 it waits (for a node, a request) or was refused; 2 wrong usage; 64 wrong
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
    let config = match arguments.reach.place.reach()? {
        place::Reach::Store(file) => file,
        place::Reach::Node(api) => {
            let wanted = Wanted {
                account: &arguments.account,
                reason: &reason,
                wait: arguments.wait,
                hold: arguments.hold,
                unconfirmed: arguments.unconfirmed,
                replace_second: arguments.replace_second,
                again: arguments.again,
                json: arguments.reach.json,
            };
            return over_api::rotate(&api, &wanted);
        }
    };
    let loaded = config::load(config)?;
    with_engine::run(config, Missing::Refuse, async |installation| {
        let (engine, _) = installation.holding().await?;
        let (account, name) = find(installation, &engine, &arguments.account).await?;
        let mut run = Run::new(installation, &engine, account, &name, arguments.wait);
        let mut has_settled = false;
        let end = run
            .go_on(async || {
                let turn = step(installation, &engine, account, &wish, &mut has_settled).await;
                // Once it goes on, one that has ended meanwhile is not to be followed by another.
                wish.again &= turn.is_err();
                turn
            })
            .await
            .map_err(|error| text::failure(error, installation, account))?;
        let holders = holders::of(&loaded, installation, account).await?;
        Ok(text::rotated(&run, &end, &holders, arguments.reach.json))
    })
}

/// What came of replacing a token that somebody else knows.
pub(super) enum Replaced {
    /// And the old one is forgotten.
    Yes(String),
    /// Why not, and what to type.
    NotYet { why: String, next: String },
}

/// A token that was replaced since an earlier run so lately was replaced because of the same.
const SAME_BREACH: SignedDuration = SignedDuration::from_hours(1);

/// Replaces a token that somebody else knows: when the time to wait is over the old one is forgotten, whether a request came
/// that the new one signed or not.
pub(super) async fn replace(
    installation: &Installation,
    engine: &Engine,
    (account, name): (Sid, &str),
    reason: &str,
    wait: Duration,
) -> Result<Replaced, Failure> {
    let mut next = installation.command(&format!("token rotate {account} {REASON}"));
    let under_way = installation.store.rotation(account).await.map_err(store)?;
    let rotated = installation.store.rotated_tokens().await.map_err(store)?;
    let last = rotated.iter().find(|it| it.account == account).map(|it| it.promoted_at);
    let first_told = first_told(installation, account).await?;
    if let (None, Some(at)) = (under_way, last.filter(|at| first_told.is_some_and(|told| told <= *at))) {
        return Ok(Replaced::Yes(format!(
            "was replaced at {} already, after an earlier run, and is not replaced again; if that one leaked too, `token rotate \
             {account} --again` does",
            moment(at)
        )));
    }
    let mut wish = Wish { reason, holds: false, unconfirmed: false, replaces_second: false, again: true };
    let mut run = Run::new(installation, engine, account, name, wait);
    let mut has_settled = false;
    loop {
        let ended = run
            .go_on(async || {
                let turn = step(installation, engine, account, &wish, &mut has_settled).await;
                wish.again &= turn.is_err();
                turn
            })
            .await;
        let why = match ended {
            Ok(End::Ended(end)) => return Ok(Replaced::Yes(text::ended(end, &run.name))),
            Ok(End::Waits(Waiting::Request { .. } | Waiting::OldToken { .. })) if !wish.unconfirmed => {
                wish.unconfirmed = true;
                continue;
            }
            Ok(End::EndedBut(_, nodes)) => {
                next = installation.command(&format!("token status {account}"));
                format!(
                    "replaced, and these nodes have not said that they forgot the old one: {}",
                    nodes.join(", ")
                )
            }
            Ok(End::Waits(waiting)) => text::waits(&waiting, installation.now),
            Err(error @ NotRotated::Inactive(_)) => {
                next = let_go_and_rotate(installation, engine, account).await?;
                format!("{error}: nobody can use it meanwhile; replace it the moment you let the account go")
            }
            Err(error @ NotRotated::NeitherWorks(_)) => {
                next = installation.command(&format!("token undo {account} {REASON}"));
                format!(
                    "{error}: write the one that works into its [[account]], end this rotation, and run this again"
                )
            }
            Err(error @ (NotRotated::HasSecond(_) | NotRotated::SecondInDoubt(_))) => {
                next.push_str(" --replace-second");
                format!("{error}: it may be the thief's")
            }
            Err(error) => return Err(text::failure(error, installation, account)),
        };
        return Ok(Replaced::NotYet { why, next });
    }
}

/// What lets a suspended account go, one command after the other: first the limits that hold it, since nothing else is taken
/// while they do.
pub(super) async fn let_go(
    installation: &Installation,
    engine: &Engine,
    account: Sid,
) -> Result<String, Failure> {
    let seen = engine.views().account(account).await.map_err(with_engine::not_seen)?;
    let limits = seen.why.map(|why| why.limits).unwrap_or_default();
    let resets = limits.iter().map(|name| {
        let is_sum = engine.limits().iter().any(|it| it.limit.name == *name && it.limit.per == Per::Together);
        let subject = if is_sum { Subject::Together } else { Subject::Account(account) };
        reset_command(&installation.typed, name, subject)
    });
    let resume = installation.command(&format!("account resume {account} {REASON}"));
    Ok(resets.chain([resume]).collect::<Vec<_>>().join(" && "))
}

/// The same, and then its auth token is replaced, whatever second one is there, which may be the thief's. An account whose token
/// was not replaced is suspended again.
pub(super) async fn let_go_and_rotate(
    installation: &Installation,
    engine: &Engine,
    account: Sid,
) -> Result<String, Failure> {
    let let_go = let_go(installation, engine, account).await?;
    let rotate = format!("token rotate {account} {REASON} --replace-second --unconfirmed");
    let (rotate, suspend) =
        (installation.command(&rotate), installation.command(&format!("account suspend {account} {REASON}")));
    Ok(format!("{let_go} && {{ {rotate} || {suspend}; }}"))
}

/// The subaccounts whose tokens were there to be read with that of their parent when it was found to have leaked, and are what they
/// were.
pub(super) async fn readable_with(installation: &Installation, parent: Sid) -> Result<Vec<Account>, Failure> {
    let first_told = first_told(installation, parent).await?;
    let rotated = installation.store.rotated_tokens().await.map_err(store)?;
    let is_replaced = |account: Sid| {
        let last = rotated.iter().find(|it| it.account == account).map(|it| it.promoted_at);
        last.zip(first_told).is_some_and(|(at, told)| told <= at)
    };
    let mut accounts = installation.store.accounts().await.map_err(store)?;
    accounts.retain(|it| it.parent == Some(parent) && it.gone_at.is_none() && it.status != "closed");
    accounts.retain(|it| !is_replaced(it.sid));
    Ok(accounts)
}

/// When `breached` first said of this account what it says now. A token that was replaced before that for another reason may
/// be the one that leaked.
async fn first_told(installation: &Installation, account: Sid) -> Result<Option<Timestamp>, Failure> {
    let filter = AuditFilter {
        action: Some("account.breached".to_owned()),
        account: Some(account),
        ..AuditFilter::default()
    };
    let rows = installation.store.search_audit(&filter, None, 1_000).await.map_err(store)?;
    let lately = rows.iter().filter(|row| installation.now.duration_since(row.at) < SAME_BREACH);
    Ok(lately.map(|row| row.at).min())
}

/// One step; before the promotion it gives nodes a moment.
async fn step(
    installation: &Installation,
    engine: &Engine,
    account: Sid,
    wish: &Wish<'_>,
    has_settled: &mut bool,
) -> Result<Turn, NotRotated> {
    let by = &installation.by;
    if !(*has_settled || wish.holds) {
        let turn = engine.rotate(account, by, &Wish { holds: true, ..*wish }).await?;
        if turn != Turn::Waits(Waiting::Operator) {
            return Ok(turn);
        }
        // Also where no node is registered: one that has just left, or lost the store, may be at work all the same.
        paper::note(&format!(
            "waits {} s until what was begun with the old token has left",
            SETTLE.as_secs()
        ));
        sleep(SETTLE).await;
        *has_settled = true;
    }
    engine.rotate(account, by, wish).await
}

fn undo(arguments: &UndoArguments) -> Result<Answer, Failure> {
    let reason = reason_of(arguments.reason.as_ref())?;
    let config = match arguments.reach.place.reach()? {
        place::Reach::Store(file) => file,
        place::Reach::Node(api) => {
            let wanted = Wanted {
                account: &arguments.account,
                reason: &reason,
                wait: arguments.wait,
                json: arguments.reach.json,
                ..Wanted::default()
            };
            return over_api::undo(&api, &wanted);
        }
    };
    with_engine::run(config, Missing::Refuse, async |installation| {
        let (engine, _) = installation.holding().await?;
        let (account, name) = find(installation, &engine, &arguments.account).await?;
        let mut run = Run::new(installation, &engine, account, &name, arguments.wait);
        let end = run.go_on(async || engine.undo_rotation(account, &installation.by, &reason).await).await;
        let end = end.map_err(|error| text::failure(error, installation, account))?;
        Ok(text::rotated(&run, &end, &[], arguments.reach.json))
    })
}

fn status(arguments: &StatusArguments) -> Result<Answer, Failure> {
    let config = match arguments.reach.place.reach()? {
        place::Reach::Store(file) => file,
        place::Reach::Node(api) => {
            let tokens = over_api::list(&api, arguments.account.as_deref())?;
            // Who else holds a token is in the configuration, which is not here.
            return Ok(shown(&tokens, arguments.reach.json, |token| text::status(token, &[], &api.typed)));
        }
    };
    let loaded = config::load(config)?;
    with_engine::run(config, Missing::Refuse, async |installation| {
        let (engine, _) = installation.holding().await?;
        let only = match &arguments.account {
            Some(text) => Some(find(installation, &engine, text).await?.0),
            None => None,
        };
        let mut tokens = engine.views().tokens().await.map_err(store)?;
        tokens.retain(|token| only.is_none_or(|only| only == token.account.sid));
        let mut held = Vec::new();
        for token in &tokens {
            held.push(holders::of(&loaded, installation, token.account.sid).await?);
        }
        let mut held = held.iter();
        Ok(shown(&tokens, arguments.reach.json, |token| {
            let holders = held.next().map(Vec::as_slice).unwrap_or_default();
            text::status(token, holders, &installation.typed)
        }))
    })
}

fn shown(tokens: &[TokenView], as_json: bool, text: impl FnMut(&TokenView) -> String) -> Answer {
    if as_json {
        return Answer::text(format!("{}\n", json!({ "tokens": tokens })));
    }
    let mut output: String = tokens.iter().map(text).collect();
    if tokens.is_empty() {
        output.push_str("no auth token is being replaced, and none was replaced by Ringfence\n");
    }
    Answer::text(output)
}

fn show(arguments: &ShowArguments) -> Result<Answer, Failure> {
    with_engine::run(&arguments.config, Missing::Refuse, async |installation| {
        let (engine, _) = installation.holding().await?;
        let (account, name) = find(installation, &engine, &arguments.account).await?;
        let token = engine.token_in_use(account).await.map_err(store)?;
        let token = token.ok_or_else(|| Failure::refused(NotRotated::NoToken(account)))?;
        let to = arguments.to.as_deref();
        give_out(installation, "token.show", account, &token, to, None).await?;
        Ok(match to {
            Some(to) => Answer::text(format!(
                "the auth token of {} is in {}\n",
                with_name(account, &name),
                to.display()
            )),
            None => Answer::text(format!("{}\n", token.expose())),
        })
    })
}

/// Writes down that a secret is given out, then puts it into the file, if that is where it goes: it is given out when the audit
/// log has it, and the log has nothing that cannot be done.
pub(super) async fn give_out(
    installation: &Installation,
    action: &str,
    account: Sid,
    secret: &Secret,
    to: Option<&Path>,
    reason: Option<&str>,
) -> Result<(), Failure> {
    let file = to.map(SecretFile::create).transpose()?;
    let mut detail = json!({ "to": to.map(|path| path.display().to_string()) });
    if let Some(reason) = reason {
        detail["reason"] = reason.into();
    }
    let audit = NewAudit::new(action, format!("account {account}")).with(detail);
    let audited = installation.store.audit(&installation.by, audit, installation.now).await;
    match (file, audited) {
        (Some(file), Ok(_)) => file.write(secret),
        (Some(file), Err(error)) => {
            file.remove();
            Err(store(error))
        }
        (None, audited) => audited.map(drop).map_err(store),
    }
}

/// The account that is meant, with its name. One that only the configuration knows is found by its SID.
pub(super) async fn find(
    installation: &Installation,
    engine: &Engine,
    text: &str,
) -> Result<(Sid, String), Failure> {
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
