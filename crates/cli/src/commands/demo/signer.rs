//! The stand-in for Twilio: it signs the form that it is sent, as coming from the demonstration's account, and
//! passes it to the gate under the same path.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ringfence_signature::Signer;

use super::client::{Outgoing, send};
use super::{PARENT, PUBLIC_URL, World};

/// The largest form that it signs.
const FORM_BYTES_MAX: usize = 64 * 1024;

pub(super) fn start(listener: TcpListener, world: World) -> std::io::Result<SocketAddr> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let world = world.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let world = world.clone();
                    async move { Ok::<_, Infallible>(answer(&world, request).await) }
                });
                // How a visitor hangs up does not matter.
                let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

async fn answer(world: &World, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return text(StatusCode::OK, &usage(world));
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let body = match Limited::new(request.into_body(), FORM_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return text(StatusCode::PAYLOAD_TOO_LARGE, "a form of at most 64 KiB, please\n"),
    };
    let mut form = body.to_vec();
    if !form.windows(10).any(|window| window == b"AccountSid") {
        let joint = if form.is_empty() { "" } else { "&" };
        form.extend_from_slice(format!("{joint}AccountSid={PARENT}").as_bytes());
    }
    let signed = Signer::token(&world.secrets.parent_token).form_body(&format!("{PUBLIC_URL}{target}"), form);
    let mut outgoing = Outgoing {
        method: "POST".to_owned(),
        target,
        headers: vec![("host".to_owned(), "hooks.example.com".to_owned())],
        body: signed.body.clone(),
    };
    outgoing.headers.extend(signed.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    match send(world.gate, &outgoing).await {
        Ok(reply) => {
            let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
            text(status, &String::from_utf8_lossy(&reply.body))
        }
        Err(error) => text(StatusCode::BAD_GATEWAY, &format!("the gate did not answer: {error:#}\n")),
    }
}

fn usage(world: &World) -> String {
    format!(
        "This plays Twilio. POST a form to any path under /twilio/ and it is signed as coming from account {PARENT}\n\
         and passed to the gate at http://{}:\n\n    \
         curl -i http://THIS/twilio/sms -d From=+14155550100 -d To=+14155550199 -d Body=hello\n",
        world.gate
    )
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_owned())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
