//! `ringfence limits`: the limits of the configuration against those that hold, and the usage triggers that they want against
//! those at Twilio; first as a difference, then made so.

mod diff;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ringfence_control::engine::{Brought, Engine, ListedAccounts, NotListed, Triggers};
use ringfence_control::node::Left;
use ringfence_control::plan::Mark;
use ringfence_model::Sid;
use ringfence_store::{Account, Keys, LimitsApplied, Location, MasterKey, Node, SeenAccount, Store, Wanted};

use self::diff::Difference;
use super::over_api::not_over_the_api;
use super::with_engine::{self, Installation, Missing, store};
use super::with_store::{self, StoreArguments};
use crate::config;
use crate::exit::{Answer, Failure};

/// Every node looks each second whether its limits still hold, and lets go what it was doing for others. What this
/// command changes at Twilio comes after that, or it would be changed back.
const NOTICED: Duration = Duration::from_secs(2);

/// For so many accounts Twilio is asked at the same time.
const AT_ONCE: usize = 8;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What would change, here and at Twilio. It changes nothing at all.
    Plan(PlanArguments),
    /// Make the limits of the configuration hold, and bring the usage triggers at Twilio in line.
    Apply(ApplyArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It compares what this configuration wants, so it needs the store, and is not possible over the API (--api).
+ is made, ~ is replaced or calls another URL, - is deleted. Triggers that are not Ringfence's are left alone.

Example:
  ringfence limits plan --config ringfence.toml || ringfence limits apply --config ringfence.toml

Exit codes: 0 nothing is to be done; 1 there are changes; 2 wrong usage; 64 wrong configuration; 69 Twilio or the store
does not answer, for one account at least.")]
struct PlanArguments {
    #[command(flatten)]
    store: StoreArguments,
    #[arg(long = "api", value_name = "URL", hide = true, value_parser = not_over_the_api)]
    _api: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It takes the limits of this configuration, so it needs the store, and is not possible over the API (--api).
It asks nothing; `ringfence limits plan` shows before what it does. A single `serve` applies its limits by itself when it
starts or is reloaded. A `serve` at work holds what is applied here, whatever its own file says,
until it is reloaded: so give it this configuration too.

Example:
  ringfence limits apply --config ringfence.toml

Exit codes: 0 it is so; 1 Twilio refused some of it; 2 wrong usage; 64 wrong configuration; 69 Twilio or the store does not
answer.")]
struct ApplyArguments {
    #[command(flatten)]
    store: StoreArguments,
    #[arg(long = "api", value_name = "URL", hide = true, value_parser = not_over_the_api)]
    _api: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Plan(arguments) => plan(arguments),
        Command::Apply(arguments) => apply(arguments),
    }
}

fn plan(arguments: &PlanArguments) -> Result<Answer, Failure> {
    let file = &arguments.store.config;
    let loaded = config::load(file)?;
    let version = with_store::block_on(with_engine::version(&loaded))?;
    let current = ringfence_store::Version::NEWEST;
    let as_json = arguments.store.json;
    match version {
        0 => {
            // Nothing may be made, so what is to be compared is kept in a folder that is gone afterwards.
            let now = with_store::now()?;
            with_store::block_on(async {
                let folder = scratch(now)?;
                let location = Location::Sqlite(folder.0.join("plan.db"));
                let keys = Keys::Given { current: MasterKey::from_bytes([0; 32]), previous: Vec::new() };
                let opened = Store::open(&location, &keys, now).await.map_err(store)?;
                let installation = Installation::new(Arc::new(opened), &loaded, now)?;
                planned(&installation, as_json).await
            })
        }
        version if version < current => Err(Failure::configuration(format!(
            "the store is of version {version}, and a plan must not upgrade it to {current}"
        ))
        .hint(format!("ringfence migrate --config {} does", file.display()))),
        _ => {
            with_engine::run(file, Missing::Refuse, async |installation| planned(installation, as_json).await)
        }
    }
}

async fn planned(installation: &Installation, as_json: bool) -> Result<Answer, Failure> {
    let (kept, now) = (&installation.store, installation.now);
    let (changes, limits) = installation.limits.preview(kept, now).await.map_err(store)?;
    let left = installation.limits.leaves(kept, now).await.map_err(store)?;
    let engine = installation.engine(limits);
    let ListedAccounts { accounts: seen, unread } = engine.list_accounts().await;
    if let Some(failure) = nothing_listed(&seen, &unread) {
        return Err(failure);
    }
    let accounts = merged(installation, seen).await?;
    let brought = match triggers(installation).await? {
        Some(triggers) => engine.bring_triggers(&triggers, &accounts, None, AT_ONCE).await.map_err(store)?,
        None => Brought::default(),
    };
    difference(installation, &engine, (changes, left), brought, unread, &accounts, false)
        .await
        .map(|it| it.answer(as_json))
}

fn apply(arguments: &ApplyArguments) -> Result<Answer, Failure> {
    with_engine::run(&arguments.store.config, Missing::Make, async |installation| {
        let Installation { store: kept, limits, by, now, .. } = installation;
        // 1. Twilio first: limits that were applied while it does not know us would hold nobody.
        let (_, previewed) = limits.preview(kept, *now).await.map_err(store)?;
        let listed = installation.engine(previewed).list_accounts().await;
        if let Some(failure) = nothing_listed(&listed.accounts, &listed.unread) {
            return Err(failure);
        }
        // 2. The limits, which every node that has them holds from now on.
        let left = limits.leaves(kept, *now).await.map_err(store)?;
        let changes = limits.apply(kept, by, *now).await.map_err(store)?;
        if changes != LimitsApplied::default() && !others(installation).await?.is_empty() {
            tokio::time::sleep(NOTICED).await;
        }
        let engine = installation.agreed().await?;
        // 3. The accounts, and the triggers of each.
        let found = engine.synchronise_accounts().await.map_err(store)?;
        let accounts: Vec<_> = kept
            .accounts()
            .await
            .map_err(store)?
            .into_iter()
            .filter(|account| account.gone_at.is_none())
            .collect();
        let brought = match triggers(installation).await? {
            Some(triggers) => {
                engine.bring_triggers(&triggers, &accounts, Some(by), AT_ONCE).await.map_err(store)?
            }
            None => Brought::default(),
        };
        let mut difference =
            difference(installation, &engine, (changes, left), brought, found.unread, &accounts, true)
                .await?;
        difference.notes.extend(nodes(installation).await?);
        Ok(difference.answer(arguments.store.json))
    })
}

/// What triggers call, and whose they are; none where the configuration has no route for them.
async fn triggers(installation: &Installation) -> Result<Option<Triggers>, Failure> {
    let Some(callback_url) = installation.trigger_url.clone() else { return Ok(None) };
    let instance = installation.store.instance().await.map_err(store)?;
    Ok(Some(Triggers { callback_url, mark: Mark::new(&instance) }))
}

async fn difference(
    installation: &Installation,
    engine: &Engine,
    (limits, left): (LimitsApplied, Vec<Left>),
    brought: Brought,
    unlisted: Vec<(Sid, NotListed)>,
    accounts: &[Account],
    applied: bool,
) -> Result<Difference, Failure> {
    let mut plan = engine.views().plan(&brought.planned).await.map_err(store)?;
    // Accounts that no store knows yet are named by what Twilio just said.
    for change in &mut plan.changes {
        if let (true, Some(account)) =
            (change.account.friendly_name.is_empty(), accounts.iter().find(|it| it.sid == change.account.sid))
        {
            change.account.friendly_name.clone_from(&account.friendly_name);
        }
    }
    let is_refused = brought.troubles().all(|(_, trouble)| trouble.is_refusal());
    let failed = brought.failed.iter().map(|(sid, why)| (*sid, why.to_string()));
    let unlisted: Vec<_> = unlisted.iter().map(|(sid, why)| (*sid, why.to_string())).collect();
    let mut notes = Vec::new();
    if installation.trigger_url.is_none() {
        notes.push(
            "note: no [[route]] has upstream = \"breaker\", so there are no triggers, and only the poll of `serve` finds \
             what was spent"
                .to_owned(),
        );
    }
    if !brought.planned.suspended.is_empty() {
        let (whose, they) = match brought.planned.suspended.len() {
            1 => ("1 suspended account".to_owned(), "it is"),
            many => (format!("{many} suspended accounts"), "they are"),
        };
        notes.push(format!(
            "note: {whose} may not have every trigger: Twilio changes nothing there until {they} let go, and `serve` does then"
        ));
    }
    Ok(Difference {
        limits,
        left,
        typed: installation.typed.clone(),
        plan,
        changed: brought.changed,
        failed: failed.collect(),
        unlisted,
        applied,
        is_refused,
        notes,
    })
}

/// Nodes that have other limits than the configuration.
async fn others(installation: &Installation) -> Result<Vec<Node>, Failure> {
    let mut nodes = installation.store.nodes().await.map_err(store)?;
    nodes.retain(|node| node.limits_hash != installation.limits.hash());
    Ok(nodes)
}

/// Who has to be told of the new limits.
async fn nodes(installation: &Installation) -> Result<Vec<String>, Failure> {
    let nodes = installation.store.nodes().await.map_err(store)?;
    let (holding, others): (Vec<_>, Vec<_>) =
        nodes.into_iter().partition(|node| node.limits_hash == installation.limits.hash());
    let told = |node: &Node| match holding.first() {
        None => format!(
            "note: {} runs with another configuration. It holds these limits from now on, until it is reloaded or \
             restarted: then what its file says holds. Give it this configuration",
            node.node
        ),
        Some(holds) => format!(
            "note: {} runs with another configuration, and does nothing from now on but verify, since {} has these limits. \
             Give it this configuration, and reload it",
            node.node, holds.node
        ),
    };
    let mut notes: Vec<_> = others.iter().map(told).collect();
    if holding.is_empty() && others.is_empty() {
        notes.push(format!("note: no node is at work; {} holds the limits", installation.command("serve")));
    }
    Ok(notes)
}

/// Where nobody's accounts could be read, there is nothing to compare.
fn nothing_listed(seen: &[SeenAccount], unread: &[(Sid, NotListed)]) -> Option<Failure> {
    let (sid, why) = unread.first().filter(|_| seen.is_empty())?;
    let message = format!("the accounts of {sid} cannot be read: {why}");
    Some(match why {
        NotListed::Twilio(_) | NotListed::WithoutItself => Failure::unavailable(message),
        NotListed::WrongToken
        | NotListed::NoRights
        | NotListed::Inactive
        | NotListed::NotAParent(_)
        | NotListed::Unknown => Failure::configuration(message),
    })
}

/// What Twilio lists, with what is known of it here.
async fn merged(installation: &Installation, seen: Vec<SeenAccount>) -> Result<Vec<Account>, Failure> {
    let known = installation.store.accounts().await.map_err(store)?;
    let now = installation.now;
    let merge = |seen: SeenAccount| {
        let before = known.iter().find(|account| account.sid == seen.sid);
        Account {
            sid: seen.sid,
            parent: seen.parent,
            friendly_name: seen.friendly_name,
            status: seen.status,
            auth_token: seen.auth_token.or_else(|| before.and_then(|account| account.auth_token.clone())),
            created: seen.created.or(before.map(|account| account.created)).unwrap_or(now),
            changed_at: seen.changed,
            first_seen: before.map_or(now, |account| account.first_seen),
            last_seen: now,
            gone_at: None,
            wanted: before.map_or(Wanted::AsItIs, |account| account.wanted.clone()),
        }
    };
    Ok(seen.into_iter().map(merge).collect())
}

/// A folder that is gone when this is.
struct Scratch(std::path::PathBuf);

fn scratch(now: Timestamp) -> Result<Scratch, Failure> {
    // It is refused if it is there already, whoever made it.
    let name = format!("ringfence-plan-{}-{}", std::process::id(), now.as_nanosecond());
    let folder = std::env::temp_dir().join(name);
    let failed = |error| Failure::unavailable(format!("cannot make {}: {error}", folder.display()));
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
        .create(&folder)
        .map_err(failed)?;
    Ok(Scratch(folder))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it is in the system's folder for temporary files.
        _ = std::fs::remove_dir_all(&self.0);
    }
}
