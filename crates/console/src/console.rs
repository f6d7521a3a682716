//! From a request to an answer: who asks, what for, may they.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use ringfence_breaker::price_book;
use ringfence_control::api::EngineSource;
use ringfence_control::engine::Engine;
use ringfence_control::people::{Hasher, Hosts, People, Rules};
use ringfence_model::Clock;
use ringfence_store::{KeptRequest, Role, Where};

use crate::cookies;
use crate::door::{self, Door, kept};
use crate::failed::Failed;
use crate::form::Fields;
use crate::routes::{self, Call, Needs, Open, Route, Run, RunInside};
use crate::signed_in::{SignedIn, place_of};
use crate::typed::{self, Again, Kept};
use crate::{guard, hosts, words};

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The client's address.
    pub address: IpAddr,
    /// Whether the client used TLS.
    pub is_https: bool,
    /// Which request a listed proxy speaks of, where one sent this.
    pub told: Option<Told>,
}

/// The request that a listed proxy holds or sends on, as far as it tells of another than its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Its method.
    pub method: Option<String>,
    /// Its host.
    pub host: Option<String>,
    /// Its path and query.
    pub target: Option<String>,
}

/// What the gate of this node has counted on a route since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteCounts {
    /// The route, as logs and metrics call it; empty for what reached none.
    pub route: String,
    /// How many requests were let in.
    pub admitted: u64,
    /// How many were not, and why.
    pub refused: Vec<Refusals>,
}

/// Requests that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// The reason, as logs and metrics call it.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// Where requests are found, one by one.
#[derive(Clone)]
pub enum Requests {
    /// Nowhere: the configuration has nothing kept of them.
    Nowhere,
    /// The newest at the gate of this node, in its memory, newest first.
    InMemory(Arc<dyn Fn() -> Vec<KeptRequest> + Send + Sync>),
    /// Those of all nodes, in the store.
    InStore,
}

/// Tells what the gate of this node has said.
#[derive(Clone)]
pub struct Gate {
    /// How often, since its start.
    pub counts: Arc<dyn Fn() -> Vec<RouteCounts> + Send + Sync>,
}

/// What the console tells of the egress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressEnd {
    /// Where applications reach it, without a path: `http://127.0.0.1:8500`.
    pub url: String,
    /// How its requests are priced.
    pub prices: price_book::Rules,
}

/// What the console needs.
#[derive(Clone)]
pub struct ConsoleSetup {
    /// Whom it asks, and through whom it acts.
    pub engine: EngineSource,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the gate has counted; none where there is no gate.
    pub gate: Option<Gate>,
    /// Where requests are found.
    pub requests: Requests,
    /// What is demanded of people.
    pub rules: Rules,
    /// What compares their passwords.
    pub hasher: Hasher,
    /// Whether mail reaches them.
    pub mails: bool,
    /// The egress; none where there is none.
    pub egress: Option<EgressEnd>,
    /// Where usage triggers are to call, for the plan; none where there is no such route.
    pub callback_url: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

/// The console.
#[derive(Clone)]
pub struct Console {
    setup: ConsoleSetup,
}

impl Console {
    /// A console that asks this engine.
    pub fn new(setup: ConsoleSetup) -> Self {
        Self { setup }
    }

    /// The methods and paths that there are, `{}` standing for a piece that varies.
    pub fn routes() -> impl Iterator<Item = (&'static Method, &'static str)> {
        routes::ROUTES.iter().map(|route| (&route.method, route.path))
    }

    /// Answers a request whose body was read whole.
    pub async fn answer(&self, caller: Caller, request: Request<Bytes>) -> Response<Bytes> {
        let is_https = caller.is_https;
        let of_a_host = hosts::answer(self, &caller, &request).await;
        // What a proxy hands on speaks for its host, which may want its own pages framed or its next address in clear.
        let is_handed_on = of_a_host.is_some();
        let mut response = match of_a_host {
            Some(response) => response,
            None => self.try_answer(caller, &request).await.unwrap_or_else(|failed| failed.response()),
        };
        if request.method() == Method::HEAD {
            let length = HeaderValue::from(response.body().len());
            response.headers_mut().insert(CONTENT_LENGTH, length);
            *response.body_mut() = Bytes::new();
        }
        guard::seal(&mut response, is_https && !is_handed_on);
        response
    }

