//! Addresses that mean nothing outside some network.

use std::net::IpAddr;

/// Whether an address means nothing outside some network (RFC 6890): nobody elsewhere reaches it, and what somebody elsewhere
/// has us ask there is none of their business.
///
/// ```
/// assert!(ringfence_model::is_private("169.254.169.254".parse().unwrap()));
/// assert!(!ringfence_model::is_private("203.0.113.7".parse().unwrap()));
/// ```
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || first == 0
                || first >= 240
                // Of protocols and of measurements; the host of a machine at Azure.
                || matches!(v4.octets(), [192, 0, 0, _] | [198, 18..=19, ..] | [168, 63, 129, 16])
                // Shared between a carrier and its customers (RFC 6598).
                || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                // Those of a site (RFC 3879), and those that lead to an address of version 4: NAT64, 6to4, and a form of old.
                || v6.segments()[0] & 0xffc0 == 0xfec0
                || v6.segments()[0] == 0x2002
                || matches!(v6.segments(), [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0, 0, 0, 0, 0, 0, _, _])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_of_an_inner_network_is_public() {
        for inner in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fd00::1",
            "168.63.129.16",
            "192.0.0.8",
            "198.19.0.1",
            "240.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "fec0::1",
            "::10.0.0.1",
        ] {
            assert!(is_private(inner.parse().unwrap()), "{inner}");
        }
        for outer in ["203.0.113.7", "172.32.0.1", "100.128.0.1", "2606:4700::1"] {
            assert!(!is_private(outer.parse().unwrap()), "{outer}");
        }
    }
}
