//! `[notify]`: who is told of warnings, trips and failed suspensions, and how.

use hyper::Uri;
use ringfence_model::{PhoneNumber, Secret, Sid};

use super::Surroundings;
use super::account::{Account, account_sid};
use super::problems::Problems;
use super::raw::{Field, Section, Table};
use super::secret;
use super::store::is_loopback;

pub(super) const SECTION: Section =
    Section { name: "[notify]", keys: &["mail", "webhook", "sms", "call"], later: &[] };
pub(super) const MAIL: Section =
    Section { name: "mail of [notify]", keys: &["smtp", "from", "to", "user", "password"], later: &[] };
pub(super) const WEBHOOK: Section =
    Section { name: "webhook of [notify]", keys: &["url", "secret", "slack"], later: &[] };
pub(super) const SMS: Section =
    Section { name: "sms of [notify]", keys: &["account", "from", "to"], later: &[] };
pub(super) const CALL: Section =
    Section { name: "call of [notify]", keys: &["account", "from", "to"], later: &[] };

const MAIL_FORM: &str =
    "{ smtp = \"smtp://localhost:25\", from = \"ringfence@example.com\", to = [\"ops@example.com\"] }";
const SMTP_FORM: &str = "\"smtp://host:25\", \"smtp://host:587?starttls\" or \"smtps://host:465\"";
const ADDRESS_FORM: &str = "a mail address such as \"ops@example.com\"";
const ADDRESSES_FORM: &str = "a list of mail addresses such as [\"ops@example.com\"]";
const WEBHOOK_FORM: &str = "{ url = \"https://ops.example.com/alerts\", secret = { env = \"NAME\" } }";
const WEBHOOK_URL_FORM: &str = "a URL such as \"https://ops.example.com/alerts\"";
const PHONE_FORM: &str = "{ account = \"AC…\", from = \"+15550006789\", to = [\"+15550001234\"] }";
const NUMBER_FORM: &str = "a number such as \"+15550001234\"";
const NUMBERS_FORM: &str = "a list of numbers such as [\"+15550001234\"]";

/// More would be a mailing list, which has an address of its own.
const RECIPIENTS_MAX: usize = 20;

/// Everybody who is told. At least one way is there.
#[derive(Debug)]
pub(crate) struct Notify {
    pub(crate) mail: Option<Mail>,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) sms: Option<Phone>,
    pub(crate) call: Option<Phone>,
}

/// Mail over SMTP.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: SmtpTls,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// The line of `smtp`, counted from 1.
    pub(crate) line: usize,
    /// User and password, where the server asks for them.
    pub(crate) login: Option<(String, Secret)>,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SmtpTls {
    /// It is not.
    None,
    /// From the `STARTTLS` command on, which the server must have.
    StartTls,
    /// From its beginning.
    Implicit,
}

/// A URL that notices are posted to.
#[derive(Debug)]
pub(crate) struct Webhook {
    /// Chat services have secrets in it.
    pub(crate) url: Secret,
    /// Its host, for people.
    pub(crate) host: String,
    /// Signs each notice.
    pub(crate) secret: Option<Secret>,
    /// Whether the body is one that Slack understands.
    pub(crate) slack: bool,
}

/// Messages or calls to the numbers of people on call.
#[derive(Debug)]
pub(crate) struct Phone {
    /// Sends them; it has its auth token here.
    pub(crate) account: Sid,
    /// A number of that account's; for messages a messaging service's SID too.
    pub(crate) from: String,
    pub(crate) to: Vec<PhoneNumber>,
}

