//! The deployment as it looks from outside: one request on a new connection, the certificate, old versions of TLS.
//!
//! URLs come from Twilio's lists, and whoever can write there chooses them. So nothing is asked at an address that only this
//! network reaches (the metadata service of a cloud, a router): Twilio could not ask there either. The hosts and ports of the
//! configuration's own public URLs are the exception. A name is looked up once, and what was looked at is connected to.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use ringfence_model::is_private;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::hello;
use super::hooks::host_and_port;

/// One look takes at most so long: Twilio itself waits 15 s for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// Looks at the network.
pub(super) struct Web {
    tls: Arc<ClientConfig>,
    /// Hosts and their ports that may be at a private address.
    own: BTreeSet<(String, u16)>,
}

/// The certificate that a host shows, which chains to an authority and is of the host's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// TLS refused: the certificate, or no common version.
    Untrusted(String),
    /// It is at an address that Twilio cannot reach.
    Private(IpAddr),
    /// Whatever else.
    Away(String),
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Untrusted(why) => write!(formatter, "TLS failed: {why}"),
            Self::Private(address) => {
                write!(formatter, "its name is that of {address}, which nobody outside this network reaches")
            }
            Self::Away(why) => formatter.write_str(why),
        }
    }
}

impl Web {
    /// Trusts what Twilio trusts, the public authorities, and these. `own` are the hosts and ports of the deployment's own URLs.
    pub(super) fn new(
        extra_roots: &[CertificateDer<'static>],
        own: BTreeSet<(String, u16)>,
    ) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in extra_roots {
            roots.add(root.clone())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls), own })
    }

    /// Sends a request without a signature and without a parameter; the status of its answer. Redirects are not followed,
    /// and no credentials go with it.
    pub(super) async fn ask(&self, uri: &Uri, method: &str) -> Result<u16, NoAnswer> {
        patiently(async {
            let (host, port) =
                host_and_port(uri).ok_or_else(|| NoAnswer::Away("it has no host".to_owned()))?;
            let tcp = self.connect(&host, port).await?;
            if matches!(uri.scheme_str(), Some("https" | "wss")) {
                exchange(self.handshake(tcp, &host).await?, uri, method).await
            } else {
                exchange(tcp, uri, method).await
            }
        })
        .await
    }

    /// The certificate at a host.
    pub(super) async fn certificate(&self, host: &str, port: u16) -> Result<Certificate, NoAnswer> {
        patiently(async {
            let stream = self.handshake(self.connect(host, port).await?, host).await?;
            let (_, session) = stream.get_ref();
            let shown = session.peer_certificates().and_then(|chain| chain.first());
            let unread = || NoAnswer::Away("its certificate cannot be read".to_owned());
            let (_, certificate) =
                X509Certificate::from_der(shown.ok_or_else(unread)?).map_err(|_| unread())?;
            let validity = certificate.validity();
            let time = |seconds| Timestamp::from_second(seconds).map_err(|_| unread());
            Ok(Certificate {
                not_before: time(validity.not_before.timestamp())?,
                not_after: time(validity.not_after.timestamp())?,
            })
        })
        .await
    }

    /// Whether a host still speaks a version of TLS that is dead (RFC 8996).
    pub(super) async fn takes(&self, host: &str, port: u16, version: hello::Dead) -> Result<bool, NoAnswer> {
        patiently(async {
            let mut tcp = self.connect(host, port).await?;
            tcp.write_all(&hello::client_hello(host, version)).await.map_err(away)?;
            let mut answer = Vec::new();
            // The head of a record, of a handshake message, and a version.
            while answer.len() < hello::ENOUGH {
                let mut piece = [0; hello::ENOUGH];
                match tcp.read(&mut piece).await {
                    // Whoever hangs up without a word refuses too.
                    Ok(0) | Err(_) => break,
                    Ok(length) => answer.extend_from_slice(&piece[..length]),
                }
            }
            Ok(hello::accepts(&answer))
        })
        .await
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, NoAnswer> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(away)?.collect();
        let mut last = NoAnswer::Away(format!("{host} has no address"));
        for address in found {
            if is_private(address.ip()) && !self.own.contains(&(host.to_owned(), port)) {
                last = NoAnswer::Private(address.ip());
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = away(error),
            }
        }
        Err(last)
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        host: &str,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, NoAnswer> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| NoAnswer::Untrusted("no certificate can be for this name".to_owned()))?;
        TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(tls) => NoAnswer::Untrusted(tls.to_string()),
                None => away(error),
            }
        })
    }
}

/// What keeps Twilio from connecting to this host over TLS, as a sentence without an end; none where nothing does.
///
/// For whoever is about to tell Twilio of it. It takes 15 s at most.
pub async fn tls_problem(host: &str, port: u16, now: Timestamp) -> Option<String> {
    let web = match Web::new(&[], BTreeSet::new()) {
        Ok(web) => web,
        Err(error) => return Some(format!("TLS cannot be set up here: {error}")),
    };
    match web.certificate(host, port).await {
        Ok(Certificate { not_after, .. }) if not_after <= now => {
            Some(format!("its certificate ended at {not_after}"))
        }
        Ok(_) => None,
        Err(why) => Some(why.to_string()),
    }
}

