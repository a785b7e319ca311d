//! Claims that a workspace declares: where each comes from, and where it shows.
//!
//! Takes: declarations; what is known of a token's person, client and grant.
//! Gives: the claims that show at one place.
//! Holds: private by default: a claim shows only where it says so, and with a scope only where that was granted. No
//! declaration touches a claim that means something to a protocol. A declaration that could never show anything, or
//! that would cost a check a look into the store, is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attributes::{Attribute, is_attribute_name};
use super::room::{Room, TooMuch};
use crate::client::Client;
use crate::grant::Authentication;
use crate::scope::{ScopeName, Scopes};
use crate::user::User;

/// Where a claim can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimPlace {
    /// In ID tokens.
    IdToken,
    /// At userinfo.
    Userinfo,
    /// In introspection answers.
    Introspection,
    /// In access tokens that are JWTs.
    AccessToken,
}

/// Where a claim's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimSource {
    /// The person's user name.
    Username,
    /// A standard claim of the person.
    Standard(&'static str),
    /// An attribute of the person.
    Attribute(String),
    /// The names of the roles that whoever the token is for holds today.
    Roles,
    /// The client's `client_id`.
    ClientId,
    /// The client's name.
    ClientName,
    /// When the person signed in.
    AuthTime,
    /// The class of that.
    Acr,
    /// Its methods.
    Amr,
    /// Always the same.
    Constant(Value),
}

/// A claim that is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct DeclaredClaim {
    /// Where its value comes from.
    pub source: ClaimSource,
    /// Where it shows.
    pub show: BTreeSet<ClaimPlace>,
    /// The scope that it shows with; with any if absent.
    pub scope: Option<ScopeName>,
}

/// All of a workspace's, by name.
pub type DeclaredClaims = BTreeMap<String, DeclaredClaim>;

/// A declaration as it stands in a document.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a claim: a table with from or value, and with show and scope")]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    show: BTreeSet<ClaimPlace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeName>,
}

/// A declaration that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadClaim {
    /// Neither or both of where it comes from.
    #[error("a claim has either from (where its value comes from) or value (a constant)")]
    Source,
    /// An unknown source.
    #[error(
        "from is user.username, user.CLAIM (such as user.email), attribute.NAME, roles, client.client_id, client.name, \
         grant.auth_time, grant.acr or grant.amr"
    )]
    Unknown,
    /// A constant that is too long.
    #[error("a value has at most 1024 bytes as JSON")]
    TooLong,
    /// How a person signed in is kept with the grant, which no check reads.
    #[error("grant.* can show in id_token and access_token alone: introspection and userinfo do not read it")]
    NotThere,
}

/// The longest constant, in bytes of JSON.
const LONGEST_VALUE: usize = 1024;

impl TryFrom<Written> for DeclaredClaim {
    type Error = BadClaim;

    fn try_from(written: Written) -> Result<Self, BadClaim> {
        let Written { from, value, show, scope } = written;
        let source = match (from, value) {
            (Some(from), None) => source(&from).ok_or(BadClaim::Unknown)?,
            (None, Some(value)) if value.to_string().len() <= LONGEST_VALUE => ClaimSource::Constant(value),
            (None, Some(_)) => return Err(BadClaim::TooLong),
            _ => return Err(BadClaim::Source),
        };
        let of_grant = matches!(source, ClaimSource::AuthTime | ClaimSource::Acr | ClaimSource::Amr);
        if of_grant && (show.contains(&ClaimPlace::Userinfo) || show.contains(&ClaimPlace::Introspection)) {
            return Err(BadClaim::NotThere);
        }
        Ok(Self { source, show, scope })
    }
}

fn source(from: &str) -> Option<ClaimSource> {
    if let Some(name) = from.strip_prefix("attribute.") {
        return is_attribute_name(name).then(|| ClaimSource::Attribute(name.to_owned()));
    }
    if let Some(name) = from.strip_prefix("user.") {
        if name == "username" {
            return Some(ClaimSource::Username);
        }
        return super::StandardClaims::names().find(|known| *known == name).map(ClaimSource::Standard);
    }
    Some(match from {
        "roles" => ClaimSource::Roles,
        "client.client_id" => ClaimSource::ClientId,
        "client.name" => ClaimSource::ClientName,
        "grant.auth_time" => ClaimSource::AuthTime,
        "grant.acr" => ClaimSource::Acr,
        "grant.amr" => ClaimSource::Amr,
        _ => return None,
    })
}

