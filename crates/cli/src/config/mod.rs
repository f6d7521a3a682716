//! The configuration: one TOML file in, what is meant out, or everything that is wrong with it.
//!
//! `raw` holds what was typed; each section's file holds its keys, defaults, units and cross-field rules, and
//! makes the gateway's settings of it. The result cannot be wrong: nothing after this module parses text.
//! Here, and nowhere below, files and the environment are read.

mod account;
mod console;
pub(crate) mod control;
pub(crate) mod doctor;
pub(crate) mod egress;
mod heads;
mod held_twiml;
pub(crate) mod inspector;
mod keep;
#[cfg(any(test, fuzzing))]
pub(crate) mod laws;
pub(crate) mod limit;
mod limits;
mod listen;
mod log;
mod machine;
mod media;
pub(crate) mod notify;
mod notify_settings;
mod own_route;
mod prices;
mod problems;
mod protect;
mod raw;
mod route;
pub(crate) mod second_factor;
pub(crate) mod secret;
mod shared_keys;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod tls;
mod twilio;
pub(crate) mod units;
mod upstream;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ringfence_gateway::settings::{Listen, Settings, Upstream};
use ringfence_signature::Keyring;
use toml::de::DeTable;

pub(crate) use log::{Log, LogFormat};
pub(crate) use problems::{ConfigError, Problem};

use account::{Account, KnownAccounts};
use control::{Control, Credentials};
use problems::Problems;
pub(crate) use raw::nearest;
use raw::{Field, Section, TOP_LEVEL, Table};
use route::Rest;

/// The commented example, which is also the page that people start from.
pub(crate) const EXAMPLE: &str = include_str!("../../ringfence.example.toml");

/// A configuration that is right.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The file it was read from.
    pub(crate) file: PathBuf,
    /// What the data plane needs.
    pub(crate) settings: Settings,
    /// What the control plane needs.
    pub(crate) control: Control,
    /// What the process logs, and how.
    pub(crate) log: Log,
    /// What works and deserves a second look, in the order of the lines.
    pub(crate) warnings: Vec<Problem>,
}

/// What a configuration may refer to outside itself.
pub(crate) struct Surroundings<'a> {
    /// Relative paths begin here: the folder of the configuration file.
    pub(crate) folder: &'a Path,
    /// The value of an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// Tells whether a certificate is still valid.
    pub(crate) now: SystemTime,
}

/// Reads a configuration file, the secrets it points to, and says what they mean together.
///
/// It is called at start and again at every reload; it changes nothing.
pub(crate) fn load(file: &Path) -> Result<Loaded, ConfigError> {
    let text = std::fs::read(file).map_err(|error| {
        let mut wrong = ConfigError::of_file(file, format!("cannot read the configuration: {error}"));
        wrong.is_missing = error.kind() == ErrorKind::NotFound;
        wrong
    })?;
    let text = String::from_utf8(text)
        .map_err(|_| ConfigError::of_file(file, "the file is not UTF-8 text, as TOML demands".to_owned()))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    resolve(&text, file, &Surroundings { folder, env: &environment, now: wall_clock() })
}

