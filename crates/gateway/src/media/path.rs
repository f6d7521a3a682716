//! Which file of Twilio's a path names.
//!
//! The one idea: there is one spelling of each path, the one that Twilio itself writes, and nothing else is a path. So what a
//! link was signed for, whose account was looked up and what Twilio is asked for cannot be three things.

use std::fmt;
use std::str::FromStr;

use ringfence_model::Sid;

/// The path of a file that belongs to an account: of a message (<https://www.twilio.com/docs/messaging/api/media-resource>) or
/// a recording (<https://www.twilio.com/docs/voice/api/recording>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaPath {
    account: Sid,
    file: File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum File {
    OfMessage { message: Sid, media: Sid },
    Recording { recording: Sid, format: Format },
}

/// How a recording is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Format {
    /// As Twilio gives it where nothing is said.
    Unsaid,
    Wav,
    Mp3,
}

/// The text is not the path of such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is neither /2010-04-01/Accounts/AC…/Messages/MM…/Media/ME… nor /2010-04-01/Accounts/AC…/Recordings/RE… (with .mp3, \
     .wav or neither)"
)]
pub struct InvalidMediaPath;

const PREFIX: &str = "/2010-04-01/Accounts/";

impl MediaPath {
    /// Reads a path as it is requested: in Twilio's own spelling alone.
    pub fn parse(path: &str) -> Result<Self, InvalidMediaPath> {
        let read = Self::read(path)?;
        if read.to_string() == path { Ok(read) } else { Err(InvalidMediaPath) }
    }

    /// Reads what people and programs have at hand: a URL at Twilio (or at `base`, which stands for it), such as
    /// `MediaUrl0` and `RecordingUrl` of a webhook, or a path, such as `uri` of a resource, with the `.json` at its end.
    pub fn of_url(url: &str, base: &str) -> Result<Self, InvalidMediaPath> {
        let path = if url.starts_with('/') {
            url
        } else {
            let at_base = url.strip_prefix(base.trim_end_matches('/')).filter(|rest| rest.starts_with('/'));
            // The sandbox has Twilio's host first in its path, or none.
            let at_base = at_base.map(|rest| rest.strip_prefix("/api.twilio.com").unwrap_or(rest));
            at_base.or_else(|| at_twilio(url)).ok_or(InvalidMediaPath)?
        };
        Self::read(path.strip_suffix(".json").unwrap_or(path))
    }

    /// Whose it is.
    pub fn account(&self) -> Sid {
        self.account
    }

    /// The file itself: `ME…` or `RE…`.
    pub fn sid(&self) -> Sid {
        match self.file {
            File::OfMessage { media, .. } => media,
            File::Recording { recording, .. } => recording,
        }
    }

    /// Whether it is a recording, and else of a message.
    pub fn is_recording(&self) -> bool {
        matches!(self.file, File::Recording { .. })
    }

    /// Digits of SIDs in either case.
    fn read(path: &str) -> Result<Self, InvalidMediaPath> {
        let mut segments = path.strip_prefix(PREFIX).ok_or(InvalidMediaPath)?.split('/');
        let mut next = || segments.next().ok_or(InvalidMediaPath);
        let account = sid(next()?, &["AC"])?;
        let file = match next()? {
            "Messages" => {
                let message = sid(next()?, &["MM", "SM"])?;
                if next()? != "Media" {
                    return Err(InvalidMediaPath);
                }
                File::OfMessage { message, media: sid(next()?, &["ME"])? }
            }
            "Recordings" => {
                let name = next()?;
                let (name, format) = match name.split_once('.') {
                    None => (name, Format::Unsaid),
                    Some((name, "wav")) => (name, Format::Wav),
                    Some((name, "mp3")) => (name, Format::Mp3),
                    Some(_) => return Err(InvalidMediaPath),
                };
                File::Recording { recording: sid(name, &["RE"])?, format }
            }
            _ => return Err(InvalidMediaPath),
        };
        if segments.next().is_some() { Err(InvalidMediaPath) } else { Ok(Self { account, file }) }
    }
}

/// What follows the host of a URL at Twilio's API, in any of its regions.
fn at_twilio(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    let host = crate::egress::host::TwilioHost::parse(host)?;
    (host.product == "api").then_some(path)
}

fn sid(text: &str, prefixes: &[&str]) -> Result<Sid, InvalidMediaPath> {
    let sid = Sid::parse(text).map_err(|_| InvalidMediaPath)?;
    if prefixes.iter().any(|prefix| sid.is(prefix)) { Ok(sid) } else { Err(InvalidMediaPath) }
}

impl fmt::Display for MediaPath {
    /// As Twilio writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account;
        match self.file {
            File::OfMessage { message, media } => {
                write!(formatter, "{PREFIX}{account}/Messages/{message}/Media/{media}")
            }
            File::Recording { recording, format } => {
                let ending = match format {
                    Format::Unsaid => "",
                    Format::Wav => ".wav",
                    Format::Mp3 => ".mp3",
                };
                write!(formatter, "{PREFIX}{account}/Recordings/{recording}{ending}")
            }
        }
    }
}

