//! What was ordered is performed, each kind for itself: a mail server that hangs holds back no suspension.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Actor;
use ringfence_store::{Claim, Effect, Life, NewEffect, Result, Sent};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Engine;
use super::orders::{Carried, NotCarried};
use super::set_aside::SetAside;
use crate::decide::{Order, kind, told};
use crate::effects::NotDone;
use crate::notices::{Attempt, Destination, Event, Letter, Notice, Outcome, Text, Unsent};
use crate::second_factor::CodeEnd;

/// A claim lasts so long. It ends with the node that holds it, so it is as long as Twilio's client may ever take.
const CLAIM: SignedDuration = SignedDuration::from_mins(10);

/// An order at Twilio waits at most so long for its next try.
const TRY_AGAIN_AT_MOST: i64 = 60;

/// What Twilio refuses for good is asked for again only as often: the credentials may be mended meanwhile.
const REFUSED_AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// A delivery waits at most so long for its next try.
const DELIVER_AGAIN_AT_MOST: i64 = 15 * 60;

/// A notice that reached nobody in this time is given up; the audit log and `status` still have what it told.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A letter about somebody's sign-in that could not be mailed in this time says nothing new any more.
const POSTED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// What one turn of the outbox did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Worked {
    /// Done, or nothing to do any more.
    pub done: usize,
    /// To be tried again.
    pub failed: usize,
}

/// One notice for one recipient.
#[derive(Debug, Serialize, Deserialize)]
struct Delivery {
    to: Destination,
    notice: Notice,
}

/// How a claim ends.
pub(crate) enum End {
    Done,
    Again(String, Timestamp),
    GiveUp(String),
}

impl From<CodeEnd> for End {
    fn from(end: CodeEnd) -> Self {
        match end {
            CodeEnd::Done => Self::Done,
            CodeEnd::Again(why, again) => Self::Again(why, again),
            CodeEnd::GiveUp(why) => Self::GiveUp(why),
        }
    }
}

impl Engine {
    /// Performs up to `at_most` effects of a kind that are due, one after another. Each is claimed when its turn comes,
    /// so that others may take what this node has not come to; several may be at it at once. After an error, or where it
    /// was dropped, what it had claimed stays claimed: whoever goes on with this life calls
    /// [`Store::release_claims`](ringfence_store::Store::release_claims) first.
    pub async fn work(&self, me: &Life, kind: &str, at_most: usize) -> Result<Worked> {
        let by = Actor::job(kind);
        let mut worked = Worked::default();
        for _ in 0..at_most {
            let now = self.now();
            let until = now.saturating_add(CLAIM).unwrap_or(Timestamp::MAX);
            let Some(claim) = self.store.claim_effects(me, kind, 1, until, now).await?.pop() else { break };
            let end = match kind {
                kind::NOTICE => self.spread(&claim).await?,
                kind::DELIVERY => self.deliver(&claim).await,
                kind::LETTER => self.post(&claim).await,
                kind::CODE | kind::CONSOLE_CODE => self.send_code(&claim).await?.into(),
                kind::TEXT => self.text_old_phone(&claim).await?,
                _ => self.order(kind, &claim).await?,
            };
            let now = self.now();
            let ended = match end {
                End::Done => {
                    worked.done += 1;
                    self.store.complete_effect(&by, &claim, now).await
                }
                End::Again(why, again) => {
                    worked.failed += 1;
                    self.store.fail_effect(&by, &claim, &why, Some(again), now).await
                }
                End::GiveUp(why) => {
                    worked.failed += 1;
                    self.store.fail_effect(&by, &claim, &why, None, now).await
                }
            };
            match ended {
                // Another node has it now, and does it again: everything here may be done twice.
                Err(error) if error.is_conflict() => {}
                ended => ended?,
            }
        }
        Ok(worked)
    }

