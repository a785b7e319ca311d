//! `opalid serve --demo` as a process of its own, and a client that knows that an answer may never come.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::demo_person::{CALLBACK, CHALLENGE, DEMO_APP, VERIFIER};
use crate::support::html::Page;
use crate::support::http::encode;
use crate::support::{CLIENT_CREDENTIALS, DEMO_API, basic};

/// A running server; killed when dropped.
pub struct Daemon {
    child: Child,
    /// Open for as long as it runs: who prints to a closed pipe is ended.
    _stdout: BufReader<ChildStdout>,
    pub port: u16,
    metrics_port: u16,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Daemon {
    /// Starts it on this folder and waits until it is ready. What it logs goes to `log` beside the folder.
    pub fn start(data: &Path, environment: &[(&str, &str)]) -> Self {
        let log = data.with_extension("log");
        for _ in 0..5 {
            let (one, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
            let [port, metrics_port] = [one, other].map(|socket| socket.local_addr().unwrap().port());
            let mut command = Command::new(env!("CARGO_BIN_EXE_opalid"));
            command.args(["serve", "--demo", "--listen", &format!("localhost:{port}")]);
            command.args(["--metrics-listen", &format!("127.0.0.1:{metrics_port}")]);
            command.arg("--data").arg(data).env_clear().envs(environment.iter().copied());
            let stderr = std::fs::File::options().create(true).append(true).open(&log).unwrap();
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
            let mut child = command.spawn().unwrap();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            let mut first = String::new();
            stdout.read_line(&mut first).unwrap();
            let daemon = Self { child, _stdout: stdout, port, metrics_port };
            if first.starts_with("Opalid is ready.") {
                return daemon;
            }
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(said.contains("cannot listen"), "{first}\n{said}");
        }
        panic!("no port is free");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// SIGTERM, until it has ended.
    pub fn stop(self) -> ExitStatus {
        self.terminate();
        self.ended()
    }

    /// How it ended by itself: by SIGKILL if it did not, for a test shall fail and not wait for ever.
    pub fn ended(mut self) -> ExitStatus {
        let (pid, (over, wait)) = (Pid::from_child(&self.child), channel::<()>());
        let guard = std::thread::spawn(move || {
            if wait.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
                _ = kill_process(pid, Signal::KILL);
            }
        });
        let status = self.child.wait().unwrap();
        drop(over);
        guard.join().unwrap();
        status
    }

    pub fn line(&self) -> Line {
        Line { port: self.port }
    }

    /// One of its metrics.
    pub fn metric(&self, name: &str) -> u64 {
        let page = Line { port: self.metrics_port }.ask("GET", "/metrics", "", "").expect("metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }
}

/// A way to a server that may end under it.
#[derive(Clone, Copy)]
pub struct Line {
    pub port: u16,
}

/// Status, headers and body of a whole answer.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn field(&self, name: &str) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
    }
}

impl Line {
    /// One request; nothing unless a whole answer came.
    pub fn ask(self, method: &str, target: &str, headers: &str, body: &str) -> Option<Reply> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        // Not a promise about speed: a server that hangs shall fail the test.
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let (port, length) = (self.port, body.len());
        let head = format!("{method} {target} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n{headers}");
        stream.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8(answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| length != body.len()) {
            return None;
        }
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some(Reply { status, head: head.to_owned(), body: body.to_owned() })
    }

    fn form(self, target: &str, authorization: &str, fields: &[(&str, &str)]) -> Option<Reply> {
        let headers = format!("content-type: application/x-www-form-urlencoded\r\n{authorization}");
        self.ask("POST", target, &headers, &encode(fields))
    }

    fn as_api(self, target: &str, fields: &[(&str, &str)]) -> Option<Reply> {
        self.form(target, &format!("authorization: {}\r\n", basic(DEMO_API)), fields)
    }

    pub fn mint(self) -> Option<Reply> {
        self.as_api("/token", &[CLIENT_CREDENTIALS])
    }

    pub fn revoke(self, token: &str) -> Option<Reply> {
        self.as_api("/revoke", &[("token", token)])
    }

    pub fn introspect(self, token: &str) -> Option<Reply> {
        self.as_api("/introspect", &[("token", token)])
    }

    /// What introspection says; it has to answer.
    pub fn is_active(self, token: &str) -> bool {
        let reply = self.introspect(token).expect("no answer");
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body.contains(r#""active":true"#)
    }

    pub fn refresh(self, token: &str) -> Option<Reply> {
        let fields = [("grant_type", "refresh_token"), ("client_id", DEMO_APP), ("refresh_token", token)];
        self.form("/token", "", &fields)
    }

    pub fn redeem(self, code: &str) -> Option<Reply> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", DEMO_APP),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.form("/token", "", &fields)
    }

    /// A code for alice; signs her in unless the cookies say that she is. Nothing if an answer did not come.
    pub fn code(self, cookies: &mut Vec<(String, String)>) -> Option<String> {
        let query = encode(&[
            ("client_id", DEMO_APP),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid read offline_access"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let away = self.walk(cookies, format!("/authorize?{query}"), CALLBACK)?;
        let parameters = away.strip_prefix(CALLBACK).unwrap();
        let found = form_urlencoded::parse(&parameters.as_bytes()[1..]).find(|(name, _)| name == "code");
        Some(found.unwrap().1.into_owned())
    }

    /// Where alice is sent away to; signs in unless the cookies say that she is. Nothing if an answer did not come.
    pub fn walk(self, cookies: &mut Vec<(String, String)>, target: String, away: &str) -> Option<String> {
        let (mut method, mut target, mut body) = ("GET", target, String::new());
        for _ in 0..12 {
            let known: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let headers = format!(
                "accept: text/html\r\nsec-fetch-site: same-origin\r\norigin: http://localhost:{}\r\n\
                 content-type: application/x-www-form-urlencoded\r\ncookie: {}\r\n",
                self.port,
                known.join("; ")
            );
            let reply = self.ask(method, &target, &headers, &body)?;
            for (name, value) in reply.head.lines().filter_map(|line| line.split_once(": ")) {
                if name.eq_ignore_ascii_case("set-cookie") {
                    let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                    cookies.retain(|(found, _)| found != name);
                    cookies.push((name.to_owned(), value.to_owned()));
                }
            }
            if reply.status == 503 {
                return None;
            }
            if reply.status == 200 {
                let page = Page::parse(&reply.body);
                let form = if page.has("allow") {
                    page.form("allow")
                } else {
                    let (login, password) = opalid::demo::USERS[0];
                    page.form("sign-in").with("login", login).with("password", password)
                };
                (method, target, body) = ("POST", form.action.clone(), encode(&form.pairs()));
            } else {
                assert_eq!(reply.status, 303, "{}", reply.body);
                let location = reply.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
                if location.starts_with(away) {
                    return Some(location.to_owned());
                }
                (method, target, body) = ("GET", location.to_owned(), String::new());
            }
            target = target.trim_start_matches(&format!("http://localhost:{}", self.port)).to_owned();
        }
        panic!("no end of redirects");
    }
}

/// Small seeded randomness (splitmix64).
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Whether the long suites are asked for.
pub fn long() -> bool {
    std::env::vars().any(|(name, value)| name == "OPALID_TEST_LONG" && value == "1")
}
