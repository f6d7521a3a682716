//! What the document of the API says beside its table.

use serde_json::{Value, json};

use super::access::Scope;
use super::endpoints::ENDPOINTS;
use crate::json_api::openapi::{self, About};
use crate::json_api::problem::Kind;

pub(super) fn document() -> Value {
    let scopes: Vec<_> = Scope::ALL.iter().map(|scope| scope.word()).collect();
    let about = About {
        title: "Ringfence",
        summary: "Limits on Twilio accounts: how they stand, and stopping and lifting.",
        server: "The admin listener.",
        security_schemes: json!({
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": format!(
                    "A token that `ringfence api-token create` made. Its scope is one of {}; each may also do what the \
                     one before it may.",
                    scopes.join(", ")
                ),
            },
        }),
        needs: |scope: &Scope| {
            (format!("Needs a token of the scope `{scope}`."), json!({ "token": [scope.word()] }))
        },
        part: |_| ("The SID of an account.", json!({ "type": "string", "pattern": "^AC[0-9a-fA-F]{32}$" })),
        always: &[
            Kind::InvalidQuery,
            Kind::TwoTokens,
            Kind::NoToken,
            Kind::InvalidToken,
            Kind::InsufficientScope,
            Kind::Fault,
            Kind::NotReady,
            Kind::StoreAway,
        ],
        of_acts: &[Kind::NoAccount, Kind::OutOfScope, Kind::ParentAccount, Kind::NotTripped, Kind::Held],
        challenged: &[401, 403],
    };
    openapi::document(&about, ENDPOINTS)
}