/// Says what the text of a configuration file means. `file` only names it in messages.
pub(crate) fn resolve(text: &str, file: &Path, around: &Surroundings<'_>) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::new(text);
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    if !syntax_errors.is_empty() {
        // What a broken file means is a guess; a guess would only add wrong problems to the right ones.
        for error in &syntax_errors {
            let span = error.span().unwrap_or_default();
            let what = match text.get(span.clone()) {
                Some(key) if error.message() == "duplicate key" => {
                    format!("`{}` is there twice; remove one of them", key.escape_debug())
                }
                _ => format!("this is not TOML: {}", error.message()),
            };
            problems.error(span.start, what);
        }
        return match problems.finish(file) {
            Err(error) => Err(error),
            Ok(_) => Err(ConfigError::of_file(file, "this is not TOML".to_owned())),
        };
    }

    let root = Table::of_document(&document, &ROOT, SECTIONS, &mut problems);
    let listen_table = table(&root, "listen", &listen::SECTION, &mut problems);
    let mut listen = listen::resolve(listen_table, root.has("media"), &mut problems);
    let tls = tls::resolve(table(&root, "tls", &tls::SECTION, &mut problems), around, &mut problems);
    let limits = limits::resolve(table(&root, "limits", &limits::SECTION, &mut problems), &mut problems);
    let log = log::resolve(table(&root, "log", &log::SECTION, &mut problems), &mut problems);
    let has_store = root.has("store");
    let store = store::resolve(table(&root, "store", &store::SECTION, &mut problems), around, &mut problems);
    let twilio =
        twilio::resolve(table(&root, "twilio", &twilio::SECTION, &mut problems), around, &mut problems);
    let doctor =
        doctor::resolve(table(&root, "doctor", &doctor::SECTION, &mut problems), around, &mut problems);
    let egress = egress::resolve(
        table(&root, "egress", &egress::SECTION, &mut problems),
        &listen,
        around,
        &mut problems,
    );
    let errors_before = problems.errors_len();
    let account_tables = tables(&root, "account", &account::SECTION, &mut problems);
    let has_shared_keys = root.has("shared_keys");
    let rest = account::Rest { has_store, has_shared_keys: has_store && has_shared_keys };
    let accounts = account::resolve(&account_tables, rest, around, &mut problems);
    // What accounts there are is known only where all of them could be read.
    let all_accounts = (problems.errors_len() == errors_before).then_some(accounts.as_slice());
    let route_tables = tables(&root, "route", &route::SECTION, &mut problems);
    let accounts_known = all_accounts.map(KnownAccounts::new);
    let rest = Rest { listen: &listen, has_store, has_shared_keys, accounts: accounts_known };
    let routes = route::resolve(&route_tables, &rest, around, &mut problems);
    let rest = shared_keys::Rest { accounts: all_accounts, routes: &routes, has_store };
    let shared_keys = table(&root, "shared_keys", &shared_keys::SECTION, &mut problems);
    let shared_keys = shared_keys::resolve(shared_keys, &rest, &mut problems);
    let notify_table = table(&root, "notify", &notify::SECTION, &mut problems);
    let notify = notify::resolve(notify_table, all_accounts, around, &mut problems);
    let limit_tables = tables(&root, "limit", &limit::SECTION, &mut problems);
    let limits_typed = limit::resolve(&limit_tables, all_accounts, &mut problems);
    let takes_triggers =
        |table: &Table<'_>| table.find("upstream").and_then(|field| field.as_text()) == Some("breaker");
    let rest = control::Rest {
        accounts: all_accounts,
        has_store,
        has_console: listen.console.is_some(),
        sends_codes: root.has("second_factor"),
        notify_table,
        notify: notify.as_ref(),
        has_trigger_route: route_tables.iter().any(takes_triggers),
        has_egress: listen.egress.is_some(),
    };
    control::check(&limits_typed, &rest, &mut problems);
    if let Some(accounts) = all_accounts.filter(|_| rest.has_trigger_route) {
        account::triggers_are_tried(accounts, &mut problems);
    }
    let console = console::resolve(
        table(&root, "console", &console::SECTION, &mut problems),
        &listen,
        around,
        &mut problems,
    );
    let rest = second_factor::Rest {
        accounts: all_accounts,
        has_store,
        has_egress: listen.egress.is_some(),
        limits: &limits_typed,
        is_a_service: listen.second_factor.is_some(),
        key_url: own_route::url(&routes, &Upstream::SecondFactor),
    };
    let second_factor_table = table(&root, "second_factor", &second_factor::SECTION, &mut problems);
    let inspector_table = table(&root, "inspector", &inspector::SECTION, &mut problems);
    let inspector = inspector::resolve(inspector_table, &listen, has_store, &mut problems);
    let rules = second_factor::rules(second_factor_table, console, &mut problems);
    let second_factor = second_factor::resolve(second_factor_table, &rest, &mut problems);
    own_route::check_keys(&route_tables, root.has("second_factor"), second_factor.as_ref(), &mut problems);

    let credentials = Credentials::of(&accounts);
    let all_credentials = all_accounts.is_some().then_some(credentials.as_slice());
    let rest = media::Rest {
        listen: &listen,
        routes: &routes,
        has_tls: tls.is_some(),
        has_store,
        console_url: rules.console_url.as_deref(),
        hosts: &rules.hosts,
        twilio: &twilio,
        accounts: all_credentials,
    };
    let media = media::resolve(table(&root, "media", &media::SECTION, &mut problems), &rest, &mut problems);
    let (media_address, media_settings) = media.unzip();
    listen.media = media_address;
    let parts = Parts { has_tls: tls.is_some(), has_routes: !route_tables.is_empty(), has_store };
    check_parts_together(&root, &listen, &parts, &mut problems);
    let egress_settings = egress.settings(&listen, &twilio, all_credentials, &mut problems);
    if let (true, Some(table)) = (listen.egress.is_some() && limits_typed.is_empty(), root.find("listen")) {
        problems.warning(
            table.offset(),
            "`egress` in [listen]: there is no [[limit]], so whatever a credential may do is let out, however much it costs",
        );
    }
    let control = Control {
        limits: limits_typed.into_iter().map(|typed| typed.limit).collect(),
        credentials,
        store,
        twilio,
        notify,
        second_factor,
        trigger_url: own_route::url(&routes, &Upstream::Breaker),
        rules,
        ca_folder: egress.ca_folder.filter(|_| listen.egress.is_some()),
        restore_allowance: egress.restore_allowance,
        prices: listen.egress.map(|_| egress.prices),
        doctor,
        inspector,
        shared_keys,
    };
    let keyring = keyring(accounts, &mut problems);
    let warnings = problems.finish(file)?;
    let Some(keyring) = keyring else {
        return Err(ConfigError::of_file(file, "the accounts cannot be used together".to_owned()));
    };
    let (egress, media) = (egress_settings, media_settings);
    let inspect = inspector.inspect;
    let settings = Settings { listen, tls, limits, keyring, routes, inspect, egress, media };
    Ok(Loaded { file: file.to_owned(), settings, control, log, warnings })
}

