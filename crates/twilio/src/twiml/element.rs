//! XML into a tree, within bounds: no DTD, no entities but the five of XML, no more depth than TwiML needs.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::{InvalidTwiml, encoding};

/// Twilio takes no longer answers: <https://www.twilio.com/docs/api/errors/11750>.
const BYTES_MAX: usize = 64 * 1024;
/// `Response`, `Gather`, `Say`, a phoneme of SSML inside another, and some more.
const DEPTH_MAX: usize = 16;

/// An element with what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name, with a case: `Say` is a verb, `say` is none.
    pub name: String,
    /// Names and values, as they stand.
    pub attributes: Vec<(String, String)>,
    /// Elements and text in their order.
    pub nodes: Vec<Node>,
    /// Whether a comment, an instruction or the edge of a CDATA section breaks the text directly in it into pieces: some readers
    /// take one of them for all of it.
    pub is_broken: bool,
    /// Where its start tag is in the text of the document, in bytes.
    pub tag: Range<usize>,
}

/// What stands in an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Another element.
    Element(Element),
    /// Text, with its entities resolved.
    Text(String),
}

impl Element {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The elements directly in it.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// All text in it at any depth, white space at its ends taken off and the rest folded, as it is spoken or dialled.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.gather_text(&mut text);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The text directly in it, as it stands, white space at its ends taken off, as XML knows it (XML 1.0, production 3): a
    /// message keeps its lines, and each other character is one of it.
    pub fn own_text(&self) -> String {
        let own: String = self
            .nodes
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect();
        own.trim_matches([' ', '\t', '\r', '\n']).to_owned()
    }

    fn gather_text(&self, text: &mut String) {
        for node in &self.nodes {
            match node {
                Node::Text(own) => text.push_str(own),
                Node::Element(element) => {
                    text.push(' ');
                    element.gather_text(text);
                    text.push(' ');
                }
            }
        }
    }
}

/// Reads a document into its root element.
pub(super) fn parse(bytes: &[u8]) -> Result<Element, InvalidTwiml> {
    check_length(bytes)?;
    read(&encoding::decode(bytes)?)
}

/// Whether it is no longer than what Twilio takes.
pub(super) fn check_length(bytes: &[u8]) -> Result<(), InvalidTwiml> {
    if bytes.len() > BYTES_MAX { Err(InvalidTwiml::TooLarge) } else { Ok(()) }
}

/// A comment ends where every reader has it end: without two hyphens in it (XML 1.0, section 2.5), nor with what HTML takes
/// for its end.
fn check_comment(inner: &str) -> Result<(), InvalidTwiml> {
    let ends_early = inner.starts_with('>') || inner.starts_with("->") || inner.ends_with('-');
    if ends_early || inner.contains("--") {
        return Err(InvalidTwiml::NotXml("a comment in it has two ends".to_owned()));
    }
    Ok(())
}

/// An element that has not ended.
struct Open {
    element: Element,
    /// Whether it has text that is more than white space.
    had_text: bool,
    /// Whether something has ended a piece of such text.
    had_break: bool,
}

