//! The way of http-log: a queue per worker and endpoint, batches, and the same batch again until it is taken (FACTS,
//! section 10).
//!
//! Any 2xx takes a batch, everything else is tried again after a pause that doubles; the entries behind wait. An entry that
//! finds the queue full pushes the oldest out. Waits are a client's own, so they follow the real clock.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::wire::{Tls, Wire};
use crate::core::Core;
use crate::proxy::configuration::HttpLog;

/// The queues of all workers.
pub(crate) struct Queues {
    core: Arc<Core>,
    /// By worker and endpoint.
    queues: Mutex<HashMap<(usize, String), Arc<Queue>>>,
    /// Entries that are neither sent nor lost.
    waiting: AtomicUsize,
    settled: Notify,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Queue {
    entries: Mutex<VecDeque<Vec<u8>>>,
    /// Told of each new entry.
    grown: Notify,
    /// The settings that came with the last entry.
    config: Mutex<Arc<HttpLog>>,
}

impl Queues {
    pub(crate) fn new(core: Arc<Core>) -> Arc<Queues> {
        Arc::new(Queues {
            core,
            queues: Mutex::default(),
            waiting: AtomicUsize::new(0),
            settled: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Puts a line into its queue. `None` is a line that a custom field has lost.
    pub(crate) fn send(self: &Arc<Self>, worker: usize, config: &Arc<HttpLog>, line: Option<Vec<u8>>) {
        let Some(line) = line.filter(|_| self.core.faults.delivers_logs()) else {
            return Core::count(&self.core.tallies.lines_lost);
        };
        let queue = {
            let mut queues = locked(&self.queues);
            let key = (worker, config.http_endpoint.clone());
            Arc::clone(queues.entry(key).or_insert_with(|| {
                let queue = Arc::new(Queue {
                    entries: Mutex::default(),
                    grown: Notify::new(),
                    config: Mutex::new(Arc::clone(config)),
                });
                self.tasks.spawn(Arc::clone(self).run(Arc::clone(&queue)));
                queue
            }))
        };
        *locked(&queue.config) = Arc::clone(config);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let pushed_out = {
            let mut entries = locked(&queue.entries);
            let is_full = entries.len() >= config.queue.max_entries;
            let pushed_out = if is_full { entries.pop_front() } else { None };
            entries.push_back(line);
            pushed_out
        };
        if pushed_out.is_some() {
            self.lost(1, "queue full, dropping old entries until processing is successful again");
        }
        queue.grown.notify_one();
    }

    /// Waits until no line waits.
    pub(crate) async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.waiting.load(Ordering::SeqCst) == 0 {
                return;
            }
            settled.await;
        }
    }

    /// Gives up what waits.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn run(self: Arc<Self>, queue: Arc<Queue>) {
        while self.stop.run_until_cancelled(queue.grown.notified()).await.is_some() {
            while let Some((config, batch)) = self.next(&queue).await {
                self.deliver(&config, batch).await;
            }
        }
        let left = locked(&queue.entries).drain(..).count();
        self.lost(left, "the gateway has stopped");
    }

    /// The next batch: as many entries as it holds, or what has come some time after the first.
    async fn next(&self, queue: &Queue) -> Option<(Arc<HttpLog>, Vec<Vec<u8>>)> {
        let config = Arc::clone(&locked(&queue.config));
        let most = config.queue.max_batch_size;
        if locked(&queue.entries).is_empty() || self.stop.is_cancelled() {
            return None;
        }
        let due = Instant::now() + Duration::from_secs_f64(config.queue.max_coalescing_delay);
        while locked(&queue.entries).len() < most {
            let grown = tokio::time::timeout_at(due, queue.grown.notified());
            if !matches!(self.stop.run_until_cancelled(grown).await, Some(Ok(()))) {
                break;
            }
        }
        let mut entries = locked(&queue.entries);
        let length = entries.len().min(most);
        Some((config, entries.drain(..length).collect()))
    }

    /// Sends a batch until it is taken, or its time is over.
    async fn deliver(&self, config: &HttpLog, batch: Vec<Vec<u8>>) {
        let body = Bytes::from(body(config, &batch));
        let began = Instant::now();
        let mut pause = Duration::from_secs_f64(config.queue.initial_retry_delay);
        loop {
            let limit = Duration::from_millis(config.timeout as u64);
            let why = match tokio::time::timeout(limit, post(config, body.clone())).await {
                Ok(Ok(status)) if (200..300).contains(&status) => {
                    for _ in &batch {
                        Core::count(&self.core.tallies.lines_sent);
                    }
                    return self.leave(batch.len());
                }
                Ok(Ok(status)) => format!("status {status}"),
                Ok(Err(error)) => error,
                Err(_) => "timeout".to_owned(),
            };
            tracing::debug!(why, "a batch was not taken");
            if began.elapsed().as_secs_f64() > config.queue.max_retry_time {
                return self.lost(batch.len(), "could not send entries due to max_retry_time exceeded");
            }
            if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return self.lost(batch.len(), "the gateway has stopped");
            }
            pause = (pause * 2).min(Duration::from_secs_f64(config.queue.max_retry_delay));
        }
    }

    fn lost(&self, entries: usize, why: &str) {
        for _ in 0..entries {
            Core::count(&self.core.tallies.lines_lost);
        }
        if entries > 0 {
            tracing::debug!(why, entries, "log lines are lost");
            self.leave(entries);
        }
    }

