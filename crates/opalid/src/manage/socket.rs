//! The command socket: how commands reach the server of a data folder.
//!
//! Takes: one [`Request`] as a line of JSON per connection. Gives: [`Line`]s of JSON, then the end. After each
//! [`Reply::Begins`] it takes one byte more, and makes the change only then.
//! Holds: a command says nothing to a server of somebody else's; mode 0600 before anyone can reach it; one server per folder, and a socket is replaced only when its
//! server is gone; lines, connections and patience are bounded; what goes on for long has places of its own, so that
//! short commands always find one.

mod streams;

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use zeroize::Zeroizing;

use super::{Command, ManageError, Reply, Request, handle};
use crate::app::App;

/// The socket's name in the data folder.
pub const SOCKET: &str = "command.sock";
const LOCK: &str = "command.lock";
const STAGING: &str = ".command.new";
/// The longest request: an `apply` of a large file.
pub const REQUEST_MAX: u64 = 16 * 1024 * 1024;
/// Connections, those that go on for long among them.
const CONNECTIONS_MAX: usize = 32;
/// How many of them follow events.
const FOLLOWERS_MAX: usize = 8;
/// How many of them copy or export.
const COPIES_MAX: usize = 4;
/// How long a request may take to come, all of it: it is ready before a command connects.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest path that every system takes for a socket.
const PATH_MAX: usize = 100;

/// What travels back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Done.
    Ok(Reply),
    /// Not done.
    Error(ManageError),
}

/// The socket of a data folder, taken. Gives the folder free when dropped.
#[derive(Debug)]
pub struct CommandSocket {
    listener: UnixListener,
    path: PathBuf,
    _lock: File,
}

impl CommandSocket {
    /// Takes the folder's socket; refused while another server has it.
    pub fn bind(data: &Path) -> anyhow::Result<Self> {
        let lock_path = data.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.with_context(|| format!("cannot open {}", lock_path.display()))?;
        if lock.try_lock().is_err() {
            bail!("another server has the data folder {}; stop it first, or use another --data DIR", data.display());
        }
        let path = data.join(SOCKET);
        refuse_what_answers(data, &path)?;
        let cannot = || format!("cannot make the command socket {}", path.display());
        let listener = listen(data, &path).with_context(cannot)?;
        Ok(Self { listener, path, _lock: lock })
    }
}

impl Drop for CommandSocket {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

/// What is there already must be a socket that nobody serves.
fn refuse_what_answers(data: &Path, path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
        Ok(found) if !found.file_type().is_socket() => {
            bail!("{} is not a socket; move it away: the server needs that name", path.display())
        }
        Ok(_) => {}
    }
    match reach(data) {
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot tell whether a server answers at {}", path.display())),
        Ok(_) => bail!("a server answers at {}; stop it first, or use another --data DIR", path.display()),
    }
}

/// Binds in a folder that only we can enter, sets the mode there, then moves the socket to its name.
fn listen(data: &Path, path: &Path) -> io::Result<UnixListener> {
    let staging = data.join(STAGING);
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    DirBuilder::new().mode(0o700).create(&staging)?;
    let listener = within(&staging, UnixListener::bind)?;
    fs::set_permissions(staging.join(SOCKET), Permissions::from_mode(0o600))?;
    fs::rename(staging.join(SOCKET), path)?;
    fs::remove_dir(&staging)?;
    Ok(listener)
}

/// Connects to the server of a data folder. Refused, before anything is sent, if somebody else runs that.
pub fn connect(data: &Path, named: Named) -> io::Result<std::os::unix::net::UnixStream> {
    let stream = reach(data)?;
    let peer = socket_peercred(&stream)?.uid;
    let is_owner = || fs::metadata(data).is_ok_and(|found| found.uid() == peer.as_raw());
    if peer == geteuid() || peer.is_root() || (named == Named::Explicitly && is_owner()) {
        return Ok(stream);
    }
    Err(io::Error::other(format!(
        "user {peer} runs it, who is neither this user nor root, so nothing was sent; if that server is meant, and the \
         folder is that user's, name the folder: --data DIR"
    )))
}

/// Whether anybody said which data folder is meant: then its owner is meant too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// By `--data`, the variable or the configuration file.
    Explicitly,
    /// It is what lies in the current folder.
    ByDefault,
}

fn reach(data: &Path) -> io::Result<std::os::unix::net::UnixStream> {
    within(data, std::os::unix::net::UnixStream::connect)
}

/// Calls with the path of the socket in `folder`, or with a shorter one for the same when it is too long.
fn within<T>(folder: &Path, call: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
    let path = folder.join(SOCKET);
    if path.as_os_str().len() <= PATH_MAX {
        return call(path);
    }
    let folder = File::open(folder)?;
    call(PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())))
}