/// Reads the text of a document into its root element.
pub(super) fn read(whole: &str) -> Result<Element, InvalidTwiml> {
    let text = whole.strip_prefix('\u{feff}').unwrap_or(whole).trim_start();
    let before = whole.len() - text.len();
    let mut reader = Reader::from_str(text);
    let place = |reader: &Reader<_>| before + usize::try_from(reader.buffer_position()).unwrap_or(text.len());
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    loop {
        let begun = place(&reader);
        let event = reader.read_event().map_err(|error| not_xml(&error))?;
        let tag = begun..place(&reader);
        match event {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX {
                    return Err(InvalidTwiml::TooDeep);
                }
                open.push(Open { element: element(&start, tag)?, had_text: false, had_break: false });
            }
            Event::Empty(start) => close(element(&start, tag)?, &mut open, &mut root)?,
            Event::End(_) => {
                let ended =
                    open.pop().ok_or_else(|| InvalidTwiml::NotXml("an end without a start".to_owned()))?;
                close(ended.element, &mut open, &mut root)?;
            }
            Event::Text(text) => put_text(&text.xml10_content(), &mut open)?,
            Event::CData(text) => {
                note_break(&mut open);
                put_text(&text.xml10_content(), &mut open)?;
                note_break(&mut open);
            }
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref().map_err(|error| not_xml(&error))? {
                    Some(char) => char.to_string(),
                    None => entity(&reference.xml10_content())?.to_owned(),
                };
                put_text(&resolved, &mut open)?;
            }
            // An entity that is declared could stand for anything, of any size.
            Event::DocType(_) => return Err(InvalidTwiml::NotXml("a DTD is not taken".to_owned())),
            Event::Comment(inner) => {
                check_comment(&inner.xml10_content())?;
                note_break(&mut open);
            }
            Event::PI(_) => note_break(&mut open),
            Event::Decl(_) if open.is_empty() && root.is_none() => {}
            Event::Decl(_) => {
                return Err(InvalidTwiml::NotXml("a declaration is not at its beginning".to_owned()));
            }
            Event::Eof => break,
        }
    }
    match (open.pop(), root) {
        (Some(unclosed), _) => {
            Err(InvalidTwiml::NotXml(format!("<{}> is not closed", unclosed.element.name)))
        }
        (None, None) => Err(InvalidTwiml::NotXml("there is no element in it".to_owned())),
        (None, Some(root)) => Ok(root),
    }
}

fn element(start: &BytesStart<'_>, tag: Range<usize>) -> Result<Element, InvalidTwiml> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| not_xml(&error))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| not_xml(&error))?;
        attributes.push((attribute.key.into_inner().to_owned(), value.into_owned()));
    }
    Ok(Element {
        name: start.name().into_inner().to_owned(),
        attributes,
        nodes: Vec::new(),
        is_broken: false,
        tag,
    })
}

fn close(ended: Element, open: &mut [Open], root: &mut Option<Element>) -> Result<(), InvalidTwiml> {
    match open.last_mut() {
        Some(parent) => parent.element.nodes.push(Node::Element(ended)),
        None if root.is_some() => return Err(InvalidTwiml::NotXml("there are two roots".to_owned())),
        None => *root = Some(ended),
    }
    Ok(())
}

/// Notes that the text of the innermost element is not one piece, where it has any before.
fn note_break(open: &mut [Open]) {
    if let Some(Open { had_text, had_break, .. }) = open.last_mut() {
        *had_break |= *had_text;
    }
}

fn put_text(text: &str, open: &mut [Open]) -> Result<(), InvalidTwiml> {
    match open.last_mut() {
        Some(Open { element: parent, had_text, had_break }) => {
            let is_text = !text.trim().is_empty();
            parent.is_broken |= *had_break && is_text;
            *had_text |= is_text;
            match parent.nodes.last_mut() {
                Some(Node::Text(before)) => before.push_str(text),
                _ => parent.nodes.push(Node::Text(text.to_owned())),
            }
        }
        None if text.trim().is_empty() => {}
        None => return Err(InvalidTwiml::NotXml("there is text outside the root".to_owned())),
    }
    Ok(())
}

fn entity(name: &str) -> Result<&'static str, InvalidTwiml> {
    match name {
        "amp" => Ok("&"),
        "lt" => Ok("<"),
        "gt" => Ok(">"),
        "quot" => Ok("\""),
        "apos" => Ok("'"),
        _ => Err(InvalidTwiml::NotXml(format!("&{name}; is not an entity of XML"))),
    }
}

fn not_xml(error: &dyn std::fmt::Display) -> InvalidTwiml {
    InvalidTwiml::NotXml(error.to_string())
}
