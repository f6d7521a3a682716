//! One location: which paths it takes, and where it leads.
//!
//! The gate passes a target on byte for byte under the URL that Twilio signed, so a location has an equal only where nginx
//! does too: a plain path, and a `proxy_pass` that leaves it as it came.

use std::collections::BTreeMap;

use ringfence_gateway::settings::Upstream;

use super::proxy_tls::{Proves, ProxyTls};
use super::tree::Directive;

/// Directives whose effect stays behind, since the gate has another check in their place. A level takes them over from the one
/// above it unless it says another; `allow` and `deny` go together.
const STAY_BEHIND: [&str; 5] = ["auth_basic", "auth_request", "allow", "deny", "limit_req"];

/// What answers out of nginx itself.
const OWN_ANSWERS: &[&str] = &["return", "alias", "root", "try_files", "stub_status"];

/// What leads to an application that speaks something else than HTTP.
const OTHER_ANSWERS: &[&str] =
    &["fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass", "content_by_lua_block"];

/// What makes another request of the one that came: the gate passes that on.
const CHANGES: &[&str] = &["proxy_method", "proxy_set_body"];

/// A route takes so much of a body unless it says otherwise, and so much at most when it does; nginx takes as much as that.
const BODY_CAP: u64 = 1 << 20;
const BODY_CAP_MAX: u64 = 64 << 20;

/// What locations take over from the levels above them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Inherited<'a> {
    tls: ProxyTls<'a>,
    /// `client_max_body_size`, where it is said.
    body: Option<&'a Directive>,
    /// `proxy_set_header Host`, where it is said.
    host: Option<&'a Directive>,
    /// The first of each of [`STAY_BEHIND`].
    stays: [Option<&'a Directive>; STAY_BEHIND.len()],
}

impl<'a> Inherited<'a> {
    /// What is in force within a block of this level.
    pub(super) fn within(self, block: &'a [Directive]) -> Self {
        let body = block.iter().find(|it| it.name == "client_max_body_size").or(self.body);
        // One of them at a level, and none of those above is taken over.
        let mut headers = block.iter().filter(|it| it.name == "proxy_set_header").peekable();
        let host = match headers.peek() {
            None => self.host,
            Some(_) => headers.find(|it| it.word(0).eq_ignore_ascii_case("host")),
        };
        let first = |names: &[&str]| block.iter().find(|it| names.contains(&it.name.as_str()));
        let mut stays = self.stays;
        for (name, stays) in STAY_BEHIND.into_iter().zip(&mut stays) {
            let together: &[&str] =
                if matches!(name, "allow" | "deny") { &["allow", "deny"] } else { &[name] };
            if first(together).is_some() {
                *stays = first(&[name]).filter(|it| it.word(0) != "off");
            }
        }
        Self { tls: self.tls.within(block), body, host, stays }
    }

    /// What deserves a look where the application is told another host than the one that was called.
    fn of_host(&self) -> Option<String> {
        let said = self.host?;
        let is_as_it_came =
            ["$host", "$http_host", "$server_name"].iter().any(|it| said.word(1).starts_with(it));
        (!is_as_it_came).then(|| {
            format!(
                "{}: proxy_set_header Host {} stays behind: routes go by the Host that came, and the gate hands that on",
                said.place,
                said.word(1)
            )
        })
    }

    /// What does not go along.
    fn of_checks(&self) -> impl Iterator<Item = String> {
        let told =
            |it: &Directive| format!("{}: {} stays behind; here the signature decides", it.place, it.name);
        self.stays.into_iter().flatten().map(told)
    }

    /// What deserves a look where nginx takes longer bodies than a route does.
    fn of_bodies(&self) -> Option<String> {
        let said = self.body?;
        let bytes = size(said.word(0))?;
        let takes = match bytes {
            0 => "bodies of any length".to_owned(),
            _ if bytes <= BODY_CAP => return None,
            _ => format!("bodies of up to {}", said.word(0)),
        };
        let add = match bytes {
            0 => "add body_cap, up to \"64 MiB\", if Twilio sends longer ones".to_owned(),
            _ => format!(
                "add body_cap = \"{} MiB\" if Twilio sends them",
                bytes.min(BODY_CAP_MAX).div_ceil(1 << 20)
            ),
        };
        Some(format!("{}: nginx takes {takes}, and a route 1 MiB: {add}", said.place))
    }
}

/// A size as nginx has it: `8000`, `512k`, `20m`, `1g`.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let factor = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// `upstream` blocks by name.
pub(super) type Upstreams<'a> = BTreeMap<&'a str, &'a Directive>;

