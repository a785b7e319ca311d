//! Applying a document: what is declared becomes what is.
//!
//! Takes: a document, and the secrets that the command line found where it says they are.
//! Gives: what would change, or what was done, up to the first failure.
//! Holds: every problem is found before anything is done; each change is a step of its own, so that a run
//! that stopped half-way is gone on with by running it again. A change and the secret that is drawn for it can
//! be told before it is made: whoever has no use for it any more leaves it.

mod carry_out;
mod change;
mod export;
mod rotate;
mod state;

use std::collections::BTreeSet;
use std::vec;

use opalid_core::apply::{
    Document, Kind, NewSecret, Plan, PlanOptions, PlannedChange, Problem, SecretSource, Target, Verb,
    check_client_secret, plan,
};
use opalid_core::token::SecretDigest;
use opalid_store::steps::client::{ByClient, FindClient};
use serde::{Deserialize, Serialize};

use super::{Handed, ManageError, Reply};
use crate::app::App;
use crate::passwords::password::{ChosenPassword, Password};

use carry_out::Found;
pub(super) use change::one;
pub use change::{NESTED, OneChange};
pub(super) use export::export;
pub use rotate::RotatedClientSecret;
pub(super) use rotate::rotate;

/// Secrets beside the places where they were found. What was not found is absent.
pub type FoundSecrets = Vec<(SecretSource, Handed)>;

/// A document to apply.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// The document.
    pub document: Document,
    /// The secrets it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: FoundSecrets,
    /// Delete what is not declared, of the kinds that are.
    #[serde(default)]
    pub prune: bool,
}

/// A change, made or about to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// The change.
    pub change: PlannedChange,
    /// The client secret that was drawn for it: shown now and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Handed>,
}

/// What became of a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Applied {
    /// What was done, in order.
    pub done: Vec<Done>,
    /// Why it stopped, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Whether the change at which it stopped may have been made all the same: the store did not say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// What is left to do, the change that failed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<PlannedChange>,
}

/// Says what applying would change.
pub(super) async fn compare(app: &App, declared: &Declared) -> Result<Reply, ManageError> {
    Ok(Reply::Planned(prepare(app, declared).await?.changes))
}

/// Begins to apply.
pub(super) async fn apply(app: &App, declared: Declared) -> Result<Applying, ManageError> {
    Applying::begin(app, prepare(app, &declared).await?, declared.secrets).await
}

/// A plan that is carried out, up to the first failure: first [`Self::next`], then [`Self::make`], over and over.
pub(super) struct Applying {
    ahead: vec::IntoIter<(PlannedChange, Option<Found>)>,
    /// What the change at hand is made to.
    found: Option<Found>,
    secrets: FoundSecrets,
    applied: Applied,
}

impl Applying {
    /// Finds what the changes are made to: what is made anew under its name meanwhile is another.
    async fn begin(app: &App, plan: Plan, secrets: FoundSecrets) -> Result<Self, ManageError> {
        let problems: Vec<Problem> = plan.changes.iter().filter_map(|change| like_its_issuer(app, change)).collect();
        if !problems.is_empty() {
            return Err(refused(&problems));
        }
        let mut ahead = Vec::with_capacity(plan.changes.len());
        for change in plan.changes {
            let found = carry_out::find(app, &change).await?;
            ahead.push((change, found));
        }
        Ok(Self { ahead: ahead.into_iter(), found: None, secrets, applied: Applied::default() })
    }

    /// The next change, with the secret that is drawn for it; nothing of it is done yet.
    pub fn next(&mut self) -> Option<Done> {
        let change;
        (change, self.found) = self.ahead.next()?;
        let secret = matches!(change.target, Target::Client(_, NewSecret::Draw)).then(rotate::draw);
        Some(Done { change, secret })
    }

    /// Makes it; says whether it is made.
    pub async fn make(&mut self, app: &App, next: Done) -> bool {
        let made = carry_out::one(app, (&next.change, self.found), (&self.secrets, next.secret.as_ref())).await;
        match made {
            Ok(()) => self.applied.done.push(next),
            Err(error) => {
                self.applied.in_doubt = matches!(error, ManageError::Unavailable(_));
                self.leave(next, error.to_string());
            }
        }
        self.applied.stopped.is_none()
    }

    /// Leaves it and what comes after it.
    pub fn leave(&mut self, next: Done, why: String) {
        self.applied.stopped = Some(why);
        self.applied.left.push(next.change);
        self.applied.left.extend(self.ahead.by_ref().map(|(change, _)| change));
    }

    /// Makes all that is left.
    pub async fn finish(mut self, app: &App) -> Reply {
        while let Some(next) = self.next() {
            self.make(app, next).await;
        }
        Reply::Applied(Box::new(self.applied))
    }

