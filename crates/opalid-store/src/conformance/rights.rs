//! A PostgreSQL that does not let us in, or not write: what the error says to do.

use super::cluster::Cluster;
use super::place::{Place, boottime, execute};
use crate::{Location, StoreError};

/// A cluster that takes `opalid` with the password `pass`, and `trusted` without one; neither owns anything.
async fn cluster() -> Cluster {
    let hba = "host all opalid 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    let cluster = Cluster::start_with(&[("pg_hba.conf", hba)]);
    let roles = "CREATE ROLE opalid LOGIN PASSWORD 'pass'; CREATE ROLE trusted LOGIN; CREATE ROLE other LOGIN";
    execute(&cluster.url(), roles).await.unwrap();
    cluster
}

async fn why_not(url: &str, password: Option<&str>) -> String {
    Location::postgres(url, password).unwrap().look().await.expect_err("it was not refused").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_refused_says_to_whom_and_which_setting_is_at_fault() {
    let cluster = cluster().await;
    let url = cluster.url().replace("postgres@", "opalid@");
    let place = url.split_once('@').unwrap().1.split('/').next().unwrap();
    let said = why_not(&url, None).await;
    assert!(said.contains(&format!("PostgreSQL at {place} asks for the password of role opalid")), "{said}");
    assert!(said.contains("database_password (OPALID_DATABASE_PASSWORD"), "{said}");
    let said = why_not(&url, Some("wrong")).await;
    assert!(said.contains("28P01") && said.contains("of role opalid is that of database_password"), "{said}");
    let elsewhere = cluster.url().replace("postgres@", "trusted@").replace("/postgres", "/missing");
    let said = why_not(&elsewhere, None).await;
    assert!(said.contains("make it there: CREATE DATABASE missing OWNER trusted"), "{said}");
    let odd = cluster.url().replace("postgres@", "trusted@").replace("/postgres", "/my-db");
    let said = why_not(&odd, None).await;
    assert!(said.contains("CREATE DATABASE \"my-db\" OWNER trusted"), "{said}");
    cluster.stop("fast");
    let said = why_not(&url, None).await;
    assert!(said.contains(&format!("no PostgreSQL answers at {place}, ")), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_make_tables_is_told_what_it_lacks() {
    let cluster = cluster().await;
    let place = |role: &str| Place::Postgres {
        server: cluster.url().replace("postgres@", &format!("{role}@")),
        name: "postgres".into(),
    };
    let refused = place("trusted").try_open(boottime).await.map(drop).expect_err("it was not refused");
    let StoreError::Refused(said) = &refused else { panic!("{refused:?}") };
    assert!(said.contains("42501") && said.contains("ALTER DATABASE postgres OWNER TO trusted"), "{said}");
    execute(&cluster.url(), "GRANT CREATE ON SCHEMA public TO trusted").await.unwrap();
    place("trusted").try_open(boottime).await.unwrap().close().await;
    // The tables are there, of another role.
    let refused =
        Location::postgres(&place("other").url(), None).unwrap().look().await.expect_err("it was not refused");
    assert!(refused.to_string().contains("REASSIGN OWNED BY that_role TO other"), "{refused}");
}
