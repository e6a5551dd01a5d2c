//! Seeded traffic: Kong log lines of a made-up population, with labelled attacks.
//!
//! Three services with thirty endpoints are used by consumers of very different tempo. All of it derives from the seed:
//! the same settings give the same bytes. The lines have the fields of Kong 3.9.1, 2.1 KB in the mean.

use std::fmt::Write as _;

use rand::distr::weighted::WeightedIndex;
use rand::prelude::*;
use rand_pcg::Pcg64Mcg;

/// What traffic to make.
#[derive(Debug, Clone)]
pub struct TrafficSettings {
    /// Everything derives from it.
    pub seed: u64,
    /// How many consumers there are.
    pub consumers: u32,
    /// How many workspaces the consumers are spread over.
    pub workspaces: u32,
    /// How many client addresses they come from. With more addresses than consumers, consumers move about.
    pub addresses: u32,
    /// Calls per second of event time, all consumers together, without attacks.
    pub calls_per_second: f64,
    /// Event time of the first call.
    pub start_ms: i64,
    /// The attacks.
    pub attacks: Vec<Attack>,
}

/// One consumer calls one endpoint in a loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Attack {
    /// Which consumer, by number.
    pub consumer: u32,
    /// Which endpoint, by number.
    pub endpoint: usize,
    /// When it begins, in ms after the start.
    pub after_ms: i64,
    /// How long it lasts.
    pub lasts_ms: i64,
    /// Calls per second.
    pub calls_per_second: f64,
}

/// One generated call.
#[derive(Debug)]
pub struct Generated<'a> {
    /// The line, without its end.
    pub line: &'a [u8],
    /// When the request began.
    pub at_ms: i64,
    /// The attack it belongs to, by index.
    pub attack: Option<usize>,
    /// The consumer, by number.
    pub consumer: u32,
}

struct Route {
    service: usize,
    method: &'static str,
    template: &'static str,
    weight: u32,
}

const SERVICES: [&str; 3] = ["shop", "accounts", "payments"];

const fn route(service: usize, method: &'static str, template: &'static str, weight: u32) -> Route {
    Route { service, method, template, weight }
}

/// `#` stands for an integer id, `@` for a uuid, `~` for a slug.
const ROUTES: [Route; 30] = [
    route(0, "GET", "/shop/items", 90),
    route(0, "GET", "/shop/items/#", 160),
    route(0, "GET", "/shop/items/#/reviews", 40),
    route(0, "POST", "/shop/items/#/reviews", 6),
    route(0, "GET", "/shop/categories", 30),
    route(0, "GET", "/shop/categories/~", 60),
    route(0, "GET", "/shop/search", 80),
    route(0, "GET", "/shop/carts/@", 50),
    route(0, "POST", "/shop/carts/@/lines", 30),
    route(0, "DELETE", "/shop/carts/@/lines/#", 8),
    route(0, "POST", "/shop/orders", 15),
    route(0, "GET", "/shop/orders/#", 45),
    route(0, "GET", "/shop/orders/#/invoice", 10),
    route(0, "PUT", "/shop/orders/#/address", 3),
    route(0, "GET", "/shop/recommendations", 55),
    route(1, "POST", "/accounts/login", 25),
    route(1, "POST", "/accounts/refresh", 20),
    route(1, "GET", "/accounts/me", 70),
    route(1, "PATCH", "/accounts/me", 4),
    route(1, "GET", "/accounts/users/#", 25),
    route(1, "GET", "/accounts/users/#/addresses", 15),
    route(1, "GET", "/accounts/sessions", 8),
    route(1, "DELETE", "/accounts/sessions/@", 3),
    route(1, "GET", "/accounts/preferences", 30),
    route(2, "POST", "/payments/v2/charges", 14),
    route(2, "GET", "/payments/v2/charges/@", 22),
    route(2, "POST", "/payments/v2/charges/@/refunds", 2),
    route(2, "GET", "/payments/v2/methods", 18),
    route(2, "GET", "/payments/v2/payouts", 6),
    route(2, "GET", "/payments/v2/payouts/#", 5),
];

