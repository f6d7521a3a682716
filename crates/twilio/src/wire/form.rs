//! `application/x-www-form-urlencoded`, in bodies and in queries.

use std::fmt;

/// The fields of a form in their order; a name may come more than once (`StatusCallbackEvent` does).
///
/// Its `Debug` shows names alone: values are phone numbers, texts and secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a body or a query. Any bytes are a form: what is not UTF-8 is replaced, as the WHATWG's rules say.
    pub fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// All values of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// All fields, names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Adds a field at the end, if there is a value.
    pub fn push_some(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// The form as a body or a query.
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.pairs()).finish()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Form {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let form: Form =
            [("To", "+14155550100"), ("Body", "a&b = ü\n"), ("E", "1"), ("E", "2")].into_iter().collect();
        assert_eq!(Form::parse(form.encode().as_bytes()), form);
        assert_eq!(form.all("E").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(form.get("to"), None, "names have a case");
    }

    #[test]
    fn no_value_is_printed() {
        let form: Form = [("AuthToken", "secret")].into_iter().collect();
        assert_eq!(format!("{form:?}"), "[\"AuthToken\"]");
    }
}
