//! Protected hosts: other people's pages, before which a proxy asks here whether somebody is signed in.
//!
//! Two kinds of requests come from proxies, never from browsers straight away. Under `/auth/` a proxy holds a request and
//! asks whether it may pass ([`check`]). Under `/.ringfence/` it sends on what a browser asked of the protected host
//! ([`own`]): the beginning and the end of the way through the console's sign-in, and signing out.
//!
//! The way, and why it is this one: an answer to a question can set a cookie only where the proxy passes it on, which each
//! does in its own manner and nginx not by itself. So an answer to a question sets none. It leads to a page of the very
//! host, `/.ringfence/start`, which the proxy sends on like any other; there the browser gets the secret that binds what
//! follows to it, and is sent to the console with the secret's hash. The console gives a code for this host and this hash,
//! which `/.ringfence/enter` takes only together with the secret: a code that somebody slips to another browser, or that is
//! seen on its way, opens nothing.

mod check;
mod cookies;
mod own;

#[cfg(any(test, fuzzing))]
pub(crate) use self::cookies::{BEGAN, SESSION};

use bytes::Bytes;
use http::header::{ACCEPT, HOST, ORIGIN, UPGRADE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use ringfence_control::people::{People, ProtectedHost};

use crate::console::{Caller, Console};
use crate::failed::Failed;
use crate::words;

/// With what the paths begin at which proxies ask.
pub const QUESTIONS: &str = "/auth/";
/// What belongs to us on each protected host.
const OWN: &str = "/.ringfence/";

/// A request to a protected host, as a listed proxy tells of it.
struct Visit<'a> {
    console: &'a Console,
    host: &'a ProtectedHost,
    method: Method,
    /// Path and query.
    target: String,
    request: &'a Request<Bytes>,
}

/// Why nothing of a protected host is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum NotOurs {
    #[error("untrusted_peer")]
    UntrustedPeer,
    #[error("host_not_protected")]
    HostNotProtected,
    #[error("not_https")]
    NotHttps,
    #[error("forwarded_method_malformed")]
    Method,
    #[error("forwarded_uri_malformed")]
    Target,
    #[error("own_path")]
    OwnPath,
    #[error("no_such_question")]
    NoSuchQuestion,
}

impl NotOurs {
    /// What to change, where it is the proxy's configuration.
    const fn hint(self) -> &'static str {
        match self {
            Self::UntrustedPeer => "list the proxy in [listen] trusted_proxies",
            Self::HostNotProtected => "add a [[console.protect]] with this host, as browsers name it",
            Self::NotHttps => "the proxy must end TLS and send X-Forwarded-Proto: https",
            Self::Method => "the proxy must send the method in X-Forwarded-Method",
            Self::Target => "the proxy must send path and query in X-Forwarded-Uri",
            Self::OwnPath => "the proxy must send everything under /.ringfence/ to the console itself",
            Self::NoSuchQuestion => "the proxy must ask at /auth/check or /auth/forward",
        }
    }
}

/// Answers what concerns a protected host; none where it is the console's own.
pub(crate) async fn answer(
    console: &Console,
    caller: &Caller,
    request: &Request<Bytes>,
) -> Option<Response<Bytes>> {
    let path = request.uri().path();
    let answered = if path.starts_with(QUESTIONS) {
        match check::question(request) {
            Ok((manner, rest)) => match visit(console, caller, request, Some(rest)) {
                Ok(visit) => Ok(check::answer(&visit, manner).await),
                Err(why) => Err(why),
            },
            Err(why) => Err(why),
        }
    } else if path.starts_with(OWN) {
        match visit(console, caller, request, None) {
            Ok(visit) => Ok(own::answer(&visit).await),
            Err(why) => Err(why),
        }
    } else if console.hosts().find(named(caller, request)).is_some() {
        // The console's own pages are at its own address, where its cookies are.
        Ok(Failed::NotFound.response())
    } else {
        return None;
    };
    Some(answered.unwrap_or_else(|why| {
        tracing::info!(
            client = %caller.address,
            reason = %why,
            hint = why.hint(),
            "a question about a protected host is refused"
        );
        bare(StatusCode::FORBIDDEN)
    }))
}

/// The host that a request is for.
fn named<'a>(caller: &'a Caller, request: &'a Request<Bytes>) -> &'a str {
    let told = caller.told.as_ref().and_then(|told| told.host.as_deref());
    let own = || request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    told.unwrap_or_else(own)
}

