//! The consent page: what a client wants, for whom, how long.
//!
//! Takes: a stored request, a form. Gives: the person's decision, and the way back to the request.
//! Holds: a decision is taken from the session that the page was made for and no other, and only from the person whom the
//! request is about: the one it names, the one who signed in for it, or the one who was chosen. The page names every
//! resource that a token will be for, with a scope or without. A yes is to what the page showed: it is bound to that, and so
//! is the form.

use opalid_core::client::Client;
use opalid_core::error::OAuthError;
use opalid_core::grant::Entitlement;
use opalid_core::ids::ConsentId;
use opalid_core::scope::{OpenIdScope, Scopes};
use opalid_store::steps::consent::GiveConsent;
use opalid_store::steps::session::SessionRow;
use std::sync::Arc;

use crate::browser;
use crate::browser::csrf::FormPurpose;
use crate::entitle;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::{Consent, ScopeGroup};
use crate::pending::{self, Decision, Pending, ShownDigest};

const ADVICE: &str = "Go back to the application and start again.";

/// What the page is about.
struct Wish {
    pending: Pending,
    session: SessionRow,
    client: Arc<Client>,
    entitlement: Entitlement,
}

/// GET /consent.
pub async fn show(call: &Call<'_>) -> Reply {
    match wish(call).await {
        Ok(Ok(wish)) => match consent_page(call, &wish).await {
            Ok(reply) => reply,
            Err(error) => page::error_page(call, &error, ADVICE),
        },
        Ok(Err(elsewhere)) => elsewhere,
        Err(error) => page::error_page(call, &error, ADVICE),
    }
}

/// POST /consent.
pub async fn submit(call: &Call<'_>) -> Reply {
    let wish = match wish(call).await {
        Ok(Ok(wish)) => wish,
        Ok(Err(elsewhere)) => return elsewhere,
        Err(error) => return page::error_page(call, &error, ADVICE),
    };
    match decide(call, wish).await {
        Ok(reply) => reply,
        Err(error) => page::error_page(call, &error, ADVICE),
    }
}

async fn wish(call: &Call<'_>) -> Result<Result<Wish, Reply>, OAuthError> {
    let outage = |error| reply::outage(&error);
    let Some(pending) = Pending::find(call).await.map_err(outage)? else {
        return Ok(Err(pending::over(call).await));
    };
    let Some(session) = browser::session(call).await.map_err(outage)? else {
        return Ok(Err(reply::see_other(&pending.url(call, Endpoint::SignIn))));
    };
    // Another may have signed in in this browser since the page was shown. Authorize says what comes first.
    if !pending.is_about(call, &session) {
        return Ok(Err(reply::see_other(&pending.continue_url(call))));
    }
    let client = call.app.store.find_client(call.issuer.id(), &pending.request.client_id).await.map_err(outage)?;
    let Some(client) = client.filter(|client| client.enabled) else {
        return Ok(Err(page::start_again(call, "This application is not known any more.")));
    };
    let asked = match entitle::for_person(call, &client, &pending.request.scope, &pending.request.resources).await {
        Ok(asked) => entitle::today(call, (&client, Some(session.user)), &asked)
            .await
            .map(|today| today.entitlement.into_owned()),
        Err(error) => Err(error),
    };
    let entitlement = match asked {
        Ok(entitlement) => entitlement,
        Err(error) if error.code.status() >= 500 => return Err(error),
        // Authorize tells the client. Here it would show the person what whoever made the request put into it.
        Err(_) => return Ok(Err(reply::see_other(&pending.continue_url(call)))),
    };
    Ok(Ok(Wish { pending, session, client, entitlement }))
}

async fn consent_page(call: &Call<'_>, wish: &Wish) -> Result<Reply, OAuthError> {
    let outage = |error| reply::outage(&error);
    let user = call.app.store.find_user(call.issuer.id(), wish.session.user).await.map_err(outage)?;
    let openid: Vec<&str> = OpenIdScope::ALL
        .iter()
        .filter(|scope| wish.entitlement.openid.has(**scope))
        .map(|scope| in_words(*scope))
        .collect();
    let mut resources = Vec::with_capacity(wish.entitlement.resources.len());
    for (id, scopes) in &wish.entitlement.resources {
        if let Some(resource) = call.app.store.find_resource_by_id(call.issuer.id(), *id).await.map_err(outage)? {
            resources.push((resource, scopes));
        }
    }
    let account = ScopeGroup { resource: "Your account", scopes: openid };
    // Those without a scope, too: they are audiences of the token, and take it.
    let apis = resources
        .iter()
        .map(|(resource, scopes)| ScopeGroup { resource: resource.display_name(), scopes: or_none(scopes) });
    let groups = (!account.scopes.is_empty()).then_some(account.clone()).into_iter().chain(apis).collect();
    let offline = wish.entitlement.openid.has(OpenIdScope::OfflineAccess);
    let csrf = browser::form_token(call, FormPurpose::Consent, &wish.pending.shown(&wish.session, &wish.entitlement));
    let action = wish.pending.url(call, Endpoint::Consent);
    let asked = wish.pending.request.redirect_uri.as_deref();
    let address = wish.client.settings.redirect_uris.return_address(asked);
    let page = Consent {
        workspace: call.issuer.display_name(),
        action: &action,
        csrf: &csrf,
        client: wish.client.display_name(),
        client_host: wish.client.settings.client_uri.as_deref().and_then(host),
        user: user.as_deref().map_or("", |user| &user.username),
        groups,
        lasts: if offline { "until you take it back, also while you are away" } else { "until you sign out" },
        remembered: address.is_ok_and(|address| wish.client.is_proved_by(&address)),
    };
    Ok(page::page(call, &page, Forms::MayEndAtClient))
}

async fn decide(call: &Call<'_>, wish: Wish) -> Result<Reply, OAuthError> {
    let Wish { mut pending, session, client, entitlement } = wish;
    let form = call.form()?;
    let shown = pending.shown(&session, &entitlement);
    if let Err(forged) = browser::check_form(call, &form, FormPurpose::Consent, &shown) {
        return Ok(page::start_again(call, forged.to_string()));
    }
    let allowed = form.one("decision") == Some("allow");
    if allowed {
        let step = GiveConsent {
            stamp: call.app.stamp(call.issuer.id(), format!("user {}", session.user)),
            id: ConsentId::from_bytes(call.app.new_id()),
            user: session.user,
            client: client.id,
            given: entitlement,
        };
        call.app.store.run(step).await.map_err(|error| reply::outage(&error))?;
    }
    let decision = if allowed { Decision::Allow(ShownDigest::of(&shown)) } else { Decision::Deny };
    pending.decision = Some((session.id, decision));
    pending.save(call).await?;
    Ok(reply::see_other(&pending.continue_url(call)))
}

/// What may be done at a resource; that it is told of the person all the same, if that is nothing by name.
fn or_none(scopes: &Scopes) -> Vec<&str> {
    if scopes.is_empty() { vec!["Go there in your name, with no permission by name"] } else { scopes.iter().collect() }
}

const fn in_words(scope: OpenIdScope) -> &'static str {
    match scope {
        OpenIdScope::OpenId => "Know who you are",
        OpenIdScope::Profile => "See your profile: your name and what you have told about yourself",
        OpenIdScope::Email => "See your e-mail address",
        OpenIdScope::OfflineAccess => "Keep this access while you are away",
    }
}

fn host(uri: &str) -> Option<&str> {
    uri.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
}
