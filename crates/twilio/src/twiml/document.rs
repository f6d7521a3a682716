//! A document as it stands, for whoever answers for it: read so that nobody can read another one, and written again with
//! nothing changed but the attributes that had to be.

use std::ops::Range;

use super::encoding::{self, Encoding};
use super::{Element, InvalidTwiml, element};

/// A document that was read, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// `Response`.
    pub root: Element,
    text: String,
    encoding: Encoding,
}

/// An attribute to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttribute {
    /// The [start tag](Element::tag) of its element.
    pub tag: Range<usize>,
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: u32,
}

impl Document {
    /// Reads a document. Beyond [`super::parse`], what it says of its encoding must be true.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidTwiml> {
        element::check_length(bytes)?;
        let (text, encoding) = encoding::decode_strictly(bytes)?;
        // No XML 1.0 has one, and some readers end at the first.
        if text.chars().any(|char| char.is_ascii_control() && !char.is_ascii_whitespace()) {
            return Err(InvalidTwiml::NotXml("there is a control character in it".to_owned()));
        }
        let root = element::read(&text)?;
        if root.name != "Response" {
            return Err(InvalidTwiml::NotResponse(root.name));
        }
        Ok(Self { root, text: text.into_owned(), encoding })
    }

    /// Whether a reader who takes it to be in the encoding of this name reads the same.
    pub fn is_also(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        match self.encoding {
            Encoding::Utf16Be | Encoding::Utf16Le => name.starts_with("utf-16"),
            _ if self.text.is_ascii() => encoding::contains_ascii(name.as_bytes()),
            Encoding::Latin1 => matches!(&*name, "iso-8859-1" | "latin1"),
            Encoding::Utf8 => matches!(&*name, "utf-8" | "utf8"),
        }
    }

    /// The bytes of the document with these attributes set, each in its place or first in its tag. Every other byte is as
    /// it came.
    pub fn with(&self, attributes: &[NewAttribute]) -> Vec<u8> {
        let mut attributes: Vec<&NewAttribute> = attributes.iter().collect();
        attributes.sort_by_key(|attribute| std::cmp::Reverse(attribute.tag.start));
        let mut text = self.text.clone();
        for NewAttribute { tag, name, value } in attributes {
            if let Some(place) = value_in(&self.text, tag, name) {
                text.replace_range(place, &value.to_string());
            } else {
                let after = tag.start + name_end(self.text.get(tag.clone()).unwrap_or_default());
                text.insert_str(after, &format!(" {name}=\"{value}\""));
            }
        }
        encoding::encode(&text, self.encoding)
    }
}

/// Where the name of a start tag ends.
fn name_end(tag: &str) -> usize {
    tag.find(|char: char| char.is_ascii_whitespace() || matches!(char, '/' | '>')).unwrap_or(tag.len())
}

/// Where in the text the value of an attribute is, between its quotes. The tag was read before, so it is well-formed.
fn value_in(text: &str, tag: &Range<usize>, wanted: &str) -> Option<Range<usize>> {
    let whole = text.get(tag.clone())?;
    let mut at = name_end(whole);
    loop {
        let rest = whole.get(at..)?;
        at += rest.len() - rest.trim_ascii_start().len();
        let rest = whole.get(at..)?;
        let equals = rest.find('=')?;
        let name = rest.get(..equals)?.trim_ascii_end();
        let value = rest.get(equals + 1..)?.trim_ascii_start();
        let quote = value.chars().next().filter(|char| matches!(char, '"' | '\''))?;
        let begin = at + (rest.len() - value.len()) + 1;
        let end = begin + whole.get(begin..)?.find(quote)?;
        if name == wanted {
            return Some(tag.start + begin..tag.start + end);
        }
        at = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(bytes: &[u8]) -> Vec<u8> {
        let document = Document::read(bytes).unwrap();
        let dials = document.root.elements().filter(|it| it.name == "Dial");
        let new = dials.map(|it| NewAttribute { tag: it.tag.clone(), name: "timeLimit", value: 60 });
        document.with(&new.collect::<Vec<_>>())
    }

    #[test]
    fn a_control_character_is_refused_wherever_it_stands() {
        for text in
            ["<Response>\0</Response>", "<Response><Say>a\u{1}b</Say></Response>", "<Response a='\u{7f}'/>"]
        {
            assert!(matches!(Document::read(text.as_bytes()), Err(InvalidTwiml::NotXml(_))), "{text:?}");
        }
        assert!(Document::read(b"<Response>\r\n\t<Hangup/></Response>").is_ok());
    }

    #[test]
    fn what_is_not_in_the_encoding_that_it_names_is_refused() {
        for text in [
            "<?xml version='1.0' encoding='UTF-7'?><Response/>",
            "<?xml version='1.0' encoding='utf-16'?><Response/>",
            "<?xml version='1.0' encoding=ascii?><Response/>",
            "<?xml version='1.0' encoding='windows-1252'?><Response>\u{e9}</Response>",
            "<?xml version='1.0' encoding='ebcdic-cp-us'?><Response/>",
        ] {
            assert!(Document::read(text.as_bytes()).is_err(), "{text}");
        }
        let text = "\u{feff}<?xml version='1.0' encoding='utf-8'?><Response/>";
        let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(Document::read(&utf_16), Err(InvalidTwiml::NotText));
        assert!(Document::read(b"<?xml version='1.0' encoding='US-ASCII'?><Response/>").is_ok());
    }

    #[test]
    fn an_attribute_is_set_where_it_is_or_first_and_nothing_else_changes() {
        for (before, after) in [
            ("<Response><Dial>+1</Dial></Response>", "<Response><Dial timeLimit=\"60\">+1</Dial></Response>"),
            (
                "\u{feff}\n<Response><!-- <Dial> --><Dial\n\ttimeLimit = '9>9'  a=\"timeLimit='1'\"/><Dial/></Response>\n",
                "\u{feff}\n<Response><!-- <Dial> --><Dial\n\ttimeLimit = '60'  a=\"timeLimit='1'\"/><Dial timeLimit=\"60\"/></Response>\n",
            ),
            (
                "<Response><Say>\u{e9}<![CDATA[<Dial/>]]></Say><Dial a=\"x>y\" timeLimit=\"\"></Dial ></Response>",
                "<Response><Say>\u{e9}<![CDATA[<Dial/>]]></Say><Dial a=\"x>y\" timeLimit=\"60\"></Dial ></Response>",
            ),
        ] {
            assert_eq!(String::from_utf8(limited(before.as_bytes())).unwrap(), after);
            let units = |text: &str| {
                let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
                std::iter::once(0xfeff).chain(text.encode_utf16().collect::<Vec<_>>())
            };
            let be: Vec<u8> = units(before).flat_map(u16::to_be_bytes).collect();
            assert_eq!(limited(&be), units(after).flat_map(u16::to_be_bytes).collect::<Vec<_>>());
        }
        let latin = b"<?xml encoding='latin1' version='1.0'?><Response><Say>\xe9</Say><Dial/></Response>";
        let limited = limited(latin);
        assert!(limited.ends_with(b"<Say>\xe9</Say><Dial timeLimit=\"60\"/></Response>"), "{limited:?}");
    }
}
