//! Somebody at the door of the console: what they do there, step by step, as a browser does it, with cookies and forms; and
//! the phone that the sandbox shows.

use anyhow::Context;
use jiff::Timestamp;
use ringfence_second_factor::totp::Seed;
use serde_json::Value;

use super::World;
use super::browser::{Browser, Came, between};
use super::waiting::{Teller, until};
use crate::config::wall_clock;

/// Who signs in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) login: &'static str,
    pub(super) password: &'static str,
    pub(super) phone: &'static str,
}

/// Somebody who has bound a second factor.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    /// How many recovery codes there are.
    pub(super) codes: usize,
    /// Whether it led inside.
    pub(super) is_inside: bool,
}

/// Somebody binds an authenticator application, recovery codes and a phone, with the code that the command printed.
///
/// The authenticator application is a few lines here.
pub(super) async fn bind(world: &World, who: &Person, code: &str, tell: Teller<'_>) -> anyhow::Result<Bound> {
    let mut browser = Browser::new(world.console);
    browser.post("/bind", &[("code", code), ("password", who.password)]).await?;
    let page = browser.get("/bind/factors").await?.text;
    let secret = between(&page, "<code class=\"secret\">", "</code>").context("the page shows a secret")?;
    let seed = Seed::new(decoded(secret).context("the secret is base32")?);
    let typed = seed.code_at(Timestamp::try_from(wall_clock())?);
    browser.form(&page, "/bind/totp", &[("code", &typed)]).await?;
    let page = browser.get("/bind/factors").await?.text;
    let codes = browser.form(&page, "/bind/codes", &[]).await?.text.matches("<li><code>").count();
    let known = codes_on(world, who.phone).await?;
    let phone = [("number", who.phone), ("channel", "sms")];
    // At the start nobody knows yet what a code costs, and then none is sent.
    until("Ringfence has read what a code costs", tell, async || {
        let refused = browser.clone().form(&page, "/bind/phone", &phone).await?.problem();
        Ok(refused.is_none().then_some(()))
    })
    .await?;
    let code = new_code(world, who.phone, &known, tell).await?;
    let page = browser.get("/bind/factors").await?.text;
    browser.form(&page, "/bind/phone/code", &[("code", &code)]).await?;
    let page = browser.get("/bind/factors").await?.text;
    let is_inside = browser.form(&page, "/bind/finish", &[]).await?.to == "/";
    Ok(Bound { codes, is_inside })
}

/// Types a login and a password.
pub(super) async fn type_password(
    browser: &mut Browser,
    login: &str,
    password: &str,
) -> anyhow::Result<Came> {
    browser.post("/sign-in", &[("login", login), ("password", password)]).await
}

/// Asks for a code: `sms` or `call`.
pub(super) async fn ask_for_code(browser: &mut Browser, channel: &str) -> anyhow::Result<Came> {
    let page = browser.get("/second-factor").await?.text;
    browser.form(&page, "/second-factor/send", &[("channel", channel)]).await
}

/// Types the code that came, or one of the application.
pub(super) async fn type_code(browser: &mut Browser, field: &str, code: &str) -> anyhow::Result<Came> {
    let page = browser.get("/second-factor").await?.text;
    browser.form(&page, "/second-factor", &[(field, code)]).await
}

/// Codes that a phone has been sent, the oldest first.
pub(super) async fn codes_on(world: &World, phone: &str) -> anyhow::Result<Vec<String>> {
    let thread = world.twilio.phone(phone).await?;
    let bodies = thread.as_array().into_iter().flatten().filter_map(|entry| entry["body"].as_str());
    Ok(bodies.filter_map(code_in).map(str::to_owned).collect())
}

/// The code that the phone shows and did not show before.
pub(super) async fn new_code(
    world: &World,
    phone: &str,
    known: &[String],
    tell: Teller<'_>,
) -> anyhow::Result<String> {
    until("the code has come to the phone", tell, async || {
        let codes = codes_on(world, phone).await?;
        Ok(codes.into_iter().find(|code| !known.contains(code)))
    })
    .await
}

/// The call with a code that a phone has now, if any: what was said so far, and what it waits for.
pub(super) async fn call_on(world: &World, phone: &str) -> anyhow::Result<Option<Value>> {
    world.twilio.last_call(phone).await
}

/// Ends when a phone is in a call, and has heard what it is about.
pub(super) async fn answered(world: &World, phone: &str, tell: Teller<'_>) -> anyhow::Result<()> {
    until("the phone is answered", tell, async || {
        let call = call_on(world, phone).await?;
        Ok(call.filter(|call| call["lines"].as_array().is_some_and(|lines| !lines.is_empty())).map(|_| ()))
    })
    .await
}

/// Ends when Ringfence's console is at work, which waits for what is read from Twilio at the start.
pub(super) async fn ready(world: &World, tell: Teller<'_>) -> anyhow::Result<()> {
    until("the console is at work", tell, async || {
        let came = Browser::new(world.console).get("/sign-in").await?;
        Ok((came.status == 200).then_some(()))
    })
    .await
}

fn code_in(text: &str) -> Option<&str> {
    let mut words = text.split(|it: char| !it.is_ascii_alphanumeric());
    words.find(|it| it.len() == 6 && it.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Base32 (RFC 4648) undone, as an authenticator application does it: 32 letters are 20 bytes.
fn decoded(text: &str) -> Option<[u8; 20]> {
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(20), 0_u32, 0);
    for letter in text.bytes().filter(|it| *it != b' ') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    bytes.try_into().ok()
}
