//! Where values come from, and which one counts: flags over variables over the file over the default.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use opalid_core::nearest::nearest;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::keys::{Default, KEYS, Key, Shape, find};

/// The variable that names the configuration file.
const FILE_VARIABLE: &str = "OPALID_CONFIG";

/// The variable that names the file with the secret `opalid token` is asked with: no setting of a server.
pub const SECRET_FILE: &str = "OPALID_CLIENT_SECRET_FILE";

/// What was written where.
#[derive(Debug, Clone, std::default::Default)]
pub struct Sources {
    /// The file's name and text.
    pub file: Option<(PathBuf, String)>,
    /// The environment.
    pub environment: HashMap<String, String>,
    /// Flags, by key.
    pub flags: HashMap<&'static str, String>,
    /// Whether this is `--demo`, which knows its issuer.
    pub demo: bool,
}

impl Sources {
    /// Reads the file that `config` or the variable `OPALID_CONFIG` names, if any.
    pub fn read(
        config: Option<PathBuf>,
        environment: HashMap<String, String>,
        flags: HashMap<&'static str, String>,
        demo: bool,
    ) -> Result<Self, ConfigError> {
        let (path, key, origin) = match (config, environment.get(FILE_VARIABLE)) {
            (Some(path), _) => (path, "config", Source::Flag("config".into())),
            (None, Some(path)) if !path.is_empty() => (path.into(), "config", Source::Variable(FILE_VARIABLE.into())),
            _ => return Ok(Self { file: None, environment, flags, demo }),
        };
        let text = std::fs::read_to_string(&path).map_err(|error| ConfigError {
            key: key.into(),
            origin,
            problem: format!("cannot read {}: {error}", path.display()),
        })?;
        Ok(Self { file: Some((path, text)), environment, flags, demo })
    }
}

/// Where a value is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nowhere.
    Default,
    /// In the file, on this line.
    File(PathBuf, usize),
    /// In this variable.
    Variable(String),
    /// In this flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// A value as it was written; of a secret only where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// A text or number.
    One(String),
    /// A list.
    Many(Vec<String>),
    /// A secret in this variable.
    InVariable(String),
    /// A secret in this file.
    InFile(PathBuf),
    /// A secret that this program says, with its arguments.
    ByCommand(Vec<String>),
}

/// The value of one key.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) key: &'static Key,
    pub(super) written: Option<Written>,
    pub(super) origin: Source,
}

/// Every key's value and where it came from; not yet checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) all: Vec<Setting>,
    /// Mistakes that concern no value: unknown keys, wrong types, a file that is not TOML.
    pub(super) mistakes: Vec<ConfigError>,
    pub(super) environment: HashMap<String, String>,
    pub(super) demo: bool,
}

