//! The flags that `serve` and `config` take, made from the table of keys.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};

use super::keys::{Default, KEYS, Key};
use super::layers::Sources;
use super::{ConfigError, process_environment};

/// `--config FILE` and one flag per key that is no secret. Use it with `#[command(flatten)]`.
#[derive(Debug, Clone, std::default::Default)]
pub struct ConfigFlags {
    /// The file.
    pub file: Option<PathBuf>,
    /// Values, by key.
    pub values: HashMap<&'static str, String>,
}

impl ConfigFlags {
    /// These flags with the environment of this process and the file.
    pub fn sources(self, demo: bool) -> Result<Sources, ConfigError> {
        Sources::read(self.file, process_environment(), self.values, demo)
    }
}

fn arg(key: &'static Key, flag: &'static str) -> Arg {
    let default = match key.default {
        Default::Is("") => "none".into(),
        Default::Is(text) => format!("{text:?}"),
        Default::Unset(meaning) => meaning.to_owned(),
    };
    Arg::new(key.name).long(flag).value_name("VALUE").help(format!("{} [default: {default}]", key.doc))
}

impl Args for ConfigFlags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("A TOML file with any of these settings [default: none]");
        KEYS.iter().filter_map(|key| Some(arg(key, key.flag?))).fold(command.arg(file), |command, arg| command.arg(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ConfigFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |key: &'static Key| Some((key.name, matches.try_get_one::<String>(key.name).ok()??.clone()));
        let file = matches.get_one::<PathBuf>("config").cloned();
        Ok(Self { file, values: KEYS.iter().filter_map(value).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The same for commands that open the store alone: no flag that would say nothing there.
#[derive(Debug, Clone, std::default::Default)]
pub struct StoreFlags(pub ConfigFlags);

impl Args for StoreFlags {
    fn augment_args(command: Command) -> Command {
        let all = ConfigFlags::augment_args(Command::new("all"));
        let kept = ["config", "data", "database"];
        command.args(all.get_arguments().filter(|arg| kept.contains(&arg.get_id().as_str())))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for StoreFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        ConfigFlags::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}
