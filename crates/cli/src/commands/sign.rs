//! `ringfence sign`: the request that Twilio would send.

mod by_config;

use std::fmt::Write as _;
use std::path::PathBuf;

use ringfence_signature::{PublicUrl, ReceivedUrl, Request, SETTINGS_HEADER, SIGNATURE_HEADER, Signer};

use super::input::{BodyArguments, Composed};
use super::keys::KeyArguments;
use crate::exit::{Answer, Failure};

const EXAMPLES: &str = "\
Examples:
  ringfence sign --url https://hooks.example.com/sms --param Body=Hi
  ringfence sign --url https://hooks.example.com/sms --param Body=Hi --curl | sh
  ringfence sign --url https://hooks.example.com/events --json-body event.json
  ringfence sign --url https://hooks.example.com/media --websocket
  ringfence sign --url https://hooks.example.com/sms --param Body=Hi --http > FILE
  ringfence sign --url https://hooks.example.com/sms --param Body=Hi --config ringfence.toml --account AC…

The key is read from TWILIO_AUTH_TOKEN, --token-env or --token-file; it is never printed. With --config it is what Twilio
signs with by the configuration and its store: also while a token is being replaced, and with a SharedKey.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The whole URL that is to be called, with its query
    #[arg(long, value_name = "URL", help_heading = "Request")]
    url: String,
    #[command(flatten)]
    body: BodyArguments,
    #[command(flatten)]
    key: KeyArguments,
    /// Sign with what Twilio signs with by this configuration and its store
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_source", "shared_key"], help_heading = "Key")]
    config: Option<PathBuf>,
    /// Whose key, with --config; the only account's if it is not given
    #[arg(long, value_name = "SID", requires = "config", help_heading = "Key")]
    account: Option<String>,
    /// Print a shell command that sends it
    #[arg(long, group = "form", help_heading = "Output")]
    curl: bool,
    /// Print the raw HTTP request, as `explain --http` reads it
    #[arg(long, group = "form", help_heading = "Output")]
    http: bool,
    /// Print a JSON object
    #[arg(long, group = "form", help_heading = "Output")]
    json: bool,
}

/// A request that is ready to be sent.
struct Signed {
    method: String,
    url: String,
    websocket: bool,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let composed = arguments.body.compose(&arguments.url)?;
    if composed.url.contains(' ') {
        return Err(Failure::usage("the URL holds a space, which no request line can").hint("write %20 or +"));
    }
    let (signer, notes) = if let Some(file) = &arguments.config {
        let (signer, from) = by_config::signer(file, arguments.account.as_deref(), &composed.url)?;
        (signer, vec![format!("note: signed with {from}")])
    } else {
        let key = arguments.key.read()?;
        (key.signer(), key.notes)
    };
    let signed = sign(&signer, composed);
    let output = if arguments.curl {
        as_curl(&signed)?
    } else if arguments.http {
        as_http(&signed)?
    } else if arguments.json {
        as_json(&signed)?
    } else {
        as_text(&signed)
    };
    Ok(Answer { output, notes, ..Answer::default() })
}

fn sign(signer: &Signer, composed: Composed) -> Signed {
    let Composed { method, url, content_type, body, websocket } = composed;
    let made = if websocket {
        signer.websocket(&url)
    } else if is_form(content_type.as_deref()) {
        signer.form_body(&url, body)
    } else if body.is_empty() && content_type.is_none() {
        signer.get(&url)
    } else {
        // Method and content type are not signed, so the right ones are put in below.
        signer.body("POST", &url, "application/octet-stream", body)
    };
    let mut headers = Vec::new();
    headers.extend(content_type.map(|value| ("Content-Type", value)));
    for (name, shown) in
        [(SETTINGS_HEADER, "X-Twilio-Webhooks-Signature-Settings"), (SIGNATURE_HEADER, "X-Twilio-Signature")]
    {
        headers.extend(made.header(name).map(|value| (shown, value.to_owned())));
    }
    Signed { method, url: made.url, websocket, headers, body: made.body }
}

fn is_form(content_type: Option<&str>) -> bool {
    let request = Request {
        method: "POST",
        url: ReceivedUrl::parse(b""),
        websocket: false,
        content_type: content_type.map(str::as_bytes),
        body: b"",
        signature: None,
        settings: None,
    };
    request.is_form()
}

