//! Protected hosts: whom a proxy is told to let in, and how somebody gets there.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::parse;
use http::Request;
use ringfence_console::{Caller, Told};
use ringfence_control::people::ProtectedHost;
use ringfence_model::{Actor, Secret, Sid, StampKey};
use ringfence_second_factor::policy::{Assurance, Demands, Kind, Policy, Strength};
use ringfence_store::{Grant, Lock, NewSession, Role, Stage, Where};

use crate::world::{Browser, Page, World};

pub(crate) const WIKI: &str = "wiki.example.com";
const CRM: &str = "crm.example.com:8443";
const CONSOLE: &str = "https://console.example.com";

fn key() -> StampKey {
    StampKey::new(&Secret::new("0123456789abcdef0123456789abcdef")).unwrap()
}

pub(crate) fn host(name: &str, place: Where, role: Role) -> ProtectedHost {
    ProtectedHost { host: name.to_owned(), place, role, key: Some(key()) }
}

pub(crate) async fn world() -> World {
    let wiki = host(WIKI, Where::Everywhere, Role::Auditor);
    let crm = host(CRM, Where::Everywhere, Role::Operator);
    World::protecting(vec![wiki, crm]).await
}

/// A browser at protected hosts: what it keeps of them, and a proxy that speaks for it.
pub(crate) struct Visitor<'w> {
    world: &'w World,
    pub(crate) cookies: Vec<(String, String, String)>,
}

pub(crate) fn navigation(builder: http::request::Builder) -> http::request::Builder {
    builder
        .header("accept", "text/html,*/*;q=0.8")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
}

pub(crate) fn told(host: &str, target: &str) -> Told {
    Told { method: Some("GET".to_owned()), host: Some(host.to_owned()), target: Some(target.to_owned()) }
}

impl<'w> Visitor<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self { world, cookies: Vec::new() }
    }

    fn cookie(&self, host: &str) -> String {
        let own = self.cookies.iter().filter(|(of, _, _)| of == host);
        own.map(|(_, name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// What a proxy that holds a request is answered.
    pub(crate) async fn asked(&self, path: &str, told: Told, request: http::request::Builder) -> Page {
        let cookie = told.host.as_deref().map(|host| self.cookie(host)).unwrap_or_default();
        let request =
            request.method("GET").uri(path).header("host", "127.0.0.1:8400").header("cookie", cookie);
        let caller = Caller { address: [192, 0, 2, 7].into(), is_https: true, told: Some(told) };
        Page::of(self.world.console.answer(caller, request.body(Bytes::new()).unwrap()).await)
    }

    /// Whether a page of this host is shown.
    pub(crate) async fn check(&self, host: &str) -> u16 {
        self.asked("/auth/check", told(host, "/page"), Request::builder()).await.status
    }

    /// What a proxy sends on.
    pub(crate) async fn sent_on(
        &mut self,
        method: &str,
        host: &str,
        target: &str,
        request: http::request::Builder,
    ) -> Page {
        let request =
            request.method(method).uri(target).header("host", host).header("cookie", self.cookie(host));
        let told = Told { method: None, host: Some(host.to_owned()), target: None };
        let caller = Caller { address: [192, 0, 2, 7].into(), is_https: true, told: Some(told) };
        let page = Page::of(self.world.console.answer(caller, request.body(Bytes::new()).unwrap()).await);
        for cookie in page.response.headers().get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            self.cookies.retain(|(of, known, _)| (of.as_str(), known.as_str()) != (host, name));
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((host.to_owned(), name.to_owned(), value.to_owned()));
            }
        }
        page
    }

    /// From a page of a host to the console: the path there.
    pub(crate) async fn begin(&mut self, host: &str, to: &str) -> String {
        let target: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let page = self
            .sent_on("GET", host, &format!("/.ringfence/start?to={target}"), navigation(Request::builder()))
            .await;
        page.header("location").strip_prefix(CONSOLE).unwrap_or_else(|| panic!("{}", page.status)).to_owned()
    }

    /// The whole way, in which the console's session is this browser's.
    pub(crate) async fn enter(&mut self, browser: &Browser<'_>, host: &str) -> Page {
        let path = self.begin(host, "/page").await;
        let code = browser.get(&path).await;
        let target = target_at(code.header("location"), host);
        self.sent_on("GET", host, &target, navigation(Request::builder())).await
    }
}

