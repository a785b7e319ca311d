//! A person's browser: keeps cookies, follows redirects when told to, fills in forms.

use super::html::{Form, Page};
use super::http::{Answer, encode};
use super::server::{FORM, Server};

/// A browser with a cookie jar. The server is named at every call: it may be restarted in between.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    cookies: Vec<(String, String)>,
    /// What a proxy in front of the server says of where it is (`X-Forwarded-For`).
    pub forwarded_for: Option<String>,
}

/// Where following redirects ended.
#[derive(Debug)]
pub enum Landed {
    /// On a page of ours (or an error), at this target.
    Here(String, Answer),
    /// Sent away, to a client: this URL.
    Away(String),
}

impl Landed {
    /// The page; stops the test when it is none.
    #[track_caller]
    pub fn page(self) -> Page {
        match self {
            Self::Here(_, answer) if answer.status == 200 => Page::parse(answer.text()),
            other => panic!("expected a page: {other:?}"),
        }
    }

    /// The parameters of the URL that the browser was sent away to, and that URL without them.
    #[track_caller]
    pub fn away(self) -> (String, Vec<(String, String)>) {
        let Self::Away(url) = self else { panic!("expected to be sent away: {self:?}") };
        let (base, query) = url.split_once(['?', '#']).unwrap_or((&url, ""));
        (base.to_owned(), form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }
}

impl Browser {
    /// A new browser, which nobody has used.
    pub fn new() -> Self {
        Self::default()
    }

    /// A cookie's value.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Sets a cookie by hand, or drops it.
    pub fn set_cookie(&mut self, name: &str, value: Option<&str>) {
        self.cookies.retain(|(found, _)| found != name);
        self.cookies.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// GET without following.
    pub async fn get(&mut self, server: &Server, target: &str) -> Answer {
        self.request(server, "GET", target, None).await
    }

    /// POST of a form without following.
    pub async fn post(&mut self, server: &Server, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.request(server, "POST", target, Some(encode(fields))).await
    }

    async fn request(&mut self, server: &Server, method: &str, target: &str, body: Option<String>) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("accept", "text/html"), ("sec-fetch-site", "same-origin")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        if body.is_some() {
            headers.extend([FORM, ("origin", server.issuer.as_str())]);
        }
        headers.extend(self.forwarded_for.as_deref().map(|address| ("x-forwarded-for", address)));
        let target = target.strip_prefix(&server.issuer).unwrap_or(target);
        let answer = server.request(method, target, &headers, body.unwrap_or_default().as_bytes()).await;
        for line in answer.all("set-cookie") {
            self.keep(line);
        }
        answer
    }

    fn keep(&mut self, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').expect("a cookie has a name and a value");
        let over = parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
        self.set_cookie(name, (!over).then_some(value));
    }

    /// GET, then wherever it leads.
    pub async fn open(&mut self, server: &Server, target: &str) -> Landed {
        let answer = self.get(server, target).await;
        self.follow(server, target, answer).await
    }

    /// Sends a form, then goes wherever that leads.
    pub async fn submit(&mut self, server: &Server, form: &Form) -> Landed {
        assert_eq!(form.method, "POST");
        let answer = self.post(server, &form.action, &form.pairs()).await;
        self.follow(server, &form.action, answer).await
    }

    /// Follows redirects by GET until there is none, or one leads away from the server.
    pub async fn follow(&mut self, server: &Server, target: &str, mut answer: Answer) -> Landed {
        let mut target = target.to_owned();
        for _ in 0..10 {
            if !(300..400).contains(&answer.status) {
                return Landed::Here(target, answer);
            }
            assert_eq!(answer.status, 303, "redirects are 303, which never sends a form on: {answer:?}");
            let to = answer.header("location").expect("a redirect says where to").to_owned();
            let inside = to.strip_prefix(&server.issuer).unwrap_or(&to);
            if !inside.starts_with('/') {
                return Landed::Away(to);
            }
            target = inside.to_owned();
            answer = self.get(server, &target).await;
        }
        panic!("ten redirects and no end");
    }
}

#[test]
fn a_browser_keeps_cookies_until_they_are_over() {
    let mut browser = Browser::new();
    browser.keep("opalid=a; Path=/; HttpOnly; SameSite=Lax");
    browser.keep("other=b; Path=/");
    browser.keep("opalid=c; Path=/");
    assert_eq!((browser.cookie("opalid"), browser.cookie("other")), (Some("c"), Some("b")));
    browser.keep("opalid=; Max-Age=0; Path=/");
    assert_eq!(browser.cookie("opalid"), None);
}

#[test]
fn where_a_browser_is_sent_is_taken_apart() {
    let (base, parameters) = Landed::Away("https://app.example/cb?code=a%2Bb&state=s".into()).away();
    assert_eq!(base, "https://app.example/cb");
    assert_eq!(parameters, [("code".into(), "a+b".into()), ("state".into(), "s".to_string())]);
}

#[tokio::test]
async fn a_browser_opens_what_the_server_has() {
    let server = Server::empty().await;
    let mut browser = Browser::new();
    let landed = browser.open(&server, "/.well-known/openid-configuration").await;
    assert!(matches!(&landed, Landed::Here(target, answer) if target.starts_with("/.well") && answer.status == 200));
    let form = Form { action: "/token".into(), method: "POST".into(), fields: Vec::new() };
    let landed = browser.submit(&server, &form).await;
    assert!(matches!(landed, Landed::Here(_, answer) if answer.status == 401));
    assert!(
        Page::parse("<p id=a>").has("a")
            && !Landed::Here(String::new(), browser.get(&server, "/jwks").await).page().has("a")
    );
}
