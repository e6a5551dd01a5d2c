//! What the suites share: plain HTTP, the recorded exchanges, and a listener for log lines.

#![allow(dead_code, clippy::print_stdout)]

pub mod compare;
pub mod lines;
pub mod recorded;

use std::net::SocketAddr;
use std::path::PathBuf;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; an empty text where there is none, as in the recordings.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::from("");
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|_| String::from_utf8_lossy(&self.body).into_owned().into())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// One request on a connection of its own; an error is a connection that gave no answer.
pub async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, hyper::Error> {
    let stream = TcpStream::connect(address).await.expect("the listener is up");
    let mut connection = Connection::new(stream, address).await?;
    connection.call(method, path, headers, body).await
}

/// A connection that is kept.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).await.expect("the listener is up");
        Connection::new(stream, address).await.expect("a fresh connection")
    }

    async fn new(stream: TcpStream, address: SocketAddr) -> Result<Connection, hyper::Error> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection { sender, address })
    }

    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, hyper::Error> {
        let mut request = Request::builder().method(method).uri(path).header("Host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request");
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// Where the recordings are, when they are there.
pub fn recordings() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kong"));
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: shared/kong is missing");
    None
}

/// Collects lines from any number of connections.
pub struct Listener {
    pub address: SocketAddr,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Listener {
    pub async fn start() -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, lines) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut lines = BufReader::new(stream).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        let _ = sender.send(line);
                    }
                });
            }
        });
        Listener { address, lines }
    }

    /// The next line, as it came.
    pub async fn line(&mut self) -> String {
        self.lines.recv().await.expect("a line")
    }

    /// The next line.
    pub async fn json(&mut self) -> Value {
        serde_json::from_str(&self.line().await).expect("a line of JSON")
    }
}
