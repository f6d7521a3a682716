//! What the control plane is told, and what limits need of the rest of the file.
//!
//! A limit that cannot be held (no store to remember a trip in, no credentials to suspend with, nobody to tell) is
//! refused here, since it would look like protection and be none. What can be held and leaves a gap is a warning.

use std::path::PathBuf;

use ringfence_breaker::price_book;
use ringfence_breaker::{Action, Limit, Measure, Per, Scope, Window};
use ringfence_control::people::Rules;
use ringfence_control::{second_factor, shared_keys};
use ringfence_model::{Amount, Secret, Sid};
use ringfence_twilio::wire::UsageCategory;

use super::account::Account;
use super::doctor::Doctor;
use super::inspector::Inspector;
use super::limit::Typed;
use super::notify::Notify;
use super::problems::Problems;
use super::raw::Table;
use super::store::Store;
use super::twilio::Twilio;

/// What the control plane is told.
#[derive(Debug)]
pub(crate) struct Control {
    /// In the order of the file.
    pub(crate) limits: Vec<Limit>,
    /// The accounts that Twilio's API can be asked about.
    pub(crate) credentials: Vec<Credentials>,
    pub(crate) store: Option<Store>,
    pub(crate) twilio: Twilio,
    pub(crate) notify: Option<Notify>,
    /// What is demanded of the people of the console.
    pub(crate) rules: Rules,
    pub(crate) second_factor: Option<second_factor::Settings>,
    /// What usage triggers call.
    pub(crate) trigger_url: Option<String>,
    /// How requests of the egress are priced; nothing where there is none.
    pub(crate) prices: Option<price_book::Rules>,
    /// What the first figures of Twilio's count more after the store lost its memory.
    pub(crate) restore_allowance: Amount,
    /// Where the authority of the egress as a proxy is kept, if it is one.
    pub(crate) ca_folder: Option<PathBuf>,
    /// How the deployment is examined.
    pub(crate) doctor: Doctor,
    /// What is kept of requests.
    pub(crate) inspector: Inspector,
    /// Whose webhooks are signed by a key of their own; nothing where the file does not say.
    pub(crate) shared_keys: Option<shared_keys::Settings>,
}

/// An account and its auth token.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) account: Sid,
    /// Nothing for a parent.
    pub(crate) parent: Option<Sid>,
    pub(crate) auth_token: Secret,
    /// Where that was read from, for people.
    pub(crate) auth_token_from: String,
    /// Whether its subaccounts are found at Twilio.
    pub(crate) finds_subaccounts: bool,
}

impl Control {
    /// What a control plane is needed for; nothing where the data plane alone does all that is configured.
    pub(crate) fn is_needed_for(&self) -> Option<&'static str> {
        if !self.limits.is_empty() {
            Some("limits are configured")
        } else if self.credentials.iter().any(|account| account.finds_subaccounts) {
            Some("subaccounts are to be found at Twilio")
        } else if self.trigger_url.is_some() {
            Some("a route takes usage triggers")
        } else if self.second_factor.is_some() {
            Some("codes are sent")
        } else if self.prices.is_some() {
            Some("requests to Twilio are let out")
        } else if self.shared_keys.is_some() {
            Some("webhooks are signed by keys that are kept in the store")
        } else {
            None
        }
    }
}

impl Credentials {
    /// Of all accounts that have an auth token.
    pub(super) fn of(accounts: &[Account]) -> Vec<Self> {
        let sid = |sid: &ringfence_signature::AccountSid| Sid::parse(sid.as_str()).ok();
        let of = |account: &Account| {
            Some(Self {
                account: sid(&account.sid)?,
                parent: account.parent.as_ref().and_then(sid),
                auth_token: account.auth_token.clone()?,
                auth_token_from: account.auth_token_from.clone(),
                finds_subaccounts: account.finds_subaccounts,
            })
        };
        accounts.iter().filter_map(of).collect()
    }
}

/// What the rest of the file has.
pub(super) struct Rest<'a> {
    /// Nothing where not all of them could be read.
    pub(super) accounts: Option<&'a [Account]>,
    pub(super) has_store: bool,
    /// Whether there are people who are mailed of their sign-ins.
    pub(super) has_console: bool,
    /// Whether there is a `[second_factor]`, which has things to tell too.
    pub(super) sends_codes: bool,
    /// Where [notify] is, if it is there; and what it says, if that could be read.
    pub(super) notify_table: Option<Table<'a>>,
    pub(super) notify: Option<&'a Notify>,
    /// Whether some route says upstream = "breaker".
    pub(super) has_trigger_route: bool,
    /// Whether there is a listener of the egress.
    pub(super) has_egress: bool,
}

