//! A thief who spends another's money, and what stops him.
//!
//! He texts numbers abroad that pay him a share, one message after the other, with what he has stolen: an account's token,
//! or the virtual credential of its application. Nothing here tells Ringfence anything, and nothing stops him but an answer.

use std::time::Duration;

use anyhow::{Context, bail};
use ringfence_model::Amount;
use serde_json::Value;
use tokio::time::sleep;

use super::World;
use super::client::Reply;
use super::installation::LIMIT_AT;
use super::twilio::Account;
use super::waiting::{Teller, until};

/// So many he sends where nothing stops him.
pub(super) const ENOUGH: usize = 40;
/// More than are needed for any limit that stands in the configuration.
pub(super) const MESSAGES_MAX: usize = 100;
/// Somebody who insists has had enough then.
const REFUSED_MAX: usize = 400;
/// Where they go: each of their segments costs 44 cents there.
const PUMPED: &str = "+6281234567890";
/// Ten segments, the most that a message may have.
const SEGMENTS: usize = 10;
/// What such a message costs at least.
const COSTS_AT_LEAST: i64 = 4;
/// Between two messages. A minute of Twilio's, after which triggers are compared, is a second here.
const PACE: Duration = Duration::from_millis(80);

/// What the thief has.
#[derive(Debug, Clone)]
pub(super) enum Means {
    /// The account's auth token, which is good at Twilio.
    Token,
    /// The secret of a virtual credential, which is good at the egress.
    Credential(String),
}

/// How he goes about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thief<'a> {
    pub(super) victim: &'a Account,
    pub(super) means: &'a Means,
    /// So many messages are enough for him.
    pub(super) at_most: usize,
    /// Whether he goes on where he is told to try again.
    pub(super) insists: bool,
}

/// How far he has come.
#[derive(Debug, Clone, Default)]
pub(super) struct SoFar {
    pub(super) sent: usize,
    /// As Twilio counts it.
    pub(super) spent: Amount,
    /// How many of his messages were refused, and why the last one.
    pub(super) refused: usize,
    pub(super) last: Option<Refusal>,
}

/// An error of Twilio's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: u64,
    pub(super) message: String,
}

impl Refusal {
    /// Whether it is the egress that says no, since it would cross a limit.
    pub(super) fn is_of_a_limit(&self) -> bool {
        (84_030..84_040).contains(&self.code)
    }

    /// Whether it is so only until Twilio's own prices of what was sent are known.
    pub(super) fn may_pass(&self) -> bool {
        self.code == 84_032
    }
}

/// Sends until something stops him, or until he has enough; `so_far` is told after each message. What the account spent in
/// this time is what he spent, so nobody else may send.
pub(super) async fn attack(
    world: &World,
    thief: Thief<'_>,
    so_far: &dyn Fn(&SoFar),
    tell: Teller<'_>,
) -> anyhow::Result<SoFar> {
    let Thief { victim, means, at_most, insists } = thief;
    let before = world.twilio.spent_today(victim).await?;
    let since = async || anyhow::Ok(less(world.twilio.spent_today(victim).await?, before));
    let body = "x".repeat(153 * SEGMENTS);
    let mut come = SoFar::default();
    while come.sent < at_most {
        let reply = send(world, victim, means, PUMPED, &body).await?;
        if reply.status == 201 {
            come.sent += 1;
        } else {
            let refused = refusal(&reply)?;
            let goes_on = insists && refused.may_pass() && come.refused < REFUSED_MAX;
            come.refused += 1;
            come.last = Some(refused);
            if !goes_on {
                break;
            }
        }
        come.spent = since().await?;
        so_far(&come);
        sleep(PACE).await;
    }
    let at_least = Amount::from_units(COSTS_AT_LEAST * i64::try_from(come.sent)?);
    come.spent = until("each message has its price", tell, async || {
        let spent = since().await?;
        Ok((spent >= at_least).then_some(spent))
    })
    .await?;
    so_far(&come);
    Ok(come)
}

/// One message of the account's own people.
pub(super) async fn own_message(
    world: &World,
    account: &Account,
    means: &Means,
    tell: Teller<'_>,
) -> anyhow::Result<u16> {
    let text = "Your table is booked.";
    match means {
        Means::Token => Ok(send(world, account, means, super::twilio::PHONE, text).await?.status),
        // Prices and usage are read first.
        Means::Credential(_) => {
            until("the egress has read prices and usage", tell, async || {
                let reply = send(world, account, means, super::twilio::PHONE, text).await?;
                Ok((reply.status == 201).then_some(reply.status))
            })
            .await
        }
    }
}

/// Ends when the account is suspended at Twilio, as Ringfence has ordered.
pub(super) async fn suspended(world: &World, account: &Account, tell: Teller<'_>) -> anyhow::Result<()> {
    until("the account is suspended", tell, async || {
        Ok((world.twilio.status(account).await? == "suspended").then_some(()))
    })
    .await
}

/// Ends when a usage trigger of the limit waits at Twilio, so Ringfence knows the account and its token.
pub(super) async fn guarded(world: &World, account: &Account, tell: Teller<'_>) -> anyhow::Result<Amount> {
    until("Ringfence has found the subaccount and made its usage trigger", tell, async || {
        Ok(world.twilio.triggers_at(account).await?.into_iter().find(|at| *at == LIMIT_AT))
    })
    .await
}

/// What is more than the limit.
pub(super) fn past_limit(spent: Amount) -> Amount {
    less(spent, LIMIT_AT)
}

fn less(amount: Amount, by: Amount) -> Amount {
    Amount::from_micros((amount.micros() - by.micros()).max(0))
}

async fn send(
    world: &World,
    account: &Account,
    means: &Means,
    to: &str,
    body: &str,
) -> anyhow::Result<Reply> {
    match means {
        Means::Token => world.twilio.send(account, to, body).await,
        Means::Credential(secret) => {
            world.twilio.send_through(world.egress, account, secret, (to, body)).await
        }
    }
}

fn refusal(reply: &Reply) -> anyhow::Result<Refusal> {
    let body: Value = serde_json::from_slice(&reply.body).context("an error in JSON")?;
    let (Some(code), Some(message)) = (body["code"].as_u64(), body["message"].as_str()) else {
        bail!("no error of Twilio's shape: {body}")
    };
    Ok(Refusal { status: reply.status, code, message: message.to_owned() })
}
