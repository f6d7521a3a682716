//! `[store]`: where limits, breakers and the audit log are kept, and the key that seals what is secret in it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ringfence_control::heads::CarrierSettings;
use ringfence_control::node::Keep;
use ringfence_model::Secret;
use ringfence_store::{MasterKey as StoreKey, OpenError};

use super::Surroundings;
use super::problems::Problems;
use super::raw::{Field, Section, Table};
use super::{heads, keep, secret};

pub(super) const SECTION: Section = Section {
    name: "[store]",
    keys: &["url", "master_key", "previous_master_keys", "audit_heads", "keep"],
    later: &[],
};

const URL_FORM: &str = "\"sqlite:ringfence.db\" or \"postgres://user@host/ringfence\"";
const KEY_FORM: &str = "{ file = \"PATH\" } or { env = \"NAME\" }, made with `openssl rand -hex 32`";

/// Where things are kept.
#[derive(Debug)]
pub(crate) struct Store {
    /// The line of `url`, counted from 1.
    pub(crate) line: usize,
    pub(crate) database: Database,
    /// Seals what is secret in it.
    pub(crate) master_key: MasterKey,
    /// What was sealed with these can still be opened; it is sealed anew with the master key.
    pub(crate) previous_master_keys: Vec<StoreKey>,
    /// Where signed heads of the audit log are carried.
    pub(crate) audit_heads: Vec<CarrierSettings>,
    /// How long what is over is kept.
    pub(crate) keep: Keep,
}

impl Store {
    /// Where it is, for people: without a password.
    pub(crate) fn shown(&self) -> String {
        match &self.database {
            Database::Sqlite(path) => format!("sqlite:{}", path.display()),
            Database::Postgres { shown, .. } => shown.clone(),
        }
    }

    /// Whether both are opened with the same keys. A key that was to be made may be there by now, and says nothing else.
    pub(crate) fn has_keys_of(&self, other: &Self) -> bool {
        let ids = |store: &Self| store.previous_master_keys.iter().map(StoreKey::id).collect::<Vec<_>>();
        let is_same = match (&self.master_key, &other.master_key) {
            (MasterKey::Given(this), MasterKey::Given(other)) => this.id() == other.id(),
            _ => true,
        };
        is_same && ids(self) == ids(other)
    }
}

/// One of the two databases.
#[derive(Debug)]
pub(crate) enum Database {
    /// A file, made at the first start.
    Sqlite(PathBuf),
    /// A server, for several nodes.
    Postgres {
        /// As typed; it may carry a password.
        url: Secret,
        /// Host and database, for people.
        shown: String,
    },
}

/// Where the master key comes from.
#[derive(Debug)]
pub(crate) enum MasterKey {
    /// It was given.
    Given(StoreKey),
    /// Neither it nor the database is there yet, and both are made at the first start. Only beside SQLite: nodes of one
    /// PostgreSQL must have the same.
    MadeAt(PathBuf),
}

pub(super) fn resolve(
    table: Option<Table<'_>>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Store> {
    let table = table?;
    let database =
        table.required("url", URL_FORM, problems).and_then(|field| database(field, around, problems));
    let form = format!("a list of secrets, [{}]", secret::FORM);
    let previous = match table.find("previous_master_keys") {
        Some(field) => field.list(&form, problems)?,
        None => Vec::new(),
    };
    let previous_len = previous.len();
    let previous: Vec<_> = previous.into_iter().filter_map(|field| key(field, around, problems)).collect();
    let audit_heads = match table.find("audit_heads") {
        Some(field) => heads::resolve(field, around, problems),
        None => Some(Vec::new()),
    };
    let keep = keep::resolve(table.find("keep"), problems);
    let database = database?;
    let master_key = master_key(&table, &database, around, problems)?;
    if let MasterKey::Given(key) = &master_key
        && previous.iter().any(|previous| previous.id() == key.id())
    {
        table.wrong(
            "previous_master_keys",
            "the master key itself is among them; leave it out, or make a new one",
            problems,
        );
    }
    let audit_heads = audit_heads?;
    let line = problems.line(table.find("url").map_or(table.offset(), |field| field.offset()));
    (previous.len() == previous_len).then_some(Store {
        line,
        database,
        master_key,
        previous_master_keys: previous,
        audit_heads,
        keep,
    })
}

fn database(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Database> {
    // A server's URL may carry a password, so it may come from where secrets come from.
    let url = if field.is_table() {
        secret::read(field, around, problems)?
    } else if let Some(text) = field.as_text() {
        Secret::new(text)
    } else {
        field.wrong_type("a URL", URL_FORM, problems);
        return None;
    };
    let text = url.expose();
    let read = if let Some(path) = text.strip_prefix("sqlite:") {
        sqlite_path(path).map(|path| Database::Sqlite(around.resolve(path)))
    } else if let Some(rest) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))
    {
        server(rest).map(|server| {
            if server.has_password && field.as_text().is_some() {
                field.doubtful(
                    "a password stands in the file; better url = { env = \"NAME\" }, or PGPASSWORD in the environment",
                    problems,
                );
            }
            if server.may_be_in_clear {
                field.doubtful(
                    "the connection may be in clear; add ?sslmode=verify-full, or whoever is on the way reads along",
                    problems,
                );
            }
            Database::Postgres { shown: server.shown, url: url.clone() }
        })
    } else {
        Err("is neither SQLite nor PostgreSQL")
    };
    // The URL is not echoed: it may hold a password.
    read.map_err(|what| field.wrong(format_args!("this {what}; write {URL_FORM}"), problems)).ok()
}

