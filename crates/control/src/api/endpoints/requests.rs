//! What is kept of requests.

use bytes::Bytes;
use http::Method;
use ringfence_store::RequestFilter;

use super::super::access::Scope;
use super::{Call, Endpoint, json};
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::Problem;
use crate::json_api::query::{CURSOR, Form, PAGE_SIZE, Parameter};
use crate::views::Requests;

pub(super) const LIST: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/requests",
    name: "listRequests",
    summary: "What is kept of requests at the gate and to Twilio, of all nodes, newest first: redacted, and nothing where \
              [inspector] of the configuration keeps nothing.",
    scope: Scope::Read,
    query: &[
        Parameter {
            name: "account",
            form: Form::Account,
            description: "Of this account alone: those that it signed, refused ones that name it, and those of its credentials.",
        },
        Parameter {
            name: "direction",
            form: Form::Word(&["from-twilio", "to-twilio"]),
            description: "Those at the gate, or those to Twilio through the egress.",
        },
        Parameter {
            name: "route",
            form: Form::Text,
            description: "Of this route, as logs and metrics call it; to Twilio of this operation.",
        },
        Parameter {
            name: "verdict",
            form: Form::Word(&["admitted", "refused"]),
            description: "Those that were let in or passed on, or those that were not.",
        },
        Parameter {
            name: "would_refuse",
            form: Form::Flag,
            description: "Whether only those are told that a limit would have refused, had it not only watched.",
        },
        Parameter {
            name: "search",
            form: Form::Text,
            description: "With this in path, route, account, message or call, address, reason, credential or limit; capitals \
                          do not count.",
        },
        Parameter { name: "since", form: Form::Time, description: "That came at this time or later." },
        CURSOR,
        PAGE_SIZE,
    ],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Requests>()),
    refusals: &[],
    run: |call| Box::pin(list(call)),
};

async fn list(call: Call<'_>) -> Result<Bytes, Problem> {
    let query = &call.query;
    let filter = RequestFilter {
        account: query.account("account"),
        route: query.text("route").map(str::to_owned),
        to_twilio: query.text("direction").map(|direction| direction == "to-twilio"),
        admitted: query.text("verdict").map(|verdict| verdict == "admitted"),
        would_refuse: query.flag("would_refuse"),
        since: query.time("since"),
        search: query.text("search").map(str::to_owned),
        credentials: None,
    };
    json(&call.engine.views().requests(&filter, &query.page()).await?)
}
