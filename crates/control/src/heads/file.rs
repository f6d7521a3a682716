//! Heads in a file: one a line, each on the disk before it counts.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ringfence_store::Head;

use super::NotCarried;

/// A head is a line of some 330 bytes.
const LINE_MAX: u64 = 1024;

/// A file that heads are appended to. It is opened for each, so that it may be moved away.
#[derive(Clone)]
pub(super) struct HeadFile(PathBuf);

/// How a file ends.
struct End {
    /// The last line that is whole, if there is one.
    last: Option<Head>,
    /// Where whole lines end: what follows was not written to its end.
    whole: u64,
    length: u64,
}

impl HeadFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The last head in the file; nothing where there is no file yet.
    pub(super) async fn last(&self) -> Result<Option<Head>, NotCarried> {
        self.aside(|path| match File::open(path) {
            Ok(mut file) => Ok(end_of(&mut file)?.last),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Appends a head. A line that an earlier try did not write to its end goes first.
    pub(super) async fn append(&self, head: &Head) -> Result<(), NotCarried> {
        let line = format!("{}\n", head.to_line());
        self.aside(move |path| {
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
            let end = end_of(&mut file)?;
            if end.whole < end.length {
                file.set_len(end.whole)?;
            }
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            if end.length == 0 {
                // It may be new, and so is its name then.
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            }
            Ok(())
        })
        .await
    }

    /// Does what may wait for a disk on a thread that may wait.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, NotCarried> {
        let path = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&path)).await;
        let failed = |what: String| NotCarried::File { path: self.0.clone(), what };
        done.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

/// Reads how a file ends, and refuses one that holds something else than heads: nothing of it is cut off or added to.
fn end_of(file: &mut File) -> io::Result<End> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(2 * LINE_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(2 * LINE_MAX).read_to_end(&mut bytes)?;
    let whole_len = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let (lines, rest) = bytes.split_at(whole_len);
    let last_line = lines.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next());
    let last = last_line.map(|line| str::from_utf8(line).ok().and_then(Head::parse_line));
    let could_be_cut_short = |rest: &[u8]| {
        rest.first().is_none_or(u8::is_ascii_digit)
            && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b" :.+-".contains(byte))
    };
    let is_ours = match last {
        Some(Some(_)) => could_be_cut_short(rest),
        Some(None) => false,
        None => length == 0,
    };
    if !is_ours {
        return Err(io::Error::other(
            "it ends with something else than a head of the audit log; name another file",
        ));
    }
    Ok(End { last: last.flatten(), whole: from + whole_len as u64, length })
}
