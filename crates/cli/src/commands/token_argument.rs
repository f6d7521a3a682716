//! An auth token on the command line: from the environment, a file or standard input, and never from an argument, which
//! every user of the machine can read while the command runs.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use ringfence_model::Secret;

use crate::config::{self, secret};
use crate::exit::Failure;

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Twilio")]
pub(crate) struct TokenArguments {
    /// The auth token is in this environment variable
    #[arg(id = "token_env", long = "token-env", value_name = "NAME", conflicts_with_all = ["token_file", "token_stdin"])]
    env: Option<String>,
    /// The auth token is in this file
    #[arg(id = "token_file", long = "token-file", value_name = "FILE", conflicts_with = "token_stdin")]
    file: Option<PathBuf>,
    /// The auth token is the first line of standard input
    #[arg(id = "token_stdin", long = "token-stdin")]
    stdin: bool,
}

/// Where a secret was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Env(String),
    File(PathBuf),
    Stdin,
}

impl TokenArguments {
    /// The token and where it was found; nothing where no flag says where it is.
    pub(crate) fn read(&self) -> Result<Option<(Secret, Source)>, Failure> {
        if let Some(name) = &self.env {
            return of_environment(name).map(|token| Some((token, Source::Env(name.clone()))));
        }
        if let Some(path) = &self.file {
            return of_file(path).map(|token| Some((token, Source::File(path.clone()))));
        }
        if self.stdin {
            return of_stdin().map(|token| Some((token, Source::Stdin)));
        }
        Ok(None)
    }

    /// Whether some flag says where it is.
    pub(crate) fn is_given(&self) -> bool {
        self.env.is_some() || self.file.is_some() || self.stdin
    }

    /// Whether standard input is spoken for.
    pub(crate) fn takes_stdin(&self) -> bool {
        self.stdin
    }
}

/// The secret in an environment variable.
pub(crate) fn of_environment(name: &str) -> Result<Secret, Failure> {
    let value = config::environment(name).filter(|value| !value.trim().is_empty());
    value.map(Secret::new).ok_or_else(|| {
        Failure::usage(format!("the environment variable {} is not set, or empty", name.escape_debug()))
            .hint(format!("set it for this command: read -rs {name}; export {name}"))
    })
}

/// The secret in a file, without the newline at its end.
pub(crate) fn of_file(path: &Path) -> Result<Secret, Failure> {
    let (secret, _) = secret::read_file(path).map_err(Failure::usage)?;
    if secret.expose().trim().is_empty() {
        return Err(Failure::usage(format!("{} is empty", path.display())));
    }
    Ok(secret)
}

fn of_stdin() -> Result<Secret, Failure> {
    const BYTES_MAX: u64 = 16 * 1024;
    let mut text = String::new();
    let read = std::io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
    let line = Secret::new(text.lines().next().unwrap_or_default());
    if line.expose().trim().is_empty() {
        return Err(Failure::usage("standard input holds no token: its first line is empty")
            .hint("printf %s \"$TOKEN\" | ringfence …"));
    }
    Ok(line)
}
