//! A rotation of the master key of which PostgreSQL does not say what became of it.

use std::path::PathBuf;

use opalid::clock::boottime;
use opalid::keys::keeper::keep;
use opalid::manage::{Command, ManageError, Reply, Request, handle};
use opalid_store::Location;
use tokio_postgres::NoTls;

use super::cluster::Cluster;
use crate::support::{CLIENT_CREDENTIALS, DEMO_API, Server};

async fn server_on(cluster: &Cluster) -> Server {
    Server::demo_on(Location::postgres(&cluster.url(), None).unwrap(), boottime).await
}

async fn rotate(server: &Server) -> Result<String, ManageError> {
    let command = Command::RotateMasterKey { key: None };
    match handle(&server.app, Request { workspace: None, command }).await? {
        Reply::Done { message } => Ok(message),
        other => panic!("{other:?}"),
    }
}

fn files(server: &Server) -> (PathBuf, PathBuf) {
    (server.app.data.join("master.key"), server.app.data.join("master.key.new"))
}

async fn gets_tokens(server: &Server) -> bool {
    server.form_post_as(DEMO_API, "/token", &[CLIENT_CREDENTIALS]).await.status == 200
}

/// Until the store has recovered from whatever hung: requests that meet a connection that has died are told to come back.
async fn until_it_gets_tokens(server: &Server) {
    while !gets_tokens(server).await {
        tokio::task::yield_now().await;
    }
}

/// COMMIT waits for a standby that is not there, so that a rotation hangs in it. Gives what its operator is told.
async fn rotate_into_a_commit_that_hangs(cluster: &Cluster, server: &Server) -> String {
    cluster.set("synchronous_standby_names = 'nobody'");
    cluster.reload();
    loop {
        // Each connection hears of it for itself.
        match rotate(server).await {
            Ok(_) => {}
            Err(ManageError::Unavailable(why)) => return why,
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn release(cluster: &Cluster) {
    cluster.set("synchronous_standby_names = ''");
    cluster.reload();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_master_key_whose_commit_hangs_is_kept_and_is_the_one_when_the_commit_lands() {
    let cluster = Cluster::start();
    let server = server_on(&cluster).await;
    let token = server.token_of(DEMO_API).await;
    let (file, incoming) = files(&server);
    let said = rotate_into_a_commit_that_hangs(&cluster, &server).await;
    assert!(said.contains("not known yet") && said.contains(incoming.to_str().unwrap()), "{said}");
    let (old, new) = (std::fs::read_to_string(&file).unwrap(), std::fs::read_to_string(&incoming).unwrap());
    let said = rotate(&server).await.unwrap_err().to_string();
    assert!(said.contains("not known yet"), "{said}");
    assert_eq!(std::fs::read_to_string(&incoming).unwrap(), new);
    release(&cluster);
    // It goes on before anybody has asked again what became of it, with keys that only the new one opens.
    until_it_gets_tokens(&server).await;
    assert!(server.is_active(DEMO_API, &token).await);
    let said = loop {
        match rotate(&server).await {
            Ok(said) => break said,
            Err(error) => assert!(matches!(error, ManageError::Unavailable(_)), "{error:?}"),
        }
    };
    assert!(said.contains("was made after all"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), new);
    assert!(!incoming.exists());
    rotate(&server).await.unwrap();
    assert!(![&old, &new].contains(&&std::fs::read_to_string(&file).unwrap()));
    let server = server.restart().await;
    assert!(server.is_active(DEMO_API, &token).await && gets_tokens(&server).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_became_of_a_master_key_is_found_out_by_the_next_start_or_in_the_background() {
    let cluster = Cluster::start();
    let server = server_on(&cluster).await;
    let (file, incoming) = files(&server);
    rotate_into_a_commit_that_hangs(&cluster, &server).await;
    let new = std::fs::read_to_string(&incoming).unwrap();
    release(&cluster);
    let server = server.restart().await;
    assert_eq!((std::fs::read_to_string(&file).unwrap(), incoming.exists()), (new, false));
    assert!(gets_tokens(&server).await);

    rotate_into_a_commit_that_hangs(&cluster, &server).await;
    let new = std::fs::read_to_string(&incoming).unwrap();
    release(&cluster);
    until_it_gets_tokens(&server).await;
    while incoming.exists() {
        drop(keep(&server.app, server.app.now()).await);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), new);
    rotate(&server).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_of_the_master_key_that_never_came_so_far_is_taken_back_once_that_is_known() {
    let cluster = Cluster::start();
    let server = server_on(&cluster).await;
    let (file, incoming) = files(&server);
    let old = std::fs::read_to_string(&file).unwrap();
    // Somebody holds what every change takes last.
    let (mut other, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let holding = other.transaction().await.unwrap();
    holding.execute("SELECT n FROM feed_head FOR UPDATE", &[]).await.unwrap();
    let said = rotate(&server).await.unwrap_err().to_string();
    assert!(said.contains("not known yet"), "{said}");
    assert!(incoming.exists());
    let token = server.token_of(DEMO_API).await;
    holding.rollback().await.unwrap();
    while incoming.exists() {
        drop(keep(&server.app, server.app.now()).await);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), old);
    rotate(&server).await.unwrap();
    assert_ne!(std::fs::read_to_string(&file).unwrap(), old);
    let server = server.restart().await;
    assert!(server.is_active(DEMO_API, &token).await && gets_tokens(&server).await);
}
