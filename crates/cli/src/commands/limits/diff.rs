//! What is to change or was changed, as a difference: the limits, then the triggers account by account.

use std::fmt::Write as _;

use ringfence_breaker::Action;
use ringfence_control::node::Left;
use ringfence_control::views::{ChangeView, PlanView, PlannedChange};
use ringfence_model::Sid;
use ringfence_store::LimitsApplied;
use serde::Serialize;
use serde_json::json;

use crate::commands::act::{REASON, account_name, with_name};
use crate::commands::with_engine::Typed;
use crate::commands::words::{count, wrapped};
use crate::exit::Answer;

/// So many accounts that are left stopped are named.
const NAMED: usize = 20;

/// A difference, with what could not be found out or done about it.
pub(super) struct Difference {
    /// Limits that hold against those of the configuration.
    pub(super) limits: LimitsApplied,
    /// Accounts that limits hold which are not in the configuration.
    pub(super) left: Vec<Left>,
    /// What other commands are typed with.
    pub(super) typed: Typed,
    /// Triggers.
    pub(super) plan: PlanView,
    /// How many changes were made at Twilio.
    pub(super) changed: usize,
    /// Accounts for which a change could not be made.
    pub(super) failed: Vec<(Sid, String)>,
    /// Accounts of the configuration that could not be read, and so nothing behind them.
    pub(super) unlisted: Vec<(Sid, String)>,
    /// Whether it was done, or only shown.
    pub(super) applied: bool,
    /// Whether another try does not mend what failed.
    pub(super) is_refused: bool,
    pub(super) notes: Vec<String>,
}

/// For scripts: the plan, and what there is besides.
#[derive(Serialize)]
struct AsJson<'a> {
    limits: serde_json::Value,
    /// Accounts that stay as limits have made them which are removed.
    left: Vec<serde_json::Value>,
    #[serde(flatten)]
    plan: &'a PlanView,
    unlisted: Vec<serde_json::Value>,
    /// Only of what was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Vec<serde_json::Value>>,
}

impl Difference {
    pub(super) fn answer(self, as_json: bool) -> Answer {
        let troubles = self.plan.unread.len() + self.failed.len() + self.unlisted.len();
        let has_changes = !self.plan.changes.is_empty() || self.limits != LimitsApplied::default();
        let output = if as_json { self.as_json() } else { self.as_text() };
        let is_unavailable = troubles > 0 && !(self.applied && self.is_refused && self.unlisted.is_empty());
        Answer {
            output: output.into_bytes(),
            is_no: if self.applied { troubles > 0 } else { has_changes },
            is_unavailable,
            notes: self.notes,
        }
    }

    fn as_json(&self) -> String {
        let LimitsApplied { added, changed, removed } = &self.limits;
        let why = |(sid, why): &(Sid, String)| json!({ "account": sid, "why": why });
        let json = AsJson {
            limits: json!({ "added": added, "changed": changed, "removed": removed }),
            left: self.left.iter().map(left_json).collect(),
            plan: &self.plan,
            unlisted: self.unlisted.iter().map(why).collect(),
            changed: self.applied.then_some(self.changed),
            failed: self.applied.then(|| self.failed.iter().map(why).collect()),
        };
        format!("{}\n", json!(json))
    }

    fn as_text(&self) -> String {
        let mut text = String::new();
        let LimitsApplied { added, changed, removed } = &self.limits;
        if self.limits != LimitsApplied::default() {
            text.push_str("limits\n");
            for (sign, names) in [('+', added), ('~', changed), ('-', removed)] {
                for name in names {
                    _ = writeln!(text, "{sign} \"{name}\"");
                }
            }
            text.push('\n');
        }
        text.push_str(&self.left_text());
        if !self.plan.changes.is_empty() {
            text.push_str("usage triggers at Twilio\n");
        }
        let mut account = None;
        for change in &self.plan.changes {
            if account != Some(change.account.sid) {
                account = Some(change.account.sid);
                let name = with_name(change.account.sid, &change.account.friendly_name);
                _ = writeln!(text, "  {name}");
            }
            text.push_str(&change_text(change));
        }
        if !self.plan.changes.is_empty() {
            text.push('\n');
        }
        text.push_str(&wrapped(&self.sum(), 0));
        let unread = self.plan.unread.iter().map(|it| (it.account.sid, &it.why, "could not be asked"));
        let unlisted = self.unlisted.iter().map(|(sid, why)| (*sid, why, "could not be listed"));
        let failed = self.failed.iter().map(|(sid, why)| (*sid, why, "was not changed"));
        for (sid, why, what) in unlisted.chain(unread).chain(failed) {
            text.push_str(&wrapped(&format!("! {sid} {what}: {why}"), 0));
        }
        text
    }

