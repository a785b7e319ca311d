//! What `--demo` puts into a new store: a resource, two clients, two people; and its addresses at each start.

use opalid_core::claims::StandardClaims;
use opalid_core::client::{ClientKind, ClientSettings};
use opalid_core::ids::{ClientId, ResourceId, UserId};
use opalid_core::redirect_uri::{PostLogoutRedirectUris, RedirectUri, RedirectUris};
use opalid_core::request::GrantType;
use opalid_core::resource::ResourceSettings;
use opalid_core::scope::Scopes;
use opalid_core::token::SecretDigest;
use opalid_core::user::username_key;
use opalid_store::steps::client::{ByClient, CreateClient, FindClient};
use opalid_store::steps::resource::CreateResource;
use opalid_store::steps::settings::{Edit, UpdateClient};
use opalid_store::steps::user::{CreateUser, FindCredentials};

use super::{
    ADMINISTRATOR, HTTPS_CALLBACK, PRIVATE_CALLBACK, PUBLIC_CLIENT, RESOURCE, RESOURCE_SERVER, RESOURCE_SERVER_SECRET,
    USERS,
};
use crate::app::App;
use crate::config::Issuer;

/// Seeds what is not there yet, and brings the addresses of what is to the issuer of this start. `hash` turns a name
/// and its password into what is stored.
pub async fn seed(app: &App, hash: impl AsyncFn(&str, &str) -> anyhow::Result<String>) -> anyhow::Result<()> {
    let scopes = Scopes::parse("read write")?;
    let settings = ResourceSettings { name: "Demo API".into(), scopes: scopes.clone(), ..ResourceSettings::default() };
    let id = ResourceId::from_bytes(app.new_id());
    app.store.run(CreateResource { stamp: app.stamp(app.root, "demo"), id, uri: RESOURCE.into(), settings }).await?;

    let access = [(RESOURCE.to_owned(), scopes)];
    let own = format!("{}/demo/callback", app.base_url);
    let callbacks = [own.as_str(), "http://127.0.0.1/callback", HTTPS_CALLBACK, PRIVATE_CALLBACK];
    let redirect_uris = callbacks.into_iter().map(RedirectUri::register).collect::<Result<_, _>>()?;
    let home = RedirectUri::register(&format!("{}/demo", app.base_url))?;
    let public = ClientSettings {
        name: "Demo application".into(),
        kind: ClientKind::Public,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: RedirectUris(redirect_uris),
        post_logout_redirect_uris: PostLogoutRedirectUris(vec![home]),
        access: access.clone().into(),
        default_resources: vec![RESOURCE.into()],
        ..ClientSettings::default()
    };
    create_client(app, PUBLIC_CLIENT, public, None).await?;
    let server = ClientSettings {
        name: "Demo API".into(),
        grant_types: vec![GrantType::ClientCredentials],
        access: access.into(),
        default_resources: vec![RESOURCE.into()],
        serves: vec![RESOURCE.into()],
        ..ClientSettings::default()
    };
    create_client(app, RESOURCE_SERVER, server, Some(RESOURCE_SERVER_SECRET)).await?;
    bring_home(app, PUBLIC_CLIENT).await?;
    for (name, password) in USERS {
        let known = FindCredentials { workspace: app.root, username_key: username_key(name)? };
        if app.store.read(known).await?.is_none() {
            create_user(app, name, hash(name, password).await?).await?;
        }
    }
    Ok(())
}

async fn create_client(
    app: &App,
    client_id: &str,
    settings: ClientSettings,
    secret: Option<&str>,
) -> anyhow::Result<()> {
    let step = CreateClient {
        stamp: app.stamp(app.root, "demo"),
        id: ClientId::from_bytes(app.new_id()),
        client_id: client_id.into(),
        settings,
        roles: Vec::new(),
        secret: secret.map(|secret| SecretDigest::of(secret.as_bytes())),
    };
    app.store.run(step).await?;
    Ok(())
}

/// An earlier start may have had another issuer, and the client its addresses there.
async fn bring_home(app: &App, client_id: &str) -> anyhow::Result<()> {
    let step = FindClient { workspace: app.root, by: ByClient::Name(client_id.to_owned()) };
    let Some(client) = app.store.read(step).await? else { return Ok(()) };
    let mut settings = client.settings.clone();
    settings.redirect_uris.0 = brought_home(&settings.redirect_uris.0, &app.base_url)?;
    settings.post_logout_redirect_uris.0 = brought_home(&settings.post_logout_redirect_uris.0, &app.base_url)?;
    if settings == client.settings {
        return Ok(());
    }
    let step = UpdateClient {
        stamp: app.stamp(app.root, "demo"),
        id: client.id,
        settings: Edit { from: client.settings, to: settings },
        roles: Edit { from: client.roles.clone(), to: client.roles },
        changed: "redirect_uris, post_logout_redirect_uris".into(),
        secret: None,
    };
    app.store.run(step).await?;
    Ok(())
}

/// The same URIs, those of the walk at this issuer, each once.
fn brought_home(uris: &[RedirectUri], issuer: &str) -> anyhow::Result<Vec<RedirectUri>> {
    let mut all = Vec::new();
    for uri in uris {
        let of_the_walk = ["/demo/callback", "/demo"].into_iter().find(|path| {
            let origin = uri.as_str().strip_suffix(path).and_then(|origin| origin.parse::<Issuer>().ok());
            origin.is_some_and(|origin| origin.is_loopback())
        });
        let uri = match of_the_walk {
            Some(path) => RedirectUri::register(&format!("{issuer}{path}"))?,
            None => uri.clone(),
        };
        if !all.contains(&uri) {
            all.push(uri);
        }
    }
    Ok(all)
}

async fn create_user(app: &App, name: &str, password_hash: String) -> anyhow::Result<()> {
    let claims = StandardClaims {
        name: Some(format!("{} Demo", capital(name))),
        given_name: Some(capital(name)),
        family_name: Some("Demo".into()),
        preferred_username: Some(name.into()),
        email: Some(format!("{name}@demo.example")),
        email_verified: true,
        ..StandardClaims::default()
    };
    let step = CreateUser {
        stamp: app.stamp(app.root, "demo"),
        id: UserId::from_bytes(app.new_id()),
        username: name.into(),
        username_key: username_key(name)?,
        admin: name == ADMINISTRATOR,
        password_hash: Some(password_hash),
        claims,
        roles: Vec::new(),
    };
    app.store.run(step).await?;
    Ok(())
}

fn capital(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
