//! `--name value` and `--name` from the command line; each command says which names it knows.
//!
//! Hand-written, because a measuring tool should build in seconds.

use crate::Outcome;
use std::collections::BTreeMap;
use std::str::FromStr;

#[derive(Debug)]
pub(crate) struct Arguments {
    given: BTreeMap<String, String>,
}

impl Arguments {
    /// What was typed after a command's name, which knows these options, each with a value, and these switches.
    pub(crate) fn parse(words: &[String], options: &[&str], switches: &[&str]) -> Result<Self, String> {
        let mut given = BTreeMap::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                return Err(format!("{word:?} belongs to no option"));
            };
            let value = words.next_if(|next| !next.starts_with("--"));
            let value = match (options.contains(&name), switches.contains(&name), value) {
                (true, _, Some(value)) => value.clone(),
                (true, _, None) => return Err(format!("--{name} takes a value")),
                (_, true, None) => String::new(),
                (_, true, Some(value)) => {
                    return Err(format!("--{name} takes no value, and {value:?} follows"));
                }
                _ => return Err(format!("there is no option --{name}")),
            };
            if given.insert(name.to_owned(), value).is_some() {
                return Err(format!("--{name} is there twice"));
            }
        }
        Ok(Self { given })
    }

    pub(crate) fn switch(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    pub(crate) fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.given.get(name).map_or(default, String::as_str)
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str, default: T) -> Outcome<T> {
        match self.given.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("--{name} takes a number, not {text:?}").into()),
        }
    }

    /// The parts of a comma-separated list; empty where the option is absent.
    pub(crate) fn list<'a>(&'a self, name: &str) -> Vec<&'a str> {
        self.text(name, "").split(',').filter(|part| !part.is_empty()).collect()
    }
}
