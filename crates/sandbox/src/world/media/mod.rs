//! Pictures and other files of messages.
//!
//! Nothing is fetched from where an application says its files are: the sandbox needs no network. It keeps the URL,
//! guesses the type by its ending, and serves a small file of that type, the same for the same SID.

mod samples;

use bytes::Bytes;
use jiff::Timestamp;
use ringfence_model::Sid;

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
