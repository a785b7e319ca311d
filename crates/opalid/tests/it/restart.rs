//! What a restart keeps.

use crate::support::{DEMO_API, Server};

#[tokio::test]
async fn a_token_outlives_a_restart_of_the_server() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    assert!(server.is_active(DEMO_API, &token).await);
    let server = server.restart().await;
    assert!(server.is_active(DEMO_API, &token).await);
}
