//! The master key and the password of the database, on the real binary: from a variable or a file, never from an
//! argument or a URL; and the real binary on PostgreSQL.

use std::path::Path;

use tokio_postgres::NoTls;

use crate::faults::cluster::Cluster;
use crate::faults::daemon::Line;
use crate::paste::{How, Running, refused_with, start_with};
use crate::support::folder::Folder;

/// Two master keys as they are written.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const OTHER: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA";
const PASSWORD: &str = "hunter2-of-the-database";

const fn demo<'a>(variables: &'a [(&'a str, &'a str)]) -> How<'a> {
    How { demo: true, https: false, arguments: &[], variables }
}

fn line(running: &Running) -> Line {
    Line { port: running.port }
}

fn stop(running: Running) {
    let (status, said) = running.terminate();
    assert!(status.success(), "{said}");
    for secret in [KEY, OTHER, PASSWORD] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[track_caller]
fn assert_says(said: &str, what: &str) {
    assert!(said.contains(what), "{said}");
    for secret in [KEY, OTHER, PASSWORD] {
        assert!(!said.contains(secret), "{said}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn the_master_key_comes_from_a_variable_or_a_file_and_then_none_lies_in_the_folder() {
    let (data, elsewhere) = (Folder::new(), Folder::new());
    let file = elsewhere.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let (by_file, by_variable) = (elsewhere.path().join("file.toml"), elsewhere.path().join("variable.toml"));
    std::fs::write(&by_file, format!("master_key = {{ file = \"{file}\" }}\n")).unwrap();
    std::fs::write(&by_variable, "master_key = { env = \"WHATEVER\" }\n").unwrap();

    let running = start_with(data.path(), demo(&[("OPALID_MASTER_KEY", KEY)]));
    let token = line(&running).mint().unwrap().field("access_token");
    stop(running);
    for variables in [
        &[("OPALID_MASTER_KEY_FILE", file)][..],
        &[("OPALID_CONFIG", by_file.to_str().unwrap())],
        &[("OPALID_CONFIG", by_variable.to_str().unwrap()), ("WHATEVER", KEY)],
        &[("OPALID_MASTER_KEY", KEY)],
    ] {
        let running = start_with(data.path(), demo(variables));
        assert!(line(&running).is_active(&token), "{variables:?}");
        stop(running);
        assert!(!names(data.path()).contains(&"master.key".into()), "{variables:?}");
    }

    assert_says(&refused_with(data.path(), demo(&[])), "cannot read the master key");
    assert_says(&refused_with(data.path(), demo(&[("OPALID_MASTER_KEY_FILE", "/nowhere/key")])), "/nowhere/key");
    assert!(!names(data.path()).contains(&"master.key".into()), "none was made for a store that has one");
}

#[test]
fn a_store_is_refused_under_another_master_key_wherever_that_comes_from_and_is_left_alone() {
    let data = Folder::new();
    let running = start_with(data.path(), demo(&[("OPALID_MASTER_KEY", KEY)]));
    let token = line(&running).mint().unwrap().field("access_token");
    stop(running);
    let contents = || {
        // SQLite's index of its log is made anew by whoever opens it.
        let mut names = names(data.path());
        names.retain(|name| name != "opalid.db-shm");
        names.sort_unstable();
        names.into_iter().map(|name| (std::fs::read(data.path().join(&name)).ok(), name)).collect::<Vec<_>>()
    };
    let before = contents();
    let file = Folder::new();
    let file = file.path().join("key");
    std::fs::write(&file, OTHER).unwrap();
    let said = refused_with(data.path(), demo(&[("OPALID_MASTER_KEY", OTHER)]));
    assert_says(&said, "another master key");
    let said = refused_with(data.path(), demo(&[("OPALID_MASTER_KEY_FILE", file.to_str().unwrap())]));
    assert_says(&said, "another master key");
    assert!(contents() == before, "the folder is as it was");

    // One that lies in the folder does not count beside one that is given.
    std::fs::copy(&file, data.path().join("master.key")).unwrap();
    assert_says(&refused_with(data.path(), demo(&[])), "another master key");
    let running = start_with(data.path(), demo(&[("OPALID_MASTER_KEY", KEY)]));
    assert!(line(&running).is_active(&token));
    stop(running);
}

#[test]
fn what_is_no_master_key_or_is_said_where_others_can_read_it_is_refused_and_makes_nothing() {
    let (data, elsewhere) = (Folder::new(), Folder::new());
    let literal = elsewhere.path().join("literal.toml");
    std::fs::write(&literal, format!("master_key = \"{KEY}\"\n")).unwrap();
    let cut = &KEY[1..];
    for (variables, why) in [
        (&[("OPALID_MASTER_KEY", cut)][..], "not a master key"),
        (&[("OPALID_MASTER_KEY", KEY), ("OPALID_MASTER_KEY_FILE", "/nowhere")], "set one of the two"),
        (&[("OPALID_CONFIG", literal.to_str().unwrap())], "expected { env = \"NAME\" }"),
    ] {
        let said = refused_with(data.path(), demo(variables));
        assert!(said.contains(why) && !said.contains(cut), "{said}");
    }
    let said = refused_with(data.path(), How { arguments: &["--master-key", KEY], ..demo(&[]) });
    assert!(said.contains("unexpected argument '--master-key'"), "{said}");
    assert_eq!(names(data.path()), [""; 0]);
}

/// A database of a user who needs a password.
struct Guarded {
    cluster: Cluster,
    url: String,
}

impl Guarded {
    async fn start() -> Self {
        // Asked for as it is: what SCRAM computes takes long in a build that is not optimized.
        let rules = "host all opalid 127.0.0.1/32 password\nhost all postgres 127.0.0.1/32 trust\n";
        let cluster = Cluster::start_with(&[("pg_hba.conf", rules)]);
        let url = cluster.url().replace("postgres@", "opalid@");
        let (address, _) = url.rsplit_once('/').unwrap();
        let guarded = Self { url: format!("{address}/opalid"), cluster };
        let client = guarded.connect("postgres").await;
        client.batch_execute(&format!("CREATE ROLE opalid LOGIN PASSWORD '{PASSWORD}'")).await.unwrap();
        client.batch_execute("CREATE DATABASE opalid OWNER opalid").await.unwrap();
        guarded
    }

    async fn connect(&self, database: &str) -> tokio_postgres::Client {
        let url = self.cluster.url();
        let (address, _) = url.rsplit_once('/').unwrap();
        let (client, connection) = tokio_postgres::connect(&format!("{address}/{database}"), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Every row of every table, with the transaction that wrote it.
    async fn rows(&self) -> Vec<String> {
        let client = self.connect("opalid").await;
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
        let mut rows = Vec::new();
        for table in client.query(tables, &[]).await.unwrap() {
            let table: String = table.get(0);
            let all = format!("SELECT xmin::text || ' ' || t::text FROM {table} t ORDER BY 1");
            rows.extend(
                client.query(&all, &[]).await.unwrap().iter().map(|row| format!("{table} {}", row.get::<_, String>(0))),
            );
        }
        rows
    }
}

#[tokio::test]
async fn the_real_binary_on_postgresql_keeps_what_it_gave_and_what_it_took_through_a_restart() {
    let (data, guarded) = (Folder::new(), Guarded::start().await);
    let file = Folder::new();
    let file = file.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let (file, database) = (file.to_str().unwrap(), ("OPALID_DATABASE", guarded.url.as_str()));
    let running = start_with(data.path(), demo(&[database, ("OPALID_DATABASE_PASSWORD", PASSWORD)]));
    let token = |running: &Running| line(running).mint().unwrap().field("access_token");
    let (live, dead) = (token(&running), token(&running));
    assert!(line(&running).is_active(&live) && line(&running).is_active(&dead));
    assert_eq!(line(&running).revoke(&dead).unwrap().status, 200);
    assert!(!line(&running).is_active(&dead));
    stop(running);
    assert!(!names(data.path()).iter().any(|name| name.contains(".db")), "{:?}", names(data.path()));

    let running = start_with(data.path(), demo(&[database, ("OPALID_DATABASE_PASSWORD_FILE", file)]));
    assert!(line(&running).is_active(&live) && !line(&running).is_active(&dead));
    assert!(line(&running).is_active(&token(&running)));
    stop(running);

    let configuration = data.path().join("opalid.toml");
    let text = format!("database = \"{}\"\ndatabase_password = {{ file = \"{file}\" }}\n", guarded.url);
    std::fs::write(&configuration, text).unwrap();
    let running = start_with(data.path(), demo(&[("OPALID_CONFIG", configuration.to_str().unwrap())]));
    assert!(line(&running).is_active(&live) && !line(&running).is_active(&dead));
    stop(running);
}

#[tokio::test]
async fn a_database_without_its_password_or_under_another_master_key_is_refused_and_left_alone() {
    let (data, guarded) = (Folder::new(), Guarded::start().await);
    let (database, password) = (("OPALID_DATABASE", guarded.url.as_str()), ("OPALID_DATABASE_PASSWORD", PASSWORD));
    let said = refused_with(data.path(), demo(&[database, ("OPALID_DATABASE_PASSWORD", "wrong")]));
    assert_says(&said, "password authentication failed");
    assert_says(&refused_with(data.path(), demo(&[database])), "password");
    let with_password = guarded.url.replace("opalid@", &format!("opalid:{PASSWORD}@"));
    let said = refused_with(data.path(), demo(&[("OPALID_DATABASE", &with_password)]));
    assert_says(&said, "expected a URL without a password");
    let said = refused_with(data.path(), How { arguments: &["--database", &with_password], ..demo(&[]) });
    assert_says(&said, "expected a URL without a password");
    let said = refused_with(data.path(), How { arguments: &["--database-password", "x"], ..demo(&[database]) });
    assert_says(&said, "unexpected argument '--database-password'");
    assert_eq!(guarded.rows().await, [""; 0], "nothing was made");

    let key = ("OPALID_MASTER_KEY", KEY);
    let running = start_with(data.path(), demo(&[database, password, key]));
    let token = line(&running).mint().unwrap().field("access_token");
    stop(running);
    let before = guarded.rows().await;
    assert!(before.len() > 10, "{before:?}");
    let other = refused_with(data.path(), demo(&[database, password, ("OPALID_MASTER_KEY", OTHER)]));
    assert_says(&other, "another master key");
    assert_says(&refused_with(data.path(), demo(&[database, password])), "cannot read the master key");
    let bare = refused_with(data.path(), How { demo: false, ..demo(&[database, password, key]) });
    assert_says(&bare, "the store of a demo");
    assert!(guarded.rows().await == before, "a start that was refused wrote something");
    let running = start_with(data.path(), demo(&[database, password, key]));
    assert!(line(&running).is_active(&token));
    stop(running);
}
