//! Connections: accepted, told apart (HTTP, TLS, a tunnel), served, and ended with grace.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use super::authority::ByName;
use super::{Body, Dropped, State, control, guard, pages, proxy, rest, stopped};

/// How many are open at once; the next waits in the system's queue.
const CONNECTIONS_MAX: usize = 4096;
/// From the first byte to the last of a request's head; the first byte of a connection counts too.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// For a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// What requests under way get when the sandbox stops.
const GRACE: Duration = Duration::from_secs(2);

/// What a connection needs.
#[derive(Debug, Clone)]
struct Shared {
    state: Arc<State>,
    control: axum::Router,
    /// The other side's address.
    from: IpAddr,
}

/// The other side wants to speak TLS on this connection from now on.
struct Tunnel {
    upgrade: hyper::upgrade::OnUpgrade,
    host: String,
}

/// Accepts until `stop` ends. Everything that was started ends with this future.
pub(super) async fn serve(state: &Arc<State>, listener: TcpListener, stop: impl Future<Output = ()>) {
    state.stopping.send_replace(false);
    let from = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let shared = Shared { state: Arc::clone(state), control: control::router(Arc::clone(state)), from };
    let mut workers = JoinSet::new();
    workers.spawn(Arc::clone(&state.engine).keep_time());
    workers.spawn(Arc::clone(&state.engine).send_webhooks());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some((stream, from, place)) = accept(&listener, &places) => {
                let shared = Shared { from, ..shared.clone() };
                connections.spawn(async move {
                    serve_connection(shared, stream).await;
                    drop(place);
                });
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
    drop(listener);
    state.stopping.send_replace(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, all_ended).await.is_err() {
        tracing::debug!("connections were cut, since they did not end by themselves");
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _no_delay = stream.set_nodelay(true);
                return Some((stream, peer.ip(), place));
            }
            Err(error) => {
                // Out of file descriptors, most likely: others end soon.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// HTTP, with or without a tunnel; or TLS at once, from a client whose names lead here by a hosts file.
async fn serve_connection(shared: Shared, stream: TcpStream) {
    /// The first byte of a TLS handshake (RFC 8446, section 5.1); no method of HTTP begins with it.
    const TLS_HANDSHAKE: u8 = 22;
    let mut first = [0];
    let mut stopping = shared.state.stopping.subscribe();
    tokio::select! {
        peeked = timeout(HEAD_TIME, stream.peek(&mut first)) => match peeked {
            Ok(Ok(1..)) => {}
            _ => return,
        },
        // Browsers open connections ahead and say nothing on them; a stop does not wait for these.
        () = stopped(&mut stopping) => return,
    }
    if first[0] == TLS_HANDSHAKE {
        return serve_tls(&shared, stream, None).await;
    }
    let Some(tunnel) = speak_http(&shared, stream, false).await else { return };
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, tunnel.upgrade).await else {
        return tracing::debug!("a tunnel was asked for and not used");
    };
    serve_tls(&shared, TokioIo::new(stream), Some(tunnel.host)).await;
}

async fn serve_tls<S>(shared: &Shared, stream: S, tunnel_to: Option<String>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let names = ByName { authority: Arc::clone(&shared.state.authority), tunnel_to };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|versions| versions.with_no_client_auth().with_cert_resolver(Arc::new(names)));
    let mut config = match config {
        Ok(config) => config,
        Err(error) => return tracing::warn!(%error, "TLS cannot be used"),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    match timeout(HANDSHAKE_TIME, TlsAcceptor::from(Arc::new(config)).accept(stream)).await {
        Ok(Ok(stream)) => drop(speak_http(shared, stream, true).await),
        Ok(Err(error)) => tracing::info!(
            %error,
            "a client ended the TLS handshake; does it trust the sandbox's authority, /_sandbox/ca.pem?"
        ),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Serves requests until the connection ends or becomes a tunnel.
async fn speak_http<S>(shared: &Shared, stream: S, https: bool) -> Option<Tunnel>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let tunnel = Arc::new(Mutex::new(None));
    let service = hyper::service::service_fn(|request| {
        serve_request(shared.clone(), request, https, Arc::clone(&tunnel))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(64 * 1024)
        // An answer to `CONNECT` must have no header at all.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut stopping = shared.state.stopping.subscribe();
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
    tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// One request, whatever it is for, with the time in its answer. `https`: it came through TLS that the sandbox ended.
async fn serve_request(
    shared: Shared,
    request: Request<Incoming>,
    https: bool,
    tunnel: Arc<Mutex<Option<Tunnel>>>,
) -> Result<Response<Body>, Dropped> {
    let state = Arc::clone(&shared.state);
    let wants_tunnel = request.method() == http::Method::CONNECT;
    let mut response = answer(shared, request, https, tunnel).await?;
    if !(wants_tunnel && response.status().is_success()) {
        rest::date(&state, response.headers_mut());
    }
    Ok(response)
}

async fn answer(
    shared: Shared,
    mut request: Request<Incoming>,
    https: bool,
    tunnel: Arc<Mutex<Option<Tunnel>>>,
) -> Result<Response<Body>, Dropped> {
    let state = &shared.state;
    if request.method() == http::Method::CONNECT {
        return Ok(match proxy::tunnel_to(request.uri(), https) {
            Ok(host) => {
                let upgrade = hyper::upgrade::on(&mut request);
                *tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Tunnel { upgrade, host });
                let mut opened = Response::new(Body::empty());
                // Twilio's PHP library takes a proxy's answer for Twilio's unless it is these words without any header.
                opened.extensions_mut().insert(ReasonPhrase::from_static(b"Connection established"));
                opened
            }
            Err(problem) => problem.respond(),
        });
    }
    if let Err(problem) = proxy::check_target(request.uri(), state.address) {
        return Ok(problem.respond());
    }
    let for_people = pages::wants_html(request.headers());
    if for_people && guard::is_front_door(&request) {
        return Ok(guard::seal(pages::to_phones()));
    }
    if !guard::is_ours(&request) {
        return rest::answer(state, request, https, shared.from).await;
    }
    let response = match guard::check(&state.host_names, &request) {
        Err(problem) => problem.respond(),
        Ok(()) => match shared.control.clone().call(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
    };
    Ok(guard::seal(if for_people { pages::for_people(response) } else { response }))
}
