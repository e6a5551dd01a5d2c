//! The samples of all classes, and what holds for any text.

use super::*;

const SAMPLES: &[(&str, &str)] = &[
    ("email", include_str!("email/samples.txt")),
    ("iban", include_str!("iban/samples.txt")),
    ("national_id", include_str!("national_id/samples.txt")),
    ("payment_card", include_str!("payment_card/samples.txt")),
    ("phone", include_str!("phone/samples.txt")),
];

/// The folder of a class.
fn folder(class: DataClass) -> &'static str {
    match class {
        DataClass::NationalId(_) => "national_id",
        class => class.as_str(),
    }
}

/// The text with what is found between `«` and `»`.
fn marked(name: &str, text: &str, expected: &str) -> String {
    let mut marked = String::new();
    let mut copied = 0;
    for found in find_personal(name, text) {
        // A sample of one class may hold nothing of another.
        assert_eq!(folder(found.class), expected, "{name} | {text}: {found:?}");
        marked.push_str(&text[copied..found.start]);
        marked.push('«');
        marked.push_str(&text[found.start..found.end]);
        marked.push('»');
        copied = found.end;
    }
    marked.push_str(&text[copied..]);
    marked
}

#[test]
fn samples_are_found_and_left_as_marked() {
    let mut wrong = Vec::new();
    for (class, samples) in SAMPLES {
        for line in samples.lines().filter(|line| !line.is_empty()) {
            let (name, sample) = line.split_once(" | ").unwrap_or(("", line));
            let text = sample.replace(['«', '»'], "");
            let seen = marked(name, &text, class);
            if seen != sample {
                wrong.push(format!("{class}: {name} | {sample}  gives  {seen}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn samples_hide_in_no_other_place() {
    // The same value at the start, in the middle and at the end of a text, between signs of all kinds.
    for (_, samples) in SAMPLES {
        for line in samples.lines().filter(|line| !line.contains(" | ") && line.starts_with('«')) {
            let Some(value) = line.strip_prefix('«').and_then(|rest| rest.strip_suffix('»')) else { continue };
            for (before, after) in
                [("/a/", "/b"), ("a=1&b=", "&c"), ("{\"a\":\"", "\"}"), ("<a>", "</a>"), ("[", "]"), ("é", "é")]
            {
                let text = format!("{before}{value}{after}");
                let found = find_personal("", &text);
                assert!(
                    found.iter().any(|found| found.end - found.start >= value.len()),
                    "{text} gives {found:?} without {value}"
                );
            }
        }
    }
}

#[test]
fn values_that_mean_the_same_are_the_same() {
    for (class, values, canonical) in [
        (DataClass::Email, &["alice@corp.example", "Alice@CORP.example"][..], "alice@corp.example"),
        (
            DataClass::PaymentCard,
            &["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111"],
            "4111111111111111",
        ),
        (DataClass::Iban, &["DE89370400440532013000", "de89 3704 0044 0532 0130 00"], "DE89370400440532013000"),
        (
            DataClass::Phone,
            &["+49 151 12345678", "004915112345678", "4915112345678", "+49 (0)151 12345678"],
            "+4915112345678",
        ),
        (
            DataClass::Phone,
            &["(415) 555-2671", "+1 415 555 2671", "1-415-555-2671", "4155552671", "415-555-2671x9"],
            "+14155552671",
        ),
        (DataClass::Phone, &["0151 12345678", "0151-12345678"], "015112345678"),
        (DataClass::NationalId(Country::Spain), &["12345678Z", "12345678-z"], "12345678Z"),
    ] {
        for value in values {
            assert_eq!(class.canonical(value), canonical, "{value}");
        }
    }
}

#[test]
fn ids_times_and_hashes_are_left() {
    // A small generator of its own, seeded, so that a failure is the same everywhere.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) ^ (state << 31)
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for _ in 0..20_000 {
        let (high, low) = (next(), next());
        let values = [
            format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                high >> 32,
                high & 0xffff,
                low >> 52,
                low & 0xfff,
                low >> 16
            ),
            format!("{high:016x}{low:016x}"),
            format!("{:024x}", u128::from(high) << 32 | u128::from(low >> 32)),
            format!("{}", high % 10_000_000_000),
            format!("{}", high % 1_000_000_000_000),
            format!("{}", 1_600_000_000 + high % 300_000_000),
            format!("{}", 1_600_000_000_000 + high % 300_000_000_000),
            format!("2024-{:02}-{:02}T{:02}:{:02}:{:02}Z", 1 + high % 12, 1 + low % 28, high % 24, low % 60, high % 60),
            format!("ORD-{}-{:06}", 2000 + high % 30, low % 1_000_000),
            format!("{}.{}.{}.{}", high % 256, low % 256, (high >> 8) % 256, (low >> 8) % 256),
            format!("v{}.{}.{}", high % 20, low % 40, high % 99),
            format!("{:.6},{:.6}", (high % 180) as f64 - 90.0 + 0.123_456, (low % 360) as f64 - 180.0 + 0.654_321),
        ];
        for value in values {
            count += 1;
            if !find_personal("id", &value).is_empty() || !find_personal("", &format!("/items/{value}/x")).is_empty() {
                wrong.push(value);
            }
        }
    }
    assert!(wrong.len() * 1000 < count, "{} of {count}, such as {:?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

#[test]
fn any_text_is_read_in_time_in_proportion() {
    // Were any of it quadratic, this test would not end.
    for piece in [
        "@",
        "a@",
        "a@b.",
        "1",
        "1 ",
        "12-",
        "+1",
        "(1) ",
        "AB ",
        "DE89 ",
        "X-",
        "é1",
        "4111 1111 ",
        "a@b.co",
        "phone ",
    ] {
        let text = piece.repeat((1 << 19) / piece.len());
        let _ = find_personal("phone", &text);
    }
}
