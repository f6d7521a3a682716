//! Where the units of systemd look for the configuration: what is written there is read by the user as whom they run, and not
//! only by whoever writes it.

use std::fmt::Write as _;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use super::answers::{Answers, HTTPS, Kept, Tls};

/// The file that `ringfence.service` names, its user and group.
const FILE: &str = "ringfence.toml";
const FOLDER: &str = "/etc/ringfence";
const USER: &str = "ringfence";

/// The service that will run on what is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    /// The group that reads it.
    pub(super) group: u32,
}

impl Service {
    /// The only folder that it writes. Paths begin at the folder of the configuration, where it may write nothing.
    pub(super) const WRITES_IN: &str = "/var/lib/ringfence";

    /// That of this machine, where this is its configuration and its group is there.
    pub(super) fn of(folder: &Path, file: &Path) -> Option<Self> {
        let is_its_own = file.file_name().is_some_and(|name| name == FILE)
            && folder.canonicalize().is_ok_and(|folder| folder == Path::new(FOLDER));
        if !is_its_own {
            return None;
        }
        let group = group_in(&std::fs::read_to_string("/etc/group").unwrap_or_default(), USER)?;
        Some(Self { group })
    }

    /// Makes a file one that its group may read, and nobody else.
    pub(super) fn may_read(self, file: &File) -> io::Result<()> {
        fchown(file, None, Some(self.group))?;
        file.set_permissions(Permissions::from_mode(0o640))
    }

    /// The files of these answers that it could not read. Paths begin in this folder.
    fn cannot_read(self, answers: &Answers, folder: &Path) -> Vec<PathBuf> {
        let kept = |kept: &Kept| match kept {
            Kept::File(file) => Some(file.clone()),
            Kept::Env(_) | Kept::Beside(_) => None,
        };
        let mut files: Vec<PathBuf> = secrets(answers).filter_map(kept).collect();
        if let Tls::Files { certificate, key } = &answers.tls {
            files.extend([certificate.clone(), key.clone()]);
        }
        let files = files.into_iter().map(|file| folder.join(file));
        let is_closed = |file: &PathBuf| {
            file.metadata().is_ok_and(|it| {
                let for_its_group = it.gid() == self.group && it.mode() & 0o040 != 0;
                !for_its_group && it.mode() & 0o004 == 0
            })
        };
        files.filter(is_closed).collect()
    }

    /// What comes before its first start.
    pub(super) fn first(self, answers: &Answers, folder: &Path) -> String {
        let mut text = String::new();
        let closed = self.cannot_read(answers, folder);
        if !closed.is_empty() {
            _ = writeln!(text, "The service runs as {USER}, which cannot read this yet:");
            for file in closed {
                let file = super::shell_word(&file.display().to_string());
                _ = writeln!(text, "  sudo chgrp {USER} {file} && sudo chmod 640 {file}");
            }
            text.push('\n');
        }
        let variables: Vec<_> = secrets(answers).filter_map(Kept::variable).collect();
        if !variables.is_empty() {
            _ = writeln!(
                text,
                "The service takes {} from a file: EnvironmentFile= in `sudo systemctl edit ringfence.service`.\n",
                variables.join(" and ")
            );
        }
        let has_store = answers.limit.is_some() || answers.subaccounts;
        if has_store && !Path::new(Self::WRITES_IN).exists() {
            _ = writeln!(
                text,
                "The store's folder, which the unit makes at its first start; until then `check` misses it:\n  \
                 sudo install -d -m 700 -o {USER} -g {USER} {}\n",
                Self::WRITES_IN
            );
        }
        if !(answers.gate.ip().is_unspecified() && answers.gate.port() == HTTPS) {
            _ = writeln!(
                text,
                "Its socket is at port {HTTPS} of every address, and the gate is to be at {}:\n  \
                 printf '[Socket]\\nListenStream=\\nListenStream={}\\n' |\n    \
                 sudo install -D -m 644 /dev/stdin /etc/systemd/system/ringfence.socket.d/listen.conf\n  \
                 sudo systemctl daemon-reload\n",
                answers.gate, answers.gate
            );
        }
        text
    }

    /// How a command is begun that is to read and write what it does.
    pub(super) fn as_its_user(answers: &Answers) -> String {
        let variables: Vec<_> = secrets(answers).filter_map(Kept::variable).collect();
        match variables.as_slice() {
            [] => format!("sudo -u {USER} ringfence"),
            variables => format!("sudo --preserve-env={} -u {USER} ringfence", variables.join(",")),
        }
    }
}

fn secrets(answers: &Answers) -> impl Iterator<Item = &Kept> {
    let password = answers.mail.as_ref().and_then(|mail| mail.login.as_ref()).map(|(_, kept)| kept);
    [&answers.auth_token].into_iter().chain(password)
}

/// The number of a group, in a file as `/etc/group` is.
fn group_in(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_number_that_stands_there() {
        let text = "root:x:0:\nringfenced:x:7:\nringfence:x:998:alice,bob\n";
        assert_eq!(group_in(text, "ringfence"), Some(998));
        assert_eq!(group_in("ringfence\nringfence:x:many:\n", "ringfence"), None);
    }

    #[test]
    fn only_the_file_that_the_unit_names_is_for_the_service() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Service::of(folder.path(), &folder.path().join(FILE)).is_none());
        assert!(Service::of(Path::new(FOLDER), Path::new("/etc/ringfence/other.toml")).is_none());
        let unit = include_str!("../../../../../packaging/ringfence.service");
        for line in [
            format!("ExecStart=ringfence serve --config {FOLDER}/{FILE}\n"),
            format!("User={USER}\nGroup={USER}\n"),
            format!("WorkingDirectory={}\n", Service::WRITES_IN),
        ] {
            assert!(unit.contains(&line), "{line} is not in the unit");
        }
        let socket = include_str!("../../../../../packaging/ringfence.socket");
        assert!(socket.contains(&format!("ListenStream=[::]:{HTTPS}\n")), "{socket}");
    }
}
