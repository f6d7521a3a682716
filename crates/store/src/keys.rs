//! The master key: where it comes from, and what it is called.
//!
//! It seals every secret in the store. It never enters the database or a backup, so whoever has only those has
//! nothing. Beside SQLite the store makes it by itself, in a file of mode 0600; PostgreSQL is shared, so there every
//! node is given the same key.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use ringfence_model::Secret;
use zeroize::Zeroizing;

use crate::error::OpenError;
use crate::hex;

/// Far more than a key's file has; an endless one, such as a device, ends here.
const FILE_BYTES_MAX: u64 = 1024;

/// 32 random bytes that seal everything. Its `Debug` shows only the [id](Self::id).
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// The keys that a store is opened with.
#[derive(Debug, Clone)]
pub enum Keys {
    /// The key is in a file, which the first start makes where the database is SQLite and new. A database that is there
    /// already has a key already, so its file is never made anew; nor is it for PostgreSQL, which is shared.
    InFile {
        /// The file; [`MasterKey::path_beside`] has the usual one.
        current: PathBuf,
        /// As in [`Given`](Self::Given).
        previous: Vec<MasterKey>,
    },
    /// Keys from the caller: what is sealed from now on is sealed with `current`; what was sealed with one of
    /// `previous` can be read, and [`Store::reseal`](crate::Store::reseal) carries it over.
    Given {
        /// Seals, and opens.
        current: MasterKey,
        /// Only open. Empty where no rotation is under way.
        previous: Vec<MasterKey>,
    },
}

impl MasterKey {
    /// Takes the bytes as they are: they must come from a good source of randomness, not from a passphrase.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads 64 hexadecimal digits; white space around them, such as the end of a file's line, does not count.
    pub fn parse(text: &Secret) -> Result<Self, OpenError> {
        let bytes = hex::parse(text.expose().trim()).ok_or(OpenError::MasterKeyMalformed)?;
        let bytes = Zeroizing::new(bytes);
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| OpenError::MasterKeyMalformed)?;
        Ok(Self::from_bytes(bytes))
    }

    /// A new key from the system's randomness.
    pub fn random() -> Self {
        Self::from_bytes(crate::random())
    }

    /// What the key is called in messages and before each sealed value: eight bytes of a hash, as hexadecimal digits.
    /// It says nothing about the key.
    pub fn id(&self) -> String {
        hex::write(&self.id_bytes())
    }

    pub(crate) fn id_bytes(&self) -> [u8; 8] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"ringfence master key id\0");
        context.update(self.0.as_slice());
        let mut id = [0; 8];
        id.copy_from_slice(&context.finish().as_ref()[..8]);
        id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key in the file. Its owner reads it and nobody else but a group, which is how Kubernetes, systemd's credentials
    /// and a service's user get what is root's; nobody but its owner changes it.
    pub fn read(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o027 != 0 {
            return Err(OpenError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&Secret::new(text.as_str()))
    }

    /// The usual file beside a SQLite database: `ringfence.key` beside `ringfence.db`. It never is the database itself.
    pub fn path_beside(database: &Path) -> PathBuf {
        let beside = database.with_extension("key");
        if beside == database { database.with_extension("key.key") } else { beside }
    }

    /// Makes a key in a new file of mode 0600, durably: what it seals would be lost with it. A file that is there
    /// already is read instead, so that two programs that start at once have one key.
    pub(crate) fn make(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::NotMade { path: path.to_owned(), source };
        // The file appears under its name only when it is whole.
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}", hex::write(&crate::random::<8>())));
        let partial = PathBuf::from(partial);
        let key = Self::random();
        let text = Zeroizing::new(format!("{}\n", hex::write(key.bytes())));
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial).and_then(
            |mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            },
        );
        let linked = written.and_then(|()| fs::hard_link(&partial, path));
        let _ = fs::remove_file(&partial);
        match linked {
            Ok(()) => {
                sync_directory(path).map_err(failed)?;
                Ok(key)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Makes the name of a new file durable.
pub(crate) fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MasterKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_64_hexadecimal_digits_is_no_key() {
        for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            let parsed = MasterKey::parse(&Secret::new(text));
            assert!(matches!(parsed, Err(OpenError::MasterKeyMalformed)), "{text}");
        }
        assert!(MasterKey::parse(&Secret::new(format!("{}\n", "0a".repeat(32)))).is_ok());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = MasterKey::make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(MasterKey::read(&path).unwrap().id(), made.id());
        for exposed in [0o644, 0o604, 0o660, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
            let read = MasterKey::read(&path);
            assert!(matches!(read, Err(OpenError::Exposed { mode, .. }) if mode == exposed), "{exposed:o}");
        }
    }

    /// A Secret of Kubernetes with an `fsGroup` is root's with 0440, and so is a credential of systemd.
    #[test]
    fn a_key_that_a_group_may_read_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = MasterKey::make(&path).unwrap();
        for mode in [0o640, 0o440, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(MasterKey::read(&path).unwrap().id(), made.id(), "{mode:o}");
        }
    }

    #[test]
    fn the_file_beside_a_database_is_never_the_database() {
        for (database, key) in [
            ("ringfence.db", "ringfence.key"),
            ("/var/lib/ringfence", "/var/lib/ringfence.key"),
            ("a.key", "a.key.key"),
        ] {
            assert_eq!(MasterKey::path_beside(Path::new(database)), Path::new(key));
        }
    }

    #[test]
    fn a_key_is_made_once_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let first = MasterKey::make(&path).unwrap();
        assert_eq!(MasterKey::make(&path).unwrap().id(), first.id());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = MasterKey::from_bytes([0xab; 32]);
        assert!(!format!("{key:?}").contains("abab"));
    }
}
