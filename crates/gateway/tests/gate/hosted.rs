//! The listeners of the console and of the second factor, whose answers the rest of Ringfence makes.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ringfence_gateway::forwarded::TrustedPeers;
use ringfence_gateway::settings::{Settings, Tls};
use ringfence_gateway::tls::CertificatePaths;
use ringfence_gateway::{Answer, Caller, Hooks, Hosted};
use ringfence_testkit::{PATIENCE, RawClient, Response, Upstream, certificates};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::world::World;

fn hosted<F>(answer: impl Fn(Caller, Request<Bytes>) -> F + Send + Sync + 'static) -> Hosted
where
    F: Future<Output = http::Response<Bytes>> + Send + 'static,
{
    Arc::new(move |caller, request| Box::pin(answer(caller, request)) as Answer)
}

/// Says who asked, and for what.
fn echo(name: &'static str) -> Hosted {
    hosted(move |caller, request| async move {
        let (parts, body) = request.into_parts();
        let mut fields: Vec<_> = parts.headers.iter().map(shown).collect();
        fields.sort();
        let Caller { address, is_https, told: _ } = caller;
        let (method, uri, fields, length) = (parts.method, parts.uri, fields.join("|"), body.len());
        let said = format!("{name} {address} {is_https} {method} {uri} {fields} {length}");
        http::Response::builder().status(201).header("x-made-by", name).body(said.into()).unwrap()
    })
}

fn shown((name, value): (&http::HeaderName, &http::HeaderValue)) -> String {
    format!("{name}={}", value.to_str().unwrap())
}

fn echoes() -> Hooks {
    Hooks { console: Some(echo("console")), second_factor: Some(echo("codes")), ..Hooks::default() }
}

fn listening(at: &'static str) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.listen.console = Some(at.parse().unwrap());
        settings.listen.second_factor = Some(at.parse().unwrap());
    }
}

async fn world(hooks: Hooks, trusted: &[&str]) -> World {
    let trusted = TrustedPeers::parse(trusted.iter().copied()).unwrap();
    World::hooked(Upstream::saying("application").await, hooks, |settings| {
        listening("127.0.0.1:0")(settings);
        settings.listen.trusted_proxies = trusted;
    })
}

fn console(world: &World) -> SocketAddr {
    world.gateway.console_address().unwrap()
}

async fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Response {
    RawClient::connect(address).await.unwrap().exchange(request).await.unwrap()
}

/// A GET of `/` with these header lines.
fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: c.example\r\n{fields}\r\n")
}

#[tokio::test]
async fn without_a_hook_nobody_answers() {
    let world = world(Hooks::default(), &[]).await;
    for address in [world.gateway.console_address(), world.gateway.second_factor_address()] {
        assert_eq!(send(address.unwrap(), get("")).await.status, 503);
    }
}

#[tokio::test]
async fn a_request_that_two_readers_could_read_in_two_ways_is_a_400_and_reaches_nobody() {
    let world = world(echoes(), &["127.0.0.1"]).await;
    for (request, rule) in [
        (get("host: d.example\r\n"), "repeated_host"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "no_host"),
        (get("x_forwarded_for: 192.0.2.1\r\n"), "header_underscore"),
        (get("x-forwarded-for: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\n"), "header_repeated"),
        (get("x-forwarded-proto: http\r\nx-forwarded-proto: https\r\n"), "header_repeated"),
        (get("x-forwarded-for: nobody\r\n"), "forwarded_malformed"),
        ("OPTIONS * HTTP/1.1\r\nhost: c.example\r\n\r\n".to_owned(), "target_not_a_path"),
        (get("host: c.example/evil\r\n"), "repeated_host"),
    ] {
        let response = send(console(&world), &request).await;
        assert_eq!((response.status, response.header("x-made-by")), (400, None), "{request}");
        assert!(response.text().contains(rule), "{request}: {}", response.text());
    }
}

#[tokio::test]
async fn a_stranger_cannot_say_who_he_is_nor_that_he_used_tls() {
    let world = world(echoes(), &["192.0.2.0/24"]).await;
    let claims = "x-forwarded-for: 198.51.100.7\r\nforwarded: for=198.51.100.7;proto=https\r\n\
                  x-forwarded-proto: https\r\nx-real-ip: 198.51.100.7\r\nx-original-url: /admin\r\n";
    let response = send(console(&world), get(claims)).await;
    assert_eq!(response.text(), "console 127.0.0.1 false GET / host=c.example 0");
}

