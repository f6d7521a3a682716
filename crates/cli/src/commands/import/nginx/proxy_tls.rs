//! What an nginx demands of an application that it speaks TLS to, as keys of a route.
//!
//! nginx checks no certificate unless `proxy_ssl_verify` is on
//! (<https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ssl_verify>), and the gate checks each: what worked there may
//! be refused here, so that is always said.

use super::tree::Directive;

/// What is in force at one level; each directive is taken over from the level above unless it stands here too.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ProxyTls<'a> {
    verify: Option<&'a str>,
    name: Option<&'a str>,
    trusted: Option<&'a str>,
    certificate: Option<&'a str>,
    key: Option<&'a str>,
}

/// The keys of a route that say how an application proves who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::commands::import) struct Proves {
    /// `upstream_ca`
    pub(in crate::commands::import) authorities: Option<String>,
    /// `upstream_name`
    pub(in crate::commands::import) name: Option<String>,
    /// `upstream_certificate` and `upstream_key`
    pub(in crate::commands::import) identity: Option<(String, String)>,
}

impl<'a> ProxyTls<'a> {
    /// What is in force within a block of this level.
    pub(super) fn within(self, block: &'a [Directive]) -> Self {
        let said = |name: &str| block.iter().find(|it| it.name == name).map(|it| it.word(0));
        Self {
            verify: said("proxy_ssl_verify").or(self.verify),
            name: said("proxy_ssl_name").or(self.name),
            trusted: said("proxy_ssl_trusted_certificate").or(self.trusted),
            certificate: said("proxy_ssl_certificate").or(self.certificate),
            key: said("proxy_ssl_certificate_key").or(self.key),
        }
    }

    /// The keys for where a `proxy_pass` leads, and what deserves a look.
    pub(super) fn proves(&self, pass: &str, upstream: &str) -> (Proves, Vec<String>) {
        let Some(authority) = upstream.strip_prefix("https://") else {
            return (Proves::default(), Vec::new());
        };
        let (mut proves, mut notes) = (Proves::default(), Vec::new());
        let verifies = self.verify == Some("on");
        if !verifies {
            notes.push(
                "nginx does not check the certificate of this application (proxy_ssl_verify is off), and the gate will: it \
                 must be valid now, for the host of upstream or the name in upstream_name, and of a public authority or of \
                 one in upstream_ca"
                    .to_owned(),
            );
        }
        let mut is_known = |directive: &str, said: Option<&str>| {
            let said = said.filter(|it| !it.is_empty())?;
            if said.contains('$') {
                notes.push(format!("{directive} {said}: a variable says it; write what it is"));
                return None;
            }
            Some(said.to_owned())
        };
        proves.authorities = is_known("proxy_ssl_trusted_certificate", self.trusted);
        let certificate = is_known("proxy_ssl_certificate", self.certificate);
        proves.identity = certificate.zip(is_known("proxy_ssl_certificate_key", self.key));
        let name = self.name.filter(|it| *it != "$proxy_host");
        proves.name = match is_known("proxy_ssl_name", name) {
            // Where nginx checks, it is the name in `proxy_pass` that it checks, be that the name of servers elsewhere.
            None if verifies && self.name.is_none_or(|it| it == "$proxy_host") => host_of(pass),
            name => name,
        };
        let own = host(authority);
        proves.name = proves.name.filter(|name| !name.eq_ignore_ascii_case(own));
        let is_relative = |file: &String| !file.starts_with('/');
        let (certificate, key) = proves.identity.clone().unzip();
        if [&proves.authorities, &certificate, &key].into_iter().flatten().any(is_relative) {
            notes.push(
                "nginx looks for such files in its own folder; the gate beside its configuration".to_owned(),
            );
        }
        (proves, notes)
    }
}

/// The host of a `proxy_pass`.
fn host_of(pass: &str) -> Option<String> {
    let (_, rest) = pass.split_once("://")?;
    let authority = rest.split('/').next()?;
    Some(host(authority).to_owned())
}

/// Without its port and the brackets of IPv6.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or(authority),
    }
}
