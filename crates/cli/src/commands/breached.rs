//! `ringfence breached`: somebody else has an account's credentials. Everything that stops them is done, one thing after the
//! other, and what they may have left behind is listed.
//!
//! What cannot be done is told, with what to type, and keeps nothing else from being done. Done again, it ends what is left.

mod report;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Per, Subject};
use ringfence_control::breach::Lately;
use ringfence_control::engine::Engine;
use ringfence_control::virtual_credentials;
use ringfence_control::wanted::{AppliedLimit, scoped};
use ringfence_store::{Account, Because, NewAudit};
use serde_json::json;

use super::act::{self, REASON, parse_reason, reason_of};
use super::carry::{self, Standing};
use super::over_api::not_over_the_api;
use super::token::{self, Replaced};
use super::trip::orders;
use super::with_engine::{self, Installation, Missing, store};
use super::words::moment;
use crate::config::units;
use crate::exit::{Answer, Failure};
use report::{Report, State, Step};

/// So long it is looked at what came about, where nobody could look after the suspension.
const LOOKS_FIRST: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
In this order: virtual credentials that name the account are revoked; a subaccount is suspended, for a parent its limits are
tripped; calls that run are ended; API keys are listed, and deleted with --delete-keys; the auth token is replaced on all
nodes; of a parent, calls and keys of that time are ended too, and subaccounts are named whose tokens it showed; what was made
and changed lately is listed. A step that fails is told and stops no other. It may be run again.

What it cannot know and you should do is in docs/breached.md.

Examples:
  ringfence breached AC00000000000000000000000000000001 --config ringfence.toml --dry-run
  ringfence breached \"Customer 7\" --config ringfence.toml --reason \"token in a public repository\" --delete-keys

Exit codes: 0 all of it is done; 1 something is left to you; 2 wrong usage; 64 wrong configuration; 69 Twilio did not do
something, or did not answer.")]
pub(crate) struct Arguments {
    /// The account, by its SID or its name
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Why; the audit log keeps it. Not needed with --dry-run
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,
    /// Change nothing: say what would be done, and list what is to be looked at
    #[arg(long)]
    dry_run: bool,
    /// Delete the API keys of the account, for good; applications that use them stop
    #[arg(long)]
    delete_keys: bool,
    /// How far to look back
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_since)]
    since: Duration,
    /// How long to wait for Twilio, for nodes, and for a request that the new token signed
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_wait)]
    wait: Duration,
    #[arg(long = "api", value_name = "URL", hide = true, value_parser = not_over_the_api)]
    _api: Option<String>,
}

fn parse_since(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(time) if time >= Duration::from_hours(1) && time <= Duration::from_hours(24 * 90) => Ok(time),
        _ => Err("write a time from 1h to 90d, such as 7d".to_owned()),
    }
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(time) if time <= Duration::from_mins(10) => Ok(time),
        _ => Err("write a time such as 1m, up to 10m".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let reason = if arguments.dry_run { String::new() } else { reason_of(arguments.reason.as_ref())? };
    with_engine::run(&arguments.config, Missing::Refuse, async |installation| {
        // In need the limits that hold are good enough, whatever the configuration says.
        let (engine, notes) = installation.holding().await?;
        let account = act::find_account(installation, &engine, &arguments.account).await?;
        let since =
            installation.now.checked_sub(SignedDuration::try_from(arguments.since).unwrap_or_default());
        let since = since.unwrap_or(installation.now);
        let interrupted = Cell::new(false);
        let breach = Breach {
            installation,
            engine: &engine,
            account: &account,
            arguments,
            reason: &reason,
            interrupted: &interrupted,
        };
        if !arguments.dry_run {
            let audit = NewAudit::new("account.breached", format!("account {}", account.sid))
                .with(json!({ "reason": reason }));
            installation.store.audit(&installation.by, audit, installation.now).await.map_err(store)?;
        }
        let mut steps = breach.credentials().await;
        // Twilio shows nobody the log of an account that is suspended, so it is read before.
        let before = breach.looks_first(since).await;
        steps.extend(breach.stop().await);
        let mut lately = before;
        // Whoever gives up wants nothing deleted or replaced after it.
        let ended = !interrupted.get()
            && tokio::select! {
                () = async {
                    breach.end_what_is_there(&mut steps).await;
                    if lately.is_none() {
                        lately = Some(engine.lately(&account, since).await);
                    }
                } => true,
                _ = tokio::signal::ctrl_c() => false,
            };
        if !ended {
            let what = "by Ctrl-C: a step that is not told here was not done, or nobody knows whether it was"
                .to_owned();
            steps.push(breach.again(Step::new("interrupted", State::Failed, what)));
        }
        let report = Report {
            account: account.sid,
            name: account.friendly_name.clone(),
            at: installation.now,
            since,
            dry_run: arguments.dry_run,
            steps,
            lately: lately.unwrap_or_else(Lately::interrupted),
        };
        Ok(Answer { notes, ..report.answer(arguments.json) })
    })
}

