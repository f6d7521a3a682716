//! Where each limit stands for each account.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use ringfence_breaker::{Observation, Per, Phase, State, Subject, step};
use ringfence_model::{Amount, Sid};
use ringfence_store::{Account, Breaker};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, NamedAccount, NotSeen, Page, ShareView, Views, prefix_of, schema};
use crate::wanted::{AppliedLimit, scoped};

/// A page of breakers: by limit, in the order of the configuration, then by account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Breakers {
    /// Those of the page.
    pub breakers: Vec<BreakerView>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// Where one limit stands for one account, for all of them together, or for a beginning of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Breaker")]
pub struct BreakerView {
    /// The limit's name.
    pub limit: String,
    /// The account; null where the limit holds for all accounts together, or for a beginning of numbers.
    pub account: Option<NamedAccount>,
    /// The beginning of phone numbers that it holds for by itself, whichever account sends there; null where it does not count
    /// by it.
    pub prefix: Option<String>,
    /// Whether it lets pass.
    pub phase: PhaseName,
    /// How it came to trip; null unless it is tripped.
    pub tripped: Option<TrippedView>,
    /// What a reset allowed; null unless it is probing.
    pub probing: Option<ProbingView>,
    /// What was used in this window, as far as was seen.
    #[schemars(schema_with = "schema::decimal")]
    pub used: String,
    /// The amount at which it trips in this window; null before the first look of a limit that counts from there on.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub trips_at: Option<String>,
    /// What was used, in per cent of that.
    pub percent: Option<u64>,
    /// The currency of the amounts; null where they are not money, or where it is not known yet.
    pub currency: Option<String>,
    /// When this window began.
    #[schemars(schema_with = "schema::time")]
    pub window_start: Timestamp,
    /// When it ends; null where it never does.
    #[schemars(schema_with = "schema::maybe_time")]
    pub window_end: Option<Timestamp>,
    /// When something seen last changed it; null where nothing was seen yet.
    #[schemars(schema_with = "schema::maybe_time")]
    pub changed_at: Option<Timestamp>,
}

/// Whether a breaker lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Phase")]
#[serde(rename_all = "kebab-case")]
pub enum PhaseName {
    /// The limit was reached, or an operator stopped it.
    Tripped,
    /// An operator has lifted a trip: a stated amount more may be used in this window.
    Probing,
    /// The limit is not reached.
    Passing,
}

/// How a breaker came to trip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Tripped")]
pub struct TrippedView {
    /// Since when; null where the audit log does not reach back so far.
    #[schemars(schema_with = "schema::maybe_time")]
    pub since: Option<Timestamp>,
    /// Whether the limit's actions were ordered, or it only watched.
    pub enforced: bool,
    /// Whether an operator stopped it. Then no window lifts it.
    pub by_operator: bool,
    /// The window whose usage reached the limit; null where only an operator stopped it.
    #[schemars(schema_with = "schema::maybe_time")]
    pub over_in: Option<Timestamp>,
    /// What was used in that window; null where that is a share.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub over_by_use_of: Option<String>,
    /// What a request could have used beside it that did not fit and was not sent; null where that is not why.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub over_by_request_of: Option<String>,
    /// What share of what was sent was good; null of a limit of an amount.
    pub share: Option<ShareView>,
}

/// What a reset allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Probing")]
pub struct ProbingView {
    /// Since when; null where the audit log does not reach back so far.
    #[schemars(schema_with = "schema::maybe_time")]
    pub since: Option<Timestamp>,
    /// What was used when it was lifted.
    #[schemars(schema_with = "schema::decimal")]
    pub base: String,
    /// How much more may be used in this window.
    #[schemars(schema_with = "schema::decimal")]
    pub allowed_more: String,
}

/// Which breakers are wanted; all of them if it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BreakerFilter {
    /// Of this limit.
    pub limit: Option<String>,
    /// That hold for this account, alone or with others.
    pub account: Option<Sid>,
    /// In this phase.
    pub phase: Option<PhaseName>,
}

/// A breaker, by the place of its limit in the configuration.
pub(super) type Place = (usize, Subject);

/// When breakers came to stand where they stand, as the audit log has it.
pub(super) struct Since {
    tripped: HashMap<String, Timestamp>,
    reset: HashMap<String, Timestamp>,
}