const SLUGS: [&str; 12] = [
    "garden-tools",
    "kitchen",
    "summer-sale",
    "books",
    "toys",
    "bikes",
    "lamps",
    "wool",
    "office",
    "paint",
    "tents",
    "tea",
];

const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "ShopApp/7.14.2 (iPhone; iOS 18.1; Scale/3.00) CFNetwork/1568.200.51 Darwin/24.1.0",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.39 Mobile Safari/537.36",
];

/// Makes traffic, call after call.
pub struct Traffic {
    settings: TrafficSettings,
    random: Pcg64Mcg,
    routes: WeightedIndex<u32>,
    now_ms: f64,
    attack_next_ms: Vec<f64>,
    line: String,
    path: String,
    sequence: u64,
}

impl Traffic {
    /// Starts traffic.
    pub fn new(settings: TrafficSettings) -> Self {
        let weights = ROUTES.iter().map(|r| r.weight);
        let attack_next_ms = settings.attacks.iter().map(|a| (settings.start_ms + a.after_ms) as f64).collect();
        Traffic {
            random: Pcg64Mcg::seed_from_u64(settings.seed),
            routes: WeightedIndex::new(weights)
                .unwrap_or_else(|_| unreachable!("the weights are constants above zero")),
            now_ms: settings.start_ms as f64,
            attack_next_ms,
            line: String::new(),
            path: String::new(),
            sequence: 0,
            settings,
        }
    }

