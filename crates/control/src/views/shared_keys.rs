//! SharedKeys that sign accounts' webhooks: how far each is, and what differs from the configuration at Twilio. No secret of a
//! key is among it, but of the one that is to be shown.

use jiff::Timestamp;
use ringfence_model::Secret;
use ringfence_store::{SharedKey, SharedKeyStep};
use ringfence_twilio::wire::RuleMatch;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Known, NamedAccount, Views, schema};
use crate::rotation::{LateNode, behind};
use crate::shared_keys::{Brought, Change, Waits, url_of};

/// The keys that Ringfence made and that are not gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedKeys {
    /// By account, the oldest first.
    pub shared_keys: Vec<SharedKeyView>,
}

/// A SharedKey. Its secret is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SharedKey")]
pub struct SharedKeyView {
    /// Whose webhooks it signs.
    pub account: NamedAccount,
    /// What requests name it by; null until Twilio has given it out.
    pub id: Option<String>,
    /// How far it is.
    pub state: SharedKeyState,
    /// Whether it waits before it signs, until an operator lets it go on.
    pub held: bool,
    /// When it was asked for.
    #[schemars(schema_with = "schema::time")]
    pub begun_at: Timestamp,
    /// Since when it is so far.
    #[schemars(schema_with = "schema::time")]
    pub since: Timestamp,
    /// Nodes that have not said yet that they verify with it; of a key that signs or will.
    #[serde(default)]
    pub late_nodes: Vec<String>,
}

/// How far a SharedKey is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SharedKeyState {
    /// It was asked for.
    Asked,
    /// It is there, and nodes verify with it.
    Made,
    /// Rules at Twilio name it.
    Signing,
    /// No rule names it any more; it still counts at the gate.
    Retiring,
}

/// A SharedKey with its secret, for a gate that has no store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShownSharedKey {
    /// What requests name it by.
    pub id: String,
    /// What it signs with.
    #[serde(serialize_with = "exposed", deserialize_with = "hidden")]
    #[schemars(with = "String")]
    pub secret: Secret,
}

fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// What SharedKeys and their rules at Twilio want, or what was done about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedKeyPlan {
    /// Whether the changes were made.
    pub applied: bool,
    /// Each account that is concerned.
    pub accounts: Vec<SharedKeyPlanOf>,
}

/// The same of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedKeyPlanOf {
    /// Which.
    pub account: NamedAccount,
    /// What changes, or was changed, in this order.
    pub changes: Vec<SharedKeyChange>,
    /// What has to wait.
    pub waits: Vec<SharedKeyWait>,
    /// Rules that others made for URLs of the configuration, or for a part of them: they are left alone.
    pub in_the_way: Vec<OtherRule>,
    /// Rules of Ringfence's that Twilio shows with another URL than they were made for, and has for these all the same: they
    /// are left alone.
    #[serde(default)]
    pub edited: Vec<OtherRule>,
    /// How many keys, settings and rules of others there are.
    pub foreign: usize,
    /// Why it came no further.
    pub trouble: Option<String>,
    /// Whether Twilio refused it for good.
    pub is_refused: bool,
}

/// A change at Twilio, or of what nodes verify with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedKeyChange {
    /// Which.
    pub change: SharedKeyChangeName,
    /// The URLs of a rule, or what is deleted.
    pub about: Option<String>,
    /// The same in words: `a rule for https://hooks.example.com/sms`.
    pub words: String,
}

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SharedKeyChangeName {
    /// A key is asked for.
    CreateKey,
    /// A setting that signs with it.
    CreateSetting,
    /// A rule for URLs that have none.
    CreateRule,
    /// A rule whose URLs somebody edited is made again.
    MendRule,
    /// A rule names something else.
    PointRule,
    /// The key signs from now on.
    Signs,
    /// A rule is deleted.
    DeleteRule,
    /// A key signs no more.
    Retire,
    /// A setting is deleted.
    DeleteSetting,
    /// A key is deleted.
    DeleteKey,
    /// Nodes verify with it no more.
    Forget,
}

