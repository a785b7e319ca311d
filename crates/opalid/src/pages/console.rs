//! The console: the inspector, test JWTs, and the page for whoever is no administrator.
//!
//! Element ids: `token`, `inspect`, `verdict`, `cut-token`, `cut-grant`, `problem`; `alg`, `claims`, `make`, `made`, `jwks`;
//! `sign-in`.

use askama::Template;
use opalid_core::jwt::SigningAlgorithm;
use opalid_core::time::UnixTime;

use crate::manage::inspect::Inspection;
use crate::words;

/// For somebody who is signed in and may not.
#[derive(Debug, Template)]
#[template(path = "not_administrator.html")]
pub struct NotAdministrator<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Who they are.
    pub user: &'a str,
    /// Where somebody else signs in.
    pub sign_in_url: &'a str,
}

/// The inspector. The form sends `csrf` and `token`.
#[derive(Debug, Template)]
#[template(path = "inspect.html")]
pub struct Inspect<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Who is signed in.
    pub user: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// The CSRF token.
    pub csrf: &'a str,
    /// Where test JWTs are made.
    pub test_jwt_url: &'a str,
    /// Where one signs out.
    pub sign_out_url: &'a str,
    /// What was just done.
    pub done: Option<&'a str>,
    /// Why nothing is shown, or was done.
    pub problem: Option<&'a str>,
    /// What there is to say of the token.
    pub inspected: Option<Inspected>,
    /// How to cut it.
    pub cut: Option<CutForm>,
}

/// The form that cuts what is shown. It sends `csrf`, `token`, and as `decision` `token` or `grant`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutForm {
    /// Where it goes.
    pub action: String,
    /// The CSRF token: of this session and this token.
    pub csrf: String,
    /// The token that is shown.
    pub token: String,
    /// Whether it can be revoked without its grant.
    pub alone: bool,
}

/// A name, what it is, and what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// What it is.
    pub value: String,
    /// What that means, if it needs saying.
    pub means: String,
}

/// What there is to say of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Alive or dead, in a sentence.
    pub headline: String,
    /// Whether it is alive.
    pub active: bool,
    /// What it is.
    pub facts: Vec<Fact>,
    /// What it may do, by resource.
    pub may: Vec<Fact>,
    /// What it hangs from.
    pub ancestors: Vec<Fact>,
    /// The header of a JWT.
    pub header: Vec<Fact>,
    /// Its claims.
    pub claims: Vec<Fact>,
    /// What is odd about it.
    pub odd: Vec<String>,
    /// Commands that cut it.
    pub commands: Vec<Fact>,
}

fn fact(name: impl Into<String>, value: impl Into<String>, means: impl Into<String>) -> Fact {
    Fact { name: name.into(), value: value.into(), means: means.into() }
}

impl Inspected {
    /// The same as the command says.
    pub fn new(inspection: &Inspection, now: UnixTime) -> Self {
        let mut facts = Vec::new();
        facts.extend(inspection.signature.iter().map(|said| fact("signature", said, "")));
        facts.extend(inspection.key.iter().map(|number| fact("sealed under key", number.to_string(), "")));
        facts.extend(inspection.facts.iter().map(|(name, value)| fact(name, value, "")));
        facts.extend(inspection.times.iter().map(|(name, at)| fact(name, words::time(*at, now), "")));
        if let Some(grant) = &inspection.grant {
            facts.push(fact("grant", grant.id.to_string(), ""));
            facts.extend(grant.part_of.map(|whole| fact("part of grant", whole.to_string(), "")));
            facts.push(fact("client", &grant.client_id, ""));
            facts.push(fact("user", grant.username.as_deref().unwrap_or("none: the client itself"), ""));
            facts.push(fact("granted", words::time(grant.created_at, now), ""));
        }
        let may = inspection.may.iter().map(|part| {
            let today = part.today.as_ref().map(|scopes| format!("today: {scopes}"));
            fact(&part.resource, part.scopes.as_str(), today.as_deref().unwrap_or("today: nothing"))
        });
        let ancestors = inspection.ancestors.iter().map(|ancestor| {
            let today = ancestor.today.map_or_else(|| "gone".into(), |today| today.0.to_string());
            let epochs = format!("{}; epoch {} then, {today} today", ancestor.words(now), ancestor.born_under.0);
            fact(&ancestor.kind, &ancestor.name, epochs)
        });
        let member = |member: &opalid_core::jwt::Member| {
            let value = member.time.map_or_else(|| member.value.clone(), |at| words::time(at, now));
            let section = if member.section.is_empty() { String::new() } else { format!(" ({})", member.section) };
            fact(&member.name, value, format!("{}{section}", member.means))
        };
        let jwt = inspection.jwt.as_ref();
        Self {
            headline: inspection.headline(),
            active: inspection.active,
            facts,
            may: may.collect(),
            ancestors: ancestors.collect(),
            header: jwt.map(|jwt| jwt.header.iter().map(member).collect()).unwrap_or_default(),
            claims: jwt.map(|jwt| jwt.claims.iter().map(member).collect()).unwrap_or_default(),
            odd: jwt.map(|jwt| jwt.odd.clone()).unwrap_or_default(),
            commands: inspection.cut.iter().map(|cut| fact(&cut.what, &cut.command, "")).collect(),
        }
    }

    /// Lists of facts, each with its title and an id for it.
    pub fn lists(&self) -> Vec<(&'static str, &'static str, &[Fact])> {
        let all: [(_, _, &[Fact]); 6] = [
            ("What it is", "facts", &self.facts),
            ("What it may do", "may", &self.may),
            ("What it hangs from", "ancestors", &self.ancestors),
            ("Header", "header", &self.header),
            ("Claims", "claims", &self.claims),
            ("Commands that cut it", "commands", &self.commands),
        ];
        all.into_iter().filter(|(_, _, facts)| !facts.is_empty()).collect()
    }
}

/// Makes a JWT for tests. The form sends `csrf`, `alg` and `claims`.
#[derive(Debug, Template)]
#[template(path = "test_jwt.html")]
pub struct TestJwtPage<'a> {
    /// The workspace's display name.
    pub workspace: &'a str,
    /// Who is signed in.
    pub user: &'a str,
    /// Where the form goes.
    pub action: &'a str,
    /// The CSRF token.
    pub csrf: &'a str,
    /// Where the inspector is.
    pub inspect_url: &'a str,
    /// Where one signs out.
    pub sign_out_url: &'a str,
    /// What such a token is good for.
    pub note: &'a str,
    /// The algorithm that is chosen.
    pub alg: &'a str,
    /// The claims as they were typed.
    pub claims: &'a str,
    /// Why none was made.
    pub problem: Option<&'a str>,
    /// The token, and the JWK Set that verifies it.
    pub made: Option<(String, String)>,
}

impl TestJwtPage<'_> {
    /// The algorithms to choose from.
    pub fn algorithms(&self) -> impl Iterator<Item = &'static str> {
        SigningAlgorithm::ALL.iter().map(|algorithm| algorithm.wire_name())
    }

    /// Whether this one is chosen.
    pub fn is_chosen(&self, algorithm: &str) -> bool {
        self.alg == algorithm
    }
}
