//! Where the text of an nginx configuration comes from: files, or what `nginx -T` prints.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::nginx::{BYTES_MAX, Included, Sources, Unread};
use crate::exit::Failure;

/// No pattern of one stands for more files.
const FILES_MAX: usize = 512;

/// The text of the main file, or of standard input for `-`. It may be a pipe: somebody who names one waits for what comes.
pub(super) fn read_main(path: &Path) -> Result<String, Failure> {
    let text = match path.to_str() {
        Some("-") => read_at_most(io::stdin().lock(), BYTES_MAX),
        _ => fs::File::open(path).and_then(|file| read_at_most(file, BYTES_MAX)),
    };
    let text = text.map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    text.ok_or_else(|| {
        Failure::usage(format!("{} is longer than 8 MiB, which no configuration of nginx is", path.display()))
    })
}

/// Files, included relative to the folder of the first.
pub(super) struct OnDisk<'a> {
    file: &'a Path,
    text: String,
}

impl<'a> OnDisk<'a> {
    pub(super) fn new(file: &'a Path, text: String) -> Self {
        Self { file, text }
    }
}

impl Sources for OnDisk<'_> {
    fn main(&self) -> String {
        match self.file.to_str() {
            Some("-") => "standard input".to_owned(),
            _ => self.file.display().to_string(),
        }
    }

    fn included(&self, pattern: &str) -> Included {
        expanded(&self.file.parent().unwrap_or(Path::new("")).join(pattern))
    }

    fn text(&self, name: &str, bytes_max: usize) -> Result<String, Unread> {
        if name == self.main() {
            return if self.text.len() > bytes_max { Err(Unread::TooLong) } else { Ok(self.text.clone()) };
        }
        let cannot = |error: io::Error| Unread::Cannot(format!("{name} cannot be read: {error}"));
        // A pipe would wait for whoever writes into it, and a device may never end.
        if !fs::metadata(name).map_err(cannot)?.is_file() {
            return Err(Unread::Cannot(format!("{name} is no file")));
        }
        let text = fs::File::open(name).and_then(|file| read_at_most(file, bytes_max));
        text.map_err(cannot)?.ok_or(Unread::TooLong)
    }
}

/// What `nginx -T` prints: each file after a line with its name.
pub(super) struct Dump {
    files: Vec<(String, String)>,
}

impl Dump {
    /// Nothing where it is no such print.
    pub(super) fn of(text: &str) -> Option<Self> {
        const MARK: &str = "# configuration file ";
        let mut files: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(MARK).and_then(|name| name.strip_suffix(':')) {
                files.push((name.to_owned(), String::new()));
            } else if let Some((_, text)) = files.last_mut() {
                text.push_str(line);
                text.push('\n');
            }
        }
        (!files.is_empty()).then_some(Self { files })
    }
}

impl Sources for Dump {
    fn main(&self) -> String {
        self.files.first().map_or_else(String::new, |(name, _)| name.clone())
    }

    fn included(&self, pattern: &str) -> Included {
        let main = self.main();
        let pattern = Path::new(&main).parent().unwrap_or(Path::new("")).join(pattern);
        let pattern = pattern.to_string_lossy();
        let files = self.files.iter().map(|(name, _)| name);
        let files: Vec<_> = files.filter(|name| is_like(&pattern, name)).cloned().collect();
        // Where a pattern stands for nothing, nginx itself has found nothing.
        let is_missing = files.is_empty() && !is_pattern(&pattern);
        let problems = is_missing.then(|| format!("{pattern} is not among what was printed"));
        Included { files, problems: problems.into_iter().collect() }
    }

    fn text(&self, name: &str, bytes_max: usize) -> Result<String, Unread> {
        match self.files.iter().find(|(it, _)| it == name) {
            Some((_, text)) if text.len() > bytes_max => Err(Unread::TooLong),
            Some((_, text)) => Ok(text.clone()),
            None => Err(Unread::Cannot(format!("{name} is not among what was printed"))),
        }
    }
}

