//! Real handshakes against files that change. The keys here are for these tests alone.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::http::limits::ConnectionLimits;
use crate::http::listen::{bind, serve};
use crate::http::threads::Threads;

const FIRST: (&str, &str) = (include_str!("first.certificate.pem"), include_str!("first.key.pem"));
const SECOND: (&str, &str) = (include_str!("second.certificate.pem"), include_str!("second.key.pem"));

/// A folder with a certificate and key, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("opalid-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, (certificate, key): (&str, &str)) {
        // A new file each time: the stamp differs even within one tick of the file system's clock.
        for (name, text) in [("certificate.pem", certificate), ("key.pem", key)] {
            std::fs::write(self.0.join("new"), text).unwrap();
            std::fs::rename(self.0.join("new"), self.0.join(name)).unwrap();
        }
    }

    fn source(&self) -> Result<TlsSource, TlsError> {
        TlsSource::from_files(self.0.join("certificate.pem"), self.0.join("key.pem"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The common name of the certificate now served, read from what `resolve` would give.
fn served(source: &TlsSource) -> CertificateDer<'static> {
    source.files.current.read().unwrap().cert[0].clone()
}

fn certificate(pair: (&str, &str)) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pair.0.as_bytes()).unwrap()
}

#[test]
fn changed_files_replace_the_certificate_and_broken_ones_do_not() {
    let folder = Folder::new("reload");
    folder.write(FIRST);
    let source = folder.source().unwrap();
    assert_eq!(served(&source), certificate(FIRST));
    for broken in [("not pem", FIRST.1), (SECOND.0, FIRST.1), (SECOND.0, "")] {
        folder.write(broken);
        source.refresh();
        assert_eq!(served(&source), certificate(FIRST));
    }
    folder.write(SECOND);
    source.refresh();
    assert_eq!(served(&source), certificate(SECOND));
    std::fs::remove_file(folder.0.join("key.pem")).unwrap();
    source.refresh();
    assert_eq!(served(&source), certificate(SECOND));
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start_and_named() {
    let folder = Folder::new("refused");
    let refused = |pair| {
        folder.write(pair);
        folder.source().unwrap_err().to_string()
    };
    assert!(refused((FIRST.0, SECOND.1)).contains("cannot be used together"));
    assert!(refused(("", FIRST.1)).contains("certificate.pem: expected a certificate chain"));
    assert!(refused((FIRST.0, FIRST.0)).contains("key.pem: expected a private key"));
    let missing = TlsSource::from_files("/nowhere/c.pem", "/nowhere/k.pem").unwrap_err();
    assert!(missing.to_string().starts_with("cannot read /nowhere/c.pem"));
}

async fn connect(
    address: std::net::SocketAddr,
    version: &'static rustls::SupportedProtocolVersion,
    protocol: &[u8],
) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate(FIRST)).unwrap();
    roots.add(certificate(SECOND)).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

async fn text(answer: http::Response<hyper::body::Incoming>) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
}

/// The real server with the files of a folder; where it is, and how it is stopped.
fn start(folder: &Folder) -> (std::net::SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let sockets = bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = sockets[0].local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let service = |request: http::Request<_>, _| async move {
        http::Response::new(Full::new(Bytes::from(format!("{:?} {}", request.version(), request.uri().path()))))
    };
    let shared = (Arc::new(Threads::here()), ConnectionLimits::default());
    let server = tokio::spawn(serve(sockets, Some(folder.source().unwrap()), shared, stopped, service));
    (address, stop, server)
}

#[tokio::test]
async fn a_running_server_takes_up_files_that_changed_and_keeps_its_connections() {
    let folder = Folder::new("running");
    folder.write(FIRST);
    let (address, stop, server) = start(&folder);
    let served = async || {
        let stream = connect(address, &rustls::version::TLS13, b"http/1.1").await;
        let of = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
        (stream, of)
    };
    let (earlier, of) = served().await;
    assert_eq!(of, certificate(FIRST));
    folder.write(SECOND);
    let taken_up = async {
        loop {
            let of = served().await.1;
            if of == certificate(SECOND) {
                break;
            }
            assert_eq!(of, certificate(FIRST));
        }
    };
    // Not a promise about speed: files that are never read again shall fail the test, not stop the run.
    tokio::time::timeout(std::time::Duration::from_secs(60), taken_up).await.expect("the new certificate");
    let (mut sender, talking) = hyper::client::conn::http1::handshake(TokioIo::new(earlier)).await.unwrap();
    tokio::spawn(talking);
    let request = http::Request::get("/").header("host", "localhost").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(text(sender.send_request(request).await.unwrap()).await, "HTTP/1.1 /");
    drop(sender);
    stop.send(true).unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn http1_and_http2_are_answered_over_tls_1_2_and_1_3() {
    let folder = Folder::new("serve");
    folder.write(FIRST);
    let (address, stop, server) = start(&folder);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let request = |uri: &str| http::Request::get(uri).header("host", "localhost").body(Full::<Bytes>::default());

        let stream = TokioIo::new(connect(address, version, b"http/1.1").await);
        let (mut sender, talking) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let talking = tokio::spawn(talking);
        assert_eq!(text(sender.send_request(request("/one").unwrap()).await.unwrap()).await, "HTTP/1.1 /one");
        drop(sender);
        talking.await.unwrap().unwrap();

        let stream = TokioIo::new(connect(address, version, b"h2").await);
        let (mut sender, talking) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(talking);
        let request = request("https://localhost/two").unwrap();
        assert_eq!(text(sender.send_request(request).await.unwrap()).await, "HTTP/2.0 /two");
    }
    stop.send(true).unwrap();
    server.await.unwrap();
}
