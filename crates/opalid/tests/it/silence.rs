//! What is logged never holds a secret: the real binary at its most verbose, through everything that handles one.

use serde_json::Value;

use crate::faults::daemon::{Daemon, Line, Reply};
use crate::manage::opalid;
use crate::support::demo_person::{CHALLENGE, VERIFIER};
use crate::support::folder::Folder;
use crate::support::html::{Form, Page};
use crate::support::http::encode;
use crate::support::server::database;
use crate::support::{DEMO_API, FORM, basic};

const CALLBACK: &str = "https://shop.example/callback";
/// What alice typed: at the terminal, at the page of the link, and by mistake.
const TERMINAL: &str = "typed-at-a-terminal-by-night";
const CHOSEN: &str = "chosen-behind-the-link-at-noon";
const WRONG: &str = "meant-for-another-site-it-was";
/// What no client has, and clients sent all the same.
const WRONG_SECRET: &str = "ocs_of-some-other-client-of-theirs";
const WRONG_VERIFIER: &str = "a-verifier-of-some-other-code-0123456789-0123456789";

/// A person and a client, and every secret that they have seen.
struct Witness {
    line: Line,
    cookies: Vec<(String, String)>,
    secrets: Vec<(String, String)>,
}

impl Witness {
    fn saw(&mut self, what: &str, secret: &str) -> String {
        assert!(secret.len() >= 16, "{what} {secret:?} is too short to be looked for");
        self.secrets.push((what.to_owned(), secret.to_owned()));
        secret.to_owned()
    }