    /// Makes all that is left, for whoever has to know only whether it was made.
    pub async fn make_all(mut self, app: &App) -> Result<(), ManageError> {
        while let Some(next) = self.next() {
            carry_out::one(app, (&next.change, self.found), (&self.secrets, next.secret.as_ref())).await?;
        }
        Ok(())
    }

    /// The end, for whoever was told of each change: why it stopped and what is left.
    pub fn end(self) -> Reply {
        Reply::Applied(Box::new(Applied { done: Vec::new(), ..self.applied }))
    }
}

/// Plans, and finds every problem.
async fn prepare(app: &App, declared: &Declared) -> Result<Plan, ManageError> {
    let Declared { document, secrets, prune } = declared;
    let (same_secrets, mut problems) = compare_secrets(app, document, secrets).await?;
    let current = state::facing(app, document, *prune).await?;
    let root = app.store.find_workspace_by_id(app.root).await?;
    let root = root.map(|record| record.workspace.name.clone()).unwrap_or_default();
    let planned = plan(&current, document, &PlanOptions { prune: *prune, root, same_secrets });
    let plan = planned.unwrap_or_else(|mut found| {
        found.append(&mut problems);
        problems = found;
        Plan::default()
    });
    problems.extend(plan.changes.iter().filter_map(|change| bad_password(change, secrets)));
    problems.extend(plan.changes.iter().filter_map(|change| like_its_issuer(app, change)));
    if problems.is_empty() { Ok(plan) } else { Err(refused(&problems)) }
}

fn refused(problems: &[Problem]) -> ManageError {
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    ManageError::Refused(format!("nothing was changed:\n{}", lines.join("\n")))
}

/// Which clients have the declared secret already, and what is wrong with declared secrets.
async fn compare_secrets(
    app: &App,
    document: &Document,
    secrets: &FoundSecrets,
) -> Result<(BTreeSet<(String, String)>, Vec<Problem>), ManageError> {
    let mut same = BTreeSet::new();
    let mut problems = Vec::new();
    for workspace in document.listed() {
        let record = app.store.find_workspace(&workspace.name).await?;
        for client in workspace.clients.iter().flatten() {
            let Some(source) = &client.secret else { continue };
            let checked = find_secret(secrets, source)
                .and_then(|text| check_client_secret(text).map(|()| text).map_err(|bad| format!("{source}: {bad}")));
            match (checked, &record) {
                (Err(what), _) => {
                    let place = format!("workspace {}, client {}", workspace.name, client.client_id);
                    problems.push(Problem { place, what });
                }
                (Ok(_), None) => {}
                (Ok(text), Some(record)) => {
                    let by = ByClient::Name(client.client_id.clone());
                    let found = app.store.read(FindClient { workspace: record.workspace.id, by }).await?;
                    let digest = SecretDigest::of(text.as_bytes());
                    let lasting = found.iter().flat_map(|c| &c.secrets).filter(|secret| secret.expires_at.is_none());
                    if lasting.fold(false, |found, secret| secret.digest.matches(&digest) | found) {
                        same.insert((workspace.name.clone(), client.client_id.clone()));
                    }
                }
            }
        }
    }
    Ok((same, problems))
}

/// The secret that was found at a place.
fn find_secret<'s>(secrets: &'s FoundSecrets, source: &SecretSource) -> Result<&'s str, String> {
    let found = secrets.iter().find(|(at, _)| at == source).map(|(_, secret)| secret.expose());
    found.ok_or_else(|| match source {
        SecretSource::Env(name) => format!("the environment variable {name} is not set"),
        SecretSource::File(path) => format!("there is no file {path}"),
    })
}

fn bad_password(change: &PlannedChange, secrets: &FoundSecrets) -> Option<Problem> {
    let (Verb::Create, Target::User(user)) = (change.verb, &change.target) else { return None };
    let source = user.password.as_ref()?;
    let wrong = find_secret(secrets, source).and_then(|text| {
        let chosen = ChosenPassword::new(Password::new(text.to_owned()), &user.username);
        chosen.map(drop).map_err(|refused| format!("{source}: {refused}"))
    });
    let place = format!("workspace {}, user {}", change.workspace, user.username);
    wrong.err().map(|what| Problem { place, what })
}

/// A resource with the URI of its issuer: that is the audience of tokens that open no resource.
fn like_its_issuer(app: &App, change: &PlannedChange) -> Option<Problem> {
    let (root, PlannedChange { workspace, name, .. }) = (&app.base_url, change);
    let is_like = *name == *root || *name == format!("{root}/{workspace}");
    (change.kind == Kind::Resource && change.verb == Verb::Create && is_like).then(|| Problem {
        place: format!("workspace {workspace}, resource {name}"),
        what: "this is the issuer's own URI, the audience of tokens that open no resource; choose another".into(),
    })
}

#[cfg(test)]
mod tests;
