//! What a parser says of a field, with what would have been right.
//!
//! Takes: the kind of entry, the field, what the parser says. Gives: the same with the nearest name, or an example.
//! Holds: nothing of what stands in the document is in it, but names of fields.

use super::Kind;
use crate::nearest::{distance, nearest};

/// What a workspace says of tokens, and a client or resource otherwise.
const OF_TOKENS: &[&str] = &[
    "access_token_format",
    "access_token_lifetime",
    "access_token_signing_alg",
    "code_lifetime",
    "id_token_lifetime",
    "refresh_absolute",
    "refresh_grace",
    "refresh_idle",
    "rotate_refresh_tokens",
    "session_absolute",
    "session_idle",
];
const OF_WORKSPACES: &[&str] = &[
    "claims",
    "client",
    "default_resources",
    "display_name",
    "id_token_signing_alg",
    "key_rotation",
    "name",
    "require_pkce",
    "resource",
    "role",
    "user",
];
const OF_RESOURCES: &[&str] = &[
    "access_token_encryption_alg",
    "access_token_encryption_enc",
    "introspects_jwts",
    "jwks",
    "name",
    "offline_window",
    "requires_roles",
    "scopes",
    "uri",
];
const OF_ROLES: &[&str] = &["description", "name", "permissions"];
const OF_USERS: &[&str] = &["admin", "claims", "password", "roles", "username"];
const OF_CLIENTS: &[&str] = &[
    "access",
    "client_id",
    "client_uri",
    "default_resources",
    "first_party",
    "grant_types",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "id_token_signed_response_alg",
    "introspect_tokens",
    "introspection_encrypted_response_alg",
    "introspection_encrypted_response_enc",
    "introspection_signed_response_alg",
    "jwks",
    "kind",
    "name",
    "post_logout_redirect_uris",
    "redirect_uris",
    "require_pkce",
    "roles",
    "secret",
    "serves",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "userinfo_signed_response_alg",
];

/// The fields of an entry of this kind.
pub fn fields_of(kind: Kind) -> impl Iterator<Item = &'static str> {
    let (own, of_tokens): (&[&str], &[&str]) = match kind {
        Kind::Workspace => (OF_WORKSPACES, OF_TOKENS),
        Kind::Resource => (OF_RESOURCES, OF_TOKENS),
        Kind::Role => (OF_ROLES, &[]),
        Kind::Client => (OF_CLIENTS, OF_TOKENS),
        Kind::User => (OF_USERS, &[]),
    };
    own.iter().chain(of_tokens).copied()
}

/// What is wrong with a field of an entry, with what would not be. The field is a path, such as `claims.tier`.
pub fn advised(kind: Kind, field: &str, error: &str) -> String {
    match unknown(kind, error).or_else(|| example(field, error)) {
        Some(advice) => format!("{error}{advice}"),
        None => error.to_owned(),
    }
}

/// The farthest that a name may be off to be taken for a slip.
const SLIP: usize = 3;

fn unknown(kind: Kind, error: &str) -> Option<String> {
    let rest = error.strip_prefix("unknown field `")?;
    let (name, after) = rest.split_once('`')?;
    if let Some(attribute) = name.strip_prefix("attributes.").filter(|_| kind == Kind::User) {
        return Some(format!("; an attribute is set by: --set 'claims.attributes={{\"{attribute}\":\"VALUE\"}}'"));
    }
    if after.contains("`given_name`") && kind == Kind::User {
        return Some(format!(
            "; what is not among these is an attribute: [workspace.user.claims.attributes] {name} = \"VALUE\", or \
             --set 'claims.attributes={{\"{name}\":\"VALUE\"}}'"
        ));
    }
    // Whoever says more has said it.
    if !after.is_empty() {
        return None;
    }
    let near = nearest(name, fields_of(kind))?;
    if near.starts_with(name) || distance(name, near) <= SLIP.min(name.len() / 2) {
        return Some(format!("; the nearest is `{near}`"));
    }
    let all: Vec<String> = fields_of(kind).map(|field| format!("`{field}`")).collect();
    Some(format!("; there are {}", all.join(", ")))
}

