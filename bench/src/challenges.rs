//! Challenges of the second factor: started and checked, on both databases with full sync, and the promise at scale.
//!
//! What is judged is the work: of 64 checks at once with the right code one is accepted, and of 256 with a wrong one five are
//! compared, in every round; and what was started is there to be sent.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, PhoneNumber, Secret};
use ringfence_second_factor::challenge::{CHECKS_MAX, Channel};
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::pumping::{Asker, Cap, Limits};
use ringfence_store::{
    Begun, Challenge, Check, Checked, Counter, Expected, NewChallenge, NotChecked, Store, Which,
};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::database::Database;
use crate::installation;

/// What a task ends with.
type Done<T> = Result<T, String>;

/// Whose codes they are.
pub(crate) const APPLICATION: &str = "VA0123456789abcdef0123456789abcdef";

/// Requests at once, and right codes of one challenge.
const AT_ONCE: usize = 64;

/// Checks a second, where they come whether or not those before them are answered.
const RATE: usize = 5_000;

/// Checks of one challenge that its number is not paused for.
const CHECKS_EACH: usize = 4;

/// `challenges [--challenges N] [--at-once N] [--rate N] [--right N] [--wrong N]`: so many challenges, and so many rounds of
/// the promise.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let challenges: usize = arguments.number("challenges", 4_000)?;
    let at_once: usize = arguments.number("at-once", AT_ONCE)?;
    let rate: usize = arguments.number("rate", RATE)?;
    let (right, wrong): (usize, usize) = (arguments.number("right", 200)?, arguments.number("wrong", 50)?);
    println!("| database | | a second | median | p99 |");
    println!("| --- | --- | --- | --- | --- |");
    installation::runtime("store", 2)?.block_on(async {
        yardstick().await;
        for database in Database::all()? {
            measure(&database, challenges, at_once, rate).await?;
        }
        for database in Database::all()? {
            promise(&database, right, wrong).await?;
        }
        Ok(())
    })
}

/// What the machine itself takes for something that never waits: where that is late, so is a check. Virtual machines are slow for
/// tens of milliseconds now and then, and no figure of the system's says so.
async fn yardstick() {
    const ROUNDS: usize = 1_500;
    const STEPS: u32 = 40_000;
    let (mut times, began) = (Vec::with_capacity(ROUNDS), Instant::now());
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let (mut number, begun) = (1_u32, Instant::now());
        for _ in 0..STEPS {
            number = std::hint::black_box(number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        }
        times.push(begun.elapsed());
    }
    row(
        "the machine",
        "40,000 multiplications, begun every 3 ms",
        "nothing else",
        &mut times,
        began.elapsed(),
    );
}

async fn measure(database: &Database, challenges: usize, at_once: usize, rate: usize) -> Outcome {
    let now = installation::now();
    let store = Arc::new(database.open(now).await?);
    store.factor_keys().await?;
    let pace = format!("{at_once} at once");
    let (started, mut times, elapsed) = begin(&store, 0, challenges, at_once, now).await?;
    row(database.name(), "starts", &pace, &mut times, elapsed);
    let waiting = store.unfinished_effects().await?.waiting;
    if waiting != challenges as u64 {
        return Err(format!("WRONG: {challenges} codes were asked for, and {waiting} wait to be sent").into());
    }
    let entered = with_codes(&store, started, now).await?;
    for (what, checks, is_right) in
        [(WRONG_CODE, CHECKS_EACH * challenges, false), (RIGHT_CODE, challenges, true)]
    {
        let began = Instant::now();
        let checked =
            at_once_each(at_once, checks, |index| check_one(&store, &entered, index, is_right, now));
        let mut times: Vec<_> = checked.await?.into_iter().map(|((), time)| time).collect();
        row(database.name(), what, &pace, &mut times, began.elapsed());
    }
    // Who is answered late asks no less: as many callers as there are do not wait for each other.
    let pace = format!("{rate} a second come");
    let (started, ..) = begin(&store, challenges, challenges, at_once, now).await?;
    let entered = with_codes(&store, started, now).await?;
    for (what, checks, is_right) in
        [(WRONG_CODE, CHECKS_EACH * challenges, false), (RIGHT_CODE, challenges, true)]
    {
        let began = Instant::now();
        let checked = at_rate(rate, checks, |index| check_one(&store, &entered, index, is_right, now));
        let mut times = checked.await?;
        row(database.name(), what, &pace, &mut times, began.elapsed());
    }
    Ok(())
}

const WRONG_CODE: &str = "checks of a wrong code";
const RIGHT_CODE: &str = "checks of the right code";

