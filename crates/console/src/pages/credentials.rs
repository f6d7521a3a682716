//! The tokens of the API: whose they are, what they may do, and an end to those that leaked.

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_store::Token;

use super::act::{Act, ask, ask_again, reason};
use super::shown;
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

#[derive(Template)]
#[template(path = "credentials.html")]
struct View {
    frame: Frame,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    id: String,
    name: String,
    scopes: String,
    networks: String,
    made: String,
    class: &'static str,
    state: String,
    is_good: bool,
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let tokens = call.engine.store().tokens().await?;
    let rows = tokens.into_iter().map(|token| {
        let (class, state) = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => ("bad", format!("revoked {}", words::when(&at))),
            (None, Some(at)) if at <= call.now => ("gone", format!("expired {}", words::when(&at))),
            (None, Some(at)) => ("good", format!("until {}", words::when(&at))),
            (None, None) => ("good", "does not expire".to_owned()),
        };
        Row {
            is_good: token.is_good(call.now),
            scopes: token.scopes.join(", "),
            networks: if token.networks.is_empty() {
                "anywhere".to_owned()
            } else {
                token.networks.join(", ")
            },
            made: words::when(&token.created_at),
            id: token.id,
            name: token.name,
            class,
            state,
        }
    });
    let view = View { rows: rows.collect(), frame: Frame::new(&call, Section::Credentials) };
    shown(&view)
}

async fn meant(call: &Call<'_>) -> Result<Token, Failed> {
    let tokens = call.engine.store().tokens().await?;
    tokens.into_iter().find(|token| token.id == call.piece).ok_or(Failed::NotFound)
}

pub(crate) async fn ask_revoke(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let token = meant(&call).await?;
    ask(&call, form(&token))
}

fn form(token: &Token) -> Act {
    Act {
        section: Section::Credentials,
        title: format!("Revoke {}", token.name),
        effects: vec![format!(
            "Whatever uses {} is refused from now on. This cannot be undone: make another token instead.",
            token.id
        )],
        path: format!("/credentials/{}/revoke", token.id),
        button: "Revoke",
        is_dangerous: true,
        hidden: Vec::new(),
        allow: None,
        wants_reason: true,
        back: "/credentials".to_owned(),
    }
}

pub(crate) async fn revoke(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let token = meant(&call).await?;
    let reason = match reason(&call.form) {
        Ok(reason) => reason,
        Err(wrong) => return ask_again(&call, form(&token), wrong),
    };
    let by = call.signed_in.actor();
    call.engine.store().revoke_token((&by, reason), &token.id, call.now).await?;
    Ok(words::redirect("/credentials?done=revoke"))
}