    /// What the limits that are removed hold, and what to type.
    fn left_text(&self) -> String {
        if self.left.is_empty() {
            return String::new();
        }
        let what = if self.applied {
            "STAY STOPPED: what held them is removed. To let each go:"
        } else {
            "WOULD STAY STOPPED: what holds them is removed, and nothing else does. To let them go, reset the limit before; \
             afterwards `ringfence account resume` lets each go"
        };
        let mut text = wrapped(what, 0);
        for left in self.left.iter().take(NAMED) {
            let names: Vec<_> = left.limits.iter().map(|name| format!("\"{name}\"")).collect();
            let what = left.actions.iter().map(|action| match action {
                Action::CloseGeo => "its countries closed",
                _ => "suspended",
            });
            let (what, by): (Vec<_>, _) = (what.collect(), names.join(", "));
            let name = with_name(left.account.sid, &left.account.name);
            _ = writeln!(text, "  {name}\n      {} by {by}", what.join(" and "));
            if self.applied {
                let resume = format!("account resume {} {REASON}", left.account.sid);
                _ = writeln!(text, "        {}", self.typed.command(&resume));
            }
        }
        if self.left.len() > NAMED {
            _ = writeln!(text, "  … and {} more; --json has them", self.left.len() - NAMED);
        }
        text.push('\n');
        text
    }

    fn sum(&self) -> String {
        let of = |wanted: PlannedChange| self.plan.changes.iter().filter(|it| it.change == wanted).count();
        let limits = match (self.applied, self.limits == LimitsApplied::default()) {
            (true, true) => "the limits held already",
            (true, false) => "the limits hold now",
            (false, true) => "the limits hold already",
            (false, false) => "the limits do not hold yet",
        };
        let PlanView { changes, kept, foreign, .. } = &self.plan;
        let rest = format!(
            "{} as {} should be, {foreign} of others left alone",
            count(*kept, "trigger"),
            if *kept == 1 { "it" } else { "they" }
        );
        if changes.is_empty() {
            return format!("{limits}; no trigger is to be changed; {rest}");
        }
        let all = [
            (PlannedChange::Create, "created", "create"),
            (PlannedChange::Replace, "replaced", "replace"),
            (PlannedChange::Redirect, "redirected", "redirect"),
            (PlannedChange::Delete, "deleted", "delete"),
        ];
        let each: Vec<_> = all
            .into_iter()
            .filter(|(change, ..)| of(*change) > 0)
            .map(|(change, done, to_do)| {
                if self.applied {
                    format!("{} {done}", of(change))
                } else {
                    format!("{} to {to_do}", of(change))
                }
            })
            .collect();
        let not_all = if self.applied && self.changed != changes.len() {
            format!(" (but only {} of these {} got through)", self.changed, changes.len())
        } else {
            String::new()
        };
        format!("{limits}; {}{not_all}; {rest}", each.join(", "))
    }
}

fn left_json(left: &Left) -> serde_json::Value {
    let actions: Vec<_> = left.actions.iter().map(|action| action.name()).collect();
    let account = json!({ "sid": left.account.sid, "friendly_name": left.account.name });
    json!({ "account": account, "limits": left.limits, "actions": actions })
}

fn change_text(change: &ChangeView) -> String {
    let watches = || {
        let field = |text: &Option<String>| text.clone().unwrap_or_default();
        format!(
            "\"{}\": {} {} by {}, at {}",
            field(&change.limit),
            field(&change.recurring),
            field(&change.category),
            field(&change.trigger_by),
            field(&change.value)
        )
    };
    let trigger = change.trigger.map(|sid| sid.to_string()).unwrap_or_default();
    match change.change {
        PlannedChange::Create => format!("  + {}\n", watches()),
        PlannedChange::Replace => format!("  ~ {}\n      in the place of {trigger}\n", watches()),
        PlannedChange::Redirect => {
            format!("  ~ {}\n      {trigger} called another URL\n", watches())
        }
        PlannedChange::Delete => {
            let name = account_name(change.trigger_name.as_deref().unwrap_or_default());
            format!("  - {trigger}\n      {name}\n")
        }
    }
}
