//! The encodings that a document of XML may come in (XML 1.0, appendix F): UTF-8, UTF-16 behind a byte order mark, and
//! ISO 8859-1 where the document says so.

use std::borrow::Cow;

use super::InvalidTwiml;

const LATIN_1: [&[u8]; 3] = [b"iso-8859-1", b"iso8859-1", b"latin1"];

/// How a text came, and is written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Latin1,
    Utf16Be,
    Utf16Le,
}

/// The text of a document of which two readers must not make two: what it says of its encoding must be how it is read.
/// Names of encodings that contain ASCII are taken where nothing but ASCII stands there.
pub(super) fn decode_strictly(bytes: &[u8]) -> Result<(Cow<'_, str>, Encoding), InvalidTwiml> {
    let text = decode(bytes)?;
    let encoding = match bytes {
        [0xfe, 0xff, ..] => Encoding::Utf16Be,
        [0xff, 0xfe, ..] => Encoding::Utf16Le,
        _ if names_latin_1(bytes) => Encoding::Latin1,
        _ => Encoding::Utf8,
    };
    let plain = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let declaration = plain.trim_start().split('>').next().filter(|it| it.starts_with("<?xml"));
    let name = named(plain.as_bytes());
    let fits = match (encoding, name.as_deref()) {
        // A declaration that says it in a way that we do not read.
        (_, None) => !declaration.is_some_and(|it| it.contains("encoding")),
        (Encoding::Utf16Be | Encoding::Utf16Le, Some(name)) => name.starts_with(b"utf-16"),
        (Encoding::Latin1, Some(_)) | (Encoding::Utf8, Some(b"utf-8" | b"utf8")) => true,
        (Encoding::Utf8, Some(name)) => bytes.is_ascii() && contains_ascii(name),
    };
    if fits { Ok((text, encoding)) } else { Err(InvalidTwiml::NotText) }
}

/// Whether ASCII means the same in the encoding of this name.
pub(super) fn contains_ascii(name: &[u8]) -> bool {
    matches!(name, b"us-ascii" | b"ascii" | b"utf-8" | b"utf8")
        || LATIN_1.contains(&name)
        || name.starts_with(b"iso-8859-")
        || name.starts_with(b"windows-125")
}

/// A text that was [read strictly](decode_strictly), as it came.
pub(super) fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        // What was added is in ASCII, and the rest was a byte each.
        Encoding::Latin1 => text.chars().map(|it| u8::try_from(u32::from(it)).unwrap_or(b'?')).collect(),
        Encoding::Utf16Be => units(text).flat_map(u16::to_be_bytes).collect(),
        Encoding::Utf16Le => units(text).flat_map(u16::to_le_bytes).collect(),
    }
}

/// The text of a document.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, InvalidTwiml> {
    match bytes {
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        _ if names_latin_1(bytes) => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        _ => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| InvalidTwiml::NotText),
    }
}

fn units(text: &str) -> impl Iterator<Item = u16> {
    std::iter::once(0xfeff).chain(text.encode_utf16())
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'static, str>, InvalidTwiml> {
    let (pairs, []) = bytes.as_chunks() else { return Err(InvalidTwiml::NotText) };
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    text.map(Cow::Owned).map_err(|_| InvalidTwiml::NotText)
}

/// Whether the declaration, which is in ASCII then, names ISO 8859-1.
fn names_latin_1(bytes: &[u8]) -> bool {
    named(bytes).is_some_and(|name| LATIN_1.contains(&&*name))
}

/// The encoding that the declaration names, in lower case, where the declaration can be read as ASCII.
fn named(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = bytes.trim_ascii_start();
    let end = bytes.iter().position(|byte| *byte == b'>').filter(|_| bytes.starts_with(b"<?xml"))?;
    let declaration = bytes.get(..end)?.to_ascii_lowercase();
    let at = declaration.windows(8).position(|it| it == b"encoding")?;
    let value = declaration.get(at + 8..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let quote = value.first().copied().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let name = value.get(1..)?;
    Some(name.get(..name.iter().position(|byte| *byte == quote)?)?.to_vec())
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
