//! Saying in the log that the store does not answer: once when it begins, seldom while it lasts, once when it is over.
//!
//! Takes: how each step ended, and the time. Gives: what to say now, if anything.
//! Holds: however many are refused, one line in ten seconds; an outage is over when something was answered and nothing was
//! refused for a while, so that one in which only writes fail is one. Where all is well, one flag is looked at.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::StoreError;

/// How long between two lines, at least.
const EVERY: Duration = Duration::from_secs(10);
/// For how long nothing may have been refused before it is over.
const QUIET: Duration = Duration::from_secs(2);

/// What to say.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Begins,
    Lasts { refused: u64 },
    Over { lasted: Duration, refused: u64 },
}

#[derive(Debug)]
struct Outage {
    began: Duration,
    refused_at: Duration,
    said_at: Duration,
    /// Since the last line.
    refused: u64,
}

/// Whether there is an outage.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    lasts: AtomicBool,
    outage: Mutex<Option<Outage>>,
}

impl Outages {
    /// Hears how something ended and says what there is to say. What is no outage is told by whoever asked.
    pub fn hear<T>(&self, now: impl FnOnce() -> Duration, outcome: &Result<T, StoreError>) {
        match outcome {
            Ok(_) if !self.lasts.load(Relaxed) => {}
            Ok(_) => say(self.answered(now()), None),
            Err(StoreError::Unavailable(why)) => {
                tracing::debug!(why, "the store does not answer");
                say(self.refused(now()), Some(why));
            }
            Err(_) => {}
        }
    }

    fn refused(&self, now: Duration) -> Option<Line> {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(outage) = &mut *outage else {
            *outage = Some(Outage { began: now, refused_at: now, said_at: now, refused: 0 });
            self.lasts.store(true, Relaxed);
            return Some(Line::Begins);
        };
        outage.refused += 1;
        outage.refused_at = now;
        if now.saturating_sub(outage.said_at) < EVERY {
            return None;
        }
        outage.said_at = now;
        Some(Line::Lasts { refused: std::mem::take(&mut outage.refused) })
    }

    fn answered(&self, now: Duration) -> Option<Line> {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let Outage { began, refused_at, refused, .. } =
            outage.take_if(|outage| now.saturating_sub(outage.refused_at) >= QUIET)?;
        self.lasts.store(false, Relaxed);
        Some(Line::Over { lasted: refused_at.saturating_sub(began), refused })
    }
}

fn say(line: Option<Line>, why: Option<&str>) {
    match line {
        Some(Line::Begins) => tracing::error!(why, "the store does not answer; what needs it is refused"),
        Some(Line::Lasts { refused }) => tracing::error!(why, refused, "the store still does not answer"),
        Some(Line::Over { lasted, refused }) => {
            tracing::info!(seconds = lasted.as_secs(), refused, "the store answers again");
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_outage_is_said_once_then_every_ten_seconds_with_how_many_were_refused_and_once_when_it_is_over() {
        let outages = Outages::default();
        assert_eq!(outages.answered(at(99)), None);
        let lines: Vec<_> = (0..2_500).filter_map(|n| outages.refused(at(100) + at(n) / 100)).collect();
        assert_eq!(lines, [Line::Begins, Line::Lasts { refused: 1_000 }, Line::Lasts { refused: 1_000 }]);
        assert_eq!(outages.answered(at(130)), Some(Line::Over { lasted: Duration::from_millis(24_990), refused: 499 }));
        assert_eq!(outages.answered(at(131)), None);
        assert_eq!(outages.refused(at(200)), Some(Line::Begins), "the next one");
    }

    #[test]
    fn where_only_some_are_answered_it_is_one_outage() {
        let outages = Outages::default();
        assert_eq!(outages.refused(at(100)), Some(Line::Begins));
        for n in 101..110 {
            assert_eq!((outages.answered(at(n)), outages.refused(at(n))), (None, None));
        }
        assert_eq!(outages.answered(at(110)), None);
        assert_eq!(outages.answered(at(111)), Some(Line::Over { lasted: at(9), refused: 9 }));
    }
}
