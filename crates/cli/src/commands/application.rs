//! `ringfence application`: for whom the second factor is a service, and how their codes look.

use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_control::second_factor::{Application, ApplicationSettings};
use ringfence_model::Sid;
use ringfence_store::StoppedPrefix;
use serde_json::{Value, json};

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
    /// Make an application; `ringfence key create` then makes its credential.
    Add(AddArguments),
    /// Change what is said here of an application; the rest stays, and so do its SID, its users and its credentials.
    Change(ChangeArguments),
    /// All applications, the newest first.
    List(StoreArguments),
    /// The prefixes of numbers that codes are not sent to, since nobody enters them.
    Stopped(StoreArguments),
    /// Let codes be sent to a prefix again.
    Resume(ResumeArguments),
    /// Remove an application and revoke its credentials, at once and for good.
    Remove(RemoveArguments),
}

#[derive(Debug, clap::Args)]
struct AddArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// What its users know it by, as their texts say it
    #[arg(value_name = "NAME")]
    name: String,
    /// How many digits a code has, 6 to 10
    #[arg(long, value_name = "DIGITS", default_value_t = 6)]
    digits: u8,
    /// A country that its codes go to, of those that the configuration allows; repeat it for more. All of them if not given
    #[arg(long = "country", value_name = "ISO")]
    countries: Vec<String>,
    /// The host that its codes are entered at, and its passkeys are for: browsers then offer a code there and nowhere else
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Say in each text that the code is nobody else's business
    #[arg(long)]
    warning: bool,
    /// Let it bring its own codes
    #[arg(long)]
    custom_codes: bool,
}

#[derive(Debug, clap::Args)]
struct ChangeArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Its SID or its name, as `list` shows them
    #[arg(value_name = "APPLICATION")]
    application: String,
    /// What its users know it by from now on
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How many digits a code has, 6 to 10
    #[arg(long, value_name = "DIGITS")]
    digits: Option<u8>,
    /// A country that its codes go to, in the place of those before; repeat it for more
    #[arg(long = "country", value_name = "ISO", conflicts_with = "all_countries")]
    countries: Vec<String>,
    /// Its codes go to all countries that the configuration allows
    #[arg(long)]
    all_countries: bool,
    /// The host that its codes are entered at
    #[arg(long, value_name = "HOST", conflicts_with = "no_host")]
    host: Option<String>,
    /// Its codes are entered anywhere
    #[arg(long)]
    no_host: bool,
    /// Whether each text says that the code is nobody else's business
    #[arg(long, value_name = "true|false")]
    warning: Option<bool>,
    /// Whether it may bring its own codes
    #[arg(long, value_name = "true|false")]
    custom_codes: Option<bool>,
}

impl ChangeArguments {
    fn says_something(&self) -> bool {
        let Self { name, digits, countries, all_countries, host, no_host, warning, custom_codes, .. } = self;
        let is_flagged = *all_countries || *no_host;
        let is_named = name.is_some() || digits.is_some() || host.is_some() || !countries.is_empty();
        is_flagged || is_named || warning.is_some() || custom_codes.is_some()
    }
}

#[derive(Debug, clap::Args)]
struct ResumeArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Its SID or its name, as `list` shows them
    #[arg(value_name = "APPLICATION")]
    application: String,
    /// The prefix, as `stopped` shows it
    #[arg(long, value_name = "PREFIX")]
    prefix: String,
}

