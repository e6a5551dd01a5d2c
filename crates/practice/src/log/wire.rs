//! A connection to whoever takes the lines: plain, or TLS that believes any certificate, as Kong's log plugins do (FACTS,
//! section 1). It protects nothing and is for nothing but practice.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How to speak TLS.
pub(crate) struct Tls<'n> {
    /// The name that is asked for; an address, or nothing, is not told to the listener.
    pub(crate) name: Option<&'n str>,
}

impl Wire {
    /// Connects, and shakes hands where TLS is to be spoken.
    pub(crate) async fn connect(host: &str, port: u16, tls: Option<Tls<'_>>) -> io::Result<Wire> {
        let stream = TcpStream::connect((host, port)).await?;
        let Some(Tls { name }) = tls else { return Ok(Wire::Plain(stream)) };
        let name = name.and_then(|name| ServerName::try_from(name.to_owned()).ok());
        let name = name.unwrap_or_else(|| ServerName::from(std::net::IpAddr::from(Ipv4Addr::UNSPECIFIED)));
        let stream = TlsConnector::from(Arc::new(client_config()?)).connect(name, stream).await?;
        Ok(Wire::Tls(Box::new(stream)))
    }

    /// Sends all of these bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(bytes).await,
            Wire::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Whether the listener has neither closed it nor written to it. One that is not quiet is of no more use.
    pub(crate) fn is_quiet(&self) -> bool {
        let stream = match self {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => stream.get_ref().0,
        };
        matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

fn client_config() -> io::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(io::Error::other)?.dangerous();
    let mut config = builder.with_custom_certificate_verifier(Arc::new(Believing(provider))).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Believes any certificate.
#[derive(Debug)]
struct Believing(Arc<CryptoProvider>);

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A listener that sends no tickets, with a certificate that nobody knows.
    fn acceptor() -> TlsAcceptor {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&key).unwrap();
        let certificate = CertificateDer::from(certificate.der().to_vec());
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
        config.send_tls13_tickets = 0;
        TlsAcceptor::from(Arc::new(config))
    }

    #[tokio::test]
    async fn any_certificate_is_believed_and_a_name_is_told_where_there_is_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for (name, told) in [(None, None), (Some("127.0.0.1"), None), (Some("log.example"), Some("log.example"))] {
            let accepting = async {
                let (stream, _) = listener.accept().await.unwrap();
                acceptor().accept(stream).await.unwrap()
            };
            let (wire, mut taker) = tokio::join!(Wire::connect("127.0.0.1", port, Some(Tls { name })), accepting);
            let mut wire = wire.unwrap();
            wire.send(b"a line\n").await.unwrap();
            let mut line = [0; 7];
            taker.read_exact(&mut line).await.unwrap();
            assert_eq!(&line, b"a line\n");
            let connection = taker.get_ref().1;
            assert_eq!((connection.server_name(), connection.alpn_protocol()), (told, None));
            assert!(wire.is_quiet());
            taker.write_all(b"OK").await.unwrap();
            taker.flush().await.unwrap();
            let Wire::Tls(stream) = &wire else { panic!("it speaks TLS") };
            stream.get_ref().0.readable().await.unwrap();
            assert!(!wire.is_quiet(), "a listener that writes spoils its connection");
        }
    }
}
