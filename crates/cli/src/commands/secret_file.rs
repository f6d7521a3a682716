//! A secret that is given out into a file: a new one, which only its owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ringfence_model::Secret;

use crate::exit::Failure;

/// A file that was just made, and is empty yet: what cannot be written is known before anything is said to have been given out.
pub(crate) struct SecretFile {
    path: PathBuf,
    file: File,
}

impl SecretFile {
    /// Makes the file. One that is there already is left as it is, and refused.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| not_written(path, &error))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes the secret and a line end.
    pub(crate) fn write(mut self, secret: &Secret) -> Result<(), Failure> {
        let written = writeln!(self.file, "{}", secret.expose()).and_then(|()| self.file.sync_all());
        written.map_err(|error| not_written(&self.path, &error))
    }

    /// Takes the file away again.
    pub(crate) fn remove(self) {
        // An empty file that is left over tells nobody anything.
        _ = fs::remove_file(&self.path);
    }
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::unavailable(format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_is_there_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "somebody's").unwrap();
        assert!(SecretFile::create(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
        // Nor is a link followed, whatever it leads to.
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(SecretFile::create(&link).is_err());
        assert!(!target.exists());
    }

    #[test]
    fn nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        SecretFile::create(&path).unwrap().write(&Secret::new("swordfish")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "swordfish\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = folder.path().join("other");
        SecretFile::create(&other).unwrap().remove();
        assert!(!other.exists());
    }
}
