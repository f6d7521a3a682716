//! `--name value` and `--name` from the command line; each command reads the names it knows.
//!
//! Hand-written, because a measuring tool should build in seconds.

use crate::Outcome;
use std::collections::BTreeMap;
use std::str::FromStr;

pub(crate) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// A name followed by another name, or by nothing, is a switch.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut given = BTreeMap::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("expected --option, found {word:?}"))?;
            let value = words.next_if(|next| !next.starts_with("--")).unwrap_or_default();
            given.insert(name.to_owned(), value);
        }
        Ok(Self(given))
    }

    pub(crate) fn switch(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str, default: T) -> Outcome<T> {
        match self.0.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("--{name} takes a number, not {text:?}").into()),
        }
    }

    /// The parts of a comma-separated list; empty where the option is absent.
    pub(crate) fn list<'a>(&'a self, name: &str) -> Vec<&'a str> {
        self.text(name, "").split(',').filter(|part| !part.is_empty()).collect()
    }
}
