//! Admissions of the ledger: durable reservations a second under one hot limit, by one node and by three on one database.
//!
//! What is judged is the work: at the end the limit has reserved what was admitted and no micro-dollar more, the sums are what
//! the rows add up to, and of many at once around the last cent exactly so many are admitted as there is room for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use ringfence_breaker::{Hold, Subject, Window};
use ringfence_model::Amount;
use ringfence_store::{Admission, Booking, NewReservation, Now, Sent, Store};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::database::Database;
use crate::gate::median;
use crate::{installation, money};

/// What one request can cost at most, in micro-dollars: a message's price in the United States.
const EACH: i64 = 7_900;

/// How many find room in the last part, which is about the last cent.
const ROOM: i64 = 1_000;

/// What a task ends with.
type Done<T> = Result<T, String>;

/// `admissions [--rounds N] [--millis N] [--at-once N]`: so long for each figure of each round, so many callers on each node.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let rounds: usize = arguments.number("rounds", 3)?;
    let time = Duration::from_millis(arguments.number("millis", 2_000)?);
    let at_once: usize = arguments.number("at-once", 256)?;
    println!("| database | nodes | what | a second | × one node | median | p99 |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    installation::runtime("store", 2)?.block_on(async {
        for database in Database::all()? {
            let nodes: &[usize] = if database.is_shared() { &[1, 3] } else { &[1] };
            speed(&database, nodes, rounds, time, at_once).await?;
        }
        for database in Database::all()? {
            last_cent(&database, at_once).await?;
        }
        Ok(())
    })
}

/// The figures of one row, a round each.
#[derive(Default)]
struct Row {
    rates: Vec<f64>,
    times: Vec<Duration>,
}

async fn speed(
    database: &Database,
    nodes: &[usize],
    rounds: usize,
    time: Duration,
    at_once: usize,
) -> Outcome {
    let money = Arc::new(Money::on(database, nodes.iter().copied().max().unwrap_or(1), i64::MAX / 4).await?);
    let kinds = [Life::Admitted, Life::Sent];
    let mut rows: Vec<_> =
        nodes.iter().flat_map(|nodes| kinds.map(|life| (*nodes, life, Row::default()))).collect();
    for _ in 0..rounds {
        for (nodes, life, row) in &mut rows {
            let began = Instant::now();
            let times = flood(&money, *nodes, *life, began + time, at_once).await?;
            row.rates.push(times.len() as f64 / began.elapsed().as_secs_f64());
            row.times.extend(times);
        }
    }
    money.adds_up(rows.iter().map(|(_, _, row)| row.times.len()).sum()).await?;
    for (nodes, life, row) in &rows {
        let alone = rows.iter().find(|(nodes, other, _)| *nodes == 1 && other == life);
        let alone = &alone.ok_or("a row for one node is always there")?.2;
        let mut times = row.times.clone();
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        println!(
            "| {} | {nodes} | {} | {:.0} | {:.2} | {:.1} ms | {:.1} ms |",
            database.name(),
            life.name(),
            median(row.rates.iter().copied()),
            median(row.rates.iter().zip(&alone.rates).map(|(rate, alone)| rate / alone)),
            at(50).as_secs_f64() * 1_000.0,
            at(99).as_secs_f64() * 1_000.0,
        );
    }
    Ok(())
}

/// How far a request is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Its admission alone.
    Admitted,
    /// Its admission, and that Twilio made it: two commits, one after the other.
    Sent,
}

impl Life {
    fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admissions",
            Self::Sent => "admissions, each told what became of it",
        }
    }
}

/// How long each took that was admitted before `end`. Everybody asks at once, and again as soon as there is an answer.
async fn flood(
    money: &Arc<Money>,
    nodes: usize,
    life: Life,
    end: Instant,
    at_once: usize,
) -> Outcome<Vec<Duration>> {
    let mut tasks = JoinSet::new();
    for caller in 0..nodes * at_once {
        let money = Arc::clone(money);
        tasks.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                if !money.ask(caller % nodes, life).await? {
                    return Err("WRONG: a limit without end refused a request".to_owned());
                }
                times.push(began.elapsed());
            }
            Done::Ok(times)
        });
    }
    let mut all = Vec::new();
    while let Some(times) = tasks.join_next().await {
        all.extend(times??);
    }
    Ok(all)
}

