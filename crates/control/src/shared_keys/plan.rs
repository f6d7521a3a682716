//! The SharedKeys, settings and rules that are wanted at Twilio, against those that are there. Pure.
//!
//! What is wanted, what the store knows and what is there go in; what can be done at once, what has to wait and what is in the
//! way come out. Whoever does what can be done and looks again comes to where nothing is left to do but wait.
//!
//! A key, a setting or a rule is ours by its friendly name, which begins with [`Mark`]; all others are left alone. The one rule
//! that keeps every webhook: rules at Twilio name a key only when every live node verifies with it and it has got everywhere
//! at Twilio, and nodes forget a key only when no rule names it for as long as a change can take.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;
use ringfence_store::{KeyOfTwilio, SharedKey, SharedKeyStep};
use ringfence_twilio::wire::{self, RuleMatch, WebhookRule, WebhookSetting};

use crate::plan::{Mark, fingerprint};
use crate::rotation::LateNode;

/// How keys sign. It is pinned, since the header that names it is not signed.
pub const ALGORITHM: &str = "HMAC_SHA256";

/// A SharedKey and its setting get everywhere at Twilio in 30 to 60 seconds, and nothing says when they have
/// (<https://www.twilio.com/docs/usage/webhooks/webhook-operations>). Twice that is waited before a rule names them.
const SPREADS: SignedDuration = SignedDuration::from_mins(2);

/// A request for a key that was sent so lately may still arrive.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(1);

/// An account may have so many rules (<https://www.twilio.com/docs/api/errors/59200>).
pub const RULES_MAX: usize = 50;

/// What the configuration says of the accounts' SharedKeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whose webhooks are signed by a key of their own.
    pub accounts: Accounts,
    /// The URLs of the gate's routes.
    pub urls: Vec<RuleMatch>,
    /// For so long after the rules have changed, the key before counts.
    pub settle: SignedDuration,
}

/// Which accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accounts {
    /// All that are known.
    All,
    /// These.
    These(Vec<Sid>),
}

impl Settings {
    /// Whether an account is one of them.
    pub fn wants(&self, account: Sid) -> bool {
        match &self.accounts {
            Accounts::All => true,
            Accounts::These(these) => these.contains(&account),
        }
    }
}

/// What an account has at Twilio.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AtTwilio {
    /// Its SharedKeys.
    pub keys: Vec<wire::SharedKey>,
    /// Its settings.
    pub settings: Vec<WebhookSetting>,
    /// Its rules.
    pub rules: Vec<WebhookRule>,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key is asked for; of an earlier request that was answered to nobody, this is the row.
    CreateKey {
        /// The row, where there is one.
        again: Option<SharedKey>,
        /// Why.
        why: &'static str,
    },
    /// A setting that signs with this key.
    CreateSetting(SharedKey),
    /// A rule for URLs that have none of ours.
    CreateRule {
        /// The URLs.
        matches: RuleMatch,
        /// What it is to name.
        setting: String,
    },
    /// A rule for URLs whose rule of ours somebody gave others. That one goes when this one has got everywhere.
    MendRule {
        /// The rule that was edited.
        edited: Edited,
        /// What the new one is to name.
        setting: String,
    },
    /// A rule of ours names something else.
    PointRule {
        /// The rule.
        rule: String,
        /// Its URLs.
        matches: RuleMatch,
        /// What it is to name.
        setting: String,
    },
    /// All rules name this key: the one before retires.
    Signs(SharedKey),
    /// Nobody wants this rule of ours any more.
    DeleteRule {
        /// The rule.
        rule: String,
        /// Its URLs.
        matches: Option<RuleMatch>,
    },
    /// No rule names this key any more, or it is gone at Twilio.
    Retire {
        /// The key.
        key: SharedKey,
        /// Why.
        why: &'static str,
    },
    /// Nobody needs this setting of ours any more.
    DeleteSetting(String),
    /// Nobody needs this key of ours any more.
    DeleteKey(String),
    /// It is gone at Twilio: nodes forget it.
    Forget(SharedKey),
}

