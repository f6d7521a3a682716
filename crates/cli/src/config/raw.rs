//! What was typed: tables, keys and values, each with the place where it stands in the file.
//!
//! Nothing is meant here yet. A section says which keys it has; this module finds the others, names the
//! nearest valid one, and hands out values by type. It reads the spanned document of `toml` and not serde's
//! derive, because serde stops at the first problem and knows a value's line only where each field asks.

use std::fmt::Display;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::Problems;

/// The keys that a table may have.
#[derive(Debug)]
pub(super) struct Section {
    /// As people write it: `[listen]`, `[[route]]`, or the name of an inline table.
    pub(super) name: &'static str,
    /// What this version reads.
    pub(super) keys: &'static [&'static str],
    /// What a later version reads. Silence about them would let an operator believe that he is protected.
    pub(super) later: &'static [&'static str],
}

/// The name of the section that holds the others.
pub(super) const TOP_LEVEL: &str = "the file";

/// A table of the file whose keys are all known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    section: &'static Section,
    entries: &'a DeTable<'a>,
    offset: usize,
}

/// One value and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    section: &'static Section,
    key: &'static str,
    value: &'a DeValue<'a>,
    offset: usize,
}

impl<'a> Table<'a> {
    /// Looks at the whole document as a table.
    pub(super) fn of_document(
        document: &'a Spanned<DeTable<'a>>,
        section: &'static Section,
        all: &[&Section],
        problems: &mut Problems,
    ) -> Self {
        let table = Self { section, entries: document.get_ref(), offset: 0 };
        table.report_unknown_keys(all, problems);
        table
    }

    /// The value of `key`, if it was typed.
    pub(super) fn find(&self, key: &'static str) -> Option<Field<'a>> {
        debug_assert!(self.section.keys.contains(&key), "{key} is not declared in {}", self.section.name);
        let (_, value) = self.entries.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Field { section: self.section, key, value: value.get_ref(), offset: value.span().start })
    }

    /// The value of `key`; its absence is a problem. `form` says what to write.
    pub(super) fn required(
        &self,
        key: &'static str,
        form: &str,
        problems: &mut Problems,
    ) -> Option<Field<'a>> {
        let found = self.find(key);
        if found.is_none() {
            problems.error(self.offset, format!("{} has no `{key}`; write {form}", self.section.name));
        }
        found
    }

    /// Whether `key` was typed, whatever its value.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// Where the table begins.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Notes a problem of `key`, on its own line where it was typed, else on the table's.
    pub(super) fn wrong(&self, key: &'static str, what: impl Display, problems: &mut Problems) {
        match self.find(key) {
            Some(field) => field.wrong(what, problems),
            None => problems.error(self.offset, format!("`{key}` in {}: {what}", self.section.name)),
        }
    }

    /// Notes a warning about `key`, on its own line where it was typed, else on the table's.
    pub(super) fn doubtful(&self, key: &'static str, what: impl Display, problems: &mut Problems) {
        let offset = self.find(key).map_or(self.offset, |field| field.offset);
        problems.warning(offset, format!("`{key}` in {}: {what}", self.section.name));
    }

    fn report_unknown_keys(&self, all: &[&Section], problems: &mut Problems) {
        for (key, _) in self.entries {
            let name = key.get_ref().as_ref();
            let section = self.section;
            if section.keys.contains(&name) {
                continue;
            }
            let text = if section.later.contains(&name) {
                let place = if section.name == TOP_LEVEL {
                    format!("[{name}]")
                } else {
                    format!("`{name}` in {}", section.name)
                };
                format!(
                    "{place}: this version does not have it yet, so nothing of it would be in force; remove it"
                )
            } else if let Some(nearest) = nearest(name, section.keys) {
                format!("unknown key \"{name}\" in {}; did you mean \"{nearest}\"?", section.name)
            } else if let Some(other) = all.iter().find(|other| other.keys.contains(&name)) {
                format!("unknown key \"{name}\" in {}; it belongs in {}", section.name, other.name)
            } else {
                format!(
                    "unknown key \"{name}\" in {}; it may have: {}",
                    section.name,
                    section.keys.join(", ")
                )
            };
            problems.error(key.span().start, text);
        }
    }
}

impl<'a> Field<'a> {
    /// Where the value begins.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Notes a problem of this value. `what` must not hold a secret.
    pub(super) fn wrong(&self, what: impl Display, problems: &mut Problems) {
        problems.error(self.offset, format!("`{}` in {}: {what}", self.key, self.section.name));
    }

    /// Notes a warning about this value. `what` must not hold a secret.
    pub(super) fn doubtful(&self, what: impl Display, problems: &mut Problems) {
        problems.warning(self.offset, format!("`{}` in {}: {what}", self.key, self.section.name));
    }

