//! Whether somebody outside can tell by the clock who there is: the console's sign-in and its forgotten password, and the
//! credentials of Verify's API.
//!
//! Each question is asked in pairs, one about somebody who exists and one about nobody, in an order that chance makes, so
//! that what the machine does meanwhile falls on both. Two more rows show what the measurement itself is worth: nobody
//! against nobody, where there is nothing to find, and nobody against nobody with a known delay, which must be found.
//! What is judged is the work: both must get the same status and the same page.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::{Request, Response};
use jiff::SignedDuration;
use ringfence_console::{Caller, Console, ConsoleSetup, Requests};
use ringfence_control::engine::{Clients, Engine, KnownAccount, Setup};
use ringfence_control::notices::Sender;
use ringfence_control::people::{self, Hasher, Rules};
use ringfence_control::second_factor::{ApplicationSettings, Delivery, Settings};
use ringfence_control::verify::{Verify, VerifySetup};
use ringfence_model::{Actor, Secret, Sid};
use ringfence_second_factor::pumping::Limits;
use ringfence_store::{Grant, NewCredential, Role, Store, Told, Where};
use ringfence_twilio::client::Settings as ClientSettings;
use serde_json::json;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::database::Database;
use crate::dice::Dice;
use crate::installation::{self, SystemClock};
use crate::statistics::Comparison;

/// Who is asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Somebody who exists, each time another one.
    Somebody,
    /// Nobody, each time by another name.
    Nobody,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    SignIn,
    Forgot,
    /// The page after a forgotten password, while the mail is written.
    AfterForgot,
    Credential,
}

/// One row of the table.
struct Question {
    name: &'static str,
    what: What,
    second: Who,
    /// How much longer the second is made to take.
    delayed: Duration,
}

const QUESTIONS: [Question; 6] = [
    Question { name: "sign-in", what: What::SignIn, second: Who::Somebody, delayed: Duration::ZERO },
    Question {
        name: "forgotten password",
        what: What::Forgot,
        second: Who::Somebody,
        delayed: Duration::ZERO,
    },
    Question {
        name: "the page after it",
        what: What::AfterForgot,
        second: Who::Somebody,
        delayed: Duration::ZERO,
    },
    Question {
        name: "credential of Verify's API",
        what: What::Credential,
        second: Who::Somebody,
        delayed: Duration::ZERO,
    },
    Question {
        name: "sign-in, nobody both times",
        what: What::SignIn,
        second: Who::Nobody,
        delayed: Duration::ZERO,
    },
    Question {
        name: "the same, 500 µs added",
        what: What::SignIn,
        second: Who::Nobody,
        delayed: Duration::from_micros(500),
    },
];

/// `timing [--samples N] [--seed N]`: so many pairs for each question.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let samples: u32 = arguments.number("samples", 1_000)?;
    let mut dice = Dice(arguments.number("seed", 1)?);
    println!(
        "| database | asked about nobody, and then about | nobody | the other | z | t | larger | told apart |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    installation::runtime("asked", 2)?.block_on(async {
        for database in Database::all()? {
            for question in &QUESTIONS {
                // It is gone with this value.
                let fresh = database.another()?;
                let house = House::open(&fresh, samples).await?;
                let (nobody, other) = house.ask(question, samples, &mut dice).await?;
                let found = Comparison::of(&nobody, &other);
                let (one, two) = found.medians;
                println!(
                    "| {} | {} | {one:.0} µs | {two:.0} µs | {:.1} | {:.1} | {:.3} | {} |",
                    database.name(),
                    question.name,
                    found.z,
                    found.t,
                    found.larger,
                    if found.tells_apart() { "yes" } else { "no" },
                );
            }
        }
        Ok(())
    })
}

/// An installation with people and credentials, all of whom have another password than what is tried.
struct House {
    console: Console,
    verify: Verify,
    credentials: Vec<Sid>,
}

impl House {
    async fn open(database: &Database, people: u32) -> Outcome<Self> {
        let now = installation::now();
        let store = Arc::new(database.open(now).await?);
        let hasher = Hasher::new(2);
        let by = Actor::CommandLine("bench".to_owned());
        // One hash for all: it takes as long to compare with as any other.
        let hash = hasher.hash(&Secret::new("tulip cement orbit"), [7; 16]).await?;
        for number in 0..people {
            let grant = Grant { place: Where::Everywhere, role: Role::Auditor };
            let invited = people::add(&store, &by, &login(Who::Somebody, number), vec![grant], now).await?;
            store.set_password(&by, &invited.person.id, &hash, Told::nobody(), now).await?;
        }
        let settings = json!(ApplicationSettings::default());
        let application = store.add_application(&by, "Owl Bank", settings, now).await?;
        let mut credentials = Vec::new();
        for _ in 0..people {
            let new = NewCredential {
                kind: "verify".to_owned(),
                application: Some(application.sid),
                name: "bench".to_owned(),
                scopes: Vec::new(),
                expires_at: None,
            };
            credentials.push(store.create_credential(&by, new, now).await?.0.sid);
        }
        let account = Sid::new(*b"AC", 1);
        let engine = Arc::new(engine(store, account)?);
        let source = Arc::clone(&engine);
        let verify = Verify::new(VerifySetup { engine: Arc::new(move || Ok(Arc::clone(&source))) });
        let console = Console::new(ConsoleSetup {
            engine: Arc::new(move || Ok(Arc::clone(&engine))),
            clock: Arc::new(SystemClock),
            gate: None,
            requests: Requests::Nowhere,
            rules: Rules { console_url: Some("https://console.example.com".to_owned()), ..Rules::default() },
            hasher,
            mails: true,
            egress: None,
            callback_url: Arc::new(|| None),
        });
        Ok(Self { console, verify, credentials })
    }

