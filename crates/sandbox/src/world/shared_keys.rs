//! SharedKeys of the Webhooks configuration API: keys of an account's own that sign its webhooks in place of the auth
//! token. Experimental: Twilio's API is a beta, and its OpenAPI document is not among those that this was built from.
//!
//! A key is named by a setting, and a rule says which URLs a setting is for. The rule that counts is the longest
//! exact one, then the longest prefix, then the default; of two settings of a rule the webhooks get each in the
//! proportion that the rule says, so two keys can be live at once.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;
use ringfence_signature::{Algorithm, Signer};

use super::World;
use crate::ids::{mix, number_of};

/// How many of each an account may have.
pub(crate) const EACH_MAX: usize = 50;

/// All of it, by account.
#[derive(Debug, Default)]
pub(crate) struct SharedKeys {
    pub(crate) keys: Vec<SharedKey>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) rules: Vec<Rule>,
    /// Changes of rules, the oldest first.
    pub(crate) changes: Vec<RuleChange>,
    /// How many webhooks rules have been asked about; it deals out the proportions.
    asked: u64,
}

/// A key.
#[derive(Debug, Clone)]
pub(crate) struct SharedKey {
    pub(crate) id: String,
    pub(crate) account: Sid,
    pub(crate) friendly_name: String,
    pub(crate) secret: String,
    pub(crate) created: Timestamp,
}

/// How webhooks are signed.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) id: String,
    pub(crate) account: Sid,
    pub(crate) friendly_name: String,
    pub(crate) key_id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) created: Timestamp,
}

/// Which URLs settings are for.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) account: Sid,
    pub(crate) friendly_name: String,
    pub(crate) matches: Match,
    /// One or two, with their percentages.
    pub(crate) settings: Vec<(String, u64)>,
    /// It counts from this time on: a change takes a while to get everywhere.
    pub(crate) from: Timestamp,
    /// It was deleted or changed, and counts until then; nobody is shown it any more.
    pub(crate) until: Option<Timestamp>,
    pub(crate) created: Timestamp,
}

/// A change of a rule, which gets everywhere by and by.
#[derive(Debug, Clone)]
pub(crate) struct RuleChange {
    pub(crate) id: String,
    pub(crate) account: Sid,
    pub(crate) rule: String,
    pub(crate) counts_from: Timestamp,
    pub(crate) created: Timestamp,
}

/// So many are told.
const CHANGES_MAX: usize = 500;

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    Exact(String),
    Prefix(String),
    Default,
}

impl Match {
    /// How strongly it fits a URL; `None`: not at all.
    fn weight(&self, url: &str) -> Option<(u8, usize)> {
        match self {
            Self::Exact(text) => (text == url).then_some((2, text.len())),
            Self::Prefix(text) => url.starts_with(text.as_str()).then_some((1, text.len())),
            Self::Default => Some((0, 0)),
        }
    }
}

impl Rule {
    fn counts_at(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

impl SharedKeys {
    /// The rules of an account, newest first, without deleted ones.
    pub(crate) fn rules_of(&self, account: Sid) -> impl Iterator<Item = &Rule> {
        self.rules.iter().rev().filter(move |rule| rule.account == account && rule.until.is_none())
    }
}

/// Makes a rule; it counts when the change has got everywhere.
pub(crate) fn add_rule(
    world: &mut World,
    account: Sid,
    friendly_name: String,
    matches: Match,
    settings: Vec<(String, u64)>,
) -> RuleChange {
    let id = new_id(world, "rule");
    let (from, created) = (spread_at(world), world.now);
    let rule = Rule { id: id.clone(), account, friendly_name, matches, settings, from, until: None, created };
    world.shared_keys.rules.push(rule);
    changed(world, account, id)
}

/// Has a rule name other settings; it names those before until the change has got everywhere. `None`: it is not there.
pub(crate) fn change_rule(
    world: &mut World,
    account: Sid,
    id: &str,
    settings: Vec<(String, u64)>,
) -> Option<RuleChange> {
    let from = spread_at(world);
    let rule = shown_rule(world, account, id)?;
    rule.until = Some(from);
    let rule = Rule { settings, from, until: None, ..rule.clone() };
    let id = rule.id.clone();
    world.shared_keys.rules.push(rule);
    Some(changed(world, account, id))
}

/// Deletes a rule; it counts until the change has got everywhere. `None`: it is not there.
pub(crate) fn remove_rule(world: &mut World, account: Sid, id: &str) -> Option<RuleChange> {
    let until = spread_at(world);
    let rule = shown_rule(world, account, id)?;
    rule.until = Some(until);
    let id = rule.id.clone();
    Some(changed(world, account, id))
}

fn shown_rule<'w>(world: &'w mut World, account: Sid, id: &str) -> Option<&'w mut Rule> {
    let mut rules = world.shared_keys.rules.iter_mut();
    rules.find(|it| it.account == account && it.id == id && it.until.is_none())
}

