//! Which addresses are this machine, and which are our own: as far as an address tells without a name server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ringfence_gateway::settings::Listen;
use ringfence_gateway::upstream::UpstreamAddress;

use super::listen;

/// Whether only this machine can be meant.
pub(super) fn is_on_this_machine(upstream: &UpstreamAddress) -> bool {
    addresses(upstream).iter().any(|address| is_here(address.ip()))
}

/// The key of `[listen]` whose address this is: what is sent there comes back to us.
pub(super) fn own_listener(upstream: &UpstreamAddress, listen: &Listen) -> Option<&'static str> {
    let own = |address: Option<SocketAddr>| address.is_some_and(|address| is_at(upstream, address));
    listen::all(listen).into_iter().find(|(_, address)| own(*address)).map(|(key, _)| key)
}

/// Whether what is sent there comes to whoever listens at this address.
pub(super) fn is_at(upstream: &UpstreamAddress, listener: SocketAddr) -> bool {
    let leads_to = |listener: SocketAddr, address: &SocketAddr| {
        let (from, to) = (listener.ip().to_canonical(), address.ip().to_canonical());
        // An unspecified address is every one of this machine, whichever side writes it.
        let is_same = from == to
            || (from.is_unspecified() && is_here(to))
            || (to.is_unspecified() && from.is_loopback());
        listener.port() != 0 && listener.port() == address.port() && is_same
    };
    addresses(upstream).iter().any(|address| leads_to(listener, address))
}

/// Whether its host is a name without a dot: that of a container, as a rule, and none that the rest of the world knows.
pub(super) fn is_named_by_one_word(upstream: &UpstreamAddress) -> bool {
    let authority = upstream.authority();
    !authority.contains(['.', '['])
}

fn is_here(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}

/// What a written address or `localhost` stands for; nothing for other names.
fn addresses(upstream: &UpstreamAddress) -> Vec<SocketAddr> {
    let (authority, port) = (upstream.authority(), upstream.port());
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return vec![address];
    }
    if let Ok(ip) = authority.trim_matches(['[', ']']).parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, port)];
    }
    let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
    if !name.eq_ignore_ascii_case("localhost") {
        return Vec::new();
    }
    let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    both.map(|ip| SocketAddr::new(ip, port)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(gate: &str, upstream: &str) -> bool {
        let gate = Some(gate.parse().expect("an address"));
        let listen = Listen { gate, ..Listen::default() };
        own_listener(&upstream.parse().expect("an upstream"), &listen).is_some()
    }

    #[test]
    fn our_own_address_is_known_in_each_way_to_write_it() {
        assert!(own("127.0.0.1:8443", "http://127.0.0.1:8443"));
        assert!(own("127.0.0.1:8443", "http://localhost:8443"));
        assert!(own("127.0.0.1:8443", "https://localhost:8443"));
        assert!(own("127.0.0.1:443", "https://localhost"));
        assert!(own("[::1]:8443", "http://localhost:8443"));
        assert!(own("0.0.0.0:8443", "http://127.0.0.1:8443"));
        assert!(own("[::]:80", "http://[::1]"));
        assert!(own("127.0.0.1:8443", "http://0.0.0.0:8443"));
        assert!(own("10.0.0.5:8443", "http://10.0.0.5:8443"));
    }

    #[test]
    fn another_port_or_another_machine_is_not_ours() {
        assert!(!own("127.0.0.1:8443", "http://127.0.0.1:3000"));
        assert!(!own("127.0.0.1:80", "https://127.0.0.1"));
        assert!(!own("127.0.0.1:8443", "http://127.0.0.2:8443"));
        assert!(!own("0.0.0.0:8443", "http://10.0.0.6:8443"));
        assert!(!own("127.0.0.1:8443", "http://app.internal:8443"));
    }

    #[test]
    fn loopback_and_localhost_are_this_machine() {
        for (upstream, here) in [
            ("http://localhost", true),
            ("http://127.0.0.9:3000", true),
            ("http://[::1]:3000", true),
            ("https://localhost:8443", true),
            ("https://10.0.0.1", false),
            ("http://10.0.0.1:3000", false),
            ("http://localhost.example:3000", false),
        ] {
            assert_eq!(is_on_this_machine(&upstream.parse().expect("an upstream")), here, "{upstream}");
        }
    }
}
