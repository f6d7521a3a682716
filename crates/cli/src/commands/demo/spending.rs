//! The tour's second part: a thief has the token of an account and spends, where nobody guards it, where Ringfence holds a
//! limit, and where the application sends through the egress and the thief has its credential.
//!
//! Nothing here tells Ringfence anything. It makes its usage trigger at the sandbox by itself, is called by it through the
//! gate, suspends the account there, sends a mail to a real SMTP server; and the commands are those that an operator types.

use anyhow::{Context, bail};
use ringfence_model::Amount;

use super::World;
use super::attack::{self, ENOUGH, MESSAGES_MAX, Means, Thief, attack, past_limit};
use super::gate::{Act, Told, watch};
use super::installation::LIMIT;
use super::show::Show;
use super::waiting::until;
use super::{mail, operator};
use crate::commands::paper::{Paper, waits};

/// Shows it; says how much did not go as told.
pub(super) async fn give(world: &World, out: &mut Paper) -> anyhow::Result<usize> {
    let mut show = Show::new(out);
    show.out.line(
        "No account goes on spending past its limit. Somebody has stolen a token; each tenant may spend $50 a day:",
    );
    let unguarded = &world.twilio.unguarded;
    let thief = Thief { victim: unguarded, means: &Means::Token, at_most: ENOUGH, insists: false };
    let free = attack(world, thief, &|_| (), &waits).await?;
    show.line(
        free.last.is_none() && past_limit(free.spent) > Amount::ZERO,
        "an account that nobody guards pays for all that the thief sends",
        &format!("{} messages, {} USD", free.sent, free.spent),
    );
    let lost = by_trigger(world, &mut show).await?;
    show.out.line("");
    by_egress(world, lost, &mut show).await?;
    Ok(show.wrong)
}

/// The token is stolen: what the account has lost when its trigger has stopped it.
async fn by_trigger(world: &World, show: &mut Show<'_>) -> anyhow::Result<Amount> {
    let (twilio, tenant) = (&world.twilio, &world.twilio.tenant);
    // 1. Before the attack: a trigger waits at Twilio.
    let at = attack::guarded(world, tenant, &waits).await?;
    show.line(true, "a usage trigger waits at Twilio, which Ringfence put there", &format!("at {at} USD"));

    // 2. The attack, and how it is stopped.
    let thief = Thief { victim: tenant, means: &Means::Token, at_most: MESSAGES_MAX, insists: false };
    let stolen = attack(world, thief, &|_| (), &waits).await?;
    show.line(
        past_limit(stolen.spent) > Amount::ZERO,
        "the thief texts numbers abroad that pay him a share",
        &format!("{} messages, {} USD", stolen.sent, stolen.spent),
    );
    attack::suspended(world, tenant, &waits).await?;
    show.line(true, "Ringfence hears of it from Twilio, and suspends the account", "suspended");
    let Some(refused) = &stolen.last else { bail!("nothing stopped the thief") };
    show.line(
        refused.status == 403,
        "the thief's next message",
        &format!("{}, refused by Twilio", refused.status),
    );
    let seen = watch(world, &Act::Text("Are you still there?")).await?;
    show.line(
        seen.is(Told::Admitted(200)),
        "the other accounts work on, and so does the application",
        &seen.shown(),
    );

    // 3. The operator is told.
    let mail = until("the mail has come", &waits, async || {
        let mut mails = world.mail.taken().into_iter();
        Ok(mails.find(|mail| mail.contains("X-Ringfence-Notice: tripped") && mail.contains(&tenant.name)))
    })
    .await?;
    show.line(true, "the operator gets a mail", "");
    show.quote(mail::shown(&mail).iter().map(String::as_str));

    // 4. The operator looks, and lets the account go, with a reason, once Twilio's figures have come to rest: what comes in
    // later counts against what he allows.
    until("Ringfence has read all that was spent", &waits, async || {
        let used = operator::used(world, LIMIT, &tenant.sid).await?;
        Ok(used.is_some_and(|used| used >= stolen.spent).then_some(()))
    })
    .await?;
    show.typed(&operator::incidents(world, &tenant.name).await?);
    show.out.line("");
    show.typed(&operator::reset(world, LIMIT, &tenant.name, None, "the token was changed").await?);
    show.out.line("");
    let active = twilio.status(tenant).await? == "active";
    let status = attack::own_message(world, tenant, &Means::Token, &waits).await?;
    show.line(active && status == 201, "the tenant's own message", &format!("{status}, sent again"));
    Ok(stolen.spent)
}

/// The same attack on another tenant, whose application never had the token.
///
/// The thief has all that the application has, a virtual credential. What would cross the limit is refused before it is sent,
/// so what the account loses is no more than the limit, whatever Twilio's usage records know at that moment.
async fn by_egress(world: &World, lost: Amount, show: &mut Show<'_>) -> anyhow::Result<()> {
    let tenant = &world.twilio.neighbour;
    show.out.line("The same attack on another tenant. Its application never had the token: it sends through Ringfence's egress.");

    // 1. A credential, made as an operator does it.
    let (typed, sid, secret) = operator::create_key(world, &tenant.sid).await?;
    show.out.line(&format!("  $ {}", typed.line));
    show.out.line(&format!("    {sid}, with a secret that is shown once"));
    let means = Means::Credential(secret);
    let status = attack::own_message(world, tenant, &means, &waits).await?;
    show.line(status == 201, "the tenant's own message goes through the egress", &status.to_string());
    let own = world.twilio.spent_today(tenant).await?;

    // 2. The attack.
    let thief = Thief { victim: tenant, means: &means, at_most: MESSAGES_MAX, insists: false };
    let held = attack(world, thief, &|_| (), &waits).await?;
    let refused = held.last.context("nothing stopped the thief")?;
    show.line(
        refused.is_of_a_limit(),
        "the thief texts the same numbers with the same haste",
        &format!("{} messages, then {} and Twilio's error {}", held.sent, refused.status, refused.code),
    );
    show.quote([refused.message.as_str()]);

    // 3. What it cost.
    let spent = Amount::from_micros(own.micros() + held.spent.micros());
    show.line(
        past_limit(spent) == Amount::ZERO,
        "it lost",
        &format!("{spent} USD, past the limit: {}", past_limit(spent)),
    );
    show.line(
        past_limit(lost) > Amount::ZERO,
        "the one whose token was stolen lost, in the same time",
        &format!("{lost} USD, past the limit: {}", past_limit(lost)),
    );
    Ok(())
}
