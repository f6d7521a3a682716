//! The tour's second part: a thief has the auth token of a tenant's account and spends, until the limit stops him.
//!
//! Nothing here tells Ringfence anything. It makes its usage trigger at the sandbox by itself, is called by it through the
//! gate, suspends the account there, sends a mail to a real SMTP server; and the commands are those that an operator types.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser as _;
use ringfence_control::notices::shell_word;
use ringfence_model::Amount;
use tokio::time::{sleep, timeout};

use super::World;
use super::installation::{LIMIT, LIMIT_AT};
use crate::commands::paper::Paper;
use crate::commands::reset;
use crate::{Command, CommandLine};

/// Where the thief's messages go: each of their segments costs 44 cents there.
pub(super) const PUMPED: &str = "+6281234567890";
/// Ten segments, the most that a message may have.
pub(super) const SEGMENTS: usize = 10;
/// More than are needed for any limit that stands in the configuration.
pub(super) const MESSAGES_MAX: usize = 100;
/// How long anything may take that goes on by itself.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Shows it; says what the account lost, and how much did not go as told.
pub(super) async fn give(world: &World, out: &mut Paper) -> anyhow::Result<(Amount, usize)> {
    let (twilio, tenant) = (&world.twilio, &world.twilio.tenant);
    let mut show = Show { out, wrong: 0 };
    show.out.line("No account spends past its limit. Each tenant may spend $50 a day, and somebody has stolen a tenant's token:");

    // 1. Before the attack: a trigger waits at Twilio.
    let at = twilio.triggers_at(tenant).await?.into_iter().find(|at| *at == LIMIT_AT);
    show.line(
        at.is_some(),
        "a usage trigger waits at Twilio, which Ringfence put there",
        &at.map_or_else(|| "there is none".to_owned(), |at| format!("at {at} USD")),
    );

    // 2. The attack.
    let body = "x".repeat(153 * SEGMENTS);
    let mut sent = 0;
    let mut spent = Amount::ZERO;
    while spent < LIMIT_AT && sent < MESSAGES_MAX {
        match twilio.send(tenant, PUMPED, &body).await? {
            201 => sent += 1,
            // Stopped before this has seen that the limit is reached.
            403 => break,
            status => bail!("the thief's message {} got {status}", sent + 1),
        }
        spent = twilio.spent_today(tenant).await?;
    }
    spent = twilio.spent_today(tenant).await?.max(spent);
    show.line(
        spent >= LIMIT_AT,
        "the thief texts numbers abroad that pay him a share",
        &format!("{sent} messages, {spent} USD"),
    );

    // 3. It is stopped.
    let suspended = until("the account is suspended", async || {
        Ok((twilio.status(tenant).await? == "suspended").then_some(()))
    });
    suspended.await?;
    show.line(true, "the trigger fires, and Ringfence suspends the account", "suspended");
    let status = twilio.send(tenant, PUMPED, &body).await?;
    show.line(status == 403, "the thief's next message", &format!("{status}, refused by Twilio"));
    let status = twilio.text(&twilio.parent, "Are you still there?").await?.status;
    show.line(
        status == 200,
        "the other accounts work on, and so does the application",
        &format!("{status} admitted"),
    );

    // 4. The operator is told.
    let mail = until("the mail has come", async || {
        Ok(world.mail.taken().into_iter().find(|mail| mail.contains("X-Ringfence-Notice: tripped")))
    });
    let mail = mail.await?;
    show.line(true, "the operator gets a mail", "");
    show.out.line("");
    for line in shown(&mail) {
        show.out.line(format!("      | {line}").trim_end());
    }
    show.out.line("");

    // 5. The operator lets the account go, with a reason.
    show.typed(world, &["reset", LIMIT, "--account", "A tenant", "--reason", "the token was changed"])
        .await?;
    let active = twilio.status(tenant).await? == "active";
    let status = twilio.send(tenant, PUMPED, "Your table is booked.").await?;
    show.line(active && status == 201, "the tenant's own message", &format!("{status}, sent again"));
    Ok((twilio.spent_today(tenant).await?, show.wrong))
}

/// The trigger of the tenant's account is there, so Ringfence knows the account and its token.
pub(super) async fn ready(world: &World) -> anyhow::Result<()> {
    let (twilio, tenant) = (&world.twilio, &world.twilio.tenant);
    until("Ringfence has found the subaccount and made its usage trigger", async || {
        Ok(twilio.triggers_at(tenant).await?.contains(&LIMIT_AT).then_some(()))
    })
    .await
}

/// What is told, and how much of it was not so.
pub(super) struct Show<'a> {
    pub(super) out: &'a mut Paper,
    pub(super) wrong: usize,
}

impl Show<'_> {
    pub(super) fn line(&mut self, as_told: bool, what: &str, shown: &str) {
        self.wrong += usize::from(!as_told);
        let mark = if as_told { "ok " } else { "WRONG" };
        self.out.line(format!("  {mark} {what:<62} {shown}").trim_end());
    }

    /// Does what a person does who types this, and shows what is printed.
    async fn typed(&mut self, world: &World, words: &[&str]) -> anyhow::Result<()> {
        let shown: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
        self.out.line(&format!("  $ ringfence {} --config {}", shown.join(" "), world.config.display()));
        let mut line = vec!["ringfence"];
        line.extend(words);
        let config =
            world.config.to_str().context("the folder for temporary files has a name that is no text")?;
        line.extend(["--config", config]);
        let Command::Reset(arguments) = CommandLine::try_parse_from(line)?.command else {
            bail!("no such command here")
        };
        // Commands have a runtime of their own.
        let answer = tokio::task::spawn_blocking(move || reset::run(&arguments)).await?;
        let answer = answer.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        for line in String::from_utf8_lossy(&answer.output).lines() {
            self.out.line(&format!("    {line}"));
        }
        self.out.line("");
        self.wrong += usize::from(answer.is_no || answer.is_unavailable);
        Ok(())
    }
}

/// Asks until there is an answer.
pub(super) async fn until<T>(
    what: &str,
    ask: impl AsyncFn() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let asking = async {
        loop {
            match ask().await {
                Ok(None) => sleep(LOOK_AGAIN).await,
                Ok(Some(answer)) => return Ok(answer),
                Err(error) => return Err(error),
            }
        }
    };
    timeout(PATIENCE, asking)
        .await
        .with_context(|| format!("not so within {} s: {what}", PATIENCE.as_secs()))?
}

/// What a mail program shows of a mail.
fn shown(mail: &str) -> Vec<String> {
    let (head, text) = mail.split_once("\n\n").unwrap_or((mail, ""));
    let text = if head.contains("quoted-printable") { unquoted(text) } else { text.to_owned() };
    let head =
        head.lines().filter(|line| ["From:", "To:", "Subject:"].iter().any(|name| line.starts_with(name)));
    head.chain([""]).chain(text.trim_end().lines()).map(str::to_owned).collect()
}

/// Quoted-printable (RFC 2045 section 6.7) undone.
fn unquoted(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.split_at_checked(2).and_then(|(hex, rest)| Some((u8::from_str_radix(hex, 16).ok()?, rest)))
        {
            Some((byte, rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            None => bytes.extend(["=", part].concat().into_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
