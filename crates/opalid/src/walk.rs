//! A walk through a sign-in: which steps there are, which comes next, what the application knows by then.

mod memory;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::pages::DemoStep;

pub use memory::Walks;

/// A button to press.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Step {
    /// The application reads the server's metadata.
    #[default]
    Discover,
    /// The browser goes to the server and comes back with a code.
    SignIn,
    /// The application changes the code for tokens.
    Exchange,
    /// The API asks whether the access token is alive.
    Introspect,
    /// The application asks who the person is.
    Userinfo,
    /// The application gets new tokens.
    Refresh,
    /// The application gives up what it has.
    Revoke,
    /// The API asks once more.
    IntrospectAgain,
    /// The browser signs out.
    SignOut,
}

/// What a step is called, what it will do, and what its button says.
pub struct Words {
    /// Its name in the form.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What will happen.
    pub explain: &'static str,
    /// What the button says.
    pub label: &'static str,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Discover,
        Self::SignIn,
        Self::Exchange,
        Self::Introspect,
        Self::Userinfo,
        Self::Refresh,
        Self::Revoke,
        Self::IntrospectAgain,
        Self::SignOut,
    ];

    /// The step that the form names so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.words().name == name)
    }

    /// The steps after this one.
    pub fn ahead(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().skip_while(move |step| *step != self).skip(1)
    }

    /// What people read of it.
    pub const fn words(self) -> Words {
        let (name, title, label) = match self {
            Self::Discover => ("discover", "Read the metadata", "Begin"),
            Self::SignIn => ("sign-in", "Ask for a sign-in", "Sign in"),
            Self::Exchange => ("exchange", "Change the code for tokens", "Change the code"),
            Self::Introspect => ("introspect", "Ask whether the token is alive", "Introspect the token"),
            Self::Userinfo => ("userinfo", "Ask who it is", "Ask who it is"),
            Self::Refresh => ("refresh", "Get new tokens", "Refresh"),
            Self::Revoke => ("revoke", "Revoke", "Revoke"),
            Self::IntrospectAgain => ("introspect-again", "Ask once more", "Introspect again"),
            Self::SignOut => ("sign-out", "Sign out", "Sign out"),
        };
        Words { name, title, explain: self.explain(), label }
    }

    const fn explain(self) -> &'static str {
        match self {
            Self::Discover => {
                "The application knows nothing but the issuer. One document says where the server answers and what it \
                 can do."
            }
            Self::SignIn => {
                "The application draws a secret and sends your browser to the server with its SHA-256 (PKCE). You \
                 come back with a code. Sign in as alice (alice-demo-password) or bob (bob-demo-password)."
            }
            Self::Exchange => {
                "The application sends the code with the secret that it drew. The code works once, and for a minute."
            }
            Self::Introspect => {
                "The application calls the API with the access token. To the API the token is opaque: it asks the \
                 server, under its own name and secret."
            }
            Self::Userinfo => "The application shows the access token and reads what you agreed to show it.",
            Self::Refresh => {
                "The application gives the refresh token and gets a new access token, and a new refresh token in the \
                 place of the old one."
            }
            Self::Revoke => {
                "The application gives up its refresh token. With it die all tokens that came of this sign-in."
            }
            Self::IntrospectAgain => "The access token has most of its hour left. The API asks again.",
            Self::SignOut => "The application sends your browser to the server to end the session there, too.",
        }
    }
}

/// What comes next in a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This button.
    Press(Step),
    /// Nothing; why, in a sentence.
    Nothing(String),
}

impl Default for Next {
    fn default() -> Self {
        Self::Press(Step::Discover)
    }
}

/// Where the server answers, from its metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Sends browsers here.
    pub authorization: String,
    /// Gives tokens.
    pub token: String,
    /// Says whether they are alive.
    pub introspection: String,
    /// Says who it is.
    pub userinfo: String,
    /// Takes them back.
    pub revocation: String,
    /// Signs browsers out, if it does.
    pub end_session: Option<String>,
}

impl Endpoints {
    /// From the metadata document of this issuer; `None` if something is missing or it is another's.
    pub fn read(metadata: &Value, issuer: &str) -> Option<Self> {
        let text = |name: &str| metadata.get(name)?.as_str().map(str::to_owned);
        (text("issuer")? == issuer).then_some(())?;
        Some(Self {
            authorization: text("authorization_endpoint")?,
            token: text("token_endpoint")?,
            introspection: text("introspection_endpoint")?,
            userinfo: text("userinfo_endpoint")?,
            revocation: text("revocation_endpoint")?,
            end_session: text("end_session_endpoint"),
        })
    }
}

/// What the application holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token, if there was one.
    pub refresh: Option<String>,
    /// The ID token, if there was one.
    pub id: Option<String>,
}

impl Tokens {
    /// From an answer of the token endpoint; what it leaves out stays as it was. `None` without an access token.
    pub fn read(&self, answer: &Value) -> Option<Self> {
        let text = |name: &str| answer.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            access: text("access_token")?,
            refresh: text("refresh_token").or_else(|| self.refresh.clone()),
            id: text("id_token").or_else(|| self.id.clone()),
        })
    }
}

/// One person's walk.
#[derive(Debug, Default)]
pub struct Walk {
    /// What comes next.
    pub next: Next,
    /// What was done.
    pub done: Vec<DemoStep>,
    /// Something to know before going on.
    pub note: Option<String>,
    /// Where the server answers.
    pub endpoints: Endpoints,
    /// Where the browser was sent, until it is back.
    pub sent_to: String,
    /// Ties the answer to the question.
    pub state: String,
    /// Ties the ID token to the question.
    pub nonce: String,
    /// The secret of PKCE.
    pub verifier: String,
    /// The code, once it came.
    pub code: String,
    /// What the code gave.
    pub tokens: Tokens,
}

