//! `ringfence demo`: an application, the gate before it, and the sandbox as Twilio, in one process on loopback
//! ports; then a tour that shows who gets in and who does not, and why.
//!
//! The parts are the real ones: the sandbox sends what Twilio would send, the gate is configured by a file's text and
//! reached over sockets, and the reasons shown are read from its metrics, since a caller is never told.

mod application;
mod client;
mod tour;
mod twilio;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use ringfence_gateway::{Gateway, Hooks, Listeners};

use super::paper::Paper;
use super::serve::SystemClock;
use crate::config::{self, Surroundings};
use crate::exit;

/// The SharedKey of the demonstration.
pub(super) const SHARED_KEY_ID: &str = "demo_shared_key";
/// What the world calls the gate where requests come over TLS that ends before it.
pub(super) const PUBLIC_URL: &str = "https://hooks.example.com";

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
    pub(super) application: application::Application,
    twilio: twilio::Twilio,
    pub(super) secrets: Secrets,
}

/// Starts everything, gives the tour, and stays until Ctrl-C unless `exit` is set. The exit code is 0 only if
/// every request of the tour went as told.
pub(crate) fn run(exit_after_tour: bool) -> ExitCode {
    let runtime =
        match tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build() {
            Ok(runtime) => runtime,
            Err(error) => return exit::unavailable(&format!("cannot start a runtime: {error}"), None),
        };
    match runtime.block_on(demonstrate(exit_after_tour)) {
        Ok(code) => code,
        Err(error) => exit::unavailable(&format!("the demo cannot start: {error:#}"), None),
    }
}

async fn demonstrate(exit_after_tour: bool) -> anyhow::Result<ExitCode> {
    let secrets =
        Secrets { shared_key: random_hex()?, proof_key: random_hex()?, basic_password: random_hex()? };
    let application = application::start(listen_on(8480)?)?;
    let gate_listener = listen_on(8443)?;
    let hooks = format!("http://{}", gate_listener.local_addr()?);
    let twilio = twilio::start(listen_on(4010)?, random_seed()?, &hooks).await?;
    let text = configuration(application.address, &hooks, &twilio);
    let env = |name: &str| secrets.find(name, &twilio);
    let around = Surroundings { folder: Path::new(""), env: &env, now: config::wall_clock() };
    let loaded = config::resolve(&text, Path::new("demo.toml"), &around)?;
    let listeners =
        Listeners { gate: Some(gate_listener), admin: Some(listen_on(9400)?), ..Listeners::default() };
    let gateway = Gateway::start(loaded.settings, listeners, Arc::new(SystemClock), 1, Hooks::default())?;
    let (Some(gate), Some(admin)) = (gateway.gate_address(), gateway.admin_address()) else {
        anyhow::bail!("the gate has no address");
    };
    let world = World { gate, admin, application, twilio, secrets };

    let mut out = Paper::new();
    out.line("Ringfence demo: only Twilio gets in");
    out.line("");
    out.line(&format!("  application   http://{}/   knows nothing of signatures", world.application.address));
    out.line(&format!("  gate          http://{gate}/   stands before it"));
    out.line(&format!(
        "  sandbox       http://{}/   plays Twilio, with phones in the browser",
        world.twilio.address
    ));
    out.line(&format!("  admin         http://{admin}/metrics"));
    out.line("");
    let wrong = tour::give(&world, &mut out).await?;
    out.line("");
    if wrong == 0 {
        out.line("Everything went as told.");
    } else {
        out.line(&format!("{wrong} of the requests above did NOT go as told."));
    }
    if !exit_after_tour {
        invite(&mut out, &world);
        tokio::signal::ctrl_c().await?;
        out.line("");
        out.line("Stopped.");
    }
    tokio::task::spawn_blocking(move || gateway.stop()).await?;
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    out.line("");
    out.line(
        "Next: `ringfence check --print-example > ringfence.toml`, fill it in, `ringfence serve --config ringfence.toml`.",
    );
    out.line("Ctrl-C stops the demo.");
}

/// The configuration of the demonstration: what anybody could write for the product.
fn configuration(application: SocketAddr, hooks: &str, twilio: &twilio::Twilio) -> String {
    let (parent, tenant) = (&twilio.parent.sid, &twilio.tenant.sid);
    format!(
        r#"
[listen]
gate = "127.0.0.1:8443"
admin = "127.0.0.1:9400"

[[account]]
sid = "{parent}"
auth_token = {{ env = "PARENT_TOKEN" }}
shared_keys = [{{ id = "{SHARED_KEY_ID}", secret = {{ env = "SHARED_KEY" }}, algorithm = "HMAC_SHA256" }}]

[[account]]
sid = "{tenant}"
parent = "{parent}"
auth_token = {{ env = "TENANT_TOKEN" }}

[[route]]
path = "/twilio/"
public_url = "{hooks}"
upstream = "http://{application}"
check = "signature"
proof_key = {{ env = "PROOF_KEY" }}

[[route]]
path = "/hooks/"
public_url = "{PUBLIC_URL}"
upstream = "http://{application}"
check = "signature"

[[route]]
path = "/media/"
public_url = "{PUBLIC_URL}"
upstream = "http://{application}"
check = "basic"
basic = [{{ user = "twilio", password = {{ env = "BASIC_PASSWORD" }} }}]
"#
    )
}

impl Secrets {
    fn find(&self, name: &str, twilio: &twilio::Twilio) -> Option<String> {
        let secret = match name {
            "PARENT_TOKEN" => &twilio.parent.token,
            "TENANT_TOKEN" => &twilio.tenant.token,
            "SHARED_KEY" => &self.shared_key,
            "PROOF_KEY" => &self.proof_key,
            "BASIC_PASSWORD" => &self.basic_password,
            _ => return None,
        };
        Some(secret.clone())
    }

    pub(super) fn basic_credentials(&self) -> String {
        use base64::Engine as _;
        let text = format!("twilio:{}", self.basic_password);
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    }
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
