//! New client secrets: drawn or given, and the old ones for a while longer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_core::apply::check_client_secret;
use opalid_core::client::Client;
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::SecretDigest;
use opalid_store::steps::Stamp;
use opalid_store::steps::client_secret::{RotateSecret, RotatedSecret, SECRETS_MAX};
use serde::{Deserialize, Serialize};

use super::super::{Handed, ManageError, Operation, Reply, clients};
use crate::app::App;
use crate::random;

/// How much longer the old secrets are good, unless something else is said.
pub(super) const OVERLAP: Seconds = Seconds(24 * 3600);
/// The longest that may be said: a secret that is replaced should end some day.
const OVERLAP_MAX: Seconds = Seconds(90 * 24 * 3600);

/// A client with a new secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RotatedClientSecret {
    /// The client.
    pub client_id: String,
    /// The secret, if it was drawn: shown now and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Handed>,
    /// Until when the old ones are good; nothing if there is none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_until: Option<UnixTime>,
}

/// A new client secret: 256 random bits.
pub(super) fn draw() -> Handed {
    Handed::new(format!("ocs_{}", URL_SAFE_NO_PAD.encode(random::bytes::<32>())))
}

/// Gives a client a new secret: the one given, or one that is drawn.
pub(in crate::manage) async fn rotate(
    operation: &Operation<'_>,
    client_id: &str,
    given: Option<&Handed>,
    overlap: Option<Seconds>,
) -> Result<Reply, ManageError> {
    let overlap = overlap.unwrap_or(OVERLAP);
    if overlap > OVERLAP_MAX {
        return Err(ManageError::Refused("the old secret may stay good for 90 days at most".into()));
    }
    let client = clients::load(operation, client_id).await?;
    if client.is_public() {
        return Err(ManageError::Refused(format!("client {client_id} is public: it has no secret")));
    }
    if let Some(given) = given {
        check_client_secret(given.expose()).map_err(|bad| ManageError::Refused(bad.to_string()))?;
    }
    let drawn = if given.is_none() { Some(draw()) } else { None };
    let Some(secret) = given.or(drawn.as_ref()) else { return Err(ManageError::Refused("no secret".into())) };
    let old_until = store(operation.app, operation.stamp(), &client, (secret.expose(), overlap)).await?;
    let rotated = RotatedClientSecret { client_id: client.client_id, secret: drawn, old_until };
    Ok(Reply::SecretRotated(Box::new(rotated)))
}

/// Stores the digest of a client's new secret; says until when the old ones are good.
async fn store(
    app: &App,
    stamp: Stamp,
    client: &Client,
    (secret, overlap): (&str, Seconds),
) -> Result<Option<UnixTime>, ManageError> {
    let digest = SecretDigest::of(secret.as_bytes());
    match app.store.run(RotateSecret { stamp, client: client.id, digest, overlap }).await? {
        RotatedSecret::Done { old_until } => Ok(old_until),
        RotatedSecret::Unknown => Err(ManageError::Unknown(format!("client {} is gone", client.client_id))),
        RotatedSecret::TooMany => Err(too_many(&client.client_id)),
    }
}

pub(super) fn too_many(client_id: &str) -> ManageError {
    ManageError::Refused(format!(
        "{SECRETS_MAX} secrets of client {client_id} are good already; end them now with: opalid client rotate-secret \
         {client_id} --overlap 0"
    ))
}
