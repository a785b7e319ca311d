//! A node for tests: the real machines that grant leases behind a real socket. What it says, and when, the test says.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{Sink, Stream};
use http::{HeaderMap, StatusCode};
use opalid_core::lease::wire::{PROTOCOL, Said, ToHolder, ToNode};
use opalid_core::lease::{
    Ask, Belief, Entries, Grant, Granter, Heard, Holder, HolderId, Incarnation, Margin, Moment, News, Position,
};
use opalid_core::mirror::Tag;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::{Roots, Settings, Verdict, Verifier};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MILLISECOND: Duration = Duration::from_millis(1);

/// Until `what` is there. Whatever the runtime's timers say, a test does not wait for ever.
pub async fn in_time<F: Future>(what: F) -> F::Output {
    let (here, wait) = std::sync::mpsc::channel::<()>();
    let late = tokio::task::spawn_blocking(move || wait.recv_timeout(8 * SECOND));
    tokio::select! {
        biased;
        what = what => {
            drop(here);
            what
        }
        _late = late => panic!("it did not come"),
    }
}

/// While one of these is there, the runtime's timers stand still but for [`pass`]. (Time that is merely paused is moved to the next
/// timer whenever the runtime looks for what came through a socket.)
pub struct StandingStill {
    _runs_until: std::sync::mpsc::Sender<()>,
}

impl StandingStill {
    pub fn begin() -> Self {
        tokio::time::pause();
        let (_runs_until, end) = std::sync::mpsc::channel();
        // While a blocking task runs, time is not moved to the next timer.
        tokio::task::spawn_blocking(move || end.recv());
        Self { _runs_until }
    }
}

/// Lets the runtime's timers pass over so much, and over the millisecond to which they are rounded.
pub async fn pass(length: Duration) {
    tokio::time::advance(length + 2 * MILLISECOND).await;
}

thread_local! {
    /// Each test has a thread of its own, on which all of it runs.
    static NOW: Cell<Moment> = const { Cell::new(Moment(1_000_000_000_000)) };
}

/// The clock of the verifier and of the node; only a test moves it.
pub fn now() -> Moment {
    NOW.get()
}

pub fn advance(length: Duration) {
    NOW.set(now().after(length));
}

pub fn at(n: u64) -> Position {
    Position { incarnation: Incarnation(1), n }
}

/// Active, as it was evaluated at the position, hanging from the tag.
pub fn active(subject: &str, n: u64, tag: u64) -> Said {
    let facts = facts(subject);
    Said::Active { at: Some(at(n)), expires_in: 3600 * SECOND, tags: vec![Tag(tag)], facts }
}

pub fn facts(subject: &str) -> String {
    format!(
        r#"{{"active":true,"iss":"https://id.example","sub":"{subject}","aud":"https://a.example","token_type":"Bearer","client_id":"c","scope":"read","exp":2000,"iat":1000,"jti":"j"}}"#
    )
}

struct Nothing;

impl Entries<Tag> for Nothing {
    fn forget(&mut self, _: &Tag) {}
    fn forget_all(&mut self) {}
}

pub struct Node {
    listener: TcpListener,
    own: Holder<Tag>,
    own_ends_at: Moment,
    granter: Granter,
    n: u64,
}

impl Node {
    /// One whose leases are as long.
    pub async fn new(length: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut own, belief) = (Holder::new(HolderId(1), 4), Belief::default());
        let grant = Some(Grant { asked_at: now(), valid_for: 100 * 3600 * SECOND });
        let news = News { from: None, to: at(0), changes: vec![], grant };
        let Heard::Emptied(Some(lease)) = own.hear(now(), news, &mut Nothing) else { panic!("the first news empty") };
        belief.believe(&lease);
        let granter = Granter::new(Margin::CLOCKS, length);
        Self { listener, own, own_ends_at: belief.ends_at(), granter, n: 0 }
    }

    /// It has no lease itself any more, so it grants none.
    pub fn loses_its_lease(&mut self) {
        self.own_ends_at = now();
    }

    pub fn settings(&self) -> Settings {
        Self::settings_for(format!("http://{}/main", self.listener.local_addr().unwrap()))
    }

    /// As for an issuer that is reached by https, and for which these certificates vouch.
    pub fn encrypted_settings(&self, roots: &str) -> Settings {
        let issuer = format!("https://localhost:{}/main", self.listener.local_addr().unwrap().port());
        let mut settings = Self::settings_for(issuer);
        settings.roots = Roots::Pem(roots.to_owned());
        settings
    }

    fn settings_for(issuer: String) -> Settings {
        let mut settings = Settings::new(issuer, "api", "secret".to_owned());
        settings.clock = now;
        settings.answer_within = 600 * SECOND;
        settings
    }

    pub fn verifier(&self) -> Verifier {
        Verifier::start(self.settings()).unwrap()
    }

    /// One that waits for answers no longer than by default, as the runtime's timers go.
    pub async fn with_impatient_verifier(&mut self) -> (Verifier, Wire) {
        let mut settings = self.settings();
        settings.answer_within = 2 * SECOND;
        let verifier = Verifier::start(settings).unwrap();
        let wire = self.first_lease(&verifier).await;
        (verifier, wire)
    }

    /// A verifier and its connection, on which the first lease has been granted, and where it begins acknowledged.
    pub async fn with_verifier(&mut self) -> (Verifier, Wire) {
        let verifier = self.verifier();
        let wire = self.first_lease(&verifier).await;
        (verifier, wire)
    }

    async fn first_lease(&mut self, verifier: &Verifier) -> Wire {
        let mut wire = self.accept().await;
        assert_eq!(wire.grant(self).await.acked, None);
        assert_eq!(wire.grant(self).await.acked, Some(at(self.n)));
        wire.fence(verifier).await;
        wire
    }

    pub async fn accept(&self) -> Wire {
        let stream = self.connection().await;
        let seen = Arc::new(Mutex::new((String::new(), HeaderMap::new())));
        let sees = Arc::clone(&seen);
        #[expect(clippy::result_large_err, reason = "the type is the library's")]
        let look = move |request: &Request, mut response: Response| {
            *sees.lock().unwrap() = (request.uri().path().to_owned(), request.headers().clone());
            response.headers_mut().insert("sec-websocket-protocol", PROTOCOL.parse().unwrap());
            Ok(response)
        };
        let socket = accept_hdr_async(stream, look).await.unwrap();
        let (path, headers) = seen.lock().unwrap().clone();
        let holder = headers["opalid-holder"].to_str().unwrap();
        assert_eq!(holder.len(), 32);
        let holder = HolderId(u128::from_str_radix(holder, 16).unwrap());
        Wire { socket, path, headers, holder }
    }

    /// Answers the next handshake with a status.
    pub async fn refuse(&self, status: StatusCode) {
        let mut stream = self.connection().await;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    pub async fn connection(&self) -> TcpStream {
        in_time(self.listener.accept()).await.unwrap().0
    }

    /// Something changed.
    pub fn change(&mut self, tag: u64) {
        self.n += 1;
        let news = News { from: Some(at(self.n - 1)), to: at(self.n), changes: vec![(self.n, Tag(tag))], grant: None };
        assert_eq!(self.own.hear(now(), news, &mut Nothing), Heard::Applied(None));
    }

    /// Up to where everybody who holds a lease has applied everything.
    pub fn acked(&self) -> Option<Position> {
        self.granter.acked(now(), self.own.at())
    }

    pub fn leave(&mut self, holder: HolderId) {
        self.granter.leave(holder);
    }
}

