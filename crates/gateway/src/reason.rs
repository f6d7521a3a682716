//! Why the gate refused a request: one named reason for each, for logs and metrics. Callers never hear it.

use std::fmt;

use ringfence_signature::Refusal;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request head breaks a rule that keeps two readers of it from disagreeing.
    BadRequest(&'static str),
    /// No route takes this path.
    NoRoute,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The body is larger than the route's cap.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The connection broke inside the body, or its framing made no sense.
    BodyBroken,
    /// Too many requests are in work already.
    Overloaded,
    /// No Basic credentials: Twilio's own first request looks like this, so it is a challenge, not an attack.
    BasicMissing,
    /// Basic credentials that cannot be read.
    BasicMalformed,
    /// Basic credentials that are nobody's.
    BasicWrong,
    /// The signature does not hold.
    Signature(Refusal),
    /// The same signed request came before, and the route refuses repeats.
    Replayed,
    /// Forward-auth: the asking proxy is not among `trusted_proxies`.
    UntrustedPeer,
    /// Forward-auth: a form POST without its body; the proxy must be told to send it.
    FormWithoutBody,
}

impl Reason {
    /// The stable name, in `snake_case`: the value of `reason` in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest(rule) => rule,
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::Overloaded => "overloaded",
            Self::BasicMissing => "basic_missing",
            Self::BasicMalformed => "basic_malformed",
            Self::BasicWrong => "basic_wrong",
            Self::Signature(refusal) => refusal.as_str(),
            Self::Replayed => "replayed",
            Self::UntrustedPeer => "untrusted_peer",
            Self::FormWithoutBody => "form_without_body",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
