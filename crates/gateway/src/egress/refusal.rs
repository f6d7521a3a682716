//! Why the egress does not pass a request on, and how that is said: in Twilio's own shape, so that every library of
//! Twilio's raises its own error, with codes that Twilio does not have.
//!
//! The codes 84000 to 84099 are ours; `docs/egress.md` lists them, and they never change. Wrong credentials are answered
//! as Twilio answers them, with 20003: applications know that one.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use ringfence_breaker::price_book::Fee;
use serde_json::json;

use crate::connection::HEAD_TOO_LARGE;
use crate::reason::Reason;
use crate::twiml::is_known_element;

/// Where the codes are explained.
const MORE_INFO: &str = "https://github.com/ringfence/ringfence/blob/main/docs/egress.md";

/// Why a request goes no further. Nothing of it has reached Twilio, but for the last ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It could be read in two ways; the rule that it breaks.
    BadRequest(&'static str),
    /// The path begins with no host of Twilio's.
    UnknownHost,
    /// A tunnel to another host than Twilio's, or another port.
    OtherTunnel,
    /// The egress is no proxy here.
    NoTunnel,
    /// Neither under TLS nor from a proxy that ends it.
    InTheClear,
    /// Credentials in the query or before the host.
    CredentialsInUrl,
    /// No credentials, or none that are good.
    Unauthorized,
    /// The credential is not for this account.
    OtherAccount,
    /// The host names no account, and the credential is for several.
    WhichAccount,
    /// There is no auth token of this account here.
    NoToken,
    /// The credential is not for this kind of operations.
    OtherOperation(&'static str),
    /// The credential is not for this destination.
    OtherDestination,
    /// The credential is not for this sender.
    OtherSender,
    /// It returns or makes a credential of Twilio's.
    Secret,
    /// It is not known what it does.
    UnknownOperation,
    /// It costs something, and what is not known.
    Unpriced,
    /// A field that turns on what costs something from then on, and what is not known.
    Billed(&'static str),
    /// A field of what has a price that is not known; its name.
    UnknownField(String),
    /// The path means a known operation and is written another way.
    OtherSpelling,
    /// A field would have Twilio run TwiML that does not come from a route of the gate.
    ForeignTwiml(String),
    /// TwiML that has no price.
    UnknownTwiml(String),
    /// TwiML that cannot be read, or not in one way alone.
    UnreadableTwiml(String),
    /// A field is missing, there twice, or not what it must be; its name.
    Field(String),
    /// What Twilio is known to refuse, with the code that Twilio has for it: applications look for that one.
    AsTwilio(u32, String),
    /// No price is known for this destination, or the price book has none at all.
    UnknownPrice(String),
    /// A limit: this request does not fit into it any more.
    DoesNotFit { limit: String, until: Option<Duration> },
    /// A limit: it has tripped, and nothing more is let out.
    Tripped { limit: String, until: Option<Duration> },
    /// A limit: it would fit if what is in work costs less than it could; to be tried again soon.
    OpenOnly { limit: String, until: Option<Duration> },
    /// The store came back from a copy, and Twilio's own records are not read back yet.
    NotReadBack,
    /// The store does not answer.
    StoreAway,
    /// This node has other limits or prices than were applied, or none yet.
    NotReady(&'static str),
    /// The body is longer than any that Twilio takes.
    BodyTooLarge,
    /// The body did not come in time.
    BodyTimeout,
    /// The body broke off.
    BodyBroken,
    /// The body is of a kind that this operation does not take.
    ContentType,
    /// Too many requests are in work.
    Overloaded,
    /// Twilio could not be reached; nothing was sent.
    Unreachable,
    /// Twilio did not answer, and may have acted.
    InDoubt,
    /// Twilio answered what must not be passed on; it has acted.
    UnusableAnswer(&'static str),
}

/// So much of the name of a field is told.
const NAME_MAX: usize = 100;

impl Refusal {
    /// Its code; 20003 is Twilio's own.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::BadRequest(_) => 84000,
            Self::CredentialsInUrl => 84001,
            Self::UnknownHost | Self::OtherTunnel | Self::NoTunnel => 84002,
            Self::Unauthorized => 20003,
            Self::OtherSpelling => 84003,
            Self::ContentType => 84004,
            Self::BodyTooLarge => 84005,
            Self::BodyTimeout | Self::BodyBroken => 84006,
            Self::Field(_) => 84007,
            Self::AsTwilio(code, _) => *code,
            Self::InTheClear => 84008,
            Self::OtherAccount => 84010,
            Self::WhichAccount => 84011,
            Self::NoToken => 84012,
            Self::OtherOperation(_) => 84013,
            Self::OtherDestination => 84014,
            Self::OtherSender => 84015,
            Self::Secret => 84016,
            Self::UnknownOperation => 84017,
            Self::Unpriced | Self::Billed(_) | Self::UnknownField(_) => 84018,
            Self::ForeignTwiml(_) => 84020,
            Self::UnknownTwiml(_) => 84021,
            Self::UnknownPrice(_) => 84022,
            Self::UnreadableTwiml(_) => 84023,
            Self::DoesNotFit { .. } => 84030,
            Self::Tripped { .. } => 84031,
            Self::OpenOnly { .. } => 84032,
            Self::NotReadBack => 84040,
            Self::StoreAway => 84041,
            Self::NotReady(_) => 84042,
            Self::Overloaded => 84043,
            Self::Unreachable => 84050,
            Self::InDoubt => 84051,
            Self::UnusableAnswer(_) => 84052,
        }
    }

    /// Where it is explained: by Twilio, where the code is Twilio's.
    fn more_info(&self) -> Cow<'static, str> {
        match self {
            Self::Unauthorized | Self::AsTwilio(..) => {
                format!("https://www.twilio.com/docs/errors/{}", self.code()).into()
            }
            _ => MORE_INFO.into(),
        }
    }

    /// The status it is answered with.
    pub(crate) fn status(&self) -> StatusCode {
        // A window that ends soon is worth waiting for; what ends with the day is not.
        if matches!(self, Self::DoesNotFit { until: Some(until), .. } if *until <= SHORT) {
            return StatusCode::TOO_MANY_REQUESTS;
        }
        match self {
            Self::BadRequest(HEAD_TOO_LARGE) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BadRequest(_)
            | Self::CredentialsInUrl
            | Self::OtherSpelling
            | Self::Field(_)
            | Self::AsTwilio(..)
            | Self::BodyBroken
            | Self::WhichAccount => StatusCode::BAD_REQUEST,
            Self::UnknownHost | Self::OtherTunnel | Self::NoTunnel => StatusCode::NOT_FOUND,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::InTheClear
            | Self::OtherAccount
            | Self::NoToken
            | Self::OtherOperation(_)
            | Self::OtherDestination
            | Self::OtherSender
            | Self::Secret
            | Self::UnknownOperation
            | Self::Unpriced
            | Self::Billed(_)
            | Self::UnknownField(_)
            | Self::ForeignTwiml(_)
            | Self::UnknownTwiml(_)
            | Self::UnreadableTwiml(_)
            | Self::UnknownPrice(_)
            | Self::Tripped { .. }
            | Self::DoesNotFit { .. } => StatusCode::FORBIDDEN,
            Self::OpenOnly { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotReadBack | Self::StoreAway | Self::NotReady(_) | Self::Overloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Unreachable | Self::UnusableAnswer(_) => StatusCode::BAD_GATEWAY,
            Self::InDoubt => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Its name in logs and metrics, which never changes.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::UnknownHost | Self::OtherTunnel => "unknown_host",
            Self::NoTunnel => "no_tunnel",
            Self::InTheClear => "in_the_clear",
            Self::CredentialsInUrl => "credentials_in_url",
            Self::Unauthorized => "unauthorized",
            Self::OtherAccount => "other_account",
            Self::WhichAccount => "which_account",
            Self::NoToken => "no_token",
            Self::OtherOperation(_) => "other_operation",
            Self::OtherDestination => "other_destination",
            Self::OtherSender => "other_sender",
            Self::Secret => "secret",
            Self::UnknownOperation => "unknown_operation",
            Self::Unpriced | Self::Billed(_) | Self::UnknownField(_) => "unpriced",
            Self::OtherSpelling => "other_spelling",
            Self::ForeignTwiml(_) => "foreign_twiml",
            Self::UnknownTwiml(_) => "unknown_twiml",
            Self::UnreadableTwiml(_) => "unreadable_twiml",
            Self::Field(_) | Self::AsTwilio(..) => "field",
            Self::UnknownPrice(_) => "unknown_price",
            Self::DoesNotFit { .. } => "does_not_fit",
            Self::Tripped { .. } => "tripped",
            Self::OpenOnly { .. } => "open_only",
            Self::NotReadBack => "not_read_back",
            Self::StoreAway => "store_away",
            Self::NotReady(_) => "not_ready",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::ContentType => "content_type",
            Self::Overloaded => "overloaded",
            Self::Unreachable => "unreachable",
            Self::InDoubt => "in_doubt",
            Self::UnusableAnswer(_) => "unusable_answer",
        }
    }

    /// The limit that it is about.
    pub(crate) fn limit(&self) -> Option<&str> {
        match self {
            Self::DoesNotFit { limit, .. } | Self::Tripped { limit, .. } | Self::OpenOnly { limit, .. } => {
                Some(limit)
            }
            _ => None,
        }
    }

    /// Which element, attribute or country it is about, for the log: names, and no text or number of anybody.
    pub(crate) fn about(&self) -> Option<String> {
        const CHARACTERS_MAX: usize = 100;
        let (Self::UnknownTwiml(about) | Self::ForeignTwiml(about) | Self::UnknownPrice(about)) = self else {
            return None;
        };
        // A name may be as long as the document.
        Some(about.chars().filter(|char| !char.is_control()).take(CHARACTERS_MAX).collect())
    }

    /// What the caller is told: no number, no text, nothing that he has not sent himself.
    fn message(&self) -> String {
        match self {
            Self::BadRequest(rule) => format!("Ringfence: the request could be read in two ways ({rule})"),
            Self::UnknownHost => {
                "Ringfence: the path begins with no host of Twilio's API that is passed on, such as /api.twilio.com/"
                    .to_owned()
            }
            Self::OtherTunnel => {
                "Ringfence: a tunnel of the egress leads to Twilio's hosts and port 443 alone, as to api.twilio.com:443; let \
                 other traffic pass it by (NO_PROXY)"
                    .to_owned()
            }
            Self::NoTunnel => {
                "Ringfence: the egress is no HTTPS proxy here; it is one with an authority in [egress]".to_owned()
            }
            Self::InTheClear => {
                "Ringfence: the egress takes requests under TLS, or from a proxy in trusted_proxies; this credential was \
                 sent in the clear"
                    .to_owned()
            }
            Self::CredentialsInUrl => {
                "Ringfence: credentials belong in the Authorization header, never in a URL".to_owned()
            }
            Self::Unauthorized => "Authenticate".to_owned(),
            Self::OtherAccount => "Ringfence: this credential is not for this account".to_owned(),
            Self::WhichAccount => {
                "Ringfence: this host names no account and the credential is for several; use the account's SID as \
                 the user name"
                    .to_owned()
            }
            Self::NoToken => "Ringfence: there is no auth token of this account here".to_owned(),
            Self::OtherOperation(area) => {
                format!("Ringfence: this credential is not for {area}; a credential names what it may do")
            }
            Self::OtherDestination => "Ringfence: this credential is not for this destination".to_owned(),
            Self::OtherSender => "Ringfence: this credential is not for this sender".to_owned(),
            Self::Secret => {
                "Ringfence: this returns or makes a credential of Twilio's, which is never passed on".to_owned()
            }
            Self::UnknownOperation => {
                "Ringfence: it is not known what this operation does, and unknown_operations = \"refuse\"".to_owned()
            }
            Self::Unpriced => {
                "Ringfence: this operation costs something that has no price here, and unknown_operations = \"refuse\""
                    .to_owned()
            }
            Self::Billed(field) => format!(
                "Ringfence: {field} turns on what is billed from then on and has no price here, and unknown_operations = \
                 \"refuse\""
            ),
            Self::UnknownField(name) => format!(
                "Ringfence: it is not known what the field {} costs here, and unknown_operations = \"refuse\"",
                name.chars().take(NAME_MAX).collect::<String>()
            ),
            Self::OtherSpelling => {
                "Ringfence: this is another spelling of a known path or method; write it as Twilio's documents do"
                    .to_owned()
            }
            Self::ForeignTwiml(field) => {
                format!("Ringfence: {field} does not lead to a route of the gate, and foreign_twiml = \"refuse\"")
            }
            Self::UnknownTwiml(why) => format!("Ringfence: this TwiML has no price: {why}"),
            Self::UnreadableTwiml(why) => format!("Ringfence: this TwiML cannot be read: {why}"),
            Self::Field(why) | Self::AsTwilio(_, why) | Self::UnknownPrice(why) => format!("Ringfence: {why}"),
            Self::DoesNotFit { limit, .. } => {
                format!("Ringfence: the limit \"{limit}\" has no room for what this could cost")
            }
            Self::Tripped { limit, .. } => format!("Ringfence: the limit \"{limit}\" has tripped"),
            Self::OpenOnly { limit, .. } => {
                format!("Ringfence: the limit \"{limit}\" is full of requests that are still open; try again")
            }
            Self::NotReadBack => {
                "Ringfence: the store was restored, and Twilio's records are being read back".to_owned()
            }
            Self::StoreAway => "Ringfence: the store does not answer, so nothing is sent".to_owned(),
            Self::NotReady(why) => format!("Ringfence: {why}"),
            Self::BodyTooLarge => "Ringfence: the body is too large".to_owned(),
            Self::BodyTimeout => "Ringfence: the body did not come in time".to_owned(),
            Self::BodyBroken => "Ringfence: the body broke off".to_owned(),
            Self::ContentType => "Ringfence: this operation does not take a body of this content type".to_owned(),
            Self::Overloaded => "Ringfence: too many requests are in work".to_owned(),
            Self::Unreachable => "Ringfence: Twilio could not be reached; nothing was sent".to_owned(),
            Self::InDoubt => {
                "Ringfence: Twilio did not answer and may have acted; look before you send this again".to_owned()
            }
            Self::UnusableAnswer(why) => format!("Ringfence: Twilio's answer cannot be passed on: {why}"),
        }
    }

    /// The same for what is kept of requests, where nothing may stand that the caller has written.
    pub(crate) fn words(&self) -> String {
        let told = match self {
            // The names of elements are his, and so is what a parser says of his text.
            Self::UnknownTwiml(about) => {
                format!("Ringfence: this TwiML has no price: {}", known_names(about))
            }
            Self::UnreadableTwiml(_) => "Ringfence: this TwiML cannot be read".to_owned(),
            // Whatever a caller calls a field.
            Self::UnknownField(_) => {
                "Ringfence: it is not known what a field of it costs here, and unknown_operations = \"refuse\"".to_owned()
            }
            // Twilio's own word for it, which says nothing.
            Self::Unauthorized => {
                "Ringfence: there was no credential, or none that is good: it is wrong, revoked, expired, or of another account"
                    .to_owned()
            }
            Self::UnknownPrice(why) => format!("Ringfence: {}", without_quoted(why)),
            told => told.message(),
        };
        let told = told.strip_prefix("Ringfence: ").unwrap_or(&told);
        let mut letters = told.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }

    /// When it may be tried again, in seconds; nothing where that would not help.
    fn retry_after(&self) -> Option<u64> {
        let until = match self {
            // Room comes back with the next look at what Twilio says of them.
            Self::OpenOnly { until, .. } => until.unwrap_or(Duration::from_secs(10)),
            Self::DoesNotFit { until: Some(until), .. } | Self::Tripped { until: Some(until), .. } => *until,
            Self::StoreAway | Self::NotReady(_) | Self::Overloaded => Duration::from_secs(1),
            Self::NotReadBack => Duration::from_secs(10),
            _ => return None,
        };
        // Whoever comes then must find room.
        Some(until.as_secs().saturating_add(u64::from(until.subsec_nanos() > 0)).max(1))
    }

    /// The answer.
    pub(crate) fn answer(&self) -> Response<Bytes> {
        let status = self.status();
        let body = shaped(self.code(), &self.message(), &self.more_info(), status);
        let length = body.len();
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Twilio API\""));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A sentence of ours about elements: their names where Twilio has such, and nothing else that stands between `<` and `>`.
fn known_names(sentence: &str) -> String {
    let mut pieces = sentence.split('<');
    let mut told = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (inside, after) = piece.split_once('>').unwrap_or((piece, ""));
        let (name, attribute) = inside.split_once(' ').map_or((inside, ""), |(name, _)| (name, " …"));
        told = format!("{told}<{}{attribute}>{after}", if is_known_element(name) { name } else { "…" });
    }
    told
}

/// A sentence of ours in which a word may be quoted that the caller has chosen: a fee's own name alone is left.
fn without_quoted(sentence: &str) -> String {
    let is_ours = |quoted: &str| Fee::ALL.iter().any(|fee| fee.name() == quoted);
    let pieces = sentence.split('`').enumerate();
    let pieces = pieces.map(|(place, piece)| if place % 2 == 0 || is_ours(piece) { piece } else { "…" });
    pieces.collect::<Vec<_>>().join("`")
}

/// Shorter than any client's patience with a queue of its own.
const SHORT: Duration = Duration::from_hours(1);

impl From<Reason> for Refusal {
    /// What the rules of HTTP and the reading of bodies refuse.
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::BadRequest(rule) => Self::BadRequest(rule),
            Reason::BodyTooLarge => Self::BodyTooLarge,
            Reason::BodyTimeout => Self::BodyTimeout,
            Reason::Overloaded => Self::Overloaded,
            Reason::BodyBroken => Self::BodyBroken,
            other => Self::BadRequest(other.as_str()),
        }
    }
}

