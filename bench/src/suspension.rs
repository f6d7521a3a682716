//! From the webhook of a usage trigger to the request that suspends the account: the time in which money still flows and
//! that is Ringfence's own.
//!
//! It begins when the first byte goes to the gate and ends when the request goes by on the wire to Twilio. Between them
//! are a verified signature, four commits that must be on disk (the delivery, the decision, the claim, what is taken), and
//! the handing over between tasks; so the yardstick is a bare commit on the same database. What is judged is the work:
//! every delivery must be answered with 200, and every account suspended at Twilio, by one request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::Mac as _;
use jiff::fmt::rfc2822;
use ringfence_breaker::Window;
use ringfence_model::Sid;
use ringfence_store::Trigger;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::database::Database;
use crate::gate::median;
use crate::histogram::Histogram;
use crate::installation::{self, Installation, Subaccount, TRIGGER_PATH, fifty};
use crate::sandbox::ask;
use crate::webhook::{HOST, PUBLIC_URL, form_encoded, keyed};

/// Twilio at a usual distance.
const FAR: Duration = Duration::from_millis(100);

/// `suspension [--accounts N] [--trips N]`: so many subaccounts, and so many of them that reach their limit in each row.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let accounts: usize = arguments.number("accounts", 1_000)?;
    let trips: usize = arguments.number("trips", 200)?;
    if trips * Load::ALL.len() > accounts {
        return Err(format!("{trips} trips in each row need {} accounts", trips * Load::ALL.len()).into());
    }
    let control = installation::runtime("control", 2)?;
    println!(
        "| database | deliveries | Twilio answers after | p50 ms | p99 ms | max ms | p50 × a bare commit | goal |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    // Threads of their own, as if Twilio were somebody else's machine.
    installation::runtime("twilio", 1)?.block_on(async {
        for database in Database::all()? {
            measure(control.handle(), &database, accounts, trips).await?;
        }
        Ok(())
    })
}

/// How deliveries come.
#[derive(Clone, Copy)]
enum Load {
    /// Each after the suspension before.
    OneByOne,
    /// So long after one another, whatever has become of those before.
    Every(Duration),
    /// All of them.
    AtOnce,
}

impl Load {
    const ALL: [(Self, Duration); 3] = [
        (Self::OneByOne, Duration::ZERO),
        (Self::Every(Duration::from_millis(50)), FAR),
        (Self::AtOnce, FAR),
    ];
}

async fn measure(control: &Handle, database: &Database, accounts: usize, trips: usize) -> Outcome {
    let installation = Installation::new(control, database, accounts, vec![fifty(Window::Daily)]).await?;
    let commit_ms = bare_commit_ms(database).await?;
    let running = installation.run(control).await?;
    let triggers = installation.store.triggers().await?;
    for (index, (load, far)) in Load::ALL.into_iter().enumerate() {
        let chosen = &installation.subaccounts[index * trips..(index + 1) * trips];
        let deliveries = chosen.iter().map(|account| Delivery::of(account, &triggers));
        let deliveries = deliveries.collect::<Outcome<Vec<_>>>()?;
        installation.wire.set_far(far);
        let taken = trip(&installation, load, deliveries).await?;
        let goal = match load {
            Load::OneByOne | Load::Every(_) => "≤ 50",
            Load::AtOnce => "",
        };
        println!(
            "| {} | {} | {} ms | {:.1} | {:.1} | {:.1} | {:.1} | {goal} |",
            database.name(),
            match load {
                Load::OneByOne => format!("{trips}, one after another"),
                Load::Every(pause) => format!("{trips}, one every {} ms", pause.as_millis()),
                Load::AtOnce => format!("{trips} at once"),
            },
            far.as_millis(),
            taken.quantile_us(0.5) / 1e3,
            taken.quantile_us(0.99) / 1e3,
            taken.quantile_us(1.0) / 1e3,
            taken.quantile_us(0.5) / 1e3 / commit_ms,
        );
    }
    let suspended = installation.suspended_at_twilio(control).await?;
    let wanted = trips * Load::ALL.len();
    if suspended != wanted {
        return Err(format!("WRONG: {suspended} accounts are suspended at Twilio, not {wanted}").into());
    }
    running.stop().await?;
    installation.stop().await
}

/// Milliseconds, median of 200.
async fn bare_commit_ms(database: &Database) -> Outcome<f64> {
    let mut bare = database.bare().await?;
    let mut took = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        bare.insert().await?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(took.into_iter()))
}

