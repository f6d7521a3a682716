//! The encodings that a document of XML may come in (XML 1.0, appendix F): UTF-8, UTF-16 behind a byte order mark, and
//! ISO 8859-1 where the document says so.

use std::borrow::Cow;

use super::InvalidTwiml;

/// The text of a document.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, InvalidTwiml> {
    match bytes {
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        _ if names_latin_1(bytes) => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        _ => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| InvalidTwiml::NotText),
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'static, str>, InvalidTwiml> {
    let (pairs, []) = bytes.as_chunks() else { return Err(InvalidTwiml::NotText) };
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    text.map(Cow::Owned).map_err(|_| InvalidTwiml::NotText)
}

/// Whether the declaration, which is in ASCII then, names ISO 8859-1.
fn names_latin_1(bytes: &[u8]) -> bool {
    const NAMES: [&[u8]; 3] = [b"iso-8859-1", b"iso8859-1", b"latin1"];
    let bytes = bytes.trim_ascii_start();
    let Some(end) = bytes.iter().position(|byte| *byte == b'>').filter(|_| bytes.starts_with(b"<?xml"))
    else {
        return false;
    };
    let declaration = bytes[..end].to_ascii_lowercase();
    let value = declaration.windows(8).position(|it| it == b"encoding").map(|at| &declaration[at + 8..]);
    value.is_some_and(|value| {
        let value = value.trim_ascii_start().strip_prefix(b"=").unwrap_or_default().trim_ascii_start();
        let quoted = value.strip_prefix(b"\"").or(value.strip_prefix(b"'")).unwrap_or_default();
        NAMES.iter().any(|name| quoted.strip_prefix(*name).is_some_and(|rest| rest.starts_with(&value[..1])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        for bytes in [&b"<a>\xe9</a>"[..], b"\xfe\xff<", b"\xff\xfe\x00\xd8", b"<?xml encoding='utf-8'?>\xe9"]
        {
            assert!(matches!(decode(bytes), Err(InvalidTwiml::NotText)), "{bytes:?}");
        }
        for odd in
            ["<?xml encoding", "<?xml encoding=>", "<?xml encoding=latin1>", "<?xml", "<a encoding='latin1'>"]
        {
            assert!(decode(&[odd.as_bytes(), b"\xe9"].concat()).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_text_is_the_same_in_each_encoding() {
        let text = "<?xml version='1.0' encoding = \"ISO-8859-1\"?><a>h\u{e9}</a>";
        let latin_1: Vec<u8> = text.chars().map(|it| u8::try_from(it).unwrap()).collect();
        assert_eq!(decode(&latin_1).unwrap(), text);
        let text = "<a>h\u{e9} \u{1f600}</a>";
        assert_eq!(decode(text.as_bytes()).unwrap(), text);
        let units = || std::iter::once(0xfeff).chain(text.encode_utf16());
        assert_eq!(decode(&units().flat_map(u16::to_be_bytes).collect::<Vec<_>>()).unwrap(), text);
        assert_eq!(decode(&units().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap(), text);
    }
}