/// Three nodes, or three ways into one file, ask for more than there is.
async fn last_cent(database: &Database, at_once: usize) -> Outcome {
    const NODES: usize = 3;
    let money = Arc::new(Money::on(database, NODES, EACH * ROOM + EACH / 2).await?);
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for caller in 0..NODES * at_once {
        let money = Arc::clone(&money);
        tasks.spawn(async move {
            let mut admitted = 0_i64;
            while money.ask(caller % NODES, Life::Admitted).await? {
                admitted += 1;
            }
            Done::Ok(admitted)
        });
    }
    let mut admitted = 0;
    while let Some(count) = tasks.join_next().await {
        admitted += count??;
    }
    if admitted != ROOM {
        return Err(format!(
            "WRONG: {admitted} were admitted on {}, and there is room for {ROOM}",
            database.name()
        )
        .into());
    }
    money.adds_up(usize::try_from(admitted)?).await?;
    let callers = NODES * at_once;
    eprintln!(
        "{}: of {callers} callers at once on {NODES} nodes, who ask until they are refused, exactly {ROOM} were admitted, \
         in {:.2} s",
        database.name(),
        began.elapsed().as_secs_f64(),
    );
    Ok(())
}

/// One limit that everything counts in, as each node knows it.
struct Money {
    nodes: Vec<Store>,
    request: NewReservation,
}

impl Money {
    async fn on(database: &Database, nodes: usize, micros: i64) -> Outcome<Self> {
        let now = installation::now();
        let mut stores = Vec::new();
        for _ in 0..nodes {
            stores.push(database.open(now).await?);
        }
        let store = &stores[0];
        let limit = money::limit("a day", Window::Daily, micros, now);
        let (account, amount) = (Subject::Account(money::account()), Amount::from_micros(EACH));
        let request = NewReservation {
            worst: amount,
            holds: vec![Hold {
                limit: Arc::clone(&limit),
                subject: account,
                amount,
                told: amount,
                places: Vec::new(),
            }],
            ..money::prepare(store, std::slice::from_ref(&limit), SignedDuration::from_hours(1), now).await?
        };
        let booking = Booking {
            limit,
            subject: account,
            at: now,
            seen: Amount::ZERO,
            allowance: Amount::ZERO,
            epoch: store.epoch_id().await?,
        };
        store.book_usage(booking, Now::Database).await?;
        Ok(Self { nodes: stores, request })
    }

    /// Whether it was admitted.
    async fn ask(&self, node: usize, life: Life) -> Done<bool> {
        let store = &self.nodes[node];
        let admission = store.admit(self.request.clone(), Now::Database).await;
        let Admission::Admitted(reservation) = admission.map_err(|error| error.to_string())? else {
            return Ok(false);
        };
        if life == Life::Sent {
            let made =
                Sent::Made(Some(money::resource(reservation.id()).map_err(|error| error.to_string())?));
            store.sent(reservation, made, Now::Database).await.map_err(|error| error.to_string())?;
        }
        Ok(true)
    }

    /// Whether the books say that so many were admitted, and hold.
    async fn adds_up(&self, admitted: usize) -> Outcome {
        let store = &self.nodes[0];
        let wanted = Amount::from_micros(EACH * i64::try_from(admitted)?);
        let found: Vec<_> = store.ledger().await?.iter().map(|row| row.ledger.reserved).collect();
        if found != [wanted] {
            return Err(format!("WRONG: {admitted} were admitted, and {found:?} is reserved").into());
        }
        match store.check_ledger().await?.first() {
            None => Ok(()),
            Some(error) => Err(format!("WRONG: the sums are not what the rows say: {error:?}").into()),
        }
    }
}
