//! A code, with the grant it belongs to: one transaction.

use opalid_core::code::CodeBinding;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::{Ancestor, Birth, Descent, EntitlementNo, Epoch, Grant, Guard};
use opalid_core::ids::{CodeId, GrantId, RequestId};
use opalid_core::scope::OpenIdScope;
use opalid_core::token::{Code, RowSecret};
use opalid_store::steps::code::IssueCode;
use opalid_store::steps::evidence::GrantFacts;
use std::sync::Arc;

use super::Asked;
use super::need::Situation;
use crate::browser;
use crate::http::call::Call;
use crate::http::reply;
use crate::metrics::Minted;
use crate::random;

/// Makes the grant and its code; gives the code, or nothing if the stored request it answers was answered before.
pub(super) async fn code(
    call: &Call<'_>,
    asked: &Asked,
    (situation, answers): (Situation, Option<RequestId>),
) -> Result<Option<String>, OAuthError> {
    let nobody = || OAuthError::new(ErrorCode::ServerError, "a code for nobody");
    let session = situation.session.as_ref().ok_or_else(nobody)?;
    if !call.app.arrivals.admit_code(call.now, session.id) {
        let description = "too many codes for one sign-in at once; try again in a moment";
        return Err(OAuthError::new(ErrorCode::ServerBusy, description));
    }
    let offline = situation.entitlement.openid.has(OpenIdScope::OfflineAccess);
    let client = Birth { ancestor: Ancestor::Client(asked.client.id), epoch: asked.client.epoch };
    let consent = situation
        .consent
        .as_ref()
        .map(|consent| Birth { ancestor: Ancestor::Consent(consent.id), epoch: consent.epoch });
    let inherited = browser::lineage(session);
    // An offline grant outlives the session and the credentials that made it, not the user.
    let outlived = |birth: &Birth| matches!(birth.ancestor, Ancestor::Session(_) | Ancestor::Credentials(_));
    let inherited = inherited.births().filter(|birth| !offline || !outlived(birth));
    let code_lifetime = situation.terms.of(&situation.entitlement, |terms| terms.code_lifetime().value);
    let secret = RowSecret::<Code>::new(call.app.new_id(), 0, random::bytes());
    let step = IssueCode {
        stamp: call.app.stamp(call.issuer.id(), format!("user {}", session.user)),
        grant: Grant {
            id: GrantId::from_bytes(call.app.new_id()),
            guard: Guard::new(random::bytes()),
            epoch: Epoch::FIRST,
            standing: false,
            descent: Descent::new(asked.client.id, Some(session.user), inherited.chain([client]).chain(consent)),
            entitlements: Arc::new([Arc::new(situation.entitlement)]),
        },
        facts: GrantFacts { authentication: Some(session.authentication.clone()), session: Some(session.id) },
        id: CodeId::from_bytes(secret.row),
        digest: secret.digest(),
        binding: CodeBinding {
            redirect_uri: asked.request.redirect_uri.clone(),
            code_challenge: asked.request.code_challenge,
            nonce: asked.request.nonce.clone(),
            entitlement: EntitlementNo(0),
        },
        expires_at: call.now.plus(code_lifetime),
        session: session.id,
        answers,
    };
    if !call.app.store.run(step).await.map_err(|error| reply::outage(&error))? {
        return Ok(None);
    }
    call.app.metrics.minted.count(Minted::Code);
    Ok(Some(call.issuer.row_sealer.seal_row(&secret, random::bytes())))
}
