//! What went wrong: whose fault it is, whether to ask again, and whether Twilio may have done it all the same.
//!
//! Nothing here prints a secret, a phone number or the text of a message: what Twilio says is shown with its digits
//! masked, and what its answer held is not shown at all.

use std::fmt;
use std::time::Duration;

/// A request that did not come to a good end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {problem}")]
pub struct Error {
    /// The method of this crate that was called: `messages.create`.
    pub operation: &'static str,
    /// How often the request was made, the first time included.
    pub tries: u32,
    /// What went wrong the last time.
    pub problem: Problem,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Twilio, or something before it, answered and did not do it.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// No connection could be made, so nothing was sent.
    #[error("no connection to {host}: {why}")]
    Unreachable {
        /// Where it should have led.
        host: String,
        /// What the system said.
        why: String,
    },
    /// The other side could not show that it is who it should be, so nothing was sent.
    #[error("{host} is not who it says it is, or speaks no TLS that we accept: {why}")]
    Untrusted {
        /// Where it should have led.
        host: String,
        /// What TLS said.
        why: String,
    },
    /// The request was sent, or a part of it, and no whole answer came.
    #[error("no whole answer from {host}: {why}")]
    NoAnswer {
        /// Who should have answered.
        host: String,
        /// A timeout, or what happened to the connection.
        why: String,
    },
    /// The answer said that it was done, and could not be read.
    #[error("the answer (HTTP {status}) cannot be read: {why}")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        why: Unreadable,
    },
    /// A list did not go on as lists do.
    #[error("{0}")]
    Paging(Paging),
    /// The request cannot be written: a name or filter in it is far too long.
    #[error("the request is too long to be sent")]
    TooLong,
}

/// What Twilio said instead of doing it.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Twilio's error code; 0 where the answer has none, as those of machines between do.
    pub code: u32,
    /// What Twilio says to people. It may hold phone numbers: show it to who asked, and log the error instead.
    pub message: String,
    /// How long to wait before the next try, where the answer says so.
    pub retry_after: Option<Duration>,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is longer than any of Twilio's.
    #[error("it is longer than {0} bytes")]
    TooLarge(usize),
    /// It is no JSON.
    #[error("it is no JSON")]
    NotJson,
    /// It is JSON of another shape.
    #[error("it is not of the shape that Twilio documents")]
    WrongShape,
}

/// Why a list was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Paging {
    /// The next page is on another host, which must not be told the credentials.
    #[error("the next page of the list leads to another host")]
    Foreign,
    /// The next page is one that was read before.
    #[error("the next page of the list is one that was read before")]
    Loop,
    /// There are more pages than any list has.
    #[error("the list has more pages than any list has")]
    Endless,
}

/// Who has to do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Us: the request can never be right as it is (a wrong number, a missing parameter, a thing that is not there).
    Request,
    /// Us: the credentials are wrong, or may not do this.
    Credentials,
    /// The account's: it is suspended or closed.
    Account,
    /// Us: too many requests at once.
    Rate,
    /// Twilio: its server failed, or it speaks otherwise than documented.
    Twilio,
    /// The network between, or the machine's trust in certificates.
    Network,
}

/// Whether Twilio did what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarriedOut {
    /// It did not.
    No,
    /// Nobody knows: for money, that means yes until it is found out.
    InDoubt,
    /// It did, only its answer is of no use.
    Yes,
}

/// Whether an answer says that the account is suspended or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inactive {
    /// It says so.
    Certain,
    /// It may be that, or the credentials: Twilio answers suspended accounts in both ways.
    Possible,
}

impl Error {
    /// Who has to do something about it.
    pub fn fault(&self) -> Fault {
        self.problem.fault()
    }

    /// Whether the same request may succeed some time later. Whether it may be *made* again is another question:
    /// see [`carried_out`](Error::carried_out).
    pub fn is_transient(&self) -> bool {
        self.problem.is_transient()
    }

    /// Whether Twilio did what was asked for. What only reads does nothing either way.
    pub fn carried_out(&self) -> CarriedOut {
        self.problem.carried_out()
    }

    /// Whether the account is suspended or closed, as far as the answer tells. `None`: nothing says so.
    pub fn inactive(&self) -> Option<Inactive> {
        self.problem.refusal()?.inactive()
    }

    /// Whether Twilio itself suspended the account, so that its parent cannot make it active again (21478).
    pub fn suspended_by_twilio(&self) -> bool {
        self.code() == Some(21_478)
    }

    /// What Twilio said, if it said anything.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.problem.refusal()
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.problem.status()
    }

    /// Twilio's error code, if the answer has one.
    pub fn code(&self) -> Option<u32> {
        self.refusal().map(|refusal| refusal.code).filter(|code| *code != 0)
    }

    /// How long to wait before the next try, where the answer says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal()?.retry_after
    }

    /// Whether the thing that was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}

