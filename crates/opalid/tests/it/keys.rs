//! Keys of a workspace: in use, following, kept; rotated by schedule and by hand, revoked, brought in from outside.

mod load;
mod master;
mod shared;

use opalid::keys::keeper::keep;
use opalid::manage::keys::KeyRow;
use opalid::manage::{Command, Handed, ManageError, Reply, Request, handle};
use opalid_core::jwt::SigningAlgorithm;
use opalid_core::resource::ResourceSettings;
use opalid_core::time::UnixTime;
use opalid_core::token_settings::{AccessTokenFormat, TokenOverrides};
use opalid_store::keys::{KeyPurpose, MadeKeys};
use opalid_store::steps::delete::DeleteWorkspace;
use opalid_store::steps::keys::{ChangeKeys, ChangedKeys, KeyChange, KeyEvent, SeenKeys};
use opalid_store::steps::sweep::{Sweep, SweptTable};
use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::person::{API, API_SERVER, APP, Ask, CALLBACK};
use crate::support::{CLIENT_CREDENTIALS, DEMO_API, Server};

const DAY: i64 = 24 * 3600;

/// Asks as an operator.
async fn ask(server: &Server, command: Command) -> Result<Reply, ManageError> {
    handle(&server.app, Request { workspace: None, command }).await
}

async fn done(server: &Server, command: Command) -> String {
    match ask(server, command).await {
        Ok(Reply::Done { message }) => message,
        other => panic!("{other:?}"),
    }
}

async fn refused(server: &Server, command: Command) -> String {
    match ask(server, command).await {
        Err(ManageError::Refused(why) | ManageError::Unknown(why)) => why,
        other => panic!("{other:?}"),
    }
}

async fn list(server: &Server) -> Vec<KeyRow> {
    let Ok(Reply::Keys(page)) = ask(server, Command::ListKeys {}).await else { panic!() };
    page.rows
}

fn rotate(purpose: Option<&str>, now: bool) -> Command {
    Command::RotateKeys { purpose: purpose.map(Into::into), algorithm: None, now }
}

async fn keep_now(server: &Server) {
    keep(&server.app, server.app.now()).await.unwrap();
}

/// The keys of a purpose, as `state number`.
async fn states(server: &Server, purpose: &str) -> Vec<String> {
    let rows = list(server).await;
    let of = rows.iter().filter(|row| row.purpose == purpose || row.algorithm.as_deref() == Some(purpose));
    of.map(|row| format!("{} {}", row.state, row.number)).collect()
}