/// What has to wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedKeyWait {
    /// For what.
    #[serde(rename = "for")]
    pub waits_for: SharedKeyWaitName,
    /// Until when; null where nobody knows.
    #[schemars(schema_with = "schema::maybe_time")]
    pub until: Option<Timestamp>,
    /// The nodes that it waits for.
    pub nodes: Vec<WaitedNode>,
    /// Why, in words: `until it has got everywhere at Twilio`.
    pub words: String,
}

/// A node that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitedNode {
    /// Its name.
    pub name: String,
    /// When it last gave a sign.
    #[schemars(schema_with = "schema::time")]
    pub seen_at: Timestamp,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SharedKeyWaitName {
    /// Nodes that have not said that they verify with the key.
    Nodes,
    /// Whoever asked for it to be held.
    Operator,
    /// It has not surely got everywhere at Twilio.
    Spreads,
    /// A request for a key may still arrive.
    Answer,
    /// Requests may come that the old key signed.
    Settles,
    /// A rule was made again, and the one that was edited goes when the new one has got everywhere.
    Mended,
}

/// A rule at Twilio that is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OtherRule {
    /// Its id.
    pub rule: String,
    /// The URLs of the configuration that it stands for; a prefix ends with `…`.
    pub url: String,
    /// Its URLs at Twilio, where they are others.
    pub is_for: Option<String>,
}

impl Views<'_> {
    /// The keys that Ringfence made.
    pub async fn shared_keys(&self) -> ringfence_store::Result<SharedKeys> {
        let (keys, nodes) = (self.store.shared_keys().await?, self.store.nodes().await?);
        let known = Known::read(self.store).await?;
        let late = |key: &SharedKey| match key.step {
            SharedKeyStep::Made | SharedKeyStep::Signing => behind(key.generation, &nodes),
            SharedKeyStep::Asked | SharedKeyStep::Retiring => Vec::new(),
        };
        let shared_keys = keys.iter().map(|key| SharedKeyView {
            account: known.name(key.account),
            id: key.key.as_ref().map(|of| of.id.clone()),
            state: match key.step {
                SharedKeyStep::Asked => SharedKeyState::Asked,
                SharedKeyStep::Made => SharedKeyState::Made,
                SharedKeyStep::Signing => SharedKeyState::Signing,
                SharedKeyStep::Retiring => SharedKeyState::Retiring,
            },
            held: key.held,
            begun_at: key.begun_at,
            since: key.since,
            late_nodes: late(key).into_iter().map(|node| node.name).collect(),
        });
        Ok(SharedKeys { shared_keys: shared_keys.collect() })
    }

    /// What was compared with Twilio, or done there.
    pub async fn shared_key_plan(
        &self,
        brought: &[Brought],
        applied: bool,
    ) -> ringfence_store::Result<SharedKeyPlan> {
        let known = Known::read(self.store).await?;
        let accounts = brought.iter().map(|it| SharedKeyPlanOf::of(it, known.name(it.account)));
        Ok(SharedKeyPlan { applied, accounts: accounts.collect() })
    }
}

impl SharedKeyPlanOf {
    fn of(it: &Brought, account: NamedAccount) -> Self {
        let others = it.left.in_the_way.iter();
        let edited = it.left.edited.iter();
        Self {
            account,
            changes: it.changes.iter().map(SharedKeyChange::of).collect(),
            waits: it.left.waits.iter().map(SharedKeyWait::of).collect(),
            in_the_way: others
                .map(|other| OtherRule { rule: other.rule.clone(), url: url(&other.matches), is_for: None })
                .collect(),
            edited: edited
                .map(|it| OtherRule {
                    rule: it.rule.clone(),
                    url: url(&it.matches),
                    is_for: Some(url(&it.is_for)),
                })
                .collect(),
            foreign: it.left.foreign,
            trouble: it.trouble.as_ref().map(ToString::to_string),
            is_refused: it.trouble.as_ref().is_some_and(|trouble| trouble.is_refusal()),
        }
    }

