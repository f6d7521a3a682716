//! Servers and their locations as routes.
//!
//! nginx and the gate choose differently among paths. nginx takes `=`, then the first regular expression that matches, unless
//! the longest prefix is `^~`, then the longest prefix, whether or not it ends with `/`
//! (<https://nginx.org/en/docs/http/ngx_http_core_module.html#location>). The gate takes an exact path, then the longest prefix
//! that ends with `/`. So a route may take what another location takes at nginx: that is told beside the route, and where it
//! may be a webhook of another application, the route is written as a question and not in force.

use std::collections::BTreeSet;

use super::location::{self, Goes, Inherited, Kind, Location, Pattern, Takes, Upstreams};
use super::proxy_tls::Proves;
use super::tree::{self, Directive, Sources, Wrong};
use crate::commands::import::proposal::{Proposal, Proposals, host};

/// Directives of a server that may change what Twilio calls.
const NOT_FOLLOWED: &[&str] = &["rewrite", "if", "proxy_method", "proxy_set_body"];

/// Makes routes of a configuration.
pub(crate) fn read(sources: &dyn Sources) -> Result<Proposals, Wrong> {
    let tree::Read { directives, unread } = tree::read(sources)?;
    let mut found = Found::default();
    found.look(&directives, Inherited::default());
    let mut proposals = Proposals::default();
    for (place, why) in unread {
        proposals.leave_out(place.to_string(), format!("include: {why}"));
    }
    let mut servers: Vec<_> = found
        .servers
        .iter()
        .filter_map(|(server, levels)| Server::read(server, *levels, &found.upstreams, &mut proposals))
        .collect();
    // A route goes by host and path alone, so of two servers of one host the one that Twilio should be told goes first.
    servers.sort_by_key(|server| (!server.public_url.starts_with("https://"), server.has_port()));
    for (at, server) in servers.iter().enumerate() {
        server.propose(&servers[..at], &mut proposals);
    }
    Ok(proposals)
}

/// What stands at the level of `http`, however it got there: a file of `sites-enabled` alone is read too.
#[derive(Default)]
struct Found<'a> {
    /// Each with what it takes over from the level above it.
    servers: Vec<(&'a Directive, Inherited<'a>)>,
    upstreams: Upstreams<'a>,
}

impl<'a> Found<'a> {
    fn look(&mut self, directives: &'a [Directive], above: Inherited<'a>) {
        let levels = above.within(directives);
        for directive in directives {
            match directive.name.as_str() {
                "http" => self.look(directive.block.as_deref().unwrap_or_default(), levels),
                "server" if directive.block.is_some() => self.servers.push((directive, levels)),
                "upstream" => _ = self.upstreams.insert(directive.word(0), directive),
                _ => {}
            }
        }
    }
}

/// A server that Twilio could be told of.
struct Server<'a> {
    place: String,
    public_url: String,
    /// What deserves a look at each of its routes.
    notes: Vec<String>,
    locations: Vec<Location<'a>>,
    patterns: Vec<Pattern<'a>>,
}

/// What the levels above a location have that comes before it.
#[derive(Default)]
struct Above<'a> {
    /// Regular expressions, by their number.
    patterns: Vec<usize>,
    /// Prefixes beside the locations around it, which are longer than these, and where they stand: nginx does not look into the
    /// shorter one.
    longer: Vec<(&'a str, String)>,
    levels: Inherited<'a>,
}

/// A route on its way.
struct Candidate<'a> {
    path: String,
    location: &'a Location<'a>,
    upstream: &'a str,
    notes: Vec<String>,
    stays: Vec<String>,
    asks: Vec<String>,
}

