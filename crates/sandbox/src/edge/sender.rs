//! Sends webhooks over the network, within the timeouts that each asks for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::world::webhooks::{FailureKind, Method, Outgoing, Overrides, SignedRequest, TryResult};

/// What is read of an answer; TwiML ends at 64 KiB, a status callback's answer is for the log.
const ANSWER_MAX: usize = 256 * 1024;

/// The client for webhooks. Connections are kept.
#[derive(Debug)]
pub(crate) struct Sender {
    checked: rustls::ClientConfig,
    unchecked: rustls::ClientConfig,
    /// One client for each connect timeout that somebody asked for, and for each way of checking certificates.
    clients: Mutex<HashMap<(Duration, bool), HttpClient>>,
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
            checked,
            unchecked,
            clients: Mutex::default(),
            places: tokio::sync::Semaphore::new(AT_ONCE),
        })
    }

    /// Makes one try. Also says whether credentials were sent after a 401.
    pub(crate) async fn send(&self, outgoing: &Outgoing, verify_certificates: bool) -> (TryResult, bool) {
        let _place = self.places.acquire().await;
        let client = self.client(outgoing.overrides.connect, verify_certificates);
        let mut sent_credentials = false;
        let trial = try_twice(&client, outgoing, &mut sent_credentials);
        let result = match tokio::time::timeout(outgoing.overrides.total, trial).await {
            Ok(result) => result,
            Err(_) => failed(FailureKind::Timeout, "no complete answer within the total timeout"),
        };
        (result, sent_credentials)
    }

    fn client(&self, connect: Duration, verify_certificates: bool) -> HttpClient {
        const DIFFERENT: usize = 64;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= DIFFERENT {
            clients.clear();
        }
        let config = if verify_certificates { &self.checked } else { &self.unchecked };
        clients
            .entry((connect, verify_certificates))
            .or_insert_with(|| client(config.clone(), connect))
            .clone()
    }
}

/// Credentials of a URL are sent only when they are asked for by a 401.
async fn try_twice(client: &HttpClient, outgoing: &Outgoing, sent_credentials: &mut bool) -> TryResult {
    let first = exchange(client, &outgoing.request, &outgoing.overrides, None).await;
    match (&first, &outgoing.request.credentials) {
        (TryResult::Answered { status: 401, .. }, Some((user, password))) => {
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
    let request = match builder.body(Full::new(Bytes::from(request.body.clone()))) {
        Ok(request) => request,
        Err(error) => return failed(FailureKind::BadUrl, &error.to_string()),
    };
    let limit = overrides.connect + overrides.read;
    let response = match tokio::time::timeout(limit, client.request(request)).await {
        Err(_) => return failed(FailureKind::Timeout, "no answer within the read timeout"),
        Ok(Err(error)) => return failed_request(&error),
        Ok(Ok(response)) => response,
    };
    let (head, body) = response.into_parts();
    let content_type =
        head.headers.get(http::header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("");
    match Limited::new(body, ANSWER_MAX).collect().await {
        Ok(body) => TryResult::Answered {
            status: head.status.as_u16(),
            content_type: content_type.to_owned(),
            body: body.to_bytes(),
        },
        Err(error) => failed(FailureKind::Broken, &error.to_string()),
    }
}

fn failed_request(error: &hyper_util::client::legacy::Error) -> TryResult {
    let detail = causes(error);
    let kind = if find_cause::<rustls::Error>(error).is_some() || detail.contains("certificate") {
        FailureKind::Tls
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

fn find_cause<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// The whole chain: hyper's own words say little without what is below them.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(|error| error.to_string()).collect();
    chain.join(": ")
}

fn client(config: rustls::ClientConfig, connect: Duration) -> HttpClient {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect));
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
