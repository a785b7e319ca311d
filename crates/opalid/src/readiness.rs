//! Whether the store answers, for however many ask at once.
//!
//! Holds: one read at a time, so that a flood of probes takes no readers from others; what is said was read after it was
//! asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use opalid_store::steps::cell::FindCell;
use opalid_store::{Outage, Store};
use tokio::sync::Mutex;

/// The last look at the store.
#[derive(Debug, Default)]
pub struct Readiness {
    /// How many looks have begun.
    begun: AtomicU64,
    /// Which look was the last to end, and whether there was an answer.
    last: Mutex<(u64, bool)>,
}

impl Readiness {
    /// Whether the store answers: by a look of our own, or by one that began since we asked.
    pub async fn ask(&self, store: &Store) -> bool {
        self.ask_by(async || store.read(FindCell).await.map(drop)).await
    }

    async fn ask_by(&self, look: impl AsyncFnOnce() -> Result<(), Outage>) -> bool {
        let begun = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.0 <= begun {
            let this = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let looked = look().await;
            if let Err(error) = &looked {
                tracing::debug!(%error, "not ready");
            }
            *last = (this, looked.is_ok());
        }
        last.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::cell::Cell;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn whoever_asks_while_a_look_is_under_way_shares_the_next_one() {
        let (readiness, looks) = (Readiness::default(), Cell::new(0));
        let (end, ended) = oneshot::channel::<()>();
        let mut first = Box::pin(readiness.ask_by(async || {
            looks.set(looks.get() + 1);
            ended.await.map_err(|_| Outage::Crowded)
        }));
        assert_eq!(first.as_mut().now_or_never(), None);
        let ask = || {
            readiness.ask_by(async || {
                looks.set(looks.get() + 1);
                Err(Outage::Crowded)
            })
        };
        let (mut second, mut third) = (Box::pin(ask()), Box::pin(ask()));
        assert_eq!((second.as_mut().now_or_never(), third.as_mut().now_or_never()), (None, None));
        end.send(()).unwrap();
        assert!(first.await, "its own look");
        assert_eq!((second.await, third.await), (false, false), "what was read before they asked says nothing");
        assert_eq!(looks.get(), 2);
    }
}