impl<'a> Server<'a> {
    /// Nothing where there is nothing to tell Twilio of, which is said.
    fn read(
        server: &'a Directive,
        levels: Inherited<'a>,
        upstreams: &Upstreams<'_>,
        proposals: &mut Proposals,
    ) -> Option<Self> {
        let block = server.block.as_deref().unwrap_or_default();
        if let Some(answer) = block.iter().find(|it| it.name == "return") {
            let why =
                format!("return {}: nginx answers by itself, and nothing is sent on", answer.words.join(" "));
            proposals.leave_out(answer.place.to_string(), why);
            return None;
        }
        if server.inside("location").next().is_none() {
            proposals.leave_out(server.place.to_string(), "this server has no location that is sent on");
            return None;
        }
        let mut listens = server.inside("listen").peekable();
        if listens.peek().is_some() && listens.all(|it| it.word(0).starts_with("unix:")) {
            let why =
                "it listens on a Unix socket alone: Twilio is told the URL of the server that leads to it";
            proposals.leave_out(server.place.to_string(), why);
            return None;
        }
        let names: Vec<_> = server.inside("server_name").flat_map(|it| &it.words).collect();
        // `.example.com` is `example.com` too, and all below it.
        let dotted = || names.iter().filter_map(|name| name.strip_prefix('.')).find(|name| is_host(name));
        let Some(name) = names.iter().map(|it| it.as_str()).find(|name| is_host(name)).or_else(dotted) else {
            let why =
                "its server_name is no host that Twilio could be told, so there is no public_url to write";
            proposals.leave_out(server.place.to_string(), why);
            return None;
        };
        for directive in block.iter().filter(|it| NOT_FOLLOWED.contains(&it.name.as_str())) {
            let why = format!(
                "{} {}: it is not followed; look whether it changes what Twilio calls",
                directive.name,
                directive.words.join(" ")
            );
            proposals.leave_out(directive.place.to_string(), why);
        }
        let public_url = public_url(name, server);
        let mut notes = Vec::new();
        if public_url.starts_with("http://") {
            notes.push("nginx takes it without TLS: Twilio should be told an https:// URL".to_owned());
        }
        let others: Vec<_> =
            names.iter().map(|it| it.as_str()).filter(|other| *other != name && !other.is_empty()).collect();
        if !others.is_empty() {
            notes.push(format!(
                "also called {}: write what Twilio was told into public_url, and into host where that stands",
                others.join(", ")
            ));
        }
        let place = server.place.to_string();
        let mut read = Self { place, public_url, notes, locations: Vec::new(), patterns: Vec::new() };
        let above = Above { levels: levels.within(block), ..Above::default() };
        read.locations_of(server, &above, upstreams, proposals);
        Some(read)
    }

    /// The locations in a server or a location, each with those in it. Gives the regular expressions of this level.
    fn locations_of(
        &mut self,
        block: &'a Directive,
        above: &Above<'a>,
        upstreams: &Upstreams<'_>,
        proposals: &mut Proposals,
    ) -> Vec<usize> {
        let begin = self.patterns.len();
        for location in block.inside("location") {
            self.pattern(location, above.levels, upstreams);
        }
        let here: Vec<_> = (begin..self.patterns.len()).collect();
        for location in block.inside("location") {
            let takes = match location::kind(location) {
                Ok(Kind::Plain(takes)) => takes,
                Ok(Kind::Pattern { .. }) => {
                    leave_out_all(location, proposals);
                    continue;
                }
                Err(why) => {
                    proposals.leave_out(location.place.to_string(), why);
                    continue;
                }
            };
            if let Some((longer, place)) =
                above.longer.iter().find(|(longer, _)| takes.path().starts_with(longer))
            {
                let why = format!(
                    "{}: nginx never comes here, for location {longer} ({place}) is longer than the location around it",
                    location::shown(location)
                );
                proposals.leave_out(location.place.to_string(), why);
                continue;
            }
            let mut yields_to = match takes {
                Takes::Exact(_) => Vec::new(),
                Takes::Prefix { is_last_word: true, .. } => above.patterns.clone(),
                Takes::Prefix { is_last_word: false, .. } => [&above.patterns[..], &here].concat(),
            };
            let levels = above.levels.within(location.block.as_deref().unwrap_or_default());
            let goes = location::goes(location, upstreams, &levels);
            if let Some(why) = goes.why_not() {
                proposals.leave_out(&why.place, &why.why);
            }
            let (place, shown) = (location.place.to_string(), location::shown(location));
            let at = self.locations.len();
            self.locations.push(Location { place, shown, takes, goes, yields_to: Vec::new() });
            let longer = block.inside("location").filter_map(|it| match location::kind(it) {
                Ok(Kind::Plain(Takes::Prefix { path, .. })) if path.len() > takes.path().len() => {
                    Some((path, it.place.to_string()))
                }
                _ => None,
            });
            let longer = above.longer.iter().cloned().chain(longer).collect();
            let inner = Above { patterns: yields_to.clone(), longer, levels };
            let inside = self.locations_of(location, &inner, upstreams, proposals);
            yields_to.extend(inside);
            if let Some(location) = self.locations.get_mut(at) {
                location.yields_to = yields_to;
            }
        }
        here
    }

