//! Commands that ask a running node instead of the store: its JSON API on the admin listener, with a token.
//!
//! The one idea: what a node answers is the view that the command would have made of the store itself, so what is printed is
//! the same. A token travels only over TLS or inside this machine, and is never an argument, which every user could read.

pub(crate) mod acts;
pub(crate) mod shared_keys;
pub(crate) mod tokens;

use std::error::Error as StdError;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ringfence_control::notices::{one_line, shell_word};
use ringfence_control::views::{AccountView, Accounts, SIZE_MAX};
use ringfence_model::Secret;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::with_engine::Typed;
use crate::config;
use crate::exit::Failure;

/// Where the token is, if no file is named.
const TOKEN: &str = "RINGFENCE_API_TOKEN";

/// The longest that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer, in bytes: a page of 1,000 rows has less.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// Where a command finds an installation: in its store, or at a running node.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReachArguments {
    /// The configuration, whose [store] says where the store is
    #[arg(long, value_name = "FILE", required_unless_present = "api", conflicts_with = "api")]
    config: Option<PathBuf>,
    /// Ask the admin listener of a running `serve` instead
    #[arg(
        long,
        value_name = "URL",
        help = "Ask the admin listener of a running `serve` instead, such as http://127.0.0.1:9400; the token is in \
                RINGFENCE_API_TOKEN"
    )]
    api: Option<String>,
    /// The file that holds the token for --api
    #[arg(long, value_name = "FILE", requires = "api")]
    token_file: Option<PathBuf>,
    /// Certification authorities to trust for --api beside the public ones, PEM
    #[arg(long, value_name = "FILE", requires = "api")]
    ca: Option<PathBuf>,
}

/// What was named.
pub(crate) enum Reach<'a> {
    /// The configuration.
    Store(&'a Path),
    /// A node that runs.
    Node(Box<Api>),
}

/// The API of a node.
pub(crate) struct Api {
    base: String,
    authorization: HeaderValue,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// What is typed to reach it again.
    pub(crate) typed: Typed,
}

/// What is read of a problem document (RFC 9457).
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

impl ReachArguments {
    pub(crate) fn reach(&self) -> Result<Reach<'_>, Failure> {
        match (&self.api, &self.config) {
            (Some(url), _) => Api::new(url, self.token_file.as_deref(), self.ca.as_deref())
                .map(|api| Reach::Node(Box::new(api))),
            (None, Some(file)) => Ok(Reach::Store(file)),
            (None, None) => Err(Failure::usage("name the configuration with --config, or a node with --api")),
        }
    }
}

impl Api {
    fn new(url: &str, token_file: Option<&Path>, ca: Option<&Path>) -> Result<Self, Failure> {
        let base = base(url)?;
        let token = token(token_file)?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| Failure::usage("the token has characters that no token has"))?;
        authorization.set_sensitive(true);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new()).build(https);
        let mut typed = format!("--api {}", shell_word(&base));
        for (flag, file) in [("--token-file", token_file), ("--ca", ca)] {
            if let Some(file) = file {
                typed = format!("{typed} {flag} {}", shell_word(&file.display().to_string()));
            }
        }
        Ok(Self { base, authorization, client, typed: Typed::new(typed) })
    }

    /// One document.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let body = self.ask(Method::GET, &with_query(path, query), None, "application/json").await?;
        self.read(&body)
    }

    /// Documents, one a line, as they are.
    pub(crate) async fn get_lines(&self, path: &str, query: &[(&str, String)]) -> Result<Bytes, Failure> {
        self.ask(Method::GET, &with_query(path, query), None, "application/jsonl").await
    }

    /// An act, and what it came to.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        let body = self.ask(Method::POST, path, Some(body), "application/json").await?;
        self.read(&body)
    }

    /// All accounts, those that are gone among them.
    pub(crate) async fn accounts(&self) -> Result<Vec<AccountView>, Failure> {
        let mut query = vec![("page_size", SIZE_MAX.to_string())];
        let mut all = Vec::new();
        loop {
            let page: Accounts = self.get("/v1/accounts", &query).await?;
            all.extend(page.accounts);
            let Some(next) = page.next else { return Ok(all) };
            query.truncate(1);
            query.push(("cursor", next));
        }
    }

    async fn ask(
        &self,
        method: Method,
        path_and_query: &str,
        body: Option<&Value>,
        wanted: &str,
    ) -> Result<Bytes, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path_and_query}", self.base))
            .header(AUTHORIZATION, self.authorization.clone());
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Full::from(body))
            .map_err(|error| Failure::usage(format!("{} cannot be asked: {error}", self.base)).hint(FORM))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| self.no_answer(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|error| {
                Failure::unavailable(format!("the answer of {} broke off: {error}", self.base))
            })?;
            Ok::<_, Failure>((head, body.to_bytes()))
        };
        let answered = tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| {
            Failure::unavailable(format!("{} gave no answer within {} s", self.base, TIMEOUT.as_secs()))
        })?;
        let (head, body) = answered?;
        let media_type =
            head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match media_type {
            "application/problem+json" => Err(match serde_json::from_slice(&body) {
                Ok(problem) => self.refused(&problem),
                Err(_) => self.no_ringfence(head.status.as_u16()),
            }),
            given if head.status.is_success() && given == wanted => Ok(body),
            _ => Err(self.no_ringfence(head.status.as_u16())),
        }
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(body).map_err(|error| {
            Failure::unavailable(format!(
                "{} answers what this version of Ringfence does not understand: {error}",
                self.base
            ))
            .hint("use the version that this `serve` runs")
        })
    }

    /// Whose turn it is after a node refused. Exit codes are those of the same command on the store.
    fn refused(&self, problem: &Problem) -> Failure {
        let detail = one_line(&problem.detail, 500);
        match problem.code.as_str() {
            "no-token" | "invalid-token" => Failure::configuration(format!("{}: {detail}", self.base)).hint(
                "`ringfence api-token list` shows which tokens there are; `api-token create` makes one",
            ),
            "insufficient-scope" => Failure::configuration(detail)
                .hint(
                    "`ringfence api-token create --scope operate` makes a token that may act, `--scope admin` one that \
                     may also replace tokens and keys",
                ),
            "parent-account" | "not-tripped" | "held" | "not-rotated" | "no-key-signs" | "not-replaced" => {
                Failure::refused(detail)
            }
            "no-shared-keys" => Failure::configuration(format!("{}: {detail}", self.base))
                .hint("add [shared_keys] to the configuration that this `serve` runs with"),
            "twilio-away" => Failure::unavailable(detail),
            "not-found" | "method-not-allowed" => self.no_such_endpoint(&detail),
            "not-ready" | "store-away" | "fault" => Failure::unavailable(format!("{}: {detail}", self.base)),
            _ => Failure::usage(detail),
        }
    }

    fn no_such_endpoint(&self, detail: &str) -> Failure {
        Failure::unavailable(format!("{} does not have what is asked for: {detail}", self.base))
            .hint("it runs another version of Ringfence, or the URL has a path too many")
    }

    fn no_ringfence(&self, status: u16) -> Failure {
        Failure::unavailable(format!(
            "{} answers with status {status}, but is not the API of a Ringfence",
            self.base
        ))
        .hint("--api is the address of [listen] admin, not the gate's or the console's")
    }

    fn no_answer(&self, error: &(dyn StdError + 'static)) -> Failure {
        let why = innermost(error);
        if is_about_tls(error) {
            return Failure::unavailable(format!("TLS with {} failed: {why}", self.base))
                .hint("--ca names the authority of its certificate, where that is not a public one");
        }
        Failure::unavailable(format!("{} cannot be reached: {why}", self.base))
            .hint("is `ringfence serve` at work there, and is this the address of [listen] admin?")
    }
}

