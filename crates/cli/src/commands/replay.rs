//! `ringfence replay`: a recorded attack, against three guards, in virtual time.
//!
//! The ledger is the real one, on a store of its own that is thrown away; Twilio's usage trigger and the program that checks
//! before it sends are models, and say what they assume. Nothing leaves this machine.

mod attack;
mod guards;
mod incident;
mod rules;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ringfence_model::Amount;
use serde_json::json;

use self::attack::Attack;
use self::guards::{Guarded, Outcome};
use self::incident::Incident;
use super::with_store::block_on;
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
For each incident the limit is the one of its file, and honest traffic (a message to the United States every twenty
seconds) goes on beside the attack. The guards:

  usage trigger   Twilio evaluates it every 60 s over usage that lags 60 s or 15 min; then the account is suspended
  check, record   a program that looks at what was recorded before it sends, and records a price once it knows it
  Ringfence       the egress with that limit alone, and with burst rules for each beginning of a number; it settles a
                  message two minutes after it was sent, and knows the prices of the file
  a sign alone    the egress without that limit, with one of the share of codes that are entered (of the attack's none is,
                  of the honest ones nine of ten), or of messages that are delivered (were none of the attack's): when
                  the sign would have stopped it. It promises nothing about money

Stopped after: when the first request of the attack was refused. A share closes one beginning of numbers at a time.

The attack begins shortly before a full hour, so that a rule for an hour begins anew within it.

Example:
  ringfence replay bench/incidents/*.json")]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Incidents, as JSON
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let mut incidents = Vec::new();
    for file in &arguments.files {
        incidents.push(read(file)?);
    }
    let mut replayed = Vec::new();
    for incident in incidents {
        let attack = Attack::of(&incident);
        let mut outcomes = Vec::new();
        for guard in Guarded::ALL.into_iter().filter(|guard| guard.sees(&incident)) {
            outcomes.push((guard, block_on(guards::run(guard, &incident, &attack))?));
        }
        replayed.push((incident, outcomes));
    }
    let is_no = replayed
        .iter()
        .flat_map(|(_, outcomes)| outcomes)
        .any(|(guard, outcome)| guard.promises() && outcome.past_the_limit > Amount::ZERO);
    let text = if arguments.json { as_json(&replayed) } else { as_text(&replayed) };
    Ok(Answer { is_no, ..Answer::text(text.into_bytes()) })
}

fn read(file: &Path) -> Result<Incident, Failure> {
    let unreadable = |what: String| Failure::usage(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    Incident::parse(&text).map_err(|error| {
        unreadable(error.to_string()).hint(
            "an incident has the form of those in bench/incidents, such as bench/incidents/chasen-2023.json",
        )
    })
}

fn as_text(replayed: &[(Incident, Vec<(Guarded, Outcome)>)]) -> String {
    let mut text = String::new();
    for (incident, outcomes) in replayed {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{} ({}): {} requests in {}, limit {} a day\n",
            incident.title,
            incident.id,
            incident.replay.requests,
            incident.duration(),
            money(incident.limit_amount())
        );
        let _ = writeln!(
            text,
            "  {:<34} {:>10} {:>15} {:>10} {:>13} {:>17}",
            "", "spent", "past the limit", "sent", "stopped after", "honest refused"
        );
        for (guard, outcome) in outcomes {
            let _ = writeln!(
                text,
                "  {:<34} {:>10} {:>15} {:>10} {:>13} {:>17}",
                guard.title(),
                money(outcome.spent),
                money(outcome.past_the_limit),
                outcome.sent,
                outcome.stopped_at_ms.map_or_else(|| "never".to_owned(), minutes),
                format!("{} of {}", outcome.honest_refused, outcome.honest)
            );
        }
        text.push('\n');
    }
    text
}

fn as_json(replayed: &[(Incident, Vec<(Guarded, Outcome)>)]) -> String {
    let incidents = replayed.iter().map(|(incident, outcomes)| {
        let outcomes = outcomes.iter().map(|(guard, outcome)| {
            json!({
                "guard": guard.name(),
                "spent": outcome.spent.to_string(),
                "past_the_limit": outcome.past_the_limit.to_string(),
                "attack_requests_sent": outcome.sent,
                "attack_first_refused_after_ms": outcome.stopped_at_ms,
                "honest_requests": outcome.honest,
                "honest_requests_refused": outcome.honest_refused,
            })
        });
        json!({
            "incident": incident.id,
            "limit": incident.limit_amount().to_string(),
            "guards": outcomes.collect::<Vec<_>>(),
        })
    });
    format!("{}\n", json!({ "incidents": incidents.collect::<Vec<_>>() }))
}

/// With two decimals, rounded up: a sum past the limit is never shown as none.
fn money(amount: Amount) -> String {
    let cents = amount.micros().max(0).saturating_add(9_999) / 10_000;
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// `1:05`, as on a watch: what is begun counts.
fn minutes(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_up_so_that_nothing_past_the_limit_is_hidden() {
        for (micros, shown) in
            [(0, "0.00"), (1, "0.01"), (10_000, "0.01"), (49_999_999, "50.00"), (1_234_560_000, "1234.56")]
        {
            assert_eq!(money(Amount::from_micros(micros)), shown);
        }
    }
}