/// The request that a listed proxy speaks of. `rest` is the target that a question carries in its own path, where the
/// proxy writes it there.
fn visit<'a>(
    console: &'a Console,
    caller: &Caller,
    request: &'a Request<Bytes>,
    rest: Option<&str>,
) -> Result<Visit<'a>, NotOurs> {
    let told = caller.told.as_ref().ok_or(NotOurs::UntrustedPeer)?;
    let host = console.hosts().find(named(caller, request)).ok_or(NotOurs::HostNotProtected)?;
    if !caller.is_https {
        return Err(NotOurs::NotHttps);
    }
    let method = match &told.method {
        Some(method) => Method::from_bytes(method.as_bytes()).map_err(|_| NotOurs::Method)?,
        None => request.method().clone(),
    };
    let own = || request.uri().path_and_query().map_or("", |target| target.as_str());
    let target = match (told.target.as_deref(), rest) {
        // One of both is the client's, and nobody can say which.
        (Some(told), Some(rest)) if !rest.is_empty() && rest != told => return Err(NotOurs::Target),
        (Some(told), _) => told,
        (None, Some(rest)) => rest,
        (None, None) => own(),
    };
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(NotOurs::Target);
    }
    Ok(Visit { console, host, method, target: target.to_owned(), request })
}

impl Visit<'_> {
    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Those who know sessions; nothing while the store is away.
    fn people(&self) -> Result<People, Failed> {
        self.console.people_at_work()
    }

    /// Whether a person waits for a page, who can be led elsewhere and comes back. A form would lose what was typed, and
    /// what a script or a WebSocket asks for is no page.
    fn is_for_a_page(&self) -> bool {
        let text = |name: &str| self.headers().get(name).and_then(|value| value.to_str().ok());
        if !matches!(self.method, Method::GET | Method::HEAD) || self.headers().contains_key(UPGRADE) {
            return false;
        }
        // A browser that says how it asks says also for what.
        let is_in_a_tab = text("sec-fetch-mode").is_none() || text("sec-fetch-dest") == Some("document");
        self.is_seen() && is_in_a_tab
    }

    /// Whether a person sees what is answered, in a tab or a frame.
    fn is_seen(&self) -> bool {
        let text = |name: &str| self.headers().get(name).and_then(|value| value.to_str().ok());
        match text("sec-fetch-mode") {
            Some(mode) => mode == "navigate",
            // A browser of before 2020 or so.
            None => {
                text(ACCEPT.as_str()).is_some_and(|accepted| accepted.contains("text/html"))
                    && text("x-requested-with").is_none()
            }
        }
    }

    /// Whether a page of the protected host sent this form.
    fn is_from_the_host(&self) -> bool {
        let text = |name: &str| self.headers().get(name).and_then(|value| value.to_str().ok());
        let origin = text(ORIGIN.as_str()).map(|origin| {
            origin.strip_prefix("https://").is_some_and(|it| it.eq_ignore_ascii_case(&self.host.host))
        });
        match (origin, text("sec-fetch-site")) {
            (Some(false), _) => false,
            (_, Some(site)) => site == "same-origin",
            (own, None) => own == Some(true),
        }
    }

    /// The address of a page of this host.
    fn url(&self, target: &str) -> String {
        format!("https://{}{target}", self.host.host)
    }

    /// 401: not signed in, and not to be led elsewhere.
    fn unauthorised(&self) -> Response<Bytes> {
        let mut response = bare(StatusCode::UNAUTHORIZED);
        let challenge = format!("Ringfence realm=\"{}\"", self.host.host);
        if let Ok(challenge) = http::HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The page where the way through the sign-in begins, for a target of this host.
fn start(target: &str) -> String {
    format!("{OWN}start?to={}", words::query_value(bounded(target)))
}

/// A target that is no path of the host leads to its front page, and so does one that is too long to be carried through
/// three redirects inside each other: proxies take heads of some 4 KiB.
fn bounded(target: &str) -> &str {
    const LONGEST: usize = 2_000;
    let fits = words::query_value(&words::query_value(target)).len() <= LONGEST;
    if fits && crate::door::is_own_page(target) { target } else { "/" }
}

/// An answer to a program.
fn bare(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}