/// `accounts` is nothing where not all of them could be read.
pub(super) fn resolve(
    table: Option<Table<'_>>,
    accounts: Option<&[Account]>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Notify> {
    let table = table?;
    let notify = Notify {
        mail: table.find("mail").and_then(|field| mail(field, around, problems)),
        webhook: table.find("webhook").and_then(|field| webhook(field, around, problems)),
        sms: table.find("sms").and_then(|field| phone(field, &SMS, accounts, problems)),
        call: table.find("call").and_then(|field| phone(field, &CALL, accounts, problems)),
    };
    if !SECTION.keys.iter().any(|key| table.has(key)) {
        problems.error(table.offset(), format!("[notify] tells nobody; add mail = {MAIL_FORM}"));
    }
    // What else the control plane could not work with is wrong here, and not only when it starts.
    if let Err(problem) = notify.settings() {
        problems.error(table.offset(), format!("[notify]: {}: {problem}", problem.key));
        return None;
    }
    Some(notify)
}

fn mail(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Mail> {
    let table = field.table(&MAIL, super::SECTIONS, MAIL_FORM, problems)?;
    let smtp = table.required("smtp", SMTP_FORM, problems);
    let from = table.required("from", ADDRESS_FORM, problems);
    let to = table.required("to", ADDRESSES_FORM, problems);
    let server = smtp.and_then(|field| field.parse_unshown(SMTP_FORM, problems, smtp_server));
    let from = from.and_then(|field| field.parse(ADDRESS_FORM, problems, mail_address));
    let to = to.and_then(|field| {
        recipients(field, ADDRESSES_FORM, problems, |item, problems| {
            item.parse(ADDRESS_FORM, problems, mail_address)
        })
    });
    let user = table.find("user").and_then(|field| {
        field.parse("the name that the server knows", problems, |text| {
            if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
        })
    });
    let password = table.find("password").and_then(|field| secret::read(field, around, problems));
    for (key, other) in [("user", "password"), ("password", "user")] {
        if table.has(key) && !table.has(other) {
            table.wrong(key, format_args!("it does nothing without `{other}`; add it"), problems);
        }
    }
    let (host, port, tls) = server?;
    if tls == SmtpTls::None && !is_loopback(&host) {
        if table.has("password") {
            table.wrong(
                "smtp",
                "the password would go over the network in clear; write \"smtps://…\", or add ?starttls",
                problems,
            );
        } else {
            table.doubtful(
                "smtp",
                "mail goes over the network in clear; write \"smtps://…\", or add ?starttls",
                problems,
            );
        }
    }
    let line = problems.line(table.find("smtp").map_or(table.offset(), |field| field.offset()));
    Some(Mail { host, port, tls, from: from?, to: to?, line, login: user.zip(password) })
}

/// The error completes the sentence "this …".
pub(crate) fn smtp_server(text: &str) -> Result<(String, u16, SmtpTls), &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("has no scheme")?;
    let (authority, query) = match rest.split_once('?') {
        Some((authority, query)) => (authority, Some(query)),
        None => (rest, None),
    };
    let (port, tls) = match (scheme, query) {
        ("smtp", None) => (25, SmtpTls::None),
        ("smtp", Some("starttls")) => (587, SmtpTls::StartTls),
        ("smtps", None) => (465, SmtpTls::Implicit),
        ("smtps", Some("starttls")) => return Err("begins with TLS already, so there is none to start"),
        ("smtp" | "smtps", Some(_)) => return Err("has something else than starttls after the ?"),
        _ => return Err("is no address of a mail server"),
    };
    if authority.contains('@') {
        return Err("has a user name in it, which belongs in `user`, and its password in `password`");
    }
    let uri: Uri = format!("http://{authority}/").parse().map_err(|_| "has no host")?;
    if authority.trim_end_matches('/').contains('/') {
        return Err("has a path");
    }
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("has no host")?;
    let has_port =
        authority.trim_end_matches('/').rsplit_once(']').map_or(authority, |(_, after)| after).contains(':');
    let port = match uri.port_u16() {
        Some(0) => return Err("has no port that could be reached"),
        Some(port) => port,
        None if has_port => return Err("has no port that could be reached"),
        None => port,
    };
    Ok((host.trim_matches(['[', ']']).to_owned(), port, tls))
}

/// An address of one mailbox. The error completes the sentence "`text` …".
pub(crate) fn mail_address(text: &str) -> Result<String, &'static str> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.contains(|letter: char| {
                letter.is_whitespace()
                    || letter.is_control()
                    || matches!(letter, '@' | ',' | ';' | ':' | '<' | '>' | '"')
            })
    };
    match text.rsplit_once('@') {
        Some((local, domain)) if is_plain(local) && is_plain(domain) => Ok(text.to_owned()),
        _ => Err("is not a mail address"),
    }
}