/// The node's end of one connection.
pub struct Wire {
    socket: WebSocketStream<TcpStream>,
    pub path: String,
    pub headers: HeaderMap,
    pub holder: HolderId,
}

impl Wire {
    /// The next message.
    pub async fn hear(&mut self) -> ToNode {
        let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut self.socket).poll_next(cx));
        match in_time(next).await {
            Some(Ok(Message::Binary(frame))) => ToNode::decode(&frame).unwrap(),
            other => panic!("{other:?} is no message"),
        }
    }

    /// Whether the verifier closed the connection.
    pub async fn is_closed(&mut self) -> bool {
        let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut self.socket).poll_next(cx));
        matches!(in_time(next).await, None | Some(Err(_) | Ok(Message::Close(_))))
    }

    /// The next message, which is an ask.
    pub async fn ask(&mut self) -> Ask {
        match self.hear().await {
            ToNode::Ask { at, acked, asked_at } => Ask { holder: self.holder, at, acked, asked_at },
            other => panic!("{other:?} is no ask"),
        }
    }

    /// The next message, which is an ask, is answered.
    pub async fn grant(&mut self, node: &mut Node) -> Ask {
        let ask = self.ask().await;
        self.answer_ask(node, &ask).await;
        ask
    }

    pub async fn answer_ask(&mut self, node: &mut Node, ask: &Ask) {
        let news = node.granter.grant(now(), &node.own, node.own_ends_at, ask).unwrap();
        self.say(&ToHolder::News(news)).await;
    }

    /// What changed is told. The verifier has applied it once the ask that acknowledges it came, which is granted.
    pub async fn push(&mut self, node: &mut Node) {
        let news = node.granter.push(&node.own, self.holder).unwrap();
        let to = news.to;
        self.say(&ToHolder::News(news)).await;
        assert_eq!(self.grant(node).await.acked, Some(to));
    }

    /// The next message, which asks about tokens.
    pub async fn questions(&mut self) -> Vec<(u32, String)> {
        match self.hear().await {
            ToNode::Questions(questions) => questions,
            other => panic!("{other:?} does not ask about tokens"),
        }
    }

    /// Returns once the verifier has heard all that was said to it, and asserts that until then it said nothing.
    pub async fn fence(&mut self, verifier: &Verifier) {
        // The answer of the first comes after all that was said before; what that made the verifier say comes before the second.
        for _ in 0..2 {
            let check = super::check(verifier, "fence").await;
            let question = self.question("fence").await;
            self.answer(question, Said::Inactive).await;
            assert_eq!(check.await.unwrap(), Ok(Verdict::Inactive));
        }
    }

    /// The number of the next question, which is about one token.
    pub async fn question(&mut self, token: &str) -> u32 {
        let questions = self.questions().await;
        assert_eq!(questions.len(), 1);
        assert_eq!(questions[0].1, token);
        questions[0].0
    }

    pub async fn answer(&mut self, question: u32, said: Said) {
        self.say(&ToHolder::Answer { question, said }).await;
    }

    pub async fn say(&mut self, message: &ToHolder) {
        self.send(Message::binary(message.encode())).await;
    }

    /// The beginning of a frame that is so long, and nothing of the rest.
    pub async fn begin_frame(&mut self, length: u64) {
        let mut head = vec![0x82, 127];
        head.extend(length.to_be_bytes());
        self.socket.get_mut().write_all(&head).await.unwrap();
    }

    pub async fn send(&mut self, message: Message) {
        use std::pin::Pin;
        std::future::poll_fn(|cx| Pin::new(&mut self.socket).poll_ready(cx)).await.unwrap();
        Pin::new(&mut self.socket).start_send(message).unwrap();
        std::future::poll_fn(|cx| Pin::new(&mut self.socket).poll_flush(cx)).await.unwrap();
    }
}
