//! Who does not want to be written to any more.
//!
//! A text that is one keyword and nothing else counts, in any case. It holds between one phone and one number, or
//! all numbers of a Messaging Service. Twilio answers by itself, and what it answers is no message of the account:
//! <https://help.twilio.com/articles/223134027-Twilio-support-for-opt-out-keywords-SMS-STOP-filtering->.

use std::collections::HashSet;

use ringfence_model::{PhoneNumber, Sid};

/// The pairs that may not be written to.
#[derive(Debug, Default)]
pub(super) struct OptOuts(HashSet<(Sender, PhoneNumber)>);

/// Whom somebody does not want to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    Number(PhoneNumber),
    Service(Sid),
}

/// What a keyword asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Stop,
    Start,
    Help,
}

impl Keyword {
    pub(super) fn of(body: &str) -> Option<Self> {
        const LONGEST: usize = 11;
        let body = body.trim();
        if body.len() > LONGEST {
            return None;
        }
        match body.to_ascii_uppercase().as_str() {
            "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "OPTOUT" | "REVOKE" => {
                Some(Self::Stop)
            }
            "START" | "YES" | "UNSTOP" => Some(Self::Start),
            "HELP" | "INFO" => Some(Self::Help),
            _ => None,
        }
    }

    /// The webhook's `OptOutType`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Start => "START",
            Self::Help => "HELP",
        }
    }

    /// What Twilio answers where nobody configured another text.
    pub(super) fn answer(self) -> &'static str {
        match self {
            Self::Stop => {
                "You have successfully been unsubscribed. You will not receive any more messages from this number. \
                 Reply START to resubscribe."
            }
            Self::Start => {
                "You have successfully been re-subscribed to messages from this number. Reply HELP for help. Reply \
                 STOP to unsubscribe. Msg&Data Rates May Apply."
            }
            Self::Help => "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
        }
    }
}

impl OptOuts {
    /// Whether anybody ever opted out: mostly nobody did, and then there is nothing to look up.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn holds(&self, sender: Sender, phone: PhoneNumber) -> bool {
        self.0.contains(&(sender, phone))
    }

    /// Does what a keyword asks for. `true`: it is answered; a second `STOP` or `START` changes nothing and is not.
    pub(super) fn obey(&mut self, keyword: Keyword, sender: Sender, phone: PhoneNumber) -> bool {
        match keyword {
            Keyword::Stop => self.0.insert((sender, phone)),
            Keyword::Start => self.0.remove(&(sender, phone)),
            Keyword::Help => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_counts_alone_and_in_any_case() {
        assert_eq!(Keyword::of(" sToP\n"), Some(Keyword::Stop));
        assert_eq!(Keyword::of("Unsubscribe"), Some(Keyword::Stop));
        assert_eq!(Keyword::of("yes"), Some(Keyword::Start));
        assert_eq!(Keyword::of("INFO"), Some(Keyword::Help));
        for body in ["stop please", "", "stop.", "nonstop", "ſtop"] {
            assert_eq!(Keyword::of(body), None, "{body}");
        }
    }
}
