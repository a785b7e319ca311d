//! A server of its own for each test, in this process: real sockets, real store, a clock that the test moves.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opalid::app::App;
use opalid::clock::{self, Clock};
use opalid::http::client_address::Network;
use opalid::http::listen::{self, ListenAddress};
use opalid::http::threads::Threads;
use opalid::issuer::first_keys;
use opalid::passwords::password_hash::{HashCost, HasherSettings};
use opalid::restore::{self, Restoring};
use opalid::serve;
use opalid::start::{Starting, start};
use opalid_core::client::ClientSettings;
use opalid_core::ids::{ClientId, ResourceId, WorkspaceId};
use opalid_core::request::GrantType;
use opalid_core::resource::ResourceSettings;
use opalid_core::scope::Scopes;
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::SecretDigest;
use opalid_core::workspace::WorkspaceSettings;
use opalid_store::Location;
use opalid_store::memory::BootTime;
use opalid_store::steps::client::{ClientEvent, CreateClient, TouchClient};
use opalid_store::steps::resource::CreateResource;
use opalid_store::steps::settings::{Edit, UpdateClient, UpdateResource, UpdatedClient};
use opalid_store::steps::workspace::CreateWorkspace;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::CLIENT_CREDENTIALS;
use super::folder::Folder;
use super::http::{self, Answer, basic, encode};

/// What every test's clock says first: 2033-05-18T03:33:20Z.
pub const START: UnixTime = UnixTime(2_000_000_000);

/// A running server.
pub struct Server {
    /// What it shares; to run steps and to look at counts.
    pub app: Arc<App>,
    /// Its clock: `server.clock.advance(60)`.
    pub clock: Clock,
    /// Its root issuer.
    pub issuer: String,
    /// Where it listens.
    pub address: SocketAddr,
    kind: Kind,
    data: Folder,
    stopping: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Server {
    /// As `opalid serve --demo`.
    pub async fn demo() -> Self {
        Self::start(Kind { demo: true, ..Kind::new(location().await) }).await
    }

    /// The same on a PostgreSQL of the test's own, with leases by this clock.
    pub async fn demo_on(place: Location, boottime: BootTime) -> Self {
        Self::start(Kind { demo: true, boottime, ..Kind::new(Some(place)) }).await
    }

    /// As `opalid serve`: a workspace `default` with nothing in it.
    pub async fn empty() -> Self {
        Self::start(Kind::new(location().await)).await
    }

    /// As `opalid serve --demo`, with leases of this length.
    pub async fn with_lease(lease: Duration) -> Self {
        Self::start(Kind { demo: true, lease, ..Kind::new(location().await) }).await
    }

    /// The same behind a proxy that speaks TLS: what comes from these networks is believed to come from where it says.
    pub async fn behind_proxy(trusted: &[&str]) -> Self {
        let trusted_proxies = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Self::start(Kind { scheme: "https", trusted_proxies, ..Kind::new(location().await) }).await
    }

    /// Another server on the same PostgreSQL, with the same issuer and master key, and a data folder of its own.
    pub async fn beside(&self) -> Self {
        let socket = bind(0);
        let address = socket.local_addr().unwrap();
        let (data, clock, kind) = (Folder::new(), self.clock.clone(), self.kind.clone());
        std::fs::copy(self.data.path().join("master.key"), data.path().join("master.key")).unwrap();
        let app = open(data.path(), self.address, &clock, &kind).await;
        let (stopping, running) = run(&app, socket);
        Self { issuer: app.base_url.clone(), app, clock, address, kind, data, stopping, running }
    }

    /// As `opalid serve --demo` on SQLite, at a time that is over.
    pub async fn demo_in_2017() -> Self {
        Self::start(Kind { demo: true, begins: UnixTime(1_500_000_000), ..Kind::new(None) }).await
    }

    async fn start(kind: Kind) -> Self {
        let socket = bind(0);
        let address = socket.local_addr().unwrap();
        let (data, clock) = (Folder::new(), Clock::manual(kind.begins));
        let app = open(data.path(), address, &clock, &kind).await;
        let (stopping, running) = run(&app, socket);
        Self { issuer: app.base_url.clone(), app, clock, address, kind, data, stopping, running }
    }

    /// Stops it and starts it again on the same data folder and port, with the same clock.
    pub async fn restart(self) -> Self {
        let scheme = self.kind.scheme;
        self.restart_under(scheme).await
    }

    /// The same, and its issuer has this scheme from now on.
    pub async fn restart_under(self, scheme: &'static str) -> Self {
        let mut stopped = self.stopped().await;
        stopped.kind.scheme = scheme;
        stopped.started().await
    }

    /// Stops it, puts its store back as `opalid restore` does, and starts it again.
    pub async fn put_back(self) -> Self {
        let stopped = self.stopped().await;
        let (data, location) = (stopped.data.path().to_owned(), stopped.kind.place.clone());
        let file = location.is_none().then(|| data.join("copy.db"));
        for part in ["", "-wal", "-shm"].into_iter().filter(|_| file.is_some()) {
            let (store, copy) = (data.join(format!("opalid.db{part}")), data.join(format!("copy.db{part}")));
            std::fs::rename(store, copy).unwrap();
        }
        let restoring = Restoring { data, location, master_key: None, file };
        restore::put_back(restoring, &mut |_| {}).await.unwrap();
        stopped.started().await
    }

    /// Stops it; gives its data folder.
    pub async fn stop(self) -> Folder {
        self.stopped().await.data
    }

    async fn stopped(self) -> Stopped {
        self.stopping.send_replace(true);
        self.running.await.unwrap();
        let mut app = self.app;
        app.store.close().await;
        // The last connection's task lets go of it a moment after its socket is closed.
        while let Err(shared) = Arc::try_unwrap(app).map(drop) {
            app = shared;
            tokio::task::yield_now().await;
        }
        Stopped { clock: self.clock, address: self.address, kind: self.kind, data: self.data }
    }

    // ---- asking ----

    /// One request.
    pub async fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        http::request(self.address, method, target, headers, body).await
    }

