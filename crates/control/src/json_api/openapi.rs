//! OpenAPI documents, written from tables of endpoints and from the types that answers are written by.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::endpoint::{Answer, Endpoint, name_of};
use super::problem::{Document, Kind};

/// What is said of an API beside its table.
pub(crate) struct About<S> {
    pub(crate) title: &'static str,
    pub(crate) summary: &'static str,
    /// Where it listens.
    pub(crate) server: &'static str,
    pub(crate) security_schemes: Value,
    /// What an endpoint needs: a sentence, and a requirement by the schemes.
    pub(crate) needs: fn(&S) -> (String, Value),
    /// The description and the schema of a name in braces.
    pub(crate) part: fn(&str) -> (&'static str, Value),
    /// What every endpoint may refuse.
    pub(crate) always: &'static [Kind],
    /// What an endpoint with a body may refuse because of how things stand.
    pub(crate) of_acts: &'static [Kind],
    /// The statuses that say by a `WWW-Authenticate` what is wanted.
    pub(crate) challenged: &'static [u16],
}

/// What an endpoint with a body may refuse.
const OF_BODIES: [Kind; 4] = [Kind::Malformed, Kind::TooLarge, Kind::NotJson, Kind::InvalidBody];

/// The whole document: OpenAPI 3.1, whose schemas are those of JSON Schema 2020-12.
pub(crate) fn document<S, R>(about: &About<S>, endpoints: &'static [Endpoint<S, R>]) -> Value {
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
    for endpoint in endpoints {
        let operation = operation(about, endpoint, &mut answers, &mut bodies, problem.as_value());
        let path = paths.entry(endpoint.path).or_insert_with(|| path_item(about, endpoint));
        path[endpoint.method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut schemas = answers.take_definitions(true);
    schemas.extend(bodies.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": about.title,
            "version": env!("CARGO_PKG_VERSION"),
            "summary": about.summary,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/", "description": about.server }],
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": about.security_schemes },
    })
}

fn path_item<S, R>(about: &About<S>, endpoint: &Endpoint<S, R>) -> Value {
    let parameters: Vec<Value> = endpoint
        .path
        .split('/')
        .filter_map(name_of)
        .map(|name| {
            let (description, schema) = (about.part)(name);
            json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
        })
        .collect();
    if parameters.is_empty() { json!({}) } else { json!({ "parameters": parameters }) }
}

fn operation<S, R>(
    about: &About<S>,
    endpoint: &Endpoint<S, R>,
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
    for (status, kinds) in refusals(about, endpoint) {
        responses.insert(status.to_string(), refusal(about, status, &kinds, problem));
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
    let (description, security) = (about.needs)(&endpoint.scope);
    let mut operation = json!({
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": description,
        "security": [security],
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = endpoint.body {
        let schema = body(bodies);
        operation["requestBody"] = json!({
            "required": has_needed_fields(&schema, bodies),
            "content": { "application/json": { "schema": schema } },
        });
    }
    operation
}

/// Whether a body has to say anything: where no field of it is needed, it may be left out.
fn has_needed_fields(schema: &Schema, shapes: &SchemaGenerator) -> bool {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.rsplit('/').next());
    let shape = name.and_then(|name| shapes.definitions().get(name)).unwrap_or(schema.as_value());
    shape.get("required").and_then(Value::as_array).is_some_and(|fields| !fields.is_empty())
}

/// What an endpoint may refuse, by status.
fn refusals<S, R>(about: &About<S>, endpoint: &Endpoint<S, R>) -> BTreeMap<u16, Vec<Kind>> {
    let (of_bodies, of_acts): (&[Kind], &[Kind]) =
        if endpoint.body.is_some() { (&OF_BODIES, about.of_acts) } else { (&[], &[]) };
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in about.always.iter().chain(of_bodies).chain(of_acts).chain(endpoint.refusals) {
        let kinds = by_status.entry(kind.row().0).or_default();
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    by_status
}

fn refusal<S>(about: &About<S>, status: u16, kinds: &[Kind], problem: &Value) -> Value {
    let words: Vec<_> = kinds.iter().map(|kind| format!("{} (`{}`)", kind.row().2, kind.row().1)).collect();
    let mut refusal = json!({
        "description": format!("{}.", words.join(", or ")),
        "content": { "application/problem+json": { "schema": problem } },
    });
    if about.challenged.contains(&status) {
        refusal["headers"] = json!({
            "WWW-Authenticate": {
                "description": "What is wanted.",
                "required": true,
                "schema": { "type": "string" },
            },
        });
    }
    refusal
}
