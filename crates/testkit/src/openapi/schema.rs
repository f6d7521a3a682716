//! What a value may be.

use serde_json::Value;

use super::Document;

/// A schema of a document.
#[derive(Debug, Clone)]
pub struct Schema<'d> {
    document: &'d Document,
    node: &'d Value,
    /// Where it stands in the document; the same place has the same pointer, however it is reached.
    pointer: String,
}

/// What is wrong with a part of a value.
#[derive(Debug)]
struct Problem {
    /// Where in the value: `messages[0].price`.
    place: String,
    /// Which schema says so.
    pointer: String,
    /// What is wrong, in words that are the same for each value that is wrong in this way.
    what: String,
}

impl<'d> Schema<'d> {
    pub(super) fn new(document: &'d Document, node: &'d Value, pointer: String) -> Self {
        let (node, pointer) = match node.get("$ref") {
            Some(_) => document.resolve(node, pointer),
            None => (node, pointer),
        };
        Self { document, node, pointer }
    }

    /// What is wrong with a value, one sentence for each place. A property that the schema does not have is wrong;
    /// one that is absent is wrong only where the schema requires it.
    pub fn check(&self, value: &Value) -> Vec<String> {
        self.sentences(value, false)
    }

    /// As [`Schema::check`], and an absent property is wrong too, unless the document's examples lack it as well.
    pub fn check_complete(&self, value: &Value) -> Vec<String> {
        self.sentences(value, true)
    }

    /// What is wrong with a form: fields as they were before they were encoded.
    pub fn check_form(&self, fields: &[(String, String)]) -> Vec<String> {
        let mut problems = Vec::new();
        for name in self.required() {
            if fields.iter().all(|(given, _)| given != name) {
                problems.push(format!("form: {name} is missing"));
            }
        }
        for (index, (name, _)) in fields.iter().enumerate() {
            if fields[..index].iter().any(|(before, _)| before == name) {
                continue;
            }
            let texts = fields.iter().filter(|(given, _)| given == name).map(|(_, text)| text.as_str());
            match self.property(name) {
                Some(schema) => problems.extend(schema.check_texts(name, texts)),
                None => problems.push(format!("form: there is no {name}")),
            }
        }
        problems
    }

