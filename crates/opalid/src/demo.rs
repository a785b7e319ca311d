//! What `--demo` seeds: a workspace to look around in. Without `--demo` none of it exists.

use opalid_core::claims::StandardClaims;
use opalid_core::client::{ClientKind, ClientSettings};
use opalid_core::ids::{ClientId, ResourceId, UserId};
use opalid_core::redirect_uri::{PostLogoutRedirectUris, RedirectUri, RedirectUris};
use opalid_core::request::GrantType;
use opalid_core::resource::ResourceSettings;
use opalid_core::scope::Scopes;
use opalid_core::token::SecretDigest;
use opalid_core::user::username_key;
use opalid_store::steps::client::CreateClient;
use opalid_store::steps::resource::CreateResource;
use opalid_store::steps::user::{CreateUser, FindCredentials};

use crate::app::App;
use crate::login::password::{ChosenPassword, Password};
use crate::random;

/// The name of the demo workspace; its issuer is the root.
pub const WORKSPACE: &str = "demo";
/// The demo's API.
pub const RESOURCE: &str = "https://api.demo.example/";
/// A public client: the walk-through at `/demo`.
pub const PUBLIC_CLIENT: &str = "demo-app";
/// A confidential client: the resource server, which introspects.
pub const RESOURCE_SERVER: &str = "demo-api";
/// Its secret; known to everyone, as everything of the demo.
pub const RESOURCE_SERVER_SECRET: &str = "ocs_demo-api-secret-known-to-everyone";
/// The people of the demo, with their passwords.
pub const USERS: [(&str, &str); 2] = [("alice", "alice-demo-password"), ("bob", "bob-demo-password")];

/// Seeds what is not there yet.
pub async fn seed(app: &App) -> anyhow::Result<()> {
    let scopes = Scopes::parse("read write")?;
    let settings = ResourceSettings { name: "Demo API".into(), scopes: scopes.clone() };
    let id = ResourceId::from_bytes(app.new_id());
    app.store.run(CreateResource { stamp: app.stamp(app.root, "demo"), id, uri: RESOURCE.into(), settings }).await?;

    let access = [(RESOURCE.to_owned(), scopes)];
    let callback = RedirectUri::register(&format!("{}/demo/callback", app.base_url))?;
    let home = RedirectUri::register(&format!("{}/demo", app.base_url))?;
    let public = ClientSettings {
        name: "Demo application".into(),
        kind: ClientKind::Public,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: RedirectUris(vec![callback, RedirectUri::register("http://127.0.0.1/callback")?]),
        post_logout_redirect_uris: PostLogoutRedirectUris(vec![home]),
        access: access.clone().into(),
        default_resource: Some(RESOURCE.into()),
        ..ClientSettings::default()
    };
    create_client(app, PUBLIC_CLIENT, public, None).await?;
    let server = ClientSettings {
        name: "Demo API".into(),
        grant_types: vec![GrantType::ClientCredentials],
        access: access.into(),
        default_resource: Some(RESOURCE.into()),
        serves: vec![RESOURCE.into()],
        ..ClientSettings::default()
    };
    create_client(app, RESOURCE_SERVER, server, Some(RESOURCE_SERVER_SECRET)).await?;
    for (name, password) in USERS {
        let known = FindCredentials { workspace: app.root, username_key: username_key(name)? };
        if app.store.read(known).await?.is_none() {
            create_user(app, name, password).await?;
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
        secret: secret.map(|secret| SecretDigest::of(secret.as_bytes())),
    };
    app.store.run(step).await?;
    Ok(())
}

async fn create_user(app: &App, name: &str, password: &str) -> anyhow::Result<()> {
    let claims = StandardClaims {
        name: Some(format!("{} Demo", capital(name))),
        given_name: Some(capital(name)),
        family_name: Some("Demo".into()),
        preferred_username: Some(name.into()),
        email: Some(format!("{name}@demo.example")),
        email_verified: true,
        ..StandardClaims::default()
    };
    let password = ChosenPassword::new(Password::new(password.to_owned()), name)?;
    let hash = app.hasher.hash(&password, random::bytes()).await?;
    let step = CreateUser {
        stamp: app.stamp(app.root, "demo"),
        id: UserId::from_bytes(app.new_id()),
        username: name.into(),
        username_key: username_key(name)?,
        admin: false,
        password_hash: Some(hash.to_text()),
        claims,
    };
    app.store.run(step).await?;
    Ok(())
}

fn capital(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// Four lines that work as pasted: get an opaque token, introspect it, revoke it, introspect it again.
pub fn curl_lines(issuer: &str) -> [String; 4] {
    let client = format!("-u {RESOURCE_SERVER}:{RESOURCE_SERVER_SECRET}");
    [
        format!(
            "TOKEN=$(curl -s {client} -d grant_type=client_credentials {issuer}/token | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/'); echo $TOKEN"
        ),
        format!("curl -s {client} -d token=$TOKEN {issuer}/introspect; echo"),
        format!("curl -s {client} -d token=$TOKEN {issuer}/revoke -w '%{{http_code}}\\n'"),
        format!("curl -s {client} -d token=$TOKEN {issuer}/introspect; echo"),
    ]
}
