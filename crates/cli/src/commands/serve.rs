//! `ringfence serve`: the product, from its start to its stop.

mod authority;
pub(super) mod control;

use std::env;
use std::fmt::Display;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, UNIX_EPOCH};

use listenfd::ListenFd;
use ringfence_gateway::settings::Listen;
use ringfence_gateway::{Gateway, Keys, Listeners, StartError};
use ringfence_model::Clock;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::control::{ControlPlane, Wanted};
use super::stop::StopSignals;
use crate::config::{self, Loaded};
use crate::exit;
use crate::logging;

/// The clock of this machine.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn unix_seconds(&self) -> u64 {
        // Before 1970 only on a machine whose clock is not set; proofs made then are refused as too old.
        config::wall_clock().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn unix_micros(&self) -> u64 {
        let since = config::wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Full in the year 586,000.
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(file: &Path) -> ExitCode {
    // 1. The configuration, before any port is bound.
    let mut loaded = match config::load(file) {
        Ok(loaded) => loaded,
        Err(error) => return exit::wrong_configuration(&error),
    };
    let _log_writer = logging::start(&loaded.log);
    for warning in &loaded.warnings {
        tracing::warn!(line = warning.line(), "{}", warning.text());
    }
    if let Err(failure) = authority::make_if_missing(&mut loaded) {
        return exit::finish(Err(failure));
    }
    // 2. The store, and a control plane that does nothing yet.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keys = Arc::new(OnceLock::new());
    let control = match ControlPlane::prepare(&mut loaded, &clock, &keys) {
        Ok(control) => control,
        Err(failure) => return exit::finish(Err(failure)),
    };
    // 3. One small runtime here for signals, the admin listener and ACME; the workers bring their own.
    let runtime =
        match tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build() {
            Ok(runtime) => runtime,
            Err(error) => return exit::unavailable(&format!("cannot start a runtime: {error}"), None),
        };
    let code = runtime.block_on(serve(file.to_owned(), loaded, clock, control, &keys));
    // A second signal does not wait for what the first one still waits for.
    runtime.shutdown_background();
    code
}

async fn serve(
    file: PathBuf,
    loaded: Loaded,
    clock: Arc<dyn Clock>,
    mut control: Option<ControlPlane>,
    keys: &OnceLock<Keys>,
) -> ExitCode {
    // 4. Signals are caught before the start is told, so none is lost.
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return exit::unavailable(&format!("cannot catch signals: {error}"), None),
    };
    // 5. Sockets: those that systemd holds, then our own.
    let listen = loaded.settings.listen.clone();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let started = handed_over(&listen).bind(&listen).and_then(|listeners| {
        control::start(loaded.settings, listeners, clock, workers, control.as_mut(), keys)
    });
    let gateway = match started {
        Ok(gateway) => gateway,
        Err(error) => return start_failed(&error),
    };
    tracing::info!(
        gate = gateway.gate_address().map(tracing::field::display),
        forward_auth = gateway.forward_auth_address().map(tracing::field::display),
        admin = gateway.admin_address().map(tracing::field::display),
        console = gateway.console_address().map(tracing::field::display),
        second_factor = gateway.second_factor_address().map(tracing::field::display),
        egress = gateway.egress_address().map(tracing::field::display),
        media = gateway.media_address().map(tracing::field::display),
        workers,
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    notify(&[NotifyState::Ready]);
    // 6. The life of the process.
    let mut watchdog = watchdog_interval();
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Reload => reload(&file, &gateway, control.as_ref()).await,
                Asked::Stop => break,
            },
            () = tick(&mut watchdog) => notify(&[NotifyState::Watchdog]),
        }
    }
    // 7. The stop waits on another thread, so that the admin listener still says what goes on.
    notify(&[NotifyState::Stopping]);
    let gateway = tokio::task::spawn_blocking(move || gateway.stop());
    let stopped = async {
        _ = gateway.await;
        // Last, so that triggers which came meanwhile are still dealt with here where there is time.
        if let Some(control) = &mut control {
            control.stop().await;
        }
    };
    tokio::pin!(stopped);
    let asked = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = &mut stopped => {
                tracing::info!("stopped");
                break;
            }
            // Some send a signal to the process and to its group at once; that is one wish, not two.
            () = signals.stop.next() => if asked.elapsed() > ONE_WISH {
                tracing::warn!("stopped at once, as asked a second time");
                break;
            },
        }
    }
    ExitCode::SUCCESS
}