    async fn order(&self, kind: &str, claim: &Claim) -> Result<End> {
        let Ok(order) = serde_json::from_value::<Order>(claim.effect.payload.clone()) else {
            return Ok(End::GiveUp("the order cannot be read".to_owned()));
        };
        let by = Actor::job(kind);
        let (end, news) = match self.carry_out(kind, &order).await {
            Ok(Carried::InForce) => {
                let (account, limit) = (order.account.sid, &order.limit);
                tracing::info!(kind, %account, limit, lifts = order.lifts, "carried out at Twilio, and read back");
                (End::Done, self.news_of(&order))
            }
            Ok(Carried::Nothing) | Err(NotCarried::NotDone(NotDone::Closed)) => (End::Done, None),
            // Nobody here can lift it, however often it is asked for.
            Err(NotCarried::NotDone(NotDone::SuspendedByTwilio)) => {
                let event = Event::SuspendedByTwilio { account: order.account.clone(), changed: order.at };
                (End::Done, Some(Notice { at: self.now(), event }))
            }
            Err(NotCarried::Store(error)) => return Err(error),
            Err(error) => {
                let may_come_soon = match &error {
                    NotCarried::NotDone(not_done) => not_done.is_transient(),
                    NotCarried::Unsettled => true,
                    NotCarried::NoCredentials | NotCarried::Store(_) => false,
                };
                let why = error.to_string();
                let (account, tries) = (order.account.sid, claim.effect.attempts);
                tracing::warn!(kind, %account, tries, why, "not carried out at Twilio, and tried again");
                let trouble = self.trouble_of(&order, claim.effect.attempts, &why);
                let pause = if may_come_soon {
                    back_off(1, claim.effect.attempts, TRY_AGAIN_AT_MOST)
                } else {
                    REFUSED_AGAIN
                };
                (End::Again(why, self.after(pause)), trouble)
            }
        };
        if let Some(notice) = news {
            self.tell(&by, &notice).await?;
        }
        Ok(end)
    }

    /// Orders that people are told.
    pub(crate) async fn tell(&self, by: &Actor, notice: &Notice) -> Result<()> {
        self.store.add_effect(by, told(notice), self.now()).await?;
        self.announce();
        Ok(())
    }

    /// One delivery for each recipient, so that a failure of one is no second message to another.
    async fn spread(&self, claim: &Claim) -> Result<End> {
        let Ok(notice) = serde_json::from_value::<Notice>(claim.effect.payload.clone()) else {
            return Ok(End::GiveUp("the notice cannot be read".to_owned()));
        };
        let by = Actor::job(kind::NOTICE);
        for to in self.notifier.iter().flat_map(|notifier| notifier.destinations(&notice)) {
            let key = format!("{}/{to}/{}", kind::DELIVERY, notice.key());
            let payload = json!(Delivery { to, notice: notice.clone() });
            let effect = NewEffect { kind: kind::DELIVERY.to_owned(), key, payload, not_before: None };
            self.store.add_effect(&by, effect, self.now()).await?;
        }
        self.announce();
        Ok(End::Done)
    }

    async fn deliver(&self, claim: &Claim) -> End {
        let Ok(delivery) = serde_json::from_value::<Delivery>(claim.effect.payload.clone()) else {
            return End::GiveUp("the delivery cannot be read".to_owned());
        };
        let Some(notifier) = &self.notifier else {
            return End::GiveUp("there is no [notify] any more".to_owned());
        };
        let now = self.now();
        let created = claim.effect.created_at;
        let first = (claim.effect.attempts > 1).then_some(created);
        let end = match notifier.deliver(&delivery.notice, &delivery.to, Attempt { now, first }).await {
            Outcome::Delivered => End::Done,
            Outcome::Refused(why) => End::GiveUp(why),
            Outcome::TryLater(why) if now.duration_since(created) > TOLD_WITHIN => End::GiveUp(why),
            Outcome::TryLater(why) => {
                let pause = back_off(5, claim.effect.attempts, DELIVER_AGAIN_AT_MOST);
                End::Again(why, self.after(pause))
            }
        };
        // Whoever was to be told does not know that something is wrong: whoever reads the log shall.
        let (to, notice) = (&delivery.to, delivery.notice.event.kind());
        let tries = claim.effect.attempts;
        match &end {
            End::Done => {}
            End::Again(why, _) => {
                tracing::warn!(%to, notice, tries, why, "a notice was not delivered, and is tried again");
            }
            End::GiveUp(why) => {
                tracing::error!(%to, notice, tries, why, "a notice was not delivered, and is given up");
            }
        }
        end
    }

