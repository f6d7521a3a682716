//! `ringfence verify`: did Twilio send this request?

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use ringfence_control::node::KeysInUse;
use ringfence_control::{rotation, shared_keys};
use ringfence_gateway::route_table::{self, Found};
use ringfence_gateway::settings::{Check, Route, SignedBy, Upstream};
use ringfence_gateway::{KnownKeys, keys_with, refused_beside_signature};
use ringfence_signature::{AccountSid, Accounts, Allowed, Keyring, Policy, Scratch, Strict, Verdict, verify};
use serde_json::json;

use super::input::{Given, GivenUrl, RequestArguments};
use super::keys::KeyArguments;
use super::serve::control::for_gate;
use super::{vectors, with_store};
use crate::config::store::{Database, Store};
use crate::config::{self, Loaded};
use crate::control_plane;
use crate::exit::{Answer, Failure};

const EXAMPLES: &str = "\
Examples:
  ringfence verify --url 'https://hooks.example.com/sms' --param Body=Hi \\
      --signature 'p7dM…='
  ringfence verify --http request.txt --public-url https://hooks.example.com
  ringfence verify --http request.txt --config ringfence.toml
  ringfence verify --vectors signature.jsonl

The exit code is 0 for allow and 1 for refuse. `ringfence explain`, with the same arguments, says why.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) subject: SubjectArguments,
    /// Also demand that well-known parameters have their shape, as the gate does by default
    #[arg(long, help_heading = "Judgement")]
    strict: bool,
    /// Judge a file of requests with expected verdicts, one JSON object a line
    #[arg(long, value_name = "FILE", help_heading = "Judgement", conflicts_with_all = ["url", "http", "config",
        "token_env", "token_file", "token", "shared_key", "account", "signature", "strict"])]
    vectors: Option<PathBuf>,
    /// Print JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// One request, and by whose keys it is judged.
#[derive(Debug, clap::Args)]
pub(crate) struct SubjectArguments {
    #[command(flatten)]
    request: RequestArguments,
    #[command(flatten)]
    key: KeyArguments,
    /// The account that the key belongs to; a request that names another is then refused
    #[arg(long, value_name = "SID", help_heading = "Key")]
    account: Option<AccountSid>,
    /// Take keys, public URL, accounts and strictness from the route of this configuration, and what its store knows of keys
    #[arg(long, value_name = "FILE", help_heading = "Key", conflicts_with_all = ["token_env", "token_file", "token",
        "shared_key", "account"])]
    config: Option<PathBuf>,
}

/// One request that is ready to be judged.
pub(crate) struct Subject {
    pub(crate) given: Given,
    pub(crate) keyring: Keyring,
    pub(crate) accounts: Option<Vec<AccountSid>>,
    pub(crate) strict: Strict,
    pub(crate) try_userinfo: bool,
    /// Whether the parent's token may have signed it: Twilio does not say which of the two signs a subaccount's trigger.
    pub(crate) parent_may_stand_in: bool,
    pub(crate) needs_shared_key: bool,
    pub(crate) notes: Vec<String>,
    /// Hosts and prefixes of other routes: what may have been called instead.
    pub(crate) other_hosts: Vec<String>,
}

/// What there is to judge.
pub(crate) enum Prepared {
    /// A request and the keys.
    Subject(Box<Subject>),
    /// No signature decides: what the gate does instead.
    Decided(Decided),
}

/// What the gate does with a request whatever its signature is worth.
pub(crate) struct Decided {
    /// Whether it lets it in.
    is_admitted: bool,
    /// As logs and metrics call it.
    reason: &'static str,
    /// For people.
    sentence: String,
}

impl Decided {
    fn refused(reason: &'static str, why: String) -> Self {
        Self { is_admitted: false, reason, sentence: why }
    }

