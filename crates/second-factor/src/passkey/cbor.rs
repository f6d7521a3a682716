//! The CBOR that authenticators write (CTAP 2.1, 8: "canonical"), read strictly and within bounds.
//!
//! It is our own since so little is wanted: no tags, no floating point, no indefinite lengths, each number and length in
//! its shortest form, no key twice. A general reader takes all of those, and each is one more way to say the same thing.
//! The order of keys is not looked at, since some platforms write the outer object in another.

/// Levels of arrays and maps. CTAP allows four; an attestation statement stays within.
const MAX_DEPTH: usize = 4;

/// Items of one array or map.
const MAX_ITEMS: u64 = 64;

/// Bytes of one document: an attestation with its certificates is a few thousand.
const MAX_SIZE: usize = 16 * 1024;

/// One item, whose bytes stay where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// An integer, of either sign.
    Integer(i64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// An array.
    Array(Vec<Self>),
    /// A map.
    Map(Vec<(Self, Self)>),
    /// A truth value.
    Bool(bool),
    /// `null`.
    Null,
}

/// It is not such a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Item<'a> {
    /// The value under a number.
    pub(crate) fn at(&self, key: i64) -> Option<&Self> {
        self.find(&Item::Integer(key))
    }

    /// The value under a name.
    pub(crate) fn named(&self, key: &str) -> Option<&Self> {
        self.find(&Item::Text(key))
    }

    fn find(&self, key: &Item<'_>) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The integer that it is.
    pub(crate) fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// The bytes that it is.
    pub(crate) fn bytes(&self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

/// The one item that these bytes are.
pub(crate) fn read(bytes: &[u8]) -> Result<Item<'_>, Malformed> {
    match read_first(bytes)? {
        (item, []) => Ok(item),
        _ => Err(Malformed),
    }
}

/// The item that these bytes begin with, and what comes after it.
pub(crate) fn read_first(bytes: &[u8]) -> Result<(Item<'_>, &[u8]), Malformed> {
    if bytes.len() > MAX_SIZE {
        return Err(Malformed);
    }
    let mut reader = Reader { rest: bytes };
    let item = reader.item(0)?;
    Ok((item, reader.rest))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn item(&mut self, depth: usize) -> Result<Item<'a>, Malformed> {
        let [first] = self.take()?;
        let (major, low) = (first >> 5, first & 31);
        if major == 7 {
            return match low {
                20 => Ok(Item::Bool(false)),
                21 => Ok(Item::Bool(true)),
                22 => Ok(Item::Null),
                _ => Err(Malformed),
            };
        }
        let number = self.number(low)?;
        match major {
            0 => Ok(Item::Integer(i64::try_from(number).map_err(|_| Malformed)?)),
            // -1 - n (RFC 8949, 3.1), which no n that fits can overflow.
            1 => Ok(Item::Integer(-1 - i64::try_from(number).map_err(|_| Malformed)?)),
            2 => Ok(Item::Bytes(self.slice(number)?)),
            3 => Ok(Item::Text(str::from_utf8(self.slice(number)?).map_err(|_| Malformed)?)),
            4 | 5 if depth >= MAX_DEPTH || number > MAX_ITEMS => Err(Malformed),
            4 => (0..number).map(|_| self.item(depth + 1)).collect::<Result<_, _>>().map(Item::Array),
            5 => self.map(number, depth),
            _ => Err(Malformed),
        }
    }

    fn map(&mut self, number: u64, depth: usize) -> Result<Item<'a>, Malformed> {
        let mut entries: Vec<(Item<'a>, Item<'a>)> = Vec::new();
        for _ in 0..number {
            let key = self.item(depth + 1)?;
            let is_key = matches!(key, Item::Integer(_) | Item::Text(_));
            if !is_key || entries.iter().any(|(other, _)| *other == key) {
                return Err(Malformed);
            }
            entries.push((key, self.item(depth + 1)?));
        }
        Ok(Item::Map(entries))
    }

    /// A number or length in its shortest form.
    fn number(&mut self, low: u8) -> Result<u64, Malformed> {
        let (number, least) = match low {
            0..24 => return Ok(u64::from(low)),
            24 => (u64::from(u8::from_be_bytes(self.take()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.take()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.take()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.take()?), 1 << 32),
            _ => return Err(Malformed),
        };
        if number < least { Err(Malformed) } else { Ok(number) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn slice(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_longer_than_needed_or_open_ended_or_said_twice_is_refused() {
        let refused: &[&[u8]] = &[
            b"",
            b"\x18\x17",             // 23 in two bytes
            b"\x19\x00\xff",         // 255 in three
            b"\x1a\x00\x00\xff\xff", // 65,535 in five
            b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
            b"\x58\x01a",            // a length in two
            b"\x9f\xff",             // an array without a length
            b"\xbf\xff",             // a map without one
            b"\x5f\x41a\xff",        // bytes in pieces
            b"\xc0\x00",             // a tag
            b"\xf9\x00\x00",         // a half
            b"\xf7",                 // undefined
            b"\xa2\x01\x02\x01\x03", // a key twice
            b"\xa1\x80\x00",         // a key that is an array
            b"\x61\xff",             // no UTF-8
            b"\x00\x00",             // something after it
            b"\x42a",                // shorter than it says
            b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x81\x81\x81\x81\x81\x00", // too deep
            b"\xa1\x00\xa1\x00\xa1\x00\xa1\x00\xa1\x00\x00",
            &[0xa1; MAX_SIZE], // a map as the key of a map as the key of a map
        ];
        for bytes in refused {
            assert_eq!(read(bytes), Err(Malformed), "{bytes:02x?}");
        }
        let long = |length: u16| [&[0x59], &length.to_be_bytes()[..], &vec![0; length.into()]].concat();
        assert_eq!(read(&long(0x4000)), Err(Malformed), "larger than is read");
        assert_eq!(read(&long(0x3ffe)), Err(Malformed), "by one byte, with its head");
        assert!(read(&long(0x3ffd)).is_ok());
        assert!(read(b"\x81\x81\x81\x81\x00").is_ok());
        assert!(read(b"\xa1\x00\xa1\x00\xa1\x00\xa1\x00\x00").is_ok());
        let many = |items: u8| [&[0x98, items], &vec![0; items.into()][..]].concat();
        assert!(read(&many(64)).is_ok());
        assert_eq!(read(&many(65)), Err(Malformed));
    }

    #[test]
    fn the_examples_of_rfc_8949_that_authenticators_write() {
        assert_eq!(read(b"\x1a\x00\x0f\x42\x40"), Ok(Item::Integer(1_000_000)));
        assert_eq!(read(b"\x39\x03\xe7"), Ok(Item::Integer(-1000)));
        assert_eq!(read(b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff"), Ok(Item::Integer(i64::MIN)));
        assert_eq!(read(b"\x82\xf4\xf6"), Ok(Item::Array(vec![Item::Bool(false), Item::Null])));
        let map = read(b"\xa2\x61a\x01\x61b\x82\x02\xf5").expect("an example");
        assert_eq!(map.named("a").and_then(Item::integer), Some(1));
        assert_eq!(map.named("b"), Some(&Item::Array(vec![Item::Integer(2), Item::Bool(true)])));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok((_, rest)) = read_first(&bytes) {
                prop_assert!(bytes.ends_with(rest) && rest.len() < bytes.len());
            }
        }
    }
}
