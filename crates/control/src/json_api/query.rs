//! What a query may say: names, forms, and nothing else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_model::Sid;
use serde_json::{Value, json};

use super::problem::{Kind, Problem, WrongPart};
use crate::views::{Page, SIZE_MAX};

/// A parameter of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) description: &'static str,
}

/// What a parameter looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Text,
    Account,
    Word(&'static [&'static str]),
    Flag,
    Size,
    /// The number of a row, which counts up from 1; 0 is before all of them.
    Row,
    Time,
}

/// A parameter that was given, read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    Text(String),
    Account(Sid),
    Flag(bool),
    Size(usize),
    Row(i64),
    Time(Timestamp),
}

/// The parameters that were given.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<&'static str, Given>);

/// Where a list goes on.
pub(crate) const CURSOR: Parameter = Parameter {
    name: "cursor",
    form: Form::Text,
    description: "Where the list goes on: what the page before gave as `next`.",
};

/// How long a page is.
pub(crate) const PAGE_SIZE: Parameter = Parameter {
    name: "page_size",
    form: Form::Size,
    description: "How many at most; 100 if it is not given.",
};

/// Reads a query. Every parameter that is unknown, doubled or wrong is named.
pub(crate) fn read(query: &str, parameters: &'static [Parameter]) -> Result<Query, Problem> {
    let mut read = Query::default();
    let mut wrong = Vec::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let mut is_wrong = |detail: String| {
            wrong.push(WrongPart { pointer: None, parameter: Some(name.to_string()), detail });
        };
        let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
            let names: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
            let there_is = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            is_wrong(format!("there is no such parameter; there is {there_is}"));
            continue;
        };
        match parameter.form.read(&text) {
            Ok(_) if read.0.contains_key(parameter.name) => is_wrong("it is given twice".to_owned()),
            Ok(given) => {
                read.0.insert(parameter.name, given);
            }
            Err(what) => is_wrong(what),
        }
    }
    if wrong.is_empty() {
        return Ok(read);
    }
    let sentences: Vec<_> = wrong
        .iter()
        .map(|it| format!("{}: {}", it.parameter.as_deref().unwrap_or_default(), it.detail))
        .collect();
    Err(Problem::new(Kind::InvalidQuery, sentences.join("; ")).with_errors(wrong))
}

impl Form {
    fn read(self, text: &str) -> Result<Given, String> {
        match self {
            // No name of anything has it, and PostgreSQL does not take it.
            Self::Text if text.contains('\0') => Err("it has a NUL character".to_owned()),
            Self::Text => Ok(Given::Text(text.to_owned())),
            Self::Account => Sid::parse(text)
                .ok()
                .filter(|sid| sid.is("AC"))
                .map(Given::Account)
                .ok_or_else(|| "it is no SID of an account: `AC` and 32 hex digits".to_owned()),
            Self::Word(words) if words.contains(&text) => Ok(Given::Text(text.to_owned())),
            Self::Word(words) => Err(format!("it is one of {}", words.join(", "))),
            Self::Flag => match text {
                "true" => Ok(Given::Flag(true)),
                "false" => Ok(Given::Flag(false)),
                _ => Err("it is `true` or `false`".to_owned()),
            },
            Self::Size => {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let size = text.parse().ok().filter(|size| digits && (1..=SIZE_MAX).contains(size));
                size.map(Given::Size).ok_or_else(|| format!("it is a whole number from 1 to {SIZE_MAX}"))
            }
            Self::Row => {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let row = text.parse().ok().filter(|_| digits).map(Given::Row);
                row.ok_or_else(|| format!("it is a whole number from 0 to {}", i64::MAX))
            }
            // A plus that nobody escaped is read as a space, and no time has one.
            Self::Time => text
                .replace(' ', "+")
                .parse()
                .map(Given::Time)
                .map_err(|_| "it is no time such as 2026-11-26T08:00:00Z".to_owned()),
        }
    }

    pub(crate) fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string", "pattern": "^[^\\u0000]*$" }),
            Self::Account => json!({ "type": "string", "pattern": "^AC[0-9a-fA-F]{32}$" }),
            Self::Word(words) => json!({ "type": "string", "enum": words }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Size => json!({ "type": "integer", "minimum": 1, "maximum": SIZE_MAX }),
            Self::Row => json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
        }
    }
}

impl Query {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Given::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn account(&self, name: &str) -> Option<Sid> {
        match self.0.get(name) {
            Some(Given::Account(sid)) => Some(*sid),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Given::Flag(true))
    }

    pub(crate) fn row(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Given::Row(row)) => Some(*row),
            _ => None,
        }
    }

    pub(crate) fn time(&self, name: &str) -> Option<Timestamp> {
        match self.0.get(name) {
            Some(Given::Time(at)) => Some(*at),
            _ => None,
        }
    }

    pub(crate) fn page(&self) -> Page {
        let size = match self.0.get(PAGE_SIZE.name) {
            Some(Given::Size(size)) => *size,
            _ => Page::default().size,
        };
        Page { cursor: self.text(CURSOR.name).map(str::to_owned), size }
    }
}
