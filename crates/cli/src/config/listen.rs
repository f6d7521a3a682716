//! `[listen]`: the addresses of the data plane, and the peers whose word about a request counts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ringfence_gateway::forwarded::TrustedPeers;
use ringfence_gateway::settings::Listen;

use super::problems::Problems;
use super::raw::{Section, Table};

pub(super) const SECTION: Section = Section {
    name: "[listen]",
    keys: &[
        "gate",
        "forward_auth",
        "admin",
        "console",
        "second_factor",
        "egress",
        "trusted_proxies",
        "proxy_protocol",
    ],
    later: &[],
};

pub(super) const ADDRESS: &str = "an IP address and a port, such as \"127.0.0.1:8443\"";
const NETWORKS: &str = "a list of addresses and networks, such as [\"10.0.0.0/8\", \"192.0.2.7\"]";

/// In the place of an address that is typed and cannot be read. Port 0 is the same as no other.
const UNREAD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// `serves_media` says that [media] has an address of its own.
pub(super) fn resolve(table: Option<Table<'_>>, serves_media: bool, problems: &mut Problems) -> Listen {
    let Some(table) = table else {
        if serves_media {
            return Listen::default();
        }
        problems.error_of_file("there is no [listen], so nothing would be served; add [listen] with `gate`");
        return Listen::default();
    };
    let errors_before = problems.errors_len();
    let gate = address(&table, "gate", problems);
    let forward_auth = address(&table, "forward_auth", problems);
    let admin = address(&table, "admin", problems);
    let console = address(&table, "console", problems);
    let second_factor = address(&table, "second_factor", problems);
    let egress = address(&table, "egress", problems);
    let proxy_protocol =
        table.find("proxy_protocol").and_then(|field| field.boolean(problems)).unwrap_or(false);
    let trusted_proxies = trusted_peers(&table, problems);
    if problems.errors_len() > errors_before {
        // The file is refused. What is typed is not missing, so that no other section complains of that.
        let typed = |key, read: Option<SocketAddr>| read.or_else(|| table.has(key).then_some(UNREAD));
        return Listen {
            gate: typed("gate", gate),
            forward_auth: typed("forward_auth", forward_auth),
            admin: typed("admin", admin),
            console: typed("console", console),
            second_factor: typed("second_factor", second_factor),
            egress: typed("egress", egress),
            media: None,
            proxy_protocol,
            trusted_proxies,
        };
    }

    let listen = Listen {
        gate,
        forward_auth,
        admin,
        console,
        second_factor,
        egress,
        media: None,
        proxy_protocol,
        trusted_proxies,
    };
    let listeners = all(&listen);
    if listeners.iter().all(|(_, address)| address.is_none()) && !serves_media {
        problems.error(
            table.offset(),
            format!("[listen] has no address, so nothing would be served; add `gate`, {ADDRESS}"),
        );
    }
    for (number, (key, address)) in listeners.iter().enumerate() {
        let Some(address) = address.filter(|address| address.port() != 0) else { continue };
        let earlier = listeners.iter().take(number);
        let taken =
            earlier.filter_map(|(other, at)| Some((other, (*at)?))).find(|(_, at)| collide(*at, address));
        if let Some((other, at)) = taken {
            table.wrong(key, taken_by(address, at, format_args!("`{other}`")), problems);
        }
    }
    let trusts_nobody = listen.trusted_proxies.is_empty();
    if proxy_protocol && trusts_nobody {
        table.wrong(
            "proxy_protocol",
            "only listed peers may send its header, and `trusted_proxies` lists none; list the load balancer there",
            problems,
        );
    }
    if proxy_protocol && gate.is_none() {
        table.wrong("proxy_protocol", "it is for the gate, which has no address; add `gate`", problems);
    }
    if forward_auth.is_some() && trusts_nobody {
        table.wrong(
            "forward_auth",
            "the proxies that ask tell the request in forwarded headers, which count only from `trusted_proxies`, \
             and that lists none; list the proxies there, such as [\"127.0.0.1\"]",
            problems,
        );
    }
    if admin.is_some_and(|address| !address.ip().is_loopback()) {
        table.doubtful(
            "admin",
            "whoever reaches this address reads the metrics without a password; 127.0.0.1 keeps it to this machine",
            problems,
        );
    }
    listen
}