impl Problem {
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Refused(refusal) => refusal.fault(),
            Self::Unreachable { .. } | Self::Untrusted { .. } | Self::NoAnswer { .. } => Fault::Network,
            Self::Unreadable { .. } | Self::Paging(_) => Fault::Twilio,
            Self::TooLong => Fault::Request,
        }
    }

    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_transient(),
            Self::Unreachable { .. } | Self::NoAnswer { .. } => true,
            Self::Untrusted { .. } | Self::Unreadable { .. } | Self::Paging(_) | Self::TooLong => false,
        }
    }

    pub(super) fn carried_out(&self) -> CarriedOut {
        match self {
            Self::Refused(refusal) => refusal.carried_out(),
            Self::Unreachable { .. } | Self::Untrusted { .. } | Self::TooLong => CarriedOut::No,
            Self::NoAnswer { .. } => CarriedOut::InDoubt,
            Self::Unreadable { .. } | Self::Paging(_) => CarriedOut::Yes,
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::Unreadable { status, .. } => Some(*status),
            _ => None,
        }
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl Refusal {
    /// Codes of facts 2.2: which of them a suspended account gets is not documented for each operation.
    fn inactive(&self) -> Option<Inactive> {
        match (self.status, self.code) {
            (400..=499, 10_001 | 20_005 | 90_010) => Some(Inactive::Certain),
            (401, 20_003) | (403, 20_403) => Some(Inactive::Possible),
            _ => None,
        }
    }

    fn fault(&self) -> Fault {
        match self.status {
            _ if self.inactive() == Some(Inactive::Certain) => Fault::Account,
            429 => Fault::Rate,
            401 | 403 => Fault::Credentials,
            400..=499 => Fault::Request,
            _ => Fault::Twilio,
        }
    }

    /// 408 and 5xx say nothing about the request; 429 says that it came too early.
    fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }

    /// Every other 4xx is an answer of who looked at the request and refused it. A server that failed (5xx), or
    /// gave up waiting (408), may have done so after the deed.
    fn carried_out(&self) -> CarriedOut {
        match self.status {
            408 => CarriedOut::InDoubt,
            400..=499 => CarriedOut::No,
            _ => CarriedOut::InDoubt,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "refused with HTTP {}", self.status)?;
        if self.code != 0 {
            write!(formatter, ", error {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(formatter, ": {}", masked(&self.message))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Refusal")
            .field("status", &self.status)
            .field("code", &self.code)
            .field("message", &masked(&self.message))
            .field("retry_after", &self.retry_after)
            .finish()
    }
}

/// A text without what may be a phone number, a code or a token: words of letters and digits with four digits or more
/// in a row, or of twenty characters or more, become `…`. It is cut after 200 characters.
fn masked(text: &str) -> String {
    let mut shown = String::new();
    for word in text.chars().take(200).collect::<String>().split_inclusive(|it: char| !it.is_alphanumeric()) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, last)) if !last.is_alphanumeric() => word.split_at(at),
            _ => (word, ""),
        };
        let many_digits = word.split(|it: char| !it.is_numeric()).any(|digits| digits.chars().count() >= 4);
        shown.push_str(if many_digits || word.chars().count() >= 20 { "…" } else { word });
        shown.push_str(end);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: u32) -> Error {
        let message = String::new();
        let refusal = Box::new(Refusal { status, code, message, retry_after: None });
        Error { operation: "test", tries: 1, problem: Problem::Refused(refusal) }
    }

    #[test]
    fn the_ways_in_which_twilio_says_suspended_are_known() {
        for (status, code) in [(403, 20_005), (401, 20_005), (400, 10_001), (403, 90_010)] {
            assert_eq!(refused(status, code).inactive(), Some(Inactive::Certain), "{status} {code}");
            assert_eq!(refused(status, code).fault(), Fault::Account);
        }
        for (status, code) in [(401, 20_003), (403, 20_403)] {
            assert_eq!(refused(status, code).inactive(), Some(Inactive::Possible), "{status} {code}");
            assert_eq!(refused(status, code).fault(), Fault::Credentials);
        }
        for (status, code) in [(400, 21_211), (404, 20_404), (500, 20_005), (401, 0), (429, 20_429)] {
            assert_eq!(refused(status, code).inactive(), None, "{status} {code}");
        }
        assert!(refused(400, 21_478).suspended_by_twilio());
    }

    #[test]
    fn fault_retry_and_doubt_follow_from_the_status() {
        use CarriedOut::{InDoubt, No};
        for (status, fault, transient, carried_out) in [
            (302, Fault::Twilio, false, InDoubt),
            (400, Fault::Request, false, No),
            (401, Fault::Credentials, false, No),
            (403, Fault::Credentials, false, No),
            (404, Fault::Request, false, No),
            (408, Fault::Request, true, InDoubt),
            (429, Fault::Rate, true, No),
            (500, Fault::Twilio, true, InDoubt),
            (503, Fault::Twilio, true, InDoubt),
        ] {
            let error = refused(status, 0);
            assert_eq!(
                (error.fault(), error.is_transient(), error.carried_out()),
                (fault, transient, carried_out),
                "{status}"
            );
            assert_eq!((error.status(), error.code()), (Some(status), None));
        }
    }

    #[test]
    fn what_twilio_says_is_shown_without_numbers_and_tokens() {
        let message = "The 'To' number +14155550100 (0123456789abcdef0123456789abcdef) is not valid for 21 or (415) 555-0100.";
        let error = Refusal { status: 400, code: 21_211, message: message.to_owned(), retry_after: None };
        let shown =
            "refused with HTTP 400, error 21211: The 'To' number +… (…) is not valid for 21 or (415) 555-….";
        assert_eq!(error.to_string(), shown);
        assert!(!format!("{error:?}").contains("0100"));
        assert!(error.message.contains("+14155550100"), "who asked may see it");
    }
}
