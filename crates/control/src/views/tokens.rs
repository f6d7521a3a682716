//! Auth tokens that are being replaced, or were.

use jiff::Timestamp;
use ringfence_store::{RotatedToken, Rotation, RotationEnd, RotationStep};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, NamedAccount, Views, schema};
use crate::rotation::{self, Turn, Waiting};

/// An account whose auth token is being replaced, or was. No token is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Token")]
pub struct TokenView {
    /// Whose it is.
    pub account: NamedAccount,
    /// How far it is.
    pub state: TokenState,
    /// Since when it is so far.
    #[schemars(schema_with = "schema::time")]
    pub since: Timestamp,
    /// When a gate last saw a request that the new token signed; null where none was seen, or nobody looks any more.
    #[schemars(schema_with = "schema::maybe_time")]
    pub seen_new_at: Option<Timestamp>,
    /// The same of the old token, since the promotion.
    #[schemars(schema_with = "schema::maybe_time")]
    pub seen_old_at: Option<Timestamp>,
    /// Whether a request was seen that the new token signed, before the old one was forgotten.
    pub confirmed: bool,
    /// Nodes that have not said yet that they use what is to be used.
    pub late_nodes: Vec<String>,
    /// Whether this node's configuration has a token that was replaced, so that it is to be updated.
    pub configuration_outdated: bool,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// By account.
    pub tokens: Vec<TokenView>,
}

/// What a step of replacing a token, or of taking it back, came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Turn")]
pub struct TurnView {
    /// What was done.
    pub turn: TurnName,
    /// What it waits for, where it waits.
    pub waits_for: Option<WaitName>,
    /// The nodes that it waits for.
    pub late_nodes: Vec<String>,
    /// How it ended, where it has.
    pub end: Option<EndName>,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TurnName {
    /// A second token is there.
    Made,
    /// The second token was deleted by somebody else; the next step makes another one.
    Lost,
    /// The second token is the only one.
    Promoted,
    /// Nodes go back to the old token.
    Undoing,
    /// It cannot go on yet.
    Waits,
    /// It has ended.
    Ended,
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaitName {
    /// Nodes that have not said that they use the token.
    Nodes,
    /// Whoever asked for it to be held.
    Operator,
    /// A request that the new token signed.
    Request,
    /// Requests that the old token signed come still.
    OldToken,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndName {
    /// A request was seen that the new token signed.
    Confirmed,
    /// Nobody waited for one.
    Unconfirmed,
    /// It was taken back.
    Undone,
    /// It was taken back, and a second token is left that may be somebody else's.
    SecondLeft,
    /// Somebody else has replaced both tokens.
    Superseded,
}

impl TurnView {
    /// What a turn looks like from outside.
    pub fn of(turn: &Turn) -> Self {
        let mut view = Self { turn: TurnName::Waits, waits_for: None, late_nodes: Vec::new(), end: None };
        view.turn = match turn {
            Turn::Made => TurnName::Made,
            Turn::Lost => TurnName::Lost,
            Turn::Promoted => TurnName::Promoted,
            Turn::Undoing => TurnName::Undoing,
            Turn::Waits(waiting) => {
                view.waits_for = Some(match waiting {
                    Waiting::Nodes(late) => {
                        view.late_nodes = late.iter().map(|node| node.name.clone()).collect();
                        WaitName::Nodes
                    }
                    Waiting::Operator => WaitName::Operator,
                    Waiting::Request { .. } => WaitName::Request,
                    Waiting::OldToken { .. } => WaitName::OldToken,
                });
                TurnName::Waits
            }
            Turn::Ended(end) => {
                view.end = Some(match end {
                    RotationEnd::Confirmed => EndName::Confirmed,
                    RotationEnd::Unconfirmed => EndName::Unconfirmed,
                    RotationEnd::Undone => EndName::Undone,
                    RotationEnd::SecondLeft => EndName::SecondLeft,
                    RotationEnd::Superseded => EndName::Superseded,
                });
                TurnName::Ended
            }
        };
        view
    }
}

/// How far the replacing of a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    /// A second one was asked for.
    Asked,
    /// It is there.
    Made,
    /// Its promotion was asked for.
    Promoting,
    /// It is the only one at Twilio; the old one still counts at the gate.
    Promoted,
    /// It is being taken back.
    Undoing,
    /// The old one is forgotten.
    Replaced,
}

impl TokenView {
    /// Whether somebody has to do something about it.
    pub fn needs_a_person(&self) -> bool {
        self.state != TokenState::Replaced || self.configuration_outdated
    }
}

impl Views<'_> {
    /// The tokens that are being replaced, and those that were, by account.
    pub async fn tokens(&self) -> ringfence_store::Result<Vec<TokenView>> {
        self.tokens_of(&Known::read(self.store).await?).await
    }

    pub(super) async fn tokens_of(&self, known: &Known) -> ringfence_store::Result<Vec<TokenView>> {
        let (rotations, rotated) = (self.store.rotations().await?, self.store.rotated_tokens().await?);
        if rotations.is_empty() && rotated.is_empty() {
            return Ok(Vec::new());
        }
        let outdated = match self.clients {
            Some(clients) => rotation::in_use(self.store, clients).await?.outdated,
            None => Vec::new(),
        };
        let nodes = self.store.nodes().await?;
        let late =
            |generation| rotation::behind(generation, &nodes).into_iter().map(|node| node.name).collect();
        let under_way = rotations.iter().map(|it| TokenView {
            late_nodes: if matches!(it.step, RotationStep::Asked { .. }) {
                Vec::new()
            } else {
                late(it.generation)
            },
            ..of_rotation(it, known)
        });
        let ended = rotated.iter().filter(|it| rotations.iter().all(|other| other.account != it.account));
        let ended = ended.map(|it| TokenView { late_nodes: late(it.generation), ..of_rotated(it, known) });
        let mut views: Vec<_> = under_way.chain(ended).collect();
        for view in &mut views {
            view.configuration_outdated = outdated.contains(&view.account.sid);
        }
        views.sort_by_key(|view| view.account.sid);
        Ok(views)
    }
}

fn of_rotation(rotation: &Rotation, known: &Known) -> TokenView {
    let (state, seen) = match &rotation.step {
        RotationStep::Asked { .. } => (TokenState::Asked, None),
        RotationStep::Made { .. } => (TokenState::Made, None),
        RotationStep::Promoting { .. } => (TokenState::Promoting, None),
        RotationStep::Promoted { seen, .. } => (TokenState::Promoted, Some(*seen)),
        RotationStep::Undoing { .. } => (TokenState::Undoing, None),
    };
    TokenView {
        account: known.name(rotation.account),
        state,
        since: rotation.since,
        seen_new_at: seen.and_then(|seen| seen.new),
        seen_old_at: seen.and_then(|seen| seen.old),
        confirmed: false,
        late_nodes: Vec::new(),
        configuration_outdated: false,
    }
}

fn of_rotated(rotated: &RotatedToken, known: &Known) -> TokenView {
    TokenView {
        account: known.name(rotated.account),
        state: TokenState::Replaced,
        since: rotated.promoted_at,
        seen_new_at: None,
        seen_old_at: None,
        confirmed: rotated.confirmed_at.is_some(),
        late_nodes: Vec::new(),
        configuration_outdated: false,
    }
}
