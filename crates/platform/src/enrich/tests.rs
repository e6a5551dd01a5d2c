mod mmdb;

use std::path::{Path, PathBuf};

use outrider_model::{
    AnsweredBy, ClockCheck, Coordinates, CountryCode, Exposure, Field, KeyId, Latency, NetworkClass, Trust,
};

use super::*;
use files::Content as _;
use mmdb::{Value, database};

pub(crate) fn call(path: &str) -> ApiCall<'_> {
    ApiCall {
        gateway: Text::from("kong"),
        workspace: Text::EMPTY,
        trust: Trust::Trusted,
        request_id: Text::EMPTY,
        received_ms: 2,
        started_ms: 1,
        event_ms: 1,
        clock: ClockCheck::AsReported,
        consumer: None,
        anonymous_consumer: false,
        credential_id: None,
        presented_credential: None,
        session: None,
        client_ip: None,
        service: None,
        route: None,
        host: Text::from("api.example"),
        method: Text::from("GET"),
        path: Text::from(path),
        query: vec![],
        headers: vec![],
        status: 200,
        answered_by: AnsweredBy::Upstream,
        own_refusal: None,
        request_bytes: 1,
        response_bytes: 2,
        latency: Latency { total_ms: 1, gateway_ms: 0, upstream_ms: 1 },
        response_type: Text::EMPTY,
        fields: vec![],
        enrichment: Enrichment::default(),
        exposure: Exposure::default(),
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/platform/fixtures/geo").join(name)
}

/// What is known of an address.
fn of(enricher: &Enricher, address: &str) -> Enrichment<'static> {
    let mut call = call("/");
    call.client_ip = Some(address.parse().unwrap());
    enricher.enrich(&mut call);
    call.enrichment
}

/// Country, city, autonomous system and network in one line.
fn line(enricher: &Enricher, address: &str) -> String {
    let Enrichment { country, city, coordinates, asn, as_name, network, .. } = of(enricher, address);
    let country = country.map_or("-".to_owned(), |country| country.to_string());
    let place = coordinates.map_or("-".to_owned(), |place| {
        let accuracy = place.accuracy_km.map_or("?".to_owned(), |km| km.to_string());
        format!("{},{}±{accuracy}", place.latitude(), place.longitude())
    });
    format!("{country}|{city}|{place}|{}|{as_name}|{}", asn.unwrap_or(0), network.as_str())
}

fn open(databases: &[&Path], lists: &[(ListClass, &Path)]) -> Enricher {
    let settings = EnrichSettings {
        databases: databases.iter().map(|path| path.to_path_buf()).collect(),
        lists: lists.iter().map(|(class, file)| ListSettings { class: *class, file: file.to_path_buf() }).collect(),
        entities: Vec::new(),
    };
    Enricher::open(settings, 1000).unwrap()
}

#[test]
fn nothing_is_needed_to_know_private_addresses() {
    let enricher = open(&[], &[]);
    let private = [
        "10.1.2.3",
        "172.31.0.1",
        "192.168.7.7",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "fd12::1",
        "fe80::1",
        "::1",
    ];
    for address in private.into_iter().chain(["::ffff:10.1.2.3"]) {
        assert_eq!(line(&enricher, address), "-||-|0||private", "{address}");
    }
    for address in ["172.32.0.1", "100.128.0.1", "192.0.2.1", "2001:db8::1", "::2", "::ffff:192.0.2.1"] {
        assert_eq!(of(&enricher, address), Enrichment::default(), "{address}");
    }
}

#[test]
fn maxminds_databases_complete_each_other() {
    let [city, asn, anonymous] =
        ["GeoLite2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb", "GeoIP2-Anonymous-IP-Test.mmdb"].map(fixture);
    let enricher = open(&[&city, &asn, &anonymous], &[]);
    let cases = [
        ("89.160.20.128", "SE|Linköping|58.4167,15.6167±76|29518|Bredband2 AB|unknown"),
        ("::ffff:89.160.20.128", "SE|Linköping|58.4167,15.6167±76|29518|Bredband2 AB|unknown"),
        ("2001:218::1", "JP||35.6854,139.7531±100|0||unknown"),
        ("81.2.69.142", "GB|London|51.5142,-0.0931±10|0||tor"),
        ("71.160.223.1", "-||-|0||hosting"),
        ("1.2.3.4", "-||-|0||vpn"),
        ("186.30.236.9", "-||-|0||proxy"),
        ("12.81.96.1", "-||-|7018||unknown"),
        ("192.0.2.1", "-||-|0||unknown"),
    ];
    for (address, expected) in cases {
        // The second answer is remembered.
        for _ in 0..2 {
            assert_eq!(line(&enricher, address), expected, "{address}");
        }
    }
    let status = enricher.to_json();
    assert_eq!((&status["databases"][0]["type"], &status["lookup_failures"]), (&"GeoLite2-City".into(), &0.into()));
    assert_eq!((&status["calls"], &status["located_calls"]), (&18.into(), &8.into()));
}

