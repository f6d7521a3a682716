//! The newest verdicts, in memory: what people look at when they ask why a request was refused.
//!
//! It holds no body, and of the target the path alone; where bodies are wanted, the parameters of a form stand for them,
//! each value by what it is (a SID as it is, a number by its ends, a text by its length). Requests that were refused have
//! places of their own, so that a flood of forgeries leaves what was admitted in sight, and the other way round.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ringfence_model::Sid;
use ringfence_signature::fields;

use crate::settings::Remember;

/// So many of each kind.
const KEPT: usize = 250;
/// A longer path is cut.
const PATH_BYTES_MAX: usize = 200;
/// So many parameters are shown.
const PARAMETERS_MAX: usize = 100;
/// Of a larger body nothing is shown: reading it would cost more than deciding.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// One verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentVerdict {
    /// Counts up, from the start of the process.
    pub number: u64,
    /// When, in seconds since 1970.
    pub at: u64,
    /// The route, as logs and metrics call it; empty for what reached none.
    pub route: String,
    /// The method; `other` where it is none that is known.
    pub method: &'static str,
    /// The path, as it came, without a query; cut where it is long.
    pub path: String,
    /// Who sent it.
    pub client: IpAddr,
    /// What was said.
    pub outcome: Outcome,
    /// The parameters, redacted; none where they are not kept, or there was no form.
    pub parameters: Option<Vec<(String, String)>>,
}

/// What was said of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was let in.
    Admitted {
        /// The account whose key signed; none where a password was enough.
        account: Option<String>,
        /// Which form of the URL had been signed.
        candidate: &'static str,
        /// What strict mode noticed.
        finding: Option<&'static str>,
    },
    /// It was not.
    Refused {
        /// Why, as logs and metrics call it.
        reason: &'static str,
        /// What it was answered with.
        status: u16,
        /// What was probably wrong and what to change; none where nothing was tried.
        explanation: Option<String>,
    },
}

/// An explanation that may still be in the making.
pub(crate) type Explanation = Arc<OnceLock<String>>;

/// A request as it is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted<'a> {
    pub(crate) route: &'a Arc<str>,
    pub(crate) method: &'static str,
    pub(crate) target: &'a str,
    pub(crate) client: IpAddr,
    /// The body, where it is a form that was read.
    pub(crate) form: Option<&'a [u8]>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    at: u64,
    route: Arc<str>,
    method: &'static str,
    path: Box<str>,
    client: IpAddr,
    outcome: Said,
    parameters: Option<Vec<(String, String)>>,
}

/// What was said, with an explanation that may come later.
#[derive(Debug)]
pub(crate) enum Said {
    Admitted { account: Option<String>, candidate: &'static str, finding: Option<&'static str> },
    Refused { reason: &'static str, status: u16, explanation: Option<Explanation> },
}

/// The newest verdicts.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    number: u64,
    admitted: VecDeque<Entry>,
    refused: VecDeque<Entry>,
}

impl Recent {
    /// Remembers one, as far as `remember` allows.
    pub(crate) fn note(&self, remember: Remember, at: u64, noted: &Noted<'_>, outcome: Said) {
        if remember == Remember::Nothing {
            return;
        }
        let path = noted.target.split_once('?').map_or(noted.target, |(path, _)| path);
        let path = match path.len() {
            0..=PATH_BYTES_MAX => path.into(),
            _ => format!("{}…", &path[..path.floor_char_boundary(PATH_BYTES_MAX)]).into(),
        };
        let parameters =
            (remember == Remember::RedactedBodies).then_some(noted.form).flatten().and_then(redacted);
        let (route, method, client) = (Arc::clone(noted.route), noted.method, noted.client);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.number += 1;
        let number = kept.number;
        let places = match outcome {
            Said::Admitted { .. } => &mut kept.admitted,
            Said::Refused { .. } => &mut kept.refused,
        };
        if places.len() >= KEPT {
            places.pop_front();
        }
        places.push_back(Entry { number, at, route, method, path, client, outcome, parameters });
    }

    /// All that are remembered, newest first.
    pub(crate) fn newest_first(&self) -> Vec<RecentVerdict> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = kept.admitted.iter().chain(&kept.refused).map(Entry::shown).collect();
        drop(kept);
        all.sort_by_key(|verdict| std::cmp::Reverse(verdict.number));
        all
    }

    /// Forgets all of them.
    pub(crate) fn forget(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.admitted.clear();
        kept.refused.clear();
    }
}

impl Entry {
    fn shown(&self) -> RecentVerdict {
        let outcome = match &self.outcome {
            Said::Admitted { account, candidate, finding } => {
                Outcome::Admitted { account: account.clone(), candidate, finding: *finding }
            }
            Said::Refused { reason, status, explanation } => Outcome::Refused {
                reason,
                status: *status,
                explanation: explanation.as_ref().and_then(|text| text.get().cloned()),
            },
        };
        RecentVerdict {
            number: self.number,
            at: self.at,
            route: self.route.to_string(),
            method: self.method,
            path: self.path.to_string(),
            client: self.client,
            outcome,
            parameters: self.parameters.clone(),
        }
    }
}

/// The parameters of a form, each value by what it is; none of a body that is too large or holds no parameter.
fn redacted(form: &[u8]) -> Option<Vec<(String, String)>> {
    if form.len() > BODY_BYTES_MAX {
        return None;
    }
    let shown: Vec<_> =
        fields(form).take(PARAMETERS_MAX).map(|(name, value)| (name_of(&name), value_of(&value))).collect();
    (!shown.is_empty()).then_some(shown)
}

