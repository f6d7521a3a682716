//! `ringfence user`: who signs in to the console.
//!
//! It works on the store alone, so an owner who lost everything is let in again by whoever may read the master key, with
//! every breaker tripped and Twilio unreachable. A code is printed once, alone on standard output.

use std::fmt::Write as _;

use clap::ValueEnum;
use ringfence_control::people::{self, Invitation, Refused};
use ringfence_model::Sid;
use ringfence_store::{Because, Grant, Lock, Person, Role, Store, Where};
use serde_json::{Value, json};

use super::act::{parse_reason, reason_of};
use super::with_store::{self, Opened, StoreArguments, failure};
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add somebody, and get a code with which they bind their second factor.
    Add(AddArguments),
    /// Everybody who signs in, with their roles.
    List(StoreArguments),
    /// Take a lost second factor away, and get a code to bind another; it ends all sessions.
    ResetSecondFactor(ActArguments),
    /// Lock somebody out, at once, on every node.
    Lock(LockArguments),
    /// Let somebody in again.
    Unlock(ActArguments),
    /// Sign somebody out everywhere, at once, on every node.
    EndSessions(ActArguments),
    /// Trust no computer of somebody's any more: each is asked for the second factor again.
    EndDevices(ActArguments),
    /// Remove somebody, with everything that is theirs.
    Remove(ActArguments),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "The code alone goes to standard output, everything else to standard error.")]
struct AddArguments {
    #[command(flatten)]
    who: WhoArguments,
    /// What they may do
    #[arg(long, value_name = "ROLE", value_enum, default_value_t = RoleWord::Auditor)]
    role: RoleWord,
    /// An account that this is for; repeat it for more. For everything if not given
    #[arg(long = "account", value_name = "SID", value_parser = parse_account)]
    accounts: Vec<Sid>,
    /// Why; the audit log keeps it
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ActArguments {
    #[command(flatten)]
    who: WhoArguments,
    /// Why; the audit log keeps it. Needed; asked for if it is not given and you sit at a terminal
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
struct LockArguments {
    #[command(flatten)]
    act: ActArguments,
    /// Lock them even if nobody is left who may do everything in the console; `ringfence user unlock` lets them in again
    #[arg(long)]
    even_last_owner: bool,
}

#[derive(Debug, clap::Args)]
struct WhoArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// The mail address that they sign in with
    #[arg(value_name = "MAIL")]
    login: String,
}

/// What somebody may do; each may also do what the one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleWord {
    /// Enter protected hosts, and look after their own sign-in
    Visitor,
    /// Look
    Auditor,
    /// Trip and reset breakers, suspend and resume accounts, too
    Operator,
    /// Everything: people, policies, credentials
    Owner,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Visitor => Self::Visitor,
            RoleWord::Auditor => Self::Auditor,
            RoleWord::Operator => Self::Operator,
            RoleWord::Owner => Self::Owner,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Add(arguments) => {
            with_store::run(&arguments.who.store.config, async |opened| add(arguments, opened).await)
        }
        Command::List(arguments) => with_store::look(&arguments.config, async |opened| {
            let people = opened.store.persons().await.map_err(|error| failure(&error))?;
            Ok(Answer::text(if arguments.json {
                format!("{}\n", Value::from(people.iter().map(as_json).collect::<Vec<_>>()))
            } else {
                as_table(&people)
            }))
        }),
        Command::ResetSecondFactor(arguments) => act(arguments, async |opened, because, person| {
            let reset = people::reset_second_factor(&opened.store, &because, person, opened.now).await;
            let invitation = reset.map_err(refused)?;
            Ok(invited(&invitation, "binds another second factor", arguments.who.store.json))
        }),
        Command::Lock(LockArguments { act: arguments, even_last_owner }) => {
            let how = if *even_last_owner { Lock::OutEvenTheLastOwner } else { Lock::Out };
            act(arguments, async |opened, because, person| {
                lock(opened, &because, &person, how, arguments.who.store.json).await
            })
        }
        Command::Unlock(arguments) => act(arguments, async |opened, because, person| {
            lock(opened, &because, &person, Lock::Off, arguments.who.store.json).await
        }),
        Command::EndSessions(arguments) => act(arguments, async |opened, because, person| {
            let ended = people::end_sessions(&opened.store, &because, &person, opened.now).await;
            let state =
                if ended.map_err(refused)? > 0 { "signed out everywhere" } else { "signed in nowhere" };
            Ok(said(&person, state, arguments.who.store.json))
        }),
        Command::EndDevices(arguments) => act(arguments, async |opened, because, person| {
            let ended = people::end_devices(&opened.store, &because, &person, opened.now).await;
            let state = match ended.map_err(refused)? {
                0 => "asked on every computer already",
                _ => "asked again on every computer",
            };
            Ok(said(&person, state, arguments.who.store.json))
        }),
        Command::Remove(arguments) => act(arguments, async |opened, because, person| {
            let removed = opened.store.remove_person(&because, &person.id, opened.now).await;
            removed.map_err(|error| stays(&error))?;
            Ok(said(&person, "removed", arguments.who.store.json))
        }),
    }
}

