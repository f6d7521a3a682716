//! Where a secret comes from: the environment, a file, or (with a warning) the configuration itself.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ringfence_model::Secret;

use super::Surroundings;
use super::problems::Problems;
use super::raw::{Field, Section};

/// What a secret looks like in the file.
pub(super) const FORM: &str = "{ env = \"NAME\" } or { file = \"PATH\" }";

pub(super) const SECTION: Section = Section { name: "a secret", keys: &["env", "file"], later: &[] };

/// Reads the secret that `field` points to. An empty one is a problem, and so is white space alone, which is what
/// `echo > FILE` leaves: it would be known to everybody.
pub(super) fn read(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Secret> {
    let secret = if let Some(literal) = field.as_text() {
        field.doubtful(format_args!("the secret itself stands in the file; better {FORM}"), problems);
        Secret::new(literal)
    } else if field.is_table() {
        read_from_outside(field, around, problems)?
    } else {
        field.wrong_type("a secret", FORM, problems);
        return None;
    };
    if secret.is_empty() {
        field.wrong("the secret is empty", problems);
        return None;
    }
    let trimmed = secret.expose().trim();
    if trimmed.is_empty() {
        field.wrong("the secret is nothing but white space, as if it were empty", problems);
        return None;
    }
    if trimmed != secret.expose() {
        field.doubtful("the secret begins or ends with white space, which is part of it", problems);
    }
    Some(secret)
}

/// Where the secret that `field` points to is read from, for people.
pub(super) fn source(field: Field<'_>, around: &Surroundings<'_>) -> String {
    // Whatever is wrong with it was said when it was read.
    let mut said = Problems::new("");
    let table = if field.is_table() { field.table(&SECTION, &[], FORM, &mut said) } else { None };
    let text = |key| table.as_ref().and_then(|table| table.find(key)).and_then(|field| field.as_text());
    match (text("env"), text("file")) {
        (Some(name), _) => format!("the environment variable {name}"),
        (None, Some(path)) => format!("the file {}", around.resolve(path).display()),
        (None, None) => "the configuration itself".to_owned(),
    }
}

fn read_from_outside(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Secret> {
    let table = field.table(&SECTION, &[], FORM, problems)?;
    match (table.find("env"), table.find("file")) {
        (Some(name), None) => {
            let name = name.parse(FORM, problems, not_empty)?;
            let Some(value) = (around.env)(name) else {
                field.wrong(
                    format_args!(
                        "the environment variable {name} is not set; set it, or write {{ file = \"PATH\" }}"
                    ),
                    problems,
                );
                return None;
            };
            Some(Secret::new(value))
        }
        (None, Some(path)) => {
            let path = around.resolve(path.parse(FORM, problems, not_empty)?);
            match read_file(&path) {
                Ok((secret, readable_by_all)) => {
                    if readable_by_all {
                        field.doubtful(
                            format_args!(
                                "every user of this machine can read it; run `chmod o-r {}`",
                                path.display()
                            ),
                            problems,
                        );
                    }
                    Some(secret)
                }
                Err(what) => {
                    field.wrong(what, problems);
                    None
                }
            }
        }
        _ => {
            field.wrong(format_args!("a secret has one source; write {FORM}"), problems);
            None
        }
    }
}

/// No token, password or key is as long.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Reads a secret from a file, without one newline at its end; says also whether every user may read it.
pub(crate) fn read_file(path: &Path) -> Result<(Secret, bool), String> {
    let cannot = |error| format!("cannot read {}: {error}", path.display());
    let mut text = String::new();
    // One byte more than allowed tells a longer file, and an endless one such as a device ends here.
    let file = File::open(path).map_err(cannot)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!(
            "{} holds more than {FILE_BYTES_MAX} bytes, so it is no secret's file; name another",
            path.display()
        ));
    }
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok((Secret::new(line), is_readable_by_all(path)))
}

#[cfg(unix)]
fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_all(_path: &Path) -> bool {
    false
}

fn not_empty(text: &str) -> Result<&str, &'static str> {
    if text.is_empty() { Err("is empty") } else { Ok(text) }
}

impl Surroundings<'_> {
    /// A path as typed, relative to the folder of the configuration file.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}