/// What has to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waits {
    /// These nodes have not said that they verify with the new key.
    Nodes(Vec<LateNode>),
    /// It is held until an operator lets it go on.
    Operator,
    /// The new key and its setting have not surely got everywhere before this time.
    Spreads(Timestamp),
    /// A request for a key may still arrive until then.
    Answer(Timestamp),
    /// Requests that the old key signed may come until then.
    Settles(Timestamp),
    /// A rule was made again a moment ago: the one that was edited goes when the new one has got everywhere.
    Mended,
}

/// A rule that somebody else made for URLs of ours, or for a part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The rule.
    pub rule: String,
    /// Its URLs.
    pub matches: RuleMatch,
}

/// A rule of ours that somebody gave other URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The rule.
    pub rule: String,
    /// The URLs that it was made for.
    pub matches: RuleMatch,
    /// The URLs that Twilio shows.
    pub is_for: RuleMatch,
}

/// What there is to do about one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which it is done.
    pub changes: Vec<Change>,
    /// What has to wait.
    pub waits: Vec<Waits>,
    /// What is in the way.
    pub in_the_way: Vec<Foreign>,
    /// What was ours, leads elsewhere by what Twilio shows, and is not made again, as Twilio says that there is a rule for its
    /// URLs: no page of Twilio's says how it writes a URL. It is told and left alone.
    pub edited: Vec<Edited>,
    /// How many keys, settings and rules are not ours.
    pub foreign: usize,
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Whether webhooks of the account are to be signed by a key of its own.
    pub wanted: bool,
    /// The configuration.
    pub settings: &'a Settings,
    /// What the store knows of the account's keys.
    pub keys: &'a [SharedKey],
    /// What is there; read before `keys`.
    pub there: &'a AtTwilio,
    /// Whose they are.
    pub mark: &'a Mark,
    /// The nodes at work that have not said that they verify with the key that is made.
    pub late: &'a [LateNode],
    /// URLs for which Twilio has just said that there is a rule, whatever it shows.
    pub taken: &'a [RuleMatch],
    /// Whether a rule was made again a moment ago, which has not got everywhere yet.
    pub mended: bool,
    /// The time.
    pub now: Timestamp,
}

/// Compares what is wanted for an account with what is there.
pub fn plan(given: &Given<'_>) -> Plan {
    let mut plan = Plan { foreign: given.foreign(), ..Plan::default() };
    let step = |step| given.keys.iter().find(|key| key.step == step);
    let (asked, made, signing) =
        (step(SharedKeyStep::Asked), step(SharedKeyStep::Made), step(SharedKeyStep::Signing));
    if given.wanted {
        let next = given.prepare(asked, made, signing, &mut plan);
        let current = signing.filter(|key| given.has_key(key));
        if let Some(target) = next.or(current) {
            given.point_rules(target, next.is_some(), &mut plan);
        }
    } else {
        given.take_back([asked, made, signing], &mut plan);
    }
    for key in given.keys.iter().filter(|key| key.step == SharedKeyStep::Retiring) {
        given.retire(key, &mut plan);
    }
    given.sweep(&mut plan);
    plan
}

