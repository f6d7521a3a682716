//! Pumping at full size: a hundred thousand starts from thousands of addresses, over half a day, and nobody enters a code but
//! the few who are people.
//!
//! What is judged is the work, by sums of its own: nothing goes out beyond a cap as they are shipped, nothing to a country that
//! is not allowed, and to no prefix more than fifty codes that nobody enters; and all that was let out is there to be sent, and
//! nothing else. Time is told, not waited for: all starts of one minute come at once, on PostgreSQL from two nodes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{PhoneNumber, Secret};
use ringfence_second_factor::country::Country;
use ringfence_second_factor::pumping::{Cap, Limits, STOPPED_AFTER, network, prefix};
use ringfence_store::{Begun, Check, Checked, Counter, Expected, NotSent, SendFilter, Store, Which};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::challenges::{APPLICATION, actor, challenge};
use crate::database::Database;
use crate::dice::Dice;
use crate::installation;

const ALLOWED: [&str; 3] = ["US", "DE", "FR"];
/// Where their numbers begin, without the digits that make a prefix of it and the four that make a number of that: of allowed
/// countries, of two that are not, and of lines that cost whoever calls.
const BEGINNINGS: [(&str, i64); 9] = [
    ("+1415", 3),
    ("+1212", 3),
    ("+1303", 3),
    ("+49151", 4),
    ("+49160", 3),
    ("+336", 4),
    ("+4477", 4),
    ("+88017", 4),
    ("+1900", 3),
];
/// Where people are, who enter their codes.
const PEOPLE: &str = "+1628555";
/// Minutes between two of them.
const PEOPLE_EACH: usize = 3;

/// `pumping [--starts N] [--hours N] [--seed N]`.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let drill = Drill {
        starts: arguments.number("starts", 100_000)?,
        // A prefix is stopped for a day, and begins anew after it.
        minutes: 60 * arguments.number::<usize>("hours", 12)?.clamp(1, 23),
        seed: arguments.number("seed", 1)?,
    };
    println!(
        "| database | nodes | starts | addresses | prefixes | sent | stopped prefixes | people's codes | starts a second |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    installation::runtime("store", 2)?.block_on(async {
        for database in Database::all()? {
            drill.run(&database).await?;
        }
        Ok(())
    })
}

struct Drill {
    starts: usize,
    minutes: usize,
    seed: u64,
}

/// One start, as it came out.
struct Started {
    number: PhoneNumber,
    address: IpAddr,
    at: Timestamp,
    is_person: bool,
    begun: Begun,
}

