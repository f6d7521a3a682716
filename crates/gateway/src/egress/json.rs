//! A JSON answer with its secrets taken out and its links led back, and otherwise byte for byte as it came: order,
//! spaces and the spelling of numbers stay.
//!
//! The one idea: the text is first proven to be JSON by a real parser, then walked by a simple one that notes which
//! ranges to replace. Where nothing is noted, the bytes are handed on as they are.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::host::TwilioHost;

/// How links of Twilio's are written for the caller.
pub(crate) trait Links {
    /// The same link as the caller can follow it; nothing where it stays as it is.
    fn lead_back(&self, link: &str) -> Option<String>;
}

/// The text is no JSON, or nested deeper than any answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson;

/// Deeper than serde's own limit would let pass.
const DEPTH_MAX: usize = 128;

/// Takes out every member whose name is a secret's or whose value is a [key URI](is_key_uri), and leads links back.
pub(crate) fn clean(json: &Bytes, links: &impl Links) -> Result<Bytes, NotJson> {
    let text = std::str::from_utf8(json).map_err(|_| NotJson)?;
    let _proven: IgnoredAny = serde_json::from_str(text).map_err(|_| NotJson)?;
    let mut walk = Walk { text, at: 0, edits: Vec::new(), links };
    walk.value(Place::default(), 0)?;
    let edits = walk.edits;
    if edits.is_empty() {
        return Ok(json.clone());
    }
    let mut out = String::with_capacity(text.len() + 256);
    let mut copied = 0;
    for (range, with) in edits {
        out.push_str(text.get(copied..range.start).ok_or(NotJson)?);
        out.push_str(&with);
        copied = range.end;
    }
    out.push_str(text.get(copied..).ok_or(NotJson)?);
    Ok(out.into())
}

/// Whether the name of a member says that its value is a secret.
///
/// Cursors of paging are called tokens too, and are none.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let plain: String = lower.chars().filter(|c| *c != '_' && *c != '-').collect();
    !CURSORS.contains(&plain.as_str()) && SECRETS.iter().any(|end| plain.ends_with(end))
}

/// Whether a text hands an authenticator application its key
/// (<https://github.com/google/google-authenticator/wiki/Key-Uri-Format>): a new TOTP factor of Verify has its secret in `uri` too.
pub(crate) fn is_key_uri(text: &str) -> bool {
    text.get(..KEY_URI.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(KEY_URI))
}

const KEY_URI: &str = "otpauth:";

/// Names without their underscores and hyphens, in lower case.
const CURSORS: [&str; 8] = [
    "pagetoken",
    "nexttoken",
    "previoustoken",
    "nextpagetoken",
    "previouspagetoken",
    "startingtoken",
    "prevtoken",
    "synctoken",
];

/// How the names of secrets end, written likewise.
const SECRETS: [&str; 9] = [
    "secret",
    "token",
    "password",
    "privatekey",
    "secretkey",
    "tokens",
    "secrets",
    "passphrase",
    "credential",
];

/// What the names around a value say of it.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Its own name is a link's.
    is_link: bool,
    /// It is inside an object of links.
    in_links: bool,
}

struct Walk<'t, L> {
    text: &'t str,
    at: usize,
    /// In the order of the text; none overlaps another.
    edits: Vec<(Range<usize>, String)>,
    links: &'t L,
}

impl<'t, L: Links> Walk<'t, L> {
    fn value(&mut self, place: Place, depth: usize) -> Result<(), NotJson> {
        if depth > DEPTH_MAX {
            return Err(NotJson);
        }
        self.spaces();
        match self.byte()? {
            b'{' => self.object(place, depth),
            b'[' => self.array(place, depth),
            b'"' => {
                let range = self.string()?;
                if place.is_link || place.in_links {
                    self.link(range)?;
                }
                Ok(())
            }
            // A number or a word, which the parser has looked at.
            _ => {
                let rest = self.text.get(self.at..).ok_or(NotJson)?;
                let ends = |c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace();
                self.at += rest.find(ends).unwrap_or(rest.len());
                Ok(())
            }
        }
    }