#[test]
fn flat_records_are_read_as_nested_ones_are() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: Vec<u8>| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let place = |code, city, latitude, longitude| {
        let mut entries = vec![("city", Value::Text(city)), ("country_code", Value::Text(code))];
        entries.extend([("latitude", latitude), ("longitude", longitude)]);
        Value::Map(entries)
    };
    let v4 = [
        ("192.0.2.0/25", place("NL", "Utrecht", Value::Float(52.0908), Value::Float(5.1222))),
        ("198.51.100.0/24", place("nl", "", Value::Text("52.1"), Value::Text("5.1"))),
        ("203.0.113.0/24", place("Netherlands", "x", Value::Double(91.0), Value::Flag(true))),
    ];
    let v6 = [("2001:db8::/32", place("DE", "Köln", Value::Double(50.9375), Value::Double(6.9603)))];
    let asn = [
        ("192.0.2.0/24", Value::Map(vec![("asn", Value::Text("AS64496")), ("as_name", Value::Text("Example Net"))])),
        ("198.51.100.0/24", Value::Map(vec![("asn", Value::Number(64497)), ("country", Value::Text("FR"))])),
        ("2001:db8::/33", Value::Map(vec![("connection_type", Value::Text("Cellular")), ("asn", Value::Flag(true))])),
    ];
    let paths = [
        file("city-v4.mmdb", database(4, 1_700_000_000, &v4)),
        file("city-v6.mmdb", database(6, 1_700_000_000, &v6)),
        file("asn.mmdb", database(6, 1_700_000_000, &asn)),
    ];
    let enricher = open(&paths.each_ref().map(PathBuf::as_path), &[]);
    let cases = [
        ("192.0.2.1", "NL|Utrecht|52.0908,5.1222±?|64496|Example Net|unknown"),
        ("::ffff:192.0.2.1", "NL|Utrecht|52.0908,5.1222±?|64496|Example Net|unknown"),
        ("192.0.2.200", "-||-|64496|Example Net|unknown"),
        ("198.51.100.7", "NL||52.1,5.1±?|64497||unknown"),
        ("203.0.113.1", "-|x|-|0||unknown"),
        ("2001:db8::1", "DE|Köln|50.9375,6.9603±?|0||mobile"),
        ("2001:db8:8000::1", "DE|Köln|50.9375,6.9603±?|0||unknown"),
        ("2001:db9::1", "-||-|0||unknown"),
    ];
    for (address, expected) in cases {
        assert_eq!(line(&enricher, address), expected, "{address}");
    }
    let facts = look_at_database(&paths[0]).unwrap();
    assert_eq!((facts.ip_version, facts.built_ms), (4, 1_700_000_000_000));
    assert_eq!(enricher.to_json()["lookup_failures"], 0);
}

#[test]
fn the_longest_listed_prefix_says_what_a_network_is() {
    let directory = tempfile::tempdir().unwrap();
    let list = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let hosting = list(
        "hosting",
        "# a comment\n\n198.51.100.0/24 ; SBL1\n203.0.113.0/24\n2001:db8::/32\nAS29518 # Bredband2\nas7018\n0.0.0.0/1,x\n",
    );
    let vpn =
        list("vpn", "198.51.100.128/25\n10.8.0.0/16\n203.0.113.0/24\n2001:db8:1::/48\n198.51.100.200\nnonsense\n");
    let mobile = list("mobile", "::ffff:203.0.113.64/122\nAS29518\n::/0\n");
    let anonymous = fixture("GeoIP2-Anonymous-IP-Test.mmdb");
    let asn = fixture("GeoLite2-ASN-Test.mmdb");
    let lists = [
        (ListClass::Hosting, hosting.as_path()),
        (ListClass::Vpn, vpn.as_path()),
        (ListClass::Mobile, mobile.as_path()),
        (ListClass::Tor, hosting.as_path()),
    ];
    let enricher = open(&[&anonymous, &asn], &lists);
    let cases = [
        ("198.51.100.1", NetworkClass::Hosting),
        ("198.51.100.129", NetworkClass::Vpn),
        ("198.51.100.200", NetworkClass::Vpn),
        ("198.51.101.0", NetworkClass::Unknown),
        ("203.0.113.1", NetworkClass::Hosting),
        ("203.0.113.65", NetworkClass::Mobile),
        ("203.0.113.128", NetworkClass::Hosting),
        ("203.0.114.0", NetworkClass::Unknown),
        ("10.8.1.1", NetworkClass::Vpn),
        ("10.9.0.0", NetworkClass::Private),
        ("1.2.3.4", NetworkClass::Hosting),
        ("127.0.0.1", NetworkClass::Private),
        ("128.0.0.0", NetworkClass::Unknown),
        ("255.255.255.255", NetworkClass::Unknown),
        ("186.30.236.9", NetworkClass::Proxy),
        ("2001:db8::1", NetworkClass::Hosting),
        ("2001:db8:1::1", NetworkClass::Vpn),
        ("2001:db8:2::1", NetworkClass::Hosting),
        ("2001:db9::1", NetworkClass::Mobile),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NetworkClass::Mobile),
    ];
    for (address, expected) in cases {
        assert_eq!(of(&enricher, address).network, expected, "{address}");
    }
    let lists = &enricher.to_json()["lists"];
    assert_eq!((&lists[0]["entries"], &lists[1]["entries"], &lists[1]["bad_lines"]), (&6.into(), &5.into(), &1.into()));

    // Systems are asked for when no network is listed; of two lists the first one has the say.
    let systems = list("systems", "AS29518\n");
    let enricher = open(&[&asn], &[(ListClass::Mobile, &systems), (ListClass::Hosting, &systems)]);
    assert_eq!(of(&enricher, "89.160.20.128").network, NetworkClass::Mobile);
    assert_eq!(of(&enricher, "12.81.96.1").network, NetworkClass::Unknown);
}

