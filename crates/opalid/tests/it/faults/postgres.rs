//! PostgreSQL stopped, killed, hanging, full, read only, and back: what is asked meanwhile is answered from memory
//! within the lease or with 503, nothing is reported as done that was not, and nobody has to start the server again.

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use opalid::clock::boottime;
use opalid::http::routes::Endpoint;
use opalid_store::Location;
use opalid_store::memory::BootTime;
use rustix::process::Signal;
use tokio_postgres::NoTls;

use super::cluster::Cluster;
use crate::support::browser::Landed;
use crate::support::demo_person::{self, CALLBACK, CHALLENGE, DEMO_APP};
use crate::support::html::Form;
use crate::support::http::{Answer, encode};
use crate::support::{Browser, CLIENT_CREDENTIALS, DEMO_API, FORM, Server};

/// So that a test that hangs fails. How soon is soon stands where the server's own bounds are tested.
const GUARD: Duration = Duration::from_secs(10);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, what).await.expect("no answer")
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("it never came: {what}"));
}

/// A server on a cluster of its own, with people in the middle of things.
struct World {
    cluster: Cluster,
    server: Server,
    /// Tokens of a client for itself: known to memory, revoked, and to be revoked.
    live: String,
    dead: String,
    doomed: String,
    /// Of a person: an access token that memory knows, a refresh token, a code that nobody has redeemed.
    access: String,
    refresh: String,
    code: String,
    /// Signed in, agreed; on the page for name and password; on the page that asks for agreement.
    signed_in: Browser,
    signing_in: (Browser, Form),
    agreeing: (Browser, Form),
}

const SCOPE: &str = "openid read offline_access";

