//! What must hold of any bytes at all that somebody answers as TwiML.
//!
//! The law is a function that panics where it does not hold. The tests ask it with the seeds that fuzzing has found, the
//! fuzz target (`fuzz/`) with whatever the fuzzer comes upon.

use ringfence_twilio::twiml::{self, Document, Element, NewAttribute, Node};

fn dials<'e>(element: &'e Element, found: &mut Vec<&'e Element>) {
    if element.name == "Dial" {
        found.push(element);
    }
    element.elements().for_each(|inner| dials(inner, found));
}

/// The same without places, and without the attribute that is set.
fn bare(element: &Element) -> Element {
    let attributes =
        element.attributes.iter().filter(|(name, _)| element.name != "Dial" || name != "timeLimit");
    let nodes = element.nodes.iter().map(|node| match node {
        Node::Element(inner) => Node::Element(bare(inner)),
        Node::Text(text) => Node::Text(text.clone()),
    });
    Element {
        name: element.name.clone(),
        attributes: attributes.cloned().collect(),
        nodes: nodes.collect(),
        is_broken: element.is_broken,
        tag: 0..0,
    }
}

/// What can be read can be read again with a time limit on each `Dial`, which is then the only thing that has changed.
pub(crate) fn twiml(bytes: &[u8]) {
    let Ok(document) = Document::read(bytes) else { return };
    assert!(twiml::parse(bytes).is_ok(), "who reads strictly reads no more");
    assert_eq!(document.with(&[]).len(), bytes.len());
    let mut found = Vec::new();
    dials(&document.root, &mut found);
    let new: Vec<_> = found
        .iter()
        .map(|dial| NewAttribute { tag: dial.tag.clone(), name: "timeLimit", value: 60 })
        .collect();
    let Ok(again) = Document::read(&document.with(&new)) else { return };
    assert_eq!(bare(&again.root), bare(&document.root));
    let mut found = Vec::new();
    dials(&again.root, &mut found);
    assert!(found.iter().all(|dial| dial.attribute("timeLimit") == Some("60")));
}
