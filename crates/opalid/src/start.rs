//! Starting: the data folder, the master key, the store, what a new store holds.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use opalid_core::ids::WorkspaceId;
use opalid_core::time::Seconds;
use opalid_core::workspace::WorkspaceSettings;
use opalid_core::wrap::MasterKey;
use opalid_store::memory::BootTime;
use opalid_store::steps::Stamp;
use opalid_store::steps::cell::{Cell, FindCell, FindIssuer, MakeCell, RememberIssuer};
use opalid_store::steps::first_keys::{GiveKeys, ListKeyless};
use opalid_store::steps::holder::TagKey;
use opalid_store::steps::workspace::CreateWorkspace;
use opalid_store::{Location, OnFatal, Opening, Store};

use crate::app::App;
use crate::arrivals::Arrivals;
use crate::clock::Clock;
use crate::data_folder;
use crate::demo;
use crate::followers::Followers;
use crate::http::Transport;
use crate::http::body::BodyBudget;
use crate::http::client_address::Network;
use crate::http::limits::BodyLimits;
use crate::http::routes::Endpoint;
use crate::keys::first_keys_under;
use crate::master_key::{self, CheckedKey, MASTER_KEY, MasterKeys};
use crate::metrics::Metrics;
use crate::passwords::password::{ChosenPassword, Password};
use crate::passwords::password_hash::{HasherSettings, PasswordHasher};
use crate::passwords::throttle::Throttle;
use crate::random;
use crate::readiness::Readiness;
use crate::telemetry::RequestIds;

/// How a server is started.
pub struct Starting {
    /// The data folder: always there, for the master key and the command socket.
    pub data: PathBuf,
    /// Where the store lies; a file in the data folder if absent.
    pub location: Option<Location>,
    /// The master key, if it does not lie in the data folder.
    pub master_key: Option<MasterKey>,
    /// Where that comes from, in words.
    pub master_key_from: Option<String>,
    /// Who may say for whom it speaks by `X-Forwarded-For`.
    pub trusted_proxies: Vec<Network>,
    /// How long audit rows are kept.
    pub audit_kept: Seconds,
    /// The issuer URL of the root workspace, without a slash at its end.
    pub issuer: String,
    /// Where the time of day comes from.
    pub clock: Clock,
    /// The clock of leases, which counts from the machine's start, suspend included.
    pub boottime: BootTime,
    /// How long a lease of a verifier is.
    pub lease: Duration,
    /// How passwords are hashed.
    pub hasher: HasherSettings,
    /// Seed a demo workspace.
    pub demo: bool,
    /// What to do when what is on disk is not known any more.
    pub on_fatal: OnFatal,
}

/// Opens everything; makes it when it is not there yet.
pub async fn start(mut starting: Starting) -> anyhow::Result<App> {
    let given = starting.master_key.take();
    let master_key_in_data = given.is_none();
    let data = &starting.data;
    data_folder::make(data)?;
    let location = starting.location.clone().unwrap_or_else(|| Location::Sqlite(data.join("opalid.db")));
    let metrics = Arc::new(Metrics::new(&Endpoint::names(), starting.clock.now()));
    let opening = opening(location, &starting, &metrics);
    // A start that is refused leaves the store as it was: neither migrated nor taken over.
    let known = opening.location.look().await?;
    if starting.demo && known.is_none() {
        refuse_foreign_folder(data)?;
    }
    if let Some(cell) = known {
        admit(&cell, &starting, given.clone())?;
    }
    let store = Store::open(opening).await?;
    let (master, root) = unlock(&store, &starting, given).await?;
    give_keys(&store, &master, &starting).await?;
    remember_issuer(&store, &starting.issuer).await?;
    let tag_key = store.run(TagKey { fresh: random::bytes() }).await?;
    let transport = if starting.issuer.starts_with("https://") { Transport::Https } else { Transport::LoopbackHttp };
    let app = App {
        store,
        master: MasterKeys::new(master),
        master_key_place: master_key::place(&starting.data, starting.master_key_from.as_deref()),
        master_key_in_data,
        data: starting.data,
        base_url: starting.issuer,
        transport,
        root,
        body_limits: BodyLimits::default(),
        bodies: BodyBudget::default(),
        readiness: Readiness::default(),
        demo: starting.demo,
        walks: crate::walk::Walks::default(),
        test_jwts: crate::test_jwt::Workbench::default(),
        hasher: PasswordHasher::start(starting.hasher)?,
        throttle: if starting.demo { Throttle::off() } else { Throttle::new(&random::bytes()) },
        arrivals: if starting.demo { Arrivals::off() } else { Arrivals::new(&random::bytes()) },
        trusted_proxies: starting.trusted_proxies,
        audit_kept: starting.audit_kept,
        request_ids: RequestIds::new(),
        followers: Followers::new(tag_key),
        metrics,
        clock: starting.clock,
        issuers: papaya::HashMap::new(),
    };
    if starting.demo {
        demo::seed(&app, async |name, password| hash_for(&app, name, password).await).await?;
    }
    Ok(app)
}

