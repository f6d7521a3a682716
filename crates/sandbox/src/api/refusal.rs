//! Answers that say no, in Twilio's shape.
//!
//! Codes are those of <https://www.twilio.com/docs/api/errors>; messages are worded as Twilio words them where its
//! documents show them, since people search for them.

use ringfence_twilio::wire::ApiError;

use crate::settings::SuspendedRule;

/// An error that the caller is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) error: ApiError,
    /// Seconds for a `Retry-After` header.
    pub(crate) retry_after_s: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { error: ApiError::new(status, code, message), retry_after_s: None }
    }

    /// A parameter is missing, wrong, or names what may not be used.
    pub(crate) fn bad_request(code: u32, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// No credentials, wrong ones, or ones that do not reach this account.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(401, 20003, "Authenticate")
    }

    /// Right credentials, and still not allowed.
    pub(crate) fn forbidden(path: &str) -> Self {
        Self::new(403, 20403, format!("The credentials do not allow access to {path}"))
    }

    /// Nothing is at this path. Twilio names the path as it knows it: with `/2010-04-01`, and without `/v1` or `/v2`.
    pub(crate) fn not_found(path: &str) -> Self {
        let versioned =
            path.strip_prefix("/v").filter(|rest| rest.starts_with(|it: char| it.is_ascii_digit()));
        let at = versioned.and_then(|_| path[1..].find('/')).map_or(0, |slash| slash + 1);
        Self::new(404, 20404, format!("The requested resource {} was not found", &path[at..]))
    }

    pub(crate) fn method_not_allowed(method: &str, path: &str) -> Self {
        Self::new(405, 20004, format!("Method not allowed: {method} {path}"))
    }

    pub(crate) fn suspended(rule: &SuspendedRule) -> Self {
        let message = match rule.code {
            20003 => "Authenticate",
            20403 => "403 Forbidden",
            10001 => "Account is not active",
            _ => "Account not active",
        };
        Self::new(rule.status, rule.code, message)
    }

    pub(crate) fn too_many_requests() -> Self {
        Self { retry_after_s: Some(1), ..Self::new(429, 20429, "Too Many Requests") }
    }

    /// A parameter that must be there: Twilio's general code for it is 20001 with a 400.
    pub(crate) fn missing(name: &str) -> Self {
        Self::bad_request(20001, format!("Missing required parameter {name} in the post body"))
    }

    /// A parameter whose value cannot be used.
    pub(crate) fn invalid(name: &str, value: &str) -> Self {
        Self::bad_request(20001, format!("Invalid parameter: {name} cannot be '{}'", shortened(value)))
    }
}

/// What a sender wrote, short enough to be repeated to it.
pub(crate) fn shortened(text: &str) -> String {
    const ENOUGH: usize = 64;
    match text.char_indices().nth(ENOUGH) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_is_named_without_the_version_of_its_product() {
        for (path, named) in [
            ("/v2/Services/VA1/VerificationCheck", "/Services/VA1/VerificationCheck"),
            ("/2010-04-01/Accounts/AC1/Calls/CA1.json", "/2010-04-01/Accounts/AC1/Calls/CA1.json"),
            ("/v1/", "/"),
            ("/v1", "/v1"),
            ("/voice/x", "/voice/x"),
            ("", ""),
        ] {
            let message = Refusal::not_found(path).error.message;
            assert_eq!(message, format!("The requested resource {named} was not found"));
        }
    }
}