    /// The answer where no signature decides.
    pub(crate) fn answer(&self, as_json: bool) -> Answer {
        let verdict = if self.is_admitted { "allow" } else { "refuse" };
        let output = if as_json {
            format!("{}\n", json!({ "verdict": verdict, "reason": self.reason, "sentence": self.sentence }))
        } else {
            format!("{verdict}: {}\n", self.sentence)
        };
        Answer { output: output.into_bytes(), is_no: !self.is_admitted, ..Answer::default() }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    if let Some(path) = &arguments.vectors {
        return vectors::run(path, arguments.json);
    }
    let strict = if arguments.strict { Some(Strict::Refuse) } else { None };
    let subject = match arguments.subject.prepare(strict)? {
        Prepared::Subject(subject) => subject,
        Prepared::Decided(decided) => return Ok(decided.answer(arguments.json)),
    };
    let verdict =
        verify(&subject.given.request(), &subject.keyring, &subject.policy(), &mut Scratch::default());
    let is_no = matches!(verdict, Verdict::Refuse(_));
    let output = if arguments.json {
        format!("{}\n", verdict_as_json(&verdict))
    } else {
        let mut text = verdict_as_text(&verdict);
        if is_no {
            text.push_str("hint: `ringfence explain` with the same arguments says what is probably wrong\n");
        }
        text
    };
    Ok(Answer { output: output.into_bytes(), notes: subject.notes, is_no, ..Answer::default() })
}

impl SubjectArguments {
    /// Reads the request and the keys.
    pub(crate) fn prepare(&self, strict: Option<Strict>) -> Result<Prepared, Failure> {
        let mut given = self.request.read()?;
        if let Some(path) = &self.config {
            return prepare_by_config(given, path, strict);
        }
        given.guess_base()?;
        let mut notes = std::mem::take(&mut given.notes);
        let key = self.key.read()?;
        let keyring = key.keyring(self.account)?;
        notes.extend(key.notes);
        Ok(Prepared::Subject(Box::new(Subject {
            try_userinfo: given.has_userinfo(),
            parent_may_stand_in: false,
            needs_shared_key: false,
            keyring,
            accounts: None,
            strict: strict.unwrap_or(Strict::Off),
            other_hosts: given.other_hosts.clone(),
            notes,
            given,
        })))
    }
}

fn prepare_by_config(mut given: Given, path: &Path, strict: Option<Strict>) -> Result<Prepared, Failure> {
    let loaded = config::load(path)?;
    let (keyring, unread) = keys_in_use(&loaded);
    let settings = loaded.settings;
    let route = match find_route(&settings.routes, &given) {
        Ok(route) => route,
        Err((reason, why)) => {
            let why = format!("{why}, by {}", path.display());
            return Ok(Prepared::Decided(Decided::refused(reason, why)));
        }
    };
    if let Some(decided) = decided_beside_signature(&settings.routes, route, &given) {
        return Ok(Prepared::Decided(decided));
    }
    if let Check::SignatureAndBasic(users) = &route.check {
        let found = given.header("authorization").and_then(|value| users.check(Some(value)).ok());
        given.userinfo = found.map(|found| found.userinfo().to_vec());
    }
    let mut notes = std::mem::take(&mut given.notes);
    notes.extend(unread);
    notes.push(format!("note: judged as the route {} of {} asks", route.label, path.display()));
    if let GivenUrl::Target(target) = &given.url {
        given.url = GivenUrl::Under(route.public_url.clone(), target.clone());
    }
    let mut other_hosts = given.other_hosts.clone();
    other_hosts.extend(settings.routes.iter().map(|other| other.public_url.authority()));
    other_hosts.sort();
    other_hosts.dedup();
    Ok(Prepared::Subject(Box::new(Subject {
        try_userinfo: given.has_userinfo() || matches!(route.check, Check::SignatureAndBasic(_)),
        parent_may_stand_in: route.upstream == Upstream::Breaker,
        needs_shared_key: route.signed_by == SignedBy::SharedKey,
        accounts: route.accounts.clone(),
        strict: strict.unwrap_or(route.strict),
        other_hosts,
        notes,
        given,
        keyring,
    })))
}

/// What the gate decides about a request by all but its signature. Of one that was not given whole, only that a route asks for
/// no signature.
fn decided_beside_signature(routes: &[Route], route: &Route, given: &Given) -> Option<Decided> {
    let refused = match &given.headers {
        None => None,
        Some(headers) => match parts(given, headers, route) {
            Some(parts) => refused_beside_signature(routes, route, &parts, given.body.len())
                .map(|(reason, status)| (reason.as_str(), status)),
            None => Some(("malformed_http", StatusCode::BAD_REQUEST)),
        },
    };
    if let Some((reason, status)) = refused {
        let sentence = format!(
            "the gate answers {} whatever the signature is worth: {reason}, a reason that docs/running.md explains",
            status.as_u16()
        );
        return Some(Decided::refused(reason, sentence));
    }
    let label = &route.label;
    match (&route.check, &given.headers) {
        (Check::Basic(_), Some(_)) => Some(Decided {
            is_admitted: true,
            reason: "basic",
            sentence: format!(
                "the route {label} asks for a password alone (check = \"basic\"), and it is right; the signature is not \
                 looked at"
            ),
        }),
        (Check::Basic(_), None) => Some(Decided::refused(
            "basic",
            format!(
                "the route {label} asks for a password alone (check = \"basic\"), so its signature is not looked at; give \
                 the whole request with --http to have the password judged"
            ),
        )),
        (Check::Signature | Check::SignatureAndBasic(_), _) => None,
    }
}

/// The head of a saved request as the gate reads it; none where it is no HTTP. One without a `Host` is taken to have named the
/// route's.
fn parts(given: &Given, headers: &[(String, Vec<u8>)], route: &Route) -> Option<Parts> {
    let mut request = Request::builder().method(given.method.as_bytes()).uri(given.target());
    for (name, value) in headers {
        request = request.header(name.as_bytes(), value.as_slice());
    }
    if given.host.is_none() {
        request = request.header("host", route.public_url.authority());
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// The keys that the gate has by this configuration: the configured ones, with what the store knows of accounts and of tokens
/// that were replaced. Where it cannot be read, the configured ones alone, and why. A store that is not there is not made.
fn keys_in_use(loaded: &Loaded) -> (Keyring, Option<String>) {
    let keyring = loaded.settings.keyring.clone();
    let Some(store) = &loaded.control.store else { return (keyring, None) };
    if matches!(&store.database, Database::Sqlite(path) if !path.exists()) {
        return (keyring, None);
    }
    match with_store::block_on(known_to(store, loaded)) {
        Ok(known) => (keys_with(&keyring, known), None),
        Err(failure) => {
            let why = failure.message();
            let note =
                format!("warning: the store cannot be read, and only configured keys are tried: {why}");
            (keyring, Some(note))
        }
    }
}

async fn known_to(store: &Store, loaded: &Loaded) -> Result<KnownKeys, Failure> {
    let clients = control_plane::clients(&loaded.control).map_err(Failure::configuration)?;
    let store = with_store::open(store, with_store::now()?).await?;
    let known = async {
        let tokens = rotation::in_use(&store, &clients).await?.tokens;
        let shared = shared_keys::in_use(&store).await?;
        Ok(KeysInUse { accounts: store.accounts().await?, tokens, shared })
    };
    let known: ringfence_store::Result<KeysInUse> = known.await;
    store.close().await;
    Ok(for_gate(&known.map_err(|error| with_store::failure(&error))?))
}

impl Subject {
    /// What is asked of it.
    pub(crate) fn policy(&self) -> Policy<'_> {
        Policy {
            accounts: self.accounts.as_deref().map_or(Accounts::Any, Accounts::Listed),
            strict: self.strict,
            try_userinfo: self.try_userinfo,
            parent_may_stand_in: self.parent_may_stand_in,
            needs_shared_key: self.needs_shared_key,
        }
    }
}

/// The route that the gate would take; if none, how logs call that, and the sentence. Where nobody knows the host, the first that
/// any host leads to.
fn find_route<'a>(routes: &'a [Route], given: &Given) -> Result<&'a Route, (&'static str, String)> {
    let path = String::from_utf8_lossy(given.path()).into_owned();
    let method = Method::from_bytes(given.method.as_bytes()).map_err(|_| {
        ("malformed_http", format!("{:?} is no method, so the gate answers 400", given.method))
    })?;
    let hosts = match &given.host {
        Some(host) => vec![host.as_str()],
        None => std::iter::once("").chain(routes.iter().filter_map(|route| route.host.as_deref())).collect(),
    };
    let found: Vec<_> =
        hosts.into_iter().map(|host| route_table::find(routes, host, &path, &method)).collect();
    let route = found.iter().find_map(|found| match found {
        Found::Route(route) => Some(*route),
        Found::OtherMethods(_) | Found::Nothing => None,
    });
    match route {
        Some(route) => Ok(route),
        None if found.iter().all(|found| matches!(found, Found::Nothing)) => {
            Err(("no_route", format!("no route takes {path}, so the gate answers 404")))
        }
        None => Err((
            "method_not_allowed",
            format!("no route takes {method} for {path}, so the gate answers 405"),
        )),
    }
}

