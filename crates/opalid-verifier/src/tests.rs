//! A verifier and a node that says what the test says, over a real socket.

mod leases;
mod links;
mod node;
mod questions;

use tokio::task::JoinHandle;

use crate::{Outage, Verdict, Verifier};

/// A check that goes on beside the test. It has begun when this returns.
async fn check(verifier: &Verifier, token: &str) -> JoinHandle<Result<Verdict, Outage>> {
    let (verifier, token) = (verifier.clone(), token.to_owned());
    let (begins, begun) = tokio::sync::oneshot::channel();
    let check = tokio::spawn(async move {
        let mut check = Box::pin(verifier.verify(&token));
        let first = futures_util::FutureExt::now_or_never(&mut check);
        begins.send(()).unwrap();
        match first {
            Some(said) => said,
            None => check.await,
        }
    });
    begun.await.unwrap();
    check
}

/// Whom an active token speaks for.
fn subject(said: Result<Verdict, Outage>) -> String {
    match said {
        Ok(Verdict::Active(token)) => token.subject.clone(),
        other => panic!("{other:?} is not active"),
    }
}

/// Whom a token speaks for, as it is remembered.
fn recalled(verifier: &Verifier, token: &str) -> Option<String> {
    verifier.recall(token).map(|verdict| subject(Ok(verdict)))
}