    /// What is wrong with the texts that a query, a path or a form gives for one name. An array is given by giving
    /// its name more than once.
    pub(super) fn check_texts<'t>(&self, name: &str, texts: impl Iterator<Item = &'t str>) -> Vec<String> {
        let texts: Vec<_> = texts.collect();
        let is_array = self.kind() == "array";
        let mut problems = Vec::new();
        if texts.len() > 1 && !is_array {
            problems.push(format!("{name}: comes {} times", texts.len()));
        }
        let each = if is_array { self.items() } else { Some(self.clone()) };
        for text in texts {
            let Some(schema) = &each else { continue };
            match schema.value_of(text) {
                Some(value) => {
                    problems
                        .extend(schema.check(&value).into_iter().map(|problem| format!("{name} {problem}")));
                }
                None => problems.push(format!("{name}: {text:?} is no {}", schema.kind())),
            }
        }
        problems
    }

    /// What a document's example does against its schema: where, and what.
    pub(super) fn contradictions(&self, example: &Value) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        self.collect(example, "", true, &mut problems);
        problems.into_iter().map(|problem| (problem.pointer, problem.what)).collect()
    }

    fn sentences(&self, value: &Value, complete: bool) -> Vec<String> {
        let mut problems = Vec::new();
        self.collect(value, "", complete, &mut problems);
        problems
            .into_iter()
            .map(|problem| ((problem.pointer, problem.what), problem.place))
            .filter(|(contradiction, _)| !self.document.excused.contains(contradiction))
            .map(|((_, what), place)| format!("{place}: {what}"))
            .collect()
    }

    fn collect(&self, value: &Value, place: &str, complete: bool, problems: &mut Vec<Problem>) {
        let mut problem = |what: String| {
            problems.push(Problem { place: place.to_owned(), pointer: self.pointer.clone(), what });
        };
        if value.is_null() {
            if self.node["nullable"] != Value::Bool(true) && !self.kind().is_empty() {
                problem("must not be null".to_owned());
            }
            return;
        }
        assert!(self.node.get("allOf").is_none(), "{}: allOf is not understood", self.pointer);
        for key in ["oneOf", "anyOf"] {
            if let Some(choices) = self.node.get(key).and_then(Value::as_array) {
                let schemas = choices.iter().enumerate().map(|(index, node)| self.below(node, key, index));
                if !schemas.into_iter().any(|schema| schema.check(value).is_empty()) {
                    problem(format!("fits no schema of {key}"));
                }
                return;
            }
        }
        if !is_of_kind(value, self.kind()) {
            problem(format!("is {}, not {}", kind_of(value), self.kind()));
            return;
        }
        self.check_scalar(value, &mut problem);
        match value {
            Value::Array(rows) => {
                let Some(schema) = self.items() else { return };
                for (index, row) in rows.iter().enumerate() {
                    schema.collect(row, &format!("{place}[{index}]"), complete, problems);
                }
            }
            Value::Object(properties) => {
                let Some(known) = self.node.get("properties").and_then(Value::as_object) else { return };
                let open = self.node.get("additionalProperties").is_some();
                for (name, value) in properties {
                    match self.property(name) {
                        Some(schema) => schema.collect(value, &format!("{place}.{name}"), complete, problems),
                        None if open => {}
                        None => problem_at(problems, place, &self.pointer, format!("there is no {name}")),
                    }
                }
                let required: Vec<_> = self.required().collect();
                for name in known.keys().filter(|name| complete || required.contains(&name.as_str())) {
                    if !properties.contains_key(name) {
                        problem_at(problems, place, &self.pointer, format!("{name} is missing"));
                    }
                }
            }
            _ => {}
        }
    }

    /// What is said of texts and numbers.
    fn check_scalar(&self, value: &Value, problem: &mut impl FnMut(String)) {
        if let Some(words) = self.node.get("enum").and_then(Value::as_array)
            && !words.contains(value)
        {
            problem(format!("{value} is not among the words of the enum"));
        }
        if let Some(number) = value.as_f64() {
            if self.node["minimum"].as_f64().is_some_and(|minimum| number < minimum) {
                problem(format!("is less than {}", self.node["minimum"]));
            }
            if self.node["maximum"].as_f64().is_some_and(|maximum| number > maximum) {
                problem(format!("is more than {}", self.node["maximum"]));
            }
        }
        let Some(text) = value.as_str() else { return };
        let characters = text.chars().count() as u64;
        if self.node["minLength"].as_u64().is_some_and(|minimum| characters < minimum)
            || self.node["maxLength"].as_u64().is_some_and(|maximum| characters > maximum)
        {
            problem("is too short or too long".to_owned());
        }
        if let Some(pattern) = self.node["pattern"].as_str()
            && !is_sid(pattern, text)
        {
            problem(format!("does not fit {pattern}"));
        }
        if let Some(format) = self.node["format"].as_str()
            && !is_of_format(format, text)
        {
            let empty = if text.is_empty() { "empty, which is " } else { "" };
            problem(format!("is {empty}no {format}"));
        }
    }

    /// `string`, `integer`, `number`, `boolean`, `array`, `object`; empty where anything goes.
    fn kind(&self) -> &'d str {
        self.node.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    fn items(&self) -> Option<Self> {
        self.node.get("items").map(|node| Self::new(self.document, node, format!("{}/items", self.pointer)))
    }

    fn property(&self, name: &str) -> Option<Self> {
        let node = self.node.get("properties")?.get(name)?;
        Some(Self::new(self.document, node, format!("{}/properties/{name}", self.pointer)))
    }

    fn below(&self, node: &'d Value, key: &str, index: usize) -> Self {
        Self::new(self.document, node, format!("{}/{key}/{index}", self.pointer))
    }

    fn required(&self) -> impl Iterator<Item = &'d str> {
        self.node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// A text of a form as the value that it stands for.
    fn value_of(&self, text: &str) -> Option<Value> {
        match self.kind() {
            "integer" => text.parse::<i64>().ok().map(Value::from),
            "number" => text.parse::<f64>().ok().filter(|it| it.is_finite()).map(Value::from),
            "boolean" => text.parse::<bool>().ok().map(Value::from),
            "object" => serde_json::from_str(text).ok().filter(Value::is_object),
            _ => Some(Value::from(text)),
        }
    }
}