/// A location with a plain path.
pub(super) struct Location<'a> {
    pub(super) place: String,
    /// `location = /sms`
    pub(super) shown: String,
    pub(super) takes: Takes<'a>,
    pub(super) goes: Goes,
    /// Regular expressions that nginx asks before it takes this one, by their number in the server.
    pub(super) yields_to: Vec<usize>,
}

/// Which paths a location takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes<'a> {
    /// `= /sms`
    Exact(&'a str),
    /// `/twilio/`; no regular expression comes before `^~ /twilio/`.
    Prefix { path: &'a str, is_last_word: bool },
}

/// A location with a regular expression.
pub(super) struct Pattern<'a> {
    pub(super) place: String,
    /// `location ~ \.php$`
    pub(super) shown: String,
    pub(super) expression: &'a str,
    pub(super) ignores_case: bool,
    pub(super) goes: Goes,
}

/// Where a location leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goes {
    /// To an application, with the path as it came; what its certificate is checked with, where it shows one; and what
    /// deserves a look.
    On { upstream: String, proves: Proves, notes: Vec<String> },
    /// nginx itself answers.
    Nowhere(Why),
    /// To an application, in a way that no route can.
    Elsewhere(Why),
}

/// Why a location is no route, and on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) place: String,
    pub(super) why: String,
}

/// What stands between `location` and its block.
pub(super) enum Kind<'a> {
    Plain(Takes<'a>),
    Pattern { expression: &'a str, ignores_case: bool },
}

impl Takes<'_> {
    pub(super) fn path(&self) -> &str {
        let (Self::Exact(path) | Self::Prefix { path, .. }) = self;
        path
    }

    /// Whether a path, or one that begins so, comes here unless a longer one takes it.
    pub(super) fn has(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => *exact == path,
            Self::Prefix { path: prefix, .. } => path.starts_with(prefix),
        }
    }
}

impl Goes {
    /// Why it is no route.
    pub(super) fn why_not(&self) -> Option<&Why> {
        match self {
            Self::On { .. } => None,
            Self::Nowhere(why) | Self::Elsewhere(why) => Some(why),
        }
    }

    pub(super) fn upstream(&self) -> Option<&str> {
        match self {
            Self::On { upstream, .. } => Some(upstream),
            Self::Nowhere(_) | Self::Elsewhere(_) => None,
        }
    }
}

impl Pattern<'_> {
    /// Whether it may match this path or, if that is only a begin, one that begins so. In doubt it may.
    pub(super) fn may_match(&self, path: &str, is_begin: bool) -> bool {
        if !is_begin && !path.contains('.') && self.wants_a_dot() {
            return false;
        }
        let Some(begin) = self.begin() else { return true };
        let (begin, path) = if self.ignores_case {
            (begin.to_ascii_lowercase(), path.to_ascii_lowercase())
        } else {
            (begin, path.to_owned())
        };
        path.starts_with(&begin) || (is_begin && begin.starts_with(&path))
    }

    /// Whether it matches nothing without a dot: `\.php$`, `\.(css|js)$`.
    fn wants_a_dot(&self) -> bool {
        let (mut depth, mut wants) = (0_usize, false);
        let mut letters = self.expression.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                '|' if depth == 0 => return false,
                // What stands in a class is one of several letters.
                '[' => while letters.next().is_some_and(|it| it != ']') {},
                '\\' => {
                    let escaped = letters.next();
                    let may_be_missing = matches!(letters.peek(), Some('*' | '?' | '{'));
                    wants |= escaped == Some('.') && depth == 0 && !may_be_missing;
                }
                _ => {}
            }
        }
        wants
    }

    /// The plain letters that all it matches begins with, if it says where that begins.
    fn begin(&self) -> Option<String> {
        let rest = self.expression.strip_prefix('^')?;
        if rest.contains('|') {
            return None;
        }
        let mut begin = String::new();
        let mut letters = rest.chars().peekable();
        while let Some(letter) = letters.next() {
            let letter = match letter {
                '\\' => match letters.next() {
                    Some(letter) if !letter.is_alphanumeric() => letter,
                    _ => break,
                },
                '.' | '[' | '(' | '+' | '*' | '?' | '{' | '$' | '^' => break,
                letter => letter,
            };
            // It may be missing.
            if matches!(letters.peek(), Some('*' | '?' | '{')) {
                break;
            }
            begin.push(letter);
        }
        Some(begin)
    }
}