fn as_text(signed: &Signed) -> Vec<u8> {
    let mut text = format!("{} {}\n", signed.method, signed.url);
    for (name, value) in &signed.headers {
        _ = writeln!(text, "{name}: {value}");
    }
    let mut output = text.into_bytes();
    if !signed.body.is_empty() {
        output.push(b'\n');
        output.extend_from_slice(&signed.body);
        if !signed.body.ends_with(b"\n") {
            output.push(b'\n');
        }
    }
    output
}

fn as_json(signed: &Signed) -> Result<Vec<u8>, Failure> {
    let headers: serde_json::Map<_, _> =
        signed.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    let object = serde_json::json!({
        "method": signed.method,
        "url": signed.url,
        "headers": headers,
        "body": body_as_text(signed)?,
    });
    Ok(format!("{object}\n").into_bytes())
}

fn as_curl(signed: &Signed) -> Result<Vec<u8>, Failure> {
    // Without these two curl changes the URL that was signed: brackets and braces, and /../.
    let mut command = format!("curl --include --globoff --path-as-is --request {}", signed.method);
    let mut line = |text: &str| _ = write!(command, " \\\n  {text}");
    for (name, value) in &signed.headers {
        line(&format!("--header {}", shell_quoted(&format!("{name}: {value}"))));
    }
    let mut url = signed.url.clone();
    if signed.websocket {
        line("--http1.1 --header 'Connection: Upgrade' --header 'Upgrade: websocket'");
        line("--header 'Sec-WebSocket-Version: 13' --header 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='");
        url = over_http(&url);
    }
    // An empty body still makes curl send its length, as a POST should.
    if !signed.body.is_empty() || signed.method == "POST" {
        line(&format!("--data-raw {}", shell_quoted(&body_as_text(signed)?)));
    }
    line(&shell_quoted(&url));
    command.push('\n');
    Ok(command.into_bytes())
}

fn as_http(signed: &Signed) -> Result<Vec<u8>, Failure> {
    let (base, target) = split_url(&signed.url);
    let authority = PublicUrl::parse(base)
        .map_err(|error| Failure::usage(format!("the URL cannot be called: {error}")))?
        .authority();
    let mut head = format!("{} {target} HTTP/1.1\r\nHost: {authority}\r\n", signed.method);
    for (name, value) in &signed.headers {
        _ = write!(head, "{name}: {value}\r\n");
    }
    if signed.websocket {
        head.push_str("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        head.push_str("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    } else if !signed.body.is_empty() || signed.method == "POST" {
        _ = write!(head, "Content-Length: {}\r\n", signed.body.len());
    }
    head.push_str("\r\n");
    let mut output = head.into_bytes();
    output.extend_from_slice(&signed.body);
    Ok(output)
}

/// Scheme and authority, and the target of a request line.
fn split_url(url: &str) -> (&str, String) {
    let authority_at = url.find("://").map_or(0, |at| at + 3);
    let target_at = url[authority_at..].find(['/', '?']).map_or(url.len(), |at| authority_at + at);
    let (base, target) = url.split_at(target_at);
    (base, if target.starts_with('/') { target.to_owned() } else { format!("/{target}") })
}

/// curl speaks a WebSocket handshake as HTTP.
fn over_http(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => format!("https://{rest}"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => format!("http://{rest}"),
        _ => url.to_owned(),
    }
}

fn body_as_text(signed: &Signed) -> Result<String, Failure> {
    match std::str::from_utf8(&signed.body) {
        Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(Failure::usage("the body is not text, so it cannot be shown in this form")
            .hint("use --http > FILE, which keeps every byte")),
    }
}

/// One word of a POSIX shell, whatever is in it.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_cannot_leave_a_shell_word() {
        assert_eq!(shell_quoted("it's; rm -rf $HOME `x`"), r"'it'\''s; rm -rf $HOME `x`'");
        assert_eq!(shell_quoted(""), "''");
    }

    #[test]
    fn a_url_is_cut_where_its_target_begins() {
        assert_eq!(split_url("https://h:1/a?b"), ("https://h:1", "/a?b".to_owned()));
        assert_eq!(split_url("https://h?b"), ("https://h", "/?b".to_owned()));
        assert_eq!(split_url("wss://h"), ("wss://h", "/".to_owned()));
    }
}
