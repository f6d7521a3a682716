//! What was typed into a form that could not be taken, since whoever sent it has to sign in first, or to show the second
//! factor again. It must not be lost for that.
//!
//! The browser keeps it for a quarter of an hour, and the page that has the form shows it once more to whoever comes back
//! there. Coming back changes nothing: they look at it, and send it. It is the one's who typed it: where somebody else
//! signs in at that browser, it is forgotten with the first page. And it is for the account that they looked at: the form
//! of another one stays empty, and says where what was typed is. Passwords are not kept, nor is what would not fit into a
//! cookie (RFC 6265bis, 5.6: 4,096 bytes with its name).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use ringfence_store::Where;

use crate::cookies;
use crate::form::Fields;
use crate::routes;
use crate::signed_in;
use crate::words;

const UNDER_TLS: &str = "__Host-ringfence-typed";
const ON_LOOPBACK: &str = "ringfence-typed";
const SECONDS: u32 = 900;
const LONGEST: usize = 3_800;

/// Forms whose fields are secrets.
const NOT_KEPT: [&str; 1] = ["/security/password"];

/// Fields that say what a form is about: its page is found by them.
const ABOUT: [&str; 5] = ["limit", "account", "prefix", "application", "passkey"];

/// Why a form is shown again with what was typed into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// They came back from the door.
    Back,
    /// It was sent from a page of another session.
    Stale,
}

impl Again {
    /// What the page says of it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Back => "What you typed is here again. Nothing was changed yet: look at it, and send it.",
            Self::Stale => {
                "This form was out of date: you have signed in again since, here or in another tab. Nothing was \
                 changed. What you typed is here again: look at it, and send it."
            }
        }
    }
}

/// The path of the page that has the form which is sent to this one.
pub(crate) fn page_of(path: &str) -> &str {
    match path.strip_suffix("/role") {
        Some(page) if page.starts_with("/people/") => page,
        _ => path,
    }
}

/// Leads a request to a page of the door, with the way back: of a form, to the page that has it. What was typed is kept for
/// the person whose session it was sent in, where that is known.
pub(crate) fn led_to(
    door: &str,
    request: &Request<bytes::Bytes>,
    is_https: bool,
    person: Option<&str>,
) -> Response<bytes::Bytes> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    if request.method() != Method::POST {
        return words::redirect(&with_to(door, target));
    }
    let page = page_of(request.uri().path());
    let form = Fields::of_form(request).unwrap_or_default();
    // What ends a session, say, has no page of its own; and what no page of ours sent leads to none.
    if form.is_empty() || routes::find(&Method::GET, page).is_err() {
        return words::redirect(door);
    }
    let mut response = words::redirect(&with_to(door, &back(page, &form)));
    if let Some(cookie) = person.and_then(|person| kept(person, page, &form, is_https)) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// The page with what its form is about.
fn back(page: &str, form: &Fields) -> String {
    let about: Vec<String> = ABOUT
        .iter()
        .filter_map(|name| Some(format!("{name}={}", words::query_value(form.filled(name)?))))
        .collect();
    if about.is_empty() { page.to_owned() } else { format!("{page}?{}", about.join("&")) }
}

fn with_to(door: &str, target: &str) -> String {
    if target == "/" { door.to_owned() } else { format!("{door}?to={}", words::query_value(target)) }
}

/// Has the browser keep what was typed, where there is anything, for what its page looked at.
pub(crate) fn kept(person: &str, page: &str, form: &Fields, is_https: bool) -> Option<HeaderValue> {
    let place = signed_in::place_of(form)?.text();
    let fields: Vec<_> = form.pairs().filter(|(name, _)| *name != signed_in::FIELD).collect();
    if fields.is_empty() || NOT_KEPT.contains(&page) {
        return None;
    }
    let text = BASE64.encode(serde_json::to_string(&(person, place, page, fields)).ok()?);
    let secure = if is_https { "; Secure" } else { "" };
    let text =
        format!("{}={text}; Path=/; HttpOnly; SameSite=Lax; Max-Age={SECONDS}{secure}", name(is_https));
    let mut value = HeaderValue::from_str(&text).ok().filter(|value| value.len() <= LONGEST)?;
    value.set_sensitive(true);
    Some(value)
}

/// What the browser keeps of what was typed.
#[derive(Debug)]
pub(crate) struct Kept {
    person: String,
    place: Where,
    page: String,
    fields: Vec<(String, String)>,
}

impl Kept {
    /// What a request brings with it.
    pub(crate) fn sent(headers: &HeaderMap, is_https: bool) -> Option<Self> {
        let text = BASE64.decode(cookies::the_one(headers, name(is_https))?).ok()?;
        let (person, place, page, fields): (_, String, _, _) = serde_json::from_slice(&text).ok()?;
        Some(Self { person, place: Where::from_text(&place)?, page, fields })
    }

    /// Whether this person typed it.
    pub(crate) fn is_of(&self, person: &str) -> bool {
        self.person == person
    }

