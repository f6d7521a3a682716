//! The two headers: the signature, and the settings that may name a SharedKey.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use crate::{Refusal, key::Key};

/// The signature header, decoded: the canonical base64 of 20 or 32 bytes and nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Signature {
    bytes: [u8; 33],
    len: usize,
}

impl Signature {
    pub(crate) fn parse(header: Option<&[u8]>) -> Result<Self, Refusal> {
        let header = header.unwrap_or_default();
        if header.is_empty() {
            return Err(Refusal::MissingSignature);
        }
        if !matches!(header.len(), 28 | 44) {
            return Err(Refusal::MalformedSignature);
        }
        let mut bytes = [0; 33];
        let len = BASE64.decode_slice(header, &mut bytes).map_err(|_| Refusal::MalformedSignature)?;
        if matches!(len, 20 | 32) { Ok(Self { bytes, len }) } else { Err(Refusal::MalformedSignature) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn fits(&self, key: &Key) -> bool {
        self.len == key.algorithm().signature_len()
    }
}

/// The settings header, `key=ID,algorithm=NAME`. It is not signed: it can select a key, never how the key signs.
pub(crate) struct Settings<'a> {
    pub(crate) key: Option<&'a [u8]>,
    algorithm: Option<&'a [u8]>,
}

impl<'a> Settings<'a> {
    pub(crate) fn parse(header: Option<&'a [u8]>) -> Self {
        let mut settings = Self { key: None, algorithm: None };
        for piece in header.unwrap_or_default().split(|&byte| byte == b',') {
            let Some(at) = memchr::memchr(b'=', piece) else { continue };
            let (name, value) = (piece[..at].trim_ascii(), piece[at + 1..].trim_ascii());
            let slot = if name.eq_ignore_ascii_case(b"key") {
                &mut settings.key
            } else if name.eq_ignore_ascii_case(b"algorithm") {
                &mut settings.algorithm
            } else {
                continue;
            };
            if !value.is_empty() && slot.is_none() {
                *slot = Some(value);
            }
        }
        settings
    }

    /// Whether the stated algorithm, if one is stated, is the key's own.
    pub(crate) fn agrees_with(&self, key: &Key) -> bool {
        self.algorithm.is_none_or(|stated| stated.eq_ignore_ascii_case(key.algorithm().as_str().as_bytes()))
    }
}
