//! The pages as a person would meet them, for the browser check in `tests/ui`.

use super::*;
use crate::passwords::password::PasswordRefused;

const WORKSPACE: &str = "Opalid demo";
const CLIENT: &str = "Tide Tables";
const LONG: &str = "Gesellschaft-für-außerordentlich-langatmige-Anwendungsbezeichnungen-und-Zugriffsverwaltung";
const CSRF: &str = "m2Zc8kq1";

/// File name (without its ending) and document.
pub fn all() -> Vec<(&'static str, String)> {
    let mut pages = people();
    pages.extend(decisions());
    pages.extend(notices());
    pages.extend(homes());
    pages.extend(walk());
    pages.extend(console());
    pages
}

fn sign_in() -> SignIn<'static> {
    SignIn {
        workspace: WORKSPACE,
        client: Some(CLIENT),
        action: "/-/sign-in?request=8fK2",
        csrf: CSRF,
        login: "",
        signed_in_as: None,
        problem: None,
    }
}

fn people() -> Vec<(&'static str, String)> {
    let failed = SignIn { login: "alice", problem: Some(SignInProblem::WrongCredentials), ..sign_in() };
    let throttled = SignIn { login: "alice", problem: Some(SignInProblem::TooManyTries { wait: 30 }), ..sign_in() };
    let again = SignIn { login: "alice", signed_in_as: Some("Alice Demo"), ..sign_in() };
    let plain = SignIn { client: None, ..sign_in() };
    let set = |problem| SetPassword {
        workspace: WORKSPACE,
        action: "/-/set-password",
        csrf: CSRF,
        login: "alice",
        shortest: 8,
        problem,
    };
    vec![
        ("sign-in", sign_in().render().unwrap()),
        ("sign-in-failed", failed.render().unwrap()),
        ("sign-in-throttled", throttled.render().unwrap()),
        ("sign-in-again", again.render().unwrap()),
        ("sign-in-plain", plain.render().unwrap()),
        ("set-password", set(None).render().unwrap()),
        ("set-password-failed", set(Some(SetPasswordProblem::Refused(PasswordRefused::TooShort))).render().unwrap()),
        ("password-set", PasswordSet { workspace: WORKSPACE, sign_in_url: Some("/demo") }.render().unwrap()),
        ("password-set-plain", PasswordSet { workspace: WORKSPACE, sign_in_url: None }.render().unwrap()),
    ]
}

fn consent() -> Consent<'static> {
    let account = ScopeGroup {
        resource: "Your account here",
        scopes: vec!["Know who you are", "See your name and profile", "See your e-mail address"],
    };
    let api = ScopeGroup { resource: "Demo API", scopes: vec!["Read your entries", "Add and change your entries"] };
    Consent {
        workspace: WORKSPACE,
        action: "/-/consent?request=8fK2",
        csrf: CSRF,
        client: CLIENT,
        client_host: Some("tides.example"),
        user: "Alice Demo",
        groups: vec![account, api],
        lasts: "until you take it back, also while you are away",
        remembered: true,
    }
}

fn decisions() -> Vec<(&'static str, String)> {
    let long = Consent {
        workspace: LONG,
        client: LONG,
        client_host: Some("eine-sehr-lange-subdomain.noch-eine-sehr-lange-subdomain.unternehmen.example"),
        user: "wilhelmina.charlotte.friederike.von.hohenstein@unternehmen.example",
        groups: vec![ScopeGroup { resource: "https://api.unternehmen.example/v1/", scopes: vec![LONG, LONG] }],
        lasts: "until you sign out",
        remembered: false,
        ..consent()
    };
    let choose = SelectAccount {
        workspace: WORKSPACE,
        client: Some(CLIENT),
        action: "/-/select-account?request=8fK2",
        csrf: CSRF,
        user: "Alice Demo",
    };
    let sign_out = ConfirmSignOut {
        workspace: WORKSPACE,
        action: "/logout/confirm",
        csrf: CSRF,
        user: "Alice Demo",
        stay_url: "/",
    };
    vec![
        ("consent", consent().render().unwrap()),
        ("consent-long", long.render().unwrap()),
        ("select-account", choose.render().unwrap()),
        ("confirm-sign-out", sign_out.render().unwrap()),
    ]
}

