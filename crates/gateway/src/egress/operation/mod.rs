//! Which operation of Twilio's API a request is, and what that means: priced, free, or never passed on.
//!
//! The one idea: what is not in the table is unknown, and what is nearly in the table (another case, another extension,
//! another version of the API) is refused, since Twilio might read it as what it resembles. The tables are Twilio's own
//! OpenAPI documents with a class beside each row; a test holds them against all documents that the repository has.

mod api;
mod products;

use std::collections::HashSet;
use std::sync::LazyLock;

use http::Method;
use percent_encoding::percent_decode_str;
use ringfence_store::EgressArea;

use super::target::Target;

pub(crate) use self::products::RECORDING_OF_TRUNK;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Nothing changes, nothing is billed.
    Read,
    /// As `Read`, and the answer is a file: media, a recording.
    Media,
    /// Something changes, nothing is billed for it.
    Write,
    /// Something is billed, and the price book knows what.
    Priced(Priced),
    /// Something is billed, and the price book does not know it.
    Unpriced,
    /// Returns a credential, makes one, or opens a way round the egress: never passed on.
    Secret,
}

/// An operation with a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Priced {
    MessageCreate,
    CallCreate,
    CallUpdate,
    ParticipantCreate,
    VerificationStart,
    VerificationCheck,
    LookupFetch,
    NumberPurchase,
}

impl Priced {
    pub(crate) const ALL: [Self; 8] = [
        Self::MessageCreate,
        Self::CallCreate,
        Self::CallUpdate,
        Self::ParticipantCreate,
        Self::VerificationStart,
        Self::VerificationCheck,
        Self::LookupFetch,
        Self::NumberPurchase,
    ];

    /// Whether TwiML in it is run, and priced.
    pub(crate) const fn runs_own_twiml(self) -> bool {
        matches!(self, Self::CallCreate | Self::ParticipantCreate | Self::CallUpdate)
    }

    /// Its name in the store, in logs and in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MessageCreate => "messages.create",
            Self::CallCreate => "calls.create",
            Self::CallUpdate => "calls.update",
            Self::ParticipantCreate => "participants.create",
            Self::VerificationStart => "verifications.create",
            Self::VerificationCheck => "verification_checks.create",
            Self::LookupFetch => "lookups.fetch",
            Self::NumberPurchase => "numbers.create",
        }
    }

    /// With what the SID of what it makes begins; nothing where it makes nothing that is billed by its SID.
    pub(crate) const fn makes(self) -> Option<&'static [&'static str]> {
        match self {
            Self::MessageCreate => Some(&["SM", "MM"]),
            Self::CallCreate | Self::CallUpdate | Self::ParticipantCreate => Some(&["CA"]),
            Self::VerificationStart | Self::VerificationCheck => Some(&["VE"]),
            Self::NumberPurchase => Some(&["PN"]),
            Self::LookupFetch => None,
        }
    }
}

/// One operation of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) class: Class,
    pub(crate) area: EgressArea,
    /// Its path as the documents have it, for metrics.
    pub(crate) path: &'static str,
}

impl Operation {
    /// Its name for people and metrics: of what is priced its own, of others what they do.
    pub(crate) fn name(&self) -> &'static str {
        match self.class {
            Class::Priced(priced) => priced.name(),
            Class::Read => "read",
            Class::Media => "media",
            Class::Write => "write",
            Class::Unpriced => "unpriced",
            Class::Secret => "secret",
        }
    }

    /// Whether it is about the record of one call.
    pub(crate) fn is_record_of_call(self) -> bool {
        self.path == "/2010-04-01/Accounts/{AC}/Calls/{sid}.json"
    }
}

/// What a method and a path are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Known(Operation),
    /// A known path or method, written another way.
    OtherSpelling,
    Unknown,
}

/// One path of a table: the methods in the order of [`METHODS`], each with its class.
pub(crate) struct Row {
    /// The label of the host.
    pub(crate) product: &'static str,
    /// `{AC}` is the account, `{sid}` any SID, `{}` anything that is one segment.
    pub(crate) path: &'static str,
    pub(crate) area: EgressArea,
    pub(crate) methods: &'static [(Verb, Class)],
}

/// The methods that Twilio's API has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn of(method: &Method) -> Option<Self> {
        Some(match *method {
            Method::GET | Method::HEAD => Self::Get,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => return None,
        })
    }
}

/// Every row.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    api::ROWS.iter().chain(products::ROWS)
}

/// Finds the operation of a request.
pub(crate) fn find(method: &Method, target: &Target<'_>) -> Found {
    let Some(verb) = Verb::of(method) else { return Found::OtherSpelling };
    let product = target.host.product;
    if target.host.is_of_credentials {
        let operation = Operation { class: Class::Secret, area: EgressArea::Unknown, path: "credentials" };
        return Found::Known(operation);
    }
    let mut is_near = false;
    let of_product = || rows().filter(|row| row.product == product);
    for row in of_product().filter(|row| takes(row.path, target)) {
        let class = row.methods.iter().find(|(known, _)| *known == verb).map(|(_, class)| *class);
        match class {
            // Twilio bills a lookup whatever becomes of the answer.
            Some(Class::Priced(_)) if *method == Method::HEAD => return Found::OtherSpelling,
            Some(class) => return Found::Known(Operation { class, area: row.area, path: row.path }),
            // Another row may have it.
            None => is_near = true,
        }
    }
    // What is in the table is most of what comes, and is not compared in other spellings.
    is_near = is_near || of_product().any(|row| resembles(row.path, target));
    // All versions of this product but one are past; what they do is not written anywhere any more.
    let is_old = product == "api" && target.segments().next() != Some("2010-04-01");
    if is_near || is_old { Found::OtherSpelling } else { Found::Unknown }
}

