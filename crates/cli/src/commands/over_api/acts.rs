//! Acts of an operator at a running node: it is asked for them, and then how far they have come.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use ringfence_breaker::{Action, Subject};
use ringfence_control::views::{
    AccountView, BreakerView, Breakers, LimitView, Limits, OrderList, OrderState, OrderView, SIZE_MAX,
};
use ringfence_model::{Amount, Sid};
use serde_json::json;

use super::Api;
use crate::commands::act::{ActArguments, Verb, Whose, with_name};
use crate::commands::carry::{Carried, Standing, Undone, worst};
use crate::commands::outcome::Outcome;
use crate::commands::trip::reset_command;
use crate::commands::with_store::block_on;
use crate::commands::{account, reset};
use crate::exit::{Answer, Failure};

/// How often it asks whether the orders have ended.
const LOOK: Duration = Duration::from_millis(250);

/// What orders are looked for: those of one act.
struct Followed<'a> {
    /// Empty for an act on an account itself.
    limit: &'a str,
    /// None for all accounts of a limit that they have together.
    account: Option<Sid>,
    lifts: bool,
    /// Orders that were given up before, which are not this act's.
    before: HashSet<i64>,
}

/// `ringfence trip` and `reset`.
pub(crate) fn on_breaker(
    api: &Api,
    verb: Verb,
    limit: Option<&str>,
    whose: &Whose,
    allow: Option<Amount>,
    reason: &str,
    arguments: &ActArguments,
) -> Result<Answer, Failure> {
    block_on(async {
        let limit = limit_of(api, limit).await?;
        let account = match &whose.account {
            Some(text) => Some(find(&api.accounts().await?, text, api)?),
            None => None,
        };
        let prefix = whose.prefix;
        let lifts = verb == Verb::Reset;
        let sid = account.as_ref().map(|account| account.sid);
        let subject = match (sid, prefix) {
            (Some(sid), _) => Subject::Account(sid),
            (None, Some(prefix)) => Subject::Prefix(prefix),
            (None, None) => Subject::Together,
        };
        let mut followed = Followed { limit: &limit.name, account: sid, lifts, before: HashSet::new() };
        followed.before = followed
            .orders(api)
            .await?
            .iter()
            .filter(|order| is_given_up(order))
            .map(|order| order.id)
            .collect();
        let held_before = held_by(&api.accounts().await?, &limit.name);

        let mut body = json!({ "limit": limit.name, "account": sid, "reason": reason });
        if let Some(allow) = allow {
            body["allow"] = allow.to_string().into();
        }
        if let Some(prefix) = prefix {
            body["prefix"] = prefix.to_string().into();
        }
        let moved: BreakerView = api.post(&format!("/v1/breakers/{}", verb.word()), &body).await?;
        let (carried, ordered) = followed.until_done(api, arguments.patience()).await?;

        let all = api.accounts().await?;
        let met: BTreeSet<Sid> = match sid {
            Some(sid) => BTreeSet::from([sid]),
            None => ordered.into_iter().chain(held_before).chain(held_by(&all, &limit.name)).collect(),
        };
        let accounts: Vec<AccountView> =
            all.into_iter().filter(|account| met.contains(&account.sid)).collect();
        // Nothing is ordered at Twilio of numbers, and what is open again is in no list.
        let breaker = match prefix {
            Some(_) => moved,
            None => breaker_of(api, &limit.name, sid).await?,
        };
        let whom = match (&account, accounts.len()) {
            _ if let Some(prefix) = prefix => format!("numbers that begin with {prefix}"),
            (Some(account), _) => with_name(account.sid, &account.friendly_name),
            (None, 1) => "the 1 account of its scope".to_owned(),
            (None, many) => format!("the {many} accounts of its scope together"),
        };
        let stopping = limit.actions.iter().copied().filter(|action| *action != Action::Notify);
        let (headline, closing, actions) = if lifts {
            // What was ended, cancelled or deleted is not there any more.
            let undone = stopping.filter(|action| matches!(action, Action::Suspend | Action::CloseGeo));
            (
                format!("\"{}\" is reset for {whom}", limit.name),
                vec![reset::allowance(&breaker, limit.least.is_some())],
                undone.collect(),
            )
        } else {
            let lift = reset_command(&api.typed, &limit.name, subject);
            let closing = vec![format!("to lift it:\n      {lift}")];
            (format!("\"{}\" is tripped for {whom}", limit.name), closing, stopping.collect::<Vec<_>>())
        };
        let outcome = Outcome {
            typed: &api.typed,
            headline,
            closing,
            breaker: Some(breaker),
            accounts,
            actions,
            lifts,
            carried,
            is_left: arguments.patience().is_none(),
        };
        Ok(outcome.answer(arguments.json))
    })
}

/// `ringfence account suspend` and `resume`.
pub(crate) fn on_account(
    api: &Api,
    account: &str,
    lifts: bool,
    reason: &str,
    arguments: &ActArguments,
) -> Result<Answer, Failure> {
    block_on(async {
        let account = find(&api.accounts().await?, account, api)?;
        let sid = account.sid;
        let mut followed = Followed { limit: "", account: Some(sid), lifts, before: HashSet::new() };
        followed.before = followed
            .orders(api)
            .await?
            .iter()
            .filter(|order| is_given_up(order))
            .map(|order| order.id)
            .collect();
        let verb = if lifts { "resume" } else { "suspend" };
        let _: AccountView =
            api.post(&format!("/v1/accounts/{sid}/{verb}"), &json!({ "reason": reason })).await?;
        let (carried, _) = followed.until_done(api, arguments.patience()).await?;
        let name = with_name(sid, &account.friendly_name);
        let (headline, closing) = account::told(&name, sid, lifts, &api.typed);
        let outcome = Outcome {
            typed: &api.typed,
            headline,
            closing,
            breaker: None,
            accounts: vec![api.get(&format!("/v1/accounts/{sid}"), &[]).await?],
            actions: vec![Action::Suspend],
            lifts,
            carried,
            is_left: arguments.patience().is_none(),
        };
        Ok(outcome.answer(arguments.json))
    })
}

