//! What commands print that go on running: line by line, as it happens.

use std::io::{self, ErrorKind, Write as _};

/// Standard output, for people. A reader that went away ends nothing.
pub(crate) struct Paper {
    out: io::Stdout,
    written: io::Result<()>,
}

impl Paper {
    pub(crate) fn new() -> Self {
        Self { out: io::stdout(), written: Ok(()) }
    }

    pub(crate) fn line(&mut self, text: &str) {
        let written = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
        if self.written.is_ok() {
            self.written = written;
        }
    }

    /// Whether all of it could be written. A reader that went away has what it wanted.
    pub(crate) fn end(self) -> io::Result<()> {
        self.written.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
    }
}

/// What a person should know while a command goes on running: to standard error, so that what it found out stays by itself.
pub(crate) fn note(text: &str) {
    let _reader_gone = writeln!(io::stderr(), "{text}");
}

/// The same for what it waits for.
pub(crate) fn waits(until: &str) {
    note(&format!("  … waiting until {until}"));
}
