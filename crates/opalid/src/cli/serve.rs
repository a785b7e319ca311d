//! `opalid serve` and `opalid config`: what opens the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Subcommand;
use opalid_core::wrap::MasterKey;
use opalid_store::Location;

use super::output::write;
use super::way::way_of;
use crate::clock::{self, Clock};
use crate::config::{Config, ConfigFlags, Database, Settings, mistaken};
use crate::http::tls::TlsSource;
use crate::master_key::warn_if_others_read;
use crate::passwords::password_hash::HasherSettings;
use crate::start::{Starting, start};
use crate::{config, serve, telemetry};

/// What can be asked of the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Says what is wrong with the configuration, if anything.
    Check {
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Prints every setting with where its value came from.
    Show {
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Prints every key with its default and why.
    Keys,
}

/// Runs the server.
pub fn run(demo: bool, flags: ConfigFlags) -> anyhow::Result<()> {
    // Whatever this process makes is for its owner alone.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let way = way_of(flags.file.as_deref(), flags.values.get("data").map(Path::new));
    let settings = Settings::new(flags.sources(demo)?);
    let config = effective(&settings)?;
    let way = if way.is_empty() { way_of(None, Some(&config.data)) } else { way };
    telemetry::begin(config.log_format, &config.log_level)?;
    if let Some(path) = settings.file_of("master_key") {
        warn_if_others_read(path);
    }
    serve_with(config, demo, &way)
}

impl ConfigCommand {
    /// Answers it.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check { flags } => {
                let config = effective(&Settings::new(flags.sources(false)?))?;
                look_closer(&config)?;
                let but = config.warning().map(|warning| format!("But: {warning}.\n")).unwrap_or_default();
                write(&format!("The configuration is good.\n{but}"))?;
            }
            Self::Show { flags } => {
                let settings = Settings::new(flags.sources(false)?);
                write(&settings.show())?;
                settings.known().map_err(mistaken)?;
            }
            Self::Keys => write(&config::show::describe())?,
        }
        Ok(())
    }
}

/// What `serve` would refuse once it reads the files and addresses that the configuration names. Nothing is made, and no
/// database is asked.
fn look_closer(config: &Config) -> anyhow::Result<()> {
    if let Some(files) = &config.tls {
        TlsSource::from_files(&files.certificate, &files.key)?;
    }
    starting(config.clone(), false).map(drop)
}

fn effective(settings: &Settings) -> anyhow::Result<Config> {
    settings.config().map_err(mistaken)
}

/// How long answers have to leave before the process ends itself.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

fn serve_with(config: Config, demo: bool, way: &str) -> anyhow::Result<()> {
    if demo
        && !(config.issuer.is_loopback() && config.listen.iter().all(crate::http::listen::ListenAddress::is_loopback))
    {
        bail!("--demo is for this machine alone: its issuer and every listen address must be loopback");
    }
    if let Some(warning) = config.warning() {
        tracing::warn!("{warning}");
    }
    // For housekeeping, commands and accepting; what is accepted goes to threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(async move {
        let tls = match &config.tls {
            Some(files) => Some(TlsSource::from_files(&files.certificate, &files.key)?),
            None => None,
        };
        let (sockets, workers) = (serve::bind(&config.listen, config.metrics_listen.as_slice())?, config.workers);
        let app = start(starting(config, demo)?).await?;
        serve::run(app, sockets, (tls, workers), way).await
    })
}

fn starting(config: Config, demo: bool) -> anyhow::Result<Starting> {
    let master_key = match &config.master_key {
        Some(secret) => Some(MasterKey::from_text(secret.expose().trim_end()).context("master_key")?),
        None => None,
    };
    let location = match &config.database {
        Database::Sqlite => None,
        Database::Postgres(url) => {
            Some(Location::postgres(url, config.database_password.as_ref().map(config::Secret::expose))?)
        }
    };
    Ok(Starting {
        data: PathBuf::from(&config.data),
        location,
        master_key,
        master_key_from: config.master_key_from,
        issuer: config.issuer.as_str().to_owned(),
        clock: Clock::System,
        boottime: clock::boottime,
        lease: config.verifier_lease,
        hasher: HasherSettings::for_cores(config.workers),
        trusted_proxies: config.trusted_proxies,
        audit_kept: config.audit_kept,
        demo,
        on_fatal: Arc::new(|why: &str| {
            tracing::error!("{why}");
            // On the writer's own thread, which writes nothing any more: those who wait were told, and their
            // answers are on the way.
            std::thread::park_timeout(LAST_ANSWERS);
            std::process::exit(70);
        }),
    })
}
