//! Makes small databases in MaxMind's format (version 2.0 of its specification), for shapes that nobody publishes small.

use std::net::IpAddr;

use ipnet::IpNet;

#[derive(Clone)]
pub enum Value {
    Text(&'static str),
    Double(f64),
    Float(f32),
    Short(u16),
    Number(u32),
    Long(u64),
    Flag(bool),
    Map(Vec<(&'static str, Value)>),
}

/// A database of these networks, built at `build_epoch`. In one of version 6, IPv4 is below `::/96`.
pub fn database(ip_version: u16, build_epoch: u64, networks: &[(&str, Value)]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut tree = vec![[None, None]];
    for (network, value) in networks {
        let offset = data.len() as u32;
        encode(value, &mut data);
        insert(&mut tree, bits_of(network.parse().unwrap(), ip_version), offset);
    }
    let nodes = tree.len() as u32;
    let mut bytes = Vec::new();
    for record in tree.iter().flatten() {
        let pointer = match record {
            None => nodes,
            Some(Record::Node(node)) => *node,
            Some(Record::Data(offset)) => nodes + 16 + offset,
        };
        bytes.extend(pointer.to_be_bytes());
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = Value::Map(vec![
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(build_epoch)),
        ("database_type", Value::Text("Test-Flat")),
        ("description", Value::Map(vec![])),
        ("ip_version", Value::Short(ip_version)),
        ("node_count", Value::Number(nodes)),
        ("record_size", Value::Short(32)),
    ]);
    let at = bytes.len();
    encode(&metadata, &mut bytes);
    // `languages` is an empty array, the one value of that type.
    bytes[at] += 1;
    encode(&Value::Text("languages"), &mut bytes);
    bytes.extend([0x00, 0x04]);
    bytes
}

#[derive(Clone, Copy)]
enum Record {
    Node(u32),
    Data(u32),
}

fn bits_of(network: IpNet, ip_version: u16) -> Vec<usize> {
    let (address, before) = match (network.addr(), ip_version) {
        (IpAddr::V4(address), 6) => (u128::from(address.to_bits()), 96),
        (IpAddr::V4(address), _) => (u128::from(address.to_bits()) << 96, 0),
        (IpAddr::V6(address), _) => (address.to_bits(), 0),
    };
    (0..before + usize::from(network.prefix_len())).map(|bit| (address >> (127 - bit) & 1) as usize).collect()
}

fn insert(tree: &mut Vec<[Option<Record>; 2]>, bits: Vec<usize>, offset: u32) {
    let (last, way) = bits.split_last().unwrap();
    let mut node = 0;
    for bit in way {
        let next = tree.len() as u32;
        node = match *tree[node][*bit].get_or_insert(Record::Node(next)) {
            Record::Node(known) => known as usize,
            Record::Data(_) => panic!("networks of a test database do not nest"),
        };
        if node == tree.len() {
            tree.push([None, None]);
        }
    }
    tree[node][*last] = Some(Record::Data(offset));
}

fn encode(value: &Value, bytes: &mut Vec<u8>) {
    let control = |kind: u8, size: usize, bytes: &mut Vec<u8>| match size {
        0..29 => bytes.push(kind << 5 | size as u8),
        _ => bytes.extend([kind << 5 | 29, u8::try_from(size - 29).unwrap()]),
    };
    match value {
        Value::Text(text) => {
            control(2, text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Double(number) => {
            control(3, 8, bytes);
            bytes.extend(number.to_be_bytes());
        }
        Value::Float(number) => {
            bytes.extend([4, 15 - 7]);
            bytes.extend(number.to_be_bytes());
        }
        Value::Short(number) => {
            control(5, 2, bytes);
            bytes.extend(number.to_be_bytes());
        }
        Value::Long(number) => {
            bytes.extend([8, 9 - 7]);
            bytes.extend(number.to_be_bytes());
        }
        Value::Number(number) => {
            control(6, 4, bytes);
            bytes.extend(number.to_be_bytes());
        }
        Value::Flag(flag) => bytes.extend([u8::from(*flag), 14 - 7]),
        Value::Map(entries) => {
            control(7, entries.len(), bytes);
            for (key, value) in entries {
                encode(&Value::Text(key), bytes);
                encode(value, bytes);
            }
        }
    }
}
