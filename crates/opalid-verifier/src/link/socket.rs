//! One WebSocket to a node: connected, encrypted, authenticated; frames of the wire in and out.
//!
//! Takes: where the feed is. Gives: a socket, or why there is none.
//! Holds: nothing is sent to whom nobody vouches for; no frame is longer than the longest of the wire.
//! Not here: what is said. The node side is the server's.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Sink, Stream};
use http::{HeaderValue, Request, StatusCode, header};
use opalid_core::lease::HolderId;
use opalid_core::lease::wire::{LONGEST_FACTS, MOST_TAGS, PROTOCOL, ToHolder, ToNode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::config::{BadSettings, Feed, Roots};
use crate::random;

/// How long connecting takes at most, and how long until the node answers the handshake then.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Longer than any frame of the wire.
const LONGEST_FRAME: usize = LONGEST_FACTS + 8 * MOST_TAGS + 4 * 1024;
/// More than all questions that may be open.
const MOST_UNSENT: usize = 16 * 1024 * 1024;

/// Whom to connect to.
pub(super) struct Peer {
    feed: Feed,
    tls: Option<TlsConnector>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The issuer will say the same until somebody changes something.
    #[error("{0}")]
    Refused(String),
    /// The issuer cannot now, and may have said when.
    #[error("the issuer has no room or is not ready (503)")]
    Busy(Option<Duration>),
    /// Anything else.
    #[error("{0}")]
    Unreachable(String),
}

/// What carries the WebSocket.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<C: AsyncRead + AsyncWrite + Send + Unpin> Carrier for C {}

pub(super) struct Socket {
    stream: WebSocketStream<Box<dyn Carrier>>,
    /// Something has been said that may not have gone out.
    unsent: bool,
}

impl Peer {
    pub fn new(feed: Feed, roots: &Roots) -> Result<Self, BadSettings> {
        let tls = feed.encrypted.then(|| connector(roots)).transpose()?;
        Ok(Self { feed, tls })
    }

    /// Connects as `holder`.
    pub async fn connect(&self, holder: HolderId) -> Result<Socket, Failure> {
        let late = |_| Failure::Unreachable("it did not answer in time".into());
        let carrier = timeout(CONNECT_WITHIN, self.carrier()).await.map_err(late)??;
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(MOST_UNSENT)
            .max_message_size(Some(LONGEST_FRAME))
            .max_frame_size(Some(LONGEST_FRAME));
        let handshake = client_async_with_config(self.request(holder)?, carrier, Some(config));
        let (stream, _) = timeout(CONNECT_WITHIN, handshake).await.map_err(late)?.map_err(refusal)?;
        Ok(Socket { stream, unsent: false })
    }

    async fn carrier(&self) -> Result<Box<dyn Carrier>, Failure> {
        let unreachable = |error: std::io::Error| Failure::Unreachable(error.to_string());
        let stream = TcpStream::connect((&*self.feed.host, self.feed.port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.feed.host.clone());
        let name = name.map_err(|_| Failure::Unreachable("no certificate can be for this name".into()))?;
        Ok(Box::new(tls.connect(name, stream).await.map_err(unreachable)?))
    }

    fn request(&self, holder: HolderId) -> Result<Request<()>, Failure> {
        let Some(key) = random::bytes::<16>() else {
            return Err(Failure::Unreachable("this machine gives no random bytes".into()));
        };
        Request::builder()
            .uri(self.feed.uri.clone())
            .header(header::HOST, &self.feed.authority)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, STANDARD.encode(key))
            .header(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
            .header(header::AUTHORIZATION, &self.feed.authorization)
            .header("opalid-holder", format!("{:032x}", holder.0))
            .body(())
            .map_err(|error| Failure::Unreachable(error.to_string()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.feed.uri)
    }
}

impl Socket {
    /// Takes a message along with the next flush, which [`Socket::next`] does.
    pub fn say(&mut self, message: &ToNode) -> Result<(), Failure> {
        self.unsent = true;
        Pin::new(&mut self.stream).start_send(Message::binary(message.encode())).map_err(|error| broken(&error))
    }

    /// The next message, what was said going out meanwhile: neither waits for the other, so two that talk at once do not stop each
    /// other. Nothing is lost if it is not awaited to its end.
    pub async fn next(&mut self) -> Result<ToHolder, Failure> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(failure)) = self.poll_flush(cx) {
                return Poll::Ready(Err(failure));
            }
            loop {
                let Poll::Ready(message) = Pin::new(&mut self.stream).poll_next(cx) else { return Poll::Pending };
                match message {
                    Some(Ok(Message::Binary(frame))) => return Poll::Ready(understood(&frame)),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_))) | None => {
                        return Poll::Ready(Err(Failure::Unreachable("the issuer closed the connection".into())));
                    }
                    Some(Ok(_)) => return Poll::Ready(understood(&[])),
                    Some(Err(error)) => return Poll::Ready(Err(broken(&error))),
                }
            }
        })
        .await
    }

    /// Until all that was said has gone out.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.unsent {
            let flushed = Pin::new(&mut self.stream).poll_flush(cx);
            self.unsent = flushed.is_pending();
            return flushed.map_err(|error| broken(&error));
        }
        Poll::Ready(Ok(()))
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        _ = self.stream.close(None).await;
    }
}

fn understood(frame: &[u8]) -> Result<ToHolder, Failure> {
    let advice = "what the issuer says is not understood: are it and this verifier of versions that belong together?";
    ToHolder::decode(frame).map_err(|_| Failure::Refused(advice.into()))
}

fn broken(error: &Error) -> Failure {
    Failure::Unreachable(error.to_string())
}

/// Why a handshake failed, and what to do.
fn refusal(error: Error) -> Failure {
    let response = match error {
        Error::Http(response) => response,
        Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            return Failure::Unreachable("the issuer hung up before it answered".into());
        }
        Error::Protocol(error) => {
            return Failure::Refused(format!(
                "what answers there is no feed of an issuer ({error}): is the issuer right?"
            ));
        }
        other => return broken(&other),
    };
    let seconds = |value: &HeaderValue| value.to_str().ok()?.parse().ok().map(Duration::from_secs);
    Failure::Refused(match response.status() {
        StatusCode::UNAUTHORIZED => "the issuer refuses the client_id or the client_secret (401): correct them".into(),
        StatusCode::BAD_REQUEST => {
            "the issuer refuses this client (400): it has to be one that serves resources".into()
        }
        StatusCode::UPGRADE_REQUIRED => {
            format!(
                "the issuer does not speak {PROTOCOL} (426): bring it or this verifier to a version that belongs to the other"
            )
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            return Failure::Busy(response.headers().get(header::RETRY_AFTER).and_then(seconds));
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Failure::Unreachable(format!("the issuer answers {status}"));
        }
        status => format!("no feed of an issuer answers there ({status}): is the issuer right?"),
    })
}

fn connector(roots: &Roots) -> Result<TlsConnector, BadSettings> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| BadSettings::Tls(error.to_string()))?
        .with_root_certificates(authorities(roots)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn authorities(roots: &Roots) -> Result<RootCertStore, BadSettings> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Platform => _ = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        Roots::Pem(text) => {
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                let certificate = certificate.map_err(|error| BadSettings::Roots(error.to_string()))?;
                store.add(certificate).map_err(|error| BadSettings::Roots(error.to_string()))?;
            }
        }
    }
    if store.is_empty() { Err(BadSettings::Roots("there is none".into())) } else { Ok(store) }
}