impl Views<'_> {
    /// A page of the breakers that the filter lets through.
    pub async fn breakers(&self, filter: &BreakerFilter, page: &Page) -> Result<Breakers, NotSeen> {
        let known = Known::read(self.store).await?;
        let only = filter.limit.as_deref().map(|name| self.limit(name)).transpose()?;
        if let Some(sid) = filter.account {
            known.account(sid).ok_or(NotSeen::NoAccount(sid))?;
        }
        let wanted = self.places(&known).into_iter().filter(|(limit, subject)| {
            let applied = &self.limits[*limit];
            only.is_none_or(|only| only.limit.name == applied.limit.name)
                && filter.account.is_none_or(|sid| holds_for(&known, applied, *subject, sid))
                && filter.phase.is_none_or(|phase| self.phase(&known, applied, *subject) == phase)
        });
        let (places, next) = page.of(
            wanted,
            |place| *place,
            |cursor| self.read_cursor(cursor),
            |(limit, subject)| format!("{subject}/{}", self.limits[*limit].limit.name),
        )?;
        let since = Since::read(self).await?;
        let view = |place: &Place| self.view(&known, &since, *place);
        Ok(Breakers { breakers: places.iter().map(view).collect(), next })
    }

    /// One breaker, after an act on it.
    pub async fn breaker(&self, limit: &str, subject: Subject) -> Result<BreakerView, NotSeen> {
        let known = Known::read(self.store).await?;
        let place = self.limits.iter().position(|applied| applied.limit.name == limit);
        let place = place.ok_or_else(|| NotSeen::NoLimit(limit.to_owned()))?;
        Ok(self.view(&known, &Since::read(self).await?, (place, subject)))
    }

    /// All that are tripped, or have used so much of their limit, in percent; the most urgent first.
    pub(crate) async fn breakers_near(&self, percent: u64) -> ringfence_store::Result<Vec<BreakerView>> {
        let known = Known::read(self.store).await?;
        let since = Since::read(self).await?;
        let is_near = |(phase, used, _): &(PhaseName, Option<u64>, Place)| {
            *phase == PhaseName::Tripped || used.is_some_and(|used| used >= percent)
        };
        let near = self.by_urgency(&known).into_iter().filter(is_near);
        Ok(near.map(|(_, _, place)| self.view(&known, &since, place)).collect())
    }

    /// All breakers there are, those that nothing moved yet among them, but for accounts that are closed or gone. An account that has left a limit's scope is here
    /// as long as the limit's breaker still stops it.
    pub(super) fn places(&self, known: &Known) -> BTreeSet<Place> {
        let mut places = BTreeSet::new();
        for (number, applied) in self.limits.iter().enumerate() {
            if applied.limit.per == Per::Together {
                places.insert((number, Subject::Together));
                continue;
            }
            let there = known.accounts.iter().filter(|account| is_there(account));
            places.extend(there.filter_map(|account| Some((number, applied.subject(&scoped(account))?))));
        }
        for ((name, subject), breaker) in &known.breakers {
            let can_spend = match subject {
                Subject::Account(sid) => known.account(*sid).is_none_or(is_there),
                Subject::Together | Subject::Prefix(_) => true,
            };
            if breaker.state.phase != Phase::Passing
                && can_spend
                && let Some(number) = self.limits.iter().position(|applied| applied.limit.name == *name)
                // What was counted together once is no breaker of a limit that counts each account now.
                && (self.limits[number].limit.per == Per::Together) == (*subject == Subject::Together)
            {
                places.insert((number, *subject));
            }
        }
        places
    }

    pub(super) fn phase(&self, known: &Known, applied: &AppliedLimit, subject: Subject) -> PhaseName {
        let kept = known.breaker(&applied.limit.name, subject);
        kept.map_or(PhaseName::Passing, |kept| Shown::of(applied, kept, self.now).phase_name())
    }

    /// What deserves a look: what is not passing, then what is nearest to its limit.
    pub(super) fn by_urgency(&self, known: &Known) -> Vec<(PhaseName, Option<u64>, Place)> {
        let mut all: Vec<_> = self
            .places(known)
            .into_iter()
            .map(|(limit, subject)| {
                let applied = &self.limits[limit];
                let shown = known
                    .breaker(&applied.limit.name, subject)
                    .map(|kept| Shown::of(applied, kept, self.now));
                let phase = shown.as_ref().map_or(PhaseName::Passing, Shown::phase_name);
                (phase, shown.and_then(|shown| shown.percent(applied)), (limit, subject))
            })
            .collect();
        all.sort_by_key(|(phase, percent, place)| (*phase, Reverse(*percent), *place));
        all
    }

    pub(super) fn view(&self, known: &Known, since: &Since, (limit, subject): Place) -> BreakerView {
        let applied = &self.limits[limit];
        let name = &applied.limit.name;
        let kept = known.breaker(name, subject);
        let fresh = || Shown::fresh(applied, self.now);
        let shown = kept.map_or_else(fresh, |kept| Shown::of(applied, kept, self.now));
        let target = format!("breaker {name} of {subject}");
        let (tripped, probing) = match &shown.phase {
            Phase::Passing => (None, None),
            Phase::Tripped { by, enforced } => {
                let tripped = TrippedView {
                    since: since.tripped.get(&target).copied(),
                    enforced: *enforced,
                    by_operator: by.operator,
                    over_in: by.over.map(|over| over.window),
                    over_by_use_of: by
                        .over
                        .filter(|over| over.judged.is_none())
                        .map(|over| over.used().to_string()),
                    over_by_request_of: by.over.and_then(|over| over.wanted).map(|it| it.to_string()),
                    share: by
                        .over
                        .and_then(|over| ShareView::of(applied.limit.measure, applied.limit.amount(), over)),
                };
                (Some(tripped), None)
            }
            Phase::Probing { base, allowance } => {
                let probing = ProbingView {
                    since: since.reset.get(&target).copied(),
                    base: base.to_string(),
                    allowed_more: allowance.to_string(),
                };
                (None, Some(probing))
            }
        };
        BreakerView {
            limit: name.clone(),
            account: known.named(subject),
            prefix: prefix_of(subject),
            phase: shown.phase_name(),
            tripped,
            probing,
            used: shown.state.seen.to_string(),
            trips_at: shown.trips_at(applied).map(|at| at.to_string()),
            percent: shown.percent(applied),
            currency: known.currency(applied, subject),
            window_start: shown.state.window,
            window_end: applied.limit.window.period(shown.state.window).end,
            changed_at: kept.map(|kept| kept.changed_at),
        }
    }

    /// `AC…/name`, `together/name`, or `+959/name`.
    fn read_cursor(&self, cursor: &str) -> Option<Place> {
        let (subject, name) = cursor.split_once('/')?;
        let limit = self.limits.iter().position(|applied| applied.limit.name == name)?;
        Some((limit, subject.parse().ok()?))
    }
}

