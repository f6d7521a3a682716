//! Where a secret comes from: the environment, a file, or (with a warning) the configuration itself.

use std::path::{Path, PathBuf};

use ringfence_model::Secret;

use super::Surroundings;
use super::problems::Problems;
use super::raw::{Field, Section};

/// What a secret looks like in the file.
pub(super) const FORM: &str = "{ env = \"NAME\" } or { file = \"PATH\" }";

pub(super) const SECTION: Section = Section { name: "a secret", keys: &["env", "file"], later: &[] };

/// Reads the secret that `field` points to. An empty one is a problem: it would be known to everybody.
pub(super) fn read(
    field: Field<'_>,
    around: &Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> Option<Secret> {
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
    if secret.expose().trim() != secret.expose() {
        field.doubtful("the secret begins or ends with white space, which is part of it", problems);
    }
    Some(secret)
}

fn read_from_outside(
    field: Field<'_>,
    around: &Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> Option<Secret> {
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

/// Reads a secret from a file, without one newline at its end; says also whether every user may read it.
pub(crate) fn read_file(path: &Path) -> Result<(Secret, bool), String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
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
