//! `audit_heads` of `[store]`: where signed heads of the audit log go, out of reach of whoever can change the store.

use std::path::PathBuf;

use ringfence_control::heads::{CarrierSettings, SYSLOG_SOCKET};
use ringfence_control::notices::WebhookSettings;
use ringfence_model::Secret;

use super::Surroundings;
use super::problems::Problems;
use super::raw::{Field, Section};
use super::secret;

pub(super) const SECTION: Section =
    Section { name: "audit_heads of [store]", keys: &["file", "syslog", "webhook", "secret"], later: &[] };

const FORM: &str = "a list of { file = \"PATH\" }, \"syslog\" and \
                    { webhook = \"https://…\", secret = { env = \"NAME\" } }";
const WEBHOOK_FORM: &str = "a URL such as \"https://ops.example.com/heads\"";

/// More places than anybody looks after.
const CARRIERS_MAX: usize = 8;

/// Nothing where one of them could not be read.
pub(super) fn resolve(
    field: Field<'_>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Vec<CarrierSettings>> {
    let list = field.list(FORM, problems)?;
    if list.len() > CARRIERS_MAX {
        field.wrong(format_args!("the list has more than {CARRIERS_MAX}; write {FORM}"), problems);
        return None;
    }
    let mut carriers = Vec::new();
    for entry in &list {
        let carrier = carrier(entry, around, problems)?;
        if is_among(&carriers, &carrier) {
            entry.wrong("the same place is there twice; remove one of them", problems);
            return None;
        }
        carriers.push(carrier);
    }
    Some(carriers)
}

/// Two that append to one file would write into each other's lines.
fn is_among(carriers: &[CarrierSettings], new: &CarrierSettings) -> bool {
    carriers.iter().any(|carrier| match (carrier, new) {
        (CarrierSettings::File(one), CarrierSettings::File(other))
        | (CarrierSettings::Syslog(one), CarrierSettings::Syslog(other)) => one == other,
        _ => false,
    })
}

fn carrier(entry: &Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<CarrierSettings> {
    if entry.as_text() == Some("syslog") {
        return Some(CarrierSettings::Syslog(PathBuf::from(SYSLOG_SOCKET)));
    }
    if entry.as_text().is_some() {
        // A text could be a URL with a secret in it, or a path that was meant as a file.
        entry.wrong(format_args!("this is not \"syslog\"; write {FORM}"), problems);
        return None;
    }
    let table = entry.table(&SECTION, super::SECTIONS, FORM, problems)?;
    let places = ["file", "syslog", "webhook"].into_iter().filter(|key| table.has(key)).count();
    if places != 1 {
        let what = if places == 0 { "it names no place" } else { "each entry is one place" };
        entry.wrong(format_args!("{what}; write {FORM}"), problems);
        return None;
    }
    if table.has("secret") && !table.has("webhook") {
        table.wrong("secret", "only a webhook is signed with it; remove it", problems);
        return None;
    }
    let path = |field: Field<'_>, problems: &mut Problems| {
        field.parse("a path", problems, |text| match text {
            "" => Err("is empty"),
            text if text.ends_with('/') => Err("names no file"),
            text => Ok(around.resolve(text)),
        })
    };
    if let Some(field) = table.find("file") {
        return path(field, problems).map(CarrierSettings::File);
    }
    if let Some(field) = table.find("syslog") {
        return path(field, problems).map(CarrierSettings::Syslog);
    }
    let secret = table
        .required("secret", secret::FORM, problems)
        .and_then(|field| secret::read(field, around, problems));
    let url = webhook_url(table.required("webhook", WEBHOOK_FORM, problems)?, around, problems);
    let (url, secret) = (url?, secret?);
    match WebhookSettings::new(url.expose(), Some(secret), false) {
        Ok(settings) => {
            if settings.is_in_clear() {
                table.doubtful("webhook", "heads go over the network in clear; use https", problems);
            }
            Some(CarrierSettings::Webhook(settings))
        }
        Err(problem) => {
            let key = if problem.key.ends_with("secret") { "secret" } else { "webhook" };
            table.wrong(key, problem, problems);
            None
        }
    }
}

/// It may come from where secrets come from, and is not echoed.
fn webhook_url(field: Field<'_>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Secret> {
    match field.as_text() {
        Some(text) => Some(Secret::new(text)),
        None if field.is_table() => secret::read(field, around, problems),
        None => {
            field.wrong_type("a URL", WEBHOOK_FORM, problems);
            None
        }
    }
}
