//! Pictures and other files of messages.
//!
//! Nothing is fetched from where an application says its files are: the sandbox needs no network. It keeps the URL,
//! guesses the type by its ending, and serves a small file of that type, the same for the same SID.

mod samples;

use bytes::Bytes;
use jiff::Timestamp;
use ringfence_model::{Secret, Sid, StampKey};

use super::World;
use crate::table::Row;

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) message: Sid,
    pub(crate) content_type: &'static str,
    /// Where its sender says that it is.
    source: Box<str>,
    pub(crate) created: Timestamp,
}

impl Row for Media {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Media {
    /// The path without `.json`, where the file itself is.
    pub(crate) fn path(&self) -> String {
        format!("/2010-04-01/Accounts/{}/Messages/{}/Media/{}", self.account, self.message, self.sid)
    }

    /// The file.
    pub(crate) fn content(&self) -> Bytes {
        samples::sample(self.content_type, self.sid).into()
    }
}

/// The first segment of the paths of files where they are kept: the host that Twilio has them at.
pub(crate) const FILES: &str = "/mms.twiliocdn.com";

/// So long a signed URL of a file is good; Twilio's own: <https://help.twilio.com/articles/223183748>.
const SIGNED_FOR_S: u64 = 4 * 3600;

/// The path of a file where it is kept, signed from now on.
pub(crate) fn signed_path(world: &World, media: &Media) -> Option<String> {
    let expires = u64::try_from(world.now.as_second()).unwrap_or(0).saturating_add(SIGNED_FOR_S);
    let signature = signature_of(world, media.account, media.sid, expires)?;
    Some(format!("{FILES}/{}/{}?Expires={expires}&Signature={signature}", media.account, media.sid))
}

/// What opens a file until that second; nothing for an account that there is not.
pub(crate) fn signature_of(world: &World, account: Sid, sid: Sid, expires: u64) -> Option<String> {
    let token = &world.accounts.find(account)?.auth_token;
    let key = StampKey::new(&Secret::new(format!("where media of the sandbox are {token}"))).ok()?;
    let stamp = key.make(expires, &[sid.to_string().as_bytes()]);
    let text = std::str::from_utf8(stamp.as_bytes()).ok()?;
    text.rsplit_once('=').map(|(_, signature)| signature.to_owned())
}

/// Gives a message its files.
pub(super) fn attach(world: &mut World, account: Sid, message: Sid, urls: Vec<String>) -> Box<[Sid]> {
    let created = world.now;
    urls.into_iter()
        .map(|url| {
            let sid = world.ids.sid(*b"ME");
            let content_type = content_type(&url);
            world.media.insert(Media { sid, account, message, content_type, source: url.into(), created });
            sid
        })
        .collect()
}

/// Where the senders of these files say that they are.
pub(super) fn sources(world: &World, files: &[Sid]) -> Vec<String> {
    files.iter().filter_map(|sid| world.media.find(*sid)).map(|media| media.source.to_string()).collect()
}

/// Where an application fetches a file.
pub(super) fn public_url(world: &World, media: &Media) -> String {
    format!("{}{}", world.base, media.path())
}

/// A message is gone, and its files with it.
pub(super) fn delete(world: &mut World, account: Sid, files: &[Sid]) {
    for sid in files {
        world.media.remove_of(account, *sid);
    }
}

/// By the ending of the path; a URL without one that is known is taken for a picture.
/// <https://www.twilio.com/docs/messaging/guides/accepted-mime-types>.
fn content_type(url: &str) -> &'static str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match ending.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "mp4" => "video/mp4",
        "3gp" => "video/3gpp",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "pdf" => "application/pdf",
        "vcf" => "text/vcard",
        "csv" => "text/csv",
        "txt" => "text/plain",
        _ => "image/png",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_guessed_by_the_ending_of_the_path() {
        assert_eq!(content_type("https://a.example/x/cat.JPEG?size=1.png"), "image/jpeg");
        assert_eq!(content_type("https://a.example/card.vcf"), "text/vcard");
        assert_eq!(content_type("https://a.example/picture"), "image/png");
        assert_eq!(content_type("https://a.gif"), "image/gif");
    }
}
