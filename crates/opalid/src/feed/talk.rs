//! One verifier's connection, from its first frame to its last.
//!
//! Takes: frames. Gives: news with leases to who asks, news to who has acknowledged what it was told, answers about tokens.
//! Holds: the client is authenticated anew for each frame, as it is today; one push that is not acknowledged at a time; whoever
//! does not ask, does not read or does not keep to the protocol is cut off.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::request::Parts;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use opalid_core::error::ErrorCode;
use opalid_core::lease::wire::{LONGEST_TOKEN, MOST_CHANGES, MOST_QUESTIONS, Said, ToHolder, ToNode};
use opalid_core::lease::{Ask, HolderId, News};
use opalid_core::mirror::{Tag, TagKey};
use opalid_store::feed::{Position, Touched};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{answers, may_follow};
use crate::app::App;
use crate::followers::{Follower, Place};
use crate::http::call::Call;
use crate::http::client_auth::{AuthenticatedClient, Claim};
use crate::issuer::Issuer;
use crate::telemetry::RequestId;

/// For how long who is connected may say nothing. Whoever lives asks every few seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a frame may take to leave.
const SENT_WITHIN: Duration = Duration::from_secs(10);
/// The longest message: as many questions as one frame may have, and what stands around each.
const LONGEST_MESSAGE: usize = MOST_QUESTIONS * (LONGEST_TOKEN + 16);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Why a connection ends: said to nobody but the log.
enum End {
    /// The other end is gone.
    Gone,
    /// It does not keep to the protocol, or takes too long.
    Unfit(&'static str),
    /// Its client would not be admitted today as it was: it has to connect again.
    ConnectAgain,
}

impl End {
    const fn why(&self) -> &'static str {
        match self {
            Self::Gone => "the other end is gone",
            Self::Unfit(why) => why,
            Self::ConnectAgain => "its client is another than it was: it connects again",
        }
    }
}

/// One connection.
pub(super) struct Talk {
    app: Arc<App>,
    issuer: Arc<Issuer>,
    claim: Claim<'static>,
    holder: HolderId,
    tags: TagKey,
    address: IpAddr,
    request_id: RequestId,
    /// No request has them: what an answer is does not depend on any.
    parts: Parts,
    place: Place,
    /// Something was told that is not acknowledged yet.
    owed: bool,
}

