//! Servers, locations and upstreams as routes.
//!
//! The gate passes a target on byte for byte under the URL that Twilio signed, so a location has an equal only where nginx
//! does too: a plain path, and a `proxy_pass` that leaves it as it came.

use std::collections::BTreeMap;

use super::tree::{self, Directive, Sources, Wrong};
use crate::commands::import::proposal::{Proposal, Proposals};

/// Directives whose effect stays behind, since the gate has another check in their place.
const STAY_BEHIND: &[&str] = &["auth_basic", "auth_request", "allow", "deny", "limit_req", "limit_except"];

/// What answers in the place of a proxied application.
const OTHER_ANSWERS: &[&str] = &[
    "return",
    "alias",
    "root",
    "try_files",
    "fastcgi_pass",
    "uwsgi_pass",
    "scgi_pass",
    "grpc_pass",
    "content_by_lua_block",
];

/// Makes routes of a configuration.
pub(crate) fn read(sources: &dyn Sources) -> Result<Proposals, Wrong> {
    let tree::Read { directives, unread } = tree::read(sources)?;
    let mut found = Found::default();
    found.look(&directives);
    let mut proposals = Proposals::default();
    for (place, why) in unread {
        proposals.leave_out(place.to_string(), format!("include: {why}"));
    }
    for server in &found.servers {
        of_server(server, &found.upstreams, &mut proposals);
    }
    Ok(proposals)
}

/// What stands at the level of `http`, however it got there: a file of `sites-enabled` alone is read too.
#[derive(Default)]
struct Found<'a> {
    servers: Vec<&'a Directive>,
    upstreams: BTreeMap<&'a str, &'a Directive>,
}

impl<'a> Found<'a> {
    fn look(&mut self, directives: &'a [Directive]) {
        for directive in directives {
            match directive.name.as_str() {
                "http" => self.look(directive.block.as_deref().unwrap_or_default()),
                "server" if directive.block.is_some() => self.servers.push(directive),
                "upstream" => _ = self.upstreams.insert(directive.word(0), directive),
                _ => {}
            }
        }
    }
}

fn of_server(server: &Directive, upstreams: &BTreeMap<&str, &Directive>, proposals: &mut Proposals) {
    let block = server.block.as_deref().unwrap_or_default();
    let locations: Vec<_> = server.inside("location").collect();
    if let Some(answer) = block.iter().find(|it| it.name == "return") {
        let why =
            format!("return {}: nginx answers by itself, and nothing is sent on", answer.words.join(" "));
        return proposals.leave_out(answer.place.to_string(), why);
    }
    if locations.is_empty() {
        return proposals.leave_out(server.place.to_string(), "this server has no location that is sent on");
    }
    let names: Vec<_> = server.inside("server_name").flat_map(|it| &it.words).collect();
    let Some(name) = names.iter().find(|name| is_host(name)) else {
        let why = "its server_name is no host that Twilio could be told, so there is no public_url to write";
        return proposals.leave_out(server.place.to_string(), why);
    };
    for directive in block.iter().filter(|it| ["rewrite", "if"].contains(&it.name.as_str())) {
        let why = format!(
            "{} {}: it is not followed; look whether it changes what Twilio calls",
            directive.name,
            directive.words.join(" ")
        );
        proposals.leave_out(directive.place.to_string(), why);
    }
    let others: Vec<_> = names.iter().filter(|other| *other != name).map(|it| it.as_str()).collect();
    let server = Server { public_url: public_url(name, server), others, upstreams };
    for location in locations {
        server.location(location, proposals);
    }
}

/// A server whose name is known.
struct Server<'a> {
    public_url: String,
    others: Vec<&'a str>,
    upstreams: &'a BTreeMap<&'a str, &'a Directive>,
}

