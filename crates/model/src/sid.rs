//! temp
use std::fmt;
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid {
    prefix: [u8; 2],
    number: [u8; 16],
}
#[derive(Debug)]
pub struct InvalidSid;
impl Sid {
    pub const fn new(prefix: [u8; 2], number: u128) -> Self {
        Self { prefix, number: number.to_be_bytes() }
    }
    pub fn parse(text: &str) -> Result<Self, InvalidSid> {
        let bytes = text.as_bytes();
        if bytes.len() != 34
            || !bytes[..2].iter().all(u8::is_ascii_uppercase)
            || !bytes[2..].iter().all(u8::is_ascii_hexdigit)
        {
            return Err(InvalidSid);
        }
        Ok(Self::new([bytes[0], bytes[1]], u128::from_str_radix(&text[2..], 16).map_err(|_| InvalidSid)?))
    }
    pub fn is(&self, prefix: &str) -> bool {
        self.prefix == prefix.as_bytes()
    }
}
impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{:032x}",
            self.prefix[0] as char,
            self.prefix[1] as char,
            u128::from_be_bytes(self.number)
        )
    }
}
impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