/// `ringfence.db`, or `///var/lib/ringfence.db` as others write it.
fn sqlite_path(path: &str) -> Result<&str, &'static str> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') {
        Err("names no file")
    } else if path.starts_with(":memory:") {
        Err("would be forgotten at every stop")
    } else if path.contains(['?', '#']) {
        Err("has a query, and how the file is opened is not for the operator to choose")
    } else {
        Ok(path)
    }
}

struct Server {
    shown: String,
    has_password: bool,
    may_be_in_clear: bool,
}

/// What can be told of a PostgreSQL URL without connecting: `user@host:port/database?parameters`.
fn server(rest: &str) -> Result<Server, &'static str> {
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has characters in it that must be percent-encoded");
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').ok_or("names no database")?;
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let parameters = || query.split('&').filter_map(|pair| pair.split_once('='));
    if parameters().any(|(name, _)| name.contains('%')) {
        return Err("has escapes in the name of a parameter");
    }
    // As the driver takes them: one after the other, so that the last counts, and all of them more than what stands before.
    let parameter =
        |names: &[&str]| parameters().filter(|(name, _)| names.contains(name)).last().map(|(_, value)| value);
    let has_password = user.contains(':') || parameter(&["password"]).is_some();
    let host = parameter(&["host", "hostaddr"]).unwrap_or(host);
    let database = parameter(&["dbname"]).unwrap_or(database);
    if host.is_empty() {
        return Err("names no host");
    }
    if database.is_empty() || database.contains('/') {
        return Err("names no database");
    }
    let is_socket = host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f");
    let is_encrypted =
        matches!(parameter(&["sslmode", "ssl-mode"]), Some("require" | "verify-ca" | "verify-full"));
    Ok(Server {
        shown: format!("postgres://{host}/{database}"),
        has_password,
        may_be_in_clear: !(is_socket || is_encrypted || is_loopback(host_of(host))),
    })
}

/// The host of `host:port`, without the brackets of IPv6.
fn host_of(authority: &str) -> &str {
    if let Some(inside) = authority.strip_prefix('[') {
        return inside.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

/// Whether this host is this machine, as far as its name tells.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn master_key(
    table: &Table<'_>,
    database: &Database,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<MasterKey> {
    let field = table.find("master_key");
    let Database::Sqlite(database) = database else {
        let Some(field) = field else {
            table.required("master_key", KEY_FORM, problems);
            return None;
        };
        return key(field, around, problems).map(MasterKey::Given);
    };
    let path = match field {
        None => Some(StoreKey::path_beside(database)),
        Some(field) => file_of(field, around),
    };
    match (path, field) {
        (Some(path), _) if path.try_exists().is_ok_and(|exists| !exists) => {
            if database.metadata().is_ok_and(|metadata| metadata.len() > 0) {
                // The store says the same; to be told before the start is better.
                table.wrong("master_key", OpenError::MasterKeyMissing { path }, problems);
                return None;
            }
            Some(MasterKey::MadeAt(path))
        }
        (_, Some(field)) => key(field, around, problems).map(MasterKey::Given),
        (Some(path), None) => match read_file(&path) {
            Ok(key) => Some(MasterKey::Given(key)),
            Err(what) => {
                table.wrong("master_key", what, problems);
                None
            }
        },
        (None, None) => None,
    }
}

/// A key of the store. In a file it is for its owner alone, which is more than is asked of other secrets: it opens all
/// of them.
fn key(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<StoreKey> {
    let read = match file_of(field, around) {
        Some(path) => read_file(&path),
        None => StoreKey::parse(&secret::read(field, around, problems)?).map_err(|error| error.to_string()),
    };
    read.map_err(|what| field.wrong(what, problems)).ok()
}

/// The file that holds it, where it is in a file and nowhere else.
fn file_of(field: Field<'_>, around: &Surroundings<'_>) -> Option<PathBuf> {
    let table = field.as_table(&secret::SECTION).filter(|table| !table.has("env"))?;
    let path = table.find("file")?.as_text().filter(|path| !path.is_empty())?;
    Some(around.resolve(path))
}

fn read_file(path: &Path) -> Result<StoreKey, String> {
    StoreKey::read(path).map_err(|error| match error {
        OpenError::MasterKeyMalformed => format!("{} holds no key: {error}", path.display()),
        OpenError::File { source, .. } => format!("cannot read {}: {source}", path.display()),
        other => other.to_string(),
    })
}
