//! A file is fetched: at Twilio with the account's own credentials, and wherever it is sent on to with none.

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, LOCATION, RANGE};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::may_see::MaySee;
use super::public::PublicOnly;
use super::redirect::{self, Next, NotFollowed, REDIRECTS_MAX};
use super::refusal::Refusal;
use super::settings::Media;
use crate::egress::client::{Client, Failure};
use crate::egress::host::TwilioHost;
use crate::egress::request::authorization;
use crate::egress::settings::TwilioTls;

/// The connections of one worker.
#[derive(Debug)]
pub(crate) struct Clients {
    /// To Twilio, or to what stands for it.
    twilio: Client,
    /// To where redirects lead: at public addresses alone.
    elsewhere: Client<PublicOnly>,
}

impl Clients {
    pub(crate) fn new(tls: &TwilioTls) -> Self {
        Self {
            twilio: Client::new(tls.config()),
            elsewhere: Client::with_resolver(tls.config(), PublicOnly::new()),
        }
    }
}

/// What is asked for, wherever.
struct Asked<'a> {
    method: &'a Method,
    range: Option<&'a HeaderValue>,
}

/// The host that files of all regions are asked for at.
const API: &str = "api.twilio.com";

/// The head of the answer that is no redirect any more. Its body is still to come.
pub(crate) async fn fetch(
    clients: &Clients,
    settings: &Media,
    may: &MaySee,
    method: &Method,
    range: Option<&HeaderValue>,
) -> Result<Response<Incoming>, Refusal> {
    let asked = &Asked { method, range };
    let deadline = Instant::now() + settings.timeout;
    let host = TwilioHost::parse(API).ok_or(Refusal::NotReady)?;
    let mut here = settings.twilio.uri(host, &may.path().to_string()).ok_or(Refusal::NotReady)?;
    let mut request = request(asked, here.clone());
    let authorization =
        authorization(may.path().account(), may.auth_token()).map_err(|_| Refusal::CredentialsRefused)?;
    // Here, and nowhere below: each request that follows is made anew, without them.
    request.headers_mut().insert(AUTHORIZATION, authorization);
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut answer = answered(clients.twilio.send(request, left()), deadline).await?;
    let mut redirects = 0;
    while answer.status().is_redirection() {
        redirects += 1;
        if redirects > REDIRECTS_MAX {
            return Err(Refusal::Redirect(NotFollowed::TooMany));
        }
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let next = redirect::decide(location, &here, &settings.twilio, &settings.hosts);
        let next = next.map_err(Refusal::Redirect)?;
        (here, answer) = match next {
            Next::Listed(uri) => {
                let request = self::request(asked, uri.clone());
                (uri, answered(clients.elsewhere.send(request, left()), deadline).await?)
            }
            Next::Sandbox(uri) => {
                let request = self::request(asked, uri.clone());
                (uri, answered(clients.twilio.send(request, left()), deadline).await?)
            }
        };
    }
    Ok(answer)
}

/// A request for the file, without credentials. It is `GET` or `HEAD`, which no redirect changes.
fn request(asked: &Asked<'_>, uri: Uri) -> Request<Full<bytes::Bytes>> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = asked.method.clone();
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(range) = asked.range {
        headers.insert(RANGE, range.clone());
    }
    request
}

/// The head of an answer, or what the lack of one means.
async fn answered(
    sending: impl Future<Output = Result<Response<Incoming>, Failure>>,
    deadline: Instant,
) -> Result<Response<Incoming>, Refusal> {
    let refusal = |_| if Instant::now() >= deadline { Refusal::TimedOut } else { Refusal::Unreachable };
    sending.await.map_err(refusal)
}