    /// What a browser asks, with the cookies and the CSRF tokens that come of it.
    fn browse(&mut self, method: &str, target: &str, body: &str) -> Reply {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let origin = format!("http://localhost:{}", self.line.port);
        let headers = format!(
            "accept: text/html\r\nsec-fetch-site: same-origin\r\norigin: {origin}\r\n{}: {}\r\ncookie: {}\r\n",
            FORM.0,
            FORM.1,
            cookies.join("; ")
        );
        let reply = self.line.ask(method, target.trim_start_matches(&origin), &headers, body).expect("an answer");
        for (name, value) in reply.head.lines().filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.retain(|(found, _)| found != name);
                if !value.is_empty() {
                    let value = self.saw(&format!("cookie {name}"), value);
                    self.cookies.push((name.to_owned(), value));
                }
            }
        }
        reply
    }

    /// The form of a page that holds this element.
    fn form(&mut self, page: &Reply, id: &str) -> Form {
        assert_eq!(page.status, 200, "{}", page.body);
        let form = Page::parse(&page.body).form(id);
        let csrf = form.fields.iter().find(|(name, _)| name == opalid::pages::CSRF_FIELD).unwrap().1.clone();
        self.saw("CSRF token", &csrf);
        form
    }

    fn send(&mut self, form: &Form) -> Reply {
        self.browse("POST", &form.action, &encode(&form.pairs()))
    }

    /// Where a redirect leads, followed until it leads away.
    fn away(&mut self, mut reply: Reply) -> String {
        loop {
            if Page::parse(&reply.body).has("allow") {
                let form = self.form(&reply, "allow");
                reply = self.send(&form);
            }
            assert_eq!(reply.status, 303, "{}", reply.body);
            let to = reply.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
            if to.starts_with("https://") {
                return to;
            }
            reply = self.browse("GET", &to, "");
        }
    }

    /// A code for the shop; alice signs in, at the second try, unless she has.
    fn code(&mut self) -> String {
        let query = encode(&[
            ("client_id", "shop"),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid read offline_access"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let mut reply = self.browse("GET", &format!("/authorize?{query}"), "");
        while reply.status == 303 && !reply.head.contains("location: https://") {
            let to = reply.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
            reply = self.browse("GET", &to, "");
        }
        if Page::parse(&reply.body).has("sign-in") {
            let form = self.form(&reply, "sign-in").with("login", "alice");
            let again = self.send(&form.with("password", WRONG));
            let form = self.form(&again, "sign-in").with("login", "alice").with("password", CHOSEN);
            reply = self.send(&form);
        }
        let away = self.away(reply);
        let query = away.split_once('?').unwrap().1;
        let code = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code").expect("a code").1;
        self.saw("code", &code)
    }

    /// What a client asks, with the tokens that come of it.
    fn ask(&mut self, client: (&str, &str), target: &str, fields: &[(&str, &str)]) -> Reply {
        let authorization = basic(client);
        self.saw("authorization header", authorization.strip_prefix("Basic ").unwrap());
        let headers = format!("{}: {}\r\nauthorization: {authorization}\r\n", FORM.0, FORM.1);
        let reply = self.line.ask("POST", target, &headers, &encode(fields)).expect("an answer");
        if let Ok(Value::Object(json)) = serde_json::from_str(&reply.body) {
            for name in ["access_token", "refresh_token", "id_token"] {
                if let Some(token) = json.get(name) {
                    self.saw(name, token.as_str().unwrap());
                }
            }
        }
        reply
    }

    fn redeem(&mut self, secret: &str, code: &str, verifier: &str) -> Reply {
        let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        self.ask(("shop", secret), "/token", &[&fields[..], &[("code_verifier", verifier)]].concat())
    }

    fn userinfo(&self, target: &str, headers: &str) -> u16 {
        self.line.ask("GET", target, headers, "").unwrap().status
    }
}

/// The word in what a command says that begins so.
fn word(said: &str, beginning: &str) -> String {
    let found = said.split_whitespace().find(|word| word.starts_with(beginning));
    found.unwrap_or_else(|| panic!("no {beginning} in {said}")).to_owned()
}

/// A client, and alice's password: at a terminal, then behind a link.
fn prepare(witness: &mut Witness, run: impl Fn(&str, &str) -> String) -> String {
    let created = run(
        &format!(
            "client create shop --grant-type authorization_code --grant-type refresh_token --redirect-uri {CALLBACK} \
             --post-logout-redirect-uri https://shop.example/bye --access https://api.demo.example/=read --default-resource https://api.demo.example/"
        ),
        "",
    );
    run("user set-password alice", &format!("{TERMINAL}\n"));
    let link = word(&run("user set-password --link alice", ""), "http://");
    witness.saw("link", link.split_once("token=").unwrap().1);
    let page = witness.browse("GET", &link, "");
    let form = witness.form(&page, "set-password").with("new_password", CHOSEN).with("confirm_password", CHOSEN);
    assert_eq!(witness.send(&form).status, 303);
    assert_eq!(witness.browse("GET", &link, "").status, 400, "it works once");
    let secret = word(&created, "ocs_");
    witness.saw("client secret", &secret)
}

/// A code and its tokens through all that a client does with them, and what goes wrong on the way.
fn walk(witness: &mut Witness, run: impl Fn(&str, &str) -> String, secret: &str) -> (String, String) {
    let code = witness.code();
    assert_eq!(witness.redeem(WRONG_SECRET, &code, VERIFIER).status, 401);
    assert_eq!(witness.redeem(secret, &code, WRONG_VERIFIER).status, 400);
    let tokens = witness.redeem(secret, &code, VERIFIER);
    let [access, refresh, id] = ["access_token", "refresh_token", "id_token"].map(|name| tokens.field(name));
    assert_eq!(witness.userinfo("/userinfo", &format!("authorization: Bearer {access}\r\n")), 200);
    assert_eq!(witness.userinfo("/userinfo", &format!("authorization: Bearer {id}\r\n")), 401);
    assert_eq!(witness.userinfo(&format!("/userinfo?access_token={access}"), ""), 401);
    assert!(witness.ask(DEMO_API, "/introspect", &[("token", &access)]).body.contains(r#""active":true"#));
    assert_eq!(witness.ask(DEMO_API, "/introspect?token=x", &[("token", &refresh)]).status, 200);
    run("inspect -", &access);
    let renewed = run("client rotate-secret shop", "");
    let renewed = witness.saw("client secret", &word(&renewed, "ocs_"));
    let shop = ("shop", &*renewed);
    let refreshing = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
    let next = witness.ask(shop, "/token", &refreshing);
    assert_eq!(next.status, 200, "{}", next.body);
    assert_eq!(witness.ask(shop, "/token", &[refreshing[0], ("refresh_token", &access)]).status, 400);
    assert_eq!(witness.ask(DEMO_API, "/revoke", &[("token", &access)]).status, 400, "another client's");
    assert_eq!(witness.ask(shop, "/revoke", &[("token", &access)]).status, 200);
    let in_the_form = [refreshing[0], refreshing[1], ("client_id", "shop"), ("client_secret", WRONG_SECRET)];
    let reply = witness.line.ask("POST", "/token", &format!("{}: {}\r\n", FORM.0, FORM.1), &encode(&in_the_form));
    assert_eq!(reply.unwrap().status, 401);

    // A second use of a code and of a refresh token, and the end of the session.
    let again = witness.code();
    assert_eq!(witness.redeem(&renewed, &again, VERIFIER).status, 200);
    assert_eq!(witness.redeem(&renewed, &again, VERIFIER).status, 400);
    run("revoke token -", &next.field("refresh_token"));
    assert_eq!(witness.ask(shop, "/token", &refreshing).status, 400);
    let bye = [("id_token_hint", &*id), ("post_logout_redirect_uri", "https://shop.example/bye")];
    assert_eq!(witness.browse("GET", &format!("/logout?{}", encode(&[bye[0]])), "").status, 303);
    let broken = format!("/logout?{}", encode(&[("id_token_hint", &id[..id.len() - 9])]));
    witness.browse("GET", &broken, "");
    witness.code();
    let reply = witness.browse("GET", &format!("/logout?{}", encode(&bye)), "");
    let page = witness.browse("GET", reply.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap(), "");
    if page.status == 200 {
        let form = witness.form(&page, "sign-out");
        witness.send(&form);
    }
    (renewed, id)
}

/// An administrator inspects tokens, ours and made up, revokes one, and makes a test JWT.
fn administer(witness: &mut Witness, run: impl Fn(&str, &str) -> String, (secret, id_token): (&str, &str)) {
    run("user create --admin margarete", "");
    run("user set-password margarete", &format!("{TERMINAL}\n"));
    let page = witness.browse("GET", "/console/sign-in", "");
    let form = witness.form(&page, "sign-in").with("login", "margarete");
    witness.send(&form.clone().with("password", WRONG));
    assert_eq!(witness.send(&form.with("password", TERMINAL)).status, 303);
    let code = witness.code();
    let tokens = witness.redeem(secret, &code, VERIFIER);
    let access = tokens.field("access_token");
    let page = witness.browse("GET", "/console/inspect", "");
    let inspect = witness.form(&page, "inspect");
    for token in [&*tokens.field("refresh_token"), &code, id_token, &id_token[..id_token.len() - 9]] {
        assert_eq!(witness.send(&inspect.clone().with("token", token)).status, 200);
    }
    let page = witness.send(&inspect.with("token", &access));
    let cut = witness.form(&page, "cut-token");
    assert!(witness.send(&cut).body.contains("is dead"));
    assert_eq!(witness.send(&cut.without("csrf")).status, 400);
    let page = witness.browse("GET", "/console/test-jwt", "");
    let form = witness.form(&page, "make");
    let made = witness.send(&form).body;
    witness.saw("test JWT", made.split_once("<pre id=\"made\"><code>").unwrap().1.split_once('<').unwrap().0);
}

#[tokio::test]
async fn nothing_that_is_logged_at_the_most_verbose_level_holds_a_secret() {
    let (folder, database) = (Folder::new(), database().await);
    let data = folder.path().join("data");
    let mut environment = vec![("OPALID_LOG_LEVEL", "trace"), ("OPALID_LOG_FORMAT", "json")];
    environment.extend(database.iter().map(|url| ("OPALID_DATABASE", url.as_str())));
    let daemon = Daemon::start(&data, &environment);
    let run = |words: &str, input: &str| {
        let (done, said) = opalid(&data, words, input);
        assert!(done, "{words}: {said}");
        said
    };
    let mut witness = Witness { line: daemon.line(), cookies: Vec::new(), secrets: Vec::new() };
    let secret = prepare(&mut witness, run);
    let (secret, id_token) = walk(&mut witness, run, &secret);
    administer(&mut witness, run, (&secret, &id_token));
    assert!(daemon.stop().success());

    let typed = [TERMINAL, CHOSEN, WRONG, WRONG_SECRET, DEMO_API.1, VERIFIER, WRONG_VERIFIER];
    typed.into_iter().for_each(|typed| drop(witness.saw("what was typed or sent", typed)));
    let key = std::fs::read_to_string(data.join("master.key")).unwrap();
    witness.saw("master key", key.trim());
    let said = std::fs::read_to_string(folder.path().join("data.log")).unwrap();
    for written in ["a sign-in failed", "refused", r#""level":"DEBUG""#] {
        assert!(said.contains(written), "the log is not that of this walk: {said}");
    }
    for (what, secret) in &witness.secrets {
        // Half of one is too much.
        let (first, second) = secret.split_at(secret.len() / 2);
        for half in [first, second] {
            let found = said.lines().find(|line| line.contains(half));
            assert_eq!(found, None, "{what}");
        }
    }
    for what in ["link", "code", "access_token", "refresh_token", "id_token", "client secret", "CSRF token"] {
        assert!(witness.secrets.iter().any(|(seen, _)| seen == what), "no {what} was looked for");
    }
    assert!(witness.secrets.iter().any(|(seen, _)| seen.contains("-session")), "no session cookie was looked for");
}
