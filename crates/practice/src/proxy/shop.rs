//! The services that the practice gateway answers itself: a small shop and its accounts.
//!
//! A service whose host is `shop.practice` or `accounts.practice` is answered here, with the sizes and statuses a real
//! one would have; `echo.practice` answers any path. The same call always gives the same answer: nothing is remembered.

use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::percent;

/// Items and orders with ids up to these exist.
const ITEMS: u64 = 5_000;
const ORDERS: u64 = 100_000;
const PAGE_MAX: u64 = 100;
/// The password that works for every account of the demo.
const PASSWORD: &str = "correct horse";

/// An answer of a built-in service.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
}

/// Asks a built-in service; `None` when no service of ours has this host.
pub(crate) fn ask(host: &str, method: &str, uri: &str, body: &Bytes) -> Option<Reply> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match host {
        "shop.practice" => Some(shop(method, &segments, query)),
        "accounts.practice" => Some(accounts(method, &segments, body)),
        "echo.practice" => Some(match segments.as_slice() {
            [.., "status", code] => with_status(code),
            [.., "login"] if method == "POST" => login(body),
            _ => reply(200, json!({ "method": method, "path": uri, "body_bytes": body.len() })),
        }),
        _ => None,
    }
}

fn reply(status: u16, body: Value) -> Reply {
    Reply { status, body: Some(body) }
}

fn missing() -> Reply {
    reply(404, json!({ "error": "not found" }))
}

fn shop(method: &str, segments: &[&str], query: &str) -> Reply {
    match (method, segments) {
        ("GET" | "HEAD", ["items"]) => {
            let limit = argument(query, "limit").and_then(|text| text.parse().ok()).unwrap_or(20).clamp(1, PAGE_MAX);
            let page: u64 = argument(query, "page").and_then(|text| text.parse().ok()).unwrap_or(0);
            let first = page.saturating_mul(limit) + 1;
            let items: Vec<Value> =
                (first..first.saturating_add(limit)).take_while(|id| *id <= ITEMS).map(item).collect();
            reply(200, json!({ "items": items, "total": ITEMS }))
        }
        ("GET" | "HEAD", ["items", id]) => known(id, ITEMS).map_or_else(missing, |id| reply(200, item(id))),
        ("GET" | "HEAD", ["items", id, "reviews"]) => known(id, ITEMS).map_or_else(missing, |id| {
            let reviews: Vec<Value> =
                (0..id % 9).map(|at| json!({ "stars": (id + at) % 5 + 1, "text": words(id * 31 + at, 12) })).collect();
            reply(200, json!({ "reviews": reviews }))
        }),
        ("GET" | "HEAD", ["search"]) => {
            let wanted = argument(query, "q").unwrap_or_default();
            let seed = wanted.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
            let hits: Vec<Value> = (0..seed % 12).map(|at| item((seed / 7 + at * 97) % ITEMS + 1)).collect();
            reply(200, json!({ "query": wanted, "hits": hits }))
        }
        ("GET" | "HEAD", ["orders", id]) => known(id, ORDERS).map_or_else(missing, |id| reply(200, order(id))),
        ("POST", ["orders"]) => reply(201, json!({ "id": 42_017, "state": "accepted" })),
        ("POST", ["cart", "items"]) => reply(201, json!({ "items": 1 })),
        ("GET" | "HEAD", ["cart"]) => reply(200, json!({ "items": [], "total_cents": 0 })),
        ("GET" | "HEAD", ["status", code]) => with_status(code),
        (_, ["items" | "orders" | "cart" | "search", ..]) => reply(405, json!({ "error": "method not allowed" })),
        _ => missing(),
    }
}

fn accounts(method: &str, segments: &[&str], body: &Bytes) -> Reply {
    match (method, segments) {
        ("POST", ["login"]) => login(body),
        ("GET" | "HEAD", ["me"]) => reply(200, account(1)),
        ("GET" | "HEAD", ["users", id]) => known(id, ITEMS).map_or_else(missing, |id| reply(200, account(id))),
        ("PUT", ["users", _, "password"]) => Reply { status: 204, body: None },
        (_, ["login" | "me" | "users", ..]) => reply(405, json!({ "error": "method not allowed" })),
        _ => missing(),
    }
}

