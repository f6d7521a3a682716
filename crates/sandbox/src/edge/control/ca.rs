//! `GET /_sandbox/ca.pem`: what a client of the HTTPS proxy must trust.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

pub(super) async fn show(State(state): State<Arc<crate::edge::State>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/x-pem-file")], state.authority.certificate_pem().to_owned())
}