/// Operations whose documents say that they take JSON: host and path.
const TAKE_JSON: [(&str, &str); 7] = [
    ("lookups", "/v2/batch/query"),
    ("lookups", "/v2/RateLimits/Fields/{}/Bucket/{}"),
    ("lookups", "/v2/PhoneNumbers/{}/Overrides/{}"),
    ("verify", "/v2/Services/{sid}/Passkeys/ApproveChallenge"),
    ("verify", "/v2/Services/{sid}/Passkeys/Challenges"),
    ("verify", "/v2/Services/{sid}/Passkeys/Factors"),
    ("verify", "/v2/Services/{sid}/Passkeys/VerifyFactor"),
];

/// Whether a request may have a body of JSON: where the documents say so; and where nothing is known, of which the operator
/// has said that it passes.
pub(crate) fn takes_json(operation: Option<Operation>, target: &Target<'_>) -> bool {
    operation.is_none_or(|operation| TAKE_JSON.contains(&(target.host.product, operation.path)))
}

/// Resources of products that have no table, whose names may be told of a path.
const OTHER_RESOURCES: [&str; 47] = [
    "Activities",
    "Assets",
    "Assistants",
    "Builds",
    "Channels",
    "Commands",
    "Configuration",
    "Content",
    "Conversations",
    "Credentials",
    "Deployments",
    "Devices",
    "Documents",
    "Environments",
    "Executions",
    "Fleets",
    "Flows",
    "Functions",
    "Interactions",
    "Invites",
    "Items",
    "Jobs",
    "Lists",
    "Maps",
    "Members",
    "Networks",
    "Notifications",
    "ParticipantConversations",
    "Participants",
    "Permissions",
    "Reservations",
    "Roles",
    "Rooms",
    "Sessions",
    "Sims",
    "Sinks",
    "SmsCommands",
    "Steps",
    "Streams",
    "Subscriptions",
    "TaskQueues",
    "Tasks",
    "Users",
    "Variables",
    "Workers",
    "Workflows",
    "Workspaces",
];

/// Whether a piece of a path, without its extension, is a name of Twilio's own, in whatever case.
pub(crate) fn is_word_of_paths(piece: &str) -> bool {
    static WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let of_rows = rows().flat_map(|row| segments(row.path)).filter(|it| !it.starts_with('{'));
        let words = of_rows.map(|it| it.split('.').next().unwrap_or(it)).chain(OTHER_RESOURCES);
        words.map(str::to_ascii_lowercase).collect()
    });
    WORDS.contains(&piece.to_ascii_lowercase())
}

/// The account that a path names.
pub(crate) fn account_segment<'a>(target: &Target<'a>) -> Option<&'a str> {
    if target.host.product != "api" {
        return None;
    }
    let mut segments = target.segments().skip(1);
    (segments.next() == Some("Accounts")).then(|| segments.next()).flatten().map(without_json)
}

fn without_json(segment: &str) -> &str {
    segment.strip_suffix(".json").unwrap_or(segment)
}

/// Whether a path is this template, byte for byte but for its parameters.
fn takes(template: &str, target: &Target<'_>) -> bool {
    let mut wanted = segments(template);
    let mut sent = target.segments();
    loop {
        match (wanted.next(), sent.next()) {
            (None, None) => return true,
            (Some(wanted), Some(sent)) if is_segment(wanted, sent) => {}
            _ => return false,
        }
    }
}

fn segments(template: &str) -> impl Iterator<Item = &str> {
    template.strip_prefix('/').unwrap_or(template).split('/')
}

fn is_segment(wanted: &str, sent: &str) -> bool {
    let Some(rest) = wanted.strip_prefix('{') else { return wanted == sent };
    let Some((parameter, extension)) = rest.split_once('}') else { return false };
    let Some(sent) = sent.strip_suffix(extension) else { return false };
    match parameter {
        "AC" => sent.starts_with("AC") && is_sid(sent),
        "sid" => is_sid(sent),
        _ => !sent.is_empty(),
    }
}

/// Two capital letters and 32 digits in lower case: Twilio's own spelling, and the only one.
fn is_sid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 34
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a path could be taken for this template by somebody who is less strict: in case, escapes, extensions.
fn resembles(template: &str, target: &Target<'_>) -> bool {
    let mut wanted = segments(template).map(plain);
    let mut sent = target.segments().map(plain);
    loop {
        match (wanted.next(), sent.next()) {
            (None, None) => return true,
            (Some(wanted), Some(sent)) => {
                let is_alike = match wanted.as_str() {
                    "{ac}" | "{sid}" => {
                        sent.len() == 34 && sent.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    }
                    wanted if wanted.starts_with('{') => true,
                    wanted => wanted == sent,
                };
                if !is_alike {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// A segment decoded, in lower case, without what follows its first dot and without what might be trimmed.
fn plain(segment: &str) -> String {
    let decoded = percent_decode_str(segment).decode_utf8_lossy();
    let lower = decoded.trim().to_lowercase();
    lower.split('.').next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
