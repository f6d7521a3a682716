//! A client of Twilio's REST API, for what Ringfence needs: accounts, usage and its triggers, tokens and keys,
//! messages, calls, prices, numbers, permissions.
//!
//! ```no_run
//! use ringfence_model::{Secret, Sid};
//! use ringfence_twilio::client::{Client, Credentials, Settings};
//! use ringfence_twilio::wire::AccountStatus;
//!
//! # async fn example(parent: Sid, subaccount: Sid, auth_token: Secret) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Settings::default(), Credentials::auth_token(parent, auth_token))?;
//! let account = client.accounts().set_status(subaccount, &AccountStatus::Suspended).await?;
//! assert_eq!(account.status, AccountStatus::Suspended);
//! # Ok(())
//! # }
//! ```
//!
//! It makes a request again only where that does no harm (`retry.rs` says when); a message or a call is never created
//! twice. Its errors say whose fault it was, whether to try later, and whether Twilio may have done it all the same.
//!
//! The one idea: a resource (`client.messages(account)`) only names what it wants as an `Operation`; [`Client`] alone
//! sends, repeats and reads. Nothing here reads the wall clock; timeouts use tokio's clock.

mod base;
mod credentials;
mod error;
mod operation;
mod page;
mod resources;
mod retry;
mod settings;
mod transport;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

pub use base::{BaseUrl, InvalidBaseUrl};
pub use credentials::Credentials;
pub use error::{CarriedOut, Error, Fault, Inactive, Paging, Problem, Refusal, Unreadable};
pub use page::Pages;
pub use resources::*;
pub use retry::{Backoff, Jitter, SystemJitter};
pub use settings::{InvalidSettings, Settings};

use base::Product;
use operation::Operation;
use transport::{Answer, Exchange, Transport};

use crate::wire::ApiError;

/// A client of Twilio's REST API, with credentials. It is cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    credentials: Arc<Credentials>,
}

/// What clients with different credentials have in common.
struct Shared {
    settings: Settings,
    user_agent: HeaderValue,
    exchange: Box<dyn Exchange>,
}

impl Client {
    /// A client with connections of its own. None is made before the first request.
    pub fn new(settings: Settings, credentials: Credentials) -> Result<Self, InvalidSettings> {
        let transport = Transport::new(&settings)?;
        Self::over(Box::new(transport), settings, credentials)
    }

    fn over(
        exchange: Box<dyn Exchange>,
        settings: Settings,
        credentials: Credentials,
    ) -> Result<Self, InvalidSettings> {
        let user_agent =
            HeaderValue::try_from(&settings.user_agent).map_err(|_| InvalidSettings::UserAgent)?;
        let shared = Arc::new(Shared { settings, user_agent, exchange });
        Ok(Self { shared, credentials: Arc::new(credentials) })
    }

    /// A client with other credentials, of a subaccount for example, over the same connections.
    #[must_use]
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        Self { shared: Arc::clone(&self.shared), credentials: Arc::new(credentials) }
    }

    /// Whose credentials these are.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Where requests go.
    pub fn base(&self) -> &BaseUrl {
        &self.shared.settings.base
    }

    /// Sends an operation and reads its answer.
    async fn json<T: DeserializeOwned>(&self, operation: Operation) -> Result<T, Error> {
        let (answer, tries) = self.send(&operation).await?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            let why = if error.is_data() { Unreadable::WrongShape } else { Unreadable::NotJson };
            let problem = Problem::Unreadable { status: answer.status, why };
            Error { operation: operation.name, tries, problem }
        })
    }

    /// Sends an operation whose answer has no body.
    async fn empty(&self, operation: Operation) -> Result<(), Error> {
        self.send(&operation).await.map(|_| ())
    }

    /// Sends an operation, again where that is right, until an answer says that it was done. Returns it with the
    /// number of tries.
    async fn send(&self, operation: &Operation) -> Result<(Answer, u32), Error> {
        let Settings { backoff, timeout, deadline, jitter, .. } = &self.shared.settings;
        let begin = Instant::now();
        let mut tries = 0;
        let mut in_doubt = false;
        loop {
            tries += 1;
            let left = deadline.saturating_sub(begin.elapsed());
            let result = match self.request(operation) {
                Some(request) => self.shared.exchange.exchange(request, left.min(*timeout)).await,
                None => Err(Problem::TooLong),
            };
            let problem = match result.and_then(done) {
                Ok(answer) => return Ok((answer, tries)),
                Err(problem) => problem,
            };
            // What an earlier try may have removed is rightly not found.
            if in_doubt && operation.method == Method::DELETE && problem.status() == Some(404) {
                return Ok((Answer::default(), tries));
            }
            in_doubt |= problem.carried_out() == CarriedOut::InDoubt;
            let left = deadline.saturating_sub(begin.elapsed());
            match backoff.pause(operation.repeat, &problem, tries, left, &**jitter) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(Error { operation: operation.name, tries, problem }),
            }
        }
    }

    /// An operation as a request of HTTP, if it is not too long for one.
    fn request(&self, operation: &Operation) -> Option<Request<Full<Bytes>>> {
        let uri = self.base().uri(operation.product, &operation.path_and_query)?;
        let (body, content_type) = match &operation.json {
            Some(json) => (json.clone(), "application/json"),
            None => (operation.form.encode(), "application/x-www-form-urlencoded"),
        };
        let mut request = Request::builder()
            .method(operation.method.clone())
            .uri(uri)
            .header(AUTHORIZATION, self.credentials.authorization())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, &self.shared.user_agent);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, content_type);
        }
        request.body(Full::from(body)).ok()
    }

    fn follow(&self, product: Product, link: &str) -> Option<String> {
        self.base().follow(product, link)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut client = formatter.debug_struct("Client");
        client.field("base", self.base()).field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

/// An answer that says that it was done, or what it says instead. Redirects are not followed: no operation here has
/// any, and the credentials must not go where an answer wants them.
fn done(answer: Answer) -> Result<Answer, Problem> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let body = serde_json::from_slice::<ApiError>(&answer.body).ok();
    let (code, message) = body.map(|error| (error.code, error.message)).unwrap_or_default();
    let refusal = Refusal { status: answer.status, code, message, retry_after: answer.retry_after };
    Err(Problem::Refused(Box::new(refusal)))
}
