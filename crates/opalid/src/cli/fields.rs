//! Flags that set fields of one entry: what is not named stays as it is.

use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;
use opalid_core::apply::{Kind, SecretSource, Verb};
use serde_json::{Map, Value};

use super::apply::{making, secret_file};
use super::reach::Server;
use crate::manage::apply::{NESTED, OneChange};
use crate::manage::{Command, Handed};

/// Any field, by its name in a document.
#[derive(Debug, Default, Args)]
pub struct AnyFields {
    /// Sets a field by its name in a document, such as code_lifetime=30; lists are JSON
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Gives a field its default
    #[arg(long, value_name = "FIELD")]
    unset: Vec<String>,
}

/// What a client may do.
#[derive(Debug, Args)]
pub struct ClientFields {
    /// What people read
    #[arg(long)]
    name: Option<String>,
    /// It cannot keep a secret: browser, mobile and command-line clients
    #[arg(long)]
    public: bool,
    /// A grant type it may use, such as authorization_code; repeated for several, which replace those it had
    #[arg(long, value_name = "GRANT_TYPE")]
    grant_type: Vec<String>,
    /// Where authorization answers may go; repeated for several, which replace those it had
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,
    /// Where a sign-out may end; repeated for several, which replace those it had
    #[arg(long, value_name = "URI")]
    post_logout_redirect_uri: Vec<String>,
    /// A resource and the scopes it may ask for there, separated by blanks: they replace those it had there; its other
    /// resources stay
    #[arg(long, value_name = "RESOURCE=SCOPES")]
    access: Vec<String>,
    /// A resource it gets when it names none; repeated for several, which replace those it had
    #[arg(long, value_name = "RESOURCE")]
    default_resource: Vec<String>,
    /// A resource it serves: it may introspect its tokens; repeated for several, which replace those it had
    #[arg(long, value_name = "RESOURCE")]
    serves: Vec<String>,
    /// A role it holds for itself; repeated for several, which replace those it had
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// It belongs to the operator: people are not asked for consent
    #[arg(long)]
    first_party: bool,
    #[command(flatten)]
    any: AnyFields,
}

/// What a resource is.
#[derive(Debug, Args)]
pub struct ResourceFields {
    /// What people read
    #[arg(long)]
    name: Option<String>,
    /// Its scopes, separated by blanks; they replace those it had
    #[arg(long)]
    scopes: Option<String>,
    /// Whether a token may do there only what roles permit
    #[arg(long, value_name = "BOOL")]
    requires_roles: Option<bool>,
    #[command(flatten)]
    any: AnyFields,
}

/// What a role is.
#[derive(Debug, Args)]
pub struct RoleFields {
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// A resource and the scopes it permits there, separated by blanks: they replace those it had there; its other
    /// resources stay
    #[arg(long, value_name = "RESOURCE=SCOPES")]
    permit: Vec<String>,
    #[command(flatten)]
    any: AnyFields,
}

/// What is known of a user.
#[derive(Debug, Args)]
pub struct UserFields {
    /// A claim about the person, such as email=alice@example.com; email= takes it away. What is no standard claim is an
    /// attribute: --set 'claims.attributes={"department":"sales"}'
    #[arg(long, value_name = "CLAIM=VALUE")]
    claim: Vec<String>,
    /// A role they hold; repeated for several, which replace those they had
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    #[command(flatten)]
    any: AnyFields,
}

/// What of a user changes.
#[derive(Debug, Args)]
pub struct UserChanges {
    /// What the person types to sign in from now on
    #[arg(long, value_name = "USERNAME")]
    rename: Option<String>,
    /// Whether the user administers the workspace
    #[arg(long, value_name = "BOOL")]
    admin: Option<bool>,
    #[command(flatten)]
    known: UserFields,
}

impl AnyFields {
    /// The fields as they travel.
    pub fn into_map(self) -> anyhow::Result<Map<String, Value>> {
        let mut fields = Map::new();
        self.put(&mut fields)?;
        Ok(fields)
    }

    fn put(self, fields: &mut Map<String, Value>) -> anyhow::Result<()> {
        for pair in &self.set {
            let (field, value) = split(pair, "--set FIELD=VALUE")?;
            put(fields, field, json_or_text(value));
        }
        for field in &self.unset {
            put(fields, field, Value::Null);
        }
        Ok(())
    }
}

