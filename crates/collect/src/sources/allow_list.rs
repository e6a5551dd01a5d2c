//! Who may connect to a source.

use std::net::IpAddr;

use outrider_model::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Addresses and networks that may connect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AllowList(Vec<Network>);

impl AllowList {
    /// The networks of these texts.
    pub fn parse<'t>(networks: impl IntoIterator<Item = &'t str>) -> Result<Self, String> {
        networks.into_iter().map(str::parse).collect::<Result<_, _>>().map(AllowList)
    }

    /// Whether it names nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address may connect: it is in a network of the list, or there is no list and it is of this machine.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.0.is_empty() {
            return address.is_loopback();
        }
        self.0.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_list_knows_networks() {
        let list = AllowList::parse(["10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120"]).unwrap();
        for (address, allowed) in [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:192.0.2.7", true),
            ("198.51.100.9", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(list.allows(address.parse().unwrap()), allowed, "{address}");
        }
        assert!(AllowList::parse(["0.0.0.0/0"]).unwrap().allows("203.0.113.1".parse().unwrap()));
        assert!(AllowList::default().allows("127.0.0.1".parse().unwrap()));
        assert!(!AllowList::default().allows("192.0.2.1".parse().unwrap()));
    }
}
