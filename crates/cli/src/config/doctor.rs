//! `[doctor]`: how often `serve` examines the whole deployment, and what it trusts beside what Twilio does.

use std::time::Duration;

use ringfence_twilio::client::Settings;
use rustls::pki_types::CertificateDer;

use super::Surroundings;
use super::problems::Problems;
use super::raw::{Section, Table};
use super::{twilio, units};

pub(super) const SECTION: Section = Section { name: "[doctor]", keys: &["every", "ca_file"], later: &[] };

const DAILY: Duration = Duration::from_hours(24);
const LEAST: Duration = Duration::from_hours(1);
/// More seldom than monthly, a certificate ends unseen.
const MOST: Duration = Duration::from_hours(31 * 24);

/// What examinations are told.
#[derive(Debug)]
pub(crate) struct Doctor {
    /// How often `serve` makes one; never where there is nothing.
    pub(crate) every: Option<Duration>,
    /// Authorities that are trusted beside the public ones when the deployment's own URLs are looked at.
    pub(crate) roots: Vec<CertificateDer<'static>>,
}

pub(super) fn resolve(
    table: Option<Table<'_>>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Doctor {
    let mut doctor = Doctor { every: Some(DAILY), roots: Vec::new() };
    let Some(table) = table else { return doctor };
    if let Some(field) = table.find("every") {
        let form = "a time from \"1h\" to \"31d\", or \"never\"";
        let read = field.parse(form, problems, |text| match text {
            "never" => Ok(None),
            text => match units::duration(text)? {
                time if time < LEAST => Err("is too short".to_owned()),
                time if time > MOST => Err("is too long".to_owned()),
                time => Ok(Some(time)),
            },
        });
        doctor.every = read.unwrap_or(doctor.every);
    }
    if let Some(field) = table.find("ca_file") {
        let mut trusting = Settings::default();
        twilio::trust(field, &mut trusting, around, problems);
        doctor.roots = trusting.extra_roots;
    }
    doctor
}