fn webhook(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Webhook> {
    let table = field.table(&WEBHOOK, super::SECTIONS, WEBHOOK_FORM, problems)?;
    let secret = table.find("secret").map(|field| secret::read(field, around, problems));
    let slack = match table.find("slack") {
        Some(field) => field.boolean(problems),
        None => Some(false),
    };
    let url_field = table.required("url", WEBHOOK_URL_FORM, problems)?;
    let url = match url_field.as_text() {
        Some(text) => Secret::new(text),
        None if url_field.is_table() => secret::read(url_field, around, problems)?,
        None => {
            url_field.wrong_type("a URL", WEBHOOK_URL_FORM, problems);
            return None;
        }
    };
    // The URL is not echoed: those of chat services are secrets.
    let (host, is_plain) = match web_host(url.expose()) {
        Ok(host) => host,
        Err(what) => {
            url_field.wrong(format_args!("this {what}; write {WEBHOOK_URL_FORM}"), problems);
            return None;
        }
    };
    if is_plain && !is_loopback(&host) {
        url_field.doubtful("notices go over the network in clear; use https", problems);
    }
    if slack == Some(false) && !table.has("secret") {
        table.doubtful(
            "url",
            "without `secret` the receiver cannot tell our notices from anybody's; add secret = { env = \"NAME\" }",
            problems,
        );
    }
    let secret = match secret {
        Some(secret) => Some(secret?),
        None => None,
    };
    Some(Webhook { url, host, secret, slack: slack? })
}

/// Its host, and whether it goes without TLS.
fn web_host(text: &str) -> Result<(String, bool), &'static str> {
    let uri: Uri = text.parse().map_err(|_| "is no URL")?;
    let is_plain = match uri.scheme_str() {
        Some("https") => false,
        Some("http") => true,
        _ => return Err("is no URL with https://"),
    };
    let authority = uri.authority().ok_or("has no host")?;
    if authority.as_str().contains('@') {
        return Err("has a user name in it; notices are signed with `secret` instead");
    }
    Ok((authority.host().to_owned(), is_plain))
}

fn phone(
    field: Field<'_>,
    section: &'static Section,
    accounts: Option<&[Account]>,
    problems: &mut Problems,
) -> Option<Phone> {
    let is_sms = section.name == SMS.name;
    let table = field.table(section, super::SECTIONS, PHONE_FORM, problems)?;
    let account = table.required("account", "the SID of an [[account]]", problems);
    let from = table.required("from", NUMBER_FORM, problems);
    let to = table.required("to", NUMBERS_FORM, problems);
    let account = account.and_then(|field| sender(field, accounts, problems));
    let from = from.and_then(|field| {
        let form = if is_sms {
            "a number such as \"+15550006789\", or a messaging service's SID"
        } else {
            NUMBER_FORM
        };
        field.parse_unshown(form, problems, |text| {
            let is_service = is_sms && Sid::parse(text).is_ok_and(|sid| sid.is("MG"));
            if is_service || PhoneNumber::parse(text).is_ok() {
                Ok(text.to_owned())
            } else {
                Err("is no sender")
            }
        })
    });
    let to = to.and_then(|field| {
        recipients(field, NUMBERS_FORM, problems, |item, problems| {
            item.parse_unshown(NUMBER_FORM, problems, |text| {
                PhoneNumber::parse(text).map_err(|_| "is no phone number with + and its country")
            })
        })
    });
    Some(Phone { account: account?, from: from?, to: to? })
}

fn sender(field: Field<'_>, accounts: Option<&[Account]>, problems: &mut Problems) -> Option<Sid> {
    let sid = account_sid(field, problems)?;
    let sid = Sid::parse(sid.as_str()).ok()?;
    let has_token =
        |accounts: &[Account]| accounts.iter().any(|account| account.is(sid) && account.auth_token.is_some());
    if accounts.is_some_and(|accounts| !has_token(accounts)) {
        field.wrong(
            format_args!(
                "{sid} has no auth token here to send with; add an [[account]] for it with auth_token"
            ),
            problems,
        );
        return None;
    }
    Some(sid)
}

/// A list with somebody in it.
fn recipients<T>(
    field: Field<'_>,
    form: &str,
    problems: &mut Problems,
    read: impl Fn(&Field<'_>, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let list = field.list(form, problems)?;
    if list.is_empty() || list.len() > RECIPIENTS_MAX {
        let what = if list.is_empty() { "the list is empty" } else { "the list has more than 20" };
        field.wrong(format_args!("{what}; write {form}"), problems);
        return None;
    }
    let read: Vec<_> = list.iter().filter_map(|item| read(item, problems)).collect();
    (read.len() == list.len()).then_some(read)
}
