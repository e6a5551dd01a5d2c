use outrider_model::Text;
use proptest::prelude::*;

use super::*;

fn proxies(header: &str) -> TrustedProxies {
    let networks = ["10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48"].map(|network| network.parse().unwrap());
    let proxies = TrustedProxies { networks: networks.to_vec(), header: header.to_owned() };
    assert_eq!(proxies.mistake(), None);
    proxies
}

/// The client of a call with these values of the header.
fn client_of(header: &str, logged: IpAddr, values: &[&str]) -> IpAddr {
    let field = |name: &str, value: &str| Field {
        name: Text::from(name.to_owned()),
        value: FieldValue::Clear(Text::from(value.to_owned())),
    };
    let mut headers = vec![field("host", "shop"), field("x-real-ip", "203.0.113.99")];
    headers.extend(values.iter().map(|value| field(header, value)));
    proxies(header).client(logged, &headers)
}

fn check(header: &str, logged: &str, values: &[&str], expected: &str) {
    let client = client_of(header, logged.parse().unwrap(), values);
    assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{header}: {logged} {values:?}");
}

#[test]
fn the_last_address_that_is_no_proxy_is_the_client() {
    for (logged, values, expected) in [
        // Not by a proxy: whatever the header says, the client wrote it.
        ("203.0.113.5", &["198.51.100.1"][..], "203.0.113.5"),
        ("203.0.113.5", &["10.0.0.1"], "203.0.113.5"),
        ("192.0.2.2", &["198.51.100.1"], "192.0.2.2"),
        // By one: what it added counts, and not what it was told.
        ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", &["203.0.113.66, 198.51.100.1"], "198.51.100.1"),
        ("192.0.2.1", &["203.0.113.66,198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
        // By several.
        ("10.0.0.1", &["203.0.113.66, 198.51.100.1, 10.1.1.1, 192.0.2.1"], "198.51.100.1"),
        ("10.0.0.1", &["203.0.113.66", "198.51.100.1", "10.1.1.1"], "198.51.100.1"),
        ("10.0.0.1", &["203.0.113.66, 198.51.100.1", " , "], "198.51.100.1"),
        // From within: the first that asked.
        ("10.0.0.1", &["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["", ",,"], "10.0.0.1"),
        // In whatever way it is written.
        ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", &["[2001:db8::7]:4711, [2001:db8:ffff::1]:80"], "2001:db8::7"),
        ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", &["[::ffff:198.51.100.1]:80"], "198.51.100.1"),
        // What is no address ends the search: nobody vouches for what stands before it.
        ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1, unknown, 10.1.1.1"], "10.1.1.1"),
        ("10.0.0.1", &["198.51.100.1, _hidden"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1, [2001:db8::7"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1, [2001:db8::7]x"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1, 1.2.3"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1, fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1 203.0.113.66"], "10.0.0.1"),
    ] {
        check("x-forwarded-for", logged, values, expected);
        check("X-Client", logged, values, expected);
    }
}

#[test]
fn forwarded_is_read_as_its_standard_says() {
    for (logged, values, expected) in [
        ("203.0.113.5", &["for=198.51.100.1"][..], "203.0.113.5"),
        ("10.0.0.1", &["for=198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", &["For=\"198.51.100.1\""], "198.51.100.1"),
        ("10.0.0.1", &["for=198.51.100.1;proto=https;by=10.0.0.1"], "198.51.100.1"),
        ("10.0.0.1", &["by=10.0.0.1 ; FOR=198.51.100.1 ;proto=https"], "198.51.100.1"),
        ("10.0.0.1", &["for=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
        ("10.0.0.1", &["for=\"198.51.100.1:_port\""], "198.51.100.1"),
        ("10.0.0.1", &["for=203.0.113.66, for=198.51.100.1, for=10.1.1.1"], "198.51.100.1"),
        ("10.0.0.1", &["for=203.0.113.66", "for=198.51.100.1", "for=10.1.1.1"], "198.51.100.1"),
        ("10.0.0.1", &["for=198.51.100.1, for=unknown"], "10.0.0.1"),
        ("10.0.0.1", &["for=198.51.100.1, for=_SEVKISEK"], "10.0.0.1"),
        ("10.0.0.1", &["for=198.51.100.1, proto=https"], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.1"], "10.0.0.1"),
        // A host that the client chose, as a proxy quotes it.
        ("10.0.0.1", &["for=198.51.100.1;host=\"a, for=203.0.113.66\""], "198.51.100.1"),
        ("10.0.0.1", &["host=\"a\\\", for=203.0.113.66;x=\\\"\";for=198.51.100.1"], "198.51.100.1"),
        // A quote that the client left open takes nothing in.
        ("10.0.0.1", &["for=\"203.0.113.66, for=198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", &["for=\"203.0.113.66;x=\\, for=198.51.100.1, for=10.1.1.1"], "198.51.100.1"),
        ("10.0.0.1", &["for=\"198.51.100.1"], "10.0.0.1"),
    ] {
        check("forwarded", logged, values, expected);
    }
}

#[test]
fn a_header_whose_end_may_be_missing_proves_nothing() {
    let many = vec!["203.0.113.66"; HEADERS_LOGGED_MAX - 3];
    check("x-forwarded-for", "10.0.0.1", &many, "203.0.113.66");
    let too_many = vec!["203.0.113.66"; HEADERS_LOGGED_MAX - 2];
    check("x-forwarded-for", "10.0.0.1", &too_many, "10.0.0.1");
}

#[test]
fn proxies_that_cannot_be_meant_are_refused() {
    let network = || vec!["10.0.0.1".parse().unwrap()];
    for (networks, header) in [(vec![], "forwarded"), (network(), ""), (network(), "x forwarded"), (network(), "a:b")] {
        let proxies = TrustedProxies { networks, header: header.to_owned() };
        assert!(proxies.mistake().is_some(), "{proxies:?}");
    }
}

/// Whom an element names, as it is written and as it is meant.
type Node = (String, Option<IpAddr>);

/// An element of `Forwarded`: as it is written, and whom it names.
type Element = (String, Option<IpAddr>);

/// Proxies and others, addresses and what is none.
fn any_node() -> impl Strategy<Value = Node> {
    let version_4 = prop_oneof![
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([10, a, b, c])),
        Just(IpAddr::from([192, 0, 2, 1])),
        any::<[u8; 4]>().prop_map(IpAddr::from),
    ];
    let version_6 = (any::<bool>(), any::<u64>()).prop_map(|(is_proxy, low)| {
        let high = if is_proxy { 0x2001_0db8_ffff_0000_u64 } else { 0x2001_0db8_0000_0000 };
        IpAddr::from(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    });
    let port = prop::sample::select(vec!["", ":80", ":_hidden"]);
    let named = |address: IpAddr, text: String| (text, Some(address.to_canonical()));
    prop_oneof![
        4 => (version_4, port.clone()).prop_map(move |(address, port)| named(address, format!("{address}{port}"))),
        2 => (version_6, port).prop_map(move |(address, port)| named(address, format!("[{address}]{port}"))),
        1 => prop::sample::select(vec!["unknown", "_hidden", "", "10.0.0", "[2001:db8::1"])
            .prop_map(|text| (text.to_owned(), None)),
    ]
}

/// A quoted string, in which a backslash may stand before any character and has to before some.
fn quoted(text: &str, escapes: &[bool]) -> String {
    let mut written = String::from('"');
    for (at, character) in text.chars().enumerate() {
        if matches!(character, '"' | '\\') || escapes.get(at).copied().unwrap_or(false) {
            written.push('\\');
        }
        written.push(character);
    }
    written + "\""
}

fn any_element() -> impl Strategy<Value = Element> {
    let escapes = || prop::collection::vec(any::<bool>(), 0..20);
    let other_value = prop_oneof![
        "[a-z0-9.]{1,8}",
        ("[a-z ,;=\"\\\\]{0,12}", escapes()).prop_map(|(text, escapes)| quoted(&text, &escapes)),
        any_node().prop_map(|(text, _)| quoted(&format!("x\", for={text}"), &[])),
    ];
    let other = (prop::sample::select(vec!["proto", "by", "Host", "forx"]), other_value);
    let other = || other.clone().prop_map(|(name, value)| format!("{name}={value}"));
    let named = (prop::sample::select(vec!["for", "For", "FOR"]), any_node(), any::<bool>(), escapes());
    let named = named.prop_map(|(name, (text, address), is_quoted, escapes)| {
        // What is no token has to be in quotes.
        let value = if is_quoted || text.contains([':', '[']) { quoted(&text, &escapes) } else { text };
        (format!("{name}={value}"), address)
    });
    let separator = prop::sample::select(vec![";", "; ", " ;"]);
    let parts = (
        prop::collection::vec(other(), 0..3),
        prop::option::weighted(0.9, named),
        prop::collection::vec(other(), 0..2),
    );
    (parts, separator).prop_filter_map("an element has something in it", |((before, named, after), separator)| {
        let (named, address) = named.unzip();
        let parts: Vec<String> = before.into_iter().chain(named).chain(after).collect();
        (!parts.is_empty()).then(|| (parts.join(separator), address.flatten()))
    })
}

/// What is said by the elements, the last one last, of a call that this address made.
fn said(proxies: &TrustedProxies, logged: IpAddr, elements: &[Element]) -> IpAddr {
    let mut client = logged.to_canonical();
    for (_, named) in elements.iter().rev() {
        match named {
            Some(named) if proxies.are_proxy(client) => client = *named,
            _ => break,
        }
    }
    client
}

/// The elements over some fields of the header.
fn written(elements: &[Element], fields: usize) -> Vec<String> {
    let texts: Vec<&str> = elements.iter().map(|(text, _)| text.as_str()).collect();
    texts.chunks(fields).map(|texts| texts.join(", ")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn forwarded_says_whom_it_was_made_to_say(
        (_, logged) in any_node(),
        elements in prop::collection::vec(any_element(), 0..6),
        in_a_field in 1usize..4,
    ) {
        let logged = logged.unwrap_or(IpAddr::from([10, 0, 0, 1]));
        let values = written(&elements, in_a_field);
        let client = client_of("forwarded", logged, &values.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(client, said(&proxies("forwarded"), logged, &elements), "{:?}", values);
    }

    /// Whatever a client writes before, without a line's end, is followed by what the proxies say.
    #[test]
    fn what_a_client_writes_does_not_change_what_proxies_say(
        invention in "\\PC{0,30}",
        elements in prop::collection::vec(any_element(), 0..4),
        last in any::<[u8; 4]>(),
    ) {
        let proxies = proxies("forwarded");
        let last = IpAddr::from(last);
        prop_assume!(!proxies.are_proxy(last));
        let elements: Vec<Element> = [(format!("for={last}"), Some(last))].into_iter().chain(elements).collect();
        let logged = IpAddr::from([10, 0, 0, 1]);
        let honest = written(&elements, 10).join(", ");
        let expected = said(&proxies, logged, &elements);
        prop_assert_eq!(client_of("forwarded", logged, &[&honest]), expected);
        for values in [&[&*format!("{invention}, {honest}")][..], &[&invention, &honest]] {
            prop_assert_eq!(client_of("forwarded", logged, values), expected, "{:?}", values);
        }
    }

    #[test]
    fn any_text_is_read(
        values in prop::collection::vec(prop_oneof![any::<String>(), "[for=;,\"\\\\ \\[\\]:0-9.]{0,40}"], 0..3),
        header in prop::sample::select(vec!["forwarded", "x-forwarded-for"]),
    ) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        for (logged, is_proxy) in [("10.0.0.1", true), ("203.0.113.5", false)] {
            let logged = logged.parse().unwrap();
            let client = client_of(header, logged, &values);
            prop_assert!(is_proxy || client == logged);
            let named = values.iter().flat_map(|value| named_in(header, value)).any(|named| named == Some(client));
            prop_assert!(client == logged || named, "{} is from nowhere", client);
        }
    }
}