/// Which sections there are.
struct Parts {
    has_tls: bool,
    has_routes: bool,
    has_store: bool,
}

/// Rules between sections.
fn check_parts_together(root: &Table<'_>, listen: &Listen, parts: &Parts, problems: &mut Problems) {
    let &Parts { has_tls, has_routes, has_store } = parts;
    let at = |key| root.find(key).map_or(root.offset(), |field| field.offset());
    let takes_requests = listen.gate.is_some() || listen.forward_auth.is_some();
    if takes_requests && !has_routes {
        problems.error(
            at("listen"),
            "there is no [[route]], so every request would be refused; add one with path, public_url, upstream \
             and check",
        );
    }
    let listen_table = root.find("listen").and_then(|field| field.as_table(&listen::SECTION));
    let hosted =
        [("console", listen.console), ("second_factor", listen.second_factor), ("egress", listen.egress)];
    let is_public = |address: Option<SocketAddr>| address.is_some_and(|address| !address.ip().is_loopback());
    let is_used = hosted.iter().any(|(_, address)| is_public(*address)) || is_public(listen.media);
    if has_tls && listen.gate.is_none() && !is_used {
        problems.error(
            at("tls"),
            "[tls] is for the gate, and for `console`, `second_factor`, `egress` and [media] off loopback, and [listen] gives \
             none of them an address; add `gate`",
        );
    }
    for (key, address) in hosted {
        let (Some(table), Some(address)) = (&listen_table, address) else { continue };
        if key == "second_factor" && has_store && !root.has("second_factor") {
            table.doubtful(
                key,
                "there is no [second_factor], so no code goes out and every request is answered with 503; add one",
                problems,
            );
        }
        if !has_store {
            table.wrong(
                key,
                "what it shows and keeps is in the store, and there is no [store]; add one, such as \
                 url = \"sqlite:ringfence.db\"",
                problems,
            );
        } else if is_public(Some(address)) && !has_tls && listen.trusted_proxies.is_empty() {
            table.wrong(
                key,
                format_args!(
                    "{address} without [tls]: passwords and codes would travel in clear; add [tls], or listen on \
                     127.0.0.1, or list the proxy that ends TLS in trusted_proxies"
                ),
                problems,
            );
        }
    }
    let Some(gate) = listen.gate else { return };
    if let Some(table) = listen_table
        && !has_tls
        && !gate.ip().is_loopback()
        && listen.trusted_proxies.is_empty()
    {
        table.doubtful(
            "gate",
            format_args!(
                "{gate} without [tls]: whoever is on the way reads and captures webhooks in clear; \
                 add [tls], or listen on 127.0.0.1, or list the proxy that ends TLS in trusted_proxies"
            ),
            problems,
        );
    }
}