/// The files that a path stands for, which may have wildcards in each of its parts, in their order.
fn expanded(pattern: &Path) -> Included {
    let shown = pattern.display();
    if !is_pattern(&pattern.to_string_lossy()) {
        return Included { files: vec![shown.to_string()], problems: Vec::new() };
    }
    let (mut found, mut problems) = (vec![PathBuf::new()], Vec::new());
    for part in pattern.components() {
        let part = part.as_os_str();
        let wanted = part.to_string_lossy();
        if !is_pattern(&wanted) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            match names_like(folder, &wanted) {
                Ok(names) => next.extend(names.into_iter().map(|name| folder.join(name))),
                // What is not there has no files.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => problems.push(format!("{} cannot be read: {error}", folder.display())),
            }
            if next.len() > FILES_MAX {
                problems.push(format!(
                    "{shown} stands for more than {FILES_MAX} files, and none of them is read"
                ));
                return Included { files: Vec::new(), problems };
            }
        }
        found = next;
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    found.sort();
    if found.is_empty() && problems.is_empty() {
        problems.push(format!("there is no file like {shown}"));
    }
    Included { files: found.iter().map(|path| path.display().to_string()).collect(), problems }
}

/// What is in a folder under names that are like a pattern; no more than one over the most.
fn names_like(folder: &Path, pattern: &str) -> io::Result<Vec<std::ffi::OsString>> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names = Vec::new();
    for entry in fs::read_dir(here)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if is_like(pattern, &text) && (!text.starts_with('.') || pattern.starts_with('.')) {
            names.push(name);
        }
        if names.len() > FILES_MAX {
            break;
        }
    }
    Ok(names)
}

/// All of it as text, or nothing where it is longer; no more is read.
fn read_at_most(from: impl Read, bytes_max: usize) -> io::Result<Option<String>> {
    let mut text = Vec::new();
    from.take(bytes_max as u64 + 1).read_to_end(&mut text)?;
    Ok((text.len() <= bytes_max).then(|| String::from_utf8_lossy(&text).into_owned()))
}

