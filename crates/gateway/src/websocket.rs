//! WebSockets (Media Streams, ConversationRelay): the handshake is verified like any webhook; after the
//! upstream's 101 the bytes pass both ways unread.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy_bidirectional};

use crate::connection::{Connection, keep_alive};
use crate::respond::GateBody;
use crate::upstream::Stream;

/// The 101 for the caller; the tunnel opens once hyper has written it, and counts as work until it closes.
pub(crate) fn open(
    caller: OnUpgrade,
    connection: Arc<Connection>,
    mut upstream: Stream,
    first_bytes: Bytes,
    upstream_headers: HeaderMap,
) -> Response<GateBody> {
    // A peer that vanished without a word is noticed, here as on the caller's side.
    keep_alive(upstream.tcp());
    tokio::spawn(async move {
        // The tunnel is still the caller's connection: it counts as one, and a stop waits for it.
        let _connection = connection;
        let Ok(caller) = caller.await else { return };
        let mut caller = TokioIo::new(caller);
        if caller.write_all(&first_bytes).await.is_ok() {
            // A side that goes away ends the tunnel; there is nobody to tell.
            let _ended = copy_bidirectional(&mut caller, &mut upstream).await;
        }
    });
    let mut response = Response::new(GateBody::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = upstream_headers;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}