struct Breach<'a> {
    installation: &'a Installation,
    engine: &'a std::sync::Arc<Engine>,
    account: &'a Account,
    arguments: &'a Arguments,
    reason: &'a str,
    /// Whether Ctrl-C was pressed where it ends the waiting alone.
    interrupted: &'a Cell<bool>,
}

impl Breach<'_> {
    /// What the egress lets in.
    async fn credentials(&self) -> Vec<Step> {
        const NAME: &str = "virtual-credentials";
        let opening = match self.engine.credentials_that_open(self.account.sid).await {
            Ok(opening) => opening,
            Err(error) => return vec![Step::failed(NAME, error)],
        };
        let mut steps = Vec::new();
        for credential in &opening.named {
            let (sid, name) = (credential.credential.sid, act::account_name(&credential.credential.name));
            let whose = format!("the virtual credential {sid} ({name})");
            if self.arguments.dry_run {
                steps.push(Step::new(NAME, State::WouldDo, format!("{whose} would be revoked")));
                continue;
            }
            let by = Because::from((&self.installation.by, self.reason));
            let store = &self.installation.store;
            steps.push(
                match virtual_credentials::revoke(store, by, credential, self.installation.now).await {
                    Ok(()) => Step::new(NAME, State::Done, format!("{whose} is revoked")),
                    Err(error) => Step::failed(NAME, error),
                },
            );
        }
        if steps.is_empty() {
            steps.push(Step::new(NAME, State::Done, "no virtual credential names the account".to_owned()));
        }
        for credential in &opening.for_all {
            let (sid, name) = (credential.credential.sid, act::account_name(&credential.credential.name));
            let what = format!("the virtual credential {sid} ({name}) opens every account, and is left");
            let revoke = self.installation.command(&format!("key revoke {sid}"));
            steps.push(Step::new(NAME, State::Left, what).next(revoke));
        }
        steps
    }

    /// What came about lately, where the next step would end that anybody reads it. Nothing where it cannot be read whole at once:
    /// money goes first.
    async fn looks_first(&self, since: Timestamp) -> Option<Lately> {
        let is_suspended_next =
            self.account.parent.is_some() && self.account.status == "active" && !self.arguments.dry_run;
        if !is_suspended_next {
            return None;
        }
        let lately = tokio::time::timeout(LOOKS_FIRST, self.engine.lately(self.account, since)).await;
        lately.ok().filter(|lately| lately.unread.is_empty())
    }

    /// Calls, keys and the token, each told once it is done.
    async fn end_what_is_there(&self, steps: &mut Vec<Step>) {
        let is_parent = self.account.parent.is_none();
        let is_real = !self.arguments.dry_run;
        // Whoever has the token of a parent, which nobody suspends, makes keys and calls until it is dead.
        let looks_again = is_parent && is_real;
        let calls = steps.len();
        steps.push(self.calls().await);
        let keys = steps.len();
        if !looks_again || self.arguments.delete_keys {
            steps.push(self.keys().await);
        }
        steps.push(self.token().await);
        if looks_again {
            let more = self.end_calls("more, which began before the token was dead, were ended").await;
            once_more(steps, calls, more);
            if self.arguments.delete_keys {
                once_more(
                    steps,
                    keys,
                    self.delete_keys("more deleted, made before the token was dead").await,
                );
            } else {
                steps.push(self.keys().await);
            }
        }
        if is_parent {
            steps.extend(self.subaccounts().await);
        }
    }

    /// What spends.
    async fn stop(&self) -> Vec<Step> {
        match self.account.parent {
            Some(_) => vec![self.suspend().await],
            None => self.trip().await,
        }
    }

    async fn suspend(&self) -> Step {
        const NAME: &str = "suspend";
        let (sid, engine) = (self.account.sid, self.engine);
        if self.arguments.dry_run {
            let now = format!("it is {} at Twilio, and would be suspended", self.account.status);
            return Step::new(NAME, State::WouldDo, now);
        }
        if let Err(error) = engine.suspend_account(sid, &self.installation.by, self.reason).await {
            return Step::failed(NAME, error);
        }
        match self.carry_out("").await {
            Ok(None) => {
                let done = Step::new(NAME, State::Done, "suspended at Twilio, read back".to_owned());
                match token::let_go(self.installation, engine, sid).await {
                    Ok(let_go) => done.next(let_go),
                    Err(_) => done,
                }
            }
            Ok(Some(why)) => Step::new(NAME, State::Failed, format!("ordered, and not so yet: {why}")),
            Err(error) => Step::failed(NAME, error.message()),
        }
    }

    /// Twilio suspends no parent: every limit that holds for it alone is tripped.
    async fn trip(&self) -> Vec<Step> {
        const NAME: &str = "trip";
        let holds = |applied: &&AppliedLimit| {
            applied.limit.per == Per::Account
                && applied.subject(&scoped(self.account)) == Some(Subject::Account(self.account.sid))
        };
        let mut steps = Vec::new();
        for applied in self.engine.limits().iter().filter(holds) {
            if self.interrupted.get() {
                break;
            }
            let name = &applied.limit.name;
            if self.arguments.dry_run {
                steps.push(Step::new(NAME, State::WouldDo, format!("\"{name}\" would be tripped")));
                continue;
            }
            let subject = Subject::Account(self.account.sid);
            let by = &self.installation.by;
            let tripped = match self.engine.trip(name, subject, by, self.reason).await {
                Ok(_) => self.carry_out(name).await,
                Err(error) => {
                    steps.push(Step::failed(NAME, error));
                    continue;
                }
            };
            let reset = super::trip::reset_command(&self.installation.typed, name, subject);
            steps.push(match tripped {
                Ok(None) => Step::new(NAME, State::Done, format!("\"{name}\" is tripped")).next(reset),
                Ok(Some(why)) => {
                    Step::new(NAME, State::Failed, format!("\"{name}\" is tripped, and not in force: {why}"))
                }
                Err(error) => Step::failed(NAME, error.message()),
            });
        }
        if steps.is_empty() {
            let what = "Twilio suspends no parent account, and no limit holds for this one alone: what has its token or an API \
                        key spends until these are replaced";
            steps.push(Step::new(NAME, State::Left, what.to_owned()));
        }
        steps
    }

    /// Why what was ordered is not so yet; nothing where it is.
    async fn carry_out(&self, limit: &str) -> Result<Option<String>, Failure> {
        let orders = orders(self.installation, &[self.account.sid], limit, false).await?;
        let wait = Some(self.arguments.wait);
        let carried = carry::carry_out(self.installation, self.engine, orders, wait).await;
        self.interrupted.set(self.interrupted.get() || carried.interrupted);
        if carried.standing == Standing::Done {
            return Ok(None);
        }
        let next = carried.what_next(&self.installation.typed);
        Ok(Some(carried.why().map_or(next.clone(), |why| format!("{why}; {next}"))))
    }

    /// What runs although nothing new may begin.
    async fn calls(&self) -> Step {
        const NAME: &str = "calls";
        if self.arguments.dry_run {
            return match self.engine.running_calls(self.account).await {
                Ok(number) => Step::new(NAME, State::WouldDo, format!("{number} that run would be ended")),
                Err(error) => Step::failed(NAME, error),
            };
        }
        self.end_calls("were ended, and none runs").await.0
    }

    async fn end_calls(&self, what: &str) -> (Step, usize) {
        const NAME: &str = "calls";
        let ended = match self.engine.end_running_calls(self.account).await {
            Ok(ended) => ended,
            Err(error) => return (self.again(Step::failed(NAME, error)), 0),
        };
        let number = ended.done.len();
        let step = match ended.end {
            Ok(()) => Step::new(NAME, State::Done, format!("{number} {what}")),
            Err(error) => self.again(Step::failed(NAME, format!("{number} were ended; {error}"))),
        };
        (step, number)
    }

    /// What a new auth token does not end.
    async fn keys(&self) -> Step {
        const NAME: &str = "api-keys";
        if self.arguments.delete_keys && !self.arguments.dry_run {
            return self.delete_keys("deleted, and none is left").await.0;
        }
        match self.engine.api_keys(self.account).await {
            Ok(keys) if keys.is_empty() => Step::new(NAME, State::Done, "there is none".to_owned()),
            Ok(keys) => {
                let listed = keys.iter().map(|key| {
                    let made = key.created_at.map(|at| format!(", made {}", moment(at))).unwrap_or_default();
                    format!("{} ({}{made})", key.sid, key.name)
                });
                let state = if self.arguments.delete_keys { State::WouldDo } else { State::Left };
                let does = match state {
                    State::WouldDo => "would be deleted",
                    _ => "stay good whatever token the account has",
                };
                let step = Step::new(NAME, state, format!("{} {does}", keys.len())).list(listed.collect());
                let again = format!("breached {} {REASON} --delete-keys", self.account.sid);
                if state == State::Left { step.next(self.installation.command(&again)) } else { step }
            }
            Err(error) => Step::failed(NAME, error),
        }
    }

    async fn delete_keys(&self, what: &str) -> (Step, usize) {
        const NAME: &str = "api-keys";
        let deleted = match self.engine.delete_api_keys(self.account).await {
            Ok(deleted) => deleted,
            Err(error) => return (self.again(Step::failed(NAME, error)), 0),
        };
        let sids: Vec<_> = deleted.done.iter().map(|key| key.sid.to_string()).collect();
        let number = sids.len();
        let step = match deleted.end {
            Ok(()) => Step::new(NAME, State::Done, format!("{number} {what}")),
            Err(error) => self.again(Step::failed(NAME, format!("{number} deleted; {error}"))),
        };
        (step.list(sids), number)
    }

    /// Whose tokens the parent's shows.
    async fn subaccounts(&self) -> Option<Step> {
        const NAME: &str = "subaccounts";
        let left = match token::readable_with(self.installation, self.account.sid).await {
            Ok(left) => left,
            Err(error) => return Some(Step::failed(NAME, error.message())),
        };
        if left.is_empty() {
            return None;
        }
        let what = format!(
            "{} whose auth tokens could be read with this account's, and were not replaced since",
            left.len()
        );
        let listed = left.iter().map(|it| act::with_name(it.sid, &it.friendly_name)).collect();
        let rotate = format!("token rotate SID {REASON} --replace-second --unconfirmed");
        Some(Step::new(NAME, State::Left, what).list(listed).next(self.installation.command(&rotate)))
    }

    /// A step that failed, with what is typed to have it tried again: this very command, which does what is left.
    fn again(&self, step: Step) -> Step {
        let delete = if self.arguments.delete_keys { " --delete-keys" } else { "" };
        step.next(self.installation.command(&format!("breached {} {REASON}{delete}", self.account.sid)))
    }

    /// What opens the account and signs its webhooks.
    async fn token(&self) -> Step {
        const NAME: &str = "auth-token";
        let sid = self.account.sid;
        if self.arguments.dry_run && self.account.parent.is_some() {
            let what = "would be left: the account is suspended by then, and Twilio does nothing for its own credentials";
            return match token::let_go_and_rotate(self.installation, self.engine, sid).await {
                Ok(next) => Step::new(NAME, State::Left, what.to_owned()).next(next),
                Err(error) => Step::failed(NAME, error.message()),
            };
        }
        if self.arguments.dry_run {
            return Step::new(NAME, State::WouldDo, "would be replaced on all nodes".to_owned());
        }
        let (engine, wait, name) = (self.engine, self.arguments.wait, self.account.friendly_name.as_str());
        match token::replace(self.installation, engine, (sid, name), self.reason, wait).await {
            Ok(Replaced::Yes(what)) => {
                let status = self.installation.command(&format!("token status {sid}"));
                Step::new(NAME, State::Done, what).next(status)
            }
            Ok(Replaced::NotYet { why, next }) => Step::new(NAME, State::Left, why).next(next),
            Err(error) => Step::failed(NAME, error.message()),
        }
    }
}

/// Tells what a step has ended when it was done once more, where that is anything. A failure is told once, and where nothing is left
/// now, what failed before has not.
fn once_more(steps: &mut Vec<Step>, before: usize, (step, number): (Step, usize)) {
    let Some(first) = steps.get_mut(before) else { return steps.push(step) };
    match (first.is_failed(), step.is_failed()) {
        (true, true) => return,
        (true, false) => first.mended(),
        (false, _) => {}
    }
    if number > 0 || step.is_failed() {
        steps.push(step);
    }
}
