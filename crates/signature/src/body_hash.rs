//! `bodySHA256`: how a URL vouches for a body that is no form.
//!
//! Twilio adds `bodySHA256=<64 lower-case hexadecimal digits>` to the query and signs the URL alone. So a good
//! signature says nothing of such a body until its own hash has been compared.

use sha2::{Digest, Sha256};

use crate::{Refusal, fields};

/// The parameter's name, exact in case.
pub(crate) const BODY_HASH: &[u8] = b"bodySHA256";

/// Whether the query names a hash at all, in whatever shape.
pub(crate) fn is_named(query: Option<&[u8]>) -> bool {
    query.is_some_and(|query| fields(query).any(|(name, _)| *name == *BODY_HASH))
}

/// Demands exactly one `bodySHA256`, and that it is the hash of `body`.
pub(crate) fn check(query: Option<&[u8]>, body: &[u8]) -> Result<(), Refusal> {
    let mut hashes = fields(query.unwrap_or_default()).filter(|(name, _)| **name == *BODY_HASH);
    let (_, stated) = hashes.next().ok_or(Refusal::BodyHashMissing)?;
    if hashes.next().is_some() {
        return Err(Refusal::BodyHashRepeated);
    }
    let stated = parse(&stated).ok_or(Refusal::BodyHashMalformed)?;
    // Both sides are public (the URL and the body came with the request), so an ordinary comparison will do.
    if Sha256::digest(body).as_slice() == stated { Ok(()) } else { Err(Refusal::BodyHashMismatch) }
}

/// The hash of `body` as Twilio writes it.
pub(crate) fn hex_of(body: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    Sha256::digest(body).iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect()
}

fn parse(hex: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits: &[u8; 64] = hex.try_into().ok()?;
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_A: &str = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";

    #[track_caller]
    fn expect(query: &str, expected: Result<(), Refusal>) {
        assert_eq!(check(Some(query.as_bytes()), b"a"), expected, "{query}");
    }

    #[test]
    fn nothing_but_one_exact_lower_case_hash_of_the_raw_body_will_do() {
        assert_eq!(check(None, b"a"), Err(Refusal::BodyHashMissing));
        expect("", Err(Refusal::BodyHashMissing));
        expect(&format!("bodysha256={OF_A}"), Err(Refusal::BodyHashMissing));
        expect(&format!("xbodySHA256={OF_A}"), Err(Refusal::BodyHashMissing));
        expect(&format!("bodySHA256={OF_A}&bodySHA256={OF_A}"), Err(Refusal::BodyHashRepeated));
        expect(&format!("bodySHA256={OF_A}&body%53HA256="), Err(Refusal::BodyHashRepeated));
        expect("bodySHA256", Err(Refusal::BodyHashMalformed));
        expect(&format!("bodySHA256={}", OF_A.to_uppercase()), Err(Refusal::BodyHashMalformed));
        expect(&format!("bodySHA256={OF_A}0"), Err(Refusal::BodyHashMalformed));
        expect(&format!("bodySHA256={}", OF_A.replace('c', "d")), Err(Refusal::BodyHashMismatch));
        expect(&format!("x=1&bodySHA256={OF_A}&y="), Ok(()));
    }

    #[test]
    fn the_hash_that_is_written_is_the_one_that_is_read() {
        assert_eq!(hex_of(b"a"), OF_A);
    }
}
