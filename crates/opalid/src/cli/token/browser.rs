//! A code through the person's own browser, as RFC 8252 says: a loopback redirect, PKCE, `state`, `iss`.
//!
//! Takes: the issuer, the client with its redirect URIs, what the token is to be good for.
//! Gives: the form that redeems the code.
//! Holds: what comes without our `state` is not for us and changes nothing.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write, stderr};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_core::redirect_uri::RedirectUris;
use zeroize::Zeroizing;

use super::super::reach::Server;
use crate::config::process_environment;
use crate::random;

/// How long a browser's connection may take to say what it wants: many are opened ahead and never used.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: u64 = 16 * 1024;

/// What came to the loopback address: the target of a GET, and who waits for the answer.
struct Visit {
    target: String,
    stream: TcpStream,
}

/// Sends the person to sign in and waits until they are back.
pub fn code(
    (issuer, server): (&str, &Server),
    client_id: &str,
    registered: &RedirectUris,
    wish: &[(&'static str, String)],
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let (host, path) = loopback(registered).with_context(|| {
        server.advise(&format!(
            "client {client_id} has no redirect URI on a loopback address; opalid client show {client_id} lists those \
             it has, and opalid client update {client_id} --redirect-uri … sets them: name them all, and \
             http://127.0.0.1/callback with them"
        ))
    })?;
    let listener = TcpListener::bind((host.trim_matches(['[', ']']), 0)).context("cannot listen on loopback")?;
    let redirect_uri = format!("http://{host}:{}{path}", listener.local_addr()?.port());
    let secret = || Zeroizing::new(URL_SAFE_NO_PAD.encode(random::bytes::<32>()));
    let (state, verifier) = (secret(), secret());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("response_type", "code").append_pair("client_id", client_id);
    query.append_pair("redirect_uri", &redirect_uri).append_pair("state", &state);
    query.append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())));
    query.append_pair("code_challenge_method", "S256").extend_pairs(wish);
    ask_for(&format!("{issuer}/authorize?{}", query.finish()))?;
    let code = answer(listener, &path, (issuer, &state))?;
    Ok(vec![
        ("grant_type", "authorization_code".into()),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier.to_string()),
    ])
}

/// Host and path of the first redirect URI whose port may be chosen (RFC 8252 §7.3).
fn loopback(registered: &RedirectUris) -> Option<(&'static str, String)> {
    registered.0.iter().find_map(|uri| {
        ["127.0.0.1", "[::1]"].into_iter().find_map(|host| {
            let rest = uri.as_str().strip_prefix("http://")?.strip_prefix(host)?;
            let path = rest.find(['/', '?']).map_or("", |at| rest.get(at..).unwrap_or_default());
            // What follows the host is a port or the path, or the host is another one.
            (rest.is_empty() || rest.starts_with([':', '/', '?'])).then(|| (host, path.to_owned()))
        })
    })
}

/// Says where to go, and opens it where there is a desktop.
fn ask_for(url: &str) -> anyhow::Result<()> {
    writeln!(stderr(), "Sign in with a browser on this machine:\n\n  {url}\n\nWaiting; Ctrl-C gives up.")?;
    let environment = process_environment();
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| environment.contains_key(*name));
    if desktop && stderr().is_terminal() {
        let mut opener = std::process::Command::new("xdg-open");
        opener.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Where it cannot be opened, the address stands above.
        drop(opener.spawn());
    }
    Ok(())
}

/// Waits for the browser to come back with a code.
fn answer(listener: TcpListener, path: &str, (issuer, state): (&str, &str)) -> anyhow::Result<String> {
    let (came, visits) = channel();
    std::thread::spawn(move || accept(&listener, &came));
    let before =
        if path.contains('?') { format!("{path}&") } else { format!("{}?", if path.is_empty() { "/" } else { path }) };
    for Visit { target, mut stream } in visits {
        let parameters: Vec<(String, String)> = match target.strip_prefix(&before) {
            Some(query) => form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            None => Vec::new(),
        };
        let one = |name: &str| parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        if one("state") != Some(state) {
            say(&mut stream, "404 Not Found", "This is not what was waited for.");
            continue;
        }
        if one("iss") != Some(issuer) {
            say(&mut stream, "400 Bad Request", "This answer came from another server.");
            bail!("the answer came from {}, not from {issuer}", one("iss").unwrap_or("an unknown server"));
        }
        if let Some(code) = one("code") {
            say(&mut stream, "200 OK", "Done. You can close this window and go back to the command line.");
            return Ok(code.to_owned());
        }
        let (error, why) = (one("error").unwrap_or("no code"), one("error_description").unwrap_or("without a reason"));
        say(&mut stream, "200 OK", "It was refused. The command line says why.");
        bail!("{issuer} refused ({error}): {why}");
    }
    bail!("nothing can come back any more")
}

fn accept(listener: &TcpListener, came: &Sender<Visit>) {
    for stream in listener.incoming().filter_map(Result::ok) {
        let came = came.clone();
        std::thread::spawn(move || came.send(visit(stream)?).ok());
    }
}

fn visit(stream: TcpStream) -> Option<Visit> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut line = String::new();
    let mut lines = BufReader::new(stream.try_clone().ok()?).take(LONGEST);
    lines.read_line(&mut line).ok()?;
    let target = line.strip_prefix("GET ")?.split(' ').next()?.to_owned();
    // To the end of the head: a connection closed with something unread is reset, and the answer lost.
    let mut rest = String::new();
    while lines.read_line(&mut rest).ok()? > 2 {
        rest.clear();
    }
    Some(Visit { target, stream })
}

/// Answers the browser. Whether it reads that does not matter.
fn say(stream: &mut TcpStream, status: &str, text: &str) {
    let length = text.len();
    let headers = "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer";
    drop(write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}"
    ));
}

#[cfg(test)]
mod tests {
    use opalid_core::redirect_uri::RedirectUri;

    use super::*;

    fn found(uris: &[&str]) -> Option<(&'static str, String)> {
        loopback(&RedirectUris(uris.iter().map(|uri| RedirectUri::register(uri).unwrap()).collect()))
    }

    #[test]
    fn only_a_loopback_address_whose_port_may_be_chosen_is_taken() {
        let other = ["https://app.example/callback", "http://localhost:9/callback", "com.example.app:/done"];
        assert_eq!(found(&other), None);
        assert_eq!(found(&[other[0], "http://127.0.0.1:53219/callback"]), Some(("127.0.0.1", "/callback".into())));
        assert_eq!(found(&["http://[::1]/a?b=c"]), Some(("[::1]", "/a?b=c".into())));
        assert_eq!(found(&["http://127.0.0.1"]), Some(("127.0.0.1", String::new())));
    }
}
