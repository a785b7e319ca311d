//! Every page with hostile words in every field, and the samples a real browser looks at (`tests/ui`).

use std::fs;
use std::path::Path;

use super::*;
use crate::http::security_headers::{Forms, page_policy};
use crate::passwords::password::PasswordRefused;

const HOSTILE: &str = "<script>alert('1')</script>\"' onfocus=\"alert(2)\" {{ 7*7 }} &amp; <!--";

fn fields(words: &str) -> Vec<HiddenField<'_>> {
    vec![HiddenField { name: words, value: words }]
}

fn steps(words: &str) -> Vec<DemoStep> {
    let step = || DemoStep {
        title: words.to_owned(),
        explain: words.to_owned(),
        sent: words.to_owned(),
        received: words.to_owned(),
        decoded: Some(Decoded { title: words.to_owned(), text: words.to_owned() }),
    };
    vec![step(), step()]
}

fn next(words: &str) -> DemoNext<'_> {
    DemoNext {
        title: words,
        explain: words,
        label: words,
        action_url: words,
        method: FormMethod::Post,
        hidden: fields(words),
    }
}

fn home_demo(words: &str) -> HomeDemo<'_> {
    HomeDemo {
        demo_url: words,
        sign_in_url: words,
        console_url: words,
        administrator: words,
        users: vec![DemoUser { login: words, password: words }],
        curl_lines: vec![CurlLine { label: words, command: words }],
    }
}

fn sign_in(words: &str, problem: Option<SignInProblem>) -> SignIn<'_> {
    SignIn {
        workspace: words,
        client: Some(words),
        action: words,
        csrf: words,
        login: words,
        signed_in_as: Some(words),
        problem,
    }
}

fn consent(words: &str) -> Consent<'_> {
    Consent {
        workspace: words,
        action: words,
        csrf: words,
        client: words,
        client_host: Some(words),
        user: words,
        groups: vec![ScopeGroup { resource: words, scopes: vec![words, words] }],
        lasts: words,
        remembered: true,
    }
}

fn set_password(words: &str, problem: Option<SetPasswordProblem>) -> SetPassword<'_> {
    SetPassword { workspace: words, action: words, csrf: words, login: words, shortest: 8, problem }
}

fn confirm_sign_out(words: &str) -> ConfirmSignOut<'_> {
    ConfirmSignOut { workspace: words, action: words, csrf: words, user: words, stay_url: words }
}

fn error_page(words: &str) -> ErrorPage<'_> {
    ErrorPage { workspace: words, what: words, advice: words, code: words, request_id: words }
}

fn over(words: &str) -> Over<'_> {
    Over { workspace: words, client: Some(words), home: Some(words) }
}

fn form_post(words: &str) -> FormPost<'_> {
    FormPost { workspace: words, client: words, action: words, fields: fields(words) }
}

fn select_account(words: &str) -> SelectAccount<'_> {
    SelectAccount { workspace: words, client: Some(words), action: words, csrf: words, user: words }
}

fn inspect(words: &str) -> Inspect<'_> {
    let facts = || vec![Fact { name: words.into(), value: words.into(), means: words.into() }];
    let inspected = Inspected {
        headline: words.into(),
        active: true,
        facts: facts(),
        may: facts(),
        ancestors: facts(),
        header: facts(),
        claims: facts(),
        odd: vec![words.into()],
        commands: facts(),
    };
    let cut = CutForm { action: words.into(), csrf: words.into(), token: words.into(), alone: true };
    Inspect {
        workspace: words,
        user: words,
        action: words,
        csrf: words,
        test_jwt_url: words,
        sign_out_url: words,
        done: Some(words),
        problem: Some(words),
        inspected: Some(inspected),
        cut: Some(cut),
    }
}

fn test_jwt(words: &str) -> TestJwtPage<'_> {
    TestJwtPage {
        workspace: words,
        user: words,
        action: words,
        csrf: words,
        inspect_url: words,
        sign_out_url: words,
        note: words,
        alg: words,
        claims: words,
        problem: Some(words),
        made: Some((words.into(), words.into())),
    }
}

/// Every page, with the same words in every field.
fn every_page(words: &str) -> Vec<(&'static str, String)> {
    let links = vec![MetadataLink { label: words, url: words }];
    let demo = |next| Demo {
        workspace: words,
        note: Some(words),
        steps: steps(words),
        next,
        ahead: vec![words],
        closing: words,
        restart_url: words,
    };
    let home = Home { workspace: words, issuer: words, links, demo: Some(home_demo(words)) };
    vec![
        ("sign-in", sign_in(words, Some(SignInProblem::WrongCredentials)).render().unwrap()),
        ("select-account", select_account(words).render().unwrap()),
        ("consent", consent(words).render().unwrap()),
        ("set-password", set_password(words, Some(SetPasswordProblem::Different)).render().unwrap()),
        ("password-set", PasswordSet { workspace: words, sign_in_url: Some(words) }.render().unwrap()),
        ("confirm-sign-out", confirm_sign_out(words).render().unwrap()),
        ("signed-out", SignedOut { workspace: words, sign_in_url: Some(words) }.render().unwrap()),
        ("error", error_page(words).render().unwrap()),
        ("over", over(words).render().unwrap()),
        ("form-post", form_post(words).render().unwrap()),
        ("home", home.render().unwrap()),
        ("demo", demo(Some(next(words))).render().unwrap()),
        ("demo-end", demo(None).render().unwrap()),
        ("inspect", inspect(words).render().unwrap()),
        ("test-jwt", test_jwt(words).render().unwrap()),
        ("not-administrator", NotAdministrator { workspace: words, user: words, sign_in_url: words }.render().unwrap()),
    ]
}