/// How a server opens its store, which others may be on.
fn opening(location: Location, starting: &Starting, metrics: &Arc<Metrics>) -> Opening {
    Opening {
        location,
        owner: random::bytes(),
        alone: false,
        incarnation: random::bytes(),
        capacity: opalid_store::memory::Capacity::default(),
        lease: starting.lease,
        boottime: starting.boottime,
        observer: Arc::<Metrics>::clone(metrics),
        on_fatal: Arc::clone(&starting.on_fatal),
    }
}

/// What is stored of a password that this server itself gives somebody.
async fn hash_for(app: &App, name: &str, password: &str) -> anyhow::Result<String> {
    let password = ChosenPassword::new(Password::new(password.to_owned()), name)?;
    Ok(app.hasher.hash(&password, random::bytes()).await?.to_text())
}

/// What a start that ended early leaves beside its store, and what lies in an empty folder without anybody's doing.
const HARMLESS: &[&str] = &[
    "opalid.db",
    "opalid.db-wal",
    "opalid.db-shm",
    "opalid.db-journal",
    "opalid.lock",
    "command.lock",
    "command.sock",
    ".command.new",
    "lost+found",
    ".DS_Store",
    ".gitignore",
    ".gitkeep",
];

/// A demo is not strewn among somebody's files, hidden ones included, nor made under the master key of a store that
/// lies elsewhere.
fn refuse_foreign_folder(data: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot look into {}", data.display());
    let found = fs::read_dir(data).with_context(cannot)?.collect::<Result<Vec<_>, _>>().with_context(cannot)?;
    let names = found.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let begun = data.join("opalid.db").exists();
    let ours = |name: &str| HARMLESS.contains(&name) || (name == MASTER_KEY && begun);
    let mut foreign: Vec<String> = names.filter(|name| !ours(name)).collect();
    foreign.sort();
    let more = if foreign.len() > 3 { ", …" } else { "" };
    foreign.truncate(3);
    if foreign.is_empty() {
        return Ok(());
    }
    bail!(
        "{} holds what is not of a demo: {}{more}; name a folder that is empty or not there yet: --demo --data DIR",
        data.display(),
        foreign.join(", ")
    )
}

/// Refuses a store that this start is not for; gives its master key.
fn admit(cell: &Cell, starting: &Starting, given: Option<MasterKey>) -> anyhow::Result<CheckedKey> {
    let found = match given {
        Some(key) => CheckedKey::of(key, cell),
        None => master_key::find(&starting.data, cell)?,
    };
    let Some(master) = found else {
        let place = master_key::place(&starting.data, starting.master_key_from.as_deref());
        bail!(
            "this store is under another master key than that in {place}: start it with the one it was made under, or \
             with the one it was given since (opalid key rotate-master)"
        );
    };
    if starting.demo && !cell.demo {
        let data = starting.data.display();
        bail!("{data} holds a store that is not a demo; --demo needs a folder of its own (--data DIR)");
    }
    if cell.demo && !starting.demo {
        let data = starting.data.display();
        bail!(
            "{data} holds the store of a demo, whose passwords and secrets everybody knows; start it with --demo, or \
             take a folder (or database) of its own (--data DIR)"
        );
    }
    Ok(master)
}