#[derive(Debug, clap::Args)]
struct RemoveArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Its SID or its name, as `list` shows them
    #[arg(value_name = "APPLICATION")]
    application: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    match &arguments.command {
        Command::Add(arguments) => {
            let settings = ApplicationSettings {
                digits: arguments.digits,
                countries: arguments.countries.clone(),
                host: arguments.host.clone(),
                warning: arguments.warning,
                custom_codes: arguments.custom_codes,
            };
            settings.check(&arguments.name).map_err(Failure::usage)?;
            with_store::run(&arguments.store.config, async |opened| add(arguments, settings, opened).await)
        }
        Command::Change(arguments) => {
            if !arguments.says_something() {
                return Err(Failure::usage("nothing is said that is to change")
                    .hint("`ringfence application change --help` says what can"));
            }
            with_store::run(&arguments.store.config, async |opened| change(arguments, opened).await)
        }
        Command::List(arguments) => with_store::look(&arguments.config, async |opened| {
            let applications = all(opened).await?;
            Ok(Answer::text(if arguments.json {
                format!("{}\n", Value::from(applications.iter().map(as_json).collect::<Vec<_>>()))
            } else {
                as_table(&applications)
            }))
        }),
        Command::Stopped(arguments) => with_store::look(&arguments.config, async |opened| {
            let stopped = opened.store.stopped_prefixes(opened.now).await.map_err(|error| failure(&error))?;
            Ok(Answer::text(if arguments.json {
                let stopped: Vec<_> = stopped
                    .iter()
                    .map(|it| json!({ "application": it.application, "prefix": it.prefix, "until": seconds(it.until) }))
                    .collect();
                format!("{}\n", Value::from(stopped))
            } else {
                as_stopped(&stopped)
            }))
        }),
        Command::Resume(arguments) => {
            with_store::run(&arguments.store.config, async |opened| {
                // One that is removed may have left a prefix behind.
                let sid = match Sid::parse(&arguments.application).ok().filter(|sid| sid.is("VA")) {
                    Some(sid) => sid.to_string(),
                    None => find(&arguments.application, opened).await?.sid.to_string(),
                };
                let prefix = &arguments.prefix;
                opened.store.resume_prefix(&opened.by, &sid, prefix, None, opened.now).await.map_err(
                    |error| {
                        let is_unknown = matches!(error, ringfence_store::Error::Missing { .. });
                        let failure = failure(&error);
                        if is_unknown {
                            failure.hint("`ringfence application stopped` shows them")
                        } else {
                            failure
                        }
                    },
                )?;
                Ok(Answer::text(if arguments.store.json {
                    format!("{}\n", json!({ "application": sid, "prefix": prefix, "state": "resumed" }))
                } else {
                    format!("codes of {sid} go to {prefix} again\n")
                }))
            })
        }
        Command::Remove(arguments) => with_store::run(&arguments.store.config, async |opened| {
            let sid = find(&arguments.application, opened).await?.sid;
            let removed = opened.store.remove_application(&opened.by, sid, opened.now).await;
            removed.map_err(|error| unknown(&error))?;
            Ok(Answer::text(if arguments.store.json {
                format!("{}\n", json!({ "sid": sid.to_string(), "state": "removed" }))
            } else {
                format!("application {sid} is removed, and its credentials are revoked\n")
            }))
        }),
    }
}

async fn add(
    arguments: &AddArguments,
    settings: ApplicationSettings,
    opened: &Opened,
) -> Result<Answer, Failure> {
    let added = opened.store.add_application(&opened.by, &arguments.name, json!(settings), opened.now).await;
    let application = added.and_then(Application::read).map_err(|error| failure(&error))?;
    if arguments.store.json {
        return Ok(Answer::text(format!("{}\n", as_json(&application))));
    }
    let mut answer = Answer::text(format!("{}\n", application.sid));
    answer.notes.extend(notes(&application, opened));
    answer.notes.push(format!(
        "make its credential: ringfence key create --application {} --name … --config …",
        application.sid
    ));
    Ok(answer)
}

/// What does not do what somebody may have meant.
fn notes(application: &Application, opened: &Opened) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(codes) = &opened.codes {
        let countries = application.countries_in_vain(codes);
        if !countries.is_empty() {
            notes.push(format!(
                "note: no code goes to {}: `countries` of [second_factor] does not list {}",
                countries.join(", "),
                if countries.len() == 1 { "it" } else { "them" }
            ));
        }
    }
    if let Some(host) = application.long_host() {
        notes.push(format!(
            "note: texts that have no room for {host} come without it, and browsers then offer their codes anywhere"
        ));
    }
    notes
}

