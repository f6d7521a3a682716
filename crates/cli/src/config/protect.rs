//! `[[console.protect]]`: hosts before whose pages the console's sign-in is put.

use ringfence_control::people::ProtectedHost;
use ringfence_model::{Sid, StampKey};
use ringfence_store::{Role, Where};

use super::Surroundings;
use super::account::account_sid;
use super::console::host_of;
use super::problems::Problems;
use super::raw::{Field, Section, Table};
use super::secret;

pub(super) const SECTION: Section =
    Section { name: "[[console.protect]]", keys: &["host", "account", "role", "proof_key"], later: &[] };

const HOST_FORM: &str = "the host as browsers name it, such as \"wiki.example.com\"";
/// Who enters where nobody said: everybody who has a role there.
const ROLE: Role = Role::Visitor;

/// What the rest of the file has.
pub(super) struct Rest<'a> {
    /// Where the console is.
    pub(super) console_url: Option<&'a str>,
    /// Whether anybody's forwarded headers count.
    pub(super) has_trusted_proxies: bool,
}

pub(super) fn resolve(
    field: Field<'_>,
    rest: &Rest<'_>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<ProtectedHost> {
    let form = "[[console.protect]], with two brackets, before each of them";
    let Some(list) = field.list(form, problems) else { return Vec::new() };
    let mut hosts: Vec<ProtectedHost> = Vec::new();
    for item in &list {
        let Some(table) = item.table(&SECTION, super::SECTIONS, form, problems) else { continue };
        let Some(host) = one(&table, around, problems) else { continue };
        if let Some(why) = taken(&host.host, &hosts, rest.console_url) {
            table.wrong("host", why, problems);
            continue;
        }
        hosts.push(host);
    }
    if !list.is_empty() && !rest.has_trusted_proxies {
        field.wrong(
            "proxies ask in forwarded headers, which count only from `trusted_proxies` of [listen], and that lists \
             none; list the proxies there, such as [\"127.0.0.1\"]",
            problems,
        );
    }
    match rest.console_url {
        None => field.wrong(
            "people are sent to the console to sign in, and nothing says where it is; add `url` to [console]",
            problems,
        ),
        Some(url) if url.starts_with("http://") => field.doubtful(
            format_args!("people are sent to {url} to sign in, which only browsers on this machine reach"),
            problems,
        ),
        Some(_) => {}
    }
    hosts
}

fn one(table: &Table<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<ProtectedHost> {
    let errors_before = problems.errors_len();
    let host = table.required("host", HOST_FORM, problems);
    let host = host.and_then(|field| field.parse(HOST_FORM, problems, checked));
    let place = match table.find("account") {
        None => Some(Where::Everywhere),
        Some(field) => {
            account_sid(field, problems).and_then(|sid| Sid::parse(sid.as_str()).ok()).map(Where::Account)
        }
    };
    let role = match table.find("role") {
        None => Some(ROLE),
        Some(field) => field.choice(&Role::ALL.map(|role| (role.word(), role)), problems),
    };
    let key = table.find("proof_key").and_then(|field| proof_key(field, around, problems));
    let (host, place, role) = (host?, place?, role?);
    (problems.errors_len() == errors_before).then_some(ProtectedHost { host, place, role, key })
}

fn proof_key(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<StampKey> {
    let secret = secret::read(field, around, problems)?;
    match StampKey::new(&secret) {
        Ok(key) => Some(key),
        Err(error) => {
            field.wrong(format_args!("the secret {error}; try `openssl rand -hex 32`"), problems);
            None
        }
    }
}

/// A host with its port, in lower case.
fn checked(text: &str) -> Result<String, &'static str> {
    if text.contains('*') {
        return Err("has a wildcard; each host has sessions of its own, so list them one by one");
    }
    if text.contains("://") || text.contains('/') {
        return Err("is a URL; scheme and path do not belong here, pages are protected over https only");
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    if let Some(port) = port {
        match port.parse::<u16>() {
            Ok(443) => {
                return Err("has the port that https has anyway, which browsers leave out; leave it out");
            }
            Ok(80) => return Err("has the port of http, and pages are protected over https only"),
            Ok(1..) => {}
            Ok(0) | Err(_) => return Err("has no port after its colon"),
        }
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("is no host; other scripts than ASCII are written as browsers send them (xn--…)");
    }
    Ok(text.to_ascii_lowercase())
}

/// Why this host cannot stand beside the others.
fn taken(host: &str, others: &[ProtectedHost], console_url: Option<&str>) -> Option<String> {
    let name = |host: &str| host.split(':').next().unwrap_or_default().to_owned();
    if console_url.is_some_and(|url| name(host_of(url)).eq_ignore_ascii_case(&name(host))) {
        return Some(
            "this is the console's own host; browsers send its cookies to every port, so a page there could use the \
             console as whoever reads it"
                .to_owned(),
        );
    }
    let other = others.iter().find(|other| name(&other.host) == name(host))?;
    Some(if other.host == host {
        format!("{host} is there already; one of them would never count")
    } else {
        format!(
            "{} is there with another port, and browsers send cookies to every port: signing in to one would sign out \
             of the other",
            other.host
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_browser_names_so_is_no_host() {
        for text in [
            "",
            "*.example.com",
            "*",
            "https://wiki.example.com",
            "wiki.example.com/",
            "wiki.example.com:443",
            "wiki.example.com:80",
            "wiki.example.com:",
            "wiki.example.com:https",
            "wiki.example.com:0",
            "wiki..example.com",
            "wiki.example.com.",
            "-wiki.example.com",
            "user@wiki.example.com",
            "wiki example.com",
            "wiki.example.com\r\nX: y",
            "wíki.example.com",
            "[::1]",
        ] {
            assert!(checked(text).is_err(), "{text:?}");
        }
        assert_eq!(checked("Wiki.Example.com").as_deref(), Ok("wiki.example.com"));
        assert_eq!(checked("crm.example.com:8443").as_deref(), Ok("crm.example.com:8443"));
        assert_eq!(checked("xn--bcher-kva.example").as_deref(), Ok("xn--bcher-kva.example"));
    }
}
