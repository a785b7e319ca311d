//! Sign-ins that fail, in the log and in the metrics.

use opalid::config::LogFormat;
use opalid_store::steps::user::UserEvent;
use serde_json::Value;

use super::{sign_in_page, try_with};
use crate::support::Server;
use crate::support::log::Log;
use crate::support::person::password_of;

#[tokio::test]
async fn a_sign_in_that_failed_is_logged_with_why_and_from_where_and_never_with_what_was_typed() {
    let (log, _listening) = Log::listen(LogFormat::Json, "debug");
    let server = Server::with_people().await;
    server.touch_user("bob", UserEvent::Suspended).await;
    let user_id = async |name: &str| {
        let (workspace, username_key) = (server.app.root, name.to_owned());
        let step = opalid_store::steps::user::FindCredentials { workspace, username_key };
        server.app.store.read(step).await.unwrap().unwrap().user.id.to_string()
    };
    let (alice, bob) = (user_id("alice").await, user_id("bob").await);
    let mut expected = vec![
        ("alice", "a wrong guess", "wrong password", Some(alice.clone())),
        ("a typed password", "a wrong guess", "unknown user", None),
        ("bob", &*password_of("bob"), "suspended", Some(bob.clone())),
        ("bob", "a wrong guess", "wrong password", Some(bob)),
    ]
    .into_iter()
    .map(|(name, password, why, user)| (name, password.to_owned(), why, user))
    .collect::<Vec<_>>();
    expected.extend((0..4).map(|_| ("alice", "a wrong guess".to_owned(), "wrong password", Some(alice.clone()))));
    expected.push(("alice", "a wrong guess".to_owned(), "throttled", None));
    let mut requests = Vec::new();
    for (name, password, ..) in &expected {
        let (mut browser, form) = sign_in_page(&server).await;
        let answer = try_with(&mut browser, &server, &form, (name, password)).await;
        assert!(!answer.text().contains("suspended") && !answer.text().contains("unknown user"));
        requests.push(answer.header("x-request-id").unwrap().to_owned());
    }
    let said = log.text();
    for secret in ["a wrong guess", "a typed password", &password_of("bob")] {
        assert!(!said.contains(secret), "{said}");
    }
    let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let failed: Vec<_> = lines.filter(|line| line["message"] == "a sign-in failed").collect();
    assert_eq!(failed.len(), expected.len(), "{said}");
    for ((line, (_, _, why, user)), request) in failed.iter().zip(&expected).zip(&requests) {
        assert_eq!((&line["level"], &line["why"]), (&"INFO".into(), &(*why).into()), "{line}");
        assert_eq!(line.get("user").and_then(Value::as_str), user.as_deref(), "{line}");
        assert_eq!((&line["workspace"], &line["address"]), (&"default".into(), &"127.0.0.1".into()), "{line}");
        assert_eq!(line["request"], **request, "{line}");
    }
    let metrics = server.app.metrics.render();
    for (outcome, count) in [("wrong", 7), ("suspended", 1), ("backed_off", 1), ("success", 0)] {
        let series = format!("opalid_sign_ins_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(metrics.contains(&series), "{series}");
    }
}
