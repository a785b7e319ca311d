//! What is wrong with a document, beyond its form: every problem, each with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::entry::Entry;
use super::{ClientEntry, Document, ResourceEntry, RoleEntry, WorkspaceEntry};
use crate::claims::{DeclaredClaim, wrong_attributes};
use crate::client::{ClientKind, ClientSettings, check_client_id};
use crate::request::{GrantType, MAX_RESOURCES};
use crate::resource_uri::ResourceUri;
use crate::role::{ROLES_MAX, check_role_name};
use crate::scope::{OpenIdScope, ScopeName, Scopes};
use crate::uri::split_scheme;
use crate::user::username_key;
use crate::workspace::check_workspace_name;

/// The most characters of a text that people read.
const DISPLAYED_MAX: usize = 200;

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as `workspace default, client app`.
    pub place: String,
    /// What, in words.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Gives every problem of `desired`. With `prune`, resources that it does not list are gone.
pub(super) fn check(current: &Document, desired: &Document, prune: bool) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    let existing: BTreeMap<&str, &WorkspaceEntry> = current.listed().iter().map(|w| (&*w.name, w)).collect();
    repeated(desired.listed(), "the document", &mut problems);
    for workspace in desired.listed() {
        let found = existing.get(&*workspace.name).copied();
        let mut checker = Checker { workspace, found, place: String::new(), problems: &mut problems };
        checker.run(prune);
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn repeated<E: Entry>(entries: &[E], place: &str, problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for entry in entries.iter().filter(|entry| !seen.insert(entry.key())) {
        let what = format!("{} {} is listed twice", E::KIND.name(), entry.name());
        problems.push(Problem { place: place.to_owned(), what });
    }
}

struct Checker<'d> {
    workspace: &'d WorkspaceEntry,
    found: Option<&'d WorkspaceEntry>,
    place: String,
    problems: &'d mut Vec<Problem>,
}

impl<'d> Checker<'d> {
    fn run(&mut self, prune: bool) {
        let workspace = self.workspace;
        self.place = format!("workspace {}", workspace.name);
        if self.found.is_none() {
            self.refuse(check_workspace_name(&workspace.name));
        }
        if let Some(settings) = &workspace.settings {
            self.complain(settings.wrong());
            self.displayed("display_name", &settings.display_name);
        }
        repeated(workspace.resources.as_deref().unwrap_or_default(), &self.place, self.problems);
        repeated(workspace.roles.as_deref().unwrap_or_default(), &self.place, self.problems);
        repeated(workspace.clients.as_deref().unwrap_or_default(), &self.place, self.problems);
        repeated(workspace.users.as_deref().unwrap_or_default(), &self.place, self.problems);
        let resources = self.resources_after(prune);
        let after = workspace.settings.as_ref().or_else(|| self.found?.settings.as_ref());
        let defaults = after.map(|settings| settings.default_resources.as_slice()).unwrap_or_default();
        for default in defaults {
            self.known(&resources, "default_resources", default);
        }
        self.not_too_many(defaults);
        for (name, claim) in workspace.settings.iter().flat_map(|settings| &settings.claims) {
            self.scope_of(name, claim, &resources);
        }
        for resource in workspace.resources.iter().flatten() {
            self.resource(resource);
        }
        for role in workspace.roles.iter().flatten() {
            self.role(role, &resources);
        }
        let roles = self.roles_after(prune);
        for client in workspace.clients.iter().flatten() {
            self.place = format!("workspace {}, client {}", workspace.name, client.client_id);
            self.client(client, &resources);
            self.holds(&client.roles, &roles);
        }
        for user in workspace.users.iter().flatten() {
            self.place = format!("workspace {}, user {}", workspace.name, user.username);
            self.refuse(username_key(&user.username));
            self.complain(wrong_attributes(&user.claims.attributes));
            self.holds(&user.roles, &roles);
        }
    }

    /// A claim that shows with a scope that nobody can be granted would show nowhere.
    fn scope_of(&mut self, name: &str, claim: &DeclaredClaim, resources: &BTreeMap<&str, &Scopes>) {
        let Some(scope) = claim.scope.as_ref().map(ScopeName::as_str) else { return };
        let granted = OpenIdScope::from_wire(scope).is_some() || resources.values().any(|has| has.contains(scope));
        self.complain((!granted).then(|| {
            format!(
                "claims.{name}: no resource of this workspace has the scope {scope}, and OpenID Connect has none of this \
                 name: the claim would never show"
            )
        }));
    }

    /// The resources that there will be, with their scopes.
    fn resources_after(&self, prune: bool) -> BTreeMap<&'d str, &'d Scopes> {
        let stays = !prune || self.workspace.resources.is_none();
        let stay = self.found.filter(|_| stays).and_then(|found| found.resources.as_ref());
        let declared = self.workspace.resources.iter().flatten();
        stay.into_iter().flatten().chain(declared).map(|r| (&*r.uri, &r.settings.scopes)).collect()
    }

