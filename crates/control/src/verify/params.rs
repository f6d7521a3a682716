//! Reading parameters: what is there, what is missing, what cannot be meant.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use ringfence_twilio::wire::Form;

use super::refusal::Refusal;

/// How a phone number is written.
pub(super) const NUMBER: &str = "a number is + with its country, such as +14155550100; in a form + is %2B";

/// The form in the body. A body of another type is refused: it would be read as a form without parameters.
pub(super) fn form(request: &Request<Bytes>) -> Result<Form, Refusal> {
    if request.method() != Method::POST || request.body().is_empty() {
        return Ok(Form::new());
    }
    let media_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::new(
            415,
            20415,
            "Content type must be application/x-www-form-urlencoded: the parameters are a form, not JSON",
        ));
    }
    Ok(Form::parse(request.body()))
}

/// A parameter with something in it.
pub(super) fn some<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.get(name).filter(|value| !value.is_empty())
}

/// A parameter that must be there.
pub(super) fn needed<'a>(form: &'a Form, name: &str) -> Result<&'a str, Refusal> {
    some(form, name).ok_or_else(|| Refusal::missing(name))
}

/// Codes that are bound to a payment are not; silence about it would be false security.
pub(super) fn without_payment(form: &Form) -> Result<(), Refusal> {
    match ["Amount", "Payee"].into_iter().find_map(|name| Some((name, some(form, name)?))) {
        Some((name, value)) => Err(Refusal::invalid(name, value, "codes are not bound to payments here")),
        None => Ok(()),
    }
}

/// A whole number within a range.
pub(super) fn number(form: &Form, name: &str, least: u32, most: u32) -> Result<Option<u32>, Refusal> {
    let Some(text) = some(form, name) else { return Ok(None) };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(Refusal::invalid(name, text, &format!("a whole number from {least} to {most}"))),
    }
}
