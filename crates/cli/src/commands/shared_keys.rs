//! `ringfence shared-keys`: keys of their own that sign accounts' webhooks in the place of the auth token; first as a difference
//! against Twilio, then made so. Experimental: Twilio's API for it is a beta.
//!
//! `serve` does by itself what `apply` does, and what has to wait it does when its time has come.

mod text;

use std::path::PathBuf;
use std::sync::Arc;

use ringfence_control::engine::Engine;
use ringfence_control::shared_keys::{NotBegun, Settings};
use ringfence_control::views::Views;
use ringfence_model::Secret;
use ringfence_store::Account;
use serde_json::json;

use super::act::{REASON, parse_reason, reason_of, with_name};
use super::over_api::{self as place, shared_keys as over_api};
use super::secret_file::SecretFile;
use super::token::{self, Reach};
use super::with_engine::{self, Installation, Missing, store};
use super::with_store;
use crate::exit::{Answer, Failure};

/// For so many accounts Twilio is asked at the same time.
const AT_ONCE: usize = 4;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
#[command(after_help = "\
EXPERIMENTAL: Twilio's Webhooks configuration API is a public beta, and names of it may change. It needs [shared_keys] in the
configuration.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What would change at Twilio, and what would have to wait. It changes nothing at all.
    Plan(PlanArguments),
    /// Do what can be done at once; `serve` goes on.
    Apply(ApplyArguments),
    /// Which keys are there, and how far are they?
    Status(StatusArguments),
    /// Have another key take the place of the one that signs.
    Rotate(RotateArguments),
    /// Take the next key back, before it signs.
    Undo(UndoArguments),
    /// Give out the key that signs, for a gate without a store.
    Show(ShowArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
+ is made, ~ names another key, - is deleted, … has to wait, ! is in the way. What is not Ringfence's is left alone.

Example:
  ringfence shared-keys plan --config ringfence.toml || ringfence shared-keys apply --config ringfence.toml

Exit codes: 0 nothing is to be done; 1 there are changes, or something is in the way; 2 wrong usage; 64 wrong configuration;
69 Twilio or the store does not answer, for one account at least.")]
struct PlanArguments {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A key signs when every live node verifies with it and two minutes have passed since it was made: until then this command says
what it waits for. Type it again, or leave it to `serve`.

Exit codes: 0 done, or it waits; 1 Twilio refused some of it, or something is in the way; 2 wrong usage; 64 wrong
configuration; 69 Twilio or the store does not answer.")]
struct ApplyArguments {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
struct StatusArguments {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
1. Twilio makes another key; every node verifies with both.
2. When every node has said so and it has got everywhere at Twilio, the rules name it.
3. When nothing can come any more that the old one signed, that one is deleted.

With --hold it stops before step 2, so that gates without a store can be given the key (`ringfence shared-keys show`); typed
again without it, it goes on.

Example:
  ringfence shared-keys rotate AC00000000000000000000000000000001 --config ringfence.toml --reason \"each year\"

Exit codes: 0 it is begun, and `serve` goes on; 1 it was refused; 2 wrong usage; 64 wrong configuration; 69 Twilio or the
store does not answer.")]
struct RotateArguments {
    /// The account, by its SID or its name
    #[arg(value_name = "SID")]
    account: String,
    #[command(flatten)]
    reach: Reach,
    /// Why; the audit log keeps it. Needed; asked for if it is not given and you sit at a terminal
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
    /// Stop before it signs
    #[arg(long)]
    hold: bool,
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
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Of a key that is held it is that one. It prints the id, and the secret where no --to says where to put it. The audit log keeps
that it was given out. In the other gate's configuration:

  shared_keys = [{ id = \"webhooks_sharedkey_…\", secret = { file = \"FILE\" }, algorithm = \"HMAC_SHA256\" }]")]
struct ShowArguments {
    /// The account, by its SID or its name
    #[arg(value_name = "SID")]
    account: String,
    #[command(flatten)]
    reach: Reach,
    /// Why; the audit log keeps it
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
    /// A new file to write the secret to, which only you may read
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Plan(arguments) => bring(&arguments.reach, false),
        Command::Apply(arguments) => bring(&arguments.reach, true),
        Command::Status(arguments) => status(arguments),
        Command::Rotate(arguments) => rotate(arguments),
        Command::Undo(arguments) => undo(arguments),
        Command::Show(arguments) => show(arguments),
    }
}

fn bring(arguments: &Reach, applies: bool) -> Result<Answer, Failure> {
    let json = arguments.json;
    let config = match arguments.place.reach()? {
        place::Reach::Store(file) => file,
        place::Reach::Node(api) => {
            let plan = if applies { over_api::apply(&api) } else { over_api::plan(&api) };
            return Ok(text::brought(&plan?, json, with_store::now()?));
        }
    };
    with_engine::run(config, Missing::Refuse, async |installation| {
        let settings = settings(installation)?;
        let (engine, notes) = installation.holding().await?;
        if applies {
            // The accounts may not be known yet, and a key goes to one that is there.
            engine.synchronise_accounts().await.map_err(store)?;
        }
        let accounts = installation.store.accounts().await.map_err(store)?;
        let by = applies.then_some(&installation.by);
        let brought = engine.bring_shared_keys(settings, &accounts, by, AT_ONCE).await.map_err(store)?;
        let plan = engine.views().shared_key_plan(&brought, applies).await.map_err(store)?;
        let mut answer = text::brought(&plan, json, installation.now);
        answer.notes.extend(notes);
        if accounts.is_empty() {
            answer.notes.push(format!(
                "note: no account is known yet; {} finds them",
                installation.command("shared-keys apply")
            ));
        }
        let is_left = plan.accounts.iter().any(|it| !it.waits.is_empty());
        if applies && is_left && installation.store.nodes().await.map_err(store)?.is_empty() {
            answer.notes.push(format!(
                "note: no node is at work; {} goes on, or this command, typed again",
                installation.command("serve")
            ));
        }
        Ok(answer)
    })
}

fn status(arguments: &StatusArguments) -> Result<Answer, Failure> {
    let json = arguments.reach.json;
    let config = match arguments.reach.place.reach()? {
        place::Reach::Store(file) => file,
        place::Reach::Node(api) => return Ok(text::status(&over_api::list(&api)?, json, with_store::now()?)),
    };
    with_engine::run(config, Missing::Refuse, async |installation| {
        let views = Views::new(&installation.store, &[], installation.now);
        let keys = views.shared_keys().await.map_err(store)?;
        Ok(text::status(&keys, json, installation.now))
    })
}

fn rotate(arguments: &RotateArguments) -> Result<Answer, Failure> {
    let reason = reason_of(arguments.reason.as_ref())?;
    let json = arguments.reach.json;
    let config = match arguments.reach.place.reach()? {
        place::Reach::Store(file) => file,
        place::Reach::Node(api) => {
            let plan = over_api::rotate(&api, &arguments.account, &reason, arguments.hold)?;
            return Ok(text::brought(&plan, json, with_store::now()?));
        }
    };
    with_engine::run(config, Missing::Refuse, async |installation| {
        let settings = settings(installation)?;
        let (engine, _) = installation.holding().await?;
        let account = find(installation, &engine, &arguments.account).await?;
        let begun =
            engine.rotate_shared_key(settings, &account, &installation.by, &reason, arguments.hold).await;
        begun.map_err(|error| not_begun(error, installation, &account))?;
        go_on(installation, &engine, settings, account, json).await
    })
}

fn undo(arguments: &UndoArguments) -> Result<Answer, Failure> {
    let reason = reason_of(arguments.reason.as_ref())?;
    let json = arguments.reach.json;
    let config = match arguments.reach.place.reach()? {
        place::Reach::Store(file) => file,
        place::Reach::Node(api) => {
            let plan = over_api::undo(&api, &arguments.account, &reason)?;
            return Ok(text::brought(&plan, json, with_store::now()?));
        }
    };
    with_engine::run(config, Missing::Refuse, async |installation| {
        let settings = settings(installation)?;
        let (engine, _) = installation.holding().await?;
        let account = find(installation, &engine, &arguments.account).await?;
        let undone = engine.undo_shared_key(account.sid, &installation.by, &reason).await;
        undone.map_err(|error| not_begun(error, installation, &account))?;
        go_on(installation, &engine, settings, account, json).await
    })
}

/// Does at once what can be done at once.
async fn go_on(
    installation: &Installation,
    engine: &Arc<Engine>,
    settings: &Settings,
    account: Account,
    json: bool,
) -> Result<Answer, Failure> {
    let (by, of) = (Some(&installation.by), [account]);
    let brought = engine.bring_shared_keys(settings, &of, by, AT_ONCE).await.map_err(store)?;
    let plan = engine.views().shared_key_plan(&brought, true).await.map_err(store)?;
    Ok(text::brought(&plan, json, installation.now))
}

fn show(arguments: &ShowArguments) -> Result<Answer, Failure> {
    let (to, reason, json) = (arguments.to.as_deref(), arguments.reason.as_deref(), arguments.reach.json);
    let config = match arguments.reach.place.reach()? {
        place::Reach::Store(file) => file,
        place::Reach::Node(api) => {
            // The place for it comes first: what cannot be put anywhere is not given out.
            let file = to.map(SecretFile::create).transpose()?;
            let key = match (over_api::show(&api, &arguments.account, reason), file) {
                (Ok(key), Some(file)) => file.write(&key.secret).map(|()| key)?,
                (Ok(key), None) => key,
                (Err(failure), file) => {
                    file.into_iter().for_each(SecretFile::remove);
                    return Err(failure);
                }
            };
            return Ok(shown(&key.id, &key.secret, to.is_some(), json));
        }
    };
    with_engine::run(config, Missing::Refuse, async |installation| {
        let (engine, _) = installation.holding().await?;
        let account = find(installation, &engine, &arguments.account).await?;
        let key = engine.key_to_show(account.sid).await;
        let key = key.map_err(|error| not_begun(error, installation, &account))?;
        token::give_out(installation, "shared-key.show", account.sid, &key.secret, to, reason).await?;
        Ok(shown(&key.id, &key.secret, to.is_some(), json))
    })
}

/// A key by its id, with its secret where that is in no file.
fn shown(id: &str, secret: &Secret, is_in_file: bool, json: bool) -> Answer {
    let secret = (!is_in_file).then(|| secret.expose());
    Answer::text(match secret {
        _ if json => format!("{}\n", json!({ "id": id, "secret": secret })),
        Some(secret) => format!("{id}\n{secret}\n"),
        None => format!("{id}\n"),
    })
}

fn settings(installation: &Installation) -> Result<&Settings, Failure> {
    installation.shared_keys.as_ref().ok_or_else(|| {
        Failure::configuration(format!("{} has no [shared_keys]", installation.config))
            .hint("add [shared_keys] with accounts = \"all\", or a list of accounts")
    })
}

/// The account that is meant. It must be one that Twilio lists.
async fn find(installation: &Installation, engine: &Engine, text: &str) -> Result<Account, Failure> {
    let (sid, _) = token::find(installation, engine, text).await?;
    let account = installation.store.find_account(sid).await.map_err(store)?;
    account.ok_or_else(|| {
        Failure::refused(format!("{sid} is not known to the store yet"))
            .hint(installation.command("shared-keys apply"))
    })
}

fn not_begun(error: NotBegun, installation: &Installation, account: &Account) -> Failure {
    let name = with_name(account.sid, &account.friendly_name);
    match error {
        NotBegun::Store(error) => store(error),
        NotBegun::Trouble(trouble) if !trouble.is_refusal() => {
            Failure::unavailable(format!("{name}: {trouble}"))
        }
        error @ NotBegun::UnderWay(_) => Failure::refused(&error).hint(format!(
            "{} takes it back",
            installation.command(&format!("shared-keys undo {} {REASON}", account.sid))
        )),
        error @ NotBegun::NoneSigns(_) => {
            Failure::refused(&error).hint(installation.command("shared-keys apply"))
        }
        error => Failure::refused(error),
    }
}
