//! How it stands, at one glance: what is tripped, what is near it, what is not as it should be.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_store::UsageUnread;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accounts::{Suspended, states};
use super::breakers::Since;
use super::{
    AccountView, BreakerView, Known, LedgerLine, LimitView, NamedAccount, Nodes, Orders, PhaseName,
    StandingShare, TokenView, Views, schema,
};

/// So many breakers that pass are shown, the nearest to their limits.
const NEAREST: usize = 10;

/// So many of those on which a limit counts are shown with it.
const OF_A_LIMIT: usize = 10;

/// So many of a kind are shown.
const SHOWN: usize = 100;

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The moment of it.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// Whether nothing needs a person: nothing is tripped, fails, is not as wanted or was left suspended, every account's usage is
    /// counted, and no token is out of date.
    pub is_quiet: bool,
    /// Each limit, with how its breakers stand.
    pub limits: Vec<LimitStatus>,
    /// Breakers that are not passing.
    pub breakers: Vec<BreakerView>,
    /// How many more of those there are: `GET /v1/breakers` has them all.
    pub breakers_left_out: usize,
    /// Breakers that pass and have seen something, the nearest to their limits first.
    pub nearest: Vec<BreakerView>,
    /// The accounts.
    pub accounts: AccountsStatus,
    /// Accounts whose usage could not be counted for minutes: their limits are blind.
    #[serde(default)]
    pub unread: Vec<UnreadView>,
    /// What was ordered and has yet to happen.
    pub orders: Orders,
    /// The nodes at work.
    pub nodes: Nodes,
    /// Auth tokens that are being replaced, and those of which the configuration has one that was.
    #[serde(default)]
    pub tokens: Vec<TokenView>,
    /// The audit log.
    pub audit: AuditStatus,
}

/// How the breakers of a limit stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitStatus {
    /// The limit.
    pub limit: LimitView,
    /// How many are tripped.
    pub tripped: usize,
    /// How many are probing.
    pub probing: usize,
    /// How many pass, those that have seen nothing yet among them.
    pub passing: usize,
    /// How many have seen nothing yet.
    pub unseen: usize,
    /// What is taken of it, by those that are nearest to it; of a limit of a share nothing is taken.
    #[serde(default)]
    pub sums: Vec<LedgerLine>,
    /// What share of what was sent is good, where the limit is one of a share: those nearest to it.
    #[serde(default)]
    pub shares: Vec<StandingShare>,
    /// On how many more something is taken or judged: `GET /v1/ledger` has them all.
    #[serde(default)]
    pub left_out: usize,
    /// For how many nothing is admitted through the egress until Twilio's figure has been read: at the first start, after a
    /// restore, in a window that has just begun. Of a limit that only watches nothing waits.
    #[serde(default)]
    pub wait_for_figure: usize,
}

/// The accounts, counted, and those that are not as they should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountsStatus {
    /// How many there are.
    pub known: usize,
    /// How many have each status at Twilio.
    pub by_status: BTreeMap<String, usize>,
    /// How many Twilio's list no longer has. They count nowhere else.
    pub gone: usize,
    /// Those that are not what they are to be.
    pub not_as_wanted: Vec<AccountView>,
    /// Those that Ringfence has suspended and that nothing wants suspended any more, until somebody resumes them.
    #[serde(default)]
    pub left_suspended: Vec<AccountView>,
    /// How many more there are of both.
    pub left_out: usize,
}

/// An account whose usage is not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnreadView {
    /// Which.
    pub account: NamedAccount,
    /// Since when.
    #[schemars(schema_with = "schema::time")]
    pub since: Timestamp,
    /// What Twilio said instead, or what is wrong with what it said.
    pub why: String,
}

/// How far the audit log is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditStatus {
    /// The latest signed head of its chain; null where nothing was sealed yet.
    pub sealed: Option<SealedUpTo>,
    /// Rows that are not sealed yet.
    pub unsealed_rows: u64,
}

/// A signed head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedUpTo {
    /// Its place in the chain.
    pub seq: i64,
    /// The row that it signs.
    pub row: i64,
    /// When it was signed.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
}

