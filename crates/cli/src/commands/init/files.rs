//! What is written: first only in memory, to see that it is right, then all of it at once. A file that is there stays as it
//! is, unless somebody said otherwise.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ringfence_model::Secret;
use tempfile::NamedTempFile;

use super::answers::{Answers, Kept};
use super::service::Service;
use super::text;
use crate::commands::stop::StopSignals;
use crate::config::{self, ConfigError, Loaded, Surroundings};
use crate::exit::Failure;

/// The end of the name of a file with the auth token, with the password of the mail server; the name of the store.
pub(super) const TOKEN: &str = "token";
pub(super) const PASSWORD: &str = "smtp-password";
pub(super) const DATABASE: &str = "ringfence.db";

/// Where the configuration goes.
#[derive(Debug)]
pub(super) struct Target {
    file: PathBuf,
    folder: PathBuf,
    force: bool,
    /// Who reads it besides.
    pub(super) service: Option<Service>,
}

/// Secrets that were typed, and where they are to be found afterwards.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<(Kept, Secret)>);

impl Target {
    /// Fails where it could not be written in the end, before anybody answers for nothing.
    pub(super) fn new(file: &Path, force: bool) -> Result<Self, Failure> {
        if file.file_name().is_none() {
            return Err(Failure::usage(format!("{} names no file", file.display())));
        }
        if let Some(what) = is_for_another(file) {
            return Err(Failure::usage(format!("{} is a name for {what}", file.display()))
                .hint("name the configuration otherwise, such as --output ringfence.toml"));
        }
        let parent = file.parent().unwrap_or(Path::new(""));
        let folder = if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() };
        let service = Service::of(&folder, file);
        let target = Self { file: file.to_owned(), folder, force, service };
        target.is_free(&target.file)?;
        // The file is gone at once; whether one can be made is known.
        NamedTempFile::new_in(&target.folder).map_err(|error| {
            Failure::unavailable(format!("cannot write into {}: {error}", target.folder.display()))
                .hint("make the folder, or name another file with --output")
        })?;
        Ok(target)
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn service(&self) -> Option<Service> {
        self.service
    }

    /// For whom what is written is readable.
    pub(super) fn readers(&self) -> &'static str {
        match self.service {
            Some(_) => "you and the group ringfence",
            None => "you alone",
        }
    }

    /// The name of a file beside the configuration: `ringfence.token`.
    pub(super) fn beside(&self, what: &str) -> Result<String, Failure> {
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}.{what}");
        self.is_free(&self.file.with_file_name(&name))?;
        Ok(name)
    }

    /// A path that was typed, as the configuration has to name it: its own paths begin in its folder.
    pub(super) fn seen_from_here(&self, path: &Path) -> Result<PathBuf, Failure> {
        let parent = |path: &Path| {
            let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
            parent.map_or_else(|| PathBuf::from("."), Path::to_owned)
        };
        let is_beside = parent(path).canonicalize().ok().zip(self.folder.canonicalize().ok());
        if let (Some((this, ours)), Some(name)) = (is_beside, path.file_name())
            && this == ours
        {
            if self.file.file_name() == Some(name) {
                return Err(Failure::usage(format!(
                    "{} is where the configuration is written",
                    path.display()
                ))
                .hint("name another file with --output"));
            }
            return Ok(PathBuf::from(name));
        }
        std::path::absolute(path)
            .map_err(|error| Failure::usage(format!("{} is no path: {error}", path.display())))
    }

    fn is_free(&self, path: &Path) -> Result<(), Failure> {
        if self.force || path.symlink_metadata().is_err() {
            return Ok(());
        }
        Err(Failure::refused(format!("{} is there already, and is left as it is", path.display()))
            .hint("name another file with --output, or overwrite it with --force"))
    }
}

impl Secrets {
    pub(super) fn keep(&mut self, at: &Kept, secret: Secret) {
        self.0.retain(|(kept, _)| kept != at);
        self.0.push((at.clone(), secret));
    }

    /// Forgets what was typed on the way to other answers.
    pub(super) fn keep_only_of(&mut self, answers: &Answers) {
        let password = answers.mail.as_ref().and_then(|mail| mail.login.as_ref()).map(|(_, kept)| kept);
        self.0.retain(|(kept, _)| *kept == answers.auth_token || Some(kept) == password);
    }

