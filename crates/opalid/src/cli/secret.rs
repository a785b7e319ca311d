//! Secrets from people and programs: a prompt without echo, or standard input; never an argument that stays.

use std::io::{BufRead, IsTerminal, Read, Write, stderr, stdin};

use anyhow::{Context, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::manage::Handed;

/// The longest secret that is read.
const LONGEST: u64 = 64 * 1024;

/// A new secret: typed twice at a prompt, or one line of standard input.
pub fn ask_twice(prompt: &str) -> anyhow::Result<Handed> {
    let first = ask(prompt)?;
    if stdin().is_terminal() && ask("Once more: ")?.expose() != first.expose() {
        bail!("the two are not the same; nothing was changed");
    }
    Ok(first)
}

/// A secret: typed at a prompt without echo, or one line of standard input.
pub fn ask(prompt: &str) -> anyhow::Result<Handed> {
    if !stdin().is_terminal() {
        return line();
    }
    let mut out = stderr();
    write!(out, "{prompt}")?;
    out.flush()?;
    let echo = NoEcho::begin()?;
    let typed = line();
    drop(echo);
    writeln!(out)?;
    typed
}

/// What was given as an argument, or what standard input holds if that was `-`.
pub fn argument_or_stdin(argument: String) -> anyhow::Result<Handed> {
    if argument != "-" {
        return Ok(Handed::new(argument.trim().to_owned()));
    }
    let text = ask("Token: ")?;
    Ok(Handed::new(text.expose().trim().to_owned()))
}

fn line() -> anyhow::Result<Handed> {
    let mut text = Zeroizing::new(String::new());
    stdin().lock().take(LONGEST).read_line(&mut text).context("cannot read standard input")?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        bail!("standard input is empty; expected one line");
    }
    Ok(Handed::new(text.to_owned()))
}

/// The terminal without echo, until dropped.
struct NoEcho(Termios);

impl NoEcho {
    fn begin() -> anyhow::Result<Self> {
        let before = tcgetattr(stdin()).context("cannot read the terminal's settings")?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Flush, &silent).context("cannot turn off the terminal's echo")?;
        Ok(Self(before))
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