/// Signals closer together than this ask for the same thing.
const ONE_WISH: Duration = Duration::from_millis(500);

/// Reads the configuration again. One that is wrong changes nothing.
async fn reload(file: &Path, gateway: &Gateway, control: Option<&ControlPlane>) {
    // systemd counts the reload from this point on its own clock.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
    match try_reload(file, gateway, control).await {
        Err(error) => tracing::error!("the new configuration is wrong, the old one runs on: {error}"),
        Ok(needs_restart) if needs_restart.is_empty() => tracing::info!("reloaded"),
        Ok(needs_restart) => tracing::warn!(
            needs_restart = needs_restart.join(", "),
            "reloaded, but for what only a restart changes"
        ),
    }
    notify(&[NotifyState::Ready]);
}

/// Puts the file in force, the gate's part and the control plane's; names what waits for a restart.
async fn try_reload(
    file: &Path,
    gateway: &Gateway,
    control: Option<&ControlPlane>,
) -> Result<Vec<&'static str>, String> {
    let refused = |error: &dyn Display| {
        gateway.reload_refused();
        error.to_string()
    };
    let mut loaded = config::load(file).map_err(|error| refused(&error))?;
    authority::make_if_missing(&mut loaded).map_err(|failure| refused(&failure))?;
    let wanted = match control {
        Some(_) => Some(Wanted::of(&loaded).map_err(|failure| refused(&failure))?),
        None => None,
    };
    for warning in &loaded.warnings {
        tracing::warn!(line = warning.line(), "{}", warning.text());
    }
    let needs_store =
        control.map_or(loaded.control.store.is_some(), |control| control.needs_restart(&loaded));
    let known = match (control, &wanted) {
        (Some(control), Some(wanted)) => control.known_by(wanted).await,
        _ => None,
    };
    let reloaded = gateway.reload_with(loaded.settings, known).map_err(|error| error.to_string())?;
    let mut needs_restart = reloaded.needs_restart;
    if needs_store {
        needs_restart.push("store");
    }
    if let (Some(control), Some(wanted)) = (control, wanted) {
        control.replace(wanted);
    }
    Ok(needs_restart)
}

/// The sockets that systemd opened for us, by the names of `FileDescriptorName=` in its socket unit.
fn handed_over(listen: &Listen) -> Listeners {
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary's edge: systemd speaks through the environment"
    )]
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets = ListenFd::from_env();
    let mut listeners = Listeners::default();
    for index in 0..sockets.len() {
        let name = names.split(':').nth(index).unwrap_or("");
        let (place, configured) = match part_of(name).as_str() {
            "forward_auth" => (&mut listeners.forward_auth, listen.forward_auth),
            "admin" => (&mut listeners.admin, listen.admin),
            "console" => (&mut listeners.console, listen.console),
            "second_factor" => (&mut listeners.second_factor, listen.second_factor),
            "egress" => (&mut listeners.egress, listen.egress),
            "media" => (&mut listeners.media, listen.media),
            _ => (&mut listeners.gate, listen.gate),
        };
        match (sockets.take_tcp_listener(index), configured) {
            (Ok(Some(_)), None) => {
                tracing::warn!(
                    name,
                    "a socket from systemd is left alone: the configuration does not name its part"
                );
            }
            (Ok(Some(_)), Some(_)) if place.is_some() => {
                tracing::warn!(
                    name,
                    "a second socket of this name from systemd is left alone: one for each part"
                );
            }
            (Ok(Some(listener)), Some(configured)) => {
                if let Ok(held) = listener.local_addr()
                    && is_elsewhere(held, configured)
                {
                    tracing::warn!(
                        name,
                        %held,
                        %configured,
                        "the socket from systemd listens at another address than the configuration says, and counts: write \
                         the same into the socket unit and into the configuration"
                    );
                }
                *place = Some(listener);
            }
            (Ok(None), _) => {}
            (Err(error), _) => {
                tracing::warn!(name, %error, "a socket from systemd is not for TCP and is left alone");
            }
        }
    }
    listeners
}

