//! A secret that a program says: run without a shell, on its standard output, bounded in time and length.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::boottime;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much it may say.
const LONGEST: u64 = 64 * 1024;
/// How often it is looked whether a program that says nothing more has ended.
const GLANCE: Duration = Duration::from_millis(5);

/// What a program says, or what is wrong, in words without anything of that. Its messages go where ours go.
pub fn output(words: &[String]) -> Result<Zeroizing<String>, String> {
    output_within(words, PATIENCE)
}

fn output_within(words: &[String], patience: Duration) -> Result<Zeroizing<String>, String> {
    let (program, arguments) = words.split_first().ok_or("expected a program and its arguments")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot run {program}: {error}"))?;
    let deadline = boottime() + patience;
    let said = listen(&mut child, patience).and_then(|said| end(&mut child, deadline).map(|()| said));
    if said.is_err() {
        // It may have ended by itself.
        drop(child.kill());
        drop(child.wait());
    }
    said.map_err(|problem| format!("{program} {problem}"))
}

fn listen(child: &mut Child, patience: Duration) -> Result<Zeroizing<String>, String> {
    let stdout = child.stdout.take().ok_or("has no standard output")?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Zeroizing::new(String::with_capacity(1024));
        let read = stdout.take(LONGEST).read_to_string(&mut text);
        // Nobody waits any more when it took too long.
        drop(tell.send(read.map(|_| text)));
    });
    match told.recv_timeout(patience) {
        Ok(Ok(text)) if text.len() as u64 >= LONGEST => {
            Err(format!("says too much: expected less than {LONGEST} bytes"))
        }
        Ok(Ok(text)) => Ok(text),
        Ok(Err(_)) => Err("does not say a text".into()),
        Err(_) => Err(format!("did not end within {patience:?}")),
    }
}

fn end(child: &mut Child, deadline: Duration) -> Result<(), String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("failed: {status}")),
            Ok(None) if boottime() < deadline => std::thread::park_timeout(GLANCE),
            Ok(None) => return Err("closed its output and did not end".into()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For what ends by itself, however slow the machine is; and for what does not.
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);

    fn run(words: &[&str], patience: Duration) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        output_within(&words, patience).map(|said| said.to_string())
    }

    #[test]
    fn a_program_is_run_without_a_shell_and_says_the_secret() {
        assert_eq!(run(&["echo", "$HOME;", "*"], LONG), Ok("$HOME; *\n".into()));
    }

    #[test]
    fn what_fails_goes_on_or_says_too_much_is_refused_without_what_it_said() {
        let told = |words: &[&str], patience| run(words, patience).unwrap_err();
        assert!(told(&["/nowhere/program"], LONG).starts_with("cannot run /nowhere/program:"));
        assert_eq!(told(&["sh", "-c", "echo hidden; exit 3"], LONG), "sh failed: exit status: 3");
        assert_eq!(told(&["cat", "/dev/zero"], LONG), "cat says too much: expected less than 65536 bytes");
        assert_eq!(told(&["sleep", "1000"], SHORT), "sleep did not end within 50ms");
        let why = told(&["sh", "-c", "exec >&-; exec sleep 1000"], SHORT);
        assert!(why == "sh closed its output and did not end" || why == "sh did not end within 50ms", "{why}");
        assert!(run(&[], LONG).is_err());
    }
}
