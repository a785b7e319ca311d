//! The verifier: what is true of a token, from memory under a lease, else from the issuer.
//!
//! Takes: tokens as they come. Gives: a verdict, or an outage.
//! Holds: *if a revocation returned before a check began, that check does not say active.* What is remembered is looked at under a lease,
//! with a clock read within the check; an answer of the issuer serves only checks that began before its question was sent.
//! Not here: the connection, which is the [link](crate::link)'s; whether a request may pass.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opalid_core::lease::wire::{LONGEST_TOKEN, Said};
use opalid_core::lease::{HolderId, Moment};
use opalid_core::mirror::{Answer, DigestKey, Found, Mirror, TokenDigest};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::{BadSettings, Settings};
use crate::link::Link;
use crate::misses::{Misses, Sent, Told};
use crate::random;
use crate::verdict::{Outage, Token, Verdict, Verify};

/// How often answers that are not understood are logged.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Says what is true of tokens. One for a process: its clones share what is remembered, and one connection to the issuer. When the
/// last of them is dropped, the issuer is told that it left.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
    /// The link goes on while one of these is left.
    _alive: mpsc::Sender<Infallible>,
}

/// How a verifier is, for metrics and for whoever asks whether it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
    /// Whether there is a connection to the issuer.
    pub connected: bool,
    /// How long what is remembered may yet be believed. Nothing: each check asks the issuer.
    pub leased_for: Duration,
    /// How many tokens are remembered, expired ones that nobody asked for since among them.
    pub entries: usize,
    /// Checks answered from memory.
    pub hits: u64,
    /// Checks that had to ask the issuer.
    pub misses: u64,
    /// Those of them that nobody answered.
    pub outages: u64,
}

/// What the checks and the link have in common.
pub(crate) struct Shared {
    pub mirror: Mirror<Token>,
    pub misses: Misses,
    pub clock: Clock,
    pub answer_within: Duration,
    pub connected: AtomicBool,
    /// A lease may have come.
    pub leased: Notify,
    key: DigestKey,
    counted: Counted,
    /// When an answer was last complained of.
    complained_at: AtomicU64,
}

#[derive(Default)]
struct Counted {
    hits: AtomicU64,
    misses: AtomicU64,
    outages: AtomicU64,
}

impl Verifier {
    /// Starts to connect, within a tokio runtime. It need not wait to be [ready](Self::ready): checks wait for the connection.
    pub fn start(settings: Settings) -> Result<Self, BadSettings> {
        let runtime = Handle::try_current().map_err(|_| BadSettings::NoRuntime)?;
        let key = DigestKey::new(random::bytes().ok_or(BadSettings::Randomness)?);
        let id = HolderId(u128::from_be_bytes(random::bytes().ok_or(BadSettings::Randomness)?));
        let shared = Arc::new(Shared {
            mirror: Mirror::new(id, settings.room),
            misses: Misses::new(),
            clock: settings.clock,
            answer_within: settings.answer_within,
            connected: AtomicBool::new(false),
            leased: Notify::new(),
            key,
            counted: Counted::default(),
            complained_at: AtomicU64::new(0),
        });
        let (alive, verifiers) = mpsc::channel(1);
        let link = Link::new(Arc::clone(&shared), &settings, verifiers)?;
        runtime.spawn(link.run());
        Ok(Self { shared, _alive: alive })
    }

    /// Says what is true of a token, whatever text it is: from memory if that may be believed, else the issuer is asked. Nobody waits
    /// longer than [`Settings::answer_within`]; while no connection is to be had, nobody waits at all.
    pub async fn verify(&self, token: &str) -> Result<Verdict, Outage> {
        let of = self.shared.key.of(token);
        if let Some(verdict) = self.shared.recall(of) {
            return Ok(verdict);
        }
        if !may_be_token(token) {
            return Ok(Verdict::Inactive);
        }
        self.shared.counted.misses.fetch_add(1, Ordering::Relaxed);
        let said = timeout(self.shared.answer_within, self.shared.ask(of, token)).await.unwrap_or(Err(Outage));
        if said.is_err() {
            self.shared.counted.outages.fetch_add(1, Ordering::Relaxed);
        }
        said
    }

    /// What is remembered of a token and may be believed now. Nothing is asked, nothing is awaited.
    #[must_use]
    pub fn recall(&self, token: &str) -> Option<Verdict> {
        self.shared.recall(self.shared.key.of(token))
    }