    /// A regular expression, and those in it.
    fn pattern(&mut self, location: &'a Directive, above: Inherited<'a>, upstreams: &Upstreams<'_>) {
        let Ok(Kind::Pattern { expression, ignores_case }) = location::kind(location) else { return };
        let (place, shown) = (location.place.to_string(), location::shown(location));
        let levels = above.within(location.block.as_deref().unwrap_or_default());
        let goes = location::goes(location, upstreams, &levels);
        self.patterns.push(Pattern { place, shown, expression, ignores_case, goes });
        for inner in location.inside("location") {
            self.pattern(inner, levels, upstreams);
        }
    }

    /// Whether a port is said in its URL.
    fn has_port(&self) -> bool {
        self.public_url.bytes().filter(|it| *it == b':').count() > 1
    }

    /// Why it is no route that a path leads on here: another server of the host has the path.
    fn taken_by(&self, before: &[Server<'_>], path: &str) -> Option<String> {
        let is_other = |it: &&Server<'_>| {
            it.public_url != self.public_url && host(&it.public_url) == host(&self.public_url)
        };
        before.iter().filter(is_other).find_map(|other| {
            let location = other.locations.iter().find(|it| it.takes.has(path))?;
            Some(format!(
                "{path} is at {} already ({}, in the server of {}), and a route goes by host and path alone; this is {}",
                other.public_url, location.place, other.place, self.public_url
            ))
        })
    }

