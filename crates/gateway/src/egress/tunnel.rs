//! The other way in: an application that changes nothing uses the egress as its HTTPS proxy.
//!
//! `CONNECT api.twilio.com:443` is answered by ourselves: the tunnel ends here, under a certificate of the installation's own
//! authority, and what comes through it goes the way of every other request. No tunnel leads anywhere else, so the egress is
//! no way for others into the network that it stands in.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::host::TwilioHost;
use super::refusal::Refusal;
use crate::connection::{Connection, serve_tunnel};
use crate::respond::{self, GateBody};

/// Whether a request wants a tunnel.
pub(crate) fn is_wanted(request: &Request<Incoming>) -> bool {
    request.method() == Method::CONNECT
}

/// Opens a tunnel to one of Twilio's hosts, which is us.
pub(crate) fn open(connection: &Arc<Connection>, request: Request<Incoming>) -> Response<GateBody> {
    begin(connection, request).unwrap_or_else(|refusal| {
        super::refuse(connection, "connect", Some((&Method::CONNECT, "")), &refusal)
    })
}

fn begin(connection: &Arc<Connection>, request: Request<Incoming>) -> Result<Response<GateBody>, Refusal> {
    let shared = &connection.worker.shared;
    let snapshot = shared.snapshot.load();
    let settings = snapshot.egress.as_ref().map(|egress| &egress.settings);
    let authority = settings.and_then(|settings| settings.authority.as_ref()).ok_or(Refusal::NoTunnel)?;
    // Python's library asks for its tunnels in HTTP/1.0.
    if !matches!(request.version(), Version::HTTP_10 | Version::HTTP_11) {
        return Err(Refusal::BadRequest("tunnel_over_http2"));
    }
    let name =
        host(request.uri().authority().map(http::uri::Authority::as_str)).ok_or(Refusal::OtherTunnel)?;
    let host = TwilioHost::parse(&name).ok_or(Refusal::OtherTunnel)?;
    let tls = authority.server(host, shared.clock.unix_seconds()).ok_or(Refusal::NoTunnel)?;
    let patience = snapshot.limits.handshake_timeout;
    let upgrade = hyper::upgrade::on(request);
    let connection = Arc::clone(connection);
    tokio::spawn(async move {
        let Ok(raw) = upgrade.await else { return };
        match timeout(patience, TlsAcceptor::from(tls).accept(TokioIo::new(raw))).await {
            Ok(Ok(stream)) => serve_tunnel(connection, stream, name).await,
            _ => {
                tracing::info!(client = %connection.peer, "a client of the egress does not trust its authority");
            }
        }
    });
    let mut response = respond::empty(StatusCode::OK);
    // RFC 9110, section 9.3.6: what follows a 2xx to CONNECT is the tunnel.
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
    // Twilio's PHP library takes a proxy's answer for Twilio's unless it is these words without any header.
    response.extensions_mut().insert(ReasonPhrase::from_static(b"Connection established"));
    Ok(response)
}

/// The host of a `CONNECT`, which must be one of Twilio's at its only port.
fn host(authority: Option<&str>) -> Option<String> {
    let name = authority?.strip_suffix(":443")?;
    TwilioHost::parse(name).map(|host| host.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_lead_to_twilio_only() {
        for authority in [
            "example.com:443",
            "127.0.0.1:443",
            "[::1]:443",
            "twilio.com:443",
            "api.twilio.com.evil.example:443",
            "user@api.twilio.com:443",
            "api.twilio.com:22",
            "api.twilio.com",
            "API.twilio.com:443",
        ] {
            assert_eq!(host(Some(authority)), None, "{authority}");
        }
        assert_eq!(host(Some("api.dublin.ie1.twilio.com:443")).as_deref(), Some("api.dublin.ie1.twilio.com"));
        assert_eq!(host(None), None);
    }
}
