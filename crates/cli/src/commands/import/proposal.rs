//! Routes as they are proposed: TOML to copy, each with where it comes from; and what has no route, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ringfence_gateway::basic::{BasicUsers, PasswordCheck};
use ringfence_gateway::settings::Upstream;
use ringfence_gateway::upstream::UpstreamName;
use ringfence_model::Secret;
use ringfence_signature::PublicUrl;

use super::nginx::Proves;
use crate::commands::toml_text::{comment, quoted};

/// A route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Proposal {
    /// `/twilio/`, or `/sms` for exactly that.
    pub(super) path: String,
    /// `https://hooks.example.com`.
    pub(super) public_url: String,
    pub(super) upstream: String,
    /// How the application proves who it is, where it is spoken to over TLS.
    pub(super) proves: Proves,
    /// Who stands in the URL with a password. Twilio sends both, and some of its products sign the URL with them, so only a
    /// route that knows them takes each request.
    pub(super) users: Vec<User>,
    /// Where it comes from, and what deserves a look.
    pub(super) notes: Vec<String>,
    /// What it would take too, where the proxy itself answers now: no webhook.
    pub(super) stays: Vec<String>,
    /// What it would take too, and leads elsewhere now. Whether that is a webhook only people know, so while there is some the
    /// route is not in force.
    pub(super) asks: Vec<String>,
}

/// A user of HTTP Basic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    /// Compared, and never shown.
    pub(super) password: Secret,
}

/// What has no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) place: String,
    pub(super) why: String,
}

/// All of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Proposals {
    pub(super) routes: Vec<Proposal>,
    /// Which of them takes a path at a host.
    taken: BTreeMap<(String, Option<String>), usize>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Proposals {
    /// Adds a route, if it can be one and none takes the same already.
    pub(super) fn add(&mut self, route: Proposal, place: &str) {
        if let Err(why) = can_be(&route) {
            return self.leave_out(place, why);
        }
        let key = (route.path.clone(), host(&route.public_url));
        let Some(known) = self.taken.get(&key).and_then(|at| self.routes.get_mut(*at)) else {
            self.taken.insert(key, self.routes.len());
            return self.routes.push(route);
        };
        if (&known.upstream, &known.proves, &known.public_url)
            == (&route.upstream, &route.proves, &route.public_url)
        {
            if known.users.is_empty() != route.users.is_empty() {
                let why = format!(
                    "{} at this host is a route already; of the two URLs one has a password and the other none, and a route asks \
                     for it always or never: give both one at Twilio, or none",
                    known.path
                );
                return self.leave_out(place, why);
            }
            let others = route.users.into_iter().filter(|it| !known.users.contains(it)).collect::<Vec<_>>();
            known.users.extend(others);
            known.notes.extend(route.notes);
            known.stays.extend(route.stays);
            known.asks.extend(route.asks);
            return;
        }
        let why = format!(
            "{} at this host is a route already, {} to {}, and this is {} to {}",
            known.path, known.public_url, known.upstream, route.public_url, route.upstream
        );
        self.leave_out(place, why);
    }

    pub(super) fn leave_out(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut { place: place.into(), why: why.into() });
    }

    /// `[[route]]`s that load, and as comments what is none.
    pub(super) fn as_toml(&self, head: &[String]) -> String {
        let mut text = String::new();
        for line in head {
            _ = writeln!(text, "# {}", comment(line));
        }
        let hosts: BTreeSet<_> = self.routes.iter().map(|route| host(&route.public_url)).collect();
        let mut users: Vec<&User> = Vec::new();
        for route in &self.routes {
            text.push('\n');
            let mut say = |line: &str| _ = writeln!(text, "# {}", comment(line));
            for note in &route.notes {
                say(note);
            }
            if !route.stays.is_empty() {
                say("The proxy itself answers these. Keep them there: this route would take them too.");
                route.stays.iter().for_each(|it| say(&format!("  {it}")));
            }
            let mut basic = Vec::new();
            for user in &route.users {
                let at = users.iter().position(|it| *it == user).unwrap_or(users.len());
                if at == users.len() {
                    users.push(user);
                }
                let variable = variable(at);
                say(&format!("Set {variable} to the password that stands in this URL beside {}.", user.name));
                basic.push(format!(
                    "{{ user = {}, password = {{ env = \"{variable}\" }} }}",
                    quoted(&user.name)
                ));
            }
            let mut off = "";
            if !route.asks.is_empty() {
                say(
                    "Does Twilio call any of these? They lead elsewhere now, and this route would take them too.",
                );
                route.asks.iter().for_each(|it| say(&format!("  {it}")));
                say(
                    "If not, take the # away. If so, write a route for that first: a longer path goes before.",
                );
                off = "# ";
            }
            let mut lines = vec!["[[route]]".to_owned(), format!("path = {}", quoted(&route.path))];
            // The same path may lead elsewhere at another host.
            if let (true, Some(host)) = (hosts.len() > 1, host(&route.public_url)) {
                lines.push(format!("host = {}", quoted(&host)));
            }
            lines.push(format!("public_url = {}", quoted(&route.public_url)));
            lines.push(format!("upstream = {}", quoted(&route.upstream)));
            let Proves { authorities, name, identity } = &route.proves;
            let (certificate, key) = identity.clone().unzip();
            for (key, value) in [
                ("upstream_ca", authorities.clone()),
                ("upstream_name", name.clone()),
                ("upstream_certificate", certificate),
                ("upstream_key", key),
            ] {
                lines.extend(value.map(|value| format!("{key} = {}", quoted(&value))));
            }
            if basic.is_empty() {
                lines.push("check = \"signature\"".to_owned());
            } else {
                lines.push("check = \"signature+basic\"".to_owned());
                lines.push(format!("basic = [{}]", basic.join(", ")));
            }
            for line in lines {
                _ = writeln!(text, "{off}{line}");
            }
        }
        if !self.left_out.is_empty() {
            text.push_str("\n# Not imported:\n");
            for LeftOut { place, why } in &self.left_out {
                _ = writeln!(text, "#   {}: {}", comment(place), comment(why));
            }
        }
        text
    }
}

