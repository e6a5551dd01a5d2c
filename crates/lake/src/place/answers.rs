//! What a store says when it refuses, without what it repeats of the request. The client's errors carry the whole answer, and
//! that of S3 may name the key, the token of a session and all that was signed; errors go to logs, to people and to webhooks.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// What is kept of an answer.
const CHARS_MAX: usize = 300;

/// Connects as the client does by itself.
#[derive(Debug, Default)]
pub(super) struct Connector(ReqwestConnector);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Service(HttpClient);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = self.0.execute(request).await?.into_parts();
        if !parts.status.is_client_error() && !parts.status.is_server_error() {
            return Ok(HttpResponse::from_parts(parts, body));
        }
        let body = body.bytes().await?;
        Ok(HttpResponse::from_parts(parts, told(&String::from_utf8_lossy(&body)).into()))
    }
}

/// The code and the words of a refusal. What else is in it, and an answer of another form, is left out.
fn told(body: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once('<')?.0.trim())
    };
    let parts: Vec<_> = [element("Code"), element("Message")].into_iter().flatten().collect();
    parts.join(": ").chars().take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::place::{BucketSettings, Location};

    const REFUSAL: &str = "<?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>The signature differs.</Message>\
        <AWSAccessKeyId>AKIA-ours</AWSAccessKeyId><CanonicalRequest>x-amz-security-token:token-ours</CanonicalRequest>\
        <Token-0>token-ours</Token-0></Error>";

    #[test]
    fn the_code_and_the_words_are_kept() {
        assert_eq!(told(REFUSAL), "SignatureDoesNotMatch: The signature differs.");
        assert_eq!(told("{\"token\": \"token-ours\"}"), "");
        assert_eq!(told(&format!("<Message>{}</Message>", "x".repeat(1000))).len(), CHARS_MAX);
    }

    /// Answers every request with a refusal, as long as the test runs.
    fn refusing() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 8192]);
                let length = REFUSAL.len();
                let answer =
                    format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{REFUSAL}");
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        port
    }

    #[tokio::test]
    async fn a_refusal_says_why_and_no_key() {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("keys");
        std::fs::write(&keys, "aws_access_key_id = AKIA-ours\naws_secret_access_key = hidden").unwrap();
        let settings = BucketSettings {
            bucket: "lake".to_owned(),
            endpoint: Some(format!("http://127.0.0.1:{}", refusing())),
            allow_http: true,
            credentials_file: Some(keys),
            ..BucketSettings::default()
        };
        let root = Location::bucket(settings, directory.path(), "one").open().unwrap();
        let of_table = root.table("events").load().await.unwrap_err();
        for error in [root.claim().await.unwrap_err(), of_table] {
            let mut text = format!("{error} {error:?}");
            let mut source = std::error::Error::source(&error);
            while let Some(below) = source {
                text = format!("{text} {below}");
                source = below.source();
            }
            assert!(text.contains("403") && text.contains("SignatureDoesNotMatch: The signature differs."), "{text}");
            assert!(!text.contains("ours") && !text.contains("hidden"), "{text}");
        }
    }
}
