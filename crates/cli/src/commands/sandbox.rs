//! `ringfence sandbox`: a Twilio of one's own on this machine, until Ctrl-C.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::{Clock as _, Sid};
use ringfence_sandbox::{Authority, Sandbox, SandboxOptions, Settings};

use super::paper::Paper;
use super::serve::SystemClock;
use super::stop::StopSignals;
use crate::config::units;
use crate::exit::{self, Answer, Failure};

/// How it is started.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ringfence sandbox
  ringfence sandbox --listen 127.0.0.1:4010 --seed 7 --virtual-clock
  ringfence sandbox --account-sid ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx --auth-token test --usage-lag 0s
  ringfence sandbox --ca-dir ~/.ringfence-sandbox

Everything is in memory and gone when it stops. A browser at /_sandbox/phones shows the phones.")]
pub(crate) struct Arguments {
    /// Where it listens, for the API, the phones and as an HTTPS proxy alike
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4010", value_parser = parse_listen)]
    listen: SocketAddr,
    /// SID of the main account; from the seed if not given
    #[arg(long, value_name = "SID", value_parser = parse_account)]
    account_sid: Option<Sid>,
    /// Its auth token; from the seed if not given. It protects nothing but the sandbox
    #[arg(long, value_name = "TOKEN", value_parser = parse_token)]
    auth_token: Option<String>,
    /// Every SID, token and code comes from it: the same seed and requests give the same answers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How often usage triggers are evaluated
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_interval)]
    trigger_interval: u64,
    /// How far usage records, and triggers with them, lag behind what was used
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_seconds)]
    usage_lag: u64,
    /// Time stands still until `POST /_sandbox/clock` moves it
    #[arg(long)]
    virtual_clock: bool,
    /// When the virtual clock begins, as 2026-01-01T00:00:00Z; the present if not given
    #[arg(long, value_name = "TIME", requires = "virtual_clock", value_parser = parse_time)]
    start: Option<Timestamp>,
    /// How many messages are kept before the oldest are dropped
    #[arg(long, value_name = "N", default_value_t = Settings::default().keep.messages, value_parser = parse_count)]
    keep_messages: usize,
    /// Keep the authority of the HTTPS proxy here between runs, so that clients trust it once; made if missing
    #[arg(long, value_name = "DIR")]
    ca_dir: Option<PathBuf>,
    /// A name under which the control API may be reached, beside addresses, localhost and names without a dot
    #[arg(long, value_name = "NAME", value_parser = parse_host_name)]
    host_name: Vec<String>,
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
        let hint = match error.kind() {
            ErrorKind::AddrInUse => "something listens there already, perhaps another sandbox; --listen 127.0.0.1:0 takes any free port",
            _ => "an address of this machine: --listen 127.0.0.1:0 takes any free port",
        };
        Failure::unavailable(format!("cannot listen on {listen}: {error}")).hint(hint)
    })?;
    let sandbox = Sandbox::new(options, &listener, Arc::new(SystemClock)).map_err(Failure::usage)?;
    // Whoever has read that it runs may stop it, and is to find it ending in good order.
    let mut stop = StopSignals::catch().map_err(Failure::unavailable)?;
    introduce(&sandbox, arguments);
    sandbox.serve_until(listener, async move { stop.next().await }).await.map_err(Failure::unavailable)?;
    Ok(Answer::text("\nStopped. Nothing is kept.\n"))
}

fn options(arguments: &Arguments) -> Result<SandboxOptions, Failure> {
    let mut settings = Settings {
        usage_lag_s: arguments.usage_lag,
        trigger_interval_s: arguments.trigger_interval,
        ..Settings::default()
    };
    settings.keep.messages = arguments.keep_messages;
    Ok(SandboxOptions {
        seed: arguments.seed,
        account_sid: arguments.account_sid,
        auth_token: arguments.auth_token.clone(),
        virtual_clock: arguments.virtual_clock,
        start: arguments.start,
        settings,
        webhook_ca: arguments.webhook_ca.as_deref().map(read).transpose()?,
        authority: arguments.ca_dir.as_deref().map(authority).transpose()?,
        host_names: arguments.host_name.clone(),
    })
}

/// The authority that is kept in this folder, made if there is none yet.
fn authority(folder: &Path) -> Result<Arc<Authority>, Failure> {
    let (certificate, key) = (folder.join(CA_CERTIFICATE), folder.join(CA_KEY));
    let now = SystemClock.unix_seconds();
    if !certificate.exists() && !key.exists() {
        let authority = Authority::new(now).map_err(Failure::usage)?;
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        // The key first: a certificate without one would be taken for a folder that somebody broke.
        write(&key, authority.key_pem(), 0o600)?;
        write(&certificate, authority.certificate_pem(), 0o644)?;
        return Ok(Arc::new(authority));
    }
    let known = Authority::from_pem(&read(&certificate)?, &read(&key)?, now);
    known.map(Arc::new).map_err(|error| {
        Failure::usage(format!("the authority in {} cannot be used: {error}", folder.display()))
            .hint(format!("remove {CA_CERTIFICATE} and {CA_KEY} there, and another one is made"))
    })
}

