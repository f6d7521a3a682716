//! Twilio's OpenAPI documents as judges of requests and answers: which operation a method and a path mean, and what
//! is wrong with a request or with an answer.
//!
//! The documents are those in `tests/oai`. They use little of OpenAPI 3.0, and only that much is understood; a part
//! that is not understood panics rather than passes.
//!
//! The one idea: in places a document contradicts itself (the price of a usage record is a number in its schema and a
//! text in every example). Its examples were written by the real server, so whatever an example does, others may do
//! at the same place. See [`Schema`].

#![expect(clippy::panic, reason = "an actor that cannot do its part has failed the test")]

mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

pub use schema::Schema;

/// The documents in `tests/oai`, by name.
pub const DOCUMENTS: &[&str] = &[
    "twilio_accounts_v1",
    "twilio_api_v2010",
    "twilio_lookups_v1",
    "twilio_lookups_v2",
    "twilio_messaging_v1",
    "twilio_monitor_v1",
    "twilio_pricing_v1",
    "twilio_pricing_v2",
    "twilio_verify_v2",
    "twilio_voice_v1",
];

/// The methods that an operation may have.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// One OpenAPI document.
#[derive(Debug)]
pub struct Document {
    name: String,
    root: Value,
    /// What the document's own examples do against its schemas: where, and what.
    excused: BTreeSet<(String, String)>,
}

impl Document {
    /// Reads `tests/oai/{name}.json`.
    pub fn load(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oai").join(format!("{name}.json"));
        let text = std::fs::read(&path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let root = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut document = Self { name: name.to_owned(), root, excused: BTreeSet::new() };
        document.excused = document
            .operations()
            .flat_map(|operation| operation.responses())
            .filter_map(|response| response.schema.map(|schema| (schema, response.examples)))
            .flat_map(|(schema, examples)| {
                examples.into_values().flat_map(move |example| schema.contradictions(example))
            })
            .collect();
        document
    }

    /// All documents.
    pub fn all() -> Vec<Self> {
        DOCUMENTS.iter().map(|name| Self::load(name)).collect()
    }

    /// Its name: `twilio_api_v2010`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host that its operations live on: `api.twilio.com`.
    pub fn host(&self) -> &str {
        let url = self.root["servers"][0]["url"].as_str().unwrap_or_default();
        url.strip_prefix("https://").unwrap_or_else(|| panic!("{}: a server without https: {url}", self.name))
    }

    /// All its operations.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.root["paths"].as_object().expect("a document has paths");
        paths.iter().flat_map(move |(template, item)| {
            METHODS.iter().filter_map(move |method| {
                let node = item.get(method)?;
                Some(Operation { document: self, method, template, item, node })
            })
        })
    }

    /// The operation that a request means: `document.operation("GET", "/2010-04-01/Accounts/AC….json")`. The path is
    /// as sent, without its query. Where two templates fit, the one with fewer parameters is meant.
    pub fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        self.operations()
            .filter(|operation| operation.method.eq_ignore_ascii_case(method))
            .filter_map(|operation| Some((operation.path_values(path)?.len(), operation)))
            .min_by_key(|(parameters, _)| *parameters)
            .map(|(_, operation)| operation)
    }

    /// What a `$ref` leads to, with its pointer.
    fn resolve<'d>(&'d self, node: &'d Value, pointer: String) -> (&'d Value, String) {
        let Some(reference) = node.get("$ref").and_then(Value::as_str) else { return (node, pointer) };
        let inside = reference.strip_prefix('#').expect("a reference stays in its document");
        let target = self.root.pointer(inside).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        self.resolve(target, inside.to_owned())
    }
}

/// One operation: a method on a path.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'d> {
    document: &'d Document,
    method: &'d str,
    /// The path as the document writes it, with its parameters in braces.
    pub template: &'d str,
    item: &'d Value,
    node: &'d Value,
}

/// A parameter of an operation.
#[derive(Debug, Clone)]
pub struct Parameter<'d> {
    /// Its name, as Twilio spells it.
    pub name: &'d str,
    /// `path`, `query` or `header`.
    pub place: &'d str,
    /// Whether a request without it is wrong.
    pub required: bool,
    /// What it may be.
    pub schema: Schema<'d>,
}

/// An answer that an operation may give.
#[derive(Debug, Clone)]
pub struct ResponseShape<'d> {
    /// The HTTP status.
    pub status: u16,
    /// What its body is; none where it has no body.
    pub schema: Option<Schema<'d>>,
    /// The document's examples of it, by name.
    pub examples: BTreeMap<&'d str, &'d Value>,
}

impl<'d> Operation<'d> {
    /// The method in capitals.
    pub fn method(&self) -> String {
        self.method.to_ascii_uppercase()
    }

    /// `GET api.twilio.com/2010-04-01/Accounts.json`, for messages.
    pub fn title(&self) -> String {
        format!("{} {}{}", self.method(), self.document.host(), self.template)
    }

