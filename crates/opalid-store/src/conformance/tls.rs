//! TLS to PostgreSQL: the right authority and name, or no connection. The keys here are for these tests alone.

use rustix::process::Signal;

use super::cluster::Cluster;
use super::place::{Place, execute};
use super::world::World;
use crate::{Location, StoreError};

const CERTIFICATE: &str = include_str!("tls/server.certificate.pem");
const KEY: &str = include_str!("tls/server.key.pem");
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/conformance/tls/authority.pem");
const ANOTHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/conformance/tls/another-authority.pem");

/// A cluster that takes `opalid` with the password `pass`, and `trusted` without one, both by TLS alone.
async fn with_tls() -> Cluster {
    let hba = "hostssl all opalid 127.0.0.1/32 scram-sha-256\nhostssl all trusted 127.0.0.1/32 trust\n\
               hostnossl all postgres 127.0.0.1/32 trust\n";
    let cluster = Cluster::start_with(&[("server.crt", CERTIFICATE), ("server.key", KEY), ("pg_hba.conf", hba)]);
    let roles = "CREATE ROLE opalid LOGIN PASSWORD 'pass'; CREATE ROLE trusted LOGIN SUPERUSER";
    execute(&cluster.url(), roles).await.unwrap();
    cluster.set("ssl = on");
    cluster.stop("fast");
    cluster.start_again();
    cluster
}

/// The URL of the same cluster for `opalid` at this host.
fn url(cluster: &Cluster, host: &str, options: &str) -> String {
    cluster.url().replace("postgres@127.0.0.1", &format!("opalid@{host}")) + "?" + options
}

async fn why_not(url: &str) -> String {
    match Location::postgres(url, Some("pass")).unwrap().look().await {
        Err(StoreError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_a_certificate_of_the_right_authority_and_name_is_believed() {
    let cluster = with_tls().await;
    // The password proves that the server is the one whose certificate this is (SCRAM with channel binding).
    let bound =
        url(&cluster, "localhost", &format!("sslmode=verify-full&sslrootcert={AUTHORITY}&channel_binding=require"));
    assert!(Location::postgres(&bound, Some("pass")).unwrap().look().await.unwrap().is_none());
    let server = url(&cluster, "localhost", &format!("sslmode=verify-full&sslrootcert={AUTHORITY}"));
    let server = server.replace("opalid@", "trusted@");
    let place = Place::Postgres { server, name: "postgres".into() };
    let world = World::new(&place).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    world.store.run(world.kill(&token)).await.unwrap();
    assert!(world.why_dead(&token).await.is_some());
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is() {
    let cluster = with_tls().await;
    let full = |host, roots| url(&cluster, host, &format!("sslmode=verify-full&sslrootcert={roots}"));
    let unknown = why_not(&full("localhost", ANOTHER)).await;
    assert!(unknown.contains("certificate") && unknown.contains("UnknownIssuer"), "{unknown}");
    // The certificate is for localhost.
    let misnamed = why_not(&full("127.0.0.1", AUTHORITY)).await;
    assert!(misnamed.contains("certificate") && misnamed.contains("127.0.0.1"), "{misnamed}");
    let plain = why_not(&url(&cluster, "localhost", "sslmode=disable")).await;
    assert!(plain.contains("pg_hba.conf"), "{plain}");
    let bare = Cluster::start();
    let refused = why_not(&url(&bare, "localhost", &format!("sslmode=verify-full&sslrootcert={AUTHORITY}"))).await;
    assert!(refused.contains("does not support TLS"), "{refused}");
}

/// A server that stands still in the middle of a handshake is one that does not answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_hangs_is_an_outage() {
    let cluster = with_tls().await;
    cluster.processes().into_iter().for_each(|pid| Cluster::signal(pid, Signal::STOP));
    let hangs = why_not(&url(&cluster, "localhost", &format!("sslmode=verify-full&sslrootcert={AUTHORITY}"))).await;
    assert!(hangs.contains("in time"), "{hangs}");
}