/// All keys of all accounts; what could be wrong with them was looked at account by account.
fn keyring(accounts: Vec<Account>, problems: &mut Problems) -> Option<Keyring> {
    if problems.errors_len() > 0 {
        return None;
    }
    let keys = accounts.into_iter().map(|account| account.keys);
    match Keyring::new(keys) {
        Ok(keyring) => Some(keyring),
        Err(error) => {
            problems.error_of_file(error.to_string());
            None
        }
    }
}

/// What time it is.
pub(crate) fn wall_clock() -> SystemTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary's edge: the one place that reads the wall clock"
    )]
    SystemTime::now()
}

/// The value of an environment variable, if it is set and is text.
pub(crate) fn environment(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary's edge: the one place that reads the environment"
    )]
    std::env::var(name).ok()
}

/// The table `[key]`, if it was typed.
fn table<'a>(
    root: &Table<'a>,
    key: &'static str,
    section: &'static Section,
    problems: &mut Problems,
) -> Option<Table<'a>> {
    root.find(key)?.table(section, SECTIONS, &format!("a table that begins with {}", section.name), problems)
}

/// The tables `[[key]]`, in their order.
fn tables<'a>(
    root: &Table<'a>,
    key: &'static str,
    section: &'static Section,
    problems: &mut Problems,
) -> Vec<Table<'a>> {
    let Some(field) = root.find(key) else { return Vec::new() };
    let form = format!("{}, with two brackets, before each of them", section.name);
    let Some(list) = field.list(&form, problems) else { return Vec::new() };
    let open = |field: &Field<'a>| field.table(section, SECTIONS, &form, problems);
    list.iter().filter_map(open).collect()
}

const ROOT: Section = Section {
    name: TOP_LEVEL,
    keys: &[
        "listen",
        "tls",
        "limits",
        "log",
        "store",
        "twilio",
        "account",
        "route",
        "limit",
        "notify",
        "console",
        "inspector",
        "second_factor",
        "egress",
        "media",
        "shared_keys",
        "doctor",
    ],
    later: &[],
};

/// Every table there is, for the documentation's test and for "this key belongs elsewhere".
const SECTIONS: &[&Section] = &[
    &listen::SECTION,
    &tls::SECTION,
    &tls::ACME,
    &limits::SECTION,
    &log::SECTION,
    &account::SECTION,
    &account::SHARED_KEY,
    &route::SECTION,
    &route::BASIC,
    &store::SECTION,
    &heads::SECTION,
    &keep::SECTION,
    &twilio::SECTION,
    &limit::SECTION,
    &limit::SCOPE,
    &notify::SECTION,
    &console::SECTION,
    &protect::SECTION,
    &inspector::SECTION,
    &notify::MAIL,
    &notify::WEBHOOK,
    &notify::SMS,
    &notify::CALL,
    &second_factor::SECTION,
    &egress::SECTION,
    &prices::SECTION,
    &media::SECTION,
    &shared_keys::SECTION,
    &doctor::SECTION,
];
