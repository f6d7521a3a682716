//! `ringfence sandbox`: a Twilio of one's own on this machine, until Ctrl-C.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ringfence_model::Sid;
use ringfence_sandbox::{Sandbox, SandboxOptions, Settings};
use tokio::signal::unix::{SignalKind, signal};

use super::paper::Paper;
use super::serve::SystemClock;
use crate::config::units;
use crate::exit::{self, Answer, Failure};

/// How it is started.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ringfence sandbox
  ringfence sandbox --listen 127.0.0.1:4010 --seed 7 --virtual-clock
  ringfence sandbox --account-sid ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx --auth-token test --usage-lag 0s")]
pub(crate) struct Arguments {
    /// Where it listens, for the API, the phones and as an HTTPS proxy alike
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4010")]
    listen: SocketAddr,
    /// SID of the main account; from the seed if not given
    #[arg(long, value_name = "SID", value_parser = parse_account)]
    account_sid: Option<Sid>,
    /// Its auth token; from the seed if not given. It protects nothing but the sandbox
    #[arg(long, value_name = "TOKEN")]
    auth_token: Option<String>,
    /// Every SID, token and code comes from it: the same seed and requests give the same answers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How often usage triggers are evaluated
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_seconds)]
    trigger_interval: u64,
    /// How far usage records, and triggers with them, lag behind what was used
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_seconds)]
    usage_lag: u64,
    /// Time stands still until `POST /_sandbox/clock` moves it
    #[arg(long)]
    virtual_clock: bool,
    /// How many messages are kept before the oldest are dropped
    #[arg(long, value_name = "N", default_value_t = Settings::default().keep.messages)]
    keep_messages: usize,
    /// A certificate authority to trust for webhooks beside the public ones, in PEM
    #[arg(long, value_name = "FILE")]
    webhook_ca: Option<PathBuf>,
}

/// Runs until Ctrl-C or SIGTERM.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::unavailable(&format!("cannot start a runtime: {error}"), None),
    };
    let result = runtime.block_on(serve(arguments));
    // Webhooks that wait for a slow application hold nothing up.
    runtime.shutdown_timeout(Duration::from_millis(100));
    exit::finish(result)
}

async fn serve(arguments: &Arguments) -> Result<Answer, Failure> {
    let listen = arguments.listen;
    let options = options(arguments)?;
    let listener = TcpListener::bind(listen).map_err(|error| {
        Failure::unavailable(format!("cannot listen on {listen}: {error}"))
            .hint("another address: --listen 127.0.0.1:0 takes any free port")
    })?;
    let sandbox = Sandbox::new(options, &listener, Arc::new(SystemClock)).map_err(Failure::usage)?;
    introduce(&sandbox, arguments.virtual_clock);
    let stopped = tokio::select! {
        served = sandbox.serve(listener) => served.map(|never| match never {}).map_err(Failure::unavailable),
        () = asked_to_stop() => Ok(()),
    };
    stopped.map(|()| Answer::text("\nStopped. Nothing is kept.\n"))
}

fn options(arguments: &Arguments) -> Result<SandboxOptions, Failure> {
    let mut settings = Settings {
        usage_lag_s: arguments.usage_lag,
        trigger_interval_s: arguments.trigger_interval.max(1),
        ..Settings::default()
    };
    settings.keep.messages = arguments.keep_messages;
    let webhook_ca = arguments
        .webhook_ca
        .as_ref()
        .map(|path| {
            std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
        })
        .transpose()?;
    Ok(SandboxOptions {
        seed: arguments.seed,
        account_sid: arguments.account_sid,
        auth_token: arguments.auth_token.clone(),
        virtual_clock: arguments.virtual_clock,
        settings,
        webhook_ca,
    })
}

/// Returns at Ctrl-C or SIGTERM.
async fn asked_to_stop() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => std::mem::drop(tokio::signal::ctrl_c().await),
    }
}

/// Who to be and how to point an SDK at it: everything needed to begin, ready to be copied.
fn introduce(sandbox: &Sandbox, virtual_clock: bool) {
    let base = format!("http://{}", sandbox.address());
    let sid = sandbox.account_sid();
    let token = sandbox.auth_token(sid).unwrap_or_default();
    let numbers = sandbox.phone_numbers().join(", ");
    let clock = if virtual_clock {
        format!("virtual: curl {base}/_sandbox/clock -d '{{\"advance\":\"60s\"}}' moves it")
    } else {
        "real".to_owned()
    };
    let mut out = Paper::new();
    for line in [
        format!("Ringfence sandbox: a Twilio of your own at {base}"),
        String::new(),
        format!("  account SID   {sid}"),
        format!("  auth token    {token}"),
        format!("  its numbers   {numbers}"),
        format!("  phones        {base}/_sandbox/phones"),
        format!("  control API   {base}/_sandbox/"),
        format!("  clock         {clock}"),
        String::new(),
        "Point an SDK at it:".to_owned(),
        String::new(),
        "  Node".to_owned(),
        format!("    const client = require('twilio')('{sid}', '{token}');"),
        "    for (const product of ['api', 'accounts', 'lookups', 'messaging', 'monitor', 'pricing', 'verify', 'voice'])"
            .to_owned(),
        format!("      client[product].baseUrl = '{base}';"),
        String::new(),
        "  Python".to_owned(),
        format!("    client = Client('{sid}', '{token}')"),
        "    for product in ('api', 'accounts', 'lookups', 'messaging', 'monitor', 'pricing', 'verify', 'voice'):"
            .to_owned(),
        format!("        getattr(client, product).base_url = '{base}'"),
        String::new(),
        "  Or change no code: the sandbox is an HTTPS proxy for twilio.com, with an authority of its own.".to_owned(),
        format!("    curl -s {base}/_sandbox/ca.pem -o ca.pem"),
        format!("    export TWILIO_ACCOUNT_SID={sid} TWILIO_AUTH_TOKEN={token}"),
        format!("    HTTP_PROXY={base} NODE_EXTRA_CA_CERTS=ca.pem node app.js"),
        format!("    HTTPS_PROXY={base} REQUESTS_CA_BUNDLE=ca.pem python app.py"),
        String::new(),
    ] {
        out.line(&line);
    }
    if !sandbox.address().ip().is_loopback() {
        out.line("Warning: others can reach it, and its control API asks nobody who they are.");
    }
    out.line("Ctrl-C stops it; nothing is kept.");
}

fn parse_account(text: &str) -> Result<Sid, String> {
    Sid::parse(text)
        .ok()
        .filter(|sid| sid.is("AC"))
        .ok_or_else(|| "an account SID is AC and 32 hex digits".to_owned())
}

fn parse_seconds(text: &str) -> Result<u64, String> {
    units::duration(text).map(|duration| duration.as_secs())
}
