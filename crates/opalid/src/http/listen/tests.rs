//! Real sockets, real bytes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};

use super::*;
use crate::http::body::{BodyBudget, read_body};
use crate::http::limits::{BodyLimits, raise_descriptor_limit};

/// A server on a free port of loopback.
struct Running {
    address: SocketAddr,
    connections: Arc<Connections>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

async fn answer(request: Request) -> Response {
    answer_within(BodyLimits::default(), request).await
}

async fn answer_within(limits: BodyLimits, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let (budget, from) = (BodyBudget::default(), Ipv4Addr::LOCALHOST.into());
    match read_body(request.into_body(), limits, (&budget, from)).await {
        Ok(body) => {
            let mut answer = path.into_bytes();
            answer.extend_from_slice(&body);
            Response::new(Full::new(answer.into()))
        }
        Err(error) => {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = error.status();
            answer
        }
    }
}

fn start_with<S, F>(limits: ConnectionLimits, service: S) -> Running
where
    S: Fn(Request, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let sockets = bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = sockets[0].local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let connections = Connections::new(limits);
    let served = Arc::clone(&connections);
    let task = tokio::spawn(async move {
        serve_counted((Arc::new(Threads::here()), &served), sockets, None, stopped, service).await
    });
    Running { address, connections, stop, task }
}

fn start_server(limits: ConnectionLimits) -> Running {
    start_with(limits, |request, _| answer(request))
}

async fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

async fn receive_all(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    _ = stream.read_to_string(&mut text).await;
    text
}

/// The whole answer to one request on a connection of its own.
async fn ask(address: SocketAddr, bytes: &[u8]) -> String {
    receive_all(&mut send(address, bytes).await).await
}

const GOOD: &[u8] = b"GET /good HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

impl Running {
    async fn wait_for_connections(&self, count: usize) {
        while self.connections.len() != count {
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn a_request_with_a_body_is_answered() {
    let server = start_server(ConnectionLimits::default());
    let text =
        ask(server.address, b"POST /p HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n/pabc"), "{text}");
}

#[tokio::test]
async fn two_thousand_heads_a_byte_a_second_keep_no_good_request_from_its_answer_and_get_no_more_time() {
    raise_descriptor_limit();
    let server = start_server(ConnectionLimits::default());
    assert_eq!(server.connections.limits().most, 10_000);
    let mut slow = begin(&server, b"GET / HTTP/1.1\r\nho").await;
    for _ in 0..8 {
        server.trickle(&mut slow).await;
    }
    server.let_seconds_pass(3);
    for stream in &mut slow {
        assert_eq!(receive_all(stream).await, "");
    }
    server.wait_for_connections(0).await;
}

#[tokio::test]
async fn two_thousand_bodies_a_byte_a_second_keep_no_good_request_from_its_answer_and_end_with_their_time() {
    raise_descriptor_limit();
    let head = b"POST /p HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n";
    for time in [Duration::MAX, Duration::ZERO] {
        let limits = BodyLimits { time, ..BodyLimits::default() };
        let server = start_with(ConnectionLimits::default(), move |request, _| answer_within(limits, request));
        let mut slow = begin(&server, head).await;
        for _ in 0..9 {
            server.trickle(&mut slow).await;
        }
        for stream in &mut slow {
            // Who is told 408 and sends on may lose the answer.
            let text = receive_all(stream).await;
            let is_refused = text.is_empty() || text.starts_with("HTTP/1.1 408 ");
            assert!(if time.is_zero() { is_refused } else { text.ends_with("/psssssssss") }, "{text}");
        }
        server.wait_for_connections(0).await;
    }
}

/// Two thousand requests that have only begun.
async fn begin(server: &Running, bytes: &[u8]) -> Vec<TcpStream> {
    let mut slow = Vec::new();
    for _ in 0..2_000 {
        slow.push(send(server.address, bytes).await);
    }
    slow
}

impl Running {
    /// One more byte of each, and a second; a good request is answered meanwhile.
    async fn trickle(&self, slow: &mut [TcpStream]) {
        for stream in slow {
            // The server may have given it up by now.
            drop(stream.write_all(b"s").await);
        }
        assert!(ask(self.address, GOOD).await.ends_with("/good"));
        self.let_seconds_pass(1);
    }
}

#[tokio::test]
async fn above_the_most_connections_the_slowest_give_way_to_new_ones() {
    let server = start_server(ConnectionLimits { most: 64, ..ConnectionLimits::default() });
    let mut slow = Vec::new();
    for _ in 0..500 {
        slow.push(send(server.address, b"GET / HTTP/1.1\r\nho").await);
    }
    assert!(ask(server.address, GOOD).await.ends_with("/good"));
    assert!(server.connections.len() <= 64);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = start_server(ConnectionLimits::default());
    let mut request = b"GET / HTTP/1.1\r\nhost: x\r\nlong: ".to_vec();
    request.resize(16 * 1024 + 1, b'a');
    assert!(ask(server.address, &request).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_head_of_more_than_a_hundred_headers_is_refused() {
    let server = start_server(ConnectionLimits::default());
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert!(ask(server.address, request.as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_by_its_length_alone() {
    let server = start_server(ConnectionLimits::default());
    let text = ask(server.address, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 65537\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
}

#[tokio::test]
async fn http2_without_tls_is_refused() {
    let server = start_server(ConnectionLimits::default());
    let text = ask(server.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
}

#[tokio::test]
async fn stopping_finishes_the_request_under_way_and_closes_idle_connections() {
    let (begun, has_begun) = oneshot::channel();
    let (go, may_go) = oneshot::channel::<()>();
    let once = Arc::new(std::sync::Mutex::new(Some((begun, may_go))));
    let server = start_with(ConnectionLimits::default(), move |request: Request, _| {
        let first = once.lock().unwrap().take().filter(|_| request.uri().path() == "/slow");
        async move {
            if let Some((begun, may_go)) = first {
                begun.send(()).unwrap();
                may_go.await.unwrap();
            }
            answer(request).await
        }
    });
    let mut slow = send(server.address, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    has_begun.await.unwrap();
    let mut idle = send(server.address, b"GET /idle HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"/idle") {
        idle.read_buf(&mut seen).await.unwrap();
    }
    server.stop.send(true).unwrap();
    assert_eq!(receive_all(&mut idle).await, "");
    go.send(()).unwrap();
    assert!(receive_all(&mut slow).await.ends_with("/slow"));
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn stopping_does_not_wait_longer_than_it_may() {
    let server = start_with(ConnectionLimits { drain_time: Duration::ZERO, ..ConnectionLimits::default() }, |_, _| {
        std::future::pending()
    });
    let mut stuck = send(server.address, GOOD).await;
    server.wait_for_connections(1).await;
    server.stop().await;
    assert_eq!(receive_all(&mut stuck).await, "");
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_connection_alone() {
    let server = start_with(ConnectionLimits::default(), |request, _| async {
        assert!(request.uri().path() != "/panic", "as the test wants");
        answer(request).await
    });
    assert_eq!(ask(server.address, b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await, "");
    assert!(ask(server.address, GOOD).await.ends_with("/good"));
    server.wait_for_connections(0).await;
}

#[tokio::test]
async fn localhost_listens_on_both_loopback_addresses() {
    let sockets = bind(&[ListenAddress::Localhost(0)]).unwrap();
    let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    assert!(addresses[0].is_ipv4() && addresses.iter().all(|address| address.ip().is_loopback()));
    assert!(addresses.iter().all(|address| address.port() == addresses[0].port()));
}

#[test]
fn listen_addresses_survive_their_text() {
    for text in ["127.0.0.1:8080", "[::1]:8080", "localhost:0"] {
        assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
    }
    for text in ["localhost", "127.0.0.1", "example.com:80", "localhost:70000"] {
        assert!(text.parse::<ListenAddress>().is_err(), "{text}");
    }
}

impl Running {
    fn let_seconds_pass(&self, seconds: u32) {
        for _ in 0..seconds {
            self.connections.tick();
        }
    }
}

#[tokio::test]
async fn a_head_that_takes_too_long_is_cut_off_while_an_idle_connection_stays() {
    let server = start_server(ConnectionLimits::default());
    let mut idle = send(server.address, b"GET /idle HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"/idle") {
        idle.read_buf(&mut seen).await.unwrap();
    }
    let mut slow = send(server.address, b"GET /slow HTTP/1.1\r\n").await;
    server.wait_for_connections(2).await;
    server.let_seconds_pass(11);
    assert_eq!(receive_all(&mut slow).await, "");
    idle.write_all(GOOD).await.unwrap();
    assert!(receive_all(&mut idle).await.ends_with("/good"));
}

#[tokio::test]
async fn the_second_head_of_a_connection_is_timed_from_its_first_byte() {
    let server = start_server(ConnectionLimits::default());
    let mut stream = send(server.address, b"GET /one HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"/one") {
        stream.read_buf(&mut seen).await.unwrap();
    }
    server.let_seconds_pass(60);
    stream.write_all(b"GET /two HTTP/1.1\r\n").await.unwrap();
    while !server.connections.any_sends() {
        tokio::task::yield_now().await;
    }
    server.let_seconds_pass(9);
    stream.write_all(b"host: x\r\n\r\n").await.unwrap();
    seen.clear();
    while !seen.ends_with(b"/two") {
        stream.read_buf(&mut seen).await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let server = start_server(ConnectionLimits::default());
    let mut idle = send(server.address, b"GET /idle HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"/idle") {
        idle.read_buf(&mut seen).await.unwrap();
    }
    server.let_seconds_pass(76);
    assert_eq!(receive_all(&mut idle).await, "");
}

const STALLED: &[u8] = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab";

#[tokio::test]
async fn above_the_most_connections_slow_bodies_give_way() {
    let server = start_server(ConnectionLimits { most: 64, ..ConnectionLimits::default() });
    let mut slow = Vec::new();
    for _ in 0..64 {
        slow.push(send(server.address, STALLED).await);
    }
    while server.connections.stalled() < 64 {
        tokio::task::yield_now().await;
    }
    assert!(ask(server.address, GOOD).await.ends_with("/good"));
}

/// Connects from another address of loopback.
async fn send_from(from: [u8; 4], address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::from(from), 0).into()).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn whoever_has_most_connections_gives_way_to_others_whatever_they_wait_for() {
    let server = start_server(ConnectionLimits { most: 64, ..ConnectionLimits::default() });
    // Idle, in its head, and not begun: all older than what comes.
    let mut others = Vec::new();
    for bytes in [&b"GET /idle HTTP/1.1\r\nhost: x\r\n\r\n"[..], b"GET /good HTTP/1.1\r\nho", b""] {
        others.push(send(server.address, bytes).await);
    }
    let mut seen = Vec::new();
    while !seen.ends_with(b"/idle") {
        others[0].read_buf(&mut seen).await.unwrap();
    }
    server.let_seconds_pass(2);
    let mut slow = Vec::new();
    for n in 0..500 {
        let bytes = if n % 2 == 0 { STALLED } else { b"GET / HTTP/1.1\r\nho" };
        slow.push(send_from([127, 0, 0, 9], server.address, bytes).await);
    }
    for (other, rest) in
        others.iter_mut().zip(["GET /again HTTP/1.1\r\nhost: x", "st: x", "GET /late HTTP/1.1\r\nhost: x"])
    {
        other.write_all(format!("{rest}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        assert!(receive_all(other).await.starts_with("HTTP/1.1 200 OK\r\n"), "{rest}");
    }
}

#[tokio::test]
async fn whoever_asks_without_a_pause_on_most_connections_gives_way_too_once_each_has_answered() {
    let (asked, limits) = (Arc::new(Notify::new()), ConnectionLimits { most: 64, ..ConnectionLimits::default() });
    let gate = Arc::clone(&asked);
    let server = start_with(limits, move |request: Request, _| {
        let gate = Arc::clone(&gate);
        async move {
            if request.uri().path() == "/busy" {
                gate.notified().await;
            }
            answer(request).await
        }
    });
    let mut other = send(server.address, b"GET /idle HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"/idle") {
        other.read_buf(&mut seen).await.unwrap();
    }
    let mut busy = Vec::new();
    for _ in 0..63 {
        let requests = b"GET /busy HTTP/1.1\r\nhost: x\r\n\r\n".repeat(3);
        busy.push(send_from([127, 0, 0, 9], server.address, &requests).await);
    }
    while server.connections.working() < 63 {
        tokio::task::yield_now().await;
    }
    let mut late = send(server.address, GOOD).await;
    while server.connections.told() < 2 {
        tokio::task::yield_now().await;
    }
    // Whoever was told is not told again: others are.
    server.let_seconds_pass(1);
    while server.connections.told() < 4 {
        tokio::task::yield_now().await;
    }
    // Each of the busy answers what it works on, and those that were told to end do so with that.
    while server.connections.len() == 64 {
        asked.notify_waiters();
        tokio::task::yield_now().await;
    }
    assert!(receive_all(&mut late).await.ends_with("/good"));
    other.write_all(b"GET /again HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(receive_all(&mut other).await.ends_with("/again"), "whoever has few stays");
}

/// The variable by which the test below tells its child what to be.
const CHILD: &str = "OPALID_TEST_FEW_DESCRIPTORS";

/// A process of its own, for the limit of descriptors is the process's: serves until its input ends.
async fn serve_with_few_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
    let server = start_server(ConnectionLimits::default());
    println!("\naddress {}", server.address);
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await.unwrap().unwrap();
}

#[tokio::test]
async fn without_descriptors_the_server_goes_on_and_a_good_request_is_answered() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    if std::env::vars_os().any(|(name, _)| name == CHILD) {
        return serve_with_few_descriptors().await;
    }
    let name = "http::listen::tests::without_descriptors_the_server_goes_on_and_a_good_request_is_answered";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("address ")?.parse().ok()).unwrap();
    let mut slow = Vec::new();
    for _ in 0..300 {
        slow.push(send(address, b"GET / HTTP/1.1\r\nho").await);
    }
    assert!(ask(address, GOOD).await.ends_with("/good"));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
