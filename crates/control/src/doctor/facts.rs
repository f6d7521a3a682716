//! What was read at Twilio: of each account what the checks are about, or why it could not be read.

use jiff::Timestamp;
use ringfence_model::{Country, PhoneNumber, Sid};
use ringfence_twilio::client::{
    ApplicationFilter, Client, DialingFilter, EventFilter, IncomingNumberFilter, MessageFilter, Pages,
};
use ringfence_twilio::client::{CallFilter, Error};
use ringfence_twilio::wire::{
    Application, Event, GeoPermission, IncomingPhoneNumber, Key, MessagingService, SipDomain,
};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

use super::hooks::{self, Hook};

/// What was read, or why not.
pub(super) type Read<T> = Result<T, String>;

/// An account that is in use.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) sid: Sid,
    pub(super) parent: Option<Sid>,
    pub(super) name: String,
    pub(super) created: Option<Timestamp>,
    /// What reaches it on hosts other than api.twilio.com.
    pub(super) own: Option<Client>,
    /// What reaches it on api.twilio.com.
    pub(super) api: Option<Client>,
}

/// What Twilio says of one account.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) account: Account,
    pub(super) numbers: Read<Vec<IncomingPhoneNumber>>,
    pub(super) applications: Read<Vec<Application>>,
    pub(super) services: Read<Vec<MessagingService>>,
    pub(super) domains: Read<Vec<SipDomain>>,
    pub(super) keys: Read<Vec<Key>>,
    /// The newest recording, if there is one: `RE…`.
    pub(super) recording: Read<Option<String>>,
    pub(super) geo: Read<Geo>,
    /// Since [`EVENTS_DAYS`] ago, the newest first.
    pub(super) events: Read<Vec<Event>>,
}

/// Where an account may call and text, and where it did.
#[derive(Debug, Default)]
pub(super) struct Geo {
    /// Countries that may be called, whose ordinary numbers are open.
    pub(super) called: BTreeSet<String>,
    /// Countries with numbers open that are known from fraud.
    pub(super) risky: BTreeSet<String>,
    /// Countries that may be texted.
    pub(super) texted: BTreeSet<String>,
    /// Where calls went lately.
    pub(super) calls_to: BTreeSet<String>,
    /// Where texts went lately.
    pub(super) texts_to: BTreeSet<String>,
}

/// Events are looked at for so long.
pub(super) const EVENTS_DAYS: i64 = 7;
/// Traffic is looked at for so long, and no more than the newest thousand of each kind.
pub(super) const TRAFFIC_DAYS: i64 = 30;

const NO_CREDENTIALS: &str = "no credentials of the configuration reach it";

impl Facts {
    /// Asks Twilio, one thing after the other.
    pub(super) async fn read(account: Account, now: Timestamp) -> Self {
        let days_ago = |days: i64| now.checked_sub(jiff::SignedDuration::from_hours(24 * days)).ok();
        let sid = account.sid;
        let (own, api) = (account.own.as_ref(), account.api.as_ref());
        let number_filter = IncomingNumberFilter::default();
        let application_filter = ApplicationFilter::default();
        Self {
            numbers: all(api, |it| it.incoming_numbers(sid).list(&number_filter)).await,
            applications: all(api, |it| it.applications(sid).list(&application_filter)).await,
            services: all(own, |it| it.messaging_services().list()).await,
            domains: all(api, |it| it.sip_domains(sid).list()).await,
            keys: all(api, |it| it.keys(sid).list()).await,
            recording: newest(api, |it| it.recordings(sid).list()).await.map(|it| it.map(|it| it.sid)),
            geo: geo(sid, own, api, days_ago(TRAFFIC_DAYS)).await,
            events: {
                let filter = EventFilter { since: days_ago(EVENTS_DAYS), ..EventFilter::default() };
                all(own, |it| it.events().list(&filter)).await
            },
            account,
        }
    }

    /// All URLs that Twilio was told, of what could be read; and what could not.
    pub(super) fn hooks(&self) -> (Vec<Hook>, Vec<&String>) {
        hooks(self.account.sid, &self.numbers, &self.applications, &self.services, &self.domains)
    }
}

