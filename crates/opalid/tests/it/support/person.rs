//! People: users, the client they sign in to, and the way through the pages to a code and its tokens.

use std::time::Duration;

use opalid::passwords::password::{ChosenPassword, Password};
use opalid::passwords::password_hash::{HashCost, HasherSettings, PasswordHasher, PhcString};
use opalid::random;
use opalid_core::claims::StandardClaims;
use opalid_core::client::ClientSettings;
use opalid_core::ids::{UserId, WorkspaceId};
use opalid_core::jwt::IdTokenClaims;
use opalid_core::redirect_uri::{RedirectUri, RedirectUris};
use opalid_core::request::GrantType;
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_core::user::{User, username_key};
use opalid_store::steps::user::{CreateUser, FindCredentials, TouchUser, UserEvent};

use super::browser::{Browser, Landed};
use super::http::{Answer, encode};
use super::server::{Server, serving};

/// The API of these tests, with scopes `read` and `write`.
pub const API: &str = "https://api.example/";
/// A confidential client with one address.
pub const APP: (&str, &str) = ("app", "ocs_app-secret");
/// Another one like it.
pub const OTHER_APP: (&str, &str) = ("other-app", "ocs_other-app-secret");
/// The resource server of the API.
pub const API_SERVER: (&str, &str) = ("api", "ocs_api-secret");
/// A public client; comes back to a loopback address.
pub const PUBLIC: &str = "native";
/// Where `APP` is answered.
pub const CALLBACK: &str = "https://app.example/callback";
/// Where `PUBLIC` is answered, whatever the port.
pub const LOOPBACK: &str = "http://127.0.0.1/callback";
/// A verifier, and its challenge by S256 (RFC 7636, appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A client that signs people in.
pub fn web_app(name: &str, callbacks: &[&str]) -> ClientSettings {
    let uris = callbacks.iter().map(|uri| RedirectUri::register(uri).unwrap()).collect();
    ClientSettings {
        name: name.into(),
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: RedirectUris(uris),
        access: [(API.to_owned(), Scopes::parse("read write").unwrap())].into(),
        ..ClientSettings::default()
    }
}

/// What is asked at `/authorize`.
#[derive(Debug, Clone)]
pub struct Ask(Vec<(String, String)>);

impl Ask {
    /// As `APP` asks: nothing but what is needed, `openid`, and a state.
    pub fn new() -> Self {
        Self(Vec::new())
            .with("client_id", APP.0)
            .with("redirect_uri", CALLBACK)
            .with("response_type", "code")
            .with("scope", "openid")
            .with("state", "s-1")
    }

    /// As `PUBLIC` asks.
    pub fn public() -> Self {
        Self::new()
            .with("client_id", PUBLIC)
            .with("redirect_uri", LOOPBACK)
            .with("code_challenge", CHALLENGE)
            .with("code_challenge_method", "S256")
    }

    /// The same with a parameter set.
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// The same with one more parameter.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The same without a parameter.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(found, _)| found != name);
        self
    }

    /// The same the other way round.
    pub fn reversed(mut self) -> Self {
        self.0.reverse();
        self
    }

    /// Its parameters.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The target of a GET.
    pub fn target(&self) -> String {
        format!("/authorize?{}", encode(&self.pairs()))
    }
}

/// The password of every user of these tests.
pub fn password_of(name: &str) -> String {
    format!("{name} likes long sentences")
}

/// A stored password whose check takes long enough for something else to happen meanwhile.
pub async fn slow_hash(password: &str) -> PhcString {
    let cost = HashCost { memory_kib: 64 * 1024, passes: 4, lanes: 1 };
    let slow = PasswordHasher::start(HasherSettings { cost, threads: 1, waiting: 1 }).unwrap();
    slow.rehash(&Password::new(password.into()), random::bytes()).await.unwrap()
}

/// Waits until something is so. Not a promise about speed: what never happens shall fail the test, not stop the run.
pub async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it never came");
}