    fn leave(&self, entries: usize) {
        self.waiting.fetch_sub(entries, Ordering::SeqCst);
        self.settled.notify_waiters();
    }
}

/// One entry alone, or an array, also of one, where batches are allowed.
fn body(config: &HttpLog, batch: &[Vec<u8>]) -> Vec<u8> {
    match batch {
        [entry] if config.queue.max_batch_size == 1 => entry.clone(),
        entries => [b"[".as_slice(), &entries.join(&b","[..]), b"]"].concat(),
    }
}

/// Sends a body on a connection of its own. Says the status of the answer.
async fn post(config: &HttpLog, body: Bytes) -> Result<u16, String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let url: hyper::Uri = config.http_endpoint.parse().map_err(|error| failed(&error))?;
    let host = url.host().ok_or("no host")?.trim_matches(['[', ']']).to_owned();
    let is_tls = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let mut request = Request::builder()
        .method(config.method.as_str())
        .uri(url.path_and_query().map_or("/", |path| path.as_str()))
        .header("host", format!("{host}:{port}"))
        .header("user-agent", "lua-resty-http/0.17.2 (Lua) ngx_lua/10026")
        .header("content-type", config.content_type.as_str());
    for (name, value) in config.headers.iter().flatten() {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body)).map_err(|error| failed(&error))?;
    let tls = is_tls.then_some(Tls { name: Some(&host) });
    let status = match Wire::connect(&host, port, tls).await.map_err(|error| failed(&error))? {
        Wire::Plain(stream) => status_of(stream, request).await,
        Wire::Tls(stream) => status_of(stream, request).await,
    };
    status.map_err(|error| failed(&error))
}

/// Sends a request. Says the status of the answer.
async fn status_of<S>(stream: S, request: Request<Full<Bytes>>) -> Result<u16, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        response.into_body().collect().await?;
        Ok(status)
    };
    let status = answer.await;
    driver.abort();
    status
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::settings::Settings;
    use crate::store::Store;

    /// A receiver that answers one request after the other with these statuses, the last one for ever; and the bodies it got.
    async fn receiver(statuses: &'static [u16]) -> (String, mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/log", listener.local_addr().unwrap());
        let (sender, bodies) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for turn in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = String::new();
                let body = loop {
                    let mut chunk = [0; 4096];
                    let length = stream.read(&mut chunk).await.unwrap();
                    request.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
                    let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                    if body.len() >= length.parse().unwrap() {
                        break body.to_owned();
                    }
                };
                let status = statuses[turn.min(statuses.len() - 1)];
                sender.send(body).unwrap();
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (url, bodies)
    }

    fn config(url: &str, queue: serde_json::Value) -> Arc<HttpLog> {
        let mut config = json!({
            "http_endpoint": url, "method": "POST", "content_type": "application/json", "timeout": 10000, "headers": null,
            "custom_fields_by_lua": null, "queue": {"max_batch_size": 1, "max_coalescing_delay": 1, "max_entries": 10000,
                "initial_retry_delay": 0.001, "max_retry_delay": 60, "max_retry_time": 60},
        });
        for (name, value) in queue.as_object().unwrap() {
            config["queue"][name] = value.clone();
        }
        Arc::new(serde_json::from_value(config).unwrap())
    }

    /// What came, in order, and how many lines were sent and lost, of so many lines.
    async fn check(
        statuses: &'static [u16],
        queue: serde_json::Value,
        lines: usize,
        bodies: &[&str],
        counts: (u64, u64),
    ) {
        let queues = Queues::new(Arc::new(Core::new(Settings::default(), Store::default())));
        let (url, mut came) = receiver(statuses).await;
        let config = config(&url, queue);
        for number in 0..lines {
            queues.send(0, &config, Some(number.to_string().into_bytes()));
        }
        queues.settled().await;
        queues.stop().await;
        let tallies = &queues.core.tallies;
        assert_eq!((tallies.lines_sent.load(Ordering::Relaxed), tallies.lines_lost.load(Ordering::Relaxed)), counts);
        let came: Vec<String> = std::iter::from_fn(|| came.try_recv().ok()).collect();
        assert_eq!(came, bodies);
    }

    #[tokio::test]
    async fn batches_go_until_they_are_taken() {
        check(&[200], json!({}), 2, &["0", "1"], (2, 0)).await;
        check(&[201], json!({"max_batch_size": 50, "max_coalescing_delay": 0.01}), 1, &["[0]"], (1, 0)).await;
        check(&[204], json!({"max_batch_size": 2, "max_coalescing_delay": 0.01}), 3, &["[0,1]", "[2]"], (3, 0)).await;
        // Whatever is no 2xx is tried again: the very same entries, and the others wait.
        let two = json!({"max_batch_size": 2});
        check(&[500, 401, 302, 200], two, 4, &["[0,1]", "[0,1]", "[0,1]", "[0,1]", "[2,3]"], (4, 0)).await;
    }

    #[tokio::test]
    async fn what_is_too_much_or_too_old_is_lost() {
        // Nothing is sent before all are there, as nobody lets the queue run.
        check(&[200], json!({"max_entries": 2}), 5, &["3", "4"], (2, 3)).await;
        check(&[500, 200], json!({"max_retry_time": 0}), 2, &["0", "1"], (1, 1)).await;
    }
}