/// The part that a socket is for, by its name; systemd's own name for one is that of its unit: `ringfence-admin.socket`.
fn part_of(name: &str) -> String {
    let Some(unit) = name.strip_suffix(".socket") else { return name.to_owned() };
    unit.strip_prefix("ringfence-").unwrap_or(unit).replace('-', "_")
}

/// Whether a socket is not where the configuration has it. One of all addresses is the same in both versions of IP, and port 0
/// is any.
fn is_elsewhere(held: SocketAddr, configured: SocketAddr) -> bool {
    let is_same_place =
        held.ip() == configured.ip() || (held.ip().is_unspecified() && configured.ip().is_unspecified());
    !is_same_place || (configured.port() != 0 && held.port() != configured.port())
}

fn start_failed(error: &StartError) -> ExitCode {
    match error {
        StartError::Bind { address, source } => {
            let hint = match source.kind() {
                std::io::ErrorKind::AddrInUse => {
                    Some(format!("see who has it: ss -ltnp 'sport = :{}'", address.port()))
                }
                std::io::ErrorKind::PermissionDenied => {
                    Some("ports below 1024 need CAP_NET_BIND_SERVICE, or a socket from systemd".to_owned())
                }
                _ => None,
            };
            exit::unavailable(&error.to_string(), hint.as_deref())
        }
        StartError::Tls(_) | StartError::Acme(_) => exit::wrong_configuration(error),
        StartError::Worker(_) => exit::unavailable(&error.to_string(), None),
    }
}

/// Tells systemd, where there is one.
fn notify(states: &[NotifyState<'_>]) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary's edge: systemd speaks through the environment"
    )]
    let socket = env::var_os("NOTIFY_SOCKET");
    let abstract_name = socket.as_ref().and_then(|socket| socket.as_bytes().strip_prefix(b"@"));
    let told = match abstract_name {
        Some(name) => notify_abstract(name, states),
        None => sd_notify::notify(states),
    };
    if let Err(error) = told {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// The same over a socket in the abstract name space, which `sd_notify` does not know.
#[cfg(target_os = "linux")]
fn notify_abstract(name: &[u8], states: &[NotifyState<'_>]) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
    let address = SocketAddr::from_abstract_name(name)?;
    UnixDatagram::unbound()?.send_to_addr(lines.join("\n").as_bytes(), &address)?;
    Ok(())
}

/// Only Linux has that name space.
#[cfg(not(target_os = "linux"))]
fn notify_abstract(_name: &[u8], _states: &[NotifyState<'_>]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Half of what systemd waits for a sign of life, where it waits for one.
fn watchdog_interval() -> Option<tokio::time::Interval> {
    let patience = sd_notify::watchdog_enabled()?;
    Some(tokio::time::interval((patience / 2).max(Duration::from_millis(1))))
}

async fn tick(interval: &mut Option<tokio::time::Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

struct Signals {
    stop: StopSignals,
    hang_up: Signal,
}

/// What the operator asks for by a signal.
enum Asked {
    Reload,
    Stop,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self { stop: StopSignals::catch()?, hang_up: signal(SignalKind::hangup())? })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hang_up.recv() => Asked::Reload,
            () = self.stop.next() => Asked::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_without_a_name_has_that_of_its_unit() {
        for (name, part) in [
            ("admin", "admin"),
            ("ringfence-admin.socket", "admin"),
            ("ringfence-second-factor.socket", "second_factor"),
            ("ringfence.socket", "ringfence"),
            ("", ""),
        ] {
            assert_eq!(part_of(name), part);
        }
    }
}
