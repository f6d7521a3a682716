//! What holding a thousand subaccounts to their limits costs at Twilio: requests in a round of each job, and how long a
//! round takes where every answer takes a tenth of a second.
//!
//! What is judged is the work: no answer may say "too many", and every account must have been read.

use std::time::{Duration, Instant};

use ringfence_breaker::{Limit, Window};
use ringfence_control::node::Job;
use tokio::runtime::Handle;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::database::Database;
use crate::installation::{self, Installation, fifty};

/// `polling [--accounts N] [--far MILLIS]`.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let accounts: usize = arguments.number("accounts", 1_000)?;
    let far = Duration::from_millis(arguments.number("far", 100)?);
    let control = installation::runtime("control", 2)?;
    println!(
        "| {accounts} subaccounts | job | a round every | requests a round | requests a minute | a round takes s |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    installation::runtime("twilio", 1)?.block_on(async {
        let one = [Window::Daily];
        let three = [Window::Daily, Window::Monthly, Window::Alltime];
        let all = [(Job::Accounts, 1), (Job::Usage, 1), (Job::Triggers, 5)];
        measure(control.handle(), "one limit", accounts, far, &one, &all).await?;
        measure(control.handle(), "limits with three windows", accounts, far, &three, &[(Job::Usage, 1)])
            .await
    })
}

/// The jobs, and how many minutes are between their rounds.
async fn measure(
    control: &Handle,
    name: &str,
    accounts: usize,
    far: Duration,
    windows: &[Window],
    jobs: &[(Job, usize)],
) -> Outcome {
    let limits: Vec<Limit> = windows.iter().copied().map(fifty).collect();
    let database = Database::sqlite()?;
    let installation = Installation::new(control, &database, accounts, limits).await?;
    let node = &installation.node;
    node.turn().await?;
    // The first round of each, which also makes the triggers.
    for job in [Job::Accounts].iter().chain(jobs.iter().map(|(job, _)| job)) {
        round(&installation, *job).await?;
    }
    installation.wire.set_far(far);
    for (job, minutes) in jobs {
        installation.wire.forget();
        let started = Instant::now();
        let read = round(&installation, *job).await?;
        let took = started.elapsed().as_secs_f64();
        let seen = installation.wire.seen();
        if *job == Job::Usage && read <= accounts.saturating_sub(1) {
            return Err(format!("WRONG: {read} accounts were read, not {accounts}").into());
        }
        if seen.too_many > 0 {
            return Err(format!("WRONG: {} answers said that it is too much", seen.too_many).into());
        }
        let (requests, every) =
            (seen.count(), if *minutes == 1 { "minute".to_owned() } else { format!("{minutes} minutes") });
        println!(
            "| {name} | {} | {every} | {requests} | {:.0} | {took:.1} |",
            job.name(),
            requests as f64 / *minutes as f64
        );
    }
    installation.stop().await
}

/// One round; what it counted.
async fn round(installation: &Installation, job: Job) -> Outcome<usize> {
    // A sign of life, as every second in `serve`.
    installation.node.turn().await?;
    let done = installation.node.do_job(job).await?.ok_or("WRONG: the node does not have its jobs")?;
    match done.troubles.first() {
        None => Ok(done.count),
        Some((sid, why)) => Err(format!("WRONG: {sid}: {why}").into()),
    }
}
