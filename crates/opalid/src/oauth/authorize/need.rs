//! What a request still needs of the person: a sign-in, a choice, a consent, or nothing.
//!
//! Holds: who was asked on a page grants what it showed, whatever they agreed to before; who is not asked, for they agreed
//! before, what was asked for of all that.

use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::Entitlement;
use opalid_core::request::Prompt;
use opalid_core::time::UnixTime;
use opalid_core::token_settings::ClientTerms;
use opalid_store::steps::consent::{ConsentRow, FindConsent};
use opalid_store::steps::session::SessionRow;

use super::Asked;
use crate::browser;
use crate::entitle;
use crate::http::call::Call;
use crate::http::reply;
use crate::pending::{Decision, Pending, ShownDigest};
use crate::terms;

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// A sign-in.
    SignIn,
    /// A choice between accounts.
    SelectAccount,
    /// A consent.
    Consent,
    /// Nothing more: the person said no.
    Denied,
}

/// How things stand for a request.
pub(super) struct Situation {
    /// What is missing.
    pub need: Option<Need>,
    /// Who is here.
    pub session: Option<SessionRow>,
    /// What they have agreed to before.
    pub consent: Option<ConsentRow>,
    /// What the client gets.
    pub entitlement: Entitlement,
    /// Who has a say in its tokens.
    pub terms: ClientTerms,
}

pub(super) async fn look(call: &Call<'_>, asked: &Asked, pending: &Pending) -> Result<Situation, OAuthError> {
    let request = &asked.request;
    let entitlement = entitle::for_person(call, &asked.client, &request.scope, &request.resources).await?;
    let terms = terms::of(call, &asked.client, &entitlement).await.map_err(|error| reply::outage(&error))?;
    let session = browser::session(call).await.map_err(|error| reply::outage(&error))?;
    let mut situation = Situation { need: Some(Need::SignIn), session: None, consent: None, entitlement, terms };
    let Some(session) = session else { return Ok(situation) };
    let fresh = pending.is_fresh(&session);
    let hinted = pending.is_hinted(call, &session);
    if fresh && !hinted {
        let description = "another person signed in than the one in id_token_hint";
        return Err(OAuthError::new(ErrorCode::LoginRequired, description));
    }
    let too_old = !fresh && is_too_old(&situation, &session, call.now);
    if pending.needs_sign_in(&session, call.now) || too_old || !hinted {
        return Ok(situation);
    }
    if pending.needs_choice(&session) {
        situation.need = Some(Need::SelectAccount);
        return Ok(situation);
    }
    // Nobody is asked about what their roles do not permit; what they were not asked about is not granted.
    let shown = entitle::today(call, (&asked.client, Some(session.user)), &situation.entitlement).await;
    let find = FindConsent { workspace: call.issuer.id(), user: session.user, client: asked.client.id };
    situation.consent = call.app.store.read(find).await.map_err(|error| reply::outage(&error))?;
    // A client that this person never agreed to does not learn without them what their roles are.
    let is_strange = situation.consent.is_none() && !asked.client.settings.first_party && request.prompt.is_none();
    if shown.as_ref().is_err_and(|error| error.code == ErrorCode::InvalidScope) && is_strange {
        situation.need = Some(Need::Consent);
        return Ok(situation);
    }
    let shown = shown?.entitlement.into_owned();
    // A yes to something else than what a page would show now is none.
    let is_this = |of: &ShownDigest| *of == ShownDigest::of(&pending.shown(&session, &shown));
    let decision = pending.decision_in(session.id);
    let allowed = matches!(decision, Some(Decision::Allow(of)) if is_this(of));
    situation.need = match decision {
        Some(Decision::Deny) => Some(Need::Denied),
        _ => needs_consent(asked, (&situation, &shown), allowed).then_some(Need::Consent),
    };
    if allowed {
        situation.entitlement = shown;
    } else if let Some(consent) = situation.consent.as_ref().filter(|_| !asked.client.settings.first_party) {
        situation.entitlement = situation.entitlement.intersect(&consent.given);
    }
    situation.session = Some(session);
    Ok(situation)
}

/// Whether the session is older, or has rested for longer, than client and resources accept. One that a person signed in
/// for this very request is not asked about.
fn is_too_old(situation: &Situation, session: &SessionRow, now: UnixTime) -> bool {
    let (age, rested) = (now.since(session.authentication.auth_time), now.since(session.used_at));
    situation
        .terms
        .of(&situation.entitlement, |terms| age > terms.session_absolute().value || rested > terms.session_idle().value)
}

fn needs_consent(asked: &Asked, (situation, shown): (&Situation, &Entitlement), allowed: bool) -> bool {
    let remembered = situation.consent.as_ref().is_some_and(|consent| shown.is_within(&consent.given));
    let unproved = !asked.client.is_proved_by(&asked.address);
    // Whoever just allowed it is remembered, unless it was withdrawn since.
    let asks_anyway = asked.request.prompt.contains(Prompt::Consent) && !allowed;
    asks_anyway || (!asked.client.settings.first_party && (!remembered || (unproved && !allowed)))
}