impl Drill {
    async fn run(&self, database: &Database) -> Outcome {
        // From the beginning of an hour on, so that windows are whole.
        let now = installation::now().as_second();
        let first = Timestamp::from_second(now - now.rem_euclid(3_600))?;
        let mut nodes = vec![Arc::new(database.open(first).await?)];
        if database.is_shared() {
            nodes.push(Arc::new(database.open(first).await?));
        }
        let countries = ALLOWED.iter().map(|country| Country::parse(country).map_err(|it| it.to_string()));
        let limits = Arc::new(Limits::shipped(countries.collect::<Result<_, _>>()?));
        let mut sums = Sums::default();
        let mut dice = Dice(self.seed);
        let (began, mut people) = (Instant::now(), (0, 0));
        for minute in 0..self.minutes {
            let at = first + SignedDuration::from_mins(i64::try_from(minute)?);
            let share = |minute: usize| self.starts * minute / self.minutes;
            let mut tasks = JoinSet::new();
            for index in share(minute)..share(minute + 1) {
                let node = nodes.get(index % nodes.len()).ok_or("there is a node")?;
                let is_person = index == share(minute) && minute.is_multiple_of(PEOPLE_EACH);
                let (number, address) =
                    if is_person { person(minute)? } else { (pumped(&mut dice)?, somewhere(&mut dice)) };
                tasks.spawn(start(Arc::clone(node), number, address, is_person, Arc::clone(&limits), at));
            }
            while let Some(started) = tasks.join_next().await {
                let started = started??;
                if started.is_person {
                    people.0 += 1;
                    people.1 += usize::from(matches!(started.begun, Begun::Sent { .. }));
                }
                sums.count(&started, &limits)?;
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let node = nodes.first().ok_or("there is a node")?;
        let last = first + SignedDuration::from_mins(i64::try_from(self.minutes)?);
        let stopped = sums.judge(node, last).await?;
        println!(
            "| {} | {} | {} | {} | {} | {} | {stopped} | {} of {} | {:.0} |",
            database.name(),
            nodes.len(),
            self.starts,
            sums.addresses.len(),
            sums.prefixes.len(),
            sums.sent,
            people.1,
            people.0,
            self.starts as f64 / seconds,
        );
        let refused: Vec<_> = sums.refused.iter().map(|(why, count)| format!("{why} {count}")).collect();
        eprintln!("{}: refused: {}", database.name(), refused.join(", "));
        Ok(())
    }
}

/// What has come of all starts, counted apart from the store.
#[derive(Default)]
struct Sums {
    sent: u64,
    refused: BTreeMap<String, u64>,
    /// Sends, by the cap and the window that they count in.
    windows: BTreeMap<(String, i64), u32>,
    /// Sends to each prefix that was asked for.
    prefixes: BTreeMap<String, u32>,
    addresses: BTreeMap<IpAddr, u32>,
    stops: u64,
}

impl Sums {
    fn count(&mut self, started: &Started, limits: &Limits) -> Outcome {
        let Started { number, address, at, is_person, begun } = started;
        let prefix = prefix(*number);
        *self.addresses.entry(*address).or_default() += 1;
        let to_prefix = self.prefixes.entry(prefix.clone()).or_default();
        let stops = match begun {
            Begun::Sent { stops, .. } => stops.is_some(),
            Begun::Not(not) => {
                *self.refused.entry(word(*not)).or_default() += 1;
                return Ok(());
            }
        };
        self.sent += 1;
        self.stops += u64::from(stops);
        if !is_person {
            *to_prefix += 1;
            if *to_prefix > STOPPED_AFTER {
                return Err(
                    format!("WRONG: {to_prefix} codes went to {prefix}, and nobody entered one").into()
                );
            }
        }
        let country = Country::of(*number).map(|country| country.to_string()).unwrap_or_default();
        if !ALLOWED.contains(&country.as_str()) {
            return Err(format!("WRONG: a code went to {prefix}…, which is in `{country}`").into());
        }
        let of = [
            (format!("number {number}"), &limits.number),
            (format!("address {}", network(*address)), &limits.address),
            (format!("prefix {prefix}"), &limits.prefix),
            (format!("country {country}"), &limits.country),
            ("total".to_owned(), &limits.total),
        ];
        for (what, caps) in of {
            for Cap { most, seconds } in caps {
                let window = at.as_second().div_euclid(i64::from(*seconds));
                let count = self.windows.entry((format!("{what} {seconds}"), window)).or_default();
                *count += 1;
                if *count > *most {
                    return Err(
                        format!("WRONG: {count} codes of {what} within {seconds} s, not {most}").into()
                    );
                }
            }
        }
        Ok(())
    }

    /// Whether the store has what was let out, and nothing else. How many prefixes are stopped.
    async fn judge(&self, store: &Store, last: Timestamp) -> Outcome<usize> {
        let waiting = store.unfinished_effects().await?.waiting;
        let total = store.summarise_code_sends(&SendFilter::default()).await?.total;
        if waiting != self.sent || total != self.sent {
            let sent = self.sent;
            return Err(format!(
                "WRONG: {sent} codes were let out, {total} noted, {waiting} wait to be sent"
            )
            .into());
        }
        let stopped = store.stopped_prefixes(last).await?;
        for stopped in &stopped {
            let sent = self.prefixes.get(&stopped.prefix).copied().unwrap_or_default();
            if sent != STOPPED_AFTER {
                return Err(format!("WRONG: {} was stopped after {sent} codes", stopped.prefix).into());
            }
        }
        if stopped.len() as u64 != self.stops {
            return Err(
                format!("WRONG: {} prefixes are stopped, {} were told", stopped.len(), self.stops).into()
            );
        }
        Ok(stopped.len())
    }
}

fn word(not: NotSent) -> String {
    match not {
        NotSent::Budget(of, _) => format!("cap of the {}", of.as_str()),
        NotSent::Stopped(_) => "stopped prefix".to_owned(),
        NotSent::Country => "country".to_owned(),
        NotSent::TooSoon(_) => "too soon".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A number that somebody earns from: two hundred prefixes in all, each tried again and again.
fn pumped(dice: &mut Dice) -> Outcome<PhoneNumber> {
    let beginning = usize::try_from(dice.below(i64::try_from(BEGINNINGS.len())?))?;
    let (beginning, digits) = *BEGINNINGS.get(beginning).ok_or("there is a beginning")?;
    let width = usize::try_from(digits)?;
    // Twenty-two prefixes of each beginning, none of which begins with 0 or 1.
    let of_prefix = 2 * 10_i64.pow(u32::try_from(digits)? - 1) + 17 * dice.below(22);
    let number = format!("{beginning}{of_prefix:0width$}{:04}", dice.below(10_000));
    Ok(PhoneNumber::parse(&number).map_err(|error| error.to_string())?)
}

/// One of five thousand addresses, every fifth of them of IPv6.
fn somewhere(dice: &mut Dice) -> IpAddr {
    let which = u16::try_from(dice.below(5_000)).unwrap_or_default();
    if which.is_multiple_of(5) {
        return Ipv6Addr::new(0x2001, 0xdb8, 0, which, 0, 0, 0, 1).into();
    }
    let [high, low] = which.to_be_bytes();
    Ipv4Addr::new(198, 18, high, low).into()
}

fn person(minute: usize) -> Outcome<(PhoneNumber, IpAddr)> {
    let number = PhoneNumber::parse(&format!("{PEOPLE}{minute:04}")).map_err(|error| error.to_string())?;
    let [high, low] = u16::try_from(minute)?.to_be_bytes();
    Ok((number, Ipv4Addr::new(203, 0, high, low).into()))
}

async fn start(
    store: Arc<Store>,
    number: PhoneNumber,
    address: IpAddr,
    is_person: bool,
    limits: Arc<Limits>,
    at: Timestamp,
) -> Result<Started, String> {
    let by = actor();
    let expected = Expected {
        application: APPLICATION.to_owned(),
        purpose: "verification".to_owned(),
        binding: String::new(),
    };
    let new = challenge(expected.clone(), number, address, limits);
    let failed = |error: ringfence_store::Error| error.to_string();
    let begun = store.begin_challenge(&by, new, at).await.map_err(failed)?;
    if let (true, Begun::Sent { challenge, send, .. }) = (is_person, &begun) {
        let to_send = store.code_to_send(*send, at).await.map_err(failed)?;
        let code = to_send.ok_or("WRONG: nothing is to be sent")?.code.expose().to_owned();
        let which = Which::Sid(challenge.sid);
        let check =
            Check { expected, which, code: Secret::new(code), counter: Counter::Number, worn_out: None };
        let checked = store.check_challenge(&by, check, at).await.map_err(failed)?;
        if !matches!(checked, Checked::Approved(_)) {
            return Err(format!("WRONG: a right code was not accepted: {checked:?}"));
        }
    }
    Ok(Started { number, address, at, is_person, begun })
}
