//! A verifier byte by byte: one WebSocket to `/feed`, and nothing that a test did not ask for.

use futures_util::{SinkExt, StreamExt};
use opalid::clock::boottime;
use opalid_core::lease::wire::{PROTOCOL, Said, ToHolder, ToNode};
use opalid_core::lease::{Moment, News, Position};
use opalid_core::mirror::Tag;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::{Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::http::basic;
use super::server::Server;

/// A name as a process draws it.
pub const DRAWN: &str = "000102030405060708090a0b0c0d0e0f";

/// The moment it is.
pub fn now() -> Moment {
    Moment::default().after(boottime())
}

/// A handshake with what a right one has.
pub fn handshake(server: &Server, client: (&str, &str)) -> Request<()> {
    Request::builder()
        .uri(format!("ws://{}/feed", server.address))
        .header("host", format!("localhost:{}", server.address.port()))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header("sec-websocket-protocol", PROTOCOL)
        .header("authorization", basic(client))
        .header("opalid-holder", DRAWN)
        .body(())
        .unwrap()
}

/// A connection, or why there is none.
pub async fn connect(server: &Server, request: Request<()>) -> Result<Line, Box<Response<Option<Vec<u8>>>>> {
    let socket = TcpStream::connect(server.address).await.unwrap();
    match client_async(request, socket).await {
        Ok((socket, _)) => Ok(Line { socket, at: None }),
        Err(Error::Http(response)) => Err(response),
        Err(error) => panic!("{error}"),
    }
}

/// One connection.
pub struct Line {
    socket: WebSocketStream<TcpStream>,
    /// Where it stands.
    pub at: Option<Position>,
}

impl Line {
    /// Of this client.
    pub async fn of(server: &Server, client: (&str, &str)) -> Self {
        connect(server, handshake(server, client)).await.unwrap()
    }

    /// The same under a name of its own.
    pub async fn named(server: &Server, client: (&str, &str), drawn: &str) -> Self {
        let mut request = handshake(server, client);
        request.headers_mut().insert("opalid-holder", drawn.parse().unwrap());
        connect(server, request).await.unwrap()
    }

    /// Sends a message as it is.
    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Says something.
    pub async fn say(&mut self, said: &ToNode) {
        self.send(Message::binary(said.encode())).await;
    }

    /// What it is told next; None: the connection has ended.
    pub async fn hear(&mut self) -> Option<ToHolder> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => return Some(ToHolder::decode(&frame).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => assert!(other.is_close(), "{other:?}"),
                None | Some(Err(_)) => return None,
            }
        }
    }

    /// The next news; it stands where they lead.
    pub async fn news(&mut self) -> News<Tag> {
        match self.hear().await {
            Some(ToHolder::News(news)) => {
                self.at = Some(news.to);
                news
            }
            other => panic!("{other:?}"),
        }
    }

    /// Asks, having applied all it was told; gives the answer and when it asked.
    pub async fn ask(&mut self) -> (News<Tag>, Moment) {
        let asked_at = now();
        self.say(&ToNode::Ask { at: self.at, acked: self.at, asked_at }).await;
        let mut before = Vec::new();
        loop {
            let mut news = self.news().await;
            // What is pushed meanwhile carries no lease.
            let Some(grant) = news.grant else {
                before.append(&mut news.changes);
                continue;
            };
            assert_eq!(grant.asked_at, asked_at);
            before.append(&mut news.changes);
            return (News { changes: before, ..news }, asked_at);
        }
    }

    /// What is said of a token.
    pub async fn about(&mut self, token: &str) -> Said {
        self.say(&ToNode::Questions(vec![(7, token.to_owned())])).await;
        match self.hear().await {
            Some(ToHolder::Answer { question: 7, said }) => said,
            other => panic!("{other:?}"),
        }
    }
}