    fn propose(&self, before: &[Server<'_>], proposals: &mut Proposals) {
        let mut candidates = self.candidates(proposals);
        self.compare(&mut candidates, proposals);
        self.compare_patterns(&mut candidates);
        let mut last: Option<&Location<'_>> = None;
        for Candidate { path, location, upstream, notes, stays, asks } in candidates {
            let is_second = last.replace(location).is_some_and(|last| std::ptr::eq(last, location));
            let place = &location.place;
            if let Some(why) = self.taken_by(before, &path) {
                proposals.leave_out(place, why);
                continue;
            }
            let (own, proves) = match &location.goes {
                Goes::On { notes, proves, .. } => (notes.as_slice(), proves.clone()),
                Goes::Nowhere(_) | Goes::Elsewhere(_) => (&[][..], Proves::default()),
            };
            let begin = format!("{place}: {}", location.shown);
            let notes = if is_second {
                [&[format!("{begin}, what is below it")][..], &notes].concat()
            } else {
                [&[begin][..], own, &self.notes, &notes].concat()
            };
            let (public_url, upstream) = (self.public_url.clone(), upstream.to_owned());
            proposals.add(
                Proposal { path, public_url, upstream, proves, users: Vec::new(), notes, stays, asks },
                place,
            );
        }
    }

    /// The routes of the locations alone. A prefix of ours ends with `/`, and nginx's need not.
    fn candidates(&self, proposals: &mut Proposals) -> Vec<Candidate<'_>> {
        let is_said = |takes: &dyn Fn(&Takes<'_>) -> bool| self.locations.iter().any(|it| takes(&it.takes));
        let mut candidates = Vec::new();
        for location in &self.locations {
            let Some(upstream) = location.goes.upstream() else { continue };
            let candidate = |path: String| {
                let [notes, stays, asks] = [const { Vec::new() }; 3];
                Candidate { path, location, upstream, notes, stays, asks }
            };
            match location.takes {
                // Compared with the others: no route takes such a path alone.
                Takes::Exact(path) if path.ends_with('/') => {}
                Takes::Exact(path) => candidates.push(candidate(path.to_owned())),
                Takes::Prefix { path, .. } if path.ends_with('/') => {
                    candidates.push(candidate(path.to_owned()));
                }
                Takes::Prefix { path, .. } => {
                    let below = format!("{path}/");
                    let begin = candidates.len();
                    if !is_said(&|it| *it == Takes::Exact(path)) {
                        candidates.push(candidate(path.to_owned()));
                    }
                    if !is_said(&|it| matches!(it, Takes::Prefix { path, .. } if *path == below)) {
                        candidates.push(candidate(below));
                    }
                    if candidates.len() == begin {
                        let why = format!(
                            "{}: what it takes besides {path} and what begins with {path}/ has no route",
                            location.shown
                        );
                        proposals.leave_out(&location.place, why);
                    }
                }
            }
        }
        candidates
    }

    /// What routes would take that other locations with a plain path take at nginx.
    fn compare(&self, candidates: &mut [Candidate<'_>], proposals: &mut Proposals) {
        for at in 0..candidates.len() {
            let Takes::Prefix { path, .. } = candidates[at].location.takes else { continue };
            if path.ends_with('/')
                || candidates[..at].iter().any(|it| std::ptr::eq(it.location, candidates[at].location))
            {
                continue;
            }
            let wider = longest(candidates, path).map(|wider| &candidates[wider]);
            let then = match wider {
                Some(wider) if wider.upstream == candidates[at].upstream => continue,
                Some(wider) => format!(", and that would go to the route {}", wider.path),
                None => String::new(),
            };
            let note = format!(
                "nginx takes all that begins with {path}, as {path}more does; a route does not{then}"
            );
            candidates[at].notes.push(note);
        }
        for location in &self.locations {
            let path = location.takes.path();
            let named = format!("{}: {}", location.place, location.shown);
            let taker = longest(candidates, path).and_then(|at| candidates.get_mut(at));
            match &location.goes {
                Goes::Nowhere(_) => {
                    if let Some(taker) = taker {
                        taker.stays.push(named);
                    }
                }
                Goes::Elsewhere(_) => {
                    if let Some(taker) = taker {
                        taker.asks.push(named);
                    }
                }
                Goes::On { upstream, .. }
                    if matches!(location.takes, Takes::Exact(_)) && path.ends_with('/') =>
                {
                    match taker {
                        Some(taker) if taker.upstream == upstream => {
                            taker.notes.push(format!("{named} is in it"));
                            continue;
                        }
                        Some(taker) => taker.asks.push(named),
                        None => {}
                    }
                    let why = format!(
                        "{}: a route whose path ends with / takes all that begins so, and this is {path} alone; tell Twilio \
                         a path without / at its end",
                        location.shown
                    );
                    proposals.leave_out(&location.place, why);
                }
                Goes::On { .. } => {}
            }
        }
    }

    /// What routes would take that regular expressions take at nginx.
    fn compare_patterns(&self, candidates: &mut [Candidate<'_>]) {
        for (number, pattern) in self.patterns.iter().enumerate() {
            let comes_before = |location: &Location<'_>, path: &str, is_begin: bool| {
                location.yields_to.contains(&number) && pattern.may_match(path, is_begin)
            };
            let own = candidates.iter().enumerate();
            let own = own.filter(|(_, it)| comes_before(it.location, &it.path, it.path.ends_with('/')));
            let mut takers: BTreeSet<usize> = own.map(|(at, _)| at).collect();
            // What a location takes without a route of its own comes to a shorter one.
            for location in &self.locations {
                let path = location.takes.path();
                let has_routes = location.goes.upstream().is_some() && path.ends_with('/');
                if !has_routes && comes_before(location, path, true) {
                    takers.extend(longest(candidates, path));
                }
            }
            let named = format!("{}: {}", pattern.place, pattern.shown);
            for taker in takers {
                let Some(candidate) = candidates.get_mut(taker) else { continue };
                match &pattern.goes {
                    Goes::On { upstream, .. } if upstream == candidate.upstream => {}
                    Goes::Nowhere(_) => candidate.stays.push(named.clone()),
                    Goes::On { .. } | Goes::Elsewhere(_) => candidate.asks.push(named.clone()),
                }
            }
        }
    }
}

/// A location with a regular expression, and all in it: none of them is a route.
fn leave_out_all(location: &Directive, proposals: &mut Proposals) {
    let shown = location::shown(location);
    let why = match location::kind(location) {
        Ok(Kind::Pattern { .. }) => {
            format!("{shown}: a route has a plain path, and this is a regular expression")
        }
        Ok(Kind::Plain(_)) => format!("{shown} stands in a regular expression"),
        Err(why) => why,
    };
    proposals.leave_out(location.place.to_string(), why);
    for inner in location.inside("location") {
        leave_out_all(inner, proposals);
    }
}

/// The route that takes a path, or what begins so: the one with the longest prefix.
fn longest(candidates: &[Candidate<'_>], path: &str) -> Option<usize> {
    let takes = |(_, it): &(usize, &Candidate<'_>)| it.path.ends_with('/') && path.starts_with(&it.path);
    candidates.iter().enumerate().filter(takes).max_by_key(|(_, it)| it.path.len()).map(|(at, _)| at)
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