const FORM: &str = "write --api http://127.0.0.1:9400, or https:// with a host";

/// The URL without the slash at its end. Without TLS only this machine is asked: everybody between could take the token.
fn base(url: &str) -> Result<String, Failure> {
    let wrong = |what: &str| Failure::usage(format!("--api {}: {what}", one_line(url, 200))).hint(FORM);
    let uri: Uri = url.parse().map_err(|_| wrong("this is no URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("this is no URL with http or https and a host"));
    };
    if authority.as_str().contains('@') {
        // It is not repeated: it may hold a password.
        return Err(Failure::usage("--api takes no user name or password in its URL").hint(FORM));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(wrong("a query or a fragment has no place here"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" => {}
        "http" if is_here => {}
        "http" => {
            return Err(wrong(
                "without TLS the token could be read on its way; only this machine is asked so",
            ));
        }
        _ => return Err(wrong("only http and https are spoken")),
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn token(file: Option<&Path>) -> Result<Secret, Failure> {
    let text = match file {
        Some(file) => fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("cannot read the token in {}: {error}", file.display()))
        })?,
        None => config::environment(TOKEN).unwrap_or_default(),
    };
    let token = Secret::new(text.trim());
    if token.is_empty() {
        let what = match file {
            Some(file) => format!("{} holds no token", file.display()),
            None => format!("--api needs a token, and {TOKEN} is not set"),
        };
        return Err(Failure::usage(what)
            .hint(format!("`ringfence api-token create` makes one; put it into {TOKEN} or a --token-file")));
    }
    Ok(token)
}

/// TLS 1.2 and 1.3; the authorities that browsers trust, and those of the file.
fn tls(ca: Option<&Path>) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = ca {
        let wrong = |what: &dyn std::fmt::Display| {
            Failure::usage(format!("cannot take authorities from {}: {what}", file.display()))
        };
        let pem = fs::read(file).map_err(|error| wrong(&error))?;
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
            count += 1;
        }
        if count == 0 {
            return Err(wrong(&"there is no certificate in it"));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::unavailable(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn with_query(path: &str, query: &[(&str, String)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{path}?{query}")
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

/// Whether TLS refused, rather than the network.
fn is_about_tls(error: &(dyn StdError + 'static)) -> bool {
    // An I/O error hides what it wraps from `source`.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|error| is_about_tls(error))
        || error.source().is_some_and(is_about_tls)
}

/// For what needs the configuration's own limits, or the store itself.
pub(crate) fn not_over_the_api(_: &str) -> Result<String, String> {
    Err("this needs the configuration and its store, so it is not possible over the API; name them with --config".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leaves_this_machine_only_over_tls() {
        for url in [
            "http://192.0.2.1:9090",
            "http://ringfence.example",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://[2001:db8::1]:9090",
            "ftp://127.0.0.1",
            "127.0.0.1:9090",
            "/v1",
            "https://user:password@ringfence.example",
            "https://ringfence.example/?token=a",
            "https://ringfence.example/#a",
            "",
        ] {
            let refused = base(url).expect_err(url);
            assert!(!refused.to_string().contains("password@"), "{refused}");
        }
        for (url, taken) in [
            ("http://127.0.0.1:9090", "http://127.0.0.1:9090"),
            ("http://127.8.0.1:9090/", "http://127.8.0.1:9090"),
            ("http://[::1]:9090", "http://[::1]:9090"),
            ("http://localhost:9090/", "http://localhost:9090"),
            ("https://ringfence.example/admin/", "https://ringfence.example/admin"),
        ] {
            assert_eq!(base(url), Ok(taken.to_owned()));
        }
    }
}