fn login(body: &Bytes) -> Reply {
    let credentials: Value = serde_json::from_slice(body).unwrap_or_default();
    if credentials["password"] == PASSWORD {
        reply(200, json!({ "token": words(9, 6).replace(' ', "."), "expires_in": 3600 }))
    } else {
        reply(401, json!({ "ok": false }))
    }
}

fn with_status(code: &str) -> Reply {
    match code.parse() {
        Ok(status @ 200..=599) => Reply { status, body: (status != 204).then(|| json!({ "status": status })) },
        _ => missing(),
    }
}

fn known(id: &str, last: u64) -> Option<u64> {
    id.parse().ok().filter(|id| (1..=last).contains(id))
}

fn argument(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(own, _)| *own == name).map(|(_, value)| percent::decode_form(value))
}

fn item(id: u64) -> Value {
    json!({
        "id": id,
        "name": words(id, 3),
        "description": words(id * 17, 20 + (id % 23) as usize),
        "price_cents": 199 + id * 7 % 20_000,
        "stock": id * 13 % 400,
    })
}

fn order(id: u64) -> Value {
    let lines: Vec<Value> =
        (0..id % 5 + 1).map(|at| json!({ "item": (id * 7 + at) % ITEMS + 1, "count": at + 1 })).collect();
    json!({
        "id": id,
        "customer": { "name": words(id * 3, 2), "email": format!("customer{}@example.test", id % 9_000) },
        "lines": lines,
        "total_cents": 500 + id * 11 % 90_000,
        "state": if id.is_multiple_of(4) { "shipped" } else { "paid" },
    })
}

fn account(id: u64) -> Value {
    json!({
        "id": id,
        "name": words(id * 5, 2),
        "email": format!("user{id}@example.test"),
        "phone": format!("+49 30 5550{:04}", id % 10_000),
        "address": words(id * 19, 6),
    })
}

/// Some words, always the same for the same number.
fn words(seed: u64, count: usize) -> String {
    const WORDS: [&str; 16] = [
        "amber", "birch", "copper", "delta", "ember", "flint", "garnet", "hazel", "indigo", "juniper", "kelp", "linen",
        "maple", "nickel", "ochre", "pine",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut chosen = Vec::with_capacity(count);
    for _ in 0..count {
        state ^= state >> 29;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        chosen.push(WORDS[(state >> 60) as usize]);
    }
    chosen.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (host, method, uri, body, status) in [
            ("shop.practice", "GET", "/items", "", Some(200)),
            ("shop.practice", "GET", "/items/17", "", Some(200)),
            ("shop.practice", "GET", "/items/5001", "", Some(404)),
            ("shop.practice", "GET", "/items/x", "", Some(404)),
            ("shop.practice", "DELETE", "/items/17", "", Some(405)),
            ("shop.practice", "GET", "/items/8/reviews", "", Some(200)),
            ("shop.practice", "GET", "/search?q=tea", "", Some(200)),
            ("shop.practice", "GET", "/orders/99", "", Some(200)),
            ("shop.practice", "POST", "/orders", "{}", Some(201)),
            ("shop.practice", "GET", "/status/503", "", Some(503)),
            ("accounts.practice", "POST", "/login", r#"{"user":"a","password":"b"}"#, Some(401)),
            ("accounts.practice", "POST", "/login", r#"{"user":"a","password":"correct horse"}"#, Some(200)),
            ("accounts.practice", "GET", "/users/3", "", Some(200)),
            ("echo.practice", "PATCH", "/x", "abc", Some(200)),
            ("echo.practice", "GET", "/a/status/418", "", Some(418)),
            ("echo.practice", "POST", "/a/login", "user=a", Some(401)),
            ("elsewhere", "GET", "/", "", None),
        ] {
            let reply = ask(host, method, uri, &Bytes::from(body));
            assert_eq!(reply.map(|reply| reply.status), status, "{method} {host}{uri}");
        }
    }

    #[test]
    fn the_same_call_gives_the_same_answer() {
        let ask = || ask("shop.practice", "GET", "/items?limit=50&page=3", &Bytes::new());
        assert_eq!(ask(), ask());
    }
}
