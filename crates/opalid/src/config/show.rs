//! `config show`: each key, its value, where it came from; secrets only as set or unset.

use std::fmt::Write as _;

use super::cores;
use super::keys::{Default, KEYS, Shape};
use super::layers::{Setting, Settings, Written};
use super::values::without_password;

impl Settings {
    /// One line a key, in the form of the file: what holds, also where that depends on the machine.
    #[must_use]
    pub fn show(&self) -> String {
        let lines: Vec<_> =
            self.all.iter().map(|setting| (format!("{} = {}", setting.key.name, value(setting)), setting)).collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (line, setting) in lines {
            _ = writeln!(text, "{line:width$}  # {}{}", setting.origin, why(setting));
        }
        text
    }
}

/// Whether a key is a number of threads that nobody set.
fn is_per_core(setting: &Setting) -> bool {
    setting.key.name == "workers" && setting.written.is_none()
}

fn why(setting: &Setting) -> &'static str {
    if is_per_core(setting) { ", one per core" } else { "" }
}

fn value(setting: &Setting) -> String {
    if is_per_core(setting) {
        return cores().to_string();
    }
    match (&setting.written, setting.key.default) {
        (Some(Written::InFile(path)), _) => format!("(set: file {})", path.display()),
        (Some(Written::InVariable(name)), _) => format!("(set: env {name})"),
        // Its arguments may be nobody's business.
        (Some(Written::ByCommand(words)), _) => format!("(set: command {})", words.first().map_or("", String::as_str)),
        (Some(_), _) if setting.key.shape == Shape::Secret => "(set)".into(),
        (Some(Written::One(text)), _) if setting.key.shape == Shape::Number => text.clone(),
        (Some(Written::One(text)), _) => format!("{:?}", without_password(text)),
        (Some(Written::Many(texts)), _) => format!("{texts:?}"),
        (None, Default::Unset(meaning)) => format!("(unset: {meaning})"),
        _ => "(unset)".into(),
    }
}

/// Every key with what it is for, its default and why, its variable and its flag.
#[must_use]
pub fn describe() -> String {
    let mut text = String::new();
    for key in KEYS {
        let default = match key.default {
            Default::Is(text) if key.shape == Shape::Number => text.to_owned(),
            Default::Is(text) => format!("{text:?}"),
            Default::Unset(meaning) => format!("unset ({meaning})"),
        };
        let or_file = if key.shape == Shape::Secret { " or …_FILE or …_COMMAND" } else { "" };
        let flag = key.flag.map(|flag| format!(", --{flag}")).unwrap_or_default();
        _ = writeln!(text, "{}\n    {}\n    Default: {default}. {}", key.name, key.doc, key.why);
        _ = writeln!(text, "    Also: {}{or_file}{flag}\n", key.variable());
    }
    text
}
