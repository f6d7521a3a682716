//! Sends webhooks over the network, within the timeouts that each asks for.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::world::webhooks::{Answer, FailureKind, Method, Outgoing, Overrides, SignedRequest, TryResult};

/// What is read of an answer; TwiML ends at 64 KiB, a status callback's answer is for the log. The rest is nobody's.
const ANSWER_MAX: usize = 256 * 1024;

/// The client for webhooks. Connections are kept.
#[derive(Debug)]
pub(crate) struct Sender {
    checked: HttpClient,
    unchecked: HttpClient,
    /// Sockets are few where many webhooks leave at once.
    places: tokio::sync::Semaphore,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl Sender {
    /// `extra_roots`: authorities to trust beside the public ones.
    pub(crate) fn new(extra_roots: &[CertificateDer<'static>]) -> Result<Self, rustls::Error> {
        const AT_ONCE: usize = 512;
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in extra_roots {
            roots.add(root.clone())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = || {
            rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
        };
        let checked = versions()?.with_root_certificates(roots).with_no_client_auth();
        let unchecked = versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(Arc::clone(&provider))))
            .with_no_client_auth();
        Ok(Self {
            checked: client(checked),
            unchecked: client(unchecked),
            places: tokio::sync::Semaphore::new(AT_ONCE),
        })
    }

    /// Makes one try. Also says whether credentials were sent after a 401.
    pub(crate) async fn send(&self, outgoing: &Outgoing, verify_certificates: bool) -> (TryResult, bool) {
        let _place = self.places.acquire().await;
        let client = if verify_certificates { &self.checked } else { &self.unchecked };
        let mut sent_credentials = false;
        let trial = try_twice(client, outgoing, &mut sent_credentials);
        let result = match tokio::time::timeout(outgoing.overrides.total, trial).await {
            Ok(result) => result,
            Err(_) => failed(FailureKind::Timeout, "no complete answer within the total timeout"),
        };
        (result, sent_credentials)
    }
}

/// Credentials of a URL are sent only when they are asked for by a 401.
async fn try_twice(client: &HttpClient, outgoing: &Outgoing, sent_credentials: &mut bool) -> TryResult {
    let first = exchange(client, &outgoing.request, &outgoing.overrides, None).await;
    match (&first, &outgoing.request.credentials) {
        (TryResult::Answered(Answer { status: 401, .. }), Some((user, password))) => {
            *sent_credentials = true;
            let basic = format!("Basic {}", BASE64.encode(format!("{user}:{password}")));
            exchange(client, &outgoing.request, &outgoing.overrides, Some(&basic)).await
        }
        _ => first,
    }
}

async fn exchange(
    client: &HttpClient,
    request: &SignedRequest,
    overrides: &Overrides,
    authorization: Option<&str>,
) -> TryResult {
    let method = if request.method == Method::Get { http::Method::GET } else { http::Method::POST };
    let mut builder = http::Request::builder().method(method).uri(&request.url);
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    if let Some(authorization) = authorization {
        builder = builder.header(http::header::AUTHORIZATION, authorization);
    }
    let mut request = match builder.body(Full::new(Bytes::from(request.body.clone()))) {
        Ok(request) => request,
        Err(error) => return failed(FailureKind::BadUrl, &error.to_string()),
    };
    let mut connection = capture_connection(&mut request);
    let mut response = std::pin::pin!(client.request(request));
    // Two times one after the other: until there is a connection, and from then until the answer begins.
    let connecting = async {
        tokio::select! {
            biased;
            answered = &mut response => Some(answered),
            () = async { drop(connection.wait_for_connection_metadata().await) } => None,
        }
    };
    let answered = match tokio::time::timeout(overrides.connect, connecting).await {
        Err(_) => return failed(FailureKind::Connect, "no connection within the connect timeout"),
        Ok(Some(answered)) => answered,
        Ok(None) => match tokio::time::timeout(overrides.read, response).await {
            Err(_) => return failed(FailureKind::Timeout, "no answer within the read timeout"),
            Ok(answered) => answered,
        },
    };
    let response = match answered {
        Err(error) => return failed_request(&error),
        Ok(response) => response,
    };
    let (head, body) = response.into_parts();
    let texts = |name| head.headers.get_all(name).iter().filter_map(|it| it.to_str().ok()).map(str::to_owned);
    match read(body, overrides.read).await {
        Ok(body) => TryResult::Answered(Answer {
            status: head.status.as_u16(),
            content_type: texts(http::header::CONTENT_TYPE).next().unwrap_or_default(),
            location: texts(http::header::LOCATION).next(),
            cookies: texts(http::header::SET_COOKIE).collect(),
            body,
        }),
        Err(failure) => failure,
    }
}

/// A body to its end, or to more than anybody needs of it. The read timeout also holds between its pieces.
async fn read(mut body: hyper::body::Incoming, pause: Duration) -> Result<Bytes, TryResult> {
    let late = |_| failed(FailureKind::Timeout, "the answer paused for longer than the read timeout");
    let mut read = BytesMut::new();
    while let Some(frame) = tokio::time::timeout(pause, body.frame()).await.map_err(late)? {
        let frame = frame.map_err(|error| failed(FailureKind::Broken, &error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data[..data.len().min(ANSWER_MAX - read.len())]);
        }
        if read.len() == ANSWER_MAX {
            break;
        }
    }
    Ok(read.freeze())
}

fn failed_request(error: &hyper_util::client::legacy::Error) -> TryResult {
    let detail = cause(error);
    let kind = if let Some(error) = causes(error).find_map(tls_error) {
        match error {
            rustls::Error::InvalidCertificate(_) => FailureKind::Certificate,
            _ => FailureKind::Tls,
        }
    } else if causes(error).any(|cause| cause.to_string() == "dns error") {
        // The connector's own word for it; its type is private.
        FailureKind::Host
    } else if error.is_connect() {
        FailureKind::Connect
    } else {
        FailureKind::Broken
    };
    failed(kind, &detail)
}

fn failed(kind: FailureKind, detail: &str) -> TryResult {
    TryResult::Failed { kind, detail: detail.to_owned() }
}

/// What rustls says. It travels inside [`std::io::Error`]s, one in another, and these name as their source only what
/// is below what they hold.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let held = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    held.downcast_ref().or_else(|| tls_error(held))
}

/// An error and what lies under it.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// What lies at the bottom: hyper's own words above it say little.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

fn client(config: rustls::ClientConfig) -> HttpClient {
    /// Nobody can ask for a longer one; what a shorter one gave up is given up by then too.
    const CONNECT_MAX: Duration = Duration::from_secs(10);
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_MAX));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .retry_canceled_requests(true)
        .build(https)
}

/// Takes any certificate, for an application on the same machine with one that it made itself. Twilio does not.
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
