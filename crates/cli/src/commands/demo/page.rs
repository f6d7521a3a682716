//! The tour as one page in the browser: three chapters, each with buttons that really do what they say.
//!
//! The page is a document that is rendered here and works without a script: a button is a form that is posted and answered
//! with a redirect. There is one state, which all tabs show. An act goes on whether or not its browser waits for it, and
//! there is one at a time in each chapter, so that a second click does nothing again. Nobody signs in here, so nobody but
//! this page may drive it: the name it is asked by must be its own, and what a browser says of another site is refused.

mod chapter;
mod forge;
mod money;
mod sign_in;
#[cfg(test)]
mod tests;
mod view;

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use self::chapter::Chapter;
use super::World;

/// The longest form that is read; the page's own are a few hundred bytes.
const FORM_MAX: usize = 16 * 1024;
const SCRIPT: &str = include_str!("../../../templates/demo.js");
const STYLE: &str = include_str!("../../../templates/demo.css");

/// The page, and what has become of its chapters so far.
pub(super) struct Page {
    world: World,
    address: SocketAddr,
    forge: Rc<Chapter<forge::State>>,
    money: Rc<Chapter<money::State>>,
    sign_in: Rc<Chapter<sign_in::State>>,
    /// How often it was shown while something went on.
    renders: Cell<u64>,
}

/// The fields of a form that was posted.
struct Form(Vec<(String, String)>);

impl Form {
    /// A field, without white space around it; empty where it was not sent.
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(it, _)| it == name).map_or("", |(_, value)| value.trim())
    }
}

/// Answers requests to the page until the runtime ends. It must be called inside a `LocalSet`.
pub(super) fn serve(page: Rc<Page>, listener: std::net::TcpListener) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    page.sign_in_prepared();
    tokio::task::spawn_local(async move {
        loop {
            // One that broke on its way, or too many open files: the next one may do.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let page = Rc::clone(&page);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| answer_whole(Rc::clone(&page), request));
                // How a browser hangs up does not matter.
                let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(())
}

async fn answer_whole(
    page: Rc<Page>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let response = match Limited::new(body, FORM_MAX).collect().await {
        Ok(body) => page.answer(Request::from_parts(head, body.to_bytes())).await,
        Err(_) => sealed(plain(StatusCode::PAYLOAD_TOO_LARGE, "this is longer than any form of this page")),
    };
    Ok(response.map(Full::new))
}

impl Page {
    /// Nothing has happened yet.
    pub(super) fn new(world: World, address: SocketAddr) -> Self {
        let renders = Cell::new(0);
        Self { world, address, forge: Rc::default(), money: Rc::default(), sign_in: Rc::default(), renders }
    }

    /// Answers one request.
    async fn answer(self: &Rc<Self>, request: Request<Bytes>) -> Response<Bytes> {
        sealed(match self.refused(&request) {
            Some(why) => plain(StatusCode::FORBIDDEN, why),
            None => self.routed(&request).await,
        })
    }

    /// Why somebody may not ask at all.
    fn refused(&self, request: &Request<Bytes>) -> Option<&'static str> {
        if !self.is_own_name(request.headers()) {
            // A page elsewhere can let a name of its own lead to this machine.
            return Some("this is no name of this page: ask for it as http://127.0.0.1 with its port");
        }
        ringfence_console::is_foreign(false, request.method(), request.headers())
            .then_some("a page of another site has no business here")
    }

    fn is_own_name(&self, headers: &HeaderMap) -> bool {
        let port = self.address.port();
        // Browsers leave the port of http away.
        let plain = ["127.0.0.1".to_owned(), "localhost".to_owned()].into_iter().filter(|_| port == 80);
        let names: Vec<_> =
            [self.address.to_string(), format!("localhost:{port}")].into_iter().chain(plain).collect();
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
        host.is_some_and(|host| names.iter().any(|name| name.eq_ignore_ascii_case(host)))
    }

    async fn routed(self: &Rc<Self>, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let is_post = request.method() == Method::POST;
        if !is_post && !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_so("GET, HEAD, POST");
        }
        let form = Form(form_urlencoded::parse(request.body()).into_owned().collect());
        match (path, is_post) {
            ("/", false) => self.shown().await,
            ("/assets/demo.css", false) => {
                asset("text/css; charset=utf-8", [ringfence_console::STYLE, STYLE].concat())
            }
            ("/assets/demo.js", false) => asset("text/javascript; charset=utf-8", SCRIPT.to_owned()),
            ("/forge", true) => self.forge(&form).await,
            ("/money", true) => self.loose_the_thief().await,
            ("/sign-in/password", true) => self.password(&form).await,
            ("/sign-in/send", true) => self.send_code(&form).await,
            ("/sign-in/code", true) => self.code(&form).await,
            ("/sign-in/key", true) => self.press_key().await,
            ("/sign-in/again", true) => self.sign_in_again().await,
            ("/" | "/assets/demo.css" | "/assets/demo.js", true) => not_so("GET, HEAD"),
            // What a reload of an answer leads to, and what people type.
            ("/forge" | "/money", false) => leading_to(path.trim_start_matches('/')),
            (path, false) if path.starts_with("/sign-in/") => leading_to("sign-in"),
            _ => plain(StatusCode::NOT_FOUND, "there is one page here, at /"),
        }
    }
}

/// Back to the page, where the chapter begins.
fn leading_to(chapter: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    // Chapters have names of ours.
    if let Ok(to) = HeaderValue::from_str(&format!("/#{chapter}")) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn not_so(allowed: &'static str) -> Response<Bytes> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "not in this way");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = served("text/plain; charset=utf-8", format!("{text}\n"));
    *response.status_mut() = status;
    response
}

/// Asked for again each time: another version may listen at the same address tomorrow.
fn asset(content_type: &'static str, text: String) -> Response<Bytes> {
    let mut response = served(content_type, text);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn served(content_type: &'static str, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn sealed(mut response: Response<Bytes>) -> Response<Bytes> {
    ringfence_console::seal(&mut response, false);
    response
}
