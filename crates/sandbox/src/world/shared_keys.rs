//! SharedKeys of the Webhooks configuration API (experimental: Twilio's is a beta without a published document).

use ringfence_model::Sid;
use ringfence_signature::Signer;

use super::World;

/// Keys, and the rules that say which URL is signed with which.
#[derive(Debug, Default)]
pub(crate) struct SharedKeys {}

/// The SharedKey that signs what goes to this URL, if a rule of the account says so.
pub(crate) fn signer(_world: &World, _account: Sid, _url: &str) -> Option<Signer> {
    None
}
