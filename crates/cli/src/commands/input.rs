//! One request, put together from the command line or from a saved raw HTTP request.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ringfence_signature::{PublicUrl, ReceivedUrl, Request, SETTINGS_HEADER, SIGNATURE_HEADER};

use super::saved_request::SavedRequest;
use crate::exit::Failure;

const FORM: &str = "application/x-www-form-urlencoded";

/// Method and body.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct BodyArguments {
    /// POST where there is a body, else GET
    #[arg(long, value_name = "METHOD", value_parser = parse_method)]
    method: Option<String>,
    /// A form field as plain text, encoded here; repeat it for more. With --method GET they go into the query
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    params: Vec<(String, String)>,
    /// The body as it is
    #[arg(long, value_name = "TEXT", conflicts_with = "params")]
    body: Option<String>,
    /// File that holds the body as it is; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["params", "body"])]
    body_file: Option<PathBuf>,
    /// File that holds a JSON body as it is; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["params", "body", "body_file", "content_type"])]
    json_body: Option<PathBuf>,
    /// Content-Type of --body or --body-file
    #[arg(long, value_name = "TYPE", value_parser = parse_header_value)]
    content_type: Option<String>,
    /// It is a WebSocket handshake, as of Media Streams and ConversationRelay
    #[arg(long, conflicts_with_all = ["params", "body", "body_file", "json_body"])]
    websocket: bool,
}

/// A request as it was received.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct RequestArguments {
    /// The whole URL that Twilio called, with its query, byte for byte
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// File that holds the raw HTTP request: request line, headers, empty line, body; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "params", "body", "body_file", "json_body",
        "content_type", "websocket", "signature", "signature_settings"])]
    pub(crate) http: Option<PathBuf>,
    #[arg(
        long,
        value_name = "URL",
        requires = "http",
        conflicts_with = "url",
        help = "With --http: scheme and host of the URL that Twilio called, such as https://hooks.example.com"
    )]
    public_url: Option<String>,
    /// The X-Twilio-Signature header
    #[arg(long, value_name = "BASE64")]
    signature: Option<String>,
    /// The X-Twilio-Webhooks-Signature-Settings header
    #[arg(long, value_name = "TEXT")]
    signature_settings: Option<String>,
    #[command(flatten)]
    body: BodyArguments,
}

/// What a body came to, and the URL, to which a GET's fields were added.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) websocket: bool,
}

/// A request that owns its pieces.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) method: String,
    pub(crate) url: GivenUrl,
    pub(crate) websocket: bool,
    pub(crate) content_type: Option<Vec<u8>>,
    pub(crate) body: Vec<u8>,
    pub(crate) signature: Option<Vec<u8>>,
    pub(crate) settings: Option<Vec<u8>>,
    /// All headers, where a whole request was given.
    pub(crate) headers: Option<Vec<(String, Vec<u8>)>>,
    /// The `user:password` that came with it, once it was found right: Twilio may have signed the URL with it.
    pub(crate) userinfo: Option<Vec<u8>>,
    /// What the `Host` header said, if it was seen.
    pub(crate) host: Option<String>,
    /// Other hosts that the headers named: what may have been called.
    pub(crate) other_hosts: Vec<String>,
    /// What a person should know about how it was read.
    pub(crate) notes: Vec<String>,
}

/// The URL of a request.
#[derive(Debug)]
pub(crate) enum GivenUrl {
    /// All of it.
    Whole(Vec<u8>),
    /// A target, under a base from the command line or the configuration.
    Under(PublicUrl, Vec<u8>),
    /// A target whose base is not known yet.
    Target(Vec<u8>),
}

