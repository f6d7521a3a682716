//! Form bodies and queries, as bytes: what was sent, not what a framework would have made of it.
//!
//! `+` is a space and `%XX` is decoded once; a bad escape stays as it is, `;` is data, nothing is trimmed and
//! blanks are kept. There are no strings here: Twilio signs bytes, and sorts them as bytes.
//!
//! [`fields`] is the plain reader for everybody. [`FormBuffer`] is the same reader for the hot path: one pass
//! decodes all fields into one buffer and looks each name up, and what is signed is then copied in order. Where all
//! names are well known their ranks are that order; others are sorted by an integer made of their first bytes. The
//! two readers are held to the same answers by a test.

use std::borrow::Cow;

use crate::names::{Known, Rank};

/// More fields than this are refused: a genuine request has a few dozen.
pub(crate) const MAX_FIELDS: usize = 10_000;

/// Reads the fields of a form body or a query in the order they came, duplicates included. Any bytes will do.
///
/// ```
/// let fields: Vec<_> = ringfence_signature::fields(b"Body=a+b%21&Empty&&100%=;").collect();
/// assert_eq!(fields.len(), 3);
/// assert_eq!((&*fields[0].0, &*fields[0].1), (&b"Body"[..], &b"a b!"[..]));
/// assert_eq!((&*fields[1].0, &*fields[1].1), (&b"Empty"[..], &b""[..]));
/// assert_eq!((&*fields[2].0, &*fields[2].1), (&b"100%"[..], &b";"[..]));
/// ```
pub fn fields(body: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    body.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty()).map(|piece| {
        let (name, value) = match memchr::memchr(b'=', piece) {
            Some(at) => (&piece[..at], &piece[at + 1..]),
            None => (piece, &[][..]),
        };
        (decode(name), decode(value))
    })
}

fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match unescape(tail) {
                Some(unescaped) => {
                    decoded.push(unescaped);
                    rest = &tail[2..];
                }
                None => decoded.push(b'%'),
            },
            _ => decoded.push(byte),
        }
    }
    Cow::Owned(decoded)
}

/// The byte that the two hexadecimal digits after a `%` mean.
fn unescape(after_percent: &[u8]) -> Option<u8> {
    let &[high, low, ..] = after_percent else { return None };
    let (high, low) = (HEX[usize::from(high)], HEX[usize::from(low)]);
    // Both are below 16, or one of them has all bits, which is the mark of a byte that is no digit.
    (high | low != NO_DIGIT).then(|| high * 16 + low)
}

const NO_DIGIT: u8 = 255;

/// The value of each hexadecimal digit, and [`NO_DIGIT`] for every other byte.
const HEX: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut digit = 0_u8;
    while digit < 16 {
        let character = b"0123456789abcdef"[digit as usize];
        table[character as usize] = digit;
        table[character.to_ascii_uppercase() as usize] = digit;
        digit += 1;
    }
    table
};

/// The form has more than [`MAX_FIELDS`] fields, or more bytes than 32 bits can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyFields;

/// Decoded fields in the order in which they are signed. Used again for every request, so that nothing is
/// allocated once it has grown.
#[derive(Default)]
pub(crate) struct FormBuffer {
    /// All names and values, decoded, one after the other as they came; then at least [`SLACK`] bytes of no
    /// meaning, so that fixed-size copies need no care at the end.
    decoded: Vec<u8>,
    /// Where each field is in `decoded`, as they came.
    spans: Vec<Span>,
    /// The fields that are signed, in order.
    signed: Vec<Span>,
    by_rank: ByRank,
    /// See [`sort_key`]. Of no meaning where all names are well known.
    sort_keys: Vec<u128>,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    name_end: u32,
    end: u32,
    rank: Rank,
}

/// Copies of short fields are this long whatever their length: one or two vector moves instead of a call.
pub(crate) const SLACK: usize = 32;

/// A buffer that one large request blew up is not kept longer than that request.
const KEPT_BYTES: usize = 256 * 1024;

