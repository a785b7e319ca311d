//! Changes, shown as they are made.
//!
//! Holds: a change is shown, with the secret that was drawn for it, before it is made, and is not made unless that
//! was written out. What is written in JSON is one document, however it ends.

use anyhow::{anyhow, bail};
use opalid_core::visible::escaped_json;

use super::super::output::{Format, plain, write};
use super::super::reach::Server;
use super::shown;
use crate::manage::apply::{Applied, Done};
use crate::manage::{Command, Reply};

/// Asks for changes, and shows each as it is made; an error if they stopped before the end.
pub fn run(server: &Server, command: Command) -> anyhow::Result<()> {
    let mut answers = server.stream_in(None, command)?;
    let mut said = Making::new(server.output.format);
    let end = loop {
        match answers.next() {
            Some(Ok(Reply::Begins(next))) => {
                // Not as the cause: a closed pipe is no end that was wished for.
                write(&said.begins(&next)?)
                    .map_err(|error| anyhow!("cannot write what is changed: {error}; {said}"))?;
                answers.go_on();
            }
            Some(Ok(Reply::Made {})) => write(&said.made())?,
            Some(Ok(Reply::Applied(end))) => break *end,
            Some(Ok(_)) => bail!("the server answered something else; {said}"),
            Some(Err(error)) if said.begun == 0 => return Err(error),
            Some(Err(error)) => break Applied { stopped: Some(format!("{error:#}")), ..Applied::default() },
            None if said.begun == 0 => bail!("the server hung up without an answer; see its log"),
            None => break Applied { stopped: Some("the server hung up; see its log".into()), ..Applied::default() },
        }
    };
    write(&said.end(&end)?)?;
    match end.stopped {
        None => Ok(()),
        Some(_) if end.in_doubt => bail!("look whether it was made before you repeat it"),
        Some(_) if said.made == 0 && end.left.len() == 1 => bail!("nothing was changed"),
        Some(_) => bail!("stopped: {said}; running it again goes on from there"),
    }
}

/// How far changes are, as they are written.
pub struct Making {
    format: Format,
    begun: usize,
    made: usize,
    drawn: bool,
}

impl std::fmt::Display for Making {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.made {
            1 => f.write_str("1 change was made"),
            made => write!(f, "{made} changes were made"),
        }
    }
}

impl Making {
    /// None yet.
    pub fn new(format: Format) -> Self {
        Self { format, begun: 0, made: 0, drawn: false }
    }

    /// This one is made next.
    pub fn begins(&mut self, next: &Done) -> anyhow::Result<String> {
        let first = self.begun == 0;
        self.begun += 1;
        self.drawn = next.secret.is_some();
        if self.format == Format::Json {
            let mut entry = escaped_json(&serde_json::to_string(next)?).into_owned();
            // Its end is written with what became of it.
            entry.pop();
            return Ok(format!("{}{entry}", if first { "{\"done\":[\n" } else { ",\n" }));
        }
        let secret = next.secret.as_ref().map(|secret| {
            let (client, secret) = (plain(&next.change.name), plain(secret.expose()));
            format!("  The secret of client {client}, shown this once: {secret}\n")
        });
        Ok(shown(&next.change) + &secret.unwrap_or_default())
    }

    /// It is made.
    pub fn made(&mut self) -> String {
        self.made += 1;
        if self.format == Format::Json { "}".into() } else { String::new() }
    }

    /// Why it stopped, if it did, and what is left.
    pub fn end(&self, end: &Applied) -> anyhow::Result<String> {
        let begun = self.begun > self.made;
        if self.format == Format::Json {
            let rest = serde_json::to_string(&Applied { done: Vec::new(), ..end.clone() })?;
            let mut rest = escaped_json(&rest).into_owned();
            rest.replace_range(..rest.find(']').unwrap_or(0), "");
            let head = if self.begun == 0 { "{\"done\":[" } else { "\n" };
            let last = match (begun, end.in_doubt) {
                (true, true) => ",\"made\":null}",
                (true, false) => ",\"made\":false}",
                (false, _) => "",
            };
            return Ok(format!("{last}{head}{rest}\n"));
        }
        let Some(why) = &end.stopped else {
            return Ok(if self.begun == 0 { "Nothing to change.\n".into() } else { format!("\n{self}.\n") });
        };
        let what = match (end.left.is_empty(), begun) {
            (false, _) if end.in_doubt => "Whether this change was made is not known",
            (false, _) => "This change was not made",
            (true, true) => "Whether this change was made is not known",
            (true, false) => "Nothing after this was made",
        };
        let mut text = format!("\n{what}: {}\n", plain(why));
        if !begun {
            text += &end.left.iter().take(1).map(shown).collect::<String>();
        } else if self.drawn {
            text += "The secret above counts for nothing, unless the change was made after all.\n";
        }
        if end.left.len() > 1 {
            text += &format!("Nor the {} after it.\n", end.left.len() - 1);
        }
        Ok(text)
    }
}