/// Stretches against the plain reading of the rule, on networks that nest and repeat in every way.
#[test]
fn stretches_are_the_longest_prefix() {
    let mut seed = 7u64;
    let mut roll = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let classes = [ListClass::Hosting, ListClass::Vpn, ListClass::Tor, ListClass::Mobile];
    for round in 0..200 {
        let mut listed: Vec<(NetworkClass, ipnet::IpNet)> = Vec::new();
        let mut lists = Vec::new();
        for class in classes {
            let mut text = String::new();
            for _ in 0..roll(6) {
                let network = format!("203.0.113.{}/{}", roll(256), 22 + roll(11));
                listed.push((class.into(), network.parse::<ipnet::IpNet>().unwrap().trunc()));
                text += &(network + "\n");
            }
            lists.push((class.into(), Arc::new(List::read(text.into_bytes()).unwrap())));
        }
        let known = Classes::new(lists.into_iter());
        for last in 0..=255u8 {
            let address = IpAddr::from([203, 0, 113, last]);
            let mut expected: Option<(NetworkClass, u8)> = None;
            for (class, network) in listed.iter().filter(|(_, network)| network.contains(&address)) {
                if expected.is_none_or(|(_, longest)| network.prefix_len() > longest) {
                    expected = Some((*class, network.prefix_len()));
                }
            }
            let expected = expected.map(|(class, _)| class);
            assert_eq!(known.of_address(address), expected, "round {round}: {address} of {listed:?}");
        }
    }
}

#[test]
fn a_replaced_file_is_read_anew_and_a_broken_one_is_not_put_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("geo.mmdb");
    let replace = |bytes: &[u8]| {
        let new = directory.path().join("new");
        std::fs::write(&new, bytes).unwrap();
        std::fs::rename(&new, &path).unwrap();
    };
    let country =
        |code| database(4, 1_700_000_000, &[("192.0.2.0/24", Value::Map(vec![("country_code", Value::Text(code))]))]);
    let enricher = open(&[&path], &[]);
    let seen = |enricher: &Enricher| of(enricher, "192.0.2.1").country;
    let problem = |enricher: &Enricher| enricher.to_json()["databases"][0]["problem"].as_str().unwrap_or("").to_owned();
    assert_eq!(seen(&enricher), None);
    assert!(problem(&enricher).contains("cannot be read: No such file"), "{}", problem(&enricher));

    replace(&country("SE"));
    assert_eq!(seen(&enricher), None, "until it is looked");
    enricher.refresh(2000);
    assert_eq!((seen(&enricher), problem(&enricher)), (CountryCode::new("SE"), String::new()));
    assert_eq!(enricher.to_json()["databases"][0]["loaded_ms"], 2000);

    for broken in [&b"<html>"[..], &[], &country("FI")[..100]] {
        replace(broken);
        enricher.refresh(3000);
        assert_eq!(seen(&enricher), CountryCode::new("SE"));
        assert!(problem(&enricher).contains("is no database in MaxMind's format"), "{}", problem(&enricher));
    }
    std::fs::remove_file(&path).unwrap();
    enricher.refresh(4000);
    assert!(problem(&enricher).contains("No such file"));
    std::fs::create_dir(&path).unwrap();
    enricher.refresh(4000);
    assert!(problem(&enricher).contains("is no file"));
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(
        (seen(&enricher), &enricher.to_json()["databases"][0]["loaded_ms"]),
        (CountryCode::new("SE"), &2000.into())
    );
    replace(&country("NO"));
    enricher.refresh(5000);
    assert_eq!((seen(&enricher), problem(&enricher)), (CountryCode::new("NO"), String::new()));
}

