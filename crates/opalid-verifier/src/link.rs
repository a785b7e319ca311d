//! The link to the issuer: one task that connects, and connects again.
//!
//! Takes: questions of checks. Gives: news and leases to the mirror, answers to the checks.
//! Holds: the mirror and its name outlive connections; what was asked on a broken one is asked on the next; when the last verifier is
//! dropped, everything is given up first and the issuer told then. Without a connection its leases run out.
//! Not here: what is said on a connection; how one is made.

mod connection;
mod socket;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opalid_core::lease::HolderId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::config::{BadSettings, Settings};
use crate::random;
use crate::verifier::Shared;
use connection::{Connection, End};
use socket::{Failure, Peer};

/// How long until the next attempt: at least, at most, and where the issuer said why it refuses.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);
/// A connection that worked is made again at once, but not more often than this.
const AT_ONCE_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Link {
    shared: Arc<Shared>,
    peer: Peer,
    /// Ends with the last verifier.
    verifiers: mpsc::Receiver<Infallible>,
    pace: Pace,
    /// What was last logged, so that it is logged once.
    complaint: Option<String>,
}

impl Link {
    pub fn new(
        shared: Arc<Shared>,
        settings: &Settings,
        verifiers: mpsc::Receiver<Infallible>,
    ) -> Result<Self, BadSettings> {
        let peer = Peer::new(settings.feed()?, &settings.roots)?;
        Ok(Self { shared, peer, verifiers, pace: Pace::new(), complaint: None })
    }

    /// Until the last verifier is dropped.
    pub async fn run(mut self) {
        loop {
            let end = self.connect().await;
            self.shared.connected.store(false, Ordering::Relaxed);
            let wait = match end {
                End::Left => break,
                End::Lost { worked, why } => {
                    self.shared.misses.requeue();
                    self.complain(&why);
                    self.pace.after(worked, &why)
                }
            };
            // Checks wait for a short break, and not for a long one.
            if self.pace.refused || self.pace.lost_at.elapsed() >= self.shared.answer_within {
                self.shared.misses.down();
            }
            // Not even as long as a timer takes that has nothing to wait for.
            if !wait.is_zero() {
                tokio::select! {
                    _none = self.verifiers.recv() => break,
                    () = sleep(wait) => {}
                }
            }
        }
    }

    async fn connect(&mut self) -> End {
        let holder = self.shared.mirror.ask((self.shared.clock)()).holder;
        let socket = tokio::select! {
            _none = self.verifiers.recv() => return End::Left,
            socket = self.peer.connect(holder) => socket,
        };
        let socket = match socket {
            Ok(socket) => socket,
            Err(why) => return End::Lost { worked: false, why },
        };
        tracing::debug!("connected to {}", self.peer);
        self.shared.connected.store(true, Ordering::Relaxed);
        self.shared.misses.up();
        let end = Connection::new(&self.shared, socket).run(&mut self.verifiers).await;
        if let End::Lost { worked: true, .. } = end {
            self.complaint = None;
        }
        end
    }

    fn complain(&mut self, why: &Failure) {
        let complaint = why.to_string();
        if self.complaint.as_ref() == Some(&complaint) {
            tracing::debug!("{}: {complaint}", self.peer);
        } else {
            tracing::warn!("no connection to {}: {complaint}", self.peer);
            self.complaint = Some(complaint);
        }
    }
}

/// A name for after a leave.
fn next_name() -> HolderId {
    HolderId(u128::from_be_bytes(random::bytes().unwrap_or_default()))
}

/// How soon a connection is made again.
struct Pace {
    tries: u32,
    /// Since when there is no connection.
    lost_at: Instant,
    /// The issuer said why it refuses.
    refused: bool,
    at_once: Option<Instant>,
}

impl Pace {
    fn new() -> Self {
        Self { tries: 0, lost_at: Instant::now(), refused: false, at_once: None }
    }

    fn after(&mut self, worked: bool, why: &Failure) -> Duration {
        self.refused = matches!(why, Failure::Refused(_));
        if self.refused {
            return LONGEST + random::up_to(LONGEST);
        }
        if worked {
            self.tries = 0;
            self.lost_at = Instant::now();
            if self.at_once.is_none_or(|last| last.elapsed() >= AT_ONCE_EVERY) {
                self.at_once = Some(Instant::now());
                return Duration::ZERO;
            }
        }
        let longest = SHORTEST.saturating_mul(1 << self.tries.min(10)).min(LONGEST);
        self.tries += 1;
        let at_least = match why {
            Failure::Busy(Some(length)) => (*length).min(LONGEST),
            _ => longest / 2,
        };
        at_least + random::up_to(longest / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_worked_is_tried_again_at_once_and_what_does_not_ever_more_slowly() {
        let gone = Failure::Unreachable("gone".into());
        let mut pace = Pace::new();
        assert_eq!(pace.after(true, &gone), Duration::ZERO);
        assert!(
            pace.after(true, &gone) >= SHORTEST / 2,
            "one that is closed again and again is not made again without a pause"
        );
        let waits: Vec<Duration> = (0..12).map(|_| pace.after(false, &gone)).collect();
        assert!(waits[0] <= 2 * SHORTEST && waits[11] >= LONGEST / 2, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(pace.after(false, &Failure::Refused("no".into())) >= LONGEST);
        assert!(pace.after(false, &Failure::Busy(Some(Duration::from_secs(4)))) >= Duration::from_secs(4));
        tokio::time::advance(AT_ONCE_EVERY).await;
        assert_eq!(pace.after(true, &gone), Duration::ZERO);
    }
}
