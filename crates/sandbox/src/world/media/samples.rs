//! Small files of a type: enough for whatever opens them to find one that it knows.

use ringfence_model::Sid;

/// A file of this type. Pictures have a colour that the SID decides.
pub(super) fn sample(content_type: &str, sid: Sid) -> Vec<u8> {
    match content_type {
        "image/png" => png(colour(sid)),
        "image/gif" => gif(colour(sid)),
        "text/vcard" => b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Sandbox\r\nEND:VCARD\r\n".to_vec(),
        "text/csv" => b"sandbox\r\n1\r\n".to_vec(),
        // Whatever needs an encoder is named and not made.
        _ => format!("A file of the sandbox that stands for {content_type}: {sid}\n").into_bytes(),
    }
}

fn colour(sid: Sid) -> [u8; 3] {
    let digits = sid.to_string();
    let byte =
        |at: usize| digits.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
    [byte(2), byte(4), byte(6)]
}

const SIDE: u8 = 16;

/// A square of one colour: PNG (W3C, third edition) with one stored block of deflate.
fn png(colour: [u8; 3]) -> Vec<u8> {
    let side = u32::from(SIDE);
    let mut header = Vec::new();
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    // Eight bits, true colour, the only compression, the only filter method, no interlace.
    header.extend([8, 2, 0, 0, 0]);
    let mut pixels = Vec::new();
    for _ in 0..SIDE {
        pixels.push(0);
        pixels.extend(colour.repeat(SIDE.into()));
    }
    let mut data = vec![0x78, 0x01, 0x01];
    let length = u16::try_from(pixels.len()).unwrap_or(u16::MAX);
    data.extend(length.to_le_bytes());
    data.extend((!length).to_le_bytes());
    data.extend(&pixels);
    data.extend(adler32(&pixels).to_be_bytes());
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        let chunk: Vec<u8> = kind.iter().copied().chain(data).collect();
        file.extend(u32::try_from(chunk.len() - kind.len()).unwrap_or(u32::MAX).to_be_bytes());
        file.extend(&chunk);
        file.extend(crc32(&chunk).to_be_bytes());
    }
    file
}

/// One pixel: `GIF89a` with a table of two colours, both the same.
fn gif([red, green, blue]: [u8; 3]) -> Vec<u8> {
    let mut file = b"GIF89a\x01\0\x01\0\x80\0\0".to_vec();
    file.extend([red, green, blue, red, green, blue]);
    file.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b");
    file
}

/// RFC 1950.
fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

/// The CRC of PNG and of ISO 3309.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksums_are_those_of_their_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn one_sid_has_one_picture() {
        let (one, other) = (Sid::new(*b"ME", u128::MAX), Sid::new(*b"ME", 7));
        assert_eq!(sample("image/png", one), sample("image/png", one));
        assert_ne!(sample("image/png", one), sample("image/png", other));
        assert!(sample("image/png", one).starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"));
        assert!(sample("image/gif", one).ends_with(b";"));
    }
}
