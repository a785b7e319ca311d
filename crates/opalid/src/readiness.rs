//! Whether the store answers, for however many ask at once.
//!
//! Holds: one read at a time, also when those who asked hang up, so that a flood of probes takes no readers from others;
//! what is said was read after it was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opalid_store::Outage;
use opalid_store::steps::cell::FindCell;
use tokio::sync::Mutex;

use crate::app::App;

/// The last look at the store.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Looks>);

#[derive(Debug, Default)]
struct Looks {
    /// How many have begun.
    begun: AtomicU64,
    /// Which was the last to end, and whether there was an answer.
    last: Mutex<(u64, bool)>,
}

/// Whether the store answers: by a look of our own, or by one that began since we asked.
pub async fn is_ready(app: &Arc<App>) -> bool {
    let looking = Arc::clone(app);
    app.readiness.ask(async move { looking.store.read(FindCell).await.map(drop) }).await
}

impl Readiness {
    /// A task of its own ends what it has begun, whoever still waits for it.
    async fn ask(&self, look: impl Future<Output = Result<(), Outage>> + Send + 'static) -> bool {
        let looks = Arc::clone(&self.0);
        let begun = looks.begun.load(Ordering::SeqCst);
        tokio::spawn(async move { looks.since(begun, look).await }).await.unwrap_or(false)
    }
}

impl Looks {
    async fn since(&self, begun: u64, look: impl Future<Output = Result<(), Outage>>) -> bool {
        let mut last = self.last.lock().await;
        if last.0 <= begun {
            let this = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let looked = look.await;
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
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn whoever_asks_while_a_look_is_under_way_shares_the_next_one_and_hanging_up_begins_none() {
        let (readiness, looks) = (Readiness::default(), Arc::new(AtomicUsize::new(0)));
        let (end, ended) = oneshot::channel::<()>();
        let (begin, begun) = oneshot::channel::<()>();
        let counter = Arc::clone(&looks);
        let mine = readiness.clone();
        let first = tokio::spawn(async move {
            mine.ask(async move {
                counter.fetch_add(1, Ordering::SeqCst);
                begin.send(()).unwrap();
                ended.await.map_err(|_| Outage::Crowded)
            })
            .await
        });
        begun.await.unwrap();
        // Who began it hangs up; nobody else begins one beside it.
        first.abort();
        let ask = || {
            let (readiness, counter) = (readiness.clone(), Arc::clone(&looks));
            tokio::spawn(async move {
                readiness
                    .ask(async move {
                        counter.fetch_add(1, Ordering::SeqCst);
                        Err(Outage::Crowded)
                    })
                    .await
            })
        };
        let (second, third) = (ask(), ask());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        end.send(()).unwrap();
        assert_eq!((second.await.unwrap(), third.await.unwrap()), (false, false), "the first says nothing to them");
        assert_eq!(looks.load(Ordering::SeqCst), 2);
    }
}
