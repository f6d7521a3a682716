//! One request of Twilio's API, before it is sent.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ringfence_model::Sid;
use serde_json::Value;

use super::base::Product;
use super::retry::Repeat;
use crate::wire::Form;

/// What a segment of a path may hold as it is (RFC 3986, unreserved).
const IN_A_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is asked for, and whether asking twice does any harm.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// The method of this crate: `messages.create`.
    pub(super) name: &'static str,
    pub(super) product: Product,
    pub(super) method: Method,
    /// The path, its parameters encoded, and the query.
    pub(super) path_and_query: String,
    pub(super) form: Form,
    /// What is sent in the place of a form, where the product speaks JSON.
    pub(super) json: Option<String>,
    pub(super) repeat: Repeat,
}

impl Operation {
    /// Reads something.
    pub(super) fn get(name: &'static str, product: Product, path: &str, query: &Form) -> Self {
        let path_and_query =
            if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.encode()) };
        Self {
            name,
            product,
            method: Method::GET,
            path_and_query,
            form: Form::new(),
            json: None,
            repeat: Repeat::Harmless,
        }
    }

    /// Does something that must not happen twice: makes a message, a call, a key.
    pub(super) fn once(name: &'static str, product: Product, path: String, form: Form) -> Self {
        Self {
            name,
            product,
            method: Method::POST,
            path_and_query: path,
            form,
            json: None,
            repeat: Repeat::Harmful,
        }
    }

    /// Sets something to a stated value, so that a second time changes nothing.
    pub(super) fn set(name: &'static str, product: Product, path: String, form: Form) -> Self {
        Self { repeat: Repeat::Harmless, ..Self::once(name, product, path, form) }
    }

    /// As [`set`](Operation::set), where Twilio has `PATCH` for it.
    pub(super) fn patch(name: &'static str, product: Product, path: String, form: Form) -> Self {
        Self { method: Method::PATCH, ..Self::set(name, product, path, form) }
    }

    /// As [`once`](Operation::once), in JSON.
    pub(super) fn once_json(name: &'static str, product: Product, path: String, body: &Value) -> Self {
        Self { json: Some(body.to_string()), ..Self::once(name, product, path, Form::new()) }
    }

    /// As [`patch`](Operation::patch), in JSON.
    pub(super) fn patch_json(name: &'static str, product: Product, path: String, body: &Value) -> Self {
        Self { json: Some(body.to_string()), ..Self::patch(name, product, path, Form::new()) }
    }

    /// Removes something.
    pub(super) fn delete(name: &'static str, product: Product, path: String) -> Self {
        Self { method: Method::DELETE, ..Self::set(name, product, path, Form::new()) }
    }
}

/// The path of something in an account of the v2010 API: `in_account(sid, "Messages")`.
pub(super) fn in_account(account: Sid, what: &str) -> String {
    format!("/2010-04-01/Accounts/{account}/{what}.json")
}

/// A text as one segment of a path, whatever is in it.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, IN_A_SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_segment_of_a_path() {
        assert_eq!(segment("US"), "US");
        assert_eq!(segment("+14155550100"), "%2B14155550100");
        assert_eq!(segment("../../a?b#c%2F d"), "..%2F..%2Fa%3Fb%23c%252F%20d");
    }
}
