//! How an act ended, for people and for scripts: what Twilio shows, and nothing that is only hoped for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ringfence_breaker::Action;
use ringfence_control::views::{AccountView, BreakerView, WantedStatus};
use ringfence_model::Sid;
use serde_json::json;

use super::act::with_name;
use super::carry::{Carried, Standing};
use super::with_engine::Typed;
use crate::exit::Answer;

/// So many accounts of which the same is true are named.
const NAMED: usize = 3;

/// What an act came to.
pub(crate) struct Outcome<'a> {
    /// What reaches the installation.
    pub(crate) typed: &'a Typed,
    /// What was decided.
    pub(crate) headline: String,
    /// What to know or to type next.
    pub(crate) closing: Vec<String>,
    /// The breaker that moved; none for an act on an account.
    pub(crate) breaker: Option<BreakerView>,
    /// The accounts that it is about, after it.
    pub(crate) accounts: Vec<AccountView>,
    /// What was to be done at Twilio.
    pub(crate) actions: Vec<Action>,
    /// Whether it was to be taken back.
    pub(crate) lifts: bool,
    pub(crate) carried: Carried,
    /// Whether it was left to other nodes on purpose.
    pub(crate) is_left: bool,
}

/// How one account stands after an act.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Stands {
    /// What was to be lifted is not, and nobody here holds it.
    is_stuck: bool,
    words: String,
}

impl Outcome<'_> {
    pub(crate) fn answer(self, as_json: bool) -> Answer {
        let stands: Vec<(&AccountView, Stands)> =
            self.accounts.iter().map(|account| (account, self.stands(account))).collect();
        let is_stuck = stands.iter().any(|(_, stands)| stands.is_stuck);
        let standing = self.carried.standing;
        let output = if as_json { self.as_json() } else { self.as_text(&stands) };
        Answer {
            output: output.into_bytes(),
            is_no: standing == Standing::Refused || is_stuck,
            is_unavailable: standing == Standing::Failing || (standing == Standing::Waiting && !self.is_left),
            ..Answer::default()
        }
    }

    fn as_json(&self) -> String {
        let json = json!({
            "breaker": self.breaker,
            "accounts": self.accounts,
            "carried_out": self.carried.word(),
            "why_not": self.carried.why(),
        });
        format!("{json}\n")
    }

    fn as_text(&self, stands: &[(&AccountView, Stands)]) -> String {
        let mut text = format!("{}\n", self.headline);
        let mut groups: BTreeMap<&str, Vec<&AccountView>> = BTreeMap::new();
        for (account, stands) in stands {
            groups.entry(&stands.words).or_default().push(account);
        }
        for (words, accounts) in groups {
            if words.is_empty() {
                continue;
            }
            match accounts.as_slice() {
                [_] if self.accounts.len() == 1 => _ = writeln!(text, "  {words}"),
                few if few.len() <= NAMED => {
                    for account in few {
                        let name = with_name(account.sid, &account.friendly_name);
                        _ = writeln!(text, "  {name}: {words}");
                    }
                }
                many => _ = writeln!(text, "  {} accounts: {words}", many.len()),
            }
        }
        if self.carried.standing != Standing::Done {
            let why = match (self.carried.standing, self.carried.why()) {
                (_, Some(why)) => format!("{why}; "),
                (Standing::Waiting, None) if !self.is_left => "Twilio has not answered yet; ".to_owned(),
                (_, None) => String::new(),
            };
            _ = writeln!(text, "  ordered: {why}{}", self.carried.what_next(self.typed));
        }
        for line in &self.closing {
            _ = writeln!(text, "{line}");
        }
        text
    }

    /// What Twilio shows of the account.
    fn stands(&self, account: &AccountView) -> Stands {
        let mut is_stuck = false;
        let words: Vec<String> = self
            .actions
            .iter()
            .map(|action| {
                let is_done = !self.is_undone(account.sid, *action);
                match (action, self.lifts) {
                    (Action::Suspend, false) => suspended(account, is_done),
                    (Action::Suspend, true) => {
                        let (stuck, words) = resumed(account, is_done, self.breaker.is_some());
                        is_stuck |= stuck;
                        words
                    }
                    (Action::EndCalls, _) => {
                        done(is_done, "its calls are ended", "its calls are not all ended")
                    }
                    (Action::CancelQueued, _) => done(
                        is_done,
                        "messages that waited are cancelled",
                        "messages that wait are not all cancelled",
                    ),
                    (Action::CloseGeo, false) => {
                        done(is_done, "no country can be reached", "countries can still be reached")
                    }
                    (Action::CloseGeo, true) => {
                        done(is_done, "its countries are open again", "its countries are still closed")
                    }
                    (Action::RevokeKeys, _) => {
                        done(is_done, "its API keys are deleted", "its API keys are not all deleted")
                    }
                    (Action::Notify, _) => String::new(),
                }
            })
            .filter(|words| !words.is_empty())
            .collect();
        Stands { is_stuck, words: words.join("; ") }
    }

    fn is_undone(&self, account: Sid, action: Action) -> bool {
        self.carried.undone.iter().any(|order| order.account == account && order.action == action)
    }
}

fn done(is_done: bool, yes: &str, no: &str) -> String {
    if is_done { yes } else { no }.to_owned()
}

fn suspended(account: &AccountView, is_done: bool) -> String {
    match account.status.as_str() {
        // It is only ordered, and was suspended already.
        "suspended" if !is_done => "suspended at Twilio when it was last read".to_owned(),
        "suspended" => "suspended at Twilio, read back".to_owned(),
        "closed" => "closed at Twilio, for good".to_owned(),
        _ if account.gone_at.is_some() => "no longer in Twilio's list of accounts".to_owned(),
        status => format!("still {status} at Twilio"),
    }
}

fn resumed(account: &AccountView, is_done: bool, by_reset: bool) -> (bool, String) {
    let held = account.why.as_ref().filter(|_| account.wanted == Some(WantedStatus::Suspended));
    if let Some(why) = held {
        let limits = why.limits.iter().map(|limit| format!("the limit \"{limit}\" holds it too"));
        let operator = why.by_operator.then(|| "an operator holds it (`account resume`)".to_owned());
        let holds: Vec<_> = limits.chain(operator).collect();
        return (false, format!("stays suspended: {}", holds.join(", ")));
    }
    match account.status.as_str() {
        "active" => (false, "active at Twilio, read back".to_owned()),
        "closed" => (true, "closed at Twilio, for good".to_owned()),
        _ if account.gone_at.is_some() => (true, "no longer in Twilio's list of accounts".to_owned()),
        // A reset takes back what its limit did, and no more.
        status if is_done && by_reset => (
            true,
            format!(
                "still {status}: it was so before the limit tripped, by somebody else or by Twilio; `ringfence account \
                 resume` ends what is not Twilio's"
            ),
        ),
        status if is_done => {
            (true, format!("still {status}: Twilio itself holds it, so only Twilio's support can lift that"))
        }
        status => (false, format!("still {status} at Twilio")),
    }
}