impl Given<'_> {
    /// Brings the next key on its way; gives it back once rules may name it.
    fn prepare<'k>(
        &self,
        asked: Option<&'k SharedKey>,
        made: Option<&'k SharedKey>,
        signing: Option<&'k SharedKey>,
        plan: &mut Plan,
    ) -> Option<&'k SharedKey> {
        if let Some(asked) = asked {
            let until = asked.since + ON_ITS_WAY;
            if self.now < until {
                plan.waits.push(Waits::Answer(until));
                return None;
            }
            // Twilio gives a secret out once: a key whose answer was lost is of no use to anybody.
            let lost = self.there.keys.iter().filter(|key| self.mark_of(key) == Some(&*asked.mark));
            plan.changes.extend(lost.map(|key| Change::DeleteKey(key.id.clone())));
            plan.changes
                .push(Change::CreateKey { again: Some(asked.clone()), why: "what Twilio answered was lost" });
            return None;
        }
        let Some(made) = made else {
            let why = match signing {
                None => "its webhooks have no key of their own",
                Some(signing) if !self.has_key(signing) => "its key is not at Twilio any more",
                Some(_) => return None,
            };
            plan.changes.push(Change::CreateKey { again: None, why });
            return None;
        };
        if !self.has_key(made) {
            let why = "it is not at Twilio any more";
            plan.changes.push(Change::Retire { key: made.clone(), why });
            return None;
        }
        if self.setting_of(made).is_none() {
            plan.changes.push(Change::CreateSetting(made.clone()));
            return None;
        }
        let spread = made.since + SPREADS;
        if !self.late.is_empty() {
            plan.waits.push(Waits::Nodes(self.late.to_vec()));
        } else if self.now < spread {
            plan.waits.push(Waits::Spreads(spread));
        } else if made.held {
            plan.waits.push(Waits::Operator);
        } else {
            return Some(made);
        }
        None
    }

    /// Has the rules name this key.
    fn point_rules(&self, target: &SharedKey, is_next: bool, plan: &mut Plan) {
        let Some(setting) = self.setting_of(target) else {
            // Somebody has removed it; that it takes a while to get everywhere cannot be helped.
            plan.changes.push(Change::CreateSetting(target.clone()));
            return;
        };
        let before = plan.changes.len();
        for matches in &self.settings.urls {
            self.point_rule(matches, &setting.id, plan);
        }
        self.find_narrower(plan);
        if is_next && plan.changes.len() == before {
            plan.changes.push(Change::Signs(target.clone()));
        }
        let is_wanted = |rule: &&WebhookRule| self.settings.urls.iter().any(|it| self.is_rule_of(rule, it));
        plan.changes.extend(self.our_rules().filter(|rule| !is_wanted(rule)).map(deleted));
    }

    /// Has the rule for these URLs name this setting, and makes it where there is none.
    fn point_rule(&self, matches: &RuleMatch, setting: &str, plan: &mut Plan) {
        let ours = self.our_rules().filter(|rule| self.is_rule_of(rule, matches));
        let (strayed, mut right): (Vec<_>, Vec<_>) = ours.partition(|rule| edited(rule, matches).is_some());
        // Twilio has it for these URLs, and only writes them otherwise: it says so, or shows the one that was made again likewise.
        let is_twice =
            |rule: &&&WebhookRule| strayed.iter().filter(|it| it.matches() == rule.matches()).count() > 1;
        let written_so =
            if self.taken.contains(matches) { strayed.first() } else { strayed.iter().find(is_twice) };
        if right.is_empty()
            && let Some(written_so) = written_so
        {
            plan.edited.extend(edited(written_so, matches));
            right = strayed.iter().copied().filter(|it| it.matches() == written_so.matches()).collect();
        }
        let wrong = right.iter().filter(|rule| rule.only_setting() != Some(setting));
        let point = |rule: &&WebhookRule| Change::PointRule {
            rule: rule.id.clone(),
            matches: matches.clone(),
            setting: setting.to_owned(),
        };
        let pointed: Vec<_> = wrong.map(point).collect();
        let left: Vec<_> = strayed.iter().filter(|rule| right.iter().all(|it| it.id != rule.id)).collect();
        if !pointed.is_empty() {
            plan.changes.extend(pointed);
        } else if right.is_empty() {
            let setting = setting.to_owned();
            let mut others = self.there.rules.iter().filter(|it| !self.is_ours(it.friendly_name.as_deref()));
            let other = others.find(|rule| rule.matches().as_ref() == Some(matches));
            match (other, strayed.first().and_then(|rule| edited(rule, matches))) {
                (Some(rule), _) => {
                    plan.in_the_way.push(Foreign { rule: rule.id.clone(), matches: matches.clone() });
                }
                (None, Some(edited)) => plan.changes.push(Change::MendRule { edited, setting }),
                (None, None) => plan.changes.push(Change::CreateRule { matches: matches.clone(), setting }),
            }
        } else if self.mended && !left.is_empty() {
            plan.waits.push(Waits::Mended);
        } else {
            plan.changes.extend(left.into_iter().map(|rule| deleted(rule)));
        }
    }

    /// Rules of others for a part of our URLs: Twilio follows the longest that fits, so ours has nothing signed there.
    fn find_narrower(&self, plan: &mut Plan) {
        for rule in self.there.rules.iter().filter(|it| !self.is_ours(it.friendly_name.as_deref())) {
            let Some(matches) = rule.matches() else { continue };
            let (RuleMatch::Exact(url) | RuleMatch::Prefix(url)) = &matches else { continue };
            let is_part = |ours: &RuleMatch| {
                matches!(ours, RuleMatch::Prefix(prefix) if url.starts_with(prefix.as_str()))
                    && *ours != matches
            };
            if self.settings.urls.iter().any(is_part) && !self.settings.urls.contains(&matches) {
                plan.in_the_way.push(Foreign { rule: rule.id.clone(), matches });
            }
        }
    }

    /// The auth token signs again: first the rules go, then the keys.
    fn take_back(&self, keys: [Option<&SharedKey>; 3], plan: &mut Plan) {
        let before = plan.changes.len();
        plan.changes.extend(self.our_rules().map(deleted));
        if plan.changes.len() == before {
            let why = "the configuration does not want it any more";
            let keys = keys.into_iter().flatten().cloned();
            plan.changes.extend(keys.map(|key| Change::Retire { key, why }));
        }
    }

    /// Nothing needs it, once no request can come that it signed.
    fn retire(&self, key: &SharedKey, plan: &mut Plan) {
        let settings: Vec<_> =
            self.our_settings().filter(|setting| names(setting, key.key.as_ref())).collect();
        if settings.iter().any(|setting| self.is_named(setting)) {
            // Rules are pointed elsewhere first.
            return;
        }
        let until = key.since + self.settings.settle;
        if self.now < until {
            plan.waits.push(Waits::Settles(until));
            return;
        }
        if !settings.is_empty() {
            plan.changes.extend(settings.into_iter().map(|it| Change::DeleteSetting(it.id.clone())));
            return;
        }
        let at_twilio = self.there.keys.iter().filter(|it| {
            self.mark_of(it) == Some(&*key.mark) || key.key.as_ref().is_some_and(|of| of.id == it.id)
        });
        let deleted: Vec<_> = at_twilio.map(|it| Change::DeleteKey(it.id.clone())).collect();
        if deleted.is_empty() {
            plan.changes.push(Change::Forget(key.clone()));
        }
        plan.changes.extend(deleted);
    }

    /// What is ours and nobody knows of: left over from a store that was brought back from a backup, or made anew by somebody.
    fn sweep(&self, plan: &mut Plan) {
        let is_known = |id: &str| self.keys.iter().any(|it| it.key.as_ref().is_some_and(|key| key.id == id));
        let kept: Vec<_> = self.keys.iter().filter_map(|key| self.setting_of(key)).map(|it| &it.id).collect();
        for setting in self.our_settings().filter(|it| !kept.contains(&&it.id) && !self.is_named(it)) {
            let id = setting.signature.as_ref().and_then(|it| it.shared_key_id.as_deref());
            // Those of a key that retires are its own.
            let is_retiring = self
                .keys
                .iter()
                .any(|key| key.step == SharedKeyStep::Retiring && key.key.as_ref().map(|it| &*it.id) == id);
            if !is_retiring {
                plan.changes.push(Change::DeleteSetting(setting.id.clone()));
            }
        }
        for key in &self.there.keys {
            let Some(mark) = self.mark_of(key) else { continue };
            let is_named =
                self.there.settings.iter().any(|it| {
                    it.signature.as_ref().and_then(|it| it.shared_key_id.as_deref()) == Some(&*key.id)
                });
            if !is_known(&key.id) && !is_named && self.keys.iter().all(|it| it.mark != mark) {
                plan.changes.push(Change::DeleteKey(key.id.clone()));
            }
        }
    }

    fn has_key(&self, key: &SharedKey) -> bool {
        let is_there = |of: &KeyOfTwilio| self.there.keys.iter().any(|there| there.id == of.id);
        // What was read at Twilio may be older than a key that was just made.
        self.now.duration_since(key.since) < ON_ITS_WAY || key.key.as_ref().is_some_and(is_there)
    }

    /// Our setting that signs with this key, as it should.
    fn setting_of(&self, key: &SharedKey) -> Option<&WebhookSetting> {
        self.our_settings().find(|setting| {
            let algorithm = setting.signature.as_ref().and_then(|it| it.algorithm.as_deref());
            names(setting, key.key.as_ref()) && algorithm == Some(ALGORITHM)
        })
    }

    fn our_settings(&self) -> impl Iterator<Item = &WebhookSetting> {
        self.there.settings.iter().filter(|it| self.is_ours(it.friendly_name.as_deref()))
    }

    fn our_rules(&self) -> impl Iterator<Item = &WebhookRule> {
        self.there.rules.iter().filter(|it| self.is_ours(it.friendly_name.as_deref()))
    }

    /// A rule of ours is known by its name: Twilio may write its URL otherwise than it was given.
    fn is_rule_of(&self, rule: &WebhookRule, matches: &RuleMatch) -> bool {
        rule.friendly_name.as_deref() == Some(&*rule_name(self.mark, matches))
    }

    fn is_named(&self, setting: &WebhookSetting) -> bool {
        self.there.rules.iter().any(|rule| rule.settings.iter().any(|it| it.setting_id == setting.id))
    }

    fn is_ours(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.mark.what_of(name).is_some())
    }

    fn mark_of<'k>(&self, key: &'k wire::SharedKey) -> Option<&'k str> {
        self.mark.what_of(key.friendly_name.as_deref()?)
    }

    fn foreign(&self) -> usize {
        let AtTwilio { keys, settings, rules } = self.there;
        let names = keys.iter().map(|it| &it.friendly_name);
        let names = names.chain(settings.iter().map(|it| &it.friendly_name));
        let names = names.chain(rules.iter().map(|it| &it.friendly_name));
        names.filter(|name| !self.is_ours(name.as_deref())).count()
    }
}

