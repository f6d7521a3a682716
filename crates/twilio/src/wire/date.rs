//! Dates: RFC 2822 in the v2010 API, ISO 8601 in the others. Both are to the second.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A time as the v2010 API writes it: `Thu, 30 Jul 2015 20:00:00 +0000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rfc2822(pub Timestamp);

/// A time as the newer APIs write it: `2015-07-30T20:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iso8601(pub Timestamp);

impl std::fmt::Display for Rfc2822 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.strftime("%a, %d %b %Y %H:%M:%S +0000").fmt(formatter)
    }
}

impl std::fmt::Display for Iso8601 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").fmt(formatter)
    }
}

impl Serialize for Rfc2822 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Iso8601 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rfc2822 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        rfc2822::parse(&text).map(|zoned| Self(zoned.timestamp())).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Iso8601 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| de::Error::custom("no time; it is written like 2026-12-01T00:00:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_documents_are_read_and_written() {
        let at: Timestamp = "2015-07-30T20:00:00Z".parse().unwrap();
        let (old, new) = ("\"Thu, 30 Jul 2015 20:00:00 +0000\"", "\"2015-07-30T20:00:00Z\"");
        assert_eq!(serde_json::to_string(&Rfc2822(at)).unwrap(), old);
        assert_eq!(serde_json::to_string(&Iso8601(at)).unwrap(), new);
        assert_eq!(serde_json::from_str::<Rfc2822>(old).unwrap(), Rfc2822(at));
        assert_eq!(serde_json::from_str::<Iso8601>(new).unwrap(), Iso8601(at));
        assert_eq!(serde_json::from_str::<Iso8601>("\"2015-07-30T20:00:00+00:00\"").unwrap(), Iso8601(at));
    }

    #[test]
    fn a_fraction_of_a_second_is_not_written() {
        let at: Timestamp = "2015-07-05T20:00:00.987Z".parse().unwrap();
        assert_eq!(Iso8601(at).to_string(), "2015-07-05T20:00:00Z");
        assert_eq!(Rfc2822(at).to_string(), "Sun, 05 Jul 2015 20:00:00 +0000");
    }
}
