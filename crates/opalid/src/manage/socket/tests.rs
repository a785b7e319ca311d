//! Tests of the command socket.

use std::io::{Read, Write};
use std::os::unix::fs::chown;

use super::super::tests::{TestServer, folder, server};
use super::*;
use crate::manage::Command;

/// Asks over the socket as the command line does, on a thread of its own.
async fn ask(data: &Path, line: &'static str) -> String {
    let data = data.to_owned();
    let talk = move || {
        let mut stream = connect(&data, Named::ByDefault).unwrap();
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
    connect(&data, Named::ByDefault).unwrap();
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
    let command = Command::RevokeWorkspace { yes: true };
    handle(&server.app, Request { workspace: None, command }).await.unwrap();
    let mut second = String::new();
    stream.read_line(&mut second).await.unwrap();
    assert!(second.contains("workspace.revoked") && !second.contains("workspace.created"), "{second}");
    stopping.send_replace(true);
    assert_eq!(stream.read_line(&mut String::new()).await.unwrap(), 0);
    task.await.unwrap();
}

#[tokio::test]
async fn a_follower_that_names_a_row_gets_what_came_after_it_and_then_what_happens() {
    let (server, _stopping, _task) = serving().await;
    let revoke = async || {
        let request = Request { workspace: None, command: Command::RevokeWorkspace { yes: true } };
        handle(&server.app, request).await.unwrap();
    };
    let row = first_event(&server).await;
    server.app.clock.advance(60);
    revoke().await;
    let stream = UnixStream::connect(server.data.join(SOCKET)).await.unwrap();
    let mut stream = BufReader::new(stream);
    let request = format!("{{\"command\":{{\"do\":\"events\",\"follow\":true,\"paging\":{{\"after\":\"{row}\"}}}}}}\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    for _ in 0..2 {
        let mut news = String::new();
        stream.read_line(&mut news).await.unwrap();
        assert!(news.matches("workspace.revoked").count() == 1 && !news.contains(&row), "{news}");
        revoke().await;
    }
    let request = "{\"command\":{\"do\":\"events\",\"follow\":true,\"paging\":{\"after\":\"x\"}}}\n";
    assert!(ask(&server.data, request).await.contains("--after takes the id of an event"));
}

async fn first_event(server: &TestServer) -> String {
    let command = Command::Events { follow: false, paging: Default::default() };
    let reply = handle(&server.app, Request { workspace: None, command }).await.unwrap();
    let crate::manage::Reply::Events(page) = reply else { panic!("{reply:?}") };
    page.rows[0].id.to_string()
}

#[tokio::test]
async fn followers_and_copies_take_no_place_of_a_short_command() {
    let (server, _stopping, _task) = serving().await;
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS_MAX {
        let mut stream = BufReader::new(UnixStream::connect(server.data.join(SOCKET)).await.unwrap());
        stream.write_all(b"{\"command\":{\"do\":\"events\",\"follow\":true,\"paging\":{}}}\n").await.unwrap();
        assert_eq!(next(&mut stream).await["reply"], "events");
        followers.push(stream);
    }
    for _ in 0..CONNECTIONS_MAX {
        let refused = ask(&server.data, "{\"command\":{\"do\":\"events\",\"follow\":true,\"paging\":{}}}\n").await;
        assert!(refused.contains(r#""message":"8 commands follow events already; end one"#), "{refused}");
    }
    let answer = ask(&server.data, "{\"command\":{\"do\":\"list_workspaces\"}}\n").await;
    assert!(answer.starts_with(r#"{"ok":"#), "{answer}");
    // A place is given back.
    drop(followers.pop());
    while ask(&server.data, "{\"command\":{\"do\":\"list_workspaces\"}}\n").await.starts_with("{\"ok") {
        let mut stream = BufReader::new(UnixStream::connect(server.data.join(SOCKET)).await.unwrap());
        stream.write_all(b"{\"command\":{\"do\":\"events\",\"follow\":true,\"paging\":{}}}\n").await.unwrap();
        if next(&mut stream).await["reply"] == "events" {
            break;
        }
    }

    let room = Room::new();
    let backup = Command::Backup { file: "/copy".into() };
    let copies: Vec<_> = (0..COPIES_MAX).map(|_| room.place_for(&backup).unwrap()).collect();
    let full = room.place_for(&Command::Export { users: true }).unwrap_err().to_string();
    assert_eq!(full, "4 copies and exports are under way; try again when one has ended");
    assert!(room.place_for(&Command::ListWorkspaces {}).unwrap().is_none());
    drop(copies);
    assert!(room.place_for(&backup).unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_nothing_is_cut_soon() {
    let begun = tokio::time::Instant::now();
    let (mut silent, theirs) = tokio::io::duplex(64);
    silent.write_all(b"{").await.unwrap();
    assert!(read_request(&mut BufReader::new(theirs)).await.unwrap().is_none());
    assert_eq!(begun.elapsed(), REQUEST_WITHIN);
}

/// Only root can try this: a thread that becomes somebody else, and listens.
#[test]
fn nothing_is_sent_to_a_server_of_another_user() {
    let (data, nobody) = (folder(), 65_534);
    fs::create_dir(&data).unwrap();
    if chown(&data, Some(nobody), None).is_err() {
        return fs::remove_dir_all(&data).unwrap();
    }
    let path = data.join(SOCKET);
    let listen = move || {
        let nobody = rustix::process::Uid::from_raw(nobody);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        std::os::unix::net::UnixListener::bind(path).unwrap()
    };
    let listener = std::thread::spawn(listen).join().unwrap();
    let refused = connect(&data, Named::ByDefault).unwrap_err().to_string();
    assert!(refused.starts_with("user 65534 runs it") && refused.contains("nothing was sent"), "{refused}");
    drop(connect(&data, Named::Explicitly).unwrap());
    // A socket in a folder of ours that somebody else put there.
    chown(&data, Some(0), None).unwrap();
    assert!(connect(&data, Named::Explicitly).unwrap_err().to_string().contains("nothing was sent"));
    drop(listener);
    fs::remove_dir_all(&data).unwrap();
}

/// A command that applies three clients and a user, at the socket.
async fn applying(server: &TestServer) -> BufReader<UnixStream> {
    let mut stream = BufReader::new(UnixStream::connect(server.data.join(SOCKET)).await.unwrap());
    let document = serde_json::json!({"workspace": [{
        "name": "default",
        "client": [{"client_id": "one"}, {"client_id": "two"}, {"client_id": "three"}],
        "user": [{"username": "ada"}]}]});
    let request = serde_json::json!({"command": {"do": "apply", "document": document}});
    stream.write_all(format!("{request}\n").as_bytes()).await.unwrap();
    stream
}

async fn next(stream: &mut BufReader<UnixStream>) -> serde_json::Value {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    serde_json::from_str::<serde_json::Value>(&line).unwrap()["ok"].take()
}

async fn clients(server: &TestServer) -> Vec<String> {
    let command = Command::ListClients { paging: Default::default() };
    let Reply::Clients(page) = handle(&server.app, Request { workspace: None, command }).await.unwrap() else {
        panic!()
    };
    let mut clients: Vec<_> = page.rows.into_iter().map(|row| row.client_id).collect();
    clients.sort();
    clients
}

#[tokio::test]
async fn each_change_is_told_with_its_secret_before_it_is_made_and_made_once_that_is_taken() {
    let (server, _stopping, _task) = serving().await;
    let mut stream = applying(&server).await;
    for made in [vec![], vec!["one"], vec!["one", "two"]] {
        let told = next(&mut stream).await;
        assert_eq!(told["reply"], "begins", "{told}");
        assert!(told["is"]["secret"].as_str().unwrap().starts_with("ocs_"), "{told}");
        assert_eq!(clients(&server).await, made);
        stream.write_all(b"\n").await.unwrap();
        assert_eq!(next(&mut stream).await["reply"], "made");
    }
    assert_eq!(clients(&server).await, ["one", "three", "two"]);
    assert_eq!(next(&mut stream).await["is"]["change"]["name"], "ada");
    stream.write_all(b"\n").await.unwrap();
    assert_eq!(next(&mut stream).await["reply"], "made");
    let end = next(&mut stream).await;
    assert_eq!(end, serde_json::json!({"reply": "applied", "is": {"done": []}}));
}

#[tokio::test]
async fn a_command_that_hangs_up_stops_the_rest_and_the_next_goes_on_from_there() {
    let (server, stopping, task) = serving().await;
    let mut stream = applying(&server).await;
    next(&mut stream).await;
    stream.write_all(b"\n").await.unwrap();
    next(&mut stream).await;
    // It has been told of the second, and is killed before it could show it.
    assert_eq!(next(&mut stream).await["is"]["change"]["name"], "two");
    drop(stream);
    stopping.send_replace(true);
    task.await.unwrap();
    assert_eq!(clients(&server).await, ["one"]);

    let socket = CommandSocket::bind(&server.data).unwrap();
    let (stopping, stop) = watch::channel(false);
    let task = tokio::spawn(serve(Arc::clone(&server.app), socket, stop));
    let mut stream = applying(&server).await;
    let mut begun = Vec::new();
    loop {
        let told = next(&mut stream).await;
        match told["reply"].as_str().unwrap() {
            "begins" => begun.push(told["is"]["change"]["name"].as_str().unwrap().to_owned()),
            "made" => continue,
            _ => break,
        }
        stream.write_all(b"\n").await.unwrap();
    }
    assert_eq!(begun, ["two", "three", "ada"]);
    stopping.send_replace(true);
    task.await.unwrap();
    assert_eq!(clients(&server).await, ["one", "three", "two"]);
}

#[tokio::test]
async fn a_server_that_stops_begins_no_other_change() {
    let (server, stopping, task) = serving().await;
    let mut stream = applying(&server).await;
    next(&mut stream).await;
    stopping.send_replace(true);
    task.await.unwrap();
    let end = next(&mut stream).await;
    assert!(end["is"]["stopped"].as_str().unwrap().starts_with("the server stops"), "{end}");
    assert_eq!((end["is"]["left"].as_array().unwrap().len(), clients(&server).await), (4, vec![]));
    assert_eq!(stream.read_line(&mut String::new()).await.unwrap(), 0);
}

fn changing(kind: &str, verb: &str, name: &str, fields: serde_json::Value) -> serde_json::Value {
    serde_json::json!({"do": "change", "kind": kind, "verb": verb, "name": name, "fields": fields})
}

/// Makes a change as another operator would, whole.
async fn change(server: &TestServer, kind: &str, verb: &str, name: &str, fields: serde_json::Value) {
    let command = serde_json::from_value(changing(kind, verb, name, fields)).unwrap();
    let Reply::Applied(applied) = handle(&server.app, Request { workspace: None, command }).await.unwrap() else {
        panic!()
    };
    assert_eq!((applied.done.len(), applied.stopped), (1, None), "{verb} {kind} {name}");
}

async fn exported(server: &TestServer) -> serde_json::Value {
    let command = Command::Export { users: true };
    let Reply::Document(document) = handle(&server.app, Request { workspace: None, command }).await.unwrap() else {
        panic!()
    };
    serde_json::to_value(*document).unwrap()["workspace"][0].take()
}

#[tokio::test]
async fn a_change_is_not_made_over_what_another_operator_did_while_it_was_told() {
    const API: &str = "https://api.example/";
    const URI: &str = "https://app.example/callback";
    use serde_json::json;
    let (server, _stopping, _task) = serving().await;
    change(&server, "resource", "create", API, json!({"scopes": "read write"})).await;
    let app = json!({"kind": "public", "redirect_uris": [URI, "https://old.example/"]});
    change(&server, "client", "create", "app", app).await;
    change(&server, "client", "create", "again", json!({"kind": "public", "redirect_uris": [URI]})).await;
    change(&server, "user", "create", "ada", json!({"admin": true})).await;
    let again = json!({"kind": "public", "redirect_uris": ["https://new.example/"]});
    // What is told; what another does meanwhile; what is there afterwards.
    let cases = [
        (("client", "update", "app", json!({"name": "A"})), ("update", json!({"redirect_uris": [URI]}))),
        (("resource", "update", API, json!({"name": "A"})), ("update", json!({"scopes": "read"}))),
        (("user", "update", "ada", json!({"claims": {"name": "A"}})), ("update", json!({"admin": false}))),
        (("user", "update", "ada", json!({"username": "bob"})), ("update", json!({"claims": {"name": "Ada"}}))),
        (("workspace", "update", "default", json!({"display_name": "A"})), ("update", json!({"code_lifetime": 20}))),
        (("client", "delete", "again", json!({})), ("delete", json!({}))),
    ];
    for ((kind, verb, name, fields), (meanwhile, other)) in cases {
        let mut stream = BufReader::new(UnixStream::connect(server.data.join(SOCKET)).await.unwrap());
        let request = json!({"command": changing(kind, verb, name, fields)});
        stream.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        assert_eq!(next(&mut stream).await["reply"], "begins");
        change(&server, kind, meanwhile, name, other).await;
        if meanwhile == "delete" {
            change(&server, kind, "create", name, again.clone()).await;
        }
        let kept = exported(&server).await;
        stream.write_all(b"\n").await.unwrap();
        let end = next(&mut stream).await;
        let why = format!("{kind} {name} has changed meanwhile; run it again");
        assert_eq!((&end["reply"], &end["is"]["stopped"]), (&json!("applied"), &json!(why)), "{end}");
        assert_eq!(exported(&server).await, kept, "{kind}");
    }
    let after = exported(&server).await;
    assert_eq!(
        (&after["client"][0]["redirect_uris"], &after["client"][1]["redirect_uris"]),
        (&json!(["https://new.example/"]), &json!([URI]))
    );
    assert_eq!((&after["resource"][0]["scopes"], &after["user"][0]["admin"]), (&json!("read"), &json!(null)));
}

#[tokio::test]
async fn an_export_says_how_much_is_read_before_the_document() {
    let (server, _stopping, _task) = serving().await;
    for name in ["ada", "bob"] {
        let command = Command::CreateUser { username: name.into(), fields: serde_json::Map::new(), link: false };
        handle(&server.app, Request { workspace: None, command }).await.unwrap();
    }
    let answer = ask(&server.data, "{\"command\":{\"do\":\"export\",\"users\":true}}\n").await;
    let (read, document) = answer.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(read, r#"{"ok":{"reply":"read","is":{"entries":2}}}"#);
    assert!(document.starts_with(r#"{"ok":{"reply":"document""#), "{document}");
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
