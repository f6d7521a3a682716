//! From the console's sign-in to a protected host: whoever is signed in gets a code for that host and goes there with it.
//!
//! It is a GET that writes, unlike every other: what it writes is a code that is worth nothing outside the browser that
//! began at the host, and whoever is sent here by a stranger only arrives where they may go anyway.

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, SET_COOKIE};
use http::{HeaderValue, Response};
use ringfence_control::people::{Entry, ProtectedHost, Refused};
use ringfence_second_factor::device::SecretHash;
use ringfence_store::{Stage, Where};

use super::{Door, kept, with_to};
use crate::failed::Failed;
use crate::form::Fields;
use crate::{guard, words};

/// Its path.
const PATH: &str = "/hand-over";

pub(crate) async fn hand_over(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let query = &door.query;
    let hosts = &door.people.rules().hosts;
    let (Some(host), Some(began)) = (hosts.find(query.get("host")), hash(query.get("began"))) else {
        return Err(Failed::NotFound);
    };
    let to = Some(query.get("to")).filter(|to| super::is_own_page(to)).unwrap_or("/");
    let own = || {
        let value = |name: &str| words::query_value(query.get(name));
        format!("{PATH}?host={}&began={}&to={}", value("host"), value("began"), words::query_value(to))
    };
    let Some((_, session)) = door.session.as_ref().filter(|(_, session)| session.stage == Stage::Inside)
    else {
        return Ok(words::redirect(&with_to("/sign-in", &own())));
    };
    let is_https = door.caller.is_https;
    let known = door.known();
    match door.people.hand_over(session, host, &began, &known, &door.visitor()).await {
        Ok(Entry::Code { code, device }) => {
            let (name, code, to) = (&host.host, code.expose(), words::query_value(to));
            let url = format!("https://{name}/.ringfence/enter?code={code}&to={to}");
            let mut response = words::redirect(&url);
            let trust_for = door.people.rules().trust_for;
            if let Some(device) = device.and_then(|device| kept::set(&device, trust_for, is_https)) {
                response.headers_mut().append(SET_COOKIE, device);
            }
            Ok(response)
        }
        Ok(Entry::Ask) => Ok(words::redirect(&with_to("/second-factor", &own()))),
        Err(Refused::Over) => Ok(words::redirect(&with_to("/sign-in", &own()))),
        Err(Refused::Forbidden) => {
            let (host, login) = (host.host.clone(), session.person.login.clone());
            Err(Failed::NoEntry { host, login, on_the_way_to: own() })
        }
        Err(refused) => Err(Failed::of_people(refused)),
    }
}

/// The hash that 64 digits spell.
fn hash(text: &str) -> Option<SecretHash> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    let bytes: [u8; 32] = bytes.filter(|_| rest.is_empty())?.try_into().ok()?;
    Some(SecretHash::from_bytes(bytes))
}

impl Door<'_> {
    /// The protected host that somebody signs in for, if they come from one.
    pub(super) fn bound_for(&self) -> Option<&ProtectedHost> {
        let to = self.to();
        let query = to.strip_prefix(PATH)?.strip_prefix('?')?;
        self.people.rules().hosts.find(Fields::of(query.as_bytes()).get("host"))
    }

    /// Its name.
    pub(super) fn bound_for_name(&self) -> Option<String> {
        self.bound_for().map(|host| host.host.clone())
    }

    /// The protected host that somebody signs in for and may enter. Anybody writes a link to any host, and what that host
    /// demands must not be asked of whoever gets no further there.
    pub(super) fn entering(&self) -> Option<&ProtectedHost> {
        let (_, session) = self.session.as_ref()?;
        self.bound_for().filter(|host| host.admits(&session.person))
    }

    /// The place whose demands count besides those of where the session is.
    pub(super) fn bound_for_place(&self, here: Where) -> Where {
        self.entering().map(|host| host.place).or_else(|| self.going_to()).unwrap_or(here)
    }

    /// Lets the forms of a page lead to the host that it is for: browsers hold `form-action` against every redirect that
    /// follows a form (CSP level 3, 6.1.2), and the last one leaves the console.
    pub(super) fn leading_on(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        if let Some(host) = self.bound_for()
            && let Ok(policy) = HeaderValue::from_str(&guard::policy_leading_to(&host.host))
        {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}
