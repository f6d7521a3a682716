//! One operation of an API: how it is asked, what it needs, what it answers.

use bytes::Bytes;
use http::Method;
use http::header::ALLOW;
use schemars::{Schema, SchemaGenerator};

use super::problem::{Kind, Problem};
use super::query::Parameter;

/// One endpoint. `S` is what it asks of whoever asks, `R` what it does.
pub(crate) struct Endpoint<S, R> {
    pub(crate) method: Method,
    /// A name in braces stands for a part that a request fills in.
    pub(crate) path: &'static str,
    /// The name of the operation.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) scope: S,
    pub(crate) query: &'static [Parameter],
    pub(crate) body: Option<ShapeOf>,
    pub(crate) answer: Answer,
    /// What it may refuse, beside what every endpoint may.
    pub(crate) refusals: &'static [Kind],
    pub(crate) run: R,
}

/// What an endpoint answers with.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// One document of this shape.
    Json(ShapeOf),
    /// One document a line (<https://jsonlines.org>), as many as the page holds, and none where there are none.
    Lines,
}

impl Answer {
    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json(_) => JSON,
            Self::Lines => "application/jsonl",
        }
    }
}

/// The media type of most answers.
const JSON: &str = "application/json";

pub(crate) type ShapeOf = fn(&mut SchemaGenerator) -> Schema;

/// What a path has for the names in braces, as it was sent.
pub(crate) type Parts<'p> = Vec<(&'static str, &'p str)>;

impl<S, R> Endpoint<S, R> {
    /// What a path has for the names in braces; nothing if it is another endpoint's.
    fn matches<'p>(&self, path: &'p str) -> Option<Parts<'p>> {
        let mut parts = Vec::new();
        let mut given = path.split('/');
        for wanted in self.path.split('/') {
            let given = given.next()?;
            if let Some(name) = name_of(wanted) {
                parts.push((name, Some(given).filter(|given| !given.is_empty())?));
            } else if wanted != given {
                return None;
            }
        }
        given.next().is_none().then_some(parts)
    }
}

/// The name in braces that this part of a template is.
pub(crate) fn name_of(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
}

/// The endpoint that a request means, with what its path has for the names in braces. A HEAD is a GET whose body is not
/// wanted.
pub(crate) fn find<'p, S, R>(
    endpoints: &'static [Endpoint<S, R>],
    as_sent: &Method,
    path: &'p str,
    document: &str,
) -> Result<(&'static Endpoint<S, R>, Parts<'p>), Problem> {
    let method = if *as_sent == Method::HEAD { &Method::GET } else { as_sent };
    let mut allowed = Vec::new();
    // What is written out is another resource than what stands for it: `/devices/check` is no device.
    let matching = || endpoints.iter().filter_map(|endpoint| Some((endpoint, endpoint.matches(path)?)));
    let fewest = matching().map(|(_, parts)| parts.len()).min();
    for (endpoint, parts) in matching().filter(|(_, parts)| Some(parts.len()) == fewest) {
        if endpoint.method == *method {
            return Ok((endpoint, parts));
        }
        allowed.push(&endpoint.method);
    }
    if allowed.is_empty() {
        let detail = format!("nothing is at this path; {document} says what there is");
        return Err(Problem::new(Kind::NotFound, detail));
    }
    Err(not_allowed(as_sent, allowed.into_iter()))
}

/// The document of an API, for whoever gets it.
pub(crate) fn document(method: &Method, document: &Bytes) -> Result<(&'static str, Bytes), Problem> {
    if matches!(*method, Method::GET | Method::HEAD) {
        Ok((JSON, document.clone()))
    } else {
        Err(not_allowed(method, [Method::GET].iter()))
    }
}

/// The method is not possible here, only these.
fn not_allowed<'m>(method: &Method, allowed: impl Iterator<Item = &'m Method>) -> Problem {
    let mut names = Vec::new();
    for allowed in allowed {
        names.push(allowed.as_str());
        if *allowed == Method::GET {
            names.push("HEAD");
        }
    }
    let names = names.join(", ");
    Problem::new(Kind::MethodNotAllowed, format!("{method} is not possible here, only {names}"))
        .with_header(ALLOW, &names)
}