    /// The next call in order of time.
    pub fn next_call(&mut self) -> Generated<'_> {
        let gap: f64 = self.random.random::<f64>().max(1e-12).ln() * -1000.0 / self.settings.calls_per_second;
        let benign_ms = self.now_ms + gap;
        let attack = (0..self.attack_next_ms.len())
            .filter(|&at| self.attack_next_ms[at] <= benign_ms)
            .min_by(|&a, &b| self.attack_next_ms[a].total_cmp(&self.attack_next_ms[b]));
        if let Some(at) = attack {
            let plan = self.settings.attacks[at].clone();
            let at_ms = self.attack_next_ms[at];
            let next = at_ms + 1000.0 / plan.calls_per_second;
            let end = (self.settings.start_ms + plan.after_ms + plan.lasts_ms) as f64;
            self.attack_next_ms[at] = if next < end { next } else { f64::INFINITY };
            self.now_ms = self.now_ms.max(at_ms);
            return self.emit(plan.consumer, plan.endpoint, at_ms as i64, Some(at));
        }
        self.now_ms = benign_ms;
        let consumer = self.pick_consumer();
        let endpoint = self.routes.sample(&mut self.random);
        self.emit(consumer, endpoint, benign_ms as i64, None)
    }

    /// A few consumers make most calls, as everywhere: the square of a uniform number leans to the low ones.
    fn pick_consumer(&mut self) -> u32 {
        let uniform: f64 = self.random.random();
        ((uniform * uniform * f64::from(self.settings.consumers)) as u32).min(self.settings.consumers.saturating_sub(1))
    }

    fn emit(&mut self, consumer: u32, endpoint: usize, at_ms: i64, attack: Option<usize>) -> Generated<'_> {
        self.sequence += 1;
        let route = &ROUTES[endpoint];
        self.path.clear();
        for c in route.template.chars() {
            // Writing into a String cannot fail.
            let _ = match c {
                '#' => write!(self.path, "{}", self.random.random_range(1..900_000)),
                '@' => write!(self.path, "{}", uuid(self.random.random())),
                '~' => write!(self.path, "{}", SLUGS[self.random.random_range(0..SLUGS.len())]),
                c => write!(self.path, "{c}"),
            };
        }
        let query = match route.template {
            "/shop/search" => format!(
                "?q={}&page={}",
                SLUGS[self.random.random_range(0..SLUGS.len())],
                self.random.random_range(1..9)
            ),
            "/shop/items" | "/payments/v2/payouts" => {
                format!("?limit=50&offset={}", 50 * self.random.random_range(0..40))
            }
            _ => String::new(),
        };
        let status = self.pick_status(route);
        let address = self.pick_address(consumer);
        self.write_line(consumer, endpoint, at_ms, &query, status, address);
        Generated { line: self.line.as_bytes(), at_ms, attack, consumer }
    }

    fn pick_status(&mut self, route: &Route) -> u16 {
        let roll = self.random.random_range(0..1000);
        match (route.method, route.template, roll) {
            (_, "/accounts/login", 0..80) => 401,
            (_, _, 0..3) => 500,
            (_, _, 3..12) => 404,
            (_, _, 12..18) => 422,
            ("POST", _, _) => 201,
            ("DELETE", _, _) => 204,
            _ => 200,
        }
    }

    fn pick_address(&mut self, consumer: u32) -> [u8; 4] {
        let spread = self.settings.addresses.max(1);
        let wander = if spread > self.settings.consumers {
            self.random.random_range(0..spread / self.settings.consumers.max(1))
        } else {
            0
        };
        let number = (consumer.wrapping_add(wander.wrapping_mul(self.settings.consumers))) % spread;
        // Public addresses, spread over the networks 20.0.0.0 to 219.255.255.255.
        let [_, b, c, d] = number.wrapping_mul(2_654_435_761).to_be_bytes();
        [20 + (number % 200) as u8, b, c, d]
    }

    fn write_line(&mut self, consumer: u32, endpoint: usize, at_ms: i64, query: &str, status: u16, address: [u8; 4]) {
        let route = &ROUTES[endpoint];
        let service = SERVICES[route.service];
        let [a, b, c, d] = address;
        let agent = AGENTS[consumer as usize % AGENTS.len()];
        let total = self.random.random_range(4..180);
        let sizes = (self.random.random_range(380..900), self.random.random_range(300..9000));
        let request_id: u128 = self.random.random();
        let consumer_id = consumer_id(consumer);
        let credential_id = uuid(u128::from(consumer) << 64 | 0x0d0d);
        let service_id = uuid(route.service as u128 + 0x51);
        let route_id = uuid(route.service as u128 + 0x71);
        let path = &self.path;
        let (method, ids) = (route.method, workspace_id(consumer % self.settings.workspaces.max(1)));
        let (request_size, response_size) = sizes;
        let (content_length, upstream) = (response_size - 250, total - 3);
        let querystring = querystring(query);
        let line = &mut self.line;
        line.clear();
        let _ = write!(line, r#"{{"request":{{"id":"{request_id:032x}","method":"{method}","uri":"{path}{query}","#);
        let _ = write!(
            line,
            r#""url":"https://api.example.com:8443{path}{query}","size":{request_size},"querystring":{{{querystring}}},"#
        );
        let _ =
            write!(line, r#""headers":{{"host":"api.example.com","user-agent":"{agent}","accept":"application/json","#);
        let _ = write!(line, r#""accept-encoding":"gzip, deflate, br","#);
        let _ = write!(line, r#""apikey":"key-{consumer:08}-5f2c9a71","#);
        let _ = write!(line, r#""x-consumer-id":"{consumer_id}","x-consumer-username":"client-{consumer:06}","#);
        let _ = write!(line, r#""x-credential-identifier":"{credential_id}"}}}},"#);
        let _ = write!(
            line,
            r#""response":{{"status":{status},"size":{response_size},"headers":{{"content-type":"application/json; charset=utf-8","#
        );
        let _ = write!(line, r#""content-length":"{content_length}","connection":"close","#);
        let _ = write!(
            line,
            r#""x-kong-upstream-latency":"{upstream}","x-kong-proxy-latency":"2","x-kong-request-id":"{request_id:032x}","#
        );
        let _ = write!(line, r#""via":"1.1 kong/3.9.1","server":"nginx"}}}},"#);
        let _ = write!(
            line,
            r#""latencies":{{"request":{total},"kong":2,"proxy":{upstream},"receive":1}},"client_ip":"{a}.{b}.{c}.{d}","#
        );
        let _ = write!(
            line,
            r#""started_at":{at_ms},"upstream_status":"{status}","upstream_uri":"{path}{query}","source":"upstream","#
        );
        let _ = write!(line, r#""workspace":"{ids}","workspace_name":"default","#);
        let _ =
            write!(line, r#""tries":[{{"port":8080,"balancer_start":{at_ms},"balancer_start_ns":1.7954483917204e+18,"#);
        let _ = write!(line, r#""balancer_latency_ns":25344,"ip":"10.0.10.2","balancer_latency":0}}],"#);
        let _ = write!(
            line,
            r#""route":{{"id":"{route_id}","name":"{service}-route","paths":["/{service}"],"strip_path":false,"ws_id":"{ids}","#
        );
        let _ = write!(line, r#""protocols":["http","https"],"created_at":1795448374,"#);
        let _ = write!(line, r#""updated_at":1795448374,"service":{{"id":"{service_id}"}},"#);
        let _ = write!(line, r#""https_redirect_status_code":426}},"#);
        let _ = write!(
            line,
            r#""service":{{"id":"{service_id}","name":"{service}","host":"{service}.internal","port":8080,"protocol":"http","path":"/{service}","#
        );
        let _ = write!(line, r#""enabled":true,"retries":2,"ws_id":"{ids}","#);
        let _ = write!(line, r#""created_at":1795448374,"updated_at":1795448374}},"#);
        let _ = write!(
            line,
            r#""consumer":{{"id":"{consumer_id}","username":"client-{consumer:06}","custom_id":"cust-{consumer:06}","tags":["demo"],"#
        );
        let _ = write!(
            line,
            r#""created_at":1795448374,"updated_at":1795448374}},"authenticated_entity":{{"id":"{credential_id}"}}}}"#
        );
    }
}

fn workspace_id(number: u32) -> String {
    match number {
        // The frozen corpus has this one.
        0 => "945aacf7-3f4a-4a22-aebc-208afa7bf62d".to_owned(),
        number => uuid(u128::from(number) << 64 | 0x3030),
    }
}

/// The gateway's id of a consumer.
pub fn consumer_id(consumer: u32) -> String {
    uuid(u128::from(consumer) << 64 | 0x0c0c)
}

/// The `querystring` object's content for a query that needs no decoding.
fn querystring(query: &str) -> String {
    let pairs = query.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect::<Vec<_>>().join(",")
}

/// A uuid in its usual form from a number.
fn uuid(number: u128) -> String {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let hex = format!("{number:032x}");
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> TrafficSettings {
        let attack = Attack { consumer: 7, endpoint: 11, after_ms: 60_000, lasts_ms: 5_000, calls_per_second: 50.0 };
        TrafficSettings {
            seed: 1,
            consumers: 200,
            workspaces: 1,
            addresses: 300,
            calls_per_second: 100.0,
            start_ms: 1_767_571_200_000,
            attacks: vec![attack],
        }
    }

    #[test]
    fn lines_are_json_in_order_of_time_and_the_attack_is_labelled() {
        let mut traffic = Traffic::new(settings());
        let (mut last_ms, mut attacks, mut bytes) = (0, 0, 0);
        for _ in 0..8000 {
            let call = traffic.next_call();
            let value: serde_json::Value = serde_json::from_slice(call.line).unwrap();
            assert_eq!(value["started_at"], call.at_ms);
            assert!(call.at_ms >= last_ms);
            last_ms = call.at_ms;
            bytes += call.line.len();
            if call.attack.is_some() {
                attacks += 1;
                assert_eq!(value["consumer"]["username"], "client-000007");
            }
        }
        assert_eq!(attacks, 250);
        assert!((1900..2300).contains(&(bytes / 8000)), "mean line is {} bytes", bytes / 8000);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let (mut one, mut other) = (Traffic::new(settings()), Traffic::new(settings()));
        for _ in 0..1000 {
            assert_eq!(one.next_call().line, other.next_call().line);
        }
    }
}