/// Whether nginx takes it for a pattern.
fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Whether a name is like a pattern, in which `*` stands for any letters but `/`, `?` for one, and `[a-z]`, `[!a-z]` for one
/// of these or of all others.
fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // The last star, and how much it stands for.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, seen));
            at += 1;
            continue;
        }
        if let Some(length) = pattern.get(at..).and_then(|rest| takes_letter(rest, name[seen])) {
            at += length;
            seen += 1;
            continue;
        }
        match star {
            Some((before, taken)) if name[taken] != '/' => {
                star = Some((before, taken + 1));
                at = before + 1;
                seen = taken + 1;
            }
            _ => return false,
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

/// How much of a pattern's begin stands for this letter, if it does; it begins with no star.
fn takes_letter(pattern: &[char], letter: char) -> Option<usize> {
    let first = *pattern.first()?;
    if first == '[' {
        let is_not = matches!(pattern.get(1), Some('!' | '^'));
        let begin = if is_not { 2 } else { 1 };
        // A bracket at the begin is one of the letters.
        let end = pattern.iter().enumerate().skip(begin + 1).find(|(_, it)| **it == ']').map(|(at, _)| at);
        if let Some(end) = end {
            let mut set = &pattern[begin..end];
            let mut is_in = false;
            while let Some(from) = set.first() {
                let (to, length) = match set {
                    [_, '-', to, ..] => (to, 3),
                    _ => (from, 1),
                };
                is_in |= (*from..=*to).contains(&letter);
                set = &set[length..];
            }
            return (is_in != is_not && letter != '/').then_some(end + 1);
        }
    }
    (first == letter || (first == '?' && letter != '/')).then_some(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_no_slash() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("/etc/nginx/sites-enabled/*", "/etc/nginx/sites-enabled/a", true),
            ("/etc/nginx/sites-enabled/*", "/etc/nginx/sites-enabled/a/b", false),
            ("a*b*c", "axxbyyc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[0-9]*.conf", "10-app.conf", true),
            ("[0-9]*.conf", "app.conf", false),
            ("[!a-c]x", "dx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("a[", "a[", true),
            ("a[/]b", "a/b", false),
            ("", "", true),
        ] {
            assert_eq!(is_like(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn includes_are_found_beside_the_first_file_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("nginx.conf");
        fs::create_dir(folder.path().join("sites")).unwrap();
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.bak"] {
            fs::write(folder.path().join("sites").join(name), name).unwrap();
        }
        let files = OnDisk::new(&main, String::new());
        fs::create_dir_all(folder.path().join("hosts/one")).unwrap();
        fs::write(folder.path().join("hosts/one/server.conf"), "one").unwrap();
        let texts = |pattern: &str| {
            let Included { files, problems } = files.included(pattern);
            assert_eq!(problems, [""; 0]);
            files
                .iter()
                .map(|name| OnDisk::new(&main, String::new()).text(name, 99).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts("sites/*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(texts("sites/[!a].conf"), ["b.conf"]);
        assert_eq!(texts("hosts/*/server.conf"), ["one"]);
    }

    #[test]
    fn an_include_that_stands_for_nothing_or_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("nginx.conf");
        std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();
        fs::create_dir(folder.path().join("sites")).unwrap();
        let files = OnDisk::new(&main, String::new());
        for (pattern, expected) in [
            ("sites/*.conf", "there is no file like "),
            ("nowhere/*.conf", "there is no file like "),
            ("*/nowhere.conf", "there is no file like "),
            ("loop/*.conf", "loop cannot be read: "),
        ] {
            let Included { files, problems } = files.included(pattern);
            assert!(
                files.is_empty() && problems.len() == 1 && problems[0].contains(expected),
                "{problems:?}"
            );
        }
        for (pattern, expected) in [("nowhere.conf", "cannot be read: "), ("sites", "is no file")] {
            let name = files.included(pattern).files.remove(0);
            let why = files.text(&name, 99).unwrap_err();
            assert!(matches!(&why, Unread::Cannot(why) if why.contains(expected)), "{why:?}");
        }
    }

    #[test]
    fn neither_a_pipe_nor_a_file_without_an_end_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (main, pipe) = (folder.path().join("nginx.conf"), folder.path().join("pipe"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let files = OnDisk::new(&main, String::new());
        for name in [pipe.to_str().unwrap(), "/dev/zero"] {
            assert_eq!(files.text(name, 99), Err(Unread::Cannot(format!("{name} is no file"))));
        }
        assert!(read_main(Path::new("/dev/zero")).unwrap_err().message().contains("longer than 8 MiB"));
        fs::write(&main, "0123456789").unwrap();
        let elsewhere = folder.path().join("other.conf");
        let (files, name) = (OnDisk::new(&elsewhere, String::new()), main.to_str().unwrap());
        assert_eq!(files.text(name, 9), Err(Unread::TooLong));
        assert_eq!(files.text(name, 10).as_deref(), Ok("0123456789"));
    }

    #[test]
    fn what_nginx_prints_has_all_files_in_it() {
        let text = "nginx: the configuration file syntax is ok\n# configuration file /etc/nginx/nginx.conf:\ninclude sites/*;\n\
                    # configuration file /etc/nginx/sites/a:\nserver { }\n";
        let dump = Dump::of(text).unwrap();
        assert_eq!(dump.main(), "/etc/nginx/nginx.conf");
        assert_eq!(dump.text(&dump.main(), 99).unwrap(), "include sites/*;\n");
        assert_eq!(dump.text(&dump.included("sites/*").files[0], 99).unwrap(), "server { }\n");
        assert_eq!(dump.included("other").problems.len(), 1);
        assert_eq!(dump.included("other/*.conf"), Included::default(), "nginx has found nothing, either");
        assert!(Dump::of("server { }").is_none());
    }

    proptest! {
        #[test]
        fn any_pattern_and_any_name_come_to_an_end(pattern in "[ab*?/!\\-\\[\\]]{0,12}", name in "[ab/]{0,12}") {
            _ = is_like(&pattern, &name);
            prop_assert!(is_like(&name, &name));
        }
    }
}
