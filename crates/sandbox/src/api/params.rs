//! Reading parameters: what is there, what is missing, what cannot be meant.

use ringfence_model::Sid;
use ringfence_twilio::wire::Form;

use super::Refusal;

/// A parameter with something in it.
pub(crate) fn some<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.get(name).filter(|value| !value.is_empty())
}

/// A parameter that must be there.
pub(crate) fn needed<'a>(form: &'a Form, name: &str) -> Result<&'a str, Refusal> {
    some(form, name).ok_or_else(|| Refusal::missing(name))
}

/// `true` or `false`, in any case.
pub(crate) fn flag(form: &Form, name: &str) -> Result<Option<bool>, Refusal> {
    match some(form, name) {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(text) => Err(Refusal::invalid(name, text)),
    }
}

/// A whole number within a range.
pub(crate) fn number(form: &Form, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
    let Some(text) = some(form, name) else { return Ok(None) };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(Refusal::invalid(name, text)),
    }
}

/// A SID of this kind.
pub(crate) fn sid(form: &Form, name: &str, prefix: &str) -> Result<Option<Sid>, Refusal> {
    let Some(text) = some(form, name) else { return Ok(None) };
    match Sid::parse(text) {
        Ok(sid) if sid.is(prefix) => Ok(Some(sid)),
        _ => Err(Refusal::invalid(name, text)),
    }
}

/// A name for people: at most this many characters.
pub(crate) fn friendly_name(form: &Form, most: usize) -> Result<Option<String>, Refusal> {
    match form.get("FriendlyName") {
        None => Ok(None),
        Some(text) if text.chars().count() > most => Err(Refusal::invalid("FriendlyName", text)),
        Some(text) => Ok(Some(text.to_owned())),
    }
}

/// A URL that a webhook can go to.
pub(crate) fn url(form: &Form, name: &str) -> Result<Option<String>, Refusal> {
    match some(form, name) {
        None => Ok(None),
        Some(text) if is_web_url(text) => Ok(Some(text.to_owned())),
        Some(text) => Err(Refusal::invalid(name, text)),
    }
}

/// `http` or `https`, a host, and no white space.
pub(crate) fn is_web_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let without_fragment = text.split('#').next().unwrap_or_default();
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']))
        && !text.contains(char::is_whitespace)
        && without_fragment.len() <= 4000
}