impl ClientFields {
    /// The fields as they travel.
    pub fn into_map(self) -> anyhow::Result<Map<String, Value>> {
        let mut fields = Map::new();
        fields.extend(self.name.map(|name| ("name".to_owned(), name.into())));
        for (field, list) in [
            ("default_resources", self.default_resource),
            ("grant_types", self.grant_type),
            ("redirect_uris", self.redirect_uri),
            ("post_logout_redirect_uris", self.post_logout_redirect_uri),
            ("serves", self.serves),
        ] {
            if !list.is_empty() {
                fields.insert(field.to_owned(), list.into());
            }
        }
        put_roles(&mut fields, self.role)?;
        if self.public {
            fields.insert("kind".into(), "public".into());
        }
        if self.first_party {
            fields.insert("first_party".into(), true.into());
        }
        put_scopes(&mut fields, "access", (&self.access, "expected --access RESOURCE=SCOPES"))?;
        self.any.put(&mut fields)?;
        Ok(fields)
    }
}

impl ResourceFields {
    /// The fields as they travel.
    pub fn into_map(self) -> anyhow::Result<Map<String, Value>> {
        let mut fields = Map::new();
        for (field, value) in [("name", self.name), ("scopes", self.scopes)] {
            fields.extend(value.map(|value| (field.to_owned(), value.into())));
        }
        fields.extend(self.requires_roles.map(|requires| ("requires_roles".to_owned(), requires.into())));
        self.any.put(&mut fields)?;
        Ok(fields)
    }
}

impl RoleFields {
    /// The fields as they travel.
    pub fn into_map(self) -> anyhow::Result<Map<String, Value>> {
        let mut fields = Map::new();
        fields.extend(self.description.map(|text| ("description".to_owned(), text.into())));
        put_scopes(&mut fields, "permissions", (&self.permit, "expected --permit RESOURCE=SCOPES"))?;
        self.any.put(&mut fields)?;
        Ok(fields)
    }
}

impl UserChanges {
    /// The fields as they travel.
    pub fn into_map(self) -> anyhow::Result<Map<String, Value>> {
        let mut fields = Map::new();
        fields.extend(self.rename.map(|username| ("username".to_owned(), username.into())));
        fields.extend(self.admin.map(|admin| ("admin".to_owned(), admin.into())));
        self.known.put(&mut fields)?;
        Ok(fields)
    }
}

impl UserFields {
    /// The fields as they travel.
    pub fn into_map(self) -> anyhow::Result<Map<String, Value>> {
        let mut fields = Map::new();
        self.put(&mut fields)?;
        Ok(fields)
    }

    fn put(self, fields: &mut Map<String, Value>) -> anyhow::Result<()> {
        put_roles(fields, self.role)?;
        for pair in &self.claim {
            let (claim, value) = split(pair, "--claim CLAIM=VALUE")?;
            let known = match (claim, value) {
                (_, "") => Value::Null,
                // The only claims that are no texts.
                ("email_verified" | "updated_at", value) => json_or_text(value),
                (_, value) => value.into(),
            };
            put(fields, &format!("claims.{claim}"), known);
        }
        self.any.put(fields)
    }
}

/// Roles, if any are named.
fn put_roles(fields: &mut Map<String, Value>, roles: Vec<String>) -> anyhow::Result<()> {
    if roles.iter().any(String::is_empty) {
        bail!("a role has a name; to take all roles away: --unset roles");
    }
    if !roles.is_empty() {
        fields.insert("roles".to_owned(), roles.into());
    }
    Ok(())
}

/// The arguments of what is made: there is nothing yet that they would replace.
pub fn of_new(argument: clap::Arg) -> clap::Arg {
    const REPLACED: [(&str, &str); 4] = [
        (", which replace those it had", ""),
        (", which replace those they had", ""),
        ("; they replace those it had", ""),
        (": they replace those it had there; its other resources stay", ""),
    ];
    let Some(help) = argument.get_help().map(ToString::to_string) else { return argument };
    let of_new = REPLACED.iter().fold(help.clone(), |help, (replaced, with)| help.replace(replaced, with));
    if of_new == help { argument } else { argument.help(of_new) }
}

/// Resources, each with scopes.
fn put_scopes(
    fields: &mut Map<String, Value>,
    field: &str,
    (pairs, expected): (&[String], &'static str),
) -> anyhow::Result<()> {
    let mut all = Map::new();
    for pair in pairs {
        // A URI may hold `=`, scopes do not often: the last one divides.
        let (resource, scopes) = pair.rsplit_once('=').context(expected)?;
        all.insert(resource.to_owned(), scopes.into());
    }
    if !all.is_empty() {
        fields.insert(field.to_owned(), all.into());
    }
    Ok(())
}

fn split<'p>(pair: &'p str, form: &str) -> anyhow::Result<(&'p str, &'p str)> {
    pair.split_once('=').with_context(|| format!("expected {form}, not {pair:?}"))
}

