//! `opalid token` as a process: through the browser, and over https.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::faults::daemon::Daemon;
use crate::manage::opalid;
use crate::paste::{self, How};
use crate::support::folder::Folder;
use crate::support::http::encode;
use crate::support::{DEMO_API, FORM, basic};

/// `opalid token` that waits for the browser, and the address it said.
struct Waiting {
    child: Child,
    url: String,
}

impl Waiting {
    fn start(data: &Folder, words: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opalid"));
        command.arg("token").args(words.split(' ')).arg("--data").arg(data.path()).env_clear();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let mut lines = said.lines().map(Result::unwrap);
        let url = lines.find_map(|line| Some(line.trim().to_owned()).filter(|line| line.starts_with("http"))).unwrap();
        // What it says afterwards has nobody who listens, and that is no reason to fail.
        Self { child, url }
    }

    /// A parameter of the address.
    fn parameter(&self, name: &str) -> String {
        let query = self.url.split_once('?').unwrap().1;
        form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name).unwrap().1.into_owned()
    }

    fn end(mut self) -> (bool, String) {
        let mut said = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().success(), said)
    }
}

/// What the browser gets at a loopback address.
fn visit(url: &str) -> String {
    let (authority, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(stream, "GET /{target} HTTP/1.1\r\nHost: {authority}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_token_comes_through_the_browser_for_whoever_signs_in_there() {
    let data = Folder::new();
    let server = Daemon::start(data.path(), &[]);
    let line = server.line();
    let waiting = Waiting::start(&data, "--client demo-app --scope openid");
    let redirect_uri = waiting.parameter("redirect_uri");
    let target = waiting.url.strip_prefix(&format!("http://localhost:{}", server.port)).unwrap().to_owned();
    let away = line.walk(&mut Vec::new(), target, &redirect_uri).unwrap();

    // What was not asked for changes nothing, and neither does a connection that says nothing.
    let _silent = TcpStream::connect(redirect_uri.strip_prefix("http://").unwrap().split('/').next().unwrap()).unwrap();
    assert!(visit(&format!("{redirect_uri}?code=x&state=guessed")).starts_with("HTTP/1.1 404 "));
    assert!(visit(&away).starts_with("HTTP/1.1 200 OK"));

    let (done, token) = waiting.end();
    assert!(done && token.starts_with("oat_"), "{token}");
    let reply = line.ask("GET", "/userinfo", &format!("authorization: Bearer {}\r\n", token.trim()), "").unwrap();
    assert!(reply.body.contains(r#""sub""#), "{}", reply.body);
}

#[test]
fn what_came_through_the_browser_is_active_and_can_be_had_whole() {
    let data = Folder::new();
    let server = Daemon::start(data.path(), &[]);
    let line = server.line();
    let waiting = Waiting::start(&data, "--client demo-app --scope read -o json");
    let redirect_uri = waiting.parameter("redirect_uri");
    assert_eq!(
        (waiting.parameter("scope").as_str(), waiting.parameter("code_challenge_method").as_str()),
        ("read", "S256")
    );
    let target = waiting.url.strip_prefix(&format!("http://localhost:{}", server.port)).unwrap().to_owned();
    let away = line.walk(&mut Vec::new(), target, &redirect_uri).unwrap();
    assert!(visit(&away).starts_with("HTTP/1.1 200 OK"));
    let (done, said) = waiting.end();
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    let token = answer["access_token"].as_str().unwrap();
    assert!(done && answer["refresh_token"].as_str().unwrap().starts_with("ort_"), "{said}");

    let headers = format!("content-type: {}\r\nauthorization: {}\r\n", FORM.1, basic(DEMO_API));
    let reply = line.ask("POST", "/introspect", &headers, &encode(&[("token", token)])).unwrap();
    let seen: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((&seen["active"], &seen["scope"]), (&true.into(), &"read".into()), "{seen}");
    assert_eq!((&seen["client_id"], &seen["username"]), (&"demo-app".into(), &"alice".into()), "{seen}");
}

#[test]
fn an_answer_of_another_server_and_a_refusal_give_no_token() {
    let data = Folder::new();
    let server = Daemon::start(data.path(), &[]);
    for answer in ["code=x&iss=https://other.example", "error=access_denied"] {
        let waiting = Waiting::start(&data, "--client demo-app --scope openid");
        let iss =
            if answer.contains("iss=") { String::new() } else { format!("&iss=http://localhost:{}", server.port) };
        let (to, state) = (waiting.parameter("redirect_uri"), waiting.parameter("state"));
        assert!(visit(&format!("{to}?{answer}{iss}&state={state}")).starts_with("HTTP/1.1 "));
        assert_eq!(waiting.end(), (false, String::new()), "{answer}");
    }
}

#[test]
fn a_client_without_a_loopback_address_is_told_how_to_get_one() {
    let data = Folder::new();
    let running = paste::start(data.path(), true);
    let run = |words: &str| opalid(data.path(), words, "");
    assert!(run("client update demo-app --redirect-uri https://app.example/callback").0);
    let (done, said) = run("token --client demo-app");
    assert!(!done && said.contains("client update demo-app --redirect-uri"), "{said}");
    assert!(said.contains(&format!("opalid --data {} client update", data.path().display())), "{said}");
    drop(running);
}

#[test]
fn a_token_is_got_over_https_from_a_server_whose_authority_is_named() {
    let data = Folder::new();
    let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/tls/");
    let file = |name: &str| format!("{tls}{name}.pem");
    let (certificate, key) = (file("first.certificate"), file("first.key"));
    let more = ["--tls-certificate", &*certificate, "--tls-key", &*key];
    let _running = paste::start_with(data.path(), How { https: true, arguments: &more, ..How::default() });
    let secret = data.path().join("secret");
    std::fs::write(&secret, "a secret of more than sixteen characters\n").unwrap();
    let run = |words: &str| opalid(data.path(), words, "");
    let api = "https://api.example/";
    assert!(run(&format!("resource create {api} --scopes read")).0);
    let create = format!("client create machine --grant-type client_credentials --access {api}=read");
    let (done, said) = run(&format!("{create} --default-resource {api} --secret-file {}", secret.display()));
    assert!(done, "{said}");

    let token = format!("token --client machine --secret-file {}", secret.display());
    let (done, said) = run(&format!("{token} --ca {certificate}"));
    assert!(done && said.starts_with("oat_"), "{said}");
    let (done, said) = run(&format!("{token} --ca {}", file("second.certificate")));
    assert!(!done && said.contains("certificate") && said.contains("--ca FILE") && !said.contains("oat_"), "{said}");
    let (done, said) = run(&format!("{token} --ca {key}"));
    assert_eq!((done, said.contains(&format!("there is no certificate in {key};"))), (false, true), "{said}");
}

#[test]
fn a_token_that_cannot_be_got_says_what_failed_and_speaks_of_authorities_only_where_one_is_at_fault() {
    let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/tls/");
    let (certificate, key) = (format!("{tls}authority.certificate.pem"), format!("{tls}authority.key.pem"));
    let served = ["--tls-certificate", &*certificate, "--tls-key", &*key];
    let away = ["--tls-certificate", &*certificate, "--tls-key", &*key, "--issuer", "https://nowhere.invalid"];
    let token = |arguments: &[&str], https| {
        let data = Folder::new();
        let _running = paste::start_with(data.path(), How { https, arguments, ..How::default() });
        let secret = data.path().join("secret");
        std::fs::write(&secret, "a secret of more than sixteen characters\n").unwrap();
        let secret = secret.display();
        let create = format!("client create machine --grant-type client_credentials --secret-file {secret}");
        assert!(opalid(data.path(), &create, "").0);
        let words = format!("token --client machine --secret-file {secret} --ca {certificate}");
        let (done, said) = opalid(data.path(), &words, "");
        assert!(!done);
        said
    };
    let said = token(&served, true);
    assert!(said.contains("shows a certificate of an authority as its own") && said.lines().count() == 1, "{said}");
    let said = token(&away, true);
    assert!(said.starts_with("opalid: cannot find the address of nowhere.invalid"), "{said}");
    assert!(!said.contains("--ca") && !said.contains("certificate"), "{said}");
}