/// The name of the rule for these URLs.
pub(super) fn rule_name(mark: &Mark, matches: &RuleMatch) -> String {
    let (kind, url) = match matches {
        RuleMatch::Exact(url) => ("exact", url.as_str()),
        RuleMatch::Prefix(url) => ("prefix", url.as_str()),
        RuleMatch::Default => ("default", ""),
    };
    mark.name(&format!("rule {:08x}", fingerprint(&format!("{kind} {url}"))))
}

/// Whether Twilio shows the URLs of a rule as they were given, or writes the same ones otherwise (RFC 3986, section 6.2): the
/// scheme and the host in other letters, a port that goes without saying, no path at all, escapes in small letters.
fn is_same(shown: &RuleMatch, given: &RuleMatch) -> bool {
    match (shown, given) {
        (RuleMatch::Exact(shown), RuleMatch::Exact(given))
        | (RuleMatch::Prefix(shown), RuleMatch::Prefix(given)) => normal(shown) == normal(given),
        (shown, given) => shown == given,
    }
}

fn normal(url: &str) -> String {
    let Some((scheme, rest)) = url.trim().split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(port).unwrap_or(&authority);
    let mut normal = format!("{scheme}://{authority}{}", if path.starts_with('/') { "" } else { "/" });
    let mut escape: u8 = 0;
    for character in path.chars() {
        escape = if character == '%' { 3 } else { escape };
        normal.push(if escape > 0 { character.to_ascii_uppercase() } else { character });
        escape = escape.saturating_sub(1);
    }
    normal
}

/// The rule of these URLs, if Twilio shows it with others. What cannot be read is not taken for edited.
fn edited(rule: &WebhookRule, matches: &RuleMatch) -> Option<Edited> {
    let is_for = rule.matches().filter(|shown| !is_same(shown, matches))?;
    Some(Edited { rule: rule.id.clone(), matches: matches.clone(), is_for })
}

fn names(setting: &WebhookSetting, key: Option<&KeyOfTwilio>) -> bool {
    let id = setting.signature.as_ref().and_then(|it| it.shared_key_id.as_deref());
    key.is_some_and(|key| id == Some(&*key.id))
}

fn deleted(rule: &WebhookRule) -> Change {
    Change::DeleteRule { rule: rule.id.clone(), matches: rule.matches() }
}

#[cfg(test)]
mod tests;
