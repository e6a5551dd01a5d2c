//! Who asked, where proxies stand in front of the gateway.
//!
//! A gateway that does not know the proxies logs them as the clients. They name for whom they ask in a header, each adding to
//! its end whom it saw, and everything before that is what somebody else wrote. So the header is read from its end: the first
//! address that is no proxy of ours is the client (as nginx does with `real_ip_recursive`), and of a client that did not come
//! by a proxy it is not read at all. One header alone is read, because a proxy that writes the one passes the other on as it came.

use std::net::{IpAddr, Ipv6Addr};

use outrider_model::{Field, FieldValue, Network};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exposure::Came;

/// Kong logs so many headers at most, and none says that there were more. The end of the header may be among those that are
/// missing, so of a call with so many its beginning proves nothing.
const HEADERS_LOGGED_MAX: usize = 100;

/// Where proxies write how they were asked, each as it pleases.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The proxies in front of a gateway: `{ networks = ["10.0.0.0/24"] }`, and `header` where it is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedProxies {
    /// Their addresses and networks.
    pub networks: Vec<Network>,
    /// The header in which they say for whom they ask: `x-forwarded-for`, `forwarded` (RFC 7239), or another one that holds
    /// addresses as the first does.
    #[serde(default = "default_header")]
    pub header: String,
}

fn default_header() -> String {
    "x-forwarded-for".to_owned()
}

impl TrustedProxies {
    /// What is wrong with them, if anything is.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        if self.networks.is_empty() {
            return Some("`networks` names no proxy; leave `trusted_proxies` away where there is none");
        }
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_header = !self.header.is_empty() && self.header.bytes().all(is_token);
        (!is_header).then_some("`header` is no name of a header")
    }

    /// The client of a call, of which the gateway logged this address and these headers.
    pub(super) fn client(&self, logged: IpAddr, headers: &[Field<'_>]) -> IpAddr {
        self.walk(logged, headers).0
    }

    /// How that client came, by the word of the proxy that it asked. The header names of each proxy whom it saw, and where it holds
    /// `proto`, as `forwarded` does, it says there how; else `x-forwarded-proto` has an element of each proxy, or one of them all.
    pub(super) fn came(&self, logged: IpAddr, headers: &[Field<'_>]) -> Came {
        if !self.are_proxy(logged) {
            return Came::Straight;
        }
        if headers.len() >= HEADERS_LOGGED_MAX {
            return Came::Unknown;
        }
        let proxies_before = self.walk(logged, headers).1.saturating_sub(1);
        let is_standard = is_standard(&self.header);
        let name = if is_standard { &self.header } else { FORWARDED_PROTO };
        let mut said = elements_of(name, headers).enumerate();
        let scheme = match is_standard {
            true => said.find(|(at, _)| *at == proxies_before).and_then(|(_, element)| parameter("proto", element)),
            // Where there are fewer of them, the first proxy wrote the first of them.
            false => said.take_while(|(at, _)| *at <= proxies_before).last().map(|(_, element)| element.to_owned()),
        };
        scheme.map_or(Came::Unknown, |scheme| came_by(&scheme))
    }

    /// The client, and how many elements of the header were read on the way to it.
    fn walk(&self, logged: IpAddr, headers: &[Field<'_>]) -> (IpAddr, usize) {
        let mut client = logged;
        if !self.are_proxy(client) || headers.len() >= HEADERS_LOGGED_MAX {
            return (client, 0);
        }
        let mut read = 0;
        for element in elements_of(&self.header, headers) {
            // Whoever is not named, or by a name of the proxy's own, cannot be told from the proxy.
            let Some(named) = self.address_in(element) else { break };
            client = named;
            read += 1;
            if !self.are_proxy(client) {
                break;
            }
        }
        (client, read)
    }

    fn are_proxy(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    fn address_in(&self, element: &str) -> Option<IpAddr> {
        if is_standard(&self.header) {
            return address(&parameter("for", element)?);
        }
        address(element)
    }
}

/// How a client came to a gateway of which no proxies are told. Whoever writes `x-forwarded-proto: https` may be a proxy all the
/// same, one that the gateway itself knows, so of a call by HTTP with it nothing is told.
pub(super) fn came_without_proxies(url: &str, headers: &[Field<'_>]) -> Came {
    let is_doubted = url.starts_with("http:")
        && elements_of(FORWARDED_PROTO, headers).any(|element| came_by(element) == Came::ByProxy { https: true });
    if is_doubted { Came::Unknown } else { Came::Straight }
}

fn came_by(scheme: &str) -> Came {
    let is = |known: &str| scheme.eq_ignore_ascii_case(known);
    match (is("https") || is("wss"), is("http") || is("ws")) {
        (true, _) => Came::ByProxy { https: true },
        (_, true) => Came::ByProxy { https: false },
        _ => Came::Unknown,
    }
}

/// The elements of all values of a header, the last one first, up to a value that is not in clear.
fn elements_of<'h>(name: &'h str, headers: &'h [Field<'_>]) -> impl Iterator<Item = &'h str> {
    let values = headers.iter().rev().filter(move |field| field.name.eq_ignore_ascii_case(name));
    let clear = values.map_while(|field| match &field.value {
        FieldValue::Clear(value) => Some(&**value),
        _ => None,
    });
    clear.flat_map(elements)
}

/// Whom a value of such a header names, the last one first: the address, where it is one.
pub(crate) fn named_in<'v>(header: &str, value: &'v str) -> impl Iterator<Item = Option<IpAddr>> + 'v {
    let is_standard = is_standard(header);
    elements(value).filter_map(move |element| match is_standard {
        true => parameter("for", element).map(|named| address(&named)),
        false => Some(address(element)),
    })
}

/// The header of RFC 7239, whose elements have parameters. Those of any other are addresses.
fn is_standard(header: &str) -> bool {
    header.eq_ignore_ascii_case("forwarded")
}

/// The elements of a list, the last one first; empty ones are left out (RFC 9110, section 5.6.1). A comma in quotes is none, and
/// quotes are told from the end, so that one that somebody left open before takes nothing in of what the proxies added.
fn elements(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    let each = std::iter::from_fn(move || {
        let whole = rest?;
        let (before, element) = match last_comma(whole) {
            Some(at) => (Some(&whole[..at]), &whole[at + 1..]),
            None => (None, whole),
        };
        rest = before;
        Some(element.trim_ascii())
    });
    each.filter(|element| !element.is_empty())
}

/// Where the last comma is that is not in quotes.
fn last_comma(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut is_quoted = false;
    for at in (0..bytes.len()).rev() {
        match bytes[at] {
            b'"' if !is_escaped(bytes, at) => is_quoted = !is_quoted,
            b',' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// An odd number of backslashes stands before it.
fn is_escaped(bytes: &[u8], at: usize) -> bool {
    bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// A parameter of an element of `Forwarded`, without quotes. What follows an open quote is no parameter.
fn parameter(wanted: &str, element: &str) -> Option<String> {
    let mut rest = element;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, next) = value(after)?;
        if name.trim_ascii().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next.trim_ascii_start().strip_prefix(';').unwrap_or_default();
    }
    None
}

/// A token or a quoted string (RFC 9110, section 5.6.4), and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim_ascii().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// An address as proxies write it: maybe with a port, which may be hidden, and of IPv6 then in brackets.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (inside, port) = bracketed.split_once(']')?;
        let is_end = port.is_empty() || port.starts_with(':');
        return inside.parse().ok().filter(|_| is_end).map(|address: Ipv6Addr| IpAddr::V6(address).to_canonical());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (before, _port) = text.split_once(':')?;
    before.parse().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests;
