//! The accept loop: sockets in, requests to one function, answers out.
//!
//! Takes: bound sockets, perhaps a certificate, limits, a signal to stop, the function that answers.
//! Gives: returns when it has stopped and every connection is closed.
//! Holds: slow or silent clients, however many, never keep a good request from its answer; a failing `accept` is
//! waited out, never spun on and never fatal.
//! Not here: who may ask for what; which connection gives way (`connections`).

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connections::{Connection, Connections, Order};
use super::limits::ConnectionLimits;
use super::request_body::RequestBody;
use super::takeover::{MayTakeOver, Next};
use super::threads::Threads;
use super::tls::TlsSource;
use super::watched::Watched;

/// A request as it comes from a socket.
pub type Request = http::Request<RequestBody>;
/// An answer, whole.
pub type Response = http::Response<Full<Bytes>>;

/// Connections the system keeps for us until they are accepted.
const BACKLOG: i32 = 4096;
/// How long to wait at most when the system has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What one stream, and one connection, of HTTP/2 may send before it is read.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenAddress {
    /// This address; of IPv6 only IPv6, so `[::]` and `0.0.0.0` can stand beside each other.
    Address(SocketAddr),
    /// 127.0.0.1, and ::1 where the machine has it.
    Localhost(u16),
}

impl ListenAddress {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_loopback(),
            Self::Localhost(_) => true,
        }
    }
}

impl std::str::FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "an address with a port, such as 127.0.0.1:8080, [::1]:8080 or localhost:8080";
        match text.strip_prefix("localhost:") {
            Some(port) => port.parse().map(Self::Localhost).map_err(|_| expected),
            None => text.parse().map(Self::Address).map_err(|_| expected),
        }
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Localhost(port) => write!(f, "localhost:{port}"),
        }
    }
}

/// Binds every address. With port 0 the system chooses; `localhost:0` gets the same port on both.
pub fn bind(addresses: &[ListenAddress]) -> io::Result<Vec<TcpListener>> {
    let mut sockets = Vec::new();
    let with_address = |error: io::Error, address: &dyn std::fmt::Display| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    };
    for listen in addresses {
        match *listen {
            ListenAddress::Address(address) => {
                sockets.push(bind_one(address).map_err(|error| with_address(error, listen))?);
            }
            ListenAddress::Localhost(port) => {
                let first = bind_one((IpAddr::from(Ipv4Addr::LOCALHOST), port).into())
                    .map_err(|error| with_address(error, listen))?;
                let second = SocketAddr::from((Ipv6Addr::LOCALHOST, first.local_addr()?.port()));
                sockets.push(first);
                match bind_one(second) {
                    Ok(socket) => sockets.push(socket),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(with_address(error, &second)),
                    Err(error) => tracing::debug!(%error, "no ::1 here, only 127.0.0.1 is listened on"),
                }
            }
        }
    }
    Ok(sockets)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Answers what comes on `sockets` until `stop` is true (or its sender gone), then finishes what is under way.
pub async fn serve<S, F>(
    sockets: Vec<TcpListener>,
    tls: Option<TlsSource>,
    (threads, limits): (Arc<Threads>, ConnectionLimits),
    stop: watch::Receiver<bool>,
    service: S,
) where
    S: Fn(Request, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let connections = Connections::new(limits);
    serve_counted((threads, &connections), sockets, tls, stop, service).await;
}

async fn serve_counted<S, F>(
    (threads, connections): (Arc<Threads>, &Arc<Connections>),
    sockets: Vec<TcpListener>,
    tls: Option<TlsSource>,
    mut stop: watch::Receiver<bool>,
    service: S,
) where
    S: Fn(Request, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let server = Arc::new(Server {
        protocols: Protocols::new(connections.limits()),
        acceptor: tls.as_ref().map(TlsSource::acceptor),
        connections: Arc::clone(connections),
        threads,
        service,
    });
    let mut loops = JoinSet::new();
    for socket in sockets {
        loops.spawn(accept(Arc::clone(&server), socket, stop.clone()));
    }
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = every_second(connections, tls) => {}
    }
    while loops.join_next().await.is_some() {}
    connections.drain().await;
}

async fn every_second(connections: &Connections, tls: Option<TlsSource>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    seconds.tick().await;
    loop {
        seconds.tick().await;
        connections.tick();
        if let Some(tls) = tls.clone() {
            // Awaited, so that a hanging disk never holds more than one thread; it holds up the ticks, though.
            _ = tokio::task::spawn_blocking(move || tls.refresh()).await;
        }
    }
}

