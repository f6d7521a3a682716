//! `ringfence ledger`: what is spent and set aside under each limit, beside what Twilio counts.

use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_control::views::{LedgerLine, LedgerView, PhaseName, ShareStanding, StandingShare};

use super::act::find_account;
use super::over_api::{Reach, ReachArguments};
use super::with_engine::{self, Missing, not_seen};
use super::with_store;
use super::words::{ago, judged, moment, of_whom, taken, whom};
use crate::exit::{Answer, Failure};

/// So many sums are told; `--json` has more.
const SHOWN: usize = 50;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringfence ledger --config ringfence.toml
  ringfence ledger --account \"Customer 7\" --config ringfence.toml
  ringfence ledger --api http://127.0.0.1:9400 --token-file token")]
pub(crate) struct Arguments {
    #[command(flatten)]
    reach: ReachArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Of this account alone: its SID, or its name; with --api its SID
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let shown = |ledger: &LedgerView| {
        let text = if arguments.json { format!("{}\n", serde_json::json!(ledger)) } else { as_text(ledger) };
        text.into_bytes()
    };
    let file = match arguments.reach.reach()? {
        Reach::Store(file) => file,
        Reach::Node(api) => {
            let query: Vec<_> =
                arguments.account.iter().map(|account| ("account", account.clone())).collect();
            let ledger = with_store::block_on(api.get("/v1/ledger", &query))?;
            return Ok(Answer::text(shown(&ledger)));
        }
    };
    with_engine::run(file, Missing::Refuse, async |installation| {
        let (engine, notes) = installation.holding().await?;
        let account = match &arguments.account {
            Some(text) => Some(find_account(installation, &engine, text).await?.sid),
            None => None,
        };
        let ledger = engine.views().ledger(account, true).await.map_err(not_seen)?;
        Ok(Answer { output: shown(&ledger), notes, ..Answer::default() })
    })
}

fn as_text(ledger: &LedgerView) -> String {
    if ledger.sums.is_empty() && ledger.shares.is_empty() {
        return "nothing was sent through the egress yet\n".to_owned();
    }
    let mut text = String::new();
    for line in ledger.sums.iter().take(SHOWN) {
        line_text(&mut text, line, ledger.at);
    }
    for share in ledger.shares.iter().take(SHOWN) {
        share_text(&mut text, share);
    }
    let more = ledger.sums.len().saturating_sub(SHOWN) + ledger.shares.len().saturating_sub(SHOWN);
    if more > 0 {
        _ = writeln!(text, "… and {more} more; --json has them");
    }
    text
}

fn line_text(text: &mut String, line: &LedgerLine, now: Timestamp) {
    let state = match (line.phase, line.stops) {
        (PhaseName::Tripped, true) => "   TRIPPED",
        (PhaseName::Tripped, false) => "   would have tripped",
        (PhaseName::Probing, _) => "   probing",
        (PhaseName::Passing, _) if line.enforce => "",
        (PhaseName::Passing, _) => "   only watches",
    };
    _ = writeln!(text, "\"{}\"   {}{state}", line.limit, of_whom(line));
    _ = writeln!(text, "    {}", taken(line));
    _ = writeln!(
        text,
        "    settled {}, adjusted {}, reserved {} for {} open",
        line.settled, line.adjusted, line.reserved, line.open
    );
    let twilio = match (&line.twilio, line.read_at) {
        (Some(seen), Some(at)) => format!("Twilio counts {seen}, read {} ago", ago(now, at)),
        (Some(seen), None) => format!("Twilio counts {seen}"),
        (None, _) if line.waits_for_figure => "Twilio's figure was not read yet".to_owned(),
        (None, _) => "Twilio counts nothing of the kind".to_owned(),
    };
    let until = line.window_end.map(|end| format!(", until {}", moment(end))).unwrap_or_default();
    _ = writeln!(text, "    {}{until}; {twilio}", line.window);
}

fn share_text(text: &mut String, share: &StandingShare) {
    let state = match share.standing {
        ShareStanding::Tripped if share.enforce => "   TRIPPED",
        ShareStanding::Tripped => "   would have tripped",
        _ if share.enforce => "",
        _ => "   only watches",
    };
    _ = writeln!(text, "\"{}\"   {}{state}", share.limit, whom(None, Some(&share.prefix)));
    _ = writeln!(text, "    {}", judged(share));
    let (from, until) = (moment(share.from), moment(share.until));
    _ = writeln!(text, "    sent from {from} to {until}");
}