impl Settings {
    /// Lays the sources over one another.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let defaults = KEYS.iter().map(|key| Setting {
            key,
            written: match key.default {
                Default::Is(text) => Some(from_text(key.shape, text)),
                Default::Unset(_) => None,
            },
            origin: Source::Default,
        });
        let mut settings = Self {
            all: defaults.collect(),
            mistakes: Vec::new(),
            environment: sources.environment,
            demo: sources.demo,
        };
        if let Some((path, text)) = &sources.file {
            settings.add_file(path, text);
        }
        settings.add_variables();
        for key in KEYS {
            if let (Some(text), Some(flag)) = (sources.flags.get(key.name), key.flag) {
                settings.set(key, from_text(key.shape, text), Source::Flag(flag.into()));
            }
        }
        settings
    }

    /// Whether anything says where the data folder is.
    pub fn names_data(&self) -> bool {
        self.get("data").is_some_and(|setting| setting.origin != Source::Default)
    }

    /// Whether anything says what the issuer is.
    pub fn names_issuer(&self) -> bool {
        self.get("issuer").is_some_and(|setting| setting.written.is_some())
    }

    /// The file that holds a secret, if it lies in one.
    pub fn file_of(&self, name: &str) -> Option<&Path> {
        match self.get(name)?.written.as_ref()? {
            Written::InFile(path) => Some(path),
            _ => None,
        }
    }

    /// Where a secret comes from, in words; `None` if it is not set.
    pub fn place_of(&self, name: &str) -> Option<String> {
        match self.get(name)?.written.as_ref()? {
            Written::InVariable(variable) => Some(format!("the variable {variable}")),
            Written::InFile(path) => {
                Some(format!("the file {}", std::path::absolute(path).unwrap_or_else(|_| path.clone()).display()))
            }
            // Its arguments may be nobody's business.
            Written::ByCommand(words) => Some(format!("the command {}", words.first()?)),
            Written::One(_) | Written::Many(_) => None,
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Setting> {
        self.all.iter().find(|setting| setting.key.name == name)
    }

    fn set(&mut self, key: &Key, written: Written, origin: Source) {
        if let Some(setting) = self.all.iter_mut().find(|setting| setting.key.name == key.name) {
            (setting.written, setting.origin) = (Some(written), origin);
        }
    }

    fn mistake(&mut self, key: &str, origin: Source, problem: impl Into<String>) {
        self.mistakes.push(ConfigError { key: key.into(), origin, problem: problem.into() });
    }

    fn add_variables(&mut self) {
        let mut known = vec![FILE_VARIABLE.to_owned()];
        for key in KEYS {
            let plain = key.variable();
            let (in_file, by_command) = (format!("{plain}_FILE"), format!("{plain}_COMMAND"));
            let has = |name: &str| self.environment.get(name).filter(|value| !value.is_empty()).cloned();
            let (value, path) = (has(&plain), has(&in_file));
            let command = has(&by_command).filter(|_| key.shape == Shape::Secret);
            match (key.shape, value, path) {
                (Shape::Secret, Some(_), Some(_)) => {
                    let problem = format!("{in_file} is set too; set one of the two");
                    self.mistake(&plain, Source::Variable(plain.clone()), problem);
                }
                (Shape::Secret, value, path) if command.is_some() && (value.is_some() || path.is_some()) => {
                    let problem = format!("{plain} or {in_file} is set too; set one of them");
                    self.mistake(&by_command, Source::Variable(by_command.clone()), problem);
                }
                (Shape::Secret, ..) if let Some(command) = &command => {
                    let words = command.split(',').map(str::to_owned).collect();
                    self.set(key, Written::ByCommand(words), Source::Variable(by_command.clone()));
                }
                // Whatever puts secrets there has failed; without it another would be drawn, or none be sent.
                (Shape::Secret, None, None) if self.environment.contains_key(&plain) => {
                    self.mistake(&plain, Source::Variable(plain.clone()), "it is empty; set it or take it away");
                }
                (Shape::Secret, Some(_), None) => {
                    self.set(key, Written::InVariable(plain.clone()), Source::Variable(plain.clone()));
                }
                (Shape::Secret, None, Some(path)) => {
                    self.set(key, Written::InFile(path.into()), Source::Variable(in_file.clone()));
                }
                (_, Some(value), _) => self.set(key, from_text(key.shape, &value), Source::Variable(plain.clone())),
                (_, None, _) => {}
            }
            known.push(plain);
            if key.shape == Shape::Secret {
                known.push(in_file);
                known.push(by_command);
            }
        }
        self.refuse_unknown_variables(&known);
    }

    fn refuse_unknown_variables(&mut self, known: &[String]) {
        let named: Vec<_> = self.all.iter().filter_map(|setting| setting.written.clone()).collect();
        let mut unknown: Vec<_> = self
            .environment
            .keys()
            .filter(|name| {
                name.starts_with("OPALID_") && !known.contains(name) && !is_no_setting(name, &self.environment)
            })
            .filter(|name| !named.contains(&Written::InVariable((*name).clone())))
            .cloned()
            .collect();
        unknown.sort();
        for name in unknown {
            let problem = unknown_name(&name, known.iter().map(String::as_str));
            self.mistake(&name, Source::Variable(name.clone()), problem);
        }
    }

    fn add_file(&mut self, path: &std::path::Path, text: &str) {
        let at = |offset: usize| Source::File(path.into(), line_of(text, offset));
        match DeTable::parse(text) {
            Ok(table) => self.add_table("", table.get_ref(), &at),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                self.mistake("config", at(offset), format!("not TOML: {}", error.message()));
            }
        }
    }

    fn add_table(&mut self, prefix: &str, table: &DeTable<'_>, at: &dyn Fn(usize) -> Source) {
        for (name, value) in table {
            let full = format!("{prefix}{}", name.get_ref());
            let origin = at(name.span().start);
            if let Some(key) = find(&full) {
                match from_toml(key.shape, value.get_ref()) {
                    Ok(written) => self.set(key, written, origin),
                    Err(expected) => {
                        let found = value.get_ref().type_str();
                        self.mistake(&full, origin, format!("expected {expected}, found {found}"));
                    }
                }
                continue;
            }
            let section = format!("{full}.");
            match value.get_ref() {
                DeValue::Table(inner) if KEYS.iter().any(|key| key.name.starts_with(&section)) => {
                    self.add_table(&section, inner, at);
                }
                _ => self.mistake(&full, origin, unknown_name(&full, KEYS.iter().map(|key| key.name))),
            }
        }
    }
}

