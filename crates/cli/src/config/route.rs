//! `[[route]]`: a public path, the check it demands, and the upstream it leads to.
//!
//! A key that the route's check cannot honour is a problem and never ignored: `accounts` on a route that asks
//! for a password alone would look like protection and be none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use ringfence_gateway::basic::{BasicUsers, PasswordCheck};
use ringfence_gateway::proof::ProofKey;
use ringfence_gateway::settings::{Check, Listen, Mode, PathRule, Replay, Route, SignedBy, Twiml, Upstream};
use ringfence_model::Secret;
use ringfence_signature::{AccountSid, MAX_KEYS, PublicUrl, Strict};

use super::Surroundings;
use super::account::{KnownAccounts, account_sid};
use super::held_twiml;
use super::own_route;
use super::problems::Problems;
use super::raw::{Field, Section, Table};
use super::secret;
use super::shared_keys;
use super::units;
use super::upstream::{self, FilesRead};

pub(super) const SECTION: Section = Section {
    name: "[[route]]",
    keys: &[
        "path",
        "host",
        "methods",
        "public_url",
        "upstream",
        "upstream_ca",
        "upstream_name",
        "upstream_certificate",
        "upstream_key",
        "check",
        "mode",
        "strict",
        "signed_by",
        "accounts",
        "replay",
        "refusal_status",
        "body_cap",
        "timeout",
        "basic",
        "proof_key",
        "resign_url",
        "twiml",
    ],
    later: &[],
};

pub(super) const BASIC: Section =
    Section { name: "basic of [[route]]", keys: &["user", "password", "password_sha256"], later: &[] };

const PATH_FORM: &str = "a path such as \"/twilio/\" (a prefix, as it ends with /) or \"/sms\" (exact)";
const URL_FORM: &str = "a URL such as \"https://hooks.example.com\"";
const CHECK_FORM: &str = "\"signature\", \"basic\" or \"signature+basic\"; there is no default, so that nobody gets \
                          less than he meant";
const BASIC_FORM: &str = "[{ user = \"twilio\", password = { env = \"NAME\" } }]";
const ACCOUNTS_FORM: &str = "\"any\" or a list such as [\"AC…\"]";
const METHODS_FORM: &str = "a list such as [\"GET\", \"POST\"]";

/// Twilio waits so long for an answer.
const TIMEOUT_MAX: Duration = Duration::from_secs(15);
/// Leaves Twilio a second to get the 504.
const TIMEOUT: Duration = Duration::from_secs(14);
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const BODY_CAP: usize = 1 << 20;
const BODY_CAP_MAX: usize = 64 << 20;

/// What a route asks for, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckWord {
    Signature,
    Basic,
    SignatureAndBasic,
}

/// What the rest of the file says and routes must fit to.
pub(super) struct Rest<'a> {
    pub(super) listen: &'a Listen,
    /// Whether there is a [store].
    pub(super) has_store: bool,
    /// Whether there is a `[shared_keys]`.
    pub(super) has_shared_keys: bool,
    /// Nothing where not all of them could be read.
    pub(super) accounts: Option<KnownAccounts<'a>>,
}

