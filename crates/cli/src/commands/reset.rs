//! `ringfence reset`: an operator lifts a trip, and is told how much more may be spent before it trips again.

use ringfence_breaker::Action;
use ringfence_control::views::{BreakerView, Page};
use ringfence_model::Amount;

use super::act::{self, ActArguments, Target, Verb, Whose};
use super::carry;
use super::outcome::Outcome;
use super::over_api::{self, Reach};
use super::trip::{accounts_of, at_twilio, orders, seen};
use super::with_engine::{self, Missing, not_seen, refused};
use super::words::moment;
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The account may spend again, and until its window ends only a stated amount more: then the limit trips again. Without
--allow that is what `probe` of the limit says.

Examples:
  ringfence reset \"fifty a day\" --account AC00000000000000000000000000000001 --config ringfence.toml --reason \"key changed\"
  ringfence reset \"fifty a day\" --account \"Customer 7\" --allow 20 --config ringfence.toml --reason \"asked by phone\"
  ringfence reset \"a thousand a day in all\" --config ringfence.toml --reason \"attack is over\"
  ringfence reset \"codes entered\" --prefix +959 --config ringfence.toml --reason \"the form has a limit now\"

Exit codes: 0 it is so at Twilio; 1 refused, such as what is not tripped; 2 wrong usage; 64 the configuration has other
limits than those that hold; 69 it is ordered, and Twilio or the store does not answer.")]
pub(crate) struct Arguments {
    /// The limit
    #[arg(value_name = "LIMIT")]
    limit: String,
    #[command(flatten)]
    whose: Whose,
    /// How much more may be spent in this window, such as 5 or 12.50
    #[arg(long, value_name = "AMOUNT", value_parser = parse_amount, allow_negative_numbers = true)]
    allow: Option<Amount>,
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
                Verb::Reset,
                Some(&arguments.limit),
                &arguments.whose,
                arguments.allow,
                &reason,
                &arguments.act,
            );
        }
    };
    with_engine::run(file, Missing::Refuse, async |installation| {
        let engine = installation.agreed().await?;
        let limit = Some(arguments.limit.as_str());
        let target = act::target(installation, &engine, Verb::Reset, limit, &arguments.whose).await?;
        let Target { applied, subject, .. } = &target;
        let name = &applied.limit.name;
        engine.reset(name, *subject, arguments.allow, &installation.by, &reason).await.map_err(refused)?;

        let accounts = accounts_of(installation, applied, *subject).await?;
        let orders = orders(installation, &accounts, name, true).await?;
        let carried = carry::carry_out(installation, &engine, orders, arguments.act.patience()).await;
        let views = engine.views();
        let breaker = views.breaker(name, *subject).await.map_err(not_seen)?;
        let outcome = Outcome {
            typed: &installation.typed,
            headline: format!("\"{name}\" is reset for {}", target.whom(accounts.len())),
            closing: vec![allowance(&breaker, applied.limit.sign().is_some())],
            accounts: seen(&views.accounts(&Page::all()).await.map_err(not_seen)?.accounts, &accounts),
            // What was ended, cancelled or deleted is not there any more.
            actions: at_twilio(applied)
                .filter(|action| matches!(action, Action::Suspend | Action::CloseGeo))
                .collect(),
            breaker: Some(breaker),
            lifts: true,
            carried,
            is_left: arguments.act.patience().is_none(),
        };
        Ok(outcome.answer(arguments.act.json))
    })
}

/// How much more may be spent, and until when.
pub(crate) fn allowance(breaker: &BreakerView, of_a_share: bool) -> String {
    if of_a_share {
        return "  what is sent there from now on is let through, and judged by itself".to_owned();
    }
    let unit = breaker.currency.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let until = breaker
        .window_end
        .map_or_else(|| "ever (its window never ends)".to_owned(), |end| format!("until {}", moment(end)));
    match (&breaker.probing, &breaker.trips_at) {
        (Some(probing), Some(trips_at)) => format!(
            "{}{unit} more may be used {until}: it stands at {}{unit} and trips again at {trips_at}{unit}",
            probing.allowed_more, breaker.used
        ),
        // Somebody or something has moved it since.
        _ => format!("it has moved since: it stands at {}{unit}; look at `ringfence status`", breaker.used),
    }
}

fn parse_amount(text: &str) -> Result<Amount, String> {
    match text.parse() {
        Ok(amount) if amount > Amount::ZERO => Ok(amount),
        Ok(_) => Err("it must be more than 0, or the limit would trip again at once".to_owned()),
        Err(_) => Err("write an amount such as 5 or 12.50, without a currency".to_owned()),
    }
}
