//! How somebody is asked: one question at a time, again until the answer is right, and secrets without showing them.
//!
//! Questions go to standard error, as all that is no result. Nothing is written before the last answer, so whoever hangs up
//! half-way leaves nothing behind.

use std::io::{self, BufRead as _, Write};

use ringfence_model::Secret;
use rustix::termios::{LocalModes, SpecialCodeIndex, tcgetattr};

use super::hang_up::HangUp;
use crate::exit::Failure;

/// The longest answer, in bytes: no token, URL or list of addresses is as long.
const BYTES_MAX: usize = 4096;

/// Where answers come from.
pub(super) trait Input {
    /// The next line, without its end; none where nothing more comes.
    fn line(&mut self) -> io::Result<Option<String>>;
    /// The same without showing what is typed, from before `ask` shows the question.
    fn hidden(&mut self, ask: &mut dyn FnMut()) -> io::Result<Option<String>>;
}

/// Somebody who answers.
pub(super) struct Person<'a> {
    input: &'a mut dyn Input,
    paper: &'a mut dyn Write,
}

impl<'a> Person<'a> {
    pub(super) fn new(input: &'a mut dyn Input, paper: &'a mut dyn Write) -> Self {
        Self { input, paper }
    }

    /// Says something. A reader that went away ends nothing.
    pub(super) fn tell(&mut self, text: &str) {
        _ = writeln!(self.paper, "{text}").and_then(|()| self.paper.flush());
    }

    /// Says why an answer does not do, and what would.
    pub(super) fn tell_failure(&mut self, failure: &Failure) {
        for line in failure.to_string().lines() {
            self.tell(&format!("  {line}"));
        }
    }

    /// An answer; an empty one is the default, where there is one.
    pub(super) fn ask(&mut self, question: &str, default: Option<&str>) -> Result<String, Failure> {
        let shown = match default {
            Some("") | None => format!("{question}: "),
            Some(default) => format!("{question} [{default}]: "),
        };
        _ = write!(self.paper, "{shown}").and_then(|()| self.paper.flush());
        let line = self.input.line();
        let answer = self.answer(line)?;
        let answer = answer.trim();
        Ok(if answer.is_empty() { default.unwrap_or_default() } else { answer }.to_owned())
    }

    /// A secret, which is not shown while it is typed.
    pub(super) fn ask_hidden(&mut self, question: &str) -> Result<Secret, Failure> {
        let paper = &mut *self.paper;
        let line = self.input.hidden(&mut || {
            _ = write!(paper, "{question}: ").and_then(|()| paper.flush());
        });
        self.tell("");
        let answer = Secret::new(self.answer(line)?);
        Ok(Secret::new(answer.expose().trim()))
    }

    /// Yes or no.
    pub(super) fn agrees(&mut self, question: &str, default: bool) -> Result<bool, Failure> {
        let shown = if default { "Y/n" } else { "y/N" };
        loop {
            match self.ask(question, Some(shown))?.to_ascii_lowercase().as_str() {
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                "y/n" => return Ok(default),
                _ => self.tell("  type y or n"),
            }
        }
    }

    fn answer(&mut self, line: io::Result<Option<String>>) -> Result<String, Failure> {
        match line {
            Ok(Some(line)) => Ok(line),
            Ok(None) => {
                self.tell("");
                Err(stopped())
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Failure::usage("an answer is not text, or too long; nothing was written"))
            }
            Err(error) => {
                Err(Failure::unavailable(format!("nobody can be asked: {error}; nothing was written")))
            }
        }
    }
}

/// What is said to whoever stops before the end.
pub(super) fn stopped() -> Failure {
    Failure::refused("stopped before the last answer; nothing was written")
}

/// The terminal at standard input.
#[derive(Debug)]
pub(super) struct Terminal {
    hang_up: HangUp,
}

impl Terminal {
    pub(super) fn new(hang_up: HangUp) -> Self {
        Self { hang_up }
    }
}

impl Input for Terminal {
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let length = io::stdin().lock().read_line(&mut line)?;
        if length == 0 {
            return Ok(None);
        }
        Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
    }

    /// Reads key by key, so that Ctrl-C arrives here; a signal ends it elsewhere. Either way the terminal shows again what is
    /// typed.
    fn hidden(&mut self, ask: &mut dyn FnMut()) -> io::Result<Option<String>> {
        let _quiet = Quiet::begin(&self.hang_up)?;
        ask();
        let mut typed = Vec::new();
        loop {
            let mut key = [0];
            let so_far = match rustix::io::read(rustix::stdio::stdin(), &mut key) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(0) => Typed::Over,
                Ok(_) => take_key(&mut typed, key[0])?,
            };
            match so_far {
                Typed::Part => {}
                Typed::Whole => break,
                Typed::Over => return Ok(None),
            }
        }
        String::from_utf8(typed).map(Some).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