/// All URLs that Twilio was told, of what could be read; and what could not.
fn hooks<'a>(
    sid: Sid,
    numbers: &'a Read<Vec<IncomingPhoneNumber>>,
    applications: &'a Read<Vec<Application>>,
    services: &'a Read<Vec<MessagingService>>,
    domains: &'a Read<Vec<SipDomain>>,
) -> (Vec<Hook>, Vec<&'a String>) {
    let mut found = Vec::new();
    let mut unread = Vec::new();
    match numbers {
        Ok(numbers) => found.extend(numbers.iter().flat_map(|it| hooks::of_number(sid, it))),
        Err(why) => unread.push(why),
    }
    match applications {
        Ok(applications) => found.extend(applications.iter().flat_map(|it| hooks::of_application(sid, it))),
        Err(why) => unread.push(why),
    }
    match services {
        Ok(services) => found.extend(services.iter().flat_map(|it| hooks::of_service(sid, it))),
        Err(why) => unread.push(why),
    }
    match domains {
        Ok(domains) => found.extend(domains.iter().flat_map(|it| hooks::of_domain(sid, it))),
        Err(why) => unread.push(why),
    }
    (found, unread)
}

/// The same of an account of which nothing else is to be known.
pub(super) async fn read_hooks(account: &Account) -> (Vec<Hook>, Vec<String>) {
    let sid = account.sid;
    let (own, api) = (account.own.as_ref(), account.api.as_ref());
    let number_filter = IncomingNumberFilter::default();
    let application_filter = ApplicationFilter::default();
    let numbers = all(api, |it| it.incoming_numbers(sid).list(&number_filter)).await;
    let applications = all(api, |it| it.applications(sid).list(&application_filter)).await;
    let services = all(own, |it| it.messaging_services().list()).await;
    let domains = all(api, |it| it.sip_domains(sid).list()).await;
    let (found, unread) = hooks(sid, &numbers, &applications, &services, &domains);
    (found, unread.into_iter().cloned().collect())
}

async fn all<T: DeserializeOwned>(
    client: Option<&Client>,
    list: impl FnOnce(&Client) -> Pages<T>,
) -> Read<Vec<T>> {
    let client = client.ok_or(NO_CREDENTIALS)?;
    list(client).all().await.map_err(|error| said(&error))
}

async fn newest<T: DeserializeOwned>(
    client: Option<&Client>,
    list: impl FnOnce(&Client) -> Pages<T>,
) -> Read<Option<T>> {
    let client = client.ok_or(NO_CREDENTIALS)?;
    let page = list(client).page_size(1).next().await.map_err(|error| said(&error))?;
    Ok(page.and_then(|rows| rows.into_iter().next()))
}

/// What Twilio answered, and to what.
pub(super) fn said(error: &Error) -> String {
    error.to_string()
}

async fn geo(sid: Sid, own: Option<&Client>, api: Option<&Client>, since: Option<Timestamp>) -> Read<Geo> {
    let own = own.ok_or(NO_CREDENTIALS)?;
    let voice = own.dialing_permissions().list(&DialingFilter::default()).all().await;
    let texts: Vec<GeoPermission> =
        own.sms_geo_permissions().list(&[]).await.map_err(|error| said(&error))?;
    let mut geo = Geo::default();
    for country in voice.map_err(|error| said(&error))? {
        if country.high_risk_special_numbers_enabled || country.high_risk_tollfraud_numbers_enabled {
            geo.risky.insert(country.iso_code.clone());
        }
        if country.low_risk_numbers_enabled {
            geo.called.insert(country.iso_code);
        }
    }
    geo.texted = texts.into_iter().filter(|it| it.enabled).map(|it| it.country_code).collect();
    let api = api.ok_or(NO_CREDENTIALS)?;
    let filter = CallFilter { started_since: since, ..CallFilter::default() };
    let calls = api.calls(sid).list(&filter).next().await.map_err(|error| said(&error))?;
    geo.calls_to = calls.iter().flatten().filter_map(|call| country(call.to.as_deref()?)).collect();
    let filter = MessageFilter { sent_since: since, ..MessageFilter::default() };
    let messages = api.messages(sid).list(&filter).next().await.map_err(|error| said(&error))?;
    geo.texts_to = messages.iter().flatten().filter_map(|it| country(it.to.as_deref()?)).collect();
    Ok(geo)
}

fn country(to: &str) -> Option<String> {
    let to = to.rsplit(':').next().unwrap_or(to);
    Country::of(PhoneNumber::parse(to).ok()?).map(|country| country.as_str().to_owned())
}