/// What `/jwks` lists of an algorithm, in order.
async fn kids(server: &Server, algorithm: &str) -> Vec<String> {
    let set = server.get("/jwks").await.json();
    let keys = set["keys"].as_array().unwrap().iter().filter(|key| key["alg"] == algorithm);
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The `kid` that a token is signed under.
fn kid(token: &str) -> String {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn signed_in(server: &Server, browser: &mut Browser) -> Answer {
    let ask = Ask::new().with("scope", "openid read offline_access");
    let code = browser.code(server, &ask, "alice").await;
    server.tokens(&code).await
}

async fn refresh(server: &Server, token: &str) -> Answer {
    server.form_post_as(APP, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

#[tokio::test]
async fn a_signing_key_is_published_before_it_signs_and_current_keys_stand_first() {
    let server = Server::empty().await;
    let first = kids(&server, "RS256").await;
    assert_eq!(first.len(), 1);
    keep_now(&server).await;
    let published = kids(&server, "RS256").await;
    assert_eq!((published.len(), &published[0]), (2, &first[0]));
    let all = server.get("/jwks").await.json();
    let algorithms: Vec<_> = all["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap()).collect();
    let names: Vec<_> = SigningAlgorithm::ALL.iter().map(|algorithm| algorithm.wire_name()).collect();
    assert_eq!(algorithms, [names.clone(), names.clone()].concat(), "all current ones, then all that follow");

    let why = refused(&server, rotate(Some("signing"), false)).await;
    assert!(
        why.starts_with(&format!(
            "clients may not know the next keys yet for {}; wait 3600 seconds; --now",
            names.join(", ")
        )),
        "{why}"
    );
    server.clock.advance(3599);
    refused(&server, rotate(Some("signing"), false)).await;
    assert_eq!(kids(&server, "RS256").await, published);
    server.clock.advance(1);
    let said = done(&server, rotate(Some("signing"), false)).await;
    assert!(!said.contains("look again"), "{said}");
    let rotated = kids(&server, "RS256").await;
    assert_eq!((rotated.len(), &rotated[0], &rotated[2]), (3, &published[1], &published[0]));
    assert_eq!(states(&server, "RS256").await.len(), 3);

    let said = done(&server, rotate(Some("signing"), true)).await;
    assert!(said.contains("until they look again"), "{said}");
    assert_eq!(kids(&server, "RS256").await[0], rotated[1]);
}

#[tokio::test]
async fn what_was_made_before_a_rotation_of_all_keys_goes_on_and_what_comes_after_is_under_the_new_ones() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let tokens = signed_in(&server, &mut browser).await;
    let unused = browser.silent_code(&server, &Ask::new()).await;
    // Half way through a sign-in: a stored request, and a form.
    let mut half = Browser::new();
    let landed = half.open(&server, &Ask::new().target()).await;
    keep_now(&server).await;
    server.clock.advance(10);
    for _ in 0..2 {
        done(&server, rotate(None, true)).await;
    }
    assert!(half.sign_in_at(&server, landed, "bob").await.away().1.iter().any(|(name, _)| name == "code"));
    assert!(server.knows(&tokens.field("access_token")).await);
    assert!(server.is_active(APP, &tokens.field("access_token")).await);
    server.id_token(&tokens).await;
    let redeemed = server.tokens(&unused).await;
    assert_ne!(kid(&redeemed.field("id_token")), kid(&tokens.field("id_token")));
    assert_eq!(kid(&redeemed.field("id_token")), kids(&server, "RS256").await[0]);
    // The session is known by its cookie, and a refresh token by what it opens to.
    browser.silent_code(&server, &Ask::new()).await;
    let refreshed = refresh(&server, &tokens.field("refresh_token")).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    // An ID token from before is a hint.
    let hint = tokens.field("id_token");
    let silent = Ask::new().with("prompt", "none").with("id_token_hint", &hint);
    browser.silent_code(&server, &silent).await;
    let states = states(&server, "sealing").await;
    assert_eq!(states, ["current 3", "previous 1", "previous 2"]);
}

#[tokio::test]
async fn a_refresh_that_is_tried_again_after_a_rotation_gets_the_same_and_a_copy_is_still_found_out() {
    let server = Server::with_people().await;
    let client = opalid_core::client::ClientSettings {
        kind: opalid_core::client::ClientKind::Public,
        ..crate::support::person::web_app("Rotating", &[CALLBACK])
    };
    server.client("rotating", None, client).await;
    let mut browser = Browser::new();
    let ask = Ask::public().with("client_id", "rotating").with("redirect_uri", CALLBACK);
    let code = browser.code(&server, &ask.with("scope", "openid offline_access"), "alice").await;
    let fields = [("client_id", "rotating"), ("grant_type", "authorization_code"), ("code", code.as_str())];
    let more = [("redirect_uri", CALLBACK), ("code_verifier", crate::support::person::VERIFIER)];
    let first = server.form_post("/token", &[&fields[..], &more[..]].concat()).await.field("refresh_token");
    let refresh = async |token: &str| {
        let fields = [("client_id", "rotating"), ("grant_type", "refresh_token"), ("refresh_token", token)];
        server.form_post("/token", &fields).await
    };
    let second = refresh(&first).await.field("refresh_token");
    keep_now(&server).await;
    done(&server, rotate(None, true)).await;
    let again = refresh(&first).await;
    assert_eq!(again.status, 200, "{again:?}");
    let again = again.field("refresh_token");
    assert_eq!(refresh(&again).await.status, 200, "it is the same secret, sealed anew");
    assert_eq!(refresh(&second).await.status, 200, "its successor was not used: a lost answer");
    server.clock.advance(60);
    let copied = refresh(&first).await;
    assert!(copied.field("error_description").contains("was used before"), "{copied:?}");
}

#[tokio::test]
async fn keys_rotate_by_schedule_and_go_when_nothing_needs_them() {
    let server = Server::with_people().await;
    keep_now(&server).await;
    let tokens = signed_in(&server, &mut Browser::new()).await;
    server.clock.advance(90 * DAY - 1);
    keep_now(&server).await;
    for purpose in ["sealing", "row", "refresh", "page"] {
        assert_eq!(states(&server, purpose).await, ["current 1"], "{purpose}");
    }
    server.clock.advance(1);
    let old = tokens.field("refresh_token");
    keep_now(&server).await;
    for purpose in ["sealing", "row", "refresh", "page"] {
        assert_eq!(states(&server, purpose).await, ["current 2", "previous 1"], "{purpose}");
    }
    assert_eq!(states(&server, "RS256").await.len(), 3);
    let events = ask(&server, Command::Events { follow: false, paging: Default::default() }).await.unwrap();
    let Reply::Events(page) = events else { panic!() };
    assert!(page.rows.iter().any(|event| event.action == "key.rotated" && event.initiator == "schedule"));

    // Refresh keys go after a day and the grace, sealing keys after 31 days, signing keys after 61.
    for (days, purpose, gone) in [(2, "refresh", 1), (29, "sealing", 1), (30, "RS256", 2)] {
        server.clock.advance((days - 1) * DAY);
        keep_now(&server).await;
        assert_eq!(states(&server, purpose).await.len(), gone + 1, "{purpose}");
        server.clock.advance(DAY);
        keep_now(&server).await;
        assert_eq!(states(&server, purpose).await.len(), gone, "{purpose}");
    }
    assert_eq!(
        refresh(&server, &old).await.field("error_description"),
        "this refresh token has expired; the person has to sign in again"
    );
    // The chain is there: a copy of what its row key sealed is still a copy.
    assert_eq!(states(&server, "row").await, ["current 2", "previous 1"]);
    server.clock.advance(400 * DAY);
    for table in [SweptTable::Chains, SweptTable::Sessions, SweptTable::Codes] {
        let step = Sweep { table, after: None, limit: 100, now: server.app.now() };
        server.app.store.run(step).await.unwrap();
    }
    keep_now(&server).await;
    assert!(!states(&server, "row").await.contains(&"previous 1".into()), "{:?}", states(&server, "row").await);
}

#[tokio::test]
async fn by_hand_alone_means_that_nothing_rotates_by_itself() {
    let server = Server::empty().await;
    server.apply("[[workspace]]\nname = \"default\"\nkey_rotation = 0\n", &[]).await;
    keep_now(&server).await;
    server.clock.advance(1000 * DAY);
    keep_now(&server).await;
    assert_eq!(states(&server, "sealing").await, ["current 1"]);
    assert_eq!(states(&server, "ES256").await.len(), 2);
}

async fn remove(server: &Server, purpose: KeyPurpose, number: u8) -> ChangedKeys {
    let record = server.app.store.find_workspace_by_id(server.app.root).await.unwrap().unwrap();
    let step = ChangeKeys {
        stamp: server.app.stamp(server.app.root, "test"),
        purpose,
        seen: SeenKeys::of(&record.keys, purpose),
        made: MadeKeys { key_check: server.app.master.current().check().to_vec(), keys: Vec::new() },
        changes: vec![KeyChange::Remove(number)],
        thumbprints: Default::default(),
        event: (KeyEvent::Removed, "test".into()),
    };
    server.app.store.run(step).await.unwrap()
}

#[tokio::test]
async fn a_workspace_that_lacks_a_key_for_an_algorithm_gets_one() {
    let server = Server::empty().await;
    assert_eq!(remove(&server, KeyPurpose::Signing, 2).await, ChangedKeys::Done);
    assert_eq!(kids(&server, "PS256").await.len(), 0);
    keep_now(&server).await;
    assert_eq!(kids(&server, "PS256").await.len(), 2);
    assert!(states(&server, "PS256").await[0].starts_with("current"));
    let before = server.get("/jwks").await.json();
    keep_now(&server).await;
    assert_eq!(server.get("/jwks").await.json(), before, "nothing more to do");
}

#[tokio::test]
async fn a_revoked_signing_key_leaves_the_set_and_what_it_signed_verifies_no_more() {
    let server = Server::with_people().await;
    keep_now(&server).await;
    let mut browser = Browser::new();
    let tokens = signed_in(&server, &mut browser).await;
    let hint = tokens.field("id_token");
    let silent = Ask::new().with("prompt", "none").with("id_token_hint", &hint);
    browser.silent_code(&server, &silent).await;
    let [current, next] = &kids(&server, "RS256").await[..] else { panic!() };
    let command = |key: &str| Command::RevokeKey { key: key.into(), yes: true };
    let why = refused(&server, Command::RevokeKey { key: current.clone(), yes: false }).await;
    let words = "every JWT access token that it signed is inactive here";
    assert!(why.contains(words) && why.contains("--yes") && why.contains("key rotate --alg RS256"), "{why}");
    assert_eq!(&kids(&server, "RS256").await[0], current, "nothing was done");
    let said = done(&server, command(current)).await;
    assert!(said.contains("is out of the key set") && said.contains("until their cache is over"), "{said}");
    assert!(said.contains("hardly published"), "{said}");
    let now = kids(&server, "RS256").await;
    assert_eq!((now.len(), &now[0], now.contains(current)), (2, next, false));
    assert_eq!(browser.error(&server, &silent).await, "login_required");
    assert!(server.knows(&tokens.field("access_token")).await, "an access token is no signature");
    let fresh = signed_in(&server, &mut Browser::new()).await;
    assert_eq!(&kid(&fresh.field("id_token")), next);

    // One that follows, and one that is kept.
    done(&server, command(&now[1])).await;
    let then = kids(&server, "RS256").await;
    assert_eq!((then.len(), &then[0], then.contains(&now[1])), (2, next, false));
    done(&server, rotate(Some("signing"), true)).await;
    done(&server, command(next)).await;
    assert!(!kids(&server, "RS256").await.contains(next));
    let why = refused(&server, command(current)).await;
    assert!(why.contains("has no key") && why.contains("opalid key list"), "{why}");
}

#[tokio::test]
async fn a_revoked_sealing_or_row_key_takes_what_it_sealed_and_only_with_a_yes() {
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let before = signed_in(&server, &mut browser).await;
    done(&server, rotate(Some("sealing"), false)).await;
    let after = signed_in(&server, &mut Browser::new()).await;
    let revoke = |key: &str, yes| Command::RevokeKey { key: key.into(), yes };
    let why = refused(&server, revoke("sealing/1", false)).await;
    assert!(why.contains("every access token that it sealed is dead") && why.contains("--yes"), "{why}");
    assert!(server.is_active(APP, &before.field("access_token")).await);
    done(&server, revoke("sealing/1", true)).await;
    assert!(!server.knows(&before.field("access_token")).await);
    assert!(!server.is_active(APP, &before.field("access_token")).await);
    assert!(server.knows(&after.field("access_token")).await);
    // The one in use: another takes its place.
    done(&server, revoke("sealing/2", true)).await;
    assert!(!server.knows(&after.field("access_token")).await);
    assert_eq!(states(&server, "sealing").await, ["current 3"]);
    let refreshed = refresh(&server, &before.field("refresh_token")).await;
    assert!(server.knows(&refreshed.field("access_token")).await);

    let why = refused(&server, revoke("row/1", false)).await;
    assert!(why.contains("of 2 refresh tokens and 2 sessions"), "{why}");
    done(&server, revoke("row/1", true)).await;
    assert_eq!(refresh(&server, &before.field("refresh_token")).await.status, 400);
    assert!(
        browser.open(&server, &Ask::new().target()).await.page().has("sign-in"),
        "the session's cookie opens nothing"
    );
    assert!(server.knows(&refreshed.field("access_token")).await, "access tokens are under other keys");
    signed_in(&server, &mut Browser::new()).await;
}

/// The key of RFC 8037, appendix A, as OpenSSL writes it.
pub const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

#[tokio::test]
async fn a_signing_key_from_outside_follows_the_one_in_use_and_is_shown_by_its_name_alone() {
    let server = Server::with_people().await;
    keep_now(&server).await;
    let generated = kids(&server, "EdDSA").await;
    let import = |pem: &str, algorithm: Option<&str>| Command::ImportKey {
        key: Handed::new(pem.into()),
        algorithm: algorithm.map(Into::into),
    };
    let kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let said = done(&server, import(ED25519, None)).await;
    assert!(said.contains(kid) && said.contains("next EdDSA key"), "{said}");
    assert_eq!(kids(&server, "EdDSA").await, [generated[0].as_str(), kid], "what followed before had signed nothing");
    assert!(refused(&server, import(ED25519, None)).await.contains("has that key already"));
    assert!(refused(&server, import(ED25519, Some("ES256"))).await.contains("is for EdDSA, not for ES256"));
    assert!(refused(&server, import("no key", None)).await.contains("PKCS#8"));
    let why = refused(&server, import(ED25519, Some("HS256"))).await;
    assert!(why.contains("no signing algorithm here"), "{why}");
    server.clock.advance(3600);
    let command = Command::RotateKeys { purpose: None, algorithm: Some("EdDSA".into()), now: false };
    done(&server, command).await;
    assert_eq!(kids(&server, "EdDSA").await[0], kid);
    let shown = format!("{:?}", list(&server).await) + &serde_json::to_string(&list(&server).await).unwrap();
    assert!(!shown.contains("nWGxne") && shown.contains(kid));
    let shown = format!("{:?}", import(ED25519, None));
    assert!(!shown.contains("MC4CAQ"), "{shown}");
}

#[tokio::test]
async fn an_rsa_key_from_outside_that_is_weak_is_refused_in_words_and_one_that_is_not_is_taken() {
    let server = Server::empty().await;
    keep_now(&server).await;
    let before = kids(&server, "RS256").await;
    let import = |pem: &str| Command::ImportKey { key: Handed::new(pem.into()), algorithm: Some("RS256".into()) };
    for (pem, words) in [
        (include_str!("../../../opalid-core/src/jwt/import/exponent-3.pem"), "exponent of this key is not 65537"),
        (include_str!("../../../opalid-core/src/jwt/import/exponent-65539.pem"), "exponent of this key is not 65537"),
        (include_str!("../../../opalid-core/src/jwt/import/prime-small.pem"), "not both half as long as its modulus"),
        (include_str!("../../../opalid-core/src/jwt/import/primes-close.pem"), "primes of this key are so close"),
    ] {
        let why = refused(&server, import(pem)).await;
        assert!(why.contains(words) && why.contains("make another key"), "{why}");
    }
    assert_eq!(kids(&server, "RS256").await, before);
    done(&server, import(include_str!("../../../opalid-core/src/jwt/import/primes-apart.pem"))).await;
    assert_ne!(kids(&server, "RS256").await, before);
}

fn import_ed25519() -> Command {
    Command::ImportKey { key: Handed::new(ED25519.into()), algorithm: None }
}

pub const ED25519_KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

#[tokio::test]
async fn a_signing_key_that_was_revoked_is_not_brought_in_again_and_what_it_signed_stays_dead() {
    let server = Server::with_people().await;
    let tokens = TokenOverrides {
        access_token_format: Some(AccessTokenFormat::Jwt),
        access_token_signing_alg: Some(SigningAlgorithm::EdDsa),
        ..TokenOverrides::default()
    };
    let settings = ResourceSettings {
        scopes: opalid_core::scope::Scopes::parse("read").unwrap(),
        introspects_jwts: true,
        tokens,
        ..ResourceSettings::default()
    };
    server.set_resource(API, settings).await;
    let machine = ("machine", "ocs_machine");
    server.client(machine.0, Some(machine.1), crate::support::machine(&[(API, "read")])).await;
    done(&server, import_ed25519()).await;
    let rotate = Command::RotateKeys { purpose: None, algorithm: Some("EdDSA".into()), now: true };
    done(&server, rotate).await;
    let (one, other) = (server.token_of(machine).await, server.token_of(machine).await);
    for token in [&one, &other] {
        assert_eq!(kid(token), ED25519_KID);
        assert!(server.is_active(API_SERVER, token).await);
    }
    done(&server, Command::RevokeKey { key: ED25519_KID.into(), yes: true }).await;
    assert!(!server.is_active(API_SERVER, &one).await);
    // Nobody knows it any more, so there is nothing left to revoke.
    assert_eq!(server.form_post_as(machine, "/revoke", &[("token", &one)]).await.status, 200);
    for _ in 0..2 {
        let why = refused(&server, import_ed25519()).await;
        assert!(why.contains("this key was revoked on 20") && why.contains("make another"), "{why}");
    }
    assert!(!kids(&server, "EdDSA").await.contains(&ED25519_KID.to_owned()));
    let server = server.restart().await;
    refused(&server, import_ed25519()).await;
    for token in [&one, &other] {
        assert!(!server.is_active(API_SERVER, token).await);
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_does_not_come_back_where_its_workspace_was_deleted_and_made_anew() {
    let server = Server::empty().await;
    let acme = async |command| handle(&server.app, Request { workspace: Some("acme".into()), command }).await;
    let id = server.workspace("acme").await;
    acme(import_ed25519()).await.unwrap();
    acme(Command::RevokeKey { key: ED25519_KID.into(), yes: true }).await.unwrap();
    let stamp = server.app.stamp(id, "test");
    assert!(server.app.store.run(DeleteWorkspace { stamp }).await.unwrap());
    server.workspace("acme").await;
    let published = server.get("/acme/jwks").await;
    assert_eq!(published.status, 200);
    let refused = [acme(import_ed25519()).await, ask(&server, import_ed25519()).await];
    for refused in refused {
        let why = refused.unwrap_err().to_string();
        assert!(why.contains("this key was revoked on 20"), "the same workspace and another: {why}");
    }
    assert_eq!(server.get("/acme/jwks").await.json(), published.json());
}

#[tokio::test]
async fn a_signing_key_that_went_because_nothing_of_it_lives_may_come_again() {
    let server = Server::empty().await;
    done(&server, import_ed25519()).await;
    let rotate = || Command::RotateKeys { purpose: None, algorithm: Some("EdDSA".into()), now: true };
    done(&server, rotate()).await;
    done(&server, rotate()).await;
    let is_there = async || kids(&server, "EdDSA").await.contains(&ED25519_KID.to_owned());
    server.clock.advance(61 * DAY - 1);
    keep_now(&server).await;
    assert!(is_there().await && refused(&server, import_ed25519()).await.contains("has that key already"));
    server.clock.advance(1);
    keep_now(&server).await;
    assert!(!is_there().await);
    done(&server, import_ed25519()).await;
    assert!(is_there().await);
}

#[tokio::test]
async fn of_two_who_rotate_at_once_what_was_decided_on_old_ground_is_not_done() {
    let server = Server::empty().await;
    let record = server.app.store.find_workspace_by_id(server.app.root).await.unwrap().unwrap();
    done(&server, rotate(Some("sealing"), false)).await;
    let changing =
        opalid::keys::Changing { app: &server.app, record, now: UnixTime(server.app.now().0), initiator: "test" };
    let ring = opalid::keys::Ring::Symmetric(KeyPurpose::Sealing);
    let why = changing.rotate(ring, opalid::keys::Former::Kept).await.unwrap_err();
    assert!(why.to_string().contains("have changed meanwhile"), "{why}");
    assert_eq!(states(&server, "sealing").await, ["current 2", "previous 1"]);
}

#[tokio::test]
async fn keys_of_one_workspace_rotate_alone_and_a_restart_finds_them_as_they_were() {
    let server = Server::demo().await;
    server.workspace("acme").await;
    keep_now(&server).await;
    let acme = server.get("/acme/jwks").await.json();
    let token = server.token_of(DEMO_API).await;
    done(&server, rotate(None, true)).await;
    assert_eq!(server.get("/acme/jwks").await.json(), acme);
    let keys = server.get("/jwks").await.json();
    let server = server.restart().await;
    assert_eq!(server.get("/jwks").await.json(), keys);
    assert!(server.is_active(DEMO_API, &token).await);
    assert_eq!(server.form_post_as(DEMO_API, "/token", &[CLIENT_CREDENTIALS]).await.status, 200);
}
