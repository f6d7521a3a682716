//! What share of what was sent was good, as a limit of a share judges it now: messages that arrived, codes that were entered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{DialPrefix, Measure, Share, State};
use ringfence_model::Sid;
use ringfence_store::{Account, Result, Signs, Store};

use crate::wanted::{AppliedLimit, scoped};

/// An account of which no code was entered in so long has nobody who tells Ringfence of it.
const ENTERED_WITHIN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What came of what went to one beginning of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) beginning: DialPrefix,
    /// Since when it was sent.
    pub(crate) from: Timestamp,
    /// Until when, which is a full minute.
    pub(crate) until: Timestamp,
    pub(crate) share: Share,
}

/// What a limit of a share judges now, by the beginnings of numbers, of the accounts in its scope. `known` are the states of
/// its breakers. Nothing of a limit of an amount.
pub(crate) async fn judged(
    store: &Store,
    applied: &AppliedLimit,
    accounts: &[Account],
    known: &HashMap<DialPrefix, &State>,
    now: Timestamp,
) -> Result<Vec<Judged>> {
    let limit = &applied.limit;
    let Some((from, until)) = limit.judged(None, now) else { return Ok(Vec::new()) };
    let in_scope: BTreeSet<Sid> = accounts
        .iter()
        .filter(|account| limit.scope.contains(&scoped(account), applied.since))
        .map(|account| account.sid)
        .collect();
    let mut by_beginning: BTreeMap<DialPrefix, Vec<Signs>> = BTreeMap::new();
    for signs in store.signs(from, until).await? {
        by_beginning.entry(signs.beginning).or_default().push(signs);
    }
    let mut judged = Vec::with_capacity(by_beginning.len());
    let mut enters_codes = HashMap::new();
    for (beginning, mut signs) in by_beginning {
        // What somebody has dealt with is left out, and so is what is before the moment at which it opened again.
        let Some((since, _)) = limit.judged(known.get(&beginning).copied(), now) else { continue };
        if since > from {
            signs = store.signs_of(beginning, since, until).await?;
        }
        signs.retain(|signs| in_scope.contains(&signs.account));
        if limit.measure == Measure::Conversion {
            for signs in &mut signs {
                leave_out_unheard(store, signs, &mut enters_codes, now).await?;
            }
        }
        let shares = signs.iter().map(|signs| signs.share(limit.measure));
        judged.push(Judged {
            beginning,
            from: since,
            until,
            share: shares.fold(Share::default(), Share::and),
        });
    }
    Ok(judged)
}

/// Leaves out the verifications of an account of which none was ever entered: its application checks codes past the egress,
/// and nobody tells Ringfence of it. What becomes of its own codes it knows.
async fn leave_out_unheard(
    store: &Store,
    signs: &mut Signs,
    enters_codes: &mut HashMap<Sid, bool>,
    now: Timestamp,
) -> Result<()> {
    if signs.approved > 0 || signs.started == 0 {
        return Ok(());
    }
    let since = now.saturating_sub(ENTERED_WITHIN).unwrap_or(Timestamp::MIN);
    let is_heard_of = match enters_codes.get(&signs.account) {
        Some(is_heard_of) => *is_heard_of,
        None => store.enters_codes(signs.account, since).await?,
    };
    enters_codes.insert(signs.account, is_heard_of);
    if !is_heard_of {
        signs.started = 0;
    }
    Ok(())
}