impl Server<'_> {
    fn location(&self, location: &Directive, proposals: &mut Proposals) {
        let place = location.place.to_string();
        for inner in location.inside("location") {
            self.location(inner, proposals);
        }
        let taken = match taken(location) {
            Ok(taken) => taken,
            Err(why) => return proposals.leave_out(place, why),
        };
        let Some(pass) = location.inside("proxy_pass").next() else {
            let has_inner = location.inside("location").next().is_some();
            match other_answer(location) {
                Some(answer) => {
                    proposals.leave_out(answer.place.to_string(), not_sent_on(answer, &taken));
                }
                None if has_inner => {}
                None => proposals.leave_out(place, format!("{} has no proxy_pass", taken.shown())),
            }
            return;
        };
        if let Some(change) =
            location.block.iter().flatten().find(|it| ["rewrite", "if", "return"].contains(&it.name.as_str()))
        {
            let why = format!(
                "{} {}: nginx decides by more than the path, and the gate passes on what Twilio called",
                change.name,
                change.words.join(" ")
            );
            return proposals.leave_out(change.place.to_string(), why);
        }
        match self.upstream(pass.word(0), &taken) {
            Ok((upstream, note)) => {
                let mut notes = vec![format!("{place}: location {}", location.words.join(" "))];
                notes.extend(note);
                notes.extend(self.notes(location));
                for (path, more) in taken.paths() {
                    let notes = notes.iter().cloned().chain(more).collect();
                    let (public_url, upstream) = (self.public_url.clone(), upstream.clone());
                    proposals.add(Proposal { path, public_url, upstream, notes }, &place);
                }
            }
            Err(why) => {
                proposals.leave_out(pass.place.to_string(), format!("proxy_pass {}: {why}", pass.word(0)));
            }
        }
    }

    fn notes(&self, location: &Directive) -> Vec<String> {
        let mut notes = Vec::new();
        if self.public_url.starts_with("http://") {
            notes.push("nginx takes it without TLS: Twilio should be told an https:// URL".to_owned());
        }
        if !self.others.is_empty() {
            notes.push(format!(
                "also called {}: write what Twilio was told into public_url",
                self.others.join(", ")
            ));
        }
        let stays = location.block.iter().flatten().filter(|it| STAY_BEHIND.contains(&it.name.as_str()));
        notes.extend(
            stays.map(|it| format!("{}: {} stays behind; here the signature decides", it.place, it.name)),
        );
        notes
    }

    /// Where a `proxy_pass` leads, and what deserves a look.
    fn upstream(&self, address: &str, taken: &Taken<'_>) -> Result<(String, Option<String>), String> {
        if address.contains('$') {
            return Err("a variable says where it leads".to_owned());
        }
        let rest = match address.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err("the gate speaks plain HTTP to applications; let this one listen without TLS on this machine".to_owned());
            }
            _ => return Err("this is no http:// address".to_owned()),
        };
        if rest.starts_with("unix:") {
            return Err("the gate knows no Unix sockets; let the application listen on 127.0.0.1".to_owned());
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !path.is_empty() && path != taken.path() {
            return Err(format!(
                "nginx makes {path} of {}, and the gate passes on what Twilio called; let the application take that path",
                taken.path()
            ));
        }
        let Some(upstream) = self.upstreams.get(authority) else {
            return Ok((format!("http://{authority}"), None));
        };
        let is_in_use = |it: &&Directive| !it.words.iter().skip(1).any(|it| it == "down" || it == "backup");
        let servers: Vec<_> = upstream.inside("server").filter(is_in_use).map(|it| it.word(0)).collect();
        let Some(first) = servers.first() else {
            return Err(format!("the upstream {authority} has no server that is in use"));
        };
        if first.starts_with("unix:") {
            return Err("the gate knows no Unix sockets; let the application listen on 127.0.0.1".to_owned());
        }
        let note = (servers.len() > 1).then(|| {
            format!("upstream {authority} has {} servers, and a route one: this is the first", servers.len())
        });
        Ok((format!("http://{first}"), note))
    }
}

/// Which paths a location takes.
enum Taken<'a> {
    /// `= /sms`
    Exact(&'a str),
    /// `/twilio/`, `^~ /twilio/`
    Prefix(&'a str),
}

impl Taken<'_> {
    fn path(&self) -> &str {
        let (Self::Exact(path) | Self::Prefix(path)) = self;
        path
    }

    fn shown(&self) -> String {
        match self {
            Self::Exact(path) => format!("= {path}"),
            Self::Prefix(path) => (*path).to_owned(),
        }
    }

    /// The paths of routes, each with what deserves a look. A prefix of ours ends with `/`, and nginx's need not.
    fn paths(&self) -> Vec<(String, Option<String>)> {
        match self {
            Self::Exact(path) if path.ends_with('/') => {
                let note =
                    "nginx takes exactly this path, and a route whose path ends with / all that begins so";
                vec![((*path).to_owned(), Some(note.to_owned()))]
            }
            Self::Prefix(path) if !path.ends_with('/') => {
                let note =
                    format!("nginx takes all that begins with {path}, as {path}more does; a route does not");
                vec![((*path).to_owned(), Some(note)), (format!("{path}/"), None)]
            }
            Self::Exact(path) | Self::Prefix(path) => vec![((*path).to_owned(), None)],
        }
    }
}

