//! What acts of an operator share: a reason, how long they wait for Twilio, and which limit and account are meant.
//!
//! An act moves money or stops it, so nothing is guessed: where two things could be meant, the answer is what to type for each.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use ringfence_breaker::{DialPrefix, Per, Phase, State, Subject, is_of_accounts};
use ringfence_control::engine::Engine;
use ringfence_control::notices::{one_line, shell_word};
use ringfence_control::wanted::{AppliedLimit, scoped};
use ringfence_model::Sid;
use ringfence_store::Account;

use super::over_api::ReachArguments;
use super::with_engine::{Installation, store};
use crate::config::{nearest, units};
use crate::exit::Failure;

/// So many choices are listed.
const CHOICES: usize = 10;

/// The longest reason, in characters: it is a line in the log and in a notice.
const REASON_MAX: usize = 500;

/// What is left to whoever copies a command.
pub(crate) const REASON: &str = "--reason \"...\"";

/// What every act is given.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ActArguments {
    #[command(flatten)]
    pub(crate) reach: ReachArguments,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Why; the audit log keeps it. Needed; asked for if it is not given and you sit at a terminal
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
    /// How long to wait until Twilio shows it
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_wait)]
    wait: Duration,
    /// Only order it; `serve` carries it out
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

impl ActArguments {
    /// How long to wait for Twilio; none where that is `serve`'s.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (!self.no_wait).then_some(self.wait)
    }

    /// The reason, asked for if there is somebody to ask.
    pub(crate) fn reason(&self) -> Result<String, Failure> {
        reason_of(self.reason.as_ref())
    }
}

/// The reason that was given, or asked for if there is somebody to ask.
pub(crate) fn reason_of(given: Option<&String>) -> Result<String, Failure> {
    if let Some(reason) = given {
        return Ok(reason.clone());
    }
    let mut typed = String::new();
    if io::stdin().is_terminal() {
        _ = write!(io::stderr(), "Reason, for the audit log: ");
        _ = io::stderr().flush();
        io::stdin()
            .read_line(&mut typed)
            .map_err(|error| Failure::usage(format!("cannot read a reason: {error}")))?;
        if !typed.trim().is_empty() {
            return parse_reason(typed.trim()).map_err(Failure::usage);
        }
    }
    Err(Failure::usage("a reason is needed: the audit log keeps why this was done")
        .hint("add --reason \"what happened, and who asked for it\""))
}

/// Whose breaker is meant.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Whose {
    /// The account, by its SID or its name; not for a limit that accounts have together
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "prefix")]
    pub(crate) account: Option<String>,
    /// The beginning of the numbers, such as +959; for a limit that holds for each beginning by itself
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<DialPrefix>,
}

/// What is done to a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Trip,
    /// What is not tripped does not come into question where more than one thing could be meant.
    Reset,
}

impl Verb {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Trip => "trip",
            Self::Reset => "reset",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Trip => "tripped",
            Self::Reset => "reset",
        }
    }

    /// What does the same to one account, whatever limits say.
    const fn of_account(self) -> &'static str {
        match self {
            Self::Trip => "account suspend",
            Self::Reset => "account resume",
        }
    }
}

/// What may be meant, and what to type for it.
struct Choice {
    shown: String,
    command: String,
}

/// The limit and the subject that an act is about.
pub(crate) struct Target<'a> {
    pub(crate) applied: &'a AppliedLimit,
    pub(crate) subject: Subject,
    /// The account, where the limit holds for each one.
    pub(crate) account: Option<Account>,
}

/// Finds out what `verb [LIMIT] [--account ACCOUNT]` is about.
pub(crate) async fn target<'a>(
    installation: &Installation,
    engine: &'a Engine,
    verb: Verb,
    limit: Option<&str>,
    whose: &Whose,
) -> Result<Target<'a>, Failure> {
    let limits = engine.limits();
    if limits.is_empty() {
        return Err(Failure::refused(format!("there is no limit, so there is nothing to {}", verb.word()))
            .hint(format!(
                "{} suspends one account",
                installation.command(&format!("account suspend SID {REASON}"))
            )));
    }
    let account = match &whose.account {
        Some(text) => Some(find_account(installation, engine, text).await?),
        None => None,
    };
    let applied = match limit {
        Some(name) => find_limit(limits, name)?,
        None => only_limit(installation, limits, verb, account.as_ref())?,
    };
    let name = &applied.limit.name;
    if let Some(beginning) = whose.prefix {
        return if applied.limit.per == Per::Prefix {
            Ok(Target { applied, subject: Subject::Prefix(beginning), account: None })
        } else {
            Err(Failure::usage(format!("the limit \"{name}\" does not hold for beginnings of numbers"))
                .hint("leave out --prefix; `per = \"prefix\"` of a [[limit]] makes it hold so"))
        };
    }
    match (applied.limit.per, account) {
        (Per::Together, None) => Ok(Target { applied, subject: Subject::Together, account: None }),
        (Per::Together, Some(account)) => Err(Failure::usage(format!(
            "the limit \"{name}\" holds for all its accounts together: it is {} for all of them or none",
            verb.done()
        ))
        .hint(format!(
            "one of these:\n      {}   # all of them\n      {}   # this one, whatever limits say",
            installation.command(&format!("{} {} {REASON}", verb.word(), shell_word(name))),
            installation.command(&format!("{} {} {REASON}", verb.of_account(), account.sid)),
        ))),
        (Per::Prefix, Some(_)) => Err(Failure::usage(format!(
            "the limit \"{name}\" holds for each beginning of a number by itself, whichever account sends there"
        ))
        .hint(format!(
            "one of these:\n      {}   # numbers that begin so\n      {}   # an account, whatever it sends",
            installation.command(&format!("{} {} --prefix +959 {REASON}", verb.word(), shell_word(name))),
            installation.command(&format!("{} SID {REASON}", verb.of_account())),
        ))),
        (Per::Prefix, None) => {
            let subject = only_beginning(installation, applied, verb).await?;
            Ok(Target { applied, subject, account: None })
        }
        (Per::Account, Some(account)) => {
            Ok(Target { applied, subject: Subject::Account(account.sid), account: Some(account) })
        }
        (Per::Account, None) => {
            let account = only_account(installation, applied, verb).await?;
            Ok(Target { applied, subject: Subject::Account(account.sid), account: Some(account) })
        }
    }
}