impl Walk {
    /// Notes a step that was done.
    pub fn did(&mut self, title: &str, explain: impl Into<String>, (sent, received): (&str, &str)) {
        let shown = |bytes: &str| bytes.replace("\r\n", "\n").trim_end().to_owned();
        let (sent, received) = (shown(sent), shown(received));
        self.done.push(DemoStep { title: title.to_owned(), explain: explain.into(), sent, received, decoded: None });
    }

    /// Goes on to the step after `step`; past the last, or where the server has no such endpoint, the walk is over.
    pub fn pass(&mut self, step: Step) {
        self.note = None;
        let next = step.ahead().find(|next| *next != Step::SignOut || self.endpoints.end_session.is_some());
        self.next = next.map_or_else(|| Next::Nothing("That is the whole walk.".into()), Next::Press);
    }

    /// Ends the walk before its time.
    pub fn stop(&mut self, why: impl Into<String>) {
        self.note = None;
        self.next = Next::Nothing(why.into());
    }
}

/// Header and claims of an ID token in readable form, and the claims. Its signature is not looked at: it came from
/// the server itself, over the application's own connection (OpenID Core §3.1.3.7, 6).
pub fn decode_id_token(token: &str) -> Option<(String, Value)> {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let mut json = || serde_json::from_slice::<Value>(&parts.next()??).ok();
    let (header, claims) = (json()?, json()?);
    Some((format!("{header:#}\n{claims:#}"), claims))
}

/// What is wrong with the claims of an ID token, if anything (OpenID Core §3.1.3.7).
pub fn wrong_with(claims: &Value, (issuer, client): (&str, &str), nonce: &str, now: i64) -> Option<&'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(issuer) {
        return Some("it is another issuer's (iss)");
    }
    if text("aud") != Some(client) {
        return Some("it is for another application (aud)");
    }
    if text("nonce") != Some(nonce) {
        return Some("it answers another question (nonce)");
    }
    if claims.get("exp").and_then(Value::as_i64).is_none_or(|exp| exp <= now) {
        return Some("it has expired (exp)");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_step_is_found_by_its_name_and_leads_to_the_next() {
        for (at, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(Step::from_name(step.words().name), Some(step));
            assert_eq!(step.ahead().next(), Step::ALL.get(at + 1).copied());
        }
        assert_eq!(Step::from_name("another"), None);
    }

    #[test]
    fn without_an_end_session_endpoint_the_walk_ends_before_the_sign_out() {
        let mut walk = Walk::default();
        walk.pass(Step::IntrospectAgain);
        assert!(matches!(walk.next, Next::Nothing(_)));
        walk.endpoints.end_session = Some("http://localhost/logout".into());
        walk.pass(Step::IntrospectAgain);
        assert_eq!(walk.next, Next::Press(Step::SignOut));
        walk.pass(Step::SignOut);
        assert!(matches!(walk.next, Next::Nothing(_)));
    }

    #[test]
    fn metadata_of_another_issuer_is_refused() {
        let metadata = json!({
            "issuer": "http://a", "authorization_endpoint": "http://a/authorize", "token_endpoint": "http://a/token",
            "introspection_endpoint": "http://a/introspect", "userinfo_endpoint": "http://a/userinfo",
            "revocation_endpoint": "http://a/revoke",
        });
        assert_eq!(Endpoints::read(&metadata, "http://a").unwrap().token, "http://a/token");
        assert_eq!(Endpoints::read(&metadata, "http://b"), None);
        assert_eq!(Endpoints::read(&json!({"issuer": "http://a"}), "http://a"), None);
    }

    #[test]
    fn a_refresh_that_brings_no_refresh_token_keeps_the_one_there_is() {
        let first = Tokens::default().read(&json!({"access_token": "a", "refresh_token": "r"})).unwrap();
        let second = first.read(&json!({"access_token": "b"})).unwrap();
        assert_eq!((second.access.as_str(), second.refresh.as_deref()), ("b", Some("r")));
        assert_eq!(second.read(&json!({"error": "invalid_grant"})), None);
    }

    #[test]
    fn an_id_token_for_somebody_or_something_else_is_refused() {
        let good = json!({"iss": "i", "aud": "c", "nonce": "n", "exp": 10});
        assert_eq!(wrong_with(&good, ("i", "c"), "n", 9), None);
        assert!(wrong_with(&good, ("x", "c"), "n", 9).is_some());
        assert!(wrong_with(&good, ("i", "x"), "n", 9).is_some());
        assert!(wrong_with(&good, ("i", "c"), "x", 9).is_some());
        assert!(wrong_with(&good, ("i", "c"), "n", 10).is_some());
    }

    #[test]
    fn an_id_token_is_shown_in_readable_form() {
        let token =
            format!("{}.{}.sig", URL_SAFE_NO_PAD.encode("{\"alg\":\"x\"}"), URL_SAFE_NO_PAD.encode("{\"a\":1}"));
        let (text, claims) = decode_id_token(&token).unwrap();
        assert_eq!(text, "{\n  \"alg\": \"x\"\n}\n{\n  \"a\": 1\n}");
        assert_eq!(claims, json!({"a": 1}));
        assert!(decode_id_token("oat_opaque").is_none());
    }
}