    fn array(&mut self, place: Place, depth: usize) -> Result<(), NotJson> {
        self.at += 1;
        self.spaces();
        if self.byte()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(place, depth + 1)?;
            self.spaces();
            let byte = self.byte()?;
            self.at += 1;
            if byte == b']' {
                return Ok(());
            }
        }
    }

    fn object(&mut self, place: Place, depth: usize) -> Result<(), NotJson> {
        self.at += 1;
        self.spaces();
        if self.byte()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        // Where the comma before this member is, if a member before it stays.
        let mut comma = None;
        loop {
            self.spaces();
            let begin = self.at;
            let name = self.string()?;
            let name = self.decoded(name)?;
            self.spaces();
            self.at += 1; // the colon
            self.spaces();
            let (edits, value) = (self.edits.len(), self.at);
            self.value(place_of(&name, place), depth + 1)?;
            let end = self.at;
            let is_secret = is_secret_name(&name) || self.is_key_uri(value..end);
            self.spaces();
            let is_last = self.byte()? == b'}';
            let next_comma = self.at;
            self.at += 1;
            if is_secret {
                self.edits.truncate(edits);
                let range = match comma {
                    Some(comma) => comma..end,
                    None if is_last => begin..end,
                    None => {
                        self.spaces();
                        begin..self.at
                    }
                };
                self.edits.push((range, String::new()));
            }
            if is_last {
                return Ok(());
            }
            if !is_secret || comma.is_some() {
                comma = Some(next_comma);
            }
        }
    }

    /// Whether the value there is a string, and a key URI. One with half a surrogate pair is none.
    fn is_key_uri(&self, value: Range<usize>) -> bool {
        let is_string = self.text.as_bytes().get(value.start) == Some(&b'"');
        is_string && self.decoded(value).is_ok_and(|text| is_key_uri(&text))
    }

    /// Leads a link back, if it leads to Twilio.
    fn link(&mut self, range: Range<usize>) -> Result<(), NotJson> {
        let link = self.decoded(range.clone())?;
        if let Some(led) = self.links.lead_back(&link) {
            let written = serde_json::to_string(&led).map_err(|_| NotJson)?;
            self.edits.push((range, written));
        }
        Ok(())
    }

    /// Passes a string; its range has the quotes.
    fn string(&mut self) -> Result<Range<usize>, NotJson> {
        let begin = self.at;
        if self.byte()? != b'"' {
            return Err(NotJson);
        }
        self.at += 1;
        loop {
            match self.byte()? {
                b'"' => {
                    self.at += 1;
                    return Ok(begin..self.at);
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn decoded(&self, range: Range<usize>) -> Result<Cow<'t, str>, NotJson> {
        let quoted = self.text.get(range).ok_or(NotJson)?;
        if quoted.contains('\\') {
            return serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| NotJson);
        }
        let inner = quoted.get(1..quoted.len() - 1).ok_or(NotJson)?;
        Ok(Cow::Borrowed(inner))
    }

    fn spaces(&mut self) {
        while self.text.as_bytes().get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn byte(&self) -> Result<u8, NotJson> {
        self.text.as_bytes().get(self.at).copied().ok_or(NotJson)
    }
}

fn place_of(name: &str, around: Place) -> Place {
    let is_link = name.ends_with("url") || name.ends_with("Url");
    Place { is_link, in_links: around.in_links || matches!(name, "links" | "urls") }
}

/// Links of an egress that is the base URL of a library, or its proxy.
#[derive(Debug)]
pub(crate) struct LedBack<'a> {
    /// Where Twilio is, for us.
    pub(crate) base: &'a super::host::TwilioBase,
    /// Where we are, for the caller: `http://127.0.0.1:8500`; nothing where he came through a tunnel and uses Twilio's
    /// own names.
    pub(crate) own: Option<&'a str>,
}

impl LedBack<'_> {
    fn write(&self, host: TwilioHost<'_>, rest: &str) -> String {
        match self.own {
            Some(own) => format!("{own}/{}{rest}", host.name()),
            None => format!("https://{}{rest}", host.name()),
        }
    }
}

