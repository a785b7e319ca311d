//! The real binary: what `serve --demo` prints works as pasted, and what must be refused at start is.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::faults::daemon::Line;
use crate::manage::opalid;
use crate::support::demo_person::CHALLENGE;
use crate::support::folder::Folder;
use crate::support::html::unescape;
use crate::support::http::encode;

/// `opalid serve` that is running; killed if the test ends before it stops it.
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    /// The next line it prints, without its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The four lines to paste, which stand after an empty line.
    fn lines_to_paste(&mut self) -> Vec<String> {
        while !self.line().is_empty() {}
        (0..4).map(|_| self.line()).collect()
    }

    /// Sends SIGTERM; gives how it ended and what it said since.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }
}

/// How it is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct How<'a> {
    pub demo: bool,
    /// With an https issuer.
    pub https: bool,
    pub arguments: &'a [&'a str],
    pub variables: &'a [(&'a str, &'a str)],
}

fn serve(data: &Path, listen: &str, how: How<'_>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opalid"));
    command.arg("serve").args(how.demo.then_some("--demo")).arg("--data").arg(data);
    command.args(["--listen", listen, "--metrics-listen", "off"]).args(how.arguments).env_clear();
    if !how.demo || how.https {
        command.env("OPALID_ISSUER", format!("{}://{listen}", how.scheme()));
    }
    command.envs(how.variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl How<'_> {
    const DEMO: Self = Self { demo: true, https: false, arguments: &[], variables: &[] };
    const BARE: Self = Self { demo: false, ..Self::DEMO };

    fn scheme(self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts it on a free port and waits until it says that it is ready. A port that somebody took in between is
/// given up for another.
pub fn start(data: &Path, demo: bool) -> Running {
    start_with(data, How { demo, ..How::default() })
}

/// As `start`, in this way.
pub fn start_with(data: &Path, how: How<'_>) -> Running {
    let mut said = String::new();
    for _ in 0..5 {
        let port = free_port();
        let mut child = serve(data, &format!("localhost:{port}"), how).spawn().unwrap();
        let mut running = Running { stdout: BufReader::new(child.stdout.take().unwrap()), child, port };
        let first = running.line();
        let elsewhere = how.arguments.contains(&"--issuer") && first.starts_with("Opalid is ready.");
        if elsewhere || first == format!("Opalid is ready. Issuer: {}://localhost:{port}", how.scheme()) {
            return running;
        }
        running.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(first.is_empty() && said.contains("cannot listen"), "{first}\n{said}");
    }
    panic!("no port is free: {said}");
}

/// Starts it where it has to be refused; gives what it says. One that is not refused prints a line, and is killed.
fn refused(data: &Path, listen: &str) -> String {
    refused_as(serve(data, listen, How::DEMO))
}

/// As `refused`, in this way.
pub fn refused_with(data: &Path, how: How<'_>) -> String {
    refused_as(serve(data, &format!("localhost:{}", free_port()), how))
}

/// As `refused`, of this start.
fn refused_as(mut command: Command) -> String {
    let mut child = command.spawn().unwrap();
    let mut running = Running { stdout: BufReader::new(child.stdout.take().unwrap()), child, port: 0 };
    assert_eq!(running.line(), "", "it says that it is ready, and should have been refused");
    let mut said = String::new();
    running.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!running.child.wait().unwrap().success());
    said
}

fn paste(lines: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(lines).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_four_lines_that_the_demo_prints_work_as_pasted() {
    let data = Folder::new();
    let mut running = start(data.path(), true);
    let lines = running.lines_to_paste();
    let said = paste(&lines.join("\n"));
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said[0].starts_with("oat_") && said[0].len() > 90, "{said:?}");
    assert!(said[1].starts_with(r#"{"active":true,"#), "{said:?}");
    assert_eq!(said[2..], ["200", r#"{"active":false}"#]);

    let (status, said) = running.terminate();
    assert!(status.success(), "{status} {said}");
    assert!(said.contains("stopping"), "{said}");

    let mut again = start(data.path(), true);
    let said = paste(&again.lines_to_paste()[..2].join("\n"));
    assert!(said.contains(r#"{"active":true,"#), "{said}");
}

#[test]
fn the_home_page_shows_the_same_four_lines_and_they_work_as_pasted() {
    let data = Folder::new();
    let mut running = start(data.path(), true);
    let page = Line { port: running.port }.ask("GET", "/", "", "").unwrap();
    let commands =
        page.body.split("<pre><code>").skip(1).map(|rest| unescape(rest.split_once("</code></pre>").unwrap().0));
    let commands: Vec<_> = commands.collect();
    assert_eq!(commands, running.lines_to_paste());
    let said = paste(&commands.join("\n"));
    let said: Vec<&str> = said.lines().collect();
    assert!(said[0].starts_with("oat_") && said[1].starts_with(r#"{"active":true,"#), "{said:?}");
    assert_eq!(said[2..], ["200", r#"{"active":false}"#]);
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let data = Folder::new();
    let mut running = start(data.path(), true);
    let said = refused(data.path(), &format!("localhost:{}", free_port()));
    assert!(said.contains("another server is running") && said.contains("stop it first"), "{said}");
    assert!(paste(&running.lines_to_paste()[..2].join("\n")).contains(r#"{"active":true,"#));
}

#[test]
fn a_taken_port_is_refused_by_name() {
    let data = Folder::new();
    let running = start(Folder::new().path(), true);
    let said = refused(data.path(), &format!("127.0.0.1:{}", running.port));
    assert_eq!(said.matches("cannot listen").count(), 1, "{said}");
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{}: ", running.port)), "{said}");
    assert!(said.contains("--listen (the setting listen)"), "{said}");
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_demo_that_is_started_at_another_port_sends_its_application_there() {
    let data = Folder::new();
    let ports: Vec<u16> = (0..2)
        .map(|_| {
            let running = start(data.path(), true);
            let port = running.port;
            let (shown, said) = opalid(data.path(), "client show demo-app", "");
            assert!(shown && said.contains(&format!("http://localhost:{port}/demo/callback")), "{said}");
            let callback = encode(&[("redirect_uri", &format!("http://localhost:{port}/demo/callback"))]);
            let asked = format!(
                "/authorize?client_id=demo-app&response_type=code&code_challenge={CHALLENGE}&code_challenge_method=S256\
                 &{callback}"
            );
            assert_eq!(Line { port }.ask("GET", &asked, "", "").unwrap().status, 303);
            assert!(running.terminate().0.success());
            port
        })
        .collect();
    assert_ne!(ports[0], ports[1]);
    let running = start(data.path(), true);
    let said = opalid(data.path(), "client show demo-app", "").1;
    let walks = said.matches("/demo").count();
    assert!(walks == 2 && said.matches(&format!("http://localhost:{}/demo", running.port)).count() == 2, "{said}");
    assert!(said.contains("http://127.0.0.1/callback") && said.contains("example.demo.app:/callback"), "{said}");
}

#[test]
fn a_start_says_where_its_metrics_are_and_repeats_how_it_was_told_where_its_data_is() {
    let data = Folder::new();
    let file = data.path().join("opalid.toml");
    let below = data.path().join("data");
    std::fs::write(&file, format!("data = {:?}\nmetrics_listen = \"127.0.0.1:0\"\n", below.display().to_string()))
        .unwrap();
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_opalid"));
    command.arg("serve").arg("--config").arg(&file).args(["--listen", &format!("localhost:{port}")]);
    command.args(["--issuer", &format!("http://localhost:{port}")]).env_clear();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running { stdout: BufReader::new(child.stdout.take().unwrap()), child, port };
    let [_, _, metrics, first] = [(); 4].map(|()| running.line());
    assert!(metrics.starts_with("Metrics for Prometheus: /metrics on 127.0.0.1:"), "{metrics}");
    assert!(first.ends_with(&format!("opalid user create --admin NAME --config {}", file.display())), "{first}");
    let run = |words: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opalid"));
        let ended = command.args(words.split(' ')).arg("--config").arg(&file).env_clear().output().unwrap();
        String::from_utf8(ended.stderr).unwrap()
    };
    let said = run("client show nobody");
    assert_eq!(
        said,
        format!(
            "opalid: workspace default has no client nobody; see: opalid --config {} client list\n",
            file.display()
        )
    );
    drop(running);
    let said = run("user list");
    let (shown, text) = (file.display(), std::fs::read_to_string(&file).unwrap());
    let own = format!(
        "start it with the configuration that it ran with: set issuer in {shown}, and: opalid serve --config {shown} ("
    );
    assert!(said.contains(&own), "{said}");
    std::fs::write(&file, format!("issuer = \"http://localhost:{port}\"\n{text}")).unwrap();
    let said = run("user list");
    assert!(said.contains(&format!("start it with: opalid serve --config {shown} (")), "{said}");
}

#[test]
fn config_check_warns_of_an_issuer_at_a_port_that_nobody_listens_on() {
    let check = |issuer: &str, listen: &str| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_opalid"));
        let done =
            check.args(["config", "check", "--issuer", issuer, "--listen", listen]).env_clear().output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap().contains("the port of the issuer is none that is listened on")
    };
    assert!(check("http://localhost:8080", "localhost:8099"));
    assert!(check("http://localhost", "127.0.0.1:8080"));
    assert!(!check("http://localhost:8080", "127.0.0.1:8099,localhost:8080"));
    assert!(!check("https://login.example.com", "localhost:8080"));
}

/// Only root can give files away and start a server for somebody else.
#[test]
fn files_of_another_user_in_the_data_folder_are_named_with_what_to_do() {
    let data = Folder::new();
    assert!(start(data.path(), false).terminate().0.success());
    if chown(data.path(), Some(65_534), Some(65_534)).is_err() {
        return;
    }
    let mut command = serve(data.path(), &format!("localhost:{}", free_port()), How::BARE);
    let Ok(mut child) = command.uid(65_534).gid(65_534).spawn() else { return };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(said.contains("master.key, which belongs to user 0;") && said.contains("chown -R 65534 "), "{said}");
}

#[test]
fn the_demo_is_refused_off_loopback() {
    let data = Folder::new();
    let said = refused(data.path(), &format!("0.0.0.0:{}", free_port()));
    assert!(said.contains("loopback"), "{said}");
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn plain_http_off_loopback_is_refused_at_start_and_by_config_check() {
    let data = Folder::new();
    let listen = format!("0.0.0.0:{}", free_port());
    let mut command = serve(data.path(), &listen, How::BARE);
    command.env("OPALID_ISSUER", "http://localhost:8080");
    let said = refused_as(command);
    assert!(said.contains("the issuer is http") && said.contains("https issuer"), "{said}");
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "nothing was made");
    let mut check = Command::new(env!("CARGO_BIN_EXE_opalid"));
    check.args(["config", "check", "--issuer", "http://localhost:8080", "--listen", &listen]).env_clear();
    let checked = check.output().unwrap();
    assert!(!checked.status.success() && format!("{checked:?}").contains("the issuer is http"), "{checked:?}");
}

#[test]
fn the_demo_is_refused_on_a_folder_with_other_data() {
    let data = Folder::new();
    assert!(start(data.path(), false).terminate().0.success(), "stopped as soon as it says that it is ready");
    let said = refused(data.path(), &format!("localhost:{}", free_port()));
    assert!(said.contains("not a demo") && said.contains("--data"), "{said}");
}

#[test]
fn the_demo_is_refused_among_foreign_files_and_under_the_key_of_a_store_elsewhere() {
    let listen = || format!("localhost:{}", free_port());
    for foreign in ["notes.txt", ".bashrc", "master.key"] {
        let data = Folder::new();
        std::fs::write(data.path().join(foreign), "mine").unwrap();
        let said = refused(data.path(), &listen());
        let expected = format!("holds what is not of a demo: {foreign}; name a folder that is empty or not there yet");
        assert!(said.contains(&expected) && said.contains("--data"), "{said}");
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 1, "nothing was made");
    }
    let many = Folder::new();
    for name in ["d", "c", "b", "a"] {
        std::fs::create_dir(many.path().join(name)).unwrap();
    }
    let said = refused(many.path(), &listen());
    assert!(said.contains("a, b, c, …;"), "{said}");

    // A new file system is as good as empty, and an earlier demo may have got company.
    let data = Folder::new();
    std::fs::create_dir(data.path().join("lost+found")).unwrap();
    assert!(start(data.path(), true).terminate().0.success());
    std::fs::write(data.path().join("notes.txt"), "mine").unwrap();
    assert!(start(data.path(), true).terminate().0.success());
    assert!(start(&data.path().join("not/there/yet"), true).terminate().0.success());
}

#[test]
fn the_data_of_a_demo_is_refused_without_demo_also_where_it_was_restored() {
    let (data, restored) = (Folder::new(), Folder::new());
    assert!(start(data.path(), true).terminate().0.success());
    let listen = || format!("localhost:{}", free_port());
    let said = refused_as(serve(data.path(), &listen(), How::BARE));
    assert!(said.contains("the store of a demo") && said.contains("--demo") && said.contains("--data"), "{said}");

    std::fs::copy(data.path().join("master.key"), restored.path().join("master.key")).unwrap();
    let mut restore = Command::new(env!("CARGO_BIN_EXE_opalid"));
    restore.arg("restore").arg(data.path().join("opalid.db")).arg("--data").arg(restored.path()).env_clear();
    assert!(restore.output().unwrap().status.success());
    let said = refused_as(serve(restored.path(), &listen(), How::BARE));
    assert!(said.contains("the store of a demo"), "{said}");
    assert!(start(data.path(), true).terminate().0.success(), "as a demo it goes on");
}

#[test]
fn a_store_of_another_master_key_is_refused_and_left_alone() {
    let (data, other) = (Folder::new(), Folder::new());
    let mut running = start(data.path(), true);
    let token = paste(&running.lines_to_paste()[0]).trim().to_owned();
    assert!(running.terminate().0.success());
    assert!(start(other.path(), true).terminate().0.success());

    let key = data.path().join("master.key");
    let own = std::fs::read(&key).unwrap();
    let store = std::fs::read(data.path().join("opalid.db")).unwrap();
    std::fs::copy(other.path().join("master.key"), &key).unwrap();
    let said = refused(data.path(), &format!("localhost:{}", free_port()));
    assert!(said.contains("another master key"), "{said}");
    assert_eq!(std::fs::read(data.path().join("opalid.db")).unwrap(), store, "the store is left alone");
    assert_ne!(std::fs::read(&key).unwrap(), own, "the key is not replaced");

    std::fs::write(&key, own).unwrap();
    let mut running = start(data.path(), true);
    let lines = running.lines_to_paste();
    let said = paste(&format!("TOKEN={token}\n{}", lines[1]));
    assert!(said.starts_with(r#"{"active":true,"#), "{said}");
}

#[test]
fn a_store_without_its_master_key_is_refused_and_gets_no_new_one() {
    let data = Folder::new();
    assert!(start(data.path(), true).terminate().0.success());
    let key = data.path().join("master.key");
    std::fs::remove_file(&key).unwrap();
    let said = refused(data.path(), &format!("localhost:{}", free_port()));
    assert!(said.contains("master key") && said.contains(&key.display().to_string()), "{said}");
    assert!(!key.exists());
    std::fs::write(&key, "not a key\n").unwrap();
    let said = refused(data.path(), &format!("localhost:{}", free_port()));
    assert!(said.contains("does not hold a master key"), "{said}");
}

#[test]
fn everything_in_the_data_folder_is_for_its_owner_alone() {
    let above = Folder::new();
    let data = above.path().join("data");
    let running = start(&data, true);
    assert_eq!(mode(&data), 0o700);
    let names: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    for name in ["opalid.db", "opalid.db-wal", "opalid.db-shm", "opalid.lock", "master.key", "command.sock"] {
        assert!(names.contains(&data.join(name)), "{name}: {names:?}");
    }
    for path in names {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(running);
}

#[test]
fn a_master_key_that_others_may_read_is_warned_about() {
    let data = Folder::new();
    assert!(!start(data.path(), true).terminate().1.contains("is open to everybody"));
    let key = data.path().join("master.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (_, said) = start(data.path(), true).terminate();
    assert!(said.contains("is open to everybody") && said.contains("chmod o="), "{said}");
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

/// What `serve` refuses when it opens what is named, the check refuses as well.
#[test]
fn config_check_looks_at_keys_certificates_and_addresses() {
    let folder = Folder::new();
    let mine = |name: &str| format!("{}/src/http/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    let check = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_opalid"));
        check.args(["config", "check", "--issuer", "https://a.example", "--data"]).arg(folder.path());
        let done = check.args(arguments).env_clear().envs(variables.iter().copied()).output().unwrap();
        (done.status.success(), String::from_utf8(done.stderr).unwrap())
    };
    let pair = |certificate, key| {
        let (certificate, key) = (mine(certificate), mine(key));
        check(&["--tls-certificate", &certificate, "--tls-key", &key], &[])
    };
    assert!(pair("first.certificate", "first.key").0);
    assert!(!pair("first.certificate", "second.key").0);
    assert!(!pair("first.certificate", "none").0);
    let (good, told) = check(&[], &[("OPALID_MASTER_KEY", "short")]);
    assert!(!good && told.contains("master_key"), "{told}");
    let (good, told) = check(&["--database", "postgres://a@db/x?sslmode=require"], &[]);
    assert!(!good && told.contains("sslmode"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
}
