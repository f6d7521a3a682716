//! The tour's third part: the same attack on another tenant, whose application sends through the egress.
//!
//! The thief has all that the application has, a virtual credential. What would cross the limit is refused before it is sent,
//! so what the account loses is no more than the limit, whatever Twilio's usage records know at that moment.

use anyhow::{Context, bail};
use ringfence_model::Amount;
use serde_json::Value;

use super::World;
use super::client::Reply;
use super::installation::LIMIT_AT;
use super::spending::{MESSAGES_MAX, PUMPED, SEGMENTS, Show, until};
use crate::commands::paper::Paper;
use crate::{Command, CommandLine};

/// Shows it, beside what the other tenant lost; says how much did not go as told.
pub(super) async fn give(world: &World, lost: Amount, out: &mut Paper) -> anyhow::Result<usize> {
    let (twilio, tenant) = (&world.twilio, &world.twilio.neighbour);
    let mut show = Show { out, wrong: 0 };
    show.out.line("The same attack on another tenant. Its application never had the token: it sends through Ringfence's egress.");

    // 1. A credential, made as an operator does it.
    let secret = make_credential(world, &mut show).await?;
    let send =
        async |to: &str, body: &str| twilio.send_through(world.egress, tenant, &secret, (to, body)).await;
    // Prices and usage are read first.
    until("the egress sends", async || {
        let reply = send(super::twilio::PHONE, "Your table is booked.").await?;
        Ok((reply.status == 201).then_some(()))
    })
    .await?;
    show.line(true, "the tenant's own message goes through the egress", "201");

    // 2. The attack.
    let body = "x".repeat(153 * SEGMENTS);
    let mut sent = 0;
    let refused = loop {
        let reply = send(PUMPED, &body).await?;
        match reply.status {
            201 if sent < MESSAGES_MAX => sent += 1,
            201 => bail!("nothing stopped the thief"),
            _ => break reply,
        }
    };
    let (code, message) = error_of(&refused)?;
    show.line(
        (84_030..84_040).contains(&code),
        "the thief texts the same numbers with the same haste",
        &format!("{sent} messages, then {} and Twilio's error {code}", refused.status),
    );
    show.out.line("");
    show.out.line(&format!("      | {message}"));
    show.out.line("");

    // 3. What it cost.
    let spent = until("all of it has its price", async || {
        let spent = twilio.spent_today(tenant).await?;
        // Each of the thief's messages costs more than four dollars, once it has a price.
        Ok((spent >= Amount::from_units(4 * i64::try_from(sent)?)).then_some(spent))
    })
    .await?;
    let past = |spent: Amount| Amount::from_micros((spent.micros() - LIMIT_AT.micros()).max(0));
    show.line(
        past(spent) == Amount::ZERO,
        "it lost",
        &format!("{spent} USD, past the limit: {}", past(spent)),
    );
    show.line(
        past(lost) > Amount::ZERO,
        "the one whose token was stolen lost, in the same time",
        &format!("{lost} USD, past the limit: {}", past(lost)),
    );
    Ok(show.wrong)
}

/// Types `ringfence key create`, and keeps the secret, which is shown once.
async fn make_credential(world: &World, show: &mut Show<'_>) -> anyhow::Result<String> {
    use clap::Parser as _;
    let account = &world.twilio.neighbour.sid;
    let config =
        world.config.to_str().context("the folder for temporary files has a name that is no text")?;
    let words = ["key", "create", "--account", account, "--name", "shop", "--config", config];
    show.out.line(&format!("  $ ringfence {}", words.join(" ")));
    let line = ["ringfence"].into_iter().chain(words).chain(["--json"]);
    let Command::Key(arguments) = CommandLine::try_parse_from(line)?.command else {
        bail!("no such command here")
    };
    // Commands have a runtime of their own.
    let answer = tokio::task::spawn_blocking(move || crate::commands::key::run(&arguments)).await?;
    let answer = answer.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let made: Value = serde_json::from_slice(&answer.output).context("a credential in JSON")?;
    let (sid, secret) = (made["sid"].as_str(), made["secret"].as_str());
    let (sid, secret) = sid.zip(secret).with_context(|| format!("no credential in {made}"))?;
    show.out.line(&format!("    {sid}, with a secret that is shown once"));
    Ok(secret.to_owned())
}

/// The code and the message of an error of Twilio's shape.
fn error_of(reply: &Reply) -> anyhow::Result<(u64, String)> {
    let body: Value = serde_json::from_slice(&reply.body).context("an error in JSON")?;
    let code = body["code"].as_u64().with_context(|| format!("no code in {body}"))?;
    Ok((code, body["message"].as_str().unwrap_or_default().to_owned()))
}