    /// GET.
    pub async fn get(&self, target: &str) -> Answer {
        self.request("GET", target, &[], b"").await
    }

    /// POST of a form without authentication (or with what stands in the form).
    pub async fn form_post(&self, target: &str, fields: &[(&str, &str)]) -> Answer {
        let body = encode(fields);
        self.request("POST", target, &[FORM], body.as_bytes()).await
    }

    /// POST of a form with HTTP Basic.
    pub async fn form_post_as(&self, client: (&str, &str), target: &str, fields: &[(&str, &str)]) -> Answer {
        let (body, authorization) = (encode(fields), basic(client));
        self.request("POST", target, &[FORM, ("authorization", &authorization)], body.as_bytes()).await
    }

    /// An access token by client_credentials, with what the client gets by default.
    pub async fn token_of(&self, client: (&str, &str)) -> String {
        self.token_at("", client).await
    }

    /// The same at the issuer with this path, such as `/acme`.
    pub async fn token_at(&self, path: &str, client: (&str, &str)) -> String {
        let answer = self.form_post_as(client, &format!("{path}/token"), &[CLIENT_CREDENTIALS]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.field("access_token")
    }

    /// What introspection says to `caller`.
    pub async fn introspect(&self, caller: (&str, &str), token: &str) -> Answer {
        self.form_post_as(caller, "/introspect", &[("token", token)]).await
    }

    /// Whether introspection calls the token active, to a caller that may know.
    pub async fn is_active(&self, caller: (&str, &str), token: &str) -> bool {
        let answer = self.introspect(caller, token).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["active"].as_bool().unwrap()
    }

    /// Text with this server's port taken out, for snapshots.
    pub fn portless(&self, text: &str) -> String {
        text.replace(&format!(":{}", self.address.port()), "")
    }

    // ---- making ----

    /// A resource of the root workspace.
    pub async fn resource(&self, uri: &str, scopes: &str) {
        self.resource_in(self.app.root, uri, scopes).await;
    }

    /// A resource.
    pub async fn resource_in(&self, workspace: WorkspaceId, uri: &str, scopes: &str) {
        let settings = ResourceSettings { scopes: Scopes::parse(scopes).unwrap(), ..Default::default() };
        let id = ResourceId::from_bytes(self.app.new_id());
        let step = CreateResource { stamp: self.app.stamp(workspace, "test"), id, uri: uri.into(), settings };
        assert!(self.app.store.run(step).await.unwrap(), "resource {uri} is there already");
    }

    /// A client of the root workspace; public if it has no secret.
    pub async fn client(&self, client_id: &str, secret: Option<&str>, settings: ClientSettings) -> ClientId {
        self.client_in(self.app.root, client_id, secret, settings).await
    }

    /// A client.
    pub async fn client_in(
        &self,
        workspace: WorkspaceId,
        client_id: &str,
        secret: Option<&str>,
        settings: ClientSettings,
    ) -> ClientId {
        let step = CreateClient {
            stamp: self.app.stamp(workspace, "test"),
            id: ClientId::from_bytes(self.app.new_id()),
            client_id: client_id.into(),
            settings,
            roles: Vec::new(),
            secret: secret.map(|secret| SecretDigest::of(secret.as_bytes())),
        };
        let id = step.id;
        assert!(self.app.store.run(step).await.unwrap(), "client {client_id} is there already");
        id
    }

    /// What happens to a client of the root workspace as a whole.
    pub async fn touch_client(&self, client_id: &str, event: ClientEvent) {
        let client = self.app.store.find_client(self.app.root, client_id).await.unwrap().unwrap();
        let step = TouchClient { stamp: self.app.stamp(self.app.root, "test"), id: client.id, event };
        assert!(self.app.store.run(step).await.unwrap());
    }

    /// Gives a client of the root workspace other settings.
    pub async fn update_client(&self, client_id: &str, settings: ClientSettings) {
        let client = self.app.store.find_client(self.app.root, client_id).await.unwrap().unwrap();
        let stamp = self.app.stamp(self.app.root, "test");
        let settings = Edit { from: client.settings.clone(), to: settings };
        let roles = Edit { from: client.roles.clone(), to: client.roles.clone() };
        let step = UpdateClient { stamp, id: client.id, settings, roles, changed: "test".into(), secret: None };
        assert_eq!(self.app.store.run(step).await.unwrap(), UpdatedClient::Done);
    }

    /// Gives a resource of the root workspace other scopes.
    pub async fn update_resource(&self, uri: &str, scopes: &str) {
        self.set_resource(uri, ResourceSettings { scopes: Scopes::parse(scopes).unwrap(), ..Default::default() }).await;
    }

    /// Gives a resource of the root workspace other settings.
    pub async fn set_resource(&self, uri: &str, settings: ResourceSettings) {
        let resource = self.app.store.find_resource(self.app.root, uri).await.unwrap().unwrap();
        let stamp = self.app.stamp(self.app.root, "test");
        let settings = Edit { from: resource.settings.clone(), to: settings };
        let step = UpdateResource { stamp, id: resource.id, settings, changed: "test".into() };
        assert!(self.app.store.run(step).await.unwrap());
    }

    /// A workspace with a path of its own.
    pub async fn workspace(&self, name: &str) -> WorkspaceId {
        let id = WorkspaceId::from_bytes(self.app.new_id());
        let keys = first_keys(id, &self.app.master).unwrap();
        let settings = WorkspaceSettings::default();
        let step = CreateWorkspace { stamp: self.app.stamp(id, "test"), name: name.into(), settings, keys };
        assert!(self.app.store.run(step).await.unwrap(), "workspace {name} is there already");
        id
    }
}

struct Stopped {
    clock: Clock,
    address: SocketAddr,
    kind: Kind,
    data: Folder,
}

impl Stopped {
    async fn started(self) -> Server {
        let Self { clock, address, kind, data } = self;
        let socket = bind(address.port());
        let app = open(data.path(), address, &clock, &kind).await;
        let (stopping, running) = run(&app, socket);
        Server { issuer: app.base_url.clone(), app, clock, address, kind, data, stopping, running }
    }
}

/// What is the same after a restart.
#[derive(Clone)]
struct Kind {
    demo: bool,
    place: Option<Location>,
    boottime: BootTime,
    begins: UnixTime,
    scheme: &'static str,
    trusted_proxies: Vec<Network>,
    lease: Duration,
}

impl Kind {
    fn new(place: Option<Location>) -> Self {
        let trusted_proxies = Vec::new();
        let (boottime, lease) = (clock::boottime as BootTime, Duration::from_secs(5));
        Self { demo: false, place, boottime, begins: START, scheme: "http", trusted_proxies, lease }
    }
}

/// The type of every form.
pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A confidential client that asks for itself, for these resources; the first is its default.
pub fn machine(access: &[(&str, &str)]) -> ClientSettings {
    ClientSettings {
        grant_types: vec![GrantType::ClientCredentials],
        access: access.iter().map(|(uri, scopes)| ((*uri).to_owned(), Scopes::parse(scopes).unwrap())).collect(),
        default_resources: access.first().map(|(uri, _)| (*uri).to_owned()).into_iter().collect(),
        ..ClientSettings::default()
    }
}

/// A resource server of these resources.
pub fn serving(resources: &[&str]) -> ClientSettings {
    ClientSettings { serves: resources.iter().map(|uri| (*uri).to_owned()).collect(), ..ClientSettings::default() }
}

fn bind(port: u16) -> TcpListener {
    let address = ListenAddress::Address(([127, 0, 0, 1], port).into());
    listen::bind(&[address]).unwrap().remove(0)
}

async fn open(data: &Path, address: SocketAddr, clock: &Clock, kind: &Kind) -> Arc<App> {
    let starting = Starting {
        data: data.to_owned(),
        location: kind.place.clone(),
        master_key: None,
        master_key_from: None,
        trusted_proxies: kind.trusted_proxies.clone(),
        audit_kept: Seconds(90 * 24 * 3600),
        issuer: format!("{}://localhost:{}", kind.scheme, address.port()),
        clock: clock.clone(),
        boottime: kind.boottime,
        lease: kind.lease,
        // The smallest cost that argon2 knows: what is tested is how often it runs.
        hasher: HasherSettings {
            cost: HashCost { memory_kib: 8, passes: 1, lanes: 1 },
            ..HasherSettings::for_cores(2)
        },
        demo: kind.demo,
        on_fatal: Arc::new(|why: &str| panic!("{why}")),
    };
    Arc::new(start(starting).await.unwrap())
}

/// Where the store of one test lies: what OPALID_TEST_ENGINE says.
async fn location() -> Option<Location> {
    database().await.map(|url| Location::postgres(&url, None).unwrap())
}

fn variable(name: &str) -> Option<String> {
    std::env::vars().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The URL of a new database on the server of the tests, where OPALID_TEST_ENGINE says that one is wanted. One more
/// engine is one more arm here.
pub async fn database() -> Option<String> {
    static LAST: AtomicU64 = AtomicU64::new(1);
    match variable("OPALID_TEST_ENGINE").as_deref() {
        None | Some("sqlite") => return None,
        Some("postgres") => {}
        Some(other) => panic!("OPALID_TEST_ENGINE={other}: the tests know sqlite and postgres"),
    }
    let server = variable("OPALID_TEST_POSTGRES").expect("no OPALID_TEST_POSTGRES: run ./test");
    let name = format!("opalid_it_{}_{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
    let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
    let (head, _) = server.rsplit_once('/').unwrap();
    Some(format!("{head}/{name}"))
}

fn run(app: &Arc<App>, socket: TcpListener) -> (watch::Sender<bool>, JoinHandle<()>) {
    let (stopping, stop) = watch::channel(false);
    (stopping, tokio::spawn(serve::serve((Arc::clone(app), Arc::new(Threads::here())), vec![socket], None, stop)))
}