/// Opens what the store holds with its master key; makes both when the store is new.
async fn unlock(
    store: &Store,
    starting: &Starting,
    given: Option<MasterKey>,
) -> anyhow::Result<(CheckedKey, WorkspaceId)> {
    let cell = store.read(FindCell).await?;
    match cell {
        Some(cell) => {
            let in_folder = given.is_none();
            let master = admit(&cell, starting, given)?;
            if in_folder {
                // From now on nobody else commits a rotation of it.
                master_key::settle(&starting.data, &cell, &starting.clock.now().0.to_string())?;
            }
            Ok((master, cell.root_workspace.context("the store has no root workspace")?))
        }
        None => {
            let master = given.map_or_else(|| master_key::load_or_make(&starting.data), Ok)?;
            let master = CheckedKey::new(master)?;
            let root = make_cell(store, &master, starting).await?;
            Ok((master, root))
        }
    }
}

/// Makes keys for workspaces that have none: those of a store that was put back.
async fn give_keys(store: &Store, master: &CheckedKey, starting: &Starting) -> anyhow::Result<()> {
    for (workspace, name) in store.read(ListKeyless).await? {
        let stamp = stamp(workspace, starting, "start");
        let keys = first_keys_under(workspace, master)?;
        if store.run(GiveKeys { stamp, keys }).await? {
            tracing::info!(workspace = name, "a workspace that had no keys has new ones");
        }
    }
    Ok(())
}

fn stamp(workspace: WorkspaceId, starting: &Starting, initiator: &str) -> Stamp {
    let now = starting.clock.now();
    let event = opalid_core::ids::EventId::from_bytes(opalid_core::ids::uuid_v7(now, 1, random::bytes()));
    Stamp { workspace, now, event, initiator: initiator.into() }
}

/// Says so when the issuer is another one than at the last start, and remembers it.
async fn remember_issuer(store: &Store, issuer: &str) -> anyhow::Result<()> {
    let former = store.read(FindIssuer).await?;
    if former.as_deref() == Some(issuer) {
        return Ok(());
    }
    if let Some(former) = former {
        tracing::warn!(
            "the issuer was {former} and is {issuer} now: clients that are set up with {former} refuse its ID tokens \
             and do not find its endpoints, resource servers have to be told, and everybody signs in anew where the host \
             is another; if it is a mistake, set it back"
        );
    }
    Ok(store.run(RememberIssuer { issuer: issuer.to_owned() }).await?)
}

/// Makes the root workspace, then the cell, which says that the store is whole: a start that ends in between
/// finds the workspace by its name and goes on.
async fn make_cell(store: &Store, master: &CheckedKey, starting: &Starting) -> anyhow::Result<WorkspaceId> {
    let now = starting.clock.now();
    let name = if starting.demo { demo::WORKSPACE } else { "default" };
    let id = WorkspaceId::from_bytes(opalid_core::ids::uuid_v7(now, 0, random::bytes()));
    let stamp = stamp(id, starting, "first start");
    let settings = WorkspaceSettings {
        display_name: if starting.demo { "Opalid demo".into() } else { String::new() },
        ..Default::default()
    };
    let keys = first_keys_under(id, master)?;
    let made = store.run(CreateWorkspace { stamp, name: name.into(), settings, keys }).await?;
    let root = if made { id } else { store.find_workspace(name).await?.context("the root workspace")?.workspace.id };
    let key_check = master.check().to_vec();
    store.run(MakeCell { cell: Cell { key_check, root_workspace: Some(root), demo: starting.demo }, now }).await?;
    Ok(root)
}
