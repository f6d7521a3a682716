//! The certificate authority of the HTTPS proxy: it can speak for twilio.com and for nothing else.
//!
//! Its certificate is constrained to names under twilio.com and to no address, so whoever trusts it trusts it with
//! nothing but the sandbox. Certificates of hosts are made when a host is first asked for: `api.dublin.ie1.twilio.com`
//! is three labels deep, which no wildcard covers.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::api::Product;

/// The type of `rcgen` for dates is another library's, which is not worth a dependency: its values come from here.
macro_rules! day {
    ($date:expr) => {{
        let date: Date = $date;
        let [month, day] = [date.month(), date.day()].map(|part| u8::try_from(part).unwrap_or(1));
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    }};
}

/// What makes certificates for Twilio's hosts. Its key may be kept in a file between runs.
pub struct Authority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
    issuer: Issuer<'static, KeyPair>,
    today: Date,
    /// One key for all hosts, and the certificates made so far.
    host_key: KeyPair,
    hosts: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

/// Why an authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A key or certificate could not be made or read.
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificate is no PEM.
    #[error("the certificate is no PEM: {0}")]
    Pem(#[from] pem::Error),
    /// The key is not the certificate's.
    #[error("its certificates would not be accepted: {0}")]
    NotAccepted(rustls::Error),
    /// Its time is over, or it is no certificate at all.
    #[error("the certificate is not valid any more")]
    Expired,
}

impl Authority {
    /// A new authority that is valid for ten years from now.
    pub fn new(unix_seconds: u64) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let certificate = parameters(day_of(unix_seconds)).self_signed(&key)?;
        Self::of(certificate.der().clone(), certificate.pem(), key, unix_seconds)
    }

    /// An authority of an earlier run, from [`Authority::certificate_pem`] and [`Authority::key_pem`].
    pub fn from_pem(certificate: &str, key: &str, unix_seconds: u64) -> Result<Self, AuthorityError> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())?;
        let authority = Self::of(der, certificate.to_owned(), KeyPair::from_pem(key)?, unix_seconds)?;
        authority.check(unix_seconds)?;
        // Verifiers do not look at the dates of what they trust, and clients may.
        let end = x509_parser::parse_x509_certificate(&authority.certificate)
            .map_or(0, |(_, certificate)| certificate.validity().not_after.timestamp());
        if u64::try_from(end).unwrap_or(0) < unix_seconds {
            return Err(AuthorityError::Expired);
        }
        Ok(authority)
    }

    fn of(
        certificate: CertificateDer<'static>,
        certificate_pem: String,
        key: KeyPair,
        unix_seconds: u64,
    ) -> Result<Self, AuthorityError> {
        let today = day_of(unix_seconds);
        Ok(Self {
            certificate,
            certificate_pem,
            key_pem: key.serialize_pem(),
            issuer: Issuer::new(parameters(today), key),
            today,
            host_key: KeyPair::generate()?,
            hosts: Mutex::default(),
        })
    }

    /// Its certificate, for clients to trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its private key, for a file that nobody else can read.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Whether a client that trusts the certificate would accept what the key signs.
    fn check(&self, unix_seconds: u64) -> Result<(), AuthorityError> {
        let host = "api.twilio.com";
        let leaf = self.sign(host)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(AuthorityError::NotAccepted)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| AuthorityError::NotAccepted(rustls::Error::General(error.to_string())))?;
        let name = ServerName::try_from(host).expect("a host name");
        let now = UnixTime::since_unix_epoch(Duration::from_secs(unix_seconds));
        verifier.verify_server_cert(&leaf, &[], &name, &[], now).map_err(AuthorityError::NotAccepted)?;
        Ok(())
    }

    /// The certificate of a host, made now if it is the first time. `None`: the sandbox does not have this host.
    pub(super) fn certified(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        /// There are nine products and a handful of regions; names beyond that are made up, and then made anew.
        const KEPT: usize = 256;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        Product::of_host(&host).flatten()?;
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hosts.get(&host) {
            return Some(Arc::clone(known));
        }
        let made = Arc::new(self.make(&host)?);
        if hosts.len() >= KEPT {
            hosts.clear();
        }
        hosts.insert(host, Arc::clone(&made));
        Some(made)
    }

    fn make(&self, host: &str) -> Option<CertifiedKey> {
        let chain = vec![self.sign(host).ok()?, self.certificate.clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.host_key.serialize_der()));
        let key = aws_lc_rs::sign::any_supported_type(&key).ok()?;
        Some(CertifiedKey::new(chain, key))
    }

    /// Valid from yesterday, for clocks that differ, and for as long as the strictest clients allow.
    fn sign(&self, host: &str) -> Result<CertificateDer<'static>, rcgen::Error> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.not_before = day!(moved(self.today, -1));
        params.not_after = day!(moved(self.today, 396));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(&self.host_key, &self.issuer)?.der().clone())
    }
}

