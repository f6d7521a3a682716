//! `[[account]]`: whose signatures are checked, and with which keys.

use std::collections::BTreeMap;

use ringfence_model::{Secret, Sid};
use ringfence_signature::{AccountKeys, AccountSid, Algorithm, MAX_KEYS};

use super::Surroundings;
use super::problems::Problems;
use super::raw::{Field, Section, Table, alternatives};
use super::secret;

pub(super) const SECTION: Section = Section {
    name: "[[account]]",
    keys: &[
        "sid",
        "auth_token",
        "secondary_auth_token",
        "previous_auth_tokens",
        "shared_keys",
        "parent",
        "subaccounts",
    ],
    later: &[],
};

pub(super) const SHARED_KEY: Section =
    Section { name: "shared_keys of [[account]]", keys: &["id", "secret", "algorithm"], later: &[] };

const SID_FORM: &str = "AC and 32 hexadecimal digits";
const SHARED_KEY_FORM: &str = "[{ id = \"…\", secret = { env = \"NAME\" }, algorithm = \"HMAC_SHA256\" }]";

/// An account that has at least one key here.
pub(super) struct Account {
    pub(super) sid: AccountSid,
    pub(super) keys: AccountKeys,
    pub(super) keys_len: usize,
    /// Those that are tried where a request names none: all but SharedKeys with HMAC-SHA256.
    unnamed_len: usize,
    /// Whether one of them is a SharedKey.
    has_shared_key: bool,
    /// Where it begins.
    offset: usize,
    /// What signs anew for an upstream that verifies by itself, and what Twilio's API is asked with.
    pub(super) auth_token: Option<Secret>,
    /// Where that was read from, for people.
    pub(super) auth_token_from: String,
    /// The account that it is a subaccount of.
    pub(super) parent: Option<AccountSid>,
    /// Whether its subaccounts are found at Twilio.
    pub(super) finds_subaccounts: bool,
}

impl Account {
    /// Whether it has this SID, however its digits are written.
    pub(super) fn is(&self, sid: Sid) -> bool {
        Sid::parse(self.sid.as_str()) == Ok(sid)
    }
}

/// All accounts of the file, found by their SIDs.
pub(super) struct KnownAccounts<'a> {
    by_sid: BTreeMap<AccountSid, &'a Account>,
    without_auth_token: Option<AccountSid>,
}

impl<'a> KnownAccounts<'a> {
    pub(super) fn new(accounts: &'a [Account]) -> Self {
        Self {
            by_sid: accounts.iter().map(|account| (account.sid, account)).collect(),
            without_auth_token: accounts
                .iter()
                .find(|account| account.auth_token.is_none())
                .map(|first| first.sid),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_sid.is_empty()
    }

    pub(super) fn has(&self, sid: AccountSid) -> bool {
        self.by_sid.contains_key(&sid)
    }

    /// 0 for an account that is not there.
    pub(super) fn keys_len(&self, sid: AccountSid) -> usize {
        self.by_sid.get(&sid).map_or(0, |account| account.keys_len)
    }

    /// Whether one of the listed accounts, or of all, has a SharedKey.
    pub(super) fn have_shared_keys(&self, listed: Option<&[AccountSid]>) -> bool {
        let is_listed = |sid: &AccountSid| listed.is_none_or(|listed| listed.contains(sid));
        self.by_sid.iter().any(|(sid, account)| account.has_shared_key && is_listed(sid))
    }

    /// One of the listed accounts, or of all, that could not sign anew.
    pub(super) fn without_auth_token(&self, listed: Option<&[AccountSid]>) -> Option<AccountSid> {
        let Some(listed) = listed else { return self.without_auth_token };
        let lacks =
            |sid: &AccountSid| self.by_sid.get(sid).is_some_and(|account| account.auth_token.is_none());
        listed.iter().copied().find(lacks)
    }
}

/// What of the rest of the file accounts need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    pub(super) has_store: bool,
    /// Whether there is a `[shared_keys]`, so that an account may get its keys from the store alone.
    pub(super) has_shared_keys: bool,
}