impl From<DeclaredClaim> for Written {
    fn from(claim: DeclaredClaim) -> Self {
        let DeclaredClaim { source, show, scope } = claim;
        let from = match source {
            ClaimSource::Constant(value) => return Self { from: None, value: Some(value), show, scope },
            ClaimSource::Username => "user.username".to_owned(),
            ClaimSource::Standard(name) => format!("user.{name}"),
            ClaimSource::Attribute(name) => format!("attribute.{name}"),
            ClaimSource::Roles => "roles".to_owned(),
            ClaimSource::ClientId => "client.client_id".to_owned(),
            ClaimSource::ClientName => "client.name".to_owned(),
            ClaimSource::AuthTime => "grant.auth_time".to_owned(),
            ClaimSource::Acr => "grant.acr".to_owned(),
            ClaimSource::Amr => "grant.amr".to_owned(),
        };
        Self { from: Some(from), value: None, show, scope }
    }
}

/// Claims with a meaning of their own (RFC 7519 §4.1, RFC 7662 §2.2, RFC 9068 §2.2, OpenID Core §2 and §5.1's `sub`,
/// RFC 7800, RFC 8693, RFC 8417, RFC 9701; `role_claims` is ours); nobody declares them.
const RESERVED: &[&str] = &[
    "_claim_names",
    "_claim_sources",
    "acr",
    "act",
    "active",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "authorization_details",
    "azp",
    "c_hash",
    "client_id",
    "cnf",
    "events",
    "exp",
    "iat",
    "iss",
    "jti",
    "may_act",
    "nbf",
    "nonce",
    "role_claims",
    "s_hash",
    "scope",
    "sid",
    "sub",
    "sub_jwk",
    "toe",
    "token_introspection",
    "token_type",
    "txn",
    "username",
];

/// The most claims that one workspace declares.
const MOST: usize = 64;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 128;

/// What is wrong with them beyond each by itself, in words; `None` if nothing.
pub fn wrong_claims(claims: &DeclaredClaims) -> Option<String> {
    if claims.len() > MOST {
        return Some(format!("claims: at most {MOST}"));
    }
    let visible = |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    claims.iter().find_map(|(name, claim)| {
        if matches!(&claim.source, ClaimSource::Constant(value) if holds_date(value)) {
            return Some(format!("claims: {name}: a value is JSON, which has no dates and times: put it in quotes"));
        }
        // Some readers of JSON do not tell capitals apart.
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Some(format!("claims: {name} has a meaning of its own; choose another name"));
        }
        let fits = !name.is_empty() && name.len() <= LONGEST_NAME && visible(name);
        (!fits).then(|| {
            format!("claims: {name:?} is no name: 1 to {LONGEST_NAME} visible ASCII characters, no \" and no \\")
        })
    })
}

/// What the keys begin with under which the `toml` library hands over what JSON has not.
const OF_TOML: &str = "$__toml_private";

/// Whether a TOML date or time is anywhere in it.
fn holds_date(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| name.starts_with(OF_TOML) || holds_date(value)),
        Value::Array(values) => values.iter().any(holds_date),
        _ => false,
    }
}

/// What is known where claims are to show.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The person; none where a client asks for itself.
    pub user: Option<&'a User>,
    /// The client.
    pub client: &'a Client,
    /// How the person signed in, where that is at hand.
    pub authentication: Option<&'a Authentication>,
    /// The names of the roles that the person, or the client that asks for itself, holds today.
    pub roles: &'a [String],
}

/// Whether any claim shows at a place; and whether one of them is about roles.
pub fn shows(claims: &DeclaredClaims, place: ClaimPlace, of: fn(&ClaimSource) -> bool) -> bool {
    claims.values().any(|claim| claim.show.contains(&place) && of(&claim.source))
}

/// The claims that show at a place to whoever was granted these scopes. Nothing more is made once they are too much.
pub fn shown(
    claims: &DeclaredClaims,
    place: ClaimPlace,
    granted: &Scopes,
    known: &Known<'_>,
) -> Result<Map<String, Value>, TooMuch> {
    let mut room = Room::at(place);
    let mut shown = Map::new();
    for (name, claim) in claims.iter().filter(|(_, claim)| claim.show.contains(&place)) {
        let open = claim.scope.as_ref().is_none_or(|scope| granted.contains(scope.as_str()));
        if let Some(value) = known.value(&claim.source).filter(|_| open) {
            room.take(name, &value)?;
            shown.insert(name.clone(), value);
        }
    }
    Ok(shown)
}

