//! What serde says of a wrong field, in words for people: where it is, what stands there, and what may.
//!
//! serde names types of Rust and not always the field. Its sentences are stable, and where one is not known it is
//! shown as it is.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::shortened;
use crate::edge::problem::Problem;

/// Reads a shape of ours; an error says which field is wrong.
pub(in crate::edge) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| explain(&error.path().to_string(), &error.inner().to_string()))
}

/// `path` is where serde was (`messages.delivery_ms`, `api[0].status`; `.` or empty: the whole), `message` what it
/// said.
pub(in crate::edge) fn explain(path: &str, message: &str) -> Problem {
    let path = if matches!(path, "." | "?") { "" } else { path };
    let named = shortened(path);
    let named = if named.is_empty() { "the body".to_owned() } else { format!("`{named}`") };
    if let Some(rest) = message.strip_prefix("missing field `") {
        let field = rest.trim_end_matches('`');
        let parent = if path.is_empty() { String::new() } else { format!("{path}.") };
        return Problem::bad_request(format!("`{parent}{field}` is missing"));
    }
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (field, expected) = rest.split_once("`, expected ").unwrap_or((rest, ""));
        // serde may have stopped before the field or in it.
        let whole = match path {
            "" => field.to_owned(),
            path if path.ends_with(field) => path.to_owned(),
            path => format!("{path}.{field}"),
        };
        let words = quoted(expected);
        let meant =
            nearest(field, &words).map_or_else(String::new, |word| format!("; did you mean `{word}`?"));
        let parent =
            parent_of(&whole).map_or_else(String::new, |parent| format!(" in `{}`", shortened(parent)));
        let problem = Problem::bad_request(format!("`{}` is not known{meant}", shortened(&whole)));
        return problem.hint(format!("there may be{parent}: {}", words.join(", ")));
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let (given, expected) = rest.split_once("`, expected ").unwrap_or((rest, ""));
        let words = quoted(expected);
        let meant =
            nearest(given, &words).map_or_else(String::new, |word| format!("; did you mean {word:?}?"));
        let problem = Problem::bad_request(format!("{named} is {:?}{meant}", shortened(given)));
        return problem.hint(format!("it may be {}", words.join(", ")));
    }
    for start in ["invalid type: ", "invalid value: "] {
        let parts = message.strip_prefix(start).and_then(|rest| rest.rsplit_once(", expected "));
        if let Some((given, expected)) = parts {
            let expected = expectation(expected);
            return Problem::bad_request(format!("{named} is {}, but must be {expected}", found(given)));
        }
    }
    if message.starts_with("invalid digit found") || message.starts_with("cannot parse integer") {
        return Problem::bad_request(format!("{named} must be a whole number"));
    }
    Problem::bad_request(format!("{named}: {message}"))
}

/// The word that was most likely meant: a few letters off, or begun alike.
pub(in crate::edge) fn nearest<'w>(typed: &str, words: &[&'w str]) -> Option<&'w str> {
    let typed = shortened(typed).to_ascii_lowercase();
    let distance = |word: &str| strsim::damerau_levenshtein(&typed, word);
    let best = words.iter().copied().min_by_key(|word| distance(word))?;
    if distance(best) <= (best.len() / 3).max(1) {
        return Some(best);
    }
    words
        .iter()
        .copied()
        .find(|word| typed.len() >= 4 && (word.starts_with(&typed) || typed.starts_with(word)))
}

/// The words between back-quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn parent_of(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(parent, _)| parent)
}

/// What stands there, as it would be written in JSON.
fn found(given: &str) -> String {
    match given {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" | "unit value" | "Option value" => "null".to_owned(),
        _ => {
            let inner = given.strip_prefix("string ").or_else(|| given.split('`').nth(1)).unwrap_or(given);
            shortened(inner)
        }
    }
}

fn expectation(expected: &str) -> String {
    match expected {
        "u64" | "u32" | "usize" => "a whole number, 0 or more".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "i64" | "i32" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "a string" | "a borrowed string" => "text in double quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list: [ … ]".to_owned(),
        "a map" => "an object: { … }".to_owned(),
        "string or map" => "one of its words, in double quotes".to_owned(),
        other if other.starts_with("struct ") => "an object: { … }".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Outer {
        inner: Inner,
        list: Vec<Inner>,
        word: Word,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        delay_ms: u64,
        small: u16,
        is_so: bool,
        text: String,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        #[default]
        ByHand,
        Busy,
    }

    #[derive(Debug, Deserialize)]
    struct Needs {
        this: String,
    }

    fn error(value: Value) -> String {
        let problem = read::<Outer>(value).map(drop).expect_err("it is wrong");
        format!("{} / {}", problem.error(), problem.hint_text().unwrap_or_default())
    }

    #[test]
    fn an_error_says_where_it_is_what_is_there_and_what_may_be() {
        for (value, says) in [
            (
                json!({"inner": {"delay_ms": "soon"}}),
                "`inner.delay_ms` is \"soon\", but must be a whole number",
            ),
            (
                json!({"inner": {"delay_ms": -1}}),
                "`inner.delay_ms` is -1, but must be a whole number, 0 or more",
            ),
            (json!({"inner": {"delay_ms": 1.5}}), "`inner.delay_ms` is 1.5, but must be a whole number"),
            (
                json!({"list": [{}, {"small": 70000}]}),
                "`list[1].small` is 70000, but must be a whole number from 0",
            ),
            (json!({"inner": {"is_so": "yes"}}), "`inner.is_so` is \"yes\", but must be true or false"),
            (json!({"inner": {"text": {}}}), "`inner.text` is an object, but must be text in double quotes"),
            (json!({"inner": {"text": null}}), "`inner.text` is null, but must be text in double quotes"),
            (json!({"inner": 7}), "`inner` is 7, but must be an object"),
            (json!({"list": {}}), "`list` is an object, but must be a list"),
            (
                json!({"word": "bussy"}),
                "`word` is \"bussy\"; did you mean \"busy\"? / it may be by-hand, busy",
            ),
            (json!({"inner": {"delay": 1}}), "`inner.delay` is not known; did you mean `delay_ms`?"),
            (json!({"inner": {"delay": 1}}), "there may be in `inner`: delay_ms, small, is_so, text"),
            (
                json!({"wrod": 1}),
                "`wrod` is not known; did you mean `word`? / there may be: inner, list, word",
            ),
            (json!({"colour": 1}), "`colour` is not known / there may be: inner, list, word"),
        ] {
            let error = error(value);
            assert!(error.contains(says), "{error}: {says}");
        }
        let missing = read::<Needs>(json!({})).map(|needs| needs.this).expect_err("it is missing");
        assert_eq!(missing.error(), "`this` is missing");
    }

    #[test]
    fn what_is_long_is_not_repeated_at_length() {
        let long = "x".repeat(100_000);
        for value in [
            json!({"inner": {"delay_ms": long}}),
            json!({"word": long}),
            json!({long.as_str(): 1}),
            json!({"inner": {long.as_str(): 1}}),
        ] {
            assert!(error(value).len() < 600);
        }
    }
}