async fn change(arguments: &ChangeArguments, opened: &Opened) -> Result<Answer, Failure> {
    let Application { sid, name, mut settings, .. } = find(&arguments.application, opened).await?;
    let name = arguments.name.clone().unwrap_or(name);
    settings.digits = arguments.digits.unwrap_or(settings.digits);
    settings.warning = arguments.warning.unwrap_or(settings.warning);
    settings.custom_codes = arguments.custom_codes.unwrap_or(settings.custom_codes);
    if arguments.all_countries || !arguments.countries.is_empty() {
        settings.countries.clone_from(&arguments.countries);
    }
    if arguments.no_host || arguments.host.is_some() {
        settings.host.clone_from(&arguments.host);
    }
    settings.check(&name).map_err(Failure::usage)?;
    let changed = opened.store.change_application(&opened.by, sid, &name, json!(settings), opened.now).await;
    let application = changed.and_then(Application::read).map_err(|error| unknown(&error))?;
    if arguments.store.json {
        return Ok(Answer::text(format!("{}\n", as_json(&application))));
    }
    let mut answer = Answer::text(format!("application {sid} ({name}) is changed\n"));
    answer.notes.extend(notes(&application, opened));
    Ok(answer)
}

/// All applications, the newest first.
async fn all(opened: &Opened) -> Result<Vec<Application>, Failure> {
    let stored = opened.store.applications().await.map_err(|error| failure(&error))?;
    stored.into_iter().map(Application::read).collect::<Result<_, _>>().map_err(|error| failure(&error))
}

/// The application with this SID, or the only one with this name.
pub(super) async fn find(named: &str, opened: &Opened) -> Result<Application, Failure> {
    let applications = all(opened).await?;
    let sid = Sid::parse(named).ok();
    let mut found = applications.into_iter().filter(|it| Some(it.sid) == sid || it.name == named);
    let hint = "`ringfence application list` shows them";
    match (found.next(), found.next()) {
        (Some(application), None) => Ok(application),
        (None, _) => Err(Failure::usage(format!("there is no application {named}")).hint(hint)),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("several applications are called {named}: give the SID")).hint(hint))
        }
    }
}

fn unknown(error: &ringfence_store::Error) -> Failure {
    let is_unknown = matches!(error, ringfence_store::Error::Missing { .. });
    let failure = failure(error);
    if is_unknown { failure.hint("`ringfence application list` shows them") } else { failure }
}

fn as_json(application: &Application) -> Value {
    json!({
        "sid": application.sid.to_string(),
        "name": application.name,
        "settings": application.settings,
        "created_at": seconds(application.created_at),
        "updated_at": seconds(application.updated_at),
    })
}

fn as_table(applications: &[Application]) -> String {
    if applications.is_empty() {
        return "there is no application\n".to_owned();
    }
    let mut text = format!("{:<34} {:<6} {:<20} NAME\n", "SID", "DIGITS", "COUNTRIES");
    for Application { sid, name, settings, .. } in applications {
        let countries = match settings.countries.as_slice() {
            [] => "all that are allowed".to_owned(),
            countries => countries.join(","),
        };
        _ = writeln!(text, "{:<34} {:<6} {countries:<20} {name}", sid.to_string(), settings.digits);
    }
    text
}

fn as_stopped(stopped: &[StoppedPrefix]) -> String {
    if stopped.is_empty() {
        return "no prefix is stopped\n".to_owned();
    }
    let mut text = format!("{:<34} {:<16} UNTIL\n", "APPLICATION", "PREFIX");
    for StoppedPrefix { application, prefix, until } in stopped {
        _ = writeln!(text, "{application:<34} {prefix:<16} {}", seconds(*until));
    }
    text
}

/// To the second, as people read a time.
fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}