/// The body of an answer of Twilio's that refused a request in another way than its JSON.
pub(crate) fn refused_by_twilio(status: StatusCode) -> Bytes {
    shaped(84053, "Ringfence: Twilio refused this, and did not say why in JSON", MORE_INFO, status)
}

/// An error as Twilio's libraries read it.
fn shaped(code: u32, message: &str, more_info: &str, status: StatusCode) -> Bytes {
    let body = json!({ "code": code, "message": message, "more_info": more_info, "status": status.as_u16() });
    Bytes::from(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_twilio_s_shape_and_a_code_of_ours() {
        let refusal = Refusal::OpenOnly { limit: "fifty a day".to_owned(), until: None };
        let answer = refusal.answer();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["retry-after"], "10");
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!((&body["code"], &body["status"]), (&json!(84032), &json!(429)));
        assert!(body["message"].as_str().unwrap().contains("fifty a day"));
    }

    #[test]
    fn wrong_credentials_are_answered_as_twilio_does() {
        let answer = Refusal::Unauthorized.answer();
        assert_eq!(answer.status(), 401);
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body["code"], 20003);
    }

    #[test]
    fn the_log_gets_names_alone_and_no_more_than_fits_a_line() {
        let about = |refusal: Refusal| refusal.about();
        assert_eq!(about(Refusal::UnreadableTwiml("+14155550100".to_owned())), None);
        assert_eq!(about(Refusal::Field("To".to_owned())), None);
        let long = about(Refusal::UnknownTwiml(format!("<a\n{}>", "b".repeat(9_000)))).unwrap();
        assert_eq!((long.len(), long.starts_with("<ab")), (100, true));
    }

    #[test]
    fn what_is_kept_of_a_refusal_has_nothing_that_the_caller_wrote() {
        for (refusal, words) in [
            (Refusal::UnreadableTwiml("the root is <Anna>".to_owned()), "This TwiML cannot be read"),
            (
                Refusal::UnknownPrice("no price is known of verifications over `Anna`".to_owned()),
                "No price is known of verifications over `…`",
            ),
            (
                Refusal::UnknownField("Anna".to_owned()),
                "It is not known what a field of it costs here, and unknown_operations = \"refuse\"",
            ),
            (Refusal::UnknownTwiml("<Anna> in <Dial>".to_owned()), "This TwiML has no price: <…> in <Dial>"),
            (Refusal::UnknownTwiml("<Say anna>".to_owned()), "This TwiML has no price: <Say …>"),
            (Refusal::Tripped { limit: "a day".to_owned(), until: None }, "The limit \"a day\" has tripped"),
        ] {
            assert_eq!(refusal.words(), words);
        }
        let fee = format!("no price is known of `{}` in this currency", Fee::ALL[0].name());
        assert!(Refusal::UnknownPrice(fee).words().contains(Fee::ALL[0].name()));
    }

    #[test]
    fn only_what_passes_soon_asks_to_try_again() {
        let fits = |until| Refusal::DoesNotFit { limit: "l".to_owned(), until };
        let answer = fits(Some(Duration::from_secs(30))).answer();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (429, &HeaderValue::from(30))
        );
        let answer = fits(Some(Duration::from_hours(20))).answer();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (403, &HeaderValue::from(72_000))
        );
        assert_eq!(fits(None).answer().headers().get("retry-after"), None);
    }
}
