//! What the egress set aside becomes what was spent.
//!
//! The egress says what it sent and, where it knows, which SID Twilio gave it. What it cost is read from Twilio's lists,
//! page by page for each account that has something open, never by a request for each message. What nobody answered for is
//! looked for in the same lists, by whom it went to and when; until it is found it is spent. Nothing stays open for
//! ever: what Twilio has not priced after a day is settled at its worst.
//!
//! The sums then move the breakers, as usage records do; and what usage records say beyond them is booked.

mod lists;
pub(super) mod looks;
mod places;
mod signs;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::price_book;
use ringfence_breaker::{Observation, Subject, Window, needs_read_back};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{
    Account, Arrival, Booking, Observation as Delivery, OpenReservation, Reached, ReservationState, Result,
};
use ringfence_twilio::client::{self, Client};
use ringfence_twilio::wire::{Call, Message};
use serde::Deserialize;

use self::lists::{Listed, Party, call, message, read_back};
use self::looks::{ReadLists, ReadOnce};
use super::{Engine, ReadingFailed};
use crate::decide::By;
use crate::usage::Used;
use crate::wanted::AppliedLimit;

/// The source of what the ledger tells, as the store writes it.
pub(super) const SOURCE: &str = "ledger";

/// How the ledger of what is sent is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// How what Ringfence itself sends is priced.
    pub prices: price_book::Rules,
    /// What may have been on its way when the store lost its memory: it is added to the first figures that are read after
    /// that.
    pub allowance: Amount,
    /// Whether the database's clock decides in which window something is, as it must where several nodes share one; else
    /// this node's.
    pub by_database_clock: bool,
}

/// What one look at what is open did.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// How many reservations changed.
    pub changed: usize,
    /// Accounts that could not be asked about, and why. The next look tries again.
    pub troubles: Vec<(Sid, String)>,
}

/// So many reservations of an account are read at once,
const AT_ONCE: usize = 5_000;
/// and so many times in one run, which is as much as is read of Twilio's lists; the next run goes on from there.
const PAGES_IN_A_RUN: usize = 8;
/// Clocks of Twilio's and ours may be so far apart.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(30);
/// So long after its deadline what Twilio has not priced, or nobody has found, is settled at its worst. The deadline of a
/// message that is sent later is after that.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// What has no price after this long is looked for less often.
const LATE: SignedDuration = SignedDuration::from_mins(15);
/// So often the whole of the list is read back to the oldest that is open.
const FAR_BACK_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// So often the sums are recomputed from what is open.
const CHECKED_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// So long what runs on in a call is set aside: a `TimeLimit` beyond it is rare, and then it is settled at its worst early.
const RUNS_ON: SignedDuration = SignedDuration::from_hours(4);
/// Twilio lets no call be longer, whatever `TimeLimit` it was given.
const CALL_MAX: SignedDuration = SignedDuration::from_hours(24);

impl Engine {
    /// Looks at every reservation that has not ended, and at what breakers must hear of it.
    pub async fn reconcile(&self) -> Result<Reconciled> {
        let mut reconciled = Reconciled::default();
        if self.egress.is_none() {
            return Ok(reconciled);
        }
        for sid in self.store.accounts_with_open_reservations().await? {
            match self.reconcile_account(sid).await {
                Ok(changed) => reconciled.changed += changed,
                Err(ReadingFailed::Store(error)) => return Err(error),
                Err(error) => reconciled.troubles.push((sid, error.to_string())),
            }
        }
        self.feed_breakers().await?;
        self.check_sums().await?;
        self.hear_of_arrivals(&mut reconciled).await?;
        self.judge_shares().await?;
        // It may take long, and nothing waits for it.
        self.learn_places(&mut reconciled).await?;
        Ok(reconciled)
    }

    /// The sums are what the open reservations add up to; where they are not, somebody must know.
    async fn check_sums(&self) -> Result<()> {
        let now = self.now();
        {
            let mut checked = self.checked_sums.lock().unwrap_or_else(PoisonError::into_inner);
            if checked.is_some_and(|at| at.saturating_add(CHECKED_EVERY).is_ok_and(|due| due > now)) {
                return Ok(());
            }
            *checked = Some(now);
        }
        for wrong in self.store.check_ledger().await? {
            tracing::error!(
                limit = wrong.limit,
                subject = wrong.subject,
                reserved = %wrong.reserved,
                open = %wrong.open,
                "what is set aside under a limit is not what its open reservations add up to"
            );
        }
        Ok(())
    }

