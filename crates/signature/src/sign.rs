//! What Twilio would send: for tests, demonstrations, and passing a verified request on under another URL.
//!
//! Written the plain way, apart from the verifier's own buffers, so that each is a second opinion on the other.

use std::{borrow::Cow, fmt};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use crate::{
    AccountSid, Algorithm, Candidate, KeyKind, Keyring, ReceivedUrl, Request, SETTINGS_HEADER,
    SIGNATURE_HEADER, body_hash, canonical::canonical_string, key::Key,
};

const FORM: &str = "application/x-www-form-urlencoded";

/// Signs requests as Twilio does, with an auth token or a SharedKey.
///
/// ```
/// use ringfence_signature::{AccountKeys, Keyring, Policy, Scratch, Signer, Verdict, verify};
///
/// let signed = Signer::token("12345").form("https://h.example/sms", [("From", "+14155550100"), ("Body", "Hi!")]);
/// assert_eq!(signed.body, b"From=%2B14155550100&Body=Hi%21");
///
/// let keyring = Keyring::new([AccountKeys::anonymous().primary("12345")])?;
/// let verdict = verify(&signed.request(), &keyring, &Policy::default(), &mut Scratch::default());
/// assert!(matches!(verdict, Verdict::Allow(_)));
/// # Ok::<(), ringfence_signature::KeyringError>(())
/// ```
pub struct Signer {
    key: Key,
    settings: Option<String>,
}

impl Signer {
    /// Signs with an auth token, by `HMAC_SHA1`.
    pub fn token(token: &str) -> Self {
        Self { key: Key::new(KeyKind::Primary, token.as_bytes(), Algorithm::HmacSha1), settings: None }
    }

    /// Signs with a SharedKey, and names it and its algorithm in the [`SETTINGS_HEADER`].
    pub fn shared_key(id: &str, secret: &str, algorithm: Algorithm) -> Self {
        let settings = format!("key={id},algorithm={}", algorithm.as_str());
        Self { key: Key::new(KeyKind::Shared, secret.as_bytes(), algorithm), settings: Some(settings) }
    }

    /// A form POST with these parameters, in this order, repeated names included.
    pub fn form<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        url: &str,
        params: impl IntoIterator<Item = (N, V)>,
    ) -> Signed {
        self.form_body(url, encode_form(params))
    }

    /// A form POST whose body is encoded already.
    pub fn form_body(&self, url: &str, body: impl Into<Vec<u8>>) -> Signed {
        self.finish("POST", without_fragment(url).into(), Some(FORM), body.into())
    }

    /// A JSON POST: `bodySHA256` is added to the query.
    pub fn json(&self, url: &str, body: impl Into<Vec<u8>>) -> Signed {
        self.body("POST", url, "application/json", body)
    }

    /// Any request whose body is no form: `bodySHA256` is added to the query.
    pub fn body(
        &self,
        method: &'static str,
        url: &str,
        content_type: &'static str,
        body: impl Into<Vec<u8>>,
    ) -> Signed {
        let (url, body) = (without_fragment(url), body.into());
        let separator = match url.find('?') {
            None => "?",
            Some(at) if at + 1 == url.len() || url.ends_with('&') => "",
            Some(_) => "&",
        };
        let url = format!("{url}{separator}bodySHA256={}", body_hash::hex_of(&body));
        self.finish(method, url, Some(content_type), body)
    }

    /// A GET: its parameters are the URL's own.
    pub fn get(&self, url: &str) -> Signed {
        self.finish("GET", without_fragment(url).into(), None, Vec::new())
    }

    /// A WebSocket handshake: `http` and `https` become `ws` and `wss`. The handshake's own headers are the
    /// client's to add.
    pub fn websocket(&self, url: &str) -> Signed {
        let url = without_fragment(url);
        let url = match url.split_once("://") {
            Some(("https", rest)) => format!("wss://{rest}"),
            Some(("http", rest)) => format!("ws://{rest}"),
            _ => url.to_owned(),
        };
        self.finish("GET", url, None, Vec::new())
    }

    /// The signature header for a request as it stands: its URL as received, and its fields if it is a form.
    /// Nothing is added; a body that is no form must have its hash in the URL already.
    pub fn sign_request(&self, request: &Request<'_>) -> String {
        self.sign_candidate(request, Candidate::AS_RECEIVED)
    }

    /// The same, with the URL in another of its forms: what Twilio sends where it drops or adds a port, say.
    pub fn sign_candidate(&self, request: &Request<'_>, candidate: Candidate) -> String {
        let form = if request.is_form() { request.body } else { b"" };
        BASE64.encode(self.key.sign(&canonical_string(&request.url, candidate, form)))
    }

    fn finish(
        &self,
        method: &'static str,
        url: String,
        content_type: Option<&'static str>,
        body: Vec<u8>,
    ) -> Signed {
        let mut signed = Signed { method, url, headers: Vec::new(), body };
        signed.headers.extend(content_type.map(|it| ("content-type", it.to_owned())));
        signed.headers.extend(self.settings.clone().map(|it| (SETTINGS_HEADER, it)));
        let signature = self.sign_request(&signed.request());
        signed.headers.push((SIGNATURE_HEADER, signature));
        signed
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key", &self.key).field("settings", &self.settings).finish()
    }
}