/// How far a hidden answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Typed {
    Part,
    Whole,
    /// Nothing more comes.
    Over,
}

/// What a key does to what was typed.
fn take_key(typed: &mut Vec<u8>, key: u8) -> io::Result<Typed> {
    const INTERRUPT: u8 = 3;
    const END: u8 = 4;
    const ERASE: [u8; 2] = [8, 127];
    const KILL: u8 = 21;
    match key {
        b'\n' | b'\r' => return Ok(Typed::Whole),
        INTERRUPT => return Ok(Typed::Over),
        END if typed.is_empty() => return Ok(Typed::Over),
        KILL => typed.clear(),
        key if ERASE.contains(&key) => _ = typed.pop(),
        key if key < b' ' => {}
        _ if typed.len() == BYTES_MAX => return Err(io::ErrorKind::InvalidData.into()),
        key => typed.push(key),
    }
    Ok(Typed::Part)
}

/// A terminal that shows nothing, until this is dropped.
struct Quiet<'a>(&'a HangUp);

impl<'a> Quiet<'a> {
    fn begin(hang_up: &'a HangUp) -> io::Result<Self> {
        let before = tcgetattr(rustix::stdio::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        // Each read waits for one byte, for as long as it takes.
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        hang_up.set(before, &quiet)?;
        Ok(Self(hang_up))
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.0.restore();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Answers of a test, one after the other; then nothing more comes.
    pub(in crate::commands::init) struct Lines(pub(in crate::commands::init) std::vec::IntoIter<String>);

    impl Lines {
        pub(in crate::commands::init) fn new(lines: &[&str]) -> Self {
            Self(lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>().into_iter())
        }
    }

    impl Input for Lines {
        fn line(&mut self) -> io::Result<Option<String>> {
            Ok(self.0.next())
        }

        fn hidden(&mut self, ask: &mut dyn FnMut()) -> io::Result<Option<String>> {
            ask();
            Ok(self.0.next())
        }
    }

    fn typed(keys: &[u8]) -> (Vec<u8>, Typed) {
        let mut typed = Vec::new();
        let mut so_far = Typed::Part;
        for key in keys {
            so_far = take_key(&mut typed, *key).unwrap();
            if so_far != Typed::Part {
                break;
            }
        }
        (typed, so_far)
    }

    #[test]
    fn ctrl_c_and_the_end_of_the_input_end_a_hidden_answer_and_a_typo_can_be_erased() {
        assert_eq!(typed(b"ab\x03"), (b"ab".to_vec(), Typed::Over));
        assert_eq!(typed(b"\x04"), (Vec::new(), Typed::Over));
        assert_eq!(typed(b"a\x04b\r"), (b"ab".to_vec(), Typed::Whole));
        assert_eq!(typed(b"abc\x7f\x08d\n"), (b"ad".to_vec(), Typed::Whole));
        assert_eq!(typed(b"wrong\x15right\n"), (b"right".to_vec(), Typed::Whole));
        assert_eq!(typed(b"\x1bab"), (b"ab".to_vec(), Typed::Part));
    }

    #[test]
    fn a_hidden_answer_has_an_end() {
        let mut typed = vec![b'a'; BYTES_MAX];
        assert!(take_key(&mut typed, b'a').is_err());
    }

    #[test]
    fn whoever_hangs_up_is_told_that_nothing_was_written() {
        let (mut input, mut paper) = (Lines::new(&[]), Vec::new());
        let failure = Person::new(&mut input, &mut paper).ask("Public URL", None).unwrap_err();
        assert_eq!(failure, stopped());
    }

    #[test]
    fn an_empty_answer_is_the_default_and_yes_or_no_is_asked_until_it_is_one() {
        let (mut input, mut paper) = (Lines::new(&["", "perhaps", "N", ""]), Vec::new());
        let mut person = Person::new(&mut input, &mut paper);
        assert_eq!(person.ask("Upstream", Some("http://127.0.0.1:3000")).unwrap(), "http://127.0.0.1:3000");
        assert!(!person.agrees("Write it?", true).unwrap());
        assert!(person.agrees("Write it?", true).unwrap());
        let said = String::from_utf8(paper).unwrap();
        assert!(said.contains("Upstream [http://127.0.0.1:3000]: ") && said.contains("Write it? [Y/n]: "));
    }
}