/// Which paths a location takes, or why that is not known.
pub(super) fn kind(location: &Directive) -> Result<Kind<'_>, String> {
    let words: Vec<_> = location.words.iter().map(String::as_str).collect();
    // A modifier may stand against its path: `=/sms`.
    let takes = match words.as_slice() {
        ["=", path] => Takes::Exact(path),
        ["^~", path] => Takes::Prefix { path, is_last_word: true },
        ["~", expression] => return Ok(Kind::Pattern { expression, ignores_case: false }),
        ["~*", expression] => return Ok(Kind::Pattern { expression, ignores_case: true }),
        [word] => {
            if let Some(expression) = word.strip_prefix("~*") {
                return Ok(Kind::Pattern { expression, ignores_case: true });
            }
            if let Some(expression) = word.strip_prefix('~') {
                return Ok(Kind::Pattern { expression, ignores_case: false });
            }
            if word.starts_with('@') {
                return Err(format!("location {word}: only nginx itself goes there"));
            }
            match (word.strip_prefix('='), word.strip_prefix("^~")) {
                (Some(path), _) => Takes::Exact(path),
                (_, Some(path)) => Takes::Prefix { path, is_last_word: true },
                _ => Takes::Prefix { path: word, is_last_word: false },
            }
        }
        _ => return Err(format!("{}: this is not understood", shown(location))),
    };
    if !takes.path().starts_with('/') {
        return Err(format!("{}: this is not understood", shown(location)));
    }
    if takes.path().split('/').any(|it| matches!(it, "." | "..")) {
        return Err(format!(
            "location {}: nginx never comes here, for it resolves . and .. first",
            takes.path()
        ));
    }
    // nginx compares it with the decoded path, the gate with the raw one.
    if takes.path().contains('%') {
        return Err(format!("location {}: nginx compares decoded paths, the gate raw ones", takes.path()));
    }
    Ok(Kind::Plain(takes))
}

/// As it stands there.
pub(super) fn shown(location: &Directive) -> String {
    format!("location {}", location.words.join(" "))
}

/// Where a location leads.
pub(super) fn goes(location: &Directive, upstreams: &Upstreams<'_>, levels: &Inherited<'_>) -> Goes {
    let block = location.block.as_deref().unwrap_or_default();
    let one_of = |names: &[&str]| block.iter().find(|it| names.contains(&it.name.as_str()));
    let said = |it: &Directive| [&[it.name.clone()][..], &it.words].concat().join(" ");
    let why = |at: &Directive, why: String| Why { place: at.place.to_string(), why };
    let shown = shown(location);
    // It comes before all that sends on.
    if let Some(answer) = one_of(&["return"]) {
        return Goes::Nowhere(why(answer, format!("{}: {shown} is not sent on", said(answer))));
    }
    if let Some(internal) = one_of(&["internal"]) {
        return Goes::Nowhere(why(
            internal,
            format!("internal: {shown} is for nginx itself, and others get 404"),
        ));
    }
    let Some(pass) = one_of(&["proxy_pass"]) else {
        if let Some(answer) = one_of(OTHER_ANSWERS) {
            return Goes::Elsewhere(why(answer, format!("{}: {shown} speaks no HTTP", answer.name)));
        }
        let Some(answer) = one_of(OWN_ANSWERS) else {
            return Goes::Nowhere(why(location, format!("{shown} has no proxy_pass")));
        };
        return match answer.words.last().filter(|last| answer.name == "try_files" && last.starts_with('@')) {
            Some(last) => Goes::Elsewhere(why(
                answer,
                format!(
                    "try_files: in {shown} nginx looks for files, and then goes to {last}; write a route for what Twilio \
                     calls there"
                ),
            )),
            None => Goes::Nowhere(why(answer, format!("{}: {shown} is not sent on", answer.name))),
        };
    };
    if let Some(change) = one_of(&["rewrite", "if"]) {
        let what = "nginx decides by more than the path, and the gate passes on what Twilio called";
        return Goes::Elsewhere(why(change, format!("{}: {what}", said(change))));
    }
    if let Some(change) = one_of(CHANGES) {
        let what = "nginx makes another request of it, and the gate passes on what Twilio sent";
        return Goes::Elsewhere(why(change, format!("{}: {what}", change.name)));
    }
    // A variable that says what nginx would say without it.
    let (address, with_target) = match pass.word(0).strip_suffix("$request_uri") {
        Some(address) => (address, true),
        None => (pass.word(0), false),
    };
    match upstream(address, with_target, location, upstreams) {
        Ok((upstream, note)) => {
            let of_levels = levels.of_bodies().into_iter().chain(levels.of_host());
            let (proves, of_tls) = levels.tls.proves(address, &upstream);
            let methods = one_of(&["limit_except"])
                .map(|it| format!("{}: {} stays behind; here the signature decides", it.place, it.name));
            Goes::On {
                upstream,
                proves,
                notes: note
                    .into_iter()
                    .chain(of_levels)
                    .chain(of_tls)
                    .chain(levels.of_checks())
                    .chain(methods)
                    .collect(),
            }
        }
        Err(error) => Goes::Elsewhere(why(pass, format!("proxy_pass {}: {error}", pass.word(0)))),
    }
}