/// How many connections there is room for.
struct Room {
    all: Arc<Semaphore>,
    followers: Semaphore,
    copies: Semaphore,
}

impl Room {
    fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            followers: Semaphore::new(FOLLOWERS_MAX),
            copies: Semaphore::new(COPIES_MAX),
        }
    }

    /// The place of a command that goes on for long; others need none beside their connection's.
    fn place_for(&self, command: &Command) -> Result<Option<SemaphorePermit<'_>>, ManageError> {
        let (places, full) = match command {
            Command::Events { follow: true, .. } => {
                (&self.followers, format!("{FOLLOWERS_MAX} commands follow events already; end one of them first"))
            }
            Command::Backup { .. } | Command::Export { .. } => {
                (&self.copies, format!("{COPIES_MAX} copies and exports are under way; try again when one has ended"))
            }
            _ => return Ok(None),
        };
        places.try_acquire().map(Some).map_err(|_| ManageError::Refused(full))
    }
}

/// Answers commands until `stop` is true.
pub async fn serve(app: Arc<App>, socket: CommandSocket, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Room::new());
    let mut under_way = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = under_way.join_next() => continue,
            accepted = accept(&socket.listener, &room.all) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (app, room, stop) = (Arc::clone(&app), Arc::clone(&room), stop.clone());
                under_way.spawn(async move {
                    let _permit = permit;
                    if let Err(error) = converse((&app, &room), stream, stop).await {
                        tracing::debug!(%error, "a command's connection broke");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the command socket cannot accept");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    drop(socket);
    while under_way.join_next().await.is_some() {}
}

async fn accept(
    listener: &UnixListener,
    room: &Arc<Semaphore>,
) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn converse((app, room): (&App, &Room), stream: UnixStream, stop: watch::Receiver<bool>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut stopping = stop.clone();
    let line = tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        line = read_request(&mut read) => line?,
    };
    let Some(line) = line else {
        let why = format!("expected one line of JSON, at most {REQUEST_MAX} bytes long, within {REQUEST_WITHIN:?}");
        return send(&mut write, &Line::Error(ManageError::NotUnderstood(why))).await;
    };
    let request = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => request,
        Err(error) => {
            let why =
                format!("the server does not know this command ({error}); is it older or newer than this opalid?");
            return send(&mut write, &Line::Error(ManageError::NotUnderstood(why))).await;
        }
    };
    drop(line);
    let _place = match room.place_for(&request.command) {
        Ok(place) => place,
        Err(full) => return send(&mut write, &Line::Error(full)).await,
    };
    let mut wire = Wire { read, write, stop };
    match &request.command {
        Command::Backup { .. } => streams::copy(app, request, wire).await,
        Command::Apply(_) | Command::Change(_) => streams::apply(app, request, wire).await,
        Command::Export { .. } => streams::export(app, request, wire).await,
        Command::Events { follow: true, .. } => streams::follow(app, request, wire).await,
        _ => wire.send(answer(app, request).await).await,
    }
}

/// One line; `None` if it is too long, is not ended, or takes too long.
async fn read_request(read: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::new());
    let mut limited = read.take(REQUEST_MAX);
    match tokio::time::timeout(REQUEST_WITHIN, limited.read_until(b'\n', &mut line)).await {
        Ok(read) => read?,
        Err(_) => return Ok(None),
    };
    Ok(line.ends_with(b"\n").then_some(line))
}

async fn answer(app: &App, request: Request) -> Line {
    match handle(app, request).await {
        Ok(reply) => Line::Ok(reply),
        Err(error) => Line::Error(error),
    }
}

async fn send(write: &mut OwnedWriteHalf, line: &Line) -> io::Result<()> {
    let mut text = Zeroizing::new(serde_json::to_vec(line)?);
    text.push(b'\n');
    tokio::time::timeout(PATIENCE, write.write_all(&text)).await.map_err(io::Error::other)?
}

/// A connection whose request was read: answers go out until either side has enough.
struct Wire {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    stop: watch::Receiver<bool>,
}

impl Wire {
    async fn send(&mut self, line: Line) -> io::Result<()> {
        send(&mut self.write, &line).await
    }

    /// Waits until the server stops or the command hangs up.
    async fn over(&mut self) {
        let mut hung_up = [0];
        tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => {}
            _ = self.read.read(&mut hung_up) => {}
        }
    }

    /// Whether the command has taken what was sent last: it says so with one byte, unless it is gone.
    async fn is_taken(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => false,
            read = tokio::time::timeout(PATIENCE, self.read.read_u8()) => matches!(read, Ok(Ok(_))),
        }
    }
}

#[cfg(test)]
mod tests;
