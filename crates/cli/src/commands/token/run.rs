//! One run of `ringfence token`: step after step, until it ends or has waited long enough.

use std::time::Duration;

use jiff::Timestamp;
use ringfence_control::engine::Engine;
use ringfence_control::rotation::{NotRotated, Turn, Waiting};
use ringfence_model::Sid;
use ringfence_store::{RotatedToken, RotationEnd};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::act::with_name;
use super::super::paper;
use super::super::with_engine::Installation;
use super::text;

/// How often it looks whether it can go on.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait before Twilio is asked again.
const AGAIN: Duration = Duration::from_secs(3);

/// A node at work looks every second, so what it has not forgotten by then it will not forget by itself. It is waited for
/// also where the time to wait was spent on a request that did not come.
const FORGET: Duration = Duration::from_secs(10);

/// How a run came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Ended(RotationEnd),
    /// Nodes that still use what was forgotten, or taken back.
    EndedBut(RotationEnd, Vec<String>),
    Waits(Waiting),
}

/// One run of the command, which tells what happens as it does.
pub(super) struct Run<'a> {
    pub(super) installation: &'a Installation,
    engine: &'a Engine,
    pub(super) account: Sid,
    pub(super) name: String,
    until: Instant,
    told: Option<String>,
    /// Whether it has done a step, or waited for one.
    has_begun: bool,
    /// When the token in use was promoted, as it was before this run began.
    promoted_before: Option<Timestamp>,
    /// Whether this run has seen the promotion.
    is_promoted: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        installation: &'a Installation,
        engine: &'a Engine,
        account: Sid,
        name: &str,
        wait: Duration,
    ) -> Self {
        let name = with_name(account, name);
        Self {
            installation,
            engine,
            account,
            name,
            until: Instant::now() + wait,
            told: None,
            has_begun: false,
            promoted_before: None,
            is_promoted: false,
        }
    }

    /// Takes one step after the other, as long as it may wait.
    pub(super) async fn go_on(
        &mut self,
        mut step: impl AsyncFnMut() -> Result<Turn, NotRotated>,
    ) -> Result<End, NotRotated> {
        loop {
            if let Some(end) = self.ended_elsewhere().await? {
                return self.ended(end).await;
            }
            let done = step().await;
            if let Ok(turn) = &done {
                self.has_begun = true;
                let waits_for_request = |turn: &Turn| {
                    matches!(turn, Turn::Waits(Waiting::Request { .. } | Waiting::OldToken { .. }))
                };
                self.is_promoted |= *turn == Turn::Promoted || waits_for_request(turn);
            }
            let pause = match done {
                Ok(Turn::Ended(end)) => return self.ended(end).await,
                // Nothing that this command waits for would change it.
                Ok(Turn::Waits(Waiting::Operator)) => return Ok(End::Waits(Waiting::Operator)),
                Ok(Turn::Waits(waiting)) if Instant::now() >= self.until => return Ok(End::Waits(waiting)),
                Ok(turn) => {
                    self.tell(text::turn(&turn, self.installation.now));
                    if matches!(turn, Turn::Waits(_)) { LOOK } else { Duration::ZERO }
                }
                Err(error) if error.may_pass() && Instant::now() < self.until => {
                    self.tell(format!("{error}; it is tried again"));
                    AGAIN
                }
                // It has ended between two looks.
                Err(NotRotated::Recent { .. } | NotRotated::NotUnderWay(_)) if self.has_begun => LOOK,
                Err(error) => return Err(error),
            };
            sleep(pause).await;
        }
    }

    /// How it ended, if somebody else has ended what this run carried on: `serve` does, once a request was seen, and so may the
    /// same command at another terminal.
    async fn ended_elsewhere(&mut self) -> Result<Option<RotationEnd>, NotRotated> {
        let store = &self.installation.store;
        if self.has_begun && store.rotation(self.account).await?.is_some() {
            return Ok(None);
        }
        let rotated = store.rotated_tokens().await?;
        let last = rotated.iter().find(|it| it.account == self.account);
        if !self.has_begun {
            self.promoted_before = last.map(|it| it.promoted_at);
            return Ok(None);
        }
        let is_promoted = self.is_promoted || last.map(|it| it.promoted_at) != self.promoted_before;
        Ok(Some(how_it_ended(is_promoted, last)))
    }

    /// Waits until no node uses any more what was forgotten.
    async fn ended(&mut self, end: RotationEnd) -> Result<End, NotRotated> {
        let until = self.until.max(Instant::now() + FORGET);
        loop {
            let late = self.engine.late_nodes(self.account).await?;
            let names: Vec<String> = late.into_iter().map(|node| node.name).collect();
            if names.is_empty() {
                return Ok(End::Ended(end));
            }
            if Instant::now() >= until {
                return Ok(End::EndedBut(end, names));
            }
            self.tell(format!("waits until the other token is forgotten by {}", names.join(", ")));
            sleep(LOOK).await;
        }
    }

    /// Says what is new, on standard error.
    fn tell(&mut self, text: String) {
        if self.told.as_ref() != Some(&text) {
            paper::note(&text);
            self.told = Some(text);
        }
    }
}

fn how_it_ended(is_promoted: bool, last: Option<&RotatedToken>) -> RotationEnd {
    match (is_promoted, last.and_then(|it| it.confirmed_at)) {
        (false, _) => RotationEnd::Undone,
        (true, Some(_)) => RotationEnd::Confirmed,
        (true, None) => RotationEnd::Unconfirmed,
    }
}

impl End {
    pub(super) fn as_json(&self) -> Value {
        match self {
            Self::Ended(end) => json!({ "state": text::word(*end) }),
            Self::EndedBut(end, nodes) => json!({ "state": text::word(*end), "late_nodes": nodes }),
            Self::Waits(waiting) => json!({ "state": "waiting", "for": text::waiting_word(waiting) }),
        }
    }
}
