//! A terminal with somebody at it: the real program on a pseudo-terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::world::PATIENCE;

pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    shown: Receiver<Vec<u8>>,
    /// All that was on the screen, and how much of it was waited for.
    screen: String,
    seen: usize,
    /// The program's side, kept open so that what the terminal is set to can be asked afterwards.
    side: OwnedFd,
}

impl Terminal {
    /// Starts a program whose input and output are a terminal.
    pub(crate) fn start(mut command: Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master = openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it opens");
        let side = ioctl_tiocgptpeer(&master, flags).expect("its other side");
        let copy = || side.try_clone().expect("a copy");
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().expect("the program starts");
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().expect("a copy");
        let (say, shown) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut piece) {
                if say.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keyboard, shown, screen: String::new(), seen: 0, side }
    }

    /// Waits until this is shown, after what was waited for before.
    #[track_caller]
    pub(crate) fn until(&mut self, expected: &str) -> &mut Self {
        let began = Instant::now();
        loop {
            if let Some(at) = self.screen[self.seen..].find(expected) {
                self.seen += at + expected.len();
                return self;
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            let piece = self.shown.recv_timeout(left);
            assert!(
                piece.is_ok(),
                "{expected:?} is not shown after {:?} in:\n{}",
                &self.screen[..self.seen],
                self.screen
            );
            self.screen.push_str(&String::from_utf8_lossy(&piece.unwrap_or_default()).replace('\r', ""));
        }
    }

    /// Types a line.
    pub(crate) fn line(&mut self, text: &str) -> &mut Self {
        self.keys(&format!("{text}\n"))
    }

    pub(crate) fn keys(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).expect("typed");
        self
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn shows_keys(&self) -> bool {
        tcgetattr(&self.side).expect("its settings").local_modes.contains(LocalModes::ECHO)
    }

    /// Sends a signal: `-INT`, as Ctrl-C does to what has a controlling terminal, or `-TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// Waits for the end; the exit code, none after a signal, and all that was shown.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("it ends");
        // What it wrote last is in the terminal already.
        while let Ok(piece) = self.shown.recv_timeout(std::time::Duration::from_millis(200)) {
            self.screen.push_str(&String::from_utf8_lossy(&piece).replace('\r', ""));
        }
        (status.code(), self.screen.clone())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