const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca.key";

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

/// Makes a file that is not there yet, readable for nobody else from its first moment on.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::unavailable(format!("cannot write {}: {error}", path.display()))
}

/// Who to be and how to point an SDK at it: everything needed to begin, ready to be copied, in a terminal of 80
/// columns.
fn introduce(sandbox: &Sandbox, arguments: &Arguments) {
    let base = format!("http://{}", reachable(sandbox.address()));
    let sid = sandbox.account_sid();
    let token = sandbox.auth_token(sid).unwrap_or_default();
    let (clock, move_clock) = if arguments.virtual_clock {
        let how = format!("      curl {base}/_sandbox/clock -d '{{\"advance\": \"60s\"}}'");
        (format!("virtual, {}; it stands until it is moved:", sandbox.now()), Some(how))
    } else {
        ("real".to_owned(), None)
    };
    let (fetch_ca, ca) = match &arguments.ca_dir {
        Some(folder) => (None, folder.join(CA_CERTIFICATE).display().to_string()),
        None => (Some(format!("    curl -so ca.pem {base}/_sandbox/ca.pem")), "ca.pem".to_owned()),
    };
    let about = [
        format!("Ringfence sandbox: a Twilio of your own at {base}"),
        String::new(),
        format!("  account SID   {sid}"),
        format!("  auth token    {token}"),
        format!("  its numbers   {}", sandbox.phone_numbers().join(", ")),
        format!("  phones        {base}/_sandbox/phones"),
        format!("  control API   {base}/_sandbox/"),
        format!("  clock         {clock}"),
    ];
    let credentials = [
        String::new(),
        "Every SDK takes its credentials from the environment:".to_owned(),
        String::new(),
        format!("    export TWILIO_ACCOUNT_SID={sid}"),
        format!("    export TWILIO_AUTH_TOKEN={token}"),
        String::new(),
        "Without a change to the code: it is an HTTPS proxy for twilio.com.".to_owned(),
        String::new(),
    ];
    let base_urls = [
        format!("    HTTP_PROXY={base} NODE_EXTRA_CA_CERTS={ca} node app.js"),
        format!("    HTTPS_PROXY={base} REQUESTS_CA_BUNDLE={ca} python app.py"),
        String::new(),
        "Or with another base URL, in Node:".to_owned(),
        String::new(),
        "    const client = require('twilio')();".to_owned(),
        "    for (const it of ['api', 'accounts', 'lookups', 'messaging', 'monitor',".to_owned(),
        "        'pricing', 'verify', 'voice'])".to_owned(),
        format!("      client[it].baseUrl = '{base}';"),
        String::new(),
        "and in Python:".to_owned(),
        String::new(),
        "    client = Client()".to_owned(),
        "    for it in ('api', 'accounts', 'lookups', 'messaging', 'monitor',".to_owned(),
        "               'pricing', 'verify', 'voice'):".to_owned(),
        format!("        getattr(client, it).base_url = '{base}'"),
        String::new(),
    ];
    let mut out = Paper::new();
    for line in about.into_iter().chain(move_clock).chain(credentials).chain(fetch_ca).chain(base_urls) {
        out.line(&line);
    }
    if !sandbox.address().ip().is_loopback() {
        out.line("Warning: other machines can reach it, and its control API asks nobody");
        out.line("who they are.\n");
    }
    out.line("Ctrl-C stops it; nothing is kept.");
}

/// Where this machine reaches it: "any address" is none that can be asked.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address and a port, like 127.0.0.1:4010 or [::1]:4010".to_owned())
}

/// What a client can send in its credentials.
fn parse_token(text: &str) -> Result<String, String> {
    let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_token
        .then(|| text.to_owned())
        .ok_or_else(|| "a token is visible ASCII, and at least one of it".to_owned())
}

fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a whole number, at least 1".to_owned())
}

fn parse_host_name(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "a name alone, without a scheme, port or path, like sandbox.example.com".to_owned())
}

fn parse_account(text: &str) -> Result<Sid, String> {
    Sid::parse(text)
        .ok()
        .filter(|sid| sid.is("AC"))
        .ok_or_else(|| "an account SID is AC and 32 hex digits".to_owned())
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "a time is like 2026-01-01T00:00:00Z".to_owned())
}

/// Usage and its triggers are a matter of seconds; a part of one would silently be none.
fn parse_seconds(text: &str) -> Result<u64, String> {
    let form = "write a time such as 60s, 5m or 24h";
    let duration = units::duration(text).map_err(|what| format!("it {what}; {form}"))?;
    if duration.subsec_nanos() > 0 {
        return Err(format!("it is no whole number of seconds; {form}"));
    }
    Ok(duration.as_secs())
}

fn parse_interval(text: &str) -> Result<u64, String> {
    match parse_seconds(text)? {
        0 => Err("it must be at least 1s".to_owned()),
        seconds => Ok(seconds),
    }
}
