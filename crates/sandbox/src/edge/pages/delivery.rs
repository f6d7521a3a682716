//! One webhook at full length: what was sent, what was signed, and every answer.

use askama::Template;
use axum::response::Response;

use super::html;
use crate::edge::deliveries::Shown;

#[derive(Debug, Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    /// Where the sandbox is.
    address: String,
    delivery: Shown,
}

pub(in crate::edge) fn page(address: String, delivery: Shown) -> Response {
    html(&DeliveryPage { address, delivery })
}
