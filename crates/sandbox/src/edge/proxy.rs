//! As a proxy the sandbox leads to Twilio's hosts, that is to itself, and nowhere else: it must not become a way
//! for others into the network that it stands in.

use std::net::SocketAddr;

use http::Uri;

use super::problem::Problem;
use crate::api::{Product, shortened};

const HTTPS: u16 = 443;

/// The host that a `CONNECT` names, if the sandbox stands in for it.
pub(super) fn tunnel_to(target: &Uri, inside_a_tunnel: bool) -> Result<String, Problem> {
    let authority = target.authority().filter(|_| !inside_a_tunnel);
    let authority = authority
        .ok_or_else(|| Problem::bad_request("CONNECT wants host:port, on a connection without TLS"))?;
    let host = authority.host();
    check_host(host)?;
    if authority.port_u16() != Some(HTTPS) {
        return Err(Problem::forbidden(format!("no tunnel to {}", shortened(authority.as_str())))
            .hint("the sandbox stands in for Twilio's hosts at port 443 only"));
    }
    Ok(host.to_owned())
}

/// `GET http://api.twilio.com/…`, as a client of a proxy writes it: for a host of Twilio's, or for the sandbox itself.
pub(super) fn check_target(target: &Uri, own: SocketAddr) -> Result<(), Problem> {
    match target.authority() {
        Some(authority) if authority.port_u16() != Some(own.port()) => check_host(authority.host()),
        _ => Ok(()),
    }
}

fn check_host(host: &str) -> Result<(), Problem> {
    let known = Product::ALL.map(Product::label).join(", ");
    match Product::of_host(host) {
        Some(Some(_)) => Ok(()),
        Some(None) => Err(Problem::forbidden(format!("the sandbox has no {}", shortened(host)))
            .hint(format!("it has {known} of twilio.com"))),
        None => Err(Problem::forbidden(format!("the sandbox is no proxy for {}", shortened(host))).hint(format!(
            "it leads to {known} of twilio.com only; let other traffic pass it by (NO_PROXY, or a proxy for this client alone)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(target: &str) -> Result<String, u16> {
        tunnel_to(&target.parse().unwrap(), false).map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn tunnels_lead_to_twilio_only() {
        for target in [
            "example.com:443",
            "127.0.0.1:443",
            "[::1]:443",
            "twilio.com:443",
            "studio.twilio.com:443",
            "api.twilio.com.evil.example:443",
            "api.twilio.com:22",
        ] {
            assert_eq!(connect(target), Err(403), "{target}");
        }
        assert_eq!(connect("api.twilio.com:443").unwrap(), "api.twilio.com");
        assert_eq!(connect("api.dublin.ie1.twilio.com:443").unwrap(), "api.dublin.ie1.twilio.com");
        assert!(tunnel_to(&"api.twilio.com:443".parse().unwrap(), true).is_err(), "no tunnel in a tunnel");
    }

    #[test]
    fn whole_urls_name_twilio_or_the_sandbox() {
        let own = SocketAddr::from(([127, 0, 0, 1], 4010));
        let check = |target: &str| check_target(&target.parse().unwrap(), own).is_ok();
        assert!(check("/2010-04-01/Accounts.json"));
        assert!(check("http://api.twilio.com/2010-04-01/Accounts.json"));
        assert!(check("http://localhost:4010/_sandbox/"));
        assert!(!check("http://localhost:3000/"));
        assert!(!check("http://example.com/"));
    }
}