/// What every connection needs.
struct Server<S> {
    protocols: Protocols,
    acceptor: Option<TlsAcceptor>,
    connections: Arc<Connections>,
    threads: Arc<Threads>,
    service: S,
}

struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    fn new(limits: &ConnectionLimits) -> Self {
        // No timer: the time a head may take is counted in `connections`, not by a timer per request.
        let mut http1 = http1::Builder::new();
        // Answers are small: one buffer is written faster than a list of two.
        http1.max_buf_size(limits.head_size).header_read_timeout(None).writev(false);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Self { http1, http2 }
    }
}

async fn accept<S, F>(server: Arc<Server<S>>, socket: TcpListener, mut stop: watch::Receiver<bool>)
where
    S: Fn(Request, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let accepting = async {
        loop {
            match socket.accept().await {
                Ok((stream, peer)) => {
                    server.connections.room().await;
                    start(&server, stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if server.connections.worth_a_line() {
                        tracing::error!(%error, "cannot accept connections, closing the slowest");
                    }
                    server.connections.relief(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = accepting => {}
    }
}

/// Whether the error concerns the connection that was about to be accepted, not the next one (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | HostUnreachable | Interrupted | NetworkUnreachable | TimedOut
    )
}

fn start<S, F>(server: &Arc<Server<S>>, stream: TcpStream, peer: SocketAddr)
where
    S: Fn(Request, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let place = server.connections.enter(peer.ip());
    let shared = Arc::clone(server);
    server.threads.spawn(stream, move |stream| async move {
        talk(&shared, stream, peer, &place.0).await;
        drop(place);
    });
}

async fn talk<S, F>(server: &Server<S>, stream: TcpStream, peer: SocketAddr, connection: &Arc<Connection>)
where
    S: Fn(Request, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let service = {
        let (service, connection) = (server.service.clone(), Arc::clone(connection));
        hyper::service::service_fn(move |request: http::Request<Incoming>| {
            let under_way = connection.begin();
            let mut request = request;
            if request.extensions().get::<OnUpgrade>().is_some() {
                request.extensions_mut().insert(MayTakeOver(Arc::clone(&connection)));
            }
            let request = request.map(|body| RequestBody::new(body, Arc::clone(&connection)));
            // Not an async block, which would keep the answering future twice.
            service(request, peer).map(move |answer| {
                drop(under_way);
                Ok::<_, Infallible>(answer)
            })
        })
    };
    let Some(acceptor) = &server.acceptor else {
        return talk_http1(server, stream, service, connection).await;
    };
    let Some(Ok(stream)) = unless_called(acceptor.accept(stream), connection).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        connection.rests();
        let talking = server.protocols.http2.serve_connection(TokioIo::new(stream), service);
        until_closed(talking, connection).await;
    } else {
        talk_http1(server, stream, service, connection).await;
    }
}

async fn talk_http1<S, I, V>(server: &Server<S>, stream: I, service: V, connection: &Arc<Connection>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible> + Send,
    V::Future: Send,
{
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(connection)));
    until_closed(server.protocols.http1.serve_connection(stream, service).with_upgrades(), connection).await;
    if let Some(next) = connection.takeover.next() {
        until_called(next, connection).await;
    }
}

/// What goes on with a connection after HTTP, given up when the connection is told to finish.
async fn until_called(mut next: Next, connection: &Connection) {
    loop {
        tokio::select! {
            () = next.as_mut() => return,
            () = connection.called.notified() => if connection.order() != Order::Serve { return },
        }
    }
}

/// A handshake, given up when the connection is told to finish in the middle of it.
async fn unless_called<F: Future>(handshake: F, connection: &Connection) -> Option<F::Output> {
    tokio::select! {
        output = handshake => Some(output),
        () = connection.called.notified() => None,
    }
}

/// A connection that can be told to stop.
trait Talk: Future<Output = hyper::Result<()>> {
    fn finish(self: Pin<&mut Self>);
}

impl<I, V> Talk for http1::UpgradeableConnection<I, V>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    V: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, V> Talk for http2::Connection<I, V, TokioExecutor>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    V: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
    V::Future: Send + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn until_closed(talking: impl Talk, connection: &Connection) {
    let mut talking = pin!(talking);
    loop {
        tokio::select! {
            biased;
            result = talking.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            () = connection.called.notified() => match connection.order() {
                Order::Serve => {}
                Order::Finish => talking.as_mut().finish(),
                Order::GiveWay | Order::Close => return,
            },
        }
    }
}

#[cfg(test)]
mod tests;