/// For people.
pub(crate) fn verdict_as_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(allowed) => allowed_as_text(allowed),
        Verdict::Refuse(refusal) => format!("refuse: {refusal} ({})\n", refusal.as_str()),
    }
}

fn allowed_as_text(allowed: &Allowed) -> String {
    let key = match allowed.key.as_str() {
        "shared" => "SharedKey".to_owned(),
        kind => format!("{kind} auth token"),
    };
    let whose = match allowed.account {
        Some(account) => format!("the {key} of {account}"),
        None => "the given key".to_owned(),
    };
    let mut text = format!("allow: signed with {whose}\nurl form: {}\n", allowed.candidate.as_str());
    if let Some(finding) = &allowed.finding {
        _ = writeln!(text, "strict: {finding}");
    }
    text
}

/// For scripts.
pub(crate) fn verdict_as_json(verdict: &Verdict) -> serde_json::Value {
    match verdict {
        Verdict::Allow(allowed) => json!({
            "verdict": "allow",
            "account": allowed.account.map(|account| account.to_string()),
            "key": allowed.key.as_str(),
            "matched": allowed.candidate.as_str(),
            "finding": allowed.finding.as_ref().map(ToString::to_string),
        }),
        Verdict::Refuse(refusal) => json!({
            "verdict": "refuse",
            "reason": refusal.as_str(),
            "sentence": refusal.to_string(),
        }),
    }
}
