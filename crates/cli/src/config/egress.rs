//! `[egress]`: what an application's requests to Twilio may do. Where it listens is [listen]'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use ringfence_breaker::price_book::{self, Unknown};
use ringfence_gateway::settings::{Egress, EgressAccount, Listen, TwilioTls};
use ringfence_gateway::{EgressAuthority, TwilioBase};
use ringfence_model::Amount;

use super::Surroundings;
use super::control::Credentials;
use super::prices;
use super::problems::Problems;
use super::raw::{Field, Section, Table, alternatives};
use super::twilio::Twilio;
use super::units;

pub(super) const SECTION: Section = Section {
    name: "[egress]",
    keys: &[
        "unknown_operations",
        "prices",
        "unknown_price",
        "unknown_twiml",
        "foreign_twiml",
        "call_time",
        "call_time_max",
        "timeout",
        "restore_allowance",
        "ca_folder",
    ],
    later: &[],
};

/// Twilio answers most requests within a second, and a client waits longer than this for none.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is typed, without what the rest of the file says.
#[derive(Debug)]
pub(super) struct Typed {
    passes_unknown_operations: bool,
    passes_foreign_twiml: bool,
    passes_unknown_twiml: bool,
    timeout: Duration,
    authority: Option<Arc<EgressAuthority>>,
    /// Where the authority of the HTTPS proxy is, if it is one.
    pub(super) ca_folder: Option<PathBuf>,
    /// What the price book assumes, and what holds where it knows no price.
    pub(super) prices: price_book::Rules,
    /// What may have been on its way when the store lost its memory.
    pub(super) restore_allowance: Amount,
}

pub(super) fn resolve(
    table: Option<Table<'_>>,
    listen: &Listen,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Typed {
    let mut typed = Typed {
        passes_unknown_operations: false,
        passes_foreign_twiml: false,
        passes_unknown_twiml: false,
        timeout: TIMEOUT,
        authority: None,
        ca_folder: None,
        prices: price_book::Rules::default(),
        restore_allowance: Amount::ZERO,
    };
    let Some(table) = table else { return typed };
    if listen.egress.is_none() {
        problems.error(
            table.offset(),
            "[egress] is there, and [listen] has no `egress`; add it, such as egress = \"127.0.0.1:8500\"",
        );
    }
    let mut passes = |key: &'static str| {
        table
            .find(key)
            .and_then(|field| field.choice(&[("refuse", false), ("pass", true)], problems))
            .unwrap_or(false)
    };
    typed.passes_unknown_operations = passes("unknown_operations");
    typed.passes_foreign_twiml = passes("foreign_twiml");
    typed.passes_unknown_twiml = passes("unknown_twiml");
    for (key, is_passed, what) in [
        (
            "unknown_operations",
            typed.passes_unknown_operations,
            "operations without a price pass every limit",
        ),
        (
            "foreign_twiml",
            typed.passes_foreign_twiml,
            "a call can be led by anybody's TwiML, past every limit",
        ),
        ("unknown_twiml", typed.passes_unknown_twiml, "TwiML without a price passes every limit"),
    ] {
        if is_passed {
            table.doubtful(
                key,
                format_args!("with \"pass\" {what}; refuse it again once you know what needs it"),
                problems,
            );
        }
    }
    if let Some(unknown) = table.find("unknown_price").and_then(|field| unknown_price(field, problems)) {
        typed.prices.unknown = unknown;
    }
    typed.prices.overrides = prices::resolve(table.find("prices"), problems);
    let assumed = &mut typed.prices.assumed;
    if let Some(seconds) = table.find("call_time").and_then(|field| call_time(field, problems)) {
        assumed.call_seconds = seconds;
    }
    if let Some(seconds) = table.find("call_time_max").and_then(|field| call_time(field, problems)) {
        assumed.call_seconds_at_most = seconds;
    }
    if assumed.call_seconds > assumed.call_seconds_at_most {
        table.wrong(
            "call_time",
            "it is what a call without a TimeLimit gets, and is longer than `call_time_max`; make it shorter, or that longer",
            problems,
        );
    }
    if let Some(timeout) = table.find("timeout").and_then(|field| time(field, "1s", "2m", problems)) {
        typed.timeout = timeout;
    }
    if let Some(amount) = table.find("restore_allowance").and_then(|field| allowance(field, problems)) {
        typed.restore_allowance = amount;
    }
    if let Some(field) = table.find("ca_folder") {
        typed.ca_folder = field.parse("the path of a folder", problems, |text| match text {
            "" => Err("is empty"),
            text => Ok(around.resolve(text)),
        });
        if let Some(folder) = &typed.ca_folder {
            typed.authority = authority(field, folder, around, problems);
        }
    }
    typed
}