    fn of_environment(&self, name: &str) -> Option<&Secret> {
        let is_it = |kept: &Kept| *kept == Kept::Env(name.to_owned());
        self.0.iter().find(|(kept, _)| is_it(kept)).map(|(_, secret)| secret)
    }

    /// Environment variables that hold what was typed only once somebody sets them.
    pub(super) fn to_be_set(&self) -> Vec<&str> {
        let to_be_set = |(kept, secret): &'_ (Kept, Secret)| match kept {
            Kept::Env(name) => config::environment(name).as_deref() != Some(secret.expose()),
            _ => false,
        };
        let kept = self.0.iter().filter(|it| to_be_set(it)).map(|(kept, _)| kept);
        kept.filter_map(Kept::variable).collect()
    }

    fn beside(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().filter_map(|(kept, secret)| match kept {
            Kept::Beside(name) => Some((name.as_str(), secret)),
            _ => None,
        })
    }
}

/// What else is kept under this name, beside the configuration.
fn is_for_another(file: &Path) -> Option<&'static str> {
    let is = |name: &str| file.file_name().is_some_and(|it| it == name);
    let ends = |end: &str| file.extension().is_some_and(|it| it == end);
    match () {
        () if ends(TOKEN) || ends(PASSWORD) => Some("a file that holds a secret"),
        () if is(DATABASE) || is("ringfence.key") => Some("the store, or its key"),
        () => None,
    }
}

/// What `check` would say once it is written. Nothing is.
pub(super) fn rehearse(answers: &Answers, secrets: &Secrets, target: &Target) -> Result<Loaded, ConfigError> {
    // A file that is not there yet is read from where what was typed is: a variable by a name that none can have.
    const BESIDE: &str = "beside=";
    let as_variable = |kept: &Kept| match kept {
        Kept::Beside(name) => Kept::Env(format!("{BESIDE}{name}")),
        kept => kept.clone(),
    };
    let mut rehearsed = answers.clone();
    rehearsed.auth_token = as_variable(&answers.auth_token);
    if let Some((_, password)) = rehearsed.mail.as_mut().and_then(|mail| mail.login.as_mut()) {
        *password = as_variable(password);
    }
    let env = |name: &str| match name.strip_prefix(BESIDE) {
        Some(name) => secrets.beside().find(|(it, _)| *it == name).map(|(_, it)| it.expose().to_owned()),
        None => match secrets.of_environment(name) {
            Some(typed) => Some(typed.expose().to_owned()),
            None => config::environment(name),
        },
    };
    let around = Surroundings { folder: &target.folder, env: &env, now: config::wall_clock() };
    config::resolve(&text::of(&rehearsed), &target.file, &around)
}

/// Writes all of it, readable for nobody else from the first moment on, but for the service that is to run on it; gives what was written, the configuration first.
///
/// It needs a runtime around it: from here on a Ctrl-C comes too late, so that never a part is left.
pub(super) fn write(answers: &Answers, secrets: &Secrets, target: &Target) -> Result<Vec<PathBuf>, Failure> {
    let _too_late = StopSignals::catch().map_err(Failure::unavailable)?;
    let mut made: Vec<PathBuf> = Vec::new();
    let configuration = text::of(answers);
    let files = secrets
        .beside()
        .map(|(name, secret)| (target.file.with_file_name(name), secret.expose()))
        .chain([(target.file.clone(), configuration.as_str())]);
    for (path, text) in files {
        if let Err(failure) = place(&path, text, target) {
            // What stood there before is gone with --force; what is new goes.
            for path in made.iter().filter(|_| !target.force) {
                _ = std::fs::remove_file(path);
            }
            return Err(failure);
        }
        made.push(path);
    }
    made.reverse();
    Ok(made)
}

/// Puts a whole file in its place, or none.
fn place(path: &Path, text: &str, target: &Target) -> Result<(), Failure> {
    let cannot =
        |error: std::io::Error| Failure::unavailable(format!("cannot write {}: {error}", path.display()));
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Its mode is 0600, whatever the umask is.
    let mut file = NamedTempFile::new_in(folder).map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    if let Some(service) = target.service {
        service.may_read(file.as_file()).map_err(|error| {
            Failure::unavailable(format!("cannot give {} to the group ringfence: {error}", path.display()))
                .hint("write it as root, or elsewhere with --output")
        })?;
    }
    file.as_file().sync_all().map_err(cannot)?;
    let placed = if target.force { file.persist(path) } else { file.persist_noclobber(path) };
    placed.map(drop).map_err(|error| cannot(error.error))
}
