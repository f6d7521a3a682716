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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_problem_that_the_document_names_is_on_the_page() {
        let (document, page) = (document().to_string(), include_str!("../../../../docs/api.md"));
        // As in: A token is needed (`no-token`), or …
        let codes = document.split("(`").skip(1).filter_map(|rest| rest.split_once("`)"));
        let is_word = |code: &&str| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let codes: BTreeSet<_> = codes.map(|(code, _)| code).filter(is_word).collect();
        assert!(codes.len() > 15, "they were not found: {codes:?}");
        let missing: Vec<_> = codes.iter().filter(|code| !page.contains(&format!("`{code}`"))).collect();
        assert!(missing.is_empty(), "docs/api.md, Problems, lacks {missing:?}");
    }
}