impl Links for LedBack<'_> {
    fn lead_back(&self, link: &str) -> Option<String> {
        let (host, rest) = self.base.split(link)?;
        Some(self.write(host, rest)).filter(|led| led != link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::host::TwilioBase;

    const OWN: &str = "http://egress:8500";

    fn cleaned(json: &str) -> String {
        let links = LedBack { base: &TwilioBase::Twilio, own: Some(OWN) };
        let cleaned = clean(&Bytes::copy_from_slice(json.as_bytes()), &links).expect(json);
        let text = String::from_utf8(cleaned.to_vec()).unwrap();
        let _still_json: serde_json::Value = serde_json::from_str(&text).expect(&text);
        text
    }

    #[test]
    fn secrets_are_taken_out_wherever_they_are() {
        for (json, left) in [
            (r#"{"auth_token":"x"}"#, "{}"),
            (r#"{"auth_token":"x","sid":1}"#, r#"{"sid":1}"#),
            (r#"{"sid":1, "auth_token" : "x"}"#, r#"{"sid":1}"#),
            (r#"{"sid":1,"auth_token":"x","b":2}"#, r#"{"sid":1,"b":2}"#),
            (r#"{"secret":"x","auth_token":"x","b":2}"#, r#"{"b":2}"#),
            (r#"{"secret":"x","auth_token":"x"}"#, "{}"),
            (r#"{"a":1,"secret":"x","auth_token":"x"}"#, r#"{"a":1}"#),
            (r#"{"a":1,"secret":"x","auth_token":"x","b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"auth\u005ftoken":"x","b":2}"#, r#"{"b":2}"#),
            (r#"{"AuthToken":"x","Auth-Token":1,"b":2}"#, r#"{"b":2}"#),
            (
                r#"{"accounts":[{"sid":1,"auth_token":"a"},{"auth_token":"b"}]}"#,
                r#"{"accounts":[{"sid":1},{}]}"#,
            ),
            (r#"{"secret":{"url":"https://api.twilio.com/a"},"b":[[]]}"#, r#"{"b":[[]]}"#),
            (r#"{"b":{"c":{"secondary_auth_token":null}}}"#, r#"{"b":{"c":{}}}"#),
            (r#"{"auth_token":"1","auth_token":"2","a":"\""}"#, r#"{"a":"\""}"#),
            (
                r#"{"binding": {"secret":"x","uri": "otpauth://totp/a?secret=x"},"a":1}"#,
                r#"{"binding": {},"a":1}"#,
            ),
            (r#"{"a":1,"uri":"OTP\u0061uth://totp/a?secret=x"}"#, r#"{"a":1}"#),
        ] {
            assert_eq!(cleaned(json), left, "{json}");
        }
    }

    #[test]
    fn cursors_of_paging_and_names_of_resources_are_no_secrets() {
        let json = r#"{"next_page_token":"a","nextToken":1,"meta":{"key":"tokens_used","page_token":"b"},
            "signing_keys":"/x","token_count":3,"credential_sid":"CR1"}"#;
        assert_eq!(cleaned(json), json);
    }

    #[test]
    fn links_lead_back_and_texts_do_not() {
        let json = r#"{"meta":{"next_page_url":"https://verify.twilio.com/v2/S?Page=1","url":null},
            "links":{"a":"https:\/\/verify.twilio.com\/v2\/A","b":["https://api.twilio.com/x"]},
            "body":"https://api.twilio.com/x","voice_url":"https://hooks.example.com/twilio.com",
            "url":"https://evil.com/api.twilio.com"}"#;
        let expected = json
            .replace("https://verify.twilio.com/v2/S", "http://egress:8500/verify.twilio.com/v2/S")
            .replace(r"https:\/\/verify.twilio.com\/v2\/A", "http://egress:8500/verify.twilio.com/v2/A")
            .replace(r#"["https://api"#, r#"["http://egress:8500/api"#);
        assert_eq!(cleaned(json), expected);
        let tunnel = LedBack { base: &"http://127.0.0.1:4010".parse().unwrap(), own: None };
        let led = tunnel.lead_back("http://127.0.0.1:4010/verify.twilio.com/v2/S");
        assert_eq!(led.as_deref(), Some("https://verify.twilio.com/v2/S"));
        assert_eq!(tunnel.lead_back("https://verify.twilio.com/v2/S"), None);
    }

    #[test]
    fn what_has_nothing_to_change_stays_byte_for_byte() {
        for json in [
            "{ \"b\" : 1.50, \"a\":[ 1e3 ,null ] ,\n\"c\":\"\\u00fc\"}\n",
            "[]",
            "\"token\"",
            "12",
            " { } ",
            "[{},[{}]]",
        ] {
            assert_eq!(cleaned(json), json);
        }
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        let links = LedBack { base: &TwilioBase::Twilio, own: None };
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in ["", "<xml/>", "{", "{\"a\":1}}", "{\"a\":1,}", "{'a':1}", "nul", "\"\u{0}\"", &deep] {
            assert_eq!(clean(&Bytes::copy_from_slice(text.as_bytes()), &links), Err(NotJson), "{text}");
        }
        assert_eq!(clean(&Bytes::from_static(b"\"\xff\""), &links), Err(NotJson));
    }
}
