//! One request to a program of the operator's, over HTTP/1.1 with or without TLS.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use super::settings::SettingsProblem;

/// What is read of an answer that is no success: a few words.
const ANSWER_MAX: usize = 1024;

/// Sends requests, each on a connection of its own, since there are few. Redirects are not followed.
pub(crate) struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// The head of an answer, and its text where it is short.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(super) text: String,
}

impl Poster {
    pub(crate) fn new(
        extra_roots: &[CertificateDer<'static>],
        timeout: Duration,
    ) -> Result<Self, SettingsProblem> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let broken = |error: rustls::Error| SettingsProblem {
            key: "authorities",
            what: format!("TLS cannot be set up with these authorities: {error}"),
        };
        for root in extra_roots {
            roots.add(root.clone()).map_err(broken)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(broken)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https);
        Ok(Self { client, timeout })
    }

    /// Sends a request once and waits for its answer. What went wrong names neither the path nor the headers.
    pub(crate) async fn post(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| cause(&error))?;
            Ok(self.read(response).await)
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} seconds", self.timeout.as_secs())),
        }
    }

    /// A success is known from its head. Of anything else a few words are worth waiting for.
    async fn read(&self, response: Response<Incoming>) -> Answer {
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Answer { status, text: String::new() };
        }
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect();
        let text = match tokio::time::timeout(self.timeout / 4, body).await {
            Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            _ => String::new(),
        };
        Answer { status, text }
    }
}

/// The innermost cause of an error: the others only say that a request failed.
fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}
