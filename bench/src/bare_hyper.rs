//! A reverse proxy of hyper alone that checks nothing: what the gate would cost if it did no work of its own.
//!
//! For reference only: no timeouts, no limits, whole bodies in memory, one thread.

use crate::arguments::Arguments;
use crate::{Outcome, process};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::header::CONNECTION;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

/// `bare-hyper --port N --upstream N`: serves until it is ended.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let port: u16 = arguments.number("port", 8_443)?;
    let pool = Rc::new(Pool { upstream: arguments.number("upstream", 9_100)?, idle: RefCell::default() });
    process::runtime()?.block_on(LocalSet::new().run_until(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let pool = Rc::clone(&pool);
            spawn_local(async move {
                let forwarding = service_fn(|request| forward(request, &pool));
                // How a connection ends is its client's business.
                let _ = server::Builder::new().serve_connection(TokioIo::new(stream), forwarding).await;
            });
        }
    }))
}

/// Of either side; the connection that had it is closed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Pool {
    upstream: u16,
    /// Connections to the upstream that wait for work; the last used is taken first.
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

impl Pool {
    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        while let Some(mut idle) = self.take() {
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
        let stream = TcpStream::connect(("127.0.0.1", self.upstream)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
        spawn_local(connection);
        Ok(sender)
    }

    /// A function of its own, so that the pool is not borrowed while its caller waits.
    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.idle.borrow_mut().pop()
    }
}

async fn forward(request: Request<Incoming>, pool: &Pool) -> Result<Response<Full<Bytes>>, Failure> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    head.headers.remove(CONNECTION);
    let mut upstream = pool.connection().await?;
    let answer = upstream.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (mut head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    pool.idle.borrow_mut().push(upstream);
    head.headers.remove(CONNECTION);
    Ok(Response::from_parts(head, Full::new(body)))
}
