//! How far long work is: on standard error, so that what stands on standard output is the answer alone.

use std::io::{IsTerminal, Write, stderr};

/// A line between two words about a count, where lines stay.
const MANY: u64 = 10_000;

/// How far it is: on a terminal one line that changes, elsewhere a line now and then.
pub struct Progress {
    verb: &'static str,
    step: u64,
}

impl Progress {
    /// Nothing yet is `verb`: "copied", say.
    pub fn new(verb: &'static str) -> Self {
        Self { verb, step: 0 }
    }

    /// So much of a whole: a line for each tenth.
    pub fn part(&mut self, done: u64, total: u64) {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        self.say(percent / 10, &format!("{percent:3} % {}", self.verb));
    }

    /// So many, of nobody knows how many.
    pub fn count(&mut self, done: u64, what: &str) {
        self.say(done / MANY, &format!("{done} {what} {}", self.verb));
    }

    fn say(&mut self, step: u64, words: &str) {
        let mut to = stderr();
        if to.is_terminal() {
            drop(write!(to, "\r{words}"));
            self.step = step.max(1);
        } else if step > self.step {
            drop(writeln!(to, "{}", words.trim_start()));
            self.step = step;
        }
    }

    /// Leaves the line, if there is one.
    pub fn end(&self) {
        if self.step > 0 && stderr().is_terminal() {
            drop(writeln!(stderr()));
        }
    }
}
