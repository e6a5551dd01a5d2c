//! The demo's clients: ordinary ones with a leisurely mix of calls, and one in a loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

/// Pause of the offender between two calls.
const LOOP_PAUSE: Duration = Duration::from_millis(15);

/// A client of the gateway.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
    seed: u64,
}

impl Client {
    /// A client of the gateway at `base` that presents a consumer's key.
    pub fn new(base: &str, consumer: &str) -> Client {
        let seed = consumer.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Client { http: reqwest::Client::new(), base: base.to_owned(), key: format!("key-{consumer}"), seed }
    }

    /// One call; the status, or 0 where there was no answer.
    pub async fn call(&self, method: reqwest::Method, path: &str) -> u16 {
        let request = self.http.request(method, format!("{}{path}", self.base)).header("apikey", &self.key);
        request.send().await.map_or(0, |response| response.status().as_u16())
    }

    /// Works through an ordinary mix of calls, about one a second, until it is told to end.
    pub async fn work(mut self, end: Arc<AtomicBool>) {
        while !end.load(Ordering::Relaxed) {
            let (method, path) = self.next_call();
            self.call(method, &path).await;
            let pause = 500 + self.roll(1100);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Calls items one after the other without end, saying each status.
    pub async fn bombard(self, statuses: mpsc::UnboundedSender<u16>, end: Arc<AtomicBool>) {
        let mut item = 0u64;
        while !end.load(Ordering::Relaxed) {
            item = item % 4999 + 1;
            let status = self.call(reqwest::Method::GET, &format!("/shop/items/{item}")).await;
            if statuses.send(status).is_err() {
                return;
            }
            tokio::time::sleep(LOOP_PAUSE).await;
        }
    }

    fn next_call(&mut self) -> (reqwest::Method, String) {
        let (item, order) = (self.roll(400) + 1, self.roll(5000) + 1);
        match self.roll(8) {
            0 => (reqwest::Method::GET, format!("/shop/items?limit=20&page={}", item % 9)),
            1..=3 => (reqwest::Method::GET, format!("/shop/items/{item}")),
            4 => (reqwest::Method::GET, format!("/shop/items/{item}/reviews")),
            5 | 6 => (reqwest::Method::GET, format!("/shop/orders/{order}")),
            _ => (reqwest::Method::GET, "/accounts/me".to_owned()),
        }
    }

    /// A small deterministic generator is enough to vary ids.
    fn roll(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }
}
