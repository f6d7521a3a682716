//! How a program that goes on running is asked to end: Ctrl-C, SIGTERM, or a terminal that is closed.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// These signals, caught from when this is made on.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// Where the end of the terminal is an end too.
    hang_up: Option<Signal>,
}

impl StopSignals {
    pub(super) fn catch() -> std::io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hang_up: None })
    }

    /// For a program of one terminal: the end of that, which is a SIGHUP, ends it too. Not under `nohup`.
    pub(super) fn catch_with_hang_up() -> std::io::Result<Self> {
        let hang_up = if hang_up_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { hang_up, ..Self::catch()? })
    }

    /// Ends at the next of them. One that came in between is not lost.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = received(self.hang_up.as_mut()) => {}
        }
    }
}

/// Never, where nobody listens.
async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether whoever started this told the system that it is to outlive its terminal.
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Signal 1 is the lowest bit.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