#[test]
fn a_damaged_database_answers_what_it_can_and_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("geo.mmdb");
    let good = std::fs::read(fixture("GeoLite2-City-Test.mmdb")).unwrap();
    let (mut seed, mut answered) = (11u64, 0);
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..40 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % bytes.len();
            bytes[at] ^= (seed >> 13) as u8;
        }
        std::fs::write(&path, bytes).unwrap();
        let Ok(database) = files::look_at::<Database>(&path) else { continue };
        for address in ["89.160.20.128", "81.2.69.142", "2001:218::1", "2a02:d180::1"] {
            let mut found = Whereabouts::default();
            answered += u32::from(database.complete(address.parse().unwrap(), &mut found).is_ok());
        }
    }
    assert!(answered > 100, "{answered}");
}

#[test]
fn a_list_that_is_something_else_is_refused() {
    let many = "192.0.2.1\n".repeat(250_001);
    let cases: [(&[u8], Result<usize, &str>); 6] = [
        (b"", Ok(0)),
        (b"# nothing yet\n", Ok(0)),
        (b"192.0.2.0/24\nAS0\n", Ok(1)),
        (b"<html>\n<p>not found\n", Err("line 1: `<html>` is no network")),
        (b"\xff\xfe", Err("is no text")),
        (many.as_bytes(), Err("has more than 250000 entries")),
    ];
    for (bytes, expected) in cases {
        match (List::read(bytes.to_vec()), expected) {
            (Ok(list), Ok(entries)) => assert_eq!(list.entries(), entries),
            (Err(problem), Err(words)) => assert!(problem.contains(words), "{problem}"),
            (list, expected) => panic!("{:?} instead of {expected:?}", list.map(|list| list.entries())),
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(List::BYTES_MAX + 1).unwrap();
    assert!(look_at_list(&large).unwrap_err().contains("the limit is 33554432"));
}

#[test]
fn other_settings_are_in_force_from_the_next_call_on() {
    let city = fixture("GeoLite2-City-Test.mmdb");
    let enricher = open(&[&city], &[]);
    let merchant = EntitySettings { name: "merchant_id".into(), query: Some("m".into()), ..EntitySettings::default() };
    let settings = EnrichSettings { databases: vec![city], entities: vec![merchant], ..EnrichSettings::default() };
    enricher.reconfigure(settings.clone(), 9000).unwrap();
    let mut call = call("/");
    call.client_ip = Some("89.160.20.128".parse().unwrap());
    call.query = vec![Field { name: "m".into(), value: FieldValue::Clear("42".into()) }];
    // What somebody else said of the call does not count.
    call.enrichment.agent_family = "forged".into();
    enricher.enrich(&mut call);
    let Enrichment { country, entities, agent_family, .. } = &call.enrichment;
    assert_eq!((*country, &**agent_family, &*entities[0].value), (CountryCode::new("SE"), "", "42"));
    assert_eq!(enricher.to_json()["databases"][0]["loaded_ms"], 1000, "the same file is not read again");

    let wrong = EnrichSettings { databases: vec!["x".into(); 9], ..settings };
    assert!(enricher.reconfigure(wrong, 9000).unwrap_err().to_string().contains("there are 9; at most 8"));
    assert_eq!(of(&enricher, "89.160.20.128").coordinates, Coordinates::from_degrees(58.4167, 15.6167, Some(76)));
}

#[test]
fn an_address_that_is_a_pseudonym_is_looked_up_by_who_has_it_and_nobody_else() {
    let city = fixture("GeoLite2-City-Test.mmdb");
    let (collector, platform) = (open(&[&city], &[]), open(&[&city], &[]));
    let pseudonym = Pseudonym { key: KeyId(7), tag: [9; 16] }.to_address();
    let mut call = call("/");
    call.client_ip = Some(pseudonym.into());
    collector.enrich_from(&mut call, Some("89.160.20.128".parse().unwrap()));
    let seen = call.enrichment.clone();
    assert_eq!((seen.country, seen.coordinates), (CountryCode::new("SE"), of(&platform, "89.160.20.128").coordinates));
    // What the collector says of the address stays, and nothing else that it says.
    call.enrichment.agent_family = "forged".into();
    platform.enrich(&mut call);
    assert_eq!(call.enrichment, seen);
    // Of an address in clear nobody else's word counts, and of a pseudonym of which nobody said anything nothing is known.
    call.client_ip = Some("203.0.113.9".parse().unwrap());
    platform.enrich(&mut call);
    assert_eq!(call.enrichment.country, None);
    assert_eq!(of(&platform, &pseudonym.to_string()), Enrichment::default());
}
