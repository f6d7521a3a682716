//! Whether SQLite's file still is where it was opened.
//!
//! A file that is moved, deleted or replaced stays open: SQLite goes on reading and writing what nobody else can reach by that
//! path any more. With a log it does not look at the path again (its own look is for journals that roll back). Then what one
//! program decides binds nobody, while all of them say that it is done. So the store looks, before each transaction and each
//! statement that reads: the system answers that out of its memory, in a microsecond or two.
//!
//! Nothing is opened for it: closing the file again would take the locks of this program's connections from them.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Away, Error};

/// The file that a path led to.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    path: PathBuf,
    /// The disk and the number on it.
    is: (u64, u64),
}

impl OpenedFile {
    /// Of a file that a connection has open for writing: a layered file system gives it its number then.
    pub(crate) fn at(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), is: found(path)? })
    }

    /// Fails where the path leads to another file or to none. It is there again once the same file is put back.
    pub(crate) fn is_there_still(&self) -> Result<(), Error> {
        if found(&self.path)? == self.is { Ok(()) } else { Err(moved()) }
    }
}

fn found(path: &Path) -> Result<(u64, u64), Error> {
    match path.metadata() {
        Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(moved()),
        // A folder that this user may not enter any more, or a disk that fails.
        Err(error) => {
            let source = Some(Arc::new(sqlx::Error::Io(error)));
            Err(Error::Away { reason: Away::Unopened, in_doubt: false, source })
        }
    }
}

fn moved() -> Error {
    Error::Away { reason: Away::Moved, in_doubt: false, source: None }
}