/// Starts so many challenges, the first with this number; how long each took, and all.
async fn begin(
    store: &Arc<Store>,
    first: usize,
    challenges: usize,
    at_once: usize,
    now: Timestamp,
) -> Outcome<(Vec<Challenge>, Vec<Duration>, Duration)> {
    let (limits, began) = (Arc::new(limits()?), Instant::now());
    let started = at_once_each(at_once, challenges, |index| {
        let (store, limits) = (Arc::clone(store), Arc::clone(&limits));
        async move { start(&store, first + index, "", limits, now).await }
    });
    let (started, times) = started.await?.into_iter().unzip();
    Ok((started, times, began.elapsed()))
}

/// Each with the code that was sent.
async fn with_codes(
    store: &Store,
    started: Vec<Challenge>,
    now: Timestamp,
) -> Outcome<Arc<Vec<(Challenge, String)>>> {
    let mut entered = Vec::with_capacity(started.len());
    for challenge in started {
        let code = code_of(store, &challenge, now).await?;
        entered.push((challenge, code));
    }
    Ok(Arc::new(entered))
}

fn check_one(
    store: &Arc<Store>,
    entered: &Arc<Vec<(Challenge, String)>>,
    index: usize,
    is_right: bool,
    now: Timestamp,
) -> impl Future<Output = Done<()>> + Send + 'static {
    let (store, entered) = (Arc::clone(store), Arc::clone(entered));
    async move {
        let (challenge, code) = entered.get(index % entered.len()).ok_or("nothing was started")?;
        match check(&store, challenge, if is_right { code } else { "no code" }, now).await? {
            Checked::Wrong(_) if !is_right => Ok(()),
            Checked::Approved(_) if is_right => Ok(()),
            other => Err(format!("WRONG: a code was not compared as it should be: {other:?}")),
        }
    }
}

fn row(whose: &str, what: &str, pace: &str, times: &mut [Duration], elapsed: Duration) {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    println!(
        "| {whose} | {what}, {pace} | {:.0} | {:.2} ms | {:.2} ms |",
        times.len() as f64 / elapsed.as_secs_f64(),
        millis(at(50)),
        millis(at(99)),
    );
}

/// Does something so often, begun at an even rate; how long each took since it was due.
async fn at_rate<F>(rate: usize, times: usize, act: impl Fn(usize) -> F) -> Outcome<Vec<Duration>>
where
    F: Future<Output = Done<()>> + Send + 'static,
{
    let (mut tasks, began) = (JoinSet::new(), tokio::time::Instant::now());
    for index in 0..times {
        let due = began + Duration::from_secs_f64(index as f64 / rate.max(1) as f64);
        // The clock of the runtime counts milliseconds: what is due within one begins together.
        tokio::time::sleep_until(due).await;
        let acted = act(index);
        tasks.spawn(async move { acted.await.map(|()| due.elapsed()) });
    }
    let mut all = Vec::with_capacity(times);
    while let Some(done) = tasks.join_next().await {
        all.push(done??);
    }
    Ok(all)
}

/// Does something so often, by so many callers of whom each begins anew once it is answered; how long each took.
async fn at_once_each<T, F>(
    callers: usize,
    times: usize,
    act: impl Fn(usize) -> F,
) -> Outcome<Vec<(T, Duration)>>
where
    T: Send + 'static,
    F: Future<Output = Done<T>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let acts: Vec<F> = (caller..times).step_by(callers).map(&act).collect();
        tasks.spawn(async move {
            let mut done = Vec::with_capacity(acts.len());
            for act in acts {
                let began = Instant::now();
                done.push((act.await?, began.elapsed()));
            }
            Done::Ok(done)
        });
    }
    let mut all = Vec::with_capacity(times);
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}

/// The code, as whoever sends it learns it.
async fn code_of(store: &Store, challenge: &Challenge, now: Timestamp) -> Outcome<String> {
    let sends = store.sends_of_challenge(challenge.sid).await?;
    let send = sends.first().ok_or("WRONG: nothing is to be sent")?.sid;
    let to_send = store.code_to_send(send, now).await?.ok_or("WRONG: nothing is to be sent")?;
    Ok(to_send.code.expose().to_owned())
}

