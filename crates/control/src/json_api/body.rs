//! What a body may say: JSON of a known shape, each deviation named by its place.

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::{Kind, Problem, WrongPart};

/// The largest body: what is asked is small.
pub(crate) const BODY_MAX: usize = 16 * 1024;

/// Refuses a body that says to be something else than JSON. No body says nothing, which does where nothing has to be said.
pub(crate) fn expect_json(request: &Request<Bytes>) -> Result<(), Problem> {
    if request.body().is_empty() {
        return Ok(());
    }
    let essence =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(|value| {
            value.split_once(';').map_or(value, |(essence, _)| essence).trim().to_ascii_lowercase()
        });
    if essence.as_deref() != Some("application/json") {
        return Err(Problem::new(Kind::NotJson, "send the body as `Content-Type: application/json`"));
    }
    if request.body().len() > BODY_MAX {
        return Err(Problem::new(Kind::TooLarge, format!("a body has at most {BODY_MAX} bytes")));
    }
    Ok(())
}

/// Reads a body; where there is none, as an object without fields.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !is_object {
        // A list of values would be taken for the fields in their order.
        return Err(match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
            Err(error) => malformed(&error),
            Ok(_) => wrong("#".to_owned(), "it is no object".to_owned()),
        });
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        match error.classify() {
            Category::Data => wrong(pointer, without_place(&error)),
            Category::Syntax | Category::Eof | Category::Io => malformed(&error),
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// Whether a body can be read as one of a shape, for the laws.
#[cfg(any(test, fuzzing))]
pub(crate) type Reads = fn(&[u8]) -> Result<(), Problem>;

/// Reads a body and forgets it.
#[cfg(any(test, fuzzing))]
pub(crate) fn reads<T: DeserializeOwned>(body: &[u8]) -> Result<(), Problem> {
    read::<T>(body).map(drop)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Kind::Malformed, error.to_string())
}

fn wrong(pointer: String, detail: String) -> Problem {
    let sentence = if pointer == "#" { detail.clone() } else { format!("{pointer}: {detail}") };
    let part = WrongPart { pointer: Some(pointer), parameter: None, detail };
    Problem::new(Kind::InvalidBody, sentence).with_errors(vec![part])
}

/// `#/limit`: bodies are flat, so a place is one name at most.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = "#".to_owned();
    for segment in path {
        if let serde_path_to_error::Segment::Map { key } = segment {
            pointer.push('/');
            pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        }
    }
    pointer
}

/// What serde says, without line and column: the pointer is the place.
/// What was sent is not repeated either: it may be a code, and answers get into logs.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    match (what.split_once(": "), what.rsplit_once(", expected ")) {
        (Some((kind @ ("invalid type" | "invalid value"), _)), Some((_, expected))) => {
            format!("{kind}, expected {expected}")
        }
        (_, Some((_, expected))) if what.starts_with("unknown variant `") => {
            format!("unknown value, expected {expected}")
        }
        _ => what.to_owned(),
    }
}
