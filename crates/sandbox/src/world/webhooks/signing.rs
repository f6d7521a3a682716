//! From a webhook to the bytes that leave: credentials and fragment taken off the URL, parameters as a form or in
//! the query, and the signature of the account's key.
//!
//! Twilio signs the URL without credentials and fragment. Over https its requests for TwiML leave the port out of
//! what they sign, and status callbacks leave it in; verifiers try both.

use ringfence_model::Sid;
use ringfence_signature::Signer;

use super::{Delivery, Forgery, Method, Then, cookies};
use crate::world::{World, shared_keys};

/// The header with the signature.
const SIGNATURE: &str = "x-twilio-signature";

/// A request that is ready to leave.
#[derive(Debug, Clone)]
pub(crate) struct SignedRequest {
    pub(crate) method: Method,
    /// Where it goes: without credentials and fragment, with the parameters of a GET.
    pub(crate) url: String,
    /// The URL as it was signed.
    pub(crate) signed_url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// `user:password` of the URL, sent after a 401 only.
    pub(crate) credentials: Option<(String, String)>,
}

impl SignedRequest {
    /// The signature that it carries.
    pub(crate) fn signature(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| *name == SIGNATURE).map(|(_, value)| value.as_str())
    }

    /// What the signature is of: the URL, then each parameter of the form, sorted by name, name and value without
    /// anything between. Of a forged request this is what a verifier computes, not what was signed.
    pub(crate) fn string_to_sign(&self) -> String {
        let mut params: Vec<_> = form_urlencoded::parse(&self.body).collect();
        params.sort();
        params.dedup();
        let mut text = self.signed_url.clone();
        for (name, value) in params {
            text.push_str(&name);
            text.push_str(&value);
        }
        text
    }
}

/// Makes the request of a delivery, forged where that is wanted.
pub(super) fn sign(world: &World, delivery: &Delivery) -> SignedRequest {
    let webhook = &delivery.webhook;
    let target = delivery.target();
    // Whoever follows a redirect with a GET asks for what stands there and nothing more, as a browser does.
    let params: Vec<(&str, &str)> = match (&delivery.moved_to, target.method) {
        (Some(_), Method::Get) => Vec::new(),
        _ => delivery.params().collect(),
    };
    let (bare, credentials) = take_credentials(target.url.split('#').next().unwrap_or_default());
    let url = match target.method {
        Method::Get => with_query(&bare, &params),
        Method::Post => bare.clone(),
    };
    let drop_port = !matches!(webhook.then, Then::Nothing | Then::Trigger(_));
    let signed_url = if drop_port { without_https_port(&url) } else { url.clone() };
    let signer = match delivery.forgery {
        Some(Forgery::WrongToken) => Signer::token("a key that is not the account's"),
        Some(Forgery::OtherAccount(other)) => signer_for(world, other, &bare),
        _ => signer_for(world, webhook.account, &bare),
    };
    let signed = match target.method {
        Method::Get => signer.get(&signed_url),
        Method::Post => signer.form(&signed_url, params.iter().copied()),
    };
    let mut headers: Vec<(&'static str, String)> = signed
        .headers
        .into_iter()
        .map(|(name, value)| match name {
            "content-type" => (name, "application/x-www-form-urlencoded; charset=UTF-8".to_owned()),
            _ => (name, value),
        })
        .collect();
    headers.push(("user-agent", "TwilioProxy/1.1".to_owned()));
    headers.push(("accept", "*/*".to_owned()));
    headers.push(("x-home-region", "us1".to_owned()));
    headers.push(("i-twilio-idempotency-token", idempotency_token(delivery.sid)));
    if let Some(cookies) = cookies::header(world, delivery, &url) {
        headers.push(("cookie", cookies));
    }
    let mut request =
        SignedRequest { method: target.method, url, signed_url, headers, body: signed.body, credentials };
    match delivery.forgery {
        Some(Forgery::NoSignature) => request.headers.retain(|(name, _)| *name != SIGNATURE),
        Some(Forgery::ChangedBody) => change(&mut request, &params),
        Some(Forgery::WrongToken | Forgery::OtherAccount(_)) | None => {}
    }
    request
}

/// Changes the last parameter after it was signed.
fn change(request: &mut SignedRequest, params: &[(&str, &str)]) {
    let mut changed: Vec<(&str, String)> =
        params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    match changed.last_mut() {
        Some((_, value)) => value.push('!'),
        None => changed.push(("Body", "changed on the way".to_owned())),
    }
    match request.method {
        Method::Get => {
            let bare = request.url.len() - query_length(params);
            request.url = with_query(&request.url[..bare], &changed);
        }
        Method::Post => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            request.body = form.extend_pairs(&changed).finish().into_bytes();
        }
    }
}

/// How much [`with_query`] has added: the separator counts where there is one.
fn query_length(params: &[(&str, &str)]) -> usize {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish().len()
}

/// The key that signs for an account and a URL as it was configured, without what the webhook adds to it: a SharedKey
/// whose rule fits, else the primary auth token.
fn signer_for(world: &World, account: Sid, url: &str) -> Signer {
    if let Some(signer) = shared_keys::signer(world, account, url) {
        return signer;
    }
    Signer::token(world.accounts.find(account).map_or("", |account| account.auth_token.as_str()))
}

/// The same at every try of one webhook; Twilio's is a UUID.
fn idempotency_token(delivery: Sid) -> String {
    let text = delivery.to_string();
    let hex = &text[2..];
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn take_credentials(url: &str) -> (String, Option<(String, String)>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some(at) = rest[..authority_end].rfind('@') else { return (url.to_owned(), None) };
    let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    (format!("{scheme}://{}", &rest[at + 1..]), Some((decode(user), decode(password))))
}

fn with_query<V: AsRef<str>>(url: &str, params: &[(&str, V)]) -> String {
    if params.is_empty() {
        return url.to_owned();
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let separator = match url.find('?') {
        None => "?",
        Some(at) if at + 1 == url.len() || url.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{separator}{query}")
}

fn without_https_port(url: &str) -> String {
    let Some(rest) = url.strip_prefix("https://") else { return url.to_owned() };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let host = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    };
    format!("https://{host}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_url() {
        let (url, credentials) = take_credentials("https://us%40er:pa:ss@app.example:8443/a@b?c=d@e");
        assert_eq!(url, "https://app.example:8443/a@b?c=d@e");
        assert_eq!(credentials, Some(("us@er".to_owned(), "pa:ss".to_owned())));
        assert_eq!(take_credentials("http://app.example/a@b"), ("http://app.example/a@b".to_owned(), None));
    }

    #[test]
    fn the_parameters_of_a_get_join_the_query() {
        let params = [("From", "+1")];
        assert_eq!(with_query("http://a.example/", &params), "http://a.example/?From=%2B1");
        assert_eq!(with_query("http://a.example/?b=c", &params), "http://a.example/?b=c&From=%2B1");
        assert_eq!(with_query("http://a.example/?", &params), "http://a.example/?From=%2B1");
    }

    #[test]
    fn only_https_loses_its_port() {
        assert_eq!(without_https_port("https://a.example:8443/x:1"), "https://a.example/x:1");
        assert_eq!(without_https_port("https://[::1]:8443/x"), "https://[::1]/x");
        assert_eq!(without_https_port("https://[::1]/x"), "https://[::1]/x");
        assert_eq!(without_https_port("http://a.example:8080/x"), "http://a.example:8080/x");
    }
}
