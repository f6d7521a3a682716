//! SIP domains: <https://www.twilio.com/docs/voice/api/sip-domain-resource>.

use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::in_account;
use super::super::{Client, Pages};
use crate::wire::{Form, SipDomain};

/// The SIP domains of an account: `client.sip_domains(account)`.
#[derive(Debug, Clone, Copy)]
pub struct SipDomains<'c> {
    client: &'c Client,
    account: Sid,
}

impl Client {
    /// The SIP domains of an account.
    pub fn sip_domains(&self, account: Sid) -> SipDomains<'_> {
        SipDomains { client: self, account }
    }
}

impl SipDomains<'_> {
    /// All of them.
    pub fn list(&self) -> Pages<SipDomain> {
        let path = in_account(self.account, "SIP/Domains");
        Pages::new(self.client, "sip_domains.list", Api, path, Form::new(), "domains")
    }
}