fn count(page: &str, part: &str) -> usize {
    page.matches(part).count()
}

fn title(page: &str) -> &str {
    page.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).unwrap_or_default()
}

#[test]
fn hostile_words_show_as_they_came_wherever_words_show() {
    let escaped = HOSTILE.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;");
    let escaped = escaped.replace('"', "&#34;").replace('\'', "&#39;");
    let tame = every_page("zebra");
    for ((name, hostile), (_, tame)) in every_page(HOSTILE).iter().zip(&tame) {
        assert!(tame.contains("zebra"), "{name} shows nothing");
        assert_eq!(*hostile, tame.replace("zebra", &escaped), "on {name}");
    }
}

#[test]
fn no_page_holds_inline_style_script_or_foreign_addresses() {
    for (name, page) in every_page("word") {
        for part in
            ["style=", "<style", " onclick", " onload", " onsubmit", "javascript:", "http://", "https://", "//w"]
        {
            assert!(!page.contains(part), "{part} on {name}");
        }
        let scripts = count(&page, "<script");
        assert_eq!(scripts, usize::from(name == "form-post"), "scripts on {name}");
        assert_eq!(scripts, count(&page, "<script src=\"/-/ui/form-post.js?v="));
    }
}

#[test]
fn every_page_has_one_title_one_heading_one_main_and_a_language() {
    for (name, page) in every_page("word") {
        for part in ["<title>", "<h1>", "<main>", "<html lang=\"en\">", "<meta name=\"viewport\""] {
            assert_eq!(count(&page, part), 1, "{part} on {name}");
        }
        assert!(!page.contains("name=\"referrer\""), "{name}: the header alone says what referrers tell");
    }
}

#[test]
fn every_page_has_at_most_one_primary_action() {
    for (name, page) in every_page("word") {
        let primary = count(&page, "class=\"primary\"") + count(&page, "class=\"button primary\"");
        assert_eq!(primary, usize::from(name != "error"), "on {name}");
    }
}

#[test]
fn titles_are_as_documented_and_tell_the_pages_apart() {
    let pages = every_page("Acme");
    let titles: Vec<&str> = pages.iter().map(|(_, page)| title(page)).collect();
    let documented = [
        "Sign in · Acme",
        "Choose an account · Acme",
        "Allow access",
        "Set your password · Acme",
        "Password set · Acme",
        "Sign out?",
        "Signed out",
        "Something is wrong",
        "This sign-in is over",
        "Returning to Acme",
        "Acme · Opalid",
        "Demo walk-through · Acme",
        "Demo walk-through · Acme",
        "Inspect a token · Acme",
        "Make a test JWT · Acme",
        "Not for this account · Acme",
    ];
    assert_eq!(titles, documented);
}

#[test]
fn element_ids_are_as_documented_and_unique_on_their_page() {
    let documented: [(&str, &[&str]); 16] = [
        ("sign-in", &["login", "password", "sign-in", "problem"]),
        ("select-account", &["continue", "use-another"]),
        ("consent", &["allow", "deny"]),
        ("set-password", &["new-password", "confirm-password", "set-password", "problem"]),
        ("password-set", &["go-to-sign-in"]),
        ("confirm-sign-out", &["sign-out", "stay"]),
        ("signed-out", &["go-to-sign-in"]),
        ("error", &["error-code", "request-id"]),
        ("over", &["back"]),
        ("form-post", &["form-post", "continue"]),
        ("home", &["demo"]),
        ("demo", &["step-1", "step-2", "next", "restart"]),
        ("demo-end", &["step-1", "step-2", "restart"]),
        (
            "inspect",
            &["token", "inspect", "verdict", "odd", "cut-token", "cut-grant", "facts", "claims", "problem", "done"],
        ),
        ("test-jwt", &["alg", "claims", "make", "made", "jwks", "problem"]),
        ("not-administrator", &["sign-in"]),
    ];
    for ((name, page), (same, ids)) in every_page("word").iter().zip(documented) {
        assert_eq!(*name, same);
        for id in ids {
            assert_eq!(count(page, &format!(" id=\"{id}\"")), 1, "{id} on {name}");
        }
    }
}