fn changed(world: &mut World, account: Sid, rule: String) -> RuleChange {
    forget_rules(world);
    let id = new_id(world, "operation");
    let change = RuleChange { id, account, rule, counts_from: spread_at(world), created: world.now };
    let changes = &mut world.shared_keys.changes;
    changes.push(change.clone());
    if changes.len() > CHANGES_MAX {
        changes.remove(0);
    }
    world.touch();
    change
}

/// Whether a rule names this setting, and be it a deleted one that still counts.
pub(crate) fn is_in_use(world: &World, account: Sid, setting: &str) -> bool {
    let gone = |rule: &Rule| rule.until.is_some_and(|until| until <= world.now);
    let mut rules = world.shared_keys.rules.iter().filter(|rule| rule.account == account && !gone(rule));
    rules.any(|rule| rule.settings.iter().any(|(id, _)| id == setting))
}

/// When a change of now has got everywhere.
fn spread_at(world: &World) -> Timestamp {
    let delay = i64::try_from(world.settings.shared_key_delay_s).unwrap_or(i64::MAX);
    world.now.checked_add(SignedDuration::from_secs(delay)).unwrap_or(Timestamp::MAX)
}

/// Drops what was deleted and counts no more.
fn forget_rules(world: &mut World) {
    let now = world.now;
    world.shared_keys.rules.retain(|rule| rule.until.is_none_or(|until| now < until));
}

/// A name as this API has them: what it is and 26 letters and digits.
pub(crate) fn new_id(world: &mut World, kind: &str) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let number = number_of(world.ids.sid(*b"WK"));
    let letter = |place: u32| char::from(LETTERS[((number >> (place * 5)) & 31) as usize]);
    let letters: String = (0..26).rev().map(|place| if place == 25 { '0' } else { letter(place) }).collect();
    format!("webhooks_{kind}_{letters}")
}

/// The SharedKey that signs what goes to this URL, if a rule of the account says so.
pub(crate) fn signer(world: &World, account: Sid, url: &str) -> Option<Signer> {
    let shared = &world.shared_keys;
    let rule = shared
        .rules
        .iter()
        .filter(|rule| rule.account == account && rule.counts_at(world.now))
        .filter_map(|rule| Some((rule.matches.weight(url)?, rule)))
        .max_by_key(|(weight, _)| *weight)
        .map(|(_, rule)| rule)?;
    let mut at = mix(shared.asked) % 100;
    let (setting, _) = rule.settings.iter().find(|(_, percent)| {
        let hit = at < *percent;
        at = at.saturating_sub(*percent);
        hit
    })?;
    let setting = shared.settings.iter().find(|it| it.id == *setting)?;
    let key = shared.keys.iter().find(|it| it.id == setting.key_id)?;
    Some(Signer::shared_key(&key.id, &key.secret, setting.algorithm))
}

/// A webhook was signed: the next one of a divided rule may get the other key.
pub(crate) fn count(world: &mut World) {
    world.shared_keys.asked = world.shared_keys.asked.wrapping_add(1);
}
