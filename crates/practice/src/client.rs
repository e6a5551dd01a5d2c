//! A small client of the Admin API: what the demo and tests set a gateway up with, over HTTP like anybody else.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::PracticeError;
use crate::percent;

/// Answers larger than this are refused.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Speaks to one Admin API, one connection per request.
#[derive(Clone, Debug)]
pub struct AdminClient {
    address: SocketAddr,
}

impl AdminClient {
    /// A client for the Admin API at this address, of a practice gateway or of a Kong.
    pub fn new(address: SocketAddr) -> AdminClient {
        AdminClient { address }
    }

    /// One request; the status and the JSON of the answer, null where there is none.
    pub async fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value), PracticeError> {
        let failed = |error: &dyn std::fmt::Display| PracticeError::Admin(format!("{method} {path}: {error}"));
        let stream = TcpStream::connect(self.address).await.map_err(|error| failed(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", self.address.to_string())
            .header("Connection", "close");
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| failed(&error))?;
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        driver.abort();
        let body = body.map_err(|error| failed(&error))?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// A service at a URL, with one route for a path prefix. The id of the service.
    ///
    /// `http://shop.practice/`, `http://accounts.practice/` and `http://echo.practice/` are answered by the gateway.
    pub async fn service(&self, name: &str, url: &str, path: &str) -> Result<String, PracticeError> {
        let service = self.create("/services", json!({ "name": name, "url": url })).await?;
        let route = json!({ "name": format!("{name}-route"), "paths": [path] });
        self.create(&format!("/services/{}/routes", percent::encode(name)), route).await?;
        Ok(service)
    }

    /// Asks for a key, in the header or query argument `apikey`, on a service. The id of the plugin.
    pub async fn key_auth(&self, service: &str) -> Result<String, PracticeError> {
        self.plugin(&format!("/services/{}", percent::encode(service)), json!({ "name": "key-auth" })).await
    }

    /// A consumer with a key. The id of the consumer.
    pub async fn consumer(&self, username: &str, key: &str) -> Result<String, PracticeError> {
        let consumer = self.create("/consumers", json!({ "username": username })).await?;
        self.create(&format!("/consumers/{consumer}/key-auth"), json!({ "key": key })).await?;
        Ok(consumer)
    }

    /// Sends a log line of every call to a listener. The id of the plugin.
    pub async fn tcp_log(&self, listener: SocketAddr) -> Result<String, PracticeError> {
        let config = json!({ "host": listener.ip().to_string(), "port": listener.port() });
        self.plugin("", json!({ "name": "tcp-log", "config": config })).await
    }

    /// A plugin below a path such as `/consumers/alice`, or a global one below the empty path. Its id.
    pub async fn plugin(&self, below: &str, plugin: Value) -> Result<String, PracticeError> {
        self.create(&format!("{below}/plugins"), plugin).await
    }

    /// Creates an entity. Its id.
    pub async fn create(&self, path: &str, document: Value) -> Result<String, PracticeError> {
        let (status, body) = self.request("POST", path, Some(&document)).await?;
        match (status, body["id"].as_str()) {
            (201, Some(id)) => Ok(id.to_owned()),
            _ => Err(PracticeError::Admin(format!("POST {path}: {status} {}", body["message"]))),
        }
    }

    /// Removes an entity.
    pub async fn delete(&self, path: &str) -> Result<(), PracticeError> {
        match self.request("DELETE", path, None).await? {
            (204, _) => Ok(()),
            (status, body) => Err(PracticeError::Admin(format!("DELETE {path}: {status} {}", body["message"]))),
        }
    }
}
