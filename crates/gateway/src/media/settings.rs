//! What the media guard needs to know, already meant.

use std::time::Duration;

use ringfence_model::{Sid, StampKey};

use super::redirect::FileHost;
use crate::egress::host::TwilioBase;
use crate::egress::settings::{EgressAccount, TwilioTls};

/// The media guard: which files it fetches, from where, and for whom.
#[derive(Debug, Clone)]
pub struct Media {
    /// What links begin with: `https://media.example.com`, without a slash at its end.
    pub public_url: String,
    /// Where Twilio is.
    pub twilio: TwilioBase,
    /// How certificates are checked, Twilio's and those of the hosts that its redirects lead to.
    pub tls: TwilioTls,
    /// The accounts of the configuration that have an auth token. Those that are learnt come beside them.
    pub accounts: Vec<EgressAccount>,
    /// Where redirects may lead.
    pub hosts: Vec<FileHost>,
    /// For the head of the file's answer, all redirects and connections included.
    pub timeout: Duration,
    /// Bytes of a file, or of the part of it that is asked for.
    pub bytes_max: u64,
    /// For a file from its head to its end.
    pub file_within: Duration,
    /// Who may see files without a link: whoever is signed in at the console; `None`: nobody.
    pub sign_in: Option<MediaSignIn>,
}

/// Whom the console's sign-in page lets in to files.
#[derive(Debug, Clone)]
pub struct MediaSignIn {
    /// The protected host, as the stamps name it.
    pub host: String,
    /// What the console stamps names with.
    pub key: StampKey,
    /// The account whose files they see; `None`: of all accounts.
    pub account: Option<Sid>,
}