#[tokio::test]
async fn a_listed_proxy_says_who_the_client_is_and_whether_he_used_tls() {
    let world = world(echoes(), &["127.0.0.1"]).await;
    for (claims, caller) in [
        ("x-forwarded-for: 203.0.113.9, 198.51.100.7\r\nx-forwarded-proto: HTTPS\r\n", "198.51.100.7 true"),
        ("x-forwarded-for: 198.51.100.7\r\nx-forwarded-proto: http\r\n", "198.51.100.7 false"),
        ("x-forwarded-for: 198.51.100.7\r\nx-forwarded-proto: https, http\r\n", "198.51.100.7 false"),
        ("", "127.0.0.1 false"),
    ] {
        let response = send(console(&world), get(claims)).await;
        assert_eq!(response.text(), format!("console {caller} GET / host=c.example 0"), "{claims}");
    }
}

/// Says which request a listed proxy speaks of.
fn retells() -> Hooks {
    let hook = hosted(|caller, request| async move {
        let told = caller
            .told
            .map(|told| [told.method, told.host, told.target].map(Option::unwrap_or_default).join("|"));
        let left = request.headers().keys().filter(|name| name.as_str().starts_with("x-")).count();
        http::Response::new(format!("{} {left}", told.unwrap_or_else(|| "nobody".to_owned())).into())
    });
    Hooks { console: Some(hook), ..Hooks::default() }
}

#[tokio::test]
async fn which_request_a_proxy_speaks_of_is_told_beside_the_request_and_only_by_a_listed_one() {
    let claims = "x-forwarded-method: POST\r\nx-forwarded-host: w.example\r\nx-forwarded-uri: /a?b\r\n";
    let stranger = world(retells(), &["192.0.2.0/24"]).await;
    assert_eq!(send(console(&stranger), get(claims)).await.text(), "nobody 0");
    let listed = world(retells(), &["127.0.0.1"]).await;
    for (claims, told) in [
        (claims, "POST|w.example|/a?b 0"),
        ("x-original-method: PUT\r\nx-original-uri: /c\r\n", "PUT||/c 0"),
        ("x-forwarded-uri: /c\r\nx-original-uri: /c\r\n", "||/c 0"),
        ("", "|| 0"),
    ] {
        assert_eq!(send(console(&listed), get(claims)).await.text(), told, "{claims}");
    }
    for (claims, rule) in [
        ("x-forwarded-uri: /c\r\nx-original-uri: /d\r\n", "forwarded_fields_disagree"),
        ("x-forwarded-method: GET\r\nx-original-method: POST\r\n", "forwarded_fields_disagree"),
        ("x-forwarded-host: w.example\r\nx-forwarded-host: v.example\r\n", "header_repeated"),
        ("x-forwarded-host: w\u{e4}.example\r\n", "forwarded_field_not_ascii"),
    ] {
        let response = send(console(&listed), get(claims)).await;
        assert_eq!(response.status, 400, "{claims}");
        assert!(response.text().contains(rule), "{claims}: {}", response.text());
    }
}

#[tokio::test]
async fn what_is_said_of_a_body_that_is_not_there_means_nothing() {
    let world = world(echoes(), &["127.0.0.1"]).await;
    let odd = "content-encoding: gzip\r\ncontent-type: application/x-www-form-urlencoded; charset=utf-16\r\n";
    assert_eq!(send(console(&world), get(odd)).await.status, 201);
    for (field, rule) in [
        ("content-encoding: gzip", "content_encoding"),
        ("content-type: application/x-www-form-urlencoded; charset=utf-16", "form_not_utf8"),
    ] {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{field}\r\ncontent-length: 1\r\n\r\nx");
        let response = send(console(&world), head).await;
        assert_eq!(response.status, 400, "{field}");
        assert!(response.text().contains(rule), "{field}");
    }
}

#[tokio::test]
async fn each_listener_has_its_own_hook_and_takes_every_method_path_and_body() {
    let world = world(echoes(), &[]).await;
    for (address, name) in
        [(world.gateway.console_address(), "console"), (world.gateway.second_factor_address(), "codes")]
    {
        for (method, path) in [("POST", "/v1/a%2Fb?c=d"), ("DELETE", "/"), ("BREW", "/livez"), ("GET", "//x")]
        {
            let head =
                format!("{method} {path} HTTP/1.1\r\nhost: c.example:9\r\ncontent-length: 5\r\n\r\nhello");
            let response = send(address.unwrap(), head).await;
            let expected =
                format!("{name} 127.0.0.1 false {method} {path} content-length=5|host=c.example:9 5");
            assert_eq!((response.status, response.text()), (201, expected.as_str()));
        }
    }
    assert_eq!(world.metric("ringfence_connections").await, 0, "the gate counts its own connections");
}