/// Notes what limits lack and where they leave a gap.
pub(super) fn check(limits: &[Typed<'_>], rest: &Rest<'_>, problems: &mut Problems) {
    let Some(first) = limits.first() else {
        if let Some(notify) = rest.notify_table.filter(|_| !rest.has_console && !rest.sends_codes) {
            problems.warning(notify.offset(), "[notify]: there is no [[limit]], so there is nothing to tell");
        }
        return;
    };
    let place = first.table.offset();
    if !rest.has_store {
        problems.error(
            place,
            "[[limit]] needs a [store] that remembers what tripped; add one with url = \"sqlite:ringfence.db\"",
        );
    }
    if let Some(accounts) = rest.accounts {
        if accounts.iter().any(|account| account.parent.is_none() && account.auth_token.is_some()) {
            for limit in limits {
                can_be_held(limit, accounts, problems);
            }
        } else {
            problems.error(
                place,
                "[[limit]] is held with the credentials of a parent account, and none is here; give an [[account]] \
                 without `parent` its auth_token",
            );
        }
    }
    for typed in limits.iter().filter(|typed| typed.limit.is_the_egress_alone() && !rest.has_egress) {
        typed.table.wrong(
            "name",
            format_args!(
                "the limit \"{}\" counts what only the egress sees, and there is none; add `egress` to [listen], or \
                 write a scope of accounts and a window of Twilio's (daily, monthly, yearly, alltime)",
                typed.limit.name
            ),
            problems,
        );
    }
    let tells = |typed: &&Typed<'_>| typed.limit.then.contains(&Action::Notify);
    if rest.notify_table.is_none()
        && let Some(typed) = limits.iter().find(tells)
    {
        let instead = if typed.limit.sign().is_some() { "[]" } else { "[\"suspend\"]" };
        typed.table.wrong(
            "then",
            format_args!(
                "\"notify\" tells nobody, as there is no [notify]; add one with mail or webhook, or write then = {instead}"
            ),
            problems,
        );
    }
    if !rest.has_trigger_route {
        problems.warning(
            place,
            "[[limit]]: no [[route]] has upstream = \"breaker\", so usage triggers have nothing to call, and a trip is \
             not found before the next poll; add one",
        );
    }
    if let (Some(notify), Some(accounts)) = (rest.notify, rest.accounts) {
        warn_of_silenced_sender(limits, notify, accounts, rest.notify_table, problems);
    }
    warn_of_missing_sum(limits, problems);
}

/// Whether there are accounts in its scope, and somebody's credentials for what it does.
fn can_be_held(typed: &Typed<'_>, accounts: &[Account], problems: &mut Problems) {
    let Typed { table, limit } = typed;
    let finds_some = accounts.iter().any(|account| account.finds_subaccounts);
    let holds_child = |child: &Account| {
        child.parent.is_some_and(|parent| {
            accounts.iter().any(|account| account.sid == parent && account.auth_token.is_some())
        })
    };
    match &limit.scope {
        Scope::NewSubaccounts if !finds_some => table.wrong(
            "scope",
            "new subaccounts are not found by themselves here; add subaccounts = true to the parent's [[account]]",
            problems,
        ),
        Scope::Subaccounts | Scope::Name(_) if !finds_some && !accounts.iter().any(holds_child) => table.wrong(
            "scope",
            "there is no subaccount; add subaccounts = true to the parent's [[account]], or an [[account]] with \
             `parent` for each",
            problems,
        ),
        Scope::Parent
        | Scope::All
        | Scope::Subaccounts
        | Scope::NewSubaccounts
        | Scope::Name(_)
        | Scope::Tenant(_)
        | Scope::Credential(_)
        | Scope::Destination(_) => {}
        Scope::Account(sid) => match accounts.iter().find(|account| account.is(*sid)) {
            None if finds_some => {}
            None => table.wrong(
                "scope",
                format_args!(
                    "{sid} is no account of this file, and no [[account]] has subaccounts = true to find it by; add \
                     one of the two"
                ),
                problems,
            ),
            Some(account) if account.parent.is_some() && !holds_child(account) => {
                if limit.then.contains(&Action::Suspend) {
                    table.wrong(
                        "scope",
                        format_args!(
                            "only a parent's credentials suspend {sid}; give the parent an [[account]] with auth_token"
                        ),
                        problems,
                    );
                } else if account.auth_token.is_none() {
                    no_token(table, *sid, problems);
                }
            }
            Some(account) if account.parent.is_none() && account.auth_token.is_none() => {
                no_token(table, *sid, problems);
            }
            Some(_) => {}
        },
    }
}

fn no_token(table: &Table<'_>, sid: Sid, problems: &mut Problems) {
    table.wrong(
        "scope",
        format_args!(
            "{sid} has no auth token here to read its usage with; add auth_token to its [[account]]"
        ),
        problems,
    );
}

/// Whether a limit can suspend this account.
pub(super) fn can_suspend(typed: &Typed<'_>, sid: Sid, accounts: &[Account]) -> bool {
    let is_child = accounts.iter().any(|account| account.is(sid) && account.parent.is_some());
    let may_hold = match &typed.limit.scope {
        Scope::Account(other) => *other == sid,
        Scope::Parent => false,
        // Whoever uses the egress may be any account.
        Scope::Subaccounts
        | Scope::NewSubaccounts
        | Scope::Name(_)
        | Scope::All
        | Scope::Tenant(_)
        | Scope::Credential(_)
        | Scope::Destination(_) => is_child,
    };
    may_hold && typed.limit.enforce && typed.limit.then.contains(&Action::Suspend)
}

/// A suspended account sends no messages, least of all about its suspension.
fn warn_of_silenced_sender(
    limits: &[Typed<'_>],
    notify: &Notify,
    accounts: &[Account],
    table: Option<Table<'_>>,
    problems: &mut Problems,
) {
    for (key, phone) in [("sms", &notify.sms), ("call", &notify.call)] {
        let Some(phone) = phone else { continue };
        if let (Some(table), Some(typed)) =
            (table, limits.iter().find(|typed| can_suspend(typed, phone.account, accounts)))
        {
            table.doubtful(
                key,
                format_args!(
                    "the limit \"{}\" can suspend the account that sends these, and then nobody hears of it; send \
                     them from the parent account, or add mail",
                    typed.limit.name
                ),
                problems,
            );
        }
    }
}

/// How many subaccounts the warning counts with.
const MANY: i64 = 300;

/// A limit on each of many accounts is no limit on the bill.
fn warn_of_missing_sum(limits: &[Typed<'_>], problems: &mut Problems) {
    let is_sum = |sum: &Limit, each: &Limit| {
        let counts_it = (sum.measure, sum.category.as_str()) == (Measure::Price, UsageCategory::TOTAL_PRICE)
            || (sum.measure == each.measure && sum.category == each.category);
        sum.enforce
            && sum.per == Per::Together
            && matches!(sum.scope, Scope::Subaccounts | Scope::All)
            && counts_it
    };
    let is_gap = |typed: &&Typed<'_>| {
        let each = &typed.limit;
        each.enforce
            && !each.is_the_egress_alone()
            && each.per == Per::Account
            && matches!(each.scope, Scope::Subaccounts | Scope::NewSubaccounts | Scope::Name(_) | Scope::All)
            && !limits.iter().any(|other| is_sum(&other.limit, each))
    };
    let Some(typed) = limits.iter().find(is_gap) else { return };
    let amount = typed.limit.amount();
    let sum = Amount::from_micros(amount.micros().saturating_mul(MANY));
    let (kind, window) = (counted(&typed.limit), a_window(typed.limit.window));
    problems.warning(
        typed.table.offset(),
        format!(
            "[[limit]] \"{}\": no limit holds for the sum, and {MANY} subaccounts at {amount} each are {sum}{kind} \
             {window}; add one with scope = \"subaccounts\" and per = \"together\"",
            typed.limit.name
        ),
    );
}

/// What follows an amount that is not money.
fn counted(limit: &Limit) -> String {
    match limit.measure {
        Measure::Price => String::new(),
        Measure::Usage => format!(" of the usage of {}", limit.category),
        Measure::Count => format!(" of the count of {}", limit.category),
        Measure::Delivery | Measure::Conversion => " per cent".to_owned(),
    }
}

const fn a_window(window: Window) -> &'static str {
    match window {
        Window::Minute => "a minute",
        Window::Hour => "an hour",
        Window::Rolling { .. } | Window::Gcra { .. } => "within the window",
        Window::Daily => "a day",
        Window::Monthly => "a month",
        Window::Yearly => "a year",
        Window::Alltime => "in all",
    }
}
