//! The style sheet and the scripts: files of our own, so that the policy can forbid everything else.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};

use crate::failed::Failed;
use crate::routes::{Open, Running};

/// The style sheet of the console, for pages that are to look like it.
pub const STYLE: &str = include_str!("../templates/console.css");

pub(crate) fn style(_: Open<'_>) -> Running<'_> {
    Box::pin(async { served("text/css; charset=utf-8", STYLE) })
}

pub(crate) fn script(_: Open<'_>) -> Running<'_> {
    Box::pin(async { served("text/javascript; charset=utf-8", include_str!("../templates/console.js")) })
}

pub(crate) fn once_script(_: Open<'_>) -> Running<'_> {
    Box::pin(async { served("text/javascript; charset=utf-8", include_str!("../templates/once.js")) })
}

pub(crate) fn passkey_script(_: Open<'_>) -> Running<'_> {
    Box::pin(async { served("text/javascript; charset=utf-8", include_str!("../templates/passkey.js")) })
}

/// Asked for again each time: another version may listen at the same address tomorrow.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every answer")]
fn served(content_type: &'static str, text: &'static str) -> Result<Response<Bytes>, Failed> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
