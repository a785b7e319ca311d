//! A shop, and people who sign in there with their browsers.

use opalid::demo::{RESOURCE, USERS};
use opalid_core::client::ClientSettings;
use opalid_core::redirect_uri::{PostLogoutRedirectUris, RedirectUri, RedirectUris};
use opalid_core::request::GrantType;
use opalid_core::scope::Scopes;

use super::browser::{Browser, Landed};
use super::http::encode;
use super::server::Server;

/// The shop: a confidential client that needs no consent.
pub const SHOP: (&str, &str) = ("shop", "ocs_shop-secret");
/// Where it gets its codes.
pub const CALLBACK: &str = "https://shop.example/callback";
/// Where its people go when they have signed out.
pub const BYE: &str = "https://shop.example/bye?from=opalid";
/// Two people of the demo, with their passwords.
pub const ALICE: (&str, &str) = USERS[0];
pub const BOB: (&str, &str) = USERS[1];
/// The cookie of a session in the demo's workspace.
pub const SESSION: &str = "opalid-demo-session";

/// What a sign-in gave.
#[derive(Debug)]
pub struct Tokens {
    pub access: String,
    pub id: String,
    pub refresh: String,
}

/// The demo with the shop in it.
pub async fn demo_with_shop() -> Server {
    let server = Server::demo().await;
    server.client(SHOP.0, Some(SHOP.1), shop()).await;
    server
}

/// What the shop is registered with.
pub fn shop() -> ClientSettings {
    let uri = |text| vec![RedirectUri::register(text).unwrap()];
    ClientSettings {
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: RedirectUris(uri(CALLBACK)),
        post_logout_redirect_uris: PostLogoutRedirectUris(uri(BYE)),
        access: [(RESOURCE.to_owned(), Scopes::parse("read").unwrap())].into(),
        default_resources: vec![RESOURCE.into()],
        first_party: true,
        ..ClientSettings::default()
    }
}

impl Browser {
    /// Asks for a code for the shop; where that leads.
    pub async fn ask_for_code(&mut self, server: &Server, scope: &str) -> Landed {
        let query =
            encode(&[("response_type", "code"), ("client_id", SHOP.0), ("redirect_uri", CALLBACK), ("scope", scope)]);
        self.open(server, &format!("/authorize?{query}")).await
    }

    /// Signs in where nobody is signed in yet, and goes on to the shop.
    pub async fn enter_shop(&mut self, server: &Server, (login, password): (&str, &str), scope: &str) -> Landed {
        let page = self.ask_for_code(server, scope).await.page();
        let form = page.form("sign-in").with("login", login).with("password", password);
        self.submit(server, &form).await
    }

    /// The same, and the tokens that the shop gets.
    pub async fn tokens_for(&mut self, server: &Server, user: (&str, &str), scope: &str) -> Tokens {
        let landed = self.enter_shop(server, user, scope).await;
        shop_tokens(server, landed).await
    }
}

/// What the shop gets for the code that it was sent.
pub async fn shop_tokens(server: &Server, landed: Landed) -> Tokens {
    let (base, parameters) = landed.away();
    assert_eq!(base, CALLBACK);
    let (_, code) = parameters.iter().find(|(name, _)| name == "code").expect("a code");
    let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
    let answer = server.form_post_as(SHOP, "/token", &fields).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    Tokens {
        access: answer.field("access_token"),
        id: answer.field("id_token"),
        refresh: answer.field("refresh_token"),
    }
}

/// Status of a refresh by the shop.
pub async fn refresh(server: &Server, token: &str) -> u16 {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    server.form_post_as(SHOP, "/token", &fields).await.status
}
