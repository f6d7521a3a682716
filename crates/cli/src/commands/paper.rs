//! What commands print that go on running: line by line, as it happens.

use std::io::Write as _;

/// Says on standard error what a person should know meanwhile.
pub(crate) fn note(text: &str) {
    _ = writeln!(std::io::stderr(), "{text}");
}

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

/// What a command that goes on running waits for: to standard error, so that what it found out stays by itself.
pub(crate) fn note(waits_for: &str) {
    let _reader_gone = writeln!(std::io::stderr(), "  … waiting until {waits_for}");
}