impl FormBuffer {
    /// Forgets all fields.
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.signed.clear();
        self.by_rank.clear();
    }

    /// Reads a form body or a query, in place of what was here.
    pub(crate) fn read(&mut self, raw: &[u8]) -> Result<(), TooManyFields> {
        self.clear();
        if u32::try_from(raw.len()).is_err() {
            return Err(TooManyFields);
        }
        grow(&mut self.decoded, raw.len() + SLACK);
        self.decode(raw)?;
        if self.by_rank.is_all {
            self.by_rank.write_order(&self.spans, &mut self.signed);
        } else {
            self.sort();
        }
        Ok(())
    }

    /// Writes what is signed of the fields into `out` from `at` on, and says where that ends. `out` needs
    /// [`SLACK`] bytes more than [`decoded_len`](Self::decoded_len) after `at`.
    pub(crate) fn write_signed(&self, out: &mut [u8], at: usize) -> usize {
        let mut at = at;
        for Span { start, end, .. } in &self.signed {
            at += copy_short(&self.decoded, *start as usize, out, at, (end - start) as usize);
        }
        at
    }

    /// How many bytes all fields have together, duplicates included.
    pub(crate) fn decoded_len(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end as usize)
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields { decoded: &self.decoded, spans: &self.signed }
    }

    /// The one pass over the raw bytes: from one byte that does not mean itself to the next, copying what lies
    /// between. Finding those bytes for a whole block at once keeps the processor from waiting on each.
    #[expect(clippy::cast_possible_truncation, reason = "`read` made sure that every offset fits 32 bits")]
    fn decode(&mut self, raw: &[u8]) -> Result<(), TooManyFields> {
        let out = &mut self.decoded[..];
        // Where to read and write next; where the field began, on both sides.
        let (mut from, mut to) = (0, 0);
        let (mut piece_from, mut start) = (0, 0);
        let mut name: Option<usize> = None;
        for block_start in (0..=raw.len()).step_by(64) {
            let mut marks = marks(&raw[block_start..]);
            while marks != 0 {
                let at = block_start + marks.trailing_zeros() as usize;
                marks &= marks - 1;
                to += copy_short(raw, from, out, to, at - from);
                from = at + 1;
                let byte = raw.get(at).copied();
                if byte == Some(b'=') && name.is_none() {
                    name = Some(to);
                } else if byte.is_none_or(|byte| byte == b'&') {
                    // The end of the body ends the last field as an `&` does.
                    if at > piece_from {
                        let index = self.spans.len();
                        if index == MAX_FIELDS {
                            return Err(TooManyFields);
                        }
                        let name_end = name.unwrap_or(to);
                        let rank = Rank::of(&out[start..], name_end - start);
                        self.by_rank.note(rank, index as u16);
                        let (start, name_end, end) = (start as u32, name_end as u32, to as u32);
                        self.spans.push(Span { start, name_end, end, rank });
                    }
                    start = to;
                    name = None;
                    piece_from = from;
                } else {
                    out[to] = match byte {
                        Some(b'+') => b' ',
                        Some(b'%') => unescape(&raw[from..]).inspect(|_| from += 2).unwrap_or(b'%'),
                        other => other.unwrap_or_default(),
                    };
                    to += 1;
                }
            }
        }
        Ok(())
    }

    /// Puts the fields in order where not all names are well known, or not all different, and takes out pairs that
    /// came twice.
    fn sort(&mut self) {
        let (decoded, spans) = (&self.decoded[..], &self.spans[..]);
        self.sort_keys.clear();
        self.sort_keys.extend(spans.iter().enumerate().map(|(index, span)| sort_key(*span, index, decoded)));
        self.sort_keys.sort_unstable();
        // Names that begin alike, or are the same, are told apart in full.
        let same_start = |a: &u128, b: &u128| a >> INDEX_BITS == b >> INDEX_BITS;
        let pair = |key: &u128| spans[usize::from(index_of(*key))].pair(decoded);
        for run in self.sort_keys.chunk_by_mut(same_start) {
            run.sort_unstable_by(|a, b| pair(a).cmp(&pair(b)));
        }
        self.sort_keys.dedup_by(|a, b| same_start(a, b) && pair(a) == pair(b));
        self.signed.extend(self.sort_keys.iter().map(|key| spans[usize::from(index_of(*key))]));
    }
}

/// Which fields have the well-known names: the order of signing without a comparison, where there are no others.
struct ByRank {
    /// A bit for each rank that a field has.
    ranks: [u64; Rank::END / 64],
    /// Which field that is; of no meaning for other ranks.
    indices: [u16; Rank::END],
    /// Whether every field has a well-known name, and none the same as another.
    is_all: bool,
}

impl Default for ByRank {
    fn default() -> Self {
        Self { ranks: [0; Rank::END / 64], indices: [0; Rank::END], is_all: true }
    }
}

