//! The verifier against a real server: a hit asks nobody, and what was revoked is not active when the revocation has returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opalid::clock::boottime;
use opalid_core::token_settings::{AccessTokenFormat, TokenOverrides};
use opalid_core::{lease::Moment, resource::ResourceSettings, scope::Scopes};
use opalid_verifier::{Outage, Settings, Verdict, Verifier};

use crate::support::{DEMO_API, FORM, Server, basic};

const API: &str = "https://api.demo.example/";

fn settings(server: &Server, (client_id, secret): (&str, &str)) -> Settings {
    let mut settings = Settings::new(server.issuer.clone(), client_id, secret.to_owned());
    settings.answer_within = Duration::from_secs(20);
    settings
}

async fn verifier(server: &Server) -> Verifier {
    let verifier = Verifier::start(settings(server, DEMO_API)).unwrap();
    verifier.ready().await;
    verifier
}

fn is_active(verdict: &Result<Verdict, Outage>) -> bool {
    match verdict {
        Ok(Verdict::Active(_)) => true,
        Ok(Verdict::Inactive) => false,
        Err(outage) => panic!("{outage}"),
    }
}

async fn revoke(server: &Server, token: &str) {
    let answer = server.form_post_as(DEMO_API, "/revoke", &[("token", token)]).await;
    assert_eq!((answer.status, answer.header("opalid-settled")), (200, Some("true")), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_checked_from_memory_and_dead_once_its_revocation_has_returned() {
    let server = Server::with_lease(Duration::from_secs(10)).await;
    let verifier = verifier(&server).await;
    for round in 0..100 {
        let token = server.token_of(DEMO_API).await;
        let verdict = verifier.verify(&token).await.unwrap();
        let Verdict::Active(facts) = &verdict else { panic!("round {round}") };
        assert!(facts.is_for(API) && facts.has_scope("read"));
        assert_eq!(facts.client_id, DEMO_API.0);
        assert_eq!(verifier.recall(&token).as_ref(), Some(&verdict), "a hit: nobody is asked");
        revoke(&server, &token).await;
        assert_ne!(verifier.recall(&token), Some(verdict), "round {round}");
        assert!(!is_active(&verifier.verify(&token).await), "round {round}");
        assert_eq!(verifier.recall(&token), Some(Verdict::Inactive), "dead for good is remembered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jwt_dies_as_an_opaque_token_does() {
    let server = Server::with_lease(Duration::from_secs(10)).await;
    let tokens = TokenOverrides { access_token_format: Some(AccessTokenFormat::Jwt), ..TokenOverrides::default() };
    let settings = ResourceSettings { scopes: Scopes::parse("read write").unwrap(), tokens, ..Default::default() };
    server.set_resource(API, settings).await;
    let verifier = verifier(&server).await;
    let token = server.token_of(DEMO_API).await;
    assert!(token.contains('.'), "{token}");
    assert!(is_active(&verifier.verify(&token).await));
    assert!(verifier.recall(&token).is_some());
    revoke(&server, &token).await;
    assert!(!is_active(&verifier.verify(&token).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_check_that_begins_after_a_revocation_returned_says_active_however_many_check() {
    let server = Server::with_lease(Duration::from_secs(10)).await;
    let verifiers = [verifier(&server).await, verifier(&server).await];
    let (accepted, checks) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for round in 0..60 {
        let token = Arc::new(server.token_of(DEMO_API).await);
        let (revoked, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let checking: Vec<_> = (0..4)
            .map(|of| {
                let (verifier, token) = (verifiers[of % 2].clone(), Arc::clone(&token));
                let (revoked, ended) = (Arc::clone(&revoked), Arc::clone(&ended));
                let (accepted, checks) = (Arc::clone(&accepted), Arc::clone(&checks));
                tokio::spawn(async move {
                    while !ended.load(Ordering::SeqCst) {
                        let began_after = revoked.load(Ordering::SeqCst);
                        let verdict = verifier.verify(&token).await;
                        let active = is_active(&verdict);
                        assert!(!(began_after && active), "round {round}: accepted after its revocation returned");
                        accepted.fetch_add(u64::from(active), Ordering::SeqCst);
                        checks.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let before = accepted.load(Ordering::SeqCst);
        while accepted.load(Ordering::SeqCst) < before + 8 {
            tokio::task::yield_now().await;
        }
        revoke(&server, &token).await;
        revoked.store(true, Ordering::SeqCst);
        let since = checks.load(Ordering::SeqCst);
        while checks.load(Ordering::SeqCst) < since + 8 {
            tokio::task::yield_now().await;
        }
        ended.store(true, Ordering::SeqCst);
        for task in checking {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verifier_outlives_its_server_by_a_lease_and_follows_the_next_one() {
    let server = Server::with_lease(Duration::from_secs(2)).await;
    let (token, other) = (server.token_of(DEMO_API).await, server.token_of(DEMO_API).await);
    let verifier = verifier(&server).await;
    assert!(is_active(&verifier.verify(&token).await));
    let server = server.restart().await;
    revoke(&server, &token).await;
    assert!(!is_active(&verifier.verify(&token).await));
    assert!(is_active(&verifier.verify(&other).await), "it has found the next server by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hangs_forgets_together_and_what_does_not_stays() {
    let server = Server::with_lease(Duration::from_secs(10)).await;
    let verifier = verifier(&server).await;
    let tokens: Vec<String> = {
        let mut tokens = Vec::new();
        for _ in 0..20 {
            tokens.push(server.token_of(DEMO_API).await);
        }
        tokens
    };
    for token in &tokens {
        assert!(is_active(&verifier.verify(token).await));
    }
    revoke(&server, &tokens[0]).await;
    assert!(tokens[1..].iter().all(|token| verifier.recall(token).is_some()), "one token is dropped, not its siblings");
    server.update_resource(API, "read write more").await;
    assert!(tokens[1..].iter().all(|token| verifier.recall(token).is_none()), "all of them hang from the resource");
    assert!(is_active(&verifier.verify(&tokens[1]).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_says_nothing_of_any_token() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    let mut settings = settings(&server, (DEMO_API.0, "ocs_wrong"));
    settings.answer_within = Duration::from_secs(2);
    let stranger = Verifier::start(settings).unwrap();
    assert_eq!(stranger.verify(&token).await, Err(Outage));
    assert_eq!(stranger.recall(&token), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verifier_that_is_dropped_is_not_waited_for() {
    let server = Server::with_lease(Duration::from_secs(10)).await;
    let token = server.token_of(DEMO_API).await;
    let verifier = verifier(&server).await;
    assert!(is_active(&verifier.verify(&token).await));
    let before = Moment::default().after(boottime());
    drop(verifier);
    while !server.app.store.holding().is_empty() {
        tokio::task::yield_now().await;
    }
    revoke(&server, &token).await;
    assert!(Moment::default().after(boottime()) < before.after(Duration::from_secs(9)), "it said goodbye");
    let plain = server.request("GET", "/feed", &[FORM, ("authorization", &basic(DEMO_API))], b"").await;
    assert_eq!(plain.status, 426);
}
