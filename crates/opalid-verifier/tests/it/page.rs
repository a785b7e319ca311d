//! The page that tells of the guard: its program, its answer and its document are those that are tested here.

use crate::scripted::{Scripted, Served};
use crate::{connecting, orders};

const PAGE: &str = include_str!("../../../../docs/guard-an-api-in-rust.md");

/// What stands on the page as `language`, the first of it.
fn block(language: &str) -> &'static str {
    blocks(language).next().unwrap()
}

fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let begins = format!("```{language}\n");
    let blocks: Vec<_> = PAGE.split(&begins).skip(1).map(|rest| rest.split_once("```\n").unwrap().0).collect();
    blocks.into_iter()
}

#[test]
fn the_page_shows_the_program_that_is_tested() {
    let program = include_str!("orders.rs").split_once("\n\n").unwrap().1;
    let connecting = include_str!("connecting.rs").split_once("\n\n").unwrap().1;
    assert_eq!(blocks("rust").collect::<Vec<_>>(), [program, connecting]);
}

#[tokio::test]
async fn the_page_connects_with_settings_that_can_work() {
    let verifier = connecting::verifier("a secret".into()).unwrap();
    assert_eq!(verifier.recall("a token"), None);
}

#[tokio::test]
async fn the_page_shows_the_answers_that_the_program_gives() {
    let api = Served::begin(orders::api(Scripted).unwrap()).await;
    let refused = api.ask("DELETE", "/orders/1", &["Authorization: Bearer writer"]).await;
    let refused: Vec<_> = refused.lines().filter(|line| !line.starts_with("content-length: ")).collect();
    assert_eq!(block("http").lines().collect::<Vec<_>>(), refused);
    let metadata = api.ask("GET", "/.well-known/oauth-protected-resource", &[]).await;
    assert_eq!(Some(block("json").trim_end()), metadata.lines().last());
}
