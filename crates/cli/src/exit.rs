//! How a command ends: an answer, or a failure that says what happened and what to type.

use std::fmt::{self, Display};
use std::io;
use std::process::ExitCode;

use crate::config::ConfigError;

/// What a command found out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What goes to standard output, as it is.
    pub(crate) output: Vec<u8>,
    /// What a person should know besides; each goes to standard error as a line.
    pub(crate) notes: Vec<String>,
    /// Whether the question was answered with no: a refused request, a wrong vector.
    pub(crate) is_no: bool,
    /// Whether something outside kept the answer from being whole. It outweighs `is_no`.
    pub(crate) is_unavailable: bool,
}

/// Why a command could not answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    kind: FailureKind,
    message: String,
    hint: Option<String>,
    /// For standard output, where a script asked for JSON.
    json: Option<serde_json::Value>,
}

/// Whose turn it is now. Scripts tell them apart by the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The command was called in a way that makes no sense, or given what it cannot read: 2, as clap has it.
    Usage,
    /// The configuration is wrong: 64.
    Configuration,
    /// Something outside is unavailable, an address or a file to write: 69.
    Unavailable,
    /// It was understood and refused, as things stand: 1.
    Refused,
}

impl Answer {
    /// Yes, and this is what there is to say.
    pub(crate) fn text(output: impl Into<Vec<u8>>) -> Self {
        Self { output: output.into(), ..Self::default() }
    }
}

impl Failure {
    /// Wrong usage, or unreadable input.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(FailureKind::Usage, message)
    }

    /// Something outside is unavailable.
    pub(crate) fn unavailable(message: impl Display) -> Self {
        Self::new(FailureKind::Unavailable, message)
    }

    /// The configuration is wrong, although its file could be read.
    pub(crate) fn configuration(message: impl Display) -> Self {
        Self::new(FailureKind::Configuration, message)
    }

    /// It was understood, and cannot be done as things stand.
    pub(crate) fn refused(message: impl Display) -> Self {
        Self::new(FailureKind::Refused, message)
    }

    /// Adds what to type or to change.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Says what it is about, before what went wrong.
    pub(crate) fn about(mut self, what: impl Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Says the same to a script, on standard output.
    pub(crate) fn json(mut self, json: serde_json::Value) -> Self {
        self.json = Some(json);
        self
    }

    /// Whether something outside is unavailable, so that the same may go well later.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.kind == FailureKind::Unavailable
    }

    /// What went wrong, for whoever tells it in other words.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    fn new(kind: FailureKind, message: impl Display) -> Self {
        Self { kind, message: message.to_string(), hint: None, json: None }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        // Whoever has a file already is not told to write another one over it.
        let hint = if error.is_missing() {
            "`ringfence init` writes one; `ringfence check --print-example` shows every key with its meaning"
        } else {
            "`ringfence check --print-example` shows every key with its meaning"
        };
        Self::configuration(error).hint(hint)
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A message of several problems has one a line, and each is an error by itself.
        for (number, line) in self.message.lines().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            write!(formatter, "{end}error: {line}")?;
        }
        match &self.hint {
            Some(hint) => write!(formatter, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// For a command that prints by itself: its configuration is wrong.
pub(crate) fn wrong_configuration(error: &(impl Display + ?Sized)) -> ExitCode {
    finish(Err(Failure::configuration(error)))
}

/// For a command that prints by itself: something outside is unavailable.
pub(crate) fn unavailable(message: &str, hint: Option<&str>) -> ExitCode {
    let failure = Failure::unavailable(message);
    finish(Err(match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }))
}

/// Prints how a command ended and gives its exit code. A reader that went away (`| head`) is no failure; a disk that is full is:
/// whoever wrote the output to a file has half of it.
pub(crate) fn finish(result: Result<Answer, Failure>) -> ExitCode {
    finish_to(&mut io::stdout().lock(), &mut io::stderr(), result)
}

fn finish_to(
    stdout: &mut impl io::Write,
    stderr: &mut impl io::Write,
    result: Result<Answer, Failure>,
) -> ExitCode {
    let code = match &result {
        Ok(Answer { is_unavailable: true, .. }) | Err(Failure { kind: FailureKind::Unavailable, .. }) => 69,
        Ok(Answer { is_no: false, .. }) => 0,
        Ok(Answer { is_no: true, .. }) | Err(Failure { kind: FailureKind::Refused, .. }) => 1,
        Err(Failure { kind: FailureKind::Usage, .. }) => 2,
        Err(Failure { kind: FailureKind::Configuration, .. }) => 64,
    };
    let printed = match result {
        Ok(answer) => {
            for note in &answer.notes {
                _ = writeln!(stderr, "{note}");
            }
            stdout.write_all(&answer.output)
        }
        Err(Failure { json: Some(json), .. }) => writeln!(stdout, "{json}"),
        Err(failure) => {
            _ = writeln!(stderr, "{failure}");
            Ok(())
        }
    };
    match printed.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            _ = writeln!(
                stderr,
                "{}",
                Failure::unavailable(format!("cannot write to standard output: {error}"))
            );
            ExitCode::from(69)
        }
        _ => ExitCode::from(code),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config;

    #[test]
    fn nobody_is_told_to_write_an_example_over_the_configuration_that_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ringfence.toml");
        let hint = |file| {
            let Err(error) = config::load(file) else { panic!("it is wrong") };
            Failure::from(error).hint.expect("a hint")
        };
        assert!(hint(&file).starts_with("`ringfence init` writes one"), "{}", hint(&file));
        // In another encoding, or with a section too few, it is somebody's work all the same.
        for text in [&b"# Gr\xfc\xdfe\n"[..], b"[[account]]\n"] {
            fs::write(&file, text).expect("written");
            assert_eq!(hint(&file), "`ringfence check --print-example` shows every key with its meaning");
        }
    }
}
