//! What `limits apply` would change at Twilio.

use ringfence_model::Sid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits::window;
use super::{Known, NamedAccount, Views, schema};
use crate::engine::Planned;
use crate::plan::{Change, Wanted};

/// The difference between the usage triggers that the limits want and those that are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Plan")]
pub struct PlanView {
    /// What is to change, in the order in which it is done.
    pub changes: Vec<ChangeView>,
    /// How many triggers are as they should be.
    pub kept: usize,
    /// How many triggers are somebody else's, and left alone.
    pub foreign: usize,
    /// Accounts that could not be asked.
    pub unread: Vec<UnreadAccount>,
}

/// One change at Twilio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Change")]
pub struct ChangeView {
    /// What is done.
    pub change: PlannedChange,
    /// The account that it is done to.
    pub account: NamedAccount,
    /// The limit that wants it; null for a trigger that no limit wants any more.
    pub limit: Option<String>,
    /// The trigger that is there: replaced, redirected or deleted.
    #[schemars(schema_with = "schema::maybe_trigger_sid")]
    pub trigger: Option<Sid>,
    /// The name of a trigger that is deleted.
    pub trigger_name: Option<String>,
    /// The usage category that is to be watched.
    pub category: Option<String>,
    /// What is compared: `price`, `usage` or `count`.
    pub trigger_by: Option<String>,
    /// How often it begins anew: `daily`, `monthly`, `yearly`, `alltime`.
    pub recurring: Option<String>,
    /// The amount at which it is to fire.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub value: Option<String>,
}

/// What is done to a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlannedChange {
    /// One is made.
    Create,
    /// Another one is made and the old one deleted: values of triggers cannot be changed.
    Replace,
    /// It is to call another URL.
    Redirect,
    /// It is deleted.
    Delete,
}

/// An account that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnreadAccount {
    /// Which.
    pub account: NamedAccount,
    /// Why.
    pub why: String,
}

impl Views<'_> {
    /// A plan, as it is shown.
    pub async fn plan(&self, planned: &Planned) -> ringfence_store::Result<PlanView> {
        let known = Known::read(self.store).await?;
        let unread = planned
            .unread
            .iter()
            .map(|(sid, trouble)| UnreadAccount { account: known.name(*sid), why: trouble.to_string() });
        Ok(PlanView {
            changes: planned.plan.changes.iter().map(|change| self.change(change, &known)).collect(),
            kept: planned.plan.kept.len(),
            foreign: planned.plan.foreign,
            unread: unread.collect(),
        })
    }

    fn change(&self, change: &Change, known: &Known) -> ChangeView {
        let account = known.name(change.account());
        match change {
            Change::Create(wanted) => self.wanted(PlannedChange::Create, account, wanted, None),
            Change::Replace { wanted, old } => {
                self.wanted(PlannedChange::Replace, account, wanted, Some(*old))
            }
            Change::Redirect { wanted, trigger } => {
                self.wanted(PlannedChange::Redirect, account, wanted, Some(*trigger))
            }
            Change::Delete { trigger, name, .. } => ChangeView {
                change: PlannedChange::Delete,
                account,
                limit: None,
                trigger: Some(*trigger),
                trigger_name: Some(name.clone()),
                category: None,
                trigger_by: None,
                recurring: None,
                value: None,
            },
        }
    }

    fn wanted(
        &self,
        change: PlannedChange,
        account: NamedAccount,
        wanted: &Wanted,
        trigger: Option<Sid>,
    ) -> ChangeView {
        let applied = self.limits.iter().find(|applied| applied.limit.name == wanted.limit);
        ChangeView {
            change,
            account,
            limit: Some(wanted.limit.clone()),
            trigger,
            trigger_name: None,
            category: Some(wanted.category.clone()),
            trigger_by: Some(wanted.by.as_str().to_owned()),
            recurring: applied.map(|applied| window(applied.limit.window)),
            value: Some(wanted.value.to_string()),
        }
    }
}
