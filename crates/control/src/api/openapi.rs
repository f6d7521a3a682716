//! The OpenAPI document, written from the table of endpoints and from the types that answers are written by.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::access::Scope;
use super::endpoints::{Answer, ENDPOINTS, Endpoint};
use super::problem::{Document, Kind};

/// What every endpoint may refuse.
const ALWAYS: [Kind; 8] = [
    Kind::InvalidQuery,
    Kind::TwoTokens,
    Kind::NoToken,
    Kind::InvalidToken,
    Kind::InsufficientScope,
    Kind::Fault,
    Kind::NotReady,
    Kind::StoreAway,
];

/// What an endpoint with a body may refuse.
const OF_BODIES: [Kind; 4] = [Kind::Malformed, Kind::TooLarge, Kind::NotJson, Kind::InvalidBody];

/// What an act may refuse because of how things stand.
const OF_ACTS: [Kind; 5] =
    [Kind::NoAccount, Kind::OutOfScope, Kind::ParentAccount, Kind::NotTripped, Kind::Held];

/// The whole document: OpenAPI 3.1, whose schemas are those of JSON Schema 2020-12.
pub(super) fn document() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut answers = SchemaGenerator::new(settings().for_serialize());
    let mut bodies = SchemaGenerator::new(settings().for_deserialize());
    let problem = answers.subschema_for::<Document>();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in ENDPOINTS {
        let operation = operation(endpoint, &mut answers, &mut bodies, problem.as_value());
        let path = paths.entry(endpoint.path).or_insert_with(|| path_item(endpoint));
        path[endpoint.method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut schemas = answers.take_definitions(true);
    schemas.extend(bodies.take_definitions(true));
    let scopes: Vec<_> = Scope::ALL.iter().map(|scope| scope.word()).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ringfence",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Limits on Twilio accounts: how they stand, and stopping and lifting.",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/", "description": "The admin listener." }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": format!(
                        "A token that `ringfence api-token create` made. Its scope is one of {}; each may also do \
                         what the one before it may.",
                        scopes.join(", ")
                    ),
                },
            },
        },
    })
}

fn path_item(endpoint: &Endpoint) -> Value {
    if !endpoint.path.contains("{sid}") {
        return json!({});
    }
    json!({
        "parameters": [{
            "name": "sid",
            "in": "path",
            "required": true,
            "description": "The SID of an account.",
            "schema": { "type": "string", "pattern": "^AC[0-9a-fA-F]{32}$" },
        }],
    })
}

fn operation(
    endpoint: &Endpoint,
    answers: &mut SchemaGenerator,
    bodies: &mut SchemaGenerator,
    problem: &Value,
) -> Value {
    let answer = match endpoint.answer {
        Answer::Json(shape) => json!({ "schema": shape(answers) }),
        Answer::Lines => json!({ "schema": { "type": "string" } }),
    };
    let mut responses = Map::new();
    let ok = json!({
        "description": "It is so.",
        "content": { endpoint.answer.media_type(): answer },
    });
    responses.insert("200".to_owned(), ok);
    for (status, kinds) in refusals(endpoint) {
        responses.insert(status.to_string(), refusal(&kinds, problem));
    }
    let parameters: Vec<_> = endpoint
        .query
        .iter()
        .map(|parameter| {
            json!({
                "name": parameter.name,
                "in": "query",
                "required": false,
                "description": parameter.description,
                "schema": parameter.form.schema(),
            })
        })
        .collect();
    let mut operation = json!({
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": format!("Needs a token of the scope `{}`.", endpoint.scope),
        "security": [{ "token": [endpoint.scope.word()] }],
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = endpoint.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": body(bodies) } },
        });
    }
    operation
}

/// What an endpoint may refuse, by status.
fn refusals(endpoint: &Endpoint) -> BTreeMap<u16, Vec<Kind>> {
    let (of_bodies, of_acts): (&[Kind], &[Kind]) =
        if endpoint.body.is_some() { (&OF_BODIES, &OF_ACTS) } else { (&[], &[]) };
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in ALWAYS.iter().chain(of_bodies).chain(of_acts).chain(endpoint.refusals) {
        let kinds = by_status.entry(kind.row().0).or_default();
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    by_status
}

fn refusal(kinds: &[Kind], problem: &Value) -> Value {
    let words: Vec<_> = kinds.iter().map(|kind| format!("{} (`{}`)", kind.row().2, kind.row().1)).collect();
    let mut refusal = json!({
        "description": format!("{}.", words.join(", or ")),
        "content": { "application/problem+json": { "schema": problem } },
    });
    if kinds.iter().any(|kind| matches!(kind.row().0, 401 | 403)) {
        refusal["headers"] = json!({
            "WWW-Authenticate": {
                "description": "What is wanted (RFC 6750).",
                "required": true,
                "schema": { "type": "string" },
            },
        });
    }
    refusal
}