impl Keyring {
    /// Signs a request anew as `account` would: with its primary auth token, or else its first one. `None` where
    /// the account has no auth token here.
    ///
    /// For a gateway whose application verifies by itself under another URL than the public one.
    pub fn sign(&self, account: &AccountSid, request: &Request<'_>) -> Option<String> {
        let keys = &self.find(account)?.keys;
        let token = |kind| keys.iter().find(|key| key.kind == kind);
        let key = token(KeyKind::Primary)
            .or_else(|| token(KeyKind::Secondary))
            .or_else(|| token(KeyKind::Previous))?;
        let form = if request.is_form() { request.body } else { b"" };
        // Of a handshake Twilio signs the URL with `ws` or `wss`, whatever the gateway was told.
        let candidate = Candidate { websocket: request.websocket, ..Candidate::AS_RECEIVED };
        Some(BASE64.encode(key.sign(&canonical_string(&request.url, candidate, form))))
    }
}

/// A request with its signature, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The method.
    pub method: &'static str,
    /// The whole URL, with `bodySHA256` where there is one, without a fragment.
    pub url: String,
    /// Names in lower case: `content-type`, [`SETTINGS_HEADER`] and [`SIGNATURE_HEADER`] where they apply.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
}

impl Signed {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| *it == name).map(|(_, value)| value.as_str())
    }

    /// Path and query, as they stand in the request line.
    pub fn target(&self) -> Cow<'_, str> {
        let target = ReceivedUrl::parse(self.url.as_bytes()).target();
        match target.first() {
            Some(b'/') => String::from_utf8_lossy(target),
            _ => format!("/{}", String::from_utf8_lossy(target)).into(),
        }
    }

    /// The request as its receiver would see it.
    pub fn request(&self) -> Request<'_> {
        Request {
            method: self.method,
            url: ReceivedUrl::parse(self.url.as_bytes()),
            websocket: false,
            content_type: self.header("content-type").map(str::as_bytes),
            body: &self.body,
            signature: self.header(SIGNATURE_HEADER).map(str::as_bytes),
            settings: self.header(SETTINGS_HEADER).map(str::as_bytes),
        }
    }
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

fn encode_form<N: AsRef<[u8]>, V: AsRef<[u8]>>(params: impl IntoIterator<Item = (N, V)>) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in params {
        if !body.is_empty() {
            body.push(b'&');
        }
        encode(name.as_ref(), &mut body);
        body.push(b'=');
        encode(value.as_ref(), &mut body);
    }
    body
}

fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b' ' => out.push(b'+'),
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(byte),
            _ => {
                let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble & 15)];
                out.extend([b'%', digit(byte >> 4), digit(byte)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::AccountKeys;

    use super::*;

    #[test]
    fn the_reference_request_gets_the_reference_signature() {
        let params = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ];
        let signed = Signer::token("12345").form("https://mycompany.com/myapp.php?foo=1&bar=2#rc=2", params);
        assert_eq!(signed.header(SIGNATURE_HEADER), Some("RSOYDt4T1cUTdK1PDd93/VVr8B8="));
        assert_eq!(signed.target(), "/myapp.php?foo=1&bar=2");
    }

    #[test]
    fn a_body_hash_joins_whatever_query_there_is() {
        let url = |url| Signer::token("t").json(url, "{}").url;
        let hash = body_hash::hex_of(b"{}");
        assert_eq!(url("https://h/j"), format!("https://h/j?bodySHA256={hash}"));
        assert_eq!(url("https://h/j?"), format!("https://h/j?bodySHA256={hash}"));
        assert_eq!(url("https://h/j?a=1"), format!("https://h/j?a=1&bodySHA256={hash}"));
        assert_eq!(url("https://h/j?a=1&"), format!("https://h/j?a=1&bodySHA256={hash}"));
    }

    #[test]
    fn a_handshake_is_signed_with_the_websocket_scheme() {
        assert_eq!(Signer::token("t").websocket("https://h/media").url, "wss://h/media");
        assert_eq!(Signer::token("t").websocket("http://h/media").url, "ws://h/media");
        assert_eq!(Signer::token("t").websocket("ws://h/media").url, "ws://h/media");
    }

    #[test]
    fn a_form_is_written_as_browsers_write_it() {
        let signed = Signer::token("t").form("https://h/", [("a b", "*-._~"), ("\u{e9}", "0Az\u{7f}")]);
        assert_eq!(String::from_utf8_lossy(&signed.body), "a+b=*-._%7E&%C3%A9=0Az%7F");
    }

    #[test]
    fn an_account_signs_anew_with_its_first_token_and_with_no_shared_key() {
        let sid: AccountSid = "AC00000000000000000000000000000001".parse().unwrap();
        let (no_primary, unknown) =
            ("AC00000000000000000000000000000002", "AC00000000000000000000000000000003");
        let keyring = Keyring::new([
            AccountKeys::new(sid).previous("c").secondary("b").primary("a"),
            AccountKeys::new(no_primary.parse().unwrap()).previous("c").secondary("b"),
            AccountKeys::new(unknown.parse().unwrap()).shared_key("k", "s", Algorithm::HmacSha1),
        ])
        .unwrap();
        let form = Signer::token("-").form("https://h/sms", [("Body", "x")]);
        let sign = |sid: &str, request: &Request<'_>| keyring.sign(&sid.parse().unwrap(), request);
        let by = |token: &str, request: &Request<'_>| Some(Signer::token(token).sign_request(request));
        assert_eq!(sign(sid.as_str(), &form.request()), by("a", &form.request()));
        assert_eq!(sign(no_primary, &form.request()), by("b", &form.request()));
        assert_eq!(sign(unknown, &form.request()), None);
        let handshake = Signer::token("-").get("https://h/media");
        let handshake = Request { websocket: true, ..handshake.request() };
        let as_wss = Signer::token("a").get("wss://h/media");
        assert_eq!(sign(sid.as_str(), &handshake).as_deref(), as_wss.header(SIGNATURE_HEADER));
    }

    #[test]
    fn a_signer_prints_no_secret() {
        let printed = format!("{:?}", Signer::shared_key("k1", "swordfish", Algorithm::HmacSha256));
        assert_eq!(
            printed,
            r#"Signer { key: shared(HMAC_SHA256), settings: Some("key=k1,algorithm=HMAC_SHA256") }"#
        );
    }

    #[test]
    fn a_shared_key_names_itself_and_its_algorithm() {
        let signed = Signer::shared_key("k1", "secret", Algorithm::HmacSha256).get("https://h/");
        assert_eq!(signed.header(SETTINGS_HEADER), Some("key=k1,algorithm=HMAC_SHA256"));
        assert_eq!(signed.header(SIGNATURE_HEADER).map(str::len), Some(44));
    }
}
