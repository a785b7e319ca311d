//! Commands with more than one answer: how far a copy or an export is, each change as it is made, events as they happen.
//!
//! Holds: what nobody listens to any more is given up, or not begun; so it is when the server stops.

use std::io;
use std::time::Duration;

use opalid_store::CopyProgress;
use tokio::sync::watch;

use super::super::apply::Applying;
use super::super::events::{self, Event, Follower};
use super::super::{Command, ManageError, Operation, Page, Reply, Request, apply as changes, backup};
use super::{Line, PATIENCE, Wire, answer};
use crate::app::App;

/// How often a follower's news are looked for.
const POLL: Duration = Duration::from_millis(500);

/// Sends how far a copy is, then that it is done. It is given up when either side has enough.
pub(super) async fn copy(app: &App, request: Request, mut wire: Wire) -> io::Result<()> {
    let Command::Backup { file } = request.command else { return wire.send(answer(app, request).await).await };
    let mut copying = match backup::begin(app, file) {
        Ok(copying) => copying,
        Err(error) => return wire.send(Line::Error(error)).await,
    };
    loop {
        let progress = tokio::select! {
            () = wire.over() => return Ok(()),
            progress = copying.progress.recv() => progress,
        };
        let Some(CopyProgress { done, total }) = progress else { break };
        wire.send(Line::Ok(Reply::Copied { done, total })).await?;
    }
    let end = copying.finish().await.map_or_else(Line::Error, Line::Ok);
    wire.send(end).await
}

/// Sends each change before it is made, with what is drawn for it, and makes it once the command has taken that.
/// So a secret is good only when somebody has it, and nothing is begun for a command that is gone.
pub(super) async fn apply(app: &App, request: Request, mut wire: Wire) -> io::Result<()> {
    let mut applying = match begin(app, request).await {
        Ok(applying) => applying,
        Err(error) => return wire.send(Line::Error(error)).await,
    };
    while let Some(next) = applying.next() {
        wire.send(Line::Ok(Reply::Begins(Box::new(next.clone())))).await?;
        if !wire.is_taken().await {
            // Whoever is only slow, or asks a server that stops, is told.
            let why = format!("the server stops, or nobody took the change within {PATIENCE:?}");
            applying.leave(next, why);
            break;
        }
        if applying.make(app, next).await {
            wire.send(Line::Ok(Reply::Made {})).await?;
        }
    }
    wire.send(Line::Ok(applying.end())).await
}

async fn begin(app: &App, request: Request) -> Result<Applying, ManageError> {
    let operation = Operation::begin(app, request.workspace.as_deref()).await?;
    match request.command {
        Command::Apply(declared) => changes::apply(app, declared).await,
        Command::Change(asked) => changes::one(&operation, &asked).await,
        other => Err(ManageError::NotUnderstood(format!("{other:?} changes no entries"))),
    }
}

/// Sends how many entries are read, then the document. It is given up when either side has enough.
pub(super) async fn export(app: &App, request: Request, mut wire: Wire) -> io::Result<()> {
    let Command::Export { users } = request.command else { return wire.send(answer(app, request).await).await };
    let (so_far, mut told) = watch::channel(0);
    let document = async {
        let operation = Operation::begin(app, request.workspace.as_deref()).await?;
        changes::export(&operation, (request.workspace.is_some(), users), &so_far).await
    };
    let mut document = std::pin::pin!(document);
    loop {
        let entries = tokio::select! {
            biased;
            () = wire.over() => return Ok(()),
            Ok(()) = told.changed() => *told.borrow_and_update(),
            document = &mut document => return wire.send(document.map_or_else(Line::Error, Line::Ok)).await,
        };
        wire.send(Line::Ok(Reply::Read { entries })).await?;
    }
}

/// Sends the last events, or all since the row that the request names, then what happens, until either side has enough.
pub(super) async fn follow(app: &App, request: Request, mut wire: Wire) -> io::Result<()> {
    let workspace = request.workspace.clone();
    let mut follower = match begin_to_follow(app, &request).await {
        Ok((follower, None)) => follower,
        Ok((mut follower, Some(first))) => {
            follower.has_seen(&first.rows);
            wire.send(Line::Ok(Reply::Events(first))).await?;
            follower
        }
        Err(error) => return wire.send(Line::Error(error)).await,
    };
    loop {
        match news(app, workspace.as_deref(), &mut follower).await {
            Ok(rows) if rows.is_empty() => {}
            Ok(rows) => wire.send(Line::Ok(Reply::Events(Page { rows, next: None }))).await?,
            Err(error) => return wire.send(Line::Error(error)).await,
        }
        let pause = if follower.has_more() { Duration::ZERO } else { POLL };
        tokio::select! {
            () = wire.over() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// A follower, and what is shown before its news.
async fn begin_to_follow(app: &App, request: &Request) -> Result<(Follower, Option<Page<Event>>), ManageError> {
    let operation = Operation::begin(app, request.workspace.as_deref()).await?;
    let Command::Events { paging, .. } = &request.command else {
        return Err(ManageError::NotUnderstood(format!("{:?} shows no events", request.command)));
    };
    if let Some(id) = &paging.after {
        return Ok((Follower::after(&operation, id).await?, None));
    }
    let mut follower = Follower::default();
    // From before the last ones are read: nothing falls between the two.
    follower.news(&operation).await?;
    while follower.has_more() {
        follower.news(&operation).await?;
    }
    Ok((follower, Some(events::page(&operation, paging).await?)))
}

async fn news(app: &App, workspace: Option<&str>, follower: &mut Follower) -> Result<Vec<Event>, ManageError> {
    follower.news(&Operation::begin(app, workspace).await?).await
}