/// Where a `proxy_pass` leads, and what deserves a look. With the target it says the whole of it once more, after its address.
fn upstream(
    address: &str,
    with_target: bool,
    location: &Directive,
    upstreams: &Upstreams<'_>,
) -> Result<(String, Option<String>), String> {
    const NO_SOCKETS: &str = "the gate knows no Unix sockets; let the application listen on 127.0.0.1";
    if address.contains('$') {
        return Err("a variable says where it leads".to_owned());
    }
    let Some((scheme, rest)) = address.split_once("://") else {
        return Err("this is no http:// or https:// address".to_owned());
    };
    let scheme = scheme.to_ascii_lowercase();
    if rest.starts_with("unix:") {
        return Err(NO_SOCKETS.to_owned());
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let own = match kind(location) {
        Ok(Kind::Plain(takes)) => takes.path().to_owned(),
        _ => String::new(),
    };
    if !path.is_empty() && (path != own || with_target) {
        return Err(format!(
            "nginx makes {path} of {own}, and the gate passes on what Twilio called; let the application take that path"
        ));
    }
    let mut note = None;
    let address = match upstreams.get(authority) {
        None => authority,
        Some(upstream) => {
            let is_in_use =
                |it: &&Directive| !it.words.iter().skip(1).any(|it| it == "down" || it == "backup");
            let servers: Vec<_> = upstream.inside("server").filter(is_in_use).map(|it| it.word(0)).collect();
            let first = *servers
                .first()
                .ok_or_else(|| format!("the upstream {authority} has no server that is in use"))?;
            if first.starts_with("unix:") {
                return Err(NO_SOCKETS.to_owned());
            }
            note = (servers.len() > 1).then(|| {
                format!(
                    "upstream {authority} has {} servers, and a route leads to one: this is the first",
                    servers.len()
                )
            });
            first
        }
    };
    // A server of an upstream block is at port 80 unless it says another, over TLS too.
    let is_elsewhere = address != authority && scheme == "https";
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if is_elsewhere && !has_port { ":80" } else { "" };
    let address = format!("{scheme}://{address}{port}");
    match address.parse::<Upstream>() {
        Ok(_) => Ok((address, note)),
        Err(error) => Err(format!("this cannot be an upstream: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_match(expression: &str, path: &str) -> bool {
        let goes = Goes::Nowhere(Why { place: String::new(), why: String::new() });
        let (expression, ignores_case) = match expression.strip_prefix("(no case)") {
            Some(rest) => (rest, true),
            None => (expression, false),
        };
        let pattern = Pattern { place: String::new(), shown: String::new(), expression, ignores_case, goes };
        pattern.may_match(path, path.ends_with('/'))
    }

    #[test]
    fn a_regular_expression_that_begins_otherwise_takes_nothing_of_a_path_and_in_doubt_it_does() {
        for (expression, path, expected) in [
            ("^/admin/", "/twilio/", false),
            ("^/admin/", "/", true),
            ("^/twilio/old", "/twilio/", true),
            ("^/twilio", "/twilio/", true),
            ("^/twilio/old", "/twilio/new", false),
            ("^/twilio/sms$", "/twilio", false),
            ("^/v\\d+/", "/voice/", true),
            ("^/v\\.1/", "/voice/", false),
            ("^/sms?x", "/voice/", false),
            ("^/vx?oice", "/voice/", true),
            ("^/v+oice", "/voice/", true),
            ("^/a|/voice/", "/voice/", true),
            ("^(/a)?/voice", "/voice/", true),
            ("\\.php$", "/twilio/", true),
            ("\\.php$", "/sms", false),
            ("\\.(js|css)$", "/sms", false),
            ("\\.php$", "/sms.php", true),
            ("\\.?php$", "/sms", true),
            ("(\\.php)?$", "/sms", true),
            ("\\.php$|sms", "/sms", true),
            ("[\\.s]ms", "/sms", true),
            ("", "/twilio/", true),
            ("^/TWILIO/", "/twilio/", false),
            ("(no case)^/TWILIO/", "/twilio/", true),
        ] {
            assert_eq!(may_match(expression, path), expected, "{expression} {path}");
        }
    }
}