fn notices() -> Vec<(&'static str, String)> {
    let error = ErrorPage {
        workspace: WORKSPACE,
        what: "The application sent you to an address that it has not registered, so we do not follow it.",
        advice: "Nothing happened to your account. Go back to the application and try again; if this page comes back, \
            tell its makers the code and the request below.",
        code: "unknown_redirect_uri",
        request_id: "0192f5a0-7c1e-7b3a-9d2e-5f6a7b8c9d0e",
    };
    let form_post = FormPost {
        workspace: WORKSPACE,
        client: CLIENT,
        action: "/-/callback",
        fields: vec![
            HiddenField { name: "code", value: "oac_Yx3n" },
            HiddenField { name: "state", value: "\"quoted\" & <odd>" },
        ],
    };
    let over = Over { workspace: WORKSPACE, client: Some(CLIENT), home: Some("/") };
    vec![
        ("signed-out", SignedOut { workspace: WORKSPACE, sign_in_url: None }.render().unwrap()),
        ("signed-out-demo", SignedOut { workspace: WORKSPACE, sign_in_url: Some("/demo") }.render().unwrap()),
        ("error", error.render().unwrap()),
        ("over", over.render().unwrap()),
        ("form-post", form_post.render().unwrap()),
    ]
}

fn homes() -> Vec<(&'static str, String)> {
    let links = || {
        vec![
            MetadataLink { label: "OpenID metadata", url: "http://localhost:8080/.well-known/openid-configuration" },
            MetadataLink {
                label: "OAuth metadata",
                url: "http://localhost:8080/.well-known/oauth-authorization-server",
            },
            MetadataLink { label: "Keys", url: "http://localhost:8080/jwks" },
        ]
    };
    let curl = |label, command| CurlLine { label, command };
    let demo = HomeDemo {
        demo_url: "/demo",
        sign_in_url: "http://localhost:8080/demo",
        console_url: "http://localhost:8080/console/inspect",
        administrator: "bob",
        users: vec![
            DemoUser { login: "alice", password: "alice-demo-password" },
            DemoUser { login: "bob", password: "bob-demo-password" },
        ],
        curl_lines: vec![
            curl(
                "Get an opaque token.",
                "TOKEN=$(curl -s -u demo-api:ocs_8Jm2 -d grant_type=client_credentials \
                -d resource=https://api.demo.example/ http://localhost:8080/token | sed 's/.*\"access_token\":\"\\([^\"]*\\).*/\\1/')",
            ),
            curl(
                "Introspect it: active.",
                "curl -s -u demo-api:ocs_8Jm2 -d token=$TOKEN http://localhost:8080/introspect",
            ),
            curl("Revoke it.", "curl -s -u demo-api:ocs_8Jm2 -d token=$TOKEN http://localhost:8080/revoke"),
            curl(
                "Introspect it again: inactive.",
                "curl -s -u demo-api:ocs_8Jm2 -d token=$TOKEN http://localhost:8080/introspect",
            ),
        ],
    };
    let issuer = "http://localhost:8080";
    let shown = Home { workspace: WORKSPACE, issuer, links: links(), demo: Some(demo) };
    let plain = Home { workspace: "Example Company", issuer, links: links(), demo: None };
    vec![("home", shown.render().unwrap()), ("home-plain", plain.render().unwrap())]
}

fn done() -> Vec<DemoStep> {
    let step = |title: &str, explain: &str, sent: &str, received: &str| DemoStep {
        title: title.to_owned(),
        explain: explain.to_owned(),
        sent: sent.to_owned(),
        received: received.to_owned(),
        decoded: None,
    };
    vec![
        step(
            "Ask for a sign-in",
            "The application draws a secret, sends its SHA-256 along (PKCE), and sends the browser to the server.",
            "GET /authorize?response_type=code&client_id=demo-app&redirect_uri=http%3A%2F%2Flocalhost%3A8080%2Fdemo%2F\
            callback&scope=openid+profile+read+offline_access&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw\
            -cM&code_challenge_method=S256&state=af0ifjsldkj HTTP/1.1\nHost: localhost:8080",
            "HTTP/1.1 303 See Other\nLocation: http://localhost:8080/demo/callback?code=oac_1mRrb7pZ&state=af0ifjsldkj\
            &iss=http%3A%2F%2Flocalhost%3A8080",
        ),
        step(
            "Change the code for tokens",
            "The code works once, for this application, with the secret from the first step.",
            "POST /token HTTP/1.1\nHost: localhost:8080\nContent-Type: application/x-www-form-urlencoded\n\n\
            grant_type=authorization_code&code=oac_1mRrb7pZ&client_id=demo-app&code_verifier=dBjftJeZ4CVP",
            "HTTP/1.1 200 OK\nContent-Type: application/json\nCache-Control: no-store\n\n{\n  \"access_token\": \
            \"oat_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5\",\n  \"token_type\": \
            \"Bearer\",\n  \"expires_in\": 600,\n  \"refresh_token\": \"ort_QUJDREVGR0hJSktMTU5PUA\"\n}",
        ),
    ]
}

