//! What commands print that go on running: line by line, as it happens.

use std::io::Write as _;

/// Standard output, for people. A reader that went away ends nothing.
pub(crate) struct Paper(std::io::Stdout);

impl Paper {
    pub(crate) fn new() -> Self {
        Self(std::io::stdout())
    }

    pub(crate) fn line(&mut self, text: &str) {
        let _reader_gone = writeln!(self.0, "{text}").and_then(|()| self.0.flush());
    }
}

/// What a person should know while a command goes on running: to standard error, so that what it found out stays by itself.
pub(crate) fn note(text: &str) {
    let _reader_gone = writeln!(std::io::stderr(), "{text}");
}

/// The same for what it waits for.
pub(crate) fn waits(until: &str) {
    note(&format!("  … waiting until {until}"));
}
