//! `[media]`: files of messages and recordings, for whoever may see them. It is off where the section is not there.

use std::net::SocketAddr;
use std::time::Duration;

use ringfence_control::people::Hosts;
use ringfence_gateway::TwilioBase;
use ringfence_gateway::media::FileHost;
use ringfence_gateway::settings::{EgressAccount, Listen, Media, MediaSignIn, Route, TwilioTls};
use ringfence_store::Where;

use super::console::{self, host_of};
use super::control::Credentials;
use super::listen;
use super::machine;
use super::problems::Problems;
use super::raw::{Field, Section, Table};
use super::twilio::{self, Twilio};
use super::units;

pub(super) const SECTION: Section = Section {
    name: "[media]",
    keys: &["listen", "public_url", "sign_in_host", "hosts", "timeout", "size_max"],
    later: &[],
};

const URL_FORM: &str = "what links to files begin with, such as \"https://media.example.com\"";
const HOSTS_FORM: &str =
    "a list of hosts, such as [\"*.twilio.com\", \"*.twiliocdn.com\", \"s3-external-1.amazonaws.com\"]";
const SIZE_FORM: &str = "a size from \"1 MiB\" to \"8 GiB\"";

/// For the head of the file's answer, redirects included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Media have some megabytes; an hour of two voices as WAV has 115.
const SIZE_MAX: usize = 512 << 20;
const SIZE_LEAST: usize = 1 << 20;
const SIZE_MOST: usize = 8 << 30;
/// For the whole of a file: whoever reads more slowly comes again for the rest.
const FILE_WITHIN: Duration = Duration::from_hours(1);

/// What the rest of the file has.
pub(super) struct Rest<'a> {
    pub(super) listen: &'a Listen,
    pub(super) routes: &'a [Route],
    pub(super) has_tls: bool,
    pub(super) has_store: bool,
    pub(super) console_url: Option<&'a str>,
    /// Hosts before whose pages the console's sign-in is put.
    pub(super) hosts: &'a Hosts,
    pub(super) twilio: &'a Twilio,
    /// Nothing where not all accounts could be read, which was told.
    pub(super) accounts: Option<&'a [Credentials]>,
}

/// Where it listens, and what it is told.
pub(super) fn resolve(
    table: Option<Table<'_>>,
    rest: &Rest<'_>,
    problems: &mut Problems,
) -> Option<(SocketAddr, Media)> {
    let table = table?;
    let at = address(&table, rest, problems);
    let public_url = public_url(&table, rest, problems);
    let sign_in = table.find("sign_in_host").map(|field| sign_in(field, rest, problems));
    let hosts = table.find("hosts").map_or_else(|| Some(FileHost::usual()), |field| hosts(field, problems));
    let timeout = match table.find("timeout") {
        Some(field) => twilio::time(field, "1s", "2m", problems),
        None => Some(TIMEOUT),
    };
    let size_max = match table.find("size_max") {
        Some(field) => field.parse(SIZE_FORM, problems, size),
        None => Some(SIZE_MAX),
    };
    if !rest.has_store {
        problems.error(
            table.offset(),
            "[media] needs a [store], which keeps the key of links; add one, such as url = \"sqlite:ringfence.db\"",
        );
    }
    if rest.accounts.is_some_and(<[Credentials]>::is_empty) {
        problems.error(
            table.offset(),
            "[media]: no account has an auth token to ask Twilio with; give an [[account]] auth_token",
        );
    }
    let client = &rest.twilio.client;
    let tls = TwilioTls::new(&client.extra_roots).map_err(|error| {
        problems.error_of_file(format!("Twilio's certificates cannot be checked: {error}"));
    });
    let base = client.base.to_string().parse::<TwilioBase>();
    let base = base.map_err(|error| problems.error_of_file(format!("`base_url` in [twilio]: {error}")));
    let account = |account: &Credentials| EgressAccount {
        sid: account.account,
        parent: account.parent,
        auth_token: account.auth_token.clone(),
    };
    let media = Media {
        public_url: public_url?,
        twilio: base.ok()?,
        tls: tls.ok()?,
        accounts: rest.accounts?.iter().map(account).collect(),
        hosts: hosts?,
        timeout: timeout?,
        bytes_max: size_max? as u64,
        file_within: FILE_WITHIN,
        sign_in: match sign_in {
            Some(named) => Some(named?),
            None => None,
        },
    };
    Some((at?, media))
}

