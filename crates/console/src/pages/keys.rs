//! Virtual credentials: what applications hold in the place of Twilio's auth tokens, and an end to those that leaked.
//!
//! Whoever looks after one account sees, makes and ends what is for that account alone. What opens several accounts, or all
//! of them, is for those who look at everything; to others it is not there.

use std::collections::HashMap;

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_breaker::Scope;
use ringfence_control::virtual_credentials::{self, VirtualCredential};
use ringfence_model::{Actor, Sid};
use ringfence_store::{EgressAccounts, Person};

use super::act::{Act, ask, ask_again, reason};
use super::audit::people;
use super::shown;
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// Rows of a page.
const SIZE: usize = 50;

#[derive(Template)]
#[template(path = "keys.html")]
struct View {
    frame: Frame,
    rows: Vec<Row>,
    /// What is searched for.
    q: String,
    found: String,
    older: Option<String>,
    newer: Option<String>,
    is_everywhere: bool,
    has_egress: bool,
}

#[derive(Debug)]
struct Row {
    sid: String,
    name: String,
    made: String,
    /// The accounts that it is for, by SID and name; none where it is for all.
    accounts: Option<Vec<(String, String)>>,
    operations: String,
    /// What it is restricted to, each with what that restricts.
    only: Vec<(&'static str, String)>,
    /// Limits that are for it, or for its tenant, alone.
    limits: Vec<String>,
    used: String,
    class: &'static str,
    state: String,
    may_revoke: bool,
}

/// What rows are told with.
struct Around<'a> {
    call: &'a Call<'a>,
    people: Vec<Person>,
    names: HashMap<Sid, String>,
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let store = call.engine.store();
    let mut all = virtual_credentials::list(store).await?;
    all.retain(|credential| may_see(&call, credential));
    let names = store.accounts().await?.into_iter().map(|account| (account.sid, account.friendly_name));
    let around = Around { people: people(&call).await?, names: names.collect(), call: &call };
    let q = call.query.get("q").to_lowercase();
    all.retain(|credential| around.is_meant(credential, &q));
    // What still opens something comes first.
    all.sort_by_key(|credential| !credential.is_good(call.now));
    let total = all.len();
    let page: usize = call.query.get("page").parse().unwrap_or(1).clamp(1, total.div_ceil(SIZE).max(1));
    let begin = (page - 1) * SIZE;
    let link = |page: usize| format!("/keys?q={}&page={page}", words::query_value(call.query.get("q")));
    let view = View {
        rows: all.iter().skip(begin).take(SIZE).map(|credential| Row::of(&around, credential)).collect(),
        q: call.query.get("q").to_owned(),
        found: words::many(total, "credential", "credentials"),
        older: (begin + SIZE < total).then(|| link(page + 1)),
        newer: (page > 1).then(|| link(page - 1)),
        is_everywhere: call.signed_in.only_account().is_none(),
        has_egress: call.console.egress.is_some(),
        frame: Frame::new(&call, Section::Credentials),
    };
    shown(&view)
}

impl Around<'_> {
    /// Whether a search for this means it: by name, SID, tenant or an account that it is for. It is in small letters.
    fn is_meant(&self, credential: &VirtualCredential, q: &str) -> bool {
        let VirtualCredential { credential: row, scopes } = credential;
        let is_in = |text: &str| text.to_lowercase().contains(q);
        let is_of =
            |sid: &Sid| is_in(&sid.to_string()) || self.names.get(sid).is_some_and(|name| is_in(name));
        is_in(&row.name)
            || is_in(&row.sid.to_string())
            || scopes.as_ref().is_ok_and(|scopes| {
                let listed = match &scopes.accounts {
                    EgressAccounts::All => is_in("all accounts"),
                    EgressAccounts::Listed(listed) => listed.iter().any(is_of),
                };
                listed || scopes.tenant.as_deref().is_some_and(is_in)
            })
    }
}

/// Whether it is theirs to deal with.
fn may_see(call: &Call<'_>, credential: &VirtualCredential) -> bool {
    call.signed_in.only_account().is_none_or(|account| credential.is_for_only(account))
}

