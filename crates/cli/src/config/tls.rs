//! `[tls]`: the gate's certificate, from files or from a certificate authority that speaks ACME.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use ringfence_gateway::acme::{AcmeSettings, LETS_ENCRYPT};
use ringfence_gateway::settings::Tls;
use ringfence_gateway::tls::{CertificatePaths, CertificateStore, Validity};

use super::Surroundings;
use super::problems::Problems;
use super::raw::{Field, Section, Table};

pub(super) const SECTION: Section =
    Section { name: "[tls]", keys: &["certificate", "key", "acme"], later: &[] };

pub(super) const ACME: Section = Section {
    name: "acme of [tls]",
    keys: &["domains", "contact", "directory_url", "cache", "authority_roots"],
    later: &[],
};

const ACME_FORM: &str = "{ domains = [\"hooks.example.com\"], contact = \"ops@example.com\" }";

/// Beside the configuration file, unless another folder is named.
const CACHE: &str = "acme-cache";

const EXPIRES_SOON: Duration = Duration::from_hours(7 * 24);

pub(super) fn resolve(
    table: Option<Table<'_>>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Tls> {
    let table = table?;
    if let Some(field) = table.find("acme") {
        for key in ["certificate", "key"] {
            if table.has(key) {
                table.wrong(
                    key,
                    "with `acme` the certificate comes from the authority; leave one of them out",
                    problems,
                );
            }
        }
        return acme(field, around, problems).map(Tls::Acme);
    }
    let certificate = table.required("certificate", "the path of a PEM file, or acme", problems);
    let key = table.required("key", "the path of a PEM file, or acme", problems);
    let certificate = readable_file(certificate?, around, problems);
    let key = readable_file(key?, around, problems);
    let paths = CertificatePaths { chain: certificate?, key: key? };
    // Read now, so that a wrong file is found before anything stops or starts.
    match CertificateStore::load(&paths) {
        Ok(store) => {
            if let Some(validity) = store.validity() {
                let so = "so Twilio will not connect";
                warn_of_expiry(&table, "certificate", validity, so, around.now, problems);
            }
        }
        Err(error) => {
            let of = if error.is_about_key(&paths) { "key" } else { "certificate" };
            table.wrong(of, error, problems);
        }
    }
    Some(Tls::Files(paths))
}

/// A certificate that ends soon still works today; nobody else tells the operator. `so` is what comes of one that has ended.
pub(super) fn warn_of_expiry(
    table: &Table<'_>,
    key: &'static str,
    validity: Validity,
    so: &str,
    now: SystemTime,
    problems: &mut Problems,
) {
    if now > validity.not_after {
        table.doubtful(key, format_args!("it has expired, {so}; renew it"), problems);
    } else if now < validity.not_before {
        table.doubtful(key, "it is not valid yet; look at this machine's clock", problems);
    } else if now + EXPIRES_SOON > validity.not_after {
        table.doubtful(key, "it expires within a week; renew it", problems);
    }
}

fn acme(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<AcmeSettings> {
    let table = field.table(&ACME, super::SECTIONS, ACME_FORM, problems)?;
    let domains = table.required("domains", "a list of names, such as [\"hooks.example.com\"]", problems);
    let contact = table.required("contact", "the mail address of whoever renews certificates", problems);
    let domains = domains?.list("a list of names, such as [\"hooks.example.com\"]", problems)?;
    if domains.is_empty() {
        table.wrong("domains", "the list is empty; name the host of the public URL", problems);
    }
    let names: Vec<String> = domains
        .iter()
        .filter_map(|name| name.parse("a name such as \"hooks.example.com\"", problems, domain))
        .collect();
    let contact = contact?.parse("a mail address such as \"ops@example.com\"", problems, |text| {
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        if address.contains('@') && !address.contains(char::is_whitespace) {
            Ok(address.to_owned())
        } else {
            Err("is not a mail address")
        }
    });
    let directory_url = match table.find("directory_url") {
        None => LETS_ENCRYPT.to_owned(),
        Some(field) => field.parse(&format!("a URL such as \"{LETS_ENCRYPT}\""), problems, |text| {
            if text.starts_with("https://") {
                Ok(text.to_owned())
            } else {
                Err("does not begin with https://")
            }
        })?,
    };
    let cache = match table.find("cache") {
        None => around.resolve(CACHE),
        Some(field) => path(field, "a path", around, problems)?,
    };
    let authority_roots = match table.find("authority_roots") {
        None => None,
        Some(field) => Some(readable_file(field, around, problems)?),
    };
    let complete = names.len() == domains.len() && !names.is_empty();
    let contact = contact?;
    complete.then_some(AcmeSettings {
        domains: names,
        contact: vec![contact],
        directory_url,
        cache_dir: cache,
        authority_roots,
    })
}

fn domain(text: &str) -> Result<String, &'static str> {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if text.starts_with("*.") {
        return Err("is a wildcard, which this way of proving a domain (TLS-ALPN-01) cannot get");
    }
    if text.split('.').count() < 2 || !text.split('.').all(label) {
        return Err("is not a domain name");
    }
    Ok(text.to_ascii_lowercase())
}

/// A path as it is meant. What stands there is looked at by whoever uses it.
pub(super) fn path(
    field: Field<'_>,
    form: &str,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<PathBuf> {
    field.parse(
        form,
        problems,
        |text| if text.is_empty() { Err("is empty") } else { Ok(around.resolve(text)) },
    )
}

/// A path whose file is there now. What it holds is looked at by whoever uses it.
fn readable_file(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let path = path(field, "a path", around, problems)?;
    if let Err(error) = std::fs::File::open(&path) {
        field.wrong(format_args!("cannot read {}: {error}", path.display()), problems);
        return None;
    }
    Some(path)
}