/// The environment variable of the user with this number.
fn variable(at: usize) -> String {
    match at {
        0 => "WEBHOOK_PASSWORD".to_owned(),
        at => format!("WEBHOOK_PASSWORD_{}", at + 1),
    }
}

/// The host of a URL, as requests name it: without its port.
pub(super) fn host(public_url: &str) -> Option<String> {
    let uri: http::Uri = public_url.parse().ok()?;
    uri.host().map(str::to_ascii_lowercase)
}

/// Whether the configuration would take it.
fn can_be(route: &Proposal) -> Result<(), String> {
    let path = &route.path;
    if !path.starts_with('/') || path.contains(['?', '#']) || !path.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(format!("{} cannot be a path of a route", path.escape_debug()));
    }
    PublicUrl::parse(&route.public_url).map_err(|error| format!("its public URL cannot be used: {error}"))?;
    // `host` takes names of letters, digits and `-._`, and IPv6 in brackets.
    let is_plain = |host: &str| {
        host.starts_with('[') || host.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._".contains(&it))
    };
    if !host(&route.public_url).is_some_and(|host| is_plain(&host)) {
        return Err("its public URL has no host that could be named".to_owned());
    }
    if let Some(name) = &route.proves.name
        && let Err(error) = name.parse::<UpstreamName>()
    {
        return Err(format!("{} cannot be the name in a certificate: it {error}", name.escape_debug()));
    }
    let users = route.users.iter().map(|it| (it.name.clone(), PasswordCheck::Plain(it.password.clone())));
    if !route.users.is_empty()
        && let Err(error) = BasicUsers::new(users)
    {
        return Err(format!("no route can ask for the user and the password in its URL: {error}"));
    }
    match route.upstream.parse::<Upstream>() {
        Ok(Upstream::Application(_)) => Ok(()),
        Ok(_) => Err("it leads to no application".to_owned()),
        Err(error) => Err(format!("{} cannot be an upstream: {error}", route.upstream.escape_debug())),
    }
}
