//! `ringfence key`: the credentials of applications.
//!
//! An application is one of the second factor (`--application`), or one that asks Twilio through the egress (`--account`).
//! A secret is printed once, alone on standard output, so that a script can take it from there; the store keeps a hash.

mod egress;

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use ringfence_control::second_factor::Application;
use ringfence_control::user_api::MAY_MANAGE;
use ringfence_control::verify::{KIND, MAY_APPROVE};
use ringfence_control::virtual_credentials::{self, NewVirtualCredential, NotMade};
use ringfence_model::Sid;
use ringfence_store::{Because, Credential, EGRESS, EgressScopes, NewCredential};
use serde_json::{Value, json};

use super::act::parse_reason;
use super::with_store::{self, Opened, StoreArguments, failure};
use super::{api_token, application};
use crate::exit::{Answer, Failure};

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a credential; its secret is shown this once.
    Create(CreateArguments),
    /// All credentials, the newest first, without their secrets.
    List(ListArguments),
    /// Make a credential worthless, at once and for good.
    Revoke(RevokeArguments),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The secret alone goes to standard output, everything else to standard error.",
    group = clap::ArgGroup::new("whose").required(true).multiple(true).args(["application", "account", "all_accounts"])
)]
struct CreateArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Whose: the SID or the name of an application of the second factor
    #[arg(long, value_name = "APPLICATION")]
    application: Option<String>,
    #[command(flatten)]
    egress: egress::Scopes,
    /// What it is for
    #[arg(long, value_name = "NAME", value_parser = api_token::parse_name)]
    name: String,
    /// Let it approve a verification without its code
    #[arg(long)]
    may_approve: bool,
    /// Let it change users: their policies, their factors, their trusted browsers
    #[arg(long)]
    may_manage: bool,
    /// After what time it is worthless, such as 90d; never if not given
    #[arg(long, value_name = "TIME", value_parser = api_token::parse_time)]
    expires: Option<Duration>,
}

#[derive(Debug, clap::Args)]
struct ListArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Those of one application alone: its SID or its name
    #[arg(long, value_name = "APPLICATION")]
    application: Option<String>,
}

#[derive(Debug, clap::Args)]
struct RevokeArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Its SID, as `list` shows it
    #[arg(value_name = "SID")]
    sid: String,
    /// Why; the audit log keeps it
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Create(arguments) => {
            with_store::run(&arguments.store.config, async |opened| create(arguments, opened).await)
        }
        Command::List(arguments) => with_store::look(&arguments.store.config, async |opened| {
            let application = match &arguments.application {
                Some(named) => Some(application::find(named, opened).await?.sid),
                None => None,
            };
            let found = opened.store.credentials(application).await.map_err(|error| failure(&error))?;
            Ok(Answer::text(if arguments.store.json {
                let found: Vec<_> = found.iter().map(|it| as_json(it, opened.now)).collect();
                format!("{}\n", Value::from(found))
            } else {
                as_table(&found, opened.now)
            }))
        }),
        Command::Revoke(arguments) => {
            let sid = Sid::parse(&arguments.sid).ok().filter(|sid| sid.is("SK"));
            let sid =
                sid.ok_or_else(|| Failure::usage("a credential's SID is SK and 32 hexadecimal digits"))?;
            with_store::run(&arguments.store.config, async |opened| {
                let because = Because { reason: arguments.reason.clone(), ..Because::from(&opened.by) };
                let revoked = opened.store.revoke_credential(because, sid, opened.now).await;
                revoked.map_err(|error| {
                    let is_unknown = matches!(error, ringfence_store::Error::Missing { .. });
                    let failure = failure(&error);
                    if is_unknown { failure.hint("`ringfence key list` shows them") } else { failure }
                })?;
                Ok(Answer::text(if arguments.store.json {
                    format!("{}\n", json!({ "sid": sid.to_string(), "state": "revoked" }))
                } else {
                    format!("credential {sid} is revoked\n")
                }))
            })
        }
    }
}