    /// Returns once there is a lease: from then on what is said is remembered. With credentials that are refused it never does.
    pub async fn ready(&self) {
        loop {
            // Before it is looked: what comes between is not missed.
            let leased = self.shared.leased.notified();
            if !self.state().leased_for.is_zero() {
                return;
            }
            leased.await;
        }
    }

    /// How it is now.
    #[must_use]
    pub fn state(&self) -> State {
        let Shared { mirror, clock, connected, counted, .. } = &*self.shared;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        State {
            connected: connected.load(Ordering::Relaxed),
            leased_for: clock().until(mirror.believed_until()),
            entries: mirror.len(),
            hits: count(&counted.hits),
            misses: count(&counted.misses),
            outages: count(&counted.outages),
        }
    }
}

impl Verify for Verifier {
    async fn verify(&self, token: &str) -> Result<Verdict, Outage> {
        Verifier::verify(self, token).await
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Shared {
    fn recall(&self, of: TokenDigest) -> Option<Verdict> {
        let verdict = match self.mirror.find((self.clock)(), of) {
            Found::Active(token) => Verdict::Active(token),
            Found::Dead => Verdict::Inactive,
            Found::Nothing => return None,
        };
        self.counted.hits.fetch_add(1, Ordering::Relaxed);
        Some(verdict)
    }

    async fn ask(&self, of: TokenDigest, token: &str) -> Result<Verdict, Outage> {
        loop {
            match self.misses.ask(of, token).await {
                Told::Said(said) => return said,
                Told::LookAgain => {
                    if let Some(verdict) = self.recall(of) {
                        return Ok(verdict);
                    }
                }
            }
        }
    }

    /// An answer came: it is remembered if it may be, and only then those who wait are told.
    pub fn answered(&self, question: u32, said: Said) {
        if let Some(sent) = self.misses.sent(question) {
            let verdict = self.judge(sent, said);
            self.misses.answer(question, verdict);
        }
    }

    fn judge(&self, sent: Sent, said: Said) -> Result<Verdict, Outage> {
        let (at, expires_in, tags, facts) = match said {
            Said::Active { at, expires_in, tags, facts } => (at, expires_in, tags, facts),
            Said::Inactive => return Ok(Verdict::Inactive),
            Said::Dead => {
                self.mirror.bury(sent.of);
                return Ok(Verdict::Inactive);
            }
            Said::Outage => return Err(Outage),
        };
        let facts = match Verdict::parse(&facts) {
            Ok(Verdict::Active(facts)) => facts,
            Ok(Verdict::Inactive) => return Ok(Verdict::Inactive),
            Err(bad) => {
                self.complain(&bad);
                return Err(Outage);
            }
        };
        if let Some(at) = at.filter(|_| !expires_in.is_zero()) {
            let expires_at = sent.asked_at.after(expires_in);
            self.mirror.fill(&Answer { of: sent.of, facts: Arc::clone(&facts), expires_at, tags: &tags, at });
        }
        Ok(Verdict::Active(facts))
    }

    /// One of many is logged. `bad` says what is wrong, and shows nothing of the answer.
    fn complain(&self, bad: &crate::verdict::BadFacts) {
        let now = (self.clock)();
        let last = self.complained_at.load(Ordering::Relaxed);
        if last == 0 || Moment(last).until(now) >= COMPLAIN_EVERY {
            self.complained_at.store(now.0.max(1), Ordering::Relaxed);
            tracing::warn!("tokens are refused: the issuer sent {bad}; are both of versions that belong together?");
        }
    }
}

/// Whether an issuer could have made it (RFC 6750 §2.1, `b64token`), and may be asked about it.
fn may_be_token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    token.len() <= LONGEST_TOKEN && !body.is_empty() && body.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_issuer_makes_is_no_token() {
        for token in ["oat_Ab-9", "a.b.c", "A+/~==", "x", &"x".repeat(LONGEST_TOKEN)] {
            assert!(may_be_token(token), "{token}");
        }
        for text in ["", "==", "a b", "a=b", "a\n", "ä", "a,b", &"x".repeat(LONGEST_TOKEN + 1)] {
            assert!(!may_be_token(text), "{text}");
        }
    }
}
