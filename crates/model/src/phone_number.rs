//! temp
use std::fmt;
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PhoneNumber(u64);
#[derive(Debug)]
pub struct InvalidPhoneNumber;
impl PhoneNumber {
    pub fn parse(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let d = text.strip_prefix('+').ok_or(InvalidPhoneNumber)?;
        if d.is_empty() || d.len() > 15 || d.starts_with('0') || !d.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidPhoneNumber);
        }
        d.parse().map(Self).map_err(|_| InvalidPhoneNumber)
    }
    pub fn digits(&self) -> u64 {
        self.0
    }
}
impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}