/// The target of an address of this host.
#[track_caller]
pub(crate) fn target_at(url: &str, host: &str) -> String {
    url.strip_prefix(&format!("https://{host}"))
        .unwrap_or_else(|| panic!("{url} is not at {host}"))
        .to_owned()
}

fn value_of(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    parse(query.as_bytes()).find(|(key, _)| key == name).unwrap().1.into_owned()
}

pub(crate) async fn auditor<'w>(world: &'w World, login: &str) -> Browser<'w> {
    world.signed_in(login, Role::Auditor, Where::Everywhere).await
}

#[tokio::test]
async fn only_listed_hosts_over_https_by_listed_proxies_are_answered() {
    let world = world().await;
    let maria = auditor(&world, "maria@example.com").await;
    let mut visitor = Visitor::new(&world);
    visitor.enter(&maria, WIKI).await;
    let cookie = visitor.cookie(WIKI);
    assert_eq!(visitor.check(WIKI).await, 200);
    let ask = async |path: &str, told: Option<Told>, is_https: bool, host: &str| {
        let request = navigation(Request::builder()).uri(path).header("host", host).header("cookie", &cookie);
        let caller = Caller { address: [192, 0, 2, 7].into(), is_https, told };
        Page::of(world.console.answer(caller, request.body(Bytes::new()).unwrap()).await)
    };
    for path in ["/auth/check", "/auth/forward", "/.ringfence/start", "/.ringfence/enter?code=1"] {
        for (what, told, is_https) in [
            ("a stranger", None, true),
            ("in clear", Some(told(WIKI, "/page")), false),
            ("another host", Some(told("other.example.com", "/page")), true),
            ("the console's", Some(told("console.example.com", "/page")), true),
            ("a part of it", Some(told("example.com", "/page")), true),
            ("another port", Some(told("wiki.example.com:8443", "/page")), true),
            ("another port", Some(told("crm.example.com", "/page")), true),
            ("two hosts", Some(told("wiki.example.com, other.example.com", "/page")), true),
            ("no host", Some(told("", "/page")), true),
        ] {
            let page = ask(path, told, is_https, WIKI).await;
            assert_eq!((page.status, page.header("ringfence-user")), (403, ""), "{what} at {path}");
        }
    }
    for path in ["/auth/", "/auth/other", "/auth/checks", "/auth/check.html"] {
        assert_eq!(ask(path, Some(told(WIKI, "/page")), true, WIKI).await.status, 403, "{path}");
    }
    // The console's own pages are not at its address.
    for path in ["/", "/sign-in", "/security", "/assets/console.css"] {
        assert_eq!(ask(path, Some(told(WIKI, path)), true, WIKI).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn what_a_proxy_tells_is_read_strictly() {
    let world = world().await;
    let maria = auditor(&world, "maria@example.com").await;
    let mut visitor = Visitor::new(&world);
    visitor.enter(&maria, WIKI).await;
    for target in
        ["", "page", "https://wiki.example.com/page", "/a b", "/ä", "/a\r\nRingfence-User: b", "/\u{7f}"]
    {
        let page = visitor.asked("/auth/check", told(WIKI, target), Request::builder()).await;
        assert_eq!(page.status, 403, "{target:?}");
    }
    let method = Told { method: Some("GE T".to_owned()), ..told(WIKI, "/page") };
    assert_eq!(visitor.asked("/auth/check", method, Request::builder()).await.status, 403);
    let own = visitor.asked("/auth/check", told(WIKI, "/.ringfence/x"), Request::builder()).await;
    assert_eq!(own.status, 403, "what is ours never goes to the application");
    // Envoy puts the target behind our path; one that a client adds says something else.
    let none = || Told { target: None, method: None, ..told(WIKI, "") };
    assert_eq!(visitor.asked("/auth/check/page?x=1", none(), Request::builder()).await.status, 200);
    assert_eq!(
        visitor.asked("/auth/check", none(), Request::builder()).await.status,
        403,
        "no target at all"
    );
    let page = visitor.asked("/auth/check/page", told(WIKI, "/other"), Request::builder()).await;
    assert_eq!(page.status, 403);
    assert_eq!(
        visitor.asked("/auth/check?x=1", told(WIKI, "/page?x=1"), Request::builder()).await.status,
        200
    );
}

#[tokio::test]
async fn only_a_page_is_led_to_the_sign_in_and_only_by_a_proxy_that_hands_it_on() {
    let world = world().await;
    let visitor = Visitor::new(&world);
    let target = "/space/My%20page?x=%41&y=1+2";
    let page = visitor.asked("/auth/forward", told(WIKI, target), navigation(Request::builder())).await;
    assert_eq!(page.status, 303);
    let start = "https://wiki.example.com/.ringfence/start?to=%2Fspace%2FMy%2520page%3Fx%3D%2541%26y%3D1%2B2";
    assert_eq!(page.header("location"), start);
    assert_eq!(page.header("set-cookie"), "", "a proxy may not hand it on");
    let page = visitor.asked("/auth/check", told(WIKI, target), navigation(Request::builder())).await;
    assert_eq!((page.status, page.header("location")), (401, ""));
    assert_eq!(page.header("www-authenticate"), "Ringfence realm=\"wiki.example.com\"");
    let accept = |accept: &str| Request::builder().header("accept", accept);
    let html = || accept("text/html");
    assert_eq!(visitor.asked("/auth/forward", told(WIKI, "/"), html()).await.status, 303, "an old browser");
    for (what, method, request) in [
        ("a form", "POST", navigation(Request::builder())),
        ("a script", "GET", accept("*/*")),
        ("a script", "GET", html().header("sec-fetch-mode", "cors")),
        ("a script of old", "GET", html().header("x-requested-with", "XMLHttpRequest")),
        ("a frame", "GET", html().header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "iframe")),
        ("a WebSocket", "GET", html().header("upgrade", "websocket")),
        ("a program", "GET", Request::builder()),
    ] {
        let told = Told { method: Some(method.to_owned()), ..told(WIKI, "/") };
        assert_eq!(visitor.asked("/auth/forward", told, request).await.status, 401, "{what}");
    }
}

#[tokio::test]
async fn nothing_leads_to_another_host() {
    let world = world().await;
    let maria = auditor(&world, "maria@example.com").await;
    for to in [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/a\r\nSet-Cookie: x=y",
        "javascript:alert(1)",
        "@evil.example/",
        ".evil.example/",
        "",
    ] {
        let mut visitor = Visitor::new(&world);
        let path = visitor.begin(WIKI, to).await;
        assert_eq!(value_of(&path, "to"), "/", "{to:?}");
        // Whoever writes it into a later step has no more luck.
        let to: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let path = format!("{}&to={to}", path.split("&to=").next().unwrap());
        let code = maria.get(&path).await;
        assert_eq!(value_of(code.header("location"), "to"), "/", "{to:?}");
        let target = target_at(code.header("location"), WIKI);
        let target = format!("{}&to={to}", target.split("&to=").next().unwrap());
        let entered = visitor.sent_on("GET", WIKI, &target, navigation(Request::builder())).await;
        assert_eq!(entered.header("refresh"), "0; url=https://wiki.example.com/", "{to:?}");
    }
    let long = format!("/{}", "%20".repeat(500));
    let path = Visitor::new(&world).begin(WIKI, &long).await;
    assert_eq!(value_of(&path, "to"), "/", "no proxy would carry it three times over");
    let began = "a".repeat(64);
    for query in [
        format!("host=evil.example&began={began}&to=%2F"),
        format!("began={began}&to=%2F"),
        "host=wiki.example.com&to=%2F".to_owned(),
        format!("host=wiki.example.com&began={}&to=%2F", &began[1..]),
        format!("host=wiki.example.com&began={}g&to=%2F", &began[1..]),
    ] {
        assert_eq!(maria.get(&format!("/hand-over?{query}")).await.status, 404, "{query}");
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_a_minute_at_its_host_in_the_browser_that_began() {
    let world = world().await;
    let owner = world.owner().await;
    let mut visitor = Visitor::new(&world);
    let path = visitor.begin(WIKI, "/page").await;
    let code = async || target_at(owner.get(&path).await.header("location"), WIKI);

    let other_browser = Visitor::new(&world).sent_on("GET", WIKI, &code().await, Request::builder()).await;
    assert_eq!((other_browser.status, other_browser.header("set-cookie")), (403, ""), "the state is missing");
    other_browser.says("Begin again");
    let mut began_itself = Visitor::new(&world);
    began_itself.begin(WIKI, "/page").await;
    let refused = began_itself.sent_on("GET", WIKI, &code().await, Request::builder()).await;
    assert_eq!((refused.status, refused.header("set-cookie")), (403, ""), "it began another way");
    let mut elsewhere = Visitor::new(&world);
    elsewhere.begin(CRM, "/page").await;
    elsewhere.cookies.iter_mut().zip(&visitor.cookies).for_each(|(own, began)| own.2 = began.2.clone());
    let refused = elsewhere.sent_on("GET", CRM, &code().await, Request::builder()).await;
    assert_eq!((refused.status, refused.header("set-cookie")), (403, ""), "a code of another host");
    let late = code().await;
    world.advance(60).await;
    assert_eq!(visitor.sent_on("GET", WIKI, &late, Request::builder()).await.status, 403, "a minute later");
    for code in ["", "?code=", "?code=0", "?to=/"] {
        let target = format!("/.ringfence/enter{code}");
        assert_eq!(visitor.sent_on("GET", WIKI, &target, Request::builder()).await.status, 403, "{code}");
    }

    let good = code().await;
    let began = visitor.cookies.clone();
    let entered = visitor.sent_on("GET", WIKI, &good, Request::builder()).await;
    assert_eq!((entered.status, entered.header("refresh")), (200, "0; url=https://wiki.example.com/page"));
    assert_eq!(visitor.check(WIKI).await, 200);
    assert!(!visitor.cookie(WIKI).contains("began"), "the next way begins with another secret");
    let mut thief = Visitor::new(&world);
    thief.cookies = began;
    assert_eq!(thief.sent_on("GET", WIKI, &good, Request::builder()).await.status, 403, "used twice");
    let again = visitor.sent_on("GET", WIKI, &good, Request::builder()).await;
    assert_eq!(
        again.header("refresh"),
        "0; url=https://wiki.example.com/page",
        "the page loaded again is no dead end"
    );
}

#[tokio::test]
async fn a_cookie_that_is_stolen_from_one_host_opens_no_other_nor_the_console() {
    let world = world().await;
    let owner = world.owner().await;
    let mut visitor = Visitor::new(&world);
    visitor.enter(&owner, WIKI).await;
    let (_, _, token) = visitor.cookies.iter().find(|it| it.1 == "__Host-ringfence-session").unwrap().clone();
    let mut thief = Visitor::new(&world);
    thief.cookies.push((CRM.to_owned(), "__Host-ringfence-session".to_owned(), token.clone()));
    assert_eq!((visitor.check(WIKI).await, thief.check(CRM).await), (200, 401));
    let console = Browser { world: &world, token: Secret::new(token), person: String::new() };
    assert_eq!(console.get("/").await.header("location"), "/sign-in");
    let cookie = format!("__Host-ringfence-session={}", owner.token.expose());
    let request = Request::builder().header("cookie", cookie);
    let page = Visitor::new(&world).asked("/auth/check", told(WIKI, "/"), request).await;
    assert_eq!(page.status, 401, "the console's token is none of a host");
}

#[tokio::test]
async fn whoever_lacks_the_role_is_told_and_whoever_loses_it_is_out_at_once() {
    let world = world().await;
    let by = Actor::CommandLine("ops".to_owned());
    let maria = auditor(&world, "maria@example.com").await;
    let mut visitor = Visitor::new(&world);
    let path = visitor.begin(CRM, "/page").await;
    let refused = maria.get(&path).await;
    assert_eq!(refused.status, 403);
    refused.says("You may not enter crm.example.com:8443.");
    refused.says("You are signed in as maria@example.com");
    refused.says("/sign-in?again=1&#38;to=%2Fhand-over%3Fhost%3Dcrm.example.com");
    visitor.enter(&maria, WIKI).await;
    assert_eq!(visitor.check(WIKI).await, 200);
    world.store.remove_role(&by, &maria.person, Where::Everywhere, world.now()).await.unwrap();
    assert_eq!(visitor.check(WIKI).await, 401);
}

#[tokio::test]
async fn a_role_at_another_account_does_not_enter() {
    let (one, two) = (Sid::new(*b"AC", 1), Sid::new(*b"AC", 2));
    let world = World::protecting(vec![host(WIKI, Where::Account(one), Role::Auditor)]).await;
    let theirs = world.signed_in("one@example.com", Role::Auditor, Where::Account(one)).await;
    let others = world.signed_in("two@example.com", Role::Owner, Where::Account(two)).await;
    let all = world.signed_in("all@example.com", Role::Auditor, Where::Everywhere).await;
    for (browser, status) in [(&theirs, 200), (&others, 401), (&all, 200)] {
        let mut visitor = Visitor::new(&world);
        let path = visitor.begin(WIKI, "/").await;
        let page = browser.get(&path).await;
        if page.status == 303 {
            let target = target_at(page.header("location"), WIKI);
            visitor.sent_on("GET", WIKI, &target, Request::builder()).await;
        }
        assert_eq!(visitor.check(WIKI).await, status, "{}", browser.person);
    }
}

#[tokio::test]
async fn what_ends_the_session_of_the_console_ends_those_of_hosts_at_the_next_check() {
    let world = world().await;
    let by = Actor::CommandLine("ops".to_owned());
    for way in 0..5 {
        let browser = auditor(&world, &format!("{way}@example.com")).await;
        let mut visitor = Visitor::new(&world);
        visitor.enter(&browser, WIKI).await;
        assert_eq!(visitor.check(WIKI).await, 200);
        let (person, now, nobody) = (browser.person.as_str(), world.now(), ringfence_store::Told::nobody);
        match way {
            0 => assert_eq!(browser.post("/sign-out", &[]).await.status, 303),
            1 => world.store.set_password(&by, person, &Secret::new("hash"), nobody(), now).await.unwrap(),
            2 => _ = world.store.lock_person(&by, person, Lock::Out, now).await.unwrap(),
            3 => _ = world.store.end_sessions(&by, person, None, None, now).await.unwrap(),
            _ => world.advance(30 * 60).await,
        }
        assert_eq!(visitor.check(WIKI).await, 401, "way {way}");
    }
}

#[tokio::test]
async fn signing_out_at_a_host_is_a_button_and_ends_everything_of_this_browser() {
    let world = world().await;
    let owner = world.owner().await;
    let mut visitor = Visitor::new(&world);
    visitor.enter(&owner, WIKI).await;
    visitor.enter(&owner, CRM).await;
    let page = visitor.sent_on("GET", WIKI, "/.ringfence/sign-out", Request::builder()).await;
    page.says("You are signed in as owner@example.com.");
    assert_eq!(visitor.check(WIKI).await, 200, "a link signs nobody out");
    owner.get("/security").await.says("also at crm.example.com:8443, wiki.example.com");
    let path = "/.ringfence/sign-out";
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "https://wiki.example.com.evil.example"),
        ("origin", "https://crm.example.com:8443"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("x-nothing", ""),
    ] {
        let page = visitor.sent_on("POST", WIKI, path, Request::builder().header(name, value)).await;
        assert_eq!(page.status, 403, "{name}: {value}");
    }
    assert_eq!(visitor.check(WIKI).await, 200);
    let own = Request::builder().header("origin", "https://wiki.example.com");
    let page = visitor.sent_on("POST", WIKI, path, own).await;
    page.says("You are signed out.");
    assert_eq!((visitor.check(WIKI).await, visitor.check(CRM).await), (401, 401));
    assert_eq!(owner.get("/").await.header("location"), "/sign-in");
    let page = visitor.sent_on("DELETE", WIKI, path, Request::builder()).await;
    assert_eq!((page.status, page.header("allow")), (405, "GET, POST"));
}

#[tokio::test]
async fn who_leaves_a_host_that_lies_idle_leaves_the_console_too_and_whoever_is_not_in_is_told_so() {
    let world = world().await;
    let owner = world.owner().await;
    let mut visitor = Visitor::new(&world);
    let path = "/.ringfence/sign-out";
    visitor.sent_on("GET", WIKI, path, Request::builder()).await.says("You are not signed in here.");
    visitor.enter(&owner, WIKI).await;
    // The console is used, the host is not.
    for _ in 0..4 {
        world.advance(600).await;
        owner.get("/").await;
    }
    assert_eq!(visitor.check(WIKI).await, 401, "it lies idle");
    visitor
        .sent_on("GET", WIKI, path, Request::builder())
        .await
        .says("You are signed in as owner@example.com.");
    assert_eq!(owner.get("/").await.status, 200);
    let own = Request::builder().header("origin", "https://wiki.example.com");
    visitor.sent_on("POST", WIKI, path, own).await.says("You are signed out.");
    assert_eq!(owner.get("/").await.header("location"), "/sign-in");
}

#[tokio::test]
async fn while_the_store_is_away_nobody_passes() {
    let world = world().await;
    let owner = world.owner().await;
    let mut visitor = Visitor::new(&world);
    visitor.enter(&owner, WIKI).await;
    world.is_away.store(true, Ordering::SeqCst);
    for path in ["/auth/check", "/auth/forward"] {
        let page = visitor.asked(path, told(WIKI, "/"), navigation(Request::builder())).await;
        assert_eq!((page.status, page.header("ringfence-user")), (503, ""), "{path}");
        let page = Visitor::new(&world).asked(path, told(WIKI, "/"), navigation(Request::builder())).await;
        assert_eq!(page.status, 503, "{path}: a stranger is not led anywhere either");
    }
    let page = visitor.sent_on("GET", WIKI, "/.ringfence/enter?code=1", Request::builder()).await;
    assert_eq!(page.status, 503);
    world.is_away.store(false, Ordering::SeqCst);
    assert_eq!(visitor.check(WIKI).await, 200);
}

#[tokio::test]
async fn an_application_is_told_the_name_with_a_stamp_over_host_and_name() {
    let world = world().await;
    let odd = auditor(&world, "jürgen@example.com").await;
    let mut visitor = Visitor::new(&world);
    visitor.enter(&odd, WIKI).await;
    let request = Request::builder().header("ringfence-user", "admin@example.com");
    let page = visitor.asked("/auth/check", told(WIKI, "/"), request).await;
    assert_eq!((page.status, page.header("ringfence-user")), (200, "j%C3%BCrgen@example.com"));
    assert_eq!((page.header("cache-control"), page.header("set-cookie")), ("no-store", ""));
    let stamp = page.header("ringfence-assertion").as_bytes();
    let now = world.now().as_second().try_into().unwrap();
    let check = |lines: &[&[u8]]| key().check(stamp, lines, now, Duration::from_mins(1));
    assert_eq!(check(&[b"wiki.example.com", b"j%C3%BCrgen@example.com"]), Ok(()));
    assert!(check(&[b"crm.example.com:8443", b"j%C3%BCrgen@example.com"]).is_err());
    assert!(check(&[b"wiki.example.com", b"admin@example.com"]).is_err());
}

#[tokio::test]
async fn the_sign_in_says_for_which_host_and_its_forms_may_lead_there() {
    let world = world().await;
    let mut visitor = Visitor::new(&world);
    let path = visitor.begin(WIKI, "/page").await;
    let anybody = Browser { world: &world, token: Secret::new("0".repeat(64)), person: String::new() };
    let sent = anybody.get(&path).await;
    assert!(sent.header("location").starts_with("/sign-in?to=%2Fhand-over%3Fhost%3Dwiki.example.com%26"));
    let page = anybody.get(sent.header("location")).await;
    page.says("Sign in to wiki.example.com");
    let leads_on = "form-action 'self' https://wiki.example.com;";
    assert!(page.header("content-security-policy").contains(leads_on));
    let page = anybody.get("/sign-in?to=%2Fhand-over%3Fhost%3Devil.example").await;
    page.says("<h1>Sign in</h1>");
    assert!(page.header("content-security-policy").contains("form-action 'self';"));
    // Halfway there it goes on.
    let maria = auditor(&world, "maria@example.com").await;
    let token = world.session(&maria.person, Where::Everywhere, Stage::SecondFactor).await;
    let half = Browser { world: &world, token, person: maria.person.clone() };
    let sent = half.get(half.get(&path).await.header("location")).await;
    let page = half.get(sent.header("location")).await;
    page.says("To sign in to wiki.example.com.");
    assert!(page.header("content-security-policy").contains(leads_on));
}

#[tokio::test]
async fn a_host_asks_for_what_its_account_demands() {
    let account = Sid::new(*b"AC", 1);
    let world = World::protecting(vec![
        host(WIKI, Where::Account(account), Role::Auditor),
        host(CRM, Where::Everywhere, Role::Auditor),
    ])
    .await;
    let by = Actor::CommandLine("ops".to_owned());
    let every = Demands { policy: Policy::EverySignIn, strength: Strength::Any };
    world.store.set_policy(&by, Where::Account(account), every, world.now()).await.unwrap();
    let disabled = Demands { policy: Policy::Disabled, strength: Strength::Any };
    world.store.set_policy(&by, Where::Everywhere, disabled, world.now()).await.unwrap();
    let maria = auditor(&world, "maria@example.com").await;
    let seed = ringfence_second_factor::totp::Seed::new([1; 20]);
    let secret = ringfence_store::FactorSecret::Totp(seed);
    let factor = ringfence_store::NewFactor { secret, verified: true };
    world.store.add_factor(&by, &maria.person, factor, world.now()).await.unwrap();
    let sign_in =
        world.store.begin_sign_in(&maria.person, "192.0.2.7", "Firefox", world.now()).await.unwrap();
    let session = |assurance| NewSession {
        person: maria.person.clone(),
        place: Where::Everywhere,
        stage: Stage::Inside,
        assurance,
        password_of: None,
        sign_in: sign_in.clone(),
        address: "192.0.2.7".to_owned(),
        agent: "Firefox".to_owned(),
    };
    for (assurance, to_wiki) in [
        (Assurance::Password, "/second-factor?to=%2Fhand-over%3Fhost%3Dwiki.example.com"),
        (Assurance::RememberedComputer, "/second-factor?to=%2Fhand-over%3Fhost%3Dwiki.example.com"),
        (
            Assurance::SecondFactor { kind: Kind::Totp, at: world.now() },
            "https://wiki.example.com/.ringfence/enter?",
        ),
    ] {
        let token = world.store.begin_session(session(assurance), None, world.now()).await.unwrap();
        let browser = Browser { world: &world, token, person: maria.person.clone() };
        let mut visitor = Visitor::new(&world);
        let page = browser.get(&visitor.begin(WIKI, "/").await).await;
        assert!(page.header("location").starts_with(to_wiki), "{assurance:?}: {}", page.header("location"));
        let page = browser.get(&visitor.begin(CRM, "/").await).await;
        assert!(page.header("location").starts_with("https://crm.example.com:8443/"), "{assurance:?}");
    }
    // Whoever lacks a factor that would do is told, and gets no code.
    let grants = vec![Grant { place: Where::Everywhere, role: Role::Auditor }];
    let bare = world.store.add_person(&by, "bare@example.com", grants, world.now()).await.unwrap();
    let new = NewSession { person: bare.id.clone(), ..session(Assurance::Password) };
    let token = world.store.begin_session(new, None, world.now()).await.unwrap();
    let browser = Browser { world: &world, token, person: bare.id };
    let page = browser.get(&Visitor::new(&world).begin(WIKI, "/").await).await;
    assert_eq!(page.status, 409);
    page.says("none is bound");
}

#[tokio::test]
async fn what_a_host_demands_is_asked_of_nobody_who_may_not_enter_it() {
    let (one, two) = (Sid::new(*b"AC", 1), Sid::new(*b"AC", 2));
    let world = World::protecting(vec![host(WIKI, Where::Account(one), Role::Auditor)]).await;
    let by = Actor::CommandLine("ops".to_owned());
    let demands = Demands { policy: Policy::EverySignIn, strength: Strength::PhishingResistant };
    world.store.set_policy(&by, Where::Account(one), demands, world.now()).await.unwrap();
    let maria = world.signed_in("maria@example.com", Role::Auditor, Where::Account(two)).await;
    let secret = ringfence_store::FactorSecret::Totp(ringfence_second_factor::totp::Seed::new([1; 20]));
    let factor = ringfence_store::NewFactor { secret, verified: true };
    world.store.add_factor(&by, &maria.person, factor, world.now()).await.unwrap();
    let path = format!("/second-factor?to=%2Fhand-over%3Fhost%3D{WIKI}");
    for stage in [Stage::SecondFactor, Stage::Inside] {
        let token = world.session(&maria.person, Where::Account(two), stage).await;
        let browser = Browser { world: &world, token, person: maria.person.clone() };
        browser.get(&path).await.says("Code of your authenticator application");
    }
    // Whoever may enter is asked for what it takes.
    let entrant = Grant { place: Where::Account(one), role: Role::Auditor };
    world.store.set_role(&by, &maria.person, entrant, world.now()).await.unwrap();
    let token = world.session(&maria.person, Where::Account(two), Stage::Inside).await;
    let browser = Browser { world: &world, token, person: maria.person.clone() };
    browser.get(&path).await.does_not_say("Code of your authenticator application");
}
