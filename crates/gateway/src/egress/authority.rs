//! The certificate authority of an egress that is its applications' HTTPS proxy: it can speak for twilio.com and for
//! nothing else.
//!
//! It is made once for each installation. Its certificate is constrained to names under twilio.com and to no address, so
//! whoever trusts it trusts it with nothing but Twilio. Certificates of hosts are made when a host is first asked for:
//! `api.dublin.ie1.twilio.com` is three labels deep, which no wildcard covers.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData as _,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::prelude::parse_x509_certificate;

use super::host::TwilioHost;

/// The type of `rcgen` for dates is another library's, which is not worth a dependency: its values come from here. A date
/// beyond the calendar stays at its end.
macro_rules! day {
    ($date:expr, $days:expr) => {{
        let date: Date = $date.saturating_add(Span::new().days($days));
        let [month, day] = [date.month(), date.day()].map(|part| u8::try_from(part).unwrap_or(1));
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    }};
}

/// What makes certificates for Twilio's hosts.
pub struct EgressAuthority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// One key for all hosts, and what was made so far, each with its day.
    host_key: KeyPair,
    hosts: Mutex<HashMap<String, (Date, Arc<ServerConfig>)>>,
}

/// Why an authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EgressAuthorityError {
    /// A key or certificate could not be made or read.
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificate is no PEM.
    #[error("the certificate is no PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The certificate is none.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// The key is not the certificate's.
    #[error("the key is not the certificate's")]
    OtherKey,
    /// Its time is over.
    #[error("the certificate is not valid any more")]
    Expired,
}

impl EgressAuthority {
    /// A new authority that is valid for ten years from now.
    pub fn new(unix_seconds: u64) -> Result<Self, EgressAuthorityError> {
        let key = KeyPair::generate()?;
        let certificate = parameters(day_of(unix_seconds)).self_signed(&key)?;
        Self::of(certificate.der().clone(), certificate.pem(), key, unix_seconds)
    }

    /// The authority of an earlier run.
    pub fn from_pem(certificate: &str, key: &str, unix_seconds: u64) -> Result<Self, EgressAuthorityError> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())?;
        let key = KeyPair::from_pem(key)?;
        {
            let (_, read) = parse_x509_certificate(&der).map_err(|_| EgressAuthorityError::Unreadable)?;
            if read.public_key().raw != key.subject_public_key_info() {
                return Err(EgressAuthorityError::OtherKey);
            }
            if u64::try_from(read.validity().not_after.timestamp()).unwrap_or(0) < unix_seconds {
                return Err(EgressAuthorityError::Expired);
            }
        }
        Self::of(der, certificate.to_owned(), key, unix_seconds)
    }

    fn of(
        certificate: CertificateDer<'static>,
        certificate_pem: String,
        key: KeyPair,
        unix_seconds: u64,
    ) -> Result<Self, EgressAuthorityError> {
        Ok(Self {
            certificate,
            certificate_pem,
            key_pem: key.serialize_pem(),
            issuer: Issuer::new(parameters(day_of(unix_seconds)), key),
            host_key: KeyPair::generate()?,
            hosts: Mutex::default(),
        })
    }

    /// Its certificate, for applications to trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its private key, for a file that nobody else can read.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// TLS as this host of Twilio's, made now if it is the first time or the last is old.
    pub(crate) fn server(&self, host: TwilioHost<'_>, unix_seconds: u64) -> Option<Arc<ServerConfig>> {
        /// There are some thirty products and a handful of regions; names beyond that are made up, and then made anew.
        const KEPT: usize = 256;
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let today = day_of(unix_seconds);
        if let Some((day, known)) = hosts.get(host.name())
            && day.saturating_add(Span::new().days(RENEWED_AFTER)) > today
        {
            return Some(Arc::clone(known));
        }
        let made = Arc::new(self.make(host.name(), today)?);
        if hosts.len() >= KEPT {
            hosts.clear();
        }
        hosts.insert(host.name().to_owned(), (today, Arc::clone(&made)));
        Some(made)
    }

    fn make(&self, host: &str, today: Date) -> Option<ServerConfig> {
        let chain = vec![self.sign(host, today).ok()?, self.certificate.clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.host_key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().ok()?.with_no_client_auth();
        let mut config = builder.with_single_cert(chain, key).ok()?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some(config)
    }

    /// Valid from yesterday, for clocks that differ, and for as long as the strictest clients allow.
    fn sign(&self, host: &str, today: Date) -> Result<CertificateDer<'static>, rcgen::Error> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.not_before = day!(today, -1);
        params.not_after = day!(today, LEAF_DAYS);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(&self.host_key, &self.issuer)?.der().clone())
    }
}

/// As long as the strictest clients allow; another is made well before.
const LEAF_DAYS: i32 = 396;
const RENEWED_AFTER: i32 = 200;

const ORGANIZATION: &str = "Ringfence egress";

fn parameters(today: Date) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = day!(today, -1);
    params.not_after = day!(today, 3650);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, "Ringfence egress authority for twilio.com");
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

impl fmt::Debug for EgressAuthority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EgressAuthority").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn accepts(authority: &EgressAuthority, leaf: &CertificateDer<'_>, name: &str) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
        verifier.verify_server_cert(leaf, &[], &name, &[], now).is_ok()
    }

    #[test]
    fn nothing_outside_twilio_com_can_be_signed_for() {
        let authority = EgressAuthority::new(NOW).unwrap();
        for name in ["bank.example", "nottwilio.com", "127.0.0.1", "::1"] {
            assert!(!accepts(&authority, &authority.sign(name, day_of(NOW)).unwrap(), name), "{name}");
        }
        for name in ["api.twilio.com", "api.dublin.ie1.twilio.com"] {
            assert!(accepts(&authority, &authority.sign(name, day_of(NOW)).unwrap(), name), "{name}");
        }
    }

    #[test]
    fn a_certificate_is_kept_and_made_anew_long_before_its_end() {
        let authority = EgressAuthority::new(NOW).unwrap();
        let host = TwilioHost::parse("api.twilio.com").unwrap();
        let first = authority.server(host, NOW).unwrap();
        assert!(Arc::ptr_eq(&first, &authority.server(host, NOW + 86_400 * 199).unwrap()));
        assert!(!Arc::ptr_eq(&first, &authority.server(host, NOW + 86_400 * 201).unwrap()));
    }

    #[test]
    fn an_authority_lives_on_in_its_pem_and_another_s_key_is_refused() {
        let (one, other) = (EgressAuthority::new(NOW).unwrap(), EgressAuthority::new(NOW).unwrap());
        let again =
            EgressAuthority::from_pem(one.certificate_pem(), one.key_pem(), NOW + 86_400 * 300).unwrap();
        assert!(accepts(&one, &again.sign("api.twilio.com", day_of(NOW)).unwrap(), "api.twilio.com"));
        let wrong = EgressAuthority::from_pem(one.certificate_pem(), other.key_pem(), NOW);
        assert!(matches!(wrong, Err(EgressAuthorityError::OtherKey)));
        let late = EgressAuthority::from_pem(one.certificate_pem(), one.key_pem(), NOW + 86_400 * 4000);
        assert!(matches!(late, Err(EgressAuthorityError::Expired)));
        assert!(matches!(
            EgressAuthority::from_pem("no certificate", one.key_pem(), NOW),
            Err(EgressAuthorityError::Pem(_))
        ));
    }
}