/// Variables that are not settings though they begin like ours: the client's secret of `opalid token`, what a test
/// suite keeps for itself, and what Kubernetes sets for a service called `opalid…`.
fn is_no_setting(name: &str, environment: &HashMap<String, String>) -> bool {
    name == SECRET_FILE || name.starts_with("OPALID_TEST_") || is_of_a_service(name, environment)
}

/// Whether Kubernetes sets this for a service: its address and port stand beside it, and it looks as theirs do.
fn is_of_a_service(name: &str, environment: &HashMap<String, String>) -> bool {
    let value = |name: &str| environment.get(name).map_or("", String::as_str);
    let is_address = |text: &str| text.parse::<std::net::IpAddr>().is_ok();
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let is_url = |text: &str| ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    let text = value(name);
    environment.keys().filter_map(|key| key.strip_suffix("_SERVICE_HOST")).any(|service| {
        let (host, port) = (format!("{service}_SERVICE_HOST"), format!("{service}_SERVICE_PORT"));
        if !is_address(value(&host)) || !is_port(value(&port)) {
            return false;
        }
        let Some(rest) = name.strip_prefix(service) else { return false };
        match rest.strip_prefix("_PORT") {
            Some("") => is_url(text),
            Some(rest) if rest.ends_with("_PROTO") => ["tcp", "udp", "sctp"].contains(&text),
            Some(rest) if rest.ends_with("_ADDR") => is_address(text),
            Some(rest) if rest.ends_with("_PORT") => is_port(text),
            Some(rest) => rest.starts_with('_') && is_url(text),
            None if rest == "_SERVICE_HOST" => is_address(text),
            None => (rest == "_SERVICE_PORT" || rest.starts_with("_SERVICE_PORT_")) && is_port(text),
        }
    })
}

fn from_text(shape: Shape, text: &str) -> Written {
    match shape {
        Shape::List => {
            Written::Many(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Into::into).collect())
        }
        _ => Written::One(text.trim().into()),
    }
}

fn from_toml(shape: Shape, value: &DeValue<'_>) -> Result<Written, &'static str> {
    match (shape, value) {
        (Shape::Text, DeValue::String(text)) => Ok(Written::One(text.to_string())),
        (Shape::Text, _) => Err("a text in quotes"),
        (Shape::Number, DeValue::Integer(number)) if number.radix() == 10 => Ok(Written::One(number.as_str().into())),
        (Shape::Number, _) => Err("a whole number"),
        (Shape::List, DeValue::Array(items)) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(Into::into))
            .collect::<Option<_>>()
            .map(Written::Many)
            .ok_or("a list of texts"),
        (Shape::List, _) => Err("a list of texts"),
        (Shape::Secret, DeValue::Table(table)) if table.len() == 1 => {
            let text = |name: &str| Some(table.get(name)?.get_ref().as_str()?.to_owned());
            match (text("env"), text("file")) {
                (Some(name), _) => Ok(Written::InVariable(name)),
                (_, Some(path)) => Ok(Written::InFile(path.into())),
                _ => {
                    by_command(table).ok_or("{ env = \"NAME\" }, { file = \"PATH\" } or { command = [\"PROGRAM\", …] }")
                }
            }
        }
        (Shape::Secret, _) => Err("{ env = \"NAME\" } or { file = \"PATH\" }, never the secret itself"),
    }
}

/// A program and its arguments.
fn by_command(table: &DeTable<'_>) -> Option<Written> {
    let DeValue::Array(words) = table.get("command")?.get_ref() else { return None };
    let words: Vec<String> = words.iter().map(|word| word.get_ref().as_str().map(Into::into)).collect::<Option<_>>()?;
    (!words.is_empty()).then_some(Written::ByCommand(words))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn unknown_name<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(nearest) => format!("there is no such setting; the nearest is {nearest}"),
        None => "there is no such setting".into(),
    }
}