/// Reads all accounts.
pub(super) fn resolve(
    tables: &[Table<'_>],
    rest: Rest,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Account> {
    let mut lines = BTreeMap::new();
    let mut shared_key_lines = BTreeMap::new();
    let mut accounts = Vec::new();
    for table in tables {
        if let Some(account) = one(table, rest, around, &mut shared_key_lines, problems) {
            match lines.insert(account.sid, problems.line(table.offset())) {
                None => accounts.push(account),
                Some(line) => {
                    table.wrong("sid", format_args!("line {line} has this account already"), problems);
                }
            }
        }
    }
    accounts
}

fn one(
    table: &Table<'_>,
    rest: Rest,
    around: &Surroundings<'_>,
    shared_key_lines: &mut BTreeMap<String, usize>,
    problems: &mut Problems,
) -> Option<Account> {
    let errors_before = problems.errors_len();
    let sid = table.required("sid", SID_FORM, problems).and_then(|field| account_sid(field, problems));
    // Secrets are read even where the SID is wrong, so that all problems come at once.
    let mut keys = sid.map_or_else(AccountKeys::anonymous, AccountKeys::new);
    let mut keys_len = 0;
    let auth_token = token(table.find("auth_token"), around, problems);
    let auth_token_from =
        table.find("auth_token").map(|field| secret::source(field, around)).unwrap_or_default();
    if let Some(token) = &auth_token {
        keys = keys.primary(token.expose());
        keys_len += 1;
    }
    if let Some(token) = token(table.find("secondary_auth_token"), around, problems) {
        keys = keys.secondary(token.expose());
        keys_len += 1;
    }
    let form = format!("a list of secrets, [{}]", secret::FORM);
    let previous = table.find("previous_auth_tokens").and_then(|field| field.list(&form, problems));
    for field in previous.unwrap_or_default() {
        if let Some(token) = token(Some(field), around, problems) {
            keys = keys.previous(token.expose());
            keys_len += 1;
        }
    }
    let (mut unnamed_len, mut has_shared_key) = (keys_len, false);
    let shared = table.find("shared_keys").and_then(|field| field.list(SHARED_KEY_FORM, problems));
    for field in shared.unwrap_or_default() {
        if let Some((id, secret, algorithm)) = shared_key(field, around, shared_key_lines, problems) {
            keys = keys.shared_key(&id, secret.expose(), algorithm);
            keys_len += 1;
            unnamed_len += usize::from(algorithm == Algorithm::HmacSha1);
            has_shared_key = true;
        }
    }
    let parent = table.find("parent").and_then(|field| account_sid(field, problems));
    if let Some(parent) = parent {
        if Some(parent) == sid {
            table.wrong("parent", "an account is not its own parent", problems);
        }
        keys = keys.child_of(parent);
    }
    let finds_subaccounts =
        table.find("subaccounts").and_then(|field| field.boolean(problems)).unwrap_or(false);
    if finds_subaccounts {
        can_find_subaccounts(table, rest.has_store, problems);
    }
    if problems.errors_len() > errors_before {
        return None;
    }
    if rest.has_shared_keys {
        keys = keys.learns_keys();
    } else if keys_len == 0 {
        table.wrong(
            "auth_token",
            format_args!("the account has no key, so nothing of it could be checked; write {}", secret::FORM),
            problems,
        );
    }
    if keys_len > MAX_KEYS {
        problems.error(
            table.offset(),
            format!(
                "[[account]] has {keys_len} keys, and at most {MAX_KEYS} are tried; remove what is retired"
            ),
        );
    }
    Some(Account {
        sid: sid?,
        keys,
        keys_len,
        unnamed_len,
        has_shared_key,
        offset: table.offset(),
        auth_token,
        auth_token_from,
        parent,
        finds_subaccounts,
    })
}

/// A usage trigger of a subaccount is signed by it or by its parent, so the keys of both are tried, its own first. A key that
/// finds no place among the eight would have genuine triggers refused, and nobody would know before it signs. One place is kept
/// for a token that is being replaced, and of a subaccount that is found at Twilio for the one before its token, too.
pub(super) fn triggers_are_tried(accounts: &[Account], problems: &mut Problems) {
    for parent in accounts.iter().filter(|account| account.parent.is_none()) {
        let children = accounts.iter().filter(|account| account.parent == Some(parent.sid));
        let most = children.max_by_key(|child| child.unnamed_len);
        let (whose, of_child, offset) = match most {
            Some(child) if child.unnamed_len >= FOUND_LEN || !parent.finds_subaccounts => {
                (format!("its subaccount {}", child.sid), child.unnamed_len, child.offset)
            }
            _ if parent.finds_subaccounts => {
                ("a subaccount that is found".to_owned(), FOUND_LEN, parent.offset)
            }
            _ => continue,
        };
        let count = parent.unnamed_len + of_child + 1;
        if count > MAX_KEYS {
            problems.error(
                offset,
                format!(
                    "[[account]]: a usage trigger is tried against the keys of {whose} ({of_child}) and of its parent {} ({}), \
                     and one more while a token is replaced: {count}, and at most {MAX_KEYS} are tried; remove what is retired",
                    parent.sid, parent.unnamed_len
                ),
            );
        }
    }
}

/// A subaccount that is found at Twilio has its token, and for some minutes the one before.
const FOUND_LEN: usize = 2;

/// What it takes to find the subaccounts of an account at Twilio.
fn can_find_subaccounts(table: &Table<'_>, has_store: bool, problems: &mut Problems) {
    let lacks = if table.has("parent") {
        "a subaccount has no subaccounts; remove it here and write it in the parent's [[account]]"
    } else if !table.has("auth_token") {
        "subaccounts are found with their parent's auth token, and this account has none here; add auth_token"
    } else if !has_store {
        "what is found is kept in the store, and there is none; add [store] with url = \"sqlite:ringfence.db\""
    } else {
        return;
    };
    table.wrong("subaccounts", lacks, problems);
}

/// Reads an account's SID, and says what was typed instead.
pub(super) fn account_sid(field: Field<'_>, problems: &mut Problems) -> Option<AccountSid> {
    field.parse(SID_FORM, problems, |text| {
        AccountSid::parse(text.as_bytes()).ok_or(if text.starts_with("SK") {
            "is an API key, which cannot check webhooks"
        } else {
            "is not an account's SID"
        })
    })
}

fn token(field: Option<Field<'_>>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Secret> {
    let field = field?;
    let token = secret::read(field, around, problems)?;
    let text = token.expose();
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        field.doubtful("this does not look like an auth token, which is 32 hexadecimal digits", problems);
    }
    Some(token)
}

fn shared_key(
    field: Field<'_>,
    around: &Surroundings<'_>,
    lines: &mut BTreeMap<String, usize>,
    problems: &mut Problems,
) -> Option<(String, Secret, Algorithm)> {
    let table = field.table(&SHARED_KEY, super::SECTIONS, SHARED_KEY_FORM, problems)?;
    let id = table.required("id", "the SharedKey's id, as Twilio's console shows it", problems);
    let secret = table.required("secret", secret::FORM, problems);
    // Pinned here because the header that names it is not signed: it could be made to pick the weaker one.
    let names = ["HMAC_SHA256", "HMAC_SHA1"];
    let algorithm = table.required("algorithm", &alternatives(&names), problems);
    let id = id?.parse("the SharedKey's id", problems, |text| {
        if text.is_empty()
            || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',' && byte != b'=')
        {
            Err("is not the id of a SharedKey")
        } else {
            Ok(text.to_owned())
        }
    });
    let secret = secret::read(secret?, around, problems);
    let algorithm =
        algorithm?.choice(&[(names[0], Algorithm::HmacSha256), (names[1], Algorithm::HmacSha1)], problems);
    let id = id?;
    if let Some(line) = lines.insert(id.clone(), problems.line(field.offset())) {
        table.wrong("id", format_args!("line {line} has this SharedKey already"), problems);
    }
    Some((id, secret?, algorithm?))
}