fn address(table: &Table<'_>, rest: &Rest<'_>, problems: &mut Problems) -> Option<SocketAddr> {
    table.required("listen", listen::ADDRESS, problems)?;
    let at = listen::address(table, "listen", problems)?;
    let others = listen::all(rest.listen).into_iter().filter_map(|(other, its)| Some((other, its?)));
    if let Some((other, its)) = others.into_iter().find(|(_, its)| listen::collide(*its, at)) {
        table.wrong("listen", listen::taken_by(at, its, format_args!("`{other}` in [listen]")), problems);
    }
    let leads_here =
        |route: &&Route| route.upstream.address().is_some_and(|upstream| machine::is_at(upstream, at));
    if let Some(route) = rest.routes.iter().find(leads_here) {
        let what = format_args!(
            "{at} is the `upstream` of the route {}; write the application's there",
            route.label
        );
        table.wrong("listen", what, problems);
    }
    if !at.ip().is_loopback() && !rest.has_tls && rest.listen.trusted_proxies.is_empty() {
        table.wrong(
            "listen",
            format_args!(
                "{at} without [tls]: links and files would travel in clear; add [tls], or listen on 127.0.0.1, or list the \
                 proxy that ends TLS in trusted_proxies of [listen]"
            ),
            problems,
        );
    }
    Some(at)
}

fn public_url(table: &Table<'_>, rest: &Rest<'_>, problems: &mut Problems) -> Option<String> {
    let field = table.required("public_url", URL_FORM, problems)?;
    let Some(text) = field.as_text() else {
        field.wrong_type("a text", URL_FORM, problems);
        return None;
    };
    let why = "whoever sees a link can use it, so it begins with https:// unless it is on this machine";
    let url =
        console::origin(text, URL_FORM, why).map_err(|why| table.wrong("public_url", why, problems)).ok()?;
    let name = |url: &str| host_of(url).split(':').next().unwrap_or_default().to_ascii_lowercase();
    if rest.console_url.is_some_and(|console| name(console) == name(&url) && url.starts_with("https:")) {
        field.wrong(
            "this is the console's own host, and strangers send the files; give them a host of their own",
            problems,
        );
    }
    if url.starts_with("http:") {
        field.doubtful("links lead to this machine, and nobody elsewhere can open them", problems);
    }
    Some(url)
}

/// The protected host whose people see files.
fn sign_in(field: Field<'_>, rest: &Rest<'_>, problems: &mut Problems) -> Option<MediaSignIn> {
    let form = "the `host` of a [[console.protect]]";
    let named = field.parse(form, problems, |text| {
        rest.hosts.find(text).ok_or("is the host of no [[console.protect]] that is right")
    })?;
    let Some(key) = named.key.clone() else {
        field.wrong(
            format_args!("the [[console.protect]] of {} has no `proof_key`, so anybody could say who is signed in; add one", named.host),
            problems,
        );
        return None;
    };
    let account = match named.place {
        Where::Everywhere => None,
        Where::Account(account) => Some(account),
    };
    Some(MediaSignIn { host: named.host.clone(), key, account })
}

fn hosts(field: Field<'_>, problems: &mut Problems) -> Option<Vec<FileHost>> {
    let list = field.list(HOSTS_FORM, problems)?;
    if list.is_empty() {
        field.wrong(
            format_args!("it is empty, and Twilio keeps media elsewhere than its API; write {HOSTS_FORM}"),
            problems,
        );
        return None;
    }
    let mut hosts = Vec::with_capacity(list.len());
    for item in &list {
        let host = item.parse(HOSTS_FORM, problems, |text| text.parse::<FileHost>())?;
        if host.to_string() == "*.amazonaws.com" {
            item.doubtful(
                "this is everybody's storage and everybody's machines at Amazon; name the bucket's host",
                problems,
            );
        }
        hosts.push(host);
    }
    Some(hosts)
}

fn size(text: &str) -> Result<usize, String> {
    match units::bytes(text)? {
        size if size < SIZE_LEAST => Err("is too small".to_owned()),
        size if size > SIZE_MOST => Err("is too much".to_owned()),
        size => Ok(size),
    }
}
