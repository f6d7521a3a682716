//! `ringfence trip`: an operator stops spending now.

use ringfence_breaker::{Action, Subject};
use ringfence_control::notices::shell_word;
use ringfence_control::views::{AccountView, Page};
use ringfence_control::wanted::{AppliedLimit, scoped};
use ringfence_model::Sid;

use super::act::{self, ActArguments, Target, Verb, Whose, with_name};
use super::carry;
use super::outcome::Outcome;
use super::over_api::{self, Reach};
use super::with_engine::{self, Installation, Missing, Typed, not_seen, refused, store};
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What `then` of the limit says is done at Twilio, and stays so until `ringfence reset`. It needs no running `serve`.

Examples:
  ringfence trip \"fifty a day\" --account AC00000000000000000000000000000001 --config ringfence.toml --reason \"stolen key\"
  ringfence trip \"a thousand a day in all\" --config ringfence.toml --reason \"attack, stop everybody\"
  ringfence trip \"codes entered\" --prefix +959 --config ringfence.toml --reason \"pumped\"

Exit codes: 0 it is so at Twilio; 1 refused; 2 wrong usage; 64 the configuration has other limits than those that hold;
69 it is ordered, and Twilio or the store does not answer.")]
pub(crate) struct Arguments {
    /// The limit; may be left out where only one can be meant
    #[arg(value_name = "LIMIT")]
    limit: Option<String>,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    act: ActArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let reason = arguments.act.reason()?;
    let file = match arguments.act.reach.reach()? {
        Reach::Store(file) => file,
        Reach::Node(api) => {
            return over_api::acts::on_breaker(
                &api,
                Verb::Trip,
                arguments.limit.as_deref(),
                &arguments.whose,
                None,
                &reason,
                &arguments.act,
            );
        }
    };
    with_engine::run(file, Missing::Refuse, async |installation| {
        let engine = installation.agreed().await?;
        let limit = arguments.limit.as_deref();
        let target = act::target(installation, &engine, Verb::Trip, limit, &arguments.whose).await?;
        let Target { applied, subject, .. } = &target;
        let name = &applied.limit.name;
        engine.trip(name, *subject, &installation.by, &reason).await.map_err(refused)?;

        let accounts = accounts_of(installation, applied, *subject).await?;
        let orders = orders(installation, &accounts, name, false).await?;
        let carried = carry::carry_out(installation, &engine, orders, arguments.act.patience()).await;
        let views = engine.views();
        let actions: Vec<_> = at_twilio(applied).collect();
        let mut closing = Vec::new();
        if matches!(subject, Subject::Prefix(_)) {
            closing.push("  nothing is sent there any more, by the egress or as a code".to_owned());
        } else if actions.is_empty() {
            closing.push(
                "  nothing is done at Twilio: `then` of this limit names nothing that stops an account"
                    .to_owned(),
            );
        }
        closing.push(format!("to lift it:\n      {}", reset_command(&installation.typed, name, *subject)));
        let outcome = Outcome {
            typed: &installation.typed,
            headline: format!("\"{name}\" is tripped for {}", target.whom(accounts.len())),
            closing,
            breaker: Some(views.breaker(name, *subject).await.map_err(not_seen)?),
            accounts: seen(&views.accounts(&Page::all()).await.map_err(not_seen)?.accounts, &accounts),
            actions,
            lifts: false,
            carried,
            is_left: arguments.act.patience().is_none(),
        };
        Ok(outcome.answer(arguments.act.json))
    })
}

impl Target<'_> {
    /// For people.
    pub(crate) fn whom(&self, accounts: usize) -> String {
        if let Subject::Prefix(beginning) = self.subject {
            return format!("numbers that begin with {beginning}");
        }
        match &self.account {
            Some(account) => with_name(account.sid, &account.friendly_name),
            None if accounts == 1 => "the 1 account of its scope".to_owned(),
            None => format!("the {accounts} accounts of its scope together"),
        }
    }
}

/// What the limit does at Twilio.
pub(crate) fn at_twilio(applied: &AppliedLimit) -> impl Iterator<Item = Action> + '_ {
    Action::ALL.into_iter().filter(|action| *action != Action::Notify && applied.limit.then.contains(action))
}

/// The command that lifts a trip.
pub(crate) fn reset_command(typed: &Typed, limit: &str, subject: Subject) -> String {
    let whose = match subject {
        Subject::Account(sid) => format!(" --account {sid}"),
        Subject::Prefix(beginning) => format!(" --prefix {beginning}"),
        Subject::Together => String::new(),
    };
    typed.command(&format!("reset {}{whose} --reason \"...\"", shell_word(limit)))
}

/// The accounts that a breaker's actions meet.
pub(crate) async fn accounts_of(
    installation: &Installation,
    applied: &AppliedLimit,
    subject: Subject,
) -> Result<Vec<Sid>, Failure> {
    match subject {
        Subject::Account(sid) => return Ok(vec![sid]),
        Subject::Prefix(_) => return Ok(Vec::new()),
        Subject::Together => {}
    }
    let accounts = installation.store.accounts().await.map_err(store)?.into_iter();
    let of_scope = accounts.filter(|account| account.gone_at.is_none());
    Ok(of_scope
        .filter(|account| applied.subject(&scoped(account)) == Some(subject))
        .map(|account| account.sid)
        .collect())
}

/// What this act ordered, or what an earlier one ordered that still waits.
pub(crate) async fn orders(
    installation: &Installation,
    accounts: &[Sid],
    limit: &str,
    lifts: bool,
) -> Result<Vec<carry::Ordered>, Failure> {
    let fresh = carry::ordered(installation, accounts, limit, installation.now).await.map_err(store)?;
    if !fresh.is_empty() {
        return Ok(fresh);
    }
    let earlier = carry::ordered(installation, accounts, limit, jiff::Timestamp::UNIX_EPOCH).await;
    Ok(earlier.map_err(store)?.into_iter().filter(|(_, order)| order.lifts == lifts).collect())
}

/// The accounts that an act is about, as they are now.
pub(crate) fn seen(all: &[AccountView], accounts: &[Sid]) -> Vec<AccountView> {
    all.iter().filter(|account| accounts.binary_search(&account.sid).is_ok()).cloned().collect()
}
