//! What was ordered and has yet to happen: suspensions, notices, and why they do not get through.

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::Action;
use ringfence_store::{Effect, EffectEnd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NamedAccount, NotSeen, Page, Views, schema};
use crate::decide::{Order, kind};
use crate::notices::text;

/// Nothing can be done any more about what was given up: so long it wants to be seen.
const GIVEN_UP_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What has yet to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Orders {
    /// How many wait or are being carried out.
    pub waiting: u64,
    /// How many of them have failed before.
    pub failing: u64,
    /// How many were given up in the last day. Codes are not among them: each is somebody's number that is wrong, mostly.
    pub given_up: u64,
    /// Those that fail most often first, then those that wait, then those that were given up in the last day.
    pub orders: Vec<OrderView>,
    /// How many more there are.
    pub left_out: u64,
}

/// A page of what has yet to happen, in the order in which it was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderList {
    /// The orders of the page: those that wait, that are being carried out, and that were given up.
    pub orders: Vec<OrderView>,
    /// The cursor of the next page, which is newer, if there is one.
    pub next: Option<String>,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Order")]
pub struct OrderView {
    /// What makes it the same order again.
    pub id: i64,
    /// What is to be done: `status` (suspend or resume), `end-calls`, `cancel-queued`, `geo`, `revoke-keys`, `notice` (tell
    /// people), `delivery` (tell one of them).
    pub kind: String,
    /// The account that it is about; null for notices.
    pub account: Option<NamedAccount>,
    /// The limit that ordered it; null where it was an operator, or where it is a notice.
    pub limit: Option<String>,
    /// What is to be in force, or taken back; null for notices.
    #[schemars(schema_with = "maybe_action")]
    pub action: Option<Action>,
    /// Whether it takes the action back.
    pub takes_back: bool,
    /// How it stands.
    pub state: OrderState,
    /// When it was ordered.
    #[schemars(schema_with = "schema::time")]
    pub ordered_at: Timestamp,
    /// How often somebody set out to do it.
    pub attempts: u64,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it is tried next; null where that is at once, or never.
    #[schemars(schema_with = "schema::maybe_time")]
    pub next_try: Option<Timestamp>,
    /// The node that is at it.
    pub node: Option<String>,
}

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrderState {
    /// It waits for its turn.
    Waiting,
    /// A node is at it.
    InWork,
    /// It failed, and is tried again.
    Failing,
    /// It failed for good.
    GivenUp,
}

/// What is late by now is nobody's to send any more.
const CODES: [&str; 2] = [kind::CODE, kind::CONSOLE_CODE];

impl Views<'_> {
    /// What has yet to happen, `size` of it at most.
    pub async fn orders(&self, size: usize) -> ringfence_store::Result<Orders> {
        let since = self.now.checked_sub(GIVEN_UP_FOR).unwrap_or(Timestamp::MIN);
        let counted = self.store.unfinished_effects().await?;
        let given_up = self.store.count_given_up(since, CODES).await?;
        let mut effects = self.store.troubled_effects(size).await?;
        let left = size.saturating_sub(effects.len());
        effects.extend(self.store.given_up_effects(since, CODES, left).await?);
        let shown = u64::try_from(effects.len()).unwrap_or(u64::MAX);
        Ok(Orders {
            waiting: counted.waiting,
            failing: counted.failing,
            given_up,
            orders: effects.into_iter().map(OrderView::of).collect(),
            left_out: counted.waiting.saturating_add(given_up).saturating_sub(shown),
        })
    }

    /// A page of what has yet to happen.
    pub async fn order_list(&self, page: &Page) -> Result<OrderList, NotSeen> {
        let after = page.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| NotSeen::Cursor));
        let size = page.size.max(1);
        // One more tells whether there is another page.
        let mut effects =
            self.store.unfinished_after(after.transpose()?.unwrap_or(0), size.saturating_add(1)).await?;
        let has_more = effects.len() > size;
        effects.truncate(size);
        let next = effects.last().filter(|_| has_more).map(|effect| effect.id.to_string());
        Ok(OrderList { orders: effects.into_iter().map(OrderView::of).collect(), next })
    }
}

impl OrderView {
    fn of(effect: Effect) -> Self {
        // Notices have another payload, with addresses that are nobody's business here.
        let order: Option<Order> = serde_json::from_value(effect.payload).ok();
        let state = match effect.end {
            Some((_, EffectEnd::GivenUp)) => OrderState::GivenUp,
            _ if effect.claimed_by.is_some() => OrderState::InWork,
            _ if effect.last_error.is_some() => OrderState::Failing,
            _ => OrderState::Waiting,
        };
        let waits = matches!(state, OrderState::Waiting | OrderState::Failing);
        Self {
            id: effect.id,
            kind: effect.kind,
            account: order.as_ref().map(|order| NamedAccount {
                sid: order.account.sid,
                friendly_name: order.account.name.clone(),
            }),
            limit: order.as_ref().map(|order| order.limit.clone()).filter(|limit| !limit.is_empty()),
            action: order.as_ref().map(|order| order.action),
            takes_back: order.is_some_and(|order| order.lifts),
            state,
            ordered_at: effect.created_at,
            attempts: effect.attempts,
            last_error: effect.last_error.map(|error| text::one_line(&error, 300)),
            next_try: effect.not_before.filter(|_| waits),
            // A life is written as the node's name, a mark, and what tells it from other lives.
            node: effect.claimed_by.map(|life| match life.rsplit_once('#') {
                Some((node, _)) => node.to_owned(),
                None => life,
            }),
        }
    }
}

fn maybe_action(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let action = schema::action(generator);
    schemars::json_schema!({ "anyOf": [action, { "type": "null" }] })
}