    async fn try_answer(&self, caller: Caller, request: &Request<Bytes>) -> Result<Response<Bytes>, Failed> {
        guard::check(&caller, request)?;
        let (route, piece) = routes::find(request.method(), request.uri().path())?;
        let query = Fields::of(request.uri().query().unwrap_or_default().as_bytes());
        let now = self.now();
        let engine = || (self.setup.engine)().map_err(Failed::Away);
        let (needs, run) = match route.run {
            Run::Open(run) => return run(Open { request, query }).await,
            Run::Door(run) => {
                let engine = engine()?;
                return run(self.door(caller, request, engine, query, now).await?).await;
            }
            Run::Inside(needs, run) => (needs, run),
        };
        let engine = engine()?;
        let is_https = caller.is_https;
        let found = SignedIn::look_up(engine.store(), request.headers(), is_https, now).await?;
        let Some(signed_in) = found else {
            let owner = match cookies::session(request.headers(), is_https) {
                Some(token) if request.method() == Method::POST => {
                    engine.store().session_owner(&token).await?
                }
                _ => None,
            };
            return Ok(typed::led_to("/sign-in", request, is_https, owner.as_deref()));
        };
        let typed = Kept::sent(request.headers(), is_https);
        let is_anothers = typed.as_ref().is_some_and(|typed| !typed.is_of(&signed_in.person().id));
        let typed = typed.filter(|_| !is_anothers);
        let asked = Asked { caller: &caller, request, query, typed };
        let answered = self.inside(asked, (route, piece, needs, run), &engine, &signed_in, now).await;
        let mut response = match (answered, signed_in.only_account()) {
            // Of an account that nobody knows there is no page at all, and no other to lead to.
            (Err(Failed::NotFound), Some(own)) if engine.store().find_account(own).await?.is_none() => {
                return Err(Failed::UnknownAccount { own, csrf: signed_in.csrf().to_owned() });
            }
            (Err(Failed::NotFound), _) => {
                return Err(about_another(request, &signed_in).unwrap_or(Failed::NotFound));
            }
            (answered, _) => answered?,
        };
        if is_anothers {
            // Whoever was here before typed it.
            response.headers_mut().append(SET_COOKIE, typed::forget(is_https));
        }
        Ok(response)
    }

    /// What somebody who is inside asked for.
    async fn inside(
        &self,
        asked: Asked<'_>,
        (route, piece, needs, run): (&'static Route, &str, Needs, RunInside),
        engine: &Arc<Engine>,
        signed_in: &SignedIn,
        now: Timestamp,
    ) -> Result<Response<Bytes>, Failed> {
        let Asked { caller, request, query, typed } = asked;
        let is_https = caller.is_https;
        if route.method == Method::GET && signed_in.has_only_other_places() && needs.role.is_some() {
            return Ok(words::redirect("/go-to"));
        }
        // That the next secret of a trusted computer has arrived shows here first; it is kept as that a session was used.
        let devices = kept::devices(request.headers(), is_https);
        if !devices.is_empty() {
            let (person, address) = (&signed_in.person().id, caller.address.to_string());
            engine.store().see_devices(&devices, person, &address, now).await?;
        }
        // Visitors have no overview: what there is for them here is their own sign-in.
        if signed_in.role() == Some(Role::Visitor) && request.uri().path() == "/" {
            return Ok(words::redirect("/security"));
        }
        needs.allow(signed_in)?;
        if needs.fresh && !signed_in.session().assurance.is_fresh(now) {
            let person = &signed_in.person().id;
            return Ok(typed::led_to("/second-factor", request, is_https, Some(person)));
        }
        let call = Call {
            console: &self.setup,
            engine,
            signed_in,
            people: self.people(engine),
            visitor: door::visitor(request.headers(), caller),
            piece,
            query,
            form: Fields::default(),
            again: None,
            elsewhere: None,
            now,
        };
        if request.method() == Method::POST {
            return take_form(call, run, request, is_https).await;
        }
        let typed = typed.and_then(|typed| typed.of_page(request.uri().path(), signed_in.place()));
        show_page(call, run, typed, is_https).await
    }

    /// What the pages before somebody is inside are given.
    async fn door<'a>(
        &'a self,
        caller: Caller,
        request: &'a Request<Bytes>,
        engine: Arc<Engine>,
        query: Fields,
        now: Timestamp,
    ) -> Result<Door<'a>, Failed> {
        let people = self.people(&engine);
        let session = match cookies::session(request.headers(), caller.is_https) {
            Some(token) => {
                people.session(&token).await.map_err(Failed::of_people)?.map(|session| (token, session))
            }
            None => None,
        };
        let is_form = request.method() == Method::POST;
        let form = if is_form { Fields::of_form(request)? } else { Fields::default() };
        let headers = request.headers();
        Ok(Door { console: &self.setup, people, engine, caller, headers, session, query, form, now })
    }