/// Reads all routes.
pub(super) fn resolve(
    tables: &[Table<'_>],
    rest: &Rest<'_>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Route> {
    let mut taken = BTreeMap::<String, Vec<(Vec<Method>, usize)>>::new();
    let mut own_lines = BTreeMap::new();
    let mut read = FilesRead::default();
    let mut routes = Vec::new();
    for table in tables {
        let Some(route) = one(table, rest, &mut read, around, problems) else { continue };
        if let Some(own) = own_route::of(&route.upstream)
            && let Some(line) = own_lines.insert(own.word, problems.line(table.offset()))
        {
            table.wrong("upstream", own.is_second(line), problems);
        }
        let others = taken.entry(route.label.to_string()).or_default();
        let overlaps = |methods: &[Method]| methods.iter().any(|method| route.methods.contains(method));
        match others.iter().find(|(methods, _)| overlaps(methods)) {
            Some((_, line)) => table.wrong(
                "path",
                format_args!(
                    "the route of line {line} takes {} already, with a method of this one; change one of them",
                    route.label
                ),
                problems,
            ),
            None => others.push((route.methods.clone(), problems.line(table.offset()))),
        }
        routes.push(route);
    }
    routes
}

fn one(
    table: &Table<'_>,
    rest: &Rest<'_>,
    read: &mut FilesRead,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Route> {
    let errors_before = problems.errors_len();
    let accounts = rest.accounts.as_ref();

    // What must be there.
    let path = table.required("path", PATH_FORM, problems).and_then(|field| path(field, problems));
    let public_url = table.required("public_url", URL_FORM, problems).and_then(|field| url(field, problems));
    let upstream = upstream::resolve(table, read, around, problems);
    let application = upstream.as_ref().and_then(Upstream::address);
    let check = table.required("check", CHECK_FORM, problems).and_then(|field| check_word(field, problems));

    // What has a default.
    let host = table.find("host").and_then(|field| host(field, problems));
    let methods = match table.find("methods") {
        Some(field) => methods(field, problems),
        None => Some(vec![Method::GET, Method::POST]),
    };
    let mode = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
    let mode = choice(table, "mode", &mode, Mode::Enforce, problems);
    let strict = [("refuse", Strict::Refuse), ("report", Strict::Report), ("off", Strict::Off)];
    let strict = choice(table, "strict", &strict, Strict::Refuse, problems);
    let replay = [
        ("auto", Replay::Auto),
        ("off", Replay::Off),
        ("answer-again", Replay::AnswerAgain),
        ("refuse", Replay::Refuse),
    ];
    let replay = choice(table, "replay", &replay, Replay::Auto, problems);
    let refusal_status = match table.find("refusal_status") {
        Some(field) => refusal_status(field, problems),
        None => Some(StatusCode::FORBIDDEN),
    };
    let body_cap = match table.find("body_cap") {
        Some(field) => body_cap(field, problems),
        None => Some(BODY_CAP),
    };
    let timeout = match table.find("timeout") {
        Some(field) => timeout(field, problems),
        None => Some(TIMEOUT),
    };
    let listed = table.find("accounts").and_then(|field| listed_accounts(field, accounts, problems));
    let users = table.find("basic").map(|field| basic_users(field, around, problems));
    let proof = table.find("proof_key").and_then(|field| proof_key(field, around, problems));
    let resign = table.find("resign_url").and_then(|field| url(field, problems));
    let twiml = [("pass", Twiml::Pass), ("limits", Twiml::Limits)];
    let twiml = choice(table, "twiml", &twiml, Twiml::Pass, problems);

    // What must fit together.
    if let Some(check) = check {
        check_fits(table, check, accounts, listed.as_deref(), problems);
    }
    if twiml == Twiml::Limits {
        held_twiml::fits(table, check, mode, rest, problems);
    }
    if let Some(own) = upstream.as_ref().and_then(own_route::of) {
        own.fits(table, check, mode, methods.as_deref(), rest, problems);
    }
    if let Some(application) = application {
        upstream::fits(table, application, mode, rest.listen, problems);
    }
    if rest.listen.forward_auth.is_some() && replay == Replay::AnswerAgain && check != Some(CheckWord::Basic)
    {
        table.doubtful(
            "replay",
            "a proxy that asks over `forward_auth` forwards by itself, so there is no answer to give again and a \
             repeat passes; only \"refuse\" has an effect there",
            problems,
        );
    }
    if let (Some(public_url), Some(path)) =
        (&public_url, table.find("path").and_then(|field| field.as_text()))
    {
        warn_of_doubled_path(table, public_url, path, problems);
    }
    if problems.errors_len() > errors_before {
        return None;
    }

    let check = match (check?, users.flatten()) {
        (CheckWord::Signature, _) => Check::Signature,
        (CheckWord::Basic, users) => Check::Basic(users?),
        (CheckWord::SignatureAndBasic, users) => Check::SignatureAndBasic(users?),
    };
    let path = path?;
    let (PathRule::Exact(text) | PathRule::Prefix(text)) = &path;
    let label = format!("{}{text}", host.as_deref().unwrap_or_default());
    let mut route = Route {
        label: Arc::from(label),
        host,
        path,
        methods: methods?,
        public_url: public_url?,
        upstream: upstream?,
        // Without a signature there is nothing that tells a repeat from a second request.
        replay: if matches!(check, Check::Basic(_)) { Replay::Off } else { replay },
        check,
        mode,
        strict,
        accounts: listed,
        refusal_status: refusal_status?,
        body_cap: body_cap?,
        timeout: timeout?,
        proof,
        resign,
        twiml,
        signed_by: SignedBy::Any,
    };
    route.signed_by = signed_by(table, &route, rest, problems)?;
    Some(route)
}

/// What must have signed; nothing where that cannot be.
fn signed_by(table: &Table<'_>, route: &Route, rest: &Rest<'_>, problems: &mut Problems) -> Option<SignedBy> {
    let Some(field) = table.find("signed_by") else { return Some(shared_keys::signed_by_default(route)) };
    let words =
        [("any", SignedBy::Any), ("shared-key", SignedBy::SharedKey), ("auth-token", SignedBy::AuthToken)];
    let signed_by = field.choice(&words, problems)?;
    if signed_by != SignedBy::AuthToken
        && let Err(why) = shared_keys::can_be_shared(route)
    {
        field.wrong(why, problems);
        return None;
    }
    let has_some = rest.has_shared_keys
        || rest.accounts.as_ref().is_none_or(|accounts| accounts.have_shared_keys(route.accounts.as_deref()));
    if signed_by == SignedBy::SharedKey && !has_some {
        field.wrong(
            "no account here has a SharedKey, so every request would be refused; add [shared_keys], or `shared_keys` to the \
             [[account]]",
            problems,
        );
        return None;
    }
    Some(signed_by)
}

/// Rules between the check and the keys that need it.
fn check_fits(
    table: &Table<'_>,
    check: CheckWord,
    accounts: Option<&KnownAccounts<'_>>,
    listed: Option<&[AccountSid]>,
    problems: &mut Problems,
) {
    if check == CheckWord::Signature && table.has("basic") {
        table.wrong(
            "basic",
            "check = \"signature\" asks for no password; write check = \"signature+basic\", or remove it",
            problems,
        );
    }
    if check != CheckWord::Signature && !table.has("basic") {
        table.wrong(
            "check",
            format_args!("it asks for a password, and there are no users; add basic = {BASIC_FORM}"),
            problems,
        );
    }
    if check == CheckWord::Basic {
        for key in ["accounts", "strict", "replay", "resign_url"] {
            if table.has(key) {
                table.wrong(
                    key,
                    "check = \"basic\" verifies no signature, so it would have no effect; write check = \
                     \"signature+basic\", or remove it",
                    problems,
                );
            }
        }
        return;
    }
    let Some(accounts) = accounts else { return };
    if accounts.is_empty() {
        table.wrong(
            "check",
            "it verifies signatures, and there is no account whose keys could; add [[account]] with sid and auth_token",
            problems,
        );
    }
    if table.has("resign_url")
        && let Some(sid) = accounts.without_auth_token(listed)
    {
        table.wrong(
            "resign_url",
            format_args!("{sid} has no auth_token to sign with; add it to its [[account]]"),
            problems,
        );
    }
    let Some(listed) = listed else { return };
    let keys: usize = listed.iter().map(|sid| accounts.keys_len(*sid)).sum();
    if keys > MAX_KEYS {
        table.doubtful(
            "accounts",
            format_args!(
                "these accounts have {keys} keys together, and a request that names no AccountSid is tried against \
                 the first {MAX_KEYS} only"
            ),
            problems,
        );
    }
}

/// The public URL comes before the whole path of a request, so its own path is easily written twice.
fn warn_of_doubled_path(table: &Table<'_>, public_url: &PublicUrl, path: &str, problems: &mut Problems) {
    let path = path.trim_end_matches('/');
    let base = public_url.to_string();
    if !path.is_empty() && base.ends_with(path) {
        table.doubtful(
            "public_url",
            format_args!(
                "the path of a request comes after it, so Twilio would have to call {base}{path}; leave {path} away if \
                 it does not"
            ),
            problems,
        );
    }
}

fn path(field: Field<'_>, problems: &mut Problems) -> Option<PathRule> {
    let path = field.parse(PATH_FORM, problems, |text| {
        if !text.starts_with('/') {
            Err("does not begin with /")
        } else if text.contains(['?', '#']) {
            Err("holds a query or a fragment, and routes go by the path alone")
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err("holds what a request line cannot; it is compared with the raw path, so percent-encode it")
        } else {
            Ok(text.to_owned())
        }
    })?;
    if path.ends_with('*') {
        field.doubtful(
            "nothing is a pattern here, so this takes one path that ends with a star; a prefix ends with /, such as \"/twilio/\"",
            problems,
        );
    }
    Some(if path.ends_with('/') { PathRule::Prefix(path) } else { PathRule::Exact(path) })
}

fn host(field: Field<'_>, problems: &mut Problems) -> Option<String> {
    field.parse("a name such as \"hooks.example.com\", without scheme or port", problems, |text| {
        if let Some(inside) = text.strip_prefix('[') {
            let address =
                inside.strip_suffix(']').and_then(|inside| inside.parse::<std::net::Ipv6Addr>().ok());
            return address.map(|_| text.to_ascii_lowercase()).ok_or("is not an IPv6 address in brackets");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text.is_empty() || !text.bytes().all(plain) {
            Err("is not a host name")
        } else {
            Ok(text.to_ascii_lowercase())
        }
    })
}

fn methods(field: Field<'_>, problems: &mut Problems) -> Option<Vec<Method>> {
    let list = field.list(METHODS_FORM, problems)?;
    if list.is_empty() {
        field.wrong(
            format_args!("the list is empty, so every request would be refused; write {METHODS_FORM}"),
            problems,
        );
        return None;
    }
    let method = |text: &str| match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT | Method::TRACE) => Err("is not for webhooks"),
        // Methods are case-sensitive (RFC 9110 section 9.1): "post" would never match.
        Ok(method) if text.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(method),
        _ => Err("is not a method in capitals"),
    };
    let methods: Vec<_> =
        list.iter().filter_map(|item| item.parse("a method such as \"POST\"", problems, method)).collect();
    (methods.len() == list.len()).then_some(methods)
}

fn url(field: Field<'_>, problems: &mut Problems) -> Option<PublicUrl> {
    let Some(text) = field.as_text() else {
        field.wrong_type("a text", URL_FORM, problems);
        return None;
    };
    match PublicUrl::parse(text) {
        Ok(url) => Some(url),
        // The text is not echoed: it may hold a password.
        Err(error) => {
            field.wrong(
                format_args!(
                    "{error}; write what stands before the path in the URL that Twilio calls, {URL_FORM}"
                ),
                problems,
            );
            None
        }
    }
}

fn check_word(field: Field<'_>, problems: &mut Problems) -> Option<CheckWord> {
    let words = [
        ("signature", CheckWord::Signature),
        ("basic", CheckWord::Basic),
        ("signature+basic", CheckWord::SignatureAndBasic),
    ];
    field.choice(&words, problems)
}

fn choice<T: Copy>(
    table: &Table<'_>,
    key: &'static str,
    words: &[(&'static str, T)],
    default: T,
    problems: &mut Problems,
) -> T {
    table.find(key).and_then(|field| field.choice(words, problems)).unwrap_or(default)
}

fn refusal_status(field: Field<'_>, problems: &mut Problems) -> Option<StatusCode> {
    match field.integer(401, 403, problems)? {
        401 => Some(StatusCode::UNAUTHORIZED),
        403 => Some(StatusCode::FORBIDDEN),
        _ => {
            field.wrong("a refused signature is answered with 401 or 403; write 403", problems);
            None
        }
    }
}

fn body_cap(field: Field<'_>, problems: &mut Problems) -> Option<usize> {
    field.parse("a size up to \"64 MiB\", such as \"1 MiB\"", problems, |text| match units::bytes(text)? {
        0 => Err("lets no body through".to_owned()),
        bytes if bytes > BODY_CAP_MAX => Err("is too much to hold in memory for each request".to_owned()),
        bytes => Ok(bytes),
    })
}

fn timeout(field: Field<'_>, problems: &mut Problems) -> Option<Duration> {
    field.parse("a time up to \"15s\", such as \"14s\"", problems, |text| match units::duration(text)? {
        time if time < TIMEOUT_MIN => Err("is too short for any answer".to_owned()),
        time if time > TIMEOUT_MAX => Err("is longer than Twilio waits, which is 15s".to_owned()),
        time => Ok(time),
    })
}

fn listed_accounts(
    field: Field<'_>,
    accounts: Option<&KnownAccounts<'_>>,
    problems: &mut Problems,
) -> Option<Vec<AccountSid>> {
    if field.as_text().is_some() {
        field.choice(&[("any", ())], problems);
        return None;
    }
    let list = field.list(ACCOUNTS_FORM, problems)?;
    if list.is_empty() {
        field.wrong(
            format_args!("the list is empty, so every request would be refused; write {ACCOUNTS_FORM}"),
            problems,
        );
    }
    let mut sids = Vec::with_capacity(list.len());
    for item in list {
        let Some(sid) = account_sid(item, problems) else { continue };
        if accounts.is_some_and(|accounts| !accounts.has(sid)) {
            item.wrong(
                format_args!("{sid} has no keys here; add an [[account]] for it, or correct that one"),
                problems,
            );
        }
        sids.push(sid);
    }
    Some(sids)
}

fn basic_users(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<BasicUsers> {
    let list = field.list(BASIC_FORM, problems)?;
    if list.is_empty() {
        field.wrong(
            format_args!("the list is empty, so every request would be refused; write {BASIC_FORM}"),
            problems,
        );
        return None;
    }
    let users: Vec<_> = list.iter().filter_map(|item| basic_user(*item, around, problems)).collect();
    if users.len() < list.len() {
        return None;
    }
    BasicUsers::new(users).map_err(|error| field.wrong(error, problems)).ok()
}

fn basic_user(
    field: Field<'_>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<(String, PasswordCheck)> {
    let table = field.table(&BASIC, super::SECTIONS, BASIC_FORM, problems)?;
    let user = table.required("user", "a name such as \"twilio\"", problems);
    let password = match (table.find("password"), table.find("password_sha256")) {
        (Some(password), None) => secret::read(password, around, problems).map(PasswordCheck::Plain),
        (None, Some(hash)) => password_hash(hash, around, problems),
        _ => {
            field.wrong("a user has one of `password` and `password_sha256`", problems);
            None
        }
    };
    let user = user?.parse("a name such as \"twilio\"", problems, |text| Ok::<_, String>(text.to_owned()));
    Some((user?, password?))
}

/// A hash may stand in the file itself: it opens nothing.
fn password_hash(
    field: Field<'_>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<PasswordCheck> {
    let hex = match field.as_text() {
        Some(text) => Secret::new(text),
        None => secret::read(field, around, problems)?,
    };
    let hash = sha256_of_hex(hex.expose());
    if hash.is_none() {
        field.wrong(
            "this is not 64 hexadecimal digits; make it with `printf %s \"$PASSWORD\" | sha256sum`",
            problems,
        );
    }
    hash.map(PasswordCheck::Sha256)
}

fn sha256_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

fn proof_key(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<ProofKey> {
    let secret = secret::read(field, around, problems)?;
    ProofKey::new(&secret).map_err(|error| field.wrong(error, problems)).ok()
}