/// Whether something can still be spent there.
fn is_there(account: &Account) -> bool {
    account.gone_at.is_none() && account.status != "closed"
}

impl Since {
    pub(super) async fn read(views: &Views<'_>) -> ringfence_store::Result<Self> {
        Ok(Self {
            tripped: views.store.last_done_to_breakers("breaker.trip", "breaker.would-trip").await?,
            // A trip that was only watched has nothing to take back: its reset is a change.
            reset: views.store.last_done_to_breakers("breaker.reset", "breaker.change").await?,
        })
    }
}

/// Whether the breaker of `subject` has a say about this account.
pub(super) fn holds_for(known: &Known, applied: &AppliedLimit, subject: Subject, sid: Sid) -> bool {
    match subject {
        Subject::Account(of) => of == sid,
        Subject::Together => {
            known.account(sid).is_some_and(|account| applied.subject(&scoped(account)) == Some(subject))
        }
        Subject::Prefix(_) => false,
    }
}

/// A breaker at this moment: nothing was written since its window ended, perhaps.
pub(super) struct Shown {
    /// In the window of this moment.
    state: State,
    /// What is in force: a trip is shown until it is lifted for good.
    phase: Phase,
}

impl Shown {
    pub(super) fn of(applied: &AppliedLimit, kept: &Breaker<State>, now: Timestamp) -> Self {
        let (state, _) = step(&applied.limit, kept.state.clone(), &Observation::Tick, now);
        let phase = match (&kept.state.phase, &state.phase) {
            // The window is over for which something was allowed.
            (Phase::Probing { .. }, Phase::Passing) => Phase::Passing,
            (kept, _) => kept.clone(),
        };
        Self { state, phase }
    }

    fn fresh(applied: &AppliedLimit, now: Timestamp) -> Self {
        let state = State::new(&applied.limit, now);
        Self { phase: state.phase.clone(), state }
    }

    pub(super) fn phase_name(&self) -> PhaseName {
        match self.phase {
            Phase::Passing => PhaseName::Passing,
            Phase::Tripped { .. } => PhaseName::Tripped,
            Phase::Probing { .. } => PhaseName::Probing,
        }
    }

    /// The amount at which it trips in this window.
    fn trips_at(&self, applied: &AppliedLimit) -> Option<Amount> {
        if applied.limit.sign().is_some() {
            return None;
        }
        let settled = self.state.settled.filter(|settled| settled.window == self.state.window);
        settled.map(|settled| settled.trips_at).or_else(|| applied.limit.threshold(self.state.baseline))
    }

    pub(super) fn percent(&self, applied: &AppliedLimit) -> Option<u64> {
        percent_of(self.state.seen, self.trips_at(applied)?)
    }
}

/// How many hundredths of `whole` these are, rounded down: 100 is reached and not nearly so.
pub(super) fn percent_of(amount: Amount, whole: Amount) -> Option<u64> {
    if whole <= Amount::ZERO {
        return None;
    }
    let percent = i128::from(amount.micros()) * 100 / i128::from(whole.micros());
    Some(u64::try_from(percent.max(0)).unwrap_or(u64::MAX))
}