impl Talk {
    /// Of a client that was authenticated by `claim`, and whose process drew this name.
    pub fn new(call: &Call<'_>, (claim, client): (Claim<'static>, &AuthenticatedClient), drawn: u128) -> Self {
        let app = Arc::clone(call.app);
        let holder = app.followers.holder(client, drawn);
        let (workspace, client_id) = (call.issuer.id(), client.client_id.clone());
        let follower = Follower { connections: 0, workspace, client_id, address: call.address, since: call.now };
        Self {
            issuer: Arc::clone(call.issuer),
            claim,
            holder,
            tags: app.followers.tags_of(client),
            address: call.address,
            request_id: call.request_id,
            parts: http::Request::new(()).into_parts().0,
            place: Place::of(&app, holder, follower),
            owed: false,
            app,
        }
    }

    /// Talks over a socket once it has become one.
    pub async fn over(mut self, socket: OnUpgrade) {
        let Ok(upgraded) = socket.await else { return };
        let config =
            WebSocketConfig::default().max_message_size(Some(LONGEST_MESSAGE)).max_frame_size(Some(LONGEST_MESSAGE));
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let end = self.talk(&mut socket).await;
        tracing::debug!(holder = %format_args!("{:032x}", self.holder.0), end = end.why(), "a verifier's connection ended");
        drop(timeout(SENT_WITHIN, socket.close(None)).await);
        drop(self.place);
    }

    async fn talk(&mut self, socket: &mut Socket) -> End {
        let mut positions = self.app.store.memory().positions();
        // Moved by what it says alone.
        let mut silent_at = Instant::now() + SILENCE;
        loop {
            let done = tokio::select! {
                frame = timeout_at(silent_at, socket.next()) => match frame {
                    Err(_) => Err(End::Unfit("it said nothing")),
                    Ok(None | Some(Err(_))) => Err(End::Gone),
                    Ok(Some(Ok(message))) => {
                        silent_at = Instant::now() + SILENCE;
                        self.hear(socket, message).await
                    }
                },
                position = next(&mut positions), if !self.owed => match position {
                    Some(_) => self.push(socket).await,
                    None => Err(End::Gone),
                },
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn hear(&mut self, socket: &mut Socket, message: Message) -> Result<(), End> {
        let frame = match message {
            Message::Binary(frame) => frame,
            // Answered by the library.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Gone),
            Message::Text(_) | Message::Frame(_) => return Err(End::Unfit("a frame that is not binary")),
        };
        let heard = ToNode::decode(&frame).map_err(|_| End::Unfit("a frame that is not understood"))?;
        match heard {
            ToNode::Ask { at, acked, asked_at } => {
                if self.admitted().await?.is_none() {
                    return Ok(());
                }
                let ask = Ask { holder: self.holder, at, acked, asked_at };
                match self.app.store.grant(&ask).await {
                    Ok(Some(news)) => self.tell(socket, news).await,
                    // It asks again; no lease is no harm.
                    Ok(None) | Err(_) => Ok(()),
                }
            }
            ToNode::Leave => {
                self.app.store.leave(self.holder);
                // What it does next it does under another name, as another connection.
                Err(End::Gone)
            }
            ToNode::Questions(questions) => {
                for (question, token) in questions {
                    let said = match self.admitted().await? {
                        Some(client) => answers::about(&self.call(), &client, &self.tags, &token).await,
                        None => Said::Outage,
                    };
                    send(socket, &ToHolder::Answer { question, said }).await?;
                }
                Ok(())
            }
        }
    }

    /// The client as it is today, if it is admitted as it was. None: the store does not answer.
    async fn admitted(&mut self) -> Result<Option<AuthenticatedClient>, End> {
        let Ok(record) = self.app.store.find_workspace_by_id(self.issuer.id()).await else { return Ok(None) };
        let record = record.filter(|record| record.workspace.enabled).ok_or(End::ConnectAgain)?;
        let Ok(issuer) = self.app.issuer_of(&record) else { return Ok(None) };
        self.issuer = issuer;
        match self.claim.prove(&self.call()).await {
            Ok(client) if may_follow(&client) => Ok(Some(client)),
            Err(error) if error.code != ErrorCode::InvalidClient => Ok(None),
            _ => Err(End::ConnectAgain),
        }
    }

    fn call(&self) -> Call<'_> {
        Call {
            app: &self.app,
            issuer: &self.issuer,
            now: self.app.now(),
            parts: &self.parts,
            body: bytes::Bytes::new(),
            address: self.address,
            request_id: self.request_id,
            new_browser: std::sync::OnceLock::new(),
        }
    }

    async fn push(&mut self, socket: &mut Socket) -> Result<(), End> {
        if self.admitted().await?.is_none() {
            return Ok(());
        }
        match self.app.store.push(self.holder) {
            Some(news) => self.tell(socket, news).await,
            None => Ok(()),
        }
    }

    async fn tell(&mut self, socket: &mut Socket, news: News<Touched>) -> Result<(), End> {
        let news = in_tags(news, &self.tags);
        self.owed = !news.changes.is_empty();
        send(socket, &ToHolder::News(news)).await
    }
}

/// News in the words of a holder. Whoever lacks more than a frame holds starts anew.
fn in_tags(news: News<Touched>, tags: &TagKey) -> News<Tag> {
    if news.changes.len() > MOST_CHANGES {
        return News { from: None, to: news.to, changes: Vec::new(), grant: news.grant };
    }
    news.in_words(|touched| [tags.of(&touched.name())])
}

/// The next position that memory reaches.
async fn next(positions: &mut watch::Receiver<Position>) -> Option<Position> {
    positions.changed().await.ok()?;
    Some(*positions.borrow_and_update())
}

async fn send(socket: &mut Socket, message: &ToHolder) -> Result<(), End> {
    match timeout(SENT_WITHIN, socket.send(Message::binary(message.encode()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Unfit("it does not read")),
    }
}