    /// What was typed into the form of this page by whoever looks at this; or what they looked at, where that was
    /// something else.
    pub(crate) fn of_page(self, page: &str, place: Where) -> Option<Result<Fields, Where>> {
        let here = self.place == place;
        (self.page == page)
            .then(|| if here { Ok(self.fields.into_iter().collect()) } else { Err(self.place) })
    }

    /// The page that has its form, for whoever comes to look at this.
    pub(crate) fn page_there(self, place: Where) -> Option<String> {
        let is_page = routes::find(&Method::GET, &self.page).is_ok();
        (self.place == place && is_page).then(|| back(&self.page, &self.fields.into_iter().collect()))
    }
}

/// Has the browser forget it.
pub(crate) fn forget(is_https: bool) -> HeaderValue {
    HeaderValue::from_static(if is_https {
        "__Host-ringfence-typed=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
    } else {
        "ringfence-typed=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    })
}

const fn name(is_https: bool) -> &'static str {
    if is_https { UNDER_TLS } else { ON_LOOPBACK }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    fn headers(cookies: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(cookies).expect("a value"));
        headers
    }

    fn form(reason: &str) -> Fields {
        [("csrf", "0123.*"), ("reason", reason), ("operation", "calls"), ("operation", "lookups")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect()
    }

    #[test]
    fn what_was_typed_comes_back_to_its_own_page_and_no_other() {
        let reason = "it calls at night; \"très\" = 🦊\n";
        for is_https in [true, false] {
            let kept = kept("ps_1", "/keys/new", &form(reason), is_https).expect("a cookie");
            let text = kept.to_str().expect("a text");
            let (pair, attributes) = text.split_once("; ").expect("attributes");
            assert!(attributes.starts_with("Path=/; HttpOnly; SameSite=Lax"), "{attributes}");
            assert_eq!(attributes.contains("Secure"), is_https);
            let headers = headers(&format!("a=b; {pair}"));
            let sent = |is_https| Kept::sent(&headers, is_https);
            assert!(sent(is_https).expect("it is kept").is_of("ps_1"));
            for other in ["ps_10", "ps_", "", "PS_1"] {
                assert!(!sent(is_https).expect("it is kept").is_of(other), "{other}");
            }
            let of_page = |page, place| sent(is_https).and_then(|kept| kept.of_page(page, place));
            let back = of_page("/keys/new", Where::Everywhere).and_then(Result::ok).expect("what was typed");
            assert_eq!(back.raw("reason"), reason);
            assert_eq!(back.all("operation").collect::<Vec<_>>(), ["calls", "lookups"]);
            assert!(!back.has("csrf"), "it is of another session");
            assert!(of_page("/keys", Where::Everywhere).is_none());
            // The form of another account is another form.
            let other = Where::Account(ringfence_model::Sid::new(*b"AC", 1));
            let elsewhere = of_page("/keys/new", other).expect("it is kept").expect_err("it is for another");
            assert_eq!(elsewhere, Where::Everywhere);
            assert!(sent(is_https).and_then(|kept| kept.page_there(other)).is_none());
            let there = sent(is_https).and_then(|kept| kept.page_there(Where::Everywhere));
            assert_eq!(there.as_deref(), Some("/keys/new"));
            assert!(sent(!is_https).is_none());
            let forgotten = forget(is_https);
            assert!(forgotten.to_str().expect("a text").starts_with(&format!("{}=;", name(is_https))));
        }
    }

    #[test]
    fn a_secret_nothing_and_too_much_are_not_kept() {
        assert!(kept("ps_1", "/security/password", &form("x"), true).is_none());
        assert!(kept("ps_1", "/keys/new", &Fields::default(), true).is_none());
        let of_no_page: Fields = [("reason".to_owned(), "x".to_owned())].into_iter().collect();
        assert!(kept("ps_1", "/keys/new", &of_no_page, true).is_none(), "nobody knows what it was for");
        assert!(kept("ps_1", "/keys/new", &form(&"あ".repeat(500)), true).is_some(), "the longest reason");
        assert!(kept("ps_1", "/keys/new", &form(&"a".repeat(4_000)), true).is_none());
    }

    #[test]
    fn what_is_no_such_cookie_is_nothing() {
        for value in [
            "",
            "x",
            "e30",
            "WyIvIixbXV0",
            &BASE64.encode("[\"ps_1\",\"x\",\"/\",[]]"),
            &BASE64.encode("[1,2"),
        ] {
            assert!(Kept::sent(&headers(&format!("ringfence-typed={value}")), false).is_none(), "{value}");
        }
    }

    #[test]
    fn a_role_is_given_on_the_page_of_its_person() {
        assert_eq!(page_of("/people/ps_1/role"), "/people/ps_1");
        for own in ["/people/ps_1/lock", "/people", "/role", "/keys/new"] {
            assert_eq!(page_of(own), own);
        }
    }
}
