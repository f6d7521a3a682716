//! `ringfence doctor`: is the whole deployment sound? Each finding says what is so, why it matters and what mends it.
//!
//! It looks from outside as well: at Twilio, whose list of webhook URLs may have changed since the configuration was
//! written, and at the gate under its public address. It changes nothing, neither here nor there, and makes no store.

mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringfence_control::doctor::{
    Check, Finding, NotMade, Outcome, Progress, Report, Setup, StoreAt, examine,
};
use ringfence_control::engine::Triggers;
use ringfence_control::plan::Mark;
use ringfence_control::rotation;
use ringfence_store::Version;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::over_api::not_over_the_api;
use super::serve::SystemClock;
use super::with_engine::{self, Installation};
use super::with_store;
use crate::config::{self, Loaded, units};
use crate::exit::{Answer, Failure};
use crate::{control_plane, deployment};

/// A thousand accounts, each asked some ten questions, eight at once.
const DEADLINE: &str = "5m";

/// What takes longer is said on standard error.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It changes nothing. What it cannot look at (Twilio is away, credentials do not reach it) is a check that was not made,
and is never counted as passed. `serve` makes the same checks once a day and tells what is new.

Examples:
  ringfence doctor --config ringfence.toml
  ringfence doctor --config ringfence.toml --json | jq '.findings[].check'

Exit codes: 0 sound; 1 something is to be mended; 2 wrong usage; 64 wrong configuration; 69 nothing was found wrong, and
not everything could be looked at.")]
pub(crate) struct Arguments {
    /// The configuration of the deployment
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How long all checks may take together
    #[arg(long, value_name = "TIME", default_value = DEADLINE, value_parser = deadline)]
    deadline: Duration,
    #[arg(long = "api", value_name = "URL", hide = true, value_parser = not_over_the_api)]
    _api: Option<String>,
}

fn deadline(text: &str) -> Result<Duration, String> {
    units::duration(text)
        .and_then(|time| if time.is_zero() { Err("is no time at all".to_owned()) } else { Ok(time) })
        .map_err(|what| format!("it {what}; write a time such as 30s or 5m"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let loaded = config::load(&arguments.config)?;
    let now = with_store::now()?;
    with_store::block_on(async {
        let step = Arc::new(Mutex::new(Step::default()));
        let mut setup = setup(&loaded, arguments.deadline, progress(Arc::clone(&step)))?;
        setup.store = open(&loaded, now).await;
        if let StoreAt::Open(store) = &setup.store {
            let installation = Installation::new(Arc::clone(store), &loaded, now)?;
            rotation::take_over(store, &setup.clients).await.map_err(with_engine::store)?;
            with_limits(&mut setup, &installation, &loaded).await?;
        }
        let store = setup.store.clone();
        let report = tokio::select! {
            report = examine(setup) => report,
            () = say_what_is_slow(&step) => return Err(Failure::unavailable("the examination was cut off")),
        };
        if let StoreAt::Open(store) = store
            && let Some(store) = Arc::into_inner(store)
        {
            store.close().await;
        }
        Ok(answer(&report, arguments.json))
    })
}

/// What of it is known without the store.
fn setup(loaded: &Loaded, deadline: Duration, progress: Progress) -> Result<Setup, Failure> {
    let control = &loaded.control;
    let clients = control_plane::clients(control).map_err(Failure::configuration)?;
    let notifier = control_plane::notifier(control, &clients, &loaded.file)
        .map_err(|problem| Failure::configuration(format!("[notify] {}: {problem}", problem.key)))?;
    Ok(Setup {
        clients,
        store: StoreAt::Nowhere,
        engine: None,
        not_applied: Vec::new(),
        triggers: None,
        shared_keys: control.shared_keys.clone(),
        gate: deployment::gate(&loaded.settings),
        senders: deployment::senders(control),
        notifier,
        roots: control.doctor.roots.clone(),
        clock: Arc::new(SystemClock),
        words: deployment::words(&loaded.file),
        deadline,
        progress,
    })
}

/// The limits that hold, how those of the configuration differ, and what triggers call.
async fn with_limits(setup: &mut Setup, installation: &Installation, loaded: &Loaded) -> Result<(), Failure> {
    let (engine, differences) = installation.holding_and_differences().await?;
    setup.engine = Some(engine);
    setup.not_applied = differences;
    if let Some(callback_url) = loaded.control.trigger_url.clone() {
        let mark = Mark::new(&installation.store.instance().await.map_err(with_engine::store)?);
        setup.triggers = Some(Triggers { callback_url, mark });
    }
    Ok(())
}

/// The store, if it is there and of this program's version: nothing is made and nothing upgraded.
async fn open(loaded: &Loaded, now: jiff::Timestamp) -> StoreAt {
    let Ok(configured) = with_store::configured(loaded) else { return StoreAt::Nowhere };
    let shown = configured.shown();
    match with_engine::version(loaded).await {
        Ok(0) => StoreAt::NotOpen(format!("there is no store at {shown} yet; `ringfence serve` makes it")),
        Ok(found) if found < Version::NEWEST => StoreAt::NotOpen(format!(
            "the store at {shown} is of version {found}, and this program's is {}; `ringfence migrate` upgrades it",
            Version::NEWEST
        )),
        Ok(_) => match with_store::try_open(configured, now).await {
            Ok(store) => StoreAt::Open(Arc::new(store)),
            Err(error) => StoreAt::NotOpen(format!("the store at {shown} cannot be opened: {error}")),
        },
        Err(failure) => StoreAt::NotOpen(failure.message().to_owned()),
    }
}

fn answer(report: &Report, as_json: bool) -> Answer {
    let output = if as_json { format!("{}\n", as_json_value(report)) } else { text::of(report) };
    let failed = report.has_failed();
    // Something that is to be mended is known for certain, whatever else could not be looked at.
    Answer {
        output: output.into_bytes(),
        is_no: failed,
        is_unavailable: !failed && !report.is_whole(),
        ..Answer::default()
    }
}

fn as_json_value(report: &Report) -> Value {
    let checks: Vec<_> = Check::ALL
        .into_iter()
        .map(|check| json!({ "check": check, "outcome": report.outcome(check), "promise": check.promise() }))
        .collect();
    json!({
        "at": report.at,
        "is_sound": !report.has_failed() && report.is_whole(),
        "has_failed": report.has_failed(),
        "is_whole": report.is_whole(),
        "checks": checks,
        "findings": report.findings,
        "not_made": report.not_made,
    })
}

/// What is being looked at, and since when.
#[derive(Debug, Default)]
struct Step {
    what: String,
    since: Option<Instant>,
}

fn progress(step: Arc<Mutex<Step>>) -> Progress {
    Arc::new(move |what| {
        let mut step = step.lock().unwrap_or_else(PoisonError::into_inner);
        *step = Step { what: what.to_owned(), since: Some(Instant::now()) };
    })
}

/// Says once of each step that takes longer than [`SLOW`] what it is. It never ends.
async fn say_what_is_slow(step: &Mutex<Step>) {
    loop {
        tokio::time::sleep(SLOW / 4).await;
        let mut step = step.lock().unwrap_or_else(PoisonError::into_inner);
        if step.since.is_some_and(|since| since.elapsed() >= SLOW) {
            step.since = None;
            _ = writeln!(io::stderr(), "looking at {} …", step.what);
        }
    }
}