/// What keeps Twilio from finding this host, as a sentence without an end; none where nothing does.
pub async fn name_problem(host: &str) -> Option<String> {
    match tokio::net::lookup_host((host, 0)).await {
        Err(error) => Some(format!("its name leads nowhere: {error}")),
        Ok(mut found) => {
            let first = found.next();
            match first {
                None => Some("its name has no address".to_owned()),
                Some(address) if is_private(address.ip()) && found.all(|it| is_private(it.ip())) => {
                    Some(NoAnswer::Private(address.ip()).to_string())
                }
                Some(_) => None,
            }
        }
    }
}

/// Looks up whether a host has an address that is public. `None`: it has none.
pub(super) async fn is_public(host: &str) -> Option<bool> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await.ok()?.collect();
    (!found.is_empty()).then(|| found.iter().any(|address| !is_private(address.ip())))
}

async fn exchange<S>(stream: S, uri: &Uri, method: &str) -> Result<u16, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
    let driven = async {
        _ = connection.await;
        std::future::pending::<()>().await;
    };
    let authority = uri.authority().map_or("", |authority| {
        authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host)
    });
    let target = uri.path_and_query().map_or("/", |it| it.as_str());
    let method = if method.eq_ignore_ascii_case("GET") { Method::GET } else { Method::POST };
    let mut request = Request::builder()
        .method(method.clone())
        .uri(target)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("ringfence-doctor/", env!("CARGO_PKG_VERSION")));
    if method == Method::POST {
        request =
            request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header(CONTENT_LENGTH, "0");
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| NoAnswer::Away(error.to_string()))?;
    tokio::select! {
        answer = sender.send_request(request) => {
            answer.map(|answer| answer.status().as_u16()).map_err(away)
        }
        () = driven => Err(NoAnswer::Away("the connection broke".to_owned())),
    }
}

async fn patiently<T>(look: impl Future<Output = Result<T, NoAnswer>>) -> Result<T, NoAnswer> {
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(answer) => answer,
        Err(_) => Err(NoAnswer::Away(format!("no answer within {} seconds", PATIENCE.as_secs()))),
    }
}

fn away(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NoAnswer {
    let error = error.into();
    let refused =
        error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::ConnectionRefused);
    NoAnswer::Away(if refused { "nothing listens there".to_owned() } else { error.to_string() })
}

#[cfg(test)]
mod tests {
    use ringfence_testkit::{Answer, RawUpstream, Upstream};

    use super::*;

    fn web(own: &[SocketAddr]) -> Web {
        Web::new(&[], own.iter().map(|it| (it.ip().to_string(), it.port())).collect()).unwrap()
    }

    #[tokio::test]
    async fn nothing_is_asked_at_an_inner_address_that_is_not_our_own() {
        let application = Upstream::start(|_| async { Answer::new(200, "") }).await;
        let uri: Uri = format!("http://user:secret@{}/status?a=b", application.address()).parse().unwrap();
        let refused = web(&[]).ask(&uri, "POST").await;
        assert_eq!(refused, Err(NoAnswer::Private([127, 0, 0, 1].into())));
        // Another port of a host of ours is another matter: whoever writes URLs at Twilio would look around with it.
        let beside = SocketAddr::new(application.address().ip(), 1);
        assert_eq!(web(&[beside]).ask(&uri, "POST").await, refused);
        assert!(application.requests().is_empty());
        assert_eq!(web(&[application.address()]).ask(&uri, "POST").await, Ok(200));
        let sent = application.only_request();
        assert_eq!((sent.method.as_str(), sent.target.as_str()), ("POST", "/status?a=b"));
        assert!(sent.body.is_empty() && sent.header("authorization").is_none());
        assert!(sent.header("x-twilio-signature").is_none());
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_one_that_twilio_does_not_reach() {
        let expected = "which nobody outside this network reaches";
        assert!(name_problem("localhost").await.unwrap().contains(expected));
        assert!(name_problem("127.0.0.1").await.unwrap().contains(expected));
        assert!(name_problem("no such name").await.unwrap().contains("leads nowhere"));
        assert!(tls_problem("localhost", 443, Timestamp::UNIX_EPOCH).await.unwrap().contains(expected));
        assert_eq!(name_problem("192.0.2.7").await, None);
    }

    #[tokio::test]
    async fn a_host_that_goes_on_with_a_dead_version_takes_it_and_an_alert_does_not() {
        let server_hello = [22, 3, 1, 0, 49, 2, 0, 0, 45, 3, 1, 9, 9, 9, 9, 9];
        let alert = [21, 3, 1, 0, 2, 2, 70];
        for (answer, takes) in [(&server_hello[..], true), (&alert[..], false)] {
            let answer = answer.to_vec();
            let host = RawUpstream::start(move |_, mut stream: TcpStream| {
                let answer = answer.clone();
                async move {
                    let mut greeting = [0; 512];
                    assert!(stream.read(&mut greeting).await.unwrap() > 50);
                    stream.write_all(&answer).await.unwrap();
                }
            })
            .await;
            let (web, port) = (web(&[host.address()]), host.address().port());
            assert_eq!(web.takes("127.0.0.1", port, hello::Dead::Tls10).await, Ok(takes));
        }
    }

    #[tokio::test]
    async fn a_host_without_tls_has_no_certificate_that_twilio_takes() {
        let application = Upstream::saying("hello").await;
        let (web, port) = (web(&[application.address()]), application.address().port());
        let shown = web.certificate("127.0.0.1", port).await;
        assert!(matches!(shown, Err(NoAnswer::Untrusted(_))), "{shown:?}");
    }
}