fn find_limit<'a>(limits: &'a [AppliedLimit], name: &str) -> Result<&'a AppliedLimit, Failure> {
    if let Some(found) = limits.iter().find(|applied| applied.limit.name == name) {
        return Ok(found);
    }
    let names: Vec<&str> = limits.iter().map(|applied| applied.limit.name.as_str()).collect();
    Err(Failure::usage(format!("there is no limit \"{name}\"")).hint(match nearest(name, &names) {
        Some(near) => format!("is \"{near}\" meant?"),
        None => format!("there is {}", quoted(&names)),
    }))
}

/// The limit that must be meant where none is named.
fn only_limit<'a>(
    installation: &Installation,
    limits: &'a [AppliedLimit],
    verb: Verb,
    account: Option<&Account>,
) -> Result<&'a AppliedLimit, Failure> {
    let holds = |applied: &&AppliedLimit| match account {
        // A limit on the sum would stop all the others with it.
        Some(account) => applied.subject(&scoped(account)) == Some(Subject::Account(account.sid)),
        None => true,
    };
    let of_account = account.map(|account| format!(" --account {}", account.sid)).unwrap_or_default();
    let candidates: Vec<_> = limits.iter().filter(holds).collect();
    match candidates.as_slice() {
        [] => {
            let failure = Failure::usage(format!("no limit holds for {} by itself", shown(account)));
            Err(match account {
                Some(account) => failure.hint(format!(
                    "{} does it, whatever limits say",
                    installation.command(&format!("{} {} {REASON}", verb.of_account(), account.sid))
                )),
                None => failure,
            })
        }
        [one] => Ok(one),
        many => {
            let choices = many.iter().map(|applied| Choice {
                shown: format!("\"{}\"", applied.limit.name),
                command: installation.command(&format!(
                    "{} {}{of_account} {REASON}",
                    verb.word(),
                    shell_word(&applied.limit.name)
                )),
            });
            Err(ambiguous("which limit is meant?", choices.collect()))
        }
    }
}

/// The account that must be meant where none is named.
async fn only_account(
    installation: &Installation,
    applied: &AppliedLimit,
    verb: Verb,
) -> Result<Account, Failure> {
    let name = &applied.limit.name;
    let mut candidates = Vec::new();
    for account in installation.store.accounts().await.map_err(store)? {
        let subject = Subject::Account(account.sid);
        let comes_into_question = if verb == Verb::Reset {
            let breaker = installation.store.find_breaker::<State>(name, &subject.to_string()).await;
            breaker.map_err(store)?.is_some_and(|it| matches!(it.state.phase, Phase::Tripped { .. }))
        } else {
            account.gone_at.is_none()
                && (!is_of_accounts(&applied.limit.scope)
                    || applied.subject(&scoped(&account)) == Some(subject))
        };
        if comes_into_question {
            candidates.push(account);
        }
    }
    match <[Account; 1]>::try_from(candidates) {
        Ok([one]) => Ok(one),
        Err(none) if none.is_empty() && verb == Verb::Reset => {
            Err(Failure::refused(format!("the limit \"{name}\" is not tripped for any account"))
                .hint(format!("{} says what is", installation.command("status"))))
        }
        Err(none) if none.is_empty() => {
            Err(Failure::refused(format!("no account is in the scope of the limit \"{name}\""))
                .hint(format!("{} says which there are", installation.command("account list"))))
        }
        Err(many) => {
            let choices = many.iter().map(|account| Choice {
                shown: account_name(&account.friendly_name),
                command: installation.command(&format!(
                    "{} {} --account {} {REASON}",
                    verb.word(),
                    shell_word(name),
                    account.sid
                )),
            });
            Err(ambiguous(
                &format!("the limit \"{name}\" holds for each account: which one is meant?"),
                choices.collect(),
            ))
        }
    }
}