/// A parameter of an answer to a client.
#[track_caller]
pub fn value<'a>(parameters: &'a [(String, String)], name: &str) -> &'a str {
    let mut found = parameters.iter().filter(|(found, _)| found == name);
    let value = found.next().unwrap_or_else(|| panic!("no {name} in {parameters:?}"));
    assert!(found.next().is_none(), "{name} twice in {parameters:?}");
    &value.1
}

/// Status and `error` of a refusal in JSON.
#[track_caller]
pub fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.field("error"))
}

/// The text between two others.
pub fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}

impl Server {
    /// As `opalid serve`, with an API, four clients, and alice and bob.
    pub async fn with_people() -> Self {
        Self::empty().await.peopled().await
    }

    /// The same with all of that in it.
    pub async fn peopled(self) -> Self {
        let server = self;
        server.resource(API, "read write").await;
        server.client(APP.0, Some(APP.1), web_app("The App", &[CALLBACK])).await;
        server.client(OTHER_APP.0, Some(OTHER_APP.1), web_app("The Other App", &[CALLBACK])).await;
        server.client(API_SERVER.0, Some(API_SERVER.1), serving(&[API])).await;
        let kind = opalid_core::client::ClientKind::Public;
        server.client(PUBLIC, None, ClientSettings { kind, ..web_app("The Native App", &[LOOPBACK]) }).await;
        for name in ["alice", "bob"] {
            server.user(name, whole_profile(name)).await;
        }
        server
    }

    /// Makes a user in the root workspace.
    pub async fn user(&self, name: &str, claims: StandardClaims) -> UserId {
        self.user_in(self.app.root, name, claims).await
    }

    /// Makes a user.
    pub async fn user_in(&self, workspace: WorkspaceId, name: &str, claims: StandardClaims) -> UserId {
        let password = ChosenPassword::new(Password::new(password_of(name)), name).unwrap();
        let hash = self.app.hasher.hash(&password, random::bytes()).await.unwrap();
        let step = CreateUser {
            stamp: self.app.stamp(workspace, "test"),
            id: UserId::from_bytes(self.app.new_id()),
            username: name.into(),
            username_key: username_key(name).unwrap(),
            admin: false,
            password_hash: Some(hash.to_text()),
            claims,
            roles: Vec::new(),
        };
        let id = step.id;
        assert!(self.app.store.run(step).await.unwrap(), "user {name} is there already");
        id
    }

    /// A user as they are now.
    pub async fn find_user(&self, name: &str) -> User {
        let step = FindCredentials { workspace: self.app.root, username_key: name.into() };
        self.app.store.read(step).await.unwrap().expect("the user is there").user
    }

    /// What happens to a user.
    pub async fn touch_user(&self, name: &str, event: UserEvent) {
        let id = self.find_user(name).await.id;
        assert!(
            self.app.store.run(TouchUser { stamp: self.app.stamp(self.app.root, "test"), id, event }).await.unwrap()
        );
    }

    /// Redeems a code for `client`, with more fields or other ones.
    pub async fn redeem(&self, client: (&str, &str), code: &str, more: &[(&str, &str)]) -> Answer {
        let mut fields = vec![("grant_type", "authorization_code"), ("code", code)];
        if !more.iter().any(|(name, _)| *name == "redirect_uri") {
            fields.push(("redirect_uri", CALLBACK));
        }
        fields.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        self.form_post_as(client, "/token", &fields).await
    }