impl BodyArguments {
    /// Puts the request together for this URL.
    pub(crate) fn compose(&self, url: &str) -> Result<Composed, Failure> {
        check_url(url)?;
        let mut url = url.split('#').next().unwrap_or_default().to_owned();
        let (body, content_type) = self.body()?;
        let method = match &self.method {
            Some(method) => method.clone(),
            None if body.is_some() || !self.params.is_empty() => "POST".to_owned(),
            None => "GET".to_owned(),
        };
        if self.params.is_empty() {
            let body = body.unwrap_or_default();
            return Ok(Composed { method, url, content_type, body, websocket: self.websocket });
        }
        let form = encode_form(&self.params);
        // As Twilio does it: the parameters of a GET are its query, signed as a part of the URL.
        if method == "GET" && self.content_type.is_none() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&form);
            return Ok(Composed { method, url, content_type: None, body: Vec::new(), websocket: false });
        }
        let content_type = content_type.or_else(|| Some(FORM.to_owned()));
        Ok(Composed { method, url, content_type, body: form.into_bytes(), websocket: false })
    }

    fn body(&self) -> Result<(Option<Vec<u8>>, Option<String>), Failure> {
        if let Some(path) = &self.json_body {
            return Ok((Some(read_file(path)?), Some("application/json".to_owned())));
        }
        let body = match (&self.body, &self.body_file) {
            (Some(text), _) => Some(text.clone().into_bytes()),
            (None, Some(path)) => Some(read_file(path)?),
            (None, None) => None,
        };
        if body.as_ref().is_some_and(|body| !body.is_empty()) && self.content_type.is_none() {
            return Err(Failure::usage("a body needs its content type: it decides what is signed")
                .hint(format!("add --content-type {FORM}, or --content-type application/json")));
        }
        Ok((body, self.content_type.clone()))
    }
}

impl RequestArguments {
    /// Reads the request.
    pub(crate) fn read(&self) -> Result<Given, Failure> {
        if let Some(path) = &self.http {
            return self.read_saved(path);
        }
        let Some(url) = &self.url else {
            return Err(Failure::usage("there is no request")
                .hint("add --url URL and what came with it, or --http FILE with the raw request"));
        };
        let composed = self.body.compose(url)?;
        Ok(Given {
            method: composed.method,
            url: GivenUrl::Whole(composed.url.into_bytes()),
            websocket: composed.websocket,
            content_type: composed.content_type.map(String::into_bytes),
            body: composed.body,
            signature: self.signature.clone().map(String::into_bytes),
            settings: self.signature_settings.clone().map(String::into_bytes),
            headers: None,
            userinfo: None,
            host: None,
            other_hosts: Vec::new(),
            notes: Vec::new(),
        })
    }

    fn read_saved(&self, path: &Path) -> Result<Given, Failure> {
        let saved = SavedRequest::parse(&read_file(path)?).map_err(|error| {
            Failure::usage(format!("{} is not a raw HTTP request: {error}", path.display()))
                .hint("save it as it was sent: request line, headers, an empty line, the body")
        })?;
        let header = |name: &str| saved.header(name).map(<[u8]>::to_vec);
        let text = |name: &str| saved.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let is_absolute =
            saved.target.windows(3).any(|bytes| bytes == b"://") && !saved.target.starts_with(b"/");
        let url = match (&self.url, &self.public_url) {
            (Some(url), _) => {
                check_url(url)?;
                GivenUrl::Whole(url.clone().into_bytes())
            }
            (None, Some(base)) => GivenUrl::Under(parse_public_url(base)?, saved.target.clone()),
            (None, None) if is_absolute => GivenUrl::Whole(saved.target.clone()),
            (None, None) => GivenUrl::Target(saved.target.clone()),
        };
        Ok(Given {
            url,
            websocket: saved.is_websocket(),
            content_type: header("content-type"),
            signature: header(SIGNATURE_HEADER),
            settings: header(SETTINGS_HEADER),
            host: text("host"),
            other_hosts: ["host", "x-forwarded-host", "x-original-host"]
                .into_iter()
                .filter_map(text)
                .collect(),
            notes: saved.notes.iter().map(|note| format!("note: {}: {note}", path.display())).collect(),
            method: saved.method,
            body: saved.body,
            headers: Some(saved.headers),
            userinfo: None,
        })
    }
}

impl Given {
    /// Puts a base before a bare target: what `Host` says, with `https`, where nothing better is known.
    pub(crate) fn guess_base(&mut self) -> Result<(), Failure> {
        let GivenUrl::Target(target) = &self.url else { return Ok(()) };
        let base = self.host.as_ref().and_then(|host| PublicUrl::parse(&format!("https://{host}")).ok());
        let Some(base) = base else {
            return Err(Failure::usage(
                "the request does not say which URL Twilio called: it has no usable Host header",
            )
            .hint("add --public-url https://your.public.host, or --config FILE"));
        };
        self.notes.push(format!(
            "note: it is taken that Twilio called {base}, as the Host header says; --public-url URL says it better"
        ));
        self.url = GivenUrl::Under(base, target.clone());
        Ok(())
    }

