//! What is spent and set aside under each limit, beside what Twilio counts, at this moment.
//!
//! A sum is shown as the next admission would find it: in the window that holds now, under the limit as it is now.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_breaker::{Ledger, Observation, Per, State, Subject, Window, needs_read_back, step};
use ringfence_model::{Amount, Sid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::breakers::{Shown, holds_for, percent_of};
use super::limits::window;
use super::{Known, NamedAccount, NotSeen, PhaseName, StandingShare, Views, schema};
use crate::wanted::AppliedLimit;

/// What is spent and set aside, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Ledger")]
pub struct LedgerView {
    /// The moment of it.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// The sums, those nearest to their limits first.
    pub sums: Vec<LedgerLine>,
    /// What share of what was sent is good, under limits of a share: those first that have tripped, or are nearest to it. None
    /// of one account, since a beginning of numbers is no account's.
    #[serde(default)]
    pub shares: Vec<StandingShare>,
}

/// The sums of one limit on one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LedgerSum")]
pub struct LedgerLine {
    /// The limit's name.
    pub limit: String,
    /// Whether it acts, or only watches.
    pub enforce: bool,
    /// On whom: an account's SID, `together`, or the beginning of a number.
    pub subject: String,
    /// The account; null where it is no account's alone.
    pub account: Option<NamedAccount>,
    /// The kind of its window, in the configuration's word.
    pub window: String,
    /// When the window began.
    #[schemars(schema_with = "schema::time")]
    pub window_start: Timestamp,
    /// When it ends; null where it never does, or rolls on.
    #[schemars(schema_with = "schema::maybe_time")]
    pub window_end: Option<Timestamp>,
    /// Up to what it admits in this window, of an even flow at once; null where nobody knows yet from where on it counts.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub admits_up_to: Option<String>,
    /// What is settled, adjusted and reserved, and at least what Twilio counts; of an even flow what has not flowed off.
    #[schemars(schema_with = "schema::decimal")]
    pub taken: String,
    /// True prices that became known in the window.
    #[schemars(schema_with = "schema::decimal")]
    pub settled: String,
    /// What Twilio counts beyond what was settled and reserved.
    #[schemars(schema_with = "schema::decimal")]
    pub adjusted: String,
    /// Worst prices of what is open.
    #[schemars(schema_with = "schema::decimal")]
    pub reserved: String,
    /// What may still be admitted.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub left: Option<String>,
    /// What is taken, in per cent of what it admits.
    pub percent: Option<u64>,
    /// What Twilio counts in the window; null where it counts nothing of the kind, or was not read yet.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub twilio: Option<String>,
    /// When that was read.
    #[schemars(schema_with = "schema::maybe_time")]
    pub read_at: Option<Timestamp>,
    /// Whether Twilio's figure must be read before anything is admitted, and was not.
    pub waits_for_figure: bool,
    /// Whether the breaker lets pass.
    pub phase: PhaseName,
    /// Whether a trip stops what comes, or only watches.
    pub stops: bool,
    /// How many requests are open under it.
    pub open: u64,
    /// The currency of the amounts; null where they are not money, or where it is not known yet.
    pub currency: Option<String>,
}

impl Views<'_> {
    /// The sums of which something is taken, those nearest to their limits first; of one account, if one is given, all. `shared` are those that
    /// an account is in together with others, which only those may see who may see the others.
    pub async fn ledger(&self, account: Option<Sid>, shared: bool) -> Result<LedgerView, NotSeen> {
        let known = Known::read(self.store).await?;
        if let Some(sid) = account {
            known.account(sid).ok_or(NotSeen::NoAccount(sid))?;
        }
        let sums = self.sums(&known, account, shared).await?;
        let shares = if account.is_none() { self.shares(&known).await? } else { Vec::new() };
        Ok(LedgerView { at: self.now, sums, shares })
    }

    /// The same of what was read before.
    pub(super) async fn sums(
        &self,
        known: &Known,
        account: Option<Sid>,
        shared: bool,
    ) -> ringfence_store::Result<Vec<LedgerLine>> {
        let epoch = self.store.epoch_id().await?;
        let open = self.store.open_by_limit().await?;
        let mut sums: BTreeMap<(String, Subject), Ledger> = BTreeMap::new();
        for row in self.store.ledger().await? {
            if let Ok(subject) = row.subject.parse() {
                sums.insert((row.limit, subject), row.ledger);
            }
        }
        // What nothing was spent of yet stands there too, where it is clear of whom, and somebody counts it.
        for (number, subject) in self.places(known) {
            let applied = &self.limits[number];
            if self.has_egress && (account.is_some() || subject == Subject::Together) {
                let key = (applied.limit.name.clone(), subject);
                sums.entry(key).or_insert_with(|| Ledger::new(&applied.limit, self.now));
            }
        }
        let is_wanted = |applied: &AppliedLimit, subject: Subject| match (account, subject) {
            (None, _) => true,
            (Some(sid), Subject::Account(of)) => of == sid,
            (Some(sid), Subject::Together) => shared && holds_for(known, applied, subject, sid),
            (Some(_), Subject::Prefix(_)) => false,
        };
        let mut lines = Vec::new();
        for ((limit, subject), ledger) in sums {
            let Ok(applied) = self.limit(&limit) else { continue };
            let open = open.get(&(limit, subject.to_string())).copied().unwrap_or(0);
            if !is_wanted(applied, subject) || (!is_of(applied, subject) && open == 0) {
                continue;
            }
            let line = self.line(known, applied, subject, ledger, &epoch, open);
            // There may be thousands of accounts and beginnings of numbers: those that something is taken of are told.
            let is_idle = line.taken == "0" && open == 0;
            // What is left of an egress that was there once.
            if is_idle && !self.has_egress {
                continue;
            }
            let waits = line.waits_for_figure || line.phase != PhaseName::Passing;
            if account.is_none() && subject != Subject::Together && is_idle && !waits {
                continue;
            }
            // Nothing is taken of a share, ever.
            if applied.limit.sign().is_some() && line.phase == PhaseName::Passing {
                continue;
            }
            lines.push(line);
        }
        lines.sort_by_key(|line| (line.phase, Reverse(line.percent)));
        Ok(lines)
    }

    fn line(
        &self,
        known: &Known,
        applied: &AppliedLimit,
        subject: Subject,
        mut ledger: Ledger,
        epoch: &str,
        open: u64,
    ) -> LedgerLine {
        let limit = &applied.limit;
        ledger.follow(limit, self.now);
        let kept = known.breaker(&limit.name, subject);
        let state: Option<State> =
            kept.map(|kept| step(limit, kept.state.clone(), &Observation::Tick, self.now).0);
        let rate = limit.rate();
        let at = match &state {
            // At once.
            _ if rate.is_some() => rate.map(|rate| rate.burst),
            Some(state) => state.admits_up_to(limit, ledger.window),
            None => limit.threshold(None),
        };
        let taken = ledger.taken();
        let is_read = ledger.read_back.as_deref() == Some(epoch);
        let is_counted_there = needs_read_back(limit);
        // Of an account that is closed nobody reads it any more.
        let is_closed = matches!(subject, Subject::Account(sid)
            if known.account(sid).is_some_and(|account| account.status == "closed"));
        let text = |amount: Amount| amount.to_string();
        LedgerLine {
            limit: limit.name.clone(),
            enforce: limit.enforce,
            subject: subject.to_string(),
            account: known.named(subject),
            window: window(limit.window),
            window_start: ledger.window,
            window_end: match limit.window {
                Window::Rolling { .. } | Window::Gcra { .. } => None,
                window => window.period(ledger.window).end,
            },
            admits_up_to: at.map(text),
            taken: text(taken),
            settled: text(ledger.settled),
            adjusted: text(ledger.adjusted.max(ledger.unsure)),
            reserved: text(ledger.reserved),
            left: at.map(|at| text(Amount::from_micros(at.micros().saturating_sub(taken.micros()).max(0)))),
            percent: at.and_then(|at| percent_of(taken, at)),
            twilio: (is_counted_there && is_read).then(|| text(ledger.seen)),
            read_at: ledger.read_at.filter(|_| is_counted_there && is_read),
            waits_for_figure: self.has_egress && is_counted_there && !is_read && !is_closed,
            phase: kept.map_or(PhaseName::Passing, |kept| Shown::of(applied, kept, self.now).phase_name()),
            stops: kept.is_some_and(|kept| kept.state.stops()),
            open,
            currency: known.currency(applied, subject),
        }
    }
}

/// Whether the limit counts such a subject, as it is now.
fn is_of(applied: &AppliedLimit, subject: Subject) -> bool {
    match subject {
        Subject::Account(_) => applied.limit.per == Per::Account,
        Subject::Together => applied.limit.per == Per::Together,
        Subject::Prefix(_) => applied.limit.per == Per::Prefix,
    }
}