impl Row {
    fn of(around: &Around<'_>, credential: &VirtualCredential) -> Self {
        let call = around.call;
        let VirtualCredential { credential: row, scopes } = credential;
        let (class, state) = match (row.revoked_at, row.expires_at) {
            (Some(at), _) => ("bad", format!("revoked {}", words::when(&at))),
            (None, Some(at)) if at <= call.now => ("gone", format!("expired {}", words::when(&at))),
            (None, _) if scopes.is_err() => {
                ("bad", "opens nothing: this version does not understand it".to_owned())
            }
            (None, Some(at)) => ("good", format!("until {}", words::when(&at))),
            (None, None) => ("good", "does not expire".to_owned()),
        };
        let mut only = Vec::new();
        let (mut accounts, mut operations, mut tenant) = (Some(Vec::new()), String::new(), None);
        if let Ok(scopes) = scopes {
            accounts = match &scopes.accounts {
                EgressAccounts::All => None,
                EgressAccounts::Listed(listed) => Some(
                    listed
                        .iter()
                        .map(|sid| (sid.to_string(), around.names.get(sid).cloned().unwrap_or_default()))
                        .collect(),
                ),
            };
            operations = joined(&scopes.operations);
            if !scopes.destinations.is_empty() {
                only.push(("to", joined(&scopes.destinations)));
            }
            if !scopes.senders.is_empty() {
                only.push(("as", scopes.senders.join(", ")));
            }
            if let Some(tenant) = &scopes.tenant {
                only.push(("for the tenant", tenant.clone()));
            }
            tenant = scopes.tenant.as_deref();
        }
        let limits = call.engine.limits().iter().filter(|applied| match &applied.limit.scope {
            Scope::Credential(sid) => *sid == row.sid,
            Scope::Tenant(of) => tenant == Some(of),
            _ => false,
        });
        let limits = limits.map(|applied| applied.limit.name.clone()).collect();
        let by = row.created_by.as_ref().map(|by| format!(" by {}", named(by, &around.people)));
        Self {
            sid: row.sid.to_string(),
            name: row.name.clone(),
            made: format!("made {}{}", words::when(&row.created_at), by.unwrap_or_default()),
            accounts,
            operations,
            only,
            limits,
            used: match row.used_at {
                Some(at) => format!("used {}", words::ago(&at, &call.now)),
                None => "not used yet".to_owned(),
            },
            class,
            state,
            may_revoke: row.is_good(call.now),
        }
    }
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// Who did something, with the name that a person signs in with where that may be told.
fn named(by: &Actor, people: &[Person]) -> String {
    match by {
        Actor::Person(id) => match people.iter().find(|person| person.id == *id) {
            Some(person) => person.login.clone(),
            None => "somebody of the console".to_owned(),
        },
        Actor::CommandLine(name) => format!("{name} at the command line"),
        by => by.to_string(),
    }
}

/// The credential that a path names, if it is theirs to deal with. For whom it is not, it is not there.
async fn meant(call: &Call<'_>) -> Result<VirtualCredential, Failed> {
    let sid = Sid::parse(call.piece).ok().filter(|sid| sid.is("SK")).ok_or(Failed::NotFound)?;
    let found = virtual_credentials::find(call.engine.store(), sid).await?;
    found.filter(|credential| may_see(call, credential)).ok_or(Failed::NotFound)
}

fn revoke_form(credential: &VirtualCredential) -> Act {
    let row = &credential.credential;
    Act {
        section: Section::Credentials,
        title: format!("Revoke {}", row.name),
        effects: vec![
            format!("Whatever uses {} is refused at its next request, on every node.", row.sid),
            "What it sent already is settled as ever. This cannot be undone: make another credential instead."
                .to_owned(),
        ],
        path: format!("/keys/{}/revoke", row.sid),
        button: "Revoke",
        is_dangerous: true,
        hidden: Vec::new(),
        allow: None,
        wants_reason: true,
        back: "/keys".to_owned(),
    }
}

pub(crate) async fn ask_revoke(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let credential = meant(&call).await?;
    ask(&call, revoke_form(&credential))
}

pub(crate) async fn revoke(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let credential = meant(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, revoke_form(&credential), wrong),
    };
    let by = call.signed_in.actor();
    virtual_credentials::revoke(call.engine.store(), (&by, reason), &credential, call.now).await?;
    Ok(words::redirect("/keys?done=revoke-key"))
}