fn walk() -> Vec<(&'static str, String)> {
    let next = |title, explain, label, method| DemoNext {
        title,
        explain,
        label,
        action_url: "/demo/next",
        method,
        hidden: vec![HiddenField { name: CSRF_FIELD, value: CSRF }],
    };
    let page = |steps, next, ahead| Demo {
        workspace: WORKSPACE,
        note: None,
        steps,
        next,
        ahead,
        closing: "That is the whole walk.",
        restart_url: "/demo?again",
    };
    let gone = "That walk is over: it took longer than an hour, or the server was started again. Begin again.";
    let first = next(
        "Ask for a sign-in",
        "The browser goes to the sign-in page and comes back with a code. Sign in as alice, alice-demo-password.",
        "Sign in",
        FormMethod::Get,
    );
    let third = next(
        "Ask whether the token is alive",
        "The API got the token from the application. To it the token is opaque, so it asks the server.",
        "Introspect the token",
        FormMethod::Post,
    );
    let ahead = vec!["Ask who it is", "Refresh", "Revoke", "Ask once more"];
    let all = ["Change the code for tokens", "Ask whether the token is alive"].into_iter().chain(ahead.clone());
    vec![
        ("demo-forgotten", Demo { note: Some(gone), ..page(vec![], Some(first.clone()), vec![]) }.render().unwrap()),
        ("demo-start", page(vec![], Some(first), all.collect()).render().unwrap()),
        ("demo-middle", page(done(), Some(third), ahead).render().unwrap()),
        ("demo-end", page(done(), None, vec![]).render().unwrap()),
    ]
}

fn inspected() -> Inspected {
    let fact =
        |name: &str, value: &str, means: &str| Fact { name: name.into(), value: value.into(), means: means.into() };
    let id = "0192f5a0-7c1e-7b3a-9d2e-5f6a7b8c9d0e";
    Inspected {
        headline: "This access token (JWT) is dead: everything below its user was cut.".into(),
        active: false,
        facts: vec![
            fact(
                "signature",
                "good, by signing key 2 of workspace demo (ES256, current, kid kPrK_qmxVWaYVA9wwBF6Iuo3v)",
                "",
            ),
            fact("jti", &format!("oaj_{}", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8w"), ""),
            fact("expires", "2026-11-23 22:20:03Z (in 60 minutes)", ""),
            fact("grant", id, ""),
        ],
        may: vec![fact("https://api.demo.example/", "read write", "today: read")],
        ancestors: vec![
            fact("user", LONG, "out of service, cut since; epoch 1 then, 2 today"),
            fact("session", id, "ended; epoch 1 then, 2 today"),
        ],
        header: vec![fact("typ", "at+jwt", "which kind of token it is (RFC 7515 §4.1.9, RFC 8725 §3.11)")],
        claims: vec![
            fact("iss", "https://id.example/", "who issued it (RFC 7519 §4.1.1)"),
            fact("department", "{\"id\":7}", ""),
        ],
        odd: vec!["exp is 115 days away".into(), "it has no kid, so its reader has to guess the key".into()],
        commands: vec![fact("this token alone", "opalid revoke token -", "")],
    }
}

fn console() -> Vec<(&'static str, String)> {
    let page = |inspected, cut, problem| Inspect {
        workspace: WORKSPACE,
        user: "alice",
        action: "/-/inspect",
        csrf: CSRF,
        test_jwt_url: "/-/test-jwt",
        sign_out_url: "/-/sign-out",
        done: None,
        problem,
        inspected,
        cut,
    };
    let cut = CutForm { action: "/-/inspect/cut".into(), csrf: CSRF.into(), token: "oat_AQID".into(), alone: true };
    let done = Inspect { done: Some("The token is dead."), ..page(Some(inspected()), Some(cut), None) };
    let test = |made, problem| TestJwtPage {
        workspace: WORKSPACE,
        user: "alice",
        action: "/-/test-jwt",
        csrf: CSRF,
        inspect_url: "/-/inspect",
        sign_out_url: "/-/sign-out",
        note: crate::test_jwt::FOR_TESTS,
        alg: "EdDSA",
        claims: "{\"scope\": \"read\"}",
        problem,
        made,
    };
    let jwks = "{\n  \"keys\": [\n    {\n      \"kty\": \"OKP\"\n    }\n  ]\n}".to_owned();
    let nobody = NotAdministrator { workspace: WORKSPACE, user: "bob", sign_in_url: "/-/sign-in" };
    vec![
        ("inspect", page(None, None, None).render().unwrap()),
        ("inspect-nothing", page(None, None, Some("this is no token of an Opalid server")).render().unwrap()),
        ("inspect-token", done.render().unwrap()),
        ("test-jwt", test(None, Some("claims are one JSON object")).render().unwrap()),
        ("test-jwt-made", test(Some(("eyJhbGciOi".repeat(30), jwks)), None).render().unwrap()),
        ("not-administrator", nobody.render().unwrap()),
    ]
}
