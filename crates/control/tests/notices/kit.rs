//! What the tests of all channels need.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ringfence_breaker::{Action, Measure, Window};
use ringfence_control::notices::{
    Account, Attempt, Cause, Destination, Event, Notice, Notifier, Outcome, Settings, Usage, Who,
};
use ringfence_model::{Amount, Sid};
use ringfence_testkit::Certificates;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Long enough for a server on this machine, short enough for one that never answers.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(400);

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An account of this name is over its limit.
pub(crate) fn notice(name: &str) -> Notice {
    let sid = Sid::parse("AC0123456789abcdef0123456789abcdef").unwrap();
    let usage = Usage {
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        unit: "USD".to_owned(),
        window: Window::Daily,
        since: at("2026-11-26T00:00:00Z"),
        used: "54.2".parse().unwrap(),
        trips_at: Amount::from_units(50),
        judged: None,
        wanted: None,
    };
    Notice {
        at: at("2026-11-26T01:50:42Z"),
        event: Event::Tripped {
            who: Who::Account(Account { sid, name: name.to_owned() }),
            limit: "fifty a day".to_owned(),
            cause: Cause::Usage(usage),
            ordered: vec![Action::Suspend, Action::Notify],
            lifts: None,
        },
    }
}

pub(crate) fn first_attempt() -> Attempt {
    Attempt { now: at("2026-11-26T01:50:45Z"), first: None }
}

/// A notifier without credentials of Twilio's.
pub(crate) fn notifier(settings: Settings) -> Notifier {
    Notifier::new(settings, Arc::new(|_: Sid| None)).unwrap()
}

/// Delivers to the only destination there is.
pub(crate) async fn deliver(notifier: &Notifier, notice: &Notice) -> Outcome {
    notifier.deliver(notice, &only(notifier, notice), first_attempt()).await
}

pub(crate) fn only(notifier: &Notifier, notice: &Notice) -> Destination {
    let mut destinations = notifier.destinations(notice);
    assert_eq!(destinations.len(), 1, "{destinations:?}");
    destinations.remove(0)
}

/// Why it is to be tried later.
pub(crate) fn later(outcome: Outcome) -> String {
    match outcome {
        Outcome::TryLater(why) => why,
        other => panic!("not to be tried later: {other:?}"),
    }
}

/// Why it is refused for ever.
pub(crate) fn refused(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(why) => why,
        other => panic!("not refused: {other:?}"),
    }
}

/// The server's side of TLS.
pub(crate) fn acceptor(files: &Certificates) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(files.chain_path()).unwrap()];
    let key = PrivateKeyDer::from_pem_file(files.key_path()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}
