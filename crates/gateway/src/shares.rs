//! What each client address may have in work at once, so that one takes the places of no others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The shares that are taken.
#[derive(Debug)]
pub(crate) struct Shares {
    each_max: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One request in work of an address, as long as it is kept.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Shares>,
    network: IpAddr,
}

impl Shares {
    /// So many for each address, of IPv6 for each /64.
    pub(crate) fn new(each_max: usize) -> Arc<Self> {
        Arc::new(Self { each_max, taken: Mutex::default() })
    }

    /// One more of this address, unless it has its share.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let network = network(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(network).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(Share { of: Arc::clone(self), network })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = taken.entry(self.network) {
            *count.get_mut() -= 1;
            // Nothing is kept of who is gone.
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What one household or server has: an IPv4 address, or the first 64 bits of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_has_its_share_gets_no_more_until_it_gives_something_back_and_others_do() {
        let shares = Shares::new(2);
        let (first, second) = (shares.take(at("192.0.2.1")), shares.take(at("::ffff:192.0.2.1")));
        assert!(first.is_some() && second.is_some(), "the same address, however it is written");
        assert!(shares.take(at("192.0.2.1")).is_none());
        let other = shares.take(at("192.0.2.2"));
        assert!(other.is_some());
        drop(first);
        assert!(shares.take(at("192.0.2.1")).is_some());
        drop((second, other));
        assert!(shares.taken.lock().unwrap().is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn of_ipv6_a_network_of_64_bits_has_one_share() {
        let shares = Shares::new(1);
        let _first = shares.take(at("2001:db8:0:1::1")).unwrap();
        assert!(shares.take(at("2001:db8:0:1:ffff::2")).is_none());
        assert!(shares.take(at("2001:db8:0:2::1")).is_some());
    }
}
