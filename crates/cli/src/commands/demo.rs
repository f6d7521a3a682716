//! `ringfence demo`: an application, the gate before it, and a stand-in for Twilio that signs, in one process on
//! loopback ports; then a tour that shows who gets in and who does not, and why.
//!
//! The parts are the real ones: the gate is configured by a file's text and reached over sockets, and the reasons
//! shown are read from its metrics, since a caller is never told.

mod application;
mod client;
mod signer;
mod tour;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use ringfence_gateway::{Gateway, Listeners};

use super::paper::Paper;
use super::serve::SystemClock;
use crate::config::{self, Surroundings};
use crate::exit;

/// The account of the demonstration, and one of its tenants.
pub(super) const PARENT: &str = "AC00000000000000000000000000000001";
pub(super) const TENANT: &str = "AC00000000000000000000000000000002";
/// The SharedKey of the demonstration.
pub(super) const SHARED_KEY_ID: &str = "demo_shared_key";
/// What the world calls the gate.
pub(super) const PUBLIC_URL: &str = "https://hooks.example.com";

/// Secrets made anew at each start.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    pub(super) parent_token: String,
    pub(super) tenant_token: String,
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
    let secrets = Secrets {
        parent_token: random_hex()?,
        tenant_token: random_hex()?,
        shared_key: random_hex()?,
        proof_key: random_hex()?,
        basic_password: random_hex()?,
    };
    let application = application::start(listen_on(8480)?)?;
    let text = configuration(application.address, &secrets);
    let around =
        Surroundings { folder: Path::new(""), env: &|name| secrets.find(name), now: config::wall_clock() };
    let loaded = config::resolve(&text, Path::new("demo.toml"), &around)?;
    let listeners =
        Listeners { gate: Some(listen_on(8443)?), admin: Some(listen_on(9400)?), ..Listeners::default() };
    let gateway = Gateway::start(loaded.settings, listeners, Arc::new(SystemClock), 1)?;
    let (Some(gate), Some(admin)) = (gateway.gate_address(), gateway.admin_address()) else {
        anyhow::bail!("the gate has no address");
    };
    let world = World { gate, admin, application, secrets };
    let signer = signer::start(listen_on(8481)?, world.clone())?;

    let mut out = Paper::new();
    out.line("Ringfence demo: only Twilio gets in");
    out.line("");
    out.line(&format!("  application   http://{}/   knows nothing of signatures", world.application.address));
    out.line(&format!("  gate          http://{gate}/   stands before it; the world calls it {PUBLIC_URL}"));
    out.line(&format!(
        "  signer        http://{signer}/   plays Twilio: what you send it is signed and passed to the gate"
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
        invite(&mut out, &world, signer);
        tokio::signal::ctrl_c().await?;
        out.line("");
        out.line("Stopped.");
    }
    tokio::task::spawn_blocking(move || gateway.stop()).await?;
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn invite(out: &mut Paper, world: &World, signer: SocketAddr) {
    out.line("");
    out.line("It goes on running. Try it from another terminal:");
    out.line("");
    out.line("  # signed by the stand-in for Twilio: the application answers");
    out.line(&format!(
        "  curl -i http://{signer}/twilio/sms -d From=+14155550100 -d To=+14155550199 -d Body=hello"
    ));
    out.line("  # the same request straight to the gate, unsigned: 403 and not a word more");
    out.line(&format!(
        "  curl -i http://{}/twilio/sms -d From=+14155550100 -d To=+14155550199 -d Body=hello",
        world.gate
    ));
    out.line("  # why it was refused, as the operator sees it");
    out.line(&format!("  curl -s http://{}/metrics | grep verdict", world.admin));
    out.line("");
    out.line("Next: `ringfence check --print-example > ringfence.toml`, fill it in, `ringfence serve --config ringfence.toml`.");
    out.line("Ctrl-C stops the demo.");
}

/// The configuration of the demonstration: what anybody could write for the product.
fn configuration(application: SocketAddr, _secrets: &Secrets) -> String {
    format!(
        r#"
[listen]
gate = "127.0.0.1:8443"
admin = "127.0.0.1:9400"

[[account]]
sid = "{PARENT}"
auth_token = {{ env = "PARENT_TOKEN" }}
shared_keys = [{{ id = "{SHARED_KEY_ID}", secret = {{ env = "SHARED_KEY" }}, algorithm = "HMAC_SHA256" }}]

[[account]]
sid = "{TENANT}"
parent = "{PARENT}"
auth_token = {{ env = "TENANT_TOKEN" }}

[[route]]
path = "/twilio/"
public_url = "{PUBLIC_URL}"
upstream = "http://{application}"
check = "signature"
proof_key = {{ env = "PROOF_KEY" }}

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
    fn find(&self, name: &str) -> Option<String> {
        let secret = match name {
            "PARENT_TOKEN" => &self.parent_token,
            "TENANT_TOKEN" => &self.tenant_token,
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
    let mut bytes = [0; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
