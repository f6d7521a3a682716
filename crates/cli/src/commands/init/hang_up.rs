//! Whoever stops it while it asks: a signal ends it at once, says that nothing was written, and leaves a terminal that shows
//! what is typed.
//!
//! Answers are waited for where no task runs, so a thread of its own waits for signals. While files are written it does
//! nothing: then a signal comes too late, and never is a part left.

use std::io::{self, Write as _};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcsetattr};

use super::ask::stopped;
use crate::commands::stop::StopSignals;
use crate::exit;

/// What a signal finds. Clones are of one state.
#[derive(Debug, Clone, Default)]
pub(super) struct HangUp(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How the terminal was before it showed nothing.
    before: Option<Termios>,
    is_too_late: bool,
}

impl HangUp {
    /// Waits for signals from now on, until the program ends.
    pub(super) fn wait_for_signals(&self) -> io::Result<()> {
        let (tell, told) = channel();
        let hang_up = self.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            runtime.block_on(async {
                let mut signals = match StopSignals::catch() {
                    Ok(signals) => signals,
                    Err(error) => return drop(tell.send(Err(error))),
                };
                _ = tell.send(Ok(()));
                loop {
                    signals.next().await;
                    hang_up.end();
                }
            });
        })?;
        told.recv().map_err(io::Error::other)?
    }

    /// From now on a signal comes too late.
    pub(super) fn is_too_late(&self) {
        self.state().is_too_late = true;
    }

    /// Sets the terminal, and keeps how it was for whoever ends it meanwhile.
    pub(super) fn set(&self, before: Termios, to: &Termios) -> io::Result<()> {
        let mut state = self.state();
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, to)?;
        state.before = Some(before);
        Ok(())
    }

    /// Sets the terminal as it was.
    pub(super) fn restore(&self) {
        if let Some(before) = self.state().before.take() {
            _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &before);
        }
    }

    /// Ends the program. The state stays locked, so that nobody hides what is typed after that.
    fn end(&self) {
        let mut state = self.state();
        if state.is_too_late {
            return;
        }
        if let Some(before) = state.before.take() {
            _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before);
        }
        _ = writeln!(io::stderr());
        _ = exit::finish(Err(stopped()));
        std::process::exit(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
