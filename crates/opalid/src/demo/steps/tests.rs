//! What the application makes of the answers that a browser brings.

use super::*;

const ISSUER: &str = "http://localhost:8080";
const ISS: &str = "http%3A%2F%2Flocalhost%3A8080";

fn asked() -> Walk {
    let sent_to = format!("{ISSUER}/authorize?state=s1");
    Walk { next: Next::Press(Step::SignIn), state: "s1".into(), sent_to, ..Walk::default() }
}

#[test]
fn an_answer_with_another_state_leaves_the_walk_alone() {
    for query in ["code=c&state=s2&iss=".to_owned() + ISS, "code=c&iss=".to_owned() + ISS, "state=s1&state=s1".into()] {
        let mut walk = asked();
        assert_eq!(take_answer(&mut walk, ISSUER, &format!("/demo/callback?{query}")), Err(Unexpected), "{query}");
        assert_eq!((walk.next, walk.done.len(), walk.code.as_str()), (Next::Press(Step::SignIn), 0, ""));
    }
    let mut unasked = Walk { next: Next::Press(Step::SignIn), ..Walk::default() };
    assert_eq!(take_answer(&mut unasked, ISSUER, "/demo/callback?code=c&state="), Err(Unexpected));
}

#[test]
fn each_question_has_a_secret_and_a_state_of_its_own() {
    let mut walk = asked();
    walk.endpoints.authorization = format!("{ISSUER}/authorize");
    let first = (sign_in(&mut walk, ISSUER), walk.state.clone(), walk.nonce.clone(), walk.verifier.clone());
    let location = sign_in(&mut walk, ISSUER);
    assert!(location.starts_with("http://localhost:8080/authorize?response_type=code&client_id=demo-app&"));
    assert!(location.ends_with("&code_challenge_method=S256") && !location.contains(&walk.verifier));
    assert!(first.1 != walk.state && first.2 != walk.nonce && first.3 != walk.verifier);
    assert_eq!(take_answer(&mut walk, ISSUER, &format!("/demo/callback?code=c&state={}", first.1)), Err(Unexpected));
}

#[test]
fn an_answer_of_another_issuer_or_of_none_ends_the_walk() {
    for iss in ["", "&iss=http%3A%2F%2Fevil.example"] {
        let mut walk = asked();
        take_answer(&mut walk, ISSUER, &format!("/demo/callback?code=c&state=s1{iss}")).unwrap();
        assert!(matches!(walk.next, Next::Nothing(_)), "{iss}");
        assert_eq!(walk.code, "");
    }
}

#[test]
fn a_code_is_taken_once_and_its_bytes_are_shown_without_cookies() {
    let mut walk = asked();
    let back = format!("/demo/callback?code=c1&state=s1&iss={ISS}");
    take_answer(&mut walk, ISSUER, &back).unwrap();
    assert_eq!((walk.next.clone(), walk.code.as_str()), (Next::Press(Step::Exchange), "c1"));
    let step = walk.done.last().unwrap();
    assert_eq!(step.sent, "HTTP/1.1 303 See Other\nLocation: http://localhost:8080/authorize?state=s1");
    assert_eq!(step.received, format!("GET {back} HTTP/1.1\nHost: localhost:8080"));
    take_answer(&mut walk, ISSUER, &back.replace("c1", "c2")).unwrap();
    assert_eq!((walk.done.len(), walk.code.as_str()), (1, "c1"));
}

#[test]
fn a_refusal_is_shown_and_ends_the_walk() {
    let mut walk = asked();
    take_answer(&mut walk, ISSUER, &format!("/demo/callback?error=access_denied&state=s1&iss={ISS}")).unwrap();
    assert!(matches!(walk.next, Next::Nothing(_)));
    assert!(walk.done.last().unwrap().received.contains("error=access_denied"));
}

#[test]
fn only_the_browser_that_was_sent_to_sign_out_comes_back_signed_out() {
    let mut walk = Walk { next: Next::Press(Step::SignOut), ..Walk::default() };
    assert_eq!(sign_out(&mut walk, ISSUER), None, "a server without such an endpoint");
    walk.endpoints.end_session = Some(format!("{ISSUER}/logout"));
    walk.tokens.id = Some("id".into());
    let location = sign_out(&mut walk, ISSUER).unwrap();
    assert!(location.starts_with("http://localhost:8080/logout?client_id=demo-app&post_logout_redirect_uri="));
    assert!(location.ends_with("&id_token_hint=id"));
    assert_eq!(take_signed_out(&mut walk, ISSUER, "/demo?state=another"), Err(Unexpected));
    let back = format!("/demo?state={}", walk.state);
    take_signed_out(&mut walk, ISSUER, &back).unwrap();
    assert!(matches!(walk.next, Next::Nothing(_)));
    assert_eq!(take_signed_out(&mut walk, ISSUER, &back), Err(Unexpected), "once");
}
