//! The body of a request, understood as far as it must be.
//!
//! The one idea: nearly everything of Twilio's takes a form, whose fields are looked at one by one. JSON, in which nothing
//! is looked at but who is named, is for the few operations whose documents ask for it.

use std::fmt;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method};
use ringfence_twilio::wire::Form;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::form;
use super::refusal::Refusal;

/// What came.
pub(super) enum Content {
    Nothing,
    Form(Form),
    /// JSON. Its texts, each under the name of its member; and the bytes as they came.
    Json(Form, Bytes),
}

impl Content {
    pub(super) fn read(parts: &Parts, may_be_json: bool, body: Bytes) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self::Nothing);
        }
        if parts.method == Method::GET || parts.method == Method::HEAD {
            return Err(Refusal::BadRequest("body_of_a_read"));
        }
        let kind = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let media =
            kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        match media.as_slice() {
            b"application/x-www-form-urlencoded" => form::read(&body).map(Self::Form),
            b"application/json" if may_be_json => {
                let texts = texts(&body).map_err(|_| Refusal::Field("the body is no JSON".to_owned()))?;
                Ok(Self::Json(texts, body))
            }
            _ => Err(Refusal::ContentType),
        }
    }

    pub(super) fn form(&self) -> Option<&Form> {
        match self {
            Self::Form(form) => Some(form),
            Self::Nothing | Self::Json(..) => None,
        }
    }

    /// Everything in it that may name an account.
    pub(super) fn fields(&self) -> Option<&Form> {
        match self {
            Self::Form(fields) | Self::Json(fields, _) => Some(fields),
            Self::Nothing => None,
        }
    }

    /// As it is sent: a form in our own writing.
    pub(super) fn written(&self, form: Option<&Form>) -> (Option<HeaderValue>, Bytes) {
        const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
        match (self, form) {
            (Self::Json(_, bytes), _) => (Some(HeaderValue::from_static("application/json")), bytes.clone()),
            (_, Some(form)) if !form.is_empty() => (Some(FORM), Bytes::from(form.encode())),
            _ => (None, Bytes::new()),
        }
    }
}

/// Every text of a document with the name of the member that it is in, those of a member that is there twice too.
fn texts(json: &[u8]) -> Result<Form, serde_json::Error> {
    let mut texts = Form::new();
    let mut reader = serde_json::Deserializer::from_slice(json);
    Texts { texts: &mut texts, name: "" }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(texts)
}

struct Texts<'f> {
    texts: &'f mut Form,
    name: &'f str,
}

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.texts.push(self.name, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(Texts { texts: &mut *self.texts, name: self.name })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            members.next_value_seed(Texts { texts: &mut *self.texts, name: &name })?;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_seen_whoever_stands_there_twice() {
        let read = texts(br#"{"a":"1","a":["2",{"b":"3"}],"c":null,"d":[true,-1,2,0.5]}"#).unwrap();
        assert_eq!(read.pairs().collect::<Vec<_>>(), [("a", "1"), ("a", "2"), ("b", "3")]);
        for broken in ["", "{", "{} {}", "[1,]", "'a'"] {
            assert!(texts(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
