//! What stands in an element or an attribute, as whoever reads it least strictly may take it.

use ringfence_twilio::twiml::Element;

use crate::egress::Refusal;

/// The text directly in an element that is an address. One that is broken into pieces could be read as the first of them.
pub(super) fn whole(element: &Element) -> Result<String, Refusal> {
    if element.is_broken {
        let why = format!(
            "the text of <{}> is broken by a comment, an instruction or a CDATA section",
            element.name
        );
        return Err(Refusal::UnreadableTwiml(why));
    }
    Ok(element.own_text())
}

/// Whether a recording is asked for, in a way that Twilio may take for that.
pub(super) fn is_recorded(element: &Element) -> bool {
    element
        .attribute("record")
        .is_some_and(|value| !matches!(&*value.to_ascii_lowercase(), "" | "false" | "do-not-record"))
}

pub(super) fn is_on(element: &Element, attribute: &str) -> bool {
    element.attribute(attribute).is_some_and(|value| !value.eq_ignore_ascii_case("false"))
}

/// A number of seconds that every reader takes for the same.
pub(super) fn seconds(text: &str) -> Option<u64> {
    text.trim().bytes().all(|byte| byte.is_ascii_digit()).then(|| text.trim().parse().ok()).flatten()
}