    /// Mails a letter to the person that it is for.
    async fn post(&self, claim: &Claim) -> End {
        let Ok(letter) = serde_json::from_value::<Letter>(claim.effect.payload.clone()) else {
            return End::GiveUp("the letter cannot be read".to_owned());
        };
        let Some(notifier) = &self.notifier else {
            return End::GiveUp("there is no [notify] any more".to_owned());
        };
        let now = self.now();
        match notifier.post(&letter, now).await {
            Outcome::Delivered => End::Done,
            Outcome::Refused(why) => End::GiveUp(why),
            Outcome::TryLater(why) if now.duration_since(claim.effect.created_at) > POSTED_WITHIN => {
                End::GiveUp(why)
            }
            Outcome::TryLater(why) => {
                let pause = back_off(5, claim.effect.attempts, DELIVER_AGAIN_AT_MOST);
                End::Again(why, self.after(pause))
            }
        }
    }

    /// Tells a phone that it is no longer bound to a sign-in, if anything can be told to it: what sends codes by Verify
    /// sends nothing else. Its price is set aside like a code's; where its answer is lost, it stays set aside, and the
    /// message is looked for before another is made.
    async fn text_old_phone(&self, claim: &Claim) -> Result<End> {
        let Ok(text) = serde_json::from_value::<Text>(claim.effect.payload.clone()) else {
            return Ok(End::GiveUp("the text cannot be read".to_owned()));
        };
        let Some(texter) = self.second_factor().and_then(|it| it.texter(text.to)) else {
            // The mail has told it, and nothing else can.
            return Ok(End::Done);
        };
        let created = claim.effect.created_at;
        let again = |why: String| {
            if self.now().duration_since(created) > POSTED_WITHIN {
                return End::GiveUp(why);
            }
            End::Again(why, self.after(back_off(5, claim.effect.attempts, DELIVER_AGAIN_AT_MOST)))
        };
        let Some(client) = self.clients().of(texter.account) else {
            return Ok(again(format!("there are no credentials of {}", texter.account)));
        };
        let first = (claim.effect.attempts > 1).then_some(created);
        match texter.was_sent(&client, &text.text, first).await {
            Ok(false) => {}
            Ok(true) => return Ok(End::Done),
            Err(error) => {
                return Ok(again(format!("whether it was sent before cannot be found out: {error}")));
            }
        }
        let reserved = match self.set_aside_for_text(&texter, &text.text).await? {
            SetAside::NotNeeded => None,
            SetAside::Reserved(reservation) => Some(reservation),
            SetAside::Not(why) => return Ok(again(why.to_string())),
        };
        let sent = texter.send(&client, &text.text).await;
        if let Some(reservation) = reserved {
            let became = match &sent {
                Ok(message) => Sent::Made(*message),
                Err(Unsent { in_doubt: true, .. }) => Sent::InDoubt,
                Err(_) => Sent::Nothing,
            };
            self.answer_for(reservation, became).await?;
        }
        Ok(match sent {
            Ok(_) => End::Done,
            Err(Unsent { is_final: true, why, .. }) => End::GiveUp(why),
            Err(Unsent { why, .. }) => again(why),
        })
    }

    /// Whether an order at Twilio that waits was refused in a way that trying again soon does not mend: by wrong credentials,
    /// say. Ask soon after the try.
    pub fn is_refused(&self, effect: &Effect) -> bool {
        let soon = self.after(SignedDuration::from_secs(TRY_AGAIN_AT_MOST + 30));
        effect.last_error.is_some() && effect.not_before.is_some_and(|again| again > soon)
    }

    fn after(&self, pause: SignedDuration) -> Timestamp {
        self.now().saturating_add(pause).unwrap_or(Timestamp::MAX)
    }
}

/// Twice as long after each try.
fn back_off(first_secs: i64, tries: u64, at_most_secs: i64) -> SignedDuration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    SignedDuration::from_secs(first_secs.saturating_mul(1 << doublings).min(at_most_secs))
}
