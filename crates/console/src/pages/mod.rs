//! The pages, one file each: what is asked for, as plain values, and the template that shows them.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod act;
pub(crate) mod audit;
pub(crate) mod breaker;
pub(crate) mod credentials;
pub(crate) mod limits;
pub(crate) mod overview;
pub(crate) mod sign_out;
mod spending;

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};
use ringfence_model::Sid;

use crate::failed::Failed;
use crate::routes::Call;
use crate::words;

/// A finished page.
fn shown(page: &impl Template) -> Result<Response<Bytes>, Failed> {
    Ok(words::html(page.render()?))
}

/// A form that was refused, with what is wrong beside its fields.
fn shown_again(page: &impl Template) -> Result<Response<Bytes>, Failed> {
    let mut response = shown(page)?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// The account that a path or a form names, if whoever asks may look at it. For whom it is not, it is not there.
fn account_named(call: &Call<'_>, text: &str) -> Result<Sid, Failed> {
    let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC")).ok_or(Failed::NotFound)?;
    match call.signed_in.only_account() {
        Some(only) if only != sid => Err(Failed::NotFound),
        _ => Ok(sid),
    }
}
