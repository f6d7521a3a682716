//! The second chapter: the same thief with three accounts, one that nobody guards, one that has a limit, and one whose
//! application sends through the egress.

use std::rc::Rc;

use bytes::Bytes;
use http::Response;

use super::{Page, leading_to};
use crate::commands::demo::attack::{self, ENOUGH, MESSAGES_MAX, Means, SoFar, Thief, attack};
use crate::commands::demo::installation::LIMIT;
use crate::commands::demo::operator::{self, Typed};
use crate::commands::demo::twilio::Account;

/// What a reset allows: ten of the thief's messages, so that the next run is like the first one.
const ALLOWED: &str = "48";

/// What became of the three.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) lanes: [Lane; 3],
    /// How often he was let loose.
    pub(super) runs: u32,
    /// The credential of the third one's application, once it is made.
    credential: Option<Means>,
    /// The command that made it.
    pub(super) made: Option<String>,
    /// What the operator typed so that it could begin once more.
    pub(super) resets: Vec<Typed>,
    /// What Ringfence tells of it.
    pub(super) incidents: Vec<Typed>,
}

/// One account and the thief who has its credential.
#[derive(Debug, Default, Clone)]
pub(super) struct Lane {
    pub(super) so_far: SoFar,
    pub(super) is_over: bool,
    pub(super) is_suspended: bool,
}

impl Page {
    pub(super) async fn loose_the_thief(self: &Rc<Self>) -> Response<Bytes> {
        let page = Rc::clone(self);
        self.money.act("The thief is at work.", async move { page.run().await }).await;
        leading_to("money")
    }

    async fn run(&self) -> anyhow::Result<()> {
        let (world, chapter) = (&self.world, &self.money);
        let [unguarded, limited, held] = &world.twilio.of_page;
        let tell = |what: &str| chapter.tell(&format!("Waiting until {what}."));

        // 1. As at the beginning: limits that let through, a credential for the application.
        let mut resets = Vec::new();
        for account in [limited, held] {
            resets.extend(self.reset(account).await?);
        }
        chapter.with(|state| state.resets = resets);
        for account in [limited, held] {
            attack::guarded(world, account, &tell).await?;
        }
        let means = self.credential(held).await?;

        // 2. All three at once.
        chapter.with(|state| {
            state.lanes = Default::default();
            state.runs += 1;
            state.incidents.clear();
        });
        chapter.tell("The thief is at work.");
        tokio::try_join!(
            self.lane(0, thief(unguarded, &Means::Token, ENOUGH)),
            self.lane(1, thief(limited, &Means::Token, MESSAGES_MAX)),
            self.lane(2, thief(held, &means, MESSAGES_MAX)),
        )?;
        Ok(())
    }

    async fn suspended(&self, number: usize, account: &Account) -> anyhow::Result<()> {
        let chapter = &self.money;
        let tell = |what: &str| chapter.tell(&format!("Waiting until {what}."));
        attack::suspended(&self.world, account, &tell).await?;
        let told = operator::incidents(&self.world, &account.name).await?;
        chapter.with(|state| {
            state.lanes[number].is_suspended = true;
            state.incidents.push(told);
        });
        Ok(())
    }

    /// What the application of the third account holds. It is made once, and good as soon as the egress knows prices.
    async fn credential(&self, account: &Account) -> anyhow::Result<Means> {
        let (world, chapter) = (&self.world, &self.money);
        if let Some(means) = chapter.with(|state| state.credential.clone()) {
            return Ok(means);
        }
        let (typed, _, secret) = operator::create_key(world, &account.sid).await?;
        let means = Means::Credential(secret);
        let tell = |what: &str| chapter.tell(&format!("Waiting until {what}."));
        attack::own_message(world, account, &means, &tell).await?;
        chapter.with(|state| {
            (state.credential, state.made) = (Some(means.clone()), Some(typed.line));
        });
        Ok(means)
    }

    async fn lane(&self, number: usize, thief: Thief<'_>) -> anyhow::Result<()> {
        let chapter = &self.money;
        let so_far = |come: &SoFar| {
            if come.refused > 0 && number == 2 {
                chapter.tell("The thief goes on trying, until Ringfence has settled what went out by Twilio's own prices.");
            }
            chapter.with(|state| state.lanes[number].so_far = come.clone());
        };
        let come = attack(&self.world, thief, &so_far, &|_| ()).await?;
        chapter.with(|state| state.lanes[number].is_over = true);
        // What Ringfence did about it, and what it tells of it.
        match come.last {
            Some(refused) if !refused.may_pass() => self.suspended(number, thief.victim).await,
            _ => Ok(()),
        }
    }

    /// Lets an account go that was suspended; none where it was not, since what is not tripped cannot be reset.
    async fn reset(&self, account: &Account) -> anyhow::Result<Option<Typed>> {
        if self.world.twilio.status(account).await? != "suspended" {
            return Ok(None);
        }
        self.money.tell("The operator resets the limit.");
        operator::reset(&self.world, LIMIT, &account.name, Some(ALLOWED), "once more").await.map(Some)
    }
}

fn thief<'a>(victim: &'a Account, means: &'a Means, at_most: usize) -> Thief<'a> {
    Thief { victim, means, at_most, insists: true }
}
