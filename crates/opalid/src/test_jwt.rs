//! JWTs for tests, of whoever writes a resource server: signed with a key that is made for one of them and thrown away.
//!
//! Takes: an algorithm, claims that replace those it has by itself, the time.
//! Gives: the token, and the JWK Set that verifies it.
//! Holds: no key of ours signs it, so that no Opalid server takes it, whatever it says.

use std::sync::Arc;

use opalid_core::jwt::{PublicKeys, SigningAlgorithm, SigningKey, TYP_ACCESS_TOKEN};
use opalid_core::time::UnixTime;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::random;

/// What is said beside every one.
pub const FOR_TESTS: &str = "For tests: signed with a key that was made for this one token and is gone. No server takes it \
                             that is not told to.";
/// Its issuer, unless the claims say otherwise: a name that nobody can have (RFC 6761 §6.4).
const ISSUER: &str = "https://test.invalid";
/// How long it lives, in seconds, unless the claims say otherwise.
const VALID_FOR: i64 = 600;
/// The most bytes of claims.
const MAX_CLAIMS: usize = 8 * 1024;

/// A JWT for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestJwt {
    /// The compact JWS.
    pub token: String,
    /// The JWK Set that verifies it.
    pub jwks: Value,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// The algorithm is none of ours.
    #[error(transparent)]
    Algorithm(#[from] opalid_core::jwt::UnknownAlgorithm),
    /// The claims are none.
    #[error("claims are one JSON object of at most 8 KiB, such as {{\"scope\":\"read\"}}")]
    Claims,
    /// The cryptographic library failed.
    #[error(transparent)]
    Jwt(#[from] opalid_core::jwt::JwtError),
}

impl TestJwt {
    /// Makes a key, signs, and forgets the key. With RSA that takes a noticeable part of a second.
    pub fn make(alg: &str, claims: Option<&str>, now: UnixTime) -> Result<Self, NotMade> {
        let algorithm = SigningAlgorithm::try_from(alg.to_owned())?;
        let claims = with_own(claims.unwrap_or("{}"), now)?;
        let key = SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm)?)?;
        let token = key.sign(TYP_ACCESS_TOKEN, &claims)?;
        let jwks =
            serde_json::to_value(PublicKeys::new(vec![key.public_key()?])).map_err(opalid_core::jwt::JwtError::from)?;
        Ok(Self { token, jwks })
    }
}

/// Where a server makes them: one at a time, for to find an RSA key takes a core for as long as it takes.
#[derive(Debug, Clone)]
pub struct Workbench(Arc<Semaphore>);

impl Default for Workbench {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Workbench {
    /// Its only place, if nobody has it.
    pub fn take(&self) -> Option<Place> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(Place)
    }
}

/// The place where one is made.
#[derive(Debug)]
pub struct Place(OwnedSemaphorePermit);

impl Place {
    /// Makes one where it keeps nobody waiting. The place is taken until that has ended, also when whoever asked has gone.
    pub async fn make(
        self,
        (alg, claims): (&str, &str),
        now: UnixTime,
    ) -> Result<Result<TestJwt, NotMade>, tokio::task::JoinError> {
        let (alg, claims) = (alg.to_owned(), claims.to_owned());
        let making = move || {
            let made = TestJwt::make(&alg, Some(&claims), now);
            drop(self.0);
            made
        };
        tokio::task::spawn_blocking(making).await
    }
}

/// The claims that it has by itself (RFC 9068 §2.2), with these instead and beside.
fn with_own(text: &str, now: UnixTime) -> Result<Map<String, Value>, NotMade> {
    if text.len() > MAX_CLAIMS {
        return Err(NotMade::Claims);
    }
    let given: Map<String, Value> = serde_json::from_str(text).map_err(|_| NotMade::Claims)?;
    let own = json!({
        "iss": ISSUER, "sub": "test", "aud": ISSUER, "client_id": "test", "scope": "read",
        "jti": uuid::Uuid::from_bytes(random::bytes()).to_string(),
        "iat": now, "exp": now.0.saturating_add(VALID_FOR),
    });
    let Value::Object(mut claims) = own else { return Err(NotMade::Claims) };
    for (name, value) in given {
        if value.is_null() {
            claims.remove(&name);
        } else {
            claims.insert(name, value);
        }
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::Poll;

    use opalid_core::jwt::{Jwk, PublicKey, Signature};

    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    #[test]
    fn a_test_jwt_is_verified_by_the_keys_that_come_with_it_and_by_no_others() {
        for algorithm in SigningAlgorithm::ALL {
            let [one, other] = [(); 2].map(|()| TestJwt::make(algorithm.wire_name(), None, NOW).unwrap());
            let keys = |made: &TestJwt| {
                let jwk: Jwk = serde_json::from_value(made.jwks["keys"][0].clone()).unwrap();
                PublicKeys::new(vec![PublicKey::from_jwk(jwk).unwrap()])
            };
            assert!(matches!(keys(&one).judge_signature(&one.token), Signature::Good(_)));
            assert_eq!(keys(&other).judge_signature(&one.token), Signature::UnknownKey);
            assert!(!one.jwks.to_string().contains("\"d\""), "no private part");
        }
    }

    #[test]
    fn a_place_is_taken_until_the_token_is_made_also_when_nobody_waits_for_it() {
        // One thread for all that blocks: what waits for it is done in order.
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (release, held) = std::sync::mpsc::channel::<()>();
            let holding = tokio::task::spawn_blocking(move || held.recv());
            let bench = Workbench::default();
            let mut making = Box::pin(bench.take().unwrap().make(("ES256", "{}"), NOW));
            let begun = std::future::poll_fn(|cx| Poll::Ready(making.as_mut().poll(cx).is_pending())).await;
            drop(making);
            assert!(begun && bench.take().is_none());
            release.send(()).unwrap();
            holding.await.unwrap().unwrap();
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            assert!(bench.take().is_some());
        });
    }

    #[test]
    fn claims_replace_those_it_has_and_null_takes_one_away() {
        let claims = with_own(r#"{"scope":"write","exp":5,"jti":null,"department":7}"#, NOW).unwrap();
        assert_eq!((&claims["scope"], &claims["exp"], &claims["department"]), (&json!("write"), &json!(5), &json!(7)));
        assert!(!claims.contains_key("jti") && claims["iss"] == ISSUER);
        for bad in ["[]", "7", "{", ""] {
            assert!(matches!(with_own(bad, NOW), Err(NotMade::Claims)), "{bad}");
        }
        assert!(TestJwt::make("none", None, NOW).is_err());
    }
}
