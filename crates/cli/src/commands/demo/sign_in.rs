//! The tour's third part: an owner signs in to the console, and somebody who has her password does not.
//!
//! It goes through the pages as a browser does, with cookies and forms, and reads the code off the phone that the sandbox
//! shows. The authenticator application is a few lines here; the code of an owner comes from the command.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use clap::Parser as _;
use jiff::Timestamp;
use ringfence_second_factor::totp::Seed;

use super::World;
use super::client::{Outgoing, Reply, send};
use super::spending::until;
use super::twilio::PHONE;
use crate::commands::paper::Paper;
use crate::commands::user;
use crate::config::wall_clock;
use crate::{Command, CommandLine};

const LOGIN: &str = "maria@example.com";
const PASSWORD: &str = "tulip cement orbit";

/// Shows it; says how much did not go as told.
pub(super) async fn give(world: &World, out: &mut Paper) -> anyhow::Result<usize> {
    let mut show = Show { out, wrong: 0 };
    show.out
        .line("A password alone opens nothing. Maria owns this installation, and signs in to its console:");
    show.out
        .line(&format!("  $ ringfence user add --role owner {LOGIN} --config {}", world.config.display()));
    let code = invited(world).await?;
    show.out.line(&format!("    {code}"));

    // 1. She binds what she has: an application, recovery codes, a phone.
    let mut maria = Browser::new(world);
    maria.post("/bind", &[("code", &code), ("password", PASSWORD)]).await?;
    let page = maria.get("/bind/factors").await?;
    let secret = between(&page, "<code class=\"secret\">", "</code>").context("the page shows a secret")?;
    let seed = Seed::new(decoded(secret).context("the secret is base32")?);
    let typed = seed.code_at(now()?);
    maria.form(&page, "/bind/totp", &[("code", &typed)]).await?;
    let page = maria.get("/bind/factors").await?;
    let codes = maria.form(&page, "/bind/codes", &[]).await?.text.matches("<li><code>").count();
    maria.form(&page, "/bind/phone", &[("number", PHONE), ("channel", "sms")]).await?;
    let mut seen = Vec::new();
    let typed = on_the_phone(world, &mut seen).await?;
    let page = maria.get("/bind/factors").await?;
    maria.form(&page, "/bind/phone/code", &[("code", &typed)]).await?;
    let page = maria.get("/bind/factors").await?;
    let inside = maria.form(&page, "/bind/finish", &[]).await?;
    show.line(
        inside.to == "/" && codes == 10,
        "with that code she binds an application, a phone, recovery codes",
        "once, then it is used up",
    );

    // 2. Somebody has her password.
    let mut thief = Browser::new(world);
    let asked = thief.post("/sign-in", &[("login", LOGIN), ("password", PASSWORD)]).await?;
    show.line(asked.to == "/second-factor", "a thief types her password", "and is asked for a second factor");
    let page = thief.get("/second-factor").await?;
    let guessed = thief.form(&page, "/second-factor", &[("code", "123456")]).await?;
    show.line(guessed.status == 422, "he guesses", "this is not the code; she is mailed in three minutes");
    let page = thief.get("/").await?;
    show.line(page.is_empty(), "he opens the overview", "and is back at the door");

    // 3. She signs in with the code on her phone.
    let mut browser = Browser::new(world);
    browser.post("/sign-in", &[("login", LOGIN), ("password", PASSWORD)]).await?;
    let page = browser.get("/second-factor").await?;
    browser.form(&page, "/second-factor/send", &[("channel", "sms")]).await?;
    let typed = on_the_phone(world, &mut seen).await?;
    show.line(true, "she types her password, and the code that her phone shows", &typed);
    let inside = browser.form(&page, "/second-factor", &[("phone-code", &typed)]).await?;
    let page = browser.get("/").await?;
    show.line(inside.to == "/" && page.contains(LOGIN), "and is inside", "signed in");
    let mut again = Browser::new(world);
    again.post("/sign-in", &[("login", LOGIN), ("password", PASSWORD)]).await?;
    let page = again.get("/second-factor").await?;
    let used = again.form(&page, "/second-factor", &[("phone-code", &typed)]).await?;
    show.line(used.status == 422, "the same code once more", "it was good once");
    Ok(show.wrong)
}

