//! What belongs to us on each protected host: `/.ringfence/start`, `/.ringfence/enter`, `/.ringfence/sign-out`.

use askama::Template;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, REFRESH, SET_COOKIE};
use http::{HeaderValue, Method, Response, StatusCode};
use ringfence_control::people::ProtectedHost;
use ringfence_model::Secret;
use ringfence_second_factor::device::SecretHash;
use ringfence_store::random_token;

use super::check::signed_in;
use super::{OWN, Visit, bare, bounded, cookies, start};
use crate::failed::Failed;
use crate::form::Fields;
use crate::words;

#[derive(Template)]
#[template(path = "hosts/page.html")]
struct Page<'a> {
    host: &'a str,
    title: &'a str,
    text: String,
    /// Where to go on: words and a path of the host.
    link: Option<(&'a str, String)>,
    /// Whether the link leaves this page open.
    in_another_tab: bool,
    /// Whether there is the button that signs out.
    may_sign_out: bool,
}

pub(super) async fn answer(visit: &Visit<'_>) -> Response<Bytes> {
    let (path, method) = (visit.request.uri().path(), visit.request.method());
    let name = path.strip_prefix(OWN).unwrap_or_default();
    let answered = match (name, method) {
        // A proxy that leads every refused request here brings its method.
        ("start", _) => Ok(begin(visit)),
        ("enter", &Method::GET) => enter(visit).await,
        ("sign-out", &Method::GET) => ask_sign_out(visit).await,
        ("sign-out", &Method::POST) => sign_out(visit).await,
        ("console.css", &Method::GET) => Ok(style()),
        ("enter" | "sign-out" | "console.css", _) => {
            let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
            let allowed = if name == "sign-out" { "GET, POST" } else { "GET" };
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            Ok(response)
        }
        _ => Ok(bare(StatusCode::NOT_FOUND)),
    };
    answered.unwrap_or_else(|failed| {
        tracing::warn!(error = %failed, host = visit.host.host, "a protected host is closed");
        let text = "Nobody can be let in at the moment. Try again in a little while.".to_owned();
        let page = Page { title: "Not now", text, link: None, ..Page::of(visit) };
        page.shown(StatusCode::SERVICE_UNAVAILABLE)
    })
}

/// Sends a browser to the console, with the hash of a secret that it alone has.
fn begin(visit: &Visit<'_>) -> Response<Bytes> {
    if !visit.is_for_a_page() {
        return not_signed_in(visit);
    }
    let Some(console) = visit.console.url() else { return bare(StatusCode::FORBIDDEN) };
    // A proxy that leads a refused request here tells of its own target; else somebody was sent here with it.
    let query = visit.query();
    let to = if visit.target.starts_with(OWN) { bounded(query.get("to")) } else { bounded(&visit.target) };
    // Two tabs of one browser begin with one secret, so that neither takes the other's way.
    let began = cookies::BEGAN.sent(visit.headers()).unwrap_or_else(random_token);
    let hash = SecretHash::of(began.expose());
    let (host, to) = (words::query_value(&visit.host.host), words::query_value(to));
    let hash = words::hex(hash.bytes());
    let mut response = words::redirect(&format!("{console}/hand-over?host={host}&began={hash}&to={to}"));
    keep(&mut response, cookies::BEGAN.set(&began));
    response
}

/// Takes the code that the console gave.
async fn enter(visit: &Visit<'_>) -> Result<Response<Bytes>, Failed> {
    let query = visit.query();
    let to = bounded(query.get("to"));
    let people = visit.people()?;
    let code = Secret::new(query.get("code"));
    let began = cookies::BEGAN.sent(visit.headers());
    let before = cookies::SESSION.sent(visit.headers());
    let entered = people.enter_host(visit.host, &code, began.as_ref(), before.as_ref()).await;
    if let Some(token) = entered.map_err(Failed::of_people)? {
        let mut response = go_on(visit, to);
        keep(&mut response, cookies::SESSION.set(&token));
        // The next way begins with another secret.
        keep(&mut response, cookies::BEGAN.forget());
        return Ok(response);
    }
    // The page was loaded again, or another tab was quicker.
    if signed_in(visit).await?.is_some() {
        return Ok(go_on(visit, to));
    }
    // It was quicker, and whoever signed in once more here ended its session with that of the console. The secret of both
    // tabs is gone, the cookie is left: another way begins, on which nobody need be asked.
    if began.is_none() && before.is_some() {
        return Ok(words::redirect(&visit.url(&start(to))));
    }
    let page = Page {
        title: "This sign-in is over",
        text: "It was used already, took longer than a minute, or was begun in another browser. Nothing is lost: \
               begin again."
            .to_owned(),
        link: Some(("Begin again", start(to))),
        ..Page::of(visit)
    };
    Ok(page.shown(StatusCode::FORBIDDEN))
}

