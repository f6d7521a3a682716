//! TwiML that a request would have Twilio fetch: it must come from a route of the gate.
//!
//! A credential that is stolen could make a call for a cent whose `Url` leads to somebody else's TwiML, which dials
//! wherever it likes. What a route of the gate answers comes from the operator's own application.

use http::{Method, Uri};
use ringfence_twilio::wire::Form;

use super::form::{is_spelled, text};
use super::operation::Operation;
use super::refusal::Refusal;
use super::target::Target;
use crate::route_table::{self, Found};
use crate::settings::{Mode, Upstream};
use crate::snapshot::ActiveRoute;

/// Fields whose URL Twilio asks for TwiML, in whatever operation they are. Status callbacks are not among them: what
/// they answer is not carried out.
const RUN_TWIML: &[&str] = &[
    "Url",
    "FallbackUrl",
    "VoiceUrl",
    "VoiceFallbackUrl",
    "SmsUrl",
    "SmsFallbackUrl",
    "InboundRequestUrl",
    "WaitUrl",
    "AnnounceUrl",
    "HoldUrl",
];

/// Fields whose SID has URLs of its own at Twilio, which nobody here has seen.
const RUN_ELSEWHERE: &[&str] = &["ApplicationSid", "VoiceApplicationSid", "SmsApplicationSid", "TrunkSid"];

/// Whether fields of this product may have Twilio run TwiML. Elsewhere the same names mean other things: what a shortened
/// link falls back to, say.
pub(crate) fn runs_twiml(target: &Target<'_>) -> bool {
    match target.host.product {
        "messaging" => target.path.starts_with("/v1/Services"),
        "api" | "voice" => true,
        _ => false,
    }
}

/// The first field that would have Twilio run TwiML from elsewhere. `is_message` says that the request makes a message,
/// whose `ApplicationSid` is asked for nothing but status callbacks.
pub(crate) fn check(form: &Form, is_message: bool, routes: &[ActiveRoute]) -> Result<(), Refusal> {
    for name in RUN_TWIML {
        if let Some(url) = text(form, name)
            && route_of(url, &method(form, name)?, routes).is_none()
        {
            return Err(Refusal::ForeignTwiml((*name).to_owned()));
        }
    }
    let elsewhere = RUN_ELSEWHERE.iter().find(|name| !is_message && text(form, name).is_some());
    // An application may be called, too: `app:AP…`.
    let is_called = !is_message && text(form, "To").is_some_and(is_application);
    match elsewhere.or_else(|| is_called.then_some(&"To")) {
        Some(name) => Err(Refusal::ForeignTwiml((*name).to_owned())),
        None => Ok(()),
    }
}

/// The same of JSON that an unknown operation is asked for with, whatever spelling its names have: no product that runs TwiML
/// is known to take any, so which URL is asked in which way is not known either.
pub(crate) fn check_json(texts: &Form) -> Result<(), Refusal> {
    let known = || RUN_TWIML.iter().chain(RUN_ELSEWHERE).chain(&["Twiml"]);
    let named = texts.pairs().filter(|(_, value)| !value.is_empty());
    let mut found = named.filter_map(|(name, _)| known().find(|known| is_spelled(name, known)));
    found.next().map_or(Ok(()), |name| Err(Refusal::ForeignTwiml((*name).to_owned())))
}

/// What leads calls that come in over a trunk past the gate, as `TrunkSid` of a number does; and the field that says where to.
const LEAD_AWAY: [(&str, &str); 3] = [
    ("/v1/Trunks/{sid}/OriginationUrls", "SipUrl"),
    ("/v1/Trunks/{sid}/OriginationUrls/{sid}", "SipUrl"),
    ("/v1/Trunks/{sid}/PhoneNumbers", "PhoneNumberSid"),
];

/// Whether a request gives a trunk no numbers, nor a place to which their calls go.
pub(crate) fn check_trunk(operation: Option<Operation>) -> Result<(), Refusal> {
    let path = operation.map_or("", |operation| operation.path);
    let leads = LEAD_AWAY.iter().find(|(known, _)| *known == path);
    leads.map_or(Ok(()), |(_, field)| Err(Refusal::ForeignTwiml((*field).to_owned())))
}

/// Whether whoever is called is an application, however it is spelled.
fn is_application(to: &str) -> bool {
    to.trim_start().split_once(':').is_some_and(|(scheme, _)| scheme.trim_end().eq_ignore_ascii_case("app"))
}

/// With which method Twilio will ask: `Method` goes with `Url`, `VoiceMethod` with `VoiceUrl`. Where none is said it is POST,
/// but GET for what somebody hears who is put on hold
/// (<https://www.twilio.com/docs/voice/api/conference-participant-resource>).
fn method(form: &Form, name: &str) -> Result<Method, Refusal> {
    let stem = name.strip_suffix("RequestUrl").or(name.strip_suffix("Url")).unwrap_or(name);
    let beside = format!("{stem}Method");
    match text(form, &beside) {
        Some(method) if method.eq_ignore_ascii_case("GET") => Ok(Method::GET),
        Some(method) if method.eq_ignore_ascii_case("POST") => Ok(Method::POST),
        Some(_) => Err(Refusal::Field(format!("{beside} is neither GET nor POST"))),
        None if name == "HoldUrl" => Ok(Method::GET),
        None => Ok(Method::POST),
    }
}

/// The route of the gate to which a URL leads, whose application answers. The fragment, in which Twilio takes settings
/// of its connection, is not part of what is asked.
pub(crate) fn route_of<'r>(url: &str, method: &Method, routes: &'r [ActiveRoute]) -> Option<&'r ActiveRoute> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`');
    if !url.bytes().all(is_plain) {
        return None;
    }
    let uri = url.parse::<Uri>().ok()?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return None };
    // User and password may come before the host, with an `@` between: the last one ends them for every reader only
    // where there is one.
    let authority = authority.as_str();
    if authority.bytes().filter(|byte| *byte == b'@').count() > 1 {
        return None;
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let has_dots = uri.path().split('/').any(|segment| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    });
    if has_dots {
        return None;
    }
    routes.iter().find(|active| {
        let public = &active.route.public_url;
        let authority = public.authority();
        let shown = public.to_string();
        // What the public URL has before the path that reaches the gate.
        let prefix = shown.get(public.scheme().len() + "://".len() + authority.len()..).unwrap_or_default();
        let answers =
            matches!(active.route.upstream, Upstream::Application(_)) && active.route.mode == Mode::Enforce;
        answers
            && public.scheme().eq_ignore_ascii_case(scheme)
            && is_same_authority(scheme, &authority, host)
            && target.strip_prefix(prefix).is_some_and(|target| {
                let found = route_table::find(routes, host, target, method);
                matches!(found, Found::Route(found) if found.index == active.index)
            })
    })
}

/// Names have no case, and the port of the scheme may be left out.
fn is_same_authority(scheme: &str, one: &str, other: &str) -> bool {
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let bare = |text: &str| {
        text.to_ascii_lowercase().strip_suffix(port).map_or(text.to_ascii_lowercase(), str::to_owned)
    };
    bare(one) == bare(other)
}