fn taken(location: &Directive) -> Result<Taken<'_>, String> {
    let words: Vec<_> = location.words.iter().map(String::as_str).collect();
    // A modifier may stand against its path: `=/sms`.
    let glued = |modifier: &str| match words.as_slice() {
        [word] => word.strip_prefix(modifier).filter(|rest| rest.starts_with('/')),
        _ => None,
    };
    match words.as_slice() {
        ["=", path] => Ok(Taken::Exact(path)),
        ["^~", path] => Ok(Taken::Prefix(path)),
        ["~" | "~*", pattern] => Err(format!(
            "location {} {pattern}: a route has a plain path, and this is a regular expression",
            words[0]
        )),
        [pattern] if pattern.starts_with('~') => {
            Err(format!("location {pattern}: a route has a plain path, and this is a regular expression"))
        }
        [name] if name.starts_with('@') => Err(format!("location {name}: only nginx itself goes there")),
        [_] if glued("=").is_some() => Ok(Taken::Exact(glued("=").unwrap_or_default())),
        [_] if glued("^~").is_some() => Ok(Taken::Prefix(glued("^~").unwrap_or_default())),
        [path] if path.starts_with('/') => Ok(Taken::Prefix(path)),
        _ => Err(format!("location {}: this is not understood", words.join(" "))),
    }
    .and_then(|taken| {
        // nginx compares it with the decoded path, the gate with the raw one.
        if taken.path().contains('%') {
            return Err(format!(
                "location {}: nginx compares decoded paths, the gate raw ones",
                taken.path()
            ));
        }
        Ok(taken)
    })
}

fn other_answer(location: &Directive) -> Option<&Directive> {
    location.block.iter().flatten().find(|it| OTHER_ANSWERS.contains(&it.name.as_str()))
}

fn not_sent_on(answer: &Directive, taken: &Taken<'_>) -> String {
    let shown = taken.shown();
    match answer.words.last().filter(|last| answer.name == "try_files" && last.starts_with('@')) {
        Some(last) => format!(
            "try_files: under {shown} nginx looks for files, and then goes to {last}; write a route for what Twilio calls there"
        ),
        None => format!("{}: {shown} is not sent on", answer.name),
    }
}

/// What Twilio calls, by the first `listen` that is of TLS, else by the first there is.
fn public_url(name: &str, server: &Directive) -> String {
    let is_on = server.inside("ssl").any(|it| it.word(0) == "on");
    let listens: Vec<_> = server.inside("listen").filter(|it| !it.word(0).starts_with("unix:")).collect();
    let is_tls = |it: &Directive| {
        is_on
            || it.words.iter().skip(1).any(|it| it == "ssl" || it == "quic")
            || port(it.word(0)) == Some(443)
    };
    let listen = listens.iter().find(|it| is_tls(it)).or(listens.first());
    let encrypted = listen.map_or(is_on, |it| is_tls(it));
    let usual = if encrypted { 443 } else { 80 };
    let scheme = if encrypted { "https" } else { "http" };
    match listen.and_then(|it| port(it.word(0))).filter(|port| *port != usual) {
        Some(port) => format!("{scheme}://{}:{port}", name.to_ascii_lowercase()),
        None => format!("{scheme}://{}", name.to_ascii_lowercase()),
    }
}

/// The port of `8443`, `127.0.0.1:8443`, `[::]:8443`; none where it is not said.
fn port(listen: &str) -> Option<u16> {
    let after = listen.rsplit_once(':').map_or(listen, |(_, port)| port);
    if listen.ends_with(']') { None } else { after.parse().ok() }
}

/// A name that stands for one host: no wildcard, no regular expression, not the `_` that matches nothing.
fn is_host(name: &str) -> bool {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-.".contains(&it);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain)
}