/// JSON where it is some (numbers, true, lists), else the text itself.
fn json_or_text(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}

fn put(fields: &mut Map<String, Value>, field: &str, value: Value) {
    match field.split_once('.').filter(|(outer, _)| NESTED.contains(outer)) {
        None => drop(fields.insert(field.to_owned(), value)),
        Some((outer, inner)) => {
            let outer = fields.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(nested) = outer {
                nested.insert(inner.to_owned(), value);
            }
        }
    }
}

/// A change without any fields yet.
pub fn change(kind: Kind, verb: Verb, name: String) -> OneChange {
    OneChange { kind, verb, name, fields: Map::new(), secret: None, yes: false }
}

/// A secret from a file.
pub fn secret_of(path: &Path) -> anyhow::Result<(SecretSource, Handed)> {
    match secret_file(path)? {
        Some(secret) => Ok((SecretSource::File(path.display().to_string()), Handed::new(secret))),
        None => bail!("there is no file {}", path.display()),
    }
}

/// Makes the change and prints it.
pub fn run(server: &Server, change: OneChange) -> anyhow::Result<()> {
    if change.verb == Verb::Update && change.fields.is_empty() {
        bail!("name at least one field to change; see --help");
    }
    making::run(server, Command::Change(change))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags<A: Args> {
        #[command(flatten)]
        fields: A,
    }

    fn json(map: anyhow::Result<Map<String, Value>>) -> String {
        Value::Object(map.unwrap()).to_string()
    }

    #[test]
    fn flags_become_the_fields_of_a_document() {
        let client = [
            "x",
            "--name",
            "App",
            "--public",
            "--grant-type",
            "authorization_code",
            "--redirect-uri",
            "https://a.example/cb",
            "--default-resource",
            "urn:a",
            "--default-resource",
            "urn:b",
            "--access",
            "https://api.example/?a=b=read write",
            "--set",
            "require_pkce=true",
            "--unset",
            "access.https://old.example/",
        ];
        assert_eq!(
            json(Flags::<ClientFields>::parse_from(client).fields.into_map()),
            r#"{"access":{"https://api.example/?a=b":"read write","https://old.example/":null},"default_resources":["urn:a","urn:b"],"grant_types":["authorization_code"],"kind":"public","name":"App","redirect_uris":["https://a.example/cb"],"require_pkce":true}"#
        );
        let user = [
            "x",
            "--rename",
            "bob",
            "--admin",
            "false",
            "--claim",
            "email=b@x.example",
            "--claim",
            "nickname=",
            "--claim",
            "email_verified=true",
            "--claim",
            "birthdate=2000",
        ];
        assert_eq!(
            json(Flags::<UserChanges>::parse_from(user).fields.into_map()),
            r#"{"admin":false,"claims":{"birthdate":"2000","email":"b@x.example","email_verified":true,"nickname":null},"username":"bob"}"#
        );
        let workspace = ["x", "--set", "code_lifetime=30", "--set", "display_name=Acme", "--unset", "require_pkce"];
        assert_eq!(
            json(Flags::<AnyFields>::parse_from(workspace).fields.into_map()),
            r#"{"code_lifetime":30,"display_name":"Acme","require_pkce":null}"#
        );
        assert!(Flags::<AnyFields>::parse_from(["x", "--set", "nothing"]).fields.into_map().is_err());
    }

    #[test]
    fn so_do_the_flags_of_roles_and_of_who_holds_them() {
        let role =
            ["x", "--description", "Keeps the books", "--permit", "urn:a=read write", "--unset", "permissions.urn:b"];
        assert_eq!(
            json(Flags::<RoleFields>::parse_from(role).fields.into_map()),
            r#"{"description":"Keeps the books","permissions":{"urn:a":"read write","urn:b":null}}"#
        );
        let holding = ["x", "--role", "accountant", "--role", "reader"];
        assert_eq!(
            json(Flags::<UserFields>::parse_from(holding).fields.into_map()),
            r#"{"roles":["accountant","reader"]}"#
        );
        assert_eq!(
            json(Flags::<ClientFields>::parse_from(holding).fields.into_map()),
            r#"{"roles":["accountant","reader"]}"#
        );
        let asking = ["x", "--requires-roles", "true"];
        assert_eq!(json(Flags::<ResourceFields>::parse_from(asking).fields.into_map()), r#"{"requires_roles":true}"#);
    }
}
