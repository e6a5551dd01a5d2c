//! A small API as its clients use it.

use outrider_discover::Catalogue;

use super::Line;

/// When it begins.
pub const START_MS: i64 = 1_767_571_200_000;

/// A reproducible text without a telling shape: letters only, different for each number.
pub fn letters(mut number: u64) -> String {
    let mut text = String::from("p");
    loop {
        text.push((b'a' + (number % 23) as u8) as char);
        number /= 23;
        if number == 0 {
            return text;
        }
    }
}

/// A small API as a dozen honest clients use it, for some minutes.
pub fn honest(catalogue: &mut Catalogue, from_minute: i64, minutes: i64) {
    for minute in from_minute..from_minute + minutes {
        for actor in 0..12u64 {
            let now_ms = START_MS + minute * 60_000 + actor as i64;
            catalogue.advance(now_ms);
            let item = actor * 31 + minute as u64;
            for path in [
                "/api/orders".to_owned(),
                format!("/api/orders/{item}"),
                "/api/orders/search".to_owned(),
                "/api/customers".to_owned(),
                format!("/api/customers/{item}"),
                format!("/api/customers/{item}/invoices"),
                "/health".to_owned(),
            ] {
                catalogue.assign(&Line::get(&path, actor, now_ms).call());
            }
        }
    }
}

/// What is found of it.
pub const HONEST: [&str; 7] = [
    "/api/customers",
    "/api/customers/{customer_id}",
    "/api/customers/{customer_id}/invoices",
    "/api/orders",
    "/api/orders/search",
    "/api/orders/{order_id}",
    "/health",
];
