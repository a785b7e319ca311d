//! The inspector, of JWTs: decoded whoever made them, and judged where they are ours.
//!
//! Holds: whose a JWT is and whether it lives is said by what verifies tokens everywhere else; what stands in it is
//! shown beside that and decides nothing.

use opalid_core::client::Client;
use opalid_core::ids::{SessionId, UserId};
use opalid_core::jwt::{AccessTokenClaims, DecodedJwt, IdTokenClaims, Signature, unproved_issuer};
use opalid_core::scope::Scopes;
use opalid_core::token::AccessJwt;
use opalid_store::steps::evidence::LoadStandings;
use opalid_store::steps::session::FindSession;
use serde_json::Value;

use super::super::sessions::username;
use super::super::{Handed, ManageError, Operation};
use super::hang::{name_of, state};
use super::{Inspection, Permitted, Whose, access_opened};
use crate::browser;
use crate::issuer::Issuer;
use crate::presented::{self, AccessToken};

/// Inspects a JWT, ours or not.
pub(super) async fn inspect(operation: &Operation<'_>, token: &Handed) -> Result<Inspection, ManageError> {
    let issuer = operation.app.issuer_of(&operation.record)?;
    let decoded = DecodedJwt::of(token.expose(), operation.app.now());
    let decoded = decoded.map_err(|error| ManageError::Refused(format!("this is no token: {error}")))?;
    let signature = issuer.public.judge_signature(token.expose());
    let said = words(operation, &issuer, signature, decoded.encrypted);
    let mut inspection = if let Ok(opened) = AccessToken::open(&issuer, token.expose()) {
        let mut inspection = Inspection::of("access token (JWT)");
        inspection.opened::<AccessJwt>(&opened.jti());
        access_opened(operation, inspection, (&issuer, &opened)).await?
    } else if let Some(opened) = AccessToken::open_former(&issuer, token.expose()) {
        former(operation, &issuer, &opened).await?
    } else if let Ok(claims) = issuer.public.verify_id_token_hint(token.expose(), &issuer.url) {
        id_token(operation, &claims).await?
    } else {
        let mut inspection = Inspection::of(&decoded.kind);
        let (whose, why) = match (signature, elsewhere(operation, &issuer, token).await?) {
            (Signature::Good(_), _) => (Whose::Word, "it stands for nothing that lives or dies".into()),
            (_, Some(name)) => {
                let why = format!("its iss is that of workspace {name} (try -w {name}), and {said}");
                (Whose::Elsewhere, why)
            }
            (Signature::Unreadable, None) if decoded.encrypted => (Whose::Hidden, said.clone()),
            _ => (Whose::Foreign, said.clone()),
        };
        (inspection.whose, inspection.why) = (whose, Some(why));
        inspection
    };
    inspection.signature = Some(said);
    inspection.jwt = Some(decoded);
    Ok(inspection)
}

/// The other workspace of this server whose issuer a JWT names; nothing that it says is proved.
async fn elsewhere(operation: &Operation<'_>, issuer: &Issuer, token: &Handed) -> Result<Option<String>, ManageError> {
    let (app, said) = (operation.app, unproved_issuer(token.expose()));
    let Some(said) = said.filter(|said| *said != issuer.url) else { return Ok(None) };
    let found = match said.strip_prefix(&app.base_url) {
        Some("") => app.store.find_workspace_by_id(app.root).await?,
        Some(path) => match path.strip_prefix('/') {
            Some(name) => app.store.find_workspace(name).await?,
            None => None,
        },
        None => None,
    };
    // The root's name is no path.
    let found = found.filter(|record| app.issuer_url(&record.workspace) == said);
    Ok(found.map(|record| record.workspace.name.clone()))
}

/// Of what its grant may, what this token says it may.
pub(super) fn only_its_own(may: &mut Vec<Permitted>, issuer: &Issuer, claims: &AccessTokenClaims) {
    may.retain(|part| part.resource == issuer.url || claims.aud.iter().any(|uri| uri == part.resource));
    for part in may {
        part.scopes = part.scopes.intersect(&claims.scope);
        part.today = part.today.as_ref().map(|today| today.intersect(&claims.scope));
    }
}

/// One that lives again if the issuer's URL is put back, unless it is cut.
async fn former(operation: &Operation<'_>, issuer: &Issuer, token: &AccessToken) -> Result<Inspection, ManageError> {
    let mut inspection = Inspection::of("access token (JWT)");
    inspection.opened::<AccessJwt>(&token.jti());
    let mut inspection = access_opened(operation, inspection, (issuer, token)).await?;
    if inspection.active {
        inspection.active = false;
        inspection.why = Some(format!(
            "it was made when the issuer had another URL than {}; it is inactive while that is so, and lives again if the \
             other URL is put back, unless it is cut",
            issuer.url
        ));
    }
    Ok(inspection)
}

