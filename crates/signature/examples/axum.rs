//! A small TwiML application that only Twilio can call, by axum and the `tower` layer.
//!
//! ```text
//! cargo run -p ringfence-signature --example axum --features tower -- \
//!     https://hooks.example.com AC0123456789abcdef0123456789abcdef YOUR_AUTH_TOKEN
//! ```
//!
//! The first argument is the URL that is entered at Twilio up to the path, whatever stands between: the layer
//! never guesses it from headers. It listens on 127.0.0.1:3000. `POST /sms` answers a message, `POST /voice` a
//! call, and everything that Twilio did not sign gets an empty 403.

use std::process::ExitCode;

use axum::{
    Extension, Router,
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use ringfence_signature::{
    AccountKeys, AccountSid, Allowed, Keyring, PublicUrl, Strict, fields,
    layer::{KeyringHandle, VerifyLayer},
};

type AnyError = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [public_url, account, token] = &arguments[..] else {
        say("usage: axum PUBLIC_URL ACCOUNT_SID AUTH_TOKEN");
        return Ok(ExitCode::from(64));
    };
    let account: AccountSid = account.parse()?;
    // `keyring.replace(…)` changes the keys while requests come in, when a token is rotated.
    let keyring = KeyringHandle::new(Keyring::new([AccountKeys::new(account).primary(token)])?);
    let verify = VerifyLayer::new(PublicUrl::parse(public_url)?, keyring)
        .strict(Strict::Refuse)
        .on_refusal(|refusal, parts| say(&format!("refused {}: {refusal}", parts.uri.path())));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    say(&format!("listening on {}", listener.local_addr()?));
    axum::serve(listener, application(verify)).await?;
    Ok(ExitCode::SUCCESS)
}

/// The routes, and in front of all of them the check.
fn application(verify: VerifyLayer) -> Router {
    Router::new().route("/sms", post(answer_message)).route("/voice", post(answer_call)).layer(verify)
}

/// The body is the verified one. Asking for `Allowed` makes sure of that: without the layer there is none, and
/// axum answers 500 instead of running this.
async fn answer_message(Extension(allowed): Extension<Allowed>, body: Bytes) -> Response {
    let text = field(&body, b"Body");
    let account = allowed.account.map_or("?".into(), |account| account.to_string());
    say(&format!("a message to {account}"));
    twiml(&format!("<Message>You said: {}</Message>", escape(&text)))
}

async fn answer_call(Extension(_): Extension<Allowed>) -> Response {
    twiml("<Say>Only Twilio could have asked me to say this.</Say>")
}

fn field(body: &[u8], wanted: &[u8]) -> String {
    let value = fields(body).find(|(name, _)| &name[..] == wanted).map(|(_, value)| value);
    value.map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default()
}

fn twiml(verbs: &str) -> Response {
    let document = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{verbs}</Response>");
    ([(header::CONTENT_TYPE, "application/xml")], document).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[expect(clippy::print_stdout, reason = "an example talks to its user")]
fn say(line: &str) {
    println!("{line}");
}