fn authorize() -> String {
    let fields = [
        ("client_id", DEMO_APP),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", SCOPE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    format!("/authorize?{}", encode(&fields))
}

impl World {
    async fn new(boottime: BootTime) -> Self {
        let cluster = Cluster::start();
        let server = Server::demo_on(Location::postgres(&cluster.url(), None).unwrap(), boottime).await;
        let (live, dead, doomed) =
            (server.token_of(DEMO_API).await, server.token_of(DEMO_API).await, server.token_of(DEMO_API).await);
        assert_eq!(revoke(&server, &dead).await.status, 200);
        let mut signed_in = Browser::new();
        let code = demo_person::code(&server, &mut signed_in, SCOPE).await;
        let tokens = demo_person::redeem(&server, &code).await;
        let code = demo_person::code(&server, &mut signed_in, SCOPE).await;

        let mut agreeing = Browser::new();
        let page = agreeing.open(&server, &authorize()).await.page();
        let (login, password) = opalid::demo::USERS[1];
        let bob = page.form("sign-in").with("login", login).with("password", password);
        let agree = agreeing.submit(&server, &bob).await.page().form("allow");
        let mut signing_in = Browser::new();
        let page = signing_in.open(&server, &authorize()).await.page();
        let sign_in = page.form("sign-in").with("login", login).with("password", password);

        let (access, refresh) = (tokens.field("access_token"), tokens.field("refresh_token"));
        let (signing_in, agreeing) = ((signing_in, sign_in), (agreeing, agree));
        let world =
            Self { cluster, server, live, dead, doomed, access, refresh, code, signed_in, signing_in, agreeing };
        for token in [&world.live, &world.access] {
            assert!(world.server.is_active(DEMO_API, token).await);
        }
        assert_eq!(world.userinfo().await.status, 200);
        world
    }

    async fn userinfo(&self) -> Answer {
        let bearer = format!("Bearer {}", self.access);
        soon(self.server.request("GET", "/userinfo", &[("authorization", &bearer)], b"")).await
    }

    /// What is asked for a person, and needs the store; pages are answered with a page.
    fn what_changes_things(&self) -> Vec<(&'static str, Asked<'_>)> {
        let server = &self.server;
        let form = |(browser, form): &(Browser, Form)| {
            let (mut browser, form) = (browser.clone(), form.clone());
            async move { landed(browser.submit(server, &form).await) }
        };
        let open = |target: String| {
            let mut browser = self.signed_in.clone();
            async move { landed(browser.open(server, &target).await) }
        };
        vec![
            ("a refresh", Box::pin(demo_person::refresh(server, &self.refresh))),
            ("a code", Box::pin(demo_person::redeem(server, &self.code))),
            ("a revocation", Box::pin(revoke(server, &self.doomed))),
            ("a revocation of a refresh token", Box::pin(revoke_refresh(server, &self.refresh))),
            ("page: authorize", Box::pin(open(authorize()))),
            (
                "page: authorize, by somebody new",
                Box::pin(async { landed(Browser::new().open(server, &authorize()).await) }),
            ),
            ("page: signing in", Box::pin(form(&self.signing_in))),
            ("page: agreeing", Box::pin(form(&self.agreeing))),
            ("page: signing out", Box::pin(open("/sign-out".into()))),
        ]
    }

    async fn change_is_refused(&self) {
        let answers = self.what_changes_things().into_iter().map(|(what, asked)| async move {
            let answer = soon(asked).await;
            assert_eq!(answer.status, 503, "{what}: {answer:?}");
            if answer.headers.is_empty() {
                return;
            }
            let media = if what.starts_with("page: ") { "text/html; charset=utf-8" } else { "application/json" };
            assert_eq!(answer.header("content-type"), Some(media), "{what}");
            assert_eq!(answer.header("location"), None, "{what}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        });
        join_all(answers).await;
    }

    /// Memory answers for what it knows.
    async fn memory_answers(&self) {
        let server = &self.server;
        assert!(soon(server.is_active(DEMO_API, &self.live)).await);
        assert!(!soon(server.is_active(DEMO_API, &self.dead)).await);
        assert_eq!(self.userinfo().await.status, 200);
        assert_eq!(soon(server.form_post_as(DEMO_API, "/token", &[CLIENT_CREDENTIALS])).await.status, 200);
    }

    /// The lease is over: nobody but the probe for the process is told anything.
    async fn nothing_is_answered(&self) {
        let server = &self.server;
        for token in [&self.live, &self.dead, &self.doomed] {
            let answer = soon(server.introspect(DEMO_API, token)).await;
            assert_eq!((answer.status, answer.field("error")), (503, "temporarily_unavailable".into()));
        }
        let all = Endpoint::ALL.iter().flat_map(|endpoint| {
            let methods = endpoint.methods().split(", ").filter(|method| *method != "HEAD");
            methods.map(move |method| async move {
                let answer = soon(server.request(method, endpoint.path(), &[FORM], b"")).await;
                let expected = if *endpoint == Endpoint::Healthz { 200 } else { 503 };
                assert_eq!(answer.status, expected, "{method} {}: {answer:?}", endpoint.path());
                assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {}", endpoint.path());
                // Who came with a browser sees a page.
                let page = ["/", "/authorize", "/sign-in", "/consent", "/logout", "/set-password", "/signed-out"];
                if page.contains(&endpoint.path()) {
                    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{}", endpoint.path());
                    assert!(answer.text().contains("cannot reach its store"), "{}", answer.text());
                }
            })
        });
        join_all(all).await;
    }

    async fn probes(&self) -> (u16, u16) {
        (soon(self.server.get("/healthz")).await.status, soon(self.server.get("/readyz")).await.status)
    }

    /// The database is there again: everything goes on, and what was refused is done or not, never half.
    async fn goes_on(&self) {
        let server = &self.server;
        until("ready", async || self.probes().await == (200, 200)).await;
        until("an answer", async || soon(server.introspect(DEMO_API, &self.live)).await.status == 200).await;
        assert!(server.is_active(DEMO_API, &self.live).await);
        assert!(!server.is_active(DEMO_API, &self.dead).await, "a revoked token revived");
        // The first that come may still meet connections that have died.
        until("a revocation", async || soon(revoke(server, &self.doomed)).await.status == 200).await;
        assert!(!server.is_active(DEMO_API, &self.doomed).await);
        until("a refresh", async || {
            let answer = soon(demo_person::refresh(server, &self.refresh)).await;
            // It may have been revoked after all, though nobody could say so.
            let refused = answer.status == 400 && answer.field("error") == "invalid_grant";
            assert!(refused || matches!(answer.status, 200 | 503), "{answer:?}");
            answer.status != 503
        })
        .await;
        until("a sign-in", async || {
            let (mut browser, form) = (Browser::new(), async |page: Landed| page.page().form("sign-in"));
            let landed = browser.open(server, &authorize()).await;
            if matches!(&landed, Landed::Here(_, answer) if answer.status == 503) {
                return false;
            }
            let (login, password) = opalid::demo::USERS[0];
            let form = form(landed).await.with("login", login).with("password", password);
            let landed = browser.submit(server, &form).await;
            matches!(browser.allow(server, landed).await, Landed::Away(_))
        })
        .await;
    }
}

type Asked<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

async fn revoke(server: &Server, token: &str) -> Answer {
    server.form_post_as(DEMO_API, "/revoke", &[("token", token)]).await
}

async fn revoke_refresh(server: &Server, token: &str) -> Answer {
    server.form_post("/revoke", &[("token", token), ("client_id", DEMO_APP)]).await
}

/// Where a browser ended. An application whose address is known is told (RFC 6749 §4.1.2.1) instead of the person.
fn landed(landed: Landed) -> Answer {
    match landed {
        Landed::Here(_, answer) => answer,
        Landed::Away(to) => {
            let error = format!("{CALLBACK}?error=temporarily_unavailable&");
            assert!(to.starts_with(&error) && !to.contains("code="), "{to}");
            Answer { status: 503, headers: Vec::new(), body: Vec::new() }
        }
    }
}

/// Somebody beside the server.
async fn other(cluster: &Cluster) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A whole outage: refused, answered from memory, then not at all, then back. `lease` is the clock of leases, in
/// seconds; it stands still unless it is moved.
async fn outage(world: &World, lease: &AtomicU64, mend: impl FnOnce(&Cluster)) {
    assert_eq!(world.probes().await, (200, 503));
    world.memory_answers().await;
    world.change_is_refused().await;
    world.memory_answers().await;
    lease.fetch_add(11, Ordering::SeqCst);
    world.nothing_is_answered().await;
    mend(&world.cluster);
    world.goes_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_postgresql_that_is_stopped_is_503_until_it_is_back() {
    static LEASE: AtomicU64 = AtomicU64::new(1000);
    let world = World::new(|| Duration::from_secs(LEASE.load(Ordering::SeqCst))).await;
    world.cluster.stop("immediate");
    // For longer than it takes to notice: only the lease says when memory is not to be believed.
    let begun = boottime();
    until("a failed question", async || {
        world.memory_answers().await;
        boottime() - begun > Duration::from_secs(4)
    })
    .await;
    outage(&world, &LEASE, Cluster::start_again).await;
    // Nothing of what was refused had been done.
    assert_eq!(demo_person::redeem(&world.server, &world.code).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_postgresql_that_is_killed_with_all_its_children_is_503_until_it_is_back() {
    static LEASE: AtomicU64 = AtomicU64::new(1000);
    let world = World::new(|| Duration::from_secs(LEASE.load(Ordering::SeqCst))).await;
    let all = world.cluster.processes();
    all.iter().for_each(|pid| Cluster::signal(*pid, Signal::KILL));
    until("their end", async || !all.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists())).await;
    outage(&world, &LEASE, Cluster::start_again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_postgresql_that_stands_still_is_503_until_it_moves() {
    static LEASE: AtomicU64 = AtomicU64::new(1000);
    let world = World::new(|| Duration::from_secs(LEASE.load(Ordering::SeqCst))).await;
    let all = world.cluster.processes();
    all.iter().for_each(|pid| Cluster::signal(*pid, Signal::STOP));
    outage(&world, &LEASE, |_| all.iter().for_each(|pid| Cluster::signal(*pid, Signal::CONT))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_postgresql_whose_connections_others_have_taken_is_503_until_there_is_room() {
    static LEASE: AtomicU64 = AtomicU64::new(1000);
    let world = World::new(|| Duration::from_secs(LEASE.load(Ordering::SeqCst))).await;
    let mut taken = vec![other(&world.cluster).await.unwrap()];
    until("no connection of the server's", async || {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'opalid'";
        let left: i64 = taken[0].query_one(sql, &[]).await.unwrap().get(0);
        while let Ok(one) = other(&world.cluster).await {
            taken.push(one);
        }
        left == 0
    })
    .await;
    outage(&world, &LEASE, |_| drop(taken)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_postgresql_that_takes_no_writes_refuses_change_and_answers_the_rest() {
    let world = World::new(boottime).await;
    let read_only = |how| {
        world.cluster.set(&format!("default_transaction_read_only = {how}"));
        world.cluster.reload();
    };
    read_only("on");
    // Each session hears of it for itself.
    until("no writes", async || {
        let token = world.server.token_of(DEMO_API).await;
        let stored = landed(Browser::new().open(&world.server, &authorize()).await);
        [revoke(&world.server, &token).await.status, stored.status] == [503; 2]
    })
    .await;
    for what in ["a refresh", "a code", "a revocation", "page: signing in", "page: agreeing"] {
        let asked = world.what_changes_things().into_iter().find(|(name, _)| *name == what).unwrap().1;
        assert_eq!(soon(asked).await.status, 503, "{what}");
    }
    assert_eq!(world.probes().await, (200, 200));
    world.memory_answers().await;
    read_only("off");
    world.goes_on().await;
    assert_eq!(demo_person::redeem(&world.server, &world.code).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_that_hangs_is_not_reported_as_done_and_memory_waits_for_what_became_of_it() {
    let world = World::new(boottime).await;
    let (server, memory) = (&world.server, world.server.app.store.memory());
    // COMMIT waits for a standby that is not there.
    world.cluster.set("synchronous_standby_names = 'nobody'");
    world.cluster.reload();
    let mut doubtful = server.token_of(DEMO_API).await;
    until("a COMMIT that hangs", async || {
        doubtful = server.token_of(DEMO_API).await;
        let answer = soon(revoke(server, &doubtful)).await;
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        answer.status == 503
    })
    .await;
    until("the doubt", async || memory.trust().is_none()).await;
    assert_eq!(soon(demo_person::refresh(server, &world.refresh)).await.status, 503);
    world.cluster.set("synchronous_standby_names = ''");
    world.cluster.reload();
    until("the end of the doubt", async || memory.trust().is_some()).await;
    // What hung was committed after all, and memory knows.
    assert!(!server.is_active(DEMO_API, &doubtful).await);
    assert_eq!(revoke(server, &doubtful).await.status, 200);
    let again = demo_person::refresh(server, &world.refresh).await;
    assert_eq!(again.status, 200, "the retry gets the successor: {again:?}");
    world.goes_on().await;
}

/// Revokes tokens, each as soon as it has it, until it is told to stop. Gives those that were said to be dead, and
/// those of which nothing was said.
async fn revoke_many(server: &Server, stop: &AtomicBool) -> (Vec<String>, Vec<String>) {
    let (mut dead, mut unknown) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::SeqCst) {
        let minted = soon(server.form_post_as(DEMO_API, "/token", &[CLIENT_CREDENTIALS])).await;
        if minted.status == 503 {
            continue;
        }
        let token = minted.field("access_token");
        let answer = soon(revoke(server, &token)).await;
        let asked = soon(server.introspect(DEMO_API, &token)).await;
        match answer.status {
            200 => {
                assert!(asked.status == 503 || asked.json()["active"] == false, "revoked, and then: {asked:?}");
                dead.push(token);
            }
            503 => unknown.push(token),
            _ => panic!("{answer:?}"),
        }
    }
    (dead, unknown)
}

/// Many revoke while `trouble` happens; what they were told holds afterwards.
async fn under_load(world: &World, trouble: impl Future<Output = ()>) {
    let (stop, server) = (AtomicBool::new(false), &world.server);
    let load = join_all((0..8).map(|_| revoke_many(server, &stop)));
    let ((), seen) = tokio::join!(
        async {
            trouble.await;
            until("ready", async || world.probes().await == (200, 200)).await;
            stop.store(true, Ordering::SeqCst);
        },
        load
    );
    world.goes_on().await;
    let (dead, unknown): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
    assert!(dead.iter().map(Vec::len).sum::<usize>() > 0, "the load did nothing");
    for token in dead.into_iter().flatten() {
        assert!(!server.is_active(DEMO_API, &token).await, "a revoked token revived");
    }
    for token in unknown.into_iter().flatten() {
        let first = server.is_active(DEMO_API, &token).await;
        assert!(first || !server.is_active(DEMO_API, &token).await, "dead, and then alive");
        assert_eq!(revoke(server, &token).await.status, 200);
        assert!(!server.is_active(DEMO_API, &token).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_revocation_that_was_answered_is_lost_when_postgresql_is_killed_under_load() {
    let world = World::new(boottime).await;
    let begun = world.server.app.store.memory().position().0;
    let trouble = async {
        until("some revocations", async || world.server.app.store.memory().position().0 > begun + 20).await;
        world.cluster.stop("immediate");
        world.cluster.start_again();
    };
    under_load(&world, trouble).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_revocation_that_was_answered_is_lost_when_its_sessions_are_ended_under_load() {
    let world = World::new(boottime).await;
    let trouble = async {
        let admin = other(&world.cluster).await.unwrap();
        for _ in 0..10 {
            let begun = world.server.app.store.memory().position().0;
            until("some revocations", async || world.server.app.store.memory().position().0 > begun + 5).await;
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'opalid'";
            admin.execute(sql, &[]).await.unwrap();
        }
    };
    under_load(&world, trouble).await;
}