impl FromStr for MediaPath {
    type Err = InvalidMediaPath;

    fn from_str(text: &str) -> Result<Self, InvalidMediaPath> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AC: &str = "AC0000000000000000000000000000000a";
    const MM: &str = "MM0000000000000000000000000000000b";
    const ME: &str = "ME0000000000000000000000000000000c";
    const RE: &str = "RE0000000000000000000000000000000d";

    fn media() -> String {
        format!("/2010-04-01/Accounts/{AC}/Messages/{MM}/Media/{ME}")
    }

    fn recording(ending: &str) -> String {
        format!("/2010-04-01/Accounts/{AC}/Recordings/{RE}{ending}")
    }

    #[test]
    fn what_is_spelled_in_any_other_way_than_twilio_s_is_no_path() {
        for path in [
            String::new(),
            "/".to_owned(),
            media().to_lowercase(),
            media().replace("00a", "00A"),
            media().replace("/2010-04-01", "/2008-08-01"),
            media().replace("/Messages", "//Messages"),
            media().replace("/Messages", "/./Messages"),
            media().replace("/Messages", "/x/../Messages"),
            media().replace("/Messages", "/Calls"),
            media().replace("MM0", "CA0"),
            media().replace("ME0", "RE0"),
            media().replace("AC0", "PN0"),
            media().replace("Media", "Medi%61"),
            media().replacen('0', "%30", 1),
            media() + "/",
            media() + ".json",
            media() + ".jpg",
            media() + "?x=1",
            media() + "#",
            media() + " ",
            format!("{}/{ME}", media()),
            format!(" {}", media()),
            format!("https://api.twilio.com{}", media()),
            recording(".json"),
            recording(".xml"),
            recording("."),
            recording(".wav."),
            recording(".mp3.wav"),
            recording(".MP3"),
            recording("/Transcriptions"),
            recording("").replace("RE0", "ME0"),
            recording("").replace("RE0", "RE"),
        ] {
            assert_eq!(MediaPath::parse(&path), Err(InvalidMediaPath), "{path}");
        }
    }

    #[test]
    fn media_of_messages_and_recordings_are_read_and_written_alike() {
        for path in
            [media(), media().replace("MM0", "SM0"), recording(""), recording(".wav"), recording(".mp3")]
        {
            let read = MediaPath::parse(&path).unwrap();
            assert_eq!((read.to_string(), read.account().to_string()), (path, AC.to_owned()));
        }
        let of =
            |path: &str| MediaPath::parse(path).map(|it| (it.sid().to_string(), it.is_recording())).unwrap();
        assert_eq!(of(&media()), (ME.to_owned(), false));
        assert_eq!(of(&recording(".mp3")), (RE.to_owned(), true));
    }

    #[test]
    fn a_url_is_taken_as_webhooks_and_resources_have_it_and_from_nowhere_else() {
        let of = |url: &str| MediaPath::of_url(url, "http://127.0.0.1:4010").map(|path| path.to_string());
        for url in [
            media(),
            media() + ".json",
            media().replace("00a", "00A"),
            format!("https://api.twilio.com{}", media()),
            format!("https://api.dublin.ie1.twilio.com{}", media()),
            format!("http://127.0.0.1:4010{}", media()),
            format!("http://127.0.0.1:4010/api.twilio.com{}", media()),
        ] {
            assert_eq!(of(&url), Ok(media()), "{url}");
        }
        assert_eq!(of(&recording(".mp3")), Ok(recording(".mp3")));
        for url in [
            format!("https://evil.example{}", media()),
            format!("https://verify.twilio.com{}", media()),
            format!("http://api.twilio.com{}", media()),
            format!("http://127.0.0.1:40100{}", media()),
            format!("https://api.twilio.com@evil.example{}", media()),
            "https://api.twilio.com".to_owned(),
            format!("//evil.example{}", media()),
        ] {
            assert_eq!(of(&url), Err(InvalidMediaPath), "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_is_its_own_spelling(text in "[/A-Za-z0-9.%?#-]{0,140}|\\PC{0,80}") {
            if let Ok(path) = MediaPath::parse(&text) {
                prop_assert_eq!(path.to_string(), text);
            }
        }

        #[test]
        fn one_byte_that_differs_makes_another_path_or_none(
            of_message in any::<bool>(), place in any::<prop::sample::Index>(), byte in 0x21..0x7f_u8,
        ) {
            let text = if of_message { media() } else { recording(".wav") };
            let mut other = text.clone().into_bytes();
            let place = place.index(other.len());
            prop_assume!(other[place] != byte);
            other[place] = byte;
            let other = String::from_utf8(other).unwrap();
            prop_assert_ne!(MediaPath::parse(&other), MediaPath::parse(&text));
        }
    }
}