#[tokio::test]
async fn an_absolute_target_and_split_cookies_come_in_one_form() {
    let world = world(echoes(), &[]).await;
    let absolute =
        "GET http://c.example/a?b HTTP/1.1\r\nhost: c.example\r\ncookie: a=1\r\ncookie: b=2\r\n\r\n";
    let response = send(console(&world), absolute).await;
    assert_eq!(response.text(), "console 127.0.0.1 false GET /a?b cookie=a=1; b=2|host=c.example 0");

    let stream = TcpStream::connect(console(&world)).await.unwrap();
    let (mut sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request =
        Request::builder().uri("http://c.example/a?b").header("cookie", "a=1").header("cookie", "b=2");
    let response = sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "console 127.0.0.1 false GET /a?b cookie=a=1; b=2|host=c.example 0");
}

#[tokio::test]
async fn a_body_over_64_kib_is_a_413_and_a_panic_a_500() {
    let panics = hosted(|_, request: Request<Bytes>| {
        assert_ne!(request.uri().path(), "/early");
        async move {
            assert_ne!(request.uri().path(), "/late");
            http::Response::new(Bytes::from_static(b"fine"))
        }
    });
    let world = world(Hooks { console: Some(panics), ..Hooks::default() }, &[]).await;
    let post = |length: usize| {
        let head = format!("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; length]].concat()
    };
    assert_eq!(send(console(&world), post(64 * 1024 + 1)).await.status, 413);
    for path in ["/early", "/late"] {
        let response = send(console(&world), format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert_eq!(response.status, 500, "{path}");
    }
    assert_eq!(send(console(&world), post(64 * 1024)).await.text(), "fine");
}

#[tokio::test]
async fn what_no_hook_says_has_the_form_of_the_api_that_was_asked() {
    let fine = hosted(|_, _: Request<Bytes>| async { http::Response::new(Bytes::from_static(b"fine")) });
    let hooks = Hooks { console: Some(fine.clone()), second_factor: Some(fine), ..Hooks::default() };
    let world = world(hooks, &[]).await;
    let codes = world.gateway.second_factor_address().unwrap();
    let post = |path: &str, length: usize| {
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; length]].concat()
    };
    let (twilio, problem) = ("application/json", "application/problem+json");
    let (over, odd) = (64 * 1024 + 1, "GET /v2/Services HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n");
    for (sent, status, media_type, code) in [
        (post("/v2/Services", over), 413, twilio, json!(20_413)),
        (post("/v1/sign-ins", over), 413, problem, json!("too-large")),
        (odd.into(), 400, twilio, json!(20_400)),
        (odd.replace("/v2/Services", "/v1/policy").into(), 400, problem, json!("malformed-request")),
    ] {
        let response = send(codes, sent).await;
        assert_eq!((response.status, response.header("content-type")), (status, Some(media_type)));
        let said: Value = serde_json::from_str(response.text()).unwrap();
        assert_eq!((&said["code"], &said["status"]), (&code, &json!(status)), "{said}");
    }
    let page = send(console(&world), post("/v2/Services", over)).await;
    assert_eq!((page.status, page.header("content-type")), (413, Some("text/plain; charset=utf-8")));
}

#[tokio::test]
async fn off_loopback_there_is_tls_with_the_gate_s_certificate_and_on_loopback_none() {
    let certificates = certificates();
    let paths = CertificatePaths { chain: certificates.chain_path(), key: certificates.key_path() };
    let start = async |at: &'static str| {
        World::hooked(Upstream::saying("application").await, echoes(), |settings| {
            listening(at)(settings);
            settings.tls = Some(Tls::Files(paths.clone()));
        })
    };
    let public = start("0.0.0.0:0").await;
    for (address, name) in
        [(public.gateway.console_address(), "console"), (public.gateway.second_factor_address(), "codes")]
    {
        let address = SocketAddr::from(([127, 0, 0, 1], address.unwrap().port()));
        let config = certificates.client_config(&[b"http/1.1"]);
        let mut client = RawClient::connect_tls(address, "localhost", config).await.unwrap();
        let response = client.exchange(get("")).await.unwrap();
        assert_eq!(response.text(), format!("{name} 127.0.0.1 true GET / host=c.example 0"));
        let mut plain = RawClient::connect(address).await.unwrap();
        assert!(plain.exchange(get("")).await.is_err(), "it is not HTTP without TLS");
    }
    let local = start("127.0.0.1:0").await;
    let response = send(console(&local), get("")).await;
    assert_eq!(response.text(), "console 127.0.0.1 false GET / host=c.example 0");
}

