//! `ringfence demo`: an application, Ringfence before it, and the sandbox as Twilio, in one process on loopback ports; then
//! a tour that shows who gets in and who does not, and why, what becomes of an account that spends past its limit, how the
//! same attack ends where the egress stops it before, and what a password alone opens.
//!
//! The parts are the real ones: the sandbox sends what Twilio would send, Ringfence runs on a file as `serve` does and is
//! reached over sockets, and the reasons shown are read from its metrics, since a caller is never told. The tour is told
//! twice, as text in the terminal and as a page in the browser where each step is a button; both do it with the same
//! functions (`gate`, `attack`, `operator`, `person`), on accounts and people of their own.

mod application;
mod attack;
mod browser;
mod client;
mod gate;
mod installation;
mod mail;
mod operator;
mod page;
mod person;
mod show;
mod sign_in;
mod spending;
mod tour;
mod twilio;
mod waiting;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, anyhow};
use ringfence_gateway::{Gateway, Listeners};
use ringfence_model::Clock;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use self::installation::{Installation, Parts};
use super::paper::Paper;
use super::serve::SystemClock;
use super::serve::control::{self, ControlPlane};
use super::stop::StopSignals;
use crate::config;
use crate::exit;

/// The SharedKey of the demonstration.
pub(super) const SHARED_KEY_ID: &str = "demo_shared_key";
/// What the world calls the gate where requests come over TLS that ends before it.
pub(super) const PUBLIC_URL: &str = "https://hooks.example.com";
/// Where the page is if this port is free.
const PAGE_PORT: u16 = 8300;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The first line that it prints is the address of a page that leads through it; the same follows as
text. Everything is on this machine, and nothing is left of it in the end.

Examples:
  ringfence demo
  ringfence demo --port 8301
  ringfence demo --exit")]
pub(crate) struct Arguments {
    /// End after the tour in the terminal, with exit code 0 only if everything went as told; there is no page
    #[arg(long)]
    exit: bool,
    /// Serve the page at this port; 8300 if not given, or another one where that is taken
    #[arg(long, value_name = "PORT", conflicts_with = "exit")]
    port: Option<u16>,
}

/// Secrets made anew at each start, beside those of the sandbox.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    pub(super) shared_key: String,
    proof_key: String,
    basic_password: String,
}

/// Everything that runs, by address.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) gate: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) console: SocketAddr,
    pub(super) egress: SocketAddr,
    pub(super) application: application::Application,
    twilio: twilio::Twilio,
    mail: mail::MailServer,
    pub(super) secrets: Secrets,
    /// The configuration that it runs on.
    config: PathBuf,
    /// Whose request is watched at the gate: what one does there is told by what its counters did meanwhile.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What is there before Ringfence is.
struct Prepared {
    world: World,
    listeners: Listeners,
    installation: Installation,
}

/// All of it at work. What comes first is dropped first: the folder goes last.
struct Running {
    gateway: Gateway,
    control: Option<ControlPlane>,
    world: World,
    runtime: Runtime,
    _installation: Installation,
}

/// Starts everything, gives the tour, and stays until Ctrl-C unless it is to end after it. The exit code is 0 only if
/// everything in the tour went as told.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match demonstrate(arguments) {
        Ok(code) => code,
        Err(error) => exit::unavailable(&format!("the demo cannot go on: {error:#}"), None),
    }
}