/// What the command prints that a person types.
async fn invited(world: &World) -> anyhow::Result<String> {
    let config =
        world.config.to_str().context("the folder for temporary files has a name that is no text")?;
    let line = ["ringfence", "user", "add", "--role", "owner", LOGIN, "--config", config];
    let Command::User(arguments) = CommandLine::try_parse_from(line)?.command else {
        bail!("no such command here")
    };
    // Commands have a runtime of their own.
    let answer = tokio::task::spawn_blocking(move || user::run(&arguments)).await?;
    let answer = answer.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    Ok(String::from_utf8_lossy(&answer.output).trim().to_owned())
}

/// The code that the phone shows and did not show before.
async fn on_the_phone(world: &World, seen: &mut Vec<String>) -> anyhow::Result<String> {
    let known = seen.clone();
    let new = until("the code has come to the phone", async || {
        let shown = world.twilio.phone(PHONE).await?;
        let words = shown.split(|it: char| !it.is_ascii_alphanumeric());
        let mut codes = words.filter(|it| it.len() == 6 && it.bytes().all(|byte| byte.is_ascii_digit()));
        Ok(codes.find(|code| !known.iter().any(|it| it == code)).map(str::to_owned))
    })
    .await?;
    seen.push(new.clone());
    Ok(new)
}

fn now() -> anyhow::Result<Timestamp> {
    Ok(Timestamp::try_from(wall_clock())?)
}

/// A browser without windows: cookies, forms, and where it is sent.
struct Browser<'w> {
    world: &'w World,
    cookies: BTreeMap<String, String>,
}

/// What a form came to.
struct Came {
    status: u16,
    /// Where it leads; empty where it leads nowhere.
    to: String,
    text: String,
}

impl<'w> Browser<'w> {
    fn new(world: &'w World) -> Self {
        Self { world, cookies: BTreeMap::new() }
    }

    /// A page; empty where it leads elsewhere.
    async fn get(&mut self, path: &str) -> anyhow::Result<String> {
        let reply = self.ask(Outgoing::new("GET", path)).await?;
        Ok(if reply.status == 200 {
            String::from_utf8_lossy(&reply.body).into_owned()
        } else {
            String::new()
        })
    }

    /// A form of this page, with what only its pages know.
    async fn form(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Came> {
        let csrf = between(page, "name=\"csrf\" value=\"", "\"").context("the page has a form")?.to_owned();
        let fields: Vec<_> = [("csrf", csrf.as_str())].into_iter().chain(fields.iter().copied()).collect();
        self.post(path, &fields).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Came> {
        let mut outgoing = Outgoing::new("POST", path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &format!("http://{}", self.world.console));
        outgoing.body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        let reply = self.ask(outgoing).await?;
        let to = reply.headers("location").next().unwrap_or_default().to_owned();
        Ok(Came { status: reply.status, to, text: String::from_utf8_lossy(&reply.body).into_owned() })
    }

    async fn ask(&mut self, outgoing: Outgoing) -> anyhow::Result<Reply> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut outgoing = outgoing.header("host", &self.world.console.to_string());
        if !cookies.is_empty() {
            outgoing = outgoing.header("cookie", &cookies.join("; "));
        }
        let reply = send(self.world.console, &outgoing).await?;
        for cookie in reply.headers("set-cookie") {
            if let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(reply)
    }
}

/// What stands between two texts.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    text.split_once(before)?.1.split_once(after).map(|(between, _)| between)
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

struct Show<'a> {
    out: &'a mut Paper,
    wrong: usize,
}

impl Show<'_> {
    fn line(&mut self, as_told: bool, what: &str, shown: &str) {
        self.wrong += usize::from(!as_told);
        let mark = if as_told { "ok " } else { "WRONG" };
        self.out.line(format!("  {mark} {what:<66} {shown}").trim_end());
    }
}
