//! Who has a say in the tokens of a client: its workspace, itself, its resources.
//!
//! Not here: what they say together; see `opalid_core::token_settings`.

use opalid_core::client::Client;
use opalid_core::grant::Entitlement;
use opalid_core::token_settings::ClientTerms;
use opalid_store::Outage;

use crate::http::call::Call;

/// For the resources of an entitlement; one that is gone says nothing.
pub async fn of(call: &Call<'_>, client: &Client, entitlement: &Entitlement) -> Result<ClientTerms, Outage> {
    let mut known = Vec::with_capacity(entitlement.resources.len());
    for (id, _) in &entitlement.resources {
        let found = call.app.store.find_resource_by_id(call.issuer.id(), *id).await?;
        known.extend(found.map(|resource| (*id, resource.settings.terms())));
    }
    Ok(ClientTerms { workspace: call.issuer.settings().tokens, client: client.settings.tokens, resources: known })
}

/// For whatever of its resources a code or a refresh token turns out to be for.
pub async fn of_all(call: &Call<'_>, client: &Client) -> Result<ClientTerms, Outage> {
    let mut known = Vec::with_capacity(client.settings.access.len());
    for uri in client.settings.access.keys() {
        let found = call.app.store.find_resource(call.issuer.id(), uri).await?;
        known.extend(found.map(|resource| (resource.id, resource.settings.terms())));
    }
    Ok(ClientTerms { workspace: call.issuer.settings().tokens, client: client.settings.tokens, resources: known })
}
