//! Tests of the command socket.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;

use super::super::tests::{TestServer, folder, server};
use super::*;
use crate::manage::Command;

/// Asks over the socket as the command line does, on a thread of its own.
async fn ask(data: &Path, line: &'static str) -> String {
    let data = data.to_owned();
    let talk = move || {
        let mut stream = connect(&data).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

async fn serving() -> (TestServer, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let server = server(false).await;
    let socket = CommandSocket::bind(&server.data).unwrap();
    let (stopping, stop) = watch::channel(false);
    let task = tokio::spawn(serve(Arc::clone(&server.app), socket, stop));
    (server, stopping, task)
}

#[tokio::test]
async fn a_command_is_answered_with_a_line_and_nonsense_with_an_error() {
    let (server, stopping, task) = serving().await;
    let answer = ask(&server.data, "{\"command\":{\"do\":\"list_workspaces\"}}\n").await;
    assert!(answer.starts_with(r#"{"ok":{"reply":"workspaces","is":{"rows":[{"id":""#) && answer.ends_with("}\n"));
    let answer = ask(&server.data, "nonsense\n").await;
    assert!(answer.starts_with(r#"{"error":{"kind":"not_understood","message":"the server does not know"#), "{answer}");
    stopping.send_replace(true);
    task.await.unwrap();
    assert!(!server.data.join(SOCKET).exists());
}

#[tokio::test]
async fn only_the_owner_may_open_the_socket_and_nothing_is_left_beside_it() {
    let (server, _stopping, _task) = serving().await;
    let found = fs::symlink_metadata(server.data.join(SOCKET)).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&server.data).unwrap().mode() & 0o7777, 0o700);
    assert!(!server.data.join(STAGING).exists());
}

#[tokio::test]
async fn a_second_server_cannot_take_the_socket() {
    let (server, stopping, task) = serving().await;
    let refused = CommandSocket::bind(&server.data).unwrap_err().to_string();
    assert!(refused.starts_with("another server has the data folder"), "{refused}");
    // Nor one that knows nothing of the lock, or found it removed.
    fs::remove_file(server.data.join(LOCK)).unwrap();
    let refused = CommandSocket::bind(&server.data).unwrap_err().to_string();
    assert!(refused.starts_with("a server answers at"), "{refused}");
    stopping.send_replace(true);
    task.await.unwrap();
    drop(CommandSocket::bind(&server.data).unwrap());
}

#[tokio::test]
async fn what_a_killed_server_left_is_replaced_but_never_a_file() {
    let data = folder();
    fs::create_dir(&data).unwrap();
    drop(within(&data, UnixListener::bind).unwrap());
    fs::create_dir(data.join(STAGING)).unwrap();
    drop(CommandSocket::bind(&data).unwrap());
    fs::write(data.join(SOCKET), "a file").unwrap();
    assert!(CommandSocket::bind(&data).unwrap_err().to_string().contains("is not a socket"));
    fs::remove_dir_all(&data).unwrap();
}

#[tokio::test]
async fn a_folder_with_a_long_name_is_no_obstacle() {
    let data = folder().join("x".repeat(120));
    fs::create_dir_all(&data).unwrap();
    let socket = CommandSocket::bind(&data).unwrap();
    connect(&data).unwrap();
    drop(socket);
    fs::remove_dir_all(data.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_follower_gets_what_happens_and_then_the_end() {
    let (server, stopping, task) = serving().await;
    let stream = UnixStream::connect(server.data.join(SOCKET)).await.unwrap();
    let mut stream = BufReader::new(stream);
    let request = br#"{"command":{"do":"events","follow":true,"paging":{}}}"#;
    stream.write_all(&[request.as_slice(), b"\n"].concat()).await.unwrap();
    let mut first = String::new();
    stream.read_line(&mut first).await.unwrap();
    assert!(first.contains("workspace.created"), "{first}");
    let command = Command::RevokeWorkspace {};
    handle(&server.app, Request { workspace: None, command }).await.unwrap();
    let mut second = String::new();
    stream.read_line(&mut second).await.unwrap();
    assert!(second.contains("workspace.revoked") && !second.contains("workspace.created"), "{second}");
    stopping.send_replace(true);
    assert_eq!(stream.read_line(&mut String::new()).await.unwrap(), 0);
    task.await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_too_long_is_refused() {
    let mut endless = BufReader::new(tokio::io::repeat(b' '));
    assert!(read_request(&mut endless).await.unwrap().is_none());
    let mut cut = BufReader::new(&b"{\"command\""[..]);
    assert!(read_request(&mut cut).await.unwrap().is_none());
    let mut whole = BufReader::new(&b"{}\nmore"[..]);
    assert_eq!(read_request(&mut whole).await.unwrap().unwrap().as_slice(), b"{}\n");
}

#[test]
fn requests_are_written_as_they_are_read() {
    let request = Request { workspace: None, command: Command::ListWorkspaces {} };
    assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"command":{"do":"list_workspaces"}}"#);
}