impl Followed<'_> {
    /// What of this act has not ended.
    async fn orders(&self, api: &Api) -> Result<Vec<OrderView>, Failure> {
        let mut query = vec![("page_size", SIZE_MAX.to_string())];
        let mut found = Vec::new();
        loop {
            let page: OrderList = api.get("/v1/orders", &query).await?;
            found.extend(page.orders.into_iter().filter(|order| self.is_of_this(order)));
            let Some(next) = page.next else { return Ok(found) };
            query.truncate(1);
            query.push(("cursor", next));
        }
    }

    fn is_of_this(&self, order: &OrderView) -> bool {
        let Some(account) = &order.account else { return false };
        order.action.is_some()
            && order.limit.as_deref().unwrap_or_default() == self.limit
            && order.takes_back == self.lifts
            && self.account.is_none_or(|sid| sid == account.sid)
            && !self.before.contains(&order.id)
    }

    /// Asks until nothing of it is left, or the time is over; says which accounts it met.
    async fn until_done(
        &self,
        api: &Api,
        patience: Option<Duration>,
    ) -> Result<(Carried, BTreeSet<Sid>), Failure> {
        let began = Instant::now();
        let mut met = BTreeSet::new();
        loop {
            let orders = self.orders(api).await?;
            met.extend(orders.iter().filter_map(|order| order.account.as_ref()).map(|account| account.sid));
            let is_over = patience.is_none_or(|patience| began.elapsed() >= patience);
            if is_over || orders.iter().all(is_given_up) {
                return Ok((carried(orders), met));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn carried(orders: Vec<OrderView>) -> Carried {
    let standing = worst(orders.iter().map(|order| match order.state {
        OrderState::GivenUp => Standing::Refused,
        _ if order.last_error.is_some() => Standing::Failing,
        _ => Standing::Waiting,
    }));
    let undone = orders.into_iter().filter_map(|order| {
        Some(Undone { account: order.account?.sid, action: order.action?, last_error: order.last_error })
    });
    // The node that answers is at work.
    Carried { standing, undone: undone.collect(), others_at_work: true, interrupted: false, trouble: None }
}

fn is_given_up(order: &OrderView) -> bool {
    order.state == OrderState::GivenUp
}

/// The accounts that a limit holds suspended.
fn held_by(accounts: &[AccountView], limit: &str) -> Vec<Sid> {
    let is_held = |account: &&AccountView| {
        account.why.as_ref().is_some_and(|why| why.limits.iter().any(|held_by| held_by == limit))
    };
    accounts.iter().filter(is_held).map(|account| account.sid).collect()
}

/// The limit of this name, or the only one.
async fn limit_of(api: &Api, name: Option<&str>) -> Result<LimitView, Failure> {
    let Limits { mut limits } = api.get("/v1/limits", &[]).await?;
    let names: Vec<_> = limits.iter().map(|limit| format!("\"{}\"", limit.name)).collect();
    let there_is = format!("there is {}", names.join(", "));
    match name {
        None if limits.len() == 1 => Ok(limits.remove(0)),
        None if limits.is_empty() => Err(Failure::refused("there is no limit, so there is nothing to trip")),
        None => Err(Failure::usage("which limit is meant?").hint(there_is)),
        Some(name) => match limits.iter().position(|limit| limit.name == name) {
            Some(place) => Ok(limits.remove(place)),
            None => Err(Failure::usage(format!("there is no limit \"{name}\"")).hint(there_is)),
        },
    }
}

/// An account by its SID or its name.
pub(super) fn find(accounts: &[AccountView], text: &str, api: &Api) -> Result<AccountView, Failure> {
    let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC"));
    let is_meant = |account: &&AccountView| match sid {
        Some(sid) => account.sid == sid,
        None => account.friendly_name == text && account.gone_at.is_none(),
    };
    let meant: Vec<_> = accounts.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::usage(format!("{text} is no account that Twilio lists here"))
            .hint(format!("{} shows them", api.typed.command("account list")))),
        many => {
            let sids: Vec<_> = many.iter().map(|account| account.sid.to_string()).collect();
            Err(Failure::usage(format!("several accounts are named \"{text}\""))
                .hint(format!("write the SID of one: {}", sids.join(", "))))
        }
    }
}

async fn breaker_of(api: &Api, limit: &str, account: Option<Sid>) -> Result<BreakerView, Failure> {
    let mut query = vec![("limit", limit.to_owned())];
    query.extend(account.map(|sid| ("account", sid.to_string())));
    let page: Breakers = api.get("/v1/breakers", &query).await?;
    let mut breakers = page.breakers.into_iter();
    let breaker = breakers.find(|breaker| breaker.account.as_ref().map(|account| account.sid) == account);
    breaker.ok_or_else(|| {
        Failure::unavailable(format!("the node does not show the breaker of \"{limit}\" any more"))
    })
}
