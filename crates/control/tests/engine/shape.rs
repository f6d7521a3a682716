//! As much of JSON Schema 2020-12 as the API's document uses. A word that is not understood panics rather than passes.

#![expect(clippy::panic, reason = "a document that cannot be understood has failed the test")]

use serde_json::Value;

/// Panics where a value is not what the schema says, or has a property that the schema does not know.
#[track_caller]
pub(crate) fn check(document: &Value, schema: &Value, value: &Value) {
    let mut problems = Vec::new();
    collect(document, schema, value, "#", &mut problems);
    assert!(problems.is_empty(), "{problems:#?}\n{value:#}");
}

fn collect(document: &Value, schema: &Value, value: &Value, place: &str, problems: &mut Vec<String>) {
    for (word, said) in schema.as_object().unwrap_or_else(|| panic!("{place}: no schema: {schema}")) {
        match word.as_str() {
            "$ref" => {
                let pointer = said.as_str().and_then(|said| said.strip_prefix('#')).expect("inside");
                let target = document.pointer(pointer).unwrap_or_else(|| panic!("{said} leads nowhere"));
                collect(document, target, value, place, problems);
            }
            "anyOf" | "oneOf" => {
                let fits = said.as_array().expect("a list").iter().any(|choice| {
                    let mut found = Vec::new();
                    collect(document, choice, value, place, &mut found);
                    found.is_empty()
                });
                if !fits {
                    problems.push(format!("{place}: fits nothing of {word}: {value}"));
                }
            }
            "type" => {
                let is = |kind: &Value| is_of(value, kind.as_str().expect("a word"));
                if !said.as_array().map_or_else(|| is(said), |kinds| kinds.iter().any(is)) {
                    problems.push(format!("{place}: is no {said}: {value}"));
                }
            }
            "enum" if !said.as_array().expect("a list").contains(value) => {
                problems.push(format!("{place}: {value} is none of {said}"));
            }
            "const" if said != value => problems.push(format!("{place}: {value} is not {said}")),
            "required" if value.is_object() => {
                for name in said.as_array().expect("a list") {
                    if value.get(name.as_str().expect("a name")).is_none() {
                        problems.push(format!("{place}: lacks {name}"));
                    }
                }
            }
            "properties" => {
                let known = said.as_object().expect("an object");
                for (name, value) in value.as_object().into_iter().flatten() {
                    match known.get(name) {
                        Some(schema) => {
                            collect(document, schema, value, &format!("{place}/{name}"), problems);
                        }
                        None => problems.push(format!("{place}: the document has no {name}")),
                    }
                }
            }
            "additionalProperties" if said.is_object() && schema.get("properties").is_none() => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    collect(document, said, value, &format!("{place}/{name}"), problems);
                }
            }
            "items" => {
                for (number, value) in value.as_array().into_iter().flatten().enumerate() {
                    collect(document, said, value, &format!("{place}/{number}"), problems);
                }
            }
            "minimum" | "maximum" => {
                let (given, bound) = (value.as_f64(), said.as_f64());
                let is_within = if word == "minimum" { given >= bound } else { given <= bound };
                if given.is_some() && !is_within {
                    problems.push(format!("{place}: {value} is beyond {word} {said}"));
                }
            }
            "pattern" => {
                if value.as_str().is_some_and(|text| !fits(said.as_str().expect("a pattern"), text)) {
                    problems.push(format!("{place}: {value} does not fit {said}"));
                }
            }
            "format" => match said.as_str() {
                Some("date-time") => {
                    if value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_err()) {
                        problems.push(format!("{place}: {value} is no time"));
                    }
                }
                // Widths of numbers, which JSON does not have.
                Some("int64" | "uint" | "uint8" | "uint16" | "uint32" | "uint64" | "double") => {}
                _ => panic!("{place}: the format {said} is not understood"),
            },
            "enum" | "const" | "required" | "additionalProperties" | "description" | "title" | "default" => {}
            _ => panic!("{place}: {word} is not understood"),
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("there is no type {kind}"),
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    let is_sid = |kind: &str| {
        text.strip_prefix(kind)
            .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    match pattern {
        "^AC[0-9a-fA-F]{32}$" => is_sid("AC"),
        "^UT[0-9a-fA-F]{32}$" => is_sid("UT"),
        "^[A-Z]{2}[0-9a-fA-F]{32}$" => {
            let kind = text.get(..2).filter(|kind| kind.bytes().all(|byte| byte.is_ascii_uppercase()));
            kind.is_some_and(is_sid)
        }
        "^-?[0-9]+(\\.[0-9]+)?$" => {
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let text = text.strip_prefix('-').unwrap_or(text);
            text.split_once('.').map_or_else(|| digits(text), |(whole, part)| digits(whole) && digits(part))
        }
        _ => panic!("the pattern {pattern} is not understood"),
    }
}
