//! Finds the data in a chunked body (RFC 9112, section 7.1), strictly.
//!
//! Pure: it is shown the bytes that lie there and says what to do with the first of them. Every line ends in CRLF,
//! nothing but an extension may follow the size, and each line is bounded, so a sender can neither smuggle nor fill
//! memory. Extensions and trailers are dropped: nobody asked for them.

use super::error::Malformed;

/// The longest size line with its extension, and the most of all trailers together. Both are far above what servers
/// send and far below what would hurt.
const SIZE_LINE_MAX: usize = 256;
const TRAILERS_MAX: usize = 16 * 1024;
/// Sixteen hexadecimal digits are the most that fit 64 bits.
const SIZE_DIGITS_MAX: usize = 16;

/// What to do with the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet: more bytes are needed.
    NeedMore,
    /// Drop this many bytes: they were framing.
    Skip(usize),
    /// This many bytes are data, at least one.
    Data(usize),
    /// The body has ended before the first byte of the input.
    End,
}

/// How far the reading of one body has come.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Size,
    Data { left: u64 },
    DataEnd,
    Trailers { seen: usize },
    Ended,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { state: State::Size }
    }

    /// Judges the front of `input`. What it tells to skip or take must be gone from the input of the next call.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, Malformed> {
        match self.state {
            State::Size => {
                let Some(line) = line(input, SIZE_LINE_MAX)? else { return Ok(Step::NeedMore) };
                self.state = match size(line)? {
                    0 => State::Trailers { seen: 0 },
                    left => State::Data { left },
                };
                Ok(Step::Skip(line.len() + 2))
            }
            State::Data { .. } if input.is_empty() => Ok(Step::NeedMore),
            State::Data { left } => {
                let taken = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
                let left = left - taken as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data { left } };
                Ok(Step::Data(taken))
            }
            State::DataEnd => match input {
                [b'\r', b'\n', ..] => {
                    self.state = State::Size;
                    Ok(Step::Skip(2))
                }
                [] | [b'\r'] => Ok(Step::NeedMore),
                _ => Err(Malformed::Chunk),
            },
            State::Trailers { seen } => {
                let Some(line) = line(input, TRAILERS_MAX - seen)? else { return Ok(Step::NeedMore) };
                let skipped = line.len() + 2;
                self.state = match seen + skipped {
                    _ if line.is_empty() => State::Ended,
                    seen if seen < TRAILERS_MAX => State::Trailers { seen },
                    _ => return Err(Malformed::Chunk),
                };
                Ok(Step::Skip(skipped))
            }
            State::Ended => Ok(Step::End),
        }
    }
}

/// The first line without its CRLF, once it is there. A CR or LF alone is no line end here: where one side takes it
/// for one and the other does not, bodies are smuggled.
fn line(input: &[u8], length_max: usize) -> Result<Option<&[u8]>, Malformed> {
    let searched = &input[..input.len().min(length_max)];
    match searched.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        None if input.len() < length_max => Ok(None),
        None => Err(Malformed::Chunk),
        Some(end) => match input[end..] {
            [b'\r', b'\n', ..] => Ok(Some(&input[..end])),
            [b'\r'] => Ok(None),
            _ => Err(Malformed::Chunk),
        },
    }
}

fn size(line: &[u8]) -> Result<u64, Malformed> {
    let (digits, extension) = match line.iter().position(|byte| *byte == b';') {
        Some(end) => line.split_at(end),
        None => (line, &[][..]),
    };
    let printable = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    let all_hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
    if !all_hexadecimal || !(1..=SIZE_DIGITS_MAX).contains(&digits.len()) || !extension.iter().all(printable)
    {
        return Err(Malformed::Chunk);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Malformed::Chunk)?;
    u64::from_str_radix(digits, 16).map_err(|_| Malformed::Chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes input that arrives in pieces of `piece` bytes: the data, and what was left after the end.
    fn decode(input: &[u8], piece: usize) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
        let mut decoder = Decoder::new();
        let (mut data, mut at, mut arrived) = (Vec::new(), 0, 0);
        loop {
            match decoder.step(&input[at..arrived])? {
                Step::NeedMore if arrived == input.len() => return Ok(None),
                Step::NeedMore => arrived = input.len().min(arrived + piece),
                Step::Skip(length) => at += length,
                Step::Data(length) => {
                    data.extend_from_slice(&input[at..at + length]);
                    at += length;
                }
                Step::End => return Ok(Some((data, input.len() - at))),
            }
        }
    }

    #[test]
    fn a_broken_chunk_is_refused_however_it_arrives() {
        let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(SIZE_LINE_MAX));
        let long_trailer = format!("0\r\nA: {}\r\n\r\n", "x".repeat(TRAILERS_MAX));
        let many_trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(TRAILERS_MAX / 6 + 1));
        for input in [
            "5\nhello\r\n0\r\n\r\n",
            "5\rhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloX0\r\n\r\n",
            "5\r\nhello!\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "-5\r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "5g\r\nhello\r\n0\r\n\r\n",
            "5_0\r\nhello\r\n0\r\n\r\n",
            "\r\nhello\r\n0\r\n\r\n",
            ";a\r\nhello\r\n0\r\n\r\n",
            "10000000000000000\r\nhello",
            "00000000000000005\r\nhello\r\n0\r\n\r\n",
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            "5;\0\r\nhello\r\n0\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\n\n",
            "0\r\n\rx",
            &long_extension,
            &long_trailer,
            &many_trailers,
        ] {
            let least = input.len() / 64 + 1;
            for piece in [least, least + 1, 7 * least, input.len()] {
                assert_eq!(decode(input.as_bytes(), piece), Err(Malformed::Chunk), "{input:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_body_that_stops_is_never_taken_for_one_that_ended() {
        let input = b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n";
        for length in 0..input.len() {
            for piece in [1, 3, length.max(1)] {
                assert_eq!(decode(&input[..length], piece), Ok(None), "{length} bytes by {piece}");
            }
        }
        assert_eq!(decode(input, 1), Ok(Some((b"hello!".to_vec(), 0))));
    }

    #[test]
    fn what_follows_the_end_is_left_alone() {
        assert_eq!(
            decode(b"A\r\n0123456789\r\n000\r\n\r\nHTTP/1.1", 1000),
            Ok(Some((b"0123456789".to_vec(), 8)))
        );
    }

    #[test]
    fn the_largest_size_is_taken_without_overflow() {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.step(b"ffffffffffffffff\r\n"), Ok(Step::Skip(18)));
        assert_eq!(decoder.step(b"abc"), Ok(Step::Data(3)));
    }
}
