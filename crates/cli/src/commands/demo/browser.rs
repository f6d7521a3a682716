//! A browser without windows, for the console: cookies, forms, and where it is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context;

use super::client::{Outgoing, Reply, send};

/// Somebody's browser. It has what a browser keeps, and nothing else.
#[derive(Debug, Clone)]
pub(super) struct Browser {
    console: SocketAddr,
    cookies: BTreeMap<String, String>,
}

/// What a request came to.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) status: u16,
    /// Where it leads; empty where it leads nowhere.
    pub(super) to: String,
    pub(super) text: String,
}

impl Came {
    /// What the page says is wrong.
    pub(super) fn problem(&self) -> Option<String> {
        let alert = between(&self.text, "class=\"problem\" role=\"alert\"", "</p>")?;
        alert.split_once('>').map(|(_, text)| unescaped(text))
    }
}

impl Browser {
    pub(super) fn new(console: SocketAddr) -> Self {
        Self { console, cookies: BTreeMap::new() }
    }

    /// A page, or where it leads.
    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Came> {
        self.ask(Outgoing::new("GET", path)).await
    }

    /// A form of this page, with what only its pages know.
    pub(super) async fn form(
        &mut self,
        page: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<Came> {
        let csrf = between(page, "name=\"csrf\" value=\"", "\"").context("the page has a form")?.to_owned();
        let fields: Vec<_> = [("csrf", csrf.as_str())].into_iter().chain(fields.iter().copied()).collect();
        self.post(path, &fields).await
    }

    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Came> {
        let mut outgoing = Outgoing::new("POST", path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &format!("http://{}", self.console));
        outgoing.body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        self.ask(outgoing).await
    }

    async fn ask(&mut self, outgoing: Outgoing) -> anyhow::Result<Came> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut outgoing = outgoing.header("host", &self.console.to_string());
        if !cookies.is_empty() {
            outgoing = outgoing.header("cookie", &cookies.join("; "));
        }
        let reply: Reply = send(self.console, &outgoing).await?;
        for cookie in reply.headers("set-cookie") {
            if let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let to = reply.headers("location").next().unwrap_or_default().to_owned();
        Ok(Came { status: reply.status, to, text: String::from_utf8_lossy(&reply.body).into_owned() })
    }
}

/// What stands between two texts.
pub(super) fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    text.split_once(before)?.1.split_once(after).map(|(between, _)| between)
}

/// What a page shows of an escaped text.
fn unescaped(text: &str) -> String {
    let pairs = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&quot;", "\"")];
    let more = [("&#x27;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&#38;", "&"), ("&amp;", "&")];
    pairs.iter().chain(&more).fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