/// Delivers them all, and waits until each account's suspension has been asked for, and nothing is left to do.
async fn trip(installation: &Installation, load: Load, deliveries: Vec<Delivery>) -> Outcome<Histogram> {
    let gate = installation.gate()?;
    let mut sending = JoinSet::new();
    let mut sent = Vec::new();
    let began = tokio::time::Instant::now();
    for (number, delivery) in (0..).zip(deliveries) {
        sending.spawn(delivery.send(gate));
        match load {
            Load::OneByOne => {
                if let Some(answered) = sending.join_next().await {
                    sent.push(answered??);
                }
                // It has been read back, and the node has nothing to do.
                installation.rest().await?;
            }
            Load::Every(pause) => tokio::time::sleep_until(began + pause * (number + 1)).await,
            Load::AtOnce => {}
        }
    }
    while let Some(answered) = sending.join_next().await {
        sent.push(answered??);
    }
    let mut taken = Histogram::new();
    for (account, delivered) in sent {
        let asked = tokio::time::timeout(Duration::from_secs(30), installation.wire.changed(account)).await;
        let Ok(Some(asked)) = asked else { return Err(format!("WRONG: {account} was not suspended").into()) };
        taken.record(asked.saturating_duration_since(delivered));
    }
    installation.rest().await?;
    Ok(taken)
}

impl Installation {
    /// Waits until nothing waits.
    async fn rest(&self) -> Outcome {
        let started = Instant::now();
        loop {
            let effects = self.store.waiting_effects(1).await?;
            if effects.is_empty() && self.store.unprocessed_observations(1).await?.is_empty() {
                return Ok(());
            }
            if started.elapsed() > Duration::from_secs(30) {
                return Err(format!("WRONG: it does not come to rest: {effects:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many accounts are, by one request each.
    async fn suspended_at_twilio(&self, control: &Handle) -> Outcome<usize> {
        let seen = self.wire.seen();
        if let Some((account, (_, times))) = seen.changes.iter().find(|(_, (_, times))| *times != 1) {
            return Err(format!("WRONG: {account} was changed {times} times").into());
        }
        // What the store was told when each suspension was read back.
        let store = std::sync::Arc::clone(&self.store);
        let accounts = control.spawn(async move { store.accounts().await }).await??;
        Ok(accounts.iter().filter(|account| account.status == "suspended").count())
    }
}

/// A usage trigger that fires.
struct Delivery {
    account: Sid,
    request: Vec<u8>,
}

impl Delivery {
    /// As Twilio sends it, signed with the account's token.
    fn of(account: &Subaccount, triggers: &[Trigger]) -> Outcome<Self> {
        let trigger = triggers.iter().find(|trigger| trigger.account == account.sid);
        let trigger = trigger.ok_or_else(|| format!("WRONG: {} has no trigger", account.sid))?;
        let (sid, trigger) = (account.sid.to_string(), trigger.sid.to_string());
        let fired = rfc2822::DateTimePrinter::new().timestamp_to_string(&installation::now())?;
        let record = format!("/2010-04-01/Accounts/{sid}/Usage/Records.json?Category=totalprice");
        let token = format!("{sid}-FIRES-{trigger}");
        // In the order of their names, which is that of the signature.
        let fields = [
            ("AccountSid", &*sid),
            ("CurrentValue", "50.012300"),
            ("DateFired", &fired),
            ("IdempotencyToken", &token),
            ("Recurring", "daily"),
            ("TriggerBy", "price"),
            ("TriggerValue", "50.000000"),
            ("UsageCategory", "totalprice"),
            ("UsageRecordUri", &record),
            ("UsageTriggerSid", &trigger),
        ];
        let mut signed = keyed(&account.token);
        signed.update(format!("{PUBLIC_URL}{TRIGGER_PATH}").as_bytes());
        let mut body = String::new();
        for (name, value) in fields {
            signed.update(name.as_bytes());
            signed.update(value.as_bytes());
            body.push_str(if body.is_empty() { "" } else { "&" });
            body.extend([name, "=", &form_encoded(value)]);
        }
        let signature = BASE64.encode(signed.finalize().into_bytes());
        let request = format!(
            "POST {TRIGGER_PATH} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: TwilioProxy/1.1\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {}\r\n\
             X-Twilio-Signature: {signature}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        Ok(Self { account: account.sid, request: request.into_bytes() })
    }

    /// On a connection of its own. The account, and when its first byte went out.
    async fn send(self, gate: SocketAddr) -> Result<(Sid, Instant), String> {
        let mut stream = TcpStream::connect(gate).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut buffer = vec![0; 16 * 1024];
        let delivered = Instant::now();
        let answer = ask(&mut stream, &self.request, &mut buffer).await?;
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(format!("WRONG: answered {}", String::from_utf8_lossy(answer)));
        }
        Ok((self.account, delivered))
    }
}