#[tokio::test]
async fn a_stop_lets_what_is_in_work_end_and_takes_nothing_more() {
    let (go, waiting) = watch::channel(false);
    let (begun, mut begin) = watch::channel(false);
    let begun = Arc::new(begun);
    let waits = hosted(move |_, _| {
        let (mut waiting, begun) = (waiting.clone(), Arc::clone(&begun));
        async move {
            begun.send_replace(true);
            waiting.wait_for(|go| *go).await.unwrap();
            http::Response::new(Bytes::from_static(b"done"))
        }
    });
    let world = world(Hooks { console: Some(waits), ..Hooks::default() }, &[]).await;
    let address = console(&world);
    let mut client = RawClient::connect(address).await.unwrap();
    client.send(get("")).await.unwrap();
    tokio::time::timeout(PATIENCE, begin.wait_for(|begun| *begun)).await.unwrap().unwrap();
    let stopped = tokio::task::spawn_blocking(move || world.gateway.stop());
    go.send(true).unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "done");
    stopped.await.unwrap();
    assert!(RawClient::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn one_address_takes_its_share_of_the_console_and_leaves_the_rest_to_others() {
    let (go, waiting) = watch::channel(false);
    let (began, mut begun) = watch::channel(0);
    let began = Arc::new(began);
    let waits = hosted(move |_, request: Request<Bytes>| {
        let (mut waiting, began) = (waiting.clone(), Arc::clone(&began));
        async move {
            if request.uri().path() == "/slow" {
                began.send_modify(|begun| *begun += 1);
                waiting.wait_for(|go| *go).await.unwrap();
            }
            http::Response::new(Bytes::from_static(b"fine"))
        }
    });
    let hooks = Hooks { console: Some(waits), questions: Some("/auth/"), ..Hooks::default() };
    let world = world(hooks, &["127.0.0.1"]).await;
    let get_from = |path: &str, client: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: c.example\r\nx-forwarded-for: {client}\r\n\r\n")
    };
    // 24 of one network: half of them wait for their answers, and half have not sent all of their bodies.
    let mut clients = Vec::new();
    for number in 0..24 {
        let mut client = RawClient::connect(console(&world)).await.unwrap();
        let from = format!("2001:db8::{number}");
        if number % 2 == 0 {
            client.send(get_from("/slow", &from)).await.unwrap();
            let count = number / 2 + 1;
            tokio::time::timeout(PATIENCE, begun.wait_for(|it| *it == count)).await.unwrap().unwrap();
        } else {
            let head = format!(
                "POST / HTTP/1.1\r\nhost: c.example\r\nx-forwarded-for: {from}\r\nexpect: 100-continue\r\n\
                 content-length: 5\r\n\r\n"
            );
            client.send(head).await.unwrap();
            // Asked to go on, it has its place.
            let asked = tokio::time::timeout(PATIENCE, client.read_some()).await.unwrap().unwrap();
            assert!(asked.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&asked));
        }
        clients.push(client);
    }
    let refused = send(console(&world), get_from("/", "2001:db8::ffff")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.text().contains("from your address"), "{}", refused.text());
    // What its proxy asks for a hundred pictures is not of that share, whoever asks and however many at once.
    let question = "GET /auth/check HTTP/1.1\r\nhost: c.example\r\nx-forwarded-for: 2001:db8::ffff\r\n\r\n";
    let pictures: Vec<_> =
        (0..100).map(|_| tokio::spawn(send(console(&world), question.to_owned()))).collect();
    for picture in pictures {
        assert_eq!(picture.await.unwrap().text(), "fine");
    }
    // With a body it is none.
    let with_body = question.replace("\r\n\r\n", "\r\ncontent-length: 1\r\n\r\nx");
    assert_eq!(send(console(&world), with_body).await.status, 429);
    for other in ["2001:db8:0:1::1", "192.0.2.1"] {
        assert_eq!(send(console(&world), get_from("/", other)).await.text(), "fine", "{other}");
    }
    // Whoever is answered, or hangs up, gives their place back.
    go.send(true).unwrap();
    assert_eq!(clients[0].read_response().await.unwrap().text(), "fine");
    assert_eq!(send(console(&world), get_from("/", "2001:db8::ffff")).await.text(), "fine");
}
