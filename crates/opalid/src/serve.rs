//! `opalid serve`: sockets, signals, and what is printed when it stands.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use opalid_store::steps::list::{ListUsers, Part};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::app::App;
use crate::demo;
use crate::http::limits::{ConnectionLimits, raise_descriptor_limit};
use crate::http::listen::{self, ListenAddress};
use crate::http::routes::{self, Endpoint};
use crate::http::threads::Threads;
use crate::http::tls::TlsSource;
use crate::keys::keeper;
use crate::manage::socket::{self, CommandSocket};
use crate::metrics::serve_metrics;
use crate::sweeping;

/// Answers on `sockets` until `stop` is true.
pub async fn serve(
    (app, threads): (Arc<App>, Arc<Threads>),
    sockets: Vec<TcpListener>,
    tls: Option<TlsSource>,
    stop: watch::Receiver<bool>,
) {
    let limits = ConnectionLimits::default().within(raise_descriptor_limit());
    let service = move |request, peer| routes::answer(Arc::clone(&app), request, peer);
    listen::serve(sockets, tls, (threads, limits), stop, service).await;
}

/// Where it listens: for clients, and for `/metrics`.
pub struct Sockets {
    clients: Vec<TcpListener>,
    metrics: Vec<TcpListener>,
}

/// Binds, before anything is made.
pub fn bind(addresses: &[ListenAddress], metrics: &[ListenAddress]) -> anyhow::Result<Sockets> {
    let clients = listen::bind(addresses).map_err(|error| {
        anyhow!("{error}; end what listens there, or name another address: --listen (the setting listen)")
    })?;
    let metrics = listen::bind(metrics).map_err(|error| {
        anyhow!(
            "/metrics: {error}; end what listens there, or name another address, or off: --metrics-listen (the setting \
             metrics_listen)"
        )
    })?;
    Ok(Sockets { clients, metrics })
}

/// Prints what a person needs next, serves until a signal says stop. `way` is how a command names this server.
pub async fn run(
    app: App,
    Sockets { clients: sockets, metrics }: Sockets,
    (tls, workers): (Option<TlsSource>, usize),
    way: &str,
) -> anyhow::Result<()> {
    let commands = CommandSocket::bind(&app.data)?;
    let app = Arc::new(app);
    // Before it says that it is ready: from then on a signal has to find somebody who listens to it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    print_start(&app, (&sockets, &metrics), way).await?;
    // They end with this function: what the store runs on them has to outlast it.
    let threads = Arc::new(Threads::start(workers).context("cannot start threads")?);
    let (stopping, stop) = watch::channel(false);
    let commanded = tokio::spawn(socket::serve(Arc::clone(&app), commands, stop.clone()));
    tokio::spawn(serve_metrics(metrics, Arc::clone(&app.metrics), stop.clone()));
    tokio::spawn(sweeping::run(Arc::clone(&app), stop.clone()));
    tokio::spawn(keeper::run(Arc::clone(&app), stop.clone()));
    let server = tokio::spawn(serve((Arc::clone(&app), Arc::clone(&threads)), sockets, tls, stop));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new connections, finishing what is under way");
    stopping.send_replace(true);
    commanded.await.context("the command socket ended badly")?;
    server.await.context("the server ended badly")?;
    app.store.close().await;
    drop(threads);
    Ok(())
}

async fn print_start(app: &App, (sockets, metrics): (&[TcpListener], &[TcpListener]), way: &str) -> anyhow::Result<()> {
    let issuer = &app.base_url;
    println!("Opalid is ready. Issuer: {issuer}");
    let all = |sockets: &[TcpListener]| {
        let addresses = sockets.iter().filter_map(|socket| Some(socket.local_addr().ok()?.to_string()));
        addresses.collect::<Vec<_>>().join(", ")
    };
    println!("Listening on {}.", all(sockets));
    if !metrics.is_empty() {
        println!("Metrics for Prometheus: /metrics on {}.", all(metrics));
    }
    if !app.demo {
        let newest = Part { workspace: app.root, before: None, limit: 1 };
        if app.store.read(ListUsers(newest)).await?.is_empty() {
            println!("Nobody can sign in yet. The first administrator: opalid user create --admin NAME{way}");
        }
        return Ok(());
    }
    println!("Sign in: {issuer}/demo as alice (alice-demo-password) or bob (bob-demo-password)");
    let (console, administrator) = (Endpoint::Inspect.path(), demo::ADMINISTRATOR);
    println!("Look into tokens: {issuer}{console} as {administrator}, who administers the demo");
    println!("Get an opaque token, introspect it, revoke it, introspect it again:\n");
    for line in demo::curl_lines(issuer) {
        println!("{line}");
    }
    println!();
    Ok(())
}