async fn create(arguments: &CreateArguments, opened: &Opened) -> Result<Answer, Failure> {
    let expires_at =
        arguments.expires.map(|time| opened.now.checked_add(time)).transpose().map_err(|_| {
            Failure::usage("--expires is too long; leave it out for a credential without an end")
        })?;
    let (credential, secret, whom) = match &arguments.application {
        Some(named) if !arguments.egress.are_given() => {
            let application = application::find(named, opened).await?;
            let new = NewCredential { expires_at, ..of_application(arguments, &application) };
            let created = opened.store.create_credential(&opened.by, new, opened.now).await;
            let (credential, secret) = created.map_err(|error| failure(&error))?;
            (credential, secret, format!("{} ({})", application.name, application.sid))
        }
        _ => {
            let (scopes, whom) = egress::scopes(&arguments.egress);
            let new = NewVirtualCredential { name: arguments.name.clone(), scopes, expires_at };
            let created = virtual_credentials::create(&opened.store, &opened.by, new, opened.now).await;
            let (made, secret) = created.map_err(|error| match error {
                NotMade::Store(error) => failure(&error),
                error => Failure::usage(error.to_string()),
            })?;
            (made.credential, secret, whom)
        }
    };
    let unknown = opened.notes_of_unknown(arguments.egress.accounts()).await?;
    if arguments.store.json {
        let mut json = as_json(&credential, opened.now);
        json["secret"] = secret.expose().into();
        let mut answer = Answer::text(format!("{json}\n"));
        answer.notes.extend(unknown);
        return Ok(answer);
    }
    let mut answer = Answer::text(format!("{}\n", secret.expose()));
    answer.notes.extend(unknown);
    let end = credential.expires_at.map_or("for ever".to_owned(), |end| format!("until {}", seconds(end)));
    answer.notes.push(format!(
        "the secret of credential {} for {whom}, good {end}; keep it now, it is not shown again",
        credential.sid,
    ));
    Ok(answer)
}

/// A credential of an application of the second factor.
fn of_application(arguments: &CreateArguments, application: &Application) -> NewCredential {
    let scopes = [(arguments.may_approve, MAY_APPROVE), (arguments.may_manage, MAY_MANAGE)];
    NewCredential {
        kind: KIND.to_owned(),
        application: Some(application.sid),
        name: arguments.name.clone(),
        scopes: scopes.into_iter().filter(|(may, _)| *may).map(|(_, scope)| scope.to_owned()).collect(),
        expires_at: None,
    }
}

fn state(credential: &Credential, now: Timestamp) -> &'static str {
    if credential.is_good(now) {
        "good"
    } else if credential.revoked_at.is_some() {
        "revoked"
    } else {
        "expired"
    }
}

fn as_json(credential: &Credential, now: Timestamp) -> Value {
    json!({
        "sid": credential.sid.to_string(),
        "kind": credential.kind,
        "application": credential.application.map(|sid| sid.to_string()),
        "name": credential.name,
        "scopes": credential.scopes,
        "created_at": seconds(credential.created_at),
        "created_by": credential.created_by.as_ref().map(ToString::to_string),
        "used_at": credential.used_at.map(seconds),
        "expires_at": credential.expires_at.map(seconds),
        "revoked_at": credential.revoked_at.map(seconds),
        "state": state(credential, now),
    })
}

fn as_table(credentials: &[Credential], now: Timestamp) -> String {
    if credentials.is_empty() {
        return "there is no credential\n".to_owned();
    }
    let mut text = format!("{:<34} {:<34} {:<8} {:<20} NAME\n", "SID", "APPLICATION", "STATE", "EXPIRES");
    for credential in credentials {
        let application = credential.application.map_or_else(|| "-".to_owned(), |sid| sid.to_string());
        let expires = credential.expires_at.map_or("never".to_owned(), seconds);
        let sid = credential.sid.to_string();
        _ = writeln!(
            text,
            "{sid:<34} {application:<34} {:<8} {expires:<20} {}",
            state(credential, now),
            credential.name
        );
        if let Some(may) = what_it_may(credential) {
            _ = writeln!(text, "    {may}");
        }
        let by = credential.created_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let used =
            credential.used_at.map_or("never used".to_owned(), |at| format!("last used {}", seconds(at)));
        _ = writeln!(text, "    made {}{by}; {used}", seconds(credential.created_at));
    }
    text
}

/// What it may do beyond what every credential of its kind may.
fn what_it_may(credential: &Credential) -> Option<String> {
    if credential.kind == EGRESS {
        return Some(match EgressScopes::parse(&credential.scopes) {
            Ok(scopes) => egress::in_words(&scopes),
            Err(error) => format!("opens nothing: {error}"),
        });
    }
    (!credential.scopes.is_empty()).then(|| credential.scopes.join(", "))
}

/// To the second, as people read a time.
fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}
