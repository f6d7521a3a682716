//! What fired, one row for each time.

use bytes::Bytes;
use http::Method;

use super::super::access::Scope;
use super::{Call, Endpoint, json};
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::query::{CURSOR, Form, PAGE_SIZE, Parameter};
use crate::views::{IncidentFilter, IncidentKind, Incidents};

pub(super) const LIST: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/incidents",
    name: "listIncidents",
    summary: "What limits and operators did, and what was refused: each time as one row, from its beginning to its end; \
              what began last first.",
    scope: Scope::Read,
    query: &[
        Parameter {
            name: "account",
            form: Form::Account,
            description: "Of this account, alone and with others.",
        },
        Parameter { name: "limit", form: Form::Text, description: "Of this limit." },
        Parameter {
            name: "kind",
            form: Form::Word(&[
                "tripped",
                "would-have-tripped",
                "warned",
                "stopped-by-hand",
                "suspended-by-hand",
                "refused",
                "would-have-refused",
            ]),
            description: "Of this kind.",
        },
        Parameter { name: "open", form: Form::Flag, description: "Whether only those that go on are told." },
        Parameter {
            name: "since",
            form: Form::Time,
            description: "That began at this time or later, or were not over by then; of the last 30 days if it is not given.",
        },
        Parameter { name: "until", form: Form::Time, description: "That began before this time." },
        CURSOR,
        PAGE_SIZE,
    ],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Incidents>()),
    refusals: &[Kind::NoAccount],
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call<'_>) -> Result<Bytes, Problem> {
    let filter = IncidentFilter {
        account: call.query.account("account"),
        alone: false,
        limit: call.query.text("limit").map(str::to_owned),
        kind: call.query.text("kind").and_then(IncidentKind::read),
        open: call.query.flag("open"),
        since: call.query.time("since"),
        until: call.query.time("until"),
    };
    json(&call.engine.views().incidents(&filter, &call.query.page()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_asked_for() {
        let kind = LIST.query.iter().find(|parameter| parameter.name == "kind").map(|it| it.form);
        let Some(Form::Word(words)) = kind else { unreachable!("it is one of some words") };
        assert_eq!(words, IncidentKind::ALL.map(IncidentKind::word));
    }
}
