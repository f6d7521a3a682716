//! What is asked outside while questions are answered: Twilio, the public address, the application, the mail server.
//! Nothing is changed anywhere.

use std::sync::Arc;
use std::time::Duration;

use ringfence_control::doctor::{name_problem, tls_problem};
use ringfence_control::notices::{Notifier, Settings as NoticeSettings};
use ringfence_gateway::upstream::{TlsFault, UpstreamAddress, UpstreamError};
use ringfence_model::{Secret, Sid};
use ringfence_twilio::client::{self, AccountFilter, BaseUrl, Client, Credentials, Fault};
use ringfence_twilio::wire::AccountStatus;
use tokio::time::{Instant, timeout};

use super::answers::{Called, Tls};
use crate::commands::with_store;
use crate::config::Loaded;
use crate::exit::Failure;

/// So long Twilio has for all of its answers together: somebody waits before the screen.
const TWILIO: Duration = Duration::from_secs(15);
/// So long a name, a connection or a certificate may take.
const NEAR: Duration = Duration::from_secs(5);
/// So long a mail server has to say that it is there, as `ringfence check` gives it.
const MAIL: Duration = Duration::from_secs(10);

/// What Twilio says of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// As people named it.
    pub(super) name: String,
    /// Its parent, if it is a subaccount.
    pub(super) parent: Option<Sid>,
    /// How many subaccounts are not closed.
    pub(super) subaccounts: usize,
    /// What its bill is in, if Twilio says it.
    pub(super) currency: Option<String>,
}

/// Asks Twilio for an account with its own token.
pub(super) async fn account(base: &BaseUrl, sid: Sid, token: &Secret) -> Result<Account, Failure> {
    let settings =
        client::Settings { timeout: TWILIO / 2, deadline: TWILIO, ..client::Settings::at(base.clone()) };
    let credentials = Credentials::auth_token(sid, token.clone());
    let client = Client::new(settings, credentials).map_err(Failure::usage)?;
    let account = client.accounts().fetch(sid).await.map_err(|error| refused(&error, sid, base))?;
    if account.status != AccountStatus::Active {
        return Err(Failure::refused(format!("this account is {} at Twilio", account.status.as_str()))
            .hint("take one that is in use, or have it made active again first"));
    }
    let parent = Sid::parse(&account.owner_account_sid).ok().filter(|owner| *owner != sid);
    let all = client.accounts().list(&AccountFilter::default()).page_size(1000).all().await;
    let all = all.map_err(|error| refused(&error, sid, base))?;
    let is_under =
        |it: &&ringfence_twilio::wire::Account| it.sid != account.sid && it.status != AccountStatus::Closed;
    let subaccounts = all.iter().filter(is_under).count();
    // A subaccount has no balance of its own, and whoever may not see it may still be protected.
    let currency = match parent {
        None => client.balance(sid).fetch().await.ok().map(|balance| balance.currency),
        Some(_) => None,
    };
    Ok(Account { name: account.friendly_name, parent, subaccounts, currency })
}

fn refused(error: &client::Error, sid: Sid, base: &BaseUrl) -> Failure {
    match error.fault() {
        Fault::Account => Failure::refused("this account is suspended or closed at Twilio")
            .hint("take one that is in use, or have it made active again first"),
        Fault::Credentials => Failure::refused(format!("Twilio does not let in {sid} with this auth token ({error})"))
            .hint(
                "copy both anew from Twilio's console, Account Info: the auth token, not the secret of an API key; a token \
                 that was rotated is no longer good",
            ),
        Fault::Request if error.is_not_found() => {
            Failure::refused(format!("Twilio has no account {sid}")).hint("copy the SID anew from Twilio's console")
        }
        _ => Failure::unavailable(format!("Twilio cannot be asked at {base}: {error}"))
            .hint("try again, or go on without asking anybody: --offline"),
    }
}

/// What keeps Twilio from reaching the public URL, as far as it can be seen from here.
pub(super) async fn public_url(called: &Called, tls: &Tls) -> Option<String> {
    let (host, port) = called.host_and_port()?;
    let look = async {
        if let Some(problem) = name_problem(&host).await {
            return Some(problem);
        }
        // What the gate itself will answer is not there yet.
        if called.is_encrypted() && *tls == Tls::Elsewhere {
            return tls_problem(&host, port, with_store::now().ok()?).await;
        }
        None
    };
    match timeout(NEAR, look).await {
        Ok(problem) => problem,
        Err(_) => Some(format!("nobody answered in {} seconds", NEAR.as_secs())),
    }
}

/// What keeps the gate from reaching the application now.
pub(super) async fn upstream(address: &str) -> Option<String> {
    let address: UpstreamAddress = address.parse().ok()?;
    match address.reach(Instant::now() + NEAR).await {
        Ok(_) => None,
        Err(UpstreamError::TimedOut(_)) => Some(format!("nobody answered in {} seconds", NEAR.as_secs())),
        Err(error @ UpstreamError::Tls { fault: TlsFault::UnknownAuthority, .. }) => {
            Some(format!("{error}; name the file of its authority as upstream_ca in its [[route]]"))
        }
        Err(error @ UpstreamError::Tls { fault: TlsFault::WrongName, .. }) => {
            Some(format!("{error}; write the name of its certificate as upstream_name in its [[route]]"))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Whether the mail server of a configuration takes mail.
pub(super) async fn mail(loaded: &Loaded) -> Result<(), Failure> {
    let settings = loaded.control.notify.as_ref().map(|notify| notify.settings());
    let settings = settings.transpose().map_err(Failure::usage)?.unwrap_or_default();
    let settings = NoticeSettings { mail: settings.mail, timeout: MAIL, ..NoticeSettings::default() };
    let notifier = Notifier::new(settings, Arc::new(|_| None)).map_err(Failure::usage)?;
    notifier.probe_mail().await.map_err(|problem| {
        Failure::unavailable(format!("no mail would go out: {problem}"))
            .hint("correct what it is asked with, or start it; --offline asks nobody")
    })
}
