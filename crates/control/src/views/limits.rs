//! The limits that hold.

use jiff::Timestamp;
use ringfence_breaker::{Action, Measure, Per, Reset, Scope, Threshold, Window};
use ringfence_model::Sid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Views, schema};
use crate::wanted::AppliedLimit;

/// The limits, in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Each of them.
    pub limits: Vec<LimitView>,
}

/// A limit, as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Limit")]
pub struct LimitView {
    /// Its name.
    pub name: String,
    /// Whom it holds for.
    pub scope: ScopeView,
    /// Whether each account may use the amount, or all of them together.
    #[schemars(schema_with = "schema::per")]
    pub per: Per,
    /// What is counted: money, the category's unit, or how often.
    #[schemars(schema_with = "schema::measure")]
    pub measure: Measure,
    /// Of which of Twilio's usage categories.
    pub category: String,
    /// How long it counts before it begins anew, in GMT: `daily`, `monthly`, `yearly`, `alltime`.
    pub window: String,
    /// The amount at which it trips; of a share, below how many hundredths.
    #[schemars(schema_with = "schema::decimal")]
    pub at: String,
    /// Fewer sends than these are not judged; null of a limit of an amount.
    pub least: Option<u32>,
    /// What was sent in so many last seconds is not judged; null of a limit of an amount.
    pub settle_seconds: Option<u32>,
    /// How much of it may pass at once; null where its window is no even flow.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub burst: Option<String>,
    /// Whether the amount counts from what was used at the first look on.
    pub counts_from_first_look: bool,
    /// At how many per cent of the amount people are warned.
    pub warn_percent: Vec<u8>,
    /// What is done when it trips.
    #[schemars(schema_with = "schema::actions")]
    pub actions: Vec<Action>,
    /// How much more a reset allows, if it does not say otherwise.
    #[schemars(schema_with = "schema::decimal")]
    pub reset_allows: String,
    /// Who lifts a trip: an operator alone, or the next window too.
    #[schemars(schema_with = "schema::reset")]
    pub reset: Reset,
    /// Whether it acts, or only watches.
    pub enforce: bool,
    /// Since when it holds.
    #[schemars(schema_with = "schema::time")]
    pub since: Timestamp,
}

/// Whom a limit holds for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Scope")]
#[serde(rename_all = "kebab-case", tag = "of")]
pub enum ScopeView {
    /// One account.
    Account {
        /// Which.
        #[schemars(schema_with = "schema::account_sid")]
        account: Sid,
    },
    /// The parent accounts themselves.
    Parent,
    /// Every subaccount.
    Subaccounts,
    /// Subaccounts that are created after the limit was applied first.
    NewSubaccounts,
    /// Subaccounts whose friendly name matches.
    Name {
        /// `*` stands for any characters, `?` for one.
        pattern: String,
    },
    /// Parents and subaccounts.
    All,
    /// What goes through the egress for a tenant.
    Tenant {
        /// Its name, as credentials say it.
        tenant: String,
    },
    /// What goes through the egress with one credential.
    Credential {
        /// Its SID.
        #[schemars(schema_with = "schema::credential_sid")]
        credential: Sid,
    },
    /// What goes through the egress to numbers that begin so.
    Destination {
        /// The beginnings.
        prefixes: Vec<String>,
    },
}

impl Views<'_> {
    /// The limits that hold.
    pub fn limits(&self) -> Limits {
        Limits { limits: self.limits.iter().map(LimitView::of).collect() }
    }
}

impl LimitView {
    pub(super) fn of(applied: &AppliedLimit) -> Self {
        let AppliedLimit { limit, since } = applied;
        Self {
            name: limit.name.clone(),
            scope: match &limit.scope {
                Scope::Account(sid) => ScopeView::Account { account: *sid },
                Scope::Parent => ScopeView::Parent,
                Scope::Subaccounts => ScopeView::Subaccounts,
                Scope::NewSubaccounts => ScopeView::NewSubaccounts,
                Scope::Name(pattern) => ScopeView::Name { pattern: pattern.to_string() },
                Scope::All => ScopeView::All,
                Scope::Tenant(tenant) => ScopeView::Tenant { tenant: tenant.clone() },
                Scope::Credential(sid) => ScopeView::Credential { credential: *sid },
                Scope::Destination(prefixes) => {
                    ScopeView::Destination { prefixes: prefixes.iter().map(ToString::to_string).collect() }
                }
            },
            per: limit.per,
            measure: limit.measure,
            category: limit.category.clone(),
            window: window(limit.window),
            at: limit.amount().to_string(),
            least: limit.sign().map(|sign| sign.least),
            settle_seconds: limit.sign().map(|sign| sign.settle),
            burst: limit.rate().map(|rate| rate.burst.to_string()),
            counts_from_first_look: matches!(limit.at, Threshold::More(_)),
            warn_percent: limit.warn.clone(),
            actions: limit.then.clone(),
            reset_allows: limit.probe_amount().to_string(),
            reset: limit.reset,
            enforce: limit.enforce,
            since: *since,
        }
    }
}

/// A window in the configuration's word.
pub(super) fn window(window: Window) -> String {
    match window {
        Window::Minute => "minute".to_owned(),
        Window::Hour => "hour".to_owned(),
        Window::Rolling { seconds } => format!("rolling {}", time(seconds)),
        Window::Gcra { seconds } => format!("gcra {}", time(seconds)),
        Window::Daily => "daily".to_owned(),
        Window::Monthly => "monthly".to_owned(),
        Window::Yearly => "yearly".to_owned(),
        Window::Alltime => "alltime".to_owned(),
    }
}

/// In the largest unit that it is a whole number of, as people type it.
fn time(seconds: u32) -> String {
    match seconds {
        days if days % 86_400 == 0 => format!("{}d", days / 86_400),
        hours if hours % 3_600 == 0 => format!("{}h", hours / 3_600),
        minutes if minutes % 60 == 0 => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_named_as_it_is_typed() {
        for (seconds, word) in [(90, "90s"), (600, "10m"), (3_600, "1h"), (5_400, "90m"), (86_400, "1d")] {
            assert_eq!(window(Window::Rolling { seconds }), format!("rolling {word}"));
            assert_eq!(window(Window::Gcra { seconds }), format!("gcra {word}"));
        }
    }
}