fn problem_at(problems: &mut Vec<Problem>, place: &str, pointer: &str, what: String) {
    problems.push(Problem { place: place.to_owned(), pointer: pointer.to_owned(), what });
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_of_kind(value: &Value, kind: &str) -> bool {
    kind.is_empty() || kind_of(value) == kind || (kind == "number" && value.is_number())
}

/// The patterns of these documents are those of SIDs: letters, then 32 hex digits.
fn is_sid(pattern: &str, text: &str) -> bool {
    let prefix = pattern.strip_prefix('^').and_then(|it| it.strip_suffix("[0-9a-fA-F]{32}$"));
    let prefix = prefix.unwrap_or_else(|| panic!("the pattern {pattern} is not understood"));
    let Some((letters, digits)) = text.split_at_checked(2) else { return false };
    let letters_fit = match prefix {
        "[a-zA-Z]{2}" => letters.bytes().all(|byte| byte.is_ascii_alphabetic()),
        _ => prefix.trim_matches(['(', ')']).split('|').any(|choice| choice == letters),
    };
    letters_fit && digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_of_format(format: &str, text: &str) -> bool {
    match format {
        "uri" => {
            let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
            printable && (text.starts_with('/') || text.contains("://"))
        }
        // A day is a time too where a list is narrowed by one.
        "date-time" => is_date_time(text) || fits("9999-99-99", text),
        "date" => fits("9999-99-99", text),
        "date-time-rfc-2822" => ["Aaa, 99 Aaa 9999 99:99:99 +9999", "Aaa, 9 Aaa 9999 99:99:99 +9999"]
            .iter()
            .any(|mask| fits(mask, text)),
        "http-method" => matches!(text, "GET" | "POST"),
        "iso-country-code" => fits("AA", text),
        "currency" => fits("AAA", text) || fits("aaa", text),
        "twiml" => text.trim_start().starts_with('<'),
        // Numbers are also short codes, names, and addresses of other channels.
        "phone-number" | "endpoint" => !text.is_empty(),
        // Formats of numbers and objects, for which their type says enough.
        _ => true,
    }
}

/// `2015-07-30T20:00:00Z`, with a fraction of a second or an offset if need be.
fn is_date_time(text: &str) -> bool {
    let Some((seconds, rest)) = text.split_at_checked("9999-99-99T99:99:99".len()) else { return false };
    let zone =
        rest.strip_prefix('.').map_or(rest, |it| it.trim_start_matches(|it: char| it.is_ascii_digit()));
    fits("9999-99-99T99:99:99", seconds)
        && (zone == "Z" || ["+99:99", "-99:99"].iter().any(|mask| fits(mask, zone)))
}

/// Whether a text has the shape of a mask: `9` a digit, `A` a capital, `a` a small letter, others themselves.
fn fits(mask: &str, text: &str) -> bool {
    mask.len() == text.len()
        && mask.bytes().zip(text.bytes()).all(|(mask, byte)| match mask {
            b'9' => byte.is_ascii_digit(),
            b'A' => byte.is_ascii_uppercase(),
            b'a' => byte.is_ascii_lowercase(),
            other => other == byte,
        })
}
