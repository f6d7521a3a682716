//! Signed requests as Twilio sends them, each one different from all others.
//!
//! A replay cache answers a repeated request without the upstream, so a pool that is gone through twice measures the
//! cache. Instead each request is made when it is needed: a template, new SIDs in it, a new signature. The HMAC state
//! up to the first SID is kept; the rest costs about 0.4 µs on the core that makes the load, the same for every proxy.
//!
//! The signer is the harness's own, so that a fault in `ringfence-signature` cannot cancel itself out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const PUBLIC_URL: &str = "https://hooks.example.com";
pub(crate) const HOST: &str = "hooks.example.com";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sms,
    Voice,
}

impl Kind {
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Sms => "/twilio/sms",
            Self::Voice => "/twilio/voice",
        }
    }

    /// Names and decoded values in the order Twilio sends them. `SM*` and `CA*` stand for a new SID each time.
    fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Sms => &[
                ("ToCountry", "US"),
                ("ToState", "CA"),
                ("SmsMessageSid", "SM*"),
                ("NumMedia", "0"),
                ("ToCity", "SAN FRANCISCO"),
                ("FromZip", "10007"),
                ("SmsSid", "SM*"),
                ("FromState", "NY"),
                ("SmsStatus", "received"),
                ("FromCity", "NEW YORK"),
                (
                    "Body",
                    "Is my table for four still booked at 8 pm? We might come a little late, but surely. Thanks & bye",
                ),
                ("FromCountry", "US"),
                ("To", "+14155550100"),
                ("MessagingServiceSid", "MG0123456789abcdef0123456789abcdef"),
                ("ToZip", "94105"),
                ("NumSegments", "1"),
                ("ReferralNumMedia", "0"),
                ("MessageSid", "SM*"),
                ("AccountSid", ACCOUNT),
                ("From", "+12125550199"),
                ("ApiVersion", "2010-04-01"),
            ],
            Self::Voice => &[
                ("Called", "+14155550100"),
                ("ToState", "CA"),
                ("CallerCountry", "US"),
                ("Direction", "inbound"),
                ("CallerState", "NY"),
                ("ToZip", "94105"),
                ("CallSid", "CA*"),
                ("To", "+14155550100"),
                ("CallerZip", "10007"),
                ("ToCountry", "US"),
                ("CalledZip", "94105"),
                ("ApiVersion", "2010-04-01"),
                ("CalledCity", "SAN FRANCISCO"),
                ("CallStatus", "ringing"),
                ("From", "+12125550199"),
                ("AccountSid", ACCOUNT),
                ("CalledCountry", "US"),
                ("CallerCity", "NEW YORK"),
                ("ToCity", "SAN FRANCISCO"),
                ("FromCountry", "US"),
                ("Caller", "+12125550199"),
                ("FromCity", "NEW YORK"),
                ("CalledState", "CA"),
                ("FromZip", "10007"),
                ("FromState", "NY"),
            ],
        }
    }
}

/// Writes one signed HTTP/1.1 request after another.
pub(crate) struct Writer {
    target: &'static str,
    wire: Template,
    /// Where the 28 characters of the signature are in `wire`.
    signature_at: usize,
    /// Where the body begins in `wire`.
    body_at: usize,
    canonical: Template,
    /// The HMAC of everything before the first SID in `canonical`.
    before_first_sid: Hmac<Sha1>,
    /// 16 hexadecimal digits that tell this run from every other.
    run: String,
    count: u64,
    forged_share: f64,
}