    /// Whether everything is as the configuration wants it, and nothing is under way.
    pub fn is_at_rest(&self) -> bool {
        self.changes.is_empty() && self.waits.is_empty() && self.trouble.is_none() && !self.is_blocked()
    }

    /// Whether somebody has to do something at Twilio.
    pub fn is_blocked(&self) -> bool {
        !self.in_the_way.is_empty() || !self.edited.is_empty()
    }
}

impl SharedKeyChange {
    fn of(change: &Change) -> Self {
        use SharedKeyChangeName as Name;
        let of_rule = |name, matches: &RuleMatch, words: String| (name, Some(url(matches)), words);
        let (change, about, words) = match change {
            Change::CreateKey { why, .. } => (Name::CreateKey, None, format!("a key, as {why}")),
            Change::CreateSetting(_) => {
                (Name::CreateSetting, None, "a setting that signs with it".to_owned())
            }
            Change::CreateRule { matches, .. } => {
                of_rule(Name::CreateRule, matches, format!("a rule for {}", url(matches)))
            }
            Change::MendRule { edited, .. } => {
                let (url, is_for) = (url(&edited.matches), url(&edited.is_for));
                let words = format!("a rule for {url}, as somebody has {} be for {is_for}", edited.rule);
                of_rule(Name::MendRule, &edited.matches, words)
            }
            Change::PointRule { matches, .. } => {
                of_rule(Name::PointRule, matches, format!("the rule for {} names it", url(matches)))
            }
            Change::Signs(_) => (Name::Signs, None, "it signs; the one before retires".to_owned()),
            Change::DeleteRule { matches, .. } => {
                let about = matches.as_ref().map(url);
                let words = format!("the rule for {}", about.as_deref().unwrap_or("?"));
                (Name::DeleteRule, about, words)
            }
            Change::Retire { why, .. } => (Name::Retire, None, format!("a key retires, as {why}")),
            Change::DeleteSetting(id) => (Name::DeleteSetting, Some(id.clone()), format!("the setting {id}")),
            Change::DeleteKey(id) => (Name::DeleteKey, Some(id.clone()), format!("the key {id}")),
            Change::Forget(_) => (Name::Forget, None, "nodes forget it".to_owned()),
        };
        Self { change, about, words }
    }

    /// `+` is made, `~` is another one from now on, `-` is gone.
    pub const fn sign(&self) -> char {
        use SharedKeyChangeName as Name;
        match self.change {
            Name::CreateKey | Name::CreateSetting | Name::CreateRule | Name::MendRule => '+',
            Name::PointRule | Name::Signs => '~',
            Name::DeleteRule | Name::Retire | Name::DeleteSetting | Name::DeleteKey | Name::Forget => '-',
        }
    }
}

impl SharedKeyWait {
    fn of(waits: &Waits) -> Self {
        use SharedKeyWaitName as Name;
        let node = |node: &LateNode| WaitedNode { name: node.name.clone(), seen_at: node.seen_at };
        let (waits_for, words) = match waits {
            Waits::Nodes(_) => (Name::Nodes, "until every node verifies with it"),
            Waits::Operator => (Name::Operator, "it is held until somebody lets it go on"),
            Waits::Spreads(_) => (Name::Spreads, "until it has got everywhere at Twilio"),
            Waits::Answer(_) => (Name::Answer, "as a request for a key may still arrive"),
            Waits::Settles(_) => (Name::Settles, "as requests may come that the old key signed"),
            Waits::Mended => {
                (Name::Mended, "until the rule that was made again has got everywhere at Twilio")
            }
        };
        let nodes = match waits {
            Waits::Nodes(late) => late.iter().map(node).collect(),
            _ => Vec::new(),
        };
        Self { waits_for, until: waits.until(), nodes, words: words.to_owned() }
    }
}

/// The URLs of a rule, for people.
fn url(matches: &RuleMatch) -> String {
    let url = url_of(matches);
    if matches!(matches, RuleMatch::Prefix(_)) { format!("{url}…") } else { url.to_owned() }
}