    /// The times of both, as many of the one as of the other.
    async fn ask(
        &self,
        question: &Question,
        samples: u32,
        dice: &mut Dice,
    ) -> Outcome<(Vec<Duration>, Vec<Duration>)> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        // What is slow only once is over before anything counts.
        for number in 0..20 {
            self.one(question.what, Who::Nobody, samples * 4 + number).await?;
        }
        for number in 0..samples {
            let mut shown = Vec::new();
            let is_second_first = dice.below(2) == 1;
            for is_second in [is_second_first, !is_second_first] {
                let (who, name) =
                    if is_second { (question.second, number) } else { (Who::Nobody, samples + number) };
                let delayed = if is_second { question.delayed } else { Duration::ZERO };
                let (took, page) = self.one_delayed(question.what, who, name, delayed).await?;
                if is_second {
                    second.push(took);
                } else {
                    first.push(took);
                }
                shown.push(page);
            }
            if shown.first() != shown.last() {
                return Err(format!("WRONG: {}: the answers differ: {shown:?}", question.name).into());
            }
        }
        Ok((first, second))
    }

    async fn one(&self, what: What, who: Who, number: u32) -> Outcome<(Duration, String)> {
        self.one_delayed(what, who, number, Duration::ZERO).await
    }

    /// How long one answer takes, and what it says, without the name that was typed.
    async fn one_delayed(
        &self,
        what: What,
        who: Who,
        number: u32,
        delayed: Duration,
    ) -> Outcome<(Duration, String)> {
        let typed = login(who, number);
        // Each from another network, so that nobody has to wait.
        let place = if who == Who::Somebody { 10 } else { 11 };
        let [_, high, middle, low] = number.to_be_bytes();
        let address = IpAddr::V4(Ipv4Addr::new(place, low, middle, high));
        let form = |path: &str, body: String| {
            Request::post(path)
                .header("host", "console.example.com")
                .header("origin", "https://console.example.com")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(Bytes::from(body))
        };
        let email = typed.replace('@', "%40");
        let (asked, before) = match what {
            What::SignIn => (form("/sign-in", format!("login={email}&password=wrong+horse+battery"))?, None),
            What::Forgot => (form("/forgot", format!("login={email}"))?, None),
            What::AfterForgot => {
                let page = Request::get("/sign-in").header("host", "console.example.com");
                (page.body(Bytes::new())?, Some(form("/forgot", format!("login={email}"))?))
            }
            What::Credential => (self.credential(who, number)?, None),
        };
        if let Some(before) = before {
            self.answer(what, address, before).await;
        }
        let began = Instant::now();
        let response = self.answer(what, address, asked).await;
        let answered = began.elapsed();
        while began.elapsed() < answered + delayed {
            std::hint::spin_loop();
        }
        let took = began.elapsed();
        // What goes on after an answer is over before the next question.
        if matches!(what, What::Forgot | What::AfterForgot) {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let page = String::from_utf8_lossy(response.body()).replace(&typed, "NAME");
        if what == What::SignIn && !page.contains("password is wrong") {
            return Err(format!("WRONG: no password was looked at: {} {page}", response.status()).into());
        }
        Ok((took, format!("{} {page}", response.status())))
    }

    async fn answer(&self, what: What, address: IpAddr, request: Request<Bytes>) -> Response<Bytes> {
        if what == What::Credential {
            self.verify.answer(address, true, request).await
        } else {
            let caller = Caller { address, is_https: true, told: None };
            self.console.answer(caller, request).await
        }
    }

    /// A question of Verify's API with a credential and a wrong secret.
    fn credential(&self, who: Who, number: u32) -> Outcome<Request<Bytes>> {
        let index = usize::try_from(number)?;
        let known = self.credentials.get(index).copied().filter(|_| who == Who::Somebody);
        let user = known.unwrap_or_else(|| Sid::new(*b"SK", u128::from(number)));
        let encoded = STANDARD.encode(format!("{user}:{:064x}", u128::from(number)));
        let request = Request::get("/v2/Services").header("authorization", format!("Basic {encoded}"));
        Ok(request.body(Bytes::new())?)
    }
}

/// As long for the one as for the other.
fn login(who: Who, number: u32) -> String {
    match who {
        Who::Somebody => format!("person{number:07}@example.com"),
        Who::Nobody => format!("nobody{number:07}@example.com"),
    }
}

/// An engine that asks nobody: no code is sent here.
fn engine(store: Arc<Store>, account: Sid) -> Outcome<Engine> {
    let known = KnownAccount {
        sid: account,
        parent: None,
        auth_token: Secret::new("11111111111111111111111111111111"),
        finds_subaccounts: false,
    };
    let clients = Clients::new(&ClientSettings::at("http://127.0.0.1:9".parse()?), vec![known])?;
    let second_factor = Settings {
        account,
        delivery: Delivery::Programmable { sender: Sender::Name("Owl".to_owned()), caller: None },
        limits: Arc::new(Limits::shipped(std::collections::BTreeSet::new())),
        lines: None,
        lifetime: SignedDuration::from_mins(10),
        key_url: None,
        public_url: None,
    };
    Ok(Engine::new(Setup {
        store,
        clients,
        limits: Vec::new(),
        notifier: None,
        second_factor: Some(second_factor),
        egress: None,
        shared_keys: None,
        clock: Arc::new(SystemClock),
    }))
}
