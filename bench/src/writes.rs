//! Writes of the store: one caller that waits for each, and 64 at once, who share commits.
//!
//! Beside them, in the same rounds and on the same file or server, a bare `INSERT` and `COMMIT`: what the disk and the
//! database alone cost. What is judged is the work: every write that was answered must be there at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ringfence_model::Actor;
use ringfence_store::{NewAudit, NewObservation, Store};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::database::{Bare, Database};
use crate::gate::median;
use crate::installation;

const AT_ONCE: usize = 64;

/// `writes [--rounds N] [--millis N]`: so long for each figure of each round.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let rounds: usize = arguments.number("rounds", 3)?;
    let time = Duration::from_millis(arguments.number("millis", 1_000)?);
    println!("| database | write | one waits for each, a second | × bare | 64 at once, a second | × one |");
    println!("| --- | --- | --- | --- | --- | --- |");
    installation::runtime("store", 2)?.block_on(async {
        for database in Database::all()? {
            measure(&database, rounds, time).await?;
        }
        Ok(())
    })
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// One row: an act of somebody, in the audit log.
    Audit,
    /// Two rows: a usage trigger that the gate keeps, and the audit log.
    Trigger,
}

async fn measure(database: &Database, rounds: usize, time: Duration) -> Outcome {
    let now = installation::now();
    let store = Arc::new(database.open(now).await?);
    let mut bare = database.bare().await?;
    let kinds = [What::Audit, What::Trigger];
    let mut floor = Vec::new();
    let mut rates = kinds.map(|_| (Vec::new(), Vec::new()));
    let mut written = [0; 2];
    for round in 0..rounds {
        floor.push(inserts(&mut bare, time).await?);
        for (index, what) in kinds.into_iter().enumerate() {
            let (alone, count) = writes(&store, what, 1, time, &format!("{round}/1")).await?;
            rates[index].0.push(alone);
            written[index] += count;
            let (together, count) = writes(&store, what, AT_ONCE, time, &format!("{round}/64")).await?;
            rates[index].1.push(together);
            written[index] += count;
        }
    }
    let found = store.unprocessed_observations(usize::MAX >> 1).await?.len();
    if found != written[1] {
        return Err(format!("WRONG: {} triggers were answered, and {found} are kept", written[1]).into());
    }
    let name = database.name();
    println!("| {name} | bare INSERT and COMMIT | {:.0} | 1.00 | | |", median(floor.iter().copied()));
    for (what, (alone, together)) in kinds.into_iter().zip(&rates) {
        let name_of_write = match what {
            What::Audit => "a row of the audit log",
            What::Trigger => "a usage trigger (two rows)",
        };
        println!(
            "| {name} | {name_of_write} | {:.0} | {:.2} | {:.0} | {:.1} |",
            median(alone.iter().copied()),
            median(alone.iter().zip(&floor).map(|(alone, floor)| alone / floor)),
            median(together.iter().copied()),
            median(together.iter().zip(alone).map(|(together, alone)| together / alone)),
        );
    }
    Ok(())
}

/// Inserts a second.
async fn inserts(bare: &mut Bare, time: Duration) -> Outcome<f64> {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < time {
        bare.insert().await?;
        count += 1;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

/// Writes a second by so many writers, each of which waits for its own, and how many there were.
async fn writes(
    store: &Arc<Store>,
    what: What,
    writers: usize,
    time: Duration,
    run: &str,
) -> Outcome<(f64, usize)> {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let (store, run) = (Arc::clone(store), format!("{run}/{writer}"));
        tasks.spawn(async move {
            let mut count = 0_usize;
            while started.elapsed() < time {
                write(&store, what, &format!("{run}/{count}")).await?;
                count += 1;
            }
            ringfence_store::Result::<usize>::Ok(count)
        });
    }
    let mut count = 0_usize;
    while let Some(written) = tasks.join_next().await {
        count += written??;
    }
    Ok((count as f64 / started.elapsed().as_secs_f64(), count))
}

async fn write(store: &Store, what: What, key: &str) -> ringfence_store::Result<()> {
    let (by, now) = (Actor::job("bench"), installation::now());
    match what {
        What::Audit => store.audit(&by, audit(key), now).await.map(drop),
        What::Trigger => store.observe(&by, observation(key, now), now).await.map(drop),
    }
}

fn audit(key: &str) -> NewAudit {
    NewAudit::new("bench.write", "account AC0123456789abcdef0123456789abcdef")
        .with(serde_json::json!({ "key": key, "source": "bench" }))
}

/// As long as what the gate keeps.
fn observation(key: &str, now: Timestamp) -> NewObservation {
    let account = "AC0123456789abcdef0123456789abcdef";
    NewObservation {
        key: format!("trigger/{account}/{key}"),
        source: "bench".to_owned(),
        account: account.to_owned(),
        payload: serde_json::json!({
            "AccountSid": account,
            "UsageTriggerSid": "UT0123456789abcdef0123456789abcdef",
            "DateFired": now.to_string(),
            "Recurring": "daily",
            "UsageCategory": "totalprice",
            "TriggerBy": "price",
            "TriggerValue": "50.000000",
            "CurrentValue": "50.012300",
            "IdempotencyToken": key,
        }),
    }
}
