//! The kinds of traffic that several scenarios share.

use crate::http::answer::Answer;
use crate::load::Traffic;
use anyhow::{Context, Result, bail, ensure};
use memchr::memmem::{self, Finder};
use std::rc::Rc;

/// What an answer must be.
pub struct Expect {
    status: u16,
    contains: Finder<'static>,
}

impl Expect {
    /// This status and, in the body, this text; an empty text stands for an empty body.
    pub fn new(status: u16, contains: &str) -> Self {
        Self { status, contains: Finder::new(contains.as_bytes()).into_owned() }
    }

    /// Whether the answer is that.
    pub fn judge(&self, answer: &Answer<'_>) -> Result<()> {
        if answer.status != self.status {
            bail!("status {} and not {}", answer.status, self.status);
        }
        let needle = self.contains.needle();
        if needle.is_empty() {
            ensure!(answer.body.is_empty(), "a body where none should be");
        } else if self.contains.find(answer.body).is_none() {
            bail!("no {} in the body", String::from_utf8_lossy(needle));
        }
        Ok(())
    }
}

/// The same request again and again.
pub struct Fixed {
    request: Vec<u8>,
    expect: Expect,
    left: usize,
}

impl Fixed {
    /// Without end.
    pub fn endless(request: Vec<u8>, expect: Expect) -> Self {
        Self::times(request, expect, usize::MAX)
    }

    /// So many times, over all connections.
    pub fn times(request: Vec<u8>, expect: Expect, left: usize) -> Self {
        Self { request, expect, left }
    }
}

impl Traffic for Fixed {
    fn next(&mut self, _connection: usize) -> Option<&[u8]> {
        self.left = self.left.checked_sub(1)?;
        Some(&self.request)
    }

    fn judge(&mut self, _connection: usize, answer: &Answer<'_>) -> Result<()> {
        self.expect.judge(answer)
    }
}

/// Stands in a request where the token goes.
pub const PLACEHOLDER: &str = "TOKEN-GOES-HERE";

/// Tokens of one length, without an allocation each: a million of them are prepared.
#[derive(Default)]
pub struct Tokens {
    bytes: Vec<u8>,
    width: usize,
}

impl Tokens {
    /// Adds one; all have the length of the first.
    pub fn push(&mut self, token: &str) -> Result<()> {
        if self.bytes.is_empty() {
            self.width = token.len();
        }
        ensure!(!token.is_empty() && token.len() == self.width, "tokens of different lengths");
        self.bytes.extend_from_slice(token.as_bytes());
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len().checked_div(self.width).unwrap_or(0)
    }

    /// One of them.
    pub fn find(&self, index: usize) -> Option<&str> {
        let start = index.checked_mul(self.width)?;
        let token = self.bytes.get(start..start.checked_add(self.width)?)?;
        std::str::from_utf8(token).ok().filter(|token| !token.is_empty())
    }
}

/// One request per token, the tokens taken far apart from one another, so that neighbours in time are not
/// neighbours in memory.
pub struct PerToken {
    tokens: Rc<Tokens>,
    request: Vec<u8>,
    at: usize,
    expect: Expect,
    walk: Walk,
}

impl PerToken {
    /// `template` makes the request around what stands for a token; with `once`, each token is used once.
    pub fn new(tokens: Rc<Tokens>, template: impl Fn(&str) -> Vec<u8>, expect: Expect, once: bool) -> Result<Self> {
        ensure!(tokens.len() > 0, "no tokens");
        let placeholder = PLACEHOLDER.repeat(tokens.width.div_ceil(PLACEHOLDER.len()));
        let placeholder = placeholder.get(..tokens.width).context("a token of odd length")?;
        let request = template(placeholder);
        let at = memmem::find(&request, placeholder.as_bytes()).context("the request has no place for a token")?;
        let walk = Walk::over(tokens.len(), once);
        Ok(Self { tokens, request, at, expect, walk })
    }
}

impl Traffic for PerToken {
    fn next(&mut self, _connection: usize) -> Option<&[u8]> {
        let token = self.tokens.find(self.walk.next()?)?;
        let place = self.request.get_mut(self.at..self.at + token.len())?;
        place.copy_from_slice(token.as_bytes());
        Some(&self.request)
    }

    fn judge(&mut self, _connection: usize, answer: &Answer<'_>) -> Result<()> {
        self.expect.judge(answer)
    }
}

/// Visits every index once per turn, in long strides.
struct Walk {
    length: usize,
    stride: usize,
    at: usize,
    left: usize,
}

impl Walk {
    fn over(length: usize, once: bool) -> Self {
        let golden = (length as f64 * 0.618) as usize;
        let stride = (golden.max(1)..).find(|&stride| gcd(stride, length) == 1).unwrap_or(1);
        Self { length, stride, at: 0, left: if once { length } else { usize::MAX } }
    }

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let index = self.at;
        self.at = (self.at + self.stride).checked_rem(self.length)?;
        Some(index)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &[u8]) -> Answer<'_> {
        Answer { status, head: b"", body }
    }

    #[test]
    fn an_answer_needs_both_the_status_and_the_text() {
        let expect = Expect::new(200, r#""active":true"#);
        assert!(expect.judge(&answer(200, br#"{"active":true}"#)).is_ok());
        assert!(expect.judge(&answer(200, br#"{"active":false}"#)).is_err());
        assert!(expect.judge(&answer(401, br#"{"active":true}"#)).is_err());
    }

    #[test]
    fn an_empty_text_means_an_empty_body() {
        let expect = Expect::new(200, "");
        assert!(expect.judge(&answer(200, b"")).is_ok());
        assert!(expect.judge(&answer(200, b"x")).is_err());
    }

    #[test]
    fn a_walk_visits_every_index_once_per_turn() {
        for length in [1, 2, 3, 8, 32, 1_000] {
            let mut walk = Walk::over(length, true);
            let mut seen: Vec<_> = std::iter::from_fn(|| walk.next()).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..length).collect::<Vec<_>>(), "{length}");
        }
    }

    #[test]
    fn each_token_stands_in_its_request_once() {
        let mut tokens = Tokens::default();
        for token in ["aaa", "bbb", "ccc"] {
            tokens.push(token).unwrap();
        }
        let template = |token: &str| format!("token={token}&x").into_bytes();
        let mut traffic = PerToken::new(Rc::new(tokens), template, Expect::new(200, ""), true).unwrap();
        let mut requests = Vec::new();
        while let Some(request) = traffic.next(0) {
            requests.push(String::from_utf8(request.to_vec()).unwrap());
        }
        requests.sort();
        assert_eq!(requests, ["token=aaa&x", "token=bbb&x", "token=ccc&x"]);
    }

    #[test]
    fn tokens_of_another_length_are_refused() {
        let mut tokens = Tokens::default();
        tokens.push("aaa").unwrap();
        assert!(tokens.push("bb").is_err());
        assert!(Tokens::default().push("").is_err());
        assert_eq!((tokens.len(), tokens.find(0), tokens.find(1)), (1, Some("aaa"), None));
    }
}
