//! What share of what was sent is good, before that trips anything.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_breaker::{Measure, Phase, Sign, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, Views, schema};
use crate::notices::percent;
use crate::shares::{Judged, judged};
use crate::wanted::AppliedLimit;

/// What share of what went to one beginning of numbers is good, under one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StandingShare {
    /// The limit's name.
    pub limit: String,
    /// Whether it acts, or only watches.
    pub enforce: bool,
    /// Of messages that are delivered, or of codes that are entered.
    #[schemars(schema_with = "schema::measure")]
    pub measure: Measure,
    /// The beginning of the numbers.
    pub prefix: String,
    /// The share for people: `3.2 %`; a whole where nothing is judged yet.
    pub percent: String,
    /// The same in full hundredths, rounded down.
    pub hundredths: u64,
    /// Of how many.
    pub judged: u64,
    /// Of how many nobody has said what became of them.
    pub silent: u64,
    /// Below how many hundredths it trips.
    pub least_percent: u8,
    /// Fewer than these are not judged.
    pub least: u32,
    /// What was sent from then on is judged.
    #[schemars(schema_with = "schema::time")]
    pub from: Timestamp,
    /// What was sent from then on is not judged yet.
    #[schemars(schema_with = "schema::time")]
    pub until: Timestamp,
    /// How it stands.
    pub standing: ShareStanding,
}

/// How a share stands; what deserves a look first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShareStanding {
    /// It was too small, and has tripped.
    Tripped,
    /// It is too small, and trips at the next look.
    TooSmall,
    /// It is large enough.
    Enough,
    /// There are too few, or too little is known of them, for it to say anything.
    TooFew,
}

impl Views<'_> {
    /// The shares of all accounts: those first that have tripped, or are nearest to it.
    pub(super) async fn shares(&self, known: &Known) -> ringfence_store::Result<Vec<StandingShare>> {
        let limits: Vec<&AppliedLimit> =
            self.limits.iter().filter(|applied| applied.limit.sign().is_some()).collect();
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        let mut shares = Vec::new();
        for applied in limits {
            let Some(sign) = applied.limit.sign() else { continue };
            let of_limit = known.breakers.iter().filter(|((limit, _), _)| *limit == applied.limit.name);
            let states: HashMap<_, _> = of_limit
                .filter_map(|((_, subject), breaker)| match subject {
                    Subject::Prefix(beginning) => Some((*beginning, &breaker.state)),
                    Subject::Account(_) | Subject::Together => None,
                })
                .collect();
            let judged = judged(self.store, applied, &known.accounts, &states, self.now).await?;
            shares.extend(judged.into_iter().map(|it| {
                let is_tripped = states
                    .get(&it.beginning)
                    .is_some_and(|state| matches!(state.phase, Phase::Tripped { .. }));
                StandingShare::of(applied, sign, it, is_tripped)
            }));
        }
        shares.retain(|share| share.judged > 0 || share.silent > 0);
        shares.sort_by_key(|share| (share.standing, share.hundredths, Reverse(share.judged)));
        Ok(shares)
    }
}

impl StandingShare {
    fn of(applied: &AppliedLimit, sign: Sign, judged: Judged, is_tripped: bool) -> Self {
        let share = judged.share;
        let speaks = share.judged() >= u64::from(sign.least.max(1)) && share.judged() >= share.silent;
        Self {
            limit: applied.limit.name.clone(),
            enforce: applied.limit.enforce,
            measure: applied.limit.measure,
            prefix: judged.beginning.to_string(),
            percent: percent(share.percent()),
            hundredths: u64::try_from(share.percent().micros() / 1_000_000).unwrap_or(0),
            judged: share.judged(),
            silent: share.silent,
            least_percent: sign.percent,
            least: sign.least,
            from: judged.from,
            until: judged.until,
            standing: match (sign.fails(share), speaks) {
                _ if is_tripped => ShareStanding::Tripped,
                (true, _) => ShareStanding::TooSmall,
                (false, true) => ShareStanding::Enough,
                (false, false) => ShareStanding::TooFew,
            },
        }
    }
}
