//! What can go wrong between the gate and an upstream, and what each case means for sending again.

use std::io;

use super::tls::TlsFault;

/// Why an exchange with an upstream failed.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The upstream's name could not be looked up. Nothing was sent.
    #[error("the upstream's name could not be looked up: {0}")]
    Lookup(#[source] io::Error),
    /// No connection could be made. Nothing was sent.
    #[error("no connection to the upstream: {0}")]
    Connect(#[source] io::Error),
    /// No TLS came about, so nothing was said to whoever answers there; or the upstream ended it with an alert.
    #[error("no TLS with the upstream: {fault} ({source})")]
    Tls {
        /// What was wrong.
        fault: TlsFault,
        /// Whether any byte of the request was handed to the network: an alert may come after the handshake.
        sent: bool,
        /// What rustls or the network said.
        #[source]
        source: io::Error,
    },
    /// The time given ran out.
    #[error("the upstream was too slow: {0}")]
    TimedOut(Stage),
    /// The connection broke before the first byte of an answer.
    #[error("the upstream closed the connection before it answered")]
    ClosedEarly {
        /// Whether any byte of the request was handed to the network. When it was, the upstream may have acted.
        sent: bool,
        /// What the network said; absent when the upstream closed in good order.
        #[source]
        source: Option<io::Error>,
    },
    /// The connection broke after the answer had begun.
    #[error("the upstream's answer was cut short")]
    AnswerCutShort(#[source] Option<io::Error>),
    /// The answer is not HTTP/1, or it could be read in two ways.
    #[error("the upstream's answer is malformed: {0}")]
    MalformedAnswer(#[from] Malformed),
    /// The answer's head is longer than 64 KiB or has more than 128 headers.
    #[error("the head of the upstream's answer is too large")]
    AnswerTooLarge,
}

/// What the gate was waiting for when the time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The name, or the connection.
    Connecting,
    /// The upstream to prove who it is.
    Handshake,
    /// The upstream to take the request and to answer.
    Answering,
    /// The next piece of the answer's body.
    Body,
}

/// What was wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Status line or headers are not HTTP/1 (folded header lines among them).
    #[error("status line or headers are not HTTP/1")]
    Head,
    /// A `Content-Length` that is no number, or several that differ.
    #[error("unclear Content-Length")]
    ContentLength,
    /// A `Transfer-Encoding` other than one `chunked`, or any in HTTP/1.0.
    #[error("unknown Transfer-Encoding")]
    TransferEncoding,
    /// `Content-Length` and `Transfer-Encoding` together.
    #[error("Content-Length and Transfer-Encoding together")]
    LengthAndEncoding,
    /// A 101 that was not asked for, or that does not say what it switches to.
    #[error("unexpected 101")]
    Upgrade,
    /// More than 16 interim answers (1xx) to one request.
    #[error("too many interim answers")]
    Interim,
    /// A chunk's size line, its end or a trailer breaks the rules of RFC 9112, section 7.1.
    #[error("broken chunked body")]
    Chunk,
}

impl UpstreamError {
    /// Whether any byte of the request was handed to the network, so that the upstream may have acted on it.
    pub fn request_was_sent(&self) -> bool {
        match self {
            Self::Lookup(_) | Self::Connect(_) | Self::TimedOut(Stage::Connecting | Stage::Handshake) => {
                false
            }
            Self::ClosedEarly { sent, .. } | Self::Tls { sent, .. } => *sent,
            Self::TimedOut(_) | Self::AnswerCutShort(_) | Self::MalformedAnswer(_) | Self::AnswerTooLarge => {
                true
            }
        }
    }

    /// Whether the time ran out (a 504) rather than something breaking (a 502).
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    /// A short fixed word for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lookup(_) => "lookup",
            Self::Connect(_) => "connect",
            Self::TimedOut(Stage::Connecting) => "connect_timeout",
            Self::Tls { fault: TlsFault::Expired, .. } => "tls_expired",
            Self::Tls { fault: TlsFault::NotYetValid, .. } => "tls_not_yet_valid",
            Self::Tls { fault: TlsFault::WrongName, .. } => "tls_wrong_name",
            Self::Tls { fault: TlsFault::UnknownAuthority, .. } => "tls_unknown_authority",
            Self::Tls { fault: TlsFault::BadCertificate, .. } => "tls_bad_certificate",
            Self::Tls { fault: TlsFault::NotTls, .. } => "tls_not_spoken",
            Self::Tls { fault: TlsFault::Alert, .. } => "tls_alert",
            Self::Tls { fault: TlsFault::Closed, .. } => "tls_closed",
            Self::Tls { fault: TlsFault::Failed, .. } => "tls_failed",
            Self::TimedOut(Stage::Handshake) => "tls_timeout",
            Self::TimedOut(Stage::Answering) => "answer_timeout",
            Self::TimedOut(Stage::Body) => "body_timeout",
            Self::ClosedEarly { .. } => "closed_early",
            Self::AnswerCutShort(_) => "cut_short",
            Self::MalformedAnswer(_) => "malformed",
            Self::AnswerTooLarge => "too_large",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Connecting => "no connection in time",
            Self::Handshake => "no TLS handshake in time",
            Self::Answering => "no answer in time",
            Self::Body => "the body stopped coming",
        })
    }
}