impl Typed {
    /// What the data plane is told; nothing where the egress has no address. `accounts` are nothing where not all of them could be
    /// read, which was told.
    pub(super) fn settings(
        &self,
        listen: &Listen,
        twilio: &Twilio,
        accounts: Option<&[Credentials]>,
        problems: &mut Problems,
    ) -> Option<Egress> {
        listen.egress?;
        let accounts = accounts?;
        if accounts.is_empty() {
            problems.error_of_file("[listen] has `egress`, and no account has an auth token to ask Twilio with; give an [[account]] auth_token");
            return None;
        }
        let tls = TwilioTls::new(&twilio.client.extra_roots).map_err(|error| {
            problems.error_of_file(format!("Twilio's certificates cannot be checked: {error}"));
        });
        let base = twilio.client.base.to_string().parse::<TwilioBase>();
        let base = base.map_err(|error| problems.error_of_file(format!("`base_url` in [twilio]: {error}")));
        let account = |account: &Credentials| EgressAccount {
            sid: account.account,
            parent: account.parent,
            auth_token: account.auth_token.clone(),
        };
        Some(Egress {
            twilio: base.ok()?,
            tls: tls.ok()?,
            accounts: accounts.iter().map(account).collect(),
            passes_unknown_operations: self.passes_unknown_operations,
            passes_foreign_twiml: self.passes_foreign_twiml,
            passes_unknown_twiml: self.passes_unknown_twiml,
            timeout: self.timeout,
            authority: self.authority.clone(),
        })
    }
}

/// What an authority is kept in, within its folder.
pub(crate) const CA_CERTIFICATE: &str = "ca.pem";
pub(crate) const CA_KEY: &str = "ca.key";

/// The authority of an earlier start; nothing where there was none yet.
fn authority(
    field: Field<'_>,
    folder: &Path,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Arc<EgressAuthority>> {
    let (certificate, key) = (folder.join(CA_CERTIFICATE), folder.join(CA_KEY));
    if !certificate.exists() && !key.exists() {
        return None;
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    };
    let now = around.now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let made = read(&certificate).and_then(|certificate| {
        let key = read(&key)?;
        EgressAuthority::from_pem(&certificate, &key, now).map_err(|error| error.to_string())
    });
    match made {
        Ok(authority) => Some(Arc::new(authority)),
        Err(why) => {
            field.wrong(
                format_args!(
                    "its authority cannot be used: {why}; remove {CA_CERTIFICATE} and {CA_KEY} there, and another one is made"
                ),
                problems,
            );
            None
        }
    }
}

fn unknown_price(field: Field<'_>, problems: &mut Problems) -> Option<Unknown> {
    let form = format!("{}, in the currency of the account", alternatives(&["refuse", "0.50"]));
    field.parse(&form, problems, |text| match text {
        "refuse" => Ok(Unknown::Refuse),
        amount => match amount.parse::<Amount>() {
            Ok(amount) if amount > Amount::ZERO => Ok(Unknown::Costs(amount)),
            Ok(_) => Err("is not more than 0, and nothing is free that nobody knows the price of"),
            Err(_) => Err("is no amount"),
        },
    })
}

fn allowance(field: Field<'_>, problems: &mut Problems) -> Option<Amount> {
    field.parse("an amount such as \"5\", in the currency of the account", problems, |text| {
        match text.parse::<Amount>() {
            Ok(amount) if amount >= Amount::ZERO => Ok(amount),
            Ok(_) => Err("is less than 0"),
            Err(_) => Err("is no amount"),
        }
    })
}

/// A `TimeLimit`, which Twilio takes up to 24 hours.
fn call_time(field: Field<'_>, problems: &mut Problems) -> Option<u32> {
    let time = time(field, "1m", "24h", problems)?;
    u32::try_from(time.as_secs()).ok()
}

fn time(field: Field<'_>, least: &str, most: &str, problems: &mut Problems) -> Option<Duration> {
    let form = format!("a time from \"{least}\" to \"{most}\"");
    let bound = |text| units::duration(text).unwrap_or_default();
    field.parse(&form, problems, |text| match units::duration(text)? {
        time if time < bound(least) => Err("is too short".to_owned()),
        time if time > bound(most) => Err("is too long".to_owned()),
        time => Ok(time),
    })
}