impl Writer {
    /// `forged_share` of the requests carry a well-formed signature that is wrong: 0 none, 1 all.
    pub(crate) fn new(kind: Kind, token: &str, public_url: &str, forged_share: f64, close: bool) -> Self {
        let mut sorted: Vec<_> = kind.fields().to_vec();
        sorted.sort_unstable();
        let mut canonical = Template::default();
        canonical.push(&format!("{public_url}{}", kind.target()));
        for (name, value) in sorted {
            canonical.push(name);
            canonical.push_value(value, |value| value.to_owned());
        }

        let mut body = Template::default();
        for (index, (name, value)) in kind.fields().iter().enumerate() {
            body.push(if index == 0 { "" } else { "&" });
            body.push(&format!("{name}="));
            body.push_value(value, form_encoded);
        }

        let mut wire = Template::default();
        wire.push(&format!("POST {} HTTP/1.1\r\nHost: {HOST}\r\n", kind.target()));
        wire.push("User-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n");
        wire.push("Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n");
        wire.push(&format!("Content-Length: {}\r\n", body.bytes.len()));
        wire.push("I-Twilio-Idempotency-Token: 4b1f1f7a-5d2e-4c63-9f0a-");
        wire.push_slot(12);
        wire.push(if close { "\r\nConnection: close" } else { "" });
        wire.push("\r\nX-Twilio-Signature: ");
        let signature_at = wire.bytes.len();
        wire.push(&".".repeat(28));
        wire.push("\r\n\r\n");
        let body_at = wire.bytes.len();
        wire.append(&body);

        let mut before_first_sid = keyed(token);
        before_first_sid.update(&canonical.bytes[..canonical.first_slot()]);
        #[expect(
            clippy::disallowed_methods,
            reason = "a measurement begins here: runs must differ in their SIDs"
        )]
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let run = format!("{:016x}", started & u128::from(u64::MAX));
        Self {
            target: kind.target(),
            wire,
            signature_at,
            body_at,
            canonical,
            before_first_sid,
            run,
            count: 0,
            forged_share,
        }
    }

    /// Replaces `wire` by the next request; true when it is a forged one.
    pub(crate) fn next(&mut self, wire: &mut Vec<u8>) -> bool {
        self.count += 1;
        let mut sid = [b'0'; 32];
        sid[..16].copy_from_slice(self.run.as_bytes());
        hexadecimal(self.count, &mut sid[16..]);
        self.wire.fill(&sid);
        self.canonical.fill(&sid);

        let mut hmac = self.before_first_sid.clone();
        hmac.update(&self.canonical.bytes[self.canonical.first_slot()..]);
        let mut mac: [u8; 20] = hmac.finalize().into_bytes().into();
        // Spread evenly: the n-th is forged where n × share passes a whole number.
        let forged = (self.count as f64 * self.forged_share).floor()
            > ((self.count - 1) as f64 * self.forged_share).floor();
        if forged {
            mac[7] ^= 0x20;
        }
        let place = &mut self.wire.bytes[self.signature_at..self.signature_at + 28];
        STANDARD.encode_slice(mac, place).expect("20 bytes are 28 characters in base64");

        wire.clear();
        wire.extend_from_slice(&self.wire.bytes);
        forged
    }

    /// The next request taken apart, for measurements without a wire.
    pub(crate) fn next_parts(&mut self) -> Parts {
        let mut wire = Vec::new();
        self.next(&mut wire);
        Parts {
            target: self.target.to_owned(),
            content_type: "application/x-www-form-urlencoded; charset=UTF-8",
            body: wire[self.body_at..].to_vec(),
            signature: wire[self.signature_at..self.signature_at + 28].to_vec(),
            canonical: self.canonical.bytes.clone(),
        }
    }
}

/// One request without its HTTP.
pub(crate) struct Parts {
    /// Path and query.
    pub(crate) target: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// What the signature is over.
    pub(crate) canonical: Vec<u8>,
}

/// The state of an HMAC-SHA1 that has taken its key and nothing else.
pub(crate) fn keyed(token: &str) -> Hmac<Sha1> {
    Hmac::new_from_slice(token.as_bytes()).expect("an HMAC takes a key of any length")
}

/// Bytes with places for the digits of a SID.
#[derive(Default)]
struct Template {
    bytes: Vec<u8>,
    /// Start and length of each place; a short one takes the last digits.
    slots: Vec<(usize, usize)>,
}

impl Template {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn push_slot(&mut self, length: usize) {
        self.slots.push((self.bytes.len(), length));
        self.bytes.resize(self.bytes.len() + length, b'0');
    }

    fn push_value(&mut self, value: &str, encode: impl Fn(&str) -> String) {
        if let Some(prefix) = value.strip_suffix('*') {
            self.push(prefix);
            self.push_slot(32);
        } else {
            self.push(&encode(value));
        }
    }

    fn append(&mut self, other: &Self) {
        let moved = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.slots.extend(other.slots.iter().map(|(start, length)| (start + moved, *length)));
    }

    fn fill(&mut self, digits: &[u8; 32]) {
        for (start, length) in &self.slots {
            self.bytes[*start..start + length].copy_from_slice(&digits[32 - length..]);
        }
    }

    fn first_slot(&self) -> usize {
        self.slots.first().map_or(self.bytes.len(), |slot| slot.0)
    }
}

/// As Twilio writes values into a form.
pub(crate) fn form_encoded(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'-' | b'.' | b'_' | b'*' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                encoded.push(char::from(byte));
            }
            _ => write!(encoded, "%{byte:02X}").expect("a String takes any text"),
        }
    }
    encoded
}

fn hexadecimal(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size that the figures in the README are about.
    #[test]
    fn an_sms_has_21_parameters_in_585_bytes() {
        assert_eq!(Kind::Sms.fields().len(), 21);
        assert_eq!(Writer::new(Kind::Sms, TOKEN, PUBLIC_URL, 0.0, false).next_parts().body.len(), 585);
    }

    #[test]
    fn no_two_requests_are_alike_and_each_signature_is_over_its_own_bytes() {
        let mut writer = Writer::new(Kind::Sms, TOKEN, PUBLIC_URL, 0.0, false);
        let (first, second) = (writer.next_parts(), writer.next_parts());
        assert_ne!(first.body, second.body);
        for parts in [first, second] {
            let mac = keyed(TOKEN).chain_update(&parts.canonical).finalize().into_bytes();
            assert_eq!(STANDARD.encode(mac).as_bytes(), parts.signature);
        }
    }

    #[test]
    fn a_quarter_forged_is_every_fourth() {
        let mut writer = Writer::new(Kind::Voice, TOKEN, PUBLIC_URL, 0.25, false);
        let forged: Vec<bool> = (0..8).map(|_| writer.next(&mut Vec::new())).collect();
        assert_eq!(forged, [false, false, false, true, false, false, false, true]);
    }
}