/// What a signature is worth, and whose key made it or should have.
fn words(operation: &Operation<'_>, issuer: &Issuer, signature: Signature<'_>, encrypted: bool) -> String {
    let name = &operation.record.workspace.name;
    let key = |kid: &str| {
        let own = issuer.signing.iter().find(|own| own.key.kid() == kid);
        own.map_or_else(String::new, |own| {
            let (number, state, alg) = (own.number, own.state.name(), own.key.algorithm().wire_name());
            format!("signing key {number} of workspace {name} ({alg}, {state}, kid {kid})")
        })
    };
    match signature {
        Signature::Good(kid) => format!("good, by {}", key(kid)),
        Signature::Bad(kid) => format!("it was changed on the way, or never signed by {}", key(kid)),
        Signature::WrongAlgorithm(kid) => format!("its alg is another than that of {}", key(kid)),
        Signature::UnknownKey => format!("it is not signed by a key of workspace {name}"),
        Signature::Unsigned => "it is not signed".into(),
        Signature::Unreadable if encrypted => "it is encrypted, so that its reader alone sees who signed it".into(),
        Signature::Unreadable => "its signature cannot be read".into(),
    }
}

/// Why a JWT that says more than it may is dead while that is so: what is too much.
pub(super) async fn says_too_much(
    operation: &Operation<'_>,
    inspection: &Inspection,
    issuer: &Issuer,
    (claims, client, user): (&AccessTokenClaims, &Client, Option<UserId>),
) -> Result<String, ManageError> {
    let open = |uri: &str| inspection.may.iter().any(|part| part.resource == uri && part.today.is_some());
    let too_many: Vec<&str> = claims.aud.iter().filter(|uri| *uri != issuer.url && !open(uri)).collect();
    let today = inspection.may.iter().filter_map(|part| part.today.as_ref());
    let today = today.fold(Scopes::default(), |all, part| all.union(part));
    let excess = claims.scope.filter(|scope| !today.contains(scope));
    let mut said = Vec::new();
    if !excess.is_empty() {
        said.push(format!("scope {excess}"));
    }
    if !too_many.is_empty() {
        said.push(format!("aud {}", too_many.join(" ")));
    }
    let roles = presented::roles_too_many(&operation.app.store, (client, user), claims).await?;
    if !roles.is_empty() {
        let name = |role: &&Value| role.as_str().map_or_else(|| role.to_string(), str::to_owned);
        said.push(format!("roles {}", roles.iter().map(name).collect::<Vec<_>>().join(" ")));
    }
    // One list of scopes for all its resources: what one of them allows another may not.
    let what = if said.is_empty() { "at one of its resources".to_owned() } else { said.join(", ") };
    Ok(format!("it says more than it may today: {what}"))
}

/// An ID token lives as long as the session that it came of, and until it expires.
async fn id_token(operation: &Operation<'_>, claims: &IdTokenClaims) -> Result<Inspection, ManageError> {
    let (store, workspace, now) = (&operation.app.store, operation.workspace(), operation.app.now());
    let mut inspection = Inspection::of("ID token");
    inspection.time("issued", claims.iat);
    inspection.time("expires", claims.exp);
    if let Ok(user) = claims.sub.parse::<UserId>() {
        inspection.fact("user", username(operation, user).await?);
    }
    let mut why = (now >= claims.exp).then(|| "it has expired".to_owned());
    let session = match claims.sid.as_deref().and_then(|sid| sid.parse::<SessionId>().ok()) {
        Some(id) => {
            inspection.fact("session", id);
            let found = store.read(FindSession { workspace, id }).await?;
            if found.is_none() {
                why = why.or_else(|| Some("its session is gone".into()));
            }
            found
        }
        None => None,
    };
    if let Some(session) = session {
        let lineage = browser::lineage(&session);
        let standings = store.read(LoadStandings { workspace, lineage: lineage.clone() }).await?;
        for (birth, (ancestor, standing)) in lineage.births().zip(standings) {
            let name = name_of(operation, ancestor).await?;
            inspection.ancestors.push(state(ancestor, name, birth.epoch, standing));
        }
        let judged = store.judge_lineage(workspace, &lineage, now).await?;
        why = why.or_else(|| judged.err().map(|reason| reason.to_string()));
        inspection.cut_with(
            operation,
            "its session, with everything bound to it",
            &format!("revoke session {}", session.id),
        );
    }
    inspection.active = why.is_none();
    inspection.why = why;
    Ok(inspection)
}