/// The beginning of numbers that must be meant where none is named: the one that is tripped.
async fn only_beginning(
    installation: &Installation,
    applied: &AppliedLimit,
    verb: Verb,
) -> Result<Subject, Failure> {
    let name = &applied.limit.name;
    if verb == Verb::Trip {
        return Err(Failure::usage(format!("the limit \"{name}\" holds for each beginning of a number"))
            .hint(format!(
                "name one: {}",
                installation.command(&format!("trip {} --prefix +959 {REASON}", shell_word(name)))
            )));
    }
    let breakers = installation.store.breakers::<State>().await.map_err(store)?;
    let tripped = breakers
        .iter()
        .filter(|breaker| breaker.limit == *name && matches!(breaker.state.phase, Phase::Tripped { .. }));
    let tripped: Vec<Subject> = tripped.filter_map(|breaker| breaker.subject.parse().ok()).collect();
    match tripped.as_slice() {
        [one] => Ok(*one),
        [] => Err(Failure::refused(format!(
            "the limit \"{name}\" is not tripped for any beginning of a number"
        ))
        .hint(format!("{} says what is", installation.command("status")))),
        many => {
            let choices = many.iter().map(|subject| Choice {
                shown: "numbers that begin so".to_owned(),
                command: installation
                    .command(&format!("reset {} --prefix {subject} {REASON}", shell_word(name))),
            });
            Err(ambiguous("which beginning of numbers is meant?", choices.collect()))
        }
    }
}

/// An account by its SID or its name. Twilio is asked where it is not known: it may be a minute old.
pub(crate) async fn find_account(
    installation: &Installation,
    engine: &Engine,
    text: &str,
) -> Result<Account, Failure> {
    let known = || async { installation.store.accounts().await.map_err(store) };
    let mut accounts = known().await?;
    let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC"));
    if !accounts.iter().any(|account| is_meant(account, sid, text)) {
        engine.synchronise_accounts().await.map_err(store)?;
        accounts = known().await?;
    }
    let (mut meant, others): (Vec<_>, Vec<_>) =
        accounts.into_iter().partition(|account| is_meant(account, sid, text));
    match meant.len() {
        1 => Ok(meant.remove(0)),
        0 => {
            let names = others.iter().map(|account| account.friendly_name.clone());
            let sids = others.iter().map(|account| account.sid.to_string());
            let words: Vec<String> = if sid.is_some() { sids.collect() } else { names.chain(sids).collect() };
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let hint = match nearest(text, &words) {
                Some(near) => format!("is {near} meant? "),
                None => String::new(),
            };
            Err(Failure::usage(format!("{text} is no account that Twilio lists here"))
                .hint(format!("{hint}{} shows them", installation.command("account list"))))
        }
        _ => {
            let sids: Vec<_> = meant.iter().map(|account| account.sid.to_string()).collect();
            Err(Failure::usage(format!("several accounts are named \"{text}\""))
                .hint(format!("write the SID of one: {}", sids.join(", "))))
        }
    }
}

fn is_meant(account: &Account, sid: Option<Sid>, text: &str) -> bool {
    match sid {
        Some(sid) => account.sid == sid,
        None => account.friendly_name == text && account.gone_at.is_none(),
    }
}

fn ambiguous(question: &str, choices: Vec<Choice>) -> Failure {
    let left_out = choices.len().saturating_sub(CHOICES);
    let mut lines: Vec<String> = choices
        .into_iter()
        .take(CHOICES)
        .map(|choice| format!("      {}   # {}", choice.command, choice.shown))
        .collect();
    if left_out > 0 {
        lines.push(format!("      … and {left_out} more"));
    }
    Failure::usage(question).hint(format!("one of these:\n{}", lines.join("\n")))
}

fn shown(account: Option<&Account>) -> String {
    account.map_or_else(|| "it".to_owned(), |account| with_name(account.sid, &account.friendly_name))
}

/// `AC… (its name)`.
pub(crate) fn with_name(sid: impl Display, name: &str) -> String {
    let name = account_name(name);
    if name.is_empty() { sid.to_string() } else { format!("{sid} ({name})") }
}

/// A name that somebody else chose, harmless on a terminal and short.
pub(crate) fn account_name(name: &str) -> String {
    one_line(name, 40)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn parse_reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("say why: the audit log keeps it".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("a reason is one line of text".to_owned());
    }
    if text.chars().count() > REASON_MAX {
        return Err(format!("a reason has at most {REASON_MAX} characters"));
    }
    Ok(text.trim().to_owned())
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(time) if time <= Duration::from_mins(10) => Ok(time),
        _ => Err("write a time such as 30s, up to 10m".to_owned()),
    }
}