/// Leads on by a page. A redirect would still count as one that follows the form of the console, which browsers hold against every
/// address that comes after it (CSP level 3, 6.1.2): where the application's own page redirects to is in no policy of ours.
fn go_on(visit: &Visit<'_>, to: &str) -> Response<Bytes> {
    let page = Page {
        title: "You are in",
        text: "On the way to where you were going.".to_owned(),
        link: Some(("Go on", to.to_owned())),
        ..Page::of(visit)
    };
    let mut response = page.shown(StatusCode::OK);
    if let Ok(refresh) = HeaderValue::from_str(&format!("0; url={}", visit.url(to))) {
        response.headers_mut().insert(REFRESH, refresh);
    }
    response
}

/// 401, with words for whoever sees it: somebody whose form came after their session had ended.
pub(super) fn not_signed_in(visit: &Visit<'_>) -> Response<Bytes> {
    let mut refused = visit.unauthorised();
    if !visit.is_seen() {
        return refused;
    }
    let page = Page {
        title: "You are not signed in any more",
        text: "What you sent was not done, and it is not lost. Sign in in another tab, come back to this one and load it again: the \
               browser asks whether to send it once more."
            .to_owned(),
        link: Some(("Sign in in another tab", start("/"))),
        in_another_tab: true,
        ..Page::of(visit)
    };
    let headers = std::mem::take(refused.headers_mut());
    let mut response = page.shown(StatusCode::UNAUTHORIZED);
    response.headers_mut().extend(headers);
    response
}

/// A link may stand anywhere, and programs follow links: it opens this page, and its button signs out.
async fn ask_sign_out(visit: &Visit<'_>) -> Result<Response<Bytes>, Failed> {
    let people = visit.people()?;
    let leaving = match cookies::SESSION.sent(visit.headers()) {
        Some(token) => people.leaving(visit.host, &token).await.map_err(Failed::of_people)?,
        None => None,
    };
    let page = match leaving {
        Some(person) => Page {
            title: "Sign out",
            text: format!(
                "You are signed in as {}. Signing out ends it here, in the console, and at every page that you entered from \
                 this browser.",
                person.login
            ),
            link: Some(("Back", "/".to_owned())),
            may_sign_out: true,
            ..Page::of(visit)
        },
        None => Page {
            title: "Not signed in",
            text: "You are not signed in here.".to_owned(),
            ..Page::signed_out(visit)
        },
    };
    Ok(page.shown(StatusCode::OK))
}

async fn sign_out(visit: &Visit<'_>) -> Result<Response<Bytes>, Failed> {
    if !visit.is_from_the_host() {
        return Ok(bare(StatusCode::FORBIDDEN));
    }
    let people = visit.people()?;
    if let Some(token) = cookies::SESSION.sent(visit.headers()) {
        people.leave_hosts(visit.host, &token).await.map_err(Failed::of_people)?;
    }
    let mut response = Page::signed_out(visit).shown(StatusCode::OK);
    keep(&mut response, cookies::SESSION.forget());
    Ok(response)
}

fn style() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(include_bytes!("../../templates/console.css")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    response
}

fn keep(response: &mut Response<Bytes>, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

impl Visit<'_> {
    fn query(&self) -> Fields {
        Fields::of(self.request.uri().query().unwrap_or_default().as_bytes())
    }
}

impl<'a> Page<'a> {
    fn of(visit: &'a Visit<'_>) -> Self {
        let host: &ProtectedHost = visit.host;
        Self {
            host: &host.host,
            title: "",
            text: String::new(),
            link: None,
            in_another_tab: false,
            may_sign_out: false,
        }
    }

    fn signed_out(visit: &'a Visit<'_>) -> Self {
        let text = "You are signed out.".to_owned();
        Self { title: "Signed out", text, link: Some(("Sign in again", start("/"))), ..Self::of(visit) }
    }

    fn shown(&self, status: StatusCode) -> Response<Bytes> {
        let Ok(text) = self.render() else { return bare(StatusCode::INTERNAL_SERVER_ERROR) };
        let mut response = words::html(text);
        *response.status_mut() = status;
        response
    }
}