/// Those of the claims that show which name roles.
pub fn naming_roles(claims: &DeclaredClaims, shown: &Map<String, Value>) -> Vec<String> {
    let names_roles = |name: &String| claims.get(name).is_some_and(|claim| claim.source == ClaimSource::Roles);
    shown.keys().filter(|name| names_roles(name)).cloned().collect()
}

impl Known<'_> {
    fn value(&self, source: &ClaimSource) -> Option<Value> {
        match source {
            ClaimSource::Username => Some(self.user?.username.as_str().into()),
            ClaimSource::Standard(name) => self.user?.claims.standard(name),
            ClaimSource::Attribute(name) => self.user?.claims.attributes.get(name).map(json),
            ClaimSource::Roles => Some(self.roles.into()),
            ClaimSource::ClientId => Some(self.client.client_id.as_str().into()),
            ClaimSource::ClientName => Some(self.client.display_name().into()),
            ClaimSource::AuthTime => Some(self.authentication?.auth_time.0.into()),
            ClaimSource::Acr => Some(self.authentication?.acr.as_str().into()),
            ClaimSource::Amr => Some(self.authentication?.amr.clone().into()),
            ClaimSource::Constant(value) => Some(value.clone()),
        }
    }
}

fn json(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Truth(truth) => (*truth).into(),
        Attribute::Number(number) => (*number).into(),
        Attribute::Text(text) => text.as_str().into(),
        Attribute::Texts(texts) => texts.clone().into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claims::StandardClaims;
    use crate::client::ClientSettings;
    use crate::grant::Epoch;
    use crate::ids::{ClientId, UserId, WorkspaceId};
    use crate::time::UnixTime;

    fn read(json: Value) -> Result<DeclaredClaims, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    fn user() -> User {
        let claims =
            json!({"email": "a@x.example", "attributes": {"department": "sales", "level": 3, "groups": ["a", "b"]}});
        User {
            id: UserId::from_bytes([1; 16]),
            workspace: WorkspaceId::from_bytes([1; 16]),
            username: "ada".into(),
            epoch: Epoch::FIRST,
            credentials: Epoch::FIRST,
            enabled: true,
            admin: false,
            roles: Vec::new(),
            claims: serde_json::from_value::<StandardClaims>(claims).unwrap(),
        }
    }

    fn client() -> Client {
        Client {
            id: ClientId::from_bytes([1; 16]),
            workspace: WorkspaceId::from_bytes([1; 16]),
            client_id: "app".into(),
            epoch: Epoch::FIRST,
            enabled: true,
            settings: ClientSettings { name: "The App".into(), ..ClientSettings::default() },
            roles: Vec::new(),
            secrets: Vec::new(),
        }
    }

    #[test]
    fn each_source_gives_its_value_where_it_shows_and_nothing_elsewhere() {
        let places = ["id_token", "access_token"];
        let claims = read(json!({
            "login": {"from": "user.username", "show": places}, "mail": {"from": "user.email", "show": places},
            "dep": {"from": "attribute.department", "show": places}, "lvl": {"from": "attribute.level", "show": places},
            "grp": {"from": "attribute.groups", "show": places}, "none": {"from": "attribute.other", "show": places},
            "nick": {"from": "user.nickname", "show": places},
            "roles": {"from": "roles", "show": places}, "app": {"from": "client.client_id", "show": places},
            "app_name": {"from": "client.name", "show": places}, "at": {"from": "grant.auth_time", "show": places},
            "how": {"from": "grant.amr", "show": places}, "class": {"from": "grant.acr", "show": places},
            "https://x.example/region": {"value": {"name": "eu"}, "show": places}, "hidden": {"value": 1},
        }))
        .unwrap();
        let authentication = Authentication { auth_time: UnixTime(7), acr: "1".into(), amr: vec!["pwd".into()] };
        let (user, client, roles) = (user(), client(), ["clerk".to_owned()]);
        let known = Known { user: Some(&user), client: &client, authentication: Some(&authentication), roles: &roles };
        let expected = json!({
            "login": "ada", "mail": "a@x.example", "dep": "sales", "lvl": 3, "grp": ["a", "b"], "roles": ["clerk"],
            "app": "app", "app_name": "The App", "at": 7, "how": ["pwd"], "class": "1",
            "https://x.example/region": {"name": "eu"},
        });
        assert_eq!(Value::Object(shown(&claims, ClaimPlace::IdToken, &Scopes::default(), &known).unwrap()), expected);
        assert!(shown(&claims, ClaimPlace::Userinfo, &Scopes::default(), &known).unwrap().is_empty());
        let nobody = Known { user: None, authentication: None, roles: &[], ..known };
        let alone = shown(&claims, ClaimPlace::AccessToken, &Scopes::default(), &nobody).unwrap();
        assert_eq!(alone.keys().collect::<Vec<_>>(), ["app", "app_name", "https://x.example/region", "roles"]);
        assert_eq!(read(serde_json::to_value(&claims).unwrap()).unwrap(), claims, "it is written as it is read");
    }

    #[test]
    fn a_claim_with_a_scope_shows_where_that_was_granted() {
        let claims = read(json!({"dep": {"value": 1, "show": ["userinfo"], "scope": "hr"}})).unwrap();
        let (user, client) = (user(), client());
        let known = Known { user: Some(&user), client: &client, authentication: None, roles: &[] };
        let at =
            |scopes: &str| shown(&claims, ClaimPlace::Userinfo, &Scopes::parse(scopes).unwrap(), &known).unwrap().len();
        assert_eq!((at("openid"), at("openid hr")), (0, 1));
    }

    #[test]
    fn what_cannot_be_is_refused_and_says_why() {
        for (bad, words) in [
            (json!({}), "either from"),
            (json!({"from": "roles", "value": 1}), "either from"),
            (json!({"from": "user.password"}), "from is user.username"),
            (json!({"from": "attribute."}), "from is user.username"),
            (json!({"from": "client.secret"}), "from is user.username"),
            (json!({"value": "x".repeat(1025)}), "1024 bytes"),
            (json!({"from": "grant.acr", "show": ["introspection"]}), "introspection and userinfo"),
            (json!({"from": "grant.acr", "show": ["userinfo"]}), "introspection and userinfo"),
            (json!({"from": "roles", "show": ["everywhere"]}), "unknown variant"),
            (json!({"from": "roles", "colour": 1}), "unknown field"),
            (json!({"from": "roles", "scope": "a b"}), "not allowed"),
            (json!("roles"), "expected a claim: a table with from or value, and with show and scope"),
        ] {
            let refused = read(json!({ "x": bad.clone() })).unwrap_err();
            assert!(refused.contains(words), "{bad}: {refused}");
        }
    }

    #[test]
    fn a_date_of_toml_is_no_constant_wherever_it_stands() {
        let date = json!({"$__toml_private_datetime": "1979-05-27"});
        for value in [date.clone(), json!([1, date]), json!({"born": {"on": date}})] {
            let wrong = wrong_claims(&read(json!({"a": {"value": 1}, "x": {"value": value}})).unwrap());
            let words = "claims: x: a value is JSON, which has no dates and times: put it in quotes";
            assert_eq!(wrong.as_deref(), Some(words), "{value}");
        }
        assert_eq!(wrong_claims(&read(json!({"x": {"value": {"born": "1979-05-27"}}})).unwrap()), None);
    }

    #[test]
    fn a_claim_that_means_something_is_nobodys_to_declare() {
        let named = |name: &str| wrong_claims(&read(json!({ name: {"value": 1} })).unwrap());
        for name in RESERVED.iter().copied().chain(["Exp", "ISS", "Client_Id"]) {
            assert!(named(name).is_some_and(|words| words.contains("meaning of its own")), "{name}");
        }
        for bad in ["", "a b", "a\"b", "\u{e4}", &"x".repeat(129)] {
            assert!(named(bad).is_some_and(|words| words.contains("no name")), "{bad}");
        }
        assert_eq!(named("department"), None);
        let many: Map<String, Value> = (0..65).map(|n| (format!("c{n}"), json!({"value": 1}))).collect();
        assert_eq!(wrong_claims(&read(many.into()).unwrap()).as_deref(), Some("claims: at most 64"));
    }
}