/// Rounds of many checks at once.
async fn promise(database: &Database, right: usize, wrong: usize) -> Outcome {
    let now = installation::now();
    let store = Arc::new(database.open(now).await?);
    let limits = Arc::new(limits()?);
    let began = Instant::now();
    for round in 0..right {
        let challenge = start(&store, round, "right", Arc::clone(&limits), now).await?;
        let code = code_of(&store, &challenge, now).await?;
        let checked = at_once(&store, &challenge, &code, AT_ONCE, now).await?;
        let accepted = checked.iter().filter(|it| matches!(it, Checked::Approved(_))).count();
        if accepted != 1 {
            return Err(format!("WRONG: a code was accepted {accepted} times").into());
        }
    }
    for round in 0..wrong {
        let challenge = start(&store, round, "wrong", Arc::clone(&limits), now).await?;
        let checked = at_once(&store, &challenge, "no code", 256, now).await?;
        let compared = checked.iter().filter(|it| matches!(it, Checked::Wrong(_))).count();
        let refused = |it: &&Checked| matches!(it, Checked::Not(NotChecked::MaxChecks(_)));
        if compared != CHECKS_MAX as usize || checked.iter().filter(refused).count() != 256 - compared {
            return Err(format!("WRONG: {compared} wrong codes were compared").into());
        }
    }
    println!(
        "{}: {right} rounds of {AT_ONCE} right codes at once, one accepted in each; {wrong} rounds of 256 wrong ones, five \
         compared in each; {:.0} s",
        database.name(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn at_once(
    store: &Arc<Store>,
    challenge: &Challenge,
    code: &str,
    count: usize,
    now: Timestamp,
) -> Outcome<Vec<Checked>> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (store, challenge, code) = (Arc::clone(store), challenge.clone(), code.to_owned());
        tasks.spawn(async move { check(&store, &challenge, &code, now).await });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(checked) = tasks.join_next().await {
        all.push(checked??);
    }
    Ok(all)
}

async fn start(
    store: &Store,
    index: usize,
    binding: &str,
    limits: Arc<Limits>,
    now: Timestamp,
) -> Done<Challenge> {
    // Numbers and their prefixes are many, as those of many people are.
    let number = PhoneNumber::parse(&format!("+1415{:07}", 2_000_000 + (index * 7_919) % 7_000_000))
        .map_err(|error| error.to_string())?;
    let address = u32::try_from(index).map_err(|error| error.to_string())?;
    let expected = Expected {
        application: APPLICATION.to_owned(),
        purpose: "verification".to_owned(),
        binding: if binding.is_empty() { String::new() } else { format!("{binding} {index}") },
    };
    let counter = if binding.is_empty() {
        Counter::Number
    } else {
        Counter::Factor(format!("factor/{binding}/{index}"))
    };
    let new = NewChallenge { counter, ..challenge(expected, number, Ipv4Addr::from(address).into(), limits) };
    match store.begin_challenge(&actor(), new, now).await.map_err(|error| error.to_string())? {
        Begun::Sent { challenge, .. } => Ok(*challenge),
        Begun::Not(not) => Err(format!("WRONG: nothing was started: {not:?}")),
    }
}

/// A code by text for somebody at this address.
pub(crate) fn challenge(
    expected: Expected,
    number: PhoneNumber,
    address: IpAddr,
    limits: Arc<Limits>,
) -> NewChallenge {
    NewChallenge {
        expected,
        number,
        channel: Channel::Sms,
        length: CodeLength::SIX,
        lifetime: SignedDuration::from_mins(10),
        custom_code: None,
        details: serde_json::json!({ "name": "Owl Bank", "locale": "en" }),
        counter: Counter::Number,
        limits,
        asker: Asker { address: Some(address), user: None },
        own_budgets: Vec::new(),
    }
}

async fn check(store: &Store, challenge: &Challenge, code: &str, now: Timestamp) -> Done<Checked> {
    let binding = &challenge.expected.binding;
    let counter = match binding.split_once(' ') {
        Some((what, index)) => Counter::Factor(format!("factor/{what}/{index}")),
        None => Counter::Number,
    };
    let check = Check {
        expected: challenge.expected.clone(),
        which: Which::Sid(challenge.sid),
        code: Secret::new(code),
        counter,
        worn_out: None,
    };
    store.check_challenge(&actor(), check, now).await.map_err(|error| error.to_string())
}

pub(crate) fn actor() -> Actor {
    Actor::Application("SK0123456789abcdef0123456789abcdef".to_owned())
}

/// As many budgets as are shipped, and none that is reached.
fn limits() -> Outcome<Limits> {
    let shipped = Limits::shipped([Country::parse("US").map_err(|error| error.to_string())?].into());
    let most = |caps: Vec<Cap>| caps.into_iter().map(|cap| Cap { most: u32::MAX, ..cap }).collect();
    let Limits { countries, number, address, user, prefix, country, total, kept_percent } = shipped;
    Ok(Limits {
        countries,
        number: most(number),
        address: most(address),
        user: most(user),
        prefix: most(prefix),
        country: most(country),
        total: most(total),
        kept_percent,
    })
}