    /// Looks at what is open, page by page: what waits for its price for a week keeps nobody else's from being read.
    async fn reconcile_account(&self, sid: Sid) -> std::result::Result<usize, ReadingFailed> {
        let now = self.now();
        let (look, mut reached) = self.look(sid, now);
        let (mut changed, mut failed, mut lists) = (0, None, ReadLists::default());
        for _ in 0..PAGES_IN_A_RUN {
            let page = self.store.unsettled_reservations(&look, reached.as_ref(), AT_ONCE).await?;
            reached = if page.len() < AT_ONCE { None } else { page.last().map(Reached::by) };
            match self.reconcile_page(sid, now, page, &mut lists).await {
                Ok(did) => changed += did,
                Err(error @ ReadingFailed::Store(_)) => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
            self.has_come_to(sid, reached.clone());
            if reached.is_none() {
                break;
            }
        }
        failed.map_or(Ok(changed), Err)
    }

    async fn reconcile_page(
        &self,
        sid: Sid,
        now: Timestamp,
        page: Vec<OpenReservation>,
        lists: &mut ReadLists,
    ) -> std::result::Result<usize, ReadingFailed> {
        let is_past = |at: Timestamp, more| at.saturating_add(more).is_ok_and(|at| at <= now);
        let (mut changed, mut at_worst, mut over, mut waiting) = (0, Vec::new(), Vec::new(), Vec::new());
        for it in page {
            if it.state == ReservationState::Priced {
                over.push(it.id);
            } else if it.state == ReservationState::Open {
                // Whoever admitted it still waits for Twilio, or its node has died.
                if is_past(it.deadline, CLOCKS_APART) {
                    changed += usize::from(self.store.doubt(&it.id, self.ledger_now()).await?);
                }
            } else if is_past(it.deadline, GIVEN_UP_AFTER)
                || (kind(&it).is_none() && (!runs_on(&it) || is_past(it.admitted_at, RUNS_ON)))
            {
                // Twilio has no list of these, or says nothing: the worst is taken for the truth.
                at_worst.push(it.id);
            } else {
                waiting.push(it);
            }
        }
        changed += self.store.settle_at_worst(at_worst, self.ledger_now()).await?;
        changed += self.store.release_beside(over, self.ledger_now()).await?;
        if waiting.is_empty() {
            return Ok(changed);
        }
        let account = self.store.find_account(sid).await?;
        let account = account.ok_or(ReadingFailed::NoCredentials(sid))?;
        let client = self.clients.for_account(&account).ok_or(ReadingFailed::NoCredentials(sid))?;
        let mut failed = None;
        for (of, read) in [(Kind::Message, &mut lists.messages), (Kind::Call, &mut lists.calls)] {
            let waiting: Vec<&OpenReservation> = waiting.iter().filter(|it| kind(it) == Some(of)).collect();
            match self.match_with_list(&client, &account, (of, read), &waiting).await {
                Ok(matched) => changed += matched,
                Err(error @ ReadingFailed::Store(_)) => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(changed), Err)
    }

    async fn match_with_list(
        &self,
        client: &Client,
        account: &Account,
        (of, read): (Kind, &mut Option<ReadOnce>),
        waiting: &[&OpenReservation],
    ) -> std::result::Result<usize, ReadingFailed> {
        let Some(since) = waiting.iter().map(|it| it.admitted_at).min() else { return Ok(0) };
        // What may never have been dialled is known by the call that would have, which began before.
        let asks_for_parents = waiting.iter().any(|it| goes_on_in_a_call(it) || self.may_never_have_been(it));
        let before = if asks_for_parents { CALL_MAX } else { CLOCKS_APART };
        let since = since.saturating_sub(before).unwrap_or(Timestamp::MIN);
        let mut cut_off = None;
        // The pages of a look begin with the oldest, whose list has what later ones look for.
        let read = if let Some(before) = read.take().filter(|read| read.since <= since) {
            read.insert(before)
        } else {
            let listed;
            (listed, cut_off) = self.list(client, account.sid, of, since).await;
            read.insert(ReadOnce { since, listed, is_cut_off: cut_off.is_some() })
        };
        let (listed, is_cut_off) = (&read.listed, read.is_cut_off);
        let by_sid: HashMap<Sid, &Listed> = listed.iter().map(|it| (it.sid, it)).collect();
        let known: BTreeSet<Sid> = waiting.iter().filter_map(|it| it.resource).collect();
        let doubtful = waiting.iter().filter(|it| it.resource.is_none());
        let mut unexplained = match doubtful.map(|it| it.deadline).max() {
            Some(last) => self.unexplained(listed, &known, last).await?,
            None => Vec::new(),
        };
        let (mut changed, mut settled, mut at_worst, mut rest) = (0, Vec::new(), Vec::new(), Vec::new());
        let (mut found, mut arrived) = (Vec::new(), Vec::new());
        for it in waiting {
            let listed = match it.resource {
                Some(resource) => by_sid.get(&resource).copied(),
                None => find_again(it, &mut unexplained),
            };
            match listed {
                Some(listed) => found.push((it, listed)),
                None => rest.push(it),
            }
        }
        let deleted_at = if rest.iter().any(|it| self.may_never_have_been(it)) {
            self.store.last_deleted_call(account.sid).await?
        } else {
            None
        };
        let may_be_deleted = |it: &OpenReservation| {
            deleted_at.is_some_and(|at| at.saturating_add(CLOCKS_APART).is_ok_and(|at| at >= it.admitted_at))
        };
        let parent_of = |it: &OpenReservation| it.parent.and_then(|parent| by_sid.get(&parent).copied());
        for it in rest.into_iter().filter(|it| !is_cut_off && parent_of(it).is_some_and(|it| it.is_over)) {
            if goes_on_in_a_call(it) {
                at_worst.push(it.id.clone());
            } else if self.may_never_have_been(it) {
                // Twilio may write whom it called otherwise than the answer did. Only where the call dialled nobody else was
                // it never made.
                match child_of(it, &mut unexplained) {
                    Some(listed) => found.push((it, listed)),
                    // What is gone from the list cannot say that it was dialled.
                    None if may_be_deleted(it) => at_worst.push(it.id.clone()),
                    None => changed += usize::from(self.store.void(&it.id, self.ledger_now()).await?),
                }
            }
        }
        for (it, listed) in found {
            if listed.arrival != Arrival::Unknown && listed.spent.is_none() && !it.has_arrival {
                arrived.push((it.id.clone(), listed.arrival));
            }
            if let Some(spent) = listed.spent {
                settled.push((it.id.clone(), spent, Some(listed.sid)));
            } else if it.resource.is_none() {
                changed += usize::from(self.store.found(&it.id, listed.sid, self.ledger_now()).await?);
            }
        }
        changed += self.store.settle_at_worst(at_worst, self.ledger_now()).await?;
        changed += self.store.settle_each(settled, self.ledger_now()).await?;
        // Whether it arrived is known before what it cost: a sign of pumping waits for no price.
        self.store.arrived_each(arrived, self.ledger_now()).await?;
        // What was read is used; what was not is a trouble all the same.
        cut_off.map_or(Ok(changed), |error| Err(error.into()))
    }

    /// Whether it is a call that an answer would have had dialled, and nobody has seen for a while.
    fn may_never_have_been(&self, it: &OpenReservation) -> bool {
        let is_late = it.admitted_at.saturating_add(LATE).is_ok_and(|late| late <= self.now());
        it.operation == DIALLED && it.parent.is_some() && it.resource.is_none() && is_late
    }

    /// What is in the list and no reservation was made for, the oldest first, with the tags of whom it went to.
    async fn unexplained<'l>(
        &self,
        listed: &'l [Listed],
        known: &BTreeSet<Sid>,
        last: Timestamp,
    ) -> Result<Vec<(&'l Listed, Vec<String>)>> {
        let until = last.saturating_add(CLOCKS_APART).unwrap_or(Timestamp::MAX);
        let is_strange =
            |it: &&Listed| it.created <= until && !it.parties.is_empty() && !known.contains(&it.sid);
        let strange = || listed.iter().filter(is_strange);
        let asked: Vec<Sid> = strange().map(|it| it.sid).collect();
        let reserved: BTreeSet<Sid> = self.store.reserved_resources(&asked).await?.into_iter().collect();
        let mut unexplained = Vec::new();
        for it in strange().rev().filter(|it| !reserved.contains(&it.sid)) {
            let mut tags = Vec::with_capacity(it.parties.len());
            for party in &it.parties {
                tags.push(match party {
                    Party::Asked { to, from } => self.store.party_tag(to, from).await?,
                    Party::Dialled { to, by } => self.store.dialled_tag(to, *by).await?,
                    Party::Reply { to, from } => self.store.reply_tag(to, from).await?,
                });
            }
            unexplained.push((it, tags));
        }
        Ok(unexplained)
    }

    /// What the account sent since then, the newest first; and, where it could not be read to the end, why.
    async fn list(
        &self,
        client: &Client,
        account: Sid,
        of: Kind,
        since: Timestamp,
    ) -> (Vec<Listed>, Option<client::Error>) {
        let now = self.now();
        let (mut listed, cut_off) = match of {
            Kind::Message => {
                let pages = client.messages(account).list(&client::MessageFilter::default());
                read_back(pages, since, |it: &Message| it.date_created.as_ref(), |it| message(it, now)).await
            }
            Kind::Call => {
                let pages = client.calls(account).list(&client::CallFilter::default());
                read_back(pages, since, |it: &Call| it.date_created.as_ref(), |it| call(it, now)).await
            }
        };
        listed.retain(|it| it.created >= since);
        (listed, cut_off)
    }

    /// The sums move the breakers of limits that do something when they trip.
    async fn feed_breakers(&self) -> Result<()> {
        let actor = Actor::job("egress");
        let by = By { actor: &actor, reason: None };
        let now = self.now();
        // An even flow trips by what it refuses alone, and a share by no amount.
        let moves = |applied: &&AppliedLimit| {
            !applied.limit.then.is_empty() && applied.limit.rate().is_none() && applied.limit.sign().is_none()
        };
        for applied in self.limits.iter().filter(moves) {
            for row in self.store.ledger_of(&applied.limit.name).await? {
                let Ok(subject) = row.subject.parse::<Subject>() else { continue };
                let mut ledger = row.ledger;
                // Of a window that is over, or of what the limit counted before, nothing is to be learnt.
                if !ledger.counts.are_of(&applied.limit)
                    || ledger.window < applied.limit.window.period(now).start
                {
                    continue;
                }
                ledger.roll(now);
                let (key, told) = ((row.limit, row.subject), (ledger.window, ledger.spent()));
                let fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
                if fed == Some(told) {
                    continue;
                }
                let usage = Observation::Usage { at: told.0, amount: told.1 };
                self.observe(applied, subject, &usage, &by, None).await?;
                self.fed.lock().unwrap_or_else(PoisonError::into_inner).insert(key, told);
            }
        }
        Ok(())
    }

    /// What a request told that did not fit although nothing else stood in its way.
    pub(super) fn told_by_ledger(
        &self,
        delivery: &Delivery,
    ) -> Option<(&AppliedLimit, Subject, Observation)> {
        let told: Told = serde_json::from_value(delivery.payload.clone()).ok()?;
        let applied = self.limits.iter().find(|applied| applied.limit.name == told.limit)?;
        let subject = told.subject.parse().ok()?;
        let (spent, wanted) = (Amount::from_micros(told.spent), Amount::from_micros(told.wanted));
        Some((applied, subject, Observation::DoesNotFit { at: told.at, spent, wanted }))
    }

    /// The epoch in which figures are read now, if they are booked. What accounts used together is forgotten when it changes:
    /// half of such a sum would be of a time before.
    pub(super) async fn reading_epoch(&self) -> Result<Option<String>> {
        if self.egress.is_none() {
            return Ok(None);
        }
        let epoch = self.store.epoch_id().await?;
        let mut known = self.sums_of_epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != epoch {
            self.sums.lock().unwrap_or_else(PoisonError::into_inner).clear();
            known.clone_from(&epoch);
        }
        Ok(Some(epoch))
    }

    /// Books what a usage record says, for the egress. `epoch` held before it was read.
    pub(super) async fn book(
        &self,
        applied: &AppliedLimit,
        subject: Subject,
        account: Sid,
        used: &Used,
        epoch: Option<&str>,
    ) -> std::result::Result<(), ReadingFailed> {
        let (Some(egress), Some(epoch)) = (&self.egress, epoch) else { return Ok(()) };
        if !needs_read_back(&applied.limit) || !self.is_of_now(applied, used.at) {
            return Ok(());
        }
        let at = if applied.limit.window == Window::Alltime { self.now() } else { used.at };
        let seen = match subject {
            Subject::Account(_) => used.amount,
            Subject::Together => {
                let sum = self.sum(applied, account, used)?;
                // Half a sum would let the other half be spent twice.
                if !self.has_heard_of_all(applied, used.at).await? {
                    return Ok(());
                }
                sum.amount
            }
            Subject::Prefix(_) => return Ok(()),
        };
        let booking = Booking {
            limit: Arc::new(applied.clone()),
            subject,
            at,
            seen,
            allowance: egress.allowance,
            epoch: epoch.to_owned(),
        };
        self.store.book_usage(booking, self.ledger_now()).await?;
        Ok(())
    }

    /// Whether a record is of the window that runs: of one that is over nothing is admitted any more.
    pub(super) fn is_of_now(&self, applied: &AppliedLimit, at: Timestamp) -> bool {
        let window = applied.limit.window;
        window == Window::Alltime || window.period(at).start >= window.period(self.now()).start
    }

    /// Books that an account used nothing so far of what a limit counts.
    pub(super) async fn book_nothing(
        &self,
        applied: &AppliedLimit,
        subject: Subject,
        account: Sid,
        epoch: Option<&str>,
    ) -> std::result::Result<(), ReadingFailed> {
        let at = match applied.limit.window {
            Window::Alltime => Timestamp::UNIX_EPOCH,
            window => window.period(self.now()).start,
        };
        self.book(applied, subject, account, &Used { at, amount: Amount::ZERO, currency: None }, epoch).await
    }
}

/// What a refused request told, as the store wrote it.
#[derive(Debug, Deserialize)]
struct Told {
    limit: String,
    subject: String,
    at: Timestamp,
    spent: i64,
    wanted: i64,
}

/// What an answer had dialled.
const DIALLED: &str = "twiml.call";

/// What an instruction to `TaskRouter` had dialled.
const ASSIGNED: &str = "taskrouter.call";

/// What Twilio has a list of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Call,
}