impl Views<'_> {
    /// How it stands.
    pub async fn status(&self) -> ringfence_store::Result<Status> {
        let known = Known::read(self.store).await?;
        let since = Since::read(self).await?;
        let mut limits: Vec<_> = self.limits.iter().map(LimitStatus::of).collect();
        let (mut breakers, mut nearest, mut breakers_left_out) = (Vec::new(), Vec::new(), 0);
        for (phase, percent, place) in self.by_urgency(&known) {
            let (limit, subject) = place;
            let is_seen = known.breaker(&self.limits[limit].limit.name, subject).is_some();
            limits[limit].count(phase, is_seen);
            if phase != PhaseName::Passing {
                if breakers.len() < SHOWN {
                    breakers.push(self.view(&known, &since, place));
                } else {
                    breakers_left_out += 1;
                }
            } else if nearest.len() < NEAREST && percent.is_some_and(|percent| percent > 0) {
                nearest.push(self.view(&known, &since, place));
            }
        }
        for line in self.sums(&known, None, true).await? {
            // Nothing is taken of a share.
            let of = limits.iter_mut().find(|it| it.limit.name == line.limit && it.limit.least.is_none());
            if let Some(of) = of {
                of.wait_for_figure += usize::from(line.waits_for_figure && line.enforce);
                push(&mut of.sums, line, &mut of.left_out);
            }
        }
        for share in self.shares(&known).await? {
            if let Some(of) = limits.iter_mut().find(|it| it.limit.name == share.limit) {
                push(&mut of.shares, share, &mut of.left_out);
            }
        }
        let accounts = self.accounts_status(&known, &self.suspended().await?);
        let unread = self.unread(&known).await?;
        let orders = self.orders(SHOWN).await?;
        let nodes = self.nodes().await?;
        let mut tokens = self.tokens_of(&known).await?;
        tokens.retain(TokenView::needs_a_person);
        let sealed = self.store.sealed_so_far().await?;
        let is_quiet = breakers.iter().all(|breaker| breaker.phase != PhaseName::Tripped)
            && accounts.not_as_wanted.is_empty()
            && accounts.left_suspended.is_empty()
            && unread.is_empty()
            && orders.failing == 0
            && orders.given_up == 0
            && nodes.limits_agree
            && tokens.is_empty();
        Ok(Status {
            at: self.now,
            is_quiet,
            limits,
            breakers,
            breakers_left_out,
            nearest,
            accounts,
            unread,
            orders,
            nodes,
            tokens,
            audit: AuditStatus {
                sealed: sealed.head.map(|(seq, row, at)| SealedUpTo { seq, row, at }),
                unsealed_rows: sealed.unsealed,
            },
        })
    }

    /// The accounts whose usage is not counted, so that limits may not see it.
    pub async fn usage_unread(&self) -> ringfence_store::Result<Vec<UnreadView>> {
        self.unread(&Known::read(self.store).await?).await
    }

    async fn unread(&self, known: &Known) -> ringfence_store::Result<Vec<UnreadView>> {
        let unread = self.store.usage_unread().await?;
        let long = unread.into_iter().filter(|(_, unread)| unread.is_long(self.now));
        let view = |(sid, it): (Sid, UsageUnread)| UnreadView {
            account: known.name(sid),
            since: it.since,
            why: it.why,
        };
        Ok(long.map(view).collect())
    }

    fn accounts_status(&self, known: &Known, suspended: &Suspended) -> AccountsStatus {
        let breakers = states(known);
        let mut status = AccountsStatus {
            known: 0,
            by_status: BTreeMap::new(),
            gone: 0,
            not_as_wanted: Vec::new(),
            left_suspended: Vec::new(),
            left_out: 0,
        };
        for account in &known.accounts {
            if account.gone_at.is_some() {
                status.gone += 1;
                continue;
            }
            status.known += 1;
            *status.by_status.entry(account.status.clone()).or_default() += 1;
            let view = self.account_view(account, &breakers, suspended);
            let shown = if view.left_suspended {
                &mut status.left_suspended
            } else if view.is_as_wanted {
                continue;
            } else {
                &mut status.not_as_wanted
            };
            if shown.len() < SHOWN {
                shown.push(view);
            } else {
                status.left_out += 1;
            }
        }
        status
    }
}

impl LimitStatus {
    fn of(applied: &crate::wanted::AppliedLimit) -> Self {
        Self {
            limit: LimitView::of(applied),
            tripped: 0,
            probing: 0,
            passing: 0,
            unseen: 0,
            sums: Vec::new(),
            shares: Vec::new(),
            left_out: 0,
            wait_for_figure: 0,
        }
    }

    fn count(&mut self, phase: PhaseName, is_seen: bool) {
        match phase {
            PhaseName::Tripped => self.tripped += 1,
            PhaseName::Probing => self.probing += 1,
            PhaseName::Passing => self.passing += 1,
        }
        self.unseen += usize::from(!is_seen);
    }
}

/// Keeps the first few, and counts the others.
fn push<T>(kept: &mut Vec<T>, item: T, left_out: &mut usize) {
    if kept.len() < OF_A_LIMIT {
        kept.push(item);
    } else {
        *left_out += 1;
    }
}
