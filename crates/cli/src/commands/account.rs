//! `ringfence account`: the accounts as Twilio shows them, and an operator's hold on one.

use std::fmt::Write as _;

use ringfence_breaker::{Action, Per, Subject};
use ringfence_control::engine::{ActRefused, Engine};
use ringfence_control::views::{AccountView, Accounts, Page, WantedStatus};
use ringfence_model::Sid;
use ringfence_store::Account;

use super::act::{self, ActArguments, account_name, with_name};
use super::carry;
use super::outcome::Outcome;
use super::over_api::{self, Reach, ReachArguments};
use super::trip::{orders, reset_command};
use super::with_engine::{self, Installation, Missing, Typed, not_seen, refused};
use super::with_store;
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// All accounts: how they stand at Twilio, how they are to stand, and why.
    List(ListArguments),
    /// Suspend a subaccount until it is resumed, whatever limits say.
    Suspend(HoldArguments),
    /// Let go a subaccount that was suspended so.
    Resume(HoldArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ringfence account list --config ringfence.toml

It shows what Twilio said last: `serve` asks every poll_interval, and `ringfence limits apply` asks once.")]
struct ListArguments {
    #[command(flatten)]
    reach: ReachArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
An account that is made active elsewhere while it is to be suspended is suspended again by `serve`. What a limit has
stopped is let go by `ringfence reset`, not by `account resume`; only where that limit was taken out of the configuration,
`account resume` lets it go. Twilio suspends subaccounts only.

Examples:
  ringfence account suspend AC00000000000000000000000000000001 --config ringfence.toml --reason \"unpaid\"
  ringfence account resume \"Customer 7\" --config ringfence.toml --reason \"paid\"

Exit codes: 0 it is so at Twilio; 1 refused; 2 wrong usage; 64 the configuration has other limits than those that hold;
69 it is ordered, and Twilio or the store does not answer.")]
struct HoldArguments {
    /// The account, by its SID or its name
    #[arg(value_name = "SID")]
    account: String,
    #[command(flatten)]
    act: ActArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::List(arguments) => list(arguments),
        Command::Suspend(arguments) => hold(arguments, false),
        Command::Resume(arguments) => hold(arguments, true),
    }
}

fn list(arguments: &ListArguments) -> Result<Answer, Failure> {
    let shown = |accounts: &Accounts, typed: &Typed| {
        let text = if arguments.json {
            format!("{}\n", serde_json::json!(accounts))
        } else {
            as_table(&accounts.accounts, typed)
        };
        text.into_bytes()
    };
    let file = match arguments.reach.reach()? {
        Reach::Store(file) => file,
        Reach::Node(api) => {
            let accounts = Accounts { accounts: with_store::block_on(api.accounts())?, next: None };
            return Ok(Answer::text(shown(&accounts, &api.typed)));
        }
    };
    with_engine::run(file, Missing::Refuse, async |installation| {
        let (engine, notes) = installation.holding().await?;
        let accounts = engine.views().accounts(&Page::all()).await.map_err(not_seen)?;
        Ok(Answer { output: shown(&accounts, &installation.typed), notes, ..Answer::default() })
    })
}

fn as_table(accounts: &[AccountView], typed: &Typed) -> String {
    if accounts.is_empty() {
        return format!(
            "no account is known yet; `serve` asks Twilio, and so does {}\n",
            typed.command("limits apply")
        );
    }
    let mut text = format!("{:<34} {:<9} {:<34}\n", "SID", "STATUS", "NAME");
    for account in accounts {
        let status = if account.gone_at.is_some() { "gone" } else { account.status.as_str() };
        let name = account_name(&account.friendly_name);
        let kind = if account.parent.is_none() { " (parent)" } else { "" };
        _ = writeln!(text, "{:<34} {status:<9} {name}{kind}", account.sid.to_string());
        if let Some(why) = why(account) {
            _ = writeln!(text, "{:<34} {why}", "");
        }
    }
    text
}

/// Why an account is to be as it is to be, and whether it is; nothing where anything is right.
pub(crate) fn why(account: &AccountView) -> Option<String> {
    if account.left_suspended {
        return Some(
            "left suspended: what held it is gone; `ringfence account resume` lets it go".to_owned(),
        );
    }
    // Neither can be let go.
    let why = account.why.as_ref().filter(|_| account.gone_at.is_none() && account.status != "closed")?;
    let limits: Vec<_> = why.limits.iter().map(|limit| format!("limit \"{limit}\"")).collect();
    let operator = why.by_operator.then(|| match &why.reason {
        Some(reason) => format!("an operator: {}", account_name(reason)),
        None => "an operator".to_owned(),
    });
    let because: Vec<_> = limits.into_iter().chain(operator).collect();
    let wanted = match account.wanted? {
        WantedStatus::Suspended => "suspended",
        WantedStatus::Active if account.is_as_wanted => return None,
        WantedStatus::Active => "active",
    };
    let is_so = if account.is_as_wanted { "held" } else { "NOT YET" };
    Some(format!("{is_so} {wanted} by {}", because.join(", ")))
}

fn hold(arguments: &HoldArguments, lifts: bool) -> Result<Answer, Failure> {
    let reason = arguments.act.reason()?;
    let file = match arguments.act.reach.reach()? {
        Reach::Store(file) => file,
        Reach::Node(api) => {
            return over_api::acts::on_account(&api, &arguments.account, lifts, &reason, &arguments.act);
        }
    };
    with_engine::run(file, Missing::Refuse, async |installation| {
        let engine = installation.agreed().await?;
        let account = act::find_account(installation, &engine, &arguments.account).await?;
        let by = &installation.by;
        let done = if lifts {
            engine.resume_account(account.sid, by, &reason).await
        } else {
            engine.suspend_account(account.sid, by, &reason).await
        };
        done.map_err(|error| why_refused(error, installation, &engine, &account))?;

        let orders = orders(installation, &[account.sid], "", lifts).await?;
        let carried = carry::carry_out(installation, &engine, orders, arguments.act.patience()).await;
        let name = with_name(account.sid, &account.friendly_name);
        let (headline, closing) = told(&name, account.sid, lifts, &installation.typed);
        let outcome = Outcome {
            typed: &installation.typed,
            headline,
            closing,
            breaker: None,
            accounts: vec![engine.views().account(account.sid).await.map_err(not_seen)?],
            actions: vec![Action::Suspend],
            lifts,
            carried,
            is_left: arguments.act.patience().is_none(),
        };
        Ok(outcome.answer(arguments.act.json))
    })
}

/// What was decided, and what to type next.
pub(crate) fn told(name: &str, sid: Sid, lifts: bool, typed: &Typed) -> (String, Vec<String>) {
    if lifts {
        return (format!("{name} is let go"), Vec::new());
    }
    let resume = typed.command(&format!("account resume {sid} --reason \"...\""));
    (format!("{name} is held suspended"), vec![format!("to let it go:\n      {resume}")])
}

/// A refusal with what to type instead.
fn why_refused(
    error: ActRefused,
    installation: &Installation,
    engine: &Engine,
    account: &Account,
) -> Failure {
    match &error {
        ActRefused::Held { limits, .. } => {
            let commands = limits.iter().map(|quoted| {
                let limit = quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(quoted);
                let is_sum = engine
                    .limits()
                    .iter()
                    .any(|it| it.limit.name == limit && it.limit.per == Per::Together);
                let subject = if is_sum { Subject::Together } else { Subject::Account(account.sid) };
                format!("      {}", reset_command(&installation.typed, limit, subject))
            });
            let commands: Vec<_> = commands.collect();
            refused(error).hint(format!("a tripped limit is reset:\n{}", commands.join("\n")))
        }
        ActRefused::Parent(_) => refused(error).hint(
            "other actions stop a parent: a limit with then = [\"close-geo\", \"end-calls\"], which `ringfence trip` trips",
        ),
        _ => refused(error),
    }
}