    /// Its parameters, those of its path among them.
    pub fn parameters(&self) -> Vec<Parameter<'d>> {
        let lists = [self.item.get("parameters"), self.node.get("parameters")];
        let all = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
        all.map(|node| {
            let pointer = format!("{}/parameter", self.pointer());
            let (node, pointer) = self.document.resolve(node, pointer);
            let name = node["name"].as_str().expect("a parameter has a name");
            Parameter {
                name,
                place: node["in"].as_str().expect("a parameter has a place"),
                required: node["required"] == Value::Bool(true),
                schema: Schema::new(self.document, &node["schema"], format!("{pointer}/{name}")),
            }
        })
        .collect()
    }

    /// What the form in its body may be; none where it takes no form.
    pub fn request_schema(&self) -> Option<Schema<'d>> {
        let node = self.node.get("requestBody")?.get("content")?.get("application/x-www-form-urlencoded")?;
        Some(Schema::new(self.document, node.get("schema")?, format!("{}/requestBody", self.pointer())))
    }

    /// The document's examples of a form, by name.
    pub fn request_examples(&self) -> BTreeMap<&'d str, &'d Value> {
        let media = &self.node["requestBody"]["content"]["application/x-www-form-urlencoded"];
        examples(media)
    }

    /// The answers that the document has for it.
    pub fn responses(&self) -> Vec<ResponseShape<'d>> {
        let all = self.node["responses"].as_object().expect("an operation has answers");
        all.iter()
            .map(|(status, node)| {
                let media = node.get("content").and_then(|content| content.get("application/json"));
                let pointer = format!("{}/{status}", self.pointer());
                ResponseShape {
                    status: status.parse().expect("a status is a number"),
                    schema: media.map(|media| Schema::new(self.document, &media["schema"], pointer)),
                    examples: media.map(examples).unwrap_or_default(),
                }
            })
            .collect()
    }

    /// What is wrong with a request, in sentences: its path as sent, the fields of its query and of its form as they
    /// were before they were encoded. Nothing: it is what the document describes.
    pub fn check_request(
        &self,
        path: &str,
        query: &[(String, String)],
        form: &[(String, String)],
    ) -> Vec<String> {
        let Some(values) = self.path_values(path) else {
            return vec![format!("{path} does not fit {}", self.template)];
        };
        let mut problems = Vec::new();
        let parameters = self.parameters();
        for (place, fields) in [("path", values.as_slice()), ("query", query)] {
            let here: Vec<_> = parameters.iter().filter(|it| it.place == place).collect();
            for parameter in &here {
                let given: Vec<_> = fields.iter().filter(|(name, _)| name == parameter.name).collect();
                if given.is_empty() && parameter.required {
                    problems.push(format!("{place}: {} is missing", parameter.name));
                }
                let texts = given.iter().map(|(_, text)| text.as_str());
                problems.extend(parameter.schema.check_texts(parameter.name, texts));
            }
            let unknown = fields.iter().filter(|(name, _)| here.iter().all(|it| it.name != name));
            problems.extend(unknown.map(|(name, _)| format!("{place}: there is no {name}")));
        }
        match self.request_schema() {
            Some(schema) => problems.extend(schema.check_form(form)),
            None if form.is_empty() => {}
            None => problems.push("form: the operation takes none".to_owned()),
        }
        problems
    }

    /// What is wrong with an answer, in sentences. `None` is an empty body. A property that the document has and the
    /// answer lacks is wrong too, unless the document's examples lack it as well.
    pub fn check_response(&self, status: u16, body: Option<&Value>) -> Vec<String> {
        let responses = self.responses();
        let Some(response) = responses.iter().find(|response| response.status == status) else {
            let known: Vec<_> = responses.iter().map(|response| response.status.to_string()).collect();
            return vec![format!("the status is {status}, not {}", known.join(" or "))];
        };
        match (&response.schema, body) {
            (Some(schema), Some(body)) => schema.check_complete(body),
            (None, None) => Vec::new(),
            (Some(_), None) => vec!["the body is missing".to_owned()],
            (None, Some(_)) => vec!["there is a body, and should be none".to_owned()],
        }
    }

    /// The values of the template's parameters in a path, decoded; none if it does not fit.
    pub fn path_values(&self, path: &str) -> Option<Vec<(String, String)>> {
        let (wanted, given): (Vec<_>, Vec<_>) =
            (self.template.split('/').collect(), path.split('/').collect());
        if wanted.len() != given.len() {
            return None;
        }
        let mut values = Vec::new();
        for (wanted, given) in wanted.into_iter().zip(given) {
            let Some((before, rest)) = wanted.split_once('{') else {
                if wanted == given {
                    continue;
                }
                return None;
            };
            let (name, after) = rest.split_once('}').expect("a template closes its braces");
            let value = given.strip_prefix(before)?.strip_suffix(after)?;
            let value = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
            if value.is_empty() {
                return None;
            }
            values.push((name.to_owned(), value.into_owned()));
        }
        Some(values)
    }

    fn pointer(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

fn examples(media: &Value) -> BTreeMap<&str, &Value> {
    let all = media.get("examples").and_then(Value::as_object).into_iter().flatten();
    all.map(|(name, example)| (name.as_str(), &example["value"])).collect()
}

#[cfg(test)]
mod tests;
