//! `[twilio]`: how Twilio's REST API is reached. The defaults are the client's own.

use std::time::Duration;

use hyper::Uri;
use ringfence_twilio::client::{BaseUrl, Settings};

use super::Surroundings;
use super::problems::Problems;
use super::raw::{Field, Section, Table};
use super::store::is_loopback;
use super::units;

pub(super) const SECTION: Section =
    Section { name: "[twilio]", keys: &["base_url", "poll_interval", "timeout", "ca_file"], later: &[] };

const BASE_URL_FORM: &str = "\"https://api.twilio.com\", or the address of a sandbox";

/// Each account is asked once in this time, so a thousand of them are some 17 requests a second.
const POLL_INTERVAL: Duration = Duration::from_mins(1);

/// How Twilio is reached.
#[derive(Debug)]
pub(crate) struct Twilio {
    pub(crate) client: Settings,
    /// How often what was used is read, to find what no trigger told.
    pub(crate) poll_interval: Duration,
}

pub(super) fn resolve(
    table: Option<Table<'_>>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Twilio {
    let mut twilio = Twilio { client: Settings::default(), poll_interval: POLL_INTERVAL };
    let Some(table) = table else { return twilio };
    if let Some(base) = table.find("base_url").and_then(|field| base_url(field, problems)) {
        twilio.client.base = base;
    }
    if let Some(interval) = table.find("poll_interval").and_then(|field| time(field, "1s", "1h", problems)) {
        twilio.poll_interval = interval;
    }
    if let Some(timeout) = table.find("timeout").and_then(|field| time(field, "1s", "2m", problems)) {
        let client = &mut twilio.client;
        client.timeout = timeout;
        // A try includes its connection, and there is time for a second one.
        client.connect_timeout = client.connect_timeout.min(timeout / 2);
        client.deadline = client.deadline.max(timeout * 2 + Duration::from_secs(10));
    }
    if let Some(field) = table.find("ca_file") {
        trust(field, &mut twilio.client, around, problems);
    }
    twilio
}

fn base_url(field: Field<'_>, problems: &mut Problems) -> Option<BaseUrl> {
    let Some(text) = field.as_text() else {
        field.wrong_type("a text", BASE_URL_FORM, problems);
        return None;
    };
    // The URL is not echoed: it may hold a password.
    let base: BaseUrl = text
        .parse()
        .map_err(|error| field.wrong(format_args!("{error}; write {BASE_URL_FORM}"), problems))
        .ok()?;
    let is_here = base.to_string().parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback));
    if base.is_plain() && !is_here {
        field.doubtful(
            "plain http to another machine shows the auth tokens to whoever is on the way; use https",
            problems,
        );
    }
    Some(base)
}

pub(super) fn time(field: Field<'_>, least: &str, most: &str, problems: &mut Problems) -> Option<Duration> {
    let form = format!("a time from \"{least}\" to \"{most}\"");
    let bound = |text| units::duration(text).unwrap_or_default();
    field.parse(&form, problems, |text| match units::duration(text)? {
        time if time < bound(least) => Err("is too short".to_owned()),
        time if time > bound(most) => Err("is too long".to_owned()),
        time => Ok(time),
    })
}

/// Trusts the authorities of a file beside the public ones.
pub(super) fn trust(
    field: Field<'_>,
    client: &mut Settings,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) {
    const FORM: &str = "the path of a PEM file with an authority's certificate";
    let read = |text: &str| {
        let path = around.resolve(text);
        std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))
    };
    let Some(pem) = field.parse(FORM, problems, read) else { return };
    match client.trust_pem(&pem) {
        Ok(0) => field.wrong(format_args!("the file has no certificate in it; write {FORM}"), problems),
        Ok(_) => {}
        Err(error) => field.wrong(format_args!("{error}; write {FORM}"), problems),
    }
}