#[test]
fn forms_that_do_something_are_plain_posts_with_the_csrf_token() {
    for (name, page) in every_page("word") {
        let own = ["sign-in", "select-account", "consent", "set-password", "confirm-sign-out", "test-jwt"];
        let csrf = count(&page, "<input type=\"hidden\" name=\"csrf\" value=\"word\">");
        let expected = if name == "inspect" { 2 } else { usize::from(own.contains(&name)) };
        assert_eq!(csrf, expected, "on {name}");
        assert!(csrf == 0 || count(&page, "<form method=\"post\" action=\"word\">") == csrf, "on {name}");
        assert!(count(&page, "<form") <= csrf.max(1), "on {name}");
    }
}

#[test]
fn the_consent_form_says_which_button_was_pressed() {
    let page = consent("word").render().unwrap();
    assert!(page.contains("id=\"allow\" type=\"submit\" name=\"decision\" value=\"allow\""));
    assert!(page.contains("id=\"deny\" type=\"submit\" name=\"decision\" value=\"deny\""));
}

#[test]
fn the_error_page_leads_nowhere() {
    let page = error_page("https://evil.example/").render().unwrap();
    for part in ["<a ", "<form", "<button", "action="] {
        assert!(!page.contains(part), "{part}");
    }
    assert_eq!(count(&page, "href="), 2, "the style sheet and the icon");
}

#[test]
fn the_page_of_a_sign_in_that_is_over_leads_to_the_application_or_nowhere() {
    let page = over("zebra").render().unwrap();
    assert!(page.contains("<a class=\"button primary\" id=\"back\" href=\"zebra\">"));
    for page in [Over { home: None, ..over("word") }, Over { client: None, home: None, ..over("word") }] {
        assert!(!page.render().unwrap().contains("<a "));
    }
}

#[test]
fn a_failed_sign_in_says_the_same_for_an_unknown_name_and_a_wrong_password() {
    let page = sign_in("word", Some(SignInProblem::WrongCredentials)).render().unwrap();
    assert!(page.contains("role=\"alert\">The user name or the password is not right.</p>"));
}

#[test]
fn a_throttled_sign_in_says_how_long_to_wait() {
    assert_eq!(SignInProblem::TooManyTries { wait: 30 }.to_string(), "Too many tries. Try again in 30 seconds.");
    assert_eq!(SignInProblem::TooManyTries { wait: 1 }.to_string(), "Too many tries. Try again in 1 second.");
}

#[test]
fn a_first_sign_in_shows_no_alert_and_begins_at_the_empty_field() {
    let mut page = sign_in("word", None);
    page.signed_in_as = None;
    let prefilled = page.render().unwrap();
    assert!(!prefilled.contains("role=\"alert\""));
    assert!(prefilled.contains("autocomplete=\"current-password\" required autofocus"));
    page.login = "";
    assert!(page.render().unwrap().contains("spellcheck=\"false\" required autofocus"));
}

#[test]
fn refused_passwords_say_what_to_change() {
    for (problem, said) in [
        (SetPasswordProblem::Refused(PasswordRefused::TooShort), "at least 8 characters"),
        (SetPasswordProblem::Different, "not the same"),
    ] {
        assert!(set_password("word", Some(problem)).render().unwrap().contains(said));
    }
}

#[test]
fn assets_are_found_by_path_and_their_version_follows_their_bytes() {
    for asset in [&assets::STYLESHEET, &assets::FORM_POST_SCRIPT, &assets::ICON] {
        assert_eq!(assets::find_asset(asset.path).unwrap().etag, asset.etag);
        assert_eq!(asset.url(), format!("{}?v={}", asset.path, asset.version));
        assert!(asset.etag.starts_with(&format!("\"{}", asset.version)) && asset.etag.len() == 45);
    }
    assert!(assets::find_asset("/-/ui/layout.html").is_none());
    assert_ne!(assets::STYLESHEET.etag, assets::ICON.etag);
}

#[test]
fn static_files_ask_nothing_of_another_host() {
    let css = str::from_utf8(assets::STYLESHEET.body).unwrap();
    for part in ["url(", "@import", "@font-face", "http"] {
        assert!(!css.contains(part), "{part}");
    }
}

/// The pages as a person would meet them. `tests/ui` opens what this writes.
#[test]
fn the_samples_for_the_browser_check_are_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pages");
    fs::create_dir_all(folder.join("-/ui")).unwrap();
    for asset in [&assets::STYLESHEET, &assets::FORM_POST_SCRIPT, &assets::ICON] {
        fs::write(folder.join(asset.path.trim_start_matches('/')), asset.body).unwrap();
    }
    fs::write(folder.join("policy.txt"), page_policy(Forms::MayEndAtClient)).unwrap();
    for (name, page) in samples::all() {
        fs::write(folder.join(format!("{name}.html")), page).unwrap();
    }
}
