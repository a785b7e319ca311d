//! Two servers on one PostgreSQL, with a verifier at each.

use std::time::Duration;

use opalid::clock::boottime;
use opalid_store::Location;
use opalid_store::steps::client::ClientEvent;
use opalid_verifier::{Settings, Verdict, Verifier};

use crate::faults::cluster::Cluster;
use crate::support::{DEMO_API, Server};

async fn verifier(server: &Server) -> Verifier {
    let address = format!("http://{}", server.address);
    let mut settings = Settings::new(address, DEMO_API.0, DEMO_API.1.to_owned());
    settings.answer_within = Duration::from_secs(20);
    let verifier = Verifier::start(settings).unwrap();
    verifier.ready().await;
    verifier
}

async fn is_active(verifier: &Verifier, token: &str) -> bool {
    verifier.verify(token).await.unwrap() != Verdict::Inactive
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_revoked_at_one_server_is_dead_at_the_other_and_at_the_verifiers_of_both() {
    let cluster = Cluster::start();
    let place = Location::postgres(&cluster.url(), None).unwrap();
    let one = Server::demo_on(place, boottime).await;
    let other = one.beside().await;
    let verifiers = [verifier(&one).await, verifier(&other).await];
    for round in 0..30 {
        let (minting, revoking) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let token = minting.token_of(DEMO_API).await;
        for verifier in &verifiers {
            assert!(is_active(verifier, &token).await, "round {round}");
            assert!(verifier.recall(&token).is_some(), "round {round}");
        }
        for server in [&one, &other] {
            assert!(server.is_active(DEMO_API, &token).await, "round {round}");
        }
        let answer = revoking.form_post_as(DEMO_API, "/revoke", &[("token", &token)]).await;
        assert_eq!((answer.status, answer.header("opalid-settled")), (200, Some("true")), "round {round}: {answer:?}");
        for verifier in &verifiers {
            assert!(!is_active(verifier, &token).await, "round {round}");
        }
        for server in [&one, &other] {
            assert!(!server.is_active(DEMO_API, &token).await, "round {round}");
        }
    }
    // What one server changes the other does by itself.
    one.touch_client(DEMO_API.0, ClientEvent::Suspended).await;
    let refused = other.form_post_as(DEMO_API, "/token", &[crate::support::CLIENT_CREDENTIALS]).await;
    assert_eq!(refused.status, 401);
    drop(verifiers);
    other.stop().await;
    one.stop().await;
}