    /// The protected hosts.
    pub(crate) fn hosts(&self) -> &Hosts {
        &self.setup.rules.hosts
    }

    /// Where this console is.
    pub(crate) fn url(&self) -> Option<&str> {
        self.setup.rules.console_url.as_deref()
    }

    pub(crate) fn unix_seconds(&self) -> u64 {
        self.setup.clock.unix_seconds()
    }

    /// Those who know sessions, if the control plane is at work.
    pub(crate) fn people_at_work(&self) -> Result<People, Failed> {
        let engine = (self.setup.engine)().map_err(Failed::Away)?;
        Ok(self.people(&engine))
    }

    fn people(&self, engine: &Engine) -> People {
        let ConsoleSetup { hasher, rules, clock, .. } = &self.setup;
        People::new(Arc::clone(engine.store()), hasher.clone(), rules.clone(), Arc::clone(clock))
    }

    fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.setup.clock.unix_micros()).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    }
}

/// A request of somebody who is inside.
struct Asked<'r> {
    caller: &'r Caller,
    request: &'r Request<Bytes>,
    query: Fields,
    /// What they typed before they had to sign in.
    typed: Option<Kept>,
}

/// Whether a page is about another account that they may look at: nobody else learns that it is there.
fn about_another(request: &Request<Bytes>, signed_in: &SignedIn) -> Option<Failed> {
    let here = signed_in.place();
    let query = Fields::of(request.uri().query().unwrap_or_default().as_bytes());
    let named = request.uri().path().split('/').chain([query.get("account")]);
    let mut places = named.filter_map(|text| Where::from_text(text).filter(|place| *place != here));
    let other = places.find(|place| *place != Where::Everywhere)?;
    signed_in.person().role(other).map(|_| Failed::AboutAnother { other, here })
}

/// A page, with what was typed into its form before somebody had to sign in. What was typed for another account is kept on,
/// and told of.
async fn show_page(
    mut call: Call<'_>,
    run: RunInside,
    typed: Option<Result<Fields, Where>>,
    is_https: bool,
) -> Result<Response<Bytes>, Failed> {
    let typed = match typed {
        Some(Ok(typed)) => typed,
        Some(Err(other)) => {
            call.elsewhere = call.signed_in.person().role(other).map(|_| other);
            return run(call).await;
        }
        None => return run(call).await,
    };
    call.show_again(typed, Again::Back);
    let mut response = run(call).await?;
    response.headers_mut().append(SET_COOKIE, typed::forget(is_https));
    Ok(response)
}

/// A form of a page of this session; one of another session is shown again, as it was filled in, and nothing is done.
async fn take_form(
    mut call: Call<'_>,
    run: RunInside,
    request: &Request<Bytes>,
    is_https: bool,
) -> Result<Response<Bytes>, Failed> {
    let form = Fields::of_form(request)?;
    let Err(stale) = call.signed_in.check_csrf(&form) else {
        call.form = form;
        return run(call).await;
    };
    if request.uri().path() == "/sign-out" {
        // Whoever closes the window now shall know that they are not out.
        return Err(Failed::StillIn { csrf: call.signed_in.csrf().to_owned() });
    }
    let (route, piece) =
        routes::find(&Method::GET, typed::page_of(request.uri().path())).map_err(|_| stale)?;
    let Run::Inside(needs, show) = route.run else { return Err(Failed::StaleForm) };
    needs.allow(call.signed_in)?;
    call.piece = piece;
    let here = call.signed_in.place();
    let mut cookie = None;
    let mut response = if let Some(other) = place_of(&form).filter(|place| *place != here) {
        // The form of another account is another form: what was typed waits there.
        let person = call.signed_in.person();
        person.role(other).ok_or(Failed::StaleForm)?;
        cookie = typed::kept(&person.id, typed::page_of(request.uri().path()), &form, is_https);
        call.elsewhere = Some(other);
        match show(call).await {
            Err(Failed::NotFound) => Failed::Elsewhere { other, here }.response(),
            shown => shown?,
        }
    } else {
        call.show_again(form, Again::Stale);
        show(call).await?
    };
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

impl fmt::Debug for Console {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Console").finish_non_exhaustive()
    }
}

impl fmt::Debug for ConsoleSetup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ConsoleSetup").finish_non_exhaustive()
    }
}
