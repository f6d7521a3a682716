//! `keep` of `[store]`: how long what is over stays in the store.
//!
//! Nothing that is still at work is ever forgotten, whatever stands here. The least times are those below which the store
//! would lose what it is for: a trail of what happened, and the knowledge that something was dealt with already.

use std::time::Duration;

use ringfence_control::node::Keep;

use super::problems::Problems;
use super::raw::{Field, Section};
use super::units;

pub(super) const SECTION: Section = Section {
    name: "keep of [store]",
    keys: &["audit", "observations", "effects", "accounts", "tokens", "challenges", "sign_ins", "readings"],
    later: &[],
};

const FORM: &str = "{ audit = \"1y\", observations = \"90d\" }";

const DAY: Duration = Duration::from_hours(24);

/// A century; whoever wants more means forever.
const DAYS_MAX: u32 = 36_500;

/// What is kept where nothing else is said.
const DEFAULT: Keep = Keep {
    audit: Some(Duration::from_hours(24 * 365)),
    observations: Some(Duration::from_hours(24 * 90)),
    effects: Some(Duration::from_hours(24 * 90)),
    accounts: Some(Duration::from_hours(24 * 30)),
    tokens: Some(Duration::from_hours(24 * 30)),
    challenges: Some(Duration::from_hours(24 * 30)),
    readings: Some(Duration::from_hours(24 * 90)),
    sign_ins: Some(Duration::from_hours(24 * 90)),
    // [inspector] says.
    requests: None,
    requests_at_most: None,
};

pub(super) fn resolve(field: Option<Field<'_>>, problems: &mut Problems) -> Keep {
    let mut keep = DEFAULT;
    let Some(table) = field.and_then(|field| field.table(&SECTION, super::SECTIONS, FORM, problems)) else {
        return keep;
    };
    for (key, least_days, time) in [
        ("audit", 30, &mut keep.audit),
        ("observations", 7, &mut keep.observations),
        ("effects", 7, &mut keep.effects),
        ("accounts", 1, &mut keep.accounts),
        ("tokens", 1, &mut keep.tokens),
        ("challenges", 1, &mut keep.challenges),
        ("readings", 30, &mut keep.readings),
        // As long as the link to lock is good that its owner was mailed.
        ("sign_ins", 7, &mut keep.sign_ins),
    ] {
        let Some(field) = table.find(key) else { continue };
        let form = format!("a time from \"{least_days}d\", such as \"90d\" or \"1y\", or \"forever\"");
        let read = field.parse(&form, problems, |text| {
            if text == "forever" {
                return Ok(None);
            }
            match read(text)? {
                time if time < DAY * least_days => Err("is too short".to_owned()),
                time if time > DAY * DAYS_MAX => Err("is too long".to_owned()),
                time => Ok(Some(time)),
            }
        });
        if let Some(read) = read {
            *time = read;
        }
    }
    keep
}

/// Here, and only here, a year is a unit too: of 365 days.
fn read(text: &str) -> Result<Duration, String> {
    let Some(years) = text.strip_suffix('y') else { return units::duration(text) };
    let days = units::duration(&format!("{years}d"))?;
    days.checked_mul(365).ok_or_else(|| "is too long".to_owned())
}