    /// A code of `APP`, redeemed.
    pub async fn tokens(&self, code: &str) -> Answer {
        let answer = self.redeem(APP, code, &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// The claims of an ID token whose signature one of our published keys verifies.
    pub async fn id_token(&self, answer: &Answer) -> IdTokenClaims {
        let issuer = self.app.find_issuer(None).await.unwrap().unwrap();
        issuer.public.verify_id_token_hint(&answer.field("id_token"), &self.issuer).unwrap()
    }

    /// Userinfo with the token in the header.
    pub async fn userinfo(&self, token: &str) -> Answer {
        self.request("GET", "/userinfo", &[("authorization", &format!("Bearer {token}"))], b"").await
    }

    /// Whether userinfo takes the token.
    pub async fn knows(&self, token: &str) -> bool {
        let answer = self.userinfo(token).await;
        assert!(answer.status == 200 || refusal(&answer) == (401, "invalid_token".into()), "{answer:?}");
        answer.status == 200
    }
}

impl Browser {
    /// Opens the request and signs in as `name`; allows what is asked, if that is asked. Where that ended.
    pub async fn sign_in(&mut self, server: &Server, ask: &Ask, name: &str) -> Landed {
        let landed = self.open(server, &ask.target()).await;
        self.sign_in_at(server, landed, name).await
    }

    /// The same from the sign-in page.
    pub async fn sign_in_at(&mut self, server: &Server, landed: Landed, name: &str) -> Landed {
        let landed = self.give_password(server, landed, name, &password_of(name)).await;
        self.allow(server, landed).await
    }

    /// Fills in the sign-in page, and nothing after it.
    pub async fn give_password(&mut self, server: &Server, landed: Landed, name: &str, password: &str) -> Landed {
        let form = landed.page().form("sign-in").with("login", name).with("password", password);
        self.submit(server, &form).await
    }

    /// Allows, if this is the consent page.
    pub async fn allow(&mut self, server: &Server, landed: Landed) -> Landed {
        match landed {
            Landed::Here(target, answer) if target.starts_with("/consent") => {
                let form = Landed::Here(target, answer).page().form("allow");
                self.submit(server, &form).await
            }
            elsewhere => elsewhere,
        }
    }

    /// A code for `ask`, through a sign-in as `name`.
    pub async fn code(&mut self, server: &Server, ask: &Ask, name: &str) -> String {
        let (_, parameters) = self.sign_in(server, ask, name).await.away();
        value(&parameters, "code").to_owned()
    }

    /// A code for `ask` without any page: the person is signed in and has agreed before.
    pub async fn silent_code(&mut self, server: &Server, ask: &Ask) -> String {
        let (_, parameters) = self.open(server, &ask.target()).await.away();
        value(&parameters, "code").to_owned()
    }

    /// The error that `ask` is answered with at the client.
    pub async fn error(&mut self, server: &Server, ask: &Ask) -> String {
        let (_, parameters) = self.open(server, &ask.target()).await.away();
        value(&parameters, "error").to_owned()
    }
}

impl Landed {
    /// The path of the page of ours where this ended.
    #[track_caller]
    pub fn path(&self) -> &str {
        let Self::Here(target, _) = self else { panic!("expected a page of ours: {self:?}") };
        let target = target.split('?').next().unwrap();
        target
            .find("//")
            .and_then(|at| target[at + 2..].find('/').map(|slash| &target[at + 2 + slash..]))
            .unwrap_or(target)
    }

    /// The answer that is no redirect.
    #[track_caller]
    pub fn answer(self) -> Answer {
        let Self::Here(_, answer) = self else { panic!("expected a page of ours: {self:?}") };
        answer
    }
}

/// A person of whom everything is known.
pub fn whole_profile(name: &str) -> StandardClaims {
    let of = |what: &str| Some(format!("{what} of {name}"));
    StandardClaims {
        name: of("name"),
        given_name: of("given name"),
        family_name: of("family name"),
        middle_name: of("middle name"),
        nickname: of("nickname"),
        preferred_username: Some(name.into()),
        profile: Some(format!("https://{name}.example/")),
        picture: Some(format!("https://{name}.example/picture.png")),
        website: Some(format!("https://{name}.example/site")),
        gender: of("gender"),
        birthdate: Some("0000-12-10".into()),
        zoneinfo: Some("Europe/Berlin".into()),
        locale: Some("de-DE".into()),
        updated_at: Some(UnixTime(1_900_000_000)),
        email: Some(format!("{name}@mail.example")),
        email_verified: true,
    }
}
