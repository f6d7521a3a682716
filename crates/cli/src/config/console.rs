//! `[console]`: where people find it, and which pages elsewhere are entered through it. Where it listens is [listen]'s.

use std::net::SocketAddr;

use hyper::Uri;
use ringfence_control::people::ProtectedHost;
use ringfence_gateway::settings::Listen;

use super::Surroundings;
use super::problems::Problems;
use super::protect;
use super::raw::{Section, Table};
use super::store::is_loopback;

pub(super) const SECTION: Section = Section { name: "[console]", keys: &["url", "protect"], later: &[] };

const URL_FORM: &str = "what people type to reach it, such as \"https://ringfence.example.com\"";

/// What the console is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Console {
    /// Where it is reached, without a path: links in mails begin with it. None where nobody said so and it is not on
    /// this machine.
    pub(crate) url: Option<String>,
    /// Hosts that are entered through it.
    pub(crate) hosts: Vec<ProtectedHost>,
}

pub(super) fn resolve(
    table: Option<Table<'_>>,
    listen: &Listen,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Console {
    let Some(table) = table else {
        return Console { url: on_this_machine(listen.console), hosts: Vec::new() };
    };
    if listen.console.is_none() {
        problems.error(
            table.offset(),
            "[console] is there, and [listen] has no `console`; add it, such as console = \"127.0.0.1:8400\"",
        );
    }
    let errors_before = problems.errors_len();
    let url = url(&table, problems);
    let rest = protect::Rest {
        console_url: url.as_deref(),
        has_trusted_proxies: !listen.trusted_proxies.is_empty(),
    };
    // One mistake is told once.
    let is_sound = problems.errors_len() == errors_before && listen.console.is_some();
    let protect = table.find("protect").filter(|_| is_sound);
    let hosts = protect.map(|field| protect::resolve(field, &rest, around, problems)).unwrap_or_default();
    Console { url, hosts }
}

/// Where whoever is on this machine reaches it.
fn on_this_machine(listens_at: Option<SocketAddr>) -> Option<String> {
    let own = listens_at.filter(|address| address.ip().is_loopback() && address.port() != 0);
    own.map(|address| format!("http://localhost:{}", address.port()))
}

fn url(table: &Table<'_>, problems: &mut Problems) -> Option<String> {
    let field = table.find("url")?;
    let Some(text) = field.as_text() else {
        field.wrong_type("a text", URL_FORM, problems);
        return None;
    };
    checked(text).map_err(|why| table.wrong("url", why, problems)).ok()
}

/// The host of such a URL, with its port.
pub(super) fn host_of(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, host)| host)
}

fn checked(text: &str) -> Result<String, String> {
    origin(
        text,
        URL_FORM,
        "passwords are typed there, so it begins with https:// unless it is on this machine",
    )
}

/// A URL of scheme, host and port, without the `/` that may end it. `form` says what to write, `why` why not in clear.
pub(super) fn origin(text: &str, form: &str, why: &str) -> Result<String, String> {
    let bare = text.strip_suffix('/').unwrap_or(text);
    let uri: Uri = bare.parse().map_err(|_| format!("`{}` is no URL; write {form}", text.escape_debug()))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("`{}` is no URL; write {form}", text.escape_debug()));
    };
    if bare.len() != scheme.len() + 3 + authority.as_str().len() || authority.as_str().contains('@') {
        return Err(format!("only scheme, host and port belong here; write {form}"));
    }
    match scheme {
        "https" => Ok(bare.to_owned()),
        "http" if is_loopback(authority.host()) => Ok(bare.to_owned()),
        _ => Err(why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_could_not_type_or_should_not_is_refused() {
        for text in [
            "",
            "ringfence.example.com",
            "https://",
            "https://a.example/console",
            "https://a.example/?x",
            "https://user@a.example",
            "http://a.example",
            "ftp://a.example",
            "https://a.example//",
        ] {
            assert!(checked(text).is_err(), "{text}");
        }
        assert_eq!(checked("https://a.example:8443/").as_deref(), Ok("https://a.example:8443"));
        assert_eq!(checked("http://127.0.0.1:8400").as_deref(), Ok("http://127.0.0.1:8400"));
        assert_eq!(checked("http://localhost:8400").as_deref(), Ok("http://localhost:8400"));
    }
}