impl ByRank {
    fn clear(&mut self) {
        self.ranks = [0; Rank::END / 64];
        self.is_all = true;
    }

    fn note(&mut self, rank: Rank, index: u16) {
        let (word, bit) = (rank.index() / 64, 1 << (rank.index() % 64));
        self.is_all &= rank.known().is_some() && self.ranks[word] & bit == 0;
        self.ranks[word] |= bit;
        self.indices[rank.index()] = index;
    }

    /// Writes the fields in the order of their ranks.
    fn write_order(&self, spans: &[Span], signed: &mut Vec<Span>) {
        for (ranks, indices) in self.ranks.iter().zip(self.indices.as_chunks::<64>().0) {
            let mut ranks = *ranks;
            while ranks != 0 {
                let index = indices[ranks.trailing_zeros() as usize];
                signed.push(spans[usize::from(index)]);
                ranks &= ranks - 1;
            }
        }
    }
}

/// The decoded fields of a form body (or of the query, where there is no form body), sorted by name and then
/// by value, bytewise; a pair that came twice is there once. Cheap to iterate: slices of one buffer.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    decoded: &'a [u8],
    spans: &'a [Span],
}

/// One decoded field.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    /// What is known of parameters of that name.
    pub(crate) known: Option<&'static Known>,
}

impl<'a> Fields<'a> {
    /// Each name with each of its values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let decoded = self.decoded;
        self.spans.iter().map(move |span| {
            let (name, value) = span.pair(decoded);
            Field { name, value, known: span.rank.known() }
        })
    }
}

impl Span {
    fn pair(self, decoded: &[u8]) -> (&[u8], &[u8]) {
        let field = &decoded[self.start as usize..self.end as usize];
        field.split_at((self.name_end - self.start) as usize)
    }
}

const INDEX_BITS: u32 = u16::BITS;
const _: () = assert!(MAX_FIELDS < 1 << INDEX_BITS, "an index takes the lowest bits of a sort key");

/// An integer that sorts as the first fourteen bytes of the name do; the field's index is in the bits below.
fn sort_key(span: Span, index: usize, decoded: &[u8]) -> u128 {
    let first_bytes = decoded[span.start as usize..].first_chunk::<16>();
    let kept_bytes = (span.name_end - span.start).min(14);
    let beyond_name = u128::MAX >> (8 * kept_bytes);
    first_bytes.map_or(0, |bytes| u128::from_be_bytes(*bytes)) & !beyond_name | index as u128
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are the index")]
fn index_of(key: u128) -> u16 {
    key as u16
}

/// A bit for each of the first 64 bytes that is `%`, `&`, `+` or `=`, the first byte's lowest; where there are
/// fewer bytes, a bit for the end too.
fn marks(bytes: &[u8]) -> u64 {
    let mut padded = [0; 64];
    let (block, end) = if let Some(block) = bytes.first_chunk::<64>() {
        (block, 0)
    } else {
        padded[..bytes.len()].copy_from_slice(bytes);
        (&padded, 1 << bytes.len())
    };
    // A loop that compilers turn into vector instructions, and then a multiplication for each eight bytes that
    // moves their lowest bits side by side.
    let mut flags = [0_u8; 64];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(*byte == b'%')
            | u8::from(*byte == b'&')
            | u8::from(*byte == b'+')
            | u8::from(*byte == b'=');
    }
    let mut marks = end;
    for (index, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        marks |= gathered << (8 * index);
    }
    marks
}

/// Copies `len` bytes and returns `len`. Short ones are copied as a block of [`SLACK`] bytes, which is one or two
/// vector moves; what is written too much is written over later.
#[inline]
fn copy_short(from: &[u8], from_at: usize, to: &mut [u8], to_at: usize, len: usize) -> usize {
    if len <= SLACK
        && let Some(source) = from[from_at..].first_chunk::<SLACK>()
        && let Some(target) = to[to_at..].first_chunk_mut::<SLACK>()
    {
        *target = *source;
    } else {
        to[to_at..to_at + len].copy_from_slice(&from[from_at..from_at + len]);
    }
    len
}

/// Makes `buffer` at least `needed` bytes long, whatever is in them.
pub(crate) fn grow(buffer: &mut Vec<u8>, needed: usize) {
    if buffer.len() > KEPT_BYTES && needed <= KEPT_BYTES {
        *buffer = Vec::new();
    }
    buffer.resize(buffer.len().max(needed), 0);
}

#[cfg(test)]
mod tests;
