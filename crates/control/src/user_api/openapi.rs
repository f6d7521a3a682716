//! What the document says beside its table.

use serde_json::{Value, json};

use super::access::Needs;
use super::body::USER;
use super::endpoints::ENDPOINTS;
use crate::json_api::openapi::{self, About};
use crate::json_api::problem::Kind;

pub(super) fn document() -> Value {
    let about = About {
        title: "Ringfence: the second factor of your users",
        summary: "What is needed for this sign-in, and by which factor it was passed.",
        server: "The listener of the second factor.",
        security_schemes: json!({
            "credential": {
                "type": "http",
                "scheme": "basic",
                "description": "The SID and the secret that `ringfence key create` gave out. With --may-manage it also \
                                changes users.",
            },
        }),
        needs: |needs: &Needs| {
            let sentence = match needs {
                Needs::Credential => "Needs a credential of the application.",
                Needs::Manage => "Needs a credential of the application that may change users.",
            };
            (sentence.to_owned(), json!({ "credential": [] }))
        },
        part: |name| match name {
            "user" => ("What the application calls the user.", json!({ "type": "string", "pattern": USER })),
            "device" => ("A trusted browser.", json!({ "type": "string", "pattern": "^dv_[0-9a-f]{16}$" })),
            "passkey" => ("A passkey.", json!({ "type": "string", "pattern": "^uf_[0-9a-f]{16}$" })),
            _ => ("A sign-in.", json!({ "type": "string", "pattern": "^si_[0-9a-f]{32}$" })),
        },
        always: &[
            Kind::InvalidQuery,
            Kind::NoCredential,
            Kind::WrongCredential,
            Kind::Fault,
            Kind::NotReady,
            Kind::StoreAway,
        ],
        of_acts: &[],
        challenged: &[401],
    };
    openapi::document(&about, ENDPOINTS)
}
