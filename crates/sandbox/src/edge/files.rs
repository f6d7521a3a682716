//! Where media are kept, as Twilio keeps them apart from its API: at a host of its own, under URLs that are signed for some
//! hours and take no other credentials (`mms.twiliocdn.com`; here the first segment of the path, as with the products).
//!
//! The API leads here where the settings say so. Storage refuses a request that shows credentials beside the signature, as
//! Amazon S3 does ("Only one auth mechanism allowed"): clients that take theirs along learn it here.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use ringfence_model::Sid;

use super::Body;
use super::rest::{accept, part};
use crate::api::Reply;
use crate::world::World;
use crate::world::media::{FILES, signature_of};

/// Whether a path leads here.
pub(super) fn are_at(path: &str) -> bool {
    path.strip_prefix(FILES).is_some_and(|rest| rest.starts_with('/'))
}

/// Answers one request.
pub(super) fn answer(world: &World, head: &http::request::Parts) -> Response<Body> {
    if !matches!(head.method, http::Method::GET | http::Method::HEAD) {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "The file can only be read");
    }
    if head.headers.contains_key(AUTHORIZATION) {
        let message = "Only one auth mechanism allowed; only the Signature query string parameter or the \
                       Authorization header should be specified";
        return refuse(StatusCode::BAD_REQUEST, "InvalidArgument", message);
    }
    match file(world, head) {
        Some(reply) => part(accept(reply.clone()), &reply.body, &head.headers),
        None => refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access denied"),
    }
}

/// The file that a signed URL is of, while it is good.
fn file(world: &World, head: &http::request::Parts) -> Option<Reply> {
    let (account, sid) = head.uri.path().strip_prefix(FILES)?.strip_prefix('/')?.split_once('/')?;
    let (account, sid) = (Sid::parse(account).ok()?, Sid::parse(sid).ok()?);
    let (expires, presented) = head.uri.query()?.strip_prefix("Expires=")?.split_once("&Signature=")?;
    let expires: u64 = expires.parse().ok()?;
    let is_signed = signature_of(world, account, sid, expires)? == presented;
    let now = u64::try_from(world.now.as_second()).unwrap_or(0);
    let media = world.media.find_of(account, sid).filter(|_| is_signed && now < expires)?;
    Some(Reply::file(media.content_type, media.content()))
}

/// As storage speaks.
fn refuse(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>\n"
    );
    let mut response = Response::new(Body::from(Bytes::from(xml)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
