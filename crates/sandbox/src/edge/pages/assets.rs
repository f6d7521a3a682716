//! The style sheet and the script of the pages: files of our own, so that the policy can forbid everything else.

use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

pub(super) async fn style() -> impl IntoResponse {
    served("text/css; charset=utf-8", include_str!("../../../templates/sandbox.css"))
}

pub(super) async fn script() -> impl IntoResponse {
    served("text/javascript; charset=utf-8", include_str!("../../../templates/sandbox.js"))
}

/// Asked for again each time: another version of the sandbox may listen at the same address tomorrow.
fn served(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], text)
}
