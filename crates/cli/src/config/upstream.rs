//! `upstream` of `[[route]]` and what comes with it: where a verified request goes, and how an application that is spoken to
//! over TLS proves who it is.
//!
//! The files are read here and nowhere later, at the start and at every reload. Nothing is asked over the network.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ringfence_gateway::settings::{Listen, Mode, Upstream};
use ringfence_gateway::tls::CertificatePaths;
use ringfence_gateway::upstream::{UpstreamAddress, UpstreamName, UpstreamTls, UpstreamTlsError};

use super::Surroundings;
use super::machine::{is_named_by_one_word, is_on_this_machine, own_listener};
use super::problems::Problems;
use super::raw::{Field, Table};
use super::tls::{path, warn_of_expiry};

const FORM: &str = "an address such as \"http://127.0.0.1:3000\" or \"https://app.internal:8443\", \"breaker\" for usage \
                    triggers, or \"second-factor\" for keys pressed in calls";
const NAME_FORM: &str = "the name in the application's certificate, such as \"app.internal\"";
const FILE_FORM: &str = "the path of a PEM file";

/// The keys that only an application over TLS gives a meaning.
const OF_TLS: [&str; 4] = ["upstream_ca", "upstream_name", "upstream_certificate", "upstream_key"];

/// What was read of files. Routes that name the same files share it, and so their connections; what could not be read is told
/// at each route and tried again.
#[derive(Default)]
pub(super) struct FilesRead(BTreeMap<Files, UpstreamTls>);

/// The authorities; the certificate and the key that we show.
type Files = (Option<PathBuf>, Option<(PathBuf, PathBuf)>);

/// Where the route leads.
pub(super) fn resolve(
    table: &Table<'_>,
    read: &mut FilesRead,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Upstream> {
    let field = table.required("upstream", FORM, problems)?;
    let upstream = field.parse(FORM, problems, |text| {
        text.parse::<Upstream>().map_err(|error| format!("cannot be used: {error}"))
    })?;
    match upstream {
        Upstream::Application(address) if address.is_tls() => {
            over_tls(table, &address, read, around, problems).map(Upstream::Application)
        }
        other => {
            for key in OF_TLS.into_iter().filter(|key| table.has(key)) {
                let what = format_args!(
                    "the upstream {other} shows no certificate, so it would have no effect; write upstream = \
                     \"https://…\", or remove it"
                );
                table.wrong(key, what, problems);
            }
            Some(other)
        }
    }
}

/// An application that must prove who it is.
fn over_tls(
    table: &Table<'_>,
    address: &UpstreamAddress,
    read: &mut FilesRead,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<UpstreamAddress> {
    let errors_before = problems.errors_len();
    let name = table
        .find("upstream_name")
        .and_then(|field| field.parse(NAME_FORM, problems, |text| text.parse::<UpstreamName>()));
    let mut file =
        |key| table.find(key).and_then(|field: Field<'_>| path(field, FILE_FORM, around, problems));
    let authorities = file("upstream_ca");
    let (certificate, key) = (file("upstream_certificate"), file("upstream_key"));
    for (given, missing) in
        [("upstream_certificate", "upstream_key"), ("upstream_key", "upstream_certificate")]
    {
        if table.has(given) && !table.has(missing) {
            let what = format_args!(
                "a certificate is shown with its key; add `{missing}`, which may be the same file"
            );
            table.wrong(given, what, problems);
        }
    }
    if problems.errors_len() > errors_before {
        return None;
    }
    let files = (authorities, certificate.zip(key));
    if files == (None, None) {
        return Some(address.with_tls(&UpstreamTls::public(), name));
    }
    let tls = if let Some(tls) = read.0.get(&files) {
        tls.clone()
    } else {
        let tls = load(table, &files, problems)?;
        read.0.insert(files, tls.clone());
        tls
    };
    if let Some(validity) = tls.identity_validity() {
        let so = "so the application will refuse it";
        warn_of_expiry(table, "upstream_certificate", validity, so, around.now, problems);
    }
    Some(address.with_tls(&tls, name))
}

fn load(table: &Table<'_>, (authorities, identity): &Files, problems: &mut Problems) -> Option<UpstreamTls> {
    let identity = identity.clone().map(|(chain, key)| CertificatePaths { chain, key });
    match UpstreamTls::load(authorities.as_deref(), identity.as_ref()) {
        Ok(tls) => Some(tls),
        Err(UpstreamTlsError::Authorities(error)) => {
            table.wrong("upstream_ca", error, problems);
            None
        }
        Err(UpstreamTlsError::Identity(error)) => {
            table.wrong("upstream_certificate", error, problems);
            None
        }
    }
}

/// Notes an application that is ourselves, and what deserves a second look where it is on another machine.
pub(super) fn fits(
    table: &Table<'_>,
    application: &UpstreamAddress,
    mode: Mode,
    listen: &Listen,
    problems: &mut Problems,
) {
    if let Some((key, section)) = own_listener(application, listen) {
        let what = format_args!("this is `{key}` of {section}, our own address; write the application's");
        table.wrong("upstream", what, problems);
    }
    if is_on_this_machine(application) || mode == Mode::Shadow {
        return;
    }
    let is_proven = table.has("proof_key") || table.has("upstream_certificate");
    let what = match (application.is_tls(), is_proven) {
        (true, true) => return,
        (true, false) => {
            "it is not on this machine, and without `proof_key` it cannot tell our requests from those of anybody who \
             reaches it; add proof_key, or let nobody else reach it"
        }
        (false, false) => {
            "it is not on this machine: webhooks reach it in clear, and without `proof_key` it cannot tell our requests from \
             those of anybody who reaches it; write https://, and add proof_key, or let nobody else reach it"
        }
        // A single word is mostly the name of a container beside us.
        (false, true) if is_named_by_one_word(application) => return,
        (false, true) => {
            "it is not on this machine, and webhooks reach it in clear: whoever is on the way reads them; write https://"
        }
    };
    table.doubtful("upstream", what, problems);
}