    /// The text, if it is one; says nothing otherwise.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => None,
        }
    }

    /// A text that `read` makes sense of. `read` says what is wrong with it, `form` what to write instead.
    pub(super) fn parse<T, E: Display>(
        &self,
        form: &str,
        problems: &mut Problems,
        read: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(text) = self.as_text() else {
            self.wrong_type("a text", form, problems);
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(what) => {
                self.wrong(format_args!("\"{}\" {what}; write {form}", text.escape_debug()), problems);
                None
            }
        }
    }

    /// As [`parse`](Field::parse), for what may hold a password or is personal: it is not echoed.
    pub(super) fn parse_unshown<T, E: Display>(
        &self,
        form: &str,
        problems: &mut Problems,
        read: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(text) = self.as_text() else {
            self.wrong_type("a text", form, problems);
            return None;
        };
        read(text).map_err(|what| self.wrong(format_args!("this {what}; write {form}"), problems)).ok()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&'static str, T)], problems: &mut Problems) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let form = alternatives(&names);
        let Some(text) = self.as_text() else {
            self.wrong_type("a text", &form, problems);
            return None;
        };
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let hint = match nearest(text, &names) {
            Some(nearest) => format!("did you mean \"{nearest}\"? It may be {form}"),
            None => format!("write {form}"),
        };
        self.wrong(format_args!("\"{}\" is none of its values; {hint}", text.escape_debug()), problems);
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        if let DeValue::Boolean(value) = self.value {
            return Some(*value);
        }
        self.wrong_type("true or false", "true or false, without quotes", problems);
        None
    }

    /// A whole number from `least` to `most`, both included.
    pub(super) fn integer(&self, least: usize, most: usize, problems: &mut Problems) -> Option<usize> {
        let form = format!("a whole number from {least} to {most}, without quotes");
        let DeValue::Integer(digits) = self.value else {
            self.wrong_type("a whole number", &form, problems);
            return None;
        };
        let number = usize::from_str_radix(digits.as_str(), digits.radix()).ok();
        if number.is_none_or(|number| number < least || number > most) {
            self.wrong(format_args!("{digits} is out of range; write {form}"), problems);
            return None;
        }
        number
    }

    /// The values of a list.
    pub(super) fn list(&self, form: &str, problems: &mut Problems) -> Option<Vec<Self>> {
        let DeValue::Array(values) = self.value else {
            self.wrong_type("a list", form, problems);
            return None;
        };
        let at = |value: &'a Spanned<DeValue<'a>>| Self {
            value: value.get_ref(),
            offset: value.span().start,
            ..*self
        };
        Some(values.iter().map(at).collect())
    }

    /// The table that stands here; its unknown keys are reported.
    pub(super) fn table(
        &self,
        section: &'static Section,
        all: &[&Section],
        form: &str,
        problems: &mut Problems,
    ) -> Option<Table<'a>> {
        let DeValue::Table(entries) = self.value else {
            self.wrong_type("a table", form, problems);
            return None;
        };
        let table = Table { section, entries, offset: self.offset };
        table.report_unknown_keys(all, problems);
        Some(table)
    }

    /// The table that stands here, when its keys were looked at before.
    pub(super) fn as_table(&self, section: &'static Section) -> Option<Table<'a>> {
        match self.value {
            DeValue::Table(entries) => Some(Table { section, entries, offset: self.offset }),
            _ => None,
        }
    }

    /// Whether a table stands here.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    /// The value is not echoed: it could be a secret in the wrong place.
    pub(super) fn wrong_type(&self, expected: &str, form: &str, problems: &mut Problems) {
        let is = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format_args!("this is {is}, not {expected}; write {form}"), problems);
    }
}

/// `"a", "b" or "c"`.
pub(super) fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}

/// The word that was most likely meant: a few letters off, transpositions counted once.
pub(crate) fn nearest<'w>(typed: &str, words: &[&'w str]) -> Option<&'w str> {
    let typed = typed.to_ascii_lowercase().replace('-', "_");
    let distance = |word: &str| strsim::damerau_levenshtein(&typed, word);
    let best = words.iter().copied().min_by_key(|word| distance(word))?;
    // A third of the letters, at least one: "chekc" is "check", "gatte" is "gate", "foo" is nothing.
    let tolerated = (best.len() / 3).max(1);
    // Half a word is meant as the whole: "auth" for "auth_token", "user" for "users".
    let begun = typed.len() >= 4 && best.starts_with(&typed);
    if distance(best) <= tolerated || begun {
        return Some(best);
    }
    words.iter().copied().find(|word| typed.len() >= 4 && word.starts_with(&typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_a_few_letters_off_or_begins_alike() {
        let words = ["path", "check", "auth_token", "body_cap"];
        assert_eq!(nearest("chekc", &words), Some("check"));
        assert_eq!(nearest("Check", &words), Some("check"));
        assert_eq!(nearest("body-cap", &words), Some("body_cap"));
        assert_eq!(nearest("auth", &words), Some("auth_token"));
    }

    #[test]
    fn a_word_far_from_all_has_no_nearest() {
        assert_eq!(nearest("colour", &["path", "check"]), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