    fn resource(&mut self, resource: &ResourceEntry) {
        self.place = format!("workspace {}, resource {}", self.workspace.name, resource.uri);
        self.refuse(resource.uri.parse::<ResourceUri>());
        self.displayed("name", &resource.settings.name);
        self.complain(resource.settings.wrong());
        for scope in resource.settings.scopes.iter().filter(|scope| OpenIdScope::from_wire(scope).is_some()) {
            self.complain(Some(format!("scope {scope} belongs to the issuer; a resource cannot have it")));
        }
    }

    /// The names of the roles that there will be.
    fn roles_after(&self, prune: bool) -> BTreeSet<&'d str> {
        let stays = !prune || self.workspace.roles.is_none();
        let stay = self.found.filter(|_| stays).and_then(|found| found.roles.as_ref());
        stay.into_iter().flatten().chain(self.workspace.roles.iter().flatten()).map(|role| &*role.name).collect()
    }

    fn role(&mut self, role: &RoleEntry, resources: &BTreeMap<&str, &Scopes>) {
        self.place = format!("workspace {}, role {}", self.workspace.name, role.name);
        self.refuse(check_role_name(&role.name));
        self.displayed("description", &role.settings.description);
        self.scopes_of("permissions", &role.settings.permissions, resources);
    }

    fn holds(&mut self, roles: &[String], known: &BTreeSet<&str>) {
        for role in roles.iter().filter(|role| !known.contains(role.as_str())) {
            self.complain(Some(format!("roles: there is no role {role}; declare it in this workspace")));
        }
        self.complain((roles.len() > ROLES_MAX).then(|| format!("roles: at most {ROLES_MAX}")));
    }

    /// Resources of this workspace, each with scopes that it has.
    fn scopes_of(&mut self, field: &str, of: &BTreeMap<String, Scopes>, resources: &BTreeMap<&str, &Scopes>) {
        for (uri, scopes) in of {
            if let Some(has) = self.known(resources, field, uri)
                && let Some(missing) = scopes.iter().find(|scope| !has.contains(scope))
            {
                self.complain(Some(format!("{field}: {uri} has no scope {missing}; it has: {has}")));
            }
        }
    }

    fn client(&mut self, client: &ClientEntry, resources: &BTreeMap<&str, &Scopes>) {
        let settings = &client.settings;
        let known = |found: &WorkspaceEntry| found.clients.iter().flatten().any(|c| c.client_id == client.client_id);
        if !self.found.is_some_and(known) {
            self.refuse(check_client_id(&client.client_id));
        }
        self.displayed("name", &settings.name);
        self.complain(settings.tokens.wrong());
        self.complain(settings.wrong_encryption());
        self.scopes_of("access", &settings.access, resources);
        for default in settings.default_resources.iter().filter(|uri| !settings.access.contains_key(*uri)) {
            self.complain(Some(format!("default_resources: the client has no access to {default}")));
        }
        self.not_too_many(&settings.default_resources);
        for uri in &settings.serves {
            self.known(resources, "serves", uri);
        }
        if let Some(page) = &settings.client_uri
            && !split_scheme(page)
                .is_ok_and(|(scheme, rest)| (scheme == "https" || scheme == "http") && rest.starts_with("//"))
        {
            self.complain(Some("client_uri: expected a URL with https or http"));
        }
        self.kind(settings, client.secret.is_some());
    }

    fn not_too_many(&mut self, defaults: &[String]) {
        let many = defaults.len() > MAX_RESOURCES;
        self.complain(many.then(|| format!("default_resources: at most {MAX_RESOURCES}")));
    }

    fn kind(&mut self, settings: &ClientSettings, has_secret: bool) {
        let uses = |grant_type| settings.grant_types.contains(&grant_type);
        if uses(GrantType::AuthorizationCode) && settings.redirect_uris.is_empty() {
            self.complain(Some("grant type authorization_code needs redirect_uris"));
        }
        if settings.kind == ClientKind::Confidential {
            return;
        }
        for (wrong, what) in [
            (has_secret, "has no secret"),
            (uses(GrantType::ClientCredentials), "cannot use client_credentials"),
            (!settings.serves.is_empty(), "cannot serve resources: it could not authenticate to introspect"),
            (settings.introspect_tokens, "cannot introspect_tokens"),
        ] {
            self.complain(wrong.then(|| format!("a public client {what}; kind = \"confidential\" can")));
        }
    }

    fn known<'s>(&mut self, resources: &BTreeMap<&str, &'s Scopes>, field: &str, uri: &str) -> Option<&'s Scopes> {
        let found = resources.get(uri).copied();
        if found.is_none() {
            self.complain(Some(format!("{field}: there is no resource {uri}; declare it in this workspace")));
        }
        found
    }

    fn displayed(&mut self, field: &str, text: &str) {
        if text.chars().count() > DISPLAYED_MAX || text.chars().any(char::is_control) {
            self.complain(Some(format!("{field}: at most {DISPLAYED_MAX} characters and no control characters")));
        }
    }

    fn refuse<T, E: fmt::Display>(&mut self, checked: Result<T, E>) {
        self.complain(checked.err().map(|error| error.to_string()));
    }

    fn complain(&mut self, what: Option<impl Into<String>>) {
        if let Some(what) = what {
            self.problems.push(Problem { place: self.place.clone(), what: what.into() });
        }
    }
}
