//! Rotation under load: whoever signs in, exchanges, refreshes, verifies or introspects meanwhile notices nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use opalid::manage::Command;

use super::{done, keep_now, refresh, signed_in};
use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::person::{APP, Ask};

/// How often all keys, and the master key, are rotated meanwhile.
const ROTATIONS: usize = 8;

/// A person at an application, until told to stop: signs in once, then gets codes, exchanges them, checks what came by
/// the key set as it is published, refreshes. Gives how often.
async fn person(server: &Server, over: &AtomicBool, rounds: &AtomicUsize) {
    let mut browser = Browser::new();
    let mut refreshing = signed_in(server, &mut browser).await.field("refresh_token");
    while !over.load(Ordering::SeqCst) {
        let code = browser.silent_code(server, &Ask::new()).await;
        let tokens = server.tokens(&code).await;
        server.id_token(&tokens).await;
        let kid = super::kid(&tokens.field("id_token"));
        assert!(super::kids(server, "RS256").await.contains(&kid), "a client finds the key in the set");
        assert!(server.knows(&tokens.field("access_token")).await);
        let refreshed = refresh(server, &refreshing).await;
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        refreshing = refreshed.json()["refresh_token"].as_str().map_or(refreshing, Into::into);
        rounds.fetch_add(1, Ordering::SeqCst);
        // A session is given so many codes a second.
        server.clock.advance(1);
        if rounds.load(Ordering::SeqCst).is_multiple_of(4) {
            signed_in(server, &mut Browser::new()).await;
        }
    }
}

/// Who asks about a token from before, again and again.
async fn introspection(server: &Server, token: &str, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        assert!(server.is_active(APP, token).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_fails_while_all_keys_and_the_master_key_rotate_again_and_again() {
    let server = Server::with_people().await;
    keep_now(&server).await;
    let old = signed_in(&server, &mut Browser::new()).await.field("access_token");
    let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let rotating = async {
        for round in 0..ROTATIONS {
            let before = rounds.load(Ordering::SeqCst);
            // --now: no client here keeps a key set.
            done(&server, Command::RotateKeys { purpose: None, algorithm: None, now: true }).await;
            if round % 2 == 0 {
                done(&server, Command::RotateMasterKey { key: None }).await;
            }
            keep_now(&server).await;
            while rounds.load(Ordering::SeqCst) < before + 2 {
                tokio::task::yield_now().await;
            }
        }
        over.store(true, Ordering::SeqCst);
    };
    let people = async { tokio::join!(person(&server, &over, &rounds), person(&server, &over, &rounds)) };
    tokio::join!(rotating, people, introspection(&server, &old, &over));
    assert!(rounds.load(Ordering::SeqCst) >= 2 * ROTATIONS);
    let server = server.restart().await;
    assert!(server.is_active(APP, &old).await);
}
