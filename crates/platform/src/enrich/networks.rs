//! Lists of networks by class, and which class an address is of.
//!
//! What the lists say together is made into stretches of addresses that do not overlap, so that a look-up is one binary
//! search however the networks were nested.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use outrider_model::NetworkClass;

use super::files::{self, Content};

/// A list has no more entries; the largest public ones have some tens of thousands.
const ENTRIES_MAX: usize = 250_000;

/// What is private on every network: RFC 1918, 6598, 4193, loopback and link-local (RFC 1122, 3927, 4291).
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

/// The networks and autonomous systems of a file.
#[derive(Debug, Default)]
pub(super) struct List {
    networks: Vec<IpNet>,
    systems: Vec<u32>,
    /// Lines that say nothing that can be read.
    bad_lines: usize,
}

/// Looks at a list that is not in force, for `outrider doctor`: its entries, and lines that say nothing.
pub fn look_at_list(path: &Path) -> Result<(usize, usize), String> {
    files::look_at::<List>(path).map(|list| (list.entries(), list.bad_lines))
}

impl Content for List {
    const WHAT: &'static str = "a list of networks";
    const BYTES_MAX: u64 = 32 << 20;

    /// A few bad lines are left out and counted; a file that is mostly something else, such as a page that says that the
    /// download failed, is refused.
    fn read(bytes: Vec<u8>) -> Result<List, String> {
        let text = String::from_utf8(bytes).map_err(|_| "is no text".to_owned())?;
        let mut list = List::default();
        let mut first_bad = None;
        for (number, line) in (1..).zip(text.lines()) {
            let entry = line.split(['#', ';', ',']).next().unwrap_or_default().split_whitespace().next();
            let Some(entry) = entry else { continue };
            if let Some(network) = network(entry) {
                list.networks.push(network);
            } else if let Some(system) = system(entry) {
                list.systems.push(system);
            } else {
                list.bad_lines += 1;
                first_bad.get_or_insert((number, entry.chars().take(40).collect::<String>()));
            }
            if list.entries() > ENTRIES_MAX {
                return Err(format!("has more than {ENTRIES_MAX} entries"));
            }
        }
        match first_bad {
            Some((number, entry)) if list.bad_lines > list.entries() => Err(format!(
                "line {number}: `{entry}` is no network, address or autonomous system, and most lines are like that: write \
                 `192.0.2.0/24`, `2001:db8::1` or `AS64496`"
            )),
            _ => Ok(list),
        }
    }
}

impl List {
    pub(super) fn entries(&self) -> usize {
        self.networks.len() + self.systems.len()
    }

    pub(super) fn bad_lines(&self) -> usize {
        self.bad_lines
    }
}

fn network(entry: &str) -> Option<IpNet> {
    let network = match entry.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(entry.parse::<IpAddr>().ok()?),
    };
    // A network that was written in mapped form means the IPv4 network.
    match (network.addr(), network.addr().to_canonical()) {
        (IpAddr::V6(_), mapped @ IpAddr::V4(_)) if network.prefix_len() >= 96 => {
            IpNet::new(mapped, network.prefix_len() - 96).ok()
        }
        _ => Some(network.trunc()),
    }
}

fn system(entry: &str) -> Option<u32> {
    let (mark, number) = entry.split_at_checked(2)?;
    if mark.eq_ignore_ascii_case("as") { number.parse().ok().filter(|number| *number > 0) } else { None }
}

/// All lists together.
pub(super) struct Classes {
    v4: Stretches,
    v6: Stretches,
    systems: BTreeMap<u32, NetworkClass>,
}

impl Classes {
    /// Of lists in their order: of two that name the same network, the first one says what it is.
    pub(super) fn new(lists: impl Iterator<Item = (NetworkClass, Arc<List>)>) -> Classes {
        let mut spans = (Vec::new(), Vec::new());
        let mut systems = BTreeMap::new();
        let mut add = |network: IpNet, class| match network {
            IpNet::V4(network) => spans.0.push(Span {
                first: u128::from(network.network().to_bits()),
                last: u128::from(network.broadcast().to_bits()),
                class,
            }),
            IpNet::V6(network) => {
                spans.1.push(Span { first: network.network().to_bits(), last: network.broadcast().to_bits(), class })
            }
        };
        for (class, list) in lists {
            list.networks.iter().for_each(|network| add(network.trunc(), class));
            for system in &list.systems {
                systems.entry(*system).or_insert(class);
            }
        }
        PRIVATE.iter().filter_map(|text| text.parse().ok()).for_each(|network| add(network, NetworkClass::Private));
        Classes { v4: Stretches::new(spans.0), v6: Stretches::new(spans.1), systems }
    }

    /// The class of the longest listed prefix that the address is in.
    pub(super) fn of_address(&self, address: IpAddr) -> Option<NetworkClass> {
        match address {
            IpAddr::V4(address) => self.v4.find(u128::from(address.to_bits())),
            IpAddr::V6(address) => self.v6.find(address.to_bits()),
        }
    }

    pub(super) fn of_system(&self, number: u32) -> Option<NetworkClass> {
        self.systems.get(&number).copied()
    }

    /// Whether any autonomous system is listed.
    pub(super) fn has_systems(&self) -> bool {
        !self.systems.is_empty()
    }
}

/// A network as addresses. Two of them either nest or do not meet.
struct Span {
    first: u128,
    last: u128,
    class: NetworkClass,
}

/// Where each stretch begins, and what is from there to the next.
struct Stretches(Vec<(u128, Option<NetworkClass>)>);

impl Stretches {
    fn new(mut spans: Vec<Span>) -> Stretches {
        // Outer before inner; the sort is stable, so of equal ones the first comes first.
        spans.sort_by_key(|span| (span.first, u128::MAX - span.last));
        spans.dedup_by_key(|span| (span.first, span.last));
        let mut stretches = Stretches(Vec::with_capacity(spans.len() * 2));
        let mut open = Vec::new();
        for span in spans {
            stretches.close(&mut open, Some(span.first));
            stretches.begin(span.first, Some(span.class));
            open.push(span);
        }
        stretches.close(&mut open, None);
        stretches.0.shrink_to_fit();
        stretches
    }

    /// Ends the networks that lie before an address, or all; what is around them goes on.
    fn close(&mut self, open: &mut Vec<Span>, before: Option<u128>) {
        while let Some(inner) = open.pop_if(|inner| before.is_none_or(|before| inner.last < before)) {
            if let Some(next) = inner.last.checked_add(1) {
                self.begin(next, open.last().map(|outer| outer.class));
            }
        }
    }

    fn begin(&mut self, at: u128, class: Option<NetworkClass>) {
        match self.0.last_mut() {
            Some(last) if last.0 == at => last.1 = class,
            _ => self.0.push((at, class)),
        }
    }

    fn find(&self, address: u128) -> Option<NetworkClass> {
        let after = self.0.partition_point(|(first, _)| *first <= address);
        self.0.get(after.checked_sub(1)?)?.1
    }
}