/// The addresses of this section, by their keys.
pub(super) fn all(listen: &Listen) -> [(&'static str, Option<SocketAddr>); 6] {
    [
        ("gate", listen.gate),
        ("forward_auth", listen.forward_auth),
        ("admin", listen.admin),
        ("console", listen.console),
        ("second_factor", listen.second_factor),
        ("egress", listen.egress),
    ]
}

/// Whether the system gives only one of two addresses: all addresses of a machine are each of them, and those of IPv6 are those
/// of IPv4 too.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let takes = |all: SocketAddr, one: SocketAddr| {
        all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4()) || all.ip() == one.ip()
    };
    one.port() != 0 && one.port() == other.port() && (takes(one, other) || takes(other, one))
}

/// What is wrong with an address that another part, of this name, has.
pub(super) fn taken_by(address: SocketAddr, at: SocketAddr, other: fmt::Arguments<'_>) -> String {
    if address == at {
        format!("{address} is the address of {other} already; write another")
    } else {
        format!("{address} is taken by {other} at {at}: write another port")
    }
}

pub(super) fn address(table: &Table<'_>, key: &'static str, problems: &mut Problems) -> Option<SocketAddr> {
    table.find(key)?.parse(ADDRESS, problems, |text| {
        text.parse().map_err(|_| match text.rsplit_once(':') {
            None => "has no port",
            Some((host, _))
                if host.bytes().any(|byte| byte.is_ascii_alphabetic()) && !host.starts_with('[') =>
            {
                "has a name where an IP address must be"
            }
            Some(("", _)) => "has no IP address (0.0.0.0 is every one of this machine)",
            Some(_) => "is not an IP address and a port",
        })
    })
}

fn trusted_peers(table: &Table<'_>, problems: &mut Problems) -> TrustedPeers {
    let Some(list) = table.find("trusted_proxies").and_then(|field| field.list(NETWORKS, problems)) else {
        return TrustedPeers::default();
    };
    let mut texts = Vec::with_capacity(list.len());
    for field in list {
        let Some(text) = field.as_text() else {
            field.wrong_type("a text", NETWORKS, problems);
            continue;
        };
        // One by one, so that each mistake is shown on its own line.
        match TrustedPeers::parse([text]) {
            Ok(_) => texts.push(text),
            Err(error) => field.wrong(error, problems),
        }
    }
    if is_everybody(&texts) {
        table.wrong(
            "trusted_proxies",
            "these networks together hold everybody, so anyone could write any address; list the proxies",
            problems,
        );
    }
    TrustedPeers::parse(texts).unwrap_or_default()
}

/// Whether networks hold all of IPv4, or all of the IPv6 that is routed on the internet (`2000::/3`).
fn is_everybody(networks: &[&str]) -> bool {
    let mut ranges: Vec<_> = networks.iter().filter_map(|network| range(network)).collect();
    ranges.sort_unstable();
    let holds = |first: u128, last: u128| {
        let mut next = Some(first);
        for (begin, end) in &ranges {
            match next {
                Some(wanted) if *begin <= wanted && wanted <= *end => next = end.checked_add(1),
                _ => {}
            }
        }
        next.is_none_or(|next| next > last)
    };
    let mapped = |address: Ipv4Addr| address.to_ipv6_mapped().to_bits();
    holds(mapped(Ipv4Addr::UNSPECIFIED), mapped(Ipv4Addr::BROADCAST)) || holds(1 << 125, (1 << 126) - 1)
}

/// The first and the last address of a network, IPv4 as it is mapped into IPv6.
fn range(network: &str) -> Option<(u128, u128)> {
    let (address, prefix) = match network.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (network, None),
    };
    let (first, bits) = match address.parse().ok()? {
        IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let free = u32::checked_sub(bits, prefix.unwrap_or(bits))?;
    let size = 1_u128.checked_shl(free).map_or(u128::MAX, |size| size - 1);
    Some((first, first | size))
}