async fn add(arguments: &AddArguments, opened: &Opened) -> Result<Answer, Failure> {
    let role = arguments.role.into();
    let places = arguments.accounts.iter().copied().map(Where::Account);
    let mut grants: Vec<Grant> = places.map(|place| Grant { place, role }).collect();
    if grants.is_empty() {
        grants.push(Grant { place: Where::Everywhere, role });
    }
    let because = Because { reason: arguments.reason.clone(), ..Because::from(&opened.by) };
    let added = people::add(&opened.store, &because, &arguments.who.login, grants, opened.now).await;
    let invitation = added.map_err(|error| match error {
        Refused::Store(ringfence_store::Error::Conflict { .. }) => {
            Failure::usage(format!("somebody signs in as {} already", arguments.who.login.trim()))
                .hint(
                    "`ringfence user list` shows them; whoever is invited and has no code any more gets a new one by `ringfence user \
                     reset-second-factor`",
                )
        }
        error => refused(error),
    })?;
    let mut answer =
        invited(&invitation, "sets a password and binds a second factor", arguments.who.store.json);
    answer.notes.extend(opened.notes_of_unknown(&arguments.accounts).await?);
    Ok(answer)
}

async fn lock(
    opened: &Opened,
    because: &Because,
    person: &Person,
    how: Lock,
    json: bool,
) -> Result<Answer, Failure> {
    let changed = opened.store.lock_person(because, &person.id, how, opened.now).await;
    let changed = changed.map_err(|error| match error {
        ringfence_store::Error::Conflict { .. } => Failure::usage(
            "nobody else is an owner of everything who is not locked out: nobody could let them in again from the console",
        )
        .hint("`ringfence user add --role owner` first, or --even-last-owner if that is meant"),
        error => failure(&error),
    })?;
    let state = match (how, changed) {
        (Lock::Off, true) => "unlocked",
        (Lock::Off, false) => "not locked",
        (_, true) => "locked",
        (_, false) => "locked already",
    };
    Ok(said(person, state, json))
}

/// Does something about the person who is named, with the reason.
fn act(
    arguments: &ActArguments,
    act: impl AsyncFnOnce(&Opened, Because, Person) -> Result<Answer, Failure>,
) -> Result<Answer, Failure> {
    let reason = reason_of(arguments.reason.as_ref())?;
    with_store::run(&arguments.who.store.config, async |opened| {
        let person = find(&opened.store, &arguments.who.login).await?;
        let because = Because { reason: Some(reason), ..Because::from(&opened.by) };
        act(opened, because, person).await
    })
}

async fn find(store: &Store, login: &str) -> Result<Person, Failure> {
    let found = store.person_by_login(login).await.map_err(|error| failure(&error))?;
    found.map(|(person, _)| person).ok_or_else(|| {
        Failure::usage(format!("nobody signs in as {}", login.trim()))
            .hint("`ringfence user list` shows everybody, `ringfence user add` adds somebody")
    })
}

fn stays(error: &ringfence_store::Error) -> Failure {
    match error {
        ringfence_store::Error::Conflict { .. } => Failure::usage(
            "the last owner of everything stays: nobody could add another one from the console",
        )
        .hint(
            "`ringfence user add --role owner` first; one who has bound no second factor yet is no other owner for one who has",
        ),
        error => failure(error),
    }
}

fn refused(error: Refused) -> Failure {
    match error {
        Refused::Store(error) => failure(&error),
        error => Failure::usage(error),
    }
}

fn said(person: &Person, state: &str, json: bool) -> Answer {
    Answer::text(if json {
        format!("{}\n", json!({ "id": person.id, "login": person.login, "state": state }))
    } else {
        format!("{} is {state}\n", person.login)
    })
}

fn invited(invitation: &Invitation, does: &str, json: bool) -> Answer {
    let Invitation { person, code, expires_at } = invitation;
    if json {
        let mut answer = as_json(person);
        answer["code"] = code.spelled().as_str().into();
        answer["code_expires_at"] = expires_at.to_string().into();
        return Answer::text(format!("{answer}\n"));
    }
    let mut answer = Answer::text(format!("{}\n", code.spelled().as_str()));
    answer.notes.push(format!(
        "with this code {} {does}, on the console's page /bind, until {expires_at:.0}; it is good once and not shown again",
        person.login,
    ));
    answer
}

fn as_json(person: &Person) -> Value {
    let roles: Vec<Value> = person
        .grants
        .iter()
        .map(|grant| json!({ "account": grant.place.text(), "role": grant.role.word() }))
        .collect();
    json!({
        "id": person.id,
        "login": person.login,
        "roles": roles,
        "has_password": person.has_password,
        "locked_at": person.locked_at.map(|at| at.to_string()),
        "created_at": person.created_at.to_string(),
    })
}

fn as_table(people: &[Person]) -> String {
    if people.is_empty() {
        return "nobody yet; `ringfence user add --role owner MAIL` adds the first owner\n".to_owned();
    }
    let width = people.iter().map(|person| person.login.chars().count()).max().unwrap_or_default();
    let mut table = String::new();
    for person in people {
        let roles: Vec<String> = person
            .grants
            .iter()
            .map(|grant| match grant.place {
                Where::Everywhere => grant.role.word().to_owned(),
                Where::Account(sid) => format!("{} of {sid}", grant.role.word()),
            })
            .collect();
        let state = match (person.locked_at, person.has_password) {
            (Some(_), _) => "  locked",
            (None, false) => "  invited",
            (None, true) => "",
        };
        // Writing to a text does not fail.
        let _ = writeln!(table, "{:width$}  {}{state}", person.login, roles.join(", "));
    }
    table
}

pub(super) fn parse_account(text: &str) -> Result<Sid, String> {
    let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC"));
    sid.ok_or_else(|| "an account's SID is AC and 32 hexadecimal digits".to_owned())
}