fn example(field: &str, error: &str) -> Option<String> {
    let expected = |what: &str| error.starts_with("invalid type: ") && error.contains(what);
    let (outer, inner) = field.split_once('.').unwrap_or((field, ""));
    let list = |example: &str| Some(format!(": a list, such as {outer} = [\"{example}\"]"));
    match outer {
        "workspace" if expected("a sequence") => Some(": a list, in TOML [[workspace]]".into()),
        "client" | "user" | "role" | "resource" if expected("a sequence") => {
            Some(format!(": a list, in TOML [[workspace.{outer}]]"))
        }
        "roles" if expected("a sequence") => list("clerk"),
        "grant_types" if expected("a sequence") => list("authorization_code"),
        "redirect_uris" | "post_logout_redirect_uris" if expected("a sequence") => {
            list("https://app.example.com/callback")
        }
        "serves" if expected("a sequence") => list("https://api.example.com/"),
        "scopes" if expected("a string") => {
            Some(": one text, separated by blanks, such as scopes = \"read write\"".into())
        }
        "access" | "permissions" if expected("a string") && !inner.is_empty() => {
            Some(": scopes are one text, separated by blanks, such as \"read write\"".into())
        }
        "access" | "permissions" if expected("a map") => {
            Some(format!(": scopes by resource, such as {outer} = {{ \"https://api.example.com/\" = \"read write\" }}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::apply::Document;

    const KINDS: [Kind; 5] = [Kind::Workspace, Kind::Resource, Kind::Role, Kind::Client, Kind::User];

    fn refused(kind: Kind, field: &str) -> String {
        let entry = |name: &str| json!({ name: "w", field: {"no value": "of any"} });
        let document = match kind {
            Kind::Workspace => json!([entry("name")]),
            Kind::Resource => json!([{"name": "w", "resource": [entry("uri")]}]),
            Kind::Role => json!([{"name": "w", "role": [entry("name")]}]),
            Kind::Client => json!([{"name": "w", "client": [entry("client_id")]}]),
            Kind::User => json!([{"name": "w", "user": [entry("username")]}]),
        };
        serde_json::from_value::<Document>(json!({ "workspace": document }))
            .map_or_else(|error| error.to_string(), |_| String::new())
    }

    /// The fields that a debug text shows of a struct itself.
    fn shown(debug: &str) -> Vec<String> {
        let own = |line: &str| {
            line.strip_prefix("    ").filter(|line| !line.starts_with([' ', '}', ']', ')'])).map(str::to_owned)
        };
        debug.lines().filter_map(|line| own(line)?.split_once(": ").map(|(name, _)| name.to_owned())).collect()
    }

    #[test]
    fn the_fields_of_a_kind_are_those_that_its_entries_have() {
        for kind in KINDS {
            for field in fields_of(kind) {
                assert!(
                    !refused(kind, field).starts_with(&format!("unknown field `{field}`")),
                    "{}: {field}",
                    kind.name()
                );
            }
            assert!(refused(kind, "bogus").starts_with("unknown field `bogus`"), "{}", kind.name());
        }
        let settings: [(Kind, String); 4] = [
            (Kind::Workspace, format!("{:#?}", crate::workspace::WorkspaceSettings::default())),
            (Kind::Resource, format!("{:#?}", crate::resource::ResourceSettings::default())),
            (Kind::Role, format!("{:#?}", crate::role::RoleSettings::default())),
            (Kind::Client, format!("{:#?}", crate::client::ClientSettings::default())),
        ];
        for (kind, debug) in settings {
            let of_tokens = shown(&format!("{:#?}", crate::token_settings::TokenOverrides::default()));
            let fields = shown(&debug);
            assert!(fields.len() > 1, "{debug}");
            let tokens = fields.iter().any(|field| field == "tokens");
            for field in fields.iter().filter(|field| *field != "tokens").chain(of_tokens.iter().filter(|_| tokens)) {
                assert!(fields_of(kind).any(|known| known == field), "{}: {field}", kind.name());
            }
        }
    }

    #[test]
    fn an_unknown_field_is_told_with_the_nearest_or_with_all_there_are() {
        let said = |kind: Kind, name: &str| advised(kind, name, &refused(kind, name));
        assert_eq!(said(Kind::Client, "grant_type"), "unknown field `grant_type`; the nearest is `grant_types`");
        assert_eq!(
            said(Kind::Workspace, "code_lifetme"),
            "unknown field `code_lifetme`; the nearest is `code_lifetime`"
        );
        assert_eq!(said(Kind::Role, "xyz"), "unknown field `xyz`; there are `description`, `name`, `permissions`");
        assert!(said(Kind::Resource, "audience").contains("there are `access_token_encryption_alg`, "));
        assert!(said(Kind::User, "nickname").contains("expected one of `username`"));
        let claim = json!([{"name": "w", "user": [{"username": "u", "claims": {"department": "x"}}]}]);
        let error = serde_json::from_value::<Document>(json!({ "workspace": claim })).unwrap_err().to_string();
        let said = advised(Kind::User, "claims.department", &error);
        assert!(said.ends_with(r#"or --set 'claims.attributes={"department":"VALUE"}'"#), "{said}");
        let said = advised(Kind::User, "claims", "unknown field `attributes.department`, expected one of `name`");
        assert!(
            said.ends_with(r#"an attribute is set by: --set 'claims.attributes={"department":"VALUE"}'"#),
            "{said}"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_told_with_an_example() {
        let read = |kind: Kind, field: &str, value: Value| {
            let document = match kind {
                Kind::Workspace => json!({ field: value }),
                Kind::Resource => json!({"workspace": [{"name": "w", "resource": [{"uri": "w", field: value}]}]}),
                _ => json!({"workspace": [{"name": "w", "client": [{"client_id": "w", field: value}]}]}),
            };
            let error = serde_json::from_value::<Document>(document).unwrap_err().to_string();
            advised(kind, field, &error)
        };
        for (said, example) in [
            (read(Kind::Client, "roles", json!("clerk")), r#": a list, such as roles = ["clerk"]"#),
            (
                read(Kind::Client, "grant_types", json!("x")),
                r#": a list, such as grant_types = ["authorization_code"]"#,
            ),
            (read(Kind::Client, "serves", json!("x")), r#": a list, such as serves = ["https://api.example.com/"]"#),
            (
                read(Kind::Client, "access", json!("x")),
                r#"such as access = { "https://api.example.com/" = "read write" }"#,
            ),
            (
                read(Kind::Resource, "scopes", json!(["a", "b"])),
                r#"separated by blanks, such as scopes = "read write""#,
            ),
            (read(Kind::Workspace, "workspace", json!({})), ": a list, in TOML [[workspace]]"),
        ] {
            assert!(said.ends_with(example), "{said}");
        }
    }
}