fn demonstrate(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    // Whenever somebody has seen enough, all of this is stopped and the folder removed.
    let mut stop = runtime.block_on(async { StopSignals::catch_with_hang_up() })?;
    let listener = match (arguments.exit, arguments.port) {
        (true, _) => None,
        (false, None) => Some(listen_on(PAGE_PORT)?),
        (false, Some(port)) => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
            Some(listener.with_context(|| format!("its page cannot have port {port}, which --port names"))?)
        }
    };
    let mut out = Paper::new();
    if let Some(listener) = &listener {
        out.line(&format!(
            "Open http://{}/ in a browser: there each step is a button.",
            listener.local_addr()?
        ));
        out.line("");
    }
    let running = Running::start(runtime)?;
    let world = running.world.clone();
    let told = running.block_on(async {
        if let Some(listener) = listener {
            let page = Rc::new(page::Page::new(world.clone(), listener.local_addr()?));
            page::serve(page, listener)?;
        }
        let told = tokio::select! {
            wrong = tour(&world, &mut out) => wrong.map(Some),
            () = stop.next() => Ok(None),
        };
        if matches!(told, Ok(Some(_))) && !arguments.exit {
            invite(&mut out, &world);
            stop.next().await;
            out.line("");
            out.line("Stopped.");
        }
        told
    });
    running.stop();
    if arguments.exit {
        out.end().context("cannot write to standard output")?;
    }
    Ok(if told? == Some(0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Running {
    /// Starts everything, with Ringfence as `serve` starts it.
    fn start(runtime: Runtime) -> anyhow::Result<Self> {
        let Prepared { world, listeners, installation } = runtime.block_on(prepare())?;
        let mut loaded = config::load(&world.config)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let keys = Arc::new(OnceLock::new());
        let mut control =
            ControlPlane::prepare(&mut loaded, &clock, &keys).map_err(|failure| anyhow!("{failure}"))?;
        let gateway = runtime.block_on(async {
            control::start(loaded.settings, listeners, clock, 1, control.as_mut(), &keys)
        })?;
        Ok(Self { gateway, control, world, runtime, _installation: installation })
    }

    /// Does something in it. What was begun meanwhile, such as the page, ends with it.
    fn block_on<T>(&self, doing: impl Future<Output = T>) -> T {
        self.runtime.block_on(LocalSet::new().run_until(doing))
    }

    fn stop(self) {
        let Self { gateway, mut control, runtime, _installation, .. } = self;
        runtime.block_on(async {
            // It waits for requests in work, which the application and the sandbox answer from here.
            let _stopped = tokio::task::spawn_blocking(move || gateway.stop()).await;
            if let Some(control) = &mut control {
                control.stop().await;
            }
        });
        drop(control);
        // Ends when commands that were typed meanwhile have ended: they are in the folder.
        drop(runtime);
    }
}

/// Starts the application, the sandbox and the mail server, and writes the configuration.
async fn prepare() -> anyhow::Result<Prepared> {
    let secrets =
        Secrets { shared_key: random_hex()?, proof_key: random_hex()?, basic_password: random_hex()? };
    let application = application::start(listen_on(8480)?)?;
    let mail = mail::start(listen_on(2525)?)?;
    let (gate, admin, console) = (listen_on(8443)?, listen_on(9400)?, listen_on(8400)?);
    let egress = listen_on(8500)?;
    let (gate_address, admin_address) = (gate.local_addr()?, admin.local_addr()?);
    let (console_address, egress_address) = (console.local_addr()?, egress.local_addr()?);
    let twilio = twilio::start(listen_on(4010)?, random_seed()?, &format!("http://{gate_address}")).await?;
    let parts = Parts {
        gate: gate_address,
        admin: admin_address,
        console: console_address,
        egress: egress_address,
        application: application.address,
        sandbox: twilio.address,
        mail: mail.address,
        parent: &twilio.parent.sid,
        parent_token: &twilio.parent.token,
        parent_number: &twilio.parent.number,
    };
    let installation = Installation::make(&parts, &secrets).context("cannot write the configuration")?;
    let config = installation.file();
    let world = World {
        gate: gate_address,
        admin: admin_address,
        console: console_address,
        egress: egress_address,
        application,
        twilio,
        mail,
        secrets,
        config,
        turn: Arc::default(),
    };
    let listeners = Listeners {
        gate: Some(gate),
        admin: Some(admin),
        console: Some(console),
        egress: Some(egress),
        ..Listeners::default()
    };
    Ok(Prepared { world, listeners, installation })
}

/// Everything that there is to see; how much of it did not go as told.
async fn tour(world: &World, out: &mut Paper) -> anyhow::Result<usize> {
    out.line("Ringfence demo: only Twilio gets in, no account spends past its limit, and a password alone opens nothing");
    out.line("");
    for (name, address, what) in [
        ("application", format!("http://{}/", world.application.address), "knows nothing of signatures"),
        ("gate", format!("http://{}/", world.gate), "stands before it"),
        ("egress", format!("http://{}/", world.egress), "stands before Twilio, for what goes out"),
        ("sandbox", format!("http://{}/", world.twilio.address), "plays Twilio, with phones in the browser"),
        ("mail server", format!("smtp://{}", world.mail.address), "takes what the operator is told"),
        ("console", format!("http://{}/", world.console), "for people, behind a second factor"),
        ("admin", format!("http://{}/metrics", world.admin), "for the operator alone"),
    ] {
        out.line(&format!("  {name:<13} {address:<31} {what}"));
    }
    out.line(&format!("  configuration {}", world.config.display()));
    out.line("");
    let mut wrong = tour::give(world, out).await?;
    out.line("");
    wrong += spending::give(world, out).await?;
    out.line("");
    wrong += sign_in::give(world, out).await?;
    out.line("");
    if wrong == 0 {
        out.line("Everything went as told.");
    } else {
        out.line(&format!("{wrong} of the above did NOT go as told."));
    }
    Ok(wrong)
}

fn invite(out: &mut Paper, world: &World) {
    let (gate, sandbox, number) = (world.gate, world.twilio.address, &world.twilio.parent.number);
    out.line("");
    out.line("It goes on running. Text or call the application from a phone, and watch each webhook:");
    out.line("");
    out.line(&format!("  http://{sandbox}/_sandbox/phones"));
    out.line("");
    out.line("Or from another terminal:");
    out.line("");
    out.line("  # a phone texts the application: signed by the sandbox, admitted by the gate");
    out.line(&format!("  curl http://{sandbox}/_sandbox/messages --json \\"));
    out.line(&format!("    '{{\"from\":\"{}\",\"to\":\"{number}\",\"body\":\"hello\"}}'", twilio::PHONE));
    out.line("  # the like of it straight to the gate, unsigned: 403 and not a word more");
    out.line(&format!(
        "  curl -i http://{gate}/twilio/sms -d From=+12025550143 -d To={number} -d Body=hello"
    ));
    out.line("  # why it was refused, as the operator sees it");
    out.line(&format!("  curl -s http://{}/metrics | grep verdict", world.admin));
    out.line("  # what is spent, what is tripped, and who did what");
    out.line(&format!("  ringfence status --config {}", world.config.display()));
    out.line(&format!("  ringfence audit export --config {}", world.config.display()));
    out.line("");
    out.line(
        "Next: `ringfence init` asks for what is needed, and writes a configuration for your own application.",
    );
    out.line("Ctrl-C stops the demo.");
}

impl Secrets {
    pub(super) fn basic_credentials(&self) -> String {
        use base64::Engine as _;
        let text = format!("twilio:{}", self.basic_password);
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    }
}

/// One thread for all but Ringfence, which brings its own, and a few for commands that are typed.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build()
}

/// The usual port if it is free, else any.
fn listen_on(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}

/// 32 hex digits, as an auth token has.
fn random_hex() -> std::io::Result<String> {
    Ok(format!("{:032x}", u128::from_be_bytes(random_bytes()?)))
}

/// Makes the sandbox's names others at each start.
fn random_seed() -> std::io::Result<u64> {
    Ok(u64::from_be_bytes(random_bytes()?))
}

fn random_bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes)
}