const ORGANIZATION: &str = "Ringfence sandbox";

fn parameters(today: Date) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = day!(moved(today, -1));
    params.not_after = day!(moved(today, 3650));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, "Ringfence sandbox authority for twilio.com");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let any = |address| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, 0));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("twilio.com".to_owned())],
        excluded_subtrees: vec![
            any(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            any(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        ],
    });
    params
}

fn day_of(unix_seconds: u64) -> Date {
    let seconds = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
    Offset::UTC.to_datetime(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)).date()
}

/// A date beyond the calendar stays at its end.
fn moved(date: Date, days: i32) -> Date {
    date.saturating_add(Span::new().days(days))
}

/// Chooses the certificate by the name that the client asks for, else by the one that it wanted a tunnel to.
pub(super) struct ByName {
    pub(super) authority: Arc<Authority>,
    pub(super) tunnel_to: Option<String>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.authority.certified(hello.server_name().or(self.tunnel_to.as_deref())?)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ByName").field("tunnel_to", &self.tunnel_to).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn accepts(authority: &Authority, leaf: &CertificateDer<'_>, name: &str) -> bool {
        accepts_at(NOW, authority, leaf, name)
    }

    fn accepts_at(now: u64, authority: &Authority, leaf: &CertificateDer<'_>, name: &str) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        verifier.verify_server_cert(leaf, &[], &name, &[], now).is_ok()
    }

    #[test]
    fn nothing_outside_twilio_com_can_be_signed_for() {
        let authority = Authority::new(NOW).unwrap();
        for name in ["bank.example", "nottwilio.com", "127.0.0.1", "::1"] {
            assert!(!accepts(&authority, &authority.sign(name).unwrap(), name), "{name}");
            assert!(authority.certified(name).is_none(), "{name}");
        }
        assert!(authority.certified("studio.twilio.com").is_none(), "the sandbox does not have it");
    }

    #[test]
    fn hosts_of_twilio_are_certified_however_deep() {
        let authority = Authority::new(NOW).unwrap();
        for name in ["api.twilio.com", "verify.twilio.com", "api.dublin.ie1.twilio.com"] {
            let certified = authority.certified(name).unwrap();
            assert!(accepts(&authority, &certified.cert[0], name), "{name}");
            assert!(!accepts(&authority, &certified.cert[0], "lookups.twilio.com"), "{name}");
            assert!(Arc::ptr_eq(&certified, &authority.certified(&name.to_uppercase()).unwrap()));
        }
    }

    #[test]
    fn an_authority_lives_on_in_its_pem() {
        let first = Authority::new(NOW).unwrap();
        let later = NOW + 86_400 * 300;
        let again = Authority::from_pem(first.certificate_pem(), first.key_pem(), later).unwrap();
        let leaf = again.certified("api.twilio.com").unwrap();
        assert!(accepts_at(later, &first, &leaf.cert[0], "api.twilio.com"));
    }

    #[test]
    fn a_key_of_another_or_an_old_certificate_is_refused() {
        let (one, other) = (Authority::new(NOW).unwrap(), Authority::new(NOW).unwrap());
        let wrong = Authority::from_pem(one.certificate_pem(), other.key_pem(), NOW);
        assert!(matches!(wrong, Err(AuthorityError::NotAccepted(_))));
        let late = Authority::from_pem(one.certificate_pem(), one.key_pem(), NOW + 86_400 * 4000);
        assert!(matches!(late, Err(AuthorityError::Expired)));
        assert!(matches!(
            Authority::from_pem("no certificate", one.key_pem(), NOW),
            Err(AuthorityError::Pem(_))
        ));
        assert!(matches!(
            Authority::from_pem(one.certificate_pem(), "no key", NOW),
            Err(AuthorityError::Certificate(_))
        ));
    }
}