/// Names are Twilio's; what is longer or no plain word is somebody's text.
fn name_of(name: &[u8]) -> String {
    match str::from_utf8(name) {
        Ok(name)
            if name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
        {
            name.to_owned()
        }
        _ => format!("({} bytes)", name.len()),
    }
}

fn value_of(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match text {
        text if text.is_empty() => String::new(),
        // An account's SID is no secret, nor is that of a message.
        Cow::Borrowed(text) if Sid::parse(text).is_ok() => text.to_owned(),
        // One of Twilio's lower-case words, `delivered`, `no-answer`, or a small number, `NumMedia=0`.
        Cow::Borrowed(text) if is_word(text) || is_small(text) => text.to_owned(),
        text if is_number(&text) => {
            let (first, last) =
                (text.get(..3).unwrap_or_default(), text.get(text.len() - 2..).unwrap_or_default());
            format!("{first}…{last}")
        }
        text => match text.chars().count() {
            1 => "(1 character)".to_owned(),
            count => format!("({count} characters)"),
        },
    }
}

/// What Twilio calls a state: nobody writes like this, but for a single word that tells nothing.
fn is_word(text: &str) -> bool {
    const STATES: [&str; 22] = [
        "accepted",
        "answered",
        "busy",
        "canceled",
        "completed",
        "delivered",
        "failed",
        "inbound",
        "in-progress",
        "initiated",
        "no-answer",
        "outbound-api",
        "outbound-dial",
        "queued",
        "read",
        "received",
        "ringing",
        "scheduled",
        "sending",
        "sent",
        "undelivered",
        "human",
    ];
    STATES.contains(&text)
}

fn is_small(text: &str) -> bool {
    text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn noted<'a>(route: &'a Arc<str>, target: &'a str, form: Option<&'a [u8]>) -> Noted<'a> {
        Noted { route, method: "POST", target, client: IpAddr::V4(Ipv4Addr::LOCALHOST), form }
    }

    fn refused() -> Said {
        Said::Refused { reason: "signature_mismatch", status: 403, explanation: None }
    }

    fn admitted() -> Said {
        Said::Admitted { account: None, candidate: "as-received", finding: None }
    }

    #[test]
    fn where_nothing_is_kept_there_is_nothing() {
        let (recent, route) = (Recent::default(), Arc::from("/x"));
        recent.note(Remember::Nothing, 1, &noted(&route, "/x", Some(b"Body=a")), refused());
        assert_eq!(recent.newest_first(), []);
    }

    #[test]
    fn neither_a_query_nor_a_body_is_kept_unless_it_is_wanted_and_then_redacted() {
        let (recent, route) = (Recent::default(), Arc::from("/x"));
        let form: &[u8] =
            b"AccountSid=AC0000000000000000000000000000000a&From=%2B14155550123&Body=Hello+there&NumMedia=0\
                            &MessageStatus=delivered&To=whatsapp%3A%2B14155550123&%2B14155550123=x&Empty=";
        recent.note(Remember::Metadata, 1, &noted(&route, "/x?secret=1", Some(form)), refused());
        recent.note(Remember::RedactedBodies, 2, &noted(&route, "/x", Some(form)), admitted());
        recent.note(Remember::RedactedBodies, 3, &noted(&route, "/x", None), admitted());
        let [none, with, without] = recent.newest_first().try_into().expect("three are kept");
        assert_eq!((without.path.as_str(), without.parameters, none.parameters), ("/x", None, None));
        let shown: Vec<_> = with
            .parameters
            .expect("they are wanted")
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "AccountSid=AC0000000000000000000000000000000a",
                "From=+14…23",
                "Body=(11 characters)",
                "NumMedia=0",
                "MessageStatus=delivered",
                "To=(21 characters)",
                "(12 bytes)=(1 character)",
                "Empty=",
            ]
        );
    }

    #[test]
    fn a_flood_of_forgeries_leaves_what_was_admitted_in_sight() {
        let (recent, route) = (Recent::default(), Arc::from("/x"));
        recent.note(Remember::Metadata, 1, &noted(&route, "/admitted", None), admitted());
        for _ in 0..10 * KEPT {
            recent.note(Remember::Metadata, 2, &noted(&route, "/forged", None), refused());
        }
        let all = recent.newest_first();
        assert_eq!((all.len(), all[KEPT].path.as_str()), (KEPT + 1, "/admitted"));
        assert!(all.windows(2).all(|pair| pair[0].number > pair[1].number), "newest first");
        recent.forget();
        assert_eq!(recent.newest_first(), []);
    }

    #[test]
    fn an_explanation_that_comes_later_is_shown() {
        let (recent, route) = (Recent::default(), Arc::from("/x"));
        let explanation = Explanation::default();
        let said = Said::Refused { reason: "x", status: 403, explanation: Some(Arc::clone(&explanation)) };
        recent.note(Remember::Metadata, 1, &noted(&route, &"/ää".repeat(200), None), said);
        assert_eq!(recent.newest_first()[0].path.len(), PATH_BYTES_MAX + "…".len());
        let text = |recent: &Recent| match recent.newest_first().remove(0).outcome {
            Outcome::Refused { explanation, .. } => explanation,
            Outcome::Admitted { .. } => None,
        };
        assert_eq!(text(&recent), None);
        explanation.set("the port was missing".to_owned()).expect("it is empty");
        assert_eq!(text(&recent).as_deref(), Some("the port was missing"));
    }
}