    /// The raw path, without query.
    pub(crate) fn path(&self) -> &[u8] {
        let target = self.target();
        let end = target.iter().position(|byte| b"?#".contains(byte)).unwrap_or(target.len());
        &target[..end]
    }

    /// The first field of this name, where a whole request was given.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter().flatten();
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &[u8] {
        match &self.url {
            GivenUrl::Whole(url) => ReceivedUrl::parse(url).target(),
            GivenUrl::Under(_, target) | GivenUrl::Target(target) => target,
        }
    }

    /// Whether a user name stands in the URL, so that Twilio may have signed it with or without.
    pub(crate) fn has_userinfo(&self) -> bool {
        match &self.url {
            GivenUrl::Whole(url) => {
                let authority = url.splitn(2, |byte| *byte == b'/').nth(1).unwrap_or_default();
                let authority = authority.strip_prefix(b"/").unwrap_or(authority);
                let end = authority.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(authority.len());
                authority[..end].contains(&b'@')
            }
            GivenUrl::Under(base, _) => base.has_userinfo(),
            GivenUrl::Target(_) => false,
        }
    }

    /// As the verifier wants it.
    pub(crate) fn request(&self) -> Request<'_> {
        let url = match &self.url {
            GivenUrl::Whole(url) | GivenUrl::Target(url) => ReceivedUrl::parse(url),
            GivenUrl::Under(base, target) => base.receive(target),
        };
        Request {
            method: &self.method,
            url: self.userinfo.as_deref().map_or(url, |userinfo| url.with_userinfo(userinfo)),
            websocket: self.websocket,
            content_type: self.content_type.as_deref(),
            body: &self.body,
            signature: self.signature.as_deref(),
            settings: self.settings.as_deref(),
        }
    }
}

/// Reads a file, or standard input for `-`.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

/// A URL that can stand in a request: it is signed byte for byte, so nothing is corrected.
fn check_url(url: &str) -> Result<(), Failure> {
    let is_whole = url.split_once("://").is_some_and(|(scheme, rest)| {
        let is_known = ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        is_known && !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':'])
    });
    if !is_whole || url.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Failure::usage("the URL must be whole, as Twilio called it")
            .hint("write it with scheme and host, such as --url 'https://hooks.example.com/sms?tenant=7'"));
    }
    Ok(())
}

fn parse_public_url(text: &str) -> Result<PublicUrl, Failure> {
    PublicUrl::parse(text).map_err(|error| {
        Failure::usage(format!("--public-url: {error}"))
            .hint("write what stands before the path, such as --public-url https://hooks.example.com")
    })
}

fn parse_param(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_method(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err("write a method such as POST");
    }
    Ok(text.to_ascii_uppercase())
}

fn parse_header_value(text: &str) -> Result<String, &'static str> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("a header's value has no line breaks");
    }
    Ok(text.to_owned())
}

/// Encodes fields as `application/x-www-form-urlencoded`.
fn encode_form(fields: &[(String, String)]) -> String {
    let mut form = String::new();
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        encode(name, &mut form);
        form.push('=');
        encode(value, &mut form);
    }
    form
}

fn encode(text: &str, form: &mut String) {
    for byte in text.bytes() {
        match byte {
            b' ' => form.push('+'),
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                form.push(char::from(byte));
            }
            _ => _ = write!(form, "%{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_encoded_as_a_form() {
        let fields = [("Body", "Hi & bye = 1+1 ü"), ("To", "+15550001234")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(encode_form(&fields), "Body=Hi+%26+bye+%3D+1%2B1+%C3%BC&To=%2B15550001234");
    }

    #[test]
    fn a_url_without_scheme_or_with_a_line_break_is_refused() {
        for url in ["hooks.example.com/sms", "/sms", "ftp://h/", "https://h/\r\nX: y", ""] {
            assert!(check_url(url).is_err(), "{url:?}");
        }
        assert!(check_url("HTTPS://h:8443/a?x=<y>").is_ok());
    }
}
