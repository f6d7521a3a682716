//! The two notations in which proxies write down whom they speak for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str;

use super::ForwardedError;

/// Whom one proxy saw at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    /// An address, IPv4 where it is IPv4 written in IPv6.
    Address(IpAddr),
    /// It does not know, or does not say.
    Hidden,
}

/// The elements of `X-Forwarded-For`, nearest first, read as they are asked for: what stands left of the client
/// is never looked at, so nobody can be refused for what somebody further away has written.
pub(super) fn x_forwarded_for(value: &[u8]) -> impl Iterator<Item = Result<Hop, ForwardedError>> {
    value.rsplit(|byte| *byte == b',').map(|element| node(element.trim_ascii()))
}

/// The elements of `Forwarded` (RFC 7239, section 4), furthest first. The whole value must be well-formed: a
/// quotation mark left open by a client would swallow what the proxy has appended.
pub(super) fn forwarded(value: &[u8]) -> Result<Vec<Hop>, ForwardedError> {
    let mut rest = value;
    let mut hops = Vec::new();
    loop {
        let hop;
        (hop, rest) = element(rest)?;
        hops.push(hop);
        rest = match rest.split_first() {
            None => return Ok(hops),
            Some((b',', rest)) => rest,
            Some(_) => return Err(ForwardedError::Malformed),
        };
    }
}

/// `name=value` pairs with semicolons between, up to a comma or the end.
fn element(mut rest: &[u8]) -> Result<(Hop, &[u8]), ForwardedError> {
    let mut found = None;
    loop {
        let name;
        (name, rest) = token(rest.trim_ascii_start(), is_token)?;
        rest = rest.strip_prefix(b"=").ok_or(ForwardedError::Malformed)?;
        let value;
        (value, rest) = parameter_value(rest)?;
        if name.eq_ignore_ascii_case(b"for") && found.replace(node(&value)?).is_some() {
            return Err(ForwardedError::Malformed);
        }
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            Some((b';', after)) => rest = after,
            _ => return Ok((found.unwrap_or(Hop::Hidden), rest)),
        }
    }
}

fn parameter_value(rest: &[u8]) -> Result<(Vec<u8>, &[u8]), ForwardedError> {
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        // The RFC wants quotes around a colon or a bracket; many proxies forget them, and nothing else can be meant.
        let (value, rest) = token(rest, |byte| is_token(byte) || matches!(byte, b':' | b'[' | b']'))?;
        return Ok((value.to_vec(), rest));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((value, &quoted[index + 1..])),
            b'\\' => value.push(*bytes.next().ok_or(ForwardedError::Malformed)?.1),
            byte => value.push(*byte),
        }
    }
    Err(ForwardedError::Malformed)
}

fn token(rest: &[u8], allowed: impl Fn(u8) -> bool) -> Result<(&[u8], &[u8]), ForwardedError> {
    let end = rest.iter().position(|byte| !allowed(*byte)).unwrap_or(rest.len());
    if end == 0 { Err(ForwardedError::Malformed) } else { Ok(rest.split_at(end)) }
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An address, an address with a port, `unknown`, or an obfuscated name (RFC 7239, section 6).
fn node(text: &[u8]) -> Result<Hop, ForwardedError> {
    let text = str::from_utf8(text).map_err(|_| ForwardedError::Malformed)?;
    // Without brackets an IPv6 address has no port: its last group would look like one.
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Hop::Address(address.to_canonical()));
    }
    let (hop, port) = match text.strip_prefix('[') {
        Some(bracketed) => ipv6(bracketed)?,
        None => match text.split_once(':') {
            Some((name, port)) => (hidden_or_ipv4(name)?, Some(port)),
            None => (hidden_or_ipv4(text)?, None),
        },
    };
    match port {
        Some(port) if !is_port(port) => Err(ForwardedError::Malformed),
        _ => Ok(hop),
    }
}

/// What follows an opening bracket: the address, and the port if there is one.
fn ipv6(bracketed: &str) -> Result<(Hop, Option<&str>), ForwardedError> {
    let (address, after) = bracketed.split_once(']').ok_or(ForwardedError::Malformed)?;
    let address: Ipv6Addr = address.parse().map_err(|_| ForwardedError::Malformed)?;
    let port = match after.strip_prefix(':') {
        None if !after.is_empty() => return Err(ForwardedError::Malformed),
        port => port,
    };
    Ok((Hop::Address(IpAddr::V6(address).to_canonical()), port))
}

fn hidden_or_ipv4(name: &str) -> Result<Hop, ForwardedError> {
    if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
        return Ok(Hop::Hidden);
    }
    let address: Ipv4Addr = name.parse().map_err(|_| ForwardedError::Malformed)?;
    Ok(Hop::Address(IpAddr::V4(address)))
}

fn is_port(port: &str) -> bool {
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    digits || is_obfuscated(port)
}

fn is_obfuscated(name: &str) -> bool {
    name.len() > 1
        && name.starts_with('_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