fn kind(reservation: &OpenReservation) -> Option<Kind> {
    match reservation.operation.as_str() {
        "messages.create" | "twiml.message" => Some(Kind::Message),
        "calls.create" | "participants.create" | DIALLED | ASSIGNED => Some(Kind::Call),
        _ if goes_on_in_a_call(reservation) => Some(Kind::Call),
        _ => None,
    }
}

/// Whether it costs more the longer a call goes on that no list tells it from.
fn runs_on(reservation: &OpenReservation) -> bool {
    reservation.operation == "calls.update"
}

/// Whether it is a recording, a stream, speech: as long as the call goes on it may cost more, and then it is its worst.
fn goes_on_in_a_call(reservation: &OpenReservation) -> bool {
    reservation.operation == "twiml.other" && reservation.parent.is_some()
}

/// What was in doubt, in the list: made at that time for that party, and explained by nothing else. Of several, the
/// earliest.
fn find_again<'l>(
    doubtful: &OpenReservation,
    unexplained: &mut Vec<(&'l Listed, Vec<String>)>,
) -> Option<&'l Listed> {
    let party = doubtful.party.as_ref()?;
    let from = doubtful.admitted_at.saturating_sub(CLOCKS_APART).unwrap_or(Timestamp::MIN);
    let until = doubtful.deadline.saturating_add(CLOCKS_APART).unwrap_or(Timestamp::MAX);
    let is_it = |(it, tags): &(&Listed, Vec<String>)| {
        it.created >= from && it.created <= until && tags.contains(party)
    };
    let found = unexplained.iter().position(is_it)?;
    Some(unexplained.remove(found).0)
}

/// A call that the same call dialled, and nothing else explains. Of several, the earliest.
fn child_of<'l>(
    doubtful: &OpenReservation,
    unexplained: &mut Vec<(&'l Listed, Vec<String>)>,
) -> Option<&'l Listed> {
    let is_child = |party: &Party| matches!(party, Party::Dialled { by, .. } if Some(*by) == doubtful.parent);
    let found = unexplained.iter().position(|(it, _)| it.parties.iter().any(is_child))?;
    Some(unexplained.remove(found).0)
}
