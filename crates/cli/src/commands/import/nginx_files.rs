//! Where the text of an nginx configuration comes from: files, or what `nginx -T` prints.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::nginx::Sources;

/// No file of a configuration is as long.
const BYTES_MAX: u64 = 8 << 20;

/// No pattern of one stands for more files.
const FILES_MAX: usize = 512;

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
        self.file.display().to_string()
    }

    fn text(&self) -> Result<String, String> {
        Ok(self.text.clone())
    }

    fn included(&self, pattern: &str) -> Result<Vec<(String, String)>, String> {
        let pattern = self.file.parent().unwrap_or(Path::new("")).join(pattern);
        let paths = expanded(&pattern);
        if paths.len() > FILES_MAX {
            return Err(format!("{} stands for more than {FILES_MAX} files", pattern.display()));
        }
        paths.iter().map(|path| Ok((path.display().to_string(), read(path)?))).collect()
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

    fn text(&self) -> Result<String, String> {
        self.files.first().map(|(_, text)| text.clone()).ok_or_else(|| "there is no file in it".to_owned())
    }

    fn included(&self, pattern: &str) -> Result<Vec<(String, String)>, String> {
        let main = self.main();
        let pattern = Path::new(&main).parent().unwrap_or(Path::new("")).join(pattern);
        let pattern = pattern.to_string_lossy();
        let found: Vec<_> = self.files.iter().filter(|(name, _)| is_like(&pattern, name)).cloned().collect();
        if found.is_empty() && !pattern.contains('*') {
            return Err(format!("{pattern} is not among what was printed"));
        }
        Ok(found)
    }
}

/// The files that a path with wildcards in its last part stands for, in their order.
fn expanded(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !name.contains(['*', '?']) {
        return vec![pattern.to_owned()];
    }
    let folder = pattern.parent().unwrap_or(Path::new(""));
    // A folder that is not there has no files, as nginx takes it.
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| is_like(&name, &entry.file_name().to_string_lossy()))
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut text = Vec::new();
    fs::File::open(path).map_err(cannot)?.take(BYTES_MAX + 1).read_to_end(&mut text).map_err(cannot)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(format!("{} is longer than 8 MiB", path.display()));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Whether a name is like a pattern, in which `*` stands for any letters but `/`, and `?` for one.
fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // The last star, and how much it stands for.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == name[seen] || (*letter == '?' && name[seen] != '/') => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((before, taken)) if name[taken] != '/' => {
                    star = Some((before, taken + 1));
                    at = before + 1;
                    seen = taken + 1;
                }
                _ => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
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
        let texts = |pattern: &str| {
            files.included(pattern).map(|all| all.into_iter().map(|(_, text)| text).collect::<Vec<_>>())
        };
        assert_eq!(texts("sites/*.conf").unwrap(), ["a.conf", "b.conf"]);
        assert_eq!(texts("nowhere/*.conf").unwrap(), [""; 0]);
        assert!(texts("nowhere.conf").is_err());
    }

    #[test]
    fn what_nginx_prints_has_all_files_in_it() {
        let text = "nginx: the configuration file syntax is ok\n# configuration file /etc/nginx/nginx.conf:\ninclude sites/*;\n\
                    # configuration file /etc/nginx/sites/a:\nserver { }\n";
        let dump = Dump::of(text).unwrap();
        assert_eq!(dump.main(), "/etc/nginx/nginx.conf");
        assert_eq!(dump.text().unwrap(), "include sites/*;\n");
        assert_eq!(dump.included("sites/*").unwrap()[0].1, "server { }\n");
        assert!(dump.included("other").is_err());
        assert!(Dump::of("server { }").is_none());
    }

    proptest! {
        #[test]
        fn any_pattern_and_any_name_come_to_an_end(pattern in "[ab*?/]{0,12}", name in "[ab/]{0,12}") {
            _ = is_like(&pattern, &name);
            prop_assert!(is_like(&name, &name));
        }
    }
}
